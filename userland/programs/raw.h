/*
 * raw.h - the raw system calls of the test programs, and how they print.
 *
 * A call returns the kernel's own result: a value, or -errno.  say() writes one line at once, past
 * stdio's buffers, which a fork would double.  must() ends the program at the first surprise.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096l
#define MAP_NONLINEAR 0x800000
#define RW (PROT_READ | PROT_WRITE)
#ifndef MADV_POPULATE_WRITE /* newer than some C libraries */
#define MADV_POPULATE_WRITE 23
#endif

static inline long raw6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline long raw3(long nr, long a, long b, long c) { return raw6(nr, a, b, c, 0, 0, 0); }

/* ---- memory ---- */

static inline long sys_mmap(void *addr, long length, int prot, int flags, int fd, long offset)
{
	return raw6(SYS_mmap, (long)addr, length, prot, flags, fd, offset);
}

static inline long sys_munmap(void *addr, long length)
{
	return raw3(SYS_munmap, (long)addr, length, 0);
}

static inline long sys_mprotect(void *addr, long length, int prot)
{
	return raw3(SYS_mprotect, (long)addr, length, prot);
}

static inline long sys_mremap(void *addr, long old_length, long new_length, int flags, void *to)
{
	return raw6(SYS_mremap, (long)addr, old_length, new_length, flags, (long)to, 0);
}

static inline long sys_madvise(void *addr, long length, int advice)
{
	return raw3(SYS_madvise, (long)addr, length, advice);
}

static inline long sys_mincore(void *addr, long length, unsigned char *vector)
{
	return raw3(SYS_mincore, (long)addr, length, (long)vector);
}

static inline long sys_msync(void *addr, long length, int flags)
{
	return raw3(SYS_msync, (long)addr, length, flags);
}

static inline long sys_brk(void *addr) { return raw3(SYS_brk, (long)addr, 0, 0); }

/* The letter's call: the descriptor is the sixth argument. */
static inline long sys_remap(void *addr, long size, int prot, long pgoff, int flags, int fd)
{
	return raw6(SYS_remap_file_pages, (long)addr, size, prot, pgoff, flags, fd);
}

/* ---- files ---- */

static inline long sys_memfd(const char *name) { return raw3(SYS_memfd_create, (long)name, 0, 0); }

static inline long sys_ftruncate(int fd, long size) { return raw3(SYS_ftruncate, fd, size, 0); }

static inline long sys_write(int fd, const void *data, long nbytes)
{
	return raw3(SYS_write, fd, (long)data, nbytes);
}

static inline long sys_pread(int fd, void *data, long nbytes, long pos)
{
	return raw6(SYS_pread64, fd, (long)data, nbytes, pos, 0, 0);
}

static inline long sys_pwrite(int fd, const void *data, long nbytes, long pos)
{
	return raw6(SYS_pwrite64, fd, (long)data, nbytes, pos, 0, 0);
}

static inline long sys_close(int fd) { return raw3(SYS_close, fd, 0, 0); }

/* ---- processes ---- */

static inline long sys_fork(void) { return raw3(SYS_fork, 0, 0, 0); }

static inline long sys_wait(long pid, int *status)
{
	return raw6(SYS_wait4, pid, (long)status, 0, 0, 0, 0);
}

static inline _Noreturn void sys_exit(int status)
{
	for (;;)
		raw3(SYS_exit_group, status, 0, 0);
}

/* ---- printing ---- */

__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
	char line[256];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	sys_write(1, line, length < (int)sizeof(line) ? length : (int)sizeof(line) - 1);
}

static inline void must(bool good, const char *what)
{
	if (good)
		return;
	say("failed: %s\n", what);
	sys_exit(1);
}

/* ---- what several programs do ---- */

static inline char *map(long length, int prot, int flags, int fd)
{
	long at = sys_mmap(NULL, length, prot, flags, fd, 0);

	must(at > 0, "mmap");
	return (char *)at;
}

static inline char *map_anonymous(long length)
{
	return map(length, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* A new file whose page i is filled with the letter first + i. */
static inline int file_of_letters(int nr_pages, char first)
{
	int fd = (int)sys_memfd("letters");
	char page[PAGE];

	must(fd >= 0, "memfd_create");
	for (int i = 0; i < nr_pages; i++) {
		memset(page, first + i, PAGE);
		must(sys_write(fd, page, PAGE) == PAGE, "write");
	}
	return fd;
}

/* FNV-1a: the same number for the same bytes, whatever made them. */
static inline uint64_t checksum(const void *data, long nbytes)
{
	const unsigned char *bytes = data;
	uint64_t sum = 0xcbf29ce484222325;

	for (long i = 0; i < nbytes; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3;
	return sum;
}

/* Wait for any child and return its exit code, 128 + n where signal n ended it. */
static inline int reap(void)
{
	int status = 0;

	must(sys_wait(-1, &status) > 0, "wait4");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
