/*
 * What an open file holds while only mappings have it: locks, a lease, the right to write, and when it is
 * told closed. Its argument: a directory.
 */
#define _GNU_SOURCE
#include "../results.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { BYTES = 8192, HALF = 4096 };
enum { NOTHING, FLOCK, OFD, LEASE, PRIVATE, HOLDS };

static const char *const names[] = { "nothing", "flock", "lock of the file", "lease", "private" };
static char path[300];
static int watch;

static void events(void)
{
	char bytes[4096] __attribute__((aligned(8)));
	long nr = read(watch, bytes, sizeof bytes);
	printf(" events");
	for (char *at = bytes; nr > 0 && at < bytes + nr;) {
		struct inotify_event *event = (struct inotify_event *)at;
		printf(" %x", event->mask);
		at += sizeof *event + event->len;
	}
	printf("\n");
}

/* What another open file may have now, and whether it may be run. */
static void look(const char *when)
{
	struct flock all = { .l_type = F_WRLCK };
	int status, fd = open(path, O_RDWR | O_NONBLOCK);
	printf("  %s: open %d", when, fd < 0 ? -errno : 0);
	if (fd >= 0)
		printf(" locks %ld %ld", result(flock(fd, LOCK_EX | LOCK_NB)),
		       result(fcntl(fd, F_OFD_SETLK, &all)));
	close(fd);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	printf(" leases %ld %ld", result(fcntl(fd, F_SETLEASE, F_RDLCK)),
	       result(fcntl(fd, F_SETLEASE, F_WRLCK)));
	close(fd);
	pid_t child = fork();
	if (!child) {
		execl(path, path, "x", "x", (char *)0);
		_exit(errno);
	}
	waitpid(child, &status, 0);
	printf(" execve %d", WEXITSTATUS(status));
	events();
}

static char *hold(int what)
{
	struct flock all = { .l_type = F_WRLCK };
	int fd = open(path, what == LEASE ? O_RDONLY : O_RDWR);
	if (what == FLOCK)
		flock(fd, LOCK_EX);
	if (what == OFD)
		fcntl(fd, F_OFD_SETLK, &all);
	if (what == LEASE)
		fcntl(fd, F_SETLEASE, F_RDLCK);
	char *at = mmap(0, BYTES, PROT_READ, what == PRIVATE ? MAP_PRIVATE : MAP_SHARED, fd, 0);
	close(fd);
	return at;
}

static void holds(int what)
{
	printf("%s\n", names[what]);
	char *at = hold(what);
	look("mapped");
	munmap(at, HALF);
	look("half of it");
	munmap(at + HALF, BYTES - HALF);
	look("unmapped");
	at = hold(what);
	pid_t child = fork();
	if (!child)
		pause();
	munmap(at, BYTES);
	look("a child has it");
	kill(child, SIGKILL);
	waitpid(child, 0, 0);
	look("it has ended");
	if (!(child = fork())) {
		hold(what);
		execl("/proc/self/exe", "x", "x", "x", (char *)0);
	}
	waitpid(child, 0, 0);
	look("another program");
	at = hold(what);
	mmap(at, BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	look("replaced");
	munmap(at, BYTES);
	at = hold(what);
	mremap(at + HALF, HALF, HALF, MREMAP_MAYMOVE | MREMAP_FIXED, at);
	look("moved");
	mremap(at, HALF, 0, 0);
	munmap(at, HALF);
	look("moved and unmapped");
}

static void waiter(void)
{
	char *at = hold(FLOCK);
	pid_t child = fork();
	if (!child) {
		munmap(at, BYTES);
		int fd = open(path, O_RDWR);
		flock(fd, LOCK_EX);
		printf("has the lock\n");
		_exit(0);
	}
	usleep(100000);
	printf("unmapped\n");
	munmap(at, BYTES);
	waitpid(child, 0, 0);
}

int main(int argc, char **argv)
{
	if (argc > 2)
		return 7;
	setvbuf(stdout, 0, _IOLBF, 0);
	signal(SIGIO, SIG_IGN);
	snprintf(path, sizeof path, "%s/mapped", argv[1]);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0700);
	write(fd, "no program", 10);
	ftruncate(fd, BYTES);
	close(fd);
	watch = inotify_init1(IN_NONBLOCK);
	inotify_add_watch(watch, path, IN_CLOSE | IN_OPEN);
	for (int what = NOTHING; what < HOLDS; what++)
		holds(what);
	waiter();
	unlink(path);
	return 0;
}
