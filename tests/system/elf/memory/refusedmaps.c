/*
 * What a refused mmap or munmap leaves of the mappings in its place: Linux splits them at both ends
 * before it looks at seals and limits.
 */
#define _GNU_SOURCE
#include "../parts.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { PAGE = 4096, READ_WRITE = PROT_READ | PROT_WRITE, MSEAL = 462 };
enum { ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS, HERE = ANONYMOUS | MAP_FIXED };

static char *place;

static long map(long first, size_t pages, int prot)
{
	void *at = mmap(place + first * PAGE, pages * PAGE, prot, HERE, -1, 0);
	return at == MAP_FAILED ? -errno : 0;
}

/* Which pages of the place each line of maps has. */
static void show(const char *what, long outcome)
{
	char line[300], prot[5];
	unsigned long start, end, first = (unsigned long)place;
	FILE *maps = fopen("/proc/self/maps", "r");
	printf("%s %ld:", what, outcome);
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %4s", &start, &end, prot) == 3 && end > first &&
		    start < first + 100 * PAGE)
			printf(" %ld-%ld%s", (long)(start - first) / PAGE,
			       (long)(end - first) / PAGE, prot);
	printf("\n");
	fclose(maps);
}

static void limit_address_space(long pages_more)
{
	unsigned long size = strtoul(content("/proc/self/statm"), NULL, 10) + pages_more;
	setrlimit(RLIMIT_AS, &(struct rlimit){ size * PAGE, RLIM_INFINITY });
}

static void address_space(void)
{
	map(0, 4, READ_WRITE);
	map(6, 4, READ_WRITE);
	limit_address_space(0);
	show("one page too many", map(2, 3, READ_WRITE));
	show("within one", map(7, 3, PROT_READ));
	show("over a hole", map(1, 7, READ_WRITE));
	show("no more than before", map(1, 2, PROT_NONE));
}

static void commitment(void)
{
	map(0, 4, READ_WRITE);
	show("more than there is", map(1, 1ul << 34, READ_WRITE));
	show("the same, not to be written", map(1, 1ul << 34, PROT_READ) ? -1 : 0);
}

static void seals(void)
{
	map(0, 12, READ_WRITE);
	call(MSEAL, (long)(place + 4 * PAGE), 2 * PAGE, 0, 0, 0, 0);
	show("sealed within", map(2, 8, READ_WRITE));
	show("it ends in the sealed", map(3, 2, READ_WRITE));
	show("it begins there", map(5, 3, READ_WRITE));
	show("munmap", result(munmap(place + PAGE, 4 * PAGE)));
	show("munmap behind", result(munmap(place + 5 * PAGE, 4 * PAGE)));
	show("munmap within", result(munmap(place + 4 * PAGE, PAGE)));
}

int main(void)
{
	place = mmap(NULL, 100 * PAGE, PROT_NONE, ANONYMOUS, -1, 0);
	munmap(place, 100 * PAGE);
	part("the address space", address_space);
	part("the commit limit", commitment);
	part("seals", seals);
	return 0;
}
