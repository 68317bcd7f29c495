"""Large pages: who may have them, and how many there are.

The pool and everything about its pages is the core's; vm.nr_hugepages sets its size, and
vm.nr_overcommit_hugepages how far demand may grow it beyond. Programs get them by
mmap(MAP_HUGETLB), memfd_create(MFD_HUGETLB) and shmget(SHM_HUGETLB); the last is gated by
vm.hugetlb_shm_group, as databases know it.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task

HUGE_SIZE = 2 << 20  # bytes
HUGE_SHIFT = 26  # where mmap, memfd_create and shmget take log2 of the page size
HUGE_2MB = 21 << HUGE_SHIFT
SIZE_MASK = 0x3F << HUGE_SHIFT


def check_size(flags: int) -> None:
    """Refuse page sizes that there are none of. Errors: EINVAL."""
    if flags & SIZE_MASK not in (0, HUGE_2MB):
        raise SyscallError(errno.EINVAL)


def check_shm(kernel: Kernel, task: Task) -> None:
    """Refuse SHM_HUGETLB without CAP_IPC_LOCK and outside vm.hugetlb_shm_group. Errors: EPERM."""
    if task.capable("CAP_IPC_LOCK") or kernel.tunables.disable_cap_mlock:
        return
    if kernel.hugetlb_shm_group not in (task.gid, *task.groups):
        raise SyscallError(errno.EPERM)


def round_up(size: int) -> int:
    """Return size in bytes, rounded up to large pages."""
    return -(-size // HUGE_SIZE) * HUGE_SIZE


def set_pool(kernel: Kernel, nr_pages: int) -> None:
    """Let the pool have nr_pages large pages, or as near to it as memory and use allow."""
    lib.machine_set_hugepages(kernel.core, nr_pages)
