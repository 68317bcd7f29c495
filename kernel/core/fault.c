/*
 * fault.c - the page fault.
 *
 *   pte      | VMA                | access | what happens
 *   ---------+--------------------+--------+-----------------------------------
 *   none     | special            | any    | BUS_ADRERR: a hole
 *   guard    | any                | any    | SEGV_MAPERR, as if nothing were mapped
 *   poison   | any                | any    | BUS_ADRERR, as Linux without memory failure
 *   wp mark  | userfaultfd        | any    | as none, and what comes is write-protected
 *   none     | anonymous          | read   | the zero page, read-only
 *   none     | anonymous          | write  | a zeroed page of its own
 *   none     | file               | read   | the cache's page, and those near it
 *   none     | private file       | write  | a copy of the cache's page
 *   none     | shared file        | write  | the cache's page, writable
 *   file pte | shared, nonlinear  | any    | the cache's page at that offset
 *   swap pte | private            | any    | the swap cache's page, read if need be
 *   present  | private, read-only | write  | copy on write, or take it over
 *   present  | shared             | write  | make it writable
 *
 * A userfaultfd that a VMA is registered with comes before what the table says of
 * none (missing), of a page that the cache has (minor) and of a store to a pte with
 * PTE_UFFD_WP: NEED_USER, or BUS_ADRERR where the context wants that.
 *
 * Beyond the end of the file, in unreadable swap or on a full tmpfs: BUS_ADRERR.  A page the cache lacks: NEED_PAGE,
 * and everything is looked at afresh when the caller tries again.
 */
#include "core.h"

struct fault {
	mm *mm;
	struct vma *vma;
	uint64_t addr; /* page aligned */
	uint64_t access;
	pte_t *ptep;
	uint64_t protect;   /* PTE_UFFD_WP, or 0: what comes is write-protected */
	uint64_t nr_tables; /* before this fault */
};

int64_t verdict(machine *m, int64_t what, uint64_t addr, uint64_t access)
{
	m->need.addr = addr;
	m->need.access = access;
	return what;
}

static pte_t accessed_bits(const struct fault *f)
{
	return f->access & ACCESS_WRITE ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED;
}

static void install(struct fault *f, struct page *page, pte_t bits)
{
	machine *m = f->mm->machine;
	bits |= accessed_bits(f) | f->protect;
	if (bits & PTE_UFFD_WP)
		bits &= ~PTE_WRITE;
	pte_set(f->mm, f->addr, f->ptep, pte_make(page_pfn(m, page), bits));
	rmap_add(m, page, f->ptep);
	pte_count_in(f->mm, page);
	if (f->vma->flags & VM_LOCKED && !m->culls_later)
		lru_cull(m, page);
}

/* A page of this VMA's own, not yet mapped; NULL: no memory. */
static struct page *own_page(struct fault *f)
{
	machine *m = f->mm->machine;
	/* New pages begin inactive, as since Linux 5.9; 2.4 marked them as used once. */
	uint32_t used = m->rmap->kind == RMAP_SCANS ? PG_REFERENCED : 0;
	uint32_t drops = f->vma->flags & VM_DROPPABLE ? PG_LAZYFREE | PG_DROPPABLE : 0;
	struct page *page = page_alloc_for(f->vma, f->addr, PG_ANON | used | drops);
	if (!page)
		return NULL;
	page->anon_vma = f->vma->anon_vma;
	page->anon_vma->nr_pages++;
	page->index = vma_index(f->vma, f->addr);
	lru_add(m, page);
	return page;
}

/* What an anonymous page may want besides itself. */
static int64_t prepare_own(struct fault *f)
{
	int64_t err = vma_prepare_anon(f->vma);
	return err ? err : rmap_reserve(f->mm->machine);
}

