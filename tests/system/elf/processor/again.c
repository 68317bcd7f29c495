/* A program that starts itself again, clone3 as fork, and segments shared over fork. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

struct arguments { /* clone_args; musl has none */
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static void itself(void)
{
	char *argv[] = { "another name", "again", NULL };
	int status;
	pid_t pid = vfork();

	if (!pid) {
		execve("/proc/self/exe", argv, argv + 2);
		_exit(99);
	}
	waitpid(pid, &status, 0);
	printf("itself: %x\n", status);
}

static int started_again(const char *name)
{
	char path[4096] = "";

	printf("%s, path %d\n", name, readlink("/proc/self/exe", path, sizeof(path) - 1) > 1);
	fflush(stdout);
	return 3;
}

static void refused(const char *what, struct arguments args, size_t nbytes)
{
	long result = syscall(SYS_clone3, &args, nbytes);

	printf("%s: %ld %s\n", what, result, strerror(errno));
}

static void cloned(void)
{
	struct arguments args = { .exit_signal = SIGCHLD };
	siginfo_t info = { 0 };
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (!pid)
		_exit(4);
	int result = waitid(P_PID, pid, &info, WEXITED);
	printf("clone3: %d code %d status %d same %d\n", result, info.si_code, info.si_status,
	       info.si_pid == pid);
	refused("no such signal", (struct arguments){ .exit_signal = 300 }, sizeof(args));
	refused("too small", args, 8);
	refused("too large", args, 8192);
	refused("a stack without size", (struct arguments){ .stack = 4096 }, sizeof(args));
}

static void in_child(void (*act)(char *), char *memory)
{
	pid_t pid = fork();

	if (!pid) {
		act(memory);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void store(char *memory) { memory[1] = 42; }

static void by_name(char *unused)
{
	int fd = shm_open("/" UNIQUE, O_RDWR, 0);

	(void)unused;
	store(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

static void segments(void)
{
	int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
	int fd = shm_open("/" UNIQUE, O_CREAT | O_RDWR, 0600);
	char *sysv = shmat(id, NULL, 0), *posix;
	struct shmid_ds ds;

	in_child(store, sysv);
	shmctl(id, IPC_STAT, &ds);
	printf("shmat: %d, %ld attached, %ld bytes\n", sysv[1], (long)ds.shm_nattch,
	       (long)ds.shm_segsz);
	shmctl(id, IPC_RMID, NULL);
	shmdt(sysv);
	printf("gone: %d\n", shmctl(id, IPC_STAT, &ds));
	printf("truncate: %d\n", ftruncate(fd, 4096));
	posix = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	in_child(by_name, NULL);
	printf("shm_open: %d, unlink %d\n", posix[1], shm_unlink("/" UNIQUE));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc > 1)
		return started_again(argv[0]);
	itself();
	cloned();
	segments();
	return 0;
}
