/*
 * rmap_tree.c - 2.6.7 and after: objects lead to the ptes.
 *
 * File pages: the mapping's interval tree of VMAs by page offset, O(log n + m);
 * nonlinear VMAs are searched, table by table, only while mapcount-many ptes
 * have not been found.  Anonymous pages: the VMAs of their anon_vma.  Nothing
 * is kept for a pte, so adding and removing one costs nothing.
 */
#include "core.h"

struct search {
	machine *machine;
	struct page *page;
	pte_visitor visit;
	void *arg;
	uint32_t left; /* ptes not found yet */
};

static int64_t tree_reserve(machine *m)
{
	(void)m;
	return 0;
}

static void tree_told(machine *m, struct page *page, pte_t *ptep)
{
	(void)m, (void)page, (void)ptep;
}

static void tree_moved(machine *m, struct page *page, pte_t *from, pte_t *to)
{
	(void)m, (void)page, (void)from, (void)to;
}

static bool offer(struct search *s, pte_t *ptep)
{
	machine *m = s->machine;
	if (!ptep || !pte_present(*ptep) || pte_pfn(*ptep) != page_pfn(m, s->page))
		return true;
	m->counters.rmap_pte_visits++;
	s->left--;
	return s->visit(m, s->page, ptep, s->arg);
}

static bool search_linear(struct search *s, struct vma *vma)
{
	uint64_t index = s->page->index;
	s->machine->counters.rmap_vma_visits++;
	if (index < vma->pgoff || index >= vma->pgoff + vma_pages(vma))
		return true;
	return offer(s, pt_walk(vma->mm, vma->start + ((index - vma->pgoff) << PAGE_SHIFT)));
}

static bool search_tables(struct search *s, struct vma *vma)
{
	uint64_t span;
	pte_t *ptep;
	s->machine->counters.rmap_vma_visits++;
	for (uint64_t addr = vma->start; (ptep = pt_next(vma->mm, &addr, vma->end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (!offer(s, ptep))
				return false;
	return true;
}

static bool walk_anon(struct search *s)
{
	struct vma *next;
	for (struct vma *vma = s->page->anon_vma->first; vma && s->left; vma = next) {
		next = vma->anon_next;
		if (!search_linear(s, vma))
			return false;
	}
	return true;
}

static bool walk_file(struct search *s)
{
	mapping *mp = s->page->mapping;
	uint64_t index = s->page->index;
	for (struct vma *vma = mapping_first_vma(mp, index, index); vma && s->left;
	     vma = mapping_next_vma(vma, index, index))
		if (!search_linear(s, vma))
			return false;
	for (struct vma *vma = mp->nonlinear; vma && s->left; vma = vma->nonlinear_next)
		if (!search_tables(s, vma))
			return false;
	return true;
}

static bool tree_walk(machine *m, struct page *page, pte_visitor visit, void *arg)
{
	struct search s = { m, page, visit, arg, page->mapcount };
	return page->flags & PG_ANON ? walk_anon(&s) : walk_file(&s);
}

const struct rmap_design_ops rmap_objrmap_tree = {
	.name = "objrmap_tree",
	.reserve = tree_reserve,
	.add = tree_told,
	.remove = tree_told,
	.move = tree_moved,
	.walk = tree_walk,
};
