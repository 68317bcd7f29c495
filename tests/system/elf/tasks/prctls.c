/*
 * prctls.c - options of prctl that set what is only told again: which arguments are refused, and
 * with which error; PR_SET_MM and what /proc shows then; timers with numbers of one's own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define SET_MM 35
#define SPECULATION 52
#define RESTORE_IDS 77
enum { MM_AUXV = 12, MM_EXE_FILE, MM_MAP, MM_MAP_SIZE };

typedef unsigned long word;

struct map { /* struct prctl_mm_map */
	uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
	uint64_t arg_start, arg_end, env_start, env_end;
	uint64_t *auxv;
	uint32_t auxv_size, exe_fd;
};

static char *place;
static char text[8192];

static void tell(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

/* ---- all kinds of arguments ---- */

static void try_option(int option)
{
	static const word tries[][4] = {
		{ 0, 0, 0, 0 },     { 1, 0, 0, 0 },       { 2, 0, 0, 0 },     { 3, 0, 0, 0 },
		{ 0, 1, 0, 0 },     { 1, 1, 0, 0 },       { 1, 2, 0, 0 },     { 1, 3, 0, 0 },
		{ 1, 4, 0, 0 },     { 1, 16, 0, 0 },      { 2, 2, 0, 0 },     { 0, 0, 1, 0 },
		{ 0, 0, 0, 1 },     { -1, 0, 0, 0 },      { 5, 0, 0, 0 },     { 14, 0, 0, 0 },
		{ 15, 0, 0, 0 },    { -1, -1, -1, -1 },   { 0x100, 0, 0, 0 }, { 0x700, 0, 0, 0 },
		{ 0x500, 0, 0, 0 }, { 0x10f00, 0, 0, 0 },
	};
	size_t i;

	printf("option %d:", option);
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		const word *t = tries[i];
		long result = syscall(SYS_prctl, option, t[0], t[1], t[2], t[3]);

		/* What a processor is affected by is not compared. */
		if (result >= 0 && option == SPECULATION)
			result = 0;
		if (result < 0)
			printf(" %s", strerror(errno));
		else
			printf(" %ld", result);
	}
	printf("\n");
}

static void options(void)
{
	static const int numbers[] = { 27, 28, 27, 31, 32, 33, 34, 35, 52, 53, 57, 58, 77 };
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		try_option(numbers[i]);
}

/* ---- PR_SET_MM ---- */

static long set_mm(word option, word value, word size, word rest)
{
	return syscall(SYS_prctl, SET_MM, option, value, size, rest);
}

static void put(const char *what, const struct map *m)
{
	tell(what, set_mm(MM_MAP, (word)m, sizeof(*m), 0));
}

static size_t read_text(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0 ? (size_t)n : 0;
}

static void show_places(void)
{
	static const int shown[] = { 26, 27, 45, 46, 47, 48, 49, 50, 51 };
	char *field;
	size_t i = 0;
	int number;

	read_text("/proc/self/stat");
	field = strtok(strrchr(text, ')') + 2, " ");
	for (number = 3; field && i < sizeof(shown) / sizeof(shown[0]); number++) {
		if (number == shown[i]) {
			printf(" %lx", strtoul(field, NULL, 10));
			i++;
		}
		field = strtok(NULL, " ");
	}
	printf("\ncmdline of %zu bytes\n", read_text("/proc/self/cmdline"));
}

static struct map whole_map(void)
{
	word at = (word)place;
	struct map m = { at, at + 1, at, at, 0, 0, at, at, at + 5, at, at, NULL, 0, -1 };

	m.start_brk = m.brk = 0x30000000;
	return m;
}

static void refused_maps(void)
{
	struct map m;

#define REFUSE(what, change) \
	do { \
		m = whole_map(); \
		change; \
		put(what, &m); \
	} while (0)
	REFUSE("no code", m.end_code = m.start_code);
	REFUSE("data that ends first", m.end_data--);
	REFUSE("a heap that ends first", m.brk--);
	REFUSE("arguments that end first", m.arg_end = m.arg_start - 1);
	REFUSE("an environment that ends first", m.env_end--);
	REFUSE("too low", m.start_stack = 0x100);
	REFUSE("too high", m.start_stack = 1ul << 62);
	REFUSE("a vector nowhere", m.auxv_size = 16);
	REFUSE("a vector that is too long", (m.auxv = (uint64_t *)place, m.auxv_size = 8000));
	REFUSE("a file without the right", m.exe_fd = 0);
	REFUSE("what is not mapped", m.env_start = m.env_end = 0x58000000);
}

static void places(void)
{
	uint32_t size = 0;
	struct map m = whole_map();

	tell("the size", set_mm(MM_MAP_SIZE, (word)&size, 0, 0));
	printf("%u\n", size);
	tell("nowhere", set_mm(MM_MAP_SIZE, 8, 0, 0));
	tell("too short", set_mm(MM_MAP, (word)&m, sizeof(m) - 1, 0));
	tell("from nowhere", set_mm(MM_MAP, 8, sizeof(m), 0));
	tell("one place", set_mm(1, (word)place, 0, 0));
	tell("the vector", set_mm(MM_AUXV, (word)place, 16, 0));
	tell("the file", set_mm(MM_EXE_FILE, 0, 0, 0));
	put("all places", &m);
	show_places();
	refused_maps();
	m.auxv = (uint64_t *)place;
	m.auxv[0] = 6;
	m.auxv[2] = 0;
	m.auxv_size = 64;
	put("with a vector", &m);
	printf("auxv of %zu bytes\n", read_text("/proc/self/auxv"));
	m.brk += PAGE;
	put("a longer heap", &m);
	printf("it ends at %lx\n", (word)syscall(SYS_brk, 0));
	printf("and grows to %lx\n", (word)syscall(SYS_brk, m.brk + PAGE));
}

/* ---- timers ---- */

static void make_timer(const char *what, int wanted)
{
	int number = wanted;
	long result = syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &number);

	printf("%s: %ld %s, number %d\n", what, result, result < 0 ? strerror(errno) : "", number);
}

static void timers(void)
{
	make_timer("a timer", 77);
	tell("numbers of one's own", syscall(SYS_prctl, RESTORE_IDS, 1, 0, 0, 0));
	tell("are on", syscall(SYS_prctl, RESTORE_IDS, 2, 0, 0, 0));
	make_timer("number 9", 9);
	make_timer("number 9 again", 9);
	make_timer("a number below 0", -5);
	tell("no more", syscall(SYS_prctl, RESTORE_IDS, 0, 0, 0, 0));
	make_timer("the next", 77);
}

int main(void)
{
	if (!getuid() && (setgid(1000) || setuid(1000)))
		return 1;
	place = mmap((void *)0x50000000, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	strcpy(place, "hello");
	options();
	timers();
	places();
	return 0;
}
