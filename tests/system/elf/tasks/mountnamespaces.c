/* Mount namespaces: bind mounts, moves, flags, propagation and other roots, whoever runs it. */
#define _GNU_SOURCE
#include "mounts.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

/* The lines of mountinfo below the place: path, root, options, propagation, type - without numbers. */
static void show(void)
{
	for (char *line = strtok(content("/proc/self/mountinfo"), "\n"); line;
	     line = strtok(0, "\n")) {
		char root[300], where[300], options[300], rest[300] = "";
		sscanf(line, "%*d %*d %*s %299s %299s %299s %299[^\n]", root, where, options, rest);
		if (strncmp(where, place, strlen(place)))
			continue;
		char *fields = strstr(rest, "- ");
		int shared = !!strstr(line, "shared:"), master = !!strstr(line, "master:"),
		    alone = !!strstr(line, "unbindable");
		char type[100] = "";
		sscanf(fields ? fields + 2 : "", "%99s", type);
		printf("  <%s> on %s %s %d%d%d %s\n", strcmp(type, "tmpfs") ? "" : root,
		       where + strlen(place), options, shared, master, alone, type);
	}
}

static void binds(void)
{
	begin();
	P("bind", result(mount("a", "b", 0, MS_BIND, 0)), exists("b/file"), exists("b/inner/deep"),
	  result(mount("a/file", "c", 0, MS_BIND, 0)));
	struct stat one, two;
	stat("a", &one);
	stat("b", &two);
	P("same", one.st_ino == two.st_ino, one.st_dev == two.st_dev);
	show();
	char text[300];
	chdir("b/inner/deep");
	printf("%s\n", getcwd(text, sizeof text) + strlen(place));
	chdir("..");
	chdir("..");
	printf("%s\n", getcwd(text, sizeof text) + strlen(place));
	chdir("..");
	printf("%s\n", getcwd(text, sizeof text) + strlen(place));
	P("link", result(link("a/file", "b/other")), result(rename("a/file", "b/other")),
	  result(rename("b/file", "b/inner/file")), exists("a/inner/file"));
	P("busy", result(rmdir("b")), result(rename("b", "d")), result(unlink("c")),
	  result(umount2("a", 0)), result(rmdir("a")));
	P("kinds", result(mount("a", "c", 0, MS_BIND, 0)), result(mount("c", "a", 0, MS_BIND, 0)),
	  result(mount(0, "a", 0, MS_BIND, 0)), result(mount("", "a", 0, MS_BIND, 0)),
	  result(mount("none", "a", 0, MS_BIND, 0)), result(mount("a", "none", 0, MS_BIND, 0)));
	int held = open("b", O_RDONLY | O_DIRECTORY);
	P("umount", result(umount2("b", 0)), result(umount2("b", MNT_EXPIRE)));
	close(held);
	P("free", result(umount2("b", MNT_EXPIRE)), result(umount2("b", MNT_EXPIRE)),
	  result(umount2("b", 0)), exists("b/inner"));
	P("flags", result(umount2("c", 0x100)), result(umount2("c", UMOUNT_NOFOLLOW)),
	  result(umount2("none", 0)));
}

static void trees(void)
{
	begin();
	mount("t", "a/inner", "tmpfs", 0, "");
	make("a/inner/in");
	P("flat", result(mount("a", "b", 0, MS_BIND, 0)), exists("b/inner/in"),
	  exists("b/inner/deep"), result(umount2("b", 0)));
	P("deep", result(mount("a", "b", 0, MS_BIND | MS_REC, 0)), exists("b/inner/in"),
	  result(umount2("b", 0)));
	show();
	P("detach", result(umount2("b", MNT_DETACH)), exists("b/inner"));
	show();
	P("stack", result(mount("u", "b", "tmpfs", 0, "")), result(mount("v", "b", "tmpfs", 0, "")),
	  make("b/v"), result(umount2("b", 0)), exists("b/v"));
	int held = open("a/inner/in", O_RDWR);
	P("lazy", result(umount2("a/inner", 0)), result(umount2("a/inner", MNT_DETACH)),
	  result(write(held, "x", 1)), exists("a/inner/deep"));
	close(held);
	P("into itself", result(mount("a", "a/inner", 0, MS_BIND | MS_REC, 0)),
	  exists("a/inner/inner"));
	P("root", result(umount2(".", 0)));
	show();
}

