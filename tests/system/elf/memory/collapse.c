/*
 * collapse.c - MADV_COLLAPSE where large pages are disabled: what is refused, and with which error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define PAGE 4096ul
#define LARGE (2ul << 20)
#define BASE ((char *)0x60000000)

static void map(unsigned long from, unsigned long nbytes, int prot, int flags, int fd)
{
	mmap(BASE + from, nbytes, prot, MAP_FIXED | flags, fd, 0);
	if (prot & PROT_WRITE)
		BASE[from] = 1;
}

static void collapse(const char *what, unsigned long from, unsigned long nbytes)
{
	int result = madvise(BASE + from, nbytes, MADV_COLLAPSE);

	printf("%s: %d %s\n", what, result, result ? strerror(errno) : "");
}

int main(void)
{
	const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS, both = PROT_READ | PROT_WRITE;
	int fd = (int)syscall(SYS_memfd_create, "file", 0);

	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	map(0, 2 * LARGE, both, anonymous, -1);
	collapse("anonymous memory", 0, LARGE);
	collapse("less than a large page", 0, PAGE);
	collapse("nothing", 0, 0);
	collapse("misaligned", 1, LARGE);
	collapse("a length that wraps", 0, -PAGE);
	munmap(BASE + 3 * PAGE, PAGE);
	collapse("with a hole inside", 0, LARGE);
	munmap(BASE, PAGE);
	collapse("with a hole at its beginning", 0, LARGE);
	munmap(BASE, 2 * LARGE);
	collapse("a hole", 0, LARGE);
	map(0, LARGE, both, anonymous, -1);
	collapse("with a hole behind", 0, 2 * LARGE);
	map(0, LARGE, PROT_NONE, anonymous, -1);
	collapse("PROT_NONE", 0, LARGE);
	map(0, LARGE, both, MAP_SHARED | MAP_ANONYMOUS, -1);
	collapse("shared anonymous memory", 0, LARGE);
	if (ftruncate(fd, LARGE))
		return 1;
	map(0, LARGE, both, MAP_SHARED, fd);
	collapse("a memfd", 0, LARGE);
	return 0;
}
