/* test_access.c - loads, stores, strings, smaps and mincore, through the tables. */
#include "harness.h"

static void reads_and_writes_cross_pages(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	char out[9000], in[9000];
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7);
	STEP(w, user_write(w->mm, at + 1000, out, sizeof(out)), sizeof(out));
	EXPECT_EQ(user_read(w->mm, at + 1000, in, sizeof(in)), sizeof(in));
	EXPECT(!memcmp(in, out, sizeof(in)));
	EXPECT_EQ(user_read(w->mm, at, in, 0), 0);
}

static void a_fault_says_how_far_it_came(struct world *w)
{
	uint64_t at = map(w, 2, RW, PRIVATE_ANON, NULL, 0);
	char buf[10000] = { 0 };
	EXPECT_EQ(mm_munmap(w->mm, at + PAGES(1), PAGES(1)), 0);
	EXPECT_EQ(user_write(w->mm, at + 96, buf, sizeof(buf)), SEGV_MAPERR);
	EXPECT_EQ(machine_need(w->m)->done, 4000);
	EXPECT_EQ(machine_need(w->m)->addr, at + PAGES(1));
	CHECK(w);
}

static void a_need_is_served_in_the_middle(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, PROT_READ, MAP_PRIVATE, f, 0);
	char buf[12000];
	EXPECT_EQ(user_read(w->mm, at, buf, sizeof(buf)), NEED_PAGE);
	EXPECT_EQ(machine_need(w->m)->done, 0);
	EXPECT_EQ(SERVED(w, user_read(w->mm, at, buf, sizeof(buf))), sizeof(buf));
	EXPECT_EQ(buf[PAGE_SIZE], (char)store_byte(0, 1));
	CHECK(w);
}

static void strings(struct world *w)
{
	uint64_t at = map(w, 2, RW, PRIVATE_ANON, NULL, 0);
	char buf[64];
	EXPECT_EQ(user_write(w->mm, at + PAGE_SIZE - 3, "hello", 6), 6);
	EXPECT_EQ(user_string(w->mm, at + PAGE_SIZE - 3, buf, sizeof(buf)), 5);
	EXPECT(!strcmp(buf, "hello"));
	EXPECT_EQ(user_string(w->mm, at + PAGE_SIZE - 3, buf, 5), -ENAMETOOLONG);
	EXPECT_EQ(user_string(w->mm, at + PAGE_SIZE - 3, buf, 6), 5);
	memset(buf, 'x', sizeof(buf));
	EXPECT_EQ(user_write(w->mm, at + PAGES(2) - 10, buf, 10), 10);
	EXPECT_EQ(user_string(w->mm, at + PAGES(2) - 10, buf, sizeof(buf)), SEGV_MAPERR);
	EXPECT_EQ(user_string(w->mm, at + PAGES(2) - 10, buf, 10), -ENAMETOOLONG);
}

static void touch_counts_pages(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, at + 100, PAGES(2), ACCESS_WRITE), 3);
	EXPECT_EQ(user_touch(w->mm, at, PAGES(5), ACCESS_READ), SEGV_MAPERR);
	EXPECT_EQ(machine_need(w->m)->done, PAGES(4));
	EXPECT_EQ(w->mm->counters.rss_anon, 3);
	CHECK(w);
}

static void faults_are_counted_and_hits_are_not(struct world *w)
{
	uint64_t at = map(w, 1, RW, PRIVATE_ANON, NULL, 0);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(store(w, w->mm, at, 1), 1);
	EXPECT_EQ(w->m->counters.pgfault, 1);
	EXPECT_EQ(w->mm->counters.min_flt, 1);
}

static void exec_needs_its_right(struct world *w)
{
	uint64_t at = map(w, 1, PROT_READ | PROT_EXEC, PRIVATE_ANON, NULL, 0);
	uint64_t data = map(w, 1, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, at, 1, ACCESS_EXEC), 1);
	EXPECT_EQ(user_touch(w->mm, data, 1, ACCESS_WRITE), 1);
	EXPECT_EQ(user_touch(w->mm, data, 1, ACCESS_EXEC), SEGV_ACCERR);
	CHECK(w);
}

