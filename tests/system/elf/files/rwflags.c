/* preadv2 and pwritev2: each flag on each kind of file; writes to files of /proc, with and without a place. */
#define _GNU_SOURCE
#include "results.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define HERE (-1) /* where the file stands */
#define NOWAIT 8
#define APPEND 16
#define NOAPPEND 32
#define NOSIGNAL 256

static char page[4096];
static int other = -1; /* the other end of what has two */
static int broken;     /* SIGPIPEs so far */

static void count(int signal) { broken += signal == SIGPIPE; }

static long moved(int number, int fd, long bytes, long pos, int flags)
{
	struct iovec part = { page, (size_t)bytes };

	return call(number, fd, (long)&part, 1, pos, pos < 0 ? -1 : 0, flags);
}

static long got(int fd, long bytes, long pos, int flags)
{
	return moved(SYS_preadv2, fd, bytes, pos, flags);
}

static long put(int fd, long bytes, long pos, int flags)
{
	return moved(SYS_pwritev2, fd, bytes, pos, flags);
}

static int memory(void)
{
	int fd = memfd_create("flags", 0);

	write(fd, "0123456789", 10);
	return fd;
}

static int appended(void)
{
	int fd = memory();

	fcntl(fd, F_SETFL, O_APPEND);
	return fd;
}

static int zeroes(void) { return open("/dev/zero", O_RDWR); }
static int nothing(void) { return open("/dev/null", O_RDWR); }
static int counter(void) { return eventfd(3, 0); }
static int comm(void) { return open("/proc/self/comm", O_RDWR); }
static int version(void) { return open("/proc/version", O_RDONLY); }
static int folder(void) { return open("/proc/self", O_RDONLY); }

static int one_end(int end, int ends[2])
{
	if (other >= 0)
		close(other);
	other = ends[!end];
	return ends[end];
}

static int source(void)
{
	int ends[2];

	pipe(ends);
	write(ends[1], page, 30);
	return one_end(0, ends);
}

static int drain(void)
{
	int ends[2];

	pipe(ends);
	return one_end(1, ends);
}

static int stream(void)
{
	int ends[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	write(ends[1], page, 30);
	return one_end(0, ends);
}

static void flags_of(const char *name, int (*make)(void))
{
	static const int flags[] = { 0,          1,  2,   4,   8,       16,
				     32,         64, 128, 256, 1 << 20, APPEND | NOAPPEND,
				     NOWAIT | 1, 511 };

	for (unsigned i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		int fd = make(), f = flags[i];

		printf("%s, %#x: put %ld", name, f, put(fd, 8, HERE, f));
		printf(" at %ld", call(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0));
		printf(" put %ld %ld", put(fd, 8, 2, f), put(fd, 4096, 0, f));
		call(SYS_lseek, fd, 0, SEEK_SET, 0, 0, 0);
		printf(" got %ld %ld", got(fd, 8, HERE, f), got(fd, 8, 2, f));
		printf(" none %ld %ld\n", got(fd, 0, 0, f), put(fd, 0, 0, f));
		close(fd);
	}
}

static void without_waiting(void)
{
	int empty = drain(), full = drain(), none = eventfd(0, 0);

	printf("nothing to read: %ld %ld\n", got(other, 8, HERE, NOWAIT),
	       got(none, 8, HERE, NOWAIT));
	fcntl(full, F_SETPIPE_SZ, 4096);
	printf("no room: %ld", put(full, 4096, HERE, 0));
	printf(" then %ld\n", put(full, 1, HERE, NOWAIT));
	close(empty);
}

static void without_signal(void)
{
	int fd = drain();

	signal(SIGPIPE, count);
	close(other);
	other = -1;
	printf("no reader: %ld, signals %d;", put(fd, 1, HERE, NOSIGNAL), broken);
	printf(" %ld, %d\n", put(fd, 1, HERE, 0), broken);
	fd = stream();
	close(other);
	other = -1;
	printf("no peer: %ld, signals %d;", put(fd, 1, HERE, NOSIGNAL), broken);
	printf(" %ld, %d\n", put(fd, 1, HERE, 0), broken);
}

static void proc_file(const char *name, const char *text)
{
	long bytes = (long)strlen(text);
	int fd = open(name, bytes ? O_RDWR : O_RDONLY);

	printf("%s: %ld", name, bytes ? (long)write(fd, text, (size_t)bytes) : 0);
	printf(" at %ld", call(SYS_lseek, fd, 0, SEEK_CUR, 0, 0, 0));
	printf(" at a place %ld\n", call(SYS_pwrite64, fd, (long)text, bytes, 0, 0, 0));
	close(fd);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	flags_of("memory", memory);
	flags_of("appended", appended);
	flags_of("zero", zeroes);
	flags_of("null", nothing);
	flags_of("eventfd", counter);
	flags_of("comm", comm);
	flags_of("version", version);
	flags_of("folder", folder);
	flags_of("source", source);
	flags_of("drain", drain);
	flags_of("stream", stream);
	without_waiting();
	without_signal();
	proc_file("/proc/self/comm", "name");
	proc_file("/proc/self/oom_score_adj", "1");
	proc_file("/proc/self/coredump_filter", "33");
	proc_file("/proc/self/timerslack_ns", "50000");
	proc_file("/proc/self/maps", "");
	proc_file("/proc/self/limits", "");
	return 0;
}
