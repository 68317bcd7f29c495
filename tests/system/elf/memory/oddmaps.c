/*
 * Mappings that are legal and rare: of /dev/zero whose descriptor is closed, with flags that mean
 * nothing here, of what cannot be executed; what maps and smaps say of them. And which page tables
 * a move leaves behind that does not unmap.
 */
#define _GNU_SOURCE
#include "../results.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>

enum { SYNC = 0x80000, BYTES = 4 * 4096, TABLE = 2 << 20 };

/* The line of maps behind the addresses, and the flags. */
static void show(char *at)
{
	char line[300];
	unsigned long start, end, offset;
	int inside = 0, name = 0;
	FILE *smaps = fopen("/proc/self/smaps", "r");
	while (fgets(line, sizeof line, smaps)) {
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %n", &start, &end, &offset, &name) >= 3) {
			inside = start <= (unsigned long)at && (unsigned long)at < end;
			if (inside)
				printf("  %lu pages at %lx [%s]\n", (end - start) / 4096, offset,
				       line + name);
		}
		if (inside && !strncmp(line, "VmFlags", 7))
			puts(line);
	}
	fclose(smaps);
}

static void map(const char *what, int prot, int flags, int fd)
{
	char *at = mmap(NULL, BYTES, prot, flags, fd, 0);
	say(what, at == MAP_FAILED ? -1 : 0);
	if (at == MAP_FAILED)
		return;
	close(fd);
	if (prot & PROT_WRITE)
		at[0] = 1;
	show(at);
	say("its middle is read at random", madvise(at + 4096, 4096, MADV_RANDOM));
	show(at + 4096);
	munmap(at, BYTES);
}

static long table_kilobytes(void)
{
	static char text[8192];
	int fd = open("/proc/self/status", O_RDONLY);
	text[read(fd, text, sizeof text - 1)] = 0;
	close(fd);
	return atol(strstr(text, "VmPTE:") + 6);
}

/* In 64 tables' worth of addresses, from one place in it to another; what else there is, or nothing. */
static void moved_tables(unsigned long from, unsigned long bytes, unsigned long to, int alone)
{
	static const int anywhere = MAP_PRIVATE | MAP_ANONYMOUS;
	static char *room = (char *)0x200000000000;
	mmap(room, 64 * TABLE, PROT_NONE, anywhere | MAP_FIXED | MAP_NORESERVE, -1, 0);
	if (alone)
		munmap(room, 64 * TABLE);
	char *at = mmap(room + from, bytes, PROT_READ | PROT_WRITE, anywhere | MAP_FIXED, -1, 0);
	madvise(at, bytes, MADV_NOHUGEPAGE);
	for (unsigned long i = 0; i < bytes; i += TABLE / 4)
		at[i] = 1;
	long before = table_kilobytes();
	char *there = mremap(at, bytes, bytes, 7, room + to); /* MREMAP_DONTUNMAP, too */
	long moved = table_kilobytes();
	at[0] = 1;
	long touched = table_kilobytes();
	munmap(there, bytes);
	long unmapped = table_kilobytes();
	munmap(room, 64 * TABLE);
	printf("%lx bytes from %lx to %lx, %d: %+ld %+ld %+ld %+ld\n", bytes, from, to, alone,
	       moved - before, touched - moved, unmapped - touched, table_kilobytes() - unmapped);
	room += 1ul << 32;
}

static void moves(void)
{
	const unsigned long page = 4096;
	table_kilobytes();
	for (int alone = 0; alone < 2; alone++) {
		moved_tables(TABLE, 4 * TABLE, 20 * TABLE, alone);
		moved_tables(TABLE + 2 * page, 3 * TABLE, 20 * TABLE + 2 * page, alone);
		moved_tables(TABLE + 2 * page, 3 * TABLE, 20 * TABLE + page, alone);
		moved_tables(TABLE, 3 * TABLE + page, 20 * TABLE, alone);
		moved_tables(TABLE - 2 * page, TABLE, 20 * TABLE - 2 * page, alone);
		moved_tables(TABLE - 2 * page, 2 * page, 20 * TABLE - 2 * page, alone);
		moved_tables(TABLE - 2 * page, page, 20 * TABLE - 2 * page, alone);
	}
}

int main(void)
{
	const int rw = PROT_READ | PROT_WRITE;
	map("/dev/zero, private", rw, MAP_PRIVATE, open("/dev/zero", O_RDWR));
	map("/dev/zero, shared", rw, MAP_SHARED, open("/dev/zero", O_RDWR));
	map("private with MAP_SYNC", rw, MAP_PRIVATE | MAP_ANONYMOUS | SYNC, -1);
	map("shared with MAP_SYNC", rw, MAP_SHARED | MAP_ANONYMOUS | SYNC, -1);
	map("validated with MAP_SYNC", rw, MAP_SHARED_VALIDATE | SYNC, open("/dev/zero", O_RDWR));
	map("validated, of no file", rw, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1);
	map("validated, large pages", rw, MAP_SHARED_VALIDATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	map("/dev/full", PROT_READ, MAP_PRIVATE, open("/dev/full", O_RDWR));
	map("inotify, to run", PROT_EXEC, MAP_PRIVATE, inotify_init());
	map("inotify", PROT_READ, MAP_PRIVATE, inotify_init());
	moves();
	return 0;
}
