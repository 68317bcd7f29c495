/*
 * i_mmap.c - the VMAs that show a mapping.
 *
 * Linear ones stand on a list, in order of arrival, or in an interval tree by
 * page offset: what the machine's reverse map keeps (KEEPS_LIST, KEEPS_TREE;
 * comparing machines keep both).  Nonlinear ones stand on a list of their own.
 *
 * A fork's copy shows what its original does.  Such twins stand in a ring, of
 * which one is in the tree: so a fork, and the exit of its child, leave trees
 * as they are.
 */
#include "core.h"

static struct vma *pgoff_vma(struct tree_node *node)
{
	return node ? container_of(node, struct vma, by_pgoff) : NULL;
}

static uint64_t pgoff_key(const struct tree_node *node)
{
	return container_of(node, struct vma, by_pgoff)->pgoff;
}

static uint64_t last_index(const struct vma *vma) { return vma->pgoff + vma_pages(vma) - 1; }

static bool pgoff_update(struct tree_node *node)
{
	struct vma *vma = pgoff_vma(node);
	const struct vma *left = pgoff_vma(node->left), *right = pgoff_vma(node->right);
	uint64_t last = last_index(vma);
	if (left && left->max_last > last)
		last = left->max_last;
	if (right && right->max_last > last)
		last = right->max_last;
	bool changed = vma->max_last != last;
	vma->max_last = last;
	return changed;
}

void i_mmap_init(mapping *mp)
{
	mp->vmas = (struct tree){ NULL, pgoff_key, pgoff_update, &mp->machine->seed };
}

static bool may_write_shared(const struct vma *vma)
{
	const uint64_t both = VM_SHARED | VM_MAYWRITE;
	return (vma->flags & both) == both;
}

static void nonlinear_link(mapping *mp, struct vma *vma)
{
	vma->nonlinear_prev = NULL;
	vma->nonlinear_next = mp->nonlinear;
	if (mp->nonlinear)
		mp->nonlinear->nonlinear_prev = vma;
	mp->nonlinear = vma;
}

static void nonlinear_unlink(mapping *mp, struct vma *vma)
{
	*(vma->nonlinear_prev ? &vma->nonlinear_prev->nonlinear_next : &mp->nonlinear) =
		vma->nonlinear_next;
	if (vma->nonlinear_next)
		vma->nonlinear_next->nonlinear_prev = vma->nonlinear_prev;
}

static void list_link(mapping *mp, struct vma *vma, struct vma *prev)
{
	struct vma *next = prev ? prev->list_next : mp->list_first;
	vma->list_prev = prev;
	vma->list_next = next;
	*(prev ? &prev->list_next : &mp->list_first) = vma;
	*(next ? &next->list_prev : &mp->list_last) = vma;
}

static void list_unlink(mapping *mp, struct vma *vma)
{
	struct vma *prev = vma->list_prev, *next = vma->list_next;
	*(prev ? &prev->list_next : &mp->list_first) = next;
	*(next ? &next->list_prev : &mp->list_last) = prev;
}

static void tree_link(mapping *mp, struct vma *vma)
{
	vma->twin_prev = vma->twin_next = vma;
	tree_insert(&mp->vmas, &vma->by_pgoff);
}

static void ring_link(struct vma *copy, struct vma *original)
{
	struct vma *next = original->twin_next;
	copy->twin_prev = original;
	copy->twin_next = next;
	original->twin_next = next->twin_prev = copy;
	copy->by_pgoff.priority = 0; /* not in the tree: there nobody has that */
}

static void tree_unlink(mapping *mp, struct vma *vma)
{
	struct vma *prev = vma->twin_prev, *next = vma->twin_next;
	if (next == vma)
		tree_erase(&mp->vmas, &vma->by_pgoff);
	else if (vma_is_in_tree(vma))
		tree_replace(&mp->vmas, &vma->by_pgoff, &next->by_pgoff);
	prev->twin_next = next;
	next->twin_prev = prev;
}

