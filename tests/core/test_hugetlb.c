/* Large pages: the pool, mappings private, shared and special, fork, and what is refused. */
#define NR_RAM_PAGES 8192
#include "harness.h"

#define LARGE(n) ((uint64_t)(n) * HUGE_SIZE)
#define HUGE_ANON (PRIVATE_ANON | MAP_HUGETLB)

static uint64_t map_huge(struct world *w, uint64_t nr, uint64_t flags, file *f, uint64_t pgoff)
{
	int64_t at = mm_mmap(w->mm, 0, LARGE(nr), RW, flags | MAP_HUGETLB, f, pgoff);
	EXPECT(at > 0 && !((uint64_t)at & ~HUGE_MASK));
	return (uint64_t)at;
}

static file *huge_file(struct world *w, uint64_t nr)
{
	return new_file(w, MAPPING_HUGE, nr * HUGE_PAGES, FILE_READ | FILE_WRITE);
}

static void the_pool_grows_and_shrinks(struct world *w)
{
	uint64_t nr_free = w->m->counters.nr_free;
	STEP(w, machine_set_hugepages(w->m, 4), 4);
	EXPECT(w->m->counters.nr_free == nr_free - 4 * HUGE_PAGES);
	STEP(w, machine_set_hugepages(w->m, 1), 1);
	STEP(w, machine_set_hugepages(w->m, 1000), 15); /* what fits */
	STEP(w, machine_set_hugepages(w->m, 0), 0);
	EXPECT_EQ(w->m->counters.nr_free, nr_free);
	STEP(w, machine_set_hugepages(w->m, 3), 3); /* of freed frames */
}

static void pages_in_use_stay_in_the_pool(struct world *w)
{
	machine_set_hugepages(w->m, 3);
	uint64_t at = map_huge(w, 2, PRIVATE_ANON, NULL, 0);
	STEP(w, machine_set_hugepages(w->m, 0), 2);
	STEP(w, mm_munmap(w->mm, at, LARGE(2)), 0);
	EXPECT_EQ(w->m->counters.nr_huge_free, 2);
	STEP(w, machine_set_hugepages(w->m, 0), 0);
}

