/*
 * test_ksm.c - pages of equal content become one: who shares, what a store, a fork, swap,
 * a move and an unmapping do, and that no content ever changes by it.
 */
#define NR_RAM_PAGES 1024
#define NR_TEST_NODES 2
#include "harness.h"

static struct ksm *ksm(struct world *w) { return machine_ksm(w->m); }

/* Whole rounds of the scan. */
static void rounds(struct world *w, int nr)
{
	uint64_t until = ksm(w)->full_scans + (uint64_t)nr;
	for (int i = 0; i < 1000 && ksm(w)->full_scans < until; i++) {
		machine_ksm_scan(w->m, 7);
		CHECK(w);
	}
	EXPECT_EQ(ksm(w)->full_scans, until);
}

static void fill(struct world *w, mm *mm, uint64_t addr, uint8_t byte)
{
	uint8_t data[PAGE_SIZE];
	memset(data, byte, sizeof(data));
	EXPECT_EQ(SERVED(w, user_write(mm, addr, data, sizeof(data))), PAGE_SIZE);
}

/* A mergeable range whose page i is full of pattern[i]. */
static uint64_t mergeable(struct world *w, const char *pattern)
{
	uint64_t nr = strlen(pattern), at = map(w, nr, RW, PRIVATE_ANON, NULL, 0);
	for (uint64_t i = 0; i < nr; i++)
		fill(w, w->mm, at + PAGES(i), (uint8_t)pattern[i]);
	EXPECT_EQ(mm_madvise(w->mm, at, PAGES(nr), MADV_MERGEABLE), 0);
	ksm(w)->smart_scan = 0;
	return at;
}

static void expect_content(struct world *w, mm *mm, uint64_t at, const char *pattern, int line)
{
	for (uint64_t i = 0; pattern[i]; i++)
		if (pattern[i] != '.' && load(w, mm, at + PAGES(i) + i) != (uint8_t)pattern[i])
			complain(__FILE__, line, "page %lu is not '%c'", i, pattern[i]);
}
#define CONTENT(w, mm, at, pattern) expect_content(w, mm, at, pattern, __LINE__)

#define EXPECT_SHARES(w, shared, sharing, unshared) \
	do { \
		EXPECT_EQ(ksm(w)->pages_shared, shared); \
		EXPECT_EQ(ksm(w)->pages_sharing, sharing); \
		EXPECT_EQ(ksm(w)->pages_unshared, unshared); \
	} while (0)

static void equal_pages_become_one(struct world *w)
{
	uint64_t free = w->m->counters.nr_free;
	uint64_t at = mergeable(w, "AAAABBCD");
	rounds(w, 2);
	EXPECT_SHARES(w, 2, 4, 2);
	CONTENT(w, w->mm, at, "AAAABBCD");
	EXPECT_EQ(store(w, w->mm, at + PAGES(1) + 5, 'x'), 1);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1) + 6), 'A');
	CONTENT(w, w->mm, at, "A.AABBCD");
	EXPECT_EQ(w->m->counters.cow_ksm, 1);
	EXPECT_SHARES(w, 2, 4, 2); /* until it comes by again */
	rounds(w, 1);
	EXPECT_SHARES(w, 2, 3, 2);
	fill(w, w->mm, at + PAGES(1), 'A');
	rounds(w, 2);
	EXPECT_SHARES(w, 2, 4, 2);
	STEP(w, mm_madvise(w->mm, at, PAGES(8), MADV_UNMERGEABLE), 0);
	CONTENT(w, w->mm, at, "AAAABBCD");
	rounds(w, 1);
	EXPECT_SHARES(w, 0, 0, 0);
	STEP(w, mm_munmap(w->mm, at, PAGES(8)), 0);
	EXPECT(w->m->counters.nr_free + 8 >= free);
}

