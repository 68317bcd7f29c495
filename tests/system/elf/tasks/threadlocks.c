/* Futexes between threads: locks that know their owner, moved sleepers, robust lists, signals. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOCK_PI2 13
static uint32_t word, other, third;
static volatile int ready, leave_now;
static char said[2][200]; /* by a holder, by a waiter: shown once they have ended */

static long futex(uint32_t *addr, int op, uint32_t value, void *timeout, uint32_t *addr2,
		  uint32_t value3)
{
	long result = syscall(SYS_futex, addr, op, value, timeout, addr2, value3);
	return result < 0 ? -errno : result;
}

static pid_t gettid_(void) { return syscall(SYS_gettid); }
static void start(pthread_t *thread, void *(*function)(void *), void *arg)
{
	ready = 0;
	pthread_create(thread, NULL, function, arg);
}
static void until_ready(void)
{
	while (!ready)
		sched_yield();
}

/* Until a thread that has begun sleeps on its word. */
static void settle(pthread_t thread)
{
	until_ready();
	until_in(tid_of(thread), SYS_futex);
}

/* ---- pthread's own ---- */

static pthread_mutex_t mutex;
static long counter;

static void *add(void *arg)
{
	for (int i = 0; i < 3000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		if (i % 100 == 0)
			sched_yield();
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void *die_holding(void *arg)
{
	pthread_mutex_lock(&mutex);
	ready = 1;
	if (arg)
		until_in(getpid(), SYS_futex);
	return NULL;
}

static void mutexes(void)
{
	static const char *const names[] = { "none", "inherit" };
	pthread_mutexattr_t attributes;
	pthread_t threads[3], dying;

	for (int protocol = 0; protocol < 2; protocol++) {
		pthread_mutexattr_init(&attributes);
		pthread_mutexattr_setprotocol(&attributes,
					      protocol ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE);
		printf("mutex %s: %d", names[protocol], pthread_mutex_init(&mutex, &attributes));
		counter = 0;
		for (int i = 0; i < 3; i++)
			pthread_create(&threads[i], NULL, add, NULL);
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		printf(" counted %ld", counter);
		pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
		pthread_mutex_init(&mutex, &attributes);
		start(&dying, die_holding, NULL);
		pthread_join(dying, NULL);
		printf(", owner dead before: %d", pthread_mutex_lock(&mutex) == EOWNERDEAD);
		printf(" %d", pthread_mutex_consistent(&mutex));
		printf(" %d", pthread_mutex_unlock(&mutex));
		start(&dying, die_holding, "slowly");
		until_ready();
		printf(", dead while waited for: %d", pthread_mutex_lock(&mutex) == EOWNERDEAD);
		pthread_mutex_consistent(&mutex);
		pthread_mutex_unlock(&mutex);
		printf(", again %d\n", pthread_mutex_lock(&mutex));
		pthread_mutex_unlock(&mutex);
	}
}

/* ---- the words themselves ---- */

static void *hold(void *arg)
{
	futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	ready = 1;
	while (!leave_now)
		usleep(1000);
	int waiters = word >> 31;
	sprintf(said[0], "holder: word says waiters %d, unlock %ld", waiters,
		futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	return NULL;
}

static void *wait_lock(void *arg)
{
	long result;
	uint32_t seen;

	ready = 1;
	result = futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	seen = word;
	sprintf(said[1], "waiter: %ld owns %d waiters %d died %d unlock %ld", result,
		(seen & 0x3fffffff) == gettid_(), seen >> 31, seen >> 30 & 1,
		futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	return NULL;
}

static void *take_and_leave(void *arg)
{
	futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	ready = 1;
	while (!leave_now)
		usleep(1000);
	return NULL;
}

static void *plain_wait(void *arg)
{
	uint32_t value = word;
	ready = 1;
	return (void *)futex(&word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void errors(void)
{
	struct timespec soon, past = { 1, 0 };
	pthread_t thread, waiter;
	void *result;
	pid_t child;

	word = 0;
	printf("lock %ld", futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	printf(" mine %d", word == gettid_());
	printf(" again %ld", futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	printf(" try %ld", futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	printf(" unlock %ld", futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	printf(" free %d", word == 0);
	printf(" again %ld", futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	printf(" try %ld\n", futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	if (!(child = fork()))
		_exit(0);
	waitpid(child, NULL, 0);
	word = child;
	printf("a dead owner %ld word %d", futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0),
	       word == (child | 1u << 31));
	word = FUTEX_OWNER_DIED;
	printf(", a died one's %ld", futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	printf(" %d\n", word == (gettid_() | FUTEX_OWNER_DIED));
	word = 0;
	leave_now = 0;
	start(&thread, hold, NULL);
	until_ready();
	printf("held: try %ld", futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	printf(" unlock %ld", futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	printf(" past %ld", futex(&word, FUTEX_LOCK_PI, 0, &past, NULL, 0));
	clock_gettime(CLOCK_MONOTONIC, &soon);
	soon.tv_nsec += 2000000;
	if (soon.tv_nsec >= 1000000000)
		soon.tv_nsec -= 1000000000, soon.tv_sec++;
	printf(" soon %ld", futex(&word, LOCK_PI2, 0, &soon, NULL, 0));
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_sec--;
	printf(" real %ld\n", futex(&word, LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, &soon, NULL, 0));
	printf("wake a lock nobody sleeps in %ld\n", futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
	start(&waiter, wait_lock, NULL);
	settle(waiter);
	printf("wake a lock %ld, requeue %ld, wait for it",
	       futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0),
	       futex(&word, FUTEX_REQUEUE, 0, (void *)1, &other, 0));
	printf(" %ld\n", futex(&word, FUTEX_WAIT, 7, NULL, NULL, 0));
	leave_now = 1;
	pthread_join(thread, NULL);
	pthread_join(waiter, NULL);
	printf("%s\n%s\nin the end %x\n", said[0], said[1], word);
	leave_now = 0;
	start(&thread, take_and_leave, NULL);
	until_ready();
	start(&waiter, wait_lock, NULL);
	settle(waiter);
	leave_now = 1;
	pthread_join(thread, NULL);
	pthread_join(waiter, NULL);
	printf("%s\na dead owner's waiter has left %x\n", said[1], word);
	word = 0;
	start(&waiter, plain_wait, NULL);
	settle(waiter);
	printf("lock what is slept on %ld", futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	printf(" unlock %ld\n", futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0);
	pthread_join(waiter, &result);
	printf("plain waiter: %ld\n", (long)result);
	printf("clock of wait %ld wake %ld lock %ld, command %ld, misaligned %ld, nowhere %ld\n",
	       futex(&word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0),
	       futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0),
	       futex(&word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0),
	       futex(&word, 14, 1, NULL, NULL, 0),
	       futex((uint32_t *)((char *)&word + 1), FUTEX_LOCK_PI, 1, NULL, NULL, 0),
	       futex((uint32_t *)8, FUTEX_LOCK_PI, 1, NULL, NULL, 0));
}

/* ---- two locks, each held by who waits for the other ---- */

static void *cross(void *arg)
{
	futex(&other, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	ready = 1;
	sprintf(said[0], "crossed: %ld", futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	futex(&other, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	return NULL;
}

static void deadlocks(void)
{
	pthread_t thread;
	long result;

	word = other = 0;
	futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	start(&thread, cross, NULL);
	settle(thread);
	result = futex(&other, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	pthread_join(thread, NULL);
	printf("%s, the second %ld, left %x %x\n", said[0], result, word, other);
}

/* ---- moving sleepers ---- */

static void *wait_requeue(void *arg)
{
	long result;

	ready = 1;
	result = futex(&third, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &other, 0);
	int owns = (other & 0x3fffffff) == gettid_();
	sprintf(said[1], "moved: %ld owns %d unlock %ld", result, owns,
		futex(&other, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	return NULL;
}

static void *wait_third(void *arg)
{
	ready = 1;
	return (void *)futex(&third, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (uint32_t)(long)arg);
}

static void requeues(void)
{
	struct timespec past = { 0, 1 };
	pthread_t threads[4];
	void *result;

	third = other = 0;
	start(&threads[0], wait_requeue, NULL);
	settle(threads[0]);
	printf("requeue_pi: to wake %ld",
	       futex(&third, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &other, 0));
	printf(" itself %ld", futex(&third, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &third, 0));
	printf(" value %ld", futex(&third, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &other, 5));
	printf(" elsewhere %ld", futex(&third, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &word, 0));
	printf(" wake %ld", futex(&third, FUTEX_WAKE, 1, NULL, NULL, 0));
	printf(" requeue %ld\n", futex(&third, FUTEX_REQUEUE, 0, (void *)1, &other, 0));
	printf("moved so many: %ld\n",
	       futex(&third, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &other, 0));
	pthread_join(threads[0], NULL);
	printf("%s\n", said[1]);
	futex(&other, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	start(&threads[0], wait_requeue, NULL);
	settle(threads[0]);
	printf("moved to a lock that is held: %ld",
	       futex(&third, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &other, 0));
	printf(" waiters %d", other >> 31);
	printf(" unlock %ld\n", futex(&other, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	pthread_join(threads[0], NULL);
	printf("%s\n", said[1]);
	printf("late %ld, the same %ld\n",
	       futex(&third, FUTEX_WAIT_REQUEUE_PI, 0, &past, &other, 0),
	       futex(&third, FUTEX_WAIT_REQUEUE_PI, 0, &past, &third, 0));
	for (long i = 0; i < 4; i++) {
		start(&threads[i], wait_third, (void *)(1L << i));
		settle(threads[i]);
	}
	printf("wake by bits %ld", futex(&third, FUTEX_WAKE_BITSET_PRIVATE, 9, NULL, NULL, 4));
	pthread_join(threads[2], NULL);
	printf(", move %ld", futex(&third, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &other, 0));
	printf(", left %ld", futex(&third, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
	printf(", moved %ld\n", futex(&other, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
	for (int i = 0; i < 4; i++)
		if (i != 2)
			pthread_join(threads[i], &result);
}

/* ---- signals ---- */

static volatile int handled;
static void handler(int signo) { handled++; }
static int with_timeout;

static void *wait_long(void *arg)
{
	struct timespec long_ = { 1000, 0 };

	ready = 1;
	return (void *)futex(&third, FUTEX_WAIT, 0, with_timeout ? &long_ : NULL, NULL, 0);
}

/* Until a thread has come back from its handler: it sleeps again, or it has ended. */
static void interrupt(pthread_t thread)
{
	int tid = tid_of(thread);

	pthread_kill(thread, SIGUSR1);
	while (!handled)
		sched_yield();
	until_in(tid, SYS_futex);
}

static void interruptions(void)
{
	struct sigaction action = { .sa_handler = handler };
	pthread_t thread;
	void *result;

	for (int i = 0; i < 4; i++) {
		action.sa_flags = i & 1 ? SA_RESTART : 0;
		with_timeout = i >> 1;
		sigaction(SIGUSR1, &action, NULL);
		third = handled = 0;
		start(&thread, wait_long, NULL);
		settle(thread);
		interrupt(thread);
		futex(&third, FUTEX_WAKE, 1, NULL, NULL, 0);
		pthread_join(thread, &result);
		printf("restart %d timeout %d: %ld\n", i & 1, i >> 1, (long)result);
	}
}

/* A lock is waited for whatever signals come, handled or stopping. */
static void undisturbed(void)
{
	struct sigaction action = { .sa_handler = handler };
	pthread_t thread;
	int status;
	pid_t child;

	sigaction(SIGUSR1, &action, NULL);
	word = handled = 0;
	futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
	start(&thread, wait_lock, NULL);
	settle(thread);
	interrupt(thread);
	futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	pthread_join(thread, NULL);
	printf("through a handler: %s\n", said[1]);
	fflush(stdout);
	if (!(child = fork())) {
		word = 0;
		futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
		start(&thread, wait_lock, NULL);
		settle(thread);
		raise(SIGSTOP);
		until_in(tid_of(thread), SYS_futex);
		futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
		pthread_join(thread, NULL);
		printf("through a stop: %s\n", said[1]);
		exit(0);
	}
	waitpid(child, &status, WUNTRACED);
	kill(child, SIGCONT);
	waitpid(child, &status, 0);
	printf("it ended %x\n", status);
}

/* ---- what a thread leaves ---- */

static void *leave(void *arg)
{
	syscall(SYS_set_tid_address, &third);
	ready = 1;
	until_in(getpid(), SYS_futex);
	return NULL;
}

static void ends(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	third = 1;
	ready = 0;
	pthread_create(&thread, &attributes, leave, NULL);
	until_ready();
	while (third)
		futex(&third, FUTEX_WAIT, 1, NULL, NULL, 0);
	printf("the word of one that left is %u\n", third);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	mutexes();
	errors();
	deadlocks();
	requeues();
	interruptions();
	undisturbed();
	ends();
	return 0;
}
