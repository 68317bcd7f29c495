/*
 * nonlinear.c - remap_file_pages, in its three forms.
 *
 *   A. special VMA: a raw bypass.  The pte is all there is: pages are pinned,
 *      on no reverse map; a hole is SIGBUS; truncate leaves the page mapped.
 *   B. 2.6's: on an ordinary shared file VMA, which moves to its mapping's
 *      nonlinear list; an absent page's pte holds its file offset.
 *   C. emulation: B's result by splitting VMAs, as Linux does since 4.0.
 *
 * Each form checks everything first, takes the memory it may want, and then
 * commits without a way to fail.
 */
#include "core.h"

static void special_pin(machine *m, struct page *page)
{
	if (page->pins++)
		return;
	m->counters.nr_special++;
	lru_del(m, page);
}

void special_unpin(machine *m, struct page *page)
{
	assert(page->pins > 0);
	if (--page->pins)
		return;
	m->counters.nr_special--;
	if (page->flags & PG_CACHE)
		lru_add(m, page);
}

struct remap {
	mm *mm;
	struct vma *vma;
	uint64_t start, end, pgoff, prot, flags;
	file *file;
};

static uint64_t remap_index(const struct remap *r, uint64_t addr)
{
	return r->pgoff + ((addr - r->start) >> PAGE_SHIFT);
}

static bool beyond_file(const struct remap *r)
{
	return r->pgoff + ((r->end - r->start) >> PAGE_SHIFT) > mapping_end(r->file->mapping);
}

/* ---- A: the special VMA ---- */

static bool may_write_file(const struct file *f)
{
	return (f->mode & (FILE_WRITE | FILE_SEALED)) == FILE_WRITE;
}

static int64_t special_rights(const struct remap *r)
{
	uint64_t vm = r->vma->flags, mode = r->file ? r->file->mode : 0;
	if (!r->file || mode & FILE_NO_MMAP)
		return -EBADF;
	if (!(mode & FILE_READ) || (vm & VM_WRITE && !may_write_file(r->file)))
		return -EACCES;
	return r->prot & ~(vm & (VM_READ | VM_WRITE | VM_EXEC)) ? -EACCES : 0;
}

