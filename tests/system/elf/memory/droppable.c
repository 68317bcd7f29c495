// MAP_DROPPABLE: what may be asked for, what /proc says of it, and that it stays while there is room.
// Prints what Linux 6.18 prints; as root or not.
#define _GNU_SOURCE
#include "uffd.h"

#define DROPPABLE 8

static void *try(int prot, int flags, int fd)
{
	void *at = mmap(NULL, 4 * P, prot, flags, fd, 0);
	if (at == MAP_FAILED)
		printf("%x %s\n", flags, strerrorname_np(errno));
	else
		printf("%x ok %s\n", flags, field(at, "VmFlags"));
	return at;
}

static void locked(const char *what, int flags, long (*lock)(char *at))
{
	char *at = mmap(NULL, 4 * P, RW, flags, -1, 0);
	NUM(what, lock(at));
	printf("%s %s|%s ", field(at, "Rss"), field(at, "Locked"), field(at, "VmFlags"));
	munmap(at, 4 * P);
}

static long nothing(char *at) { return at == MAP_FAILED; }
static long when_used(char *at) { return mlock2(at, 2 * P, MLOCK_ONFAULT); }
static long all_when_used(char *at) { return mlockall(MCL_CURRENT | MCL_ONFAULT); }

static long twice(char *at)
{
	return when_used(at) || mlock(at, P) || mlock2(at, P, MLOCK_ONFAULT) ||
	       madvise(at + P, P, MADV_POPULATE_WRITE);
}

/* What cannot be locked on fault is brought at once, by any lock; nothing else is, by whoever asks. */
static void locked_on_fault(void)
{
	const int droppable = DROPPABLE | MAP_ANONYMOUS, private = MAP_PRIVATE | MAP_ANONYMOUS;
	locked("droppable", droppable, when_used);
	locked("private", private, when_used);
	locked("twice", private, twice);
	locked("all droppable", droppable, all_when_used);
	munlockall();
	locked("all", private, all_when_used);
	munlockall();
	for (int future = MCL_FUTURE; future <= (MCL_FUTURE | MCL_ONFAULT); future += MCL_ONFAULT) {
		NUM("future", mlockall(future));
		locked("droppable", droppable, nothing);
		locked("private", private, nothing);
		locked("populated", private | MAP_POPULATE, nothing);
		munlockall();
	}
	puts("");
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	int file = memfd_create("x", 0), fd = new_fd(0);
	ftruncate(file, 4 * P);
	try(RW, DROPPABLE, file);
	try(RW, DROPPABLE, -1);
	for (int kind = 4; kind < 16; kind++)
		try(RW, kind | MAP_ANONYMOUS, -1);
	try(RW, DROPPABLE | MAP_ANONYMOUS | MAP_LOCKED, -1);
	try(RW, DROPPABLE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	try(RW, DROPPABLE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1);
	try(RW, DROPPABLE | MAP_ANONYMOUS | MAP_POPULATE, -1);
	try(PROT_READ, DROPPABLE | MAP_ANONYMOUS, -1);
	char *at = try(RW, DROPPABLE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	memset(at, 7, 2 * P);
	for (int advice = 0; advice < 26; advice++)
		if (advice < 5 || advice > 13)
			printf("%d %s\n", advice, name(madvise(at + 3 * P, P, advice)));
	SAY("mlock", mlock(at, 4 * P));
	SAY("register", watch(fd, at, 1, MISSING));
	SAY("protect", mprotect(at, P, PROT_READ));
	printf("%s|%s ", field(at, "VmFlags"), field(at + P, "VmFlags"));
	printf("%s %s %s %s ", field(at + P, "Rss"), field(at + P, "Anonymous"),
	       field(at + P, "LazyFree"), field(at + P, "Locked"));
	fflush(stdout);
	if (!fork()) {
		printf("child %d %s\n", at[0] + at[P], field(at + P, "VmFlags"));
		_exit(0);
	}
	wait(NULL);
	printf("%d\n", at[0] + at[P]);
	locked_on_fault();
	return 0;
}
