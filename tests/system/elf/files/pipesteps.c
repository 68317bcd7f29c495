// Random steps over pipes from a seed, each with its result and what can be seen of all pipes then.
// Arguments: a folder, the first seed, how many seeds, steps of each.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../draws.h"

#define PIPES 4 /* two plain ones, one of packets, a FIFO */
#define ROOM (80 << 10)

static int broken, file, out, zero, null, events;
static int ends[PIPES][2];
static unsigned char *text, *room, *given; /* each with a page behind it that is not there */
static char fifo[200];

static const int sizes[] = { 0,    1,    3,    100,  904,  1000,  2000,  3192,  3996, 4095,
			     4096, 4097, 5000, 8192, 9000, 20000, 65536, 70000, 1,    100 };

static int size(void) { return sizes[chance(N(sizes))]; }

static void on_broken(int signo) { broken += signo == SIGPIPE; }

static void watch(int pipe)
{
	for (int end = 0; end < 2; end++) {
		struct epoll_event asked = { EPOLLET | EPOLLIN | EPOLLOUT,
					     { .u32 = pipe * 2 + end } };
		if (ends[pipe][end] >= 0)
			epoll_ctl(events, EPOLL_CTL_ADD, ends[pipe][end], &asked);
	}
}

static void renew(int pipe)
{
	for (int end = 0; end < 2; end++)
		if (ends[pipe][end] >= 0)
			close(ends[pipe][end]);
	if (pipe == 3) {
		ends[3][0] = open(fifo, O_RDONLY | O_NONBLOCK);
		ends[3][1] = open(fifo, O_WRONLY | O_NONBLOCK);
	} else {
		pipe2(ends[pipe], O_NONBLOCK | (pipe == 2 ? O_DIRECT : 0));
	}
	watch(pipe);
}

static long result(long r) { return r < 0 ? -errno : r; }

static int source(void) { return ends[chance(PIPES)][0]; }
static int target(void) { return ends[chance(PIPES)][1]; }

static void fill(void) /* other bytes each time; pages that pipes hold show them */
{
	int at = chance(ROOM), n = chance(5000);
	for (int i = at; i < at + n && i < ROOM; i++)
		text[i] = chance(256);
}

static long do_write(void)
{
	int n = size();
	return write(target(), text + chance(ROOM - n), n);
}

static long do_write_fault(void)
{
	int n = size(), most = n < ROOM ? n : ROOM, readable = chance(most + 1);
	return write(target(), text + ROOM - readable, n);
}

static long do_writev(void)
{
	int a = size() % 20000, b = size() % 20000;
	struct iovec parts[] = { { text + chance(9000), a },
				 { text + chance(9000), b },
				 { text, chance(3) } };
	return writev(target(), parts, 3);
}

static long do_read(void) { return read(source(), room, size()); }

static long do_read_fault(void)
{
	int n = size(), most = n < ROOM ? n : ROOM, writable = chance(most + 1);
	return read(source(), room + ROOM - writable, n);
}

static long do_readv(void)
{
	int a = size() % 20000;
	struct iovec parts[] = { { room + chance(9000), a }, { room + 30000, size() % 20000 } };
	return readv(source(), parts, 2);
}

static int flags(void)
{
	static const int of[] = {
		0, 0, SPLICE_F_NONBLOCK, SPLICE_F_MOVE, SPLICE_F_MORE, SPLICE_F_GIFT, 15
	};
	return of[chance(N(of))];
}

static long do_file_to_pipe(void)
{
	loff_t at = chance(60000);
	long n = splice(file, &at, target(), 0, size(), flags());
	printf("[%ld]", (long)at);
	return n;
}

static long do_zero_to_pipe(void) { return splice(zero, 0, target(), 0, size(), flags()); }
static long do_sendfile(void)
{
	off_t at = chance(60000);
	long n = sendfile(target(), file, &at, size());
	printf("[%ld]", (long)at);
	return n;
}
static long do_pipe_to_pipe(void) { return splice(source(), 0, target(), 0, size(), flags()); }
static long do_tee(void) { return tee(source(), target(), size(), flags()); }
static long do_pipe_to_file(void)
{
	loff_t at = 0;
	long n = splice(source(), 0, out, &at, size(), flags());
	if (n > 0 && pread(out, room, n, 0) != n)
		printf("short");
	return n;
}
static long do_pipe_to_null(void) { return splice(source(), 0, null, 0, size(), flags()); }

