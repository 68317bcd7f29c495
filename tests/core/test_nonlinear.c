/* test_nonlinear.c - remap_file_pages: the special VMA, 2.6's, and the emulation. */
#include "harness.h"

static int64_t remap(struct world *w, uint64_t addr, uint64_t nr_pages, uint64_t pgoff,
		     uint64_t flags, file *f)
{
	return mm_remap_file_pages(w->mm, addr, PAGES(nr_pages), 0, pgoff, flags, f);
}

static uint64_t special(struct world *w, uint64_t nr_pages, uint64_t prot)
{
	return map(w, nr_pages, prot, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
}

/* ---- A: the special VMA ---- */

static void special_shows_two_files(struct world *w)
{
	file *f = memory_file(w, 4), *g = memory_file(w, 4);
	uint64_t at = special(w, 4, RW);
	EXPECT_EQ(load(w, w->mm, at), BUS_ADRERR);
	STEP(w, remap(w, at, 1, 3, 0, f), 0);
	STEP(w, remap(w, at + PAGES(1), 2, 1, 0, g), 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 3));
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(1, 1));
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(1, 2));
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), BUS_ADRERR);
	EXPECT_EQ(store(w, w->mm, at, 55), 1);
	EXPECT_EQ(file_byte(f, PAGES(3)), 55);
	EXPECT_EQ(nr_vmas(w->mm), 1);
	EXPECT_EQ(mapping_nr_vmas(f->mapping), 0);
	EXPECT_EQ(w->m->counters.nr_special, 3);
	EXPECT_EQ(w->m->counters.nr_mapped, 0);
	STEP(w, remap(w, at, 1, 0, 0, g), 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(1, 0));
	STEP(w, mm_munmap(w->mm, at, PAGES(4)), 0);
	EXPECT_EQ(w->m->counters.nr_special, 0);
}

static void special_fill_beyond_the_end_changes_nothing(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = special(w, 4, RW);
	STEP(w, remap(w, at, 2, 1, 0, f), 0);
	STEP(w, remap(w, at, 4, 1, 0, f), -EINVAL);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 1));
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), BUS_ADRERR);
	EXPECT_EQ(mapping_nr_pages(f->mapping), 4);
}

static void special_survives_truncate(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = special(w, 2, RW);
	STEP(w, remap(w, at, 2, 2, 0, f), 0);
	STEP(w, mapping_truncate(f->mapping, PAGES(1)), 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 2));
	EXPECT_EQ(mapping_nr_pages(f->mapping), 1);
	EXPECT_EQ(store(w, w->mm, at, 200), 1);
	STEP(w, mapping_truncate(f->mapping, PAGES(4)), 0);
	EXPECT_EQ(load(w, w->mm, at), 200);
	EXPECT_EQ(file_byte(f, PAGES(2)), 0);
	STEP(w, remap(w, at, 1, 2, 0, f), 0); /* the frame is freed by the remap */
	EXPECT_EQ(load(w, w->mm, at), 0);
	EXPECT_EQ(mm_munmap(w->mm, at, PAGES(2)), 0);
	CHECK(w);
}

static void special_checks_rights(struct world *w)
{
	file *f = memory_file(w, 2);
	uint64_t rw = special(w, 2, RW), ro = special(w, 2, PROT_READ);
	file_set_mode(f, FILE_READ);
	STEP(w, remap(w, rw, 1, 0, 0, f), -EACCES);
	STEP(w, remap(w, ro, 1, 0, 0, f), 0);
	file_set_mode(f, FILE_WRITE);
	STEP(w, remap(w, ro, 1, 0, 0, f), -EACCES);
	file_set_mode(f, FILE_READ | FILE_WRITE);
	STEP(w, remap(w, ro, 1, 0, 0, NULL), -EBADF);
	EXPECT_EQ(store(w, w->mm, ro, 1), SEGV_ACCERR);
	STEP(w, remap(w, rw, 3, 0, 0, f), -EINVAL);
}

