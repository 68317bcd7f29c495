"""The rings of an io_uring: memory that a program and the kernel share, as an open file.

Owns its layout and the kernel's own ends of both rings, which no store of the program can move.
Rings of another size stand behind what was there, which stays where it is mapped. The memory may
be the program's own instead (NO_MMAP), found by its addresses: what it has unmapped meanwhile, or
left behind, reads as 0. What is asked for in the entries is decided elsewhere (syscalls/io_uring).
As on Linux the file's memory never leaves, and a completion that finds no room waits until there is
some.
Source: io_uring_setup(2), linux/io_uring.h of Linux 6.18.
"""

from __future__ import annotations

import errno
import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.file import O_RDWR, File
from pkern.kernel.vfs.inode import NEITHER, POLLIN, POLLOUT, Inode, MappedInode
from pkern.kernel.vfs.readiness import wake

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Mm
    from pkern.kernel.vfs.machine import Caller, Machine

PAGE_SIZE, LINE = 4096, 64
# Offsets that mmap is given.
SQ_RING, CQ_RING, SQES, PARAMETERS = 0, 0x800_0000, 0x1000_0000, 0x2000_0000
PART_MASK = 0xF800_0000
ENTRY_BYTES, COMPLETION = 64, struct.Struct("<QiI")
MORE = 16  # bytes of a completion that is twice as large: two numbers
WORD = struct.Struct("<I")
# struct io_rings: where its words are; completions follow, then the array of the submission ring.
SQ_HEAD, SQ_TAIL, CQ_HEAD, CQ_TAIL, SQ_MASK, CQ_MASK, SQ_SIZE, CQ_SIZE = range(0, 32, 4)
SQ_DROPPED, SQ_FLAGS, CQ_FLAGS, CQ_OVERFLOW = range(32, 48, 4)
CQES = 64
KEPT = (SQ_DROPPED, SQ_FLAGS, CQ_FLAGS, CQ_OVERFLOW)  # when the size changes
FLAG_NEED_WAKEUP = 1  # in SQ_FLAGS: who submits must say so: the kernel's thread sleeps
FLAG_OVERFLOW = 2  # completions wait for room
FLAG_TASKRUN = 4  # a call lets completions come
EVENTFD_DISABLED = 1  # in CQ_FLAGS
SQPOLL = 2  # IORING_SETUP_SQPOLL
SINGLE_ISSUER = 1 << 12  # IORING_SETUP_SINGLE_ISSUER
NO_ARRAY = 1 << 16  # IORING_SETUP_NO_SQARRAY
SQE128, CQE32, NO_MMAP, CQE_MIXED = 1 << 10, 1 << 11, 1 << 14, 1 << 18  # IORING_SETUP_*
F_SKIP, F_LARGE = 1 << 5, 1 << 15  # of a completion's flags: that is none; twice as large
COUNT = (1 << 32) - 1


