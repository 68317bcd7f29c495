#!/usr/bin/env bash
# qemu-x86_64-static 7.2 (Debian 12, qemu-user-static): madvise() says yes to what it does not do.
# Expected (madvise(2), as on the host): MADV_WIPEONFORK gives the child zeroes, MADV_DONTFORK gives it
#   no mapping, advice that does not exist is EINVAL, MADV_REMOVE on private memory is EINVAL, a range
#   with a hole is ENOMEM.
# Seen: 0 for all of them; the child reads the parent's byte in both cases.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb qemu-user-static 1:7.2+dfsg-
cat >t.c <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char *pages(int n)
{
	char *p = mmap(NULL, n * 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	p[0] = 5;
	return p;
}

static void say(const char *what, int failed)
{
	printf("%s: %s\n", what, failed ? strerrorname_np(errno) : "0");
}

/* What a child finds: the byte, or -1 if nothing is mapped. */
static int child_sees(char *p)
{
	unsigned char resident;
	int status;

	if (fork() == 0)
		_exit(mincore(p, 4096, &resident) ? 255 : p[0]);
	wait(&status);
	return (signed char)WEXITSTATUS(status);
}

int main(void)
{
	char *p = pages(1);

	setvbuf(stdout, NULL, _IONBF, 0);
	say("MADV_WIPEONFORK", madvise(p, 4096, MADV_WIPEONFORK));
	printf("  the child sees %d\n", child_sees(p));
	p = pages(1);
	say("MADV_DONTFORK", madvise(p, 4096, MADV_DONTFORK));
	printf("  the child sees %d\n", child_sees(p));
	say("advice 9999", madvise(pages(1), 4096, 9999));
	say("MADV_REMOVE on private memory", madvise(pages(1), 4096, MADV_REMOVE));
	p = pages(3);
	munmap(p + 4096, 4096);
	say("MADV_DONTNEED over a hole", madvise(p, 3 * 4096, MADV_DONTNEED));
}
C
gcc -static -o t t.c
expect "host" "$(./t)" \
"MADV_WIPEONFORK: 0
  the child sees 0
MADV_DONTFORK: 0
  the child sees -1
advice 9999: EINVAL
MADV_REMOVE on private memory: EINVAL
MADV_DONTNEED over a hole: ENOMEM"
expect "qemu" "$("$W/root/usr/bin/qemu-x86_64-static" ./t)" \
"MADV_WIPEONFORK: 0
  the child sees 5
MADV_DONTFORK: 0
  the child sees 5
advice 9999: 0
MADV_REMOVE on private memory: 0
MADV_DONTNEED over a hole: 0"
