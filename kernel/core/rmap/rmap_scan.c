/*
 * rmap_scan.c - 2.4's virtual scan: no reverse map at all.
 *
 * Reclaim does not go from a page to its ptes; it goes round the address
 * spaces, each from where it was left, and unmaps what was not touched since
 * the last round.  A round that finds everything touched frees nothing: it may
 * give up while pages could still be had.
 */
#include "core.h"

/* The contract's walk, at the price the design has to pay: every table there is. */
static bool scan_walk(struct rmap_search *s)
{
	for (mm *mm = s->machine->mms; mm && s->left; mm = mm->next)
		for (struct vma *vma = mm->first; vma && s->left; vma = vma->next)
			if (!(vma->flags & VM_SPECIAL) && !rmap_search_tables(s, vma))
				return false;
	return true;
}

struct scan {
	machine *m;
	pte_visitor unmap;
	void *arg;
	uint64_t left; /* pages still to unmap */
};

static void scan_pte(struct scan *s, pte_t *ptep)
{
	machine *m = s->m;
	if (!pte_present(*ptep) || pte_pfn(*ptep) == m->zero_pfn)
		return;
	m->counters.scan_ptes++;
	s->left -= s->unmap(m, pfn_page(m, pte_pfn(*ptep)), ptep, s->arg);
}

static void scan_vma(struct scan *s, struct vma *vma)
{
	mm *mm = vma->mm;
	uint64_t span, addr = mm->scan_addr > vma->start ? mm->scan_addr : vma->start;
	pte_t *ptep;
	s->m->counters.rmap_vma_visits++;
	while (s->left && (ptep = pt_next(mm, &addr, vma->end, &span)))
		for (; span && s->left; span--, ptep++, addr += PAGE_SIZE)
			scan_pte(s, ptep);
	mm->scan_addr = addr;
}

static void scan_mm(struct scan *s, mm *mm)
{
	struct vma *vma = vma_find(mm, mm->scan_addr);
	for (; vma && s->left; vma = vma->next)
		if (!(vma->flags & (VM_SPECIAL | VM_LOCKED)))
			scan_vma(s, vma);
	if (s->left)
		mm->scan_addr = 0; /* all of it was seen */
}

/* One round over all address spaces, or until nr_pages were unmapped; how many were. */
uint64_t scan_address_spaces(machine *m, uint64_t nr_pages, pte_visitor unmap, void *arg)
{
	struct scan s = { m, unmap, arg, nr_pages };
	uint64_t rounds = 0;
	for (mm *mm = m->mms; mm; mm = mm->next)
		rounds++;
	m->counters.scan_rounds++;
	for (; rounds && s.left; rounds--) {
		mm *mm = m->scan_mm ? m->scan_mm : m->mms;
		scan_mm(&s, mm);
		m->scan_mm = s.left ? mm->next : mm;
	}
	return nr_pages - s.left;
}

void scan_forget(mm *mm)
{
	if (mm->machine->scan_mm == mm)
		mm->machine->scan_mm = mm->next;
}

const struct rmap_design_ops rmap_virtual_scan = {
	.name = "virtual_scan",
	.kind = RMAP_SCANS,
	.keeps = KEEPS_LIST,
	.reserve = rmap_nothing_reserved,
	.add = rmap_not_told,
	.remove = rmap_not_told,
	.move = rmap_not_moved,
	.walk = scan_walk,
};
