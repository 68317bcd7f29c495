/* Bytes through pipes that never pass through the program; who waits, and who is told. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 300000 };

static volatile int broken;

static void note(int signo) { broken += signo == SIGPIPE; }

static void show(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static unsigned sum(int fd)
{
	unsigned char byte[4096];
	unsigned total = 0, at = 0;

	lseek(fd, 0, SEEK_SET);
	for (long n; (n = read(fd, byte, sizeof(byte))) > 0;)
		for (long i = 0; i < n; i++)
			total += byte[i] * ++at;
	return total;
}

/* A file, through a pipe that a child empties to another file. */
static void copy(void)
{
	int from = memfd_create("from", 0), to = memfd_create("to", 0), ends[2];
	unsigned char *data = malloc(SIZE);
	long done = 0, n;

	for (int i = 0; i < SIZE; i++)
		data[i] = i * 31 + i / 1000;
	show("written", write(from, data, SIZE));
	(void)!pipe(ends);
	if (!fork()) {
		close(ends[1]);
		while ((n = splice(ends[0], NULL, to, NULL, 50000, SPLICE_F_MOVE)) > 0)
			done += n;
		exit(done != SIZE);
	}
	close(ends[0]);
	loff_t at = 0;
	while ((n = splice(from, &at, ends[1], NULL, SIZE, 0)) > 0)
		done += n;
	close(ends[1]);
	int status;
	wait(&status);
	printf("%ld at %ld, child %d, %s\n", done, (long)at, status,
	       sum(from) == sum(to) ? "equal" : "not equal");
	at = 100000;
	loff_t back = 0;
	show("copied", copy_file_range(from, &at, to, &back, SIZE, 0));
	printf("%ld %ld %d\n", (long)at, (long)back, sum(from) == sum(to));
}

// Near the last byte that a file of memory may have.
static void far(void)
{
	int from = memfd_create("from", 0), to = memfd_create("to", 0);

	(void)!write(from, "0123456789abcdef", 16);
	for (int i = 0; i < 5; i++) {
		loff_t at = i < 3 ? 0 : 16, back = INT64_MAX - (i % 2 ? 0 : 3);
		long n = copy_file_range(from, &at, to, &back, i < 2 ? 16 : 0, 0);

		printf("%ld %d at %ld back %ld\n", n, n < 0 ? errno : 0, (long)at, (long)back);
	}
	close(from);
	close(to);
}

static void pipes(void)
{
	char text[32] = "", more[8] = "";
	struct iovec parts[] = { { "two ", 4 }, { "parts", 5 } };
	struct iovec room[] = { { text, 4 }, { more, 7 } };
	int one[2], two[2];

	(void)!pipe(one);
	(void)!pipe(two);
	show("vmsplice", vmsplice(one[1], parts, 2, 0));
	show("tee", tee(one[0], two[1], 6, 0));
	show("splice", splice(one[0], NULL, two[1], NULL, 100, 0));
	show("nothing left", splice(one[0], NULL, two[1], NULL, 1, SPLICE_F_NONBLOCK));
	show("to memory", vmsplice(two[0], room, 2, 0));
	printf("%s|%s\n", text, more);
	show("the rest", read(two[0], text, sizeof(text)));
	if (!fork()) {
		until_state(getppid(), 'S');
		(void)!write(one[1], "late", 4);
		exit(0);
	}
	show("waited", tee(one[0], two[1], 10, 0));
	wait(NULL);
	close(two[0]);
	show("no reader", splice(one[0], NULL, two[1], NULL, 10, 0));
	close(one[1]);
	show("the last", read(one[0], text, sizeof(text)));
	show("no writer", splice(one[0], NULL, two[1], NULL, 10, 0));
	printf("SIGPIPE %d\n", broken);
}

static void opens(void)
{
	struct {
		unsigned long flags, mode, resolve;
	} how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC };
	int fd = syscall(SYS_openat2, AT_FDCWD, "/tmp", &how, sizeof(how));

	printf("openat2 %d %d\n", fd >= 0, fcntl(fd, F_GETFD));
	how.mode = 0600;
	show("a mode", syscall(SYS_openat2, AT_FDCWD, "/tmp", &how, sizeof(how)));
}

static void nothing(int signo) {}

/* Of an empty socket only a stream of AF_UNIX looks at the flag; the others wait. */
static void sockets(void)
{
	struct sigaction act = { .sa_handler = nothing };
	int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET }, pair[2], ends[2];

	(void)!pipe(ends);
	sigaction(SIGALRM, &act, NULL);
	for (int i = 0; i < 6; i++) {
		socketpair(AF_UNIX, types[i / 2], 0, pair);
		ualarm(10000, 10000); /* again and again: the first may come before the wait */
		show("a socket", splice(pair[0], NULL, ends[1], NULL, 10, i % 2 ? 0 : 2));
		ualarm(0, 0);
		(void)!write(pair[1], "here", 4);
		show("bytes", splice(pair[0], NULL, ends[1], NULL, 10, i % 2 ? 0 : 2));
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, note);
	copy();
	far();
	pipes();
	opens();
	sockets();
	return 0;
}
