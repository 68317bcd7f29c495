// io_uring by its three calls: rings mapped in both ways, what each opcode answers, links, timeouts,
// cancelling, registered things, errors. Completions are printed by user_data, in that order.
#define _GNU_SOURCE
#include "asleep.h"
#include "../rings.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void setups(void)
{
	struct io_uring_params p;
	const unsigned entries[] = { 0, 1, 3, 16, 4096, 32768, 32769 };

	printf("no params %ld\n", setup(8, NULL));
	for (unsigned i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		memset(&p, 0, sizeof(p));
		long fd = setup(entries[i], &p);
		printf("%u entries: %s %u %u array %x cqes %x\n", entries[i],
		       fd < 0 ? strerror((int)-fd) : "ok", p.sq_entries, p.cq_entries,
		       p.sq_off.array, p.cq_off.cqes);
		if (fd >= 0) {
			printf("cloexec %d\n", fcntl((int)fd, F_GETFD));
			close((int)fd);
		}
	}
	memset(&p, 0, sizeof(p));
	p.resv[1] = 1;
	printf("reserved %ld\n", setup(8, &p));
	memset(&p, 0, sizeof(p));
	p.flags = 1u << 30;
	printf("flag %ld\n", setup(8, &p));
	memset(&p, 0, sizeof(p));
	p.flags = IORING_SETUP_CQSIZE;
	printf("no cq %ld\n", setup(8, &p));
	p.cq_entries = 4;
	printf("small cq %ld\n", setup(8, &p));
	p.cq_entries = 100;
	long fd = setup(8, &p);
	printf("cq %u\n", p.cq_entries);
	close((int)fd);
	memset(&p, 0, sizeof(p));
	p.flags = IORING_SETUP_CLAMP;
	fd = setup(1000000, &p);
	printf("clamped %u %u\n", p.sq_entries, p.cq_entries);
	close((int)fd);
	memset(&p, 0, sizeof(p));
	p.flags = IORING_SETUP_DEFER_TASKRUN;
	printf("defer alone %ld\n", setup(8, &p));
	memset(&p, 0, sizeof(p));
	p.flags = IORING_SETUP_TASKRUN_FLAG;
	printf("taskrun alone %ld\n", setup(8, &p));
}

static void errors(struct ring *r)
{
	struct ring none = { .fd = -1 }, file = { .fd = 0 };
	char byte;

	printf("enter: %ld %ld %ld\n", enter(&none, 0, 0, 0), enter(&file, 0, 0, 0),
	       enter(r, 0, 0, 1u << 20));
	printf("register: %ld %ld %ld %ld\n", reg(&none, 8, NULL, 0), reg(&file, 8, NULL, 0),
	       reg(r, 1000, NULL, 0), reg(r, IORING_REGISTER_PROBE, NULL, 0));
	printf("read %ld write %ld lseek %ld\n", result(read(r->fd, &byte, 1)),
	       result(write(r->fd, &byte, 1)), result(lseek(r->fd, 0, SEEK_SET)));
	printf("mmap elsewhere %d\n",
	       mmap(NULL, 4096, PROT_READ, MAP_SHARED, r->fd, 0x9000000) == MAP_FAILED ? errno : 0);
	printf("mmap too much %d\n",
	       mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, r->fd, IORING_OFF_SQES) == MAP_FAILED
		       ? errno
		       : 0);
	printf("nothing to submit %ld\n", enter(r, 5, 0, 0));
	next(r, 255, 0, NULL, 0, 0, 1);
	next(r, IORING_OP_NOP, 0, NULL, 0, 0, 2);
	printf("stops at the first %ld", enter(r, 2, 0, 0));
	printf(" then %ld\n", enter(r, 1, 0, 0));
	show(r, "unknown opcode");
	next(r, IORING_OP_NOP, 0, NULL, 0, 0, 1)->flags = 0x80;
	enter(r, 1, 1, 1);
	next(r, IORING_OP_READ, 99, &byte, 1, 0, 2);
	enter(r, 1, 1, 1);
	next(r, IORING_OP_FSYNC, 0, &byte, 0, 0, 3);
	enter(r, 1, 1, 1);
	next(r, IORING_OP_NOP, 0, NULL, 0, 0, 4)->personality = 7;
	enter(r, 1, 1, 1);
	next(r, IORING_OP_NOP, 0, NULL, 0, 0, 5)->ioprio = 7;
	enter(r, 1, 1, 1);
	next(r, IORING_OP_CLOSE, 99, NULL, 0, 0, 6);
	enter(r, 1, 1, 1);
	next(r, IORING_OP_READ, 0, &byte, 1, 0, 7)->flags = IOSQE_FIXED_FILE;
	enter(r, 1, 1, 1);
	next(r, IORING_OP_READ_FIXED, 0, &byte, 1, 0, 8);
	enter(r, 1, 1, 1);
	next(r, IORING_OP_NOP, 0, NULL, 0, 0, 9)->flags = IOSQE_BUFFER_SELECT;
	enter(r, 1, 1, 1);
	next(r, IORING_OP_TIMEOUT, 0, &byte, 2, 0, 10);
	enter(r, 1, 1, 1);
	next(r, IORING_OP_TIMEOUT, 0, (void *)8, 1, 0, 11);
	enter(r, 1, 1, 1);
	show(r, "errors");
}

