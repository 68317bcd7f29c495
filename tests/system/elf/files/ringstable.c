// What entries point to is read when they are taken: it may change while they wait.
#define _GNU_SOURCE
#include "newrings.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>

static char old[32], new[32];

static void clear(void)
{
	memset(old, '.', 8);
	memset(new, '.', 8);
	old[8] = new[8] = 0;
}
static void shown(void) { printf("  old %s new %s\n", old, new); }

static void vectors(struct ring *r)
{
	int p[2], q[2];
	struct iovec v[2] = { { old, 3 }, { old + 4, 3 } };
	pipe(p);
	pipe(q);
	clear();
	next(r, IORING_OP_READV, p[0], v, 2, 0, 1);
	tell(r, "readv waits", 1, 0);
	v[0] = (struct iovec){ new, 6 };
	v[1].iov_base = (void *)8;
	write(p[1], "abcdef", 6);
	tell(r, "readv", 0, 1);
	shown();
	clear();
	memcpy(old, "OLD", 3);
	memcpy(new, "NEWER", 5);
	v[0] = (struct iovec){ old, 3 };
	next(r, IORING_OP_READ, p[0], new + 8, 1, 0, 1)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_WRITEV, q[1], v, 1, 0, 2);
	tell(r, "writev waits", 2, 0);
	v[0] = (struct iovec){ new, 5 };
	write(p[1], "x", 1);
	tell(r, "writev", 0, 2);
	char got[9] = "";
	printf("  got %ld %s\n", (long)read(q[0], got, 8), got);
	v[0] = (struct iovec){ old, 4 };
	next(r, IORING_OP_READ, p[0], new, 1, 0, 1)->flags = IOSQE_IO_DRAIN;
	next(r, IORING_OP_READV, q[0], v, 1, 0, 2)->flags = IOSQE_IO_DRAIN;
	tell(r, "drained", 2, 0);
	v[0] = (struct iovec){ new, 1 };
	write(q[1], "drained", 7);
	write(p[1], "y", 1);
	tell(r, "drain", 0, 2);
	shown();
}

static void messages(struct ring *r)
{
	int s[2], p[2];
	struct iovec v = { old, 8 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	pipe(p);
	clear();
	next(r, IORING_OP_RECVMSG, s[0], &m, 1, 0, 1);
	tell(r, "recvmsg waits", 1, 0);
	v.iov_base = new;
	m.msg_iov = (void *)8;
	send(s[1], "message", 7, 0);
	tell(r, "recvmsg", 0, 1);
	shown();
	clear();
	memcpy(old, "OLD", 3);
	v = (struct iovec){ old, 3 };
	m = (struct msghdr){ .msg_iov = &v, .msg_iovlen = 1 };
	next(r, IORING_OP_READ, p[0], new, 1, 0, 1)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_SENDMSG, s[1], &m, 1, 0, 2);
	tell(r, "sendmsg waits", 2, 0);
	v.iov_len = 8;
	m.msg_iovlen = 0;
	write(p[1], "x", 1);
	tell(r, "sendmsg", 0, 2);
	char got[9] = "";
	printf("  got %ld %s\n", (long)recv(s[0], got, 8, 0), got);
}

