/*
 * alarms.c - an interval timer rests while its signal waits or is ignored, and goes on when a SIGALRM
 * is taken, whoever sent it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL 20000 /* us */
#define NAP 150        /* ms */

static volatile int count;

static void on_alarm(int signo)
{
	(void)signo;
	count++;
}

static void nap(void)
{
	struct timespec left = { 0, NAP * 1000000l };

	while (nanosleep(&left, &left))
		;
}

/* How often it came is told up to two: a busy host may not look in time. */
static void show(const char *what)
{
	struct itimerval now;

	getitimer(ITIMER_REAL, &now);
	printf("%s: every %ld us, %s, came %d times\n", what, (long)now.it_interval.tv_usec,
	       now.it_value.tv_sec || now.it_value.tv_usec ? "goes on" : "rests",
	       count < 2 ? count : 2);
}

static void start(long interval)
{
	struct itimerval timer = { { 0, interval }, { 0, interval } };

	count = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void ignored(void)
{
	signal(SIGALRM, SIG_IGN);
	start(INTERVAL);
	show("ignored");
	nap();
	show("a while later");
	signal(SIGALRM, on_alarm);
	nap();
	show("with a handler");
	kill(getpid(), SIGALRM);
	show("sent by someone else");
	nap();
	show("a while later");
	start(0);
}

static void blocked(void)
{
	sigset_t set, before;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, &before);
	start(INTERVAL);
	nap();
	show("blocked");
	sigprocmask(SIG_SETMASK, &before, NULL);
	show("let in");
	nap();
	show("a while later");
	sigprocmask(SIG_BLOCK, &set, NULL);
	start(INTERVAL);
	nap();
	printf("waited for: %d\n", sigwaitinfo(&set, NULL));
	show("it");
	printf("and again: %d\n", sigwaitinfo(&set, NULL));
	nap();
	signal(SIGALRM, SIG_IGN);
	nap();
	show("ignored while it waits");
	start(0);
	show("off");
}

/* Not every clock can be slept on, and what a clock is of is asked before the time is read. */
static void other_clocks(void)
{
	struct timespec little = { 0, 1 };
	for (int clock = 3; clock < 12; clock++) {
		long slept = syscall(SYS_clock_nanosleep, clock, 0, &little, NULL);
		printf("sleep on %d: %ld %d", clock, slept, slept ? errno : 0);
		slept = syscall(SYS_clock_nanosleep, clock, 0, NULL, NULL);
		printf(", without a time %d\n", slept ? errno : 0);
	}
	for (int clock = -9; clock < 0; clock++) {
		int done = clock_settime(clock, &little);
		printf("set %d: %d %d\n", clock, done, done ? errno : 0);
	}
}

int main(void)
{
	other_clocks();
	ignored();
	blocked();
	return 0;
}
