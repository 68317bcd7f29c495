/*
 * policy.c - memory policies: which nodes a page may come from.
 *
 * A policy is counted by those who name it: VMAs, and ranges of a memory
 * file, whose pages all its VMAs see.  A task's policy is a value in its address space.
 * What holds for a page is the first of: its file's range, its VMA's, the
 * task's, the processor's own node.  A page of a file that has a store is the task's that reads or
 * writes it.  VMAs are joined only if their policies
 * are equal.  A policy never decides what is mapped, only where a new page
 * lies; mbind() with MPOL_MF_MOVE moves those that lie elsewhere.
 *
 * Source: mm/mempolicy.c of Linux 6.18.  Names and masks are looked at in Python.
 */
#include "core.h"

/* ---- the objects ---- */

static struct mempolicy *policy_create(machine *m, const struct policy *value)
{
	struct mempolicy *p = slab_alloc(m, CACHE_POLICY);
	if (!p)
		return NULL;
	*p = (struct mempolicy){ .value = *value, .refcount = 1, .next = m->policies };
	if (m->policies)
		m->policies->prev = p;
	m->policies = p;
	return p;
}

static struct mempolicy *policy_get(struct mempolicy *p)
{
	if (p)
		p->refcount++;
	return p;
}

static void policy_put(machine *m, struct mempolicy *p)
{
	if (!p || --p->refcount)
		return;
	*(p->prev ? &p->prev->next : &m->policies) = p->next;
	if (p->next)
		p->next->prev = p->prev;
	slab_free(m, CACHE_POLICY, p);
}

bool policy_equal(const struct mempolicy *a, const struct mempolicy *b)
{
	return a == b || (a && b && !memcmp(&a->value, &b->value, sizeof(a->value)));
}

void vma_set_policy(struct vma *vma, struct mempolicy *p)
{
	struct mempolicy *old = vma->policy;
	vma->policy = policy_get(p);
	policy_put(vma->mm->machine, old);
}

/* ---- ranges of a memory file: ordered, disjoint ---- */

static struct shared_policy *range_create(machine *m, uint64_t first, uint64_t last,
					  struct mempolicy *p)
{
	struct shared_policy *range = slab_alloc(m, CACHE_SHARED_POLICY);
	if (range)
		*range = (struct shared_policy){ first, last, policy_get(p), NULL };
	return range;
}

static void range_free(machine *m, struct shared_policy *range)
{
	policy_put(m, range->policy);
	slab_free(m, CACHE_SHARED_POLICY, range);
}

void mapping_forget_policies(mapping *mp)
{
	for (struct shared_policy *range; (range = mp->policies);) {
		mp->policies = range->next;
		range_free(mp->machine, range);
	}
}

static struct mempolicy *shared_lookup(const mapping *mp, uint64_t index)
{
	const struct shared_policy *range = mp->policies;
	while (range && range->last < index)
		range = range->next;
	return range && range->first <= index ? range->policy : NULL;
}

/* Take [first, last] out of what is there; upper: for what one range leaves behind it. */
static bool cut_ranges(mapping *mp, uint64_t first, uint64_t last, struct shared_policy *upper)
{
	bool used = false;
	for (struct shared_policy **link = &mp->policies, *range; (range = *link);) {
		if (range->last < first || range->first > last) {
			link = &range->next;
		} else if (range->first < first && range->last > last) {
			*upper = (struct shared_policy){ last + 1, range->last,
							 policy_get(range->policy), range->next };
			range->last = first - 1;
			range->next = upper;
			used = true;
			link = &upper->next;
		} else if (range->first < first) {
			range->last = first - 1;
			link = &range->next;
		} else if (range->last > last) {
			range->first = last + 1;
			link = &range->next;
		} else {
			*link = range->next;
			range_free(mp->machine, range);
		}
	}
	return used;
}

static void insert_range(mapping *mp, struct shared_policy *new)
{
	struct shared_policy **link = &mp->policies;
	while (*link && (*link)->first < new->first)
		link = &(*link)->next;
	new->next = *link;
	*link = new;
}

