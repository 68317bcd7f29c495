/*
 * swap.c - swap areas, their slots, and the swap cache.
 *
 * An area is a file of the host's; its slot 0 is the header.  For each slot
 * it is known how many ptes and index items name it, and which page in memory
 * has the same content (the swap cache, which holds a reference on it).  A
 * slot is free when no one names it and no page has it.  A page in the swap
 * cache is never writable: the first write takes it out.
 *
 *   anonymous page: swap_add -> unmap (ptes name the entry) -> write -> drop
 *   fault:          read into a page of the swap cache -> map -> swap_put
 *
 * A fault that reads takes the aligned 2^page_cluster slots around as well.
 * Such a page waits in the swap cache, without an anon_vma, for whoever maps
 * it; a memory file copies it.
 */
#include "core.h"
#include "host.h"

#include <stdlib.h>

#define TYPE_MASK ((1u << SWAP_TYPE_BITS) - 1)

static struct swap_area *area_of(machine *m, uint32_t entry) { return &m->swap[entry & TYPE_MASK]; }

static uint64_t slot_of(uint32_t entry) { return entry >> SWAP_TYPE_BITS; }

static uint32_t entry_at(machine *m, const struct swap_area *area, uint64_t slot)
{
	return (uint32_t)(slot << SWAP_TYPE_BITS | (uint64_t)(area - m->swap));
}

uint32_t swap_count(machine *m, uint32_t entry) { return area_of(m, entry)->count[slot_of(entry)]; }

bool swap_is_closing(machine *m, uint32_t entry) { return area_of(m, entry)->closing; }

struct page *swap_cached(machine *m, uint32_t entry)
{
	uint32_t pfn = area_of(m, entry)->cached[slot_of(entry)];
	return pfn ? pfn_page(m, pfn) : NULL;
}

/* ---- input and output ---- */

int64_t machine_io(machine *m, uint64_t kind)
{
	if (kind >= NR_IO)
		return -EINVAL;
	return m->fail_io[kind] && --m->fail_io[kind] == 0 ? -EIO : 0;
}

int64_t machine_io_pending(machine *m, uint64_t kind)
{
	return kind < NR_IO ? (int64_t)m->fail_io[kind] : -EINVAL;
}

void machine_fail_io(machine *m, uint64_t kind, uint64_t n)
{
	if (kind < NR_IO)
		m->fail_io[kind] = n;
}

static int64_t tell_io(machine *m, enum event_kind kind, uint32_t entry, const struct page *page,
		       int64_t result)
{
	if (is_told(m))
		event_record(m, kind, entry, page_pfn(m, page), (uint64_t)result, 0, 0);
	return result;
}

int64_t swap_read(machine *m, uint32_t entry, struct page *page)
{
	uint64_t at = slot_of(entry) << PAGE_SHIFT;
	m->counters.pswpin++;
	bool done = !machine_io(m, IO_SWAP_READ) &&
		    host_read(area_of(m, entry)->fd, page_data(m, page), PAGE_SIZE, at);
	m->counters.swap_read_errors += !done;
	return tell_io(m, EVENT_SWAP_IN, entry, page, done ? 0 : -EIO);
}

bool swap_look(machine *m, uint32_t entry, uint64_t inside, void *buf, uint64_t nbytes)
{
	return host_read(area_of(m, entry)->fd, buf, nbytes,
			 (slot_of(entry) << PAGE_SHIFT) + inside);
}

int64_t swap_write(machine *m, uint32_t entry, struct page *page)
{
	uint64_t at = slot_of(entry) << PAGE_SHIFT;
	m->counters.pswpout++;
	bool done = !machine_io(m, IO_SWAP_WRITE) &&
		    host_write(area_of(m, entry)->fd, page_data(m, page), PAGE_SIZE, at);
	m->counters.swap_write_errors += !done;
	return tell_io(m, EVENT_SWAP_OUT, entry, page, done ? 0 : -EIO);
}

