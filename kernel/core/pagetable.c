/*
 * pagetable.c - 4-level x86-64 page tables in arena pages.
 *
 * Owns the walker (pt_walk, pt_next) and the only writer of a pte (pte_set),
 * which keeps the table's count of used entries, the software TLB and the
 * downgrade generation true; below them the operations on ranges of one VMA.
 * The struct page of a table knows its mm and the address it begins at, so a
 * pte can say what it translates.
 *
 *   pgd[9 bits] -> pud[9] -> pmd[9] -> pte[9] -> 4096-byte page
 */
#include "core.h"
#include "sizes.h"

#define TABLE_BITS (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)
#define LEVELS 4
#define UNROLLED _Pragma("GCC unroll 4") /* a loop over levels, whose shifts are constants then */

static unsigned level_shift(int level) { return PAGE_SHIFT + 9u * (unsigned)level; }

static pte_t *entry_in(pte_t *table, uint64_t addr, int level)
{
	return &table[addr >> level_shift(level) & (TABLE_ENTRIES - 1)];
}

static pte_t *table_below(mm *mm, pte_t entry) { return pfn_data(mm->machine, pte_pfn(entry)); }

pte_t *pt_walk(mm *mm, uint64_t addr)
{
	pte_t *table = mm->pgd;
	UNROLLED
	for (int level = LEVELS - 1; level > 0; level--) {
		pte_t entry = *entry_in(table, addr, level);
		if (!entry || entry & PTE_HUGE)
			return NULL;
		table = table_below(mm, entry);
	}
	return entry_in(table, addr, 0);
}

pte_t *pmd_walk(mm *mm, uint64_t addr)
{
	pte_t *table = mm->pgd;
	for (int level = LEVELS - 1; level > 1; level--) {
		pte_t entry = *entry_in(table, addr, level);
		if (!entry)
			return NULL;
		table = table_below(mm, entry);
	}
	return entry_in(table, addr, 1);
}

bool pt_has_table(mm *mm, uint64_t addr, uint64_t size)
{
	return size == GIGANTIC_SIZE ? *entry_in(mm->pgd, addr, LEVELS - 1) != 0
				     : pmd_walk(mm, addr) != NULL;
}

static pte_t *table_alloc(mm *mm, pte_t *entry, uint64_t addr)
{
	struct machine *m = mm->machine;
	struct page *page = page_alloc_zeroed(m, PG_TABLE);
	if (!page)
		return NULL;
	page->mm = mm;
	page->index = addr;
	*entry = pte_make(page_pfn(m, page), TABLE_BITS);
	page_of(m, entry)->used++;
	mm->counters.nr_pagetable++;
	return page_data(m, page);
}

INLINE pte_t *alloc_to(mm *mm, uint64_t addr, int lowest)
{
	pte_t *table = mm->pgd;
	UNROLLED
	for (int level = LEVELS - 1; level > lowest; level--) {
		pte_t *entry = entry_in(table, addr, level);
		assert(!(*entry & PTE_HUGE));
		table = *entry ? table_below(mm, *entry)
			       : table_alloc(mm, entry, addr & -(1ul << level_shift(level)));
		if (!table)
			return NULL;
	}
	return entry_in(table, addr, lowest);
}

pte_t *pt_alloc(mm *mm, uint64_t addr) { return alloc_to(mm, addr, 0); }
pte_t *pmd_alloc(mm *mm, uint64_t addr) { return alloc_to(mm, addr, 1); }

int64_t pt_alloc_range(mm *mm, uint64_t start, uint64_t end)
{
	for (uint64_t addr = start & -PMD_SIZE; addr < end; addr += PMD_SIZE)
		if (!pt_alloc(mm, addr)) {
			pt_prune(mm, start, end);
			return no_memory(mm->machine);
		}
	return 0;
}

/*
 * The first pte at or after *addr, below end, whose table exists: moves *addr
 * there and sets *span to the ptes that follow in this table, below end.
 */
