/* Memory of pages of 1 GiB, of which there are none: what mappings without a promise can do. */
#define _GNU_SOURCE
#include "../results.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define KIB4 4096L
#define MIB1 (1L << 20)
#define MIB2 (2L << 20)
#define GIB1 (1L << 30)
#define OF_GIB1 (MAP_HUGETLB | 30 << 26)
#define OWN (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)
#define PLACE ((char *)(1L << 40))
#define ELSEWHERE ((char *)(2L << 40))

static sigjmp_buf back;
static siginfo_t told;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	told = *info;
	siglongjmp(back, 1);
}

/* 0, or the signal and its code. */
static long loaded(const volatile char *at)
{
	if (sigsetjmp(back, 1))
		return told.si_signo * 100 + told.si_code;
	(void)*at;
	return 0;
}

static long stored(volatile char *at)
{
	if (sigsetjmp(back, 1))
		return told.si_signo * 100 + told.si_code;
	*at = 1;
	return 0;
}

static long placed(const void *at) { return at == MAP_FAILED ? -errno : (long)at % GIB1; }
static char *map(long len, int prot, int flags, int fd) { return mmap(0, len, prot, flags, fd, 0); }

/* What smaps has of the mapping at a place, but for its name and its device. */
static void show(const char *at)
{
	char line[300], number[40], start[40];
	FILE *f = fopen("/proc/self/smaps", "r");
	int here = 0, kb;
	snprintf(start, sizeof start, "%lx-", (long)at);
	while (fgets(line, sizeof line, f)) {
		if (!strncmp(line, start, strlen(start))) {
			here = 1;
			printf("%.6s %.8s\n", strchr(line, ' '), strrchr(line, ' ') + 1);
		} else if (here && sscanf(line, "%39s %d", number, &kb) == 2 && kb) {
			printf("%s %d\n", number, kb);
		} else if (here && !strncmp(line, "VmFlags", 7)) {
			fputs(line, stdout);
			break;
		}
	}
	fclose(f);
}

