/*
 * vma.c - the ordered set of VMAs of an address space.
 *
 * Owns the list and the treap (by address, with the largest gap of each
 * subtree), splitting and merging, the search for a gap with Linux's placement
 * rules, and the counters that follow from VMAs.  Adjacent VMAs that
 * can_join() never stay apart after a call that changed one of them.
 */
#include "core.h"

uint64_t vma_start_gap(const struct vma *vma)
{
	if (!(vma->flags & VM_GROWSDOWN))
		return vma->start;
	return vma->start > STACK_GUARD_GAP ? vma->start - STACK_GUARD_GAP : 0;
}

static uint64_t gap_before(const struct vma *vma)
{
	uint64_t low = vma->prev ? vma->prev->end : 0;
	return vma->start - low;
}

static struct vma *addr_vma(struct tree_node *node)
{
	return node ? container_of(node, struct vma, by_addr) : NULL;
}

static bool addr_update(struct tree_node *node)
{
	struct vma *vma = addr_vma(node);
	const struct vma *left = addr_vma(node->left), *right = addr_vma(node->right);
	uint64_t most = vma->gap;
	if (left && left->max_gap > most)
		most = left->max_gap;
	if (right && right->max_gap > most)
		most = right->max_gap;
	bool changed = vma->max_gap != most;
	vma->max_gap = most;
	return changed;
}

void vma_tree_init(mm *mm)
{
	mm->vmas = (struct tree){ NULL, NULL, addr_update, &mm->machine->seed };
}

static void refresh_gap(struct vma *vma)
{
	if (!vma)
		return;
	uint64_t gap = gap_before(vma);
	if (gap == vma->gap)
		return;
	vma->gap = gap;
	tree_update_path(&vma->mm->vmas, &vma->by_addr);
}

struct vma *vma_peek(const mm *mm, uint64_t addr)
{
	struct vma *found = NULL;
	for (struct tree_node *node = mm->vmas.root; node;) {
		struct vma *vma = addr_vma(node);
		if (vma->end <= addr) {
			node = node->right;
			continue;
		}
		found = vma;
		if (vma->start <= addr)
			break;
		node = node->left;
	}
	return found;
}

struct vma *vma_find(mm *mm, uint64_t addr)
{
	struct vma *found = mm->recent;
	if (found && found->start <= addr && addr < found->end)
		return found;
	found = vma_peek(mm, addr);
	if (found)
		mm->recent = found;
	return found;
}

struct vma *vma_find_intersection(mm *mm, uint64_t start, uint64_t end)
{
	struct vma *vma = vma_find(mm, start);
	return vma && vma->start < end ? vma : NULL;
}

/* ---- counters ---- */

