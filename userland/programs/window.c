/*
 * window.c - an emulator's window: nonlinear where it is allowed, else one mmap a page.
 *
 * Prints the same in both modes; the mode itself goes to standard error.  A kernel that knows
 * MAP_NONLINEAR refuses with EPERM; one that does not misses the descriptor: EBADF.
 */
#include "raw.h"

#define NR_PAGES 64

struct window {
	char *start;
	int file;
	bool nonlinear;
};

static struct window open_window(int file)
{
	long at = sys_mmap(NULL, NR_PAGES * PAGE, RW, MAP_SHARED | MAP_NONLINEAR, -1, 0);
	struct window w = { (char *)at, file, true };

	if (at > 0)
		return w;
	must(at == -EPERM || at == -EBADF, "the gate");
	w.nonlinear = false;
	w.start = map(NR_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	return w;
}

static void show_page(struct window *w, long linear, long physical)
{
	char *place = w->start + linear * PAGE;
	long result;

	if (w->nonlinear)
		result = sys_remap(place, PAGE, 0, physical, 0, w->file);
	else
		result =
			sys_mmap(place, PAGE, RW, MAP_SHARED | MAP_FIXED, w->file, physical * PAGE);
	must(result >= 0, "show a page");
}

/* Give page i of the file a pattern of its own. */
static int patterned_file(void)
{
	int fd = (int)sys_memfd("ram");
	uint32_t page[PAGE / 4];

	must(fd >= 0, "memfd_create");
	for (uint32_t i = 0; i < NR_PAGES; i++) {
		for (uint32_t word = 0; word < PAGE / 4; word++)
			page[word] = i * 2654435761u + word;
		must(sys_write(fd, page, PAGE) == PAGE, "write");
	}
	return fd;
}

int main(void)
{
	struct window w = open_window(patterned_file());
	const char *mode = w.nonlinear ? "nonlinear\n" : "mmap\n";

	sys_write(2, mode, (long)strlen(mode));
	for (int turn = 1; turn <= 3; turn++) {
		for (long i = 0; i < NR_PAGES; i++)
			show_page(&w, i, (i * (2 * turn + 3) + turn) % NR_PAGES);
		say("turn %d: %016lx\n", turn, checksum(w.start, NR_PAGES * PAGE));
		w.start[turn * PAGE] ^= 0x55;
	}
	return 0;
}
