/* test_mapping.c - an inode's pages: index, read, write, holes, writeback, references. */
#include "harness.h"

static void read_gives_back_what_was_written(struct world *w)
{
	file *f = new_file(w, MAPPING_MEMORY, 0, FILE_READ | FILE_WRITE);
	char out[10000], in[10000];
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 13);
	STEP(w, mapping_write(f->mapping, 1234, out, sizeof(out)), sizeof(out));
	EXPECT_EQ(mapping_size(f->mapping), 1234 + sizeof(out));
	EXPECT_EQ(mapping_read(f->mapping, 1234, in, sizeof(in)), sizeof(in));
	EXPECT(!memcmp(in, out, sizeof(in)));
	EXPECT_EQ(mapping_read(f->mapping, 1234 + sizeof(out) - 5, in, 100), 5);
	EXPECT_EQ(mapping_read(f->mapping, 1234 + sizeof(out), in, 100), 0);
	EXPECT_EQ(file_byte(f, 0), 0);
}

/* An empty index that first sees a high page left empty nodes behind. */
static void first_page_far_out(struct world *w)
{
	file *f = new_file(w, MAPPING_MEMORY, 0, FILE_READ | FILE_WRITE);
	STEP(w, mapping_write(f->mapping, PAGES(70), "x", 1), 1);
	STEP(w, mapping_write(f->mapping, PAGES(5000), "y", 1), 1);
	EXPECT_EQ(mapping_next_data(f->mapping, 0), 70);
	EXPECT_EQ(mapping_next_data(f->mapping, 71), 5000);
	EXPECT_EQ(mapping_next_data(f->mapping, 5001), -ENXIO);
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 0);
	EXPECT_EQ(w->m->caches[CACHE_RADIX].live, 0);
}

static void index_highest(struct world *w)
{
	file *f = new_file(w, MAPPING_WRITEBACK, 0, FILE_READ | FILE_WRITE);
	STEP(w, mapping_add_page(f->mapping, INDEX_MAX, "x", 1, 0), 0);
	EXPECT_EQ(mapping_next_data(f->mapping, 3), INDEX_MAX);
	STEP(w, mapping_add_page(f->mapping, INDEX_MAX + 1, "x", 1, 0), -EINVAL);
	STEP(w, mapping_add_page(f->mapping, 1, "x", PAGE_SIZE + 1, 0), -EINVAL);
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 0);
}

static void write_past_the_end_shows_zeroes_between(struct world *w)
{
	file *f = memory_file(w, 1);
	STEP(w, mapping_truncate(f->mapping, 10), 0);
	uint64_t at = map(w, 1, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(store(w, w->mm, at + 20, 99), 1); /* past the end, in its page */
	STEP(w, mapping_write(f->mapping, 30, "z", 1), 1);
	EXPECT_EQ(file_byte(f, 9), store_byte(0, 0));
	EXPECT_EQ(file_byte(f, 20), 0);
	EXPECT_EQ(file_byte(f, 30), 'z');
}

static void read_of_an_absent_page_names_it(struct world *w)
{
	file *f = store_file(w, 3);
	char byte;
	EXPECT_EQ(mapping_read(f->mapping, PAGES(2) + 5, &byte, 1), NEED_PAGE);
	const struct need *need = machine_need(w->m);
	EXPECT(need->mapping == f->mapping);
	EXPECT_EQ(need->index, 2);
	EXPECT_EQ(need->cookie, 1);
	EXPECT_EQ(fetch(w), 0);
	EXPECT_EQ(file_byte(f, PAGES(2) + 5), store_byte(0, 2));
	CHECK(w);
}

static void partial_write_reads_first(struct world *w)
{
	file *f = store_file(w, 2);
	EXPECT_EQ(mapping_write(f->mapping, 5, "ab", 2), NEED_PAGE);
	EXPECT_EQ(SERVED(w, mapping_write(f->mapping, 5, "ab", 2)), 2);
	EXPECT_EQ(file_byte(f, 4), store_byte(0, 0));
	EXPECT_EQ(file_byte(f, 6), 'b');
	char page[PAGE_SIZE] = { 1 };
	STEP(w, mapping_write(f->mapping, PAGES(1), page, PAGE_SIZE), PAGE_SIZE);
	EXPECT_EQ(w->fetched, 1);
}

static void write_and_map_are_coherent(struct world *w)
{
	file *f = memory_file(w, 2);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(store(w, w->mm, at + 3, 77), 1);
	EXPECT_EQ(file_byte(f, 3), 77);
	EXPECT_EQ(mapping_write(f->mapping, 4, "Q", 1), 1);
	EXPECT_EQ(load(w, w->mm, at + 4), 'Q');
	CHECK(w);
}

static void dirty_pages_are_handed_over_once(struct world *w)
{
	file *f = store_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0), dirty[8];
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	EXPECT_EQ(store(w, w->mm, at + PAGES(3), 1), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(5), 1), 1);
	STEP(w, written(f, 0, INDEX_MAX, dirty, 8), 2);
	EXPECT_EQ(dirty[0], 3);
	EXPECT_EQ(dirty[1], 5);
	STEP(w, written(f, 0, INDEX_MAX, dirty, 8), 0);
	EXPECT_EQ(store(w, w->mm, at + PAGES(3), 2), 1); /* not by the TLB alone */
	STEP(w, written(f, 0, INDEX_MAX, dirty, 8), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(5), 2), 1);
	STEP(w, mm_munmap(w->mm, at, PAGES(8)), 0);
	EXPECT_EQ(w->m->counters.nr_dirty, 1);
	STEP(w, written(f, 0, 4, dirty, 8), 0);
	STEP(w, written(f, 5, 5, dirty, 8), 1);
}

