/*
 * advise.c - madvise, mseal, mlock and msync: calls about memory that is mapped.
 *
 * madvise goes on over holes and reports them at the end (ENOMEM), as Linux's
 * does.  FREE leaves pages to reclaim, COLD makes them its first candidates,
 * PAGEOUT reclaims them at once, WILLNEED brings them.
 */
#include "core.h"

/* ---- flags of a range ---- */

static int64_t set_flags(struct vma **vmap, uint64_t start, uint64_t end, uint64_t flags)
{
	if (flags == (*vmap)->flags)
		return 0; /* not even merged, as on Linux */
	int64_t err = vma_modify(vmap, start, end, flags);
	if (!err)
		*vmap = vma_merge(*vmap);
	return err;
}

/* advice -> flags to clear, flags to set */
static const struct {
	uint64_t clear, set;
} flag_advice[] = {
	[MADV_NORMAL] = { VM_RAND_READ | VM_SEQ_READ, 0 },
	[MADV_RANDOM] = { VM_SEQ_READ, VM_RAND_READ },
	[MADV_SEQUENTIAL] = { VM_RAND_READ, VM_SEQ_READ },
	[MADV_DONTFORK] = { 0, VM_DONTCOPY },
	[MADV_DOFORK] = { VM_DONTCOPY, 0 },
	[MADV_WIPEONFORK] = { 0, VM_WIPEONFORK },
	[MADV_KEEPONFORK] = { VM_WIPEONFORK, 0 },
	[MADV_DONTDUMP] = { 0, VM_DONTDUMP },
	[MADV_DODUMP] = { VM_DONTDUMP, 0 },
	[MADV_HUGEPAGE] = { VM_NOHUGEPAGE, VM_HUGEPAGE },
	[MADV_NOHUGEPAGE] = { VM_HUGEPAGE, VM_NOHUGEPAGE },
};

static int64_t advise_flags(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	const struct vma *vma = *vmap;
	if (advice == MADV_WIPEONFORK && (vma->file || vma->flags & VM_SHARED))
		return -EINVAL;
	if (vma->flags & VM_DROPPABLE && (advice == MADV_KEEPONFORK || advice == MADV_DODUMP))
		return -EINVAL;
	uint64_t flags = (vma->flags & ~flag_advice[advice].clear) | flag_advice[advice].set;
	int64_t err = set_flags(vmap, start, end, flags);
	return err == -ENOMEM ? -EAGAIN : err; /* one VMA too many: Linux takes it for passing */
}

static int64_t advise_mergeable(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	struct vma *vma = *vmap;
	mm *mm = vma->mm;
	(void)advice;
	if (vma->flags & VM_MERGEABLE || !ksm_may_merge(vma->flags))
		return 0;
	ksm_enter(mm);
	int64_t err = set_flags(vmap, start, end, vma->flags | VM_MERGEABLE);
	return err == -ENOMEM ? -EAGAIN : err;
}

static int64_t advise_unmergeable(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	struct vma *vma = *vmap;
	(void)advice;
	if (!(vma->flags & VM_MERGEABLE))
		return 0;
	int64_t err = ksm_unmerge(vma, start, end);
	if (!err)
		err = set_flags(vmap, start, end, vma->flags & ~(uint64_t)VM_MERGEABLE);
	return err == -ENOMEM ? -EAGAIN : err;
}

/* ---- pages of a range ---- */

/* In a nonlinear VMA the offset must survive in the pte. */
static pte_t what_stays(struct vma *vma, pte_t pte)
{
	if (!(vma->flags & VM_NONLINEAR))
		return marker_after_zap(vma, pte);
	if (!pte_present(pte))
		return pte;
	return pte_file(pfn_page(vma->mm->machine, pte_pfn(pte))->index);
}

static int64_t advise_dontneed(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	struct vma *vma = *vmap;
	uint64_t span;
	pte_t *ptep;
	if (vma->flags & VM_LOCKED && advice != MADV_DONTNEED_LOCKED)
		return -EINVAL;
	if (vma->flags & VM_HUGETLB) {
		if (start & (vma_unit(vma) - 1))
			return -EINVAL;
		huge_clear_range(vma, start, end & -vma_unit(vma));
		return 0;
	}
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (*ptep && !pte_is_guard(*ptep))
				zap_pte(vma->mm, vma, addr, ptep, what_stays(vma, *ptep));
	return 0;
}

typedef void (*pte_action)(struct vma *vma, uint64_t addr, pte_t *ptep);

static void each_page(struct vma *vma, uint64_t start, uint64_t end, pte_action act)
{
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (pte_present(*ptep) && pte_pfn(*ptep) != vma->mm->machine->zero_pfn)
				act(vma, addr, ptep);
}

