/*
 * check.c - recounts everything from nothing.
 *
 * machine_check() walks every list, tree and table of a machine, adds up what
 * it finds in scratch memory of the host's, and compares.  It trusts no counter
 * and changes nothing (the work counters that rmap_walk() moves are put back).
 * Each line of the report names the invariant that does not hold:
 *
 *   I1  a present pte names a live page, of a kind that its VMA may show
 *   I2  refcount = ptes + page cache + pins + holds; table and slab pages: 1
 *   I3  mapcount = ptes, those of special VMAs and of the zero page excepted
 *   I4  the reverse map finds exactly those ptes, each once
 *   I5  a free page is on its node's free list once, unused, and poisoned if asked;
 *       a page from its node's `fresh` on was never handed out; the nodes' nr_free right
 *   I6  VMAs are aligned, non-empty, below task_size, sorted and disjoint
 *   I7  the tree of VMAs is a treap, agrees with the list; gap, max_gap right
 *   I8  a file's VMA is on its mapping's tree, list (what the reverse map
 *       keeps) or nonlinear list exactly once, another one on
 *       none; max_last and the order by pgoff right
 *   I9  no pte shows a page beyond the end of its file; a linear one shows the
 *       page of its place; file ptes stand in nonlinear VMAs only, guards
 *       in VMAs marked for them, no marker in special or nonlinear ones
 *   I10 a pte has its VMA's key, a writable one lies within its rights, and in a private VMA
 *       names an anonymous page that no one else refers to
 *   I11 pins = ptes of special VMAs, and nr_special = pages with pins
 *   I12 a table is reached once; its `used`, mm and index are right
 *   I13 a slab page's used + free objects fill it; live = the objects found
 *   I14 the machine's counters = the recount
 *   I15 an mm's counters = the recount
 *   I16 a mapping's index: each page once, at its index; node counts right
 *   I17 a TLB entry says no more than its pte and PKRU
 *   I18 references to files and mappings cover those who hold them
 *   I19 an anon_vma's list holds its VMAs; nr_vmas, nr_pages right
 *   I20 nr_committed = pages of VM_ACCOUNT VMAs + those that mappings are charged for:
 *       all that was promised, or what is there
 *   I21 a page is on the list its flags say, once; pages of special VMAs and
 *       the kernel's own on none; the lists' counters right
 *   I22 a swap slot's count = ptes and index items that name it; the swap cache
 *       names pages that name it; a page in it is not writable; an anonymous
 *       page without anon_vma is in it, clean and unmapped; totals right
 *   I23 every pgd ends with the machine's own tables, and only their frames are reserved
 *   I24 a large page is 512 aligned frames, in the pool or in use; refcount =
 *       entries + page cache, pins = those of special VMAs; such entries stand in
 *       large VMAs only, writable in a private one only if it is its own
 *   I25 nr_huge_reserved = promises in entries and indexes that are to be kept, and
 *       what quotas still keep, at most nr_huge_free; only private large VMAs have
 *       some in entries
 *
 *   I26 a VMA has a context and VM_UFFD modes, or neither; nr_vmas = VMAs that name it; what
 *       is write-protected stands in VMAs with VM_UFFD_WP, and is not writable
 *
 *   I27 a policy's refcount = VMAs and ranges of files that follow it; the ranges of a file
 *       are ordered and disjoint, and only memory files have some
 *
 *   I28 a page shared by content is its node's, maps nothing writable and stands in one stable
 *       tree; items are ordered, and counted by their mm and their node; pages merged
 *       with the zero page are counted; the machine's totals right
 *
 * That neighbours which could be one VMA are one is not checked here.
 */
#include "core.h"
#include "sizes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLE_LEVELS 4
#define FRESH_SAMPLE 64 /* struct pages past `fresh` that are looked at */

struct tally { /* what was found to refer to one page */
	uint32_t ptes, pins, cached, tables, free, tlb, partial, found, listed, swapcached, pooled;
};

struct bag { /* pointers, sorted before they are counted */
	const void **items;
	size_t nr, room;
};

struct check {
	machine *m;
	char *report;
	uint64_t size, at;
	int64_t faults;
	bool failed;         /* the host's memory ran out */
	struct tally *tally; /* by pfn */
	uint64_t *unseen;    /* bit for each pte that the rmap must find */
	struct counters sum;
	struct mm_counters mm_sum;
	struct vma *cursor;  /* in the walk of an mm's tables */
	uint64_t nr_ptes;    /* in the walk of one page's reverse map */
	uint64_t nr_swapped; /* in the walk of one mapping's index */
	uint64_t live[NR_CACHES];
	uint64_t nr_anon_members;
	uint64_t nr_merged_zero; /* ptes of one mm */
	uint64_t nr_ksm_pages, nr_holds;
	struct ksm ksm;                 /* what was found */
	uint32_t *slots[NR_SWAP_AREAS]; /* by slot: ptes and index items found */
	struct bag anon_pages, file_vmas, linear_vmas, nonlinear_vmas, writable_vmas, mapping_files,
		uffd_vmas, followers;
};

/* ---- reporting ---- */

__attribute__((format(printf, 3, 4))) static void fault(struct check *c, int invariant,
							const char *format, ...)
{
	char line[200];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	c->faults++;
	if (c->at >= c->size)
		return;
	int n = snprintf(c->report + c->at, c->size - c->at, "I%d: %s\n", invariant, line);
	c->at += (uint64_t)n;
}

static void same(struct check *c, int invariant, const char *what, uint64_t is, uint64_t counted)
{
	if (is != counted)
		fault(c, invariant, "%s %lu, counted %lu", what, is, counted);
}

static void page_same(struct check *c, int invariant, uint64_t pfn, const char *what, uint64_t is,
		      uint64_t counted)
{
	if (is != counted)
		fault(c, invariant, "page %lu: %s %lu, counted %lu", pfn, what, is, counted);
}

static bool pfn_usable(struct check *c, uint64_t pfn)
{
	return pfn > c->m->zero_pfn && pfn < c->m->nr_pages && handed_out_from(c->m, pfn) == pfn;
}

static uint64_t first_used(const machine *m) { return handed_out_from(m, m->zero_pfn + 1); }

/* ---- bags ---- */

static void bag_add(struct check *c, struct bag *bag, const void *item)
{
	if (bag->nr == bag->room) {
		size_t room = bag->room ? 2 * bag->room : 64;
		const void **items = realloc(bag->items, room * sizeof(*items));
		if (!items) {
			c->failed = true;
			return;
		}
		bag->items = items;
		bag->room = room;
	}
	bag->items[bag->nr++] = item;
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
	return (x > y) - (x < y);
}

static void bag_sort(struct bag *bag)
{
	if (bag->nr)
		qsort(bag->items, bag->nr, sizeof(*bag->items), by_address);
}

