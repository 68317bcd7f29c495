/* Memory pressure: swap, writeback, locked pages, and what a program sees of them: nothing. */
#include "harness.h"

#define MANY 700 /* pages; more than the machine has */

static void fill(struct world *w, mm *mm, uint64_t at, uint64_t nr, uint8_t salt)
{
	for (uint64_t i = 0; i < nr; i++)
		EXPECT_EQ(store(w, mm, at + PAGES(i), (uint8_t)(i * 7 + salt)), 1);
}

static void expect_filled(struct world *w, mm *mm, uint64_t at, uint64_t nr, uint8_t salt)
{
	for (uint64_t i = 0; i < nr; i++)
		EXPECT_EQ(load(w, mm, at + PAGES(i)), (uint8_t)(i * 7 + salt));
}

static void anonymous_memory_larger_than_ram(struct world *w)
{
	add_swap(w, 1000);
	uint64_t at = map(w, MANY, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, at, MANY, 1);
	CHECK(w);
	EXPECT(w->m->counters.pswpout > 0);
	EXPECT(w->mm->counters.nr_swap >= MANY - NR_RAM_PAGES);
	expect_filled(w, w->mm, at, MANY, 1);
	EXPECT(w->m->counters.pswpin > 0);
	EXPECT(w->mm->counters.maj_flt > 0);
	CHECK(w);
	STEP(w, mm_munmap(w->mm, at, PAGES(MANY)), 0);
	EXPECT_EQ(w->m->counters.nr_swap_used, 0);
}

static void memory_file_larger_than_ram(struct world *w)
{
	add_swap(w, 1000);
	file *f = new_file(w, MAPPING_MEMORY, MANY, FILE_READ | FILE_WRITE);
	uint64_t at = map(w, MANY, RW, MAP_SHARED, f, 0);
	fill(w, w->mm, at, MANY, 2);
	CHECK(w);
	EXPECT(mapping_nr_swapped(f->mapping) > 0);
	expect_filled(w, w->mm, at, MANY, 2);
	uint8_t byte = 0;
	EXPECT_EQ(SERVED(w, mapping_read(f->mapping, PAGES(3), &byte, 1)), 1);
	EXPECT_EQ(byte, 3 * 7 + 2);
	STEP(w, SERVED(w, mapping_truncate(f->mapping, PAGES(10) + 5)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(9)), (uint8_t)(9 * 7 + 2));
	EXPECT_EQ(load(w, w->mm, at + PAGES(11)), BUS_ADRERR);
	STEP(w, SERVED(w, mapping_truncate(f->mapping, 0)), 0);
	EXPECT_EQ(w->m->counters.nr_swap_used, 0);
}

static void dirty_file_pages_are_written_and_come_back(struct world *w)
{
	file *f = store_file(w, MANY);
	uint64_t at = map(w, MANY, RW, MAP_SHARED, f, 0);
	fill(w, w->mm, at, MANY, 3);
	CHECK(w);
	EXPECT(w->written > 0);
	expect_filled(w, w->mm, at, MANY, 3);
	CHECK(w);
}

static void clean_file_pages_are_dropped(struct world *w)
{
	file *f = store_file(w, MANY);
	uint64_t at = map(w, MANY, PROT_READ, MAP_SHARED, f, 0);
	for (uint64_t round = 0; round < 2; round++)
		for (uint64_t i = 0; i < MANY; i++)
			EXPECT_EQ(load(w, w->mm, at + PAGES(i)), store_byte(0, i));
	EXPECT_EQ(w->written, 0);
	EXPECT(w->fetched > MANY);
	CHECK(w);
}

static void without_swap_anonymous_memory_ends(struct world *w)
{
	w->m->tunables.overcommit_memory = 1;
	uint64_t at = map(w, MANY, RW, PRIVATE_ANON, NULL, 0), i = 0;
	while (i < MANY && store(w, w->mm, at + PAGES(i), 1) == 1)
		i++;
	EXPECT(i > NR_RAM_PAGES / 2 && i < NR_RAM_PAGES);
	EXPECT_EQ(store(w, w->mm, at + PAGES(i), 1), NEED_MEMORY);
	CHECK(w);
}

