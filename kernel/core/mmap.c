/*
 * mmap.c - the calls that make, replace, move and remove VMAs.
 *
 * Checks stand in Linux's order (6.x, do_mmap and its kin).  What a call may
 * want is allocated before anything changes; then it commits and cannot fail.
 * mprotect alone stops half way at a hole, as Linux's does.
 */
#include "core.h"

/* May no VMA be split any more?  mmap and brk look before they add one: there may be one more. */
static bool is_full(const mm *mm)
{
	return mm->counters.map_count >= mm->machine->tunables.max_map_count;
}

/* ---- munmap ---- */

/* [start, end) covers one side of vma, or punches a hole into it. */
static int64_t cut(struct vma *vma, uint64_t start, uint64_t end)
{
	mm *mm = vma->mm;
	if (start > vma->start && end < vma->end) {
		if (is_full(mm))
			return -ENOMEM;
		if (!vma_split(vma, end))
			return no_memory(mm->machine);
	}
	zap_range(vma, start, end);
	if (vma->flags & VM_ACCOUNT)
		commit_release(mm->machine, (end - start) >> PAGE_SHIFT);
	if (start > vma->start)
		vma_resize(vma, vma->start, start, vma->pgoff);
	else
		vma_resize(vma, end, vma->end, vma_index(vma, end));
	return 0;
}

/* Would a cut at addr go through a large page of it? */
static bool splits_large(const struct vma *vma, uint64_t addr)
{
	return vma->start < addr && addr < vma->end && addr & (vma_unit(vma) - 1);
}

static bool is_sealed(mm *mm, uint64_t start, uint64_t end)
{
	const struct vma *vma = vma_find_intersection(mm, start, end);
	for (; vma && vma->start < end; vma = vma->next)
		if (vma->flags & VM_SEALED)
			return true;
	return false;
}

static bool may_unmap(const struct vma *vma, uint64_t start, uint64_t end)
{
	for (; vma && vma->start < end; vma = vma->next)
		if (vma->flags & VM_SEALED || splits_large(vma, start) || splits_large(vma, end))
			return false;
	return true;
}

static int64_t split_at(struct vma *vma, uint64_t addr)
{
	if (vma->flags & VM_SEALED)
		return -EPERM;
	if (splits_large(vma, addr))
		return -EINVAL;
	return vma_split(vma, addr) ? 0 : no_memory(vma->mm->machine);
}

/* Linux splits what it would unmap at both ends first; a refusal, err or an earlier one, leaves that. */
static int64_t refuse_unmap(mm *mm, uint64_t start, uint64_t end, int64_t err)
{
	struct vma *vma = vma_find_intersection(mm, start, end);
	if (vma && start > vma->start) {
		if (end < vma->end && is_full(mm))
			return -ENOMEM;
		int64_t refused = split_at(vma, start);
		if (refused)
			return refused;
		vma = vma->next;
	}
	for (; vma && vma->start < end; vma = vma->next) {
		int64_t refused = vma->flags & VM_SEALED ? -EPERM : 0;
		if (!refused && end < vma->end)
			refused = split_at(vma, end);
		if (refused)
			return refused;
	}
	return err;
}

static int64_t unmap_keeping_tables(mm *mm, uint64_t start, uint64_t end)
{
	struct vma *vma = vma_find_intersection(mm, start, end);
	if (!may_unmap(vma, start, end))
		return refuse_unmap(mm, start, end, -EPERM);
	if (vma && start > vma->start && end < vma->end) {
		int64_t err = cut(vma, start, end);
		if (err)
			return err;
		vma = NULL;
	}
	while (vma && vma->start < end) {
		struct vma *next = vma->next;
		uint64_t low = start > vma->start ? start : vma->start;
		uint64_t high = end < vma->end ? end : vma->end;
		if (low > vma->start || high < vma->end) {
			cut(vma, low, high); /* one side: cannot fail */
		} else {
			zap_range(vma, low, high);
			vma_unlink(mm, vma);
		}
		vma = next;
	}
	return 0;
}

INLINE int64_t unmap(mm *mm, uint64_t start, uint64_t end)
{
	int64_t err = unmap_keeping_tables(mm, start, end);
	if (!err)
		pt_prune(mm, start, end);
	return err;
}

static TELLS int64_t unmap_told(mm *mm, uint64_t start, uint64_t end)
{
	uint64_t before = mm->counters.total_vm;
	int64_t err = unmap(mm, start, end);
	if (mm->counters.total_vm != before && !err)
		event_record(mm->machine, EVENT_UNMAP, start, end, 0, 0, 0);
	return err;
}

INLINE int64_t unmap_range(mm *mm, uint64_t start, uint64_t end)
{
	return is_told(mm->machine) ? unmap_told(mm, start, end) : unmap(mm, start, end);
}

int64_t mm_unmap(mm *mm, uint64_t start, uint64_t end) { return unmap_range(mm, start, end); }

int64_t mm_munmap(mm *mm, uint64_t addr, uint64_t len)
{
	uint64_t top = mm->counters.task_size;
	if (addr & ~PAGE_MASK || addr > top || len > top - addr)
		return -EINVAL;
	uint64_t end = addr + PAGE_ALIGN(len);
	if (end == addr)
		return -EINVAL;
	int64_t err = uffd_event(mm, addr, end);
	if (!err)
		err = unmap_range(mm, addr, end);
	return err ? err : mm->machine->ended != NULL;
}

/* ---- mmap ---- */

/* How many pages are mapped there; those that are charged are nr_charged. */
static uint64_t pages_mapped(mm *mm, uint64_t start, uint64_t end, uint64_t *nr_charged)
{
	uint64_t nr = 0;
	struct vma *vma = vma_find_intersection(mm, start, end);
	for (; vma && vma->start < end; vma = vma->next) {
		uint64_t low = vma->start > start ? vma->start : start;
		uint64_t high = vma->end < end ? vma->end : end;
		nr += (high - low) >> PAGE_SHIFT;
		if (vma->flags & VM_ACCOUNT)
			*nr_charged += (high - low) >> PAGE_SHIFT;
	}
	return nr;
}

