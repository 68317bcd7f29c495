/*
 * What every kind of descriptor answers to the calls that take any of them: fcntl's questions and
 * settings, the ioctls of all files, locks, sizes, attributes. A kind that has no such thing says so
 * with its own errno. Nothing is changed but files that are made here.
 */
#define _GNU_SOURCE
#include "../results.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { DUPFD_QUERY = 1027, CREATED_QUERY, GET_RW_HINT = 1035, SET_RW_HINT };
enum { FIBMAP_ = 1, FIGETBSZ_ = 2, LOCK_MAND_ = 32 };
#define FIEMAP 0xc020660bul

static const char *file;
static int sink; /* a regular file to copy to */

static void flags(int fd)
{
	say("O_DIRECT", fcntl(fd, F_SETFL, O_DIRECT | O_NONBLOCK));
	printf("    flags %o\n", fcntl(fd, F_GETFL) & (O_DIRECT | O_APPEND));
	say("O_NOATIME", fcntl(fd, F_SETFL, O_NOATIME | O_NONBLOCK));
	say("the same file as itself", fcntl(fd, DUPFD_QUERY, fd));
	say("the same file as another", fcntl(fd, DUPFD_QUERY, sink));
	say("the same file as none", fcntl(fd, DUPFD_QUERY, 999));
	say("made by its open", fcntl(fd, CREATED_QUERY));
}

static void hints(int fd)
{
	uint64_t hint = 0;
	say("the hint", fcntl(fd, GET_RW_HINT, &hint));
	hint = 6;
	say("an unknown hint", fcntl(fd, SET_RW_HINT, &hint));
	say("a hint from nowhere", fcntl(fd, SET_RW_HINT, 8));
}

static void locks(int fd)
{
	struct flock lock = { .l_type = F_RDLCK, .l_pid = 1 };
	say("flock with LOCK_MAND", flock(fd, LOCK_MAND_ | LOCK_SH));
	say("flock of nothing", flock(fd, 0));
	say("flock", flock(fd, LOCK_SH));
	say("a lock of the open file, and a process", fcntl(fd, F_OFD_SETLK, &lock));
	lock.l_pid = 0;
	say("a lock of the open file", fcntl(fd, F_OFD_SETLK, &lock));
}

static void controls(int fd)
{
	int size = 0, block = 0;
	say("FIGETBSZ", ioctl(fd, FIGETBSZ_, &size));
	printf("    block %d\n", size);
	say("FIBMAP", ioctl(fd, FIBMAP_, &block));
	say("FIEMAP", ioctl(fd, FIEMAP, &size));
	say("an ioctl of nobody", ioctl(fd, 0x12345));
}