static void files(struct ring *r, const char *folder)
{
	char path[200], other[200], data[64] = { 0 }, more[64] = { 0 };
	struct iovec v[2] = { { data, 3 }, { more, 4 } };
	struct stat st;

	snprintf(path, sizeof(path), "%s/a file", folder);
	snprintf(other, sizeof(other), "%s/another", folder);
	next(r, IORING_OP_OPENAT, AT_FDCWD, path, 0600, 0, 1)->open_flags = O_RDWR | O_CREAT;
	enter(r, 1, 1, IORING_ENTER_GETEVENTS);
	uint32_t *head = word(r->cqs, r->p.cq_off.head);
	struct io_uring_cqe *cqes = (void *)(r->cqs + r->p.cq_off.cqes);
	int fd = cqes[(*head)++ & (r->p.cq_entries - 1)].res;
	next(r, IORING_OP_WRITE, fd, "0123456789abcdef", 16, 0, 1);
	next(r, IORING_OP_FSYNC, fd, NULL, 0, 0, 2)->fsync_flags = IORING_FSYNC_DATASYNC;
	run(r, "write, fsync", 2, 2);
	next(r, IORING_OP_READ, fd, data, 5, 10, 1);
	run(r, "read", 1, 1);
	printf("%s\n", data);
	next(r, IORING_OP_READV, fd, v, 2, (uint64_t)-1, 1);
	run(r, "readv here", 1, 1);
	printf("%s %s, now at %ld\n", data, more, lseek(fd, 0, SEEK_CUR));
	next(r, IORING_OP_WRITEV, fd, v, 2, 100, 1);
	next(r, IORING_OP_READ, fd, data, 5, 1000, 2);
	next(r, IORING_OP_READ, fd, (void *)8, 5, 0, 3);
	next(r, IORING_OP_FALLOCATE, fd, (void *)5000, 0, 0, 4);
	run(r, "writev, read beyond, to nowhere, fallocate", 4, 4);
	fstat(fd, &st);
	printf("size %ld\n", st.st_size);
	struct statx stx = { 0 };
	next(r, IORING_OP_STATX, AT_FDCWD, path, STATX_SIZE, (uintptr_t)&stx, 1);
	next(r, IORING_OP_MKDIRAT, AT_FDCWD, other, 0700, 0, 2);
	run(r, "statx, mkdir", 2, 2);
	printf("statx size %llu\n", (unsigned long long)stx.stx_size);
	next(r, IORING_OP_UNLINKAT, AT_FDCWD, other, 0, 0, 1)->unlink_flags = AT_REMOVEDIR;
	run(r, "rmdir", 1, 1);
	next(r, IORING_OP_LINKAT, AT_FDCWD, path, (unsigned)AT_FDCWD, (uintptr_t)other, 1);
	run(r, "link", 1, 1);
	next(r, IORING_OP_RENAMEAT, AT_FDCWD, other, (unsigned)AT_FDCWD, (uintptr_t)path, 1);
	run(r, "rename", 1, 1);
	next(r, IORING_OP_UNLINKAT, AT_FDCWD, path, 0, 0, 1);
	next(r, IORING_OP_CLOSE, fd, NULL, 0, 0, 2);
	run(r, "unlink, close", 2, 2);
	printf("closed %d\n", fcntl(fd, F_GETFD));
}