static void full_swap_ends_too(struct world *w)
{
	w->m->tunables.overcommit_memory = 1;
	add_swap(w, 20);
	uint64_t at = map(w, MANY, RW, PRIVATE_ANON, NULL, 0), i = 0;
	while (i < MANY && store(w, w->mm, at + PAGES(i), (uint8_t)i) == 1)
		i++;
	EXPECT(i < MANY);
	EXPECT_EQ(w->m->counters.nr_swap_used, 20);
	CHECK(w);
}

static void pages_shared_by_fork_keep_their_content(struct world *w)
{
	add_swap(w, 1000);
	uint64_t at = map(w, 100, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, at, 100, 4);
	mm *child = fork_mm(w, w->mm);
	uint64_t more = map(w, 450, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, more, 450, 5);
	CHECK(w);
	EXPECT(child->counters.nr_swap > 0);
	mm *grandchild = fork_mm(w, child); /* swap ptes are shared, too */
	CHECK(w);
	fill(w, child, at, 50, 6);
	CHECK(w);
	expect_filled(w, w->mm, at, 100, 4);
	expect_filled(w, child, at, 50, 6);
	expect_filled(w, grandchild, at, 100, 4);
	CHECK(w);
	drop_mm(w, w->mm);
	CHECK(w);
	expect_filled(w, grandchild, at, 100, 4);
	CHECK(w);
}

static void private_copies_of_a_file_go_to_swap(struct world *w)
{
	add_swap(w, 1000);
	file *f = store_file(w, 100);
	uint64_t at = map(w, 100, RW, MAP_PRIVATE, f, 0);
	fill(w, w->mm, at, 100, 7);
	STEP(w, mm_madvise(w->mm, at, PAGES(100), MADV_PAGEOUT), 0);
	EXPECT_EQ(w->mm->counters.nr_swap, 100);
	EXPECT_EQ(SERVED(w, mapping_punch(f->mapping, 0, PAGES(10))), 0); /* copies stay */
	expect_filled(w, w->mm, at, 100, 7);
	STEP(w, mm_madvise(w->mm, at, PAGES(100), MADV_PAGEOUT), 0);
	STEP(w, mapping_truncate(f->mapping, PAGES(50)), 0); /* copies go */
	EXPECT_EQ(w->mm->counters.nr_swap, 50);
	EXPECT_EQ(load(w, w->mm, at + PAGES(60)), BUS_ADRERR);
}

static void locked_pages_stay(struct world *w)
{
	add_swap(w, 1000);
	uint64_t at = map(w, 50, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, at, 50, 8);
	STEP(w, mm_mlock(w->mm, at, PAGES(50), 0), 0);
	EXPECT_EQ(w->m->counters.nr_unevictable, 50);
	uint64_t more = map(w, MANY, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, more, MANY, 9);
	for (uint64_t i = 0; i < 50; i++)
		EXPECT(is_present(w->mm, at + PAGES(i)));
	CHECK(w);
	STEP(w, mm_munlock(w->mm, at, PAGES(50)), 0);
	EXPECT_EQ(w->m->counters.nr_unevictable, 0);
	fill(w, w->mm, more, MANY, 10);
	fill(w, w->mm, more, MANY, 11);
	if (w->rmap == RMAP_VIRTUAL_SCAN) /* active pages are few, and wait until there are more */
		EXPECT_EQ(mm_madvise(w->mm, at, PAGES(50), MADV_PAGEOUT), 0);
	EXPECT(!is_present(w->mm, at));
	expect_filled(w, w->mm, at, 50, 8);
	CHECK(w);
}

