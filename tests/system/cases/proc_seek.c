// lseek of every kind on files of /proc and on directories without an end.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* Positions that are addresses of the kernel's half: negative, as numbers go. */
static void high_addresses(const char *name)
{
	int fd = open(name, O_RDONLY);
	long word, from_start = syscall(SYS_lseek, fd, -8192L, SEEK_SET);
	long on = syscall(SYS_lseek, fd, 1024L, SEEK_CUR);
	long got = read(fd, &word, sizeof(word));
	printf("%s: at %ld, %ld, read %ld %s\n", name, from_start, on, got,
	       got < 0 ? strerrorname_np(errno) : "");
	close(fd);
}

static void to_size(const char *name)
{
	int fd = open(name, O_WRONLY);
	int done = ftruncate(fd, 5), error = errno;
	printf("%s: ftruncate %d %s\n", name, done, done ? strerrorname_np(error) : "");
	close(fd);
}

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
	high_addresses("/proc/self/mem");
	high_addresses("/proc/self/pagemap");
	high_addresses("/proc/self/maps");
	to_size("/proc/self/clear_refs");
	to_size("/proc/self/mem");
	to_size("/proc/sys/kernel/domainname");
	to_size("/sys/kernel/mm/ksm/run");
	to_size("/dev/null");
	return 0;
}
