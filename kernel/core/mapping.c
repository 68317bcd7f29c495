/*
 * mapping.c - an inode's pages, their truncation, and open files.
 *
 * Owns which pages are in the cache (through index.c), the size of the file,
 * and open files.  Truncation follows the order that closed the races: new
 * size, unmap, drop the pages, unmap again, zero the last page's tail.
 */
#include "core.h"

/* ---- pages entering and leaving the cache ---- */

static TELLS void tell_page(const mapping *mp, const struct page *page, enum event_kind kind)
{
	event_record(mp->machine, kind, page_pfn(mp->machine, page), mp->cookie, page->index, 0, 0);
}

static void cache_count(mapping *mp, struct page *page, uint64_t index)
{
	machine *m = mp->machine;
	page->mapping = mp;
	page->index = index;
	mp->nr_pages++;
	m->counters.nr_file++;
	if (page->flags & PG_SHMEM)
		m->counters.nr_shmem++;
	if (is_told(m))
		tell_page(mp, page, EVENT_CACHE_ADD);
	lru_add(m, page);
}

/* Memory without a promise is committed page by page, as pages come and go. */
static bool charges_pages(const mapping *mp)
{
	const uint32_t kinds = MAPPING_MEMORY | MAPPING_HUGE | MAPPING_RESERVED | MAPPING_SECRET;
	return (mp->flags & kinds) == MAPPING_MEMORY;
}

static int64_t cache_insert(mapping *mp, uint64_t index, struct page *page)
{
	machine *m = mp->machine;
	if (!index_insert(mp, index, page)) {
		int64_t err = no_memory(m);
		page_put(m, page);
		return err;
	}
	cache_count(mp, page, index);
	if (mp->quota)
		mp->quota->used++;
	mp->charged += charges_pages(mp);
	return 0;
}

static int64_t cache_new(mapping *mp, uint64_t index, struct page **out)
{
	machine *m = mp->machine;
	if (mp->quota && mp->quota->used >= mp->quota->max)
		return -ENOSPC;
	const uint32_t kinds = MAPPING_MEMORY | MAPPING_SECRET;
	uint32_t shmem = (mp->flags & kinds) == MAPPING_MEMORY ? PG_SHMEM : 0;
	if (charges_pages(mp) && !commit_charge(m, 1))
		return -ENOSPC;
	struct page *page = page_alloc_at(mp, index, PG_CACHE | PG_UPTODATE | shmem);
	if (page)
		memset(page_data(m, page), 0, PAGE_SIZE);
	int64_t err = page ? cache_insert(mp, index, page) : no_memory(m);
	if (!err)
		*out = page;
	else if (charges_pages(mp))
		commit_release(m, 1);
	return err;
}

/* Bring a page of memory back from swap.  -EIO: it stays there. */
static int64_t cache_swap_in(mapping *mp, uint64_t index, uint32_t entry, struct page **out)
{
	machine *m = mp->machine;
	struct page *page = page_alloc_at(mp, index, PG_CACHE | PG_UPTODATE | PG_SHMEM);
	if (!page)
		return no_memory(m);
	int64_t err = swap_fetch(m, entry, page);
	if (err) {
		page_put(m, page);
		return err;
	}
	index_replace(mp, index, page);
	mp->nr_swapped--;
	cache_count(mp, page, index);
	page_set_dirty(m, page); /* swap may lose its copy */
	swap_put(m, entry);
	*out = page;
	return 0;
}

int64_t mapping_get_page(mapping *mp, uint64_t index, struct page **out)
{
	void *item = index_get(mp, index);
	if (item_is_swap(item))
		return cache_swap_in(mp, index, item_entry(item), out);
	*out = item;
	if (item) {
		(*out)->flags |= PG_UPTODATE;
		return 0;
	}
	if (mp->flags & MAPPING_MEMORY)
		return cache_new(mp, index, out);
	struct need *need = &mp->machine->need;
	need->mapping = mp;
	need->cookie = mp->cookie;
	need->index = index;
	need->truncate_count = mp->truncate_count;
	return NEED_PAGE;
}

