"""Clocks by number, and times in user memory, as calls of every room have them."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.clock import END_NS, NEVER_NS, SECOND
from pkern.kernel.errors import SyscallError, TaskKilled
from pkern.kernel.typed import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

ALARM_CLOCKS = frozenset({8, 9})  # REALTIME_ALARM, BOOTTIME_ALARM
NO_SLEEP_CLOCKS = frozenset({3, 4, 5, 6})  # THREAD_CPUTIME_ID, MONOTONIC_RAW, the coarse ones
# A negative clock's lowest bits: a thread's and no process's; by the scheduler; a device's.
PER_THREAD, CPUCLOCK_SCHED, CLOCK_FD = 4, 2, 3
ITIMER_REAL = 0
TIME_PAIR, OLD_PAIR = struct.Struct("<qq"), struct.Struct("<ii")  # of the i386 table's old calls


def is_of_device(clock: int) -> bool:
    """Tell whether a clock is an open device's: there are none that keep time."""
    return clock < 0 and clock & (PER_THREAD | CLOCK_FD) == CLOCK_FD


def duration_in(task: Task, addr: int, parts: int = SECOND, pair: struct.Struct = TIME_PAIR) -> int:
    """Return the nanoseconds of seconds and parts (so many a second) at addr.

    Errors: EINVAL (negative, or too many parts), EFAULT.
    """
    seconds, part = pair.unpack(task.mm.copy_in(addr, pair.size))
    if seconds < 0 or not 0 <= part < parts:
        raise SyscallError(errno.EINVAL)
    return int(seconds * SECOND + part * (SECOND // parts))


def ahead_of(task: Task, clock: int) -> int:
    """Return how far a task's clock is ahead of the machine's, in nanoseconds: its namespace's."""
    return task.nsproxy.time.ahead(clock)


def machines(task: Task, clock: int, when: int) -> int:
    """Return the machine's time of a clock when the task's own is when; 0 stays the least."""
    return max(0, when - ahead_of(task, clock))


def _nothing() -> None:
    """What most calls do when a signal ends them."""


def pass_time(task: Task, deadline: int | None, interrupted: Callable[[], None] = _nothing) -> bool:
    """Let a Python program's time pass to a deadline, where it waits for nothing else.

    Without one it passes to the program's next alarm. Return whether it did: a task in machine code
    is put to sleep, and some deadlines never come. interrupted: called before EINTR.
    Errors: EINTR (a handler has run), TaskKilled (an alarm ended it).
    """
    if task.context is not None:
        return False
    until = NEVER_NS if deadline is None else deadline
    if until >= NEVER_NS:
        until = _next_alarm(task)
    if until >= NEVER_NS:
        return False
    handled = task.signals.handled
    for _ in task.kernel.clock.pass_until(until):
        if not task.alive:
            raise TaskKilled(task.pid, (task.exit_status or 0) & 0x7F)
        if task.signals.handled != handled:
            interrupted()
            raise SyscallError(errno.EINTR)
    return True


def _next_alarm(task: Task) -> int:
    timer = task.group.timers.get(ITIMER_REAL)
    return timer.expires if timer is not None and 0 < timer.expires <= END_NS else NEVER_NS