static void others_share_too(struct world *w)
{
	uint64_t at = mergeable(w, "AABC");
	mm *child = fork_mm(w, w->mm);
	rounds(w, 3);
	EXPECT_SHARES(w, 1, 3, 2); /* a page that fork shares is one already */
	EXPECT_EQ(store(w, child, at, 'z'), 1);
	CONTENT(w, w->mm, at, "AABC");
	CONTENT(w, child, at + PAGES(1), "A");
	mm *second = fork_mm(w, child); /* of what is merged */
	rounds(w, 2);
	EXPECT_EQ(ksm(w)->pages_shared, 1);
	EXPECT_EQ(ksm(w)->pages_sharing, 3);
	drop_mm(w, w->mm);
	w->mm = child;
	CHECK(w);
	CONTENT(w, second, at + PAGES(1), "A");
	drop_mm(w, second);
	CHECK(w);
	EXPECT_SHARES(w, 1, 0, 1);
	CONTENT(w, child, at + PAGES(1), "ABC");
	w->mm = child;
}

static void a_page_has_so_many_sharers(struct world *w)
{
	ksm(w)->max_page_sharing = 3;
	uint64_t at = mergeable(w, "AAAAAAAAAA");
	rounds(w, 3);
	EXPECT_SHARES(w, 3, 6, 1);
	EXPECT_EQ(ksm(w)->stable_node_chains, 1);
	EXPECT_EQ(ksm(w)->stable_node_dups, 3);
	STEP(w, mm_munmap(w->mm, at, PAGES(9)), 0);
	rounds(w, 1);
	EXPECT_SHARES(w, 0, 0, 1);
	EXPECT_EQ(ksm(w)->stable_node_chains, 0);
	EXPECT_EQ(ksm(w)->stable_node_dups, 0);
}

static void empty_pages_become_the_zero_page(struct world *w)
{
	ksm(w)->use_zero_pages = 1;
	uint64_t at = mergeable(w, "AAAAAA");
	for (uint64_t i = 1; i < 6; i++)
		fill(w, w->mm, at + PAGES(i), 0);
	rounds(w, 2);
	EXPECT_EQ(ksm(w)->zero_pages, 5);
	mm *child = fork_mm(w, w->mm);
	CHECK(w);
	EXPECT_EQ(ksm(w)->zero_pages, 5);
	EXPECT_EQ(store(w, child, at + PAGES(1), 1), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(2), 1), 1);
	CHECK(w);
	EXPECT_EQ(ksm(w)->zero_pages, 4);
	int64_t to = mm_mremap(w->mm, at + PAGES(3), PAGES(1), PAGES(1),
			       MREMAP_MAYMOVE | MREMAP_FIXED, at + PAGES(64));
	EXPECT(to > 0);
	STEP(w, mm_munmap(w->mm, at + PAGES(4), PAGES(1)), 0);
	EXPECT_EQ(ksm(w)->zero_pages, 3);
	STEP(w, mm_madvise(w->mm, at, PAGES(3), MADV_UNMERGEABLE), 0);
	EXPECT_EQ(ksm(w)->zero_pages, 2);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 0);
	EXPECT_EQ(load(w, w->mm, (uint64_t)to), 0);
	EXPECT_EQ(SERVED(w, machine_ksm_unmerge(w->m)), 0);
	CHECK(w);
	EXPECT_EQ(ksm(w)->zero_pages, 0);
	EXPECT_EQ(ksm(w)->rmap_items, 0);
}

static void merged_pages_go_to_swap_and_back(struct world *w)
{
	add_swap(w, 128);
	uint64_t at = mergeable(w, "AAAAAAAABBCD");
	rounds(w, 2);
	mm *child = fork_mm(w, w->mm);
	EXPECT_SHARES(w, 2, 8, 2);
	squeeze(w);
	EXPECT(w->m->counters.nr_swap_used > 0);
	CONTENT(w, w->mm, at, "AAAAAAAABBCD");
	CHECK(w);
	EXPECT_EQ(store(w, w->mm, at + 9, 'y'), 1);
	CONTENT(w, child, at, "AAAAAAAABBCD");
	CONTENT(w, w->mm, at + PAGES(1), "AAAAAAABBCD");
	CHECK(w);
	if (w->rmap != RMAP_VIRTUAL_SCAN)
		EXPECT(w->m->counters.ksm_swpin_copy > 0);
	rounds(w, 3);
	EXPECT_EQ(ksm(w)->pages_shared, 2);
	squeeze(w);
	STEP(w, SERVED(w, swap_off(w->m, 0)), 0);
	CONTENT(w, child, at, "AAAAAAAABBCD");
	CHECK(w);
}

