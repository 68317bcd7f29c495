"""swapon and swapoff."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.swap import SWAP_FLAG_PREFER, SWAP_FLAG_PRIO_MASK, SWAP_FLAGS_VALID
from pkern.syscalls.abi import INT_BITS
from pkern.syscalls.table import INT, PATH, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


def _check_rights(task: Task) -> None:
    if not task.capable("CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)


@syscall(167, "swapon", PATH, INT)
def swapon(task: Task, path: str, flags: int) -> int:
    """Swap to a device or to a host file that mkswap prepared.

    flags: SWAP_FLAG_PREFER | priority; the DISCARD bits have nothing to do.
    Errors: EINVAL (flags; no swap area), EPERM (CAP_SYS_ADMIN; too many), EBUSY, ENOENT, ENOMEM.
    Source: swapon(2).
    """
    if flags & ~SWAP_FLAGS_VALID & INT_BITS:
        raise SyscallError(errno.EINVAL)
    _check_rights(task)
    inode = task.kernel.vfs.resolve(task, path)
    priority = flags & SWAP_FLAG_PRIO_MASK if flags & SWAP_FLAG_PREFER else None
    task.kernel.swap.on(task.kernel.vfs.absolute(task, path), inode, priority)
    return 0


@syscall(168, "swapoff", PATH)
def swapoff(task: Task, path: str) -> int:
    """Bring everything back from a swap area and stop using it.

    Errors: EPERM (CAP_SYS_ADMIN), ENOENT, EINVAL (not in use), ENOMEM (no room for it), EIO.
    Source: swapoff(2).
    """
    _check_rights(task)
    task.kernel.swap.off(task.kernel.vfs.resolve(task, path))
    return 0
