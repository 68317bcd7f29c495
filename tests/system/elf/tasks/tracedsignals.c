/* A tracer sends a signal at each stop of its child, and prints what stops follow. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void handler(int signo) { write(1, "handler\n", 8); }

static void child(void)
{
	signal(SIGUSR1, handler);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	syscall(SYS_getppid);
	write(1, "more\n", 5);
	_exit(3);
}

/* Return the signal to go on with: a stop's own, or ours at the call that `at` counts. */
static int chosen(int pid, int stop, int *calls, int at, int signo)
{
	siginfo_t info;
	if (stop == (SIGTRAP | 0x80))
		return ++*calls == at ? signo : 0;
	ptrace(PTRACE_GETSIGINFO, pid, 0, &info);
	printf("signal %d code %d\n", info.si_signo, info.si_code);
	return stop;
}

static void trace(int at, int signo)
{
	int status, calls = 0, pid = fork();
	if (!pid)
		child();
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
	for (int go_on = 0;;) {
		ptrace(PTRACE_SYSCALL, pid, 0, go_on);
		waitpid(pid, &status, 0);
		if (!WIFSTOPPED(status))
			break;
		printf("stop %x\n", WSTOPSIG(status));
		go_on = chosen(pid, WSTOPSIG(status), &calls, at, signo);
		fflush(stdout);
	}
	printf("%d %d end %x\n", at, signo, status);
	fflush(stdout);
}

int main(void)
{
	for (int at = 1; at < 10; at++) {
		trace(at, SIGUSR1);
		trace(at, SIGTERM);
	}
	return 0;
}
