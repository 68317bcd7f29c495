/*
 * hugetlb.c - large pages: 2 MiB behind one entry of the third level.
 *
 * Owns the pool (vm.nr_hugepages, and what vm.nr_overcommit_hugepages lets it
 * have beyond: the surplus): blocks of 512 aligned frames, the first of which
 * stands for all (PG_HUGE, the others PG_TAIL), and everything that is done to
 * entries that map one.  Such a VMA begins and ends at large pages, is never
 * merged or reclaimed.  4 KiB code does not see these entries: pt_walk() and
 * pt_next() pass over them.
 *
 * mmap promises pages, a fault takes them.  A promise stands where its page
 * will stand: a shared one in the index of the file (ITEM_PROMISED), where it
 * outlives the mapping; a private one in the entry (PTE_PROMISED), which keeps
 * the mark when the page has come, for the owner gets another one if it gives
 * that back.  fork copies no marks: the child takes what no one is promised,
 * and if the owner finds no page for its copy, the child loses its own.
 *
 * A file system may limit what its files take and are promised, and have the
 * pool keep pages for it (struct quota): so long as fewer are in use, the
 * others are promised to it.  A page knows what it counts for.
 *
 * Of pages of 1 GiB there are none: a mapping of theirs that wants no promise
 * is laid out for them, and any touch of it finds that out.
 */
#include "core.h"

/* ---- the pool ---- */

static void pool_push(machine *m, struct page *head)
{
	head->next = m->huge_free;
	m->huge_free = (uint32_t)page_pfn(m, head);
	m->counters.nr_huge_free++;
}

static void mark_block(machine *m, uint64_t pfn)
{
	for (uint64_t i = 0; i < HUGE_PAGES; i++)
		m->pages[pfn + i] = (struct page){ .flags = i ? PG_TAIL : PG_HUGE };
	pages_count_free(m, pfn, -(int64_t)HUGE_PAGES);
	pool_push(m, &m->pages[pfn]);
}

static bool block_is_free(machine *m, uint64_t pfn)
{
	for (uint64_t i = 0; i < HUGE_PAGES; i++)
		if (!(m->pages[pfn + i].flags & PG_FREE))
			return false;
	return true;
}

/* The free list without the frames of the block. */
static void unlist_block(machine *m, uint64_t pfn)
{
	uint32_t *link = &pfn_node(m, pfn)->free_list;
	while (*link) {
		if (*link - pfn < HUGE_PAGES)
			*link = m->pages[*link].next;
		else
			link = &m->pages[*link].next;
	}
}

/* Frames that were never handed out; those before the block become free. */
static uint64_t block_of_fresh(machine *m, struct node *node)
{
	uint64_t pfn = (node->fresh + HUGE_PAGES - 1) / HUGE_PAGES * HUGE_PAGES;
	if (pfn + HUGE_PAGES > node->end)
		return 0;
	while (node->fresh < pfn)
		page_make_free(m, node->fresh++);
	node->fresh = pfn + HUGE_PAGES;
	return pfn;
}

static uint64_t block_of_freed(machine *m, const struct node *node)
{
	uint64_t pfn = node->first ? node->first : HUGE_PAGES;
	for (; pfn + HUGE_PAGES <= node->fresh; pfn += HUGE_PAGES)
		if (block_is_free(m, pfn)) {
			unlist_block(m, pfn);
			return pfn;
		}
	return 0;
}

static bool pool_grow(machine *m)
{
	if (m->counters.nr_free < HUGE_PAGES + m->tunables.watermark_high)
		return false;
	uint64_t pfn = 0;
	for (struct node *node = m->nodes; !pfn && node < m->nodes + m->nr_nodes; node++) {
		pfn = block_of_fresh(m, node);
		if (!pfn)
			pfn = block_of_freed(m, node);
	}
	if (pfn)
		mark_block(m, pfn);
	return pfn;
}

