/* More calls whose strace line tells something, made as root; their results do not differ. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char here[] = "/dev/shm/" UNIQUE;

static void files(void)
{
	struct timespec times[2] = { { 5, 6 }, { 0, UTIME_OMIT } };
	struct iovec v = { "ab", 2 };
	struct timeval tv[2] = { { 1, 2 }, { 3, 0 } };
	char b[64];
	mkdir(here, 0700);
	chdir(here);
	int f = open("a", O_RDWR | O_CREAT, 0640);
	int at = open(here, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	syscall(SYS_newfstatat, at, "nope", b, AT_SYMLINK_NOFOLLOW);
	syscall(SYS_linkat, at, "a", at, "b", 0);
	syscall(SYS_symlinkat, "b", at, "c");
	syscall(SYS_renameat, at, "b", at, "d");
	syscall(SYS_renameat2, at, "a", at, "d", 1);
	syscall(SYS_readlinkat, at, "c", b, 64);
	syscall(SYS_faccessat, at, "a", R_OK);
	syscall(SYS_fchmodat, at, "a", 0600);
	syscall(SYS_fchownat, at, "c", 0, -1, AT_SYMLINK_NOFOLLOW);
	syscall(SYS_lchown, "c", 0, 0);
	syscall(SYS_fchown, f, 0, 0);
	syscall(SYS_utimensat, at, "a", times, 0);
	syscall(SYS_utimensat, at, "a", 0, AT_SYMLINK_NOFOLLOW);
	syscall(SYS_mknodat, at, "fifo", S_IFIFO | 0600, 0);
	syscall(SYS_mknod, "file", S_IFREG | 0600, 0);
	syscall(SYS_fallocate, f, 1, 0L, 8192L);
	syscall(SYS_fadvise64, f, 0L, 0L, 2);
	syscall(SYS_fdatasync, f);
	syscall(SYS_pwritev, f, &v, 1, 5L, 0L);
	syscall(SYS_preadv, f, &v, 0, 5L, 0L);
	syscall(SYS_sendfile, 77, f, 0, 100L);
	syscall(SYS_flock, f, 2 | 4);
	syscall(SYS_fcntl, f, F_DUPFD_CLOEXEC, 50L);
	syscall(SYS_close_range, 50, 60, 0);
	syscall(SYS_getxattr, "a", "user.none", b, 10L);
	syscall(SYS_removexattr, "a", "user.none");
	syscall(SYS_mknod, "null", S_IFCHR | 0666, 0x103L);
	syscall(SYS_unlink, "null");
	syscall(SYS_utimes, "a", tv);
	syscall(SYS_copy_file_range, f, 0L, f, 0L, 0L, 0L);
	syscall(SYS_unlinkat, at, "c", 0);
	syscall(SYS_setxattr, "a", "user.x", "value", 5L, 1);
	syscall(SYS_fsync, f);
	syscall(SYS_sync);
	syscall(SYS_statfs, "/proc/self/nope", b);
	syscall(SYS_mount, "none", "/proc/self/nope", "tmpfs", 2 | 4, "size=1m");
	syscall(SYS_umount2, "/proc/self/nope", MNT_DETACH);
	syscall(SYS_chroot, "/proc/self/nope");
	close(f);
	close(at);
	unlink("a");
	unlink("d");
	unlink("fifo");
	unlink("file");
	chdir("/");
	rmdir(here);
}

static void ids(void)
{
	int a, b, c, caps[2] = { 0x20080522, 0 };
	gid_t list[2] = { 1, 2 };
	syscall(SYS_getresuid, &a, &b, &c);
	syscall(SYS_getresgid, &a, &b, &c);
	syscall(SYS_setresuid, -1, -1, -1);
	syscall(SYS_setreuid, -1, 0);
	syscall(SYS_setregid, 0, -1);
	syscall(SYS_setfsuid, 0);
	syscall(SYS_setgroups, 2L, list);
	syscall(SYS_getgroups, 2, list);
	syscall(SYS_capget, caps, 0);
	syscall(SYS_prctl, PR_SET_NAME, "a name");
	char name[16];
	syscall(SYS_prctl, PR_GET_NAME, name);
	syscall(SYS_prctl, PR_SET_DUMPABLE, 1);
	syscall(SYS_prctl, PR_GET_DUMPABLE);
	syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGTERM);
	syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0);
	syscall(SYS_personality, 0xffffffff);
	syscall(SYS_getpriority, PRIO_PROCESS, 0);
	syscall(SYS_sched_getscheduler, 0);
	syscall(SYS_sched_get_priority_max, 1);
	syscall(SYS_sched_getaffinity, 0, 0L, &a);
	int pair[2];
	syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	syscall(SYS_sendto, pair[0], "abc", 3L, MSG_NOSIGNAL, 0, 0);
	syscall(SYS_recvfrom, pair[1], name, 16L, MSG_DONTWAIT, 0, 0);
	syscall(SYS_shutdown, pair[0], SHUT_WR);
	syscall(SYS_sethostname, 0, 100);
}

static void waiting(void)
{
	struct pollfd p[2] = { { 77, POLLIN, 0 }, { -1, POLLOUT | POLLHUP, 0 } };
	struct timespec t = { 0, 1000 }, zero = { 0, 0 };
	struct timeval now = { 0, 10 };
	unsigned long args[8] = { 0x800, [4] = SIGCHLD }; /* struct clone_args */
	siginfo_t info;
	stack_t stack = { .ss_sp = 0, .ss_flags = SS_DISABLE, .ss_size = 0 }, old;
	sigset_t set;
	fd_set in;
	int fd[2];
	pipe(fd);
	syscall(SYS_poll, p, 2, 0);
	syscall(SYS_ppoll, p, 1, &t, 0, 8);
	p[0].fd = fd[0];
	syscall(SYS_poll, p, 1, 1);
	FD_ZERO(&in);
	FD_SET(fd[0], &in);
	syscall(SYS_select, fd[0] + 1, &in, 0, 0, &now);
	write(fd[1], "x", 1);
	FD_SET(fd[0], &in);
	syscall(SYS_select, fd[0] + 1, &in, 0, 0, 0);
	syscall(SYS_pselect6, fd[0] + 1, &in, 0, 0, &zero, 0);
	syscall(SYS_nanosleep, &zero, 0);
	syscall(SYS_clock_getres, CLOCK_MONOTONIC, &t);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	syscall(SYS_rt_sigtimedwait, &set, &info, &zero, 8);
	sigprocmask(SIG_BLOCK, &set, 0);
	close(fd[0]);
	write(fd[1], "x", 1);
	syscall(SYS_rt_sigpending, &set, 8);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	syscall(SYS_rt_sigtimedwait, &set, 0, 0, 8);
	syscall(SYS_sigaltstack, &stack, &old);
	syscall(SYS_setitimer, ITIMER_VIRTUAL, &(struct itimerval){ 0 }, 0);
	syscall(SYS_clone3, args, 64L);
	syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG, 0);
	syscall(SYS_wait4, -1, 0, WNOHANG, 0);
}

