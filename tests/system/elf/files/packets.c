/*
 * A pipe of packets (O_DIRECT): what one write gives is what one read takes, the rest of a packet is
 * gone, each takes a page, and what follows a stream goes on with it.
 */
#define _GNU_SOURCE
#include "../results.h"
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static int ends[2];
static char bytes[70000];

static void put(size_t nbytes)
{
	printf("write %zu: %zd\n", nbytes, write(ends[1], bytes, nbytes));
}

static void take(size_t nbytes) { printf("read %zu: %zd\n", nbytes, read(ends[0], bytes, nbytes)); }

static void empty(void)
{
	while (read(ends[0], bytes, sizeof bytes) > 0)
		;
}

static void waiting(void)
{
	int nbytes = 0;
	struct pollfd writer = { ends[1], POLLOUT };
	ioctl(ends[0], FIONREAD, &nbytes);
	printf("%d bytes wait, room %d\n", nbytes, poll(&writer, 1, 0));
}

/* tee and splice keep packets, and leave the rest of one; a read that fails takes none. */
static void elsewhere(void)
{
	int from = ends[0], other[2], file = memfd_create("file", 0);
	pipe2(other, O_NONBLOCK);
	put(5);
	put(3);
	printf("no address: %d\n", (int)read(from, (char *)8, 2));
	printf("tee: %zd\n", tee(from, other[1], 100, 0));
	ends[0] = other[0];
	take(2);
	take(100);
	take(100);
	printf("splice: %zd\n", splice(from, 0, other[1], 0, 2, 0));
	ends[0] = from;
	take(100);
	put(4);
	printf("to a file: %zd\n", splice(from, 0, file, 0, 2, 0));
	take(1);
	put(4);
	printf("to a file: %zd\n", splice(from, 0, file, 0, 100, 0));
	ends[0] = other[0];
	empty();
	ends[0] = from;
	for (int i = 0; i < 9; i++)
		put(1);
	printf("smaller: %d %d\n", fcntl(from, F_SETPIPE_SZ, 32768),
	       fcntl(from, F_SETPIPE_SZ, 65536));
	fcntl(other[1], F_SETPIPE_SZ, 8192);
	printf("tee: %zd\n", tee(from, other[1], 100, 0));
	printf("tee: %zd\n", tee(from, other[1], 100, 0));
	printf("splice: %zd\n", splice(from, 0, other[1], 0, 100, 0));
	waiting();
	empty();
	waiting();
}

int main(void)
{
	say("pipe2", pipe2(ends, O_DIRECT | O_NONBLOCK));
	printf("flags %o %o\n", fcntl(ends[0], F_GETFL), fcntl(ends[1], F_GETFL));
	memset(bytes, 'x', sizeof bytes);
	put(10);
	put(5000);
	put(2);
	put(0);
	waiting();
	take(4);
	take(100);
	take(9000);
	take(9000);
	take(9000);
	take(9000);
	for (int i = 0; i < 18; i++)
		put(1);
	waiting();
	take(9);
	put(1);
	put(1);
	empty();
	put(sizeof bytes);
	waiting();
	take(sizeof bytes);
	empty();
	struct iovec parts[2] = { { "aa", 2 }, { "bbb", 3 } };
	printf("writev: %zd\n", writev(ends[1], parts, 2));
	take(9);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	put(3);
	fcntl(ends[1], F_SETFL, O_NONBLOCK | O_DIRECT);
	put(4);
	put(2);
	take(5);
	take(9);
	take(9);
	elsewhere();
	say("pipe2, another flag", pipe2(ends, O_APPEND));
	say("pipe2, notifications", pipe2(ends, O_EXCL));
	return 0;
}