pte_t *pt_next(mm *mm, uint64_t *addr, uint64_t end, uint64_t *span)
{
	while (*addr < end) {
		pte_t *table = mm->pgd;
		int level = LEVELS - 1;
		UNROLLED
		for (; level > 0; level--) {
			pte_t entry = *entry_in(table, *addr, level);
			if (!entry || entry & PTE_HUGE)
				break;
			table = table_below(mm, entry);
		}
		uint64_t size = 1ul << level_shift(level ? level : 1);
		uint64_t next = (*addr & -size) + size;
		if (level == 0) {
			uint64_t stop = next < end ? next : end;
			*span = (stop - *addr) >> PAGE_SHIFT;
			return entry_in(table, *addr, 0);
		}
		*addr = next;
	}
	return NULL;
}

/* The first entry of a large page, or a mark of one, from *addr on, below end; *addr moves there. */
pte_t *pmd_next(mm *mm, uint64_t *addr, uint64_t end)
{
	while (*addr < end) {
		pte_t *table = mm->pgd;
		int level = LEVELS - 1;
		for (; level > 1 && *entry_in(table, *addr, level); level--)
			table = table_below(mm, *entry_in(table, *addr, level));
		pte_t *entry = entry_in(table, *addr, level);
		if (*entry & PTE_HUGE)
			return entry;
		uint64_t size = 1ul << level_shift(level);
		*addr = (*addr & -size) + size;
	}
	return NULL;
}

/* Free the table that an entry leads to, which holds nothing. */
static void table_free(mm *mm, pte_t *entry)
{
	struct machine *m = mm->machine;
	struct page *below = pfn_page(m, pte_pfn(*entry));
	assert(!below->used);
	*entry = 0;
	page_of(m, entry)->used--;
	mm->counters.nr_pagetable--;
	page_put(m, below);
}

void pt_drop(mm *mm, uint64_t addr) { table_free(mm, pmd_walk(mm, addr)); }

/*
 * Free the tables below `table` that hold nothing and meet [start, end), but for
 * those that an area may still want: as Linux does, which looks at the areas on
 * both sides, and not into the table.
 */
static void prune(mm *mm, pte_t *table, int level, uint64_t start, uint64_t end)
{
	struct machine *m = mm->machine;
	uint64_t size = 1ul << level_shift(level);
	for (uint64_t addr = start & -size; addr < end; addr += size) {
		pte_t *entry = entry_in(table, addr, level);
		if (!*entry || *entry & PTE_HUGE)
			continue;
		struct page *below = pfn_page(m, pte_pfn(*entry));
		uint64_t low = addr > start ? addr : start;
		uint64_t high = addr + size < end ? addr + size : end;
		if (level > 1 && below->used)
			prune(mm, page_data(m, below), level - 1, low, high);
		if (below->used || vma_find_intersection(mm, addr, addr + size))
			continue;
		table_free(mm, entry);
	}
}

void pt_prune(mm *mm, uint64_t start, uint64_t end) { prune(mm, mm->pgd, LEVELS - 1, start, end); }

uint64_t pte_addr(machine *m, const pte_t *ptep)
{
	uint64_t slot = ((uintptr_t)ptep & (PAGE_SIZE - 1)) / sizeof(pte_t);
	return page_of(m, ptep)->index + (slot << PAGE_SHIFT);
}

mm *pte_mm(machine *m, const pte_t *ptep) { return page_of(m, ptep)->mm; }

uint64_t pte_bits(uint64_t vm_flags)
{
	uint64_t bits = PTE_PRESENT;
	if (vm_flags & (VM_READ | VM_WRITE | VM_EXEC))
		bits |= PTE_USER;
	if (vm_flags & VM_WRITE)
		bits |= PTE_WRITE;
	if (!(vm_flags & VM_EXEC))
		bits |= PTE_NX;
	return bits | vma_pkey(vm_flags) << PTE_PKEY_SHIFT;
}

