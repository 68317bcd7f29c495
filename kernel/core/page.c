/*
 * page.c - physical memory: the arena, struct page, allocation, refcounts.
 *
 * Owns machine->pages, the free list and the one door through which every
 * allocation of the core goes (page frames here, objects in slab.c), so that
 * a test can make the n-th one fail.  Pages are handed out from the free list
 * first, then from `fresh`, so that a large machine costs nothing until used.
 */
#include "core.h"
#include "host.h"

#include <stdlib.h>

bool alloc_permitted(machine *m)
{
	m->counters.allocations++;
	m->injected = m->fail_in && --m->fail_in == 0;
	return !m->injected;
}

int64_t no_memory(machine *m)
{
	if (m->injected)
		return -ENOMEM;
	m->need.nr_pages = 1;
	return NEED_MEMORY;
}

static void check_poison(machine *m, uint64_t pfn)
{
	const unsigned char *data = pfn_data(m, pfn);
	for (uint64_t i = 0; i < PAGE_SIZE; i++)
		if (data[i] != POISON_BYTE)
			abort(); /* someone wrote to a free page */
}

static uint64_t take_pfn(machine *m)
{
	uint64_t pfn = m->free_list;
	if (pfn) {
		m->free_list = m->pages[pfn].next;
		if (m->poison)
			check_poison(m, pfn);
		return pfn;
	}
	return m->fresh < m->nr_pages ? m->fresh++ : 0;
}

static uint64_t *kind_counter(machine *m, uint32_t flags)
{
	if (flags & PG_TABLE)
		return &m->counters.nr_pagetable;
	if (flags & PG_SLAB)
		return &m->counters.nr_slab;
	return flags & PG_ANON ? &m->counters.nr_anon : NULL;
}

/* Below the low watermark someone reclaims first; below the lowest no one gets a page. */
static bool above_watermarks(const machine *m)
{
	const struct tunables *t = &m->tunables;
	uint64_t nr_free = m->counters.nr_free;
	return nr_free > t->watermark_low || (m->balanced && nr_free > t->watermark_min);
}

struct page *page_alloc(machine *m, uint32_t flags)
{
	if (!alloc_permitted(m) || !above_watermarks(m))
		return NULL;
	uint64_t pfn = take_pfn(m);
	if (!pfn)
		return NULL;
	struct page *page = &m->pages[pfn];
	*page = (struct page){ .flags = flags, .refcount = 1 };
	m->counters.nr_free--;
	m->counters.pgalloc++;
	uint64_t *kind = kind_counter(m, flags);
	if (kind)
		++*kind;
	return page;
}

struct page *page_alloc_zeroed(machine *m, uint32_t flags)
{
	struct page *page = page_alloc(m, flags);
	if (page)
		memset(page_data(m, page), 0, PAGE_SIZE);
	return page;
}

void page_get(struct page *page) { page->refcount++; }

void page_make_free(machine *m, uint64_t pfn)
{
	if (m->poison)
		memset(pfn_data(m, pfn), POISON_BYTE, PAGE_SIZE);
	m->pages[pfn] = (struct page){ .flags = PG_FREE, .next = m->free_list };
	m->free_list = (uint32_t)pfn;
}

static void page_free(machine *m, struct page *page)
{
	assert(page->mapcount == 0 && page->pins == 0 && !(page->flags & PG_SWAPCACHE));
	lru_del(m, page);
	uint64_t *kind = kind_counter(m, page->flags);
	if (kind)
		--*kind;
	if (page->flags & PG_ANON && page->anon_vma)
		page->anon_vma->nr_pages--;
	page_make_free(m, page_pfn(m, page));
	m->counters.nr_free++;
	m->counters.pgfree++;
	if (m->counters.nr_free > m->tunables.watermark_high)
		m->balanced = false;
}

void page_put(machine *m, struct page *page)
{
	assert(page->refcount > 0);
	if (--page->refcount == 0)
		page_free(m, page);
}

static const struct rmap_design_ops *const designs[] = {
	[RMAP_PTE_CHAIN] = &rmap_pte_chain, [RMAP_OBJRMAP_TREE] = &rmap_objrmap_tree,
	[RMAP_OBJRMAP] = &rmap_objrmap,     [RMAP_VIRTUAL_SCAN] = &rmap_virtual_scan,
	[RMAP_COMPARE] = &rmap_compare,
};

int64_t machine_refusal(machine *m) { return no_memory(m); }

typedef void (*vma_action)(struct vma *vma);

static void each_vma(machine *m, vma_action act)
{
	for (mm *mm = m->mms; mm; mm = mm->next)
		for (struct vma *vma = mm->first; vma; vma = vma->next)
			act(vma);
}

