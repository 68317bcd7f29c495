/*
 * execve of one thread while a tracer has others: each stops at its end if it is asked to, those that do not lead are
 * waited for, and execve waits for all of that.
 */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define CLONE_OPTIONS (PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)
enum who { LEADER, THREAD };
static const char *self;
static int go[2], ready[2];

static void *waits(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void execute(void)
{
	char byte;

	write(ready[1], "r", 1);
	read(go[0], &byte, 1);
	execl(self, self, "ends", (char *)0);
	_exit(9);
}

static void *executes(void *unused)
{
	execute();
	return unused;
}

static void tracee(enum who who)
{
	pthread_t thread;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	pthread_create(&thread, 0, who == THREAD ? executes : waits, 0);
	if (who == LEADER)
		execute();
	waits(0);
}

static pid_t leader, other;

/* What a wait says: whose, and of what. */
static int seen(pid_t pid, int flags)
{
	unsigned long message = 0;
	int status = 0;
	pid_t found = waitpid(pid, &status, flags | __WALL);

	if (found <= 0) {
		printf("%s\n", found ? strerrorname_np(errno) : "nothing");
		return 0;
	}
	printf("%s %x", found == leader ? "leader" : "other", status);
	if (WIFSTOPPED(status) && status >> 16) {
		ptrace(PTRACE_GETEVENTMSG, found, 0, &message);
		printf(" message %s", (pid_t)message == leader  ? "leader"
				      : (pid_t)message == other ? "other"
								: "none");
	}
	printf("\n");
	return status;
}

static void go_on(pid_t pid) { ptrace(PTRACE_CONT, pid, 0, 0); }

/* Both threads traced, one of them about to execute. */
static void start(enum who who, long options)
{
	unsigned long message = 0;
	char byte;
	int status;

	pipe(go);
	pipe(ready);
	leader = fork();
	if (!leader)
		tracee(who);
	waitpid(leader, &status, 0);
	ptrace(PTRACE_SETOPTIONS, leader, 0, options);
	go_on(leader);
	if (options & PTRACE_O_TRACECLONE) {
		waitpid(leader, &status, 0);
		ptrace(PTRACE_GETEVENTMSG, leader, 0, &message);
		other = message;
		waitpid(other, &status, __WALL);
		go_on(other);
		go_on(leader);
	}
	read(ready[0], &byte, 1);
}

static void finish(void)
{
	go_on(leader);
	while (waitpid(-1, &(int){ 0 }, __WALL) > 0)
		go_on(leader);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(ready[i]);
	}
}

static void by_the_leader(long options)
{
	start(LEADER, options);
	write(go[1], "g", 1);
	if (options & PTRACE_O_TRACEEXIT) {
		seen(other, 0);
		seen(leader, WNOHANG);
		go_on(other);
	}
	waitid(P_PID, other, &(siginfo_t){ 0 }, WEXITED | WNOWAIT | __WALL);
	seen(leader, WNOHANG); /* not before the other has been waited for */
	seen(other, 0);
	seen(leader, 0);
	seen(other, WNOHANG);
	finish();
}

static void by_a_thread(long options)
{
	start(THREAD, options);
	write(go[1], "g", 1);
	if (options & PTRACE_O_TRACEEXIT) {
		seen(leader, 0);
		seen(other, WNOHANG);
		go_on(leader);
	}
	seen(leader, 0);
	seen(other, WNOHANG);
	finish();
}

/* Killed while a thread stands at its end: nobody executes anything. */
static void killed(long options, const char *what)
{
	start(THREAD, options);
	write(go[1], "g", 1);
	seen(leader, 0);
	printf("%s: ", what);
	kill(leader, SIGKILL);
	if (options & PTRACE_O_TRACECLONE) {
		seen(other, 0);
		go_on(other);
		seen(other, 0);
	}
	seen(leader, 0);
	finish();
}

/* The tracer lets a thread go that has ended: execve waits no longer. */
static void let_go(void)
{
	start(LEADER, CLONE_OPTIONS | PTRACE_O_TRACEEXIT);
	write(go[1], "g", 1);
	seen(other, 0);
	ptrace(PTRACE_DETACH, other, 0, 0);
	seen(leader, 0);
	finish();
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1)
		return 0;
	setvbuf(stdout, 0, _IOLBF, 0);
	by_the_leader(CLONE_OPTIONS);
	by_the_leader(CLONE_OPTIONS | PTRACE_O_TRACEEXIT);
	by_a_thread(CLONE_OPTIONS);
	by_a_thread(CLONE_OPTIONS | PTRACE_O_TRACEEXIT);
	killed(PTRACE_O_TRACEEXIT, "with one traced");
	killed(CLONE_OPTIONS | PTRACE_O_TRACEEXIT, "with both traced");
	let_go();
	return 0;
}
