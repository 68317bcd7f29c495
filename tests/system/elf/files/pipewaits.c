// Who waits for a pipe and what wakes them, FIFOs that come and go, signals, a user's limits.
// Argument: a folder.
#define _GNU_SOURCE
#include "asleep.h"
#include "ownuser.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static char data[1 << 20];
static int p[2], q[2];
static volatile int alarms, ios, broken;

static void on_signal(int signo)
{
	alarms += signo == SIGALRM;
	ios += signo == SIGIO;
	broken += signo == SIGPIPE;
}

static pid_t last; /* child() */
static long its_call;

/* Until the last child has come as far as it can: it sleeps, or has ended. */
static void rest(void) { until_in(last, its_call); }

static long result(long r) { return r < 0 ? -errno : r; }

static int waiting(int fd)
{
	int n = -1;
	ioctl(fd, FIONREAD, &n);
	return n;
}

static void make(int *ends, int bytes)
{
	pipe(ends);
	fcntl(ends[0], F_SETPIPE_SZ, bytes);
}

static void drop(int *ends)
{
	close(ends[0]);
	close(ends[1]);
}

/* A child that makes one call on p and q, and says what came of it by its status. */
enum { WRITE, READ, SPLICE, TEE, SPLICE_OUT };
static pid_t child(int what, int nbytes)
{
	static const long calls[] = { SYS_write, SYS_read, SYS_splice, SYS_tee, SYS_splice };
	pid_t pid = last = fork();
	its_call = calls[what];
	if (pid)
		return pid;
	long r = 0;
	close(p[what == WRITE || what == SPLICE_OUT ? 0 : 1]);
	if (what == WRITE)
		r = write(p[1], memset(data, 'w', sizeof data), (size_t)nbytes);
	if (what == READ)
		r = read(p[0], data, (size_t)nbytes);
	if (what == SPLICE)
		r = splice(p[0], 0, q[1], 0, (size_t)nbytes, 0);
	if (what == TEE)
		r = tee(p[0], q[1], (size_t)nbytes, 0);
	if (what == SPLICE_OUT)
		r = splice(open("/dev/zero", O_RDONLY), 0, p[1], 0, (size_t)nbytes, 0);
	char text[80];
	r = result(r);
	int fd = open("answer", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	write(fd, text, (size_t)sprintf(text, "%ld, alarms %d, broken %d", r, alarms, broken));
	_exit(0);
}

static void ended(const char *what, pid_t pid)
{
	char text[80] = "";
	waitpid(pid, 0, 0);
	int fd = open("answer", O_RDONLY);
	read(fd, text, sizeof text - 1);
	close(fd);
	printf("%s: %s\n", what, text);
}

static void interrupt(pid_t pid)
{
	rest();
	kill(pid, SIGALRM);
}

static void state(const char *what)
{
	struct pollfd ask[] = { { p[0], POLLIN, 0 }, { p[1], POLLOUT, 0 } };
	poll(ask, 2, 0);
	printf("%s: %d %x %x\n", what, waiting(p[0]), ask[0].revents, ask[1].revents);
}

static void writers(void)
{
	make(p, 8192);
	write(p[1], data, 8192);
	pid_t pid = child(WRITE, 10000);
	rest();
	state("full");
	read(p[0], data, 4095);
	rest();
	state("no slot is free");
	read(p[0], data, 1);
	rest();
	state("one is");
	read(p[0], data, 5000);
	rest();
	state("one more");
	read(p[0], data, 8192);
	ended("10000", pid);
	state("all");
	drop(p);

	make(p, 4096); /* what is over pages of a write that waited takes a slot of its own */
	write(p[1], data, 100);
	pid = child(WRITE, 4096 + 50);
	rest();
	state("goes on");
	read(p[0], data, 150);
	ended("4146", pid);
	drop(p);
	make(p, 4096);
	write(p[1], data, 4000);
	pid = child(WRITE, 200);
	rest();
	read(p[0], data, 4000);
	ended("a whole one", pid);
	drop(p);

	make(p, 8192);
	pid = child(WRITE, 20000);
	interrupt(pid);
	ended("interrupted", pid);
	state("what is there");
	pid = child(WRITE, 1);
	interrupt(pid);
	ended("interrupted with nothing", pid);
	pid = child(WRITE, 9000);
	rest();
	close(p[1]);
	read(p[0], data, 4096);
	rest();
	close(p[0]);
	ended("nobody reads any more", pid);
}

static void readers(void)
{
	make(p, 65536);
	pid_t pid = child(READ, 100);
	rest();
	write(p[1], data, 10);
	ended("a reader", pid);
	pid = child(READ, 5);
	interrupt(pid);
	ended("interrupted reader", pid);
	make(q, 4096);
	pid = child(SPLICE, 5000);
	rest();
	write(p[1], data, 3000);
	ended("splice", pid);
	pid = child(SPLICE, 5000);
	rest();
	write(p[1], data, 3000);
	rest();
	state("the other is full");
	read(q[0], data, 3000);
	ended("splice, later", pid);
	pid = child(TEE, 10);
	interrupt(pid);
	ended("tee", pid);
	read(q[0], data, 100000);
	write(p[1], data, 77);
	pid = child(TEE, 1000);
	ended("tee, later", pid);
	drop(q);
	drop(p);
	make(p, 8192);
	write(p[1], data, 4097);
	pid = child(SPLICE_OUT, 10000);
	rest();
	read(p[0], data, 4096);
	ended("from a file", pid);
	state("now");
	drop(p);
}

static char fifo[300];

static void *opens(void *mode)
{
	open(fifo, (int)(long)mode);
	return 0;
}

/* Nobody is met who has ended while it waited to open one end: killed, or with another thread. */
static void openers_end(void)
{
	for (int mode = O_RDONLY; mode <= O_WRONLY; mode++)
		for (int killed = 0; killed < 2; killed++) {
			pid_t pid = fork();
			pthread_t thread;
			if (!pid) {
				if (killed)
					opens((void *)(long)mode);
				pthread_create(&thread, 0, opens, (void *)(long)mode);
				until_in(tid_of(thread), SYS_open);
				_exit(0);
			}
			if (killed) {
				until_in(pid, SYS_open);
				kill(pid, SIGKILL);
			}
			waitpid(pid, 0, 0);
			int fd = open(fifo, O_RDONLY | O_NONBLOCK);
			printf("end %ld", result(read(fd, data, 1)));
			close(fd);
			printf(", nobody reads %ld\n", result(open(fifo, O_WRONLY | O_NONBLOCK)));
		}
}

/* A stop ends the wait, in which the opener would have been met; it begins anew when it goes on. */
static void openers_stop(void)
{
	pid_t pid = fork();
	if (!pid) {
		opens((void *)O_RDONLY);
		for (;;)
			pause();
	}
	until_in(pid, SYS_open);
	kill(pid, SIGSTOP);
	until_state(pid, 'T');
	printf("stopped %ld", result(open(fifo, O_WRONLY | O_NONBLOCK)));
	kill(pid, SIGCONT);
	until_in(pid, SYS_open);
	int fd = open(fifo, O_WRONLY | O_NONBLOCK);
	printf(", gone on %ld\n", result(fd < 0 ? fd : 0));
	close(fd);
	kill(pid, SIGKILL);
	waitpid(pid, 0, 0);
}

/* Who waits to open stays with what its path has led to: moved, without a name, or with another one's there. */
static void openers_keep(void)
{
	static const char *const ways[] = { "moved", "removed", "replaced" };

	for (int way = 0; way < 3; way++) {
		char byte = 'x', path[64];
		int status, place, fd;
		pid_t pid = fork();

		if (!pid)
			_exit(read(open(fifo, O_RDONLY), &byte, 1) == 1 ? byte : errno);
		until_in(pid, SYS_open);
		place = open(fifo, O_PATH);
		if (way == 1)
			unlink(fifo);
		else
			rename(fifo, "moved");
		if (way == 2)
			mkdir(fifo, 0700);
		sprintf(path, "/proc/self/fd/%d", place);
		fd = open(path, O_WRONLY | O_NONBLOCK);
		printf("%s: met %ld", ways[way], result(write(fd, &byte, 1)));
		waitpid(pid, &status, 0);
		printf(", %d\n", WEXITSTATUS(status) == byte ? 0 : WEXITSTATUS(status));
		close(fd);
		close(place);
		unlink("moved");
		rmdir(fifo);
		mkfifo(fifo, 0600);
	}
}

static void fifos(const char *folder)
{
	const char *path = fifo;
	snprintf(fifo, sizeof fifo, "%s/fifo", folder);
	mkfifo(path, 0600);
	printf("nobody reads %ld\n", result(open(path, O_WRONLY | O_NONBLOCK)));
	p[0] = open(path, O_RDONLY | O_NONBLOCK);
	p[1] = open(path, O_WRONLY | O_NONBLOCK);
	printf("size %ld", result(fcntl(p[0], F_SETPIPE_SZ, 8192)));
	write(p[1], data, 5);
	state(" written");
	close(p[1]);
	p[1] = -1;
	state("writer gone");
	int second = open(path, O_RDONLY | O_NONBLOCK); /* it has seen no writer */
	struct pollfd ask[] = { { p[0], POLLIN, 0 }, { second, POLLIN, 0 } };
	read(second, data, 100);
	poll(ask, 2, 0);
	printf("hang-ups %x %x, read %ld\n", ask[0].revents, ask[1].revents,
	       result(read(second, data, 1)));
	p[1] = open(path, O_WRONLY | O_NONBLOCK);
	poll(ask, 2, 0);
	printf("with a writer %x %x, size %d\n", ask[0].revents, ask[1].revents,
	       fcntl(p[1], F_GETPIPE_SZ));
	close(p[1]);
	poll(ask, 2, 0);
	printf("without %x %x\n", ask[0].revents, ask[1].revents);
	close(second);
	close(p[0]);
	p[0] = open(path, O_RDWR);
	printf("anew: size %d, ", fcntl(p[0], F_GETPIPE_SZ));
	printf("written %ld, ", result(write(p[0], data, 10)));
	printf("there %d\n", waiting(p[0]));
	close(p[0]);
	p[0] = open(path, O_RDWR | O_NONBLOCK);
	printf("gone: %d %ld\n", waiting(p[0]), result(read(p[0], data, 10)));
	close(p[0]);
	pid_t pid = fork();
	if (!pid) {
		int fd = open(path, O_WRONLY);
		write(fd, "hello", 5);
		_exit(0);
	}
	until_state(pid, 'S');
	p[0] = open(path, O_RDONLY);
	waitpid(pid, 0, 0);
	printf("met %ld, end %ld\n", result(read(p[0], data, 10)), result(read(p[0], data, 10)));
	close(p[0]);
	openers_end();
	openers_stop();
	openers_keep();
}

static void told(const char *what)
{
	rest();
	printf("%s: %d signals\n", what, ios);
	ios = 0;
}

static void asks(int fd)
{
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC | O_NONBLOCK);
}

