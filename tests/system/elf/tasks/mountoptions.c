/*
 * What mounts may ask of a file system: flags of any as words and as bits, options of a tmpfs and a
 * ramfs, and of a hugetlbfs for who is root outside too; at first, later, and step by step.
 */
#define _GNU_SOURCE
#include "mounts.h"
#include <dirent.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

enum { FLAG, STRING, CREATE = 6, RECONFIGURE };

/* Options of the mount on b, of its file system, and ST_* of statfs; sizes that are small. */
static void show(void)
{
	char where[100], own[200];
	snprintf(where, sizeof where, "%s/b ", place);
	for (char *line = strtok(content("/proc/self/mountinfo"), "\n"); line;
	     line = strtok(0, "\n"))
		if (strstr(line, where)) {
			sscanf(line, "%*s %*s %*s %*s %*s %199s", own);
			printf("\t%s%s", own, strstr(line, " - "));
		}
	struct statfs s;
	struct stat st;
	statfs("b", &s);
	stat("b", &st);
	printf(" %lx %ld %o %d %d", (long)s.f_flags, (long)s.f_bsize, st.st_mode, st.st_uid,
	       st.st_gid);
	if (s.f_blocks < 100000)
		printf(" blocks %ld %ld", (long)s.f_blocks, (long)s.f_bfree);
	if (s.f_files < 10000 || s.f_files == -1)
		printf(" files %ld %ld", (long)s.f_files, (long)s.f_ffree);
	printf("\n");
}

static void try(const char *type, const char *options, unsigned long flags)
{
	long done = result(mount("it", "b", type, flags, options));
	printf("%s %s %lx %ld\n", type, options ? options : "", flags, done);
	if (done)
		return;
	show();
	umount2("b", 0);
}

static void again(const char *type, const char *before, const char *options, unsigned long flags)
{
	printf("%s again: %s, then %s %lx", type, before, options, flags);
	P(":", result(mount("it", "b", type, 0, before)),
	  result(mount("it", "b", type, MS_REMOUNT | flags, options)));
	show();
	umount2("b", 0);
}

static void at_first(void)
{
	static const char *const options[] = {
		"noswap",      "inode32",
		"inode64",     "inode64,inode32",
		"huge=always", "huge=within_size",
		"huge=advise", "huge=never",
		"huge=deny",   "huge=x",
		"huge",        "noswap=1",
		"inode64=",    "size=1M,inode64,huge=always,mode=700,nr_inodes=10,mpol=local",
		"ro",          "rw",
		"sync",        "async",
		"dirsync",     "lazytime",
		"nolazytime",  "mand",
		"nomand",      "ro,sync,dirsync,lazytime,mand",
		"ro,rw",       "ro=1",
		"ro=",         "silent",
		"iversion",    "nosuid",
		"noatime",     "quota",
		"swap",        "defaults",
		"strictatime", "source=x",
		",,",          "size=1M,,mode=700",
	};
	static const unsigned long flags[] = {
		MS_RDONLY,
		MS_SYNCHRONOUS,
		MS_DIRSYNC,
		MS_MANDLOCK,
		MS_LAZYTIME,
		MS_SILENT,
		MS_RDONLY | MS_SYNCHRONOUS | MS_DIRSYNC | MS_MANDLOCK | MS_LAZYTIME,
		256,
		256 | MS_NODIRATIME | MS_NODEV,
		MS_NOATIME,
		MS_STRICTATIME,
	};
	begin();
	for (int i = 0; i < (int)(sizeof options / sizeof *options); i++)
		try("tmpfs", options[i], 0);
	for (int i = 0; i < (int)(sizeof flags / sizeof *flags); i++)
		try("tmpfs", 0, flags[i]);
	try("tmpfs", "rw,async", MS_RDONLY | MS_SYNCHRONOUS);
	for (int i = 14; i < 17; i++) {
		try("proc", options[i], 0);
		try("devpts", options[i], 0);
		try("ramfs", options[i], 0);
	}
	try("ramfs", "mode=700", 0);
	try("ramfs", "mode=9", 0);
	try("ramfs", "size=1M,uid=5,nosuch", 0);
	try("devpts", "newinstance=1", 0);
	try("devpts", "mode=1777,ptmxmode=4666", 0);
	try("ramfs", "inode64=1,mode=0", 0);
	try("tmpfs", "=,=x,mode=0", 0);
	try("tmpfs", "source=that", 0);
	try("ramfs", "source", 0);
}