static int64_t advise_age(struct vma *vma, uint64_t start, uint64_t end, pte_action act)
{
	if (vma->flags & (VM_LOCKED | VM_HUGETLB))
		return -EINVAL;
	if (!(vma->flags & VM_SPECIAL))
		each_page(vma, start, end, act);
	return 0;
}

/* /proc/PID/clear_refs: nothing was referenced, as far as smaps and reclaim can tell. */
static void forget_reference(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	if (*ptep & PTE_ACCESSED)
		pte_set(vma->mm, addr, ptep, *ptep & ~PTE_ACCESSED);
	pfn_page(vma->mm->machine, pte_pfn(*ptep))->flags &= ~(uint32_t)PG_REFERENCED;
}

void mm_clear_refs(mm *mm, uint64_t kinds)
{
	struct vma *vma;
	for (uint64_t addr = 0; (vma = vma_find(mm, addr)); addr = vma->end) {
		uint64_t kind = vma->file ? REFS_OF_FILES : REFS_ANONYMOUS;
		if (kinds & kind && !(vma->flags & (VM_SPECIAL | VM_HUGETLB)))
			each_page(vma, vma->start, vma->end, forget_reference);
	}
}

void mm_reset_peak(mm *mm)
{
	struct mm_counters *c = &mm->counters;
	c->hiwater_rss = c->rss_anon + c->rss_file + c->rss_shmem;
}

static int64_t advise_cold(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	(void)advice;
	return advise_age(*vmap, start, end, reclaim_cold);
}

static int64_t advise_pageout(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	(void)advice;
	return advise_age(*vmap, start, end, reclaim_pageout);
}

/* Reclaim may drop it, unless it is written to again. */
static void make_lazy(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	machine *m = vma->mm->machine;
	struct page *page = pfn_page(m, pte_pfn(*ptep));
	if ((page->flags & (PG_ANON | PG_KSM)) != PG_ANON || page->used)
		return;
	if (page->flags & (PG_SWAPCACHE | PG_DIRTY) && page->mapcount != 1)
		return;
	if (page->flags & PG_SWAPCACHE && !page_take_over(m, page))
		return;
	pte_set(vma->mm, addr, ptep, *ptep & ~(PTE_ACCESSED | PTE_DIRTY));
	page->flags &= ~(uint32_t)PG_DIRTY;
	if (page->flags & PG_UNEVICTABLE)
		return; /* another process locks it */
	lru_move(m, page, PG_LAZYFREE, PG_ACTIVE | PG_REFERENCED);
	m->counters.pglazyfree++;
}

/* Of what is not there: pages in swap, and that one is poisoned. */
static void forget_swapped(struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (pte_is_swap(*ptep) || pte_marker_kind(*ptep) == MARKER_POISON)
				zap_pte(vma->mm, vma, addr, ptep, 0);
}

static int64_t advise_free(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	(void)advice;
	const struct vma *vma = *vmap;
	if (vma_mapping(vma) || vma->flags & (VM_SHARED | VM_SPECIAL))
		return -EINVAL;
	int64_t err = advise_age(*vmap, start, end, make_lazy);
	if (!err)
		forget_swapped(*vmap, start, end);
	return err;
}

static int64_t advise_remove(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	struct vma *vma = *vmap;
	(void)advice;
	if (vma->flags & (VM_LOCKED | VM_NONLINEAR) || !vma->file)
		return -EINVAL;
	if ((vma->flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE))
		return -EACCES;
	if (vma->file->mode & FILE_SEALED)
		return -EPERM;
	uint64_t first = vma_index(vma, start) << PAGE_SHIFT;
	int64_t err = mapping_punch(vma_mapping(vma), first, first + (end - start));
	if (!err)
		mapping_stored(vma_mapping(vma));
	return err;
}

/* Into the page cache or the swap cache; no pte changes. */
static int64_t bring(struct vma *vma, uint64_t addr)
{
	mapping *mp = vma_mapping(vma);
	const pte_t *ptep = pt_walk(vma->mm, addr);
	pte_t pte = ptep ? *ptep : 0;
	struct page *page;
	if (pte_is_swap(pte))
		return swap_in(vma->mm->machine, vma, addr, pte_swap_entry(pte), &page);
	if (pte_present(pte) || !mp)
		return 0;
	uint64_t index = pte_is_file(pte) ? pte_file_index(pte) : vma_index(vma, addr);
	bool hole = mp->flags & MAPPING_MEMORY && !item_is_swap(index_get(mp, index));
	return hole || index >= mapping_end(mp) ? 0 : mapping_get_page(mp, index, &page);
}

