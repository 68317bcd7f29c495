/* Alarms, interval timers and sleeping: prints what has passed, in coarse steps. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int *rung; /* shared with a child */
static void ring(int signo)
{
	(void)signo;
	++*rung;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void handler(int flags)
{
	struct sigaction sa = { .sa_handler = ring, .sa_flags = flags };
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGVTALRM, &sa, NULL);
}

int main(void)
{
	double start;
	rung = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	start = now();
	struct timespec third = { 0, 300000000 }, left = { 9, 9 };
	printf("nanosleep %d", nanosleep(&third, NULL));
	printf(" slept %d\n", now() - start >= 0.3);
	handler(0);
	alarm(1000);
	printf("left %d\n", alarm(1) > 900);
	struct timespec thousand = { 1000, 0 };
	int r = nanosleep(&thousand, &left);
	printf("interrupted %d %d rung %d left %d\n", r, errno == EINTR, *rung,
	       left.tv_sec > 900 && left.tv_sec < 1000);
	struct itimerval timer = { { 0, 20000 }, { 0, 10000 } }, old;
	setitimer(ITIMER_REAL, &timer, NULL);
	while (*rung < 5)
		pause();
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, &old);
	printf("ticks, interval %ld value %d\n", (long)old.it_interval.tv_usec,
	       old.it_value.tv_usec <= 20000);
	*rung = 0;
	timer.it_value.tv_usec = 50000;
	setitimer(ITIMER_VIRTUAL, &timer, NULL);
	while (!*rung)
		;
	printf("virtual %d\n", *rung);
	int fd[2];
	char byte = 'n';
	(void)!pipe(fd);
	handler(SA_RESTART);
	*rung = 0;
	pid_t parent = getpid();
	if (!fork()) {
		while (!*rung)
			usleep(1000);
		until_in(parent, SYS_read);
		(void)!write(fd[1], "y", 1);
		_exit(0);
	}
	alarm(1);
	r = read(fd[0], &byte, 1);
	printf("restarted %d %c rung %d\n", r, byte, *rung);
	wait(NULL);
	handler(0);
	alarm(1);
	r = read(fd[0], &byte, 1);
	printf("not restarted %d %d\n", r, errno == EINTR);
	start = now();
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	printf("absolute %d", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
	printf(" %d\n", now() - start > 0.9);
	struct timespec bad = { 0, 2000000000 };
	r = nanosleep(&bad, NULL);
	printf("bad %d %d\n", r, errno == EINVAL);
	struct tms t;
	printf("times %d\n", times(&t) != (clock_t)-1);
	time_t when = time(NULL);
	sleep(2);
	printf("time %d\n", time(NULL) - when >= 2);
	return 0;
}
