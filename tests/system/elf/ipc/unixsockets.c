/* Sockets of AF_UNIX with names: listening, messages, files and credentials that travel, options. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/socketsXXXXXX";
static int broken;

static void note(int signo) { broken += signo == SIGPIPE; }

static long show(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
	return result;
}

static socklen_t named(struct sockaddr_un *at, const char *name)
{
	memset(at, 0, sizeof(*at));
	at->sun_family = AF_UNIX;
	if (*name == '@') {
		int n = snprintf(at->sun_path + 1, 100, "%s" UNIQUE, name + 1);
		return offsetof(struct sockaddr_un, sun_path) + 1 + n;
	}
	int n = snprintf(at->sun_path, 100, "%s/%s", folder, name);
	return offsetof(struct sockaddr_un, sun_path) + n + 1;
}

static int bound(int type, const char *name)
{
	struct sockaddr_un at;
	int fd = socket(AF_UNIX, type, 0);
	socklen_t length = named(&at, name);
	show(name, bind(fd, (void *)&at, length));
	return fd;
}

static int to(int type, const char *name, const char *what)
{
	struct sockaddr_un at;
	int fd = socket(AF_UNIX, type, 0);
	socklen_t length = named(&at, name);
	show(what, connect(fd, (void *)&at, length));
	return fd;
}

static void name_of(const char *what, int fd, int peer)
{
	struct sockaddr_un at;
	socklen_t length = sizeof(at);
	memset(&at, 'x', sizeof(at));
	int r = (peer ? getpeername : getsockname)(fd, (void *)&at, &length);
	if (r < 0) {
		show(what, r);
		return;
	}
	char *path = at.sun_path;
	int abstract = length > 2 && !*path;
	if (!abstract && length > 2 && !strncmp(path, folder, strlen(folder)))
		path += strlen(folder);
	printf("%s: %d bytes%s %s\n", what,
	       length > 2 ? (int)(length - 2 - (abstract ? strlen(UNIQUE) : strlen(folder))) : 0,
	       abstract ? ", abstract" : "", length > 2 ? (abstract ? "" : path) : "none");
}

static void ready(const char *what, int fd)
{
	struct pollfd one = { fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0 };
	int n = poll(&one, 1, 0);
	printf("%s: ready %d %#x\n", what, n, one.revents);
}

static void peer_creds(const char *what, int fd)
{
	struct ucred who;
	socklen_t length = sizeof(who);
	show(what, getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length));
	printf("  %s %d %d, %u bytes\n",
	       who.pid == getpid() ? "me"
	       : who.pid           ? "another"
				   : "nobody",
	       who.uid == getuid() ? 1 : (int)who.uid, who.gid == getgid() ? 1 : (int)who.gid,
	       length);
}

/* ---- streams ---- */

