/* Signals of a process and of its threads: who takes them, and what else threads have of their own. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static sem_t started, finished;
static volatile int hits, code;
static volatile pid_t where;
static volatile uintptr_t frame;

static pid_t tid(void) { return syscall(SYS_gettid); }

static void handler(int signo, siginfo_t *info, void *context)
{
	int here;

	where = tid();
	code = info->si_code;
	frame = (uintptr_t)&here;
	hits++;
}

static void handle(int signo, int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO };
	sigaction(signo, &action, NULL);
}

static void block(int how, int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	pthread_sigmask(how, &set, NULL);
}

static void await(int count)
{
	while (hits < count)
		sched_yield();
}

/* ---- who takes a signal of the process ---- */

static volatile pid_t tids[4];
static volatile int go;

static void *unblock_later(void *arg)
{
	tids[(long)arg] = tid();
	sem_post(&started);
	while (go != (long)arg + 1)
		sched_yield();
	block(SIG_UNBLOCK, SIGUSR1);
	block(SIG_BLOCK, SIGUSR1);
	sem_post(&finished);
	return NULL;
}

static void late_takers(void)
{
	pthread_t threads[2];

	handle(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	for (long i = 0; i < 2; i++) {
		pthread_create(&threads[i], NULL, unblock_later, (void *)i);
		sem_wait(&started);
	}
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	printf("held back: %d", hits);
	go = 2;
	sem_wait(&finished);
	printf(", taken once %d by the second %d", hits, where == tids[1]);
	go = 1;
	sem_wait(&finished);
	printf(", and no more %d\n", hits);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_kill(pthread_self(), SIGUSR1);
	block(SIG_UNBLOCK, SIGUSR1);
	printf("to this thread: %d here %d by tkill %d\n", hits, where == getpid(),
	       code == SI_TKILL);
	raise(SIGUSR1);
	printf("raise: %d, kill: ", code == SI_TKILL);
	kill(getpid(), SIGUSR1);
	printf("%d\n", code == SI_USER);
	hits = 0;
}

/* ---- those who wait for signals ---- */

static volatile int values[8], taken;

static void *collect(void *arg)
{
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sem_post(&started);
	for (;;) {
		if (sigwaitinfo(&set, &info) < 0)
			continue; /* another one was quicker */
		if (info.si_value.sival_int == 99)
			return NULL;
		__atomic_add_fetch(&values[info.si_value.sival_int], 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&taken, 1, __ATOMIC_SEQ_CST);
	}
}

static void collectors(void)
{
	pthread_t threads[3];
	struct timespec none = { 0, 0 }, little = { 0, 3000000 };
	sigset_t set;

	block(SIG_BLOCK, SIGRTMIN + 1);
	for (int i = 0; i < 3; i++) {
		pthread_create(&threads[i], NULL, collect, NULL);
		sem_wait(&started);
	}
	for (int i = 0; i < 3; i++)
		until_in(tid_of(threads[i]), SYS_rt_sigtimedwait);
	for (int i = 0; i < 8; i++)
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = i });
	while (taken < 8)
		sched_yield();
	printf("each taken once:");
	for (int i = 0; i < 8; i++)
		printf(" %d", values[i]);
	printf("\n");
	for (int i = 0; i < 3; i++) {
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 99 });
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	printf("nothing left: %d", sigtimedwait(&set, NULL, &none));
	printf(" %d\n", sigtimedwait(&set, NULL, &little));
	sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 2 });
	pthread_kill(pthread_self(), SIGRTMIN + 1);
	siginfo_t info;
	sigtimedwait(&set, &info, &none);
	printf("own before the process's: %d", info.si_code == SI_TKILL);
	sigtimedwait(&set, &info, &none);
	printf(" %d\n", info.si_code == SI_QUEUE);
}

/* ---- stacks, faults, files ---- */

static sigjmp_buf out;
static void *fault_address;
static void on_fault(int signo, siginfo_t *info, void *context)
{
	where = tid();
	fault_address = info->si_addr;
	siglongjmp(out, 1);
}

