/*
 * coherence.c - one file through read, write, shared and private mappings: all see the same.
 */
#include "raw.h"

#define NR_PAGES 5

static char at(int fd, long pos)
{
	char byte = 0;

	must(sys_pread(fd, &byte, 1, pos) == 1, "pread");
	return byte;
}

int main(void)
{
	int fd, again;
	char *first, *second, *private, page[PAGE], name[64];
	long sizes[2];

	/* One of its own: the program may run twice at a time. */
	snprintf(name, sizeof(name), "/dev/shm/pkern-coherence-%ld", raw3(SYS_getpid, 0, 0, 0));
	raw3(SYS_unlink, (long)name, 0, 0);
	fd = (int)raw3(SYS_open, (long)name, O_RDWR | O_CREAT | O_EXCL, 0600);
	again = (int)raw3(SYS_open, (long)name, O_RDWR, 0);
	must(fd >= 0 && again >= 0, "open");
	must(raw3(SYS_unlink, (long)name, 0, 0) == 0, "unlink");
	memset(page, '-', PAGE);
	for (int i = 0; i < NR_PAGES; i++)
		must(sys_pwrite(fd, page, PAGE, i * PAGE) == PAGE, "pwrite");

	first = map(NR_PAGES * PAGE, RW, MAP_SHARED, fd);
	second = map(NR_PAGES * PAGE, PROT_READ, MAP_SHARED, again);
	private = map(NR_PAGES * PAGE, RW, MAP_PRIVATE, fd);
	must(sys_pwrite(again, "write", 5, PAGE - 2) == 5, "pwrite");
	say("a write in both views: %.5s %.5s\n", first + PAGE - 2, second + PAGE - 2);
	memcpy(first + 3 * PAGE - 2, "store", 5);
	say("a store in the file: %c%c, in the other view: %.5s\n", at(again, 3 * PAGE - 1),
	    at(fd, 3 * PAGE), second + 3 * PAGE - 2);
	private[0] = 'p';
	first[0] = 's';
	say("private %c, shared %c, file %c\n", private[0], second[0], at(fd, 0));
	first[PAGE + 100] = 't';
	say("untouched private page follows: %c\n", private[PAGE + 100]);

	must(sys_pwrite(fd, first + PAGE - 2, 5, 4 * PAGE) == 5, "write from a mapping of it");
	must(sys_pread(fd, first + 2 * PAGE, PAGE, PAGE) == PAGE, "read into a mapping of it");
	say("copied in the file: %.5s %c\n", second + 4 * PAGE, second[2 * PAGE + 100]);
	say("msync: %ld\n", sys_msync(first, NR_PAGES * PAGE, MS_SYNC));
	say("all: %016lx\n", checksum(second, NR_PAGES * PAGE));

	sizes[0] = raw3(SYS_lseek, fd, 0, SEEK_END);
	must(sys_pwrite(fd, "x", 1, NR_PAGES * PAGE + 9) == 1, "pwrite beyond the end");
	sizes[1] = raw3(SYS_lseek, again, 0, SEEK_END);
	say("size: %ld, then %ld\n", sizes[0], sizes[1]);
	say("a read into memory that is not there: %ld\n", sys_pread(fd, (void *)8, 10, 0));
	return 0;
}
