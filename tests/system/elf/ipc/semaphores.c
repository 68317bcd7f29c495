/* System V semaphores: every call and command, who wakes in which order, what an exit undoes. */
#define _GNU_SOURCE
#include "results.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SEM_STAT_ANY
#define SEM_STAT_ANY 20
#endif
#ifndef SEM_STAT
#define SEM_STAT 18
#define SEM_INFO 19
#endif

static int *order; /* shared: who woke, in order */

static long ctl(int id, int number, int command, long value)
{
	return result(syscall(SYS_semctl, id, number, command, value));
}

static long op(int id, int number, int change, int flags)
{
	struct sembuf one = { number, change, flags };

	return result(syscall(SYS_semop, id, &one, 1));
}

static int fresh(int number) { return syscall(SYS_semget, IPC_PRIVATE, number, 0600); }

static void values(const char *what, int id, int number)
{
	unsigned short all[64];

	printf("%s:", what);
	ctl(id, 0, GETALL, (long)all);
	for (int i = 0; i < number; i++)
		printf(" %d", all[i]);
	printf("\n");
}

static void getting(void)
{
	int key = 0x504b0000 | getpid() & 0xffff,
	    id = syscall(SYS_semget, key, 3, IPC_CREAT | 0600);
	static const int counts[] = { 0, 3, 4, -1, 40000 };

	printf("get %d\n", id >= 0);
	for (int i = 0; i < 5; i++)
		printf("again %d %d\n", counts[i],
		       (int)result(syscall(SYS_semget, key, counts[i], 0600)) == id
			       ? 0
			       : (int)result(syscall(SYS_semget, key, counts[i], 0600)));
	P("excl", result(syscall(SYS_semget, key, 3, IPC_CREAT | IPC_EXCL | 0600)));
	P("rmid", ctl(id, 0, IPC_RMID, 0));
	P("gone", ctl(id, 0, IPC_RMID, 0), op(id, 0, 1, 0),
	  result(syscall(SYS_semget, key, 3, 0600)));
	for (int i = 0; i < 5; i++) {
		long made = result(syscall(SYS_semget, IPC_PRIVATE, counts[i], 0600));

		printf("private %d %ld\n", counts[i], made < 0 ? made : 0);
		if (made >= 0)
			ctl(made, 0, IPC_RMID, 0);
	}
}

static void refusals(void)
{
	int id = fresh(2);
	struct sembuf ops[600] = { { 0, 1, 0 }, { 1, -1, IPC_NOWAIT } };
	struct timespec none = { 0, 0 }, bad = { 0, -1 };

	P("count", result(syscall(SYS_semop, id, ops, 0)), result(syscall(SYS_semop, id, ops, 501)),
	  result(syscall(SYS_semop, id, ops, 600)));
	P("id", op(-1, 0, 1, 0), op(0x7ffffff, 0, 1, 0));
	P("addr", result(syscall(SYS_semop, id, 8, 1)), result(syscall(SYS_semop, -1, 8, 1)));
	P("number", op(id, 2, 1, 0));
	P("nowait", result(syscall(SYS_semop, id, ops, 2)));
	values("all or none", id, 2);
	P("range", op(id, 0, 32767, 0), op(id, 0, 1, 0), op(id, 0, -32767, 0));
	P("undo's range", op(id, 0, 32767, SEM_UNDO), op(id, 0, -32767, 0), op(id, 0, 2, SEM_UNDO));
	P("setval clears", ctl(id, 0, SETVAL, 0), op(id, 0, 2, SEM_UNDO));
	P("time", result(syscall(SYS_semtimedop, id, ops + 1, 1, &none)),
	  result(syscall(SYS_semtimedop, id, ops + 1, 1, &bad)),
	  result(syscall(SYS_semtimedop, id, ops + 1, 1, 8)));
	ops[1].sem_flg = 0;
	P("no time", result(syscall(SYS_semtimedop, id, ops + 1, 1, &none)));
	none.tv_nsec = 2000000;
	P("some time", result(syscall(SYS_semtimedop, id, ops + 1, 1, &none)));
	P("nobody waits", ctl(id, 1, GETNCNT, 0));
	P("val", ctl(id, 0, SETVAL, 32768), ctl(id, 0, SETVAL, -1), ctl(id, 2, SETVAL, 1),
	  ctl(id, -1, SETVAL, 1));
	P("get", ctl(id, 2, GETVAL, 0), ctl(id, -1, GETPID, 0), ctl(id, 0, 99, 0),
	  ctl(-1, 0, GETVAL, 0));
	P("addresses", ctl(id, 0, GETALL, 8), ctl(id, 0, SETALL, 8), ctl(id, 0, IPC_STAT, 8),
	  ctl(id, 0, IPC_SET, 8));
	unsigned short much[2] = { 1, 40000 };
	P("setall", ctl(id, 0, SETALL, (long)much));
	values("kept", id, 2);
	much[1] = 7;
	P("setall", ctl(id, 0, SETALL, (long)much));
	values("set", id, 2);
	printf("pid %d\n", ctl(id, 1, GETPID, 0) == getpid());
	/* the same semaphore several times in one call */
	struct sembuf twice[3] = { { 0, -1, 0 }, { 0, 0, IPC_NOWAIT }, { 0, 5, 0 } };
	P("twice", result(syscall(SYS_semop, id, twice, 3)));
	values("twice", id, 2);
	P("twice", result(syscall(SYS_semop, id, twice, 3)));
	values("twice", id, 2);
	ctl(id, 0, IPC_RMID, 0);
}

