/*
 * access.c - a program's loads and stores, and the software TLB.
 *
 * The TLB holds translations that a pte allows right now: a store's only once
 * the pte is dirty.  pte_set() empties the slot of every pte it changes, so
 * no caller can forget to.
 */
#include "core.h"
#include "sizes.h"

static uint64_t tlb_need(uint64_t access)
{
	if (access & ACCESS_WRITE)
		return TLB_WRITE;
	return access & ACCESS_EXEC ? TLB_EXEC : TLB_READ;
}

static bool pte_permits(pte_t pte, uint64_t access)
{
	if (!(pte & PTE_PRESENT) || !(pte & PTE_USER))
		return false;
	if (access & ACCESS_WRITE && !(pte & PTE_WRITE))
		return false;
	return !(access & ACCESS_EXEC && pte & PTE_NX);
}

/*
 * The kernel's pages: their bits are final, and the TLB does not hold them.  The code may only be
 * executed, as on Linux since 5.2, though no pte can say so.
 */
static int64_t kernel_page(mm *mm, uint64_t addr, uint64_t access)
{
	const pte_t *ptep = pt_walk(mm, addr);
	bool is_code = addr < VSYSCALL_ADDR + PAGE_SIZE;
	if (!ptep || !pte_permits(*ptep, access) || (is_code && !(access & ACCESS_EXEC)))
		return -EFAULT;
	return (int64_t)(pte_pfn(*ptep) << PAGE_SHIFT | (addr & ~PAGE_MASK));
}

static void set_used(mm *mm, uint64_t addr, pte_t bits)
{
	pte_t *ptep = pt_walk(mm, addr);
	if (ptep)
		pte_set(mm, addr, ptep, *ptep | bits);
	else
		*pmd_walk(mm, addr) |= bits; /* a large page; no more than it allowed before */
}

static int64_t walk(mm *mm, uint64_t addr, uint64_t access)
{
	const pte_t stored = PTE_WRITE | PTE_DIRTY;
	if (addr >= VSYSCALL_ADDR)
		return kernel_page(mm, addr, access);
	pte_t used = addr < mm->counters.task_size ? pte_at(mm, addr) : 0;
	if (!pte_permits(used, access) || !pkey_allows_pte(mm, used, access))
		return -EFAULT;
	pte_t bits = PTE_ACCESSED | (access & ACCESS_WRITE ? PTE_DIRTY : 0);
	if ((used & bits) != bits)
		set_used(mm, addr, bits);
	used |= bits;
	struct tlb_entry *entry = tlb_slot(mm, addr);
	uint64_t rights = used & PTE_NX ? 0 : TLB_EXEC;
	if (pkey_allows_pte(mm, used, ACCESS_READ))
		rights |= TLB_READ;
	if ((used & stored) == stored && pkey_allows_pte(mm, used, ACCESS_WRITE))
		rights |= TLB_WRITE;
	entry->tag = (addr & PAGE_MASK) | rights;
	entry->frame = pte_pfn(used) << PAGE_SHIFT;
	return (int64_t)(entry->frame | (addr & ~PAGE_MASK));
}

int64_t mm_translate(mm *mm, uint64_t addr, uint64_t access)
{
	const struct tlb_entry *entry = tlb_slot(mm, addr);
	uint64_t need = tlb_need(access);
	if ((entry->tag & (PAGE_MASK | need)) == ((addr & PAGE_MASK) | need))
		return (int64_t)(entry->frame | (addr & ~PAGE_MASK));
	return walk(mm, addr, access);
}

/* What the last mm_translate(addr) found allowed: TLB_* bits. */
uint64_t tlb_rights(mm *mm, uint64_t addr)
{
	if (addr < VSYSCALL_ADDR)
		return tlb_slot(mm, addr)->tag & ~PAGE_MASK;
	return addr < VSYSCALL_ADDR + PAGE_SIZE ? TLB_EXEC : TLB_READ;
}

int64_t mm_is_present(mm *mm, uint64_t addr)
{
	return addr < mm->counters.task_size && pte_permits(pte_at(mm, addr), ACCESS_READ);
}

/* Translate for an access that a processor would make: it traps, as often as it has to. */
static inline int64_t reach(mm *mm, uint64_t addr, uint64_t access)
{
	for (;;) {
		int64_t at = mm_translate(mm, addr, access);
		if (at >= 0)
			return at;
		if (is_told(mm->machine))
			exception_record(mm, addr, access, 0);
		int64_t err = mm_fault(mm, addr, access);
		if (err)
			return err;
	}
}

static int64_t stopped(mm *mm, int64_t err, uint64_t done)
{
	mm->machine->need.done = done;
	return err;
}

