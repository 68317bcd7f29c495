/*
 * Which calls a space with vm.max_map_count mappings, some fewer or one more refuses, and how many
 * mappings each leaves.  The filling lies apart, page by page, so that none joins another; a call's
 * place is made afresh before the filling is brought to the number.
 */
#define _GNU_SOURCE
#include "../results.h"
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>

enum { PAGE = 4096, READ_WRITE = PROT_READ | PROT_WRITE, FEWEST = -6 };
enum { PLACES = 1000, GUARD = 102 };
enum { ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS, HERE = ANONYMOUS | MAP_FIXED };

static char *place, *filling;
static long filled;
static int file, segment, monitor;

#define AT(page) (place + (page) * PAGE)

static long map(void *at, long pages, int prot, int flags, int fd)
{
	void *got = mmap(at, pages * PAGE, prot, flags, fd, 0);
	return got == MAP_FAILED ? -errno : 0;
}

/* As many as mmap lets there be: one more than the number. */
static void fill(void)
{
	while (!map(filling + filled * 2 * PAGE, 1, PROT_NONE, HERE, -1))
		filled++;
}

static void drain(long fewer)
{
	while (fewer--)
		munmap(filling + --filled * 2 * PAGE, PAGE);
}

/* How many fit until there are as many as mmap lets there be. */
static long room(void)
{
	long before = filled;
	fill();
	return filled - before;
}

/* Two mappings of four pages, the second to be read only; eight free pages; a file's four, shared. */
static void prepare(void)
{
	map(AT(0), 4, READ_WRITE, HERE, -1);
	map(AT(4), 4, PROT_READ, HERE, -1);
	map(AT(16), 4, READ_WRITE, MAP_SHARED | MAP_FIXED, file);
}

static long map_new(void) { return map(AT(10), 1, READ_WRITE, HERE, -1); }
static long map_joining(void) { return map(AT(8), 1, PROT_READ, HERE, -1); }
static long map_within(void) { return map(AT(1), 1, PROT_READ, HERE, -1); }
static long map_within_alike(void) { return map(AT(1), 1, READ_WRITE, HERE, -1); }
static long map_over_start(void) { return map(AT(0), 1, PROT_READ, HERE, -1); }
static long map_over_end(void) { return map(AT(3), 1, PROT_NONE, HERE, -1); }
static long map_over_whole(void) { return map(AT(0), 4, PROT_NONE, HERE, -1); }
static long map_over_both(void) { return map(AT(3), 2, PROT_NONE, HERE, -1); }
static long map_file(void) { return map(AT(10), 1, PROT_READ, MAP_SHARED | MAP_FIXED, file); }
static long map_locked(void) { return map(AT(10), 1, PROT_READ, HERE | MAP_LOCKED, -1); }
static long map_taken(void) { return map(AT(0), 1, PROT_READ, ANONYMOUS | 0x100000, -1); }
static long unmap_within(void) { return result(munmap(AT(1), PAGE)); }
static long unmap_start(void) { return result(munmap(AT(0), PAGE)); }
static long unmap_end(void) { return result(munmap(AT(3), PAGE)); }
static long unmap_both(void) { return result(munmap(AT(3), 2 * PAGE)); }
static long unmap_whole(void) { return result(munmap(AT(0), 4 * PAGE)); }
static long unmap_hole(void) { return result(munmap(AT(9), PAGE)); }
static long protect_within(void) { return result(mprotect(AT(1), PAGE, PROT_NONE)); }
static long protect_start(void) { return result(mprotect(AT(0), PAGE, PROT_NONE)); }
static long protect_end(void) { return result(mprotect(AT(7), PAGE, PROT_NONE)); }
static long protect_joining(void) { return result(mprotect(AT(3), PAGE, PROT_READ)); }
static long protect_whole(void) { return result(mprotect(AT(0), 4 * PAGE, PROT_NONE)); }
static long protect_both(void) { return result(mprotect(AT(2), 4 * PAGE, PROT_NONE)); }
static long protect_same(void) { return result(mprotect(AT(1), PAGE, READ_WRITE)); }

static long move(int from, int old, int new, int flags, int to)
{
	void *got = mremap(AT(from), old * PAGE, new * PAGE, flags, AT(to));
	return got == MAP_FAILED ? -errno : 0;
}

enum { TO = MREMAP_MAYMOVE | MREMAP_FIXED, TWICE = MREMAP_MAYMOVE | MREMAP_DONTUNMAP };

static long shrink(void) { return move(0, 4, 2, 0, 0); }
static long shrink_within(void) { return move(0, 3, 2, 0, 0); }
static long grow(void) { return move(4, 4, 5, 0, 0); }
static long move_grown(void) { return move(0, 4, 5, MREMAP_MAYMOVE, 0); }
static long move_part_grown(void) { return move(1, 1, 2, MREMAP_MAYMOVE, 0); }
static long move_whole(void) { return move(0, 4, 4, TO, 9); }
static long move_within(void) { return move(1, 1, 1, TO, 10); }
static long move_onto(void) { return move(0, 1, 1, TO, 5); }
static long move_shrunk(void) { return move(0, 4, 2, TO, 10); }
static long move_twice(void) { return move(0, 4, 4, TWICE, 10); }
static long move_old_nothing(void) { return move(16, 0, 4, MREMAP_MAYMOVE, 0); }
static long move_several(void) { return move(2, 4, 4, TO, 10); }
static long move_nowhere(void) { return move(0, 4, 4, MREMAP_MAYMOVE, 0); }

