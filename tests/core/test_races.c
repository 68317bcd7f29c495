/*
 * test_races.c - races under memory pressure that were bugs once.
 *
 * The core hands back a need and looks at everything afresh when it is called
 * again; each test lets something happen between the two.  squeeze() is the
 * reclaim that may come at any such moment: it takes all that can be taken.
 */
#include "harness.h"

/* No page is left, and none can be had. */
static void exhaust(struct world *w)
{
	w->m->tunables.overcommit_memory = 1;
	uint64_t at = map(w, NR_RAM_PAGES, RW, PRIVATE_ANON, NULL, 0), i = 0;
	while (store(w, w->mm, at + PAGES(i), 1) == 1)
		i++;
	EXPECT_EQ(w->m->counters.nr_free, 0);
}

static pte_t pte_at_addr(mm *mm, uint64_t addr)
{
	const pte_t *ptep = pt_walk(mm, addr);
	return ptep ? *ptep : 0;
}

static void expect_bytes(struct world *w, mm *mm, uint64_t at, uint64_t nr, uint64_t file_nr)
{
	for (uint64_t i = 0; i < nr; i++)
		EXPECT_EQ(load(w, mm, at + PAGES(i)), store_byte(file_nr, i));
}

/* What the host does when a file is cut: the store forgets what is beyond. */
static void cut(struct world *w, uint64_t nr, uint64_t nr_pages)
{
	EXPECT_EQ(SERVED(w, mapping_truncate(w->mappings[nr], PAGES(nr_pages))), 0);
	stored_page(w, nr, 0);
	for (uint64_t i = nr_pages; i < 64; i++)
		memset(stored_page(w, nr, i), 0, PAGE_SIZE);
}

/* ---- a fault that sleeps ---- */

static void evicted_and_truncated_between_need_and_retry(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(store(w, w->mm, at + PAGES(3), 9), 1);
	squeeze(w);
	EXPECT(!is_present(w->mm, at + PAGES(3)));
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(3), ACCESS_WRITE), NEED_PAGE);
	uint64_t count = machine_need(w->m)->truncate_count;
	cut(w, 0, 1);
	EXPECT_EQ(mapping_add_page(f->mapping, 3, "stale", 5, count), -EAGAIN);
	STEP(w, mm_fault(w->mm, at + PAGES(3), ACCESS_WRITE), BUS_ADRERR);
	cut(w, 0, 4);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), 0);
	EXPECT_EQ(store(w, w->mm, at + PAGES(3), 42), 1);
	squeeze(w);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), 42); /* no later write is lost */
}

static void fetched_page_is_evicted_before_the_retry(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(2), ACCESS_READ), NEED_PAGE);
	EXPECT_EQ(fetch(w), 0);
	squeeze(w);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 0);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(2), ACCESS_READ), NEED_PAGE); /* not a freed frame */
	expect_bytes(w, w->mm, at, 4, 0);
}

/* The mapping and the index are looked at again: install without it showed the wrong file. */
static void another_file_at_another_index_after_the_sleep(struct world *w)
{
	file *f = store_file(w, 8), *g = store_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(1), ACCESS_WRITE), NEED_PAGE);
	EXPECT_EQ(fetch(w), 0);
	EXPECT_EQ(mm_mmap(w->mm, at, PAGES(8), RW, MAP_SHARED | MAP_FIXED, g, 4), (int64_t)at);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(1), ACCESS_WRITE), NEED_PAGE);
	EXPECT_EQ(machine_need(w->m)->index, 5);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(1, 5));
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 77), 1);
	squeeze(w);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 77);
	EXPECT_EQ(SERVED(w, mapping_nr_pages(f->mapping)), 0);
}

