"""Buffers that a program provides, of which the kernel takes one when there is something to put in.

Owns the groups of a ring: lists that IORING_OP_PROVIDE_BUFFERS fills, and rings in the program's
own memory (IORING_REGISTER_PBUF_RING). A buffer is gone once something was put in, not before.
Source: io_uring_register(2), io_uring_enter(2), Linux 6.18 io_uring/kbuf.c.
"""

from __future__ import annotations

import errno
import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.syscalls.io_uring.requests import Request

MOST_BUFFERS, MOST_ID = 1 << 16, (1 << 16) - 1
REGISTRATION, STATUS = struct.Struct("<QIHH24x"), struct.Struct("<II32x")
REGISTRATION_BYTES, RESERVED = 40, slice(16, 40)
BUFFER, TAIL_AT = struct.Struct("<QIHH"), 14
MOST_RING = 1 << 15
PAGE_SIZE = 4096
MOST_AT_ONCE, INT_MAX = 256, (1 << 31) - 1  # of a bundle: buffers, bytes
F_BUFFER, ID_SHIFT = 1, 16  # of a completion's flags


class Buffer(NamedTuple):
    """One of a group. taken: says that it was used."""

    addr: int
    nbytes: int
    number: int
    taken: Callable[[], None]

    @property
    def flags(self) -> int:
        """What a completion says of it."""
        return F_BUFFER | self.number << ID_SHIFT


class Pieces(NamedTuple):
    """Buffers for one call. reached_end: the group has no more. is_cut: another was too large."""

    buffers: list[Buffer]
    reached_end: int
    is_cut: int

    def vectors(self) -> list[tuple[int, int]]:
        """Return where they are: address, bytes."""
        return [(buffer.addr, buffer.nbytes) for buffer in self.buffers]

    def take(self, nbytes: int) -> int:
        """Use up as many as hold so many bytes; return what a completion says of the first."""
        for buffer in self.buffers:
            if nbytes <= 0:
                break
            buffer.taken()
            nbytes -= buffer.nbytes
        return self.buffers[0].flags


class Group(Protocol):
    """Where buffers come from."""

    def first(self, task: Task) -> Buffer | None: ...
    def several(self, task: Task, wanted: int, most: int) -> Pieces:
        """Return buffers for wanted bytes, or for 0 up to most. Errors: ENOBUFS, EFAULT."""


class ListGroup:
    """Buffers that PROVIDE_BUFFERS gave, in that order: (address, bytes, number)."""

    def __init__(self) -> None:
        self.buffers: deque[tuple[int, int, int]] = deque()

    def first(self, task: Task) -> Buffer | None:
        """Return the next one, which stays until it is taken."""
        if not self.buffers:
            return None
        return Buffer(*self.buffers[0], self._take)

    def several(self, task: Task, wanted: int, most: int) -> Pieces:
        """Return the next one, whole: a list gives one at a time."""
        found = self.first(task)
        if found is None:
            raise SyscallError(errno.ENOBUFS)
        return Pieces([found], int(len(self.buffers) == 1), 0)

    def _take(self) -> None:
        self.buffers.popleft()


