/*
 * test_events.c - the ring of events: what is recorded, what is not, what is lost, and that looking
 * changes nothing.
 */
#include "harness.h"

#define MANY 4096
#define RING 1024

static struct event taken[MANY];

static void look(struct world *w, uint64_t kinds)
{
	EXPECT_EQ(machine_events_on(w->m, RING), 0);
	machine_events(w->m)->kinds = kinds;
}

static uint64_t take(struct world *w) { return (uint64_t)machine_events_take(w->m, taken, MANY); }

/* The first record of a kind among those taken, or NULL. */
static const struct event *first_of(uint64_t nr, enum event_kind kind)
{
	for (uint64_t i = 0; i < nr; i++)
		if (taken[i].kind == kind)
			return &taken[i];
	return NULL;
}

static uint64_t count_of(uint64_t nr, enum event_kind kind)
{
	uint64_t found = 0;
	for (uint64_t i = 0; i < nr; i++)
		found += taken[i].kind == kind;
	return found;
}

static void turning_on_and_off(struct world *w)
{
	EXPECT(!machine_events(w->m));
	EXPECT_EQ(machine_event(w->m, 1), -1);
	EXPECT_EQ(machine_events_take(w->m, taken, MANY), 0);
	EXPECT_EQ(machine_events_on(w->m, 0), -EINVAL);
	EXPECT_EQ(machine_events_on(w->m, 3), -EINVAL);
	EXPECT_EQ(machine_events_on(w->m, 1ul << 40), -EINVAL);
	EXPECT_EQ(machine_events_on(w->m, RING), 0);
	EXPECT_EQ(machine_events_on(w->m, RING), -EBUSY);
	machine_events_off(w->m);
	machine_events_off(w->m);
	EXPECT_EQ(machine_events_on(w->m, RING), 0); /* and the machine takes it along */
}

static void a_fault_says_what_it_was(struct world *w)
{
	uint64_t at = map(w, 3, RW, PRIVATE_ANON, NULL, 0);
	look(w, 1ul << EVENT_FAULT | 1ul << EVENT_EXCEPTION | 1ul << EVENT_COW);
	machine_events(w->m)->pid = 7;
	EXPECT_EQ(load(w, w->mm, at), 0);
	EXPECT_EQ(store(w, w->mm, at + 5, 'x'), 1);
	EXPECT_EQ(load(w, w->mm, at), 0); /* no fault, no event */
	EXPECT_EQ(load(w, w->mm, 0x1000), SEGV_MAPERR);
	uint64_t nr = take(w);
	EXPECT_EQ(nr, 7);
	EXPECT_EQ(taken[0].kind, EVENT_EXCEPTION);
	EXPECT_EQ(taken[0].words[2], 0);
	EXPECT_EQ(taken[1].kind, EVENT_FAULT);
	EXPECT_EQ(taken[1].pid, 7);
	EXPECT_EQ(taken[1].words[0], at);
	EXPECT_EQ(taken[1].words[1], (uint64_t)FAULT_ZERO << 32);
	EXPECT_EQ(taken[1].words[2], 0);
	EXPECT_EQ(pte_pfn(taken[1].words[3]), w->m->zero_pfn);
	EXPECT_EQ(taken[2].words[2], ACCESS_WRITE | 1); /* it is there, but not to be written */
	EXPECT_EQ(taken[3].kind, EVENT_COW);
	EXPECT_EQ(taken[3].words[1], w->m->zero_pfn);
	EXPECT_EQ(taken[4].words[0], at + 5);
	EXPECT_EQ(taken[4].words[1], (uint64_t)FAULT_COW << 32 | ACCESS_WRITE);
	EXPECT_EQ(taken[4].words[2], taken[1].words[3]);
	EXPECT_EQ(pte_pfn(taken[4].words[3]), taken[3].words[2]);
	EXPECT_EQ(taken[6].words[1], (uint64_t)FAULT_NO_VMA << 32);
	EXPECT_EQ(taken[6].words[4], SEGV_MAPERR);
	for (uint64_t i = 0; i < nr; i++)
		EXPECT_EQ(taken[i].seq, i);
}