static void sizes(int fd)
{
	say("fallocate nothing", fallocate(fd, 0, 0, 0));
	say("fallocate", fallocate(fd, 0, 0, 1));
	say("fallocate beyond all", fallocate(fd, 0, INT64_MAX, 1));
	say("fallocate, unknown mode", fallocate(fd, 0x400, 0, 1));
	say("collapse", fallocate(fd, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	say("sync_file_range", sync_file_range(fd, 0, 0, 0));
	say("sync_file_range, unknown flag", sync_file_range(fd, 0, 0, 8));
	say("readahead", readahead(fd, 0, 1));
	say("sendfile of nothing", sendfile(sink, fd, 0, 0));
}

static void attributes(int fd)
{
	struct stat st;
	fstat(fd, &st);
	if (S_ISCHR(st.st_mode) || S_ISDIR(st.st_mode))
		return; /* the machine's, or the host's */
	say("fchmod", fchmod(fd, 0600));
	say("fchown", fchown(fd, getuid(), getgid()));
	say("futimens", futimens(fd, NULL));
}

static void ask(const char *kind, int fd)
{
	printf("%s:\n", kind);
	flags(fd);
	hints(fd);
	locks(fd);
	controls(fd);
	sizes(fd);
	attributes(fd);
}

static void kinds(void)
{
	int pipes[2], pair[2], made = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
	sigset_t none;
	sigemptyset(&none);
	sink = memfd_create("sink", 0);
	pipe(pipes);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	ask("pipe, to read", pipes[0]);
	ask("pipe, to write", pipes[1]);
	ask("socket", pair[0]);
	ask("only a place", open(file, O_PATH));
	ask("eventfd", eventfd(0, 0));
	ask("epoll", epoll_create1(0));
	ask("timerfd", timerfd_create(CLOCK_MONOTONIC, 0));
	ask("inotify", inotify_init1(0));
	ask("signalfd", signalfd(-1, &none, 0));
	ask("/dev/null", open("/dev/null", O_RDWR));
	ask("/dev/urandom", open("/dev/urandom", O_RDONLY));
	ask("/proc/self/maps", open("/proc/self/maps", O_RDONLY));
	ask("memfd", memfd_create("asked", MFD_ALLOW_SEALING));
	printf("made %d, found %d\n", fcntl(made, CREATED_QUERY),
	       fcntl(open(file, O_RDWR | O_CREAT, 0600), CREATED_QUERY));
}

/* What a kind never has is said before anyone looks at the memory. */
static void from_nowhere(const char *kind, int fd)
{
	char byte;
	printf("%s:\n", kind);
	say("write from nowhere", write(fd, (void *)8, 8));
	say("write nothing", write(fd, &byte, 0));
	say("writev nothing", writev(fd, NULL, 0));
	say("readv nothing", readv(fd, NULL, 0));
	close(fd);
}

static void never(void)
{
	sigset_t none;
	sigemptyset(&none);
	from_nowhere("epoll", epoll_create1(0));
	from_nowhere("timerfd", timerfd_create(CLOCK_MONOTONIC, 0));
	from_nowhere("signalfd", signalfd(-1, &none, 0));
	from_nowhere("pidfd", syscall(SYS_pidfd_open, getpid(), 0));
	from_nowhere("a namespace", open("/proc/self/ns/mnt", O_RDONLY));
	from_nowhere("large pages", memfd_create("large", MFD_HUGETLB));
	from_nowhere("secret memory", syscall(SYS_memfd_secret, 0));
	from_nowhere("a file of a task", open("/proc/self/status", O_RDWR));
	from_nowhere("its pages", open("/proc/self/pagemap", O_RDWR));
	from_nowhere("a file of the machine", open("/proc/meminfo", O_RDWR));
	from_nowhere("eventfd", eventfd(0, EFD_NONBLOCK));
}

static void memfd_attributes(void)
{
	char value[8];
	int fd = memfd_create("m", 0);
	say("set an attribute of a memfd", fsetxattr(fd, "user.a", "bc", 2, 0));
	say("get it", fgetxattr(fd, "user.a", value, sizeof value));
	say("remove it", fremovexattr(fd, "user.a"));
	say("get it again", fgetxattr(fd, "user.a", value, sizeof value));
}

static void longevity(void)
{
	uint64_t hint = 5;
	int fd = memfd_create("m", 0);
	say("it lives long", fcntl(fd, SET_RW_HINT, &hint));
	hint = 0;
	say("the hint", fcntl(fd, GET_RW_HINT, &hint));
	printf("    %d\n", (int)hint);
}

static void mapped(const char *path, int mode, int type, int prot)
{
	int fd = open(path, mode);
	void *at = mmap(NULL, 4096, prot, type, fd, 0);
	say(path, at == MAP_FAILED ? -1 : 0);
}

static void a_fifo(const char *path)
{
	mkfifo(path, 0600);
	say("a FIFO neither to read nor to write", open(path, O_ACCMODE | O_NONBLOCK));
	say("a FIFO, directly", open(path, O_RDWR | O_DIRECT));
	unlink(path);
}

static void directly(const char *path)
{
	static const char *const others[] = { "/dev/null", "/dev/zero", "/proc/self/maps", "/proc",
					      "/" };
	for (int i = 0; i < 5; i++)
		say(others[i], open(others[i], O_RDONLY | O_DIRECT) < 0 ? -1 : 0);
	say("a file", open(path, O_RDWR | O_CREAT | O_DIRECT, 0600) < 0 ? -1 : 0);
	say("a place", open(path, O_PATH | O_DIRECT) < 0 ? -1 : 0);
	unlink(path);
}

static void a_name_of_a_socket(const char *path)
{
	mknod(path, S_IFSOCK | 0600, 0);
	say("a socket's name, as a place", open(path, O_PATH) < 0 ? -1 : 0);
	say("a socket's name, to read", open(path, O_RDONLY));
	unlink(path);
}

int main(int argc, char **argv)
{
	char name[300];
	snprintf(name, sizeof name, "%s/asked", argv[1]);
	file = name;
	kinds();
	unlink(name);
	never();
	memfd_attributes();
	longevity();
	mapped("/dev/full", O_RDWR, MAP_SHARED, PROT_READ);
	mapped("/dev/full", O_RDWR, MAP_PRIVATE, PROT_READ);
	mapped("/dev/zero", O_RDWR, MAP_PRIVATE, PROT_READ);
	directly(name);
	a_fifo(name);
	a_name_of_a_socket(name);
	return 0;
}
