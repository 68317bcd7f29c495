// Descriptors that one thread closes, or gives another file, while another sleeps in a call on them: the call stays
// with its file, which ends with the call. And the number of the descriptor that a sleeping call will return: it has
// chosen it before it sleeps.
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#define POLL_PIDFD 3
enum how { CLOSED, REPLACED };
static const char *const HOW[] = { "closed", "replaced" };
static char bytes[1 << 16], got[1 << 16];
static long call[7], result;
static pthread_t sleeper;

static long outcome(long r) { return r < 0 ? -errno : r; }

static void *make(void *unused)
{
	(void)unused;
	result = outcome(syscall(call[0], call[1], call[2], call[3], call[4], call[5], call[6]));
	return 0;
}

/* Let a thread sleep in a call, then take a descriptor away from under it. */
#define ASLEEP(fd, how, ...) \
	do { \
		const long made[7] = { __VA_ARGS__ }; \
		memcpy(call, made, sizeof call); \
		begin(fd, how); \
	} while (0)

static void begin(int fd, enum how how)
{
	pthread_create(&sleeper, 0, make, 0);
	until_in(tid_of(sleeper), call[0]);
	if (how == CLOSED) {
		close(fd);
	} else {
		int null = open("/dev/null", O_RDWR);

		dup2(null, fd);
		close(null);
	}
}

static void end(const char *what, enum how how)
{
	pthread_join(sleeper, 0);
	printf("%s, %s: %ld (%s)\n", what, HOW[how], result < 0 ? -1 : result,
	       result < 0 ? strerrorname_np(-result) : "");
}

static int events(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT };

	poll(&entry, 1, 0);
	return entry.revents;
}

static void drop(int fd, enum how how)
{
	if (how == REPLACED)
		close(fd);
}

static void reading(enum how how)
{
	int p[2];

	pipe(p);
	ASLEEP(p[0], how, SYS_read, p[0], (long)got, 8);
	printf("its writer sees %x", events(p[1]));
	write(p[1], "hello", 5);
	pthread_join(sleeper, 0);
	printf(", then %x; ", events(p[1]));
	pthread_create(&sleeper, 0, make, 0); /* again, by a number of another file, or of none */
	end("read", how);
	close(p[1]);
	drop(p[0], how);
}

static void writing(enum how how, long number, const char *what)
{
	struct iovec part = { bytes, 4096 };
	int p[2];

	pipe(p);
	fcntl(p[1], F_SETPIPE_SZ, 8192);
	write(p[1], bytes, 8192);
	ASLEEP(p[1], how, number, p[1], number == SYS_write ? (long)bytes : (long)&part,
	       number == SYS_write ? 4096 : 1);
	printf("read %zd, ", read(p[0], got, 8192));
	end(what, how);
	printf("then %zd", read(p[0], got, 8192));
	printf(" and %zd\n", read(p[0], got, 8192));
	close(p[0]);
	drop(p[1], how);
}

