/*
 * Flags of files: how they are set and told of in each of the three ways, which there are, and what
 * nobody may do any more to a file, or a directory, that is immutable or only grows.
 */
#define _GNU_SOURCE
#include "mounts.h"
#include <linux/fs.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <utime.h>

enum { HERE = -100, NOFOLLOW = 0x100, EMPTY = 0x1000, IMMUTABLE = 0x10, APPEND = 0x20 };
struct attr {
	uint64_t xflags;
	uint32_t extsize, nextents, projid, cowextsize;
	char more[4096];
};

static long asked(const char *path, unsigned long request, void *arg)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	long done = result(ioctl(fd, request, arg));
	close(fd);
	return done;
}
static long get(const char *path)
{
	unsigned flags = -1;
	long done = asked(path, FS_IOC_GETFLAGS, &flags);
	return done ? done : flags;
}
static long set(const char *path, unsigned flags) { return asked(path, FS_IOC_SETFLAGS, &flags); }
static long getx(const char *path)
{
	struct fsxattr x;
	memset(&x, 1, sizeof x);
	long done = asked(path, FS_IOC_FSGETXATTR, &x);
	return done ? done : x.fsx_xflags + x.fsx_extsize + x.fsx_nextents + x.fsx_projid;
}
static long setx(const char *path, unsigned flags, unsigned size, unsigned project)
{
	struct fsxattr x = { .fsx_xflags = flags, .fsx_extsize = size, .fsx_projid = project };
	return asked(path, FS_IOC_FSSETXATTR, &x);
}
static long getattr_(long dir, const char *path, unsigned long size, unsigned at)
{
	struct attr a;
	memset(&a, 1, sizeof a);
	long done = call(468, dir, (long)path, (long)&a, size, at, 0);
	return done ? done : (long)(a.xflags + a.extsize + a.projid + (size > 24 ? a.more[0] : 0));
}
static long setattr_(const char *path, struct attr a, unsigned long size, unsigned at)
{
	return call(469, HERE, (long)path, (long)&a, size, at, 0);
}
static long flagged(const char *path, uint64_t xflags)
{
	return setattr_(path, (struct attr){ xflags }, 24, 0);
}

static void begin_with_files(void)
{
	begin_as_root();
	mkdir("dir", 0755);
	make("file");
	make("other");
	mkfifo("fifo", 0600);
	symlink("file", "link");
}

static void told(void)
{
	static const char *const paths[] = {
		"file", "dir", "fifo", "/dev/null", "/dev", "/proc", "/proc/self/status", "none"
	};
	begin_with_files();
	for (int i = 0; i < 8; i++)
		P(paths[i], get(paths[i]), getx(paths[i]), getattr_(HERE, paths[i], 24, 0));
	P("sizes", getattr_(HERE, "file", 0, 0), getattr_(HERE, "file", 23, 0),
	  getattr_(HERE, "file", 32, 0), getattr_(HERE, "file", 4096, 0),
	  getattr_(HERE, "file", 4097, 0), call(468, HERE, (long)"file", 0, 24, 0, 0));
	P("paths", getattr_(HERE, "link", 24, 0), getattr_(HERE, "link", 24, NOFOLLOW),
	  getattr_(HERE, "file", 24, 1), getattr_(HERE, "", 24, EMPTY), getattr_(HERE, "", 24, 0),
	  getattr_(HERE, 0, 24, EMPTY), getattr_(HERE, 0, 24, 0));
	int pipes[2], memory = syscall(SYS_memfd_create, "x", 0), path = open("file", O_PATH);
	unsigned flags = 0;
	pipe(pipes);
	P("descriptors", getattr_(pipes[0], "", 24, EMPTY), getattr_(memory, "", 24, EMPTY),
	  getattr_(path, "", 24, EMPTY), getattr_(99, "", 24, EMPTY),
	  result(ioctl(pipes[0], FS_IOC_GETFLAGS, &flags)),
	  result(ioctl(memory, FS_IOC_SETFLAGS, &flags)),
	  result(ioctl(path, FS_IOC_GETFLAGS, &flags)), result(ioctl(memory, FS_IOC_GETFLAGS, 1)),
	  result(ioctl(memory, FS_IOC_SETFLAGS, 1)), result(ioctl(memory, FS_IOC_FSSETXATTR, 1)));
}

