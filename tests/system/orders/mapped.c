/* One reads a page of a file that is mapped; the other puts other memory in its place. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

static volatile char *page;

static void *replace(void *unused)
{
	mmap((void *)page, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	return unused;
}

int main(void)
{
	pthread_t other;
	int fd = open("/data", O_RDONLY);

	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	pthread_create(&other, NULL, replace, NULL);
	puts(*page ? "the file" : "nothing");
	pthread_join(other, NULL);
	return *page;
}