static void later(void)
{
	begin();
	again("tmpfs", "size=1M", "noswap", 0);
	again("tmpfs", "", "inode64", 0);
	again("tmpfs", "inode64", "size=1M", 0);
	again("tmpfs", "huge=always", "huge=never", 0);
	again("tmpfs", "", "ro", 0);
	again("tmpfs", "sync,lazytime,dirsync", "", 0);
	again("tmpfs", "sync,lazytime,dirsync", "async,mand", MS_SYNCHRONOUS | MS_LAZYTIME);
	again("tmpfs", "", "dirsync", MS_DIRSYNC);
	again("tmpfs", "size=1M", "size=2M,nosuch", 0);
	again("tmpfs", "size=1M", "size=2M,size=x", 0);
	again("tmpfs", "size=1M", "mode=700,uid=5", 0);
	again("ramfs", "mode=711", "mode=700", 0);
	again("ramfs", "mode=711", "mode=9", 0);
	again("ramfs", "mode=711", "nosuch,ro", 0);
	again("devpts", "mode=666,max=5", "ptmxmode=444", 0);
	again("devpts", "mode=666", "mode=8", 0);
	again("devpts", "mode=666", "nosuch", 0);
	again("tmpfs", "size=1M", "nr_inodes=1,size=4k,nr_blocks=9,nr_inodes=50", 0);
	again("tmpfs", "size=1M", "size=-1,size=2M", 0);
	again("tmpfs", "size=1M", "source=that", 0);
	again("tmpfs", "size=1M", "source=that,source=this", 0);
}

static void config(const char *type, const char *key, const char *value)
{
	char text[300];
	long fd = call(430, (long)type, 0, 0, 0, 0, 0), size;
	printf("%s %s %s", type, key, value ? value : "-");
	P(":", call(431, fd, value ? STRING : FLAG, (long)key, (long)value, 0, 0),
	  call(431, fd, CREATE, 0, 0, 0, 0));
	while ((size = read(fd, text, sizeof text)) > 0)
		printf("\t%.*s", (int)size, text);
	long made = call(432, fd, 0, 0, 0, 0, 0);
	if (!call(429, made, (long)"", -100, (long)"b", 4, 0)) {
		show();
		umount2("b", MNT_DETACH);
	}
	close(made);
	close(fd);
}

/* What is said of a change that makes no sense, when it is asked for or when it is to be done. */
static void changed(const char *options, const char *key, const char *value)
{
	char text[300];
	mount("it", "b", "tmpfs", 0, options);
	mkdir("b/one", 0755);
	close(open("b/two", O_CREAT | O_RDWR, 0600));
	truncate("b/two", 8192);
	int file = open("b/two", O_RDWR), size;
	write(file, text, sizeof text);
	pwrite(file, text, 1, 4096);
	close(file);
	long fd = call(433, -100, (long)"b", 0, 0, 0, 0);
	printf("%s, then %s=%s", options, key, value);
	P(":", call(431, fd, *value ? STRING : FLAG, (long)key, *value ? (long)value : 0, 0, 0),
	  call(431, fd, STRING, (long)"huge", (long)"advise", 0, 0),
	  call(431, fd, RECONFIGURE, 0, 0, 0, 0), call(431, fd, RECONFIGURE, 0, 0, 0, 0));
	while ((size = read(fd, text, sizeof text)) > 0)
		printf("\t%.*s", size, text);
	close(fd);
	show();
	umount2("b", 0);
}

