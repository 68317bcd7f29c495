/* Memory of large pages by Linux's calls alone; the pool has four of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <unistd.h>

#define HUGE (2ul << 20)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB)

static sigjmp_buf back;

static void on_bus(int signo, siginfo_t *info, void *context) { siglongjmp(back, info->si_code); }

static char *map(size_t nbytes, int flags)
{
	char *p = mmap(0, nbytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	return p == MAP_FAILED ? 0 : p;
}

/* Print a call's result, with its error number if it failed. */
static void say(const char *call, long result)
{
	printf("%s: %ld", call, result);
	printf(result < 0 ? ", error %d\n" : "\n", errno);
}

/* Print what /proc/meminfo says of the pool. */
static void pool(const char *when)
{
	char line[128];
	long total = -1, free = -1, promised = -1;
	FILE *f = fopen("/proc/meminfo", "r");
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "HugePages_Total: %ld", &total);
		sscanf(line, "HugePages_Free: %ld", &free);
		sscanf(line, "HugePages_Rsvd: %ld", &promised);
	}
	fclose(f);
	printf("%s: %ld pages, %ld free, %ld promised\n", when, total, free, promised);
}

static void private(void)
{
	int status;
	char *p = map(2 * HUGE, ANONYMOUS);
	printf("aligned %d\n", p && (unsigned long)p % HUGE == 0);
	pool("mapped");
	memset(p, 7, HUGE + 1);
	pool("touched");
	say("too many", map(3 * HUGE, ANONYMOUS) ? 0 : -1);
	say("munmap of a part", munmap(p, 4096));
	say("mprotect of a part", mprotect(p, 4096, PROT_READ));
	fflush(stdout);
	if (!fork()) {
		p[5] = 9;
		pool("copied");
		fflush(stdout);
		_exit(p[5] + p[6]);
	}
	wait(&status);
	printf("child %d, here %d\n", WEXITSTATUS(status), p[5]);
	say("grow", mremap(p, 2 * HUGE, 3 * HUGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	munmap(p, 2 * HUGE);
	munmap(p + 2 * HUGE, HUGE);
}

static void unpromised(void)
{
	struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_NODEFER };
	char *p = map(5 * HUGE, ANONYMOUS | MAP_NORESERVE);
	volatile int done = 0;
	sigaction(SIGBUS, &action, 0);
	int code = sigsetjmp(back, 1);
	if (!code)
		for (; done < 5; done++)
			p[done * HUGE] = 1;
	printf("%d pages, then SIGBUS code %d\n", done, code);
	munmap(p, 5 * HUGE);
}

static void segment(void)
{
	int id = shmget(IPC_PRIVATE, HUGE, IPC_CREAT | SHM_HUGETLB | 0600);
	char *p = shmat(id, 0, 0);
	shmctl(id, IPC_RMID, 0);
	p[HUGE - 1] = 3;
	pool("segment");
	printf("segment %d %d\n", (unsigned long)p % HUGE == 0, p[HUGE - 1]);
	shmdt(p);
}

static void files(void)
{
	struct stat s;
	mkdir("/tmp/huge", 0700);
	say("mount", mount("none", "/tmp/huge", "hugetlbfs", 0, "pagesize=2M"));
	int f = open("/tmp/huge/a", O_RDWR | O_CREAT, 0600);
	say("ftruncate", ftruncate(f, 2 * HUGE));
	char *p = mmap(0, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	p[0] = 'a';
	p[HUGE] = 'b';
	fstat(f, &s);
	printf("%ld bytes in blocks of %ld\n", (long)s.st_size, (long)s.st_blksize);
	say("write", write(f, "x", 1));
	munmap(p, 2 * HUGE);
	close(f);
	say("unlink", unlink("/tmp/huge/a"));
	say("umount", umount("/tmp/huge"));
	printf("memfd %d\n", memfd_create("m", MFD_HUGETLB) >= 0);
}

int main(void)
{
	pool("start");
	private();
	pool("unmapped");
	unpromised();
	segment();
	files();
	pool("end");
	return 0;
}
