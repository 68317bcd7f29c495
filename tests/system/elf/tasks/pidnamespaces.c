/* Pid namespaces: who has which number where, and who ends with whom, whoever runs it. */
#define _GNU_SOURCE
#include "parts.h"
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

/* Run in a process that is the first of a new pid namespace; return how it ended. */
static int inside(int flags, void (*run)(void))
{
	fflush(stdout);
	pid_t child =
		syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | flags | SIGCHLD, 0, 0, 0, 0);
	if (child < 0) {
		printf("clone %d\n", errno);
		return -1;
	}
	if (!child) {
		run();
		fflush(stdout);
		_exit(7);
	}
	int status = -1;
	pid_t got = waitpid(child, &status, 0);
	printf("ended %d %x\n", got == child, status);
	return status;
}

static pid_t outer;

static void numbers(void)
{
	P("self", getpid(), getppid(), syscall(SYS_gettid), getpgrp(), getsid(0), getpgid(0));
	pid_t child = fork();
	if (!child) {
		P("child", getpid(), getppid(), getpgrp());
		fflush(stdout);
		_exit(3);
	}
	int status;
	siginfo_t info = { 0 };
	P("wait", child, waitid(P_PID, child, &info, WEXITED | WNOWAIT), info.si_pid,
	  info.si_status);
	P("wait4", wait4(child, &status, 0, 0), WEXITSTATUS(status));
	P("strangers", result(kill(outer, 0)), result(getpgid(outer)), result(getsid(outer)),
	  result(wait4(outer, &status, 0, 0)), result(syscall(SYS_pidfd_open, outer, 0)),
	  result(getpriority(PRIO_PROCESS, outer)), result(ptrace(PTRACE_ATTACH, outer, 0, 0)));
	P("session", result(setsid()), getpgrp(), getsid(0), result(setpgid(0, 0)));
	child = fork();
	if (!child) {
		P("group", result(setpgid(0, 0)), getpgrp(), getpid(), result(setpgid(0, 1)),
		  getpgrp());
		fflush(stdout);
		_exit(0);
	}
	wait(0);
	P("all", result(kill(-1, 0)), result(kill(0, 0)), result(kill(-1, SIGKILL)));
}

static void orphans(void)
{
	int pipes[2];
	pipe(pipes);
	pid_t child = fork();
	if (!child) {
		if (!fork()) {
			while (getppid() != 1)
				usleep(1000);
			dprintf(pipes[1], "adopted by %d\n", getppid());
			_exit(4);
		}
		_exit(0);
	}
	waitpid(child, 0, 0);
	char text[100] = "";
	read(pipes[0], text, sizeof text - 1);
	printf("%s", text);
	int status = 0;
	pid_t got = wait(&status);
	P("orphan", got == child + 1, WEXITSTATUS(status));
}

static int seen;
static void handler(int signo, siginfo_t *info, void *context)
{
	(void)context;
	seen = signo;
	char text[100];
	write(1, text,
	      snprintf(text, sizeof text, "got %d from %d uid %d code %d\n", signo, info->si_pid,
		       info->si_uid == 65534, info->si_code));
}

static void protected(void)
{
	P("own signals", result(kill(1, SIGTERM)), result(kill(1, SIGKILL)),
	  result(kill(1, SIGSTOP)), raise(SIGINT), result(kill(getpid(), SIGSEGV)));
	pid_t child = fork();
	if (!child) {
		P("child's", result(kill(1, SIGTERM)), result(kill(1, SIGKILL)),
		  result(kill(1, SIGABRT)));
		fflush(stdout);
		_exit(0);
	}
	wait(0);
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	sigaction(SIGUSR1, &action, 0);
	P("handled", result(kill(1, SIGUSR1)), seen);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, 0);
	siginfo_t info;
	P("waited for", result(kill(1, SIGTERM)),
	  sigtimedwait(&set, &info, &(struct timespec){ 1, 0 }), info.si_pid);
	P("blocked", result(kill(1, SIGTERM)), sigprocmask(SIG_UNBLOCK, &set, 0));
}