/* ---- slots ---- */

static uint64_t slots_free(const struct swap_area *area)
{
	return area->nr_slots && !area->closing ? area->nr_slots - 1 - area->nr_used : 0;
}

uint64_t swap_nr_free(machine *m)
{
	uint64_t nr = 0;
	for (int i = 0; i < NR_SWAP_AREAS; i++)
		nr += slots_free(&m->swap[i]);
	return nr;
}

/* The one with the highest priority that has room. */
static struct swap_area *best_area(machine *m)
{
	struct swap_area *best = NULL;
	for (struct swap_area *area = m->swap; area < m->swap + NR_SWAP_AREAS; area++)
		if (slots_free(area) && (!best || area->prio > best->prio))
			best = area;
	return best;
}

static bool slot_is_free(const struct swap_area *area, uint64_t slot)
{
	return !area->count[slot] && !area->cached[slot];
}

static uint32_t slot_take(machine *m)
{
	struct swap_area *area = best_area(m);
	if (!area)
		return 0;
	uint64_t slot = area->next;
	while (!slot_is_free(area, slot)) /* there is one */
		slot = slot + 1 < area->nr_slots ? slot + 1 : 1;
	area->next = slot + 1 < area->nr_slots ? slot + 1 : 1;
	area->nr_used++;
	m->counters.nr_swap_used++;
	return entry_at(m, area, slot);
}

static void slot_freed(machine *m, uint32_t entry)
{
	area_of(m, entry)->nr_used--;
	m->counters.nr_swap_used--;
}

uint32_t swap_entry_alloc(machine *m)
{
	uint32_t entry = slot_take(m);
	if (entry)
		area_of(m, entry)->count[slot_of(entry)] = 1;
	return entry;
}

void swap_get(machine *m, uint32_t entry) { area_of(m, entry)->count[slot_of(entry)]++; }

void swap_put(machine *m, uint32_t entry)
{
	uint32_t *count = &area_of(m, entry)->count[slot_of(entry)];
	struct page *page = swap_cached(m, entry);
	assert(*count > 0);
	if (--*count)
		return;
	if (page)
		swap_release(m, page);
	else
		slot_freed(m, entry);
}

/* ---- the swap cache ---- */

static void cache_add(machine *m, struct page *page, uint32_t entry)
{
	area_of(m, entry)->cached[slot_of(entry)] = (uint32_t)page_pfn(m, page);
	page->entry = entry;
	page->flags |= PG_SWAPCACHE;
	page_get(page);
	m->counters.nr_swapcached++;
}

bool swap_add(machine *m, struct page *page)
{
	uint32_t entry = slot_take(m);
	if (!entry)
		return false;
	cache_add(m, page, entry);
	page->flags |= PG_DIRTY; /* not written yet */
	return true;
}

void swap_cache_drop(machine *m, struct page *page)
{
	uint32_t entry = page->entry;
	area_of(m, entry)->cached[slot_of(entry)] = 0;
	page->entry = 0;
	page->flags &= ~(uint32_t)(PG_SWAPCACHE | PG_DIRTY);
	m->counters.nr_swapcached--;
	if (!swap_count(m, entry))
		slot_freed(m, entry);
	page_put(m, page);
}

void swap_cache_replace(machine *m, const struct page *page, struct page *with)
{
	area_of(m, page->entry)->cached[slot_of(page->entry)] = (uint32_t)page_pfn(m, with);
}

void swap_release(machine *m, struct page *page)
{
	if (page->flags & PG_SWAPCACHE && !page->mapcount && !swap_count(m, page->entry))
		swap_cache_drop(m, page);
}

static void adopt(struct page *page, struct vma *vma, uint64_t addr)
{
	page->anon_vma = vma->anon_vma;
	page->anon_vma->nr_pages++;
	page->index = vma_index(vma, addr);
}

