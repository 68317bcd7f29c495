/* What sched_setattr takes, refuses and leaves, by policy and flag. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
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

int main(void)
{
	const struct sched_param none = { 0 };

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
