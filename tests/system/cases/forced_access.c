// PTRACE_POKEDATA and /proc/PID/mem go past the protection of private memory: so debuggers set
// breakpoints. A shared mapping refuses, process_vm_writev obeys.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define E(x) \
	({ \
		errno = 0; \
		(long)(x) == -1 ? strerrorname_np(errno) : "ok"; \
	})

__attribute__((noinline)) static int target(int a)
{
	__asm__ volatile("");
	return a + 1;
}

static void *fresh(int prot) { return mmap(0, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

int main(void)
{
	int mem = open("/proc/self/mem", O_RDWR), fd = memfd_create("m", 0), status;
	ftruncate(fd, PAGE);
	pwrite(fd, "xx", 2, 0);
	char *ro = fresh(PROT_READ), *none = fresh(PROT_NONE), back;
	char *shared = mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	char *copy = mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	printf("read-only %ld\n", (long)pwrite(mem, "a", 1, (long)ro));
	printf("inaccessible %ld\n", (long)pwrite(mem, "b", 1, (long)none));
	pread(mem, &back, 1, (long)none);
	printf("holds %c%c\n", *ro, back);
	printf("shared %s\n", E(pwrite(mem, "c", 1, (long)shared)));
	printf("private %ld\n", (long)pwrite(mem, "d", 1, (long)copy));
	printf("holds %c, the file %c\n", *copy, *shared);
	struct iovec here = { "e", 1 }, there = { ro, 1 };
	printf("process_vm_writev %s\n", E(process_vm_writev(getpid(), &here, 1, &there, 1, 0)));
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(target(1));
	}
	waitpid(child, &status, 0);
	long old = ptrace(PTRACE_PEEKDATA, child, target, 0);
	printf("peek %s\n", E(ptrace(PTRACE_PEEKDATA, child, none, 0)));
	printf("poke %s\n", E(ptrace(PTRACE_POKEDATA, child, target, (old & ~0xffL) | 0xcc)));
	ptrace(PTRACE_CONT, child, 0, 0);
	waitpid(child, &status, 0);
	printf("stopped by %d\n", WIFSTOPPED(status) ? WSTOPSIG(status) : 0);
	kill(child, SIGKILL);
	return target(1) - 2;
}
