/* User namespaces and those they own - uts, ipc, cgroup - whoever runs it. What is printed is
 * made of answers alone: no number of a user, group, process or namespace of the machine. */
#define _GNU_SOURCE
#include "parts.h"
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/utsname.h>

/* Of <linux/capability.h> and <linux/nsfs.h>, which musl's compiler does not find. */
struct cap_header {
	unsigned version;
	int pid;
};
struct cap_data {
	unsigned effective, permitted, inheritable;
};
enum { CAP_VERSION = 0x20080522, CAP_SYS_ADMIN = 21 };
enum { NS_GET_USERNS = 0xb701, NS_GET_PARENT, NS_GET_NSTYPE, NS_GET_OWNER_UID };

static uid_t uid;
static gid_t gid;

static const char *get(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return strerror(errno);
	long count = read(fd, text, sizeof text - 1);
	close(fd);
	text[count < 0 ? 0 : count] = 0;
	return text;
}

static void show(const char *path) { printf("%s: %s", path, get(path)); }

static void caps(const char *what)
{
	struct cap_header head = { CAP_VERSION, 0 };
	struct cap_data data[2];
	syscall(SYS_capget, &head, data);
	printf("%s %x %x %x\n", what, data[0].effective, data[0].permitted, data[0].inheritable);
}

static long map(const char *path, long inside, long outside, long count)
{
	char text[100];
	snprintf(text, sizeof text, "%ld %ld %ld", inside, outside, count);
	return put(path, text) > 0 ? 0 : -errno;
}

/* Be root of a new user namespace. */
static long be_root(int more)
{
	long done = result(unshare(CLONE_NEWUSER | more));
	put("/proc/self/setgroups", "deny");
	map("/proc/self/uid_map", 0, uid, 1);
	map("/proc/self/gid_map", 0, gid, 1);
	return done;
}

static void without_maps(void)
{
	P("unshare", result(unshare(CLONE_NEWUSER)));
	P("ids", getuid(), geteuid(), getgid(), getegid());
	caps("caps");
	show("/proc/self/uid_map");
	show("/proc/self/gid_map");
	show("/proc/self/setgroups");
	P("set", result(setuid(0)), result(setgid(0)), result(setreuid(1, -1)),
	  result(setresuid(-1, -1, -1)));
	P("fsuid", syscall(SYS_setfsuid, 5), syscall(SYS_setfsuid, -1));
	P("setgroups", call(SYS_setgroups, 0, 0, 0, 0, 0, 0));
	P("again", result(unshare(CLONE_NEWUSER)));
	struct stat st;
	P("stat", result(stat("/proc/self/status", &st)), st.st_uid, st.st_gid);
}

static void maps(void)
{
	static const char *bad[] = { "",
				     "\n",
				     "0",
				     "0 0",
				     "x 0 1",
				     "0 x 1",
				     "0 0 x",
				     "0 0 0",
				     "4294967295 0 1",
				     "0 4294967295 1",
				     "0 0 4294967296",
				     "0 1 2 3",
				     "0 77 1\n0 78 1",
				     "0 77 1\n1 77 1",
				     "0 77 4294967295",
				     "-1 0 1",
				     "0 77 1\n\n",
				     " 0 77 1 " };
	unshare(CLONE_NEWUSER);
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		P("bad", put("/proc/self/uid_map", bad[i]));
	P("setgroups", put("/proc/self/setgroups", "den"), put("/proc/self/setgroups", "denyx"),
	  put("/proc/self/setgroups", "deny   x"), put("/proc/self/setgroups", "allow"),
	  put("/proc/self/setgroups", "allow\n"));
	P("gid first", map("/proc/self/gid_map", 0, gid, 1) == 0);
	P("deny", put("/proc/self/setgroups", "deny\n"), put("/proc/self/setgroups", "allow"));
	P("strangers", map("/proc/self/uid_map", 0, uid + 1, 1) == 0 && uid);
	P("maps", map("/proc/self/uid_map", 7, uid, 1), map("/proc/self/gid_map", 8, gid, 1));
	P("twice", map("/proc/self/uid_map", 7, uid, 1) == 0, errno);
	P("ids", getuid(), getgid(), result(setuid(7)), result(setuid(0)),
	  result(setresgid(8, 8, 8)), result(setresgid(0, 8, 8)));
	P("projid", map("/proc/self/projid_map", 0, 0, 10) == 0);
	show("/proc/self/setgroups");
	P("deny late", put("/proc/self/setgroups", "deny") == 4);
	caps("caps");
}