static void mincore_and_holes(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, PROT_READ, MAP_SHARED, f, 0);
	uint8_t vec[6];
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), store_byte(0, 1));
	EXPECT_EQ(mm_mincore(w->mm, at, PAGES(3) + 1, vec), 0);
	EXPECT(!vec[0] && vec[1] == 1 && !vec[2] && !vec[3]);
	EXPECT_EQ(mm_mincore(w->mm, at + 1, PAGES(1), vec), -EINVAL);
	EXPECT_EQ(mm_mincore(w->mm, at, PAGES(5), vec), -ENOMEM);
	EXPECT_EQ(mm_munmap(w->mm, at + PAGES(1), PAGES(1)), 0);
	EXPECT_EQ(mm_mincore(w->mm, at, PAGES(3), vec), -ENOMEM);
	CHECK(w);
}

static void smaps_divides_shared_pages(struct world *w)
{
	PAGE_BY_PAGE(w);
	file *f = store_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	struct smaps_info info;
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 1), 1);
	mm *child = fork_mm(w, w->mm);
	EXPECT_EQ(load(w, child, at), store_byte(0, 0));
	EXPECT_EQ(mm_smaps(w->mm, at, &info), 0);
	EXPECT_EQ(info.rss, 2);
	EXPECT_EQ(info.pss, 4096 + 2048);
	EXPECT_EQ(info.shared_clean, 1);
	EXPECT_EQ(info.private_dirty, 1);
	EXPECT_EQ(mm_smaps(w->mm, at - PAGES(1), &info), -EFAULT);
	CHECK(w);
}

static uint64_t referenced(struct world *w, uint64_t at)
{
	struct smaps_info info;
	EXPECT_EQ(mm_smaps(w->mm, at, &info), 0);
	EXPECT_EQ(info.pss, info.pss_anon + info.pss_file + info.pss_shmem);
	return info.referenced;
}

static void references_are_forgotten_by_kind(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t anon = map(w, 2, RW, PRIVATE_ANON, NULL, 0);
	uint64_t shared = map(w, 2, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
	uint64_t of_file = map(w, 2, RW, MAP_SHARED, f, 0);
	for (uint64_t kinds = 0; kinds < 4; kinds++) {
		EXPECT_EQ(store(w, w->mm, anon, 1), 1);
		EXPECT_EQ(store(w, w->mm, shared, 1), 1);
		EXPECT_EQ(store(w, w->mm, of_file, 1), 1);
		mm_clear_refs(w->mm, kinds);
		EXPECT_EQ(referenced(w, anon), !(kinds & REFS_ANONYMOUS));
		EXPECT_EQ(referenced(w, shared), !(kinds & REFS_OF_FILES));
		EXPECT_EQ(referenced(w, of_file), !(kinds & REFS_OF_FILES));
		CHECK(w);
	}
	uint64_t peak = w->mm->counters.rss_anon + w->mm->counters.rss_file +
			w->mm->counters.rss_shmem;
	EXPECT_EQ(mm_munmap(w->mm, anon, PAGES(2)), 0);
	mm_reset_peak(w->mm);
	EXPECT_EQ(w->mm->counters.hiwater_rss, peak - 1);
}

static void shared_anonymous_memory_is_numbered(struct world *w)
{
	uint64_t one = map(w, 1, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
	uint64_t two = map(w, 1, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
	mm *child = fork_mm(w, w->mm);
	struct vma_info info;
	EXPECT_EQ(mm_vmas(w->mm, one, &info, 1), 1);
	EXPECT_EQ(info.mapping, COOKIE_ANONYMOUS + 1);
	EXPECT_EQ(mm_vmas(w->mm, two, &info, 1), 1);
	EXPECT_EQ(info.mapping, COOKIE_ANONYMOUS + 2);
	EXPECT_EQ(info.file, 0);
	EXPECT_EQ(mm_vmas(child, one, &info, 1), 1);
	EXPECT_EQ(info.mapping, COOKIE_ANONYMOUS + 1);
}

static void msync_checks(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(mm_msync_check(w->mm, at, PAGES(4), 4), 0);
	EXPECT_EQ(mm_msync_check(w->mm, at, PAGES(4), 1 | 4), -EINVAL);
	EXPECT_EQ(mm_msync_check(w->mm, at + 1, PAGES(4), 4), -EINVAL);
	EXPECT_EQ(mm_msync_check(w->mm, at, PAGES(4), 8), -EINVAL);
	EXPECT_EQ(mm_msync_check(w->mm, at, PAGES(5), 4), -ENOMEM);
	EXPECT_EQ(mm_munmap(w->mm, at + PAGES(1), PAGES(1)), 0);
	EXPECT_EQ(mm_msync_check(w->mm, at, PAGES(4), 4), -ENOMEM);
	EXPECT_EQ(mm_mlock(w->mm, at, PAGES(1), 0), 0);
	EXPECT_EQ(mm_msync_check(w->mm, at, PAGES(1), 2), -EBUSY);
	CHECK(w);
}

static void advice(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, at, PAGES(4), ACCESS_WRITE), 4);
	EXPECT_EQ(store(w, w->mm, at, 5), 1);
	STEP(w, mm_madvise(w->mm, at, PAGES(1), MADV_DONTNEED), 0);
	EXPECT_EQ(load(w, w->mm, at), 0);
	EXPECT_EQ(w->m->counters.nr_anon, 3);
	STEP(w, mm_madvise(w->mm, at, PAGES(1), 5), -EINVAL);
	STEP(w, mm_madvise(w->mm, at, PAGES(1), 9999), -EINVAL);
	STEP(w, mm_madvise(w->mm, at + 1, PAGES(1), MADV_DONTNEED), -EINVAL);
	STEP(w, mm_madvise(w->mm, at, PAGES(1), MADV_REMOVE), -EINVAL);
	EXPECT_EQ(mm_munmap(w->mm, at + PAGES(1), PAGES(1)), 0);
	STEP(w, mm_madvise(w->mm, at, PAGES(4), MADV_DONTNEED), -ENOMEM);
	EXPECT_EQ(w->m->counters.nr_anon, 0); /* it went on over the hole */
	STEP(w, mm_madvise(w->mm, at + PAGES(2), PAGES(2), MADV_POPULATE_WRITE), 0);
	EXPECT_EQ(w->m->counters.nr_anon, 2);
	STEP(w, mm_madvise(w->mm, at, PAGES(4), MADV_POPULATE_READ), -ENOMEM);
}

static void remove_punches_the_file(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 2);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 2));
	STEP(w, mm_madvise(w->mm, at, PAGES(1), MADV_REMOVE), 0);
	EXPECT_EQ(load(w, w->mm, at), 0);
	EXPECT_EQ(file_byte(f, PAGES(3)), store_byte(0, 3));
	EXPECT_EQ(mapping_nr_pages(f->mapping), 4); /* read again: a page of zeroes */
}

