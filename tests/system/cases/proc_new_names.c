// Making, removing and moving names where nobody does: in /proc.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define E(x) \
	({ \
		errno = 0; \
		(long)(x) == -1 ? strerrorname_np(errno) : "ok"; \
	})

static void try_in(const char *directory)
{
	char new[100];
	sprintf(new, "%s/nosuch", directory);
	printf("%s: creat %s", directory, E(open(new, O_CREAT | O_RDWR, 0600)));
	printf(" excl %s", E(open(new, O_CREAT | O_EXCL | O_RDWR, 0600)));
	printf(" open %s", E(open(new, O_WRONLY)));
	printf(" mkdir %s symlink %s", E(mkdir(new, 0700)), E(symlink("x", new)));
	printf(" mknod %s", E(mknod(new, S_IFIFO | 0600, 0)));
	printf(" unlink %s rmdir %s\n", E(unlink(new)), E(rmdir(new)));
}

int main(void)
{
	const char *directories[] = { "/proc",     "/proc/self",   "/proc/self/fd",
				      "/proc/sys", "/proc/sys/vm", "/proc/self/task" };
	for (unsigned i = 0; i < sizeof(directories) / sizeof(*directories); i++)
		try_in(directories[i]);
	printf("unlink %s %s\n", E(unlink("/proc/stat")), E(unlink("/proc/self/stat")));
	printf("chmod %s\n", E(chmod("/proc/self/stat", 0444)));
	printf("chmod of a sysctl %s\n", E(chmod("/proc/sys/vm/swappiness", 0644)));
	printf("there: excl %s", E(open("/proc/stat", O_CREAT | O_EXCL, 0)));
	printf(" creat %s", E(open("/proc/self/comm", O_CREAT | O_RDWR, 0)));
	printf(" mkdir %s", E(mkdir("/proc/sys", 0)));
	printf(" truncate %s %s\n", E(truncate("/proc/self/comm", 0)),
	       E(open("/proc/sys/vm/swappiness", O_RDWR | O_TRUNC)));
	return 0;
}
