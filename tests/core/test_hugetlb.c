/* Large pages: the pool, mappings private, shared and special, fork, and what is refused. */
#define NR_RAM_PAGES 4096 /* all of them are looked at in each recount */
#define BLOCKS 3          /* no large page is in a chain */
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
	STEP(w, machine_set_hugepages(w->m, 1000), 7); /* what fits */
	STEP(w, machine_set_hugepages(w->m, 0), 0);
	EXPECT_EQ(w->m->counters.nr_free, nr_free);
	STEP(w, machine_set_hugepages(w->m, 3), 3); /* of freed frames */
}

/* The pool: its own pages, surplus, free, promised. */
static void expect_pool(struct world *w, int line, uint64_t nr, uint64_t surplus, uint64_t nr_free,
			uint64_t reserved)
{
	const struct counters *c = &w->m->counters;
	if (c->nr_huge != nr || c->nr_huge_surplus != surplus || c->nr_huge_free != nr_free ||
	    c->nr_huge_reserved != reserved)
		complain(__FILE__, line, "pool %lu+%lu, %lu free, %lu promised", c->nr_huge,
			 c->nr_huge_surplus, c->nr_huge_free, c->nr_huge_reserved);
	CHECK(w);
}
#define EXPECT_POOL(w, nr, surplus, nr_free, reserved) \
	expect_pool(w, __LINE__, nr, surplus, nr_free, reserved)

static void pages_in_use_become_surplus(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	uint64_t at = map_huge(w, 3, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	STEP(w, machine_set_hugepages(w->m, 0), 0);
	EXPECT_POOL(w, 0, 3, 2, 2);
	STEP(w, machine_set_hugepages(w->m, 2), 2);
	EXPECT_POOL(w, 2, 1, 2, 2);
	STEP(w, store(w, w->mm, at + LARGE(2), 1), 1);
	STEP(w, mm_munmap(w->mm, at, LARGE(1)), 0);
	EXPECT_POOL(w, 2, 0, 1, 1);
	STEP(w, mm_munmap(w->mm, at, LARGE(3)), 0);
	EXPECT_POOL(w, 2, 0, 2, 0);
}

static void mmap_promises_and_a_touch_takes(struct world *w)
{
	STEP(w, mm_mmap(w->mm, 0, LARGE(1), RW, HUGE_ANON, NULL, 0), -ENOMEM);
	machine_set_hugepages(w->m, 4);
	uint64_t at = map_huge(w, 3, PRIVATE_ANON, NULL, 0);
	EXPECT_POOL(w, 4, 0, 4, 3);
	STEP(w, mm_mmap(w->mm, 0, LARGE(2), RW, HUGE_ANON, NULL, 0), -ENOMEM);
	EXPECT_EQ(load(w, w->mm, at + LARGE(2) + 12345), 0);
	STEP(w, store(w, w->mm, at + LARGE(2) + 12345, 7), 1);
	EXPECT_EQ(load(w, w->mm, at + LARGE(2) + 12345), 7);
	EXPECT_POOL(w, 4, 0, 3, 2);
	EXPECT_EQ(user_touch(w->mm, at, LARGE(3), ACCESS_WRITE), 3 * HUGE_PAGES);
	EXPECT_EQ(w->mm->counters.nr_hugetlb, 3);
	STEP(w, mm_munmap(w->mm, at + LARGE(1), LARGE(1)), 0);
	EXPECT_EQ(load(w, w->mm, at + LARGE(1)), SEGV_MAPERR);
	EXPECT_POOL(w, 4, 0, 2, 0);
	uint64_t hole = at + LARGE(1);
	EXPECT_EQ(mm_mmap(w->mm, hole, LARGE(1), RW, HUGE_ANON | MAP_FIXED, NULL, 0), hole);
	EXPECT_EQ(load(w, w->mm, hole + 12345), 0); /* zeroed */
	STEP(w, mm_madvise(w->mm, at, LARGE(1) + PAGES(1), MADV_DONTNEED), 0);
	EXPECT_POOL(w, 4, 0, 2, 1); /* what goes back may come again */
	STEP(w, mm_munmap(w->mm, at, LARGE(3)), 0);
	EXPECT_POOL(w, 4, 0, 4, 0);
}

static void without_a_promise_a_touch_may_fail(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	uint64_t promised = map_huge(w, 3, PRIVATE_ANON, NULL, 0);
	uint64_t at = map_huge(w, 8, PRIVATE_ANON | MAP_NORESERVE, NULL, 0);
	EXPECT_POOL(w, 4, 0, 4, 3);
	STEP(w, store(w, w->mm, at, 1), 1);
	STEP(w, store(w, w->mm, at + LARGE(1), 1), BUS_ADRERR);
	STEP(w, store(w, w->mm, promised + LARGE(2), 1), 1);
	STEP(w, mm_munmap(w->mm, promised, LARGE(3)), 0);
	STEP(w, store(w, w->mm, at + LARGE(1), 1), 1);
	STEP(w, mm_madvise(w->mm, at, LARGE(2), MADV_DONTNEED), 0);
	EXPECT_POOL(w, 4, 0, 4, 0);
}

static void the_surplus_comes_and_goes(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	w->m->tunables.nr_overcommit_hugepages = 2;
	uint64_t at = map_huge(w, 6, PRIVATE_ANON, NULL, 0);
	EXPECT_POOL(w, 4, 2, 6, 6);
	STEP(w, mm_mmap(w->mm, 0, LARGE(1), RW, HUGE_ANON, NULL, 0), -ENOMEM);
	EXPECT_EQ(user_touch(w->mm, at, LARGE(6), ACCESS_WRITE), 6 * HUGE_PAGES);
	STEP(w, mm_madvise(w->mm, at, LARGE(1), MADV_DONTNEED), 0);
	EXPECT_POOL(w, 4, 1, 0, 0); /* with surplus nothing is promised again */
	STEP(w, store(w, w->mm, at, 1), 1);
	EXPECT_POOL(w, 4, 2, 0, 0);
	STEP(w, mm_munmap(w->mm, at, LARGE(2)), 0);
	EXPECT_POOL(w, 4, 0, 0, 0);
	STEP(w, mm_munmap(w->mm, at, LARGE(6)), 0);
	at = map_huge(w, 6, PRIVATE_ANON | MAP_NORESERVE, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, at, LARGE(6), ACCESS_READ), 6 * HUGE_PAGES);
	EXPECT_POOL(w, 4, 2, 0, 0);
	STEP(w, mm_munmap(w->mm, at, LARGE(6)), 0);
	EXPECT_POOL(w, 4, 0, 4, 0);
}

