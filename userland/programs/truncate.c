/*
 * truncate.c - a file cut short under its mappings, shared and private, and grown again.
 */
#include "raw.h"

#define NR_PAGES 4

static sigjmp_buf back;

static void on_bus(int signo)
{
	(void)signo;
	siglongjmp(back, 1);
}

/* One letter a page: the byte there, '.' for zero, '#' for SIGBUS. */
static void show(const char *what, volatile char *shown)
{
	char line[NR_PAGES + 1] = { 0 };

	for (volatile int i = 0; i < NR_PAGES; i++) {
		if (sigsetjmp(back, 1)) {
			line[i] = '#';
			continue;
		}
		line[i] = shown[i * PAGE + 100];
		if (!line[i])
			line[i] = '.';
	}
	say("%s: %s\n", what, line);
}

int main(void)
{
	int file = file_of_letters(NR_PAGES, 'a');
	char *shared = map(NR_PAGES * PAGE, RW, MAP_SHARED, file);
	char *private = map(NR_PAGES * PAGE, RW, MAP_PRIVATE, file);
	char tail[8];

	signal(SIGBUS, on_bus);
	private[2 * PAGE + 100] = 'P';
	private[100] = 'Q';
	shared[PAGE + 100] = 'S';
	show("shared", shared);
	show("private", private);

	must(sys_ftruncate(file, PAGE + 50) == 0, "ftruncate");
	show("shared, cut", shared);
	show("private, cut", private);
	must(sys_ftruncate(file, NR_PAGES * PAGE) == 0, "ftruncate");
	show("shared, grown", shared);
	show("private, grown", private);

	memset(shared + 3 * PAGE, 'z', PAGE);
	must(sys_pread(file, tail, 8, 3 * PAGE) == 8 && tail[7] == 'z', "pread sees the store");
	must(sys_ftruncate(file, 3 * PAGE + 100) == 0, "ftruncate");
	must(sys_ftruncate(file, NR_PAGES * PAGE) == 0, "ftruncate");
	must(sys_pread(file, tail, 8, 3 * PAGE + 96) == 8, "pread");
	say("the last page's tail: %c%c%c%c %d%d%d%d\n", tail[0], tail[1], tail[2], tail[3],
	    tail[4], tail[5], tail[6], tail[7]);
	return 0;
}
