/*
 * harness.h - what the C tests of the core share.
 *
 * A test is a function `void name(struct world *w)`; TESTS() runs each of them
 * in a new machine for every reverse map, with BLOCKS, the sizes of a chain's
 * blocks, or those that the program's words name.  w->m is the machine, w->mm
 * the first task's address space; files and further address spaces that the
 * world made are dropped at its end, when machine_check() must find nothing
 * and machine_destroy() no leak.
 */
#ifndef PKERN_HARNESS_H
#define PKERN_HARNESS_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "host.h"

#define PAGES(n) ((uint64_t)(n) << PAGE_SHIFT)
#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE_ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define SHARED_ANON (MAP_SHARED | MAP_ANONYMOUS)
#define NR_FILES 8
#define NR_MMS 4
#ifndef NR_RAM_PAGES
#define NR_RAM_PAGES 512
#endif
#ifndef BLOCKS
#define BLOCKS 7, 1 /* 3: where numbers are small (Makefile) */
#endif
#ifndef NR_TEST_NODES
#define NR_TEST_NODES 1
#endif
#define NR_STORED 1024

struct world {
	machine *m;
	mm *mm;
	mm *mms[NR_MMS]; /* mms[0] is mm; NULL: gone */
	mapping *mappings[NR_FILES];
	file *files[NR_FILES];
	uint64_t nr_files;
	uint64_t nr_mms;
	uint64_t fetched; /* pages that serve() brought */
	uint64_t rmap;    /* enum rmap_design */
	FILE *swaps[NR_SWAP_AREAS];
	uint64_t nr_swaps;
	uint8_t *stores[NR_FILES]; /* what writeback wrote: NR_STORED pages each */
	uint64_t written;          /* pages that relieve() wrote back */
	struct limits limits;
};

static int failures; /* of the running test */
static char check_report[4000];