static void telling(void)
{
	int id = fresh(3);
	struct semid_ds ds;
	struct seminfo info;

	printf("stat %ld", ctl(id, 0, IPC_STAT, (long)&ds));
	printf(" %o %d %d %ld %d\n", ds.sem_perm.mode, ds.sem_perm.uid == geteuid(),
	       ds.sem_perm.cgid == getegid(), ds.sem_nsems, ds.sem_otime == 0);
	op(id, 0, 0, 0);
	ctl(id, 0, IPC_STAT, (long)&ds);
	printf("otime %d\n", ds.sem_otime != 0);
	ds.sem_perm.mode = 07640;
	printf("set %ld", ctl(id, 0, IPC_SET, (long)&ds));
	ctl(id, 0, IPC_STAT, (long)&ds);
	printf(" %o\n", ds.sem_perm.mode);
	ds.sem_perm.uid = -1;
	P("no such user", ctl(id, 0, IPC_SET, (long)&ds));
	printf("info %d", ctl(0, 0, IPC_INFO, (long)&info) >= 0);
	printf(" %d %d %d %d %d %d %d %d %d %d\n", info.semmap, info.semmni, info.semmns,
	       info.semmnu, info.semmsl, info.semopm, info.semume, info.semusz, info.semvmx,
	       info.semaem);
	long top = ctl(0, 0, SEM_INFO, (long)&info);
	printf("used %d %d %d\n", top >= (id & 32767), info.semusz >= 1, info.semaem >= 3);
	printf("index %d", ctl(id & 32767, 0, SEM_STAT, (long)&ds) == id);
	printf(" %d", ctl(id & 32767, 0, SEM_STAT_ANY, (long)&ds) == id);
	printf(" %ld %ld\n", ds.sem_nsems, ctl(32767, 0, SEM_STAT, (long)&ds));
	ctl(id, 0, IPC_RMID, 0);
}

static void rights(void)
{
	int id = fresh(1);
	struct semid_ds ds;

	if (geteuid())
		return;
	ctl(id, 0, IPC_STAT, (long)&ds);
	static const int modes[] = { 0600, 0604, 0602, 0606 };
	for (int i = 0; i < 4; i++) {
		ds.sem_perm.mode = modes[i];
		ctl(id, 0, IPC_SET, (long)&ds);
		fflush(stdout);
		if (!fork()) {
			setgid(77);
			setgroups(0, 0);
			setuid(77);
			printf("%o", modes[i]);
			P(": get op zero val set stat any rmid", ctl(id, 0, GETVAL, 0),
			  op(id, 0, 1, 0), op(id, 0, 0, IPC_NOWAIT), ctl(id, 0, SETVAL, 0),
			  ctl(id, 0, IPC_SET, (long)&ds), ctl(id, 0, IPC_STAT, (long)&ds),
			  ctl(id & 32767, 0, SEM_STAT_ANY, (long)&ds) >= 0,
			  ctl(id, 0, IPC_RMID, 0));
			fflush(stdout);
			_exit(0);
		}
		wait(0);
	}
	ctl(id, 0, IPC_RMID, 0);
}