/* Only the links of VMAs need another form, while no pte is known to anyone. */
int64_t machine_set_rmap(machine *m, uint64_t design)
{
	if (design >= NR_RMAP_DESIGNS)
		return -EINVAL;
	if (m->counters.nr_mapped || m->counters.nr_anon)
		return -EBUSY;
	each_vma(m, mapping_unlink_vma);
	m->rmap = designs[design];
	each_vma(m, mapping_link_vma);
	return 0;
}

static bool map_host_memory(machine *m)
{
	m->arena = host_reserve(m->arena_bytes);
	if (!m->arena)
		return false;
	m->pages = host_reserve(m->nr_pages * sizeof(struct page));
	if (m->pages)
		return true;
	host_release(m->arena, m->arena_bytes);
	return false;
}

/* pfn 0 stands for "none"; pfn 1 is the zero page.  Both stay reserved. */
static void reserve_low_pages(machine *m)
{
	m->pages[0] = (struct page){ .flags = PG_RESERVED, .refcount = 1 };
	m->pages[1] = m->pages[0];
	m->zero_pfn = 1;
	m->fresh = 2;
	m->counters.nr_total = m->nr_pages;
	m->counters.nr_free = m->nr_pages - m->fresh;
}

static bool params_valid(const struct machine_params *p)
{
	return p->nr_pages >= 16 && p->nr_pages < UINT32_MAX && p->nrpte >= 1 &&
	       p->nrpte <= CHAIN_MAX && p->rmap < NR_RMAP_DESIGNS;
}

machine *machine_create(const struct machine_params *params)
{
	if (!params_valid(params))
		return NULL;
	machine *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->nr_pages = params->nr_pages;
	m->arena_bytes = m->nr_pages << PAGE_SHIFT;
	m->poison = params->poison;
	m->nrpte = params->nrpte;
	m->features = params->features;
	m->rmap = designs[params->rmap];
	m->seed = 2463534242u;
	if (!map_host_memory(m)) {
		free(m);
		return NULL;
	}
	reserve_low_pages(m);
	slab_init(m);
	m->tunables = (struct tunables){
		.max_map_count = 65530,
		.mmap_min_addr = 65536,
		.nonlinear_max_pages = m->nr_pages / 2,
		.nonlinear_mixing = 1,
		.overcommit_ratio = 50,
		.swappiness = 60,
		.page_cluster = 3,
	};
	return m;
}

int64_t machine_destroy(machine *m)
{
	for (struct chain *block; (block = m->reserved_chain);) {
		m->reserved_chain = block->next;
		slab_free(m, CACHE_CHAIN, block);
	}
	vsyscall_free(m);
	machine_set_hugepages(m, 0); /* one that cannot go is a leak */
	int64_t leaked = 0;
	for (int id = 0; id < NR_CACHES; id++)
		leaked += (int64_t)m->caches[id].live;
	leaked += (int64_t)(m->nr_pages - 2 - m->counters.nr_free);
	slab_fini(m);
	swap_fini(m);
	host_release(m->pages, m->nr_pages * sizeof(struct page));
	host_release(m->arena, m->arena_bytes);
	free(m);
	return leaked;
}

struct need *machine_need(machine *m) { return &m->need; }
struct tunables *machine_tunables(machine *m) { return &m->tunables; }
struct counters *machine_counters(machine *m) { return &m->counters; }
void *machine_arena(machine *m) { return m->arena; }
uint64_t machine_arena_bytes(machine *m) { return m->arena_bytes; }
void machine_fail_nth(machine *m, uint64_t n) { m->fail_in = n; }
int64_t machine_fail_pending(machine *m) { return (int64_t)m->fail_in; }

int64_t machine_page_info(machine *m, uint64_t pfn, struct page_info *out)
{
	if (pfn >= m->nr_pages)
		return -EINVAL;
	const struct page *page = &m->pages[pfn];
	bool used = pfn < m->fresh && !(page->flags & PG_FREE);
	*out = (struct page_info){
		.flags = used ? page->flags : PG_FREE,
		.refcount = used ? page->refcount : 0,
		.mapcount = used ? page->mapcount : 0,
		.pins = used ? page->pins : 0,
		.index = used ? page->index : 0,
		.mapping = used && (page->flags & PG_CACHE) ? page->mapping->cookie : 0,
	};
	return 0;
}

/* ---- /proc/buddyinfo ---- */

static void count_run(uint64_t start, uint64_t end, uint64_t *counts)
{
	while (start < end) {
		uint64_t order = NR_ORDERS - 1;
		while (start & ((1ul << order) - 1) || 1ul << order > end - start)
			order--;
		counts[order]++;
		start += 1ul << order;
	}
}

void machine_free_blocks(machine *m, uint64_t *counts)
{
	uint64_t start = 0;
	memset(counts, 0, NR_ORDERS * sizeof(*counts));
	for (uint64_t pfn = 0; pfn < m->fresh; pfn++)
		if (!(m->pages[pfn].flags & PG_FREE)) {
			count_run(start, pfn, counts);
			start = pfn + 1;
		}
	count_run(start, m->nr_pages, counts); /* with those never handed out */
}
