/* Each pointer of each call, pointing nowhere: the errors, one line a call. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P -1000 /* the pointer at test */
#define F -1001 /* a file of 8 KiB */
#define G -1002 /* a good buffer */
#define PIPE_IN -1003
#define PIPE_OUT -1004
#define PATH -1005
#define DIR -1006
#define SOCK -1007 /* with a message of ten bytes */
#define SHM -1008
#define SELF -1009 /* the caller's pid */
#define LINK -1010
#define NAME -1011 /* of an attribute */
#define SPECIAL(value) ((value) <= P && (value) >= NAME)

static const struct {
	const char *name;
	int nr;
	long args[6];
} calls[] = {
	{ "read", SYS_read, { F, P, 100 } },
	{ "write", SYS_write, { F, P, 100 } },
	{ "pipe read", SYS_read, { PIPE_IN, P, 10 } },
	{ "pipe write", SYS_write, { PIPE_OUT, P, 10 } },
	{ "open", SYS_open, { P, O_RDONLY } },
	{ "openat", SYS_openat, { AT_FDCWD, P, O_RDONLY } },
	{ "stat path", SYS_stat, { P, G } },
	{ "stat", SYS_stat, { PATH, P } },
	{ "fstat", SYS_fstat, { F, P } },
	{ "lstat", SYS_lstat, { PATH, P } },
	{ "newfstatat", SYS_newfstatat, { AT_FDCWD, PATH, P, 0 } },
	{ "poll", SYS_poll, { P, 1, 0 } },
	{ "select", SYS_select, { 3, P, 0, 0, 0 } },
	{ "pread64", SYS_pread64, { F, P, 100, 0 } },
	{ "pwrite64", SYS_pwrite64, { F, P, 100, 0 } },
	{ "readv", SYS_readv, { F, P, 1 } },
	{ "writev", SYS_writev, { F, P, 1 } },
	{ "access", SYS_access, { P, 0 } },
	{ "pipe2", SYS_pipe2, { P, 0 } },
	{ "mincore", SYS_mincore, { G, 4096, P } },
	{ "nanosleep", SYS_nanosleep, { P, 0 } },
	{ "getitimer", SYS_getitimer, { 0, P } },
	{ "setitimer", SYS_setitimer, { 0, P, 0 } },
	{ "uname", SYS_uname, { P } },
	{ "getcwd", SYS_getcwd, { P, 100 } },
	{ "chdir", SYS_chdir, { P } },
	{ "rename", SYS_rename, { P, PATH } },
	{ "mkdir", SYS_mkdir, { P, 0700 } },
	{ "rmdir", SYS_rmdir, { P } },
	{ "link", SYS_link, { PATH, P } },
	{ "unlink", SYS_unlink, { P } },
	{ "symlink", SYS_symlink, { P, PATH } },
	{ "readlink", SYS_readlink, { P, G, 10 } },
	{ "chmod", SYS_chmod, { P, 0700 } },
	{ "truncate", SYS_truncate, { P, 10 } },
	{ "gettimeofday", SYS_gettimeofday, { P, 0 } },
	{ "getrlimit", SYS_getrlimit, { 7, P } },
	{ "setrlimit", SYS_setrlimit, { 7, P } },
	{ "prlimit64 new", SYS_prlimit64, { 0, 7, P, 0 } },
	{ "prlimit64 old", SYS_prlimit64, { 0, 7, 0, P } },
	{ "getrusage", SYS_getrusage, { 0, P } },
	{ "sysinfo", SYS_sysinfo, { P } },
	{ "times", SYS_times, { P } },
	{ "rt_sigaction new", SYS_rt_sigaction, { SIGUSR1, P, 0, 8 } },
	{ "rt_sigaction old", SYS_rt_sigaction, { SIGUSR1, 0, P, 8 } },
	{ "rt_sigprocmask new", SYS_rt_sigprocmask, { 0, P, 0, 8 } },
	{ "rt_sigprocmask old", SYS_rt_sigprocmask, { 0, 0, P, 8 } },
	{ "rt_sigpending", SYS_rt_sigpending, { P, 8 } },
	{ "rt_sigtimedwait", SYS_rt_sigtimedwait, { P, 0, 0, 8 } },
	{ "rt_sigsuspend", SYS_rt_sigsuspend, { P, 8 } },
	{ "rt_sigqueueinfo", SYS_rt_sigqueueinfo, { 1, SIGUSR1, P } },
	{ "rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, { 1, 1, SIGUSR1, P } },
	{ "sigaltstack new", SYS_sigaltstack, { P, 0 } },
	{ "sigaltstack old", SYS_sigaltstack, { 0, P } },
	{ "clock_gettime", SYS_clock_gettime, { 0, P } },
	{ "clock_getres", SYS_clock_getres, { 0, P } },
	{ "clock_nanosleep", SYS_clock_nanosleep, { 0, 0, P, 0 } },
	{ "getdents64", SYS_getdents64, { F, P, 1000 } },
	{ "memfd_create", SYS_memfd_create, { P, 0 } },
	{ "getrandom", SYS_getrandom, { P, 16, 0 } },
	{ "execve", SYS_execve, { P, 0, 0 } },
	{ "execve argv", SYS_execve, { PATH, P, 0 } },
	{ "execve envp", SYS_execve, { PATH, 0, P } },
	{ "wait4", SYS_wait4, { -1, P, 0, 0 } },
	{ "futex", SYS_futex, { P, 0, 0, 0, 0, 0 } },
	{ "futex wake", SYS_futex, { P, 1, 1, 0, 0, 0 } },
	{ "arch_prctl", SYS_arch_prctl, { 0x1003, P } },
	{ "prctl set name", SYS_prctl, { 15, P } },
	{ "prctl get name", SYS_prctl, { 16, P } },
	{ "process_vm_readv", SYS_process_vm_readv, { 0, P, 1, G, 1, 0 } },
	{ "clone3", SYS_clone3, { P, 64 } },
	{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0, P } },
	{ "connect", SYS_connect, { SOCK, P, 100 } },
	{ "sendto", SYS_sendto, { SOCK, P, 10, 0, 0, 0 } },
	{ "sendto address", SYS_sendto, { SOCK, G, 10, 0, P, 100 } },
	{ "sendmsg", SYS_sendmsg, { SOCK, P, 0 } },
	{ "recvfrom", SYS_recvfrom, { SOCK, P, 10, MSG_PEEK, 0, 0 } },
	{ "recvfrom length", SYS_recvfrom, { SOCK, G, 10, MSG_PEEK, G, P } },
	{ "recvmsg", SYS_recvmsg, { SOCK, P, MSG_PEEK } },
	{ "getsockname", SYS_getsockname, { SOCK, P, G } },
	{ "getsockname length", SYS_getsockname, { SOCK, G, P } },
	{ "getpeername", SYS_getpeername, { SOCK, P, G } },
	{ "getsockopt", SYS_getsockopt, { SOCK, SOL_SOCKET, SO_TYPE, P, G } },
	{ "getsockopt length", SYS_getsockopt, { SOCK, SOL_SOCKET, SO_TYPE, G, P } },
	{ "setsockopt", SYS_setsockopt, { SOCK, SOL_SOCKET, SO_KEEPALIVE, P, 4 } },
	{ "splice in", SYS_splice, { F, P, PIPE_OUT, 0, 10, 0 } },
	{ "splice out", SYS_splice, { PIPE_IN, 0, F, P, 10, 0 } },
	{ "vmsplice", SYS_vmsplice, { PIPE_OUT, P, 1, 0 } },
	{ "copy_file_range in", SYS_copy_file_range, { F, P, F, 0, 10, 0 } },
	{ "copy_file_range out", SYS_copy_file_range, { F, 0, F, P, 10, 0 } },
	{ "openat2", SYS_openat2, { AT_FDCWD, PATH, P, 24 } },
	{ "sendfile", SYS_sendfile, { PIPE_OUT, F, P, 10 } },
	{ "creat", SYS_creat, { P, 0600 } },
	{ "fcntl getlk", SYS_fcntl, { F, F_GETLK, P } },
	{ "fcntl setlk", SYS_fcntl, { F, F_SETLK, P } },
	{ "ioctl", SYS_ioctl, { PIPE_IN, FIONREAD, P } },
	{ "ioctl set", SYS_ioctl, { PIPE_IN, FIONBIO, P } },
	{ "preadv", SYS_preadv, { F, P, 1, 0, 0 } },
	{ "pwritev", SYS_pwritev, { F, P, 1, 0, 0 } },
	{ "preadv2", SYS_preadv2, { F, P, 1, 0, 0, 0 } },
	{ "pwritev2", SYS_pwritev2, { F, P, 1, 0, 0, 0 } },
	{ "execveat", SYS_execveat, { AT_FDCWD, P, 0, 0, 0 } },
	{ "execveat argv", SYS_execveat, { AT_FDCWD, PATH, P, 0, 0 } },
	{ "waitid", SYS_waitid, { P_ALL, 0, P, WEXITED, 0 } },
	{ "clock_settime", SYS_clock_settime, { 0, P } },
	{ "settimeofday", SYS_settimeofday, { P, 0 } },
	{ "settimeofday zone", SYS_settimeofday, { 0, P } },
	{ "adjtimex", SYS_adjtimex, { P } },
	{ "clock_adjtime", SYS_clock_adjtime, { 0, P } },
	{ "time", SYS_time, { P } },
	{ "getcpu", SYS_getcpu, { P, 0 } },
	{ "getcpu node", SYS_getcpu, { 0, P } },
	{ "getresuid", SYS_getresuid, { P, G, G } },
	{ "getresuid 2", SYS_getresuid, { G, P, G } },
	{ "getresuid 3", SYS_getresuid, { G, G, P } },
	{ "getresgid", SYS_getresgid, { P, G, G } },
	{ "getresgid 2", SYS_getresgid, { G, P, G } },
	{ "getresgid 3", SYS_getresgid, { G, G, P } },
	{ "setgroups", SYS_setgroups, { 2, P } },
	{ "capget", SYS_capget, { P, G } },
	{ "capset", SYS_capset, { P, G } },
	{ "sethostname", SYS_sethostname, { P, 4 } },
	{ "setdomainname", SYS_setdomainname, { P, 4 } },
	{ "syslog", SYS_syslog, { 3, P, 10 } },
	{ "get_robust_list", SYS_get_robust_list, { 0, P, G } },
	{ "get_robust_list size", SYS_get_robust_list, { 0, G, P } },
	{ "munmap", SYS_munmap, { P, 0 } },
	{ "mprotect", SYS_mprotect, { P, 4096, PROT_NONE } },
	{ "madvise", SYS_madvise, { P, 4096, MADV_NORMAL } },
	{ "msync", SYS_msync, { P, 4096, MS_ASYNC } },
	{ "mlock2", SYS_mlock2, { P, 4096, 0 } },
	{ "mremap", SYS_mremap, { P, 4096, 4096, MREMAP_MAYMOVE, 0 } },
	{ "remap_file_pages", SYS_remap_file_pages, { P, 4096, 0, 0, 0 } },
	{ "mincore address", SYS_mincore, { P, 4096, G } },
	{ "process_vm_readv remote", SYS_process_vm_readv, { SELF, G, 1, P, 1, 0 } },
	{ "process_vm_writev", SYS_process_vm_writev, { SELF, P, 1, G, 1, 0 } },
	{ "mount source", SYS_mount, { P, PATH, PATH, 0, 0 } },
	{ "mount target", SYS_mount, { PATH, P, PATH, 0, 0 } },
	{ "mount type", SYS_mount, { PATH, PATH, P, 0, 0 } },
	{ "mount data", SYS_mount, { PATH, PATH, PATH, 0, P } },
	{ "umount2", SYS_umount2, { P, 0 } },
	{ "statfs", SYS_statfs, { P, G } },
	{ "statfs out", SYS_statfs, { PATH, P } },
	{ "fstatfs", SYS_fstatfs, { F, P } },
	{ "mkdirat", SYS_mkdirat, { AT_FDCWD, P, 0700 } },
	{ "mknod", SYS_mknod, { P, 0600, 0 } },
	{ "mknodat", SYS_mknodat, { AT_FDCWD, P, 0600, 0 } },
	{ "symlink new", SYS_symlink, { PATH, P } },
	{ "symlinkat", SYS_symlinkat, { P, AT_FDCWD, PATH } },
	{ "symlinkat new", SYS_symlinkat, { PATH, AT_FDCWD, P } },
	{ "link old", SYS_link, { P, PATH } },
	{ "linkat", SYS_linkat, { AT_FDCWD, P, AT_FDCWD, PATH, 0 } },
	{ "linkat new", SYS_linkat, { AT_FDCWD, PATH, AT_FDCWD, P, 0 } },
	{ "unlinkat", SYS_unlinkat, { AT_FDCWD, P, 0 } },
	{ "rename new", SYS_rename, { PATH, P } },
	{ "renameat", SYS_renameat, { AT_FDCWD, P, AT_FDCWD, PATH } },
	{ "renameat new", SYS_renameat, { AT_FDCWD, PATH, AT_FDCWD, P } },
	{ "renameat2", SYS_renameat2, { AT_FDCWD, P, AT_FDCWD, PATH, 0 } },
	{ "readlinkat", SYS_readlinkat, { AT_FDCWD, P, G, 10 } },
	{ "readlink out", SYS_readlink, { LINK, P, 10 } },
	{ "getdents", SYS_getdents, { DIR, P, 1000 } },
	{ "getdents64 of a directory", SYS_getdents64, { DIR, P, 1000 } },
	{ "chroot", SYS_chroot, { P } },
	{ "pipe", SYS_pipe, { P } },
	{ "copy_file_range", SYS_copy_file_range, { F, P, F, G, 10, 0 } },
	{ "copy_file_range to", SYS_copy_file_range, { F, G, F, P, 10, 0 } },
	{ "ppoll", SYS_ppoll, { P, 1, G, 0, 8 } },
	{ "ppoll time", SYS_ppoll, { 0, 0, P, 0, 8 } },
	{ "ppoll mask", SYS_ppoll, { 0, 0, G, P, 8 } },
	{ "pselect6", SYS_pselect6, { 3, P, 0, 0, G, 0 } },
	{ "pselect6 time", SYS_pselect6, { 0, 0, 0, 0, P, 0 } },
	{ "pselect6 mask", SYS_pselect6, { 0, 0, 0, 0, G, P } },
	{ "select time", SYS_select, { 0, 0, 0, 0, P } },
	{ "sched_setaffinity", SYS_sched_setaffinity, { 0, 8, P } },
	{ "sched_getaffinity", SYS_sched_getaffinity, { 0, 128, P } },
	{ "sched_setscheduler", SYS_sched_setscheduler, { 0, 0, P } },
	{ "sched_setparam", SYS_sched_setparam, { 0, P } },
	{ "sched_getparam", SYS_sched_getparam, { 0, P } },
	{ "sched_rr_get_interval", SYS_sched_rr_get_interval, { 0, P } },
	{ "sched_setattr", SYS_sched_setattr, { 0, P, 0 } },
	{ "sched_getattr", SYS_sched_getattr, { 0, P, 48, 0 } },
	{ "shmat", SYS_shmat, { SHM, P, 0 } },
	{ "shmdt", SYS_shmdt, { P } },
	{ "shmctl stat", SYS_shmctl, { SHM, IPC_STAT, P } },
	{ "shmctl set", SYS_shmctl, { SHM, IPC_SET, P } },
	{ "statx", SYS_statx, { AT_FDCWD, P, 0, 0xfff, G } },
	{ "statx out", SYS_statx, { AT_FDCWD, PATH, 0, 0xfff, P } },
	{ "newfstatat path", SYS_newfstatat, { AT_FDCWD, P, G, 0 } },
	{ "faccessat", SYS_faccessat, { AT_FDCWD, P, 0 } },
	{ "faccessat2", SYS_faccessat2, { AT_FDCWD, P, 0, 0 } },
	{ "fchmodat", SYS_fchmodat, { AT_FDCWD, P, 0700 } },
	{ "chown", SYS_chown, { P, -1, -1 } },
	{ "lchown", SYS_lchown, { P, -1, -1 } },
	{ "fchownat", SYS_fchownat, { AT_FDCWD, P, -1, -1, 0 } },
	{ "utimensat", SYS_utimensat, { AT_FDCWD, P, 0, 0 } },
	{ "utimensat times", SYS_utimensat, { AT_FDCWD, PATH, P, 0 } },
	{ "utimes", SYS_utimes, { P, 0 } },
	{ "utimes times", SYS_utimes, { PATH, P } },
	{ "futimesat", SYS_futimesat, { AT_FDCWD, PATH, P } },
	{ "utime", SYS_utime, { P, 0 } },
	{ "utime times", SYS_utime, { PATH, P } },
	{ "swapon", SYS_swapon, { P, 0 } },
	{ "swapoff", SYS_swapoff, { P } },
	{ "setxattr", SYS_setxattr, { P, NAME, G, 1, 0 } },
	{ "setxattr name", SYS_setxattr, { PATH, P, G, 1, 0 } },
	{ "setxattr value", SYS_setxattr, { PATH, NAME, P, 1, 0 } },
	{ "lsetxattr", SYS_lsetxattr, { PATH, NAME, P, 1, 0 } },
	{ "fsetxattr", SYS_fsetxattr, { F, P, G, 1, 0 } },
	{ "getxattr", SYS_getxattr, { P, NAME, G, 1 } },
	{ "getxattr name", SYS_getxattr, { PATH, P, G, 1 } },
	{ "lgetxattr", SYS_lgetxattr, { P, NAME, G, 1 } },
	{ "fgetxattr", SYS_fgetxattr, { F, P, G, 1 } },
	{ "listxattr", SYS_listxattr, { P, G, 10 } },
	{ "llistxattr", SYS_llistxattr, { P, G, 10 } },
	{ "removexattr", SYS_removexattr, { P, NAME } },
	{ "removexattr name", SYS_removexattr, { PATH, P } },
	{ "lremovexattr", SYS_lremovexattr, { P, NAME } },
	{ "fremovexattr", SYS_fremovexattr, { F, P } },
	{ "gettimeofday zone", SYS_gettimeofday, { 0, P } },
	{ "setitimer old", SYS_setitimer, { 0, G, P } },
	{ "nanosleep left", SYS_nanosleep, { G, P } },
	{ "rt_sigtimedwait time", SYS_rt_sigtimedwait, { G, 0, P, 8 } },
	{ "futex time", SYS_futex, { G, 0, 0, P, 0, 0 } },
	{ "futex requeue", SYS_futex, { G, 3, 1, 1, P, 0 } },
	{ "wait4 usage", SYS_wait4, { -1, 0, 0, P } },
	{ "sendfile from a pipe", SYS_sendfile, { PIPE_OUT, DIR, P, 10 } },
};

