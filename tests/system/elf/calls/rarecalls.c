/* Calls that few programs make, for their strace lines; their results do not differ. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

enum { CMD_GLOBAL = 1, KCMP_FILE = 0, NO_SYMLINKS = 4, BENEATH = 8, IN_ROOT = 16 };
struct open_how {
	uint64_t flags, mode, resolve;
};

static void messages(void)
{
	int s[2], size = 4096, one = 1;
	char a[8] = "abc", b[8] = "defg";
	struct iovec v[2] = { { a, 3 }, { b, 4 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
	struct sockaddr_un name;
	socklen_t len = sizeof(name);
	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, s);
	sendmsg(s[0], &m, MSG_NOSIGNAL);
	memset(a, 'x', 8);
	memset(b, 'x', 8);
	m.msg_flags = 5;
	recvmsg(s[1], &m, 0);
	recvmsg(s[1], &m, MSG_DONTWAIT);
	m.msg_iovlen = 1;
	sendmsg(s[0], &m, 0);
	v[0].iov_len = 2;
	recvmsg(s[1], &m, 0);
	sendmsg(99, 0, 0);
	getsockname(s[0], (struct sockaddr *)&name, &len);
	len = 1;
	getpeername(s[0], (struct sockaddr *)&name, &len);
	getsockname(99, (struct sockaddr *)&name, &len);
	accept(s[0], 0, 0);
	accept4(s[0], (struct sockaddr *)&name, &len, SOCK_CLOEXEC);
	setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &one, 4);
	len = 4;
	getsockopt(s[0], SOL_SOCKET, SO_TYPE, &size, &len);
	getsockopt(s[0], SOL_SOCKET, SO_ERROR, &size, &len);
	getsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &size, &len);
	getsockopt(s[0], SOL_SOCKET, 999, &size, &len);
	getsockopt(99, SOL_SOCKET, SO_TYPE, &size, &len);
	setsockopt(s[0], 77, 5, &one, 4);
	close(s[0]);
	close(s[1]);
}

static void moved_pipes(void)
{
	int a[2], b[2];
	struct iovec v = { "spliced", 7 };
	loff_t pos = 1;
	int waiting;
	int f = open("/dev/shm/" UNIQUE, O_RDWR | O_CREAT | O_EXCL, 0600);
	pipe(a);
	pipe2(b, O_NONBLOCK);
	vmsplice(a[1], &v, 1, SPLICE_F_GIFT);
	tee(a[0], b[1], 100, SPLICE_F_NONBLOCK);
	splice(a[0], 0, f, &pos, 5, SPLICE_F_MOVE | SPLICE_F_MORE);
	splice(b[0], 0, f, 0, 3, 0);
	splice(f, &pos, a[1], 0, 2, 0);
	splice(f, 0, f, 0, 1, 0);
	tee(f, f, 1, 0);
	ioctl(a[0], FIONREAD, &waiting);
	unlink("/dev/shm/" UNIQUE);
}

static void sets(void)
{
	struct epoll_event event = { EPOLLIN | EPOLLET, { .u64 = 7 } }, found[3];
	struct timespec second = { 0, 1000 };
	struct itimerspec timer = { { 0, 0 }, { 5, 0 } }, old;
	sigset_t none;
	int p[2], e = epoll_create1(EPOLL_CLOEXEC);
	sigemptyset(&none);
	pipe(p);
	write(p[1], "x", 1);
	syscall(SYS_epoll_create, 5);
	epoll_ctl(e, EPOLL_CTL_ADD, p[0], &event);
	event.events = EPOLLOUT | EPOLLRDHUP | EPOLLONESHOT;
	epoll_ctl(e, EPOLL_CTL_MOD, p[0], &event);
	event.events = EPOLLIN;
	epoll_ctl(e, EPOLL_CTL_MOD, p[0], &event);
	syscall(SYS_epoll_wait, e, found, 3, 10);
	syscall(SYS_epoll_pwait, e, found, 3, -1, &none, 8L);
	syscall(SYS_epoll_pwait2, e, found, 3, &second, 0, 8L);
	epoll_ctl(e, EPOLL_CTL_DEL, p[0], 0);
	syscall(SYS_epoll_wait, e, found, 3, 0);
	epoll_ctl(e, EPOLL_CTL_DEL, 99, 0);
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	timerfd_settime(t, 0, &timer, &old);
	timerfd_settime(t, TFD_TIMER_ABSTIME, &timer, 0);
	timerfd_gettime(99, &old);
}

static void scheduling(void)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
		uint32_t low, high;
	} a = { 48, SCHED_BATCH, 1, 0 };
	syscall(SYS_sched_setattr, 0, &a, 0);
	syscall(SYS_sched_setattr, 0, 0, 0);
	syscall(SYS_sched_getattr, 0, &a, 48, 0);
	syscall(SYS_sched_getattr, 0, &a, 5, 0);
	syscall(SYS_ioprio_get, 1, 0);
	syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 4);
	syscall(SYS_ioprio_get, 1, 0);
	syscall(SYS_membarrier, CMD_GLOBAL, 0, 0);
	syscall(SYS_membarrier, 12345, 0, 0);
	syscall(SYS_kcmp, -1, -1, KCMP_FILE, 1, 1);
	personality(0xffffffff);
	personality(ADDR_NO_RANDOMIZE);
	personality(PER_LINUX32);
	personality(PER_LINUX);
}

static void paths(void)
{
	char x[256];
	struct utimbuf times = { 5, 6 };
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC, .resolve = NO_SYMLINKS };
	int f = open("/dev/shm/" UNIQUE, O_RDWR | O_CREAT | O_EXCL, 0600);
	syscall(SYS_utime, "/dev/shm/" UNIQUE, &times);
	syscall(SYS_statx, AT_FDCWD, "/proc/self/nope", 0, 0xfff, x);
	syscall(SYS_statx, f, "", AT_EMPTY_PATH | 0x4000, 0x201, 0);
	syscall(SYS_openat2, AT_FDCWD, "/dev/null", &how, sizeof(how));
	how.flags |= O_CREAT;
	how.mode = 0600;
	how.resolve = BENEATH | IN_ROOT;
	syscall(SYS_openat2, AT_FDCWD, "/dev/shm/" UNIQUE "-x", &how, sizeof(how));
	syscall(SYS_openat2, AT_FDCWD, "x", 0, sizeof(how));
	unlink("/dev/shm/" UNIQUE);
}

static void queued(void)
{
	siginfo_t info = { .si_code = SI_QUEUE };
	info.si_pid = 5;
	info.si_uid = 6;
	info.si_value.sival_int = 7;
	info.si_signo = SIGUSR1;
	syscall(SYS_rt_sigqueueinfo, -1, SIGUSR1, &info);
	syscall(SYS_rt_tgsigqueueinfo, -1, -1, SIGUSR1, &info);
}

static void attributes(void)
{
	int value;
	long long_value;
	syscall(SYS_prctl, PR_GET_KEEPCAPS, 0, 0, 0, 0);
	syscall(SYS_prctl, PR_SET_KEEPCAPS, 0, 0, 0, 0);
	syscall(SYS_prctl, PR_GET_TSC, &value, 0, 0, 0);
	syscall(SYS_prctl, PR_GET_TIMING, 0, 0, 0, 0);
	syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0);
	syscall(SYS_prctl, PR_CAPBSET_READ, 0, 0, 0, 0);
	syscall(SYS_prctl, PR_CAPBSET_READ, 99, 0, 0, 0);
	syscall(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
	syscall(SYS_prctl, PR_SET_TIMERSLACK, 50000, 0, 0, 0);
	syscall(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0);
	syscall(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	syscall(SYS_prctl, PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0);
	syscall(SYS_prctl, PR_SET_THP_DISABLE, 1, 0, 0, 0);
	syscall(SYS_prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0);
	syscall(SYS_prctl, PR_CAP_AMBIENT, 1, 5, 0, 0);
	syscall(SYS_prctl, PR_CAP_AMBIENT, 4, 0, 0, 0);
	syscall(SYS_prctl, 9999, 1, 2, 3, 4);
}

int main(void)
{
	attributes();
	messages();
	moved_pipes();
	sets();
	scheduling();
	paths();
	queued();
	return 0;
}
