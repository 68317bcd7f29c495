/* Memory policies on a machine with one node: every call, its errors and their order, numa_maps. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "outcome.h"

#define PAGE 4096ul
#define SET 238
#define GET 239
#define BIND 237
#define MIGRATE 256
#define MOVE 279
#define HOME 450

static char *const place = (char *)0x200000000;

static void say(const char *what, long result) { printf("%s: %s\n", what, outcome(result)); }

static void show_policy(const char *what, void *addr, unsigned long flags)
{
	int mode = -1;
	unsigned long mask[4] = { ~0ul, ~0ul, ~0ul, ~0ul };
	long err = syscall(GET, &mode, mask, 256ul, addr, flags);
	printf("%s: %s mode %#x mask %lx %lx %lx %lx\n", what, outcome(err), mode, mask[0], mask[1],
	       mask[2], mask[3]);
}

/* Lines of numa_maps of our place, without counts that depend on reclaim. */
static void show_maps(const char *what)
{
	char line[512];
	FILE *f = fopen("/proc/self/numa_maps", "r");
	printf("%s:\n", what);
	while (fgets(line, sizeof(line), f)) {
		unsigned long at = strtoul(line, NULL, 16);
		if (at >= (unsigned long)place && at < (unsigned long)place + 256 * PAGE)
			printf("  %s", line);
	}
	fclose(f);
}

static char *fresh(unsigned long pages, int flags)
{
	munmap(place, 256 * PAGE);
	char *at = mmap(place, pages * PAGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0);
	if (at != place)
		exit(99);
	return at;
}

static void every_mode(void)
{
	static const int flags[] = { 0,       1 << 15, 1 << 14, 1 << 13, 3 << 14,
				     5 << 13, 3 << 13, 7 << 13, 1 << 12 };
	static const unsigned long masks[] = { 0, 1, 2, 3, 5, 1ul << 63 };
	for (int mode = -1; mode <= 8; mode++)
		for (unsigned f = 0; f < sizeof(flags) / sizeof(*flags); f++)
			for (unsigned n = 0; n < sizeof(masks) / sizeof(*masks); n++) {
				unsigned long mask = masks[n];
				long err = syscall(SET, mode | flags[f], &mask, 64ul + 1);
				printf("set %d|%#x %lx: %s", mode, flags[f], mask, outcome(err));
				if (!err)
					show_policy("", NULL, 0);
				else
					printf("\n");
				syscall(SET, 0, NULL, 0ul);
				fresh(4, MAP_PRIVATE | MAP_ANONYMOUS);
				err = syscall(BIND, place, 2 * PAGE, (long)(mode | flags[f]), &mask,
					      65ul, 0);
				printf("bind: %s", outcome(err));
				if (!err)
					show_policy("", place, 2);
				else
					printf("\n");
			}
}

