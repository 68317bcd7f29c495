/*
 * rmap_compare.c - all designs side by side, for debugging.
 *
 * Chains, list and tree are all kept.  Each walk asks every design for the
 * page's ptes, and the first page they do not agree on is described in
 * machine->disagreement; the core's next scan returns KERNEL_BUG.
 */
#include "core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct rmap_design_ops *const all[] = { &rmap_pte_chain, &rmap_objrmap,
						     &rmap_objrmap_tree, &rmap_virtual_scan };
#define NR_ALL (sizeof(all) / sizeof(all[0]))

struct found { /* ptes, by address once all are there */
	pte_t **ptes;
	uint64_t nr, room;
};

static bool collect(machine *m, struct page *page, pte_t *ptep, void *arg)
{
	struct found *f = arg;
	(void)m, (void)page;
	if (f->nr == f->room)
		return false;
	f->ptes[f->nr++] = ptep;
	return true;
}

static int by_address(const void *a, const void *b)
{
	pte_t *x = *(pte_t *const *)a, *y = *(pte_t *const *)b;
	return (x > y) - (x < y);
}

/* Take a design's answer. */
static void ask(struct rmap_search *s, const struct rmap_design_ops *design, struct found *f)
{
	f->nr = 0;
	struct rmap_search one = { s->machine, s->page, collect, f, s->page->mapcount };
	design->walk(&one);
	bool file = design->kind == RMAP_SEARCHES && !(s->page->flags & PG_ANON);
	for (struct vma *vma = file ? s->page->mapping->nonlinear : NULL; vma && one.left;
	     vma = vma->nonlinear_next)
		rmap_search_tables(&one, vma);
	qsort(f->ptes, f->nr, sizeof(*f->ptes), by_address);
}

/* Add to the report; what has no room is left out. */
__attribute__((format(printf, 2, 3))) static void say(machine *m, const char *format, ...)
{
	size_t length = strlen(m->disagreement);
	va_list values;
	va_start(values, format);
	vsnprintf(m->disagreement + length, sizeof(m->disagreement) - length, format, values);
	va_end(values);
}

/* A pte by its place, and whether both found it. */
static void say_pte(machine *m, const pte_t *ptep, const char *who)
{
	struct vma *vma = vma_find(pte_mm(m, ptep), pte_addr(m, ptep));
	say(m, "; pte at %#lx in vma %#lx-%#lx: %s", pte_addr(m, ptep), vma ? vma->start : 0,
	    vma ? vma->end : 0, who);
}

/* Walk two sorted lists of ptes side by side. */
static void say_ptes(machine *m, const char *who, struct found *mine, struct found *base)
{
	uint64_t i = 0, j = 0;
	while (i < mine->nr || j < base->nr) {
		pte_t *own = i < mine->nr ? mine->ptes[i] : NULL;
		pte_t *known = j < base->nr ? base->ptes[j] : NULL;
		bool first = known && (!own || known <= own);
		bool both = own == known;
		say_pte(m, first ? known : own, both ? "both" : first ? all[0]->name : who);
		i += !first || both;
		j += first;
	}
}

static void describe(struct rmap_search *s, const char *who, struct found *mine, struct found *base)
{
	machine *m = s->machine;
	const struct page *page = s->page;
	if (m->disagreement[0])
		return;
	say(m, "page %lu (%s, index %lu, mapcount %u): %s finds %lu ptes, %s finds %lu",
	    page_pfn(m, page), page->flags & PG_ANON ? "anonymous" : "file", page->index,
	    page->mapcount, who, mine->nr, all[0]->name, base->nr);
	say_ptes(m, who, mine, base);
}

static void compare(struct rmap_search *s, struct found *base, struct found *other)
{
	ask(s, all[0], base);
	if (base->nr != s->page->mapcount)
		describe(s, all[0]->name, base, base);
	for (size_t i = 1; i < NR_ALL; i++) {
		ask(s, all[i], other);
		if (other->nr != base->nr ||
		    memcmp(base->ptes, other->ptes, base->nr * sizeof(*base->ptes)))
			describe(s, all[i]->name, other, base);
	}
}

static bool compare_walk(struct rmap_search *s)
{
	uint64_t nr = s->page->mapcount + 1;           /* one too many shows, too */
	pte_t **ptes = malloc(2 * nr * sizeof(*ptes)); /* the host's: no page for it can fail */
	if (ptes) {
		struct found base = { ptes, 0, nr }, other = { ptes + nr, 0, nr };
		compare(s, &base, &other);
	}
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
