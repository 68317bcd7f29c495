/* Descriptors of processes: made, sent to, waited for, polled; madvise of another's memory. */
#define _GNU_SOURCE
#include "results.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIDFD_OPEN 434
#define PIDFD_SEND 424
#define PIDFD_GETFD 438
#define PROCESS_MADVISE 440
#define PROCESS_MRELEASE 448
#define CLONE_PIDFD_ 0x1000
#define P_PIDFD_ 3
#define PAGE 4096

#define CALL(nr, ...) CALL_(nr, __VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL_(nr, a, b, c, d, e, ...) \
	call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

static int ready(int fd)
{
	struct pollfd one = { fd, POLLIN | POLLOUT | POLLHUP, 0 };

	poll(&one, 1, 0);
	return one.revents;
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	return pid;
}

static void opening(void)
{
	pid_t child = sleeper();
	struct stat st;
	char name[64], link[64] = { 0 };

	printf("open: %ld %ld %ld %ld %ld\n", CALL(PIDFD_OPEN, 0, 0), CALL(PIDFD_OPEN, -1, 0),
	       CALL(PIDFD_OPEN, getpid(), 1), CALL(PIDFD_OPEN, 999999, 0),
	       CALL(PIDFD_OPEN, child, 0x80000));
	int fd = (int)CALL(PIDFD_OPEN, child, O_NONBLOCK);
	printf("flags %#x, close on exec %d\n", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	readlink(name, link, sizeof(link) - 1);
	fstat(fd, &st);
	printf("is %s, mode %o, size %ld, links %ld\n", link, st.st_mode, (long)st.st_size,
	       (long)st.st_nlink);
	printf("read %ld write %ld seek %ld\n", CALL(SYS_read, fd, name, 8),
	       CALL(SYS_write, fd, name, 8), CALL(SYS_lseek, fd, 0, 0));
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	FILE *info = fopen(name, "r");
	char line[100];
	while (info && fgets(line, sizeof(line), info)) {
		if (!strncmp(line, "Pid:", 4))
			printf("fdinfo %d\n", atoi(line + 4) == child);
		else if (strncmp(line, "mnt_id", 6) && strncmp(line, "ino", 3) &&
			 strncmp(line, "NSpid", 5))
			printf("%s", line);
	}
	fclose(info);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(fd);
}

static int got;
static void on_usr1(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	got = info->si_code == SI_USER ? 1 : info->si_value.sival_int;
}

static void sending(void)
{
	struct sigaction action = { .sa_sigaction = on_usr1, .sa_flags = SA_SIGINFO };
	siginfo_t info = { 0 };
	pid_t child = sleeper();
	int self = (int)CALL(PIDFD_OPEN, getpid(), 0), other = (int)CALL(PIDFD_OPEN, child, 0);

	sigaction(SIGUSR1, &action, NULL);
	printf("send: %ld", CALL(PIDFD_SEND, self, SIGUSR1, 0, 0));
	printf(" got %d\n", got);
	info.si_signo = SIGUSR1;
	info.si_code = SI_QUEUE;
	info.si_value.sival_int = 42;
	printf("with a value: %ld", CALL(PIDFD_SEND, self, SIGUSR1, &info, 0));
	printf(" got %d\n", got);
	info.si_code = SI_USER;
	printf("as if from the kernel: self %ld other %ld\n",
	       CALL(PIDFD_SEND, self, SIGUSR1, &info, 0),
	       CALL(PIDFD_SEND, other, SIGUSR1, &info, 0));
	info.si_signo = SIGUSR2;
	printf("another's number: %ld\n", CALL(PIDFD_SEND, self, SIGUSR1, &info, 0));
	printf("bad: fd %ld, no pidfd %ld, flags %ld, signal %ld, info %ld\n",
	       CALL(PIDFD_SEND, -1, 0, 0, 0), CALL(PIDFD_SEND, 1, 0, 0, 0),
	       CALL(PIDFD_SEND, self, 0, 0, 8), CALL(PIDFD_SEND, self, 65, 0, 0),
	       CALL(PIDFD_SEND, self, SIGUSR1, 1, 0));
	printf("flags: %ld %ld %ld %ld\n", CALL(PIDFD_SEND, self, 0, 0, 1),
	       CALL(PIDFD_SEND, self, 0, 0, 2), CALL(PIDFD_SEND, self, 0, 0, 4),
	       CALL(PIDFD_SEND, self, 0, 0, 3));
	printf("self: %ld %ld\n", CALL(PIDFD_SEND, -10000, 0, 0, 0),
	       CALL(PIDFD_SEND, -10001, 0, 0, 0));
	int dir = open("/proc/self", O_DIRECTORY);
	printf("/proc/self: %ld\n", CALL(PIDFD_SEND, dir, 0, 0, 0));
	CALL(PIDFD_SEND, other, SIGKILL, 0, 0);
	siginfo_t end = { 0 };
	printf("ready before %d\n", ready(self));
	struct pollfd one = { other, POLLIN, 0 };
	poll(&one, 1, -1);
	printf("dead: poll %d, send %ld, release %ld\n", ready(other),
	       CALL(PIDFD_SEND, other, 0, 0, 0), CALL(PROCESS_MRELEASE, other, 0));
	printf("wait: %ld", CALL(SYS_waitid, P_PIDFD_, other, &end, WEXITED, 0));
	printf(" code %d status %d\n", end.si_code, end.si_status);
	printf("gone: poll %d, send %ld, wait %ld, release %ld\n", ready(other),
	       CALL(PIDFD_SEND, other, 0, 0, 0),
	       CALL(SYS_waitid, P_PIDFD_, other, &end, WEXITED, 0),
	       CALL(PROCESS_MRELEASE, other, 0));
	printf("wait: no pidfd %ld %ld, self %ld\n",
	       CALL(SYS_waitid, P_PIDFD_, 1, &end, WEXITED, 0),
	       CALL(SYS_waitid, P_PIDFD_, -1, &end, WEXITED, 0),
	       CALL(SYS_waitid, P_PIDFD_, self, &end, WEXITED, 0));
	printf("release: %ld %ld %ld\n", CALL(PROCESS_MRELEASE, self, 0),
	       CALL(PROCESS_MRELEASE, self, 1), CALL(PROCESS_MRELEASE, 1, 0));
	close(self), close(other), close(dir);
}

static void not_blocking(void)
{
	siginfo_t end = { 0 };
	pid_t child = sleeper();
	int fd = (int)CALL(PIDFD_OPEN, child, O_NONBLOCK);

	printf("nonblocking wait %ld\n", CALL(SYS_waitid, P_PIDFD_, fd, &end, WEXITED, 0));
	kill(child, SIGTERM);
	struct pollfd one = { fd, POLLIN, 0 };
	poll(&one, 1, -1);
	printf("then %ld", CALL(SYS_waitid, P_PIDFD_, fd, &end, WEXITED, 0));
	printf(" status %d\n", end.si_status);
	close(fd);
}

static void taking(void)
{
	int pipes[2];

	pipe(pipes);
	pid_t child = sleeper();
	int fd = (int)CALL(PIDFD_OPEN, child, 0);
	close(pipes[1]);
	int taken = (int)CALL(PIDFD_GETFD, fd, pipes[1], 0);
	printf("getfd %d, close on exec %d", taken > 2, fcntl(taken, F_GETFD));
	write(taken, "through", 7);
	char text[8] = { 0 };
	read(pipes[0], text, 7);
	printf(", %s\n", text);
	printf("bad: %ld %ld %ld\n", CALL(PIDFD_GETFD, fd, 999, 0), CALL(PIDFD_GETFD, fd, 0, 1),
	       CALL(PIDFD_GETFD, 0, 0, 0));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("of the dead: %ld\n", CALL(PIDFD_GETFD, fd, 0, 0));
	close(fd);
}

static void cloning(void)
{
	int fd = -1, status;
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} args = { CLONE_PIDFD_, (uint64_t)&fd, 0, 0, SIGCHLD, 0, 0, 0 };

	long child = CALL(SYS_clone3, (long)&args, sizeof(args));
	if (!child)
		_exit(3);
	siginfo_t end = { 0 };
	printf("clone3: %d", fd > 2);
	printf(" %ld", CALL(SYS_waitid, P_PIDFD_, fd, &end, WEXITED, 0));
	printf(" status %d\n", end.si_status);
	fd = -1;
	child = call(SYS_clone, CLONE_PIDFD_ | SIGCHLD, 0, (long)&fd, 0, 0, 0);
	if (!child)
		_exit(4);
	printf("clone: %d", fd > 2);
	printf(" %ld", CALL(SYS_waitid, P_PIDFD_, fd, &end, WEXITED, 0));
	printf(" status %d\n", end.si_status);
	printf("clone with both: %ld\n",
	       call(SYS_clone, CLONE_PIDFD_ | CLONE_PARENT_SETTID | SIGCHLD, 0, (long)&fd, 0, 0,
		    0));
	printf("nowhere to tell: %ld\n", call(SYS_clone, CLONE_PIDFD_ | SIGCHLD, 0, 1, 0, 0, 0));
	printf("none left %d\n", waitpid(-1, &status, 0));
}

