"""Large pages: their sizes, and how flags name them.

The pool and everything about its pages is the core's; vm.nr_hugepages sets its size, and
vm.nr_overcommit_hugepages how far demand may grow it beyond. Programs get them by
mmap(MAP_HUGETLB), memfd_create(MFD_HUGETLB) and shmget(SHM_HUGETLB); the last is gated by
vm.hugetlb_shm_group, as databases know it.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError

HUGE_SIZE = 2 << 20  # bytes
GIGANTIC_SIZE = 1 << 30  # bytes; of a pool that is always empty
HUGE_SHIFT = 26  # where mmap, memfd_create and shmget take log2 of the page size
HUGE_2MB = 21 << HUGE_SHIFT
HUGE_1GB = 30 << HUGE_SHIFT
SIZE_MASK = 0x3F << HUGE_SHIFT


def check_size(flags: int, unknown: int = errno.EINVAL) -> None:
    """Refuse page sizes that there are none of.

    Errors: unknown, for what the processor has not.
    """
    if flags & SIZE_MASK not in (0, HUGE_2MB, HUGE_1GB):
        raise SyscallError(unknown)