// What cannot be read makes no sense: nothing behind it is taken, unless all are.
static void wrong(struct ring *r)
{
	int p[2], s[2];
	struct iovec v = { old, 3 }, far = { (void *)-4096, 3 };
	struct msghdr many = { .msg_iov = &v, .msg_iovlen = 1025 };
	struct msghdr lost = { .msg_iov = (void *)8, .msg_iovlen = 1 };
	pipe(p);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
	write(p[1], "abcdef", 6);
	struct {
		const char *what;
		int op, fd;
		void *at;
		unsigned count;
	} all[] = {
		{ "readv", IORING_OP_READV, p[0], (void *)8, 1 },
		{ "readv of no file", IORING_OP_READV, 99, (void *)8, 1 },
		{ "readv of many", IORING_OP_READV, p[0], &v, 1025 },
		{ "readv far", IORING_OP_READV, p[0], &far, 1 },
		{ "readv of none", IORING_OP_READV, p[0], &v, 0 },
		{ "writev", IORING_OP_WRITEV, p[1], (void *)8, 1 },
		{ "sendmsg", IORING_OP_SENDMSG, s[0], (void *)8, 1 },
		{ "sendmsg of many", IORING_OP_SENDMSG, s[0], &many, 1 },
		{ "sendmsg lost", IORING_OP_SENDMSG, s[0], &lost, 1 },
		{ "recvmsg", IORING_OP_RECVMSG, s[0], (void *)8, 1 },
		{ "recvmsg of many", IORING_OP_RECVMSG, s[0], &many, 1 },
		{ "recvmsg of no socket", IORING_OP_RECVMSG, p[0], &lost, 1 },
	};
	for (int i = 0; i < (int)(sizeof all / sizeof *all); i++)
		for (int linked = 0; linked < 2; linked++) {
			next(r, IORING_OP_NOP, -1, 0, 0, 0, 1)->flags = linked ? IOSQE_IO_LINK : 0;
			next(r, all[i].op, all[i].fd, all[i].at, all[i].count, 0, 2)->flags =
				linked ? IOSQE_IO_LINK : 0;
			next(r, IORING_OP_NOP, -1, 0, 0, 0, 3);
			tell(r, all[i].what, 3, 0);
			tell(r, " more", 1, 0);
		}
}

// What is told to a ring, and read again. The numbers of workers that a host has are its own.
static void told(void)
{
	struct io_uring_params p = { 0 };
	struct ring r = { .fd = (int)setup(2, &p) };
	uint64_t mask[16] = { 1 };
	printf("processors %ld %ld %ld %ld %ld %ld", reg(&r, 17, mask, 8), reg(&r, 17, mask, 128),
	       reg(&r, 17, mask, 0), reg(&r, 17, NULL, 8), reg(&r, 17, (void *)8, 8),
	       reg(&r, 17, (mask[0] = 0, mask), 8));
	printf(" any %ld %ld\n", reg(&r, 18, NULL, 0), reg(&r, 18, mask, 0));
	uint32_t w[][2] = { { 0, 0 }, { 3, 5 }, { 0, 7 }, { 0, 1u << 31 }, { 0, 0 } };
	for (int i = 0; i < 5; i++) {
		long done = reg(&r, 19, w[i], 2);
		printf("workers %ld %u %u\n", done, w[i][0], i > 1 ? w[i][1] : 0);
	}
	printf("wrong %ld %ld %ld\n", reg(&r, 19, w, 1), reg(&r, 19, NULL, 2),
	       reg(&r, 19, (void *)8, 2));
	uint32_t n[][4] = { { 100, 1, 0, 0 },   { 5, 7, 1, 0 },       { 6, 0, 2, 0 },
			    { 6, 0x100, 0, 0 }, { 6, 0x10000, 0, 0 }, { 6, 0, 0, 1 } };
	for (int i = 0; i < 6; i++) {
		long done = reg(&r, 27, n[i], 1);
		printf("polls %ld %u %x %u %u\n", done, n[i][0], n[i][1], n[i][2], n[i][3]);
	}
	printf("wrong %ld %ld", reg(&r, 27, NULL, 1), reg(&r, 27, (void *)8, 1));
	printf(" quiet %ld %ld %ld %u", reg(&r, 28, NULL, 0), reg(&r, 28, (void *)8, 1),
	       reg(&r, 28, n, 1), n[0][0]);
	printf(" %ld %ld %u %u\n", reg(&r, 28, NULL, 1), reg(&r, 28, n, 1), n[0][0], n[0][2]);
}

struct question {
	uint64_t next, data;
	uint32_t op, size;
	int32_t result;
	uint32_t reserved[3];
};

