/*
 * hold.c - pages that something beside ptes and caches refers to: the buffers of pipes.
 *
 * A held page stays where it is, in its frame: it is not reclaimed, merged or moved.  It
 * may leave its file, by truncation, or its last pte; then it belongs to no one but its
 * holders, and keeps its content.  page->used counts the holds of a user page.
 */
#include "core.h"

static int64_t hold(machine *m, struct page *page)
{
	const uint32_t others = PG_KSM | PG_SWAPCACHE | PG_RESERVED | PG_HUGE | PG_TAIL;
	if (page->flags & others)
		return -EBUSY;
	page_get(page);
	page->used++;
	m->nr_holds++;
	return (int64_t)page_pfn(m, page);
}

int64_t mapping_hold(mapping *mp, uint64_t index)
{
	void *item = index_get(mp, index);
	return item_is_page(item) && !is_unused(item) ? hold(mp->machine, item) : -ENOENT;
}

int64_t mapping_index(mapping *mp, uint64_t pfn)
{
	const struct page *page = pfn_page(mp->machine, pfn);
	return page->flags & PG_CACHE && page->mapping == mp ? (int64_t)page->index : -ENOENT;
}

int64_t mm_hold(mm *mm, uint64_t addr)
{
	const struct vma *vma = vma_find(mm, addr);
	pte_t pte = vma && vma->start <= addr ? pte_at(mm, addr) : 0;
	if (!pte_present(pte) || vma->flags & VM_SPECIAL || vma_is_secret(vma))
		return -ENOENT;
	return hold(mm->machine, pfn_page(mm->machine, pte_pfn(pte)));
}

int64_t page_hold(machine *m, uint64_t pfn) { return hold(m, pfn_page(m, pfn)); }

void page_release(machine *m, uint64_t pfn)
{
	struct page *page = pfn_page(m, pfn);
	assert(page->used > 0);
	page->used--;
	m->nr_holds--;
	page_put(m, page);
}

const void *page_content(machine *m, uint64_t pfn) { return pfn_data(m, pfn); }

/* Its last pte is gone, but not its holders. */
void page_orphan(machine *m, struct page *page)
{
	lru_del(m, page);
	page->anon_vma->nr_pages--;
	page->anon_vma = NULL;
	page->flags = 0;
	m->counters.nr_anon--;
}