static void waiting(struct ring *r)
{
	int p[2];
	char data[16] = { 0 };

	if (pipe(p))
		return;
	next(r, IORING_OP_READ, p[0], data, 10, 0, 1);
	printf("submitted %ld\n", enter(r, 1, 0, 0));
	show(r, "an empty pipe");
	if (write(p[1], "hello", 5) == 5)
		enter(r, 0, 1, IORING_ENTER_GETEVENTS);
	show(r, "written to");
	printf("%s\n", data);
	next(r, IORING_OP_POLL_ADD, p[0], NULL, 0, 0, 1)->poll32_events = POLLIN;
	next(r, IORING_OP_POLL_ADD, p[1], NULL, 0, 0, 2)->poll32_events = POLLOUT;
	run(r, "poll", 2, 1);
	pid_t child = fork();
	if (!child) {
		until_state(getppid(), 'S');
		_exit(write(p[1], "child", 5) != 5);
	}
	run(r, "poll, from elsewhere", 0, 1);
	waitpid(child, NULL, 0);
	next(r, IORING_OP_READ, p[0], data, 10, 0, 1);
	next(r, IORING_OP_READ, p[0], data, 10, 0, 2);
	run(r, "the first of two", 2, 1);
	close(p[1]);
	run(r, "end of file", 0, 1);
	close(p[0]);
	if (pipe2(p, O_NONBLOCK))
		return;
	next(r, IORING_OP_READ, p[0], data, 10, 0, 1);
	enter(r, 1, 0, 0);
	show(r, "an empty pipe that does not wait");
	if (write(p[1], "now", 3) == 3)
		run(r, "but the ring does", 0, 1);
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	next(r, IORING_OP_WRITE, p[1], data, 10, 0, 1);
	run(r, "nobody reads", 1, 1);
	close(p[1]);
}

static void cancelling(struct ring *r)
{
	int p[2];
	char data[16];

	if (pipe(p))
		return;
	next(r, IORING_OP_READ, p[0], data, 10, 0, 1);
	next(r, IORING_OP_READ, p[0], data, 10, 0, 2);
	next(r, IORING_OP_POLL_ADD, p[0], NULL, 0, 0, 3)->poll32_events = POLLIN;
	printf("three wait %ld\n", enter(r, 3, 0, 0));
	next(r, IORING_OP_ASYNC_CANCEL, -1, (void *)1, 0, 0, 10);
	next(r, IORING_OP_ASYNC_CANCEL, -1, (void *)99, 0, 0, 11);
	run(r, "cancel one, and none", 2, 3);
	next(r, IORING_OP_POLL_REMOVE, -1, (void *)3, 0, 0, 12);
	next(r, IORING_OP_POLL_REMOVE, -1, (void *)2, 0, 0, 13);
	run(r, "remove the poll, and what is none", 2, 3);
	next(r, IORING_OP_READ, p[0], data, 10, 0, 4);
	next(r, IORING_OP_ASYNC_CANCEL, -1, NULL, 0, 0, 14)->cancel_flags = IORING_ASYNC_CANCEL_ANY;
	run(r, "cancel all", 2, 3);
	close(p[0]);
	close(p[1]);
}

static void timeouts(struct ring *r)
{
	struct __kernel_timespec soon = { 0, 10000000 }, late = { 1000, 0 }, bad = { 0, -1 };
	int p[2];
	char data[4];

	if (pipe(p))
		return;
	next(r, IORING_OP_TIMEOUT, -1, &soon, 1, 0, 1);
	run(r, "timeout", 1, 1);
	next(r, IORING_OP_TIMEOUT, -1, &bad, 1, 0, 1);
	run(r, "bad time", 1, 1);
	next(r, IORING_OP_TIMEOUT, -1, &late, 1, 2, 1);
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 2);
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 3);
	run(r, "timeout of two", 3, 3);
	next(r, IORING_OP_TIMEOUT, -1, &late, 1, 0, 1);
	next(r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)1, 0, 0, 2);
	next(r, IORING_OP_TIMEOUT_REMOVE, -1, (void *)7, 0, 0, 3);
	run(r, "removed", 3, 3);
	next(r, IORING_OP_READ, p[0], data, 1, 0, 1)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_LINK_TIMEOUT, -1, &soon, 1, 0, 2);
	run(r, "read until", 2, 2);
	if (write(p[1], "x", 1) != 1)
		return;
	next(r, IORING_OP_READ, p[0], data, 1, 0, 1)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_LINK_TIMEOUT, -1, &late, 1, 0, 2);
	run(r, "read before", 2, 2);
	for (int flag = IOSQE_IO_LINK; flag <= IOSQE_IO_HARDLINK; flag *= 2) {
		if (write(p[1], "x", 1) != 1)
			return;
		next(r, IORING_OP_READ, p[0], data, 4, 0, 1)->flags = (uint8_t)flag;
		next(r, IORING_OP_NOP, -1, NULL, 0, 0, 2);
		run(r, "behind a short read", 2, 2);
	}
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	struct __kernel_timespec then = { now.tv_sec, now.tv_nsec };
	next(r, IORING_OP_TIMEOUT, -1, &then, 1, 0, 1)->timeout_flags = IORING_TIMEOUT_ABS;
	run(r, "a time that was", 1, 1);
	struct io_uring_getevents_arg arg = { .ts = (uintptr_t)&soon };
	printf("wait until %ld\n",
	       result(syscall(__NR_io_uring_enter, r->fd, 0, 1,
			      IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg))));
	printf("a wrong argument %ld\n",
	       result(syscall(__NR_io_uring_enter, r->fd, 0, 1,
			      IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, 5)));
	close(p[0]);
	close(p[1]);
}