// What is answered is each kernel's own: how much, and what is refused.
static void asked(struct ring *r)
{
	static char room[8192];
	struct question all[] = {
		{ 0, 1, 0, 48 },           { 0, 1, 0, 40 },    { 0, 1, 0, 64 },
		{ 0, 1, 0, 8000 },         { 0, 1, 0, 0 },     { 0, 1, 9, 48 },
		{ 0, 1, 0, 48, 0, { 1 } }, { 0, 1, 0, 48, 5 }, { 0, 0, 0, 48 },
		{ 0, 0, 9, 48 },           { 0, 0, 9, 0 },     { 8, 1, 0, 48 },
	};
	for (int i = 0; i < (int)(sizeof all / sizeof *all); i++) {
		struct question *q = &all[i];
		int touched = 0;

		memset(room, 1, sizeof room);
		q->data = q->data ? (uintptr_t)room : 0;
		long done = result(syscall(__NR_io_uring_register, i % 2 ? r->fd : -1, 35, q, 0));
		for (int at = 0; at < (int)sizeof room; at++)
			touched = room[at] == 1 ? touched : at + 1;
		printf("asked %ld %d %u %d\n", done, q->result, q->size, touched);
	}
	struct question last = { 0, (uintptr_t)room, 9, 48 };
	struct question first = { (uintptr_t)&last, (uintptr_t)room, 0, 48 };
	struct question again = { (uintptr_t)&again, 0, 9, 0 };
	long done = reg(r, 35, &first, 0);
	printf("list %ld %d %d", done, first.result, last.result);
	printf(" endless %ld", reg(r, 35, &again, 0));
	printf(" none %ld wrong %ld %ld\n", reg(r, 35, NULL, 0), reg(r, 35, &first, 1),
	       reg(r, 35, (void *)8, 0));
}

static char folder[200], path[256], other[256];
static struct __kernel_timespec ts;
static struct epoll_event ev;
static struct open_how how;
static struct sockaddr_un un;
static int gate[2];

// Wait in front of the entry that is to follow.
static void hold(struct ring *r)
{
	static char byte;
	next(r, IORING_OP_READ, gate[0], &byte, 1, 0, 90)->flags = IOSQE_IO_LINK;
}

// Have both taken, change all that they were given, and let them go.
static void change(struct ring *r, unsigned nr)
{
	enter(r, nr, 0, 0);
	memset(path, 0, sizeof(path));
	memset(other, 0, sizeof(other));
	memset(&ts, -1, sizeof(ts));
	memset(&ev, 0, sizeof(ev));
	memset(&how, -1, sizeof(how));
	memset(&un, 0, sizeof(un));
	write(gate[1], "x", 1);
}

static void go(struct ring *r, const char *what)
{
	change(r, 2);
	tell(r, what, 0, 2);
}

static void opened(struct ring *r, const char *what)
{
	change(r, 2);
	one(r, 0);
	int fd = (int)one(r, 0);
	printf("%s %d\n", what, fd > 0 ? close(fd) : fd);
}

static void name(char *to, const char *which) { snprintf(to, 256, "%s/%s", folder, which); }