static void at_last(void)
{
	static const char *const wishes[][2] = {
		{ "size", "4k" },     { "size", "-1" },     { "size", "1M" }, { "nr_inodes", "2" },
		{ "nr_inodes", "x" }, { "nr_inodes", "9" }, { "mode", "8" },  { "noswap", "" },
		{ "mpol", "bad" },    { "huge", "bad" },    { "uid", "-1" },
	};
	begin();
	for (int i = 0; i < (int)(sizeof wishes / sizeof *wishes); i++) {
		changed("size=2M,nr_inodes=50", wishes[i][0], wishes[i][1]);
		changed("size=0,nr_inodes=0", wishes[i][0], wishes[i][1]);
	}
}

static void in_steps(void)
{
	static const char *const keys[] = { "ro",      "rw",       "sync",  "async",
					    "dirsync", "lazytime", "mand",  "silent",
					    "noswap",  "inode64",  "nosuch" };
	begin();
	for (int i = 0; i < (int)(sizeof keys / sizeof *keys); i++) {
		config("tmpfs", keys[i], 0);
		config("ramfs", keys[i], 0);
	}
	config("tmpfs", "huge", "always");
	config("tmpfs", "huge", "x");
	config("tmpfs", "noswap", "1");
	config("tmpfs", "inode64", "");
	config("tmpfs", "sync", "x");
	config("ramfs", "mode", "9");
	mount("it", "b", "tmpfs", 0, "sync,lazytime");
	long fd = call(433, -100, (long)"b", 0, 0, 0, 0);
	P("picked", call(431, fd, FLAG, (long)"dirsync", 0, 0, 0),
	  call(431, fd, FLAG, (long)"ro", 0, 0, 0), call(431, fd, RECONFIGURE, 0, 0, 0, 0));
	show();
	P("once more", call(431, fd, STRING, (long)"size", (long)"1M", 0, 0),
	  call(431, fd, RECONFIGURE, 0, 0, 0, 0));
	show();
}

/* Of a proc: what is refused, shown, and changed. */
static void of_a_proc(void)
{
	static const char *const options[] = {
		"gid=0",       "gid=5",
		"pidns",       "pidns=",
		"pidns=/none", "pidns=/proc/self/ns/mnt",
		"pidns=/tmp",  "hidepid=2,pidns=/proc/self/ns/pid",
		"hidepid=0",   "hidepid=1",
		"hidepid=2",   "hidepid=3",
		"hidepid=4",   "hidepid=5",
		"hidepid=off", "hidepid=noaccess",
		"hidepid=x",   "hidepid",
		"hidepid=",    "hidepid=invisible",
		"hidepid=0x2", "subset=pid",
		"subset=x",    "subset",
		"subset=",     "hidepid=ptraceable",
		"gid=x",       "nosuch",
		"size=5",      "hidepid=2,subset=pid,gid=0",
		"hidepid=+1",  "uid=0",
		"hidepid=-1",  "mode=700",
	};
	begin_as_root();
	mkdir("b", 0755);
	for (int i = 0; i < (int)(sizeof options / sizeof *options); i++)
		try("proc", options[i], 0);
	again("proc", "hidepid=2", "subset=pid", 0);
	again("proc", "hidepid=2,gid=0,subset=pid", "hidepid=off", 0);
	again("proc", "hidepid=2", "hidepid=1,subset=x", 0);
	config("proc", "hidepid", "invisible");
	config("proc", "hidepid", "7");
	config("proc", "hidepid", "seven");
	config("proc", "hidepid", 0);
	config("proc", "subset", "x");
	config("proc", "gid", "x");
	config("proc", "nosuch", "x");
	config("proc", "pidns", "/none");
	config("proc", "pidns", "/proc/self/ns/mnt");
	config("proc", "pidns", "/tmp");
	config("proc", "pidns", "");
	config("devpts", "max", "99999999");
}

static int listed(const char *path, const char *name)
{
	DIR *all = opendir(path);
	int found = 0;
	for (struct dirent *one; all && (one = readdir(all));)
		found |= !strcmp(one->d_name, name);
	if (all)
		closedir(all);
	return found;
}