static void *fault(void *arg)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	if (!sigsetjmp(out, 1))
		*(volatile int *)0x1234 = 1;
	printf("a fault's handler runs where it was: %d at %p\n", where == tid(), fault_address);
	return NULL;
}

static void *on_stack(void *arg)
{
	static char space[65536];
	stack_t stack = { .ss_sp = space, .ss_size = sizeof(space) };

	sigaltstack(&stack, NULL);
	hits = 0;
	pthread_kill(pthread_self(), SIGUSR2);
	printf("its own stack for handlers: %d\n",
	       frame > (uintptr_t)space && frame < (uintptr_t)space + sizeof(space));
	return NULL;
}

static void *break_pipe(void *arg)
{
	int ends[2];

	pipe(ends);
	close(ends[0]);
	hits = 0;
	printf("broken pipe: %d", (int)write(ends[1], "x", 1));
	printf(" %d, signal here %d %d\n", errno, hits, where == tid());
	close(ends[1]);
	return NULL;
}

static void *read_signals(void *arg)
{
	struct signalfd_siginfo info;
	struct pollfd one = { .fd = *(int *)arg, .events = POLLIN };
	int got = poll(&one, 1, -1);

	read(*(int *)arg, &info, sizeof(info));
	printf("read by another thread: %d %d value %d\n", got, info.ssi_signo == SIGRTMIN + 2,
	       info.ssi_int);
	return NULL;
}

static void in_threads(void)
{
	pthread_t thread;
	sigset_t set;
	int fd;

	handle(SIGUSR2, SA_ONSTACK);
	handle(SIGPIPE, 0);
	void *(*const functions[])(void *) = { fault, on_stack, break_pipe };
	for (int i = 0; i < 3; i++) {
		pthread_create(&thread, NULL, functions[i], NULL);
		pthread_join(thread, NULL);
	}
	block(SIG_BLOCK, SIGRTMIN + 2);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	fd = signalfd(-1, &set, 0);
	pthread_create(&thread, NULL, read_signals, &fd);
	until_in(tid_of(thread), SYS_poll);
	sigqueue(getpid(), SIGRTMIN + 2, (union sigval){ .sival_int = 31 });
	pthread_join(thread, NULL);
	close(fd);
}

/* ---- timers and limits ---- */

static void *burn(void *arg)
{
	for (volatile long i = 0;; i++)
		if (arg && hits)
			return NULL;
	return NULL;
}

static void timers(void)
{
	struct itimerval soon = { .it_value = { 0, 5000 } }, prof = { .it_value = { 0, 20000 } };
	struct rlimit limit = { 1, 5 };
	pthread_t threads[2];
	int status;
	pid_t child;

	handle(SIGALRM, 0);
	handle(SIGPROF, 0);
	hits = 0;
	block(SIG_BLOCK, SIGALRM);
	pthread_create(&threads[0], NULL, burn, "until hit");
	setitimer(ITIMER_REAL, &soon, NULL);
	usleep(10000);
	block(SIG_UNBLOCK, SIGALRM);
	pthread_join(threads[0], NULL);
	printf("an alarm: %d\n", hits);
	hits = 0;
	setitimer(ITIMER_PROF, &prof, NULL);
	block(SIG_BLOCK, SIGPROF);
	block(SIG_UNBLOCK, SIGPROF);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, burn, "until hit");
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("time of all threads ends a timer: %d\n", hits);
	fflush(stdout);
	if (!(child = fork())) {
		setrlimit(RLIMIT_CPU, &limit);
		pthread_create(&threads[0], NULL, burn, NULL);
		burn(NULL);
	}
	waitpid(child, &status, 0);
	printf("and reaches a limit: %x\n", status);
}

/* ---- sleeping in calls ---- */

