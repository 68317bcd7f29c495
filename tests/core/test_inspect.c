/* test_inspect.c - questions: the right answers, and that asking changes nothing at all. */
#include "harness.h"

#define ROOM 64

/* ---- that nothing moves ---- */

struct copy { /* of all that a machine is */
	struct machine m;
	struct page *pages;
	uint64_t arena; /* a sum over it */
};

/* Free pages are poisoned for the sanitiser, not for this. */
__attribute__((no_sanitize("address"))) static uint64_t sum_of(const machine *m)
{
	uint64_t sum = 0;
	for (uint64_t i = 0; i < m->arena_bytes / sizeof(sum); i++)
		sum = (sum ^ ((const volatile uint64_t *)m->arena)[i]) * 0x100000001b3ul;
	return sum;
}

static struct copy copy_of(machine *m)
{
	struct copy c = { *m, malloc(m->nr_pages * sizeof(*m->pages)), sum_of(m) };
	memcpy(c.pages, m->pages, m->nr_pages * sizeof(*m->pages));
	return c;
}

static void expect_as_before(machine *m, struct copy *c)
{
	EXPECT(!memcmp(m, &c->m, sizeof(*m)));
	EXPECT(!memcmp(m->pages, c->pages, m->nr_pages * sizeof(*m->pages)));
	EXPECT(sum_of(m) == c->arena);
	free(c->pages);
}

static void ask_of_pages(machine *m)
{
	struct mapper mappers[ROOM];
	struct rmap_work work;
	struct frame_info frame;
	for (uint64_t pfn = 0; pfn < m->nr_pages; pfn++) {
		EXPECT_EQ(machine_frames(m, pfn, 1, &frame), 0);
		for (uint64_t design = 0; design < NR_RMAP_DESIGNS; design++)
			machine_mappers(m, pfn, design, mappers, ROOM, &work);
		machine_pinners(m, pfn, mappers, ROOM);
	}
}

static void ask_of_spaces(mm *mm)
{
	struct tlb_info tlb[ROOM];
	struct pte_info ptes[ROOM];
	struct vma_info vmas[ROOM];
	EXPECT(mm_ptes(mm, 0, mm->counters.task_size, ptes, ROOM) > 0);
	mm_tlb(mm, tlb, ROOM);
	for (int64_t i = 0, nr = mm_vmas(mm, 0, vmas, ROOM); i < nr; i++)
		mm_vma_cursor(mm, vmas[i].start);
}

static void ask_everything(struct world *w)
{
	uint64_t pfns[ROOM];
	struct item_info items[ROOM];
	struct showing showings[ROOM];
	struct swap_info info;
	struct swap_slot slots[ROOM];
	struct cursors cursors;
	ask_of_pages(w->m);
	for (const mm *mm = w->m->mms; mm; mm = mm->next)
		ask_of_spaces((struct mm *)mm);
	for (uint64_t list = 0; list < NR_LRU_LISTS; list++)
		machine_lru(w->m, list, pfns, ROOM);
	for (uint64_t area = 0; area < NR_SWAP_AREAS; area++) {
		machine_swap_info(w->m, area, &info);
		machine_swap_slots(w->m, area, slots, ROOM);
	}
	machine_cursors(w->m, &cursors);
	for (uint64_t i = 0; i < w->nr_files; i++) {
		mapping *mp = machine_mapping(w->m, i + 1);
		EXPECT(mp == w->mappings[i]);
		mapping_items(mp, 0, items, ROOM);
		mapping_showings(mp, showings, ROOM);
	}
}

static void asking_changes_nothing(struct world *w)
{
	add_swap(w, 64);
	file *f = store_file(w, 8), *g = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0), own = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
	uint64_t window = map(w, 8, RW, MAP_SHARED, g, 0);
	uint64_t special = map(w, 2, RW, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, window, PAGES(2), 0, 5, 0, g), 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, special, PAGES(2), 0, 3, 0, g), 0);
	for (uint64_t i = 0; i < 8; i++) {
		store(w, w->mm, at + PAGES(i), 1);
		store(w, w->mm, own + PAGES(i), 2);
		load(w, w->mm, window + PAGES(i));
	}
	mm *child = fork_mm(w, w->mm);
	store(w, child, own, 3);
	struct copy before = copy_of(w->m);
	ask_everything(w);
	expect_as_before(w->m, &before);
	CHECK(w);
}

/* ---- who maps a page ---- */

static bool knows(const struct world *w, uint64_t design) /* of file pages */
{
	return w->rmap == RMAP_COMPARE || w->rmap == design || design == RMAP_VIRTUAL_SCAN ||
	       (design == RMAP_OBJRMAP && w->rmap != RMAP_OBJRMAP_TREE);
}

