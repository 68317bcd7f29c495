// Pages of a memory file that fallocate() has in store: holes to all who look, until they are used.
// Prints what Linux 6.18 prints.
#define _GNU_SOURCE
#include "uffd.h"
#include <sys/sendfile.h>

#define NR 12
#define HERE 0x10000000ul
#define CACHESTAT 451

static int fd, pagemap_fd;
static char *at;

static void show(const char *after)
{
	unsigned char there[NR];
	struct stat s;
	struct {
		ul offset, length;
	} range = { 0, NR * P };
	ul cached[5] = { 0 };
	mincore(at, NR * P, there);
	fstat(fd, &s);
	syscall(CACHESTAT, fd, &range, cached, 0);
	printf("%s: ", after);
	for (int i = 0; i < NR; i++)
		putchar('0' + (there[i] & 1));
	printf(" blocks %ld cached %ld data", (long)s.st_blocks / 8, cached[0]);
	for (long hole = 0, data; (data = lseek(fd, hole, SEEK_DATA)) >= 0;) {
		hole = lseek(fd, data, SEEK_HOLE);
		printf(" %lx-%lx", data, hole);
	}
	puts("");
}

static void show_mapped(void)
{
	uint64_t word[NR];
	pread(pagemap_fd, word, sizeof word, (ul)at / P * 8);
	for (int i = 0; i < NR; i++)
		printf("%lx ", (ul)word[i] >> 55);
	puts("");
}

/* Where what is mapped around a fault does not depend on the address. */
static char *map(ul where, int protection, int flags)
{
	return mmap((void *)where, NR * P, protection, flags | MAP_FIXED, fd, 0);
}

static void new_file(int flags)
{
	fd = memfd_create("x", 0);
	fallocate(fd, 0, 0, NR * P);
	at = map(HERE, RW, MAP_SHARED | flags);
}

static void used_one_by_one(void)
{
	char bytes[10];
	fd = memfd_create("x", 0);
	ftruncate(fd, NR * P);
	at = map(HERE, RW, MAP_SHARED);
	show("new");
	fallocate(fd, 0, 0, 10 * P);
	show("allocated");
	pread(fd, bytes, sizeof bytes, 0);
	show("read");
	pwrite(fd, "a", 1, P);
	show("written");
	(void)*(volatile char *)(at + 2 * P);
	show("loaded");
	at[3 * P] = 1;
	show("stored");
	madvise(at + 4 * P, P, MADV_WILLNEED);
	show("will be needed");
	madvise(at + 5 * P, P, MADV_POPULATE_READ);
	show("populated");
	char *own = map(HERE * 2, RW, MAP_PRIVATE);
	(void)*(volatile char *)(own + 6 * P);
	own[7 * P] = 1;
	show("a private mapping's");
}

static void cut_and_moved(void)
{
	int line[2], null = open("/dev/null", O_WRONLY);
	loff_t from = 8 * P, then = 9 * P;
	pipe(line);
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, P + 100, P);
	show("punched");
	NUM("splice", splice(fd, &from, line[1], NULL, P, 0));
	NUM("sendfile", sendfile(null, fd, &then, P));
	show("sent");
	fallocate(fd, FALLOC_FL_KEEP_SIZE, 10 * P, 4 * P);
	show("allocated beyond the end");
	ftruncate(fd, 14 * P);
	show("longer");
	ftruncate(fd, 9 * P + 5);
	show("shorter");
	fallocate(fd, 0, 4 * P, P);
	show("allocated again");
	show_mapped();
	fallocate(fd, 0, 0, NR * P);
	show("all");
}

static void around(void)
{
	munmap(at, NR * P);
	at = map(HERE, PROT_READ, MAP_SHARED);
	(void)*(volatile char *)at;
	show_mapped();
	new_file(0);
	at[3 * P] = 1;
	munmap(at, NR * P);
	at = map(HERE, PROT_READ, MAP_SHARED);
	(void)*(volatile char *)at;
	show_mapped();
	show("around");
	new_file(MAP_POPULATE);
	show("populated");
	new_file(0);
	mlock(at, 3 * P);
	show("locked");
}

int main(void)
{
	pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
	used_one_by_one();
	cut_and_moved();
	around();
	return 0;
}