static void what_cuts_a_large_page_is_refused(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	uint64_t at = map_huge(w, 2, PRIVATE_ANON, NULL, 0);
	STEP(w, mm_munmap(w->mm, at + PAGE_SIZE, LARGE(1)), -EINVAL);
	STEP(w, mm_munmap(w->mm, at, PAGE_SIZE), -EINVAL);
	STEP(w, mm_mprotect(w->mm, at, PAGE_SIZE, PROT_READ, -1), -EINVAL);
	STEP(w, mm_mmap(w->mm, at + PAGE_SIZE, PAGE_SIZE, RW, PRIVATE_ANON | MAP_FIXED, NULL, 0),
	     -EINVAL);
	STEP(w, mm_mmap(w->mm, at + PAGE_SIZE, LARGE(1), RW, HUGE_ANON | MAP_FIXED, NULL, 0),
	     -EINVAL);
	STEP(w, mm_madvise(w->mm, at, PAGES(1), MADV_PAGEOUT), -EINVAL);
	STEP(w, mm_mprotect(w->mm, at, LARGE(1), PROT_READ, -1), 0);
	STEP(w, store(w, w->mm, at, 1), SEGV_ACCERR);
	STEP(w, store(w, w->mm, at + LARGE(1), 1), 1);
	STEP(w, mm_mprotect(w->mm, at, LARGE(1), RW, -1), 0);
	STEP(w, store(w, w->mm, at, 1), 1);
	STEP(w, mm_madvise(w->mm, at, LARGE(1), MADV_DONTNEED), 0);
	EXPECT_EQ(load(w, w->mm, at), 0);
	EXPECT_EQ(nr_vmas(w->mm), 2);
	STEP(w, mm_mlock(w->mm, at, LARGE(2), 0), 0);
	EXPECT_EQ(w->mm->counters.locked_vm, 0);
}

