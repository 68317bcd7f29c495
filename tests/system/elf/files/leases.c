/*
 * Leases: who may have one, what breaks it, who hears of it and who waits. Its argument: a directory.
 */
#define _GNU_SOURCE
#include "asleep.h"
#include "../results.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SIGNAL = 40 };

static long lease(int fd, int kind) { return result(fcntl(fd, F_SETLEASE, kind)); }
static long has(int fd) { return result(fcntl(fd, F_GETLEASE)); }

/* What the kernel shows of a file's leases. */
static void shown(const char *path)
{
	struct stat at;
	char line[200], inode[40];
	FILE *locks = fopen("/proc/locks", "r");
	stat(path, &at);
	snprintf(inode, sizeof inode, ":%lu ", (unsigned long)at.st_ino);
	while (fgets(line, sizeof line, locks)) {
		char *what = strchr(line, ' ');
		if (!strstr(line, inode) || !strstr(line, "LEASE") || strstr(line, "->"))
			continue;
		what[strstr(what, "READ") || strstr(what, "WRITE") ? 23 : 22] = 0;
		printf("  shown as%s\n", what);
	}
	fclose(locks);
}

/* What the holder has heard, if anything. */
static void heard(int fd)
{
	sigset_t set;
	siginfo_t info;
	struct timespec now = { 0, 0 };
	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigaddset(&set, SIGIO);
	while (sigtimedwait(&set, &info, &now) > 0)
		printf("  signal %d code %d band %lx of it %d\n", info.si_signo, info.si_code,
		       info.si_signo == SIGNAL ? info.si_band : 0, info.si_fd == fd);
}

static void kinds(const char *path)
{
	int fd = open(path, O_RDWR), other, ends[2];
	P("both ways", lease(fd, F_RDLCK), lease(fd, F_WRLCK), has(fd), lease(fd, F_WRLCK));
	P("no such kind", lease(fd, 3), lease(fd, -1), lease(fd, F_UNLCK), lease(fd, F_UNLCK));
	close(fd);
	fd = open(path, O_RDONLY);
	P("to read", lease(fd, F_RDLCK), has(fd), lease(fd, F_WRLCK), has(fd), lease(fd, F_RDLCK));
	other = open(path, O_RDONLY);
	P("beside a reader", lease(fd, F_WRLCK), has(fd), has(other), lease(other, F_RDLCK));
	P("given up", lease(other, F_UNLCK), lease(other, F_UNLCK), has(other), has(fd));
	close(other);
	P("alone again", lease(fd, F_WRLCK), has(fd));
	P("dup", (other = dup(fd)) - fd, has(other), close(fd), has(other), close(other));
	fd = open(path, O_RDONLY);
	P("closed", has(fd), lease(fd, F_UNLCK));
	other = open(path, O_WRONLY);
	P("beside a writer", lease(fd, F_RDLCK), lease(fd, F_WRLCK), lease(other, F_WRLCK));
	close(fd);
	P("writer alone", lease(other, F_RDLCK), lease(other, F_WRLCK), has(other));
	close(other);
	fd = memfd_create("m", 0);
	P("memfd", lease(fd, F_RDLCK), lease(fd, F_WRLCK));
	P("directory", lease(open("/", O_RDONLY), F_RDLCK), has(open("/", O_RDONLY)));
	pipe(ends);
	P("pipe", lease(ends[0], F_RDLCK), has(ends[0]), lease(ends[0], F_UNLCK));
	P("device", lease(open("/dev/null", O_RDONLY), F_RDLCK));
	P("no descriptor", lease(open(path, O_PATH), F_RDLCK), lease(-1, F_RDLCK), has(-1));
}

