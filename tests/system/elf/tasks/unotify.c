// A listener of a filter: calls received, answered, made after all; descriptors given; errors, ends.
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long result(long value) { return value < 0 ? -errno : value; }

static long filter(int nr, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

static void send_fd(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(socket, &m, 0) != 1)
		_exit(99);
}

static int receive_fd(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(socket, &m, 0) == 1)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	return fd;
}

// A child whose getppid() is given away; it runs work and ends with what that returns.
static pid_t child_of(int (*work)(void), unsigned flags, int *listener)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return -1;
	pid_t child = fork();
	if (!child) {
		long fd = filter(SYS_getppid, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags);
		send_fd(ends[1], (int)fd);
		close((int)fd);
		close(ends[0]);
		close(ends[1]);
		_exit(work());
	}
	*listener = receive_fd(ends[0]);
	close(ends[0]);
	close(ends[1]);
	return child;
}

static int end_of(pid_t child)
{
	int status = -1;

	waitpid(child, &status, 0);
	return status;
}

static long answer(int fd, uint64_t id, int64_t value, int error, unsigned flags)
{
	struct seccomp_notif_resp r = { .id = id, .val = value, .error = error, .flags = flags };

	return result(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
}

static int ask_once(void) { return (int)syscall(SYS_getppid, 1, 2, 3); }
static int ask_error(void) { return syscall(SYS_getppid) == -1 ? errno : 0; }
static int ask_made(void)
{
	return syscall(SYS_getppid) == getpid() - 0 ? 1 : syscall(SYS_getpid) > 0 ? 2 : 3;
}

static int use_given(void)
{
	char byte = 0;
	int fd = (int)syscall(SYS_getppid);

	return read(fd, &byte, 1) == 1 ? byte : 100;
}

#define LONG 60000   // ms
static pid_t hearer; // of the notifications
static int end_once_heard(void) { return until_in(hearer, SYS_ioctl), 0; }
static int end_once_polled(void) { return until_in(hearer, SYS_poll), 0; }

static volatile sig_atomic_t caught;
static void on_signal(int signo) { caught = signo; }

static int interrupted(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
	long got = syscall(SYS_getppid);
	return (got == -1 && errno == EINTR ? 1 : 0) + (caught == SIGUSR1 ? 2 : 0);
}

static void flags(void)
{
	struct seccomp_notif_sizes sizes = { 0 };
	unsigned action = SECCOMP_RET_USER_NOTIF;

	printf("available %ld sizes %ld",
	       result(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)),
	       result(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes)));
	printf(" %d %d %d\n", sizes.seccomp_notif, sizes.seccomp_notif_resp, sizes.seccomp_data);
	fflush(stdout);
	if (!fork()) {
		printf("tsync too %ld killable alone %ld\n",
		       filter(SYS_getppid,
			      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC),
		       filter(SYS_getppid, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV));
		long fd = filter(SYS_getppid, SECCOMP_FILTER_FLAG_NEW_LISTENER);
		char name[64] = { 0 }, path[64];
		snprintf(path, sizeof(path), "/proc/self/fd/%ld", fd);
		printf("listener %d cloexec %d", fd >= 0, fcntl((int)fd, F_GETFD));
		printf(" %ld %s\n", (long)readlink(path, name, 63), name);
		printf("a second %ld\n", filter(SYS_getpid, SECCOMP_FILTER_FLAG_NEW_LISTENER));
		char byte;
		printf("read %ld ioctl %ld\n", result(read((int)fd, &byte, 1)),
		       result(ioctl((int)fd, 0x5401, &byte)));
		close((int)fd);
		printf("nobody listens %ld\n", result(syscall(SYS_getppid)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	if (!fork()) {
		filter(SYS_getppid, 0);
		printf("no listener %ld\n", result(syscall(SYS_getppid)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void answers(void)
{
	int fd;
	struct seccomp_notif n = { 0 };
	pid_t child = child_of(ask_once, 0, &fd);
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	printf("poll %d", poll(&p, 1, LONG));
	printf(" %x\n", p.revents);
	n.flags = 1;
	printf("not zero %ld\n", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n)));
	memset(&n, 0, sizeof(n));
	printf("recv %ld", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n)));
	printf(" pid %d nr %d arch %x args %llu %llu %llu flags %d\n", (pid_t)n.pid == child,
	       n.data.nr, n.data.arch, n.data.args[0], n.data.args[1], n.data.args[2], n.flags);
	poll(&p, 1, 0);
	printf("poll %x\n", p.revents);
	uint64_t wrong = n.id + 1;
	printf("valid %ld %ld\n", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id)),
	       result(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &wrong)));
	printf("answers: %ld %ld %ld", answer(fd, wrong, 0, 0, 0), answer(fd, n.id, 1, 0, 1),
	       answer(fd, n.id, 0, 0, 2));
	printf(" %ld", answer(fd, n.id, 42, 0, 0));
	until_state(child, 'Z'); // its task has gone on
	printf(" twice %ld\n", answer(fd, n.id, 43, 0, 0));
	printf("ended %x\n", end_of(child));
	printf("poll %d", poll(&p, 1, LONG));
	printf(" %x\n", p.revents);
	memset(&n, 0, sizeof(n));
	printf("recv of none %ld\n", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n)));
	close(fd);

	child = child_of(ask_error, 0, &fd);
	memset(&n, 0, sizeof(n));
	ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
	answer(fd, n.id, 0, -EXDEV, 0);
	printf("an error %d\n", WEXITSTATUS(end_of(child)) == EXDEV);
	close(fd);

	child = child_of(ask_made, 0, &fd);
	memset(&n, 0, sizeof(n));
	ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
	answer(fd, n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	printf("made after all %x\n", end_of(child));
	close(fd);
}