static void use(const char *name, int prot, int flags, int fd)
{
	struct stat st = { 0 };
	unsigned char resident;
	char *at = map(MIB1, prot, flags, fd);
	P(name, placed(at));
	if (at == MAP_FAILED)
		return;
	fstat(fd, &st);
	P("size, touched", st.st_size, loaded(at), stored(at + KIB4));
	show(at);
	P("mprotect", result(mprotect(at, KIB4, PROT_READ)), result(mprotect(at, MIB2, PROT_READ)),
	  result(mprotect(at, GIB1, PROT_READ)));
	P("dontneed", result(madvise(at, KIB4, MADV_DONTNEED)),
	  result(madvise(at, GIB1, MADV_DONTNEED)),
	  result(madvise(at + MIB2, MIB2, MADV_DONTNEED)));
	P("advice", result(madvise(at, MIB2, MADV_REMOVE)),
	  result(madvise(at, MIB2, MADV_DONTFORK)), result(madvise(at, GIB1, MADV_DONTFORK)),
	  result(madvise(at, GIB1, MADV_DOFORK)),
	  result(madvise(at, GIB1, 22 /* MADV_POPULATE_READ */)),
	  result(madvise(at, GIB1, MADV_FREE)));
	P("msync, mlock, mincore", result(msync(at, KIB4, MS_SYNC)), result(mlock(at, KIB4)),
	  result(mincore(at, KIB4, &resident)));
	P("mremap", placed(mremap(at, GIB1, 2 * GIB1, MREMAP_MAYMOVE)),
	  placed(mremap(at, GIB1, GIB1 / 2, MREMAP_MAYMOVE)),
	  placed(mremap(at, MIB2, MIB2, MREMAP_MAYMOVE)));
	if (!fork()) {
		P("child", loaded(at));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	P("munmap", result(munmap(at, KIB4)), result(munmap(at, MIB2)),
	  result(munmap(at + MIB2, MIB2)));
	P("over it", placed(mmap(at, MIB2, PROT_READ, OWN | MAP_FIXED, -1, 0)),
	  placed(mmap(at + KIB4, GIB1, PROT_READ, flags | MAP_FIXED, fd, 0)));
	P("munmap", result(munmap(at, GIB1)));
}

static void segments(void)
{
	int flags = IPC_CREAT | 0600 | SHM_HUGETLB | 30 << 26;
	P("promised", result(shmget(IPC_PRIVATE, MIB1, flags)));
	int id = shmget(IPC_PRIVATE, MIB1, flags | SHM_NORESERVE);
	struct shmid_ds of;
	if (id < 0) {
		say("segment", id); /* who may not have large pages */
		return;
	}
	shmctl(id, IPC_STAT, &of);
	char *at = shmat(id, NULL, 0);
	P("segment", of.shm_segsz, placed(at), stored(at), result(shmdt(at)));
	shmctl(id, IPC_RMID, NULL);
}

/* What a refused one has replaced is gone. */
static void replaced(int flags, int fd)
{
	char *at = mmap(PLACE, GIB1, RW, OWN | MAP_FIXED | MAP_NORESERVE, -1, 0);
	P("replaced", stored(at), placed(mmap(at, MIB1, RW, flags | MAP_FIXED, fd, 0)), stored(at));
}

static void places(int fd)
{
	int none = MAP_SHARED | MAP_NORESERVE;
	P("misaligned", placed(mmap(PLACE + MIB2, MIB1, RW, none | MAP_FIXED, fd, 0)));
	P("offsets", placed(mmap(0, MIB1, RW, none, fd, MIB2)),
	  placed(mmap(0, MIB1, RW, none, fd, GIB1)),
	  placed(mmap(0, MIB1, RW, MAP_SHARED, fd, MIB2)));
	int usual = memfd_create("usual", MFD_HUGETLB | 21 << 26), plain = memfd_create("plain", 0);
	char *at = map(MIB1, RW, none | OF_GIB1, usual);
	P("of another size", placed(at) % MIB2, result(munmap(at, MIB2)));
	P("of small pages", placed(map(MIB1, RW, none | OF_GIB1, plain)));
	P("of no size", placed(map(MIB1, RW, OWN | MAP_HUGETLB | MAP_NORESERVE | 25 << 26, -1)),
	  placed(map(0, RW, OWN | OF_GIB1, -1)),
	  placed(map(MIB1, RW, MAP_ANONYMOUS | OF_GIB1, -1)));
	at = map(MIB1, RW, OWN | MAP_NORESERVE | OF_GIB1, -1);
	char *to = ELSEWHERE;
	P("moved", placed(mremap(at, GIB1, GIB1, MREMAP_MAYMOVE | MREMAP_FIXED, to)), stored(to),
	  placed(mremap(to, GIB1, GIB1, MREMAP_MAYMOVE | MREMAP_FIXED, to + GIB1 + MIB2)));
	P("locked", result(mlock(to, GIB1)), result(munlock(to, GIB1)));
	P("filled", placed(map(MIB1, RW, OWN | MAP_NORESERVE | MAP_POPULATE | OF_GIB1, -1)));
	at = map(1L << 46, RW, OWN | MAP_NORESERVE | OF_GIB1, -1);
	P("great", placed(at), result(munmap(at, 1L << 46)));
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	int fd = memfd_create("large", MFD_HUGETLB | 30 << 26);
	use("promised", RW, MAP_PRIVATE, fd);
	use("promised", RW, MAP_SHARED, fd);
	use("promised", RW, OWN | OF_GIB1, -1);
	use("to read", PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd);
	use("private", RW, MAP_PRIVATE | MAP_NORESERVE, fd);
	use("shared", RW, MAP_SHARED | MAP_NORESERVE, fd);
	use("own", RW, OWN | MAP_NORESERVE | OF_GIB1, -1);
	use("own, shared", RW, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | OF_GIB1, -1);
	P("truncated", result(ftruncate(fd, 0)), result(ftruncate(fd, MIB2)));
	use("again", RW, MAP_SHARED | MAP_NORESERVE, fd);
	P("allocated", result(fallocate(fd, 0, 0, GIB1)));
	segments();
	replaced(OWN | OF_GIB1, -1);
	replaced(MAP_SHARED, fd);
	places(fd);
	return 0;
}
