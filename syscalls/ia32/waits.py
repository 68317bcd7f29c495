"""Calls of the i386 table that wait, or set what others wait for: their times are pairs of 32 bits.

Owns those layouts: see forms.py.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.syscalls.clocks import OLD_PAIR, TIME_PAIR, duration_in
from pkern.syscalls.files import poll, timerfd
from pkern.syscalls.ia32.forms import HALF, USECOND, form
from pkern.syscalls.ipc import mqueue
from pkern.syscalls.net import messages
from pkern.syscalls.table import INT, SINT, STRUCT
from pkern.syscalls.tasks import futex, posix_timers, sched, signals, time, timers

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

WORD_BYTES = 4  # of the numbers that sets of descriptors are made of
OLD_SELECT, SET_AND_SIZE = struct.Struct("<5I"), struct.Struct("<II")
MICROS, CLOCK_REALTIME = 1_000_000, 0
SIGSET_BYTES = 8


# ---- descriptors ----


def _pack(unit: int) -> Callable[[int], bytes]:
    """Return what packs nanoseconds as seconds and units of so many."""

    def pack(nanoseconds: int) -> bytes:
        seconds, rest = divmod(nanoseconds, SECOND)
        return OLD_PAIR.pack(min(seconds, HALF >> 1), rest // unit)

    return pack


def _timeval_in(task: Task, addr: int) -> int | None:
    """Return select's time (nanoseconds), None for NULL. Errors: EINVAL (negative), EFAULT."""
    if not addr:
        return None
    seconds, micros = OLD_PAIR.unpack(task.mm.copy_in(addr, OLD_PAIR.size))
    if seconds * MICROS + micros < 0 or (micros < 0 and micros % MICROS):
        raise SyscallError(errno.EINVAL)
    return int(seconds * SECOND + micros * USECOND)


@form("_newselect", SINT, INT, INT, INT, INT)
def _newselect(task: Task, count: int, reads: int, writes: int, others: int, addr: int) -> int:
    timeout = _timeval_in(task, addr)

    def left(deadline: int | None) -> Callable[[], None]:
        return poll.store_left(task, addr, deadline, _pack(USECOND))

    return poll.wait_in_sets(task, count, (reads, writes, others), timeout, left, WORD_BYTES)


@form("select", INT)
def _select(task: Task, addr: int) -> int:
    count, *rest = OLD_SELECT.unpack(task.mm.copy_in(addr, OLD_SELECT.size))
    ready: int = _newselect(task, (count ^ 1 << 31) - (1 << 31), *rest)
    return ready


def _pselect(
    task: Task,
    count: int,
    addresses: tuple[int, ...],
    addr: int,
    mask_addr: int,
    pair: struct.Struct,
    pack: Callable[[int], bytes],
) -> int:
    mask_at, nbytes = (0, 0)
    if mask_addr:
        mask_at, nbytes = SET_AND_SIZE.unpack(task.mm.copy_in(mask_addr, SET_AND_SIZE.size))
    timeout = duration_in(task, addr, pair=pair) if addr else None
    mask = poll.mask_in(task, mask_at, nbytes)

    def left(deadline: int | None) -> Callable[[], None]:
        return poll.store_left(task, addr, deadline, pack)

    def wait() -> int:
        return poll.wait_in_sets(task, count, addresses, timeout, left, WORD_BYTES)

    return poll.with_mask(task, mask, wait)


@form("pselect6", SINT, INT, INT, INT, INT, INT)
def _pselect6(
    task: Task, count: int, reads: int, writes: int, others: int, addr: int, mask: int
) -> int:
    return _pselect(task, count, (reads, writes, others), addr, mask, OLD_PAIR, _pack(1))


@form("pselect6_time64", SINT, INT, INT, INT, INT, INT)
def _pselect6_time64(
    task: Task, count: int, reads: int, writes: int, others: int, addr: int, mask: int
) -> int:
    sets = (reads, writes, others)
    return _pselect(task, count, sets, addr, mask, TIME_PAIR, poll.timespec)


@form("ppoll", INT, INT, INT, INT, INT)
def _ppoll(task: Task, addr: int, count: int, time_addr: int, mask_addr: int, nbytes: int) -> int:
    timeout = duration_in(task, time_addr, pair=OLD_PAIR) if time_addr else None
    mask = poll.mask_in(task, mask_addr, nbytes)

    def left(deadline: int | None) -> Callable[[], None]:
        return poll.store_left(task, time_addr, deadline, _pack(1))

    return poll.with_mask(task, mask, lambda: poll.poll_at(task, addr, count, timeout, left))


# ---- time ----


@form("clock_nanosleep", SINT, SINT, INT, INT)
def _clock_nanosleep(task: Task, clock: int, flags: int, request: int, remain: int) -> int:
    return timers.sleep_on(task, clock, flags, request, remain, OLD_PAIR)


