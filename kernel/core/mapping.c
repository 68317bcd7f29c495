/*
 * mapping.c - an inode's pages, the VMAs that show them, and truncation.
 *
 * Owns the index (a radix tree from page offset to struct page), the interval
 * tree of linear VMAs (i_mmap) and the list of nonlinear ones, the size of the
 * file, and open files.  Truncation follows the order that closed the races:
 * new size, unmap, drop the pages, unmap again, zero the last page's tail.
 */
#include "core.h"

/* ---- the index ---- */

static uint64_t index_limit(uint32_t height) /* first index that does not fit */
{
	return height * RADIX_BITS >= 52 ? 1ul << 52 : 1ul << (height * RADIX_BITS);
}

static unsigned slot_of(uint64_t index, uint32_t level)
{
	return index >> (level * RADIX_BITS) & (RADIX_SLOTS - 1);
}

struct page *mapping_find(mapping *mp, uint64_t index)
{
	if (index >= index_limit(mp->height))
		return NULL;
	struct radix_node *node = mp->root;
	for (uint32_t level = mp->height; node && level-- > 1;)
		node = node->slots[slot_of(index, level)];
	return node ? node->slots[slot_of(index, 0)] : NULL;
}

static struct page *find_below(struct radix_node *node, uint32_t level, uint64_t from)
{
	unsigned first = slot_of(from, level);
	for (unsigned i = first; i < RADIX_SLOTS; i++) {
		void *below = node->slots[i];
		if (!below)
			continue;
		if (level == 0)
			return below;
		struct page *page = find_below(below, level - 1, i == first ? from : 0);
		if (page)
			return page;
	}
	return NULL;
}

struct page *mapping_find_next(mapping *mp, uint64_t index)
{
	if (!mp->root || index >= index_limit(mp->height))
		return NULL;
	return find_below(mp->root, mp->height - 1, index);
}

static struct radix_node *node_alloc(machine *m) { return slab_alloc(m, CACHE_RADIX); }

static bool index_grow(mapping *mp, uint64_t index)
{
	if (!mp->root) { /* no chain of empty nodes below the first page */
		mp->height = 1;
		while (index >= index_limit(mp->height))
			mp->height++;
		mp->root = node_alloc(mp->machine);
		return mp->root;
	}
	while (index >= index_limit(mp->height)) {
		struct radix_node *node = node_alloc(mp->machine);
		if (!node)
			return false;
		node->slots[0] = mp->root;
		node->count = 1;
		mp->root = node;
		mp->height++;
	}
	return true;
}

/* Free the nodes on the way to index that hold nothing. */
static bool index_prune(machine *m, struct radix_node *node, uint32_t level, uint64_t index)
{
	struct radix_node *below = level ? node->slots[slot_of(index, level)] : NULL;
	if (below && index_prune(m, below, level - 1, index)) {
		node->slots[slot_of(index, level)] = NULL;
		node->count--;
	}
	if (node->count)
		return false;
	slab_free(m, CACHE_RADIX, node);
	return true;
}

static void mapping_prune(mapping *mp, uint64_t index)
{
	if (!mp->root || !index_prune(mp->machine, mp->root, mp->height - 1, index))
		return;
	mp->root = NULL;
	mp->height = 0;
}

/* Take back levels that only a failed insert wanted. */
static void index_shrink(mapping *mp)
{
	if (!mp->root)
		mp->height = 0;
	while (mp->height > 1 && mp->root->count == 1 && mp->root->slots[0]) {
		struct radix_node *top = mp->root;
		mp->root = top->slots[0];
		mp->height--;
		slab_free(mp->machine, CACHE_RADIX, top);
	}
}

