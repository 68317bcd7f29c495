/*
 * journal.c - a machine's moments, each as what differs from the one before.
 *
 * Owns a copy of what was last written: struct frame_info of each frame, the
 * content of each page table, lists, slots, VMAs, counters.  A moment compares
 * and writes the differences.  All of it is the host's memory; the machine is
 * only read.
 */
#include "core.h"

#include <stdlib.h>

#define NR_COUNTERS (sizeof(struct counters) / sizeof(uint64_t))
#define ROW_WORDS (sizeof(struct vma_row) / sizeof(uint64_t))

struct words {
	uint64_t *at;
	uint64_t nr, room;
};

struct space { /* VMAs of an address space, as rows */
	uint64_t pgd;
	bool alive; /* in this moment */
	struct words rows;
	struct space *next;
};

struct journal {
	struct words out;
	uint64_t left; /* moments */
	bool failed;   /* the host's memory ran out */
	struct page *pages;
	struct frame_info *frames;
	pte_t **tables; /* by frame */
	struct words lists[NR_LRU_LISTS];
	struct swap_slot *slots[NR_SWAP_AREAS];
	uint64_t nr_slots[NR_SWAP_AREAS], next[NR_SWAP_AREAS];
	struct space *spaces;
	uint64_t counters[NR_COUNTERS];
	uint64_t cursor[2];
	struct words scratch;
};

/* ---- words ---- */

static bool make_room(struct journal *j, struct words *w, uint64_t nr)
{
	uint64_t room = w->room ? w->room : 1024;
	while (room < w->nr + nr)
		room *= 2;
	uint64_t *at = room > w->room ? realloc(w->at, room * sizeof(*at)) : w->at;
	if (!at) {
		j->failed = true;
		return false;
	}
	w->at = at;
	w->room = room;
	return true;
}

static void put(struct journal *j, struct words *w, uint64_t word)
{
	if (w->nr < w->room || make_room(j, w, 1))
		w->at[w->nr++] = word;
}

static void record(struct journal *j, enum journal_record kind, uint64_t nr, const uint64_t *words)
{
	put(j, &j->out, kind | nr << 32);
	for (uint64_t i = 0; i < nr; i++)
		put(j, &j->out, words[i]);
}

#define RECORD(j, kind, ...) \
	do { \
		const uint64_t words_[] = { __VA_ARGS__ }; \
		record(j, kind, sizeof(words_) / sizeof(words_[0]), words_); \
	} while (0)

/* What differs between two lists of rows, as one piece that goes and one that comes. */
static void splice(struct journal *j, enum journal_record kind, uint64_t key, struct words *old,
		   const struct words *now, uint64_t width)
{
	const uint64_t size = width * sizeof(uint64_t);
	uint64_t nr_old = old->nr / width, nr_now = now->nr / width, head = 0, tail = 0;
	uint64_t least = nr_old < nr_now ? nr_old : nr_now;
	while (head < least && !memcmp(old->at + head * width, now->at + head * width, size))
		head++;
	while (tail < least - head && !memcmp(old->at + (nr_old - tail - 1) * width,
					      now->at + (nr_now - tail - 1) * width, size))
		tail++;
	uint64_t goes = nr_old - head - tail, comes = nr_now - head - tail;
	if (!goes && !comes)
		return;
	put(j, &j->out, kind | (3 + comes * width) << 32);
	put(j, &j->out, key);
	put(j, &j->out, head);
	put(j, &j->out, goes);
	for (uint64_t i = 0; i < comes * width; i++)
		put(j, &j->out, now->at[head * width + i]);
	old->nr = 0;
	if (!make_room(j, old, now->nr))
		return;
	memcpy(old->at, now->at, now->nr * sizeof(uint64_t));
	old->nr = now->nr;
}

/* ---- frames and tables ---- */

static void note_frame(struct journal *j, machine *m, uint64_t pfn)
{
	struct frame_info f = frame_at(m, pfn);
	if (!memcmp(&f, &j->frames[pfn], sizeof(f)))
		return;
	j->frames[pfn] = f;
	RECORD(j, JOURNAL_FRAME, pfn, f.owner, f.index, f.flags | (uint64_t)f.refcount << 32,
	       f.mapcount | (uint64_t)f.pins << 32, f.used | (uint64_t)f.entry << 32,
	       f.blocks | (uint64_t)f.node << 32);
}

