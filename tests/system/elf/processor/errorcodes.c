/* What a handler is told of each kind of access that fails: signal, code, error code, address. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include "../told.h"

#define PAGE 4096
#define RET 0xc3

enum access { READ, WRITE, EXEC };

static void try(const char *name, volatile char *at, enum access access)
{
	memset(&told, 0, sizeof(told));
	if (!sigsetjmp(back, 1)) {
		if (access == READ)
			(void)*at;
		else if (access == WRITE)
			*at = 1;
		else
			((void (*)(void))at)();
	}
	printf("%s, access %d: signal %d code %d error %#lx vector %ld", name, access, told.signo,
	       told.code, told.error, told.trap);
	printf(told.trap == 14 ? " address %d\n" : "\n", told.cr2 == (long)at);
}

static char *anonymous(int prot, int touched)
{
	char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (touched)
		memset(at, RET, PAGE);
	mprotect(at, PAGE, prot);
	return at + 0x123;
}

static void protections(void)
{
	for (int prot = 0; prot < 8; prot++)
		for (int touched = 0; touched < 2; touched++)
			for (int access = READ; access <= EXEC; access++) {
				char name[64];

				if (access == EXEC && !touched && prot & PROT_EXEC)
					continue; /* zeroes are an instruction that stores */
				snprintf(name, sizeof(name), "prot %d touched %d", prot, touched);
				try(name, anonymous(prot, touched), access);
			}
}

static void files(void)
{
	int fd = memfd_create("file", 0);
	char *both = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *reading = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

	try("beyond the end", both + 0x77, READ);
	try("beyond the end", both + 0x77, WRITE);
	ftruncate(fd, 1);
	try("shared, to read", reading + 0x77, WRITE);
	(void)*(volatile char *)reading;
	try("the same, touched", reading + 0x77, WRITE);
	try("private, to read", private + 0x77, WRITE);
	try("no code", reading, EXEC);
}

int main(void)
{
	const struct sigaction action = { .sa_sigaction = tell, .sa_flags = SA_SIGINFO };
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };

	for (unsigned int i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
	protections();
	files();
	for (int access = READ; access <= EXEC; access++) {
		try("nothing mapped", (char *)0x1238, access);
		try("the kernel's half", (char *)0xffff800000000123, access);
	}
	try("no address", (char *)0x8000000000000000, READ);
	try("no address", (char *)0x8000000000000000, WRITE);
	try("the program's own code", (char *)main + 5, WRITE);
	try("the code that stores", (char *)try + 7, WRITE);
	return 0;
}
