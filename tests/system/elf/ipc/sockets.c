/* Pairs of sockets between processes, sockets that look for a name, and counters. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MUCH = 1 << 20 };

static volatile int broken;

static void note(int signo) { broken += signo == SIGPIPE; }

static void show(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

/* Questions and answers; each side waits for the other. */
static void talk(void)
{
	char text[64];
	int ends[2];

	show("socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	if (!fork()) {
		close(ends[0]);
		for (int i = 0; i < 3; i++) {
			long n = read(ends[1], text, sizeof(text));
			for (long k = 0; k < n; k++)
				text[k] ^= ' ';
			(void)!write(ends[1], text, n);
		}
		exit(7);
	}
	close(ends[1]);
	for (int i = 0; i < 3; i++) {
		int n = snprintf(text, sizeof(text), "question %c", 'a' + i);
		show("send", send(ends[0], text, n, 0));
		struct pollfd one = { ends[0], POLLIN, 0 };
		show("poll", poll(&one, 1, -1));
		n = recv(ends[0], text, sizeof(text), 0);
		printf("%.*s %#x\n", n, text, one.revents & POLLIN);
	}
	show("end", read(ends[0], text, sizeof(text)));
	show("after the end", write(ends[0], "x", 1));
	show("without a signal", send(ends[0], "x", 1, MSG_NOSIGNAL));
	int status;
	wait(&status);
	printf("child %d, SIGPIPE %d\n", WEXITSTATUS(status), broken);
	close(ends[0]);
}

/* More than the queue holds: the writer sleeps until the reader has made room. */
static void much(void)
{
	static unsigned char data[MUCH], got[MUCH + 1];
	int ends[2], left, status;
	size_t have = 0;

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	for (int i = 0; i < MUCH; i++)
		data[i] = i * 7 + (i >> 8);
	if (!fork()) {
		close(ends[0]);
		show("all of it", write(ends[1], data, MUCH));
		shutdown(ends[1], SHUT_WR);
		exit(read(ends[1], got, 1) == 1 ? got[0] : 1);
	}
	close(ends[1]);
	for (long n; (n = read(ends[0], got + have, sizeof(got) - have)) > 0;)
		have += n;
	printf("%zu bytes, %s\n", have, memcmp(data, got, MUCH) ? "wrong" : "right");
	struct pollfd one = { ends[0], POLLIN | POLLRDHUP, 0 };
	printf("%d %#x\n", poll(&one, 1, 0), one.revents);
	(void)!write(ends[0], "*", 1);
	wait(&status);
	printf("child %d\n", WEXITSTATUS(status));
	show("unread", ioctl(ends[0], FIONREAD, &left));
	close(ends[0]);
}

static void messages(void)
{
	struct iovec parts[] = { { "one ", 4 }, { "message", 7 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	char text[32], more[32];
	int ends[2];

	socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends);
	show("sendmsg", sendmsg(ends[0], &message, 0));
	show("send", send(ends[0], "another", 7, 0));
	show("peek", recv(ends[1], text, 3, MSG_PEEK | MSG_TRUNC));
	struct iovec room[] = { { text, 4 }, { more, 3 } };
	struct msghdr found = { .msg_iov = room, .msg_iovlen = 2 };
	show("recvmsg", recvmsg(ends[1], &found, 0));
	printf("%.4s|%.3s %#x\n", text, more, found.msg_flags);
	show("recv", recv(ends[1], text, 32, 0));
	show("recv", recv(ends[1], text, 32, 0));
	show("send", send(ends[1], "lost", 4, 0));
	close(ends[0]);
	show("recv", recv(ends[1], text, 32, 0));
	show("send", send(ends[1], "x", 1, 0));
	struct stat st;
	fstat(ends[1], &st);
	printf("socket %d, SIGPIPE %d\n", S_ISSOCK(st.st_mode), broken);
	close(ends[1]);
}

static void look_for(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int kinds[] = { SOCK_STREAM, SOCK_DGRAM };

	strcpy(to.sun_path, path);
	for (int i = 0; i < 2; i++) {
		int fd = socket(AF_UNIX, kinds[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		printf("%s: %d ", path, fd >= 0);
		show("connect", connect(fd, (void *)&to, sizeof(to)));
		close(fd);
	}
}

/* A parent counts what its children add. */
static void counters(void)
{
	eventfd_t value = 0;
	int fd = eventfd(0, 0), one = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);

	for (int i = 0; i < 3; i++)
		if (!fork()) {
			for (int k = 0; k < 5; k++)
				eventfd_write(fd, i + 1);
			exit(0);
		}
	while (wait(NULL) > 0)
		;
	struct pollfd ready = { fd, POLLIN | POLLOUT, 0 };
	printf("%d %#x\n", poll(&ready, 1, 0), ready.revents);
	show("all", eventfd_read(fd, &value));
	printf("%lu\n", value);
	if (!fork()) {
		until_in(getppid(), SYS_read);
		eventfd_write(fd, 9);
		exit(0);
	}
	show("waited", eventfd_read(fd, &value));
	printf("%lu\n", value);
	for (int i = 0; i < 3; i++)
		show("one at a time", eventfd_read(one, &value));
	wait(NULL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, note);
	talk();
	much();
	messages();
	look_for("/proc/self/nope/at/all");
	look_for("/tmp");
	look_for("/proc/self/nope");
	counters();
	show("there is no such family", socket(AF_MAX, SOCK_STREAM, 0));
	return 0;
}
