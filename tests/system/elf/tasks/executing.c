/*
 * executing DIRECTORY
 * execve and execveat of memfds, descriptors, links to them and scripts; RLIMIT_NPROC at execve.
 */
#define _GNU_SOURCE
#include "asleep.h"
#include "ownuser.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char self[512];
static char *args[] = { "zero", "child", "x", NULL };

static const char *short_name(const char *name)
{
	const char *last = strrchr(name, '/');
	return last && strncmp(name, "/dev/fd/", 8) && strncmp(name, "/memfd", 6) ? last : name;
}

static int child(int argc, char **argv)
{
	char comm[32] = "", exe[512] = "";
	int fd = open("/proc/self/comm", O_RDONLY);
	if (read(fd, comm, 31) < 0 || readlink("/proc/self/exe", exe, 511) < 0)
		perror("proc");
	printf("  argc %d argv0 %s comm %s", argc, short_name(argv[0]),
	       strncmp(comm, "program", 7) ? comm : "program\n");
	printf("  exe %s execfn %s\n", short_name(exe), short_name((char *)getauxval(AT_EXECFN)));
	for (int i = 2; i < argc; i++)
		printf("  arg %s\n", short_name(argv[i]));
	return 0;
}

static void copy(int to)
{
	char buffer[65536];
	ssize_t n;
	int from = open("/proc/self/exe", O_RDONLY);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, n) != n)
			perror("write");
	close(from);
}

static void tell(const char *what, int status)
{
	printf("%s: %s %d\n", what, WIFEXITED(status) ? "exit" : "signal",
	       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	fflush(stdout);
}

#define RUN(what, ...) \
	do { \
		int status; \
		fflush(stdout); \
		pid_t pid = fork(); \
		if (!pid) { \
			__VA_ARGS__; \
			printf("  errno %d\n", errno); \
			fflush(stdout); \
			_exit(9); \
		} \
		waitpid(pid, &status, 0); \
		tell(what, status); \
	} while (0)

static void at(int fd, const char *path, int flags)
{
	syscall(SYS_execveat, fd, path, args, environ, flags);
}

static void link_of(int fd)
{
	char path[64];
	sprintf(path, "/proc/self/fd/%d", fd);
	execve(path, args, environ);
}

static int reopened(int fd, int flags)
{
	char path[64];
	sprintf(path, "/proc/self/fd/%d", fd);
	return open(path, flags);
}

static void files(void)
{
	int fd = open(self, O_RDONLY), path = open(self, O_PATH), ends[2];
	RUN("a file", at(fd, "", AT_EMPTY_PATH));
	RUN("O_PATH", at(path, "", AT_EMPTY_PATH));
	RUN("O_PATH's link", link_of(path));
	RUN("no flag", at(fd, "", 0));
	RUN("no path", execve("", args, environ));
	RUN("bad descriptor", at(99, "", AT_EMPTY_PATH));
	RUN("bad flags", at(fd, "", AT_EMPTY_PATH | 1));
	if (pipe(ends))
		perror("pipe");
	RUN("a pipe", at(ends[0], "", AT_EMPTY_PATH));
	int written = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0755);
	copy(written);
	RUN("open for writing", execve("./copy", args, environ));
	close(written);
	written = open("copy", O_RDONLY);
	unlink("copy");
	RUN("without a name", at(written, "", AT_EMPTY_PATH));
}

static void memfds(void)
{
	int writable = syscall(SYS_memfd_create, "prog", 0);
	copy(writable);
	RUN("a memfd", at(writable, "", AT_EMPTY_PATH));
	RUN("fexecve", fexecve(writable, args, environ));
	RUN("its link", link_of(writable));
	int closed = syscall(SYS_memfd_create, "prog", MFD_CLOEXEC);
	copy(closed);
	int only_read = reopened(closed, O_RDONLY | O_CLOEXEC);
	close(closed);
	RUN("a memfd to be closed", at(only_read, "", AT_EMPTY_PATH));
	RUN("its link", link_of(only_read));
	int again = reopened(only_read, O_RDWR);
	RUN("a memfd that is opened for writing", at(again, "", AT_EMPTY_PATH));
	int data = syscall(SYS_memfd_create, "data", 8);
	copy(data);
	RUN("MFD_NOEXEC_SEAL", at(data, "", AT_EMPTY_PATH));
}

