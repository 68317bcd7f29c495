"""Leases: a holder hears before another one opens or truncates its file, and has time to give way.

Owns who holds which, and how long the others wait. A lease is an open file's; it ends with it. One
that is to be broken stays what it was until its holder changes it, or the time is up: breaks says
what it is to become. Whoever waits sleeps for (ino, access), and is counted as if it had opened.
Source: fcntl(2), Linux 6.18 fs/locks.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.file import NO_OWNER, O_NONBLOCK, File
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, Inode
from pkern.kernel.vfs.locks import F_RDLCK, F_UNLCK, F_WRLCK, Shown
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Machine

SECOND = 1_000_000_000
POLL_MSG, MSG_BAND = 3, 0x441  # of si_code, and its bits of poll
ACCESSES = (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE)
NAMES = {F_RDLCK: "READ", F_WRLCK: "WRITE", F_UNLCK: "UNLCK"}


class Opening(NamedTuple):
    """What sleeps until leases are broken: who is about to open an inode so."""

    ino: int
    access: int


class Lease:
    """One lease. kind: F_RDLCK or F_WRLCK. fd: what its signal names. pid: who took it.

    breaks: what it is to become, and until when its holder has time (nanoseconds of the machine's
    uptime; None: for ever).
    """

    def __init__(self, file: File, fd: int, kind: int, pid: int) -> None:
        self.file, self.fd, self.kind, self.pid = file, fd, kind, pid
        self.breaks: dict[int, int | None] = {}

    @property
    def target(self) -> int:
        """What it will be when it is broken; what it is, if nobody wants that."""
        return next((kind for kind in (F_UNLCK, F_RDLCK) if kind in self.breaks), self.kind)

    def stops(self, access: int) -> bool:
        """Tell whether it is in the way of an open for MAY_* bits."""
        return self.kind == F_WRLCK or bool(access & MAY_WRITE)

    def shown(self) -> Shown:
        """Return it as /proc shows it."""
        state = "BREAKING" if self.breaks else "ACTIVE"
        return Shown("LEASE", NAMES[self.target], self.pid, self.file.inode.ino, "0 EOF", state)


class Leases:
    """Every lease of one machine. break_time: seconds; 0: no end. enable: 0: no new ones."""

    def __init__(self, kernel: Machine) -> None:
        self.kernel = kernel
        self.break_time, self.enable = 45, 1
        self.held = kernel.vfs.leased

    def all(self) -> list[Shown]:
        """Return every lease, as /proc/locks has them."""
        return [lease.shown() for held in self.held.values() for lease in held]

    def held_by(self, file: File) -> list[Shown]:
        """Return what an open file holds."""
        held = self.held.get(file.inode.ino, ())
        return [lease.shown() for lease in held if lease.file is file]

    def kind_of(self, file: File) -> int:
        """Return what an open file holds, or will when it is broken: F_RDLCK, F_WRLCK, F_UNLCK."""
        self._look_at_time(file.inode.ino)
        held = self.held.get(file.inode.ino, ())
        return next((lease.target for lease in held if lease.file is file), F_UNLCK)

    # ---- taking and giving up ----

    def take(self, file: File, fd: int, kind: int, pid: int) -> None:
        """Let an open file hold a lease, in place of the one it had.

        Errors: EAGAIN (others have the file open, or hold one), EINVAL (fs.leases-enable).
        """
        ino = file.inode.ino
        self._look_at_time(ino)
        self._need_alone(file, kind)
        own = None
        for lease in self.held.get(ino, ()):
            if lease.file is file:
                own = lease
            elif kind == F_WRLCK or F_UNLCK in lease.breaks:
                raise SyscallError(errno.EAGAIN)
        if own is not None:
            self._change(own, kind)
            own.fd = fd
        elif self.enable:
            self.held.setdefault(ino, []).append(Lease(file, fd, kind, pid))
        else:
            raise SyscallError(errno.EINVAL)

    def _need_alone(self, file: File, kind: int) -> None:
        """Refuse a lease that others' open files would have broken. Errors: EAGAIN."""
        ino, vfs = file.inode.ino, self.kernel.vfs
        files = [other for other in vfs.used_files() if other.inode is file.inode]
        waiting = [access for access in ACCESSES if self._is_awaited(Opening(ino, access))]
        writers = sum(one.counted for one in files) + sum(map(_is_writer, waiting))
        readers = [one.access for one in files] + waiting
        if kind == F_RDLCK and writers > 0:
            raise SyscallError(errno.EAGAIN)
        own = (int(_is_writer(file.access)), int(file.access == MAY_READ))
        if kind == F_WRLCK and (writers, readers.count(MAY_READ)) != own:
            raise SyscallError(errno.EAGAIN)

    def _is_awaited(self, opening: Opening) -> bool:
        scheduler = self.kernel.scheduler
        return scheduler is not None and scheduler.sleepers.is_awaited(opening)

    def give_up(self, file: File) -> None:
        """Take an open file's lease away. Errors: EAGAIN: it has none."""
        for lease in self.held.get(file.inode.ino, ()):
            if lease.file is file:
                self._change(lease, F_UNLCK)
                return
        raise SyscallError(errno.EAGAIN)

    def closed(self, file: File) -> None:
        """Take away what a file held that is open no more."""
        if self.has(file):
            self.give_up(file)

    def has(self, file: File) -> bool:
        """Tell whether an open file holds a lease."""
        return any(lease.file is file for lease in self.held.get(file.inode.ino, ()))

    def _change(self, lease: Lease, kind: int) -> None:
        """Make a lease another one, or none, and let those look again who wait."""
        ino = lease.file.inode.ino
        lease.kind = kind
        if kind != F_WRLCK:
            lease.breaks.pop(F_RDLCK, None)
        if kind == F_UNLCK:
            lease.file.owner, lease.file.signal = NO_OWNER, 0
            self.held[ino].remove(lease)
            if not self.held[ino]:
                del self.held[ino]
        for access in ACCESSES:
            self.kernel.wake(Opening(ino, access))

    def _look_at_time(self, ino: int) -> None:
        """Break what holders had time to give up."""
        now = self.kernel.clock.now_ns
        for lease in list(self.held.get(ino, ())):
            late = [kind for kind, until in lease.breaks.items() if until is not None]
            for kind in (F_RDLCK, F_UNLCK):
                if kind in late and (lease.breaks[kind] or 0) <= now:
                    self._change(lease, kind)

    # ---- breaking ----

    def give_way(self, inode: Inode, access: int, flags: int) -> None:
        """Break the leases that are in the way of an open for MAY_* bits, and wait until they are.

        flags: O_NONBLOCK: do not wait. Errors: EWOULDBLOCK.
        """
        self._look_at_time(inode.ino)
        stopping = [one for one in self.held.get(inode.ino, ()) if one.stops(access)]
        if not stopping:
            return
        now = self.kernel.clock.now_ns
        until = now + self.break_time * SECOND if self.break_time else None
        target = F_UNLCK if access & MAY_WRITE else F_RDLCK
        for lease in stopping:
            if F_UNLCK not in lease.breaks and target not in lease.breaks:
                lease.breaks[target] = until
                self.kernel.tell_owner(lease.file, lease.fd, POLL_MSG, MSG_BAND)
        if flags & O_NONBLOCK:
            raise SyscallError(errno.EWOULDBLOCK)
        times = [time for one in stopping for time in one.breaks.values() if time is not None]
        raise WouldBlock(Opening(inode.ino, access), deadline=min(times, default=None))


def _is_writer(access: int) -> bool:
    return bool(access & MAY_WRITE)