/* Each row of fault.c's table. */
static void every_row_has_its_name(struct world *w)
{
	PAGE_BY_PAGE(w);
	file *f = memory_file(w, 4);
	uint64_t shared = map(w, 4, RW, MAP_SHARED, f, 0);
	uint64_t private = map(w, 4, RW, MAP_PRIVATE, f, 0);
	uint64_t anon = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(mm_madvise(w->mm, anon + PAGES(3), PAGES(1), MADV_GUARD_INSTALL), 0);
	look(w, 1ul << EVENT_FAULT);
	EXPECT_EQ(store(w, w->mm, anon, 'a'), 1);
	EXPECT_EQ(load(w, w->mm, anon + PAGES(3)), SEGV_MAPERR);
	EXPECT_EQ(load(w, w->mm, shared), store_byte(0, 0));
	EXPECT_EQ(store(w, w->mm, shared + PAGES(1), 'b'), 1);
	EXPECT_EQ(store(w, w->mm, private, 'c'), 1);
	EXPECT_EQ(load(w, w->mm, private + PAGES(1)), 'b');
	EXPECT_EQ(store(w, w->mm, private + PAGES(1), 'd'), 1);
	EXPECT_EQ(mm_remap_file_pages(w->mm, shared, PAGE_SIZE, 0, 2, 0, f), 0);
	EXPECT_EQ(mapping_truncate(f->mapping, 0), 0);
	static const enum fault_case rows[] = { FAULT_ANON,       FAULT_GUARD,     FAULT_FILE_READ,
						FAULT_FILE_WRITE, FAULT_FILE_COPY, FAULT_FILE_READ,
						FAULT_COW,        FAULT_FILE_PTE };
	uint64_t nr = take(w);
	EXPECT_EQ(nr, sizeof(rows) / sizeof(*rows));
	for (uint64_t i = 0; i < nr; i++)
		EXPECT_EQ(taken[i].words[1] >> 32, rows[i]);
}

static void only_what_is_wanted(struct world *w)
{
	look(w, 0);
	uint64_t at = map(w, 2, RW, PRIVATE_ANON, NULL, 0);
	EXPECT_EQ(take(w), 0);
	EXPECT_EQ(machine_events(w->m)->seq, 0);
	machine_events(w->m)->kinds = 1ul << EVENT_UNMAP;
	EXPECT_EQ(mm_munmap(w->mm, at, PAGES(2)), 0);
	EXPECT_EQ(mm_munmap(w->mm, at, PAGES(2)), 0); /* nothing is there any more */
	EXPECT_EQ(take(w), 1);
	EXPECT_EQ(taken[0].words[1], at + PAGES(2));
}

static void what_has_no_room_is_counted(struct world *w)
{
	EXPECT_EQ(machine_events_on(w->m, 4), 0);
	struct event_ring *ring = machine_events(w->m);
	for (int64_t i = 0; i < 6; i++)
		EXPECT_EQ(machine_event(w->m, 3), i < 4 ? i : -1);
	EXPECT_EQ(ring->lost, 2);
	EXPECT_EQ(machine_events_take(w->m, taken, 1), 1);
	EXPECT_EQ(taken[0].seq, 0);
	EXPECT_EQ(machine_event(w->m, 3), 6); /* there is room again, and a gap before it */
	EXPECT_EQ(take(w), 4);
	EXPECT_EQ(taken[2].seq, 3);
	EXPECT_EQ(taken[3].seq, 6);
	EXPECT_EQ(taken[3].kind, EVENT_OTHER);
	EXPECT_EQ(taken[3].pid, 3);
	EXPECT_EQ(take(w), 0);
}

static void pages_come_and_go_in_pairs(struct world *w)
{
	look(w, 1ul << EVENT_PAGE_ALLOC | 1ul << EVENT_PAGE_FREE);
	const struct counters before = w->m->counters;
	uint64_t at = map(w, 8, RW, PRIVATE_ANON, NULL, 0);
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), 'x'), 1);
	EXPECT_EQ(mm_munmap(w->mm, at, PAGES(8)), 0);
	uint64_t nr = take(w);
	EXPECT_EQ(count_of(nr, EVENT_PAGE_ALLOC), w->m->counters.pgalloc - before.pgalloc);
	EXPECT_EQ(count_of(nr, EVENT_PAGE_FREE), w->m->counters.pgfree - before.pgfree);
}

static void vmas_split_and_merge(struct world *w)
{
	uint64_t at = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	look(w, 1ul << EVENT_VMA_SPLIT | 1ul << EVENT_VMA_MERGE | 1ul << EVENT_PROTECT |
			1ul << EVENT_MREMAP);
	EXPECT_EQ(mm_mprotect(w->mm, at + PAGES(1), PAGES(1), PROT_READ, -1), 0);
	EXPECT_EQ(mm_mprotect(w->mm, at + PAGES(1), PAGES(1), RW, -1), 0);
	EXPECT_EQ(mm_mremap(w->mm, at, PAGES(4), PAGES(2), 0, 0), (int64_t)at);
	uint64_t nr = take(w);
	EXPECT_EQ(count_of(nr, EVENT_VMA_SPLIT), 2);
	EXPECT_EQ(count_of(nr, EVENT_VMA_MERGE), 2);
	EXPECT_EQ(first_of(nr, EVENT_VMA_SPLIT)->words[2], at + PAGES(1));
	EXPECT_EQ(first_of(nr, EVENT_PROTECT)->words[0], at + PAGES(1));
	EXPECT_EQ(first_of(nr, EVENT_MREMAP)->words[4], at);
}