static TELLS void tell_flush(mm *mm, uint64_t addr)
{
	event_record(mm->machine, EVENT_TLB_FLUSH, addr, 1, FLUSH_LOCAL_SHOOTDOWN, 0, 0);
}

void pte_set(mm *mm, uint64_t addr, pte_t *ptep, pte_t pte)
{
	pte_t old = *ptep;
	*ptep = pte;
	if (!old != !pte)
		page_of(mm->machine, ptep)->used += pte ? 1 : -1u;
	if (!pte_present(old))
		return;
	struct tlb_entry *entry = tlb_slot(mm, addr);
	if ((entry->tag & PAGE_MASK) == (addr & PAGE_MASK))
		entry->tag = 0;
	/* A processor may still hold what it saw: it must set these bits again, too. */
	const uint64_t rights = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY;
	const uint64_t same = PTE_PFN_MASK | PTE_PKEY_MASK;
	if ((old & ~pte & (rights | same)) | (pte & ~old & (PTE_NX | same))) {
		mm->counters.tlb_generation++;
		if (is_told(mm->machine))
			tell_flush(mm, addr);
	}
}

static TELLS void tell_flush_mm(mm *mm)
{
	event_record(mm->machine, EVENT_TLB_FLUSH, 0, ~0ul, FLUSH_LOCAL_MM_SHOOTDOWN, 0, 0);
}

void tlb_flush_mm(mm *mm)
{
	memset(mm->tlb, 0, TLB_ENTRIES * sizeof(*mm->tlb));
	mm->counters.tlb_generation++;
	mm->machine->counters.tlb_flush++;
	if (is_told(mm->machine))
		tell_flush_mm(mm);
}

/* ---- one page leaving, entering and being counted ---- */

static uint64_t *rss_counter(mm *mm, const struct page *page)
{
	if (page->flags & PG_ANON)
		return &mm->counters.rss_anon;
	return page->flags & PG_SHMEM ? &mm->counters.rss_shmem : &mm->counters.rss_file;
}

void pte_count_in(mm *mm, const struct page *page)
{
	struct mm_counters *c = &mm->counters;
	++*rss_counter(mm, page);
	uint64_t rss = c->rss_anon + c->rss_file + c->rss_shmem;
	if (rss > c->hiwater_rss)
		c->hiwater_rss = rss;
}

static void zap_special(mm *mm, struct page *page, pte_t old)
{
	if (old & PTE_DIRTY)
		page_set_dirty(mm->machine, page);
	mm->counters.nr_special--;
	special_unpin(mm->machine, page);
	page_put(mm->machine, page);
}

/* A file's page keeps what the pte knew, but where the program has said how it reads. */
static void keep_bits(const struct vma *vma, struct page *page, pte_t old)
{
	machine *m = vma->mm->machine;
	if (page->flags & PG_ANON)
		return;
	if (old & PTE_DIRTY)
		page_set_dirty(m, page);
	if (old & PTE_ACCESSED && !(vma->flags & (VM_SEQ_READ | VM_RAND_READ)))
		page_mark_accessed(m, page);
}

INLINE void zap_mapped(const struct vma *vma, struct page *page, pte_t *ptep)
{
	machine *m = vma->mm->machine;
	--*rss_counter(vma->mm, page);
	rmap_remove(m, page, ptep);
	swap_release(m, page);
	if (page->used && page->flags & PG_ANON && !page->mapcount)
		page_orphan(m, page);
	page_put(m, page);
}

static void zap_pageless(mm *mm, pte_t old)
{
	if (pte_is_swap(old)) {
		mm->counters.nr_swap--;
		swap_put(mm->machine, pte_swap_entry(old));
	}
	if (pte_is_merged_zero(mm->machine, old))
		ksm_zero_gone(mm);
}

