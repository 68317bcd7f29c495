/*
 * pageflags.c - what /proc/kpageflags and kpagecount tell root of pages whose frames its pagemap names.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
/* What reclaim has seen, and which list it chose, is its own affair: referenced, active. */
#define OF_RECLAIM (1u << 2 | 1u << 6)

static uint64_t word_of(const char *path, uint64_t index)
{
	uint64_t word = 0;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || pread(fd, &word, 8, (off_t)(index * 8)) != 8)
		printf("no %s ", path);
	close(fd);
	return word;
}

static void show(const char *what, const void *at)
{
	uint64_t pfn = word_of("/proc/self/pagemap", (uintptr_t)at / PAGE) & ((1ull << 55) - 1);
	uint64_t flags;
	int bit;

	if (!pfn) {
		printf("%s: no frame\n", what);
		return;
	}
	flags = word_of("/proc/kpageflags", pfn) & ~(uint64_t)OF_RECLAIM;
	printf("%s: mapped %d times, bits", what, (int)word_of("/proc/kpagecount", pfn));
	for (bit = 0; bit < 64; bit++)
		if (flags >> bit & 1)
			printf(" %d", bit);
	printf("\n");
	fflush(stdout);
}

static volatile char *map(int flags, int fd)
{
	return mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
}

/* Pages join the lists in batches; advice begins by emptying them. */
static void settle_lists(volatile char *other) { madvise((void *)other, PAGE, MADV_COLD); }

int main(void)
{
	int fd = (int)syscall(SYS_memfd_create, "f", 0);
	volatile char *own = map(MAP_PRIVATE | MAP_ANONYMOUS, -1), *file;

	(void)*own;
	show("the zero page", (void *)own);
	own[PAGE] = own[2 * PAGE] = own[3 * PAGE] = 1;
	settle_lists(own + 3 * PAGE);
	show("a page of one's own", (void *)(own + PAGE));
	mlock((void *)(own + PAGE), PAGE);
	show("locked", (void *)(own + PAGE));
	if (!fork()) {
		show("shared by a fork", (void *)(own + 2 * PAGE));
		own[2 * PAGE] = 2;
		settle_lists(own + 3 * PAGE);
		show("the child's copy", (void *)(own + 2 * PAGE));
		_exit(0);
	}
	wait(NULL);
	show("the parent's, then", (void *)(own + 2 * PAGE));
	if (ftruncate(fd, 4 * PAGE))
		return 1;
	file = map(MAP_SHARED, fd);
	(void)*file;
	settle_lists(own + 3 * PAGE);
	show("a memfd's, read", (void *)file);
	file[PAGE] = 1;
	settle_lists(own + 3 * PAGE);
	show("stored to", (void *)(file + PAGE));
	return 0;
}