/* A copy of the page's bytes at `from`, or zeroes if it is NULL, in place of whatever stood here. */
static int64_t install_own(struct fault *f, const void *from)
{
	machine *m = f->mm->machine;
	int64_t err = prepare_own(f);
	if (err)
		return err;
	struct page *page = own_page(f);
	if (!page)
		return no_memory(m);
	if (from)
		memcpy(page_data(m, page), from, PAGE_SIZE);
	else
		memset(page_data(m, page), 0, PAGE_SIZE);
	if (*f->ptep)
		zap_copied(f->mm, f->vma, f->addr, f->ptep, 0);
	install(f, page, pte_bits(f->vma->flags));
	return 0;
}

static TELLS int64_t tell_copied(const struct fault *f, const struct page *page, int64_t err)
{
	machine *m = f->mm->machine;
	if (!err)
		event_record(m, EVENT_COW, f->addr, page_pfn(m, page), pte_pfn(*f->ptep), 0, 0);
	return err;
}

static int64_t copy_on_write(struct fault *f, const struct page *page)
{
	machine *m = f->mm->machine;
	bool is_zero = page_pfn(m, page) == m->zero_pfn;
	m->counters.cow++;
	int64_t err = install_own(f, is_zero ? NULL : page_data(m, page));
	return is_told(m) ? tell_copied(f, page, err) : err;
}

static void install_zero(struct fault *f)
{
	machine *m = f->mm->machine;
	pte_t bits = (pte_bits(f->vma->flags) & ~PTE_WRITE) | PTE_ACCESSED | f->protect;
	m->counters.zeropage++;
	pte_set(f->mm, f->addr, f->ptep, pte_make(m->zero_pfn, bits));
}

static int64_t anonymous_fault(struct fault *f)
{
	bool writes = f->access & ACCESS_WRITE;
	int64_t err = writes ? vma_prepare_anon(f->vma)
			     : 0; /* before a monitor is asked, as on Linux */
	if (err)
		return err;
	if (f->vma->flags & VM_UFFD_MISSING)
		return userfault(f->vma, VM_UFFD_MISSING, PAGE_SIZE);
	if (writes)
		return install_own(f, NULL);
	install_zero(f);
	return 0;
}

void mm_count_major(mm *mm)
{
	mm->counters.maj_flt++;
	mm->runner->maj_flt++;
	mm->counters.min_flt--; /* mm_fault() will count it as minor */
	mm->runner->min_flt--;
	mm->machine->counters.pgmajfault++;
}

void mm_count_served(mm *mm)
{
	mm->counters.min_flt++;
	mm->runner->min_flt++;
	mm->machine->counters.pgfault++;
}

static void count_major(struct fault *f, uint64_t reads_before)
{
	if (f->mm->machine->counters.pswpin != reads_before)
		mm_count_major(f->mm);
}

/* A store into a file's page: dirty for all who see it, and the file has a new time. */
static void stored_through(struct fault *f, struct page *page)
{
	page_set_dirty(f->mm->machine, page);
	if (page->flags & PG_CACHE)
		mapping_stored(page->mapping);
}

/* Does a userfaultfd come first? */
static int64_t file_userfault(const struct fault *f, mapping *mp, uint64_t index)
{
	uint64_t reason = index_get(mp, index) ? VM_UFFD_MINOR : VM_UFFD_MISSING;
	return f->vma->flags & reason ? userfault(f->vma, reason, PAGE_SIZE) : 0;
}

/* A page of the cache, for which rmap_reserve() was called. */
INLINE void install_cached(struct fault *f, struct page *page)
{
	bool shared = f->vma->flags & VM_SHARED;
	bool waits = !shared || (vma_notes_stores(f->vma) && !(f->access & ACCESS_WRITE));
	page_get(page);
	install(f, page, pte_bits(f->vma->flags) & ~(waits ? PTE_WRITE : 0));
}

/* ---- fault-around: the pages of the cache near one that is read come with it ---- */

static bool maps_around(const struct fault *f)
{
	const uint64_t alone = VM_NONLINEAR | VM_UFFD_WP | VM_UFFD_MINOR;
	return !(f->access & ACCESS_WRITE || f->vma->flags & alone ||
		 f->vma->file->mode & FILE_PAGEWISE);
}

