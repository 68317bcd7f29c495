/*
 * residency.c - which pages memory holds, before and after advice about them.
 */
#include "raw.h"

#define NR_PAGES 12

static void show(const char *what, char *start)
{
	unsigned char vector[NR_PAGES];
	char line[NR_PAGES + 1] = { 0 };
	long result = sys_mincore(start, NR_PAGES * PAGE, vector);

	for (int i = 0; i < NR_PAGES; i++)
		line[i] = vector[i] & 1 ? '1' : '0';
	say("%s: %s\n", what, result == 0 ? line : "an error");
}

static void anonymous(void)
{
	char *p = map_anonymous(NR_PAGES * PAGE);

	sys_madvise(p, NR_PAGES * PAGE, MADV_NOHUGEPAGE);
	show("fresh", p);
	for (int i = 0; i < NR_PAGES; i += 2)
		p[i * PAGE] = (char)(i + 1);
	show("every second touched", p);
	say("dontneed: %ld\n", sys_madvise(p + 2 * PAGE, 4 * PAGE, MADV_DONTNEED));
	show("after dontneed", p);
	say("reads %d %d %d\n", p[0], p[2 * PAGE], p[6 * PAGE]);
	say("populate: %ld\n", sys_madvise(p, NR_PAGES * PAGE, MADV_POPULATE_WRITE));
	show("after populate", p);
	sys_munmap(p + 5 * PAGE, PAGE);
	show("with a hole", p);
	say("over the hole: %ld %ld\n", sys_madvise(p, NR_PAGES * PAGE, MADV_DONTNEED),
	    sys_madvise(p, NR_PAGES * PAGE, MADV_NORMAL));
	say("misaligned: %ld, unknown: %ld\n", sys_madvise(p + 1, PAGE, MADV_NORMAL),
	    sys_madvise(p, PAGE, 12345));
}

static void of_a_file(void)
{
	int file = file_of_letters(NR_PAGES, 'a');
	char *p = map(NR_PAGES * PAGE, RW, MAP_SHARED, file);

	show("a file's pages, not yet touched", p);
	say("dontneed: %ld\n", sys_madvise(p, NR_PAGES * PAGE, MADV_DONTNEED));
	show("the cache has them still", p);
	say("remove: %ld\n", sys_madvise(p + 3 * PAGE, 2 * PAGE, MADV_REMOVE));
	show("after remove", p);
	say("reads %d %c %d\n", p[3 * PAGE], p[5 * PAGE], p[4 * PAGE]);
}

/* What a child gets of pages with advice about forks. */
static void over_fork(void)
{
	char *p = map_anonymous(4 * PAGE);

	for (int i = 0; i < 4; i++)
		p[i * PAGE] = (char)('a' + i);
	say("wipeonfork: %ld, dontfork: %ld\n", sys_madvise(p + PAGE, PAGE, MADV_WIPEONFORK),
	    sys_madvise(p + 3 * PAGE, PAGE, MADV_DONTFORK));
	if (sys_fork() == 0) {
		say("child: %c %d %c\n", p[0], p[PAGE], p[2 * PAGE]);
		sys_exit(p[3 * PAGE]);
	}
	say("child ends with: %d\n", reap());
	say("parent: %c %c %c %c\n", p[0], p[PAGE], p[2 * PAGE], p[3 * PAGE]);
}

int main(void)
{
	anonymous();
	of_a_file();
	over_fork();
	return 0;
}
