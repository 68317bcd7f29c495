/* TCP and UDP over the loopback: addresses and ports, connections and their ends, options. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int broken;
static void note(int signo) { broken += signo == SIGPIPE; }

static long show(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
	return result;
}

union any {
	struct sockaddr a;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t at(union any *to, const char *ip, int port)
{
	memset(to, 0, sizeof(*to));
	if (strchr(ip, ':')) {
		to->v6.sin6_family = AF_INET6;
		to->v6.sin6_port = htons(port);
		inet_pton(AF_INET6, ip, &to->v6.sin6_addr);
		return sizeof(to->v6);
	}
	to->v4.sin_family = AF_INET;
	to->v4.sin_port = htons(port);
	inet_pton(AF_INET, ip, &to->v4.sin_addr);
	return sizeof(to->v4);
}

static int port_of(int fd)
{
	union any own;
	socklen_t n = sizeof(own);
	getsockname(fd, &own.a, &n);
	return ntohs(own.v4.sin_port);
}

static void name_of(const char *what, int fd, int peer, int port)
{
	union any own;
	socklen_t n = sizeof(own);
	char text[64] = "";
	int r = (peer ? getpeername : getsockname)(fd, &own.a, &n);
	if (r < 0) {
		show(what, r);
		return;
	}
	inet_ntop(own.a.sa_family,
		  own.a.sa_family == AF_INET ? (void *)&own.v4.sin_addr : (void *)&own.v6.sin6_addr,
		  text, 64);
	int p = ntohs(own.v4.sin_port);
	printf("%s: %s %s, %u bytes\n", what, text,
	       !p           ? "no port"
	       : p == port  ? "that port"
	       : p >= 32768 ? "a free port"
			    : "a port",
	       n);
}

static int bind_to(int fd, const char *what, const char *ip, int port)
{
	union any to;
	socklen_t n = at(&to, ip, port);
	return show(what, bind(fd, &to.a, n));
}

static int connect_to(int fd, const char *what, const char *ip, int port)
{
	union any to;
	socklen_t n = at(&to, ip, port);
	return show(what, connect(fd, &to.a, n));
}

static int made(int family, int type, int protocol) { return socket(family, type, protocol); }

static void ready(const char *what, int fd)
{
	struct pollfd one = { fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0 };
	int n = poll(&one, 1, 0);
	printf("%s: ready %d %#x\n", what, n, one.revents);
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t n = sizeof(info);
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n);
	return info;
}

/* Until the other end has got what was sent: a busy host's network takes its time. */
static void arrives(int fd)
{
	while (info_of(fd).tcpi_unacked)
		usleep(1000);
}

/* Until the other end's end, an error (no events asked for) or data has come to this one. */
static void until(int fd, int events)
{
	struct pollfd one = { fd, events, 0 };
	poll(&one, 1, 60000);
}

static int state_of(int fd)
{
	struct tcp_info info = info_of(fd);
	return info.tcpi_state == 4 ? 5
				    : info.tcpi_state; /* its end is acknowledged a little later */
}

static int error_of(int fd)
{
	int e;
	socklen_t n = sizeof(e);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n);
	return e;
}

/* What waits to be read, to be acknowledged, and to be sent. */
static void queued(const char *what, int fd)
{
	int requests[] = { SIOCINQ, SIOCOUTQ, SIOCOUTQNSD }, bytes = -1;
	for (int i = 0; i < 3; i++) {
		show(what, ioctl(fd, requests[i], &bytes));
		printf("%d\n", bytes);
	}
}

static int on = 1;

