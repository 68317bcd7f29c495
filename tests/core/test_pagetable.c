/* test_pagetable.c - tables, the walker, pte_set, pruning, the TLB. */
#include "harness.h"
#include "sizes.h"

static void tables_are_made_and_pruned(struct world *w)
{
	uint64_t tables = w->m->counters.nr_pagetable;
	STEP(w, mm_mmap(w->mm, 0x40000000, PAGES(1), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0),
	     0x40000000);
	EXPECT(!pt_walk(w->mm, 0x40000000));
	EXPECT_EQ(store(w, w->mm, 0x40000000, 1), 1);
	EXPECT_EQ(w->m->counters.nr_pagetable, tables + 3);
	EXPECT_EQ(w->mm->counters.nr_pagetable, 4);
	CHECK(w);
	STEP(w, mm_munmap(w->mm, 0x40000000, PAGES(1)), 0);
	EXPECT_EQ(w->m->counters.nr_pagetable, tables);
}

/* A neighbour in the same table keeps it. */
static void pruning_spares_neighbours(struct world *w)
{
	uint64_t at = 0x40000000;
	STEP(w,
	     mm_mmap(w->mm, at, PAGES(1200), RW, PRIVATE_ANON | MAP_FIXED | MAP_NORESERVE, NULL, 0),
	     at);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(511), 2), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(512), 3), 1);
	EXPECT_EQ(store(w, w->mm, at + PAGES(1100), 4), 1);
	EXPECT_EQ(w->mm->counters.nr_pagetable, 6);
	STEP(w, mm_munmap(w->mm, at + PAGES(1), PAGES(511)), 0);
	EXPECT_EQ(load(w, w->mm, at), 1);
	EXPECT_EQ(w->mm->counters.nr_pagetable, 6);
	STEP(w, mm_munmap(w->mm, at + PAGES(512), PAGES(512)), 0);
	EXPECT_EQ(w->mm->counters.nr_pagetable, 5);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1100)), 4);
	CHECK(w);
}

static void walk_shows_the_levels(struct world *w)
{
	uint64_t entries[4];
	STEP(w, mm_mmap(w->mm, 0x40000000, PAGES(2), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0),
	     0x40000000);
	EXPECT_EQ(mm_walk(w->mm, 0x40000000, entries), 0);
	EXPECT_EQ(store(w, w->mm, 0x40000000, 1), 1);
	EXPECT_EQ(mm_walk(w->mm, 0x40000000, entries), 4);
	EXPECT_EQ(mm_walk(w->mm, 0x40000000 + PAGES(1), entries), 3);
	EXPECT_EQ(entries[3], 0);
	EXPECT(entries[0] & PTE_PRESENT && entries[0] & PTE_USER);
}

