/* What a descriptor of a process tells by ioctl: who it is, how it ended, its namespaces. */
#define _GNU_SOURCE
#include "../results.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { PID = 1, CREDS = 2, CGROUP = 4, EXIT = 8, COREDUMP = 16 };
enum { SMALL = 64, WHOLE = 72 };

struct info {
	uint64_t mask, cgroup;
	uint32_t pid, tgid, ppid, ids[8];
	int32_t exit_code;
	uint32_t dump, spare;
	char more[40];
};

static pid_t child;

static int name(uint32_t pid)
{
	return !pid ? 0 : pid == (uint32_t)child ? 2 : pid == (uint32_t)getpid() ? 1 : 9;
}

static long ask(int fd, size_t size, void *to)
{
	return result(ioctl(fd, _IOC(3, 0xFF, 11, size), to));
}

static void tell(const char *what, int fd, size_t size, uint64_t mask)
{
	struct info info;
	memset(&info, 0x55, sizeof info);
	info.mask = mask;
	long got = ask(fd, size, &info);
	printf("%s: %ld", what, got);
	if (!got) {
		printf(" mask %llx cgroup %d is %d of %d child of %d code %x dump %x %x %x",
		       (unsigned long long)info.mask, !!info.cgroup, name(info.pid),
		       name(info.tgid), name(info.ppid), info.exit_code, info.dump, info.spare,
		       info.more[0]);
		for (int i = 0; i < 8 && info.mask & CREDS; i++)
			printf(" %d", (int)info.ids[i] - (i % 2 ? (int)getgid() : (int)getuid()));
	}
	printf("\n");
}

static void sizes(int self)
{
	static const size_t all[] = { 0, 8, 56, 63, 64, 68, 72, 73, 80, 120, 4096 };
	char room[5000];
	for (int i = 0; i < 11; i++) {
		memset(room, 0, sizeof room);
		printf("size %d: %ld", (int)all[i], ask(self, all[i], room));
		printf(" nowhere %ld %ld\n", ask(self, all[i], NULL), ask(self, all[i], (void *)8));
	}
	P("other ways", result(ioctl(self, _IOC(1, 0xFF, 11, 64), room)),
	  result(ioctl(self, _IOC(0, 0xFF, 11, 64), room)),
	  result(ioctl(self, _IOC(3, 0xFE, 11, 64), room)),
	  result(ioctl(self, _IOC(3, 0xFF, 12, 64), room)), result(ioctl(self, 0x5451, 0)));
	P("version", result(ioctl(self, 0x80087601, 0)), result(ioctl(self, 0x80087601, 8)),
	  result(ioctl(self, 0x80087601, room)), result(ioctl(self, 0x80047601, room)));
}

/* Which of a process's namespaces it gives, and whether they are those that /proc shows. */
static void spaces(const char *what, int fd, pid_t pid)
{
	static const char *const names[] = { "cgroup", "ipc",
					     "mnt",    "net",
					     "pid",    "pid_for_children",
					     "time",   "time_for_children",
					     "user",   "uts" };
	printf("%s:", what);
	for (int i = 0; i < 12; i++) {
		struct stat one = { 0 }, other = { 1 };
		char path[60];
		long got = result(ioctl(fd, _IO(0xFF, i), 0));
		printf(" %d", got < 0 ? (int)got : 1);
		if (got < 0)
			continue;
		snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, names[i - 1]);
		fstat(got, &one);
		if (!stat(path, &other))
			printf("%s", one.st_ino == other.st_ino ? "=" : "!");
		printf("%d", fcntl(got, F_GETFD));
		close(got);
	}
	printf(" given %ld\n", result(ioctl(fd, _IO(0xFF, 10), 1)));
}

static int born(int how)
{
	int ready[2];
	char byte;
	pipe(ready);
	child = fork();
	if (!child) {
		if (how)
			unshare(how);
		write(ready[1], "x", 1);
		pause();
		_exit(0);
	}
	read(ready[0], &byte, 1);
	close(ready[0]), close(ready[1]);
	return syscall(SYS_pidfd_open, child, 0);
}

int main(void)
{
	int self = syscall(SYS_pidfd_open, getpid(), 0), fd;
	setvbuf(stdout, NULL, _IONBF, 0);
	sizes(self);
	tell("small", self, SMALL, 0);
	tell("whole", self, WHOLE, 0);
	tell("everything", self, WHOLE, -1);
	tell("more than there is", self, sizeof(struct info),
	     PID | CREDS | CGROUP | EXIT | COREDUMP);
	prctl(PR_SET_DUMPABLE, 0);
	tell("not to be dumped", self, WHOLE, COREDUMP);
	prctl(PR_SET_DUMPABLE, 1);
	spaces("own", self, getpid());
	fd = born(0);
	tell("child", fd, WHOLE, EXIT | COREDUMP);
	spaces("child", fd, child);
	kill(child, SIGTERM);
	waitid(P_PID, child, NULL, WEXITED | WNOWAIT);
	tell("zombie", fd, WHOLE, EXIT | COREDUMP);
	spaces("zombie", fd, child);
	waitpid(child, NULL, 0);
	tell("reaped", fd, WHOLE, 0);
	tell("reaped", fd, WHOLE, EXIT | COREDUMP);
	spaces("reaped", fd, child);
	close(fd);
	fd = born(geteuid() ? CLONE_NEWUSER : CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID);
	spaces("apart", fd, child);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	fd = (child = fork()) ? syscall(SYS_pidfd_open, child, 0) : 0;
	if (!child)
		_exit(3);
	waitpid(child, NULL, 0);
	tell("exited", fd, SMALL, EXIT);
	tell("a pipe", 0, SMALL, 0);
	return 0;
}
