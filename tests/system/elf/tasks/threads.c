/* Threads by pthreads and by clone itself: what they share, how they end, what /proc says of them. */
#define _GNU_SOURCE
#include "asleep.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT 4
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static long counter, turn, destroyed, onced;
static __thread long local = 5;
static sem_t semaphore;

static void destroy(void *value) { __atomic_add_fetch(&destroyed, (long)value, __ATOMIC_SEQ_CST); }
static void do_once(void) { onced++; }

static void *count(void *arg)
{
	pthread_once(&once, do_once);
	pthread_setspecific(key, arg);
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	local += (long)arg;
	pthread_barrier_wait(&barrier);
	pthread_mutex_lock(&mutex);
	while (turn != (long)arg)
		pthread_cond_wait(&condition, &mutex);
	printf("thread %ld: local %ld counter %ld\n", (long)arg, local, counter);
	turn++;
	pthread_cond_broadcast(&condition);
	pthread_mutex_unlock(&mutex);
	return (void *)((long)arg * 10);
}

static void pthreads(void)
{
	pthread_t threads[COUNT];
	void *result;
	long sum = 0;

	pthread_key_create(&key, destroy);
	pthread_barrier_init(&barrier, NULL, COUNT);
	for (long i = 0; i < COUNT; i++)
		pthread_create(&threads[i], NULL, count, (void *)i);
	for (int i = 0; i < COUNT; i++) {
		pthread_join(threads[i], &result);
		sum += (long)result;
	}
	printf("joined: %ld local %ld destroyed %ld once %ld\n", sum, local, destroyed, onced);
}

/* ---- who is who ---- */

static void *identify(void *arg)
{
	char link[64], self[64];
	ssize_t n = readlink("/proc/thread-self", link, sizeof(link) - 1);
	struct stat st;

	link[n] = 0;
	sprintf(self, "%d/task/%d", getpid(), (int)syscall(SYS_gettid));
	printf("another: same pid %d, other tid %d, ppid same %d, thread-self %d\n",
	       getpid() == *(pid_t *)arg, syscall(SYS_gettid) != getpid(),
	       getppid() == *((pid_t *)arg + 1), !strcmp(link, self));
	n = readlink("/proc/self", link, sizeof(link) - 1);
	link[n] = 0;
	printf("self is the process: %d\n", atoi(link) == getpid());
	stat("/proc/self/task", &st);
	printf("links of task: %d\n", (int)st.st_nlink >= 4);
	return NULL;
}

static long field(const char *path, const char *name)
{
	char line[512];
	long value = -1;
	FILE *f = fopen(path, "r");

	if (!f)
		return -2;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = atol(line + strlen(name) + 1);
	fclose(f);
	return value;
}

/* A thread that was joined may still be on its way out. */
static void leave_alone_with(long count)
{
	while (field("/proc/self/status", "Threads:") > count)
		usleep(1000);
}

