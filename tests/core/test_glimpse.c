/* test_glimpse.c - looking at memory and files leaves no trace, wherever their pages are. */
#include "harness.h"

#define MANY 700 /* more pages than RAM has */

/* All that a look might change: RAM with the kernel's objects in it, and what is counted. */
struct traces {
	struct counters counters;
	struct mm_counters mm_counters;
	struct vma *recent;
	char arena[PAGES(NR_RAM_PAGES)];
};
static struct traces before, after;

/* Word by word: parts of the arena are poisoned, as nobody may use them. */
__attribute__((no_sanitize("address"))) static void keep(struct world *w, struct traces *t)
{
	const volatile uint64_t *from = (void *)w->m->arena;
	uint64_t *to = (void *)t->arena;
	for (size_t i = 0; i < sizeof(t->arena) / sizeof(*to); i++)
		to[i] = from[i];
}

static void note(struct world *w, struct traces *t)
{
	t->counters = w->m->counters;
	t->mm_counters = w->mm->counters;
	t->recent = w->mm->recent;
	keep(w, t);
}

static void expect_no_trace(struct world *w)
{
	note(w, &after);
	EXPECT(!memcmp(&before, &after, sizeof(before)));
	CHECK(w);
}

static void memory_in_swap_is_seen_there(struct world *w)
{
	add_swap(w, 1000);
	uint64_t at = map(w, MANY, RW, PRIVATE_ANON, NULL, 0);
	for (uint64_t i = 0; i < MANY; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i) + 5, (uint8_t)(i * 7 + 1)), 1);
	EXPECT(w->mm->counters.nr_swap > 0);
	note(w, &before);
	for (uint64_t i = 0; i < MANY; i++) {
		uint8_t byte = 0;
		EXPECT_EQ(mm_glimpse(w->mm, at + PAGES(i) + 5, &byte, 1), 1);
		EXPECT_EQ(byte, (uint8_t)(i * 7 + 1));
	}
	expect_no_trace(w);
}

static void a_file_in_swap_is_seen_there(struct world *w)
{
	add_swap(w, 1000);
	file *f = memory_file(w, 3);
	uint64_t at = map(w, 3, RW, MAP_SHARED, f, 0),
		 other = map(w, MANY, RW, PRIVATE_ANON, NULL, 0);
	for (uint64_t i = 0; i < MANY; i++)
		EXPECT_EQ(store(w, w->mm, other + PAGES(i), 1), 1);
	EXPECT(mapping_nr_swapped(f->mapping) > 0);
	note(w, &before);
	static uint8_t buf[PAGES(3)];
	EXPECT_EQ(mapping_glimpse(f->mapping, 10, buf, sizeof(buf)), PAGES(3) - 10);
	EXPECT_EQ(buf[0], store_byte(0, 0));
	EXPECT_EQ(buf[PAGES(2)], store_byte(0, 2));
	EXPECT_EQ(mapping_glimpse(f->mapping, PAGES(3), buf, 1), 0);
	EXPECT_EQ(mm_glimpse(w->mm, at + PAGES(1) - 1, buf, 2), 2);
	EXPECT(buf[0] == store_byte(0, 0) && buf[1] == store_byte(0, 1));
	expect_no_trace(w);
}

static void what_only_the_store_has_ends_a_look(struct world *w)
{
	file *f = store_file(w, 4);
	PAGE_BY_PAGE(w);
	uint64_t at = map(w, 4, PROT_READ, MAP_PRIVATE, f, 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	note(w, &before);
	static uint8_t buf[PAGES(4)];
	EXPECT_EQ(mapping_glimpse(f->mapping, 0, buf, PAGES(4)), PAGE_SIZE);
	EXPECT_EQ(mm_glimpse(w->mm, at, buf, PAGES(4)), PAGE_SIZE);
	EXPECT_EQ(buf[9], store_byte(0, 0));
	EXPECT_EQ(mapping_glimpse(f->mapping, PAGES(1), buf, 1), 0);
	expect_no_trace(w);
}

static void untouched_memory_is_zeroes_and_holes_are_nothing(struct world *w)
{
	file *f = memory_file(w, 1);
	uint64_t at = map(w, 3, PROT_NONE, PRIVATE_ANON, NULL, 0);
	uint64_t shown = map(w, 2, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(mm_munmap(w->mm, at + PAGES(1), PAGES(1)), 0);
	EXPECT_EQ(mapping_truncate(f->mapping, 100), 0);
	note(w, &before);
	uint8_t buf[PAGE_SIZE + 8] = { 1, 1 };
	EXPECT_EQ(mm_glimpse(w->mm, at, buf, sizeof(buf)), PAGE_SIZE);
	EXPECT_EQ(buf[1], 0);
	EXPECT_EQ(mm_glimpse(w->mm, at + PAGES(1), buf, 1), 0);
	EXPECT_EQ(mm_glimpse(w->mm, -PAGES(1), buf, 1), 0);
	EXPECT_EQ(mm_glimpse(w->mm, shown + PAGES(1), buf, 1), 0); /* behind the file's end */
	EXPECT_EQ(mapping_glimpse(f->mapping, 0, buf, sizeof(buf)), 100);
	expect_no_trace(w);
}

static void a_nonlinear_window_shows_its_pages(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, at, PAGES(1), 0, 3, 0, f), 0);
	note(w, &before);
	uint8_t byte;
	EXPECT_EQ(mm_glimpse(w->mm, at, &byte, 1), 1);
	EXPECT_EQ(byte, store_byte(0, 3));
	expect_no_trace(w);
}

TESTS(TEST(memory_in_swap_is_seen_there), TEST(a_file_in_swap_is_seen_there),
      TEST(what_only_the_store_has_ends_a_look),
      TEST(untouched_memory_is_zeroes_and_holes_are_nothing),
      TEST(a_nonlinear_window_shows_its_pages))
