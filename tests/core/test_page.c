/* test_page.c - physical pages, slab objects, the index of a mapping, the checker itself. */
#include "harness.h"
#include "sizes.h"

static void pages_come_back(struct world *w)
{
	struct page *pages[50];
	uint64_t before = w->m->counters.nr_free;
	for (int i = 0; i < 50; i++)
		pages[i] = page_alloc(w->m, 0);
	EXPECT_EQ(w->m->counters.nr_free, before - 50);
	for (int i = 0; i < 50; i++)
		page_put(w->m, pages[i]);
	EXPECT_EQ(w->m->counters.nr_free, before);
	CHECK(w);
}

static void all_of_ram_then_no_more(struct world *w)
{
	static struct page *pages[NR_RAM_PAGES];
	uint64_t nr = 0;
	while ((pages[nr] = page_alloc(w->m, 0)))
		nr++;
	EXPECT_EQ(w->m->counters.nr_free, 0);
	EXPECT_EQ(no_memory(w->m), NEED_MEMORY);
	EXPECT_EQ(machine_need(w->m)->nr_pages, 1);
	while (nr)
		page_put(w->m, pages[--nr]);
	CHECK(w);
}

static void zeroed_page_is_zero_after_use(struct world *w)
{
	struct page *page = page_alloc(w->m, 0);
	memset(page_data(w->m, page), 7, PAGE_SIZE);
	page_put(w->m, page);
	page = page_alloc_zeroed(w->m, 0);
	EXPECT(is_filled(page_data(w->m, page), 0, PAGE_SIZE));
	page_put(w->m, page);
}

static void slab_objects_are_apart_and_zero(struct world *w)
{
	static char *objects[300];
	struct machine *m = w->m;
	uint64_t slabs = m->counters.nr_slab;
	for (int i = 0; i < 300; i++) {
		objects[i] = slab_alloc(m, CACHE_RADIX);
		EXPECT_EQ(*(uint64_t *)objects[i], 0);
		memset(objects[i], 0x5a, m->caches[CACHE_RADIX].size);
	}
	EXPECT(m->counters.nr_slab > slabs);
	for (int i = 0; i < 300; i += 2)
		slab_free(m, CACHE_RADIX, objects[i]);
	for (int i = 1; i < 300; i += 2)
		slab_free(m, CACHE_RADIX, objects[i]);
	EXPECT_EQ(m->counters.nr_slab, slabs);
	CHECK(w);
}

/* Else their first words would lie in few sets of the processor's cache. */
static void pages_of_a_cache_begin_at_lines_in_turn(struct world *w)
{
	static void *objects[100];
	struct machine *m = w->m;
	uint64_t size = m->caches[CACHE_VMA].size, left = PAGE_SIZE % size, begins = 0;
	EXPECT(left >= 64);
	for (int i = 0; i < 100; i++) {
		objects[i] = slab_alloc(m, CACHE_VMA);
		uint64_t at = (uint64_t)objects[i] % PAGE_SIZE;
		EXPECT(at % size % 64 == 0 && at + size <= PAGE_SIZE);
		begins |= 1ull << at % size / 64;
	}
	EXPECT_EQ(begins, (2ull << left / 64) - 1);
	for (int i = 0; i < 100; i++)
		slab_free(m, CACHE_VMA, objects[i]);
	CHECK(w);
}

static void nth_allocation_fails_once(struct world *w)
{
	machine_fail_nth(w->m, 3);
	struct page *a = page_alloc(w->m, 0), *b = page_alloc(w->m, 0);
	EXPECT(a && b);
	EXPECT_EQ(machine_fail_pending(w->m), 1);
	EXPECT(!page_alloc(w->m, 0));
	EXPECT_EQ(no_memory(w->m), -ENOMEM);
	EXPECT_EQ(machine_fail_pending(w->m), 0);
	struct page *c = page_alloc(w->m, 0);
	EXPECT(c != NULL);
	page_put(w->m, a);
	page_put(w->m, b);
	page_put(w->m, c);
}

static void bad_parameters_make_no_machine(struct world *w)
{
	struct machine_params good = { 16, 0, 7, 1, 0, 1 }, bad;
	(void)w;
	bad = good, bad.nr_pages = 15;
	EXPECT(!machine_create(&bad));
	bad = good, bad.nrpte = 0;
	EXPECT(!machine_create(&bad));
	bad = good, bad.nrpte = CHAIN_MAX + 1;
	EXPECT(!machine_create(&bad));
	bad = good, bad.rmap = NR_RMAP_DESIGNS;
	EXPECT(!machine_create(&bad));
	machine *m = machine_create(&good);
	EXPECT(m != NULL);
	EXPECT_EQ(machine_destroy(m), 0);
}