static void masks_and_their_sizes(void)
{
	unsigned long *mask = (unsigned long *)fresh(12, MAP_PRIVATE | MAP_ANONYMOUS);
	static const unsigned long sizes[] = { 0,    1,     2,     3,     63,    64,   65,   66,
					       128,  1023,  1024,  1025,  1026,  1088, 1089, 1090,
					       2048, 32768, 32769, 32770, 40000, ~0ul };
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		memset(mask, 0, 12 * PAGE);
		mask[0] = 1;
		printf("size %lu: ", sizes[i]);
		say("set", syscall(SET, 2, mask, sizes[i]));
		int mode = -1;
		memset(mask, 0xff, 12 * PAGE);
		long err = syscall(GET, &mode, mask, sizes[i], 0ul, 0ul);
		unsigned long zeroes = 0;
		while (zeroes < 12 * PAGE && ((char *)mask)[zeroes] != (char)0xff)
			zeroes++;
		printf("get: %s mode %d stored %lu first %lx\n", outcome(err), mode, zeroes,
		       mask[0]);
		memset(mask, 0, 12 * PAGE);
		mask[0] = 1;
		mask[16] = 4; /* beyond what there can be */
		say("set with more", syscall(SET, 2, mask, sizes[i]));
	}
	unsigned long *last = (unsigned long *)(place + 12 * PAGE) - 1;
	*last = 1;
	say("at the end, one word", syscall(SET, 2, last, 65ul));
	say("at the end, two words", syscall(SET, 2, last, 66ul));
	say("at the end, too many", syscall(SET, 2, last, 1090ul));
	say("nowhere", syscall(SET, 2, 8ul, 65ul));
	say("nowhere, no bits", syscall(SET, 2, 8ul, 1ul));
	say("nowhere, wrong mode first", syscall(SET, 9, 8ul, 65ul));
	syscall(SET, 0, NULL, 0ul);
	say("default with an empty mask", syscall(SET, 0, last - 1, 65ul));
	say("default with nodes", syscall(SET, 0, last, 65ul));
	say("get to nowhere", syscall(GET, 8ul, NULL, 0ul, 0ul, 0ul));
	say("get a mask to nowhere", syscall(GET, NULL, 8ul, 65ul, 0ul, 0ul));
	say("get nothing", syscall(GET, NULL, NULL, 0ul, 0ul, 0ul));
	say("get with an address", syscall(GET, NULL, NULL, 0ul, place, 0ul));
	for (unsigned long flags = 0; flags < 16; flags++) {
		char what[32];
		for (int there = 0; there < 2; there++) {
			snprintf(what, sizeof(what), "get flags %lx at %d", flags, there);
			show_policy(what, there ? place : NULL, flags);
		}
		snprintf(what, sizeof(what), "get flags %lx, hole", flags);
		show_policy(what, place + 20 * PAGE, flags);
	}
}