static bool index_insert(mapping *mp, uint64_t index, struct page *page)
{
	if (!index_grow(mp, index)) {
		index_shrink(mp);
		return false;
	}
	struct radix_node *node = mp->root;
	for (uint32_t level = mp->height - 1; level; level--) {
		void **slot = &node->slots[slot_of(index, level)];
		if (!*slot) {
			*slot = node_alloc(mp->machine);
			if (!*slot) {
				mapping_prune(mp, index);
				index_shrink(mp);
				return false;
			}
			node->count++;
		}
		node = *slot;
	}
	node->slots[slot_of(index, 0)] = page;
	node->count++;
	return true;
}

static void index_remove(mapping *mp, uint64_t index)
{
	struct radix_node *node = mp->root;
	for (uint32_t level = mp->height - 1; level; level--)
		node = node->slots[slot_of(index, level)];
	node->slots[slot_of(index, 0)] = NULL;
	if (--node->count == 0)
		mapping_prune(mp, index);
}

/* ---- pages entering and leaving the cache ---- */

static int64_t cache_insert(mapping *mp, uint64_t index, struct page *page)
{
	machine *m = mp->machine;
	if (!index_insert(mp, index, page)) {
		int64_t err = no_memory(m);
		page_put(m, page);
		return err;
	}
	page->mapping = mp;
	page->index = index;
	mp->nr_pages++;
	m->counters.nr_file++;
	if (page->flags & PG_SHMEM)
		m->counters.nr_shmem++;
	return 0;
}

static int64_t cache_new(mapping *mp, uint64_t index, struct page **out)
{
	machine *m = mp->machine;
	uint32_t shmem = mp->flags & MAPPING_MEMORY ? PG_SHMEM : 0;
	struct page *page = page_alloc_zeroed(m, PG_CACHE | PG_UPTODATE | shmem);
	if (!page)
		return no_memory(m);
	int64_t err = cache_insert(mp, index, page);
	if (!err)
		*out = page;
	return err;
}

int64_t mapping_get_page(mapping *mp, uint64_t index, struct page **out)
{
	*out = mapping_find(mp, index);
	if (*out)
		return 0;
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
	if (truncate_count != mp->truncate_count)
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
}

static void page_clear_dirty(machine *m, struct page *page)
{
	if (page->flags & PG_DIRTY && counts_as_dirty(page))
		m->counters.nr_dirty--;
	page->flags &= ~(uint32_t)PG_DIRTY;
}

static void cache_drop(mapping *mp, struct page *page)
{
	machine *m = mp->machine;
	assert(page->mapcount == 0);
	page_clear_dirty(m, page);
	index_remove(mp, page->index);
	mp->nr_pages--;
	m->counters.nr_file--;
	if (page->flags & PG_SHMEM)
		m->counters.nr_shmem--;
	page->flags &= ~(uint32_t)(PG_CACHE | PG_SHMEM);
	page->mapping = NULL;
	page_put(m, page); /* a special VMA may keep the frame */
}

static void drop_pages(mapping *mp, uint64_t first, uint64_t last)
{
	struct page *page;
	while ((page = mapping_find_next(mp, first)) && page->index <= last) {
		first = page->index + 1;
		cache_drop(mp, page);
	}
}

/* ---- VMAs of the mapping ---- */

static struct vma *pgoff_vma(struct tree_node *node)
{
	return node ? container_of(node, struct vma, by_pgoff) : NULL;
}

static uint64_t pgoff_key(const struct tree_node *node)
{
	return container_of(node, struct vma, by_pgoff)->pgoff;
}

static uint64_t last_index(const struct vma *vma) { return vma->pgoff + vma_pages(vma) - 1; }

static bool pgoff_update(struct tree_node *node)
{
	struct vma *vma = pgoff_vma(node);
	const struct vma *left = pgoff_vma(node->left), *right = pgoff_vma(node->right);
	uint64_t last = last_index(vma);
	if (left && left->max_last > last)
		last = left->max_last;
	if (right && right->max_last > last)
		last = right->max_last;
	bool changed = vma->max_last != last;
	vma->max_last = last;
	return changed;
}

static bool may_write_shared(const struct vma *vma)
{
	const uint64_t both = VM_SHARED | VM_MAYWRITE;
	return (vma->flags & both) == both;
}

