#!/usr/bin/env bash
# qemu-x86_64-static 7.2 (Debian 12, qemu-user-static): limits on memory are accepted and forgotten.
# Expected (setrlimit(2)): after RLIMIT_AS, RLIMIT_DATA or RLIMIT_STACK was set, getrlimit() returns what was
#   set, and mmap() and sbrk() beyond it are ENOMEM.
# Seen: setrlimit() is 0, getrlimit() tells the value from before, and memory comes without limit, so that a
#   test of what a program does without memory tests nothing. RLIMIT_NOFILE beside them is obeyed.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb qemu-user-static 1:7.2+dfsg-
cat >t.c <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MB = 1 << 20 };

static int map(void)
{
	return mmap(NULL, 256 * MB, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int grow(void)
{
	return sbrk(64 * MB) == (void *)-1;
}

static int open_another(void)
{
	return open("/dev/null", O_RDONLY) < 0;
}

/* In a child: set the limit, then do what it forbids. */
static void try(const char *name, int resource, rlim_t limit, int (*beyond)(void))
{
	struct rlimit set = { limit, limit }, got;

	if (fork() == 0) {
		printf("%s: set %s", name, setrlimit(resource, &set) ? strerrorname_np(errno) : "0");
		getrlimit(resource, &got);
		printf(", read back %s", got.rlim_cur == limit ? "right" : "otherwise");
		if (beyond)
			printf(", beyond it: %s", beyond() ? strerrorname_np(errno) : "0");
		printf("\n");
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

int main(void)
{
	try("RLIMIT_NOFILE", RLIMIT_NOFILE, 3, open_another);
	try("RLIMIT_AS", RLIMIT_AS, 128 * MB, map);
	try("RLIMIT_DATA, map", RLIMIT_DATA, 32 * MB, map);
	try("RLIMIT_DATA, sbrk", RLIMIT_DATA, 32 * MB, grow);
	try("RLIMIT_STACK", RLIMIT_STACK, MB, NULL);
}
C
gcc -static -o t t.c
expect "host" "$(./t)" \
"RLIMIT_NOFILE: set 0, read back right, beyond it: EMFILE
RLIMIT_AS: set 0, read back right, beyond it: ENOMEM
RLIMIT_DATA, map: set 0, read back right, beyond it: ENOMEM
RLIMIT_DATA, sbrk: set 0, read back right, beyond it: ENOMEM
RLIMIT_STACK: set 0, read back right"
expect "qemu" "$("$W/root/usr/bin/qemu-x86_64-static" ./t)" \
"RLIMIT_NOFILE: set 0, read back right, beyond it: EMFILE
RLIMIT_AS: set 0, read back otherwise, beyond it: 0
RLIMIT_DATA, map: set 0, read back otherwise, beyond it: 0
RLIMIT_DATA, sbrk: set 0, read back otherwise, beyond it: 0
RLIMIT_STACK: set 0, read back otherwise"
