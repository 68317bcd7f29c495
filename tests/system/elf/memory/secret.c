/* memfd_secret: what its file and its memory can do, and who cannot look at them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define SECRET 447
#define SEALS 1034

static char *const place = (char *)0x300000000;

static void say(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerror(errno));
	else
		printf("%s: %ld\n", what, result);
}

static long made(void *at) { return at == MAP_FAILED ? -1 : 0; }

static void show_smaps(void)
{
	char line[300];
	int inside = 0;
	FILE *f = fopen("/proc/self/smaps", "r");
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end, offset, ino;
		char perms[8], device[16], name[64] = "";
		if (sscanf(line, "%lx-%lx %7s %lx %15s %lu %63[^\n]", &start, &end, perms, &offset,
			   device, &ino, name) >= 6) {
			inside = start >= (unsigned long)place &&
				 start < (unsigned long)place + 64 * PAGE;
			if (inside)
				printf("  %lx-%lx %s %lx %s\n", start, end, perms, offset,
				       strstr(name, "/"));
		} else if (inside) {
			printf("  %s", line);
		}
	}
	fclose(f);
	f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmLck", 5))
			printf("  %s", line);
	fclose(f);
}

static void file(void)
{
	char data[8];
	for (unsigned i = 0; i < 32; i++) {
		long fd = syscall(SECRET, 1u << i);
		if (fd >= 0)
			close((int)fd);
		printf("%x: %s\n", 1u << i, fd < 0 ? strerror(errno) : "made");
	}
	int fd = (int)syscall(SECRET, 0);
	struct stat st;
	fstat(fd, &st);
	printf("mode %o size %ld blocks %ld blksize %ld nlink %ld\n", st.st_mode, st.st_size,
	       (long)st.st_blocks, (long)st.st_blksize, (long)st.st_nlink);
	char path[40], target[100] = { 0 };
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readlink(path, target, sizeof(target) - 1);
	printf("%s flags %x\n", target, fcntl(fd, F_GETFL));
	say("seals", fcntl(fd, SEALS));
	say("read", read(fd, data, 8));
	say("write", write(fd, "x", 1));
	say("pread", pread(fd, data, 8, 0));
	say("pwrite", pwrite(fd, "x", 1, 0));
	say("lseek", lseek(fd, 1, SEEK_SET));
	say("end", lseek(fd, 0, SEEK_END));
	say("fsync", fsync(fd));
	say("fallocate", fallocate(fd, 0, 0, 100));
	say("chmod", fchmod(fd, 0640));
	say("negative size", ftruncate(fd, -1));
	say("no size", ftruncate(fd, 0));
	say("a size", ftruncate(fd, 10000));
	say("another", ftruncate(fd, 20000));
	say("less", ftruncate(fd, 100));
	say("the same", ftruncate(fd, 10000));
	fstat(fd, &st);
	printf("mode %o size %ld\n", st.st_mode, st.st_size);
	int pair[2];
	pipe(pair);
	say("splice", splice(fd, NULL, pair[1], NULL, 10, 0));
	say("sendfile", sendfile(pair[1], fd, NULL, 10));
	say("private", made(mmap(NULL, PAGE, 3, MAP_PRIVATE, fd, 0)));
	say("executable", made(mmap(NULL, PAGE, 7, MAP_SHARED, fd, 0)));
	say("private, executable", made(mmap(NULL, PAGE, 7, MAP_PRIVATE, fd, 0)));
	say("nothing to read", made(mmap(NULL, PAGE, 0, MAP_SHARED, fd, 0)));
	say("populated", made(mmap(NULL, PAGE, 3, MAP_SHARED | MAP_POPULATE, fd, 0)));
	say("reopen", open(path, O_RDWR));
}

/* What would have to pin its pages, or to look at them, and what does not. */
static void asked_of_the_kernel(void)
{
	int node, word = *(int *)place;
	struct uffdio_api api = { .api = UFFD_API };
	int fd = (int)syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY);
	struct uffdio_register r = { .range = { (unsigned long)place, 4 * PAGE }, .mode = 1 };
	say("policy", syscall(SYS_get_mempolicy, &node, 0, 0, place, MPOL_F_ADDR));
	say("node", syscall(SYS_get_mempolicy, &node, 0, 0, place, MPOL_F_NODE | MPOL_F_ADDR));
	say("wake", syscall(SYS_futex, place, FUTEX_WAKE, 1, 0));
	say("wake own", syscall(SYS_futex, place, FUTEX_WAKE_PRIVATE, 1, 0));
	say("wait", syscall(SYS_futex, place, FUTEX_WAIT, word + 1, 0));
	say("wait own", syscall(SYS_futex, place, FUTEX_WAIT_PRIVATE, word + 1, 0));
	ioctl(fd, UFFDIO_API, &api);
	say("watch", ioctl(fd, UFFDIO_REGISTER, &r));
	r.mode = 2;
	say("watch stores", ioctl(fd, UFFDIO_REGISTER, &r));
	close(fd);
}

