/* Signals between processes and from instructions: the same on the host and in a guest. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int got, children, heard = -1;
static sigjmp_buf before;

static void note(int signo)
{
	volatile double other = 1.5; /* the registers of the interrupted sum are someone else's */
	for (int i = 0; i < 100; i++)
		other *= 1.01;
	got += signo;
	if (heard >= 0)
		write(heard, "h", 1);
}

static void on_child(int signo) { children += signo == SIGCHLD; }

static void escape(int signo, siginfo_t *info, void *context)
{
	printf("signal %d, code %d, address %p\n", signo, info->si_code, info->si_addr);
	siglongjmp(before, 1);
}

static void wait_for(const char *what, int pid)
{
	int status = 0, r;
	do
		r = waitpid(pid, &status, 0);
	while (r < 0 && errno == EINTR);
	printf("%s: %s %d\n", what, WIFSIGNALED(status) ? "signal" : "exit",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void set(int signo, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	sigaction(signo, &action, 0);
}

static void ends(void)
{
	int pid, fds[2];
	if (!(pid = fork()))
		*(volatile int *)8 = 1;
	wait_for("wild store", pid);
	if (!(pid = fork()))
		for (;;)
			;
	printf("kill: %d\n", kill(pid, SIGTERM));
	wait_for("spinning", pid);
	if (!(pid = fork()))
		abort();
	wait_for("abort", pid);
	pipe(fds);
	close(fds[0]);
	if (!(pid = fork()))
		write(fds[1], "x", 1);
	wait_for("nobody reads", pid);
	set(SIGPIPE, SIG_IGN, 0);
	printf("ignored: %zd", write(fds[1], "x", 1));
	printf(" %d\n", errno == EPIPE);
	close(fds[1]);
	printf("nobody: %d", kill(99999, SIGTERM));
	printf(" %d\n", errno == ESRCH);
	printf("no such signal: %d", kill(getpid(), 65));
	printf(" %d, of KILL: %d\n", errno == EINVAL, signal(SIGKILL, note) == SIG_ERR);
}

static void handlers(void)
{
	struct sigaction action = { .sa_sigaction = escape, .sa_flags = SA_SIGINFO };
	sigset_t mask, pending;
	set(SIGUSR1, note, 0);
	kill(getpid(), SIGUSR1);
	printf("handled: %d\n", got);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, 0);
	raise(SIGUSR1);
	sigpending(&pending);
	printf("blocked: %d, waits: %d\n", got, sigismember(&pending, SIGUSR1));
	sigprocmask(SIG_UNBLOCK, &mask, 0);
	printf("unblocked: %d\n", got);
	sigaction(SIGSEGV, &action, 0);
	for (int i = 1; i < 3; i++)
		if (!sigsetjmp(before, 1))
			*(volatile int *)(i * 8L) = 1;
	set(SIGUSR2, note, SA_RESETHAND);
	raise(SIGUSR2);
	int pid = fork();
	if (!pid)
		raise(SIGUSR2);
	wait_for("once only", pid);
}

/* A child that is told to stop adding, and whose sum no handler disturbs. */
static void preempted(void)
{
	int pid, fds[2];
	got = 0;
	pipe(fds);
	if (!(pid = fork())) {
		double sum = 0;
		write(fds[1], "r", 1);
		while (got < 5 * SIGUSR1)
			for (int i = 0; i < 1000; i++)
				sum = sum * 0.5 + 1.0;
		printf("sum %.6f\n", sum);
		exit(0);
	}
	char byte;
	read(fds[0], &byte, 1);
	while (!kill(pid, SIGUSR1) && !waitpid(pid, 0, WNOHANG))
		sched_yield();
	close(fds[0]);
	close(fds[1]);
}

static void waits(int flags)
{
	int pid, fds[2], answer[2], parent = getpid();
	char byte = '-';
	set(SIGUSR1, note, flags);
	got = 0;
	pipe(fds);
	pipe(answer);
	heard = answer[1];
	if (!(pid = fork())) {
		until_in(parent, SYS_read); /* a guest, whose parent waits at once, has no /proc */
		kill(parent, SIGUSR1);
		read(answer[0], &byte, 1);
		write(fds[1], "b", 1);
		_exit(0);
	}
	long r = read(fds[0], &byte, 1);
	printf("read: %ld, interrupted: %d, handled: %d\n", r, r < 0 && errno == EINTR, got);
	if (r < 0)
		read(fds[0], &byte, 1);
	printf("then: %c\n", byte);
	wait_for("child", pid);
	heard = -1;
}

int main(void)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	ends();
	handlers();
	preempted();
	waits(0);
	waits(SA_RESTART);
	set(SIGCHLD, on_child, SA_RESTART);
	int pid = fork();
	if (!pid)
		_exit(4);
	wait_for("told", pid);
	printf("children: %d\n", children);
	return 0;
}
