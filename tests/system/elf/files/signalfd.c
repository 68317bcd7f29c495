/* Signals that are read from files: what is read, who is ready, whose signals they are. */
#define _GNU_SOURCE
#include "asleep.h"
#include "results.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t set(int a, int b, int c)
{
	return 1ul << (a - 1) | 1ul << (b - 1) | 1ul << (c - 1);
}

static long make(int fd, uint64_t mask, int flags)
{
	return result(syscall(SYS_signalfd4, fd, &mask, 8, flags));
}

static int ready(int fd)
{
	struct pollfd one = { fd, POLLIN | POLLOUT | POLLRDNORM, 0 };

	poll(&one, 1, 0);
	return one.revents;
}

static void take(const char *what, int fd, int most)
{
	struct signalfd_siginfo all[8];
	long got = result(read(fd, all, most));

	printf("%s: %ld\n", what, got);
	for (int i = 0; i < got / 128; i++)
		printf("  signal %u code %d mine %d uid %d status %d int %d ptr %llx\n",
		       all[i].ssi_signo, all[i].ssi_code, all[i].ssi_pid == getpid(),
		       all[i].ssi_uid == getuid(), all[i].ssi_status, all[i].ssi_int,
		       (unsigned long long)all[i].ssi_ptr);
}

static void refusals(void)
{
	uint64_t mask = set(10, 10, 10);

	printf("size %ld\n", result(syscall(SYS_signalfd4, -1, &mask, 4, 0)));
	printf("address %ld\n", result(syscall(SYS_signalfd4, -1, 8, 8, 1)));
	printf("flags %ld\n", make(-1, mask, 1));
	printf("descriptor %ld %ld %ld\n", make(99, mask, 0), make(0, mask, 0), make(-2, mask, 0));
	printf("old %d\n", result(syscall(SYS_signalfd, -1, &mask, 8)) > 2);
}

static void reading(int fd)
{
	union sigval value = { .sival_int = -77 };

	printf("flags %x cloexec %d\n", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
	take("none", fd, 128);
	printf("ready %x\n", ready(fd));
	take("small", fd, 127);
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigqueue(getpid(), SIGRTMIN + 3, value);
	sigqueue(getpid(), SIGRTMIN + 3, value);
	printf("ready %x\n", ready(fd));
	take("one", fd, 255);
	take("all", fd, 1024);
	printf("ready %x write %ld\n", ready(fd), result(write(fd, "12345678", 8)));
	syscall(SYS_tkill, getpid(), SIGUSR1);
	take("tkill", fd, 128);
	/* other signals from now on */
	kill(getpid(), SIGUSR1);
	printf("changed %d\n", make(fd, set(SIGUSR2, SIGKILL, SIGSTOP), 0) == fd);
	take("not asked for", fd, 128);
	make(fd, set(SIGUSR1, SIGUSR2, SIGRTMIN + 3), 0);
	take("asked for", fd, 128);
	if (!fork())
		_exit(7);
	wait(0);
	make(fd, set(SIGCHLD, SIGUSR1, SIGUSR1), 0);
	take("child", fd, 128);
}

static void whose(int fd)
{
	kill(getpid(), SIGUSR1);
	fflush(stdout);
	if (!fork()) {
		printf("child ready %x\n", ready(fd));
		take("child", fd, 128);
		kill(getpid(), SIGUSR1);
		printf("child ready %x\n", ready(fd));
		take("child", fd, 128);
		fflush(stdout);
		_exit(0);
	}
	wait(0);
	take("parent", fd, 128);
	take("its child", fd, 128);
}

static void waiting(int fd)
{
	int set = epoll_create1(0);
	struct epoll_event event = { EPOLLIN | EPOLLET, { .u64 = 5 } }, got = { 0 };
	struct pollfd one = { fd, POLLIN, 0 };
	pid_t me = getpid();

	fcntl(fd, F_SETFL, 0);
	if (!fork()) {
		until_state(me, 'S');
		kill(me, SIGUSR1);
		_exit(0);
	}
	struct signalfd_siginfo info;
	printf("slept %ld", result(read(fd, &info, sizeof info)));
	printf(" signal %u\n", info.ssi_signo);
	wait(0);
	if (!fork()) {
		until_state(me, 'S');
		kill(me, SIGUSR1);
		_exit(0);
	}
	printf("poll %d %x\n", poll(&one, 1, 10000), one.revents);
	wait(0);
	take("one", fd, 128);
	make(fd, 1 << (SIGUSR1 - 1), 0);
	printf("add %ld\n", result(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event)));
	printf("epoll %d\n", epoll_wait(set, &got, 1, 0));
	if (!fork()) {
		until_state(me, 'S');
		kill(me, SIGUSR1);
		_exit(0);
	}
	printf("epoll %d", epoll_wait(set, &got, 1, 10000));
	printf(" %x %d\n", got.events, (int)got.data.u64);
	wait(0);
	printf("once %d\n", epoll_wait(set, &got, 1, 0));
	take("one", fd, 1024);
}

static int handled;

static void handler(int signo) { handled++; }

static void interrupted(int fd)
{
	struct sigaction act = { .sa_handler = handler };

	sigaction(SIGALRM, &act, 0);
	alarm(1);
	take("interrupted", fd, 128);
	printf("handled %d\n", handled);
}

int main(void)
{
	uint64_t mask = set(SIGUSR1, SIGUSR2, SIGRTMIN + 3) | set(SIGCHLD, SIGCHLD, SIGCHLD);
	char line[64], text[512] = { 0 };

	setvbuf(stdout, 0, _IOLBF, 0);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, 0, 8);
	refusals();
	int fd = make(-1, set(SIGUSR1, SIGUSR2, SIGRTMIN + 3), SFD_NONBLOCK | SFD_CLOEXEC);
	reading(fd);
	whose(fd);
	waiting(fd);
	interrupted(fd);
	sprintf(line, "/proc/self/fdinfo/%d", fd);
	int info = open(line, O_RDONLY);
	read(info, text, 511);
	printf("%s", strstr(text, "sigmask") ? strstr(text, "sigmask") : "no mask\n");
	sprintf(line, "/proc/self/fd/%d", fd);
	memset(text, 0, sizeof text);
	readlink(line, text, 511);
	printf("%s\n", text);
	return 0;
}
