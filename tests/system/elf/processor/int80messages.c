/*
 * Calls of the i386 table with structures of 32-bit pointers: messages and what travels with them,
 * System V's objects, queues, timers, what signals do and tell, waits with a siginfo_t, clocks.
 */
#define _GNU_SOURCE
#include "../int80.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SIGNAL = 48,
	SIGACTION = 67,
	SIGSUSPEND = 72,
	SOCKETCALL = 102,
	IPC_ = 117,
	ADJTIMEX = 124,
	RR_INTERVAL = 161,
	RT_SIGACTION = 174,
	RT_SIGTIMEDWAIT = 177,
	RT_SIGQUEUEINFO = 178,
	SIGALTSTACK = 186,
	FUTEX = 240,
	TIMER_CREATE = 259,
	TIMER_SETTIME = 260,
	TIMER_GETTIME = 261,
	TIMER_DELETE = 263,
	CLOCK_SETTIME = 264,
	GET_MEMPOLICY = 275,
	MQ_OPEN = 277,
	MQ_UNLINK = 278,
	MQ_TIMEDSEND = 279,
	MQ_TIMEDRECEIVE = 280,
	MQ_GETSETATTR = 282,
	WAITID = 284,
	MOVE_PAGES = 317,
	TIMERFD_CREATE = 322,
	TIMERFD_SETTIME = 325,
	TIMERFD_GETTIME = 326,
	RECVMMSG = 337,
	SENDMMSG = 345,
	SENDMSG = 370,
	RECVMSG = 372,
	SEMGET = 393,
	SEMCTL = 394,
	SHMGET = 395,
	SHMCTL = 396,
	MSGGET = 399,
	MSGSND = 400,
	MSGRCV = 401,
	MSGCTL = 402
};

static char *low;
static unsigned *word;

static unsigned at(unsigned index) { return (unsigned)(uintptr_t)(word + index); }

static void words(unsigned first, unsigned count, unsigned from)
{
	for (unsigned i = first; i < first + count; i++)
		printf(" %x", word[i] - (i == from ? at(0) : 0));
	printf("\n");
}

/* struct msghdr at a word: one part of nbytes at text, control data at another word. */
static void header(unsigned index, unsigned text, unsigned nbytes, unsigned control, unsigned room)
{
	memcpy(word + index,
	       (unsigned[]){ 0, 0, at(index + 20), 1, control ? at(control) : 0, room, 0 }, 28);
	word[index + 20] = at(text), word[index + 21] = nbytes;
}

static void messages(void)
{
	int ends[2];
	socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends);
	strcpy(low + 2000, "what is sent");
	header(0, 500, 12, 100, 16);
	memcpy(word + 100, (unsigned[]){ 16, SOL_SOCKET, SCM_RIGHTS, 1 }, 16);
	SHOW("sendmsg", SENDMSG, ends[0], at(0), 0, 0, 0);
	header(0, 600, 100, 200, 100);
	SHOW("recvmsg", RECVMSG, ends[1], at(0), 0, 0, 0);
	printf("  %s, flags and lengths:", low + 2400);
	words(1, 1, 99);
	words(5, 2, 99);
	words(200, 4, 99);
	static const unsigned rooms[] = { 0, 11, 12, 15, 16, 20 };
	for (int i = 0; i < 6; i++) {
		header(0, 500, 12, 100, 16);
		SHOW("send a file", SENDMSG, ends[0], at(0), 0, 0, 0);
		header(0, 600, 5, 200, rooms[i]);
		memset(word + 200, 0, 40);
		SHOW("receive it", RECVMSG, ends[1], at(0), 0, 0, 0);
		printf("  room for %d:", rooms[i]);
		words(5, 2, 99);
	}
	static const unsigned wrong[] = { 0, 4, 11, 12, 13, 17, -1u };
	for (int i = 0; i < 7; i++) {
		header(0, 500, 12, 100, 16);
		word[100] = wrong[i];
		SHOW("a wrong length", SENDMSG, ends[0], at(0), 0, 0, 0);
		header(0, 500, 12, 100, wrong[i]);
		word[100] = 16;
		SHOW("a wrong room", SENDMSG, ends[0], at(0), 0, 0, 0);
		while (recv(ends[1], low + 3000, 100, 0) > 0)
			;
	}
	SHOW("of nowhere", SENDMSG, ends[0], 8, 0, 0, 0);
	SHOW("the flag of such calls", SENDMSG, ends[0], at(0), 0x80000000u, 0, 0);
	while (recv(ends[1], low + 3000, 100, 0) > 0)
		;
	header(0, 500, 4, 0, 0);
	header(8, 501, 5, 0, 0);
	memcpy(word + 20, (unsigned[]){ at(500), 4, 0, 0, 0, 0, 0, 0, at(501), 5 }, 40);
	SHOW("sendmmsg", SENDMMSG, ends[0], at(0), 2, 0, 0);
	words(7, 1, 99);
	words(15, 1, 99);
	SHOW("recvmmsg", RECVMMSG, ends[1], at(0), 2, 0, 0);
	words(7, 1, 99);
	words(15, 1, 99);
	header(0, 500, 12, 0, 0);
	memcpy(word + 40, (unsigned[]){ (unsigned)ends[0], at(0), 0, 0 }, 16);
	SHOW("by socketcall", SOCKETCALL, 16, at(40), 0, 0, 0);
	word[40] = (unsigned)ends[1];
	SHOW("by socketcall", SOCKETCALL, 17, at(40), 0, 0, 0);
	memcpy(word + 40, (unsigned[]){ (unsigned)ends[0], at(0), 1, 0, 0 }, 20);
	SHOW("several by socketcall", SOCKETCALL, 20, at(40), 0, 0, 0);
	word[40] = (unsigned)ends[1];
	SHOW("several by socketcall", SOCKETCALL, 19, at(40), 0, 0, 0);
}

