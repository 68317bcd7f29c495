// Random steps over connected sockets from a seed: what is sent, peeked at (SO_PEEK_OFF) and received.
// Arguments: the first seed, how many seeds, steps of each.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <linux/sockios.h>
#include <unistd.h>
#include "../draws.h"

#define KINDS 5
#define ROOM (64 << 10)

static int ends[KINDS][2];
static unsigned char *text, *room; /* each with a page behind it that is not there */

static const int sizes[] = { 0, 1, 2, 3, 5, 10, 10, 20, 30, 50, 100, 300, 1000, 4000 };
static int size(void) { return sizes[chance(N(sizes))]; }

static void by_loopback(int *pair, int type)
{
	struct sockaddr_in at[2];
	socklen_t n = sizeof *at;
	int listener = -1, fds[2] = { socket(AF_INET, type, 0), socket(AF_INET, type, 0) };

	memset(at, 0, sizeof at);
	for (int i = 0; i < 2; i++) {
		at[i].sin_family = AF_INET;
		at[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (type == SOCK_DGRAM || i == 0)
			bind(fds[i], (void *)&at[i], sizeof *at),
				getsockname(fds[i], (void *)&at[i], &n);
	}
	if (type == SOCK_STREAM) {
		listen(fds[0], 1);
		connect(fds[1], (void *)&at[0], sizeof *at);
		listener = fds[0];
		fds[0] = accept(listener, 0, 0);
		close(listener);
	} else {
		connect(fds[0], (void *)&at[1], sizeof *at);
		connect(fds[1], (void *)&at[0], sizeof *at);
	}
	pair[0] = fds[0], pair[1] = fds[1];
}

static void renew(int kind)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	if (kind < 3)
		socketpair(AF_UNIX, types[kind], 0, ends[kind]);
	else
		by_loopback(ends[kind], types[4 - kind]); /* 3: UDP, 4: TCP */
	for (int i = 0; i < 2; i++) {
		fcntl(ends[kind][i], F_SETFL, O_NONBLOCK);
		int small = 20000, on = 1;
		if (kind == 4) {
			setsockopt(ends[kind][i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
			continue;
		}
		setsockopt(ends[kind][i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	}
}

static long result(long r) { return r < 0 ? -errno : r; }
static int kind;
static int any(void) { return ends[kind = chance(KINDS)][chance(2)]; }

static long do_send(void)
{
	int n = size();
	return send(any(), text + chance(1000), n, MSG_NOSIGNAL);
}
static long do_sendv(void)
{
	struct iovec parts[] = { { text, size() }, { text + chance(50), chance(30) } };
	return writev(any(), parts, 2);
}
static long do_send_fd(void)
{
	char byte[] = "file with me", space[CMSG_SPACE(sizeof(int))];
	struct iovec part = { byte, 1 + chance(11) };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = sizeof space };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd = 0;
	memset(space, 0, sizeof space);
	c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	int to = ends[kind = chance(3)][chance(2)];
	return sendmsg(to, &m, MSG_NOSIGNAL);
}
static int flags(void)
{
	static const int of[] = {
		0, 0, MSG_PEEK, MSG_PEEK, MSG_PEEK, MSG_TRUNC, MSG_PEEK | MSG_TRUNC, MSG_WAITALL
	};
	return of[chance(N(of))];
}
static long do_recv(void)
{
	int fd = any(), f = flags();
	if (kind == 4 && f & MSG_TRUNC)
		f = 0;
	printf("%d/%x", kind, f);
	return recv(fd, room, size(), f);
}
static long do_recvmsg(void)
{
	char space[CMSG_SPACE(sizeof(int))];
	struct iovec parts[] = { { room, size() }, { room + 5000, size() } };
	struct msghdr m = { .msg_iov = parts,
			    .msg_iovlen = 2,
			    .msg_control = space,
			    .msg_controllen = sizeof space };
	int fd = any(), f = flags() & ~MSG_TRUNC;
	long n = recvmsg(fd, &m, f);
	if (n >= 0) {
		printf("%d/%x [%x %d]", kind, f, m.msg_flags, (int)m.msg_controllen);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		if (c && c->cmsg_type == SCM_RIGHTS) {
			memcpy(&fd, CMSG_DATA(c), sizeof fd);
			close(fd);
		}
	}
	return n;
}
static long do_read(void) { return read(any(), room, size()); }
static long do_read_fault(void)
{
	int fd = any(), n = size();
	if (kind == 4 || kind == 1 || kind == 2 || kind == 3)
		return 0; /* TCP's segments are not the program's; a message that cannot be stored is lost */
	return read(fd, room + ROOM, n); /* nothing can be stored: everything stays */
}
static long do_offset(void)
{
	static const int of[] = { -1, 0, 0, 1, 2, 5, 50, -7, 1000 };
	int value = of[chance(N(of))];
	return setsockopt(any(), SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value);
}
static long do_asked(void)
{
	int value = 77;
	socklen_t n = sizeof value;
	long r = getsockopt(any(), SOL_SOCKET, SO_PEEK_OFF, &value, &n);
	printf("%d ", value);
	return r;
}

#define STEP(name, often) { #name, do_##name, often }
static const struct step {
	const char *name;
	long (*run)(void);
	unsigned often;
} steps[] = { STEP(send, 20),      STEP(sendv, 4),    STEP(send_fd, 4),
	      STEP(recv, 30),      STEP(recvmsg, 12), STEP(read, 6),
	      STEP(read_fault, 4), STEP(offset, 8),   STEP(asked, 8) };

static void show(void)
{
	for (int k = 0; k < KINDS; k++)
		for (int end = 0; end < 2; end++) {
			struct pollfd ask = { ends[k][end], POLLIN | POLLOUT, 0 };
			int waiting = -1, unsent = -1;
			poll(&ask, 1, 0);
			ioctl(ends[k][end], FIONREAD, &waiting);
			if (k < 3)
				ioctl(ends[k][end], SIOCOUTQ, &unsent);
			printf(" %d,%d,%x", waiting, unsent, ask.revents);
		}
}

/* Urgent bytes of a stream by path: sent, read, passed over; what waits, and whether it is marked. */
static void urgent_steps(unsigned seed, int nr)
{
	static const int flags[] = { 0, 0, 0, MSG_PEEK, MSG_OOB, MSG_OOB, MSG_OOB | MSG_PEEK };
	int pair[2], error = -1;
	socklen_t size = sizeof error;
	char got[8];

	state = seed;
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
	for (int i = 0; i < nr; i++) {
		unsigned what = chance(10), nbytes = 1 + chance(3), how = flags[chance(7)];
		int waiting = -1, unsent = -1, mark = -1, inlined = nbytes % 2;
		struct pollfd ask = { pair[1], POLLIN | POLLPRI, 0 };
		long r;
		memset(got, '-', sizeof got);
		if (what < 5)
			r = send(pair[0], text + i * 3, nbytes, what < 2 ? 0 : MSG_OOB);
		else if (what < 6)
			r = setsockopt(pair[1], SOL_SOCKET, SO_OOBINLINE, &inlined, 4);
		else
			r = recv(pair[1], got, 2 * nbytes, how);
		ioctl(pair[0], SIOCOUTQ, &unsent);
		ioctl(pair[1], FIONREAD, &waiting);
		ioctl(pair[1], SIOCATMARK, &mark);
		poll(&ask, 1, 0);
		printf("urgent %u.%d %u %ld %08x", seed, i, what, result(r), hash(got, sizeof got));
		printf(" %d,%d,%d,%x\n", unsent, waiting, mark, ask.revents);
	}
	close(pair[1]);
	getsockopt(pair[0], SOL_SOCKET, SO_ERROR, &error, &size);
	printf("error %d\n", error);
	close(pair[0]);
}

int main(int argc, char **argv)
{
	unsigned first = atoi(argv[1]), all = 0;

	signal(SIGPIPE, SIG_IGN);
	text = fenced(ROOM);
	room = fenced(ROOM);
	for (int i = 0; i < ROOM; i++)
		text[i] = i * 7 + i / 251;
	for (unsigned i = 0; i < N(steps); i++)
		all += steps[i].often;
	for (int seed = 0; seed < atoi(argv[2]); seed++) {
		state = (first + seed) * 2654435761u + 12345;
		for (int k = 0; k < KINDS; k++)
			renew(k);
		for (int i = 0; i < atoi(argv[3]); i++) {
			unsigned which = chance(all);
			const struct step *step = steps;
			while (which >= step->often)
				which -= step++->often;
			memset(room, 0, ROOM);
			printf("%u.%d %s ", first + seed, i, step->name);
			long r = result(step->run());
			printf(" %ld %08x", r, r > 0 ? hash(room, ROOM) : 0);
			show();
			printf("\n");
		}
		for (int k = 0; k < KINDS; k++)
			close(ends[k][0]), close(ends[k][1]);
		for (int i = 0; i < 5; i++)
			urgent_steps(5 * (first + seed) + i, 60);
	}
	return argc != 4;
}
