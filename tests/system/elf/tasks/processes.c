/* Birth, death and waiting; prints what it finds, in an order that it makes itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../ended.h"

extern char **environ;
static volatile int children;

static void on_child(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	children++;
	if (info->si_code != CLD_EXITED && info->si_code != CLD_KILLED &&
	    info->si_code != CLD_STOPPED && info->si_code != CLD_CONTINUED)
		children += 1000;
}

static void waiting(void)
{
	int status, fd[2];
	char byte;
	pid_t pid = fork();
	if (!pid)
		_exit(300);
	printf("wait %d\n", wait(&status) == pid);
	show("status", status);
	printf("no child: %d %d\n", wait(&status), errno == ECHILD);

	(void)!pipe(fd);
	pid = fork();
	if (!pid) {
		close(fd[1]);
		(void)!read(fd[0], &byte, 1);
		_exit(5);
	}
	close(fd[0]);
	printf("nohang: %d\n", waitpid(pid, &status, WNOHANG));
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	show("stop", status);
	kill(pid, SIGCONT);
	waitpid(pid, &status, WCONTINUED);
	show("cont", status);
	close(fd[1]);
	siginfo_t info;
	memset(&info, 0, sizeof(info));
	printf("waitid %d", waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	printf(" code %d status %d same %d\n", info.si_code, info.si_status, info.si_pid == pid);
	waitpid(-1, &status, 0);
	show("again", status);
	printf("bad: %d %d\n", waitpid(-1, &status, 0x1000), errno == EINVAL);
	printf("no group has this: %d %d\n", waitpid(INT_MIN, &status, 0), errno == ESRCH);
}

static void signals_of_children(void)
{
	struct sigaction sa = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO };
	sigaction(SIGCHLD, &sa, NULL);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		if (!pid)
			_exit(i);
		int status, r;
		while ((r = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
			;
		show("child", status);
	}
	printf("signals %d\n", children);
	signal(SIGCHLD, SIG_IGN);
	if (!fork())
		_exit(1);
	int r = wait(NULL);
	printf("ignored: %d %d\n", r, errno == ECHILD);
	signal(SIGCHLD, SIG_DFL);
}

static void groups(void)
{
	pid_t pid = fork();
	if (!pid) {
		setpgid(0, 0);
		printf("group of my own %d\n", getpgrp() == getpid());
		printf("session %d\n", setsid() == -1 && errno == EPERM);
		pid_t inner = fork();
		if (!inner) {
			printf("inner in it %d\n", getpgrp() == getppid());
			printf("setsid %d", setsid() == getpid());
			printf(" %d %d\n", getpgid(0) == getpid(), getsid(0) == getpid());
			fflush(stdout);
			_exit(0);
		}
		wait(NULL);
		int ready[2];
		char byte = 0;
		(void)!pipe(ready);
		signal(SIGTERM, SIG_IGN);
		inner = fork();
		if (!inner) {
			signal(SIGTERM, SIG_DFL);
			(void)!write(ready[1], &byte, 1);
			for (;;)
				pause();
		}
		(void)!read(ready[0], &byte, 1);
		kill(0, SIGTERM);
		int status;
		wait(&status);
		show("group signal", status);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	printf("missing: %d %d\n", kill(99999, 0), errno == ESRCH);
	printf("bad signal: %d %d\n", kill(getpid(), 65), errno == EINVAL);
}

static void orphans(void)
{
	int fd[2];
	(void)!pipe(fd);
	pid_t pid = fork();
	if (!pid) {
		pid_t me = getpid();
		if (!fork()) {
			while (getppid() == me)
				usleep(1000);
			char *text = getppid() != me ? "orphan has another parent\n" : "?\n";
			(void)!write(fd[1], text, strlen(text));
			_exit(0);
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	close(fd[1]);
	char buffer[100];
	ssize_t n = read(fd[0], buffer, sizeof(buffer));
	fwrite(buffer, 1, n, stdout);
	close(fd[0]);
}

static void borrowing(char *self)
{
	volatile int shared = 1;
	pid_t pid = vfork();
	if (!pid) {
		shared = 2;
		execl(self, self, "--args", "one", "", "three words here", NULL);
		_exit(9);
	}
	int status;
	waitpid(pid, &status, 0);
	printf("vfork shared %d\n", shared);
	show("vfork", status);
	char *argv[] = { self, "--args", "spawned", NULL };
	int spawned = posix_spawn(&pid, self, NULL, NULL, argv, environ);
	waitpid(pid, &status, 0);
	printf("spawn %d\n", spawned);
	show("spawn", status);
	printf("spawn missing %d\n",
	       posix_spawn(&pid, "/proc/self/nope", NULL, NULL, argv, environ));
	pid = vfork();
	if (!pid)
		_exit(11);
	waitpid(pid, &status, 0);
	show("vfork exit", status);
}

static void executing(char *self)
{
	char *argv[] = { "zero", "--args", "a", NULL }, *envp[] = { "ONLY=this", NULL };
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		signal(SIGUSR1, SIG_IGN);
		signal(SIGUSR2, on_child ? (void (*)(int))on_child : 0);
		int keep = open("/dev/null", O_RDONLY),
		    gone = open("/dev/null", O_RDONLY | O_CLOEXEC);
		dup2(keep, 20);
		dup3(gone, 21, O_CLOEXEC);
		execve(self, argv, envp);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	struct {
		const char *path;
	} bad[] = { { "/proc/self/nope" }, { "/dev/null" }, { "/tmp" }, { "" } };
	for (unsigned i = 0; i < 4; i++) {
		int r = execve(bad[i].path, argv, envp);
		printf("exec '%s': %d %s\n", bad[i].path, r, strerror(errno));
	}
	int r = execve((char *)8, argv, envp);
	printf("exec bad pointer: %d %s\n", r, strerror(errno));
	r = execve(self, (char **)8, envp);
	printf("exec bad argv: %d %s\n", r, strerror(errno));
	static char big[200000];
	memset(big, 'x', sizeof(big) - 1);
	char *much[] = { self, big, NULL };
	r = execve(self, much, envp);
	printf("exec too big: %d %s\n", r, strerror(errno));
}

static int args(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		printf("argv[%d] = '%s'\n", i, i ? argv[i] : "self");
	if (environ[0] && !strcmp(environ[0], "ONLY=this")) {
		struct sigaction sa;
		sigaction(SIGUSR1, NULL, &sa);
		printf("ignored stays %d", sa.sa_handler == SIG_IGN);
		sigaction(SIGUSR2, NULL, &sa);
		printf(" handled goes %d\n", sa.sa_handler == SIG_DFL);
		printf("fds %d %d\n", fcntl(20, F_GETFD), fcntl(21, F_GETFD));
		printf("aux page %lu clk %lu secure %lu phent %lu\n", getauxval(AT_PAGESZ),
		       getauxval(AT_CLKTCK), getauxval(AT_SECURE), getauxval(AT_PHENT));
		printf("platform %s random %d execfn %d\n", (char *)getauxval(AT_PLATFORM),
		       getauxval(AT_RANDOM) != 0, getauxval(AT_EXECFN) != 0);
		printf("stack aligned %d\n", ((unsigned long)&argv[-1] & 15) == 0);
	}
	fflush(stdout);
	return 4;
}

static int cloned(void *arg)
{
	*(volatile int *)arg = 5;
	return 6;
}

static void clones(void)
{
	static char stack[65536];
	volatile int value = 0;
	int status;
	pid_t pid = clone(cloned, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD,
			  (void *)&value);
	printf("clone vm: value %d\n", value);
	waitpid(pid, &status, 0);
	show("clone", status);
	value = 0;
	pid = clone(cloned, stack + sizeof(stack), SIGCHLD, (void *)&value);
	waitpid(pid, &status, 0);
	printf("clone copy: value %d\n", value);
	pid = clone(cloned, stack + sizeof(stack), 0, (void *)&value);
	printf("no signal: %d %d\n", waitpid(pid, &status, 0) == -1, errno == ECHILD);
	printf("with __WALL: %d\n", waitpid(pid, &status, __WALL) == pid);
	int tid = 0;
	pid = syscall(SYS_clone, CLONE_CHILD_SETTID | CLONE_PARENT_SETTID | SIGCHLD, 0, &tid, &tid,
		      0);
	if (!pid)
		_exit(tid == getpid() ? 0 : 1);
	waitpid(pid, &status, 0);
	printf("settid %d %d\n", status, tid == pid);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--args"))
		return args(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	waiting();
	signals_of_children();
	groups();
	orphans();
	fflush(stdout);
	borrowing(argv[0]);
	executing(argv[0]);
	clones();
	return 0;
}