static void objects(void)
{
	int id = (int)call_i386(SHMGET, 0ul, 5000ul, 0600ul, 0ul, 0ul, 0ul);
	SHOW("stat", SHMCTL, id, 2, at(0), 0, 0);
	words(1, 5, 99);
	words(9, 3, 99);
	printf("  %d %d\n", word[16] == (unsigned)getpid(), word[18]);
	word[5] = 0640;
	SHOW("set", SHMCTL, id, 1, at(0), 0, 0);
	SHOW("stat by ipc", IPC_, 24, id, 2 | 0x100, 0, at(0));
	printf("  %o\n", word[5]);
	call_i386(SHMCTL, 0ul, 3ul, L(at(0)), 0ul, 0ul, 0ul);
	words(0, 5, 99);
	SHOW("to nowhere", SHMCTL, id, 2, 8, 0, 0);
	SHOW("remove", SHMCTL, id, 0, 0, 0, 0);
	id = (int)call_i386(SEMGET, 0ul, 3ul, 0600ul, 0ul, 0ul, 0ul);
	SHOW("set a value", SEMCTL, id, 1, 16, 7, 0);
	SHOW("its value", SEMCTL, id, 1, 12, 0, 0);
	word[0] = 9;
	SHOW("by ipc", IPC_, 3, id, 2, 16, at(0));
	SHOW("all", SEMCTL, id, 0, 13, at(10), 0);
	words(10, 2, 99);
	SHOW("stat", SEMCTL, id, 0, 2, at(0), 0);
	words(1, 5, 99);
	words(13, 1, 99);
	SHOW("remove", SEMCTL, id, 0, 0, 0, 0);
	id = (int)call_i386(MSGGET, 0ul, 0600ul, 0ul, 0ul, 0ul, 0ul);
	word[0] = 5;
	strcpy(low + 4, "a message");
	SHOW("send", MSGSND, id, at(0), 10, 0, 0);
	word[0] = -5u;
	SHOW("of a type below 1", MSGSND, id, at(0), 10, 0, 0);
	SHOW("fewer than no bytes", MSGSND, id, at(0), -1, 0, 0);
	SHOW("stat", MSGCTL, id, 2, at(100), 0, 0);
	words(101, 5, 99);
	printf("  %x %d\n", word[115], word[116] > 0);
	SHOW("receive what is up to 9", MSGRCV, id, at(0), 100, -9, 0);
	printf("  %d %s\n", word[0], low + 4);
	SHOW("nothing is there", MSGRCV, id, at(0), 100, 0, 04000);
	word[117] = 100;
	SHOW("set", MSGCTL, id, 1, at(100), 0, 0);
	SHOW("stat", MSGCTL, id, 2, at(100), 0, 0);
	words(117, 1, 99);
	word[0] = 5;
	SHOW("send by ipc", IPC_, 11, id, 10, 0, at(0));
	memcpy(word + 40, (unsigned[]){ at(50), 5 }, 8);
	SHOW("receive by ipc", IPC_, 12, id, 10, 0, at(40));
	words(50, 1, 99);
	SHOW("remove by ipc", IPC_, 14, id, 0x100, 0, 0);
}

