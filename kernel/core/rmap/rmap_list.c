/*
 * rmap_list.c - objrmap as first posted in 2003: the object leads to the ptes.
 *
 * File pages: every VMA on the inode's list is looked at, whether it shows the
 * page or not, until mapcount-many ptes are found.  Anonymous pages have no
 * object yet: they keep pte chains.
 */
#include "core.h"

static void list_add(machine *m, struct page *page, pte_t *ptep)
{
	if (page->flags & PG_ANON)
		rmap_pte_chain.add(m, page, ptep);
}

static void list_remove(machine *m, struct page *page, pte_t *ptep)
{
	if (page->flags & PG_ANON)
		rmap_pte_chain.remove(m, page, ptep);
}

static void list_move(machine *m, struct page *page, pte_t *from, pte_t *to)
{
	if (page->flags & PG_ANON)
		rmap_pte_chain.move(m, page, from, to);
}

static int64_t list_reserve(machine *m) { return rmap_pte_chain.reserve(m); }

static bool list_walk(struct rmap_search *s)
{
	if (s->page->flags & PG_ANON)
		return rmap_pte_chain.walk(s);
	struct vma *next;
	for (struct vma *vma = s->page->mapping->list_first; vma && s->left; vma = next) {
		next = vma->list_next;
		if (!rmap_search_linear(s, vma))
			return false;
	}
	return true;
}

const struct rmap_design_ops rmap_objrmap = {
	.name = "objrmap",
	.kind = RMAP_SEARCHES,
	.keeps = KEEPS_LIST,
	.reserve = list_reserve,
	.add = list_add,
	.remove = list_remove,
	.move = list_move,
	.walk = list_walk,
};
