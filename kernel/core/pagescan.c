/*
 * pagescan.c - PAGEMAP_SCAN: ranges of pages by what they are, and protecting them anew.
 *
 * A scan goes from start to end and puts out ranges of pages of one category.  It
 * stops, to be gone on with at walk_end, where its regions are full or max_pages
 * were found.  With PM_SCAN_WP_MATCHING every written page that it puts out is
 * write-protected at once: what is written from then on, the next scan finds.
 * The order of things, and what a place without a page counts as, are Linux's
 * (fs/proc/task_mmu.c of 6.18, as observed).
 */
#include "core.h"

static bool is_interesting(const struct pm_scan *s, uint64_t categories)
{
	categories ^= s->category_inverted;
	if ((categories & s->category_mask) != s->category_mask)
		return false;
	return !s->category_anyof_mask || categories & s->category_anyof_mask;
}

/* false: there is no room for another region. */
static bool put_region(struct pm_scan *s, uint64_t start, uint64_t end, uint64_t categories)
{
	struct pm_region *last = &s->regions[s->nr_regions ? s->nr_regions - 1 : 0];
	if (s->nr_regions && last->end == start && last->categories == categories) {
		last->end = end;
		return true;
	}
	if (s->nr_regions == s->max_regions)
		return false;
	s->regions[s->nr_regions++] = (struct pm_region){ start, end, categories };
	return true;
}

/* Put [start, end) out, or as much of it as may be; where that ends. */
static uint64_t put_out(struct pm_scan *s, uint64_t start, uint64_t end, uint64_t categories)
{
	if (!s->max_regions)
		return end;
	uint64_t nr = (end - start) >> PAGE_SHIFT, left = s->max_pages - s->found_pages;
	bool cut = nr > left;
	if (cut)
		end = start + (left << PAGE_SHIFT);
	if (end > start && !put_region(s, start, end, categories & s->return_mask)) {
		end = start;
		cut = true;
	}
	s->found_pages += (end - start) >> PAGE_SHIFT;
	if (cut) {
		s->walk_end = end;
		s->stopped = 1;
	}
	return end;
}

/* ---- what a page is ---- */

static bool is_protected(pte_t pte)
{
	return pte_is_wp(pte) || pte_marker_kind(pte) == MARKER_UFFD_WP;
}

static uint64_t kind_of(machine *m, pte_t pte)
{
	if (pte_pfn(pte) == m->zero_pfn)
		return PAGE_IS_PFNZERO;
	return pfn_page(m, pte_pfn(pte))->flags & PG_ANON ? 0 : PAGE_IS_FILE;
}

/* Where a table is, a place without a page counts as written; where none is, scan_hole() tells. */
static uint64_t page_categories(machine *m, pte_t pte)
{
	uint64_t written = is_protected(pte) ? 0 : PAGE_IS_WRITTEN;
	if (pte_present(pte))
		return PAGE_IS_PRESENT | written | kind_of(m, pte);
	if (!pte || pte_is_file(pte))
		return written;
	return PAGE_IS_SWAPPED | written | (pte_is_guard(pte) ? PAGE_IS_GUARD : 0);
}

/* ---- one VMA ---- */

static void protect_place(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	pte_t pte = *ptep;
	if (pte_present(pte))
		pte_set(vma->mm, addr, ptep, (pte & ~PTE_WRITE) | PTE_UFFD_WP);
	else if (!pte)
		pte_set(vma->mm, addr, ptep, pte_marker(MARKER_UFFD_WP));
	else if (!is_protected(pte) && !pte_is_file(pte))
		pte_set(vma->mm, addr, ptep, pte | PTE_UFFD_WP);
}

static void scan_table(struct pm_scan *s, struct vma *vma, uint64_t addr, pte_t *ptep, uint64_t nr)
{
	machine *m = vma->mm->machine;
	bool protects = s->flags & PM_SCAN_WP_MATCHING;
	for (; nr && !s->stopped; nr--, ptep++, addr += PAGE_SIZE) {
		bool only_protects = protects && !s->max_regions;
		uint64_t categories = s->vma_categories | page_categories(m, *ptep);
		if (!only_protects && !is_interesting(s, categories))
			continue;
		if (!only_protects && put_out(s, addr, addr + PAGE_SIZE, categories) == addr)
			return;
		if (protects && (only_protects || categories & PAGE_IS_WRITTEN))
			protect_place(vma, addr, ptep);
	}
}

