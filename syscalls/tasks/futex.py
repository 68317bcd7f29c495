"""futex(2) between processes: sleeping on a word of memory, and waking those who do."""

from __future__ import annotations

import errno
from collections.abc import Hashable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.futex import ALL_BITS, Sleeper, key_of, private_key, set_word, wake, word_at
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.abi import signed32
from pkern.syscalls.clocks import duration_in, pass_time
from pkern.syscalls.table import INT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET = 0, 1, 3, 4, 5, 9, 10
PRIVATE, CLOCK_REALTIME = 128, 256


def _key(task: Task, addr: int, operation: int) -> Hashable:
    return private_key(task, addr) if operation & PRIVATE else key_of(task, addr)


def _wait(task: Task, addr: int, operation: int, value: int, timeout: int, bits: int) -> int:
    if not bits:
        raise SyscallError(errno.EINVAL)
    sleeper = task.thread.progress
    if sleeper is None:
        deadline, key = _deadline(task, operation, timeout), _key(task, addr, operation)
        if word_at(task, addr) != value & ALL_BITS:
            raise SyscallError(errno.EAGAIN)
        sleeper = Sleeper((key,), bits, deadline)
    return sleep(task, sleeper)


def sleep(task: Task, sleeper: Sleeper) -> int:
    """Return the place of the word that woke the task, or wait on. Errors: ETIMEDOUT."""
    if sleeper.woken is not None:
        return sleeper.woken
    pass_time(task, sleeper.deadline)
    if sleeper.deadline is not None and task.kernel.clock.now_ns >= sleeper.deadline:
        raise SyscallError(errno.ETIMEDOUT)
    raise WouldBlock(*sleeper.keys, deadline=sleeper.deadline, progress=sleeper)


def _deadline(task: Task, operation: int, timeout: int) -> int | None:
    if not timeout:
        return None
    clock, given = task.kernel.clock, duration_in(task, timeout)
    if operation & 127 == WAIT:
        return clock.now_ns + given
    if operation & CLOCK_REALTIME:
        return given - clock.realtime_ns + clock.now_ns
    return given


def requeue(task: Task, key: Hashable, to: Hashable, count: int) -> int:
    """Let up to count sleepers of key wait for another word; return how many."""
    scheduler = task.kernel.scheduler
    if scheduler is None:
        return 0  # nobody sleeps: Python programs do not
    moved = list(scheduler.sleepers.get(key, ()))[: max(count, 0)]
    for sleeper in moved:
        wait, memory = sleeper.thread.waiting, sleeper.thread.progress
        assert wait is not None
        memory.move(key, to)
        scheduler.unpark(sleeper)
        scheduler.sleep(sleeper, WouldBlock(*memory.keys, deadline=wait.deadline))
    return len(moved)


def _operate(task: Task, addr: int, code: int) -> bool:
    """Do FUTEX_WAKE_OP's operation on the word and return its comparison. Errors: ENOSYS."""
    op, compare = code >> 28 & 15, code >> 24 & 15
    argument, limit = code >> 12 & 0xFFF, code & 0xFFF
    argument = argument - 4096 if argument >> 11 else argument
    limit = limit - 4096 if limit >> 11 else limit
    if op & 8:
        argument = 1 << (argument & 31)
    old = word_at(task, addr)
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
    set_word(task, addr, new)
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
        return wake(task, key, signed32(value), bits)
    other = _key(task, addr2, operation)
    if command == WAKE_OP:
        also = _operate(task, addr2, value3)
        woken = wake(task, key, signed32(value))
        return woken + (wake(task, other, signed32(timeout)) if also else 0)
    if signed32(value) < 0 or signed32(timeout) < 0:
        raise SyscallError(errno.EINVAL)
    if command == CMP_REQUEUE and word_at(task, addr) != value3:
        raise SyscallError(errno.EAGAIN)
    woken = wake(task, key, signed32(value)) if value else 0
    return woken + requeue(task, key, other, signed32(timeout))