/* While the fault on a swapped page waits for memory, the page goes with its VMA. */
static void unmapped_while_a_swap_in_waits(struct world *w)
{
	add_swap(w, 600);
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), 5), 1);
	squeeze(w);
	EXPECT_EQ(w->mm->counters.nr_swap, 4);
	w->m->tunables.watermark_low = NR_RAM_PAGES; /* every page wants reclaim first */
	w->m->tunables.watermark_min = NR_RAM_PAGES;
	EXPECT_EQ(mm_fault(w->mm, at, ACCESS_WRITE), NEED_MEMORY);
	w->m->tunables.watermark_low = w->m->tunables.watermark_min = 0;
	EXPECT_EQ(mm_munmap(w->mm, at, PAGES(4)), 0);
	EXPECT_EQ(w->m->counters.nr_swap_used, 0);
	STEP(w, mm_fault(w->mm, at, ACCESS_WRITE), SEGV_MAPERR);
	EXPECT_EQ(mm_mmap(w->mm, at, PAGES(4), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0), (int64_t)at);
	EXPECT_EQ(load(w, w->mm, at), 0);
}

/* ---- remap_file_pages ---- */

static void nonblock_after_eviction_leaves_no_old_page(struct world *w)
{
	add_swap(w, 600);
	const uint64_t kinds[] = { MAPPING_MEMORY, MAPPING_WRITEBACK };
	for (uint64_t nr = 0; nr < 2; nr++) {
		file *f = kinds[nr] & MAPPING_MEMORY ? memory_file(w, 8) : store_file(w, 8);
		uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
		expect_bytes(w, w->mm, at, 8, nr);
		squeeze(w);
		EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(nr, 2));
		STEP(w,
		     mm_remap_file_pages(w->mm, at + PAGES(2), PAGE_SIZE, 0, 6, MAP_NONBLOCK, NULL),
		     0);
		EXPECT_EQ(pte_at_addr(w->mm, at + PAGES(2)), pte_file(6));
		EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(nr, 6));
		EXPECT_EQ(load(w, w->mm, at + PAGES(6)), store_byte(nr, 6));
	}
}

/* Without a page to be had each form says so; EINVAL would send the caller away for good. */
static void memory_pressure_is_never_einval(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t mixed = map(w, 1024, RW, MAP_SHARED, f, 0);
	uint64_t special = map(w, 1024, RW, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
	uint64_t far = mixed + PAGES(600); /* in a table that does not exist yet */
	exhaust(w);
	EXPECT_EQ(mm_remap_file_pages(w->mm, far, PAGE_SIZE, 0, 2, 0, NULL), NEED_MEMORY);
	EXPECT_EQ(mm_remap_file_pages(w->mm, far, PAGE_SIZE, 0, 2, MAP_NONBLOCK, NULL),
		  NEED_MEMORY);
	EXPECT_EQ(mm_remap_file_pages(w->mm, special + PAGES(600), PAGE_SIZE, 0, 2, 0, f),
		  NEED_MEMORY);
	w->m->tunables.nonlinear_emulated = 1;
	int64_t err = mm_remap_file_pages(w->mm, far, PAGE_SIZE, 0, 2, 0, NULL);
	EXPECT(err == NEED_MEMORY || err == 0);
	EXPECT_EQ(w->m->counters.nr_special, 0);
}

/* Page 7 is shown in place 0: what happens to place 0's own page is no matter of that pte. */
static void eviction_by_the_page_not_by_the_place(struct world *w)
{
	add_swap(w, 600);
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_EQ(mm_remap_file_pages(w->mm, at + PAGES(i), PAGE_SIZE, 0, 7 - i, 0, NULL),
			  0);
	squeeze(w);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), store_byte(0, 7 - i));
	squeeze(w);
	STEP(w, SERVED(w, mapping_truncate(f->mapping, PAGES(4))), 0);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), BUS_ADRERR);
	for (uint64_t i = 4; i < 8; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), store_byte(0, 7 - i));
	STEP(w, mapping_punch(f->mapping, 0, PAGES(1)), 0); /* page 0 is in the last place */
	EXPECT_EQ(load(w, w->mm, at + PAGES(7)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(6)), store_byte(0, 1));
}

