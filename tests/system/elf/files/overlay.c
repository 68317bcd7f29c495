/* What a program sees of an overlay: argv[1] is a directory of the lower layer, made by the test. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static const char *error(long result) { return result < 0 ? strerrorname_np(errno) : "ok"; }

#define SAY(call) printf("%s: %s\n", #call, error((long)(call)))

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
	char *names[64];
	int nr = 0;
	DIR *dir = opendir(path);
	if (!dir) {
		printf("list %s: %s\n", path, error(-1));
		return;
	}
	struct dirent *entry;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			names[nr++] = strdup(entry->d_name);
	closedir(dir);
	qsort(names, nr, sizeof *names, by_name);
	printf("list %s:", path);
	for (int i = 0; i < nr; i++)
		printf(" %s", names[i]);
	printf("\n");
}

static void show(const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY);
	if (fd < 0) {
		printf("show %s: %s\n", path, error(-1));
		return;
	}
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	for (ssize_t i = 0; i < n; i++)
		text[i] = text[i] == '\n' ? ';' : text[i];
	struct stat st;
	stat(path, &st);
	printf("show %s: '%s' mode %o nlink %d size %d\n", path, text, st.st_mode, (int)st.st_nlink,
	       (int)st.st_size);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0640);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("put %s: %s\n", path, error(-1));
	close(fd);
}

static void nlink_of(const char *path)
{
	struct stat st;
	printf("nlink %s: %d\n", path, stat(path, &st) ? -1 : (int)st.st_nlink);
}

static void copy_up(void)
{
	struct stat before, after, other;
	int reader = open("file", O_RDONLY);
	char *window = mmap(0, 4096, PROT_READ, MAP_SHARED, reader, 0);
	stat("file", &before);
	put("file", "more\n");
	stat("file", &after);
	printf("ino the same: %d, dev: %d\n", before.st_ino == after.st_ino,
	       before.st_dev == after.st_dev);
	char text[16] = "";
	printf("reader reads %d\n", (int)read(reader, text, sizeof text));
	printf("old window: %c%c, byte behind %d\n", window[0], window[1], window[6]);
	char *second = mmap(0, 4096, PROT_READ, MAP_SHARED, reader, 0);
	printf("window of the old descriptor: byte behind %d\n", second[6]);
	int writer = open("file", O_RDWR);
	char *both = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer, 0);
	both[0] = 'H';
	printf("written through a map: %d\n", (int)pread(reader, text, 1, 0));
	printf("%c\n", text[0]);
	fstat(reader, &other);
	printf("fstat of the old descriptor: %d bytes\n", (int)other.st_size);
	close(reader);
	close(writer);
	show("file");
}

static void hard_links(void)
{
	struct stat a, b;
	put("one", "x");
	show("one");
	show("two");
	stat("one", &a);
	stat("two", &b);
	printf("one inode: %d\n", a.st_ino == b.st_ino);
	SAY(link("two", "three"));
	show("three");
	SAY(unlink("one"));
	show("two");
	SAY(link("lonely", "sub/lonely"));
	show("lonely");
	SAY(unlink("lonely"));
	show("sub/lonely");
}

static void whiteouts(void)
{
	list("dir");
	SAY(unlink("dir/a"));
	SAY(access("dir/a", F_OK));
	list("dir");
	SAY(unlink("dir/a"));
	SAY(symlink("b", "dir/a"));
	list("dir");
	SAY(rmdir("dir"));
	SAY(unlink("dir/a"));
	SAY(unlink("dir/b"));
	SAY(unlink("dir/new"));
	list("dir");
	SAY(rmdir("dir/deep"));
	SAY(unlink("dir/deep/c"));
	SAY(rmdir("dir/deep"));
	SAY(mkdir("dir/deep", 0700));
	list("dir/deep");
	nlink_of("dir/deep");
	SAY(rmdir("dir/deep"));
	SAY(rmdir("dir"));
	SAY(mkdir("dir", 0755));
	list("dir");
	SAY(rename("dir", "dir2"));
	SAY(mkdir("dir", 0755));
	list("dir");
	list(".");
}

static void renames(void)
{
	SAY(rename("sub", "moved"));
	SAY(rename("from", "to"));
	show("to");
	show("from");
	SAY(rename("to", "sub/to"));
	show("sub/to");
	SAY(mkdir("fresh", 0755));
	SAY(rename("fresh", "sub"));
	SAY(rename("fresh", "empty"));
	SAY(rename("empty", "fresh"));
	SAY(renameat2(AT_FDCWD, "sub/to", AT_FDCWD, "swap", RENAME_EXCHANGE));
	show("swap");
	show("sub/to");
	SAY(renameat2(AT_FDCWD, "sub", AT_FDCWD, "fresh", RENAME_EXCHANGE));
	SAY(renameat2(AT_FDCWD, "swap", AT_FDCWD, "sub/to", RENAME_NOREPLACE));
	list(".");
	list("sub");
}

static void attributes(void)
{
	struct stat before, after;
	stat("mode", &before);
	SAY(chmod("mode", 0600));
	stat("mode", &after);
	printf("mtime kept: %d\n", before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
	show("mode");
	SAY(chown("mode", 12, 34));
	stat("mode", &after);
	printf("owner %d %d\n", after.st_uid, after.st_gid);
	SAY(chmod("kept", 0750));
	nlink_of("kept");
	list("kept");
	SAY(setxattr("kept", "user.note", "x", 1, 0));
	char value[8];
	SAY(getxattr("kept", "user.note", value, sizeof value));
	SAY(truncate("mode", 2));
	show("mode");
	int fd = open("cut", O_RDWR | O_TRUNC);
	SAY(fd);
	close(fd);
	show("cut");
	SAY(lchown("link", 5, 6));
	lstat("link", &after);
	printf("link %d %d\n", after.st_uid, after.st_gid);
	SAY(readlink("link", value, sizeof value));
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	SAY(fd);
	close(fd);
	fd = open("gone", O_RDONLY);
	SAY(unlink("gone"));
	SAY(fchmod(fd, 0444));
	fstat(fd, &after);
	printf("unlinked: mode %o nlink %d\n", after.st_mode, (int)after.st_nlink);
	close(fd);
	struct statfs fs;
	SAY(statfs(".", &fs));
	printf("type %lx, namelen %ld\n", (long)fs.f_type, (long)fs.f_namelen);
}

/* FS_XFLAG_*: immutable 8, append 0x10, noatime 0x40, nodump 0x80. */
static void flags_of(const char *path)
{
	struct fsxattr told = { 0 };
	int fd = open(path, O_RDONLY);
	printf("flags %s: %s", path, error(ioctl(fd, FS_IOC_FSGETXATTR, &told)));
	printf(" %x\n", told.fsx_xflags & 0xd8);
	close(fd);
}