/* Found in the swap cache. */
static void swap_hit(machine *m, struct page *page, struct vma *vma, uint64_t addr)
{
	if (page->anon_vma || page->flags & PG_KSM)
		return;
	adopt(page, vma, addr);
	lru_move(m, page, 0, 0);
	m->counters.swap_ra_hit++;
}

/* The page of a swap pte at addr, from the swap cache or read into it. */
int64_t swap_in(machine *m, struct vma *vma, uint64_t addr, uint32_t entry, struct page **out)
{
	*out = swap_cached(m, entry);
	if (*out) {
		swap_hit(m, *out, vma, addr);
		return 0;
	}
	struct page *page = page_alloc_for(vma, addr, PG_ANON | PG_UPTODATE);
	if (!page)
		return no_memory(m);
	adopt(page, vma, addr);
	int64_t err = swap_read(m, entry, page);
	if (!err) {
		cache_add(m, page, entry);
		lru_add(m, page);
		*out = page;
	}
	page_put(m, page);
	return err;
}

int64_t swap_fetch(machine *m, uint32_t entry, struct page *page)
{
	struct page *ahead = swap_cached(m, entry);
	if (ahead) {
		memcpy(page_data(m, page), page_data(m, ahead), PAGE_SIZE);
		m->counters.swap_ra_hit++;
		return 0;
	}
	int64_t err = swap_read(m, entry, page);
	if (!err)
		swap_read_ahead(m, entry);
	return err;
}

/* ---- reading ahead ---- */

/* Whose page it is will be known when someone asks for it.  false: memory is short. */
static bool read_one_ahead(machine *m, uint32_t entry)
{
	bool plenty = m->counters.nr_free > m->tunables.watermark_low;
	struct page *page = plenty ? page_alloc(m, PG_ANON | PG_UPTODATE) : NULL;
	if (!page)
		return false;
	if (!swap_read(m, entry, page)) {
		cache_add(m, page, entry);
		lru_add_tail(m, page);
		m->counters.swap_ra++;
	}
	page_put(m, page);
	return true;
}

void swap_read_ahead(machine *m, uint32_t entry)
{
	const struct swap_area *area = area_of(m, entry);
	uint64_t window = 1ul << m->tunables.page_cluster, slot = slot_of(entry) & -window;
	uint64_t end = slot + window < area->nr_slots ? slot + window : area->nr_slots;
	for (; slot < end && !area->closing; slot++) {
		bool absent = area->count[slot] && !area->cached[slot] && slot != slot_of(entry);
		if (absent && !read_one_ahead(m, entry_at(m, area, slot)))
			return;
	}
}

/* ---- swapon, swapoff ---- */

static struct swap_area *unused_area(machine *m)
{
	for (struct swap_area *area = m->swap; area < m->swap + NR_SWAP_AREAS; area++)
		if (!area->nr_slots)
			return area;
	return NULL;
}

int64_t swap_on(machine *m, int fd, uint64_t nr_slots, int64_t prio)
{
	struct swap_area *area = unused_area(m);
	if (!area)
		return -EPERM; /* as Linux's for too many areas */
	if (nr_slots < 2 || nr_slots > UINT32_MAX >> SWAP_TYPE_BITS)
		return -EINVAL;
	*area = (struct swap_area){ .fd = fd, .prio = prio, .next = 1 };
	area->count = calloc(nr_slots, sizeof(*area->count));
	area->cached = calloc(nr_slots, sizeof(*area->cached));
	if (!area->count || !area->cached) {
		free(area->count);
		free(area->cached);
		return -ENOMEM;
	}
	area->nr_slots = nr_slots;
	m->counters.nr_swap_total += nr_slots - 1;
	return area - m->swap;
}

static bool lies_in(machine *m, uint32_t entry, const struct swap_area *area)
{
	return area_of(m, entry) == area;
}

