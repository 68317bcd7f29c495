"""futex(2) on locks that know their owner.

Who waits for them is known in kernel/tasks/locks/futex_pi.py.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.locks.futex import (
    ALL_BITS,
    TID_MASK,
    WAITERS,
    Sleeper,
    Word,
    need_values,
    set_word,
    sleepers_of,
    word_at,
)
from pkern.kernel.tasks.locks.futex_pi import Lock, Waiter
from pkern.kernel.tasks.locks.line import Bystander
from pkern.kernel.typed import TYPE_CHECKING, Hashable
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.abi import signed32
from pkern.syscalls.clocks import pass_time
from pkern.syscalls.tasks.futex_call import Call, need_value

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


def lock(task: Task, call: Call) -> int:
    """Take the lock, or wait for it (LOCK_PI, LOCK_PI2). Errors: EDEADLK, ESRCH, ETIMEDOUT."""
    waiter = task.thread.progress
    if waiter is None:
        deadline, key = call.deadline, call.key
        found = _take(task, call, key)
        if found is None:
            return 0
        waiter = Waiter(task, call.addr, deadline)
        task.kernel.pi_locks.wait(waiter, found)
    return _sleep(task, waiter)


def _take(task: Task, call: Call, key: Hashable) -> Lock | None:
    if sleepers_of(task, key):  # they do not wait for a lock
        raise SyscallError(errno.EINVAL)
    return task.kernel.pi_locks.take(task, call.addr, key)


def _sleep(task: Task, waiter: Waiter) -> int:
    """Wait until the lock is handed over. Errors: ETIMEDOUT, EDEADLK (a Python program)."""
    if waiter.owns:
        return 0
    locks, clock = task.kernel.pi_locks, task.kernel.clock
    pass_time(task, waiter.deadline)
    if waiter.deadline is not None and clock.now_ns >= waiter.deadline:
        locks.leave(waiter)
        raise SyscallError(errno.ETIMEDOUT)
    if task.context is None:
        locks.leave(waiter)
    raise WouldBlock(
        waiter,
        deadline=waiter.deadline,
        progress=waiter,
        restart=Restart.ALWAYS,
        interrupted=lambda: locks.leave(waiter),
    )


def try_lock(task: Task, call: Call) -> int:
    """Take the lock if nobody has it (TRYLOCK_PI). Errors: EAGAIN, EDEADLK, ESRCH."""
    if _take(task, call, call.key) is not None:
        raise SyscallError(errno.EAGAIN)
    return 0


def unlock(task: Task, call: Call) -> int:
    """Give the lock up, or hand it over to who waits (UNLOCK_PI). Errors: EPERM, EINVAL."""
    if word_at(task, call.addr) & TID_MASK != task.number:
        raise SyscallError(errno.EPERM)
    key = call.key
    if sleepers_of(task, key):
        raise SyscallError(errno.EINVAL)
    task.kernel.pi_locks.release(task, call.addr, key)
    return 0


def wait_requeue(task: Task, call: Call) -> int:
    """Wait on one word, then for a lock that another task lets the caller wait for.

    Errors: EAGAIN (the word is not value), EINVAL (one word twice), ETIMEDOUT.
    """
    progress = task.thread.progress
    if isinstance(progress, Waiter):
        return _sleep(task, progress)
    if progress is None:
        progress = _wait_for_requeue(task, call)
    pass_time(task, progress.deadline)
    if progress.deadline is not None and task.kernel.clock.now_ns >= progress.deadline:
        raise SyscallError(errno.ETIMEDOUT)
    if progress is task.thread.progress:
        progress.stand_again(task)
    raise WouldBlock(
        *progress.keys, deadline=progress.deadline, progress=progress, restart=Restart.ALWAYS
    )


def _wait_for_requeue(task: Task, call: Call) -> Sleeper:
    deadline = call.deadline
    if call.addr == call.addr2:
        raise SyscallError(errno.EINVAL)
    lock_key, key = call.key2, call.key
    words = (Word(call.addr, call.value & ALL_BITS, key),)
    need_values(task, words)
    if key == lock_key:
        raise SyscallError(errno.EINVAL)
    sleeper = Sleeper(words, ALL_BITS, deadline)
    sleeper.target = lock_key, call.addr2
    return sleeper


def cmp_requeue(task: Task, call: Call) -> int:
    """Let who waits on a word wait for a lock, which the first may get; return how many.

    Errors: EAGAIN (the word is not value3), EINVAL (not one to wake, others wait there, or for
    another lock), and those of lock().
    """
    if call.addr == call.addr2 or signed32(call.value) != 1 or signed32(call.timeout) < 0:
        raise SyscallError(errno.EINVAL)
    need_value(task, call)
    key, lock_key = call.key, call.key2
    if key == lock_key:
        raise SyscallError(errno.EINVAL)
    sleepers = sleepers_of(task, key)[: signed32(call.timeout) + 1]
    for place, sleeper in enumerate(sleepers):
        target = sleeper.thread.progress.target
        if target is None or target[0] != lock_key:
            raise SyscallError(errno.EINVAL)
        assert not isinstance(sleeper, Bystander)  # they have no target
        _move(task, sleeper, target)
        if place == 0 and call.timeout and sleeper.thread.progress.owns:
            set_word(task, call.addr2, word_at(task, call.addr2) | WAITERS)
    return len(sleepers)


def _move(task: Task, sleeper: Task, target: tuple[Hashable, int]) -> None:
    """Let a sleeper have a lock, or wait for it. Errors: those of Locks.take and wait."""
    locks, scheduler, key = task.kernel.pi_locks, task.kernel.scheduler, target[0]
    waiter = Waiter(sleeper, target[1], sleeper.thread.progress.deadline)
    found = locks.take(sleeper, waiter.addr, key)
    if found is not None:
        locks.wait(waiter, found)
    assert scheduler is not None
    sleeper.thread.progress = waiter
    waiter.owns = found is None
    if waiter.owns:
        scheduler.sleepers.wake_task(sleeper)
        return
    scheduler.sleepers.unpark(sleeper)
    again = WouldBlock(
        waiter,
        deadline=waiter.deadline,
        progress=waiter,
        restart=Restart.ALWAYS,
        interrupted=lambda: locks.leave(waiter),
    )
    scheduler.sleepers.sleep(sleeper, again)
