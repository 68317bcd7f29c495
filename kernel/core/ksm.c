/*
 * ksm.c - one page for many of equal content.
 *
 * A scan goes round the address spaces that have VM_MERGEABLE VMAs, in the order they
 * came.  Of each anonymous page it meets it keeps an item: the checksum of the last
 * round, and later whose page the address shares.  A page that has not changed
 * since the last round is looked for
 *
 *   in the stable tree     nodes, each a page that no one can write: it is shared
 *   in the unstable tree   items of this round; two of equal content become a node
 *
 * and put into the unstable one if it is in neither.  Both are ordered by content, the
 * unstable one only as far as nobody stores meanwhile; it is forgotten after each round.
 *
 * A shared page (PG_KSM) is anonymous without an anon_vma; its index is its node.  Its ptes
 * lie anywhere, so every reverse map but the scanning one keeps a chain for it.  A store
 * copies it, always.  An item may be behind: what it says is made true by the next round, but
 * a node goes with its page.  With use_zero_pages an empty page becomes the zero page, in a
 * pte whose dirty bit says that it was merged.
 *
 * Source: mm/ksm.c of Linux 6.18.  When it scans, and how much, is Python's to say.
 */
#include "core.h"

#define OLDEST UINT8_MAX

static struct page *page_of_node(machine *m, const struct ksm_node *node)
{
	return pfn_page(m, node->pfn);
}

static struct ksm_node *node_of_page(const struct page *page)
{
	return page->flags & PG_KSM ? (struct ksm_node *)(uintptr_t)page->index : NULL;
}

static uint64_t tree_of_page(machine *m, const struct page *page)
{
	return m->ksm.merge_across_nodes ? 0 : page_nid(m, page);
}

static bool nothing_to_sum(struct tree_node *node)
{
	(void)node;
	return false;
}

void ksm_init(machine *m)
{
	const struct tree empty = { NULL, NULL, nothing_to_sum, &m->seed };
	for (int i = 0; i < MAX_NODES; i++)
		m->ksm_stable[i] = m->ksm_unstable[i] = empty;
	m->ksm = (struct ksm){ .max_page_sharing = 256, .merge_across_nodes = 1, .smart_scan = 1 };
}

/* ---- for who looks ---- */

static uint64_t in_arena(const machine *m, const void *at)
{
	return (uint64_t)((const char *)at - m->arena);
}

static TELLS void tell_item(machine *m, enum event_kind kind, const struct ksm_item *item,
			    uint64_t pfn, int64_t err)
{
	event_record(m, kind, pfn, in_arena(m, item), in_arena(m, item->mm->pgd), (uint64_t)err, 0);
}

/* merged: the frame as a page that is merged already, 0: it only becomes one. */
static TELLS void tell_merge(machine *m, const struct ksm_item *item, const struct page *shared,
			     uint64_t merged, int64_t err)
{
	event_record(m, EVENT_KSM_MERGE, merged, page_pfn(m, shared), in_arena(m, item),
		     in_arena(m, item->mm->pgd), (uint64_t)err);
}

static TELLS void tell_mm(enum event_kind kind, const mm *mm)
{
	event_record(mm->machine, kind, in_arena(mm->machine, mm->pgd), 0, 0, 0, 0);
}

static TELLS void tell_round(machine *m, enum event_kind kind)
{
	event_record(m, kind, m->ksm.full_scans, m->ksm.rmap_items, 0, 0, 0);
}

/* ---- items leave and join ---- */

static void item_join(machine *m, struct ksm_item *item, struct ksm_node *node)
{
	++*(node->nr_items ? &m->ksm.pages_sharing : &m->ksm.pages_shared);
	item->node = node;
	item->peer_next = node->items;
	item->peer_prev = NULL;
	if (node->items)
		node->items->peer_prev = item;
	node->items = item;
	node->nr_items++;
	item->mm->ksm_merging++;
}

static void leave_node(machine *m, struct ksm_item *item)
{
	struct ksm_node *node = item->node;
	*(item->peer_prev ? &item->peer_prev->peer_next : &node->items) = item->peer_next;
	if (item->peer_next)
		item->peer_next->peer_prev = item->peer_prev;
	item->node = NULL;
	node->nr_items--;
	--*(node->nr_items ? &m->ksm.pages_sharing : &m->ksm.pages_shared);
	item->mm->ksm_merging--;
}