static void nonlinear_link(mapping *mp, struct vma *vma)
{
	vma->nonlinear_prev = NULL;
	vma->nonlinear_next = mp->nonlinear;
	if (mp->nonlinear)
		mp->nonlinear->nonlinear_prev = vma;
	mp->nonlinear = vma;
}

static void nonlinear_unlink(mapping *mp, struct vma *vma)
{
	*(vma->nonlinear_prev ? &vma->nonlinear_prev->nonlinear_next : &mp->nonlinear) =
		vma->nonlinear_next;
	if (vma->nonlinear_next)
		vma->nonlinear_next->nonlinear_prev = vma->nonlinear_prev;
}

static bool link_counted(mapping *mp, struct vma *vma) /* true: a linear one, for the tree */
{
	mp->nr_vmas++;
	mp->nr_writable += may_write_shared(vma);
	if (!(vma->flags & VM_NONLINEAR))
		return true;
	nonlinear_link(mp, vma);
	return false;
}

void mapping_link_vma(struct vma *vma)
{
	mapping *mp = vma_mapping(vma);
	if (mp && link_counted(mp, vma))
		tree_insert(&mp->vmas, &vma->by_pgoff);
}

void mapping_link_copy(struct vma *copy, struct vma *original)
{
	mapping *mp = vma_mapping(copy);
	if (mp && link_counted(mp, copy))
		tree_insert_after(&mp->vmas, &original->by_pgoff, &copy->by_pgoff);
}

void mapping_unlink_vma(struct vma *vma)
{
	mapping *mp = vma_mapping(vma);
	if (!mp)
		return;
	mp->nr_vmas--;
	mp->nr_writable -= may_write_shared(vma);
	if (vma->flags & VM_NONLINEAR)
		nonlinear_unlink(mp, vma);
	else
		tree_erase(&mp->vmas, &vma->by_pgoff);
}

static struct vma *first_overlap(struct vma *vma, uint64_t first, uint64_t last)
{
	while (vma && vma->max_last >= first) {
		struct vma *left = pgoff_vma(vma->by_pgoff.left);
		if (left && left->max_last >= first) {
			vma = left;
			continue;
		}
		if (vma->pgoff > last)
			return NULL;
		if (last_index(vma) >= first)
			return vma;
		vma = pgoff_vma(vma->by_pgoff.right);
	}
	return NULL;
}

struct vma *mapping_first_vma(mapping *mp, uint64_t first, uint64_t last)
{
	return first_overlap(pgoff_vma(mp->vmas.root), first, last);
}

struct vma *mapping_next_vma(struct vma *vma, uint64_t first, uint64_t last)
{
	struct tree_node *node = &vma->by_pgoff, *child = NULL;
	struct vma *right = pgoff_vma(node->right);
	if (right && right->max_last >= first)
		return first_overlap(right, first, last);
	for (;;) { /* up, to the first ancestor whose left side we come from */
		child = node;
		node = node->parent;
		if (!node)
			return NULL;
		if (child == node->right)
			continue;
		vma = pgoff_vma(node);
		if (vma->pgoff > last)
			return NULL;
		if (last_index(vma) >= first)
			return vma;
		right = pgoff_vma(node->right);
		if (right && right->max_last >= first)
			return first_overlap(right, first, last);
	}
}

/* ---- unmapping a range of the file everywhere ---- */

enum copies { KEEP_COPIES, DROP_COPIES }; /* private copies of its pages */

static bool is_copy(machine *m, pte_t pte)
{
	return pte_present(pte) && pfn_page(m, pte_pfn(pte))->flags & PG_ANON;
}

