/*
 * What two translators of programs make of mmap(), mremap(), mprotect() and mlock2(): compiled by
 * qemu-user-maps.sh and valgrind-maps.sh, which say what Linux's manual promises.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096
#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

static void say(const char *what, int failed)
{
	printf("%s: %s\n", what, failed ? strerrorname_np(errno) : "0");
}

int main(void)
{
	int fd = memfd_create("pages", 0);
	char *file, *p, *q;

	setvbuf(stdout, NULL, _IONBF, 0);
	ftruncate(fd, 4 * PAGE);
	file = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);

	p = mmap(NULL, PAGE, RW, PRIVATE, -1, 0);
	q = mmap(p, PAGE, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0);
	say("MAP_FIXED_NOREPLACE on a mapping", q == MAP_FAILED);
	say("remap_file_pages", syscall(SYS_remap_file_pages, file, PAGE, 0, 3, 0));
	q = mremap(file + PAGE, 0, PAGE, MREMAP_MAYMOVE, NULL);
	say("mremap of old size 0, shared", q == MAP_FAILED);
	q = mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	say("MREMAP_DONTUNMAP", q == MAP_FAILED);
	say("mlock2 MLOCK_ONFAULT", syscall(SYS_mlock2, p, PAGE, MLOCK_ONFAULT));
	say("mprotect of length 0", mprotect(p, 0, PROT_READ));
}