enum learning { LEARNS, LEARNS_NOTHING }; /* what a page does of the pte that goes */

INLINE void zap(mm *mm, struct vma *vma, uint64_t addr, pte_t *ptep, pte_t successor,
		enum learning learning)
{
	struct machine *m = mm->machine;
	pte_t old = *ptep;
	pte_set(mm, addr, ptep, successor);
	if (!pte_present(old) || pte_pfn(old) == m->zero_pfn) {
		zap_pageless(mm, old);
		return;
	}
	struct page *page = pfn_page(m, pte_pfn(old));
	if (vma->flags & VM_SPECIAL) {
		zap_special(mm, page, old);
		return;
	}
	if (learning == LEARNS)
		keep_bits(vma, page, old);
	if (vma->flags & VM_LOCKED)
		lru_rescue(m, page);
	zap_mapped(vma, page, ptep);
}

/* Empty one pte, leaving successor (0, a file pte, a swap pte), and let its page go. */
void zap_pte(mm *mm, struct vma *vma, uint64_t addr, pte_t *ptep, pte_t successor)
{
	zap(mm, vma, addr, ptep, successor, LEARNS);
}

/* The same where a copy takes the page's place. */
void zap_copied(mm *mm, struct vma *vma, uint64_t addr, pte_t *ptep, pte_t successor)
{
	zap(mm, vma, addr, ptep, successor, LEARNS_NOTHING);
}

void zap_range(struct vma *vma, uint64_t start, uint64_t end)
{
	if (vma->flags & VM_HUGETLB)
		huge_zap_range(vma, start, end);
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (*ptep)
				zap_pte(vma->mm, vma, addr, ptep, 0);
}

/* May this task write the page without a copy? */
static bool page_is_own(machine *m, const struct vma *vma, pte_t pte)
{
	if (vma->flags & (VM_SHARED | VM_SPECIAL))
		return true;
	const struct page *page = pfn_page(m, pte_pfn(pte));
	return (page->flags & (PG_ANON | PG_FORKED)) == PG_ANON && page->refcount - page->used == 1;
}

void protect_range(struct vma *vma, uint64_t start, uint64_t end)
{
	if (vma->flags & VM_HUGETLB)
		huge_protect_range(vma, start, end);
	uint64_t span, bits = pte_bits(vma->flags);
	pte_t *ptep;
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE) {
			if (!pte_present(*ptep))
				continue;
			const uint64_t kept = PTE_PFN_MASK | PTE_ACCESSED | PTE_DIRTY |
					      PTE_READONLY | PTE_UFFD_WP;
			pte_t pte = (*ptep & kept) | bits;
			bool waits = pte & (PTE_READONLY | PTE_UFFD_WP) ||
				     (vma_notes_stores(vma) && !(pte & PTE_DIRTY));
			if (waits || !page_is_own(vma->mm->machine, vma, pte))
				pte &= ~PTE_WRITE;
			pte_set(vma->mm, addr, ptep, pte);
		}
}

/* ---- fork ---- */

static void share_special(mm *to, pte_t *ptep, uint64_t addr, pte_t pte)
{
	struct page *page = pfn_page(to->machine, pte_pfn(pte));
	page_get(page);
	page->pins++;
	to->counters.nr_special++;
	pte_set(to, addr, ptep, pte);
}

static int64_t share_mapped(struct vma *child, struct vma *parent, pte_t *from, pte_t *to,
			    uint64_t addr)
{
	struct machine *m = child->mm->machine;
	int64_t err = rmap_reserve(m);
	if (err)
		return err;
	if (!(parent->flags & VM_SHARED) && *from & PTE_WRITE)
		pte_set(parent->mm, addr, from, *from & ~PTE_WRITE);
	struct page *page = pfn_page(m, pte_pfn(*from));
	page_get(page);
	if (page->flags & PG_ANON)
		page->flags |= PG_FORKED;
	/* The child has stored nothing; a file's page is dirty by itself. */
	bool clean = parent->flags & VM_SHARED && !vma_notes_stores(parent);
	pte_t kept = ~(PTE_ACCESSED | (clean ? PTE_DIRTY : 0));
	pte_set(child->mm, addr, to, pte_in(child, *from & kept));
	rmap_add(m, page, to);
	pte_count_in(child->mm, page);
	return 0;
}

