/*
 * storm.c - a random walk over the memory calls on two windows, one private, one shared.
 *
 * usage: storm [steps [seed]].  Every few steps the checksum of both windows is printed, so the
 * first line that differs says where two kernels part.
 */
#include "raw.h"

#define NR_PAGES 48

static uint32_t dice;
static char *private_window, *shared_window, *spare;

static uint32_t roll(uint32_t sides) { return (dice = dice * 1103515245 + 12345) / 65536 % sides; }

struct range {
	char *start;
	long length;
};

static struct range pick(char *window)
{
	long first = roll(NR_PAGES), pages = 1 + roll((uint32_t)(NR_PAGES - first));

	return (struct range){ window + first * PAGE, pages * PAGE };
}

static void scribble(char *window)
{
	for (uint32_t left = 1 + roll(40); left; left--)
		window[roll(NR_PAGES * 4096)] = (char)roll(256);
}

static void map_anew(void)
{
	struct range r = pick(private_window);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	must(sys_munmap(r.start, r.length) == 0, "munmap");
	must(sys_mmap(r.start, r.length, RW, flags, -1, 0) > 0, "mmap");
}

static void forget(void)
{
	struct range r = pick(private_window);

	must(sys_madvise(r.start, r.length, MADV_DONTNEED) == 0, "madvise");
}

static void forbid_and_allow(void)
{
	struct range r = pick(roll(2) ? private_window : shared_window), part = r;

	part.length = (1 + roll((uint32_t)(r.length / PAGE))) * PAGE;
	must(sys_mprotect(r.start, r.length, roll(2) ? PROT_READ : PROT_NONE) == 0, "mprotect");
	must(sys_mprotect(part.start, part.length, RW) == 0, "mprotect");
	part.start[roll((uint32_t)part.length)] ^= 1;
	must(sys_mprotect(r.start, r.length, RW) == 0, "mprotect");
}

/* Out of the window page by page, and back: a page that was never touched is one too. */
static void move_away_and_back(void)
{
	struct range r = pick(private_window);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	for (long at = 0; at < r.length; at += PAGE) {
		must(sys_mremap(r.start + at, PAGE, PAGE, flags, spare + at) > 0, "mremap");
		spare[at + roll(4096)] += 3;
	}
	for (long at = 0; at < r.length; at += PAGE)
		must(sys_mremap(spare + at, PAGE, PAGE, flags, r.start + at) > 0, "mremap");
}

/* A child scribbles in both windows and says what it saw of the private one. */
static void fork_child(void)
{
	long pid = sys_fork();
	uint64_t before;

	must(pid >= 0, "fork");
	if (pid == 0) {
		scribble(private_window);
		scribble(shared_window);
		sys_exit((int)(checksum(private_window, NR_PAGES * PAGE) % 251));
	}
	before = checksum(private_window, NR_PAGES * PAGE);
	say("child: %d\n", reap());
	must(checksum(private_window, NR_PAGES * PAGE) == before, "a child's store is seen here");
	roll(2);
}

static void step(void)
{
	switch (roll(8)) {
	case 0:
		map_anew();
		break;
	case 1:
		forget();
		break;
	case 2:
		forbid_and_allow();
		break;
	case 3:
		move_away_and_back();
		break;
	case 4:
		fork_child();
		break;
	default:
		scribble(roll(2) ? private_window : shared_window);
	}
}

int main(int argc, char **argv)
{
	long steps = argc > 1 ? atol(argv[1]) : 200;

	dice = argc > 2 ? (uint32_t)atol(argv[2]) : 1;
	private_window = map_anonymous(NR_PAGES * PAGE);
	shared_window = map(NR_PAGES * PAGE, RW, MAP_SHARED, file_of_letters(NR_PAGES, ' '));
	spare = map(NR_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (long i = 1; i <= steps; i++) {
		step();
		if (i % 10 == 0)
			say("%ld: %016lx %016lx\n", i, checksum(private_window, NR_PAGES * PAGE),
			    checksum(shared_window, NR_PAGES * PAGE));
	}
	return 0;
}