static void merged_pages_move(struct world *w)
{
	uint64_t at = mergeable(w, "AAAAB");
	rounds(w, 2);
	int64_t to = mm_mremap(w->mm, at, PAGES(2), PAGES(2), MREMAP_MAYMOVE | MREMAP_FIXED,
			       at + PAGES(64));
	EXPECT(to > 0);
	CHECK(w);
	CONTENT(w, w->mm, (uint64_t)to, "AA");
	rounds(w, 1);
	EXPECT_SHARES(w, 1, 3, 1);
	uint64_t there = at + PAGES(3);
	int32_t nid = 1, status = -1;
	EXPECT_EQ(mm_move_pages(w->mm, 1, &there, &nid, &status, MPOL_MF_MOVE_ALL), 1);
	EXPECT_EQ(status, 1);
	CHECK(w);
	CONTENT(w, w->mm, (uint64_t)to, "AA");
	EXPECT_EQ(store(w, w->mm, (uint64_t)to, 'q'), 1);
	CONTENT(w, w->mm, at + PAGES(2), "AAB");
	rounds(w, 2);
	EXPECT_SHARES(w, 1, 2, 2);
}

static void nodes_apart(struct world *w)
{
	ksm(w)->merge_across_nodes = 0;
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	struct policy second = { .mode = MPOL_BIND, .nodes = 2, .home = NO_NODE };
	EXPECT_EQ(mm_mbind(w->mm, at + PAGES(2), at + PAGES(4), &second, 0), 0);
	for (uint64_t i = 0; i < 4; i++)
		fill(w, w->mm, at + PAGES(i), 'N');
	EXPECT_EQ(mm_madvise(w->mm, at, PAGES(4), MADV_MERGEABLE), 0);
	rounds(w, 3);
	EXPECT_SHARES(w, 2, 2, 0);
	int32_t nid = 1, status = -1;
	EXPECT_EQ(mm_move_pages(w->mm, 1, &at, &nid, &status, MPOL_MF_MOVE_ALL), 1);
	EXPECT_EQ(status, -EBUSY);
	CHECK(w);
}

static void protection_never_opens_them(struct world *w)
{
	uint64_t at = mergeable(w, "AAB");
	rounds(w, 2);
	STEP(w, mm_munmap(w->mm, at + PAGES(1), PAGES(1)), 0); /* one sharer is left */
	STEP(w, mm_mprotect(w->mm, at, PAGES(1), PROT_READ, -1), 0);
	STEP(w, mm_mprotect(w->mm, at, PAGES(1), RW, -1), 0);
	EXPECT_EQ(store(w, w->mm, at, 'w'), 1);
	CHECK(w);
	EXPECT_EQ(load(w, w->mm, at), 'w');
	STEP(w, mm_mlock(w->mm, at, PAGES(1), 0), 0);
	CHECK(w);
}

static void a_task_merges_all(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	mm_ksm_enable(w->mm);
	uint64_t later = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	uint64_t shared = map(w, 1, RW, SHARED_ANON, NULL, 0);
	for (uint64_t i = 0; i < 4; i++) {
		fill(w, w->mm, at + PAGES(i), 'T');
		fill(w, w->mm, later + PAGES(i), 'T');
	}
	fill(w, w->mm, shared, 'T');
	rounds(w, 2);
	EXPECT_SHARES(w, 1, 7, 0);
	mm *child = fork_mm(w, w->mm);
	struct mm_ksm told;
	mm_ksm(child, &told);
	EXPECT(told.merge_any && told.mergeable);
	STEP(w, SERVED(w, mm_ksm_disable(w->mm)), 0);
	CONTENT(w, w->mm, at, "TTTT");
	rounds(w, 1);
	EXPECT_EQ(ksm(w)->pages_sharing, 7); /* the child's */
	mm_ksm(w->mm, &told);
	EXPECT_EQ(told.merging_pages, 0);
}