static void moves(void)
{
	begin();
	mount("t", "a", "tmpfs", 0, "");
	mkdir("a/x", 0755);
	mount("u", "a/x", "tmpfs", 0, "");
	make("a/x/y");
	P("move", result(mount("a", "b", 0, MS_MOVE, 0)), exists("b/x/y"), exists("a/inner"));
	show();
	P("wrong", result(mount("a", "b", 0, MS_MOVE, 0)), result(mount("b", "b/x", 0, MS_MOVE, 0)),
	  result(mount("b", "c", 0, MS_MOVE, 0)), result(mount("b/x", "none", 0, MS_MOVE, 0)),
	  result(mount(0, "b", 0, MS_MOVE, 0)));
	mount(0, place, 0, MS_SHARED, 0);
	P("shared", result(mount("b", "a", 0, MS_MOVE, 0)));
}

static void flags(void)
{
	begin();
	mount("a", "b", 0, MS_BIND, 0);
	P("read-only", result(mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0)), make("b/new"),
	  result(mkdir("b/dir", 0755)), result(unlink("b/file")), result(chmod("b/file", 0600)),
	  result(chown("b/file", 0, 0)), result(truncate("b/file", 0)),
	  result(open("b/file", O_RDWR)), result(open("b/file", O_RDONLY)) > 0,
	  result(symlink("x", "b/link")), result(rename("b/file", "b/g")),
	  result(link("b/file", "b/g")), result(access("b/file", W_OK)),
	  result(utimensat(AT_FDCWD, "b/file", 0, 0)));
	P("still", make("a/new"), result(unlink("a/new")),
	  result(open("b/none", O_RDWR | O_CREAT, 0644)), result(rmdir("b/inner")));
	show();
	int held = open("a/file", O_RDWR);
	P("other", result(mount(0, "b", 0, MS_REMOUNT | MS_BIND, 0)), make("b/new"));
	int writer = open("b/file", O_RDWR);
	P("writer", result(mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0)));
	close(writer);
	close(held);
	P("all", result(mount(0, "b", 0,
			      MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME |
				      MS_NODIRATIME,
			      0)));
	show();
	struct statvfs fs;
	statvfs("b", &fs);
	P("statvfs", fs.f_flag);
	P("exec", result(execl("b/file", "file", (char *)0)),
	  result(execl("a/file", "file", (char *)0)));
	int fd = open("b/file", O_RDWR);
	ftruncate(fd, 4096);
	P("mmap",
	  mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -errno : 0,
	  mmap(0, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -errno : 0);
	P("wrong", result(mount(0, "a/inner", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0)),
	  result(mount(0, "a", 0, MS_REMOUNT, 0)),
	  result(mount(0, "b", 0, MS_SHARED | MS_PRIVATE, 0)),
	  result(mount(0, "a", 0, MS_PRIVATE, 0)),
	  result(mount(0, "b", 0, MS_PRIVATE | MS_BIND, 0)));
	P("new",
	  result(mount("x", "a/inner", "tmpfs", MS_NOEXEC | MS_NOSUID | MS_STRICTATIME,
		       "size=64k")),
	  result(mount("x", "c", "tmpfs", 0, 0)), result(mount("x", "a", "nofs", 0, 0)),
	  result(mount("x", "a", 0, 0, 0)), result(mount("x", "none", "tmpfs", 0, 0)));
	show();
	mount(0, "a/inner", 0, MS_REMOUNT | MS_RDONLY, 0);
	P("remounted", make("a/inner/x"));
	show();
}

static void propagation(void)
{
	begin();
	mount("t", "a", "tmpfs", 0, "");
	mkdir("a/x", 0755);
	mkdir("a/y", 0755);
	P("shared", result(mount(0, "a", 0, MS_SHARED, 0)), result(mount("a", "b", 0, MS_BIND, 0)));
	P("both", result(mount("u", "a/x", "tmpfs", 0, "")), make("a/x/f"), exists("b/x/f"));
	show();
	P("gone", result(umount2("b/x", 0)), exists("a/x/f"));
	P("slave", result(mount(0, "b", 0, MS_SLAVE, 0)), result(mount("u", "a/x", "tmpfs", 0, "")),
	  make("a/x/f"), exists("b/x/f"), result(mount("u", "b/y", "tmpfs", 0, "")), make("b/y/f"),
	  exists("a/y/f"));
	show();
	P("private", result(mount(0, "b", 0, MS_PRIVATE, 0)), result(umount2("a/x", 0)),
	  exists("b/x/f"));
	P("unbindable", result(mount(0, "b", 0, MS_UNBINDABLE, 0)), result(mkdir("d", 0755)),
	  result(mount("b", "d", 0, MS_BIND, 0)));
	show();
}