static void account(struct vma *vma, int64_t nr_pages)
{
	struct mm_counters *c = &vma->mm->counters;
	uint64_t flags = vma->flags, n = (uint64_t)nr_pages;
	c->total_vm += n;
	if (c->total_vm > c->hiwater_vm)
		c->hiwater_vm = c->total_vm;
	if (flags & VM_GROWSDOWN)
		c->stack_vm += n;
	else if ((flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
		c->data_vm += n;
	else if ((flags & (VM_EXEC | VM_WRITE)) == VM_EXEC)
		c->exec_vm += n;
	if (flags & VM_LOCKED) {
		c->locked_vm += n;
		vma->mm->machine->counters.nr_mlock += n;
	}
}

static bool is_data(uint64_t vm_flags)
{
	return (vm_flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}

/* How many pages of data there may be. As Linux has it for Valgrind, 0 is no limit of mappings. */
static uint64_t most_data(const mm *mm)
{
	return (mm->limits->data ? mm->limits->data : mm->limits->data_most) >> PAGE_SHIFT;
}

bool may_expand(mm *mm, uint64_t vm_flags, uint64_t nr_pages)
{
	const struct mm_counters *c = &mm->counters;
	if (c->total_vm + nr_pages > mm->limits->as >> PAGE_SHIFT)
		return false;
	return !is_data(vm_flags) || c->data_vm + nr_pages <= most_data(mm);
}

/* The same where what [start, end) maps goes first. */
bool may_expand_into(mm *mm, uint64_t vm_flags, uint64_t nr_pages, uint64_t start, uint64_t end)
{
	uint64_t gone = 0, gone_data = 0;
	const struct vma *vma = vma_find_intersection(mm, start, end);
	for (; vma && vma->start < end; vma = vma->next) {
		uint64_t low = vma->start > start ? vma->start : start;
		uint64_t nr = ((vma->end < end ? vma->end : end) - low) >> PAGE_SHIFT;
		gone += nr;
		gone_data += is_data(vma->flags) ? nr : 0;
	}
	const struct mm_counters *c = &mm->counters;
	if (c->total_vm - gone + nr_pages > mm->limits->as >> PAGE_SHIFT)
		return false;
	return !is_data(vm_flags) || c->data_vm - gone_data + nr_pages <= most_data(mm);
}

bool lock_allowed(mm *mm, uint64_t vm_flags, uint64_t nbytes)
{
	if (!(vm_flags & VM_LOCKED) || may_lock(mm))
		return true;
	return mm->counters.locked_vm + (nbytes >> PAGE_SHIFT) <= mm->limits->memlock >> PAGE_SHIFT;
}

/* vm.overcommit_memory: 0 refuses what RAM and swap could never hold, 1 nothing, 2 keeps a limit. */
bool commit_charge(machine *m, uint64_t nr_pages)
{
	const struct tunables *t = &m->tunables;
	uint64_t total = m->counters.nr_total, allowed = t->overcommit_kbytes >> 2;
	if (!allowed)
		allowed = total * t->overcommit_ratio / 100;
	allowed += m->counters.nr_swap_total;
	if (!nr_pages)
		return true; /* whatever others were promised before the limit was lowered */
	if (t->overcommit_memory == 0 && nr_pages > total + m->counters.nr_swap_total)
		return false;
	if (t->overcommit_memory == 2 && m->counters.nr_committed + nr_pages > allowed)
		return false;
	m->counters.nr_committed += nr_pages;
	return true;
}

void commit_release(machine *m, uint64_t nr_pages) { m->counters.nr_committed -= nr_pages; }

/* ---- anon_vma membership ---- */

static void anon_leave(machine *m, struct vma *vma)
{
	struct anon_vma *anon = vma->anon_vma;
	if (vma->anon_prev)
		vma->anon_prev->anon_next = vma->anon_next;
	else
		anon->first = vma->anon_next;
	if (vma->anon_next)
		vma->anon_next->anon_prev = vma->anon_prev;
	vma->anon_prev = vma->anon_next = NULL;
	vma->anon_vma = NULL;
	if (--anon->nr_vmas)
		return;
	assert(anon->nr_pages == 0); /* pages go before their last VMA */
	slab_free(m, CACHE_ANON_VMA, anon);
}

void vma_set_anon(struct vma *vma, struct anon_vma *anon)
{
	if (vma->anon_vma)
		anon_leave(vma->mm->machine, vma);
	vma->family = vma->inherited = 0;
	if (!anon)
		return;
	vma->anon_vma = anon;
	vma->anon_next = anon->first;
	if (anon->first)
		anon->first->anon_prev = vma;
	anon->first = vma;
	anon->nr_vmas++;
}

/* Of two VMAs that join, it is enough that one has these. */
static const uint64_t STICKY = VM_MAYBE_GUARD;

/* Could these two be one VMA, but for the page protection they have now? */
static bool anon_compatible(const struct vma *a, const struct vma *b)
{
	const uint64_t may_differ = VM_READ | VM_WRITE | VM_EXEC | STICKY;
	return a->end == b->start && a->file == b->file && !((a->flags ^ b->flags) & ~may_differ) &&
	       policy_equal(a->policy, b->policy) && a->pgoff + vma_pages(a) == b->pgoff;
}

static bool has_own_anon(const struct vma *vma) { return vma && vma->anon_vma && !vma->inherited; }

/* The neighbour whose anonymous pages could be in one VMA with this one's. */
static const struct vma *related_neighbour(const struct vma *vma)
{
	if (has_own_anon(vma->next) && anon_compatible(vma, vma->next))
		return vma->next;
	if (has_own_anon(vma->prev) && anon_compatible(vma->prev, vma))
		return vma->prev;
	return NULL;
}

/* A copy belongs to a family of its own, however it came to its pages. */
void vma_inherit_anon(struct vma *vma)
{
	vma->inherited = vma->anon_vma != NULL;
	vma->family = vma->anon_vma ? ++vma->mm->machine->family_serial : 0;
}

int64_t vma_prepare_anon(struct vma *vma)
{
	if (vma->anon_vma)
		return 0;
	machine *m = vma->mm->machine;
	const struct vma *kin = related_neighbour(vma);
	struct anon_vma *anon = kin ? kin->anon_vma : slab_alloc(m, CACHE_ANON_VMA);
	if (!anon)
		return no_memory(m);
	vma_set_anon(vma, anon);
	vma->family = kin ? kin->family : ++m->family_serial;
	return 0;
}

/* ---- linking ---- */

static TELLS void tell_stored(const struct vma *vma)
{
	event_record(vma->mm->machine, EVENT_VMA_STORE, vma->start, vma->end, vma->flags,
		     vma->pgoff, vma->file ? vma->file->cookie : 0);
}

static inline void stored(const mm *mm, const struct vma *vma)
{
	if (is_told(mm->machine))
		tell_stored(vma);
}

/* Enter the list, and be counted; the tree is the caller's. */
static void list_after(mm *mm, struct vma *vma, struct vma *prev)
{
	struct vma *next = prev ? prev->next : mm->first;
	vma->mm = mm;
	vma->prev = prev;
	vma->next = next;
	*(prev ? &prev->next : &mm->first) = vma;
	*(next ? &next->prev : &mm->last) = vma;
	vma->gap = gap_before(vma);
	account(vma, (int64_t)vma_pages(vma));
	mm->counters.map_count++;
	mm->machine->counters.nr_vmas++;
	if (mm->counters.map_count > mm->machine->counters.most_vmas)
		mm->machine->counters.most_vmas = mm->counters.map_count;
	mm->recent = vma;
}

static struct tree_node *addr_node(struct vma *vma) { return vma ? &vma->by_addr : NULL; }

void vma_link(mm *mm, struct vma *vma)
{
	struct vma *next = vma_find(mm, vma->start);
	struct vma *prev = next ? next->prev : mm->last;
	list_after(mm, vma, prev);
	tree_insert_after(&mm->vmas, addr_node(prev), &vma->by_addr);
	refresh_gap(next);
	stored(mm, vma);
	mapping_link_vma(vma);
}

void vma_link_copy(mm *mm, struct vma *copy, struct vma *original)
{
	struct vma *last = mm->last;
	list_after(mm, copy, last);
	tree_append(&mm->vmas, addr_node(last), &copy->by_addr, original->by_addr.priority);
	stored(mm, copy);
	mapping_link_copy(copy, original);
}

void vma_copies_linked(mm *mm) { tree_appended(&mm->vmas, addr_node(mm->last)); }

/* Leave the list and the mapping, and be counted no more; the tree is the caller's. */
static void leave_lists(mm *mm, struct vma *vma)
{
	struct vma *prev = vma->prev, *next = vma->next;
	mapping_unlink_vma(vma);
	*(prev ? &prev->next : &mm->first) = next;
	*(next ? &next->prev : &mm->last) = prev;
	account(vma, -(int64_t)vma_pages(vma));
	mm->counters.map_count--;
	mm->machine->counters.nr_vmas--;
	if (mm->recent == vma)
		mm->recent = NULL;
}

static void take_out(mm *mm, struct vma *vma)
{
	struct vma *next = vma->next;
	leave_lists(mm, vma);
	tree_erase(&mm->vmas, &vma->by_addr);
	refresh_gap(next);
}

void vma_discard(struct vma *vma)
{
	vma_set_anon(vma, NULL);
	vma_set_uffd(vma, NULL);
	vma_set_policy(vma, NULL);
	if (vma->file)
		file_put(vma->file);
	slab_free(vma->mm->machine, CACHE_VMA, vma);
}

void vma_unlink(mm *mm, struct vma *vma)
{
	if (vma->flags & VM_ACCOUNT)
		commit_release(mm->machine, vma_pages(vma));
	take_out(mm, vma);
	vma_discard(vma);
}

void vma_unlink_last(mm *mm)
{
	struct vma *vma = mm->last;
	if (vma->flags & VM_ACCOUNT)
		commit_release(mm->machine, vma_pages(vma));
	leave_lists(mm, vma);
	tree_drop_last(&mm->vmas, &vma->by_addr);
	vma_discard(vma);
}

/* Move the borders; the order of VMAs stays.  Commit charges are the caller's. */
void vma_resize(struct vma *vma, uint64_t start, uint64_t end, uint64_t pgoff)
{
	account(vma, -(int64_t)vma_pages(vma));
	mapping_unlink_vma(vma);
	vma->start = start;
	vma->end = end;
	vma->pgoff = pgoff;
	mapping_link_vma(vma);
	account(vma, (int64_t)vma_pages(vma));
	refresh_gap(vma);
	refresh_gap(vma->next);
	stored(vma->mm, vma);
}

void vma_set_flags(struct vma *vma, uint64_t flags)
{
	const uint64_t placing = VM_NONLINEAR | VM_SHARED | VM_MAYWRITE;
	uint64_t changed = vma->flags ^ flags;
	account(vma, -(int64_t)vma_pages(vma));
	if (changed & placing)
		mapping_unlink_vma(vma);
	vma->flags = flags;
	if (changed & placing)
		mapping_link_vma(vma);
	account(vma, (int64_t)vma_pages(vma));
	refresh_gap(vma);
}

struct vma *vma_dup(struct vma *vma)
{
	struct vma *copy = slab_alloc(vma->mm->machine, CACHE_VMA);
	if (!copy)
		return NULL;
	*copy = (struct vma){
		.start = vma->start,
		.end = vma->end,
		.flags = vma->flags,
		.pgoff = vma->pgoff,
		.mm = vma->mm,
		.file = vma->file,
	};
	if (copy->file)
		file_get(copy->file);
	vma_set_anon(copy, vma->anon_vma);
	copy->family = vma->family;
	copy->inherited = vma->inherited;
	copy->name = vma->name;
	vma_set_uffd(copy, vma->uffd);
	vma_set_policy(copy, vma->policy);
	return copy;
}

/* AAAAAAAA -> AAAA BBBB; returns B. */
struct vma *vma_split(struct vma *vma, uint64_t addr)
{
	struct vma *upper = vma_dup(vma);
	if (!upper)
		return NULL;
	if (is_told(vma->mm->machine))
		event_record(vma->mm->machine, EVENT_VMA_SPLIT, vma->start, vma->end, addr, 0, 0);
	upper->start = addr;
	upper->pgoff = vma_index(vma, addr);
	vma_resize(vma, vma->start, addr, vma->pgoff);
	vma_link(vma->mm, upper);
	return upper;
}

static bool are_alike(const struct vma *a, const struct vma *b)
{
	if (!a || !b || a->flags & VM_HUGETLB || a->end != b->start ||
	    (a->flags ^ b->flags) & ~STICKY || a->file != b->file || a->uffd != b->uffd ||
	    a->name != b->name || !policy_equal(a->policy, b->policy))
		return false;
	if (a->anon_vma && b->anon_vma ? a->family != b->family : a->inherited || b->inherited)
		return false; /* as is_mergeable_anon_vma() of Linux 6.18 */
	return a->pgoff + vma_pages(a) == b->pgoff;
}

/* As Linux's vm_ops->close(): such a VMA does not go for another to grow. */
static bool is_apart(const struct vma *vma) { return vma->file && vma->file->mode & FILE_APART; }

bool vma_would_join(const struct vma *vma, uint64_t start, uint64_t end,
		    const struct vma_look *look)
{
	struct vma part = *vma;
	part.start = start;
	part.end = end;
	part.pgoff = vma_index(vma, start);
	part.flags = look->flags;
	part.name = look->name;
	part.uffd = look->uffd;
	part.policy = look->policy;
	return (start == vma->start && are_alike(vma->prev, &part)) ||
	       (end == vma->end && are_alike(&part, vma->next));
}

static bool can_join(const struct vma *a, const struct vma *b)
{
	return are_alike(a, b) && !is_apart(a);
}

static TELLS void tell_merged(const struct vma *left, const struct vma *right)
{
	event_record(left->mm->machine, EVENT_VMA_MERGE, left->start, right->end, right->start, 0,
		     0);
}

static inline void merged(const struct vma *left, const struct vma *right)
{
	if (is_told(left->mm->machine))
		tell_merged(left, right);
}

/* AAAA BBBB -> AAAAAAAA: vma swallows its next. */
void vma_join_next(struct vma *vma)
{
	struct vma *next = vma->next;
	uint64_t end = next->end;
	merged(vma, next);
	if (!vma->anon_vma && next->anon_vma) {
		vma_set_anon(vma, next->anon_vma);
		vma->family = next->family;
	}
	vma->flags |= next->flags & STICKY;
	take_out(vma->mm, next);
	vma_discard(next);
	vma_resize(vma, vma->start, end, vma->pgoff);
}

void vma_merge_next(struct vma *vma)
{
	if (can_join(vma, vma->next))
		vma_join_next(vma);
}

/* What was a part of a VMA on which it borders still may join: on Linux that one only shrinks. */
struct vma *vma_merge(struct vma *vma)
{
	bool below = !is_apart(vma) || vma->cut & CUT_ABOVE;
	bool above = !is_apart(vma) || vma->cut & CUT_BELOW;
	vma->cut = 0;
	if (below && are_alike(vma->prev, vma)) {
		vma = vma->prev;
		vma_join_next(vma);
	}
	if (above && are_alike(vma, vma->next))
		vma_join_next(vma);
	return vma;
}

/* Grow a neighbour over [new->start, new->end), which nothing maps; NULL: none fits. */
struct vma *vma_merge_new(mm *mm, struct vma *new)
{
	struct vma *next = vma_find(mm, new->start);
	struct vma *prev = next ? next->prev : mm->last;
	if (can_join(prev, new)) {
		merged(prev, new);
		vma_resize(prev, prev->start, new->end, prev->pgoff);
		if (can_join(prev, next))
			vma_join_next(prev);
		return prev;
	}
	if (!can_join(new, next))
		return NULL;
	merged(new, next);
	vma_resize(next, new->start, next->end, new->pgoff);
	return next;
}

/* ---- placement ---- */

struct window {
	uint64_t low, high, len;
};

static uint64_t fit_high(const struct window *w, uint64_t low, uint64_t high)
{
	low = low > w->low ? low : w->low;
	high = high < w->high ? high : w->high;
	return high >= low && high - low >= w->len ? high - w->len : 0;
}

static uint64_t fit_low(const struct window *w, uint64_t low, uint64_t high)
{
	low = low > w->low ? low : w->low;
	high = high < w->high ? high : w->high;
	return high >= low && high - low >= w->len ? low : 0;
}

static uint64_t highest_gap(const struct window *w, struct tree_node *node)
{
	struct vma *vma = addr_vma(node);
	if (!vma || vma->max_gap < w->len || w->high < w->len)
		return 0;
	uint64_t at = vma->end <= w->high - w->len ? highest_gap(w, node->right) : 0;
	if (!at)
		at = fit_high(w, vma->prev ? vma->prev->end : 0, vma->start);
	if (!at && vma->start > w->low)
		at = highest_gap(w, node->left);
	return at;
}

static uint64_t lowest_gap(const struct window *w, struct tree_node *node)
{
	struct vma *vma = addr_vma(node);
	if (!vma || vma->max_gap < w->len)
		return 0;
	uint64_t at = vma->start > w->low ? lowest_gap(w, node->left) : 0;
	if (!at)
		at = fit_low(w, vma->prev ? vma->prev->end : 0, vma->start);
	if (!at && vma->end < w->high)
		at = lowest_gap(w, node->right);
	return at;
}

/* Does a place reach into the guard of a stack above it? */
static struct vma *guard_hit(mm *mm, uint64_t at, uint64_t end)
{
	struct vma *next = at ? vma_find(mm, at) : NULL;
	return next && vma_start_gap(next) < end ? next : NULL;
}

/* As Linux: a guard that is hit takes everything above its start out of the search. */
static int64_t search_down(mm *mm, struct window *w)
{
	for (;;) {
		uint64_t at = fit_high(w, mm->last ? mm->last->end : 0, ~0ul);
		if (!at)
			at = highest_gap(w, mm->vmas.root);
		struct vma *stack = guard_hit(mm, at, at + w->len);
		if (!stack)
			return at ? (int64_t)at : -ENOMEM;
		w->high = vma_start_gap(stack);
	}
}

static int64_t search_up(mm *mm, struct window *w)
{
	for (;;) {
		uint64_t at = lowest_gap(w, mm->vmas.root);
		if (!at)
			at = fit_low(w, mm->last ? mm->last->end : 0, ~0ul);
		struct vma *stack = guard_hit(mm, at, at + w->len);
		if (!stack)
			return at ? (int64_t)at : -ENOMEM;
		w->low = stack->end;
	}
}

static bool hint_fits(mm *mm, uint64_t addr, uint64_t len, uint64_t limit)
{
	if (!addr || len > limit || addr > limit - len)
		return false;
	struct vma *vma = vma_find(mm, addr);
	return !vma || addr + len <= vma_start_gap(vma);
}

static TELLS void tell_gap(mm *mm, int64_t at, uint64_t len, uint64_t high, uint64_t downwards)
{
	event_record(mm->machine, EVENT_GAP, (uint64_t)at, mm->counters.total_vm, downwards, len,
		     high);
}

#define LOW_TOP 0xffffe000ul /* where i386 programs end */

static int64_t place(mm *mm, uint64_t addr, uint64_t len, uint64_t flags)
{
	uint64_t top = mm->low_base ? LOW_TOP : mm->counters.task_size, align = mmap_unit(flags);
	uint64_t base = mm->low_base ? mm->low_base : mm->counters.mmap_base;
	struct window up = { PAGE_ALIGN(top / 3), top, len };
	if (mm->low_base)
		flags &= ~(uint64_t)MAP_32BIT; /* as Linux: all of it is low */
	if (flags & MAP_32BIT)
		up = (struct window){ 0x40000000, 0x80000000, len };
	addr = (addr + align - 1) & -align;
	if (hint_fits(mm, addr, len, flags & MAP_32BIT ? up.high : mm->counters.task_size))
		return (int64_t)addr;
	bool upwards = mm->upwards || mm->machine->tunables.legacy_va_layout;
	if (!(flags & MAP_32BIT) && !upwards) {
		struct window down = { PAGE_SIZE, base, len + align - PAGE_SIZE };
		int64_t at = search_down(mm, &down);
		if (is_told(mm->machine))
			tell_gap(mm, at, down.len, base, 1);
		if (at > 0) /* as Linux: the end of the gap, then down to the alignment */
			return (int64_t)(((uint64_t)at + align - PAGE_SIZE) & -align);
	}
	up.len += align - PAGE_SIZE;
	int64_t at = search_up(mm, &up);
	if (is_told(mm->machine))
		tell_gap(mm, at, up.len, up.high, 0);
	return at < 0 ? at : (int64_t)(((uint64_t)at + align - PAGE_SIZE) & -align);
}

/* An address for len bytes by Linux's rules, or -errno. */
int64_t gap_search(mm *mm, uint64_t addr, uint64_t len, uint64_t flags)
{
	uint64_t top = mm->counters.task_size;
	if (len > top)
		return -ENOMEM;
	uint64_t slack = mmap_unit(flags) - PAGE_SIZE; /* room to align in */
	if (len + slack > top)
		return -ENOMEM;
	int64_t at = flags & MAP_FIXED ? (int64_t)addr : place(mm, addr, len, flags);
	if (at < 0 && !(flags & MAP_FIXED))
		return at;
	if ((uint64_t)at > top - len)
		return -ENOMEM;
	if ((uint64_t)at & (mmap_unit(flags) - 1))
		return -EINVAL;
	if ((uint64_t)at < mm->machine->tunables.mmap_min_addr && !mm->limits->may_low)
		return -EPERM;
	return at;
}

int64_t mm_vmas(mm *mm, uint64_t from, struct vma_info *out, uint64_t max)
{
	uint64_t n = 0;
	for (struct vma *vma = vma_peek(mm, from); vma && n < max; vma = vma->next) {
		const mapping *mp = vma_mapping(vma);
		out[n++] = (struct vma_info){
			vma->start,
			vma->end,
			vma->flags,
			vma->pgoff,
			vma->file ? vma->file->cookie : 0,
			mp ? mp->cookie : 0,
			vma->anon_vma != NULL,
			vma->name,
			vma_unit(vma),
		};
	}
	return (int64_t)n;
}

int64_t machine_names(machine *m, uint64_t *names, uint64_t max)
{
	uint64_t n = 0;
	for (const mm *mm = m->mms; mm; mm = mm->next)
		for (const struct vma *vma = mm->first; vma && n < max; vma = vma->next)
			if (vma->name)
				names[n++] = vma->name;
	return (int64_t)n;
}