static void dirty_nonlinear_page_leaves_and_returns(struct world *w)
{
	file *f = store_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	STEP(w, mm_remap_file_pages(w->mm, at, PAGES(4), 0, 4, MAP_NONBLOCK, NULL), 0);
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 99), 1); /* page 5 */
	squeeze(w);
	EXPECT_EQ(pte_at_addr(w->mm, at + PAGES(1)), pte_file(5));
	EXPECT(w->written > 0);
	EXPECT_EQ(*stored_page(w, 0, 5), 99);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 99);
	EXPECT_EQ(load(w, w->mm, at + PAGES(5)), 99);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(0, 6));
}

/* The fill waits for its second page; the child must not see half of it, nor a pin too many. */
static void fork_while_a_special_fill_waits(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, at, PAGES(4), 0, 0, 0, f), NEED_PAGE);
	EXPECT_EQ(fetch(w), 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, at, PAGES(4), 0, 0, 0, f), NEED_PAGE);
	EXPECT_EQ(machine_need(w->m)->index, 1);
	mm *child = fork_mm(w, w->mm);
	squeeze(w); /* the first page is not held meanwhile */
	EXPECT_EQ(mapping_nr_pages(f->mapping), 0);
	STEP(w, SERVED(w, mm_remap_file_pages(w->mm, at, PAGES(4), 0, 0, 0, f)), 0);
	expect_bytes(w, w->mm, at, 4, 0);
	EXPECT_EQ(load(w, child, at), BUS_ADRERR);
	EXPECT_EQ(w->m->counters.nr_special, 4);
	STEP(w, SERVED(w, mm_remap_file_pages(child, at + PAGES(3), PAGE_SIZE, 0, 0, 0, f)), 0);
	drop_mm(w, w->mm);
	EXPECT_EQ(w->m->counters.nr_special, 1);
	EXPECT_EQ(load(w, child, at + PAGES(3)), store_byte(0, 0));
}

static void fork_while_a_2_6_remap_is_half_faulted_in(struct world *w)
{
	add_swap(w, 600);
	file *f = store_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	expect_bytes(w, w->mm, at + PAGES(0), 2, 0);
	STEP(w, mm_remap_file_pages(w->mm, at, PAGES(4), 0, 1, 0, NULL), 0); /* page 1 is here */
	EXPECT(is_present(w->mm, at));
	EXPECT_EQ(pte_at_addr(w->mm, at + PAGES(1)), pte_file(2));
	mm *child = fork_mm(w, w->mm);
	squeeze(w);
	for (uint64_t i = 0; i < 4; i++) {
		EXPECT_EQ(load(w, child, at + PAGES(i)), store_byte(0, 1 + i));
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), store_byte(0, 1 + i));
	}
	EXPECT_EQ(store(w, child, at + PAGES(3), 7), 1);
	squeeze(w);
	EXPECT_EQ(load(w, w->mm, at + PAGES(4)), 7); /* page 4 in its own place */
}

static void unaligned_start_in_the_last_page_of_an_evicted_vma(struct world *w)
{
	add_swap(w, 600);
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	expect_bytes(w, w->mm, at, 4, 0);
	squeeze(w);
	uint64_t inside = at + PAGES(3) + 4095;
	STEP(w, mm_remap_file_pages(w->mm, inside, PAGE_SIZE, 0, 1, 0, NULL), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 1));
	STEP(w, mm_remap_file_pages(w->mm, inside, PAGES(2), 0, 0, 0, NULL), -EINVAL);
	squeeze(w);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 1));
	expect_bytes(w, w->mm, at, 3, 0);
}

/* ---- two VMAs of one task: the BUG of 2014 in filemap.c ---- */

