/* Signals for what becomes ready, timers of POSIX, and answers about the processor's segments. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

enum { MILLI = 1000000 };

struct event { /* struct sigevent of the kernel */
	long value;
	int signo, notify, tid;
	char rest[44];
};

static volatile int count;
static siginfo_t last, first;
static timer_t timer;
static int told_otherwise; /* signals of a timer with another overrun than the timer tells then */

static long show(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
	return result;
}

static void note(int signo, siginfo_t *info, void *context)
{
	if (!count++)
		first = *info;
	last = *info;
	if (info->si_code == SI_TIMER)
		told_otherwise += info->si_overrun != syscall(SYS_timer_getoverrun, (long)timer);
}

static void handle(int signo, int flags)
{
	struct sigaction act = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | flags };
	sigaction(signo, &act, NULL);
}

static void pause_ms(int ms)
{
	struct timespec left = { ms / 1000, ms % 1000 * MILLI };
	while (nanosleep(&left, &left) < 0)
		;
}

/* ---- O_ASYNC ---- */

static void told(const char *what)
{
	pause_ms(5);
	printf("%s: %d", what, count);
	if (count && last.si_code == SI_KERNEL)
		printf(", signal %d of the kernel's", last.si_signo);
	else if (count)
		printf(", signal %d, code %d, band %#lx", last.si_signo, last.si_code,
		       last.si_band);
	printf("\n");
	count = 0;
}

