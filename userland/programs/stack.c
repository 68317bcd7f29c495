/*
 * stack.c - a stack that grows as it is used, in parent and child, until its limit.
 */
#include "raw.h"
#include <sys/resource.h>

static uint64_t descend(int depth)
{
	volatile char frame[1024];

	for (int i = 0; i < 1024; i += 64)
		frame[i] = (char)(depth + i);
	if (depth == 0)
		return (uint64_t)frame[0];
	return descend(depth - 1) * 31 + (uint64_t)frame[512];
}

static void on_overflow(int signo)
{
	say("signal %d at the stack's end\n", signo);
	sys_exit(3);
}

static void overflow(void)
{
	struct sigaction action = { .sa_handler = on_overflow, .sa_flags = SA_ONSTACK };
	stack_t other = { .ss_size = 16 * PAGE };
	struct rlimit limit = { 1 << 20, 1 << 20 };

	other.ss_sp = map_anonymous((long)other.ss_size);
	sigaltstack(&other, NULL);
	sigaction(SIGSEGV, &action, NULL);
	must(raw3(SYS_setrlimit, RLIMIT_STACK, (long)&limit, 0) == 0, "setrlimit");
	say("16 MB deep: %lx\n", descend(16000));
}

int main(void)
{
	say("shallow: %lx\n", descend(10));
	say("4 MB deep: %lx\n", descend(4000));
	if (sys_fork() == 0) {
		say("child, 6 MB deep: %lx\n", descend(6000));
		sys_exit(0);
	}
	say("child: %d\n", reap());
	if (sys_fork() == 0)
		overflow();
	say("beyond RLIMIT_STACK: %d\n", reap());
	return 0;
}
