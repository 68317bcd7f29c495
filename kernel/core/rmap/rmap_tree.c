/*
 * rmap_tree.c - 2.6.7 and after: objects lead to the ptes, in O(log n + m).
 *
 * File pages: the mapping's interval tree of VMAs by page offset; anonymous
 * pages: the VMAs of their anon_vma.  Nothing is kept for a pte, so adding and
 * removing one costs nothing.
 */
#include "core.h"

static bool tree_walk(struct rmap_search *s)
{
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
	.reserve = rmap_nothing_reserved,
	.add = rmap_not_told,
	.remove = rmap_not_told,
	.move = rmap_not_moved,
	.walk = tree_walk,
};
