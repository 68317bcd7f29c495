/*
 * reclaim.c - finding pages to free.
 *
 * machine_reclaim() scans a part of each list, oldest pages first:
 *
 *   active   -> inactive, unless touched since the last look
 *   inactive -> touched: active; else its ptes are unmapped through the
 *               reverse map, a dirty page is written (to swap here, to a
 *               backing store by the caller: r->writes), a clean one freed
 *
 * Without a reverse map (virtual_scan) a mapped page stays where it is, and a
 * round through the address spaces unmaps what was not touched.
 */
#include "core.h"

#define CLUSTER 32 /* pages; as Linux's SWAP_CLUSTER_MAX */

enum fate { FREED, KEPT, ACTIVATED, CULLED, NR_FATES };

static enum fate fate_of(enum reclaim_why why)
{
	if (why == WHY_FREED)
		return FREED;
	if (why < FIRST_WHY_ACTIVATED)
		return KEPT;
	return why < FIRST_WHY_CULLED ? ACTIVATED : CULLED;
}

/* ---- what a page's ptes say ---- */

struct look {
	bool referenced, dirty; /* by a pte */
	bool marked;            /* by what came before: an unmapped pte, a read */
};

static bool look_at(machine *m, struct page *page, pte_t *ptep, void *arg)
{
	struct look *look = arg;
	(void)page;
	look->dirty |= !!(*ptep & PTE_DIRTY);
	if (!(*ptep & PTE_ACCESSED))
		return true;
	look->referenced = true;
	pte_set(pte_mm(m, ptep), pte_addr(m, ptep), ptep, *ptep & ~PTE_ACCESSED);
	return true;
}

/* Was it touched since the last look?  That starts the next period. */
static struct look look_at_page(machine *m, struct page *page)
{
	struct look look = { .marked = page->flags & PG_REFERENCED };
	page->flags &= ~(uint32_t)PG_REFERENCED;
	if (m->rmap->kind != RMAP_SCANS)
		rmap_walk_linear(m, page, look_at, &look);
	return look;
}

/* ---- unmapping ---- */

static pte_t what_stays(machine *m, const struct vma *vma, const struct page *page, pte_t pte)
{
	if (page->flags & PG_LAZYFREE)
		return 0;
	if (page->flags & PG_ANON) {
		swap_get(m, page->entry);
		vma->mm->counters.nr_swap++;
		pte_t forked = page->flags & PG_FORKED ? PTE_FORKED : 0;
		return pte_swap(page->entry) | (pte & PTE_UFFD_WP) | forked;
	}
	if (vma->flags & VM_NONLINEAR && !HAS_BUG(BUG_LINEAR_SWAP_OUT))
		return pte_file(page->index);
	return marker_after_zap(vma, pte);
}

/* false: its VMA is locked. */
static bool unmap_one(machine *m, struct page *page, pte_t *ptep, void *arg)
{
	mm *mm = pte_mm(m, ptep);
	uint64_t addr = pte_addr(m, ptep);
	struct vma *vma = vma_find(mm, addr);
	(void)arg;
	if (vma->flags & VM_LOCKED)
		return false;
	zap_pte(mm, vma, addr, ptep, what_stays(m, vma, page, *ptep));
	return true;
}

/* Age and unmap some of a nonlinear VMA's ptes, whatever they map. */
static uint64_t unmap_cluster(struct vma *vma)
{
	machine *m = vma->mm->machine;
	uint64_t unmapped = 0, span, addr = vma->start + vma->cursor;
	uint64_t end = addr + CLUSTER * PAGE_SIZE < vma->end ? addr + CLUSTER * PAGE_SIZE
							     : vma->end;
	pte_t *ptep;
	vma->cursor = end < vma->end ? end - vma->start : 0;
	for (; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE) {
			if (!pte_present(*ptep))
				continue;
			m->counters.rmap_pte_visits++;
			if (*ptep & PTE_ACCESSED) {
				pte_set(vma->mm, addr, ptep, *ptep & ~PTE_ACCESSED);
				continue;
			}
			unmapped += unmap_one(m, pfn_page(m, pte_pfn(*ptep)), ptep, NULL);
		}
	return unmapped;
}

