/*
 * advise.c - madvise, mlock and msync: calls about memory that is mapped.
 *
 * madvise goes on over holes and reports them at the end (ENOMEM), as Linux's
 * does.  Without reclaim, COLD, PAGEOUT and FREE only change what the reclaimer
 * would look at: accessed bits.
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
	[MADV_MERGEABLE] = { 0, VM_MERGEABLE },
	[MADV_UNMERGEABLE] = { VM_MERGEABLE, 0 },
	[MADV_HUGEPAGE] = { VM_NOHUGEPAGE, VM_HUGEPAGE },
	[MADV_NOHUGEPAGE] = { VM_HUGEPAGE, VM_NOHUGEPAGE },
};

static int64_t advise_flags(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	const struct vma *vma = *vmap;
	if (advice == MADV_WIPEONFORK && (vma->file || vma->flags & VM_SHARED))
		return -EINVAL;
	if (advice == MADV_MERGEABLE && vma->flags & (VM_SHARED | VM_MAYSHARE))
		return 0;
	uint64_t flags = (vma->flags & ~flag_advice[advice].clear) | flag_advice[advice].set;
	return set_flags(vmap, start, end, flags);
}

/* ---- pages of a range ---- */

/* In a nonlinear VMA the offset must survive in the pte. */
static pte_t what_stays(struct vma *vma, pte_t pte)
{
	if (!(vma->flags & VM_NONLINEAR))
		return 0;
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
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (*ptep)
				zap_pte(vma->mm, vma, addr, ptep, what_stays(vma, *ptep));
	return 0;
}

static void age_range(struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (pte_present(*ptep) && *ptep & PTE_ACCESSED)
				pte_set(vma->mm, addr, ptep, *ptep & ~PTE_ACCESSED);
}

static int64_t advise_cold(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	(void)advice;
	if ((*vmap)->flags & VM_LOCKED)
		return -EINVAL;
	age_range(*vmap, start, end);
	return 0;
}

static int64_t advise_free(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	const struct vma *vma = *vmap;
	if (vma->file || vma->flags & (VM_SHARED | VM_SPECIAL))
		return -EINVAL;
	return advise_cold(vmap, start, end, advice);
}

static int64_t advise_remove(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	struct vma *vma = *vmap;
	(void)advice;
	if (vma->flags & (VM_LOCKED | VM_NONLINEAR) || !vma->file)
		return -EINVAL;
	if ((vma->flags & (VM_SHARED | VM_MAYWRITE)) != (VM_SHARED | VM_MAYWRITE))
		return -EACCES;
	uint64_t first = vma_index(vma, start) << PAGE_SHIFT;
	return mapping_punch(vma_mapping(vma), first, first + (end - start));
}

static int64_t advise_willneed(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	(void)vmap, (void)start, (void)end, (void)advice;
	return 0; /* a hint: pages come when they are touched */
}

static int64_t advise_populate(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	struct vma *vma = *vmap;
	mm *mm = vma->mm;
	uint64_t access = advice == MADV_POPULATE_WRITE ? ACCESS_WRITE : ACCESS_READ;
	uint64_t needed = access ? VM_WRITE : VM_READ;
	if (!(vma->flags & needed))
		return -EINVAL;
	for (uint64_t addr = start; addr < end; addr += PAGE_SIZE) {
		int64_t err = mm_fault(mm, addr, access);
		if (err)
			return err <= SEGV_MAPERR && err >= BUS_ADRERR ? -EFAULT : err;
	}
	return 0;
}

typedef int64_t (*advise_fn)(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice);

/* clang-format off */
static const advise_fn advisers[] = {
	[MADV_NORMAL] = advise_flags, [MADV_RANDOM] = advise_flags,
	[MADV_SEQUENTIAL] = advise_flags, [MADV_WILLNEED] = advise_willneed,
	[MADV_DONTNEED] = advise_dontneed, [MADV_FREE] = advise_free,
	[MADV_REMOVE] = advise_remove, [MADV_DONTFORK] = advise_flags,
	[MADV_DOFORK] = advise_flags, [MADV_MERGEABLE] = advise_flags,
	[MADV_UNMERGEABLE] = advise_flags, [MADV_HUGEPAGE] = advise_flags,
	[MADV_NOHUGEPAGE] = advise_flags, [MADV_DONTDUMP] = advise_flags,
	[MADV_DODUMP] = advise_flags, [MADV_WIPEONFORK] = advise_flags,
	[MADV_KEEPONFORK] = advise_flags, [MADV_COLD] = advise_cold,
	[MADV_PAGEOUT] = advise_cold, [MADV_POPULATE_READ] = advise_populate,
	[MADV_POPULATE_WRITE] = advise_populate, [MADV_DONTNEED_LOCKED] = advise_dontneed,
};
/* clang-format on */
#define NR_ADVICE (sizeof(advisers) / sizeof(advisers[0]))

/* Call fn for each VMA's part of [start, end); a hole is remembered. */
static int64_t each_part(mm *mm, uint64_t start, uint64_t end, advise_fn fn, uint64_t arg)
{
	int64_t hole = 0;
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
		if (err)
			return err;
		start = stop;
	}
	return hole;
}

static bool is_populate(uint64_t advice)
{
	return advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE;
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
	return each_part(mm, addr, end, advisers[advice], advice);
}

/* ---- mlock ---- */

static int64_t lock_part(struct vma **vmap, uint64_t start, uint64_t end, uint64_t lock)
{
	struct vma *vma = *vmap;
	if (vma->flags & VM_SPECIAL)
		return 0; /* pinned as it is */
	uint64_t flags = vma->flags & ~(uint64_t)(VM_LOCKED | VM_LOCKONFAULT);
	return set_flags(vmap, start, end, flags | lock);
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
	if (!limits->may_lock && limits->memlock == 0)
		return -EPERM;
	uint64_t size = PAGE_ALIGN(len + (addr & ~PAGE_MASK)), start = addr & PAGE_MASK;
	uint64_t total = mm->counters.locked_vm + (size >> PAGE_SHIFT);
	if (total > limits->memlock >> PAGE_SHIFT && !limits->may_lock)
		total -= locked_inside(mm, start, size);
	if (total > limits->memlock >> PAGE_SHIFT && !limits->may_lock)
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
	if (!limits->may_lock && limits->memlock == 0)
		return -EPERM;
	if (flags & MCL_CURRENT && !limits->may_lock &&
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
