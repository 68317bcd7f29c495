"""io_uring_register: what a ring is given to use, and what it is asked.

Source: io_uring_register(2), Linux 6.18 io_uring/register.c.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.eventfd import EventInode
from pkern.syscalls.io_uring import tables
from pkern.syscalls.io_uring.calls import ring_of
from pkern.syscalls.io_uring.operations import LAST, OPERATIONS
from pkern.syscalls.io_uring.ring import NO_FILE, Ring
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

PROBE_OP, MOST_PROBED, SUPPORTED = struct.Struct("<BBHI"), 256, 1
PROBE_HEAD = 16
REGISTERS = "buffers, files and other files, eventfd, probe, enable, rings of buffers"


def _need_nothing(addr: int, count: int) -> None:
    if addr or count:
        raise SyscallError(errno.EINVAL)


def _one(count: int) -> None:
    if count != 1:
        raise SyscallError(errno.EINVAL)


def _register_group(task: Task, ring: Ring, addr: int, count: int) -> int:
    _one(count)
    return ring.groups.register(task, addr)


def _unregister_group(task: Task, ring: Ring, addr: int, count: int) -> int:
    _one(count)
    return ring.groups.unregister(task, addr)


def _group_status(task: Task, ring: Ring, addr: int, count: int) -> int:
    _one(count)
    return ring.groups.status(task, addr)


def _register_eventfd(task: Task, ring: Ring, addr: int, count: int) -> int:
    if count != 1:
        raise SyscallError(errno.EINVAL)
    if ring.eventfd is not None:
        raise SyscallError(errno.EBUSY)
    (fd,) = struct.unpack("<i", task.mm.copy_in(addr, 4))
    file = task.fds.get(fd)
    if not isinstance(file.inode, EventInode):
        raise SyscallError(errno.EINVAL)
    file.descriptors += 1
    ring.eventfd = file
    return 0


def _unregister_eventfd(task: Task, ring: Ring, addr: int, count: int) -> int:
    _need_nothing(addr, count)
    if ring.eventfd is None:
        raise SyscallError(errno.ENXIO)
    ring.eventfd.put()
    ring.eventfd = None
    return 0


def _probe(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Tell which opcodes there are, of Linux's up to LAST."""
    if not addr or count > MOST_PROBED:
        raise SyscallError(errno.EINVAL)
    nbytes = PROBE_HEAD + count * PROBE_OP.size
    if any(task.mm.copy_in(addr, nbytes)):
        raise SyscallError(errno.EINVAL)
    shown = range(min(count, LAST + 1))
    rows = [PROBE_OP.pack(op, 0, SUPPORTED if op in OPERATIONS else 0, 0) for op in shown]
    head = struct.pack("<BBHIII", LAST, len(rows), 0, 0, 0, 0)
    task.mm.copy_out(addr, (head + b"".join(rows)).ljust(nbytes, b"\0"))
    return 0


def _enable(task: Task, ring: Ring, addr: int, count: int) -> int:
    _need_nothing(addr, count)
    if ring.enabled:
        raise SyscallError(errno.EBADFD)
    ring.enabled = 1
    return 0


Registration = Callable[[Any, Ring, int, int], int]
REGISTRATIONS: dict[int, Registration] = {
    0: tables.register_buffers,
    1: tables.unregister_buffers,
    2: tables.register_files,
    3: tables.unregister_files,
    4: _register_eventfd,
    5: _unregister_eventfd,
    6: tables.update_files,
    8: _probe,
    12: _enable,
    13: tables.register_files2,
    14: tables.update_files2,
    15: tables.register_buffers2,
    16: tables.update_buffers,
    22: _register_group,
    23: _unregister_group,
    25: tables.limit_files,
    26: _group_status,
}


@syscall(427, "io_uring_register", SINT, INT, INT, INT, partly=REGISTERS)
def io_uring_register(task: Task, fd: int, operation: int, addr: int, count: int) -> int:
    """Give a ring buffers, files or an eventfd to use, enable it, or ask what it can do.

    Errors: EBADF, EOPNOTSUPP (no io_uring), EINVAL, EBUSY (there are some), ENXIO (there are none),
    EFAULT, EMFILE, EBADFD. Source: io_uring_register(2).
    """
    operation &= 0xFFFF_FFFF
    known = REGISTRATIONS.get(operation)
    if operation > LAST_REGISTRATION or fd == NO_FILE:
        raise SyscallError(errno.EINVAL)
    ring = ring_of(task, fd)
    if known is None:
        raise SyscallError(errno.EINVAL)
    return known(task, ring, addr, count & 0xFFFF_FFFF)


LAST_REGISTRATION = 36
