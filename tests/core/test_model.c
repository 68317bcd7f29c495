/*
 * test_model.c - random calls against a naive model: every byte must agree.
 *
 * The model keeps one byte for each page: a page of the address space shows
 * nothing, memory of its own, a file's page by index, or one frame for good
 * (a special VMA's).  Sizes of files are whole pages; all memory is RW.
 */
#include "harness.h"

#define SPAN 20
#define FILE_PAGES 10
#define STEPS 400
#define MAX_FRAMES 20000

static const uint64_t base = 0x40000000 - PAGES(10); /* across two tables */

enum kind { NOTHING, ANON, PRIVATE_FILE, SHARED_FILE, SPECIAL };

struct slot {
	enum kind kind;
	int file; /* PRIVATE_FILE, SHARED_FILE */
	uint64_t index;
	int own;   /* byte of its own copy, or -1 */
	int frame; /* SPECIAL: or -1, a hole */
};

struct model {
	struct world *w;
	uint32_t seed;
	struct slot slots[SPAN];
	int frames[MAX_FRAMES]; /* the byte in each */
	int nr_frames;
	int cache[2][FILE_PAGES]; /* frame of each page of the files, or -1 */
	uint64_t size[2];
};

static uint64_t pick(struct model *o, uint64_t below)
{
	o->seed = o->seed * 1664525u + 1013904223u;
	return (o->seed >> 8) % below;
}

static int frame_of(struct model *o, int file, uint64_t index)
{
	int *frame = &o->cache[file][index];
	if (*frame < 0) {
		*frame = o->nr_frames++;
		o->frames[*frame] = 0;
	}
	return *frame;
}

/* What a load must give. */
static int64_t model_load(struct model *o, const struct slot *s)
{
	switch (s->kind) {
	case NOTHING:
		return SEGV_MAPERR;
	case ANON:
		return s->own < 0 ? 0 : s->own;
	case SPECIAL:
		return s->frame < 0 ? BUS_ADRERR : o->frames[s->frame];
	default:
		if (s->own >= 0)
			return s->own;
		if (s->index >= o->size[s->file])
			return BUS_ADRERR;
		return o->frames[frame_of(o, s->file, s->index)];
	}
}

static void model_store(struct model *o, struct slot *s, int byte)
{
	if (model_load(o, s) < 0)
		return;
	if (s->kind == SPECIAL)
		o->frames[s->frame] = byte;
	else if (s->kind == SHARED_FILE)
		o->frames[frame_of(o, s->file, s->index)] = byte;
	else
		s->own = byte;
}

static void compare(struct model *o)
{
	for (uint64_t i = 0; i < SPAN; i++)
		EXPECT_EQ(load(o->w, o->w->mm, base + PAGES(i)), model_load(o, &o->slots[i]));
}

struct range {
	uint64_t first, nr, addr;
};

static struct range range_up_to(struct model *o, uint64_t most)
{
	uint64_t first = pick(o, SPAN - most + 1);
	return (struct range){ first, 1 + pick(o, most), base + PAGES(first) };
}

static struct range pick_range(struct model *o) { return range_up_to(o, 4); }

static void step_map(struct model *o)
{
	struct range r = range_up_to(o, 12);
	enum kind kind = (enum kind)(1 + pick(o, 4));
	static const uint64_t flags[] = { 0, PRIVATE_ANON, MAP_PRIVATE, MAP_SHARED,
					  MAP_SHARED | MAP_NONLINEAR };
	int file = (int)pick(o, 2);
	uint64_t pgoff = pick(o, 5);
	bool named = kind == PRIVATE_FILE || kind == SHARED_FILE;
	EXPECT_EQ(mm_mmap(o->w->mm, r.addr, PAGES(r.nr), RW, flags[kind] | MAP_FIXED,
			  named ? o->w->files[file] : NULL, pgoff),
		  r.addr);
	for (uint64_t i = 0; i < r.nr; i++)
		o->slots[r.first + i] = (struct slot){ kind, file, pgoff + i, -1, -1 };
}

static void step_unmap(struct model *o)
{
	struct range r = pick_range(o);
	EXPECT_EQ(mm_munmap(o->w->mm, r.addr, PAGES(r.nr)), 0);
	for (uint64_t i = 0; i < r.nr; i++)
		o->slots[r.first + i].kind = NOTHING;
}

/* The core says whether the range lies in one VMA; what it did is the model's. */
static void step_remap(struct model *o)
{
	struct range r = pick_range(o);
	int file = (int)pick(o, 2);
	uint64_t pgoff = pick(o, 8), emulated = !pick(o, 4);
	machine_tunables(o->w->m)->nonlinear_emulated = emulated;
	int64_t err =
		SERVED(o->w, mm_remap_file_pages(o->w->mm, r.addr, PAGES(r.nr), 0, pgoff,
						 pick(o, 2) ? MAP_NONBLOCK : 0, o->w->files[file]));
	for (uint64_t i = 0; i < r.nr && err == 0; i++) {
		struct slot *s = &o->slots[r.first + i];
		EXPECT(s->kind == SHARED_FILE || s->kind == SPECIAL);
		s->index = pgoff + i;
		if (s->kind != SPECIAL)
			continue;
		EXPECT(s->index < o->size[file]);
		s->frame = frame_of(o, file, s->index);
	}
}

