/*
 * userfaultfd.c - memory whose faults another program serves.
 *
 * A context (struct uffd) is a userfaultfd as the core knows it: a cookie by which
 * Python finds the open file, features, and how many VMAs are registered with it.
 * A registered VMA names it (vma->uffd) and says in its flags of what it is told
 * (VM_UFFD_*); both go together, and VMAs of different contexts never merge.
 * A context is of one address space; fork gives the child's VMAs the heir that
 * Python has set, or none.
 *
 * Owns registration, and what a monitor does about a place:
 *
 *	COPY, ZEROPAGE   bring a page where none is
 *	CONTINUE         map the page that the file's cache has
 *	POISON           let no page come
 *	MOVE             take a page from elsewhere, without a copy
 *	protect          a store is to be asked for (PTE_UFFD_WP, or a marker)
 *
 * Each goes page by page, does what can be done and tells how much that was;
 * what stopped it is an error only if it was the first.
 */
#include "core.h"

/* ---- contexts ---- */

int64_t uffd_create(machine *m, uint64_t cookie, uint64_t features, uffd **out)
{
	struct uffd *u = slab_alloc(m, CACHE_UFFD);
	if (!u)
		return no_memory(m);
	*u = (struct uffd){
		.machine = m, .cookie = cookie, .features = features, .next = m->uffds
	};
	if (m->uffds)
		m->uffds->prev = u;
	m->uffds = u;
	*out = u;
	return 0;
}

void uffd_free(uffd *u)
{
	assert(u->nr_vmas == 0);
	*(u->prev ? &u->prev->next : &u->machine->uffds) = u->next;
	if (u->next)
		u->next->prev = u->prev;
	slab_free(u->machine, CACHE_UFFD, u);
}

uint64_t uffd_features(uffd *u) { return u->features; }
void uffd_set_features(uffd *u, uint64_t features) { u->features = features; }
void uffd_set_heir(uffd *u, uffd *heir) { u->heir = heir; }
uint64_t uffd_nr_vmas(uffd *u) { return u->nr_vmas; }

struct uffd *uffd_of_child(const struct vma *vma)
{
	return vma->uffd && vma->uffd->features & UFFD_FEATURE_EVENT_FORK ? vma->uffd->heir : NULL;
}

void vma_set_uffd(struct vma *vma, struct uffd *u)
{
	if (vma->uffd)
		vma->uffd->nr_vmas--;
	vma->uffd = u;
	if (u)
		u->nr_vmas++;
}

int64_t mm_uffd_find(mm *mm, uint64_t start, uint64_t end, uint64_t *cookies, uint64_t max)
{
	uint64_t n = 0;
	for (struct vma *vma = vma_find_intersection(mm, start, end); vma && vma->start < end;
	     vma = vma->next) {
		uint64_t i = 0;
		while (i < n && vma->uffd && cookies[i] != vma->uffd->cookie)
			i++;
		if (vma->uffd && i == n && n < max)
			cookies[n++] = vma->uffd->cookie;
	}
	return (int64_t)n;
}

void machine_uffd_noted(machine *m) { m->noted = true; }

/* Who unmaps tells those who want to know; who would, asks first: it may sleep. */
int64_t uffd_event(mm *mm, uint64_t start, uint64_t end)
{
	machine *m = mm->machine;
	bool noted = m->noted;
	m->noted = false;
	if (!m->uffds || noted)
		return 0;
	for (struct vma *vma = vma_find_intersection(mm, start, end); vma && vma->start < end;
	     vma = vma->next)
		if (vma->uffd && vma->uffd->features & UFFD_FEATURE_EVENT_UNMAP)
			return NEED_EVENT;
	return 0;
}

/* An access is the monitor's to make possible; the verdict adds the address. */
int64_t userfault(const struct vma *vma, uint64_t reason, uint64_t unit)
{
	struct need *need = &vma->mm->machine->need;
	if (vma->uffd->features & UFFD_FEATURE_SIGBUS)
		return BUS_ADRERR;
	need->uffd = vma->uffd->cookie;
	need->reason = reason;
	need->unit = unit;
	return NEED_USER;
}

