/*
 * test_failure.c - the n-th allocation fails, for every n until the scenario passes.
 *
 * A scenario prepares a world and then does one call.  The call must end with
 * -ENOMEM, change nothing a program can see, and leak nothing; then, with
 * memory again, it must succeed.
 */
#define NR_RAM_PAGES 3072
#include "harness.h"

struct scene {
	uint64_t a, b;
	mm *child;
};

struct scenario {
	void (*prepare)(struct world *w, struct scene *s);
	int64_t (*act)(struct world *w, struct scene *s);
	bool atomic; /* the address spaces must be as before */
};

/* What a program can see of an address space. */
struct view {
	struct vma_info vmas[64];
	int64_t nr;
	uint64_t total_vm, committed, files;
};

static void look(struct world *w, struct view *view)
{
	memset(view, 0, sizeof(*view));
	view->nr = mm_vmas(w->mm, 0, view->vmas, 64);
	for (int64_t i = 0; i < view->nr; i++)
		view->vmas[i].own =
			0; /* a refused store may have prepared its anon_vma, as on Linux */
	view->total_vm = w->mm->counters.total_vm;
	view->committed = w->m->counters.nr_committed;
	view->files = w->m->caches[CACHE_FILE].live;
}

/* One try with the n-th allocation failing; false: it passed without a failure. */
static bool try_failing(struct world *w, const struct scenario *sc, uint64_t n)
{
	static struct view before, after;
	struct scene s = { 0 };
	sc->prepare(w, &s);
	CHECK(w);
	look(w, &before);
	machine_fail_nth(w->m, n);
	int64_t err = sc->act(w, &s);
	bool failed = !machine_fail_pending(w->m);
	machine_fail_nth(w->m, 0);
	CHECK(w);
	if (!failed) {
		EXPECT(err >= 0);
		return false;
	}
	if (err >= 0) /* refused, but the call could do without */
		return true;
	EXPECT_EQ(err, -ENOMEM);
	look(w, &after);
	if (sc->atomic && memcmp(&before, &after, sizeof(before)))
		complain(__FILE__, __LINE__, "allocation %lu: the call failed and changed VMAs", n);
	EXPECT(sc->act(w, &s) >= 0);
	CHECK(w);
	return true;
}

static void sweep(struct world *w, const struct scenario *sc)
{
	uint64_t rmap = w->rmap;
	uint64_t n = 1;
	for (bool more = true; more && n < 1000 && !failures; n++) {
		struct world inner;
		world_begin(&inner, rmap, w->m->nrpte);
		more = try_failing(&inner, sc, n);
		world_end(&inner);
		if (failures)
			printf("  (allocation %lu)\n", n);
	}
	EXPECT(n > 2 && n < 1000);
}

#define SWEEP(name, atomic) \
	static void name(struct world *w) \
	{ \
		const struct scenario sc = { name##_prepare, name##_act, atomic }; \
		sweep(w, &sc); \
	}

static void no_preparation(struct world *w, struct scene *s) { (void)w, (void)s; }

/* ---- scenarios ---- */

#define mmap_anon_prepare no_preparation
static int64_t mmap_anon_act(struct world *w, struct scene *s)
{
	(void)s;
	return mm_mmap(w->mm, 0, PAGES(4), RW, PRIVATE_ANON, NULL, 0);
}
SWEEP(mmap_anon, true)

#define mmap_shared_anon_prepare no_preparation
static int64_t mmap_shared_anon_act(struct world *w, struct scene *s)
{
	(void)s;
	return mm_mmap(w->mm, 0, PAGES(4), RW, SHARED_ANON, NULL, 0);
}
SWEEP(mmap_shared_anon, true)

#define new_address_space_prepare no_preparation
static int64_t new_address_space_act(struct world *w, struct scene *s)
{
	(void)s;
	mm *mm = NULL;
	int64_t err = mm_create(w->m, &test_layout, &w->limits, &mm);
	if (!err)
		mm_destroy(mm);
	return err;
}
SWEEP(new_address_space, true)

/* A file VMA, an anonymous one with pages, and the file mapped over its middle. */
static void mmap_over_prepare(struct world *w, struct scene *s)
{
	memory_file(w, 8);
	s->a = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, s->a, PAGES(8), ACCESS_WRITE), 8);
}
static int64_t mmap_over_act(struct world *w, struct scene *s)
{
	return mm_mmap(w->mm, s->a + PAGES(2), PAGES(3), RW, MAP_SHARED | MAP_FIXED, w->files[0],
		       1);
}
SWEEP(mmap_over, true)