static bool wants_commit(uint64_t vm_flags)
{
	return (vm_flags & (VM_WRITE | VM_SHARED | VM_NORESERVE | VM_HUGETLB)) == VM_WRITE;
}

/* Shared anonymous memory is a file that no one can name. */
static int64_t anonymous_file(machine *m, uint64_t kind, uint64_t nr_promised, uint64_t len,
			      file **out)
{
	mapping *mp = mapping_create(m, kind, COOKIE_ANONYMOUS + m->anonymous_serial + 1);
	if (!mp)
		return no_memory(m);
	int64_t err = nr_promised ? mapping_reserve(mp, nr_promised) : 0;
	if (!err) {
		m->anonymous_serial++;
		mapping_extend(mp, len);
		*out = file_create(mp, FILE_READ | FILE_WRITE, 0);
		err = *out ? 0 : no_memory(m);
	}
	mapping_put(mp);
	return err;
}

static bool is_shared_anonymous(uint64_t vm_flags, const file *f)
{
	return !f && !(vm_flags & VM_SPECIAL) && vm_flags & (VM_SHARED | VM_HUGETLB);
}

enum joining { JOINS_NEIGHBOURS, STAYS_APART };

/* Link a copy of model in place of the pages that are mapped there; of none: no neighbour fits. */
static int64_t commit_vma(mm *mm, const struct vma *model, uint64_t replaced, enum joining joining)
{
	struct vma *vma = slab_alloc(mm->machine, CACHE_VMA);
	if (!vma)
		return no_memory(mm->machine);
	int64_t err = replaced ? mm_unmap(mm, model->start, model->end) : 0;
	if (err) {
		slab_free(mm->machine, CACHE_VMA, vma);
		return err;
	}
	*vma = *model;
	vma_link(mm, vma);
	if (replaced && joining == JOINS_NEIGHBOURS)
		vma_merge(vma);
	return 0;
}

/*
 * The reference on file and the commit charge that model's VMA will own; on error, what it got.
 * Of its pages, replaced are charged already: those in its place, which pay theirs back as they go.
 */
static int64_t take_charges(machine *m, struct vma *model, uint64_t replaced)
{
	if (model->file) {
		file_get(model->file);
	} else if (is_shared_anonymous(model->flags, NULL)) {
		uint64_t nr_promised = model->flags & VM_NORESERVE ? 0 : vma_pages(model);
		int64_t err = anonymous_file(m, MAPPING_MEMORY, nr_promised,
					     model->end - model->start, &model->file);
		if (err)
			return err;
	}
	if (!wants_commit(model->flags))
		return 0;
	if (!commit_charge(m, vma_pages(model) - replaced))
		return -ENOMEM;
	m->counters.nr_committed += replaced;
	model->flags |= VM_ACCOUNT;
	return 0;
}

static void give_charges_back(machine *m, const struct vma *model)
{
	if (model->file)
		file_put(model->file);
	if (model->flags & VM_ACCOUNT)
		commit_release(m, vma_pages(model));
}

static TELLS int64_t tell_mapped(const struct vma *model)
{
	const mapping *mp = vma_mapping(model);
	event_record(model->mm->machine, EVENT_MAP, model->start, model->end, model->flags,
		     model->pgoff, mp ? mp->cookie : 0);
	return (int64_t)model->start;
}

static inline int64_t mapped(const struct vma *model)
{
	return is_told(model->mm->machine) ? tell_mapped(model) : (int64_t)model->start;
}

/* What a file's own mmap says: Linux asks when it has unmapped what was in the place. */
static int64_t ask_file(const struct vma *model)
{
	const file *f = model->file;
	const mapping *mp = f->mapping;
	if (f->mode & FILE_NO_MMAP)
		return f->mode & FILE_LATE_EIO ? -EIO : -ENODEV;
	if (mp->flags & MAPPING_HUGE)
		return model->pgoff << PAGE_SHIFT & (mapping_unit(mp) - 1) ? -EINVAL : 0;
	if (!(mp->flags & MAPPING_SECRET))
		return 0;
	if (!(model->flags & VM_SHARED))
		return -EINVAL;
	return lock_allowed(model->mm, model->flags, model->end - model->start) ? 0 : -EAGAIN;
}

static int64_t map_region(mm *mm, uint64_t start, uint64_t len, uint64_t vm_flags, file *f,
			  uint64_t pgoff, enum joining joining)
{
	uint64_t nr = len >> PAGE_SHIFT, charged = 0;
	uint64_t replaced = pages_mapped(mm, start, start + len, &charged);
	if (replaced && is_sealed(mm, start, start + len))
		return refuse_unmap(mm, start, start + len, -EPERM);
	if (!may_expand(mm, vm_flags, nr - replaced))
		return refuse_unmap(mm, start, start + len, -ENOMEM);
	if (mm->merge_any && ksm_may_merge(vm_flags))
		vm_flags |= VM_MERGEABLE;
	int64_t err = replaced ? uffd_event(mm, start, start + len) : 0;
	if (err)
		return err;
	struct vma model = { .start = start,
			     .end = start + len,
			     .flags = vm_flags,
			     .pgoff = pgoff,
			     .mm = mm,
			     .file = f };
	err = take_charges(mm->machine, &model, charged);
	int64_t refused = !err && f ? ask_file(&model) : 0;
	if (refused) {
		give_charges_back(mm->machine, &model);
		err = replaced ? mm_unmap(mm, start, start + len) : 0;
		return err ? err : refused;
	}
	if (!err && !replaced && joining == JOINS_NEIGHBOURS && vma_merge_new(mm, &model)) {
		if (f)
			file_put(f); /* the neighbour has its own */
		return mapped(&model);
	}
	if (err)
		err = refuse_unmap(mm, start, start + len, err);
	else
		err = commit_vma(mm, &model, replaced, joining);
	if (!err)
		return mapped(&model);
	give_charges_back(mm->machine, &model);
	return err;
}

