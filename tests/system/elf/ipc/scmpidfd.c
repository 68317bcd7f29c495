// SO_PASSPIDFD: a descriptor of the sender's process comes with what it sent.
#define _GNU_SOURCE
#include "asleep.h"
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
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
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
	until_in(child, SYS_pause);
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

/* A descriptor of the process at the other end, also of one that is gone. */
static void peer(const char *what, int fd, socklen_t room)
{
	int value = -5, ok;
	socklen_t n = room;
	ok = getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &value, &n) ? -errno : 0;
	printf("%s: %d room %d", what, ok, (int)n);
	if (!ok && n == sizeof value) {
		struct pollfd ask = { value, POLLIN, 0 };
		int pid = pid_of(value);
		poll(&ask, 1, 0);
		printf(" %d cloexec %d %x",
		       pid == getpid()    ? 1
		       : pid == getppid() ? 3
		       : pid == child     ? 2
					  : pid,
		       fcntl(value, F_GETFD), ask.revents);
		close(value);
	}
	printf("\n");
}

static void peers(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0scmpidfd-" UNIQUE };
	int p[2], listener = socket(AF_UNIX, SOCK_STREAM, 0), end,
		  tcp = socket(AF_INET, SOCK_STREAM, 0);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
	peer("pair", p[0], 4);
	peer("much room", p[0], 40);
	peer("little room", p[0], 2);
	printf("nowhere %d",
	       getsockopt(p[0], SOL_SOCKET, SO_PEERPIDFD, (void *)8, &(socklen_t){ 4 }));
	printf(" %d next %d\n", errno, dup(0) - tcp);
	peer("alone", listener, 4);
	peer("tcp", tcp, 4);
	printf("set %d\n", set(tcp, SO_PEERPIDFD, 1));
	bind(listener, (void *)&name, sizeof name);
	listen(listener, 2);
	peer("who listens", listener, 4);
	child = fork();
	if (!child) {
		end = socket(AF_UNIX, SOCK_STREAM, 0);
		connect(end, (void *)&name, sizeof name);
		peer("who was found", end, 4);
		pause();
	}
	end = accept(listener, NULL, NULL);
	until_in(child, SYS_pause);
	peer("who came", end, 4);
	kill(child, SIGKILL);
	waitid(P_PID, child, NULL, WEXITED | WNOWAIT);
	peer("ended", end, 4);
	waitpid(child, 0, 0);
	peer("gone", end, 4);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	peers();
	int udp = socket(AF_INET, SOCK_DGRAM, 0), value = 3;
	socklen_t n = sizeof value;

	pairs(SOCK_STREAM);
	pairs(SOCK_DGRAM);
	pairs(SOCK_SEQPACKET);
	printf("udp %d", set(udp, SO_PASSPIDFD, 1));
	printf(" %d\n", getsockopt(udp, SOL_SOCKET, SO_PASSPIDFD, &value, &n) ? -errno : value);
	return 0;
}