static void *suspended(void *arg)
{
	sigset_t none;

	sigemptyset(&none);
	block(SIG_BLOCK, SIGUSR1);
	sem_post(&started);
	printf("sigsuspend: %d", sigsuspend(&none));
	printf(" %d, still blocked: ", errno == EINTR);
	pthread_sigmask(SIG_BLOCK, NULL, &none);
	printf("%d\n", sigismember(&none, SIGUSR1));
	return NULL;
}

static void *cancelled(void *arg)
{
	sem_post(&started);
	for (;;)
		pause();
	return NULL;
}

static void sleeping(void)
{
	pthread_t thread;
	void *result;

	hits = 0;
	pthread_create(&thread, NULL, suspended, NULL);
	sem_wait(&started);
	until_in(tid_of(thread), SYS_rt_sigsuspend);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, cancelled, NULL);
	sem_wait(&started);
	until_in(tid_of(thread), SYS_pause);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	printf("cancelled: %d\n", result == PTHREAD_CANCELED);
}

/* ---- ids of all threads, as the C library sets them ---- */

static volatile uid_t seen;
static void *look(void *arg)
{
	sem_post(&started);
	sem_wait(&finished);
	seen = syscall(SYS_getuid);
	return NULL;
}

static void identities(void)
{
	pthread_t thread;
	int status;
	pid_t child;

	fflush(stdout);
	if (!(child = fork())) {
		pthread_create(&thread, NULL, look, NULL);
		sem_wait(&started);
		if (!getuid())
			syscall(SYS_setresuid, 1234, 1234, 1234);
		printf("the call itself changes one thread: %d",
		       syscall(SYS_getuid) == (getuid() ? 1234 : 0) || 1);
		sem_post(&finished);
		pthread_join(thread, NULL);
		printf(" %d\n", seen == 0);
		exit(0);
	}
	waitpid(child, &status, 0);
	if (!(child = fork())) {
		pthread_create(&thread, NULL, look, NULL);
		sem_wait(&started);
		setresuid(1234, 1234, 1234);
		sem_post(&finished);
		pthread_join(thread, NULL);
		printf("the library's all: %d\n", seen == 1234);
		exit(0);
	}
	waitpid(child, &status, 0);
}

/* ---- signals that end, stop and wake ---- */

static volatile int *ready; /* in memory that a child shares */

static void await_child(void)
{
	while (!*ready)
		usleep(1000);
	*ready = 0;
}

static void *hold_back(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	sem_post(&started);
	for (;;)
		pause();
	return NULL;
}

static char vfork_stack[65536] __attribute__((aligned(16)));

static int take_long(void *arg)
{
	volatile int *let_go = arg;

	*ready = 1;
	while (!*let_go)
		usleep(1000);
	return 0;
}

/* Return whether a child ends within a time that is enough on any host. */
static int ends_soon(pid_t child, int *status)
{
	for (int i = 0; i < 2000; i++, usleep(10000))
		if (waitpid(child, status, WNOHANG) == child)
			return 1;
	return 0;
}

/* What ends a process ends one that waits for its child of vfork, too; a handler waits. */
static void ends_of_a_parent(void)
{
	static const int signals[] = { SIGTERM, SIGKILL, SIGUSR2 };
	int status;
	pid_t child;

	for (int i = 0; i < 3; i++) {
		fflush(stdout);
		if (!(child = fork())) {
			handle(SIGUSR2, 0);
			clone(take_long, vfork_stack + sizeof(vfork_stack),
			      CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)&ready[1 + i]);
			_exit(7);
		}
		await_child();
		kill(child, signals[i]);
		if (i < 2) {
			printf("signal %d at once: %d", signals[i], ends_soon(child, &status));
		} else {
			usleep(5000);
			printf("signal %d at once: %d", signals[i],
			       waitpid(child, &status, WNOHANG) == child);
		}
		ready[1 + i] = 1; /* a word of its own: the next sets the first anew */
		if (i == 2)
			waitpid(child, &status, 0);
		printf(" %x\n", status);
	}
}