static uint64_t pool_pop(machine *m)
{
	uint64_t pfn = m->huge_free;
	m->huge_free = m->pages[pfn].next;
	m->counters.nr_huge_free--;
	return pfn;
}

static void pool_shrink(machine *m)
{
	uint64_t pfn = pool_pop(m);
	for (uint64_t i = 0; i < HUGE_PAGES; i++)
		page_make_free(m, pfn + i);
	pages_count_free(m, pfn, HUGE_PAGES);
}

/* Free pages that are promised to no one. */
static uint64_t nr_spare(const machine *m)
{
	return m->counters.nr_huge_free - m->counters.nr_huge_reserved;
}

static bool surplus_grow(machine *m)
{
	if (m->counters.nr_huge_surplus >= m->tunables.nr_overcommit_hugepages || !pool_grow(m))
		return false;
	m->counters.nr_huge_surplus++;
	return true;
}

static void surplus_shrink(machine *m)
{
	for (; m->counters.nr_huge_surplus && nr_spare(m); m->counters.nr_huge_surplus--)
		pool_shrink(m);
}

/*
 * The pool's own pages: as near to nr as free memory allows.  Those in use
 * or promised that are too many become surplus, as on Linux.
 */
int64_t machine_set_hugepages(machine *m, uint64_t nr)
{
	struct counters *c = &m->counters;
	for (; c->nr_huge < nr && c->nr_huge_surplus; c->nr_huge++)
		c->nr_huge_surplus--;
	for (; c->nr_huge < nr && pool_grow(m); c->nr_huge++)
		;
	for (; c->nr_huge > nr && nr_spare(m); c->nr_huge--)
		pool_shrink(m);
	for (; c->nr_huge > nr; c->nr_huge--)
		c->nr_huge_surplus++;
	return (int64_t)c->nr_huge;
}

/* What the pool still keeps for a file system. */
uint64_t quota_kept(const struct quota *q) { return q && q->used < q->min ? q->min - q->used : 0; }

static bool quota_allows(const struct quota *q, uint64_t nr)
{
	return !q || (nr <= q->max && q->used <= q->max - nr);
}

/* nr more are in use, or fewer; returns by how much the pool keeps less. */
static int64_t quota_use(struct quota *q, int64_t nr)
{
	uint64_t kept = quota_kept(q);
	if (q)
		q->used += (uint64_t)nr;
	return (int64_t)(kept - quota_kept(q));
}

static int64_t spare_promise(machine *m, uint64_t nr)
{
	while (nr_spare(m) < nr)
		if (!surplus_grow(m)) {
			surplus_shrink(m);
			return -ENOMEM;
		}
	m->counters.nr_huge_reserved += nr;
	return 0;
}

static bool has_room(const mapping *mp, uint64_t nr)
{
	return !(mp->flags & MAPPING_GIGANTIC) && quota_allows(mp->quota, nr);
}

static int64_t pool_promise(mapping *mp, uint64_t nr)
{
	machine *m = mp->machine;
	struct quota *q = mp->quota;
	if (!has_room(mp, nr))
		return -ENOMEM;
	int64_t less = quota_use(q, (int64_t)nr), err = spare_promise(m, nr - (uint64_t)less);
	if (err)
		quota_use(q, -(int64_t)nr);
	return err;
}

static void pool_release(machine *m, struct quota *q, uint64_t nr)
{
	m->counters.nr_huge_reserved -= nr + (uint64_t)quota_use(q, -(int64_t)nr);
	surplus_shrink(m);
}

/* Who keeps no page has nothing to give back. */
int64_t quota_keep(machine *m, struct quota *q, uint64_t min)
{
	int64_t err = spare_promise(m, min);
	if (err || !min)
		return err;
	q->min = min;
	q->next = m->quotas;
	m->quotas = q;
	return 0;
}