/* What a need at addr interrupts gives back what was done since start. */
static int64_t done_or(uint64_t start, uint64_t addr, int64_t err)
{
	return is_need(err) && addr > start ? (int64_t)(addr - start) : err;
}

/* A wish: where memory is short, or a read fails, it ends. */
static int64_t advise_willneed(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	(void)advice;
	if ((*vmap)->flags & (VM_SPECIAL | VM_HUGETLB))
		return 0;
	for (uint64_t addr = start; addr < end; addr += PAGE_SIZE) {
		int64_t err = bring(*vmap, addr);
		if (err)
			return err == NEED_PAGE ? done_or(start, addr, err) : 0;
	}
	return 0;
}

static bool is_poisoned(mm *mm, uint64_t addr)
{
	return pte_marker_kind(pte_at(mm, addr)) == MARKER_POISON;
}

static int64_t advise_populate(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	struct vma *vma = *vmap;
	mm *mm = vma->mm;
	uint64_t access = advice == MADV_POPULATE_WRITE ? ACCESS_WRITE : ACCESS_READ;
	uint64_t needed = access ? VM_WRITE : VM_READ;
	if (!(vma->flags & needed) || !pkey_allows_vma(vma, access) || vma_is_secret(vma))
		return -EINVAL;
	for (uint64_t addr = start; addr < end; addr += PAGE_SIZE) {
		int64_t err = populate_page(mm, addr, access);
		if (err == BUS_ADRERR && is_poisoned(mm, addr))
			return -EHWPOISON;
		if (err)
			return is_verdict(err) ? -EFAULT : done_or(start, addr, err);
	}
	return 0;
}

/* No page becomes large here: as on Linux where a process has disabled that. */
static int64_t advise_collapse(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	(void)vmap, (void)start, (void)end, (void)advice;
	return -EINVAL;
}

typedef int64_t (*advise_fn)(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice);

/* clang-format off */
static const advise_fn advisers[] = {
	[MADV_NORMAL] = advise_flags, [MADV_RANDOM] = advise_flags,
	[MADV_SEQUENTIAL] = advise_flags, [MADV_WILLNEED] = advise_willneed,
	[MADV_DONTNEED] = advise_dontneed, [MADV_FREE] = advise_free,
	[MADV_REMOVE] = advise_remove, [MADV_DONTFORK] = advise_flags,
	[MADV_DOFORK] = advise_flags, [MADV_MERGEABLE] = advise_mergeable,
	[MADV_UNMERGEABLE] = advise_unmergeable, [MADV_HUGEPAGE] = advise_flags,
	[MADV_NOHUGEPAGE] = advise_flags, [MADV_DONTDUMP] = advise_flags,
	[MADV_DODUMP] = advise_flags, [MADV_WIPEONFORK] = advise_flags,
	[MADV_KEEPONFORK] = advise_flags, [MADV_COLD] = advise_cold,
	[MADV_PAGEOUT] = advise_pageout, [MADV_POPULATE_READ] = advise_populate,
	[MADV_POPULATE_WRITE] = advise_populate, [MADV_DONTNEED_LOCKED] = advise_dontneed,
	[MADV_COLLAPSE] = advise_collapse,
	[MADV_GUARD_INSTALL] = guard_install, [MADV_GUARD_REMOVE] = guard_remove,
};
/* clang-format on */
#define NR_ADVICE (sizeof(advisers) / sizeof(advisers[0]))

/* Call fn for each VMA's part of [start, end); a hole is remembered. > 0: interrupted there. */
static int64_t each_part(mm *mm, uint64_t start, uint64_t end, advise_fn fn, uint64_t arg)
{
	int64_t hole = 0;
	const uint64_t from = start;
	while (start < end) {
		struct vma *vma = vma_find(mm, start);
		if (!vma || vma->start >= end)
			return -ENOMEM;
		if (vma->start > start) {
			hole = -ENOMEM;
			start = vma->start;
		}
		uint64_t stop = vma->end < end ? vma->end : end;
		int64_t err = fn(&vma, start, stop, arg);
		if (err > 0)
			return (int64_t)(start - from) + err;
		if (err)
			return done_or(from, start, err);
		start = stop;
	}
	return hole;
}

static bool is_populate(uint64_t advice)
{
	return advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE;
}

static bool throws_away(uint64_t advice)
{
	return advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE ||
	       advice == MADV_DONTFORK || advice == MADV_WIPEONFORK ||
	       advice == MADV_DONTNEED_LOCKED || advice == MADV_GUARD_INSTALL;
}

