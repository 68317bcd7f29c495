/*
 * Mappings that are legal and rare: of /dev/zero whose descriptor is closed, with flags that mean
 * nothing here, of what cannot be executed; what maps and smaps say of them.
 */
#define _GNU_SOURCE
#include "../results.h"
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mman.h>

enum { SYNC = 0x80000, BYTES = 4 * 4096 };

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
	return 0;
}