void quota_forget(machine *m, struct quota *q)
{
	struct quota **link = &m->quotas;
	while (*link && *link != q)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = q->next;
	m->counters.nr_huge_reserved -= quota_kept(q);
	q->min = 0;
	surplus_shrink(m);
}

/* What it counts for is told to the quota already. */
static struct page *pool_take(machine *m, struct quota *q)
{
	struct page *page = pfn_page(m, pool_pop(m));
	memset(page_data(m, page), 0, HUGE_SIZE);
	pages_written(m, page_data(m, page), HUGE_SIZE);
	*page = (struct page){ .flags = PG_HUGE, .refcount = 1 };
	page[1].quota = q;
	return page;
}

static struct page *take_promised(machine *m, struct quota *q)
{
	m->counters.nr_huge_reserved--;
	return pool_take(m, q);
}

static struct page *take_spare(mapping *mp)
{
	machine *m = mp->machine;
	struct quota *q = mp->quota;
	if (!alloc_permitted(m) || !has_room(mp, 1))
		return NULL;
	if (!quota_kept(q) && !nr_spare(m) && !surplus_grow(m))
		return NULL;
	m->counters.nr_huge_reserved -= (uint64_t)quota_use(q, 1);
	return pool_take(m, q);
}

/* The quota of a VMA's file, for what the VMA has of its own. */
static struct quota *quota_of(const struct vma *vma) { return vma_mapping(vma)->quota; }

/* After take_spare() gave none. */
static int64_t no_page(const machine *m) { return m->injected ? -ENOMEM : -ENOSPC; }

void huge_put(machine *m, struct page *page)
{
	assert(page->refcount > 0);
	if (--page->refcount)
		return;
	assert(page->pins == 0);
	struct quota *q = page[1].quota;
	page[1].quota = NULL;
	*page = (struct page){ .flags = PG_HUGE };
	pool_push(m, page);
	m->counters.nr_huge_reserved -= (uint64_t)quota_use(q, -1);
	surplus_shrink(m);
}

/* ---- a file of large pages ---- */

static int64_t cache_new(mapping *mp, uint64_t index, struct page **out)
{
	machine *m = mp->machine;
	bool promised = index_get(mp, index);
	if (!promised && !index_insert(mp, index, ITEM_NEW))
		return no_memory(m);
	struct page *page = promised ? take_promised(m, mp->quota) : take_spare(mp);
	if (!page) {
		index_remove(mp, index);
		return no_page(m);
	}
	index_replace(mp, index, page);
	page->flags |= PG_CACHE;
	page->mapping = mp;
	page->index = index;
	mp->nr_pages += HUGE_PAGES;
	*out = page;
	return 0;
}

/* The page at index (of small pages), taken from the pool if need be; -ENOSPC: it is empty. */
int64_t huge_get_page(mapping *mp, uint64_t index, struct page **out)
{
	*out = mapping_find(mp, index);
	return *out ? 0 : cache_new(mp, index, out);
}

/* What the index holds of a large page goes. */
void huge_drop(mapping *mp, uint64_t index, void *item)
{
	machine *m = mp->machine;
	index_remove(mp, index);
	if (item == ITEM_PROMISED) {
		pool_release(m, mp->quota, 1);
		return;
	}
	struct page *page = item;
	mp->nr_pages -= HUGE_PAGES;
	page->flags &= ~(uint32_t)PG_CACHE;
	page->mapping = NULL;
	huge_put(m, page);
}

/* New promises are kept, or taken back. */
static void settle(mapping *mp, uint64_t first, uint64_t end, int64_t err)
{
	for (uint64_t index = first; index < end; index += HUGE_PAGES) {
		if (index_get(mp, index) != ITEM_NEW)
			continue;
		if (err)
			index_remove(mp, index);
		else
			index_replace(mp, index, ITEM_PROMISED);
	}
}

