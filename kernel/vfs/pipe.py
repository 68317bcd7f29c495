"""Pipes and FIFOs: a ring of slots (slots.py) between open files, and its limits.

The ring is there, and counts for a user, while anyone has the pipe open or waits to.
"""

from __future__ import annotations

import errno
import stat

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Iterable
from pkern.kernel.vfs.file import O_DIRECT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, File
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, POLLIN, POLLOUT, Inode
from pkern.kernel.vfs.readiness import (
    POLLERR,
    POLLHUP,
    Wait,
    sleep,
    waits,
    wake,
    would_block,
)
from pkern.kernel.vfs.slots import GROWS, PACKET, PAGE_SIZE, Ring, Slot

if TYPE_CHECKING:
    from pkern.kernel.vfs.inode import Watcher
    from pkern.kernel.vfs.machine import Caller, Machine

SLOTS, LEAST_SLOTS = 16, 2  # of a new pipe; of one of a user who has too many
MOST_SLOTS = (4 << 20) // 40  # buffers of 40 bytes are in one piece of memory
LARGEST = 1 << 31  # bytes that may be asked for
DEV_PIPE = 14


def rounded(nbytes: int) -> int:
    """Return the bytes of a pipe for at least nbytes: a power of two of pages."""
    return 1 << (max(nbytes, PAGE_SIZE) - 1).bit_length()


class PipeLimits:
    """fs.pipe-*, and how many slots the pipes of each user have (used)."""

    def __init__(self) -> None:
        self._max_size = 1 << 20
        self.user_pages_hard = 0
        self.user_pages_soft = 16384
        self.used: dict[int, int] = {}

    @property
    def max_size(self) -> int:
        """The largest pipe of who has not CAP_SYS_RESOURCE, bytes."""
        return self._max_size

    @max_size.setter
    def max_size(self, nbytes: int) -> None:
        self._max_size = rounded(nbytes)

    def count(self, uid: int, more: int) -> int:
        """Let a user's pipes have so many slots more; return how many they have."""
        found = self.used.pop(uid, 0) + more
        if found:
            self.used[uid] = found
        return found

    def is_beyond_soft(self, nr_slots: int) -> bool:
        """Tell whether a user has so many that new pipes get few."""
        return 0 < self.user_pages_soft < nr_slots

    def is_beyond_hard(self, nr_slots: int) -> bool:
        """Tell whether no user may have so many."""
        return 0 < self.user_pages_hard < nr_slots


def is_limited(task: Caller) -> bool:
    """Tell whether the limits of a user's pipes hold for a task."""
    return not task.capable("CAP_SYS_RESOURCE") and not task.capable("CAP_SYS_ADMIN")


def _is_there(opener: Caller | None) -> bool:
    """Tell whether who was to wait for the other end may still meet it."""
    return opener is None or opener.alive