/* Another task's lock holds a page that this one does not lock. */
static void a_lock_elsewhere_holds_the_page(struct world *w)
{
	add_swap(w, 1000);
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	mm *other = fork_mm(w, w->mm);
	EXPECT_EQ(load(w, other, at), store_byte(0, 0));
	STEP(w, mm_mlock(w->mm, at, PAGES(1), 0), 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	STEP(w, mm_munlock(other, at, PAGES(1)), 0);
	uint64_t more = map(w, MANY, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, more, MANY, 1);
	EXPECT(is_present(w->mm, at));
	CHECK(w);
}

static void special_pages_stay(struct world *w)
{
	add_swap(w, 1000);
	file *f = memory_file(w, 20);
	uint64_t at = map(w, 20, RW, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
	STEP(w, mm_remap_file_pages(w->mm, at, PAGES(20), 0, 0, 0, f), 0);
	uint64_t more = map(w, MANY, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, more, MANY, 1);
	for (uint64_t i = 0; i < 20; i++)
		EXPECT(is_present(w->mm, at + PAGES(i)));
	CHECK(w);
	STEP(w, mm_munmap(w->mm, at, PAGES(20)), 0);
	fill(w, w->mm, more, MANY, 2);
	EXPECT(mapping_nr_swapped(f->mapping) > 0);
	CHECK(w);
}

static void nonlinear_pages_leave_and_return_to_their_place(struct world *w)
{
	add_swap(w, 1000);
	file *f = memory_file(w, 40);
	uint64_t at = map(w, 40, RW, MAP_SHARED, f, 0);
	for (uint64_t i = 0; i < 40; i++)
		STEP(w, mm_remap_file_pages(w->mm, at + PAGES(i), PAGE_SIZE, 0, 39 - i, 0, NULL),
		     0);
	uint64_t more = map(w, MANY, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, more, MANY, 1);
	fill(w, w->mm, more, MANY, 2);
	EXPECT(mapping_nr_swapped(f->mapping) > 0);
	CHECK(w);
	for (uint64_t i = 0; i < 40; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), store_byte(0, 39 - i));
	CHECK(w);
}

static void lazily_freed_pages(struct world *w)
{
	uint64_t at = map(w, 10, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, at, 10, 1);
	STEP(w, mm_madvise(w->mm, at, PAGES(10), MADV_FREE), 0);
	expect_filled(w, w->mm, at, 10, 1); /* nothing wants them yet */
	STEP(w, mm_madvise(w->mm, at, PAGES(10), MADV_FREE), 0);
	EXPECT_EQ(store(w, w->mm, at, 99), 1); /* wanted again */
	file *f = store_file(w, MANY);
	uint64_t more = map(w, MANY, PROT_READ, MAP_SHARED, f, 0);
	for (uint64_t i = 0; i < MANY; i++)
		EXPECT_EQ(load(w, w->mm, more + PAGES(i)), store_byte(0, i));
	EXPECT_EQ(w->m->counters.pglazyfreed, 9);
	EXPECT_EQ(load(w, w->mm, at), 99);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 0);
	CHECK(w);
}

static void advice_ages_evicts_and_brings(struct world *w)
{
	add_swap(w, 100);
	uint64_t at = map(w, 10, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, at, 10, 1);
	STEP(w, mm_madvise(w->mm, at, PAGES(10), MADV_COLD), 0);
	EXPECT_EQ(w->m->counters.nr_inactive_anon, 10);
	STEP(w, mm_madvise(w->mm, at, PAGES(10), MADV_PAGEOUT), 0);
	EXPECT_EQ(w->mm->counters.nr_swap, 10);
	uint8_t vec[10];
	EXPECT_EQ(mm_mincore(w->mm, at, PAGES(10), vec), 0);
	EXPECT_EQ(vec[0] + vec[9], 0);
	STEP(w, mm_madvise(w->mm, at, PAGES(5), MADV_WILLNEED), 0);
	EXPECT_EQ(mm_mincore(w->mm, at, PAGES(10), vec), 0);
	EXPECT_EQ(vec[0] + vec[4], 2);
	EXPECT_EQ(vec[5], 0);
	struct smaps_info info;
	EXPECT_EQ(mm_smaps(w->mm, at, &info), 0);
	EXPECT_EQ(info.swap, 10);
	uint64_t reads = w->m->counters.pswpin;
	expect_filled(w, w->mm, at, 5, 1);
	EXPECT_EQ(w->m->counters.pswpin, reads);
	CHECK(w);
	fill(w, w->mm, at, 10, 2); /* exclusive pages leave the swap cache */
	EXPECT_EQ(w->m->counters.nr_swap_used, 0);
	CHECK(w);
}

