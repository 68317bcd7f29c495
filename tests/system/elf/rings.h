// An io_uring by its three calls: how one is made, filled, entered, and its completions shown.
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE 16

struct ring {
	int fd;
	struct io_uring_params p;
	char *rings, *cqs;
	struct io_uring_sqe *sqes;
};

static inline long result(long value) { return value < 0 ? -errno : value; }

static inline long setup(unsigned entries, struct io_uring_params *p)
{
	return result(syscall(__NR_io_uring_setup, entries, p));
}

static inline long enter(struct ring *r, unsigned submit, unsigned wait, unsigned flags)
{
	return result(syscall(__NR_io_uring_enter, r->fd, submit, wait, flags, NULL, 0));
}

static inline long reg(struct ring *r, unsigned op, void *arg, unsigned nr)
{
	return result(syscall(__NR_io_uring_register, r->fd, op, arg, nr));
}

static inline uint32_t *word(char *base, uint32_t at) { return (uint32_t *)(base + at); }

static inline void open_ring(struct ring *r, unsigned flags)
{
	memset(r, 0, sizeof(*r));
	r->p.flags = flags;
	r->fd = (int)setup(SIZE, &r->p);
	size_t bytes = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
	size_t sq_bytes = r->p.sq_off.array + r->p.sq_entries * 4;
	bytes = bytes > sq_bytes ? bytes : sq_bytes;
	r->rings = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
			IORING_OFF_SQ_RING);
	r->cqs = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, SIZE * sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		       IORING_OFF_SQES);
	if (r->rings == MAP_FAILED || r->cqs == MAP_FAILED || r->sqes == MAP_FAILED)
		printf("no rings\n");
}

static inline struct io_uring_sqe *next(struct ring *r, int op, int fd, const void *addr,
					unsigned len, uint64_t off, uint64_t data)
{
	uint32_t *tail = word(r->rings, r->p.sq_off.tail), at = *tail & (SIZE - 1);
	struct io_uring_sqe *e = &r->sqes[at];

	memset(e, 0, sizeof(*e));
	e->opcode = (uint8_t)op;
	e->fd = fd;
	e->addr = (uintptr_t)addr;
	e->len = len;
	e->off = off;
	e->user_data = data;
	word(r->rings, r->p.sq_off.array)[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	return e;
}

static inline int by_data(const void *a, const void *b)
{
	const struct io_uring_cqe *x = a, *y = b;

	return x->user_data < y->user_data ? -1 : x->user_data > y->user_data;
}

// Take all completions that are there, and print them.
static inline void show(struct ring *r, const char *what)
{
	uint32_t *head = word(r->cqs, r->p.cq_off.head), *tail = word(r->cqs, r->p.cq_off.tail);
	struct io_uring_cqe *cqes = (void *)(r->cqs + r->p.cq_off.cqes), found[64];
	int nr = 0;

	while (*head != __atomic_load_n(tail, __ATOMIC_ACQUIRE)) {
		found[nr++] = cqes[*head & (r->p.cq_entries - 1)];
		__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	}
	qsort(found, (size_t)nr, sizeof(*found), by_data);
	printf("%s:", what);
	for (int i = 0; i < nr; i++)
		printf(" %llu=%d", (unsigned long long)found[i].user_data, found[i].res);
	printf("\n");
}

// Submit what was prepared, wait for so many ends, and print them.
static inline void run(struct ring *r, const char *what, unsigned submit, unsigned wait)
{
	long taken = enter(r, submit, wait, IORING_ENTER_GETEVENTS);

	if (taken != submit)
		printf("(%ld taken) ", taken);
	show(r, what);
}
