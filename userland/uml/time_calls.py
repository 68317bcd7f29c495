"""The guest's own time: clocks, sleeping, interval timers."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.clock import SECOND
from pkern.kernel.wait import Restart
from pkern.userland.uml.files import Block
from pkern.userland.uml.memory import GuestError
from pkern.userland.uml.process import ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, Process, Timer
from pkern.userland.uml.table import call, int32

if TYPE_CHECKING:
    from pkern.userland.uml.kernel import GuestKernel

CLOCKS = frozenset({0, 1, 4, 5, 6, 7})
DATES = frozenset({0, 5})  # CLOCK_REALTIME and its coarse form
SLEEPING_CLOCKS = frozenset({0, 1, 7})
TIMER_ABSTIME = 1
USEC = 1000
PAIR, ITIMERVAL = struct.Struct("<qq"), struct.Struct("<4q")


# ---- clocks ----


@call(96, "gettimeofday", 2)
def gettimeofday(kernel: GuestKernel, me: Process, addr: int, zone: int) -> int:
    """Store the guest's time."""
    seconds, nanoseconds = divmod(kernel.now_ns(), SECOND)
    if addr:
        me.space.write(addr, PAIR.pack(seconds, nanoseconds // USEC))
    if zone:
        me.space.write(zone, bytes(8))
    return 0


@call(201, "time", 1)
def time(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Return the guest's seconds, and store them if asked to."""
    seconds = kernel.now_ns() // SECOND
    if addr:
        me.space.write(addr, struct.pack("<q", seconds))
    return seconds


@call(228, "clock_gettime", 2)
def clock_gettime(kernel: GuestKernel, me: Process, clock: int, addr: int) -> int:
    """Store a clock: CLOCK_REALTIME is the guest's, others count from its boot."""
    if clock not in CLOCKS:
        raise GuestError(errno.EINVAL)
    now = kernel.now_ns() if clock in DATES else kernel.uptime_ns()
    me.space.write(addr, PAIR.pack(*divmod(now, SECOND)))
    return 0


# ---- sleeping ----


def timespec_in(me: Process, addr: int) -> int:
    """Return the nanoseconds of a struct timespec. Errors: GuestError(EINVAL, EFAULT)."""
    seconds, nanoseconds = PAIR.unpack(me.space.read(addr, PAIR.size))
    if seconds < 0 or not 0 <= nanoseconds < SECOND:
        raise GuestError(errno.EINVAL)
    return int(seconds * SECOND + nanoseconds)


def _sleep_until(kernel: GuestKernel, me: Process, deadline: int, left_at: int) -> int:
    """Sleep until the guest's uptime is deadline; a signal leaves what is left at left_at."""
    if kernel.uptime_ns() >= deadline:
        return 0

    def interrupted() -> None:
        if left_at:
            left = max(0, deadline - kernel.uptime_ns())
            me.space.write(left_at, PAIR.pack(*divmod(left, SECOND)))

    raise Block(deadline, Restart.CONTINUE, interrupted)


@call(35, "nanosleep", 2)
def nanosleep(kernel: GuestKernel, me: Process, request: int, left_at: int) -> int:
    """Sleep for a time."""
    wanted = timespec_in(me, request)
    deadline = kernel.uptime_ns() + wanted if me.deadline is None else me.deadline
    return _sleep_until(kernel, me, deadline, left_at)


@call(230, "clock_nanosleep", 4)
def clock_nanosleep(
    kernel: GuestKernel, me: Process, clock: int, flags: int, request: int, left_at: int
) -> int:
    """Sleep for a time, or until a clock shows one."""
    if int32(clock) not in SLEEPING_CLOCKS:
        raise GuestError(errno.EINVAL)
    if not flags & TIMER_ABSTIME:
        return nanosleep(kernel, me, request, left_at)
    now = kernel.now_ns() if int32(clock) in DATES else kernel.uptime_ns()
    return _sleep_until(kernel, me, kernel.uptime_ns() + timespec_in(me, request) - now, 0)


# ---- interval timers ----


def _now(kernel: GuestKernel, me: Process, which: int) -> int:
    return kernel.uptime_ns() if which == ITIMER_REAL else me.cpu_ns


def _value(kernel: GuestKernel, me: Process, which: int) -> tuple[int, int]:
    """Return a timer's interval and the time left, 0 if it does not run."""
    timer = me.timers.get(which)
    if timer is None:
        return 0, 0
    return timer.interval, max(timer.due - _now(kernel, me, which), USEC)


def _set(kernel: GuestKernel, me: Process, which: int, interval: int, value: int) -> None:
    me.timers.pop(which, None)
    if value:
        me.timers[which] = Timer(_now(kernel, me, which) + value, interval)


@call(37, "alarm", 1)
def alarm(kernel: GuestKernel, me: Process, seconds: int) -> int:
    """Send SIGALRM in some seconds, 0: not at all; return what was left of the last one."""
    _, left = _value(kernel, me, ITIMER_REAL)
    _set(kernel, me, ITIMER_REAL, 0, (seconds & 0xFFFF_FFFF) * SECOND)
    return max(1, (left + SECOND // 2) // SECOND) if left else 0


def _which(value: int) -> int:
    which = int32(value)
    if which not in (ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF):
        raise GuestError(errno.EINVAL)
    return which


def _pack_timer(values: tuple[int, int]) -> bytes:
    words = [word for time in values for word in divmod(time // USEC, 1_000_000)]
    return ITIMERVAL.pack(*words)


@call(36, "getitimer", 2)
def getitimer(kernel: GuestKernel, me: Process, which: int, addr: int) -> int:
    """Store an interval timer."""
    me.space.write(addr, _pack_timer(_value(kernel, me, _which(which))))
    return 0


@call(38, "setitimer", 3)
def setitimer(kernel: GuestKernel, me: Process, which: int, new: int, old: int) -> int:
    """Set an interval timer and store the old one; those of CPU time go by ticks."""
    which = _which(which)
    words = ITIMERVAL.unpack(me.space.read(new, ITIMERVAL.size)) if new else (0, 0, 0, 0)
    if min(words) < 0 or max(words[1], words[3]) >= 1_000_000:
        raise GuestError(errno.EINVAL)
    before = _value(kernel, me, which)
    interval, value = words[0] * SECOND + words[1] * USEC, words[2] * SECOND + words[3] * USEC
    _set(kernel, me, which, interval, value)
    if old:
        me.space.write(old, _pack_timer(before))
    return 0