int64_t mapping_add_page(mapping *mp, uint64_t index, const void *data, uint64_t nbytes,
			 uint64_t truncate_count)
{
	if (truncate_count != mp->truncate_count && !HAS_BUG(BUG_STALE_READ))
		return -EAGAIN; /* what was read may be of the file as it was */
	if (nbytes > PAGE_SIZE || index > INDEX_MAX)
		return -EINVAL;
	if (mapping_find(mp, index))
		return 0;
	struct page *page;
	int64_t err = cache_new(mp, index, &page);
	if (!err && nbytes)
		memcpy(page_data(mp->machine, page), data, nbytes);
	return err;
}

static bool counts_as_dirty(const struct page *page)
{
	return page->mapping && page->mapping->flags & MAPPING_WRITEBACK;
}

void page_set_dirty(machine *m, struct page *page)
{
	if (page->flags & PG_DIRTY || !(page->flags & PG_CACHE))
		return;
	page->flags |= PG_DIRTY;
	if (counts_as_dirty(page))
		m->counters.nr_dirty++;
	if (is_told(m) && page->mapping)
		tell_page(page->mapping, page, EVENT_DIRTY);
}

static void page_clear_dirty(machine *m, struct page *page)
{
	if (page->flags & PG_DIRTY && counts_as_dirty(page))
		m->counters.nr_dirty--;
	page->flags &= ~(uint32_t)PG_DIRTY;
}

static void cache_leave(mapping *mp, struct page *page)
{
	machine *m = mp->machine;
	assert(page->mapcount == 0);
	if (is_told(m))
		tell_page(mp, page, EVENT_CACHE_DELETE);
	page_clear_dirty(m, page);
	lru_del(m, page);
	mp->nr_pages--;
	m->counters.nr_file--;
	if (page->flags & PG_SHMEM)
		m->counters.nr_shmem--;
	page->flags &= ~(uint32_t)(PG_CACHE | PG_SHMEM | PG_ACTIVE | PG_UNEVICTABLE);
	page->mapping = NULL;
	page_put(m, page); /* a special VMA may keep the frame */
}

static void index_drop(mapping *mp, uint64_t index)
{
	index_remove(mp, index);
	if (mp->quota)
		mp->quota->used--;
	if (charges_pages(mp)) {
		mp->charged--;
		commit_release(mp->machine, 1);
	}
}

void cache_drop(mapping *mp, struct page *page)
{
	index_drop(mp, page->index);
	cache_leave(mp, page);
}

void cache_swap_out(mapping *mp, struct page *page, uint32_t entry)
{
	index_replace(mp, page->index, item_swap(entry));
	mp->nr_swapped++;
	cache_leave(mp, page);
}

static void drop_swapped(mapping *mp, uint64_t index, uint32_t entry)
{
	index_drop(mp, index);
	mp->nr_swapped--;
	swap_put(mp->machine, entry);
}

static void drop_pages(mapping *mp, uint64_t first, uint64_t last)
{
	void *item;
	for (; (item = index_next(mp, &first)) && first <= last; first++) {
		if (item_is_swap(item)) {
			drop_swapped(mp, first, item_entry(item));
		} else if (mp->flags & MAPPING_HUGE) {
			huge_drop(mp, first, item);
		} else
			cache_drop(mp, item);
	}
}

/* The page that pos lies inside of, if part of it is to be zeroed, must be here. */
static int64_t bring_partial(mapping *mp, uint64_t pos)
{
	struct page *page;
	bool swapped = pos & ~PAGE_MASK && item_is_swap(index_get(mp, pos >> PAGE_SHIFT));
	return swapped ? mapping_get_page(mp, pos >> PAGE_SHIFT, &page) : 0;
}

/* ---- unmapping a range of the file everywhere ---- */

enum copies { KEEP_COPIES, DROP_COPIES }; /* private copies of its pages */

static bool is_copy(machine *m, pte_t pte)
{
	if (pte_is_swap(pte) || pte_marker_kind(pte) == MARKER_POISON)
		return true;
	return pte_present(pte) && pfn_page(m, pte_pfn(pte))->flags & PG_ANON;
}

