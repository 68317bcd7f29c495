"""The rings of an io_uring: memory that a program and the kernel share, as an open file.

Owns its layout and the kernel's own ends of both rings, which no store of the program can move.
What is asked for in the entries is decided elsewhere (syscalls/io_uring). As on Linux the memory
never leaves, and a completion that finds no room waits until there is some.
Source: io_uring_setup(2), linux/io_uring.h of Linux 6.18.
"""

from __future__ import annotations

import errno
import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.file import O_RDWR, File
from pkern.kernel.vfs.inode import NEITHER, POLLIN, POLLOUT, Inode, MappedInode
from pkern.kernel.vfs.readiness import wake

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

PAGE_SIZE, LINE = 4096, 64
SQ_RING, CQ_RING, SQES = 0, 0x800_0000, 0x1000_0000  # offsets that mmap is given
PART_MASK = 0xF800_0000
ENTRY_BYTES, COMPLETION = 64, struct.Struct("<QiI")
WORD = struct.Struct("<I")
# struct io_rings: where its words are; completions follow, then the array of the submission ring.
SQ_HEAD, SQ_TAIL, CQ_HEAD, CQ_TAIL, SQ_MASK, CQ_MASK, SQ_SIZE, CQ_SIZE = range(0, 32, 4)
SQ_DROPPED, SQ_FLAGS, CQ_FLAGS, CQ_OVERFLOW = range(32, 48, 4)
CQES = 64
FLAG_NEED_WAKEUP = 1  # in SQ_FLAGS: who submits must say so: the kernel's thread sleeps
FLAG_OVERFLOW = 2  # completions wait for room
EVENTFD_DISABLED = 1  # in CQ_FLAGS
SQPOLL = 2  # IORING_SETUP_SQPOLL
SINGLE_ISSUER = 1 << 12  # IORING_SETUP_SINGLE_ISSUER
NO_ARRAY = 1 << 16  # IORING_SETUP_NO_SQARRAY
COUNT = (1 << 32) - 1


