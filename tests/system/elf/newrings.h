// What io_uring has that older headers do not name, and completions shown with their flags.
#include "rings.h"

#define ANY_SLOT 0xffffffffu
enum {
	OP_READ_MULTISHOT = 49,
	OP_WAITID,
	OP_FUTEX_WAIT,
	OP_FUTEX_WAKE,
	OP_FUTEX_WAITV,
	OP_FIXED_FD_INSTALL,
	OP_BIND = 56,
	OP_EPOLL_WAIT = 59,
	OP_READV_FIXED,
	OP_WRITEV_FIXED,
	OP_PIPE,
};

struct rsrc_register {
	uint32_t nr, flags;
	uint64_t resv2, data, tags;
};

struct rsrc_update2 {
	uint32_t offset, resv;
	uint64_t data, tags;
	uint32_t nr, resv2;
};

struct ended {
	unsigned long long data;
	int res;
	unsigned flags;
};

// Take the next completion.
static inline struct ended take(struct ring *r, unsigned submit)
{
	enter(r, submit, 1, IORING_ENTER_GETEVENTS);
	uint32_t *head = word(r->cqs, r->p.cq_off.head);
	struct io_uring_cqe *cqes = (void *)(r->cqs + r->p.cq_off.cqes);
	struct io_uring_cqe *c = &cqes[*head & (r->p.cq_entries - 1)];
	struct ended found = { c->user_data, c->res, c->flags };

	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return found;
}

static inline long one(struct ring *r, unsigned submit) { return take(r, submit).res; }

// Submit, wait for so many ends, and print all in their order, with their flags.
static inline void tell(struct ring *r, const char *what, unsigned submit, unsigned wait)
{
	long taken = enter(r, submit, wait, IORING_ENTER_GETEVENTS);
	uint32_t *head = word(r->cqs, r->p.cq_off.head), *tail = word(r->cqs, r->p.cq_off.tail);
	struct io_uring_cqe *cqes = (void *)(r->cqs + r->p.cq_off.cqes);

	if (taken != submit)
		printf("(%ld taken) ", taken);
	printf("%s:", what);
	while (*head != __atomic_load_n(tail, __ATOMIC_ACQUIRE)) {
		struct io_uring_cqe *c = &cqes[*head & (r->p.cq_entries - 1)];

		printf(" %llu=%d", (unsigned long long)c->user_data, c->res);
		if (c->flags)
			printf("/%x", c->flags);
		__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	}
	printf("\n");
}
