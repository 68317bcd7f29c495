/*
 * What a read of a file mapping brings with it, and which pages count as used, told by smaps, pagemap and the count of faults:
 * windows and their bounds, holes, guards, locks, populate, fork, mremap, holes punched, segments,
 * files of a directory that is given (none: only what lies in memory).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096UL
#define HERE ((char *)0x10000000000UL)
#define RW (PROT_READ | PROT_WRITE)
enum { POPULATE_READ = 22, POPULATE_WRITE = 23, GUARD_INSTALL = 102 };
static sigjmp_buf escape;
static char smaps[1 << 16];

static long faults(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return u.ru_minflt;
}

static void read_smaps(void)
{
	int fd = open("/proc/self/smaps", O_RDONLY);
	ssize_t n, total = 0;
	while ((n = read(fd, smaps + total, sizeof(smaps) - 1 - total)) > 0)
		total += n;
	close(fd);
	smaps[total] = 0;
}

static long field(const char *name, char *vma)
{
	char key[64];
	snprintf(key, sizeof(key), "%lx-", (unsigned long)vma);
	char *at = strstr(smaps, key);
	snprintf(key, sizeof(key), "\n%s:", name);
	at = at ? strstr(at, key) : NULL;
	return at ? atol(at + strlen(key)) / 4 : -1;
}

static void on_signal(int signo) { siglongjmp(escape, signo); }

static void tell(const char *name, char *vma, long took, int how)
{
	uint64_t word;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	read_smaps();
	printf("%-24s %2ld faults, rss %ld ref %ld lck %ld dirty %ld+%ld, %d |", name, took,
	       field("Rss", vma), field("Referenced", vma), field("Locked", vma),
	       field("Shared_Dirty", vma), field("Private_Dirty", vma), how);
	for (int i = 0; i < 48; i++) {
		pread(fd, &word, 8, ((uintptr_t)vma / P + i) * 8);
		putchar(word >> 63 ? '#' : word >> 62 & 1 ? 's' : '.');
	}
	printf("|\n");
	close(fd);
}

enum access { LOAD, STORE };

static void touch(const char *name, char *vma, long page, enum access access)
{
	volatile char *at = vma + page * P;
	long before = faults();
	int signo = sigsetjmp(escape, 1);
	if (!signo && access == STORE)
		*at = 1;
	else if (!signo)
		(void)*at;
	tell(name, vma, signo ? 0 : faults() - before, signo); /* the handler may fault, too */
}

static int memory(int pages, const char *holes)
{
	int fd = memfd_create("m", 0);
	ftruncate(fd, pages * P);
	for (int i = 0; i < pages; i++)
		if (!holes || holes[i] != '.')
			pwrite(fd, "x", 1, i * P);
	return fd;
}

static char *map(int fd, char *at, long pages, int prot, int flags, long pgoff)
{
	char *p = mmap(at, pages * P, prot, flags | MAP_FIXED, fd, pgoff * P);
	if (p == MAP_FAILED)
		printf("mmap: %s\n", strerror(errno));
	return p;
}

static void kinds(void)
{
	int fd = memory(40, NULL);
	char *p = map(fd, HERE, 40, PROT_READ, MAP_SHARED, 0);
	touch("shared, read", p, 5, LOAD);
	touch("read again", p, 6, LOAD);
	touch("second window", p, 31, LOAD);
	touch("last window", p, 32, LOAD);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, RW, MAP_SHARED, 0);
	touch("shared, store", p, 5, STORE);
	touch("read beside", p, 6, LOAD);
	touch("store near", p, 7, STORE);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, RW, MAP_PRIVATE, 0);
	touch("private, store", p, 5, STORE);
	touch("read beside", p, 6, LOAD);
	touch("store near", p, 7, STORE);
	touch("last", p, 39, LOAD);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, PROT_NONE, MAP_SHARED, 0);
	touch("none", p, 5, LOAD);
	mprotect(p, 40 * P, PROT_READ);
	touch("made readable", p, 5, LOAD);
	mprotect(p, 40 * P, PROT_NONE);
	touch("and none again", p, 5, LOAD);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0);
	touch("executable", p, 20, LOAD);
	munmap(p, 40 * P);
	p = map(-1, HERE, 40, RW, MAP_SHARED | MAP_ANONYMOUS, 0);
	touch("anonymous", p, 5, LOAD);
	touch("next", p, 6, LOAD);
	touch("store", p, 9, STORE);
	madvise(p, 40 * P, MADV_DONTNEED);
	touch("after DONTNEED", p, 5, LOAD);
	munmap(p, 40 * P);
	close(fd);
}

