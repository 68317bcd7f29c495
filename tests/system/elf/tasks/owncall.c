/* /proc/self/syscall: the very call that reads it; and how large /proc says its links are. */
#define _GNU_SOURCE
#include "../results.h"
#include <fcntl.h>
#include <sys/stat.h>

static void size_of(const char *path)
{
	struct stat st;
	say(path, lstat(path, &st));
	printf("  %ld bytes\n", (long)st.st_size);
}

int main(void)
{
	char text[1000];
	unsigned long r[8];
	int number, fd = open("/proc/self/syscall", O_RDONLY);
	text[read(fd, text, 777)] = 0;
	sscanf(text, "%d %lx %lx %lx %lx %lx %lx %lx %lx", &number, r, r + 1, r + 2, r + 3, r + 4,
	       r + 5, r + 6, r + 7);
	const unsigned char *behind = (const unsigned char *)r[7];
	printf("call %d of %d, %lu bytes to the text: %d\n", number, r[0] == (unsigned)fd, r[2],
	       r[1] == (unsigned long)text);
	printf("below the text: %d, behind a syscall: %d\n", r[6] < (unsigned long)(text + 2000),
	       behind[-2] == 0x0f && behind[-1] == 5);
	text[pread(fd, text, 500, 0)] = 0;
	sscanf(text, "%d %lx %lx %lx %lx", &number, r, r + 1, r + 2, r + 3);
	printf("call %d, %lu bytes at %lu\n", number, r[2], r[3]);
	size_of("/proc/self/cwd");
	size_of("/proc/self/root");
	size_of("/proc/self/exe");
	size_of("/proc/self/fd/0");
	return 0;
}
