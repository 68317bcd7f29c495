/*
 * glimpse.c - looking without leaving a trace.
 *
 * Who looks from outside the machine changes nothing in it: no page comes or goes, none counts as
 * used, no pte, list, counter or cache of a lookup moves, and nothing is allocated.  What lies in
 * swap is read there and stays there.  What only a backing store has is left to the caller.
 */
#include "core.h"
#include "host.h"

static void from_page(machine *m, const struct page *page, uint64_t inside, void *buf, uint64_t n)
{
	memcpy(buf, (const char *)page_data(m, page) + inside, n);
}

/* Bytes of a page in swap: of its copy in memory, if there is one. */
static bool from_swap(machine *m, uint32_t entry, uint64_t inside, void *buf, uint64_t n)
{
	const struct page *page = swap_cached(m, entry);
	if (!page)
		return swap_look(m, entry, inside, buf, n);
	from_page(m, page, inside, buf, n);
	return true;
}

/* Bytes in one page of a mapping.  false: they are not in memory. */
static bool from_mapping(mapping *mp, uint64_t pos, void *buf, uint64_t n)
{
	uint64_t unit = mapping_unit(mp);
	void *item = index_get(mp, (pos & -unit) >> PAGE_SHIFT);
	if (item_is_swap(item))
		return from_swap(mp->machine, item_entry(item), pos & ~PAGE_MASK, buf, n);
	if (item_is_page(item))
		from_page(mp->machine, item, pos & (unit - 1), buf, n);
	else if (mp->flags & (MAPPING_MEMORY | MAPPING_HUGE))
		memset(buf, 0, n);
	else
		return false;
	return true;
}

int64_t mapping_glimpse(mapping *mp, uint64_t pos, void *buf, uint64_t nbytes)
{
	if (pos >= mp->size)
		return 0;
	if (nbytes > mp->size - pos)
		nbytes = mp->size - pos;
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		n = in_page(pos + done, nbytes - done);
		if (!from_mapping(mp, pos + done, (char *)buf + done, n))
			return (int64_t)done;
	}
	return (int64_t)nbytes;
}

/* As vma_find(), which remembers what it has found. */
static struct vma *vma_at(const mm *mm, uint64_t addr)
{
	struct vma *vma = mm->first;
	while (vma && vma->end <= addr)
		vma = vma->next;
	return vma && vma->start <= addr ? vma : NULL;
}

static bool from_file(mapping *mp, uint64_t index, uint64_t inside, void *buf, uint64_t n)
{
	uint64_t pos = index << PAGE_SHIFT, end = (mp->size + PAGE_SIZE - 1) & PAGE_MASK;
	return pos < end && from_mapping(mp, pos + inside, buf, n);
}

/* Bytes that a program would load at addr, in one page.  false: none that are in memory. */
static bool from_vma(const struct vma *vma, uint64_t addr, void *buf, uint64_t n)
{
	machine *m = vma->mm->machine;
	pte_t pte = pte_at(vma->mm, addr);
	uint64_t inside = addr & ~PAGE_MASK;
	mapping *mp = vma_mapping(vma);
	if (vma_is_secret(vma))
		return false;
	if (pte_present(pte)) {
		memcpy(buf, m->arena + (pte_pfn(pte) << PAGE_SHIFT) + inside, n);
		return true;
	}
	if (vma->flags & VM_SPECIAL || pte_is_marker(pte))
		return false;
	if (pte_is_swap(pte))
		return from_swap(m, pte_swap_entry(pte), inside, buf, n);
	if (mp)
		return from_file(mp, pte_is_file(pte) ? pte_file_index(pte) : vma_index(vma, addr),
				 inside, buf, n);
	memset(buf, 0, n);
	return true;
}

int64_t mm_glimpse(mm *mm, uint64_t addr, void *buf, uint64_t nbytes)
{
	const struct vma *vma = NULL;
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		uint64_t at = addr + done;
		n = in_page(at, nbytes - done);
		if (!vma || at >= vma->end)
			vma = at < mm->counters.task_size ? vma_at(mm, at) : NULL;
		if (!vma || !from_vma(vma, at, (char *)buf + done, n))
			return (int64_t)done;
	}
	return (int64_t)nbytes;
}