/* The page's own ptes are not looked for: its mapcount only says how hard to try. */
static void unmap_nonlinear(struct page *page)
{
	uint64_t wanted = page->mapcount;
	struct vma *vma = page->mapping->nonlinear;
	for (; vma && wanted && page->mapcount; vma = vma->nonlinear_next) {
		vma->mm->machine->counters.rmap_vma_visits++;
		uint64_t got = vma->flags & VM_LOCKED ? 0 : unmap_cluster(vma);
		wanted -= got < wanted ? got : wanted;
	}
}

static enum reclaim_why unmap_page(machine *m, struct page *page)
{
	if (!rmap_walk_linear(m, page, unmap_one, NULL))
		return WHY_VMA_LOCKED;
	if (page->mapcount && m->rmap->kind == RMAP_SEARCHES && !(page->flags & PG_ANON))
		unmap_nonlinear(page);
	return page->mapcount ? WHY_MAPPED : WHY_FREED;
}

/* ---- freeing an unmapped page; the caller holds a reference ---- */

static enum reclaim_why free_anon(machine *m, struct page *page)
{
	if (!(page->flags & PG_SWAPCACHE)) {
		m->counters.pglazyfreed++;
		return WHY_FREED;
	}
	if (page->flags & PG_DIRTY && swap_write(m, page->entry, page))
		return WHY_NOT_WRITTEN; /* it stays, in the swap cache, to be tried again */
	page->flags &= ~(uint32_t)PG_DIRTY;
	swap_cache_drop(m, page);
	return WHY_FREED;
}

/* One that nothing was ever written to is a hole again. */
static enum reclaim_why free_memory_file(machine *m, struct page *page)
{
	if (!(page->flags & PG_DIRTY)) {
		cache_drop(page->mapping, page);
		return WHY_FREED;
	}
	uint32_t entry = swap_entry_alloc(m);
	if (!entry)
		return WHY_NO_SWAP;
	if (swap_write(m, entry, page)) {
		swap_put(m, entry);
		return WHY_NOT_WRITTEN;
	}
	cache_swap_out(page->mapping, page, entry);
	return WHY_FREED;
}

static enum reclaim_why free_file(struct page *page, struct reclaim *r)
{
	const mapping *mp = page->mapping;
	if (page->flags & PG_DIRTY && mp->flags & MAPPING_WRITEBACK) {
		const uint64_t room = sizeof(r->writes) / sizeof(r->writes[0]);
		if (r->nr_writes < room)
			r->writes[r->nr_writes++] =
				(struct reclaim_write){ mp->cookie, page->index };
		return WHY_DIRTY;
	}
	cache_drop(page->mapping, page);
	return WHY_FREED;
}

static enum reclaim_why free_unmapped(machine *m, struct page *page, struct reclaim *r)
{
	if (page->flags & PG_ANON)
		return free_anon(m, page);
	return page->flags & PG_SHMEM ? free_memory_file(m, page) : free_file(page, r);
}

/* ---- one page of an inactive list ---- */

/* It stays: some VMA locks it, or its file does. */
static bool must_stay(const struct page *page)
{
	bool file = !(page->flags & PG_ANON) && page->mapping;
	return page->flags & PG_UNEVICTABLE || (file && page->mapping->flags & MAPPING_LOCKED);
}

static enum reclaim_why find_place(machine *m, struct page *page)
{
	return swap_add(m, page) ? WHY_FREED : WHY_NO_SWAP;
}