static bool link_counted(mapping *mp, struct vma *vma) /* true: a linear one */
{
	mp->nr_vmas++;
	mp->nr_writable += may_write_shared(vma);
	if (!(vma->flags & VM_NONLINEAR))
		return true;
	nonlinear_link(mp, vma);
	return false;
}

void mapping_link_vma(struct vma *vma)
{
	mapping *mp = vma_mapping(vma);
	if (!mp || !link_counted(mp, vma))
		return;
	if (mp->machine->rmap->keeps & KEEPS_LIST)
		list_link(mp, vma, mp->list_last);
	if (mp->machine->rmap->keeps & KEEPS_TREE)
		tree_link(mp, vma);
}

void mapping_link_copy(struct vma *copy, struct vma *original)
{
	mapping *mp = vma_mapping(copy);
	if (!mp || !link_counted(mp, copy))
		return;
	if (mp->machine->rmap->keeps & KEEPS_LIST)
		list_link(mp, copy, original);
	if (mp->machine->rmap->keeps & KEEPS_TREE)
		ring_link(copy, original);
}

void mapping_unlink_vma(struct vma *vma)
{
	mapping *mp = vma_mapping(vma);
	if (!mp)
		return;
	mp->nr_vmas--;
	mp->nr_writable -= may_write_shared(vma);
	if (vma->flags & VM_NONLINEAR) {
		nonlinear_unlink(mp, vma);
		return;
	}
	if (HAS_BUG(BUG_LIST_LOST))
		mp->nonlinear = NULL;
	if (mp->machine->rmap->keeps & KEEPS_LIST)
		list_unlink(mp, vma);
	if (mp->machine->rmap->keeps & KEEPS_TREE)
		tree_unlink(mp, vma);
}

/* ---- looking for those that show [first, last] ---- */

static struct vma *list_overlap(struct vma *vma, uint64_t first, uint64_t last)
{
	while (vma && (vma->pgoff > last || last_index(vma) < first))
		vma = HAS_BUG(BUG_WRONG_ORDER) && vma->pgoff <= last ? NULL : vma->list_next;
	return vma;
}

static struct vma *tree_overlap(struct vma *vma, uint64_t first, uint64_t last)
{
	while (vma && vma->max_last >= first) {
		struct vma *left = pgoff_vma(vma->by_pgoff.left);
		if (left && left->max_last >= first && !HAS_BUG(BUG_WRONG_ORDER)) {
			vma = left;
			continue;
		}
		if (vma->pgoff > last)
			return NULL;
		if (last_index(vma) >= first)
			return vma;
		vma = pgoff_vma(vma->by_pgoff.right);
	}
	return NULL;
}

static struct vma *tree_next(struct vma *vma, uint64_t first, uint64_t last)
{
	struct tree_node *node = &vma->by_pgoff, *child = NULL;
	struct vma *right = pgoff_vma(node->right);
	if (right && right->max_last >= first)
		return tree_overlap(right, first, last);
	for (;;) { /* up, to the first ancestor whose left side we come from */
		child = node;
		node = node->parent;
		if (!node)
			return NULL;
		if (child == node->right)
			continue;
		vma = pgoff_vma(node);
		if (vma->pgoff > last)
			return NULL;
		if (last_index(vma) >= first)
			return vma;
		right = pgoff_vma(node->right);
		if (right && right->max_last >= first)
			return tree_overlap(right, first, last);
	}
}

struct vma *mapping_first_vma(mapping *mp, uint64_t first, uint64_t last)
{
	if (mp->machine->rmap->keeps & KEEPS_TREE)
		return tree_overlap(pgoff_vma(mp->vmas.root), first, last);
	return list_overlap(mp->list_first, first, last);
}

struct vma *mapping_next_vma(struct vma *vma, uint64_t first, uint64_t last)
{
	if (vma->mm->machine->rmap->keeps & KEEPS_TREE) {
		struct vma *twin = vma->twin_next; /* or itself */
		return vma_is_in_tree(twin) ? tree_next(twin, first, last) : twin;
	}
	return list_overlap(vma->list_next, first, last);
}
