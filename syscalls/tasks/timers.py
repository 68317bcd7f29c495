"""Timers on virtual time: alarms, interval timers, sleeping on a clock, times used."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.clock import CPU_CLOCKS, REALTIME_CLOCKS, SECOND, UPTIME_CLOCKS
from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import partial
from pkern.kernel.tasks.signal.sending import send
from pkern.kernel.tasks.signal.signals import SI_KERNEL, SigInfo, Signal
from pkern.kernel.tasks.thread import Interval
from pkern.kernel.tasks.times.cpu_clocks import CpuSleep
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.clocks import (
    ALARM_CLOCKS,
    ITIMER_REAL,
    NO_SLEEP_CLOCKS,
    PER_THREAD,
    TIME_PAIR,
    duration_in,
    is_of_device,
    machines,
    pass_time,
)
from pkern.syscalls.table import INT, SINT, STRUCT, syscall
from pkern.syscalls.tasks.time import cpu_clock
from pkern.syscalls.tasks.waiting import KB_PER_PAGE, Rusage, usage_of_children

if TYPE_CHECKING:
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.task import Task

ITIMER_VIRTUAL, ITIMER_PROF = 1, 2
TIMER_ABSTIME = 1
USEC = 1000
TICKS = 10_000_000  # nanoseconds of one of times()'s ticks
RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD = 0, -1, 1


# ---- sleeping ----


def sleep_until(
    task: Task,
    deadline: int,
    remain: int = 0,
    pair: struct.Struct = TIME_PAIR,
    restart: Restart = Restart.CONTINUE,
) -> int:
    """Sleep until the machine's uptime is deadline; store what is left at remain if interrupted.

    A Python program's time passes at once, but for a deadline that never comes.
    """
    clock = task.kernel.clock

    def interrupted() -> None:
        if remain:
            rest = max(0, deadline - clock.now_ns)
            task.mm.copy_out(remain, pair.pack(*divmod(rest, SECOND)))

    pass_time(task, deadline, interrupted)
    if clock.now_ns >= deadline:
        return 0
    raise WouldBlock(
        deadline=deadline,
        progress=deadline,
        restart=restart,
        interrupted=interrupted,
    )


def _deadline(task: Task, nanoseconds: int) -> int:
    """Return when a relative sleep ends: fixed at the first try."""
    if task.thread.progress is not None:
        return int(task.thread.progress)
    return task.kernel.clock.now_ns + nanoseconds


def nanosleep(task: Task, nanoseconds: int) -> int:
    """Let virtual time pass. Errors: EINVAL (negative), EAGAIN (it would never end).

    Source: nanosleep(2).
    """
    if nanoseconds < 0:
        raise SyscallError(errno.EINVAL)
    return sleep_until(task, task.kernel.clock.now_ns + nanoseconds)


@syscall(35, "nanosleep", INT, INT)
def nanosleep_raw(task: Task, request: int, remain: int) -> int:
    """Sleep for the struct timespec at request. Errors: EINVAL, EFAULT, EINTR.

    Source: nanosleep(2).
    """
    return sleep_for(task, duration_in(task, request), remain)


def sleep_for(task: Task, nanoseconds: int, remain: int, pair: struct.Struct = TIME_PAIR) -> int:
    """Sleep in machine code; store what is left at remain, as a pair. Errors: EINTR, EFAULT."""
    return sleep_until(task, _deadline(task, nanoseconds), remain, pair)


@syscall(230, "clock_nanosleep", SINT, SINT, INT, INT)
def clock_nanosleep(task: Task, clock: int, flags: int, request: int, remain: int) -> int:
    """Sleep on a clock, until a time of it with TIMER_ABSTIME.

    A clock of processor time counts what a process, or another thread, does meanwhile.
    Errors: EINVAL, EFAULT, EINTR, EOPNOTSUPP (coarse, raw, alarms, devices).
    Source: clock_nanosleep(2).
    """
    return sleep_on(task, clock, flags, request, remain, TIME_PAIR)


def sleep_on(
    task: Task, clock: int, flags: int, request: int, remain: int, pair: struct.Struct
) -> int:
    """Sleep on a clock; pair: the layout of the times. Errors: as clock_nanosleep."""
    if clock in NO_SLEEP_CLOCKS or is_of_device(clock):
        raise SyscallError(errno.EOPNOTSUPP)
    if clock >= 0 and clock not in REALTIME_CLOCKS | UPTIME_CLOCKS | ALARM_CLOCKS:
        raise SyscallError(errno.EINVAL)
    wanted = duration_in(task, request, pair=pair)
    if clock in ALARM_CLOCKS:  # nothing wakes the machine
        raise SyscallError(errno.EOPNOTSUPP)
    if clock < 0 or clock in CPU_CLOCKS:
        return _sleep_by_work(task, clock, flags, wanted, remain, pair)
    if not flags & TIMER_ABSTIME:
        return sleep_for(task, wanted, remain, pair)
    if clock in REALTIME_CLOCKS:
        wanted += task.kernel.clock.now_ns - task.kernel.clock.realtime_ns
    return sleep_until(task, machines(task, clock, wanted), restart=Restart.UNLESS_HANDLED)


def _need_other(task: Task, clock: int) -> None:
    """Refuse a thread that would sleep until it has run for some time. Errors: EINVAL."""
    if clock < 0 and clock & PER_THREAD and ~(clock >> 3) in (0, task.number):
        raise SyscallError(errno.EINVAL)


def _sleep_by_work(
    task: Task, clock: int, flags: int, wanted: int, remain: int, pair: struct.Struct
) -> int:
    """Sleep until a process, or another thread, has run so long. Errors: EINVAL, EINTR, EFAULT.

    Source: posix_cpu_nsleep() of Linux 6.18.
    """
    _need_other(task, clock)
    sleep: CpuSleep | None = task.thread.progress
    if sleep is None:
        counted = cpu_clock(task, clock)
        sleep = CpuSleep(counted, wanted if flags & TIMER_ABSTIME else counted.now() + wanted)
    if task.context is None:
        return sleep_until(task, task.kernel.clock.now_ns + max(0, sleep.due - sleep.clock.now()))
    if sleep.clock.now() >= sleep.due:
        sleep.stop()
        return 0

    def interrupted() -> None:
        sleep.stop()
        if remain and not flags & TIMER_ABSTIME:
            rest = max(0, sleep.due - sleep.clock.now())
            task.mm.copy_out(remain, pair.pack(*divmod(rest, SECOND)))

    if not sleep.clock.known and not task.signals.deliverable():  # it has been stopped, and goes on
        interrupted()
        raise SyscallError(errno.EINVAL)
    sleep.clock.watch(sleep)
    raise WouldBlock(
        sleep.key,
        progress=sleep,
        restart=Restart.UNLESS_HANDLED if flags & TIMER_ABSTIME else Restart.CONTINUE,
        interrupted=interrupted,
    )


# ---- interval timers ----


def _timer(task: Task, which: int) -> Interval:
    if which not in (ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF):
        raise SyscallError(errno.EINVAL)
    task.group.part()
    return task.group.timers.setdefault(which, Interval())


def _now(task: Task, which: int) -> int:
    return task.kernel.clock.now_ns if which == ITIMER_REAL else task.group.time_ns


def _timer_value(task: Task, which: int) -> tuple[int, int]:
    """Return (nanoseconds of the interval, nanoseconds left)."""
    timer = _timer(task, which)
    left = max(timer.expires - _now(task, which), USEC) if timer.expires else 0
    return timer.interval, left


def _set_timer(task: Task, which: int, interval: int, value: int) -> None:
    timer = _timer(task, which)
    timer.shot += 1
    timer.interval = interval
    timer.expires = _now(task, which) + value if value else 0
    if which != ITIMER_REAL:
        return
    group = task.group
    group.pending.alarm_taken = partial(_go_on, group, timer) if value and interval else None
    if value:
        _start(group, timer)


def _start(group: Group, timer: Interval) -> None:
    shot = timer.shot
    group.kernel.clock.at(timer.expires, lambda: _alarm(group, timer, shot))


def _alarm(group: Group, timer: Interval, shot: int) -> None:
    """Expire a real timer, unless it was set anew since: SIGALRM."""
    if not group.alive or timer.shot != shot:
        return
    timer.expires, timer.expired = 0, timer.expires
    send(group.leader, SigInfo(Signal.SIGALRM, SI_KERNEL))


def _go_on(group: Group, timer: Interval) -> None:
    """Start a real timer that repeats again, now that a SIGALRM is taken: the next time to come.

    Source: posixtimer_rearm_itimer() of Linux 6.18. One whose signal is ignored, or waits, rests.
    """
    if timer.expires or not timer.interval or not group.alive:
        return
    missed = max(0, group.kernel.clock.now_ns - timer.expired) // timer.interval
    timer.expires = timer.expired + (missed + 1) * timer.interval
    _start(group, timer)


def _pack_timer(values: tuple[int, int]) -> bytes:
    words = [part for value in values for part in divmod(value // USEC, 1_000_000)]
    return struct.pack("<qqqq", *words)


@syscall(36, "getitimer", SINT, STRUCT)
def getitimer(task: Task, which: int) -> bytes:
    """Store struct itimerval. Errors: EINVAL, EFAULT. Source: getitimer(2)."""
    return _pack_timer(_timer_value(task, which))


@syscall(38, "setitimer", SINT, INT, INT)
def setitimer(task: Task, which: int, new: int, old: int) -> int:
    """Set an interval timer from struct itimerval at new (0: off); store the old one.

    A Python program takes no processor time: only ITIMER_REAL expires, in a call that waits.
    Errors: EINVAL, EFAULT. Source: setitimer(2).
    """
    words = struct.unpack("<qqqq", task.mm.copy_in(new, 32)) if new else (0, 0, 0, 0)
    before = set_timer(task, which, words)
    if old:
        task.mm.copy_out(old, before)
    return 0


def set_timer(task: Task, which: int, words: tuple[int, ...]) -> bytes:
    """Set an interval timer from seconds and microseconds, twice; return struct itimerval."""
    before = _timer_value(task, which)
    if any(not 0 <= micro < 1_000_000 for micro in words[1::2]) or min(words) < 0:
        raise SyscallError(errno.EINVAL)
    interval, value = words[0] * SECOND + words[1] * USEC, words[2] * SECOND + words[3] * USEC
    _set_timer(task, which, interval, value)
    return _pack_timer(before)


@syscall(37, "alarm", INT)
def alarm(task: Task, seconds: int) -> int:
    """Send SIGALRM after seconds (0: never mind); return the seconds an older alarm had left.

    To a Python program it comes in a call that waits. Source: alarm(2).
    """
    left = _timer_value(task, ITIMER_REAL)[1]
    _set_timer(task, ITIMER_REAL, 0, (seconds & 0xFFFF_FFFF) * SECOND)
    return max(1, (left + SECOND // 2) // SECOND) if left else 0


# ---- times used ----


@syscall(100, "times", INT)
def times(task: Task, addr: int) -> int:
    """Store struct tms (no system time) and return uptime, both in ticks of 10 ms.

    Source: times(2).
    """
    if addr:
        group = task.group
        used = (group.time_ns // TICKS, 0, group.waited_for.cpu_ns // TICKS, 0)
        task.mm.copy_out(addr, struct.pack("<qqqq", *used))
    return task.kernel.clock.now_ns // TICKS


@syscall(98, "getrusage", SINT, STRUCT, partly="times, faults and hiwater RSS; the rest is 0")
def getrusage_raw(task: Task, who: int) -> bytes:
    """Store struct rusage. Errors: EINVAL, EFAULT. Source: getrusage(2)."""
    return getrusage(task, who).pack()


def getrusage(task: Task, who: int = RUSAGE_SELF) -> Rusage:
    """Return what RUSAGE_SELF (or _THREAD, _CHILDREN) has used. Errors: EINVAL.

    Source: getrusage(2).
    """
    if who == RUSAGE_CHILDREN:
        return usage_of_children(task)
    if who not in (RUSAGE_SELF, RUSAGE_THREAD):
        raise SyscallError(errno.EINVAL)
    process = task.group.times
    used = process if who == RUSAGE_SELF else task.times
    return Rusage(used.cpu_ns, process.max_rss * KB_PER_PAGE, used.minor, used.major)
