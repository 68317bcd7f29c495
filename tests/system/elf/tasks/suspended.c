/* A strict child whose tracer suspends its filters, and one whose tracer does not. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUSPEND 0x200000

static int status;

static void go(int pid)
{
	ptrace(PTRACE_CONT, pid, 0, 0);
	waitpid(pid, &status, 0);
}

int main(void)
{
	for (int suspended = 1; suspended >= 0; suspended--) {
		fflush(stdout);
		int pid = fork();
		if (!pid) {
			ptrace(PTRACE_TRACEME, 0, 0, 0);
			raise(SIGSTOP);
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
			syscall(SYS_exit, syscall(SYS_getppid) > 0 ? 5 : 6);
		}
		waitpid(pid, &status, 0);
		long r = ptrace(PTRACE_SETOPTIONS, pid, 0, suspended ? SUSPEND : 0);
		printf("set %ld, ", r);
		go(pid);
		printf("ended by %d with %d\n", WTERMSIG(status), WEXITSTATUS(status));
	}
	setuid(1000);
	long r = ptrace(PTRACE_SEIZE, getppid(), 0, SUSPEND);
	printf("unprivileged: %s\n", r < 0 && errno == EPERM ? "EPERM" : "?");
	return 0;
}
