/*
 * vsyscall.c - the kernel's pages at the top of every address space.
 *
 *   pgd[511] -> pud[511] -> pmd[507] -> pte[0]  code: one of two forms
 *                                       pte[1]  data: the time, read by the code
 *
 * The tables and frames belong to the machine; every pgd names the same tables, so one pte says
 * which form all tasks see.  The bits are final from the start (accessed, read-only), so no fault
 * ever changes them, and the software TLB does not hold them.  Invariant I23 of check.c.
 */
#include "core.h"

#define KERNEL_TABLE (PTE_PRESENT | PTE_USER | PTE_ACCESSED)
#define CODE_BITS (PTE_PRESENT | PTE_USER | PTE_ACCESSED)
#define DATA_BITS (CODE_BITS | PTE_NX)

enum { FRAME_PUD, FRAME_PMD, FRAME_PTE, FRAME_DATA, FRAME_CODE };
_Static_assert(FRAME_CODE + NR_VSYSCALL_FORMS == NR_VSYSCALL_FRAMES, "a frame for each form");

static pte_t *entry_of(machine *m, int frame, int level)
{
	pte_t *table = pfn_data(m, m->vsyscall[frame]);
	return &table[VSYSCALL_ADDR >> (PAGE_SHIFT + 9 * level) & (TABLE_ENTRIES - 1)];
}

static pte_t code_pte(machine *m, uint64_t form)
{
	return pte_make(m->vsyscall[FRAME_CODE + form], CODE_BITS);
}

static bool take_frames(machine *m)
{
	for (int i = 0; i < NR_VSYSCALL_FRAMES; i++) {
		struct page *page = page_alloc_zeroed(m, PG_RESERVED);
		if (!page) {
			vsyscall_free(m);
			return false;
		}
		m->vsyscall[i] = page_pfn(m, page);
	}
	return true;
}

void vsyscall_free(machine *m)
{
	for (int i = 0; i < NR_VSYSCALL_FRAMES; i++)
		if (m->vsyscall[i])
			page_put(m, pfn_page(m, m->vsyscall[i]));
	memset(m->vsyscall, 0, sizeof(m->vsyscall));
}

pte_t vsyscall_pgd_entry(machine *m)
{
	return m->vsyscall[FRAME_PUD] ? pte_make(m->vsyscall[FRAME_PUD], KERNEL_TABLE) : 0;
}

int64_t machine_load_vsyscalls(machine *m, const void *fast, const void *revirtualised)
{
	if (m->vsyscall[FRAME_PUD] || m->mms)
		return -EBUSY;
	if (!take_frames(m))
		return no_memory(m);
	memcpy(pfn_data(m, m->vsyscall[FRAME_CODE + VSYSCALL_FAST]), fast, PAGE_SIZE);
	memcpy(pfn_data(m, m->vsyscall[FRAME_CODE + VSYSCALL_REVIRTUALISED]), revirtualised,
	       PAGE_SIZE);
	*entry_of(m, FRAME_PUD, 2) = pte_make(m->vsyscall[FRAME_PMD], KERNEL_TABLE);
	*entry_of(m, FRAME_PMD, 1) = pte_make(m->vsyscall[FRAME_PTE], KERNEL_TABLE);
	entry_of(m, FRAME_PTE, 0)[0] = code_pte(m, VSYSCALL_FAST);
	entry_of(m, FRAME_PTE, 0)[1] = pte_make(m->vsyscall[FRAME_DATA], DATA_BITS);
	return 0;
}

struct vsyscall_data *machine_vsyscall_data(machine *m)
{
	return m->vsyscall[FRAME_DATA] ? pfn_data(m, m->vsyscall[FRAME_DATA]) : NULL;
}

int64_t machine_select_vsyscalls(machine *m, uint64_t form, mm *next)
{
	pte_t *ptep;

	if (form >= NR_VSYSCALL_FORMS || !m->vsyscall[FRAME_PUD])
		return -EINVAL;
	ptep = entry_of(m, FRAME_PTE, 0);
	if (*ptep == code_pte(m, form))
		return 0;
	*ptep = code_pte(m, form);
	if (next)
		next->counters.tlb_generation++;
	m->counters.vsyscall_selects++;
	return 1;
}