static void faulting(void) { *(volatile int *)0 = 1; }

static void sleeper(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	sigaction(SIGUSR1, &action, 0);
	write(1, "ready\n", 6);
	for (;;)
		pause();
}

/* Signals from above. */
static void from_above(void)
{
	int out[2];
	pipe(out);
	fflush(stdout);
	pid_t child = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (!child) {
		dup2(out[1], 1);
		sleeper();
	}
	char text[200];
	text[read(out[0], text, sizeof text - 1)] = 0;
	printf("%s", text);
	P("usr1", result(kill(child, SIGUSR1)));
	text[read(out[0], text, sizeof text - 1)] = 0;
	printf("%s", text);
	P("term", result(kill(child, SIGTERM)), result(kill(child, SIGHUP)));
	usleep(10000);
	int status;
	P("lives", waitpid(child, &status, WNOHANG));
	P("kill", result(kill(child, SIGKILL)), waitpid(child, &status, 0) == child, status);
}

/* The end of the first ends all. */
static void all_end(void)
{
	int pipes[2];
	char byte;
	pipe(pipes);
	fflush(stdout);
	pid_t child = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (!child) {
		close(pipes[0]);
		if (!fork()) {
			if (!fork())
				for (;;)
					pause();
			for (;;)
				pause();
		}
		_exit(5);
	}
	close(pipes[1]);
	int status;
	P("end", waitpid(child, &status, 0) == child, WEXITSTATUS(status),
	  read(pipes[0], &byte, 1));
}

static void unshared(void)
{
	P("unshare", result(unshare(CLONE_NEWUSER | CLONE_NEWPID)), getpid() > 1);
	P("again", result(unshare(CLONE_NEWPID)));
	P("thread", call(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0, 0));
	int said[2];
	char byte;
	pipe(said);
	fflush(stdout);
	pid_t first = fork();
	if (!first) {
		P("first", getpid(), getppid());
		fflush(stdout);
		write(said[1], "", 1);
		pause();
	}
	read(said[0], &byte, 1);
	pid_t second = fork();
	if (!second) {
		P("second", getpid(), getppid(), result(kill(1, 0)));
		fflush(stdout);
		_exit(0);
	}
	P("seen", second != first, waitpid(second, 0, 0) == second);
	int status;
	P("kill", result(kill(first, SIGKILL)), waitpid(first, &status, 0) == first, status);
	P("after", result(fork()));
	P("ns", result(open("/proc/self/ns/pid_for_children", O_RDONLY)) >= 0);
}

static const char *line(const char *path, const char *name)
{
	static char text[8192];
	int fd = open(path, O_RDONLY);
	text[0] = 0;
	if (fd >= 0) {
		long count = read(fd, text, sizeof text - 1);
		text[count < 0 ? 0 : count] = 0;
		close(fd);
	}
	char *found = strstr(text, name);
	if (!found)
		return "none";
	found[strcspn(found, "\n")] = 0;
	return found;
}

static void deeper(void)
{
	P("deeper", getpid());
	/* The outer /proc: one number for each level from its own. */
	const char *text = line("/proc/self/status", "NSpid");
	int levels = 0;
	for (const char *at = text; *at; at++)
		levels += *at == '\t';
	printf("levels %d, last %s\n", levels,
	       strrchr(text, '\t') ? strrchr(text, '\t') + 1 : text);
}

static void levels(void)
{
	deeper();
	inside(0, deeper);
}

