/* A thread that sleeps in the middle of a call, for a monitor that ends the process instead. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXITS, IS_KILLED, EXECUTES, CRASHES, FORKS, ENDINGS };
static int uffd, how;
static char *self;

static void *monitor(void *arg)
{
	struct uffd_msg message;

	read(uffd, &message, sizeof(message));
	switch (how) {
	case EXITS:
		exit(3);
	case IS_KILLED:
		kill(getpid(), SIGTERM);
		break;
	case EXECUTES:
		execl(self, self, "again", (char *)0);
		break;
	case CRASHES:
		*(volatile int *)8 = 1;
		break;
	case FORKS:
		if (!fork())
			_exit(0);
		wait(NULL);
		exit(4);
	}
	pause();
	return NULL;
}

static void read_into_what_is_missing(void)
{
	char *area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register region = { .range = { (uintptr_t)area, 4096 },
					  .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };
	pthread_t thread;
	int ends[2];

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0)
		_exit(77);
	ioctl(uffd, UFFDIO_API, &api);
	ioctl(uffd, UFFDIO_REGISTER, &region);
	pthread_create(&thread, NULL, monitor, NULL);
	pipe(ends);
	write(ends[1], "x", 1);
	read(ends[0], area, 1);
	_exit(1); /* never */
}

int main(int argc, char **argv)
{
	int status;
	pid_t child;

	self = argv[0];
	if (argc > 1)
		return 9;
	for (how = 0; how < ENDINGS; how++) {
		fflush(stdout);
		child = fork();
		if (!child)
			read_into_what_is_missing();
		waitpid(child, &status, 0);
		printf("%d: %x\n", how, status);
	}
	return 0;
}
