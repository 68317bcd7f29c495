/*
 * operandsgone.c - instructions with operands of 16 bytes in more places than are looked at, run; then
 * their page may not be executed any more, or is gone, while others like them run: nobody faults.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACES 40
#define STRIDE 5
#define CODE (PROT_READ | PROT_WRITE | PROT_EXEC)

static char data[64] __attribute__((aligned(16)));

static unsigned char *code_page(void)
{
	static const unsigned char load_and_return[STRIDE] = { 0x66, 0x0f, 0x6f, 0x07, 0xc3 };
	unsigned char *page = mmap(NULL, 4096, CODE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < PLACES; i++)
		memcpy(page + STRIDE * i, load_and_return, STRIDE);
	return page;
}

static void run_all(unsigned char *page)
{
	for (int i = 0; i < PLACES; i++)
		((void (*)(void *))(page + STRIDE * i))(data);
}

int main(void)
{
	unsigned char *first = code_page(), *second = code_page();
	run_all(first);
	mprotect(first, 4096, PROT_READ);
	if (!fork()) {
		run_all(second);
		puts("the child is well");
		return 0;
	}
	wait(NULL);
	run_all(second);
	puts("not executable: well");
	munmap(first, 4096);
	run_all(code_page());
	puts("gone: well");
	return 0;
}
