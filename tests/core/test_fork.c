/* test_fork.c - fork: what is shared, copied, left out, wiped. */
#include "harness.h"

static void private_pages_are_copied_on_write(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 2), 1);
	mm *child = fork_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(w->m->counters.nr_anon, 2);
	EXPECT_EQ(store(w, child, at, 11), 1);
	CHECK(w);
	EXPECT_EQ(load(w, w->mm, at), 1);
	EXPECT_EQ(store(w, w->mm, at, 12), 1); /* the last user takes it over */
	EXPECT_EQ(w->m->counters.nr_anon, 3);
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 13), 1);
	EXPECT_EQ(load(w, child, at), 11);
	EXPECT_EQ(load(w, child, at + PAGES(1)), 2);
	CHECK(w);
	drop_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(store(w, child, at + PAGES(1), 3), 1);
	EXPECT_EQ(w->m->counters.nr_anon, 2);
	CHECK(w);
}

static void grandchildren(struct world *w)
{
	uint64_t at = map(w, 6, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, at, PAGES(6), ACCESS_WRITE), 6);
	mm *child = fork_mm(w, w->mm), *second = fork_mm(w, child), *third = fork_mm(w, second);
	CHECK(w);
	EXPECT_EQ(store(w, child, at, 1), 1);
	EXPECT_EQ(store(w, second, at + PAGES(1), 2), 1);
	EXPECT_EQ(store(w, third, at + PAGES(2), 3), 1);
	CHECK(w);
	drop_mm(w, child);
	CHECK(w);
	EXPECT_EQ(load(w, third, at + PAGES(1)), 0);
	EXPECT_EQ(load(w, second, at + PAGES(1)), 2);
	drop_mm(w, w->mm);
	drop_mm(w, third);
	CHECK(w);
	EXPECT_EQ(w->m->counters.nr_anon, 6);
}

static void shared_pages_stay_shared(struct world *w)
{
	file *f = memory_file(w, 2);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 0), anon = map(w, 2, RW, SHARED_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, anon, 1), 1);
	mm *child = fork_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(store(w, child, at, 5), 1);
	EXPECT_EQ(store(w, child, anon, 6), 1);
	EXPECT_EQ(load(w, w->mm, at), 5);
	EXPECT_EQ(load(w, w->mm, anon), 6);
	drop_mm(w, w->mm);
	EXPECT_EQ(load(w, child, anon), 6);
	CHECK(w);
}

static void private_file_copies(struct world *w)
{
	file *f = memory_file(w, 3);
	uint64_t at = map(w, 3, RW, MAP_PRIVATE, f, 0);
	EXPECT_EQ(store(w, w->mm, at, 9), 1);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 1));
	mm *child = fork_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(load(w, child, at), 9);
	EXPECT_EQ(store(w, child, at + PAGES(1), 8), 1);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 1));
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(w->m->counters.nr_anon, 0);
	EXPECT_EQ(load(w, child, at), BUS_ADRERR);
}

static void advice_about_fork(struct world *w)
{
	uint64_t at = map(w, 6, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, at, PAGES(6), ACCESS_WRITE), 6);
	EXPECT_EQ(store(w, w->mm, at + PAGES(3), 5), 1);
	STEP(w, mm_madvise(w->mm, at, PAGES(2), MADV_DONTFORK), 0);
	STEP(w, mm_madvise(w->mm, at + PAGES(3), PAGES(1), MADV_WIPEONFORK), 0);
	mm *child = fork_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(load(w, child, at), SEGV_MAPERR);
	EXPECT_EQ(load(w, child, at + PAGES(3)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), 5);
	EXPECT_EQ(store(w, child, at + PAGES(3), 6), 1);
	CHECK(w);
}

static void locks_are_not_inherited(struct world *w)
{
	uint64_t at = map(w, 6, RW, PRIVATE_ANON, NULL, 0);
	STEP(w, mm_mlock(w->mm, at, PAGES(2), 0), 0);
	EXPECT_EQ(w->mm->counters.locked_vm, 2);
	mm *child = fork_mm(w, w->mm);
	EXPECT_EQ(child->counters.locked_vm, 0);
	EXPECT_EQ(w->m->counters.nr_mlock, 2);
	CHECK(w);
	STEP(w, mm_munlock(w->mm, at, PAGES(6)), 0);
	EXPECT_EQ(nr_vmas(w->mm), 1);
	EXPECT_EQ(w->m->counters.nr_mlock, 0);
}

static void commit_is_charged_for_each_task(struct world *w)
{
	map(w, 10, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(w->m->counters.nr_committed, 10);
	mm *child = fork_mm(w, w->mm), *none = NULL;
	EXPECT_EQ(w->m->counters.nr_committed, 20);
	machine_tunables(w->m)->overcommit_memory = 2;
	machine_tunables(w->m)->overcommit_kbytes = 100;
	STEP(w, mm_fork(child, &w->limits, &none), -ENOMEM);
	drop_mm(w, child);
	EXPECT_EQ(w->m->counters.nr_committed, 10);
	CHECK(w);
}

/* A page that many tasks map: chains of more than one block. */
static void many_mappers(struct world *w)
{
	file *f = memory_file(w, 1);
	uint64_t at[12];
	for (int i = 0; i < 12; i++) {
		at[i] = map(w, 1, RW, MAP_SHARED, f, 0);
		EXPECT_EQ(store(w, w->mm, at[i], (uint8_t)i), 1);
	}
	mm *child = fork_mm(w, w->mm);
	for (int i = 0; i < 12; i++)
		EXPECT_EQ(load(w, child, at[i]), 11);
	EXPECT_EQ(mapping_find(f->mapping, 0)->mapcount, 24);
	CHECK(w);
	for (int i = 0; i < 12; i++) { /* from the middle outwards */
		mm *mm = i % 2 ? child : w->mm;
		STEP(w, mm_munmap(mm, at[(i * 5 + 6) % 12], PAGES(1)), 0);
	}
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(w->m->counters.nr_chain_blocks, 0);
}

/* Copies that show the same, whichever of them goes first; one that shows less is none of them. */
static void twins(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 2), below = map(w, 4, RW, MAP_SHARED, f, 0);
	mm *child = fork_mm(w, w->mm), *second = fork_mm(w, child), *third = fork_mm(w, w->mm);
	mm *all[] = { w->mm, child, second, third };
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(store(w, all[i], at + PAGES(1), (uint8_t)i), 1);
		EXPECT_EQ(store(w, all[i], below + PAGES(3), (uint8_t)i), 1);
	}
	EXPECT_EQ(mapping_find(f->mapping, 3)->mapcount, 8);
	CHECK(w);
	STEP(w, mm_munmap(second, at + PAGES(3), PAGES(1)), 0);
	STEP(w, mm_munmap(child, at, PAGES(1)), 0);
	drop_mm(w, w->mm); /* whose were first */
	CHECK(w);
	STEP(w, mapping_truncate(f->mapping, PAGES(3)), 0);
	EXPECT_EQ(load(w, child, below + PAGES(2)), load(w, third, at));
	drop_mm(w, second);
	CHECK(w);
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(load(w, third, at), BUS_ADRERR);
}

TESTS(TEST(private_pages_are_copied_on_write), TEST(grandchildren), TEST(shared_pages_stay_shared),
      TEST(private_file_copies), TEST(advice_about_fork), TEST(locks_are_not_inherited),
      TEST(commit_is_charged_for_each_task), TEST(many_mappers), TEST(twins))
