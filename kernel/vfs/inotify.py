"""inotify: who watches files and directories, and the events that wait to be read.

While nobody watches anything `Vfs.notify` is None and no call looks further. A mark hangs at the
inode that is watched and belongs to one instance; what happens to a file is told to the marks of
the directory it was reached through, with its name, and then to its own.
Source: inotify(7), fs/notify of Linux 6.18.
"""

from __future__ import annotations

import errno
import struct
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Protocol

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, POLLIN, AnonInode, Inode
from pkern.kernel.vfs.readiness import sleep, waits, wake

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller, Machine

IN_ACCESS, IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE, IN_CLOSE_NOWRITE, IN_OPEN = 1, 2, 4, 8, 16, 32
IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_DELETE_SELF = 64, 128, 256, 512, 1024
IN_MOVE_SELF, IN_ALL_EVENTS = 2048, 0xFFF
IN_UNMOUNT, IN_Q_OVERFLOW, IN_IGNORED = 0x2000, 0x4000, 0x8000
IN_EXCL_UNLINK, IN_MASK_CREATE, IN_MASK_ADD = 0x04000000, 0x10000000, 0x20000000
IN_ISDIR, IN_ONESHOT = 0x40000000, 0x80000000
IN_RENAMED = 0x10000  # of dnotify alone: an entry has another name in its directory
TOLD = IN_ALL_EVENTS | IN_RENAMED
HEADER = struct.Struct("<iIII")
SPECIAL = ("fifo", "sock", "chr", "blk")  # whose reads and writes their directory does not tell
NAME_UNIT = 16  # bytes; names are padded to so many
FIONREAD = 0x541B


class Event(NamedTuple):
    """What happened: of which watch, what (IN_*), a number that joins two, and a name."""

    wd: int
    mask: int
    cookie: int
    name: bytes

    def pack(self) -> bytes:
        """Return struct inotify_event."""
        padded = -(-(len(self.name) + 1) // NAME_UNIT) * NAME_UNIT if self.name else 0
        head = HEADER.pack(self.wd, self.mask, self.cookie, padded)
        return head + self.name.ljust(padded, b"\0")


class MarkOwner(Protocol):
    """Who hears of a mark's events, and that it ends: an instance, or a watch of dnotify's."""

    def add(self, event: Event) -> None: ...
    def forget(self, wd: int) -> None: ...


class Mark:
    """One watch: of an inode, for its owner, of the events in mask."""

    def __init__(self, owner: MarkOwner, inode: Inode, wd: int, mask: int) -> None:
        self.owner = owner
        self.inode = inode
        self.wd = wd
        self.mask = mask

    def enlist(self) -> None:
        """Hear of the inode from now on."""
        vfs = self.inode.kernel.vfs
        self.inode.marks = (*self.inode.marks, self)
        vfs.inotify.marks += 1
        vfs.notify = NOTIFY

    def unlist(self) -> None:
        """Hear of it no more."""
        vfs = self.inode.kernel.vfs
        self.inode.marks = tuple(other for other in self.inode.marks if other is not self)
        vfs.inotify.marks -= 1
        if not vfs.inotify.marks:
            vfs.notify = None


def take(counts: dict[int, int], uid: int, most: int, number: int) -> None:
    """Count one more of a user. Errors: number: that is too many."""
    if counts.get(uid, 0) >= most:
        raise SyscallError(number)
    counts[uid] = counts.get(uid, 0) + 1


class InotifyInode(AnonInode):
    """An instance: its watches, and the events that have not been read."""

    also_ready: ClassVar[dict[int, int]] = {}
    one_buffer = undivided = MAY_READ

    def __init__(self, kernel: Machine, uid: int) -> None:
        super().__init__(kernel, 0o600)
        self._limits = kernel.vfs.inotify
        take(self._limits.instances, uid, self._limits.max_user_instances, errno.EMFILE)
        self._user = uid
        self._marks: dict[int, Mark] = {}
        self._events: deque[Event] = deque()
        self._last_wd = 0

    # ---- watches ----

    def add_watch(self, inode: Inode, mask: int) -> int:
        """Watch an inode, or change what is watched of it; return the watch's number.

        Errors: EEXIST (IN_MASK_CREATE), ENOSPC (too many).
        """
        wanted = mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK)
        for mark in inode.marks:
            if mark.owner is self:
                if mask & IN_MASK_CREATE:
                    raise SyscallError(errno.EEXIST)
                mark.mask = mark.mask | wanted if mask & IN_MASK_ADD else wanted
                return mark.wd
        limits = self._limits
        take(limits.watches, self._user, limits.max_user_watches, errno.ENOSPC)
        self._last_wd += 1
        mark = Mark(self, inode, self._last_wd, wanted)
        self._marks[mark.wd] = mark
        mark.enlist()
        return mark.wd

    def forget(self, wd: int) -> None:
        """End a watch; its reader is told. Errors: EINVAL: there is none of that number."""
        if wd not in self._marks:
            raise SyscallError(errno.EINVAL)
        self._drop(self._marks[wd])
        self.add(Event(wd, IN_IGNORED, 0, b""))

    def _drop(self, mark: Mark) -> None:
        del self._marks[mark.wd]
        mark.unlist()
        self._limits.watches[self._user] -= 1

    # ---- events ----

    def add(self, event: Event) -> None:
        """Let an event wait to be read, unless it says again what the last one says."""
        last = self._events[-1] if self._events else None
        again = last is not None and last._replace(cookie=0) == event._replace(cookie=0)
        if again and not event.mask & IN_IGNORED:
            return
        if len(self._events) >= self._limits.max_queued_events:
            event = Event(-1, IN_Q_OVERFLOW, 0, b"")
            if last == event:
                return
        self._events.append(event)
        wake(self)

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        """Take the events that there is room for. Errors: EINVAL (for none), EAGAIN."""
        if not self._events:
            sleep(self, waits(file))
        data = b""
        while self._events:
            packed = self._events[0].pack()
            if len(data) + len(packed) > nbytes:
                break
            data += packed
            self._events.popleft()
        if not data:
            raise SyscallError(errno.EINVAL)
        return data

    def poll(self, file: File) -> int:
        return POLLIN if self._events else 0

    def ioctl(self, task: Caller, file: File, request: int, arg: int) -> int:
        if request != FIONREAD:
            return super().ioctl(task, file, request, arg)
        waiting = sum(len(event.pack()) for event in self._events)
        task.mm.copy_out(arg, struct.pack("<i", waiting))  # type: ignore[attr-defined]
        return 0

    def fdinfo(self, pid_ns: PidNamespace) -> str:
        """Return the watches, the last one first, as Linux lists them."""
        return "".join(
            f"inotify wd:{mark.wd:x} ino:{mark.inode.ino:x} sdev:{mark.inode.dev:x} "
            f"mask:{mark.mask & IN_ALL_EVENTS:x} ignored_mask:0 \n"
            for mark in reversed(self._marks.values())
        )

    def file_closed(self, file: File) -> None:
        """End all watches with the last descriptor."""
        for mark in list(self._marks.values()):
            self._drop(mark)
        self._limits.instances[self._user] -= 1