/* mprotect must not make a page of a read-only file writable. */
static void special_mprotect_keeps_the_files_rights(struct world *w)
{
	file *f = memory_file(w, 2);
	uint64_t at = special(w, 2, PROT_READ);
	file_set_mode(f, FILE_READ);
	STEP(w, remap(w, at, 1, 0, 0, f), 0);
	mm_mprotect(w->mm, at, PAGES(2), RW, -1);
	CHECK(w);
	EXPECT_EQ(store(w, w->mm, at, 1), SEGV_ACCERR);
	EXPECT_EQ(file_byte(f, 0), store_byte(0, 0));
}

static void special_pages_are_bounded(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = special(w, 8, RW);
	machine_tunables(w->m)->nonlinear_max_pages = 3;
	STEP(w, remap(w, at, 4, 0, 0, f), -ENOMEM);
	EXPECT_EQ(w->m->counters.nr_special, 0);
	STEP(w, remap(w, at, 3, 0, 0, f), 0);
	STEP(w, remap(w, at + PAGES(3), 1, 3, 0, f), -ENOMEM);
	STEP(w, remap(w, at + PAGES(3), 1, 2, 0, f), 0); /* pinned already */
	EXPECT_EQ(w->m->counters.nr_special, 3);
	EXPECT_EQ(w->mm->counters.nr_special, 4);
	STEP(w, remap(w, at, 2, 4, 0, f), 0);                  /* for those that go */
	STEP(w, remap(w, at + PAGES(3), 1, 6, 0, f), -ENOMEM); /* page 2 is shown elsewhere */
	STEP(w, remap(w, at, 4, 4, 0, f), -ENOMEM);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 4));
	EXPECT_EQ(w->m->counters.nr_special, 3);
}

static void special_parts_are_as_any_vma(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = special(w, 8, RW);
	STEP(w, remap(w, at, 8, 0, 0, f), 0);
	STEP(w, mm_mprotect(w->mm, at + PAGES(2), PAGES(2), PROT_READ, -1), 0);
	EXPECT_EQ(nr_vmas(w->mm), 3);
	EXPECT_EQ(store(w, w->mm, at + PAGES(2), 1), SEGV_ACCERR);
	STEP(w, mm_mprotect(w->mm, at + PAGES(2), PAGES(2), RW, -1), 0);
	EXPECT_EQ(nr_vmas(w->mm), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(2), 1), 1);
	int64_t to = mm_mremap(w->mm, at + PAGES(4), PAGES(2), PAGES(3), MREMAP_MAYMOVE, 0);
	EXPECT(to > 0);
	CHECK(w);
	EXPECT_EQ(load(w, w->mm, (uint64_t)to + PAGES(1)), store_byte(0, 5));
	EXPECT_EQ(load(w, w->mm, (uint64_t)to + PAGES(2)), BUS_ADRERR);
	EXPECT_EQ(load(w, w->mm, at + PAGES(4)), SEGV_MAPERR);
	EXPECT_EQ(load(w, w->mm, at + PAGES(6)), store_byte(0, 6));
	STEP(w, mm_madvise(w->mm, at, PAGES(2), MADV_DONTNEED), 0);
	EXPECT_EQ(load(w, w->mm, at), BUS_ADRERR);
	STEP(w, mm_munmap(w->mm, at + PAGES(1), PAGES(2)), 0);
	EXPECT_EQ(w->m->counters.nr_special, 5);
}

static void special_fork_shares_the_pages(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = special(w, 4, RW);
	STEP(w, remap(w, at, 2, 1, 0, f), 0);
	mm *child = fork_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(store(w, child, at, 77), 1);
	EXPECT_EQ(load(w, w->mm, at), 77);
	EXPECT_EQ(load(w, child, at + PAGES(2)), BUS_ADRERR);
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	STEP(w, mm_munmap(w->mm, at, PAGES(4)), 0);
	EXPECT_EQ(load(w, child, at + PAGES(1)), store_byte(0, 2));
	EXPECT_EQ(w->m->counters.nr_special, 2);
}

static void special_mincore_tells_the_truth(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = special(w, 4, RW);
	uint8_t vec[4];
	STEP(w, remap(w, at + PAGES(1), 2, 0, 0, f), 0);
	EXPECT_EQ(mm_mincore(w->mm, at, PAGES(4), vec), 0);
	EXPECT(!vec[0] && vec[1] == 1 && vec[2] == 1 && !vec[3]);
	EXPECT_EQ(mm_msync_check(w->mm, at, PAGES(4), 4), 0);
}

