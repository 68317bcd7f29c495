/* System V message queues: every call and command, whom a message reaches, who waits for room. */
#define _GNU_SOURCE
#include "asleep.h"
#include "results.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COPY 040000
#define EXCEPT 020000
#define STAT 11
#define INFO 12
#define STAT_ANY 13

struct text {
	long type;
	char text[9000];
};

/* struct msqid64_ds */
struct queue {
	int key;
	unsigned uid, gid, cuid, cgid, mode;
	unsigned short seq, pad;
	unsigned long unused[2];
	long stime, rtime, ctime;
	unsigned long cbytes, qnum, qbytes;
	int lspid, lrpid;
	unsigned long more[2];
};

struct limits {
	int pool, map, max, mnb, mni, ssz, tql;
	unsigned short seg;
};

static long ctl(int id, int command, void *at)
{
	return result(syscall(SYS_msgctl, id, command, at));
}

static int fresh(void) { return syscall(SYS_msgget, IPC_PRIVATE, 0600); }

static long put(int id, long type, const char *what, int flags)
{
	struct text one = { type };

	strcpy(one.text, what);
	return result(syscall(SYS_msgsnd, id, &one, strlen(what), flags));
}

static long put_bytes(int id, long nbytes, int flags)
{
	static struct text one = { 1 };

	return result(syscall(SYS_msgsnd, id, &one, nbytes, flags));
}

static void get(int id, long nbytes, long type, int flags)
{
	struct text one;

	memset(&one, '-', sizeof one);
	long got = result(syscall(SYS_msgrcv, id, &one, nbytes, type, flags));
	if (got < 0)
		printf("type %ld flags %o: %ld\n", type, flags, got);
	else
		printf("type %ld flags %o: %ld of %ld \"%.*s\"%c\n", type, flags, got, one.type,
		       (int)got, one.text, one.text[got]);
}

static void told(const char *what, int id)
{
	struct queue ds;
	long got = ctl(id, IPC_STAT, &ds);

	printf("%s: %ld mode %o bytes %lu number %lu most %lu", what, got, ds.mode, ds.cbytes,
	       ds.qnum, ds.qbytes);
	printf(" sent %d by me %d received %d by me %d\n", ds.stime != 0, ds.lspid == getpid(),
	       ds.rtime != 0, ds.lrpid == getpid());
}

static void filled(int id)
{
	put(id, 3, "three", 0);
	put(id, 1, "one", 0);
	put(id, 2, "two", 0);
	put(id, 3, "again", 0);
	put(id, 1, "", 0);
}

static void getting(void)
{
	int key = 0x504d0000 | getpid() & 0xffff, id = syscall(SYS_msgget, key, IPC_CREAT | 0600);

	printf("get %d %d\n", id >= 0, syscall(SYS_msgget, key, 0600) == id);
	P("excl", result(syscall(SYS_msgget, key, IPC_CREAT | IPC_EXCL | 0600)),
	  ctl(id, IPC_RMID, 0));
	P("gone", result(syscall(SYS_msgget, key, 0600)), ctl(id, IPC_RMID, 0), put(id, 1, "x", 0));
}

static void choosing(void)
{
	int id = fresh();
	static const long types[] = { 3, 0, -2, -3, -1, 7 };

	told("new", id);
	filled(id);
	told("filled", id);
	for (int i = 0; i < 6; i++)
		get(id, 100, types[i], IPC_NOWAIT | MSG_NOERROR);
	told("left", id);
	for (int i = 0; i < 6; i++)
		get(id, 100, 0, IPC_NOWAIT);
	filled(id);
	get(id, 100, 3, IPC_NOWAIT | EXCEPT);
	get(id, 2, 3, IPC_NOWAIT);
	get(id, 0, 3, IPC_NOWAIT);
	get(id, 0, 3, IPC_NOWAIT | MSG_NOERROR);
	get(id, 2, 3, IPC_NOWAIT | MSG_NOERROR);
	get(id, 100, 3, IPC_NOWAIT);
	get(id, 100, (long)1 << 63, IPC_NOWAIT);
	for (int i = -1; i < 4; i++)
		get(id, 100, i, IPC_NOWAIT | COPY);
	get(id, 1, 0, IPC_NOWAIT | COPY);
	get(id, 1, 0, IPC_NOWAIT | COPY | MSG_NOERROR);
	get(id, 100, 0, COPY);
	get(id, 100, 0, IPC_NOWAIT | COPY | EXCEPT);
	told("copied", id);
	ctl(id, IPC_RMID, 0);
}