static void unmap_linear(struct vma *vma, uint64_t first, uint64_t last, enum copies copies)
{
	uint64_t low = first > vma->pgoff ? first - vma->pgoff : 0;
	uint64_t high = last - vma->pgoff < vma_pages(vma) ? last - vma->pgoff + 1 : vma_pages(vma);
	uint64_t end = vma->start + (high << PAGE_SHIFT), span;
	pte_t *ptep;
	for (uint64_t addr = vma->start + (low << PAGE_SHIFT);
	     (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			if (*ptep && (copies == DROP_COPIES || !is_copy(vma->mm->machine, *ptep)))
				zap_pte(vma->mm, vma, addr, ptep, 0);
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
}

static void zero_part(mapping *mp, uint64_t pos, uint64_t nbytes)
{
	struct page *page = mapping_find(mp, pos >> PAGE_SHIFT);
	if (!page || !nbytes)
		return;
	memset((char *)page_data(mp->machine, page) + (pos & ~PAGE_MASK), 0, nbytes);
	page_written(mp->machine, page);
	page_set_dirty(mp->machine, page);
}

static void zero_tail(mapping *mp, uint64_t pos) /* from pos to its page's end */
{
	if (pos & ~PAGE_MASK)
		zero_part(mp, pos, PAGE_ALIGN(pos) - pos);
}

int64_t mapping_truncate(mapping *mp, uint64_t size)
{
	uint64_t old = mp->size, first = PAGE_ALIGN(size) >> PAGE_SHIFT;
	mp->size = size;
	mp->truncate_count++;
	mp->machine->counters.truncations++;
	if (size > old) {
		zero_tail(mp, old); /* stores beyond the old end must not show */
		return 0;
	}
	unmap_everywhere(mp, first, INDEX_MAX, DROP_COPIES);
	drop_pages(mp, first, INDEX_MAX);
	unmap_everywhere(mp, first, INDEX_MAX, DROP_COPIES);
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
	uint64_t first = PAGE_ALIGN(start), last = end & PAGE_MASK; /* whole pages */
	if (end <= start)
		return -EINVAL;
	mp->truncate_count++;
	if (first > last) { /* inside one page */
		zero_part(mp, start, end - start);
		return 0;
	}
	zero_tail(mp, start);
	zero_part(mp, last, end - last);
	if (first == last)
		return 0;
	unmap_everywhere(mp, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1, KEEP_COPIES);
	drop_pages(mp, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1);
	unmap_everywhere(mp, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1, KEEP_COPIES);
	return 0;
}

/* ---- read, write, writeback ---- */

static uint64_t chunk_at(uint64_t pos, uint64_t left) /* bytes in pos's page */
{
	uint64_t room = PAGE_SIZE - (pos & ~PAGE_MASK);
	return left < room ? left : room;
}

int64_t mapping_read(mapping *mp, uint64_t pos, void *buf, uint64_t nbytes)
{
	if (pos >= mp->size)
		return 0;
	if (nbytes > mp->size - pos)
		nbytes = mp->size - pos;
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		n = chunk_at(pos + done, nbytes - done);
		struct page *page = mapping_find(mp, (pos + done) >> PAGE_SHIFT);
		char *to = (char *)buf + done;
		if (page)
			memcpy(to,
			       (char *)page_data(mp->machine, page) + ((pos + done) & ~PAGE_MASK),
			       n);
		else if (mp->flags & MAPPING_MEMORY)
			memset(to, 0, n);
		else
			return mapping_get_page(mp, (pos + done) >> PAGE_SHIFT, &page);
	}
	return (int64_t)nbytes;
}

/* A page to write n bytes at pos into; one that is all new needs no reading. */
static int64_t page_for_write(mapping *mp, uint64_t pos, uint64_t n)
{
	struct page *page = mapping_find(mp, pos >> PAGE_SHIFT);
	if (page)
		return 0;
	if (n == PAGE_SIZE || (pos & PAGE_MASK) >= mp->size)
		return cache_new(mp, pos >> PAGE_SHIFT, &page);
	return mapping_get_page(mp, pos >> PAGE_SHIFT, &page);
}

static int64_t pages_for_write(mapping *mp, uint64_t pos, uint64_t nbytes)
{
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		n = chunk_at(pos + done, nbytes - done);
		int64_t err = page_for_write(mp, pos + done, n);
		if (err) {
			drop_pages(mp, mapping_end(mp), INDEX_MAX);
			return err;
		}
	}
	return 0;
}

