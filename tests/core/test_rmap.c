/* What each reverse map costs, and that comparing them finds out who is wrong. */
#include "harness.h"

#define CLUSTER 32 /* ptes of a nonlinear VMA that are unmapped at once */

static bool keeps_chains(const struct world *w) /* of file pages */
{
	return w->rmap == RMAP_PTE_CHAIN || w->rmap == RMAP_COMPARE;
}

static bool any_pte(machine *m, struct page *page, pte_t *ptep, void *arg)
{
	(void)m, (void)page, (void)ptep, (void)arg;
	return true;
}

static struct counters walk_once(struct world *w, struct page *page)
{
	struct counters before = w->m->counters, *now = &w->m->counters;
	EXPECT(rmap_walk(w->m, page, any_pte, NULL));
	return (struct counters){
		.rmap_vma_visits = now->rmap_vma_visits - before.rmap_vma_visits,
		.rmap_pte_visits = now->rmap_pte_visits - before.rmap_pte_visits,
		.rmap_block_touches = now->rmap_block_touches - before.rmap_block_touches,
	};
}

/* ---- chains ---- */

static void expect_blocks(struct world *w, uint64_t nr)
{
	uint64_t bytes = nr * 8 * (w->m->nrpte + 1);
	EXPECT_EQ(w->m->counters.nr_chain_blocks, keeps_chains(w) ? nr : 0);
	EXPECT_EQ(w->m->counters.rmap_bytes, keeps_chains(w) ? bytes : 0);
}

/* One mapper stands in the page; the second makes a chain, which never shrinks to a pte again. */
static void chains_grow_and_shrink_by_blocks(struct world *w)
{
	const uint64_t nrpte = w->m->nrpte, most = 2 * nrpte + 1;
	file *f = memory_file(w, 1);
	struct page *page = mapping_find(f->mapping, 0);
	uint64_t at[16];
	for (uint64_t nr = 1; nr <= most; nr++) {
		at[nr - 1] = map(w, 1, RW, MAP_SHARED, f, 0);
		EXPECT_EQ(load(w, w->mm, at[nr - 1]), store_byte(0, 0));
		expect_blocks(w, nr > 1 ? (nr + nrpte - 1) / nrpte : 0);
		struct counters work = walk_once(w, page);
		if (w->rmap != RMAP_COMPARE) /* which asks them all */
			EXPECT_EQ(work.rmap_pte_visits, nr);
		if (w->rmap == RMAP_PTE_CHAIN)
			EXPECT_EQ(work.rmap_block_touches, nr > 1 ? (nr + nrpte - 1) / nrpte : 0);
		if (w->m->rmap->kind == RMAP_SEARCHES)
			EXPECT_EQ(work.rmap_vma_visits, nr);
	}
	uint64_t peak = keeps_chains(w) ? 3 * 8 * (nrpte + 1) : 0;
	for (uint64_t left = most; left > 0; left--) { /* the oldest first */
		STEP(w, mm_munmap(w->mm, at[most - left], PAGE_SIZE), 0);
		expect_blocks(w, (left - 1 + nrpte - 1) / nrpte);
		EXPECT_EQ(w->m->counters.rmap_bytes_peak, peak);
	}
	EXPECT(!(page->flags & PG_DIRECT));
}

/* ---- objects ---- */

/* The list is searched until all ptes are found, half of it on average; the tree only where the
 * page can be; a chain leads there. */
static void vmas_that_do_not_show_the_page(struct world *w)
{
	static const uint64_t visits[NR_RMAP_DESIGNS] = {
		[RMAP_OBJRMAP] = 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10,
		[RMAP_OBJRMAP_TREE] = 10,
	};
	uint64_t vmas = 0, ptes = 0;
	file *f = memory_file(w, 10);
	for (uint64_t i = 0; i < 10; i++)
		EXPECT_EQ(load(w, w->mm, map(w, 1, RW, MAP_SHARED, f, i)), store_byte(0, i));
	if (w->rmap == RMAP_COMPARE || w->rmap == RMAP_VIRTUAL_SCAN)
		return; /* all of them; whole address spaces */
	for (uint64_t i = 0; i < 10; i++) {
		struct counters work = walk_once(w, mapping_find(f->mapping, i));
		vmas += work.rmap_vma_visits;
		ptes += work.rmap_pte_visits;
	}
	EXPECT_EQ(ptes, 10);
	EXPECT_EQ(vmas, visits[w->rmap]);
}

/* ---- nonlinear VMAs ---- */

