/*
 * slab.c - the core's own objects, kept in arena pages.
 *
 * Objects of one kind share pages; a page with a free object is on its
 * cache's partial list; an empty page goes back at once.  So every byte of
 * kernel metadata is counted in nr_slab and comes out of the same RAM.
 *
 * Pages of one cache begin at different lines of what they have left over, in
 * turn (colours): else the first words of all objects, which walks read, would
 * lie in a few sets of the processor's cache and push each other out.
 */
#include "core.h"
#include "sizes.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#endif

#define LINE 64u /* bytes of a line of the processor's cache */

void slab_init(machine *m)
{
	const uint32_t sizes[NR_CACHES] = {
		[CACHE_VMA] = sizeof(struct vma),
		[CACHE_ANON_VMA] = sizeof(struct anon_vma),
		[CACHE_CHAIN] = (uint32_t)(sizeof(struct chain) + m->nrpte * sizeof(pte_t *)),
		[CACHE_RADIX] = sizeof(struct radix_node),
		[CACHE_MM] = sizeof(struct mm),
		[CACHE_MAPPING] = sizeof(struct mapping),
		[CACHE_FILE] = sizeof(struct file),
		[CACHE_UFFD] = sizeof(struct uffd),
		[CACHE_POLICY] = sizeof(struct mempolicy),
		[CACHE_SHARED_POLICY] = sizeof(struct shared_policy),
		[CACHE_KSM_NODE] = sizeof(struct ksm_node),
		[CACHE_KSM_ITEM] = sizeof(struct ksm_item),
	};
	for (int id = 0; id < NR_CACHES; id++)
		m->caches[id].size = (sizes[id] + 7u) & ~7u;
}

/* What leaked must not poison the addresses for the next arena. */
void slab_fini(machine *m)
{
	for (uint64_t pfn = handed_out_from(m, 0); pfn < m->nr_pages;
	     pfn = handed_out_from(m, pfn + 1))
		if (m->pages[pfn].flags & PG_SLAB)
			ASAN_UNPOISON_MEMORY_REGION(pfn_data(m, pfn), PAGE_SIZE);
}

static void partial_push(machine *m, struct cache *cache, uint32_t pfn)
{
	m->pages[pfn].prev = 0;
	m->pages[pfn].next = cache->partial;
	if (cache->partial)
		m->pages[cache->partial].prev = pfn;
	cache->partial = pfn;
}

static void partial_remove(machine *m, struct cache *cache, struct page *page)
{
	if (page->prev)
		m->pages[page->prev].next = page->next;
	else
		cache->partial = page->next;
	if (page->next)
		m->pages[page->next].prev = page->prev;
}

/* Return where the objects of a new page begin, bytes; the next page's begin a line later. */
static uint32_t take_colour(struct cache *cache, uint32_t left_over)
{
	uint32_t colour = cache->colour;
	bool fits = colour + LINE <= left_over;
	cache->colour = fits ? colour + LINE : 0;
	return colour;
}

static struct page *slab_grow(machine *m, struct cache *cache)
{
	struct page *page = page_alloc(m, PG_SLAB);
	if (!page)
		return NULL;
	char *data = page_data(m, page);
	uint32_t size = cache->size, left_over = (uint32_t)PAGE_SIZE % size;
	char *first = data + take_colour(cache, left_over);
	void *head = NULL;
	for (char *at = first + PAGE_SIZE - left_over; at != first;) {
		at -= size;
		*(void **)at = head;
		head = at;
	}
	ASAN_POISON_MEMORY_REGION(data, PAGE_SIZE);
	page->objects = head;
	page->cache = cache;
	partial_push(m, cache, (uint32_t)page_pfn(m, page));
	return page;
}

void *slab_alloc(machine *m, enum cache_id id)
{
	struct cache *cache = &m->caches[id];
	if (!alloc_permitted(m))
		return NULL;
	struct page *page = cache->partial ? &m->pages[cache->partial] : slab_grow(m, cache);
	if (!page)
		return NULL;
	void *object = page->objects;
	ASAN_UNPOISON_MEMORY_REGION(object, cache->size);
	page->objects = *(void **)object;
	page->used++;
	cache->live++;
	if (!page->objects)
		partial_remove(m, cache, page);
	return memset(object, 0, cache->size);
}

void slab_free(machine *m, enum cache_id id, void *object)
{
	struct cache *cache = &m->caches[id];
	struct page *page = page_of(m, object);
	assert(page->flags & PG_SLAB && page->cache == cache && page->used);
	if (!page->objects)
		partial_push(m, cache, (uint32_t)page_pfn(m, page));
	*(void **)object = page->objects;
	page->objects = object;
	ASAN_POISON_MEMORY_REGION(object, cache->size);
	cache->live--;
	if (--page->used)
		return;
	partial_remove(m, cache, page);
	ASAN_UNPOISON_MEMORY_REGION(page_data(m, page), PAGE_SIZE);
	page_put(m, page);
}

/* ---- /proc/slabinfo ---- */

int64_t machine_slab(machine *m, uint64_t nth, struct slab_info *out)
{
	static const char *const names[NR_CACHES] = {
		[CACHE_VMA] = "vm_area_struct",
		[CACHE_ANON_VMA] = "anon_vma",
		[CACHE_CHAIN] = "pte_chain",
		[CACHE_RADIX] = "radix_tree_node",
		[CACHE_MM] = "mm_struct",
		[CACHE_MAPPING] = "address_space",
		[CACHE_FILE] = "filp",
		[CACHE_UFFD] = "userfaultfd_ctx_cache",
		[CACHE_POLICY] = "numa_policy",
		[CACHE_SHARED_POLICY] = "shared_policy_node",
		[CACHE_KSM_NODE] = "ksm_stable_node",
		[CACHE_KSM_ITEM] = "ksm_rmap_item",
	};
	if (nth >= NR_CACHES)
		return -ENOENT;
	const struct cache *cache = &m->caches[nth];
	*out = (struct slab_info){ names[nth], cache->size, 0, cache->live, 0 };
	for (uint64_t pfn = handed_out_from(m, 0); pfn < m->nr_pages;
	     pfn = handed_out_from(m, pfn + 1))
		out->pages += m->pages[pfn].flags & PG_SLAB && m->pages[pfn].cache == cache;
	out->objects = out->pages * (PAGE_SIZE / cache->size);
	return 0;
}