/* Pages that only the range still pins: they go when it shows others. */
static uint64_t nr_to_be_released(const struct remap *r)
{
	uint64_t nr = 0, span, addr = r->start;
	pte_t *ptep;
	for (; (ptep = pt_next(r->mm, &addr, r->end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			nr += pte_present(*ptep) &&
			      pfn_page(r->mm->machine, pte_pfn(*ptep))->pins == 1;
	return nr;
}

/* How many pages all special VMAs may pin while the range shows old and new ones. */
static uint64_t most_pinned(const struct remap *r)
{
	machine *m = r->mm->machine;
	uint64_t most = m->tunables.nonlinear_max_pages, nr = (r->end - r->start) / PAGE_SIZE;
	return m->counters.nr_special + nr <= most ? most : most + nr_to_be_released(r);
}

/* Every page in the cache, and a pin of ours on each; undone on failure. */
static int64_t special_hold(const struct remap *r, uint64_t *held)
{
	machine *m = r->mm->machine;
	uint64_t most = most_pinned(r);
	for (*held = r->start; *held < r->end; *held += PAGE_SIZE) {
		struct page *page;
		int64_t err = mapping_get_page(r->file->mapping, remap_index(r, *held), &page);
		if (!err && !page->pins && m->counters.nr_special >= most)
			err = -ENOMEM;
		if (err)
			return err;
		special_pin(m, page);
		page_get(page);
	}
	return m->counters.nr_special > most_pinned(r) ? -ENOMEM : 0;
}

static void special_let_go(const struct remap *r, uint64_t held)
{
	machine *m = r->mm->machine;
	for (uint64_t addr = r->start; addr < held; addr += PAGE_SIZE) {
		struct page *page = mapping_find(r->file->mapping, remap_index(r, addr));
		special_unpin(m, page);
		page_put(m, page);
	}
}

static void special_install(const struct remap *r, uint64_t addr, uint64_t bits)
{
	machine *m = r->mm->machine;
	struct page *page = mapping_find(r->file->mapping, remap_index(r, addr));
	pte_t *ptep = pt_walk(r->mm, addr);
	if (*ptep)
		zap_pte(r->mm, r->vma, addr, ptep, 0);
	pte_set(r->mm, addr, ptep, pte_make(page_pfn(m, page), bits));
	r->mm->counters.nr_special++;
	m->counters.remaps++;
}

static pte_t special_bits(const struct remap *r)
{
	uint64_t prot = r->prot ? r->prot : r->vma->flags & (VM_READ | VM_WRITE | VM_EXEC);
	pte_t bits = pte_bits(prot | (r->vma->flags & VM_PKEY_MASK));
	return may_write_file(r->file) ? bits : bits | PTE_READONLY; /* nor may mprotect */
}

static int64_t remap_large(const struct remap *r)
{
	if (!(r->vma->flags & VM_HUGETLB))
		return -EINVAL;
	return huge_remap(r->vma, r->start, r->end, r->file, r->pgoff, special_bits(r));
}

static int64_t remap_special(const struct remap *r)
{
	int64_t err = special_rights(r);
	if (err)
		return err;
	if (beyond_file(r))
		return -EINVAL;
	if (r->vma->flags & VM_HUGETLB || r->file->mapping->flags & MAPPING_HUGE)
		return remap_large(r);
	uint64_t held;
	err = special_hold(r, &held);
	if (!err)
		err = pt_alloc_range(r->mm, r->start, r->end);
	if (err) {
		special_let_go(r, held);
		return err;
	}
	pte_t bits = special_bits(r);
	for (uint64_t addr = r->start; addr < r->end; addr += PAGE_SIZE)
		special_install(r, addr, bits);
	return 0;
}

/* ---- B: 2.6's nonlinear VMA ---- */

static bool stays_linear(const struct remap *r)
{
	return !(r->vma->flags & VM_NONLINEAR) && r->pgoff == vma_index(r->vma, r->start);
}

/* From now on an empty pte is ambiguous: every page's offset goes into its pte. */
static void remap_install(const struct remap *r, uint64_t addr)
{
	pte_t *ptep = pt_walk(r->mm, addr);
	pte_t successor = pte_file(remap_index(r, addr));
	if (HAS_BUG(BUG_NONBLOCK_KEEPS) && r->flags & MAP_NONBLOCK &&
	    !mapping_find(r->file->mapping, remap_index(r, addr)))
		return;
	if (*ptep)
		zap_pte(r->mm, r->vma, addr, ptep, successor);
	else
		pte_set(r->mm, addr, ptep, successor);
	r->mm->machine->counters.remaps++;
}

static int64_t fault_in(const struct remap *r)
{
	for (uint64_t addr = r->start; addr < r->end; addr += PAGE_SIZE) {
		bool cached = mapping_find(r->file->mapping, remap_index(r, addr));
		if (!cached && r->flags & MAP_NONBLOCK)
			continue; /* the file pte stays, never the old mapping */
		if (r->vma->flags & (VM_READ | VM_WRITE | VM_EXEC))
			mm_fault(r->mm, addr, ACCESS_READ); /* the rest is for a later fault */
	}
	return 0;
}

static int64_t remap_mixed(struct remap *r)
{
	r->file = r->vma->file;
	if (beyond_file(r))
		return -EINVAL;
	if (!stays_linear(r)) {
		int64_t err = pt_alloc_range(r->mm, r->start, r->end);
		if (err)
			return HAS_BUG(BUG_PRESSURE_IS_EINVAL) ? -EINVAL : err;
		if (!(r->vma->flags & VM_NONLINEAR))
			vma_set_flags(r->vma, r->vma->flags | VM_NONLINEAR);
		for (uint64_t addr = r->start; addr < r->end; addr += PAGE_SIZE)
			remap_install(r, addr);
	}
	return fault_in(r);
}

/* ---- C: Linux's emulation ---- */

/* Linux lets a range go over VMAs that show one file in one way. */
static bool is_one_file(const struct vma *vma, uint64_t end)
{
	for (; vma->end < end; vma = vma->next)
		if (!vma->next || vma->next->start != vma->end || vma->next->file != vma->file ||
		    vma->next->flags != vma->flags)
			return false;
	return true;
}

static int64_t remap_emulated(const struct remap *r)
{
	if (!is_one_file(r->vma, r->end))
		return -EINVAL;
	uint64_t flags = MAP_SHARED | MAP_FIXED | (r->vma->flags & VM_LOCKED ? MAP_LOCKED : 0);
	uint64_t prot = r->vma->flags & (VM_READ | VM_WRITE | VM_EXEC);
	file *f = r->vma->file;
	file_get(f); /* the VMA may go */
	int64_t at = mm_mmap_file(r->mm, r->start, r->end - r->start, prot, flags, f, r->pgoff);
	file_put(f);
	if (at < 0)
		return at;
	r->mm->machine->counters.remaps += (r->end - r->start) >> PAGE_SHIFT;
	if (vma_find(r->mm, r->start)->flags & VM_LOCKED || !(r->flags & MAP_NONBLOCK))
		populate_range(r->mm, r->start, r->end - r->start, UINT64_MAX);
	return 0;
}

/* ---- the call ---- */

static int64_t remap_range(struct remap *r, uint64_t addr, uint64_t size)
{
	r->start = HAS_BUG(BUG_UNALIGNED) ? addr : addr & PAGE_MASK;
	size &= PAGE_MASK;
	r->end = r->start + size;
	return r->end <= r->start || r->pgoff + (size >> PAGE_SHIFT) < r->pgoff ? -EINVAL : 0;
}

INLINE int64_t remap_as(struct remap *r, enum remap_form form)
{
	if (form == REMAP_SPECIAL)
		return remap_special(r);
	return form == REMAP_MIXED ? remap_mixed(r) : remap_emulated(r);
}

static TELLS int64_t remap_told(struct remap *r, enum remap_form form)
{
	int64_t result = remap_as(r, form);
	event_record(r->mm->machine, EVENT_REMAP_PAGES, r->start, r->end, r->pgoff, form,
		     (uint64_t)result);
	return result;
}

static int64_t remap(struct remap *r, enum remap_form form)
{
	return is_told(r->mm->machine) ? remap_told(r, form) : remap_as(r, form);
}

/* ordinary: how a mapping that is not special is remapped. */
INLINE int64_t remap_pages(mm *mm, uint64_t addr, uint64_t size, uint64_t prot, uint64_t pgoff,
			   uint64_t flags, file *f, enum remap_form ordinary)
{
	struct remap r = { .mm = mm, .pgoff = pgoff, .prot = prot, .flags = flags, .file = f };
	struct vma *found = vma_find(mm, addr & PAGE_MASK);
	bool special = found && found->flags & VM_SPECIAL;
	if (prot && (!special || prot & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC)))
		return -EINVAL;
	int64_t err = remap_range(&r, addr, size);
	if (err)
		return err;
	r.vma = found;
	if (!found || found->start > r.start || !(found->flags & VM_SHARED))
		return -EINVAL;
	if (ordinary == REMAP_EMULATED && !special)
		return remap(&r, REMAP_EMULATED);
	if (found->flags & VM_SEALED)
		return -EPERM;
	if (r.end > found->end || pgoff > INDEX_MAX - ((r.end - r.start) >> PAGE_SHIFT))
		return -EINVAL;
	if (special)
		return remap(&r, REMAP_SPECIAL);
	return mm->machine->tunables.nonlinear_mixing ? remap(&r, REMAP_MIXED) : -EINVAL;
}

int64_t mm_remap_file_pages(mm *mm, uint64_t addr, uint64_t size, uint64_t prot, uint64_t pgoff,
			    uint64_t flags, file *f)
{
	uint64_t emulated = mm->machine->tunables.nonlinear_emulated;
	return remap_pages(mm, addr, size, prot, pgoff, flags, f,
			   emulated ? REMAP_EMULATED : REMAP_MIXED);
}

int64_t mm_remap_behind_gate(mm *mm, uint64_t addr, uint64_t size, uint64_t prot, uint64_t pgoff,
			     uint64_t flags, file *f)
{
	return remap_pages(mm, addr, size, prot, pgoff, flags, f, REMAP_EMULATED);
}