/* ---- write protection ---- */

/* Does a place without a page remember that it is protected? */
static bool keeps_marks(const struct vma *vma)
{
	return vma_mapping(vma) || vma->uffd->features & UFFD_FEATURE_WP_UNPOPULATED;
}

static void protect_pte(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	pte_t pte = *ptep;
	if (pte_present(pte))
		pte_set(vma->mm, addr, ptep, (pte & ~PTE_WRITE) | PTE_UFFD_WP);
	else if (pte_is_swap(pte))
		pte_set(vma->mm, addr, ptep, pte | PTE_UFFD_WP);
	else if (!pte && keeps_marks(vma))
		pte_set(vma->mm, addr, ptep, pte_marker(MARKER_UFFD_WP));
}

static int64_t protect_stores(struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t span;
	pte_t *ptep;
	if (vma->flags & VM_HUGETLB)
		return huge_protect_stores(vma, start, end);
	int64_t err = keeps_marks(vma) ? pt_alloc_range(vma->mm, start, end) : 0;
	if (err)
		return err;
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			protect_pte(vma, addr, ptep);
	return 0;
}

/* Writable at once, where a store would only find that it may. */
static pte_t unprotected(const struct vma *vma, pte_t pte)
{
	machine *m = vma->mm->machine;
	const struct page *page = pfn_page(m, pte_pfn(pte));
	bool own = (page->flags & (PG_ANON | PG_FORKED)) == PG_ANON &&
		   page->refcount - page->used == 1;
	pte &= ~PTE_UFFD_WP;
	if (vma->flags & VM_SHARED ? !!(pte & PTE_DIRTY) : own)
		pte |= pte_bits(vma->flags) & PTE_WRITE;
	return pte;
}

static void unprotect_pte(struct vma *vma, uint64_t addr, pte_t *ptep)
{
	pte_t pte = *ptep;
	if (pte_marker_kind(pte) == MARKER_UFFD_WP)
		pte_set(vma->mm, addr, ptep, 0);
	else if (pte_is_wp(pte))
		pte_set(vma->mm, addr, ptep,
			pte_present(pte) ? unprotected(vma, pte) : pte & ~PTE_UFFD_WP);
}

static void unprotect_stores(struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t span;
	pte_t *ptep;
	if (vma->flags & VM_HUGETLB)
		huge_unprotect_stores(vma, start, end);
	for (uint64_t addr = start; (ptep = pt_next(vma->mm, &addr, end, &span));)
		for (; span; span--, ptep++, addr += PAGE_SIZE)
			unprotect_pte(vma, addr, ptep);
}

typedef int64_t (*wp_action)(struct vma *vma, uint64_t start, uint64_t end);

static int64_t unprotect_part(struct vma *vma, uint64_t start, uint64_t end)
{
	unprotect_stores(vma, start, end);
	return 0;
}

/* Holes are passed over, but something must be there. */
static int64_t each_watched(mm *mm, uint64_t start, uint64_t end, wp_action act)
{
	int64_t err = -ENOENT;
	for (struct vma *vma = vma_find_intersection(mm, start, end); vma && vma->start < end;
	     vma = vma->next) {
		bool odd = (start | end) & (vma_unit(vma) - 1);
		if (!(vma->flags & VM_UFFD_WP) || odd)
			return odd && vma->flags & VM_UFFD_WP ? -EINVAL : -ENOENT;
		err = act(vma, start > vma->start ? start : vma->start,
			  end < vma->end ? end : vma->end);
		if (err)
			return err;
	}
	return err;
}

int64_t mm_uffd_protect(mm *mm, uint64_t addr, uint64_t len)
{
	return each_watched(mm, addr, addr + len, protect_stores);
}

