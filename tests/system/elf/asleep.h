/*
 * What another task has come to, by /proc, instead of a time in which it surely comes to it: on a busy host none is
 * long enough.  A task that waits in a call is told from one that waits for memory, a page or a lock of the C
 * library's on its way there by the call's number, and from one that is about to wait, as the number is told
 * only of a task that has left the processor (proc_pid_syscall(5)).
 */
#pragma once
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The id of a thread that has not been joined: the number of its clock holds it (clock_getcpuclockid(3)). */
static inline int tid_of(pthread_t thread)
{
	clockid_t clock = 0;

	pthread_getcpuclockid(thread, &clock);
	return ~(clock >> 3);
}

/* Return what a file of a task's in /proc begins with, nothing if there is no such task; it stays until the next. */
static inline const char *of_task(int tid, const char *file)
{
	static _Thread_local char text[256];
	char path[64];
	int fd;
	long size;

	snprintf(path, sizeof path, "/proc/%d/%s", tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = read(fd, text, sizeof text - 1);
	text[size > 0 ? size : 0] = 0;
	close(fd);
	return text;
}

/* The letter of a task's state: S asleep, D vfork's parent, T stopped, t traced, Z ended; 0 if there is none. */
static inline char state_of(int tid)
{
	const char *name_ends = strrchr(of_task(tid, "stat"), ')');

	return name_ends ? name_ends[2] : 0;
}

/* Has ended, or is about to: whoever waits for it to sleep is not to wait for ever. */
static inline int has_ended(char state) { return !state || strchr("ZX", state); }

static inline void until_state(int tid, char state)
{
	for (char now; (now = state_of(tid)) != state && !has_ended(now);)
		usleep(1000);
}

static inline int sleeps_in(int tid, long number)
{
	char *end;
	const char *text = of_task(tid, "syscall");

	int made = strtol(text, &end, 10) == number && end != text; /* "running": no call */

	return made && state_of(tid) == 'S';
}

/* Wait until a task, this user's own, sleeps in the call of that number, or has ended. */
static inline void until_in(int tid, long number)
{
	while (!sleeps_in(tid, number) && !has_ended(state_of(tid)))
		usleep(1000);
}
