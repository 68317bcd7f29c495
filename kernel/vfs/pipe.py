"""Pipes and FIFOs: a bounded queue of bytes between open files.

Bytes that splice brought stay part of their pages, which the pipe holds (hold.c of the core): what
is stored to such a page before they are read shows in them.

would_block() is the one place where a call on them says that it must wait, wake() the one where
those who wait are told to look again.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.file import O_DIRECT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, File
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, POLLIN, POLLOUT, Inode
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

PAGE_SIZE = 4096
CAPACITY = 65536
PIPE_BUF = 4096
MAX_CAPACITY = 1 << 20
DEV_PIPE = 14
POLLERR, POLLHUP = 8, 16
ANYTHING = 0xFFFF


def would_block(inode: Inode, interrupted: Callable[[], None] | None = None) -> NoReturn:
    """Let the call wait for inode. interrupted: what a signal that ends the wait undoes.

    Errors: EAGAIN for a task that cannot sleep.
    """
    raise WouldBlock(inode, interrupted=interrupted)


class Wait(Enum):
    """What a call does that cannot be done at once."""

    FOREVER = "it waits"
    NEVER = "it fails with EAGAIN"


def waits(file: File) -> Wait:
    """Return what calls on an open file do."""
    return Wait.NEVER if file.flags & O_NONBLOCK else Wait.FOREVER


def sleep(inode: Inode, wait: Wait) -> NoReturn:
    """Let the call wait for inode, if it will. Errors: EAGAIN."""
    if wait is Wait.NEVER:
        raise SyscallError(errno.EAGAIN)
    would_block(inode)


def wake(inode: Inode, bits: int = ANYTHING) -> None:
    """Let those who wait for inode look again: POLL* bits may have become true."""
    for watcher in list(inode.watchers):
        watcher.news(bits)
    inode.kernel.wake(inode)


class PageRef(NamedTuple):
    """Bytes of the stream that are part of a page, which may change until they are read.

    start: their place in the stream; frame: the core's, which is held; offset: in the page.
    """

    start: int
    nbytes: int
    frame: int
    offset: int


class PipeInode(Inode):
    """The queue that all open files of a pipe or FIFO share."""

    kind = "fifo"
    can_nowait = MAY_READ | MAY_WRITE
    can_epoll = True
    type_bits = stat.S_IFIFO

    def __init__(self, kernel: Machine, mode: int, uid: int = 0, gid: int = 0) -> None:
        super().__init__(kernel, mode, uid, gid)
        self.dev = DEV_PIPE
        self.queue = bytearray()
        self.taken = 0  # bytes that have gone, ever: where in the stream the queue begins
        self.pages: list[PageRef] = []  # what of the queue is pages of others', in order
        self.packets: list[tuple[int, int]] = []  # of the queue: start and end in the stream
        self.last_packet: tuple[int, int, bytes] | None = None  # that went, with what was not read
        self.padding = 0  # bytes that packets leave empty in their pages
        self.capacity = CAPACITY
        self.readers = self.writers = 0
        self.opened_ever = {MAY_READ: 0, MAY_WRITE: 0}
        self.waiting: dict[tuple[int, int], int] = {}  # (pid, its end) -> openings it has seen

    @property
    def noexec(self) -> bool:  # type: ignore[override]
        """Whether it cannot be mapped to execute: a pipe; a FIFO is as its directory."""
        return self.dev == DEV_PIPE

    # ---- ends ----

    def file_opened(self, file: File) -> None:
        """Count an end; the opener of one end waits until there is the other.

        Errors: EINVAL: it is to be neither read nor written, ENXIO.
        """
        if not file.access:
            raise SyscallError(errno.EINVAL)
        if file.flags & 3 != O_RDWR and self.dev != DEV_PIPE:  # a FIFO, which has a name
            self._meet(file)
        self._count(file, 1)
        for end in (MAY_READ, MAY_WRITE):
            self.opened_ever[end] += bool(file.access & end)
        wake(self)

    def _meet(self, file: File) -> None:
        """Wait for someone at the other end. Errors: ENXIO (a writer that may not wait)."""
        end, other = file.access, file.access ^ (MAY_READ | MAY_WRITE)
        key = (file.opener.pid if file.opener else 0, end)
        seen = self.waiting.pop(key, self.opened_ever[other])
        if self._has(other) or seen != self.opened_ever[other]:
            return
        if file.flags & O_NONBLOCK:
            if end == MAY_WRITE:
                raise SyscallError(errno.ENXIO)
            return
        self.waiting[key] = self.opened_ever[other]
        would_block(self, lambda: self._give_up(key))

    def _give_up(self, key: tuple[int, int]) -> None:
        self.waiting.pop(key, None)

    def _count(self, file: File, change: int) -> None:
        self.readers += change if file.access & MAY_READ else 0
        self.writers += change if file.access & MAY_WRITE else 0

    def file_closed(self, file: File) -> None:
        self._count(file, -1)
        if not self.readers and not self.writers and not self.waiting:
            self._consume(len(self.queue))
            self.packets.clear()
            self.padding = 0
        wake(self)

    def _has(self, end: int) -> bool:
        """Tell whether someone has an end open, or is about to: it met the other one."""
        opened = self.readers if end == MAY_READ else self.writers
        return opened > 0 or any(waits_at == end for _, waits_at in self.waiting)

    # ---- bytes ----

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        if nbytes:
            self.need_data(waits(file))
        return self.take(nbytes)

    def need_data(self, wait: Wait) -> None:
        """Wait until there are bytes, or no one who could write any. Errors: EAGAIN."""
        if not self.queue and self._has(MAY_WRITE):
            sleep(self, wait)

    def take(self, nbytes: int) -> bytes:
        """Return up to nbytes, which are gone."""
        was_full = self.capacity - len(self.queue) - self.padding < PIPE_BUF
        if self.packets:
            nbytes, gone = self._span(nbytes)
            data = self.peek(nbytes)
        else:
            data = self.peek(nbytes)
            gone = len(data)
        self._consume(gone)
        if data:
            wake(self, POLLOUT if was_full else 0)
        return data

    def _span(self, nbytes: int) -> tuple[int, int]:
        """Return how much a read of nbytes takes, and how much goes: a read ends with a packet."""
        nbytes = min(nbytes, len(self.queue))
        if not self.packets or not nbytes or self.packets[0][0] >= self.taken + nbytes:
            return nbytes, nbytes
        start, behind = self.packets.pop(0)
        self.padding -= PAGE_SIZE - (behind - start)
        end = behind - self.taken
        self.last_packet = start, behind, bytes(self.queue[nbytes:end])
        return min(nbytes, end), end

    def peek(self, nbytes: int) -> bytes:
        """Return up to nbytes as they are now; they stay."""
        if self.pages:
            self._refresh(self.taken + nbytes)
        return bytes(self.queue[:nbytes])

    def _refresh(self, end: int) -> None:
        """Take what stands before end in the stream from its pages."""
        core = self.kernel.memory.core
        for page in self.pages:
            low, high = max(page.start, self.taken), min(page.start + page.nbytes, end)
            if low < high:
                at = page.offset + low - page.start
                content = ffi.buffer(lib.page_content(core, page.frame), PAGE_SIZE)
                self.queue[low - self.taken : high - self.taken] = content[at : at + high - low]

    def _consume(self, nbytes: int) -> None:
        del self.queue[:nbytes]
        self.taken += nbytes
        while self.pages and self.pages[0].start + self.pages[0].nbytes <= self.taken:
            lib.page_release(self.kernel.memory.core, self.pages.pop(0).frame)

    def move_out(self, nbytes: int) -> int:
        """Let go what went elsewhere, return how much: unlike a read it leaves a packet's rest."""
        was_full = not self.has_room
        self._consume(nbytes)
        while self.packets and self.packets[0][1] <= self.taken:
            start, behind = self.packets.pop(0)
            self.padding -= PAGE_SIZE - (behind - start)
        if nbytes:
            wake(self, POLLOUT if was_full else 0)
        return nbytes

    def packets_of(self, nbytes: int, room: int) -> tuple[int, list[tuple[int, int]]]:
        """Return how many of the first nbytes fit into room, and the packets in them, from 0.

        Each packet takes a page there too.
        """
        found: list[tuple[int, int]] = []
        for start, behind in self.packets:
            low, high = max(start - self.taken, 0), min(behind - self.taken, nbytes)
            if low >= high:
                break
            if low + PAGE_SIZE > room:
                return min(low, room), found
            found.append((low, high))
            room -= PAGE_SIZE - (high - low)
        return min(nbytes, room, len(self.queue)), found

    def unread(self, data: bytes) -> None:
        """Put back what was read last, with the packet that it ended with."""
        if self.last_packet is not None and self.last_packet[1] == self.taken:
            start, behind, rest = self.last_packet
            data += rest
            self.packets.insert(0, (start, behind))
            self.padding += PAGE_SIZE - (behind - start)
        self.queue[:0] = data
        self.taken -= len(data)

    def put_pages(self, data: bytes, pages: Iterable[PageRef]) -> int:
        """Add data of which parts are pages that are held; return how much.

        Their start is counted from data's. A pipe refers to as many pages as it has buffers; what
        goes beyond is a copy.
        """
        begin = self.taken + len(self.queue)
        for page in pages:
            if len(self.pages) < self.capacity // PAGE_SIZE:
                self.pages.append(page._replace(start=begin + page.start))
            else:
                lib.page_release(self.kernel.memory.core, page.frame)
        return self.put(data)

    def pages_of(self, nbytes: int) -> list[PageRef]:
        """Hold the pages behind the first nbytes once more, for another pipe."""
        found = []
        for page in self.pages:
            low = max(page.start, self.taken)
            size = min(page.start + page.nbytes, self.taken + nbytes) - low
            if size > 0:
                lib.page_hold(self.kernel.memory.core, page.frame)
                offset = page.offset + low - page.start
                found.append(PageRef(low - self.taken, size, page.frame, offset))
        return found

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        if not data:
            return 0
        room = self.need_room(len(data) if len(data) <= PIPE_BUF else 1, waits(file))
        if file.flags & O_DIRECT:
            data = data[: max(1, room // PAGE_SIZE) * PAGE_SIZE]
            self._wrap(len(data))
        return self.put(data[:room])

    def _wrap(self, nbytes: int) -> None:
        """Make packets of bytes to come, unless they go on with what is no packet, as on Linux."""
        begin = self.taken + len(self.queue)
        if self.queue and (not self.packets or self.packets[-1][1] != begin):
            return
        end = begin + nbytes
        starts = range(begin, end, PAGE_SIZE)
        self.packets += [(start, min(start + PAGE_SIZE, end)) for start in starts]
        self.padding += -nbytes % PAGE_SIZE

    def put_packets(self, packets: Iterable[tuple[int, int]]) -> None:
        """Make packets of bytes to come; their starts and ends are counted from what is there."""
        begin = self.taken + len(self.queue)
        for start, behind in packets:
            self.packets.append((begin + start, begin + behind))
            self.padding += PAGE_SIZE - (behind - start)

    def put(self, data: bytes) -> int:
        """Add data, for which there is room; return how much."""
        self.queue += data
        if data:
            wake(self, POLLIN)
        return len(data)

    def need_room(self, nbytes: int, wait: Wait) -> int:
        """Return the room, at least nbytes. Errors: EPIPE, EAGAIN."""
        if not self._has(MAY_READ):
            raise SyscallError(errno.EPIPE)
        room = self.capacity - len(self.queue) - self.padding
        if room < nbytes:
            sleep(self, wait)
        return room

    @property
    def has_room(self) -> bool:
        """Tell whether a page can be written at once."""
        return self.capacity - len(self.queue) - self.padding >= PIPE_BUF

    def poll(self, file: File) -> int:
        ready = 0
        if file.access & MAY_READ:
            ready |= POLLIN if self.queue else 0
            ready |= POLLHUP if not self.writers and self.opened_ever[MAY_WRITE] else 0
        if file.access & MAY_WRITE:
            ready |= POLLOUT if self.has_room else 0
            ready |= POLLERR if not self.readers else 0
        return ready

    def resize(self, nbytes: int, task: Caller) -> int:
        """Set the capacity to at least nbytes; return it. Errors: EINVAL, EPERM, EBUSY."""
        size = PAGE_SIZE
        while size < nbytes:
            size *= 2
        if nbytes > 1 << 31:
            raise SyscallError(errno.EINVAL)
        if size > MAX_CAPACITY and not task.capable("CAP_SYS_RESOURCE"):
            raise SyscallError(errno.EPERM)
        if size < len(self.queue) + self.padding:
            raise SyscallError(errno.EBUSY)
        self.capacity = size
        wake(self)
        return size

    def truncate(self, size: int) -> None:
        """Nothing to cut. Errors: EINVAL."""
        raise SyscallError(errno.EINVAL)


def make_pipe(kernel: Machine, task: Caller, flags: int) -> tuple[File, File]:
    """Return the reading and the writing end."""
    inode = PipeInode(kernel, 0o600, task.uid, task.gid)
    name = f"pipe:[{inode.ino}]"
    reader, writer = (
        kernel.vfs.register(File(kernel, inode, name, mode | flags & kept, task))
        for mode, kept in ((O_RDONLY, O_NONBLOCK), (O_WRONLY, O_NONBLOCK | O_DIRECT))
    )
    return reader, writer
