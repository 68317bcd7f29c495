// A call is chosen by eax; exit signals of clone and clone3; remap_file_pages has five arguments.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long call(unsigned long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 asm("r10") = d, r8 asm("r8") = e, r9 asm("r9") = f;
	long result;
	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return result;
}

static void numbers(void)
{
	unsigned long high[] = { 0,         1ul << 32, 1ul << 63, ~0ul << 32,
				 1ul << 31, 1ul << 30, 0xffffffff };
	for (int i = 0; i < 7; i++) {
		long result = call(high[i] | SYS_getpid, 0, 0, 0, 0, 0, 0);
		printf("%lx: %ld\n", high[i], result == getpid() ? 0 : result);
	}
	printf("-1: %ld\n", call(-1ul, 0, 0, 0, 0, 0, 0));
}

static void clones(void)
{
	unsigned long signals[] = {
		0, 1, 17, 34, 64, 65, 112, 128, 255, 256, 1ul << 32, 1ul << 63
	};
	for (int i = 0; i < 12; i++) {
		struct clone_args args = { .exit_signal = signals[i] };
		signal(signals[i] > 64 ? 64 : (int)signals[i], SIG_IGN);
		fflush(stdout);
		long pid = syscall(SYS_clone3, &args, sizeof args);
		if (!pid)
			_exit(3);
		int status = 0, waited = pid > 0 ? waitpid(pid, &status, __WALL) == pid : 0;
		printf("clone3 %lx: %s %d %x\n", signals[i],
		       pid > 0 ? "child" : strerrorname_np(errno), waited, status);
		if (signals[i] > 255)
			continue;
		fflush(stdout);
		pid = syscall(SYS_clone, signals[i], 0, 0, 0, 0);
		if (!pid)
			_exit(4);
		int first = waitpid(pid, &status, signals[i] == SIGCHLD ? 0 : __WCLONE) == pid;
		printf("clone %lx: %d %x\n", signals[i], first, status);
		signal(signals[i] > 64 ? 64 : (int)signals[i], SIG_DFL);
	}
}

static void remaps(void)
{
	int fd = memfd_create("f", 0);
	for (int i = 0; i < 4; i++) {
		char page[4096];
		memset(page, 'a' + i, sizeof page);
		write(fd, page, sizeof page);
	}
	char *p = mmap(0, 4 * 4096, PROT_READ, MAP_SHARED, fd, 0);
	for (int i = 0; i < 4; i++)
		*(volatile char *)(p + 4096 * i);
	long sixth[] = { 0, -1, 77, 1ul << 40, fd };
	for (int i = 0; i < 5; i++)
		printf("%ld %c\n", call(SYS_remap_file_pages, (long)p, 4096, 0, i % 4, 0, sixth[i]),
		       *p);
	mlock(p, 4096);
	printf("%ld\n", call(SYS_remap_file_pages, (long)p, 4096, 0, 2, MAP_NONBLOCK, 99));
	char line[256];
	for (FILE *maps = fopen("/proc/self/smaps", "r"); fgets(line, sizeof line, maps);)
		if (strtoul(line, 0, 16) == (unsigned long)p)
			while (fgets(line, sizeof line, maps) && strncmp(line, "VmFlags", 7))
				if (!strncmp(line, "Rss", 3) || !strncmp(line, "Locked", 6))
					fputs(line, stdout);
}

int main(void)
{
	numbers();
	clones();
	remaps();
	return 0;
}