/* An anonymous page needs a place to go to; one that is freed lazily must be clean. */
static enum reclaim_why prepare_place(machine *m, struct page *page, struct look look)
{
	if ((page->flags & (PG_LAZYFREE | PG_DROPPABLE)) == PG_LAZYFREE && look.dirty) {
		lru_move(m, page, PG_ACTIVE, PG_LAZYFREE);
		return WHY_DIRTY_LAZY;
	}
	if (!(page->flags & PG_ANON) || page->flags & PG_LAZYFREE)
		return WHY_FREED;
	if (!(page->flags & PG_SWAPCACHE))
		return find_place(m, page);
	bool ahead = !page->anon_vma && !(page->flags & PG_KSM);
	if (!swap_is_closing(m, page->entry) || ahead)
		return WHY_FREED; /* what was only read ahead is dropped */
	if (swap_count(m, page->entry))
		return WHY_CLOSING; /* swapoff has not yet told all who name it */
	swap_cache_drop(m, page);
	return find_place(m, page);
}

INLINE enum reclaim_why evict(machine *m, struct page *page, struct look look, struct reclaim *r)
{
	if (page->flags & PG_SHMEM && !swap_nr_free(m))
		return WHY_NO_SWAP;
	enum reclaim_why why = prepare_place(m, page, look);
	if (why)
		return why;
	why = page->mapcount ? unmap_page(m, page) : WHY_FREED;
	if (why == WHY_FREED)
		return free_unmapped(m, page, r);
	if (page->flags & PG_SWAPCACHE && !swap_count(m, page->entry))
		swap_cache_drop(m, page); /* what is still mapped may be writable */
	return why;
}

INLINE enum reclaim_why try_page(machine *m, struct page *page, struct reclaim *r)
{
	if (must_stay(page))
		return WHY_LOCKED;
	if (page->used)
		return WHY_HELD;
	if (!(r->nodes >> page_nid(m, page) & 1))
		return WHY_ELSEWHERE; /* it would not help who asked */
	if (page->mapcount && m->rmap->kind == RMAP_SCANS) {
		r->nr_mapped++;
		return WHY_NO_RMAP;
	}
	struct look look = look_at_page(m, page);
	if (look.referenced && m->rmap->kind != RMAP_SCANS) /* 2.4 does not ask a second time */
		return WHY_REFERENCED;
	return evict(m, page, look, r);
}

static void settle(machine *m, struct page *page, enum reclaim_why why)
{
	enum fate fate = fate_of(why);
	if (fate == CULLED) {
		lru_cull(m, page);
	} else if (fate == ACTIVATED) {
		m->counters.pgactivate++;
		lru_move(m, page, PG_ACTIVE, 0);
	} else if (fate == KEPT) {
		m->counters.pgrotated++;
		lru_move(m, page, 0, 0);
	}
}

/* What a pass over a list began with, and for who looks what has become of its pages. */
struct pass {
	enum lru_list list;
	uint64_t nr_free, nr_scanned;
	uint64_t fates[NR_FATES];
};

static TELLS enum reclaim_why try_told(machine *m, struct page *page, struct reclaim *r,
				       struct pass *pass)
{
	uint64_t mapcount = page->mapcount, flags = page->flags;
	enum reclaim_why why = try_page(m, page, r);
	pass->fates[fate_of(why)]++;
	event_record(m, EVENT_RECLAIM_PAGE, page_pfn(m, page), pass->list, why, mapcount, flags);
	return why;
}

static TELLS void tell_inactive(machine *m, const struct reclaim *r, const struct pass *pass)
{
	event_record(m, EVENT_SHRINK_INACTIVE, pass->list, r->nr_scanned - pass->nr_scanned,
		     m->counters.nr_free - pass->nr_free,
		     pass->fates[ACTIVATED] | pass->fates[KEPT] << 32, r->priority);
}

static void shrink_inactive(machine *m, enum lru_list list, uint64_t nr, struct reclaim *r)
{
	struct pass pass = { list, m->counters.nr_free, r->nr_scanned, { 0 } };
	uint64_t there = *lru_counter(m, list), enough = pass.nr_free + r->nr_to_free - r->nr_freed;
	for (nr = nr < there ? nr : there; nr && m->lru[list].tail; nr--) {
		struct page *page = pfn_page(m, m->lru[list].tail);
		r->nr_scanned++;
		page_get(page);
		settle(m, page, is_told(m) ? try_told(m, page, r, &pass) : try_page(m, page, r));
		page_put(m, page);
		if (m->counters.nr_free >= enough)
			break;
	}
	r->nr_freed += m->counters.nr_free - pass.nr_free;
	if (is_told(m))
		tell_inactive(m, r, &pass);
}

