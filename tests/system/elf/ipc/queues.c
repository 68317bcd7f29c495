/* POSIX message queues: opening, order, waiting, notification, what poll and the file say. */
#define _GNU_SOURCE
#include "asleep.h"
#include "results.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct attr {
	long flags, most, size, now, none[4];
};

static char name[] = UNIQUE;

static long opened(const char *path, int flags, int mode, long most, long size)
{
	struct attr attr = { 0, most, size };

	return result(syscall(SYS_mq_open, path, flags, mode, most || size ? &attr : 0));
}

static long put(int fd, const char *text, unsigned priority)
{
	return result(syscall(SYS_mq_timedsend, fd, text, strlen(text), priority, 0));
}

static void get(int fd)
{
	char text[9000] = { 0 };
	unsigned priority = 99;
	long got = result(syscall(SYS_mq_timedreceive, fd, text, 8192, &priority, 0));

	if (got < 0)
		printf("receive %ld\n", got);
	else
		printf("receive %ld priority %u \"%s\"\n", got, priority, text);
}

static int ready(int fd)
{
	struct pollfd one = { fd, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM, 0 };

	poll(&one, 1, 0);
	return one.revents;
}

static void told(int fd)
{
	struct attr attr;
	long got = result(syscall(SYS_mq_getsetattr, fd, 0, &attr));

	printf("attr %ld flags %lo most %ld size %ld now %ld\n", got, attr.flags, attr.most,
	       attr.size, attr.now);
}

static void opening(void)
{
	char text[200] = { 0 }, link[64];
	static char longer[300];
	struct rlimit limit;
	struct stat st;

	memset(longer, 'x', 299);
	P("none", opened(name, O_RDWR, 0, 0, 0), opened("", O_RDWR, 0, 0, 0),
	  opened((char *)8, O_RDWR, 0, 0, 0), result(syscall(SYS_mq_unlink, name)));
	P("names", opened("/x", O_RDWR | O_CREAT, 0600, 0, 0),
	  opened("a/b", O_RDWR | O_CREAT, 0600, 0, 0), opened(".", O_RDWR | O_CREAT, 0600, 0, 0),
	  opened("..", O_RDWR, 0, 0, 0), opened(longer, O_RDWR | O_CREAT, 0600, 0, 0));
	P("sizes", opened(name, O_RDWR | O_CREAT, 0600, 0, 5),
	  opened(name, O_RDWR | O_CREAT, 0600, 5, -1),
	  opened(name, O_RDWR | O_CREAT, 0600, 70000, 5),
	  opened(name, O_RDWR | O_CREAT, 0600, 5, 1 << 25),
	  result(syscall(SYS_mq_open, name, O_RDWR | O_CREAT, 0600, 8)));
	getrlimit(RLIMIT_MSGQUEUE, &limit);
	struct rlimit little = { 1000, limit.rlim_max };
	setrlimit(RLIMIT_MSGQUEUE, &little);
	P("limit", opened(name, O_RDWR | O_CREAT, 0600, 0, 0), opened(name, O_RDWR, 0600, 0, 0));
	setrlimit(RLIMIT_MSGQUEUE, &limit);
	int fd = opened(name, O_RDWR | O_CREAT | O_EXCL, 0666, 0, 0);
	printf("flags %o cloexec %d\n", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
	told(fd);
	fstat(fd, &st);
	printf("mode %o size %ld links %d\n", st.st_mode, (long)st.st_size, (int)st.st_nlink);
	P("again", opened(name, O_RDWR | O_CREAT | O_EXCL, 0600, 0, 0), opened(name, 3, 0, 0, 0));
	put(fd, "hello", 3);
	printf("read %ld", result(read(fd, text, 199)));
	printf(" %s", text);
	P("write", result(write(fd, "x", 1)), ready(fd));
	sprintf(link, "/proc/self/fd/%d", fd);
	memset(text, 0, sizeof text);
	readlink(link, text, 199);
	printf("link %d\n", !strcmp(text + 1, name));
	P("unlink", result(syscall(SYS_mq_unlink, name)), result(syscall(SYS_mq_unlink, name)));
	get(fd);
	close(fd);
}

static void order(void)
{
	int fd = opened(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, 4, 100);
	int out = opened(name, O_WRONLY | O_NONBLOCK, 0, 0, 0),
	    in = opened(name, O_RDONLY, 0, 0, 0);
	struct attr attr = { O_NONBLOCK }, bad = { O_APPEND };
	struct timespec wrong = { 0, -1 };

	printf("empty %x\n", ready(fd));
	get(fd);
	P("sent", put(fd, "low", 1), put(fd, "high", 9), put(fd, "low too", 1), put(fd, "", 9));
	printf("full %x\n", ready(fd));
	P("refused", put(fd, "more", 0), put(fd, "x", 32768), put(in, "x", 0), put(0, "x", 0),
	  put(99, "x", 0));
	char big[101] = { 0 };
	P("size", result(syscall(SYS_mq_timedsend, fd, big, 101, 0, 0)),
	  result(syscall(SYS_mq_timedsend, fd, 8, 5, 0, 0)),
	  result(syscall(SYS_mq_timedsend, fd, big, 5, 0, &wrong)),
	  result(syscall(SYS_mq_timedsend, fd, big, 5, 0, 8)),
	  result(syscall(SYS_mq_timedreceive, fd, big, 99, 0, 0)),
	  result(syscall(SYS_mq_timedreceive, out, big, 100, 0, 0)));
	for (int i = 0; i < 4; i++)
		get(fd);
	P("attr", result(syscall(SYS_mq_getsetattr, in, &bad, 0)),
	  result(syscall(SYS_mq_getsetattr, in, &attr, 0)),
	  result(syscall(SYS_mq_getsetattr, 0, 0, &bad)),
	  result(syscall(SYS_mq_getsetattr, in, 8, 0)));
	told(in);
	get(in);
	put(fd, "lost", 0);
	P("fault", result(syscall(SYS_mq_timedreceive, fd, 8, 100, 0, 0)));
	told(fd);
	syscall(SYS_mq_unlink, name);
	close(fd), close(out), close(in);
}

static int signals, last_code, last_value, last_pid;
static pid_t child;

static void heard(int signo, siginfo_t *info, void *context)
{
	signals++;
	last_code = info->si_code;
	last_value = info->si_value.sival_int;
	last_pid = info->si_pid;
}

static void notifying(void)
{
	int fd = opened(name, O_RDWR | O_CREAT, 0600, 4, 100);
	struct sigaction act = { .sa_sigaction = heard, .sa_flags = SA_SIGINFO };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 },
			bad = event;
	char text[200] = { 0 };

	sigaction(SIGUSR1, &act, 0);
	event.sigev_value.sival_int = 42;
	bad.sigev_notify = 9;
	P("refused", result(syscall(SYS_mq_notify, fd, &bad)),
	  result(syscall(SYS_mq_notify, 0, &event)), result(syscall(SYS_mq_notify, fd, 8)));
	bad = event;
	bad.sigev_signo = 65;
	P("signal", result(syscall(SYS_mq_notify, fd, &bad)),
	  result(syscall(SYS_mq_notify, fd, 0)));
	P("asked", result(syscall(SYS_mq_notify, fd, &event)),
	  result(syscall(SYS_mq_notify, fd, &event)));
	pread(fd, text, 40, 0);
	printf("%.30s\n", text);
	if (!(child = fork())) {
		put(fd, "one", 0);
		put(fd, "two", 0);
		_exit(0);
	}
	while (waitpid(child, 0, 0) != child)
		; /* the signal may interrupt it */
	printf("told %d code %d value %d child %d\n", signals, last_code, last_value,
	       last_pid == child);
	P("not empty", result(syscall(SYS_mq_notify, fd, &event)), put(fd, "three", 0), signals);
	close(dup(fd)); /* forgets it */
	for (int i = 0; i < 3; i++)
		get(fd);
	P("forgotten", put(fd, "four", 0), signals);
	get(fd);
	event.sigev_notify = SIGEV_NONE;
	P("none", result(syscall(SYS_mq_notify, fd, &event)), put(fd, "five", 0), signals,
	  result(syscall(SYS_mq_notify, fd, &event)), result(syscall(SYS_mq_notify, fd, 0)));
	syscall(SYS_mq_unlink, name);
	close(fd);
}