/* Pages that [first, end) lacks, all or none; of more than all of memory, none is looked at. */
static int64_t promise_file(mapping *mp, uint64_t first, uint64_t end)
{
	machine *m = mp->machine;
	uint64_t nr = 0;
	if (end - first > m->nr_pages)
		return -ENOMEM;
	for (uint64_t index = first; index < end; index += HUGE_PAGES)
		nr += !index_get(mp, index);
	int64_t err = pool_promise(mp, nr);
	if (err)
		return err;
	for (uint64_t index = first; index < end && !err; index += HUGE_PAGES)
		if (!index_get(mp, index) && !index_insert(mp, index, ITEM_NEW))
			err = no_memory(m);
	settle(mp, first, end, err);
	if (err)
		pool_release(m, mp->quota, nr);
	return err;
}

int64_t mapping_promise(mapping *mp) { return promise_file(mp, 0, mp->size >> PAGE_SHIFT); }

/* ---- entries ---- */

typedef void (*huge_action)(struct vma *vma, uint64_t addr, pte_t *pmdp);

static void each_entry(struct vma *vma, uint64_t start, uint64_t end, huge_action act)
{
	pte_t *pmdp;
	for (uint64_t addr = start; (pmdp = pmd_next(vma->mm, &addr, end)); addr += HUGE_SIZE)
		act(vma, addr, pmdp);
}

static void entry_set(mm *mm, pte_t *pmdp, pte_t entry)
{
	if (!*pmdp != !entry)
		page_of(mm->machine, pmdp)->used += entry ? 1 : -1u;
	*pmdp = entry;
	tlb_flush_mm(mm); /* any of its 512 pages may be cached */
}

static struct page *entry_page(machine *m, pte_t entry) { return pfn_page(m, pte_pfn(entry)); }

/* Is a promised page still to come here?  A file's page is only shown until then. */
static bool is_owed(machine *m, pte_t entry)
{
	return entry & PTE_PROMISED &&
	       (!pte_present(entry) || entry_page(m, entry)->flags & PG_CACHE);
}

/* An absent entry gets a marker, or loses the one it has (0). */
static void entry_mark(mm *mm, pte_t *pmdp, uint64_t kind)
{
	pte_t promise = *pmdp & PTE_PROMISED;
	pte_t mark = kind ? pte_marker(kind) : 0;
	entry_set(mm, pmdp, mark || promise ? mark | promise | PTE_HUGE : 0);
}

/* The page goes, a promise stays: who gives a page back that was promised may ask again. */
static void entry_clear(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	machine *m = vma->mm->machine;
	pte_t entry = *pmdp;
	(void)addr;
	if (!pte_present(entry)) {
		if (pte_marker_kind(entry) == MARKER_POISON)
			entry_mark(vma->mm, pmdp, 0);
		return;
	}
	struct page *page = entry_page(m, entry);
	bool owed = is_owed(m, entry),
	     returns = page->refcount == 1 && !m->counters.nr_huge_surplus;
	bool renewed = entry & PTE_PROMISED && !owed && returns;
	entry_set(vma->mm, pmdp, owed || renewed ? PTE_HUGE | PTE_PROMISED : 0);
	vma->mm->counters.nr_hugetlb--;
	if (vma->flags & VM_SPECIAL)
		page->pins--;
	huge_put(m, page);
	if (renewed)
		m->counters.nr_huge_reserved += 1 - (uint64_t)quota_use(quota_of(vma), 1);
	if (entry & PTE_UFFD_WP)
		entry_mark(vma->mm, pmdp, MARKER_UFFD_WP);
}

static void entry_zap(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	entry_clear(vma, addr, pmdp);
	bool promised = *pmdp & PTE_PROMISED;
	if (*pmdp)
		entry_set(vma->mm, pmdp, 0);
	if (promised)
		pool_release(vma->mm->machine, quota_of(vma), 1);
}