static void special_vmas_cost_no_design_anything(struct world *w)
{
	file *f = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
	struct counters before = w->m->counters;
	for (uint64_t i = 0; i < 8; i++)
		STEP(w, mm_remap_file_pages(w->mm, at + PAGES(i), PAGE_SIZE, 0, 7 - i, 0, f), 0);
	mm *child = fork_mm(w, w->mm);
	EXPECT_EQ(user_touch(child, at, PAGES(8), ACCESS_WRITE), 8);
	squeeze(w);
	STEP(w, mm_munmap(w->mm, at, PAGES(8)), 0);
	const struct counters *now = &w->m->counters;
	EXPECT_EQ(now->rmap_bytes, before.rmap_bytes);
	EXPECT_EQ(now->rmap_bytes_peak, before.rmap_bytes_peak);
	EXPECT_EQ(now->rmap_block_touches, before.rmap_block_touches);
	EXPECT_EQ(now->rmap_pte_visits, before.rmap_pte_visits);
	EXPECT_EQ(now->rmap_vma_visits, before.rmap_vma_visits);
	EXPECT_EQ(now->scan_ptes, before.scan_ptes);
	EXPECT_EQ(now->nr_special, 8);
}

/*
 * 100 pages in reverse: clusters of 32, 32, 32 and 4 ptes. The first four pages
 * of the list (indexes 0-3) clear accessed bits only; the next three unmap the
 * ptes of 99-68, 67-36 and 35-4, so that index 6, the seventh, is the first to go.
 */
static void nonlinear_ptes_are_unmapped_in_clusters(struct world *w)
{
	add_swap(w, 200);
	file *f = memory_file(w, 100);
	uint64_t at = map(w, 100, RW, MAP_SHARED, f, 0);
	for (uint64_t i = 0; i < 100; i++) {
		EXPECT_EQ(mm_remap_file_pages(w->mm, at + PAGES(i), PAGE_SIZE, 0, 99 - i, 0, NULL),
			  0);
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), store_byte(0, 99 - i));
	}
	if (w->m->rmap->kind != RMAP_SEARCHES)
		return; /* they find such a pte as any other */
	uint64_t visits = w->m->counters.rmap_pte_visits;
	struct reclaim r = { .nr_to_free = 1 };
	EXPECT_EQ(machine_reclaim(w->m, &r), 1);
	EXPECT_EQ(r.nr_scanned, 7);
	EXPECT_EQ(w->m->counters.rmap_pte_visits - visits, 100 + 3 * CLUSTER);
	EXPECT_EQ(vma_find(w->mm, at)->cursor, PAGES(3 * CLUSTER));
	EXPECT_EQ(w->mm->counters.rss_shmem, 100 - 3 * CLUSTER);
	EXPECT(item_is_swap(index_get(f->mapping, 6)));
	CHECK(w);
	for (uint64_t i = 0; i < 100; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), store_byte(0, 99 - i));
}

/* ---- comparing ---- */

static void comparing_finds_who_is_wrong(struct world *w)
{
	if (w->rmap != RMAP_COMPARE)
		return;
	file *f = memory_file(w, 1);
	uint64_t at = map(w, 1, RW, MAP_SHARED, f, 0);
	mm *child = fork_mm(w, w->mm);
	load(w, w->mm, at);
	load(w, child, at);
	struct reclaim r = { .nr_to_free = 1 };
	EXPECT_EQ(machine_reclaim(w->m, &r), 0);
	struct vma *wrong = vma_find(child, at);
	wrong->pgoff += 5; /* the searching designs look elsewhere now */
	add_swap(w, 10);
	r = (struct reclaim){ .nr_to_free = 1 };
	EXPECT_EQ(machine_reclaim(w->m, &r), KERNEL_BUG);
	const char *report = machine_disagreement(w->m);
	EXPECT(strstr(report, "mapcount 2") && strstr(report, "objrmap finds 1 ptes"));
	EXPECT(strstr(report, "pte_chain finds 2"));
	EXPECT(strstr(report, ": both") && strstr(report, ": pte_chain"));
	wrong->pgoff -= 5;
	w->m->disagreement[0] = 0;
	squeeze(w);
}

TESTS(TEST(chains_grow_and_shrink_by_blocks), TEST(vmas_that_do_not_show_the_page),
      TEST(special_vmas_cost_no_design_anything), TEST(nonlinear_ptes_are_unmapped_in_clusters),
      TEST(comparing_finds_who_is_wrong))
