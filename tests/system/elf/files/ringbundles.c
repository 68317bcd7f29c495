// Bundles: one send or receive by many provided buffers; receives that go on up to a number of
// bytes, and what MSG_WAITALL waits for. Each case has sockets, a ring and buffers of its own.
#define _GNU_SOURCE
#include "newrings.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define BUNDLE 16
#define VECTORS 32
#define MULTI IORING_RECV_MULTISHOT
#define NR 8

static char memory[NR][8];
static struct io_uring_buf_ring *offered;
static struct ring r;
static int ends[2];

static void pair(int kind)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t bytes = sizeof a;

	if (kind) {
		socketpair(AF_UNIX, kind, 0, ends);
		return;
	}
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	bind(listener, (void *)&a, bytes);
	getsockname(listener, (void *)&a, &bytes);
	listen(listener, 2);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	connect(ends[0], (void *)&a, bytes);
	ends[1] = accept(listener, NULL, NULL);
	close(listener);
}

static void begin(int kind, int count, unsigned bytes)
{
	struct io_uring_buf_reg arg = { (uintptr_t)offered, NR, 6 };

	pair(kind);
	open_ring(&r, 0);
	memset(offered, 0, 4096);
	reg(&r, IORING_REGISTER_PBUF_RING, &arg, 1);
	memset(memory, 0, sizeof memory);
	for (int i = 0; i < count; i++) {
		memset(memory[i], 'a' + i, 7);
		offered->bufs[i] = (struct io_uring_buf){ .addr = (uintptr_t)memory[i],
							  .len = bytes,
							  .bid = (uint16_t)i };
	}
	__atomic_store_n(&offered->tail, (uint16_t)count, __ATOMIC_RELEASE);
}

static struct io_uring_sqe *ask(int op, int end, unsigned length, int prio)
{
	struct io_uring_sqe *e = next(&r, op, ends[end], NULL, length, 0, 1);

	e->ioprio = (uint16_t)prio;
	e->flags = IOSQE_BUFFER_SELECT;
	e->buf_group = 6;
	return e;
}

static void look(const char *what, unsigned submit, unsigned wait)
{
	struct {
		uint32_t group, head, reserved[8];
	} status = { 6 };

	tell(&r, what, submit, wait);
	reg(&r, 26, &status, 1);
	printf("   head %u:", status.head);
	for (int i = 0; i < NR && memory[i][0]; i++)
		printf(" %s", memory[i]);
	printf("\n");
}

// What has come to the other end; then all of this case goes.
static void end(void)
{
	char buf[64];

	for (long n; (n = recv(ends[1], buf, sizeof buf, MSG_DONTWAIT)) > 0;)
		printf("   %.*s\n", (int)n, buf);
	next(&r, IORING_OP_ASYNC_CANCEL, -1, NULL, 0, 0, 2)->cancel_flags = IORING_ASYNC_CANCEL_ANY;
	enter(&r, 1, 1, IORING_ENTER_GETEVENTS);
	close(ends[0]);
	close(ends[1]);
	close(r.fd);
}

static void sends(int kind)
{
	static const unsigned lengths[] = { 0, 7, 2, 6, 12, 100 };
	struct iovec parts[] = { { "abc", 3 }, { "de", 2 } };

	for (int i = 0; i < 6; i++) {
		begin(kind, 4, 3);
		ask(IORING_OP_SEND, 0, lengths[i], BUNDLE);
		printf("%u: ", lengths[i]);
		look("sent", 1, 1);
		end();
	}
	begin(kind, 0, 3);
	ask(IORING_OP_SEND, 0, 0, BUNDLE);
	look("no buffers", 1, 1);
	ask(IORING_OP_SEND, 0, 3, BUNDLE)->flags = 0;
	look("nowhere", 1, 1);
	struct io_uring_sqe *e = ask(IORING_OP_SEND, 0, 2, VECTORS);
	e->flags = 0;
	e->addr = (uintptr_t)parts;
	look("vectors", 1, 1);
	ask(IORING_OP_SENDMSG, 0, 1, BUNDLE)->flags = 0;
	look("a message", 1, 1);
	ask(IORING_OP_RECVMSG, 0, 1, BUNDLE)->flags = 0;
	look("a message", 1, 1);
	ask(IORING_OP_RECV, 0, 1, VECTORS)->flags = 0;
	look("an unknown flag", 1, 1);
	end();
	begin(kind, 2, 3);
	ask(IORING_OP_SEND, 0, 3, BUNDLE)->flags |= IOSQE_IO_LINK;
	next(&r, IORING_OP_NOP, -1, NULL, 0, 0, 2);
	look("linked", 2, 1);
	end();
}