int64_t mm_uffd_unprotect(mm *mm, uint64_t addr, uint64_t len)
{
	return each_watched(mm, addr, addr + len, unprotect_part);
}

/* ---- registration ---- */

/* What Linux lets a userfaultfd watch: anonymous memory, memory files, large pages. */
static bool can_be_watched(const struct vma *vma, uint64_t modes, const struct uffd *u)
{
	const mapping *mp = vma_mapping(vma);
	if (vma->flags & (VM_SPECIAL | VM_NONLINEAR | VM_DROPPABLE))
		return false;
	if (modes & VM_UFFD_MINOR && !mp)
		return false;
	if (modes == VM_UFFD_WP && u->features & UFFD_FEATURE_WP_ASYNC)
		return true;
	return !mp || (mp->flags & (MAPPING_MEMORY | MAPPING_HUGE) && !vma_is_secret(vma));
}

static int64_t may_register(const struct vma *vma, struct uffd *u, uint64_t end, uint64_t modes)
{
	if (!can_be_watched(vma, modes, u))
		return -EINVAL;
	if (!(vma->flags & VM_MAYWRITE))
		return -EPERM;
	if (end > vma->start && end < vma->end && end & (vma_unit(vma) - 1))
		return -EINVAL;
	return vma->uffd && vma->uffd != u ? -EBUSY : 0;
}

/* vma's part [start, end) gets another context and other modes. */
static int64_t watch_part(struct vma **vmap, uint64_t start, uint64_t end, struct uffd *u,
			  uint64_t modes)
{
	struct vma_look look = vma_look(*vmap);
	look.flags = (look.flags & ~(uint64_t)VM_UFFD) | modes;
	look.uffd = u;
	int64_t err = vma_isolate(vmap, start, end, &look);
	if (err)
		return err;
	if ((*vmap)->flags & ~modes & VM_UFFD_WP)
		unprotect_stores(*vmap, start, end);
	vma_set_flags(*vmap, look.flags);
	vma_set_uffd(*vmap, u);
	*vmap = vma_merge(*vmap);
	return 0;
}

int64_t mm_uffd_register(mm *mm, uffd *u, uint64_t addr, uint64_t len, uint64_t modes)
{
	uint64_t end = addr + len;
	int64_t large = 0;
	struct vma *first = vma_find_intersection(mm, addr, end);
	if (!first || addr & (vma_unit(first) - 1))
		return -EINVAL;
	for (const struct vma *vma = first; vma && vma->start < end; vma = vma->next) {
		int64_t err = may_register(vma, u, end, modes);
		if (err)
			return err;
		large |= !!(vma->flags & VM_HUGETLB);
	}
	for (struct vma *vma = first; vma && vma->start < end; vma = vma->next) {
		if (vma->uffd == u && (vma->flags & modes) == modes)
			continue;
		int64_t err = watch_part(&vma, addr > vma->start ? addr : vma->start,
					 end < vma->end ? end : vma->end, u, modes);
		if (err)
			return err;
	}
	return large;
}

int64_t mm_uffd_unregister(mm *mm, uffd *u, uint64_t addr, uint64_t len)
{
	uint64_t end = addr + len;
	struct vma *first = vma_find_intersection(mm, addr, end);
	if (!first || addr & (vma_unit(first) - 1))
		return -EINVAL;
	for (const struct vma *vma = first; vma && vma->start < end; vma = vma->next)
		if ((vma->uffd && vma->uffd != u) || !can_be_watched(vma, vma->flags & VM_UFFD, u))
			return -EINVAL;
	for (struct vma *vma = first; vma && vma->start < end; vma = vma->next) {
		int64_t err = vma->uffd ? watch_part(&vma, addr > vma->start ? addr : vma->start,
						     end < vma->end ? end : vma->end, NULL, 0)
					: 0;
		if (err)
			return err;
	}
	return 0;
}