/* PR_SET_MDWE: no memory that can be written becomes code, now or by a later call. */
static bool gains_execution(const mm *mm, uint64_t old, uint64_t new)
{
	if (!mm->mdwe || !(new & VM_EXEC))
		return false;
	return new & VM_WRITE || !(old & VM_EXEC);
}

static uint64_t implied_rights(const mm *mm, uint64_t prot)
{
	return prot & PROT_READ && mm->limits->read_implies_exec ? PROT_EXEC : 0;
}

static uint64_t flag_bits(uint64_t prot, uint64_t flags)
{
	uint64_t vm = prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
	vm |= VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
	if (flags & MAP_GROWSDOWN)
		vm |= VM_GROWSDOWN;
	if (flags & MAP_LOCKED)
		vm |= VM_LOCKED;
	if (flags & MAP_STACK)
		vm |= VM_NOHUGEPAGE;
	if (flags & MAP_HUGETLB)
		vm |= VM_HUGETLB;
	if (flags & MAP_SYNC)
		vm |= VM_SYNC;
	return vm;
}

static int64_t shared_file_flags(const file *f, uint64_t prot, uint64_t *vm_flags)
{
	if (prot & PROT_WRITE && !(f->mode & FILE_WRITE))
		return -EACCES;
	*vm_flags |= VM_SHARED | VM_MAYSHARE;
	if (!(f->mode & FILE_WRITE))
		*vm_flags &= ~(uint64_t)(VM_MAYWRITE | VM_SHARED);
	else if (f->mode & FILE_SEALED)
		*vm_flags &= ~(uint64_t)VM_MAYWRITE;
	return 0;
}

#define LEGACY_FLAGS \
	(MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | \
	 MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | \
	 MAP_HUGETLB | MAP_32BIT | MAP_ABOVE4G | MAP_HUGE_2MB | MAP_HUGE_1GB)

static int64_t file_flags(const file *f, uint64_t prot, uint64_t flags, uint64_t *vm_flags)
{
	uint64_t type = flags & MAP_TYPE;
	if (type == MAP_SHARED_VALIDATE && flags & ~(uint64_t)LEGACY_FLAGS)
		return -EOPNOTSUPP;
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE) {
		int64_t err = shared_file_flags(f, prot, vm_flags);
		if (err)
			return err;
	} else if (type != MAP_PRIVATE) {
		return -EINVAL;
	}
	if (!(f->mode & FILE_READ))
		return -EACCES;
	bool never = f->mode & FILE_NO_EXEC || f->mapping->flags & MAPPING_SECRET;
	if (never && *vm_flags & VM_EXEC)
		return -EPERM;
	if ((f->mode & (FILE_NO_MMAP | FILE_LATE_ENODEV | FILE_LATE_EIO)) == FILE_NO_MMAP)
		return -ENODEV;
	if (f->mapping->flags & MAPPING_SECRET) { /* locked, in no core file, and never code */
		*vm_flags |= VM_LOCKED | VM_DONTDUMP;
		*vm_flags &= ~(uint64_t)VM_MAYEXEC;
		return 0;
	}
	if (f->mapping->flags & MAPPING_HUGE)
		*vm_flags |= VM_HUGETLB;
	if (*vm_flags & VM_GROWSDOWN)
		return -EINVAL;
	bool stores = *vm_flags & VM_MAYSHARE && prot & PROT_WRITE;
	return stores && f->mode & FILE_SEALED ? -EPERM : 0;
}

