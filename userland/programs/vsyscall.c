/*
 * vsyscall.c - the three calls at fixed addresses agree with the system calls they stand for.
 */
#include "raw.h"

typedef long (*gettimeofday_at)(struct timeval *, void *);
typedef long (*time_at)(long *);
typedef long (*getcpu_at)(unsigned *, unsigned *, void *);

static const gettimeofday_at fixed_gettimeofday = (gettimeofday_at)0xffffffffff600000;
static const time_at fixed_time = (time_at)0xffffffffff600400;
static const getcpu_at fixed_getcpu = (getcpu_at)0xffffffffff600800;

static long microseconds(const struct timeval *t) { return t->tv_sec * 1000000 + t->tv_usec; }

static bool between(const struct timeval *low, const struct timeval *middle,
		    const struct timeval *high)
{
	return microseconds(low) <= microseconds(middle) &&
	       microseconds(middle) <= microseconds(high);
}

int main(void)
{
	struct timeval before, fixed, after;
	struct timezone zone = { 99, 99 };
	long stored = 0, seconds;
	unsigned cpu = ~0u, node = ~0u, wanted = ~0u;

	raw3(SYS_gettimeofday, (long)&before, 0, 0);
	say("gettimeofday: %ld\n", fixed_gettimeofday(&fixed, &zone));
	raw3(SYS_gettimeofday, (long)&after, 0, 0);
	say("between two system calls: %d, zone %d %d\n", between(&before, &fixed, &after),
	    zone.tz_minuteswest, zone.tz_dsttime);
	say("nothing to store: %ld\n", fixed_gettimeofday(NULL, NULL));

	seconds = fixed_time(&stored);
	raw3(SYS_gettimeofday, (long)&after, 0, 0);
	say("time stores what it returns: %d, in time: %d\n", seconds == stored,
	    seconds >= before.tv_sec - 1 && seconds <= after.tv_sec); /* it may lag by a tick */
	say("time(NULL): %d\n", fixed_time(NULL) >= seconds);

	raw3(SYS_getcpu, (long)&wanted, 0, 0);
	say("getcpu: %ld\n", fixed_getcpu(&cpu, &node, NULL));
	say("node: %u\n", node);
	say("a processor: %d\n", cpu < 1024 && wanted < 1024);
	return 0;
}
