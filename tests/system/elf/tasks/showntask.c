/*
 * showntask.c - what /proc/self tells of the task that reads it, where tools show it: the place of
 * the first word on the stack, and bytes and calls of pipes in io; and of a task that is stopped.
 * Prints differences and truths.
 */
#include "asleep.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned long stat_field(int pid, int wanted)
{
	char buf[1024], *at;
	snprintf(buf, sizeof buf, "/proc/%d/stat", pid);
	int fd = open(buf, O_RDONLY), n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	at = strrchr(buf, ')') + 2;
	for (int field = 3; field < wanted && at; field++)
		at = strchr(at, ' ') + 1;
	return at ? strtoul(at, NULL, 10) : 0;
}

struct io {
	long rchar, wchar, syscr, syscw;
};

static struct io io_now(void)
{
	char buf[1024];
	struct io io = { 0 };
	int fd = open("/proc/self/io", O_RDONLY), n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	sscanf(buf, "rchar: %ld wchar: %ld syscr: %ld syscw: %ld", &io.rchar, &io.wchar, &io.syscr,
	       &io.syscw);
	return io;
}

static struct io before;

static void show(const char *what)
{
	struct io now = io_now();
	printf("%s: %ld written in %ld calls\n", what, now.wchar - before.wchar,
	       now.syscw - before.syscw);
	fflush(stdout);
	before = io_now();
}

/* State, stat's field 35, and the call in /proc/PID/syscall: its number and how many words follow. */
static void show_call(const char *what, int pid)
{
	const char *text = of_task(pid, "syscall");
	int words = 0, number = atoi(text);
	for (const char *at = text; *at; at++)
		words += *at == ' ';
	printf("%s: %d and %d words", what, number, words);
	printf(", %c %lu\n", state_of(pid), stat_field(pid, 35));
}

static void show_stops(const char *what, int sleeps)
{
	volatile long *turns =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fflush(stdout);
	int child = fork();
	for (; !child; ++*turns)
		if (sleeps)
			syscall(SYS_pause);
	printf("%s\n", what);
	if (sleeps)
		until_in(child, SYS_pause);
	while (!sleeps && !*turns)
		sched_yield();
	kill(child, SIGSTOP);
	until_state(child, 'T');
	show_call("stopped", child);
	ptrace(PTRACE_SEIZE, child, 0, 0);
	kill(child, SIGCONT);
	waitpid(child, NULL, 0);
	show_call("traced", child);
	kill(child, SIGKILL);
	until_state(child, 'Z');
	show_call("ended", child);
	waitpid(child, NULL, 0);
}

/* What sleeping calls have before a stop: times, and a descriptor that is never ready. */
static struct sleeper {
	struct timespec time, rest, date;
	struct timeval parts;
	struct pollfd poll;
	int word;
	long done;
} *sleeper;

static const struct timeval only_read = { 100, 0 };

static long sleep_in(int way)
{
	struct sleeper *s = sleeper;
	switch (way) {
	case 0:
		return syscall(SYS_nanosleep, &s->time, &s->rest);
	case 1:
		return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &s->date, 0);
	case 2:
		return syscall(SYS_poll, &s->poll, 1, -1);
	case 3:
		return syscall(SYS_ppoll, &s->poll, 1, &s->time, 0, 8);
	case 4:
		return syscall(SYS_select, 0, 0, 0, 0, &s->parts);
	case 5:
		return syscall(SYS_pselect6, 0, 0, 0, 0, &s->time, 0);
	case 6:
		return syscall(SYS_select, 0, 0, 0, 0, &only_read);
	case 7:
		personality(STICKY_TIMEOUTS);
		return syscall(SYS_select, 0, 0, 0, 0, &s->parts);
	case 8:
		return syscall(SYS_futex, &s->word, 0, 0, &s->time, 0, 0);
	case 9:
		return syscall(SYS_futex, &s->word, 0, 0, 0, 0, 0);
	}
	return 0;
}

static int is_less(long seconds) { return seconds >= 0 && seconds < 100; }

static void show_sleep(const char *what, int pid)
{
	printf("%s: ", what);
	show_call("in", pid);
	printf("  left of 100 s: %d %d %d, done %ld\n", is_less(sleeper->rest.tv_sec),
	       is_less(sleeper->time.tv_sec), is_less(sleeper->parts.tv_sec), sleeper->done);
}

/* Which call a task is in that stopped while it slept, and goes on, and what it has stored. */
static void show_restarts(void)
{
	sleeper = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int way = 0; way < 10; way++) {
		*sleeper = (struct sleeper){ { 100 }, { -1 }, { 0 }, { 100 }, { -1 }, 0, 1 };
		clock_gettime(CLOCK_MONOTONIC, &sleeper->date);
		sleeper->date.tv_sec += 100;
		fflush(stdout);
		int child = fork();
		if (!child) {
			sleeper->done = sleep_in(way);
			sleeper->done = sleeper->done < 0 ? -errno : sleeper->done;
			for (;;)
				pause();
		}
		printf("%d\n", way);
		until_state(child, 'S');
		for (int turn = 0; turn < 2; turn++) {
			kill(child, SIGSTOP);
			until_state(child, 'T');
			show_sleep("stopped", child);
			kill(child, SIGCONT);
			until_state(child, 'S');
			show_sleep("goes on", child);
		}
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	int p[2];
	char data[5000] = { 0 };
	struct iovec parts[2] = { { data, 100 }, { data, 200 } };
	before = io_now();
	printf("the stack begins at argc: %d, which is %d\n",
	       stat_field(getpid(), 28) == (unsigned long)(argv - 1), argc);
	if (pipe(p))
		return 1;
	printf("from the start on %ld bytes were read in %ld calls\n", before.rchar, before.syscr);
	fflush(stdout);
	before = io_now();
	write(p[1], data, sizeof(data));
	show("write to a pipe");
	writev(p[1], parts, 2);
	show("writev to a pipe");
	write(p[1], data, 0);
	show("nothing to a pipe");
	struct io first = io_now();
	read(p[0], data, 1000);
	struct io then = io_now();
	printf("read from a pipe is counted: %d, in calls beside the two of the file: %ld\n",
	       then.rchar - first.rchar > 1000, then.syscr - first.syscr - 1);
	fflush(stdout);
	if (!vfork()) {
		printf("who waits for its child of vfork: %c\n", state_of(getppid()));
		fflush(stdout);
		_exit(0);
	}
	show_stops("one that sleeps", 1);
	show_stops("one that runs", 0);
	show_restarts();
	return 0;
}
