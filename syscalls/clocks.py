"""Clocks by number, and times in user memory, as calls of every room have them."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.clock import NEVER_NS, SECOND
from pkern.kernel.errors import SyscallError

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

REALTIME_CLOCKS = frozenset({0, 5, 11})  # REALTIME, REALTIME_COARSE, TAI
UPTIME_CLOCKS = frozenset({1, 2, 3, 4, 6, 7})  # MONOTONIC*, *_CPUTIME_ID, BOOTTIME
CPU_CLOCKS = frozenset({2, 3})  # of the process and of the thread


def duration_in(task: Task, addr: int, parts: int = SECOND) -> int:
    """Return the nanoseconds of seconds and parts (so many a second) at addr.

    Errors: EINVAL (negative, or too many parts), EFAULT.
    """
    seconds, part = struct.unpack("<qq", task.mm.copy_in(addr, 16))
    if seconds < 0 or not 0 <= part < parts:
        raise SyscallError(errno.EINVAL)
    return int(seconds * SECOND + part * (SECOND // parts))


def pass_time(task: Task, deadline: int | None) -> bool:
    """Let a Python program's time pass to a deadline, where it waits for nothing else.

    Return whether it did: a task in machine code is put to sleep, and some deadlines never come.
    """
    if task.context is not None or deadline is None or deadline >= NEVER_NS:
        return False
    clock = task.kernel.clock
    clock.advance(max(0, deadline - clock.now_ns))
    return True