static int listener(const char *ip, int backlog)
{
	int fd = made(strchr(ip, ':') ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
	bind_to(fd, "bind", ip, 0);
	show("listen", listen(fd, backlog));
	return fd;
}

/* ---- addresses ---- */

static void addresses(void)
{
	union any to;
	int fd = made(AF_INET, SOCK_STREAM, 0);
	name_of("unbound", fd, 0, 0);
	name_of("peer", fd, 1, 0);
	ready("unbound", fd);
	bind_to(fd, "foreign", "10.1.2.3", 0);
	bind_to(fd, "other family", "::1", 0);
	socklen_t n = at(&to, "127.0.0.1", 0);
	show("short", bind(fd, &to.a, 8));
	to.v4.sin_family = AF_UNSPEC;
	show("unspecified", bind(fd, &to.a, n));
	n = at(&to, "0.0.0.0", 0);
	to.v4.sin_family = AF_UNSPEC;
	show("unspecified, any", bind(fd, &to.a, n));
	name_of("bound", fd, 0, 0);
	bind_to(fd, "again", "127.0.0.1", 0);
	int port = port_of(fd), other = made(AF_INET, SOCK_STREAM, 0),
	    six = made(AF_INET6, SOCK_STREAM, 0);
	bind_to(other, "taken", "127.0.0.1", port);
	bind_to(six, "taken", "::", port);
	show("v6only", setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	bind_to(six, "only 6", "::", port);
	show("v6only bound", setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	bind_to(other, "one reuses", "127.0.0.1", port);
	setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	bind_to(other, "both reuse", "127.0.0.1", port);
	show("listen", listen(fd, 1));
	show("listen too", listen(other, 1));
	int third = made(AF_INET, SOCK_STREAM, 0);
	setsockopt(third, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	bind_to(third, "reuse of a listener", "127.0.0.2", port);
	close(third);
	int a = made(AF_INET, SOCK_DGRAM, 0), b = made(AF_INET, SOCK_DGRAM, 0);
	bind_to(a, "udp", "127.0.0.1", port);
	bind_to(b, "udp taken", "0.0.0.0", port);
	bind_to(b, "udp beside", "127.0.0.2", port);
	close(a), close(b);
	a = made(AF_INET, SOCK_STREAM, 0), b = made(AF_INET, SOCK_STREAM, 0);
	setsockopt(a, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	setsockopt(b, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	bind_to(a, "reuseport", "127.0.0.3", 0);
	show("listen", listen(a, 1));
	bind_to(b, "reuseport", "127.0.0.3", port_of(a));
	show("listen", listen(b, 1));
	close(a), close(b), close(fd), close(other), close(six);
	fd = made(AF_INET6, SOCK_STREAM, 0);
	bind_to(fd, "mapped", "::ffff:127.0.0.1", 0);
	name_of("mapped", fd, 0, 0);
	close(fd);
	show("raw", socket(AF_INET, SOCK_RAW, 0));
	show("odd", socket(AF_INET, SOCK_SEQPACKET, 0));
	show("odd", socket(AF_INET, SOCK_STREAM, 17));
	show("odd", socket(AF_INET6, SOCK_DGRAM, 6));
	show("odd", socket(AF_INET, SOCK_DGRAM, -1));
	show("odd", socket(AF_INET, 9, 0));
	int pair[2];
	show("pair", socketpair(AF_INET, SOCK_STREAM, 0, pair));
	show("pair", socketpair(AF_INET, SOCK_DGRAM, 0, pair));
}

/* ---- connections ---- */

static void connections(const char *ip, const char *mine)
{
	int family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	int fd = listener(ip, 2), port = port_of(fd);
	char text[64];
	name_of("listener", fd, 0, port);
	ready("listener", fd);
	printf("state %d\n", state_of(fd));
	int a = made(family, SOCK_STREAM, 0);
	connect_to(a, "connect", ip, port);
	name_of("own", a, 0, port);
	name_of("peer", a, 1, port);
	ready("listener", fd);
	printf("%ld %d\n", show("early", write(a, "early", 5)), state_of(a));
	union any from;
	socklen_t n = sizeof(from);
	int b = accept(fd, &from.a, &n);
	printf("accepted: %u bytes, the same port %d\n", n, ntohs(from.v4.sin_port) == port_of(a));
	name_of("end", b, 0, port);
	show("read", read(b, text, 64));
	show("connect again", connect(a, &from.a, n));
	show("listen", listen(a, 1));
	show("accept", accept(a, NULL, NULL));
	ready("idle", a);
	show("shutdown", shutdown(a, SHUT_WR));
	printf("states %d %d\n", state_of(a), state_of(b));
	ready("half", b);
	ready("other half", a);
	show("read", read(b, text, 64));
	show("write", write(b, "back", 4));
	show("write", write(a, "x", 1));
	show("read", read(a, text, 64));
	show("shutdown", shutdown(b, SHUT_RDWR));
	printf("states %d %d\n", state_of(a), state_of(b));
	ready("both", a);
	ready("both", b);
	show("read", read(a, text, 64));
	name_of("peer", a, 1, port);
	show("shutdown", shutdown(a, SHUT_RDWR));
	printf("SIGPIPE %d\n", broken);
	close(a), close(b);
	/* The server ends first: its port lingers. */
	a = made(family, SOCK_STREAM, 0);
	connect_to(a, "connect", ip, port);
	b = accept(fd, NULL, NULL);
	close(b);
	show("read", read(a, text, 9));
	close(a);
	close(fd);
	fd = made(family, SOCK_STREAM, 0);
	bind_to(fd, "lingers", ip, port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	bind_to(fd, "lingers, reuse", ip, port);
	close(fd);
}

static void resets(void)
{
	int fd = listener("127.0.0.1", 5), port = port_of(fd);
	char text[64];
	for (int i = 0; i < 4; i++) {
		int a = made(AF_INET, SOCK_STREAM, 0), b;
		connect_to(a, "connect", "127.0.0.1", port);
		b = accept(fd, NULL, NULL);
		struct linger none = { 1, 0 };
		switch (i) {
		case 0: /* unread data */
			write(a, "unread", 6);
			arrives(a);
			write(b, "there", 5);
			close(b);
			break;
		case 1:
			setsockopt(b, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
			close(b);
			break;
		case 2: /* nobody reads any more */
			close(b);
			until(a, POLLRDHUP);
			show("write", write(a, "x", 1));
			until(a, 0);
			break;
		case 3:
			shutdown(b, SHUT_RD);
			show("write", write(a, "x", 1));
			show("read", read(b, text, 9));
			show("read", read(b, text, 9));
			close(b);
		}
		until(a, POLLRDHUP);
		ready("reset", a);
		printf("state %d, SIGPIPE %d\n", state_of(a), broken);
		show("read", read(a, text, 9));
		show("read", read(a, text, 9));
		show("write", write(a, "x", 1));
		show("write", write(a, "x", 1));
		printf("error %d, SIGPIPE %d\n", error_of(a), broken);
		close(a);
	}
	int a = made(AF_INET, SOCK_STREAM, 0);
	show("write unconnected", write(a, "x", 1));
	show("read unconnected", read(a, text, 1));
	show("shutdown unconnected", shutdown(a, SHUT_WR));
	connect_to(a, "connect", "127.0.0.1", port);
	close(fd);
	until(a, 0);
	ready("never accepted", a);
	show("read", read(a, text, 1));
	connect_to(a, "connect", "127.0.0.1", port);
	close(a);
	printf("SIGPIPE %d\n", broken);
}

static void later(void)
{
	int fd = listener("127.0.0.1", 0), port = port_of(fd);
	int a = made(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	connect_to(a, "connect", "127.0.0.1", port);
	struct pollfd p = { a, POLLOUT, 0 };
	printf("%d %#x, error %d\n", poll(&p, 1, 1000), p.revents, error_of(a));
	connect_to(a, "connect", "127.0.0.1", port);
	connect_to(a, "connect", "127.0.0.1", port);
	show("read", read(a, &p, 1));
	close(a);
	a = made(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	close(accept(fd, NULL, NULL));
	close(fd);
	connect_to(a, "refused", "127.0.0.1", port);
	p.fd = a;
	printf("%d %#x\n", poll(&p, 1, 1000), p.revents);
	connect_to(a, "refused", "127.0.0.1", port);
	printf("error %d\n", error_of(a));
	close(a);
	a = made(AF_INET, SOCK_STREAM, 0);
	connect_to(a, "refused", "127.0.0.1", port);
	connect_to(a, "refused", "127.0.0.1", port);
	ready("refused", a);
	close(a);
	a = made(AF_INET6, SOCK_STREAM, 0);
	connect_to(a, "refused", "::1", port);
	close(a);
	a = made(AF_INET, SOCK_STREAM, 0);
	connect_to(a, "to a listener of any", "0.0.0.0", port);
	close(a);
}

static void both_families(void)
{
	int fd = listener("::", 5), port = port_of(fd);
	int a = made(AF_INET, SOCK_STREAM, 0), b;
	connect_to(a, "4 to 6", "127.0.0.5", port);
	name_of("own", a, 0, port);
	name_of("peer", a, 1, port);
	union any from;
	socklen_t n = sizeof(from);
	b = accept(fd, &from.a, &n);
	name_of("end", b, 0, port);
	name_of("its peer", b, 1, port);
	close(a), close(b);
	a = made(AF_INET6, SOCK_STREAM, 0);
	connect_to(a, "6 to 6 by mapped", "::ffff:127.0.0.1", port);
	name_of("own", a, 0, port);
	b = accept(fd, &from.a, &n);
	name_of("its peer", b, 1, port);
	close(a), close(b), close(fd);
}

static void bytes(void)
{
	int fd = listener("127.0.0.1", 5), port = port_of(fd), status;
	static char data[1 << 16], got[1 << 16];
	for (int i = 0; i < sizeof(data); i++)
		data[i] = i * 31 + (i >> 8);
	if (!fork()) {
		int a = made(AF_INET, SOCK_STREAM, 0);
		connect_to(a, "connect", "127.0.0.1", port);
		for (int i = 0; i < 100; i++)
			if (write(a, data, sizeof(data)) != sizeof(data))
				exit(1);
		shutdown(a, SHUT_WR);
		show("answer", recv(a, got, 4, MSG_WAITALL));
		exit(0);
	}
	int b = accept(fd, NULL, NULL), wrong = 0;
	long sum = 0;
	for (long n; (n = read(b, got, 10000)) > 0; sum += n)
		for (int i = 0; i < n; i++)
			wrong += got[i] != data[(sum + i) % sizeof(data)];
	printf("%ld bytes, %d wrong\n", sum, wrong);
	write(b, "ab", 2);
	arrives(b);
	write(b, "cd", 2);
	wait(&status);
	printf("child %d\n", WEXITSTATUS(status));
	close(b);
	/* Urgent data. */
	int a = made(AF_INET, SOCK_STREAM, 0), mark;
	connect_to(a, "connect", "127.0.0.1", port);
	b = accept(fd, NULL, NULL);
	show("urgent", send(a, "abc!", 4, MSG_OOB));
	show("send", send(a, "def", 3, 0));
	arrives(a);
	ready("urgent", b);
	show("oob", recv(b, got, 9, MSG_OOB | MSG_PEEK));
	show("oob", recv(b, got, 9, MSG_OOB));
	printf("%c\n", got[0]);
	show("oob", recv(b, got, 9, MSG_OOB));
	ioctl(b, SIOCATMARK, &mark);
	printf("mark %d\n", mark);
	show("read", read(b, got, 9));
	ioctl(b, SIOCATMARK, &mark);
	printf("mark %d %.3s\n", mark, got);
	show("read", read(b, got, 9));
	printf("%.3s\n", got);
	show("peek", send(a, "peek", 4, 0));
	show("peek", recv(b, got, 2, MSG_PEEK));
	show("trunc", recv(b, got, 2, MSG_TRUNC));
	int n;
	ioctl(b, FIONREAD, &n);
	printf("unread %d\n", n);
	queued("of one end", b);
	queued("of who listens", fd);
	queued("of netlink", socket(AF_NETLINK, SOCK_RAW, 0));
	struct timeval limit = { 0, 100000 };
	setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	show("two", recv(b, got, 9, MSG_WAITALL));
	show("none in time", recv(b, got, 9, 0));
	close(a), close(b), close(fd);
}

/* ---- datagrams ---- */

static void datagrams(const char *ip, int protocol)
{
	int family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	int a = made(family, SOCK_DGRAM, protocol), b = made(family, SOCK_DGRAM, protocol),
	    c = made(family, SOCK_DGRAM, protocol);
	char text[64];
	static char big[70000];
	union any to, from;
	socklen_t n, m;
	bind_to(a, "bind", ip, 0);
	int port = port_of(a);
	name_of("unbound", b, 0, port);
	show("send", send(b, "x", 1, 0));
	n = at(&to, ip, port);
	show("sendto", sendto(b, "hello", 5, 0, &to.a, n));
	show("sendto", sendto(b, "", 0, 0, &to.a, n));
	name_of("bound by it", b, 0, port);
	m = sizeof(from);
	show("recvfrom", recvfrom(a, text, 3, MSG_TRUNC, &from.a, &m));
	printf("%u bytes, the same port %d\n", m, ntohs(from.v4.sin_port) == port_of(b));
	show("recv", recv(a, text, 9, 0));
	show("too big", sendto(b, big, 65508 + (family == AF_INET6) * 20, 0, &to.a, n));
	show("big", sendto(b, big, 65507, 0, &to.a, n));
	show("big", recv(a, big, 70000, 0));
	show("connect", connect(a, &from.a, m));
	name_of("peer", a, 1, port_of(b));
	n = at(&to, ip, port);
	show("from another", sendto(c, "y", 1, 0, &to.a, n));
	show("from the peer", sendto(b, "z", 1, 0, &to.a, n));
	show("recv", recv(a, text, 9, MSG_DONTWAIT));
	printf("%c\n", *text);
	show("recv", recv(a, text, 9, MSG_DONTWAIT));
	close(b);
	ready("alone", a);
	show("send", send(a, "x", 1, 0));
	until(a, 0);
	ready("refused", a);
	show("recv", recv(a, text, 9, MSG_DONTWAIT));
	show("send", send(a, "x", 1, 0));
	show("send", send(a, "x", 1, 0));
	to.a.sa_family = AF_UNSPEC;
	show("part", connect(a, &to.a, n));
	name_of("peer", a, 1, port);
	name_of("own", a, 0, port);
	show("shutdown", shutdown(c, SHUT_RD));
	n = at(&to, ip, 0);
	show("port 0", sendto(c, "x", 1, 0, &to.a, n));
	n = at(&to, family == AF_INET ? "255.255.255.255" : "2001:db8::1", 9);
	if (family == AF_INET)
		show("broadcast", sendto(c, "x", 1, 0, &to.a, n));
	show("oob", send(a, "x", 1, MSG_OOB));
	show("listen", listen(a, 1));
	show("accept", accept(a, NULL, NULL));
	close(a), close(c);
}

/* ---- options and devices ---- */

static void option(int fd, const char *what, int level, int name, int value)
{
	int r = setsockopt(fd, level, name, &value, sizeof(value)), e = errno, back = -9;
	socklen_t length = sizeof(back);
	int g = getsockopt(fd, level, name, &back, &length);
	printf("%s: set %d %s, get %d %s: %d, %u bytes\n", what, r, r ? strerror(e) : "", g,
	       g ? strerror(errno) : "", back, length);
}

static void options(int family, int type)
{
	int fd = made(family, type, 0);
#define O(name, value) option(fd, #name, SOL_SOCKET, name, value)
#define T(name, value) option(fd, #name, IPPROTO_TCP, name, value)
#define I(name, value) option(fd, #name, IPPROTO_IP, name, value)
#define S(name, value) option(fd, #name, IPPROTO_IPV6, name, value)
	O(SO_REUSEADDR, 5), O(SO_REUSEPORT, 1), O(SO_TYPE, 1), O(SO_BROADCAST, 1),
		O(SO_PASSCRED, 1);
	O(SO_SNDBUF, 1000), O(SO_RCVBUF, 1000), O(SO_KEEPALIVE, 1), O(SO_OOBINLINE, 1),
		O(SO_ACCEPTCONN, 1);
	O(SO_PROTOCOL, 1), O(SO_DOMAIN, 1), O(SO_PRIORITY, 3), O(SO_RCVLOWAT, 3);
	T(TCP_NODELAY, 1), T(TCP_CORK, 1), T(TCP_KEEPIDLE, 30), T(TCP_KEEPIDLE, 0),
		T(TCP_KEEPINTVL, 3), T(TCP_KEEPCNT, 300);
	T(TCP_SYNCNT, 3), T(TCP_USER_TIMEOUT, 1000), T(TCP_QUICKACK, 0), T(999, 1);
	I(IP_TOS, 16), I(IP_TTL, 3), I(IP_TTL, 300), I(IP_TTL, -1), I(IP_PKTINFO, 1),
		I(IP_RECVTTL, 1), I(IP_RECVERR, 1), I(IP_FREEBIND, 1);
	I(IP_MULTICAST_TTL, 4), I(IP_MULTICAST_LOOP, 0), I(IP_MTU, 1), I(999, 1);
	S(IPV6_V6ONLY, 1), S(IPV6_UNICAST_HOPS, 9), S(IPV6_RECVPKTINFO, 1), S(999, 1);
	option(fd, "level 99", 99, 1, 1);
	close(fd);
}

/* Who may not administer the network cannot have a socket debugged, and may always stop that. */
static void debugged(void)
{
	int fd = made(AF_INET, SOCK_STREAM, 0), value;
	socklen_t length = sizeof value;

	fflush(stdout);
	if (!fork()) {
		if (!geteuid() && (setgid(65534) || setuid(65534)))
			_exit(1);
		for (value = 0; value < 3; value++)
			show("debug", setsockopt(fd, SOL_SOCKET, SO_DEBUG, &value, length));
		show("debugged", getsockopt(fd, SOL_SOCKET, SO_DEBUG, &value, &length));
		printf("%d\n", value);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	close(fd);
}

static void devices(void)
{
	struct ifreq r = { 0 }, several[4];
	struct ifconf c = { sizeof(several), { (void *)several } };
	int fd = made(AF_INET, SOCK_DGRAM, 0);
	show("SIOCGIFCONF", ioctl(fd, SIOCGIFCONF, &c));
	printf("%s\n", several[0].ifr_name);
	strcpy(r.ifr_name, "lo");
	show("SIOCGIFFLAGS", ioctl(fd, SIOCGIFFLAGS, &r));
	printf("%#x\n", r.ifr_flags);
	show("SIOCGIFADDR", ioctl(fd, SIOCGIFADDR, &r));
	printf("%s\n", inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
	show("SIOCGIFNETMASK", ioctl(fd, SIOCGIFNETMASK, &r));
	printf("%s\n", inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
	show("SIOCGIFMTU", ioctl(fd, SIOCGIFMTU, &r));
	printf("%d\n", r.ifr_mtu);
	show("SIOCGIFHWADDR", ioctl(fd, SIOCGIFHWADDR, &r));
	printf("%d %d\n", r.ifr_hwaddr.sa_family, r.ifr_hwaddr.sa_data[0]);
	show("SIOCGIFINDEX", ioctl(fd, SIOCGIFINDEX, &r));
	show("SIOCGIFNAME", ioctl(fd, SIOCGIFNAME, &r));
	printf("%s\n", r.ifr_name);
	strcpy(r.ifr_name, "none0");
	show("none", ioctl(fd, SIOCGIFFLAGS, &r));
	show("none", ioctl(fd, 0x89ff, &r));
	printf("%d %d\n", if_nametoindex("lo"), if_nametoindex("none0"));
	close(fd);
}

static void watched(void)
{
	int fd = listener("127.0.0.1", 5), port = port_of(fd), set = epoll_create1(0);
	struct epoll_event e = { EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, { .u32 = 7 } };
	char text[9];
#define W printf("%d", epoll_wait(set, &e, 1, 0)), printf(" %#x\n", e.events), e.events = 0
	epoll_ctl(set, EPOLL_CTL_ADD, fd, &e);
	W;
	int a = made(AF_INET, SOCK_STREAM, 0);
	connect_to(a, "connect", "127.0.0.1", port);
	W;
	W;
	int b = accept(fd, NULL, NULL);
	e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	epoll_ctl(set, EPOLL_CTL_ADD, b, &e);
	W;
	W;
	write(a, "x", 1);
	arrives(a);
	W;
	W;
	read(b, text, 9);
	W;
	shutdown(a, SHUT_WR);
	arrives(a);
	W;
	close(b), close(a), close(fd), close(set);
}

/* ---- what a datagram is sent with, and what is told of it ---- */

static void told(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		printf(" %d/%d:", c->cmsg_level, c->cmsg_type);
		for (unsigned char *at = CMSG_DATA(c); at < (unsigned char *)c + c->cmsg_len; at++)
			printf("%02x", *at);
	}
	printf(" flags %#x\n", m->msg_flags);
}

static void sent_with(int from, int to, int level, int type, const void *data, int n, int room)
{
	char control[256] = { 0 }, c;
	union any name;
	struct iovec iov = { "x", 1 };
	socklen_t bytes = sizeof(name);
	getsockname(to, &name.a, &bytes);
	struct msghdr m = { &name, bytes, &iov, 1, control, CMSG_SPACE(n), 0 };
	struct cmsghdr *first = (struct cmsghdr *)control;
	*first = (struct cmsghdr){ CMSG_LEN(n), level, type };
	memcpy(CMSG_DATA(first), data, n);
	printf("%d/%d of %d: ", level, type, n);
	if (show("sent", sendmsg(from, &m, 0)) < 0)
		return;
	iov.iov_base = &c;
	m = (struct msghdr){ NULL, 0, &iov, 1, control, room, 0 };
	show("came", recvmsg(to, &m, MSG_DONTWAIT));
	told(&m);
}

static void controls(const char *ip, int level)
{
	static const int levels[][2] = {
		{ IPPROTO_IP, IP_TTL },
		{ IPPROTO_IP, IP_TOS },
		{ IPPROTO_IPV6, IPV6_HOPLIMIT },
		{ IPPROTO_IPV6, IPV6_TCLASS },
		{ IPPROTO_IP, 99 },
		{ IPPROTO_IPV6, 99 },
		{ SOL_SOCKET, SCM_RIGHTS },
	};
	static const int numbers[] = { -2, -1, 0, 1, 77, 255, 256 };
	static const int wanted[][2] = {
		{ IPPROTO_IP, IP_PKTINFO },          { IPPROTO_IP, IP_RECVTTL },
		{ IPPROTO_IP, IP_RECVTOS },          { IPPROTO_IPV6, IPV6_RECVPKTINFO },
		{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT }, { IPPROTO_IPV6, IPV6_RECVTCLASS },
	};
	union any name;
	socklen_t n = at(&name, ip, 0);
	int to = socket(name.a.sa_family, SOCK_DGRAM, 0),
	    from = socket(name.a.sa_family, SOCK_DGRAM, 0);
	const int one = 1, hops = 33, traffic = 40;
	printf("controls %s\n", ip);
	bind(to, &name.a, n);
	sent_with(from, to, SOL_IP, IP_TTL, &hops, 4, 200);
	for (unsigned i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		setsockopt(to, wanted[i][0], wanted[i][1], &one, sizeof(one));
	for (unsigned i = 0; i < sizeof(levels) / sizeof(*levels); i++)
		for (unsigned k = 0; k < sizeof(numbers) / sizeof(*numbers); k++)
			sent_with(from, to, levels[i][0], levels[i][1], &numbers[k], 4, 200);
	sent_with(from, to, SOL_IP, IP_TOS, "\x7", 1, 200);
	sent_with(from, to, SOL_IP, IP_TTL, "\x7", 1, 200);
	for (int room = 0; room < 80; room += 9)
		sent_with(from, to, SOL_IP, IP_TTL, &hops, 4, room);
	for (int device = 0; device < 2; device++) {
		struct in_pktinfo info = { device };
		struct in6_pktinfo info6 = { IN6ADDR_LOOPBACK_INIT, device };
		struct in6_pktinfo mapped = { .ipi6_ifindex = device };
		inet_pton(AF_INET6, "::ffff:127.0.0.7", &mapped.ipi6_addr);
		info.ipi_spec_dst.s_addr = htonl(0x7f000005);
		sent_with(from, to, IPPROTO_IPV6, IPV6_PKTINFO, &mapped, sizeof(mapped), 200);
		sent_with(from, to, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info), 200);
		sent_with(from, to, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6), 200);
	}
	setsockopt(from, level, level == IPPROTO_IP ? IP_TTL : IPV6_UNICAST_HOPS, &hops,
		   sizeof(hops));
	setsockopt(from, level, level == IPPROTO_IP ? IP_TOS : IPV6_TCLASS, &traffic,
		   sizeof(traffic));
	sent_with(from, to, SOL_SOCKET, SCM_RIGHTS, &one, 4, 200);
	close(from);
	close(to);
}

/* ---- UDP-Lite: ports of its own, and how much a checksum covers ---- */

// A datagram that is made of parts, flags that mean nothing to UDP, bytes that are thrown away.
static void parts(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof at;
	char data[100] = "before";
	int one = 1, none = 0, to = socket(AF_INET, SOCK_DGRAM, 0),
	    from = socket(AF_INET, SOCK_DGRAM, 0);

	bind(to, (struct sockaddr *)&at, sizeof at);
	getsockname(to, (struct sockaddr *)&at, &length);
	connect(from, (struct sockaddr *)&at, length);
	printf("parts %zd %zd", send(from, "ab", 2, MSG_MORE), send(from, "", 0, MSG_MORE));
	printf(" not yet %zd", recv(to, data, sizeof data, MSG_DONTWAIT));
	printf(" %zd", send(from, "cde", 3, 0));
	printf(" whole %zd %.5s\n", recv(to, data, sizeof data, MSG_DONTWAIT), data);
	printf("cork %d", setsockopt(from, IPPROTO_UDP, 1, &one, sizeof one));
	printf(" %zd %zd", send(from, "xy", 2, 0), send(from, "z", 1, 0));
	printf(" not yet %zd", recv(to, data, sizeof data, MSG_DONTWAIT));
	printf(" no cork %d", setsockopt(from, IPPROTO_UDP, 1, &none, sizeof none));
	printf(" whole %zd %.3s\n", recv(to, data, sizeof data, MSG_DONTWAIT), data);
	static char big[65507];
	printf("too much %zd", send(from, big, sizeof big, MSG_MORE));
	printf(" %zd", send(from, "a", 1, 0));
	printf(" nothing is left %zd", recv(to, data, sizeof data, MSG_DONTWAIT));
	printf(" %zd %zd\n", send(from, "new", 3, 0),
	       recv(to, data, sizeof data, MSG_DONTWAIT | MSG_OOB));
	int listener = socket(AF_INET, SOCK_STREAM, 0), end = socket(AF_INET, SOCK_STREAM, 0);
	at.sin_port = 0;
	bind(listener, (struct sockaddr *)&at, sizeof at);
	listen(listener, 1);
	getsockname(listener, (struct sockaddr *)&at, &length);
	connect(end, (struct sockaddr *)&at, length);
	int other = accept(listener, NULL, NULL);
	send(end, "0123456789", 10, 0);
	arrives(end);
	memset(data, '-', sizeof data);
	printf("thrown away %zd %.4s", recv(other, data, 4, MSG_TRUNC), data);
	printf(" then %zd %.4s\n", recv(other, data, 4, 0), data);
	recv(other, data, 2, 0);
	int bytes = -1;
	send(end, "abcd", 4, MSG_OOB);
	arrives(end);
	ioctl(other, FIONREAD, &bytes);
	printf("before what is urgent %d", bytes);
	setsockopt(other, SOL_SOCKET, SO_OOBINLINE, &one, sizeof one);
	ioctl(other, FIONREAD, &bytes);
	printf(" with it %d\n", bytes);
	int all[] = { to, from, listener, end, other };
	for (int i = 0; i < 5; i++)
		close(all[i]);
}

static void lite(void)
{
	static const int values[] = { -1, 0, 1, 8, 9, 0xffff, 0x10000 };
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE), udp = socket(AF_INET, SOCK_DGRAM, 0);
	int value = 0;
	socklen_t n = sizeof(value);
	union any name;
	show("protocol", getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &n));
	show("is", value);
	for (int option = 9; option < 13; option++)
		for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
			show("coverage", setsockopt(fd, IPPROTO_UDPLITE, option, &values[i], 4));
			show("read", getsockopt(fd, IPPROTO_UDPLITE, option, &value, &n));
			show("covers", value);
		}
	show("of UDP", getsockopt(udp, IPPROTO_UDPLITE, 10, &value, &n));
	show("set of UDP", setsockopt(udp, IPPROTO_UDP, 10, &value, n));
	show("other", getsockopt(udp, IPPROTO_UDP, 50, &value, &n));
	show("stream", socket(AF_INET, SOCK_STREAM, IPPROTO_UDPLITE));
	at(&name, "127.0.0.1", 0);
	show("bind", bind(udp, &name.a, sizeof(name.v4)));
	at(&name, "127.0.0.1", port_of(udp));
	show("same port", bind(fd, &name.a, sizeof(name.v4)));
	show("again", bind(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE), &name.a, sizeof(name.v4)));
	close(udp);
	close(fd);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, note);
	addresses();
	connections("127.0.0.1", "127.0.0.1");
	connections("::1", "::1");
	resets();
	later();
	both_families();
	bytes();
	datagrams("127.0.0.1", 0);
	datagrams("::1", 0);
	datagrams("127.0.0.1", IPPROTO_UDPLITE);
	datagrams("::1", IPPROTO_UDPLITE);
	lite();
	parts();
	options(AF_INET, SOCK_STREAM);
	options(AF_INET6, SOCK_STREAM);
	options(AF_INET, SOCK_DGRAM);
	options(AF_INET6, SOCK_DGRAM);
	controls("127.0.0.1", IPPROTO_IP);
	controls("::1", IPPROTO_IPV6);
	controls("::ffff:127.0.0.1", IPPROTO_IP);
	debugged();
	devices();
	watched();
	return 0;
}
