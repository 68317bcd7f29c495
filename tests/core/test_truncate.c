/* test_truncate.c - truncation, punching, and the races that were bugs once. */
#include "harness.h"

static void beyond_the_end_is_a_bus_error(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 3));
	STEP(w, mapping_truncate(f->mapping, PAGES(2)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3) + 8), BUS_ADRERR);
	EXPECT_EQ(machine_need(w->m)->addr, at + PAGES(3) + 8);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 1));
	STEP(w, mapping_truncate(f->mapping, PAGES(4)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), 0);
	CHECK(w);
}

static void tail_of_the_last_page_is_zeroed(struct world *w)
{
	file *f = memory_file(w, 2);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 0);
	STEP(w, mapping_truncate(f->mapping, 100), 0);
	EXPECT_EQ(load(w, w->mm, at + 99), store_byte(0, 0));
	EXPECT_EQ(load(w, w->mm, at + 100), 0);
	EXPECT_EQ(store(w, w->mm, at + 200, 5), 1); /* in the page, past the end */
	STEP(w, mapping_truncate(f->mapping, 300), 0);
	EXPECT_EQ(load(w, w->mm, at + 200), 0);
}

static void private_copies_beyond_the_end_go(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_PRIVATE, f, 0);
	EXPECT_EQ(store(w, w->mm, at, 7), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(3), 9), 1);
	STEP(w, mapping_truncate(f->mapping, PAGES(2)), 0);
	EXPECT_EQ(load(w, w->mm, at), 7);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), BUS_ADRERR);
	EXPECT_EQ(w->m->counters.nr_anon, 1);
	STEP(w, mapping_truncate(f->mapping, PAGES(4)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), 0);
}

static void every_task_loses_the_page(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	uint64_t b = map(w, 2, PROT_READ, MAP_SHARED, f, 2);
	EXPECT_EQ(user_touch(w->mm, at, PAGES(4), ACCESS_WRITE), 4);
	mm *child = fork_mm(w, w->mm);
	EXPECT_EQ(user_touch(child, at, PAGES(4), ACCESS_READ), 4);
	EXPECT_EQ(user_touch(child, b, PAGES(2), ACCESS_READ), 2);
	CHECK(w);
	STEP(w, mapping_truncate(f->mapping, PAGES(3)), 0);
	EXPECT_EQ(load(w, child, b + PAGES(1)), BUS_ADRERR);
	EXPECT_EQ(load(w, child, b), store_byte(0, 2));
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), BUS_ADRERR);
}

/* The fault sleeps for the page; the file is cut meanwhile: the page that was
 * read must not come in, or a later store to it is lost. */
static void fault_racing_truncate_leaves_no_stray_page(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(3), ACCESS_WRITE), NEED_PAGE);
	uint64_t count = machine_need(w->m)->truncate_count;
	EXPECT_EQ(mapping_truncate(f->mapping, PAGES(1)), 0);
	EXPECT_EQ(mapping_add_page(f->mapping, 3, "stale", 5, count), -EAGAIN);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 0);
	STEP(w, mm_fault(w->mm, at + PAGES(3), ACCESS_WRITE), BUS_ADRERR);
	EXPECT(!is_present(w->mm, at + PAGES(3)));
}

/* Cut and grown again while the fault slept: the old content is gone all the same. */
static void fault_racing_truncate_and_growth(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(3), ACCESS_READ), NEED_PAGE);
	uint64_t count = machine_need(w->m)->truncate_count;
	EXPECT_EQ(mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(mapping_truncate(f->mapping, PAGES(4)), 0);
	EXPECT_EQ(mapping_add_page(f->mapping, 3, "stale", 5, count), -EAGAIN);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(3), ACCESS_READ), NEED_PAGE);
	count = machine_need(w->m)->truncate_count;
	STEP(w, mapping_add_page(f->mapping, 3, "", 0, count), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), 0);
	EXPECT_EQ(store(w, w->mm, at + PAGES(3), 42), 1);
	EXPECT_EQ(file_byte(f, PAGES(3)), 42);
}