void mm_uffd_release(mm *mm, uffd *u)
{
	struct vma *vma = u->nr_vmas ? mm->first : NULL;
	for (; vma; vma = vma->next)
		if (vma->uffd == u)
			watch_part(&vma, vma->start, vma->end, NULL, 0); /* whole: cannot fail */
}

/* ---- bringing pages ---- */

/* A new page of the file, with a copy of data, or zeroes if that is NULL. */
static int64_t fill_shared(struct vma *vma, uint64_t addr, pte_t *ptep, const void *data,
			   uint64_t protect)
{
	machine *m = vma->mm->machine;
	mapping *mp = vma_mapping(vma);
	uint64_t index = vma_index(vma, addr);
	struct page *page;
	if (index_get(mp, index))
		return -EEXIST;
	int64_t err = rmap_reserve(m);
	if (!err)
		err = mapping_get_page(mp, index, &page);
	if (err)
		return err == -ENOSPC ? -ENOMEM : err;
	if (data)
		memcpy(page_data(m, page), data, PAGE_SIZE);
	fill_cached(vma, addr, ptep, page, protect); /* its pte alone is dirty */
	return 0;
}

static int64_t fill_from_cache(struct vma *vma, uint64_t addr, pte_t *ptep, uint64_t protect)
{
	machine *m = vma->mm->machine;
	mapping *mp = vma_mapping(vma);
	struct page *page;
	if (!index_get(mp, vma_index(vma, addr)))
		return -EFAULT;
	int64_t err = rmap_reserve(m);
	if (!err)
		err = mapping_get_page(mp, vma_index(vma, addr), &page);
	if (!err)
		fill_cached(vma, addr, ptep, page, protect);
	return err == -EIO ? -EFAULT : err;
}

/* May it come where this stands?  A page of its own may take a marker's place. */
static bool is_free_for(const struct vma *vma, uint64_t kind, pte_t pte)
{
	bool page = kind == UFFD_COPY || kind == UFFD_CONTINUE ||
		    (kind == UFFD_ZEROPAGE && vma->flags & VM_SHARED);
	return !pte || (page && pte_is_marker(pte));
}

static bool is_beyond_end(const struct vma *vma, uint64_t addr)
{
	const mapping *mp = vma_mapping(vma);
	return mp && vma_index(vma, addr) >= mapping_end(mp);
}

static int64_t fill_page(struct vma *vma, uint64_t kind, uint64_t addr, uint64_t mode,
			 const void *data)
{
	uint64_t protect = mode & UFFD_FILL_WP ? PTE_UFFD_WP : 0;
	bool shared = vma->flags & VM_SHARED;
	pte_t *ptep = pt_alloc(vma->mm, addr);
	if (!ptep)
		return no_memory(vma->mm->machine);
	if (is_beyond_end(vma, addr))
		return kind == UFFD_CONTINUE ? -EINVAL : -EFAULT;
	if (kind == UFFD_CONTINUE && !index_get(vma_mapping(vma), vma_index(vma, addr)))
		return -EFAULT;
	if (!is_free_for(vma, kind, *ptep))
		return -EEXIST;
	switch (kind) {
	case UFFD_POISON:
		pte_set(vma->mm, addr, ptep, pte_marker(MARKER_POISON));
		return 0;
	case UFFD_CONTINUE:
		return fill_from_cache(vma, addr, ptep, protect);
	default:
		break;
	}
	if (shared)
		return fill_shared(vma, addr, ptep, data, protect);
	if (kind == UFFD_COPY)
		return fill_own(vma, addr, ptep, data, protect);
	fill_zero(vma, addr, ptep);
	return 0;
}

typedef int64_t (*fill_fn)(struct vma *vma, uint64_t kind, uint64_t addr, uint64_t mode,
			   const void *data);

static int64_t fill_pages(struct vma *vma, uint64_t kind, uint64_t addr, uint64_t len,
			  uint64_t mode, const char *data)
{
	fill_fn fill = vma->flags & VM_HUGETLB ? huge_fill : fill_page;
	uint64_t unit = vma_unit(vma), done = 0;
	for (; done < len; done += unit) {
		int64_t err = fill(vma, kind, addr + done, mode, data ? data + done : NULL);
		if (err)
			return done ? (int64_t)done : err;
	}
	return (int64_t)done;
}