static void links(struct ring *r)
{
	char data[4];

	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 1)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 2)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 3);
	run(r, "links", 3, 3);
	next(r, IORING_OP_READ, 99, data, 1, 0, 1)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 2)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 3);
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 4);
	run(r, "a broken chain", 4, 4);
	next(r, IORING_OP_READ, 99, data, 1, 0, 1)->flags = IOSQE_IO_HARDLINK;
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 2);
	run(r, "a hard one", 2, 2);
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 1)->flags = IOSQE_IO_LINK;
	next(r, 255, -1, NULL, 0, 0, 2)->flags = IOSQE_IO_LINK;
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 3);
	printf("a chain that makes no sense: taken %ld", enter(r, 3, 0, 0));
	printf(", then %ld\n", enter(r, 1, 0, 0));
	show(r, "its ends");
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 1)->flags = IOSQE_ASYNC;
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 2)->flags = IOSQE_IO_DRAIN;
	run(r, "async, drain", 2, 2);
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 1)->flags = IOSQE_CQE_SKIP_SUCCESS;
	next(r, IORING_OP_READ, 99, data, 1, 0, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
	run(r, "quiet successes", 2, 1);
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 1)->flags = IOSQE_IO_DRAIN;
	run(r, "no drain behind those", 1, 1);
}

static void sockets(struct ring *r)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0),
	    p[2];
	char data[16] = { 0 };

	bind(listener, (struct sockaddr *)&at, sizeof(at));
	listen(listener, 5);
	getsockname(listener, (struct sockaddr *)&at, &length);
	next(r, IORING_OP_ACCEPT, listener, NULL, 0, 0, 1)->accept_flags = SOCK_CLOEXEC;
	enter(r, 1, 0, 0);
	show(r, "nobody comes");
	next(r, IORING_OP_CONNECT, client, &at, 0, sizeof(at), 2);
	enter(r, 1, 2, IORING_ENTER_GETEVENTS);
	uint32_t *head = word(r->cqs, r->p.cq_off.head);
	struct io_uring_cqe *cqes = (void *)(r->cqs + r->p.cq_off.cqes);
	int server = -1, connected = -1;
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe *c = &cqes[(*head)++ & (r->p.cq_entries - 1)];
		*(c->user_data == 1 ? &server : &connected) = c->res;
	}
	printf("accepted %d cloexec %d connected %d\n", server > 0, fcntl(server, F_GETFD),
	       connected);
	next(r, IORING_OP_RECV, server, data, 10, 0, 1);
	next(r, IORING_OP_SEND, client, "by ring", 7, 0, 2);
	run(r, "send, recv", 2, 2);
	printf("%s\n", data);
	next(r, IORING_OP_RECV, server, data, 10, 0, 1)->msg_flags = MSG_DONTWAIT;
	next(r, IORING_OP_SHUTDOWN, client, NULL, SHUT_WR, 0, 2);
	run(r, "recv at once, shutdown", 2, 2);
	next(r, IORING_OP_RECV, server, data, 10, 0, 1);
	run(r, "its end", 1, 1);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, p))
		return;
	struct iovec v = { "a message", 9 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	next(r, IORING_OP_SENDMSG, p[0], &m, 1, 0, 1);
	run(r, "sendmsg", 1, 1);
	v.iov_base = data;
	next(r, IORING_OP_RECVMSG, p[1], &m, 1, 0, 1);
	run(r, "recvmsg", 1, 1);
	printf("%.9s\n", data);
	next(r, IORING_OP_SEND, 0, "x", 1, 0, 1);
	run(r, "no socket", 1, 1);
	int all[] = { listener, client, server, p[0], p[1] };
	for (int i = 0; i < 5; i++)
		close(all[i]);
}

