/*
 * mremap.c - mappings that grow, shrink and move, and realloc, which is built on them.
 */
#include "raw.h"

static void fill(char *start, long nr_pages, int seed)
{
	for (long i = 0; i < nr_pages; i++)
		memset(start + i * PAGE, (int)(seed + i * 7) & 127, PAGE);
}

static bool holds(const char *start, long nr_pages, int seed)
{
	for (long i = 0; i < nr_pages; i++)
		for (long byte = 0; byte < PAGE; byte += 511)
			if (start[i * PAGE + byte] != ((seed + i * 7) & 127))
				return false;
	return true;
}

static char *moved(char *from, long old_pages, long new_pages, int flags, void *to)
{
	long at = sys_mremap(from, old_pages * PAGE, new_pages * PAGE, flags, to);

	must(at > 0, "mremap");
	return (char *)at;
}

static void anonymous(void)
{
	char *place = map(64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *p = moved(map_anonymous(4 * PAGE), 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, place);

	fill(p, 4, 1);
	say("in place, over a neighbour: %ld\n", sys_mremap(p, 4 * PAGE, 6 * PAGE, 0, NULL));
	sys_munmap(place + 4 * PAGE, 60 * PAGE);
	say("in place: %d\n", moved(p, 4, 8, 0, NULL) == p && holds(p, 4, 1) && !p[7 * PAGE]);
	p = moved(p, 8, 3, 0, NULL);
	say("shrunk: %d, holds %d\n", p == place, holds(p, 3, 1));
	say("the rest is gone: %ld\n", sys_madvise(p + 3 * PAGE, PAGE, MADV_NORMAL));
	p = moved(p, 3, 5, MREMAP_MAYMOVE | MREMAP_FIXED, place + 20 * PAGE);
	say("moved: %d, holds %d\n", p == place + 20 * PAGE, holds(p, 3, 1));
	say("onto itself: %ld\n",
	    sys_mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE));
	say("misaligned: %ld\n", sys_mremap(p + 1, PAGE, PAGE, 0, NULL));
	say("nothing there: %ld\n", sys_mremap(place, PAGE, 2 * PAGE, MREMAP_MAYMOVE, NULL));
}

static void shared(void)
{
	int file = file_of_letters(6, 'a');
	char *p = map(2 * PAGE, RW, MAP_SHARED, file), *twin;

	p = moved(p, 2, 6, MREMAP_MAYMOVE, NULL);
	say("a file's view grows: %c%c\n", p[0], p[5 * PAGE]);
	twin = moved(p + 2 * PAGE, 0, 2, MREMAP_MAYMOVE, NULL);
	twin[0] = '*';
	say("a second view of it: %c%c\n", p[2 * PAGE], twin[PAGE]);
}

/* A heap of buffers that grow and shrink in an order of their own. */
static void reallocations(void)
{
	static char *buffers[16];
	static long sizes[16];
	uint32_t dice = 12345;

	for (int turn = 0; turn < 200; turn++) {
		int i = (int)((dice = dice * 1103515245 + 12345) >> 16) % 16;
		long size = (long)(dice >> 8) % 300000 + 1,
		     kept = size < sizes[i] ? size : sizes[i];
		char *p = realloc(buffers[i], (size_t)size);

		must(p != NULL, "realloc");
		for (long byte = 0; byte < kept; byte += 997)
			must(p[byte] == (char)(i + byte), "realloc keeps the bytes");
		for (long byte = 0; byte < size; byte++)
			p[byte] = (char)(i + byte);
		buffers[i] = p;
		sizes[i] = size;
	}
	for (int i = 0; i < 16; i++)
		say("%d: %ld %016lx\n", i, sizes[i], checksum(buffers[i], sizes[i]));
}

int main(void)
{
	anonymous();
	shared();
	reallocations();
	return 0;
}