class RingGroup:
    """Buffers in a ring of the program's: it moves the tail, the kernel the head."""

    def __init__(self, addr: int, entries: int) -> None:
        self.addr, self.entries = addr, entries
        self.head = 0

    def first(self, task: Task) -> Buffer | None:
        """Return the next one, which stays until it is taken. Errors: EFAULT."""
        return self._buffer(task, 0) if self._nr_offered(task) else None

    def _nr_offered(self, task: Task) -> int:
        tail = int.from_bytes(task.mm.copy_in(self.addr + TAIL_AT, 2), "little")
        return tail - self.head & MOST_ID

    def _buffer(self, task: Task, place: int) -> Buffer:
        """Return the one that stands so many behind the next."""
        at = self.addr + (self.head + place & self.entries - 1) * BUFFER.size
        addr, nbytes, number, _ = BUFFER.unpack(task.mm.copy_in(at, BUFFER.size))
        return Buffer(addr, nbytes, number, self._take)

    def several(self, task: Task, wanted: int, most: int) -> Pieces:
        """Return whole buffers; only one alone is cut to what is wanted. Errors: ENOBUFS, EFAULT.

        As many are looked at as would do if all were as large as the first.
        """
        offered = self._nr_offered(task)
        if not offered or (wanted and not self._buffer(task, 0).nbytes):
            raise SyscallError(errno.ENOBUFS)
        limit = -(-wanted // self._buffer(task, 0).nbytes) if wanted else most
        left, found = wanted or INT_MAX, list[Buffer]()
        for place in range(min(offered, limit, MOST_AT_ONCE)):
            buffer = self._buffer(task, place)
            if buffer.nbytes > left and found:
                return Pieces(found, 0, 1)
            found.append(buffer._replace(nbytes=min(buffer.nbytes, left)))
            if buffer.nbytes >= left:
                return Pieces(found, 0, int(buffer.nbytes > left))
            left -= buffer.nbytes
        return Pieces(found, int(len(found) == offered), 0)

    def _take(self) -> None:
        self.head = self.head + 1 & MOST_ID


class Groups:
    """All groups of one ring, by their number."""

    def __init__(self) -> None:
        self._groups: dict[int, ListGroup | RingGroup] = {}

    def choose(self, task: Task, number: int, nbytes: int) -> Buffer:
        """Return the next buffer of a group; nbytes: what is wanted, 0: all. Errors: ENOBUFS."""
        group = self._groups.get(number)
        found = group.first(task) if group is not None else None
        if found is None:
            raise SyscallError(errno.ENOBUFS)
        return found._replace(nbytes=min(nbytes, found.nbytes) if nbytes else found.nbytes)

    def several(self, task: Task, number: int, wanted: int, most: int) -> Pieces:
        """Return buffers of a group for one call, as Group.several. Errors: ENOBUFS, EFAULT."""
        group = self._groups.get(number)
        if group is None:
            raise SyscallError(errno.ENOBUFS)
        return group.several(task, wanted, most)

    def is_ring(self, number: int) -> bool:
        """Tell whether a group is a ring in the program's memory."""
        return isinstance(self._groups.get(number), RingGroup)

    # ---- lists ----

    def provide(self, request: Request) -> int:
        """Add buffers to a group. Errors: E2BIG, EINVAL, EFAULT (no user's memory)."""
        entry = request.entry
        group = self._groups.setdefault(entry.buf_index, ListGroup())
        if not isinstance(group, ListGroup):
            raise SyscallError(errno.EINVAL)
        for place in range(entry.fd):
            addr = entry.addr + place * entry.length
            group.buffers.append((addr, entry.length, entry.off + place))
        return 0

    def remove(self, request: Request) -> int:
        """Remove up to so many buffers of a group; return how many. Errors: ENOENT, EINVAL."""
        group = self._groups.get(request.entry.buf_index)
        if group is None:
            raise SyscallError(errno.ENOENT)
        if not isinstance(group, ListGroup):
            raise SyscallError(errno.EINVAL)
        removed = min(request.entry.fd, len(group.buffers))
        for _ in range(removed):
            group.buffers.popleft()
        return removed

    # ---- rings ----

    def register(self, task: Task, addr: int) -> int:
        """Let a group be a ring at an address. Errors: EINVAL, EFAULT, EEXIST."""
        raw = task.mm.copy_in(addr, REGISTRATION_BYTES)
        at, entries, number, flags = REGISTRATION.unpack(raw)
        if any(raw[RESERVED]) or flags:
            raise SyscallError(errno.EINVAL)
        if not entries or entries & entries - 1 or entries > MOST_RING:
            raise SyscallError(errno.EINVAL)
        found = self._groups.get(number)
        if isinstance(found, RingGroup) or (found is not None and found.buffers):
            raise SyscallError(errno.EEXIST)
        if not at or at % PAGE_SIZE:
            raise SyscallError(errno.EINVAL if at else errno.EFAULT)
        task.mm.copy_in(at, BUFFER.size * entries)
        self._groups[number] = RingGroup(at, entries)
        return 0

    def unregister(self, task: Task, addr: int) -> int:
        """Forget a group that is a ring. Errors: EINVAL, ENOENT."""
        raw = task.mm.copy_in(addr, REGISTRATION_BYTES)
        _, _, number, flags = REGISTRATION.unpack(raw)
        if any(raw[RESERVED]) or flags:
            raise SyscallError(errno.EINVAL)
        if number not in self._groups:
            raise SyscallError(errno.ENOENT)
        if not isinstance(self._groups[number], RingGroup):
            raise SyscallError(errno.EINVAL)
        del self._groups[number]
        return 0

    def status(self, task: Task, addr: int) -> int:
        """Store the head of a group that is a ring. Errors: EINVAL, ENOENT."""
        raw = task.mm.copy_in(addr, STATUS.size)
        number, _ = STATUS.unpack(raw)
        if any(raw[8:]):
            raise SyscallError(errno.EINVAL)
        group = self._groups.get(number)
        if group is None:
            raise SyscallError(errno.ENOENT)
        if not isinstance(group, RingGroup):
            raise SyscallError(errno.EINVAL)
        task.mm.copy_out(addr, STATUS.pack(number, group.head))
        return 0
