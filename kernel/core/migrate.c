/*
 * migrate.c - moving pages from node to node.
 *
 * A page that moves keeps who it is: its struct page goes over whole, with its
 * mappers, its place in the cache, in swap and on its list; every pte that the
 * reverse map finds names the new frame.  Only what reclaim may look at moves: no
 * page of a special VMA, no table, no object of the core, no large page.
 * One allocation, before anything changes; then nothing can fail.
 */
#include "core.h"

static bool aim_pte(machine *m, struct page *page, pte_t *ptep, void *arg)
{
	const struct page *to = arg;
	(void)page;
	pte_t pte = (*ptep & ~PTE_PFN_MASK) | pte_make(page_pfn(m, to), 0);
	pte_set(pte_mm(m, ptep), pte_addr(m, ptep), ptep, pte);
	return true;
}

static void take_place(machine *m, struct page *page, struct page *to)
{
	memcpy(page_data(m, to), page_data(m, page), PAGE_SIZE);
	page_written(m, page); /* code that was made of it is made again */
	rmap_walk(m, page, aim_pte, to);
	lru_del(m, page);
	*to = *page;
	lru_add(m, to);
	if (page->flags & PG_CACHE)
		index_replace(page->mapping, page->index, to);
	if (page->flags & PG_SWAPCACHE)
		swap_cache_replace(m, page, to);
	if (page->flags & PG_KSM)
		ksm_page_moved(m, to);
	*page = (struct page){ .flags = page->flags & PG_ANON, .refcount = 1 };
	page_put(m, page);
}

/* 0, -EBUSY, or why there is no page. */
static int64_t page_migrate(machine *m, struct page *page, uint64_t nid)
{
	bool stays = page->flags & PG_KSM && !m->ksm.merge_across_nodes;
	stays |= page->flags & PG_CACHE && page->mapping->flags & MAPPING_SECRET;
	if (!(page->flags & PG_LRU) || page->pins || page->used || stays)
		return -EBUSY;
	const struct zonelist there = { 1ul << nid, nid };
	struct page *to = page_alloc_on(m, page->flags & PG_ANON, there);
	if (!to)
		return -ENOMEM;
	take_place(m, page, to);
	m->counters.pgmigrate_success++;
	return 0;
}

static int64_t migrate(machine *m, struct page *page, uint64_t nid)
{
	int64_t err = page_migrate(m, page, nid);
	m->counters.pgmigrate_fail += err != 0;
	return err;
}

static bool is_movable(const struct vma *vma) { return !(vma->flags & VM_SPECIAL); }

static bool is_shared(const struct page *page)
{
	return page->flags & PG_HUGE ? page->refcount - !!(page->flags & PG_CACHE) > 1
				     : page->mapcount > 1;
}

/* ---- move_pages ---- */

/* What addr shows: NULL with *err. */
static struct page *page_shown(mm *mm, uint64_t addr, int64_t *err)
{
	machine *m = mm->machine;
	const struct vma *vma = vma_find(mm, addr);
	*err = -EFAULT;
	if (!vma || vma->start > addr)
		return NULL;
	pte_t pte = pte_at(mm, addr);
	if (pte_present(pte) && pte_pfn(pte) == m->zero_pfn)
		return NULL;
	*err = pte_present(pte) ? 0 : -ENOENT;
	if (*err)
		return NULL;
	struct page *page = pfn_page(m, pte_pfn(pte));
	return page->flags & PG_TAIL ? pfn_page(m, pte_pfn(pte) & -(uint64_t)HUGE_PAGES) : page;
}

void mm_pages_nodes(mm *mm, uint64_t nr, const uint64_t *addrs, int32_t *status)
{
	for (uint64_t i = 0; i < nr; i++) {
		int64_t err;
		const struct page *page = page_shown(mm, addrs[i], &err);
		status[i] = (int32_t)(page ? (int64_t)page_nid(mm->machine, page) : err);
	}
}

