/* kcmp: which objects two processes share; what CLONE_IO shares; the files that a set watches. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OF_IDLE_CLASS(level) (2 << 13 | (level))

struct slot {
	unsigned int in_set, fd, nth;
};

static int me;

static void compare(const char *what, int other, int kind, long first, const void *second)
{
	long result = syscall(SYS_kcmp, me, other, kind, first, second);
	if (result < 0)
		printf("%s: %s\n", what, strerror(errno));
	else
		printf("%s: %s\n", what, result ? "different" : "same");
}

static int child(unsigned long flags)
{
	int pid = (int)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static void end(int pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void all_kinds(const char *what, unsigned long flags)
{
	int pid = child(flags);
	puts(what);
	for (int kind = 1; kind < 10; kind++) {
		char name[8];
		snprintf(name, sizeof(name), "%d", kind);
		compare(name, pid, kind, 0, NULL);
	}
	end(pid);
}

static void io_contexts(void)
{
	int pid;
	compare("nobody has an I/O context", me, 5, 0, NULL);
	syscall(SYS_ioprio_set, 1, 0, OF_IDLE_CLASS(4));
	pid = child(0);
	compare("a child has its own", pid, 5, 0, NULL);
	syscall(SYS_ioprio_set, 1, pid, OF_IDLE_CLASS(7));
	printf("mine %ld, its %ld\n", syscall(SYS_ioprio_get, 1, 0),
	       syscall(SYS_ioprio_get, 1, pid));
	end(pid);
	pid = child(CLONE_IO);
	compare("a child shares it", pid, 5, 0, NULL);
	syscall(SYS_ioprio_set, 1, pid, OF_IDLE_CLASS(6));
	printf("mine %ld, its %ld\n", syscall(SYS_ioprio_get, 1, 0),
	       syscall(SYS_ioprio_get, 1, pid));
	end(pid);
}

static void watched_files(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct slot slot = { 0 };
	int ends[2], again;
	slot.in_set = epoll_create1(0);
	pipe(ends);
	compare("nothing is watched", me, 7, ends[0], &slot);
	slot.fd = ends[0];
	epoll_ctl(slot.in_set, EPOLL_CTL_ADD, ends[0], &event);
	compare("the file", me, 7, ends[0], &slot);
	compare("another file", me, 7, ends[1], &slot);
	compare("no file", me, 7, 99, &slot);
	slot.nth = 1;
	compare("the second", me, 7, ends[0], &slot);
	again = dup(ends[0]);
	dup2(ends[1], ends[0]);
	slot.nth = 0;
	compare("the file behind a number that was given away", me, 7, again, &slot);
	slot.in_set = 0;
	compare("no set", me, 7, again, &slot);
	slot.in_set = 98;
	compare("no descriptor", me, 7, again, &slot);
	compare("nowhere", me, 7, again, NULL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	me = getpid();
	all_kinds("fork", 0);
	all_kinds("files and places shared", CLONE_FILES | CLONE_FS);
	all_kinds("undo shared", CLONE_SYSVSEM);
	io_contexts();
	watched_files();
	compare("nobody", 0x3fffff, 1, 0, NULL);
	return 0;
}
