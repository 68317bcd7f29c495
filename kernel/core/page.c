/*
 * page.c - physical memory: the arena, struct page, allocation, refcounts.
 *
 * Owns machine->pages, the nodes with their free lists and the one door through which every
 * allocation of the core goes (page frames here, objects in slab.c), so that
 * a test can make the n-th one fail.  Pages are handed out from the free list
 * first, then from `fresh`, so that a large machine costs nothing until used.
 *
 * A node is a range of frames.  Where a page may come from is a zonelist: a
 * first node, then the others by their distance, of those that are allowed.  A
 * node has its share of each watermark; no node below the low one gives a page
 * while another has more.
 */
#include "core.h"
#include "host.h"

#include <stdlib.h>

static bool is_due(uint64_t *left) { return *left && --*left == 0; }

bool alloc_permitted(machine *m)
{
	m->counters.allocations++;
	m->injected = is_due(&m->fail_in) | is_due(&m->task_fail_in);
	return !m->injected;
}

int64_t no_memory(machine *m)
{
	if (m->injected)
		return -ENOMEM;
	m->need.nr_pages = 1;
	return NEED_MEMORY;
}

static uint64_t take_pfn(machine *m, struct node *node)
{
	uint64_t pfn = node->free_list;
	if (pfn) {
		node->free_list = m->pages[pfn].next;
		if (m->poison && !is_filled(pfn_data(m, pfn), POISON_BYTE, PAGE_SIZE))
			abort(); /* someone wrote to a free page */
		return pfn;
	}
	return node->fresh < node->end ? node->fresh++ : 0;
}

static uint64_t *kind_counter(machine *m, uint32_t flags)
{
	if (flags & PG_TABLE)
		return &m->counters.nr_pagetable;
	if (flags & PG_SLAB)
		return &m->counters.nr_slab;
	return flags & PG_ANON ? &m->counters.nr_anon : NULL;
}

/* A node's part of a watermark. */
static uint64_t share_of(const machine *m, const struct node *node, uint64_t watermark)
{
	return m->nr_nodes == 1 ? watermark : watermark * (node->end - node->first) / m->nr_pages;
}

/* Below the low watermark someone reclaims first; below the lowest no one gets a page. */
static bool above_low(const machine *m, const struct node *node)
{
	return node->nr_free > share_of(m, node, m->tunables.watermark_low);
}

static bool above_min(const machine *m, const struct node *node)
{
	return node->balanced && node->nr_free > share_of(m, node, m->tunables.watermark_min);
}

typedef bool (*node_test)(const machine *m, const struct node *node);

static struct node *first_node(machine *m, struct zonelist where, node_test has)
{
	for (uint64_t i = 0; i < m->nr_nodes; i++) {
		uint64_t nid = (where.first + i) % m->nr_nodes;
		if (where.nodes >> nid & 1 && has(m, &m->nodes[nid]))
			return &m->nodes[nid];
	}
	return NULL;
}

static bool any_node(const machine *m, const struct node *node)
{
	(void)m, (void)node;
	return true;
}

/* Source: zone_statistics() of Linux 6.18. */
static void count_place(machine *m, struct zonelist where, struct node *node)
{
	struct node *wished = first_node(m, where, any_node);
	if (node == wished) {
		node->stat.hit++;
	} else {
		node->stat.miss++;
		wished->stat.foreign++;
	}
	++*(node == &m->nodes[LOCAL_NODE] ? &node->stat.local : &node->stat.other);
}

static TELLS struct page *tell_allocated(machine *m, struct page *page)
{
	event_record(m, EVENT_PAGE_ALLOC, page_pfn(m, page), page->flags, 0, 0, 0);
	return page;
}

static struct page *page_from(machine *m, struct node *node, uint32_t flags)
{
	uint64_t pfn = node ? take_pfn(m, node) : 0;
	if (!pfn)
		return NULL;
	struct page *page = &m->pages[pfn];
	*page = (struct page){ .flags = flags, .refcount = 1 };
	m->counters.nr_free--;
	node->nr_free--;
	m->counters.pgalloc++;
	uint64_t *kind = kind_counter(m, flags);
	if (kind)
		++*kind;
	return is_told(m) ? tell_allocated(m, page) : page;
}

struct page *page_alloc_on(machine *m, uint32_t flags, struct zonelist where)
{
	m->need.nodes = where.nodes;
	if (!alloc_permitted(m))
		return NULL;
	struct node *node = first_node(m, where, above_low);
	if (!node)
		node = first_node(m, where, above_min);
	struct page *page = page_from(m, node, flags);
	if (page && m->nr_nodes > 1)
		count_place(m, where, node);
	return page;
}