/* The bits are those that the processor reads. */
static void entry_bits_are_the_processors(struct world *w)
{
	uint64_t at = map(w, 2, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(load(w, w->mm, at), 0);
	pte_t pte = *pt_walk(w->mm, at);
	EXPECT_EQ(pte & (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_NX),
		  PTE_PRESENT | PTE_USER | PTE_NX);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	pte = *pt_walk(w->mm, at);
	EXPECT(pte & PTE_WRITE && pte & PTE_DIRTY && pte & PTE_ACCESSED);
	STEP(w, mm_mprotect(w->mm, at, PAGES(2), PROT_READ | PROT_EXEC, -1), 0);
	pte = *pt_walk(w->mm, at);
	EXPECT(!(pte & PTE_WRITE) && !(pte & PTE_NX));
	STEP(w, mm_mprotect(w->mm, at, PAGES(2), PROT_NONE, -1), 0);
	EXPECT(!(*pt_walk(w->mm, at) & PTE_USER));
}

static void next_skips_what_has_no_table(struct world *w)
{
	uint64_t at = 0x40000000, span, addr = 0;
	STEP(w, mm_mmap(w->mm, at, PAGES(1), RW, PRIVATE_ANON | MAP_FIXED, NULL, 0), at);
	EXPECT(!pt_next(w->mm, &addr, at + PAGES(1), &span));
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	addr = 0;
	pte_t *ptep = pt_next(w->mm, &addr, test_layout.task_size, &span);
	EXPECT(ptep == pt_walk(w->mm, at));
	EXPECT_EQ(addr, at);
	EXPECT_EQ(span, 512);
	addr = at + PAGES(10);
	ptep = pt_next(w->mm, &addr, at + PAGES(15), &span);
	EXPECT_EQ(span, 5);
	EXPECT_EQ(pte_addr(w->m, ptep), at + PAGES(10));
	EXPECT(pte_mm(w->m, ptep) == w->mm);
}

static void tlb_never_outlives_the_pte(struct world *w)
{
	file *f = memory_file(w, 4);
	uint64_t at = map(w, 4, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	uint64_t generation = w->mm->counters.tlb_generation;
	EXPECT(mm_translate(w->mm, at, ACCESS_WRITE) >= 0);
	STEP(w, mm_mprotect(w->mm, at, PAGES(4), PROT_READ, -1), 0);
	EXPECT_EQ(mm_translate(w->mm, at, ACCESS_WRITE), -EFAULT);
	EXPECT(mm_translate(w->mm, at, ACCESS_READ) >= 0);
	EXPECT(w->mm->counters.tlb_generation > generation);
	generation = w->mm->counters.tlb_generation;
	STEP(w, mapping_truncate(f->mapping, 0), 0);
	EXPECT_EQ(mm_translate(w->mm, at, ACCESS_READ), -EFAULT);
	EXPECT(w->mm->counters.tlb_generation > generation);
}

/* A translation for a load alone does not let a store by: the pte must be dirty. */
static void store_through_the_tlb_makes_dirty(struct world *w)
{
	file *f = memory_file(w, 1);
	uint64_t at = map(w, 1, RW, MAP_SHARED, f, 0);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
	EXPECT(!(*pt_walk(w->mm, at) & PTE_DIRTY));
	CHECK(w);
	EXPECT(mm_translate(w->mm, at, ACCESS_WRITE) >= 0);
	EXPECT(*pt_walk(w->mm, at) & PTE_DIRTY);
	tlb_flush_mm(w->mm);
	CHECK(w);
	EXPECT_EQ(load(w, w->mm, at), store_byte(0, 0));
}

static void addresses_of_one_slot_replace_each_other(struct world *w)
{
	uint64_t at =
		map(w, 2 * TLB_ENTRIES > 400 ? 400 : 2 * TLB_ENTRIES, RW, PRIVATE_ANON, NULL, 0);
	uint64_t other = at + PAGES(TLB_ENTRIES);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(store(w, w->mm, at, (uint8_t)i), 1);
		EXPECT_EQ(store(w, w->mm, other, (uint8_t)(100 + i)), 1);
		EXPECT_EQ(load(w, w->mm, at), i);
		EXPECT_EQ(load(w, w->mm, other), 100 + i);
		CHECK(w);
	}
}

static void pagemap_words(struct world *w)
{
	uint64_t at = map(w, 3, RW, PRIVATE_ANON, NULL, 0), words[3];
	EXPECT_EQ(store(w, w->mm, at + PAGES(1), 1), 1);
	EXPECT_EQ(mm_pagemap(w->mm, at >> PAGE_SHIFT, 3, words), 3);
	EXPECT_EQ(words[0], 0);
	EXPECT_EQ(words[1] & ((1ul << 55) - 1), pte_pfn(*pt_walk(w->mm, at + PAGES(1))));
	EXPECT_EQ(words[1] >> 56, 0x81); /* present, mapped here alone */
}

TESTS(TEST(tables_are_made_and_pruned), TEST(pruning_spares_neighbours),
      TEST(walk_shows_the_levels), TEST(entry_bits_are_the_processors),
      TEST(next_skips_what_has_no_table), TEST(tlb_never_outlives_the_pte),
      TEST(store_through_the_tlb_makes_dirty), TEST(addresses_of_one_slot_replace_each_other),
      TEST(pagemap_words))
