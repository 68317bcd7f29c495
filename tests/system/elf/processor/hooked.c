/*
 * hooked.c - much code that is looked at, in two processes that take turns, and what only looks like it.
 *
 * An argument says which: "alike", "many" or "turns".
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Alignas(16) unsigned char area[16] = { 1, 2, 3, 4 };

#define STORE "movaps %%xmm0, (%0)\n\t"
#define FIVE(one) one one one one one
#define FORTY(one) FIVE(one) FIVE(one) FIVE(one) FIVE(one) FIVE(one) FIVE(one) FIVE(one) FIVE(one)

__attribute__((noinline)) static void store_here(void)
{
	asm volatile(FORTY(STORE) : : "r"(area) : "memory");
}
__attribute__((noinline)) static void store_there(void)
{
	asm volatile(FORTY(STORE) "nop\n\t" : : "r"(area) : "memory");
}

/* 0xd9 0xf8 is fprem, but not in the middle of a number. */
static uint64_t look_alike(uint64_t x)
{
	asm volatile(FORTY("xor $0x66f8d966, %%eax\n\t") : "+a"(x));
	return x;
}

static void take_turns(int in, int out, void (*work)(void))
{
	char c;

	for (int i = 0; i < 200 && read(in, &c, 1) == 1; i++) {
		work();
		if (write(out, "x", 1) != 1)
			_exit(1);
	}
}

static int two(void)
{
	int here[2], there[2], status;

	if (pipe(here) || pipe(there))
		return 1;
	if (!fork()) {
		take_turns(there[0], here[1], store_there);
		_exit(3);
	}
	if (write(there[1], "x", 1) != 1)
		return 1;
	take_turns(here[0], there[1], store_here);
	wait(&status);
	printf("%d\n", WEXITSTATUS(status));
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "alike"))
		printf("%x\n", (unsigned)look_alike(5));
	for (int i = 0; !strcmp(what, "many") && i < 1000; i++)
		store_here();
	return strcmp(what, "turns") ? 0 : two();
}
