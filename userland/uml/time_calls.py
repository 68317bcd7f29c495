"""The guest's own time: clocks, sleeping, the interval timer that counts it."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from kernel.clock import SECOND
from kernel.wait import Restart
from userland.uml.files import Block
from userland.uml.memory import GuestError
from userland.uml.process import Process, Timer
from userland.uml.table import call, int32

if TYPE_CHECKING:
    from userland.uml.kernel import GuestKernel

CLOCKS = frozenset({0, 1, 4, 5, 6, 7})
DATES = frozenset({0, 5})  # CLOCK_REALTIME and its coarse form
SLEEPING_CLOCKS = frozenset({0, 1, 7})
TIMER_ABSTIME, ITIMER_REAL = 1, 0
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


def _timespec(me: Process, addr: int) -> int:
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
    wanted = _timespec(me, request)
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
    return _sleep_until(kernel, me, kernel.uptime_ns() + _timespec(me, request) - now, 0)


# ---- the interval timer ----


def _set_timer(kernel: GuestKernel, me: Process, value: int, interval: int) -> tuple[int, int]:
    """Start the timer, or stop it (0); return (interval, time left) of the old one."""
    now, old = kernel.uptime_ns(), me.timer
    me.timer = Timer(now + value, interval) if value else None
    return (old.interval, max(old.due - now, USEC)) if old else (0, 0)


@call(37, "alarm", 1)
def alarm(kernel: GuestKernel, me: Process, seconds: int) -> int:
    """Send SIGALRM in some seconds, 0: not at all; return what was left of the last one."""
    _, left = _set_timer(kernel, me, (seconds & 0xFFFF_FFFF) * SECOND, 0)
    return max(1, (left + SECOND // 2) // SECOND) if left else 0


def _only_real(which: int) -> None:
    if int32(which) != ITIMER_REAL:
        raise GuestError(errno.EINVAL)


def _pack_timer(interval: int, left: int) -> bytes:
    words = [word for time in (interval, left) for word in divmod(time // USEC, 1_000_000)]
    return ITIMERVAL.pack(*words)


@call(36, "getitimer", 2)
def getitimer(kernel: GuestKernel, me: Process, which: int, addr: int) -> int:
    """Store the interval timer of real time, the only one."""
    _only_real(which)
    timer, left = me.timer, 0
    if timer is not None:
        left = max(timer.due - kernel.uptime_ns(), USEC)
    me.space.write(addr, _pack_timer(timer.interval if timer else 0, left))
    return 0


@call(38, "setitimer", 3)
def setitimer(kernel: GuestKernel, me: Process, which: int, new: int, old: int) -> int:
    """Set the interval timer of real time; store the old one."""
    _only_real(which)
    words = ITIMERVAL.unpack(me.space.read(new, ITIMERVAL.size)) if new else (0, 0, 0, 0)
    if min(words) < 0 or max(words[1], words[3]) >= 1_000_000:
        raise GuestError(errno.EINVAL)
    interval, value = words[0] * SECOND + words[1] * USEC, words[2] * SECOND + words[3] * USEC
    before = _set_timer(kernel, me, value, interval)
    if old:
        me.space.write(old, _pack_timer(*before))
    return 0
