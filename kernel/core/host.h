/*
 * host.h - the host's memory, and files, behind a few calls: the host's <sys/mman.h>
 * and core_api.h define the same names and cannot be read together.
 */
#ifndef PKERN_HOST_H
#define PKERN_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *host_reserve(size_t nbytes); /* zeroes, lent lazily; a fork copies on write; NULL */
void host_lend_much(void *from, size_t nbytes); /* lend it in huge pages, if the host does */
void host_release(void *base, size_t nbytes);
bool host_read(int fd, void *buf, size_t nbytes, uint64_t pos); /* all of it */
bool host_write(int fd, const void *buf, size_t nbytes, uint64_t pos);

#endif