#define munmap_middle_prepare mmap_over_prepare
static int64_t munmap_middle_act(struct world *w, struct scene *s)
{
	return mm_munmap(w->mm, s->a + PAGES(2), PAGES(3));
}
SWEEP(munmap_middle, true)

#define mprotect_middle_prepare mmap_over_prepare
static int64_t mprotect_middle_act(struct world *w, struct scene *s)
{
	return mm_mprotect(w->mm, s->a + PAGES(2), PAGES(3), PROT_READ, -1);
}
SWEEP(mprotect_middle, true)

static void mprotect_charge_prepare(struct world *w, struct scene *s)
{
	s->a = map(w, 8, PROT_READ, PRIVATE_ANON, NULL, 0);
}
static int64_t mprotect_charge_act(struct world *w, struct scene *s)
{
	return mm_mprotect(w->mm, s->a + PAGES(2), PAGES(3), RW, -1);
}
SWEEP(mprotect_charge, true)

#define madvise_middle_prepare mmap_over_prepare
static int64_t madvise_middle_act(struct world *w, struct scene *s)
{
	int64_t err = mm_madvise(w->mm, s->a + PAGES(2), PAGES(3), MADV_DONTFORK);
	return err == -EAGAIN ? -ENOMEM : err; /* madvise calls it so, as on Linux */
}
SWEEP(madvise_middle, true)

#define mlock_middle_prepare mmap_over_prepare
static int64_t mlock_middle_act(struct world *w, struct scene *s)
{
	return mm_mlock(w->mm, s->a + PAGES(2), PAGES(3), 0);
}
SWEEP(mlock_middle, true)

static void mremap_prepare(struct world *w, struct scene *s)
{
	mmap_over_prepare(w, s);
	map(w, 1, PROT_READ, PRIVATE_ANON, NULL, 0);
}
static int64_t mremap_grow_act(struct world *w, struct scene *s)
{
	machine_tunables(w->m)->overcommit_memory = 1;
	return mm_mremap(w->mm, s->a + PAGES(2), PAGES(3), PAGES(600), MREMAP_MAYMOVE, 0);
}
#define mremap_grow_prepare mremap_prepare
SWEEP(mremap_grow, true)

#define mremap_fixed_prepare mremap_prepare
static int64_t mremap_fixed_act(struct world *w, struct scene *s)
{
	const uint64_t to = 0x10000000000;
	return mm_mremap(w->mm, s->a + PAGES(2), PAGES(3), PAGES(3), MREMAP_MAYMOVE | MREMAP_FIXED,
			 to);
}
SWEEP(mremap_fixed, true)

static void mremap_nonlinear_prepare(struct world *w, struct scene *s)
{
	file *f = memory_file(w, 8);
	s->a = map(w, 8, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, s->a, PAGES(4), 0, 4, 0, NULL), 0);
}
static int64_t mremap_nonlinear_act(struct world *w, struct scene *s)
{
	return mm_mremap(w->mm, s->a, PAGES(8), PAGES(8), MREMAP_MAYMOVE | MREMAP_FIXED,
			 0x10000000000);
}
SWEEP(mremap_nonlinear, true)

static void brk_prepare(struct world *w, struct scene *s)
{
	(void)s;
	EXPECT_EQ(mm_brk(w->mm, 0), test_layout.start_brk);
}
static int64_t brk_act(struct world *w, struct scene *s)
{
	uint64_t want = test_layout.start_brk + PAGES(4);
	(void)s;
	return mm_brk(w->mm, want) == (int64_t)want ? 0 : -ENOMEM;
}
SWEEP(brk, true)