/* What a change may want: the new range, and what one that is cut leaves behind it. */
struct spare_ranges {
	struct shared_policy *range, *upper;
};

static void spare_free(machine *m, struct spare_ranges *spare)
{
	if (spare->range)
		range_free(m, spare->range);
	if (spare->upper)
		range_free(m, spare->upper);
}

/* spare_free() is the caller's, also after an error. */
static int64_t spare_reserve(machine *m, struct mempolicy *p, struct spare_ranges *spare)
{
	*spare = (struct spare_ranges){ range_create(m, 0, 0, p), NULL };
	spare->upper = spare->range ? range_create(m, 0, 0, NULL) : NULL;
	return spare->upper ? 0 : no_memory(m);
}

static void shared_set(mapping *mp, uint64_t first, uint64_t last, struct spare_ranges *spare)
{
	if (cut_ranges(mp, first, last, spare->upper))
		spare->upper = NULL;
	if (!spare->range->policy)
		return; /* none from now on */
	spare->range->first = first;
	spare->range->last = last;
	insert_range(mp, spare->range);
	spare->range = NULL;
}

/* ---- what holds for a page ---- */

static bool shares_policies(const mapping *mp) { return mp && mp->flags & MAPPING_MEMORY; }

static const struct policy *vma_policy(const struct vma *vma, uint64_t addr)
{
	const mapping *mp = vma_mapping(vma);
	const struct mempolicy *p = shares_policies(mp) ? shared_lookup(mp, vma_index(vma, addr))
							: vma->policy;
	return p ? &p->value : NULL;
}

static uint64_t weight_of(machine *m, const struct policy *p, uint64_t nid)
{
	uint64_t weight = p->mode == MPOL_INTERLEAVE ? 1 : m->tunables.interleave_weights[nid];
	return p->nodes >> nid & 1 ? weight : 0;
}

/* Each node has as many turns as its weight, one behind the other. */
static uint64_t interleaved(machine *m, const struct policy *p, uint64_t turn)
{
	uint64_t total = 0, nid = 0;
	for (uint64_t i = 0; i < m->nr_nodes; i++)
		total += weight_of(m, p, i);
	turn %= total ? total : 1;
	for (; nid + 1 < m->nr_nodes && turn >= weight_of(m, p, nid); nid++)
		turn -= weight_of(m, p, nid);
	return nid;
}

static uint64_t home_of(const struct policy *p)
{
	return p->home == NO_NODE ? LOCAL_NODE : p->home;
}

static struct zonelist zonelist_of(machine *m, const struct policy *p, uint64_t turn)
{
	switch (p ? p->mode : MPOL_DEFAULT) {
	case MPOL_PREFERRED:
		return (struct zonelist){ ALL_NODES, (uint64_t)__builtin_ctzl(p->nodes) };
	case MPOL_BIND:
	case MPOL_PREFERRED_MANY:
		return (struct zonelist){ p->nodes, home_of(p) };
	case MPOL_INTERLEAVE:
	case MPOL_WEIGHTED_INTERLEAVE:
		return (struct zonelist){ ALL_NODES, interleaved(m, p, turn) };
	default:
		return (struct zonelist){ ALL_NODES, LOCAL_NODE };
	}
}

static bool interleaves(const struct policy *p)
{
	return p && (p->mode == MPOL_INTERLEAVE || p->mode == MPOL_WEIGHTED_INTERLEAVE);
}

static struct page *alloc_by(machine *m, const struct policy *p, uint64_t turn, uint32_t flags)
{
	struct zonelist where = zonelist_of(m, p, turn);
	struct page *page = page_alloc_on(m, flags, where);
	if (!page && p && p->mode == MPOL_PREFERRED_MANY && !m->injected)
		page = page_alloc_on(m, flags, (struct zonelist){ ALL_NODES, where.first });
	if (page && interleaves(p) && page_nid(m, page) == where.first)
		m->nodes[where.first].stat.interleave_hit++;
	return page;
}