static long set(const char *path, unsigned flags)
{
	struct fsxattr asked = { .fsx_xflags = flags };
	int fd = open(path, O_RDONLY);
	long done = ioctl(fd, FS_IOC_FSSETXATTR, &asked);
	close(fd);
	return done;
}

static void flags(void)
{
	struct stat before, after;
	flags_of("quiet");
	stat("quiet", &before);
	put("quiet", "x");
	flags_of("quiet");
	SAY(set("quiet", 0xc0));
	flags_of("quiet");
	stat("quiet", &after);
	printf("ino the same: %d\n", before.st_ino == after.st_ino);
	SAY(set("swap", 0x10));
	flags_of("swap");
	SAY(unlink("swap"));
	put("swap", "y");
	SAY(truncate("swap", 0));
	put("mode", "z");
	SAY(set("mode", 8));
	flags_of("mode");
	put("mode", "z");
	SAY(chmod("mode", 0644));
	SAY(unlink("mode"));
	SAY(link("mode", "mode2"));
	SAY(rename("mode", "mode2"));
	SAY(set("kept", 8));
	flags_of("kept");
	SAY(unlink("kept/k"));
	put("kept/k", "k");
	put("kept/new", "k");
	flags_of("kept/k");
	SAY(set("sub", 0xc0));
	put("sub/new", "n");
	flags_of("sub/new");
	SAY(set("kept", 0) | set("mode", 0) | set("swap", 0));
	SAY(unlink("kept/k"));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, 0, _IONBF, 0);
	if (chdir(argv[1]))
		return 1;
	umask(022);
	list(".");
	copy_up();
	hard_links();
	whiteouts();
	renames();
	attributes();
	flags();
	return 0;
}
