/*
 * rmap.c - the reverse map's contract, and what all designs share.
 *
 * Given a page, rmap_walk() visits every pte that maps it.  rmap_add() and
 * rmap_remove() are told of every pte that comes and goes (ptes of special
 * VMAs and of the zero page excepted) and keep mapcount; rmap_reserve() takes
 * the memory an add may want beforehand, so that an add cannot fail.
 */
#include "core.h"

int64_t rmap_reserve(machine *m) { return m->rmap->reserve(m); }

static bool counts_as_mapped(const struct page *page) { return !(page->flags & PG_ANON); }

void rmap_add(machine *m, struct page *page, pte_t *ptep)
{
	m->rmap->add(m, page, ptep);
	if (page->mapcount++ == 0 && counts_as_mapped(page))
		m->counters.nr_mapped++;
}

void rmap_remove(machine *m, struct page *page, pte_t *ptep)
{
	assert(page->mapcount > 0);
	m->rmap->remove(m, page, ptep);
	if (--page->mapcount == 0 && counts_as_mapped(page))
		m->counters.nr_mapped--;
}

void rmap_move(machine *m, struct page *page, pte_t *from, pte_t *to)
{
	m->rmap->move(m, page, from, to);
}

bool rmap_walk(machine *m, struct page *page, pte_visitor visit, void *arg)
{
	m->counters.rmap_walks++;
	return page->mapcount == 0 || m->rmap->walk(m, page, visit, arg);
}