static void unmap_linear(struct vma *vma, uint64_t first, uint64_t last, enum copies copies)
{
	if (vma->flags & VM_HUGETLB)
		first = (first + HUGE_PAGES - 1) & -(uint64_t)HUGE_PAGES;
	uint64_t low = first > vma->pgoff ? first - vma->pgoff : 0;
	uint64_t high = last - vma->pgoff < vma_pages(vma) ? last - vma->pgoff + 1 : vma_pages(vma);
	uint64_t end = vma->start + (high << PAGE_SHIFT), span;
	if (vma->flags & VM_HUGETLB)
		huge_clear_range(vma, vma->start + (low << PAGE_SHIFT), end);
	pte_t *ptep;
	for (uint64_t addr = vma->start + (low << PAGE_SHIFT);
	     (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (*ptep && !pte_is_guard(*ptep) &&
			    (copies == DROP_COPIES || !is_copy(vma->mm->machine, *ptep)))
				zap_pte(vma->mm, vma, addr, ptep, marker_after_zap(vma, *ptep));
}

/* By the page's index, not by its place: innocent pages stay. */
static void unmap_nonlinear(struct vma *vma, uint64_t first, uint64_t last)
{
	machine *m = vma->mm->machine;
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = vma->start; (ptep = pt_next(vma->mm, &addr, vma->end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE) {
			if (!pte_present(*ptep))
				continue;
			uint64_t index = pfn_page(m, pte_pfn(*ptep))->index;
			if (index >= first && index <= last)
				zap_pte(vma->mm, vma, addr, ptep, pte_file(index));
		}
}

static void unmap_everywhere(mapping *mp, uint64_t first, uint64_t last, enum copies copies)
{
	if (first > last)
		return;
	for (struct vma *vma = mapping_first_vma(mp, first, last); vma;
	     vma = mapping_next_vma(vma, first, last))
		unmap_linear(vma, first, last, copies);
	for (struct vma *vma = mp->nonlinear; vma; vma = vma->nonlinear_next)
		unmap_nonlinear(vma, first, last);
	for (struct vma *vma = mp->nonlinear; vma && HAS_BUG(BUG_LINEAR_ZAP);
	     vma = vma->nonlinear_next)
		unmap_linear(vma, first, last, copies);
}

static void tell_step(const mapping *mp, enum truncate_step step, uint64_t first, uint64_t last)
{
	if (is_told(mp->machine))
		event_record(mp->machine, EVENT_TRUNCATE, mp->cookie, step, first, last, mp->size);
}

/* The second time for who mapped a page between the first and its leaving the cache. */
static void cut_range(mapping *mp, uint64_t first, uint64_t last, enum copies copies)
{
	tell_step(mp, TRUNCATE_UNMAP, first, last);
	unmap_everywhere(mp, first, last, copies);
	tell_step(mp, TRUNCATE_DROP, first, last);
	drop_pages(mp, first, last);
	tell_step(mp, TRUNCATE_UNMAP_AGAIN, first, last);
	unmap_everywhere(mp, first, last, copies);
}

/* The page in the cache that pos lies in, or NULL. */
static struct page *page_of_pos(mapping *mp, uint64_t pos)
{
	return mapping_find(mp, (pos & -mapping_unit(mp)) >> PAGE_SHIFT);
}

static char *data_of_pos(mapping *mp, const struct page *page, uint64_t pos)
{
	return (char *)page_data(mp->machine, page) + (pos & (mapping_unit(mp) - 1));
}

static void zero_part(mapping *mp, uint64_t pos, uint64_t nbytes)
{
	struct page *page = page_of_pos(mp, pos);
	if (!page || !nbytes)
		return;
	char *data = data_of_pos(mp, page, pos);
	memset(data, 0, nbytes);
	pages_written(mp->machine, data, nbytes);
	page_set_dirty(mp->machine, page);
}

static void zero_tail(mapping *mp, uint64_t pos) /* from pos to its page's end */
{
	uint64_t unit = mapping_unit(mp), inside = pos & (unit - 1);
	if (inside)
		zero_part(mp, pos, unit - inside);
}

/* The file grows beyond pos: what was stored there must not show.  Nothing: a page stays clean. */
static void hide_tail(mapping *mp, uint64_t pos)
{
	const struct page *page = page_of_pos(mp, pos);
	uint64_t unit = mapping_unit(mp), inside = pos & (unit - 1);
	if (page && inside && !is_filled(data_of_pos(mp, page, pos), 0, unit - inside))
		zero_tail(mp, pos);
}

/* It sleeps where Linux may: the next try, which finds the new size, goes on from there. */
static int64_t cut_with_one_unmap(mapping *mp, uint64_t first, uint64_t old)
{
	if (mp->size == old) {
		drop_pages(mp, first, INDEX_MAX);
		return 0;
	}
	unmap_everywhere(mp, first, INDEX_MAX, DROP_COPIES);
	return NEED_MEMORY;
}

int64_t mapping_truncate(mapping *mp, uint64_t size)
{
	uint64_t old = mp->size, first = PAGE_ALIGN(size) >> PAGE_SHIFT;
	int64_t err = bring_partial(mp, size < old ? size : old);
	if (err)
		return err;
	mp->size = size;
	mp->truncate_count += size < old; /* only what was cut makes a read stale */
	mp->machine->counters.truncations++;
	if (size > old) {
		hide_tail(mp, old);
		return 0;
	}
	tell_step(mp, TRUNCATE_SIZE, first, INDEX_MAX);
	if (HAS_BUG(BUG_ONE_UNMAP))
		return cut_with_one_unmap(mp, first, old);
	cut_range(mp, first, INDEX_MAX, DROP_COPIES);
	tell_step(mp, TRUNCATE_ZERO_TAIL, first, INDEX_MAX);
	zero_tail(mp, size);
	return 0;
}

int64_t mapping_extend(mapping *mp, uint64_t size)
{
	if (size > mp->size)
		mp->size = size;
	return 0;
}

int64_t mapping_punch(mapping *mp, uint64_t start, uint64_t end)
{
	uint64_t unit = mapping_unit(mp);
	uint64_t first = (start + unit - 1) & -unit, last = end & -unit; /* whole pages */
	if (end <= start)
		return -EINVAL;
	int64_t err = bring_partial(mp, start);
	if (!err)
		err = bring_partial(mp, end);
	if (err)
		return err;
	mp->truncate_count++;
	if (first > last) { /* inside one page */
		zero_part(mp, start, end - start);
		return 0;
	}
	zero_tail(mp, start);
	zero_part(mp, last, end - last);
	if (first == last)
		return 0;
	cut_range(mp, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1, KEEP_COPIES);
	return 0;
}

/* ---- read, write, writeback: what a need interrupts gives back what was done ---- */

static int64_t some_or(mapping *mp, uint64_t done, int64_t err)
{
	mp->machine->need.stopped = err;
	return done ? (int64_t)done : err;
}

/* No page is in the cache at pos: is there none at all? */
static bool reads_zeroes(mapping *mp, uint64_t pos)
{
	return mp->flags & MAPPING_HUGE ||
	       (mp->flags & MAPPING_MEMORY && !index_get(mp, pos >> PAGE_SHIFT));
}

typedef void (*page_seen)(machine *m, struct page *page);

static void not_seen(machine *m, struct page *page) { (void)m, (void)page; }

/* seen: told of each page that is read from its beginning. */
static int64_t copy_out(mapping *mp, uint64_t pos, void *buf, uint64_t nbytes, page_seen seen)
{
	if (pos >= mp->size)
		return 0;
	if (nbytes > mp->size - pos)
		nbytes = mp->size - pos;
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		n = in_page(pos + done, nbytes - done);
		char *to = (char *)buf + done;
		struct page *page = page_of_pos(mp, pos + done);
		if (!page && reads_zeroes(mp, pos + done)) {
			memset(to, 0, n);
			continue;
		}
		int64_t err = page ? 0 : mapping_get_page(mp, (pos + done) >> PAGE_SHIFT, &page);
		if (err)
			return some_or(mp, done, err);
		memcpy(to, data_of_pos(mp, page, pos + done), n);
		if (!((pos + done) & ~PAGE_MASK))
			seen(mp->machine, page);
	}
	return (int64_t)nbytes;
}

int64_t mapping_read(mapping *mp, uint64_t pos, void *buf, uint64_t nbytes)
{
	return copy_out(mp, pos, buf, nbytes, page_mark_accessed);
}

int64_t mapping_peek(mapping *mp, uint64_t pos, void *buf, uint64_t nbytes)
{
	return copy_out(mp, pos, buf, nbytes, not_seen);
}

/* A page to write n bytes at pos into; one that is all new needs no reading. */
static int64_t page_for_write(mapping *mp, uint64_t pos, uint64_t n)
{
	struct page *page;
	if (index_get(mp, pos >> PAGE_SHIFT))
		return mapping_get_page(mp, pos >> PAGE_SHIFT, &page);
	if (n == PAGE_SIZE || (pos & PAGE_MASK) >= mp->size)
		return cache_new(mp, pos >> PAGE_SHIFT, &page);
	return mapping_get_page(mp, pos >> PAGE_SHIFT, &page);
}

/* The first write behind the end: what a store left there must not show. */
static int64_t zero_gap(mapping *mp, uint64_t pos)
{
	if (pos <= mp->size)
		return 0;
	int64_t err = bring_partial(mp, mp->size);
	if (!err)
		hide_tail(mp, mp->size);
	return err;
}

static void write_page(mapping *mp, uint64_t pos, const void *from, uint64_t n)
{
	struct page *page = mapping_find(mp, pos >> PAGE_SHIFT);
	memcpy((char *)page_data(mp->machine, page) + (pos & ~PAGE_MASK), from, n);
	page_set_dirty(mp->machine, page);
	page_written(mp->machine, page);
	if (mp->flags & MAPPING_MEMORY)
		page_mark_accessed(mp->machine, page); /* as Linux's tmpfs, and no other */
	if (pos + n > mp->size)
		mp->size = pos + n;
}

int64_t mapping_write(mapping *mp, uint64_t pos, const void *buf, uint64_t nbytes)
{
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		n = in_page(pos + done, nbytes - done);
		int64_t err = zero_gap(mp, pos + done);
		if (!err)
			err = page_for_write(mp, pos + done, n);
		if (err)
			return some_or(mp, done, err);
		write_page(mp, pos + done, (const char *)buf + done, n);
	}
	return (int64_t)nbytes;
}

/* A page that nobody has used: it holds memory, but counts as a hole until somebody does. */
static int64_t reserve_page(mapping *mp, uint64_t index)
{
	struct page *page;
	bool unused = mp->flags & MAPPING_MEMORY && !index_get(mp, index);
	int64_t err = mapping_get_page(mp, index, &page);
	if (err)
		return err;
	if (unused)
		page->flags &= ~(uint32_t)PG_UPTODATE;
	if (mp->flags & MAPPING_MEMORY)
		page_set_dirty(mp->machine, page); /* or reclaim would drop it */
	return 0;
}

static int64_t reserve_huge(mapping *mp, uint64_t index)
{
	struct page *page;
	return huge_get_page(mp, index, &page);
}

int64_t mapping_allocate(mapping *mp, uint64_t pos, uint64_t nbytes)
{
	bool huge = mp->flags & MAPPING_HUGE;
	uint64_t unit = mapping_unit(mp);
	for (uint64_t at = pos & -unit; at < pos + nbytes; at += unit) {
		int64_t err = (huge ? reserve_huge : reserve_page)(mp, at >> PAGE_SHIFT);
		if (err)
			return some_or(mp, at > pos ? at - pos : 0, err);
	}
	return (int64_t)nbytes;
}

static void harvest_pte(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	machine *m = vma->mm->machine;
	if (!pte_present(*ptep) || !(*ptep & PTE_DIRTY))
		return;
	struct page *page = pfn_page(m, pte_pfn(*ptep));
	if (page->flags & PG_ANON)
		return; /* a private copy */
	page_set_dirty(m, page);
	pte_set(vma->mm, addr, ptep,
		*ptep & ~(PTE_DIRTY | (vma_notes_stores(vma) ? PTE_WRITE : 0)));
}

static void harvest_vma(struct vma *vma)
{
	uint64_t span;
	pte_t *ptep;
	for (uint64_t addr = vma->start; (ptep = pt_next(vma->mm, &addr, vma->end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			harvest_pte(vma, addr, ptep);
}

/* Through the VMAs, not the reverse map: a batch, and the same in every design. */
void mapping_harvest(mapping *mp, uint64_t first, uint64_t last)
{
	for (struct vma *vma = mapping_first_vma(mp, first, last); vma;
	     vma = mapping_next_vma(vma, first, last))
		harvest_vma(vma);
	for (struct vma *vma = mp->nonlinear; vma; vma = vma->nonlinear_next)
		harvest_vma(vma);
}

int64_t mapping_dirty(mapping *mp, uint64_t first, uint64_t last, uint64_t *indexes, uint64_t max)
{
	uint64_t n = 0;
	struct page *page;
	while (n < max && (page = mapping_find_next(mp, first)) && page->index <= last) {
		first = page->index + 1;
		if (!(page->flags & PG_DIRTY))
			continue;
		page_clear_dirty(mp->machine, page);
		if (is_told(mp->machine))
			tell_page(mp, page, EVENT_WRITEBACK);
		indexes[n++] = page->index;
	}
	if (n && !HAS_BUG(BUG_UNSEEN_WRITEBACK))
		mp->truncate_count++; /* what is being read of these pages is of before */
	return (int64_t)n;
}

/* What a store through a pte made dirty counts from now on. */
void mapping_cachestat(mapping *mp, uint64_t first, uint64_t last, struct cachestat *out)
{
	void *item;
	*out = (struct cachestat){ 0 };
	mapping_harvest(mp, first, last);
	for (; (item = index_next(mp, &first)) && first <= last; first++) {
		const struct page *page = item_is_page(item) ? item : NULL;
		out->nr_evicted += item_is_swap(item);
		out->nr_cache += page != NULL;
		out->nr_dirty += page && page->flags & PG_DIRTY && counts_as_dirty(page);
	}
}

int64_t mapping_next_data(mapping *mp, uint64_t index)
{
	void *item;
	while ((item = index_next(mp, &index)) && is_unused(item))
		index++;
	return item ? (int64_t)index : -ENXIO;
}

/* ---- lives of mappings and open files ---- */

mapping *mapping_create(machine *m, uint64_t flags, uint64_t cookie)
{
	mapping *mp = slab_alloc(m, CACHE_MAPPING);
	if (!mp)
		return NULL;
	*mp = (mapping){
		.machine = m,
		.flags = (uint32_t)flags,
		.cookie = cookie,
		.refcount = 1,
		.next = m->mappings,
	};
	i_mmap_init(mp);
	if (m->mappings)
		m->mappings->prev = mp;
	m->mappings = mp;
	return mp;
}

void mapping_get(mapping *mp) { mp->refcount++; }

void mapping_put(mapping *mp)
{
	machine *m = mp->machine;
	if (--mp->refcount)
		return;
	drop_pages(mp, 0, INDEX_MAX);
	mapping_forget_policies(mp);
	commit_release(m, mp->charged); /* what was promised as a whole */
	*(mp->prev ? &mp->prev->next : &m->mappings) = mp->next;
	if (mp->next)
		mp->next->prev = mp->prev;
	slab_free(m, CACHE_MAPPING, mp);
}

int64_t mapping_reserve(mapping *mp, uint64_t nr_pages)
{
	if (!commit_charge(mp->machine, nr_pages))
		return -ENOMEM;
	mp->charged = nr_pages;
	mp->flags |= MAPPING_RESERVED;
	return 0;
}

void mapping_lock(mapping *mp)
{
	struct page *page;
	mp->flags |= MAPPING_LOCKED;
	for (uint64_t index = 0; (page = mapping_find_next(mp, index)); index = page->index + 1)
		lru_cull(mp->machine, page);
}

void mapping_unlock(mapping *mp)
{
	struct page *page;
	mp->flags &= ~(uint32_t)MAPPING_LOCKED;
	for (uint64_t index = 0; (page = mapping_find_next(mp, index)); index = page->index + 1)
		lru_rescue(mp->machine, page);
}

int64_t mapping_size(mapping *mp) { return (int64_t)mp->size; }

void mapping_stored(mapping *mp)
{
	const struct vsyscall_data *clock = machine_vsyscall_data(mp->machine);
	if (clock)
		mp->stored_ns = clock->realtime_ns;
}

int64_t mapping_take_stored(mapping *mp)
{
	uint64_t ns = mp->stored_ns;
	mp->stored_ns = 0;
	return (int64_t)ns;
}

int64_t mapping_nr_pages(mapping *mp) { return (int64_t)mp->nr_pages; }
int64_t mapping_nr_writable(mapping *mp) { return (int64_t)mp->nr_writable; }
int64_t mapping_nr_vmas(mapping *mp) { return (int64_t)mp->nr_vmas; }
void mapping_set_quota(mapping *mp, struct quota *quota) { mp->quota = quota; }
int64_t mapping_nr_swapped(mapping *mp) { return (int64_t)mp->nr_swapped; }

int64_t mapping_nr_pinned(mapping *mp)
{
	int64_t nr = 0;
	struct page *page;
	for (uint64_t index = 0; (page = mapping_find_next(mp, index)); index = page->index + 1)
		nr += page->pins > 0;
	return nr;
}

int64_t mapping_nr_unevictable(mapping *mp)
{
	int64_t nr = 0;
	struct page *page;
	for (uint64_t index = 0; (page = mapping_find_next(mp, index)); index = page->index + 1)
		nr += (page->flags & PG_UNEVICTABLE) != 0;
	return nr;
}

/* An open file takes its own reference on mp.  What cannot be mapped has an empty one, from its
 * first mmap on (FILE_NO_MMAP); before that it is Python's alone. */
file *file_create(mapping *mp, uint64_t mode, uint64_t cookie)
{
	if (!mp)
		return NULL;
	machine *m = mp->machine;
	file *f = slab_alloc(m, CACHE_FILE);
	if (!f)
		return NULL;
	*f = (file){ .machine = m,
		     .mapping = mp,
		     .refcount = 1,
		     .mode = mode,
		     .cookie = cookie,
		     .next = m->files };
	mapping_get(mp);
	if (m->files)
		m->files->prev = f;
	m->files = f;
	return f;
}

void file_get(file *f) { f->refcount++; }

uint64_t file_put(file *f)
{
	machine *m = f->machine;
	if (--f->refcount)
		return f->refcount;
	*(f->prev ? &f->prev->next : &m->files) = f->next;
	if (f->next)
		f->next->prev = f->prev;
	mapping_put(f->mapping);
	if (f->end_is_told) {
		f->next = m->ended;
		m->ended = f;
	} else {
		slab_free(m, CACHE_FILE, f);
	}
	return 0;
}

void file_tell_end(file *f)
{
	f->end_is_told = true;
	f->machine->nr_told_files++;
}

void turn_ended(machine *m, struct file *before)
{
	struct file *turned = before;
	while (m->ended != before) {
		struct file *f = m->ended;
		m->ended = f->next;
		f->next = turned;
		turned = f;
	}
	m->ended = turned;
}

uint64_t machine_take_ended(machine *m)
{
	file *f = m->ended;
	if (!f)
		return 0;
	uint64_t cookie = f->cookie;
	m->ended = f->next;
	m->nr_told_files--;
	slab_free(m, CACHE_FILE, f);
	return cookie;
}

void file_set_mode(file *f, uint64_t mode) { f->mode = mode; }

int64_t machine_files(machine *m, uint64_t *cookies, uint64_t max)
{
	uint64_t n = 0;
	for (file *f = m->files; f && n < max; f = f->next)
		if (f->cookie)
			cookies[n++] = f->cookie;
	return (int64_t)n;
}