static void two_vmas_one_remapped_to_page_0(struct world *w)
{
	add_swap(w, 600);
	for (uint64_t nr = 0; nr < 2; nr++) { /* with and without reclaim in between */
		file *f = memory_file(w, 4);
		uint64_t one = map(w, 4, RW, MAP_SHARED, f, 0);
		uint64_t other = map(w, 4, RW, MAP_SHARED, f, 0);
		expect_bytes(w, w->mm, one, 4, nr);
		expect_bytes(w, w->mm, other, 4, nr);
		STEP(w, mm_remap_file_pages(w->mm, other + PAGES(3), PAGE_SIZE, 0, 0, 0, NULL), 0);
		if (nr)
			squeeze(w);
		EXPECT_EQ(load(w, w->mm, other + PAGES(3)), store_byte(nr, 0));
		STEP(w, mm_munmap(w->mm, one, PAGES(4)), 0);
		STEP(w, SERVED(w, mapping_truncate(f->mapping, 0)), 0); /* no pte may stay */
		EXPECT_EQ(load(w, w->mm, other + PAGES(3)), BUS_ADRERR);
		EXPECT_EQ(mapping_nr_pages(f->mapping), 0);
		STEP(w, mm_munmap(w->mm, other, PAGES(4)), 0);
	}
}

/* A wrong order in the VMA list lost mappings: every pte is found, however VMAs came. */
static void vmas_in_any_order_lose_no_page_to_reclaim(struct world *w)
{
	add_swap(w, 600);
	file *f = memory_file(w, 8);
	static const uint8_t order[] = { 3, 0, 7, 5, 1, 6, 2, 4 };
	uint64_t at[8];
	for (int i = 0; i < 8; i++)
		at[order[i]] = map(w, 8 - order[i], RW, MAP_SHARED, f, order[i]);
	for (uint64_t v = 0; v < 8; v++)
		for (uint64_t i = v; i < 8; i++)
			EXPECT_EQ(store(w, w->mm, at[v] + PAGES(i - v), (uint8_t)(10 * v + i)), 1);
	squeeze(w);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 0); /* no page was held by a pte not found */
	for (uint64_t v = 0; v < 8; v++)
		for (uint64_t i = v; i < 8; i++)
			EXPECT_EQ(load(w, w->mm, at[v] + PAGES(i - v)), 10 * i + i);
}

/* ---- swap ---- */

static void mincore_sees_swap(struct world *w)
{
	w->m->tunables.page_cluster = 0; /* what is read ahead is in memory, too */
	add_swap(w, 600);
	file *f = memory_file(w, 4);
	uint64_t anon = map(w, 4, RW, PRIVATE_ANON, NULL, 0), at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(user_touch(w->mm, anon, PAGES(4), ACCESS_WRITE), 4);
	STEP(w, mm_remap_file_pages(w->mm, at, PAGE_SIZE, 0, 3, 0, NULL), 0);
	squeeze(w);
	uint8_t vec[4];
	EXPECT_EQ(mm_mincore(w->mm, anon, PAGES(4), vec), 0);
	EXPECT_EQ(vec[0] + vec[1] + vec[2] + vec[3], 0);
	EXPECT_EQ(mm_mincore(w->mm, at, PAGES(4), vec), 0);
	EXPECT_EQ(vec[0] + vec[1] + vec[2] + vec[3], 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 3)); /* page 3, in its own place */
	EXPECT_EQ(load(w, w->mm, anon + PAGES(2)), 0);
	EXPECT_EQ(mm_mincore(w->mm, at, PAGES(4), vec), 0);
	EXPECT_EQ(vec[0], 1); /* shows the same page, though its pte is not present */
	EXPECT(!is_present(w->mm, at));
	EXPECT_EQ(vec[1] + vec[2], 0);
	EXPECT_EQ(vec[3], 1);
	EXPECT_EQ(mm_mincore(w->mm, anon, PAGES(4), vec), 0);
	EXPECT_EQ(vec[2], 1);
	EXPECT_EQ(vec[0] + vec[1] + vec[3], 0);
}