static void registered(struct ring *r)
{
	int p[2], event = eventfd(0, 0);
	static char area[8192];
	struct iovec v = { area, sizeof(area) };
	uint64_t count;

	if (pipe(p))
		return;
	printf("buffers %ld again %ld\n", reg(r, IORING_REGISTER_BUFFERS, &v, 1),
	       reg(r, IORING_REGISTER_BUFFERS, &v, 1));
	printf("files %ld again %ld\n", reg(r, IORING_REGISTER_FILES, p, 2),
	       reg(r, IORING_REGISTER_FILES, p, 2));
	memcpy(area, "fixed", 5);
	struct io_uring_sqe *e = next(r, IORING_OP_WRITE_FIXED, 1, area, 5, 0, 1);
	e->flags = IOSQE_FIXED_FILE;
	run(r, "write from fixed to fixed", 1, 1);
	e = next(r, IORING_OP_READ_FIXED, p[0], area + 100, 5, 0, 1);
	run(r, "read to fixed", 1, 1);
	printf("%s\n", area + 100);
	next(r, IORING_OP_READ_FIXED, p[0], area + 8190, 5, 0, 1);
	next(r, IORING_OP_READ_FIXED, p[0], area, 5, 0, 2)->buf_index = 3;
	next(r, IORING_OP_READ, 7, area, 5, 0, 3)->flags = IOSQE_FIXED_FILE;
	run(r, "outside", 3, 3);
	printf("eventfd %ld again %ld of a pipe %ld\n", reg(r, IORING_REGISTER_EVENTFD, &event, 1),
	       reg(r, IORING_REGISTER_EVENTFD, &event, 1), reg(r, IORING_REGISTER_EVENTFD, p, 2));
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 1);
	next(r, IORING_OP_NOP, -1, NULL, 0, 0, 2);
	run(r, "told of", 2, 2);
	printf("eventfd read %ld", (long)read(event, &count, 8));
	printf(" some %d\n", count > 0);
	printf("unregister %ld %ld %ld, twice %ld %ld %ld\n",
	       reg(r, IORING_UNREGISTER_EVENTFD, NULL, 0), reg(r, IORING_UNREGISTER_FILES, NULL, 0),
	       reg(r, IORING_UNREGISTER_BUFFERS, NULL, 0),
	       reg(r, IORING_UNREGISTER_EVENTFD, NULL, 0), reg(r, IORING_UNREGISTER_FILES, NULL, 0),
	       reg(r, IORING_UNREGISTER_BUFFERS, NULL, 0));
	struct {
		struct io_uring_probe head;
		struct io_uring_probe_op ops[64];
	} probe = { 0 };
	printf("probe %ld nop %d last %d\n", reg(r, IORING_REGISTER_PROBE, &probe, 64),
	       probe.ops[IORING_OP_NOP].flags, probe.head.last_op);
	printf("probe again %ld\n", reg(r, IORING_REGISTER_PROBE, &probe, 64));
	close(p[0]);
	close(p[1]);
	close(event);
}