static bool is_table(const struct page *page) /* one without mm has no content yet */
{
	return page->flags & PG_TABLE && !(page->flags & PG_FREE) && page->mm;
}

static void note_table(struct journal *j, machine *m, uint64_t pfn)
{
	const pte_t *now = pfn_data(m, pfn);
	pte_t *old = j->tables[pfn];
	if (!old)
		old = j->tables[pfn] = calloc(TABLE_ENTRIES, sizeof(*old));
	if (!old) {
		j->failed = true;
		return;
	}
	if (!memcmp(old, now, PAGE_SIZE))
		return;
	for (uint64_t i = 0; i < TABLE_ENTRIES; i++)
		if (old[i] != now[i])
			RECORD(j, JOURNAL_ENTRY, pfn << 9 | i, now[i]);
	memcpy(old, now, PAGE_SIZE);
}

/* Who looks knows by its frame that it is a table no more. */
static void forget_table(struct journal *j, uint64_t pfn)
{
	free(j->tables[pfn]);
	j->tables[pfn] = NULL;
}

static void note_frames(struct journal *j, machine *m)
{
	for (uint64_t pfn = handed_out_from(m, 0); pfn < m->nr_pages;
	     pfn = handed_out_from(m, pfn + 1)) {
		const struct page *page = &m->pages[pfn];
		if (memcmp(page, &j->pages[pfn], sizeof(*page))) {
			j->pages[pfn] = *page;
			note_frame(j, m, pfn);
		}
		if (is_table(page))
			note_table(j, m, pfn);
		else if (j->tables[pfn])
			forget_table(j, pfn);
	}
}

/* ---- lists and swap ---- */

static void note_lists(struct journal *j, machine *m)
{
	for (uint64_t list = 0; list < NR_LRU_LISTS; list++) {
		j->scratch.nr = 0;
		for (uint32_t pfn = m->lru[list].head; pfn; pfn = m->pages[pfn].next)
			put(j, &j->scratch, pfn);
		splice(j, JOURNAL_LIST, list, &j->lists[list], &j->scratch, 1);
	}
}

static bool fit_slots(struct journal *j, const struct swap_area *area, uint64_t nr)
{
	if (j->nr_slots[nr] == area->nr_slots)
		return true;
	free(j->slots[nr]);
	j->slots[nr] = area->nr_slots ? calloc(area->nr_slots, sizeof(*j->slots[nr])) : NULL;
	j->failed |= area->nr_slots && !j->slots[nr];
	j->nr_slots[nr] = j->failed ? 0 : area->nr_slots;
	j->next[nr] = ~0ul; /* it is told anew */
	return !j->failed;
}

static void note_area(struct journal *j, const struct swap_area *area, uint64_t nr)
{
	if (!fit_slots(j, area, nr))
		return;
	if (j->next[nr] != area->next && (area->nr_slots || j->next[nr] == ~0ul))
		RECORD(j, JOURNAL_AREA, nr, area->nr_slots, area->next);
	j->next[nr] = area->next;
	for (uint64_t slot = 0; slot < area->nr_slots; slot++) {
		struct swap_slot now = { area->count[slot], area->cached[slot] };
		if (!memcmp(&now, &j->slots[nr][slot], sizeof(now)))
			continue;
		j->slots[nr][slot] = now;
		RECORD(j, JOURNAL_SLOT, nr, slot, now.count | (uint64_t)now.cached << 32);
	}
}

/* ---- address spaces ---- */

static struct space *space_of(struct journal *j, uint64_t pgd)
{
	for (struct space *s = j->spaces; s; s = s->next)
		if (s->pgd == pgd)
			return s;
	struct space *s = calloc(1, sizeof(*s));
	if (!s) {
		j->failed = true;
		return NULL;
	}
	s->pgd = pgd;
	s->next = j->spaces;
	j->spaces = s;
	return s;
}