/* false: no memory for it, which is no error. */
static bool install_near(const struct fault *f, struct page *page)
{
	const struct vma *vma = f->vma;
	struct fault near = *f;
	near.addr = vma->start + ((page->index - vma->pgoff) << PAGE_SHIFT);
	near.ptep = f->ptep + ((int64_t)(near.addr - f->addr) >> PAGE_SHIFT);
	if (*near.ptep)
		return true;
	if (rmap_reserve(f->mm->machine))
		return false;
	install_cached(&near, page);
	return true;
}

/*
 * The window begins where it is aligned or where the VMA does, and lies in one page table, as
 * Linux's: do_fault_around().  Its ptes get the accessed bit, as on x86.
 */
static void map_around(const struct fault *f)
{
	const struct vma *vma = f->vma;
	mapping *mp = vma_mapping(vma);
	uint64_t nbytes = f->mm->machine->tunables.fault_around_bytes;
	uint64_t low = f->addr & -nbytes, stop = (f->addr & -PMD_SIZE) + PMD_SIZE;
	if (low < vma->start)
		low = vma->start;
	if (stop > vma->end)
		stop = vma->end;
	if (stop > low + nbytes)
		stop = low + nbytes;
	uint64_t end = vma_index(vma, stop) < mapping_end(mp) ? vma_index(vma, stop)
							      : mapping_end(mp);
	void *item;
	for (uint64_t index = vma_index(vma, low); (item = index_next(mp, &index)) && index < end;
	     index++)
		if (item_is_page(item) && !is_unused(item) && !install_near(f, item))
			return;
}

static int64_t file_fault(struct fault *f, uint64_t index)
{
	machine *m = f->mm->machine;
	mapping *mp = vma_mapping(f->vma);
	bool copies = !(f->vma->flags & VM_SHARED) && f->access & ACCESS_WRITE;
	int64_t err = copies ? prepare_own(f) : 0; /* before the size is looked at, as on Linux */
	if (err)
		return err;
	if (HAS_BUG(BUG_INSTALL_UNCHECKED) && (m->need.addr & PAGE_MASK) == f->addr &&
	    m->need.mapping && mapping_find(m->need.mapping, m->need.index)) {
		mp = m->need.mapping;
		index = m->need.index;
	}
	if (index >= mapping_end(mp) &&
	    !(HAS_BUG(BUG_ONE_UNMAP) && copies && mapping_find(mp, index)))
		return verdict(m, BUS_ADRERR, f->addr, f->access);
	struct page *page;
	uint64_t reads = m->counters.pswpin;
	if (f->vma->flags & VM_UFFD && (err = file_userfault(f, mp, index)))
		return err;
	err = mapping_get_page(mp, index, &page);
	if (err)
		return err == -EIO || err == -ENOSPC ? verdict(m, BUS_ADRERR, f->addr, f->access)
						     : err;
	count_major(f, reads);
	if (copies)
		return copy_on_write(f, page);
	err = rmap_reserve(m);
	if (err)
		return err;
	install_cached(f, page);
	if (f->access & ACCESS_WRITE)
		stored_through(f, page);
	return 0;
}

/* ---- pages that a monitor brings: as if stored to ---- */

static struct fault filling(struct vma *vma, uint64_t addr, pte_t *ptep, uint64_t protect)
{
	return (struct fault){ .mm = vma->mm,
			       .vma = vma,
			       .addr = addr,
			       .access = ACCESS_WRITE,
			       .ptep = ptep,
			       .protect = protect };
}

int64_t fill_own(struct vma *vma, uint64_t addr, pte_t *ptep, const void *from, uint64_t protect)
{
	struct fault f = filling(vma, addr, ptep, protect);
	return install_own(&f, from);
}

void fill_zero(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	struct fault f = filling(vma, addr, ptep, 0);
	install_zero(&f);
}

void fill_cached(struct vma *vma, uint64_t addr, pte_t *ptep, struct page *page, uint64_t protect)
{
	struct fault f = filling(vma, addr, ptep, protect);
	install_cached(&f, page);
}