static void step_move(struct model *o)
{
	struct range r = pick_range(o);
	uint64_t to = pick(o, SPAN - 4);
	struct slot moved[4];
	int64_t at = mm_mremap(o->w->mm, r.addr, PAGES(r.nr), PAGES(r.nr),
			       MREMAP_MAYMOVE | MREMAP_FIXED, base + PAGES(to));
	if (at < 0)
		return;
	memcpy(moved, &o->slots[r.first], sizeof(moved));
	for (uint64_t i = 0; i < r.nr; i++)
		o->slots[r.first + i].kind = NOTHING;
	for (uint64_t i = 0; i < r.nr; i++)
		if (moved[i].kind != NOTHING) /* a hole moves nothing over what stands there */
			o->slots[to + i] = moved[i];
}

static void step_truncate(struct model *o)
{
	int file = (int)pick(o, 2);
	uint64_t size = pick(o, FILE_PAGES + 1);
	EXPECT_EQ(mapping_truncate(o->w->mappings[file], PAGES(size)), 0);
	for (uint64_t i = size; i < FILE_PAGES; i++)
		o->cache[file][i] = -1;
	for (int i = 0; i < SPAN; i++) {
		struct slot *s = &o->slots[i];
		if (s->kind == PRIVATE_FILE && s->file == file && s->index >= size)
			s->own = -1;
	}
	o->size[file] = size;
}

static void step_punch(struct model *o)
{
	int file = (int)pick(o, 2);
	uint64_t first = pick(o, FILE_PAGES), end = first + 1 + pick(o, FILE_PAGES - first);
	EXPECT_EQ(mapping_punch(o->w->mappings[file], PAGES(first), PAGES(end)), 0);
	for (uint64_t i = first; i < end; i++)
		o->cache[file][i] = -1;
}

static void step_dontneed(struct model *o)
{
	struct range r = pick_range(o);
	mm_madvise(o->w->mm, r.addr, PAGES(r.nr), MADV_DONTNEED); /* goes on over holes */
	for (uint64_t i = 0; i < r.nr; i++)
		o->slots[r.first + i].own = o->slots[r.first + i].frame = -1;
}

static void step_store(struct model *o)
{
	uint64_t i = pick(o, SPAN);
	int byte = 1 + (int)pick(o, 255);
	int64_t want = model_load(o, &o->slots[i]);
	EXPECT_EQ(store(o->w, o->w->mm, base + PAGES(i), (uint8_t)byte), want < 0 ? want : 1);
	model_store(o, &o->slots[i], byte);
}

static void step_write(struct model *o)
{
	int file = (int)pick(o, 2);
	uint64_t index = pick(o, FILE_PAGES);
	uint8_t byte = (uint8_t)pick(o, 256);
	EXPECT_EQ(mapping_write(o->w->mappings[file], PAGES(index), &byte, 1), 1);
	if (index >= o->size[file]) /* now whole pages again */
		EXPECT_EQ(mapping_truncate(o->w->mappings[file], PAGES(index + 1)), 0);
	if (index >= o->size[file])
		o->size[file] = index + 1;
	o->frames[frame_of(o, file, index)] = byte;
}

/* A child that must see the same, writes over it, and goes. */
static void step_fork(struct model *o)
{
	mm *child = fork_mm(o->w, o->w->mm);
	for (uint64_t i = 0; i < SPAN; i++) {
		struct slot *s = &o->slots[i];
		uint8_t byte = (uint8_t)pick(o, 256);
		EXPECT_EQ(load(o->w, child, base + PAGES(i)), model_load(o, s));
		if (pick(o, 3) || model_load(o, s) < 0)
			continue;
		EXPECT_EQ(store(o->w, child, base + PAGES(i), byte), 1);
		if (s->kind == SHARED_FILE || s->kind == SPECIAL)
			model_store(o, s, byte);
	}
	CHECK(o->w);
	drop_mm(o->w, child);
	o->w->nr_mms--;
}

static void (*const steps[])(struct model *o) = {
	step_map,   step_unmap,    step_remap,    step_remap, step_remap,
	step_move,  step_truncate, step_truncate, step_punch, step_dontneed,
	step_store, step_store,    step_store,    step_write, step_fork,
};

static void run(struct world *w, uint32_t seed)
{
	static struct model o;
	o = (struct model){ .w = w, .seed = seed };
	for (int file = 0; file < 2; file++) {
		memory_file(w, FILE_PAGES);
		o.size[file] = FILE_PAGES;
		for (int i = 0; i < FILE_PAGES; i++) {
			o.cache[file][i] = o.nr_frames++;
			o.frames[o.cache[file][i]] = store_byte((uint64_t)file, (uint64_t)i);
		}
	}
	machine_tunables(w->m)->overcommit_memory = 1;
	for (int i = 0; i < draws(STEPS) && !failures; i++) {
		uint64_t which = pick(&o, sizeof(steps) / sizeof(steps[0]));
		steps[which](&o);
		CHECK(w);
		if (!pick(&o, 4))
			compare(&o);
		if (failures)
			printf("  (seed %u, step %d, kind %lu)\n", seed, i, which);
	}
	compare(&o);
}

#ifndef SEED_OFFSET /* -DSEED_OFFSET=n: other runs */
#define SEED_OFFSET 0
#endif

static void agrees_with_the_model(struct world *w)
{
	for (uint32_t seed = 1; seed <= 3 && !failures; seed++) {
		struct world inner;
		world_begin(&inner, w->rmap, w->m->nrpte);
		run(&inner, seed + SEED_OFFSET);
		world_end(&inner);
	}
}

TESTS(TEST(agrees_with_the_model))