static void private_memory(struct world *w)
{
	STEP(w, mm_mmap(w->mm, 0, LARGE(1), RW, HUGE_ANON, NULL, 0), -ENOMEM);
	machine_set_hugepages(w->m, 4);
	uint64_t at = map_huge(w, 3, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(w->m->counters.nr_huge_free, 1);
	EXPECT_EQ(load(w, w->mm, at + LARGE(2) + 12345), 0);
	STEP(w, store(w, w->mm, at + LARGE(2) + 12345, 7), 1);
	EXPECT_EQ(load(w, w->mm, at + LARGE(2) + 12345), 7);
	EXPECT_EQ(user_touch(w->mm, at, LARGE(3), ACCESS_WRITE), 3 * HUGE_PAGES);
	EXPECT_EQ(w->mm->counters.nr_hugetlb, 3);
	STEP(w, mm_munmap(w->mm, at + LARGE(1), LARGE(1)), 0);
	EXPECT_EQ(load(w, w->mm, at + LARGE(1)), SEGV_MAPERR);
	EXPECT_EQ(w->m->counters.nr_huge_free, 2);
	uint64_t hole = at + LARGE(1);
	EXPECT_EQ(mm_mmap(w->mm, hole, LARGE(1), RW, HUGE_ANON | MAP_FIXED, NULL, 0), hole);
	EXPECT_EQ(load(w, w->mm, hole + 12345), 0); /* zeroed */
	CHECK(w);
}

static void what_cuts_a_large_page_is_refused(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	uint64_t at = map_huge(w, 2, PRIVATE_ANON, NULL, 0);
	STEP(w, mm_munmap(w->mm, at + PAGE_SIZE, LARGE(1)), -EINVAL);
	STEP(w, mm_munmap(w->mm, at, PAGE_SIZE), -EINVAL);
	STEP(w, mm_mprotect(w->mm, at, PAGE_SIZE, PROT_READ), -EINVAL);
	STEP(w, mm_mmap(w->mm, at + PAGE_SIZE, PAGE_SIZE, RW, PRIVATE_ANON | MAP_FIXED, NULL, 0),
	     -EINVAL);
	STEP(w, mm_mmap(w->mm, at + PAGE_SIZE, LARGE(1), RW, HUGE_ANON | MAP_FIXED, NULL, 0),
	     -EINVAL);
	STEP(w, mm_mremap(w->mm, at, LARGE(1), LARGE(2), MREMAP_MAYMOVE, 0), -EINVAL);
	STEP(w, mm_madvise(w->mm, at, PAGES(1), MADV_PAGEOUT), -EINVAL);
	STEP(w, mm_mprotect(w->mm, at, LARGE(1), PROT_READ), 0);
	STEP(w, store(w, w->mm, at, 1), SEGV_ACCERR);
	STEP(w, store(w, w->mm, at + LARGE(1), 1), 1);
	STEP(w, mm_mprotect(w->mm, at, LARGE(1), RW), 0);
	STEP(w, store(w, w->mm, at, 1), 1);
	STEP(w, mm_madvise(w->mm, at, LARGE(1), MADV_DONTNEED), 0);
	EXPECT_EQ(load(w, w->mm, at), 0);
	EXPECT_EQ(nr_vmas(w->mm), 2);
}

static void fork_copies_on_write(struct world *w)
{
	machine_set_hugepages(w->m, 3);
	uint64_t at = map_huge(w, 2, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	mm *child = fork_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(load(w, child, at), 1);
	STEP(w, store(w, child, at, 2), 1);
	EXPECT_EQ(load(w, w->mm, at), 1);
	EXPECT_EQ(w->m->counters.nr_huge_free, 0);
	STEP(w, store(w, child, at + LARGE(1), 3), BUS_ADRERR); /* no page for the copy */
	drop_mm(w, child);
	STEP(w, store(w, w->mm, at + LARGE(1), 4), 1);
	EXPECT_EQ(w->m->counters.nr_huge_free, 1);
}

static void shared_files(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	file *f = huge_file(w, 3);
	STEP(w, mm_mmap(w->mm, 0, LARGE(1), RW, MAP_SHARED | MAP_HUGETLB, f, 1), -EINVAL);
	uint64_t at = map_huge(w, 2, MAP_SHARED, f, 0), other = map_huge(w, 2, MAP_SHARED, f, 512);
	EXPECT_EQ(w->m->counters.nr_huge_free, 1);
	STEP(w, store(w, w->mm, at + LARGE(1) + 5, 9), 1);
	EXPECT_EQ(load(w, w->mm, other + 5), 9);
	mm *child = fork_mm(w, w->mm);
	STEP(w, store(w, child, at + LARGE(1) + 5, 8), 1);
	EXPECT_EQ(load(w, w->mm, other + 5), 8);
	STEP(w, mapping_truncate(f->mapping, LARGE(1)), 0);
	EXPECT_EQ(load(w, w->mm, other), BUS_ADRERR);
	EXPECT_EQ(w->m->counters.nr_huge_free, 3);
	EXPECT_EQ(mapping_nr_pages(f->mapping), HUGE_PAGES);
}

static void a_special_vma_is_filled_entry_by_entry(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	file *f = huge_file(w, 3), *g = memory_file(w, 3);
	uint64_t at = map_huge(w, 3, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
	EXPECT_EQ(w->m->counters.nr_huge_free, 4);
	STEP(w, load(w, w->mm, at), BUS_ADRERR);
	STEP(w, mm_remap_file_pages(w->mm, at, LARGE(1), 0, 1024, 0, f), 0);
	STEP(w, mm_remap_file_pages(w->mm, at + LARGE(1), LARGE(1), PROT_READ, 0, 0, f), 0);
	STEP(w, mm_remap_file_pages(w->mm, at, PAGE_SIZE, 0, 0, 0, f), -EINVAL);
	STEP(w, mm_remap_file_pages(w->mm, at, LARGE(1), 0, 0, 0, g), -EINVAL);
	EXPECT_EQ(w->m->counters.remaps, 2);
	STEP(w, store(w, w->mm, at + 77, 5), 1);
	STEP(w, store(w, w->mm, at + LARGE(1), 5), SEGV_ACCERR);
	EXPECT_EQ(load(w, w->mm, at + LARGE(1)), 0);
	EXPECT_EQ(load(w, w->mm, at + LARGE(2)), BUS_ADRERR);
	STEP(w, mm_remap_file_pages(w->mm, at + LARGE(2), LARGE(1), 0, 1024, 0, f), 0);
	EXPECT_EQ(load(w, w->mm, at + LARGE(2) + 77), 5);
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(load(w, w->mm, at + 77), 5); /* the frame lives on */
	STEP(w, mm_munmap(w->mm, at, LARGE(3)), 0);
	EXPECT_EQ(w->m->counters.nr_huge_free, 4);
}

static void what_proc_shows(struct world *w)
{
	machine_set_hugepages(w->m, 2);
	uint64_t at = map_huge(w, 1, PRIVATE_ANON, NULL, 0), word, entries[4];
	uint8_t vec[HUGE_PAGES];
	struct smaps_info info;
	EXPECT_EQ(mm_smaps(w->mm, at, &info), 0);
	EXPECT_EQ(info.private_hugetlb, HUGE_PAGES);
	EXPECT_EQ(info.rss, 0);
	EXPECT_EQ(mm_mincore(w->mm, at, LARGE(1), vec), 0);
	EXPECT_EQ(vec[0] + vec[511], 2);
	mm_pagemap(w->mm, (at >> PAGE_SHIFT) + 3, 1, &word);
	EXPECT_EQ((word & 0xffff) % HUGE_PAGES, 3);
	EXPECT_EQ(mm_walk(w->mm, at, entries), 2);
	EXPECT(entries[2] & PTE_HUGE);
}

TESTS(TEST(the_pool_grows_and_shrinks), TEST(pages_in_use_stay_in_the_pool), TEST(private_memory),
      TEST(what_cuts_a_large_page_is_refused), TEST(fork_copies_on_write), TEST(shared_files),
      TEST(a_special_vma_is_filled_entry_by_entry), TEST(what_proc_shows))
