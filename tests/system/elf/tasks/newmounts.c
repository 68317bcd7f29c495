/* fsopen and its kin: file systems made in steps, trees that are mounted nowhere yet, attributes. */
#define _GNU_SOURCE
#include "mounts.h"
#include <stdint.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#define OPEN_TREE 428
#define MOVE_MOUNT 429
#define FSOPEN 430
#define FSCONFIG 431
#define FSMOUNT 432
#define FSPICK 433
#define MOUNT_SETATTR 442
#define CLONE_TREE 1
#define RECURSIVE 0x8000
#define EMPTY 0x1000
#define HERE (-100)
enum { FLAG, STRING, BINARY, PATH, PATH_EMPTY, FD, CREATE, RECONFIGURE, CREATE_EXCL };

static long fsopen_(const char *type, unsigned flags)
{
	return call(FSOPEN, (long)type, flags, 0, 0, 0, 0);
}
static long config(long fd, int what, const char *key, const void *value, int aux)
{
	return call(FSCONFIG, fd, what, (long)key, (long)value, aux, 0);
}
static long fsmount_(long fd, unsigned flags, unsigned attr)
{
	return call(FSMOUNT, fd, flags, attr, 0, 0, 0);
}
static long tree(const char *path, unsigned flags)
{
	return call(OPEN_TREE, HERE, (long)path, flags, 0, 0, 0);
}
static long move(long from, const char *from_path, long to, const char *to_path, unsigned flags)
{
	return call(MOVE_MOUNT, from, (long)from_path, to, (long)to_path, flags, 0);
}
static long setattr(long fd, const char *path, unsigned flags, uint64_t set, uint64_t clear,
		    uint64_t kind)
{
	uint64_t attr[4] = { set, clear, kind, 0 };
	return call(MOUNT_SETATTR, fd, (long)path, flags, (long)attr, sizeof attr, 0);
}

static void says(long fd)
{
	char text[300];
	long size = read(fd, text, sizeof text);
	if (size < 0)
		printf("says nothing: %s\n", strerror(errno));
	else
		printf("says %.*s\n", (int)size, text);
}

/* The lines of mountinfo below the place: path, options, propagation, type, its options. */
static void show(void)
{
	for (char *line = strtok(content("/proc/self/mountinfo"), "\n"); line;
	     line = strtok(0, "\n")) {
		char where[300], options[300], type[100] = "", source[100] = "", more[300] = "";
		sscanf(line, "%*d %*d %*s %*s %299s %299s", where, options);
		if (strncmp(where, place, strlen(place)))
			continue;
		sscanf(strstr(line, " - ") + 3, "%99s %99s %299s", type, source, more);
		printf("  %s %s %d%d %s %s %.3s\n", where + strlen(place), options,
		       !!strstr(line, "shared:"), !!strstr(line, "master:"), type, source,
		       strcmp(type, "tmpfs") ? "" : more);
	}
}

