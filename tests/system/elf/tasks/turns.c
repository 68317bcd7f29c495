/*
 * turns.c - threads that sleep on words of memory and wake each other, and all that can come between.
 *
 * "look": waits for who is to sleep by its state in /proc, as on any kernel.  "blind": only lets time pass, so
 * that nobody has looked at who sleeps.  Both print the same.  A number more: what the threads have used, too.
 */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 8
static int looks, word, other, order[64], nr_order;
static volatile int tids[MOST], handled;

struct way {
	int number, op, bits;
	long nanoseconds; /* 0: no timeout */
	long result;
};

static long futex(int *at, int op, unsigned value, const void *timeout, int *to, int bits)
{
	long result = syscall(SYS_futex, at, op, value, timeout, to, bits);

	return result < 0 ? -errno : result;
}

static void settle(int number)
{
	struct timespec pause = { 0, 200000 };

	while (!tids[number])
		nanosleep(&pause, 0);
	nanosleep(&pause, 0);
	if (looks)
		until_in(tids[number], SYS_futex);
	sched_yield(); /* where a test may recount */
}

static void *sleeper(void *arg)
{
	struct way *w = arg;
	struct timespec limit = { w->nanoseconds / 1000000000, w->nanoseconds % 1000000000 };

	tids[w->number] = gettid();
	w->result = futex(&word, w->op, 0, w->nanoseconds ? &limit : 0, 0, w->bits);
	order[__atomic_fetch_add(&nr_order, 1, __ATOMIC_SEQ_CST)] = w->number;
	return 0;
}

static void start(pthread_t *threads, struct way *ways, int nr)
{
	nr_order = 0;
	memset((void *)tids, 0, sizeof(tids));
	for (int i = 0; i < nr; i++) {
		ways[i].number = i;
		pthread_create(&threads[i], 0, sleeper, &ways[i]);
		settle(i);
	}
}

static void finish(const char *what, pthread_t *threads, struct way *ways, int nr)
{
	printf("%s:", what);
	for (int i = 0; i < nr; i++)
		pthread_join(threads[i], 0);
	for (int i = 0; i < nr; i++)
		printf(" %d=%ld", order[i], ways[i].result);
	printf("\n");
}

/* One after the other: who has woken has said so before the next is. */
static void wake_each(int *at, int op, int bits, int times)
{
	for (int i = 0; i < times; i++) {
		int before = nr_order;

		if (futex(at, op, 1, 0, 0, bits) != 1)
			return;
		while (__atomic_load_n(&nr_order, __ATOMIC_SEQ_CST) == before)
			usleep(100);
	}
}

static const struct way plain = { .op = FUTEX_WAIT_PRIVATE };
static const struct way timed = { .op = FUTEX_WAIT_PRIVATE, .nanoseconds = 100000000000 };
static const struct way shared = { .op = FUTEX_WAIT };

static struct way with_bits(int bits)
{
	return (struct way){ .op = FUTEX_WAIT_BITSET_PRIVATE, .bits = bits };
}

/* Those who came first are woken first, whatever else they asked for. */
static void orders(void)
{
	pthread_t t[MOST];
	struct way mixed[] = {
		plain, timed, plain, shared, with_bits(-1), plain
	}; /* shared: another word */
	struct way bits[] = { with_bits(1), with_bits(2), with_bits(3), plain };
	struct way few[] = { plain, plain, plain, plain };

	start(t, mixed, 6);
	wake_each(&word, FUTEX_WAKE_PRIVATE, 0, 6);
	wake_each(&word, FUTEX_WAKE, 0, 2);
	finish("mixed", t, mixed, 6);
	start(t, bits, 4);
	wake_each(&word, FUTEX_WAKE_BITSET_PRIVATE, 2, 3);
	wake_each(&word, FUTEX_WAKE_PRIVATE, 0, 1);
	finish("bits", t, bits, 4);
	start(t, few, 4);
	printf("all %ld", futex(&word, FUTEX_WAKE_PRIVATE, 100, 0, 0, 0));
	printf(" none %ld %ld\n", futex(&word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0),
	       futex(&word, FUTEX_WAIT_PRIVATE, 7, 0, 0, 0));
	nr_order = 4;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], 0);
}