bool page_take_over(machine *m, struct page *page)
{
	if ((page->flags & (PG_ANON | PG_KSM)) != PG_ANON)
		return false;
	if (HAS_BUG(BUG_TAKE_SHARED) && page->flags & PG_SWAPCACHE && page->refcount == 2)
		return true;
	if (page->flags & PG_SWAPCACHE && page->refcount == 2 && !swap_count(m, page->entry))
		swap_cache_drop(m, page); /* its copy in swap gets stale */
	return page->refcount == 1;
}

/* A write to a present page that is not writable. */
static int64_t write_protect_fault(struct fault *f)
{
	machine *m = f->mm->machine;
	struct page *page = pfn_page(m, pte_pfn(*f->ptep));
	if (*f->ptep & PTE_UFFD_WP) {
		if (!is_wp_async(f->vma))
			return userfault(f->vma, VM_UFFD_WP, PAGE_SIZE);
		pte_set(f->mm, f->addr, f->ptep, *f->ptep & ~PTE_UFFD_WP);
	}
	if (f->vma->flags & VM_SHARED || page_take_over(m, page)) {
		page->flags &= ~(uint32_t)PG_FORKED;
		pte_t write = pte_bits(f->vma->flags) & PTE_WRITE; /* a forced one may not */
		pte_set(f->mm, f->addr, f->ptep, *f->ptep | write | accessed_bits(f));
		if (f->vma->flags & VM_SHARED)
			stored_through(f, page);
		return 0;
	}
	m->counters.cow_ksm += !!(page->flags & PG_KSM);
	return copy_on_write(f, page);
}

static int64_t present_fault(struct fault *f)
{
	if (f->access & ACCESS_WRITE && !(*f->ptep & PTE_WRITE))
		return write_protect_fault(f);
	pte_t pte = *f->ptep | accessed_bits(f);
	if (pte != *f->ptep)
		pte_set(f->mm, f->addr, f->ptep, pte);
	return 0;
}

/* The page was shared by content before it went to swap, and came back as another's. */
static bool is_strange(const struct page *page, const struct vma *vma, uint64_t addr)
{
	bool own = page->anon_vma == vma->anon_vma && page->index == vma_index(vma, addr);
	return !own && !(page->flags & PG_KSM);
}

static int64_t copy_strange(struct fault *f, struct page *page)
{
	f->mm->machine->counters.ksm_swpin_copy++;
	return install_own(f, page_data(f->mm->machine, page));
}

int64_t swap_fault(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	machine *m = vma->mm->machine;
	struct fault f = filling(vma, addr, ptep, *ptep & PTE_UFFD_WP);
	f.access = ACCESS_READ;
	uint32_t entry = pte_swap_entry(*ptep);
	uint32_t forked = *ptep & PTE_FORKED ? PG_FORKED : 0;
	struct page *page;
	int64_t err = rmap_reserve(m);
	if (!err)
		err = swap_in(m, vma, addr, entry, &page);
	if (err)
		return err;
	if (is_strange(page, vma, addr))
		return copy_strange(&f, page);
	page_get(page);
	page->flags |= forked;
	install(&f, page, pte_bits(vma->flags) & ~PTE_WRITE);
	vma->mm->counters.nr_swap--;
	swap_put(m, entry);
	return 0;
}

static int64_t swapped_fault(struct fault *f)
{
	machine *m = f->mm->machine;
	uint64_t reads = m->counters.pswpin;
	uint32_t entry = pte_swap_entry(*f->ptep);
	int64_t err = swap_fault(f->vma, f->addr, f->ptep);
	if (err)
		return err == -EIO ? verdict(m, BUS_ADRERR, f->addr, f->access) : err;
	count_major(f, reads);
	if (m->counters.pswpin != reads)
		swap_read_ahead(m, entry);
	return present_fault(f);
}

static bool pte_allows(pte_t pte, uint64_t access)
{
	if (!(pte & PTE_USER) || (access & ACCESS_EXEC && pte & PTE_NX))
		return false;
	return !(access & ACCESS_WRITE) || pte & PTE_WRITE;
}