static void names(struct ring *r, const char *below)
{
	struct statx sx;
	char value[20] = "";

	snprintf(folder, sizeof(folder), "%s/stableXXXXXX", below);
	mkdtemp(folder);
	hold(r);
	name(path, "made");
	next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 1)->open_flags = O_CREAT | O_RDWR |
									    O_CLOEXEC;
	opened(r, "openat");
	hold(r);
	name(path, "made");
	how = (struct open_how){ .flags = O_RDWR | O_CLOEXEC };
	next(r, IORING_OP_OPENAT2, AT_FDCWD, path, sizeof(how), (uintptr_t)&how, 1);
	opened(r, "openat2");
	hold(r);
	name(path, "made");
	next(r, IORING_OP_STATX, AT_FDCWD, path, STATX_SIZE, (uintptr_t)&sx, 1);
	go(r, "statx");
	hold(r);
	name(path, "folder");
	next(r, IORING_OP_MKDIRAT, AT_FDCWD, path, 0700, 0, 1);
	go(r, "mkdirat");
	hold(r);
	name(path, "made");
	name(other, "folder/renamed");
	next(r, IORING_OP_RENAMEAT, AT_FDCWD, path, (unsigned)AT_FDCWD, (uintptr_t)other, 1);
	go(r, "renameat");
	hold(r);
	name(other, "link");
	strcpy(path, "folder/renamed");
	next(r, IORING_OP_SYMLINKAT, AT_FDCWD, path, 0, (uintptr_t)other, 1);
	go(r, "symlinkat");
	hold(r);
	name(path, "folder/renamed");
	name(other, "hard");
	next(r, IORING_OP_LINKAT, AT_FDCWD, path, (unsigned)AT_FDCWD, (uintptr_t)other, 1);
	go(r, "linkat");
	hold(r);
	name(other, "hard");
	strcpy(path, "user.some");
	strcpy(value, "abc");
	next(r, IORING_OP_SETXATTR, 0, path, 3, (uintptr_t)value, 1)->addr3 = (uintptr_t)other;
	go(r, "setxattr");
	hold(r);
	name(other, "hard");
	strcpy(path, "user.some");
	next(r, IORING_OP_GETXATTR, 0, path, 20, (uintptr_t)value, 1)->addr3 = (uintptr_t)other;
	go(r, "getxattr");
	printf("%s\n", value);
	name(path, "hard");
	int fd = open(path, O_RDWR);
	hold(r);
	strcpy(path, "user.more");
	strcpy(other, "klm");
	next(r, IORING_OP_FSETXATTR, fd, path, 3, (uintptr_t)other, 1);
	go(r, "fsetxattr");
	hold(r);
	strcpy(path, "user.more");
	memset(value, 0, 20);
	next(r, IORING_OP_FGETXATTR, fd, path, 20, (uintptr_t)value, 1);
	go(r, "fgetxattr");
	printf("%s\n", value);
	for (int i = 0; i < 3; i++) {
		static const char *names[] = { "hard", "link", "folder/renamed" };
		hold(r);
		name(path, names[i]);
		next(r, IORING_OP_UNLINKAT, AT_FDCWD, path, 0, 0, 1);
		go(r, "unlinkat");
	}
	hold(r);
	name(path, "folder");
	next(r, IORING_OP_UNLINKAT, AT_FDCWD, path, 0, 0, 1)->unlink_flags = AT_REMOVEDIR;
	go(r, "rmdir");
	printf("rmdir %d\n", rmdir(folder));
	close(fd);
}

static void times(struct ring *r)
{
	char value[1];
	int p[2];

	pipe(p);
	hold(r);
	ts = (struct __kernel_timespec){ 0, 1000 };
	next(r, IORING_OP_TIMEOUT, -1, &ts, 1, 0, 1);
	go(r, "timeout");
	hold(r);
	ts = (struct __kernel_timespec){ 0, 1000 };
	next(r, IORING_OP_READ, p[0], value, 1, 0, 1)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_LINK_TIMEOUT, -1, &ts, 1, 0, 2);
	change(r, 3);
	tell(r, "link timeout", 0, 3);
	struct __kernel_timespec far = { 1000, 0 };
	next(r, IORING_OP_TIMEOUT, -1, &far, 1, 0, 7);
	enter(r, 1, 0, 0);
	hold(r);
	ts = (struct __kernel_timespec){ 0, 1000 };
	next(r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)7, 0, (uintptr_t)&ts, 1)->timeout_flags =
		IORING_TIMEOUT_UPDATE;
	change(r, 2);
	tell(r, "update", 0, 3);
}