static int64_t copy_pte(struct vma *child, struct vma *parent, pte_t *from, pte_t *to,
			uint64_t addr)
{
	struct machine *m = child->mm->machine;
	if (!pte_in(child, *from))
		return 0;
	if (pte_is_swap(*from)) {
		swap_get(m, pte_swap_entry(*from));
		child->mm->counters.nr_swap++;
		pte_set(parent->mm, addr, from, *from | PTE_FORKED);
	}
	if (HAS_BUG(BUG_FORK_FORGETS) && pte_is_file(*from))
		return 0;
	if (!pte_present(*from) || pte_pfn(*from) == m->zero_pfn) {
		pte_t dirty = pte_is_merged_zero(m, *from) ? PTE_DIRTY : 0; /* it merged nothing */
		pte_set(child->mm, addr, to, pte_in(child, *from) & ~dirty);
		return 0;
	}
	if (!(parent->flags & VM_SPECIAL))
		return share_mapped(child, parent, from, to, addr);
	share_special(child->mm, to, addr, *from);
	return 0;
}

int64_t copy_range(struct vma *child, struct vma *parent)
{
	if (parent->flags & VM_HUGETLB)
		return huge_copy_range(child, parent);
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = parent->start;
	     (ptep = pt_next(parent->mm, &addr, parent->end, &span));) {
		pte_t *to = pt_alloc(child->mm, addr);
		if (!to)
			return no_memory(child->mm->machine);
		for (; span; span--, ptep++, to++, addr += PAGE_SIZE) {
			int64_t err = *ptep ? copy_pte(child, parent, ptep, to, addr) : 0;
			if (err)
				return err;
		}
	}
	return 0;
}

/* ---- mremap: tables for the new place first, so that moving cannot fail ---- */

int64_t move_prepare(struct vma *vma, uint64_t old_addr, uint64_t new_addr, uint64_t len)
{
	mm *mm = vma->mm;
	uint64_t span;
	if (vma->flags & VM_HUGETLB)
		return huge_move_prepare(mm, old_addr, new_addr, len);
	for (uint64_t addr = old_addr; pt_next(mm, &addr, old_addr + len, &span);) {
		uint64_t to = addr - old_addr + new_addr, nbytes = span << PAGE_SHIFT;
		if (pt_alloc_range(mm, to, to + nbytes)) {
			pt_prune(mm, new_addr, new_addr + len);
			return no_memory(mm->machine);
		}
		addr += nbytes;
	}
	return 0;
}

static void move_pte(mm *mm, struct vma *vma, pte_t *from, uint64_t old_addr, uint64_t new_addr)
{
	struct machine *m = mm->machine;
	pte_t pte = *from, *to = pt_walk(mm, new_addr);
	pte_set(mm, old_addr, from, 0);
	pte_set(mm, new_addr, to, pte_in(vma, pte));
	if (pte_present(pte) && pte_pfn(pte) != m->zero_pfn && !(vma->flags & VM_SPECIAL))
		rmap_move(m, pfn_page(m, pte_pfn(pte)), from, to);
}

