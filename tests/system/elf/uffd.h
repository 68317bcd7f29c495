// What the programs about userfaultfd share: structs that older headers lack, and short printing.
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul
#define RW (PROT_READ | PROT_WRITE)
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#define MISSING 1
#define PROTECT 2
#define MINOR 4
typedef unsigned long ul;

struct five { // of UFFDIO_COPY and MOVE
	uint64_t dst, src, len, mode;
	int64_t done;
};
struct four { // of ZEROPAGE, CONTINUE, POISON
	uint64_t start, len, mode;
	int64_t done;
};
struct three { // of WRITEPROTECT
	uint64_t start, len, mode;
};
#define IO(nr, type) _IOWR(0xaa, nr, type)

struct region { // of PAGEMAP_SCAN, and what asks for them
	uint64_t start, end, categories;
};
struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, mask, anyof, returned;
};
#define SCAN _IOWR('f', 16, struct scan)

__attribute__((unused)) static const char *name(long r)
{
	return r == -1 ? strerrorname_np(errno) : "ok";
}

#define SAY(label, call) \
	do { \
		const char *_n = name(call); \
		printf("%s=%s ", label, _n); \
	} while (0)
#define NUM(label, value) \
	do { \
		long _n = (long)(value); \
		printf("%s=%lx ", label, _n); \
	} while (0)

static sigjmp_buf back;
static volatile int code;

static void on_fault(int signo, siginfo_t *info, void *arg)
{
	(void)arg;
	code = signo << 8 | info->si_code;
	siglongjmp(back, 1);
}

static const char *touch(volatile char *at, int store) // the byte, or the signal
{
	static char text[8][24];
	static int next;
	char *out = text[next++ & 7];
	/* Once: a fault elsewhere is not to jump back for ever. */
	const int flags = SA_SIGINFO | SA_NODEFER | SA_RESETHAND;
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = flags };
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	if (sigsetjmp(back, 1)) {
		sprintf(out, "%s/%d", code >> 8 == SIGBUS ? "SIGBUS" : "SIGSEGV", code & 255);
		return out;
	}
	if (store)
		*at = (char)store;
	sprintf(out, "%d", *at);
	return out;
}

static int new_fd(uint64_t features)
{
	int only = geteuid() ? UFFD_USER_MODE_ONLY : 0;
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | only);
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		printf("[no userfaultfd: %s]", strerrorname_np(errno));
	return fd;
}

static uint64_t ioctls;

static int watch(int fd, void *at, ul nr, uint64_t mode)
{
	struct uffdio_register r = { { (ul)at, nr * P }, mode, 0 };
	int result = ioctl(fd, UFFDIO_REGISTER, &r);
	ioctls = r.ioctls;
	return result;
}

static int unwatch(int fd, void *at, ul nr)
{
	struct uffdio_range r = { (ul)at, nr * P };
	return ioctl(fd, UFFDIO_UNREGISTER, &r);
}

static struct five five;
static struct four four;

static int call5(int fd, int nr, void *dst, void *src, ul nr_pages, ul mode)
{
	five = (struct five){ (ul)dst, (ul)src, nr_pages * P, mode, 77 };
	return ioctl(fd, IO(nr, struct five), &five);
}

static int call4(int fd, int nr, void *at, ul nr_pages, ul mode)
{
	four = (struct four){ (ul)at, nr_pages * P, mode, 77 };
	return ioctl(fd, IO(nr, struct four), &four);
}

static int copy(int fd, void *dst, void *src, ul nr, ul mode)
{
	return call5(fd, 3, dst, src, nr, mode);
}
static int zeropage(int fd, void *at, ul nr) { return call4(fd, 4, at, nr, 0); }
static int move(int fd, void *dst, void *src, ul nr, ul mode)
{
	return call5(fd, 5, dst, src, nr, mode);
}
static int map_cached(int fd, void *at, ul nr, ul mode) { return call4(fd, 7, at, nr, mode); }
static int poison(int fd, void *at, ul nr) { return call4(fd, 8, at, nr, 0); }

static int protect(int fd, void *at, ul nr, ul mode)
{
	struct three t = { (ul)at, nr * P, mode };
	return ioctl(fd, IO(6, struct three), &t);
}

static uint64_t pagemap(void *at) // without the bit that says that a page is mapped once
{
	uint64_t word = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	pread(fd, &word, 8, (off_t)((ul)at / P * 8));
	close(fd);
	return word >> 63 ? word >> 57 << 1 : word;
}

static const char *field(void *at, const char *wanted) // of smaps
{
	static char out[8][120];
	static int next;
	char line[400], *text = out[next++ & 7];
	FILE *file = fopen("/proc/self/smaps", "r");
	int inside = 0;
	strcpy(text, "none");
	while (fgets(line, sizeof line, file)) {
		ul start, end;
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (ul)at >= start && (ul)at < end;
		else if (inside && !strncmp(line, wanted, strlen(wanted)))
			sscanf(strchr(line, ':') + 1, " %119[^\n]", text);
	}
	fclose(file);
	return text;
}

static char *memory(ul nr, int flags)
{
	return mmap(NULL, nr * P, RW, flags | MAP_ANONYMOUS, -1, 0);
}

static char *hole(ul nr)
{
	char *at = memory(nr + 2, MAP_PRIVATE);
	mprotect(at, P, PROT_NONE);
	munmap(at + P, nr * P);
	return at + P;
}
