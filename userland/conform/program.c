/*
 * TITLE
 *
 * gcc -static -no-pie -O1 -o program program.c && ./program
 *
 * Written by userland/conform/cprogram.py, which puts the calls in.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096

static unsigned char scratch[PAGE] __attribute__((aligned(4096)));
static sigjmp_buf escape;
/* What calls name: 0 f0, 1 f1 (empty), 2 f2 (sparse), 3 f0 opened again, to read; -1 the others. */
static long slots[16];

static void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)context;
	printf("%s si_code=%d si_addr=%p\n", signo == SIGBUS ? "SIGBUS" : "SIGSEGV", info->si_code,
	       info->si_addr);
	siglongjmp(escape, 1);
}

static void show(const char *what, long result)
{
	if (result == -1)
		printf("%s = -1 %s\n", what, strerror(errno));
	else
		printf("%s = %#lx [%02x %02x %02x %02x]\n", what, result, scratch[0], scratch[1],
		       scratch[2], scratch[3]);
}

#define CALL(number, ...) show(#number "(" #__VA_ARGS__ ")", syscall(number, __VA_ARGS__))
#define LOAD(address) \
	do { \
		printf("load(%#lx) = ", address); \
		if (!sigsetjmp(escape, 1)) \
			printf("%#lx\n", *(volatile unsigned long *)(address)); \
	} while (0)
#define STORE(address, value) \
	do { \
		printf("store(%#lx, %#lx) = ", address, value); \
		if (!sigsetjmp(escape, 1)) { \
			*(volatile unsigned long *)(address) = (value); \
			printf("0\n"); \
		} \
	} while (0)
/* What the next call finds in scratch. */
#define WORDS(...) \
	do { \
		uint64_t words[] = { __VA_ARGS__ }; \
		memcpy(scratch, words, sizeof(words)); \
	} while (0)

static void stamp(int fd, unsigned long page, uint64_t value)
{
	if (pwrite(fd, &value, 8, (off_t)(page * PAGE)) != 8)
		perror("pwrite");
}

static void show_maps(void)
{
	char text[65536];
	int fd = open("/proc/self/maps", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text));

	close(fd);
	fwrite(text, 1, n > 0 ? (size_t)n : 0, stdout);
}

/* Leave the room that both kernels have: without the host's pages for clocks. */
static void unmap_clocks(void)
{
	unsigned long start, end;
	char line[512], *next;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (fgets(line, sizeof(line), maps)) {
		start = strtoul(line, &next, 16);
		end = strtoul(next + 1, NULL, 16);
		if (strstr(line, "[v") && !strstr(line, "[vsyscall]"))
			munmap((void *)start, end - start);
	}
	fclose(maps);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };
	struct rlimit limit = { 16 * PAGE, 16 * PAGE };
	unsigned long i;

	(void)argc;
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		personality(ADDR_NO_RANDOMIZE);
		execv("/proc/self/exe", argv);
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	unmap_clocks();
	memset(slots, 0xff, sizeof(slots));
	slots[0] = memfd_create("f0", 0);
	slots[1] = memfd_create("f1", 0);
	slots[2] = memfd_create("f2", 0);
	if (ftruncate((int)slots[0], 5 * PAGE + 100) || ftruncate((int)slots[2], 12 * PAGE))
		perror("ftruncate");
	for (i = 0; i < 6; i++)
		stamp((int)slots[0], i, 0xf0000000u + i);
	for (i = 0; i < 12; i += 6)
		stamp((int)slots[2], i, 0xf2000000u + i);
	snprintf((char *)scratch, 64, "/proc/self/fd/%ld", slots[0]);
	slots[3] = open((char *)scratch, O_RDONLY);
	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (getuid() == 0 && setresuid(1000, 1000, 1000))
		perror("setresuid");
	action.sa_sigaction = on_signal;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);

	/* CALLS */
	show_maps();
	return 0;
}
