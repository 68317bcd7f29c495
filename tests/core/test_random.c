/*
 * test_random.c - random calls of several tasks on a few files, with memory
 * refused now and then; every invariant holds after each call.
 *
 * The seed is fixed, so a failure comes back: its step and call are printed.
 */
#include "harness.h"

#ifndef SEED_OFFSET /* -DSEED_OFFSET=n: other runs */
#define SEED_OFFSET 0
#endif
#define STEPS 600
#define SPAN 24 /* pages that the calls fall on */

static const uint64_t base = 0x40000000 - PAGES(12); /* across two tables */

struct chooser {
	struct world *w;
	uint32_t seed;
	mm *mm;
	file *file;
	uint64_t addr, nr, pgoff;
};

static uint64_t pick(struct chooser *c, uint64_t below)
{
	c->seed = c->seed * 1664525u + 1013904223u;
	return (c->seed >> 8) % below;
}

static void choose(struct chooser *c)
{
	uint64_t i = pick(c, NR_MMS);
	c->mm = c->w->mms[i] ? c->w->mms[i] : c->w->mm;
	c->file = c->w->files[pick(c, c->w->nr_files)];
	c->addr = base + PAGES(pick(c, SPAN));
	c->nr = 1 + pick(c, 5);
	c->pgoff = pick(c, 12);
}

static void call_mmap_anon(struct chooser *c)
{
	uint64_t kind = pick(c, 3) ? MAP_PRIVATE : MAP_SHARED;
	mm_mmap(c->mm, c->addr, PAGES(c->nr), pick(c, 8), kind | MAP_ANONYMOUS | MAP_FIXED, NULL,
		0);
}

static void call_mmap_file(struct chooser *c)
{
	uint64_t kind = pick(c, 2) ? MAP_PRIVATE : MAP_SHARED;
	mm_mmap(c->mm, c->addr, PAGES(c->nr), pick(c, 4), kind | MAP_FIXED, c->file, c->pgoff);
}

static void call_mmap_special(struct chooser *c)
{
	mm_mmap(c->mm, c->addr, PAGES(c->nr), pick(c, 4), MAP_SHARED | MAP_NONLINEAR | MAP_FIXED,
		NULL, 0);
}

static void call_munmap(struct chooser *c) { mm_munmap(c->mm, c->addr, PAGES(c->nr)); }

static void call_mprotect(struct chooser *c)
{
	mm_mprotect(c->mm, c->addr, PAGES(c->nr), pick(c, 4), -1);
}

static void call_mremap(struct chooser *c)
{
	static const uint64_t flags[] = { 0, MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED,
					  MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP };
	uint64_t how = flags[pick(c, 4)], to = base + PAGES(pick(c, SPAN));
	uint64_t new_len = how & MREMAP_DONTUNMAP ? c->nr : 1 + pick(c, 5);
	mm_mremap(c->mm, c->addr, PAGES(pick(c, 10) ? c->nr : 0), PAGES(new_len), how, to);
}

static void call_remap(struct chooser *c)
{
	machine_tunables(c->w->m)->nonlinear_emulated = !pick(c, 6);
	SERVED(c->w, mm_remap_file_pages(c->mm, c->addr, PAGES(c->nr), 0, c->pgoff,
					 pick(c, 2) ? MAP_NONBLOCK : 0, c->file));
}

static void call_madvise(struct chooser *c)
{
	static const uint64_t kinds[] = { MADV_DONTNEED,   MADV_REMOVE,        MADV_WIPEONFORK,
					  MADV_KEEPONFORK, MADV_DONTFORK,      MADV_DOFORK,
					  MADV_COLD,       MADV_POPULATE_WRITE };
	uint64_t advice = kinds[pick(c, 8)];
	SERVED(c->w, mm_madvise(c->mm, c->addr, PAGES(c->nr), advice));
}