/* pmdp shows nothing; the caller's reference on page becomes the entry's. */
static void entry_install(struct vma *vma, pte_t *pmdp, struct page *page, pte_t bits)
{
	mm *mm = vma->mm;
	bits |= PTE_HUGE | (*pmdp & PTE_PROMISED);
	if (pte_marker_kind(*pmdp) == MARKER_UFFD_WP)
		bits |= PTE_UFFD_WP;
	if (bits & PTE_UFFD_WP)
		bits &= ~PTE_WRITE;
	entry_set(mm, pmdp, pte_make(page_pfn(mm->machine, page), bits));
	mm->counters.nr_hugetlb++;
	if (vma->flags & VM_SPECIAL)
		page->pins++;
}

static void entry_protect(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	const uint64_t kept = PTE_PFN_MASK | PTE_HUGE | PTE_ACCESSED | PTE_DIRTY | PTE_READONLY |
			      PTE_PROMISED | PTE_UFFD_WP;
	(void)addr;
	if (!pte_present(*pmdp))
		return;
	pte_t entry = (*pmdp & kept) | pte_bits(vma->flags);
	bool shared = vma->flags & VM_SHARED;
	if (entry & (PTE_READONLY | PTE_UFFD_WP) ||
	    (!shared && entry_page(vma->mm->machine, entry)->refcount > 1))
		entry &= ~PTE_WRITE;
	entry_set(vma->mm, pmdp, entry);
}

void huge_zap_range(struct vma *vma, uint64_t start, uint64_t end)
{
	each_entry(vma, start, end, entry_zap);
}

void huge_clear_range(struct vma *vma, uint64_t start, uint64_t end)
{
	each_entry(vma, start, end, entry_clear);
}

void huge_protect_range(struct vma *vma, uint64_t start, uint64_t end)
{
	each_entry(vma, start, end, entry_protect);
}

/* fork: both see the page; a private one is copied by the first that writes. */
int64_t huge_copy_range(struct vma *child, struct vma *parent)
{
	pte_t *from;
	for (uint64_t addr = parent->start; (from = pmd_next(parent->mm, &addr, parent->end));
	     addr += HUGE_SIZE) {
		uint64_t mark = pte_marker_kind(pte_in(child, *from));
		if (!pte_present(*from) && !mark)
			continue;
		pte_t *to = pmd_alloc(child->mm, addr);
		if (!to)
			return no_memory(child->mm->machine);
		if (mark) {
			entry_mark(child->mm, to, mark);
			continue;
		}
		if (!(parent->flags & VM_SHARED))
			entry_set(parent->mm, from, *from & ~PTE_WRITE);
		struct page *page = entry_page(child->mm->machine, *from);
		page_get(page);
		entry_install(child, to, page,
			      pte_in(child, *from) & ~(PTE_PFN_MASK | PTE_ACCESSED | PTE_PROMISED));
	}
	return 0;
}

/* ---- mremap ---- */

int64_t huge_move_prepare(mm *mm, uint64_t old_addr, uint64_t new_addr, uint64_t len)
{
	uint64_t addr = old_addr, end = old_addr + len;
	for (; pmd_next(mm, &addr, end); addr += HUGE_SIZE)
		if (!pmd_alloc(mm, addr - old_addr + new_addr))
			return no_memory(mm->machine);
	return 0;
}

/* As pte_in(); what is promised stays. */
static pte_t entry_in(const struct vma *vma, pte_t entry)
{
	if (pte_present(entry) || pte_in(vma, entry))
		return pte_in(vma, entry);
	return entry & PTE_PROMISED ? PTE_HUGE | PTE_PROMISED : 0;
}

void huge_move_range(struct vma *vma, uint64_t old_addr, uint64_t new_addr, uint64_t len)
{
	mm *mm = vma->mm;
	uint64_t addr = old_addr, end = old_addr + len;
	pte_t *from;
	for (; (from = pmd_next(mm, &addr, end)); addr += HUGE_SIZE) {
		entry_set(mm, pmd_walk(mm, addr - old_addr + new_addr), entry_in(vma, *from));
		entry_set(mm, from, 0);
	}
}