/* Each page comes by itself. */
static void mapped_again(int fd)
{
	unsigned long words[4];
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	char *at = mmap(place + 32 * PAGE, 4 * PAGE, 3, MAP_SHARED | MAP_FIXED, fd, 0);
	printf("byte %c, pages", at[2 * PAGE]);
	pread(pagemap, words, sizeof(words), (long)at / (long)PAGE * 8);
	printf(" %lx %lx %lx %lx\n", words[0] >> 63, words[1] >> 63, words[2] >> 63,
	       words[3] >> 63);
	munmap(at, 4 * PAGE);
	close(pagemap);
}

static void memory(void)
{
	char data[8] = "abcdefg";
	unsigned char there[4];
	int fd = (int)syscall(SECRET, O_CLOEXEC), pair[2], status;
	ftruncate(fd, 10000);
	say("map", made(mmap(place, 4 * PAGE, 3, MAP_SHARED | MAP_FIXED, fd, 0)));
	place[0] = 'a';
	place[2 * PAGE] = 'b';
	show_smaps();
	say("mincore", mincore(place, 4 * PAGE, there));
	printf("%d%d%d%d\n", there[0] & 1, there[1] & 1, there[2] & 1, there[3] & 1);
	fflush(stdout);
	int child = fork();
	if (!child) {
		place[1] = 'c';
		show_smaps();
		_exit(fflush(stdout));
	}
	waitpid(child, &status, 0);
	printf("shared %c\n", place[1]);
	struct iovec mine = { data, 4 }, its = { place, 4 };
	say("process_vm_readv", process_vm_readv(getpid(), &mine, 1, &its, 1, 0));
	say("process_vm_writev", process_vm_writev(getpid(), &mine, 1, &its, 1, 0));
	int mem = open("/proc/self/mem", O_RDWR);
	say("mem read", pread(mem, data, 4, (long)place));
	say("mem write", pwrite(mem, data, 4, (long)place));
	pipe(pair);
	say("write from it", write(pair[1], place, 4));
	say("read into it", read(pair[0], place + 8, 4));
	say("vmsplice", vmsplice(pair[1], &its, 1, 0));
	printf("content %c%c%c %c\n", place[0], place[1], place[8], place[9]);
	fflush(stdout);
	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(child, &status, 0);
	errno = 0;
	ptrace(PTRACE_PEEKDATA, child, place, 0);
	say("peek", errno ? -1 : 0);
	say("poke", ptrace(PTRACE_POKEDATA, child, place, 7));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	asked_of_the_kernel();
	mapped_again(fd);
	say("mlock", mlock(place, PAGE));
	say("munlock", munlock(place, 2 * PAGE));
	show_smaps();
	static const int advice[] = { 0,  1,  2,  3,  4,  8,  9,  10, 11, 12, 13,  14,
				      15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 102, 103 };
	for (unsigned i = 0; i < sizeof(advice) / sizeof(*advice); i++) {
		printf("advice %d ", advice[i]);
		say("", madvise(place, 4 * PAGE, advice[i]));
	}
	say("executable", mprotect(place, PAGE, 5));
	say("read only", mprotect(place, PAGE, 1));
	say("msync", msync(place, PAGE, MS_SYNC));
	say("move", made(mremap(place, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				place + 16 * PAGE)));
	say("grow", made(mremap(place + 16 * PAGE, 4 * PAGE, 8 * PAGE, 0)));
	show_smaps();
	fflush(stdout);
	child = fork();
	if (!child) {
		place[16 * PAGE + 3 * PAGE] = 1; /* behind the end */
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("behind the end: %x\n", status);
}

static void limits(void)
{
	const struct rlimit limit = { 4 * PAGE, 4 * PAGE };
	munlockall();
	munmap(place, 64 * PAGE);
	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (setuid(1000))
		printf("another user\n");
	int fd = (int)syscall(SECRET, 0);
	ftruncate(fd, 64 * PAGE);
	say("too much", made(mmap(place, 5 * PAGE, 3, MAP_SHARED | MAP_FIXED, fd, 0)));
	say("all of it", made(mmap(place, 4 * PAGE, 3, MAP_SHARED | MAP_FIXED, fd, 0)));
	say("no more", made(mmap(NULL, PAGE, 3, MAP_SHARED, fd, 0)));
	say("less", munmap(place, 2 * PAGE));
	say("again", made(mmap(NULL, PAGE, 3, MAP_SHARED, fd, 0)));
}

int main(void)
{
	if (syscall(SECRET, 0) < 0) {
		say("not here", -1);
		return 0;
	}
	file();
	memory();
	fflush(stdout);
	if (!fork()) {
		limits();
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	return 0;
}