static void special_waits_for_pages(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = special(w, 4, RW);
	EXPECT_EQ(remap(w, at, 4, 0, 0, f), NEED_PAGE);
	CHECK(w);
	EXPECT_EQ(w->m->counters.nr_special, 0);
	STEP(w, SERVED(w, remap(w, at, 4, 0, 0, f)), 0);
	EXPECT_EQ(w->fetched, 4);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 3));
}

static void special_page_mapped_elsewhere_too(struct world *w)
{
	file *f = memory_file(w, 2);
	uint64_t at = special(w, 2, RW), linear = map(w, 2, RW, MAP_SHARED, f, 0);
	STEP(w, remap(w, at, 1, 1, 0, f), 0);
	EXPECT_EQ(store(w, w->mm, linear + PAGES(1), 9), 1);
	EXPECT_EQ(load(w, w->mm, at), 9);
	STEP(w, mapping_truncate(f->mapping, PAGES(1)), 0);
	EXPECT_EQ(load(w, w->mm, linear + PAGES(1)), BUS_ADRERR);
	EXPECT_EQ(load(w, w->mm, at), 9);
	STEP(w, mm_munmap(w->mm, linear, PAGES(2)), 0);
	EXPECT_EQ(load(w, w->mm, at), 9);
}

/* A store through the special VMA makes the file's page dirty when it goes. */
static void special_store_reaches_writeback(struct world *w)
{
	file *f = store_file(w, 2);
	uint64_t at = special(w, 2, RW), index;
	EXPECT_EQ(SERVED(w, remap(w, at, 1, 1, 0, f)), 0);
	EXPECT_EQ(store(w, w->mm, at, 9), 1);
	STEP(w, mm_munmap(w->mm, at, PAGES(2)), 0);
	STEP(w, written(f, 0, INDEX_MAX, &index, 1), 1);
	EXPECT_EQ(index, 1);
}

/* ---- B: 2.6's ---- */

static void reversed_pages_by_one_vma(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(user_touch(w->mm, at, PAGES(8), ACCESS_WRITE), 8);
	for (uint64_t i = 0; i < 8; i++)
		STEP(w, remap(w, at + PAGES(i), 1, 7 - i, 0, NULL), 0);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), store_byte(0, 7 - i));
	EXPECT_EQ(nr_vmas(w->mm), 1);
	EXPECT(vma_info(w->mm, at).flags & VM_NONLINEAR);
	EXPECT_EQ(store(w, w->mm, at, 3), 1);
	EXPECT_EQ(file_byte(f, PAGES(7)), 3);
}

static void arguments_are_checked_in_order(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	uint64_t mine = map(w, 4, RW, MAP_PRIVATE, f, 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, at, PAGES(1), PROT_READ, 0, 0, NULL), -EINVAL);
	EXPECT_EQ(mm_remap_file_pages(w->mm, at, 4095, 0, 0, 0, NULL), -EINVAL);
	EXPECT_EQ(mm_remap_file_pages(w->mm, at, -PAGES(1), 0, 0, 0, NULL), -EINVAL);
	EXPECT_EQ(mm_remap_file_pages(w->mm, at, PAGES(1), 0, ~0ul, 0, NULL), -EINVAL);
	EXPECT_EQ(remap(w, mine, 1, 0, 0, NULL), -EINVAL);
	EXPECT_EQ(remap(w, at, 5, 0, 0, NULL), -EINVAL);
	EXPECT_EQ(remap(w, at, 2, 3, 0, NULL), -EINVAL); /* beyond the end */
	EXPECT_EQ(remap(w, PAGES(100), 1, 0, 0, NULL), -EINVAL);
	machine_tunables(w->m)->nonlinear_mixing = 0;
	STEP(w, remap(w, at, 1, 1, 0, NULL), -EINVAL);
	EXPECT(!(vma_info(w->mm, at).flags & VM_NONLINEAR));
}

