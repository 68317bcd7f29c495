// PAGEMAP_SCAN and PROCMAP_QUERY: random scans of every kind of memory, and every odd argument.
// Prints what Linux 6.18 prints; as root or not.
#define _GNU_SOURCE
#include "uffd.h"

struct query {
	uint64_t size, flags, addr, start, end, vma_flags, page_size, offset, inode;
	uint32_t major, minor, name_size, id_size;
	uint64_t name_addr, id_addr;
};
#define QUERY _IOWR('f', 17, struct query)

static int pagemap_fd, maps_fd;
static ul base;
static unsigned seed = 1;

static unsigned below(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void scan(struct scan s)
{
	struct region regions[8];
	memset(regions, 0, sizeof regions);
	s.size = sizeof s;
	if (s.vec_len)
		s.vec = (ul)regions;
	long found = ioctl(pagemap_fd, SCAN, &s);
	printf("%lx %lx-%lx %lx %lx:%lx:%lx:%lx %lx = ", (ul)s.flags, (ul)(s.start - base) / P,
	       (ul)(s.end - base) / P, (ul)s.max_pages, (ul)s.inverted, (ul)s.mask, (ul)s.anyof,
	       (ul)s.returned, (ul)s.vec_len);
	if (found < 0)
		printf("%s ", strerrorname_np(errno));
	else
		printf("%ld ", found);
	for (long i = 0; i < found; i++)
		printf("[%lx-%lx %lx]", (ul)(regions[i].start - base) / P,
		       (ul)(regions[i].end - base) / P, (ul)regions[i].categories);
	if (found >= 0)
		printf(" to %lx", (ul)(s.walk_end - base) / P);
	puts("");
}

#define NR 40

static char *all_kinds(int fd)
{
	char *room = mmap(NULL, (NR + 1024) * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = (char *)(((ul)room + (2 << 20) - 1) & ~((2ul << 20) - 1)); // one table for all
	int file = memfd_create("x", 0), flags = MAP_FIXED;
	munmap(room, (NR + 1024) * P);
	ftruncate(file, 8 * P);
	mmap(at, 10 * P, RW, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mmap(at + 12 * P, 8 * P, RW, flags | MAP_SHARED, file, 0);
	mmap(at + 20 * P, 8 * P, RW, flags | MAP_PRIVATE, file, 0);
	mmap(at + 28 * P, 4 * P, PROT_READ, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mmap(at + 32 * P, 4 * P, RW, flags | MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(at + P, 1, 3 * P);
	touch(at + 6 * P, 0);
	madvise(at + 8 * P, P, 102);
	memset(at + 13 * P, 1, 2 * P);
	touch(at + 21 * P, 0);
	at[22 * P] = 1;
	touch(at + 29 * P, 0);
	at[33 * P] = 1;
	watch(fd, at, 10, PROTECT);
	watch(fd, at + 12 * P, 16, PROTECT);
	protect(fd, at + 2 * P, 4, 1);
	protect(fd, at + 14 * P, 3, 1);
	return at;
}

static void random_scans(int fd)
{
	char *at = all_kinds(fd);
	base = (ul)at;
	for (int i = 0; i < 150; i++) {
		struct scan s = { .start = base + below(NR) * P, .vec_len = below(5) };
		s.end = s.start + below(NR) * P;
		s.flags = below(3) ? 0 : below(4);
		s.max_pages = below(2) ? 0 : below(6);
		s.mask = below(2) ? 0 : 1u << below(9);
		s.anyof = below(2) ? 0 : below(512);
		s.inverted = below(3) ? 0 : below(512);
		s.returned = below(3) ? 511 : below(512);
		if (!below(4))
			s.mask = s.returned = 2, s.anyof = s.inverted = 0;
		scan(s);
		char *place = at + below(NR) * P;
		if (below(2))
			touch(place, 1 + (int)below(9));
		else if (!below(3))
			madvise(place, P, MADV_DONTNEED);
	}
}

static void odd_scans(void)
{
	struct scan good = { .start = base, .end = base + 4 * P, .vec_len = 8, .returned = 511 };
	struct scan s = good;
	s.start++;
	scan(s);
	s = good;
	s.end++;
	scan(s);
	s = good;
	s.end = s.start;
	scan(s);
	s = good;
	s.end = s.start - P;
	scan(s);
	s = good;
	s.flags = 4;
	scan(s);
	s = good;
	s.mask = 512;
	scan(s);
	s.size = sizeof s - 8;
	s.mask = 0;
	SAY("size", ioctl(pagemap_fd, SCAN, &s));
	s.size = sizeof s;
	s.vec = 0;
	SAY("no vector", ioctl(pagemap_fd, SCAN, &s));
	s.vec = 8;
	SAY("bad vector", ioctl(pagemap_fd, SCAN, &s));
	SAY("bad struct", ioctl(pagemap_fd, SCAN, 8));
	SAY("unknown", ioctl(pagemap_fd, _IO('f', 99), 0));
	puts("");
}

static void ask(struct query q)
{
	char name_here[300] = "-", id[40];
	if (!q.size)
		q.size = sizeof q;
	if (q.name_size)
		q.name_addr = (ul)name_here;
	if (q.id_size)
		q.id_addr = (ul)id;
	int result = ioctl(maps_fd, QUERY, &q);
	int near = q.start >= base && q.end <= base + 16 * P; // what else is there is the host's
	printf("%lx %lx %d: ", (ul)q.flags, q.addr - base < 16 * P ? (ul)(q.addr - base) : 1,
	       q.name_size ? 1 : 0);
	if (!(q.flags & 0x10) && (result || near))
		printf("%s ", name(result));
	if (!result && near)
		printf("%lx-%lx %lx %lx %lx %s %d %d", (ul)(q.start - base), (ul)(q.end - base),
		       (ul)q.vma_flags, (ul)q.page_size, (ul)q.offset, name_here, q.name_size,
		       q.id_size);
	puts("");
}

static void queries(void)
{
	int file = memfd_create("longer-name", 0);
	char *room = mmap(NULL, 16 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int at_there = MAP_FIXED;
	base = (ul)room;
	munmap(room, 16 * P);
	ftruncate(file, 8 * P);
	mmap(room, 2 * P, RW, at_there | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mmap(room + 3 * P, 2 * P, RW, at_there | MAP_SHARED, file, 4 * P);
	mmap(room + 6 * P, 2 * P, PROT_READ, at_there | MAP_PRIVATE, file, 0);
	mmap(room + 9 * P, 2 * P, PROT_READ, at_there | MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (ul page = 0; page < 11; page++)
		for (ul flags = 0; flags < 64; flags += page % 3 ? 13 : 1)
			ask((struct query){
				.flags = flags, .addr = base + page * P, .name_size = 300 });
	ask((struct query){ .flags = 64, .addr = base });
	ask((struct query){ .addr = base + 3 * P, .name_size = 3 });
	ask((struct query){ .addr = base + 3 * P, .name_size = 28 });
	ask((struct query){ .addr = base + 3 * P, .name_size = 29 });
	ask((struct query){ .addr = base + 3 * P, .name_addr = base });
	ask((struct query){ .addr = base + 3 * P, .id_addr = base });
	ask((struct query){ .addr = base + 3 * P, .id_size = 20 });
	ask((struct query){ .addr = base, .size = 23 });
	ask((struct query){ .addr = base, .size = 24 });
	ask((struct query){ .addr = base, .size = 5000 });
	ask((struct query){ .addr = (ul)random_scans, .id_size = 40 });
	ask((struct query){ .addr = 0xffffffffff600000, .name_size = 300 });
	SAY("unknown", ioctl(maps_fd, _IO('f', 99), 0));
	SAY("bad struct", ioctl(maps_fd, QUERY, 8));
	int smaps = open("/proc/self/smaps", O_RDONLY);
	struct query q = { .size = sizeof q, .addr = base };
	SAY("smaps", ioctl(smaps, QUERY, &q));
	puts("");
}

/* Where no table is: whether it counts as written depends on who watches. */
static void holes(void)
{
	static const int features[] = { 0, UFFD_FEATURE_WP_UNPOPULATED, UFFD_FEATURE_WP_ASYNC };
	int file = memfd_create("x", 0), fd;
	ul room = (ul)0x200000000;
	ftruncate(file, 4 * P);
	for (int kind = 0; kind < 9; kind++)
		for (int mode = MISSING; mode <= (MISSING | PROTECT); mode++) {
			int flags = kind % 3 ? MAP_PRIVATE >> (kind % 3 - 1)
					     : MAP_PRIVATE | MAP_ANONYMOUS;
			base = room += 0x40000000;
			char *at = mmap((char *)room, 4 * P, RW, flags | MAP_FIXED, file, 0);
			fd = new_fd(features[kind / 3]);
			SAY("register", watch(fd, at, 4, mode));
			scan((struct scan){ .start = base,
					    .end = base + 4 * P,
					    .vec_len = 8,
					    .returned = 0xff });
			scan((struct scan){ .flags = 1,
					    .start = base,
					    .end = base + 4 * P,
					    .vec_len = 8,
					    .mask = 2,
					    .returned = 0xff });
			close(fd);
			scan((struct scan){ .start = base,
					    .end = base + 4 * P,
					    .vec_len = 8,
					    .returned = 0xff });
			munmap(at, 4 * P);
		}
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
	maps_fd = open("/proc/self/maps", O_RDONLY);
	random_scans(new_fd(UFFD_FEATURE_WP_ASYNC));
	odd_scans();
	queries();
	holes();
	return 0;
}
