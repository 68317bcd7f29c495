/*
 * What ordinary static programs call, once each: files, names, times, ids, shared memory. Works in
 * the directory of its argument, which is empty at first. Prints the same on Linux and here.
 */
#define _GNU_SOURCE
#include "results.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void show(const char *what, const struct stat *st)
{
	printf("%s: mode %o, links %lu, %ld bytes, %ld blocks, time %ld\n", what, st->st_mode,
	       (long)st->st_nlink, (long)st->st_size, (long)st->st_blocks,
	       st->st_mtime < 2000000000 ? (long)st->st_mtime * (st->st_mtime < 100000) : 0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
	char *names[32];
	int count = 0;
	DIR *dir = opendir(path);

	for (struct dirent *entry; (entry = readdir(dir)) && count < 32;)
		if (entry->d_name[0] != '.' &&
		    asprintf(&names[count], "%s/%d", entry->d_name, entry->d_type) > 0)
			count++;
	closedir(dir);
	qsort(names, count, sizeof(*names), by_name);
	printf("%s:", path);
	for (int i = 0; i < count; i++)
		printf(" %s", names[i]);
	printf("\n");
}

static void names(void)
{
	char text[4096] = "";
	struct stat st;
	int dir;

	umask(022);
	say("mkdir", mkdir("d", 0777));
	say("mkdir again", mkdir("d", 0777));
	say("creat", close(creat("d/f", 0666)));
	say("link", link("d/f", "d/g"));
	say("symlink", symlink("f", "d/s"));
	say("readlink", readlink("d/s", text, sizeof(text)));
	puts(text);
	say("rename", rename("d/g", "d/h"));
	say("renameat2, exists", syscall(SYS_renameat2, AT_FDCWD, "d/f", AT_FDCWD, "d/h", 1));
	say("lstat", lstat("d/s", &st));
	say("link's size", st.st_size);
	stat("d/f", &st);
	show("stat", &st);
	say("chmod", chmod("d/f", 04711));
	say("chown", chown("d/f", getuid(), getgid()));
	dir = open("d", O_RDONLY | O_DIRECTORY);
	fstatat(dir, "f", &st, 0);
	show("fstatat", &st);
	say("openat", close(openat(dir, "new", O_CREAT | O_EXCL | O_WRONLY, 0640)));
	say("mkdirat", mkdirat(dir, "sub", 0700));
	say("access", access("d/f", R_OK));
	say("faccessat2", syscall(SYS_faccessat2, dir, "f", X_OK, AT_EACCESS));
	say("access, missing", access("d/none", F_OK));
	list("d");
	say("unlink, directory", unlink("d/sub"));
	say("rmdir, full", rmdir("d"));
	say("unlinkat", unlinkat(dir, "sub", AT_REMOVEDIR));
	say("chdir", chdir("d"));
	say("getcwd", strcmp(strrchr(getcwd(text, sizeof(text)) ?: "?", '/'), "/d") == 0);
	say("fchdir", fchdir(dir));
	say("chdir", chdir(".."));
	say("O_NOFOLLOW", open("d/s", O_NOFOLLOW));
	say("not a directory", open("d/f/x", O_RDONLY));
	say("a long name",
	    access("0123456789012345678901234567890123456789012345678901234567890123"
		   "0123456789012345678901234567890123456789012345678901234567890123"
		   "0123456789012345678901234567890123456789012345678901234567890123"
		   "0123456789012345678901234567890123456789012345678901234567890123",
		   F_OK));
	close(dir);
}

static void contents(void)
{
	char one[4], two[8], all[32] = "";
	struct iovec parts[] = { { one, 3 }, { two, 5 } };
	struct stat st;
	int fd = open("data", O_RDWR | O_CREAT, 0644), other = open("copy", O_RDWR | O_CREAT, 0600);
	off_t from = 2;

	say("write", write(fd, "abcdefgh", 8));
	say("pwrite", pwrite(fd, "XY", 2, 4));
	say("lseek", lseek(fd, 0, SEEK_SET));
	say("readv", readv(fd, parts, 2));
	printf("%.3s %.5s\n", one, two);
	say("writev", writev(fd, parts, 2));
	say("pread", pread(fd, all, 31, 0));
	puts(all);
	say("lseek, beyond", lseek(fd, 100, SEEK_END));
	say("SEEK_DATA", lseek(fd, 0, SEEK_DATA));
	say("SEEK_HOLE", lseek(fd, 0, SEEK_HOLE) > 0);
	say("ftruncate", ftruncate(fd, 10000));
	say("fallocate", fallocate(fd, 0, 8192, 8192));
	fstat(fd, &st);
	say("size", st.st_size);
	say("fsync", fsync(fd));
	say("fdatasync", fdatasync(fd));
	say("fadvise", posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
	say("sendfile", sendfile(other, fd, &from, 6));
	say("offset", from);
	memset(all, 0, sizeof(all));
	say("pread", pread(other, all, 31, 0));
	puts(all);
	say("dup2", dup2(other, 40));
	say("F_GETFL", fcntl(40, F_GETFL) & O_ACCMODE);
	say("F_SETFD", fcntl(40, F_SETFD, FD_CLOEXEC));
	say("F_GETFD", fcntl(40, F_GETFD));
	say("read of a write only file", read(open("data", O_WRONLY), all, 1));
	say("write of a directory", open("d", O_WRONLY));
	say("closed", close(39));
	close(40), close(fd), close(other);
}

static void times_of(void)
{
	struct timespec then[2] = { { 1000, 0 }, { 2000, 500 } }, now, fine;
	struct statx more;
	struct stat st;
	struct timeval day;
	struct tms spent;

	say("utimensat", utimensat(AT_FDCWD, "data", then, 0));
	stat("data", &st);
	printf("times: %ld %ld.%09ld\n", (long)st.st_atime, (long)st.st_mtime, st.st_mtim.tv_nsec);
	say("statx", statx(AT_FDCWD, "data", 0, STATX_BASIC_STATS, &more));
	printf("statx: %o %lu %u %lld\n", more.stx_mode, (long)more.stx_size, more.stx_nlink,
	       (long long)more.stx_mtime.tv_sec);
	say("clock_gettime", clock_gettime(CLOCK_MONOTONIC, &now));
	say("clock_getres", clock_getres(CLOCK_MONOTONIC, &fine));
	fine.tv_nsec = 2000000;
	say("nanosleep", nanosleep(&fine, NULL));
	say("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &now, NULL));
	say("gettimeofday", gettimeofday(&day, NULL));
	say("time", time(NULL) - day.tv_sec <= 1);
	say("times", times(&spent) >= 0);
}

static void self(void)
{
	uint32_t header[2] = { 0x20080522, 0 }, sets[6];
	char name[16] = "";
	struct rusage usage;
	struct sysinfo info;
	struct utsname system;
	struct rlimit limit;
	struct statfs fs;
	cpu_set_t cpus;

	say("ids", getuid() == geteuid() && getgid() == getegid());
	say("setresuid", setresuid(-1, getuid(), -1));
	say("getpgid", getpgid(0) == getpgrp());
	say("getsid", getsid(0) > 0);
	say("capget", syscall(SYS_capget, header, sets));
	say("PR_SET_NAME", prctl(PR_SET_NAME, "breadth"));
	say("PR_GET_NAME", prctl(PR_GET_NAME, name));
	puts(name);
	say("getrusage", getrusage(RUSAGE_SELF, &usage));
	say("sysinfo", sysinfo(&info) || !info.totalram);
	say("uname", uname(&system));
	puts(system.sysname);
	say("getrlimit", getrlimit(RLIMIT_NOFILE, &limit));
	say("sched_getaffinity", sched_getaffinity(0, sizeof(cpus), &cpus));
	say("sched_yield", sched_yield());
	say("statfs", statfs(".", &fs) || !fs.f_bsize);
	say("isatty", isatty(open("data", O_RDONLY)));
	say("sync", (sync(), 0));
}

static void shared_memory(void)
{
	int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600), fd, status;
	char *at = shmat(id, NULL, 0), *page;
	struct shmid_ds about;

	say("shmget", id >= 0);
	say("shmat", at != (void *)-1);
	if (!fork()) {
		strcpy(at, "from the child");
		_exit(shmdt(at));
	}
	wait(&status);
	say("child", status);
	puts(at);
	say("IPC_STAT", shmctl(id, IPC_STAT, &about));
	printf("%zu bytes, %lu attached, mode %o\n", about.shm_segsz, (long)about.shm_nattch,
	       about.shm_perm.mode & 0777);
	about.shm_perm.mode = 0640;
	say("IPC_SET", shmctl(id, IPC_SET, &about));
	say("SHM_LOCK", shmctl(id, SHM_LOCK, NULL));
	say("IPC_STAT", shmctl(id, IPC_STAT, &about));
	printf("mode %o\n", about.shm_perm.mode);
	say("SHM_UNLOCK", shmctl(id, SHM_UNLOCK, NULL));
	say("IPC_RMID", shmctl(id, IPC_RMID, NULL));
	say("shmdt", shmdt(at));
	say("shmat, removed", (long)shmat(id, NULL, 0));
	say("shmdt, nothing", shmdt(at));
	fd = shm_open("/" UNIQUE, O_RDWR | O_CREAT | O_EXCL, 0600);
	say("shm_open", fd >= 0);
	say("ftruncate", ftruncate(fd, 4096));
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	strcpy(page, "shown");
	say("shm_unlink", shm_unlink("/" UNIQUE));
	say("pread", pread(fd, page + 100, 6, 0));
	puts(page + 100);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		say("chdir", chdir(argv[1]));
	names();
	contents();
	times_of();
	self();
	shared_memory();
	return 0;
}
