/*
 * rmap_tree.c - 2.6.7 and after: objects lead to the ptes, in O(log n + m).
 *
 * File pages: the mapping's interval tree of VMAs by page offset; anonymous
 * pages: the VMAs of their anon_vma.  Nothing is kept for a pte, so adding and
 * removing one costs nothing.
 */
#include "core.h"

/* Only of pages shared by content: their ptes lie where no object leads to. */
static void tree_add(machine *m, struct page *page, pte_t *ptep)
{
	if (page->flags & PG_KSM)
		rmap_pte_chain.add(m, page, ptep);
}

static void tree_remove(machine *m, struct page *page, pte_t *ptep)
{
	if (page->flags & PG_KSM)
		rmap_pte_chain.remove(m, page, ptep);
}

static void tree_move(machine *m, struct page *page, pte_t *from, pte_t *to)
{
	if (page->flags & PG_KSM)
		rmap_pte_chain.move(m, page, from, to);
}

static int64_t tree_reserve(machine *m) { return m->ksm_nr_nodes ? rmap_pte_chain.reserve(m) : 0; }

static bool tree_walk(struct rmap_search *s)
{
	if (s->page->flags & PG_KSM)
		return rmap_pte_chain.walk(s);
	if (s->page->flags & PG_ANON)
		return rmap_search_anon(s);
	mapping *mp = s->page->mapping;
	uint64_t index = s->page->index;
	for (struct vma *vma = mapping_first_vma(mp, index, index); vma && s->left;
	     vma = mapping_next_vma(vma, index, index))
		if (!rmap_search_linear(s, vma))
			return false;
	return true;
}

const struct rmap_design_ops rmap_objrmap_tree = {
	.name = "objrmap_tree",
	.kind = RMAP_SEARCHES,
	.keeps = KEEPS_TREE,
	.reserve = tree_reserve,
	.add = tree_add,
	.remove = tree_remove,
	.move = tree_move,
	.walk = tree_walk,
};