static void *wait_for_post(void *arg)
{
	*(pid_t *)arg = syscall(SYS_gettid);
	sem_post(&semaphore);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void identities(void)
{
	pid_t ids[2] = { getpid(), getppid() }, tids[2];
	pthread_t threads[2];
	char path[128], text[512];
	int entries = 0, fd;
	struct dirent *entry;
	DIR *dir;

	pthread_create(&threads[0], NULL, identify, ids);
	pthread_join(threads[0], NULL);
	leave_alone_with(1);
	sem_init(&semaphore, 0, 0);
	pthread_barrier_init(&barrier, NULL, 3);
	for (int i = 0; i < 2; i++) {
		pthread_create(&threads[i], NULL, wait_for_post, &tids[i]);
		sem_wait(&semaphore);
	}
	printf("Threads: %ld\n", field("/proc/self/status", "Threads:"));
	sprintf(path, "/proc/self/task/%d/status", tids[0]);
	printf("a thread's Tgid is the pid: %d, its Pid its tid: %d\n",
	       field(path, "Tgid:") == getpid(), field(path, "Pid:") == tids[0]);
	sprintf(path, "/proc/%d/status", tids[1]);
	printf("by its number: %d\n", field(path, "Pid:") == tids[1]);
	dir = opendir("/proc/self/task");
	while ((entry = readdir(dir)))
		entries += entry->d_name[0] != '.';
	closedir(dir);
	printf("tasks listed: %d\n", entries);
	sprintf(path, "/proc/self/task/%d/comm", tids[1]);
	fd = open(path, O_RDWR);
	printf("named: %d\n", (int)write(fd, "another", 7));
	close(fd);
	fd = open(path, O_RDONLY);
	text[read(fd, text, 100)] = 0;
	close(fd);
	printf("comm of one: %s", text);
	sprintf(path, "/proc/self/task/%d/stat", tids[0]);
	fd = open(path, O_RDONLY);
	text[read(fd, text, 511)] = 0;
	close(fd);
	printf("stat begins with its tid: %d\n", atoi(text) == tids[0]);
	printf("kill by tid reaches: %d, tgkill: %d", kill(tids[0], 0),
	       (int)syscall(SYS_tgkill, getpid(), tids[0], 0));
	printf(", of another: %d", (int)syscall(SYS_tgkill, tids[0], tids[0], 0));
	printf(" %d\n", errno);
	printf("getpgid of a tid: %d\n", getpgid(tids[0]) == getpgrp());
	errno = 0;
	printf("setpgid of a tid: %d", setpgid(tids[0], 0));
	printf(" %d\n", errno);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	errno = 0;
	leave_alone_with(1);
	printf("gone: %d", (int)syscall(SYS_tgkill, getpid(), tids[0], 0));
	printf(" %d\n", errno);
}

/* ---- signals ---- */

static volatile sig_atomic_t hits;
static pid_t handled_by;
static void handler(int signo)
{
	hits++;
	handled_by = syscall(SYS_gettid);
}

static void *take_signal(void *arg)
{
	sigset_t none;

	sigemptyset(&none);
	*(pid_t *)arg = syscall(SYS_gettid);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	sem_post(&semaphore);
	while (!hits)
		sched_yield();
	return NULL;
}

static void *wait_signal(void *arg)
{
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sem_post(&semaphore);
	printf("sigwaitinfo: %d", sigwaitinfo(&set, &info));
	printf(" code %d value %d\n", info.si_code, info.si_value.sival_int);
	return NULL;
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = handler };
	pthread_t thread;
	sigset_t all, old, pending;
	pid_t tid;
	int mine, shared;

	sigaction(SIGUSR1, &action, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	sem_init(&semaphore, 0, 0);
	pthread_create(&thread, NULL, take_signal, &tid);
	sem_wait(&semaphore);
	kill(getpid(), SIGUSR1);
	pthread_join(thread, NULL);
	printf("the process's signal was taken by who did not block it: %d\n", handled_by == tid);
	pthread_kill(pthread_self(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	mine = field("/proc/thread-self/status", "SigPnd:") != 0;
	shared = field("/proc/self/status", "ShdPnd:") != 0;
	sigpending(&pending);
	printf("pending: %d %d, shown %d %d\n", sigismember(&pending, SIGUSR1),
	       sigismember(&pending, SIGUSR2), mine, shared);
	pthread_create(&thread, NULL, wait_signal, NULL);
	sem_wait(&semaphore);
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, wait_signal, NULL);
	sem_wait(&semaphore);
	sigqueue(getpid(), SIGUSR2, (union sigval){ .sival_int = 77 });
	pthread_join(thread, NULL);
	hits = 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	printf("own signal came when it was let: %d %d\n", hits, handled_by == getpid());
}

/* ---- ends ---- */

static void report(const char *what, pid_t child)
{
	int status = -1;

	if (waitpid(child, &status, 0) != child)
		printf("%s: errno %d\n", what, errno);
	else
		printf("%s: status %x\n", what, status);
	fflush(stdout);
}

static void *sleep_long(void *arg)
{
	for (;;)
		pause();
	return NULL;
}
static void *exit_all(void *arg) { exit(7); }
static void *crash(void *arg)
{
	*(volatile int *)8 = 1;
	return NULL;
}
static void *just_return(void *arg)
{
	until_state(getpid(), 'Z'); /* its leader has left */
	return NULL;
}
static void *leave_alone(void *arg)
{
	until_state(getpid(), 'Z');
	_exit(9);
}
static char *self_path;

static void *execute(void *arg)
{
	execl(self_path, self_path, "executed", arg, NULL);
	return NULL;
}

static void ends(void)
{
	pthread_t thread, another;
	char number[16];
	pid_t child;

	fflush(stdout);
	if (!(child = fork())) {
		pthread_create(&another, NULL, sleep_long, NULL);
		pthread_create(&thread, NULL, exit_all, NULL);
		sleep_long(NULL);
	}
	report("exit by a thread", child);
	if (!(child = fork())) {
		pthread_create(&another, NULL, sleep_long, NULL);
		pthread_create(&thread, NULL, crash, NULL);
		sleep_long(NULL);
	}
	report("a fault of a thread", child);
	if (!(child = fork())) {
		pthread_create(&another, NULL, sleep_long, NULL);
		return _exit(3);
	}
	report("_exit ends all", child);
	if (!(child = fork())) {
		pthread_create(&thread, NULL, just_return, NULL);
		syscall(SYS_exit, 4);
	}
	report("the leader left first", child);
	if (!(child = fork())) {
		pthread_create(&thread, NULL, leave_alone, NULL);
		syscall(SYS_exit, 4);
	}
	report("the leader left, then exit_group", child);
	if (!(child = fork())) {
		pthread_create(&thread, NULL, sleep_long, NULL);
		sleep_long(NULL);
	}
	until_in(child, SYS_pause);
	kill(child, SIGTERM);
	report("killed", child);
	if (!(child = fork())) {
		sprintf(number, "%d", getpid());
		pthread_create(&another, NULL, sleep_long, NULL);
		pthread_create(&thread, NULL, execute, number);
		sleep_long(NULL);
	}
	report("execve by a thread", child);
	if (!(child = fork())) {
		sprintf(number, "%d", getpid());
		pthread_create(&thread, NULL, execute, number);
		syscall(SYS_exit, 4);
	}
	report("execve behind a leader that left", child);
}

static void *fork_here(void *arg)
{
	pid_t child;

	fflush(stdout);
	if (!(child = fork())) {
		printf("child of a thread: Threads %ld, tid is pid %d\n",
		       field("/proc/self/status", "Threads:"), syscall(SYS_gettid) == getpid());
		fflush(stdout);
		_exit(5);
	}
	*(pid_t *)arg = child;
	return NULL;
}

static void *wait_own(void *arg)
{
	int status;

	errno = 0;
	printf("__WNOTHREAD of another's child: %d", waitpid(*(pid_t *)arg, &status, __WNOTHREAD));
	printf(" errno %d\n", errno);
	return NULL;
}

static void *orphan_maker(void *arg)
{
	int pipe_ends[2];
	char c;

	pipe(pipe_ends);
	*(pid_t *)arg = fork();
	if (!*(pid_t *)arg) {
		close(pipe_ends[1]);
		read(pipe_ends[0], &c, 1);
		_exit(getppid() == *((pid_t *)arg + 1) ? 6 : 1);
	}
	*((int *)arg + 2) = pipe_ends[1];
	close(pipe_ends[0]);
	return NULL;
}

static void families(void)
{
	pthread_t thread;
	int orphan[3] = { 0, getpid(), -1 };
	pid_t child;

	pthread_create(&thread, NULL, fork_here, &child);
	pthread_join(thread, NULL);
	report("a thread's child, waited for by the leader", child);
	if (!(child = fork()))
		_exit(1);
	pthread_create(&thread, NULL, wait_own, &child);
	pthread_join(thread, NULL);
	report("own child", child);
	pthread_create(&thread, NULL, orphan_maker, orphan);
	pthread_join(thread, NULL);
	close(orphan[2]);
	report("its parent thread has gone", orphan[0]);
}

/* ---- clone itself ---- */

static char stack[65536] __attribute__((aligned(16)));
static int shared;
static pid_t tid_seen, cleared = 1;

static int set_shared(void *arg)
{
	shared = 42;
	close(*(int *)arg);
	chdir("/");
	umask(0);
	return 3;
}
static int quiet(void *arg) { return 0; }

static void try_clone(const char *name, int flags)
{
	int fd = open("/dev/null", O_RDONLY), status = -1;
	char here[4096];
	pid_t child;
	mode_t mask;

	chdir("/proc");
	umask(022);
	shared = 1;
	errno = 0;
	child = clone(set_shared, stack + sizeof(stack), flags, &fd, NULL, NULL, NULL);
	if (child < 0) {
		printf("%-28s errno %d\n", name, errno);
		close(fd);
		return;
	}
	waitpid(child, &status, __WALL);
	mask = umask(022);
	printf("%-28s status %x memory %d fd %d cwd %s umask %o\n", name, status, shared == 42,
	       fcntl(fd, F_GETFD) < 0, getcwd(here, sizeof(here)), mask);
	close(fd);
}

static void clones(void)
{
	int status;
	pid_t child;

	fflush(stdout);
	try_clone("SIGCHLD", SIGCHLD);
	try_clone("VM", CLONE_VM | SIGCHLD);
	try_clone("FILES", CLONE_FILES | SIGCHLD);
	try_clone("FS", CLONE_FS | SIGCHLD);
	try_clone("VM|FS|FILES|SIGHAND",
		  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | SIGCHLD);
	try_clone("SYSVSEM", CLONE_SYSVSEM | SIGCHLD);
	try_clone("PARENT_SETTID nowhere", CLONE_PARENT_SETTID | SIGCHLD);
	try_clone("CHILD_SETTID nowhere", CLONE_CHILD_SETTID | SIGCHLD);
	try_clone("SIGHAND alone", CLONE_SIGHAND | SIGCHLD);
	try_clone("THREAD alone", CLONE_THREAD | SIGCHLD);
	try_clone("THREAD|SIGHAND", CLONE_THREAD | CLONE_SIGHAND | SIGCHLD);
	try_clone("IO|UNTRACED|DETACHED", CLONE_IO | CLONE_UNTRACED | CLONE_DETACHED | SIGCHLD);
	try_clone("PIDFD|DETACHED", CLONE_PIDFD | CLONE_DETACHED | SIGCHLD);
	try_clone("SETTLS beyond", CLONE_SETTLS | SIGCHLD);
	child = clone(quiet, stack + sizeof(stack),
		      CLONE_VM | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID | SIGCHLD, NULL,
		      &tid_seen, NULL, &cleared);
	waitpid(child, &status, 0);
	printf("tids: told %d cleared %d\n", tid_seen == child, cleared == 0);
	child = clone(quiet, stack + sizeof(stack), CLONE_VM, NULL);
	errno = 0;
	printf("no signal: wait %d", waitpid(child, &status, 0));
	printf(" %d", errno);
	printf(", __WCLONE %d\n", waitpid(child, &status, __WCLONE) == child);
	printf("unshare: %d %d %d", unshare(CLONE_FS), unshare(CLONE_FILES),
	       unshare(CLONE_SYSVSEM));
	printf(" %d %d %d", unshare(CLONE_THREAD), unshare(CLONE_SIGHAND), unshare(CLONE_VM));
	errno = 0;
	printf(" %d", unshare(CLONE_PARENT));
	printf(" %d\n", errno);
}

static void *unshare_here(void *arg)
{
	char here[64];

	errno = 0;
	printf("a thread unshares VM %d", unshare(CLONE_VM));
	printf(" %d", errno);
	printf(" THREAD %d", unshare(CLONE_THREAD));
	printf(" FS %d FILES %d\n", unshare(CLONE_FS), unshare(CLONE_FILES));
	chdir("/");
	close(*(int *)arg);
	printf("it is at %s, its file %d\n", getcwd(here, sizeof(here)),
	       fcntl(*(int *)arg, F_GETFD));
	return NULL;
}

static void unsharing(void)
{
	int fd = open("/dev/null", O_RDONLY);
	pthread_t thread;
	char here[64];

	chdir("/proc");
	pthread_create(&thread, NULL, unshare_here, &fd);
	pthread_join(thread, NULL);
	printf("the others are at %s, their file %d\n", getcwd(here, sizeof(here)),
	       fcntl(fd, F_GETFD));
}

/* ---- stop, go on, time ---- */

static void *spin(void *arg)
{
	for (;;)
		__atomic_add_fetch((long *)arg, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void stops(void)
{
	long *ticks = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	     before;
	pthread_t thread;
	int status;
	pid_t child;

	fflush(stdout);
	if (!(child = fork())) {
		pthread_create(&thread, NULL, spin, ticks);
		pthread_create(&thread, NULL, spin, ticks);
		sleep_long(NULL);
	}
	while (!*(volatile long *)ticks)
		sched_yield();
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	printf("stopped: %x", status);
	before = *(volatile long *)ticks;
	usleep(5000);
	printf(", all stand still: %d", before == *(volatile long *)ticks);
	kill(child, SIGCONT);
	waitpid(child, &status, WCONTINUED);
	printf(", continued: %x", status);
	while (*(volatile long *)ticks == before)
		sched_yield();
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	printf(", killed: %x\n", status);
}

static void *burn(void *arg)
{
	struct timespec now;
	clockid_t clock;

	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	} while (now.tv_nsec < 30000000);
	pthread_getcpuclockid(pthread_self(), &clock);
	printf("its clock: %d\n", clock_gettime(clock, &now) == 0 && now.tv_nsec >= 30000000);
	return NULL;
}

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

static void times_used(void)
{
	struct timespec process, own;
	struct rusage all, mine;
	pthread_t thread;

	pthread_create(&thread, NULL, burn, NULL);
	pthread_join(thread, NULL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &process);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
	getrusage(RUSAGE_SELF, &all);
	getrusage(RUSAGE_THREAD, &mine);
	printf("the process has the time of all: %d %d\n",
	       process.tv_sec * 1000000000L + process.tv_nsec - own.tv_sec * 1000000000L -
			       own.tv_nsec >=
		       30000000,
	       seconds(all.ru_utime) + seconds(all.ru_stime) - seconds(mine.ru_utime) -
			       seconds(mine.ru_stime) >
		       0.02);
}

int main(int argc, char **argv)
{
	self_path = argv[0];
	if (argc > 2) {
		printf("executed: the same pid %d, tid is pid %d, Threads %ld\n",
		       atoi(argv[2]) == getpid(), syscall(SYS_gettid) == getpid(),
		       field("/proc/self/status", "Threads:"));
		return 8;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	pthreads();
	identities();
	signals();
	ends();
	families();
	clones();
	unsharing();
	stops();
	times_used();
	return 0;
}
