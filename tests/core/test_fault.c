/* test_fault.c - the page fault's case table, row by row, and its verdicts. */
#include "harness.h"

static void untouched_memory_reads_as_zero(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(load(w, w->mm, at + 5), 0);
	EXPECT_EQ(w->m->counters.zeropage, 1);
	EXPECT_EQ(w->m->counters.nr_anon, 0);
	EXPECT_EQ(w->mm->counters.rss_anon, 0);
	CHECK(w);
	EXPECT_EQ(store(w, w->mm, at + 5, 9), 1);
	EXPECT_EQ(load(w, w->mm, at + 5), 9);
	EXPECT_EQ(load(w, w->mm, at + 6), 0);
	EXPECT_EQ(w->m->counters.nr_anon, 1);
	CHECK(w);
}

static void first_write_needs_no_zero_page(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 9), 1);
	EXPECT_EQ(w->m->counters.zeropage, 0);
	EXPECT_EQ(w->mm->counters.rss_anon, 1);
	CHECK(w);
}

static void verdicts(struct world *w)
{
	uint64_t at = map(w, 2, PROT_READ, PRIVATE_ANON, NULL, 0);
	uint64_t none = map(w, 2, PROT_NONE, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(mm_fault(w->mm, PAGES(3) + 7, ACCESS_READ), SEGV_MAPERR);
	EXPECT_EQ(machine_need(w->m)->addr, PAGES(3) + 7);
	EXPECT_EQ(mm_fault(w->mm, at + 9, ACCESS_WRITE), SEGV_ACCERR);
	EXPECT_EQ(machine_need(w->m)->addr, at + 9);
	EXPECT_EQ(machine_need(w->m)->access, ACCESS_WRITE);
	EXPECT_EQ(mm_fault(w->mm, at, ACCESS_EXEC), SEGV_ACCERR);
	EXPECT_EQ(mm_fault(w->mm, none, ACCESS_READ), SEGV_ACCERR);
	EXPECT_EQ(mm_fault(w->mm, test_layout.task_size, ACCESS_READ), SEGV_MAPERR);
	EXPECT_EQ(mm_fault(w->mm, 0xffffffffff600000, ACCESS_READ), SEGV_MAPERR);
	EXPECT_EQ(mm_fault(w->mm, 0, ACCESS_WRITE), SEGV_MAPERR);
	EXPECT_EQ(w->m->counters.pgfault, 0);
	CHECK(w);
}

static void shared_file_pages_are_one(struct world *w)
{
	PAGE_BY_PAGE(w);
	file *f = memory_file(w, 2);
	uint64_t a = map(w, 2, RW, MAP_SHARED, f, 0), b = map(w, 1, RW, MAP_SHARED, f, 1);
	EXPECT_EQ(store(w, w->mm, b, 5), 1);
	EXPECT_EQ(load(w, w->mm, a + PAGES(1)), 5);
	EXPECT_EQ(mapping_find(f->mapping, 1)->mapcount, 2);
	EXPECT_EQ(w->mm->counters.rss_shmem, 2);
	CHECK(w);
}

static void private_file_is_copied_on_write(struct world *w)
{
	file *f = store_file(w, 2);
	uint64_t at = map(w, 2, RW, MAP_PRIVATE, f, 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	EXPECT_EQ(w->mm->counters.rss_file, 1);
	CHECK(w);
	EXPECT_EQ(store(w, w->mm, at, 200), 1);            /* over a present page */
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 201), 1); /* over none */
	EXPECT_EQ(load(w, w->mm, at + 1), store_byte(0, 0));
	EXPECT_EQ(load(w, w->mm, at + PAGES(1) + 1), store_byte(0, 1));
	EXPECT_EQ(file_byte(f, 0), store_byte(0, 0));
	EXPECT_EQ(w->mm->counters.rss_file, 0);
	EXPECT_EQ(w->mm->counters.rss_anon, 2);
	EXPECT_EQ(w->m->counters.cow, 2);
	CHECK(w);
}

static void a_store_sees_what_the_file_gets_before_its_copy(struct world *w)
{
	file *f = memory_file(w, 1);
	uint64_t at = map(w, 1, RW, MAP_PRIVATE, f, 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	EXPECT_EQ(mapping_write(f->mapping, 0, "A", 1), 1);
	EXPECT_EQ(load(w, w->mm, at), 'A');
	EXPECT_EQ(store(w, w->mm, at + 1, 1), 1);
	EXPECT_EQ(mapping_write(f->mapping, 0, "B", 1), 1);
	EXPECT_EQ(load(w, w->mm, at), 'A');
	CHECK(w);
}

static void need_page_is_served_and_looked_at_afresh(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 1);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(1), ACCESS_READ), NEED_PAGE);
	const struct need *need = machine_need(w->m);
	EXPECT(need->mapping == f->mapping);
	EXPECT_EQ(need->index, 2);
	EXPECT_EQ(mm_fault(w->mm, at + PAGES(1), ACCESS_READ), NEED_PAGE);
	EXPECT_EQ(fetch(w), 0);
	STEP(w, mm_fault(w->mm, at + PAGES(1), ACCESS_READ), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 2));
}