/* What another user sees of the process above it, and of itself. */
static void hidden(const char *options, gid_t group)
{
	char own[20], other[20], path[60];
	printf("%s group %d: %ld\n", options, group, result(mount("it", "b", "proc", 0, options)));
	fflush(stdout);
	if (!fork()) {
		snprintf(other, sizeof other, "%d", getppid());
		snprintf(own, sizeof own, "%d", getpid());
		setgroups(0, 0);
		P("other", result(setresgid(group, group, group)),
		  result(setresuid(64128, 64128, 64128)));
		snprintf(path, sizeof path, "b/%s/status", other);
		P("listed", listed("b", own), listed("b", other), listed("b", "self"),
		  listed("b", "stat"), listed("b", "."));
		P("file", exists(path), result(open(path, O_RDONLY)) > 0, errno);
		snprintf(path, sizeof path, "b/%s", other);
		P("directory", exists(path), result(open(path, O_RDONLY)) > 0, errno,
		  result(chdir(path)), result(chdir(place)), result(access(path, X_OK)));
		snprintf(path, sizeof path, "b/%s/status", own);
		P("own", exists(path), exists("b/self/stat"), exists("b/thread-self/stat"),
		  exists("b/stat"), exists("b/sys/kernel"), exists("b/mounts"),
		  exists("b/1000000"));
		fflush(stdout);
		_exit(0);
	}
	wait(0);
	umount2("b", MNT_DETACH);
}

static void of_hidden_processes(void)
{
	static const char *const options[] = { "", "hidepid=1", "hidepid=2", "hidepid=4",
					       "subset=pid" };
	if (geteuid())
		return;
	begin_as_root();
	mkdir("b", 0755);
	for (int i = 0; i < 5; i++)
		hidden(options[i], 64128);
	hidden("hidepid=2,gid=64129", 64129);
	hidden("hidepid=4,gid=64129", 64129);
	hidden("hidepid=1,gid=64129", 64129);
}

static void of_a_ramfs(void)
{
	begin();
	mount("it", "b", "ramfs", 0, 0);
	chdir("b");
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	struct stat st;
	write(fd, "x", 1);
	stat(".", &st);
	P("directory", st.st_size, st.st_blocks, st.st_nlink);
	P("attributes", result(setxattr("f", "user.a", "b", 1, 0)), result(listxattr("f", 0, 0)),
	  result(setxattr("f", "security.a", "b", 1, 0)));
	P("fallocate", result(fallocate(fd, 0, 0, 4096)), result(fallocate(fd, 3, 0, 4096)));
	P("seals", result(fcntl(fd, F_GET_SEALS)), result(fcntl(fd, F_ADD_SEALS, 1)));
	ftruncate(fd, 100000);
	P("holes", result(lseek(fd, 5000, SEEK_DATA)), result(lseek(fd, 0, SEEK_HOLE)),
	  result(lseek(fd, 100000, SEEK_DATA)));
	P("open", result(open(".", O_TMPFILE | O_RDWR, 0600)) > 0,
	  result(open("f", O_RDONLY | O_DIRECT)));
	P("rename", result(syscall(SYS_renameat2, -100, "f", -100, "g", 1)),
	  result(mkdir("q", 0755)), result(syscall(SYS_renameat2, -100, "g", -100, "q", 2)));
}