int64_t user_read(mm *mm, uint64_t addr, void *buf, uint64_t nbytes)
{
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		n = in_page(addr + done, nbytes - done);
		int64_t at = reach(mm, addr + done, ACCESS_READ);
		if (at < 0)
			return stopped(mm, at, done);
		memcpy((char *)buf + done, mm->machine->arena + at, n);
	}
	return (int64_t)nbytes;
}

int64_t user_write(mm *mm, uint64_t addr, const void *buf, uint64_t nbytes)
{
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		n = in_page(addr + done, nbytes - done);
		int64_t at = reach(mm, addr + done, ACCESS_WRITE);
		if (at < 0)
			return stopped(mm, at, done);
		memcpy(mm->machine->arena + at, (const char *)buf + done, n);
		page_written(mm->machine, pfn_page(mm->machine, (uint64_t)at >> PAGE_SHIFT));
	}
	return (int64_t)nbytes;
}

/* No fault is needed, whatever the pte has yet to be told. */
static bool is_there(mm *mm, uint64_t addr, uint64_t access)
{
	pte_t pte = pte_at(mm, addr);
	return pte_present(pte) && (!(access & ACCESS_WRITE) || pte & PTE_WRITE);
}

/* ---- a debugger's access: what FOLL_FORCE does on Linux ---- */

/* Writing wants a page of the mm's own, though its pte may stay read-only. */
static bool forced_ready(mm *mm, uint64_t addr, uint64_t access)
{
	pte_t pte = addr < mm->counters.task_size ? pte_at(mm, addr) : 0;
	if (!pte_present(pte) || !(access & ACCESS_WRITE))
		return pte_present(pte);
	if (pte & PTE_WRITE)
		return true;
	/* can_follow_write_pte() of Linux 6.18: else a fault, which makes it writable or one's own. */
	if (vma_find(mm, addr)->flags & VM_WRITE || pte & PTE_UFFD_WP)
		return false;
	const struct page *page = pfn_page(mm->machine, pte_pfn(pte));
	bool own = (page->flags & (PG_ANON | PG_KSM | PG_FORKED)) == PG_ANON;
	return own && page->refcount == 1;
}

static bool is_secret(mm *mm, uint64_t addr)
{
	const struct vma *vma = vma_find(mm, addr);
	return vma && vma->start <= addr && vma_is_secret(vma);
}

int64_t mm_has_secret(mm *mm, uint64_t addr, uint64_t len)
{
	const struct vma *vma = vma_find_intersection(mm, addr, addr + len);
	for (; vma && vma->start < addr + len; vma = vma->next)
		if (vma_is_secret(vma))
			return (int64_t)(vma->start > addr ? vma->start : addr);
	return 0;
}

static int64_t reach_forced(mm *mm, uint64_t addr, uint64_t access)
{
	if (is_secret(mm, addr))
		return verdict(mm->machine, SEGV_ACCERR, addr, access);
	if (addr >= mm->counters.task_size)
		return verdict(mm->machine, SEGV_MAPERR, addr, access);
	int64_t err = 0;
	if (!forced_ready(mm, addr, access)) /* what is there learns of it in no pte */
		err = mm_fault(mm, addr, access | ACCESS_FORCED);
	return err ? err : (int64_t)(pte_pfn(pte_at(mm, addr)) << PAGE_SHIFT | (addr & ~PAGE_MASK));
}

static void note_stored(mm *mm, uint64_t addr, struct page *page)
{
	pte_t *ptep = pt_walk(mm, addr);
	if (page->flags & PG_ANON && page->flags & PG_LRU) {
		pte_set(mm, addr, ptep, *ptep | PTE_DIRTY);
		page->flags |= PG_DIRTY; /* for all who have it */
	} else {
		page_set_dirty(mm->machine, page);
	}
}

/* A page is used; if it will be written it is dirty, whatever its pte says. */
static void pinned(mm *mm, uint64_t addr, uint64_t access)
{
	machine *m = mm->machine;
	pte_t pte = pte_at(mm, addr);
	if (pte_pfn(pte) == m->zero_pfn)
		return;
	struct page *page = pfn_page(m, pte_pfn(pte));
	if (page->flags & (PG_HUGE | PG_TAIL | PG_RESERVED))
		return;
	page_mark_accessed(m, page);
	if (access & ACCESS_WRITE)
		note_stored(mm, addr, page);
}

int64_t forced_read(mm *mm, uint64_t addr, void *buf, uint64_t nbytes)
{
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		n = in_page(addr + done, nbytes - done);
		int64_t at = reach_forced(mm, addr + done, ACCESS_READ);
		if (at < 0)
			return stopped(mm, at, done);
		pinned(mm, addr + done, ACCESS_READ);
		memcpy((char *)buf + done, mm->machine->arena + at, n);
	}
	return (int64_t)nbytes;
}

