// Rings get another size, entries of another size, or the program's own memory; and memory that
// waits are told in.
#define _GNU_SOURCE
#include "newrings.h"
#include <signal.h>
#include <sys/wait.h>

#define RESIZE 33
#define REGION 34
#define WAITS 1ull
#define USERS 1u
#define PLACE 0x20000000ull
#define DEFERRED (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER)
#define EXT_ARG_REG 64u
#define NO_MMAP (1u << 14)
#define FD_ONLY (1u << 15)
#define MIXED (1u << 18)
#define LARGE 32 // of a NOP: two numbers more in its completion

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

// Rings whose entries, completions or memory are of another kind; at: the program's memory, or NULL.
static void open_kind(struct ring *r, unsigned flags, unsigned cq_entries, char *entries,
		      char *rings)
{
	memset(r, 0, sizeof(*r));
	r->p.flags = flags | (cq_entries ? IORING_SETUP_CQSIZE : 0);
	r->p.cq_entries = cq_entries;
	memcpy((char *)&r->p + 72, &entries, 8);
	memcpy((char *)&r->p + 112, &rings, 8);
	r->fd = (int)setup(4, &r->p);
	printf("%x: %d %u %u array %u cqes %u kept %d %d\n", flags, r->fd < 0 ? r->fd : 0,
	       r->p.sq_entries, r->p.cq_entries, r->p.sq_off.array, r->p.cq_off.cqes,
	       entries && !memcmp((char *)&r->p + 72, &entries, 8),
	       rings && !memcmp((char *)&r->p + 112, &rings, 8));
	r->rings = rings ?: mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	r->cqs = r->rings;
	r->sqes = entries ? (void *)entries
			  : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
				 IORING_OFF_SQES);
}

static void ask(struct ring *r, unsigned flags, unsigned data, int fd, int res)
{
	uint32_t *tail = word(r->rings, r->p.sq_off.tail), at = *tail & (r->p.sq_entries - 1);
	struct io_uring_sqe *e = r->sqes + (r->p.flags & IORING_SETUP_SQE128 ? 2 * at : at);

	memset(e, 0, sizeof(*e));
	e->fd = fd;
	e->user_data = data;
	e->rw_flags = (int)flags;
	e->off = 1000 + data;
	e->addr = 2000 + data;
	e->len = (unsigned)res;
	word(r->rings, r->p.sq_off.array)[at] = at;
	++*tail;
}

// Let so many entries begin; what is in the ring of completions, with `taken` of them taken.
static void show_kind(struct ring *r, const char *what, unsigned submit, unsigned taken)
{
	uint64_t *c = (uint64_t *)(r->rings + r->p.cq_off.cqes);
	int numbers = r->p.flags & IORING_SETUP_CQE32 ? 4 : 2;

	*word(r->rings, r->p.cq_off.head) = taken;
	printf("%s %ld:", what, enter(r, submit, 0, IORING_ENTER_GETEVENTS));
	printf(" %u-%u flags %x", *word(r->rings, r->p.cq_off.head),
	       *word(r->rings, r->p.cq_off.tail), *word(r->rings, r->p.sq_off.flags));
	for (unsigned i = 0; i < r->p.cq_entries; i++, c += numbers) {
		printf(" %llu=%llx", (unsigned long long)c[0], (unsigned long long)c[1]);
		if (numbers == 4)
			printf(" %llu %llu", (unsigned long long)c[2], (unsigned long long)c[3]);
	}
	printf("\n");
}

static void kinds(void)
{
	struct ring r;

	open_kind(&r, IORING_SETUP_CQE32 | MIXED, 0, NULL, NULL);
	open_kind(&r, FD_ONLY, 0, NULL, NULL);
	open_kind(&r, MIXED, 1, NULL, NULL);
	open_kind(&r, IORING_SETUP_SQE128, 0, NULL, NULL);
	ask(&r, 0, 1, -1, 0);
	ask(&r, 1, 2, -1, 7);
	ask(&r, LARGE, 3, -1, 0);
	show_kind(&r, "large entries", 3, 0);
	open_kind(&r, IORING_SETUP_CQE32 | IORING_SETUP_SQE128, 4, NULL, NULL);
	ask(&r, LARGE | 1, 1, -1, -7);
	ask(&r, LARGE | 2, 2, 99, 0);
	ask(&r, 16, 3, -1, 0);
	ask(&r, LARGE, 4, -1, 0);
	show_kind(&r, "large completions", 4, 0);
	ask(&r, LARGE, 5, -1, 0);
	ask(&r, 0, 6, -1, 0);
	show_kind(&r, "no room", 2, 0);
	show_kind(&r, "room", 0, 3);
	open_kind(&r, MIXED, 4, NULL, NULL);
	ask(&r, LARGE, 1, -1, 0);
	ask(&r, 0, 2, -1, 0);
	show_kind(&r, "both", 2, 0);
	ask(&r, LARGE, 3, -1, 0);
	show_kind(&r, "round", 1, 3);
	ask(&r, LARGE, 4, -1, 0);
	show_kind(&r, "no room", 1, 3);
	show_kind(&r, "room", 0, 4);
	open_kind(&r, IORING_SETUP_SQE128 | DEFERRED, 4, NULL, NULL);
	ask(&r, 0, 1, -1, 0);
	show_kind(&r, "before", 1, 0);
	ask(&r, 0, 2, -1, 0);
	printf("resized %ld\n", resize(&r, 8, 0, 0));
	r.rings = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	word(r.rings, r.p.sq_off.array)[1] = 1;
	show_kind(&r, "after", 1, 0);
}

