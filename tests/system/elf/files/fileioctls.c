/*
 * ioctls about files and file systems, of each kind of file: which are refused, and in which order;
 * room for files as it was asked for before fallocate; execveat that only asks.
 */
#define _GNU_SOURCE
#include "mounts.h"
#include <linux/fs.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { FIEMAP = 0xC020660B, QSIZE = 0x5460, RESERVE = 0x40305828, RESERVE64 = 0x4030582A };
enum { UNRESERVE = 0x40305829, UNRESERVE64 = 0x4030582B, ZERO = 0x40305839, CHECK = 0x10000 };

static const struct {
	const char *name;
	unsigned long request;
} requests[] = {
	{ "FIBMAP", FIBMAP },
	{ "FIGETBSZ", FIGETBSZ },
	{ "FIEMAP", FIEMAP },
	{ "FIFREEZE", FIFREEZE },
	{ "FITHAW", FITHAW },
	{ "FITRIM", FITRIM },
	{ "FICLONE", FICLONE },
	{ "FIDEDUPERANGE", FIDEDUPERANGE },
	{ "FIOQSIZE", QSIZE },
	{ "RESVSP", RESERVE },
	{ "UNRESVSP64", UNRESERVE64 },
	{ "ZERO_RANGE", ZERO },
	{ "GETVERSION", FS_IOC_GETVERSION },
	{ "SETVERSION", FS_IOC_SETVERSION },
	{ "FIONREAD", 0x541B },
	{ "BLKGETSIZE", 0x1260 },
	{ "GETFSLABEL", FS_IOC_GETFSLABEL },
	{ "GETFSUUID", 0x80111500 },
	{ "GETFSSYSFSPATH", 0x80811501 },
};
enum { NR = sizeof requests / sizeof *requests };

static void every(const char *what, int fd)
{
	char room[4096];
	printf("%s", what);
	for (int i = 0; i < NR; i++) {
		memset(room, 0, sizeof room);
		printf(" %ld", result(ioctl(fd, requests[i].request, room)));
		printf("/%ld", result(ioctl(fd, requests[i].request, 8)));
	}
	printf("\n");
	close(fd);
}

static void kinds(void)
{
	static const char *const paths[] = { "file",
					     "dir",
					     "fifo",
					     "/dev/null",
					     "/proc",
					     "/proc/self/status",
					     "/proc/self/ns/mnt",
					     "/proc/self/fd" };
	begin_as_root();
	make("file");
	mkdir("dir", 0755);
	mkfifo("fifo", 0600);
	for (int i = 0; i < 8; i++)
		every(paths[i], open(paths[i], O_RDONLY | O_NONBLOCK));
	int pipes[2];
	pipe(pipes);
	every("to write", open("file", O_RDWR));
	every("memfd", syscall(SYS_memfd_create, "x", 0));
	every("pipe", pipes[0]);
}

struct space {
	int16_t type, whence;
	int64_t start, length;
	int32_t more[6];
};

static void room_of(int fd, unsigned long request, int whence, long start, long length)
{
	struct space space = { 0, whence, start, length };
	struct stat st;
	long done = result(ioctl(fd, request, &space));
	fstat(fd, &st);
	P("", done, st.st_size, st.st_blocks);
}

static void room(void)
{
	begin_as_root();
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	room_of(fd, RESERVE, 0, 0, 8192);
	room_of(fd, RESERVE64, 0, 4096, 8192);
	ftruncate(fd, 20000);
	lseek(fd, 4096, SEEK_SET);
	room_of(fd, UNRESERVE, 1, 0, 4096);
	room_of(fd, RESERVE, 2, 4096, 1);
	room_of(fd, UNRESERVE64, 0, 0, 4096);
	room_of(fd, ZERO, 0, 0, 4096);
	room_of(fd, RESERVE, 3, 0, 4096);
	room_of(fd, RESERVE, -1, 0, 4096);
	room_of(fd, RESERVE, 0, -1, 4096);
	room_of(fd, RESERVE, 0, 0, 0);
	int64_t size = -1;
	P("size", result(ioctl(fd, QSIZE, &size)), size);
	char range[5000] = "";
	uint16_t *count = (void *)(range + 16);
	P("shared", (*count = 1, result(ioctl(fd, FIDEDUPERANGE, range))),
	  (*count = 126, result(ioctl(fd, FIDEDUPERANGE, range))),
	  (*count = 128, result(ioctl(fd, FIDEDUPERANGE, range))),
	  (*count = 0, count[1] = 1, result(ioctl(fd, FIDEDUPERANGE, range))));
	room_of(open("file", O_RDONLY), RESERVE, 0, 0, 4096);
}

static long may_run(int dir, const char *path, unsigned flags)
{
	return call(SYS_execveat, dir, (long)path, 0, 0, CHECK | flags, 0);
}

static void asks(void)
{
	begin_as_root();
	int fd = open("file", O_RDWR | O_CREAT, 0600);
	write(fd, "nothing", 7);
	mkdir("dir", 0755);
	symlink("file", "link");
	P("rights", may_run(-100, "file", 0), may_run(fd, "", 0x1000), may_run(-100, "none", 0),
	  may_run(-100, "dir", 0), may_run(99, "", 0x1000), may_run(fd, "", 0),
	  may_run(-100, "file", 0x20000));
	fchmod(fd, 0755);
	P("written", may_run(-100, "file", 0), may_run(fd, "", 0x1000));
	close(fd);
	fd = open("file", O_RDONLY);
	P("may", may_run(-100, "file", 0), may_run(fd, "", 0x1000), may_run(-100, "link", 0),
	  may_run(-100, "link", 0x100), call(SYS_execveat, -100, (long)"file", 8, 0, CHECK, 0),
	  call(SYS_execveat, -100, (long)"file", 0, 0, 0, 0), result(open("file", O_WRONLY)) > 0);
}

int main(void)
{
	uid = getuid();
	gid = getgid();
	mkdtemp(place);
	part("kinds", kinds);
	part("room", room);
	part("asks", asks);
	rmdir(place);
	return 0;
}
