/* What the programs share that print what calls have returned: an errno is a negative result. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline long result(long value) { return value < 0 ? -errno : value; }

/* Any call by its number. */
static inline long call(long nr, long a, long b, long c, long d, long e, long f)
{
	return result(syscall(nr, a, b, c, d, e, f));
}

/* The results of calls, made one after the other. */
#define P(what, ...) \
	show_all(what, (long[]){ __VA_ARGS__ }, sizeof((long[]){ __VA_ARGS__ }) / sizeof(long))

static inline void show_all(const char *what, const long *results, int count)
{
	printf("%s", what);
	for (int i = 0; i < count; i++)
		printf(" %ld", results[i]);
	printf("\n");
}

/* One result of the C library's, with its error in words. */
static inline void say(const char *what, long value)
{
	printf("%s: %ld%s%s\n", what, value < 0 ? -1 : value, value < 0 ? " " : "",
	       value < 0 ? strerror(errno) : "");
	fflush(stdout);
}
