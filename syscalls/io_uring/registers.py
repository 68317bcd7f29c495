"""io_uring_register: what a ring is given to use, and what it is asked.

Source: io_uring_register(2), Linux 6.18 io_uring/register.c.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.clock import CLOCK_BOOTTIME, CLOCK_MONOTONIC
from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.eventfd import EventInode
from pkern.kernel.vfs.anon.io_uring import RingInode
from pkern.syscalls.io_uring import (
    known,
    queries,
    regions,
    rights,
    tables,
    telling,
    tuning,
    waiting,
)
from pkern.syscalls.io_uring.known import known_ring, ring_of
from pkern.syscalls.io_uring.operations import LAST, OPERATIONS
from pkern.syscalls.io_uring.requests import ENTRY, Entry
from pkern.syscalls.io_uring.ring import NO_FILE, Ring
from pkern.syscalls.io_uring.slots import ANY_SLOT
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

PROBE_OP, MOST_PROBED, SUPPORTED = struct.Struct("<BBHI"), 256, 1
PROBE_HEAD = 16
SYNC_CANCEL, CLOCK_BYTES = struct.Struct("<QiI16xB31x"), 16  # io_uring_sync_cancel_reg
CLONE, SOURCE_KNOWN, REPLACE = struct.Struct("<IIIII12x"), 1, 2  # io_uring_clone_buffers
MSG_RING = 40  # the opcode of a message's entry
USE_KNOWN = 1 << 31  # the ring is named by the number that the task knows it by
REGISTERS = "no devices to receive from: EINVAL"


def _need_nothing(addr: int, count: int) -> None:
    if addr or count:
        raise SyscallError(errno.EINVAL)


def _one(count: int) -> None:
    if count != 1:
        raise SyscallError(errno.EINVAL)


def _one_at(addr: int, count: int) -> None:
    _one(count)
    if not addr:
        raise SyscallError(errno.EINVAL)


def _register_group(task: Task, ring: Ring, addr: int, count: int) -> int:
    _one_at(addr, count)
    return ring.groups.register(task, addr)


def _unregister_group(task: Task, ring: Ring, addr: int, count: int) -> int:
    _one_at(addr, count)
    return ring.groups.unregister(task, addr)


def _group_status(task: Task, ring: Ring, addr: int, count: int) -> int:
    _one_at(addr, count)
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
    ring.enable(task)
    return 0


def _cancel(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Call requests off, as ASYNC_CANCEL does. Errors: EINVAL, EFAULT, EBADF, ENOENT."""
    if not addr or count != 1:
        raise SyscallError(errno.EINVAL)
    raw = task.mm.copy_in(addr, SYNC_CANCEL.size)
    user_data, fd, flags, opcode = SYNC_CANCEL.unpack(raw)
    if flags & ~waiting.CANCEL_FLAGS or any(raw[33:]):
        raise SyscallError(errno.EINVAL)
    file = waiting.file_meant(task, ring, fd, flags)
    return waiting.Wanted(flags, user_data, file, opcode).call_off(ring, None)


def _choose_clock(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Choose the clock of waits' times; the machine is never suspended, so they agree."""
    if not addr or count:
        raise SyscallError(errno.EINVAL)
    raw = task.mm.copy_in(addr, CLOCK_BYTES)
    if any(raw[4:]) or int.from_bytes(raw[:4], "little") not in (CLOCK_MONOTONIC, CLOCK_BOOTTIME):
        raise SyscallError(errno.EINVAL)
    return 0


def _send_message(task: Task, addr: int, count: int) -> int:
    """Tell a ring something, without one of one's own (an entry of MSG_RING at addr).

    Errors: EINVAL, EFAULT, EBADF, EBADFD.
    """
    if not addr or count != 1:
        raise SyscallError(errno.EINVAL)
    entry = Entry(*ENTRY.unpack(task.mm.copy_in(addr, ENTRY.size)))
    if entry.flags or entry.opcode != MSG_RING or entry.buf_index or entry.personality:
        raise SyscallError(errno.EINVAL)
    telling.check_tell(entry)
    if entry.addr & ANY_SLOT != telling.SEND_DATA:
        raise SyscallError(errno.EINVAL)
    file = task.fds.get(entry.fd)
    if not isinstance(file.inode, RingInode):
        raise SyscallError(errno.EBADFD)
    return telling.send_data(entry, file.inode.owner)


def _clone_buffers(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Have the buffers of another ring too (struct io_uring_clone_buffers)."""
    if not addr or count != 1:
        raise SyscallError(errno.EINVAL)
    raw = task.mm.copy_in(addr, CLONE.size)
    fd, flags, start, to, wanted = CLONE.unpack(raw)
    if flags & ~(SOURCE_KNOWN | REPLACE):
        raise SyscallError(errno.EINVAL)
    if ring.buffers and not flags & REPLACE:
        raise SyscallError(errno.EBUSY)
    if any(raw[20:]):
        raise SyscallError(errno.EINVAL)
    source = known_ring(task, fd) if flags & SOURCE_KNOWN else ring_of(task, fd)
    return tables.clone_buffers(source, ring, start, to, wanted)


# Those that need no ring.
WITHOUT_RING: dict[int, Callable[[Any, int, int], int]] = {31: _send_message, 35: queries.query}
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
    9: rights.add_personality,
    10: rights.remove_personality,
    11: rights.restrict,
    12: _enable,
    13: tables.register_files2,
    14: tables.update_files2,
    15: tables.register_buffers2,
    16: tables.update_buffers,
    17: tuning.choose_processors,
    18: tuning.any_processors,
    19: tuning.limit_workers,
    20: known.add,
    21: known.remove,
    22: _register_group,
    23: _unregister_group,
    24: _cancel,
    25: tables.limit_files,
    26: _group_status,
    27: tuning.poll_busily,
    28: tuning.poll_quietly,
    29: _choose_clock,
    30: _clone_buffers,
    33: regions.resize,
    34: regions.register,
    35: lambda task, ring, addr, count: queries.query(task, addr, count),
}


@syscall(427, "io_uring_register", SINT, INT, INT, INT, partly=REGISTERS)
def io_uring_register(task: Task, fd: int, operation: int, addr: int, count: int) -> int:
    """Give a ring buffers, files or an eventfd to use, enable it, or ask what it can do.

    Errors: EBADF, EOPNOTSUPP (no io_uring), EINVAL, EBUSY (there are some), ENXIO (there are none),
    EFAULT, EMFILE, EBADFD. Source: io_uring_register(2).
    """
    by_number = operation & USE_KNOWN
    operation &= USE_KNOWN - 1
    count &= 0xFFFF_FFFF
    known_operation = REGISTRATIONS.get(operation)
    if operation >= rights.LAST_REGISTRATION:
        raise SyscallError(errno.EINVAL)
    if fd == NO_FILE:
        if operation not in WITHOUT_RING:
            raise SyscallError(errno.EINVAL)
        return WITHOUT_RING[operation](task, addr, count)
    ring = known_ring(task, fd) if by_number else ring_of(task, fd)
    ring.need_issuer(task)
    limits = ring.restrictions if ring.enabled else None
    if limits is not None and operation not in limits.registrations:
        raise SyscallError(errno.EACCES)
    if known_operation is None:
        raise SyscallError(errno.EINVAL)
    return known_operation(task, ring, addr, count)
