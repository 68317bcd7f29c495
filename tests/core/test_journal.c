/* test_journal.c - the journal: what is written of all moments adds up to the machine as it is. */
#include "harness.h"

#define ROOM 512
#define NR_SPACES 8

struct model { /* a machine, from its journal alone */
	struct frame_info frames[NR_RAM_PAGES];
	uint64_t lists[NR_LRU_LISTS][ROOM], nr[NR_LRU_LISTS];
	struct swap_slot slots[ROOM];
	uint64_t nr_slots, next;
	pte_t entries[NR_RAM_PAGES][TABLE_ENTRIES];
	struct {
		uint64_t pgd, nr;
		struct vma_row rows[64];
	} spaces[NR_SPACES];
	struct counters counters;
	uint64_t moments, last;
};

static void splice(void *list, uint64_t *nr, uint64_t size, const uint64_t *w, uint64_t comes)
{
	char *at = list;
	uint64_t place = w[0], goes = w[1], tail = *nr - place - goes;
	memmove(at + (place + comes) * size, at + (place + goes) * size, tail * size);
	memcpy(at + place * size, w + 2, comes * size);
	*nr = place + comes + tail;
}

static void read_frame(struct model *s, const uint64_t *w)
{
	s->frames[w[0]] = (struct frame_info){
		.owner = w[1],
		.index = w[2],
		.flags = (uint32_t)w[3],
		.refcount = (uint32_t)(w[3] >> 32),
		.mapcount = (uint32_t)w[4],
		.pins = (uint32_t)(w[4] >> 32),
		.used = (uint32_t)w[5],
		.entry = (uint32_t)(w[5] >> 32),
		.blocks = (uint32_t)w[6],
		.node = (uint32_t)(w[6] >> 32),
	};
	if (!(w[3] & PG_TABLE))
		memset(s->entries[w[0]], 0, PAGE_SIZE);
}

static void read_vmas(struct model *s, const uint64_t *w, uint64_t nr_words)
{
	const uint64_t width = sizeof(struct vma_row) / sizeof(uint64_t);
	int i = 0;
	while (s->spaces[i].pgd && s->spaces[i].pgd != w[0])
		i++;
	s->spaces[i].pgd = w[0];
	splice(s->spaces[i].rows, &s->spaces[i].nr, sizeof(struct vma_row), w + 1,
	       (nr_words - 3) / width);
}

static void read_record(struct model *s, enum journal_record kind, const uint64_t *w, uint64_t nr)
{
	switch (kind) {
	case JOURNAL_MOMENT:
		s->moments++;
		s->last = w[0];
		break;
	case JOURNAL_FRAME:
		read_frame(s, w);
		break;
	case JOURNAL_ENTRY:
		s->entries[w[0] >> 9][w[0] & 511] = w[1];
		break;
	case JOURNAL_LIST:
		splice(s->lists[w[0]], &s->nr[w[0]], sizeof(uint64_t), w + 1, nr - 3);
		break;
	case JOURNAL_SLOT:
		s->slots[w[1]] = (struct swap_slot){ (uint32_t)w[2], (uint32_t)(w[2] >> 32) };
		break;
	case JOURNAL_AREA:
		s->nr_slots = w[1];
		s->next = w[2];
		break;
	case JOURNAL_VMAS:
		read_vmas(s, w, nr);
		break;
	case JOURNAL_COUNTER:
		((uint64_t *)&s->counters)[w[0]] = w[1];
		break;
	default:
		break;
	}
}

static struct model *replay(machine *m)
{
	struct model *s = calloc(1, sizeof(*s));
	for (uint64_t i = 0; i < NR_RAM_PAGES; i++)
		s->frames[i] = (struct frame_info){ .flags = PG_FREE };
	uint64_t nr, step;
	const uint64_t *words = machine_journal_words(m, &nr);
	for (uint64_t i = 0; i < nr; i += 1 + step) {
		step = words[i] >> 32;
		read_record(s, (enum journal_record)(uint32_t)words[i], words + i + 1, step);
	}
	return s;
}

static void expect_frames(struct world *w, const struct model *s)
{
	for (uint64_t pfn = 0; pfn < w->m->nr_pages; pfn++) {
		struct frame_info is;
		machine_frames(w->m, pfn, 1, &is);
		if (memcmp(&is, &s->frames[pfn], sizeof(is)))
			complain(__FILE__, __LINE__, "page %lu is not as in the journal", pfn);
		if (is.flags & PG_TABLE)
			EXPECT(!memcmp(pfn_data(w->m, pfn), s->entries[pfn], PAGE_SIZE));
	}
}

