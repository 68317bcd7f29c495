/*
 * core.c - the bench's operations on our core, called from C.
 *
 * usage: core NAME [DESIGN]; prints nanoseconds for one operation, with a
 * reverse map of enum rmap_design where one is named.  Compiled together
 * with the C files of kernel/core; the twins of host.c, and what is measured
 * alone.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core_api.h"

#define PAGE 4096ul
#define NR_PAGES 16384ul

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int64_t must(int64_t result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "%s: %ld\n", what, (long)result);
		exit(1);
	}
	return result;
}

struct bench {
	machine *machine;
	mm *mm;
	mapping *mapping;
	file *file;
};

static const struct limits unlimited = { ~0ul, ~0ul, 8ul << 20, ~0ul, 1, 0 };
static const struct layout usual = { 0x7ffffffff000, 0x7ffff7fff000, 0x555555560000,
				     0x7ffffffff000 };

static uint64_t design = RMAP_OBJRMAP_TREE;

static struct bench boot_with(uint64_t nrpte, uint64_t mapping_flags)
{
	struct machine_params params = { 262144, design, nrpte, 0, 0 };
	struct bench b;

	b.machine = machine_create(&params);
	if (!b.machine)
		must(-12, "machine_create");
	must(mm_create(b.machine, &usual, &unlimited, &b.mm), "mm_create");
	b.mapping = mapping_create(b.machine, mapping_flags, 1);
	b.file = file_create(b.mapping, FILE_READ | FILE_WRITE, 1);
	return b;
}

static struct bench boot(void) { return boot_with(7, MAPPING_MEMORY); }

static void fill(struct bench *b, unsigned long nr_pages)
{
	char page[PAGE];
	unsigned long i;

	memset(page, 1, sizeof(page));
	must(mapping_truncate(b->mapping, nr_pages * PAGE), "truncate");
	for (i = 0; i < nr_pages; i++)
		must(mapping_write(b->mapping, i * PAGE, page, PAGE), "write");
}

static uint64_t map(struct bench *b, unsigned long nr_pages, uint64_t flags)
{
	file *f = flags & (MAP_ANONYMOUS | MAP_NONLINEAR) ? NULL : b->file;

	return (uint64_t)must(
		mm_mmap(b->mm, 0, nr_pages * PAGE, PROT_READ | PROT_WRITE, flags, f, 0), "mm_mmap");
}

static unsigned long scatter(unsigned long i) { return (i * 5 + 3) % NR_PAGES; }

static double bench_remap(void)
{
	struct bench b = boot();
	uint64_t p = map(&b, NR_PAGES, MAP_SHARED | MAP_NONLINEAR);
	double start;
	unsigned long i;

	machine_tunables(b.machine)->nonlinear_max_pages = ~0ul;
	fill(&b, NR_PAGES);
	start = now_ns();
	for (i = 0; i < NR_PAGES; i++)
		must(mm_remap_file_pages(b.mm, p + i * PAGE, PAGE, 0, scatter(i), 0, b.file),
		     "remap_file_pages");
	return (now_ns() - start) / NR_PAGES;
}

static double bench_mmap(void)
{
	struct bench b = boot();
	unsigned long i, n = 200000;
	double start = now_ns();

	for (i = 0; i < n; i++)
		must(mm_munmap(b.mm, map(&b, 1, MAP_PRIVATE | MAP_ANONYMOUS), PAGE), "mm_munmap");
	return (now_ns() - start) / (double)n;
}

static double touch_pages(struct bench *b, uint64_t p)
{
	double start = now_ns();
	unsigned long i;

	for (i = 0; i < NR_PAGES; i++)
		must(user_touch(b->mm, p + i * PAGE, 1, ACCESS_WRITE), "touch");
	return (now_ns() - start) / NR_PAGES;
}

static double map_and_touch(struct bench *b, uint64_t flags)
{
	uint64_t p = map(b, NR_PAGES, flags);
	double time = touch_pages(b, p);

	must(mm_munmap(b->mm, p, NR_PAGES * PAGE), "mm_munmap");
	return time;
}

static double bench_fault(void)
{
	struct bench b = boot();

	fill(&b, NR_PAGES);
	map_and_touch(&b, MAP_SHARED);
	return map_and_touch(&b, MAP_SHARED);
}

static double bench_touch(void)
{
	struct bench b = boot();

	map_and_touch(&b, MAP_PRIVATE | MAP_ANONYMOUS);
	return map_and_touch(&b, MAP_PRIVATE | MAP_ANONYMOUS);
}

/* The first touch of all: the host must still find a page for the arena. */
static double bench_touch_unbacked(void)
{
	struct bench b = boot();

	return map_and_touch(&b, MAP_PRIVATE | MAP_ANONYMOUS);
}

static void fork_and_exit(struct bench *b)
{
	mm *child;

	must(mm_fork(b->mm, &unlimited, &child), "mm_fork");
	mm_destroy(child);
}

/* The first of all is not measured: its memory is not yet backed. */
static double bench_fork(void)
{
	struct bench b = boot();
	uint64_t p = map(&b, NR_PAGES, MAP_SHARED);
	unsigned long page;
	double start;
	int i, n = 5;

	fill(&b, NR_PAGES);
	for (page = 0; page < NR_PAGES; page++)
		must(mm_mmap(b.mm, p + page * PAGE, PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_FIXED, b.file, scatter(page)),
		     "mm_mmap fixed");
	touch_pages(&b, p);
	fork_and_exit(&b);
	start = now_ns();
	for (i = 0; i < n; i++)
		fork_and_exit(&b);
	return (now_ns() - start) / n;
}