/* One VMA, registered with some context, that may have such pages. */
static int64_t may_fill(const struct vma *vma, uint64_t kind, uint64_t addr, uint64_t len,
			uint64_t mode)
{
	if (!vma || vma->start > addr || len > vma->end - addr || !vma->uffd)
		return -ENOENT;
	if (mode & UFFD_FILL_WP && !(vma->flags & VM_UFFD_WP))
		return -EINVAL;
	if (vma->flags & VM_HUGETLB)
		return kind == UFFD_ZEROPAGE || (addr | len) & (vma_unit(vma) - 1) ? -EINVAL : 0;
	const mapping *mp = vma_mapping(vma);
	if (mp ? !(mp->flags & MAPPING_MEMORY) : kind == UFFD_CONTINUE)
		return -EINVAL;
	return 0;
}

/* As Linux, before it looks at the rest: a fork copies the ptes of such a VMA. */
static int64_t prepare_filled(struct vma *vma)
{
	bool own = !(vma->flags & (VM_SHARED | VM_HUGETLB | VM_SPECIAL));
	return own ? vma_prepare_anon(vma) : 0;
}

static bool is_taken(const struct vma *vma, uint64_t kind, uint64_t addr)
{
	bool cached = vma->flags & VM_SHARED && vma_mapping(vma) &&
		      index_get(vma_mapping(vma), vma_index(vma, addr));
	return cached || is_beyond_end(vma, addr) || !is_free_for(vma, kind, pte_at(vma->mm, addr));
}

/* As many bytes as are looked at before one that stands in the way ends it, and that page's. */
static int64_t bytes_until_taken(const struct vma *vma, uint64_t kind, uint64_t addr, uint64_t len)
{
	for (uint64_t done = 0; done < len; done += PAGE_SIZE)
		if (is_taken(vma, kind, addr + done))
			return (int64_t)(done + PAGE_SIZE);
	return (int64_t)len;
}

int64_t mm_uffd_fill(mm *mm, uint64_t kind, uint64_t addr, uint64_t len, uint64_t mode,
		     const void *data)
{
	struct vma *vma = vma_find(mm, addr);
	int64_t err = vma && vma->start <= addr ? prepare_filled(vma) : 0;
	if (!err)
		err = may_fill(vma, kind, addr, len, mode);
	if (err)
		return err;
	if (kind == UFFD_COPY && !data) {
		if (vma->flags & VM_HUGETLB) {
			err = huge_may_copy(vma, addr);
			return err ? err : (int64_t)len;
		}
		if (!pt_alloc(mm, addr)) /* as Linux, before it reads */
			return no_memory(mm->machine);
		return bytes_until_taken(vma, kind, addr, len);
	}
	return fill_pages(vma, kind, addr, len, mode, data);
}

/* ---- moving pages ---- */

static void page_belongs(struct page *page, struct vma *vma, uint64_t addr)
{
	page->anon_vma->nr_pages--;
	page->anon_vma = vma->anon_vma;
	page->anon_vma->nr_pages++;
	page->index = vma_index(vma, addr);
}

static int64_t move_present(struct vma *to, uint64_t dst, pte_t *dstp, uint64_t src, pte_t *srcp)
{
	mm *mm = to->mm;
	machine *m = mm->machine;
	struct page *page = pfn_page(m, pte_pfn(*srcp));
	pte_t bits = pte_bits(to->flags) | PTE_ACCESSED | PTE_DIRTY;
	if (pte_pfn(*srcp) == m->zero_pfn) {
		if (pte_is_merged_zero(m, *srcp))
			ksm_zero_gone(mm);
		pte_set(mm, src, srcp, 0);
		fill_zero(to, dst, dstp);
		return 0;
	}
	if (page->flags & PG_FORKED || !(page->flags & PG_ANON) || page->mapcount != 1)
		return -EBUSY; /* not known to be this one's alone */
	if (page->refcount - page->used != 1)
		bits &= ~PTE_WRITE;
	page_belongs(page, to, dst);
	pte_set(mm, src, srcp, 0);
	pte_set(mm, dst, dstp, pte_make(page_pfn(m, page), bits));
	rmap_move(m, page, srcp, dstp);
	return 0;
}