static void leave_unstable(machine *m, struct ksm_item *item)
{
	if (item->round == m->ksm.full_scans)
		tree_erase(&m->ksm_unstable[item->tree], &item->by_content);
	item->unstable = false;
	m->ksm.pages_unshared--;
}

static void item_leave(machine *m, struct ksm_item *item)
{
	if (item->node)
		leave_node(m, item);
	if (item->unstable)
		leave_unstable(m, item);
}

static void item_free(machine *m, struct ksm_item *item)
{
	item_leave(m, item);
	item->mm->ksm_items--;
	m->ksm.rmap_items--;
	slab_free(m, CACHE_KSM_ITEM, item);
}

static void items_free_from(machine *m, struct ksm_item **link)
{
	for (struct ksm_item *item; (item = *link);) {
		*link = item->next;
		item_free(m, item);
	}
}

/* The item of addr, in its place among those of mm; NULL: no memory. */
static struct ksm_item *item_at(machine *m, mm *mm, struct ksm_item **link, uint64_t addr)
{
	while (*link && (*link)->addr < addr) { /* no page is there any more */
		struct ksm_item *gone = *link;
		*link = gone->next;
		item_free(m, gone);
	}
	struct ksm_item *found = *link;
	if (found && found->addr == addr)
		return found;
	struct ksm_item *item = slab_alloc(m, CACHE_KSM_ITEM);
	if (!item)
		return NULL;
	*item = (struct ksm_item){ .mm = mm, .addr = addr, .next = *link };
	*link = item;
	mm->ksm_items++;
	m->ksm.rmap_items++;
	return item;
}

/* ---- address spaces ---- */

void ksm_enter(mm *mm)
{
	machine *m = mm->machine;
	if (mm->ksm_listed)
		return;
	struct mm *before = m->ksm_cursor; /* scanned last of all; NULL: the end */
	struct mm *after = before ? before->ksm_prev : m->ksm_last;
	mm->ksm_next = before;
	mm->ksm_prev = after;
	*(after ? &after->ksm_next : &m->ksm_first) = mm;
	*(before ? &before->ksm_prev : &m->ksm_last) = mm;
	mm->ksm_listed = true;
	if (is_told(m))
		tell_mm(EVENT_KSM_ENTER, mm);
}

static void unlist(machine *m, mm *mm)
{
	*(mm->ksm_prev ? &mm->ksm_prev->ksm_next : &m->ksm_first) = mm->ksm_next;
	*(mm->ksm_next ? &mm->ksm_next->ksm_prev : &m->ksm_last) = mm->ksm_prev;
	mm->ksm_next = mm->ksm_prev = NULL;
	mm->ksm_listed = false;
	if (is_told(m))
		tell_mm(EVENT_KSM_EXIT, mm);
}

static void round_over(machine *m)
{
	if (is_told(m))
		tell_round(m, EVENT_KSM_STOP);
	m->ksm.full_scans++;
	for (int i = 0; i < MAX_NODES; i++)
		m->ksm_unstable[i].root = NULL;
}

static void begin_mm(machine *m, mm *mm)
{
	m->ksm_cursor = mm;
	m->ksm_addr = 0;
	m->ksm_link = mm ? &mm->ksm_list : NULL;
}

static void begin_round(machine *m)
{
	if (is_told(m) && m->ksm_first)
		tell_round(m, EVENT_KSM_START);
	begin_mm(m, m->ksm_first);
}

/* The next address space's turn; the last one's ends the round. */
static void next_mm(machine *m)
{
	begin_mm(m, m->ksm_cursor->ksm_next);
	if (!m->ksm_cursor)
		round_over(m);
}

void ksm_exit(mm *mm)
{
	machine *m = mm->machine;
	if (!mm->ksm_listed)
		return;
	if (m->ksm_cursor == mm)
		next_mm(m);
	items_free_from(m, &mm->ksm_list);
	unlist(m, mm);
}

/* ---- what may be merged ---- */

bool ksm_may_merge(uint64_t vm_flags)
{
	const uint64_t never = VM_SHARED | VM_MAYSHARE | VM_SPECIAL | VM_HUGETLB | VM_DROPPABLE;
	return !(vm_flags & never);
}