/* What is watched for stores counts as written, though nothing is there. */
static int64_t scan_hole(struct pm_scan *s, struct vma *vma, uint64_t start, uint64_t end)
{
	bool protects = s->flags & PM_SCAN_WP_MATCHING && !(vma->flags & VM_HUGETLB);
	uint64_t categories = s->vma_categories | (vma->flags & VM_UFFD_WP ? PAGE_IS_WRITTEN : 0);
	if (!is_interesting(s, categories))
		return 0;
	int64_t err = protects ? pt_alloc_range(vma->mm, start, end) : 0;
	if (err)
		return err;
	end = put_out(s, start, end, categories);
	for (uint64_t addr = start; protects && addr < end; addr += PAGE_SIZE)
		protect_place(vma, addr, pt_walk(vma->mm, addr));
	return 0;
}

static int64_t scan_small(struct pm_scan *s, struct vma *vma, uint64_t start, uint64_t end)
{
	for (uint64_t addr = start; addr < end && !s->stopped;) {
		uint64_t at = addr, span = 0;
		pte_t *ptep = pt_next(vma->mm, &at, end, &span);
		int64_t err = at > addr ? scan_hole(s, vma, addr, at < end ? at : end) : 0;
		if (err) {
			s->walk_end = addr;
			return err;
		}
		if (ptep && !s->stopped)
			scan_table(s, vma, at, ptep, span);
		addr = at + (span << PAGE_SHIFT);
	}
	return 0;
}

static uint64_t large_categories(machine *m, pte_t entry)
{
	uint64_t written = is_protected(entry) ? 0 : PAGE_IS_WRITTEN;
	if (pte_present(entry))
		return PAGE_IS_HUGE | PAGE_IS_PRESENT | written |
		       (pfn_page(m, pte_pfn(entry))->flags & PG_CACHE ? PAGE_IS_FILE : 0);
	return PAGE_IS_HUGE | (pte_is_marker(entry) ? PAGE_IS_SWAPPED | written : 0);
}

static void protect_large(struct vma *vma, uint64_t addr, uint64_t end)
{
	huge_protect_stores(vma, addr, end); /* its table is there */
}

static void scan_large_page(struct pm_scan *s, struct vma *vma, uint64_t start, uint64_t end,
			    pte_t entry)
{
	uint64_t categories = s->vma_categories | large_categories(vma->mm->machine, entry);
	if (!is_interesting(s, categories))
		return;
	if (s->flags & PM_SCAN_WP_MATCHING && categories & PAGE_IS_WRITTEN &&
	    (start | end) & ~HUGE_MASK) {
		s->walk_end = start; /* part of one cannot be protected */
		s->stopped = 1;
		return;
	}
	uint64_t stop = put_out(s, start, end, categories);
	if (stop > start && s->flags & PM_SCAN_WP_MATCHING && categories & PAGE_IS_WRITTEN)
		protect_large(vma, start, end);
}

static int64_t scan_large(struct pm_scan *s, struct vma *vma, uint64_t start, uint64_t end)
{
	for (uint64_t addr = start; addr < end && !s->stopped;) {
		uint64_t next = (addr & HUGE_MASK) + HUGE_SIZE, stop = next < end ? next : end;
		const pte_t *pmdp = pmd_walk(vma->mm, addr);
		if (pt_has_table(vma->mm, addr, vma_unit(vma)))
			scan_large_page(s, vma, addr, stop, pmdp ? *pmdp : 0);
		else
			scan_hole(s, vma, addr, stop); /* no tables to make */
		addr = stop;
	}
	return 0;
}

/* -EPERM: it cannot be protected in the background, and that was asked for. */
static int64_t scan_vma(struct pm_scan *s, struct vma *vma, uint64_t start, uint64_t end)
{
	bool allowed = is_wp_async(vma) && vma->flags & VM_UFFD_WP;
	if (!allowed && s->flags & PM_SCAN_CHECK_WPASYNC)
		return -EPERM;
	if (!allowed && s->flags & PM_SCAN_WP_MATCHING)
		return 0;
	s->vma_categories = allowed ? PAGE_IS_WPALLOWED : 0;
	uint64_t required = s->category_mask & PAGE_IS_WPALLOWED;
	if (((s->vma_categories ^ s->category_inverted) & required) != required)
		return 0;
	if (vma->flags & VM_SPECIAL)
		return 0;
	return (vma->flags & VM_HUGETLB ? scan_large : scan_small)(s, vma, start, end);
}

int64_t mm_pagemap_scan(mm *mm, struct pm_scan *s)
{
	uint64_t at = s->start;
	s->stopped = 0;
	for (struct vma *vma = vma_find(mm, at); vma && vma->start < s->end && !s->stopped;
	     vma = vma->next) {
		uint64_t low = vma->start > at ? vma->start : at;
		int64_t err = scan_vma(s, vma, low, vma->end < s->end ? vma->end : s->end);
		if (is_need(err))
			s->start = s->walk_end; /* to go on from there */
		if (err)
			return err;
	}
	return (int64_t)s->stopped;
}
