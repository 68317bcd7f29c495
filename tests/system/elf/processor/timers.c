// Timers that are open files: a read and a poll that wait for them, a signal in between.
#include "asleep.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void set(int fd, long first_ms, long every_ms)
{
	struct itimerspec spec = { { every_ms / 1000, every_ms % 1000 * 1000000 },
				   { first_ms / 1000, first_ms % 1000 * 1000000 } };
	printf("set %d\n", timerfd_settime(fd, 0, &spec, NULL));
}

static void take(int fd)
{
	uint64_t count = 0;
	int got = (int)read(fd, &count, 8);
	printf("read %d errno %d expired %s\n", got, got < 0 ? errno : 0, count ? "yes" : "no");
}

static void on_alarm(int signo) { (void)signo; }

int main(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0),
	    other = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	take(other);
	set(fd, 5, 0);
	take(fd); // it waits
	set(fd, 5, 5);
	take(fd);
	take(fd);
	struct pollfd both[] = { { fd, POLLIN, 0 }, { other, POLLIN, 0 } };
	set(fd, 100000, 0);
	set(other, 5, 0);
	int ready = poll(both, 2, -1);
	printf("poll %d: %d %d\n", ready, both[0].revents, both[1].revents);
	take(other);
	struct sigaction action = { .sa_handler = on_alarm };
	sigaction(SIGALRM, &action, NULL);
	struct itimerval soon = { { 0, 5000 }, { 0, 5000 } }, never = { { 0, 0 } };
	setitimer(ITIMER_REAL, &soon, NULL);
	take(fd); // EINTR, by the second if a busy host is too late for the first
	setitimer(ITIMER_REAL, &never, NULL);
	fflush(stdout);
	pid_t child = fork();
	if (!child) { // the one who waits sees what another sets
		take(fd);
		fflush(stdout);
		_exit(0);
	}
	until_in(child, SYS_read);
	set(fd, 1, 0);
	wait(NULL); // before this one's line is written, which may come too late on a busy host
	close(fd);
	return 0;
}
