"""eventfd: descriptors that count."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.eventfd import EFD_SEMAPHORE, make_event
from pkern.kernel.vfs.file import O_NONBLOCK
from pkern.syscalls.files.at import O_CLOEXEC, install
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


@syscall(290, "eventfd2", INT, SINT)
def eventfd2(task: Task, count: int, flags: int = 0) -> int:
    """Return a descriptor of a counter. flags: EFD_SEMAPHORE 1, EFD_NONBLOCK, EFD_CLOEXEC.

    Errors: EINVAL, EMFILE. Source: eventfd(2).
    """
    if flags & ~(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC):
        raise SyscallError(errno.EINVAL)
    return install(task, make_event(task.kernel, task, count & 0xFFFF_FFFF, flags), flags)


@syscall(284, "eventfd", INT)
def eventfd(task: Task, count: int) -> int:
    """As eventfd2 without flags. Errors: as eventfd2. Source: eventfd(2)."""
    return eventfd2(task, count)
