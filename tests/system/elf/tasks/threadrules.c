/* What clone3, unshare and descriptors of threads accept and refuse. */
#define _GNU_SOURCE
#include "asleep.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

static char area[1 << 16] __attribute__((aligned(4096)));

static long clone3(struct clone_args *args, size_t size)
{
	long result = syscall(SYS_clone3, args, size);
	if (result == 0)
		_exit(5);
	return result < 0 ? -errno : result;
}

static void report(const char *name, long pid)
{
	int status = -1;

	if (pid < 0) {
		printf("%-24s %ld\n", name, pid);
		return;
	}
	waitpid(pid, &status, __WALL);
	printf("%-24s child, status %x\n", name, status);
}

static void arguments(void)
{
	static struct {
		struct clone_args args;
		char more[64];
	} large;
	struct clone_args base = { .exit_signal = SIGCHLD }, args;
	static char page[8192];
	pid_t tids[40] = { 0 };

	fflush(stdout);
	report("plain", clone3(&base, sizeof(base)));
	report("short", clone3(&base, 63));
	report("first version", clone3(&base, 64));
	report("second version", clone3(&base, 80));
	large.args = base;
	report("larger, zeroes", clone3(&large.args, sizeof(large)));
	large.more[40] = 1;
	report("larger, not zero", clone3(&large.args, sizeof(large)));
	report("beyond a page", clone3((void *)page, 4097));
	report("nowhere", clone3((void *)8, 64));
	args = base, args.exit_signal = 65;
	report("signal 65", clone3(&args, sizeof(args)));
	args = base, args.exit_signal = 0x111;
	report("signal 0x111", clone3(&args, sizeof(args)));
	args = base, args.exit_signal = 0;
	report("no signal", clone3(&args, sizeof(args)));
	args = base, args.flags = SIGCHLD;
	report("signal in flags", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_DETACHED;
	report("DETACHED", clone3(&args, sizeof(args)));
	args = base, args.flags = 1ULL << 40;
	report("unknown flag", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_CLEAR_SIGHAND;
	report("CLEAR_SIGHAND", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM;
	report("CLEAR_SIGHAND|SIGHAND", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_INTO_CGROUP, args.cgroup = 999;
	report("INTO_CGROUP, closed", clone3(&args, sizeof(args)));
	report("INTO_CGROUP, short", clone3(&args, 80));
	args.cgroup = 1UL << 31;
	report("INTO_CGROUP, negative", clone3(&args, sizeof(args)));
	args.cgroup = open("/", O_RDONLY | O_DIRECTORY);
	report("INTO_CGROUP, folder", clone3(&args, sizeof(args)));
	close((int)args.cgroup);
	args = base, args.stack = (uintptr_t)area;
	report("stack without size", clone3(&args, sizeof(args)));
	args = base, args.stack_size = 4096;
	report("size without stack", clone3(&args, sizeof(args)));
	args = base, args.stack = 1ULL << 62, args.stack_size = 4096;
	report("stack beyond", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_PARENT;
	report("PARENT with a signal", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	report("THREAD with a signal", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_THREAD, args.exit_signal = 0;
	report("THREAD alone", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_SIGHAND;
	report("SIGHAND alone", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_SETTLS, args.tls = 1ULL << 63;
	report("SETTLS beyond", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_PIDFD | CLONE_PARENT_SETTID,
	args.pidfd = args.parent_tid = (uintptr_t)area;
	report("one place for both", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_PIDFD, args.pidfd = 8;
	report("PIDFD nowhere", clone3(&args, sizeof(args)));
	args = base, args.flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
	args.parent_tid = args.child_tid = 8;
	report("tids nowhere", clone3(&args, sizeof(args)));
	args = base, args.set_tid_size = 1;
	report("set_tid without array", clone3(&args, sizeof(args)));
	args = base, args.set_tid = (uintptr_t)tids;
	report("set_tid without size", clone3(&args, sizeof(args)));
	args.set_tid_size = 33;
	report("set_tid of 33 levels", clone3(&args, sizeof(args)));
	args.set_tid_size = 1;
	report("set_tid 0", clone3(&args, sizeof(args)));
	tids[0] = 1 << 30;
	report("set_tid beyond", clone3(&args, sizeof(args)));
	tids[0] = getpid();
	report("set_tid in use", clone3(&args, sizeof(args)));
	args.set_tid = 8;
	report("set_tid nowhere", clone3(&args, sizeof(args)));
	for (tids[0] = 31000; !kill(tids[0], 0) || errno != ESRCH; tids[0]++)
		;
	args.set_tid = (uintptr_t)tids;
	printf("set_tid is given: %d\n", clone3(&args, sizeof(args)) == tids[0]);
	report("its end", tids[0]);
}

/* ---- descriptors ---- */

static volatile int stage;
static volatile pid_t tid;

static void *linger(void *arg)
{
	tid = syscall(SYS_gettid);
	stage = 1;
	while (stage == 1)
		usleep(1000);
	return NULL;
}

static int polled(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	return poll(&one, 1, 0) ? one.revents : 0;
}

static volatile int hits;
static volatile pid_t hit_in;
static void handler(int signo) { hit_in = syscall(SYS_gettid), hits++; }
static int got(int fd) { return fd < 0 ? -errno : 0; }

static void descriptors(void)
{
	struct sigaction action = { .sa_handler = handler };
	int fd, process, status, error;
	siginfo_t info;
	pthread_t thread;
	pid_t child;

	sigaction(SIGUSR1, &action, NULL);
	stage = 0;
	pthread_create(&thread, NULL, linger, NULL);
	while (!stage)
		sched_yield();
	printf("of a thread as of a process: %d\n", got(syscall(SYS_pidfd_open, tid, 0)));
	fd = syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	process = syscall(SYS_pidfd_open, getpid(), 0);
	printf("of a thread: %d, flags say %d %d, polled %d\n", got(fd),
	       !!(fcntl(fd, F_GETFL) & PIDFD_THREAD), !!(fcntl(process, F_GETFL) & PIDFD_THREAD),
	       polled(fd));
	printf("signalled: %ld", syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
	while (!hits)
		sched_yield();
	printf(", there: %d\n", hit_in == tid);
	hits = 0;
	printf("as a thread: %ld", syscall(SYS_pidfd_send_signal, process, SIGUSR1, NULL, 1));
	printf(", the leader: %d %d\n", hits, hit_in == getpid());
	printf("wrong flags: %ld", syscall(SYS_pidfd_send_signal, process, SIGUSR1, NULL, 3));
	printf(" %d\n", errno);
	stage = 2;
	pthread_join(thread, NULL);
	while (!(polled(fd) & POLLHUP)) /* on its way out */
		usleep(1000);
	printf("ended: polled %x", polled(fd));
	error = syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) ? errno : 0;
	printf(", signal %d, the process polled %x\n", error, polled(process));
	error = waitid(P_PIDFD, fd, &info, WEXITED) ? errno : 0;
	printf("waited for: %d\n", error);
	fflush(stdout);
	if (!(child = fork())) {
		stage = 0;
		pthread_create(&thread, NULL, linger, NULL);
		while (!stage)
			sched_yield();
		syscall(SYS_exit, 0);
	}
	close(fd);
	fd = syscall(SYS_pidfd_open, child, PIDFD_THREAD);
	close(process);
	process = syscall(SYS_pidfd_open, child, 0);
	until_state(child, 'Z');
	printf("a leader that left: as thread %x, as process %x", polled(fd), polled(process));
	printf(", signals reach it %ld\n", syscall(SYS_pidfd_send_signal, process, 0, NULL, 0));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	printf("status %x, polled %x %x\n", status, polled(fd), polled(process));
	close(fd);
	close(process);
}

/* ---- CLONE_PIDFD of threads, stacks of signals, settings that go along ---- */

static volatile int thread_fd = -1, seen_alt = -1, done;

static int inside(void *arg)
{
	stack_t stack;

	sigaltstack(NULL, &stack);
	seen_alt = stack.ss_flags;
	done = 1;
	syscall(SYS_exit, 0);
	return 0;
}

static void threads_by_clone(void)
{
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, fd = -1;
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 };
	pid_t made;

	sigaltstack(&stack, NULL);
	errno = 0;
	made = clone(inside, area + sizeof(area), flags | CLONE_PIDFD, NULL, &fd);
	printf("thread with a descriptor: %d %d", made > 0, errno);
	if (made > 0) {
		while (!polled(fd))
			usleep(1000);
		printf(", of a thread %d, alternate stack %d",
		       !!(fcntl(fd, F_GETFL) & PIDFD_THREAD), seen_alt);
		close(fd);
	}
	printf("\n");
	made = clone(inside, area + sizeof(area), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	waitpid(made, NULL, 0);
	printf("a vfork keeps the stack: %d\n", seen_alt);
	made = clone(inside, area + sizeof(area), CLONE_VM | SIGCHLD, NULL);
	waitpid(made, NULL, 0);
	printf("shared memory alone does not: %d\n", seen_alt);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
}

static int change_handler(void *arg)
{
	signal(SIGUSR2, SIG_IGN);
	prctl(PR_SET_NAME, "changed");
	setpriority(0, 0, 3);
	return 0;
}

static void sharing(void)
{
	struct sigaction now;
	char name[16] = "";
	pid_t child;

	signal(SIGUSR2, SIG_DFL);
	child = clone(change_handler, area + sizeof(area), CLONE_VM | CLONE_SIGHAND | SIGCHLD,
		      NULL);
	waitpid(child, NULL, 0);
	sigaction(SIGUSR2, NULL, &now);
	printf("shared handlers: ignored %d", now.sa_handler == SIG_IGN);
	signal(SIGUSR2, SIG_DFL);
	child = clone(change_handler, area + sizeof(area), CLONE_VM | SIGCHLD, NULL);
	waitpid(child, NULL, 0);
	sigaction(SIGUSR2, NULL, &now);
	prctl(PR_GET_NAME, name);
	printf(", own ones: ignored %d, name kept %d, nice kept %d\n", now.sa_handler == SIG_IGN,
	       strcmp(name, "changed") != 0, getpriority(0, 0) == 0);
}

/* ---- semaphores undone ---- */

static int semid;

static int post_undo(void *arg)
{
	struct sembuf up = { 0, 1, SEM_UNDO };
	semop(semid, &up, 1);
	return 0;
}

static void undoing(void)
{
	pid_t child;

	semid = semget(IPC_PRIVATE, 1, 0600);
	child = clone(post_undo, area + sizeof(area), SIGCHLD, NULL);
	waitpid(child, NULL, 0);
	printf("undone at its end: %d", semctl(semid, 0, GETVAL));
	child = clone(post_undo, area + sizeof(area), CLONE_SYSVSEM | SIGCHLD, NULL);
	waitpid(child, NULL, 0);
	printf(", shared: %d", semctl(semid, 0, GETVAL));
	unshare(CLONE_SYSVSEM);
	printf(", unshared: %d\n", semctl(semid, 0, GETVAL));
	semctl(semid, 0, IPC_RMID);
}

/* ---- parents ---- */

static int tell_parent(void *arg) { return getppid() == *(pid_t *)arg ? 11 : 12; }
static int make_sibling(void *arg)
{
	return clone(tell_parent, area + 32768, CLONE_PARENT | SIGCHLD, arg) < 0;
}

static void siblings(void)
{
	int status, sum = 0;
	pid_t me = getpid();

	clone(make_sibling, area + sizeof(area), SIGCHLD, &me);
	for (int i = 0; i < 2; i++) {
		wait(&status);
		sum += WEXITSTATUS(status);
	}
	printf("a sibling's parent: %d, no more: %d\n", sum, wait(&status) < 0 && errno == ECHILD);
}

/* ---- locks of files belong to the table of descriptors ---- */

static int lock_file(void *arg)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
	return fcntl(*(int *)arg, F_SETLK, &lock) < 0 ? errno : 0;
}

static void locks(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
	int fd = syscall(SYS_memfd_create, "locked", 0), status;
	pid_t child;

	fcntl(fd, F_SETLK, &lock);
	child = clone(lock_file, area + sizeof(area), SIGCHLD, &fd);
	waitpid(child, &status, 0);
	printf("another's lock: %d", WEXITSTATUS(status));
	child = clone(lock_file, area + sizeof(area), CLONE_FILES | SIGCHLD, &fd);
	waitpid(child, &status, 0);
	printf(", with the same descriptors: %d\n", WEXITSTATUS(status));
	close(fd);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	arguments();
	descriptors();
	threads_by_clone();
	sharing();
	undoing();
	siblings();
	locks();
	printf("set_thread_area: %ld", syscall(SYS_set_thread_area, area));
	printf(" %d, get: %ld", errno, syscall(SYS_get_thread_area, area));
	printf(" %d\n", errno);
	return 0;
}
