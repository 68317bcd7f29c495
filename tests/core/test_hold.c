/*
 * test_hold.c - pages that pipes refer to: they stay, keep their content when their file or
 * their last mapping lets them go, and cost nothing once they are released.
 */
#include "harness.h"

static void held_pages_of_a_file(struct world *w)
{
	file *f = memory_file(w, 3);
	int64_t pfn = mapping_hold(f->mapping, 1);
	EXPECT(pfn > 0);
	EXPECT_EQ(mapping_hold(f->mapping, 9), -ENOENT);
	STEP(w, page_hold(w->m, (uint64_t)pfn), pfn);
	STEP(w, mapping_write(f->mapping, PAGES(1), "x", 1), 1);
	EXPECT_EQ(*(const uint8_t *)page_content(w->m, (uint64_t)pfn), 'x');
	STEP(w, mapping_truncate(f->mapping, PAGES(1) + 1), 0); /* its tail is zeroed */
	EXPECT_EQ(((const uint8_t *)page_content(w->m, (uint64_t)pfn))[1], 0);
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(*(const uint8_t *)page_content(w->m, (uint64_t)pfn), 'x');
	STEP(w, mapping_write(f->mapping, PAGES(1), "y", 1), 1);
	EXPECT_EQ(*(const uint8_t *)page_content(w->m, (uint64_t)pfn), 'x');
	page_release(w->m, (uint64_t)pfn);
	CHECK(w);
	uint64_t free = w->m->counters.nr_free;
	page_release(w->m, (uint64_t)pfn);
	EXPECT_EQ(w->m->counters.nr_free, free + 1);
	CHECK(w);
}

static void held_memory(struct world *w)
{
	uint64_t at = map(w, 3, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 'a'), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 'b'), 1);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), 0);
	int64_t first = mm_hold(w->mm, at + 7), second = mm_hold(w->mm, at + PAGES(1));
	EXPECT(first > 0 && second > 0);
	EXPECT_EQ(mm_hold(w->mm, at + PAGES(2)), -EBUSY); /* the zero page */
	EXPECT_EQ(mm_hold(w->mm, at + PAGES(9)), -ENOENT);
	CHECK(w);
	EXPECT_EQ(store(w, w->mm, at, 'A'), 1); /* no copy */
	EXPECT_EQ(*(const uint8_t *)page_content(w->m, (uint64_t)first), 'A');
	STEP(w, mm_mprotect(w->mm, at, PAGES(1), PROT_READ, -1), 0);
	STEP(w, mm_mprotect(w->mm, at, PAGES(1), RW, -1), 0);
	mm *child = fork_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(store(w, child, at, 'c'), 1);
	EXPECT_EQ(*(const uint8_t *)page_content(w->m, (uint64_t)first), 'A');
	STEP(w, mm_munmap(w->mm, at, PAGES(3)), 0);
	drop_mm(w, child); /* the last to show the second page */
	CHECK(w);
	EXPECT_EQ(*(const uint8_t *)page_content(w->m, (uint64_t)second), 'b');
	page_release(w->m, (uint64_t)first);
	page_release(w->m, (uint64_t)second);
	CHECK(w);
}

static void held_pages_are_not_reclaimed(struct world *w)
{
	add_swap(w, 64);
	file *f = memory_file(w, 4), *stored = store_file(w, 2);
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0),
		 nr = map(w, 2, RW, MAP_SHARED, stored, 0);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), (uint8_t)(1 + i)), 1);
	EXPECT(load(w, w->mm, nr) > 0);
	int64_t held[3] = { mapping_hold(f->mapping, 2), mm_hold(w->mm, at + PAGES(3)),
			    mapping_hold(stored->mapping, 0) };
	squeeze(w);
	EXPECT_EQ(mapping_hold(f->mapping, 2), held[0]);
	EXPECT_EQ(mm_hold(w->mm, at + PAGES(3)), held[1]);
	EXPECT_EQ(mapping_hold(stored->mapping, 0), held[2]);
	machine_drop_caches(w->m);
	EXPECT_EQ(mapping_hold(stored->mapping, 0), held[2]);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), 4);
	for (int i = 0; i < 3; i++)
		for (int times = 2 + (i == 2); times; times--)
			page_release(w->m, (uint64_t)held[i]);
	squeeze(w);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), 4);
	EXPECT_EQ(w->m->nr_holds, 0);
}

static void checker_sees_wrong_holds(struct world *w)
{
	file *f = memory_file(w, 1);
	int64_t pfn = mapping_hold(f->mapping, 0);
	w->m->nr_holds++;
	EXPECT(machine_check(w->m, check_report, sizeof(check_report)));
	EXPECT(strstr(check_report, "I2:") != NULL);
	w->m->nr_holds--;
	page_release(w->m, (uint64_t)pfn);
	CHECK(w);
}

TESTS(TEST(held_pages_of_a_file), TEST(held_memory), TEST(held_pages_are_not_reclaimed),
      TEST(checker_sees_wrong_holds))