static void truncate_of_swapped_pages(struct world *w)
{
	add_swap(w, 600);
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0), mine = map(w, 8, RW, MAP_PRIVATE, f, 0);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_EQ(store(w, w->mm, mine + PAGES(i), (uint8_t)(100 + i)), 1);
	squeeze(w);
	EXPECT_EQ(mapping_nr_swapped(f->mapping), 8);
	EXPECT_EQ(w->mm->counters.nr_swap, 8);
	STEP(w, SERVED(w, mapping_truncate(f->mapping, PAGES(4) + 100)), 0);
	EXPECT_EQ(mapping_nr_swapped(f->mapping) + mapping_nr_pages(f->mapping), 5);
	EXPECT_EQ(w->mm->counters.nr_swap, 5); /* copies beyond the end go, too */
	squeeze(w);
	STEP(w, SERVED(w, mapping_truncate(f->mapping, PAGES(8))), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(4) + 99), store_byte(0, 4));
	EXPECT_EQ(load(w, w->mm, at + PAGES(4) + 100), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(6)), 0);
	EXPECT_EQ(load(w, w->mm, mine + PAGES(6)), 0);
	EXPECT_EQ(load(w, w->mm, mine + PAGES(3)), 103);
	STEP(w, SERVED(w, mapping_truncate(f->mapping, 0)), 0);
	EXPECT_EQ(w->m->counters.nr_swap_used, 0);
}

static void copy_on_write_of_a_page_in_the_swap_cache(struct world *w)
{
	add_swap(w, 600);
	uint64_t at = map(w, 2, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 1), 1);
	squeeze(w);
	mm *child = fork_mm(w, w->mm);
	EXPECT_EQ(load(w, w->mm, at),
		  1); /* read into the swap cache; the child's pte names the slot */
	EXPECT_EQ(store(w, w->mm, at, 2), 1);
	CHECK(w);
	EXPECT_EQ(load(w, child, at), 1);
	EXPECT_EQ(store(w, child, at, 3), 1);
	EXPECT_EQ(load(w, w->mm, at), 2);
	EXPECT_EQ(store(w, child, at + PAGES(1), 4),
		  1); /* a write that brings and copies at once */
	squeeze(w);
	EXPECT_EQ(load(w, w->mm, at), 2);
	EXPECT_EQ(load(w, child, at), 3);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 1);
	EXPECT_EQ(load(w, child, at + PAGES(1)), 4);
	drop_mm(w, child);
	EXPECT_EQ(store(w, w->mm, at, 5), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 5), 1);
	EXPECT_EQ(w->m->counters.nr_swap_used, 0); /* what one task alone has is its own again */
	CHECK(w);
}

static void munmap_of_swapped_pages(struct world *w)
{
	add_swap(w, 600);
	uint64_t at = map(w, 12, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, at, PAGES(12), ACCESS_WRITE), 12);
	squeeze(w);
	EXPECT_EQ(w->m->counters.nr_swap_used, 12);
	STEP(w, mm_madvise(w->mm, at, PAGES(6), MADV_WILLNEED), 0); /* in the cache, not mapped */
	EXPECT_EQ(w->m->counters.nr_swapcached, 6);
	mm *child = fork_mm(w, w->mm);
	STEP(w, mm_munmap(w->mm, at + PAGES(4), PAGES(4)), 0);
	EXPECT_EQ(w->m->counters.nr_swap_used, 12); /* the child's */
	EXPECT_EQ(child->counters.nr_swap, 12);
	STEP(w, mm_munmap(child, at + PAGES(4), PAGES(4)), 0);
	EXPECT_EQ(w->m->counters.nr_swap_used, 8);
	EXPECT_EQ(w->m->counters.nr_swapcached, 4);
	STEP(w, mm_madvise(child, at, PAGES(4), MADV_DONTNEED), 0);
	STEP(w, mm_madvise(w->mm, at, PAGES(4), MADV_DONTNEED), 0);
	EXPECT_EQ(w->m->counters.nr_swapcached, 0);
	drop_mm(w, child);
	EXPECT_EQ(w->m->counters.nr_swap_used, 4);
	EXPECT_EQ(load(w, w->mm, at), 0);
	STEP(w, mm_munmap(w->mm, at, PAGES(12)), 0);
	EXPECT_EQ(w->m->counters.nr_swap_used, 0);
}