/* Some wait for another word from now on, behind who waits there. */
static void *other_sleeper(void *arg)
{
	tids[MOST - 1] = gettid();
	futex(&other, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
	order[__atomic_fetch_add(&nr_order, 1, __ATOMIC_SEQ_CST)] = MOST - 1;
	return arg;
}

static void requeues(void)
{
	pthread_t t[MOST], last;
	struct way ways[] = { plain, plain, plain };

	start(t, ways, 3);
	pthread_create(&last, 0, other_sleeper, 0);
	settle(MOST - 1);
	printf("requeue %ld", futex(&word, FUTEX_REQUEUE_PRIVATE, 1, (void *)2, &other, 0));
	while (__atomic_load_n(&nr_order, __ATOMIC_SEQ_CST) < 1)
		usleep(100);
	wake_each(&other, FUTEX_WAKE_PRIVATE, 0, 3);
	pthread_join(last, 0);
	printf(" %d %d %d", order[1], order[2], order[3]);
	nr_order = 3;
	finish("", t, ways, 3);
}

static void on_signal(int signo) { handled += signo == SIGUSR1; }

static void signals(void)
{
	pthread_t t[MOST];
	struct way ways[] = { plain, plain };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t set;
	pid_t child;

	sigaction(SIGUSR1, &action, 0);
	start(t, ways, 2);
	pthread_kill(t[1], SIGUSR1); /* EINTR */
	pthread_join(t[1], 0);
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, 0);
	pthread_kill(t[0], SIGUSR1); /* and asleep once more */
	while (handled < 2)
		usleep(100);
	settle(0);
	wake_each(&word, FUTEX_WAKE_PRIVATE, 0, 1);
	pthread_join(t[0], 0);
	printf("signals: %d %ld %ld\n", handled, ways[0].result, ways[1].result);
	sigemptyset(&set); /* the main thread does not want it: who sleeps gets it */
	sigaddset(&set, SIGUSR1);
	start(t, ways, 1);
	pthread_sigmask(SIG_BLOCK, &set, 0);
	kill(getpid(), SIGUSR1);
	while (handled < 3)
		usleep(100);
	pthread_sigmask(SIG_UNBLOCK, &set, 0);
	child = fork();
	if (!child) { /* stopped and continued, while one sleeps */
		kill(getppid(), SIGSTOP);
		usleep(1000);
		kill(getppid(), SIGCONT);
		_exit(0);
	}
	waitpid(child, 0, 0);
	settle(0);
	wake_each(&word, FUTEX_WAKE_PRIVATE, 0, 1);
	finish("stopped", t, ways, 1);
}

/* A lock, fought for: 0 free, 1 taken, 2 somebody waits. */
static int lock_word, sum;

static void lock(void)
{
	int c = 0;

	if (__atomic_compare_exchange_n(&lock_word, &c, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	if (c != 2)
		c = __atomic_exchange_n(&lock_word, 2, __ATOMIC_SEQ_CST);
	while (c) {
		futex(&lock_word, FUTEX_WAIT_PRIVATE, 2, 0, 0, 0);
		c = __atomic_exchange_n(&lock_word, 2, __ATOMIC_SEQ_CST);
	}
}

static void unlock(void)
{
	if (__atomic_fetch_sub(&lock_word, 1, __ATOMIC_SEQ_CST) != 1) {
		__atomic_store_n(&lock_word, 0, __ATOMIC_SEQ_CST);
		futex(&lock_word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
	}
}

static void show_used(const char *what)
{
	struct rusage r;
	struct timespec t;

	getrusage(RUSAGE_THREAD, &r);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	printf("%s: %ld.%06ld %ld.%09ld minor %ld\n", what, r.ru_utime.tv_sec, r.ru_utime.tv_usec,
	       t.tv_sec, t.tv_nsec, r.ru_minflt);
}

static char *fresh;
static int used;

static void *fighter(void *arg)
{
	long number = (long)arg;

	if (number == 1)
		setpriority(PRIO_PROCESS, 0, 3); /* its time is counted apart */
	for (int i = 0; i < 200; i++) {
		lock();
		for (volatile int j = 0; j < 20; j++)
			sum += j == 7;
		if (i % 50 == 49)
			fresh[(number * 4 + i / 50) * 4096] = 1; /* a fault of this thread */
		if (i % 64 == 0)
			sched_yield();
		unlock();
	}
	lock();
	if (used)
		show_used("fighter");
	unlock();
	return 0;
}

static void on_prof(int signo) { handled += signo == SIGPROF; }

static void fights(void)
{
	pthread_t t[4];
	struct itimerval every = { { 0, 300 }, { 0, 300 } }, never = { 0 };

	fresh = mmap(0, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int round = 0; round < 2; round++) {
		for (long i = 0; i < 4; i++)
			pthread_create(&t[i], 0, fighter, (void *)i);
		if (round) {
			signal(SIGPROF, on_prof);
			setitimer(ITIMER_PROF, &every, 0);
		}
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], 0);
		setitimer(ITIMER_PROF, &never, 0);
	}
	printf("sum %d\n", sum);
	if (used) {
		struct rusage r;

		getrusage(RUSAGE_SELF, &r);
		printf("profiled %d, all %ld.%06ld minor %ld\n", handled, r.ru_utime.tv_sec,
		       r.ru_utime.tv_usec, r.ru_minflt);
	}
}

int main(int argc, char **argv)
{
	pthread_t t[MOST];
	struct way ways[] = { plain, plain };

	looks = !strcmp(argv[1], "look");
	used = argc > 2;
	orders();
	requeues();
	signals();
	fights();
	start(t, ways, 2);
	fflush(stdout);
	if (!fork()) { /* nobody sleeps here: its copy of the word has no one to wake */
		printf("child %ld\n", futex(&word, FUTEX_WAKE_PRIVATE, 9, 0, 0, 0));
		return 0;
	}
	wait(0);
	printf("end\n"); /* with two asleep */
	return 0;
}
