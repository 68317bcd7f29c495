/*
 * inspect.c - questions about a machine: pages, who maps them, tables, lists, swap.
 *
 * Whatever is asked here changes nothing: no access bit, no list, no cache of a
 * search, no counter (what the reverse maps count in a walk is put back), and
 * takes no page.  So whoever looks sees what would have been without him.
 */
#include "core.h"
#include "sizes.h"

uint64_t pgd_of(const mm *mm) { return page_pfn(mm->machine, page_of(mm->machine, mm->pgd)); }

uint64_t mm_pgd(mm *mm) { return pgd_of(mm); }

/* ---- page frames ---- */

uint64_t anon_place(const machine *m, const struct anon_vma *anon)
{
	return anon ? (uint64_t)((const char *)anon - m->arena) : 0;
}

/* Of one that is just being made, or goes, too: it may have no owner yet. */
static uint64_t owner_of(const machine *m, const struct page *page)
{
	if (page->flags & PG_ANON)
		return page->flags & PG_KSM ? 0 : anon_place(m, page->anon_vma);
	if (page->flags & PG_TABLE)
		return page->mm ? pgd_of(page->mm) : 0;
	if (page->flags & PG_SLAB) /* an address space's TLB is of no cache */
		return page->cache ? (uint64_t)(page->cache - m->caches) : NR_CACHES;
	return page->flags & PG_CACHE && page->mapping ? page->mapping->cookie : 0;
}

static uint32_t blocks_of(const struct page *page)
{
	const uint32_t kernel = PG_TABLE | PG_SLAB | PG_DIRECT | PG_RESERVED | PG_HUGE | PG_TAIL;
	uint32_t nr = 0;
	if (page->flags & kernel)
		return 0;
	for (const struct chain *block = page->chain; block; block = block->next)
		nr++;
	return nr;
}

static bool is_in_use(machine *m, uint64_t pfn)
{
	return handed_out_from(m, pfn) == pfn && !(m->pages[pfn].flags & PG_FREE);
}

struct frame_info frame_at(machine *m, uint64_t pfn)
{
	const uint32_t no_index = PG_SLAB | PG_KSM; /* an address of the host's */
	const struct page *page = &m->pages[pfn];
	uint32_t node = (uint32_t)page_nid(m, page);
	if (!is_in_use(m, pfn))
		return (struct frame_info){ .flags = PG_FREE, .node = node };
	return (struct frame_info){
		.owner = owner_of(m, page),
		.index = page->flags & no_index ? 0 : page->index,
		.flags = page->flags,
		.refcount = page->refcount,
		.mapcount = page->mapcount,
		.pins = page->pins,
		.used = page->used,
		.entry = page->flags & PG_SWAPCACHE ? page->entry : 0,
		.blocks = blocks_of(page),
		.node = node,
	};
}

uint64_t machine_frames_end(machine *m) { return handed_out_end(m); }

int64_t machine_frames(machine *m, uint64_t first, uint64_t nr, struct frame_info *out)
{
	if (first > m->nr_pages || nr > m->nr_pages - first)
		return -EINVAL;
	for (uint64_t i = 0; i < nr; i++)
		out[i] = frame_at(m, first + i);
	return 0;
}

/* ---- who maps a page ---- */

struct answer {
	struct mapper *out;
	uint64_t nr, max;
};

static struct mapper mapper_at(machine *m, const pte_t *ptep)
{
	const mm *mm = pte_mm(m, ptep);
	uint64_t addr = pte_addr(m, ptep);
	const struct vma *vma = vma_peek(mm, addr);
	return (struct mapper){ pgd_of(mm), addr, *ptep, vma ? vma->start : 0 };
}

static bool note(machine *m, struct page *page, pte_t *ptep, void *arg)
{
	struct answer *a = arg;
	(void)page;
	if (a->nr < a->max)
		a->out[a->nr] = mapper_at(m, ptep);
	a->nr++;
	return true;
}

static bool has_chain(const machine *m, const struct page *page)
{
	if (m->rmap == &rmap_objrmap)
		return page->flags & PG_ANON;
	if (m->rmap == &rmap_objrmap_tree)
		return page->flags & PG_KSM;
	return m->rmap->kind == RMAP_KNOWS_PTES;
}

static bool can_ask(const machine *m, const struct page *page, uint64_t design)
{
	bool file = !(page->flags & PG_ANON);
	switch (design) {
	case RMAP_PTE_CHAIN:
		return has_chain(m, page);
	case RMAP_OBJRMAP:
		return file ? m->rmap->keeps & KEEPS_LIST : has_chain(m, page);
	case RMAP_OBJRMAP_TREE:
		return file ? m->rmap->keeps & KEEPS_TREE
			    : !(page->flags & PG_KSM) || has_chain(m, page);
	default:
		return true; /* the virtual scan reads tables, which there always are */
	}
}