static int error(void *at) { return at == MAP_FAILED ? errno : 0; }

static void own_memory(int shared)
{
	int kind = shared ? MAP_SHARED : MAP_PRIVATE;
	char *m = mmap(NULL, 32768, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);
	char *mine = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ring r;

	memset(m, 0x55, 16384);
	open_kind(&r, NO_MMAP, 4, m, m + 4096);
	printf("mapped %d %d", error(mmap(NULL, 4096, PROT_READ, MAP_SHARED, r.fd, 0)),
	       error(mmap(NULL, 4096, PROT_READ, MAP_SHARED, r.fd, IORING_OFF_SQES)));
	printf(" %d\n", error(mmap(mine, 4096, PROT_READ, MAP_SHARED, r.fd, 0)));
	ask(&r, 0, 1, -1, 0);
	show_kind(&r, "in memory", 1, 0);
	if (!fork()) {
		ask(&r, 0, 2, -1, 0);
		show_kind(&r, "the child's", 1, 0);
		_exit(0);
	}
	wait(NULL);
	show_kind(&r, "the parent's", 0, 0);
	ask(&r, 0, 3, -1, 0);
	show_kind(&r, "the parent's", 1, 0);
	open_kind(&r, NO_MMAP | DEFERRED, 4, m + 8192, m + 12288);
	ask(&r, 0, 1, -1, 0);
	show_kind(&r, "before", 1, 0);
	ask(&r, 0, 2, -1, 0);
	struct io_uring_params p = { .sq_entries = 8 };
	printf("nowhere %ld", reg(&r, RESIZE, &p, 1));
	char *there[] = { m + 16384, m + 20480 };
	memcpy((char *)&p + 72, &there[0], 8);
	memcpy((char *)&p + 112, &there[1], 8);
	printf(" resized %ld %x\n", reg(&r, RESIZE, &p, 1), p.flags);
	r.rings = there[1];
	r.p.sq_off.array = 64 + 16 * 16;
	word(r.rings, r.p.sq_off.array)[1] = 1;
	show_kind(&r, "after", 1, 0);
	if (shared)
		return;
	struct {
		char *entries, *rings;
	} wrong[] = { { NULL, NULL },
		      { m, NULL },
		      { NULL, m },
		      { m + 64, m + 4096 },
		      { m, m + 4096 + 64 },
		      { mine, mine + 4096 },
		      { (void *)4096, m },
		      { (void *)-4096, m },
		      { m, (void *)-8192 },
		      { m + 28672, m },
		      { m + 28672 + 4096, m } };
	for (int i = 0; i < (int)(sizeof wrong / sizeof *wrong); i++) {
		struct io_uring_params q = { .flags = NO_MMAP };
		memcpy((char *)&q + 72, &wrong[i].entries, 8);
		memcpy((char *)&q + 112, &wrong[i].rings, 8);
		long made = setup(100, &q);
		printf("%s%ld", i ? " " : "wrong ", made < 0 ? made : 0);
	}
	struct io_uring_params q = { .flags = NO_MMAP | FD_ONLY };
	memcpy((char *)&q + 72, &m, 8);
	memcpy((char *)&q + 112, &there[0], 8);
	printf("\nwithout a descriptor %ld", setup(4, &q));
	printf(" %ld", setup(4, &q));
	r.fd = 1;
	printf(" entered %ld\n", enter(&r, 0, 0, IORING_ENTER_REGISTERED_RING));
}

static void places(void)
{
	struct ring r;

	open_ring(&r, 0);
	char *at = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("places %d %d", error(mmap(at, 4096, 1, MAP_SHARED, r.fd, 0)),
	       error(mmap(at, 4096, 1, MAP_SHARED | MAP_FIXED, r.fd, 0x28000000)));
	printf(" %d %d\n", error(mmap(NULL, 4096, 1, MAP_SHARED, r.fd, 0x28000000)),
	       error(mmap(NULL, 4096, 5, MAP_SHARED, r.fd, 0)));
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
	kinds();
	own_memory(0);
	own_memory(1);
	places();
	return 0;
}