static void contexts(void)
{
	begin();
	P("open", fsopen_("nosuch", 0), fsopen_("tmpfs", 2), fsopen_(0, 0));
	long fd = fsopen_("tmpfs", 1);
	P("fd", fd > 2, fcntl(fd, F_GETFD), result(lseek(fd, 0, SEEK_SET)));
	says(fd);
	P("early", fsmount_(fd, 0, 0), config(fd, RECONFIGURE, 0, 0, 0));
	P("arguments", config(fd, FLAG, 0, 0, 0), config(fd, FLAG, "ro", "x", 0),
	  config(fd, FLAG, "ro", 0, 1), config(fd, STRING, "size", 0, 0),
	  config(fd, STRING, 0, "x", 0), config(fd, STRING, "size", "x", 1),
	  config(fd, CREATE, "x", 0, 0), config(fd, 9, 0, 0, 0), config(-1, CREATE, 0, 0, 0),
	  config(99, CREATE, 0, 0, 0), config(1, CREATE, 0, 0, 0), config(fd, BINARY, "x", "y", 0),
	  config(fd, PATH, "x", "y", -7), config(fd, FD, "x", 0, -1));
	P("values", config(fd, STRING, "size", "1M", 0), config(fd, STRING, "mode", "700", 0),
	  config(fd, STRING, "source", "here", 0), config(fd, STRING, "nr_inodes", "100", 0));
	P("wrong", config(fd, STRING, "source", "there", 0));
	says(fd);
	P("wrong", config(fd, STRING, "nosuch", "x", 0));
	says(fd);
	P("wrong", config(fd, FLAG, "nosuch", 0, 0));
	says(fd);
	P("whose", config(fd, STRING, "uid", "0", 0), config(fd, STRING, "uid", "1", 0));
	says(fd);
	P("whose", config(fd, STRING, "gid", "1", 0), config(fd, STRING, "gid", "x", 0));
	says(fd);
	says(fd);
	P("wrong", config(fd, STRING, "mode", "9", 0));
	says(fd);
	P("wrong", config(fd, FLAG, "size", 0, 0));
	says(fd);
	says(fd);
	P("create", config(fd, CREATE, 0, 0, 0), config(fd, CREATE, 0, 0, 0),
	  config(fd, STRING, "size", "2M", 0));
	P("mount", fsmount_(fd, 2, 0), fsmount_(fd, 0, 0x40), fsmount_(fd, 0, 0x30),
	  fsmount_(1, 0, 0), fsmount_(99, 0, 0));
	long made = fsmount_(fd, 1, 2 | 4);
	P("made", made > 2, fcntl(made, F_GETFD), fsmount_(fd, 0, 0),
	  (long)(fcntl(made, F_GETFL) & O_PATH) != 0);
	struct stat one, other;
	fstat(made, &one);
	stat("b", &other);
	P("seen", one.st_mode & 07777, one.st_dev != other.st_dev,
	  result(mkdirat(made, "in", 0755)),
	  result(openat(made, "in/x", O_CREAT | O_WRONLY, 0600)) > 2);
	show();
	P("move", move(made, "", HERE, "none", 4), move(made, "", HERE, "c", 4),
	  move(made, "in", HERE, "b", 0), move(made, "", HERE, "b", 0),
	  move(made, "", HERE, "b", 0x800), move(made, "", HERE, "b", 4),
	  move(made, "", HERE, "b", 4), exists("b/in/x"));
	show();
	P("again", config(fd, STRING, "size", "2M", 0), config(fd, RECONFIGURE, 0, 0, 0));
	P("away", result(umount2("b", 0)), result(close(made)), result(umount2("b", MNT_DETACH)));
	P("other types", fsopen_("proc", 0) > 2, fsopen_("devpts", 0) > 2);
	fd = fsopen_("proc", 0);
	P("proc", config(fd, CREATE, 0, 0, 0), fsmount_(fd, 0, 0));
	fd = fsopen_("devpts", 0);
	P("devpts", config(fd, STRING, "ptmxmode", "666", 0), config(fd, CREATE, 0, 0, 0));
	made = fsmount_(fd, 0, 8);
	P("moved", move(made, "", HERE, "b", 4), exists("b/ptmx"));
	show();
}

static void picked(void)
{
	begin();
	long fd = call(FSPICK, HERE, (long)".", 8, 0, 0, 0);
	P("pick", fd > 2, call(FSPICK, HERE, (long)"a", 0, 0, 0, 0),
	  call(FSPICK, HERE, (long)".", 16, 0, 0, 0), call(FSPICK, HERE, (long)"none", 0, 0, 0, 0));
	P("config", config(fd, CREATE, 0, 0, 0), config(fd, FLAG, "ro", 0, 0),
	  config(fd, RECONFIGURE, 0, 0, 0), result(mkdir("new", 0755)),
	  config(fd, RECONFIGURE, 0, 0, 0));
	show();
	P("back", config(fd, FLAG, "rw", 0, 0), config(fd, STRING, "size", "1M", 0),
	  config(fd, RECONFIGURE, 0, 0, 0), result(mkdir("new", 0755)));
	struct statvfs room;
	statvfs(".", &room);
	P("size", room.f_blocks * room.f_frsize >> 10);
	P("mount", fsmount_(fd, 0, 0));
	fd = call(FSPICK, HERE, (long)"/", 0, 0, 0, 0);
	P("not mine", fd > 2, config(fd, FLAG, "ro", 0, 0), config(fd, RECONFIGURE, 0, 0, 0));
}

static void trees(void)
{
	begin();
	mount("t", "a/inner", "tmpfs", 0, "");
	close(open("a/inner/in", O_CREAT | O_WRONLY, 0600));
	P("flags", tree("a", 2), tree("a", RECURSIVE), tree("none", CLONE_TREE),
	  tree("", CLONE_TREE));
	long fd = tree("a", O_CLOEXEC);
	P("open", fd > 2, fcntl(fd, F_GETFD), exists("a/inner/in"), move(fd, "", HERE, "b", 4));
	close(fd);
	long flat = tree("a", CLONE_TREE), deep = tree("a", CLONE_TREE | RECURSIVE);
	P("clones", flat > 2, deep > 2, result(faccessat(flat, "inner/in", 0, 0)),
	  result(faccessat(deep, "inner/in", 0, 0)), result(faccessat(flat, "file", 0, 0)));
	P("dots", result(faccessat(flat, "../b", 0, 0)), result(umount2("a/inner", 0)));
	show();
	P("nested", call(OPEN_TREE, deep, (long)"", CLONE_TREE | EMPTY, 0, 0, 0) > 2);
	P("neither", move(999, "", HERE, "none", 4), move(999, "", HERE, "b", 4));
	P("move", move(deep, "", HERE, "b", 4), exists("b/inner/in"), exists("b/file"));
	show();
	P("within", move(HERE, "b", HERE, "b/inner", 0), move(HERE, "b", HERE, "a", 0),
	  exists("a/inner/in"), exists("b/file"));
	show();
	long file = tree("c", CLONE_TREE);
	P("file", move(file, "", HERE, "b", 4), move(file, "", HERE, "a/file", 4),
	  result(unlink("a/file")), result(umount2("a/file", 0)));
	close(flat);
	close(deep);
	P("gone", result(umount2("a", MNT_DETACH)), exists("a/inner"), exists("a/file"));
}

