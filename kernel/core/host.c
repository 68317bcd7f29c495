/* host.c - see host.h. */
#define _GNU_SOURCE
#include "host.h"

#include <sys/mman.h>
#include <unistd.h>

void *host_arena(size_t nbytes, int *fd)
{
	*fd = memfd_create("pkern-ram", MFD_CLOEXEC);
	if (*fd < 0)
		return NULL;
	void *base = MAP_FAILED;
	if (ftruncate(*fd, (off_t)nbytes) == 0)
		base = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, *fd,
			    0);
	if (base != MAP_FAILED)
		return base;
	close(*fd);
	return NULL;
}

void *host_reserve(size_t nbytes)
{
	void *base = mmap(NULL, nbytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return base == MAP_FAILED ? NULL : base;
}

void host_release(void *base, size_t nbytes) { munmap(base, nbytes); }

void host_close(int fd) { close(fd); }

bool host_read(int fd, void *buf, size_t nbytes, uint64_t pos)
{
	return pread(fd, buf, nbytes, (off_t)pos) == (ssize_t)nbytes;
}

bool host_write(int fd, const void *buf, size_t nbytes, uint64_t pos)
{
	return pwrite(fd, buf, nbytes, (off_t)pos) == (ssize_t)nbytes;
}
