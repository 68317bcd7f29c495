/* Each pointer of each call, pointing nowhere: the errors, one line a call. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define P -1000 /* the pointer at test */
#define F -1001 /* a file of 8 KiB */
#define G -1002 /* a good buffer */
#define PIPE_IN -1003
#define PIPE_OUT -1004
#define PATH -1005
#define SOCKET -1006 /* with a message of ten bytes */

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
	{ "connect", SYS_connect, { SOCKET, P, 100 } },
	{ "sendto", SYS_sendto, { SOCKET, P, 10, 0, 0, 0 } },
	{ "sendto address", SYS_sendto, { SOCKET, G, 10, 0, P, 100 } },
	{ "sendmsg", SYS_sendmsg, { SOCKET, P, 0 } },
	{ "recvfrom", SYS_recvfrom, { SOCKET, P, 10, MSG_PEEK, 0, 0 } },
	{ "recvfrom length", SYS_recvfrom, { SOCKET, G, 10, MSG_PEEK, G, P } },
	{ "recvmsg", SYS_recvmsg, { SOCKET, P, MSG_PEEK } },
	{ "getsockname", SYS_getsockname, { SOCKET, P, G } },
	{ "getsockname length", SYS_getsockname, { SOCKET, G, P } },
	{ "getpeername", SYS_getpeername, { SOCKET, P, G } },
	{ "getsockopt", SYS_getsockopt, { SOCKET, SOL_SOCKET, SO_TYPE, P, G } },
	{ "getsockopt length", SYS_getsockopt, { SOCKET, SOL_SOCKET, SO_TYPE, G, P } },
	{ "setsockopt", SYS_setsockopt, { SOCKET, SOL_SOCKET, SO_KEEPALIVE, P, 4 } },
	{ "splice in", SYS_splice, { F, P, PIPE_OUT, 0, 10, 0 } },
	{ "splice out", SYS_splice, { PIPE_IN, 0, F, P, 10, 0 } },
	{ "vmsplice", SYS_vmsplice, { PIPE_OUT, P, 1, 0 } },
	{ "copy_file_range in", SYS_copy_file_range, { F, P, F, 0, 10, 0 } },
	{ "copy_file_range out", SYS_copy_file_range, { F, 0, F, P, 10, 0 } },
	{ "openat2", SYS_openat2, { AT_FDCWD, PATH, P, 24 } },
	{ "sendfile", SYS_sendfile, { PIPE_OUT, F, P, 10 } },
};

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
	signal(SIGUSR1, SIG_IGN);
	for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		printf("%s:", calls[i].name);
		for (unsigned b = 0; b < sizeof(bad) / sizeof(*bad); b++) {
			long a[6];
			for (int k = 0; k < 6; k++) {
				long v = calls[i].args[k];
				a[k] = v == P          ? bad[b]
				       : v == F        ? file
				       : v == G        ? (long)good
				       : v == PIPE_IN  ? fds[0]
				       : v == PIPE_OUT ? fds[1]
				       : v == PATH     ? (long)path
				       : v == SOCKET   ? ends[0]
						       : v;
			}
			errno = 0;
			long r = syscall(calls[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]);
			printf(" %d", r == -1 ? errno : 0);
		}
		printf("\n");
	}
	return 0;
}