def _rounded(nbytes: int, unit: int) -> int:
    return -(-nbytes // unit) * unit


class Sizes(NamedTuple):
    """What rings look like: how many entries, and IORING_SETUP_* of what kind they are."""

    sq_entries: int
    cq_entries: int
    flags: int

    @property
    def entry_bytes(self) -> int:
        """Bytes of an entry."""
        return 2 * ENTRY_BYTES if self.flags & SQE128 else ENTRY_BYTES

    @property
    def completion_bytes(self) -> int:
        """Bytes of a completion, where all have as many."""
        return COMPLETION.size + (MORE if self.flags & CQE32 else 0)

    @property
    def array(self) -> int:
        """Where the array of the submission ring begins, or would: Linux doubles the head, too."""
        nbytes = CQES + self.cq_entries * COMPLETION.size
        return _rounded(2 * nbytes if self.flags & CQE32 else nbytes, LINE)

    @property
    def ring_bytes(self) -> int:
        """Whole pages that both rings take."""
        array_bytes = 0 if self.flags & NO_ARRAY else self.sq_entries * WORD.size
        return _rounded(self.array + array_bytes, PAGE_SIZE)

    @property
    def entries_bytes(self) -> int:
        """Whole pages that the entries take."""
        return _rounded(self.sq_entries * self.entry_bytes, PAGE_SIZE)


class Part(Protocol):
    """Memory that a ring has: both rings, or the entries. at: bytes from where it begins."""

    def load(self, at: int, nbytes: int) -> bytes: ...
    def store(self, at: int, data: bytes) -> None: ...
    def place(self) -> int:
        """Return where in the file it begins. Errors: ENOMEM: nowhere."""


class OwnPart(NamedTuple):
    """Pages of the file, from start on."""

    inode: RingInode
    start: int

    def load(self, at: int, nbytes: int) -> bytes:
        return self.inode.peek(self.start + at, nbytes)

    def store(self, at: int, data: bytes) -> None:
        MappedInode.write(self.inode, self.start + at, data)

    def place(self) -> int:
        return self.start


class UsersPart(NamedTuple):
    """Memory of a program, from start on."""

    mm: Mm
    start: int

    def load(self, at: int, nbytes: int) -> bytes:
        found = self.mm.read_forced(self.start + at, nbytes) if self.mm.users else b""
        return found.ljust(nbytes, b"\0")

    def store(self, at: int, data: bytes) -> None:
        if self.mm.users:
            self.mm.write_forced(self.start + at, data)

    def place(self) -> int:
        raise SyscallError(errno.ENOMEM)


class Users(NamedTuple):
    """Where a program has memory for rings, which can be stored to: addresses."""

    mm: Mm
    rings: int
    entries: int


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

    def __init__(self, kernel: Machine, sizes: Sizes, users: Users | None = None) -> None:
        super().__init__(kernel, 0o600)
        self.flags = sizes.flags
        self._parameters: range | None = None  # where memory for how to wait is
        self._sq_head = self._cq_tail = 0
        self._users_pages = 0
        self.completed = 0  # so far, with those that wait for room
        self._waiting: deque[bytes] = deque()
        self.on_close: Callable[[], None] = lambda: None
        self.owner: Any = None  # its requests: syscalls/io_uring
        try:
            self._lay_out(sizes, users)
        except SyscallError:
            self.released()
            raise

    @property
    def nr_pages(self) -> int:
        """How many pages it takes, none of which ever leaves."""
        return self.size // PAGE_SIZE + self._users_pages

    def _add(self, nbytes: int) -> int:
        """Have so many bytes more, all 0; return where they begin. Errors: ENOMEM."""
        start = self.size
        MappedInode.truncate(self, start + nbytes)
        try:
            MappedInode.write(self, start, bytes(nbytes))
        except SyscallError:
            MappedInode.truncate(self, start)
            raise
        return start

    def _parts(self, sizes: Sizes, users: Users | None) -> tuple[Part, Part]:
        """Return memory for both rings and the entries. Errors: ENOMEM."""
        if users is None:
            start = self._add(sizes.ring_bytes + sizes.entries_bytes)
            return OwnPart(self, start), OwnPart(self, start + sizes.ring_bytes)
        self._users_pages += (sizes.ring_bytes + sizes.entries_bytes) // PAGE_SIZE
        return UsersPart(users.mm, users.rings), UsersPart(users.mm, users.entries)

    def _lay_out(self, sizes: Sizes, users: Users | None) -> None:
        """Have rings of these sizes. Errors: ENOMEM."""
        self._rings, self._entries = self._parts(sizes, users)
        self.sizes = sizes
        self._rings.store(0, bytes(CQES))
        self._set(SQ_MASK, sizes.sq_entries - 1)
        self._set(CQ_MASK, sizes.cq_entries - 1)
        self._set(SQ_SIZE, sizes.sq_entries)
        self._set(CQ_SIZE, sizes.cq_entries)
        if self.flags & SQPOLL:
            self._set(SQ_FLAGS, FLAG_NEED_WAKEUP)

    def resize(self, sizes: Sizes, users: Users | None) -> None:
        """Have rings of other sizes, with what is in them, but for the array.

        Errors: EOVERFLOW (more is in them), ENOMEM.
        """
        tail, cq_head = self._get(SQ_TAIL), self._get(CQ_HEAD)
        asked = tail - self._sq_head & COUNT
        if asked > sizes.sq_entries or self._cq_tail - cq_head & COUNT > sizes.cq_entries:
            raise SyscallError(errno.EOVERFLOW)
        entries = {at: self._entry(at) for at in range(self._sq_head, self._sq_head + asked)}
        ends = {at: self._completion(at) for at in range(cq_head, cq_head + self.nr_completions)}
        kept = {at: self._get(at) for at in KEPT}
        self._lay_out(sizes, users)
        for at, entry in entries.items():
            self._entries.store(self._place_of_entry(at), entry)
        for at, end in ends.items():
            self._rings.store(self._place_of_completion(at), end)
        words = {SQ_HEAD: self._sq_head, SQ_TAIL: tail, CQ_HEAD: cq_head, CQ_TAIL: self._cq_tail}
        for at, value in (kept | words).items():
            self._set(at, value)
        self._set(SQ_FLAGS, kept[SQ_FLAGS] | FLAG_NEED_WAKEUP | FLAG_TASKRUN)  # look again

    def add_parameters(self, nbytes: int) -> int:
        """Have memory that tells how to wait; return the offset by which it is mapped.

        Errors: ENOMEM.
        """
        start = self._add(nbytes)
        self._parameters = range(start, start + nbytes)
        return PARAMETERS

    def parameters(self, at: int, nbytes: int) -> bytes:
        """Return what stands in that memory."""
        assert self._parameters is not None
        return self.peek(self._parameters.start + at, nbytes)

    # ---- words ----

    def _get(self, at: int) -> int:
        return int(WORD.unpack(self._rings.load(at, WORD.size))[0])

    def _set(self, at: int, value: int) -> None:
        self._rings.store(at, WORD.pack(value & COUNT))

    def _place_of_entry(self, index: int) -> int:
        return (index & self.sizes.sq_entries - 1) * self.sizes.entry_bytes

    def _entry(self, index: int) -> bytes:
        return self._entries.load(self._place_of_entry(index), self.sizes.entry_bytes)

    def _place_of_completion(self, index: int) -> int:
        return CQES + (index & self.sizes.cq_entries - 1) * self.sizes.completion_bytes

    def _completion(self, index: int) -> bytes:
        return self._rings.load(self._place_of_completion(index), self.sizes.completion_bytes)

    # ---- as a file ----

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        raise SyscallError(errno.EINVAL)

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        raise SyscallError(errno.EINVAL)

    def opened(self, task: Caller) -> Inode:
        raise SyscallError(errno.ENXIO)  # through /proc

    def truncate(self, size: int) -> None:
        raise SyscallError(errno.EINVAL)

    def place_of(self, offset: int, addr: int) -> int:
        """Return where in this file the part that mmap's offset names begins.

        Errors: EINVAL (an address is asked for), ENOMEM (no such part, or it is the program's).
        """
        if addr:
            raise SyscallError(errno.EINVAL)
        part = offset & PART_MASK
        if part == PARAMETERS and self._parameters is not None:
            return self._parameters.start
        parts = {SQ_RING: self._rings, CQ_RING: self._rings, SQES: self._entries}
        if part not in parts:
            raise SyscallError(errno.ENOMEM)
        return parts[part].place()

    def poll(self, file: File) -> int:
        room = self._get(SQ_TAIL) - self._sq_head & COUNT < self.sizes.sq_entries
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
        """Take the next entry's bytes; None: there is none. One that is nowhere is dropped."""
        while self._get(SQ_TAIL) != self._sq_head & COUNT:
            place = self._sq_head & self.sizes.sq_entries - 1
            index = (
                place if self.flags & NO_ARRAY else self._get(self.sizes.array + place * WORD.size)
            )
            self._sq_head += 1
            if index < self.sizes.sq_entries:
                return self._entry(index)
            self._set(SQ_DROPPED, self._get(SQ_DROPPED) + 1)
        return None

    @property
    def nr_entries(self) -> int:
        """How many entries wait to be taken."""
        return min(self._get(SQ_TAIL) - self._sq_head & COUNT, self.sizes.sq_entries)

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

    def complete(self, user_data: int, result: int, flags: int = 0, more: bytes = b"") -> None:
        """Tell the program of an end, and wake who waits for one.

        more: MORE bytes of a completion that is twice as large, or none.
        """
        self.completed += 1
        if more and self.flags & CQE_MIXED:
            flags |= F_LARGE
        told = COMPLETION.pack(user_data, result, flags) + more
        self._waiting.append(told.ljust(self.sizes.completion_bytes, b"\0"))
        self.flush()
        wake(self, POLLIN)

    def flush(self) -> None:
        """Store completions that wait, as many as there is room for."""
        while self._waiting and self._append(self._waiting[0]):
            self._waiting.popleft()
        flag = FLAG_OVERFLOW if self._waiting else 0
        if self._get(SQ_FLAGS) & FLAG_OVERFLOW != flag:
            self._set(SQ_FLAGS, self._get(SQ_FLAGS) & ~FLAG_OVERFLOW | flag)

    def _append(self, completion: bytes) -> bool:
        """Store a completion; False: there is no room. One of two places begins not at the last."""
        free, mask = self.sizes.cq_entries - self.nr_completions, self.sizes.cq_entries - 1
        places = len(completion) // self.sizes.completion_bytes
        if places > 1 and free and self._cq_tail & mask == mask:
            self._append(COMPLETION.pack(0, 0, F_SKIP))
            free -= 1
        if places > free:
            return False
        self._rings.store(self._place_of_completion(self._cq_tail), completion)
        self._cq_tail += places
        self._set(CQ_TAIL, self._cq_tail)
        return True


def open_rings(kernel: Machine, inode: RingInode, task: Caller) -> File:
    """Return an open file of them. Errors: ENFILE."""
    return kernel.vfs.register(File(kernel, inode, "anon_inode:[io_uring]", O_RDWR, task))
