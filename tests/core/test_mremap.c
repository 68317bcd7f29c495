/* test_mremap.c - growing, shrinking, moving and doubling mappings. */
#include "harness.h"

static const uint64_t base = 0x40000000;

static uint64_t filled(struct world *w, uint64_t nr)
{
	EXPECT_EQ(mm_mmap(w->mm, base, PAGES(nr), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0), base);
	for (uint64_t i = 0; i < nr; i++)
		EXPECT_EQ(store(w, w->mm, base + PAGES(i), (uint8_t)(i + 1)), 1);
	return base;
}

static void grows_in_place(struct world *w)
{
	uint64_t at = filled(w, 4);
	STEP(w, mm_mremap(w->mm, at, PAGES(4), PAGES(8), 0, 0), at);
	EXPECT_EQ(nr_vmas(w->mm), 1);
	EXPECT_EQ(w->m->counters.nr_committed, 8);
	EXPECT_EQ(load(w, w->mm, at + PAGES(7)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), 4);
	STEP(w, mm_mremap(w->mm, at, PAGES(8), PAGES(2), 0, 0), at);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), SEGV_MAPERR);
	EXPECT_EQ(w->m->counters.nr_committed, 2);
	STEP(w, mm_mremap(w->mm, at, PAGES(2), PAGES(2), 0, 0), at);
}

static void moves_when_it_must(struct world *w)
{
	uint64_t at = filled(w, 4);
	EXPECT_EQ(mm_mmap(w->mm, at + PAGES(4), PAGES(1), PROT_READ, PRIVATE_ANON | MAP_FIXED, NULL,
			  0),
		  at + PAGES(4));
	STEP(w, mm_mremap(w->mm, at, PAGES(4), PAGES(6), 0, 0), -ENOMEM);
	int64_t to = mm_mremap(w->mm, at, PAGES(4), PAGES(6), MREMAP_MAYMOVE, 0);
	EXPECT(to > 0 && to != (int64_t)at);
	CHECK(w);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(load(w, w->mm, (uint64_t)to + PAGES(i)), i + 1);
	EXPECT_EQ(load(w, w->mm, (uint64_t)to + PAGES(5)), 0);
	EXPECT_EQ(load(w, w->mm, at), SEGV_MAPERR);
	EXPECT_EQ(w->m->counters.nr_anon, 4);
	EXPECT_EQ(store(w, w->mm, (uint64_t)to, 50), 1);
	CHECK(w);
}

static void moves_the_middle_to_a_fixed_place(struct world *w)
{
	uint64_t at = filled(w, 8), to = at + PAGES(600);
	EXPECT_EQ(mm_mmap(w->mm, to, PAGES(4), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0), to);
	EXPECT_EQ(store(w, w->mm, to + PAGES(1), 99), 1);
	STEP(w,
	     mm_mremap(w->mm, at + PAGES(2), PAGES(3), PAGES(3), MREMAP_MAYMOVE | MREMAP_FIXED, to),
	     to);
	EXPECT_EQ(load(w, w->mm, to), 3);
	EXPECT_EQ(load(w, w->mm, to + PAGES(1)), 4);
	EXPECT_EQ(load(w, w->mm, to + PAGES(3)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), SEGV_MAPERR);
	EXPECT_EQ(load(w, w->mm, at + PAGES(5)), 6);
	STEP(w,
	     mm_mremap(w->mm, to, PAGES(3), PAGES(3), MREMAP_MAYMOVE | MREMAP_FIXED, at + PAGES(2)),
	     at + PAGES(2)); /* back into the hole */
	EXPECT_EQ(load(w, w->mm, at + PAGES(4)), 5);
}

static void shrinks_while_moving(struct world *w)
{
	uint64_t at = filled(w, 8), to = at + PAGES(100);
	STEP(w, mm_mremap(w->mm, at, PAGES(8), PAGES(3), MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	EXPECT_EQ(load(w, w->mm, to + PAGES(2)), 3);
	EXPECT_EQ(load(w, w->mm, at + PAGES(5)), SEGV_MAPERR);
	EXPECT_EQ(w->m->counters.nr_anon, 3);
}

static void arguments(struct world *w)
{
	uint64_t at = filled(w, 4);
	EXPECT_EQ(mm_mremap(w->mm, at + 1, PAGES(1), PAGES(2), 0, 0), -EINVAL);
	EXPECT_EQ(mm_mremap(w->mm, at, PAGES(1), 0, 0, 0), -EINVAL);
	EXPECT_EQ(mm_mremap(w->mm, at, PAGES(1), PAGES(2), 8, 0), -EINVAL);
	EXPECT_EQ(mm_mremap(w->mm, at, PAGES(1), PAGES(1), MREMAP_FIXED, base * 2), -EINVAL);
	EXPECT_EQ(mm_mremap(w->mm, at, PAGES(2), PAGES(2), MREMAP_MAYMOVE | MREMAP_FIXED,
			    at + PAGES(1)),
		  -EINVAL);
	EXPECT_EQ(mm_mremap(w->mm, at, PAGES(5), PAGES(6), MREMAP_MAYMOVE, 0), -EFAULT);
	EXPECT_EQ(mm_mremap(w->mm, PAGES(20), PAGES(1), PAGES(2), MREMAP_MAYMOVE, 0), -EFAULT);
	EXPECT_EQ(mm_mremap(w->mm, at, 0, PAGES(1), MREMAP_MAYMOVE, 0), -EINVAL);
	CHECK(w);
}

/* old_len 0 on a shared mapping: a second one of the same pages. */
static void doubles_a_shared_mapping(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(store(w, w->mm, at + PAGES(2), 42), 1);
	int64_t two = mm_mremap(w->mm, at + PAGES(1), 0, PAGES(2), MREMAP_MAYMOVE, 0);
	EXPECT(two > 0);
	CHECK(w);
	EXPECT_EQ(load(w, w->mm, (uint64_t)two + PAGES(1)), 42);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), 42);
	EXPECT_EQ(mapping_nr_vmas(f->mapping), 2);
}

