/* test_fault_around.c - what a read of a file brings besides the page that was asked for. */
#include "harness.h"

/* One letter for each page of [at, at + nr): # mapped, . not. */
static const char *shown(struct world *w, uint64_t at, uint64_t nr)
{
	static char line[65];
	for (uint64_t i = 0; i < nr; i++)
		line[i] = is_present(w->mm, at + PAGES(i)) ? '#' : '.';
	line[nr] = 0;
	return line;
}

#define EXPECT_SHOWN(w, at, want) \
	do { \
		const char *is_ = shown(w, at, strlen(want)); \
		if (strcmp(is_, want)) \
			complain(__FILE__, __LINE__, "%s, not %s", is_, want); \
		CHECK(w); \
	} while (0)

static uint64_t place(struct world *w, uint64_t at, uint64_t nr, file *f, uint64_t pgoff)
{
	EXPECT_EQ(mm_mmap(w->mm, at, PAGES(nr), RW, MAP_SHARED | MAP_FIXED, f, pgoff), at);
	return at;
}

#define HERE (16 * PMD_SIZE)

static void an_aligned_window_comes(struct world *w)
{
	file *f = memory_file(w, 40);
	uint64_t at = place(w, HERE, 40, f, 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(21)), store_byte(0, 21));
	EXPECT_SHOWN(w, at, "................################........");
	EXPECT_EQ(load(w, w->mm, at + PAGES(16)), store_byte(0, 16));
	EXPECT_EQ(load(w, w->mm, at + PAGES(39)), store_byte(0, 39));
	EXPECT_SHOWN(w, at, "................########################");
	EXPECT_EQ(w->mm->counters.min_flt, 2);
	EXPECT_EQ(w->mm->counters.rss_shmem, 24);
	EXPECT_EQ(*pt_walk(w->mm, at + PAGES(30)) & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED);
}

static void the_window_is_cut(struct world *w)
{
	file *f = memory_file(w, 40);
	uint64_t at = place(w, HERE + PAGES(3), 20, f, 0); /* where the VMA begins, it does */
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 1));
	EXPECT_SHOWN(w, at, "################....");
	at = place(w, HERE + PMD_SIZE - PAGES(5), 20, f, 2); /* where a page table ends, it does */
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 2));
	EXPECT_SHOWN(w, at, "#####...............");
	at = place(w, HERE + 3 * PMD_SIZE, 6, f, 30); /* and where the VMA ends */
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(0, 32));
	EXPECT_SHOWN(w, at, "######..");
	at = place(w, HERE + 4 * PMD_SIZE, 16, f, 36); /* and where the file does */
	EXPECT_EQ(load(w, w->mm, at + PAGES(9)), BUS_ADRERR);
	EXPECT_SHOWN(w, at, "####............");
}

static void a_store_comes_alone(struct world *w)
{
	file *f = memory_file(w, 16);
	uint64_t at = place(w, HERE, 16, f, 0);
	EXPECT_EQ(store(w, w->mm, at + PAGES(5), 9), 1);
	EXPECT_SHOWN(w, at, ".....#..........");
	EXPECT_EQ(load(w, w->mm, at + PAGES(4)), store_byte(0, 4));
	EXPECT_SHOWN(w, at, "################");
	EXPECT_EQ(load(w, w->mm, at + PAGES(5)), 9);
}

static void copies_and_guards_stay(struct world *w)
{
	file *f = memory_file(w, 16);
	uint64_t at = map(w, 16, RW, MAP_PRIVATE, f, 0);
	EXPECT_EQ(store(w, w->mm, at + PAGES(5), 9), 1);
	EXPECT_EQ(mm_madvise(w->mm, at + PAGES(7), PAGES(2), MADV_GUARD_INSTALL), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 1));
	EXPECT_EQ(load(w, w->mm, at + PAGES(5)), 9);
	EXPECT_EQ(load(w, w->mm, at + PAGES(7)), SEGV_MAPERR);
	EXPECT_EQ(w->mm->counters.rss_anon, 1);
	EXPECT(!(*pt_walk(w->mm, at + PAGES(1)) & PTE_WRITE));
	CHECK(w);
}

static void what_is_not_cached_stays_away(struct world *w)
{
	file *f = store_file(w, 16);
	uint64_t at = place(w, HERE, 16, f, 0);
	uint8_t byte;
	EXPECT_EQ(SERVED(w, mapping_read(f->mapping, PAGES(3), &byte, 1)), 1);
	EXPECT_EQ(SERVED(w, mapping_read(f->mapping, PAGES(9), &byte, 1)), 1);
	EXPECT_EQ(mm_fault(w->mm, at, ACCESS_READ), NEED_PAGE); /* what is there, already came */
	EXPECT_SHOWN(w, at, "...#.....#......");
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	EXPECT_SHOWN(w, at, "#..#.....#......");
	EXPECT_EQ(store(w, w->mm, at + PAGES(3), 1), 1); /* a clean one tells of its first store */
	EXPECT_EQ(w->mm->counters.min_flt, 2);
}

