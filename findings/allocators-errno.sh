#!/usr/bin/env bash
# mimalloc 2.0.9, gperftools' tcmalloc 2.10, jemalloc 5.3.0 (Debian 12), preloaded: memory that there is not is refused
#   with errno 0, so that perror() says "Success"; mallinfo2() counts nothing.
# Expected (malloc(3): malloc() and calloc() "return NULL and set errno to ENOMEM"; posix_memalign(3): aligned_alloc() of
#   an alignment that is not a power of two is EINVAL, where it is refused; mallinfo(3): "memory allocations performed by
#   malloc(3) and related functions"; each library: a replacement of malloc): glibc 2.36's answers.
# Seen: mimalloc sets errno for reallocarray() only, tcmalloc not for a calloc() that overflows, jemalloc not for
#   realloc(); mallinfo2() stays glibc's, which was asked for nothing.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb libmimalloc2.0 2.0.9
deb libtcmalloc-minimal4 2.10
deb libjemalloc2 5.3.0
cat >t.c <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void show(const char *call, void *memory)
{
	const char *error = strerrorname_np(errno);

	printf("%s %s %s\n", call, memory ? "succeeds" : "fails with", memory ? "" : error);
	errno = 0;
}

int main(void)
{
	size_t half = SIZE_MAX / 2 + 1, before;

	free(malloc(1)); /* so that the library has begun */
	errno = 0;
	show("malloc", malloc(half));
	show("calloc", calloc(half, 2));
	show("realloc", realloc(malloc(1), half));
	show("reallocarray", reallocarray(NULL, half, 2));
	show("aligned_alloc to 24", aligned_alloc(24, 48));
	before = mallinfo2().uordblks;
	for (int i = 0; i < 100; i++)
		memset(malloc(1000), 1, 1000);
	printf("mallinfo2 %s\n", mallinfo2().uordblks - before >= 100000 ? "counts them" : "counts nothing");
}
C
gcc -w -fno-builtin -o t t.c
libraries=$(echo "$W"/root/usr/lib/*-linux-gnu)
for library in "" libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
	name=${library:-glibc}
	LD_PRELOAD=${library:+$libraries/$library} ./t | sed "s/^/${name%%.so*}: /; s/ *$//"
done >seen
expect "allocator" "$(cat seen)" \
"glibc: malloc fails with ENOMEM
glibc: calloc fails with ENOMEM
glibc: realloc fails with ENOMEM
glibc: reallocarray fails with ENOMEM
glibc: aligned_alloc to 24 succeeds
glibc: mallinfo2 counts them
libjemalloc: malloc fails with ENOMEM
libjemalloc: calloc fails with ENOMEM
libjemalloc: realloc fails with 0
libjemalloc: reallocarray fails with ENOMEM
libjemalloc: aligned_alloc to 24 fails with EINVAL
libjemalloc: mallinfo2 counts nothing
libtcmalloc_minimal: malloc fails with ENOMEM
libtcmalloc_minimal: calloc fails with 0
libtcmalloc_minimal: realloc fails with ENOMEM
libtcmalloc_minimal: reallocarray fails with ENOMEM
libtcmalloc_minimal: aligned_alloc to 24 succeeds
libtcmalloc_minimal: mallinfo2 counts nothing
libmimalloc: malloc fails with 0
libmimalloc: calloc fails with 0
libmimalloc: realloc fails with 0
libmimalloc: reallocarray fails with ENOMEM
libmimalloc: aligned_alloc to 24 fails with 0
libmimalloc: mallinfo2 counts nothing"