/* ---- a new VMA ---- */

/* On failure what it has is the VMA's, to be unmapped with it. */
static int64_t promise_private(struct vma *vma)
{
	machine *m = vma->mm->machine;
	struct quota *q = quota_of(vma);
	int64_t err = pool_promise(vma_mapping(vma), vma_pages(vma) / HUGE_PAGES);
	for (uint64_t addr = vma->start; !err && addr < vma->end; addr += HUGE_SIZE) {
		pte_t *pmdp = pmd_alloc(vma->mm, addr);
		if (!pmdp) {
			err = no_memory(m);
			pool_release(m, q, (vma->end - addr) / HUGE_SIZE);
		} else {
			entry_set(vma->mm, pmdp, PTE_HUGE | PTE_PROMISED);
		}
	}
	return err;
}

int64_t huge_promise(struct vma *vma)
{
	if (vma->flags & VM_NORESERVE)
		return 0;
	if (vma->flags & VM_MAYSHARE)
		return promise_file(vma_mapping(vma), vma->pgoff, vma->pgoff + vma_pages(vma));
	return promise_private(vma);
}

/* ---- faults ---- */

/* A page of this VMA's own. */
static struct page *take_own(struct vma *vma, pte_t entry)
{
	machine *m = vma->mm->machine;
	mapping *mp = vma_mapping(vma);
	return is_owed(m, entry) ? take_promised(m, mp->quota) : take_spare(mp);
}

/* Nothing is shown at addr yet. */
static int64_t fill(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	machine *m = vma->mm->machine;
	mapping *mp = vma_mapping(vma);
	uint64_t index = vma_index(vma, addr), bits = pte_bits(vma->flags);
	struct page *page = mapping_find(mp, index);
	if (vma->flags & VM_DEPRIVED || (!page && index >= mp->size / HUGE_SIZE * HUGE_PAGES) ||
	    pte_marker_kind(*pmdp) == MARKER_POISON)
		return -ENOSPC;
	uint64_t reason = page ? VM_UFFD_MINOR : VM_UFFD_MISSING;
	if (vma->flags & reason)
		return userfault(vma, reason, vma_unit(vma));
	if (vma->flags & VM_MAYSHARE) {
		int64_t err = huge_get_page(mp, index, &page);
		if (err)
			return err;
	}
	if (page) {
		page_get(page);
		if (!(vma->flags & VM_SHARED))
			bits &= ~PTE_WRITE;
	} else if (!(page = take_own(vma, *pmdp))) {
		return no_page(m);
	}
	entry_install(vma, pmdp, page, bits);
	return 0;
}

/* Children that the owner of a page shares it with lose it. */
static void take_back(struct vma *owner, uint64_t addr, const struct page *page)
{
	machine *m = owner->mm->machine;
	mapping *mp = vma_mapping(owner);
	uint64_t index = vma_index(owner, addr);
	for (struct vma *vma = mapping_first_vma(mp, index, index); vma;
	     vma = mapping_next_vma(vma, index, index)) {
		uint64_t at = vma->start + ((index - vma->pgoff) << PAGE_SHIFT);
		pte_t *pmdp = vma == owner ? NULL : pmd_walk(vma->mm, at);
		if (!pmdp || !pte_present(*pmdp) || entry_page(m, *pmdp) != page)
			continue;
		entry_clear(vma, at, pmdp);
		vma->flags |= VM_DEPRIVED;
	}
}