/* The VMA goes, or becomes another file's, while the fault sleeps. */
static void fault_racing_munmap_and_another_mmap(struct world *w)
{
	file *f = store_file(w, 4), *g = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(1), ACCESS_WRITE), NEED_PAGE);
	EXPECT_EQ(mm_munmap(w->mm, at, PAGES(4)), 0);
	EXPECT_EQ(fetch(w), 0);
	STEP(w, mm_fault(w->mm, at + PAGES(1), ACCESS_WRITE), SEGV_MAPERR);
	EXPECT_EQ(mm_mmap(w->mm, at, PAGES(4), RW, MAP_SHARED | MAP_FIXED, g, 2), at);
	STEP(w, mm_fault(w->mm, at + PAGES(1), ACCESS_WRITE), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(1, 3));
}

/* Two tasks fetch the same page: the second finds the first's. */
static void page_added_twice_is_one_page(struct world *w)
{
	file *f = store_file(w, 2);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(mm_fault(w->mm, at, ACCESS_WRITE), NEED_PAGE);
	uint64_t count = machine_need(w->m)->truncate_count;
	EXPECT_EQ(fetch(w), 0);
	EXPECT_EQ(store(w, w->mm, at, 9), 1);
	STEP(w, mapping_add_page(f->mapping, 0, "late", 4, count), 0);
	EXPECT_EQ(load(w, w->mm, at), 9);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 1);
}

static void punch_drops_pages_and_keeps_copies(struct world *w)
{
	file *f = memory_file(w, 6);
	uint64_t at = map(w, 6, RW, MAP_SHARED, f, 0);
	uint64_t mine = map(w, 6, RW, MAP_PRIVATE, f, 0);
	EXPECT_EQ(user_touch(w->mm, at, PAGES(6), ACCESS_READ), 6);
	EXPECT_EQ(store(w, w->mm, mine + PAGES(2), 8), 1);
	EXPECT_EQ(load(w, w->mm, mine + PAGES(3)), store_byte(0, 3));
	STEP(w, mapping_punch(f->mapping, PAGES(1) + 100, PAGES(4) + 50), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1) + 99), store_byte(0, 1));
	EXPECT_EQ(load(w, w->mm, at + PAGES(1) + 100), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), 0);
	EXPECT_EQ(load(w, w->mm, mine + PAGES(2)), 8);
	EXPECT_EQ(load(w, w->mm, mine + PAGES(3)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(4) + 49), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(4) + 50), store_byte(0, 4));
	EXPECT_EQ(mapping_size(f->mapping), PAGES(6));
	STEP(w, mapping_punch(f->mapping, 10, 20), 0);
	EXPECT_EQ(load(w, w->mm, at + 9), store_byte(0, 0));
	EXPECT_EQ(load(w, w->mm, at + 10), 0);
	STEP(w, mapping_punch(f->mapping, 20, 20), -EINVAL);
}

/* A VMA's last page, and addresses inside it. */
static void unaligned_address_in_the_last_page(struct world *w)
{
	file *f = memory_file(w, 2);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(2) - 1, ACCESS_WRITE), 0);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(2), ACCESS_WRITE), SEGV_MAPERR);
	STEP(w, mapping_truncate(f->mapping, PAGES(1) + 1), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2) - 1), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 1));
}

/* Half a gigabyte of file, few pages: truncation walks tables, not addresses. */
static void truncate_of_a_sparse_mapping(struct world *w)
{
	file *f = new_file(w, MAPPING_MEMORY, 1 << 17, FILE_READ | FILE_WRITE);
	uint64_t at = map(w, 1 << 17, RW, MAP_SHARED, f, 0);
	for (uint64_t i = 0; i < 1 << 17; i += 1 << 14)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), 3), 1);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 8);
	STEP(w, mapping_truncate(f->mapping, PAGES(1 << 16)), 0);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 4);
	EXPECT_EQ(w->mm->counters.rss_shmem, 4);
}

TESTS(TEST(beyond_the_end_is_a_bus_error), TEST(tail_of_the_last_page_is_zeroed),
      TEST(private_copies_beyond_the_end_go), TEST(every_task_loses_the_page),
      TEST(fault_racing_truncate_leaves_no_stray_page), TEST(fault_racing_truncate_and_growth),
      TEST(fault_racing_munmap_and_another_mmap), TEST(page_added_twice_is_one_page),
      TEST(punch_drops_pages_and_keeps_copies), TEST(unaligned_address_in_the_last_page),
      TEST(truncate_of_a_sparse_mapping))