/* ---- who wakes ---- */

static void waits_until(int id, int number, int command, int count)
{
	while (ctl(id, number, command, 0) != count)
		usleep(1000);
}

static pid_t sleeper(int who, int id, struct sembuf *ops, int count)
{
	pid_t pid = fork();

	if (pid < 0) { /* nobody is to wait for one that never comes */
		perror("fork");
		ctl(id, 0, IPC_RMID, 0);
		exit(1);
	}
	if (!pid) {
		long got = result(syscall(SYS_semop, id, ops, count));
		int place = __sync_fetch_and_add(order, 1);

		order[1 + place] = who * 1000 + (int)-got;
		_exit(0);
	}
	return pid;
}

/* Who was let through is told by the values that are left, for the host has several processors. */
static void woken(int id, int number, int children)
{
	for (int i = 0; i < children; i++)
		wait(0);
	int seen[64] = { 0 };
	for (int i = 0; i < *order; i++)
		seen[order[1 + i] / 1000] = order[1 + i] % 1000 + 1;
	printf("ended:");
	for (int i = 0; i < 64; i++)
		if (seen[i])
			printf(" %d=%d", i, seen[i] - 1);
	printf("\n");
	memset(order, 0, 4096);
	if (number)
		values("left", id, number);
}

static void counting(void)
{
	int id = fresh(3);
	struct sembuf down = { 0, -1, 0 }, zero = { 1, 0, 0 };
	struct sembuf both[2] = { { 2, -1, 0 }, { 0, -1, 0 } };

	ctl(id, 1, SETVAL, 1);
	sleeper(1, id, &down, 1);
	waits_until(id, 0, GETNCNT, 1);
	sleeper(2, id, &zero, 1);
	waits_until(id, 1, GETZCNT, 1);
	sleeper(3, id, both, 2);
	waits_until(id, 2, GETNCNT, 1);
	P("wait", ctl(id, 0, GETNCNT, 0), ctl(id, 0, GETZCNT, 0), ctl(id, 1, GETNCNT, 0),
	  ctl(id, 2, GETZCNT, 0));
	op(id, 2, 1, 0); /* the blocking operation becomes the second */
	P("wait", ctl(id, 0, GETNCNT, 0), ctl(id, 2, GETNCNT, 0));
	values("values", id, 3);
	op(id, 0, 2, 0);
	op(id, 1, -1, 0);
	woken(id, 3, 3);
	ctl(id, 0, IPC_RMID, 0);
}

static void ordering(void)
{
	int id = fresh(2);
	struct sembuf ops[6] = { { 0, -2, 0 }, { 0, -1, 0 }, { 0, -1, 0 } };

	/* single ones: first come, first served, but the second fits where the first does not */
	for (int i = 0; i < 3; i++) {
		sleeper(i, id, ops + i, 1);
		waits_until(id, 0, GETNCNT, i + 1);
	}
	op(id, 0, 1, 0);
	waits_until(id, 0, GETNCNT, 2);
	values("one", id, 1);
	op(id, 0, 2, 0);
	waits_until(id, 0, GETNCNT, 1);
	op(id, 0, 1, 0);
	woken(id, 1, 3);
	/* a complex one in front of a single one */
	struct sembuf chain[2] = { { 0, -1, 0 }, { 1, 1, 0 } };
	struct sembuf after = { 1, -1, 0 };
	sleeper(1, id, &after, 1);
	waits_until(id, 1, GETNCNT, 1);
	sleeper(2, id, chain, 2);
	waits_until(id, 0, GETNCNT, 1);
	op(id, 0, 1, 0); /* lets 2 through, which lets 1 through */
	woken(id, 2, 2);
	/* the removal wakes all */
	struct sembuf zero = { 0, 0, 0 };
	ctl(id, 0, SETVAL, 1);
	sleeper(1, id, &zero, 1);
	waits_until(id, 0, GETZCNT, 1);
	sleeper(2, id, &after, 1);
	waits_until(id, 1, GETNCNT, 1);
	struct sembuf more[2] = { { 0, -5, 0 }, { 1, -5, 0 } };
	sleeper(3, id, more, 2);
	waits_until(id, 0, GETNCNT, 1);
	ctl(id, 0, IPC_RMID, 0);
	woken(id, 0, 3);
}