static void windows(void)
{
	int fd = memory(48, NULL);
	char *p = map(fd, HERE + 3 * P, 20, PROT_READ, MAP_SHARED, 3);
	touch("begins in a window", p, 1, LOAD);
	touch("the next", p, 19, LOAD);
	munmap(p, 20 * P);
	p = map(fd, HERE + 3 * P, 40, PROT_READ, MAP_SHARED, 1);
	touch("another phase", p, 14, LOAD);
	touch("far", p, 30, LOAD);
	munmap(p, 40 * P);
	p = map(fd, HERE + 505 * P, 20, PROT_READ, MAP_SHARED, 1);
	touch("ends at a table's end", p, 2, LOAD);
	touch("begins with a table", p, 8, LOAD);
	munmap(p, 20 * P);
	p = map(fd, HERE, 8, PROT_READ, MAP_SHARED, 40);
	touch("short", p, 3, LOAD);
	munmap(p, 8 * P);
	p = map(fd, HERE, 40, PROT_READ, MAP_SHARED, 40);
	touch("beyond the end, near", p, 9, LOAD);
	touch("beyond the end, far", p, 20, LOAD);
	munmap(p, 40 * P);
	ftruncate(fd, 43 * P + 100);
	p = map(fd, HERE, 40, PROT_READ, MAP_SHARED, 40);
	touch("a cut file", p, 0, LOAD);
	munmap(p, 40 * P);
	close(fd);
}

static void holes(void)
{
	int fd = memory(32, "x.xx..xxxxxxxxxx................");
	char *p = map(fd, HERE, 32, PROT_READ, MAP_SHARED, 0);
	touch("holes stay", p, 2, LOAD);
	touch("a hole is filled", p, 1, LOAD);
	touch("all holes", p, 20, LOAD);
	munmap(p, 32 * P);
	p = map(fd, HERE, 32, PROT_READ, MAP_SHARED, 0);
	touch("a hole, and the rest", p, 4, LOAD);
	munmap(p, 32 * P);
	close(fd);
	fd = memory(40, NULL);
	p = map(fd, HERE, 40, PROT_READ, MAP_SHARED, 0);
	touch("before the hole", p, 5, LOAD);
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * P, 6 * P);
	tell("the hole", p, 0, 0);
	touch("read beside it", p, 20, LOAD);
	touch("read in it", p, 4, LOAD);
	munmap(p, 40 * P);
	close(fd);
}

static void locks(void)
{
	int fd = memory(40, NULL);
	char *p = map(fd, HERE, 40, PROT_READ, MAP_SHARED, 0);
	tell("mlock2 on fault", p, 0, syscall(SYS_mlock2, p, 8 * P, MLOCK_ONFAULT));
	tell("the rest", p + 8 * P, 0, 0);
	touch("a read of it", p, 7, LOAD);
	munlock(p, 40 * P);
	tell("munlock", p, 0, 0);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, PROT_READ, MAP_SHARED, 0);
	long before = faults();
	int err = mlock(p + 2 * P, 10 * P);
	long took = faults() - before;
	tell("mlock: before it", p, took, err);
	tell("mlock", p + 2 * P, took, err);
	tell("mlock: behind it", p + 12 * P, took, err);
	munmap(p, 40 * P);
	close(fd);
}

