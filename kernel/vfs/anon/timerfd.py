"""timerfd: a timer on virtual time whose expirations are read as a number of eight bytes."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.inode import MAY_READ, POLLIN, UNWRITTEN, AnonInode
from pkern.kernel.vfs.readiness import Wait, waits, wake
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.vfs.file import File

WORD = 8


class TimerInode(AnonInode):
    """The timer: nothing runs while no one waits, for its state follows from the time.

    due: the first expiration that no one has read (nanoseconds since boot), None: it is off.
    interval: nanoseconds between expirations, 0: there is one.
    """

    lacks = UNWRITTEN
    also_ready: ClassVar[dict[int, int]] = {}
    can_nowait = MAY_READ
    due: int | None = None
    interval = 0
    clock = 0  # whose its absolute times are
    flags = 0  # of the last timerfd_settime

    def set(self, due: int | None, interval: int) -> None:
        """Start it afresh, or stop it (None)."""
        self.due, self.interval = due, interval
        wake(self)

    def expirations(self) -> int:
        """Return how often it has expired since it was read or set."""
        late = -1 if self.due is None else self.kernel.clock.now_ns - self.due
        if late < 0:
            return 0
        return 1 + (late // self.interval if self.interval else 0)

    def left(self) -> int:
        """Return the nanoseconds to the next expiration, 0 if there is none."""
        if self.due is None:
            return 0
        next_due = self.due + self.expirations() * self.interval
        return max(0, next_due - self.kernel.clock.now_ns)

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        """Take the number of expirations. Errors: EINVAL (less room), EAGAIN."""
        if nbytes < WORD:
            raise SyscallError(errno.EINVAL)
        found = self.expirations()
        if not found:
            if waits(file) is Wait.NEVER:
                raise SyscallError(errno.EAGAIN)
            raise WouldBlock(self, deadline=self.due)
        assert self.due is not None
        self.due = self.due + found * self.interval if self.interval else None
        wake(self, POLLIN)  # the next one is news again
        return found.to_bytes(WORD, "little")

    def fdinfo(self, pid_ns: PidNamespace) -> str:
        """What /proc/PID/fdinfo adds: the clock, expirations that no one has read, the times."""
        (value_s, value_ns), (every_s, every_ns) = (
            divmod(ns, SECOND) for ns in (self.left(), self.interval)
        )
        return (
            f"clockid: {self.clock}\nticks: {self.expirations()}\n"
            f"settime flags: 0{self.flags:o}\n"
            f"it_value: ({value_s}, {value_ns})\nit_interval: ({every_s}, {every_ns})\n"
        )

    def poll(self, file: File) -> int:
        return POLLIN if self.expirations() else 0

    def is_silent(self) -> bool:
        return True

    def watch(self) -> None:
        scheduler, left = self.kernel.scheduler, self.left()
        if scheduler is not None and left:  # one that is over has no more news
            scheduler.at(self.kernel.clock.now_ns + left, lambda: wake(self))