/* The special VMA's pages carry a protection of their own. */
static int64_t special_fault(struct fault *f)
{
	machine *m = f->mm->machine;
	f->ptep = f->vma->flags & VM_HUGETLB ? pmd_walk(f->mm, f->addr) : pt_walk(f->mm, f->addr);
	if (!f->ptep || !pte_present(*f->ptep))
		return verdict(m, BUS_ADRERR, f->addr, f->access);
	if (!pte_allows(*f->ptep, f->access))
		return verdict(m, SEGV_ACCERR, f->addr, f->access);
	return present_fault(f);
}

static bool vma_allows(const struct vma *vma, uint64_t access)
{
	if (access & ACCESS_WRITE)
		return vma->flags & VM_WRITE;
	if (access & ACCESS_EXEC)
		return vma->flags & VM_EXEC;
	return vma->flags & (VM_READ | VM_WRITE | VM_EXEC);
}

/* A debugger may read all but secrets, and write what a private copy can take. */
static bool vma_allows_forced(const struct vma *vma, uint64_t access)
{
	const uint64_t copies = VM_SHARED | VM_MAYWRITE | VM_HUGETLB | VM_SPECIAL;
	return access & ACCESS_WRITE ? (vma->flags & copies) == VM_MAYWRITE
				     : vma->flags & VM_MAYREAD;
}

/* Of what neither the VMA's protection nor its key allows: 0 if it may be forced. */
static int64_t refusal(const struct fault *f)
{
	machine *m = f->mm->machine;
	if (f->access & ACCESS_FORCED && vma_allows_forced(f->vma, f->access))
		return 0;
	bool locked = !pkey_allows_vma(f->vma, f->access);
	return verdict(m, locked ? SEGV_PKUERR : SEGV_ACCERR, f->addr, f->access);
}

INLINE int64_t find_vma_for(struct fault *f)
{
	machine *m = f->mm->machine;
	f->vma = vma_find(f->mm, f->addr);
	if (!f->vma || f->addr >= f->mm->counters.task_size)
		return verdict(m, SEGV_MAPERR, f->addr, f->access);
	if (f->vma->start > f->addr) {
		int64_t err = f->vma->flags & VM_GROWSDOWN ? expand_stack(f->vma, f->addr)
							   : -EFAULT;
		if (err)
			return err == -EFAULT ? verdict(m, SEGV_MAPERR, f->addr, f->access) : err;
	}
	bool allowed = vma_allows(f->vma, f->access) && pkey_allows_vma(f->vma, f->access);
	return allowed ? 0 : refusal(f);
}

static int64_t huge_page_fault(struct fault *f)
{
	int64_t err = huge_fault(f->vma, f->addr, f->access);
	return err == BUS_ADRERR ? verdict(f->mm->machine, err, f->addr, f->access) : err;
}

INLINE int64_t nothing_there(struct fault *f)
{
	if (!vma_mapping(f->vma))
		return anonymous_fault(f);
	if (maps_around(f))
		map_around(f);
	if (pte_present(*f->ptep))
		return 0;
	int64_t err = file_fault(f, vma_index(f->vma, f->addr));
	/* Linux makes the last table when it has the page. */
	bool failed = err == BUS_ADRERR || err == NEED_USER;
	if (failed && f->mm->counters.nr_pagetable != f->nr_tables &&
	    !page_of(f->mm->machine, f->ptep)->used)
		pt_drop(f->mm, f->addr);
	return err;
}

static __attribute__((noinline)) int64_t marker_fault(struct fault *f)
{
	machine *m = f->mm->machine;
	switch (pte_marker_kind(*f->ptep)) {
	case MARKER_GUARD:
		return verdict(m, SEGV_MAPERR, f->addr, f->access);
	case MARKER_POISON:
		return verdict(m, BUS_ADRERR, f->addr, f->access);
	default:
		f->protect = PTE_UFFD_WP;
		return nothing_there(f);
	}
}