def _rounded(nbytes: int, unit: int) -> int:
    return -(-nbytes // unit) * unit


class RingInode(MappedInode):
    """Both rings and the entries; asked: how often a wait may look for entries."""

    lacks = NEITHER
    kind = "anon"
    type_bits = 0
    noexec = True
    can_direct = can_seal = has_file_flags = False
    fixed = errno.EOPNOTSUPP
    can_sync = False
    can_epoll = True
    can_seek = False
    mapping_flags = lib.MAPPING_MEMORY | lib.MAPPING_LOCKED
    fallocate_modes = frozenset()

    def __init__(self, kernel: Machine, sq_entries: int, cq_entries: int, flags: int) -> None:
        super().__init__(kernel, 0o600)
        self.sq_entries, self.cq_entries, self.flags = sq_entries, cq_entries, flags
        self.array = _rounded(CQES + cq_entries * COMPLETION.size, LINE)
        if flags & NO_ARRAY:
            self.ring_bytes = _rounded(self.array, PAGE_SIZE)
        else:
            self.ring_bytes = _rounded(self.array + sq_entries * WORD.size, PAGE_SIZE)
        self.entry_bytes = _rounded(sq_entries * ENTRY_BYTES, PAGE_SIZE)
        self._sq_head = self._cq_tail = 0
        self.completed = 0  # so far, with those that wait for room
        self._waiting: deque[bytes] = deque()
        self.on_close: Callable[[], None] = lambda: None
        self.owner: Any = None  # its requests: syscalls/io_uring
        try:
            self._lay_out()
        except SyscallError:
            self.released()
            raise

    @property
    def nr_pages(self) -> int:
        """How many pages it takes, none of which ever leaves."""
        return (self.ring_bytes + self.entry_bytes) // PAGE_SIZE

    def _lay_out(self) -> None:
        """Errors: ENOMEM."""
        MappedInode.truncate(self, self.ring_bytes + self.entry_bytes)
        MappedInode.write(self, 0, bytes(self.ring_bytes + self.entry_bytes))
        self._set(SQ_MASK, self.sq_entries - 1)
        self._set(CQ_MASK, self.cq_entries - 1)
        self._set(SQ_SIZE, self.sq_entries)
        self._set(CQ_SIZE, self.cq_entries)
        if self.flags & SQPOLL:
            self._set(SQ_FLAGS, FLAG_NEED_WAKEUP)

    # ---- words ----

    def _get(self, at: int) -> int:
        return int(WORD.unpack(self.peek(at, WORD.size))[0])

    def _set(self, at: int, value: int) -> None:
        MappedInode.write(self, at, WORD.pack(value & COUNT))

    # ---- as a file ----

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        raise SyscallError(errno.EINVAL)

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        raise SyscallError(errno.EINVAL)

    def opened(self, task: Caller) -> Inode:
        raise SyscallError(errno.ENXIO)  # through /proc

    def truncate(self, size: int) -> None:
        raise SyscallError(errno.EINVAL)

    def place_of(self, offset: int) -> int:
        """Return where in this file the part that mmap's offset names begins. Errors: EINVAL."""
        part = offset & PART_MASK
        if part not in (SQ_RING, CQ_RING, SQES):
            raise SyscallError(errno.EINVAL)
        return self.ring_bytes if part == SQES else 0

    def poll(self, file: File) -> int:
        room = self._get(SQ_TAIL) - self._sq_head & COUNT < self.sq_entries
        found = self._waiting or self.nr_completions
        return (POLLOUT if room else 0) | (POLLIN if found else 0)

    def file_closed(self, file: File) -> None:
        self.on_close()

    def released(self) -> None:
        """Go with the open file, though a name is counted."""
        if not self.open_count:
            self.nlink = 0
        super().released()

    # ---- submissions ----

    def next_entry(self) -> bytes | None:
        """Take the next entry's 64 bytes; None: there is none. One that is nowhere is dropped."""
        while self._get(SQ_TAIL) != self._sq_head & COUNT:
            place = self._sq_head & self.sq_entries - 1
            index = place if self.flags & NO_ARRAY else self._get(self.array + place * WORD.size)
            self._sq_head += 1
            if index < self.sq_entries:
                return self.peek(self.ring_bytes + index * ENTRY_BYTES, ENTRY_BYTES)
            self._set(SQ_DROPPED, self._get(SQ_DROPPED) + 1)
        return None

    @property
    def nr_entries(self) -> int:
        """How many entries wait to be taken."""
        return min(self._get(SQ_TAIL) - self._sq_head & COUNT, self.sq_entries)

    def show_taken(self) -> None:
        """Let the program see which entries have been taken."""
        self._set(SQ_HEAD, self._sq_head)

    # ---- completions ----

    @property
    def nr_completions(self) -> int:
        """How many the program has not taken yet, of those that found room."""
        return self._cq_tail - self._get(CQ_HEAD) & COUNT

    @property
    def is_eventfd_quiet(self) -> bool:
        """Whether the program has said that its eventfd is not to be told now."""
        return bool(self._get(CQ_FLAGS) & EVENTFD_DISABLED)

    def complete(self, user_data: int, result: int, flags: int = 0) -> None:
        """Tell the program of an end, and wake who waits for one."""
        self.completed += 1
        self._waiting.append(COMPLETION.pack(user_data, result, flags))
        self.flush()
        wake(self, POLLIN)

    def flush(self) -> None:
        """Store completions that wait, as many as there is room for."""
        while self._waiting and self.nr_completions < self.cq_entries:
            place = self._cq_tail & self.cq_entries - 1
            MappedInode.write(self, CQES + place * COMPLETION.size, self._waiting.popleft())
            self._cq_tail += 1
            self._set(CQ_TAIL, self._cq_tail)
        flag = FLAG_OVERFLOW if self._waiting else 0
        if self._get(SQ_FLAGS) & FLAG_OVERFLOW != flag:
            self._set(SQ_FLAGS, self._get(SQ_FLAGS) & ~FLAG_OVERFLOW | flag)


def open_rings(kernel: Machine, inode: RingInode, task: Caller) -> File:
    """Return an open file of them. Errors: ENFILE."""
    return kernel.vfs.register(File(kernel, inode, "anon_inode:[io_uring]", O_RDWR, task))