static void receiving(enum how how)
{
	int s[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	ASLEEP(s[0], how, SYS_recvfrom, s[0], (long)got, 8, MSG_WAITALL);
	send(s[1], "four", 4, 0);
	printf("its peer sees %x; ", events(s[1]));
	send(s[1], "more", 4, 0);
	end("recv", how);
	printf("now its peer sees %x\n", events(s[1]));
	close(s[1]);
	drop(s[0], how);
}

static void sending(enum how how)
{
	int s[2], size = 4096;
	long all = 0;

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	setsockopt(s[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	ASLEEP(s[1], how, SYS_sendto, s[1], (long)bytes, sizeof bytes, 0);
	for (long n; (n = read(s[0], got, sizeof got)) > 0;)
		all += n;
	printf("received %ld; ", all);
	end("send", how);
	close(s[0]);
	drop(s[1], how);
}

static struct sockaddr_un name = { AF_UNIX, "\0keptfiles" };

static int listening(int backlog)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	bind(fd, (void *)&name, sizeof name);
	listen(fd, backlog);
	return fd;
}

static int connecting(void)
{
	return outcome(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, sizeof name));
}

static void accepting(enum how how)
{
	int fd = listening(4), other;

	ASLEEP(fd, how, SYS_accept, fd, 0, 0);
	printf("connected %d; ", connecting());
	pthread_join(sleeper, 0);
	printf("accept, %s: %d; connected %d\n", HOW[how], result > 0, connecting());
	other = open("/dev/null", O_RDONLY);
	close(other);
	close(result);
	drop(fd, how);
}

static void being_connected(enum how how)
{
	int fd = listening(0), own = socket(AF_UNIX, SOCK_STREAM, 0), found;

	connecting();
	ASLEEP(own, how, SYS_connect, own, (long)&name, sizeof name);
	close(accept(fd, 0, 0));
	end("connect", how);
	found = accept(fd, 0, 0);
	printf("whom it connected to sees %x\n", events(found));
	close(found);
	close(fd);
	drop(own, how);
}

static void polling(enum how how)
{
	struct pollfd entry = { .events = POLLIN };
	fd_set set;
	int p[2], epoll = epoll_create1(0);

	pipe(p);
	entry.fd = p[0];
	ASLEEP(p[0], how, SYS_poll, (long)&entry, 1, -1);
	printf("its writer sees %x; ", events(p[1]));
	write(p[1], "x", 1);
	end("poll", how);
	printf("found %x, its writer %x\n", entry.revents, events(p[1]));
	close(p[1]);
	drop(p[0], how);
	pipe(p);
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	ASLEEP(p[0], how, SYS_select, p[0] + 1, (long)&set, 0, 0, 0);
	write(p[1], "x", 1);
	end("select", how);
	close(p[1]);
	drop(p[0], how);
	struct epoll_event event = { .events = EPOLLIN };

	pipe(p);
	epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &event);
	ASLEEP(epoll, how, SYS_epoll_wait, epoll, (long)&event, 1, -1);
	write(p[1], "x", 1);
	end("epoll_wait", how);
	close(p[0]);
	close(p[1]);
	drop(epoll, how);
}

static void splicing(enum how how, long number, const char *what)
{
	int p[2], q[2];

	pipe(p);
	pipe(q);
	ASLEEP(p[0], how, number, p[0], number == SYS_splice ? 0 : q[1],
	       number == SYS_splice ? q[1] : 8, 0, 8, 0);
	write(p[1], "1234", 4);
	end(what, how);
	drop(p[0], how);
	close(p[1]);
	close(q[0]);
	close(q[1]);
}

static void splicing_into(enum how how)
{
	int p[2], q[2];

	pipe(p);
	pipe(q);
	fcntl(q[1], F_SETPIPE_SZ, 4096);
	write(q[1], bytes, 4096);
	write(p[1], "1234", 4);
	ASLEEP(q[1], how, SYS_splice, p[0], 0, q[1], 0, 8, 0);
	printf("read %zd", read(q[0], got, 4096));
	printf(" and %zd, ", read(q[0], got, 4096));
	end("splice into", how);
	printf("at the end %zd\n", read(q[0], got, 4096));
	drop(q[1], how);
	close(p[0]);
	close(p[1]);
	close(q[0]);
}

static void sending_a_file(enum how how)
{
	int p[2], file = memfd_create("file", 0);

	pipe(p);
	fcntl(p[1], F_SETPIPE_SZ, 4096);
	write(file, bytes, 8192);
	lseek(file, 0, SEEK_SET);
	write(p[1], bytes, 4096);
	ASLEEP(file, how, SYS_sendfile, p[1], file, 0, 4096);
	printf("read %zd, ", read(p[0], got, 4096));
	end("sendfile", how);
	drop(file, how);
	close(p[0]);
	close(p[1]);
}

static void locking(enum how how)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 1 },
		     none = { .l_type = F_UNLCK, .l_len = 1 };
	int file = memfd_create("file", 0), other, fd;
	char path[32];

	sprintf(path, "/proc/self/fd/%d", file);
	other = open(path, O_RDWR);
	fd = open(path, O_RDWR);
	flock(other, LOCK_EX);
	ASLEEP(fd, how, SYS_flock, fd, LOCK_EX);
	flock(other, LOCK_UN);
	end("flock", how);
	printf("then %ld\n", outcome(flock(other, LOCK_EX | LOCK_NB)));
	drop(fd, how);
	for (int nth = 0; nth < 2; nth++) {
		int command = nth ? F_OFD_SETLKW : F_SETLKW;

		fd = open(path, O_RDWR);
		fcntl(other, F_OFD_SETLK, &lock);
		ASLEEP(fd, how, SYS_fcntl, fd, command, (long)&lock);
		fcntl(other, F_OFD_SETLK, &none);
		end(nth ? "lock of the file" : "lock", how);
		printf("then %ld\n", outcome(fcntl(other, F_OFD_SETLK, &lock)));
		fcntl(other, F_OFD_SETLK, &none);
		drop(fd, how);
	}
	close(file);
	close(other);
}

