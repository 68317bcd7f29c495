/* host.c - see host.h. */
#define _GNU_SOURCE
#include "host.h"

#include <sys/mman.h>
#include <unistd.h>

void *host_reserve(size_t nbytes)
{
	void *base = mmap(NULL, nbytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	madvise(base, nbytes, MADV_NOHUGEPAGE); /* lent page by page, on every host */
	return base;
}

void host_lend_much(void *from, size_t nbytes) { madvise(from, nbytes, MADV_HUGEPAGE); }

void host_release(void *base, size_t nbytes) { munmap(base, nbytes); }

bool host_read(int fd, void *buf, size_t nbytes, uint64_t pos)
{
	return pread(fd, buf, nbytes, (off_t)pos) == (ssize_t)nbytes;
}

bool host_write(int fd, const void *buf, size_t nbytes, uint64_t pos)
{
	return pwrite(fd, buf, nbytes, (off_t)pos) == (ssize_t)nbytes;
}