static long do_vmsplice(void)
{
	int n = size(), m = size() % 20000;
	struct iovec parts[] = { { given + chance(ROOM - n), n },
				 { given + chance(5000), m },
				 { given + 4000, 200 } };
	return vmsplice(target(), parts, chance(3) + 1, flags() | SPLICE_F_NONBLOCK);
}
static long do_vmsplice_fault(void)
{
	int a = size() % 20000, n = chance(9000), most = n + chance(100);
	struct iovec parts[] = { { given, a }, { given + ROOM - n, most } };
	return vmsplice(target(), parts, 2, flags() | SPLICE_F_NONBLOCK);
}
static long do_vmsplice_out(void)
{
	struct iovec parts[] = { { room, size() % 30000 }, { room + 40000, size() % 30000 } };
	return vmsplice(source(), parts, 2, flags() | SPLICE_F_NONBLOCK);
}
static long do_vmsplice_out_fault(void)
{
	int n = chance(9000);
	struct iovec parts[] = { { room, size() % 30000 }, { room + ROOM - n, n + chance(2000) } };
	return vmsplice(source(), parts, 2, flags() | SPLICE_F_NONBLOCK);
}
static long do_size(void)
{
	static const unsigned of[] = { 0,       1,        4096,          4097,  8192,
				       10000,   20000,    65536,         65537, 131072,
				       1 << 20, 1u << 31, (1u << 31) + 1 };
	return fcntl(ends[chance(PIPES)][chance(2)], F_SETPIPE_SZ,
		     of[chance(N(of) - 2 + 2 * !chance(9))]);
}
static long do_packets(void)
{
	int fd = target();
	return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) ^ O_DIRECT);
}
static long do_close(void)
{
	int pipe = chance(PIPES), end = chance(2);
	if (!chance(3) && ends[pipe][end] >= 0) {
		close(ends[pipe][end]);
		ends[pipe][end] = -1;
		return -1000;
	}
	renew(pipe);
	return -2000;
}
static long do_reopen(void) /* another opening of an end comes and goes */
{
	char path[40];
	int end = ends[chance(PIPES)][chance(2)];
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	snprintf(path, sizeof path, "/proc/self/fd/%d", end);
	int fd = open(path, modes[chance(3)] | O_NONBLOCK);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}
static long do_store(void)
{
	fill();
	int at = chance(ROOM - 4096);
	memset(given + at, chance(256), chance(4096));
	return at;
}
static long do_file_write(void)
{
	return pwrite(file, text + chance(1000), chance(3000), chance(60000));
}

#define STEP(name, often) { #name, do_##name, often }
static const struct step {
	const char *name;
	long (*run)(void);
	unsigned often;
} steps[] = {
	STEP(write, 24),
	STEP(write_fault, 4),
	STEP(writev, 6),
	STEP(read, 24),
	STEP(read_fault, 5),
	STEP(readv, 5),
	STEP(file_to_pipe, 10),
	STEP(zero_to_pipe, 3),
	STEP(sendfile, 5),
	STEP(pipe_to_pipe, 16),
	STEP(tee, 10),
	STEP(pipe_to_file, 5),
	STEP(pipe_to_null, 4),
	STEP(vmsplice, 8),
	STEP(vmsplice_fault, 3),
	STEP(vmsplice_out, 6),
	STEP(vmsplice_out_fault, 3),
	STEP(size, 6),
	STEP(packets, 3),
	STEP(close, 3),
	STEP(reopen, 3),
	STEP(store, 6),
	STEP(file_write, 3),
};

static void show(void)
{
	for (int pipe = 0; pipe < PIPES; pipe++) {
		int waiting = -1;
		struct pollfd ask[] = { { ends[pipe][0], POLLIN | POLLOUT, 0 },
					{ ends[pipe][1], POLLIN | POLLOUT, 0 } };
		poll(ask, 2, 0);
		ioctl(ends[pipe][ends[pipe][0] < 0], FIONREAD, &waiting);
		printf(" %d:%x,%x", waiting, ask[0].revents, ask[1].revents);
		printf("/%d", fcntl(ends[pipe][ends[pipe][0] < 0], F_GETPIPE_SZ) >> 12);
	}
	struct epoll_event found[16];
	unsigned seen[16] = { 0 };
	int n = epoll_wait(events, found, 16, 0);
	for (int i = 0; i < n; i++)
		seen[found[i].data.u32] = found[i].events;
	printf(" |");
	for (int i = 0; i < 2 * PIPES; i++)
		if (seen[i])
			printf(" %d=%x", i, seen[i]);
}

static void one(unsigned seed, int nr_steps)
{
	unsigned all = 0;

	state = seed * 2654435761u + 12345;
	broken = 0;
	events = epoll_create1(0);
	for (int pipe = 0; pipe < PIPES; pipe++) {
		ends[pipe][0] = ends[pipe][1] = -1;
		renew(pipe);
	}
	for (unsigned i = 0; i < N(steps); i++)
		all += steps[i].often;
	for (int i = 0; i < ROOM; i++)
		text[i] = chance(256), given[i] = chance(256);
	pwrite(file, text, 62000, 0);
	for (int i = 0; i < nr_steps; i++) {
		unsigned which = chance(all);
		const struct step *step = steps;
		while (which >= step->often)
			which -= step++->often;
		memset(room, 0, ROOM);
		printf("%u.%d %s ", seed, i, step->name);
		long r = result(step->run());
		printf(" %ld %08x %d", r, r > 0 ? hash(room, ROOM) : 0, broken);
		show();
		printf("\n");
	}
	for (int pipe = 0; pipe < PIPES; pipe++)
		for (int end = 0; end < 2; end++)
			if (ends[pipe][end] >= 0)
				close(ends[pipe][end]);
	close(events);
}

int main(int argc, char **argv)
{
	unsigned first = atoi(argv[2]);
	char path[200];

	struct sigaction action = { .sa_handler = on_broken };
	sigaction(SIGPIPE, &action, 0);
	snprintf(fifo, sizeof fifo, "%s/fifo", argv[1]);
	mkfifo(fifo, 0600);
	snprintf(path, sizeof path, "%s/file", argv[1]);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ftruncate(file, 62000);
	snprintf(path, sizeof path, "%s/out", argv[1]);
	out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	zero = open("/dev/zero", O_RDWR);
	null = open("/dev/null", O_RDWR);
	text = fenced(ROOM);
	room = fenced(ROOM);
	given = fenced(ROOM);
	for (int i = 0; i < atoi(argv[3]); i++)
		one(first + i, atoi(argv[4]));
	return argc != 5;
}
