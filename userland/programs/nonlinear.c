/*
 * nonlinear.c - one special VMA that shows two files, page by page in an order of its own.
 *
 * Needs the letter's calls: mmap(MAP_NONLINEAR), and remap_file_pages with a descriptor.
 */
#include "raw.h"

#define NR_PAGES 8

/* The VMA at an address, as /proc/self/maps has it. */
static int areas_within(const char *start, const char *end)
{
	char text[8192];
	int fd = (int)raw6(SYS_open, (long)"/proc/self/maps", O_RDONLY, 0, 0, 0, 0);
	long length = 0, count = 0;
	int found = 0;

	must(fd >= 0, "open /proc/self/maps");
	while ((count = raw3(SYS_read, fd, (long)text + length, sizeof(text) - 1 - length)) > 0)
		length += count;
	text[length] = 0;
	sys_close(fd);
	for (char *line = text; line && *line; line = strchr(line, '\n'), line += !!line) {
		char *low = (char *)strtoul(line, NULL, 16);

		found += low >= start && low < end;
	}
	return found;
}

static void show(const char *what, const char *window)
{
	char letters[NR_PAGES + 1] = { 0 };

	for (int i = 0; i < NR_PAGES; i++)
		letters[i] = window[i * PAGE + 7];
	say("%s: %s\n", what, letters);
}

int main(void)
{
	int first = file_of_letters(NR_PAGES, 'a'), second = file_of_letters(NR_PAGES, 'A');
	long at = sys_mmap(NULL, NR_PAGES * PAGE, RW, MAP_SHARED | MAP_NONLINEAR, -1, 0);
	char *window = (char *)at, seen = 0;

	if (at < 0) {
		say("mmap(MAP_NONLINEAR): errno %ld\n", -at);
		return 2;
	}
	for (int i = 0; i < NR_PAGES; i++)
		must(sys_remap(window + i * PAGE, PAGE, 0, NR_PAGES - 1 - i, 0,
			       i % 2 ? second : first) == 0,
		     "remap_file_pages");
	show("two files, backwards", window);
	say("areas: %d\n", areas_within(window, window + NR_PAGES * PAGE));

	window[7] = '!';
	sys_pread(first, &seen, 1, (NR_PAGES - 1) * PAGE + 7);
	say("a store is in the file: %c\n", seen);
	must(sys_remap(window + PAGE, 3 * PAGE, 0, 2, 0, first) == 0, "remap of three pages");
	show("three pages in a row", window);
	say("beyond the end: %ld\n", sys_remap(window, PAGE, 0, NR_PAGES, 0, first));
	say("no such descriptor: %ld\n", sys_remap(window, PAGE, 0, 0, 0, 99));

	must(sys_ftruncate(first, 0) == 0, "ftruncate");
	show("after truncate", window);
	must(sys_ftruncate(first, NR_PAGES * PAGE) == 0, "ftruncate");
	sys_pread(first, &seen, 1, (NR_PAGES - 1) * PAGE + 7);
	say("the file has grown again and reads %d there\n", seen);

	must(sys_fork() >= 0, "fork");
	must(sys_munmap(window, NR_PAGES * PAGE) == 0, "munmap");
	return 0;
}