static const struct policy *task_policy(const mm *mm)
{
	return mm && mm->policy.mode != MPOL_DEFAULT ? &mm->policy : NULL;
}

/* Whose turn a page is by its place: files of memory begin at different nodes. */
static uint64_t turn_at(const mapping *mp, uint64_t index)
{
	return index + (shares_policies(mp) ? mp->cookie : 0);
}

static uint64_t vma_turn(const struct vma *vma, uint64_t addr)
{
	return turn_at(vma_mapping(vma), vma_index(vma, addr));
}

/* A page of a file that has a store: the next in turn of the task. */
static struct page *alloc_next(machine *m, mm *mm, uint32_t flags)
{
	struct page *page = alloc_by(m, task_policy(mm), mm ? mm->policy.turn : 0, flags);
	if (page && mm)
		mm->policy.turn++;
	return page;
}

struct page *page_alloc_for(struct vma *vma, uint64_t addr, uint32_t flags)
{
	machine *m = vma->mm->machine;
	if (m->nr_nodes == 1)
		return page_alloc(m, flags);
	const struct policy *p = vma_policy(vma, addr);
	return alloc_by(m, p ? p : task_policy(vma->mm), vma_turn(vma, addr), flags);
}

struct page *page_alloc_at(mapping *mp, uint64_t index, uint32_t flags)
{
	machine *m = mp->machine;
	if (m->nr_nodes == 1)
		return page_alloc(m, flags);
	if (!shares_policies(mp))
		return alloc_next(m, m->acting, flags);
	const struct mempolicy *own = shared_lookup(mp, index);
	return alloc_by(m, own ? &own->value : task_policy(m->acting), turn_at(mp, index), flags);
}

uint64_t policy_node(struct vma *vma, uint64_t addr)
{
	machine *m = vma->mm->machine;
	const struct policy *p = vma_policy(vma, addr);
	struct zonelist where = zonelist_of(m, p ? p : task_policy(vma->mm), vma_turn(vma, addr));
	while (!(where.nodes >> where.first % m->nr_nodes & 1))
		where.first++;
	return where.first % m->nr_nodes;
}

/* ---- what Python asks and sets ---- */

struct policy *mm_policy(mm *mm) { return &mm->policy; }
void machine_act_for(machine *m, mm *mm) { m->acting = mm; }

uint64_t mm_next_node(mm *mm) { return interleaved(mm->machine, &mm->policy, mm->policy.turn); }

int64_t mapping_follow(mapping *mp, const struct policy *value)
{
	machine *m = mp->machine;
	struct spare_ranges spare;
	struct mempolicy *p = policy_create(m, value);
	int64_t err = p ? spare_reserve(m, p, &spare) : no_memory(m);
	if (p && !err)
		shared_set(mp, 0, INDEX_MAX, &spare);
	if (p)
		spare_free(m, &spare);
	policy_put(m, p);
	return err;
}

int64_t mm_vma_policy(mm *mm, uint64_t addr, struct policy *out)
{
	const struct vma *vma = vma_find(mm, addr);
	if (!vma || vma->start > addr)
		return -EFAULT;
	const struct policy *p = vma_policy(vma, addr);
	if (p)
		*out = *p;
	return p != NULL;
}

/* ---- mbind ---- */

/*
 * vma's part [start, end) follows p from now on; *vmap is then the VMA that covers it, and all of
 * that is what its file is told of, as on Linux.
 */