static void queues(void)
{
	strcpy(low + 2000, "int80messages");
	memcpy(word, (unsigned[]){ 0, 4, 32, 0, 0, 0, 0, 0 }, 32);
	int fd = SHOW("mq_open", MQ_OPEN, at(500), O_RDWR | O_CREAT | O_NONBLOCK, 0600, at(0), 0);
	strcpy(low + 2400, "queued");
	SHOW("send", MQ_TIMEDSEND, fd, at(600), 7, 3, 0);
	SHOW("its attributes", MQ_GETSETATTR, fd, 0, at(0), 0, 0);
	words(0, 4, 99);
	SHOW("receive", MQ_TIMEDRECEIVE, fd, at(700), 32, at(10), 0);
	printf("  %s %d\n", low + 2800, word[10]);
	memcpy(word + 20, (unsigned[]){ 1, 1000000000 }, 8);
	SHOW("a date that is none", MQ_TIMEDRECEIVE, fd, at(700), 32, 0, at(20));
	SHOW("unlink", MQ_UNLINK, at(500), 0, 0, 0, 0);
	close(fd);
}

static void timers(void)
{
	memcpy(word, (unsigned[]){ 77, SIGUSR1, SIGEV_NONE, 0 }, 16);
	SHOW("timer_create", TIMER_CREATE, CLOCK_MONOTONIC, at(0), at(100), 0, 0);
	unsigned timer = word[100];
	memcpy(word, (unsigned[]){ 5, 6, 100, 0 }, 16);
	SHOW("set", TIMER_SETTIME, timer, 0, at(0), at(10), 0);
	words(10, 4, 99);
	SHOW("what is left", TIMER_GETTIME, timer, at(10), 0, 0, 0);
	printf("  %d %d %d\n", word[10], word[11], word[12] == 99 || word[12] == 100);
	word[1] = 1000000000;
	SHOW("too many parts", TIMER_SETTIME, timer, 0, at(0), 0, 0);
	word[1] = -1u;
	SHOW("less than none", TIMER_SETTIME, timer, 0, at(0), 0, 0);
	SHOW("delete", TIMER_DELETE, timer, 0, 0, 0, 0);
	SHOW("from nowhere", TIMER_CREATE, 0, 8, at(100), 0, 0);
	unsigned fd = SHOW("timerfd", TIMERFD_CREATE, CLOCK_MONOTONIC, 0, 0, 0, 0);
	memcpy(word, (unsigned[]){ 5, 6, 100, 0 }, 16);
	SHOW("set", TIMERFD_SETTIME, fd, 0, at(0), at(10), 0);
	words(10, 4, 99);
	SHOW("what is left", TIMERFD_GETTIME, fd, at(10), 0, 0, 0);
	printf("  %d %d %d\n", word[10], word[11], word[12] == 99 || word[12] == 100);
	close((int)fd);
	memcpy(word, (unsigned[]){ 0, 1000, 0, 0 }, 16);
	show("futex", FUTEX, L(at(20)), 0ul, 0ul, L(at(0)), 0ul, 0ul);
	word[1] = -1u;
	show("futex, a wrong time", FUTEX, L(at(20)), 0ul, 0ul, L(at(0)), 0ul, 0ul);
	SHOW("round robin", RR_INTERVAL, 0, at(0), 0, 0, 0);
	SHOW("of nobody", RR_INTERVAL, 999999, at(0), 0, 0, 0);
	word[1] = -1u;
	SHOW("set the clock to no date", CLOCK_SETTIME, 0, at(0), 0, 0, 0);
	SHOW("set a clock that nobody sets", CLOCK_SETTIME, 1, at(0), 0, 0, 0);
	SHOW("adjtimex of nowhere", ADJTIMEX, 8, 0, 0, 0, 0);
}

