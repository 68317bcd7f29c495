// numa_maps, maps' names and the number of map_files: anonymous, shared, of an unlinked file.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)

static char *at(unsigned long addr, int flags, int fd)
{
	return mmap((void *)addr, 8 * PAGE, RW, flags | MAP_FIXED, fd, 0);
}

static void show(const char *path, int skip)
{
	char line[500];
	FILE *f = fopen(path, "r");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "100", 3))
			printf("%.9s %s", line, line + skip);
	fclose(f);
}

int main(void)
{
	char *own = at(0x100000000, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	own[0] = own[PAGE] = 1;
	volatile char c = own[4 * PAGE];
	char *shared = at(0x100100000, MAP_SHARED | MAP_ANONYMOUS, -1);
	shared[0] = 1;
	c = shared[PAGE];
	int fd = open("/dev/shm/nu ma=x", O_CREAT | O_RDWR, 0600);
	ftruncate(fd, 16 * PAGE);
	pwrite(fd, "x", 1, 2 * PAGE);
	at(0x100200000, MAP_SHARED, fd)[0] = 1;
	at(0x100300000, MAP_PRIVATE, fd)[0] = 1;
	at(0x100400000, MAP_PRIVATE, open("/dev/zero", O_RDWR))[0] = 1;
	unlink("/dev/shm/nu ma=x");
	fflush(stdout);
	if (!fork()) {
		show("/proc/self/numa_maps", 10);
		show("/proc/self/maps", 73);
		DIR *dir = opendir("/proc/self/map_files");
		for (struct dirent *entry; (entry = readdir(dir));)
			if (!strncmp(entry->d_name, "100", 3)) {
				char path[300], name[100] = "";
				sprintf(path, "/proc/self/map_files/%s", entry->d_name);
				readlink(path, name, sizeof(name) - 1);
				printf("%s -> %s\n", entry->d_name, name);
			}
		exit(0);
	}
	wait(0);
	return c;
}