/* mremap moves swap ptes and file ptes; what they name must come back at the new place. */
static void mremap_of_what_is_not_present(struct world *w)
{
	add_swap(w, 600);
	file *f = memory_file(w, 4);
	uint64_t anon = map(w, 4, RW, PRIVATE_ANON, NULL, 0), at = map(w, 4, RW, MAP_SHARED, f, 0);
	for (uint64_t i = 0; i < 4; i++) {
		EXPECT_EQ(store(w, w->mm, anon + PAGES(i), (uint8_t)(50 + i)), 1);
		STEP(w, mm_remap_file_pages(w->mm, at + PAGES(i), PAGE_SIZE, 0, 3 - i, 0, NULL), 0);
	}
	squeeze(w);
	const uint64_t to = 0x10000000000;
	const uint64_t flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	STEP(w, mm_mremap(w->mm, anon, PAGES(4), PAGES(4), flags, to), (int64_t)to);
	STEP(w, mm_mremap(w->mm, at, PAGES(4), PAGES(4), flags, to + PAGES(8)),
	     (int64_t)(to + PAGES(8)));
	for (uint64_t i = 0; i < 4; i++) {
		EXPECT_EQ(load(w, w->mm, to + PAGES(i)), 50 + i);
		EXPECT_EQ(load(w, w->mm, to + PAGES(8 + i)), store_byte(0, 3 - i));
	}
	squeeze(w);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(load(w, w->mm, to + PAGES(i)), 50 + i);
}

/* ---- locks ---- */

static void a_lock_brings_swapped_pages_and_holds_them(struct world *w)
{
	add_swap(w, 600);
	file *f = memory_file(w, 4);
	uint64_t anon = map(w, 4, RW, PRIVATE_ANON, NULL, 0), at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(user_touch(w->mm, anon, PAGES(4), ACCESS_WRITE), 4);
	squeeze(w);
	STEP(w, mm_mlock(w->mm, anon, PAGES(4), 0), 0);
	STEP(w, mm_mlock(w->mm, at, PAGES(4), 0), 0);
	EXPECT_EQ(mm_populate(w->mm, anon, PAGES(4)), PAGES(4));
	EXPECT_EQ(mm_populate(w->mm, at, PAGES(4)), PAGES(4));
	EXPECT_EQ(w->m->counters.nr_unevictable, 8);
	squeeze(w);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT(is_present(w->mm, anon + PAGES(i)) && is_present(w->mm, at + PAGES(i)));
	mm *child = fork_mm(w, w->mm); /* locks are not inherited, pages are shared */
	squeeze(w);
	EXPECT(is_present(w->mm, anon));
	STEP(w, mm_munlockall(w->mm), 0);
	EXPECT_EQ(w->m->counters.nr_unevictable, 0);
	squeeze(w);
	EXPECT(!is_present(w->mm, anon) && !is_present(child, anon) && !is_present(w->mm, at));
	EXPECT_EQ(load(w, child, anon), 0);
	expect_bytes(w, child, at, 4, 0);
}

/* Only the second lock of a page goes; the first task's still holds it. */
static void two_locks_on_one_page(struct world *w)
{
	add_swap(w, 600);
	file *f = memory_file(w, 2);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 0);
	mm *other = fork_mm(w, w->mm);
	mm *both[2] = { w->mm, other };
	for (int i = 0; i < 2; i++) {
		STEP(w, mm_mlock(both[i], at, PAGES(2), 0), 0);
		EXPECT_EQ(mm_populate(both[i], at, PAGES(2)), PAGES(2));
	}
	EXPECT_EQ(w->m->counters.nr_unevictable, 2);
	STEP(w, mm_munlock(other, at, PAGES(2)), 0);
	squeeze(w);
	EXPECT(is_present(w->mm, at) && is_present(w->mm, at + PAGES(1)));
	drop_mm(w, w->mm);
	squeeze(w);
	EXPECT_EQ(mapping_nr_swapped(f->mapping), 2);
	expect_bytes(w, other, at, 2, 0);
}

/* ---- swapoff ---- */