static void mremap_moves_pages_and_promises(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	uint64_t at = map_huge(w, 3, PRIVATE_ANON, NULL, 0);
	uint64_t to = map_huge(w, 8, PRIVATE_ANON | MAP_NORESERVE, NULL, 0);
	const uint64_t fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
	STEP(w, store(w, w->mm, at, 5), 1);
	STEP(w, mm_mremap(w->mm, at, LARGE(3), LARGE(4), MREMAP_MAYMOVE, 0), -EINVAL);
	STEP(w, mm_mremap(w->mm, at, 0, LARGE(1), MREMAP_MAYMOVE, 0), -EINVAL);
	STEP(w, mm_mremap(w->mm, at + PAGES(1), LARGE(1), LARGE(1), 0, 0), -EINVAL);
	STEP(w, mm_mremap(w->mm, at, LARGE(1), LARGE(1), fixed, to + PAGES(1)), -EINVAL);
	STEP(w, mm_mremap(w->mm, at, LARGE(3), LARGE(3), MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0),
	     -EINVAL);
	STEP(w, mm_mremap(w->mm, at, PAGES(1), PAGES(3), 0, 0), (int64_t)at); /* rounded up */
	STEP(w, mm_mremap(w->mm, at, LARGE(3), LARGE(3), fixed, to), (int64_t)to);
	EXPECT_POOL(w, 4, 0, 3, 2);
	EXPECT_EQ(load(w, w->mm, to), 5);
	EXPECT_EQ(load(w, w->mm, at), SEGV_MAPERR);
	STEP(w, store(w, w->mm, to + LARGE(1), 6), 1);
	STEP(w, mm_mremap(w->mm, to + LARGE(2), LARGE(1), LARGE(1), fixed, at), (int64_t)at);
	STEP(w, mm_mremap(w->mm, to, LARGE(2), LARGE(1), 0, 0), (int64_t)to);
	EXPECT_POOL(w, 4, 0, 3, 1);
	uint64_t small = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
	STEP(w, store(w, w->mm, small, 7), 1);
	STEP(w, mm_mremap(w->mm, small, PAGES(8), PAGES(8), fixed, to), -EINVAL); /* cuts one */
	STEP(w, mm_munmap(w->mm, small, PAGES(8)), 0);
	small = to - LARGE(2);
	STEP(w, mm_mmap(w->mm, small, LARGE(1), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0),
	     (int64_t)small);
	STEP(w, store(w, w->mm, small + PAGES(9), 7), 1);
	STEP(w, mm_mremap(w->mm, small, LARGE(1), LARGE(1), fixed, to), (int64_t)to);
	EXPECT_EQ(load(w, w->mm, to + PAGES(9)), 7); /* small pages where a large one was */
	STEP(w, mm_mremap(w->mm, at, LARGE(1), LARGE(1), fixed, to), (int64_t)to);
	STEP(w, store(w, w->mm, to, 8), 1); /* and back */
	EXPECT_POOL(w, 4, 0, 3, 0);
}

static void what_a_mapping_replaces_is_gone(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	uint64_t at = map_huge(w, 4, PRIVATE_ANON, NULL, 0), other = at - LARGE(4);
	STEP(w, mm_mmap(w->mm, at, LARGE(4), RW, HUGE_ANON | MAP_FIXED, NULL, 0), (int64_t)at);
	EXPECT_POOL(w, 4, 0, 4, 4);
	STEP(w, mm_mmap(w->mm, other, LARGE(2), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0),
	     (int64_t)other);
	STEP(w, mm_mmap(w->mm, other, LARGE(1), RW, HUGE_ANON | MAP_FIXED, NULL, 0), -ENOMEM);
	EXPECT_EQ(load(w, w->mm, other), SEGV_MAPERR);
	EXPECT_EQ(load(w, w->mm, other + LARGE(1)), 0);
}