static void destroy_reports_a_leak(struct world *w)
{
	struct machine_params params = { 16, 0, 7, 1, 0, 1 };
	machine *m = machine_create(&params);
	(void)w;
	page_alloc(m, 0);
	EXPECT(machine_check(m, check_report, sizeof(check_report)) > 0);
	EXPECT(strstr(check_report, "I2: page 2: refcount 1, counted 0\n") != NULL);
	EXPECT_EQ(machine_destroy(m), 1);
}

/* A report must end at its buffer's. */
static void report_is_cut(struct world *w)
{
	struct page *page = page_alloc(w->m, 0);
	char small[20];
	memset(small, 'x', sizeof(small));
	EXPECT(machine_check(w->m, small, sizeof(small)) > 0);
	EXPECT(memchr(small, 0, sizeof(small)) != NULL);
	EXPECT(machine_check(w->m, NULL, 0) > 0);
	page_put(w->m, page);
}

/* Break one thing, look for its line in the report, mend it. */
#define BROKEN(change, undo, line) \
	do { \
		change; \
		EXPECT(machine_check(w->m, check_report, sizeof(check_report)) > 0); \
		if (!strstr(check_report, line)) \
			complain(__FILE__, __LINE__, "no %s in\n%s", line, check_report); \
		undo; \
	} while (0)

