/*
 * host.c - the bench's operations on the host's own kernel.
 *
 * usage: host NAME; prints nanoseconds for one operation.  Each name has its
 * twin in core.c, which does the same on our core.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define NR_PAGES 16384ul

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(int good, const char *what)
{
	if (!good) {
		perror(what);
		exit(1);
	}
}

static int file_of_pages(unsigned long nr_pages)
{
	int fd = memfd_create("bench", 0);
	char page[PAGE];
	unsigned long i;

	must(fd >= 0, "memfd_create");
	memset(page, 1, sizeof(page));
	for (i = 0; i < nr_pages; i++)
		must(write(fd, page, PAGE) == (ssize_t)PAGE, "write");
	return fd;
}

static char *map_shared(int fd, unsigned long nr_pages)
{
	char *p = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(p != MAP_FAILED, "mmap");
	return p;
}

/* A permutation without neighbours: page i of the window shows page scatter(i). */
static unsigned long scatter(unsigned long i) { return (i * 5 + 3) % NR_PAGES; }

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static double bench_remap(void)
{
	int fd = file_of_pages(NR_PAGES);
	char *p = map_shared(fd, NR_PAGES);
	double start = now_ns();
	unsigned long i;

	for (i = 0; i < NR_PAGES; i++)
		must(remap_file_pages(p + i * PAGE, PAGE, 0, scatter(i), 0) == 0,
		     "remap_file_pages");
	return (now_ns() - start) / NR_PAGES;
}

static double bench_mmap(void)
{
	unsigned long i, n = 200000;
	double start = now_ns();

	for (i = 0; i < n; i++) {
		char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		must(p != MAP_FAILED && munmap(p, PAGE) == 0, "mmap");
	}
	return (now_ns() - start) / (double)n;
}

/* Stores, because a load would map the fifteen pages around it too. */
static double bench_fault(void)
{
	int fd = file_of_pages(NR_PAGES);
	double best_of = 0;
	int pass;

	for (pass = 0; pass < 2; pass++) {
		volatile char *p = map_shared(fd, NR_PAGES);
		double start = now_ns();
		unsigned long i;

		for (i = 0; i < NR_PAGES; i++)
			p[i * PAGE] = 1;
		best_of = (now_ns() - start) / NR_PAGES;
		munmap((void *)p, NR_PAGES * PAGE);
	}
	return best_of;
}

static double touch_once(void)
{
	volatile char *p = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double start, time;
	unsigned long i;

	must(p != MAP_FAILED, "mmap");
	madvise((void *)p, NR_PAGES * PAGE, MADV_NOHUGEPAGE);
	start = now_ns();
	for (i = 0; i < NR_PAGES; i++)
		p[i * PAGE] = 1;
	time = (now_ns() - start) / NR_PAGES;
	munmap((void *)p, NR_PAGES * PAGE);
	return time;
}

static double bench_touch(void)
{
	touch_once();
	return touch_once();
}

static void fork_and_exit(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	must(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
}

/* One-page VMAs as a program without remap_file_pages makes them. */
static double bench_fork(void)
{
	int fd = file_of_pages(NR_PAGES), i, n = 5;
	char *p = map_shared(fd, NR_PAGES);
	unsigned long page;
	double start;

	for (page = 0; page < NR_PAGES; page++) {
		volatile char *at = mmap(p + page * PAGE, PAGE, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_FIXED, fd, (off_t)(scatter(page) * PAGE));

		must(at != MAP_FAILED, "mmap fixed");
		*at = 1;
	}
	fork_and_exit();
	start = now_ns();
	for (i = 0; i < n; i++)
		fork_and_exit();
	return (now_ns() - start) / n;
}

static double bench_truncate(void)
{
	int fd = file_of_pages(NR_PAGES);
	volatile char *p = map_shared(fd, NR_PAGES);
	unsigned long i;
	double start;

	for (i = 0; i < NR_PAGES; i++)
		p[i * PAGE] = 1;
	start = now_ns();
	must(ftruncate(fd, 0) == 0, "ftruncate");
	return now_ns() - start;
}

static const struct {
	const char *name;
	double (*run)(void);
} benches[] = {
	{ "remap", bench_remap }, { "mmap", bench_mmap }, { "fault", bench_fault },
	{ "touch", bench_touch }, { "fork", bench_fork }, { "truncate", bench_truncate },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc == 2 && i < sizeof(benches) / sizeof(benches[0]); i++)
		if (!strcmp(argv[1], benches[i].name)) {
			printf("%.3f\n", benches[i].run());
			return 0;
		}
	fprintf(stderr, "usage: host remap|mmap|fault|touch|fork|truncate\n");
	return 2;
}
