/* In which function of the kernel's who sleeps in each kind of call, up to what its compiler adds. */
#define _GNU_SOURCE
#include "asleep.h"
#include "int80.h"
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

static int empty[2], full[2], stream[2], packets[2], tcp[2], pty[2], unixes, inet, file;
static struct sockaddr_in address;
static struct sockaddr_un name;
static const struct timespec long_time = { 100 };
static sigset_t usr1;
static int word;
static char bytes[8192], place[] = "/tmp/wchanXXXXXX";

static void fill(int fd, int how)
{
	while (how ? send(fd, bytes, sizeof bytes / 2, 0) > 0 : write(fd, bytes, 4096) > 0)
		;
}

/* Who asks for a signal at its parent's death after that gets none: it would hold the output open for ever. */
static int child(void)
{
	int parent = getpid(), pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			pause();
		_exit(0);
	}
	return pid;
}

static void connect_all(int family, void *to, int size)
{
	while (!connect(socket(family, SOCK_STREAM, 0), to, size))
		;
}

#define CALLS(CALL) \
	CALL(nanosleep(&long_time, 0)) \
	CALL(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &long_time, 0)) \
	CALL(poll(0, 0, -1)) \
	CALL(select(0, 0, 0, 0, 0)) \
	CALL(syscall(SYS_futex, &word, 0, 0, 0)) \
	CALL((word = getppid(), syscall(SYS_futex, &word, 6, 0, 0))) \
	CALL(syscall(SYS_futex, &word, 11, 0, 0, &file, 0)) \
	CALL(syscall(455, &word, 0, 1, 2, 0, 0)) \
	CALL(syscall(449, (long[]){ 0, (long)&word, 2 }, 1, 0, 0, 0)) \
	CALL(epoll_wait(epoll_create1(0), &(struct epoll_event){}, 1, -1)) \
	CALL(sigtimedwait(&usr1, 0, &long_time)) \
	CALL(sigsuspend(&(sigset_t){})) \
	CALL(pause()) \
	CALL(read(empty[0], bytes, 1)) \
	CALL(write(full[1], bytes, 1)) \
	CALL(open("fifo", O_RDONLY)) \
	CALL(splice(empty[0], 0, full[1], 0, 1, 0)) \
	CALL(splice(file, &(off_t){ 0 }, full[1], 0, 1, 0)) \
	CALL(sendfile(full[1], file, &(off_t){ 0 }, 1)) \
	CALL(tee(empty[0], full[1], 1, 0)) \
	CALL(read(stream[0], bytes, 1)) \
	CALL(fill(stream[0], 1)) \
	CALL(recv(packets[0], bytes, 1, 0)) \
	CALL(fill(packets[0], 1)) \
	CALL(accept(unixes, 0, 0)) \
	CALL(connect_all(AF_UNIX, &name, 8)) \
	CALL(accept(inet, 0, 0)) \
	CALL(recv(tcp[0], bytes, 1, 0)) \
	CALL(fill(tcp[0], 1)) \
	CALL(recv(socket(AF_INET, SOCK_DGRAM, 0), bytes, 1, 0)) \
	CALL(recv(socket(AF_NETLINK, SOCK_RAW, 0), bytes, 1, 0)) \
	CALL(read(eventfd(0, 0), bytes, 8)) \
	CALL(write(eventfd(1, 0), (long[]){ -2 }, 8)) \
	CALL(read(timerfd_create(CLOCK_MONOTONIC, 0), bytes, 8)) \
	CALL(read(signalfd(-1, &usr1, 0), bytes, 200)) \
	CALL(read(inotify_init(), bytes, 200)) \
	CALL(read(pty[0], bytes, 1)) \
	CALL(read(pty[1], bytes, 1)) \
	CALL(semop(semget(IPC_PRIVATE, 1, 0600), &(struct sembuf){ 0, -1 }, 1)) \
	CALL(msgrcv(msgget(IPC_PRIVATE, 0600), bytes, 1, 0, 0)) \
	CALL(mq_receive(mq_open("/" UNIQUE, O_CREAT | O_RDWR, 0600, 0), bytes, 8192, 0)) \
	CALL((child(), wait(0))) \
	CALL((child(), waitid(P_ALL, 0, 0, WEXITED))) \
	CALL(flock(open("file", O_RDWR), LOCK_EX)) \
	CALL(fcntl(open("file", O_RDWR), F_OFD_SETLKW, &(struct flock){ F_WRLCK })) \
	CALL(syscall(426, syscall(425, 4, (int[30]){}), 0, 1, 1, 0, 0)) \
	CALL(raise(SIGSTOP)) \
	CALL((ptrace(PTRACE_TRACEME, 0, 0, 0), raise(SIGSTOP))) \
	CALL(_exit(0))

static int to_accept[3], to_receive[4];
static struct {
	int seconds, ns;
} short_form = { 100 };
static struct sembuf less = { 0, -1 };

