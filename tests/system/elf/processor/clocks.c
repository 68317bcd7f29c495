/* Alarms, interval timers and sleeping: prints what has passed, in coarse steps. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int rung;
static void ring(int signo)
{
	(void)signo;
	rung++;
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
	double start = now();
	struct timespec third = { 0, 300000000 }, left = { 9, 9 };
	printf("nanosleep %d", nanosleep(&third, NULL));
	printf(" slept %d\n", now() - start >= 0.3 && now() - start < 2);
	handler(0);
	alarm(2);
	printf("left %u\n", alarm(1));
	struct timespec five = { 5, 0 };
	int r = nanosleep(&five, &left);
	printf("interrupted %d %d rung %d left %d\n", r, errno == EINTR, rung,
	       left.tv_sec == 3 || left.tv_sec == 4);
	struct itimerval timer = { { 0, 20000 }, { 0, 10000 } }, old;
	setitimer(ITIMER_REAL, &timer, NULL);
	while (rung < 5)
		pause();
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, &old);
	printf("ticks, interval %ld value %d\n", (long)old.it_interval.tv_usec,
	       old.it_value.tv_usec <= 20000);
	rung = 0;
	timer.it_value.tv_usec = 50000;
	setitimer(ITIMER_VIRTUAL, &timer, NULL);
	while (!rung)
		;
	printf("virtual %d\n", rung);
	int fd[2];
	char byte = 'n';
	(void)!pipe(fd);
	handler(SA_RESTART);
	if (!fork()) {
		sleep(1);
		usleep(300000);
		(void)!write(fd[1], "y", 1);
		_exit(0);
	}
	alarm(1);
	rung = 0;
	r = read(fd[0], &byte, 1);
	printf("restarted %d %c rung %d\n", r, byte, rung);
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
	printf(" %d\n", now() - start > 0.9 && now() - start < 3);
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