static void actions(void)
{
	memset(word, 0, 80);
	SHOW("sigaction", RT_SIGACTION, SIGUSR1, 0, at(0), 8, 0);
	words(0, 5, 99);
	memcpy(word, (unsigned[]){ 1, SA_RESTART, 0, 0xffffffff, 0xffffffff }, 20);
	SHOW("ignore", RT_SIGACTION, SIGUSR1, at(0), at(10), 8, 0);
	SHOW("what it does", RT_SIGACTION, SIGUSR1, 0, at(0), 8, 0);
	words(0, 5, 99);
	SHOW("what it does, the old call", SIGACTION, SIGUSR1, 0, at(0), 0, 0);
	words(0, 4, 99);
	SHOW("sets of another size", RT_SIGACTION, SIGUSR1, 0, at(0), 4, 0);
	SHOW("no such signal", RT_SIGACTION, 65, 0, at(0), 8, 0);
	SHOW("who cannot be ignored", RT_SIGACTION, SIGKILL, at(10), 0, 8, 0);
	SHOW("the oldest call", SIGNAL, SIGUSR1, 0, 0, 0, 0);
	SHOW("it was ignored, now", SIGNAL, SIGUSR1, 1, 0, 0, 0);
	SHOW("no signal", SIGNAL, 0, 1, 0, 0, 0);
	SHOW("again", SIGNAL, SIGUSR1, 0, 0, 0, 0);
	memcpy(word, (unsigned[]){ at(1000), 0, 16384 }, 12);
	SHOW("a stack", SIGALTSTACK, at(0), 0, 0, 0, 0);
	SHOW("which", SIGALTSTACK, 0, at(10), 0, 0, 0);
	words(10, 3, 10);
	word[2] = 100;
	SHOW("too small", SIGALTSTACK, at(0), 0, 0, 0, 0);
	word[1] = 2;
	SHOW("none", SIGALTSTACK, at(0), at(10), 0, 0, 0);
	words(10, 3, 10);
}

static void told(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, 0);
	memcpy(word, &set, 8);
	memset(word + 10, 0, 128);
	memcpy(word + 10, (unsigned[]){ 0, 0, -1u, 5, 6, 0x12345678 }, 24);
	SHOW("queue", RT_SIGQUEUEINFO, getpid(), SIGUSR1, at(10), 0, 0);
	SHOW("take", RT_SIGTIMEDWAIT, at(0), at(10), 0, 8, 0);
	words(10, 6, 99);
	kill(getpid(), SIGUSR1);
	SHOW("take", RT_SIGTIMEDWAIT, at(0), at(10), 0, 8, 0);
	printf("  %d %d %d\n", word[10], word[12], word[13] == (unsigned)getpid());
	memcpy(word + 60, (unsigned[]){ 0, 1000 }, 8);
	SHOW("none comes", RT_SIGTIMEDWAIT, at(0), at(10), at(60), 8, 0);
	memset(word + 10, 0, 128);
	word[12] = 5;
	SHOW("as from the kernel, for another", RT_SIGQUEUEINFO, getppid(), 0, at(10), 0, 0);
	int pid = fork();
	if (!pid)
		_exit(9);
	show("waitid", WAITID, 1ul, L(pid), L(at(10)), 4ul, L(at(100)), 0ul);
	printf("  %d %d %d %d %d\n", word[10], word[12], word[13] == (unsigned)pid, word[14],
	       word[15]);
	show("nobody is left", WAITID, 1ul, L(pid), L(at(10)), 4ul, 0ul, 0ul);
	words(10, 6, 99);
}

static void memory(void)
{
	low[8192] = 1;
	memcpy(word, (unsigned[]){ at(2048), 16 }, 8);
	show("where pages lie", MOVE_PAGES, 0ul, 2ul, L(at(0)), 0ul, L(at(10)), 0ul);
	words(10, 2, 99);
	word[20] = word[21] = word[22] = 7;
	show("get_mempolicy", GET_MEMPOLICY, L(at(20)), L(at(21)), 33ul, 0ul, 0ul, 0ul);
	words(20, 3, 99);
}

int main(void)
{
	low = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		   -1, 0);
	word = (unsigned *)low;
	for (int fd = 3; fd < 300; fd++)
		close(fd);
	messages();
	objects();
	queues();
	timers();
	actions();
	told();
	memory();
	return 0;
}
