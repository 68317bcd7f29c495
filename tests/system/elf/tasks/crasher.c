/* crasher WHAT: ends with a core file, for a debugger to look at. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK 0x1234567890abcdef
volatile long global = 41;
static double half = 0.5;

__attribute__((noinline)) static void innermost(long depth, const char *what)
{
	volatile char local[32] = "local text";
	asm volatile("movq %0, %%r12; movsd %1, %%xmm5; fldpi"
		     :
		     : "r"(MARK), "m"(half)
		     : "r12", "xmm5");
	*(volatile long *)(depth + 0x1000) = local[0];
}

__attribute__((noinline)) static void recurse(long depth, const char *what)
{
	volatile long here = depth;
	if (depth)
		recurse(depth - 1, what);
	else
		innermost(8, what);
	here++;
}

static void setuid_program(void)
{
	if (setgid(1000) || setuid(1000))
		perror("setuid");
	printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	if (!getenv("KEEP_LIMIT"))
		setrlimit(RLIMIT_CORE, &all);
	char *heap =
		mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < 256; i++)
		memset(heap + 4096 * i, (int)i | 1, 4096);
	global++;
	if (argc > 1 && !strcmp(argv[1], "setuid"))
		setuid_program();
	recurse(3, heap);
	return 0;
}
