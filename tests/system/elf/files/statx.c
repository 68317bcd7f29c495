/* statx: which fields and attributes each file system knows, and the time of a link that is followed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static const unsigned asked[] = { 0, 0x7ff, 0xfff, 0x40, 0x820, 0x1000, 0x4000, 0x5fff };

static void field(const char *image, int at, int size, const char *name)
{
	uint64_t value = 0;

	memcpy(&value, image + at, size);
	printf(" %s %#llx", name, (unsigned long long)value);
}

static uint64_t word(const char *image, int at)
{
	uint64_t value;

	memcpy(&value, image + at, 8);
	return value;
}

/* The mount's number as /proc shows it. */
static uint64_t mount_of(int fd)
{
	char path[64], text[512];
	unsigned long number = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	int info = open(path, O_RDONLY);
	ssize_t n = read(info, text, sizeof(text) - 1);

	close(info);
	text[n > 0 ? n : 0] = 0;
	const char *line = strstr(text, "mnt_id:");

	if (line)
		sscanf(line, "mnt_id: %lu", &number);
	return number;
}

static void show(const char *name, int fd)
{
	char image[256];

	for (unsigned i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
		memset(image, 0xee, sizeof(image));
		long r = syscall(SYS_statx, fd, "", AT_EMPTY_PATH, asked[i], image);
		printf("%s %#x: %ld", name, asked[i], r);
		field(image, 0, 4, "mask");
		field(image, 8, 8, "attributes");
		field(image, 0x38, 8, "supported");
		field(image, 0x98, 8, "direct io");
		uint64_t mount = word(image, 0x90);
		printf(" born %d mount %s\n", word(image, 0x50) != 0,
		       mount == mount_of(fd) ? "as in fdinfo"
		       : mount >> 31         ? "unique"
					     : "another");
	}
}

static void follow_a_link(void)
{
	struct stat before, after, target;
	const struct timeval old[2] = { { 1000, 0 }, { 1000, 0 } };

	if (symlink("goal", "link") || mkdir("goal", 0700) || lutimes("link", old))
		perror("link");
	lstat("link", &before);
	stat("link", &target);
	lstat("link", &after);
	printf("followed: atime moved %d mtime moved %d\n", before.st_atime != after.st_atime,
	       before.st_mtime != after.st_mtime);
	unlink("link");
	rmdir("goal");
}

/* argv[1]: a directory that may be written. */
int main(int argc, char **argv)
{
	int pair[2], memory = memfd_create("m", 0);

	if (argc < 2 || chdir(argv[1]) || memory < 0 || pipe(pair))
		return 1;
	show("memfd", memory);
	show("pipe", pair[0]);
	show("/proc", open("/proc", O_RDONLY));
	show("/proc/self/stat", open("/proc/self/stat", O_RDONLY));
	follow_a_link();
	return 0;
}
