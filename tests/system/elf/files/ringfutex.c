// Futexes by rings: waits that no task sleeps in stand in line with those that one does.
#define _GNU_SOURCE
#include "asleep.h"
#include "../newrings.h"
#include <pthread.h>
#include <sys/wait.h>

#define SIZE_U32 2u
#define PRIVATE 128u

struct waiter {
	uint64_t value, addr;
	uint32_t flags, reserved;
};

static uint32_t *words;

static struct io_uring_sqe *futex(struct ring *r, int op, unsigned flags, void *addr,
				  uint64_t value, uint64_t mask, uint64_t data)
{
	struct io_uring_sqe *e = next(r, op, (int)flags, addr, 0, value, data);

	e->addr3 = mask;
	return e;
}

static long wake(uint32_t *addr, int flags, int count)
{
	return result(syscall(__NR_futex, addr, 1 | flags, count, NULL, NULL, 0));
}

static void ones(struct ring *r, unsigned flags)
{
	int by_call = flags & PRIVATE;

	words[0] = 7;
	futex(r, OP_FUTEX_WAIT, flags, words, 8, ~0u, 1);
	tell(r, "another value", 1, 1);
	for (int i = 2; i < 5; i++)
		futex(r, OP_FUTEX_WAIT, flags, words, 7,
		      i == 3   ? 4
		      : i == 2 ? 2
			       : ~0u,
		      (uint64_t)i);
	tell(r, "three wait", 3, 0);
	futex(r, OP_FUTEX_WAKE, flags, words, 1, 4, 5);
	tell(r, "one of that bit", 1, 2);
	futex(r, OP_FUTEX_WAKE, flags, words, 0, 4, 6);
	tell(r, "none", 1, 1);
	futex(r, OP_FUTEX_WAKE, flags, words, 9, 4, 7);
	tell(r, "all of that bit", 1, 2);
	printf("by the call %ld", wake(words, by_call, 5));
	printf(" again %ld\n", wake(words, by_call, 5));
	tell(r, "then", 0, 1);
	futex(r, OP_FUTEX_WAIT, flags, words, 7, ~0u, 8);
	futex(r, OP_FUTEX_WAIT, flags, words, 7, ~0u, 9);
	tell(r, "two wait", 2, 0);
	next(r, IORING_OP_ASYNC_CANCEL, -1, (void *)8, 0, 0, 10);
	tell(r, "called off", 1, 2);
	printf("moved %ld", result(syscall(__NR_futex, words, 3 | by_call, 0, 4, words + 1, 0)));
	printf(" left %ld there %ld\n", wake(words, by_call, 5), wake(words + 1, by_call, 5));
	tell(r, "moved", 0, 1);
	futex(r, OP_FUTEX_WAIT, flags, words, 7, ~0u, 11)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 12);
	tell(r, "linked", 2, 0);
	futex(r, OP_FUTEX_WAKE, flags, words, 1, ~0u, 13);
	tell(r, "both", 1, 3);
}

static void wrong(struct ring *r)
{
	struct {
		unsigned flags;
		void *addr;
		uint64_t value, mask;
	} all[] = {
		{ SIZE_U32, words, 7, 0 },
		{ 0, words, 7, 1 },
		{ 3, words, 7, 1 },
		{ SIZE_U32 | 64, words, 7, 1 },
		{ SIZE_U32, words, 1ull << 32, 1 },
		{ SIZE_U32, words, 7, 1ull << 32 },
		{ SIZE_U32, (char *)words + 1, 7, 1 },
		{ SIZE_U32, (void *)8, 7, 1 },
		{ SIZE_U32 | PRIVATE, (void *)8, 7, 1 },
		{ SIZE_U32 | PRIVATE, (void *)-8, 7, 1 },
		{ SIZE_U32, words, 8, 1 },
	};
	for (int op = OP_FUTEX_WAIT; op <= OP_FUTEX_WAKE; op++)
		for (int i = 0; i < (int)(sizeof all / sizeof *all); i++) {
			futex(r, op, all[i].flags, all[i].addr, all[i].value, all[i].mask, 1);
			next(r, IORING_OP_NOP, -1, NULL, 0, 0, 2);
			tell(r, "wrong", 2, 0);
			enter(r, 1, 0, 0);
			tell(r, "  more", 0, 0);
		}
	for (int field = 0; field < 5; field++)
		for (int op = OP_FUTEX_WAIT; op <= OP_FUTEX_WAITV; op++) {
			struct io_uring_sqe *e =
				futex(r, op, op == OP_FUTEX_WAITV ? 0 : SIZE_U32, words, 8, 1, 1);
			if (field == 0)
				e->len = 1;
			else if (field == 1)
				e->rw_flags = 1;
			else if (field == 2)
				e->buf_index = 1;
			else if (field == 3)
				e->file_index = 1;
			else
				e->flags = IOSQE_FIXED_FILE;
			tell(r, "field", 1, 0);
		}
}