static void out_of_memory_says_so(struct world *w)
{
	uint64_t at = map(w, 2 * NR_RAM_PAGES - 2, RW, PRIVATE_ANON | MAP_NORESERVE, NULL, 0);
	(void)at;
	uint64_t big = map(w, NR_RAM_PAGES, RW, SHARED_ANON, NULL, 0), i = 0;
	int64_t err = 0;
	for (; i < NR_RAM_PAGES && err >= 0; i++)
		err = store(w, w->mm, big + PAGES(i), 1);
	EXPECT_EQ(err, NEED_MEMORY);
	EXPECT(machine_need(w->m)->nr_pages > 0);
	CHECK(w);
	STEP(w, mm_munmap(w->mm, big, PAGES(NR_RAM_PAGES)), 0);
	EXPECT_EQ(w->m->counters.nr_shmem, 0);
}

static void stack_grows_down(struct world *w)
{
	uint64_t top = 0x7ffff0000000;
	w->limits.stack = PAGES(40);
	STEP(w,
	     mm_mmap(w->mm, top - PAGES(1), PAGES(1), RW, PRIVATE_ANON | MAP_GROWSDOWN | MAP_FIXED,
		     NULL, 0),
	     top - PAGES(1));
	EXPECT_EQ(store(w, w->mm, top - PAGES(5), 1), 1);
	CHECK(w);
	EXPECT_EQ(vma_info(w->mm, top - 1).start, top - PAGES(5));
	EXPECT_EQ(w->mm->counters.stack_vm, 5);
	EXPECT_EQ(store(w, w->mm, top - w->limits.stack, 1), 1);
	EXPECT_EQ(store(w, w->mm, top - w->limits.stack - 1, 1), SEGV_MAPERR);
	CHECK(w);
}

static void stack_keeps_a_gap(struct world *w)
{
	uint64_t top = 0x7ffff0000000, low = top - PAGES(300);
	EXPECT_EQ(mm_mmap(w->mm, low, PAGES(1), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0), low);
	EXPECT_EQ(mm_mmap(w->mm, top - PAGES(1), PAGES(1), RW,
			  PRIVATE_ANON | MAP_GROWSDOWN | MAP_FIXED, NULL, 0),
		  top - PAGES(1));
	CHECK(w);
	EXPECT_EQ(store(w, w->mm, low + PAGES(257), 1), 1);
	EXPECT_EQ(store(w, w->mm, low + PAGES(256), 1), SEGV_MAPERR);
	CHECK(w);
}

static void rights_taken_and_given_back(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 7), 1);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 0);
	STEP(w, mm_mprotect(w->mm, at, PAGES(4), PROT_NONE, -1), 0);
	EXPECT_EQ(load(w, w->mm, at), SEGV_ACCERR);
	STEP(w, mm_mprotect(w->mm, at, PAGES(4), PROT_READ, -1), 0);
	EXPECT_EQ(load(w, w->mm, at), 7);
	EXPECT_EQ(store(w, w->mm, at, 8), SEGV_ACCERR);
	STEP(w, mm_mprotect(w->mm, at, PAGES(4), RW, -1), 0);
	EXPECT_EQ(store(w, w->mm, at, 8), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 9), 1); /* over the zero page */
	EXPECT_EQ(w->m->counters.cow, 1);
	EXPECT_EQ(load(w, w->mm, at), 8);
	CHECK(w);
}

static void populate_brings_all(struct world *w)
{
	file *f = store_file(w, 3);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	for (uint64_t done = 0; done < PAGES(3);) /* each page is waited for */
		done += (uint64_t)SERVED(w, mm_populate(w->mm, at + done, PAGES(3) - done));
	EXPECT_EQ(w->mm->counters.rss_file, 3);
	EXPECT_EQ(mm_populate(w->mm, at, PAGES(4)), PAGES(3)); /* the last is beyond the end */
	EXPECT_EQ(mm_populate(w->mm, at + PAGES(3), PAGES(1)), -ENOMEM);
	uint64_t anon = map(w, 3, RW, PRIVATE_ANON, NULL, 0);
	STEP(w, mm_populate(w->mm, anon, PAGES(3)), PAGES(3));
	EXPECT_EQ(w->mm->counters.rss_anon, 3);
	STEP(w, mm_populate(w->mm, PAGES(1000), PAGES(1)), -ENOMEM);
}

TESTS(TEST(untouched_memory_reads_as_zero), TEST(first_write_needs_no_zero_page), TEST(verdicts),
      TEST(shared_file_pages_are_one), TEST(private_file_is_copied_on_write),
      TEST(a_store_sees_what_the_file_gets_before_its_copy),
      TEST(need_page_is_served_and_looked_at_afresh), TEST(out_of_memory_says_so),
      TEST(stack_grows_down), TEST(stack_keeps_a_gap), TEST(rights_taken_and_given_back),
      TEST(populate_brings_all))
