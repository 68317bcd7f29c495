/* Draws from a seed, and memory whose next page is not there: for programs of random steps. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define N(table) (sizeof(table) / sizeof(*(table)))

static uint32_t state;

/* Return a number below a bound, the next of the seed that state holds. */
static inline unsigned chance(unsigned below)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % below;
}

/* Return FNV-1a of n bytes. */
static inline unsigned hash(const unsigned char *at, long n)
{
	unsigned h = 2166136261;
	while (n-- > 0)
		h = (h ^ *at++) * 16777619;
	return h;
}

/* Return memory of whole pages, filled with 7, before a page that nothing may touch. */
static inline unsigned char *fenced(size_t bytes)
{
	unsigned char *at =
		mmap(0, bytes + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(at + bytes, 4096, PROT_NONE);
	memset(at, 7, bytes);
	return at;
}