/* ---- buffers whose end is missing ---- */

static void said(const char *what, long result)
{
	printf("%s: %ld %d\n", what, result, result < 0 ? errno : 0);
}

static void cut_reads(char *end)
{
	sigset_t set;
	char text[4096];

	said("eventfd", read(eventfd(5, EFD_NONBLOCK), end - 4, 8));
	int fd = inotify_init1(IN_NONBLOCK);
	inotify_add_watch(fd, "/tmp", IN_OPEN);
	close(open("/tmp", O_RDONLY));
	said("inotify", read(fd, end - 8, 100));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	said("signalfd", read(fd, end - 130, 256));
	said("none is left", read(fd, text, 256));
	kill(getpid(), SIGUSR1);
	said("less than a record", read(fd, end - 10, 128));
	const char *files[] = { "/proc/self/pagemap", "/proc/kpagecount", "/proc/kpageflags",
				"/proc/self/environ", "/proc/self/auxv",  "/proc/sys/vm/swappiness",
				"/proc/self/smaps",   "/proc/meminfo" };
	for (unsigned i = 0; i < sizeof(files) / sizeof(*files); i++) {
		fd = open(files[i], O_RDONLY);
		said(files[i], pread(fd, end - 8, 64, 0));
		said("a byte", pread(fd, end - 1, 2, 0));
	}
}

