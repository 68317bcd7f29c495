"""Timers that are open files."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.clock import NEVER_NS, REALTIME_CLOCKS, SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.timerfd import TimerInode
from pkern.kernel.vfs.file import O_NONBLOCK, O_RDWR, File
from pkern.syscalls.clocks import ALARM_CLOCKS, machines
from pkern.syscalls.files.at import O_CLOEXEC, install, refuse_flags
from pkern.syscalls.table import INT, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

CLOCKS = frozenset({0, 1, 7})  # REALTIME, MONOTONIC, BOOTTIME
REALTIME = REALTIME_CLOCKS | {min(ALARM_CLOCKS)}
ABSTIME, CANCEL_ON_SET = 1, 2
SPEC = struct.Struct("<4q")  # struct itimerspec: interval, value


@syscall(283, "timerfd_create", SINT, INT)
def timerfd_create(task: Task, clock: int, flags: int = 0) -> int:
    """Return a descriptor of a timer that is off. flags: TFD_NONBLOCK, TFD_CLOEXEC.

    Errors: EINVAL, EMFILE, EPERM (an alarm clock without CAP_WAKE_ALARM).
    Source: timerfd_create(2).
    """
    refuse_flags(flags, O_NONBLOCK | O_CLOEXEC)
    if clock not in CLOCKS | ALARM_CLOCKS:
        raise SyscallError(errno.EINVAL)
    if clock in ALARM_CLOCKS and not task.capable("CAP_WAKE_ALARM"):
        raise SyscallError(errno.EPERM)
    inode = TimerInode(task.kernel, 0o600)
    inode.clock = clock
    status = O_RDWR | flags & O_NONBLOCK
    file = File(task.kernel, inode, "anon_inode:[timerfd]", status, task)
    return install(task, task.kernel.vfs.register(file), flags)


def timer_of(task: Task, fd: int) -> TimerInode:
    """Return a timer by its descriptor. Errors: EBADF, EINVAL (another file)."""
    inode = task.fds.get(fd).inode
    if not isinstance(inode, TimerInode):
        raise SyscallError(errno.EINVAL)
    return inode


def tell(timer: TimerInode, times: struct.Struct) -> bytes:
    """Return a struct itimerspec in a layout: the interval and what is left."""
    return times.pack(*divmod(timer.interval, SECOND), *divmod(timer.left(), SECOND))


@syscall(286, "timerfd_settime", SINT, INT, INT, INT, partly="TFD_TIMER_CANCEL_ON_SET is ignored")
def timerfd_settime(task: Task, fd: int, flags: int, new: int, old: int) -> int:
    """Set a timer from struct itimerspec at new; store the old one, where not 0.

    flags: TFD_TIMER_ABSTIME. Errors: EINVAL, EFAULT, EBADF. Source: timerfd_settime(2).
    """
    return set_timer(task, fd, flags, new, old, SPEC)


def set_timer(task: Task, fd: int, flags: int, new: int, old: int, times: struct.Struct) -> int:
    """Set a timer as timerfd_settime; times: the layout of an itimerspec. Errors: as that."""
    words = times.unpack(task.mm.copy_in(new, times.size))
    refuse_flags(flags, ABSTIME | CANCEL_ON_SET)
    if min(words) < 0 or max(words[1], words[3]) >= SECOND:
        raise SyscallError(errno.EINVAL)
    timer = timer_of(task, fd)
    before, clock = tell(timer, times), task.kernel.clock
    interval = min(words[0] * SECOND + words[1], NEVER_NS)
    value = min(words[2] * SECOND + words[3], NEVER_NS)
    due = value if flags & ABSTIME else clock.now_ns + value
    if flags & ABSTIME and timer.clock in REALTIME:
        due = clock.now_ns - clock.realtime_ns + value
    elif flags & ABSTIME:
        due = machines(task, timer.clock, value)
    timer.flags = flags
    timer.set(min(due, NEVER_NS) if value else None, interval)
    if old:
        task.mm.copy_out(old, before)
    return 0


@syscall(287, "timerfd_gettime", SINT, STRUCT)
def timerfd_gettime(task: Task, fd: int) -> bytes:
    """Store struct itimerspec: interval and time left. Errors: EBADF, EINVAL, EFAULT.

    Source: timerfd_gettime(2).
    """
    return tell(timer_of(task, fd), SPEC)