static void call_mlock(struct chooser *c)
{
	if (pick(c, 2))
		mm_mlock(c->mm, c->addr, PAGES(c->nr), 0);
	else
		mm_munlock(c->mm, c->addr, PAGES(c->nr));
}

static void call_truncate(struct chooser *c)
{
	mapping_truncate(c->file->mapping, pick(c, PAGES(16)));
}

static void call_punch(struct chooser *c)
{
	mapping_punch(c->file->mapping, PAGES(c->pgoff) + pick(c, 100), PAGES(c->pgoff + c->nr));
}

static void call_write(struct chooser *c)
{
	char data[6000];
	memset(data, (int)pick(c, 256), sizeof(data));
	SERVED(c->w, mapping_write(c->file->mapping, pick(c, PAGES(12)), data, sizeof(data)));
}

static void call_writeback(struct chooser *c)
{
	uint64_t dirty[4];
	written(c->file, c->pgoff, INDEX_MAX, dirty, 4);
}

static void call_fork(struct chooser *c)
{
	uint64_t slot = 1 + pick(c, NR_MMS - 1);
	mm *child;
	if (c->w->mms[slot]) {
		mm_destroy(c->w->mms[slot]);
		c->w->mms[slot] = NULL;
	} else if (mm_fork(c->mm, &c->w->limits, &child) == 0) {
		c->w->mms[slot] = child;
	}
}

static void call_store(struct chooser *c)
{
	SERVED(c->w, user_touch(c->mm, c->addr + 5, PAGES(c->nr), ACCESS_WRITE));
}

static void call_load(struct chooser *c)
{
	SERVED(c->w, user_touch(c->mm, c->addr, PAGES(c->nr), ACCESS_READ));
}

static const struct {
	const char *name;
	void (*call)(struct chooser *c);
	uint64_t weight;
} calls[] = {
	{ "mmap anon", call_mmap_anon, 4 },
	{ "mmap file", call_mmap_file, 6 },
	{ "mmap special", call_mmap_special, 2 },
	{ "munmap", call_munmap, 3 },
	{ "mprotect", call_mprotect, 4 },
	{ "mremap", call_mremap, 4 },
	{ "remap", call_remap, 8 },
	{ "madvise", call_madvise, 3 },
	{ "mlock", call_mlock, 1 },
	{ "truncate", call_truncate, 2 },
	{ "punch", call_punch, 1 },
	{ "write", call_write, 2 },
	{ "writeback", call_writeback, 1 },
	{ "fork", call_fork, 2 },
	{ "store", call_store, 8 },
	{ "load", call_load, 6 },
};
#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

static uint64_t pick_call(struct chooser *c)
{
	uint64_t total = 0, at = 0;
	for (uint64_t i = 0; i < NR_CALLS; i++)
		total += calls[i].weight;
	for (uint64_t left = pick(c, total); left >= calls[at].weight; at++)
		left -= calls[at].weight;
	return at;
}

static void run(struct world *w, uint32_t seed, uint64_t refuse_one_in)
{
	struct chooser c = { .w = w, .seed = seed };
	memory_file(w, 12);
	store_file(w, 12);
	machine_tunables(w->m)->overcommit_memory = 1;
	for (int i = 0; i < draws(STEPS) && !failures; i++) {
		choose(&c);
		uint64_t which = pick_call(&c);
		if (refuse_one_in && !pick(&c, refuse_one_in))
			machine_fail_nth(w->m, 1 + pick(&c, 8));
		calls[which].call(&c);
		machine_fail_nth(w->m, 0);
		CHECK(w);
		if (failures)
			printf("  (seed %u, step %d: %s)\n", seed, i, calls[which].name);
	}
}

static void random_calls(struct world *w) { run(w, 1 + SEED_OFFSET, 0); }

static void random_calls_and_refusals(struct world *w) { run(w, 2 + SEED_OFFSET, 3); }

static void many_refusals(struct world *w) { run(w, 3 + SEED_OFFSET, 1); }

TESTS(TEST(random_calls), TEST(random_calls_and_refusals), TEST(many_refusals))