static double bench_truncate(void)
{
	struct bench b = boot();
	uint64_t p = map(&b, NR_PAGES, MAP_SHARED);
	double start;

	fill(&b, NR_PAGES);
	touch_pages(&b, p);
	start = now_ns();
	must(mapping_truncate(b.mapping, 0), "truncate");
	return now_ns() - start;
}

static double bench_translate(void)
{
	struct bench b = boot();
	uint64_t p = map(&b, 64, MAP_PRIVATE | MAP_ANONYMOUS);
	unsigned long i, n = 20000000;
	int64_t sum = 0;
	double start;

	must(user_touch(b.mm, p, 64 * PAGE, ACCESS_WRITE), "touch");
	start = now_ns();
	for (i = 0; i < n; i++)
		sum += mm_translate(b.mm, p + (i & 63) * PAGE, ACCESS_WRITE);
	must(sum, "translate");
	return (now_ns() - start) / (double)n;
}

static double bench_walk(void)
{
	struct bench b = boot();
	uint64_t p = map(&b, 64, MAP_PRIVATE | MAP_ANONYMOUS), entries[4];
	unsigned long i, n = 10000000;
	double start;

	must(user_touch(b.mm, p, 64 * PAGE, ACCESS_WRITE), "touch");
	start = now_ns();
	for (i = 0; i < n; i++)
		must(mm_walk(b.mm, p + (i & 63) * PAGE, entries), "walk");
	return (now_ns() - start) / (double)n;
}

/* ---- what the designs differ in: clean pages of a file that has a backing store ---- */

#define NRPTE 31
#define MAPPERS 101
#define WINDOWS 100

static void fetch_all(struct bench *b, unsigned long nr_pages)
{
	unsigned long i;

	must(mapping_extend(b->mapping, nr_pages * PAGE), "extend");
	for (i = 0; i < nr_pages; i++)
		must(mapping_add_page(b->mapping, i, "", 0, 0), "add_page");
}

/* Reclaim nr_pages pages; ns for each. */
static double reclaim_all(struct bench *b, unsigned long nr_pages)
{
	unsigned long freed = 0, passes = 0;
	double start = now_ns();

	while (freed < nr_pages && passes++ < 100000) {
		struct reclaim r = { nr_pages - freed, 0, 0, 0, 0, 0, { { 0, 0 } }, 0 };

		freed += (unsigned long)must(machine_reclaim(b->machine, &r), "reclaim");
	}
	must(freed < nr_pages ? -12 : 0, "reclaim ended early");
	return (now_ns() - start) / (double)nr_pages;
}

/* 100 pages, each in a VMA of its own in 101 address spaces: 10,100 VMAs. */
static double bench_unmap(void)
{
	struct bench b = boot_with(NRPTE, MAPPING_WRITEBACK);
	unsigned long i;
	mm *child;

	machine_tunables(b.machine)->fork_file_ptes = 1;
	fetch_all(&b, 2 * WINDOWS);
	for (i = 0; i < WINDOWS; i++) {
		uint64_t p = (uint64_t)must(
			mm_mmap(b.mm, 0, PAGE, PROT_READ, MAP_SHARED, b.file, 2 * i), "mmap");
		must(user_touch(b.mm, p, 1, ACCESS_READ), "touch");
	}
	for (i = 1; i < MAPPERS; i++)
		must(mm_fork(b.mm, &unlimited, &child), "fork");
	return reclaim_all(&b, 2 * WINDOWS) * 2; /* half of them are mapped */
}

static double bench_reclaim(void)
{
	const unsigned long nr = 100000;
	struct bench b = boot_with(NRPTE, MAPPING_WRITEBACK);
	uint64_t p;

	fetch_all(&b, nr);
	p = (uint64_t)must(mm_mmap(b.mm, 0, nr * PAGE, PROT_READ, MAP_SHARED, b.file, 0), "mmap");
	must(user_touch(b.mm, p, nr * PAGE, ACCESS_READ), "touch");
	return reclaim_all(&b, nr);
}

static double bench_fork_ptes(void)
{
	const unsigned long nr = 60000;
	struct bench b = boot_with(NRPTE, MAPPING_WRITEBACK);
	double start;
	uint64_t p;
	int i, n = 5;

	machine_tunables(b.machine)->fork_file_ptes = 1;
	fetch_all(&b, nr);
	p = (uint64_t)must(mm_mmap(b.mm, 0, nr * PAGE, PROT_READ, MAP_SHARED, b.file, 0), "mmap");
	must(user_touch(b.mm, p, nr * PAGE, ACCESS_READ), "touch");
	fork_and_exit(&b);
	start = now_ns();
	for (i = 0; i < n; i++)
		fork_and_exit(&b);
	return (now_ns() - start) / n;
}

static const struct {
	const char *name;
	double (*run)(void);
} benches[] = {
	{ "remap", bench_remap },
	{ "mmap", bench_mmap },
	{ "fault", bench_fault },
	{ "touch", bench_touch },
	{ "touch_unbacked", bench_touch_unbacked },
	{ "fork", bench_fork },
	{ "truncate", bench_truncate },
	{ "translate", bench_translate },
	{ "walk", bench_walk },
	{ "unmap", bench_unmap },
	{ "reclaim", bench_reclaim },
	{ "fork_ptes", bench_fork_ptes },
};

int main(int argc, char **argv)
{
	size_t i;

	if (argc == 3)
		design = strtoul(argv[2], NULL, 10);
	for (i = 0; argc >= 2 && argc <= 3 && i < sizeof(benches) / sizeof(benches[0]); i++)
		if (!strcmp(argv[1], benches[i].name)) {
			printf("%.3f\n", benches[i].run());
			return 0;
		}
	fprintf(stderr, "usage: core NAME [DESIGN]\n");
	return 2;
}
