// Which of a memory file's times move by what is done to a mapping of it; reads of /proc move none.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define RW (PROT_READ | PROT_WRITE)
#define MOVED(a, b) ((a).tv_sec != (b).tv_sec || (a).tv_nsec != (b).tv_nsec)

static int fd;
static struct stat before;

static void show(const char *what)
{
	struct timespec nap = { 0, 20000000 };
	struct stat now;
	fstat(fd, &now);
	printf("%s:%s%s%s\n", what, MOVED(now.st_atim, before.st_atim) ? " atime" : "",
	       MOVED(now.st_mtim, before.st_mtim) ? " mtime" : "",
	       MOVED(now.st_ctim, before.st_ctim) ? " ctime" : "");
	before = now;
	nanosleep(&nap, 0);
}

/* What reads the content without the caller's memory. */
static void copies(const struct timespec *old)
{
	int ends[2], null = open("/dev/null", O_WRONLY);
	off_t from = 0, to = 4 * PAGE;
	pipe(ends);
	futimens(fd, old);
	fstat(fd, &before);
	splice(fd, &from, ends[1], 0, 10, 0);
	show("splice");
	futimens(fd, old);
	fstat(fd, &before);
	sendfile(null, fd, &from, 10);
	show("sendfile");
	futimens(fd, old);
	fstat(fd, &before);
	copy_file_range(fd, &from, fd, &to, 10, 0);
	show("copy_file_range");
	close(ends[0]);
	close(ends[1]);
	close(null);
}

static void run(void)
{
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	volatile char c;
	ftruncate(fd, 16 * PAGE);
	fstat(fd, &before);
	show("start");
	char *p = mmap(0, 16 * PAGE, RW, MAP_SHARED, fd, 0);
	show("mmap");
	c = p[0];
	show("load");
	p[0] = 1;
	show("store to a loaded page");
	p[PAGE] = 1;
	show("store to a new page");
	p[PAGE] = 2;
	show("store to it again");
	msync(p, 16 * PAGE, MS_SYNC);
	show("msync");
	p[PAGE] = 3;
	show("store after msync");
	futimens(fd, old);
	show("futimens");
	p[2 * PAGE] = 1;
	show("store after futimens");
	madvise(p, PAGE, MADV_DONTNEED);
	p[1] = 1;
	show("store after MADV_DONTNEED");
	madvise(p, 2 * PAGE, MADV_REMOVE);
	show("MADV_REMOVE");
	if (!fork()) {
		p[5 * PAGE] = 1;
		_exit(0);
	}
	wait(0);
	show("a child's store");
	munmap(p, 16 * PAGE);
	show("munmap");
	p = mmap(0, 16 * PAGE, RW, MAP_PRIVATE, fd, 0);
	fstat(fd, &before);
	p[0] = c;
	show("private store");
	munmap(p, 16 * PAGE);
	copies(old);
}

/* What the kernel makes when it is read. */
static void made(const char *path)
{
	struct timespec nap = { 0, 20000000 };
	char bytes[256];
	fd = open(path, O_RDONLY);
	fstat(fd, &before);
	nanosleep(&nap, 0);
	if (read(fd, bytes, sizeof(bytes)) < 0)
		getdents64(fd, bytes, sizeof(bytes));
	show(path);
	close(fd);
}

int main(void)
{
	fd = memfd_create("x", 0);
	run();
	fd = open("/dev/shm/file_times", O_CREAT | O_RDWR | O_TRUNC, 0600);
	unlink("/dev/shm/file_times");
	run();
	made("/proc/version");
	made("/proc/self/status");
	made("/proc/self/pagemap");
	made("/proc/sys/vm/swappiness");
	made("/proc/self");
	made("/proc/self/task");
	made("/sys/kernel/mm/transparent_hugepage/enabled");
	return 0;
}
