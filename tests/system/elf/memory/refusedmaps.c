/*
 * What a refused mmap or munmap leaves of the mappings in its place: Linux splits them at both ends
 * before it looks at seals and limits, and unmaps what was there before it asks the file.
 */
#define _GNU_SOURCE
#include "../parts.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { PAGE = 4096, READ_WRITE = PROT_READ | PROT_WRITE, MSEAL = 462, MEMFD_SECRET = 447 };
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

static void show_file(const char *what, int fd, size_t pages, int flags, long offset)
{
	map(0, 8, READ_WRITE);
	void *at = mmap(place + 2 * PAGE, pages * PAGE, PROT_READ, flags | MAP_FIXED, fd, offset);
	show(what, at == MAP_FAILED ? -errno : 0);
}

static void sockets(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), ends[2];
	show_file("udp", fd, 3, MAP_SHARED, 0);
	show_file("too far in udp", fd, 3, MAP_SHARED, (long)(~0ul >> 1) & -PAGE);
	show_file("unix", socket(AF_UNIX, SOCK_STREAM, 0), 3, MAP_PRIVATE, 0);
	pipe(ends);
	show_file("a pipe", ends[0], 3, MAP_PRIVATE, 0);
}

static void kernel_files(void)
{
	const char *paths[] = { "/proc/meminfo",
				"/proc/self/maps",
				"/proc/mounts",
				"/proc/sys/vm/swappiness",
				"/sys/devices/system/cpu/online",
				"/proc" };
	for (unsigned long i = 0; i < sizeof paths / sizeof *paths; i++)
		show_file(paths[i], open(paths[i], O_RDONLY), 3, MAP_PRIVATE, 0);
}

static void secret(void)
{
	int fd = call(MEMFD_SECRET, 0, 0, 0, 0, 0, 0);
	ftruncate(fd, 8 * PAGE);
	show_file("private", fd, 3, MAP_PRIVATE, 0);
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 2 * PAGE, 2 * PAGE });
	setuid(1000);
	show_file("more than may be locked", fd, 3, MAP_SHARED, 0);
	show_file("as much", fd, 2, MAP_SHARED, 0);
}

int main(void)
{
	place = mmap(NULL, 100 * PAGE, PROT_NONE, ANONYMOUS, -1, 0);
	munmap(place, 100 * PAGE);
	part("the address space", address_space);
	part("the commit limit", commitment);
	part("seals", seals);
	part("sockets", sockets);
	part("files of the kernel", kernel_files);
	part("secret memory", secret);
	return 0;
}
