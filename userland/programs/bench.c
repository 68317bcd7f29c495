/*
 * bench.c - loops to be timed from outside.
 *
 * usage: bench NAME [count [emulator]].  Prints one line that depends on name and count only, so
 * that runs on different kernels can be compared.  The loop "exec" starts this program again;
 * where an emulator runs it, the new program needs the emulator's path too, or it runs natively.
 */
#include "raw.h"

#include <linux/futex.h>
#include <pthread.h>

static char *self, *emulator;

static uint64_t nothing(long count) { return (uint64_t)count; }

static uint64_t getppid_loop(long count)
{
	long parent = raw3(SYS_getppid, 0, 0, 0);
	uint64_t same = 0;

	for (long i = 0; i < count; i++)
		same += raw3(SYS_getppid, 0, 0, 0) == parent;
	return same;
}

/* A call that wants a file: here Python serves it. */
static uint64_t read_loop(long count)
{
	int fd = open("/dev/zero", O_RDONLY);
	char byte;
	uint64_t got = 0;

	for (long i = 0; i < count; i++)
		got += (uint64_t)raw3(SYS_read, fd, (long)&byte, 1);
	return got;
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
	char *with_emulator[] = { emulator, self, "nothing", "0", NULL }, *environment[] = { NULL };
	char **arguments = emulator ? with_emulator : with_emulator + 1;
	uint64_t good = 0;

	for (long i = 0; i < count; i++) {
		if (sys_fork() == 0) {
			sys_close(1);
			raw3(SYS_execve, (long)arguments[0], (long)arguments, (long)environment);
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

/* Two processes that wake each other by pipes: a call that blocks, and is woken. */
static uint64_t pipe_loop(long count)
{
	int there[2], back[2];
	char byte = 0;
	uint64_t got = 0;

	must(pipe(there) == 0 && pipe(back) == 0, "pipe");
	if (sys_fork() == 0) {
		for (long i = 0; i < count; i++) {
			raw3(SYS_read, there[0], (long)&byte, 1);
			sys_write(back[1], &byte, 1);
		}
		sys_exit(0);
	}
	for (long i = 0; i < count; i++) {
		sys_write(there[1], &byte, 1);
		got += (uint64_t)raw3(SYS_read, back[0], (long)&byte, 1);
	}
	reap();
	return got;
}

static int turn; /* whose it is: 0, the first thread's, or 1 */

static void take_turns(int mine, long count)
{
	for (long i = 0; i < count; i++) {
		while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine)
			raw6(SYS_futex, (long)&turn, FUTEX_WAIT_PRIVATE, !mine, 0, 0, 0);
		__atomic_store_n(&turn, !mine, __ATOMIC_RELEASE);
		raw6(SYS_futex, (long)&turn, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
	}
}

static void *second_thread(void *count)
{
	take_turns(1, (long)count);
	return NULL;
}

/* Two threads that wait for each other on one word. */
static uint64_t futex_loop(long count)
{
	pthread_t second;

	must(pthread_create(&second, NULL, second_thread, (void *)count) == 0, "pthread_create");
	take_turns(0, count);
	pthread_join(second, NULL);
	return (uint64_t)turn;
}

static void *one_of_many(void *number) { return number; }

static uint64_t thread_loop(long count)
{
	pthread_t *threads = calloc((size_t)count, sizeof(*threads));
	uint64_t sum = 0;

	for (long i = 0; i < count; i++)
		must(pthread_create(&threads[i], NULL, one_of_many, (void *)i) == 0,
		     "pthread_create");
	for (long i = 0; i < count; i++) {
		void *number;

		pthread_join(threads[i], &number);
		sum += (uint64_t)number;
	}
	return sum;
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
	{ "read", read_loop, 100000 },
	{ "mmap", mmap_loop, 2000 },
	{ "fork", fork_loop, 500 },
	{ "exec", exec_loop, 60 },
	{ "switch", switch_loop, 10000 },
	{ "pipe", pipe_loop, 5000 },
	{ "futex", futex_loop, 5000 },
	{ "threads", thread_loop, 1000 },
	{ "compute", compute_loop, 20000000 },
	{ "random-1m", random_1m, 2000000 },
	{ "random-64m", random_64m, 2000000 },
};

int main(int argc, char **argv)
{
	self = argv[0];
	emulator = argc > 3 ? argv[3] : NULL;
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
