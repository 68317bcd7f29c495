"""The calls that replace futex(2) one by one: each with its own arguments, waitv for many words.

A word has 32 bits here as in Linux 6.18; what names another size is EINVAL.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Hashable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.policy import DEFAULT
from pkern.kernel.tasks.locks.futex import (
    ALL_BITS,
    Sleeper,
    Word,
    key_of,
    need_values,
    private_key,
    wake,
)
from pkern.syscalls.abi import signed32
from pkern.syscalls.clocks import duration_in, machines
from pkern.syscalls.table import INT, SINT, syscall
from pkern.syscalls.tasks.futex import requeue, sleep

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SIZE_U32, NUMA, MPOL, PRIVATE = 2, 4, 8, 128
KNOWN_FLAGS = NUMA | MPOL | PRIVATE
CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1
MOST_WAITERS = 128
WAITER = struct.Struct("<QQII")  # struct futex_waitv: value, address, flags, reserved
NO_NODE = -1
NODE = struct.Struct("<i")  # behind a word of FUTEX2_NUMA


def word_key(task: Task, addr: int, flags: int) -> Hashable:
    """Return what stands for a word. Errors: EINVAL, EFAULT."""
    node = _node(task, addr, flags)
    key = private_key(task, addr) if flags & PRIVATE else key_of(task, addr)
    return (key, node) if node else key


def _node(task: Task, addr: int, flags: int) -> int:
    """Return the node where a word's sleepers are kept, 0 where nothing names one.

    A word of FUTEX2_NUMA has it behind itself; where that is -1, the one it gets is stored there.
    Errors: EINVAL (misaligned, no such node), EFAULT. Source: get_futex_key() of Linux 6.18.
    """
    policy = (flags & MPOL and task.mm.policy_at(addr)) or DEFAULT
    if not flags & NUMA:
        return policy.preferred_node or 0
    if addr % (2 * NODE.size):
        raise SyscallError(errno.EINVAL)
    (named,) = NODE.unpack(task.mm.copy_in(addr + NODE.size, NODE.size))
    if named != NO_NODE:
        if not 0 <= named < task.kernel.memory.nr_nodes:
            raise SyscallError(errno.EINVAL)
        return int(named)
    node = policy.preferred_node or 0  # else the processor's, the first
    task.mm.copy_out(addr + NODE.size, NODE.pack(node))
    return node


def need_words(flags: int, *words: int) -> None:
    """Refuse sizes other than 32 bits, and values that do not fit. Errors: EINVAL."""
    if flags & ALL_BITS & ~KNOWN_FLAGS != SIZE_U32 or any(word & ~ALL_BITS for word in words):
        raise SyscallError(errno.EINVAL)


def _deadline(task: Task, timeout: int, clock: int) -> int | None:
    """Return the virtual time of an absolute timeout, None for none. Errors: EINVAL, EFAULT."""
    if not timeout:
        return None
    if clock not in (CLOCK_REALTIME, CLOCK_MONOTONIC):
        raise SyscallError(errno.EINVAL)
    given, now = duration_in(task, timeout), task.kernel.clock
    if clock == CLOCK_REALTIME:
        return given - now.realtime_ns + now.now_ns
    return machines(task, clock, given)


Unread = list[tuple[int, int, int, int]]  # struct futex_waitvs


def named(task: Task, raw: Unread) -> list[Word]:
    """Return the words that struct futex_waitvs name. Errors: EINVAL, EFAULT."""
    return [Word(at, value, word_key(task, at, flags)) for value, at, flags, _ in raw]


def waiters_at(task: Task, addr: int, count: int) -> Unread:
    """Return struct futex_waitvs as they stand at addr. Errors: EINVAL, EFAULT."""
    places = range(addr, addr + count * WAITER.size, WAITER.size)
    raw = [WAITER.unpack(task.mm.copy_in(place, WAITER.size)) for place in places]
    for value, _, flags, reserved in raw:
        need_words(flags, value)
        if reserved:
            raise SyscallError(errno.EINVAL)
    return raw


def sleeper_on(task: Task, words: list[Word], bits: int, deadline: int | None) -> Sleeper:
    """Return a wait for one of the words. Errors: EAGAIN (one has another value), EFAULT."""
    need_values(task, words)
    return Sleeper(tuple(words), bits, deadline)


@syscall(455, "futex_wait", INT, INT, INT, INT, INT, SINT)
def futex_wait(
    task: Task, addr: int, value: int, mask: int, flags: int, timeout: int, clock: int
) -> int:
    """Wait until the word at addr, which is value, is woken with a bit of mask.

    timeout: the address of an absolute struct timespec on CLOCK_REALTIME or CLOCK_MONOTONIC, or 0.
    Errors: EAGAIN (the word is not value), EINVAL, EFAULT, ETIMEDOUT, EINTR.
    Source: Documentation/userspace-api/futex2.rst of Linux 6.18.
    """
    need_words(flags, value, mask)
    deadline = _deadline(task, timeout, clock)
    if not mask:
        raise SyscallError(errno.EINVAL)
    if task.thread.progress is not None:
        return sleep(task, task.thread.progress)
    word = Word(addr, value, word_key(task, addr, flags))
    return sleep(task, sleeper_on(task, [word], mask, deadline))


@syscall(454, "futex_wake", INT, INT, SINT, INT)
def futex_wake(task: Task, addr: int, mask: int, count: int, flags: int) -> int:
    """Wake up to count of those who wait for the word at addr with a bit of mask; return how many.

    Errors: EINVAL, EFAULT. Source: Documentation/userspace-api/futex2.rst of Linux 6.18.
    """
    need_words(flags, mask)
    if not mask:
        raise SyscallError(errno.EINVAL)
    key = word_key(task, addr, flags)
    return wake(task, key, count, mask) if count else 0


@syscall(456, "futex_requeue", INT, INT, SINT, SINT)
def futex_requeue(task: Task, waiters: int, flags: int, nr_wake: int, nr_requeue: int) -> int:
    """Wake some who wait for the first of two words, let others wait for the second; count both.

    waiters: the address of two struct futex_waitv; the first word must have its value.
    Errors: EAGAIN, EINVAL, EFAULT. Source: Documentation/userspace-api/futex2.rst of Linux 6.18.
    """
    if flags & ALL_BITS or not waiters:
        raise SyscallError(errno.EINVAL)
    raw = waiters_at(task, waiters, 2)
    if len({flags for _, _, flags, _ in raw}) > 1:
        raise SyscallError(errno.EINVAL)
    if signed32(nr_wake) < 0 or signed32(nr_requeue) < 0:
        raise SyscallError(errno.EINVAL)
    first, second = named(task, raw)
    need_values(task, (first,))
    woken = wake(task, first.key, nr_wake) if nr_wake else 0
    return woken + requeue(task, first.key, second.key, nr_requeue)


@syscall(449, "futex_waitv", INT, INT, INT, INT, SINT)
def futex_waitv(
    task: Task, waiters: int, nr_waiters: int, flags: int, timeout: int, clock: int
) -> int:
    """Wait until one of many words is woken, and return its place.

    waiters: the address of up to 128 struct futex_waitv. timeout: as futex_wait.
    Errors: EAGAIN (a word has another value), EINVAL, EFAULT, ETIMEDOUT, EINTR.
    Source: futex_waitv(2) of Linux 6.18.
    """
    nr_waiters &= ALL_BITS
    if flags & ALL_BITS or not waiters or not 0 < nr_waiters <= MOST_WAITERS:
        raise SyscallError(errno.EINVAL)
    deadline = _deadline(task, timeout, clock)
    if task.thread.progress is not None:
        return sleep(task, task.thread.progress)
    words = named(task, waiters_at(task, waiters, nr_waiters))
    return sleep(task, sleeper_on(task, words, ALL_BITS, deadline))