static void pivots(void)
{
	begin();
	mount("t", "b", "tmpfs", 0, "");
	mkdir("b/old", 0755);
	mkdir("b/proc", 0755);
	make("b/here");
	P("wrong", result(syscall(SYS_pivot_root, "a", "a/inner")),
	  result(syscall(SYS_pivot_root, "b", "a")), result(syscall(SYS_pivot_root, "c", "b")),
	  result(syscall(SYS_pivot_root, "none", "b")));
	P("pivot", result(syscall(SYS_pivot_root, "b", "b/old")), result(chdir("/")),
	  exists("/here"), exists("/old/tmp"));
	char text[300];
	printf("%s\n", getcwd(text, sizeof text));
	P("away", result(umount2("/old", 0)), result(umount2("/old", MNT_DETACH)),
	  result(rmdir("/old")), exists("/tmp"));
	P("root", result(rmdir("/proc")), result(chdir("..")), exists("here"));
}

static void pivot_on_itself(void)
{
	begin();
	mount("t", "b", "tmpfs", 0, "");
	make("b/here");
	chdir("b");
	P("pivot", result(syscall(SYS_pivot_root, ".", ".")), result(umount2(".", MNT_DETACH)),
	  result(chdir("/")), exists("here"), exists("tmp"));
}

static void copies(void)
{
	begin();
	mount("t", "a", "tmpfs", 0, "");
	make("a/f");
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		P("copy", result(unshare(CLONE_NEWNS)), exists("a/f"), result(umount2("a", 0)),
		  exists("a/f"), result(mount("u", "b", "tmpfs", 0, "")));
		make("b/mine");
		show();
		P("deeper", result(unshare(CLONE_NEWUSER | CLONE_NEWNS)), result(umount2("b", 0)),
		  exists("b/mine"), result(mount(0, "b", 0, MS_REMOUNT | MS_BIND, 0)),
		  result(mount("v", "b", "tmpfs", 0, "")));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, 0, 0);
	P("kept", exists("a/f"), exists("b/mine"));
	P("clone", call(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, 0, 0, 0, 0, 0));
	int mnt = open("/proc/self/ns/mnt", O_RDONLY);
	P("setns", mnt > 0, result(setns(mnt, 0)), exists("a/f"), exists("/proc"));
	char text[300];
	printf("%s\n", getcwd(text, sizeof text));
	make("/proc/none");
	chdir(place);
	P("ns file", result(mount("/proc/self/ns/uts", "c", 0, MS_BIND, 0)),
	  result(mount("/proc/self/ns/mnt", "c", 0, MS_BIND, 0)));
	show();
	int uts = open("c", O_RDONLY);
	P("use", uts > 0, result(setns(uts, 0)), result(umount2("c", 0)));
	close(uts);
	P("use", result(umount2("c", 0)));
}

/* What who owns less may not do: clear flags, also of a bind or a copy; change the file system; uncover. */
static void locks(void)
{
	begin();
	mount("t", "a", "tmpfs", 0, "");
	mkdir("a/d", 0755);
	mount("u", "a/d", "tmpfs", 0, "");
	mount(0, "a", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0);
	P("less", result(unshare(CLONE_NEWUSER | CLONE_NEWNS)),
	  result(mount(0, "/", 0, MS_REMOUNT | MS_RDONLY, 0)),
	  result(mount(0, "a", 0, MS_REMOUNT | MS_BIND, 0)));
	P("bind", result(mount("a", "b", 0, MS_BIND | MS_REC, 0)),
	  result(mount(0, "b", 0, MS_REMOUNT | MS_BIND, 0)),
	  result(mount(0, "b", 0, MS_REMOUNT | MS_RDONLY, 0)), make("b/f"),
	  result(umount2("b/d", MNT_DETACH)));
	P("own", result(mount(0, "b/d", 0, MS_REMOUNT | MS_BIND | MS_NOSUID, 0)),
	  result(mount(0, "b/d", 0, MS_REMOUNT | MS_BIND, 0)));
	P("copy", result(unshare(CLONE_NEWNS)), result(umount2("a/d", MNT_DETACH)),
	  result(mount(0, "b", 0, MS_REMOUNT | MS_BIND, 0)), result(umount2("b", MNT_DETACH)));
}