static void walk(machine *m, struct page *page, const struct rmap_design_ops *design,
		 struct answer *a)
{
	struct rmap_search s = { m, page, note, a, page->mapcount };
	if (!s.left)
		return;
	design->walk(&s);
	bool file = design->kind == RMAP_SEARCHES && !(page->flags & PG_ANON);
	for (struct vma *vma = file ? page->mapping->nonlinear : NULL; vma && s.left;
	     vma = vma->nonlinear_next)
		rmap_search_tables(&s, vma);
}

static bool has_mappers(machine *m, uint64_t pfn) /* as far as reverse maps go */
{
	const uint32_t others = PG_TABLE | PG_SLAB | PG_RESERVED | PG_HUGE | PG_TAIL;
	return is_in_use(m, pfn) && !(m->pages[pfn].flags & others);
}

int64_t machine_mappers(machine *m, uint64_t pfn, uint64_t design, struct mapper *out, uint64_t max,
			struct rmap_work *work)
{
	static const struct rmap_design_ops *const designs[NR_RMAP_DESIGNS] = {
		[RMAP_PTE_CHAIN] = &rmap_pte_chain,
		[RMAP_OBJRMAP_TREE] = &rmap_objrmap_tree,
		[RMAP_OBJRMAP] = &rmap_objrmap,
		[RMAP_VIRTUAL_SCAN] = &rmap_virtual_scan,
	};
	if (pfn >= m->nr_pages || design >= NR_RMAP_DESIGNS || !designs[design])
		return -EINVAL;
	*work = (struct rmap_work){ 0 };
	if (!has_mappers(m, pfn))
		return 0;
	struct page *page = pfn_page(m, pfn);
	if (!can_ask(m, page, design))
		return -ENODATA;
	struct counters before = m->counters;
	struct answer a = { out, 0, max };
	walk(m, page, designs[design], &a);
	*work = (struct rmap_work){
		m->counters.rmap_vma_visits - before.rmap_vma_visits,
		m->counters.rmap_pte_visits - before.rmap_pte_visits,
		m->counters.rmap_block_touches - before.rmap_block_touches,
	};
	m->counters = before;
	return (int64_t)a.nr;
}

int64_t machine_pinners(machine *m, uint64_t pfn, struct mapper *out, uint64_t max)
{
	struct answer a = { out, 0, max };
	uint64_t span;
	pte_t *ptep;
	for (mm *mm = m->mms; mm; mm = mm->next)
		for (struct vma *vma = mm->first; vma; vma = vma->next)
			for (uint64_t addr = vma->start;
			     vma->flags & VM_SPECIAL &&
			     (ptep = pt_next(mm, &addr, vma->end, &span));)
				for (; span; span--, ptep++, addr += PAGE_SIZE)
					if (pte_present(*ptep) && pte_pfn(*ptep) == pfn)
						note(m, NULL, ptep, &a);
	return (int64_t)a.nr;
}

/* ---- lists, swap, cursors ---- */

int64_t machine_lru(machine *m, uint64_t list, uint64_t *pfns, uint64_t max)
{
	uint64_t nr = 0;
	if (list >= NR_LRU_LISTS)
		return -EINVAL;
	for (uint32_t pfn = m->lru[list].head; pfn; pfn = m->pages[pfn].next, nr++)
		if (nr < max)
			pfns[nr] = pfn;
	return (int64_t)nr;
}

void machine_swap_info(machine *m, uint64_t area, struct swap_info *out)
{
	*out = (struct swap_info){ 0 };
	if (area >= NR_SWAP_AREAS || !m->swap[area].nr_slots)
		return;
	const struct swap_area *a = &m->swap[area];
	*out = (struct swap_info){ a->nr_slots, a->nr_used, a->next, a->closing, a->prio };
}

int64_t machine_swap_slots(machine *m, uint64_t area, struct swap_slot *out, uint64_t max)
{
	const struct swap_area *a = &m->swap[area];
	if (area >= NR_SWAP_AREAS)
		return -EINVAL;
	for (uint64_t slot = 0; slot < a->nr_slots && slot < max; slot++)
		out[slot] = (struct swap_slot){ a->count[slot], a->cached[slot] };
	return (int64_t)a->nr_slots;
}

void machine_cursors(machine *m, struct cursors *out)
{
	*out = (struct cursors){
		m->scan_mm ? pgd_of(m->scan_mm) : 0,
		m->scan_mm ? m->scan_mm->scan_addr : 0,
		m->ksm_cursor ? pgd_of(m->ksm_cursor) : 0,
		m->ksm_cursor ? m->ksm_addr : 0,
	};
}

/* ---- mappings ---- */

mapping *machine_mapping(machine *m, uint64_t cookie)
{
	mapping *mp = m->mappings;
	while (mp && mp->cookie != cookie)
		mp = mp->next;
	return mp;
}

int64_t mapping_items(mapping *mp, uint64_t from, struct item_info *out, uint64_t max)
{
	uint64_t nr = 0, index = from;
	for (void *item; (item = index_next(mp, &index)); index++) {
		struct item_info info = { .index = index };
		if (item_is_page(item))
			info.pfn = page_pfn(mp->machine, item);
		else if (item_is_swap(item))
			info.entry = item_entry(item);
		else
			continue; /* promised only */
		if (nr < max)
			out[nr] = info;
		nr++;
	}
	return (int64_t)nr;
}