static void chosen(void)
{
	begin_with_files();
	for (int bit = 0; bit < 32; bit++) {
		printf("%x", 1u << bit);
		P("", set("file", 1u << bit), get("file"), getx("file"), set("file", 0),
		  set("dir", 1u << bit), set("dir", 0), set("fifo", 1u << bit));
		P(" x", setx("file", 1u << bit, 0, 0), get("file"), getx("file"),
		  setx("file", 0, 0, 0), setx("dir", 1u << bit, 0, 0), setx("dir", 0, 0, 0));
		P(" attr", flagged("file", 1u << bit), get("file"), flagged("file", 0),
		  flagged("fifo", 1u << bit));
	}
	P("more", set("file", 0x70), get("file"), set("file", 0), flagged("file", 1ul << 32),
	  flagged("/proc/self/status", 8), setattr_("link", (struct attr){ 8 }, 24, NOFOLLOW),
	  setattr_("file", (struct attr){ 0 }, 23, 0), setattr_("file", (struct attr){ 0 }, 32, 0),
	  setattr_("file", (struct attr){ 0 }, 4097, 0),
	  call(469, HERE, (long)"file", 0, 24, 0, 0));
	P("sizes", setx("file", 0, 4096, 0), setx("file", 0x800, 4096, 0), setx("file", 0, 0, 5),
	  setx("file", 0, 0, -1), setattr_("file", (struct attr){ .extsize = 1 }, 24, 0),
	  setattr_("file", (struct attr){ .nextents = 1 }, 24, 0),
	  setattr_("file", (struct attr){ .projid = 1 }, 24, 0),
	  setattr_("file", (struct attr){ .cowextsize = 1 }, 24, 0));
	struct statx s;
	set("file", 0x70);
	statx(HERE, "file", 0, STATX_ALL, &s);
	P("statx", s.stx_attributes, s.stx_attributes_mask);
	set("file", 0);
	for (int bit = 0x40; bit <= 0x80; bit += 0x40) {
		set("dir", bit | APPEND);
		P("inherited", make("dir/x"), result(mkdir("dir/y", 0755)), get("dir/x"),
		  get("dir/y"));
		set("dir", 0);
		P("gone", result(unlink("dir/x")), result(rmdir("dir/y")));
	}
	set("file", 0x80);
	struct stat before, after;
	stat("file", &before);
	utimensat(HERE, "file", (struct timespec[]){ { 1, 0 }, { 0, UTIME_OMIT } }, 0);
	close(open("file", O_RDONLY));
	int fd = open("file", O_RDONLY);
	read(fd, &after, 1);
	stat("file", &after);
	P("atime", after.st_atime);
	mount(0, place, 0, MS_REMOUNT | MS_RDONLY, 0);
	P("read only", get("file"), set("file", 0), setx("file", 0, 0, 0), flagged("file", 0),
	  set("fifo", 0), flagged("fifo", 0));
}