__attribute__((format(printf, 3, 4), unused)) static void complain(const char *file, int line,
								   const char *format, ...)
{
	va_list args;
	if (failures++ > 20)
		return;
	va_start(args, format);
	printf("  %s:%d: ", file, line);
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

#define EXPECT(cond) \
	do { \
		if (!(cond)) \
			complain(__FILE__, __LINE__, "not so: %s", #cond); \
	} while (0)

#define EXPECT_EQ(value, expected) \
	do { \
		int64_t is_ = (int64_t)(value), want_ = (int64_t)(expected); \
		if (is_ != want_) \
			complain(__FILE__, __LINE__, "%s is %ld, not %ld", #value, is_, want_); \
	} while (0)

/* Nothing is wrong with the machine. */
#define CHECK(w) \
	do { \
		if (machine_check((w)->m, check_report, sizeof(check_report))) \
			complain(__FILE__, __LINE__, "machine_check:\n%s", check_report); \
	} while (0)

#define STEP(w, call, expected) \
	do { \
		EXPECT_EQ(call, expected); \
		CHECK(w); \
	} while (0)

#define UNUSED __attribute__((unused))

/* How often what is drawn by lot is drawn: ROUNDS of the environment times as often as usual. */
UNUSED static int draws(int usual)
{
	const char *rounds = getenv("ROUNDS");
	return usual * (rounds ? atoi(rounds) : 1);
}

/* From now on a fault brings the page alone that it is about. */
#define PAGE_BY_PAGE(w) ((w)->m->tunables.fault_around_bytes = PAGE_SIZE)

/* ---- files ---- */

/* The byte that the backing store has all over page index of file nr. */
UNUSED static uint8_t store_byte(uint64_t nr, uint64_t index)
{
	return (uint8_t)(1 + nr * 31 + index * 7);
}

UNUSED static file *new_file(struct world *w, uint64_t flags, uint64_t nr_pages, uint64_t mode)
{
	uint64_t nr = w->nr_files;
	mapping *mp = mapping_create(w->m, flags, nr + 1);
	file *f = file_create(mp, mode, nr + 101);
	EXPECT(mp && f);
	mapping_extend(mp, PAGES(nr_pages));
	w->mappings[nr] = mp;
	w->files[nr] = f;
	w->nr_files++;
	return f;
}

/* A file in memory whose page i is filled with store_byte(nr, i). */
UNUSED static file *memory_file(struct world *w, uint64_t nr_pages)
{
	uint64_t nr = w->nr_files;
	file *f = new_file(w, MAPPING_MEMORY, 0, FILE_READ | FILE_WRITE);
	uint8_t data[PAGE_SIZE];
	for (uint64_t i = 0; i < nr_pages; i++) {
		memset(data, store_byte(nr, i), sizeof(data));
		EXPECT_EQ(mapping_write(f->mapping, PAGES(i), data, PAGE_SIZE), PAGE_SIZE);
	}
	return f;
}

/* A file whose pages must be fetched. */
UNUSED static file *store_file(struct world *w, uint64_t nr_pages)
{
	return new_file(w, MAPPING_WRITEBACK, nr_pages, FILE_READ | FILE_WRITE);
}

/* The backing store's copy of a page, once something was written there. */
static uint8_t *stored_page(struct world *w, uint64_t nr, uint64_t index)
{
	if (!w->stores[nr]) {
		w->stores[nr] = malloc(PAGES(NR_STORED));
		for (uint64_t i = 0; i < NR_STORED; i++)
			memset(w->stores[nr] + PAGES(i), store_byte(nr, i), PAGE_SIZE);
	}
	return w->stores[nr] + PAGES(index);
}

/* Bring the page that need names. */
UNUSED static int64_t fetch(struct world *w)
{
	struct need need = *machine_need(w->m);
	w->fetched++;
	return mapping_add_page(need.mapping, need.index,
				stored_page(w, need.cookie - 1, need.index), PAGE_SIZE,
				need.truncate_count);
}

static void write_back(struct world *w, const struct reclaim_write *write)
{
	uint64_t index;
	mapping *mp = w->mappings[write->cookie - 1];
	if (mapping_dirty(mp, write->index, write->index, &index, 1) != 1)
		return;
	w->written++;
	mapping_read(mp, PAGES(index), stored_page(w, write->cookie - 1, index), PAGE_SIZE);
}

/* Reclaim until something was freed; false: nothing can be. */
UNUSED static bool relieve(struct world *w, int tries)
{
	for (int64_t priority = 12; priority >= -2; priority--) {
		struct reclaim r = { .nr_to_free = 32ul << (tries < 8 ? tries : 8),
				     .priority = priority < 0 ? 0 : (uint64_t)priority };
		int64_t freed = machine_reclaim(w->m, &r);
		for (uint64_t i = 0; i < r.nr_writes; i++)
			write_back(w, &r.writes[i]);
		EXPECT(freed != KERNEL_BUG);
		if (freed)
			return freed > 0;
	}
	machine_balanced(w->m);
	return w->m->counters.nr_free > w->m->tunables.watermark_min;
}

/* Reclaim all that can be. */
UNUSED static void squeeze(struct world *w)
{
	for (int idle = 0; idle < 4;) {
		struct reclaim r = { .nr_to_free = NR_RAM_PAGES };
		int64_t freed = machine_reclaim(w->m, &r);
		EXPECT(freed >= 0);
		for (uint64_t i = 0; i < r.nr_writes; i++)
			write_back(w, &r.writes[i]);
		idle = freed || r.nr_writes ? 0 : idle + 1; /* aging takes rounds */
	}
	CHECK(w);
}

/* Answer a need; false: it is none, or cannot be met. */
UNUSED static bool meet(struct world *w, int64_t status, int tries)
{
	if (status == NEED_PAGE) {
		int64_t err = fetch(w);
		return !err || (err == NEED_MEMORY && relieve(w, tries));
	}
	return status == NEED_MEMORY && tries < 100 && relieve(w, tries);
}

/* Evaluate call again until it needs nothing. */
#define SERVED(w, call) \
	({ \
		int64_t served_; \
		for (int tries_ = 0; (served_ = (call)) < 0 && meet(w, served_, tries_); tries_++) \
			; \
		served_; \
	})

UNUSED static void add_swap(struct world *w, uint64_t nr_slots)
{
	FILE *file = tmpfile();
	EXPECT(file && !fseek(file, (long)PAGES(nr_slots + 1) - 1, SEEK_SET) && !fputc(0, file));
	EXPECT(fflush(file) == 0);
	w->swaps[w->nr_swaps++] = file;
	EXPECT(swap_on(w->m, fileno(file), nr_slots + 1, 0) >= 0);
}

/* Batches of dirty pages, as writeback takes them. */
UNUSED static int64_t written(file *f, uint64_t first, uint64_t last, uint64_t *indexes,
			      uint64_t max)
{
	mapping_harvest(f->mapping, first, last);
	return mapping_dirty(f->mapping, first, last, indexes, max);
}

/* ---- memory ---- */

UNUSED static int64_t store(struct world *w, mm *mm, uint64_t addr, uint8_t byte)
{
	return SERVED(w, user_write(mm, addr, &byte, 1));
}

/* The byte at addr, or what the load ended with. */
UNUSED static int64_t load(struct world *w, mm *mm, uint64_t addr)
{
	uint8_t byte = 0;
	int64_t err = SERVED(w, user_read(mm, addr, &byte, 1));
	return err < 0 ? err : byte;
}

UNUSED static int64_t file_byte(file *f, uint64_t pos)
{
	uint8_t byte = 0;
	int64_t n = mapping_read(f->mapping, pos, &byte, 1);
	return n == 1 ? byte : n < 0 ? n : -ENXIO;
}

UNUSED static uint64_t map(struct world *w, uint64_t nr_pages, uint64_t prot, uint64_t flags,
			   file *f, uint64_t pgoff)
{
	int64_t at = mm_mmap(w->mm, 0, PAGES(nr_pages), prot, flags, f, pgoff);
	EXPECT(at > 0);
	return (uint64_t)at;
}

UNUSED static uint64_t nr_vmas(mm *mm) { return mm_counters(mm)->map_count; }

UNUSED static struct vma_info vma_info(mm *mm, uint64_t addr)
{
	struct vma_info info = { 0 };
	mm_vmas(mm, addr, &info, 1);
	return info;
}

UNUSED static bool is_present(mm *mm, uint64_t addr)
{
	uint64_t word = 0;
	mm_pagemap(mm, addr >> PAGE_SHIFT, 1, &word);
	return word >> 63;
}

/* ---- worlds ---- */

static const struct layout test_layout = {
	.task_size = 0x7ffffffff000,
	.mmap_base = 0x7ffff7fff000,
	.start_brk = 0x555555600000,
	.stack_top = 0x7ffffffde000,
};

UNUSED static mm *new_mm(struct world *w)
{
	mm *mm = NULL;
	EXPECT_EQ(mm_create(w->m, &test_layout, &w->limits, &mm), 0);
	w->mms[w->nr_mms++] = mm;
	return mm;
}

UNUSED static mm *fork_mm(struct world *w, mm *parent)
{
	mm *child = NULL;
	EXPECT_EQ(SERVED(w, mm_fork(parent, &w->limits, &child)), 0);
	w->mms[w->nr_mms++] = child;
	return child;
}

UNUSED static void drop_mm(struct world *w, mm *mm)
{
	for (uint64_t i = 0; i < NR_MMS; i++)
		if (w->mms[i] == mm)
			w->mms[i] = NULL;
	mm_destroy(mm);
}

UNUSED static void drop_file(struct world *w, uint64_t nr)
{
	file_put(w->files[nr]);
	mapping_put(w->mappings[nr]);
	w->files[nr] = NULL;
}

static void world_begin(struct world *w, uint64_t rmap, uint64_t nrpte)
{
	struct machine_params params = { NR_RAM_PAGES, rmap, nrpte, 1, 0, NR_TEST_NODES };
	*w = (struct world){ .m = machine_create(&params), .rmap = rmap };
	w->limits = (struct limits){
		.as = ~0ul, .data = ~0ul, .stack = 8ul << 20, .memlock = ~0ul, .may_lock = 1
	};
	w->mm = new_mm(w);
}

static void world_end(struct world *w)
{
	machine_fail_nth(w->m, 0);
	CHECK(w);
	for (uint64_t i = 0; i < NR_MMS; i++)
		if (w->mms[i])
			drop_mm(w, w->mms[i]);
	CHECK(w);
	for (uint64_t i = 0; i < w->nr_files; i++)
		if (w->files[i])
			drop_file(w, i);
	CHECK(w);
	EXPECT_EQ(machine_destroy(w->m), 0);
	for (uint64_t i = 0; i < w->nr_swaps; i++)
		fclose(w->swaps[i]);
	for (uint64_t i = 0; i < NR_FILES; i++)
		free(w->stores[i]);
}

struct test {
	const char *name;
	void (*run)(struct world *w);
};

static bool has_chains(uint64_t rmap)
{
	return rmap != RMAP_OBJRMAP_TREE && rmap != RMAP_VIRTUAL_SCAN;
}

static void run_in(const struct test *test, uint64_t rmap, uint64_t nrpte)
{
	struct world w;
	world_begin(&w, rmap, nrpte);
	test->run(&w);
	world_end(&w);
	if (failures)
		printf("  (rmap %lu, nrpte %lu)\n", rmap, nrpte);
}

/* The block sizes of chains to run with, ending with 0: the program's words, if it has any. */
static uint64_t blocks[8] = { BLOCKS };

static void take_blocks(int argc, char **argv)
{
	for (int i = 1; i < argc && i < 8; i++) {
		blocks[i - 1] = strtoul(argv[i], NULL, 10);
		blocks[i] = 0;
	}
}

static bool run_test(const struct test *test)
{
	failures = 0;
	for (uint64_t rmap = 0; rmap < NR_RMAP_DESIGNS; rmap++)
		for (int i = 0; blocks[i] && (has_chains(rmap) || !i) && !failures; i++)
			run_in(test, rmap, blocks[i]);
	printf("%s %s\n", failures ? "FAILED" : "ok", test->name);
	fflush(stdout);
	return !failures;
}

static int run_tests(const struct test *tests, uint64_t nr)
{
	uint64_t passed = 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint64_t i = 0; i < nr; i++)
		passed += run_test(&tests[i]);
	printf("%lu passed, %lu failed\n", passed, nr - passed);
	return passed == nr ? 0 : 1;
}

#define TEST(name) { #name, name }
#define TESTS(...) \
	int main(int argc, char **argv) \
	{ \
		take_blocks(argc, argv); \
		const struct test tests[] = { __VA_ARGS__ }; \
		return run_tests(tests, sizeof(tests) / sizeof(tests[0])); \
	}

#endif
