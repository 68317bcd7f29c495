/*
 * forks.c - a process that forks again and again over memory it has touched.
 *
 * usage: forks [children [pages [touched]]]; each child writes `touched` pages and ends with a
 * code that its parent knows.
 */
#include "raw.h"

static long number(int argc, char **argv, int which, long otherwise)
{
	return argc > which ? atol(argv[which]) : otherwise;
}

static int child(uint32_t *pages, long nr_pages, long touched, long me)
{
	uint32_t sum = 0;

	for (long i = 0; i < touched; i++)
		pages[(me * 13 + i * 7) % nr_pages * (PAGE / 4)] += (uint32_t)me;
	for (long i = 0; i < nr_pages; i++)
		sum = sum * 31 + pages[i * (PAGE / 4)];
	return (int)(sum % 251);
}

int main(int argc, char **argv)
{
	long children = number(argc, argv, 1, 20), nr_pages = number(argc, argv, 2, 256);
	long touched = number(argc, argv, 3, 16);
	uint32_t *pages = (uint32_t *)map_anonymous(nr_pages * PAGE);
	uint64_t codes = 0;

	for (long i = 0; i < nr_pages; i++)
		pages[i * (PAGE / 4)] = (uint32_t)(i * i);
	for (long me = 1; me <= children; me++) {
		long pid = sys_fork();

		must(pid >= 0, "fork");
		if (pid == 0)
			sys_exit(child(pages, nr_pages, touched, me));
		codes = codes * 257 + (uint64_t)reap();
	}
	say("%ld children over %ld pages: codes %016lx, pages %016lx\n", children, nr_pages, codes,
	    checksum(pages, nr_pages * PAGE));
	return 0;
}
