/* test_pkey.c - protection keys: which are taken, where they lie, what PKRU makes of them. */
#include "harness.h"

static void give_keys(struct world *w)
{
	w->m->features |= CPU_PKU;
	pkey_init(w->mm);
}

static uint64_t key_of_pte(mm *mm, uint64_t addr)
{
	return (pte_at(mm, addr) & PTE_PKEY_MASK) >> PTE_PKEY_SHIFT;
}

static void without_the_feature_there_are_none(struct world *w)
{
	uint64_t at = map(w, 1, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(mm_pkey_alloc(w->mm, 0), -EINVAL);
	EXPECT_EQ(mm_pkey_alloc(w->mm, 0), -ENOSPC);
	EXPECT_EQ(mm_pkey_free(w->mm, 0), -EINVAL);
	STEP(w, mm_mprotect(w->mm, at, PAGES(1), RW, 0), -EINVAL);
	STEP(w, mm_mprotect(w->mm, at, PAGES(1), PROT_EXEC, -1), 0);
	EXPECT_EQ(load(w, w->mm, at), 0);
}

static void the_key_lies_in_ptes_that_come_and_that_were_there(struct world *w)
{
	give_keys(w);
	uint64_t at = map(w, 3, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	int64_t key = mm_pkey_alloc(w->mm, 0);
	EXPECT_EQ(key, 1);
	STEP(w, mm_mprotect(w->mm, at, PAGES(2), RW, key), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(1)), 0);
	EXPECT_EQ(load(w, w->mm, at + PAGES(2)), 0);
	EXPECT_EQ(key_of_pte(w->mm, at), key);
	EXPECT_EQ(key_of_pte(w->mm, at + PAGES(1)), key);
	EXPECT_EQ(key_of_pte(w->mm, at + PAGES(2)), 0);
	EXPECT_EQ(w->mm->counters.map_count, 2);
	STEP(w, mm_mprotect(w->mm, at, PAGES(2), RW, 0), 0);
	EXPECT_EQ(key_of_pte(w->mm, at), 0);
	EXPECT_EQ(w->mm->counters.map_count, 1);
}

static void a_translation_in_the_tlb_goes_with_the_right(struct world *w)
{
	give_keys(w);
	uint64_t at = map(w, 1, RW, PRIVATE_ANON, NULL, 0);
	int64_t key = mm_pkey_alloc(w->mm, 0);
	EXPECT_EQ(mm_mprotect(w->mm, at, PAGES(1), RW, key), 0);
	EXPECT_EQ(store(w, w->mm, at, 7), 1);
	uint64_t before = w->mm->counters.tlb_generation;
	mm_set_pkru(w->mm, mm_pkru(w->mm) | 2u << 2 * key);
	EXPECT(w->mm->counters.tlb_generation != before);
	EXPECT_EQ(load(w, w->mm, at), 7);
	STEP(w, store(w, w->mm, at, 8), SEGV_PKUERR);
	EXPECT_EQ(w->m->need.addr, at);
	mm_set_pkru(w->mm, mm_pkru(w->mm) | 1u << 2 * key);
	STEP(w, load(w, w->mm, at), SEGV_PKUERR);
	EXPECT_EQ(mm_is_present(w->mm, at), 1);
	before = w->mm->counters.tlb_generation;
	mm_set_pkru(w->mm, mm_pkru(w->mm));
	EXPECT_EQ(w->mm->counters.tlb_generation, before); /* the same again: nothing to flush */
	STEP(w, mm_populate(w->mm, at, PAGES(1)), -ENOMEM);
	STEP(w, mm_madvise(w->mm, at, PAGES(1), MADV_POPULATE_READ), -EINVAL);
}

static void what_executes_only_is_fetched_and_not_read(struct world *w)
{
	give_keys(w);
	uint64_t at = map(w, 1, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(store(w, w->mm, at, 0xc3), 1);
	STEP(w, mm_mprotect(w->mm, at, PAGES(1), PROT_EXEC, -1), 0);
	EXPECT_EQ(user_touch(w->mm, at, 1, ACCESS_EXEC), 1);
	EXPECT_EQ(tlb_rights(w->mm, at), TLB_EXEC);
	STEP(w, load(w, w->mm, at), SEGV_PKUERR);
	EXPECT_EQ(mm_pkey_free(w->mm, w->mm->exec_pkey), -EINVAL);
	STEP(w, mm_mprotect(w->mm, at, PAGES(1), PROT_READ, -1), 0);
	EXPECT_EQ(load(w, w->mm, at), 0xc3);
}

static void a_child_has_its_parent_s_keys(struct world *w)
{
	give_keys(w);
	uint64_t at = map(w, 1, RW, PRIVATE_ANON, NULL, 0);
	int64_t key = mm_pkey_alloc(w->mm, 3);
	EXPECT_EQ(store(w, w->mm, at, 1), 1);
	EXPECT_EQ(mm_mprotect(w->mm, at, PAGES(1), RW, key), 0);
	mm *child = fork_mm(w, w->mm);
	STEP(w, load(w, child, at), SEGV_PKUERR);
	mm_set_pkru(child, 0);
	EXPECT_EQ(store(w, child, at, 2), 1);
	STEP(w, load(w, w->mm, at), SEGV_PKUERR);
	EXPECT_EQ(mm_pkey_free(child, key), 0);
	EXPECT_EQ(mm_pkey_alloc(w->mm, 0), key + 1);
}

TESTS(TEST(without_the_feature_there_are_none),
      TEST(the_key_lies_in_ptes_that_come_and_that_were_there),
      TEST(a_translation_in_the_tlb_goes_with_the_right),
      TEST(what_executes_only_is_fetched_and_not_read), TEST(a_child_has_its_parent_s_keys))