static int64_t bind_part(struct vma **vmap, uint64_t start, uint64_t end, struct mempolicy *p)
{
	machine *m = (*vmap)->mm->machine;
	struct spare_ranges spare = { NULL, NULL };
	struct vma_look look = vma_look(*vmap);
	look.policy = p;
	bool shares = shares_policies(vma_mapping(*vmap));
	if (policy_equal((*vmap)->policy, p))
		return 0;
	int64_t err = shares ? spare_reserve(m, p, &spare) : 0;
	if (!err)
		err = vma_isolate(vmap, start, end, &look);
	if (!err) {
		vma_set_policy(*vmap, p);
		struct vma *vma = *vmap = vma_merge(*vmap);
		uint64_t last = vma->pgoff + vma_pages(vma) - 1;
		if (shares)
			shared_set(vma_mapping(vma), vma->pgoff, last, &spare);
	}
	spare_free(m, &spare);
	return err;
}

static int64_t bind_range(mm *mm, uint64_t start, uint64_t end, struct mempolicy *p)
{
	struct vma *vma;
	for (; (vma = vma_find_intersection(mm, start, end)); start = vma->end) {
		uint64_t low = vma->start > start ? vma->start : start;
		int64_t err = bind_part(&vma, low, vma->end < end ? vma->end : end, p);
		if (err)
			return err;
	}
	return 0;
}

/* Does a page lie elsewhere, though nobody asks for it to be moved?  By the nodes as they were given, as on Linux. */
static bool strays(mm *mm, uint64_t start, uint64_t end, const struct policy *p, uint64_t flags)
{
	const uint64_t moves = MPOL_MF_MOVE | MPOL_MF_MOVE_ALL;
	bool asked = flags & MPOL_MF_STRICT && !(flags & moves);
	return asked && pages_elsewhere(mm, start, end, p->user_nodes ? p->user_nodes : p->nodes);
}

static bool ends_in_hole(const struct vma *vma, uint64_t end)
{
	return vma->end < end && (!vma->next || vma->next->start > vma->end);
}

/* VMA by VMA, as Linux looks: what strays in one is found before a hole behind the next. */
static int64_t look_over(mm *mm, uint64_t start, uint64_t end, const struct policy *p,
			 uint64_t flags)
{
	struct vma *vma = vma_find_intersection(mm, start, end);
	bool whole = p->mode != MPOL_DEFAULT;
	if (!vma || (whole && vma->start > start))
		return -EFAULT;
	for (; vma && vma->start < end; vma = vma->next) {
		if (whole && ends_in_hole(vma, end))
			return -EFAULT;
		uint64_t from = vma->start > start ? vma->start : start;
		if (strays(mm, from, vma->end < end ? vma->end : end, p, flags))
			return -EIO;
	}
	return 0;
}

int64_t mm_mbind(mm *mm, uint64_t start, uint64_t end, const struct policy *value, uint64_t flags)
{
	machine *m = mm->machine;
	bool is_default = value->mode == MPOL_DEFAULT;
	int64_t err = look_over(mm, start, end, value, flags);
	if (err)
		return err;
	struct mempolicy *p = is_default ? NULL : policy_create(m, value);
	if (!is_default && !p)
		return no_memory(m);
	err = bind_range(mm, start, end, p);
	policy_put(m, p);
	if (err || !(flags & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)))
		return err;
	int64_t left = pages_to_policy(mm, start, end, value->nodes, flags);
	return left && flags & MPOL_MF_STRICT ? -EIO : 0;
}

int64_t mm_set_home_node(mm *mm, uint64_t start, uint64_t end, uint64_t home)
{
	machine *m = mm->machine;
	struct vma *vma;
	int64_t err = -ENOENT;
	for (; (vma = vma_find_intersection(mm, start, end)); start = vma->end) {
		if (!vma->policy)
			continue;
		struct policy value = vma->policy->value;
		if (value.mode != MPOL_BIND && value.mode != MPOL_PREFERRED_MANY)
			return -EOPNOTSUPP;
		value.home = home;
		struct mempolicy *p = policy_create(m, &value);
		uint64_t low = vma->start > start ? vma->start : start;
		err = p ? bind_part(&vma, low, vma->end < end ? vma->end : end, p) : no_memory(m);
		policy_put(m, p);
		if (err)
			return err;
	}
	return err;
}
