/*
 * test_nodes.c - two nodes of memory: where pages come from by each policy, what is
 * done when a node is full, and moving pages that every kind of mapper shows.
 */
#define NR_TEST_NODES 2
#include "harness.h"

#define BOTH 3ul

static uint64_t nid_at(mm *mm, uint64_t addr)
{
	int32_t nid;
	mm_pages_nodes(mm, 1, &addr, &nid);
	return (uint64_t)nid;
}

static const struct policy nobody = { .home = NO_NODE };

static struct policy policy(uint64_t mode, uint64_t nodes)
{
	struct policy p = nobody;
	p.mode = mode;
	p.nodes = nodes;
	return p;
}

static int64_t bind(struct world *w, uint64_t at, uint64_t nr_pages, struct policy p)
{
	return mm_mbind(w->mm, at, at + PAGES(nr_pages), &p, 0);
}

/* How many of nr pages at at lie on node 1. */
static uint64_t on_second(struct world *w, uint64_t at, uint64_t nr)
{
	uint64_t count = 0;
	for (uint64_t i = 0; i < nr; i++)
		count += nid_at(w->mm, at + PAGES(i)) == 1;
	return count;
}

static void pages_come_by_policy(struct world *w)
{
	uint64_t at = map(w, 40, RW, PRIVATE_ANON, NULL, 0);
	STEP(w, bind(w, at + PAGES(8), 8, policy(MPOL_BIND, 2)), 0);
	STEP(w, bind(w, at + PAGES(16), 8, policy(MPOL_INTERLEAVE, BOTH)), 0);
	w->m->tunables.interleave_weights[1] = 3;
	STEP(w, bind(w, at + PAGES(24), 8, policy(MPOL_WEIGHTED_INTERLEAVE, BOTH)), 0);
	STEP(w, bind(w, at + PAGES(32), 8, policy(MPOL_PREFERRED, 2)), 0);
	EXPECT_EQ(nr_vmas(w->mm), 5);
	STEP(w, user_touch(w->mm, at, PAGES(40), ACCESS_WRITE), 40);
	EXPECT_EQ(on_second(w, at, 8), 0);
	EXPECT_EQ(on_second(w, at + PAGES(8), 8), 8);
	EXPECT_EQ(on_second(w, at + PAGES(16), 8), 4);
	EXPECT_EQ(on_second(w, at + PAGES(24), 8), 6);
	EXPECT_EQ(on_second(w, at + PAGES(32), 8), 8);
	*mm_policy(w->mm) = policy(MPOL_BIND, 2);
	uint64_t shared = map(w, 8, RW, SHARED_ANON, NULL, 0);
	STEP(w, user_touch(w->mm, shared, PAGES(8), ACCESS_WRITE), 8);
	EXPECT_EQ(on_second(w, shared, 8), 8);
	mm *child = fork_mm(w, w->mm);
	EXPECT_EQ(mm_policy(child)->mode, MPOL_BIND);
	STEP(w, user_touch(child, at, PAGES(8), ACCESS_WRITE), 8);
	EXPECT_EQ(nid_at(child, at), 1); /* its copies */
	EXPECT_EQ(nid_at(w->mm, at), 0);
	drop_mm(w, child);
}

static void vmas_join_by_policy(struct world *w)
{
	uint64_t at = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
	STEP(w, bind(w, at + PAGES(2), 4, policy(MPOL_BIND, 2)), 0);
	EXPECT_EQ(nr_vmas(w->mm), 3);
	STEP(w, bind(w, at, 8, policy(MPOL_BIND, 2)), 0);
	EXPECT_EQ(nr_vmas(w->mm), 1);
	STEP(w, mm_munmap(w->mm, at + PAGES(3), PAGES(1)), 0);
	STEP(w, mm_set_home_node(w->mm, at, at + PAGES(8), 1), 0);
	STEP(w, bind(w, at, 8, policy(MPOL_BIND, 1)), -EFAULT);
	STEP(w, bind(w, at, 8, nobody), 0);
	EXPECT_EQ(nr_vmas(w->mm), 2);
	STEP(w, mm_set_home_node(w->mm, at, at + PAGES(8), 1), -ENOENT);
}