/* What was read from swap and not written goes out again without a write. */
static void clean_swap_cache_is_not_written_again(struct world *w)
{
	add_swap(w, 100);
	uint64_t at = map(w, 10, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, at, 10, 1);
	STEP(w, mm_madvise(w->mm, at, PAGES(10), MADV_PAGEOUT), 0);
	expect_filled(w, w->mm, at, 10, 1);
	uint64_t writes = w->m->counters.pswpout;
	STEP(w, mm_madvise(w->mm, at, PAGES(10), MADV_PAGEOUT), 0);
	EXPECT_EQ(w->m->counters.pswpout, writes);
	expect_filled(w, w->mm, at, 10, 1);
}

static void swapoff_brings_everything_back(struct world *w)
{
	add_swap(w, 200);
	add_swap(w, 200);
	file *f = memory_file(w, 40);
	uint64_t at = map(w, 40, RW, PRIVATE_ANON, NULL, 0),
		 file_at = map(w, 40, RW, MAP_SHARED, f, 0);
	fill(w, w->mm, at, 40, 1);
	fill(w, w->mm, file_at, 40, 2);
	mm *child = fork_mm(w, w->mm);
	STEP(w, mm_madvise(child, at, PAGES(40), MADV_PAGEOUT), 0); /* shared: stay */
	EXPECT_EQ(child->counters.nr_swap, 0);
	drop_mm(w, child);
	STEP(w, mm_madvise(w->mm, at, PAGES(80), MADV_PAGEOUT), -ENOMEM);
	STEP(w, mm_madvise(w->mm, at, PAGES(40), MADV_PAGEOUT), 0);
	STEP(w, mm_madvise(w->mm, file_at, PAGES(40), MADV_PAGEOUT), 0);
	EXPECT_EQ(w->m->counters.nr_swap_used, 80);
	STEP(w, SERVED(w, swap_off(w->m, 0)), 0);
	STEP(w, SERVED(w, swap_off(w->m, 1)), 0);
	EXPECT_EQ(w->m->counters.nr_swap_total, 0);
	expect_filled(w, w->mm, at, 40, 1);
	expect_filled(w, w->mm, file_at, 40, 2);
}

static void swapoff_without_room_changes_nothing(struct world *w)
{
	add_swap(w, 1000);
	uint64_t at = map(w, MANY, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, at, MANY, 1);
	EXPECT_EQ(SERVED(w, swap_off(w->m, 0)), NEED_MEMORY);
	swap_off_cancel(w->m, 0);
	CHECK(w);
	expect_filled(w, w->mm, at, MANY, 1);
	CHECK(w);
}

static void failed_reads_of_swap(struct world *w)
{
	w->m->tunables.page_cluster = 0;
	add_swap(w, 100);
	file *f = memory_file(w, 2);
	uint64_t at = map(w, 2, RW, PRIVATE_ANON, NULL, 0),
		 file_at = map(w, 2, RW, MAP_SHARED, f, 0);
	fill(w, w->mm, at, 2, 1);
	fill(w, w->mm, file_at, 2, 2);
	STEP(w, mm_madvise(w->mm, at, PAGES(2), MADV_PAGEOUT), 0);
	STEP(w, mm_madvise(w->mm, file_at, PAGES(2), MADV_PAGEOUT), 0);
	machine_fail_io(w->m, IO_SWAP_READ, 1);
	STEP(w, load(w, w->mm, at), BUS_ADRERR);
	EXPECT_EQ(load(w, w->mm, at + PAGE_SIZE), 8);
	machine_fail_io(w->m, IO_SWAP_READ, 1);
	STEP(w, load(w, w->mm, file_at), BUS_ADRERR);
	machine_fail_io(w->m, IO_SWAP_READ, 1);
	EXPECT_EQ(file_byte(f, 0), -EIO);
	expect_filled(w, w->mm, at, 2, 1); /* the next try works */
	expect_filled(w, w->mm, file_at, 2, 2);
	EXPECT_EQ(w->m->counters.swap_read_errors, 3);
}