static int64_t anonymous_flags(uint64_t flags, uint64_t *vm_flags)
{
	switch (flags & MAP_TYPE) {
	case MAP_SHARED_VALIDATE: /* large pages are a file's, of which it can be asked */
		if (!(flags & MAP_HUGETLB))
			return -EINVAL;
		if (flags & ~(uint64_t)LEGACY_FLAGS)
			return -EOPNOTSUPP;
		*vm_flags |= VM_SHARED | VM_MAYSHARE;
		return *vm_flags & VM_GROWSDOWN ? -EINVAL : 0;
	case MAP_SHARED:
		if (*vm_flags & VM_GROWSDOWN)
			return -EINVAL;
		*vm_flags |= VM_SHARED | VM_MAYSHARE;
		return 0;
	case MAP_DROPPABLE:
		if (flags & (MAP_LOCKED | MAP_HUGETLB) || *vm_flags & VM_GROWSDOWN)
			return -EINVAL;
		*vm_flags |= VM_DROPPABLE | VM_NORESERVE | VM_WIPEONFORK | VM_DONTDUMP;
		return 0;
	case MAP_PRIVATE: /* large pages are a file's */
		return flags & MAP_HUGETLB && *vm_flags & VM_GROWSDOWN ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int64_t special_flags(uint64_t flags, file *f, uint64_t *vm_flags)
{
	if (f || (flags & MAP_TYPE) != MAP_SHARED || flags & (MAP_GROWSDOWN | MAP_ANONYMOUS))
		return -EINVAL;
	*vm_flags |= VM_SHARED | VM_MAYSHARE | VM_SPECIAL;
	return 0;
}

static int64_t kind_flags(file *f, uint64_t prot, uint64_t flags, uint64_t *vm_flags)
{
	if (flags & MAP_NONLINEAR)
		return special_flags(flags, f, vm_flags);
	if (flags & MAP_ANONYMOUS)
		return anonymous_flags(flags, vm_flags);
	return f ? file_flags(f, prot, flags, vm_flags) : -ENODEV;
}

static uint64_t round_hint(mm *mm, uint64_t addr)
{
	uint64_t low = mm->machine->tunables.mmap_min_addr;
	addr &= PAGE_MASK;
	return addr && addr < low ? PAGE_ALIGN(low) : addr;
}

/* The lengths and the place, as do_mmap checks them first. */
static int64_t choose_place(mm *mm, uint64_t addr, uint64_t *len, uint64_t flags, uint64_t pgoff)
{
	if (!*len)
		return -EINVAL;
	if (flags & MAP_FIXED_NOREPLACE)
		flags |= MAP_FIXED;
	if (!(flags & MAP_FIXED))
		addr = round_hint(mm, addr);
	uint64_t align = mmap_unit(flags);
	*len = (*len + align - 1) & -align;
	if (!*len)
		return -ENOMEM;
	if (pgoff + (*len >> PAGE_SHIFT) < pgoff)
		return -EOVERFLOW;
	if (mm->counters.map_count > mm->machine->tunables.max_map_count)
		return -ENOMEM;
	int64_t at = gap_search(mm, addr, *len, flags);
	if (at >= 0 && flags & MAP_FIXED_NOREPLACE &&
	    vma_find_intersection(mm, (uint64_t)at, (uint64_t)at + *len))
		return -EEXIST;
	return at;
}

static uint64_t last_byte(const file *f) { return f->mode & FILE_NO_END ? UINT64_MAX : INT64_MAX; }

static int64_t lock_rights(mm *mm, uint64_t vm_flags, uint64_t flags, uint64_t len)
{
	if (flags & MAP_LOCKED && !may_lock(mm) && mm->limits->memlock == 0)
		return -EPERM;
	return lock_allowed(mm, vm_flags, len) ? 0 : -EAGAIN;
}

/* As on Linux, what it replaced is gone even if there are no pages to promise. */
static int64_t map_large(mm *mm, uint64_t start, uint64_t len, uint64_t vm_flags, file *f,
			 uint64_t pgoff)
{
	int64_t at = map_region(mm, start, len, vm_flags, f, pgoff, JOINS_NEIGHBOURS);
	if (at < 0)
		return at;
	int64_t err = huge_promise(vma_find(mm, start));
	if (err) {
		mm_unmap(mm, start, start + len);
		return err;
	}
	if (vm_flags & VM_WRITE) /* hugetlbfs lets the file grow */
		mapping_extend(f->mapping, (pgoff << PAGE_SHIFT) + len);
	return at;
}

/* Private large pages, too, are those of a file that no one can name. */
static int64_t map_large_anonymous(mm *mm, uint64_t start, uint64_t len, uint64_t vm_flags,
				   uint64_t kind)
{
	file *f;
	int64_t err = anonymous_file(mm->machine, kind, 0, len, &f);
	if (err)
		return err;
	int64_t at = map_large(mm, start, len, vm_flags, f, 0);
	file_put(f);
	return at;
}

static uint64_t large_kind(uint64_t flags)
{
	return MAPPING_HUGE | (mmap_unit(flags) == GIGANTIC_SIZE ? MAPPING_GIGANTIC : 0);
}

static bool is_noreserve(mm *mm, uint64_t flags)
{
	bool strict = mm->machine->tunables.overcommit_memory >= 2 && !(flags & MAP_HUGETLB);
	return flags & MAP_NORESERVE && !strict;
}

int64_t mm_mmap_file(mm *mm, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, file *f,
		     uint64_t pgoff)
{
	int64_t at = choose_place(mm, addr, &len, flags, pgoff);
	if (at < 0)
		return at;
	prot |= implied_rights(mm, prot);
	uint64_t vm_flags = flag_bits(prot, flags) | mm->counters.def_flags;
	vm_flags |= pkey_of_new_vma(mm, prot) << VM_PKEY_SHIFT;
	int64_t err = lock_rights(mm, vm_flags, flags, len);
	if (!err && f && pgoff > (last_byte(f) - len) >> PAGE_SHIFT)
		err = -EOVERFLOW;
	if (!err)
		err = kind_flags(f, prot, flags, &vm_flags);
	if (err)
		return err;
	if (vm_flags & (VM_SPECIAL | VM_HUGETLB | VM_DROPPABLE))
		vm_flags &= ~(uint64_t)(VM_LOCKED | VM_LOCKONFAULT);
	if (f && f->mode & FILE_ZERO && vm_flags & VM_MAYSHARE)
		f = NULL; /* shared memory of its own */
	if (is_noreserve(mm, flags))
		vm_flags |= VM_NORESERVE;
	if (!f)
		pgoff = is_shared_anonymous(vm_flags, f) ? 0 : (uint64_t)at >> PAGE_SHIFT;
	if (gains_execution(mm, vm_flags, vm_flags))
		return -EACCES;
	if ((vm_flags & (VM_HUGETLB | VM_SPECIAL)) == VM_HUGETLB)
		return f ? map_large(mm, (uint64_t)at, len, vm_flags, f, pgoff)
			 : map_large_anonymous(mm, (uint64_t)at, len, vm_flags, large_kind(flags));
	return map_region(mm, (uint64_t)at, len, vm_flags, f, pgoff, JOINS_NEIGHBOURS);
}

/* A file's pages have its size, whatever size is asked for. */
static uint64_t flags_for(const file *f, uint64_t flags)
{
	if (!f || !(f->mapping->flags & MAPPING_HUGE))
		return flags;
	flags &= ~HUGE_LOG_MASK;
	return flags | MAP_HUGETLB | (f->mapping->flags & MAPPING_GIGANTIC ? MAP_HUGE_1GB : 0);
}

int64_t mm_mmap(mm *mm, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, file *f,
		uint64_t pgoff)
{
	if (flags & MAP_ANONYMOUS)
		f = NULL;
	return mm_mmap_file(mm, addr, len, prot, flags_for(f, flags), f, pgoff);
}

/* ---- changing the flags of a range ---- */

/*
 * vma's part [start, end) becomes a VMA of its own, which *vmap then is.  There may be one too many
 * for a moment if it joins a neighbour then; a second split that is refused leaves the first.
 */
int64_t vma_isolate(struct vma **vmap, uint64_t start, uint64_t end, const struct vma_look *look)
{
	struct vma *vma = *vmap, *lower = vma;
	mm *mm = vma->mm;
	bool below = start > vma->start, above = end < vma->end;
	if (splits_large(vma, start) || splits_large(vma, end))
		return -EINVAL;
	if ((below || above) && is_full(mm) && !vma_would_join(vma, start, end, look))
		return -ENOMEM;
	if (below && !(vma = vma_split(vma, start)))
		return no_memory(mm->machine);
	if (below && above && is_full(mm))
		return -ENOMEM;
	if (above && !vma_split(vma, end)) {
		if (below)
			vma_join_next(lower);
		return no_memory(mm->machine);
	}
	vma->cut = (below ? CUT_BELOW : 0) | (above ? CUT_ABOVE : 0);
	*vmap = vma;
	return 0;
}

/* vma's part [start, end) gets new flags; *vmap is then the VMA that covers it. */
int64_t vma_modify(struct vma **vmap, uint64_t start, uint64_t end, uint64_t flags)
{
	struct vma_look look = vma_look(*vmap);
	if (flags == look.flags)
		return 0;
	look.flags = flags;
	int64_t err = vma_isolate(vmap, start, end, &look);
	if (!err)
		vma_set_flags(*vmap, flags);
	return err;
}

/* ---- mprotect ---- */

struct protection {
	uint64_t prot;
	int64_t pkey; /* -1: as the protection says */
};

static int64_t protect_flags(struct vma *vma, uint64_t start, uint64_t end,
			     const struct protection *p, uint64_t *flags)
{
	const uint64_t access = VM_READ | VM_WRITE | VM_EXEC;
	uint64_t key = pkey_after_mprotect(vma, p->prot, p->pkey);
	const uint64_t uncharged = VM_ACCOUNT | VM_WRITE | VM_SHARED | VM_NORESERVE | VM_HUGETLB;
	uint64_t nr = (end - start) >> PAGE_SHIFT;
	*flags = (vma->flags & ~(access | VM_PKEY_MASK)) | (p->prot & access) |
		 key << VM_PKEY_SHIFT;
	if (*flags & ~(*flags >> 4) & access)
		return -EACCES;
	if (gains_execution(vma->mm, vma->flags, *flags))
		return -EACCES;
	if (vma->flags & VM_SEALED)
		return -EPERM;
	if (*flags == vma->flags)
		return 0;
	if (*flags & VM_WRITE) {
		if (!(vma->flags & (VM_WRITE | VM_SHARED)) && !may_expand(vma->mm, *flags, nr) &&
		    may_expand(vma->mm, vma->flags, nr))
			return -ENOMEM;
		if (vma->flags & uncharged)
			return 0;
		if (!commit_charge(vma->mm->machine, nr))
			return -ENOMEM;
		*flags |= VM_ACCOUNT;
	} else if (vma->flags & VM_ACCOUNT && !vma_mapping(vma) && !vma->anon_vma) {
		*flags &= ~(uint64_t)VM_ACCOUNT;
	}
	return 0;
}

static int64_t protect_part(struct vma **vmap, uint64_t start, uint64_t end,
			    const struct protection *p)
{
	machine *m = (*vmap)->mm->machine;
	uint64_t flags, old = (*vmap)->flags, nr = (end - start) >> PAGE_SHIFT;
	int64_t err = protect_flags(*vmap, start, end, p, &flags);
	if (err || (flags == old && !(old & VM_SPECIAL)))
		return err;
	err = vma_modify(vmap, start, end, flags);
	if (err) {
		if (flags & ~old & VM_ACCOUNT)
			commit_release(m, nr);
		return err;
	}
	if (old & ~flags & VM_ACCOUNT)
		commit_release(m, nr);
	if (is_told(m))
		event_record(m, EVENT_PROTECT, start, end, old, flags, 0);
	protect_range(*vmap, start, end);
	*vmap = vma_merge(*vmap);
	const uint64_t fills = VM_WRITE | VM_SHARED | VM_LOCKED | VM_LOCKONFAULT;
	if ((old & fills) == VM_LOCKED && flags & VM_WRITE)
		populate_range((*vmap)->mm, start, end - start, UINT64_MAX); /* copies; a wish */
	return 0;
}

static int64_t grows_start(struct vma *vma, uint64_t end, uint64_t grows, uint64_t *start)
{
	if (grows & PROT_GROWSDOWN) {
		if (vma->start >= end)
			return -ENOMEM;
		*start = vma->start;
		return vma->flags & VM_GROWSDOWN ? 0 : -EINVAL;
	}
	if (vma->start > *start)
		return -ENOMEM;
	return grows & PROT_GROWSUP ? -EINVAL : 0;
}

int64_t mm_mprotect(mm *mm, uint64_t addr, uint64_t len, uint64_t prot, int64_t pkey)
{
	const uint64_t both = PROT_GROWSDOWN | PROT_GROWSUP;
	uint64_t grows = prot & both;
	prot &= ~both;
	if (grows == both || addr & ~PAGE_MASK)
		return -EINVAL;
	if (!len)
		return 0;
	uint64_t end = addr + PAGE_ALIGN(len);
	if (end <= addr)
		return -ENOMEM;
	if (prot & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC | 8)) /* 8: PROT_SEM */
		return -EINVAL;
	prot |= implied_rights(mm, prot);
	if (pkey != -1 && !pkey_is_allocated(mm, pkey))
		return -EINVAL;
	const struct protection p = { prot, pkey };
	struct vma *vma = vma_find(mm, addr);
	if (!vma)
		return -ENOMEM;
	int64_t err = grows_start(vma, end, grows, &addr);
	while (!err && addr < end) {
		if (!vma || vma->start > addr)
			return -ENOMEM;
		uint64_t stop = vma->end < end ? vma->end : end;
		err = protect_part(&vma, addr, stop, &p);
		addr = stop;
		vma = vma_find(mm, addr);
	}
	return err;
}

/* ---- mremap ---- */

struct mremap {
	mm *mm;
	struct vma *vma;
	uint64_t addr, old_len, new_len, flags, new_addr;
	struct vma *split; /* by presplit(), to be joined again on failure */
};

static bool names_place(const struct mremap *r)
{
	return r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
}

static int64_t mremap_params(struct mremap *r)
{
	uint64_t top = r->mm->counters.task_size;
	if (r->flags & ~(uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if (r->addr & ~PAGE_MASK)
		return -EINVAL;
	r->old_len = PAGE_ALIGN(r->old_len);
	r->new_len = PAGE_ALIGN(r->new_len);
	if (!r->new_len || r->new_len > top)
		return -EINVAL;
	if (!names_place(r))
		return 0;
	if (r->new_addr > top - r->new_len || r->new_addr & ~PAGE_MASK)
		return -EINVAL;
	if (!(r->flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (r->flags & MREMAP_DONTUNMAP && r->old_len != r->new_len)
		return -EINVAL;
	if (r->addr + r->old_len > r->new_addr && r->new_addr + r->new_len > r->addr)
		return -EINVAL;
	if (r->mm->counters.map_count + 2 >= r->mm->machine->tunables.max_map_count - 3)
		return -ENOMEM;
	return 0;
}

/* Large pages move and go as wholes; such a VMA does not grow. */
static int64_t mremap_large(struct mremap *r)
{
	uint64_t unit = vma_unit(r->vma);
	r->old_len = (r->old_len + unit - 1) & -unit;
	r->new_len = (r->new_len + unit - 1) & -unit;
	uint64_t places = r->addr | (names_place(r) ? r->new_addr : 0);
	bool grows = r->new_len > r->old_len || r->flags & MREMAP_DONTUNMAP;
	return places & (unit - 1) || grows ? -EINVAL : 0;
}

/* Is the end of what there was beyond user space? */
static bool is_wild(const struct mremap *r)
{
	return r->old_len > r->mm->counters.task_size - r->addr;
}

static int64_t mremap_vma(struct mremap *r)
{
	struct vma *vma = vma_find(r->mm, r->addr);
	r->vma = vma;
	if (!vma || vma->start > r->addr)
		return -EFAULT;
	if (vma->flags & VM_SEALED)
		return -EPERM;
	int64_t err = vma->flags & VM_HUGETLB ? mremap_large(r) : 0;
	if (err)
		return err;
	if (!r->old_len && !(vma->flags & (VM_SHARED | VM_MAYSHARE)))
		return -EINVAL;
	if (r->new_len <= r->old_len && !names_place(r)) /* only unmaps, whatever lies there */
		return r->new_len < r->old_len && is_wild(r) ? -EINVAL : 0;
	uint64_t moved = r->old_len < r->new_len ? r->old_len : r->new_len;
	if (moved > vma->end - r->addr)
		return -EFAULT;
	if (r->new_len <= r->old_len)
		return 0;
	uint64_t grow = r->new_len - r->old_len, pgoff = vma_index(vma, r->addr);
	if (!lock_allowed(r->mm, vma->flags, grow))
		return -EAGAIN;
	if (pgoff + (r->new_len >> PAGE_SHIFT) < pgoff)
		return -EINVAL;
	return may_expand(r->mm, vma->flags, grow >> PAGE_SHIFT) ? 0 : -ENOMEM;
}

static int64_t grow_in_place(struct mremap *r)
{
	struct vma *vma = r->vma;
	uint64_t end = r->addr + r->new_len;
	uint64_t grow = (r->new_len - r->old_len) >> PAGE_SHIFT;
	bool blocked = vma->end != r->addr + r->old_len || end > r->mm->counters.task_size ||
		       end < vma->end || (vma->next && vma->next->start < end);
	if (blocked)
		return -EEXIST;
	if (vma->flags & VM_ACCOUNT && !commit_charge(r->mm->machine, grow))
		return -ENOMEM;
	vma_resize(vma, vma->start, end, vma->pgoff);
	vma_merge_next(vma); /* not with the one before: vma_merge_extend() of Linux 6.18 */
	return (int64_t)r->addr;
}

static int64_t place_new(struct mremap *r)
{
	uint64_t flags = r->flags & MREMAP_FIXED ? MAP_FIXED : 0;
	return gap_search(r->mm, names_place(r) ? r->new_addr : 0, r->new_len, flags);
}

/* The new VMA, not linked yet. */
static struct vma *moved_vma(struct mremap *r, uint64_t at)
{
	struct vma *vma = r->vma, *copy = vma_dup(vma);
	if (!copy)
		return NULL;
	copy->pgoff = vma_index(vma, r->addr);
	if (!vma_mapping(vma) && !vma->anon_vma)
		copy->pgoff = at >> PAGE_SHIFT;
	copy->start = at;
	copy->end = at + r->new_len;
	if (copy->uffd && !(copy->uffd->features & UFFD_FEATURE_EVENT_REMAP)) {
		vma_set_uffd(copy, NULL); /* whoever is not told of the move cannot follow it */
		copy->flags &= ~(uint64_t)VM_UFFD;
	}
	return copy;
}

/* An address has the rest of its table below it to itself. */
static bool is_first_in_table(mm *mm, uint64_t addr)
{
	return !vma_find_intersection(mm, addr & -PMD_SIZE, addr);
}

/*
 * Where both places lie alike in their tables Linux moves these, not what they hold: all
 * that the move covers, and the first one if nothing else is in it.
 */
static void drop_moved_tables(struct mremap *r, uint64_t at)
{
	mm *mm = r->mm;
	uint64_t addr = r->addr, end = r->addr + r->old_len;
	bool by_page = r->vma->uffd && !(r->vma->uffd->features & UFFD_FEATURE_EVENT_REMAP);
	if (by_page || (addr ^ at) & (PMD_SIZE - 1))
		return;
	if (!is_first_in_table(mm, addr) || !is_first_in_table(mm, at))
		addr += PMD_SIZE - 1;
	for (addr &= -PMD_SIZE; addr + PMD_SIZE <= end; addr += PMD_SIZE) {
		const pte_t *entry = pmd_walk(mm, addr);
		if (entry && *entry && !(*entry & PTE_HUGE))
			pt_drop(mm, addr);
	}
}

/* MREMAP_DONTUNMAP: the area stays, not merged, and so do tables that the move has emptied. */
static void keep_old(struct mremap *r, uint64_t at)
{
	struct vma *vma = vma_find(r->mm, r->addr);
	bool whole = vma->start == r->addr && vma->end == r->addr + r->old_len;
	if (vma->flags & VM_LOCKED)
		vma_set_flags(vma, vma->flags & ~(uint64_t)(VM_LOCKED | VM_LOCKONFAULT));
	if (whole) /* its pages have all gone */
		vma_set_anon(vma, NULL);
	drop_moved_tables(r, at);
}

/*
 * Unmapping the middle of a VMA wants a split: take it while failing is easy.
 * A range that shrinks may end in another VMA than it begins in.
 */
static int64_t presplit(struct mremap *r)
{
	uint64_t end = r->addr + r->old_len;
	struct vma *last = vma_find(r->mm, end - 1);
	if (r->flags & MREMAP_DONTUNMAP || !r->old_len)
		return 0;
	if (!last || r->addr <= last->start || end <= last->start || end == last->end)
		return 0;
	if (!vma_split(last, end))
		return no_memory(r->mm->machine);
	r->split = last;
	return 0;
}

/* A place has a table or a large page: between the two it must be empty. */
static bool changes_kind(const struct mremap *r, uint64_t at)
{
	const struct vma *vma = vma_find_intersection(r->mm, at, at + r->new_len);
	bool large = r->vma->flags & VM_HUGETLB;
	for (; vma && vma->start < at + r->new_len; vma = vma->next)
		large |= !!(vma->flags & VM_HUGETLB);
	return large;
}

/* Free the tables of a place that is empty now, but for those that the move wants: as on Linux. */
static void prune_unprepared(struct mremap *r, uint64_t at, uint64_t len)
{
	uint64_t span, end = at + r->new_len, stop;
	for (uint64_t to = at; to < end; to = stop) {
		stop = (to & -PMD_SIZE) + PMD_SIZE < end ? (to & -PMD_SIZE) + PMD_SIZE : end;
		uint64_t from = to - at + r->addr, last = (stop - at < len ? stop - at : len);
		if (!pt_next(r->mm, &from, r->addr + last, &span))
			pt_prune(r->mm, to, stop);
	}
}

/* Between kinds the place goes first; else what may fail does, and nothing has changed then. */
static int64_t clear_place(struct mremap *r, uint64_t at, uint64_t len)
{
	bool first = changes_kind(r, at);
	int64_t err = first ? mm_unmap(r->mm, at, at + r->new_len) : 0;
	if (!err)
		err = move_prepare(r->vma, r->addr, at, len);
	if (!err && !first)
		err = unmap_keeping_tables(r->mm, at, at + r->new_len);
	if (!err && !first)
		prune_unprepared(r, at, len);
	return err;
}

/* Everything a move may want; then the place is cleared, which may want a split. */
static int64_t move_reserve(struct mremap *r, uint64_t at, uint64_t len, struct vma **copy)
{
	int64_t err = presplit(r);
	*copy = err ? NULL : moved_vma(r, at);
	if (!err && !*copy)
		err = no_memory(r->mm->machine);
	if (err)
		return err;
	return r->flags & MREMAP_FIXED ? clear_place(r, at, len)
				       : move_prepare(r->vma, r->addr, at, len);
}

static int64_t move_vma(struct mremap *r, uint64_t at)
{
	mm *mm = r->mm;
	machine *m = mm->machine;
	uint64_t len = r->old_len < r->new_len ? r->old_len : r->new_len;
	uint64_t charge = r->vma->flags & VM_ACCOUNT ? r->new_len >> PAGE_SHIFT : 0;
	struct vma *copy;
	if (mm->counters.map_count >= m->tunables.max_map_count - 3 || !commit_charge(m, charge))
		return -ENOMEM;
	int64_t err = move_reserve(r, at, len, &copy);
	if (err) {
		if (copy)
			vma_discard(copy);
		commit_release(m, charge);
		pt_prune(mm, at, at + r->new_len);
		if (r->split)
			vma_join_next(r->split);
		return err;
	}
	uint64_t peak = mm->counters.hiwater_vm;
	vma_link(mm, copy);
	move_range(copy, r->addr, at, len);
	/* As copy_vma() of Linux 6.18, which looks at the neighbours before it forgets a monitor. */
	if (copy->uffd == vma_find(mm, r->addr)->uffd)
		vma_merge(copy);
	if (r->flags & MREMAP_DONTUNMAP)
		keep_old(r, at);
	else if (r->old_len)
		mm_unmap(mm, r->addr, r->addr + r->old_len); /* its split was taken before */
	/* While both were there, that was no size the process ever had. */
	mm->counters.hiwater_vm = peak > mm->counters.total_vm ? peak : mm->counters.total_vm;
	return (int64_t)at;
}

/* Refuse to unmap what is sealed, as munmap does. */
static int64_t may_clear(mm *mm, uint64_t start, uint64_t end)
{
	return is_sealed(mm, start, end) ? refuse_unmap(mm, start, end, -EPERM) : 0;
}

/* Before a move that shrinks, what is cut off is unmapped. */
static int64_t may_cut_off(const struct mremap *r)
{
	if (r->new_len >= r->old_len)
		return 0;
	if (is_wild(r))
		return -EINVAL;
	return may_clear(r->mm, r->addr + r->new_len, r->addr + r->old_len);
}

static int64_t mremap_to(struct mremap *r)
{
	uint64_t start = r->new_addr, nr = r->old_len >> PAGE_SHIFT;
	uint64_t end = r->flags & MREMAP_FIXED ? start + r->new_len : start;
	/* What lies there is unmapped before all else. */
	int64_t err = r->flags & MREMAP_FIXED ? may_clear(r->mm, start, end) : 0;
	if (err)
		return err;
	if (r->flags & MREMAP_DONTUNMAP && !may_expand_into(r->mm, r->vma->flags, nr, start, end))
		return -ENOMEM;
	err = may_cut_off(r);
	int64_t at = err ? err : place_new(r);
	return at < 0 ? at : move_vma(r, (uint64_t)at);
}

/* A move of equal length takes every VMA of the range along, gaps kept (Linux 6.17). */
static int64_t mremap_each(const struct mremap *whole)
{
	mm *mm = whole->mm;
	uint64_t end = whole->addr + whole->old_len, target = whole->new_addr, last_end = 0;
	struct vma *vma = vma_find(mm, whole->addr);
	if (!vma || vma->start > whole->addr)
		return -EFAULT;
	/* What was moved may have joined what is left: behind the range, nothing is looked for. */
	for (; vma && vma->start < end; vma = last_end < end ? vma_find(mm, last_end) : NULL) {
		struct mremap part = *whole;
		part.addr = vma->start > whole->addr ? vma->start : whole->addr;
		part.old_len = part.new_len = (vma->end < end ? vma->end : end) - part.addr;
		part.new_addr = target + (last_end ? vma->start - last_end : 0);
		bool alone = vma->uffd || (vma->file && vma->file->mode & FILE_APART);
		if (alone && (last_end || vma->end < end))
			return -EFAULT; /* a monitor is told of one move at a time */
		last_end = vma->end;
		int64_t at = mremap_vma(&part);
		if (!at)
			at = mremap_to(&part);
		if (at < 0)
			return at;
		target = (uint64_t)at + part.new_len;
	}
	return (int64_t)whole->new_addr;
}

static int64_t remap_range(mm *mm, uint64_t addr, uint64_t old_len, uint64_t new_len,
			   uint64_t flags, uint64_t new_addr)
{
	struct mremap r = { mm, NULL, addr, old_len, new_len, flags, new_addr, NULL };
	int64_t err = mremap_params(&r);
	if (!err && flags & MREMAP_FIXED && r.old_len == r.new_len)
		return mremap_each(&r);
	if (!err)
		err = mremap_vma(&r);
	if (err)
		return err;
	if (names_place(&r))
		return mremap_to(&r);
	if (r.new_len <= r.old_len) {
		if (r.new_len < r.old_len)
			err = mm_unmap(mm, addr + r.new_len, addr + r.old_len);
		return err ? err : (int64_t)addr;
	}
	int64_t at = r.old_len ? grow_in_place(&r) : -EEXIST;
	if (at != -EEXIST)
		return at;
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	at = place_new(&r);
	return at < 0 ? at : move_vma(&r, (uint64_t)at);
}

static TELLS int64_t remap_told(mm *mm, uint64_t addr, uint64_t old_len, uint64_t new_len,
				uint64_t flags, uint64_t new_addr)
{
	int64_t at = remap_range(mm, addr, old_len, new_len, flags, new_addr);
	event_record(mm->machine, EVENT_MREMAP, addr, old_len, new_len, flags, (uint64_t)at);
	return at;
}

int64_t mm_mremap(mm *mm, uint64_t addr, uint64_t old_len, uint64_t new_len, uint64_t flags,
		  uint64_t new_addr)
{
	return is_told(mm->machine) ? remap_told(mm, addr, old_len, new_len, flags, new_addr)
				    : remap_range(mm, addr, old_len, new_len, flags, new_addr);
}

/* ---- brk and the stack ---- */

static bool grow_brk(mm *mm, uint64_t start, uint64_t end)
{
	uint64_t prot = PROT_READ | PROT_WRITE | implied_rights(mm, PROT_READ);
	uint64_t flags = flag_bits(prot, 0) | mm->counters.def_flags;
	struct vma *next = vma_find(mm, start);
	if (next && vma_start_gap(next) < end + PAGE_SIZE)
		return false;
	if (end > mm->counters.task_size || !lock_allowed(mm, flags, end - start))
		return false;
	if (mm->counters.map_count > mm->machine->tunables.max_map_count)
		return false;
	/* As Linux: the heap's first page does not join what lies below the heap, its bss. */
	enum joining joining = start > mm->counters.start_brk ? JOINS_NEIGHBOURS : STAYS_APART;
	return map_region(mm, start, end - start, flags, NULL, start >> PAGE_SHIFT, joining) >= 0;
}

int64_t mm_brk(mm *mm, uint64_t addr)
{
	struct mm_counters *c = &mm->counters;
	uint64_t old = PAGE_ALIGN(c->brk), new = PAGE_ALIGN(addr);
	if (addr < c->start_brk || addr > c->task_size || addr - c->start_brk > mm->limits->data)
		return (int64_t)c->brk;
	if (new < old && mm_unmap(mm, new, old))
		return (int64_t)c->brk;
	if (new > old && !grow_brk(mm, old, new))
		return (int64_t)c->brk;
	c->brk = addr;
	return (int64_t)addr;
}

/* Grow a stack down to addr; -EFAULT: it may not. */
int64_t expand_stack(struct vma *vma, uint64_t addr)
{
	mm *mm = vma->mm;
	const struct vma *prev = vma->prev;
	uint64_t grow = (vma->start - addr) >> PAGE_SHIFT;
	if (addr < mm->machine->tunables.mmap_min_addr)
		return -EFAULT;
	if (prev && !(prev->flags & VM_GROWSDOWN) && prev->flags & (VM_READ | VM_WRITE | VM_EXEC) &&
	    addr - prev->end < STACK_GUARD_GAP)
		return -EFAULT;
	int64_t err = vma_prepare_anon(vma); /* as Linux: it decides later merging */
	if (err)
		return err;
	if (grow > vma->pgoff || vma->end - addr > mm->limits->stack ||
	    !may_expand(mm, vma->flags, grow) || !lock_allowed(mm, vma->flags, grow << PAGE_SHIFT))
		return -EFAULT;
	/* Linux asks whatever the VMA is, and forgets to give back what it does not account. */
	if (!commit_charge(mm->machine, grow))
		return -EFAULT;
	if (!(vma->flags & VM_ACCOUNT))
		commit_release(mm->machine, grow);
	vma_resize(vma, addr, vma->end, vma->pgoff - grow);
	return 0;
}