static struct io_uring_sqe *many(struct ring *r, struct waiter *at, unsigned count, uint64_t data)
{
	return next(r, OP_FUTEX_WAITV, 0, at, count, 0, data);
}

static void several(struct ring *r, unsigned flags)
{
	struct waiter w[3];

	for (int i = 0; i < 3; i++) {
		words[i] = 7;
		w[i] = (struct waiter){ 7, (uintptr_t)(words + i), flags, 0 };
	}
	many(r, w, 3, 1);
	tell(r, "several", 1, 0);
	w[2].addr = 8;
	printf("woken %ld", wake(words + 2, (int)(flags & PRIVATE), 1));
	printf(" others %ld\n", wake(words, (int)(flags & PRIVATE), 1));
	tell(r, "which", 0, 1);
	many(r, w, 3, 2);
	tell(r, "nowhere", 1, 1);
	w[2].addr = (uintptr_t)(words + 2);
	w[1].value = 8;
	many(r, w, 3, 3);
	tell(r, "another value", 1, 1);
	w[1].reserved = 1;
	many(r, w, 3, 4);
	tell(r, "reserved", 1, 1);
	many(r, w, 1, 5);
	many(r, w, 1, 6);
	next(r, IORING_OP_ASYNC_CANCEL, -1, (void *)5, 0, 0, 7);
	tell(r, "called off", 3, 2);
	many(r, w, 0, 8);
	tell(r, "none", 1, 1);
	many(r, w, 129, 9);
	tell(r, "too many", 1, 1);
	many(r, (void *)8, 1, 10);
	tell(r, "no list", 1, 1);
	futex(r, OP_FUTEX_WAKE, flags, words, 1, ~0u, 11);
	tell(r, "the other", 1, 2);
}

static void *waits(void *arg)
{
	return (void *)result(syscall(__NR_futex, words, 128, *(int *)arg, NULL, NULL, 0));
}

static void sleepy(void) { usleep(30000); }

// Requests and tasks are woken in the order in which they came.
static void in_line(struct ring *r)
{
	pthread_t thread[2];
	int seven = 7;

	words[0] = 7;
	futex(r, OP_FUTEX_WAIT, SIZE_U32 | PRIVATE, words, 7, ~0u, 1);
	enter(r, 1, 0, 0);
	pthread_create(thread, NULL, waits, &seven);
	until_in(tid_of(thread[0]), SYS_futex);
	futex(r, OP_FUTEX_WAIT, SIZE_U32 | PRIVATE, words, 7, ~0u, 2);
	enter(r, 1, 0, 0);
	pthread_create(thread + 1, NULL, waits, &seven);
	until_in(tid_of(thread[1]), SYS_futex);
	for (int i = 0; i < 4; i++) {
		printf("woken %ld", wake(words, 128, 1));
		if (i & 1)
			pthread_join(thread[i / 2], NULL);
		tell(r, "", 0, 0);
	}
	pthread_create(thread, NULL, waits, &seven);
	until_in(tid_of(thread[0]), SYS_futex);
	futex(r, OP_FUTEX_WAKE, SIZE_U32 | PRIVATE, words, 5, ~0u, 3);
	tell(r, "a task", 1, 1);
	pthread_join(thread[0], NULL);
}

// A ring's memory may be shared; what a task has asked for is called off when it ends.
static void ends(struct ring *r)
{
	int p[2];
	pipe(p);
	words[0] = 7;
	pid_t child = fork();
	if (!child) {
		futex(r, OP_FUTEX_WAIT, SIZE_U32, words, 7, ~0u, 1);
		futex(r, OP_FUTEX_WAIT, SIZE_U32 | PRIVATE, words, 7, ~0u, 2);
		next(r, IORING_OP_POLL_ADD, p[0], NULL, 0, 0, 3)->poll32_events = 1;
		next(r, IORING_OP_READ, p[0], words + 9, 1, 0, 4);
		enter(r, 4, 0, 0);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	sleepy();
	show(r, "of a child that has ended");
	printf("woken %ld\n", wake(words, 0, 5));
	close(p[0]);
	close(p[1]);
}

static void *asks(void *arg)
{
	struct ring *r = arg;

	futex(r, OP_FUTEX_WAIT, SIZE_U32 | PRIVATE, words, 7, ~0u, 1);
	enter(r, 1, 0, 0);
	return NULL;
}

static void of_threads(struct ring *r)
{
	pthread_t thread;

	pthread_create(&thread, NULL, asks, r);
	pthread_join(thread, NULL);
	sleepy();
	show(r, "of a thread that has ended");
	printf("woken %ld\n", wake(words, 128, 5));
}

int main(void)
{
	struct ring r;

	setvbuf(stdout, NULL, _IONBF, 0);
	words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	open_ring(&r, 0);
	ones(&r, SIZE_U32);
	several(&r, SIZE_U32);
	ones(&r, SIZE_U32 | PRIVATE);
	several(&r, SIZE_U32 | PRIVATE);
	wrong(&r);
	in_line(&r);
	of_threads(&r);
	ends(&r);
	return 0;
}
