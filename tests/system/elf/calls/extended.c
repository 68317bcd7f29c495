/*
 * Structures that grow: what each call that takes one says to sizes that are too small, to those of
 * newer kernels, and to memory that ends. All are of zeros where it does not say else.
 */
#define _GNU_SOURCE
#include "results.h"
#include <stdlib.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { PAGE = 4096, HERE = -100 };

static unsigned char *room; /* three pages, of which the last cannot be read */
static int maps;

static long of_open(unsigned char *at, unsigned long size)
{
	long fd = call(437, HERE, (long)"/", (long)at, size, 0, 0);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}
/* A new task's signal at its end may not be 255: it is not made. */
static long of_clone(unsigned char *at, unsigned long size)
{
	at[32] = 255;
	return call(435, (long)at, size, 0, 0, 0, 0);
}
static long of_attributes(unsigned char *at, unsigned long size)
{
	return call(442, HERE, (long)"/", 0, (long)at, size, 0);
}
static long of_tree(unsigned char *at, unsigned long size)
{
	long fd = call(467, HERE, (long)"/", 0, (long)at, size, 0);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}
static long of_mount(unsigned char *at, unsigned long size)
{
	static char answer[PAGE];
	*(unsigned *)at = size;
	return call(457, (long)at, (long)answer, sizeof answer, 0, 0, 0);
}
static long of_list(unsigned char *at, unsigned long size)
{
	static char answer[PAGE];
	*(unsigned *)at = size;
	return call(458, (long)at, (long)answer, 8, 0, 0, 0);
}
static long of_map(unsigned char *at, unsigned long size)
{
	*(unsigned long *)at = size;
	long done = call(SYS_ioctl, maps, 0xC0686611, (long)at, 0, 0, 0);
	return done < 0 ? done : *(unsigned long *)at != size;
}
/* With the size that is answered where it was wrong. */
static long of_schedule(unsigned char *at, unsigned long size)
{
	*(unsigned *)at = size;
	long done = call(314, 0, (long)at, 0, 0, 0, 0);
	return done == -E2BIG ? *(unsigned *)at + 1000 : done;
}

static const struct {
	const char *name;
	long (*ask)(unsigned char *, unsigned long);
	int known;
} calls[] = {
	{ "openat2", of_open, 24 },
	{ "clone3", of_clone, 88 },
	{ "mount_setattr", of_attributes, 32 },
	{ "open_tree_attr", of_tree, 32 },
	{ "statmount", of_mount, 32 },
	{ "listmount", of_list, 32 },
	{ "PROCMAP_QUERY", of_map, 104 },
	{ "sched_setattr", of_schedule, 56 },
};

static long asked(int which, unsigned char *at, unsigned long size, long marked)
{
	memset(room, 0, 2 * PAGE);
	if (marked)
		at[marked] = 1;
	return calls[which].ask(at, size);
}

int main(void)
{
	room = mmap(0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(room + 2 * PAGE, PAGE);
	maps = open("/proc/self/maps", O_RDONLY);
	for (int i = 0; i < (int)(sizeof calls / sizeof *calls); i++) {
		long known = calls[i].known;
		printf("%s", calls[i].name);
		for (long size = 0; size <= known + 8; size += 4)
			printf(" %ld", asked(i, room, size, 0));
		unsigned char *end = room + 2 * PAGE;
		P("\n more", asked(i, room, PAGE, 0), asked(i, room, PAGE + 1, 0),
		  asked(i, room, -1, 0), asked(i, room, known + 8, known),
		  asked(i, room, PAGE, PAGE - 1), asked(i, room, PAGE, PAGE));
		P(" ends", asked(i, end - known, known, 0), asked(i, end - known, known + 8, 0),
		  asked(i, end - known - 8, known + 16, known), asked(i, end - 40, known + 48, 0));
	}
	return 0;
}
