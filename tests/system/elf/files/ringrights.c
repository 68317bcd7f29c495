// io_uring_register: identities, restrictions, rings by a number, rings for one task, buffers of other
// rings, messages without a ring, clocks; io_uring_enter with two times; commands of sockets.
#define _GNU_SOURCE
#include "../newrings.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

static char memory[4][4096] __attribute__((aligned(4096)));

static void identities(struct ring *r, const char *folder)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/of another", folder);
	printf("wrong %ld %ld\n", reg(r, IORING_REGISTER_PERSONALITY, path, 0),
	       reg(r, IORING_REGISTER_PERSONALITY, NULL, 1));
	long first = reg(r, IORING_REGISTER_PERSONALITY, NULL, 0);
	long second = reg(r, IORING_REGISTER_PERSONALITY, NULL, 0);
	printf("%ld %ld\n", first, second);
	printf("forget %ld again %ld none %ld\n",
	       reg(r, IORING_UNREGISTER_PERSONALITY, NULL, (unsigned)first),
	       reg(r, IORING_UNREGISTER_PERSONALITY, NULL, (unsigned)first),
	       reg(r, IORING_UNREGISTER_PERSONALITY, NULL, 0));
	printf("%ld\n", reg(r, IORING_REGISTER_PERSONALITY, NULL, 0));
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 1)->personality = (uint16_t)second;
	tell(r, "with one", 1, 1);
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 2)->personality = (uint16_t)first;
	tell(r, "with one that is forgotten", 1, 1);
	unlink(path);
	next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 3)->open_flags = O_CREAT | O_RDWR;
	r->sqes[(*word(r->rings, r->p.sq_off.tail) - 1) & 15].personality = (uint16_t)second;
	long fd = one(r, 1);
	struct stat st;
	printf("made by the caller %d\n", !fstat((int)fd, &st) && st.st_uid == geteuid());
	close((int)fd);
	unlink(path);
}

static long restrict_ring(struct ring *r, unsigned kind, unsigned value, unsigned more)
{
	struct {
		uint16_t kind;
		uint8_t value, pad[13];
	} all[4] = { { (uint16_t)kind, (uint8_t)value, { 0 } },
		     { 0, IORING_REGISTER_ENABLE_RINGS, { 0 } },
		     { 0, IORING_REGISTER_PROBE, { 0 } },
		     { 2, IOSQE_IO_LINK, { 0 } } };

	return reg(r, IORING_REGISTER_RESTRICTIONS, all, more);
}