/* The start is masked down: an address inside the last page is that page's. */
static void unaligned_start_in_the_last_page(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	STEP(w, mm_remap_file_pages(w->mm, at + PAGES(3) + 123, PAGES(1) + 77, 0, 1, 0, NULL), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 1));
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(0, 2));
}

static void nonblock_never_leaves_the_old_page(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	STEP(w, remap(w, at, 1, 3, MAP_NONBLOCK, NULL), 0);
	EXPECT(!is_present(w->mm, at));
	EXPECT_EQ(w->fetched, 1);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 3));
	STEP(w, remap(w, at, 1, 0, MAP_NONBLOCK, NULL), 0); /* cached: comes at once */
	EXPECT(is_present(w->mm, at));
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
}

/* Truncation goes by the page's index: a page shown at another's place stays. */
static void truncate_spares_innocent_pages(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	STEP(w, remap(w, at + PAGES(7), 1, 0, 0, NULL), 0);
	STEP(w, remap(w, at, 1, 7, 0, NULL), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(7)), store_byte(0, 0));
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 7));
	STEP(w, mapping_truncate(f->mapping, PAGES(4)), 0);
	EXPECT(is_present(w->mm, at + PAGES(7)));
	EXPECT_EQ(load(w, w->mm, at + PAGES(7)), store_byte(0, 0));
	EXPECT_EQ(load(w, w->mm, at), BUS_ADRERR);
	STEP(w, mapping_truncate(f->mapping, PAGES(8)), 0);
	EXPECT_EQ(load(w, w->mm, at), 0); /* index 7 again, not the place's 0 */
	EXPECT_EQ(store(w, w->mm, at, 4), 1);
	EXPECT_EQ(file_byte(f, PAGES(7)), 4);
	EXPECT_EQ(file_byte(f, 0), store_byte(0, 0));
	CHECK(w);
}

static void truncate_spares_innocent_pages_with_file_ptes(struct world *w)
{
	file *f = store_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	STEP(w, remap(w, at, 8, 0, 0, NULL), 0);
	STEP(w, remap(w, at + PAGES(6), 1, 1, MAP_NONBLOCK, NULL), 0);
	STEP(w, remap(w, at + PAGES(1), 1, 6, MAP_NONBLOCK, NULL), 0);
	STEP(w, mapping_truncate(f->mapping, PAGES(4)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(6)), store_byte(0, 1));
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), BUS_ADRERR);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(0, 2));
	EXPECT_EQ(load(w, w->mm, at + PAGES(5)), BUS_ADRERR);
	CHECK(w);
}

static void punch_spares_innocent_pages(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	STEP(w, remap(w, at, 4, 4, 0, NULL), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(4)), store_byte(0, 4));
	STEP(w, mapping_punch(f->mapping, PAGES(1), PAGES(6)), 0);
	EXPECT(!is_present(w->mm, at + PAGES(1))); /* index 5 */
	EXPECT(is_present(w->mm, at + PAGES(2)));  /* index 6 */
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), store_byte(0, 7));
	CHECK(w);
}

static void mincore_goes_by_the_pte(struct world *w)
{
	file *f = store_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	uint8_t vec[8];
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), store_byte(0, 2));
	STEP(w, remap(w, at, 1, 2, 0, NULL), 0);
	STEP(w, remap(w, at + PAGES(2), 1, 5, MAP_NONBLOCK, NULL), 0);
	STEP(w, remap(w, at + PAGES(3), 1, 2, MAP_NONBLOCK, NULL), 0);
	EXPECT_EQ(mm_mincore(w->mm, at, PAGES(8), vec), 0);
	EXPECT_EQ(vec[0], 1);
	EXPECT_EQ(vec[2], 0); /* page 2 is cached, but 5 stands here */
	EXPECT_EQ(vec[3], 1);
	EXPECT_EQ(vec[4], 0);
}

