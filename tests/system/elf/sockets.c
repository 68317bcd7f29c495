/*
 * Pairs of sockets and counters, and a server that is not there: what a static program sees of
 * them. Prints the same on Linux and here.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int broken;

static void on_pipe(int signo) { broken = signo; }

static void say(const char *what, long result)
{
	printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "",
	       result < 0 ? strerror(errno) : "");
	fflush(stdout);
}

static void echo_upper(int fd)
{
	char line[64];
	ssize_t n;

	while ((n = read(fd, line, sizeof(line))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			line[i] -= line[i] >= 'a' && line[i] <= 'z' ? 32 : 0;
		write(fd, line, n);
	}
	_exit(7);
}

static void talk(int type)
{
	int fds[2], status;
	char answer[64] = "";
	struct pollfd wait;

	say("socketpair", socketpair(AF_UNIX, type, 0, fds));
	if (!fork()) {
		close(fds[0]);
		echo_upper(fds[1]);
	}
	close(fds[1]);
	wait = (struct pollfd){ fds[0], POLLIN, 0 };
	say("poll, nothing", poll(&wait, 1, 0));
	say("write", write(fds[0], "shout", 5));
	say("poll", poll(&wait, 1, -1));
	say("read", read(fds[0], answer, sizeof(answer)));
	puts(answer);
	say("shutdown", shutdown(fds[0], SHUT_WR));
	wait4(-1, &status, 0, NULL);
	say("child", WEXITSTATUS(status));
	say("end", read(fds[0], answer, sizeof(answer)));
	say("write", write(fds[0], "again", 5));
	say("signal", broken);
	close(fds[0]);
}

static void count(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t number = 3;

	say("eventfd", fd > 2);
	say("empty", read(fd, &number, sizeof(number)));
	if (!fork()) {
		write(fd, &number, sizeof(number));
		_exit(0);
	}
	wait(NULL);
	say("full", read(fd, &number, sizeof(number)));
	say("counter", (long)number);
}

static void ask(void)
{
	struct sockaddr_un name = { AF_UNIX, "/run/no/such/server" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	say("socket", fd > 2);
	say("connect", connect(fd, (struct sockaddr *)&name, sizeof(name)));
	strcpy(name.sun_path, "/dev/null");
	say("connect", connect(fd, (struct sockaddr *)&name, sizeof(name)));
	say("send", send(fd, "x", 1, MSG_NOSIGNAL));
}

int main(void)
{
	signal(SIGPIPE, on_pipe);
	talk(SOCK_STREAM);
	talk(SOCK_SEQPACKET);
	count();
	ask();
	return 0;
}