static void fault_anon_prepare(struct world *w, struct scene *s)
{
	s->a = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
}
static int64_t fault_anon_act(struct world *w, struct scene *s)
{
	return mm_fault(w->mm, s->a, ACCESS_WRITE);
}
SWEEP(fault_anon, true)

static void fault_private_file_prepare(struct world *w, struct scene *s)
{
	file *f = memory_file(w, 8);
	s->a = map(w, 8, RW, MAP_PRIVATE, f, 0);
	EXPECT_EQ(load(w, w->mm, s->a), store_byte(0, 0));
}
static int64_t fault_private_file_act(struct world *w, struct scene *s)
{
	return mm_fault(w->mm, s->a, ACCESS_WRITE);
}
SWEEP(fault_private_file, true)

/* The second, third... mapper of a page wants a chain block. */
static void fault_shared_prepare(struct world *w, struct scene *s)
{
	file *f = memory_file(w, 8);
	for (int i = 0; i < 5; i++) {
		s->a = map(w, 600, RW, MAP_SHARED, f, 0);
		if (i < 4)
			EXPECT_EQ(store(w, w->mm, s->a, 1), 1);
	}
}
static int64_t fault_shared_act(struct world *w, struct scene *s)
{
	return mm_fault(w->mm, s->a, ACCESS_READ);
}
static void fault_shared(struct world *w)
{
	const struct scenario sc = { fault_shared_prepare, fault_shared_act, true };
	if (w->m->rmap == &rmap_pte_chain)
		sweep(w, &sc);
}

static void fault_after_fork_prepare(struct world *w, struct scene *s)
{
	fault_anon_prepare(w, s);
	EXPECT_EQ(store(w, w->mm, s->a, 1), 1);
	fork_mm(w, w->mm);
}
#define fault_after_fork_act fault_anon_act
SWEEP(fault_after_fork, true)

static void fork_everything_prepare(struct world *w, struct scene *s)
{
	file *f = memory_file(w, 8);
	s->a = map(w, 8, RW, MAP_SHARED, f, 0);
	s->b = map(w, 8, RW, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, s->a, PAGES(4), 0, 4, 0, NULL), 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, s->b, PAGES(4), 0, 1, 0, f), 0);
	uint64_t anon = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(user_touch(w->mm, anon, PAGES(8), ACCESS_WRITE), 8);
	map(w, 2, RW, SHARED_ANON, NULL, 0);
	uint64_t copies = map(w, 8, RW, MAP_PRIVATE, f, 0);
	EXPECT_EQ(user_touch(w->mm, copies, PAGES(3), ACCESS_WRITE), 3);
}
static int64_t fork_everything_act(struct world *w, struct scene *s)
{
	mm *child;
	(void)s;
	int64_t err = mm_fork(w->mm, &w->limits, &child);
	if (!err)
		w->mms[w->nr_mms++] = child;
	return err;
}
SWEEP(fork_everything, true)