static void refusals(void)
{
	int id = fresh();
	struct queue ds;

	P("type", put(id, 0, "x", 0), put(id, -1, "x", 0));
	P("size", put_bytes(id, 8193, 0), put_bytes(id, -1, 0), put_bytes(id, 8192, 0));
	P("id", put(-1, 1, "x", 0), put(0x7ffffff, 1, "x", 0), ctl(-1, IPC_STAT, &ds),
	  ctl(id, 99, &ds), ctl(id, -1, &ds));
	P("address", result(syscall(SYS_msgsnd, id, 8, 1, 0)),
	  result(syscall(SYS_msgsnd, -1, 8, 1, 0)), ctl(id, IPC_STAT, (void *)8),
	  ctl(id, IPC_SET, (void *)8));
	P("receive", result(syscall(SYS_msgrcv, -1, 8, 1, 0, 0)),
	  result(syscall(SYS_msgrcv, id, 8, -1, 0, 0)),
	  result(syscall(SYS_msgrcv, id, 8, 9000, 0, IPC_NOWAIT | COPY)));
	P("lost", result(syscall(SYS_msgrcv, id, 8, 9000, 0, IPC_NOWAIT)));
	told("lost", id);
	P("full", put_bytes(id, 8192, 0), put_bytes(id, 8000, 0), put_bytes(id, 192, 0),
	  put_bytes(id, 1, IPC_NOWAIT), put_bytes(id, 0, IPC_NOWAIT));
	told("full", id);
	ctl(id, IPC_STAT, &ds);
	ds.mode = 07640;
	ds.qbytes = 5;
	P("less room", ctl(id, IPC_SET, &ds), put_bytes(id, 1, IPC_NOWAIT));
	told("set", id);
	ds.gid = -1;
	P("no such group", ctl(id, IPC_SET, &ds));
	ctl(id, IPC_RMID, 0);
	id = fresh();
	ds.gid = getegid();
	ds.qbytes = 2;
	ctl(id, IPC_SET, &ds);
	P("empty ones", put_bytes(id, 0, IPC_NOWAIT), put_bytes(id, 0, IPC_NOWAIT),
	  put_bytes(id, 0, IPC_NOWAIT));
	ctl(id, IPC_RMID, 0);
}

static void telling(void)
{
	int id = fresh();
	struct queue ds;
	struct limits info;

	put(id, 5, "hello", 0);
	printf("info %d", ctl(0, IPC_INFO, &info) >= 0);
	printf(" %d %d %d %d %d %d %d %d\n", info.pool, info.map, info.max, info.mnb, info.mni,
	       info.ssz, info.tql, info.seg);
	printf("used %d", ctl(0, INFO, &info) >= (id & 32767));
	printf(" %d %d %d %d\n", info.pool >= 1, info.map >= 1, info.tql >= 5, info.ssz);
	printf("index %d", ctl(id & 32767, STAT, &ds) == id);
	printf(" %d %lu %ld\n", ctl(id & 32767, STAT_ANY, &ds) == id, ds.cbytes,
	       ctl(32767, STAT, &ds));
	ctl(id, IPC_RMID, 0);
}

static void rights(void)
{
	int id = fresh();
	struct queue ds;

	if (geteuid())
		return;
	ctl(id, IPC_STAT, &ds);
	static const int modes[] = { 0600, 0604, 0602, 0606 };
	for (int i = 0; i < 4; i++) {
		ds.mode = modes[i];
		ctl(id, IPC_SET, &ds);
		fflush(stdout);
		if (!fork()) {
			setgroups(0, 0);
			setgid(77);
			setuid(77);
			printf("%o", modes[i]);
			P(": send receive stat any set rmid", put(id, 1, "x", IPC_NOWAIT),
			  result(syscall(SYS_msgrcv, id, &(struct text){ 0 }, 100, 0, IPC_NOWAIT)),
			  ctl(id, IPC_STAT, &ds), ctl(id & 32767, STAT_ANY, &ds) >= 0,
			  ctl(id, IPC_SET, &ds), ctl(id, IPC_RMID, 0));
			fflush(stdout);
			_exit(0);
		}
		wait(0);
	}
	ctl(id, IPC_RMID, 0);
}