# ---- what happened ----


def _is_dir(inode: Inode) -> int:
    return IN_ISDIR if inode.kind == "dir" else 0


def _tell(watched: Inode, mask: int, name: bytes = b"", cookie: int = 0) -> None:
    """Tell the marks of an inode."""
    _tell_marks(watched.marks, mask, name, cookie)


def _tell_marks(marks: Iterable[Mark], mask: int, name: bytes, cookie: int = 0) -> None:
    for mark in marks:
        if not mark.mask & mask & TOLD:
            continue
        mark.owner.add(Event(mark.wd, mask, cookie, name))
        if mark.mask & IN_ONESHOT:
            mark.owner.forget(mark.wd)


class Notify:
    """What the calls tell while someone watches; each method is one kind of news."""

    def used(self, file: File, mask: int) -> None:
        """Tell of an open file: opened, read, written, closed."""
        if not file.is_path:
            self._both(file.inode, file.home, mask)

    def closed(self, file: File) -> None:
        """Tell that an open file is closed."""
        self.used(file, IN_CLOSE_WRITE if file.access & MAY_WRITE else IN_CLOSE_NOWRITE)

    def changed(self, inode: Inode, mask: int) -> None:
        """Tell that an inode's attributes or content changed."""
        self._both(inode, inode.seen_in, mask)

    def _both(self, inode: Inode, place: tuple[Inode, str] | None, mask: int) -> None:
        mask |= _is_dir(inode)
        quiet = inode.kind in SPECIAL and mask & (IN_ACCESS | IN_MODIFY)
        if place is not None and place[0].marks and not quiet:
            there = place[0].holds(place[1], inode)
            marks = (m for m in place[0].marks if there or not m.mask & IN_EXCL_UNLINK)
            _tell_marks(tuple(marks), mask, _raw(place[1]))
        if inode.marks:
            _tell(inode, mask)

    def made(self, directory: Inode, name: str, inode: Inode) -> None:
        """Tell that a directory has a new entry."""
        inode.seen_in = directory, name
        _tell(directory, IN_CREATE | _is_dir(inode), _raw(name))

    def linked(self, inode: Inode) -> None:
        """Tell an inode's own watchers that it has another number of names."""
        _tell(inode, IN_ATTRIB | _is_dir(inode))

    def removed(self, directory: Inode, name: str, inode: Inode) -> None:
        """Tell that an entry is gone."""
        _tell(directory, IN_DELETE | _is_dir(inode), _raw(name))

    def moved(self, old: tuple[Inode, str], new: tuple[Inode, str], inode: Inode) -> None:
        """Tell that an entry has another place."""
        limits = inode.kernel.vfs.inotify
        limits.last_cookie += 1
        cookie, kind = limits.last_cookie, _is_dir(inode)
        inode.seen_in = new
        if old[0] is new[0]:
            _tell(old[0], IN_RENAMED | kind, _raw(old[1]))
        _tell(old[0], IN_MOVED_FROM | kind, _raw(old[1]), cookie)
        _tell(new[0], IN_MOVED_TO | kind, _raw(new[1]), cookie)

    def moved_itself(self, inode: Inode) -> None:
        """Tell an inode's own watchers that it has another place."""
        _tell(inode, IN_MOVE_SELF)

    def gone(self, inode: Inode) -> None:
        """Tell that an inode is no more; its watches end."""
        _tell(inode, IN_DELETE_SELF)
        for mark in inode.marks:
            mark.owner.forget(mark.wd)


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


NOTIFY = Notify()