static void truncate_goes_in_steps(struct world *w)
{
	file *f = memory_file(w, 4);
	map(w, 4, RW, MAP_SHARED, f, 0);
	look(w, 1ul << EVENT_TRUNCATE | 1ul << EVENT_CACHE_DELETE);
	EXPECT_EQ(mapping_truncate(f->mapping, PAGES(3)), 0);
	uint64_t nr = take(w);
	static const enum truncate_step steps[] = { TRUNCATE_SIZE, TRUNCATE_UNMAP, TRUNCATE_DROP };
	EXPECT_EQ(nr, 6);
	for (uint64_t i = 0; i < 3; i++)
		EXPECT_EQ(taken[i].words[1], steps[i]);
	EXPECT_EQ(taken[3].kind, EVENT_CACHE_DELETE);
	EXPECT_EQ(taken[3].words[2], 3);
	EXPECT_EQ(taken[4].words[1], TRUNCATE_UNMAP_AGAIN);
	EXPECT_EQ(taken[5].words[1], TRUNCATE_ZERO_TAIL);
	EXPECT_EQ(taken[5].words[4], PAGES(3));
}

/* A page's card in every scan; swap's reads and writes; walks of the reverse map. */
static void reclaim_says_why(struct world *w)
{
	add_swap(w, 256);
	uint64_t at = map(w, 64, RW, PRIVATE_ANON, NULL, 0);
	for (int i = 0; i < 64; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), (uint8_t)i), 1);
	EXPECT_EQ(machine_events_on(w->m, MANY), 0);
	machine_events(w->m)->kinds = ~0ul;
	const struct counters before = w->m->counters;
	squeeze(w);
	uint64_t nr = take(w), scanned = 0, freed = 0;
	EXPECT_EQ(machine_events(w->m)->lost, 0);
	for (uint64_t i = 0; i < nr; i++) {
		scanned += taken[i].kind == EVENT_RECLAIM_PAGE;
		freed += taken[i].kind == EVENT_RECLAIM_PAGE && taken[i].words[2] == WHY_FREED;
	}
	const struct counters *now = &w->m->counters;
	EXPECT(freed >= 64);
	EXPECT_EQ(scanned, now->pgscan_direct + now->pgscan_kswapd - before.pgscan_direct -
				   before.pgscan_kswapd);
	EXPECT_EQ(count_of(nr, EVENT_SWAP_OUT), now->pswpout - before.pswpout);
	EXPECT_EQ(count_of(nr, EVENT_RMAP_WALK), now->rmap_walks - before.rmap_walks);
	EXPECT_EQ(load(w, w->mm, at + PAGES(7)), 7);
	nr = take(w);
	EXPECT_EQ(first_of(nr, EVENT_FAULT)->words[1] >> 32, FAULT_SWAP);
	EXPECT_EQ(count_of(nr, EVENT_SWAP_IN), now->pswpin - before.pswpin);
}

static void work(struct world *w)
{
	file *f = memory_file(w, 16);
	uint64_t at = map(w, 32, RW, PRIVATE_ANON, NULL, 0);
	uint64_t shared = map(w, 16, RW, MAP_SHARED, f, 0);
	for (int i = 0; i < 32; i++)
		EXPECT_EQ(store(w, w->mm, at + PAGES(i), (uint8_t)i), 1);
	mm *child = fork_mm(w, w->mm);
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(store(w, child, at + PAGES(i), 'c'), 1);
	EXPECT_EQ(load(w, child, shared + PAGES(3)), store_byte(0, 3));
	squeeze(w);
	for (int i = 0; i < 32; i++)
		EXPECT_EQ(load(w, w->mm, at + PAGES(i)), i);
	EXPECT_EQ(mm_mremap(w->mm, at, PAGES(32), PAGES(64), MREMAP_MAYMOVE, 0) > 0, 1);
	EXPECT_EQ(mapping_truncate(f->mapping, PAGES(2)), 0);
}

/* The same work, looked at and not: every count of the machine is the same. */
static void looking_changes_nothing(struct world *w)
{
	struct world other;
	world_begin(&other, w->rmap, w->m->nrpte);
	add_swap(w, 256);
	add_swap(&other, 256);
	EXPECT_EQ(machine_events_on(w->m, MANY), 0);
	machine_events(w->m)->kinds = ~0ul;
	work(w);
	work(&other);
	EXPECT(take(w) > 0);
	EXPECT(!memcmp(&w->m->counters, &other.m->counters, sizeof(w->m->counters)));
	EXPECT(!memcmp(&w->mm->counters, &other.mm->counters, sizeof(w->mm->counters)));
	world_end(&other);
}

TESTS(TEST(turning_on_and_off), TEST(a_fault_says_what_it_was), TEST(every_row_has_its_name),
      TEST(only_what_is_wanted), TEST(what_has_no_room_is_counted),
      TEST(pages_come_and_go_in_pairs), TEST(vmas_split_and_merge), TEST(truncate_goes_in_steps),
      TEST(reclaim_says_why), TEST(looking_changes_nothing))