static void bind_ranges(void)
{
	unsigned long one = 1, second = 2;
	char *at = fresh(8, MAP_PRIVATE | MAP_ANONYMOUS);
	say("unaligned", syscall(BIND, at + 1, PAGE, 2, &one, 65ul, 0));
	say("flags first", syscall(BIND, at + 1, PAGE, 2, &one, 65ul, 8));
	say("flags", syscall(BIND, at, PAGE, 2, &one, 65ul, 16));
	say("mode before flags", syscall(BIND, at, PAGE, 9, &one, 65ul, 16));
	say("mask before flags", syscall(BIND, at, PAGE, 2, 8ul, 65ul, 16));
	say("nothing", syscall(BIND, at, 0ul, 2, &one, 65ul, 0));
	say("nothing, wrong mode", syscall(BIND, at, 0ul, 2, NULL, 0ul, 0));
	say("wraps", syscall(BIND, at, ~0ul, 2, &one, 65ul, 0));
	say("wraps far", syscall(BIND, at, ~0ul - 2 * PAGE, 2, &one, 65ul, 0));
	say("a part", syscall(BIND, at + 2 * PAGE, 3 * PAGE + 1, 2, &one, 65ul, 0));
	show_maps("bound");
	memset(at, 1, 5 * PAGE);
	show_maps("touched");
	say("another", syscall(BIND, at + 4 * PAGE, 2 * PAGE, 3, &one, 65ul, 1));
	show_maps("interleaved");
	say("equal", syscall(BIND, at, 4 * PAGE, 3, &one, 65ul, 0));
	show_maps("joined");
	say("static", syscall(BIND, at, 2 * PAGE, 2 | 1 << 15, &one, 65ul, 0));
	say("relative", syscall(BIND, at + 2 * PAGE, PAGE, 6 | 1 << 14, &one, 65ul, 0));
	say("balancing", syscall(BIND, at + 3 * PAGE, PAGE, 2 | 1 << 13, &one, 65ul, 0));
	say("many", syscall(BIND, at + 4 * PAGE, PAGE, 5 | 5 << 13, &one, 65ul, 0));
	say("local", syscall(BIND, at + 5 * PAGE, PAGE, 4, NULL, 0ul, 0));
	say("preferred", syscall(BIND, at + 6 * PAGE, PAGE, 1, &one, 65ul, 0));
	show_maps("many kinds");
	say("task", syscall(SET, 3, &one, 65ul));
	show_maps("with the task's");
	munmap(at + 3 * PAGE, PAGE);
	say("over a hole", syscall(BIND, at, 5 * PAGE, 2, &one, 65ul, 0));
	say("from a hole", syscall(BIND, at + 3 * PAGE, 2 * PAGE, 2, &one, 65ul, 0));
	say("into a hole", syscall(BIND, at + 2 * PAGE, 2 * PAGE, 2, &one, 65ul, 0));
	say("a hole", syscall(BIND, at + 3 * PAGE, PAGE, 2, &one, 65ul, 0));
	say("default over a hole", syscall(BIND, at, 5 * PAGE, 0, NULL, 0ul, 1));
	say("default of a hole", syscall(BIND, at + 3 * PAGE, PAGE, 0, NULL, 0ul, 0));
	show_maps("default again");
	say("strict", syscall(BIND, at, 2 * PAGE, 2, &one, 65ul, 1));
	say("strict, relative to one", syscall(BIND, at, PAGE, 2 | 1 << 14, &second, 65ul, 1));
	say("the same without", syscall(BIND, at, PAGE, 2 | 1 << 14, &second, 65ul, 0));
	say("move", syscall(BIND, at, 2 * PAGE, 2, &one, 65ul, 2));
	say("strict and move", syscall(BIND, at, 2 * PAGE, 5, &one, 65ul, 3));
	say("move all", syscall(BIND, at, 2 * PAGE, 1, &one, 65ul, 7));
	at = fresh(2, MAP_PRIVATE | MAP_ANONYMOUS);
	mprotect(at + PAGE, PAGE, PROT_READ);
	say("strict before a hole", syscall(BIND, at, 3 * PAGE, 4, NULL, 0ul, 1));
	at[0] = 1;
	say("strict, its page before a hole", syscall(BIND, at, 3 * PAGE, 4, NULL, 0ul, 1));
	syscall(SET, 0, NULL, 0ul);
}

static void homes(void)
{
	unsigned long one = 1;
	char *at = fresh(8, MAP_PRIVATE | MAP_ANONYMOUS);
	say("home of nothing", syscall(HOME, at, 8 * PAGE, 0ul, 0ul));
	say("home in a hole", syscall(HOME, at + 32 * PAGE, PAGE, 0ul, 0ul));
	syscall(BIND, at + PAGE, PAGE, 2, &one, 65ul, 0);
	syscall(BIND, at + 3 * PAGE, PAGE, 3, &one, 65ul, 0);
	syscall(BIND, at + 5 * PAGE, PAGE, 5, &one, 65ul, 0);
	say("home of bind", syscall(HOME, at, 3 * PAGE, 0ul, 0ul));
	say("home of interleave", syscall(HOME, at, 8 * PAGE, 0ul, 0ul));
	say("home of many", syscall(HOME, at + 4 * PAGE, 3 * PAGE, 0ul, 0ul));
	say("home behind the last", syscall(HOME, at + 6 * PAGE, 2 * PAGE, 0ul, 0ul));
	show_maps("homes");
	say("home unaligned", syscall(HOME, at + 1, PAGE, 0ul, 1ul));
	say("home flags", syscall(HOME, at, PAGE, 0ul, 1ul));
	say("home 1", syscall(HOME, at, PAGE, 1ul, 0ul));
	say("home 5000", syscall(HOME, at, PAGE, 5000ul, 0ul));
	say("home of no bytes", syscall(HOME, at, 0ul, 0ul, 0ul));
	say("home wraps", syscall(HOME, at, ~0ul - 4 * PAGE, 0ul, 0ul));
}