static void expect_spaces(struct world *w, const struct model *s)
{
	struct vma_info vmas[64];
	for (mm *mm = w->m->mms; mm; mm = mm->next) {
		int i = 0;
		while (s->spaces[i].pgd != mm_pgd(mm) && i < NR_SPACES - 1)
			i++; /* one without VMAs is not told of: the last is empty */
		EXPECT_EQ(mm_vmas(mm, 0, vmas, 64), s->spaces[i].nr);
		for (uint64_t k = 0; k < s->spaces[i].nr; k++) {
			EXPECT_EQ(vmas[k].start, s->spaces[i].rows[k].start);
			EXPECT_EQ(vmas[k].end, s->spaces[i].rows[k].end);
			EXPECT_EQ(vmas[k].flags, s->spaces[i].rows[k].flags);
			EXPECT_EQ(vmas[k].mapping, s->spaces[i].rows[k].mapping);
			EXPECT_EQ(vmas[k].own, s->spaces[i].rows[k].anon != 0);
		}
	}
}

static void expect_as_it_is(struct world *w)
{
	uint64_t pfns[ROOM];
	struct swap_slot slots[ROOM];
	struct model *s = replay(w->m);
	expect_frames(w, s);
	expect_spaces(w, s);
	for (uint64_t list = 0; list < NR_LRU_LISTS; list++) {
		EXPECT_EQ(machine_lru(w->m, list, pfns, ROOM), s->nr[list]);
		EXPECT(!memcmp(pfns, s->lists[list], s->nr[list] * sizeof(*pfns)));
	}
	EXPECT_EQ(machine_swap_slots(w->m, 0, slots, ROOM), s->nr_slots);
	EXPECT(!memcmp(slots, s->slots, s->nr_slots * sizeof(*slots)));
	EXPECT(!memcmp(&s->counters, &w->m->counters, sizeof(s->counters)));
	free(s);
}

/* ---- the tests ---- */

static uint64_t moment(struct world *w, uint64_t name)
{
	EXPECT_EQ(machine_journal_note(w->m, name), 1);
	return name + 1;
}

static void the_journal_adds_up(struct world *w)
{
	uint64_t name = 0;
	add_swap(w, 64);
	EXPECT_EQ(machine_journal_on(w->m, 100), 0);
	EXPECT_EQ(machine_journal_on(w->m, 100), -EBUSY);
	name = moment(w, name);
	expect_as_it_is(w);
	file *f = store_file(w, 8), *g = memory_file(w, 8);
	uint64_t at = map(w, 8, RW, MAP_SHARED, f, 0), own = map(w, 40, RW, PRIVATE_ANON, NULL, 0);
	uint64_t window = map(w, 8, RW, MAP_SHARED, g, 0);
	EXPECT_EQ(mm_remap_file_pages(w->mm, window, PAGES(2), 0, 5, 0, g), 0);
	for (uint64_t i = 0; i < 40; i++) {
		store(w, w->mm, own + PAGES(i), 2);
		load(w, w->mm, (i & 1 ? at : window) + PAGES(i % 8));
		name = moment(w, name);
	}
	expect_as_it_is(w);
	mm *child = fork_mm(w, w->mm);
	name = moment(w, name);
	store(w, child, own, 3);
	squeeze(w);
	name = moment(w, name);
	expect_as_it_is(w);
	drop_mm(w, child);
	mm_munmap(w->mm, at, PAGES(4));
	mapping_truncate(g->mapping, PAGES(2));
	name = moment(w, name);
	expect_as_it_is(w);
	struct model *s = replay(w->m);
	EXPECT_EQ(s->moments, name);
	EXPECT_EQ(s->last, name - 1);
	free(s);
	machine_journal_off(w->m);
}

static void it_has_as_many_moments_as_it_may(struct world *w)
{
	uint64_t nr = 1;
	EXPECT_EQ(machine_journal_note(w->m, 1), 0);
	EXPECT(machine_journal_words(w->m, &nr) == NULL);
	EXPECT_EQ(nr, 0);
	EXPECT_EQ(machine_journal_on(w->m, 1), 0);
	EXPECT_EQ(machine_journal_note(w->m, 1), 1);
	EXPECT_EQ(machine_journal_note(w->m, 2), 0);
	machine_journal_off(w->m);
	machine_journal_off(w->m);
}

static void events_are_moments(struct world *w)
{
	EXPECT_EQ(machine_events_on(w->m, 1024), 0);
	machine_events(w->m)->kinds = ~0ul;
	EXPECT_EQ(machine_journal_on(w->m, 1000), 0);
	uint64_t own = map(w, 4, RW, PRIVATE_ANON, NULL, 0);
	for (uint64_t i = 0; i < 4; i++)
		store(w, w->mm, own + PAGES(i), 1);
	mm *child = fork_mm(w, w->mm);
	store(w, child, own, 3);
	drop_mm(w, child);
	mm_munmap(w->mm, own, PAGES(4));
	struct model *s = replay(w->m);
	EXPECT(s->moments > 10);
	EXPECT_EQ(s->moments, machine_events(w->m)->seq);
	EXPECT_EQ(s->last, machine_events(w->m)->seq - 1);
	free(s);
	machine_events_off(w->m);
	moment(w, 0);
	expect_as_it_is(w);
	machine_journal_off(w->m);
}

TESTS(TEST(the_journal_adds_up), TEST(it_has_as_many_moments_as_it_may), TEST(events_are_moments))