static void names(void)
{
	struct sockaddr_un at;
	struct stat st;
	char path[200];

	umask(027);
	int fd = bound(SOCK_STREAM, "one");
	snprintf(path, sizeof(path), "%s/one", folder);
	show("stat", stat(path, &st));
	printf("%o %ld\n", st.st_mode, (long)st.st_size);
	show("open", open(path, O_RDWR));
	name_of("own name", fd, 0);
	name_of("peer", fd, 1);
	socklen_t length = named(&at, "two");
	show("bind again", bind(fd, (void *)&at, length));
	close(bound(SOCK_STREAM, "one"));
	length = named(&at, "none/here");
	int other = socket(AF_UNIX, SOCK_STREAM, 0);
	show("no folder", bind(other, (void *)&at, length));
	show("autobind", bind(other, (void *)&at, sizeof(sa_family_t)));
	length = sizeof(at);
	getsockname(other, (void *)&at, &length);
	printf("%u bytes, %d %zu\n", length, at.sun_path[0],
	       strspn(at.sun_path + 1, "0123456789abcdef"));
	show("autobind again", bind(other, (void *)&at, sizeof(sa_family_t)));
	show("short", bind(other, (void *)&at, 1));
	close(to(SOCK_STREAM, "one", "not listening"));
	show("listen", listen(fd, 1));
	show("listen on nothing", listen(socket(AF_UNIX, SOCK_STREAM, 0), 1));
	show("listen on datagrams", listen(socket(AF_UNIX, SOCK_DGRAM, 0), 1));
	close(to(SOCK_DGRAM, "one", "wrong type"));
	ready("listening", fd);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	show("accept", accept(fd, NULL, NULL));
	int a = to(SOCK_STREAM, "one", "first"), b = to(SOCK_STREAM, "one", "second");
	int c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	length = named(&at, "one");
	show("full", connect(c, (void *)&at, length));
	ready("full", c);
	ready("waiting", fd);
	show("write before accept", write(a, "early", 5));
	length = sizeof(at);
	int d = accept4(fd, (void *)&at, &length, SOCK_CLOEXEC);
	printf("accepted %d, %u bytes, flags %d %d\n", d > 0, length, fcntl(d, F_GETFD),
	       fcntl(d, F_GETFL) & O_NONBLOCK);
	name_of("end", d, 0);
	name_of("its peer", d, 1);
	name_of("client's peer", a, 1);
	peer_creds("of the client", d);
	peer_creds("of the listener", a);
	char text[9];
	printf("%zd %.5s\n", read(d, text, 9), text);
	length = named(&at, "one");
	show("connect again", connect(a, (void *)&at, length));
	show("now there is room", connect(c, (void *)&at, length));
	show("unlink", unlink(path));
	close(to(SOCK_STREAM, "one", "unlinked"));
	close(fd);
	ready("refused", b);
	show("read", read(b, text, 9));
	show("read", read(b, text, 9));
	show("write", write(b, "x", 1));
	printf("SIGPIPE %d\n", broken);
	name_of("peer of a closed one", b, 1);
	close(d);
	ready("closed", a);
	close(a), close(b), close(c), close(other);
}

static void abstract(void)
{
	int s = bound(SOCK_STREAM, "@name"), d = bound(SOCK_DGRAM, "@name");
	close(bound(SOCK_STREAM, "@name"));
	name_of("abstract", s, 0);
	listen(s, 5);
	int fd = to(SOCK_STREAM, "@name", "stream");
	close(to(SOCK_SEQPACKET, "@name", "seqpacket"));
	close(s);
	close(bound(SOCK_STREAM, "@name"));
	close(fd), close(d);
}

static void blocking(void)
{
	int fd = bound(SOCK_STREAM, "blocking"), status;
	listen(fd, 0);
	if (!fork()) {
		for (int i = 0; i < 3; i++) {
			int end = to(SOCK_STREAM, "blocking", "client");
			write(end, &"abc"[i], 1);
			char c;
			read(end, &c, 1);
			close(end);
			printf("client got %c\n", c);
		}
		exit(0);
	}
	for (int i = 0; i < 3; i++) {
		int end = accept(fd, NULL, NULL);
		char c;
		read(end, &c, 1);
		c ^= ' ';
		write(end, &c, 1);
		close(end);
	}
	wait(&status);
	struct timeval limit = { 0, 200000 };
	show("limit", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	show("nobody comes", accept(fd, NULL, NULL));
	close(fd);
}

/* ---- messages ---- */

static void datagrams(void)
{
	struct sockaddr_un at;
	char text[32];
	socklen_t length;
	int in = bound(SOCK_DGRAM, "in"), out = bound(SOCK_DGRAM, "out"),
	    lone = socket(AF_UNIX, SOCK_DGRAM, 0);

	length = named(&at, "in");
	show("sendto", sendto(out, "hello", 5, 0, (void *)&at, length));
	show("from none", sendto(lone, "you", 3, 0, (void *)&at, length));
	for (int i = 0; i < 2; i++) {
		struct sockaddr_un from;
		socklen_t n = sizeof(from);
		show("recvfrom", recvfrom(in, text, 32, 0, (void *)&from, &n));
		printf("%u bytes\n", n > 2 ? n - (unsigned)strlen(folder) : n);
	}
	show("connect", connect(out, (void *)&at, length));
	fcntl(out, F_SETFL, O_NONBLOCK);
	int n = 0;
	while (send(out, "x", 1, 0) == 1)
		n++;
	show("send", -1);
	printf("%d messages\n", n);
	ready("full", out);
	fcntl(lone, F_SETFL, O_NONBLOCK);
	show("sendto full", sendto(lone, "x", 1, 0, (void *)&at, length));
	recv(in, text, 32, 0);
	ready("one read", out);
	length = named(&at, "out");
	show("connect back", connect(in, (void *)&at, length));
	for (n = 0; send(out, "x", 1, 0) == 1;)
		n++;
	show("send", -1);
	printf("%d messages\n", n > 200);
	length = named(&at, "in");
	show("to one that is taken", sendto(lone, "x", 1, 0, (void *)&at, length));
	show("connect to it", connect(lone, (void *)&at, length));
	close(in);
	ready("gone", out);
	show("send", send(out, "x", 1, 0));
	show("send", send(out, "x", 1, 0));
	show("sendto", sendto(lone, "x", 1, 0, (void *)&at, length));
	at.sun_family = AF_UNSPEC;
	show("part", connect(out, (void *)&at, sizeof(sa_family_t)));
	show("peer", getpeername(out, (void *)&at, &length));
	char *big = calloc(1, 300000);
	int pair[2];
	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair);
	for (int size = 100; size < 300000; size *= 3) {
		long sent, count = 0;
		while ((sent = send(pair[0], big, size, 0)) == size)
			count++;
		printf("%d bytes: %ld, %s\n", size, count, strerror(errno));
		while (recv(pair[1], big, 300000, 0) >= 0)
			;
	}
	close(pair[0]), close(pair[1]), close(out), close(lone);
}