static void receives(int kind)
{
	static const struct {
		unsigned buffers, length, prio, limit;
	} cases[] = {
		{ 5, 0, BUNDLE },
		{ 5, 6, BUNDLE },
		{ 5, 8, BUNDLE },
		{ 5, 3, BUNDLE },
		{ 5, 40, BUNDLE },
		{ 2, 0, BUNDLE },
		{ 1, 0, BUNDLE },
		{ 6, 0, BUNDLE | MULTI },
		{ 6, 6, BUNDLE | MULTI },
		{ 6, 3, MULTI },
		{ 6, 0, MULTI, 7 },
		{ 6, 0, BUNDLE | MULTI, 7 },
		{ 6, 4, BUNDLE | MULTI, 9 },
		{ 6, 0, BUNDLE, 7 },
	};

	for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
		begin(kind, (int)cases[i].buffers, 4);
		printf("%u buffers, %u bytes, %x, %u: ", cases[i].buffers, cases[i].length,
		       cases[i].prio, cases[i].limit);
		ask(IORING_OP_RECV, 1, cases[i].length, (int)cases[i].prio)->file_index =
			cases[i].limit;
		look("begun", 1, 0);
		send(ends[0], "0123456789", 10, 0);
		look(" ten", 0, 0);
		send(ends[0], "AB", 2, 0);
		look(" two", 0, 0);
		close(ends[0]);
		ends[0] = -1;
		look(" end", 0, 0);
		end();
	}
}

static void waits_for_all(int kind, int prio)
{
	begin(kind, 5, 4);
	ask(IORING_OP_RECV, 1, prio ? 9 : 4, prio)->msg_flags = MSG_WAITALL;
	look("all of it", 1, 0);
	send(ends[0], "01", 2, 0);
	look(" two", 0, 0);
	send(ends[0], "23456789AB", 10, 0);
	look(" ten", 0, 0);
	end();
	char text[16] = "................";
	struct iovec v[] = { { text, 5 }, { text + 8, 4 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
	begin(kind, 0, 0);
	next(&r, IORING_OP_RECVMSG, ends[1], &m, 1, 0, 3)->msg_flags = MSG_WAITALL;
	look("a message", 1, 0);
	send(ends[0], "0123456", 7, 0);
	look(" seven", 0, 0);
	send(ends[0], "789AB", 5, 0);
	look(" five", 0, 0);
	printf("   %.16s\n", text);
	end();
}

static void of_a_list(int kind)
{
	begin(kind, 0, 0);
	next(&r, IORING_OP_PROVIDE_BUFFERS, 3, memory, 4, 0, 3)->buf_group = 7;
	look("provided", 1, 1);
	send(ends[0], "0123456789", 10, 0);
	ask(IORING_OP_RECV, 1, 0, BUNDLE)->buf_group = 7;
	look("received", 1, 1);
	ask(IORING_OP_SEND, 0, 0, BUNDLE)->buf_group = 7;
	look("sent", 1, 1);
	next(&r, IORING_OP_PROVIDE_BUFFERS, 3, memory, 4, 0, 3)->buf_group = 7;
	look("provided", 1, 1);
	ask(IORING_OP_SEND, 0, 2, BUNDLE)->buf_group = 7;
	look("sent", 1, 1);
	end();
}

int main(void)
{
	static const int kinds[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

	setvbuf(stdout, NULL, _IONBF, 0);
	offered = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 3; i++) {
		printf("kind %d\n", kinds[i]);
		sends(kinds[i]);
		receives(kinds[i]);
		waits_for_all(kinds[i], BUNDLE);
		waits_for_all(kinds[i], 0);
		of_a_list(kinds[i]);
	}
	printf("IP\n");
	receives(0);
	return 0;
}
