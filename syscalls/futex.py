"""Futexes between processes: sleeping on a word of memory.

A word of shared memory is known by file and offset, so that it is the same one in each process
whatever its address, also after it was swapped; a private word by address space and address.
"""

from __future__ import annotations

import errno
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.core import lib
from kernel.errors import SyscallError
from kernel.wait import WouldBlock
from syscalls.abi import signed32
from syscalls.table import INT, syscall
from syscalls.timers import timespec_in

if TYPE_CHECKING:
    from kernel.task import Task

WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET = 0, 1, 3, 4, 5, 9, 10
PRIVATE, CLOCK_REALTIME = 128, 256
ALL_BITS = 0xFFFF_FFFF
PAGE_MASK = 4095


@dataclass(slots=True)
class Sleeper:
    """What a waiting call remembers: what it waits for, until when, and whether it was woken."""

    key: Hashable
    bits: int
    deadline: int | None
    woken: bool = False


def _key(task: Task, addr: int, operation: int) -> Hashable:
    """Return what stands for the word at addr. Errors: EINVAL (misaligned), EFAULT."""
    if addr & 3:
        raise SyscallError(errno.EINVAL)
    task.mm.check_user(addr, 4)
    vma = None if operation & PRIVATE else task.mm.vma_at(addr)
    if vma is None or not vma.flags & (lib.VM_SHARED | lib.VM_SPECIAL):
        return ("futex", task.mm, addr)
    if vma.flags & (lib.VM_SPECIAL | lib.VM_NONLINEAR) or not vma.mapping_cookie:
        task.mm.copy_in(addr, 4)
        return ("futex", "frame", lib.mm_translate(task.mm.handle, addr, lib.ACCESS_READ))
    return ("futex", vma.mapping_cookie, addr - vma.start + vma.pgoff * 4096)


def _word(task: Task, addr: int) -> int:
    return int.from_bytes(task.mm.copy_in(addr, 4), "little")


def _wait(task: Task, addr: int, operation: int, value: int, timeout: int, bits: int) -> int:
    if not bits:
        raise SyscallError(errno.EINVAL)
    sleeper = task.thread.progress
    if sleeper is None:
        deadline, key = _deadline(task, operation, timeout), _key(task, addr, operation)
        if _word(task, addr) != value & ALL_BITS:
            raise SyscallError(errno.EAGAIN)
        sleeper = task.thread.progress = Sleeper(key, bits, deadline)
    elif sleeper.woken:
        return 0
    if sleeper.deadline is not None and task.kernel.clock.now_ns >= sleeper.deadline:
        raise SyscallError(errno.ETIMEDOUT)
    raise WouldBlock(sleeper.key, deadline=sleeper.deadline)


def _deadline(task: Task, operation: int, timeout: int) -> int | None:
    if not timeout:
        return None
    clock, given = task.kernel.clock, timespec_in(task, timeout)
    if operation & 127 == WAIT:
        return clock.now_ns + given
    if operation & CLOCK_REALTIME:
        return given - clock.realtime_ns + clock.now_ns
    return given


def _wake(task: Task, key: Hashable, count: int, bits: int = ALL_BITS) -> int:
    """Wake up to count sleepers in the order in which they came; return how many."""
    scheduler = task.kernel.scheduler
    woken = 0
    for sleeper in list(scheduler.sleepers.get(key, ()) if scheduler else ()):
        if woken >= max(count, 1):
            break
        if sleeper.thread.progress.bits & bits:
            sleeper.thread.progress.woken = True
            assert scheduler is not None
            scheduler.wake_task(sleeper)
            woken += 1
    return woken


def _requeue(task: Task, key: Hashable, to: Hashable, count: int) -> int:
    """Let up to count sleepers of key wait for another word; return how many."""
    scheduler = task.kernel.scheduler
    assert scheduler is not None
    moved = list(scheduler.sleepers.get(key, ()))[: max(count, 0)]
    for sleeper in moved:
        wait, sleeper.thread.progress.key = sleeper.thread.waiting, to
        assert wait is not None
        scheduler.unpark(sleeper)
        scheduler.sleep(sleeper, WouldBlock(to, deadline=wait.deadline))
    return len(moved)


def _operate(task: Task, addr: int, code: int) -> bool:
    """Do FUTEX_WAKE_OP's operation on the word and return its comparison. Errors: ENOSYS."""
    op, compare = code >> 28 & 15, code >> 24 & 15
    argument, limit = code >> 12 & 0xFFF, code & 0xFFF
    argument = argument - 4096 if argument >> 11 else argument
    limit = limit - 4096 if limit >> 11 else limit
    if op & 8:
        argument = 1 << (argument & 31)
    old = _word(task, addr)
    new = {
        0: argument,
        1: old + argument,
        2: old | argument,
        3: old & ~argument,
        4: old ^ argument,
    }.get(op & 7)
    seen = signed32(old)
    verdict = {
        0: seen == limit,
        1: seen != limit,
        2: seen < limit,
        3: seen <= limit,
        4: seen > limit,
        5: seen >= limit,
    }.get(compare)
    if new is None or verdict is None:
        raise SyscallError(errno.ENOSYS)
    task.mm.copy_out(addr, (new & ALL_BITS).to_bytes(4, "little"))
    return verdict


@syscall(202, "futex", INT, INT, INT, INT, INT, INT, partly="no priority inheritance")
def futex(
    task: Task, addr: int, operation: int, value: int, timeout: int, addr2: int, value3: int
) -> int:
    """Wait on the word at addr, or wake those that do.

    Errors: EAGAIN (the word is not value), ETIMEDOUT, EINTR, EINVAL, EFAULT, ENOSYS.
    Source: futex(2).
    """
    command = operation & 127
    value3 &= ALL_BITS
    if command in (WAIT, WAIT_BITSET):
        bits = ALL_BITS if command == WAIT else value3
        return _wait(task, addr, operation, value, timeout, bits)
    if command not in (WAKE, WAKE_BITSET, REQUEUE, CMP_REQUEUE, WAKE_OP):
        raise SyscallError(errno.ENOSYS)
    key = _key(task, addr, operation)
    if command in (WAKE, WAKE_BITSET):
        bits = ALL_BITS if command == WAKE else value3
        if not bits:
            raise SyscallError(errno.EINVAL)
        return _wake(task, key, signed32(value), bits)
    other = _key(task, addr2, operation)
    if command == WAKE_OP:
        also = _operate(task, addr2, value3)
        woken = _wake(task, key, signed32(value))
        return woken + (_wake(task, other, signed32(timeout)) if also else 0)
    if signed32(value) < 0 or signed32(timeout) < 0:
        raise SyscallError(errno.EINVAL)
    if command == CMP_REQUEUE and _word(task, addr) != value3:
        raise SyscallError(errno.EAGAIN)
    woken = _wake(task, key, signed32(value)) if value else 0
    return woken + _requeue(task, key, other, signed32(timeout))