int64_t forced_write(mm *mm, uint64_t addr, const void *buf, uint64_t nbytes)
{
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		n = in_page(addr + done, nbytes - done);
		int64_t at = reach_forced(mm, addr + done, ACCESS_WRITE);
		if (at < 0)
			return stopped(mm, at, done);
		pinned(mm, addr + done, ACCESS_WRITE);
		memcpy(mm->machine->arena + at, (const char *)buf + done, n);
		page_written(mm->machine, pfn_page(mm->machine, (uint64_t)at >> PAGE_SHIFT));
	}
	return (int64_t)nbytes;
}

/* What get_user_pages_fast() of Linux leaves on a page that is there: the mark, however often. */
void mm_note_used(mm *mm, uint64_t addr)
{
	machine *m = mm->machine;
	pte_t pte = addr < mm->counters.task_size ? pte_at(mm, addr) : 0;
	if (!pte_present(pte) || pte_pfn(pte) == m->zero_pfn)
		return;
	struct page *page = pfn_page(m, pte_pfn(pte));
	if (page->flags & PG_LRU)
		page->flags |= PG_REFERENCED;
}

/* ---- a core file's pages ---- */

/* Whether a page need not be looked at to know that it reads as zeroes, or as nothing at all. */
static bool is_left_out(mm *mm, uint64_t addr)
{
	struct vma *vma = vma_find(mm, addr);
	if (!vma || vma->start > addr || vma->flags & VM_SPECIAL)
		return true;
	pte_t pte = pte_at(mm, addr);
	if (pte_present(pte))
		return pte_pfn(pte) == mm->machine->zero_pfn;
	if (vma->flags & VM_HUGETLB)
		return !mapping_find(vma_mapping(vma), vma_index(vma, addr & HUGE_MASK));
	return !pte && !vma_mapping(vma);
}

int64_t mm_dump(mm *mm, uint64_t addr, void *buf, uint64_t nr, uint8_t *there)
{
	char *to = buf;
	for (uint64_t i = 0; i < nr; i++, addr += PAGE_SIZE, to += PAGE_SIZE) {
		int64_t at = is_left_out(mm, addr) ? -EFAULT : reach_forced(mm, addr, ACCESS_READ);
		if (is_need(at))
			return i ? (int64_t)i : at;
		there[i] = at >= 0;
		if (at >= 0)
			memcpy(to, mm->machine->arena + at, PAGE_SIZE);
	}
	return (int64_t)nr;
}

static bool is_shared_own(machine *m, pte_t pte)
{
	if (!pte_present(pte) || pte_pfn(pte) == m->zero_pfn)
		return false;
	const struct page *page = pfn_page(m, pte_pfn(pte));
	return page->flags & PG_ANON && page->mapcount > 1;
}

/* A page that a fork shares becomes this process's own; no one has stored to the copy. */
static int64_t unshare(mm *mm, uint64_t addr)
{
	if (!is_shared_own(mm->machine, pte_at(mm, addr)))
		return 0;
	int64_t err = mm_fault(mm, addr, ACCESS_WRITE | ACCESS_FORCED);
	if (err)
		return err;
	pte_t *copied = pt_walk(mm, addr);
	pte_set(mm, addr, copied, *copied & ~(PTE_WRITE | PTE_DIRTY));
	return 0;
}

/* As reach, without an access: nothing traps. */
static int64_t bring(mm *mm, uint64_t addr, uint64_t access)
{
	int64_t at, err = 0;
	while ((at = mm_translate(mm, addr, access)) < 0 && !err)
		err = mm_fault(mm, addr, access);
	return err ? err : at;
}

/*
 * What Linux does to pages that it pins for another process: they are there, and those that a fork
 * shares become this process's own (gup_must_unshare() of 6.18). Secrets are no one's to pin. What
 * cannot be had ends it, in silence: the forced copy that follows says so, and counts them as used.
 */
int64_t mm_pin(mm *mm, uint64_t addr, uint64_t nbytes, uint64_t access)
{
	uint64_t top = mm->counters.task_size;
	uint64_t end = addr < top && nbytes < top - addr ? addr + nbytes : top;
	for (addr &= PAGE_MASK; addr < end; addr += PAGE_SIZE) {
		if (is_secret(mm, addr))
			return -EFAULT;
		bool there = is_there(mm, addr, access);
		int64_t at = there ? 0 : bring(mm, addr, access);
		if (at < 0)
			return is_need(at) ? at : 0;
		int64_t err = access & ACCESS_WRITE ? 0 : unshare(mm, addr);
		if (err)
			return err;
	}
	return 0;
}

/* ---- strings, and one access a page ---- */