/* Sealed anonymous memory keeps its content from who could not write to it. */
static int64_t advise_part(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	const struct vma *vma = *vmap;
	bool kept = vma->flags & VM_SEALED && !vma->file && !(vma->flags & (VM_SHARED | VM_WRITE));
	return kept && throws_away(advice) ? -EPERM : advisers[advice](vmap, start, end, advice);
}

int64_t mm_madvise(mm *mm, uint64_t addr, uint64_t len, uint64_t advice)
{
	if (advice >= NR_ADVICE || !advisers[advice] || addr & ~PAGE_MASK)
		return -EINVAL;
	uint64_t size = PAGE_ALIGN(len), end = addr + size;
	if ((len && !size) || end < addr)
		return -EINVAL;
	if (end == addr)
		return 0;
	uint64_t stop = addr;
	if (is_populate(advice)) { /* stops at the first hole */
		struct vma *vma = vma_find(mm, addr);
		for (; stop < end && vma && vma->start <= stop; vma = vma->next)
			stop = vma->end;
		int64_t err = stop > addr ? each_part(mm, addr, stop < end ? stop : end,
						      advise_populate, advice)
					  : 0;
		return err || stop >= end ? err : -ENOMEM;
	}
	return each_part(mm, addr, end, advise_part, advice);
}

/* ---- names ---- */

static int64_t name_part(struct vma **vmap, uint64_t start, uint64_t end, uint64_t name)
{
	const struct vma *vma = *vmap;
	if (vma->file && vma->file->cookie)
		return -EBADF; /* it has a name already */
	if (vma->name == name)
		return 0;
	struct vma_look look = vma_look(vma);
	look.name = name;
	int64_t err = vma_isolate(vmap, start, end, &look);
	if (err)
		return err == -ENOMEM ? -EAGAIN : err;
	(*vmap)->name = name;
	*vmap = vma_merge(*vmap);
	return 0;
}

int64_t mm_name(mm *mm, uint64_t addr, uint64_t len, uint64_t name)
{
	uint64_t end = addr + PAGE_ALIGN(len);
	if (addr & ~PAGE_MASK || (len && !PAGE_ALIGN(len)) || end < addr)
		return -EINVAL;
	return end == addr ? 0 : each_part(mm, addr, end, name_part, name);
}

/* ---- mseal ---- */

static bool is_mapped(mm *mm, uint64_t start, uint64_t end)
{
	const struct vma *vma = vma_find(mm, start);
	for (; vma && vma->start <= start && vma->end < end; vma = vma->next)
		start = vma->end;
	return vma && vma->start <= start;
}

/* All or nothing but for memory: a split that cannot be had leaves what lies before sealed. */
int64_t mm_mseal(mm *mm, uint64_t addr, uint64_t len, uint64_t flags)
{
	uint64_t end = addr + PAGE_ALIGN(len);
	if (flags || addr & ~PAGE_MASK || (len && !PAGE_ALIGN(len)) || end < addr)
		return -EINVAL;
	if (end == addr)
		return 0;
	if (!is_mapped(mm, addr, end))
		return -ENOMEM;
	int64_t err = 0;
	while (!err && addr < end) {
		struct vma *vma = vma_find(mm, addr);
		uint64_t stop = vma->end < end ? vma->end : end;
		err = set_flags(&vma, addr, stop, vma->flags | VM_SEALED);
		addr = stop;
	}
	return err;
}

/* ---- mlock ---- */

static void cull(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	(void)addr;
	lru_cull(vma->mm->machine, pfn_page(vma->mm->machine, pte_pfn(*ptep)));
}

void vma_cull(struct vma *vma, uint64_t start, uint64_t end) { each_page(vma, start, end, cull); }

static void rescue(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	(void)addr;
	lru_rescue(vma->mm->machine, pfn_page(vma->mm->machine, pte_pfn(*ptep)));
}

static int64_t lock_part(struct vma **vmap, uint64_t start, uint64_t end, uint64_t lock)
{
	struct vma *vma = *vmap;
	if (vma->flags & (VM_SPECIAL | VM_HUGETLB | VM_DROPPABLE) || vma_is_secret(vma))
		return 0; /* its pages stay as it is, or are not to stay */
	uint64_t flags = vma->flags & ~(uint64_t)(VM_LOCKED | VM_LOCKONFAULT);
	int64_t err = set_flags(vmap, start, end, flags | lock);
	if (!err)
		each_page(*vmap, start, end, lock ? cull : rescue);
	return err;
}