static void counting(enum how how)
{
	int fd = eventfd(0, 0), same = dup(fd);
	long one = 1;

	ASLEEP(fd, how, SYS_read, fd, (long)got, 8);
	write(same, &one, sizeof one);
	end("eventfd", how);
	close(same);
	drop(fd, how);
}

static void queueing(enum how how)
{
	struct mq_attr attributes = { .mq_maxmsg = 2, .mq_msgsize = 8 };
	char own[32];
	int fd, same;

	sprintf(own, "/keptfiles%d", getpid());
	fd = mq_open(own, O_RDWR | O_CREAT, 0600, &attributes);
	mq_unlink(own);
	same = dup(fd);
	ASLEEP(fd, how, SYS_mq_timedreceive, fd, (long)got, 8, 0, 0);
	mq_send(same, "abc", 3, 0);
	end("mq_receive", how);
	close(same);
	drop(fd, how);
}

static void waiting_for_a_child(enum how how)
{
	int p[2], pidfd;
	pid_t child;

	pipe(p);
	child = fork();
	if (!child) {
		close(p[1]);
		_exit(read(p[0], got, 1));
	}
	pidfd = syscall(SYS_pidfd_open, child, 0);
	ASLEEP(pidfd, how, SYS_waitid, POLL_PIDFD, pidfd, 0, WEXITED, 0);
	write(p[1], "x", 1);
	end("waitid", how);
	close(p[0]);
	close(p[1]);
	drop(pidfd, how);
}

static void on_signal(int signo) { (void)signo; }

/* What a signal interrupts is made anew, and finds what is there then. */
static void interrupting(enum how how)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int p[2];

	sigaction(SIGUSR1, &action, 0);
	pipe(p);
	ASLEEP(p[0], how, SYS_read, p[0], (long)got, 8);
	pthread_kill(sleeper, SIGUSR1);
	end("interrupted", how);
	printf("its writer sees %x\n", events(p[1]));
	close(p[1]);
	drop(p[0], how);
}

/* A thread that is killed in its call lets go of the file. */
static void ending(enum how how)
{
	int p[2], q[2];

	pipe(p);
	pipe(q);
	pid_t child = fork();

	if (!child) {
		close(p[1]);
		ASLEEP(p[0], how, SYS_read, p[0], (long)got, 8);
		write(q[1], "x", 1);
		pause();
	}
	close(p[0]);
	read(q[0], got, 1);
	printf("its writer sees %x", events(p[1]));
	kill(child, SIGKILL);
	waitpid(child, 0, 0);
	printf(", after its end %x\n", events(p[1]));
	close(p[1]);
	close(q[0]);
	close(q[1]);
}

