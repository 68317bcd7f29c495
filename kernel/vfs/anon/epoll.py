"""epoll: a set of open files, and those of them that have news.

A file's wake() tells the items that watch it which bits may have become true; those that asked for
them come to stand in `ready`, in order. A wait reports the ones that are ready indeed. A level
triggered item then stands last and is looked at again, an edge triggered one waits for news. Files
that become ready silently, by time or by the host, are looked at by each wait: there, a bit that an
item has not seen is news.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, NEITHER, POLLIN, POLLOUT, AnonInode
from pkern.kernel.vfs.readiness import POLLERR, POLLHUP, wake

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller, Machine

EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLONESHOT, EPOLLET = 1 << 28, 1 << 29, 1 << 30, 1 << 31
PRIVATE = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET
MAX_NESTS = 5
Key = tuple[int, int]  # of an item: the open file's cookie, and the descriptor it was added by


class Item:
    """One file of a set: what is asked for, the user's word, and the bits seen to be ready."""

    def __init__(self, owner: EpollInode, file: File, events: int, data: int) -> None:
        self.owner = owner
        self.file = file
        readable, writable = file.access & MAY_READ, file.access & MAY_WRITE
        self.deaf = (0 if readable else POLLIN) | (0 if writable else POLLOUT)
        self.ask(events, data)
        file.inode.watchers = (*file.inode.watchers, self)

    def ask(self, events: int, data: int) -> None:
        """Ask for other bits; whatever is ready is news."""
        self.events, self.data, self.seen = events | POLLERR | POLLHUP, data, 0

    def found(self) -> int:
        """Return the bits asked for that are ready."""
        if not self.events & ~PRIVATE or self.file.descriptors <= 0:
            return 0  # reported once and not asked again, or closed
        return self.file.ready() & self.events

    def offer(self) -> None:
        """Report it if it is ready, and was not waiting to be."""
        waited = self in self.owner.ready
        if self.owner.look(self) and not waited:
            wake(self.owner, POLLIN)

    def news(self, bits: int) -> None:
        """Note that bits may have become true."""
        self.seen &= ~bits
        asked = self.events & ~self.deaf if self.events & ~PRIVATE else 0
        if bits & asked and self.file.descriptors > 0:
            self.owner.ready.setdefault(self)
            wake(self.owner, POLLIN)

    def drop(self) -> None:
        """Watch the file no more."""
        self.events = 0  # who is being told of something may still hold this item
        inode = self.file.inode
        inode.watchers = tuple(item for item in inode.watchers if item is not self)


class EpollInode(AnonInode):
    """The set. It is ready to be read when one of its items is to be reported."""

    lacks = NEITHER

    def __init__(self, kernel: Machine) -> None:
        super().__init__(kernel, 0o600)
        self.items: dict[Key, Item] = {}
        self.ready: dict[Item, None] = {}  # in order

    def ioctl(self, task: Caller, file: File, request: int, arg: int) -> int:
        """Refuse: it has none here. Errors: EINVAL."""
        raise SyscallError(errno.EINVAL)

    def fdinfo(self, pid_ns: PidNamespace) -> str:
        """What /proc/PID/fdinfo adds: each file that it watches."""
        self.prune()
        return "".join(
            f"tfd: {fd:8} events: {item.events:8x} data: {item.data:16x}  pos:{item.file.pos} "
            f"ino:{item.file.inode.ino:x} sdev:{item.file.inode.dev:x}\n"
            for (_, fd), item in sorted(self.items.items(), key=lambda entry: entry[0])
        )

    # ---- the set ----

    def add(self, file: File, fd: int, events: int, data: int) -> None:
        """Add an open file. Errors: EEXIST, ELOOP (sets within sets)."""
        self.prune()
        inner = file.inode
        if isinstance(inner, EpollInode) and self.height() + inner.depth(self) > MAX_NESTS:
            raise SyscallError(errno.ELOOP)
        if (file.cookie, fd) in self.items:
            raise SyscallError(errno.EEXIST)
        self.items[file.cookie, fd] = Item(self, file, events, data)
        self.items[file.cookie, fd].offer()

    def item(self, file: File, fd: int) -> Item:
        """Return the item of a file. Errors: ENOENT."""
        if (file.cookie, fd) not in self.items:
            raise SyscallError(errno.ENOENT)
        return self.items[file.cookie, fd]

    def watched(self, fd: int, nth: int) -> File:
        """Return the nth open file that is watched by a descriptor. Errors: ENOENT."""
        self.prune()
        found = [item.file for (_, number), item in self.items.items() if number == fd]
        if nth >= len(found):
            raise SyscallError(errno.ENOENT)
        return found[nth]

    def remove(self, file: File, fd: int) -> None:
        """Take a file out. Errors: ENOENT."""
        item = self.item(file, fd)
        del self.items[file.cookie, fd]
        self.ready.pop(item, None)
        item.drop()

    def height(self) -> int:
        """Return how many sets this one stands in, with itself."""
        outer = [item.owner.height() for item in self.watchers if isinstance(item, Item)]
        return 1 + max(outer, default=0)

    def depth(self, other: EpollInode) -> int:
        """Return how many sets stand within each other here; too many if other is one."""
        if self is other:
            return MAX_NESTS
        inner = [i.file.inode for i in self.items.values()]
        return 1 + max((s.depth(other) for s in inner if isinstance(s, EpollInode)), default=0)

    def prune(self) -> None:
        """Forget files that are closed."""
        for (_, fd), item in list(self.items.items()):
            if item.file.descriptors <= 0:
                self.remove(item.file, fd)

    # ---- what is ready ----

    def look(self, item: Item) -> bool:
        """Note whether an item is to be reported; tell whether it is ready."""
        found = item.found()
        news = found & ~item.seen
        item.seen = found
        if news or (found and not item.events & EPOLLET):
            self.ready.setdefault(item)
        return bool(found)

    def available(self) -> bool:
        """Tell whether an item is to be reported; those before it that are not ready go."""
        self.prune()
        for item in self.items.values():
            if item.file.inode.is_silent():
                self.look(item)
        for item in list(self.ready):
            if item.found():
                return True
            del self.ready[item]
        return False

    def take(self, most: int) -> list[tuple[int, int]]:
        """Return events and word of the first items to be reported."""
        taken: list[tuple[int, int]] = []
        for item in list(self.ready):
            if len(taken) == most:
                break
            found = item.found()
            del self.ready[item]
            if not found:
                continue
            taken.append((found, item.data))
            if item.events & EPOLLONESHOT:
                item.events &= PRIVATE
            elif not item.events & EPOLLET:
                self.ready[item] = None
        return taken

    # ---- as a file ----

    def poll(self, file: File) -> int:
        return POLLIN if self.available() else 0

    def is_silent(self) -> bool:
        return any(item.file.inode.is_silent() for item in self.items.values())

    def watch(self) -> None:
        for item in self.items.values():
            item.file.inode.watch()

    def file_closed(self, file: File) -> None:
        for item in self.items.values():
            item.drop()
        self.items.clear()
        self.ready.clear()