uint64_t cursor_of(const struct vma *vma)
{
	return vma->flags & VM_NONLINEAR ? vma->start + vma->cursor : 0;
}

int64_t mapping_showings(mapping *mp, struct showing *out, uint64_t max)
{
	uint64_t nr = 0;
	for (const mm *mm = mp->machine->mms; mm; mm = mm->next)
		for (const struct vma *vma = mm->first; vma; vma = vma->next) {
			if (vma_mapping(vma) != mp)
				continue;
			if (nr < max)
				out[nr] =
					(struct showing){ pgd_of(mm), vma->start, vma->end,
							  vma->pgoff, vma->flags, cursor_of(vma) };
			nr++;
		}
	return (int64_t)nr;
}

/* ---- entries of page tables ---- */

static uint64_t kind_of(const machine *m, pte_t entry, uint64_t level)
{
	if (pte_present(entry) && level)
		return entry & PTE_HUGE ? ENTRY_LARGE_PAGE : ENTRY_TABLE;
	if (pte_present(entry))
		return pte_pfn(entry) == m->zero_pfn ? ENTRY_ZERO_PAGE : ENTRY_PAGE;
	if (pte_is_marker(entry))
		return ENTRY_MARKER;
	if (level)
		return entry & PTE_PROMISED ? ENTRY_PROMISE : ENTRY_NOTHING;
	if (pte_is_swap(entry))
		return ENTRY_SWAP;
	return pte_is_file(entry) ? ENTRY_FILE : ENTRY_NOTHING;
}

static uint64_t number_of(pte_t entry, uint64_t kind)
{
	switch (kind) {
	case ENTRY_SWAP:
		return pte_swap_entry(entry);
	case ENTRY_FILE:
		return pte_file_index(entry);
	case ENTRY_NOTHING:
	case ENTRY_PROMISE:
		return 0;
	default:
		return pte_pfn(entry);
	}
}

static uint64_t notes_of(pte_t entry, uint64_t kind)
{
	bool page = kind == ENTRY_PAGE || kind == ENTRY_ZERO_PAGE;
	return (page && entry & PTE_READONLY ? ENTRY_READONLY : 0) |
	       (pte_is_wp(entry) ? ENTRY_UFFD_WP : 0) |
	       (kind == ENTRY_LARGE_PAGE && entry & PTE_PROMISED ? ENTRY_PROMISED : 0);
}

void machine_entry(machine *m, uint64_t entry, uint64_t level, struct entry_info *out)
{
	uint64_t kind = kind_of(m, entry, level);
	*out = (struct entry_info){ kind, number_of(entry, kind), notes_of(entry, kind) };
}

/* ---- address spaces ---- */

static uint64_t rights_of(uint64_t tag)
{
	return (tag & TLB_READ ? PROT_READ : 0) | (tag & TLB_WRITE ? PROT_WRITE : 0) |
	       (tag & TLB_EXEC ? PROT_EXEC : 0);
}

int64_t mm_tlb(mm *mm, struct tlb_info *out, uint64_t max)
{
	uint64_t nr = 0;
	for (const struct tlb_entry *e = mm->tlb; e < mm->tlb + TLB_ENTRIES; e++) {
		if (!rights_of(e->tag))
			continue;
		if (nr < max)
			out[nr] = (struct tlb_info){ e->tag & PAGE_MASK, e->frame >> PAGE_SHIFT,
						     rights_of(e->tag) };
		nr++;
	}
	return (int64_t)nr;
}

struct listing {
	mm *mm;
	struct pte_info *out;
	uint64_t nr, max;
};

static void put(struct listing *l, uint64_t addr, pte_t pte, uint64_t nr_pages)
{
	if (pte && l->nr < l->max)
		l->out[l->nr] = (struct pte_info){ addr, pte, nr_pages };
	l->nr += !!pte;
}

static void list_small(struct listing *l, uint64_t start, uint64_t end)
{
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = start; (ptep = pt_next(l->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			put(l, addr, *ptep, 1);
}

static void list_large(struct listing *l, uint64_t start, uint64_t end)
{
	const pte_t *pmdp;
	for (uint64_t addr = start & HUGE_MASK; (pmdp = pmd_next(l->mm, &addr, end));
	     addr += HUGE_SIZE)
		put(l, addr, *pmdp, HUGE_PAGES);
}

int64_t mm_ptes(mm *mm, uint64_t from, uint64_t end, struct pte_info *out, uint64_t max)
{
	struct listing l = { mm, out, 0, max };
	for (const struct vma *vma = vma_peek(mm, from); vma && vma->start < end; vma = vma->next) {
		uint64_t low = vma->start > from ? vma->start : from;
		uint64_t high = vma->end < end ? vma->end : end;
		(vma->flags & VM_HUGETLB ? list_large : list_small)(&l, low, high);
	}
	return (int64_t)l.nr;
}

uint64_t mm_vma_cursor(mm *mm, uint64_t addr)
{
	const struct vma *vma = vma_peek(mm, addr);
	return vma && vma->start <= addr ? cursor_of(vma) : 0;
}
