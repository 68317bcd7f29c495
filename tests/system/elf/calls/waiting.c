/* Waiting for pipes with poll and select: what they say, and how signals and times end them. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int rung;

static void ring(int signo)
{
	(void)signo;
	rung++;
}

static void show(const char *what, int result, short revents)
{
	printf("%s: %d %#x\n", what, result, revents);
}

/* A child does something to the pipe a little later. */
static void later(const int *fd, char action)
{
	if (fork())
		return;
	until_state(getppid(), 'S');
	if (action == 'w')
		(void)!write(fd[1], "x", 1);
	_exit(0);
}

/* What is left of a time goes where the program says; nowhere it can go: as on Linux. */
static void nowhere_to_store(void)
{
	const struct itimerval soon = { { 0, 20000 }, { 0, 20000 } }; /* or soon after */
	const struct itimerval never = { { 0, 0 } };
	const struct {
		const char *name;
		long nr, args[5];
	} waits[] = {
		{ "select", SYS_select, { 0, 0, 0, 0, -2 } },
		{ "pselect6", SYS_pselect6, { 0, 0, 0, 0, -2 } },
		{ "ppoll", SYS_ppoll, { 0, 0, -2, 0, 8 } },
		{ "nanosleep to a page to read", SYS_nanosleep, { -2, -2 } },
		{ "nanosleep nowhere", SYS_nanosleep, { -2, 8 } },
		{ "clock_nanosleep", SYS_clock_nanosleep, { CLOCK_MONOTONIC, 0, -2, 8 } },
	};
	long *left = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = ring }, NULL);
	left[0] = 5;
	mprotect(left, 4096, PROT_READ);
	for (unsigned int i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		long a[5];

		for (int k = 0; k < 5; k++)
			a[k] = waits[i].args[k] == -2 ? (long)left : waits[i].args[k];
		setitimer(ITIMER_REAL, &soon, NULL);
		errno = 0;
		printf("%s: %ld", waits[i].name,
		       syscall(waits[i].nr, a[0], a[1], a[2], a[3], a[4], 0));
		printf(" errno %d\n", errno);
		setitimer(ITIMER_REAL, &never, NULL);
	}
}

static void polls(int *fd)
{
	struct pollfd one = { fd[0], POLLIN, 0 };
	char byte;

	show("nothing, at once", poll(&one, 1, 0), one.revents);
	show("nothing, in time", poll(&one, 1, 30), one.revents);
	later(fd, 'w');
	show("written later", poll(&one, 1, -1), one.revents);
	(void)!read(fd[0], &byte, 1);
	wait(NULL);
	struct pollfd many[] = { { 99, POLLIN, 0 }, { -1, POLLIN, 0 }, { fd[1], POLLOUT, 0 } };
	int ready = poll(many, 3, -1);
	printf("many: %d %#x %#x %#x\n", ready, many[0].revents, many[1].revents, many[2].revents);
}

static void masks(const int *fd)
{
	struct pollfd one = { fd[0], POLLIN, 0 };
	struct sigaction action = { .sa_handler = ring };
	struct timespec second = { 1, 0 };
	sigset_t usr1, none, now;

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigaction(SIGUSR1, &action, NULL);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	int result = ppoll(&one, 1, &second, &none);
	printf("ppoll: %d %d rung %d, time left %d\n", result, errno == EINTR, rung,
	       second.tv_sec < 1);
	raise(SIGUSR1);
	fd_set set;
	FD_ZERO(&set);
	FD_SET(fd[0], &set);
	result = pselect(fd[0] + 1, &set, NULL, NULL, NULL, &none);
	printf("pselect: %d %d rung %d\n", result, errno == EINTR, rung);
	sigprocmask(SIG_SETMASK, NULL, &now);
	printf("blocked again: %d\n", sigismember(&now, SIGUSR1));
}