static void a_core_file_leaves_out_what_nobody_touched(struct world *w)
{
	file *f = store_file(w, 4);
	uint64_t at = map(w, 6, RW, PRIVATE_ANON, NULL, 0);
	uint8_t there[6];
	static char buf[PAGES(6)];
	(void)load(w, w->mm, at + PAGES(1)); /* the page of zeroes */
	EXPECT_EQ(store(w, w->mm, at + PAGES(2), 5), 1);
	EXPECT_EQ(mm_mprotect(w->mm, at + PAGES(2), PAGES(1), PROT_NONE, -1), 0);
	EXPECT_EQ(mm_munmap(w->mm, at + PAGES(4), PAGES(1)), 0);
	STEP(w, mm_dump(w->mm, at, buf, 6, there), 6);
	EXPECT(!memcmp(there, (uint8_t[]){ 0, 0, 1, 0, 0, 0 }, 6));
	EXPECT_EQ(buf[PAGES(2)], 5);
	EXPECT_EQ(w->m->counters.nr_anon, 1);
	at = map(w, 4, PROT_READ, MAP_PRIVATE, f, 0);
	EXPECT_EQ(mm_dump(w->mm, at, buf, 4, there), NEED_PAGE);
	EXPECT_EQ(SERVED(w, mm_dump(w->mm, at, buf, 2, there)) > 0, 1);
	EXPECT_EQ(there[0], 1);
	EXPECT_EQ(buf[0], (char)store_byte(0, 0));
	CHECK(w);
}

TESTS(TEST(reads_and_writes_cross_pages), TEST(a_fault_says_how_far_it_came),
      TEST(a_need_is_served_in_the_middle), TEST(strings), TEST(touch_counts_pages),
      TEST(faults_are_counted_and_hits_are_not), TEST(exec_needs_its_right),
      TEST(mincore_and_holes), TEST(smaps_divides_shared_pages),
      TEST(references_are_forgotten_by_kind), TEST(shared_anonymous_memory_is_numbered),
      TEST(msync_checks), TEST(advice), TEST(a_core_file_leaves_out_what_nobody_touched),
      TEST(remove_punches_the_file))