static void broken(const char *path)
{
	int fd = open(path, O_RDONLY);
	printf("owner %d\n", fcntl(fd, F_GETOWN));
	P("write lease", lease(fd, F_WRLCK));
	printf("owned by it %d\n", fcntl(fd, F_GETOWN) == getpid());
	shown(path);
	P("path", result(open(path, O_PATH) < 0), has(fd));
	P("rights and times", chmod(path, 0750), utimensat(AT_FDCWD, path, NULL, 0), has(fd));
	heard(fd);
	P("reader", result(open(path, O_RDONLY | O_NONBLOCK)), has(fd));
	heard(fd);
	shown(path);
	P("again", result(open(path, O_RDONLY | O_NONBLOCK)), has(fd));
	heard(fd);
	fcntl(fd, F_SETSIG, SIGNAL);
	P("writer", result(open(path, O_WRONLY | O_NONBLOCK)), has(fd));
	heard(fd);
	shown(path);
	P("again", result(open(path, O_RDWR | O_NONBLOCK | O_TRUNC)), has(fd));
	heard(fd);
	P("less", lease(fd, F_RDLCK), has(fd), fcntl(fd, F_GETSIG));
	shown(path);
	P("more", lease(fd, F_WRLCK), has(fd));
	P("none", lease(fd, F_UNLCK), has(fd), fcntl(fd, F_GETSIG), fcntl(fd, F_GETOWN));
	P("read lease", lease(fd, F_RDLCK), result(close(open(path, O_RDONLY | O_NONBLOCK))));
	heard(fd);
	P("to empty it", result(close(open(path, O_RDONLY | O_NONBLOCK | O_TRUNC))), has(fd));
	heard(fd);
	P("all ways", result(open(path, 3 | O_NONBLOCK)), has(fd), lease(fd, F_UNLCK));
	heard(fd);
	close(fd);
}

/* A child does something that has to wait; its parent gives way so, and it goes on. */
static void waits(const char *what, const char *path, int held, int then, int way)
{
	int fd = open(path, O_RDONLY), status;
	long kept = lease(fd, held);
	sigset_t set;
	pid_t child = fork();
	if (!child) {
		long got = -1;
		close(fd);
		if (way == 'x') {
			execl(path, path, "ran", NULL);
			got = result(-1);
		}
		if (way == 't')
			got = result(truncate(path, 1));
		if (way == 'r')
			got = result(open(path, O_RDONLY)) > 0;
		if (way == 'w')
			got = result(open(path, O_WRONLY)) > 0;
		_exit(got < 0 ? -got : 100 + got);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigwaitinfo(&set, NULL);
	printf("%s: %ld %ld", what, kept, has(fd));
	until_state(child, 'S');
	if (held == F_WRLCK && then == F_RDLCK)
		printf(" %ld", lease(fd, F_WRLCK));
	if (then != F_UNLCK || way == 'w')
		printf(" %ld", lease(fd, F_RDLCK));
	printf(" still %d", waitpid(child, &status, WNOHANG) == 0 || then != F_UNLCK);
	if (then == F_UNLCK)
		printf(" %ld", lease(fd, F_UNLCK));
	waitpid(child, &status, 0);
	printf(" child %x has %ld\n", status, has(fd));
	close(fd);
}

/* Nobody gives way, but a signal ends the wait. */
static void nothing(int signo) {}

static void interrupted(const char *path)
{
	int fd = open(path, O_RDONLY), status;
	struct sigaction act = { .sa_handler = nothing };
	lease(fd, F_WRLCK);
	pid_t child = fork();
	if (!child) {
		sigaction(SIGALRM, &act, NULL);
		ualarm(20000, 20000); /* or soon after */
		_exit(-result(open(path, O_WRONLY)));
	}
	waitpid(child, &status, 0);
	P("interrupted", status, has(fd), lease(fd, F_RDLCK), has(fd));
	child = fork();
	if (!child)
		_exit(-result(open(path, O_WRONLY)));
	until_state(child, 'S');
	P("a writer waits", lease(fd, F_RDLCK), lease(fd, F_WRLCK));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	P("killed", status, lease(fd, F_WRLCK), has(fd), lease(fd, F_UNLCK));
	close(fd);
	heard(-1);
}

int main(int argc, char **argv)
{
	char path[200];
	sigset_t set;
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc > 2)
		return 7;
	snprintf(path, sizeof path, "%s/leased", argv[1]);
	close(open(path, O_CREAT | O_WRONLY, 0755));
	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kinds(path);
	broken(path);
	waits("reader", path, F_WRLCK, F_RDLCK, 'r');
	waits("reader, all", path, F_WRLCK, F_UNLCK, 'r');
	waits("writer", path, F_WRLCK, F_UNLCK, 'w');
	waits("writer, read lease", path, F_RDLCK, F_UNLCK, 'w');
	waits("truncate", path, F_RDLCK, F_UNLCK, 't');
	waits("execve", path, F_WRLCK, F_UNLCK, 'x');
	interrupted(path);
	if (!geteuid()) {
		int fd = open(path, O_RDONLY);
		seteuid(64127);
		P("another's file", lease(fd, F_RDLCK), lease(fd, 9), lease(fd, F_UNLCK));
		seteuid(0);
	}
	unlink(path);
	return 0;
}