static void dontunmap_leaves_an_empty_place(struct world *w)
{
	uint64_t at = filled(w, 4);
	int64_t to = mm_mremap(w->mm, at, PAGES(4), PAGES(4), MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	EXPECT(to > 0);
	CHECK(w);
	EXPECT_EQ(load(w, w->mm, (uint64_t)to + PAGES(1)), 2);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 0);
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 7), 1);
	EXPECT_EQ(load(w, w->mm, (uint64_t)to + PAGES(1)), 2);
	CHECK(w);
	mm *child = fork_mm(w, w->mm);
	EXPECT_EQ(store(w, child, at + PAGES(1), 8), 1);
	EXPECT_EQ(store(w, child, (uint64_t)to + PAGES(1), 9), 1);
	CHECK(w);
}

static void dontunmap_of_a_part(struct world *w)
{
	uint64_t at = filled(w, 6);
	int64_t to = mm_mremap(w->mm, at + PAGES(2), PAGES(2), PAGES(2),
			       MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	EXPECT(to > 0);
	CHECK(w);
	EXPECT_EQ(store(w, w->mm, at + PAGES(2), 77), 1);
	EXPECT_EQ(load(w, w->mm, (uint64_t)to), 3);
	STEP(w, mm_munmap(w->mm, at, PAGES(6)), 0);
	EXPECT_EQ(load(w, w->mm, (uint64_t)to + PAGES(1)), 4);
}

/* Moved beside the rest of itself, it merges again only if offsets agree. */
static void moved_next_to_itself(struct world *w)
{
	uint64_t at = filled(w, 6);
	STEP(w,
	     mm_mremap(w->mm, at, PAGES(2), PAGES(2), MREMAP_MAYMOVE | MREMAP_FIXED, at + PAGES(6)),
	     at + PAGES(6));
	EXPECT_EQ(load(w, w->mm, at + PAGES(6)), 1);
	EXPECT_EQ(load(w, w->mm, at + PAGES(5)), 6);
	STEP(w,
	     mm_mremap(w->mm, at + PAGES(6), PAGES(2), PAGES(2), MREMAP_MAYMOVE | MREMAP_FIXED, at),
	     at);
	EXPECT_EQ(nr_vmas(w->mm), 1);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 2);
}

static void untouched_memory_moves(struct world *w)
{
	EXPECT_EQ(mm_mmap(w->mm, base, PAGES(8), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0), base);
	EXPECT_EQ(load(w, w->mm, base), 0); /* the zero page moves too */
	STEP(w,
	     mm_mremap(w->mm, base, PAGES(4), PAGES(4), MREMAP_MAYMOVE | MREMAP_FIXED,
		       base + PAGES(8)),
	     base + PAGES(8));
	EXPECT_EQ(load(w, w->mm, base + PAGES(8)), 0);
	EXPECT_EQ(store(w, w->mm, base + PAGES(8), 1), 1);
	EXPECT_EQ(store(w, w->mm, base + PAGES(7), 1), 1);
	CHECK(w);
}

static void moves_in_one_task_only(struct world *w)
{
	uint64_t at = filled(w, 4);
	mm *child = fork_mm(w, w->mm);
	STEP(w,
	     mm_mremap(child, at, PAGES(4), PAGES(4), MREMAP_MAYMOVE | MREMAP_FIXED,
		       at + PAGES(50)),
	     at + PAGES(50));
	EXPECT_EQ(load(w, child, at + PAGES(51)), 2);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 2);
	EXPECT_EQ(store(w, child, at + PAGES(51), 3), 1);
	CHECK(w);
	drop_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(load(w, child, at + PAGES(50)), 1);
}

static void file_keeps_its_offset(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	int64_t to = mm_mremap(w->mm, at + PAGES(4), PAGES(4), PAGES(5),
			       MREMAP_MAYMOVE | MREMAP_FIXED, base);
	EXPECT_EQ(to, base);
	CHECK(w);
	EXPECT_EQ(load(w, w->mm, (uint64_t)to), store_byte(0, 4));
	EXPECT_EQ(load(w, w->mm, (uint64_t)to + PAGES(4)), BUS_ADRERR);
	EXPECT_EQ(vma_info(w->mm, (uint64_t)to).pgoff, 4);
	STEP(w, mapping_truncate(f->mapping, PAGES(5)), 0);
	EXPECT_EQ(load(w, w->mm, (uint64_t)to), store_byte(0, 4));
	EXPECT_EQ(load(w, w->mm, (uint64_t)to + PAGES(1)), BUS_ADRERR);
}

TESTS(TEST(grows_in_place), TEST(moves_when_it_must), TEST(moves_the_middle_to_a_fixed_place),
      TEST(shrinks_while_moving), TEST(arguments), TEST(doubles_a_shared_mapping),
      TEST(dontunmap_leaves_an_empty_place), TEST(dontunmap_of_a_part), TEST(moved_next_to_itself),
      TEST(untouched_memory_moves), TEST(moves_in_one_task_only), TEST(file_keeps_its_offset))