static void zeros(void)
{
	int id = fresh(2);
	struct sembuf rise[2] = { { 0, 0, 0 }, { 0, 1, 0 } }, zero = { 0, 0, 0 };

	ctl(id, 0, SETVAL, 1);
	sleeper(1, id, rise, 2);
	waits_until(id, 0, GETZCNT, 1);
	sleeper(2, id, &zero, 1);
	waits_until(id, 0, GETZCNT, 2);
	sleeper(3, id, rise, 2);
	waits_until(id, 0, GETZCNT, 3);
	op(id, 0, -1, 0); /* 2 and one of the others */
	waits_until(id, 0, GETZCNT, 1);
	values("risen", id, 1);
	ctl(id, 0, SETVAL, 0);
	woken(id, 1, 3);
	/* a range that a waiter finds when it is let through */
	struct sembuf over[2] = { { 1, -1, 0 }, { 0, 32767, 0 } };
	sleeper(4, id, over, 2);
	waits_until(id, 1, GETNCNT, 1);
	op(id, 1, 1, 0);
	woken(id, 2, 1);
	ctl(id, 0, IPC_RMID, 0);
}

static void undoing(void)
{
	int id = fresh(2);
	struct sembuf down = { 1, -1, 0 };

	ctl(id, 0, SETVAL, 5);
	if (!fork()) {
		op(id, 0, -3, SEM_UNDO);
		op(id, 1, 2, SEM_UNDO);
		if (!fork())
			_exit(0); /* undoes nothing */
		wait(0);
		values("child", id, 2);
		fflush(stdout);
		_exit(0);
	}
	wait(0);
	values("undone", id, 2);
	if (!fork()) {
		op(id, 0, 1, SEM_UNDO);
		kill(getpid(), SIGKILL);
	}
	wait(0);
	values("killed", id, 2);
	/* what the undoing lets through; below zero it stops */
	sleeper(1, id, &down, 1);
	waits_until(id, 1, GETNCNT, 1);
	if (!fork()) {
		op(id, 1, 4, 0);
		op(id, 1, -3, SEM_UNDO);
		op(id, 0, 3, SEM_UNDO);
		ctl(id, 1, SETVAL, 0);
		op(id, 0, -8, 0);
		_exit(0);
	}
	wait(0);
	woken(id, 2, 1);
	/* a killed waiter leaves the queue, a set that is gone is undone no more */
	pid_t pid = sleeper(2, id, &down, 1);
	waits_until(id, 1, GETNCNT, 1);
	kill(pid, SIGKILL);
	wait(0);
	P("waits", ctl(id, 1, GETNCNT, 0));
	op(id, 0, 1, SEM_UNDO);
	ctl(id, 0, IPC_RMID, 0);
}

static void none(int signo) {}

static void interrupted(void)
{
	int id = fresh(1);
	struct sigaction act = { .sa_handler = none, .sa_flags = SA_RESTART };

	sigaction(SIGALRM, &act, 0);
	alarm(1);
	P("eintr", op(id, 0, -1, 0));
	P("waits", ctl(id, 0, GETNCNT, 0));
	ctl(id, 0, IPC_RMID, 0);
}

int main(void)
{
	order = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	setvbuf(stdout, 0, _IOLBF, 0);
	getting();
	refusals();
	telling();
	rights();
	counting();
	ordering();
	zeros();
	undoing();
	interrupted();
	return 0;
}