static void into(void)
{
	int ready[2];
	char byte;
	pipe(ready);
	fflush(stdout);
	pid_t child = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (!child) {
		write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	read(ready[0], &byte, 1);
	char path[100];
	snprintf(path, sizeof path, "/proc/%d/ns/user", child);
	int user = open(path, O_RDONLY);
	snprintf(path, sizeof path, "/proc/%d/ns/pid", child);
	int pid = open(path, O_RDONLY);
	P("setns", result(setns(user, 0)), result(setns(pid, 0)), getpid() > 1);
	fflush(stdout);
	pid_t other = fork();
	if (!other) {
		P("other", getpid(), getppid(), result(kill(1, 0)));
		int above = open("/proc/1/ns/pid", O_RDONLY);
		P("back", above < 0 ? 0 : result(setns(above, 0)));
		fflush(stdout);
		_exit(0);
	}
	P("wait", waitpid(other, 0, 0) == other);
	kill(child, SIGKILL);
	waitpid(child, 0, 0);
	P("gone", result(fork()));
}

static void creds(void)
{
	int pair[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int));
	fflush(stdout);
	pid_t child = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (!child) {
		struct ucred peer;
		socklen_t size = sizeof peer;
		getsockopt(pair[1], SOL_SOCKET, SO_PEERCRED, &peer, &size);
		P("peer", peer.pid, peer.uid, peer.gid);
		fflush(stdout);
		write(pair[1], "x", 1);
		_exit(0);
	}
	char byte, room[200];
	struct iovec vector = { &byte, 1 };
	struct msghdr head = { .msg_iov = &vector,
			       .msg_iovlen = 1,
			       .msg_control = room,
			       .msg_controllen = sizeof room };
	recvmsg(pair[0], &head, 0);
	struct ucred *sent = (struct ucred *)CMSG_DATA(CMSG_FIRSTHDR(&head));
	P("sent", sent->pid == child, sent->uid == getuid(), sent->gid == getgid());
	waitpid(child, 0, 0);
	int pipes[2];
	pipe(pipes);
	fcntl(pipes[0], F_SETOWN, getpid());
	child = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (!child) {
		P("owner", fcntl(pipes[0], F_GETOWN), fcntl(pipes[0], F_SETOWN, 1),
		  fcntl(pipes[0], F_GETOWN));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, 0, 0);
}

static void chosen(void)
{
	struct {
		unsigned long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size,
			tls, set_tid, set_tid_size, cgroup;
	} args = { .exit_signal = SIGCHLD };
	int tids[3] = { 42, 43, 44 };
	args.set_tid = (unsigned long)tids;
	args.set_tid_size = 1;
	pid_t child = syscall(SYS_clone3, &args, sizeof args);
	if (!child) {
		P("chosen", getpid());
		fflush(stdout);
		_exit(0);
	}
	P("clone3", result(child), waitpid(child, 0, 0));
	args.set_tid_size = 2;
	P("too far", call(SYS_clone3, (long)&args, sizeof args, 0, 0, 0, 0));
	args.set_tid_size = 3;
	P("too many", call(SYS_clone3, (long)&args, sizeof args, 0, 0, 0, 0));
	tids[0] = 1;
	args.set_tid_size = 1;
	P("taken", call(SYS_clone3, (long)&args, sizeof args, 0, 0, 0, 0));
	args.flags = CLONE_NEWPID;
	tids[0] = 2;
	P("not first", call(SYS_clone3, (long)&args, sizeof args, 0, 0, 0, 0));
	tids[0] = 1;
	child = syscall(SYS_clone3, &args, sizeof args);
	if (!child) {
		P("first", getpid());
		fflush(stdout);
		_exit(0);
	}
	P("new", child > 0 ? 1 : result(child), waitpid(child, 0, 0) > 0);
}

static void as_first_numbers(void) { inside(0, numbers); }
static void as_first_orphans(void) { inside(0, orphans); }
static void as_first_protected(void) { inside(0, protected); }
static void as_first_faulting(void) { inside(0, faulting); }
static void as_first_levels(void) { inside(0, levels); }
static void as_first_chosen(void) { inside(0, chosen); }

/* vm.memfd_noexec: each namespace's own, and no less than around it. */
#define NOEXEC "/proc/sys/vm/memfd_noexec"
enum { MEMFD_EXEC = 16 };