void move_range(struct vma *vma, uint64_t old_addr, uint64_t new_addr, uint64_t len)
{
	mm *mm = vma->mm;
	if (vma->flags & VM_HUGETLB)
		huge_move_range(vma, old_addr, new_addr, len);
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = old_addr; (ptep = pt_next(mm, &addr, old_addr + len, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (*ptep)
				move_pte(mm, vma, ptep, addr, addr - old_addr + new_addr);
}

/* ---- what Python reads ---- */

int64_t mm_walk(mm *mm, uint64_t addr, uint64_t *entries)
{
	pte_t *table = mm->pgd;
	memset(entries, 0, LEVELS * sizeof(*entries));
	for (int level = LEVELS - 1; level >= 0; level--) {
		pte_t entry = *entry_in(table, addr, level);
		entries[LEVELS - 1 - level] = entry;
		if (!pte_present(entry) || (level && entry & PTE_HUGE))
			return LEVELS - 1 - level;
		table = table_below(mm, entry);
	}
	return LEVELS;
}

/* The entry that translates addr, or the marker there, as if every page were small. */
pte_t pte_at(mm *mm, uint64_t addr)
{
	const pte_t *ptep = pt_walk(mm, addr), *pmdp = ptep ? NULL : pmd_walk(mm, addr);
	if (ptep)
		return *ptep;
	if (pmdp && pte_is_marker(*pmdp))
		return pte_marker(pte_marker_kind(*pmdp));
	if (!pmdp || !pte_present(*pmdp) || !(*pmdp & PTE_HUGE))
		return 0;
	return (*pmdp & ~PTE_HUGE) + (addr & ~HUGE_MASK & PAGE_MASK);
}

#define MARKER_TYPE 31ul /* what Linux 6.18 shows for a marker: a swap entry of its own type */
#define PM_UFFD_WP (1ul << 57)
#define PM_GUARD (1ul << 58)
#define PM_SWAP (1ul << 62)

static uint64_t marker_word(uint64_t kind)
{
	uint64_t word = PM_SWAP | MARKER_TYPE | kind << 5;
	if (kind == MARKER_GUARD)
		word |= PM_GUARD;
	return kind == MARKER_UFFD_WP ? word | PM_UFFD_WP : word;
}

/* Of a marker in a large page's place Linux shows only that it is write-protected. */
static uint64_t large_marker_word(uint64_t kind) { return kind == MARKER_UFFD_WP ? PM_UFFD_WP : 0; }

/*
 * pagemap's word: bits 0-54 pfn, or swap type and offset; 57 write-protected by a
 * userfaultfd, 58 guard, 61 file or shared, 62 swap, 63 present.
 */
static uint64_t pagemap_word(machine *m, pte_t pte)
{
	uint64_t wp = pte_is_wp(pte) ? PM_UFFD_WP : 0;
	if (pte_is_swap(pte))
		return PM_SWAP | wp | pte_swap_entry(pte);
	if (pte_is_marker(pte))
		return marker_word(pte_marker_kind(pte)) | wp;
	if (!pte_present(pte))
		return 0;
	const struct page *page = pfn_page(m, pte_pfn(pte));
	uint64_t word = 1ul << 63 | wp | pte_pfn(pte);
	const uint64_t file = 1ul << 61, exclusive = 1ul << 56;
	if (page->flags & (PG_HUGE | PG_TAIL)) {
		const struct page *head = pfn_page(m, pte_pfn(pte) & -(uint64_t)HUGE_PAGES);
		uint64_t cached = !!(head->flags & PG_CACHE);
		word |= head->refcount - cached == 1 ? exclusive : 0;
		return cached ? word | file : word;
	}
	if (page->mapcount == 1)
		word |= exclusive;
	return page->flags & (PG_ANON | PG_RESERVED) ? word : word | file;
}

int64_t mm_pagemap(mm *mm, uint64_t vpn, uint64_t nr, uint64_t *out)
{
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t addr = (vpn + i) << PAGE_SHIFT;
		pte_t pte = addr < mm->counters.task_size ? pte_at(mm, addr) : 0;
		out[i] = pte_is_marker(pte) && !pt_walk(mm, addr)
				 ? large_marker_word(pte_marker_kind(pte))
				 : pagemap_word(mm->machine, pte);
	}
	return (int64_t)nr;
}
