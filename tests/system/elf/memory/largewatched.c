// Pages of 1 GiB, of which there are none, watched by a userfaultfd: marks take their places.
// Prints what Linux 6.18 prints; as root or not.
#define _GNU_SOURCE
#include "uffd.h"

#define GIB (1ul << 30)
#define NR (GIB / P)
#define FLAGS (MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | MAP_FIXED | 30 << 26)
#define POISON (1 << 14)
#define ALL 0x1ff // categories of PAGEMAP_SCAN
static char *const at = (char *)(1ul << 40);

static void scan(void) // 2 GiB, by GiB
{
	struct region regions[4];
	struct scan s = { sizeof s, 0,   (ul)at, (ul)at + 2 * GIB, 0, (ul)regions, 4, 0, 0,
			  0,        ALL, ALL };
	int fd = open("/proc/self/pagemap", O_RDONLY);
	long found = ioctl(fd, SCAN, &s);
	close(fd);
	printf("scan %ld", found);
	for (long i = 0; i < found; i++)
		printf(" [%lx-%lx %lx]", (ul)(regions[i].start - (ul)at) / NR,
		       (ul)(regions[i].end - (ul)at) / NR, (ul)regions[i].categories);
	printf("; pagemap %lx %lx %lx\n", pagemap(at), pagemap(at + GIB - P), pagemap(at + GIB));
}

/* The signal; its code is the kernel's choice of a configuration. */
static void touched(const char *who)
{
	printf("%s: %.6s %.6s\n", who, touch(at, 0), touch(at + GIB - 1, 3));
}

static void in_a_child(void)
{
	fflush(stdout);
	if (!fork()) {
		scan();
		touched("child");
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void poisoned(int fd)
{
	SAY("watch", watch(fd, at, 2 * NR, MISSING));
	SAY("poison", poison(fd, at, NR));
	NUM("done", four.done);
	SAY("again", poison(fd, at, NR));
	SAY("part", poison(fd, at, 512));
	SAY("odd", poison(fd, at + 512 * P, NR));
	puts(field(at, "VmFlags"));
	scan();
	touched("poisoned"); // a child of a private one finds the mark or not on Linux, by chance
	SAY("dontneed", madvise(at, GIB, MADV_DONTNEED));
	scan();
	SAY("both", poison(fd, at, 2 * NR));
	NUM("done", four.done);
	scan();
}

static void protected(int fd)
{
	SAY("watch", watch(fd, at, 2 * NR, PROTECT));
	SAY("protect", protect(fd, at, NR, 1));
	SAY("part", protect(fd, at, 512, 1));
	puts(field(at, "VmFlags"));
	scan();
	in_a_child();
	SAY("dontneed", madvise(at, GIB, MADV_DONTNEED));
	scan();
	SAY("undone", protect(fd, at, NR, 0));
	scan();
	SAY("both", protect(fd, at, 2 * NR, 1));
	scan();
}

int main(void)
{
	const int kinds[] = { MAP_PRIVATE, MAP_SHARED };
	const uint64_t writes = UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED;
	void (*const uses[])(int) = { poisoned, protected, protected };
	const uint64_t features[] = { POISON, writes, writes | UFFD_FEATURE_WP_ASYNC };
	for (int i = 0; i < 6; i++) {
		int fd = new_fd(features[i % 3]);
		printf("%s, %d\n", i < 3 ? "private" : "shared", i % 3);
		if (mmap(at, 2 * GIB, RW, kinds[i / 3] | FLAGS, -1, 0) == MAP_FAILED)
			printf("mmap: %s\n", strerrorname_np(errno));
		scan();
		uses[i % 3](fd);
		SAY("unwatch", unwatch(fd, at, 2 * NR));
		scan();
		touched("let go");
		close(fd);
		munmap(at, 2 * GIB);
	}
	return 0;
}
