// SO_PASSPIDFD: a descriptor of the sender's process comes with what it sent.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#define SCM_PIDFD_ 4

static pid_t child;

static int pid_of(int pidfd)
{
	char path[40], line[100];
	int pid = -77;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
	FILE *info = fopen(path, "r");
	while (info && fgets(line, sizeof line, info))
		sscanf(line, "Pid: %d", &pid);
	if (info)
		fclose(info);
	return pid;
}

static void receive(const char *what, int fd, size_t space, int flags)
{
	char data[100], control[200];
	struct iovec part = { data, sizeof data };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = space ? control : 0,
			    .msg_controllen = space };
	long n = recvmsg(fd, &m, flags | MSG_DONTWAIT);
	printf("%s: %ld flags %x room %d", what, n < 0 ? (long)-errno : n, n < 0 ? 0 : m.msg_flags,
	       n < 0 ? 0 : (int)m.msg_controllen);
	for (struct cmsghdr *c = n < 0 ? 0 : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		int value = 0;
		memcpy(&value, CMSG_DATA(c), sizeof value);
		printf(" {%d %d %d", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
		if (c->cmsg_type == SCM_PIDFD_ && value >= 0) {
			struct pollfd ask = { value, POLLIN, 0 };
			int pid = pid_of(value);
			poll(&ask, 1, 0);
			printf(" cloexec %d %s %x", fcntl(value, F_GETFD),
			       pid == getpid()    ? "own"
			       : pid == child     ? "child"
			       : pid == getppid() ? "parent"
			       : pid < 0          ? "gone"
						  : "other",
			       ask.revents);
			close(value);
		} else if (c->cmsg_type == SCM_PIDFD_) {
			printf(" %d", value);
		} else if (c->cmsg_type == SCM_RIGHTS) {
			close(value);
		}
		printf("}");
	}
	printf("\n");
}

static int set(int fd, int option, int on)
{
	return setsockopt(fd, SOL_SOCKET, option, &on, sizeof on) ? -errno : 0;
}

static void pairs(int type)
{
	int p[2], value = 9;
	socklen_t n = sizeof value;
	char byte = 'x';

	socketpair(AF_UNIX, type, 0, p);
	printf("type %d: set %d", type, set(p[1], SO_PASSPIDFD, 5));
	printf(", is %d", getsockopt(p[1], SOL_SOCKET, SO_PASSPIDFD, &value, &n));
	printf(" %d\n", value);
	send(p[0], "abc", 3, 0);
	receive("from oneself", p[1], 200, 0);
	send(p[0], "abc", 3, 0);
	receive("peeked", p[1], 200, MSG_PEEK);
	receive("then", p[1], 200, 0);
	send(p[0], "abc", 3, 0);
	receive("no room", p[1], 0, 0);
	send(p[0], "abc", 3, 0);
	receive("little room", p[1], CMSG_LEN(4) - 1, 0);
	send(p[0], "abc", 3, 0);
	receive("just enough", p[1], CMSG_LEN(4), 0);
	set(p[1], SO_PASSCRED, 1);
	send(p[0], "abc", 3, 0);
	receive("with credentials", p[1], 200, 0);
	send(p[0], "abc", 3, 0);
	receive("room for these", p[1], CMSG_SPACE(12), 0);
	set(p[1], SO_PASSCRED, 0);
	child = fork();
	if (!child) {
		char space[CMSG_SPACE(sizeof(int))];
		struct iovec part = { &byte, 1 };
		struct msghdr m = { .msg_iov = &part,
				    .msg_iovlen = 1,
				    .msg_control = space,
				    .msg_controllen = sizeof space };
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS,
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &p[0], sizeof(int));
		sendmsg(p[0], &m, 0);
		send(p[0], "end", 3, 0);
		pause();
	}
	usleep(30000);
	receive("a child's, with a file", p[1], 200, 0);
	kill(child, SIGKILL);
	waitpid(child, 0, 0);
	receive("of who is gone", p[1], 200, 0);
	struct rlimit old, none = { 3, 0 };
	getrlimit(RLIMIT_NOFILE, &old);
	none.rlim_max = old.rlim_max;
	send(p[0], "abc", 3, 0);
	setrlimit(RLIMIT_NOFILE, &none);
	receive("no descriptor", p[1], 200, 0);
	setrlimit(RLIMIT_NOFILE, &old);
	if (type == SOCK_STREAM) {
		send(p[0], "mine", 4, 0);
		child = fork();
		if (!child) {
			send(p[0], "its", 3, 0);
			_exit(0);
		}
		waitpid(child, 0, 0);
		receive("of two", p[1], 200, 0);
		receive("of the other", p[1], 200, 0);
	}
	set(p[1], SO_PASSPIDFD, 0);
	send(p[0], "abc", 3, 0);
	set(p[1], SO_PASSPIDFD, 1);
	receive("asked for later", p[1], 200, 0);
	close(p[0]), close(p[1]);
}

int main(void)
{
	int udp = socket(AF_INET, SOCK_DGRAM, 0), value = 3;
	socklen_t n = sizeof value;

	pairs(SOCK_STREAM);
	pairs(SOCK_DGRAM);
	pairs(SOCK_SEQPACKET);
	printf("udp %d", set(udp, SO_PASSPIDFD, 1));
	printf(" %d\n", getsockopt(udp, SOL_SOCKET, SO_PASSPIDFD, &value, &n) ? -errno : value);
	return 0;
}
