/*
 * Who waits for others to sleep, by what /proc says of them: on a busy host no time is long enough.
 *
 * A task that has said it goes to sleep, and only computes before it does, sleeps in that call once
 * its state is S. What has ended will not run either.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline char state_of_task(pid_t pid, pid_t tid)
{
	char path[64], text[256] = "";

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	FILE *file = fopen(path, "r");
	if (!file)
		return 'X';
	size_t length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	return length ? strrchr(text, ')')[2] : 'X';
}

/* Tell whether each thread of a process but the caller is in one of these states. */
static inline int all_in(const char *states, pid_t pid)
{
	char path[64];
	int all = 1;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	for (struct dirent *each; all && tasks && (each = readdir(tasks));) {
		pid_t tid = atoi(each->d_name);
		if (tid && tid != syscall(SYS_gettid))
			all = !!strchr(states, state_of_task(pid, tid));
	}
	if (tasks)
		closedir(tasks);
	return all;
}

/* Wait until each thread of a process but the caller is in one of these states. */
static inline void until_in(const char *states, pid_t pid)
{
	while (!all_in(states, pid))
		usleep(1000);
}

static inline void until_asleep(pid_t pid) { until_in("SXZ", pid); }

/* Wait until all threads but the caller sleep. */
static inline void until_others_sleep(void) { until_asleep(getpid()); }
