/* Zombies, and children of whoever has ended, with who adopts them; prints what it finds. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../ended.h"

static void zombies(void)
{
	siginfo_t info;
	int status;
	pid_t pid = fork();
	if (!pid)
		_exit(3);
	waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
	int kinds[] = { P_ALL, P_PID }, options[] = { WSTOPPED, WCONTINUED | WNOHANG };
	for (int i = 0; i < 4; i++) {
		int r = waitid(kinds[i / 2], pid, &info, options[i % 2]);
		printf("a zombie neither stops nor goes on: %d %d\n", r, errno == ECHILD);
	}
	waitpid(pid, &status, 0);
	show("zombie", status);
}

/* Leaves a zombie, or a stopped process of its own group, behind. */
static pid_t leave(int stopped)
{
	siginfo_t info;
	pid_t pid = fork();
	if (pid)
		return pid;
	setpgid(0, 0);
	pid = fork();
	if (!pid && stopped)
		raise(SIGSTOP);
	if (!pid)
		_exit(5);
	waitid(P_PID, pid, &info, (stopped ? WSTOPPED : WEXITED) | WNOWAIT);
	_exit(2);
}

static void adopting(void)
{
	int status = 0;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	waitpid(leave(0), &status, 0);
	show("leaves a zombie", status);
	printf("adopted: %d", waitpid(-1, &status, 0) > 0);
	show("", status);
	pid_t group = leave(1);
	waitpid(group, &status, 0);
	printf("not hung up: %d", kill(-group, SIGKILL));
	waitpid(-1, &status, 0);
	show("", status);
	signal(SIGCHLD, SIG_IGN);
	leave(0);
	printf("ignored, adopted: %d %d\n", waitpid(-1, &status, 0), errno == ECHILD);
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	zombies();
	adopting();
	return 0;
}