/* Each allocation of a scan, and of taking back, refused once. */
static void scans_that_are_refused(struct world *w)
{
	uint64_t at = mergeable(w, "AAAABBBBCCCCDDDD");
	for (uint64_t nth = 1; nth < 60; nth++) {
		machine_fail_nth(w->m, nth % 12 + 1);
		for (int i = 0; i < 8; i++)
			machine_ksm_scan(w->m, 5);
		machine_fail_nth(w->m, 0);
		CHECK(w);
		if (nth % 9 == 0) {
			machine_fail_nth(w->m, nth / 9);
			mm_madvise(w->mm, at, PAGES(16), MADV_UNMERGEABLE);
			machine_fail_nth(w->m, 0);
			CHECK(w);
			STEP(w, mm_madvise(w->mm, at, PAGES(16), MADV_MERGEABLE), 0);
		}
	}
	CONTENT(w, w->mm, at, "AAAABBBBCCCCDDDD");
}

/* ---- at random, beside a copy of what must be there ---- */

#define NR 24
static uint32_t seed;

static uint32_t dice(uint32_t sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

struct model {
	mm *mm;
	uint8_t byte[NR]; /* of each page at at + i; 0: unmapped or empty */
};

static void one_step(struct world *w, struct model *who, uint64_t at)
{
	uint64_t page = dice(NR);
	uint64_t addr = at + PAGES(page);
	switch (dice(12)) {
	case 0:
	case 1:
	case 2:
		who->byte[page] = (uint8_t)(1 + dice(3));
		fill(w, who->mm, addr, who->byte[page]);
		break;
	case 3:
		EXPECT_EQ(mm_madvise(who->mm, addr, PAGES(1), MADV_DONTNEED), 0);
		who->byte[page] = 0;
		break;
	case 4:
		EXPECT_EQ(SERVED(w, mm_madvise(who->mm, addr, PAGES(NR - page),
					       dice(3) ? MADV_MERGEABLE : MADV_UNMERGEABLE)),
			  0);
		break;
	case 5:
		mm_mprotect(who->mm, addr, PAGES(1), dice(2) ? PROT_READ : RW, -1);
		mm_mprotect(who->mm, addr, PAGES(1), RW, -1);
		break;
	case 6:
		relieve(w, 1);
		break;
	case 7:
		mm_migrate_pages(who->mm, dice(2), dice(2), MPOL_MF_MOVE_ALL);
		break;
	case 8:
		ksm(w)->use_zero_pages = dice(2);
		break;
	default:
		machine_ksm_scan(w->m, dice(60));
	}
}

static void at_random(struct world *w)
{
	struct model models[3] = { { .mm = w->mm } };
	uint64_t nr_models = 1, at = map(w, NR, RW, PRIVATE_ANON, NULL, 0);
	add_swap(w, 256);
	ksm(w)->max_page_sharing = 4;
	seed = 1;
	for (int i = 0; i < draws(600) && !failures; i++) {
		struct model *who = &models[dice((uint32_t)nr_models)];
		one_step(w, who, at);
		if (i % 200 == 100 && nr_models < 3) {
			models[nr_models] = *who;
			models[nr_models++].mm = fork_mm(w, who->mm);
		}
		if (i % 10)
			continue;
		CHECK(w);
		for (uint64_t m = 0; m < nr_models; m++)
			for (uint64_t page = 0; page < NR; page++)
				EXPECT_EQ(load(w, models[m].mm, at + PAGES(page) + 77),
					  models[m].byte[page]);
	}
}

TESTS(TEST(equal_pages_become_one), TEST(others_share_too), TEST(a_page_has_so_many_sharers),
      TEST(empty_pages_become_the_zero_page), TEST(merged_pages_go_to_swap_and_back),
      TEST(merged_pages_move), TEST(nodes_apart), TEST(protection_never_opens_them),
      TEST(a_task_merges_all), TEST(scans_that_are_refused), TEST(at_random))