static void designs_side_by_side(struct world *w)
{
	static const uint64_t designs[] = { RMAP_PTE_CHAIN, RMAP_OBJRMAP, RMAP_OBJRMAP_TREE,
					    RMAP_VIRTUAL_SCAN };
	struct mapper found[2];
	struct rmap_work work;
	file *f = memory_file(w, 4);
	uint64_t linear = map(w, 4, RW, MAP_SHARED, f, 0), window = map(w, 4, RW, MAP_SHARED, f, 0);
	uint64_t special = map(w, 1, RW, MAP_SHARED | MAP_NONLINEAR, NULL, 0);
	PAGE_BY_PAGE(w);
	EXPECT_EQ(mm_remap_file_pages(w->mm, special, PAGE_SIZE, 0, 2, 0, f), 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, window, PAGE_SIZE, 0, 2, 0, f), 0);
	EXPECT_EQ(load(w, w->mm, linear + PAGES(2)), store_byte(0, 2));
	EXPECT_EQ(load(w, w->mm, window), store_byte(0, 2));
	uint64_t pfn = page_pfn(w->m, mapping_find(f->mapping, 2));
	for (int i = 0; i < 4; i++) {
		int64_t nr = machine_mappers(w->m, pfn, designs[i], found, 2, &work);
		EXPECT_EQ(nr, knows(w, designs[i]) ? 2 : -ENODATA);
		if (nr < 0)
			continue;
		EXPECT_EQ(work.pte_visits, 2);
		EXPECT(found[0].addr != found[1].addr);
		for (int k = 0; k < 2; k++) {
			EXPECT(found[k].addr == linear + PAGES(2) || found[k].addr == window);
			EXPECT_EQ(found[k].pgd, mm_pgd(w->mm));
			EXPECT_EQ(pte_pfn(found[k].pte), pfn);
			EXPECT_EQ(found[k].vma, found[k].addr == window ? window : linear);
		}
	}
	EXPECT_EQ(machine_mappers(w->m, pfn, RMAP_COMPARE, found, 2, &work), -EINVAL);
	EXPECT_EQ(machine_mappers(w->m, w->m->nr_pages, RMAP_OBJRMAP, found, 2, &work), -EINVAL);
	EXPECT_EQ(machine_pinners(w->m, pfn, found, 2), 1);
	EXPECT_EQ(found[0].addr, special);
	EXPECT_EQ(machine_mappers(w->m, mm_pgd(w->mm), RMAP_VIRTUAL_SCAN, found, 2, &work), 0);
}

/* ---- cards of frames ---- */

static void a_frame_says_whose_it_is(struct world *w)
{
	struct frame_info frame;
	file *f = memory_file(w, 3);
	uint64_t own = map(w, 1, RW, PRIVATE_ANON, NULL, 0);
	store(w, w->mm, own, 1);
	uint64_t pfn = page_pfn(w->m, mapping_find(f->mapping, 2));
	EXPECT_EQ(machine_frames(w->m, pfn, 1, &frame), 0);
	EXPECT_EQ(frame.owner, 1);
	EXPECT_EQ(frame.index, 2);
	EXPECT_EQ(frame.mapcount, 0);
	EXPECT(frame.flags & PG_CACHE);
	EXPECT_EQ(machine_frames(w->m, pte_pfn(*pt_walk(w->mm, own)), 1, &frame), 0);
	EXPECT(frame.flags & PG_ANON);
	EXPECT_EQ(frame.mapcount, 1);
	EXPECT_EQ(frame.refcount, 1);
	EXPECT_EQ(frame.index, own >> PAGE_SHIFT);
	EXPECT_EQ(machine_frames(w->m, mm_pgd(w->mm), 1, &frame), 0);
	EXPECT_EQ(frame.owner, mm_pgd(w->mm));
	EXPECT(frame.flags & PG_TABLE);
	EXPECT_EQ(machine_frames(w->m, w->m->nr_pages - 1, 1, &frame), 0);
	EXPECT_EQ(frame.flags, PG_FREE);
	EXPECT_EQ(machine_frames(w->m, w->m->nr_pages, 1, &frame), -EINVAL);
	EXPECT_EQ(machine_frames(w->m, 1, ~0ul, &frame), -EINVAL);
	EXPECT(machine_frames_end(w->m) <= w->m->nr_pages);
}

/* ---- lists and swap ---- */

static void lists_are_told_from_the_youngest(struct world *w)
{
	uint64_t pfns[ROOM], at = map(w, 3, RW, PRIVATE_ANON, NULL, 0);
	for (uint64_t i = 0; i < 3; i++)
		store(w, w->mm, at + PAGES(i), 1);
	int64_t nr = machine_lru(w->m, LRU_INACTIVE_ANON, pfns, ROOM);
	uint64_t list = nr ? LRU_INACTIVE_ANON : LRU_ACTIVE_ANON; /* 2.4's begin active */
	EXPECT_EQ(machine_lru(w->m, list, pfns, ROOM), 3);
	for (uint64_t i = 0; i < 3; i++)
		EXPECT_EQ(pfns[i], pte_pfn(*pt_walk(w->mm, at + PAGES(2 - i))));
	EXPECT_EQ(machine_lru(w->m, list, pfns, 1), 3);
	EXPECT_EQ(machine_lru(w->m, NR_LRU_LISTS, pfns, ROOM), -EINVAL);
}

