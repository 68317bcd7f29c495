"""Rings that a task knows by a small number besides their descriptors, or without any.

Owns Thread.rings, which end with the task, and with its program. Source: io_uring_register(2),
Linux 6.18 io_uring/tctx.c.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.io_uring import RingInode
from pkern.syscalls.abi import signed32
from pkern.syscalls.files.at import drop

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.syscalls.io_uring.ring import Ring

UPDATE = struct.Struct("<IIQ")  # struct io_uring_rsrc_update
MOST, ANY = 16, (1 << 32) - 1


def ring_of(task: Task, fd: int) -> Ring:
    """Return the ring of a descriptor. Errors: EBADF, EOPNOTSUPP."""
    return _ring(task.fds.get(fd))


def known_ring(task: Task, number: int) -> Ring:
    """Return the ring that the task knows by a number. Errors: EINVAL, EBADF."""
    if not 0 <= number < MOST:
        raise SyscallError(errno.EINVAL)
    file = task.thread.rings.get(number)
    if file is None:
        raise SyscallError(errno.EBADF)
    return _ring(file)


def _ring(file: File) -> Ring:
    if not isinstance(file.inode, RingInode):
        raise SyscallError(errno.EOPNOTSUPP)
    ring: Ring = file.inode.owner
    return ring


def _updates(task: Task, addr: int, count: int) -> list[tuple[int, int, int, int]]:
    """Return struct io_uring_rsrc_updates, each behind its address. Errors: EINVAL, EFAULT."""
    if not 0 < count <= MOST:
        raise SyscallError(errno.EINVAL)
    places = range(addr, addr + count * UPDATE.size, UPDATE.size)
    return [(at, *UPDATE.unpack(task.mm.copy_in(at, UPDATE.size))) for at in places]


def add(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Give rings numbers, which are stored; return how many were done.

    Errors: EINVAL, EBADF, EOPNOTSUPP (no ring), EBUSY, EFAULT, where none was done.
    """
    done = 0
    try:
        for at, number, reserved, fd in _updates(task, addr, count):
            if reserved or (number >= MOST and number != ANY):
                raise SyscallError(errno.EINVAL)
            file = task.fds.get(signed32(fd))
            _ring(file)
            chosen = _free(task, number)
            task.mm.copy_out(at, struct.pack("<I", chosen))
            _know(task, chosen, file)
            done += 1
    except SyscallError:
        if not done:
            raise
    return done


def _know(task: Task, number: int, file: File) -> None:
    file.descriptors += 1
    task.thread.rings[number] = file


def remember(task: Task, file: File) -> int:
    """Give a new ring a number and no descriptor; it is closed if there is none. Errors: EBUSY."""
    try:
        number = _free(task, ANY)
    except SyscallError:
        drop(file)
        raise
    _know(task, number, file)
    return number


def _free(task: Task, number: int) -> int:
    """Return the number, or for ANY a free one. Errors: EBUSY."""
    choices = range(MOST) if number == ANY else (number,)
    for choice in choices:
        if choice not in task.thread.rings:
            return choice
    raise SyscallError(errno.EBUSY)


def remove(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Forget numbers; return how many were done. Errors: EINVAL, EFAULT, where none was done."""
    done = 0
    for _, number, reserved, fd in _updates(task, addr, count):
        if reserved or fd or number >= MOST:
            if not done:
                raise SyscallError(errno.EINVAL)
            break
        file = task.thread.rings.pop(number, None)
        if file is not None:
            file.put()
        done += 1
    return done