static void cut_writes(char *end)
{
	const char *files[] = { "comm",       "oom_score_adj", "coredump_filter",
				"clear_refs", "timerslack_ns", "setgroups" };
	char path[64];

	memset(end - 20, '1', 20);
	for (unsigned i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		said(path, write(open(path, O_WRONLY), end - 3, 5));
	}
	said("a sysctl", write(open("/proc/sys/vm/swappiness", O_WRONLY), end - 3, 5));
	for (int n = 14; n < 17; n++)
		said("a name", prctl(PR_SET_NAME, end - n));
	prctl(PR_GET_NAME, path);
	puts(path);
}

static void cut_news(char *end)
{
	if (!fork())
		_exit(3);
	said("waitid", syscall(SYS_waitid, P_ALL, 0, end - 20, WEXITED, 0));
	said("has taken it", syscall(SYS_wait4, -1, 0, 0, 0));
	if (!fork())
		_exit(3);
	said("wait4", syscall(SYS_wait4, -1, 0, 0, end - 8));
	said("has taken it", syscall(SYS_wait4, -1, 0, 0, 0));
}

static void cut(void)
{
	char *page = mmap((void *)0x51000000, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	int file = memfd_create("end", 0);

	munmap(page + 4096, 4096);
	cut_reads(page + 4096);
	cut_writes(page + 4096);
	fflush(stdout);
	cut_news(page + 4096);
	memset(page, 0, 4096);
	mprotect(page, 4096, PROT_READ);
	said("at the end", syscall(SYS_copy_file_range, file, page, file, 0, 10, 0));
}

int main(void)
{
	static char path[] = "/tmp/.";
	char *good = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *none = mmap(0, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long bad[] = { (long)none,     (long)none + 4090,   16, -4096, 1L << 63,
		       0x7ffffffff000, 0xffff888000000000ul };
	int fds[2], ends[2], file = memfd_create("x", 0);
	(void)!ftruncate(file, 8192);
	(void)!pipe2(fds, O_NONBLOCK);
	(void)!write(fds[1], "0123456789", 10);
	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends);
	(void)!write(ends[1], "0123456789", 10);
	int shm = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	long values[] = {
		[P - F] = file,
		[P - G] = (long)good,
		[P - PIPE_IN] = fds[0],
		[P - PIPE_OUT] = fds[1],
		[P - PATH] = (long)path,
		[P - DIR] = open("/tmp", 0),
		[P - SOCK] = ends[0],
		[P - SHM] = shm,
		[P - SELF] = getpid(),
		[P - LINK] = (long)"/proc/self",
		[P - NAME] = (long)"user.name",
	};
	signal(SIGUSR1, SIG_IGN);
	for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		printf("%s:", calls[i].name);
		for (unsigned b = 0; b < sizeof(bad) / sizeof(*bad); b++) {
			long a[6];
			for (int k = 0; k < 6; k++) {
				long v = calls[i].args[k];
				a[k] = v == P ? bad[b] : SPECIAL(v) ? values[P - v] : v;
			}
			errno = 0;
			long r = syscall(calls[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
			printf(" %d", r == -1 ? errno : 0);
		}
		printf("\n");
	}
	shmctl(shm, IPC_RMID, 0);
	cut();
	return 0;
}