/* The parent writes the maps of a child that waits. */
static void maps_from_above(void)
{
	int go[2], ready[2];
	char path[100], byte = 0;
	pipe(go);
	pipe(ready);
	pid_t child = fork();
	if (!child) {
		unshare(CLONE_NEWUSER);
		write(ready[1], "x", 1);
		read(go[0], &byte, 1);
		printf("inside %d %d %d\n", getuid(), geteuid(), getgid());
		P("setuid", result(setuid(5)), result(setuid(0)));
		fflush(stdout);
		_exit(0);
	}
	read(ready[0], &byte, 1);
	snprintf(path, sizeof path, "/proc/%d/setgroups", child);
	P("deny", put(path, "deny"));
	snprintf(path, sizeof path, "/proc/%d/uid_map", child);
	P("uid", map(path, 5, uid, 1));
	snprintf(path, sizeof path, "/proc/%d/gid_map", child);
	P("gid", map(path, 6, gid, 1));
	printf("seen %d\n", (int)strtol(get(path), 0, 10));
	snprintf(path, sizeof path, "/proc/%d/status", child);
	const char *own = strstr(get(path), "\nUid:");
	printf("mine %d\n", own && (uid_t)atoi(own + 6) == uid);
	write(go[1], "x", 1);
	waitpid(child, 0, 0);
}

static int is(const char *kind, const char *path)
{
	char text[100] = "", own[100];
	readlink(path, text, sizeof text - 1);
	snprintf(own, sizeof own, "%s:[", kind);
	return !strncmp(text, own, strlen(own));
}