static void dontneed_keeps_the_offset(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	STEP(w, remap(w, at, 4, 4, 0, NULL), 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 4));
	STEP(w, mm_madvise(w->mm, at, PAGES(8), MADV_DONTNEED), 0);
	EXPECT(!is_present(w->mm, at));
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 4));
	EXPECT_EQ(load(w, w->mm, at + PAGES(4)), store_byte(0, 4));
	STEP(w, mm_madvise(w->mm, at, PAGES(8), MADV_DONTNEED), 0);
	STEP(w, mm_madvise(w->mm, at, PAGES(8), MADV_DONTNEED), 0); /* file ptes already */
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 5));
	CHECK(w);
}

/* MADV_REMOVE by linear arithmetic would punch an innocent page. */
static void remove_is_refused_while_nonlinear(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	STEP(w, remap(w, at, 1, 5, 0, NULL), 0);
	STEP(w, mm_madvise(w->mm, at, PAGES(1), MADV_REMOVE), -EINVAL);
	EXPECT_EQ(file_byte(f, 0), store_byte(0, 0));
	EXPECT_EQ(file_byte(f, PAGES(5)), store_byte(0, 5));
}

static void fork_while_nonlinear(struct world *w)
{
	file *f = store_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	STEP(w, remap(w, at, 2, 4, MAP_NONBLOCK, NULL), 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 4)); /* one came, one did not */
	mm *child = fork_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(load(w, child, at), store_byte(0, 4));
	EXPECT_EQ(load(w, child, at + PAGES(1)), store_byte(0, 5));
	EXPECT_EQ(load(w, child, at + PAGES(2)), store_byte(0, 2));
	EXPECT_EQ(store(w, child, at + PAGES(1), 1), 1);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 1);
	STEP(w, mm_munmap(w->mm, at, PAGES(8)), 0);
	STEP(w, mapping_truncate(f->mapping, PAGES(5)), 0);
	EXPECT_EQ(load(w, child, at), store_byte(0, 4));
	EXPECT_EQ(load(w, child, at + PAGES(1)), BUS_ADRERR);
}

/* 2014's BUG in filemap.c: two VMAs of one task show the file, one remapped to
 * page 0; the other is closed first. */
static void two_vmas_one_remapped_the_other_closed_first(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t a = map(w, 4, RW, MAP_SHARED, f, 0), b = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(user_touch(w->mm, a, PAGES(4), ACCESS_WRITE), 4);
	EXPECT_EQ(user_touch(w->mm, b, PAGES(4), ACCESS_WRITE), 4);
	for (uint64_t i = 0; i < 4; i++)
		STEP(w, remap(w, b + PAGES(i), 1, 0, 0, NULL), 0);
	EXPECT_EQ(load(w, w->mm, b + PAGES(3)), store_byte(0, 0));
	STEP(w, mm_munmap(w->mm, a, PAGES(4)), 0);
	EXPECT_EQ(mapping_find(f->mapping, 0)->mapcount, 4);
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(w->m->counters.nr_mapped, 0);
	EXPECT_EQ(load(w, w->mm, b + PAGES(2)), BUS_ADRERR);
}

static void shared_anonymous_can_be_remapped(struct world *w)
{
	uint64_t at = map(w, 4, RW, SHARED_ANON, NULL, 0);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), (uint8_t)(10 + i)), 1);
	STEP(w, remap(w, at, 2, 2, 0, NULL), 0);
	EXPECT_EQ(load(w, w->mm, at), 12);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 13);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), 12);
}

static void nonlinear_vma_is_split_moved_and_protected(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_EQ(remap(w, at + PAGES(i), 1, 7 - i, 0, NULL), 0);
	STEP(w, mm_munmap(w->mm, at + PAGES(3), PAGES(1)), 0);
	STEP(w, mm_mprotect(w->mm, at, PAGES(2), PROT_READ, -1), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 6));
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 0), SEGV_ACCERR);
	int64_t to = mm_mremap(w->mm, at + PAGES(4), PAGES(4), PAGES(6), MREMAP_MAYMOVE, 0);
	EXPECT(to > 0);
	CHECK(w);
	EXPECT_EQ(load(w, w->mm, (uint64_t)to), store_byte(0, 3));
	EXPECT_EQ(load(w, w->mm, (uint64_t)to + PAGES(3)), store_byte(0, 0));
	EXPECT_EQ(mapping_nr_vmas(f->mapping), nr_vmas(w->mm));
}