def _timer_back(raw: bytes) -> bytes:
    return struct.pack("<4i", *struct.unpack("<4q", raw))


@form("getitimer", SINT, STRUCT)
def _getitimer(task: Task, which: int) -> bytes:
    return _timer_back(timers.getitimer(task, which))


@form("setitimer", SINT, INT, INT)
def _setitimer(task: Task, which: int, new: int, old: int) -> int:
    words = struct.unpack("<4i", task.mm.copy_in(new, 16)) if new else (0, 0, 0, 0)
    before = timers.set_timer(task, which, words)
    if old:
        task.mm.copy_out(old, _timer_back(before))
    return 0


OLD_SPEC, OLD_TIMEX = struct.Struct("<4i"), struct.Struct("<I4ii6i80x")


@form("timer_settime", SINT, SINT, INT, INT)
def _timer_settime(task: Task, number: int, flags: int, new: int, old: int) -> int:
    return posix_timers.set_timer(task, number, flags, new, old, OLD_SPEC)


@form("timer_gettime", SINT, INT)
def _timer_gettime(task: Task, number: int, addr: int) -> int:
    return posix_timers.tell_timer(task, number, addr, OLD_SPEC)


@form("timerfd_settime", SINT, INT, INT, INT)
def _timerfd_settime(task: Task, fd: int, flags: int, new: int, old: int) -> int:
    return timerfd.set_timer(task, fd, flags, new, old, OLD_SPEC)


@form("timerfd_gettime", SINT, STRUCT)
def _timerfd_gettime(task: Task, fd: int) -> bytes:
    return timerfd.tell(timerfd.timer_of(task, fd), OLD_SPEC)


@form("futex", INT, INT, INT, INT, INT, INT)
def _futex(task: Task, *registers: int) -> int:
    return futex.call(task, registers, OLD_PAIR)


@form("mq_timedsend", SINT, INT, INT, INT, INT)
def _mq_timedsend(task: Task, fd: int, addr: int, nbytes: int, priority: int, date: int) -> int:
    return mqueue.send_message(task, fd, addr, nbytes, priority, date, OLD_PAIR)


@form("mq_timedreceive", SINT, INT, INT, INT, INT)
def _mq_timedreceive(task: Task, fd: int, addr: int, nbytes: int, priority: int, date: int) -> int:
    return mqueue.receive_message(task, fd, addr, nbytes, priority, date, OLD_PAIR)


@form("recvmmsg", SINT, INT, INT, INT, INT)
def _recvmmsg(task: Task, fd: int, addr: int, count: int, flags: int, time_addr: int) -> int:
    return messages.receive_several(task, fd, addr, count, flags, time_addr, OLD_PAIR)


@form("sched_rr_get_interval", SINT, INT)
def _sched_rr_get_interval(task: Task, pid: int, addr: int) -> int:
    task.mm.copy_out(addr, OLD_PAIR.pack(*TIME_PAIR.unpack(sched.sched_rr_get_interval(task, pid))))
    return 0


# ---- clocks: nobody may set them ----


@form("clock_settime", SINT, INT)
def _clock_settime(task: Task, clock: int, addr: int) -> int:
    return time.refuse_date(task, clock, addr, OLD_PAIR)


@form("settimeofday", INT, INT)
def _settimeofday(task: Task, addr: int, zone: int) -> int:
    return time.refuse_day(task, addr, zone, OLD_PAIR)


@form("stime", INT)
def _stime(task: Task, addr: int) -> int:
    task.mm.copy_in(addr, 4)
    raise SyscallError(errno.EPERM)


@form("adjtimex", INT)
def _adjtimex(task: Task, addr: int) -> int:
    return time.adjust(task, CLOCK_REALTIME, addr, OLD_TIMEX)


@form("clock_adjtime", SINT, INT)
def _clock_adjtime(task: Task, clock: int, addr: int) -> int:
    return time.adjust(task, clock, addr, OLD_TIMEX)


# ---- signals: sets of the first 32 ----


@form("sigpending", INT)
def _sigpending(task: Task, addr: int) -> int:
    return signals.rt_sigpending(task, addr, WORD_BYTES)


@form("sigprocmask", SINT, INT, INT)
def _sigprocmask(task: Task, how: int, new: int, old: int) -> int:
    before = task.signals.blocked
    if new:
        mask = int.from_bytes(task.mm.copy_in(new, WORD_BYTES), "little")
        kept = before & ~HALF if how == signals.SIG_SETMASK else 0
        signals.rt_sigprocmask(task, how, mask | kept)
    if old:
        task.mm.copy_out(old, (before & HALF).to_bytes(WORD_BYTES, "little"))
    return 0


@form("sgetmask")
def _sgetmask(task: Task) -> int:
    return task.signals.blocked & HALF


@form("ssetmask", INT)
def _ssetmask(task: Task, mask: int) -> int:
    return signals.rt_sigprocmask(task, signals.SIG_SETMASK, mask) & HALF
