/*
 * host.h - the host's memory, behind two calls: the host's <sys/mman.h>
 * and core_api.h define the same names and cannot be read together.
 */
#ifndef PKERN_HOST_H
#define PKERN_HOST_H

#include <stddef.h>

void *host_arena(size_t nbytes, int *fd); /* shared, lazily backed; NULL */
void *host_reserve(size_t nbytes);        /* private zeroes, lazily; NULL */
void host_release(void *base, size_t nbytes);
void host_close(int fd);

#endif