static void swap_says_which_slots_are_named(struct world *w)
{
	struct swap_info info;
	struct swap_slot slots[17];
	struct pte_info ptes[4];
	machine_swap_info(w->m, 0, &info);
	EXPECT_EQ(info.nr_slots, 0);
	EXPECT_EQ(machine_swap_slots(w->m, 0, slots, 16), 0);
	EXPECT_EQ(machine_swap_slots(w->m, NR_SWAP_AREAS, slots, 16), -EINVAL);
	add_swap(w, 16);
	uint64_t at = map(w, 2, RW, PRIVATE_ANON, NULL, 0);
	store(w, w->mm, at, 1);
	store(w, w->mm, at + PAGE_SIZE, 1);
	EXPECT_EQ(mm_madvise(w->mm, at, PAGES(1), MADV_PAGEOUT), 0);
	machine_swap_info(w->m, 0, &info);
	EXPECT_EQ(info.nr_slots, 17); /* with the header */
	EXPECT_EQ(mm_ptes(w->mm, at, at + PAGES(2), ptes, 4), 2);
	if (!pte_is_swap(ptes[0].pte))
		return; /* 2.4's scan knows no way from the page */
	EXPECT_EQ(info.nr_used, 1);
	EXPECT_EQ(machine_swap_slots(w->m, 0, slots, 17), 17);
	EXPECT_EQ(slots[pte_swap_entry(ptes[0].pte) >> SWAP_TYPE_BITS].count, 1);
}

/* ---- mappings ---- */

static void a_mapping_says_what_it_holds_and_who_shows_it(struct world *w)
{
	struct item_info items[ROOM];
	struct showing showings[4];
	file *f = memory_file(w, 5);
	mapping *mp = machine_mapping(w->m, 1);
	EXPECT(machine_mapping(w->m, 77) == NULL);
	EXPECT_EQ(mapping_items(mp, 0, items, ROOM), 5);
	EXPECT_EQ(mapping_items(mp, 3, items, ROOM), 2);
	EXPECT_EQ(items[0].index, 3);
	EXPECT_EQ(items[0].pfn, page_pfn(w->m, mapping_find(mp, 3)));
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 1);
	EXPECT_EQ(mm_vma_cursor(w->mm, at), 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, at, PAGES(2), 0, 0, 0, f), 0);
	EXPECT_EQ(mapping_showings(mp, showings, 4), 1);
	EXPECT_EQ(showings[0].start, at);
	EXPECT_EQ(showings[0].end, at + PAGES(4));
	EXPECT_EQ(showings[0].pgoff, 1);
	EXPECT(showings[0].flags & VM_NONLINEAR);
	EXPECT_EQ(showings[0].cursor, at);
	EXPECT_EQ(mm_vma_cursor(w->mm, at), at);
}

/* ---- entries ---- */

static void expect_entry(struct world *w, uint64_t addr, uint64_t kind, uint64_t number)
{
	struct pte_info pte = { 0 };
	struct entry_info entry;
	EXPECT_EQ(mm_ptes(w->mm, addr, addr + PAGE_SIZE, &pte, 1), kind != ENTRY_NOTHING);
	machine_entry(w->m, pte.pte, 0, &entry);
	EXPECT_EQ(entry.kind, kind);
	EXPECT_EQ(entry.number, number);
}

static void entries_are_told_by_kind(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t own = map(w, 3, RW, PRIVATE_ANON, NULL, 0),
		 window = map(w, 1, RW, MAP_SHARED, f, 0);
	load(w, w->mm, own);
	expect_entry(w, own, ENTRY_ZERO_PAGE, w->m->zero_pfn);
	store(w, w->mm, own + PAGES(1), 1);
	expect_entry(w, own + PAGES(1), ENTRY_PAGE, pte_pfn(*pt_walk(w->mm, own + PAGES(1))));
	expect_entry(w, own + PAGES(2), ENTRY_NOTHING, 0);
	EXPECT_EQ(mm_madvise(w->mm, own + PAGES(2), PAGE_SIZE, MADV_GUARD_INSTALL), 0);
	expect_entry(w, own + PAGES(2), ENTRY_MARKER, MARKER_GUARD);
	EXPECT_EQ(mm_remap_file_pages(w->mm, window, PAGE_SIZE, 0, 3, MAP_NONBLOCK, f), 0);
	mapping_truncate(f->mapping, PAGES(3));
	mapping_truncate(f->mapping, PAGES(4));
	expect_entry(w, window, ENTRY_FILE, 3);
	uint64_t entries[4];
	struct entry_info entry;
	EXPECT_EQ(mm_walk(w->mm, own, entries), 4);
	machine_entry(w->m, entries[0], 3, &entry);
	EXPECT_EQ(entry.kind, ENTRY_TABLE);
}

TESTS(TEST(entries_are_told_by_kind), TEST(asking_changes_nothing), TEST(designs_side_by_side),
      TEST(a_frame_says_whose_it_is), TEST(lists_are_told_from_the_youngest),
      TEST(swap_says_which_slots_are_named), TEST(a_mapping_says_what_it_holds_and_who_shows_it))