static void waiting(void)
{
	int fd = opened(name, O_RDWR | O_CREAT, 0600, 1, 100);
	struct timespec past = { 1, 0 }, soon;
	char text[100];
	pid_t pids[2];

	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		if (!(pids[i] = fork())) {
			printf("%d ", i);
			get(fd);
			fflush(stdout);
			_exit(0);
		}
		until_in(pids[i], SYS_mq_timedreceive);
	}
	for (int i = 0; i < 2; i++) {
		put(fd, i ? "second" : "first", 0);
		waitpid(pids[i], 0, 0);
	}
	told(fd);
	put(fd, "full", 0);
	P("past", result(syscall(SYS_mq_timedsend, fd, "x", 1, 0, &past)));
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_sec++;
	P("soon", result(syscall(SYS_mq_timedsend, fd, "x", 1, 0, &soon)));
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		if (!(pids[i] = fork())) {
			put(fd, i ? "waited, high" : "waited, low", i);
			_exit(0);
		}
		until_in(pids[i], SYS_mq_timedsend);
	}
	for (int i = 0; i < 3; i++)
		get(fd);
	while (wait(0) > 0)
		;
	P("past", result(syscall(SYS_mq_timedreceive, fd, text, 100, 0, &past)));
	/* a handler with SA_RESTART, then one without */
	for (int flags = SA_RESTART;; flags = 0) {
		struct sigaction act = { .sa_sigaction = heard, .sa_flags = flags | SA_SIGINFO };
		sigaction(SIGUSR1, &act, 0);
		pid_t me = getpid(), pid = fork();
		if (!pid) {
			until_in(me, SYS_mq_timedreceive);
			kill(me, SIGUSR1);
			if (flags) {
				until_in(me, SYS_mq_timedreceive);
				put(fd, "after the signal", 0);
			}
			_exit(0);
		}
		get(fd);
		wait(0);
		if (!flags)
			break;
	}
	syscall(SYS_mq_unlink, name);
	close(fd);
}

int main(void)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	umask(022);
	syscall(SYS_mq_unlink, name);
	opening();
	order();
	notifying();
	waiting();
	return 0;
}
