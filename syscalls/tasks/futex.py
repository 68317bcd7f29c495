"""futex(2): sleeping on a word of memory, and waking those who do. Locks: futex_pi.py."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.locks.futex import (
    ALL_BITS,
    Sleeper,
    Word,
    need_plain,
    need_values,
    set_word,
    sleepers_of,
    wake,
    word_at,
)
from pkern.kernel.typed import TYPE_CHECKING, Callable, Hashable
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.abi import signed32
from pkern.syscalls.clocks import TIME_PAIR, pass_time
from pkern.syscalls.table import INT, syscall
from pkern.syscalls.tasks import futex_pi
from pkern.syscalls.tasks.futex_call import CLOCK_REALTIME, COMMAND, WAIT, Call, need_value

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP = 1, 3, 4, 5
LOCK_PI, UNLOCK_PI, TRYLOCK_PI, WAIT_BITSET, WAKE_BITSET = 6, 7, 8, 9, 10
WAIT_REQUEUE_PI, CMP_REQUEUE_PI, LOCK_PI2 = 11, 12, 13
PLAIN_WAITS = frozenset({WAIT, WAIT_BITSET})
ON_ANY_CLOCK = frozenset({WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2})


def _wait(task: Task, call: Call, bits: int = ALL_BITS) -> int:
    sleeper = task.thread.progress
    if sleeper is None:
        deadline = call.deadline
        if not bits:
            raise SyscallError(errno.EINVAL)
        words = (Word(call.addr, call.value & ALL_BITS, call.key),)
        need_values(task, words)
        sleeper = Sleeper(words, bits, deadline)
    sleep(task, sleeper, Restart.IF_ASKED if sleeper.deadline is None else Restart.CONTINUE)
    return 0


def sleep(task: Task, sleeper: Sleeper, restart: Restart = Restart.IF_ASKED) -> int:
    """Return the place of the word that woke the task, or wait on. Errors: ETIMEDOUT, EAGAIN."""
    if sleeper.woken is not None:
        return sleeper.woken
    if task.context is None:
        pass_time(task, sleeper.deadline)
    if sleeper.deadline is not None and task.kernel.clock.now_ns >= sleeper.deadline:
        raise SyscallError(errno.ETIMEDOUT)
    if task.thread.progress is sleeper:
        sleeper.stand_again(task)
    raise WouldBlock(*sleeper.keys, deadline=sleeper.deadline, progress=sleeper, restart=restart)


def requeue(task: Task, key: Hashable, to: Hashable, count: int) -> int:
    """Let up to count sleepers of key wait for another word; return how many.

    Errors: EINVAL: they wait for a lock with an owner.
    """
    need_plain(task, key)
    moved = sleepers_of(task, key)[: max(count, 0)]
    for sleeper in moved:
        wait, memory = sleeper.waiting, sleeper.thread.progress
        if memory.target is not None:
            raise SyscallError(errno.EINVAL)
        memory.move(key, to)
        assert wait is not None and task.kernel.scheduler is not None
        task.kernel.scheduler.sleepers.unpark(sleeper)
        again = WouldBlock(*memory.keys, deadline=wait.deadline, restart=wait.restart)
        task.kernel.scheduler.sleepers.sleep(sleeper, again)
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


def _wait_bitset(task: Task, call: Call) -> int:
    return _wait(task, call, call.value3)


def _wake(task: Task, call: Call) -> int:
    return wake(task, call.key, signed32(call.value))


def _wake_bitset(task: Task, call: Call) -> int:
    if not call.value3:
        raise SyscallError(errno.EINVAL)
    return wake(task, call.key, signed32(call.value), call.value3)


def _wake_op(task: Task, call: Call) -> int:
    key, other = call.key, call.key2
    also = _operate(task, call.addr2, call.value3)
    woken = wake(task, key, signed32(call.value))
    return woken + (wake(task, other, signed32(call.timeout)) if also else 0)


def _requeue(task: Task, call: Call) -> int:
    if signed32(call.value) < 0 or signed32(call.timeout) < 0:
        raise SyscallError(errno.EINVAL)
    key, other = call.key, call.key2
    woken = wake(task, key, signed32(call.value)) if call.value & ALL_BITS else 0
    return woken + requeue(task, key, other, signed32(call.timeout))


def _cmp_requeue(task: Task, call: Call) -> int:
    if signed32(call.value) < 0 or signed32(call.timeout) < 0:
        raise SyscallError(errno.EINVAL)
    need_value(task, call)
    return _requeue(task, call)


COMMANDS: dict[int, Callable[[Task, Call], int]] = {
    WAIT: _wait,
    WAKE: _wake,
    REQUEUE: _requeue,
    CMP_REQUEUE: _cmp_requeue,
    WAKE_OP: _wake_op,
    LOCK_PI: futex_pi.lock,
    UNLOCK_PI: futex_pi.unlock,
    TRYLOCK_PI: futex_pi.try_lock,
    WAIT_BITSET: _wait_bitset,
    WAKE_BITSET: _wake_bitset,
    WAIT_REQUEUE_PI: futex_pi.wait_requeue,
    CMP_REQUEUE_PI: futex_pi.cmp_requeue,
    LOCK_PI2: futex_pi.lock,
}


@syscall(202, "futex", INT, INT, INT, INT, INT, INT)
def futex(
    task: Task, addr: int, operation: int, value: int, timeout: int, addr2: int, value3: int
) -> int:
    """Wait on the word at addr, wake those that do, or take and give up a lock that it is.

    Errors: EAGAIN (the word is not value), ETIMEDOUT, EINTR, EINVAL, EFAULT, ENOSYS; of locks with
    an owner (FUTEX_LOCK_PI ...) EDEADLK, EPERM, ESRCH. Source: futex(2).
    """
    return call(task, (addr, operation, value, timeout, addr2, value3), TIME_PAIR)


def call(task: Task, registers: tuple[int, ...], pair: struct.Struct) -> int:
    """Do a futex call; pair: the layout of its time. Errors: as futex."""
    addr, operation, value, timeout, addr2, value3 = registers
    operation &= ALL_BITS
    command, sleeper = operation & COMMAND, task.thread.progress
    if command in PLAIN_WAITS and sleeper is not None and sleeper.woken is not None:
        return 0
    made = Call(task, addr, operation, value, timeout, addr2, value3 & ALL_BITS, pair)
    if operation & CLOCK_REALTIME and command not in ON_ANY_CLOCK:
        raise SyscallError(errno.ENOSYS)
    if command not in COMMANDS:
        raise SyscallError(errno.ENOSYS)
    return COMMANDS[command](task, made)