static void advising(void)
{
	char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 1, 8 * PAGE);
	munmap(p + 4 * PAGE, PAGE);
	pid_t child = sleeper();
	int self = (int)CALL(PIDFD_OPEN, getpid(), 0), other = (int)CALL(PIDFD_OPEN, child, 0);
	struct iovec good[2] = { { p, PAGE }, { p + 2 * PAGE, PAGE } };
	struct iovec half[2] = { { p, PAGE }, { p + 4 * PAGE, PAGE } };
	struct iovec odd[2] = { { p + 1, PAGE }, { p, PAGE } };
	struct iovec empty[2] = { { p, 0 }, { p, PAGE } };
	static const int advice[] = { 0, 3, 4, 8, 20, 21, 22, 102, 77 };

	for (unsigned i = 0; i < sizeof(advice) / sizeof(*advice); i++) {
		printf("advice %d: %ld", advice[i],
		       CALL(PROCESS_MADVISE, self, good, 2, advice[i], 0));
		printf(" half %ld", CALL(PROCESS_MADVISE, self, half, 2, advice[i], 0));
		printf(" odd %ld", CALL(PROCESS_MADVISE, self, odd, 2, advice[i], 0));
		printf(" empty %ld", CALL(PROCESS_MADVISE, self, empty, 2, advice[i], 0));
		printf(" other %ld", CALL(PROCESS_MADVISE, other, good, 2, advice[i], 0));
		printf(" PIDFD_SELF %ld\n", CALL(PROCESS_MADVISE, -10000, good, 2, advice[i], 0));
	}
	printf("bad: %ld %ld %ld %ld %ld\n", CALL(PROCESS_MADVISE, self, good, 2, 4, 1),
	       CALL(PROCESS_MADVISE, 1, good, 2, 4, 0),
	       CALL(PROCESS_MADVISE, self, good, 1025, 4, 0),
	       CALL(PROCESS_MADVISE, self, 1, 2, 4, 0), CALL(PROCESS_MADVISE, self, good, 0, 4, 0));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("of the dead: %ld\n", CALL(PROCESS_MADVISE, other, good, 2, 20, 0));
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	opening();
	sending();
	not_blocking();
	taking();
	cloning();
	advising();
	return 0;
}
