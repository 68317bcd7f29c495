/* A mount namespace of one's own, with a tree to mount things on. */
#pragma once
#include "userns.h"
#include <sys/mount.h>
#include <sys/stat.h>

static char place[] = "/tmp/mountsXXXXXX"; /* for main to make */

static __attribute__((unused)) long make(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_EXCL, 0755);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Have a tmpfs on the place, and the working directory in it. */
static void begin(void)
{
	long done = be_root(CLONE_NEWNS);
	P("begin", done, result(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0)),
	  result(mount("mine", place, "tmpfs", 0, "mode=755")), result(chdir(place)));
	mkdir("a", 0755);
	mkdir("b", 0755);
	mkdir("a/inner", 0755);
	mkdir("a/inner/deep", 0755);
	make("a/file");
	make("c");
}

/* As begin(), but who is root outside stays so: it may do more than one in a namespace alone. */
static __attribute__((unused)) void begin_as_root(void)
{
	if (geteuid())
		begin();
	else
		P("begin", result(unshare(CLONE_NEWNS)),
		  result(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0)),
		  result(mount("mine", place, "tmpfs", 0, "mode=755")), result(chdir(place)));
}

static __attribute__((unused)) long exists(const char *path)
{
	struct stat st;
	return result(lstat(path, &st));
}