static void asynchronous(int fd, int signo)
{
	show("owner", fcntl(fd, F_SETOWN, getpid()));
	if (signo)
		show("signal", fcntl(fd, F_SETSIG, signo));
	show("async", fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
	printf("%d\n", (fcntl(fd, F_GETFL) & O_ASYNC) != 0);
}

static void files(void)
{
	int p[2], pair[2], on = 1;
	char c;
	struct f_owner_ex who = { F_OWNER_PGRP, getpgrp() };
	handle(SIGIO, 0), handle(SIGRTMIN, 0), handle(SIGURG, 0);
	pipe(p);
	asynchronous(p[0], 0);
	write(p[1], "x", 1);
	told("pipe");
	read(p[0], &c, 1);
	told("read");
	show("signal", fcntl(p[0], F_SETSIG, SIGRTMIN));
	show("is", fcntl(p[0], F_GETSIG) == SIGRTMIN);
	write(p[1], "x", 1);
	told("pipe");
	printf("descriptor %d\n", last.si_fd == p[0]);
	show("owner", fcntl(p[0], F_GETOWN) == getpid());
	show("group", fcntl(p[0], F_SETOWN_EX, &who));
	show("owner", fcntl(p[0], F_GETOWN) == -getpgrp());
	write(p[1], "x", 1);
	told("by group");
	who = (struct f_owner_ex){ F_OWNER_TID, getpid() };
	show("thread", fcntl(p[0], F_SETOWN_EX, &who));
	who = (struct f_owner_ex){ 9, 9 };
	show("owner", fcntl(p[0], F_GETOWN_EX, &who));
	printf("%d %d\n", who.type, who.pid == getpid());
	write(p[1], "x", 1);
	told("by thread");
	who = (struct f_owner_ex){ 9, 9 };
	show("no such kind", fcntl(p[0], F_SETOWN_EX, &who));
	show("no such process", fcntl(p[0], F_SETOWN, 1 << 21));
	show("no such group", fcntl(p[0], F_SETOWN, -(1 << 21)));
	show("no such signal", fcntl(p[0], F_SETSIG, 65));
	uid_t ids[2] = { 9, 9 };
	show("ids", fcntl(p[0], F_GETOWNER_UIDS, ids));
	printf("%d %d\n", ids[0] == getuid(), ids[1] == geteuid());
	show("not async", fcntl(p[0], F_SETFL, 0));
	write(p[1], "x", 1);
	told("not async");
	show("by ioctl", ioctl(p[0], FIOASYNC, &on));
	printf("%d\n", (fcntl(p[0], F_GETFL) & O_ASYNC) != 0);
	write(p[1], "x", 1);
	told("by ioctl");
	show("nobody", fcntl(p[0], F_SETOWN, 0));
	write(p[1], "x", 1);
	told("nobody");
	close(p[0]), close(p[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	asynchronous(pair[0], SIGRTMIN);
	write(pair[1], "x", 1);
	told("socket");
	send(pair[1], "!", 1, MSG_OOB);
	pause_ms(5);
	printf("urgent: %d\n", count > 0);
	count = 0;
	int own;
	show("owner", ioctl(pair[0], SIOCGPGRP, &own));
	printf("%d\n", own == getpid());
	own = 0;
	show("nobody", ioctl(pair[0], FIOSETOWN, &own));
	close(pair[0]), close(pair[1]);
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	unlockpt(master);
	int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	asynchronous(slave, 0);
	write(master, "line\n", 5);
	for (int i = 0; i < 2000 && !count; i++) /* a task of the kernel's hands it on */
		pause_ms(5);
	told("terminal");
	close(slave), close(master);
	int file = open("/dev/null", O_RDONLY);
	asynchronous(file, 0);
	close(file);
}

/* ---- timers ---- */

static int create(clockid_t clock, int notify, int signo)
{
	struct event event = { 77, signo, notify, getpid() };
	int number = -1;
	long result = syscall(SYS_timer_create, clock, &event, &number);
	timer = (timer_t)(long)number;
	return result;
}

static long set(int flags, long interval_ms, long value_ms)
{
	struct itimerspec new = { { interval_ms / 1000, interval_ms % 1000 * MILLI },
				  { value_ms / 1000, value_ms % 1000 * MILLI } };
	return syscall(SYS_timer_settime, (long)timer, flags, &new, NULL);
}

static void left(const char *what)
{
	struct itimerspec now;
	long r = syscall(SYS_timer_gettime, (long)timer, &now);
	if (r < 0) {
		show(what, r);
		return;
	}
	printf("%s: %ld, every %ld ms, left %d\n", what, r,
	       now.it_interval.tv_sec * 1000 + now.it_interval.tv_nsec / MILLI,
	       now.it_value.tv_sec || now.it_value.tv_nsec);
}

static void text(void)
{
	char line[200];
	FILE *f = fopen("/proc/self/timers", "r");
	while (fgets(line, sizeof(line), f)) {
		char *pid = strstr(line, "id.");
		if (pid)
			*pid = 0;
		printf("  %s%s", line, pid ? "\n" : "");
	}
	fclose(f);
}

static void making(void)
{
	int clocks[] = { 0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 99 };
	for (unsigned i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		printf("clock %d ", clocks[i]);
		if (!show("made", create(clocks[i], SIGEV_SIGNAL, SIGRTMIN)))
			show("deleted", syscall(SYS_timer_delete, (long)timer));
	}
	show("no such way", create(1, 9, SIGRTMIN));
	show("no signal", create(1, SIGEV_SIGNAL, 0));
	show("no signal", create(1, SIGEV_SIGNAL, 65));
	show("none", create(1, SIGEV_NONE, 65));
	show("deleted", syscall(SYS_timer_delete, (long)timer));
	struct event event = { 77, SIGRTMIN, SIGEV_THREAD_ID, getppid() };
	int number;
	show("another's thread", syscall(SYS_timer_create, 1, &event, &number));
	show("nowhere", syscall(SYS_timer_create, 1, NULL, NULL));
	show("no such timer", syscall(SYS_timer_delete, 99));
	show("no such timer", syscall(SYS_timer_getoverrun, 99));
	show("no such timer", syscall(SYS_timer_gettime, 99, &event));
	show("no values", syscall(SYS_timer_settime, 0, 0, NULL, NULL));
	struct itimerspec bad = { { 0, 1000 * MILLI }, { 0, 0 } };
	create(1, SIGEV_SIGNAL, SIGRTMIN);
	show("bad values", syscall(SYS_timer_settime, (long)timer, 0, &bad, NULL));
	text();
	syscall(SYS_timer_delete, (long)timer);
	syscall(SYS_timer_create, 0, NULL, &number);
	timer = (timer_t)(long)number;
	handle(SIGALRM, 0);
	set(0, 0, 5);
	pause_ms(20);
	printf("SIGALRM %d, value %d\n", count, last.si_value.sival_int == number);
	count = 0;
	syscall(SYS_timer_delete, (long)timer);
}

static void running(clockid_t clock, int notify)
{
	sigset_t set_of;
	printf("clock %d, %d\n", clock, notify);
	show("made", create(clock, notify, SIGRTMIN));
	left("off");
	show("set", set(0, 0, 50));
	left("on");
	count = 0;
	while (!count)
		if (clock != 2 && clock != 3)
			pause_ms(1); /* by pause() it may come just before */
	printf("once: %d, code %d, value %d, overrun %d\n", count, last.si_code,
	       last.si_value.sival_int, last.si_overrun);
	left("over");
	count = 0;
	set(0, 20, 20);
	left("again");
	while (count < 3)
		if (clock != 2 && clock != 3)
			pause_ms(1); /* by pause() it may come just before */
	show("stopped", set(0, 0, 0));
	left("stopped");
	sigemptyset(&set_of);
	sigaddset(&set_of, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set_of, NULL);
	count = 0;
	set(0, 10, 10);
	if (clock == 2 || clock == 3) {
		sigset_t waits;
		do
			sigpending(&waits);
		while (!sigismember(&waits, SIGRTMIN));
	} else {
		pause_ms(95);
	}
	sigprocmask(SIG_UNBLOCK, &set_of, NULL);
	set(0, 0, 0);
	/* One signal stands for all that were missed; on a busy host another may have come by now. */
	printf("blocked: %d %d, otherwise %d\n", count > 0,
	       clock == 2 || clock == 3 || first.si_overrun > 4, told_otherwise);
	show("deleted", syscall(SYS_timer_delete, (long)timer));
	show("deleted", syscall(SYS_timer_delete, (long)timer));
}

static void others(void)
{
	sigset_t set_of;
	create(CLOCK_MONOTONIC, SIGEV_NONE, 0);
	set(0, 0, 100);
	left("none");
	pause_ms(110);
	left("none, over");
	set(0, 50, 20);
	pause_ms(30);
	left("none, repeated");
	syscall(SYS_timer_delete, (long)timer);
	/* Absolute, and in the past. */
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct itimerspec at = { { 0, 0 }, { now.tv_sec - 5, 0 } };
	create(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN);
	count = 0;
	show("past", syscall(SYS_timer_settime, (long)timer, TIMER_ABSTIME, &at, NULL));
	pause_ms(10);
	printf("%d\n", count);
	struct itimerspec old;
	set(0, 30, 40000);
	at.it_value.tv_sec = 0, at.it_value.tv_nsec = 0;
	show("old", syscall(SYS_timer_settime, (long)timer, 0, &at, &old));
	printf("%ld %ld\n", (long)old.it_value.tv_sec, (long)old.it_interval.tv_nsec);
	/* A signal that waits goes with its timer. */
	sigemptyset(&set_of);
	sigaddset(&set_of, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set_of, NULL);
	set(0, 0, 5);
	pause_ms(20);
	int fd = signalfd(-1, &set_of, SFD_NONBLOCK);
	struct signalfd_siginfo info;
	show("signalfd", read(fd, &info, sizeof(info)));
	printf("%d %d %d, timer %d, pid %d\n", info.ssi_signo == SIGRTMIN, info.ssi_code,
	       info.ssi_int, info.ssi_tid == (long)timer, info.ssi_pid);
	set(0, 0, 5);
	pause_ms(20);
	syscall(SYS_timer_delete, (long)timer);
	show("gone with it", read(fd, &info, sizeof(info)));
	/* No timers in children, nor after execve. */
	create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN);
	set(0, 0, 60000);
	fflush(stdout);
	int status;
	if (!fork()) {
		left("child");
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	left("parent");
	close(fd);
}

static void segments(void)
{
	char data[256];
	printf("%ld\n", syscall(SYS_modify_ldt, 0, data, 256));
	printf("%ld\n", syscall(SYS_modify_ldt, 2, data, 256));
	printf("%ld\n", syscall(SYS_modify_ldt, 2, data, 5));
	printf("%ld\n", syscall(SYS_modify_ldt, 9, data, 256));
	printf("%ld\n", syscall(SYS_modify_ldt, 1, data, 15));
	printf("%ld\n", syscall(SYS_modify_ldt, 1, NULL, 16));
	memset(data, 0xff, 16);
	printf("%ld\n", syscall(SYS_modify_ldt, 1, data, 16));
	/* Cleared entries make the table longer; a child has it too. */
	unsigned kind, clear[4] = { 2, 0, 0, 0 };
	printf("%ld\n", syscall(SYS_modify_ldt, 0x11, clear, 15));
	for (kind = 0; kind < 256; kind++) { /* 0x28: what is empty for 0x11 */
		clear[3] = kind;
		if ((kind & 6) == 6)
			printf("%ld ", syscall(SYS_modify_ldt, 1, clear, 16));
	}
	clear[3] = 0x28;
	printf("%ld ", syscall(SYS_modify_ldt, 0x11, clear, 16));
	clear[3] = 1;
	printf("%ld\n", syscall(SYS_modify_ldt, 1, clear, 16));
	fflush(stdout);
	if (!fork()) {
		memset(data, 0xff, sizeof data);
		printf("%ld %d\n", syscall(SYS_modify_ldt, 0, data, 100), data[99]);
		printf("%ld\n", syscall(SYS_modify_ldt, 0, NULL, 100));
		printf("%ld\n", syscall(SYS_modify_ldt, 0, NULL, 0));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void watched(const char *path)
{
	struct epoll_event e = { EPOLLIN | EPOLLOUT };
	int set = epoll_create1(0), fd = open(path, O_RDONLY | O_NONBLOCK);
	printf("%s ", path);
	if (!show("watched", epoll_ctl(set, EPOLL_CTL_ADD, fd, &e))) {
		int n = epoll_wait(set, &e, 1, 0);
		printf("%d %#x\n", n, n ? e.events : 0);
	}
	close(fd), close(set);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		left("after execve");
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	setpgid(0, 0);
	files();
	making();
	running(CLOCK_MONOTONIC, SIGEV_SIGNAL);
	running(CLOCK_REALTIME, SIGEV_THREAD_ID);
	running(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL);
	running(CLOCK_THREAD_CPUTIME_ID, SIGEV_THREAD_ID);
	others();
	segments();
	const char *paths[] = { "/dev/null",     "/dev/zero",       "/dev/random",
				"/dev/urandom",  "/dev/ptmx",       "/proc/mounts",
				"/proc/meminfo", "/proc/self/maps", "/proc/sys/kernel/hostname" };
	for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		watched(paths[i]);
	return execl("/proc/self/exe", argv[0], "again", (char *)NULL);
}