static void fork_copies_on_write(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	uint64_t at = map_huge(w, 3, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	mm *child = fork_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(load(w, child, at), 1);
	STEP(w, store(w, child, at, 2), 1); /* the last that no one is promised */
	EXPECT_EQ(load(w, w->mm, at), 1);
	EXPECT_POOL(w, 4, 0, 2, 2);
	STEP(w, store(w, child, at + LARGE(1), 3), BUS_ADRERR);
	drop_mm(w, child);
	STEP(w, store(w, w->mm, at + LARGE(1), 4), 1);
	EXPECT_POOL(w, 4, 0, 2, 1);
}

static void the_owner_takes_its_page_back(struct world *w)
{
	machine_set_hugepages(w->m, 3);
	uint64_t at = map_huge(w, 3, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, at, LARGE(3), ACCESS_WRITE), 3 * HUGE_PAGES);
	mm *child = fork_mm(w, w->mm), *grandchild = fork_mm(w, child);
	STEP(w, store(w, child, at + LARGE(1), 2), BUS_ADRERR); /* no page for a copy */
	STEP(w, store(w, w->mm, at, 3), 1);
	EXPECT_EQ(load(w, child, at), BUS_ADRERR);
	EXPECT_EQ(load(w, grandchild, at), BUS_ADRERR);
	EXPECT_EQ(load(w, child, at + LARGE(2)), 0);
	machine_set_hugepages(w->m, 5);
	STEP(w, load(w, child, at), BUS_ADRERR); /* it stays so */
	STEP(w, store(w, child, at + LARGE(2), 2), 1);
	STEP(w, mm_munmap(w->mm, at, LARGE(3)), 0);
	EXPECT_EQ(load(w, grandchild, at + LARGE(1)), 0);
	drop_mm(w, grandchild);
	drop_mm(w, child);
	EXPECT_POOL(w, 5, 0, 5, 0);
}

static void a_page_given_back_while_a_child_has_it(struct world *w)
{
	machine_set_hugepages(w->m, 2);
	uint64_t at = map_huge(w, 2, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, at, LARGE(2), ACCESS_WRITE), 2 * HUGE_PAGES);
	mm *child = fork_mm(w, w->mm);
	STEP(w, mm_madvise(w->mm, at, LARGE(1), MADV_DONTNEED), 0);
	EXPECT_POOL(w, 2, 0, 0, 0);
	STEP(w, load(w, w->mm, at), BUS_ADRERR);
	drop_mm(w, child);
	STEP(w, load(w, w->mm, at), 0);
}

static void shared_files(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	file *f = huge_file(w, 3);
	STEP(w, mm_mmap(w->mm, 0, LARGE(1), RW, MAP_SHARED | MAP_HUGETLB, f, 1), -EINVAL);
	uint64_t at = map_huge(w, 2, MAP_SHARED, f, 0), other = map_huge(w, 2, MAP_SHARED, f, 512);
	EXPECT_POOL(w, 4, 0, 4, 3);
	STEP(w, store(w, w->mm, at + LARGE(1) + 5, 9), 1);
	EXPECT_EQ(load(w, w->mm, other + 5), 9);
	mm *child = fork_mm(w, w->mm);
	STEP(w, store(w, child, at + LARGE(1) + 5, 8), 1);
	EXPECT_EQ(load(w, w->mm, other + 5), 8);
	STEP(w, mm_munmap(w->mm, at, LARGE(2)), 0);
	EXPECT_POOL(w, 4, 0, 3, 2); /* promised to the file */
	STEP(w, mm_madvise(w->mm, other, LARGE(1), MADV_DONTNEED), 0);
	EXPECT_EQ(load(w, w->mm, other + 5), 8);
	STEP(w, mapping_truncate(f->mapping, LARGE(1)), 0);
	EXPECT_EQ(load(w, w->mm, other), BUS_ADRERR);
	EXPECT_POOL(w, 4, 0, 4, 1);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 0);
	STEP(w, mm_mmap(w->mm, 0, LARGE(5), RW, MAP_SHARED, f, 512), -ENOMEM);
	EXPECT_EQ(mapping_size(f->mapping), LARGE(1));
	map_huge(w, 1, MAP_PRIVATE, f, 1024);
	EXPECT_EQ(mapping_size(f->mapping), LARGE(3)); /* it grows with its mappings */
	STEP(w, mapping_promise(f->mapping), 0);
	EXPECT_POOL(w, 4, 0, 4, 4);
	STEP(w, mapping_truncate(f->mapping, LARGE(4)), 0);
	STEP(w, mapping_promise(f->mapping), -ENOMEM);
}