static void links(void)
{
	static const char *kinds[] = { "cgroup", "ipc", "net", "user", "uts" };
	char path[100], text[100];
	for (int i = 0; i < 5; i++) {
		struct stat st, link;
		snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
		int fd = open(path, O_RDONLY);
		fstat(fd, &st);
		lstat(path, &link);
		long count = readlink(path, text, sizeof text - 1);
		text[count] = 0;
		P(kinds[i], is(kinds[i], path), st.st_ino == strtoul(strchr(text, '[') + 1, 0, 10),
		  st.st_mode, st.st_nlink, st.st_uid, st.st_size, S_ISLNK(link.st_mode),
		  link.st_size);
		P("ioctls", result(ioctl(fd, NS_GET_NSTYPE)), result(ioctl(fd, NS_GET_PARENT)),
		  result(ioctl(fd, NS_GET_USERNS)), result(ioctl(fd, NS_GET_OWNER_UID, 0)),
		  result(ioctl(fd, 0xb7ff)));
		P("use", result(read(fd, text, 1)), result(write(fd, text, 1)),
		  result(lseek(fd, 0, SEEK_SET)),
		  (long)mmap(0, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == -1, errno);
		P("open", result(open(path, O_WRONLY)), result(open(path, O_RDWR)));
		close(fd);
	}
	P("others", result(open("/proc/self/ns/nothing", O_RDONLY)),
	  result(access("/proc/1/ns/uts", F_OK)) < 0 && uid);
}

static void parents(void)
{
	be_root(0);
	int one = open("/proc/self/ns/user", O_RDONLY);
	P("above", result(ioctl(one, NS_GET_PARENT)), result(ioctl(one, NS_GET_USERNS)));
	P("unshare", result(unshare(CLONE_NEWUSER | CLONE_NEWUTS)));
	int two = open("/proc/self/ns/user", O_RDONLY), uts = open("/proc/self/ns/uts", O_RDONLY);
	uid_t owner = 1;
	P("hidden", result(ioctl(two, NS_GET_PARENT)), result(ioctl(one, NS_GET_OWNER_UID, &owner)),
	  owner);
	P("owner", result(ioctl(two, NS_GET_OWNER_UID, &owner)), owner);
	int own = ioctl(uts, NS_GET_USERNS);
	struct stat a, b;
	fstat(own, &a);
	fstat(two, &b);
	P("userns", own > 0, a.st_ino == b.st_ino, a.st_dev == b.st_dev,
	  result(fcntl(own, F_GETFD)));
	P("back", result(setns(one, 0)), result(setns(two, 0)));
}

static void names_of_hosts(void)
{
	struct utsname name;
	uname(&name);
	char before[65];
	strcpy(before, name.nodename);
	P("unprivileged", result(unshare(CLONE_NEWUTS)) && uid);
	P("root", be_root(0), result(sethostname("x", 1)));
	P("unshare", result(unshare(CLONE_NEWUTS)), result(sethostname("inner", 5)),
	  result(setdomainname("dom", 3)));
	uname(&name);
	printf("%s %s\n", name.nodename, name.domainname);
	show("/proc/sys/kernel/hostname");
	show("/proc/sys/kernel/domainname");
	P("sysctl", put("/proc/sys/kernel/hostname", "other") > 0 && uid);
	P("empty", result(sethostname("", 0)), result(sethostname("a\nb", 3)));
	uname(&name);
	printf("<%s>\n", name.nodename);
	pid_t child = fork();
	if (!child) {
		uname(&name);
		printf("child <%s>\n", name.nodename);
		P("deeper", result(unshare(CLONE_NEWUSER)), result(sethostname("y", 1)),
		  result(unshare(CLONE_NEWUTS)), result(sethostname("yy", 2)));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, 0, 0);
	uname(&name);
	printf("<%s> %d\n", name.nodename, !strcmp(before, name.nodename));
}

static void ipc(void)
{
	int shm = shmget(0x1234567, 4096, IPC_CREAT | IPC_EXCL | 0600);
	P("root", be_root(CLONE_NEWIPC));
	struct shmid_ds ds;
	P("gone", result(shmget(0x1234567, 4096, 0)), result(shmctl(shm, IPC_STAT, &ds)));
	P("ids", shmget(7, 4096, IPC_CREAT | 0600), semget(7, 1, IPC_CREAT | 0600),
	  msgget(7, IPC_CREAT | 0600));
	P("stat", result(shmctl(0, IPC_STAT, &ds)), ds.shm_perm.uid, ds.shm_perm.gid,
	  ds.shm_perm.cuid);
	ds.shm_perm.uid = 5;
	P("set", result(shmctl(0, IPC_SET, &ds)));
	char *text = shmat(0, 0, 0);
	strcpy(text, "kept");
	P("child", result(unshare(CLONE_NEWIPC)), result(shmget(7, 4096, 0)));
	printf("%s\n", text);
	show("/proc/sys/kernel/shmmni");
	P("sysctl", put("/proc/sys/kernel/shmmni", "5"), put("/proc/sys/kernel/msgmax", "100"),
	  put("/proc/sys/fs/mqueue/msg_max", "12"));
	show("/proc/sys/kernel/shmmni");
	show("/proc/sysvipc/msg");
	P("new", result(unshare(CLONE_NEWIPC)));
	show("/proc/sys/kernel/shmmni");
	show("/proc/sys/kernel/msgmax");
	show("/proc/sys/fs/mqueue/msg_max");
}

static void rules(void)
{
	int all = CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
	P("each", result(unshare(CLONE_NEWUTS)) < 0 && uid, result(unshare(0x40)),
	  result(unshare(CLONE_PIDFD)));
	P("clone", call(SYS_clone, CLONE_NEWUSER | CLONE_FS | SIGCHLD, 0, 0, 0, 0, 0),
	  call(SYS_clone, CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, 0, 0, 0, 0, 0));
	P("setns", result(setns(-1, 0)), result(setns(0, 0)), result(setns(0, CLONE_NEWUTS)),
	  result(setns(0, 1)));
	int uts = open("/proc/self/ns/uts", O_RDONLY), user = open("/proc/self/ns/user", O_RDONLY);
	P("kinds", result(setns(uts, CLONE_NEWIPC)), result(setns(user, 0)),
	  result(setns(user, CLONE_NEWUSER)), result(setns(uts, -1)),
	  result(setns(uts, CLONE_NEWUTS | CLONE_NEWIPC)));
	P("own", result(setns(uts, 0)) < 0 && uid);
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	P("pidfd", result(setns(pidfd, 0)), result(setns(pidfd, 0x40)),
	  result(setns(pidfd, CLONE_NEWUSER)), result(setns(pidfd, CLONE_NEWUTS)) < 0 && uid);
	P("root", be_root(all), result(setns(uts, 0)), result(setns(user, 0)));
	P("sysvsem", call(SYS_clone, CLONE_NEWIPC | CLONE_SYSVSEM | SIGCHLD, 0, 0, 0, 0, 0));
	uts = open("/proc/self/ns/uts", O_RDONLY);
	P("in", result(setns(uts, 0)), result(setns(uts, CLONE_NEWUTS)));
	prctl(PR_SET_DUMPABLE, 0);
	P("undumpable", result(open("/proc/self/ns/uts", O_RDONLY)) > 0, prctl(PR_GET_DUMPABLE));
}

/* A process is entered through its descriptor. */
static void into(void)
{
	int ready[2], go[2];
	char byte;
	pipe(ready);
	pipe(go);
	pid_t child = fork();
	if (!child) {
		be_root(CLONE_NEWUTS | CLONE_NEWIPC);
		sethostname("there", 5);
		write(ready[1], "x", 1);
		read(go[0], &byte, 1);
		_exit(0);
	}
	read(ready[0], &byte, 1);
	int pidfd = syscall(SYS_pidfd_open, child, 0);
	P("setns", result(setns(pidfd, CLONE_NEWUSER | CLONE_NEWUTS)), getuid(), getgid());
	struct utsname name;
	uname(&name);
	printf("%s\n", name.nodename);
	caps("caps");
	P("again", result(setns(pidfd, CLONE_NEWUSER)), result(setns(pidfd, CLONE_NEWIPC)));
	write(go[1], "x", 1);
	waitpid(child, 0, 0);
	P("dead", result(setns(pidfd, CLONE_NEWIPC)));
}

static void limits(void)
{
	be_root(0);
	show("/proc/sys/user/max_uts_namespaces");
	P("write", put("/proc/sys/user/max_uts_namespaces", "2\n"),
	  put("/proc/sys/user/max_uts_namespaces", "-1"));
	show("/proc/sys/user/max_uts_namespaces");
	P("one", result(unshare(CLONE_NEWUTS)));
	pid_t child = fork();
	if (!child) {
		P("two", result(unshare(CLONE_NEWUTS)));
		P("three", result(unshare(CLONE_NEWUSER | CLONE_NEWUTS)));
		P("stays", result(unshare(CLONE_NEWUTS)));
		pid_t other = fork();
		if (!other) {
			P("kept", result(unshare(CLONE_NEWUTS)));
			fflush(stdout);
			_exit(0);
		}
		waitpid(other, 0, 0);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, 0, 0);
	P("free", result(unshare(CLONE_NEWUTS)));
	P("none", put("/proc/sys/user/max_user_namespaces", "0"), result(unshare(CLONE_NEWUSER)));
}

static void depth(void)
{
	long done = 0;
	int levels = 0;
	while (!(done = be_root(0)) && levels < 100) {
		uid = gid = 0;
		levels++;
	}
	P("levels", levels, done);
}

/* Nothing that belongs to the machine gives way. */
static void guards(void)
{
	uid_t other = uid ? 0 : 1;
	P("root", be_root(CLONE_NEWUTS | CLONE_NEWIPC));
	caps("caps");
	P("mlock", result(setpriority(PRIO_PROCESS, 0, -5)));
	(void)other;
	char path[] = "/tmp/namespacesXXXXXX";
	int fd = mkstemp(path);
	struct stat st;
	fstat(fd, &st);
	P("file", st.st_uid, st.st_gid, result(fchown(fd, 0, 0)), result(fchown(fd, 5, -1)),
	  result(fchmod(fd, 04755)));
	unlink(path);
	P("mknod", result(mknod("/tmp/namespaces-dev", S_IFCHR | 0600, 0x103)));
	P("chroot", result(chroot("/")), result(unshare(CLONE_NEWUSER)));
	P("limits", result(call(SYS_prlimit64, 0, 7, 0, 0, 0, 0)));
	P("swapoff", call(SYS_swapoff, (long)"/nothing", 0, 0, 0, 0, 0));
	P("syslog", call(SYS_syslog, 5, 0, 0, 0, 0, 0), call(SYS_syslog, 3, 0, 0, 0, 0, 0) < 0);
	P("settime", call(SYS_clock_settime, 0, (long)&(struct timespec){ 1, 1 }, 0, 0, 0, 0));
	P("cap", prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN), prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN),
	  prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN));
}