static void files_remember_ranges(struct world *w)
{
	file *f = new_file(w, MAPPING_MEMORY, 16, FILE_READ | FILE_WRITE);
	uint64_t at = map(w, 16, RW, MAP_SHARED, f, 0), other = map(w, 8, RW, MAP_SHARED, f, 4);
	STEP(w, bind(w, at + PAGES(2), 8, policy(MPOL_BIND, 2)), 0);
	STEP(w, bind(w, other, 2, policy(MPOL_PREFERRED, 1)), 0); /* pages 4 and 5 */
	struct policy p;
	EXPECT_EQ(mm_vma_policy(w->mm, at + PAGES(3), &p), 1);
	EXPECT_EQ(p.mode, MPOL_BIND);
	EXPECT_EQ(mm_vma_policy(w->mm, at + PAGES(4), &p), 1);
	EXPECT_EQ(p.mode, MPOL_PREFERRED);
	EXPECT_EQ(mm_vma_policy(w->mm, other + PAGES(6), &p), 0);
	STEP(w, user_touch(w->mm, at, PAGES(16), ACCESS_WRITE), 16);
	EXPECT_EQ(on_second(w, at, 16), 6);
	STEP(w, mm_munmap(w->mm, at, PAGES(16)), 0);
	EXPECT_EQ(mm_vma_policy(w->mm, other + PAGES(3), &p), 1); /* the file remembers */
}

static void full_nodes(struct world *w)
{
	w->m->tunables.watermark_min = w->m->tunables.watermark_low = 8;
	uint64_t per_node = w->m->nr_pages / 2;
	uint64_t at = map(w, 400, RW, PRIVATE_ANON, NULL, 0);
	uint64_t end = at + PAGES(400);
	STEP(w, bind(w, at, 400, policy(MPOL_BIND, 2)), 0);
	int64_t status = 0;
	for (; status == 0 && at < end; at += PAGES(1))
		status = user_touch(w->mm, at, 1, ACCESS_WRITE) < 0 ? -1 : 0;
	EXPECT_EQ(status, -1);
	EXPECT_EQ(w->m->need.nodes, 2);
	EXPECT(w->m->nodes[1].nr_free <= 8 * per_node / w->m->nr_pages + 1);
	EXPECT(w->m->nodes[0].nr_free > per_node / 2);
	at = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
	STEP(w, bind(w, at, 4, policy(MPOL_PREFERRED, 2)), 0);
	STEP(w, bind(w, at + PAGES(4), 4, policy(MPOL_PREFERRED_MANY, 2)), 0);
	STEP(w, user_touch(w->mm, at, PAGES(8), ACCESS_WRITE), 8); /* from the other */
	EXPECT_EQ(on_second(w, at, 8), 0);
	EXPECT(w->m->nodes[0].stat.miss >= 4 && w->m->nodes[1].stat.foreign >= 4);
}

/* Only pages of the node that is short are reclaimed. */
static void reclaim_looks_at_its_node(struct world *w)
{
	add_swap(w, 64);
	uint64_t at = map(w, 32, RW, PRIVATE_ANON, NULL, 0);
	STEP(w, bind(w, at, 16, policy(MPOL_BIND, 2)), 0);
	STEP(w, user_touch(w->mm, at, PAGES(32), ACCESS_WRITE), 32);
	for (int i = 0; i < 8; i++) {
		struct reclaim r = { .nr_to_free = 16, .nodes = 2 };
		EXPECT(machine_reclaim(w->m, &r) >= 0);
	}
	CHECK(w);
	uint64_t here = 0;
	for (uint64_t i = 16; i < 32; i++)
		here += is_present(w->mm, at + PAGES(i));
	if (w->rmap == RMAP_VIRTUAL_SCAN)
		return; /* which unmaps whatever it meets */
	EXPECT_EQ(here, 16);
	EXPECT_EQ(w->m->nodes[1].nr_free, w->m->nodes[1].end - w->m->nodes[1].first);
}

/* ---- moving ---- */

static int64_t move(struct world *w, mm *mm, uint64_t addr, int32_t nid)
{
	int32_t status = -1;
	EXPECT_EQ(mm_move_pages(mm, 1, &addr, &nid, &status, MPOL_MF_MOVE_ALL), 1);
	CHECK(w);
	return status;
}