static struct page *page_in_pte(machine *m, pte_t pte)
{
	if (!pte_present(pte) || pte_pfn(pte) == m->zero_pfn || pte & PTE_UFFD_WP)
		return NULL;
	struct page *page = pfn_page(m, pte_pfn(pte));
	bool stays = page->flags & PG_LAZYFREE || page->used;
	return page->flags & PG_ANON && !stays ? page : NULL;
}

struct spot { /* where an item's page is mapped */
	struct vma *vma;
	pte_t *ptep;
	struct page *page;
};

static bool find_spot(machine *m, const struct ksm_item *item, struct spot *at)
{
	at->vma = vma_find_intersection(item->mm, item->addr, item->addr + PAGE_SIZE);
	if (!at->vma || !(at->vma->flags & VM_MERGEABLE))
		return false;
	at->ptep = pt_walk(item->mm, item->addr);
	at->page = at->ptep ? page_in_pte(m, *at->ptep) : NULL;
	return at->page;
}

/* ---- merging ---- */

static int compare(machine *m, struct page *a, struct page *b)
{
	return memcmp(page_data(m, a), page_data(m, b), PAGE_SIZE);
}

static uint32_t checksum(machine *m, struct page *page)
{
	const uint64_t *word = page_data(m, page);
	uint64_t sum = 0xcbf29ce484222325ul;
	for (uint64_t i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		sum = (sum ^ word[i]) * 0x100000001b3ul;
	return (uint32_t)(sum ^ sum >> 32);
}

static int64_t reserve(machine *m)
{
	return m->rmap->kind == RMAP_SCANS ? 0 : rmap_pte_chain.reserve(m);
}

/* The item's pte shows the shared page instead of its own; false: it cannot. */
static bool show(machine *m, const struct ksm_item *item, struct page *shared)
{
	struct spot at;
	if (!find_spot(m, item, &at) || compare(m, at.page, shared) || reserve(m))
		return false;
	if (at.page == shared)
		return true;
	pte_t bits = (pte_bits(at.vma->flags) & ~PTE_WRITE) | PTE_ACCESSED | PTE_DIRTY;
	zap_pte(item->mm, at.vma, item->addr, at.ptep, 0);
	page_get(shared);
	pte_set(item->mm, item->addr, at.ptep, pte_make(page_pfn(m, shared), bits));
	rmap_add(m, shared, at.ptep);
	pte_count_in(item->mm, shared);
	if (at.vma->flags & VM_LOCKED)
		lru_cull(m, shared);
	return true;
}

/* Show a shared page. merged: its frame if others show it already, 0: it is shared from now on. */
static bool replace(machine *m, const struct ksm_item *item, struct page *shared, uint64_t merged)
{
	bool done = show(m, item, shared);
	if (is_told(m))
		tell_merge(m, item, shared, merged, done ? 0 : -EFAULT);
	return done;
}

static bool is_empty(machine *m, struct page *page)
{
	return is_filled(page_data(m, page), 0, PAGE_SIZE);
}

static void merge_with_zero(machine *m, const struct ksm_item *item)
{
	struct spot at;
	bool found = find_spot(m, item, &at);
	if (is_told(m))
		tell_item(m, EVENT_KSM_MERGE_ZERO, item, m->zero_pfn, found ? 0 : -EFAULT);
	if (!found)
		return;
	pte_t bits = (pte_bits(at.vma->flags) & ~PTE_WRITE) | PTE_ACCESSED | PTE_DIRTY;
	zap_pte(item->mm, at.vma, item->addr, at.ptep, 0);
	pte_set(item->mm, item->addr, at.ptep, pte_make(m->zero_pfn, bits));
	item->mm->ksm_zero_pages++;
	m->ksm.zero_pages++;
}

void ksm_zero_gone(mm *mm)
{
	mm->ksm_zero_pages--;
	mm->machine->ksm.zero_pages--;
}

/* ---- the stable tree ---- */

static struct ksm_node *stable_entry(struct tree_node *node)
{
	return node ? container_of(node, struct ksm_node, by_content) : NULL;
}

static bool has_room(const machine *m, const struct ksm_node *node)
{
	return node->nr_items < m->ksm.max_page_sharing;
}

/* The last node at or before the page's content: equal ones lie side by side. */
static struct ksm_node *stable_floor(machine *m, struct page *page, uint64_t tree)
{
	struct ksm_node *found = NULL;
	for (struct tree_node *at = m->ksm_stable[tree].root; at;) {
		struct ksm_node *node = stable_entry(at);
		bool before = compare(m, page_of_node(m, node), page) <= 0;
		found = before ? node : found;
		at = before ? at->right : at->left;
	}
	return found;
}

static struct tree_node *tree_before(struct tree_node *at)
{
	if (at->left) {
		for (at = at->left; at->right; at = at->right)
			;
		return at;
	}
	while (at->parent && at->parent->left == at)
		at = at->parent;
	return at->parent;
}

/* Of the nodes with the page's content one that may have another sharer. */
static struct ksm_node *stable_find(machine *m, struct page *page, uint64_t tree)
{
	struct ksm_node *node = stable_floor(m, page, tree);
	while (node && !compare(m, page_of_node(m, node), page)) {
		if (has_room(m, node))
			return node;
		node = stable_entry(tree_before(&node->by_content));
	}
	return NULL;
}

static bool same_content(machine *m, const struct ksm_node *a, struct tree_node *b)
{
	return b && !compare(m, page_of_node(m, a), page_of_node(m, stable_entry(b)));
}

static void stable_insert(machine *m, struct ksm_node *node)
{
	struct ksm_node *place = stable_floor(m, page_of_node(m, node), node->tree);
	struct tree_node *before = place ? &place->by_content : NULL;
	tree_insert_after(&m->ksm_stable[node->tree], before, &node->by_content);
	if (!same_content(m, node, before))
		return;
	bool second = !same_content(m, node, tree_before(before));
	m->ksm.stable_node_chains += second;
	m->ksm.stable_node_dups += second ? 2 : 1;
}

static uint64_t nr_equal(machine *m, const struct ksm_node *node)
{
	uint64_t nr = 0;
	struct ksm_node *at = stable_floor(m, page_of_node(m, node), node->tree);
	for (; at && same_content(m, node, &at->by_content);
	     at = stable_entry(tree_before(&at->by_content)))
		nr++;
	return nr;
}

/* The page is about to be freed. */
void ksm_page_gone(machine *m, struct page *page)
{
	struct ksm_node *node = node_of_page(page);
	uint64_t equal = nr_equal(m, node);
	if (equal > 1) {
		m->ksm.stable_node_chains -= equal == 2;
		m->ksm.stable_node_dups -= equal == 2 ? 2 : 1;
	}
	for (struct ksm_item *item; (item = node->items);) {
		if (is_told(m))
			tell_item(m, EVENT_KSM_REMOVE_ITEM, item, node->pfn, 0);
		leave_node(m, item);
	}
	if (is_told(m))
		event_record(m, EVENT_KSM_REMOVE_PAGE, node->pfn, 0, 0, 0, 0);
	tree_erase(&m->ksm_stable[node->tree], &node->by_content);
	m->ksm_nr_nodes--;
	slab_free(m, CACHE_KSM_NODE, node);
}

void ksm_page_moved(machine *m, const struct page *page)
{
	node_of_page(page)->pfn = page_pfn(m, page);
}

/* A shared page with the content of page, mapped by no one yet; NULL: no memory. */
static struct ksm_node *node_create(machine *m, struct page *page)
{
	struct ksm_node *node = slab_alloc(m, CACHE_KSM_NODE);
	const struct zonelist near = { ALL_NODES, page_nid(m, page) };
	struct page *shared = node ? page_alloc_on(m, PG_ANON | PG_KSM | PG_FORKED, near) : NULL;
	if (!shared) {
		if (node)
			slab_free(m, CACHE_KSM_NODE, node);
		return NULL;
	}
	memcpy(page_data(m, shared), page_data(m, page), PAGE_SIZE);
	shared->index = (uintptr_t)node;
	lru_add(m, shared);
	*node = (struct ksm_node){ .pfn = page_pfn(m, shared), .tree = tree_of_page(m, page) };
	m->ksm_nr_nodes++;
	stable_insert(m, node);
	return node;
}

/* ---- the unstable tree ---- */

static struct ksm_item *unstable_entry(struct tree_node *node)
{
	return node ? container_of(node, struct ksm_item, by_content) : NULL;
}

static void unstable_insert(machine *m, struct ksm_item *item, struct ksm_item *place,
			    uint64_t tree)
{
	struct tree_node *before = place ? &place->by_content : NULL;
	tree_insert_after(&m->ksm_unstable[tree], before, &item->by_content);
	item->tree = tree;
	item->round = m->ksm.full_scans;
	item->unstable = true;
	m->ksm.pages_unshared++;
}

/* Another item of equal content; NULL: the item stands in the tree now, if it could be searched. */
static struct ksm_item *find_or_insert(machine *m, struct ksm_item *item, struct page *page)
{
	uint64_t tree = tree_of_page(m, page);
	struct ksm_item *place = NULL;
	for (struct tree_node *at = m->ksm_unstable[tree].root; at;) {
		struct ksm_item *other = unstable_entry(at);
		struct spot there;
		if (!find_spot(m, other, &there) || there.page == page)
			return NULL; /* what was there has gone, or is the same by fork */
		int order = compare(m, there.page, page);
		if (!order)
			return tree_of_page(m, there.page) == tree ? other : NULL;
		place = order < 0 ? other : place;
		at = order < 0 ? at->right : at->left;
	}
	unstable_insert(m, item, place, tree);
	return NULL;
}

static void merge_two(machine *m, struct ksm_item *item, struct ksm_item *other, struct page *page)
{
	struct ksm_node *node = node_create(m, page);
	if (!node)
		return;
	struct page *shared = page_of_node(m, node);
	bool first = replace(m, other, shared, 0);
	if (first) {
		leave_unstable(m, other);
		item_join(m, other, node);
	}
	if (first && replace(m, item, shared, page_pfn(m, shared)))
		item_join(m, item, node);
	page_put(m, shared); /* with whoever maps it, or not at all */
}

/* ---- scanning ---- */

/* The older an item is, the more rounds it is left out. */
static uint8_t skips_at(uint8_t age)
{
	static const uint8_t skips[] = { 1, 1, 1, 1, 2, 2, 4, 4, 4 };
	return age < sizeof(skips) ? skips[age] : 8;
}

static bool is_skipped(machine *m, struct ksm_item *item, const struct page *page)
{
	if (!m->ksm.smart_scan || page->flags & PG_KSM)
		return false;
	uint8_t age = item->age;
	item->age += age != OLDEST;
	if (age < 3)
		return false;
	if (!item->skips) {
		item->skips = skips_at(age);
		return false;
	}
	m->ksm.pages_skipped++;
	item->skips--;
	item_leave(m, item);
	return true;
}

static void consider(machine *m, struct ksm_item *item, struct page *page)
{
	struct ksm_node *own = node_of_page(page);
	if (own && item->node == own)
		return;
	item_leave(m, item);
	if (own) { /* by fork */
		item_join(m, item, own);
		return;
	}
	uint32_t sum = checksum(m, page);
	if (item->checksum != sum) { /* it changes too often, or is new */
		item->checksum = sum;
		return;
	}
	if (m->ksm.use_zero_pages && is_empty(m, page)) {
		merge_with_zero(m, item);
		return;
	}
	struct ksm_node *node = stable_find(m, page, tree_of_page(m, page));
	if (node) {
		struct page *shared = page_of_node(m, node);
		if (replace(m, item, shared, page_pfn(m, shared)))
			item_join(m, item, node);
		return;
	}
	struct ksm_item *other = find_or_insert(m, item, page);
	if (other)
		merge_two(m, item, other, page);
}

enum found { FOUND, NOT_HERE, NO_ITEM };

/* The next item from ksm_addr on in the VMA. */
static enum found next_in_vma(machine *m, struct vma *vma, struct ksm_item **out)
{
	uint64_t span;
	pte_t *ptep;
	if (m->ksm_addr < vma->start)
		m->ksm_addr = vma->start;
	while (vma->anon_vma && (ptep = pt_next(vma->mm, &m->ksm_addr, vma->end, &span))) {
		struct page *page = page_in_pte(m, *ptep);
		uint64_t addr = m->ksm_addr;
		m->ksm_addr += PAGE_SIZE;
		if (!page)
			continue;
		struct ksm_item *item = item_at(m, vma->mm, m->ksm_link, addr);
		if (!item)
			return NO_ITEM;
		m->ksm_link = &item->next;
		*out = item;
		if (!is_skipped(m, item, page))
			return FOUND;
	}
	m->ksm_addr = vma->end;
	return NOT_HERE;
}

static enum found next_in_mm(machine *m, struct ksm_item **out)
{
	for (struct vma *vma = vma_find(m->ksm_cursor, m->ksm_addr); vma; vma = vma->next) {
		if (!(vma->flags & VM_MERGEABLE))
			continue;
		enum found found = next_in_vma(m, vma, out);
		if (found != NOT_HERE)
			return found;
	}
	return NOT_HERE;
}

/* NULL: the round is over, or there is nothing to scan, or no memory to note it. */
static struct ksm_item *next_item(machine *m)
{
	struct ksm_item *item;
	if (!m->ksm_cursor)
		begin_round(m);
	while (m->ksm_cursor) {
		mm *mm = m->ksm_cursor;
		enum found found = next_in_mm(m, &item);
		if (found != NOT_HERE)
			return found == FOUND ? item : NULL;
		bool unused = !m->ksm_addr && !mm->merge_any;
		items_free_from(m, m->ksm_link);
		next_mm(m);
		if (unused)
			unlist(m, mm);
	}
	return NULL;
}

int64_t machine_ksm_scan(machine *m, uint64_t nr_pages)
{
	uint64_t nr = 0;
	struct ksm_item *item;
	for (; nr < nr_pages && (item = next_item(m)); nr++)
		consider(m, item, page_in_pte(m, *pt_walk(item->mm, item->addr)));
	m->ksm.pages_scanned += nr;
	return (int64_t)nr;
}

struct ksm *machine_ksm(machine *m) { return &m->ksm; }

/* ---- taking back ---- */

static bool is_merged(machine *m, pte_t pte)
{
	if (!pte_present(pte))
		return false;
	if (pte_pfn(pte) == m->zero_pfn)
		return pte_is_merged_zero(m, pte);
	return pfn_page(m, pte_pfn(pte))->flags & PG_KSM;
}

/* Every page of the range is its own again; what is done before memory runs out stays done. */
int64_t ksm_unmerge(struct vma *vma, uint64_t start, uint64_t end)
{
	machine *m = vma->mm->machine;
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE) {
			if (!is_merged(m, *ptep))
				continue;
			uint64_t pfn = pte_pfn(*ptep);
			const void *from = pfn == m->zero_pfn ? NULL : pfn_data(m, pfn);
			int64_t err = fill_own(vma, addr, ptep, from, 0);
			if (err)
				return err;
			if (is_told(m))
				event_record(m, EVENT_COW, addr, pfn, pte_pfn(*ptep), 0, 0);
			pte_set(vma->mm, addr, ptep, *ptep & ~(PTE_DIRTY | PTE_WRITE));
		}
	return 0;
}