static void descriptors(void)
{
	int fd, p[2];
	struct seccomp_notif n = { 0 };
	pid_t child = child_of(use_given, 0, &fd);

	if (pipe(p) || write(p[1], "\7\10", 2) != 2)
		return;
	struct seccomp_notif_addfd add = { .srcfd = (uint32_t)p[0], .newfd = 50 };
	ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
	add.id = n.id + 1;
	printf("addfd: %ld", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add)));
	add.newfd = 0;
	printf(" %ld", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add)));
	add.id = n.id;
	add.srcfd = 999;
	printf(" %ld", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add)));
	add.srcfd = (uint32_t)p[0];
	add.newfd_flags = O_APPEND;
	printf(" %ld", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add)));
	add.newfd_flags = 0;
	add.newfd = 77;
	add.flags = SECCOMP_ADDFD_FLAG_SETFD;
	printf(" %ld\n", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add)));
	answer(fd, n.id, 77, 0, 0);
	printf("used %x\n", end_of(child));
	close(fd);
	child = child_of(use_given, 0, &fd);
	memset(&n, 0, sizeof(n));
	ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
	add = (struct seccomp_notif_addfd){ .id = n.id,
					    .srcfd = (uint32_t)p[0],
					    .flags = SECCOMP_ADDFD_FLAG_SEND };
	printf("given and sent %d\n", ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add) > 0);
	printf("used %x\n", end_of(child));
	close(fd);
}

static void ends(void)
{
	int fd;
	struct seccomp_notif n = { 0 };
	pid_t child = child_of(interrupted, 0, &fd);

	ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
	kill(child, SIGUSR1);
	printf("interrupted %x\n", end_of(child));
	printf("its answer %ld\n", answer(fd, n.id, 1, 0, 0));
	close(fd);
	child = child_of(interrupted, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &fd);
	memset(&n, 0, sizeof(n));
	ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
	kill(child, SIGUSR1);
	until_state(child, 'D'); // it has woken, and waits for what no signal ends but one
	printf("still there %ld", answer(fd, n.id, 1, 0, 0));
	printf(" then %x\n", end_of(child));
	close(fd);
	child = child_of(interrupted, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &fd);
	memset(&n, 0, sizeof(n));
	ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
	kill(child, SIGKILL);
	printf("killed %x\n", end_of(child));
	printf("its id %ld\n", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id)));
	close(fd);
	child = child_of(end_once_heard, 0, &fd);
	memset(&n, 0, sizeof(n));
	printf("the last one ends %ld\n", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n)));
	end_of(child);
	close(fd);
	child = child_of(end_once_polled, 0, &fd);
	struct pollfd p = { fd, POLLIN, 0 };
	printf("while one polls %d", poll(&p, 1, LONG));
	printf(" %x\n", p.revents);
	end_of(child);
	close(fd);
	child = child_of(ask_error, 0, &fd);
	memset(&n, 0, sizeof(n));
	ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
	close(fd);
	printf("the listener goes %d\n", WEXITSTATUS(end_of(child)) == ENOSYS);
}

/* A stop and SIGCONT make the call another one; so does what is ignored by then. */
static void renewed(void)
{
	int fd, status;
	struct seccomp_notif n = { 0 }, again = { 0 };
	pid_t child = child_of(ask_once, 0, &fd);

	ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	printf("stopped %x\n", status);
	printf("its id %ld\n", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id)));
	kill(child, SIGCONT);
	printf("again %ld", result(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &again)));
	printf(" next %d\n", again.id == n.id + 1);
	printf("old %ld", answer(fd, n.id, 1, 0, 0));
	printf(" new %ld", answer(fd, again.id, 7, 0, 0));
	printf(" end %x\n", end_of(child));
	close(fd);
	child = child_of(ask_once, 0, &fd);
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	kill(child, SIGCONT);
	usleep(10000);
	memset(&n, 0, sizeof(n));
	ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
	kill(child, SIGCONT);
	kill(child, SIGCHLD);
	usleep(10000);
	printf("not by others %ld", answer(fd, n.id, 9, 0, 0));
	printf(" end %x\n", end_of(child));
	close(fd);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	hearer = getpid();
	flags();
	answers();
	descriptors();
	ends();
	renewed();
	return 0;
}