/* The checker sees what someone broke: each line breaks one thing and mends it. */
static void checker_sees_each_fault(struct world *w)
{
	file *f = memory_file(w, 3);
	uint64_t at = map(w, 3, RW, MAP_SHARED, f, 0);
	uint64_t anon = map(w, 3, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	EXPECT_EQ(store(w, w->mm, anon, 1), 1);
	struct page *page = mapping_find(f->mapping, 0);
	struct vma *vma = vma_find(w->mm, at);
	CHECK(w);
	BROKEN(page->refcount++, page->refcount--, "I2:");
	BROKEN(page->mapcount++, page->mapcount--, "I3:");
	BROKEN(page->pins++, page->pins--, "I11:");
	BROKEN(vma->gap++, vma->gap--, "I7:");
	if (w->m->rmap->keeps & KEEPS_TREE)
		BROKEN(vma->max_last++, vma->max_last--, "I8:");
	if (w->m->rmap->keeps & KEEPS_LIST)
		BROKEN(vma->list_prev = vma, vma->list_prev = NULL, "I8:");
	BROKEN(f->mapping->size = 0, f->mapping->size = PAGES(3), "I9:");
	BROKEN(f->mapping->nr_pages++, f->mapping->nr_pages--, "I16:");
	BROKEN(f->mapping->nr_writable++, f->mapping->nr_writable--, "I8:");
	BROKEN(w->m->counters.nr_free++, w->m->counters.nr_free--, "I14:");
	BROKEN(w->m->counters.nr_committed++, w->m->counters.nr_committed--, "I20:");
	BROKEN(w->mm->counters.rss_anon++, w->mm->counters.rss_anon--, "I15:");
	BROKEN(vma->flags ^= VM_WRITE, vma->flags ^= VM_WRITE, "I10:");
	BROKEN(page_of(w->m, w->mm->pgd)->used++, page_of(w->m, w->mm->pgd)->used--, "I12:");
	BROKEN(vma_find(w->mm, anon)->anon_vma->nr_pages++,
	       vma_find(w->mm, anon)->anon_vma->nr_pages--, "I19:");
	BROKEN(tlb_slot(w->mm, anon)->frame += PAGE_SIZE, tlb_slot(w->mm, anon)->frame -= PAGE_SIZE,
	       "I17:");
	BROKEN(w->m->caches[CACHE_VMA].live++, w->m->caches[CACHE_VMA].live--, "I13:");
	BROKEN(f->refcount = 0, f->refcount = 2, "I18:");
	CHECK(w);
}

static void checker_sees_wrong_ptes(struct world *w)
{
	file *f = memory_file(w, 3), *g = memory_file(w, 3);
	uint64_t at = map(w, 3, RW, MAP_SHARED, f, 0);
	uint64_t anon = map(w, 3, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	EXPECT_EQ(store(w, w->mm, anon, 1), 1);
	pte_t *file_pte = pt_walk(w->mm, at), *anon_pte = pt_walk(w->mm, anon);
	pte_t file_was = *file_pte, anon_was = *anon_pte;
	uint64_t bits = file_was & ~PTE_PFN_MASK;
	uint64_t another = page_pfn(w->m, mapping_find(g->mapping, 0));
	uint64_t later = page_pfn(w->m, mapping_find(f->mapping, 1));
	BROKEN(*file_pte = pte_make(w->m->nr_pages - 1, bits), *file_pte = file_was, "I1:");
	BROKEN(*file_pte = pte_make(another, bits), *file_pte = file_was, "I1:");
	BROKEN(*file_pte = pte_make(page_pfn(w->m, page_of(w->m, w->mm->pgd)), bits),
	       *file_pte = file_was, "I1:");
	BROKEN(*file_pte = pte_make(w->m->zero_pfn, bits), *file_pte = file_was, "I1:");
	BROKEN(*file_pte = pte_make(later, bits), *file_pte = file_was, "I9:");
	BROKEN(*file_pte = pte_file(2), *file_pte = file_was, "I9:");
	BROKEN(*file_pte = 0, *file_pte = file_was, "I3:");
	BROKEN(*anon_pte = pte_make(later, anon_was & ~PTE_PFN_MASK), *anon_pte = anon_was, "I10:");
	BROKEN(*anon_pte = anon_was & ~PTE_NX, *anon_pte = anon_was, "I10:");
	BROKEN(*anon_pte = anon_was & ~PTE_DIRTY, *anon_pte = anon_was, "I17:");
	BROKEN(anon_pte[5] = anon_was, anon_pte[5] = 0, "I1:");
	CHECK(w);
}

static void checker_sees_wrong_vmas(struct world *w)
{
	file *f = memory_file(w, 3);
	uint64_t at = map(w, 3, RW, MAP_SHARED, f, 0), low = map(w, 3, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, low, 1), 1);
	struct vma *upper = vma_find(w->mm, at), *lower = vma_find(w->mm, low);
	struct mapping *mp = f->mapping;
	BROKEN(lower->end += PAGES(1), lower->end -= PAGES(1), "I6:");
	BROKEN(upper->end++, upper->end--, "I6:");
	BROKEN(w->mm->last = lower, w->mm->last = upper, "I6:");
	BROKEN(upper->flags |= VM_SPECIAL, upper->flags &= ~(uint64_t)VM_SPECIAL, "I6:");
	BROKEN(upper->flags |= VM_NONLINEAR, upper->flags &= ~(uint64_t)VM_NONLINEAR, "I8:");
	BROKEN(upper->max_gap++, upper->max_gap--, "I7:");
	if (w->m->rmap->keeps & KEEPS_TREE)
		BROKEN(mp->vmas.root = NULL, mp->vmas.root = &upper->by_pgoff, "I8:");
	if (w->m->rmap->keeps & KEEPS_LIST)
		BROKEN(mp->list_last = NULL, mp->list_last = upper, "I8:");
	BROKEN(mp->nonlinear = upper, mp->nonlinear = NULL, "I8:");
	BROKEN(mp->nr_vmas++, mp->nr_vmas--, "I8:");
	BROKEN(lower->anon_vma->nr_vmas++, lower->anon_vma->nr_vmas--, "I19:");
	BROKEN(lower->anon_vma->first = NULL, lower->anon_vma->first = lower, "I19:");
	BROKEN(mp->refcount = 0, mp->refcount = 2, "I18:");
	CHECK(w);
}

static void checker_sees_wrong_pages(struct world *w)
{
	file *f = memory_file(w, 3);
	struct page *page = mapping_find(f->mapping, 0), *other = mapping_find(f->mapping, 1);
	struct page *spare = page_alloc(w->m, 0), *spare2 = page_alloc(w->m, 0);
	page_put(w->m, spare);
	page_put(w->m, spare2);
	uint32_t fresh = (uint32_t)w->m->nodes[0].fresh;
	BROKEN(page->index = 9, page->index = 0, "I16:");
	BROKEN(page->flags &= ~(uint32_t)PG_SHMEM, page->flags |= PG_SHMEM, "I16:");
	BROKEN(f->mapping->root->slots[1] = page, f->mapping->root->slots[1] = other, "I16:");
	BROKEN(f->mapping->root->count++, f->mapping->root->count--, "I16:");
	BROKEN(spare->flags = 0, spare->flags = PG_FREE, "I5:");
	BROKEN(w->m->nodes[0].free_list = (uint32_t)page_pfn(w->m, spare),
	       w->m->nodes[0].free_list = (uint32_t)page_pfn(w->m, spare2), "I5:");
	BROKEN(spare->next = (uint32_t)page_pfn(w->m, spare2), spare->next = 0, "I5:");
	BROKEN(spare->next = fresh, spare->next = 0, "I5:");
	BROKEN(w->m->pages[fresh].refcount = 1, w->m->pages[fresh].refcount = 0, "I5:");
	BROKEN(w->m->caches[CACHE_FILE].partial = fresh,
	       w->m->caches[CACHE_FILE].partial = (uint32_t)page_pfn(w->m, page_of(w->m, f)),
	       "I13:");
	BROKEN(page_of(w->m, f)->used++, page_of(w->m, f)->used--, "I13:");
	CHECK(w);
}

static void checker_sees_wrong_lists_and_swap(struct world *w)
{
	uint64_t at = map(w, 2, RW, PRIVATE_ANON, NULL, 0);
	add_swap(w, 8);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGE_SIZE, 1), 1);
	STEP(w, mm_madvise(w->mm, at, PAGES(1), MADV_PAGEOUT), 0);
	pte_t *gone = pt_walk(w->mm, at), *here = gone + 1, was = *gone;
	struct page *page = pfn_page(w->m, pte_pfn(*here));
	uint32_t pfn = (uint32_t)page_pfn(w->m, page), slot = pte_swap_entry(was) >> SWAP_TYPE_BITS;
	EXPECT(pte_is_swap(was));
	BROKEN(page->flags ^= PG_ACTIVE, page->flags ^= PG_ACTIVE, "I21:");
	BROKEN(page->flags ^= PG_LRU, page->flags ^= PG_LRU, "I21:");
	BROKEN(w->m->counters.nr_inactive_anon++, w->m->counters.nr_inactive_anon--, "I21:");
	BROKEN(w->m->lru[LRU_INACTIVE_ANON].tail = 0, w->m->lru[LRU_INACTIVE_ANON].tail = pfn,
	       "I21:");
	BROKEN(w->m->swap[0].count[slot]++, w->m->swap[0].count[slot]--, "I22:");
	BROKEN(w->m->swap[0].cached[slot] = pfn, w->m->swap[0].cached[slot] = 0, "I22:");
	BROKEN(w->m->swap[0].nr_used++, w->m->swap[0].nr_used--, "I22:");
	BROKEN(w->m->counters.nr_swap_used++, w->m->counters.nr_swap_used--, "I22:");
	BROKEN(page->flags |= PG_SWAPCACHE, page->flags ^= PG_SWAPCACHE, "I22:");
	BROKEN(*gone = pte_swap(99 << SWAP_TYPE_BITS), *gone = was, "I22:");
	BROKEN(w->mm->counters.nr_swap++, w->mm->counters.nr_swap--, "I15:");
	CHECK(w);
}