class PipeInode(Inode):
    """The ring that all open files of a pipe or FIFO share.

    user: for whom its slots count; None: nobody has it open. unmet: of files that were opened to
    read while nobody wrote, by cookie, how many had ever opened it to write. listeners: of O_ASYNC;
    they hear of every read and write, and of nothing else.
    """

    kind = "fifo"
    can_nowait = MAY_READ | MAY_WRITE
    can_epoll = True
    type_bits = stat.S_IFIFO

    def __init__(self, kernel: Machine, mode: int, uid: int = 0, gid: int = 0) -> None:
        super().__init__(kernel, mode, uid, gid)
        self.dev = DEV_PIPE
        self.ring = Ring(kernel.memory.core, 0)
        self.user: int | None = None
        self.readers = self.writers = 0
        self.opened_ever = {MAY_READ: 0, MAY_WRITE: 0}
        # (who opens it, its end) -> openings it has seen; a program in Python tries again, or ends
        self.waiting: dict[tuple[Caller | None, int], int] = {}
        self.unmet: dict[int, int] = {}
        self.listeners: tuple[Watcher, ...] = ()

    @property
    def noexec(self) -> bool:  # type: ignore[override]
        """Whether it cannot be mapped to execute: a pipe; a FIFO is as its directory."""
        return self.dev == DEV_PIPE

    # ---- ends ----

    def file_opened(self, file: File) -> None:
        """Count an end; the opener of one end waits until there is the other.

        Errors: EINVAL: it is to be neither read nor written, ENXIO; beyond the user's limit ENFILE,
        of a FIFO ENOMEM.
        """
        if not file.access:
            raise SyscallError(errno.EINVAL)
        if self.user is None:
            self._begin(file.opener)
        if file.flags & 3 != O_RDWR and self.dev != DEV_PIPE:  # a FIFO, which has a name
            try:
                self._meet(file)
            except SyscallError:
                self._end()
                raise
        ends = self.readers, self.writers
        self._count(file, 1)
        for end in (MAY_READ, MAY_WRITE):
            self.opened_ever[end] += bool(file.access & end)
        if bool(self.readers) > bool(ends[0]) or bool(self.writers) > bool(ends[1]):
            wake(self, POLLIN)

    def _begin(self, task: Caller | None) -> None:
        """Have a ring, a small one for a user who has many. Errors: ENFILE, ENOMEM: too many."""
        limits, size = self.kernel.vfs.pipes, SLOTS
        uid = task.cred.uid if task is not None else 0
        if task is not None and size * PAGE_SIZE > limits.max_size:
            size = size if task.capable("CAP_SYS_RESOURCE") else limits.max_size // PAGE_SIZE
        used = limits.count(uid, size)
        if task is not None and limits.is_beyond_soft(used) and is_limited(task):
            used = limits.count(uid, LEAST_SLOTS - size)
            size = LEAST_SLOTS
        if task is not None and limits.is_beyond_hard(used) and is_limited(task):
            limits.count(uid, -size)
            raise SyscallError(errno.ENFILE if self.dev == DEV_PIPE else errno.ENOMEM)
        self.user, self.ring.size = uid, size

    def _end(self) -> None:
        """Let the ring go if nobody has it open, or waits to."""
        self.waiting = {key: seen for key, seen in self.waiting.items() if _is_there(key[0])}
        if self.user is None or self.readers or self.writers or self.waiting:
            return
        self.ring.clear()
        self.kernel.vfs.pipes.count(self.user, -self.ring.size)
        self.user, self.ring.size = None, 0

    def _meet(self, file: File) -> None:
        """Wait for someone at the other end. Errors: ENXIO (a writer that may not wait)."""
        end, other = file.access, file.access ^ (MAY_READ | MAY_WRITE)
        key = file.opener, end
        seen = self.waiting.pop(key, self.opened_ever[other])
        if self._has(other) or seen != self.opened_ever[other]:
            return
        if file.flags & O_NONBLOCK:
            if end == MAY_WRITE:
                raise SyscallError(errno.ENXIO)
            self.unmet[file.cookie] = self.opened_ever[MAY_WRITE]
            return
        self.waiting[key] = self.opened_ever[other]
        would_block(self, lambda: self._give_up(key))

    def _give_up(self, key: tuple[Caller | None, int]) -> None:
        self.waiting.pop(key, None)
        self._end()

    def _count(self, file: File, change: int) -> None:
        self.readers += change if file.access & MAY_READ else 0
        self.writers += change if file.access & MAY_WRITE else 0

    def file_closed(self, file: File) -> None:
        self._count(file, -1)
        self.unmet.pop(file.cookie, None)
        self._end()
        if bool(self.readers) != bool(self.writers):
            wake(self)
            self._signal(POLLIN | POLLOUT)

    def _has(self, end: int) -> bool:
        """Tell whether someone has an end open, or is about to: it met the other one."""
        opened = self.readers if end == MAY_READ else self.writers
        return opened > 0 or any(at == end and _is_there(who) for who, at in self.waiting)

    # ---- who hears of it ----

    def add_listener(self, listener: Watcher) -> None:
        self.listeners = (*self.listeners, listener)

    def remove_listener(self, listener: Watcher) -> None:
        self.listeners = tuple(one for one in self.listeners if one is not listener)

    def _signal(self, bits: int) -> None:
        for listener in self.listeners:
            listener.news(bits)

    def tell(self, bits: int) -> None:
        """Let all hear that bytes have come (POLLIN) or a slot is free (POLLOUT)."""
        wake(self, bits)
        if self.listeners:
            self._signal(bits)

    def refused(self) -> None:
        """Let those who watch it look when a write has failed, as Linux does; no one wakes."""
        for watcher in (*self.watchers, *self.listeners):
            watcher.news(POLLIN)

    # ---- bytes ----

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        if not nbytes:
            return b""
        ring = self.ring
        if not ring.slots:
            if self.listeners:
                self._signal_nothing(file)
            self.need_data(waits(file))
            return b""
        was_full = len(ring.slots) >= ring.size
        data = ring.take(nbytes)
        if was_full and not ring.is_full:
            wake(self, POLLOUT)
        if self.listeners:
            self._signal(POLLOUT)
        return data

    def _signal_nothing(self, file: File) -> None:
        """Signal a read that finds nothing, unless it waits."""
        if waits(file) is Wait.NEVER or not self._has(MAY_WRITE):
            self._signal(POLLOUT)

    def unread(self, data: bytes, done: int) -> int:
        return self.ring.untake(data, done)

    def need_data(self, wait: Wait) -> None:
        """Wait until there are bytes, or no one who could write any. Errors: EAGAIN."""
        if not self.ring.slots and self._has(MAY_WRITE):
            sleep(self, wait)

    def look(self, nbytes: int) -> bytes:
        """Return up to nbytes as they are now; they stay."""
        return self.ring.look(nbytes)

    def put(self, slots: Iterable[Slot]) -> int:
        """Add slots while there is room; return how many bytes."""
        done = self.ring.put(slots)
        if done:
            self.tell(POLLIN)
        return done

    def drop(self, nbytes: int) -> int:
        """Let go what went elsewhere, return how much: unlike a read it leaves a packet's rest."""
        if self.ring.drop(nbytes):
            self.tell(POLLOUT)
        return nbytes

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        """Write data, its beginning to the last slot if that has room; return how much.

        Errors: as write_on.
        """
        over = self.ring.over(len(data)) if self.ring.slots else 0
        if not over:
            return self.write_on(file, pos, data, task) if data else 0
        self.need_reader()
        self.ring.grow(data[:over])
        done = over + self.ring.add(data[over:], PACKET if file.flags & O_DIRECT else GROWS)
        self.tell(POLLIN)
        return done

    def write_on(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        """Write data to free slots; return how much. Errors: EPIPE, EAGAIN."""
        ring = self.ring
        if not self.readers or len(ring.slots) >= ring.size:
            self.need_slot(waits(file))
        done = ring.add(data, PACKET if file.flags & O_DIRECT else GROWS)
        self.tell(POLLIN)
        return done

    def need_reader(self) -> None:
        """Refuse to write what no one reads. Errors: EPIPE."""
        if not self._has(MAY_READ):
            raise SyscallError(errno.EPIPE)

    def need_slot(self, wait: Wait) -> None:
        """Wait for a free slot. Errors: EPIPE, EAGAIN."""
        self.need_reader()
        if len(self.ring.slots) >= self.ring.size:
            sleep(self, wait)

    @property
    def has_room(self) -> bool:
        """Tell whether a page can be written at once."""
        return not self.ring.is_full

    def poll(self, file: File) -> int:
        ready, ring = 0, self.ring
        if file.access & MAY_READ:
            ready |= POLLIN if ring.slots else 0
            if not self.writers and self.opened_ever[MAY_WRITE] != self.unmet.get(file.cookie, 0):
                ready |= POLLHUP
        if file.access & MAY_WRITE:
            ready |= POLLOUT if len(ring.slots) < ring.size else 0
            ready |= POLLERR if not self.readers else 0
        return ready

    @property
    def capacity(self) -> int:
        """Bytes of all slots."""
        return self.ring.size * PAGE_SIZE

    def resize(self, nbytes: int, task: Caller) -> int:
        """Have slots for at least nbytes; return the bytes of all.

        Errors: EINVAL, EPERM, ENOMEM (more than there is a table for), EBUSY.
        """
        if nbytes > LARGEST:
            raise SyscallError(errno.EINVAL)
        size = rounded(nbytes)
        nr_slots, limits = size // PAGE_SIZE, self.kernel.vfs.pipes
        more = nr_slots - self.ring.size
        if more > 0 and size > limits.max_size and not task.capable("CAP_SYS_RESOURCE"):
            raise SyscallError(errno.EPERM)
        assert self.user is not None
        used = limits.used[self.user] + more
        too_many = limits.is_beyond_hard(used) or limits.is_beyond_soft(used)
        if more > 0 and too_many and is_limited(task):
            raise SyscallError(errno.EPERM)
        if nr_slots > MOST_SLOTS:
            raise SyscallError(errno.ENOMEM)
        if nr_slots < len(self.ring.slots):
            raise SyscallError(errno.EBUSY)
        limits.count(self.user, more)
        self.ring.size = nr_slots
        wake(self, POLLOUT)
        return size

    def truncate(self, size: int) -> None:
        """Nothing to cut. Errors: EINVAL."""
        raise SyscallError(errno.EINVAL)


def make_pipe(kernel: Machine, task: Caller, flags: int) -> tuple[File, File]:
    """Return the reading and the writing end. Errors: ENFILE."""
    inode = PipeInode(kernel, 0o600, task.uid, task.gid)
    name = f"pipe:[{inode.ino}]"

    def opened(mode: int) -> File:
        return kernel.vfs.register(File(kernel, inode, name, mode, task))

    reader = opened(O_RDONLY | flags & O_NONBLOCK)
    try:
        return reader, opened(O_WRONLY | flags & (O_NONBLOCK | O_DIRECT))
    except SyscallError:
        reader.put()
        raise