static void restrictions(struct ring *r)
{
	struct ring own;

	printf("enabled %ld\n", restrict_ring(r, 1, IORING_OP_NOP, 3));
	open_ring(&own, IORING_SETUP_R_DISABLED);
	printf("wrong kind %ld opcode %ld nowhere %ld\n", restrict_ring(&own, 9, 0, 1),
	       restrict_ring(&own, 1, 200, 1), reg(&own, IORING_REGISTER_RESTRICTIONS, NULL, 1));
	printf("restrict %ld", restrict_ring(&own, 1, IORING_OP_NOP, 4));
	printf(" again %ld", restrict_ring(&own, 1, IORING_OP_NOP, 3));
	printf(" a file, not enabled %ld", reg(&own, IORING_REGISTER_FILES, &own.fd, 0));
	printf(" enable %ld", reg(&own, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
	printf(" files %ld\n", reg(&own, IORING_REGISTER_FILES, &own.fd, 1));
	next(&own, IORING_OP_NOP, -1, NULL, 0, 0, 1);
	tell(&own, "allowed", 1, 1);
	next(&own, IORING_OP_FSYNC, 0, NULL, 0, 0, 2);
	tell(&own, "not allowed", 1, 1);
	next(&own, IORING_OP_NOP, -1, NULL, 0, 0, 3)->flags = IOSQE_IO_LINK;
	tell(&own, "an allowed flag", 1, 1);
	next(&own, IORING_OP_NOP, -1, NULL, 0, 0, 4)->flags = IOSQE_ASYNC;
	tell(&own, "another flag", 1, 1);
	close(own.fd);
	open_ring(&own, IORING_SETUP_R_DISABLED);
	printf("required %ld", restrict_ring(&own, 3, IOSQE_ASYNC, 1));
	printf(" enable %ld\n", reg(&own, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
	next(&own, IORING_OP_NOP, -1, NULL, 0, 0, 5)->flags = IOSQE_ASYNC;
	tell(&own, "no opcode", 1, 1);
	close(own.fd);
}

struct update {
	uint32_t offset, resv;
	uint64_t data;
};

static void numbers(struct ring *r)
{
	struct update up[2] = { { ANY_SLOT, 0, (unsigned)r->fd }, { 5, 0, (unsigned)r->fd } };

	printf("known %ld:", reg(r, IORING_REGISTER_RING_FDS, up, 2));
	printf(" %u %u\n", up[0].offset, up[1].offset);
	up[0].offset = 5;
	printf("taken %ld", reg(r, IORING_REGISTER_RING_FDS, up, 1));
	up[0].offset = 16;
	printf(" too high %ld", reg(r, IORING_REGISTER_RING_FDS, up, 1));
	up[0].offset = ANY_SLOT;
	up[0].data = 0;
	printf(" no ring %ld", reg(r, IORING_REGISTER_RING_FDS, up, 1));
	up[0].data = 99;
	printf(" no file %ld", reg(r, IORING_REGISTER_RING_FDS, up, 1));
	up[0].resv = 1;
	printf(" reserved %ld none %ld\n", reg(r, IORING_REGISTER_RING_FDS, up, 1),
	       reg(r, IORING_REGISTER_RING_FDS, up, 0));
	struct ring by = *r;
	by.fd = 5;
	next(&by, IORING_OP_NOP, -1, NULL, 0, 0, 1);
	printf("enter %ld", enter(&by, 1, 1, IORING_ENTER_GETEVENTS | 16));
	by.fd = 16;
	printf(" too high %ld", enter(&by, 0, 0, 16));
	by.fd = 7;
	printf(" not there %ld\n", enter(&by, 0, 0, 16));
	show(r, "done");
	by.fd = 5;
	printf("register %ld\n", reg(&by, IORING_REGISTER_PERSONALITY | 1u << 31, NULL, 0));
	up[0].offset = 5;
	up[0].resv = 0;
	up[0].data = 0;
	printf("forget %ld", reg(r, IORING_UNREGISTER_RING_FDS, up, 1));
	printf(" again %ld", reg(r, IORING_UNREGISTER_RING_FDS, up, 1));
	up[0].data = 1;
	printf(" wrong %ld\n", reg(r, IORING_UNREGISTER_RING_FDS, up, 1));
}

static void *other_task(void *arg)
{
	struct ring *r = arg;

	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 1);
	printf("another task: submits %ld", enter(r, 1, 0, 0));
	printf(" looks %ld registers %ld\n", enter(r, 0, 0, 0),
	       reg(r, IORING_REGISTER_PERSONALITY, NULL, 0));
	return NULL;
}

static void one_issuer(unsigned flags)
{
	struct ring own;
	pthread_t thread;

	open_ring(&own, IORING_SETUP_SINGLE_ISSUER | flags);
	if (flags)
		printf("enable %ld\n", reg(&own, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
	pthread_create(&thread, NULL, other_task, &own);
	pthread_join(thread, NULL);
	close(own.fd);
}

static void calling_off(struct ring *r)
{
	int p[2], q[2];
	struct {
		uint64_t addr;
		int32_t fd;
		uint32_t flags;
		int64_t timeout[2];
		uint8_t opcode, pad[7];
		uint64_t pad2[3];
	} arg = { .addr = 1, .timeout = { -1, -1 } };

	if (pipe(p) || pipe(q))
		return;
	for (int i = 1; i < 5; i++)
		next(r, IORING_OP_POLL_ADD, i == 3 ? q[0] : p[0], NULL, 0, 0, (uint64_t)i)
			->poll32_events = 1;
	printf("waiting %ld\n", enter(r, 4, 0, 0));
	printf("off %ld", reg(r, IORING_REGISTER_SYNC_CANCEL, &arg, 1));
	printf(" again %ld", reg(r, IORING_REGISTER_SYNC_CANCEL, &arg, 1));
	printf(" nr %ld", reg(r, IORING_REGISTER_SYNC_CANCEL, &arg, 2));
	arg.flags = 2;
	arg.fd = q[0];
	printf(" of a file %ld", reg(r, IORING_REGISTER_SYNC_CANCEL, &arg, 1));
	arg.fd = 99;
	printf(" of none %ld", reg(r, IORING_REGISTER_SYNC_CANCEL, &arg, 1));
	arg.flags = 1u << 9;
	printf(" wrong flag %ld", reg(r, IORING_REGISTER_SYNC_CANCEL, &arg, 1));
	arg.flags = 0;
	arg.pad2[1] = 1;
	printf(" wrong field %ld\n", reg(r, IORING_REGISTER_SYNC_CANCEL, &arg, 1));
	show(r, "their ends");
	arg.pad2[1] = 0;
	arg.flags = 4;
	reg(r, IORING_REGISTER_SYNC_CANCEL, &arg, 1);
	run(r, "the others", 0, 0);
	int all[] = { p[0], p[1], q[0], q[1] };
	for (int i = 0; i < 4; i++)
		close(all[i]);
}

static void clones(struct ring *r)
{
	struct ring from, to;
	struct iovec v[2] = { { memory[0], 4096 }, { memory[1], 4096 } };
	uint32_t arg[8] = { 0 };
	char data[4];
	int p[2];

	if (pipe(p))
		return;
	open_ring(&from, 0);
	open_ring(&to, 0);
	arg[0] = (uint32_t)from.fd;
	printf("of none %ld", reg(&to, 30, arg, 1));
	reg(&from, IORING_REGISTER_BUFFERS, v, 2);
	arg[2] = 1;
	printf(" a start without a number %ld", reg(&to, 30, arg, 1));
	arg[4] = 3;
	printf(" too many %ld", reg(&to, 30, arg, 1));
	arg[4] = 2;
	printf(" over %ld", reg(&to, 30, arg, 1));
	arg[4] = 1;
	arg[3] = 1;
	printf(" one %ld", reg(&to, 30, arg, 1));
	printf(" again %ld", reg(&to, 30, arg, 1));
	arg[1] = 2;
	arg[3] = 4;
	printf(" replace %ld", reg(&to, 30, arg, 1));
	arg[1] = 4;
	printf(" flag %ld", reg(&to, 30, arg, 1));
	arg[1] = 2;
	arg[6] = 1;
	printf(" pad %ld", reg(&to, 30, arg, 1));
	arg[6] = 0;
	arg[0] = 0;
	printf(" no ring %ld\n", reg(&to, 30, arg, 1));
	close(from.fd);
	for (int i = 0; i < 6; i++)
		next(&to, IORING_OP_WRITE_FIXED, p[1], memory[1], 1, 0, (uint64_t)i)->buf_index =
			(uint16_t)i;
	run(&to, "which are there", 6, 6);
	close(to.fd);
	close(p[0]);
	close(p[1]);
}

static void without_ring(struct ring *r)
{
	struct ring none = { .fd = -1 };
	struct io_uring_sqe e = { .opcode = IORING_OP_MSG_RING, .fd = r->fd, .off = 9, .len = 5 };

	printf("a message %ld", reg(&none, 31, &e, 1));
	printf(" nr %ld", reg(&none, 31, &e, 2));
	e.addr = 1;
	printf(" a file %ld", reg(&none, 31, &e, 1));
	e.addr = 0;
	e.fd = 0;
	printf(" no ring %ld", reg(&none, 31, &e, 1));
	e.fd = 99;
	printf(" no file %ld", reg(&none, 31, &e, 1));
	e.fd = r->fd;
	e.flags = IOSQE_ASYNC;
	printf(" flags %ld", reg(&none, 31, &e, 1));
	e.flags = 0;
	e.opcode = IORING_OP_NOP;
	printf(" opcode %ld by a ring %ld\n", reg(&none, 31, &e, 1), reg(r, 31, &e, 1));
	tell(r, "got", 0, 0);
}

static void clocks(struct ring *r)
{
	uint32_t arg[4] = { CLOCK_BOOTTIME, 0, 0, 0 };

	printf("boottime %ld", reg(r, 29, arg, 0));
	arg[0] = CLOCK_MONOTONIC;
	printf(" monotonic %ld nr %ld", reg(r, 29, arg, 0), reg(r, 29, arg, 1));
	arg[0] = CLOCK_REALTIME;
	printf(" realtime %ld", reg(r, 29, arg, 0));
	arg[0] = 1;
	arg[2] = 1;
	printf(" reserved %ld\n", reg(r, 29, arg, 0));
}

static long wait_twice(struct ring *r, unsigned wanted, unsigned least_us, long nanoseconds)
{
	struct __kernel_timespec ts = { 0, nanoseconds };
	struct io_uring_getevents_arg arg = { .pad = least_us, .ts = (uintptr_t)&ts };

	return result(syscall(__NR_io_uring_enter, r->fd, 0, wanted,
			      IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)));
}

static void two_times(struct ring *r)
{
	printf("nothing comes %ld\n", wait_twice(r, 2, 1000, 3000000));
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 1);
	enter(r, 1, 0, 0);
	printf("one is enough later %ld\n", wait_twice(r, 2, 1000, 900000000));
	show(r, "it");
}

static void command(struct ring *r, const char *what, int fd, unsigned op, unsigned level,
		    unsigned option, void *value, unsigned length)
{
	struct io_uring_sqe *e = next(r, IORING_OP_URING_CMD, fd, NULL, 0, op, 1);

	e->addr = level | (uint64_t)option << 32;
	e->file_index = length;
	e->addr3 = (uintptr_t)value;
	tell(r, what, 1, 1);
}

static void commands(struct ring *r)
{
	int p[2], value = 0, tcp = socket(AF_INET, SOCK_STREAM, 0);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p))
		return;
	command(r, "unread", tcp, 0, 0, 0, NULL, 0);
	command(r, "unsent", tcp, 1, 0, 0, NULL, 0);
	command(r, "unread of AF_UNIX", p[0], 0, 0, 0, NULL, 0);
	command(r, "type", tcp, 2, SOL_SOCKET, SO_TYPE, &value, 4);
	printf("%d\n", value);
	command(r, "less room", tcp, 2, SOL_SOCKET, SO_TYPE, &value, 2);
	command(r, "no room", tcp, 2, SOL_SOCKET, SO_TYPE, &value, (unsigned)-1);
	command(r, "another level", tcp, 2, IPPROTO_TCP, TCP_NODELAY, &value, 4);
	command(r, "none", tcp, 2, SOL_SOCKET, 9999, &value, 4);
	value = 1;
	command(r, "set", tcp, 3, SOL_SOCKET, SO_REUSEADDR, &value, 4);
	command(r, "set of another level", tcp, 3, IPPROTO_TCP, TCP_NODELAY, &value, 4);
	command(r, "get", tcp, 2, SOL_SOCKET, SO_REUSEADDR, &value, 4);
	command(r, "nowhere", tcp, 2, SOL_SOCKET, SO_TYPE, (void *)8, 4);
	command(r, "too short", tcp, 3, SOL_SOCKET, SO_REUSEADDR, &value, 2);
	command(r, "no command", tcp, 99, 0, 0, NULL, 0);
	command(r, "no socket", r->fd, 0, 0, 0, NULL, 0);
	next(r, IORING_OP_URING_CMD, tcp, NULL, 0, 1ull << 32, 2);
	tell(r, "wrong field", 1, 1);
	close(tcp);
	close(p[0]);
	close(p[1]);
}

int main(int argc, char **argv)
{
	struct ring r;

	setvbuf(stdout, NULL, _IONBF, 0);
	open_ring(&r, 0);
	identities(&r, argc > 1 ? argv[1] : "/tmp");
	restrictions(&r);
	numbers(&r);
	one_issuer(0);
	one_issuer(IORING_SETUP_R_DISABLED);
	calling_off(&r);
	clones(&r);
	without_ring(&r);
	clocks(&r);
	two_times(&r);
	commands(&r);
	return 0;
}
