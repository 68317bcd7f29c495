/*
 * residency.c - what is really in memory, and what in swap: mincore, smaps, numa_maps.
 */
#include "core.h"

static uint8_t resident(struct vma *vma, uint64_t addr)
{
	mapping *mp = vma_mapping(vma);
	pte_t pte = pte_at(vma->mm, addr);
	if (pte_present(pte))
		return 1;
	if (pte_is_swap(pte))
		return swap_cached(vma->mm->machine, pte_swap_entry(pte)) != NULL;
	bool large = vma->flags & VM_HUGETLB;
	if (!mp || (large && pmd_walk(vma->mm, addr))) /* Linux asks its file where no table is */
		return 0;
	bool placed = pte_is_file(pte) && !HAS_BUG(BUG_LINEAR_MINCORE);
	uint64_t index = placed ? pte_file_index(pte) : vma_index(vma, addr);
	const struct page *page = mapping_find(mp, large ? index & -HUGE_PAGES : index);
	return page && !is_unused(page);
}

int64_t mm_mincore(mm *mm, uint64_t addr, uint64_t len, uint8_t *vec)
{
	uint64_t end = addr + PAGE_ALIGN(len);
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (end > mm->counters.task_size || end < addr)
		return -ENOMEM;
	for (uint64_t i = 0; addr < end; addr += PAGE_SIZE, i++) {
		struct vma *vma = vma_find(mm, addr);
		if (!vma || vma->start > addr)
			return -ENOMEM;
		vec[i] = resident(vma, addr);
	}
	return 0;
}

/* That 2.4 marks a new page from the start (virtual_scan) is no use of it. */
static bool was_used(const machine *m, const struct page *page)
{
	bool from_birth = m->rmap->kind == RMAP_SCANS && page->flags & PG_ANON;
	return page->flags & PG_REFERENCED && !from_birth;
}

static void count_page(struct smaps_info *s, machine *m, const struct vma *vma, pte_t pte)
{
	const struct page *page = pfn_page(m, pte_pfn(pte));
	uint64_t sharers = vma->flags & VM_SPECIAL ? page->pins + page->mapcount : page->mapcount;
	bool dirty = pte & PTE_DIRTY || page->flags & PG_DIRTY;
	uint64_t share = 4096 / (sharers ? sharers : 1);
	uint64_t *kind = sharers > 1 ? (dirty ? &s->shared_dirty : &s->shared_clean)
				     : (dirty ? &s->private_dirty : &s->private_clean);
	++*kind;
	s->rss++;
	s->pss += share;
	if (page->flags & PG_ANON)
		s->pss_anon += share;
	else if (page->flags & PG_SHMEM)
		s->pss_shmem += share;
	else
		s->pss_file += share;
	if (dirty)
		s->pss_dirty += share;
	if (pte & PTE_ACCESSED || was_used(m, page))
		s->referenced++;
	if (page->flags & PG_ANON)
		s->anonymous++;
	if (page->flags & PG_KSM)
		s->ksm++;
	if (page->flags & PG_LAZYFREE && !dirty)
		s->lazyfree++;
	if (vma->flags & VM_LOCKED)
		s->locked += share;
}

static void count_swapped(struct smaps_info *s, machine *m, pte_t pte)
{
	uint64_t sharers = swap_count(m, pte_swap_entry(pte));
	s->swap++;
	s->swap_pss += 4096 / (sharers ? sharers : 1);
}

/* Pages of a memory file that this VMA would bring back from swap. */
static void count_swapped_file(struct smaps_info *s, const struct vma *vma)
{
	mapping *mp = vma_mapping(vma);
	void *item;
	if (!mp || !mp->nr_swapped || vma->flags & VM_NONLINEAR)
		return;
	uint64_t end = vma->pgoff + vma_pages(vma);
	for (uint64_t index = vma->pgoff; (item = index_next(mp, &index)) && index < end; index++)
		s->swap += item_is_swap(item);
}

static void count_large(struct smaps_info *s, const struct vma *vma)
{
	machine *m = vma->mm->machine;
	const pte_t *pmdp;
	for (uint64_t addr = vma->start; (pmdp = pmd_next(vma->mm, &addr, vma->end));
	     addr += HUGE_SIZE) {
		if (!pte_present(*pmdp))
			continue;
		const struct page *page = pfn_page(m, pte_pfn(*pmdp));
		bool shared = page->refcount - !!(page->flags & PG_CACHE) > 1;
		*(shared ? &s->shared_hugetlb : &s->private_hugetlb) += HUGE_PAGES;
	}
}

int64_t mm_smaps(mm *mm, uint64_t addr, struct smaps_info *out)
{
	struct vma *vma = vma_find(mm, addr);
	if (!vma || vma->start > addr)
		return -EFAULT;
	*out = (struct smaps_info){ 0 };
	if (vma->flags & VM_HUGETLB)
		count_large(out, vma);
	uint64_t span;
	pte_t *ptep;
	for (uint64_t at = vma->start; (ptep = pt_next(mm, &at, vma->end, &span));)
		for (; span; span--, ptep++, at += PAGE_SIZE)
			if (pte_is_swap(*ptep))
				count_swapped(out, mm->machine, *ptep);
			else if (pte_present(*ptep) && pte_pfn(*ptep) != mm->machine->zero_pfn)
				count_page(out, mm->machine, vma, *ptep);
	count_swapped_file(out, vma);
	return 0;
}

/* ---- numa_maps ---- */

static void gather(struct numa_info *n, machine *m, pte_t pte)
{
	const struct page *page = pfn_page(m, pte_pfn(pte));
	uint64_t mapped = page->flags & PG_HUGE ? page->refcount - !!(page->flags & PG_CACHE)
						: page->mapcount + page->pins;
	n->pages++;
	n->nodes[page_nid(m, page)]++;
	n->anon += page->flags & PG_HUGE ? !(page->flags & PG_CACHE) : !!(page->flags & PG_ANON);
	n->dirty += pte & PTE_DIRTY || page->flags & PG_DIRTY;
	n->swapcache += !!(page->flags & PG_SWAPCACHE);
	n->active += !!(page->flags & (PG_ACTIVE | PG_UNEVICTABLE));
	n->mapmax = mapped > n->mapmax ? mapped : n->mapmax;
}

static void gather_large(struct numa_info *n, const struct vma *vma)
{
	const pte_t *pmdp;
	for (uint64_t addr = vma->start; (pmdp = pmd_next(vma->mm, &addr, vma->end));
	     addr += HUGE_SIZE)
		if (pte_present(*pmdp))
			gather(n, vma->mm->machine, *pmdp);
}

int64_t mm_numa(mm *mm, uint64_t addr, struct numa_info *out)
{
	struct vma *vma = vma_find(mm, addr);
	if (!vma || vma->start > addr)
		return -EFAULT;
	*out = (struct numa_info){ 0 };
	if (vma->flags & VM_HUGETLB)
		gather_large(out, vma);
	uint64_t span;
	pte_t *ptep;
	for (uint64_t at = vma->start; (ptep = pt_next(mm, &at, vma->end, &span));)
		for (; span; span--, ptep++, at += PAGE_SIZE)
			if (pte_present(*ptep) && pte_pfn(*ptep) != mm->machine->zero_pfn)
				gather(out, mm->machine, *ptep);
	return 0;
}