struct page *page_alloc(machine *m, uint32_t flags)
{
	const struct zonelist local = { ALL_NODES, LOCAL_NODE };
	if (m->nr_nodes > 1)
		return page_alloc_on(m, flags, local);
	m->need.nodes = ALL_NODES;
	struct node *node = m->nodes;
	bool gives = alloc_permitted(m) && (above_low(m, node) || above_min(m, node));
	return page_from(m, gives ? node : NULL, flags);
}

struct page *page_alloc_zeroed(machine *m, uint32_t flags)
{
	struct page *page = page_alloc(m, flags);
	if (page)
		memset(page_data(m, page), 0, PAGE_SIZE);
	return page;
}

void page_get(struct page *page) { page->refcount++; }

static inline void push_free(machine *m, struct node *node, uint64_t pfn)
{
	if (m->poison)
		memset(pfn_data(m, pfn), POISON_BYTE, PAGE_SIZE);
	m->pages[pfn] = (struct page){ .flags = PG_FREE, .next = node->free_list };
	node->free_list = (uint32_t)pfn;
}

static inline void count_free(machine *m, struct node *node, int64_t nr)
{
	m->counters.nr_free += (uint64_t)nr;
	node->nr_free += (uint64_t)nr;
}

void page_make_free(machine *m, uint64_t pfn) { push_free(m, pfn_node(m, pfn), pfn); }

void pages_count_free(machine *m, uint64_t pfn, int64_t nr) { count_free(m, pfn_node(m, pfn), nr); }

static TELLS void tell_freed(machine *m, const struct page *page)
{
	event_record(m, EVENT_PAGE_FREE, page_pfn(m, page), page->flags, 0, 0, 0);
}

static void page_free(machine *m, struct page *page)
{
	assert(page->mapcount == 0 && page->pins == 0 && !(page->flags & PG_SWAPCACHE));
	lru_del(m, page);
	if (page->flags & PG_KSM)
		ksm_page_gone(m, page);
	uint64_t *kind = kind_counter(m, page->flags);
	if (kind)
		--*kind;
	if (page->flags & PG_ANON && page->anon_vma)
		page->anon_vma->nr_pages--;
	if (is_told(m))
		tell_freed(m, page);
	uint64_t pfn = page_pfn(m, page);
	struct node *node = pfn_node(m, pfn);
	push_free(m, node, pfn);
	count_free(m, node, 1);
	m->counters.pgfree++;
	if (node->nr_free > share_of(m, node, m->tunables.watermark_high))
		node->balanced = false;
}