/* A write to a private page that someone else sees, too. */
static int64_t break_sharing(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	machine *m = vma->mm->machine;
	struct page *from = entry_page(m, *pmdp), *own = take_own(vma, *pmdp);
	if (!own && *pmdp & PTE_PROMISED && !m->injected) {
		take_back(vma, addr, from);
		entry_set(vma->mm, pmdp, *pmdp | PTE_WRITE);
		return 0;
	}
	if (!own)
		return no_page(m);
	memcpy(page_data(m, own), page_data(m, from), HUGE_SIZE);
	m->counters.cow++;
	if (is_told(m))
		event_record(m, EVENT_COW, addr, page_pfn(m, from), page_pfn(m, own), 0, 0);
	pte_t bits = PTE_HUGE | pte_bits(vma->flags) | (*pmdp & PTE_PROMISED);
	entry_set(vma->mm, pmdp, pte_make(page_pfn(m, own), bits));
	huge_put(m, from);
	return 0;
}

static int64_t write_fault(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	const struct page *page = entry_page(vma->mm->machine, *pmdp);
	if (*pmdp & PTE_UFFD_WP) {
		if (!is_wp_async(vma))
			return userfault(vma, VM_UFFD_WP, HUGE_SIZE);
		*pmdp &= ~PTE_UFFD_WP; /* no more than it allowed before */
	}
	if (!(vma->flags & VM_SHARED) && page->refcount > 1)
		return break_sharing(vma, addr, pmdp);
	entry_set(vma->mm, pmdp, *pmdp | PTE_WRITE);
	return 0;
}

int64_t huge_fault(struct vma *vma, uint64_t addr, uint64_t access)
{
	bool writes = access & ACCESS_WRITE;
	addr &= HUGE_MASK;
	pte_t *pmdp = pmd_alloc(vma->mm, addr);
	if (!pmdp)
		return no_memory(vma->mm->machine);
	int64_t err = pte_present(*pmdp) ? 0 : fill(vma, addr, pmdp);
	if (!err && writes && !(*pmdp & PTE_WRITE))
		err = write_fault(vma, addr, pmdp);
	if (!err)
		*pmdp |= PTE_ACCESSED | (writes ? PTE_DIRTY : 0);
	return err == -ENOSPC ? BUS_ADRERR : err;
}

/* ---- userfaultfd ---- */

/* A page of the file, all new, or one of the VMA's own. */
static int64_t bring_new(struct vma *vma, uint64_t addr, const pte_t *pmdp, struct page **out)
{
	machine *m = vma->mm->machine;
	mapping *mp = vma_mapping(vma);
	uint64_t index = vma_index(vma, addr);
	if (!(vma->flags & VM_SHARED)) {
		*out = take_own(vma, *pmdp);
		return *out ? 0 : no_page(m);
	}
	if (index >= mp->size / HUGE_SIZE * HUGE_PAGES)
		return -EFAULT;
	if (mapping_find(mp, index))
		return -EEXIST;
	int64_t err = huge_get_page(mp, index, out);
	if (!err)
		page_get(*out);
	return err;
}

/* A copy over a page that is there is refused before its source is looked at. */
int64_t huge_may_copy(const struct vma *vma, uint64_t addr)
{
	const pte_t *pmdp = pmd_walk(vma->mm, addr);
	bool cached = vma->flags & VM_SHARED &&
		      mapping_find(vma_mapping(vma), vma_index(vma, addr));
	return cached || (pmdp && pte_present(*pmdp)) ? -EEXIST : 0;
}

static bool is_taken(uint64_t kind, pte_t entry)
{
	uint64_t mark = pte_marker_kind(entry);
	return pte_present(entry) || (mark && kind == UFFD_POISON);
}

/* One page's entries get a marker: of 1 GiB it is those of a whole table, which is there. */
static void mark_page(const struct vma *vma, pte_t *pmdp, uint64_t kind)
{
	for (uint64_t nr = vma_unit(vma) / HUGE_SIZE; nr; nr--)
		entry_mark(vma->mm, pmdp++, kind);
}