/* ---- who waits ---- */

static char (*answers)[64]; /* shared: what each waiter got */

static pid_t receiver(int who, int id, long nbytes, long type, int flags)
{
	pid_t pid = fork();

	if (!pid) {
		struct text one = { 0 };
		long got = result(syscall(SYS_msgrcv, id, &one, nbytes, type, flags));

		sprintf(answers[who], "%d: %ld of %ld %s", who, got, one.type, one.text);
		_exit(0);
	}
	until_in(pid, SYS_msgrcv);
	return pid;
}

static pid_t sender(int who, int id, long nbytes)
{
	pid_t pid = fork();

	if (!pid) {
		sprintf(answers[who], "%d: %ld", who, put_bytes(id, nbytes, 0));
		_exit(0);
	}
	until_in(pid, SYS_msgsnd);
	return pid;
}

static void ended(int children)
{
	for (int i = 0; i < children; i++)
		wait(0);
	for (int i = 0; i < 16; i++)
		if (*answers[i])
			printf("%s\n", answers[i]);
	memset(answers, 0, 4096);
}

static void receiving(void)
{
	int id = fresh();

	/* the first that takes it gets it; one whose room is too small ends, and the next gets it */
	receiver(1, id, 100, 5, 0);
	receiver(2, id, 2, 0, 0);
	receiver(3, id, 100, -4, 0);
	receiver(4, id, 100, 5, EXCEPT);
	receiver(5, id, 3, 0, MSG_NOERROR);
	put(id, 4, "four", 0);
	put(id, 6, "six!", 0);
	put(id, 7, "seven", 0);
	told("none left", id);
	put(id, 5, "five", 0);
	ended(5);
	/* what interrupts, what removes */
	pid_t pid = receiver(6, id, 100, 0, 0);
	kill(pid, SIGKILL);
	wait(0);
	put(id, 9, "nine", 0);
	get(id, 100, 0, IPC_NOWAIT);
	receiver(7, id, 100, 0, 0);
	ctl(id, IPC_RMID, 0);
	ended(1);
}

static void sending(void)
{
	int id = fresh();
	struct queue ds;

	put_bytes(id, 8000, 0);
	put_bytes(id, 7500, 0);
	put_bytes(id, 800, 0);
	sender(1, id, 8192);
	sender(2, id, 1000);
	sender(3, id, 900);
	told("full", id);
	get(id, 0, 0, MSG_NOERROR); /* room for the smaller ones */
	while (ctl(id, IPC_STAT, &ds), ds.qnum != 4)
		usleep(1000);
	told("two sent", id);
	get(id, 0, 0, MSG_NOERROR);
	ended(3);
	told("all sent", id);
	/* more room lets a sender go on */
	ctl(id, IPC_STAT, &ds);
	ds.qbytes = ds.cbytes + 10;
	ctl(id, IPC_SET, &ds);
	sender(4, id, 500);
	ds.qbytes += 1000;
	ctl(id, IPC_SET, &ds);
	ended(1);
	told("more room", id);
	sender(5, id, 8192);
	ctl(id, IPC_RMID, 0);
	ended(1);
}

static void none(int signo) {}

static void interrupted(void)
{
	int id = fresh();
	struct sigaction act = { .sa_handler = none, .sa_flags = SA_RESTART };

	sigaction(SIGALRM, &act, 0);
	alarm(1);
	get(id, 100, 0, 0);
	put(id, 1, "still there", 0);
	get(id, 100, 0, 0);
	ctl(id, IPC_RMID, 0);
}

int main(void)
{
	answers = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	setvbuf(stdout, 0, _IOLBF, 0);
	getting();
	choosing();
	refusals();
	telling();
	rights();
	receiving();
	sending();
	interrupted();
	return 0;
}