INLINE int64_t resolve(struct fault *f)
{
	if (f->vma->flags & (VM_HUGETLB | VM_SPECIAL))
		return f->vma->flags & VM_SPECIAL ? special_fault(f) : huge_page_fault(f);
	f->nr_tables = f->mm->counters.nr_pagetable;
	f->ptep = pt_alloc(f->mm, f->addr);
	if (!f->ptep)
		return no_memory(f->mm->machine);
	if (!*f->ptep)
		return nothing_there(f);
	if (pte_present(*f->ptep))
		return present_fault(f);
	if (pte_is_marker(*f->ptep))
		return marker_fault(f);
	if (pte_is_file(*f->ptep))
		return file_fault(f, pte_file_index(*f->ptep));
	return swapped_fault(f);
}

/* ---- for who looks ---- */

static enum fault_case case_of_absent(const struct vma *vma, uint64_t access, pte_t pte)
{
	bool store = access & ACCESS_WRITE;
	if (pte_is_guard(pte))
		return FAULT_GUARD;
	if (pte_marker_kind(pte) == MARKER_POISON)
		return FAULT_POISON;
	if (pte_is_file(pte))
		return FAULT_FILE_PTE;
	if (pte_is_swap(pte))
		return FAULT_SWAP;
	if (!vma_mapping(vma))
		return store ? FAULT_ANON : FAULT_ZERO;
	if (!store)
		return FAULT_FILE_READ;
	return vma->flags & VM_SHARED ? FAULT_FILE_WRITE : FAULT_FILE_COPY;
}

/* The row of the table above that a fault belonged to. */
static enum fault_case case_of(mm *mm, uint64_t addr, uint64_t access, pte_t pte)
{
	const struct vma *vma = vma_find(mm, addr);
	if (!vma || vma->start > addr)
		return FAULT_NO_VMA;
	if (vma->flags & VM_SPECIAL)
		return pte_present(pte) ? FAULT_SPECIAL : FAULT_SPECIAL_HOLE;
	if (vma->flags & VM_HUGETLB)
		return FAULT_LARGE;
	if (!pte_present(pte))
		return case_of_absent(vma, access, pte);
	if (!(access & ACCESS_WRITE) || pte & PTE_WRITE)
		return FAULT_PRESENT;
	return vma->flags & VM_SHARED ? FAULT_MAKE_WRITABLE : FAULT_COW;
}

static pte_t user_pte(mm *mm, uint64_t addr)
{
	return addr < mm->counters.task_size ? pte_at(mm, addr) : 0;
}

/* ---- the fault ---- */

INLINE int64_t serve(mm *mm, uint64_t addr, uint64_t access)
{
	struct fault f = { .mm = mm, .addr = addr & PAGE_MASK, .access = access };
	struct mm *before = mm->machine->acting;
	mm->machine->acting = mm;
	int64_t err = find_vma_for(&f);
	if (!err)
		err = resolve(&f);
	mm->machine->acting = before;
	if (err == NEED_USER && access & ACCESS_FORCED)
		err = BUS_ADRERR; /* a debugger does not wait */
	if (err)
		return verdict(mm->machine, err, addr, access); /* a need, too, may end in one */
	mm->counters.min_flt++;
	mm->runner->min_flt++;
	mm->machine->counters.pgfault++;
	return 0;
}

static TELLS int64_t serve_told(mm *mm, uint64_t addr, uint64_t access)
{
	pte_t before = user_pte(mm, addr);
	int64_t outcome = serve(mm, addr, access);
	uint64_t row = case_of(mm, addr, access, before);
	event_record(mm->machine, EVENT_FAULT, addr, (access & UINT32_MAX) | row << 32, before,
		     user_pte(mm, addr), (uint64_t)outcome);
	return outcome;
}

int64_t mm_fault(mm *mm, uint64_t addr, uint64_t access)
{
	return is_told(mm->machine) ? serve_told(mm, addr, access) : serve(mm, addr, access);
}