static int64_t unmerge_mm(mm *mm)
{
	int64_t err = 0;
	for (struct vma *vma = mm->first; vma && !err; vma = vma->next)
		if (vma->flags & VM_MERGEABLE)
			err = ksm_unmerge(vma, vma->start, vma->end);
	return err;
}

int64_t machine_ksm_unmerge(machine *m)
{
	for (mm *mm = m->ksm_first; mm; mm = mm->ksm_next) {
		int64_t err = unmerge_mm(mm);
		if (err)
			return err;
	}
	for (mm *mm = m->ksm_first; mm; mm = mm->ksm_next)
		items_free_from(m, &mm->ksm_list);
	begin_mm(m, NULL);
	return 0;
}

void mm_ksm_enable(mm *mm)
{
	mm->merge_any = true;
	for (struct vma *vma = mm->first; vma; vma = vma->next)
		if (ksm_may_merge(vma->flags))
			vma_set_flags(vma, vma->flags | VM_MERGEABLE);
	ksm_enter(mm);
}

int64_t mm_ksm_disable(mm *mm)
{
	int64_t err = mm->merge_any ? unmerge_mm(mm) : 0;
	if (err || !mm->merge_any)
		return err;
	for (struct vma *vma = mm->first; vma; vma = vma->next)
		vma_set_flags(vma, vma->flags & ~(uint64_t)VM_MERGEABLE);
	mm->merge_any = false;
	return 0;
}

static bool has_mergeable(const mm *mm)
{
	const struct vma *vma = mm->first;
	while (vma && !(vma->flags & VM_MERGEABLE))
		vma = vma->next;
	return vma;
}

void mm_ksm(mm *mm, struct mm_ksm *out)
{
	*out = (struct mm_ksm){ mm->ksm_items, mm->ksm_zero_pages, mm->ksm_merging, mm->merge_any,
				has_mergeable(mm) };
}