/* Each time it asks for memory, the others go on: they fill the rest, and exit. */
static void swapoff_while_others_run(struct world *w)
{
	add_swap(w, 700);
	add_swap(w, 700);
	uint64_t at = map(w, 600, RW, PRIVATE_ANON, NULL, 0);
	for (uint64_t i = 0; i < 600; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), (uint8_t)(i * 3)), 1);
	squeeze(w);
	mm *child = fork_mm(w, w->mm);
	uint64_t step = 0;
	int64_t status;
	for (; (status = swap_off(w->m, 0)) == NEED_MEMORY && step < 3000; step++) {
		EXPECT(relieve(w, (int)step));
		uint64_t page = (step * 37) % 600;
		EXPECT_EQ(store(w, child, at + PAGES(page), 200), 1);
		EXPECT_EQ(load(w, w->mm, at + PAGES(page)), (uint8_t)(page * 3));
		if (step % 100 == 0)
			CHECK(w);
	}
	EXPECT_EQ(status, 0);
	EXPECT(step > 2);
	CHECK(w);
	EXPECT_EQ(swap_area_used(w->m, 0), 0);
	EXPECT_EQ(w->m->counters.nr_swap_total, 700);
	for (uint64_t i = 0; i < 600; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), (uint8_t)(i * 3));
	CHECK(w);
}

/* What swapoff brought back went out again to the area that was closing: it never ended. */
static void swapoff_does_not_feed_the_area_it_closes(struct world *w)
{
	add_swap(w, 700);
	uint64_t at = map(w, 600, RW, PRIVATE_ANON, NULL, 0);
	for (uint64_t i = 0; i < 600; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), (uint8_t)i), 1);
	EXPECT_EQ(swap_off(w->m, 0), NEED_MEMORY);
	uint64_t used = (uint64_t)swap_area_used(w->m, 0);
	for (int i = 0; i < 5; i++) {
		squeeze(w);
		EXPECT_EQ(swap_off(w->m, 0), NEED_MEMORY);
		EXPECT((uint64_t)swap_area_used(w->m, 0) <= used);
		used = (uint64_t)swap_area_used(w->m, 0);
	}
	swap_off_cancel(w->m, 0);
	squeeze(w);
	for (uint64_t i = 0; i < 600; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), (uint8_t)i);
}

/* A read error in the middle leaves the area in use, with everything in it. */
static void swapoff_that_cannot_read(struct world *w)
{
	add_swap(w, 100);
	uint64_t at = map(w, 20, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, at, PAGES(20), ACCESS_WRITE), 20);
	squeeze(w);
	machine_fail_io(w->m, IO_SWAP_READ, 11);
	STEP(w, swap_off(w->m, 0), -EIO);
	EXPECT_EQ(w->m->counters.nr_swap_total, 100);
	EXPECT_EQ(w->mm->counters.nr_swap, 10);
	squeeze(w);
	EXPECT_EQ(w->mm->counters.nr_swap, 20);
	STEP(w, swap_off(w->m, 0), 0);
	EXPECT_EQ(w->mm->counters.nr_swap, 0);
}

TESTS(TEST(evicted_and_truncated_between_need_and_retry),
      TEST(fetched_page_is_evicted_before_the_retry),
      TEST(another_file_at_another_index_after_the_sleep), TEST(unmapped_while_a_swap_in_waits),
      TEST(nonblock_after_eviction_leaves_no_old_page), TEST(memory_pressure_is_never_einval),
      TEST(eviction_by_the_page_not_by_the_place), TEST(dirty_nonlinear_page_leaves_and_returns),
      TEST(fork_while_a_special_fill_waits), TEST(fork_while_a_2_6_remap_is_half_faulted_in),
      TEST(unaligned_start_in_the_last_page_of_an_evicted_vma),
      TEST(two_vmas_one_remapped_to_page_0), TEST(vmas_in_any_order_lose_no_page_to_reclaim),
      TEST(mincore_sees_swap), TEST(truncate_of_swapped_pages),
      TEST(copy_on_write_of_a_page_in_the_swap_cache), TEST(munmap_of_swapped_pages),
      TEST(mremap_of_what_is_not_present), TEST(a_lock_brings_swapped_pages_and_holds_them),
      TEST(two_locks_on_one_page), TEST(swapoff_while_others_run),
      TEST(swapoff_does_not_feed_the_area_it_closes), TEST(swapoff_that_cannot_read))