static TELLS void tell_active(machine *m, enum lru_list list, const struct reclaim *r,
			      uint64_t taken, uint64_t deactivated)
{
	event_record(m, EVENT_SHRINK_ACTIVE, list, taken, deactivated, taken - deactivated,
		     r->priority);
}

static void shrink_active(machine *m, enum lru_list list, uint64_t nr, const struct reclaim *r)
{
	struct counters *c = &m->counters;
	uint64_t there = *lru_counter(m, list), taken = c->pgrefill, left = c->pgdeactivate;
	for (nr = nr < there ? nr : there; nr && m->lru[list].tail; nr--) {
		struct page *page = pfn_page(m, m->lru[list].tail);
		c->pgrefill++;
		struct look look = look_at_page(m, page);
		if (look.referenced || look.marked) {
			lru_move(m, page, 0, 0);
			continue;
		}
		c->pgdeactivate++;
		lru_move(m, page, 0, PG_ACTIVE);
	}
	if (is_told(m))
		tell_active(m, list, r, c->pgrefill - taken, c->pgdeactivate - left);
}

/* ---- the virtual scan ---- */

static bool scan_unmap(machine *m, struct page *page, pte_t *ptep, void *arg)
{
	struct look look = { .referenced = *ptep & PTE_ACCESSED, .dirty = *ptep & PTE_DIRTY };
	if (!(page->flags & PG_LRU))
		return false;
	if (look.referenced) {
		pte_set(pte_mm(m, ptep), pte_addr(m, ptep), ptep, *ptep & ~PTE_ACCESSED);
		page_mark_accessed(m, page);
		return false;
	}
	if (page->flags & PG_ACTIVE || must_stay(page) || page->used)
		return false;
	page_get(page);
	bool unmapped = !prepare_place(m, page, look) && unmap_one(m, page, ptep, arg);
	m->counters.pglazyfreed += unmapped && page->flags & PG_LAZYFREE;
	swap_release(m, page); /* if the last user went away meanwhile */
	page_put(m, page);
	return unmapped;
}

/* ---- how much of each list ---- */

static bool files_are_few(const machine *m)
{
	const struct counters *c = &m->counters;
	return c->nr_inactive_file + c->nr_active_file + c->nr_free <= m->tunables.watermark_high;
}

/* Anonymous pages by vm.swappiness of 200, files the rest; none without a place to go to. */
static uint64_t weight_of(machine *m, enum lru_list inactive)
{
	uint64_t swappiness = m->tunables.swappiness;
	if (inactive == LRU_INACTIVE_FILE)
		return 200 - swappiness;
	if (!swap_nr_free(m) && !m->counters.nr_swapcached)
		return 0;
	return files_are_few(m) ? 200 : swappiness;
}

/* The last pass takes all that has a weight, and every file page. */
static uint64_t share(machine *m, enum lru_list inactive, uint64_t priority)
{
	uint64_t size = *lru_counter(m, inactive) + *lru_counter(m, inactive + 1);
	uint64_t weight = weight_of(m, inactive);
	if (priority)
		return (size >> priority) * weight / 100;
	return weight || inactive == LRU_INACTIVE_FILE ? size : 0;
}

static void shrink_list(machine *m, enum lru_list inactive, struct reclaim *r)
{
	enum lru_list active = inactive + 1;
	uint64_t nr = share(m, inactive, r->priority);
	bool of_some = r->nodes != ALL_NODES; /* whose pages may all be active */
	if (of_some || *lru_counter(m, inactive) < *lru_counter(m, active))
		shrink_active(m, active, nr, r);
	if (r->nr_freed < r->nr_to_free)
		shrink_inactive(m, inactive, nr, r);
}