static void selects(int *fd)
{
	struct timeval time = { 1000, 0 };
	fd_set in, out;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd[0], &in);
	FD_SET(fd[1], &out);
	int result = select(fd[1] + 1, &in, &out, NULL, &time);
	printf("select: %d in %d out %d, time left %d\n", result, FD_ISSET(fd[0], &in),
	       FD_ISSET(fd[1], &out), time.tv_sec > 900);
	time = (struct timeval){ 0, 30000 };
	FD_SET(fd[0], &in);
	result = select(fd[0] + 1, &in, NULL, NULL, &time);
	printf("select in time: %d in %d left %ld\n", result, FD_ISSET(fd[0], &in), time.tv_usec);
	later(fd, 'c');
	close(fd[1]);
	FD_SET(fd[0], &in);
	result = select(fd[0] + 1, &in, NULL, NULL, NULL);
	printf("closed later: %d in %d\n", result, FD_ISSET(fd[0], &in));
	struct pollfd one = { fd[0], POLLIN, 0 };
	show("hang up", poll(&one, 1, -1), one.revents);
	FD_SET(50, &in);
	result = select(51, &in, NULL, NULL, NULL);
	printf("no descriptor: %d %d\n", result, errno == EBADF);
}

/* ---- a stop, behind which no handler runs ---- */

static int ends[2], pair[2], id;
static char data[100000];

static long by_poll(void) { return poll(&(struct pollfd){ ends[0], POLLIN, 0 }, 1, 9000); }
static long by_epoll(void)
{
	return epoll_wait(epoll_create1(0), &(struct epoll_event){ 0 }, 1, 9000);
}
static long for_a_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return sigwaitinfo(&set, NULL);
}
static long for_a_semaphore(void) { return semop(id, &(struct sembuf){ 0, -1, 0 }, 1); }
static long reads(void) { return read(ends[0], data, 1); }
static long writes_too_much(void) { return write(ends[1], data, sizeof(data)); }
static long receives(void) { return recv(pair[0], data, 1, 0); }
static long receives_in_time(void)
{
	struct timeval time = { 9, 0 };

	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	return recv(pair[0], data, 1, 0);
}
static long receives_all(void)
{
	(void)!write(pair[1], "some", 4);
	return recv(pair[0], data, 9, MSG_WAITALL);
}

static const struct {
	const char *name;
	long (*call)(void);
} stopped[] = {
	{ "poll", by_poll },
	{ "epoll", by_epoll },
	{ "sigwaitinfo", for_a_signal },
	{ "semop", for_a_semaphore },
	{ "read", reads },
	{ "write of too much", writes_too_much },
	{ "recv", receives },
	{ "recv in time", receives_in_time },
	{ "recv of all", receives_all },
};

/* Most calls go on when the process does. Some end, with EINTR or with what they have done. */
static void stops(void)
{
	id = semget(IPC_PRIVATE, 1, 0600);
	for (unsigned int i = 0; i < sizeof(stopped) / sizeof(*stopped); i++) {
		char said[40] = "goes on";
		int answer[2], status;

		(void)!pipe(ends);
		(void)!pipe2(answer, O_NONBLOCK);
		socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
		fflush(stdout);
		pid_t child = fork();
		if (!child) {
			long result = stopped[i].call();
			dprintf(answer[1], "%ld errno %d", result, result < 0 ? errno : 0);
			_exit(0);
		}
		until_state(child, 'S');
		kill(child, SIGSTOP);
		waitpid(child, &status, WUNTRACED);
		kill(child, SIGCONT);
		until_state(child, 'S');
		(void)!read(answer[0], said, sizeof(said) - 1);
		printf("%s, stopped: %s\n", stopped[i].name, said);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		for (int side = 0; side < 2; side++)
			close(ends[side]), close(pair[side]), close(answer[side]);
	}
	semctl(id, 0, IPC_RMID);
}

/* What is left of a sleep is told at a stop, too, though it goes on. */
static void stops_of_a_sleep(void)
{
	struct timespec *left =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec *places[] = { left, NULL, (struct timespec *)8 };

	for (int i = 0; i < 3; i++) {
		pid_t child = fork();
		int status;

		left->tv_sec = 7777;
		if (!child) {
			struct timespec time = { 1000, 0 };
			_exit(nanosleep(&time, places[i]) ? errno : 0);
		}
		until_state(child, 'S');
		kill(child, SIGSTOP);
		waitpid(child, &status, WUNTRACED);
		printf("stopped, %d left", left->tv_sec > 900 && left->tv_sec <= 1000);
		kill(child, SIGCONT);
		until_state(child, 'S');
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		printf(", then %x\n", status);
	}
}

int main(void)
{
	int fd[2];

	(void)!pipe(fd);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	fflush(stdout);
	polls(fd);
	fflush(stdout);
	masks(fd);
	fflush(stdout);
	selects(fd);
	fflush(stdout);
	nowhere_to_store();
	fflush(stdout);
	stops();
	stops_of_a_sleep();
	return 0;
}
