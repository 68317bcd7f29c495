/* Clocks of processor time by number: read, slept on and timed by, one's own and those of others. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLOCK(pid, kind) ((int)(~(unsigned)(pid) << 3 | (unsigned)(kind)))
#define PROF 0
#define SCHED 2
#define THREAD 4
#define NONE 4000000
#define TWENTY_MS { 0, 20000000 }

static volatile int tid, over;

static void *wait_until_over(void *arg)
{
	tid = (int)syscall(SYS_gettid);
	while (!over)
		usleep(1000);
	return arg;
}

static void show(const char *what, long result)
{
	printf(" %s %ld", what, result);
	if (result < 0)
		printf(" (%d)", errno);
}

static void ask(const char *name, int clock)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	struct itimerspec spec = { { 0, 0 }, { 1000, 0 } };
	struct timespec time = { 0, 0 }, wrong = { 0, -1 };
	int timer;

	printf("%s:", name);
	show("read", syscall(SYS_clock_gettime, clock, &time));
	show("moves by", syscall(SYS_clock_getres, clock, &time) ? -1 : time.tv_nsec);
	time = (struct timespec){ 0, 0 };
	show("wrong sleep", syscall(SYS_clock_nanosleep, clock, 0, &wrong, NULL));
	show("no sleep", syscall(SYS_clock_nanosleep, clock, TIMER_ABSTIME, &time, NULL));
	long made = syscall(SYS_timer_create, clock, &event, &timer);
	show("timer", made);
	if (!made) {
		show("set", syscall(SYS_timer_settime, timer, 0, &spec, NULL));
		show("read", syscall(SYS_timer_gettime, timer, &spec));
		printf(", runs %d", spec.it_value.tv_sec > 900);
		syscall(SYS_timer_delete, timer);
	}
	printf("\n");
}

static void all_kinds(int child)
{
	for (int kind = 0; kind < 8; kind++) {
		printf("kind %d\n", kind);
		ask("one's own", CLOCK(0, kind));
		ask("by number", CLOCK(getpid(), kind));
		ask("a thread", CLOCK(tid, kind));
		ask("a child", CLOCK(child, kind));
		ask("nobody", CLOCK(NONE, kind));
	}
}

static int working_child(void)
{
	int child = fork();

	if (!child)
		for (;;)
			;
	return child;
}

static void end(int child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void wake(int signo) { (void)signo; }

static void while_another_works(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec spec = { { 0, 0 }, TWENTY_MS };
	struct timespec time = TWENTY_MS, left = { 0, 0 };
	int timer, child = working_child(), clock = CLOCK(child, SCHED);
	siginfo_t info;
	sigset_t set;

	show("sleep", syscall(SYS_clock_nanosleep, clock, 0, &time, NULL));
	syscall(SYS_clock_gettime, clock, &time);
	printf(", it ran %d\n", time.tv_sec || time.tv_nsec >= 20000000);
	time = (struct timespec)TWENTY_MS;
	show("sleep by ticks", syscall(SYS_clock_nanosleep, CLOCK(child, PROF), 0, &time, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	show("timer", syscall(SYS_timer_create, clock, &event, &timer));
	syscall(SYS_timer_settime, timer, 0, &spec, NULL);
	show("signal", sigwaitinfo(&set, &info));
	show("code", info.si_code);
	spec.it_value.tv_sec = 1000;
	syscall(SYS_timer_settime, timer, 0, &spec, NULL);
	signal(SIGALRM, wake);
	ualarm(5000, 5000); /* a busy host may be too late for the first */
	time.tv_sec = 1000;
	show("interrupted", syscall(SYS_clock_nanosleep, clock, 0, &time, &left));
	ualarm(0, 0);
	printf(", left %d\n", left.tv_sec > 900);
	end(child);
	show("once it has ended", syscall(SYS_timer_gettime, timer, &spec));
	printf(", left %ld", (long)spec.it_value.tv_sec);
	spec.it_value.tv_sec = 1000;
	show("set", syscall(SYS_timer_settime, timer, 0, &spec, NULL));
	printf("\n");
}

static void the_dead(void)
{
	int child = fork();
	siginfo_t info;

	if (!child)
		_exit(0);
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	ask("dead", CLOCK(child, SCHED));
	ask("its thread", CLOCK(child, SCHED | THREAD));
	waitpid(child, NULL, 0);
	ask("gone", CLOCK(child, SCHED));
}

/* A thread sleeps by the work of who is reaped: a handler ends that, and so does a stop. */
static int slept_by, how;
static volatile long answer;

static void *sleeper(void *arg)
{
	struct timespec time = { 10, 0 }, left = { 77, 77 };

	errno = 0;
	answer = syscall(SYS_clock_nanosleep, slept_by, how, &time, &left);
	printf(" %ld %d left %ld", answer, errno, (long)left.tv_sec);
	return arg;
}

static void the_reaped(void)
{
	struct sigaction act = { .sa_handler = wake };

	sigaction(SIGUSR2, &act, NULL);
	for (int i = 0; i < 4; i++) {
		pthread_t thread;
		int child = fork(), other;
		if (!child)
			for (;;)
				pause();
		slept_by = CLOCK(child, SCHED), how = i & 1 ? TIMER_ABSTIME : 0, answer = 99;
		pthread_create(&thread, NULL, sleeper, NULL);
		until_in(tid_of(thread), SYS_clock_nanosleep);
		end(child);
		usleep(5000); /* in which nothing wakes it */
		printf("reaped %ld", answer);
		fflush(stdout);
		if (i < 2) {
			pthread_kill(thread, SIGUSR2);
		} else if (!(other = fork())) {
			kill(getppid(), SIGSTOP);
			until_state(getppid(), 'T');
			kill(getppid(), SIGCONT);
			_exit(0);
		} else {
			waitpid(other, NULL, 0);
		}
		pthread_join(thread, NULL);
		printf("\n");
	}
}

int main(void)
{
	pthread_t thread;
	int child;

	pthread_create(&thread, NULL, wait_until_over, NULL);
	while (!tid)
		usleep(1000);
	child = fork();
	if (!child)
		for (;;)
			pause();
	all_kinds(child);
	end(child);
	over = 1;
	pthread_join(thread, NULL);
	the_dead();
	while_another_works();
	the_reaped();
	return 0;
}
