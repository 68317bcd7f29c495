/* test_vma.c - placing, splitting, merging VMAs; mprotect, brk, limits, locks. */
#include "harness.h"

static const uint64_t base = 0x40000000;

static int64_t fixed(struct world *w, uint64_t page, uint64_t nr, uint64_t prot)
{
	return mm_mmap(w->mm, base + PAGES(page), PAGES(nr), prot, PRIVATE_ANON | MAP_FIXED, NULL,
		       0);
}

static void top_down_placement(struct world *w)
{
	uint64_t a = map(w, 2, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(a, test_layout.mmap_base - PAGES(2));
	uint64_t b = map(w, 3, PROT_READ, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(b, a - PAGES(3));
	STEP(w, mm_munmap(w->mm, a, PAGES(1)), 0);
	uint64_t c = map(w, 1, PROT_NONE, PRIVATE_ANON, NULL, 0); /* the hole fits */
	EXPECT_EQ(c, a);
	EXPECT_EQ(mm_mmap(w->mm, a + 5, PAGES(1), RW, PRIVATE_ANON, NULL, 0), b - PAGES(1));
	STEP(w, mm_mmap(w->mm, base + 5, PAGES(1), RW, PRIVATE_ANON, NULL, 0),
	     base); /* hints round down */
}

static void bottom_up_placement(struct world *w)
{
	machine_tunables(w->m)->legacy_va_layout = 1;
	uint64_t low = PAGE_ALIGN(test_layout.task_size / 3);
	EXPECT_EQ(map(w, 2, RW, PRIVATE_ANON, NULL, 0), low);
	EXPECT_EQ(map(w, 2, PROT_READ, PRIVATE_ANON, NULL, 0), low + PAGES(2));
	STEP(w, mm_munmap(w->mm, low, PAGES(2)), 0);
	EXPECT_EQ(map(w, 3, PROT_READ, PRIVATE_ANON, NULL, 0), low + PAGES(4));
	EXPECT_EQ(map(w, 1, PROT_EXEC, PRIVATE_ANON, NULL, 0), low);
	CHECK(w);
}

static void map_32bit_stays_below_2g(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON | MAP_32BIT, NULL, 0);
	EXPECT(at >= 0x40000000 && at + PAGES(4) <= 0x80000000);
}

static void mmap_checks(struct world *w)
{
	file *f = memory_file(w, 2);
	EXPECT_EQ(mm_mmap(w->mm, 0, 0, RW, PRIVATE_ANON, NULL, 0), -EINVAL);
	EXPECT_EQ(mm_mmap(w->mm, 0, ~0ul, RW, PRIVATE_ANON, NULL, 0), -ENOMEM);
	EXPECT_EQ(mm_mmap(w->mm, 0, 1ul << 60, RW, PRIVATE_ANON, NULL, 0), -ENOMEM);
	EXPECT_EQ(mm_mmap(w->mm, base + 1, PAGES(1), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0),
		  -EINVAL);
	EXPECT_EQ(mm_mmap(w->mm, PAGES(1), PAGES(1), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0),
		  -EPERM);
	EXPECT_EQ(mm_mmap(w->mm, 0, PAGES(1), RW, MAP_ANONYMOUS, NULL, 0), -EINVAL);
	EXPECT_EQ(mm_mmap(w->mm, 0, PAGES(2), RW, MAP_SHARED, f, ~0ul), -EOVERFLOW);
	file_set_mode(f, FILE_READ);
	EXPECT_EQ(mm_mmap(w->mm, 0, PAGES(1), RW, MAP_SHARED, f, 0), -EACCES);
	file_set_mode(f, FILE_WRITE);
	EXPECT_EQ(mm_mmap(w->mm, 0, PAGES(1), PROT_READ, MAP_PRIVATE, f, 0), -EACCES);
	file_set_mode(f, FILE_READ | FILE_WRITE | FILE_NO_MMAP);
	EXPECT_EQ(mm_mmap(w->mm, 0, PAGES(1), PROT_READ, MAP_PRIVATE, f, 0), -ENODEV);
	EXPECT_EQ(fixed(w, 0, 2, RW), base);
	STEP(w,
	     mm_mmap(w->mm, base + PAGES(1), PAGES(2), RW, PRIVATE_ANON | MAP_FIXED_NOREPLACE, NULL,
		     0),
	     -EEXIST);
	EXPECT_EQ(nr_vmas(w->mm), 1);
}

static void read_only_file_never_becomes_writable(struct world *w)
{
	file *f = memory_file(w, 2);
	file_set_mode(f, FILE_READ);
	uint64_t at = map(w, 2, PROT_READ, MAP_SHARED, f, 0);
	STEP(w, mm_mprotect(w->mm, at, PAGES(2), RW, -1), -EACCES);
	EXPECT_EQ(mapping_nr_writable(f->mapping), 0);
	EXPECT_EQ(store(w, w->mm, at, 1), SEGV_ACCERR);
}

static void neighbours_merge(struct world *w)
{
	EXPECT_EQ(fixed(w, 0, 2, RW), base);
	EXPECT_EQ(fixed(w, 4, 2, RW), base + PAGES(4));
	EXPECT_EQ(nr_vmas(w->mm), 2);
	STEP(w, fixed(w, 2, 2, RW), base + PAGES(2));
	EXPECT_EQ(nr_vmas(w->mm), 1);
	STEP(w, fixed(w, 6, 2, PROT_READ), base + PAGES(6));
	EXPECT_EQ(nr_vmas(w->mm), 2);
	STEP(w, mm_mprotect(w->mm, base + PAGES(6), PAGES(2), RW, -1), 0);
	EXPECT_EQ(nr_vmas(w->mm), 1);
}

static void file_neighbours_merge_by_offset(struct world *w)
{
	file *f = memory_file(w, 8);
	EXPECT_EQ(mm_mmap(w->mm, base, PAGES(2), RW, MAP_SHARED | MAP_FIXED, f, 0), base);
	STEP(w, mm_mmap(w->mm, base + PAGES(2), PAGES(2), RW, MAP_SHARED | MAP_FIXED, f, 2),
	     base + PAGES(2));
	EXPECT_EQ(nr_vmas(w->mm), 1);
	STEP(w, mm_mmap(w->mm, base + PAGES(4), PAGES(2), RW, MAP_SHARED | MAP_FIXED, f, 5),
	     base + PAGES(4));
	EXPECT_EQ(nr_vmas(w->mm), 2);
	EXPECT_EQ(load(w, w->mm, base + PAGES(4)), store_byte(0, 5));
}

/* AAAAAAAA -> AA..AABA */
static void splits_keep_what_the_pages_hold(struct world *w)
{
	EXPECT_EQ(fixed(w, 0, 8, RW), base);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_EQ(store(w, w->mm, base + PAGES(i), (uint8_t)(i + 1)), 1);
	STEP(w, mm_munmap(w->mm, base + PAGES(2), PAGES(2)), 0);
	EXPECT_EQ(nr_vmas(w->mm), 2);
	STEP(w, mm_mprotect(w->mm, base + PAGES(6), PAGES(1), PROT_READ, -1), 0);
	EXPECT_EQ(nr_vmas(w->mm), 4);
	EXPECT_EQ(load(w, w->mm, base + PAGES(6)), 7);
	EXPECT_EQ(store(w, w->mm, base + PAGES(6), 0), SEGV_ACCERR);
	EXPECT_EQ(store(w, w->mm, base + PAGES(7), 0), 1);
	EXPECT_EQ(load(w, w->mm, base + PAGES(3)), SEGV_MAPERR);
	STEP(w, mm_mprotect(w->mm, base + PAGES(6), PAGES(1), RW, -1), 0);
	EXPECT_EQ(nr_vmas(w->mm), 2);
	STEP(w, fixed(w, 2, 2, RW), base + PAGES(2));
	EXPECT_EQ(nr_vmas(w->mm), 1);
	EXPECT_EQ(load(w, w->mm, base + PAGES(2)), 0);
	EXPECT_EQ(load(w, w->mm, base + PAGES(1)), 2);
}

static void munmap_over_holes(struct world *w)
{
	for (uint64_t i = 0; i < 20; i += 2)
		EXPECT_EQ(fixed(w, i, 1, RW), base + PAGES(i));
	EXPECT_EQ(nr_vmas(w->mm), 10);
	STEP(w, mm_munmap(w->mm, base + PAGES(3), PAGES(10)), 0);
	EXPECT_EQ(nr_vmas(w->mm), 5);
	STEP(w, mm_munmap(w->mm, base + PAGES(3), PAGES(10)), 0);
	STEP(w, mm_munmap(w->mm, base, 0), -EINVAL);
	STEP(w, mm_munmap(w->mm, base + 1, PAGES(1)), -EINVAL);
	STEP(w, mm_munmap(w->mm, base, ~0ul), -EINVAL);
}

static void mprotect_stops_at_a_hole(struct world *w)
{
	EXPECT_EQ(fixed(w, 0, 2, RW), base);
	EXPECT_EQ(fixed(w, 3, 2, RW), base + PAGES(3));
	STEP(w, mm_mprotect(w->mm, base, PAGES(5), PROT_READ, -1), -ENOMEM);
	EXPECT_EQ(vma_info(w->mm, base).flags & VM_WRITE, 0);
	EXPECT(vma_info(w->mm, base + PAGES(3)).flags & VM_WRITE);
}

static void too_many_vmas(struct world *w)
{
	machine_tunables(w->m)->max_map_count = 5;
	EXPECT_EQ(fixed(w, 0, 20, RW), base);
	STEP(w, mm_mprotect(w->mm, base + PAGES(3), PAGES(1), PROT_READ, -1), 0);
	STEP(w, mm_mprotect(w->mm, base + PAGES(7), PAGES(1), PROT_READ, -1), 0);
	STEP(w, mm_mprotect(w->mm, base + PAGES(9), PAGES(1), PROT_READ, -1), -ENOMEM);
	STEP(w, mm_munmap(w->mm, base + PAGES(15), PAGES(1)), -ENOMEM);
	STEP(w, mm_munmap(w->mm, base + PAGES(15), PAGES(5)), 0);
	EXPECT_EQ(nr_vmas(w->mm), 5);
}

static void limits_of_the_task(struct world *w)
{
	w->limits.as = PAGES(10);
	EXPECT_EQ(fixed(w, 0, 8, RW), base);
	STEP(w, fixed(w, 8, 3, RW), -ENOMEM);
	STEP(w, fixed(w, 6, 4, RW), base + PAGES(6)); /* what it replaces is not counted */
	w->limits.as = ~0ul;
	w->limits.data = PAGES(11);
	STEP(w, fixed(w, 20, 2, RW), -ENOMEM);
	STEP(w, fixed(w, 20, 2, PROT_READ), base + PAGES(20));
	STEP(w, mm_mprotect(w->mm, base + PAGES(20), PAGES(2), RW, -1), -ENOMEM);
	w->limits.data = 0; /* the hard limit counts */
	w->limits.data_most = PAGES(11);
	STEP(w, mm_mprotect(w->mm, base + PAGES(20), PAGES(2), RW, -1), -ENOMEM);
	w->limits.data_most = PAGES(12);
	STEP(w, mm_mprotect(w->mm, base + PAGES(20), PAGES(2), RW, -1), 0);
}

static void locked_memory_is_bounded(struct world *w)
{
	w->limits.may_lock = 0;
	w->limits.memlock = PAGES(4);
	EXPECT_EQ(fixed(w, 0, 8, RW), base);
	STEP(w, mm_mlock(w->mm, base, PAGES(3), 0), 0);
	STEP(w, mm_mlock(w->mm, base + PAGES(4), PAGES(2), 0), -ENOMEM);
	STEP(w, mm_mlock(w->mm, base, PAGES(4), 0), 0); /* three of them are locked already */
	STEP(w, mm_mmap(w->mm, 0, PAGES(1), RW, PRIVATE_ANON | MAP_LOCKED, NULL, 0), -EAGAIN);
	STEP(w, mm_madvise(w->mm, base, PAGES(1), MADV_DONTNEED), -EINVAL);
	STEP(w, mm_munlockall(w->mm), 0);
	EXPECT_EQ(w->m->counters.nr_mlock, 0);
	EXPECT_EQ(nr_vmas(w->mm), 1);
	STEP(w, mm_mlockall(w->mm, MCL_CURRENT), -ENOMEM);
	w->limits.may_lock = 1;
	STEP(w, mm_mlockall(w->mm, MCL_CURRENT | MCL_FUTURE), 0);
	uint64_t at = map(w, 1, RW, PRIVATE_ANON, NULL, 0);
	EXPECT(vma_info(w->mm, at).flags & VM_LOCKED);
	CHECK(w);
}

static void brk_grows_and_shrinks(struct world *w)
{
	uint64_t start = test_layout.start_brk;
	STEP(w, mm_brk(w->mm, 0), start);
	STEP(w, mm_brk(w->mm, start + 100), start + 100);
	EXPECT_EQ(store(w, w->mm, start + 4095, 1), 1);
	STEP(w, mm_brk(w->mm, start + PAGES(3)), start + PAGES(3));
	EXPECT_EQ(nr_vmas(w->mm), 1);
	STEP(w, mm_brk(w->mm, start + PAGES(1)), start + PAGES(1));
	EXPECT_EQ(load(w, w->mm, start + PAGES(1)), SEGV_MAPERR);
	EXPECT_EQ(mm_mmap(w->mm, start + PAGES(4), PAGES(1), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0),
		  start + PAGES(4));
	STEP(w, mm_brk(w->mm, start + PAGES(6)), start + PAGES(1));
	STEP(w, mm_brk(w->mm, start), start);
	EXPECT_EQ(nr_vmas(w->mm), 1);
}

static void overcommit(struct world *w)
{
	struct tunables *t = machine_tunables(w->m);
	STEP(w, fixed(w, 0, NR_RAM_PAGES + 1, RW), -ENOMEM);
	t->overcommit_memory = 1;
	STEP(w, fixed(w, 0, 10 * NR_RAM_PAGES, RW), base);
	EXPECT_EQ(mm_munmap(w->mm, base, PAGES(10 * NR_RAM_PAGES)), 0);
	t->overcommit_memory = 2;
	STEP(w, fixed(w, 0, NR_RAM_PAGES / 2 + 1, RW), -ENOMEM);
	STEP(w, fixed(w, 0, NR_RAM_PAGES / 2, RW), base);
	EXPECT_EQ(w->m->counters.nr_committed, NR_RAM_PAGES / 2);
	STEP(w, mm_mmap(w->mm, 0, PAGES(100), PROT_READ, PRIVATE_ANON, NULL, 0) > 0, 1);
}

/* Random calls on a small range; every invariant after each. */
static void random_calls(struct world *w)
{
	file *f = memory_file(w, 16);
	uint32_t seed = 12345;
	for (int i = 0; i < draws(400) && !failures; i++) {
		uint32_t r[4];
		for (int k = 0; k < 4; k++)
			r[k] = seed = seed * 1664525u + 1013904223u;
		uint64_t at = base + PAGES(r[0] >> 8 & 15), nr = 1 + (r[1] >> 8 & 3);
		uint64_t prot = r[2] >> 8 & 3, kind = r[3] >> 8 & 15;
		if (kind < 3)
			mm_mmap(w->mm, at, PAGES(nr), prot, PRIVATE_ANON | MAP_FIXED, NULL, 0);
		else if (kind < 6)
			mm_mmap(w->mm, at, PAGES(nr), prot,
				MAP_FIXED | (kind & 1 ? MAP_SHARED : MAP_PRIVATE), f,
				r[2] >> 16 & 7);
		else if (kind < 8)
			mm_munmap(w->mm, at, PAGES(nr));
		else if (kind < 10)
			mm_mprotect(w->mm, at, PAGES(nr), prot, -1);
		else if (kind == 10)
			mm_madvise(w->mm, at, PAGES(nr), MADV_DONTNEED);
		else if (kind == 11)
			mm_mremap(w->mm, at, PAGES(nr), PAGES(1 + (r[2] >> 16 & 3)),
				  MREMAP_MAYMOVE | MREMAP_FIXED, base + PAGES(r[2] >> 20 & 15));
		else if (kind == 12)
			mm_remap_file_pages(w->mm, at, PAGES(nr), 0, r[2] >> 16 & 7, 0, NULL);
		else if (kind == 13)
			mapping_truncate(f->mapping, PAGES(8 + (r[2] >> 16 & 7)));
		else
			user_touch(w->mm, at, PAGES(nr), kind & 1 ? ACCESS_WRITE : ACCESS_READ);
		CHECK(w);
		if (failures)
			printf("  (step %d, kind %lu)\n", i, kind);
	}
}

TESTS(TEST(top_down_placement), TEST(bottom_up_placement), TEST(map_32bit_stays_below_2g),
      TEST(mmap_checks), TEST(read_only_file_never_becomes_writable), TEST(neighbours_merge),
      TEST(file_neighbours_merge_by_offset), TEST(splits_keep_what_the_pages_hold),
      TEST(munmap_over_holes), TEST(mprotect_stops_at_a_hole), TEST(too_many_vmas),
      TEST(limits_of_the_task), TEST(locked_memory_is_bounded), TEST(brk_grows_and_shrinks),
      TEST(overcommit), TEST(random_calls))