static void put_vma(struct journal *j, const struct vma *vma)
{
	const mapping *mp = vma_mapping(vma);
	const struct vma_row row = {
		vma->start,
		vma->end,
		vma->flags,
		vma->pgoff,
		vma->file ? vma->file->cookie : 0,
		mp ? mp->cookie : 0,
		anon_place(vma->mm->machine, vma->anon_vma),
		cursor_of(vma),
	};
	if (make_room(j, &j->scratch, ROW_WORDS)) {
		memcpy(j->scratch.at + j->scratch.nr, &row, sizeof(row));
		j->scratch.nr += ROW_WORDS;
	}
}

static void note_space(struct journal *j, const mm *mm)
{
	struct space *s = space_of(j, pgd_of(mm));
	if (!s)
		return;
	s->alive = true;
	j->scratch.nr = 0;
	for (const struct vma *vma = mm->first; vma; vma = vma->next)
		put_vma(j, vma);
	splice(j, JOURNAL_VMAS, s->pgd, &s->rows, &j->scratch, ROW_WORDS);
}

static void note_spaces(struct journal *j, const machine *m)
{
	for (struct space *s = j->spaces; s; s = s->next)
		s->alive = false;
	for (const mm *mm = m->mms; mm; mm = mm->next)
		note_space(j, mm);
	j->scratch.nr = 0;
	for (struct space *s = j->spaces; s; s = s->next)
		if (!s->alive)
			splice(j, JOURNAL_VMAS, s->pgd, &s->rows, &j->scratch, ROW_WORDS);
}

/* ---- a moment ---- */

static void note_counters(struct journal *j, const machine *m)
{
	const uint64_t *now = (const uint64_t *)&m->counters;
	for (uint64_t i = 0; i < NR_COUNTERS; i++)
		if (now[i] != j->counters[i])
			RECORD(j, JOURNAL_COUNTER, i, j->counters[i] = now[i]);
}

static void note_cursor(struct journal *j, const machine *m)
{
	const uint64_t now[2] = { m->scan_mm ? pgd_of(m->scan_mm) : 0,
				  m->scan_mm ? m->scan_mm->scan_addr : 0 };
	if (!memcmp(now, j->cursor, sizeof(now)))
		return;
	memcpy(j->cursor, now, sizeof(now));
	record(j, JOURNAL_CURSOR, 2, now);
}

int64_t machine_journal_note(machine *m, uint64_t name)
{
	struct journal *j = m->journal;
	if (!j || !j->left || j->failed)
		return 0;
	j->left--;
	RECORD(j, JOURNAL_MOMENT, name);
	note_frames(j, m);
	note_lists(j, m);
	for (uint64_t nr = 0; nr < NR_SWAP_AREAS; nr++)
		note_area(j, &m->swap[nr], nr);
	note_spaces(j, m);
	note_counters(j, m);
	note_cursor(j, m);
	return !j->failed;
}

const uint64_t *machine_journal_words(machine *m, uint64_t *nr)
{
	*nr = m->journal ? m->journal->out.nr : 0;
	return m->journal ? m->journal->out.at : NULL;
}

int64_t machine_journal_on(machine *m, uint64_t max_moments)
{
	if (m->journal)
		return -EBUSY;
	struct journal *j = m->journal = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->left = max_moments;
	j->pages = calloc(m->nr_pages, sizeof(*j->pages));
	j->frames = calloc(m->nr_pages, sizeof(*j->frames));
	j->tables = calloc(m->nr_pages, sizeof(*j->tables));
	if (j->pages && j->frames && j->tables)
		return 0;
	machine_journal_off(m);
	return -ENOMEM;
}

void machine_journal_off(machine *m)
{
	struct journal *j = m->journal;
	if (!j)
		return;
	m->journal = NULL;
	for (uint64_t pfn = handed_out_from(m, 0); j->tables && pfn < m->nr_pages;
	     pfn = handed_out_from(m, pfn + 1))
		free(j->tables[pfn]);
	for (struct space *s = j->spaces, *next; s; s = next) {
		next = s->next;
		free(s->rows.at);
		free(s);
	}
	for (uint64_t i = 0; i < NR_LRU_LISTS; i++)
		free(j->lists[i].at);
	for (uint64_t i = 0; i < NR_SWAP_AREAS; i++)
		free(j->slots[i]);
	free(j->pages);
	free(j->frames);
	free(j->tables);
	free(j->scratch.at);
	free(j->out.at);
	free(j);
}
