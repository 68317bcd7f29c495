/*
 * tree.c - a treap with parent links and a summary per subtree.
 *
 * A random priority keeps it balanced in expectation (the seed is the
 * machine's, so the shape is the same every time).  Rotations and the path
 * to the root are re-summarised through tree->update.
 */
#include "core.h"

static uint32_t next_priority(uint32_t *seed) /* xorshift32 */
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void replace_child(struct tree *tree, struct tree_node *parent, struct tree_node *old,
			  struct tree_node *new)
{
	if (!parent)
		tree->root = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
	if (new)
		new->parent = parent;
}

/* Lift node above its parent; their order by key stays. */
static void rotate_up(struct tree *tree, struct tree_node *node)
{
	struct tree_node *parent = node->parent;
	replace_child(tree, parent->parent, parent, node);
	if (parent->left == node) {
		parent->left = node->right;
		if (node->right)
			node->right->parent = parent;
		node->right = parent;
	} else {
		parent->right = node->left;
		if (node->left)
			node->left->parent = parent;
		node->left = parent;
	}
	parent->parent = node;
	tree->update(parent);
	tree->update(node);
}

void tree_update_path(struct tree *tree, struct tree_node *node)
{
	while (node && tree->update(node))
		node = node->parent;
}

static void attach(struct tree *tree, struct tree_node *parent, struct tree_node **link,
		   struct tree_node *node)
{
	node->left = node->right = NULL;
	node->parent = parent;
	node->priority = next_priority(tree->seed);
	*link = node;
	tree->update(node);
	while (node->parent && node->priority > node->parent->priority)
		rotate_up(tree, node);
	tree_update_path(tree, node->parent);
}

void tree_insert(struct tree *tree, struct tree_node *node)
{
	struct tree_node **link = &tree->root, *parent = NULL;
	uint64_t key = tree->key(node);
	while (*link) {
		parent = *link;
		link = key < tree->key(parent) ? &parent->left : &parent->right;
	}
	attach(tree, parent, link, node);
}

void tree_insert_after(struct tree *tree, struct tree_node *place, struct tree_node *node)
{
	struct tree_node **link = place ? &place->right : &tree->root, *parent = place;
	while (*link) {
		parent = *link;
		link = &parent->left;
	}
	attach(tree, parent, link, node);
}

void tree_append(struct tree *tree, struct tree_node *last, struct tree_node *node,
		 uint32_t priority)
{
	struct tree_node *below = NULL, *above = last;
	for (; above && above->priority < priority; above = above->parent) {
		tree->update(above); /* nothing comes below it any more */
		below = above;
	}
	*node = (struct tree_node){ below, NULL, above, priority };
	if (below)
		below->parent = node;
	*(above ? &above->right : &tree->root) = node;
}

void tree_appended(struct tree *tree, struct tree_node *last)
{
	for (; last; last = last->parent)
		tree->update(last);
}

/* Let new have the place of old, and a summary of its own. */
void tree_replace(struct tree *tree, struct tree_node *old, struct tree_node *new)
{
	*new = *old;
	replace_child(tree, old->parent, old, new);
	if (new->left)
		new->left->parent = new;
	if (new->right)
		new->right->parent = new;
	tree->update(new);
}

void tree_drop_last(struct tree *tree, struct tree_node *last)
{
	replace_child(tree, last->parent, last, last->left);
}

void tree_erase(struct tree *tree, struct tree_node *node)
{
	while (node->left && node->right)
		rotate_up(tree,
			  node->left->priority > node->right->priority ? node->left : node->right);
	struct tree_node *child = node->left ? node->left : node->right;
	struct tree_node *parent = node->parent;
	replace_child(tree, parent, node, child);
	tree_update_path(tree, parent);
}
