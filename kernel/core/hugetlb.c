/*
 * hugetlb.c - large pages: 2 MiB behind one entry of the third level.
 *
 * Owns the pool (vm.nr_hugepages): blocks of 512 aligned frames, the first of
 * which stands for all (PG_HUGE, the others PG_TAIL), and everything that is
 * done to entries that map one.  Such a VMA begins and ends at large pages, is
 * never merged, moved or reclaimed; its pages are taken from the pool when it
 * is mapped (MAP_NORESERVE: when they are touched), those of a file also by
 * mapping_allocate().  4 KiB code does not see
 * these entries: pt_walk() and pt_next() pass over them.
 */
#include "core.h"

/* ---- the pool ---- */

static void pool_push(machine *m, struct page *head)
{
	head->next = m->huge_free;
	m->huge_free = (uint32_t)page_pfn(m, head);
	m->counters.nr_huge_free++;
}

static void mark_block(machine *m, uint64_t pfn)
{
	for (uint64_t i = 0; i < HUGE_PAGES; i++)
		m->pages[pfn + i] = (struct page){ .flags = i ? PG_TAIL : PG_HUGE };
	m->counters.nr_free -= HUGE_PAGES;
	m->counters.nr_huge++;
	pool_push(m, &m->pages[pfn]);
}

static bool block_is_free(machine *m, uint64_t pfn)
{
	for (uint64_t i = 0; i < HUGE_PAGES; i++)
		if (!(m->pages[pfn + i].flags & PG_FREE))
			return false;
	return true;
}

/* The free list without the frames of the block. */
static void unlist_block(machine *m, uint64_t pfn)
{
	uint32_t *link = &m->free_list;
	while (*link) {
		if (*link - pfn < HUGE_PAGES)
			*link = m->pages[*link].next;
		else
			link = &m->pages[*link].next;
	}
}

/* Frames that were never handed out; those before the block become free. */
static uint64_t block_of_fresh(machine *m)
{
	uint64_t pfn = (m->fresh + HUGE_PAGES - 1) / HUGE_PAGES * HUGE_PAGES;
	if (pfn + HUGE_PAGES > m->nr_pages)
		return 0;
	while (m->fresh < pfn)
		page_make_free(m, m->fresh++);
	m->fresh = pfn + HUGE_PAGES;
	return pfn;
}

static uint64_t block_of_freed(machine *m)
{
	for (uint64_t pfn = HUGE_PAGES; pfn + HUGE_PAGES <= m->fresh; pfn += HUGE_PAGES)
		if (block_is_free(m, pfn)) {
			unlist_block(m, pfn);
			return pfn;
		}
	return 0;
}

static bool pool_grow(machine *m)
{
	if (m->counters.nr_free < HUGE_PAGES + m->tunables.watermark_high)
		return false;
	uint64_t pfn = block_of_fresh(m);
	if (!pfn)
		pfn = block_of_freed(m);
	if (pfn)
		mark_block(m, pfn);
	return pfn;
}

static bool pool_shrink(machine *m)
{
	uint64_t pfn = m->huge_free;
	if (!pfn)
		return false;
	m->huge_free = m->pages[pfn].next;
	m->counters.nr_huge_free--;
	m->counters.nr_huge--;
	for (uint64_t i = 0; i < HUGE_PAGES; i++) {
		page_make_free(m, pfn + i);
		m->counters.nr_free++;
	}
	return true;
}

/* As near to nr as free memory and use allow; returns what there is. */
int64_t machine_set_hugepages(machine *m, uint64_t nr)
{
	while (m->counters.nr_huge < nr && pool_grow(m))
		;
	while (m->counters.nr_huge > nr && pool_shrink(m))
		;
	return (int64_t)m->counters.nr_huge;
}

static struct page *huge_alloc(machine *m)
{
	if (!m->huge_free || !alloc_permitted(m))
		return NULL;
	struct page *page = pfn_page(m, m->huge_free);
	m->huge_free = page->next;
	m->counters.nr_huge_free--;
	*page = (struct page){ .flags = PG_HUGE, .refcount = 1 };
	memset(page_data(m, page), 0, HUGE_SIZE);
	return page;
}

void huge_put(machine *m, struct page *page)
{
	assert(page->refcount > 0);
	if (--page->refcount)
		return;
	assert(page->pins == 0);
	*page = (struct page){ .flags = PG_HUGE };
	pool_push(m, page);
}

/* ---- a file of large pages ---- */

