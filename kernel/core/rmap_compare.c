/*
 * rmap_compare.c - all designs side by side, for debugging.
 *
 * Chains, list and tree are all kept.  Each walk asks every design for the
 * page's ptes, and the first page they do not agree on is described in
 * machine->disagreement; the core's next scan returns KERNEL_BUG.
 */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>

static const struct rmap_design_ops *const all[] = { &rmap_pte_chain, &rmap_objrmap,
						     &rmap_objrmap_tree, &rmap_virtual_scan };
#define NR_ALL (sizeof(all) / sizeof(all[0]))

struct found { /* ptes, in the order they were shown */
	pte_t **ptes;
	uint64_t nr, room;
};

static bool collect(machine *m, struct page *page, pte_t *ptep, void *arg)
{
	struct found *f = arg;
	(void)m, (void)page;
	if (f->nr < f->room)
		f->ptes[f->nr] = ptep;
	f->nr++;
	return true;
}

static int by_address(const void *a, const void *b)
{
	pte_t *x = *(pte_t *const *)a, *y = *(pte_t *const *)b;
	return (x > y) - (x < y);
}

/* A design's answer, sorted, in ptes[]; how many it found. */
static uint64_t ask(struct rmap_search *s, const struct rmap_design_ops *design, pte_t **ptes)
{
	struct found f = { ptes, 0, s->page->mapcount };
	struct rmap_search one = { s->machine, s->page, collect, &f, s->page->mapcount };
	design->walk(&one);
	bool file = design->kind == RMAP_SEARCHES && !(s->page->flags & PG_ANON);
	for (struct vma *vma = file ? s->page->mapping->nonlinear : NULL; vma && one.left;
	     vma = vma->nonlinear_next)
		rmap_search_tables(&one, vma);
	qsort(ptes, f.nr < f.room ? f.nr : f.room, sizeof(*ptes), by_address);
	return f.nr;
}

static void describe(struct rmap_search *s, const char *who, uint64_t nr, const pte_t *odd)
{
	machine *m = s->machine;
	const struct page *page = s->page;
	if (m->disagreement[0])
		return;
	int n = snprintf(m->disagreement, sizeof(m->disagreement),
			 "page %lu (%s, index %lu, mapcount %u): %s finds %lu ptes, %s finds %u",
			 page_pfn(m, page), page->flags & PG_ANON ? "anonymous" : "file",
			 page->index, page->mapcount, who, nr, all[0]->name, page->mapcount);
	if (!odd)
		return;
	struct vma *vma = vma_find(pte_mm(m, odd), pte_addr(m, odd));
	snprintf(m->disagreement + n, sizeof(m->disagreement) - (size_t)n,
		 "; first odd pte at %#lx, vma %#lx-%#lx", pte_addr(m, odd), vma ? vma->start : 0,
		 vma ? vma->end : 0);
}

static const pte_t *first_odd(pte_t **mine, uint64_t nr_mine, pte_t **base, uint64_t nr)
{
	for (uint64_t i = 0; i < nr_mine && i < nr; i++)
		if (mine[i] != base[i])
			return mine[i] < base[i] ? mine[i] : base[i];
	return nr_mine < nr ? base[nr_mine] : NULL;
}

static void compare(struct rmap_search *s, pte_t **base, pte_t **other)
{
	uint64_t mapcount = s->page->mapcount, nr = ask(s, all[0], base);
	if (nr != mapcount)
		describe(s, all[0]->name, nr, NULL);
	for (size_t i = 1; i < NR_ALL; i++) {
		uint64_t its = ask(s, all[i], other);
		if (its != nr || memcmp(base, other, nr * sizeof(*base)))
			describe(s, all[i]->name, its, first_odd(other, its, base, nr));
	}
}

static bool compare_walk(struct rmap_search *s)
{
	uint64_t nr = s->page->mapcount;
	pte_t **ptes = malloc(2 * nr * sizeof(*ptes)); /* the host's: no page for it can fail */
	if (ptes)
		compare(s, ptes, ptes + nr);
	free(ptes);
	return rmap_pte_chain.walk(s);
}

static int64_t compare_reserve(machine *m) { return rmap_pte_chain.reserve(m); }

static void compare_add(machine *m, struct page *page, pte_t *ptep)
{
	rmap_pte_chain.add(m, page, ptep);
}

static void compare_remove(machine *m, struct page *page, pte_t *ptep)
{
	rmap_pte_chain.remove(m, page, ptep);
}

static void compare_move(machine *m, struct page *page, pte_t *from, pte_t *to)
{
	rmap_pte_chain.move(m, page, from, to);
}

const char *machine_disagreement(machine *m) { return m->disagreement; }

const struct rmap_design_ops rmap_compare = {
	.name = "compare",
	.kind = RMAP_KNOWS_PTES,
	.keeps = KEEPS_LIST | KEEPS_TREE,
	.reserve = compare_reserve,
	.add = compare_add,
	.remove = compare_remove,
	.move = compare_move,
	.walk = compare_walk,
};