static void scripts(void)
{
	int made = open("script", O_RDWR | O_CREAT | O_TRUNC, 0755);
	dprintf(made, "#!%s child\n", self);
	close(made);
	int script = open("script", O_RDONLY), closed = open("script", O_RDONLY | O_CLOEXEC);
	int here = open(".", O_RDONLY | O_DIRECTORY), gone = open(".", O_RDONLY | O_CLOEXEC);
	RUN("a script's link", link_of(script));
	RUN("a script", at(script, "", AT_EMPTY_PATH));
	RUN("by name", execve("script", args, environ));
	RUN("by ./", execve("./script", args, environ));
	RUN("a script to be closed", at(closed, "", AT_EMPTY_PATH));
	RUN("its link", link_of(closed));
	RUN("below a directory", at(here, "script", 0));
	RUN("below one to be closed", at(gone, "script", 0));
	RUN("a directory", at(here, "", AT_EMPTY_PATH));
	symlink("script", "link");
	RUN("a link", at(here, "link", 0));
	RUN("a link not followed", at(here, "link", AT_SYMLINK_NOFOLLOW));
	int memfd = syscall(SYS_memfd_create, "script", 0);
	dprintf(memfd, "#!%s child\n", self);
	RUN("a script in a memfd", at(memfd, "", AT_EMPTY_PATH));
	unlink("script");
	RUN("a script without a name", at(script, "", AT_EMPTY_PATH));
	unlink("link");
}

/* ---- RLIMIT_NPROC: setuid does not fail for it, so execve does ---- */

static uid_t user;

static void allow(long soft)
{
	struct rlimit most = { soft, 3 };
	if (setrlimit(RLIMIT_NPROC, &most))
		perror("setrlimit");
}

static void become(void)
{
	allow(0);
	printf("  setuid %d\n", setuid(user));
	fflush(stdout);
}

static void again(const char *path)
{
	execve(path, args, environ);
	printf("  errno %d\n", errno);
}

static void forked(void)
{
	allow(0);
	setreuid(user, 0);
	RUN("its child", again("/proc/self/exe"));
	again("/proc/self/exe");
}

static void too_many(void)
{
	int hold[2];
	char byte;
	user = own_user();
	RUN("the first of its user", become(), again("/proc/self/exe"));
	if (pipe(hold))
		perror("pipe");
	pid_t holder = fork();
	if (!holder) {
		close(hold[1]);
		if (setuid(user) || read(hold[0], &byte, 1) < 0)
			perror("holder");
		_exit(0);
	}
	until_in(holder, SYS_read);
	RUN("the second", become(), again("/proc/self/exe"), allow(1), again("/proc/self/exe"));
	RUN("with room later", become(), again("/proc/self/exe"), allow(3),
	    again("/proc/self/exe"));
	RUN("room once", become(), allow(3), again("/proc/nonesuch"), allow(0),
	    again("/proc/self/exe"));
	RUN("after a fork", forked());
	RUN("back to root", allow(0), setreuid(user, 0), setreuid(0, 0), again("/proc/self/exe"));
	RUN("only effective", allow(0), setresuid(-1, user, -1), again("/proc/self/exe"));
	close(hold[1]);
	waitpid(holder, NULL, 0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "child"))
		return child(argc, argv);
	for (int fd = 3; fd < 100; fd++)
		close(fd);
	if (readlink("/proc/self/exe", self, 511) < 0 || chdir(argv[1]))
		perror(argv[1]);
	files();
	memfds();
	scripts();
	if (getuid() == 0)
		too_many();
	return 0;
}
