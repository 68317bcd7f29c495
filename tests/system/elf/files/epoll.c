// Sets of open files that a program waits for: what others do to them, time, and signals.
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

static int set;

static void add(int fd, uint32_t events, int word)
{
	struct epoll_event event = { events, { .u64 = (uint64_t)word } };
	printf("add %d: %d\n", word, epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

static void wait_for(int timeout)
{
	struct epoll_event events[4];
	int got = epoll_wait(set, events, 4, timeout);
	printf("wait: %d errno %d\n", got, got < 0 ? errno : 0);
	for (int i = 0; i < got; i++)
		printf("  %d %#x\n", (int)events[i].data.u64, events[i].events);
	fflush(stdout);
}

static void ring(int signo) { printf("signal %d\n", signo); }

/* What fdinfo says was asked for: EPOLLWAKEUP only of who may keep the machine awake. */
static void asked(void)
{
	char text[2000], *line;
	int fd[2], other = epoll_create1(0);
	struct epoll_event event = { EPOLLIN | EPOLLWAKEUP, { .u64 = 5 } };
	pipe(fd);
	epoll_ctl(other, EPOLL_CTL_ADD, fd[0], &event);
	snprintf(text, sizeof text, "/proc/self/fdinfo/%d", other);
	FILE *info = fopen(text, "r");
	while (fgets(text, sizeof text, info))
		if ((line = strstr(text, "events:")))
			printf("%.17s\n", line);
	fclose(info);
}

int main(void)
{
	int fd[2], timer = timerfd_create(CLOCK_MONOTONIC, 0);
	char byte;
	set = epoll_create1(EPOLL_CLOEXEC);
	if (pipe(fd))
		return 1;
	add(fd[0], EPOLLIN | EPOLLET, 1);
	add(timer, EPOLLIN, 2);
	wait_for(0);
	wait_for(20);
	fflush(stdout);
	if (!fork()) {
		until_state(getppid(), 'S');
		_exit(write(fd[1], "xy", 2) != 2);
	}
	wait_for(-1);
	wait_for(0); // nothing new
	wait(NULL);
	if (read(fd[0], &byte, 1) != 1)
		return 1;
	wait_for(0);
	struct itimerspec soon = { { 0, 0 }, { 0, 5000000 } };
	timerfd_settime(timer, 0, &soon, NULL);
	wait_for(-1);
	wait_for(0);
	uint64_t count;
	if (read(timer, &count, 8) != 8)
		return 1;
	struct epoll_event once = { EPOLLIN | EPOLLONESHOT, { .u64 = 9 } };
	int over = timerfd_create(CLOCK_MONOTONIC, 0);
	soon.it_value.tv_nsec = 1;
	timerfd_settime(over, 0, &soon, NULL);
	epoll_ctl(set, EPOLL_CTL_ADD, over, &once);
	wait_for(1000);
	wait_for(5); // it has told, and stays over
	close(over);
	struct sigaction action = { .sa_handler = ring, .sa_flags = SA_RESTART };
	sigaction(SIGALRM, &action, NULL);
	struct itimerval alarm = { { 0, 5000 }, { 0, 5000 } }, never = { { 0, 0 } };
	setitimer(ITIMER_REAL, &alarm, NULL);
	wait_for(-1); // EINTR in spite of SA_RESTART
	setitimer(ITIMER_REAL, &never, NULL);
	fflush(stdout);
	if (!fork()) { // another adds a file while one waits
		until_state(getppid(), 'S');
		struct epoll_event event = { EPOLLOUT, { .u64 = 3 } };
		_exit(epoll_ctl(set, EPOLL_CTL_ADD, fd[1], &event));
	}
	wait_for(-1);
	wait(NULL);
	close(fd[1]);
	wait_for(0);
	asked();
	return 0;
}