static void dirty_pages_of_a_nonlinear_vma_are_found(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0), dirty[4];
	STEP(w, remap(w, at, 1, 3, 0, NULL), 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	STEP(w, written(f, 0, INDEX_MAX, dirty, 4), 1);
	EXPECT_EQ(dirty[0], 3);
	EXPECT_EQ(store(w, w->mm, at, 2), 1);
	STEP(w, remap(w, at, 1, 0, 0, NULL), 0); /* the dirt goes with the page */
	STEP(w, written(f, 0, INDEX_MAX, dirty, 4), 1);
}

static void write_to_a_read_only_nonlinear_pte(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, PROT_READ, MAP_SHARED, f, 0);
	STEP(w, remap(w, at, 1, 2, 0, NULL), 0);
	EXPECT_EQ(store(w, w->mm, at, 1), SEGV_ACCERR);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 2));
}

/* ---- C: the emulation ---- */

static void emulation_splits_vmas(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	for (uint64_t i = 0; i < 4; i++)
		STEP(w, mm_remap_behind_gate(w->mm, at + PAGES(i), PAGES(1), 0, 3 - i, 0, NULL), 0);
	machine_tunables(w->m)->nonlinear_emulated = 1;
	EXPECT_EQ(nr_vmas(w->mm), 4);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), store_byte(0, 3 - i));
	STEP(w, remap(w, at, 1, 9, 0, NULL), 0); /* beyond the end: later */
	EXPECT_EQ(load(w, w->mm, at), BUS_ADRERR);
	for (uint64_t i = 0; i < 4; i++)
		STEP(w, remap(w, at + PAGES(i), 1, i, 0, NULL), 0);
	EXPECT_EQ(nr_vmas(w->mm), 1);
}

static void emulation_ends_at_max_map_count(struct world *w)
{
	file *f = memory_file(w, 64);
	uint64_t at = map(w, 64, RW, MAP_SHARED, f, 0), i;
	machine_tunables(w->m)->nonlinear_emulated = 1;
	machine_tunables(w->m)->max_map_count = 20;
	int64_t err = 0;
	for (i = 1; i < 63 && !err; i += 2)
		err = remap(w, at + PAGES(i), 1, 63 - i + 1, 0, NULL);
	EXPECT_EQ(err, -ENOMEM);
	CHECK(w);
	machine_tunables(w->m)->nonlinear_emulated = 0;
	for (i = 1; i < 63; i += 2) /* 2.6's way needs no VMA */
		EXPECT_EQ(remap(w, at + PAGES(40), 1, i, 0, NULL), 0);
	CHECK(w);
}

TESTS(TEST(special_shows_two_files), TEST(special_fill_beyond_the_end_changes_nothing),
      TEST(special_survives_truncate), TEST(special_checks_rights),
      TEST(special_mprotect_keeps_the_files_rights), TEST(special_pages_are_bounded),
      TEST(special_parts_are_as_any_vma), TEST(special_fork_shares_the_pages),
      TEST(special_mincore_tells_the_truth), TEST(special_waits_for_pages),
      TEST(special_page_mapped_elsewhere_too), TEST(special_store_reaches_writeback),
      TEST(reversed_pages_by_one_vma), TEST(arguments_are_checked_in_order),
      TEST(unaligned_start_in_the_last_page), TEST(nonblock_never_leaves_the_old_page),
      TEST(truncate_spares_innocent_pages), TEST(truncate_spares_innocent_pages_with_file_ptes),
      TEST(punch_spares_innocent_pages), TEST(mincore_goes_by_the_pte),
      TEST(dontneed_keeps_the_offset), TEST(remove_is_refused_while_nonlinear),
      TEST(fork_while_nonlinear), TEST(two_vmas_one_remapped_the_other_closed_first),
      TEST(shared_anonymous_can_be_remapped), TEST(nonlinear_vma_is_split_moved_and_protected),
      TEST(dirty_pages_of_a_nonlinear_vma_are_found), TEST(write_to_a_read_only_nonlinear_pte),
      TEST(emulation_splits_vmas), TEST(emulation_ends_at_max_map_count))