static size_t bag_below(const struct bag *bag, uintptr_t limit)
{
	size_t low = 0, high = bag->nr;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if ((uintptr_t)bag->items[middle] < limit)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint64_t bag_count(const struct bag *bag, const void *item)
{
	return bag_below(bag, (uintptr_t)item + 1) - bag_below(bag, (uintptr_t)item);
}

/* ---- I5: free pages ---- */

static void check_free_list(struct check *c, const struct node *node)
{
	machine *m = c->m;
	uint64_t nr = node->end - node->fresh;
	for (uint64_t pfn = node->free_list; pfn; pfn = m->pages[pfn].next, nr++) {
		if (!pfn_usable(c, pfn)) {
			fault(c, 5, "page %lu on the free list was never handed out", pfn);
			return;
		}
		if (c->tally[pfn].free++) {
			fault(c, 5, "page %lu is on the free list twice", pfn);
			return;
		}
		if (pfn_node(m, pfn) != node)
			fault(c, 5, "page %lu: on another node's free list", pfn);
		if (m->poison && !is_filled(pfn_data(m, pfn), POISON_BYTE, PAGE_SIZE))
			fault(c, 5, "page %lu: free, but written to", pfn);
	}
	same(c, 5, "node: nr_free", node->nr_free, nr);
	c->sum.nr_free += nr;
}

static void check_fresh(struct check *c, const struct node *node)
{
	machine *m = c->m;
	for (uint64_t pfn = node->fresh; pfn < node->end && pfn < node->fresh + FRESH_SAMPLE; pfn++)
		if (m->pages[pfn].flags || m->pages[pfn].refcount)
			fault(c, 5, "page %lu: in use, but never handed out", pfn);
}

static void check_nodes(struct check *c)
{
	for (uint64_t nid = 0; nid < c->m->nr_nodes; nid++) {
		check_free_list(c, &c->m->nodes[nid]);
		check_fresh(c, &c->m->nodes[nid]);
	}
}

/* ---- I16: the index of a mapping ---- */

static void check_cached(struct check *c, mapping *mp, uint64_t index, struct page *page)
{
	uint64_t pfn = (uint64_t)(page - c->m->pages);
	if (!pfn_usable(c, pfn)) {
		fault(c, 16, "mapping %lu: index %lu names page %lu", mp->cookie, index, pfn);
		return;
	}
	c->tally[pfn].cached++;
	if (mp->flags & MAPPING_HUGE) {
		if (!(page->flags & PG_HUGE) || page->index != index)
			fault(c, 24, "page %lu: not the large page of index %lu", pfn, index);
		return;
	}
	c->sum.nr_file++;
	if (!(page->flags & PG_CACHE) || page->mapping != mp || page->index != index) {
		fault(c, 16, "page %lu: mapping %lu holds it at %lu, flags %#x index %lu", pfn,
		      mp->cookie, index, page->flags, page->index);
		return;
	}
	bool shmem = page->flags & PG_SHMEM;
	if (shmem != !!(mp->flags & MAPPING_MEMORY))
		fault(c, 16, "page %lu: PG_SHMEM disagrees with its mapping", pfn);
	c->sum.nr_shmem += shmem;
	c->sum.nr_dirty += page->flags & PG_DIRTY && mp->flags & MAPPING_WRITEBACK;
}

static void count_entry(struct check *c, uint32_t entry, const char *who)
{
	uint64_t type = entry & ((1u << SWAP_TYPE_BITS) - 1), slot = entry >> SWAP_TYPE_BITS;
	if (type >= NR_SWAP_AREAS || !slot || slot >= c->m->swap[type].nr_slots)
		fault(c, 22, "%s names swap entry %#x, which is in no area", who, entry);
	else if (c->slots[type])
		c->slots[type][slot]++;
}

static void check_swapped(struct check *c, const mapping *mp, uint64_t index, uint32_t entry)
{
	c->nr_swapped++;
	count_entry(c, entry, "an index");
	if (!(mp->flags & MAPPING_MEMORY))
		fault(c, 22, "mapping %lu: index %lu is in swap", mp->cookie, index);
}

static uint64_t check_node(struct check *c, mapping *mp, struct radix_node *node, uint32_t level,
			   uint64_t base)
{
	uint64_t pages = 0, used = 0;
	c->live[CACHE_RADIX]++;
	for (uint64_t i = 0; i < RADIX_SLOTS; i++) {
		uint64_t index = base + (i << (level * RADIX_BITS));
		if (!node->slots[i])
			continue;
		used++;
		if (level)
			pages += check_node(c, mp, node->slots[i], level - 1, index);
		else if (node->slots[i] == ITEM_PROMISED && mp->flags & MAPPING_HUGE)
			c->sum.nr_huge_reserved++;
		else if (item_is_swap(node->slots[i]))
			check_swapped(c, mp, index, item_entry(node->slots[i]));
		else {
			check_cached(c, mp, index, node->slots[i]);
			pages += mp->flags & MAPPING_HUGE ? HUGE_PAGES : 1;
		}
	}
	if (!used || used != node->count)
		fault(c, 16, "mapping %lu: node at %lu counts %u, has %lu", mp->cookie, base,
		      node->count, used);
	return pages;
}

static void check_index(struct check *c, mapping *mp)
{
	if (!mp->root != !mp->height)
		fault(c, 16, "mapping %lu: height %u", mp->cookie, mp->height);
	c->nr_swapped = 0;
	uint64_t pages = mp->root ? check_node(c, mp, mp->root, mp->height - 1, 0) : 0;
	c->sum.nr_committed += mp->charged;
	if (mp->flags & MAPPING_MEMORY && !(mp->flags & (MAPPING_HUGE | MAPPING_RESERVED)))
		same(c, 20, "mapping: charged", mp->charged, pages + c->nr_swapped);
	same(c, 22, "mapping: nr_swapped", mp->nr_swapped, c->nr_swapped);
	if (pages != mp->nr_pages)
		fault(c, 16, "mapping %lu: nr_pages %lu, counted %lu", mp->cookie, mp->nr_pages,
		      pages);
}

/* ---- I6, I7: the VMAs of an address space ---- */

static void check_bounds(struct check *c, const mm *mm, const struct vma *vma)
{
	if ((vma->start | vma->end) & ~PAGE_MASK || vma->start >= vma->end)
		fault(c, 6, "vma %#lx-%#lx: not a range of pages", vma->start, vma->end);
	if (vma->end > mm->counters.task_size)
		fault(c, 6, "vma %#lx-%#lx: beyond task_size", vma->start, vma->end);
	if (vma->prev && vma->prev->end > vma->start)
		fault(c, 6, "vma %#lx: overlaps the one before", vma->start);
	if (vma->mm != mm || (vma->prev ? vma->prev->next : mm->first) != vma ||
	    (vma->next ? vma->next->prev : mm->last) != vma)
		fault(c, 6, "vma %#lx: wrong mm or list links", vma->start);
	if (vma->flags & VM_SPECIAL && (vma->file || vma->anon_vma))
		fault(c, 6, "vma %#lx: special, but not without file and anon_vma", vma->start);
}

static void check_gap(struct check *c, const struct vma *vma)
{
	uint64_t low = vma->prev ? vma->prev->end : 0, high = vma->start;
	uint64_t gap = high > low ? high - low : 0;
	if (vma->gap != gap)
		fault(c, 7, "vma %#lx: gap %#lx, is %#lx", vma->start, vma->gap, gap);
}

static bool links_right(struct check *c, int invariant, const struct tree_node *node)
{
	const struct tree_node *below[] = { node->left, node->right };
	for (int i = 0; i < 2; i++)
		if (below[i] && (below[i]->parent != node || below[i]->priority > node->priority)) {
			fault(c, invariant, "a tree node's child has a wrong parent or priority");
			return false;
		}
	return true;
}

/* In order, along with the list: c->cursor.  Returns the subtree's max_gap. */
static uint64_t check_addr_tree(struct check *c, const struct tree_node *node)
{
	if (!node || !links_right(c, 7, node))
		return 0;
	const struct vma *vma = container_of(node, struct vma, by_addr);
	uint64_t left = check_addr_tree(c, node->left), most = vma->gap;
	if (vma != c->cursor)
		fault(c, 7, "vma %#lx: tree and list disagree", vma->start);
	else
		c->cursor = vma->next;
	uint64_t right = check_addr_tree(c, node->right);
	most = left > most ? left : most;
	most = right > most ? right : most;
	if (vma->max_gap != most)
		fault(c, 7, "vma %#lx: max_gap %#lx, is %#lx", vma->start, vma->max_gap, most);
	return most;
}

static void sum_vma(struct check *c, const struct vma *vma)
{
	struct mm_counters *s = &c->mm_sum;
	uint64_t n = vma_pages(vma);
	s->map_count++;
	s->total_vm += n;
	s->locked_vm += vma->flags & VM_LOCKED ? n : 0;
	if (vma->flags & VM_GROWSDOWN)
		s->stack_vm += n;
	else if ((vma->flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
		s->data_vm += n;
	else if ((vma->flags & (VM_EXEC | VM_WRITE)) == VM_EXEC)
		s->exec_vm += n;
	c->sum.nr_committed += vma->flags & VM_ACCOUNT ? n : 0;
	c->live[CACHE_VMA]++;
	c->nr_anon_members += vma->anon_vma != NULL;
}

static void collect_file(struct check *c, const struct vma *vma)
{
	const uint64_t writes = VM_SHARED | VM_MAYWRITE;
	const mapping *mp = vma_mapping(vma);
	if (!vma->file)
		return;
	bag_add(c, &c->file_vmas, vma->file);
	bag_add(c, vma->flags & VM_NONLINEAR ? &c->nonlinear_vmas : &c->linear_vmas, mp);
	if ((vma->flags & writes) == writes)
		bag_add(c, &c->writable_vmas, mp);
}

/* ---- I19 ---- */

static void check_anon_list(struct check *c, const struct anon_vma *anon)
{
	uint64_t nr = 0;
	c->live[CACHE_ANON_VMA]++;
	for (const struct vma *vma = anon->first, *prev = NULL; vma;
	     prev = vma, vma = vma->anon_next, nr++)
		if (vma->anon_vma != anon || vma->anon_prev != prev) {
			fault(c, 19, "vma %#lx: on a wrong anon_vma's list", vma->start);
			break;
		}
	same(c, 19, "anon_vma: nr_vmas", anon->nr_vmas, nr);
	same(c, 19, "anon_vma: nr_pages", anon->nr_pages, bag_count(&c->anon_pages, anon));
	c->nr_anon_members -= nr;
}

/* ---- I1, I9, I10: one pte ---- */

struct place {
	const mm *mm;
	const struct vma *vma;
	uint64_t addr, pfn;
	pte_t pte;
	const struct page *page;
};

static void check_rights(struct check *c, const struct place *p)
{
	const uint64_t rights = PTE_WRITE | PTE_USER;
	pte_t allowed = pte_bits(p->vma->flags);
	if (p->pte & rights & ~allowed || (allowed & ~p->pte & PTE_NX))
		fault(c, 10, "pte %#lx: allows more than its vma", p->addr);
	if ((p->pte ^ allowed) & PTE_PKEY_MASK)
		fault(c, 10, "pte %#lx: another protection key than its vma's", p->addr);
	if (!(p->pte & PTE_WRITE) || p->vma->flags & (VM_SHARED | VM_SPECIAL))
		return;
	if (!(p->page->flags & PG_ANON) || p->page->refcount - p->page->used != 1)
		fault(c, 10, "pte %#lx: writes page %lu, not its own", p->addr, p->pfn);
}

static void check_protected(struct check *c, const struct vma *vma, uint64_t addr, pte_t pte)
{
	if (!pte_is_wp(pte) && pte_marker_kind(pte) != MARKER_UFFD_WP)
		return;
	if (!(vma->flags & VM_UFFD_WP) || (pte_present(pte) && pte & PTE_WRITE))
		fault(c, 26, "pte %#lx: protected in a vma that is not, or writable", addr);
}

static void check_zero_pte(struct check *c, const struct place *p)
{
	c->nr_merged_zero += pte_is_merged_zero(c->m, p->pte);
	const mapping *mp = vma_mapping(p->vma); /* UFFDIO_ZEROPAGE: of memory files, too */
	if ((mp && !(mp->flags & MAPPING_MEMORY)) || p->vma->flags & (VM_SHARED | VM_SPECIAL))
		fault(c, 1, "pte %#lx: the zero page in a vma that may not show it", p->addr);
}

static void check_anon_pte(struct check *c, const struct place *p)
{
	c->mm_sum.rss_anon++;
	if (p->vma->flags & VM_SHARED)
		fault(c, 1, "pte %#lx: anonymous page %lu in a shared vma", p->addr, p->pfn);
	if (p->page->flags & PG_KSM && p->pte & PTE_WRITE)
		fault(c, 28, "pte %#lx: a page shared by content is writable", p->addr);
	if (p->page->flags & PG_KSM)
		return;
	if (p->page->anon_vma != p->vma->anon_vma || p->page->index != vma_index(p->vma, p->addr))
		fault(c, 1, "pte %#lx: page %lu has another anon_vma or index", p->addr, p->pfn);
	const mapping *mp = vma_mapping(p->vma);
	if (mp && p->page->index >= mapping_end(mp))
		fault(c, 9, "pte %#lx: copy of index %lu beyond the file", p->addr, p->page->index);
}

static void check_cache_pte(struct check *c, const struct place *p)
{
	const mapping *mp = vma_mapping(p->vma);
	++*(p->page->flags & PG_SHMEM ? &c->mm_sum.rss_shmem : &c->mm_sum.rss_file);
	if (!(p->page->flags & PG_CACHE) || p->page->mapping != mp) {
		fault(c, 1, "pte %#lx: page %lu is not its file's", p->addr, p->pfn);
		return;
	}
	if (p->page->index >= mapping_end(mp))
		fault(c, 9, "pte %#lx: index %lu beyond the file", p->addr, p->page->index);
	if (!(p->vma->flags & VM_NONLINEAR) && p->page->index != vma_index(p->vma, p->addr))
		fault(c, 9, "pte %#lx: shows index %lu", p->addr, p->page->index);
}

static void check_special_pte(struct check *c, const struct place *p)
{
	c->tally[p->pfn].pins++;
	c->mm_sum.nr_special++;
	if (p->page->flags & PG_ANON)
		fault(c, 1, "pte %#lx: anonymous page %lu in a special vma", p->addr, p->pfn);
}

static void check_mapped_pte(struct check *c, const struct place *p, uint64_t bit)
{
	c->tally[p->pfn].ptes++;
	c->unseen[bit / 64] |= 1ul << bit % 64;
	if (p->page->flags & PG_ANON)
		check_anon_pte(c, p);
	else
		check_cache_pte(c, p);
}

static void check_present(struct check *c, struct place *p, uint64_t bit)
{
	machine *m = c->m;
	p->pfn = pte_pfn(p->pte);
	if (p->pfn != m->zero_pfn && !pfn_usable(c, p->pfn)) {
		fault(c, 1, "pte %#lx: names page %lu", p->addr, p->pfn);
		return;
	}
	p->page = &m->pages[p->pfn];
	check_rights(c, p);
	check_protected(c, p->vma, p->addr, p->pte);
	if (p->pfn == m->zero_pfn) {
		check_zero_pte(c, p);
		return;
	}
	if (p->page->flags & (PG_FREE | PG_TABLE | PG_SLAB | PG_RESERVED)) {
		fault(c, 1, "pte %#lx: page %lu has flags %#x", p->addr, p->pfn, p->page->flags);
		return;
	}
	if (p->vma->flags & VM_SPECIAL)
		check_special_pte(c, p);
	else
		check_mapped_pte(c, p, bit);
}

static const struct vma *vma_at(struct check *c, uint64_t addr) /* addr only grows */
{
	while (c->cursor && c->cursor->end <= addr)
		c->cursor = c->cursor->next;
	return c->cursor && c->cursor->start <= addr ? c->cursor : NULL;
}

static void check_swap_pte(struct check *c, const struct place *p)
{
	c->mm_sum.nr_swap++;
	check_protected(c, p->vma, p->addr, p->pte);
	count_entry(c, pte_swap_entry(p->pte), "a pte");
	if (p->vma->flags & (VM_SHARED | VM_SPECIAL) || !p->vma->anon_vma)
		fault(c, 22, "pte %#lx: a swap entry in a vma without pages of its own", p->addr);
}

static void check_marker(struct check *c, const struct place *p)
{
	uint64_t kind = pte_marker_kind(p->pte);
	if (p->vma->flags & (VM_SPECIAL | VM_NONLINEAR) ||
	    (kind == MARKER_GUARD &&
	     (p->vma->flags & VM_HUGETLB || !(p->vma->flags & VM_MAYBE_GUARD))))
		fault(c, 9, "pte %#lx: marker %lu in a vma that has none", p->addr, kind);
	if (kind != MARKER_GUARD && kind != MARKER_POISON && kind != MARKER_UFFD_WP)
		fault(c, 9, "pte %#lx: an unknown marker, %lu", p->addr, kind);
	check_protected(c, p->vma, p->addr, p->pte);
}

static void check_pte(struct check *c, const mm *mm, uint64_t addr, const pte_t *ptep)
{
	struct place p = { .mm = mm, .vma = vma_at(c, addr), .addr = addr, .pte = *ptep };
	uint64_t bit = (uint64_t)((const char *)ptep - c->m->arena) / sizeof(pte_t);
	if (!p.vma)
		fault(c, 1, "pte %#lx: in no vma", addr);
	else if (pte_present(p.pte))
		check_present(c, &p, bit);
	else if (pte_is_swap(p.pte))
		check_swap_pte(c, &p);
	else if (pte_is_marker(p.pte))
		check_marker(c, &p);
	else if (!pte_is_file(p.pte) || !(p.vma->flags & VM_NONLINEAR))
		fault(c, 9, "pte %#lx: %#lx is no entry for its vma", addr, p.pte);
}

/* ---- I12: tables ---- */

static void check_table(struct check *c, const mm *mm, uint64_t pfn, int level, uint64_t base);

static void check_large_entry(struct check *c, uint64_t addr, pte_t entry)
{
	const struct vma *vma = vma_at(c, addr);
	uint64_t pfn = pte_pfn(entry);
	bool owed = entry & PTE_PROMISED && !pte_present(entry);
	bool absent = owed || pte_is_marker(entry);
	c->sum.nr_huge_reserved += owed;
	c->mm_sum.nr_hugetlb += !absent;
	if (!vma || !(vma->flags & VM_HUGETLB) || addr + HUGE_SIZE > vma->end) {
		fault(c, 24, "entry %#lx: a large page in no large vma", addr);
		return;
	}
	check_protected(c, vma, addr, entry);
	if (entry & PTE_PROMISED && vma->flags & (VM_MAYSHARE | VM_SPECIAL | VM_NORESERVE))
		fault(c, 25, "entry %#lx: a promise that is not its vma's", addr);
	if (absent)
		return;
	if (!pfn_usable(c, pfn) || !(c->m->pages[pfn].flags & PG_HUGE)) {
		fault(c, 24, "entry %#lx: names page %lu", addr, pfn);
		return;
	}
	c->tally[pfn].ptes++;
	c->tally[pfn].pins += !!(vma->flags & VM_SPECIAL);
	c->sum.nr_huge_reserved += entry & PTE_PROMISED && c->m->pages[pfn].flags & PG_CACHE;
	if (!(vma->flags & (VM_SHARED | VM_SPECIAL)) && entry & PTE_WRITE &&
	    c->m->pages[pfn].refcount != 1)
		fault(c, 24, "entry %#lx: writes page %lu, not its own", addr, pfn);
}

static void check_entry(struct check *c, const mm *mm, const pte_t *entry, int level, uint64_t addr)
{
	if (level == 0)
		check_pte(c, mm, addr, entry);
	else if (level == 1 && *entry & PTE_HUGE)
		check_large_entry(c, addr, *entry);
	else if (!pte_present(*entry) || !pfn_usable(c, pte_pfn(*entry)))
		fault(c, 12, "table entry %#lx: %#lx", addr, *entry);
	else
		check_table(c, mm, pte_pfn(*entry), level - 1, addr);
}

static bool is_kernel_entry(int level, uint64_t i)
{
	return level == TABLE_LEVELS - 1 && i == KERNEL_PGD_ENTRY;
}

static void check_table(struct check *c, const mm *mm, uint64_t pfn, int level, uint64_t base)
{
	const struct page *page = pfn_page(c->m, pfn);
	const pte_t *table = pfn_data(c->m, pfn);
	uint32_t used = 0;
	c->mm_sum.nr_pagetable++;
	if (c->tally[pfn].tables++ || !(page->flags & PG_TABLE)) {
		fault(c, 12, "page %lu: reached twice, or not a table", pfn);
		return;
	}
	if (page->mm != mm || page->index != base)
		fault(c, 12, "table %lu: wrong mm, or index %#lx for %#lx", pfn, page->index, base);
	for (uint64_t i = 0; i < TABLE_ENTRIES; i++) {
		if (!table[i] || is_kernel_entry(level, i))
			continue;
		used++;
		check_entry(c, mm, &table[i], level, base + (i << (PAGE_SHIFT + 9 * level)));
	}
	page_same(c, 12, pfn, "used", page->used, used);
}

/* ---- I17 ---- */

static void check_tlb_entry(struct check *c, mm *mm, const struct tlb_entry *entry)
{
	uint64_t addr = entry->tag & PAGE_MASK;
	pte_t pte = pte_at(mm, addr);
	if (tlb_slot(mm, addr) != entry)
		fault(c, 17, "tlb: %#lx in a wrong slot", addr);
	if (!pte_present(pte) || !(pte & PTE_USER) || pte_pfn(pte) << PAGE_SHIFT != entry->frame)
		fault(c, 17, "tlb: %#lx -> frame %#lx, pte %#lx", addr, entry->frame, pte);
	const uint64_t stored = PTE_WRITE | PTE_DIRTY;
	if (entry->tag & TLB_WRITE && (pte & stored) != stored)
		fault(c, 17, "tlb: %#lx writable, pte %#lx", addr, pte);
	if (entry->tag & TLB_EXEC && pte & PTE_NX)
		fault(c, 17, "tlb: %#lx executable, pte %#lx", addr, pte);
	if ((entry->tag & TLB_READ && !pkey_allows_pte(mm, pte, ACCESS_READ)) ||
	    (entry->tag & TLB_WRITE && !pkey_allows_pte(mm, pte, ACCESS_WRITE)))
		fault(c, 17, "tlb: %#lx allows what its protection key forbids", addr);
}

static void check_tlb(struct check *c, mm *mm)
{
	uint64_t pfn = page_pfn(c->m, page_of(c->m, mm->tlb));
	if (pfn_usable(c, pfn))
		c->tally[pfn].tlb++;
	for (int i = 0; i < TLB_ENTRIES; i++)
		if (mm->tlb[i].tag & (TLB_READ | TLB_WRITE | TLB_EXEC))
			check_tlb_entry(c, mm, &mm->tlb[i]);
}

/* ---- an address space ---- */

static void check_mm_counters(struct check *c, const struct mm_counters *is)
{
	const struct mm_counters *sum = &c->mm_sum;
	same(c, 15, "rss_anon", is->rss_anon, sum->rss_anon);
	same(c, 15, "rss_file", is->rss_file, sum->rss_file);
	same(c, 15, "rss_shmem", is->rss_shmem, sum->rss_shmem);
	same(c, 15, "mm nr_special", is->nr_special, sum->nr_special);
	same(c, 15, "mm nr_swap", is->nr_swap, sum->nr_swap);
	same(c, 15, "mm nr_hugetlb", is->nr_hugetlb, sum->nr_hugetlb);
	same(c, 15, "mm nr_pagetable", is->nr_pagetable, sum->nr_pagetable);
	same(c, 15, "total_vm", is->total_vm, sum->total_vm);
	same(c, 15, "locked_vm", is->locked_vm, sum->locked_vm);
	same(c, 15, "data_vm", is->data_vm, sum->data_vm);
	same(c, 15, "exec_vm", is->exec_vm, sum->exec_vm);
	same(c, 15, "stack_vm", is->stack_vm, sum->stack_vm);
	same(c, 15, "map_count", is->map_count, sum->map_count);
	if (is->hiwater_vm < is->total_vm ||
	    is->hiwater_rss < is->rss_anon + is->rss_file + is->rss_shmem)
		fault(c, 15, "a high-water mark is below what there is");
}

static void check_vmas(struct check *c, mm *mm)
{
	for (const struct vma *vma = mm->first; vma; vma = vma->next) {
		check_bounds(c, mm, vma);
		check_gap(c, vma);
		sum_vma(c, vma);
		collect_file(c, vma);
		if (vma->anon_vma && vma->anon_vma->first == vma)
			check_anon_list(c, vma->anon_vma);
	}
	c->cursor = mm->first;
	if (mm->vmas.root && mm->vmas.root->parent)
		fault(c, 7, "the root of the VMAs' tree has a parent");
	check_addr_tree(c, mm->vmas.root);
	if (c->cursor)
		fault(c, 7, "vma %#lx: not in the tree", c->cursor->start);
}

/* ---- I26 ---- */

static void check_watchers(struct check *c, const mm *mm)
{
	for (const struct vma *vma = mm->first; vma; vma = vma->next) {
		if (!vma->uffd != !(vma->flags & VM_UFFD))
			fault(c, 26, "vma %#lx: a userfaultfd without modes, or none", vma->start);
		if (vma->uffd)
			bag_add(c, &c->uffd_vmas, vma->uffd);
		if (vma->policy)
			bag_add(c, &c->followers, vma->policy);
	}
}

static void check_uffds(struct check *c)
{
	bag_sort(&c->uffd_vmas);
	for (const struct uffd *u = c->m->uffds; u; u = u->next) {
		c->live[CACHE_UFFD]++;
		same(c, 26, "userfaultfd: nr_vmas", u->nr_vmas, bag_count(&c->uffd_vmas, u));
	}
}

/* ---- I27 ---- */

static void check_ranges(struct check *c, const mapping *mp)
{
	uint64_t from = 0;
	if (mp->policies && !(mp->flags & MAPPING_MEMORY))
		fault(c, 27, "mapping %lu: policies of no memory file", mp->cookie);
	for (const struct shared_policy *range = mp->policies; range; range = range->next) {
		if (range->first < from || range->last < range->first)
			fault(c, 27, "mapping %lu: ranges out of order", mp->cookie);
		from = range->last + 1;
		bag_add(c, &c->followers, range->policy);
		c->live[CACHE_SHARED_POLICY]++;
	}
}

static void check_policies(struct check *c)
{
	bag_sort(&c->followers);
	for (const struct mempolicy *p = c->m->policies; p; p = p->next) {
		c->live[CACHE_POLICY]++;
		same(c, 27, "policy: refcount", p->refcount, bag_count(&c->followers, p));
	}
}

/* ---- I28 ---- */

static void check_items(struct check *c, const mm *mm)
{
	uint64_t nr = 0, merging = 0, from = 0;
	for (const struct ksm_item *item = mm->ksm_list; item; item = item->next, nr++) {
		if (item->mm != mm || (nr && item->addr <= from))
			fault(c, 28, "item %#lx: in a wrong place", item->addr);
		from = item->addr;
		merging += item->node != NULL;
		c->ksm.pages_unshared += item->unstable;
	}
	c->live[CACHE_KSM_ITEM] += nr;
	c->ksm.rmap_items += nr;
	c->ksm.pages_sharing += merging; /* the nodes' first ones are taken off later */
	c->ksm.zero_pages += c->nr_merged_zero;
	same(c, 28, "mm: ksm_items", mm->ksm_items, nr);
	same(c, 28, "mm: ksm_merging", mm->ksm_merging, merging);
	same(c, 28, "mm: ksm_zero_pages", mm->ksm_zero_pages, c->nr_merged_zero);
	if (mm->ksm_list && !mm->ksm_listed)
		fault(c, 28, "items of an mm that is not scanned");
}

static void check_ksm_page(struct check *c, const struct page *page)
{
	const struct ksm_node *node = (const struct ksm_node *)(uintptr_t)page->index;
	uint64_t nr = 0;
	for (const struct ksm_item *item = node->items; item; item = item->peer_next, nr++)
		if (item->node != node)
			fault(c, 28, "item %#lx: on a wrong node's list", item->addr);
	if (node->pfn != page_pfn(c->m, page) || page->anon_vma)
		fault(c, 28, "page %lu: shared by content, but not its node's", node->pfn);
	same(c, 28, "node: nr_items", node->nr_items, nr);
	c->nr_ksm_pages++;
	c->ksm.pages_shared += nr > 0;
}

static uint64_t tree_size(const struct tree_node *node)
{
	return node ? 1 + tree_size(node->left) + tree_size(node->right) : 0;
}

static void check_stable_trees(struct check *c)
{
	for (int i = 0; i < MAX_NODES; i++)
		c->live[CACHE_KSM_NODE] += tree_size(c->m->ksm_stable[i].root);
	same(c, 28, "ksm: nodes in stable trees", c->live[CACHE_KSM_NODE], c->m->ksm_nr_nodes);
}

static void check_ksm(struct check *c)
{
	const struct ksm *is = &c->m->ksm;
	same(c, 28, "ksm: pages", c->nr_ksm_pages, c->m->ksm_nr_nodes);
	same(c, 28, "ksm: pages_shared", is->pages_shared, c->ksm.pages_shared);
	same(c, 28, "ksm: pages_sharing", is->pages_sharing,
	     c->ksm.pages_sharing - c->ksm.pages_shared);
	same(c, 28, "ksm: pages_unshared", is->pages_unshared, c->ksm.pages_unshared);
	same(c, 28, "ksm: rmap_items", is->rmap_items, c->ksm.rmap_items);
	same(c, 28, "ksm: zero_pages", is->zero_pages, c->ksm.zero_pages);
}

static void check_mm(struct check *c, mm *mm)
{
	c->nr_merged_zero = 0;
	c->mm_sum = (struct mm_counters){ 0 };
	c->live[CACHE_MM]++;
	check_vmas(c, mm);
	check_watchers(c, mm);
	c->cursor = mm->first;
	check_table(c, mm, page_pfn(c->m, page_of(c->m, mm->pgd)), TABLE_LEVELS - 1, 0);
	if (mm->pgd[KERNEL_PGD_ENTRY] != vsyscall_pgd_entry(c->m))
		fault(c, 23, "the pgd's last entry is %#lx", mm->pgd[KERNEL_PGD_ENTRY]);
	check_tlb(c, mm);
	check_items(c, mm);
	check_mm_counters(c, &mm->counters);
	c->sum.nr_vmas += c->mm_sum.map_count;
	c->sum.nr_mlock += c->mm_sum.locked_vm;
}

/* ---- I8, I18: mappings and files ---- */

struct order {
	const mapping *mapping;
	uint64_t nr, last_pgoff;
};

/* The twins of one that is in the tree; how many there are. */
static uint64_t check_ring(struct check *c, const struct vma *head)
{
	uint64_t nr = 0;
	for (const struct vma *vma = head; vma != head || !nr; vma = vma->twin_next, nr++)
		if (vma->twin_next->twin_prev != vma || vma_mapping(vma) != vma_mapping(head) ||
		    vma->flags & VM_NONLINEAR || vma->pgoff != head->pgoff ||
		    vma_pages(vma) != vma_pages(head) || vma_is_in_tree(vma) != (vma == head)) {
			fault(c, 8, "vma %#lx: wrong in a ring of twins", vma->start);
			return nr;
		}
	return nr;
}

static uint64_t check_pgoff_tree(struct check *c, struct order *o, const struct tree_node *node)
{
	if (!node || !links_right(c, 8, node))
		return 0;
	const struct vma *vma = container_of(node, struct vma, by_pgoff);
	uint64_t most = vma->pgoff + vma_pages(vma) - 1;
	uint64_t left = check_pgoff_tree(c, o, node->left);
	if (vma_mapping(vma) != o->mapping || vma->flags & VM_NONLINEAR)
		fault(c, 8, "vma %#lx: on a wrong tree", vma->start);
	if (vma->pgoff < o->last_pgoff)
		fault(c, 8, "vma %#lx: wrong order by pgoff", vma->start);
	o->last_pgoff = vma->pgoff;
	o->nr += check_ring(c, vma);
	uint64_t right = check_pgoff_tree(c, o, node->right);
	most = left > most ? left : most;
	most = right > most ? right : most;
	if (vma->max_last != most)
		fault(c, 8, "vma %#lx: max_last %lu, is %lu", vma->start, vma->max_last, most);
	return most;
}

static uint64_t check_nonlinear_list(struct check *c, const mapping *mp)
{
	uint64_t nr = 0;
	for (const struct vma *vma = mp->nonlinear, *prev = NULL; vma;
	     prev = vma, vma = vma->nonlinear_next, nr++)
		if (vma_mapping(vma) != mp || !(vma->flags & VM_NONLINEAR) ||
		    vma->nonlinear_prev != prev) {
			fault(c, 8, "vma %#lx: wrong on the nonlinear list", vma->start);
			break;
		}
	return nr;
}

static uint64_t check_linear_list(struct check *c, const mapping *mp)
{
	uint64_t nr = 0;
	const struct vma *prev = NULL;
	for (const struct vma *vma = mp->list_first; vma; prev = vma, vma = vma->list_next, nr++)
		if (vma_mapping(vma) != mp || vma->flags & VM_NONLINEAR || vma->list_prev != prev) {
			fault(c, 8, "vma %#lx: wrong on the list", vma->start);
			return nr;
		}
	if (mp->list_last != prev)
		fault(c, 8, "mapping %lu: its list ends elsewhere", mp->cookie);
	return nr;
}

static void check_mapping(struct check *c, mapping *mp)
{
	struct order o = { .mapping = mp };
	uint64_t linear = bag_count(&c->linear_vmas, mp);
	uint64_t nonlinear = bag_count(&c->nonlinear_vmas, mp);
	uint64_t files = bag_count(&c->mapping_files, mp);
	c->live[CACHE_MAPPING]++;
	check_pgoff_tree(c, &o, mp->vmas.root);
	if (c->m->rmap->keeps & KEEPS_TREE)
		same(c, 8, "mapping: linear vmas in the tree", o.nr, linear);
	if (c->m->rmap->keeps & KEEPS_LIST)
		same(c, 8, "mapping: linear vmas on the list", check_linear_list(c, mp), linear);
	same(c, 8, "mapping: nonlinear vmas", check_nonlinear_list(c, mp), nonlinear);
	same(c, 8, "mapping: nr_vmas", mp->nr_vmas, linear + nonlinear);
	same(c, 8, "mapping: nr_writable", mp->nr_writable, bag_count(&c->writable_vmas, mp));
	if (mp->refcount < files || !mp->refcount)
		fault(c, 18, "mapping %lu: refcount %lu, files %lu", mp->cookie, mp->refcount,
		      files);
}

/* Files of the core's own (cookie 0) are held by VMAs alone. */
static void check_file(struct check *c, const file *f)
{
	uint64_t vmas = bag_count(&c->file_vmas, f);
	c->live[CACHE_FILE]++;
	if (!f->refcount || f->refcount < vmas || (!f->cookie && f->refcount != vmas))
		fault(c, 18, "file %lu: refcount %lu, vmas %lu", f->cookie, f->refcount, vmas);
}

/* ---- I13: slab pages ---- */

/* Free objects are out of bounds for everyone else. */
__attribute__((no_sanitize("address"))) static uint32_t free_objects(const struct page *page,
								     uint32_t most)
{
	uint32_t nr = 0;
	for (void *object = page->objects; object && nr <= most; nr++)
		object = *(void *const volatile *)object;
	return nr;
}

static void check_partial_lists(struct check *c)
{
	machine *m = c->m;
	for (int id = 0; id < NR_CACHES; id++) {
		uint64_t prev = 0;
		for (uint64_t pfn = m->caches[id].partial; pfn;
		     prev = pfn, pfn = m->pages[pfn].next) {
			const struct page *page = &m->pages[pfn];
			if (!pfn_usable(c, pfn) || c->tally[pfn].partial++ || page->prev != prev ||
			    page->cache != &m->caches[id]) {
				fault(c, 13, "page %lu: wrong on a partial list", pfn);
				break;
			}
		}
	}
}

static void check_slab_page(struct check *c, uint64_t pfn, struct page *page)
{
	const struct tally *t = &c->tally[pfn];
	c->sum.nr_slab++;
	page_same(c, 2, pfn, "refcount", page->refcount, 1);
	if (t->tlb) {
		page_same(c, 13, pfn, "tlb of mms", t->tlb, 1);
		return;
	}
	ptrdiff_t id = page->cache - c->m->caches;
	if (id < 0 || id >= NR_CACHES) {
		fault(c, 13, "page %lu: slab of no cache", pfn);
		return;
	}
	uint32_t room = (uint32_t)PAGE_SIZE / page->cache->size;
	if (!page->used || page->used + free_objects(page, room) != room)
		fault(c, 13, "page %lu: used %u + free %u of %u objects", pfn, page->used,
		      free_objects(page, room), room);
	page_same(c, 13, pfn, "on the partial list", t->partial, page->objects != NULL);
	c->live[id] -= page->used; /* what was found, less what is handed out: 0 */
}

static void check_live(struct check *c)
{
	static const char *const names[NR_CACHES] = { "vma",           "anon_vma",    "chain",
						      "radix",         "mm",          "mapping",
						      "file",          "userfaultfd", "policy",
						      "shared_policy", "ksm_node",    "ksm_item" };
	c->live[CACHE_CHAIN] += c->m->nr_reserved_chains + c->sum.nr_chain_blocks;
	for (int id = 0; id < NR_CACHES; id++)
		if (c->live[id])
			fault(c, 13, "%s: %ld more found than slab pages hold", names[id],
			      (int64_t)c->live[id]);
}

static void check_cache_totals(struct check *c) /* before slab pages are taken off */
{
	for (int id = 0; id < NR_CACHES; id++)
		if (id != CACHE_CHAIN)
			same(c, 13, "objects live", c->m->caches[id].live, c->live[id]);
}

/* ---- I2, I3, I4, I11: pages ---- */

static bool see_pte(machine *m, struct page *page, pte_t *ptep, void *arg)
{
	struct check *c = arg;
	uint64_t bit = (uint64_t)((char *)ptep - m->arena) / sizeof(pte_t);
	uint64_t mask = 1ul << bit % 64;
	bool inside = bit < handed_out_end(m) * TABLE_ENTRIES;
	if (inside && c->unseen[bit / 64] & mask && pte_pfn(*ptep) == page_pfn(m, page))
		c->tally[page_pfn(m, page)].found++;
	else
		fault(c, 4, "page %lu: the reverse map shows a pte that is not its own",
		      page_pfn(m, page));
	if (inside)
		c->unseen[bit / 64] &= ~mask;
	return true;
}

static bool keeps_chain(const machine *m, const struct page *page)
{
	if (page->flags & PG_KSM)
		return m->rmap->kind != RMAP_SCANS;
	if (m->rmap == &rmap_objrmap)
		return page->flags & PG_ANON;
	return m->rmap == &rmap_pte_chain || m->rmap == &rmap_compare;
}

static void count_chain(struct check *c, const struct page *page)
{
	if (!keeps_chain(c->m, page) || page->flags & PG_DIRECT)
		return;
	for (const struct chain *block = page->chain; block; block = block->next)
		c->sum.nr_chain_blocks++;
}

static void check_user_page(struct check *c, uint64_t pfn, struct page *page)
{
	struct tally *t = &c->tally[pfn];
	page_same(c, 2, pfn, "refcount", page->refcount,
		  t->ptes + t->cached + t->pins + t->swapcached + page->used);
	c->nr_holds += page->used;
	bool orphan = page->used && !(page->flags & (PG_CACHE | PG_ANON));
	page_same(c, 22, pfn, "PG_SWAPCACHE", !!(page->flags & PG_SWAPCACHE), t->swapcached);
	page_same(c, 21, pfn, "PG_LRU", !!(page->flags & PG_LRU), t->listed);
	if (t->pins || orphan ? t->listed : !t->listed)
		fault(c, 21, "page %lu: pinned by %u ptes, on %u lists", pfn, t->pins, t->listed);
	page_same(c, 3, pfn, "mapcount", page->mapcount, t->ptes);
	page_same(c, 11, pfn, "pins", page->pins, t->pins);
	page_same(c, 16, pfn, "in a mapping's index", page->flags & PG_CACHE ? 1 : 0, t->cached);
	const uint32_t ahead = PG_ANON | PG_SWAPCACHE;
	if (page->flags & PG_KSM)
		check_ksm_page(c, page);
	if ((page->flags & (PG_ANON | PG_KSM)) == PG_ANON && !page->anon_vma &&
	    (t->ptes || (page->flags & (ahead | PG_DIRTY)) != ahead))
		fault(c, 22, "page %lu: without an anon_vma, but not one read ahead", pfn);
	c->sum.nr_special += t->pins > 0;
	c->sum.nr_anon += !!(page->flags & PG_ANON);
	c->sum.nr_mapped += t->ptes && !(page->flags & PG_ANON);
	if (!page->mapcount)
		return;
	count_chain(c, page);
	if (c->m->rmap->kind == RMAP_SCANS)
		return; /* check_scan() walks them all at once */
	rmap_walk_linear(c->m, page, see_pte, c);
}

/*
 * The ptes of nonlinear VMAs, where a page's are found by a search of all their
 * tables: here one search serves all pages.
 */
static void check_nonlinear_ptes(struct check *c, const mapping *mp)
{
	machine *m = c->m;
	uint64_t span;
	pte_t *ptep;
	for (const struct vma *vma = mp->nonlinear; vma; vma = vma->nonlinear_next)
		for (uint64_t addr = vma->start; (ptep = pt_next(vma->mm, &addr, vma->end, &span));)
			for (; span; span--, ptep++, addr += PAGE_SIZE) {
				if (!pte_present(*ptep))
					continue;
				struct page *page = &m->pages[pte_pfn(*ptep)];
				if (!(page->flags & PG_ANON) && page->mapping == mp)
					see_pte(m, page, ptep, c);
			}
}

static void check_found(struct check *c)
{
	machine *m = c->m;
	if (m->rmap->kind == RMAP_SCANS)
		return; /* check_scan() has walked them all at once */
	if (m->rmap->kind == RMAP_SEARCHES && !c->faults)
		for (const mapping *mp = m->mappings; mp; mp = mp->next)
			check_nonlinear_ptes(c, mp);
	for (uint64_t pfn = first_used(m); pfn < m->nr_pages; pfn = handed_out_from(m, pfn + 1)) {
		const struct tally *t = &c->tally[pfn];
		if (m->pages[pfn].mapcount)
			page_same(c, 4, pfn, "mappers in the reverse map", t->found, t->ptes);
	}
}

static void check_free_page(struct check *c, uint64_t pfn)
{
	const struct tally *t = &c->tally[pfn];
	if (t->free != 1)
		fault(c, 5, "page %lu: free, but not on the list", pfn);
	if (t->cached || t->tables || t->tlb || t->ptes || t->pins)
		fault(c, 5, "page %lu: free, but in use", pfn);
}

static void check_reserved_page(struct check *c, uint64_t pfn)
{
	uint64_t found = 0;
	for (int i = 0; i < NR_VSYSCALL_FRAMES; i++)
		found += c->m->vsyscall[i] == pfn;
	page_same(c, 23, pfn, "frames of the vsyscalls", found, 1);
	page_same(c, 2, pfn, "refcount", c->m->pages[pfn].refcount, 1);
}

static void check_large_page(struct check *c, uint64_t pfn, struct page *page)
{
	const struct tally *t = &c->tally[pfn];
	if (page->flags & PG_TAIL) {
		if (!(c->m->pages[pfn & -(uint64_t)HUGE_PAGES].flags & PG_HUGE) || page->refcount)
			fault(c, 24, "page %lu: the tail of no large page", pfn);
		return;
	}
	if (pfn % HUGE_PAGES)
		fault(c, 24, "page %lu: large, but not aligned", pfn);
	c->sum.nr_huge++;
	page_same(c, 24, pfn, "refcount", page->refcount, t->ptes + t->cached);
	page_same(c, 24, pfn, "pins", page->pins, t->pins);
	page_same(c, 24, pfn, "in the pool", t->pooled, !page->refcount);
}

static void check_pool(struct check *c)
{
	machine *m = c->m;
	for (uint64_t pfn = m->huge_free; pfn; pfn = m->pages[pfn].next) {
		if (!pfn_usable(c, pfn) || c->tally[pfn].pooled++) {
			fault(c, 24, "page %lu: wrong in the pool", pfn);
			return;
		}
		c->sum.nr_huge_free++;
	}
	for (const struct quota *q = m->quotas; q; q = q->next)
		c->sum.nr_huge_reserved += quota_kept(q);
}

static void check_page(struct check *c, uint64_t pfn)
{
	struct page *page = &c->m->pages[pfn];
	if (page->flags & PG_FREE) {
		check_free_page(c, pfn);
		return;
	}
	if (c->tally[pfn].free)
		fault(c, 5, "page %lu: on the free list, flags %#x", pfn, page->flags);
	if (page->flags & PG_TABLE) {
		c->sum.nr_pagetable++;
		page_same(c, 2, pfn, "refcount", page->refcount, 1);
		page_same(c, 12, pfn, "reached as a table", c->tally[pfn].tables, 1);
	} else if (page->flags & (PG_HUGE | PG_TAIL))
		check_large_page(c, pfn, page);
	else if (page->flags & PG_SLAB)
		check_slab_page(c, pfn, page);
	else if (page->flags & PG_RESERVED)
		check_reserved_page(c, pfn);
	else
		check_user_page(c, pfn, page);
}

/* ---- I14, I20 ---- */

static void check_counters(struct check *c)
{
	const struct counters *is = &c->m->counters, *sum = &c->sum;
	same(c, 14, "nr_total", is->nr_total, c->m->nr_pages);
	same(c, 14, "nr_free", is->nr_free, sum->nr_free);
	same(c, 14, "nr_anon", is->nr_anon, sum->nr_anon);
	same(c, 14, "nr_mapped", is->nr_mapped, sum->nr_mapped);
	same(c, 14, "nr_file", is->nr_file, sum->nr_file);
	same(c, 14, "nr_shmem", is->nr_shmem, sum->nr_shmem);
	same(c, 14, "nr_dirty", is->nr_dirty, sum->nr_dirty);
	same(c, 14, "nr_pagetable", is->nr_pagetable, sum->nr_pagetable);
	same(c, 14, "nr_slab", is->nr_slab, sum->nr_slab);
	same(c, 14, "nr_vmas", is->nr_vmas, sum->nr_vmas);
	same(c, 14, "nr_mlock", is->nr_mlock, sum->nr_mlock);
	same(c, 14, "nr_chain_blocks", is->nr_chain_blocks, sum->nr_chain_blocks);
	same(c, 11, "nr_special", is->nr_special, sum->nr_special);
	same(c, 24, "nr_huge", is->nr_huge + is->nr_huge_surplus, sum->nr_huge);
	same(c, 24, "nr_huge_free", is->nr_huge_free, sum->nr_huge_free);
	same(c, 25, "nr_huge_reserved", is->nr_huge_reserved, sum->nr_huge_reserved);
	if (is->nr_huge_reserved > is->nr_huge_free)
		fault(c, 25, "%lu large pages are promised, %lu free", is->nr_huge_reserved,
		      is->nr_huge_free);
	same(c, 22, "nr_swapcached", is->nr_swapcached, sum->nr_swapcached);
	same(c, 22, "nr_swap_used", is->nr_swap_used, sum->nr_swap_used);
	same(c, 22, "nr_swap_total", is->nr_swap_total, sum->nr_swap_total);
	same(c, 20, "nr_committed", is->nr_committed, sum->nr_committed);
}

/* ---- I21: lists by age ---- */

static void check_list(struct check *c, enum lru_list list)
{
	machine *m = c->m;
	uint64_t nr = 0, prev = 0;
	for (uint64_t pfn = m->lru[list].head; pfn; prev = pfn, pfn = m->pages[pfn].next, nr++) {
		const struct page *page = &m->pages[pfn];
		if (!pfn_usable(c, pfn) || c->tally[pfn].listed++ || page->prev != prev) {
			fault(c, 21, "page %lu: wrong on list %d", pfn, list);
			return;
		}
		if (!(page->flags & PG_LRU) || lru_of(page) != list)
			fault(c, 21, "page %lu: on list %d, flags %#x", pfn, list, page->flags);
	}
	if (m->lru[list].tail != prev)
		fault(c, 21, "list %d: its tail is page %u, found %lu", list, m->lru[list].tail,
		      prev);
	same(c, 21, "pages on a list", *lru_counter(m, list), nr);
}

static void check_lists(struct check *c)
{
	for (int list = 0; list < NR_LRU_LISTS; list++)
		check_list(c, (enum lru_list)list);
}

/* ---- I22: swap ---- */

static void check_slot(struct check *c, int type, uint64_t slot)
{
	const struct swap_area *area = &c->m->swap[type];
	uint32_t pfn = area->cached[slot],
		 entry = (uint32_t)(slot << SWAP_TYPE_BITS) | (uint32_t)type;
	same(c, 22, "swap slot: count", area->count[slot], c->slots[type][slot]);
	c->sum.nr_swap_used += area->count[slot] || pfn;
	if (!pfn)
		return;
	c->sum.nr_swapcached++;
	const struct page *page = &c->m->pages[pfn];
	const uint32_t both = PG_SWAPCACHE | PG_ANON;
	if (!pfn_usable(c, pfn) || (page->flags & both) != both || page->entry != entry)
		fault(c, 22, "swap slot %lu: cached page %u does not name it", slot, pfn);
	else
		c->tally[pfn].swapcached++;
}

static void check_swap(struct check *c)
{
	for (int type = 0; type < NR_SWAP_AREAS; type++) {
		const struct swap_area *area = &c->m->swap[type];
		uint64_t used = c->sum.nr_swap_used;
		if (!area->nr_slots)
			continue;
		c->sum.nr_swap_total += area->nr_slots - 1;
		for (uint64_t slot = 1; slot < area->nr_slots; slot++)
			check_slot(c, type, slot);
		same(c, 22, "swap area: nr_used", area->nr_used, c->sum.nr_swap_used - used);
	}
}

/* ---- I4 without a reverse map: the scan sees every pte there is ---- */

static void check_scan(struct check *c)
{
	machine *m = c->m;
	if (m->rmap->kind != RMAP_SCANS || c->faults)
		return; /* wrong VMAs cannot be scanned */
	struct rmap_search s = { m, &m->pages[0], NULL, NULL, 1 }; /* which no pte maps */
	uint64_t visits = m->counters.rmap_vma_visits, special = 0;
	m->rmap->walk(&s);
	for (const mm *mm = m->mms; mm; mm = mm->next)
		for (const struct vma *vma = mm->first; vma; vma = vma->next)
			special += !!(vma->flags & VM_SPECIAL);
	same(c, 4, "vmas that the scan visits", m->counters.rmap_vma_visits - visits,
	     c->sum.nr_vmas - special);
}

/* ---- all of it ---- */

static void collect(struct check *c)
{
	machine *m = c->m;
	for (uint64_t pfn = first_used(m); pfn < m->nr_pages; pfn = handed_out_from(m, pfn + 1))
		if (m->pages[pfn].flags & PG_ANON && m->pages[pfn].anon_vma)
			bag_add(c, &c->anon_pages, m->pages[pfn].anon_vma);
	bag_sort(&c->anon_pages);
	for (const file *f = m->files; f; f = f->next)
		bag_add(c, &c->mapping_files, f->mapping);
	bag_sort(&c->mapping_files);
}

static void check_owners(struct check *c)
{
	machine *m = c->m;
	for (mapping *mp = m->mappings; mp; mp = mp->next)
		check_index(c, mp);
	for (mm *mm = m->mms; mm; mm = mm->next)
		check_mm(c, mm);
	same(c, 19, "vmas with an anon_vma that are on no list", c->nr_anon_members, 0);
	bag_sort(&c->file_vmas);
	bag_sort(&c->linear_vmas);
	bag_sort(&c->nonlinear_vmas);
	bag_sort(&c->writable_vmas);
	check_uffds(c);
	for (mapping *mp = m->mappings; mp; mp = mp->next) {
		check_mapping(c, mp);
		check_ranges(c, mp);
	}
	check_policies(c);
	check_stable_trees(c);
	for (const file *f = m->files; f; f = f->next)
		check_file(c, f);
	for (const file *f = m->ended; f; f = f->next)
		c->live[CACHE_FILE]++;
}

static void check_everything(struct check *c)
{
	check_nodes(c);
	check_partial_lists(c);
	check_lists(c);
	check_pool(c);
	collect(c);
	check_owners(c);
	check_swap(c);
	check_scan(c);
	check_cache_totals(c);
	for (uint64_t pfn = first_used(c->m); pfn < c->m->nr_pages;
	     pfn = handed_out_from(c->m, pfn + 1))
		check_page(c, pfn);
	check_ksm(c);
	same(c, 2, "holds", c->m->nr_holds, c->nr_holds);
	check_found(c);
	check_live(c);
	check_counters(c);
}

static void free_bags(struct check *c)
{
	free(c->anon_pages.items);
	free(c->file_vmas.items);
	free(c->linear_vmas.items);
	free(c->nonlinear_vmas.items);
	free(c->writable_vmas.items);
	free(c->mapping_files.items);
	free(c->uffd_vmas.items);
	free(c->followers.items);
}

static bool make_slots(struct check *c)
{
	bool made = true;
	for (int type = 0; type < NR_SWAP_AREAS; type++) {
		uint64_t nr = c->m->swap[type].nr_slots;
		if (nr)
			c->slots[type] = calloc(nr, sizeof(*c->slots[type]));
		made &= !nr || c->slots[type];
	}
	return made;
}

int64_t machine_check(machine *m, char *report, uint64_t size)
{
	struct check c = { .m = m, .report = report, .size = size };
	const struct counters work = m->counters;
	c.tally = calloc(handed_out_end(m), sizeof(*c.tally));
	c.unseen = calloc(handed_out_end(m), TABLE_ENTRIES / 8);
	c.failed = !c.tally || !c.unseen || !make_slots(&c);
	if (size)
		report[0] = 0;
	if (!c.failed)
		check_everything(&c);
	m->counters = work;
	free_bags(&c);
	for (int type = 0; type < NR_SWAP_AREAS; type++)
		free(c.slots[type]);
	free(c.unseen);
	free(c.tally);
	return c.failed ? -ENOMEM : c.faults;
}