/* Linux stops at the first hole, with the parts before it changed. */
static int64_t lock_range(mm *mm, uint64_t start, uint64_t end, uint64_t lock)
{
	while (start < end) {
		struct vma *vma = vma_find(mm, start);
		if (!vma || vma->start > start)
			return -ENOMEM;
		uint64_t stop = vma->end < end ? vma->end : end;
		int64_t err = lock_part(&vma, start, stop, lock);
		if (err)
			return err;
		start = stop;
	}
	return 0;
}

static int64_t lock_span(uint64_t *addr, uint64_t *len)
{
	*len = PAGE_ALIGN(*len + (*addr & ~PAGE_MASK));
	*addr &= PAGE_MASK;
	return *addr + *len < *addr ? -EINVAL : 0;
}

static uint64_t locked_inside(mm *mm, uint64_t start, uint64_t nbytes)
{
	uint64_t nr = 0, end = start + nbytes < start ? ~0ul : start + nbytes;
	struct vma *vma = vma_find_intersection(mm, start, end);
	for (; vma && vma->start < end; vma = vma->next) {
		uint64_t low = vma->start > start ? vma->start : start;
		uint64_t high = vma->end < end ? vma->end : end;
		if (vma->flags & VM_LOCKED)
			nr += (high - low) >> PAGE_SHIFT;
	}
	return nr;
}

int64_t mm_mlock(mm *mm, uint64_t addr, uint64_t len, uint64_t flags)
{
	const struct limits *limits = mm->limits;
	uint64_t lock = VM_LOCKED | (flags & MLOCK_ONFAULT ? VM_LOCKONFAULT : 0);
	if (flags & ~(uint64_t)MLOCK_ONFAULT)
		return -EINVAL;
	if (!may_lock(mm) && limits->memlock == 0)
		return -EPERM;
	uint64_t size = PAGE_ALIGN(len + (addr & ~PAGE_MASK)), start = addr & PAGE_MASK;
	uint64_t total = mm->counters.locked_vm + (size >> PAGE_SHIFT);
	if (total > limits->memlock >> PAGE_SHIFT && !may_lock(mm))
		total -= locked_inside(mm, start, size);
	if (total > limits->memlock >> PAGE_SHIFT && !may_lock(mm))
		return -ENOMEM;
	int64_t err = lock_span(&addr, &len);
	return err ? err : lock_range(mm, addr, addr + len, lock);
}

int64_t mm_munlock(mm *mm, uint64_t addr, uint64_t len)
{
	int64_t err = lock_span(&addr, &len);
	return err ? err : lock_range(mm, addr, addr + len, 0);
}

int64_t mm_mlockall(mm *mm, uint64_t flags)
{
	const struct limits *limits = mm->limits;
	uint64_t lock = VM_LOCKED | (flags & MCL_ONFAULT ? VM_LOCKONFAULT : 0);
	if (!flags || flags & ~(uint64_t)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ||
	    flags == MCL_ONFAULT)
		return -EINVAL;
	if (!may_lock(mm) && limits->memlock == 0)
		return -EPERM;
	if (flags & MCL_CURRENT && !may_lock(mm) &&
	    mm->counters.total_vm > limits->memlock >> PAGE_SHIFT)
		return -ENOMEM;
	mm->counters.def_flags = flags & MCL_FUTURE ? lock : 0;
	if (flags & MCL_CURRENT)
		for (struct vma *vma = mm->first; vma; vma = vma->next)
			lock_part(&vma, vma->start, vma->end, lock);
	return 0;
}

int64_t mm_munlockall(mm *mm)
{
	mm->counters.def_flags = 0;
	for (struct vma *vma = mm->first; vma; vma = vma->next)
		lock_part(&vma, vma->start, vma->end, 0);
	return 0;
}

/* ---- msync: the checks; Python writes the dirty pages ---- */

int64_t mm_msync_check(mm *mm, uint64_t addr, uint64_t len, uint64_t flags)
{
	const uint64_t async = 1, invalidate = 2, sync = 4;
	if (flags & ~(async | invalidate | sync) || addr & ~PAGE_MASK ||
	    (flags & async && flags & sync))
		return -EINVAL;
	uint64_t end = addr + PAGE_ALIGN(len);
	if (end < addr)
		return -ENOMEM;
	int64_t hole = 0;
	while (addr < end) {
		const struct vma *vma = vma_find(mm, addr);
		if (!vma || vma->start >= end)
			return -ENOMEM;
		if (vma->start > addr)
			hole = -ENOMEM;
		if (flags & invalidate && vma->flags & VM_LOCKED)
			return -EBUSY;
		addr = vma->end;
	}
	return hole;
}