static void private_views_of_a_file(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	file *f = huge_file(w, 2);
	uint64_t shared = map_huge(w, 2, MAP_SHARED, f, 0);
	STEP(w, store(w, w->mm, shared, 7), 1);
	uint64_t at = map_huge(w, 1, MAP_PRIVATE, f, 0);
	uint64_t loose = map_huge(w, 2, MAP_PRIVATE | MAP_NORESERVE, f, 0);
	EXPECT_POOL(w, 4, 0, 3, 2);
	EXPECT_EQ(load(w, w->mm, at), 7);
	EXPECT_POOL(w, 4, 0, 3, 2);
	STEP(w, store(w, w->mm, at, 9), 1);
	EXPECT_POOL(w, 4, 0, 2, 1);
	EXPECT_EQ(load(w, w->mm, shared), 7);
	EXPECT_EQ(load(w, w->mm, loose + LARGE(1)), 0); /* of a hole: a page of its own */
	EXPECT_POOL(w, 4, 0, 1, 1);
	STEP(w, store(w, w->mm, loose, 3), BUS_ADRERR);
	STEP(w, mapping_punch(f->mapping, 0, LARGE(1)), 0);
	EXPECT_POOL(w, 4, 0, 3, 2); /* the copy went, too; its promise is back */
	EXPECT_EQ(load(w, w->mm, at), 0);
	STEP(w, mm_munmap(w->mm, at, LARGE(1)), 0);
	STEP(w, mm_munmap(w->mm, loose, LARGE(2)), 0);
	EXPECT_POOL(w, 4, 0, 4, 1);
}

static void read_and_punch(struct world *w)
{
	machine_set_hugepages(w->m, 4);
	file *f = huge_file(w, 3);
	uint64_t at = map_huge(w, 3, MAP_SHARED, f, 0);
	EXPECT_EQ(file_byte(f, LARGE(1) - 1), 0);
	STEP(w, store(w, w->mm, at + LARGE(1), 5), 1);
	STEP(w, store(w, w->mm, at + LARGE(2) - 1, 6), 1);
	EXPECT_EQ(file_byte(f, LARGE(1)), 5);
	EXPECT_EQ(file_byte(f, LARGE(2) - 1), 6);
	EXPECT_EQ(file_byte(f, LARGE(3)), -ENXIO);
	STEP(w, mapping_punch(f->mapping, LARGE(1), LARGE(2) - 1), 0); /* inside one page */
	EXPECT_EQ(file_byte(f, LARGE(1)), 0);
	EXPECT_EQ(file_byte(f, LARGE(2) - 1), 6);
	EXPECT_POOL(w, 4, 0, 3, 2);
	STEP(w, store(w, w->mm, at, 7), 1);
	STEP(w, mapping_punch(f->mapping, 0, LARGE(2) - 1), 0);
	EXPECT_EQ(load(w, w->mm, at + LARGE(2) - 1), 6);
	EXPECT_EQ(load(w, w->mm, at), 0);
	STEP(w, mapping_punch(f->mapping, 1, LARGE(2)), 0);
	EXPECT_POOL(w, 4, 0, 3, 1); /* a hole has no promise */
	STEP(w, mapping_allocate(f->mapping, 1, LARGE(3)), LARGE(3));
	EXPECT_POOL(w, 4, 0, 0, 0);
	STEP(w, mapping_allocate(f->mapping, LARGE(4), 1), -ENOSPC);
	STEP(w, mm_madvise(w->mm, at, LARGE(1), MADV_REMOVE), 0);
	EXPECT_POOL(w, 4, 0, 1, 0);
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
	STEP(w, mm_mincore(w->mm, at, LARGE(1), vec), 0);
	EXPECT_EQ(vec[0] + vec[511], 0);
	STEP(w, store(w, w->mm, at, 1), 1);
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

/* ---- calls in no order: the promises add up after each ---- */

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
	return *seed >> 33;
}

