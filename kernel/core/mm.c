/*
 * mm.c - the life of an address space: create, fork, destroy.
 *
 * A new mm owns its top-level table and its TLB page.  fork copies VMAs and
 * the ptes that a fault could not bring back; on failure the half-made child
 * is destroyed and the parent has lost nothing but write permission on pages
 * that a fault gives back.  destroy leaves no table and no reference behind.
 */
#include "core.h"

static void counters_from_layout(struct mm_counters *c, const struct layout *layout)
{
	c->task_size = layout->task_size;
	c->mmap_base = layout->mmap_base;
	c->start_brk = c->brk = layout->start_brk;
	c->start_stack = layout->stack_top;
}

void mm_place_upwards(mm *mm) { mm->upwards = true; }

void mm_place_low(mm *mm, uint64_t base) { mm->low_base = base; }

void mm_place_heap(mm *mm, uint64_t start_brk, uint64_t brk, uint64_t start_stack)
{
	mm->counters.start_brk = start_brk;
	mm->counters.brk = brk;
	mm->counters.start_stack = start_stack;
}

static mm *mm_alloc(machine *m, const struct limits *limits)
{
	mm *mm = slab_alloc(m, CACHE_MM);
	if (!mm)
		return NULL;
	struct page *pgd = page_alloc_zeroed(m, PG_TABLE);
	struct page *tlb = pgd ? page_alloc_zeroed(m, PG_SLAB) : NULL;
	if (!tlb) {
		if (pgd)
			page_put(m, pgd);
		slab_free(m, CACHE_MM, mm);
		return NULL;
	}
	pgd->mm = mm;
	mm->machine = m;
	mm->pgd = page_data(m, pgd);
	mm->pgd[KERNEL_PGD_ENTRY] = vsyscall_pgd_entry(m);
	mm->tlb = page_data(m, tlb);
	mm->limits = limits;
	mm->runner = &m->nobody;
	mm->counters.nr_pagetable = 1;
	mm->policy.home = NO_NODE;
	mm->counters.tlb_generation = ++m->mm_serial << 32; /* no other mm's */
	pkey_init(mm);
	vma_tree_init(mm);
	mm->next = m->mms;
	if (m->mms)
		m->mms->prev = mm;
	m->mms = mm;
	return mm;
}

int64_t mm_create(machine *m, const struct layout *layout, const struct limits *limits, mm **out)
{
	*out = mm_alloc(m, limits);
	if (!*out)
		return no_memory(m);
	counters_from_layout(&(*out)->counters, layout);
	return 0;
}

static TELLS void tell_end(const mm *mm)
{
	const struct mm_counters *c = &mm->counters;
	event_record(mm->machine, EVENT_EXIT_MMAP, c->total_vm, c->map_count,
		     (uint64_t)((char *)mm->pgd - mm->machine->arena), 0, 0);
}

/*
 * Unmap the last areas, as many as lie near each other, and free their tables.
 * From the end, so no gap changes; tables are looked for where areas were only.
 */
static void destroy_last(mm *mm)
{
	uint64_t start, end = mm->last->end;
	do {
		struct vma *vma = mm->last;
		start = vma->start;
		zap_range(vma, start, vma->end);
		vma_unlink_last(mm);
	} while (mm->last && start - mm->last->end < PMD_SIZE);
	pt_prune(mm, start, end);
}

void mm_destroy(mm *mm)
{
	machine *m = mm->machine;
	if (is_told(m))
		tell_end(mm);
	scan_forget(mm);
	ksm_exit(mm);
	struct file *ended = m->ended;
	while (mm->last)
		destroy_last(mm);
	turn_ended(m, ended); /* as if the first area had gone first */
	struct page *pgd = page_of(m, mm->pgd);
	assert(pgd->used == 0 && mm->counters.nr_special == 0 && mm->counters.nr_swap == 0);
	page_put(m, pgd);
	page_put(m, page_of(m, mm->tlb));
	*(mm->prev ? &mm->prev->next : &m->mms) = mm->next;
	if (mm->next)
		mm->next->prev = mm->prev;
	if (m->acting == mm)
		m->acting = NULL;
	slab_free(m, CACHE_MM, mm);
}

static bool is_private_huge(const struct vma *vma)
{
	return (vma->flags & (VM_HUGETLB | VM_SHARED)) == VM_HUGETLB;
}

/* A page that the child finds in a file, large or small, comes back by a fault; the rest must be copied. */
static bool needs_copy(const struct vma *vma, const struct vma *copy)
{
	if (vma->flags & VM_WIPEONFORK)
		return false;
	if (copy->flags & VM_UFFD_WP)
		return true;
	if (vma_mapping(vma) && vma->mm->machine->tunables.fork_file_ptes)
		return true;
	const uint64_t own = VM_SPECIAL | VM_NONLINEAR | VM_MAYBE_GUARD;
	return vma->anon_vma || vma->flags & own || is_private_huge(vma);
}

static int64_t fork_vma(mm *child, struct vma *vma)
{
	machine *m = child->machine;
	uint64_t charge = vma->flags & VM_ACCOUNT ? vma_pages(vma) : 0;
	if (!commit_charge(m, charge))
		return -ENOMEM;
	struct vma *copy = vma_dup(vma);
	if (!copy) {
		commit_release(m, charge);
		return no_memory(m);
	}
	copy->flags &= ~(uint64_t)(VM_LOCKED | VM_LOCKONFAULT);
	if (vma->flags & VM_WIPEONFORK)
		vma_set_anon(copy, NULL);
	vma_inherit_anon(copy);
	vma_set_uffd(copy, uffd_of_child(vma));
	if (!copy->uffd)
		copy->flags &= ~(uint64_t)VM_UFFD;
	vma_link_copy(child, copy, vma);
	return needs_copy(vma, copy) ? copy_range(copy, vma) : 0;
}

void mm_set_limits(mm *mm, const struct limits *limits) { mm->limits = limits; }
void mm_set_runner(mm *mm, struct runner *runner) { mm->runner = runner; }

int64_t mm_fork(mm *parent, const struct limits *limits, mm **out)
{
	machine *m = parent->machine;
	mm *child = mm_alloc(m, limits);
	if (!child)
		return no_memory(m);
	const struct mm_counters *from = &parent->counters;
	struct mm_counters *to = &child->counters;
	to->task_size = from->task_size;
	to->mmap_base = from->mmap_base;
	to->start_brk = from->start_brk;
	to->brk = from->brk;
	to->start_stack = from->start_stack;
	child->upwards = parent->upwards;
	pkey_fork(child, parent);
	child->policy = parent->policy;
	child->merge_any = parent->merge_any;
	if (parent->ksm_listed)
		ksm_enter(child);
	child->mdwe = parent->mdwe & MDWE_NO_INHERIT ? 0 : parent->mdwe;
	for (struct vma *vma = parent->first; vma; vma = vma->next) {
		int64_t err = vma->flags & VM_DONTCOPY ? 0 : fork_vma(child, vma);
		if (err) {
			mm_destroy(child);
			return err;
		}
	}
	vma_copies_linked(child);
	*out = child;
	return 0;
}

uint64_t mm_mdwe(mm *mm) { return mm->mdwe; }
void mm_set_mdwe(mm *mm, uint64_t bits) { mm->mdwe = bits; }
struct mm_counters *mm_counters(mm *mm) { return &mm->counters; }
