/*
 * bench.c - loops to be timed from outside.
 *
 * usage: bench NAME [count].  Prints one line that depends on name and count only, so that runs
 * on different kernels can be compared.
 */
#include "raw.h"

static char *self;

static uint64_t nothing(long count) { return (uint64_t)count; }

static uint64_t getppid_loop(long count)
{
	long parent = raw3(SYS_getppid, 0, 0, 0);
	uint64_t same = 0;

	for (long i = 0; i < count; i++)
		same += raw3(SYS_getppid, 0, 0, 0) == parent;
	return same;
}

static uint64_t mmap_loop(long count)
{
	uint64_t sum = 0;

	for (long i = 0; i < count; i++) {
		char *p = map_anonymous(16 * PAGE);

		for (int page = 0; page < 16; page++)
			p[page * PAGE] = (char)(i + page);
		sum += (unsigned char)p[15 * PAGE];
		must(sys_munmap(p, 16 * PAGE) == 0, "munmap");
	}
	return sum;
}

static uint64_t fork_loop(long count)
{
	uint64_t sum = 0;

	for (long i = 0; i < count; i++) {
		if (sys_fork() == 0)
			sys_exit((int)(i % 100));
		sum += (uint64_t)reap();
	}
	return sum;
}

static uint64_t exec_loop(long count)
{
	char *arguments[] = { self, "nothing", "0", NULL }, *environment[] = { NULL };
	uint64_t good = 0;

	for (long i = 0; i < count; i++) {
		if (sys_fork() == 0) {
			sys_close(1);
			raw3(SYS_execve, (long)self, (long)arguments, (long)environment);
			sys_exit(9);
		}
		good += reap() == 0;
	}
	return good;
}

/* Two processes that hand the processor to each other. */
static uint64_t switch_loop(long count)
{
	long pid = sys_fork();

	must(pid >= 0, "fork");
	for (long i = 0; i < count; i++)
		raw3(SYS_sched_yield, 0, 0, 0);
	if (pid == 0)
		sys_exit(3);
	return (uint64_t)reap();
}

static uint64_t compute_loop(long count)
{
	uint64_t state = 88172645463325252u;

	for (long i = 0; i < count; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
	}
	return state;
}

static uint64_t random_loop(long nbytes, long count)
{
	uint64_t *words = (uint64_t *)map_anonymous(nbytes);
	uint64_t state = 88172645463325252u, mask = (uint64_t)nbytes / 8 - 1;

	for (long i = 0; i < count; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		words[state >> 20 & mask] += state;
	}
	return checksum(words, PAGE);
}

static uint64_t random_1m(long count) { return random_loop(1 << 20, count); }
static uint64_t random_64m(long count) { return random_loop(64 << 20, count); }

static const struct {
	const char *name;
	uint64_t (*run)(long count);
	long count;
} loops[] = {
	{ "nothing", nothing, 1 },
	{ "getppid", getppid_loop, 200000 },
	{ "mmap", mmap_loop, 2000 },
	{ "fork", fork_loop, 500 },
	{ "exec", exec_loop, 60 },
	{ "switch", switch_loop, 10000 },
	{ "compute", compute_loop, 20000000 },
	{ "random-1m", random_1m, 2000000 },
	{ "random-64m", random_64m, 2000000 },
};

int main(int argc, char **argv)
{
	self = argv[0];
	for (size_t i = 0; argc > 1 && i < sizeof(loops) / sizeof(*loops); i++) {
		long count = argc > 2 ? atol(argv[2]) : loops[i].count;

		if (strcmp(argv[1], loops[i].name))
			continue;
		say("%s %ld: %016lx\n", argv[1], count, loops[i].run(count));
		return 0;
	}
	for (size_t i = 0; i < sizeof(loops) / sizeof(*loops); i++)
		say("%s %ld\n", loops[i].name, loops[i].count);
	return argc > 1;
}
