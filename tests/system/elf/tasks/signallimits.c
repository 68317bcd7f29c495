/*
 * RLIMIT_SIGPENDING: what it refuses, what it makes forget who sent a signal, and that timers count.
 * A user of whom nothing else runs.
 */
#define _GNU_SOURCE
#include "../ownuser.h"
#include "../results.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static void limit(rlim_t number)
{
	struct rlimit both = { number, number };
	setrlimit(RLIMIT_SIGPENDING, &both);
}

static void queue(const char *what, int signo)
{
	union sigval value = { .sival_int = 7 };
	say(what, sigqueue(getpid(), signo, value));
}

/* Take all that waits, and say what is told of it. */
static void take(void)
{
	sigset_t all;
	siginfo_t info;
	struct timespec now = { 0, 0 };
	sigfillset(&all);
	while (sigtimedwait(&all, &info, &now) > 0)
		printf("  %d code %d value %d by us %d\n", info.si_signo, info.si_code,
		       info.si_code == SI_QUEUE ? info.si_value.sival_int : 0,
		       info.si_pid == getpid());
}

static void count(void)
{
	char line[200];
	FILE *status = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, status))
		if (!strncmp(line, "SigQ:", 5))
			printf("%s", line);
	fclose(status);
}

/* A file's signal that cannot be queued is SIGIO. */
static void of_a_file(void)
{
	int ends[2];
	pipe(ends);
	fcntl(ends[0], F_SETSIG, SIGRTMIN + 4);
	fcntl(ends[0], F_SETOWN, getpid());
	fcntl(ends[0], F_SETFL, O_ASYNC);
	write(ends[1], "a", 1);
	take();
}

static void limits(void)
{
	sigset_t all;
	timer_t timer;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	limit(3);
	for (int i = 0; i < 5; i++)
		queue("queue", SIGRTMIN + 1);
	queue("an ordinary one", SIGUSR1);
	say("by kill", kill(getpid(), SIGRTMIN + 2));
	say("by kill, an ordinary one", kill(getpid(), SIGUSR2));
	say("to the thread", syscall(SYS_tkill, getpid(), SIGRTMIN + 3));
	count();
	say("a timer", timer_create(CLOCK_MONOTONIC, NULL, &timer));
	take();
	say("a timer", timer_create(CLOCK_MONOTONIC, NULL, &timer));
	for (int i = 0; i < 3; i++)
		queue("queue", SIGRTMIN + 1);
	timer_delete(timer);
	queue("queue", SIGRTMIN + 1);
	take();
	limit(0);
	queue("queue", SIGRTMIN + 1);
	queue("an ordinary one", SIGUSR1);
	raise(SIGUSR2);
	take();
	of_a_file();
	say("a timer", timer_create(CLOCK_MONOTONIC, NULL, &timer));
}

/* Who pays, and until when: for a timer's signal that nobody wants any more, after setuid, exec. */
static void charges(void)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1000 };
	timer_t timer;
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	limit(100);
	timer_create(CLOCK_MONOTONIC, NULL, &timer);
	for (int i = 0; i < 2; i++) {
		if (i)
			timer_create(CLOCK_MONOTONIC, NULL, &timer);
		count();
		timer_settime(timer, 0, &soon, NULL);
		usleep(5000);
		timer_delete(timer);
		count();
		if (!i)
			take();
	}
	signal(SIGALRM, SIG_IGN);
	count();
	signal(SIGALRM, SIG_DFL);
	timer_create(CLOCK_MONOTONIC, NULL, &timer);
	timer_settime(timer, 0, &soon, NULL);
	usleep(5000);
	queue("queue", SIGRTMIN);
	say("by descriptor", syscall(SYS_pidfd_send_signal, -10000, SIGRTMIN, NULL, 0));
	count();
	fflush(stdout);
	execl("/proc/self/exe", "signallimits", "again", NULL);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		count();
		take();
		count();
		return 0;
	}
	if (!fork()) {
		uid_t user = own_user();
		if (!getuid() && setresuid(user, user, user))
			printf("still root\n");
		fflush(stdout);
		if (!fork())
			charges();
		wait(NULL);
		limits();
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	return 0;
}
