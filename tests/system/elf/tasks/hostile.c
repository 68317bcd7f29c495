/*
 * A user who is root in namespaces of its own wants out: at its parent's memory, mounts, files and
 * rights.  Whoever starts it: it is an ordinary user from its first line on.
 */
#define _GNU_SOURCE
#include "parts.h"
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define USER 4242
#define EVERYTHING \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | \
	 0x80)

static pid_t victim;
static int network, outside; /* the parent's, and a socket there */
static char secret[64] = "what nobody is to read";

static long opens(const char *path, int flags)
{
	int fd = open(path, flags);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static const char *of(const char *name)
{
	static char path[100];
	snprintf(path, sizeof path, "/proc/%d/%s", victim, name);
	return path;
}

static long victim_fd(void) { return syscall(SYS_pidfd_open, victim, 0); }

static void begin(void)
{
	char text[50];
	P("begin", result(unshare(EVERYTHING)));
	put("/proc/self/setgroups", "deny");
	snprintf(text, sizeof text, "0 %d 1", USER);
	P("maps", put("/proc/self/uid_map", text) > 0, put("/proc/self/gid_map", text) > 0);
	P("root", getuid(), geteuid());
}

static void memory(void)
{
	char copy[64];
	struct iovec here = { copy, sizeof copy }, there = { secret, sizeof secret };
	begin();
	P("vectors", result(process_vm_readv(victim, &here, 1, &there, 1, 0)),
	  result(process_vm_writev(victim, &here, 1, &there, 1, 0)));
	P("files", opens(of("mem"), O_RDWR), opens(of("maps"), O_RDONLY),
	  opens(of("environ"), O_RDONLY), opens(of("pagemap"), O_RDONLY),
	  opens(of("fd/0"), O_RDONLY), opens(of("root"), O_RDONLY), opens(of("cwd/x"), O_RDONLY),
	  opens(of("exe"), O_RDONLY));
	P("trace", result(ptrace(PTRACE_ATTACH, victim, 0, 0)),
	  result(ptrace(PTRACE_SEIZE, victim, 0, 0)),
	  result(syscall(SYS_pidfd_getfd, victim_fd(), 0, 0)),
	  call(SYS_kcmp, getpid(), victim, 1, 0, 0, 0));
	P("changes", put(of("uid_map"), "0 0 1"), put(of("oom_score_adj"), "5") > 0,
	  put(of("setgroups"), "deny"), put(of("clear_refs"), "1"),
	  put(of("coredump_filter"), "1"));
	P("limits",
	  call(SYS_prlimit64, victim, RLIMIT_NOFILE, (long)&(struct rlimit){ 1, 1 }, 0, 0, 0));
}

static void namespaces(void)
{
	begin();
	P("links", opens(of("ns/mnt"), O_RDONLY), opens(of("ns/user"), O_RDONLY),
	  opens(of("ns/net"), O_RDONLY), opens(of("ns/time"), O_RDONLY));
	P("process", result(setns(victim_fd(), CLONE_NEWNS)),
	  result(setns(victim_fd(), CLONE_NEWUSER)),
	  result(setns(victim_fd(), CLONE_NEWPID | CLONE_NEWNET)));
	P("descriptor", result(setns(network, CLONE_NEWNET)));
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = 0 };
	P("lo", result(ioctl(outside, SIOCSIFFLAGS, &lo)));
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		P("first", getpid(), getppid(), result(kill(-1, 0)), result(kill(victim, SIGKILL)),
		  result(kill(2, SIGKILL)), result(syscall(SYS_pidfd_open, victim, 0)));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, 0, 0);
	P("no more", result(fork()));
}

static void mounts(void)
{
	begin();
	P("locked", result(mount("none", "/", 0, MS_REMOUNT | MS_RDONLY, 0)),
	  result(umount2("/proc", 0)), result(umount2("/proc", MNT_DETACH)),
	  result(umount2("/", MNT_DETACH)), result(mount("/proc", "mine", 0, MS_MOVE, 0)));
	P("types", result(mount("x", "mine", "hugetlbfs", 0, 0)),
	  result(mount("x", "mine", "nosuch", 0, 0)), result(mount("x", "mine", "proc", 0, 0)),
	  result(mount("x", "mine", "tmpfs", 0, 0)), result(mount("x", "mine", "devpts", 0, 0)),
	  result(umount2("mine", 0)));
	P("devices", result(mknod("mine/disk", S_IFBLK | 0600, 0x800)),
	  result(mknod("mine/null", S_IFCHR | 0666, 0x103)),
	  result(mknod("mine/fifo", S_IFIFO | 0600, 0)));
	P("bind", result(mount("jail", "jail", 0, MS_BIND, 0)),
	  result(mount("none", "jail", 0, MS_BIND | MS_REMOUNT | MS_RDONLY, 0)),
	  opens("jail/in", O_RDONLY), result(mkdir("jail/more", 0700)),
	  result(unshare(CLONE_NEWUSER | CLONE_NEWNS)));
	P("frozen", result(mount("none", "jail", 0, MS_BIND | MS_REMOUNT, 0)),
	  result(umount2("jail", 0)));
}