int64_t user_string(mm *mm, uint64_t addr, char *buf, uint64_t max)
{
	for (uint64_t done = 0, n; done < max; done += n) {
		n = in_page(addr + done, max - done);
		int64_t at = reach(mm, addr + done, ACCESS_READ);
		if (at < 0)
			return stopped(mm, at, done);
		const char *from = mm->machine->arena + at;
		const char *end = memchr(from, 0, n);
		memcpy(buf + done, from, end ? (uint64_t)(end - from) + 1 : n);
		if (end)
			return (int64_t)done + (end - from);
	}
	return -ENAMETOOLONG;
}

int64_t user_touch(mm *mm, uint64_t addr, uint64_t len, uint64_t access)
{
	uint64_t nr = 0, end = addr + len;
	for (addr &= PAGE_MASK; addr < end; addr += PAGE_SIZE, nr++) {
		int64_t at = reach(mm, addr, access);
		if (at < 0)
			return stopped(mm, at, nr << PAGE_SHIFT);
		volatile char *byte = mm->machine->arena + at;
		if (access & ACCESS_WRITE)
			*byte = *byte;
		else
			(void)*byte;
	}
	return (int64_t)nr;
}

/* ---- populate: what MAP_POPULATE, mlock and madvise fault in ---- */

static uint64_t populate_access(const struct vma *vma)
{
	const uint64_t own = VM_WRITE | VM_SHARED;
	return (vma->flags & own) == VM_WRITE ? ACCESS_WRITE : ACCESS_READ;
}

/* The page counts as used, and as stored to if it was asked for so; its pte only says so after a fault. */
static void touch_page(mm *mm, uint64_t addr, uint64_t access)
{
	pte_t pte = pte_at(mm, addr);
	struct page *page = pfn_page(mm->machine, pte_pfn(pte));
	page_mark_accessed(mm->machine, page);
	if (access & ACCESS_WRITE && !(pte & PTE_DIRTY))
		note_stored(mm, addr, page);
}

/* What follow_page_pte() and faultin_page() of Linux 6.18 do: no fault where none is needed. */
int64_t populate_page(mm *mm, uint64_t addr, uint64_t access)
{
	int64_t err = is_there(mm, addr, access) ? 0 : mm_fault(mm, addr, access);
	if (!err && !is_there(mm, addr, access))
		err = mm_fault(mm, addr, access); /* it came protected: a monitor is asked */
	if (!err)
		touch_page(mm, addr, access);
	return err;
}

static int64_t populate_pages(struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t addr = start, access = populate_access(vma);
	bool allowed = vma->flags & (VM_READ | VM_WRITE | VM_EXEC) && pkey_allows_vma(vma, access);
	int64_t err = allowed && !vma_is_secret(vma) ? 0 : -ENOMEM;
	while (!err && addr < end) {
		err = populate_page(vma->mm, addr, access);
		addr += err ? 0 : PAGE_SIZE;
	}
	if (addr > start)
		return (int64_t)(addr - start);
	return !err || is_need(err) ? err : -ENOMEM;
}

/* What a fault between start and end may have brought, with what lies around. */
static void cull_populated(struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t around = vma->mm->machine->tunables.fault_around_bytes;
	start = start - vma->start > around ? start - around : vma->start;
	end = vma->end - end > around ? end + around : vma->end;
	vma_cull(vma, start, end);
}

/*
 * To the end of the VMA or of the range: how far it got, or why nowhere. What is locked on fault has
 * no work here, whoever asks; what cannot be locked so is brought. Pages that a lock brings
 * count as used before they leave the lists, as on Linux, which takes them off in batches.
 */
static int64_t populate_vma(struct vma *vma, uint64_t start, uint64_t end, uint64_t most)
{
	machine *m = vma->mm->machine;
	if (vma->flags & (VM_SPECIAL | VM_LOCKONFAULT))
		return (int64_t)(end - start);
	end = end - start > most ? start + most : end;
	m->culls_later = vma->flags & VM_LOCKED;
	int64_t done = populate_pages(vma, start, end);
	if (m->culls_later)
		cull_populated(vma, start, end);
	m->culls_later = false;
	return done;
}

/* At most so many bytes of a VMA: then it returns, as where memory is missing. */
int64_t populate_range(mm *mm, uint64_t addr, uint64_t len, uint64_t most)
{
	uint64_t start = addr & PAGE_MASK, end = PAGE_ALIGN(addr + len);
	for (addr = start; addr < end;) {
		struct vma *vma = vma_find(mm, addr);
		uint64_t stop = vma && vma->end < end ? vma->end : end;
		bool covers = vma && vma->start <= addr;
		int64_t done = covers ? populate_vma(vma, addr, stop, most) : -ENOMEM;
		addr += done > 0 ? (uint64_t)done : 0;
		if (addr < stop)
			return addr > start ? (int64_t)(addr - start) : done;
	}
	return end > start ? (int64_t)(end - start) : 0;
}

int64_t mm_populate(mm *mm, uint64_t addr, uint64_t len)
{
	return populate_range(mm, addr, len, POPULATE_BATCH);
}