/* The page at index (of small pages), taken from the pool if need be. */
int64_t huge_get_page(mapping *mp, uint64_t index, struct page **out)
{
	machine *m = mp->machine;
	*out = index_get(mp, index);
	if (*out)
		return 0;
	struct page *page = huge_alloc(m);
	if (!page)
		return -ENOMEM;
	if (!index_insert(mp, index, page)) {
		int64_t err = no_memory(m);
		huge_put(m, page);
		return err;
	}
	page->flags |= PG_CACHE;
	page->mapping = mp;
	page->index = index;
	mp->nr_pages += HUGE_PAGES;
	*out = page;
	return 0;
}

void huge_leave_cache(mapping *mp, struct page *page)
{
	mp->nr_pages -= HUGE_PAGES;
	page->flags &= ~(uint32_t)PG_CACHE;
	page->mapping = NULL;
	huge_put(mp->machine, page);
}

/* ---- entries ---- */

typedef void (*huge_action)(struct vma *vma, uint64_t addr, pte_t *pmdp);

static void each_entry(struct vma *vma, uint64_t start, uint64_t end, huge_action act)
{
	for (uint64_t addr = start; addr < end; addr += HUGE_SIZE) {
		pte_t *pmdp = pmd_walk(vma->mm, addr);
		if (pmdp && *pmdp & PTE_HUGE)
			act(vma, addr, pmdp);
	}
}

static void entry_set(mm *mm, pte_t *pmdp, pte_t entry)
{
	if (!*pmdp != !entry)
		page_of(mm->machine, pmdp)->used += entry ? 1 : -1u;
	*pmdp = entry;
	tlb_flush_mm(mm); /* any of its 512 pages may be cached */
}

static struct page *entry_page(machine *m, pte_t entry) { return pfn_page(m, pte_pfn(entry)); }

static void entry_zap(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	mm *mm = vma->mm;
	struct page *page = entry_page(mm->machine, *pmdp);
	(void)addr;
	entry_set(mm, pmdp, 0);
	mm->counters.nr_hugetlb--;
	if (vma->flags & VM_SPECIAL)
		page->pins--;
	huge_put(mm->machine, page);
}

/* pmdp is empty; the caller's reference on page becomes the entry's. */
static void entry_install(struct vma *vma, pte_t *pmdp, struct page *page, pte_t bits)
{
	mm *mm = vma->mm;
	entry_set(mm, pmdp, pte_make(page_pfn(mm->machine, page), bits | PTE_HUGE));
	mm->counters.nr_hugetlb++;
	if (vma->flags & VM_SPECIAL)
		page->pins++;
}

static void entry_protect(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	const uint64_t kept = PTE_PFN_MASK | PTE_HUGE | PTE_ACCESSED | PTE_DIRTY | PTE_READONLY;
	pte_t entry = (*pmdp & kept) | pte_bits(vma->flags);
	bool shared = vma->flags & VM_SHARED;
	(void)addr;
	if (entry & PTE_READONLY || (!shared && entry_page(vma->mm->machine, entry)->refcount > 1))
		entry &= ~PTE_WRITE;
	entry_set(vma->mm, pmdp, entry);
}

void huge_zap_range(struct vma *vma, uint64_t start, uint64_t end)
{
	each_entry(vma, start & HUGE_MASK, end, entry_zap);
}

void huge_protect_range(struct vma *vma, uint64_t start, uint64_t end)
{
	each_entry(vma, start, end, entry_protect);
}

/* fork: both see the page; a private one is copied by the first that writes. */
int64_t huge_copy_range(struct vma *child, struct vma *parent)
{
	for (uint64_t addr = parent->start; addr < parent->end; addr += HUGE_SIZE) {
		pte_t *from = pmd_walk(parent->mm, addr);
		if (!from || !(*from & PTE_HUGE))
			continue;
		pte_t *to = pmd_alloc(child->mm, addr);
		if (!to)
			return no_memory(child->mm->machine);
		if (!(parent->flags & VM_SHARED))
			entry_set(parent->mm, from, *from & ~PTE_WRITE);
		struct page *page = entry_page(child->mm->machine, *from);
		page_get(page);
		entry_install(child, to, page, *from & ~(PTE_PFN_MASK | PTE_ACCESSED));
	}
	return 0;
}

/* ---- filling a VMA ---- */

static uint64_t index_of(const struct vma *vma, uint64_t addr) { return vma_index(vma, addr); }

/* The page of a VMA at addr, with a reference for its entry. */
static int64_t page_for(struct vma *vma, uint64_t addr, struct page **out)
{
	machine *m = vma->mm->machine;
	if (!(vma->flags & VM_SHARED)) {
		*out = huge_alloc(m);
		return *out ? 0 : -ENOMEM;
	}
	int64_t err = huge_get_page(vma_mapping(vma), index_of(vma, addr), out);
	if (!err)
		page_get(*out);
	return err;
}

