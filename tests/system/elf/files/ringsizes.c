// Rings get another size, and memory that waits are told in.
#define _GNU_SOURCE
#include "newrings.h"
#include <signal.h>

#define RESIZE 33
#define REGION 34
#define WAITS 1ull
#define USERS 1u
#define PLACE 0x20000000ull
#define DEFERRED (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER)
#define EXT_ARG_REG 64u

struct region {
	uint64_t addr, size;
	uint32_t flags, id;
	uint64_t mmap_offset, reserved[4];
};
struct registered {
	uint64_t region, flags, reserved[2];
};
struct wait {
	struct __kernel_timespec ts;
	uint32_t min_us, flags;
	uint64_t mask;
	uint32_t mask_bytes, pad[3];
	uint64_t pad2[2];
};

static long resize(struct ring *r, unsigned sq, unsigned cq, unsigned flags)
{
	struct io_uring_params p = { .sq_entries = sq, .cq_entries = cq, .flags = flags };
	long done = reg(r, RESIZE, &p, 1);

	if (done)
		return done;
	printf("[%u %u %x %x %u] ", p.sq_entries, p.cq_entries, p.flags, p.features,
	       p.sq_off.array);
	r->p.sq_entries = p.sq_entries;
	r->p.cq_entries = p.cq_entries;
	r->p.sq_off.array = (r->p.cq_off.cqes + p.cq_entries * 16 + 63) / 64 * 64;
	return 0;
}

static void look(struct ring *r)
{
	size_t bytes = r->p.sq_off.array + r->p.sq_entries * 4;

	r->rings = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->cqs = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		       r->fd, IORING_OFF_SQES);
	for (unsigned i = 0; i < r->p.sq_entries; i++)
		word(r->rings, r->p.sq_off.array)[i] = i;
}

static void told(struct ring *r, const char *what)
{
	printf("%s: %u %u flags %x sq %u-%u cq %u-%u dropped %u over %u mask %u %u\n", what,
	       r->p.sq_entries, r->p.cq_entries, r->p.flags, *word(r->rings, r->p.sq_off.head),
	       *word(r->rings, r->p.sq_off.tail), *word(r->cqs, r->p.cq_off.head),
	       *word(r->cqs, r->p.cq_off.tail), *word(r->rings, r->p.sq_off.dropped),
	       *word(r->cqs, r->p.cq_off.overflow), *word(r->rings, r->p.sq_off.ring_mask),
	       *word(r->cqs, r->p.cq_off.ring_mask));
}

static void sizes(void)
{
	struct ring r, old;

	open_ring(&r, 0);
	printf("not deferred %ld\n", resize(&r, 32, 0, 0));
	open_ring(&r, DEFERRED);
	printf("wrong %ld %ld %ld %ld %ld %ld\n", resize(&r, 0, 0, 0), resize(&r, 40000, 0, 0),
	       resize(&r, 32, 0, IORING_SETUP_SQPOLL), resize(&r, 32, 16, IORING_SETUP_CQSIZE),
	       reg(&r, RESIZE, NULL, 1), reg(&r, RESIZE, (void *)8, 1));
	printf("nr %ld\n", reg(&r, RESIZE, &r.p, 2));
	old = r;
	for (int i = 0; i < 12; i++) {
		next(&r, IORING_OP_NOP, -1, NULL, 0, 0, (uint64_t)i);
		enter(&r, 1, 0, IORING_ENTER_GETEVENTS);
	}
	next(&r, IORING_OP_NOP, -1, NULL, 0, 0, 50);
	next(&r, IORING_OP_NOP, -1, NULL, 0, 0, 51);
	printf("too small %ld %ld\n", resize(&r, 1, 0, 0), resize(&r, 2, 8, IORING_SETUP_CQSIZE));
	printf("more %ld\n", resize(&r, 60, 0, 0));
	told(&old, "old");
	look(&r);
	told(&r, "new");
	tell(&r, "what was there", 2, 2);
	told(&r, "new");
	told(&old, "old");
	printf("less %ld\n", resize(&r, 2, 4, IORING_SETUP_CQSIZE));
	look(&r);
	told(&r, "least");
	printf("clamped %ld", resize(&r, 100000, 0, IORING_SETUP_CLAMP));
	printf(" %u %u\n", r.p.sq_entries, r.p.cq_entries);
	close(r.fd);
}

static long region(struct ring *r, struct region *d, uint64_t flags)
{
	struct registered a = { .region = (uintptr_t)d, .flags = flags };

	return reg(r, REGION, &a, 1);
}

