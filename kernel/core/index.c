/*
 * index.c - a mapping's radix tree from page offset to what is there.
 *
 * A slot holds nothing, a struct page, the swap entry of a page of memory
 * (tmpfs, shared anonymous) that was swapped out, told apart by its lowest bit,
 * or the promise of a large page.
 */
#include "core.h"
#include "sizes.h"

static uint64_t index_limit(uint32_t height) /* first index that does not fit */
{
	return height * RADIX_BITS >= 52 ? 1ul << 52 : 1ul << (height * RADIX_BITS);
}

static unsigned slot_of(uint64_t index, uint32_t level)
{
	return index >> (level * RADIX_BITS) & (RADIX_SLOTS - 1);
}

/* Where index's content stands; NULL: no node leads there. */
static void **slot_at(mapping *mp, uint64_t index)
{
	unsigned shift = mp->height * RADIX_BITS;
	if (index >> shift)
		return NULL;
	struct radix_node *node = mp->root;
	while (node && (shift -= RADIX_BITS))
		node = node->slots[index >> shift & (RADIX_SLOTS - 1)];
	return node ? &node->slots[slot_of(index, 0)] : NULL;
}

void *index_get(mapping *mp, uint64_t index)
{
	void **slot = slot_at(mp, index);
	return slot ? *slot : NULL;
}

/* In place of what is there: needs no memory. */
void index_replace(mapping *mp, uint64_t index, void *item) { *slot_at(mp, index) = item; }

struct page *mapping_find(mapping *mp, uint64_t index)
{
	void *item = index_get(mp, index);
	return item_is_page(item) ? item : NULL;
}

static void *next_below(struct radix_node *node, uint32_t level, uint64_t *index)
{
	uint64_t step = 1ul << (level * RADIX_BITS);
	for (unsigned i = slot_of(*index, level); i < RADIX_SLOTS; i++) {
		void *below = node->slots[i];
		if (!below)
			*index = (*index | (step - 1)) + 1; /* where the next slot begins */
		else if (!level)
			return below;
		else if ((below = next_below(below, level - 1, index)))
			return below;
	}
	return NULL;
}

/* The first item at or after *index, which moves there; NULL: none. */
void *index_next(mapping *mp, uint64_t *index)
{
	if (!mp->root || *index >= index_limit(mp->height))
		return NULL;
	void *here = index_get(mp, *index); /* most files have no holes */
	if (here)
		return here;
	return next_below(mp->root, mp->height - 1, index);
}

struct page *mapping_find_next(mapping *mp, uint64_t index)
{
	void *item;
	while ((item = index_next(mp, &index)) && !item_is_page(item))
		index++;
	return item;
}

static struct radix_node *node_alloc(machine *m) { return slab_alloc(m, CACHE_RADIX); }

static bool index_grow(mapping *mp, uint64_t index)
{
	if (!mp->root) { /* no chain of empty nodes below the first page */
		mp->height = 1;
		while (index >= index_limit(mp->height))
			mp->height++;
		mp->root = node_alloc(mp->machine);
		return mp->root;
	}
	while (index >= index_limit(mp->height)) {
		struct radix_node *node = node_alloc(mp->machine);
		if (!node)
			return false;
		node->slots[0] = mp->root;
		node->count = 1;
		mp->root = node;
		mp->height++;
	}
	return true;
}

/* Free the nodes on the way to index that hold nothing. */
static bool index_prune(machine *m, struct radix_node *node, uint32_t level, uint64_t index)
{
	struct radix_node *below = level ? node->slots[slot_of(index, level)] : NULL;
	if (below && index_prune(m, below, level - 1, index)) {
		node->slots[slot_of(index, level)] = NULL;
		node->count--;
	}
	if (node->count)
		return false;
	slab_free(m, CACHE_RADIX, node);
	return true;
}

static void mapping_prune(mapping *mp, uint64_t index)
{
	if (!mp->root || !index_prune(mp->machine, mp->root, mp->height - 1, index))
		return;
	mp->root = NULL;
	mp->height = 0;
}

/* Take back levels that only a failed insert wanted. */
static void index_shrink(mapping *mp)
{
	if (!mp->root)
		mp->height = 0;
	while (mp->height > 1 && mp->root->count == 1 && mp->root->slots[0]) {
		struct radix_node *top = mp->root;
		mp->root = top->slots[0];
		mp->height--;
		slab_free(mp->machine, CACHE_RADIX, top);
	}
}

bool index_insert(mapping *mp, uint64_t index, void *item)
{
	if (!index_grow(mp, index)) {
		index_shrink(mp);
		return false;
	}
	struct radix_node *node = mp->root;
	for (uint32_t level = mp->height - 1; level; level--) {
		void **slot = &node->slots[slot_of(index, level)];
		if (!*slot) {
			*slot = node_alloc(mp->machine);
			if (!*slot) {
				mapping_prune(mp, index);
				index_shrink(mp);
				return false;
			}
			node->count++;
		}
		node = *slot;
	}
	node->slots[slot_of(index, 0)] = item;
	node->count++;
	return true;
}

void index_remove(mapping *mp, uint64_t index)
{
	struct radix_node *node = mp->root;
	for (uint32_t level = mp->height - 1; level; level--)
		node = node->slots[slot_of(index, level)];
	node->slots[slot_of(index, 0)] = NULL;
	if (--node->count == 0)
		mapping_prune(mp, index);
}