static void anonymous_pages_move(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	for (uint64_t i = 0; i < 3; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), (uint8_t)(10 + i)), 1);
	mm *child = fork_mm(w, w->mm), *second = fork_mm(w, w->mm);
	int32_t status = 0, one = 1;
	uint64_t addr = at;
	EXPECT_EQ(mm_move_pages(w->mm, 1, &addr, &one, &status, MPOL_MF_MOVE), 1);
	EXPECT_EQ(status, -EACCES); /* others map it */
	EXPECT_EQ(move(w, w->mm, at, 1), 1);
	EXPECT_EQ(move(w, child, at + PAGES(1), 1), 1);
	EXPECT_EQ(move(w, w->mm, at + PAGES(3), 1), -ENOENT);
	EXPECT_EQ(move(w, w->mm, at + PAGES(8), 1), -EFAULT);
	EXPECT_EQ(nid_at(second, at), 1);
	EXPECT_EQ(load(w, second, at), 10);
	EXPECT_EQ(store(w, child, at, 99), 1); /* still copied on write */
	EXPECT_EQ(load(w, w->mm, at), 10);
	EXPECT_EQ(load(w, second, at + PAGES(1)), 11);
	EXPECT_EQ(move(w, w->mm, at, 0), 0);
	EXPECT_EQ(w->m->counters.pgmigrate_success, 3);
	EXPECT_EQ(load(w, w->mm, at + PAGES(3)), 0);
	EXPECT_EQ(move(w, w->mm, at + PAGES(3), 1), -EFAULT); /* the zero page */
	CHECK(w);
}

static void file_pages_move(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0), copy = map(w, 4, RW, MAP_PRIVATE, f, 0);
	int64_t odd = mm_mmap(w->mm, 0, PAGES(4), RW, MAP_SHARED, f, 0);
	w->m->tunables.nonlinear_emulated = 0;
	EXPECT_EQ(mm_remap_file_pages(w->mm, (uint64_t)odd, PAGES(1), 0, 2, 0, NULL), 0);
	for (uint64_t i = 0; i < 4; i++) {
		EXPECT(load(w, w->mm, at + PAGES(i)) > 0);
		EXPECT(load(w, w->mm, copy + PAGES(i)) > 0);
		EXPECT(load(w, w->mm, (uint64_t)odd + PAGES(i)) > 0);
	}
	EXPECT_EQ(store(w, w->mm, copy, 77), 1);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT_EQ(move(w, w->mm, at + PAGES(i), 1), 1);
	EXPECT_EQ(nid_at(w->mm, copy), 0);
	EXPECT_EQ(nid_at(w->mm, copy + PAGES(2)), 1);
	EXPECT_EQ(nid_at(w->mm, (uint64_t)odd), 1);
	EXPECT_EQ(store(w, w->mm, (uint64_t)odd, 55), 1);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), 55);
	EXPECT_EQ(file_byte(f, PAGES(2)), 55);
	EXPECT_EQ(load(w, w->mm, copy), 77);
}

static void swapped_pages_move(struct world *w)
{
	add_swap(w, 64);
	uint64_t at = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), (uint8_t)(1 + i)), 1);
	squeeze(w);
	for (uint64_t i = 0; i < 8; i++) /* in the swap cache, read only */
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), 1 + i);
	EXPECT(w->m->counters.nr_swapcached > 0);
	EXPECT_EQ(move(w, w->mm, at + PAGES(2), 1), 1);
	EXPECT_EQ(mm_migrate_pages(w->mm, 0, 1, MPOL_MF_MOVE_ALL), 0);
	CHECK(w);
	EXPECT_EQ(on_second(w, at, 8), 8);
	squeeze(w);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), 1 + i);
}

static void locked_pages_move_and_stay_locked(struct world *w)
{
	uint64_t at = map(w, 2, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 5), 1);
	STEP(w, mm_mlock(w->mm, at, PAGES(2), MLOCK_ONFAULT), 0);
	uint64_t before = w->m->counters.nr_unevictable;
	EXPECT_EQ(move(w, w->mm, at, 1), 1);
	EXPECT_EQ(w->m->counters.nr_unevictable, before);
}

static void special_pages_stay(struct world *w)
{
	file *f = memory_file(w, 2);
	uint64_t at = map(w, 2, RW, MAP_SHARED, f, 0);
	EXPECT(load(w, w->mm, at) > 0);
	int64_t special = mm_mmap(w->mm, 0, PAGES(2), RW, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
	EXPECT(special > 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, (uint64_t)special, PAGES(1), RW, 0, 0, f), 0);
	EXPECT_EQ(move(w, w->mm, at, 1), -EBUSY);
	EXPECT_EQ(move(w, w->mm, (uint64_t)special, 1), -EFAULT);
	EXPECT_EQ(w->m->counters.pgmigrate_fail, 1);
}