static void memory(void)
{
	static unsigned word;
	unsigned char vector[2];
	char *p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	syscall(SYS_mlock2, p, 4096L, 1);
	syscall(SYS_mlockall, 2);
	syscall(SYS_munlockall);
	p[4096] = 1;
	syscall(SYS_mincore, p, 8192L, vector);
	syscall(SYS_remap_file_pages, p, 4096L, 0L, 1L, 0L);
	syscall(SYS_mremap, p, 8192L, 4096L, MREMAP_MAYMOVE);
	syscall(SYS_shmget, 0x12345678, 4096L, 0600);
	syscall(SYS_shmget, IPC_PRIVATE, 0L, IPC_CREAT | IPC_EXCL | 0640);
	syscall(SYS_shmat, -1, 0L, SHM_RDONLY | SHM_RND);
	syscall(SYS_shmdt, 4096L);
	syscall(SYS_shmctl, -1, IPC_RMID, 0L);
	syscall(SYS_futex, &word, 1, 1, 0, 0, 0);
	syscall(SYS_futex, &word, 0 | 128, 5, 0, 0, 0);
	syscall(SYS_madvise, p, 4096L, MADV_WILLNEED);
	syscall(SYS_getrandom, p, 0L, 0);
	syscall(SYS_memfd_create, "name", 3);
}

int main(void)
{
	files();
	ids();
	waiting();
	memory();
	return 0;
}
