/* renameat2 that leaves a whiteout where the name was, and who may make one; on a tmpfs. */
#define _GNU_SOURCE
#include "results.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NOREPLACE 1
#define EXCHANGE 2
#define WHITEOUT 4

static void show(const char *name)
{
	struct stat status;

	if (lstat(name, &status) < 0)
		printf(" %s: %d", name, -errno);
	else
		printf(" %s: %o %d:%d %d", name, status.st_mode, (int)major(status.st_rdev),
		       (int)minor(status.st_rdev), (int)status.st_nlink);
}

static void move(const char *old, const char *new, int flags)
{
	printf("%s -> %s, %d: %ld;", old, new, flags,
	       call(SYS_renameat2, AT_FDCWD, (long)old, AT_FDCWD, (long)new, flags, 0));
	show(old);
	show(new);
	printf("\n");
}

static void file(const char *name) { close(open(name, O_CREAT | O_RDWR, 0644)); }

int main(void)
{
	static const char *const names[] = { "b",  "c",  "g", "h", "y", "e/x",
					     "ab", "aa", "w", "d", "f", "v" };
	char place[] = "/dev/shm/whiteoutsXXXXXX";

	setvbuf(stdout, NULL, _IONBF, 0);
	umask(022);
	if (!mkdtemp(place) || chdir(place))
		return 1;
	file("a");
	file("b");
	mkdir("d", 0755);
	mkdir("e", 0755);
	file("e/x");
	move("a", "c", WHITEOUT);
	move("c", "b", WHITEOUT);
	move("d", "f", WHITEOUT);
	move("f", "g", WHITEOUT | NOREPLACE);
	file("h");
	move("h", "g", WHITEOUT | NOREPLACE);
	move("h", "g", WHITEOUT | EXCHANGE);
	move("b", "b", WHITEOUT);
	move("e/x", "y", WHITEOUT);
	printf("not empty: %ld\n", result(rmdir("e")));
	move("missing", "z", WHITEOUT);
	move("a", "aa", 0);
	move("aa", "ab", WHITEOUT);
	move("g", "e", WHITEOUT);
	move("e", "e/inside", WHITEOUT);
	printf("made: %ld", result(mknod("w", S_IFCHR | 0600, makedev(0, 0))));
	if (getuid())
		printf(" another %ld", result(mknod("v", S_IFCHR | 0600, makedev(0, 1))));
	show("w");
	printf(" opened %ld\n", result(open("w", O_RDONLY)));
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		unlink(names[i]);
	printf("left: %ld %ld", result(rmdir("e")), result(rmdir("g")));
	return chdir("/") || rmdir(place);
}