static void mbind_moves(struct world *w)
{
	uint64_t at = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
	STEP(w, user_touch(w->mm, at, PAGES(8), ACCESS_WRITE), 8);
	struct policy there = policy(MPOL_BIND, 2);
	STEP(w, mm_mbind(w->mm, at, at + PAGES(8), &there, MPOL_MF_STRICT), -EIO);
	EXPECT_EQ(nr_vmas(w->mm), 1);
	EXPECT_EQ(on_second(w, at, 8), 0);
	STEP(w, mm_mbind(w->mm, at, at + PAGES(4), &there, MPOL_MF_MOVE), 0);
	EXPECT_EQ(on_second(w, at, 8), 4);
	struct policy both = policy(MPOL_INTERLEAVE, BOTH);
	STEP(w, mm_mbind(w->mm, at, at + PAGES(4), &both, MPOL_MF_MOVE | MPOL_MF_STRICT), 0);
	EXPECT_EQ(on_second(w, at, 4), 4); /* they lie where they may */
	fork_mm(w, w->mm);
	STEP(w, mm_mbind(w->mm, at, at + PAGES(8), &there, MPOL_MF_MOVE), 0);
	EXPECT_EQ(on_second(w, at, 8), 4); /* a shared page stays */
	STEP(w, mm_mbind(w->mm, at, at + PAGES(8), &there, MPOL_MF_MOVE_ALL), 0);
	EXPECT_EQ(on_second(w, at, 8), 8);
}

/* Without memory a page stays where it is, whole. */
static void moves_that_are_refused(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0), addrs[4];
	int32_t there[4] = { 1, 1, 1, 1 }, status[4];
	for (uint64_t i = 0; i < 4; i++) {
		addrs[i] = at + PAGES(i);
		EXPECT_EQ(store(w, w->mm, addrs[i], (uint8_t)(1 + i)), 1);
	}
	fork_mm(w, w->mm);
	for (uint64_t nth = 1; nth <= 5; nth++) {
		machine_fail_nth(w->m, nth);
		int64_t done = mm_move_pages(w->mm, 4, addrs, there, status, MPOL_MF_MOVE_ALL);
		EXPECT_EQ(done, nth <= 4 ? nth - 1 : 4);
		machine_fail_nth(w->m, 0);
		CHECK(w);
		EXPECT_EQ(mm_migrate_pages(w->mm, 1, 0, MPOL_MF_MOVE_ALL), 0);
		EXPECT_EQ(on_second(w, at, 4), 0);
		for (uint64_t i = 0; i < 4; i++)
			EXPECT_EQ(load(w, w->mm, addrs[i]), 1 + i);
	}
	for (uint64_t nth = 1; nth <= 8; nth++) {
		struct policy p = policy(MPOL_BIND, 1 + nth % 2);
		uint64_t low = at + PAGES(nth % 3);
		machine_fail_nth(w->m, nth);
		mm_mbind(w->mm, low, low + PAGES(2), &p, MPOL_MF_MOVE_ALL);
		mm_set_home_node(w->mm, low, low + PAGES(1), 1);
		machine_fail_nth(w->m, 0);
		CHECK(w);
	}
	file *f = memory_file(w, 4);
	at = map(w, 4, RW, MAP_SHARED, f, 0);
	for (uint64_t nth = 1; nth <= 12; nth++) {
		struct policy p = policy(MPOL_BIND, 1 + nth % 2);
		uint64_t low = at + PAGES(nth % 3);
		machine_fail_nth(w->m, nth / 2);
		mm_mbind(w->mm, low, low + PAGES(2), &p, 0);
		machine_fail_nth(w->m, 0);
		CHECK(w);
	}
}

static void checker_sees_wrong_nodes(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	STEP(w, bind(w, at, 2, policy(MPOL_BIND, 2)), 0);
	w->m->nodes[1].nr_free++;
	EXPECT(machine_check(w->m, check_report, sizeof(check_report)));
	EXPECT(strstr(check_report, "I5:") != NULL);
	w->m->nodes[1].nr_free--;
	w->m->policies->refcount++;
	EXPECT(machine_check(w->m, check_report, sizeof(check_report)));
	EXPECT(strstr(check_report, "I27:") != NULL);
	w->m->policies->refcount--;
	CHECK(w);
}

TESTS(TEST(pages_come_by_policy), TEST(vmas_join_by_policy), TEST(files_remember_ranges),
      TEST(full_nodes), TEST(reclaim_looks_at_its_node), TEST(anonymous_pages_move),
      TEST(file_pages_move), TEST(swapped_pages_move), TEST(locked_pages_move_and_stay_locked),
      TEST(special_pages_stay), TEST(mbind_moves), TEST(moves_that_are_refused),
      TEST(checker_sees_wrong_nodes))
