/* A monitor in another thread serves the faults of a program and of its calls. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGES 10
static int uffd, taken = -1; /* by the monitor from a call that faults */
static volatile int served, threads_named;
static pid_t expected[2];

static void *monitor(void *arg)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uffd_msg message;

	while (read(uffd, &message, sizeof(message)) == sizeof(message)) {
		struct uffdio_copy copy = { .src = (uintptr_t)page, .len = 4096 };
		uintptr_t at = message.arg.pagefault.address & ~4095UL;

		if (message.event != UFFD_EVENT_PAGEFAULT)
			break;
		threads_named += message.arg.pagefault.feat.ptid == expected[0] ||
				 message.arg.pagefault.feat.ptid == expected[1];
		memset(page, 'a' + (at >> 12) % 26, sizeof(page));
		copy.dst = at;
		served++;
		close(taken);
		ioctl(uffd, UFFDIO_COPY, &copy);
	}
	return NULL;
}

static void *touch(void *arg)
{
	volatile char *area = arg;
	long sum = 0;

	expected[1] = syscall(SYS_gettid);
	for (int i = 4; i < 8; i++)
		sum += area[i * 4096] != 0;
	return (void *)sum;
}

static int events(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT };

	poll(&entry, 1, 0);
	return entry.revents;
}

/* A call in whose middle its descriptor is closed goes on with the file, which ends with it. */
static void taken_away(char *area)
{
	int ends[2], done;

	pipe(ends);
	taken = ends[1];
	done = write(ends[1], area, 3);
	printf("written %d, its reader sees %x", done, events(ends[0]));
	close(ends[0]);
	pipe(ends);
	write(ends[1], "hello", 5);
	taken = ends[0];
	done = read(ends[0], area + 4096, 5);
	printf(", read %d %.5s, its writer sees %x\n", done, area + 4096, events(ends[1]));
	close(ends[1]);
	taken = -1;
}

int main(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_THREAD_ID };
	char *area = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct uffdio_register region = { .range = { (uintptr_t)area, PAGES * 4096 },
					  .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t watching, touching;
	int ends[2], fd;
	void *sum;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &region)) {
		printf("no userfaultfd: %d\n", errno);
		return 0;
	}
	expected[0] = syscall(SYS_gettid);
	pthread_create(&watching, NULL, monitor, NULL);
	printf("a load sees %d", area[5] == 'a' + ((uintptr_t)area >> 12) % 26);
	area[4096 + 7] = 'x';
	printf(", a store keeps the rest %d\n",
	       area[4096] == 'a' + ((uintptr_t)(area + 4096) >> 12) % 26);
	pipe(ends);
	write(ends[1], "hello", 5);
	printf("read into what is missing: %d %.5s", (int)read(ends[0], area + 2 * 4096, 5),
	       area + 2 * 4096);
	printf(", write from it: %d\n", (int)write(ends[1], area + 3 * 4096, 3));
	pthread_create(&touching, NULL, touch, area);
	pthread_join(touching, &sum);
	printf("another thread: %ld, served %d, named %d\n", (long)sum, served, threads_named);
	taken_away(area + 8 * 4096);
	fd = open("/proc/self/mem", O_RDONLY);
	printf("memory by /proc: %d\n", (int)pread(fd, ends, 4, (uintptr_t)area));
	return 0;
}