/* Background reclaim did what it could for those who asked last. */
void machine_balanced(machine *m)
{
	for (uint64_t nid = 0; nid < m->nr_nodes; nid++)
		if (m->need.nodes >> nid & 1)
			m->nodes[nid].balanced = true;
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

/*
 * Who uses little borrows little: a start, a small branch.  Behind that the host
 * is asked for huge pages, for frames that lie apart are hard on its TLB.
 */
#define LENT_PAGE_BY_PAGE (16ul << 20)

static bool map_host_memory(machine *m)
{
	m->arena = host_reserve(m->arena_bytes);
	if (!m->arena)
		return false;
	if (m->arena_bytes > LENT_PAGE_BY_PAGE)
		host_lend_much(m->arena + LENT_PAGE_BY_PAGE, m->arena_bytes - LENT_PAGE_BY_PAGE);
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
	m->nodes[0].fresh = 2;
	m->counters.nr_total = m->nr_pages;
	for (struct node *node = m->nodes; node < m->nodes + m->nr_nodes; node++) {
		node->nr_free = node->end - node->fresh;
		m->counters.nr_free += node->nr_free;
	}
}

/* Equal parts, in which large pages fit where they are large enough. */
static void place_nodes(machine *m)
{
	uint64_t size = m->nr_pages / m->nr_nodes;
	if (size >= HUGE_PAGES)
		size -= size % HUGE_PAGES;
	for (uint64_t nid = 0; nid < m->nr_nodes; nid++) {
		uint64_t first = nid * size;
		m->nodes[nid] =
			(struct node){ .first = first, .fresh = first, .end = first + size };
	}
	m->nodes[m->nr_nodes - 1].end = m->nr_pages;
}

static bool params_valid(const struct machine_params *p)
{
	return p->nr_pages >= 16 && p->nr_pages < UINT32_MAX && p->nrpte >= 1 &&
	       p->nrpte <= CHAIN_MAX && p->rmap < NR_RMAP_DESIGNS && p->nr_nodes <= MAX_NODES;
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
	m->nr_nodes = params->nr_nodes ? params->nr_nodes : 1;
	m->rmap = designs[params->rmap];
	m->seed = 2463534242u;
	if (!map_host_memory(m)) {
		free(m);
		return NULL;
	}
	place_nodes(m);
	reserve_low_pages(m);
	slab_init(m);
	ksm_init(m);
	m->tunables = (struct tunables){
		.max_map_count = 65530,
		.mmap_min_addr = 65536,
		.nonlinear_max_pages = m->nr_pages / 2,
		.nonlinear_mixing = 1,
		.overcommit_ratio = 50,
		.swappiness = 60,
		.page_cluster = 3,
		.interleave_weights = { 1, 1, 1, 1, 1, 1, 1, 1 },
		.fault_around_bytes = 65536,
	};
	return m;
}

int64_t machine_destroy(machine *m)
{
	for (struct chain *block; (block = m->reserved_chain);) {
		m->reserved_chain = block->next;
		slab_free(m, CACHE_CHAIN, block);
	}
	machine_events_off(m);
	machine_journal_off(m);
	vsyscall_free(m);
	m->poison = false;           /* nobody will look at what comes free now */
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
int64_t machine_fail_task_pending(machine *m) { return (int64_t)m->task_fail_in; }

int64_t machine_fail_task_nth(machine *m, uint64_t n)
{
	uint64_t left = m->task_fail_in;
	m->task_fail_in = n;
	return (int64_t)left;
}

int64_t machine_page_info(machine *m, uint64_t pfn, struct page_info *out)
{
	if (pfn >= m->nr_pages)
		return -EINVAL;
	const struct page *page = &m->pages[pfn];
	bool used = handed_out_from(m, pfn) == pfn && !(page->flags & PG_FREE);
	*out = (struct page_info){
		.flags = (used ? page->flags : PG_FREE) | (pfn == m->zero_pfn ? PG_ZERO : 0),
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

void machine_free_blocks(machine *m, uint64_t nid, uint64_t *counts)
{
	const struct node *node = &m->nodes[nid % m->nr_nodes];
	uint64_t start = node->first;
	memset(counts, 0, NR_ORDERS * sizeof(*counts));
	for (uint64_t pfn = start; pfn < node->fresh; pfn++)
		if (!(m->pages[pfn].flags & PG_FREE)) {
			count_run(start, pfn, counts);
			start = pfn + 1;
		}
	count_run(start, node->end, counts); /* with those never handed out */
}

/* ---- what a node holds: counted when it is asked for ---- */

static void count_user_page(struct node_info *n, const struct page *page)
{
	uint64_t *const lists[NR_LRU_LISTS] = { &n->nr_inactive_anon, &n->nr_active_anon,
						&n->nr_inactive_file, &n->nr_active_file,
						&n->nr_unevictable };
	if (page->flags & PG_LRU)
		++*lists[lru_of(page)];
	n->nr_anon += !!(page->flags & PG_ANON);
	n->nr_file += !!(page->flags & PG_CACHE);
	n->nr_shmem += !!(page->flags & PG_SHMEM);
	n->nr_mapped += page->mapcount && !(page->flags & PG_ANON);
	n->nr_special += page->pins > 0;
	n->nr_swapcached += !!(page->flags & PG_SWAPCACHE);
	n->nr_dirty += page->flags & PG_CACHE && page->flags & PG_DIRTY &&
		       page->mapping->flags & MAPPING_WRITEBACK;
}

static void count_page(struct node_info *n, const struct page *page)
{
	n->nr_huge += !!(page->flags & PG_HUGE);
	n->nr_huge_free += page->flags & PG_HUGE && !page->refcount;
	n->nr_pagetable += !!(page->flags & PG_TABLE);
	n->nr_slab += !!(page->flags & PG_SLAB);
	const uint32_t others = PG_FREE | PG_RESERVED | PG_TABLE | PG_SLAB | PG_HUGE | PG_TAIL;
	if (!(page->flags & others))
		count_user_page(n, page);
}

int64_t machine_node(machine *m, uint64_t nid, struct node_info *out)
{
	if (nid >= m->nr_nodes)
		return -EINVAL;
	const struct node *node = &m->nodes[nid];
	*out = (struct node_info){
		.first = node->first,
		.nr_total = node->end - node->first,
		.nr_free = node->nr_free,
		.watermark_min = share_of(m, node, m->tunables.watermark_min),
		.watermark_low = share_of(m, node, m->tunables.watermark_low),
		.watermark_high = share_of(m, node, m->tunables.watermark_high),
		.stat = node->stat,
	};
	if (m->nr_nodes == 1) /* where all is as it was wished, nobody counts */
		out->stat.hit = out->stat.local = m->counters.pgalloc;
	for (uint64_t pfn = node->first; pfn < node->fresh; pfn++)
		count_page(out, &m->pages[pfn]);
	return 0;
}