static long advise_within(void) { return result(madvise(AT(1), PAGE, MADV_DONTFORK)); }
static long advise_end(void) { return result(madvise(AT(7), PAGE, MADV_RANDOM)); }
static long advise_both(void) { return result(madvise(AT(3), 2 * PAGE, MADV_DONTDUMP)); }
static long advise_huge(void) { return result(madvise(AT(1), PAGE, MADV_NOHUGEPAGE)); }
static long advise_merging(void) { return result(madvise(AT(1), PAGE, MADV_MERGEABLE)); }
static long discard(void) { return result(madvise(AT(1), PAGE, MADV_DONTNEED)); }
static long guard(void) { return result(madvise(AT(1), PAGE, GUARD)); }
static long lock_within(void) { return result(mlock(AT(1), PAGE)); }
static long lock_end(void) { return result(mlock(AT(7), PAGE)); }
static long lock_both(void) { return result(mlock(AT(3), 2 * PAGE)); }
static long lock_on_fault(void) { return result(syscall(SYS_mlock2, AT(1), PAGE, 1)); }
static long remap_pages(void) { return result(remap_file_pages(AT(17), PAGE, 0, 3, 0)); }
static long remap_pages_alike(void) { return result(remap_file_pages(AT(17), PAGE, 0, 1, 0)); }
static long attach(void) { return shmat(segment, AT(10), 0) == MAP_FAILED ? -errno : 0; }
static long attach_within(void)
{
	return shmat(segment, AT(1), SHM_REMAP) == MAP_FAILED ? -errno : 0;
}

static long bind_within(void)
{
	unsigned long node = 1;
	return call(SYS_mbind, (long)AT(1), PAGE, MPOL_BIND, (long)&node, 2, 0);
}

static long monitor_within(void)
{
	struct uffdio_register wish = { { (long)AT(1), PAGE }, UFFDIO_REGISTER_MODE_MISSING };
	return result(ioctl(monitor, UFFDIO_REGISTER, &wish));
}

static long grow_heap(void)
{
	char *end = sbrk(0);
	long got = brk(end + 8 * PAGE) ? -errno : 0;
	brk(end);
	return got;
}

static const struct call {
	const char *name;
	long (*make)(void);
} calls[] = {
#define CALL(name) { #name, name }
	CALL(map_new),
	CALL(map_joining),
	CALL(map_within),
	CALL(map_within_alike),
	CALL(map_over_start),
	CALL(map_over_end),
	CALL(map_over_whole),
	CALL(map_over_both),
	CALL(map_file),
	CALL(map_locked),
	CALL(map_taken),
	CALL(unmap_within),
	CALL(unmap_start),
	CALL(unmap_end),
	CALL(unmap_both),
	CALL(unmap_whole),
	CALL(unmap_hole),
	CALL(protect_within),
	CALL(protect_start),
	CALL(protect_end),
	CALL(protect_joining),
	CALL(protect_whole),
	CALL(protect_both),
	CALL(protect_same),
	CALL(shrink),
	CALL(shrink_within),
	CALL(grow),
	CALL(move_grown),
	CALL(move_part_grown),
	CALL(move_whole),
	CALL(move_within),
	CALL(move_onto),
	CALL(move_shrunk),
	CALL(move_twice),
	CALL(move_old_nothing),
	CALL(move_several),
	CALL(move_nowhere),
	CALL(advise_within),
	CALL(advise_end),
	CALL(advise_both),
	CALL(advise_huge),
	CALL(advise_merging),
	CALL(discard),
	CALL(guard),
	CALL(lock_within),
	CALL(lock_end),
	CALL(lock_both),
	CALL(lock_on_fault),
	CALL(remap_pages),
	CALL(remap_pages_alike),
	CALL(attach),
	CALL(attach_within),
	CALL(bind_within),
	CALL(monitor_within),
	CALL(grow_heap),
};

/* Make a call where there are so many more mappings than the number. */
static void try(const struct call *call, int over)
{
	prepare();
	fill();
	drain(1 - over);
	long got = call->make();
	printf(" %ld/%ld", got, room());
	drain(10); /* room for the next place */
	munmap(place, PLACES * PAGE);
}

int main(void)
{
	static char buffer[1 << 16];
	setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
	filling = mmap(NULL, 1ul << 30, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0);
	munmap(filling, 1ul << 30);
	place = filling - PLACES * PAGE;
	file = memfd_create("file", 0);
	ftruncate(file, 4 * PAGE);
	segment = shmget(IPC_PRIVATE, PAGE, 0600);
	monitor = syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY);
	ioctl(monitor, UFFDIO_API, &(struct uffdio_api){ UFFD_API });
	shmat(segment, NULL, 0); /* which keeps it */
	shmctl(segment, IPC_RMID, NULL);
	sbrk(PAGE);
	for (int which = 0; which < sizeof calls / sizeof *calls; which++) {
		printf("%s:", calls[which].name);
		for (int over = FEWEST; over <= 1; over++)
			try(&calls[which], over);
		printf("\n");
	}
	return 0;
}
