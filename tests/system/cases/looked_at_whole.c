// What is given as a whole: rows of numbers, siginfo_t of any code, ksm_stat and VmFlags, and iovecs.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096UL
static const char *rows[] = { "kernel/printk", "kernel/sem", "vm/lowmem_reserve_ratio",
			      "vm/swappiness", "kernel/ostype" };
static const int codes[] = { -60, -6, -1, 0, 5 };

static void told(int signo, siginfo_t *info, void *context)
{
	(void)context;
	printf("signal %d code %d value %d\n", signo, info->si_code, info->si_value.sival_int);
}

static void read_in_parts(const char *name)
{
	char path[64], byte;
	snprintf(path, sizeof path, "/proc/sys/%s", name);
	int fd = open(path, O_RDONLY);
	ssize_t first = read(fd, &byte, 1), second = read(fd, &byte, 1);
	printf("%s: %zd %zd\n", name, first, second);
	close(fd);
}

static void queue(int code)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	info.si_code = code;
	info.si_value.sival_int = 9;
	printf("%ld\n", syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info));
}

static void mergeable(const char *when)
{
	static char text[4096];
	int fd = open("/proc/self/ksm_stat", O_RDONLY);
	text[read(fd, text, sizeof text - 1)] = 0;
	close(fd);
	printf("%s: %s", when, strstr(text, "ksm_mergeable"));
}

static void flags_of(const void *page)
{
	char line[512], start[32];
	FILE *smaps = fopen("/proc/self/smaps", "r");
	bool found = false;
	snprintf(start, sizeof start, "%lx-", (unsigned long)page);
	while (fgets(line, sizeof line, smaps)) {
		found = found || !strncmp(line, start, strlen(start));
		if (found && !strncmp(line, "VmFlags:", 8))
			break;
	}
	printf("%s", line);
	fclose(smaps);
}

static void advise(const char *what, void *base, size_t nbytes)
{
	struct iovec range = { base, nbytes };
	int fd = syscall(SYS_pidfd_open, getpid(), 0);
	long got = syscall(SYS_process_madvise, fd, &range, 1, MADV_COLD, 0);
	printf("%s: %ld %d\n", what, got, got < 0 ? errno : 0);
	close(fd);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = told, .sa_flags = SA_SIGINFO };
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	setvbuf(stdout, NULL, _IONBF, 0);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
		read_in_parts(rows[i]);
	sigaction(SIGUSR1, &action, NULL);
	for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++)
		queue(codes[i]);
	mergeable("at first");
	madvise(page, PAGE, MADV_MERGEABLE);
	mergeable("advised");
	madvise(page, PAGE, MADV_UNMERGEABLE);
	mergeable("taken back");
	prctl(67, 1, 0, 0, 0); /* PR_SET_MEMORY_MERGE */
	mergeable("all of it");
	prctl(67, 0, 0, 0, 0);
	mergeable("none of it");
	madvise(page, PAGE, MADV_DONTDUMP);
	madvise(page, PAGE, MADV_NOHUGEPAGE);
	madvise(page, PAGE, MADV_MERGEABLE);
	flags_of(page);
	advise("a page", page, PAGE);
	advise("beyond the end", (void *)-PAGE, 2 * PAGE);
	advise("the kernel's", (void *)0xffff800000000000, PAGE);
	return 0;
}