static void count_work(machine *m, const struct reclaim *r, bool direct)
{
	struct counters *c = &m->counters;
	*(direct ? &c->pgscan_direct : &c->pgscan_kswapd) += r->nr_scanned;
	*(direct ? &c->pgsteal_direct : &c->pgsteal_kswapd) += r->nr_freed;
	if (is_told(m))
		event_record(m, EVENT_RECLAIM_PASS, r->nr_to_free, r->priority, r->nr_scanned,
			     r->nr_freed, direct);
}

int64_t machine_reclaim(machine *m, struct reclaim *r)
{
	bool direct = m->counters.nr_free <= m->tunables.watermark_min;
	*r = (struct reclaim){ .nr_to_free = r->nr_to_free,
			       .priority = r->priority,
			       .nodes = r->nodes ? r->nodes : ALL_NODES };
	shrink_list(m, LRU_INACTIVE_FILE, r);
	shrink_list(m, LRU_INACTIVE_ANON, r);
	uint64_t wanted = r->nr_mapped > CLUSTER ? r->nr_mapped : CLUSTER;
	if (m->rmap->kind == RMAP_SCANS && r->nr_freed < r->nr_to_free)
		r->nr_unmapped = scan_address_spaces(m, wanted, scan_unmap, NULL);
	count_work(m, r, direct);
	return m->disagreement[0] ? KERNEL_BUG : (int64_t)r->nr_freed;
}

/* ---- on request ---- */

static void forget_access(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	if (*ptep & PTE_ACCESSED)
		pte_set(vma->mm, addr, ptep, *ptep & ~PTE_ACCESSED);
}

static enum reclaim_why page_out(struct vma *vma, uint64_t addr, pte_t *ptep, struct page *page)
{
	machine *m = vma->mm->machine;
	struct look look = { .dirty = *ptep & PTE_DIRTY };
	struct reclaim r = { 0 };
	enum reclaim_why why = prepare_place(m, page, look);
	if (why)
		return why;
	forget_access(vma, addr, ptep); /* so that zap_pte() marks no page */
	zap_pte(vma->mm, vma, addr, ptep, what_stays(m, vma, page, *ptep));
	return free_unmapped(m, page, &r);
}

/* Advice is about pages that no one else maps. */
static bool is_advised(const struct page *page)
{
	return page->flags & PG_LRU && page->mapcount == 1;
}

/* madvise(MADV_COLD) */
void reclaim_cold(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	machine *m = vma->mm->machine;
	struct page *page = pfn_page(m, pte_pfn(*ptep));
	if (!is_advised(page))
		return;
	forget_access(vma, addr, ptep);
	lru_move(m, page, 0, PG_ACTIVE | PG_REFERENCED);
}

/* madvise(MADV_PAGEOUT): now; memory that has nowhere to go is unmapped and stays in its file. */
void reclaim_pageout(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	machine *m = vma->mm->machine;
	struct page *page = pfn_page(m, pte_pfn(*ptep));
	if (!is_advised(page))
		return;
	page->flags &= ~(uint32_t)PG_REFERENCED;
	if (must_stay(page) || page->used)
		return;
	page_get(page);
	settle(m, page, page_out(vma, addr, ptep, page));
	page_put(m, page);
}

int64_t mapping_invalidate(mapping *mp, uint64_t first, uint64_t last)
{
	int64_t nr = 0;
	struct page *page;
	while ((page = mapping_find_next(mp, first)) && page->index <= last) {
		first = page->index + 1;
		if (page->mapcount || page->pins || page->used || page->flags & PG_DIRTY)
			continue;
		cache_drop(mp, page);
		nr++;
	}
	return nr;
}

int64_t machine_drop_caches(machine *m)
{
	int64_t nr = 0;
	for (mapping *mp = m->mappings; mp; mp = mp->next)
		if (!(mp->flags & MAPPING_MEMORY))
			nr += mapping_invalidate(mp, 0, INDEX_MAX);
	return nr;
}