static void addresses(struct ring *r)
{
	struct sockaddr_un from = { .sun_family = AF_UNIX, .sun_path = "\0stable-" UNIQUE };
	socklen_t length = sizeof(sa_family_t) + 8 + strlen(UNIQUE);
	int s[3], ep = epoll_create1(0), p[2];
	char value[20] = "";

	pipe(p);
	for (int i = 0; i < 3; i++)
		s[i] = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	hold(r);
	un = from;
	next(r, OP_BIND, s[0], &un, 0, length, 1);
	go(r, "bind");
	hold(r);
	un = from;
	next(r, IORING_OP_CONNECT, s[1], &un, 0, length, 1);
	go(r, "connect");
	hold(r);
	un = from;
	struct io_uring_sqe *e = next(r, IORING_OP_SEND, s[2], "abc", 3, (uintptr_t)&un, 1);
	e->addr_len = (uint16_t)length;
	go(r, "send to");
	printf("got %ld\n", (long)recv(s[0], value, 20, 0));
	hold(r);
	ev = (struct epoll_event){ EPOLLIN, { .u64 = 5 } };
	next(r, IORING_OP_EPOLL_CTL, ep, &ev, EPOLL_CTL_ADD, (uint64_t)p[0], 1);
	go(r, "epoll_ctl");
	write(p[1], "x", 1);
	struct epoll_event found = { 0 };
	printf("%d ", epoll_wait(ep, &found, 1, 0));
	printf("%d\n", (int)found.data.u64);
}