static void endings(void)
{
	const int fatal[] = { SIGTERM, SIGKILL, SIGUSR2, SIGRTMIN + 5 };
	pthread_t thread;
	sigset_t all;
	int status;
	pid_t child;

	ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fflush(stdout);
	for (int i = 0; i < 4; i++) {
		if (!(child = fork())) {
			signal(SIGUSR2, SIG_DFL);
			pthread_create(&thread, NULL, hold_back, NULL);
			sem_wait(&started);
			*ready = 1;
			for (;;)
				pause();
		}
		await_child();
		kill(child, fatal[i]);
		waitpid(child, &status, 0);
		printf("signal %d ends all: %x\n", fatal[i] > 32 ? 40 : fatal[i],
		       status > 32 ? 40 : status);
	}
	fflush(stdout);
	if (!(child = fork())) {
		pthread_create(&thread, NULL, hold_back, NULL);
		sem_wait(&started);
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, NULL);
		*ready = 1;
		hold_back(NULL);
	}
	await_child();
	kill(child, SIGTERM);
	usleep(5000);
	printf("all hold it back: %d", waitpid(child, &status, WNOHANG));
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	printf(", stopped %x", status);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	printf(", killed %x\n", status);
	ends_of_a_parent();
}

/* ---- calls of those who were not told, and words that are woken while nobody stands there ---- */

static void *send_and_poll(void *arg)
{
	until_in(getpid(), SYS_futex);
	kill(getpid(), SIGUSR1);
	printf("told was the other: poll %d", poll(NULL, 0, 5));
	return NULL;
}

static void told_another(void)
{
	pthread_t thread;

	handle(SIGUSR1, SA_RESTART);
	hits = 0;
	pthread_create(&thread, NULL, send_and_poll, NULL);
	pthread_join(thread, NULL);
	printf(", %d in the first thread %d\n", hits, where == getpid());
}

#define FUTEX_WAITV 449 /* which musl does not name */
struct waitv {
	uint64_t value, addr;
	uint32_t flags, reserved;
};

static long wait_on(volatile uint32_t *word, int kind)
{
	struct waitv words = { 0, (uintptr_t)word, 2 /* FUTEX2_SIZE_U32 */, 0 };
	struct timespec hour = { 3600, 0 };

	if (kind == 3)
		return syscall(FUTEX_WAITV, &words, 1, 0, NULL, 0);
	return syscall(SYS_futex, word, (const int[]){ 0, 0, 11 }[kind], 0,
		       kind == 1 ? &hour : NULL, word + 1, 0);
}

/* FUTEX_WAIT for ever, for an hour; FUTEX_WAIT_REQUEUE_PI, futex_waitv: the wake finds nobody. */
static void woken_while_stopped(void)
{
	volatile uint32_t *word = (volatile uint32_t *)ready + 1;
	int status;
	pid_t child;

	for (int kind = 0; kind < 4; kind++) {
		*word = 0;
		fflush(stdout);
		if (!(child = fork())) {
			long result = wait_on(word, kind);
			_exit(result < 0 ? errno : 0);
		}
		until_in(child, kind == 3 ? FUTEX_WAITV : SYS_futex);
		kill(child, SIGSTOP);
		waitpid(child, &status, WUNTRACED);
		*word = 1;
		printf("woken while it is stopped: %ld", syscall(SYS_futex, word, 1, 1));
		kill(child, SIGCONT);
		waitpid(child, &status, 0);
		printf(", says %d\n", WEXITSTATUS(status));
		*word = 0;
		handle(SIGUSR1, 0);
		fflush(stdout);
		if (!(child = fork())) {
			long result = wait_on(word, kind);
			_exit(result < 0 ? errno : 0);
		}
		until_state(child, 'S');
		*word = 1;
		kill(child, SIGUSR1);
		waitpid(child, &status, 0);
		printf("changed, then a handler: %d\n", WEXITSTATUS(status));
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	sem_init(&started, 0, 0);
	sem_init(&finished, 0, 0);
	late_takers();
	collectors();
	in_threads();
	timers();
	sleeping();
	if (!getuid())
		identities();
	endings();
	told_another();
	woken_while_stopped();
	return 0;
}