int64_t mapping_write(mapping *mp, uint64_t pos, const void *buf, uint64_t nbytes)
{
	int64_t err = pages_for_write(mp, pos, nbytes);
	if (err)
		return err;
	if (nbytes && pos > mp->size)
		zero_tail(mp, mp->size);
	for (uint64_t done = 0, n; done < nbytes; done += n) {
		n = chunk_at(pos + done, nbytes - done);
		struct page *page = mapping_find(mp, (pos + done) >> PAGE_SHIFT);
		memcpy((char *)page_data(mp->machine, page) + ((pos + done) & ~PAGE_MASK),
		       (const char *)buf + done, n);
		page_set_dirty(mp->machine, page);
		page_written(mp->machine, page);
	}
	if (nbytes && pos + nbytes > mp->size)
		mp->size = pos + nbytes;
	return (int64_t)nbytes;
}

int64_t mapping_allocate(mapping *mp, uint64_t pos, uint64_t nbytes)
{
	uint64_t end = PAGE_ALIGN(pos + nbytes) >> PAGE_SHIFT;
	for (uint64_t index = pos >> PAGE_SHIFT; index < end; index++) {
		struct page *page;
		int64_t err = mapping_get_page(mp, index, &page);
		if (err)
			return err;
	}
	return 0;
}

static bool harvest_dirty(machine *m, struct page *page, pte_t *ptep, void *arg)
{
	(void)arg;
	if (!(*ptep & PTE_DIRTY))
		return true;
	page_set_dirty(m, page);
	pte_set(pte_mm(m, ptep), pte_addr(m, ptep), ptep, *ptep & ~PTE_DIRTY);
	return true;
}

int64_t mapping_dirty(mapping *mp, uint64_t first, uint64_t last, uint64_t *indexes, uint64_t max)
{
	uint64_t n = 0;
	struct page *page;
	while (n < max && (page = mapping_find_next(mp, first)) && page->index <= last) {
		first = page->index + 1;
		rmap_walk(mp->machine, page, harvest_dirty, NULL);
		if (!(page->flags & PG_DIRTY))
			continue;
		page_clear_dirty(mp->machine, page);
		indexes[n++] = page->index;
	}
	return (int64_t)n;
}

int64_t mapping_next_data(mapping *mp, uint64_t index)
{
	struct page *page = mapping_find_next(mp, index);
	return page ? (int64_t)page->index : -ENXIO;
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
		.vmas = { NULL, pgoff_key, pgoff_update, &m->seed },
		.next = m->mappings,
	};
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
	*(mp->prev ? &mp->prev->next : &m->mappings) = mp->next;
	if (mp->next)
		mp->next->prev = mp->prev;
	slab_free(m, CACHE_MAPPING, mp);
}

int64_t mapping_size(mapping *mp) { return (int64_t)mp->size; }
int64_t mapping_nr_pages(mapping *mp) { return (int64_t)mp->nr_pages; }
int64_t mapping_nr_writable(mapping *mp) { return (int64_t)mp->nr_writable; }
int64_t mapping_nr_vmas(mapping *mp) { return (int64_t)mp->nr_vmas; }

int64_t mapping_nr_pinned(mapping *mp)
{
	int64_t nr = 0;
	struct page *page;
	for (uint64_t index = 0; (page = mapping_find_next(mp, index)); index = page->index + 1)
		nr += page->pins > 0;
	return nr;
}

/* An open file takes its own reference on mp.  Files that cannot be mapped have
 * no mapping and are Python's alone: NULL stands for them. */
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

void file_put(file *f)
{
	machine *m = f->machine;
	if (--f->refcount)
		return;
	*(f->prev ? &f->prev->next : &m->files) = f->next;
	if (f->next)
		f->next->prev = f->prev;
	mapping_put(f->mapping);
	slab_free(m, CACHE_FILE, f);
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