/* Each call on a file that has flags. */
static void of_a_file(unsigned flags)
{
	begin_with_files();
	int fd = open("file", O_RDWR), grows = open("file", O_WRONLY | O_APPEND);
	write(fd, "abc", 3);
	char *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	P("set", set("file", flags));
	P("open", result(open("file", O_RDONLY)) > 0, result(open("file", O_WRONLY)) < 0,
	  result(open("file", O_WRONLY | O_APPEND)) < 0, errno,
	  result(open("file", O_WRONLY | O_APPEND | O_TRUNC)),
	  result(open("file", O_RDONLY | O_TRUNC)), result(open("file", O_CREAT, 0600)) > 0);
	P("rights", result(chmod("file", 0600)), result(fchmod(fd, 0600)),
	  result(chown("file", uid, gid)), result(chown("file", -1, -1)),
	  result(access("file", W_OK)), result(access("file", R_OK)));
	P("times", result(utimes("file", 0)), result(utime("file", &(struct utimbuf){ 1, 1 })),
	  result(futimens(fd, (struct timespec[]){ { 0, UTIME_OMIT }, { 0, UTIME_OMIT } })),
	  result(futimens(fd, (struct timespec[]){ { 0, UTIME_NOW }, { 0, UTIME_NOW } })),
	  result(futimens(fd, (struct timespec[]){ { 0, UTIME_NOW }, { 0, UTIME_OMIT } })));
	P("names", result(link("file", "new")), result(rename("file", "new")),
	  result(rename("other", "file")), result(unlink("file")));
	P("attributes", result(setxattr("file", "user.a", "b", 1, 0)),
	  result(setxattr("file", "security.a", "b", 1, 0)), result(removexattr("file", "user.a")),
	  result(getxattr("file", "user.a", 0, 0)), result(listxattr("file", 0, 0)));
	P("written", result(write(fd, "x", 1)), result(pwrite(fd, "x", 1, 0)),
	  result(write(grows, "x", 1)), result(truncate("file", 0)), result(ftruncate(fd, 0)),
	  result(fallocate(fd, 0, 0, 10000)), result(fallocate(fd, 1, 0, 20000)),
	  result(fallocate(fd, 3, 0, 4096)));
	P("position", result(fcntl(grows, F_SETFL, 0)), result(fcntl(grows, F_SETFL, O_APPEND)),
	  result(fcntl(fd, F_SETFL, O_APPEND)), result(fcntl(fd, F_SETFL, 0)));
	P("mapped", result((long)mmap(0, 1, PROT_WRITE, MAP_SHARED, fd, 0)) < 0 ? -errno : 0,
	  result((long)mmap(0, 1, PROT_READ, MAP_SHARED, fd, 0)) < 0 ? -errno : 0,
	  result((long)mmap(0, 1, PROT_WRITE, MAP_PRIVATE, fd, 0)) < 0 ? -errno : 0);
	P("removed", result(madvise(shared, 4096, MADV_REMOVE)), shared[0]);
	P("no append", result(pwritev2(grows, &(struct iovec){ "y", 1 }, 1, 0, 0x20)),
	  result(pwritev2(fd, &(struct iovec){ "y", 1 }, 1, 0, 0x20)));
	P("copied", result(copy_file_range(open("other", O_RDONLY), 0, fd, 0, 1, 0)));
	struct stat st;
	stat("file", &st);
	P("size", st.st_size, set("file", 0));
}

static void of_a_directory(unsigned flags)
{
	begin_with_files();
	make("dir/old");
	make("dir/older");
	P("set", set("dir", flags));
	P("made", make("dir/a"), result(mkdir("dir/b", 0755)), result(symlink("x", "dir/c")),
	  result(mkfifo("dir/d", 0600)), result(link("other", "dir/e")),
	  result(rename("other", "dir/f")), result(open("dir", O_TMPFILE | O_RDWR, 0600)) > 0);
	P("removed", result(unlink("dir/old")), result(rmdir("dir/b")),
	  result(rename("dir/old", "dir/g")), result(rename("file", "dir/older")),
	  result(syscall(SYS_renameat2, HERE, "dir/old", HERE, "dir/older", 2)));
	P("itself", result(rmdir("dir")), result(rename("dir", "moved")),
	  result(chmod("dir", 0700)), result(setxattr("dir", "user.a", "b", 1, 0)),
	  result(access("dir", W_OK)), set("dir", 0));
}

static void immutable(void) { of_a_file(IMMUTABLE); }
static void only_growing(void) { of_a_file(APPEND); }
static void both(void) { of_a_file(IMMUTABLE | APPEND); }
static void neither(void) { of_a_file(0x40); }
static void immutable_directory(void) { of_a_directory(IMMUTABLE); }
static void growing_directory(void) { of_a_directory(APPEND); }

/* Who is no root: its own files, and what needs a right. */
static void of_a_user(void)
{
	begin_with_files();
	chown("other", 5, 5);
	set("dir", IMMUTABLE);
	P("user", result(setgid(5)), result(setuid(5)), get("other"), set("other", IMMUTABLE),
	  set("other", 0x40), set("other", 0x80), set("file", 0x40), set("other", 0),
	  setx("other", 8, 0, 0), setx("file", 4, 0, 0), setx("file", 2, 0, 0),
	  setx("other", 0x40, 0, 0), setx("other", 0, 0, 5), flagged("other", 0x80), get("other"),
	  set("dir", 0));
}