static int64_t move_one(mm *mm, uint64_t addr, uint64_t nid, uint64_t flags)
{
	const struct vma *vma = vma_find(mm, addr);
	if (vma && !is_movable(vma))
		return -EFAULT;
	int64_t err;
	struct page *page = page_shown(mm, addr, &err);
	if (!page || page_nid(mm->machine, page) == nid)
		return err;
	if (is_shared(page) && !(flags & MPOL_MF_MOVE_ALL))
		return -EACCES;
	return migrate(mm->machine, page, nid);
}

int64_t mm_move_pages(mm *mm, uint64_t nr, const uint64_t *addrs, const int32_t *nodes,
		      int32_t *status, uint64_t flags)
{
	for (uint64_t i = 0; i < nr; i++) {
		int64_t err = move_one(mm, addrs[i], (uint64_t)nodes[i], flags);
		if (err == -ENOMEM)
			return (int64_t)i;
		status[i] = (int32_t)(err ? err : nodes[i]);
	}
	return (int64_t)nr;
}

/* ---- ranges: mbind and migrate_pages ---- */

struct journey {
	uint64_t nodes;  /* mask: pages of these go */
	uint64_t target; /* a node, or NO_NODE: where the policy of the place wants them */
	uint64_t flags;  /* MPOL_MF_* */
	uint64_t nr_met, nr_left;
};

static uint64_t target_of(const struct journey *j, struct vma *vma, uint64_t addr)
{
	return j->target == NO_NODE ? policy_node(vma, addr) : j->target;
}

static void send(struct journey *j, struct vma *vma, uint64_t addr, struct page *page)
{
	const uint64_t moves = MPOL_MF_MOVE | MPOL_MF_MOVE_ALL;
	machine *m = vma->mm->machine;
	if (!(j->nodes >> page_nid(m, page) & 1))
		return;
	j->nr_met++;
	if (!(j->flags & moves) || !is_movable(vma))
		j->nr_left++;
	else if (j->flags & MPOL_MF_MOVE_ALL || !is_shared(page)) /* a shared one stays, silently */
		j->nr_left += migrate(m, page, target_of(j, vma, addr)) != 0;
}

static void send_large(struct journey *j, struct vma *vma, uint64_t start, uint64_t end)
{
	const pte_t *pmdp;
	for (uint64_t addr = start & HUGE_MASK; (pmdp = pmd_next(vma->mm, &addr, end));
	     addr += HUGE_SIZE)
		if (pte_present(*pmdp))
			send(j, vma, addr, pfn_page(vma->mm->machine, pte_pfn(*pmdp)));
}

static void send_vma(struct journey *j, struct vma *vma, uint64_t start, uint64_t end)
{
	machine *m = vma->mm->machine;
	uint64_t span;
	pte_t *ptep;
	if (vma->flags & VM_HUGETLB)
		send_large(j, vma, start, end);
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (pte_present(*ptep) && pte_pfn(*ptep) != m->zero_pfn)
				send(j, vma, addr, pfn_page(m, pte_pfn(*ptep)));
}

static void send_range(struct journey *j, mm *mm, uint64_t start, uint64_t end)
{
	struct vma *vma = vma_find_intersection(mm, start, end);
	for (; vma && vma->start < end; vma = vma->next)
		send_vma(j, vma, vma->start > start ? vma->start : start,
			 vma->end < end ? vma->end : end);
}

bool pages_elsewhere(mm *mm, uint64_t start, uint64_t end, uint64_t nodes)
{
	struct journey j = { ~nodes, NO_NODE, MPOL_MF_STRICT, 0, 0 };
	send_range(&j, mm, start, end);
	return j.nr_met;
}

int64_t pages_to_policy(mm *mm, uint64_t start, uint64_t end, uint64_t nodes, uint64_t flags)
{
	struct journey j = { ~nodes, NO_NODE, flags, 0, 0 };
	send_range(&j, mm, start, end);
	return (int64_t)j.nr_left;
}

int64_t mm_migrate_pages(mm *mm, uint64_t from, uint64_t to, uint64_t flags)
{
	struct journey j = { 1ul << from, to, flags, 0, 0 };
	send_range(&j, mm, 0, mm->counters.task_size);
	return (int64_t)j.nr_left;
}