static void as_second_memfds(void)
{
	P("from around it", atoi(content(NOEXEC)));
	P("no less", put(NOEXEC, "0"), put(NOEXEC, "2"), put(NOEXEC, "1"), put(NOEXEC, "3"));
}

static void as_first_memfds(void)
{
	P("more", put(NOEXEC, "1"));
	unshare(CLONE_NEWPID); /* for its children */
	part("within", as_second_memfds);
	P("its own", atoi(content(NOEXEC)), put(NOEXEC, "0"), put(NOEXEC, "2"));
	P("to execute", call(SYS_memfd_create, (long)"m", MEMFD_EXEC, 0, 0, 0, 0));
}

static void memfds(void)
{
	inside(0, as_first_memfds);
	P("around it", atoi(content(NOEXEC)));
}

/* What /proc of a namespace shows: its own numbers, also where who has none there is spoken of. */
static int its_file, outer_pidfd;

static void show(const char *path, const char *key)
{
	char text[400], kind[20], way[20], access[20];
	FILE *file = fopen(path, "r");
	int pid;
	while (file && fgets(text, sizeof text, file)) {
		char *rest = strchr(text, ':');
		if (!strstr(text, key) || !rest)
			continue;
		if (!strncmp(text, "lock", 4))
			rest = strchr(rest + 1, ':');
		if (sscanf(rest, ": %19s %19s %19s %d", kind, way, access, &pid) == 4)
			printf("%s %s %s %d\n", kind, way, access, pid);
		else
			printf("%s", text);
	}
	if (file)
		fclose(file);
}

static void show_descriptor(int fd, const char *key)
{
	char path[50];
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	show(path, key);
}

static void show_pidfd(int fd)
{
	show_descriptor(fd, "Pid:\t");
	show_descriptor(fd, "NSpid:\t");
}

static void as_first_shown(void)
{
	char key[40];
	struct stat its;
	timer_t timer;
	struct flock whole = { .l_type = F_WRLCK, .l_start = 10, .l_len = 5 };
	P("mount", result(mount("proc", "/proc", "proc", 0, 0)));
	P("lock", result(fcntl(its_file, F_SETLK, &whole)));
	fstat(its_file, &its);
	snprintf(key, sizeof key, ":%lu ", (unsigned long)its.st_ino);
	show("/proc/locks", key);
	show_descriptor(its_file, "lock");
	/* The record is shown where it was taken alone. */
	snprintf(key, sizeof key, "/proc/self/fd/%d", its_file);
	show_descriptor(open(key, O_RDWR), "lock");
	show_pidfd(outer_pidfd);
	show_pidfd(syscall(SYS_pidfd_open, 1, 0));
	timer_create(CLOCK_MONOTONIC, 0, &timer);
	show("/proc/self/timers", "notify");
	fflush(stdout);
	pid_t child = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (!child)
		for (;;)
			pause();
	show_pidfd(syscall(SYS_pidfd_open, child, 0));
	printf("last%s", strrchr(content("/proc/loadavg"), ' '));
}

static void shown(void)
{
	struct flock first = { .l_type = F_WRLCK, .l_len = 5 };
	its_file = syscall(SYS_memfd_create, "locked", 0);
	outer_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	P("locks", result(fcntl(its_file, F_SETLK, &first)), result(flock(its_file, LOCK_EX)));
	inside(CLONE_NEWNS, as_first_shown);
}

int main(void)
{
	outer = getpid();
	part("numbers", as_first_numbers);
	part("orphans", as_first_orphans);
	part("protected", as_first_protected);
	part("faulting", as_first_faulting);
	part("from above", from_above);
	part("all end", all_end);
	part("unshared", unshared);
	part("levels", as_first_levels);
	part("into", into);
	part("creds", creds);
	part("chosen", as_first_chosen);
	part("memfds", memfds);
	part("shown", shown);
	return 0;
}