static void inheritance(void)
{
	unsigned long one = 1;
	char *at = fresh(4, MAP_PRIVATE | MAP_ANONYMOUS);
	syscall(BIND, at, 2 * PAGE, 2, &one, 65ul, 0);
	syscall(SET, 6 | 1 << 15, &one, 65ul);
	fflush(stdout);
	if (!fork()) {
		show_policy("child's task", NULL, 0);
		show_policy("child's place", at, 2);
		fflush(stdout);
		char *const arguments[] = { "mempolicy", "again", NULL };
		execv("/proc/self/exe", arguments);
		_exit(1);
	}
	wait(NULL);
	char *to = mremap(at, 2 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + 16 * PAGE);
	show_policy("moved", to, 2);
	show_maps("moved");
	syscall(SET, 0, NULL, 0ul);
}

static void shared_objects(void)
{
	unsigned long one = 1;
	char *at = fresh(8, MAP_SHARED | MAP_ANONYMOUS);
	memset(at, 1, 8 * PAGE);
	say("shared", syscall(BIND, at + 2 * PAGE, 2 * PAGE, 2, &one, 65ul, 0));
	show_maps("shared");
	fflush(stdout);
	if (!fork()) {
		say("child's", syscall(BIND, at + 3 * PAGE, 2 * PAGE, 3, &one, 65ul, 0));
		_exit(fflush(stdout));
	}
	wait(NULL);
	for (int i = 0; i < 8; i++)
		show_policy("page", at + i * PAGE, 2);
	int fd = memfd_create("policy", 0);
	ftruncate(fd, 8 * PAGE);
	at = mmap(place, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	say("file", syscall(BIND, at + PAGE, 3 * PAGE, 5, &one, 65ul, 0));
	char *other =
		mmap(place + 16 * PAGE, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 2 * PAGE);
	for (int i = 0; i < 4; i++)
		show_policy("by another mapping", other + i * PAGE, 2);
	say("through a private one", syscall(BIND, other + PAGE, 2 * PAGE, 1, &one, 65ul, 0));
	for (int i = 0; i < 8; i++)
		show_policy("page of the file", at + i * PAGE, 2);
	say("take back", syscall(BIND, at, 8 * PAGE, 0, NULL, 0ul, 0));
	for (int i = 0; i < 8; i++)
		show_policy("after", at + i * PAGE, 2);
}

static void moving(void)
{
	char *at = fresh(8, MAP_PRIVATE | MAP_ANONYMOUS);
	int nodes[8] = { 0 }, status[8];
	void *pages[8];
	volatile char sink = at[5 * PAGE];
	(void)sink;
	memset(at, 1, 3 * PAGE);
	for (int i = 0; i < 8; i++)
		pages[i] = at + i * PAGE + (unsigned)i;
	pages[7] = at + 64 * PAGE;
	memset(status, 0x55, sizeof(status));
	say("ask", syscall(MOVE, 0, 8ul, pages, NULL, status, 0));
	for (int i = 0; i < 8; i++)
		printf(" %d", status[i]);
	memset(status, 0x55, sizeof(status));
	say("\nmove", syscall(MOVE, 0, 8ul, pages, nodes, status, 2));
	for (int i = 0; i < 8; i++)
		printf(" %d", status[i]);
	static const int wrong[] = { 1, 5, 1023, 1024, -1 };
	for (unsigned n = 0; n < sizeof(wrong) / sizeof(*wrong); n++) {
		nodes[2] = wrong[n];
		memset(status, 0x55, sizeof(status));
		printf("\nto %d: %s", wrong[n],
		       outcome(syscall(MOVE, 0, 8ul, pages, nodes, status, 2)));
		for (int i = 0; i < 8; i++)
			printf(" %d", status[i]);
	}
	nodes[2] = 0;
	say("\nflags 1", syscall(MOVE, 0, 8ul, pages, nodes, status, 1));
	say("flags 8", syscall(MOVE, 0, 8ul, pages, nodes, status, 8));
	say("flags 0", syscall(MOVE, 0, 8ul, pages, nodes, status, 0));
	say("all", syscall(MOVE, 0, 8ul, pages, nodes, status, 4));
	say("none", syscall(MOVE, 0, 0ul, NULL, NULL, NULL, 0));
	say("none to move", syscall(MOVE, 0, 0ul, NULL, nodes, NULL, 2));
	say("no pid", syscall(MOVE, 99999999, 1ul, pages, nodes, status, 2));
	say("negative pid", syscall(MOVE, -1, 1ul, pages, nodes, status, 2));
	say("pages nowhere", syscall(MOVE, 0, 1ul, 8ul, nodes, status, 2));
	say("nodes nowhere", syscall(MOVE, 0, 1ul, pages, 8ul, status, 2));
	say("status nowhere", syscall(MOVE, 0, 1ul, pages, nodes, 8ul, 2));
	say("ask, status nowhere", syscall(MOVE, 0, 1ul, pages, NULL, 8ul, 2));
	say("ask, pages nowhere", syscall(MOVE, 0, 1ul, 8ul, NULL, status, 2));
	say("far too many", syscall(MOVE, 0, ~0ul, pages, nodes, status, 2));
	unsigned long one = 1, two = 2, none = 0;
	say("migrate", syscall(MIGRATE, 0, 65ul, &one, &one));
	say("migrate to none", syscall(MIGRATE, 0, 65ul, &one, &none));
	say("migrate to 1", syscall(MIGRATE, 0, 65ul, &one, &two));
	say("migrate from 1", syscall(MIGRATE, 0, 65ul, &two, &one));
	say("migrate from none", syscall(MIGRATE, 0, 65ul, &none, &one));
	say("migrate no pid", syscall(MIGRATE, 99999999, 65ul, &one, &one));
	say("migrate no masks", syscall(MIGRATE, 0, 65ul, NULL, NULL));
	say("migrate nowhere", syscall(MIGRATE, 0, 65ul, 8ul, &one));
	say("migrate to nowhere", syscall(MIGRATE, 0, 65ul, &one, 8ul));
	say("migrate too many bits", syscall(MIGRATE, 0, 40000ul, &one, &one));
	int child = fork();
	if (!child)
		_exit(0);
	siginfo_t info;
	waitid(P_PID, (unsigned)child, &info, WEXITED | WNOWAIT);
	say("migrate a zombie", syscall(MIGRATE, child, 65ul, &one, &one));
	say("move a zombie's", syscall(MOVE, child, 1ul, pages, nodes, status, 2));
	wait(NULL);
}

static void as_a_user(void)
{
	unsigned long one = 1, three = 3;
	int node = 0, status;
	void *page = place;
	fflush(stdout);
	if (!fork()) {
		if (setuid(1000))
			printf("still another user\n");
		say("user: bind all", syscall(BIND, place, PAGE, 2, &one, 65ul, 4));
		say("user: bind all, unaligned", syscall(BIND, place + 1, PAGE, 2, &one, 65ul, 4));
		say("user: move all", syscall(MOVE, 0, 1ul, &page, &node, &status, 4));
		say("user: init's", syscall(MOVE, getppid(), 1ul, &page, &node, &status, 2));
		say("user: migrate", syscall(MIGRATE, 0, 65ul, &one, &one));
		say("user: migrate to 0-1", syscall(MIGRATE, 0, 65ul, &one, &three));
		say("user: migrate parent", syscall(MIGRATE, getppid(), 65ul, &one, &one));
		_exit(fflush(stdout));
	}
	wait(NULL);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		show_policy("after exec", NULL, 0);
		return 0;
	}
	every_mode();
	masks_and_their_sizes();
	bind_ranges();
	homes();
	inheritance();
	shared_objects();
	moving();
	as_a_user();
	return 0;
}
