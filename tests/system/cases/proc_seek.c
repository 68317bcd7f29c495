// lseek of every kind on files of /proc and on directories without an end.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *names[] = {
	"/proc",
	"/proc/self",
	"/proc/self/fd",
	"/proc/self/task",
	"/proc/self/map_files",
	"/proc/self/fdinfo",
	"/proc/self/ns",
	"/proc/self/fdinfo/0",
	"/proc/sys",
	"/proc/sys/vm",
	"/proc/sys/vm/swappiness",
	"/proc/sys/kernel/hostname",
	"/proc/sys/kernel/printk",
	"/proc/sys/vm/nr_hugepages",
	"/proc/sys/fs/file-nr",
	"/proc/buddyinfo",
	"/proc/cpuinfo",
	"/proc/devices",
	"/proc/filesystems",
	"/proc/interrupts",
	"/proc/kpagecount",
	"/proc/kpageflags",
	"/proc/loadavg",
	"/proc/locks",
	"/proc/meminfo",
	"/proc/partitions",
	"/proc/softirqs",
	"/proc/stat",
	"/proc/swaps",
	"/proc/uptime",
	"/proc/version",
	"/proc/vmstat",
	"/proc/sysvipc",
	"/proc/sysvipc/shm",
	"/dev/shm",
	"/dev/null",
	"/dev/zero",
	"/dev/full",
};

int main(void)
{
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct stat st;
		int fd = open(names[i], O_RDONLY);
		fstat(fd, &st);
		printf("%s %o:", names[i], st.st_mode);
		for (int whence = 0; whence < 5; whence++) {
			lseek(fd, 0, SEEK_SET);
			long at = lseek(fd, whence == SEEK_CUR ? 5 : whence ? 0 : 10, whence);
			printf(at < 0 ? " %s" : " at %2$ld", strerrorname_np(errno), at);
		}
		printf("\n");
		close(fd);
	}
	return 0;
}
