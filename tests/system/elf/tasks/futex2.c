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
#define NUMA 4
#define MPOL 8
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

/* A shared word of an anonymous page that no one can write is refused: there is nobody else. */
static void read_only(void)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	printf("read only: %ld %ld %ld, shared %ld %ld\n",
	       call(SYS_futex, (long)page, 0, 1, 0, 0, 0),
	       call(SYS_futex, (long)page, 1, 1, 0, 0, 0),
	       call(SYS_futex, (long)page, 1 | PRIVATE, 1, 0, 0, 0),
	       call(SYS_futex, (long)shared, 0, 1, 0, 0, 0),
	       call(SYS_futex, (long)shared, 1, 1, 0, 0, 0));
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

/* What a word with a node behind it says, and which node stands there then. */
static void numa(uint32_t *word, long flags)
{
	static const int nodes[] = { -3, -2, -1, 0, 1, 2, 64, 1024 };

	for (unsigned i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
		word[1] = (uint32_t)nodes[i];
		long woken = call(WAKE, (long)word, 1, 1, flags, 0, 0);
		printf("flags %#lx node %d: wake %ld", flags, nodes[i], woken);
		printf(" -> %d", (int)word[1]);
		word[1] = (uint32_t)nodes[i];
		long waited = call(WAIT, (long)word, 7, 1, flags, 0, 1);
		printf(" wait %ld -> %d\n", waited, (int)word[1]);
	}
}

static void numa_words(void)
{
	uint32_t *page =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t *last = page + 1022;
	struct waiter two[2] = { { 0, (uintptr_t)page, U32 | NUMA, 0 },
				 { 0, (uintptr_t)(page + 2), U32 | NUMA | MPOL, 0 } };

	mprotect(page + 1024, 4096, PROT_NONE);
	for (long extra = 0; extra <= (MPOL | PRIVATE); extra++)
		if (!(extra & ~(MPOL | PRIVATE)))
			numa(page, U32 | NUMA | extra), numa(last, U32 | extra);
	printf("odd place %ld\n", call(WAKE, (long)(page + 1), 1, 1, U32 | NUMA, 0, 0));
	page[1] = page[3] = (uint32_t)-1;
	for (int same = 0; same < 2; same++) {
		printf("requeue %ld", call(REQUEUE, (long)two, 0, 1, 1, 0, 0));
		printf(" -> %d %d\n", (int)page[1], (int)page[3]);
		two[1].flags = two[0].flags;
	}
	for (int node = -1; node < 1; node++) {
		page[1] = (uint32_t)node;
		mprotect(page, 4096, PROT_READ);
		printf("read only, node %d: %ld\n", node,
		       call(WAKE, (long)page, 1, 1, U32 | NUMA, 0, 0));
		mprotect(page, 4096, PROT_READ | PROT_WRITE);
	}
	words[1] = 0;
	pid_t plain = sleeper(1);
	until_asleep(1);
	printf("a plain sleeper: %ld", call(WAKE, (long)words, 1, 1, U32 | NUMA, 0, 0));
	printf(" -> %d\n", status_of(plain));
}

/* Words of pages that may only be read: what a file has is known, what is one's own is refused. */
static void only_readable(const char *name, int kind, int fd, int store)
{
	uint32_t *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, kind, fd, 0);
	struct waiter two[2] = { { 0, (uintptr_t)words, U32, 0 }, { 0, (uintptr_t)word, U32, 0 } };
	struct timespec past = { 1, 0 };

	if (store)
		word[1] = 1;
	mprotect(word, 4096, PROT_READ);
	printf("%s: wait %ld", name, call(WAIT, (long)word, 0, 1, U32, (long)&past, 1));
	printf(" wake %ld", call(WAKE, (long)word, 1, 1, U32, 0, 0));
	printf(" requeue %ld", call(REQUEUE, (long)two, 0, 1, 1, 0, 0));
	printf(" lock %ld", call(SYS_futex, (long)word, 6, 0, (long)&past, 0, 0));
	printf(" unlock %ld\n", call(SYS_futex, (long)word, 7, 0, 0, 0, 0));
	munmap(word, 4096);
}

static void rights(void)
{
	int fd = memfd_create("words", 0);
	uint32_t *shared, *view;

	ftruncate(fd, 4096);
	for (int store = 0; store < 2; store++) {
		only_readable("own", MAP_PRIVATE | MAP_ANONYMOUS, -1, store);
		only_readable("a file's copy", MAP_PRIVATE, fd, store);
		only_readable("shared", MAP_SHARED, fd, store);
	}
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	view = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	words = shared;
	words[0] = 0;
	pid_t one = sleeper(1);
	until_asleep(1);
	printf("by a private view: %ld", call(WAKE, (long)view, 1, 1, U32, 0, 0));
	printf(" -> %d\n", status_of(one));
}

/* FUTEX_WAKE_OP: what becomes of the second word, and whether who waits for it is woken. */
static void wake_by(long flags, unsigned old, unsigned code)
{
	words[1] = old;
	long woken = call(202, (long)words, 5 | flags, 1, 1, (long)(words + 1), (int)code);
	printf(" %ld:%x", woken, words[1]);
}

static void operations(void)
{
	static const unsigned olds[] = { 0, 1, 5, 0x7ff, 0x80000000u, 0xffffffffu };
	static const unsigned arguments[] = { 5, 0xfff, 33 };

	for (unsigned op = 0; op < 16; op++) {
		printf("operation %u", op);
		for (int i = 0; i < 18; i++)
			wake_by(i & 1 ? PRIVATE : 0, olds[i % 6],
				op << 28 | arguments[i / 6] << 12);
		printf("\n");
	}
	for (unsigned compare = 0; compare < 8; compare++) {
		words[0] = 0;
		pid_t one = sleeper(1);
		until_asleep(1);
		call(REQUEUE,
		     (long)(struct waiter[]){ { 0, (uintptr_t)words, U32, 0 },
					      { 0, (uintptr_t)(words + 1), U32, 0 } },
		     0, 0, 1, 0, 0);
		printf("comparison %u", compare);
		for (int i = 0; i < 6; i++) { /* whoever is woken, the next finds nobody */
			wake_by(0, olds[i], 1u << 28 | compare << 24 | 5);
			printf("/%ld", call(WAKE, (long)(words + 1), 1, 0, U32, 0, 0));
		}
		printf(" left %ld", call(WAKE, (long)(words + 1), 1, 9, U32, 0, 0));
		printf(" -> %d\n", status_of(one));
	}
	P("wrong", call(202, (long)words, 5, 1, 1, (long)words + 1, 0),
	  call(202, (long)words + 2, 5, 1, 1, (long)words, 0),
	  call(202, (long)words, 5, 1, 1, 8, 0), call(202, (long)words, 5, -1, -1, (long)words, 0),
	  call(202, (long)words, 5 | 256, 1, 1, (long)words, 0));
	words[0] = words[1] = 0;
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	arguments();
	read_only();
	vectors();
	limits();
	sleepers();
	operations();
	numa_words();
	rights();
	return 0;
}
