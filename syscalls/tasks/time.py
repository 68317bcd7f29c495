"""Time: all of it virtual, so that every run reads the same."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.clock import CPU_CLOCKS, REALTIME_CLOCKS, SECOND, UPTIME_CLOCKS
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.times.cpu_clocks import CpuClock
from pkern.kernel.typed import TYPE_CHECKING
from pkern.syscalls.clocks import (
    ALARM_CLOCKS,
    CLOCK_FD,
    CPUCLOCK_SCHED,
    PER_THREAD,
    TIME_PAIR,
    ahead_of,
    duration_in,
)
from pkern.syscalls.table import INT, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1
ZONE_BYTES = 8
TIMEX = struct.Struct("<I4x4qi4x6q112x")
LAST_DATE = (9_223_372_036 - 30 * 365 * 86_400) * SECOND  # TIME_SETTOD_SEC_MAX
COARSE_CLOCKS = frozenset({5, 6})
CLOCK_THREAD_CPUTIME_ID = 3
COARSE_NS = 4_000_000
TIME_ERROR, STA_UNSYNC = 5, 0x40


def cpu_clock(task: Task, clock: int) -> CpuClock:
    """Return the clock of processor time that a number, 2, 3 or negative, names. Errors: EINVAL.

    A thread's clock (PER_THREAD) is for its own process. Source: clock_getcpuclockid(3),
    pid_for_clock() of Linux 6.18.
    """
    if clock in CPU_CLOCKS:
        return CpuClock(task.group, task if clock == CLOCK_THREAD_CPUTIME_ID else None)
    pid, kind, per_thread = ~(clock >> 3), clock & 3, clock & PER_THREAD
    target = task.find(pid) if pid else task if per_thread else task.group.leader
    if target is None or kind == CLOCK_FD:
        raise SyscallError(errno.EINVAL)
    if target.group is not task.group if per_thread else target is not target.group.leader:
        raise SyscallError(errno.EINVAL)
    return CpuClock(target.group, target if per_thread else None)


def _read_cpu_clock(task: Task, clock: int) -> int:
    """Return a negative clock's time; a thread may read its process's by its own number, too."""
    if clock & PER_THREAD == 0 and clock & 3 != CLOCK_FD and task.find(~(clock >> 3)) is task:
        return CpuClock(task.group).now()
    return cpu_clock(task, clock).now()


def clock_gettime(task: Task, clock: int) -> int:
    """Return a clock's nanoseconds. Errors: EINVAL. Source: clock_gettime(2)."""
    if clock in REALTIME_CLOCKS:
        return task.kernel.clock.realtime_ns
    if clock in CPU_CLOCKS:
        return cpu_clock(task, clock).now()
    if clock in UPTIME_CLOCKS:
        return task.kernel.clock.now_ns + ahead_of(task, clock)
    if clock < 0:
        return _read_cpu_clock(task, clock)
    raise SyscallError(errno.EINVAL)


@syscall(228, "clock_gettime", SINT, STRUCT)
def clock_gettime_raw(task: Task, clock: int) -> bytes:
    """Store struct timespec. Errors: EINVAL, EFAULT. Source: clock_gettime(2)."""
    return struct.pack("<qq", *divmod(clock_gettime(task, clock), SECOND))


def clock_getres(task: Task, clock: int) -> int:
    """Return the nanoseconds that a clock moves by. Errors: EINVAL. Source: clock_getres(2)."""
    if clock < 0:
        cpu_clock(task, clock)
        return 1 if clock & 3 == CPUCLOCK_SCHED else COARSE_NS
    clock_gettime(task, clock)
    return COARSE_NS if clock in COARSE_CLOCKS else 1


@syscall(229, "clock_getres", SINT, INT)
def clock_getres_raw(task: Task, clock: int, addr: int) -> int:
    """Store the resolution (struct timespec) unless addr is 0. Errors: EINVAL, EFAULT.

    Source: clock_getres(2).
    """
    resolution = clock_getres(task, clock)
    if addr:
        task.mm.copy_out(addr, struct.pack("<qq", 0, resolution))
    return 0


# ---- setting: the machine's date follows from its boot ----


def _refuse_setting(task: Task, addr: int, parts: int, pair: struct.Struct) -> int:
    """Check a time of seconds and parts of one, and refuse it. Errors: EFAULT, EINVAL, EPERM."""
    if duration_in(task, addr, parts, pair) >= LAST_DATE:
        raise SyscallError(errno.EINVAL)
    raise SyscallError(errno.EPERM)


