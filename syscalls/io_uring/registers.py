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
from pkern.kernel.vfs.anon.io_uring import RingInode
from pkern.syscalls.files.read_write import vectors
from pkern.syscalls.io_uring.calls import ring_of
from pkern.syscalls.io_uring.operations import LAST, OPERATIONS
from pkern.syscalls.io_uring.ring import NO_FILE, Ring
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

PROBE_OP, MOST_PROBED, SUPPORTED = struct.Struct("<BBHI"), 256, 1
PROBE_HEAD = 16
FILES_UPDATE = struct.Struct("<IIQ")
MOST_FILES, MOST_BUFFERS, MOST_BUFFER_BYTES = 1 << 15, 1 << 14, 1 << 30
REGISTERS = "buffers, files and other files, eventfd, probe, enable, rings of buffers"


def _register_buffers(task: Task, ring: Ring, addr: int, count: int) -> int:
    if ring.buffers:
        raise SyscallError(errno.EBUSY)
    if not 0 < count <= MOST_BUFFERS:
        raise SyscallError(errno.EINVAL)
    buffers = []
    for first in range(0, count, 1024):
        buffers += vectors(task, addr + 16 * first, min(1024, count - first))
    for base, nbytes in buffers:
        if bool(base) != bool(nbytes) or nbytes > MOST_BUFFER_BYTES:
            raise SyscallError(errno.EFAULT)
        if base:
            task.mm.check_user(base, nbytes)
    ring.buffers = buffers
    return 0


def _unregister_buffers(task: Task, ring: Ring, addr: int, count: int) -> int:
    _need_nothing(addr, count)
    if not ring.buffers:
        raise SyscallError(errno.ENXIO)
    ring.buffers = []
    return 0


def _need_nothing(addr: int, count: int) -> None:
    if addr or count:
        raise SyscallError(errno.EINVAL)


def _files_in(task: Task, addr: int, count: int) -> list[File | None]:
    """Return open files, held. Errors: EBADF, EFAULT."""
    fds = struct.unpack(f"<{count}i", task.mm.copy_in(addr, 4 * count))
    files = [None if fd == NO_FILE else task.fds.get(fd) for fd in fds]
    if any(file is not None and isinstance(file.inode, RingInode) for file in files):
        raise SyscallError(errno.EBADF)
    for file in files:
        if file is not None:
            file.descriptors += 1
    return files


def _register_files(task: Task, ring: Ring, addr: int, count: int) -> int:
    if ring.files:
        raise SyscallError(errno.EBUSY)
    if not count:
        raise SyscallError(errno.EINVAL)
    if count > MOST_FILES or count > task.rlimits["nofile"][0]:
        raise SyscallError(errno.EMFILE)
    ring.files = _files_in(task, addr, count)
    return 0


def _update_files(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Put other files into slots (struct io_uring_files_update). Errors: EINVAL, ENXIO, EBADF."""
    first, reserved, fds = FILES_UPDATE.unpack(task.mm.copy_in(addr, FILES_UPDATE.size))
    if reserved or not count:
        raise SyscallError(errno.EINVAL)
    return ring.update_files(task, first, fds, count)


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


def _unregister_files(task: Task, ring: Ring, addr: int, count: int) -> int:
    _need_nothing(addr, count)
    if not ring.files:
        raise SyscallError(errno.ENXIO)
    ring.drop_files()
    return 0


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
    0: _register_buffers,
    1: _unregister_buffers,
    2: _register_files,
    3: _unregister_files,
    4: _register_eventfd,
    5: _unregister_eventfd,
    6: _update_files,
    8: _probe,
    12: _enable,
    22: _register_group,
    23: _unregister_group,
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