/* Who is root outside may mount one; the pool may be empty. */
static void of_a_hugetlbfs(void)
{
	static const char *const options[] = {
		"",
		"size=4M",
		"size=5M",
		"size=0",
		"size=2097151",
		"size=4Mx",
		"size=x",
		"size",
		"size=-1",
		"min_size=0",
		"min_size=x",
		"min_size=1000000G",
		"min_size=4M,size=2M",
		"nr_inodes=5",
		"nr_inodes=0",
		"nr_inodes=4k",
		"nr_inodes=x",
		"mode=7777",
		"uid=5",
		"mode=1755,uid=5,gid=6,size=4M,nr_inodes=7,pagesize=2M",
		"pagesize=2048K",
		"pagesize=4K",
		"pagesize=1G",
		"pagesize=1048576K,size=3000M,nr_inodes=4",
		"pagesize=1024M,size=50%",
		"pagesize=1G,min_size=1G",
		"pagesize=1G,size=3G,pagesize=2M",
		"pagesize=x",
		"nosuch",
		"ro,sync",
	};
	static const char *const steps[] = { "size",      "4M", "size",     "x",
					     "min_size",  "x",  "min_size", "1000000G",
					     "nr_inodes", "x",  "mode",     "9",
					     "uid",       "x",  "uid",      "4294967295",
					     "pagesize",  "x" };
	begin_as_root();
	mkdir("b", 0755);
	for (int i = 0; i < (int)(sizeof options / sizeof *options); i++)
		try("hugetlbfs", options[i], 0);
	for (int i = 0; i < (int)(sizeof steps / sizeof *steps); i += 2)
		config("hugetlbfs", steps[i], steps[i + 1]);
	again("hugetlbfs", "size=4M", "size=8M,mode=700", 0);
	again("hugetlbfs", "size=4M", "size=x", 0);
	again("hugetlbfs", "size=4M", "nosuch", 0);
	mount("it", "b", "hugetlbfs", 0, "nr_inodes=3");
	P("inodes", result(mkdir("b/a", 0755)), make("b/b"), make("b/c"),
	  result(link("b/b", "b/d")), result(unlink("b/b")), make("b/e"), result(unlink("b/d")),
	  make("b/e"), result(setxattr("b/e", "user.a", "b", 1, 0)));
}

static int mapped(size_t bytes, int prot, int flags, int fd, off_t at)
{
	return result(mmap(NULL, bytes, prot, flags, fd, at) == MAP_FAILED ? -1 : 0);
}

// Of pages of 1 GiB there are none: files have a size, and cannot be mapped.
static void use_gigantic(const char *what, int fd)
{
	struct stat st;
	char byte;

	P(what, result(ftruncate(fd, 2 << 20)), result(ftruncate(fd, 2l << 30)),
	  mapped(1 << 30, 3, MAP_SHARED, fd, 0), mapped(1 << 30, 1, MAP_PRIVATE, fd, 0),
	  mapped(4096, 3, MAP_SHARED, fd, 1 << 30), mapped(4096, 3, MAP_SHARED, fd, 2 << 20),
	  mapped(0, 3, MAP_SHARED, fd, 0));
	P("allocate", result(fallocate(fd, 0, 0, 1 << 30)), result(fallocate(fd, 3, 0, 1 << 30)),
	  result(pread(fd, &byte, 1, 5)), result(pwrite(fd, &byte, 1, 0)));
	fstat(fd, &st);
	P("stat", st.st_blksize >> 20, st.st_size >> 20, st.st_blocks);
	close(fd);
}

static void of_gigantic_pages(void)
{
	struct stat st;

	begin_as_root();
	mkdir("b", 0755);
	mount("it", "b", "hugetlbfs", 0, "pagesize=1G");
	mkdir("b/d", 0755);
	stat("b/d", &st);
	P("directory", st.st_blksize >> 20);
	use_gigantic("file", open("b/f", O_CREAT | O_RDWR, 0600));
	use_gigantic("memfd", memfd_create("f", MFD_HUGETLB | 30u << 26));
	P("remount", result(mount("none", "b", NULL, MS_REMOUNT, "pagesize=2M")));
	show();
}

int main(void)
{
	uid = getuid();
	gid = getgid();
	mkdtemp(place);
	part("at first", at_first);
	part("later", later);
	part("in steps", in_steps);
	part("changes", at_last);
	part("a ramfs", of_a_ramfs);
	part("a proc", of_a_proc);
	if (!geteuid())
		part("hidden processes", of_hidden_processes);
	if (!geteuid())
		part("a hugetlbfs", of_a_hugetlbfs);
	if (!geteuid())
		part("gigantic pages", of_gigantic_pages);
	rmdir(place);
	return 0;
}