static int64_t move_swapped(struct vma *to, uint64_t dst, pte_t *dstp, uint64_t src, pte_t *srcp)
{
	machine *m = to->mm->machine;
	pte_t pte = *srcp;
	struct page *page = swap_cached(m, pte_swap_entry(pte));
	if (pte & PTE_FORKED)
		return -EBUSY;
	if (page && page->anon_vma)
		page_belongs(page, to, dst);
	pte_set(to->mm, src, srcp, 0);
	pte_set(to->mm, dst, dstp, pte & ~PTE_UFFD_WP);
	return 0;
}

/* The tables that Linux makes, in its order; hole: what a source without a page comes to. */
static int64_t tables_for_move(mm *mm, uint64_t dst, uint64_t src, int64_t hole)
{
	const pte_t *entry = hole ? pmd_walk(mm, src) : pmd_alloc(mm, src);
	if (!entry && hole)
		return hole;
	if (!entry || !pmd_alloc(mm, dst))
		return no_memory(mm->machine);
	if (!*entry && hole)
		return hole;
	return pt_alloc(mm, src) && pt_alloc(mm, dst) ? 0 : no_memory(mm->machine);
}

static int64_t move_page(struct vma *to, uint64_t dst, uint64_t src, uint64_t mode)
{
	mm *mm = to->mm;
	int64_t hole = mode & UFFD_MOVE_ALLOW_SRC_HOLES ? 0 : -ENOENT;
	int64_t err = tables_for_move(mm, dst, src, hole);
	if (err)
		return err;
	pte_t *srcp = pt_walk(mm, src), *dstp = pt_walk(mm, dst);
	if (*dstp)
		return -EEXIST;
	if (!*srcp)
		return hole;
	if (pte_present(*srcp))
		return move_present(to, dst, dstp, src, srcp);
	return pte_is_swap(*srcp) ? move_swapped(to, dst, dstp, src, srcp) : -EFAULT;
}

static bool holds(const struct vma *vma, uint64_t addr, uint64_t len)
{
	return len <= vma->end - addr && !(vma->flags & VM_SHARED);
}

static int64_t may_move(const struct vma *to, const struct vma *from, const struct uffd *u)
{
	const uint64_t alike = VM_READ | VM_WRITE | VM_EXEC | VM_LOCKED | VM_PKEY_MASK;
	if ((to->flags ^ from->flags) & alike || !(from->flags & VM_WRITE))
		return -EINVAL;
	if ((to->flags | from->flags) & (VM_HUGETLB | VM_SPECIAL) || to->uffd != u)
		return -EINVAL;
	return vma_mapping(to) || vma_mapping(from) ? -EINVAL : 0;
}

int64_t mm_uffd_move(mm *mm, uffd *u, uint64_t dst, uint64_t src, uint64_t len, uint64_t mode)
{
	struct vma *from = vma_find(mm, src), *to = vma_find(mm, dst);
	uint64_t done = 0;
	int64_t err = to && to->start <= dst ? prepare_filled(to) : -ENOENT;
	if (!err && (!from || from->start > src))
		err = -ENOENT;
	if (!err)
		err = holds(from, src, len) && holds(to, dst, len) ? may_move(to, from, u)
								   : -EINVAL;
	for (; !err && done < len; done += err ? 0 : PAGE_SIZE)
		err = move_page(to, dst + done, src + done, mode);
	return done ? (int64_t)done : err;
}