static void what_is_in_swap_stays_there(struct world *w)
{
	add_swap(w, 64);
	file *f = memory_file(w, 16);
	uint64_t at = place(w, HERE, 16, f, 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 3));
	EXPECT_EQ(mm_madvise(w->mm, at, PAGES(8), MADV_PAGEOUT), 0);
	EXPECT_SHOWN(w, at, "........########");
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(0, 2));
	EXPECT_SHOWN(w, at, "..#.....########");
}

static void locked_pages_are_known_as_such(struct world *w)
{
	file *f = memory_file(w, 16);
	uint64_t at = place(w, HERE, 16, f, 0);
	EXPECT_EQ(mm_mlock(w->mm, at, PAGES(16), MLOCK_ONFAULT), 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	EXPECT_EQ(w->m->counters.nr_unevictable, 16);
	CHECK(w);
	EXPECT_EQ(mm_munlock(w->mm, at, PAGES(16)), 0);
	EXPECT_EQ(w->m->counters.nr_unevictable, 0);
	CHECK(w);
}

static void some_files_come_page_by_page(struct world *w)
{
	file *f = memory_file(w, 16);
	file_set_mode(f, FILE_READ | FILE_WRITE | FILE_PAGEWISE);
	uint64_t at = place(w, HERE, 16, f, 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 3));
	EXPECT_SHOWN(w, at, "...#............");
}

static void nonlinear_areas_come_page_by_page(struct world *w)
{
	file *f = memory_file(w, 16);
	uint64_t at = place(w, HERE, 16, f, 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, at + PAGES(2), PAGES(1), 0, 9, 0, NULL), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(0, 9));
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 1));
	EXPECT_SHOWN(w, at, ".##.............");
}

static void off_and_smaller(struct world *w)
{
	file *f = memory_file(w, 16);
	uint64_t at = place(w, HERE, 16, f, 0);
	PAGE_BY_PAGE(w);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 3));
	EXPECT_SHOWN(w, at, "...#............");
	w->m->tunables.fault_around_bytes = PAGES(4);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(0, 2));
	EXPECT_SHOWN(w, at, "####............");
}

/* Where the reverse map has no memory for a neighbour, the page itself may still come. */
static void a_refusal_is_no_error(struct world *w)
{
	file *f = memory_file(w, 16);
	mm *other = new_mm(w);
	for (uint64_t n = 1; n < 24; n++) {
		uint64_t at = place(w, HERE, 16, f, 0);
		machine_fail_nth(w->m, n);
		int64_t byte = load(w, w->mm, at + PAGES(3));
		EXPECT(byte == store_byte(0, 3) || byte == -ENOMEM || byte == NEED_MEMORY);
		machine_fail_nth(w->m, 0);
		CHECK(w);
		EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 3));
		EXPECT_EQ(mm_mmap(other, HERE, PAGES(16), RW, MAP_SHARED | MAP_FIXED, f, 0), HERE);
		EXPECT_EQ(load(w, other, HERE), store_byte(0, 0)); /* so that pages have chains */
		CHECK(w);
	}
}

static void reclaim_finds_them(struct world *w)
{
	file *f = store_file(w, 16);
	uint64_t at = place(w, HERE, 16, f, 0);
	uint8_t byte;
	for (uint64_t i = 0; i < 16; i++)
		EXPECT_EQ(SERVED(w, mapping_read(f->mapping, PAGES(i), &byte, 1)), 1);
	mm *child = fork_mm(w, w->mm);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	EXPECT_EQ(load(w, child, at), store_byte(0, 0));
	EXPECT_EQ(mapping_find(f->mapping, 7)->mapcount, 2);
	squeeze(w);
	EXPECT_SHOWN(w, at, "................");
	EXPECT_EQ(mapping_nr_pages(f->mapping), 0);
	EXPECT_EQ(mapping_truncate(f->mapping, 0), 0);
	CHECK(w);
}

TESTS(TEST(an_aligned_window_comes), TEST(the_window_is_cut), TEST(a_store_comes_alone),
      TEST(copies_and_guards_stay), TEST(what_is_not_cached_stays_away),
      TEST(what_is_in_swap_stays_there), TEST(locked_pages_are_known_as_such),
      TEST(some_files_come_page_by_page), TEST(nonlinear_areas_come_page_by_page),
      TEST(off_and_smaller), TEST(a_refusal_is_no_error), TEST(reclaim_finds_them))
