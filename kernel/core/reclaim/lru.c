/*
 * lru.c - lists of pages by age.
 *
 * A page that reclaim may look at stands on one list: anonymous pages and
 * memory files on the anonymous ones (they go to swap), other files and
 * lazily freed pages on the file ones.  Locked pages stand on a list that no
 * one scans; pages of special VMAs on none.  The list follows from the flags.
 */
#include "core.h"

enum lru_list lru_of(const struct page *page)
{
	bool swaps = page->flags & (PG_ANON | PG_SHMEM) && !(page->flags & PG_LAZYFREE);
	if (page->flags & PG_UNEVICTABLE)
		return LRU_UNEVICTABLE;
	return (swaps ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE) + !!(page->flags & PG_ACTIVE);
}

uint64_t *lru_counter(machine *m, enum lru_list list)
{
	static const size_t by_list[NR_LRU_LISTS] = {
		offsetof(struct counters, nr_inactive_anon),
		offsetof(struct counters, nr_active_anon),
		offsetof(struct counters, nr_inactive_file),
		offsetof(struct counters, nr_active_file),
		offsetof(struct counters, nr_unevictable),
	};
	return (uint64_t *)((char *)&m->counters + by_list[list]);
}

void lru_add(machine *m, struct page *page)
{
	assert(!(page->flags & PG_LRU));
	enum lru_list list = lru_of(page);
	struct lru *lru = &m->lru[list];
	uint32_t pfn = (uint32_t)page_pfn(m, page);
	page->prev = 0;
	page->next = lru->head;
	*(lru->head ? &m->pages[lru->head].prev : &lru->tail) = pfn;
	lru->head = pfn;
	page->flags |= PG_LRU;
	++*lru_counter(m, list);
}

void lru_add_tail(machine *m, struct page *page)
{
	assert(!(page->flags & PG_LRU));
	enum lru_list list = lru_of(page);
	struct lru *lru = &m->lru[list];
	uint32_t pfn = (uint32_t)page_pfn(m, page);
	page->next = 0;
	page->prev = lru->tail;
	*(lru->tail ? &m->pages[lru->tail].next : &lru->head) = pfn;
	lru->tail = pfn;
	page->flags |= PG_LRU;
	++*lru_counter(m, list);
}

void lru_del(machine *m, struct page *page)
{
	if (!(page->flags & PG_LRU))
		return;
	enum lru_list list = lru_of(page);
	struct lru *lru = &m->lru[list];
	*(page->prev ? &m->pages[page->prev].next : &lru->head) = page->next;
	*(page->next ? &m->pages[page->next].prev : &lru->tail) = page->prev;
	page->next = page->prev = 0;
	page->flags &= ~(uint32_t)PG_LRU;
	--*lru_counter(m, list);
}

/* With other flags, to the head of the list that follows from them. */
void lru_move(machine *m, struct page *page, uint32_t set, uint32_t clear)
{
	if (!(page->flags & PG_LRU))
		return;
	lru_del(m, page);
	page->flags = (page->flags & ~clear) | set;
	lru_add(m, page);
}

/* Two touches make a page active: folio_mark_accessed() of Linux 6.18. */
void page_mark_accessed(machine *m, struct page *page)
{
	if (!(page->flags & PG_LRU))
		return; /* a large page, or one of a special VMA */
	if (!(page->flags & PG_REFERENCED))
		page->flags |= PG_REFERENCED;
	else if (!(page->flags & (PG_ACTIVE | PG_UNEVICTABLE)))
		lru_move(m, page, PG_ACTIVE, PG_REFERENCED);
}

void lru_cull(machine *m, struct page *page)
{
	if (page->flags & PG_UNEVICTABLE)
		return;
	lru_move(m, page, PG_UNEVICTABLE, PG_ACTIVE);
	m->counters.unevictable_pgs_culled++;
}

/* If another VMA still locks it, reclaim will find that out. */
void lru_rescue(machine *m, struct page *page)
{
	if (!(page->flags & PG_UNEVICTABLE))
		return;
	lru_move(m, page, 0, PG_UNEVICTABLE);
	m->counters.unevictable_pgs_rescued++;
}