static void checker_sees_a_write_to_a_free_page(struct world *w)
{
	struct page *page = page_alloc(w->m, 0);
	char *data = page_data(w->m, page);
	page_put(w->m, page);
	data[100] = 0;
	EXPECT(machine_check(w->m, check_report, sizeof(check_report)) == 1);
	EXPECT(strstr(check_report, "I5:") != NULL);
	data[100] = (char)POISON_BYTE;
}

static void checker_changes_nothing(struct world *w)
{
	file *f = memory_file(w, 3);
	uint64_t at = map(w, 3, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	struct machine before = *w->m;
	struct mm mm_before = *w->mm;
	CHECK(w);
	EXPECT(!memcmp(&before, w->m, sizeof(before)));
	EXPECT(!memcmp(&mm_before, w->mm, sizeof(mm_before)));
}

static void page_info_of_each_kind(struct world *w)
{
	struct page_info info;
	file *f = memory_file(w, 1);
	struct page *page = mapping_find(f->mapping, 0);
	EXPECT_EQ(machine_page_info(w->m, page_pfn(w->m, page), &info), 0);
	EXPECT_EQ(info.mapping, 1);
	EXPECT_EQ(info.refcount, 1);
	EXPECT_EQ(machine_page_info(w->m, w->m->nr_pages - 1, &info), 0);
	EXPECT_EQ(info.flags, PG_FREE);
	EXPECT_EQ(machine_page_info(w->m, w->m->nr_pages, &info), -EINVAL);
}

TESTS(TEST(pages_come_back), TEST(all_of_ram_then_no_more), TEST(zeroed_page_is_zero_after_use),
      TEST(slab_objects_are_apart_and_zero), TEST(pages_of_a_cache_begin_at_lines_in_turn),
      TEST(nth_allocation_fails_once), TEST(bad_parameters_make_no_machine),
      TEST(destroy_reports_a_leak), TEST(report_is_cut), TEST(checker_sees_each_fault),
      TEST(checker_sees_wrong_ptes), TEST(checker_sees_wrong_vmas), TEST(checker_sees_wrong_pages),
      TEST(checker_sees_wrong_lists_and_swap), TEST(checker_sees_a_write_to_a_free_page),
      TEST(checker_changes_nothing), TEST(page_info_of_each_kind))