static void wrong_regions(void)
{
	char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct region all[] = {
		{ 0, 0 },
		{ 0, 100 },
		{ 0, 4096, 2 },
		{ 0, 4096, 0, 1 },
		{ 0, 4096, 0, 0, 4096 },
		{ 0, 4096, 0, 0, 0, { 1 } },
		{ (uintptr_t)memory, 4096, 0 },
		{ 0, 4096, USERS },
		{ (uintptr_t)memory + 8, 4096, USERS },
		{ 4096, 4096, USERS },
		{ -4096ull, 4096, USERS },
		{ -4096ull, 8192, USERS },
		{ 0, 1ull << 44 },
	};
	struct registered a = { .region = (uintptr_t)all };
	struct ring r;

	open_ring(&r, IORING_SETUP_R_DISABLED);
	for (int i = 0; i < (int)(sizeof all / sizeof *all); i++)
		printf("%s%ld", i ? " " : "regions ", region(&r, all + i, 0));
	printf("\nflags %ld nowhere %ld", region(&r, all, 2), region(&r, (void *)8, 0));
	printf(" nr %ld none %ld\n", reg(&r, REGION, &a, 2), reg(&r, REGION, NULL, 1));
	a.reserved[1] = 1;
	printf("reserved %ld", reg(&r, REGION, &a, 1));
	struct region good = { 0, 8192 };
	printf(" good %ld", region(&r, &good, 0));
	printf(" at %llx", (unsigned long long)good.mmap_offset);
	good.mmap_offset = 0;
	printf(" again %ld\n", region(&r, &good, 0));
	char *seen = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, PLACE);
	printf("mapped %d %d\n", seen != MAP_FAILED, seen[8191]);
	close(r.fd);
	open_ring(&r, 0);
	printf("enabled %ld", region(&r, &good, WAITS));
	printf(" else %ld", region(&r, &good, 0));
	printf(" no place %d\n",
	       mmap(NULL, 4096, PROT_READ, MAP_SHARED, r.fd, 0x28000000) == MAP_FAILED);
	close(r.fd);
}

static long wait_by(struct ring *r, unsigned long at, size_t bytes, unsigned wanted)
{
	return result(syscall(__NR_io_uring_enter, r->fd, 0, wanted,
			      IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | EXT_ARG_REG, at,
			      bytes));
}

static void waits(unsigned flags)
{
	struct ring r;
	char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct region d = { flags ? (uintptr_t)memory : 0, 4096, flags };

	open_ring(&r, IORING_SETUP_R_DISABLED);
	printf("region %ld", region(&r, &d, WAITS));
	printf(" enable %ld\n", reg(&r, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
	if (!flags)
		memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, PLACE);
	struct wait *w = (struct wait *)(memory + 64);
	w->ts.tv_nsec = 1000000;
	w->flags = 1;
	printf("wait %ld", wait_by(&r, 64, 64, 1));
	w->flags = 2;
	printf(" flags %ld", wait_by(&r, 64, 64, 1));
	w->flags = 1;
	printf(" size %ld place %ld far %ld over %ld", wait_by(&r, 64, 32, 1),
	       wait_by(&r, 4, 64, 1), wait_by(&r, 4096, 64, 1), wait_by(&r, 4040, 64, 1));
	w->ts.tv_nsec = -1;
	printf(" time %ld", wait_by(&r, 64, 64, 1));
	w->ts.tv_nsec = 1000000000;
	printf(" %ld", wait_by(&r, 64, 64, 1));
	w->ts.tv_nsec = 1000000;
	w->mask = 8;
	w->mask_bytes = 8;
	printf(" mask %ld", wait_by(&r, 64, 64, 1));
	w->mask_bytes = 4;
	printf(" %ld", wait_by(&r, 64, 64, 1));
	w->mask = 0;
	next(&r, IORING_OP_NOP, -1, NULL, 0, 0, 7);
	enter(&r, 1, 0, 0);
	printf(" there %ld", wait_by(&r, 64, 64, 1));
	w->min_us = 100;
	w->ts.tv_sec = 1000;
	printf(" least %ld\n", wait_by(&r, 64, 64, 2));
	close(r.fd);
}

static void attributes(void)
{
	struct ring r;
	int p[2];
	uint64_t pi[4] = { 0 };
	struct {
		uint64_t at, mask;
	} all[] = { { (uintptr_t)pi, 1 }, { 8, 1 }, { (uintptr_t)pi, 2 }, { (uintptr_t)pi, 0 } };

	if (pipe(p))
		return;
	open_ring(&r, 0);
	for (int i = 0; i < 4; i++) {
		struct io_uring_sqe *e = next(&r, IORING_OP_WRITE, p[1], "abc", 3, 0, 1);

		e->addr3 = all[i].at;
		e->__pad2[0] = all[i].mask;
		next(&r, IORING_OP_NOP, -1, NULL, 0, 0, 2);
		tell(&r, "attributes", 2, 0);
		enter(&r, 1, 0, 0);
		tell(&r, " more", 0, 0);
	}
	close(r.fd);
}

int main(void)
{
	struct ring none;

	setvbuf(stdout, NULL, _IONBF, 0);
	sizes();
	wrong_regions();
	waits(0);
	waits(USERS);
	open_ring(&none, 0);
	printf("no region %ld\n", wait_by(&none, 0, 64, 1));
	attributes();
	return 0;
}
