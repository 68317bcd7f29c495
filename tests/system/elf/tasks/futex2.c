/* futex_wait, futex_wake, futex_requeue and futex_waitv: arguments, values, time limits, sleepers. */
#define _GNU_SOURCE
#include "results.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAITV 449
#define WAKE 454
#define WAIT 455
#define REQUEUE 456
#define U32 2
#define PRIVATE 128

struct waiter {
	uint64_t value, addr;
	uint32_t flags, reserved;
};

static uint32_t *words; /* shared with children */

static struct timespec after(int clock, long ns)
{
	struct timespec now;

	clock_gettime(clock, &now);
	now.tv_nsec += ns;
	now.tv_sec += now.tv_nsec / 1000000000;
	now.tv_nsec %= 1000000000;
	return now;
}

static void arguments(void)
{
	static const long flags[] = { 0, 1, 2, 3, 130, 2 | 16, 2 | 64, 2 | 256, 1L << 33 | 2 };
	static const long masks[] = { 0, 1, 0xffffffff, 0x1ffffffff };
	struct timespec bad = { 0, 1000000000 };
	long at = (long)words;

	for (unsigned i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		for (unsigned j = 0; j < sizeof(masks) / sizeof(*masks); j++) {
			printf("flags %#lx mask %#lx:", flags[i], masks[j]);
			printf(" wait %ld", call(WAIT, at, 1, masks[j], flags[i], 0, 1));
			printf(" wake %ld", call(WAKE, at, masks[j], 1, flags[i], 0, 0));
			printf(" none %ld\n", call(WAKE, at, masks[j], 0, flags[i], 0, 0));
		}
	printf("value of 33 bits %ld\n", call(WAIT, at, 1L << 32, 1, U32, 0, 1));
	printf("odd %ld %ld\n", call(WAIT, at + 2, 1, 1, U32, 0, 1),
	       call(WAKE, at + 2, 1, 1, U32, 0, 0));
	printf("nowhere %ld %ld\n", call(WAIT, 4096, 1, 1, U32 | PRIVATE, 0, 1),
	       call(WAKE, 4096, 1, 1, U32, 0, 0));
	printf("clocks %ld %ld %ld\n", call(WAIT, at, 0, 1, U32, (long)&bad, 1),
	       call(WAIT, at, 1, 1, U32, (long)&bad, 7), call(WAIT, at, 0, 1, U32, 1, 1));
	printf("no limit, any clock %ld\n", call(WAIT, at, 1, 1, U32, 0, 99));
}

static void vectors(void)
{
	struct waiter two[2] = { { 0, (uintptr_t)words, U32, 0 },
				 { 0, (uintptr_t)(words + 1), U32, 0 } };
	struct waiter odd[2];

	printf("waitv: %ld %ld %ld %ld\n", call(WAITV, (long)two, 0, 0, 0, 0, 0),
	       call(WAITV, (long)two, 129, 0, 0, 0, 0), call(WAITV, 0, 1, 0, 0, 0, 0),
	       call(WAITV, (long)two, 1, 1, 0, 0, 0));
	memcpy(odd, two, sizeof(odd));
	odd[1].value = 5;
	printf("second differs %ld\n", call(WAITV, (long)odd, 2, 0, 0, 0, 0));
	odd[1].reserved = 1;
	printf("reserved %ld\n", call(WAITV, (long)odd, 2, 0, 0, 0, 0));
	odd[1].reserved = 0;
	odd[1].flags = 1;
	printf("size %ld\n", call(WAITV, (long)odd, 2, 0, 0, 0, 0));
	printf("requeue: %ld %ld %ld\n", call(REQUEUE, (long)two, 0, 0, 0, 0, 0),
	       call(REQUEUE, (long)two, 1, 0, 0, 0, 0), call(REQUEUE, 0, 0, 0, 0, 0, 0));
	two[0].value = 3;
	printf("requeue's value %ld, negative %ld\n", call(REQUEUE, (long)two, 0, 1, 1, 0, 0),
	       call(REQUEUE, (long)two, 0, -1, 1, 0, 0));
}

static void limits(void)
{
	struct timespec soon = after(CLOCK_MONOTONIC, 20000000),
			now = after(CLOCK_REALTIME, 20000000);
	struct timespec past = { 1, 0 };
	struct waiter one = { 0, (uintptr_t)words, U32, 0 };

	printf("time is up: %ld", call(WAIT, (long)words, 0, 1, U32, (long)&soon, 1));
	printf(" %ld", call(WAIT, (long)words, 0, 1, U32, (long)&now, 0));
	printf(" %ld", call(WAITV, (long)&one, 1, 0, (long)&past, 1, 0));
	printf(" %ld\n", call(WAIT, (long)words, 0, 1, U32 | PRIVATE, (long)&past, 1));
}

static void until_asleep(int nr)
{
	while (call(REQUEUE,
		    (long)(struct waiter[]){ { 0, (uintptr_t)words, U32, 0 },
					     { 0, (uintptr_t)words, U32, 0 } },
		    0, 0, nr, 0, 0) < nr)
		usleep(2000);
}

static pid_t sleeper(long mask)
{
	pid_t pid = fork();

	if (!pid)
		_exit((int)call(WAIT, (long)words, 0, mask, U32, 0, 1) & 0x7f);
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void sleepers(void)
{
	pid_t one = sleeper(1);
	until_asleep(1);
	pid_t two = sleeper(2);
	until_asleep(2);
	printf("other bit: %ld", call(WAKE, (long)words, 4, 9, U32, 0, 0));
	printf(" second: %ld", call(WAKE, (long)words, 2, 9, U32, 0, 0));
	printf(" -> %d", status_of(two));
	printf(" first: %ld", call(WAKE, (long)words, 0xffffffff, 9, U32, 0, 0));
	printf(" -> %d\n", status_of(one));

	one = fork();
	if (!one) {
		struct waiter many[3] = { { 0, (uintptr_t)(words + 1), U32, 0 },
					  { 0, (uintptr_t)(words + 2), U32, 0 },
					  { 0, (uintptr_t)words, U32, 0 } };
		_exit((int)call(WAITV, (long)many, 3, 0, 0, 0, 0) & 0x7f);
	}
	until_asleep(1);
	printf("many: %ld", call(WAKE, (long)(words + 2), 1, 1, U32, 0, 0));
	printf(" -> %d\n", status_of(one));

	one = sleeper(1);
	until_asleep(1);
	struct waiter move[2] = { { 0, (uintptr_t)words, U32, 0 },
				  { 0, (uintptr_t)(words + 5), U32, 0 } };
	printf("moved: %ld", call(REQUEUE, (long)move, 0, 0, 9, 0, 0));
	printf(" there: %ld", call(WAKE, (long)words, 1, 1, U32, 0, 0));
	printf(" here: %ld", call(WAKE, (long)(words + 5), 1, 1, U32, 0, 0));
	printf(" -> %d\n", status_of(one));

	one = sleeper(1);
	until_asleep(1);
	kill(one, SIGKILL);
	waitpid(one, NULL, 0);
	printf("the dead do not wait: %ld\n", call(WAKE, (long)words, 1, 9, U32, 0, 0));
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	arguments();
	vectors();
	limits();
	sleepers();
	return 0;
}