#define I80(...) call_i386(__VA_ARGS__, 0l, 0l, 0l, 0l)

/* By int 0x80. */
#define CALLS_I386(CALL) \
	CALL(I80(162l, &short_form, 0l)) \
	CALL(I80(168l, 0l, 0l, -1l)) \
	CALL(I80(142l, 0l, 0l, 0l, 0l, 0l)) \
	CALL(I80(240l, &word, 0l, 0l, 0l)) \
	CALL(I80(29l)) \
	CALL(I80(177l, &usr1, 0l, &short_form, 8l)) \
	CALL(I80(3l, (long)empty[0], bytes, 1l)) \
	CALL(I80(4l, (long)full[1], bytes, 1l)) \
	CALL(I80(313l, (long)empty[0], 0l, (long)full[1], 0l, 1l, 0l)) \
	CALL(I80(5l, "fifo", 0l)) \
	CALL(I80(3l, (long)stream[0], bytes, 1l)) \
	CALL(I80(371l, (long)packets[0], bytes, 1l, 0l)) \
	CALL((to_receive[0] = packets[0], to_receive[2] = 1, I80(102l, 10l, to_receive))) \
	CALL((to_accept[0] = inet, I80(102l, 5l, to_accept))) \
	CALL(I80(364l, (long)inet, 0l, 0l, 0l)) \
	CALL(I80(3l, (long)eventfd(0, 0), bytes, 8l)) \
	CALL(I80(256l, (long)epoll_create1(0), bytes, 1l, -1l)) \
	CALL(I80(117l, 1l, (long)semget(IPC_PRIVATE, 1, 0600), 1l, 0l, &less)) \
	CALL(I80(401l, (long)msgget(IPC_PRIVATE, 0600), bytes, 1l, 0l, 0l)) \
	CALL((child(), I80(114l, -1l, 0l, 0l, 0l))) \
	CALL(I80(143l, (long)open("file", O_RDWR), 2l)) \
	CALL(I80(426l, syscall(425, 4, (int[30]){}), 0l, 1l, 1l, 0l, 0l))

#define SHOW(call) \
	fflush(stdout); \
	pid = fork(); \
	if (!pid) { \
		prctl(PR_SET_PDEATHSIG, SIGKILL); \
		call; \
		_exit(1); \
	} \
	show_place(#call, pid);

/* A place where it is seen twice is no lock on the way there. */
static void show_place(const char *call, int pid)
{
	char last[64] = "", now[64];
	for (;; usleep(1000)) {
		char state = state_of(pid);
		snprintf(now, sizeof now, "%s", of_task(pid, "wchan"));
		if (state == 'Z' ||
		    (strchr("StTD", state) && strcmp(now, "0") && !strcmp(now, last)))
			break;
		strcpy(last, now);
	}
	printf("%s: %.*s\n", call, (int)strcspn(now, "."), now);
	kill(pid, SIGKILL);
	waitpid(pid, 0, 0);
}

static void make_all(void)
{
	socklen_t size;
	if (!mkdtemp(place) || chdir(place))
		exit(1);
	sigaddset(&usr1, SIGUSR1);
	mkfifo("fifo", 0600);
	file = open("file", O_RDWR | O_CREAT, 0600);
	write(file, bytes, 10);
	flock(file, LOCK_EX);
	fcntl(open("file", O_RDWR), F_OFD_SETLK, &(struct flock){ F_WRLCK });
	pipe(empty);
	pipe2(full, O_NONBLOCK);
	fill(full[1], 0);
	fcntl(full[1], F_SETFL, 0);
	socketpair(AF_UNIX, SOCK_STREAM, 0, stream);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, packets);
	openpty(&pty[0], &pty[1], 0, 0, 0);
	unixes = socket(AF_UNIX, SOCK_STREAM, 0);
	name = (struct sockaddr_un){ AF_UNIX };
	bind(unixes, (struct sockaddr *)&name, sizeof(short));
	size = sizeof name;
	getsockname(unixes, (struct sockaddr *)&name, &size);
	listen(unixes, 1);
	inet = socket(AF_INET, SOCK_STREAM, 0);
	address = (struct sockaddr_in){ AF_INET, 0, { htonl(INADDR_LOOPBACK) } };
	size = sizeof address;
	bind(inet, (struct sockaddr *)&address, size);
	listen(inet, 1);
	getsockname(inet, (struct sockaddr *)&address, &size);
	tcp[0] = socket(AF_INET, SOCK_STREAM, 0);
	connect(tcp[0], (struct sockaddr *)&address, size);
	tcp[1] = accept(inet, 0, 0);
}

int main(void)
{
	int pid;
	make_all();
	CALLS(SHOW)
	CALLS_I386(SHOW)
	mq_unlink("/" UNIQUE);
	unlink("fifo");
	unlink("file");
	chdir("/");
	return rmdir(place);
}
