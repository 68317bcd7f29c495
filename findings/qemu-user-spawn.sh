#!/usr/bin/env bash
# qemu-x86_64-static 7.2 (Debian 12, qemu-user-static): posix_spawn() of a program that does not exist succeeds.
# Expected (posix_spawn(3), "ERRORS": under Linux the errors of fork(2), vfork(2), clone(2) and execve(2)
#   are returned; vfork(2): the child shares all memory with its parent, the stack too): ENOENT, EACCES,
#   ENOEXEC, and no child. glibc's child tells the error by a store in memory that it shares with its parent.
# Seen: CLONE_VM with CLONE_VFORK copies the memory, so that the store is lost: posix_spawn() returns 0 for
#   all of them, and a child ends with 127.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb qemu-user-static 1:7.2+dfsg-
cat >t.c <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void spawn(const char *path)
{
	char *argv[] = { "prog", NULL }, *none[] = { NULL };
	int error, status;
	pid_t pid;

	error = posix_spawn(&pid, path, NULL, NULL, argv, none);
	printf("posix_spawn(%s): %s", path, error ? strerrorname_np(error) : "0");
	if (!error && waitpid(pid, &status, 0) == pid)
		printf(", the child ended with %d", WEXITSTATUS(status));
	puts("");
}

static int store(void *to)
{
	*(int *)to = 1;
	_exit(0);
}

int main(void)
{
	static char stack[65536];
	int seen = 0;

	close(open("text", O_CREAT | O_WRONLY, 0600));
	spawn("/bin/true");
	spawn("./missing");
	spawn("./text");
	chmod("text", 0700);
	spawn("./text");
	clone(store, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &seen);
	printf("a store of CLONE_VM's child: %s\n", seen ? "seen" : "lost");
}
C
gcc -static -o t t.c
expect "host" "$(./t)" \
"posix_spawn(/bin/true): 0, the child ended with 0
posix_spawn(./missing): ENOENT
posix_spawn(./text): EACCES
posix_spawn(./text): ENOEXEC
a store of CLONE_VM's child: seen"
expect "qemu" "$("$W/root/usr/bin/qemu-x86_64-static" ./t)" \
"posix_spawn(/bin/true): 0, the child ended with 0
posix_spawn(./missing): 0, the child ended with 127
posix_spawn(./text): 0, the child ended with 127
posix_spawn(./text): 0, the child ended with 127
a store of CLONE_VM's child: lost"
