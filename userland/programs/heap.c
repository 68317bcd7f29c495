/*
 * heap.c - the heap's end moved by brk, and what lies below and above it.
 */
#include "raw.h"

/* How far the heap's end is from start after brk(end). */
static long moved_to(const char *start, char *end) { return (char *)sys_brk(end) - start; }

int main(void)
{
	char *start = (char *)((sys_brk(NULL) + PAGE - 1) & -PAGE);
	unsigned char held[8];
	long zeroes = 0, now;

	say("grown: %ld\n", moved_to(start, start + 8 * PAGE));
	for (long i = 0; i < 8 * PAGE; i++)
		zeroes += !start[i];
	say("zeroes: %ld\n", zeroes);
	memset(start, 'h', 8 * PAGE);
	say("shrunk: %ld\n", moved_to(start, start + 2 * PAGE + 1));
	say("above it: %ld\n", sys_mincore(start + 3 * PAGE, PAGE, held));
	say("its last page: %ld\n", sys_mincore(start + 2 * PAGE, PAGE, held));
	now = moved_to(start, start + 8 * PAGE);
	say("grown again: %ld, byte %d, byte %d\n", now, start[2 * PAGE + 5], start[3 * PAGE]);
	say("absurd: %ld\n", moved_to(start, (char *)(1l << 60)));
	say("below the heap: %ld\n", moved_to(start, (char *)PAGE));

	must(sys_mmap(start + 16 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) >
		     0,
	     "a mapping in the way");
	say("into a mapping: %ld\n", moved_to(start, start + 20 * PAGE));
	for (int i = 0; i < 200; i++) {
		char *end = start + (i * 37 % 14 + 1) * PAGE;

		must((char *)sys_brk(end) == end, "brk");
		end[-1] = (char)i;
	}
	say("200 moves: %ld\n", moved_to(start, NULL));
	return 0;
}
