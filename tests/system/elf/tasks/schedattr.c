/* What sched_setattr takes, refuses and leaves, by policy and flag. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 48
#define KEEP_POLICY 8
#define KEEP_PARAMS 16

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static void set(struct attr a)
{
	struct attr now = { 0 };

	a.size = a.size ? a.size : SIZE;
	printf("policy %d flags %d nice %d priority %u size %u: ", (int)a.policy, (int)a.flags,
	       a.nice, a.priority, a.size);
	errno = 0;
	long result = syscall(SYS_sched_setattr, 0, &a, 0);
	printf("%ld %d, ", result, errno);
	syscall(SYS_sched_getattr, 0, &now, SIZE, 0);
	printf("now policy %u flags %d nice %d priority %u\n", now.policy, (int)now.flags, now.nice,
	       now.priority);
}

static void each_policy(void)
{
	for (uint32_t policy = 0; policy < 9; policy++) {
		if (policy == 6 || policy == 7)
			continue; /* deadlines; a kernel's own scheduler */
		set((struct attr){ .policy = policy });
		set((struct attr){ .policy = policy, .priority = 1 });
		set((struct attr){ .policy = policy, .priority = 100 });
		set((struct attr){ .policy = policy, .nice = 5 });
	}
}

/* Deadlines: which times are taken and shown; whoever may not have them is told so. */
static void deadline(uint64_t flags, uint64_t runtime, uint64_t within, uint64_t period)
{
	struct attr a = { SIZE, 6, flags, 3, 0, runtime, within, period }, now = { 0 };
	char line[400] = "", *at;

	printf("%lu of %lu in %lu flags %lu: ", runtime, within, period, flags);
	errno = 0;
	long result = syscall(SYS_sched_setattr, 0, &a, 0);
	printf("%ld %d, ", result, errno);
	syscall(SYS_sched_getattr, 0, &now, SIZE, 0);
	FILE *stat = fopen("/proc/self/stat", "r");
	at = fgets(line, sizeof line, stat);
	for (int i = 0; at && i < 17; i++)
		at = strchr(at + 1, ' ');
	printf("now policy %u flags %d nice %d times %lu %lu %lu %d shown %.4s\n", now.policy,
	       (int)now.flags, now.nice, now.policy == 6 ? now.runtime : 0, now.deadline,
	       now.period, sched_getscheduler(0), at);
	fclose(stat);
}

/* What /proc/self/sched shows: the names of all, what does not change by itself of some. */
static void shown(const char *what)
{
	char line[200];
	FILE *sched = fopen("/proc/self/sched", "r");
	printf("%s", what);
	while (fgets(line, sizeof line, sched) && !strstr(line, "numa")) {
		char *threads = strstr(line, "#threads");
		if (strstr(line, "uclamp") || strstr(line, "ext.enabled"))
			continue; /* not every kernel is built with clamps, with classes of one's own */
		int kept = strstr(line, "weight") || strstr(line, "policy") ||
			   strstr(line, "prio") || strstr(line, "slice");
		if (!kept && strchr(line, '.'))
			line[46] = 0;
		if (!kept && strchr(line, '-') == strstr(line, "-d"))
			line[46] = 0;
		if (strstr(line, "switches"))
			line[46] = 0;
		printf("%s|", threads ? threads : strcspn(line, " ") ? line : "");
	}
	printf("\n");
	fclose(sched);
}

static void shown_of_all(void)
{
	const struct sched_param none = { 0 }, one = { 7 };

	FILE *sched = fopen("/proc/self/sched", "w");
	printf("written %d", fputs("0\n", sched));
	printf(" %d\n", fclose(sched));
	shown("usual");
	for (int nice = getuid() ? 0 : -20; nice < 20; nice++) {
		setpriority(PRIO_PROCESS, 0, nice);
		shown("nice");
	}
	sched_setscheduler(0, SCHED_IDLE, &none);
	shown("idle");
	sched_setscheduler(0, SCHED_BATCH, &none);
	shown("batch");
	sched_setscheduler(0, SCHED_RR, &one);
	shown("round robin");
	set((struct attr){ .policy = 6, .runtime = 1000000, .deadline = 100000000 });
	shown("deadline");
	sched_setscheduler(0, SCHED_OTHER, &none);
	setpriority(PRIO_PROCESS, 0, 0);
}