static void signals(void)
{
	make(p, 8192);
	asks(p[0]);
	write(p[1], data, 10);
	told("written");
	write(p[1], data, 10);
	told("written again");
	read(p[0], data, 5);
	told("read");
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	write(p[1], data, 5000);
	told("in two slots");
	write(p[1], data, 4096);
	told("refused");
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	asks(p[1]);
	read(p[0], data, 1);
	told("a byte read");
	read(p[0], data, 4095);
	told("more");
	read(p[0], data, 10000);
	told("the rest");
	read(p[0], data, 10000);
	told("nothing");
	fcntl(p[0], F_SETPIPE_SZ, 65536);
	told("resized");
	make(q, 4096);
	write(p[1], data, 100);
	told("own write");
	splice(p[0], 0, q[1], 0, 50, SPLICE_F_NONBLOCK);
	told("a part moved");
	read(q[0], data, 50);
	splice(p[0], 0, q[1], 0, 50, SPLICE_F_NONBLOCK);
	told("all moved");
	close(p[0]);
	told("reader gone");
	close(p[1]);
	drop(q);
}

static void limits(void)
{
	int fds[200], nr = 0;
	pid_t pid = getuid() ? -1 : fork();
	if (pid == 0) {
		setgid(54321);
		setuid(own_user());
		for (; nr < 80; nr++) {
			pipe(p);
			fds[nr] = p[0];
			if (fcntl(p[0], F_SETPIPE_SZ, 1 << 20) < 0)
				break;
		}
		printf("%d large ones, then errno %d, %d\n", nr, errno, fcntl(p[0], F_GETPIPE_SZ));
		printf("beyond max-size %ld\n", result(fcntl(p[0], F_SETPIPE_SZ, (1 << 20) + 1)));
		printf("smaller %ld\n", result(fcntl(fds[0], F_SETPIPE_SZ, 4096)));
		printf("larger %ld\n", result(fcntl(p[0], F_SETPIPE_SZ, 1 << 20)));
		for (int i = 0; i < 3; i++) {
			pipe(q);
			printf("%d ", fcntl(q[0], F_GETPIPE_SZ));
		}
		printf("larger %ld\n", result(fcntl(q[0], F_SETPIPE_SZ, 1 << 20)));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, 0, 0);
}