static void advise(const char *name, char *vma, long pages, int advice)
{
	long before = faults();
	int err = madvise(vma, pages * P, advice);
	tell(name, vma, faults() - before, err);
}

static void advices(void)
{
	int fd = memory(40, NULL);
	long before = faults();
	char *p = map(fd, HERE, 40, PROT_READ, MAP_SHARED | MAP_POPULATE, 0);
	tell("populate", p, faults() - before, 0);
	advise("populate read", p, 40, POPULATE_READ);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, RW, MAP_PRIVATE, 0);
	advise("private, populate read", p, 4, POPULATE_READ);
	advise("private, populate write", p, 4, POPULATE_WRITE);
	advise("and again", p, 4, POPULATE_WRITE);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, PROT_READ, MAP_SHARED, 0);
	madvise(p, 40 * P, MADV_RANDOM);
	touch("random", p, 5, LOAD);
	madvise(p + 3 * P, 2 * P, GUARD_INSTALL);
	madvise(p + 20 * P, 2 * P, GUARD_INSTALL);
	touch("beside guards", p, 2, LOAD);
	touch("round guards", p, 23, LOAD);
	touch("a guard", p, 20, LOAD);
	munmap(p, 40 * P);
	close(fd);
}

static void in_child(char *p) /* where a page is private, all its ptes are copied */
{
	fflush(stdout);
	if (fork() == 0) {
		tell("child", p, 0, 0);
		touch("child reads", p, 20, LOAD);
		touch("child stores", p, 3, STORE);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void forks(void)
{
	int fd = memory(40, NULL);
	char *p = map(fd, HERE, 40, RW, MAP_SHARED, 0);
	touch("before fork", p, 5, LOAD);
	in_child(p);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, RW, MAP_PRIVATE, 0);
	touch("private, before fork", p, 5, LOAD);
	in_child(p);
	munmap(p, 40 * P);
	close(fd);
}

/* Linux moves pages between its lists in batches: now. */
static void drain(void)
{
	char here;
	madvise((char *)((uintptr_t)&here & -P), P, MADV_COLD);
}

/* Without swap: what was stored leaves the mapping, what was only read leaves memory, too. */
static void paging_out(void)
{
	unsigned char there[16];
	int fd = memory(16, "xxxxxxxx........");
	char *p = map(fd, HERE, 16, RW, MAP_SHARED, 0);
	touch("store in a hole", p, 9, STORE);
	touch("read of a hole", p, 12, LOAD);
	advise("pageout", p, 16, MADV_PAGEOUT);
	mincore(p, 16 * P, there);
	for (int i = 0; i < 16; i++)
		putchar('0' + (there[i] & 1));
	printf("\n");
	touch("read again", p, 3, LOAD);
	char *q = map(fd, HERE + 64 * P, 16, PROT_READ, MAP_SHARED, 0);
	touch("mapped twice", q, 5, LOAD);
	advise("pageout", p, 16, MADV_PAGEOUT);
	advise("cold", p, 16, MADV_COLD);
	munmap(q, 16 * P);
	advise("cold, alone", p, 16, MADV_COLD);
	munmap(p, 16 * P);
	p = map(-1, HERE, 16, RW, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	touch("anonymous", p, 3, STORE);
	advise("pageout", p, 16, MADV_PAGEOUT);
	advise("free", p, 16, MADV_FREE);
	drain();
	advise("populate write", p, 4, POPULATE_WRITE);
	advise("cold", p, 16, MADV_COLD);
	advise("populate read", p, 4, POPULATE_READ);
	munmap(p, 16 * P);
	close(fd);
}

/* A page that was used keeps that when a mapping goes: see the child's, whose ptes are new. */
static void uses(void)
{
	static const int advices[] = { MADV_NORMAL, MADV_SEQUENTIAL, MADV_RANDOM };
	char b;
	for (int i = 0; i < 3; i++) {
		int fd = memory(16, NULL);
		char *p = map(fd, HERE, 16, RW, MAP_SHARED, 0);
		pread(fd, &b, 1, 2 * P); /* a second use; the first was the write */
		pread(fd, &b, 1, 3 * P + 1);
		madvise(p, 16 * P, advices[i]);
		touch("used", p, 5, LOAD);
		munmap(p, 8 * P);
		drain();
		p = map(fd, HERE, 16, RW, MAP_PRIVATE, 0);
		touch("a private copy", p, 5, STORE);
		touch("and a read", p, 6, LOAD);
		advise("cold", p, 4, MADV_COLD);
		in_child(p);
		munmap(p, 16 * P);
		close(fd);
	}
}

static void moves(void)
{
	int fd = memory(40, NULL);
	char *p = map(fd, HERE, 40, PROT_READ, MAP_SHARED, 0);
	touch("before mremap", p, 5, LOAD);
	char *q = mremap(p + 8 * P, 20 * P, 20 * P, MREMAP_MAYMOVE | MREMAP_FIXED, HERE + 1029 * P);
	tell("moved", q, 0, 0);
	touch("read of the moved", q, 9, LOAD);
	munmap(q, 20 * P);
	tell("left", p, 0, 0);
	munmap(p, 40 * P);
	close(fd);
}

static void segments(void)
{
	int id = shmget(IPC_PRIVATE, 40 * P, 0600);
	char *p = shmat(id, HERE, 0);
	for (int i = 0; i < 40; i++)
		p[i * P] = 1;
	shmdt(p);
	p = shmat(id, HERE, 0);
	touch("segment, read", p, 5, LOAD);
	touch("segment, next", p, 6, LOAD);
	shmctl(id, IPC_RMID, NULL);
	shmdt(p);
}

static void kernel_accesses(void)
{
	char b;
	int fd = memory(40, NULL), ends[2];
	char *p = map(fd, HERE, 40, PROT_READ, MAP_SHARED, 0);
	pipe(ends);
	long before = faults();
	write(ends[1], p + 9 * P, 1);
	tell("read by the kernel", p, faults() - before, 0);
	read(ends[0], &b, 1);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, RW, MAP_SHARED, 0);
	write(ends[1], "x", 1);
	before = faults();
	read(ends[0], p + 9 * P, 1);
	tell("stored by the kernel", p, faults() - before, 0);
	munmap(p, 40 * P);
	close(fd);
}

static void on_disk(const char *folder)
{
	char name[256];
	snprintf(name, sizeof(name), "%s/fault-around-XXXXXX", folder);
	int fd = mkstemp(name);
	unlink(name);
	for (int i = 0; i < 40; i++)
		pwrite(fd, "x", 1, i * P);
	char *p = map(fd, HERE, 40, PROT_READ, MAP_SHARED, 0);
	touch("disk, shared, read", p, 5, LOAD);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, RW, MAP_SHARED, 0);
	touch("disk, writable, read", p, 5, LOAD);
	touch("disk, store to it", p, 5, STORE);
	touch("disk, store near", p, 7, STORE);
	munmap(p, 40 * P);
	p = map(fd, HERE, 40, RW, MAP_PRIVATE, 0);
	touch("disk, private, read", p, 39, LOAD);
	touch("disk, private, store", p, 39, STORE);
	munmap(p, 40 * P);
	close(fd);
}

int main(int argc, char **argv)
{
	static char buffer[1 << 16];
	volatile char stack[1 << 15];
	struct sigaction a = { .sa_handler = on_signal };
	sigaction(SIGSEGV, &a, NULL);
	sigaction(SIGBUS, &a, NULL);
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	memset(buffer, 1, sizeof(buffer)); /* so that no fault of the program's own is counted */
	memset(smaps, 1, sizeof(smaps));
	memset((char *)stack, 1, sizeof(stack));
	if (!sigsetjmp(escape, 1))
		(void)*(volatile char *)8;
	kinds();
	windows();
	holes();
	locks();
	advices();
	forks();
	paging_out();
	uses();
	moves();
	segments();
	kernel_accesses();
	if (argc > 1)
		on_disk(argv[1]);
	return 0;
}