/* Extended attributes below a directory. */
static void attributes_at(void)
{
	struct {
		const void *value;
		uint32_t size, flags, more[1020];
	} args = { "red", 3, 0 };
	char found[20] = "";
	begin_with_files();
	int dir = open(".", O_RDONLY), fd = open("file", O_RDONLY), path = open("file", O_PATH);
	P("set", call(463, dir, (long)"file", 0, (long)"user.a", (long)&args, 16),
	  call(463, dir, (long)"link", NOFOLLOW, (long)"user.a", (long)&args, 16),
	  call(463, fd, (long)"", EMPTY, (long)"user.b", (long)&args, 16),
	  call(463, fd, 0, EMPTY, (long)"user.c", (long)&args, 16),
	  call(463, path, (long)"", EMPTY, (long)"user.c", (long)&args, 16),
	  call(463, HERE, (long)"", EMPTY, (long)"user.c", (long)&args, 16),
	  call(463, fd, (long)"", 0, (long)"user.c", (long)&args, 16),
	  call(463, fd, (long)"", 1, (long)"user.c", (long)&args, 16),
	  call(463, 99, (long)"file", 0, (long)"user.c", (long)&args, 16),
	  call(463, dir, (long)"none", 0, (long)"user.c", (long)&args, 16));
	P("sizes", call(463, dir, (long)"file", 0, (long)"user.d", (long)&args, 15),
	  call(463, dir, (long)"file", 0, (long)"user.d", (long)&args, 4096),
	  call(463, dir, (long)"file", 0, (long)"user.d", (long)&args, 4097),
	  call(463, dir, (long)"file", 0, (long)"user.d", 0, 16),
	  call(464, dir, (long)"file", 0, (long)"user.d", (long)&args, 15));
	args.value = found;
	args.size = sizeof found;
	P("get", call(464, dir, (long)"file", 0, (long)"user.a", (long)&args, 16),
	  call(464, fd, (long)"", EMPTY, (long)"user.b", (long)&args, 16),
	  call(464, dir, (long)"link", NOFOLLOW, (long)"user.a", (long)&args, 16),
	  call(464, dir, (long)"file", 0, (long)"user.x", (long)&args, 16),
	  call(464, dir, (long)"file", 2, (long)"user.a", (long)&args, 16));
	printf("%s\n", found);
	args.flags = 1;
	P("flags", call(464, dir, (long)"file", 0, (long)"user.a", (long)&args, 16),
	  call(463, dir, (long)"file", 0, (long)"user.a", (long)&args, 16),
	  (args.flags = 4, call(463, dir, (long)"file", 0, (long)"user.a", (long)&args, 16)));
	P("list", call(465, dir, (long)"file", 0, (long)found, 0, 0),
	  call(465, fd, (long)"", EMPTY, (long)found, 3, 0),
	  call(465, path, (long)"", EMPTY, (long)found, 3, 0),
	  call(465, dir, (long)"file", 1, (long)found, 20, 0));
	P("remove", call(466, dir, (long)"file", 0, (long)"user.a", 0, 0),
	  call(466, fd, (long)"", EMPTY, (long)"user.b", 0, 0),
	  call(466, fd, (long)"", EMPTY, (long)"user.b", 0, 0),
	  call(466, fd, (long)"", 1, (long)"user.b", 0, 0),
	  call(466, dir, (long)"file", 0, (long)"", 0, 0));
	P("no name", result(setxattr("file", "user.", "b", 1, 0)),
	  result(getxattr("file", "security.", 0, 0)), result(removexattr("file", "user.")),
	  result(setxattr("file", "nosuch.", "b", 1, 0)));
	char name[256], *all = malloc(70000);
	for (int i = 0; i < 300; i++) {
		memset(name, 120, 255);
		name[sprintf(name, "user.%d", i)] = 120;
		name[255] = 0;
		if (setxattr("file", name, "", 0, 0))
			break;
	}
	P("many", result(listxattr("file", 0, 0)), result(listxattr("file", all, 65535)),
	  result(listxattr("file", all, 65536)), result(listxattr("file", all, 70000)));
}

int main(void)
{
	uid = getuid();
	gid = getgid();
	mkdtemp(place);
	part("told", told);
	part("chosen", chosen);
	part("immutable", immutable);
	part("only growing", only_growing);
	part("both", both);
	part("neither", neither);
	part("immutable directory", immutable_directory);
	part("growing directory", growing_directory);
	part("user", of_a_user);
	part("attributes", attributes_at);
	rmdir(place);
	return 0;
}