static pte_t *pte_naming(struct vma *vma, const struct page *page, uint64_t *addr)
{
	uint64_t at = page->index - vma->pgoff;
	if (page->index < vma->pgoff || at >= vma_pages(vma))
		return NULL;
	*addr = vma->start + (at << PAGE_SHIFT);
	pte_t *ptep = pt_walk(vma->mm, *addr);
	bool names = ptep && pte_is_swap(*ptep) && pte_swap_entry(*ptep) == page->entry;
	return names ? ptep : NULL;
}

/* The page of a swap pte for all who name it: then it may go to another area. */
static int64_t unuse_pte(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	machine *m = vma->mm->machine;
	uint32_t entry = pte_swap_entry(*ptep);
	int64_t err = swap_fault(vma, addr, ptep);
	const struct page *page = err ? NULL : pfn_page(m, pte_pfn(*ptep));
	for (vma = page && page->anon_vma ? page->anon_vma->first : NULL;
	     vma && !err && swap_count(m, entry); vma = vma->anon_next)
		if ((ptep = pte_naming(vma, page, &addr)))
			err = swap_fault(vma, addr, ptep);
	return err;
}

static int64_t unuse_vma(struct swap_area *area, struct vma *vma)
{
	machine *m = vma->mm->machine;
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = vma->start; (ptep = pt_next(vma->mm, &addr, vma->end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE) {
			if (!pte_is_swap(*ptep) || !lies_in(m, pte_swap_entry(*ptep), area))
				continue;
			int64_t err = unuse_pte(vma, addr, ptep);
			if (err)
				return err;
		}
	return 0;
}

static int64_t unuse_mapping(struct swap_area *area, mapping *mp)
{
	void *item;
	struct page *page;
	for (uint64_t index = 0; mp->nr_swapped && (item = index_next(mp, &index)); index++) {
		if (!item_is_swap(item) || !lies_in(mp->machine, item_entry(item), area))
			continue;
		int64_t err = mapping_get_page(mp, index, &page);
		if (err)
			return err;
	}
	return 0;
}

static int64_t unuse(machine *m, struct swap_area *area)
{
	int64_t err = 0;
	for (mm *mm = m->mms; mm; mm = mm->next)
		for (struct vma *vma = mm->counters.nr_swap ? mm->first : NULL; vma && !err;
		     vma = vma->next)
			err = unuse_vma(area, vma);
	for (mapping *mp = m->mappings; mp && !err; mp = mp->next)
		err = unuse_mapping(area, mp);
	return err;
}

static void area_close(machine *m, struct swap_area *area)
{
	m->counters.nr_swap_total -= area->nr_slots - 1;
	free(area->count);
	free(area->cached);
	*area = (struct swap_area){ 0 };
}

/* NEED_MEMORY leaves the area closed to new pages, so that a next try gets on. */
int64_t swap_off(machine *m, uint64_t nr)
{
	struct swap_area *area = &m->swap[nr % NR_SWAP_AREAS];
	if (!area->nr_slots)
		return -EINVAL;
	area->closing = true;
	int64_t err = unuse(m, area);
	if (err) {
		area->closing = err == NEED_MEMORY;
		return err;
	}
	for (uint64_t slot = 1; slot < area->nr_slots; slot++)
		if (area->cached[slot])
			swap_cache_drop(m, pfn_page(m, area->cached[slot]));
	assert(area->nr_used == 0);
	area_close(m, area);
	return 0;
}

void swap_off_cancel(machine *m, uint64_t nr) { m->swap[nr % NR_SWAP_AREAS].closing = false; }

int64_t swap_area_used(machine *m, uint64_t nr)
{
	return (int64_t)m->swap[nr % NR_SWAP_AREAS].nr_used;
}

/* With the machine; what no one returned is counted by page and object. */
void swap_fini(machine *m)
{
	for (struct swap_area *area = m->swap; area < m->swap + NR_SWAP_AREAS; area++)
		if (area->nr_slots)
			area_close(m, area);
}