static void deadlines(void)
{
	const uint64_t ms = 1000000;
	const struct sched_param none = { 0 }, one = { 1 };

	deadline(0, 0, 0, 0);
	deadline(0, 1023, 100 * ms, 100 * ms);
	deadline(0, 2 * ms, ms, 100 * ms);
	deadline(0, ms, 100 * ms, 99 * ms);
	deadline(0, ms, 1ull << 63, 0);
	deadline(0, 2000, 99999, 0);
	deadline(0, ms, 4194304001, 0);
	deadline(0x80, ms, 100 * ms, 0);
	deadline(0, 1024, 100000, 0);
	deadline(6, ms, 50 * ms, 100 * ms);
	fflush(stdout);
	pid_t child = fork();
	if (!child)
		_exit(0);
	printf("fork %d %d\n", child > 0, child < 0 ? errno : 0);
	if (child > 0)
		waitpid(child, NULL, 0);
	printf("param %d %d\n", sched_setparam(0, &none), errno);
	printf("param %d %d\n", sched_setscheduler(0, 6, &none), errno);
	set((struct attr){ .policy = 99, .flags = KEEP_POLICY, .nice = 9 });
	deadline(1 | KEEP_PARAMS, 9 * ms, 9 * ms, 9 * ms);
	deadline(1, 2 * ms, 50 * ms, 100 * ms);
	fflush(stdout);
	child = fork();
	if (!child) {
		printf("child %d\n", sched_getscheduler(0));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	struct timespec slice = { 5, 5 };
	printf("slice %d", sched_rr_get_interval(0, &slice));
	printf(" %ld %ld\n", (long)slice.tv_sec, slice.tv_nsec);
	printf("left %d %d\n", sched_setscheduler(0, SCHED_FIFO, &one), sched_getscheduler(0));
	printf("left %d %d\n", sched_setscheduler(0, SCHED_OTHER, &none), sched_getscheduler(0));
	set((struct attr){ .policy = SCHED_OTHER, .nice = 0 });
}

int main(void)
{
	const struct sched_param none = { 0 };

	signal(SIGXCPU,
	       SIG_IGN); /* which tells of an overrun: a slow host is past a millisecond soon */
	deadlines();
	fflush(stdout);
	if (!fork()) {
		shown_of_all();
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	each_policy();
	for (int policy = 0; policy < 6; policy++)
		printf("scheduler %d: %d, %d\n", policy, sched_setscheduler(0, policy, &none),
		       sched_getscheduler(0));
	set((struct attr){ .policy = SCHED_OTHER, .nice = 7 });
	for (int bit = 0; bit < 9; bit++)
		if (bit != 5 && bit != 6) /* clamps */
			set((struct attr){ .nice = 7, .flags = 1u << bit });
	set((struct attr){ .policy = UINT32_MAX, .nice = 8 });
	set((struct attr){ .policy = 99, .flags = KEEP_POLICY, .nice = 9 });
	set((struct attr){ .policy = SCHED_BATCH, .flags = KEEP_PARAMS, .nice = 10 });
	set((struct attr){ .policy = SCHED_BATCH, .flags = KEEP_PARAMS | 1, .nice = 10 });
	set((struct attr){ .flags = 0x20, .nice = 11 });
	set((struct attr){ .size = 47 });
	set((struct attr){ .policy = SCHED_IDLE, .nice = 11 });
	set((struct attr){ .policy = SCHED_IDLE, .nice = -20 });
	set((struct attr){ .policy = SCHED_OTHER, .nice = 50 });
	return 0;
}