static void disabled(void)
{
	struct ring r;

	open_ring(&r, IORING_SETUP_R_DISABLED);
	printf("disabled %ld", enter(&r, 0, 0, 0));
	printf(" enable %ld", reg(&r, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
	printf(" again %ld", reg(&r, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
	printf(" now %ld\n", enter(&r, 0, 0, 0));
	close(r.fd);
}

// More ends than there is room for: none is lost.
static void overflow(void)
{
	struct ring r;

	open_ring(&r, 0);
	for (int i = 0; i < 40; i++) {
		next(&r, IORING_OP_NOP, -1, NULL, 0, 0, (uint64_t)i);
		enter(&r, 1, 0, 0);
	}
	printf("overflow %d flag %d\n",
	       *word(r.cqs, r.p.cq_off.tail) - *word(r.cqs, r.p.cq_off.head),
	       *word(r.rings, r.p.sq_off.flags) & IORING_SQ_CQ_OVERFLOW);
	struct pollfd p = { r.fd, POLLIN, 0 };
	printf("poll %d %x\n", poll(&p, 1, 0), p.revents);
	show(&r, "the first");
	enter(&r, 0, 1, IORING_ENTER_GETEVENTS);
	show(&r, "the rest");
	printf("flag %d\n", *word(r.rings, r.p.sq_off.flags) & IORING_SQ_CQ_OVERFLOW);
	p.events = POLLIN | POLLOUT;
	printf("poll %d %x\n", poll(&p, 1, 0), p.revents);
	close(r.fd);
}

static void on_signal(int signo) { (void)signo; }

static void interrupted(struct ring *r)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	pid_t parent = getpid();

	sigaction(SIGUSR1, &action, NULL);
	pid_t child = fork();
	if (!child) {
		until_state(parent, 'S');
		kill(parent, SIGUSR1);
		_exit(0);
	}
	printf("interrupted %ld\n", enter(r, 0, 1, IORING_ENTER_GETEVENTS));
	waitpid(child, NULL, 0);
}

// An end comes while its task sleeps elsewhere, and while it looks at the ring only.
/* A ring that waits for itself still goes when the program ends. */
static void of_itself(void)
{
	struct ring own;
	open_ring(&own, 0);
	next(&own, IORING_OP_POLL_ADD, own.fd, 0, 0, 0, 1)->poll32_events = 1;
	printf("of itself %ld\n", enter(&own, 1, 0, 0));
}

/* What is held back until a wait ends is called off with who asked for it, whose sockets go first. */
static void dying(void)
{
	int pair[2], status;
	pid_t child = fork();

	if (child) {
		waitpid(child, &status, 0);
		printf("dying %x\n", status);
		return;
	}
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	struct ring own;
	open_ring(&own, 0);
	next(&own, IORING_OP_POLL_ADD, pair[0], 0, 0, 0, 1)->poll32_events = 1;
	next(&own, IORING_OP_OPENAT, AT_FDCWD, "/", 0, 0, 2)->flags = IOSQE_IO_DRAIN;
	enter(&own, 2, 0, 0);
	kill(getpid(), SIGKILL);
}

/* A process ends, and its requests alone hold both ends of a pair: one's end is news to the other. */
static void dying_in_pairs(void)
{
	int status = 0;
	pid_t child = fork();

	if (!child) {
		struct ring r;
		int pair[2];
		char byte;

		open_ring(&r, 0);
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			_exit(1);
		for (int i = 0; i < 2; i++)
			next(&r, IORING_OP_READ, pair[i], &byte, 1, 0, (unsigned)i);
		enter(&r, 2, 0, 0);
		close(pair[0]);
		close(pair[1]);
		_exit(7);
	}
	waitpid(child, &status, 0);
	printf("died with a pair %x\n", (unsigned)status);
}

static void elsewhere(struct ring *r)
{
	int p[2], event = eventfd(0, 0);
	uint64_t count = 0;
	char data[4] = { 0 };

	if (pipe(p))
		return;
	reg(r, IORING_REGISTER_EVENTFD, &event, 1);
	next(r, IORING_OP_READ, p[0], data, 1, 0, 1);
	enter(r, 1, 0, 0);
	pid_t child = fork();
	if (!child) {
		until_state(getppid(), 'S');
		_exit(write(p[1], "ab", 2) != 2);
	}
	printf("an eventfd wakes %ld", (long)read(event, &count, 8));
	printf(" %lu %s\n", count, data);
	show(r, "while it slept");
	reg(r, IORING_UNREGISTER_EVENTFD, NULL, 0);
	waitpid(child, NULL, 0);
	next(r, IORING_OP_READ, p[0], data, 1, 0, 2);
	next(r, IORING_OP_READ, p[0], data, 1, 0, 3);
	enter(r, 2, 1, IORING_ENTER_GETEVENTS);
	show(r, "at once");
	child = fork();
	if (!child) {
		usleep(20000);
		_exit(write(p[1], "c", 1) != 1);
	}
	uint32_t *head = word(r->cqs, r->p.cq_off.head), *tail = word(r->cqs, r->p.cq_off.tail);
	while (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE))
		;
	show(r, "seen in the ring");
	waitpid(child, NULL, 0);
	close(p[0]);
	close(p[1]);
	close(event);
}

int main(int argc, char **argv)
{
	struct ring r;

	setvbuf(stdout, NULL, _IONBF, 0);
	setups();
	open_ring(&r, 0);
	errors(&r);
	files(&r, argc > 1 ? argv[1] : "/tmp");
	waiting(&r);
	cancelling(&r);
	timeouts(&r);
	links(&r);
	sockets(&r);
	registered(&r);
	disabled();
	overflow();
	interrupted(&r);
	elsewhere(&r);
	of_itself();
	dying();
	dying_in_pairs();
	return 0;
}