static void sequenced(void)
{
	char text[32];
	int fd = bound(SOCK_SEQPACKET, "seq");
	listen(fd, 5);
	int a = to(SOCK_SEQPACKET, "seq", "connect"), b = accept(fd, NULL, NULL);
	show("send", send(a, "one", 3, MSG_EOR));
	show("send", send(a, "two", 3, 0));
	show("send", send(a, "", 0, 0));
	show("recv", recv(b, text, 2, MSG_TRUNC));
	show("recv", recv(b, text, 20, MSG_WAITALL));
	show("recv", recv(b, text, 20, 0));
	show("shutdown", shutdown(a, SHUT_WR));
	show("recv", recv(b, text, 20, 0));
	show("send", send(a, "x", 1, 0));
	show("send", send(b, "back", 4, 0));
	show("recv", recv(a, text, 20, 0));
	printf("SIGPIPE %d\n", broken);
	ready("half", a);
	ready("half", b);
	close(a), close(b), close(fd);
}

/* ---- what travels with bytes ---- */

static long pass(int fd, const char *text, int count, const int *fds, struct ucred *who)
{
	char control[2048] = { 0 };
	struct iovec part = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *c = (void *)control;
	size_t used = 0;
	if (count) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
		used += CMSG_SPACE(count * sizeof(int));
	}
	if (who) {
		c = (void *)(control + used);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_CREDENTIALS;
		c->cmsg_len = CMSG_LEN(sizeof(*who));
		memcpy(CMSG_DATA(c), who, sizeof(*who));
		used += CMSG_SPACE(sizeof(*who));
	}
	m.msg_controllen = used;
	return sendmsg(fd, &m, 0);
}

static int got[64], nr_got;

static void take(const char *what, int fd, int size, int room, int flags)
{
	char control[2048], text[64];
	struct sockaddr_un from;
	struct iovec part = { text, size };
	struct msghdr m = { .msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = room ? control : NULL,
			    .msg_controllen = room };
	long n = show(what, recvmsg(fd, &m, flags));
	if (n < 0)
		return;
	printf("  %.*s, flags %#x, control %zu\n", (int)n, text, m.msg_flags,
	       (size_t)m.msg_controllen);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		printf("  %d/%d, %zu bytes\n", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
		if (c->cmsg_type == SCM_RIGHTS)
			for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
				int f = ((int *)CMSG_DATA(c))[i];
				got[nr_got++ % 64] = f;
				printf("  a file, cloexec %d\n", fcntl(f, F_GETFD));
			}
		if (c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred *who = (void *)CMSG_DATA(c);
			printf("  %s %d %d\n",
			       who->pid == getpid() ? "me"
			       : who->pid           ? "another"
						    : "nobody",
			       who->uid == getuid() ? 1 : (int)who->uid,
			       who->gid == getgid() ? 1 : (int)who->gid);
		}
	}
}

