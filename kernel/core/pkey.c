/*
 * pkey.c - protection keys: which of an address space's sixteen are taken, and
 * what the PKRU register makes of them.
 *
 * A VMA's key lies in its flags (VM_PKEY_MASK), a page's in its pte, where
 * hardware looks for it; both change together (protect_range()).  mm->pkru is
 * the register of the thread that runs in the address space; context.c keeps
 * those of the others.  Without CPU_PKU no key is taken, every pte has
 * key 0, and the register refuses nothing.
 *
 * Memory that may only be executed has a key of its own, whose loads and
 * stores PKRU refuses.  The program may give itself the right to them; the
 * next PROT_EXEC takes it back.
 */
#include "core.h"

#define NR_PKEYS 16
#define NO_PKEY (-1)
#define PKRU_START 0x55555554u /* a new program has the right to key 0 only */
#define DENY_ACCESS 1u
#define DENY_WRITE 2u
#define DENIALS (DENY_ACCESS | DENY_WRITE)

static bool has_pkeys(const mm *mm) { return mm->machine->features & CPU_PKU; }

void pkey_init(mm *mm)
{
	mm->pkru = has_pkeys(mm) ? PKRU_START : 0;
	mm->pkeys = has_pkeys(mm); /* key 0 */
	mm->exec_pkey = NO_PKEY;
}

void pkey_fork(mm *child, const mm *parent)
{
	child->pkru = parent->pkru;
	child->pkeys = parent->pkeys;
	child->exec_pkey = parent->exec_pkey;
}

uint64_t mm_pkru(mm *mm) { return mm->pkru; }

void mm_set_pkru(mm *mm, uint64_t pkru)
{
	if (mm->pkru == (uint32_t)pkru)
		return;
	mm->pkru = (uint32_t)pkru;
	tlb_flush_mm(mm);
}

/* ---- what a key refuses ---- */

bool pkey_allows(const mm *mm, uint64_t key, uint64_t access)
{
	uint32_t denied = mm->pkru >> 2 * key & DENIALS;
	if (access & ACCESS_EXEC)
		return true;
	return !(denied & (access & ACCESS_WRITE ? DENIALS : DENY_ACCESS));
}

/* ---- which keys are taken ---- */

static void set_rights(mm *mm, uint64_t key, uint64_t rights)
{
	uint32_t others = mm->pkru & ~(DENIALS << 2 * key);
	mm_set_pkru(mm, others | (uint32_t)rights << 2 * key);
}

static int64_t take_key(mm *mm)
{
	for (int key = 0; has_pkeys(mm) && key < NR_PKEYS; key++)
		if (!(mm->pkeys >> key & 1)) {
			mm->pkeys |= (uint16_t)(1 << key);
			return key;
		}
	return -ENOSPC;
}

/* Without keys Linux finds key 0, once, cannot set its rights, and keeps it. */
static int64_t alloc_without_keys(mm *mm)
{
	bool found = !mm->pkeys;
	mm->pkeys = 1;
	return found ? -EINVAL : -ENOSPC;
}

int64_t mm_pkey_alloc(mm *mm, uint64_t rights)
{
	if (!has_pkeys(mm))
		return alloc_without_keys(mm);
	int64_t key = take_key(mm);
	if (key >= 0)
		set_rights(mm, (uint64_t)key, rights);
	return key;
}

bool pkey_is_allocated(const mm *mm, int64_t key)
{
	bool exists = has_pkeys(mm) && key >= 0 && key < NR_PKEYS;
	return exists && key != mm->exec_pkey && mm->pkeys >> key & 1;
}

int64_t mm_pkey_free(mm *mm, int64_t key)
{
	if (!pkey_is_allocated(mm, key))
		return -EINVAL;
	mm->pkeys &= (uint16_t)~(1 << key);
	return 0;
}

/* ---- memory that may only be executed ---- */

/* Its key, or 0 where no key is left: then it can be read, too. */
static uint64_t execute_only_key(mm *mm)
{
	if (mm->exec_pkey == NO_PKEY) {
		int64_t key = take_key(mm);
		if (key < 0)
			return 0;
		mm->exec_pkey = (int8_t)key;
	}
	if (pkey_allows(mm, (uint64_t)mm->exec_pkey, ACCESS_READ))
		set_rights(mm, (uint64_t)mm->exec_pkey, DENY_ACCESS);
	return (uint64_t)mm->exec_pkey;
}

static bool is_execute_only(const struct vma *vma)
{
	return (vma->flags & (VM_READ | VM_WRITE | VM_EXEC)) == VM_EXEC &&
	       (int64_t)vma_pkey(vma->flags) == vma->mm->exec_pkey;
}

uint64_t pkey_of_new_vma(mm *mm, uint64_t prot)
{
	return prot == PROT_EXEC && has_pkeys(mm) ? execute_only_key(mm) : 0;
}

uint64_t pkey_after_mprotect(const struct vma *vma, uint64_t prot, int64_t asked)
{
	if (asked != NO_PKEY)
		return (uint64_t)asked;
	uint64_t key = pkey_of_new_vma(vma->mm, prot);
	if (key)
		return key;
	return prot != PROT_EXEC && is_execute_only(vma) ? 0 : vma_pkey(vma->flags);
}
