/*
 * guard.c - guards: ptes that show nothing and let nothing come.
 *
 * MADV_GUARD_INSTALL puts them where pages may have been, MADV_GUARD_REMOVE
 * takes them away again; munmap does, MADV_DONTNEED and truncation do not.
 * They cost no VMA.  A VMA that has one has an anon_vma, as on Linux: that is
 * how fork knows that its ptes must be copied.
 */
#include "core.h"

/* VMAs whose ptes are someone else's business cannot have any. */
static bool may_have_guards(const struct vma *vma)
{
	return !(vma->flags & (VM_SPECIAL | VM_HUGETLB));
}

static int64_t put_guard(struct vma *vma, uint64_t addr)
{
	pte_t *ptep = pt_alloc(vma->mm, addr);
	if (!ptep)
		return no_memory(vma->mm->machine);
	if (pte_is_guard(*ptep))
		return 0;
	if (*ptep)
		zap_pte(vma->mm, vma, addr, ptep, PTE_GUARD);
	else
		pte_set(vma->mm, addr, ptep, PTE_GUARD);
	return 0;
}

int64_t guard_install(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	struct vma *vma = *vmap;
	(void)advice;
	if (!may_have_guards(vma) || vma->flags & VM_LOCKED)
		return -EINVAL;
	int64_t err = vma_prepare_anon(vma);
	for (uint64_t addr = start; !err && addr < end; addr += PAGE_SIZE)
		err = put_guard(vma, addr);
	return err;
}

int64_t guard_remove(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	struct vma *vma = *vmap;
	uint64_t span;
	pte_t *ptep;
	(void)advice;
	if (!may_have_guards(vma))
		return -EINVAL;
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (pte_is_guard(*ptep))
				pte_set(vma->mm, addr, ptep, 0);
	return 0;
}
