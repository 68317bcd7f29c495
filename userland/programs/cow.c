/*
 * cow.c - copy on write over a tree of processes: each changes its own pages and nobody else's.
 */
#include "raw.h"

#define NR_PAGES 64
#define DEPTH 4

static uint32_t *pages;
static uint64_t *sums; /* shared with all: one slot for each process of the tree */

/* Change every third page from the process's own number on. */
static void scribble(uint32_t number)
{
	for (uint32_t i = number % 3; i < NR_PAGES; i += 3)
		pages[i * (PAGE / 4) + number % 1000] += number * 40503u + i;
}

/* The binary tree's node `number` has the children 2n and 2n + 1. */
static void grow(uint32_t number, int depth)
{
	uint64_t before;

	scribble(number);
	before = checksum(pages, NR_PAGES * PAGE);
	for (uint32_t child = 2 * number; depth && child <= 2 * number + 1; child++) {
		long pid = sys_fork();

		must(pid >= 0, "fork");
		if (pid == 0) {
			grow(child, depth - 1);
			sys_exit(0);
		}
	}
	for (int i = 0; depth && i < 2; i++)
		must(reap() == 0, "a child");
	must(checksum(pages, NR_PAGES * PAGE) == before, "a child's store is seen here");
	sums[number] = before;
}

/* The same without fork: what node `number` must have seen. */
static uint64_t expected(uint32_t number)
{
	uint32_t path[32];
	int length = 0;

	memset(pages, 0, NR_PAGES * PAGE);
	for (uint32_t node = number; node; node /= 2)
		path[length++] = node;
	while (length)
		scribble(path[--length]);
	return checksum(pages, NR_PAGES * PAGE);
}

int main(void)
{
	int agree = 0;

	pages = (uint32_t *)map_anonymous(NR_PAGES * PAGE);
	sums = (uint64_t *)map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	grow(1, DEPTH);
	for (uint32_t number = 1; number < 2u << DEPTH; number++)
		agree += expected(number) == sums[number];
	say("%d processes of %d agree\n", agree, (2 << DEPTH) - 1);
	say("all: %016lx\n", checksum(sums, PAGE));
	return agree != (2 << DEPTH) - 1;
}
