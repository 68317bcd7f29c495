// What is charged and counted: committed memory, processor time, resident memory of children,
// pagemap's exclusive pages, VMAs after a fork, and madvise with as many VMAs as may be.
// needs: block_ns=1000
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define MB (1ul << 20)
#define RW (PROT_READ | PROT_WRITE)

static long committed(void)
{
	char line[200];
	long kb = 0;
	FILE *f = fopen("/proc/meminfo", "r");
	while (fgets(line, sizeof(line), f))
		sscanf(line, "Committed_AS: %ld", &kb);
	fclose(f);
	return kb >> 10;
}

static void commits(const char *what, long before)
{
	long now = committed() - before;
	printf("%s: %s\n", what, now > 150 ? "twice" : now > 50 ? "all" : "nothing");
}

static void commit(void)
{
	long before = committed();
	char *p = mmap(0, 100 * MB, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	commits("shared anonymous", before);
	munmap(p, 100 * MB);
	p = mmap(0, 100 * MB, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	commits("without a promise", before);
	memset(p, 1, 100 * MB);
	commits("written", before);
	madvise(p, 100 * MB, MADV_REMOVE);
	commits("removed", before);
	munmap(p, 100 * MB);
	int id = shmget(IPC_PRIVATE, 100 * MB, 0600);
	commits("a segment", before);
	shmctl(id, IPC_RMID, 0);
	commits("no segment", before);
	int fd = memfd_create("x", 0);
	ftruncate(fd, 100 * MB);
	commits("a memfd", before);
	posix_fallocate(fd, 0, 100 * MB);
	commits("with its pages", before);
	close(fd);
	commits("closed", before);
}

static void processor_time(void)
{
	int status;
	if (!fork()) {
		struct rlimit limit = { 1, 2 };
		struct timespec t;
		setrlimit(RLIMIT_CPU, &limit);
		signal(SIGXCPU, SIG_IGN);
		do {
			for (volatile int i = 0; i < 1000000; i++)
				;
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
		} while (t.tv_sec < 4);
		_exit(7);
	}
	wait(&status);
	printf("hard limit: signal %d\n", WTERMSIG(status));
}

static char *volatile touched; /* so that no compiler leaves out what is written there */

static void children(void)
{
	struct rusage its, all;
	if (!fork()) {
		memset(touched = malloc(8 * MB), 1, 8 * MB);
		_exit(0);
	}
	wait4(-1, 0, 0, &its);
	getrusage(RUSAGE_CHILDREN, &all);
	printf("maxrss over 8M %d %d, faults %d\n", its.ru_maxrss > 8191, all.ru_maxrss > 8191,
	       all.ru_minflt >= its.ru_minflt && its.ru_minflt > 100);
}

static unsigned top(void *at)
{
	uint64_t word;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	pread(fd, &word, 8, (uintptr_t)at / PAGE * 8);
	close(fd);
	return (unsigned)(word >> 48);
}

static void pagemap(void)
{
	int fd = memfd_create("m", 0), gate[2];
	char c;
	ftruncate(fd, PAGE);
	char *a = mmap(0, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *s = mmap(0, PAGE, RW, MAP_SHARED, fd, 0);
	*a = *s = 1;
	c = *(volatile char *)(a + PAGE);
	printf("own %x zero page %x of a memfd %x\n", top(a), top(a + PAGE), top(s));
	pipe(gate);
	if (!fork()) {
		close(gate[1]);
		_exit(read(gate[0], &c, 1) > 1);
	}
	printf("with a child: own %x of a memfd %x\n", top(a), top(s));
	close(gate[1]);
	wait(0);
	char *t = mmap(0, PAGE, RW, MAP_PRIVATE, fd, 0);
	c = *(volatile char *)t;
	printf("two views %x %x\n", top(s), top(t));
}

static void vmas(void)
{
	char line[200];
	unsigned long low, high;
	char *hole = mmap(0, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = mmap(hole + 16 * PAGE, 3 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			0);
	memset(at, 1, 3 * PAGE);
	fflush(stdout);
	if (!fork()) {
		char *next = at + 3 * PAGE;
		mmap(next, 3 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		memset(next, 2, 3 * PAGE);
		mprotect(at, PAGE, PROT_READ);
		mprotect(at, PAGE, RW);
		FILE *f = fopen("/proc/self/maps", "r");
		while (fgets(line, sizeof(line), f))
			if (sscanf(line, "%lx-%lx", &low, &high) == 2 && (char *)low >= at &&
			    (char *)high <= at + 6 * PAGE)
				printf("a VMA of %lu pages\n", (high - low) / PAGE);
		exit(0);
	}
	wait(0);
	unsigned nr = 0;
	char *p = mmap(0, 200000 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	while (!madvise(p + 2 * nr * PAGE, PAGE, MADV_DONTFORK))
		nr++;
	printf("madvise: %s; mprotect: %s\n", nr > 1000 ? strerrorname_np(errno) : "?",
	       mprotect(p + 2 * nr * PAGE, PAGE, PROT_READ) ? strerrorname_np(errno) : "ok");
	munmap(p, 200000 * PAGE);
}

int main(void)
{
	commit();
	fflush(stdout);
	processor_time();
	children();
	pagemap();
	vmas();
	return 0;
}