/* The number that the next open file gets. */
static int lowest(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* What others may do with a number that a sleeping call has chosen. */
static void meddle(int number)
{
	int status;

	printf("close_range %ld", outcome(close_range(number, number, 0)));
	printf(", close %ld", outcome(close(number)));
	printf(", dup2 %ld", outcome(dup2(0, number)));
	printf(", flags %ld", outcome(fcntl(number, F_GETFD)));
	if (!fork())
		_exit(dup(0) == number);
	wait(&status);
	printf(", free in a child %d\n", WEXITSTATUS(status));
}

static sem_t may_begin;

static void *make_when_let(void *unused)
{
	sem_wait(&may_begin);
	return make(unused);
}

/* A file that tells of the sleeper, by a high number: what is opened meanwhile takes the one that its call would. */
static int open_of_sleeper(const char *file)
{
	char path[64];
	int low, high;

	snprintf(path, sizeof path, "/proc/%d/%s", tid_of(sleeper), file);
	low = open(path, O_RDONLY | O_CLOEXEC);
	high = fcntl(low, F_DUPFD_CLOEXEC, 100);
	close(low);
	return high;
}

static void read_again(int fd, char *text, long size)
{
	long got = pread(fd, text, size - 1, 0);

	text[got > 0 ? got : 0] = 0;
}

/* Let the sleeper make its call, and wait until it sleeps there. */
static void let_sleep(void)
{
	char state[256], number[256];
	int its_state = open_of_sleeper("stat"), its_call = open_of_sleeper("syscall");

	sem_post(&may_begin);
	do {
		usleep(1000);
		read_again(its_call, number, sizeof number);
		read_again(its_state, state, sizeof state);
	} while (atol(number) != call[0] || !strstr(state, ") S"));
	close(its_state);
	close(its_call);
}

/* Let a thread sleep in a call that will return a descriptor, and tell which number others get meanwhile. */
#define NUMBERED(...) \
	({ \
		const long made[7] = { __VA_ARGS__ }; \
		memcpy(call, made, sizeof call); \
		pthread_create(&sleeper, 0, make_when_let, 0); \
		let_sleep(); \
		dup(0); \
	})

static void numbered(const char *what, int number)
{
	pthread_join(sleeper, 0);
	printf("%s returns the number: %d, flags %ld\n", what, result == number,
	       outcome(fcntl(number, F_GETFD)));
	close(result);
}

static void accepting_by_number(void)
{
	struct rlimit limit, few;
	int fd = listening(4), client = socket(AF_UNIX, SOCK_STREAM, 0), number = lowest(),
	    next = NUMBERED(SYS_accept, fd, 0, 0);

	printf("others get it: %d; ", next == number);
	meddle(number);
	close_range(number, number, CLOSE_RANGE_CLOEXEC);
	getrlimit(RLIMIT_NOFILE, &limit);
	few = limit;
	few.rlim_cur = next;
	close(next);
	setrlimit(RLIMIT_NOFILE, &few);
	printf("with none left: accept %ld", outcome(accept(fd, 0, 0)));
	printf(", open %ld\n", outcome(open("/dev/null", O_RDONLY)));
	few.rlim_cur = number;
	setrlimit(RLIMIT_NOFILE, &few);
	connect(client, (void *)&name, sizeof name);
	numbered("accept", number);
	setrlimit(RLIMIT_NOFILE, &limit);
	close(client);
	close(fd);
}

static void opening_by_number(void)
{
	char path[32];
	int number = lowest(), next, other;

	sprintf(path, "/tmp/keptfiles%d", getpid());
	mkfifo(path, 0600);
	next = NUMBERED(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC);
	printf("others get it: %d; ", next == number);
	meddle(number);
	other = open(path, O_WRONLY);
	numbered("open", number);
	close(other);
	close(next);
	unlink(path);
	other = open(path, O_RDONLY | O_CREAT, 0600);
	number = lowest();
	signal(SIGIO, SIG_IGN);
	fcntl(other, F_SETLEASE, F_RDLCK);
	next = NUMBERED(SYS_open, (long)path, O_WRONLY);
	printf("others get it: %d\n", next == number);
	fcntl(other, F_SETLEASE, F_UNLCK);
	numbered("open of what was leased", number);
	close(next);
	close(other);
	unlink(path);
}

/* A call that is interrupted gives its number back; one that is made anew chooses another. */
static void interrupted_by_number(int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };
	int fd = listening(4), number = lowest(),
	    next = NUMBERED(SYS_accept4, fd, 0, 0, SOCK_CLOEXEC);

	sigaction(SIGUSR1, &action, 0);
	pthread_kill(sleeper, SIGUSR1);
	if (flags)
		connecting();
	pthread_join(sleeper, 0);
	printf("interrupted: %ld, then the number is %s\n", result < 0 ? result : 0,
	       dup(0) == number ? "free" : "taken");
	close(number);
	close(next);
	close(fd);
}

static void all(enum how how)
{
	reading(how);
	writing(how, SYS_write, "write");
	writing(how, SYS_vmsplice, "vmsplice");
	receiving(how);
	sending(how);
	accepting(how);
	being_connected(how);
	polling(how);
	splicing(how, SYS_splice, "splice");
	splicing(how, SYS_tee, "tee");
	splicing_into(how);
	sending_a_file(how);
	locking(how);
	counting(how);
	queueing(how);
	waiting_for_a_child(how);
	interrupting(how);
	ending(how);
}

int main(void)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	all(CLOSED);
	all(REPLACED);
	accepting_by_number();
	opening_by_number();
	interrupted_by_number(0);
	interrupted_by_number(SA_RESTART);
	return 0;
}
