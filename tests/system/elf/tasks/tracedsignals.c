/* A tracer sends a signal at each stop of its child, and prints what stops follow. */
#define _GNU_SOURCE
#include <pthread.h>
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

/* A process of three threads, ended in some way while a tracer wants to look at each end. */
static int ready[2];

static void *sleeper(void *fd)
{
	char byte;
	write(ready[1], "x", 1);
	read(*(int *)fd, &byte, 1);
	return NULL;
}

static void many(int way, int threads)
{
	pthread_t thread;
	int never[2];
	pipe(never);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	for (int i = 1; i < threads; i++)
		pthread_create(&thread, NULL, sleeper, &never[0]);
	if (way == 'x')
		_exit(5);
	if (way == 's')
		*(volatile int *)way = 1;
	if (way == 'a')
		raise(SIGTERM);
	write(ready[1], "m", 1);
	pause();
}

static void take(int count)
{
	char byte;
	while (count--)
		read(ready[0], &byte, 1);
}

/* Follow all threads to their ends; a signal is sent when all sleep, and once more in a stop. */
static void ends(int way, int threads, int options)
{
	int status, told[4] = { 0 }, sent = 0, pid, waiting = threads;
	unsigned long message;
	pipe(ready);
	pid_t child = fork();
	if (!child) {
		many(way, threads);
		_exit(9);
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, options | PTRACE_O_TRACECLONE);
	ptrace(PTRACE_CONT, child, 0, 0);
	printf("%c %d threads:", way, threads);
	while (waiting) {
		if (!sent && way == 'k' && !told[0]) {
			int stops = 2 * (threads - 1);
			while (stops--) {
				pid = waitpid(-1, &status, __WALL);
				ptrace(PTRACE_CONT, pid, 0, 0);
			}
			take(threads);
			kill(child, SIGKILL);
			sent = 1;
		}
		pid = waitpid(-1, &status, __WALL);
		if (!WIFSTOPPED(status)) {
			waiting--;
			if (pid == child)
				waiting = 0, printf(" leader %x", status);
			else
				told[1]++, told[2] = status;
			continue;
		}
		int stop = WSTOPSIG(status), event = status >> 16;
		if (event == PTRACE_EVENT_EXIT) {
			ptrace(PTRACE_GETEVENTMSG, pid, 0, &message);
			told[0]++;
			told[3] = message;
			kill(child, SIGKILL);
			usleep(2000);
		}
		ptrace(PTRACE_CONT, pid, 0, event || stop == SIGSTOP ? 0 : stop);
	}
	while ((pid = waitpid(-1, &status, __WALL)) > 0)
		told[1]++;
	printf(" stops %d message %x others %d %x\n", told[0], told[3], told[1], told[2]);
	fflush(stdout);
	close(ready[0]), close(ready[1]);
}

/* What a stop before the end is: nothing but its tracer ends it. */
static void stays(void)
{
	int status;
	pid_t child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		pause();
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXIT);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	printf("stays %x", status);
	printf(" %d", kill(child, SIGKILL));
	usleep(5000);
	printf(" %d", waitpid(child, &status, WNOHANG | WUNTRACED));
	printf(" %ld", ptrace(PTRACE_CONT, child, 0, 0));
	waitpid(child, &status, 0);
	printf(" %x\n", status);
	fflush(stdout);
}

int main(void)
{
	stays();
	for (int threads = 1; threads < 4; threads += 2)
		for (const char *way = "kxsa"; *way; way++)
			for (int i = 0; i < 2; i++)
				ends(*way, threads, i ? 0 : PTRACE_O_TRACEEXIT);
	for (int at = 1; at < 10; at++) {
		trace(at, SIGUSR1);
		trace(at, SIGTERM);
	}
	return 0;
}