static int64_t fill_entry(struct vma *vma, uint64_t addr)
{
	struct page *page;
	pte_t *pmdp = pmd_alloc(vma->mm, addr);
	if (!pmdp)
		return no_memory(vma->mm->machine);
	if (*pmdp)
		return 0;
	int64_t err = page_for(vma, addr, &page);
	if (!err)
		entry_install(vma, pmdp, page, pte_bits(vma->flags));
	return err;
}

/* Every page of a new VMA; on failure it stays as it is, to be unmapped. */
int64_t huge_fill(struct vma *vma)
{
	for (uint64_t addr = vma->start; addr < vma->end; addr += HUGE_SIZE) {
		int64_t err = fill_entry(vma, addr);
		if (err)
			return err;
	}
	return 0;
}

/* How many pages of the pool would huge_fill() want? */
uint64_t huge_wanted(mapping *mp, uint64_t vm_flags, uint64_t pgoff, uint64_t nr_pages)
{
	if (!mp || !(vm_flags & VM_SHARED))
		return nr_pages / HUGE_PAGES;
	uint64_t nr = 0;
	for (uint64_t index = pgoff; index < pgoff + nr_pages; index += HUGE_PAGES)
		nr += !index_get(mp, index);
	return nr;
}

/* ---- faults ---- */

/* A private page that someone else sees, too. */
static int64_t break_sharing(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	machine *m = vma->mm->machine;
	struct page *from = entry_page(m, *pmdp), *own = huge_alloc(m);
	if (!own)
		return BUS_ADRERR;
	memcpy(page_data(m, own), page_data(m, from), HUGE_SIZE);
	m->counters.cow++;
	entry_zap(vma, addr, pmdp);
	entry_install(vma, pmdp, own, pte_bits(vma->flags));
	return 0;
}

static int64_t write_fault(struct vma *vma, uint64_t addr, pte_t *pmdp)
{
	struct page *page = entry_page(vma->mm->machine, *pmdp);
	if (!(vma->flags & VM_SHARED) && page->refcount > 1)
		return break_sharing(vma, addr, pmdp);
	entry_set(vma->mm, pmdp, *pmdp | PTE_WRITE);
	return 0;
}

int64_t huge_fault(struct vma *vma, uint64_t addr, uint64_t access)
{
	addr &= HUGE_MASK;
	if (vma->file && index_of(vma, addr) >= mapping_end(vma_mapping(vma)))
		return BUS_ADRERR;
	pte_t *pmdp = pmd_walk(vma->mm, addr);
	if (!pmdp || !*pmdp) {
		int64_t err = fill_entry(vma, addr);
		if (err)
			return err == -ENOMEM ? BUS_ADRERR : err;
		pmdp = pmd_walk(vma->mm, addr);
	}
	bool writes = access & ACCESS_WRITE;
	int64_t err = writes && !(*pmdp & PTE_WRITE) ? write_fault(vma, addr, pmdp) : 0;
	if (!err)
		*pmdp |= PTE_ACCESSED | (writes ? PTE_DIRTY : 0);
	return err;
}

/* ---- the special VMA: one entry for each large page of a file ---- */

int64_t huge_remap(struct vma *vma, uint64_t start, uint64_t end, file *f, uint64_t pgoff,
		   pte_t bits)
{
	machine *m = vma->mm->machine;
	mapping *mp = f->mapping;
	struct page *page;
	if ((start | end | pgoff << PAGE_SHIFT) & ~HUGE_MASK || !(mp->flags & MAPPING_HUGE))
		return -EINVAL;
	for (uint64_t addr = start; addr < end; addr += HUGE_SIZE) { /* all that can fail */
		int64_t err = huge_get_page(mp, pgoff + ((addr - start) >> PAGE_SHIFT), &page);
		if (err)
			return err;
		if (!pmd_alloc(vma->mm, addr))
			return no_memory(m);
	}
	for (uint64_t addr = start; addr < end; addr += HUGE_SIZE) {
		pte_t *pmdp = pmd_walk(vma->mm, addr);
		page = index_get(mp, pgoff + ((addr - start) >> PAGE_SHIFT));
		page_get(page);
		if (*pmdp)
			entry_zap(vma, addr, pmdp);
		entry_install(vma, pmdp, page, bits);
		m->counters.remaps++;
	}
	return 0;
}