static void failed_writes_to_swap(struct world *w)
{
	add_swap(w, 100);
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, at, 4, 1);
	machine_fail_io(w->m, IO_SWAP_WRITE, 2);
	STEP(w, mm_madvise(w->mm, at, PAGES(4), MADV_PAGEOUT), 0);
	EXPECT_EQ(w->m->counters.nr_swapcached, 1); /* the page stayed in memory */
	expect_filled(w, w->mm, at, 4, 1);
	EXPECT_EQ(w->m->counters.swap_write_errors, 1);
	CHECK(w);
}

static void drop_caches_takes_clean_pages_only(struct world *w)
{
	PAGE_BY_PAGE(w);
	file *f = store_file(w, 10), *g = memory_file(w, 5);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 0);
	uint8_t byte;
	EXPECT_EQ(SERVED(w, mapping_read(f->mapping, 0, &byte, 1)), 1);
	for (uint64_t i = 0; i < 10; i++)
		EXPECT_EQ(SERVED(w, mapping_read(f->mapping, PAGES(i), &byte, 1)), 1);
	EXPECT_EQ(SERVED(w, mapping_write(f->mapping, PAGES(5), "x", 1)), 1);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0)); /* mapped */
	STEP(w, machine_drop_caches(w->m), 8);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 2);
	EXPECT_EQ(mapping_nr_pages(g->mapping), 5);
}

static void watermarks(struct world *w)
{
	add_swap(w, 1000);
	w->m->tunables.watermark_min = 20;
	w->m->tunables.watermark_low = 30;
	w->m->tunables.watermark_high = 40;
	uint64_t at = map(w, MANY, RW, PRIVATE_ANON, NULL, 0), least = NR_RAM_PAGES;
	for (uint64_t i = 0; i < MANY; i++) {
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), 1), 1);
		if (w->m->counters.nr_free < least)
			least = w->m->counters.nr_free;
	}
	EXPECT(least >= 20);
	EXPECT(w->m->counters.pgsteal_kswapd > 0);
	CHECK(w);
}

/* ---- reading ahead ---- */

/* nr anonymous pages in slots 1, 2, ... */
static uint64_t paged_out(struct world *w, uint64_t nr)
{
	add_swap(w, 100);
	uint64_t at = map(w, nr, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, at, nr, 9);
	STEP(w, mm_madvise(w->mm, at, PAGES(nr), MADV_PAGEOUT), 0);
	EXPECT_EQ(w->m->counters.nr_swapcached, 0);
	return at;
}

static void a_fault_reads_its_aligned_window(struct world *w)
{
	const struct counters *c = &w->m->counters;
	uint64_t at = paged_out(w, 20);
	EXPECT_EQ(load(w, w->mm, at + PAGES(9)), 9 * 7 + 9); /* slot 10, of 8..15 */
	EXPECT_EQ(c->pswpin, 8);
	EXPECT_EQ(c->swap_ra, 7);
	EXPECT_EQ(c->nr_swapcached, 8);
	EXPECT_EQ(w->mm->counters.rss_anon, 1); /* what is read ahead is not mapped */
	CHECK(w);
	for (uint64_t i = 7; i < 15; i++)
		STEP(w, load(w, w->mm, at + PAGES(i)), (uint8_t)(i * 7 + 9));
	EXPECT_EQ(c->pswpin, 8);
	EXPECT_EQ(c->swap_ra_hit, 7);
	EXPECT_EQ(w->mm->counters.maj_flt, 1);
	EXPECT_EQ(load(w, w->mm, at), 9); /* slot 0 is the header */
	EXPECT_EQ(c->swap_ra, 7 + 6);
	EXPECT_EQ(load(w, w->mm, at + PAGES(19)), (uint8_t)(19 * 7 + 9)); /* 21..23 are free */
	EXPECT_EQ(c->swap_ra, 7 + 6 + 4);
	STEP(w, mm_munmap(w->mm, at, PAGES(20)), 0);
	EXPECT_EQ(c->nr_swap_used + c->nr_swapcached, 0);
}