static void dirty_comes_in_batches(struct world *w)
{
	file *f = store_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0), dirty[3];
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), 1), 1);
	STEP(w, written(f, 0, INDEX_MAX, dirty, 3), 3);
	STEP(w, written(f, dirty[2] + 1, INDEX_MAX, dirty, 3), 3);
	STEP(w, written(f, dirty[2] + 1, INDEX_MAX, dirty, 3), 2);
}

static void files_hold_their_mapping(struct world *w)
{
	file *f = memory_file(w, 2);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 0), cookies[4];
	EXPECT_EQ(machine_files(w->m, cookies, 4), 1);
	EXPECT_EQ(cookies[0], 101);
	drop_file(w, 0); /* closed and unlinked: the mapping lives by its VMA */
	CHECK(w);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 1));
	EXPECT_EQ(machine_files(w->m, cookies, 4), 1);
	STEP(w, mm_munmap(w->mm, at, PAGES(2)), 0);
	EXPECT_EQ(machine_files(w->m, cookies, 4), 0);
	EXPECT_EQ(w->m->counters.nr_file, 0);
}

static void writable_mappings_are_counted(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t a = map(w, 4, RW, MAP_SHARED, f, 0);
	uint64_t b = map(w, 4, RW, MAP_PRIVATE, f, 0);
	EXPECT_EQ(mapping_nr_writable(f->mapping), 1);
	EXPECT_EQ(mapping_nr_vmas(f->mapping), 2);
	STEP(w, mm_munmap(w->mm, a + PAGES(1), PAGES(1)), 0);
	EXPECT_EQ(mapping_nr_writable(f->mapping), 2);
	STEP(w, mm_munmap(w->mm, a, PAGES(4)), 0);
	EXPECT_EQ(mapping_nr_writable(f->mapping), 0);
	STEP(w, mm_munmap(w->mm, b, PAGES(4)), 0);
	EXPECT_EQ(mapping_nr_vmas(f->mapping), 0);
}

static void allocate_keeps_the_size(struct world *w)
{
	file *f = memory_file(w, 1);
	STEP(w, mapping_allocate(f->mapping, PAGES(2), PAGES(3)), PAGES(3));
	EXPECT_EQ(mapping_nr_pages(f->mapping), 4);
	EXPECT_EQ(mapping_size(f->mapping), PAGES(1));
}

/* Many VMAs at all offsets: the interval tree finds those that show a page. */
static void interval_tree_finds_every_vma(struct world *w)
{
	file *f = memory_file(w, 40);
	for (uint64_t i = 0; i < 60; i++)
		map(w, 1 + i * 7 % 5, PROT_READ, MAP_SHARED, f, i * 17 % 36);
	CHECK(w);
	for (uint64_t index = 0; index < 40; index++) {
		uint64_t found = 0, there = 0;
		for (struct vma *vma = mapping_first_vma(f->mapping, index, index); vma;
		     vma = mapping_next_vma(vma, index, index))
			found++;
		for (struct vma *vma = w->mm->first; vma; vma = vma->next)
			there += index >= vma->pgoff && index < vma->pgoff + vma_pages(vma);
		EXPECT_EQ(found, there);
	}
}

TESTS(TEST(read_gives_back_what_was_written), TEST(first_page_far_out), TEST(index_highest),
      TEST(write_past_the_end_shows_zeroes_between), TEST(read_of_an_absent_page_names_it),
      TEST(partial_write_reads_first), TEST(write_and_map_are_coherent),
      TEST(dirty_pages_are_handed_over_once), TEST(dirty_comes_in_batches),
      TEST(files_hold_their_mapping), TEST(writable_mappings_are_counted),
      TEST(allocate_keeps_the_size), TEST(interval_tree_finds_every_vma))