/* Who may kill, look into and trace whom. */
static void relations(void)
{
	int ready[2], go[2];
	char byte;
	pipe(ready);
	pipe(go);
	pid_t above = getpid(), child = fork();
	if (!child) {
		be_root(0);
		P("up", result(kill(above, 0)), call(SYS_process_vm_readv, above, 0, 0, 0, 0, 0));
		char path[100];
		snprintf(path, sizeof path, "/proc/%d/mem", above);
		P("mem", result(open(path, O_RDONLY)) >= 0);
		fflush(stdout);
		write(ready[1], "x", 1);
		read(go[0], &byte, 1);
		_exit(0);
	}
	read(ready[0], &byte, 1);
	char path[100];
	snprintf(path, sizeof path, "/proc/%d/mem", child);
	P("down", result(kill(child, 0)), result(open(path, O_RDONLY)) >= 0);
	P("sibling", be_root(0), result(kill(child, 0)), result(open(path, O_RDONLY)) >= 0);
	snprintf(path, sizeof path, "/proc/%d/ns/user", child);
	P("enter", result(open(path, O_RDONLY)) >= 0);
	write(go[1], "x", 1);
	waitpid(child, 0, 0);
}

int main(void)
{
	uid = getuid();
	gid = getgid();
	part("links", links);
	part("without maps", without_maps);
	part("maps", maps);
	part("maps from above", maps_from_above);
	part("parents", parents);
	part("uts", names_of_hosts);
	part("ipc", ipc);
	part("rules", rules);
	part("into", into);
	part("limits", limits);
	part("depth", depth);
	part("guards", guards);
	part("relations", relations);
	return 0;
}
