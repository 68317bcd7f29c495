"""Time: all of it virtual, so that every run reads the same."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from syscalls.table import INT, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from kernel.task import Task

NS = 1_000_000_000
CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1
REALTIME_CLOCKS = frozenset({0, 5, 11})  # REALTIME, REALTIME_COARSE, TAI
UPTIME_CLOCKS = frozenset({1, 2, 3, 4, 6, 7})  # MONOTONIC*, *_CPUTIME_ID, BOOTTIME


def clock_gettime(task: Task, clock: int) -> int:
    """Return a clock's nanoseconds. Errors: EINVAL. Source: clock_gettime(2)."""
    if clock in REALTIME_CLOCKS:
        return task.kernel.clock.realtime_ns
    if clock in UPTIME_CLOCKS:
        return task.kernel.clock.now_ns
    raise SyscallError(errno.EINVAL)


@syscall(228, "clock_gettime", SINT, STRUCT)
def clock_gettime_raw(task: Task, clock: int) -> bytes:
    """Store struct timespec. Errors: EINVAL, EFAULT. Source: clock_gettime(2)."""
    return struct.pack("<qq", *divmod(clock_gettime(task, clock), NS))


def gettimeofday(task: Task) -> bytes:
    """Return struct timeval of CLOCK_REALTIME. Source: gettimeofday(2)."""
    seconds, nanoseconds = divmod(task.kernel.clock.realtime_ns, NS)
    return struct.pack("<qq", seconds, nanoseconds // 1000)


@syscall(96, "gettimeofday", INT, INT)
def gettimeofday_raw(task: Task, time_addr: int, zone_addr: int) -> int:
    """Store struct timeval and struct timezone (Greenwich), each where its address is not 0.

    Errors: EFAULT. Source: gettimeofday(2).
    """
    if time_addr:
        task.mm.copy_out(time_addr, gettimeofday(task))
    if zone_addr:
        task.mm.copy_out(zone_addr, bytes(8))
    return 0


@syscall(201, "time", INT)
def time(task: Task, addr: int = 0) -> int:
    """Return the seconds since 1970, and store them (8 bytes) at addr unless that is 0.

    Errors: EFAULT. Source: time(2).
    """
    seconds = task.kernel.clock.realtime_ns // NS
    if addr:
        task.mm.copy_out(addr, struct.pack("<q", seconds))
    return seconds


@syscall(309, "getcpu", INT, INT)
def getcpu(task: Task, cpu_addr: int = 0, node_addr: int = 0) -> int:
    """Store the processor and the node, both 0 (4 bytes each), where the address is not 0.

    Errors: EFAULT. Source: getcpu(2).
    """
    for addr in (cpu_addr, node_addr):
        if addr:
            task.mm.copy_out(addr, bytes(4))
    return 0