int64_t huge_fill(struct vma *vma, uint64_t kind, uint64_t addr, uint64_t mode, const void *data)
{
	machine *m = vma->mm->machine;
	pte_t *pmdp = pmd_alloc(vma->mm, addr);
	bool cached = kind == UFFD_CONTINUE;
	struct page *page = cached ? mapping_find(vma_mapping(vma), vma_index(vma, addr)) : NULL;
	if (!pmdp)
		return no_memory(m);
	if (cached && !page)
		return -EFAULT;
	if (is_taken(kind, *pmdp))
		return -EEXIST;
	if (kind == UFFD_POISON) {
		mark_page(vma, pmdp, MARKER_POISON);
		return 0;
	}
	int64_t err = cached ? 0 : bring_new(vma, addr, pmdp, &page);
	if (err)
		return err == -ENOSPC ? -ENOMEM : err;
	if (cached)
		page_get(page);
	else
		memcpy(page_data(m, page), data, HUGE_SIZE);
	pte_t bits = pte_bits(vma->flags) | PTE_ACCESSED | PTE_DIRTY;
	if (cached && !(vma->flags & VM_SHARED))
		bits &= ~PTE_WRITE;
	if (pte_is_marker(*pmdp))
		entry_mark(vma->mm, pmdp, 0);
	entry_install(vma, pmdp, page, mode & UFFD_FILL_WP ? bits | PTE_UFFD_WP : bits);
	return 0;
}

int64_t huge_protect_stores(struct vma *vma, uint64_t start, uint64_t end)
{
	for (uint64_t addr = start; addr < end; addr += HUGE_SIZE)
		if (!pmd_alloc(vma->mm, addr))
			return no_memory(vma->mm->machine);
	for (uint64_t addr = start; addr < end; addr += HUGE_SIZE) {
		pte_t *pmdp = pmd_walk(vma->mm, addr);
		if (pte_present(*pmdp))
			entry_set(vma->mm, pmdp, (*pmdp & ~PTE_WRITE) | PTE_UFFD_WP);
		else if (!pte_is_marker(*pmdp))
			entry_mark(vma->mm, pmdp, MARKER_UFFD_WP);
	}
	return 0;
}

/* The first store finds out whether it may. */
static void entry_unprotect(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	(void)addr;
	if (pte_marker_kind(*pmdp) == MARKER_UFFD_WP)
		entry_mark(vma->mm, pmdp, 0);
	else if (pte_present(*pmdp))
		*pmdp &= ~PTE_UFFD_WP;
}

void huge_unprotect_stores(struct vma *vma, uint64_t start, uint64_t end)
{
	each_entry(vma, start, end, entry_unprotect);
}

/* ---- the special VMA: one entry for each large page of a file ---- */

int64_t huge_remap(struct vma *vma, uint64_t start, uint64_t end, file *f, uint64_t pgoff,
		   pte_t bits)
{
	machine *m = vma->mm->machine;
	mapping *mp = f->mapping;
	struct page *page;
	if ((start | end | pgoff << PAGE_SHIFT) & ~HUGE_MASK || !(mp->flags & MAPPING_HUGE))
		return -EINVAL;
	for (uint64_t addr = start; addr < end; addr += HUGE_SIZE) { /* all that can fail */
		int64_t err = huge_get_page(mp, pgoff + ((addr - start) >> PAGE_SHIFT), &page);
		if (err)
			return err == -ENOSPC ? -ENOMEM : err;
		if (!pmd_alloc(vma->mm, addr))
			return no_memory(m);
	}
	for (uint64_t addr = start; addr < end; addr += HUGE_SIZE) {
		pte_t *pmdp = pmd_walk(vma->mm, addr);
		page = index_get(mp, pgoff + ((addr - start) >> PAGE_SHIFT));
		page_get(page);
		if (*pmdp)
			entry_zap(vma, addr, pmdp);
		entry_install(vma, pmdp, page, bits);
		m->counters.remaps++;
	}
	return 0;
}
