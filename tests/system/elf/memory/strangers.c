/*
 * strangers.c - what mincore tells of a file to its owner, to who may write it, and to others, who
 * are told that all of it is in memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 4

static void show(const char *what, char *at)
{
	unsigned char vector[PAGES] = { 9, 9, 9, 9 };
	int result = mincore(at, PAGES * PAGE, vector), i;

	printf("%s: %d ", what, result);
	for (i = 0; i < PAGES; i++)
		printf("%d", vector[i]);
	printf("\n");
}

static void look(const char *what, int fd, int flags)
{
	char *at = mmap(NULL, PAGES * PAGE, PROT_READ, flags, fd, 0);

	if (at == MAP_FAILED) {
		printf("%s: %s\n", what, strerror(errno));
		return;
	}
	show(what, at);
	munmap(at, PAGES * PAGE);
}

static void look_at_all(const char *path, int memfd)
{
	int fd = open(path, O_RDONLY);
	char *own;

	look("shared", fd, MAP_SHARED);
	look("private", fd, MAP_PRIVATE);
	own = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (own != MAP_FAILED) {
		own[0] = 1;
		show("with a page of its own", own);
		munmap(own, PAGES * PAGE);
	}
	close(fd);
	fd = open(path, O_RDWR);
	look("opened to write", fd, MAP_SHARED);
	close(fd);
	look("a descriptor of its owner's", memfd, MAP_SHARED);
	look("shared anonymous memory", -1, MAP_SHARED | MAP_ANONYMOUS);
	fd = open("/dev/zero", O_RDONLY);
	look("/dev/zero", fd, MAP_PRIVATE);
	close(fd);
}

/* Its second page is in memory. */
static void fill(int fd, mode_t mode)
{
	if (ftruncate(fd, PAGES * PAGE) || pwrite(fd, "x", 1, PAGE) != 1 || fchmod(fd, mode))
		perror("fill");
}

int main(void)
{
	static const mode_t modes[] = { 0644, 0666, 0600, 0444 };
	static const char path[] = "/dev/shm/strangers";
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		int memfd = (int)syscall(SYS_memfd_create, "own", 0);

		fill(fd, modes[i]);
		fill(memfd, modes[i]);
		printf("mode %o, its owner\n", modes[i]);
		look_at_all(path, memfd);
		fflush(stdout);
		if (!fork()) {
			if (!setgid(1000) && !setuid(1000))
				printf("mode %o, a stranger\n", modes[i]);
			look_at_all(path, memfd);
			fflush(stdout);
			_exit(0);
		}
		wait(NULL);
		unlink(path);
		close(fd);
		close(memfd);
	}
	return 0;
}