static void random_call(struct world *w, mm *mm, uint64_t *seed)
{
	const uint64_t base = LARGE(1) << 10,
		       flags[] = { PRIVATE_ANON, SHARED_ANON, MAP_PRIVATE, MAP_SHARED };
	uint64_t what = next_random(seed) % 12, nr = 1 + next_random(seed) % 3;
	uint64_t at = base + LARGE(next_random(seed) % 8), to = base + LARGE(next_random(seed) % 8);
	uint64_t kind = flags[next_random(seed) % 4] | (next_random(seed) % 3 ? 0 : MAP_NORESERVE);
	mapping *mp = w->mappings[0];
	if (what < 3)
		mm_mmap(mm, at, LARGE(nr), RW, kind | MAP_FIXED | MAP_HUGETLB,
			kind & MAP_ANONYMOUS ? NULL : w->files[0], (at - base) >> PAGE_SHIFT);
	else if (what < 6)
		user_touch(mm, at, LARGE(nr), what == 3 ? ACCESS_READ : ACCESS_WRITE);
	else if (what == 6)
		mm_munmap(mm, at, LARGE(nr));
	else if (what == 7)
		mm_madvise(mm, at, LARGE(nr), nr == 1 ? MADV_REMOVE : MADV_DONTNEED);
	else if (what == 8)
		mm_mremap(mm, at, LARGE(nr), LARGE(nr), MREMAP_MAYMOVE | MREMAP_FIXED, to);
	else if (what == 9)
		mapping_punch(mp, at - base, at - base + LARGE(nr) - PAGES(nr % 2));
	else if (what == 10)
		mapping_truncate(mp, at - base);
	else
		machine_set_hugepages(w->m, 2 + next_random(seed) % 8);
}

#define EXPECT_USED(q, nr) EXPECT_EQ((q).used, (uint64_t)(nr))

static void a_quota_limits_promises_and_pages(struct world *w)
{
	struct quota quota = { .max = 3 };
	machine_set_hugepages(w->m, 6);
	file *f = huge_file(w, 6);
	mapping_set_quota(f->mapping, &quota);
	STEP(w, mm_mmap(w->mm, 0, LARGE(4), RW, MAP_SHARED | MAP_HUGETLB, f, 0), -ENOMEM);
	EXPECT_USED(quota, 0);
	uint64_t shared = map_huge(w, 2, MAP_SHARED, f, 0);
	EXPECT_USED(quota, 2);
	uint64_t own = map_huge(w, 2, MAP_PRIVATE | MAP_NORESERVE, f, 4 * HUGE_PAGES);
	STEP(w, store(w, w->mm, shared, 1), 1);
	STEP(w, store(w, w->mm, own, 1), 1);
	EXPECT_USED(quota, 3);
	EXPECT_EQ(store(w, w->mm, own + LARGE(1), 1), BUS_ADRERR);
	EXPECT_POOL(w, 6, 0, 4, 1);
	STEP(w, mm_munmap(w->mm, own, LARGE(2)), 0);
	EXPECT_USED(quota, 2);
	STEP(w, mm_munmap(w->mm, shared, LARGE(2)), 0);
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_USED(quota, 0);
	EXPECT_POOL(w, 6, 0, 6, 0);
}