static void jail(void)
{
	struct stat one, other;
	begin();
	int out = open("/", O_RDONLY | O_DIRECTORY);
	P("build", result(mount("jail", "jail", 0, MS_BIND, 0)),
	  result(mount("t", "jail/in", "tmpfs", 0, 0)), result(chdir("jail")),
	  result(mkdir("in/old", 0755)));
	P("pivot", call(SYS_pivot_root, (long)".", (long)"in/old", 0, 0, 0, 0), result(chdir("/")),
	  result(umount2("/in/old", MNT_DETACH)));
	P("root", result(stat("/../..", &one)), result(stat("/", &other)),
	  one.st_ino == other.st_ino, opens("/tmp", O_RDONLY), opens("/in/old/tmp", O_RDONLY));
	P("held", result(fchdir(out)), opens("tmp", O_RDONLY), result(chdir("/")));
	close(out);
	for (int i = 0; i < 20; i++)
		chdir("..");
	P("dots", result(stat(".", &one)), one.st_ino == other.st_ino, opens("tmp", O_RDONLY));
	mkdir("in/deep", 0755);
	int top = open("/", O_RDONLY | O_DIRECTORY);
	P("chroot", result(chroot("in/deep")), result(fchdir(top)), result(chdir("../../../..")),
	  opens("tmp", O_RDONLY), result(unshare(CLONE_NEWUSER)));
}

/* The root is mounted over itself, and the old one taken from over it. */
static void stacked(void)
{
	begin();
	P("build", result(mount("jail", "jail", 0, MS_BIND, 0)), result(chdir("jail")));
	P("pivot", call(SYS_pivot_root, (long)".", (long)".", 0, 0, 0, 0), opens("/tmp", O_RDONLY),
	  opens("/in", O_RDONLY), result(umount2(".", MNT_DETACH)), result(chdir("/")),
	  opens("/tmp", O_RDONLY), opens("/in", O_RDONLY), opens("../tmp", O_RDONLY));
}

static void rights(void)
{
	struct rlimit limit;
	begin();
	P("files", opens("own", O_RDONLY), result(chown("own", 1, 1)), result(chmod("/tmp", 0777)),
	  result(mknod("fifo", S_IFIFO | 0600, 0)), result(unlink("fifo")));
	P("sysctls", put("/proc/sys/vm/overcommit_memory", "1"),
	  put("/proc/sys/fs/file-max", "100000"), put("/proc/sys/net/core/rmem_max", "5000"),
	  put("/proc/sys/kernel/hostname", "x"), put("/proc/sys/user/max_user_namespaces", "7"));
	getrlimit(RLIMIT_NPROC, &limit);
	limit.rlim_max = limit.rlim_cur = limit.rlim_max < 500 ? limit.rlim_max : 500;
	setrlimit(RLIMIT_NPROC, &limit);
	limit.rlim_max++;
	P("limits", result(setrlimit(RLIMIT_NPROC, &limit)), result(nice(-5)));
	P("machine", call(SYS_settimeofday, 0, 0, 0, 0, 0, 0),
	  call(SYS_swapon, (long)"own", 0, 0, 0, 0, 0), call(SYS_iopl, 3, 0, 0, 0, 0, 0),
	  result(sethostname("h", 1)), call(SYS_syslog, 5, 0, 0, 0, 0, 0));
}

static void everything(void)
{
	part("memory", memory);
	part("namespaces", namespaces);
	part("mounts", mounts);
	part("jail", jail);
	part("stacked", stacked);
	part("rights", rights);
}

int main(void)
{
	char place[] = "/tmp/hostileXXXXXX";
	network = open("/proc/self/ns/net", O_RDONLY);
	if (!getuid() &&
	    (setgroups(0, 0) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER)))
		return 1;
	prctl(PR_SET_DUMPABLE, 1); /* as after an execve: its files of /proc are its own */
	outside = socket(AF_INET, SOCK_DGRAM, 0);
	mkdtemp(place);
	chdir(place);
	mkdir("jail", 0755);
	mkdir("jail/in", 0755);
	mkdir("mine", 0755);
	close(open("own", O_CREAT | O_RDWR, 0600));
	victim = fork();
	if (!victim)
		for (;;)
			pause();
	everything();
	P("parent", result(kill(victim, 0)), access("/proc/self", 0), access("own", 0));
	kill(victim, SIGKILL);
	int status;
	waitpid(victim, &status, 0);
	P("victim", status);
	unlink("own");
	rmdir("jail/in");
	rmdir("jail");
	rmdir("mine");
	return rmdir(place);
}
