"""Clocks of processor time: whose time one counts, and who waits for it.

Who waits hangs on the process whose time it is (Group.clocked) and is looked at when a turn of that
process is over. Source: clock_getcpuclockid(3), Linux 6.18 kernel/time/posix-cpu-timers.c.
"""

from __future__ import annotations

from pkern.kernel.typed import TYPE_CHECKING, Hashable
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.times.posix_timers import PosixTimer


class CpuClock(NamedTuple):
    """Counts the processor time of a process, or of one thread of it."""

    group: Group
    thread: Task | None = None

    def now(self) -> int:
        """Return the nanoseconds that have been used; all of time is a Python program's own."""
        owner = self.thread or self.group.leader
        if owner is not None and owner.context is None and owner.alive:
            return owner.kernel.clock.now_ns
        return self.group.time_ns if self.thread is None else self.thread.time_ns

    @property
    def known(self) -> bool:
        """Whether there still is whom it counts for: not once that is forgotten."""
        owner = self.thread or self.group.leader
        return owner is not None and owner.kernel.tasks.get(owner.pid) is owner

    def watch(self, one: CpuSleep | PosixTimer) -> None:
        """Look at one when a turn is over, from now on."""
        if one not in self.group.clocked:
            self.group.clocked.append(one)
            self.group.part()

    def leave(self, one: CpuSleep | PosixTimer) -> None:
        """Look at it no more."""
        if one in self.group.clocked:
            self.group.clocked.remove(one)


class CpuSleep:
    """A task that sleeps until due, nanoseconds of a clock of processor time."""

    def __init__(self, clock: CpuClock, due: int) -> None:
        self.clock, self.due = clock, due

    @property
    def key(self) -> Hashable:
        """What it is woken by."""
        return ("processor time", self)

    def look(self) -> None:
        """Wake who sleeps, if it is time."""
        if self.clock.now() >= self.due:
            self.stop()
            self.clock.group.kernel.wake(self.key)

    def stop(self) -> None:
        """Wait no more."""
        self.clock.leave(self)


def look(group: Group) -> None:
    """Look at all that waits for a process's time, the first that is due first."""
    for one in sorted(group.clocked, key=lambda one: one.due):
        one.look()