static void a_window_of_one_slot_reads_nothing_ahead(struct world *w)
{
	w->m->tunables.page_cluster = 0;
	uint64_t at = paged_out(w, 20);
	expect_filled(w, w->mm, at, 20, 9);
	EXPECT_EQ(w->m->counters.pswpin, 20);
	EXPECT_EQ(w->m->counters.swap_ra, 0);
}

static void a_window_ends_with_its_area(struct world *w)
{
	w->m->tunables.page_cluster = 31;
	uint64_t at = paged_out(w, 100);
	EXPECT_EQ(load(w, w->mm, at), 9);
	EXPECT_EQ(w->m->counters.swap_ra, 99);
	CHECK(w);
}

/* Older pages that were used stay. */
static void pages_read_ahead_are_the_first_to_go(struct world *w)
{
	uint64_t at = paged_out(w, 16), used = map(w, 30, RW, PRIVATE_ANON, NULL, 0);
	fill(w, w->mm, used, 30, 1);
	EXPECT_EQ(mm_madvise(w->mm, used, PAGES(30), MADV_COLD), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(7)), 7 * 7 + 9);
	EXPECT_EQ(w->m->counters.swap_ra, 7);
	struct reclaim r = { .nr_to_free = 7 };
	EXPECT_EQ(machine_reclaim(w->m, &r), 7);
	EXPECT_EQ(w->mm->counters.rss_anon, 31);
	EXPECT_EQ(w->m->counters.nr_swapcached, 1);
	CHECK(w);
	expect_filled(w, w->mm, at, 16, 9); /* their copies in swap are still good */
}

static void nothing_is_read_ahead_when_memory_is_short(struct world *w)
{
	uint64_t at = paged_out(w, 16);
	w->m->tunables.watermark_high = w->m->tunables.watermark_low = w->m->counters.nr_free - 3;
	EXPECT_EQ(load(w, w->mm, at), 9);
	EXPECT_EQ(w->m->counters.swap_ra, 2); /* one page was the fault's own */
	EXPECT_EQ(w->m->counters.nr_free, w->m->tunables.watermark_low);
	CHECK(w);
}

static void a_memory_file_is_read_ahead(struct world *w)
{
	add_swap(w, 100);
	file *f = memory_file(w, 15);
	uint64_t at = map(w, 15, RW, MAP_SHARED, f, 0);
	fill(w, w->mm, at, 15, 3);
	STEP(w, mm_madvise(w->mm, at, PAGES(15), MADV_PAGEOUT), 0);
	EXPECT_EQ(load(w, w->mm, at), 3);
	EXPECT_EQ(w->m->counters.pswpin, 7); /* slots 1..7 */
	CHECK(w);
	expect_filled(w, w->mm, at, 6, 3);
	EXPECT_EQ(w->m->counters.pswpin, 7);
	EXPECT_EQ(w->m->counters.swap_ra_hit, 5);
	EXPECT_EQ(w->m->counters.nr_swapcached, 1); /* those that were taken are no more */
	EXPECT_EQ(load(w, w->mm, at + PAGES(14)), (uint8_t)(14 * 7 + 3));
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(w->m->counters.nr_swapcached + w->m->counters.nr_swap_used, 0);
}

/* A slot that one VMA's page left may lie beside another's: each gets its own bytes. */
static void a_page_read_ahead_finds_its_sharers(struct world *w)
{
	uint64_t at = paged_out(w, 16);
	mm *child = fork_mm(w, w->mm);
	EXPECT_EQ(load(w, w->mm, at), 9);
	expect_filled(w, child, at, 7, 9);
	STEP(w, store(w, child, at + PAGES(3), 200), 1);
	expect_filled(w, w->mm, at, 16, 9);
	EXPECT_EQ(load(w, child, at + PAGES(3)), 200);
	squeeze(w);
	EXPECT_EQ(load(w, child, at + PAGES(3)), 200);
	expect_filled(w, w->mm, at, 16, 9);
	CHECK(w);
}

