/*
 * watched.c - do a little of everything whose trace others could leave: files made and removed,
 * numbers of inodes and processes, memory in swap, randomness, time, what /proc tells of all that.
 * The argument is how often. Prints what it finds; two runs print the same. With a second argument
 * it begins when its standard input has a byte, or ends: time for others to come and look.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void show_file(const char *path)
{
	char buf[4096];
	int fd = open(path, O_RDONLY), n;
	struct stat st = { 0 };
	if (fd < 0) {
		perror(path);
		return;
	}
	fstat(fd, &st);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = 0;
	printf("%s: inode %lu of %lu\n%s", path, (unsigned long)st.st_ino,
	       (unsigned long)st.st_nlink, buf);
}

static void show_times(const char *path)
{
	struct stat st;
	if (stat(path, &st))
		perror(path);
	else
		printf("%s: inode %lu, %ld.%09ld %ld.%09ld, %ld blocks\n", path,
		       (unsigned long)st.st_ino, st.st_atim.tv_sec, st.st_atim.tv_nsec,
		       st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long)st.st_blocks);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 3;
	if (argc > 2 && getchar() == EOF)
		puts("begins unasked");
	size_t nbytes = 6 << 20;
	char *memory =
		mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int round = 0; round < rounds; round++) {
		char name[64];
		unsigned long sum = 0, random = 0;
		struct timespec now, nap = { 0, 1000000 };
		snprintf(name, sizeof(name), "/tmp/watched-%d", round);
		int fd = open(name, O_RDWR | O_CREAT, 0644);
		if (write(fd, memory, 10000) != 10000)
			perror("write");
		for (size_t i = 0; i < nbytes; i += 512)
			sum += memory[i] += i / 4096 + round;
		close(fd);
		show_times(name);
		if (round > 2) {
			snprintf(name, sizeof(name), "/tmp/watched-%d", round - 3);
			unlink(name);
		}
		pid_t pid = fork();
		if (!pid) {
			memory[round * 4096] = 1;
			nanosleep(&nap, NULL);
			_exit(round);
		}
		show_file("/proc/self/statm");
		show_file("/proc/sys/kernel/random/uuid");
		show_file("/proc/sys/fs/file-nr");
		show_file("/proc/meminfo");
		show_file("/proc/vmstat");
		waitpid(pid, NULL, 0);
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			perror("getrandom");
		clock_gettime(CLOCK_MONOTONIC, &now);
		printf("round %d: pid %d, sum %lu, random %lx, at %ld.%09ld\n", round, pid, sum,
		       random, now.tv_sec, now.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
