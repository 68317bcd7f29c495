// Code that is written while it runs: in its own page, through another mapping, and in a page read by it.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
typedef int (*number)(void);

static void put(char *at, int value) /* mov $value, %eax; ret */
{
	at[0] = (char)0xb8;
	memcpy(at + 1, &value, 4);
	at[5] = (char)0xc3;
}

int main(void)
{
	int fd = memfd_create("code", 0);
	ftruncate(fd, 4 * PAGE);
	char *code = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, fd, 0);
	char *alias = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	long sum = 0;
	for (int i = 0; i < 600; i++) {
		put((i % 3 ? code : alias) + i % 4 * PAGE + i % 7 * 16, i);
		sum += ((number)(code + i % 4 * PAGE + i % 7 * 16))();
		sum += code[(i + 1) % 4 * PAGE];
		alias[(i + 2) % 4 * PAGE + 1000] = (char)i;
		if (i % 97 == 0 && !fork())
			_exit(((number)(code + i % 4 * PAGE + i % 7 * 16))() & 127);
	}
	int status;
	while (wait(&status) > 0)
		sum += WEXITSTATUS(status);
	printf("%ld\n", sum);
	return 0;
}