@syscall(227, "clock_settime", SINT, INT, partly="EPERM, whoever asks: time is virtual")
def clock_settime(task: Task, clock: int, addr: int) -> int:
    """Refuse to set a clock. Errors: EINVAL, EFAULT, EPERM. Source: clock_settime(2)."""
    return refuse_date(task, clock, addr, TIME_PAIR)


def refuse_date(task: Task, clock: int, addr: int, pair: struct.Struct) -> int:
    """Refuse as clock_settime; pair: the layout of the date. Errors: as clock_settime."""
    if clock < 0:
        task.mm.copy_in(addr, pair.size)
        clock_gettime(task, clock)
    elif clock != CLOCK_REALTIME:
        raise SyscallError(errno.EINVAL)
    return _refuse_setting(task, addr, SECOND, pair)


@syscall(164, "settimeofday", INT, INT, partly="EPERM, whoever asks: time is virtual")
def settimeofday(task: Task, addr: int, zone: int) -> int:
    """Refuse to set the date. Errors: EINVAL, EFAULT, EPERM. Source: gettimeofday(2)."""
    return refuse_day(task, addr, zone, TIME_PAIR)


def refuse_day(task: Task, addr: int, zone: int, pair: struct.Struct) -> int:
    """Refuse as settimeofday; pair: the layout of the date. Errors: as settimeofday."""
    if addr:
        micros = pair.unpack(task.mm.copy_in(addr, pair.size))[1]
        if not 0 <= micros <= 1_000_000:
            raise SyscallError(errno.EINVAL)
    if zone:
        task.mm.copy_in(zone, ZONE_BYTES)
    if not addr:
        raise SyscallError(errno.EPERM)
    return _refuse_setting(task, addr, 1_000_000, pair)


def _timex(task: Task) -> tuple[int, ...]:
    """Return struct timex's fields of a clock that nothing disciplines, as after Linux's boot."""
    seconds, nanoseconds = divmod(task.kernel.clock.realtime_ns, SECOND)
    head = (0, 0, 0, 16_000_000, 16_000_000, STA_UNSYNC, 2, 1, 32_768_000)
    return *head, seconds, nanoseconds // 1000, 10_000


@syscall(159, "adjtimex", INT, partly="reads; a change is EPERM")
def adjtimex(task: Task, addr: int) -> int:
    """Store struct timex and return the clock's state, TIME_ERROR: nothing sets it right.

    Errors: EFAULT, EPERM (a change). Source: adjtimex(2).
    """
    return adjust(task, CLOCK_REALTIME, addr, TIMEX)


def adjust(task: Task, clock: int, addr: int, layout: struct.Struct) -> int:
    """Answer as clock_adjtime; layout: of a struct timex. Errors: as clock_adjtime, EPERM."""
    raw = task.mm.copy_in(addr, layout.size)
    if clock not in ALARM_CLOCKS:
        clock_gettime(task, clock)
    if clock != CLOCK_REALTIME:
        raise SyscallError(errno.EOPNOTSUPP)
    if raw[:4] != bytes(4):
        raise SyscallError(errno.EPERM)
    task.mm.copy_out(addr, layout.pack(*_timex(task)))
    return TIME_ERROR


@syscall(305, "clock_adjtime", SINT, INT, partly="as adjtimex")
def clock_adjtime(task: Task, clock: int, addr: int) -> int:
    """As adjtimex, of CLOCK_REALTIME. Errors: EOPNOTSUPP, EINVAL. Source: adjtimex(2)."""
    return adjust(task, clock, addr, TIMEX)


# ---- older calls ----


def gettimeofday(task: Task) -> bytes:
    """Return struct timeval of CLOCK_REALTIME. Source: gettimeofday(2)."""
    seconds, nanoseconds = divmod(task.kernel.clock.realtime_ns, SECOND)
    return struct.pack("<qq", seconds, nanoseconds // 1000)


@syscall(96, "gettimeofday", INT, INT)
def gettimeofday_raw(task: Task, time_addr: int, zone_addr: int) -> int:
    """Store struct timeval and struct timezone (Greenwich), each where its address is not 0.

    Errors: EFAULT. Source: gettimeofday(2).
    """
    if time_addr:
        task.mm.copy_out(time_addr, gettimeofday(task))
    if zone_addr:
        task.mm.copy_out(zone_addr, bytes(ZONE_BYTES))
    return 0


@syscall(201, "time", INT)
def time(task: Task, addr: int = 0) -> int:
    """Return the seconds since 1970, and store them (8 bytes) at addr unless that is 0.

    Errors: EFAULT. Source: time(2).
    """
    seconds = task.kernel.clock.realtime_ns // SECOND
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
