"""Timers of POSIX: made, set, read and deleted. Source: timer_create(2)."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.clock import CPU_CLOCKS, NEVER_NS, REALTIME_CLOCKS, SECOND, UPTIME_CLOCKS
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signal.signals import NSIG
from pkern.kernel.tasks.times.posix_timers import (
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD,
    SIGEV_THREAD_ID,
    PosixTimer,
    PosixTimers,
)
from pkern.syscalls.clocks import ALARM_CLOCKS, is_of_device, machines
from pkern.syscalls.layouts import layout
from pkern.syscalls.table import INT, SINT, syscall
from pkern.syscalls.tasks.time import cpu_clock

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

CLOCKS = frozenset({0, 1, 2, 3, 7, 11})  # that timers may have
SIGEVENT = layout("<QiiI", "<IiiI")  # value, signal, how, thread
SIGEVENT_BYTES = 64
TIMER_ABSTIME, SIGALRM = 1, 14
TIMES = struct.Struct("<4q")  # struct itimerspec


def _need_clock(task: Task, clock: int) -> None:
    """Refuse a clock that timers cannot have. Errors: EINVAL, EOPNOTSUPP, EPERM."""
    if clock in ALARM_CLOCKS or is_of_device(clock):  # nothing wakes the machine
        raise SyscallError(errno.EOPNOTSUPP)
    if clock >= 0 and clock not in CLOCKS:
        known = clock in REALTIME_CLOCKS | UPTIME_CLOCKS
        raise SyscallError(errno.EOPNOTSUPP if known else errno.EINVAL)


def _thread_of(task: Task, tid: int) -> Task:
    found = task.group.threads.get(task.pid_of(tid))
    if found is None or not found.alive:
        raise SyscallError(errno.EINVAL)
    return found


@syscall(222, "timer_create", SINT, INT, INT)
def timer_create(task: Task, clock: int, event: int, store: int) -> int:
    """Make a timer of a clock that does what the struct sigevent at event says; store its number.

    event 0: SIGALRM. Errors: EINVAL, EOPNOTSUPP, EAGAIN (RLIMIT_SIGPENDING), EFAULT.
    Source: timer_create(2).
    """
    raw = SIGEVENT.of(task).unpack_from(task.mm.copy_in(event, SIGEVENT_BYTES)) if event else None
    _need_clock(task, clock)
    if task.group.posix_timers is None:
        task.group.posix_timers = PosixTimers()
        task.group.part()
    timers = task.group.posix_timers
    if task.kernel.tasks.queued.of(task) >= task.rlimits["sigpending"][0]:
        raise SyscallError(errno.EAGAIN)
    number = _number(task, timers, store)
    value, signo, notify, tid = raw or (0, SIGALRM, SIGEV_SIGNAL, 0)
    if notify not in (SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID):
        raise SyscallError(errno.EINVAL)
    thread = _thread_of(task, tid) if notify == SIGEV_THREAD_ID else None
    if notify != SIGEV_NONE and not 0 < signo <= NSIG:
        raise SyscallError(errno.EINVAL)
    timer = PosixTimer(task.group, number, clock, notify, signo, value if event else number)
    timer.thread = thread
    timer.timed = cpu_clock(task, clock) if clock < 0 or clock in CPU_CLOCKS else None
    task.mm.copy_out(store, struct.pack("<i", number))
    timers.enter(timer, task.cred.uid)
    return 0


def _number(task: Task, timers: PosixTimers, store: int) -> int:
    """Take the next number, or while a process is restored the one that store holds."""
    if not task.group.restores_timer_ids:
        return timers.take_number()
    (wanted,) = struct.unpack("<I", task.mm.copy_in(store, 4))
    return timers.take_wanted(wanted)


def _timer(task: Task, number: int) -> PosixTimer:
    """Return a timer. Errors: EINVAL."""
    timers = task.group.posix_timers
    if timers is None or number not in timers:
        raise SyscallError(errno.EINVAL)
    return timers[number]


def _pack(values: tuple[int, int], times: struct.Struct) -> bytes:
    return times.pack(*(part for value in values for part in divmod(value, SECOND)))


@syscall(223, "timer_settime", SINT, SINT, INT, INT)
def timer_settime(task: Task, number: int, flags: int, new: int, old: int = 0) -> int:
    """Set a timer from struct itimerspec at new (0: off); store the old one.

    flags: TIMER_ABSTIME. Errors: EINVAL, EFAULT, ESRCH (whose time it counts is gone); ENOSYS in
    a Python program, for a signal that nothing would send. Source: timer_settime(2).
    """
    return set_timer(task, number, flags, new, old, TIMES)


def set_timer(task: Task, number: int, flags: int, new: int, old: int, times: struct.Struct) -> int:
    """Set a timer as timer_settime; times: the layout of an itimerspec. Errors: as that."""
    if not new:
        raise SyscallError(errno.EINVAL)
    words = times.unpack(task.mm.copy_in(new, times.size))
    if any(not 0 <= part < SECOND for part in words[1::2]) or min(words) < 0:
        raise SyscallError(errno.EINVAL)
    timer = _timer(task, number)
    interval, value = words[0] * SECOND + words[1], words[2] * SECOND + words[3]
    if value and timer.notify != SIGEV_NONE and task.kernel.scheduler is None:
        raise SyscallError(errno.ENOSYS)
    if timer.timed is not None and not timer.timed.known:
        raise SyscallError(errno.ESRCH)
    before = timer.left()
    due = machines(task, timer.clock, value) if flags & TIMER_ABSTIME else timer.now() + value
    timer.set(min(max(due, 1), NEVER_NS) if value else 0, interval if value else 0)
    if old:
        task.mm.copy_out(old, _pack(before, times))
    return 0


@syscall(224, "timer_gettime", SINT, INT)
def timer_gettime(task: Task, number: int, addr: int) -> int:
    """Store struct itimerspec: the interval, and what is left. Errors: EINVAL, EFAULT.

    Source: timer_gettime(2).
    """
    return tell_timer(task, number, addr, TIMES)


def tell_timer(task: Task, number: int, addr: int, times: struct.Struct) -> int:
    """Tell of a timer as timer_gettime; times: the layout of an itimerspec. Errors: as that."""
    task.mm.copy_out(addr, _pack(_timer(task, number).left(), times))
    return 0


@syscall(225, "timer_getoverrun", SINT)
def timer_getoverrun(task: Task, number: int) -> int:
    """Return how often the timer expired unseen before its last signal. Errors: EINVAL.

    Source: timer_getoverrun(2).
    """
    return _timer(task, number).overrun


@syscall(226, "timer_delete", SINT)
def timer_delete(task: Task, number: int) -> int:
    """Delete a timer; its signal, if one waits, is void. Errors: EINVAL.

    Source: timer_delete(2).
    """
    _timer(task, number).delete()
    assert task.group.posix_timers is not None
    del task.group.posix_timers[number]
    return 0