static void attributes(void)
{
	begin();
	uint64_t attr[5] = { 1, 0, 0, 0, 0 };
	P("sizes", call(MOUNT_SETATTR, HERE, (long)".", 0, (long)attr, 31, 0),
	  call(MOUNT_SETATTR, HERE, (long)".", 0, (long)attr, 5000, 0),
	  call(MOUNT_SETATTR, HERE, (long)".", 0, 0, 32, 0));
	attr[4] = 1;
	P("tail", call(MOUNT_SETATTR, HERE, (long)".", 0, (long)attr, 40, 0));
	P("wrong", setattr(HERE, ".", 0x10, 1, 0, 0), setattr(HERE, ".", 0, 0x40000000, 0, 0),
	  setattr(HERE, ".", 0, 0, 0, MS_SHARED | MS_PRIVATE), setattr(HERE, ".", 0, 0, 0, 1),
	  setattr(HERE, ".", 0, 0x10, 0, 0), setattr(HERE, ".", 0, 0x10, 0x10, 0),
	  setattr(HERE, ".", 0, 0x30, 0x70, 0), setattr(HERE, "a", 0, 1, 0, 0),
	  setattr(HERE, "none", 0, 1, 0, 0), setattr(HERE, "none", 0, 0, 0, 0));
	P("set", setattr(HERE, ".", 0, 2 | 4 | 8, 0, 0));
	show();
	P("times", setattr(HERE, ".", 0, 0x10, 0x70, 0));
	show();
	P("times", setattr(HERE, ".", 0, 0x20 | 0x80, 0x70, 0));
	show();
	P("clear", setattr(HERE, ".", 0, 0, 2 | 0xf0, MS_SHARED));
	show();
	P("both", setattr(HERE, ".", 0, 2, 2, 0));
	int fd = open("c", O_WRONLY);
	P("writer", setattr(HERE, ".", 0, 1, 0, 0), close(fd), setattr(HERE, ".", 0, 1, 0, 0),
	  result(mkdir("new", 0755)), setattr(HERE, ".", 0, 0, 1, MS_PRIVATE));
	mount("t", "a/inner", "tmpfs", 0, "");
	P("deep", setattr(HERE, ".", RECURSIVE, 1, 0, 0), result(mkdir("a/inner/new", 0755)));
	show();
	P("writable", setattr(HERE, ".", RECURSIVE, 0, 1, 0));
	long made = tree("a", CLONE_TREE | RECURSIVE);
	P("detached", setattr(made, "", EMPTY | RECURSIVE, 1, 0, 0),
	  result(mkdirat(made, "new", 0755)), move(made, "", HERE, "b", 4),
	  result(mkdir("b/new", 0755)), result(mkdir("b/inner/new", 0755)));
	show();
	P("root", setattr(HERE, "/", 0, 1, 0, 0) <= 0,
	  setattr(HERE, "/proc", 0, 0, 1 | 2 | 4 | 8, 0) <= 0);
}

static void powerless(void)
{
	begin();
	P("up", result(unshare(CLONE_NEWUSER)));
	P("refused", fsopen_("tmpfs", 0), tree("a", CLONE_TREE), tree("a", 0) > 2,
	  fsmount_(1, 0, 0), move(HERE, "a", HERE, "b", 0), setattr(HERE, ".", 0, 1, 0, 0),
	  call(FSPICK, HERE, (long)".", 0, 0, 0, 0));
	P("and more", result(unshare(CLONE_NEWNS)), setattr(HERE, ".", 0, 0, 1, 0),
	  fsopen_("tmpfs", 0) > 2, tree("a", CLONE_TREE) > 2);
}

int main(void)
{
	uid = getuid(), gid = getgid();
	mkdtemp(place);
	part("contexts", contexts);
	part("picked", picked);
	part("trees", trees);
	part("attributes", attributes);
	part("powerless", powerless);
	return rmdir(place);
}
