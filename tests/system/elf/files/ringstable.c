// What entries point to is read when they are taken: it may change while they wait.
#define _GNU_SOURCE
#include "newrings.h"
#include <sched.h>
#include <sys/socket.h>
#include <sys/uio.h>

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

int main(void)
{
	struct ring r;
	setvbuf(stdout, NULL, _IONBF, 0);
	told();
	open_ring(&r, 0);
	asked(&r);
	vectors(&r);
	messages(&r);
	wrong(&r);
	open_ring(&r, IORING_SETUP_SUBMIT_ALL);
	wrong(&r);
	return 0;
}