static void roots(void)
{
	begin();
	mount("t", "a", "tmpfs", 0, "");
	mkdir("a/proc", 0755);
	P("proc", result(mount("p", "a/proc", "proc", 0, "")) <= 0, result(chroot("a")),
	  result(unshare(CLONE_NEWUSER)));
	char text[300];
	P("outside", syscall(SYS_getcwd, text, sizeof text) > 0);
	printf("%s\n", strncmp(text, "(unreachable)", 13) ? "reachable" : "unreachable");
	P("back", result(chdir("..")), result(chdir("/")), exists("/proc"));
	printf("%s\n", getcwd(text, sizeof text));
}

/* What /proc/mounts tells of the owner and the mode of what is mounted there. */
static void owner_told(void)
{
	static char row[4096];
	FILE *mounts = fopen("/proc/self/mounts", "r");

	while (fgets(row, sizeof row, mounts)) {
		if (!strstr(row, "/sized "))
			continue;
		for (char *option = strtok(row, " ,"); option; option = strtok(NULL, " ,")) {
			if (strstr(option, "id=") == option + 1 || !strncmp(option, "mode=", 5))
				printf(" %s", option);
		}
	}
	fclose(mounts);
}

/* Numbers of options: with units, in C's notation, in what is no digit; and what is none. */
static void numbers(void)
{
	static const char *const tries[] = {
		"size=8k",
		"size=0x2000",
		"size=020000",
		"size=1kk",
		"size=",
		"size=k",
		"size=%",
		"size=4%%",
		"size=\xc2\xb2",
		"size=1\xc2\xb2",
		"size=\xc3\xbf",
		"size=+1",
		"size=0",
		"size=99999999999999999999",
		"size=18446744073709551615",
		"nr_blocks=2",
		"nr_blocks=",
		"nr_blocks=1k",
		"nr_inodes=5",
		"nr_inodes=0",
		"nr_inodes=1k",
		"nr_inodes=5%",
		"nr_inodes=",
		"nr_inodes=99999999999999999999",
		"mode=0700",
		"mode=",
		"mode=8",
		"mode=0o7",
		"mode=7_7",
		"mode= 7",
		"mode=+7",
		"mode=++7",
		"mode=-1",
		"mode=\xc2\xb2",
		"uid=\xc2\xb2",
		"uid=",
		"uid=-1",
		"uid=99999999999",
		"gid=1_0",
		"gid=+0",
		"gid=0,uid=0,mode=1777",
		"uid=0\n",
		"uid=0\n\n",
		"huge=never",
		"huge=",
		"huge=no",
	};
	begin();
	mkdir("sized", 0755);
	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		struct statvfs found = { 0 };
		long done = result(mount("none", "sized", "tmpfs", 0, tries[i]));
		if (!done && !strncmp(tries[i], "size", 4))
			statvfs("sized", &found);
		printf("%s: %ld %lu", tries[i], done, found.f_blocks);
		owner_told();
		puts("");
		if (!done)
			umount2("sized", MNT_DETACH);
	}
	mount("none", "sized", "tmpfs", 0, "size=0,nr_inodes=0");
	P("limited afterwards", result(mount("none", "sized", "tmpfs", MS_REMOUNT, "size=8k")),
	  result(mount("none", "sized", "tmpfs", MS_REMOUNT, "nr_inodes=9")));
}

int main(void)
{
	uid = getuid();
	gid = getgid();
	if (!mkdtemp(place))
		return 1;
	part("binds", binds);
	part("trees", trees);
	part("moves", moves);
	part("flags", flags);
	part("propagation", propagation);
	part("pivots", pivots);
	part("pivot on itself", pivot_on_itself);
	part("copies", copies);
	part("locks", locks);
	part("roots", roots);
	part("numbers", numbers);
	rmdir(place);
	return 0;
}