static void rights(int type)
{
	int pair[2], p[2], on = 1;
	char text[16];
	socketpair(AF_UNIX, type, 0, pair);
	pipe(p);
	show("pass one", pass(pair[0], "one", 1, &p[1], NULL));
	show("pass two", pass(pair[0], "two", 2, p, NULL));
	show("plain", pass(pair[0], "plain", 0, NULL, NULL));
	take("one", pair[1], 64, 64, 0);
	take("two", pair[1], 64, CMSG_LEN(4), MSG_CMSG_CLOEXEC);
	take("plain", pair[1], 64, 64, 0);
	close(p[1]);
	write(got[0], "through", 7);
	printf("%zd\n", read(p[0], text, 16));
	for (int i = 0; i < nr_got; i++)
		close(got[i]);
	nr_got = 0;
	show("end", read(p[0], text, 16));
	show("pass", pass(pair[0], "three", 1, p, NULL));
	take("no room", pair[1], 64, 0, MSG_DONTWAIT);
	show("pass", pass(pair[0], "peeked", 1, p, NULL));
	take("peek", pair[1], 3, 64, MSG_PEEK);
	take("take", pair[1], 3, 64, 0);
	take("rest", pair[1], 64, 64, MSG_DONTWAIT);
	int bad = 99;
	show("bad", pass(pair[0], "bad", 1, &bad, NULL));
	struct ucred me = { getpid(), getuid(), getgid() }, no = { 1 << 21, getuid(), getgid() };
	show("who, unasked", pass(pair[0], "a", 0, NULL, &me));
	show("setsockopt", setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	show("who, asked", pass(pair[0], "b", 0, NULL, &me));
	show("who, implied", pass(pair[0], "c", 1, p, NULL));
	show("who, wrong", pass(pair[0], "d", 0, NULL, &no));
	for (int i = 0; i < 3; i++)
		take("creds", pair[1], 64, 256, MSG_DONTWAIT);
	for (int i = 0; i < nr_got; i++)
		close(got[i]);
	nr_got = 0;
	close(p[0]), close(pair[0]), close(pair[1]);
}

/* Sockets that hold each other: nothing is left open. */
static void cycles(void)
{
	int p[2], a[2], b[2];
	char c;
	pipe(p);
	socketpair(AF_UNIX, SOCK_STREAM, 0, a);
	socketpair(AF_UNIX, SOCK_STREAM, 0, b);
	pass(a[0], "x", 1, &b[1], NULL);
	pass(b[0], "x", 1, &a[1], NULL);
	pass(a[0], "x", 1, &p[1], NULL);
	close(p[1]);
	close(a[0]), close(a[1]), close(b[0]), close(b[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, a);
	close(a[0]), close(a[1]);
	show("the pipe is closed", read(p[0], &c, 1));
	int chain[2], last = -1;
	pipe(p);
	for (int i = 0; i < 200; i++) {
		socketpair(AF_UNIX, SOCK_DGRAM, 0, chain);
		pass(chain[0], "x", 1, last < 0 ? &p[1] : &last, NULL);
		close(last < 0 ? p[1] : last);
		close(chain[0]);
		last = chain[1];
	}
	close(last);
	show("a long chain is, too", read(p[0], &c, 1));
	close(p[0]);
}

/* ---- flags and options ---- */

static void urgent(void)
{
	int pair[2], mark = 0;
	char text[32] = { 0 };
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
	show("oob", send(pair[0], "abc!", 4, MSG_OOB));
	show("send", send(pair[0], "def", 3, 0));
	ready("urgent", pair[1]);
	show("oob", recv(pair[1], text, 9, MSG_OOB | MSG_PEEK));
	show("read", read(pair[1], text, 32));
	printf("%s\n", text);
	show("oob", recv(pair[1], text, 9, MSG_OOB));
	show("oob", recv(pair[1], text, 9, MSG_OOB));
	memset(text, 0, 32);
	show("read", read(pair[1], text, 32));
	printf("%s\n", text);
	close(pair[0]), close(pair[1]);
}

// What is not a stream has no mark; an error queue is not asked for; no byte is not urgent.
static void meaningless(void)
{
	int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

	for (int i = 0; i < 3; i++) {
		int pair[2], mark = -1;
		char data[10];
		socketpair(AF_UNIX, types[i] | SOCK_NONBLOCK, 0, pair);
		show("mark", ioctl(pair[0], SIOCATMARK, &mark));
		show("unsent", ioctl(pair[0], SIOCOUTQ, &mark));
		show("not yet sent", ioctl(pair[0], SIOCOUTQNSD, &mark));
		show("nothing urgent", send(pair[0], data, 0, MSG_OOB));
		show("send", send(pair[0], "abc", 3, 0));
		show("error queue", recv(pair[1], data, 10, MSG_ERRQUEUE));
		show("of none", recv(pair[1], data, 10, MSG_ERRQUEUE));
		close(pair[0]), close(pair[1]);
	}
	int listening = socket(AF_UNIX, SOCK_STREAM, 0), unsent = -1;
	bind(listening, &(struct sockaddr){ AF_UNIX }, sizeof(sa_family_t)); /* any name */
	listen(listening, 1);
	show("unsent of who listens", ioctl(listening, SIOCOUTQ, &unsent));
	show("unread", ioctl(listening, SIOCINQ, &unsent));
	printf("%d\n", unsent);
	close(listening);
}

static void memory(int type, int fd, const char *what)
{
	unsigned told[10] = { [9] = 7 };
	socklen_t bytes = sizeof told;

	printf("%d %s: ", type, what);
	show("memory", getsockopt(fd, SOL_SOCKET, SO_MEMINFO, told, &bytes));
	printf("%u:", bytes);
	for (int i = 0; i < 10; i++)
		printf(" %u", told[i]);
	printf("\n");
}

static void memories(void)
{
	int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET }, size = 5000;
	char data[10000] = "";

	for (int i = 0; i < 3; i++) {
		int pair[2];
		socklen_t room = 10;
		socketpair(AF_UNIX, types[i], 0, pair);
		memory(types[i], pair[0], "new");
		send(pair[0], data, 1, 0), send(pair[0], data, sizeof data, 0);
		memory(types[i], pair[0], "sender"), memory(types[i], pair[1], "receiver");
		recv(pair[1], data, sizeof data, 0);
		setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
		setsockopt(pair[1], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
		memory(types[i], pair[0], "sender"), memory(types[i], pair[1], "receiver");
		show("set", setsockopt(pair[0], SOL_SOCKET, SO_MEMINFO, data, 36));
		show("room", getsockopt(pair[0], SOL_SOCKET, SO_MEMINFO, data, &room));
		printf("%u\n", room);
		close(pair[1]);
		memory(types[i], pair[0], "alone");
		close(pair[0]);
	}
}

static void flags(void)
{
	int pair[2], status;
	char text[32];
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	if (!fork()) {
		write(pair[0], "ab", 2);
		usleep(20000);
		write(pair[0], "cd", 2);
		usleep(20000);
		write(pair[0], "ef", 2);
		exit(0);
	}
	show("waitall", recv(pair[1], text, 5, MSG_WAITALL));
	printf("%.5s\n", text);
	show("peek", recv(pair[1], text, 5, MSG_PEEK));
	wait(&status);
	show("dontwait", recv(pair[1], text, 5, MSG_DONTWAIT));
	show("dontwait", recv(pair[1], text, 5, MSG_DONTWAIT));
	struct timeval limit = { 0, 100000 };
	setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	show("in time", recv(pair[1], text, 5, 0));
	show("in time", read(pair[1], text, 5));
	long sent = 0, n;
	static char much[8192];
	while ((n = write(pair[0], much, sizeof(much))) > 0)
		sent += n;
	show("write in time", n);
	printf("%ld\n", sent);
	int left;
	show("unsent", ioctl(pair[0], TIOCOUTQ, &left));
	printf("%d\n", left);
	show("unread", ioctl(pair[1], FIONREAD, &left));
	printf("%d\n", left);
	ready("full", pair[0]);
	int size = 3000;
	show("read", read(pair[1], much, 8000));
	ready("some", pair[0]);
	while (recv(pair[1], much, 8192, MSG_DONTWAIT) > 0)
		;
	ready("all", pair[0]);
	for (n = 0; send(pair[0], "x", 1, MSG_DONTWAIT) == 1; n++)
		;
	printf("%ld single bytes\n", n);
	struct mmsghdr several[3] = { 0 };
	struct iovec parts[3] = { { "one", 3 }, { "three", 5 }, { "x", 1 } };
	close(pair[0]), close(pair[1]);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	for (int i = 0; i < 3; i++)
		several[i].msg_hdr = (struct msghdr){ .msg_iov = parts + i, .msg_iovlen = 1 };
	show("sendmmsg", sendmmsg(pair[0], several, 3, 0));
	printf("%u %u %u\n", several[0].msg_len, several[1].msg_len, several[2].msg_len);
	char into[3][4];
	for (int i = 0; i < 3; i++)
		parts[i] = (struct iovec){ into[i], 4 };
	show("recvmmsg", recvmmsg(pair[1], several, 2, 0, NULL));
	printf("%u %u, %#x %#x\n", several[0].msg_len, several[1].msg_len,
	       several[0].msg_hdr.msg_flags, several[1].msg_hdr.msg_flags);
	show("recvmmsg", recvmmsg(pair[1], several, 2, MSG_WAITFORONE, NULL));
	show("recvmmsg", recvmmsg(pair[1], several, 2, MSG_DONTWAIT, NULL));
	close(pair[0]), close(pair[1]);
}

static void option(int fd, const char *what, int level, int name, int value)
{
	int r = setsockopt(fd, level, name, &value, sizeof(value)), e = errno,
	    back[4] = { -9, -9, -9, -9 };
	socklen_t length = sizeof(back);
	int g = getsockopt(fd, level, name, back, &length);
	printf("%s: set %d %s, get %d %s: %d, %u bytes\n", what, r, r ? strerror(e) : "", g,
	       g ? strerror(errno) : "", back[0], length);
}

static void options(int type)
{
	int fd = socket(AF_UNIX, type, 0);
#define O(name, value) option(fd, #name, SOL_SOCKET, name, value)
	O(SO_REUSEADDR, 5), O(SO_REUSEPORT, 1), O(SO_TYPE, 1), O(SO_ERROR, 1), O(SO_BROADCAST, 1);
	O(SO_SNDBUF, 1000), O(SO_RCVBUF, 1000), O(SO_SNDBUF, 50000), O(SO_RCVBUF, 1 << 30),
		O(SO_SNDBUF, -1);
	O(SO_KEEPALIVE, 1), O(SO_OOBINLINE, 1), O(SO_LINGER, 1), O(SO_PASSCRED, 1),
		O(SO_PEERCRED, 1);
	O(SO_RCVLOWAT, 0), O(SO_RCVLOWAT, 5), O(SO_SNDLOWAT, 5), O(SO_ACCEPTCONN, 1),
		O(SO_PROTOCOL, 1);
	O(SO_DOMAIN, 1), O(SO_PRIORITY, 3), O(SO_TIMESTAMP, 1), O(SO_RCVTIMEO, 1), O(999, 1);
	option(fd, "level 0", 0, 1, 1);
	option(fd, "level 6", 6, 1, 1);
	struct timeval t = { 3, 500000 }, bad = { 1, 1000000 }, back;
	socklen_t length = sizeof(back);
	show("timeout", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	show("timeout", getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &back, &length));
	printf("%ld.%06ld\n", (long)back.tv_sec, (long)back.tv_usec);
	show("bad timeout", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bad, sizeof(bad)));
	struct linger l = { 1, 7 };
	show("linger", setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	close(fd);
}

static void watched(void)
{
	struct epoll_event e = { EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, { .u32 = 7 } };
	int pair[2], set = epoll_create1(0);
	char text[9];
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	epoll_ctl(set, EPOLL_CTL_ADD, pair[1], &e);
#define W printf("%d", epoll_wait(set, &e, 1, 0)), printf(" %#x\n", e.events), e.events = 0
	W;
	W;
	write(pair[0], "x", 1);
	W;
	W;
	read(pair[1], text, 9);
	W;
	shutdown(pair[0], SHUT_WR);
	W;
	close(pair[0]);
	W;
	close(pair[1]), close(set);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, note);
	mkdtemp(folder);
	names();
	abstract();
	blocking();
	datagrams();
	sequenced();
	rights(SOCK_STREAM);
	rights(SOCK_DGRAM);
	rights(SOCK_SEQPACKET);
	cycles();
	urgent();
	meaningless();
	memories();
	flags();
	options(SOCK_STREAM);
	options(SOCK_DGRAM);
	watched();
	char command[100];
	const char *made[] = { "blocking", "in", "out", "seq", "one" };
	for (int i = 0; i < 5; i++)
		snprintf(command, 100, "%s/%s", folder, made[i]), unlink(command);
	show("rmdir", rmdir(folder));
	return 0;
}
