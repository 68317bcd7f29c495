/* RLIMIT_FSIZE in every call that makes a file larger; what cannot be mapped, and to execute. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define P 4096L
static volatile int signals;
static int fd, source, ends[2];
static char bytes[3 * 4096];

static void on_signal(int signo) { signals++; }

static void say(const char *name, long result)
{
	int error = result < 0 ? errno : 0;
	struct stat st;
	fstat(fd, &st);
	printf("%s: %ld errno %d, signals %d, size %ld\n", name, result, error, signals,
	       (long)st.st_size);
	signals = 0;
}

static void afresh(void)
{
	ftruncate(fd, 0);
	lseek(fd, 0, SEEK_SET);
	lseek(source, 0, SEEK_SET);
}

static void writes(void)
{
	struct iovec parts[2] = { { bytes, P }, { bytes, 2 * P } };
	say("write", write(fd, bytes, 100));
	say("write across", pwrite(fd, bytes, 2 * P, P));
	say("write at", pwrite(fd, bytes, 10, 2 * P));
	say("write nothing at", pwrite(fd, bytes, 0, 2 * P));
	say("write far", pwrite(fd, bytes, 10, 9 * P));
	afresh();
	say("pwritev across", pwritev(fd, parts, 2, 0));
	say("pwritev at", pwritev(fd, parts, 2, 2 * P));
	afresh();
	fcntl(fd, F_SETFL, O_APPEND);
	write(fd, bytes, 2 * P - 10);
	say("append across", write(fd, bytes, 100));
	say("append at", write(fd, bytes, 100));
	fcntl(fd, F_SETFL, 0);
}

static void sizes(void)
{
	afresh();
	say("truncate to", ftruncate(fd, 2 * P));
	say("truncate beyond", ftruncate(fd, 2 * P + 1));
	say("truncate down", ftruncate(fd, P));
	afresh();
	say("fallocate to", fallocate(fd, 0, 0, 2 * P));
	say("fallocate beyond", fallocate(fd, 0, P, 2 * P));
	say("fallocate, size kept", fallocate(fd, FALLOC_FL_KEEP_SIZE, P, 2 * P));
	say("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, P, 4 * P));
	afresh();
	ftruncate(fd, 1);
	char *p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	p[P - 1] = 1;
	say("store behind the end", 0);
}

static void copies(void)
{
	loff_t from = 0, to = 0;
	afresh();
	say("sendfile across", sendfile(fd, source, NULL, 3 * P));
	say("sendfile at", sendfile(fd, source, NULL, 10));
	afresh();
	say("sendfile of just enough", sendfile(fd, source, NULL, 2 * P));
	afresh();
	say("copy across", copy_file_range(source, &from, fd, &to, 3 * P, 0));
	from = 0, to = 2 * P;
	say("copy at", copy_file_range(source, &from, fd, &to, P, 0));
	from = 0, to = 5 * P;
	say("copy far", copy_file_range(source, &from, fd, &to, P, 0));
	afresh();
	write(ends[1], bytes, 3 * P);
	to = 0;
	say("splice across", splice(ends[0], NULL, fd, &to, 3 * P, 0));
	to = 2 * P;
	say("splice at", splice(ends[0], NULL, fd, &to, P, 0));
	to = 7 * P;
	say("splice far", splice(ends[0], NULL, fd, &to, P, 0));
	int other = open("/dev/shm/" UNIQUE "-limits", O_RDWR | O_CREAT, 0600);
	from = to = 0;
	say("copy to another file system", copy_file_range(source, &from, other, &to, P, 0));
	unlink("/dev/shm/" UNIQUE "-limits");
}

static void map(const char *name, int file)
{
	for (int prot = PROT_READ; prot <= (PROT_READ | PROT_EXEC); prot += PROT_EXEC)
		for (int flags = MAP_SHARED; flags <= MAP_PRIVATE; flags++) {
			errno = 0;
			mmap(NULL, P, prot, flags, file, 0);
			printf("%s, prot %d, flags %d: errno %d\n", name, prot, flags, errno);
		}
}

static void maps(void)
{
	int pair[2];
	sigset_t none;
	sigemptyset(&none);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	map("pipe", ends[0]);
	map("its other end", ends[1]);
	map("socket", pair[0]);
	map("eventfd", eventfd(0, 0));
	map("epoll", epoll_create1(0));
	map("timerfd", timerfd_create(CLOCK_MONOTONIC, 0));
	map("signalfd", signalfd(-1, &none, 0));
	map("pidfd", syscall(434, getpid(), 0));
	map("file of /proc", open("/proc/self/maps", O_RDONLY));
	map("sysctl", open("/proc/sys/vm/swappiness", O_RDONLY));
	map("directory of /proc", open("/proc", O_RDONLY));
	map("file of /sys", open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY));
	map("directory of /sys", open("/sys", O_RDONLY));
	mkfifo("/dev/shm/" UNIQUE "-fifo", 0600);
	map("FIFO", open("/dev/shm/" UNIQUE "-fifo", O_RDWR));
	unlink("/dev/shm/" UNIQUE "-fifo");
	map("/dev/null", open("/dev/null", O_RDWR));
	map("/dev/zero", open("/dev/zero", O_RDWR));
	map("directory", open("/", O_RDONLY));
	map("path", open("/", O_PATH));
	errno = 0;
	mmap(NULL, 2 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_GROWSDOWN,
	     -1, 0);
	printf("large pages that grow: errno %d\n", errno);
}

/* A soft limit of 0 is one for brk alone. */
static void data_segment(void)
{
	struct rlimit limit = { 0, RLIM_INFINITY };
	long top = syscall(SYS_brk, 0);
	setrlimit(RLIMIT_DATA, &limit);
	void *area = mmap(0, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("without data: mapped %d, brk %d, ", area != MAP_FAILED,
	       syscall(SYS_brk, top + P) == top);
	limit.rlim_cur = limit.rlim_max = P;
	setrlimit(RLIMIT_DATA, &limit);
	area = mmap(0, 2 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("with one page: %d\n", area != MAP_FAILED);
}

int main(void)
{
	struct rlimit limit = { 2 * P, RLIM_INFINITY };
	static char buffer[1 << 15];
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	signal(SIGXFSZ, on_signal);
	source = memfd_create("source", 0);
	write(source, bytes, 3 * P);
	fd = memfd_create("target", 0);
	pipe(ends);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	setrlimit(RLIMIT_FSIZE, &limit);
	writes();
	sizes();
	copies();
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	maps();
	data_segment();
	return 0;
}