static void a_failed_read_ahead_harms_no_one(struct world *w)
{
	uint64_t at = paged_out(w, 16);
	machine_fail_io(w->m, IO_SWAP_READ, 3);
	STEP(w, load(w, w->mm, at), 9);
	EXPECT_EQ(w->m->counters.swap_read_errors, 1);
	EXPECT_EQ(w->m->counters.swap_ra, 5);
	expect_filled(w, w->mm, at, 16, 9);
	CHECK(w);
}

static void swapoff_drops_what_was_read_ahead(struct world *w)
{
	uint64_t at = paged_out(w, 16);
	EXPECT_EQ(load(w, w->mm, at), 9);
	STEP(w, swap_off(w->m, 0), 0);
	EXPECT_EQ(w->m->counters.nr_swapcached, 0);
	expect_filled(w, w->mm, at, 16, 9);
}

/* The bytes of every page, whatever is evicted in between, in two address spaces. */
static void storm(struct world *w)
{
	add_swap(w, 1500);
	file *f = new_file(w, MAPPING_MEMORY, 300, FILE_READ | FILE_WRITE);
	uint64_t anon = map(w, 300, RW, PRIVATE_ANON, NULL, 0);
	uint64_t shared = map(w, 300, RW, MAP_SHARED, f, 0);
	static uint8_t own[2][300], common[300];
	memset(own, 0, sizeof(own));
	memset(common, 0, sizeof(common));
	mm *mms[2] = { w->mm, fork_mm(w, w->mm) };
	uint32_t seed = 12345;
	for (int i = 0; i < 4000; i++) {
		seed = seed * 1664525 + 1013904223;
		uint64_t who = seed >> 30 & 1, page = (seed >> 8) % 300, is_file = seed >> 29 & 1;
		uint8_t *model = is_file ? &common[page] : &own[who][page];
		uint64_t at = (is_file ? shared : anon) + PAGES(page);
		if (seed >> 31) {
			*model = (uint8_t)i;
			EXPECT_EQ(store(w, mms[who], at, (uint8_t)i), 1);
		} else {
			EXPECT_EQ(load(w, mms[who], at), *model);
		}
		if (i % 500 == 0)
			CHECK(w);
	}
	EXPECT(w->m->counters.pswpin > 0);
}

TESTS(TEST(anonymous_memory_larger_than_ram), TEST(memory_file_larger_than_ram),
      TEST(dirty_file_pages_are_written_and_come_back), TEST(clean_file_pages_are_dropped),
      TEST(without_swap_anonymous_memory_ends), TEST(full_swap_ends_too),
      TEST(pages_shared_by_fork_keep_their_content), TEST(private_copies_of_a_file_go_to_swap),
      TEST(locked_pages_stay), TEST(a_lock_elsewhere_holds_the_page), TEST(special_pages_stay),
      TEST(nonlinear_pages_leave_and_return_to_their_place), TEST(lazily_freed_pages),
      TEST(advice_ages_evicts_and_brings), TEST(clean_swap_cache_is_not_written_again),
      TEST(swapoff_brings_everything_back), TEST(swapoff_without_room_changes_nothing),
      TEST(failed_reads_of_swap), TEST(failed_writes_to_swap),
      TEST(a_fault_reads_its_aligned_window), TEST(a_window_of_one_slot_reads_nothing_ahead),
      TEST(a_window_ends_with_its_area), TEST(pages_read_ahead_are_the_first_to_go),
      TEST(nothing_is_read_ahead_when_memory_is_short), TEST(a_memory_file_is_read_ahead),
      TEST(a_page_read_ahead_finds_its_sharers), TEST(a_failed_read_ahead_harms_no_one),
      TEST(swapoff_drops_what_was_read_ahead), TEST(drop_caches_takes_clean_pages_only),
      TEST(watermarks), TEST(storm))
