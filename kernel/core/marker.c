/*
 * marker.c - markers: absent ptes that say what a place is to be.
 *
 *   guard      nothing may come here: SIGSEGV.  MADV_GUARD_INSTALL, guards of a VMA
 *              cost none of its own.
 *   poison     as if the page were lost: SIGBUS.  UFFDIO_POISON.
 *   uffd-wp    what comes here is write-protected.  UFFDIO_WRITEPROTECT, and what
 *              is left of a protected page of a file that was unmapped.
 *
 *             | DONTNEED, truncate      | punch a hole | fork           | munmap
 *   ----------+-------------------------+--------------+----------------+-------
 *   guard     | stays                   | stays        | is copied      | goes
 *   poison    | goes                    | stays        | is copied      | goes
 *   uffd-wp   | stays in file mappings  | stays        | if it is heard | goes
 *
 * A VMA that has a guard is marked by VM_MAYBE_GUARD, for good, as on Linux: by the mark
 * fork knows that its ptes must be copied. Anonymous memory gets an anon_vma, too.
 */
#include "core.h"

/* The trace that a write-protected page of a file leaves where it was. */
pte_t trace_after_zap(const struct vma *vma, pte_t pte)
{
	uint64_t kind = pte_marker_kind(pte);
	bool wp = kind ? kind == MARKER_UFFD_WP : pte_is_wp(pte);
	return wp && vma_mapping(vma) && vma->flags & VM_UFFD_WP ? pte_marker(MARKER_UFFD_WP) : 0;
}

/* Protection is for the VMAs alone that a userfaultfd watches for it. */
pte_t special_pte_in(const struct vma *vma, pte_t pte)
{
	if (vma->flags & VM_UFFD_WP)
		return pte;
	if (pte_marker_kind(pte) == MARKER_UFFD_WP)
		return 0;
	return pte_is_wp(pte) ? pte & ~PTE_UFFD_WP : pte;
}

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
		zap_pte(vma->mm, vma, addr, ptep, pte_marker(MARKER_GUARD));
	else
		pte_set(vma->mm, addr, ptep, pte_marker(MARKER_GUARD));
	return 0;
}

int64_t guard_install(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice)
{
	struct vma *vma = *vmap;
	(void)advice;
	if (!may_have_guards(vma) || vma->flags & VM_LOCKED)
		return -EINVAL;
	vma->flags |= VM_MAYBE_GUARD;
	int64_t err = vma_mapping(vma) ? 0 : vma_prepare_anon(vma);
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