/* What is to be written goes, to so many bytes, while its writer waits for room. */
static void vanishing(int stream, long left)
{
	enum { PAGE = 4096, ALL = 16 * PAGE };
	int ends[2], file = memfd_create("written", 0);
	ftruncate(file, ALL);
	char *bytes = mmap(0, ALL, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (stream) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
		setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &(int){ PAGE }, sizeof(int));
	} else {
		make(ends, 4 * PAGE);
	}
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		long got, all = 0;
		close(ends[1]);
		until_in(getppid(), SYS_write);
		ftruncate(file, left);
		while ((got = read(ends[0], data, sizeof data)) > 0)
			all += got;
		_exit(all / PAGE);
	}
	long done = result(write(ends[1], bytes, ALL));
	drop(ends);
	int status;
	waitpid(pid, &status, 0);
	if (stream)
		printf("of a stream a part %d, that came %d\n", done > 0 && done < ALL,
		       WEXITSTATUS(status) == done / PAGE);
	else
		printf("of a pipe %ld, came %d\n", done, WEXITSTATUS(status));
	munmap(bytes, ALL);
	close(file);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	setvbuf(stdout, 0, _IOLBF, 0);
	sigaction(SIGALRM, &action, 0);
	sigaction(SIGPIPE, &action, 0);
	action.sa_flags = SA_RESTART;
	sigaction(SIGIO, &action, 0);
	chdir(argv[1]);
	writers();
	readers();
	fifos(argv[1]);
	signals();
	limits();
	for (int stream = 0; stream < 2; stream++)
		for (long left = 0; left <= 8192; left += 8192)
			vanishing(stream, left);
	return argc != 2;
}
