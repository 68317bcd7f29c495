/*
 * rmap.c - the reverse map's contract, and what all designs share.
 *
 * Given a page, rmap_walk() visits every pte that maps it.  rmap_add() and
 * rmap_remove() are told of every pte that comes and goes (ptes of special
 * VMAs and of the zero page excepted) and keep mapcount; rmap_reserve() takes
 * the memory an add may want beforehand, so that an add cannot fail.
 *
 *   virtual_scan   2.4    nothing is kept; every table of every mm is read
 *   pte_chain      2.5    blocks of ptes for each page
 *   objrmap        2003   file pages: the inode's list of VMAs; others: chains
 *   objrmap_tree   2.6.7  file pages: an interval tree; others: anon_vma
 *   compare        all of them side by side; the first disagreement is kept
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

/* ---- what designs share ---- */

int64_t rmap_nothing_reserved(machine *m)
{
	(void)m;
	return 0;
}

void rmap_not_told(machine *m, struct page *page, pte_t *ptep) { (void)m, (void)page, (void)ptep; }

void rmap_not_moved(machine *m, struct page *page, pte_t *from, pte_t *to)
{
	(void)m, (void)page, (void)from, (void)to;
}

void rmap_bytes_add(machine *m, int64_t nbytes)
{
	m->counters.rmap_bytes += (uint64_t)nbytes;
	if (m->counters.rmap_bytes > m->counters.rmap_bytes_peak)
		m->counters.rmap_bytes_peak = m->counters.rmap_bytes;
}

bool rmap_offer(struct rmap_search *s, pte_t *ptep)
{
	machine *m = s->machine;
	if (!ptep || !pte_present(*ptep) || pte_pfn(*ptep) != page_pfn(m, s->page))
		return true;
	m->counters.rmap_pte_visits++;
	s->left--;
	return s->visit(m, s->page, ptep, s->arg);
}

bool rmap_search_linear(struct rmap_search *s, struct vma *vma)
{
	uint64_t index = s->page->index;
	s->machine->counters.rmap_vma_visits++;
	if (index < vma->pgoff || index >= vma->pgoff + vma_pages(vma))
		return true;
	return rmap_offer(s, pt_walk(vma->mm, vma->start + ((index - vma->pgoff) << PAGE_SHIFT)));
}

bool rmap_search_tables(struct rmap_search *s, struct vma *vma)
{
	uint64_t span;
	pte_t *ptep;
	s->machine->counters.rmap_vma_visits++;
	for (uint64_t addr = vma->start; (ptep = pt_next(vma->mm, &addr, vma->end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (!rmap_offer(s, ptep))
				return false;
	return true;
}

bool rmap_search_anon(struct rmap_search *s)
{
	struct vma *next;
	for (struct vma *vma = s->page->anon_vma->first; vma && s->left; vma = next) {
		next = vma->anon_next;
		if (!rmap_search_linear(s, vma))
			return false;
	}
	return true;
}

/* ---- walking ---- */

static bool search_nonlinear(struct rmap_search *s)
{
	struct vma *vma = s->page->mapping->nonlinear;
	for (; vma && s->left; vma = vma->nonlinear_next)
		if (!rmap_search_tables(s, vma))
			return false;
	return true;
}

typedef bool (*walk_form)(struct rmap_search *s);

static bool walk_linear(struct rmap_search *s) { return !s->left || s->machine->rmap->walk(s); }

static bool walk_all(struct rmap_search *s)
{
	if (!walk_linear(s))
		return false;
	bool file = s->machine->rmap->kind == RMAP_SEARCHES && !(s->page->flags & PG_ANON);
	return !file || !s->left || search_nonlinear(s);
}

static TELLS bool tell_walk(struct rmap_search *s, walk_form walk)
{
	machine *m = s->machine;
	const struct counters before = m->counters, *now = &m->counters;
	uint64_t pfn = page_pfn(m, s->page), mapcount = s->left;
	bool all = walk(s);
	event_record(m, EVENT_RMAP_WALK, pfn, mapcount,
		     now->rmap_vma_visits - before.rmap_vma_visits,
		     now->rmap_pte_visits - before.rmap_pte_visits,
		     now->rmap_block_touches - before.rmap_block_touches);
	return all;
}

bool rmap_walk(machine *m, struct page *page, pte_visitor visit, void *arg)
{
	struct rmap_search s = { m, page, visit, arg, page->mapcount };
	m->counters.rmap_walks++;
	return is_told(m) ? tell_walk(&s, walk_all) : walk_all(&s);
}

/* Without the ptes of nonlinear VMAs, where finding them takes a search. */
bool rmap_walk_linear(machine *m, struct page *page, pte_visitor visit, void *arg)
{
	struct rmap_search s = { m, page, visit, arg, page->mapcount };
	m->counters.rmap_walks++;
	return is_told(m) ? tell_walk(&s, walk_linear) : walk_linear(&s);
}