static void the_pool_keeps_pages_for_a_quota(struct world *w)
{
	struct quota quota = { .max = 5 };
	machine_set_hugepages(w->m, 4);
	file *f = huge_file(w, 6);
	mapping_set_quota(f->mapping, &quota);
	STEP(w, quota_keep(w->m, &quota, 5), -ENOMEM);
	STEP(w, quota_keep(w->m, &quota, 3), 0);
	EXPECT_POOL(w, 4, 0, 4, 3);
	STEP(w, mm_mmap(w->mm, 0, LARGE(2), RW, HUGE_ANON, NULL, 0), -ENOMEM);
	uint64_t at = map_huge(w, 2, MAP_SHARED, f, 0);
	EXPECT_POOL(w, 4, 0, 4, 3);
	STEP(w, store(w, w->mm, at, 1), 1);
	EXPECT_POOL(w, 4, 0, 3, 2);
	STEP(w, mm_mmap(w->mm, 0, LARGE(5), RW, MAP_SHARED | MAP_HUGETLB, f, 0), -ENOMEM);
	uint64_t own = map_huge(w, 1, MAP_PRIVATE, f, 0);
	STEP(w, store(w, w->mm, own, 1), 1);
	EXPECT_POOL(w, 4, 0, 2, 1);
	STEP(w, mm_madvise(w->mm, own, LARGE(1), MADV_DONTNEED), 0);
	EXPECT_USED(quota, 3);
	EXPECT_POOL(w, 4, 0, 3, 2);
	machine_set_hugepages(w->m, 0);
	EXPECT_POOL(w, 0, 3, 2, 2);
	STEP(w, mm_munmap(w->mm, own, LARGE(1)), 0);
	STEP(w, mm_munmap(w->mm, at, LARGE(2)), 0);
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_POOL(w, 0, 3, 3, 3);
	quota_forget(w->m, &quota);
	EXPECT_POOL(w, 0, 0, 0, 0);
}

static void random_calls_of(struct world *w, struct quota *quota)
{
	uint64_t seed = 1;
	file *f = huge_file(w, 8);
	mapping_set_quota(f->mapping, quota);
	w->m->tunables.nr_overcommit_hugepages = 2;
	machine_set_hugepages(w->m, 6);
	mm *child = fork_mm(w, w->mm);
	for (int i = 0; i < draws(60) && !failures; i++) {
		random_call(w, next_random(&seed) % 2 ? w->mm : child, &seed);
		CHECK(w);
		if (i % 20 == 0) {
			drop_mm(w, child);
			w->nr_mms = 1;
			child = fork_mm(w, w->mm);
		}
	}
}

static void random_calls(struct world *w) { random_calls_of(w, NULL); }

static struct quota narrow; /* the files of the world end after the test does */

static void random_calls_under_a_quota(struct world *w)
{
	narrow = (struct quota){ .max = 5 };
	machine_set_hugepages(w->m, 2);
	STEP(w, quota_keep(w->m, &narrow, 2), 0);
	random_calls_of(w, &narrow);
	for (uint64_t i = 0; i < w->nr_mms; i++)
		mm_munmap(w->mms[i], LARGE(1) << 10, LARGE(16));
	STEP(w, mapping_truncate(w->files[0]->mapping, 0), 0);
	EXPECT_USED(narrow, 0);
	quota_forget(w->m, &narrow);
	CHECK(w);
	EXPECT_EQ(w->m->counters.nr_huge_reserved, 0);
}

TESTS(TEST(the_pool_grows_and_shrinks), TEST(pages_in_use_become_surplus),
      TEST(mmap_promises_and_a_touch_takes), TEST(without_a_promise_a_touch_may_fail),
      TEST(the_surplus_comes_and_goes), TEST(what_cuts_a_large_page_is_refused),
      TEST(mremap_moves_pages_and_promises), TEST(what_a_mapping_replaces_is_gone),
      TEST(fork_copies_on_write), TEST(the_owner_takes_its_page_back),
      TEST(a_page_given_back_while_a_child_has_it), TEST(shared_files),
      TEST(private_views_of_a_file), TEST(read_and_punch),
      TEST(a_special_vma_is_filled_entry_by_entry), TEST(what_proc_shows), TEST(random_calls),
      TEST(a_quota_limits_promises_and_pages), TEST(the_pool_keeps_pages_for_a_quota),
      TEST(random_calls_under_a_quota))