static void lost(struct ring *r)
{
	struct statx sx;
	struct io_uring_sqe *e;
	char value[20] = "";
	int ep = epoll_create1(0);

	// What cannot be read when it is taken: is what stands before it done, and what behind?
	struct {
		const char *what;
		int op;
		void *addr;
		unsigned len;
		uint64_t off, addr3;
		unsigned flags;
	} wrong[] = {
		{ "openat", IORING_OP_OPENAT, (void *)8, 0, 0, 0 },
		{ "openat of nothing", IORING_OP_OPENAT, "", 0, 0, 0 },
		{ "openat2", IORING_OP_OPENAT2, "x", 24, 8, 0 },
		{ "openat2 short", IORING_OP_OPENAT2, "x", 23, 8, 0 },
		{ "openat2 far", IORING_OP_OPENAT2, (void *)8, 24, (uintptr_t)&how, 0 },
		{ "statx", IORING_OP_STATX, (void *)8, 0, (uintptr_t)&sx, 0 },
		{ "statx of nothing", IORING_OP_STATX, "", 0, (uintptr_t)&sx, 0 },
		{ "statx here", IORING_OP_STATX, "", 0, (uintptr_t)&sx, 0, AT_EMPTY_PATH },
		{ "statx null", IORING_OP_STATX, NULL, 0, (uintptr_t)&sx, 0, AT_EMPTY_PATH },
		{ "mkdirat", IORING_OP_MKDIRAT, (void *)8, 0, 0, 0 },
		{ "renameat", IORING_OP_RENAMEAT, "x", 0, 8, 0 },
		{ "renameat of", IORING_OP_RENAMEAT, (void *)8, 0, (uintptr_t)"x", 0 },
		{ "symlinkat", IORING_OP_SYMLINKAT, (void *)8, 0, (uintptr_t)"x", 0 },
		{ "symlinkat to", IORING_OP_SYMLINKAT, "x", 0, 8, 0 },
		{ "linkat", IORING_OP_LINKAT, (void *)8, 0, (uintptr_t)"x", 0 },
		{ "linkat to", IORING_OP_LINKAT, "x", 0, 8, 0 },
		{ "unlinkat", IORING_OP_UNLINKAT, (void *)8, 0, 0, 0 },
		{ "unlinkat flags", IORING_OP_UNLINKAT, "x", 0, 0, 0, 1 },
		{ "renameat flags", IORING_OP_RENAMEAT, "", 0, (uintptr_t)"", 0, 0x80 },
		{ "linkat flags", IORING_OP_LINKAT, "x", 0, (uintptr_t)"x", 0, 0x80 },
		{ "setxattr name", IORING_OP_SETXATTR, (void *)8, 3, (uintptr_t)"abc",
		  (uintptr_t)"x" },
		{ "setxattr no name", IORING_OP_SETXATTR, "", 3, (uintptr_t)"abc", (uintptr_t)"x" },
		{ "setxattr value", IORING_OP_SETXATTR, "user.x", 3, 8, (uintptr_t)"x" },
		{ "setxattr path", IORING_OP_SETXATTR, "user.x", 3, (uintptr_t)"abc", 8 },
		{ "setxattr long", IORING_OP_SETXATTR, "user.x", 70000, (uintptr_t)"abc", 8 },
		{ "setxattr flags", IORING_OP_SETXATTR, "user.x", 3, (uintptr_t)"abc", 8, 9 },
		{ "getxattr name", IORING_OP_GETXATTR, (void *)8, 3, (uintptr_t)value,
		  (uintptr_t)"x" },
		{ "getxattr no name", IORING_OP_GETXATTR, "", 3, (uintptr_t)value, (uintptr_t)"x" },
		{ "getxattr path", IORING_OP_GETXATTR, "user.x", 3, (uintptr_t)value, 8 },
		{ "fsetxattr name", IORING_OP_FSETXATTR, (void *)8, 3, (uintptr_t)"abc", 0 },
		{ "fsetxattr value", IORING_OP_FSETXATTR, "user.x", 3, 8, 0 },
		{ "fgetxattr name", IORING_OP_FGETXATTR, (void *)8, 3, (uintptr_t)value, 0 },
		{ "timeout", IORING_OP_TIMEOUT, (void *)8, 1, 0, 0 },
		{ "timeout wrong", IORING_OP_TIMEOUT, &ts, 1, 0, 0 },
		{ "update", IORING_OP_TIMEOUT_REMOVE, (void *)7, 0, 8, 0, 2 },
		{ "update wrong", IORING_OP_TIMEOUT_REMOVE, (void *)7, 0, (uintptr_t)&ts, 0, 2 },
		{ "bind", OP_BIND, (void *)8, 0, 10, 0 },
		{ "bind long", OP_BIND, &un, 0, 1000, 0 },
		{ "connect", IORING_OP_CONNECT, (void *)8, 0, 10, 0 },
		{ "connect long", IORING_OP_CONNECT, &un, 0, 1000, 0 },
		{ "send to", IORING_OP_SEND, "abc", 3, 8, 0 },
		{ "epoll_ctl", IORING_OP_EPOLL_CTL, (void *)8, EPOLL_CTL_ADD, 99, 0 },
		{ "epoll_ctl gone", IORING_OP_EPOLL_CTL, (void *)8, EPOLL_CTL_DEL, 99, 0 },
	};
	memset(&ts, -1, sizeof(ts));
	for (int i = 0; i < (int)(sizeof wrong / sizeof *wrong); i++)
		for (int linked = 0; linked < 2; linked++) {
			next(r, IORING_OP_NOP, -1, 0, 0, 0, 1)->flags = linked ? IOSQE_IO_LINK : 0;
			e = next(r, wrong[i].op,
				 strstr(wrong[i].what, "statx h")     ? AT_FDCWD
				 : wrong[i].op == IORING_OP_EPOLL_CTL ? ep
								      : 99,
				 wrong[i].addr, wrong[i].len, wrong[i].off, 2);
			e->addr3 = wrong[i].addr3;
			e->rw_flags = (int)wrong[i].flags;
			if (wrong[i].op == IORING_OP_SEND)
				e->addr_len = 10;
			next(r, IORING_OP_NOP, -1, 0, 0, 0, 3);
			long submitted = enter(r, 3, 0, 0);
			enter(r, 0, submitted, IORING_ENTER_GETEVENTS);
			show(r, wrong[i].what);
			enter(r, 1, 0, 0);
			show(r, " more");
		}
}

int main(int argc, char **argv)
{
	struct ring r;
	setvbuf(stdout, NULL, _IONBF, 0);
	told();
	open_ring(&r, 0);
	asked(&r);
	vectors(&r);
	messages(&r);
	wrong(&r);
	pipe(gate);
	names(&r, argc > 1 ? argv[1] : "/tmp");
	times(&r);
	addresses(&r);
	lost(&r);
	open_ring(&r, IORING_SETUP_SUBMIT_ALL);
	wrong(&r);
	return 0;
}