static void special_fill_prepare(struct world *w, struct scene *s)
{
	memory_file(w, 8);
	s->a = map(w, 1024, RW, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
}
static int64_t special_fill_act(struct world *w, struct scene *s)
{
	int64_t err = mm_remap_file_pages(w->mm, s->a + PAGES(510), PAGES(4), 0, 2, 0, w->files[0]);
	if (err)
		EXPECT_EQ(w->m->counters.nr_special, 0);
	return err;
}
SWEEP(special_fill, true)

static void remap_mixed_prepare(struct world *w, struct scene *s)
{
	file *f = memory_file(w, 8);
	s->a = map(w, 8, RW, MAP_SHARED, f, 0);
}
static int64_t remap_mixed_act(struct world *w, struct scene *s)
{
	return mm_remap_file_pages(w->mm, s->a, PAGES(3), 0, 5, 0, NULL);
}
SWEEP(remap_mixed, true)

static void remap_emulated_prepare(struct world *w, struct scene *s)
{
	remap_mixed_prepare(w, s);
	machine_tunables(w->m)->nonlinear_emulated = 1;
}
static int64_t remap_emulated_act(struct world *w, struct scene *s)
{
	return mm_remap_file_pages(w->mm, s->a + PAGES(2), PAGES(2), 0, 5, 0, NULL);
}
SWEEP(remap_emulated, true)

static void file_write_prepare(struct world *w, struct scene *s)
{
	(void)s;
	memory_file(w, 1);
}
static int64_t file_write_act(struct world *w, struct scene *s)
{
	char data[10000] = { 1 };
	uint64_t size = (uint64_t)mapping_size(w->mappings[0]);
	(void)s;
	int64_t n = mapping_write(w->mappings[0], PAGES(300), data, sizeof(data));
	if (n < 0)
		EXPECT_EQ(mapping_size(w->mappings[0]), size);
	return n;
}
SWEEP(file_write, true)

static void add_page_prepare(struct world *w, struct scene *s)
{
	(void)s;
	store_file(w, 9000);
}
static int64_t add_page_act(struct world *w, struct scene *s)
{
	(void)s;
	return mapping_add_page(w->mappings[0], 8000, "x", 1, 0);
}
SWEEP(add_page, true)

#define create_file_prepare no_preparation
static int64_t create_file_act(struct world *w, struct scene *s)
{
	(void)s;
	mapping *mp = mapping_create(w->m, MAPPING_MEMORY, 50);
	file *f = mp ? file_create(mp, FILE_READ, 51) : NULL;
	if (mp)
		mapping_put(mp);
	if (!f)
		return -ENOMEM;
	file_put(f);
	return 0;
}
SWEEP(create_file, true)

/* ---- swap: what is in swap needs memory to come back ---- */

static void swapped_prepare(struct world *w, struct scene *s)
{
	add_swap(w, 64);
	file *f = memory_file(w, 8);
	s->a = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
	s->b = map(w, 8, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(user_touch(w->mm, s->a, PAGES(8), ACCESS_WRITE), 8);
	EXPECT_EQ(user_touch(w->mm, s->b, PAGES(8), ACCESS_WRITE), 8);
	EXPECT_EQ(mm_madvise(w->mm, s->a, PAGES(8), MADV_PAGEOUT), 0);
	EXPECT_EQ(mm_madvise(w->mm, s->b, PAGES(8), MADV_PAGEOUT), 0);
	EXPECT_EQ(w->m->counters.nr_swap_used, 16);
}

#define swap_in_anon_prepare swapped_prepare
static int64_t swap_in_anon_act(struct world *w, struct scene *s)
{
	return user_touch(w->mm, s->a, PAGES(2), ACCESS_WRITE);
}
SWEEP(swap_in_anon, true)

#define swap_in_file_prepare swapped_prepare
static int64_t swap_in_file_act(struct world *w, struct scene *s)
{
	return user_touch(w->mm, s->b, PAGES(2), ACCESS_READ);
}
SWEEP(swap_in_file, true)

#define read_swapped_prepare swapped_prepare
static int64_t read_swapped_act(struct world *w, struct scene *s)
{
	char buf[PAGE_SIZE];
	(void)s;
	return mapping_read(w->mappings[0], PAGES(3), buf, sizeof(buf));
}
SWEEP(read_swapped, true)

#define swap_truncate_prepare swapped_prepare
static int64_t swap_truncate_act(struct world *w, struct scene *s)
{
	(void)s;
	return mapping_truncate(w->mappings[0], PAGES(3) + 5);
}
SWEEP(swap_truncate, true)

#define swap_fork_prepare swapped_prepare
static int64_t swap_fork_act(struct world *w, struct scene *s)
{
	(void)s;
	mm *child = NULL;
	int64_t err = mm_fork(w->mm, &w->limits, &child);
	if (!err)
		mm_destroy(child);
	return err;
}
SWEEP(swap_fork, true)

#define swapoff_prepare swapped_prepare
static int64_t swapoff_act(struct world *w, struct scene *s)
{
	(void)s;
	return swap_off(w->m, 0);
}
SWEEP(swapoff, true)

#define willneed_prepare swapped_prepare
static int64_t willneed_act(struct world *w, struct scene *s)
{
	return mm_madvise(w->mm, s->a, PAGES(8), MADV_WILLNEED);
}
SWEEP(willneed, true)

/* Reclaim itself takes no memory: there is nothing to fail. */
static void reclaim_allocates_nothing(struct world *w)
{
	add_swap(w, 64);
	file *f = memory_file(w, 8);
	uint64_t anon = map(w, 8, RW, PRIVATE_ANON, NULL, 0), at = map(w, 8, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(user_touch(w->mm, anon, PAGES(8), ACCESS_WRITE), 8);
	EXPECT_EQ(user_touch(w->mm, at, PAGES(8), ACCESS_WRITE), 8);
	uint64_t before = w->m->counters.allocations;
	for (int i = 0; i < 6; i++) {
		struct reclaim r = { .nr_to_free = 100 };
		machine_reclaim(w->m, &r);
	}
	EXPECT_EQ(w->m->counters.allocations, before);
	EXPECT(w->m->counters.nr_swap_used >= 16);
	CHECK(w);
}

/* ---- large pages ---- */

static void huge_prepare(struct world *w, struct scene *s)
{
	(void)s;
	EXPECT_EQ(machine_set_hugepages(w->m, 4), 4);
}
static int64_t huge_act(struct world *w, struct scene *s)
{
	(void)s;
	return mm_mmap(w->mm, 0, 2 * HUGE_SIZE, RW, PRIVATE_ANON | MAP_HUGETLB, NULL, 0);
}
SWEEP(huge, true)

/* A file's promises, a private page shared with a child, a mapping to move. */
static void huge_pages_prepare(struct world *w, struct scene *s)
{
	EXPECT_EQ(machine_set_hugepages(w->m, 5), 5);
	new_file(w, MAPPING_HUGE, 0, FILE_READ | FILE_WRITE);
	s->a = (uint64_t)mm_mmap(w->mm, 0, HUGE_SIZE, RW, PRIVATE_ANON | MAP_HUGETLB, NULL, 0);
	s->b = s->a - (1ul << 40); /* no tables lead there */
	EXPECT_EQ(store(w, w->mm, s->a, 1), 1);
	s->child = fork_mm(w, w->mm);
}

#define huge_shared_prepare huge_pages_prepare
static int64_t huge_shared_act(struct world *w, struct scene *s)
{
	(void)s;
	return mm_mmap(w->mm, 0, 2 * HUGE_SIZE, RW, MAP_SHARED, w->files[0], 4096);
}
SWEEP(huge_shared, true)

#define huge_copy_prepare huge_pages_prepare
static int64_t huge_copy_act(struct world *w, struct scene *s)
{
	(void)w;
	return user_touch(s->child, s->a, PAGES(1), ACCESS_WRITE) == 1 ? 0 : -ENOMEM;
}
SWEEP(huge_copy, true)

#define huge_mremap_prepare huge_pages_prepare
static int64_t huge_mremap_act(struct world *w, struct scene *s)
{
	return mm_mremap(w->mm, s->a, HUGE_SIZE, HUGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, s->b);
}
SWEEP(huge_mremap, true)

#define huge_allocate_prepare huge_pages_prepare
static int64_t huge_allocate_act(struct world *w, struct scene *s)
{
	(void)s;
	return mapping_allocate(w->mappings[0], HUGE_SIZE, HUGE_SIZE);
}
SWEEP(huge_allocate, true)

TESTS(TEST(mmap_anon), TEST(mmap_shared_anon), TEST(new_address_space), TEST(mmap_over),
      TEST(munmap_middle), TEST(mprotect_middle), TEST(mprotect_charge), TEST(madvise_middle),
      TEST(mlock_middle), TEST(mremap_grow), TEST(mremap_fixed), TEST(mremap_nonlinear), TEST(brk),
      TEST(fault_anon), TEST(fault_private_file), TEST(fault_shared), TEST(fault_after_fork),
      TEST(fork_everything), TEST(special_fill), TEST(remap_mixed), TEST(remap_emulated),
      TEST(file_write), TEST(add_page), TEST(create_file), TEST(swap_in_anon), TEST(swap_in_file),
      TEST(read_swapped), TEST(swap_truncate), TEST(swap_fork), TEST(swapoff), TEST(willneed),
      TEST(reclaim_allocates_nothing), TEST(huge), TEST(huge_shared), TEST(huge_copy),
      TEST(huge_mremap), TEST(huge_allocate))
