"""Futexes with priority inheritance: locks that know their owner.

The word of such a lock is the owner's tid, with WAITERS while the kernel has to be asked to unlock
and OWNER_DIED where an owner ended with it. Who waits is known here, by the key of the word: a lock
is handed over, never fought for. Nobody's priority changes, for nothing is ordered by it but the
waiters of a lock: those of real time first. Source: kernel/futex/pi.c of Linux 6.18.

Invariant (T7): a lock that is known here has a live owner, and waiters, each of which sleeps in it.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import MemoryFault, SyscallError, TaskKilled
from pkern.kernel.lean import suppress
from pkern.kernel.tasks.locks.futex import OWNER_DIED, TID_MASK, WAITERS, set_word, word_at
from pkern.kernel.typed import TYPE_CHECKING, Hashable, Iterator

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task


class Waiter:
    """A call that waits for a lock; what it finds when it is made again.

    lock: None while it waits for a condition, as FUTEX_WAIT_REQUEUE_PI does. owns: it has the lock.
    """

    def __init__(self, task: Task, addr: int, deadline: int | None) -> None:
        self.task = task
        self.addr = addr
        self.deadline = deadline
        self.lock: Lock | None = None
        self.owns = False

    @property
    def rank(self) -> int:
        """Where it stands: tasks of real time by their priority, then all others."""
        return min(self.task.attributes.priority, 0)


class Lock:
    """A lock that someone waits for: who has it, and who waits, the next one first."""

    def __init__(self, key: Hashable, owner: Task) -> None:
        self.key = key
        self.owner = owner
        self.waiters: list[Waiter] = []


class Locks:
    """The locks of a machine that tasks wait for, by the key of their word."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, Lock] = {}

    def __iter__(self) -> Iterator[Lock]:
        return iter(self._locks.values())

    def get(self, key: Hashable) -> Lock | None:
        """Return the lock that someone waits for, None if nobody does."""
        return self._locks.get(key)

    def take(self, task: Task, addr: int, key: Hashable) -> Lock | None:
        """Take a lock for a task, and return None, or the lock that it has to wait for.

        Errors: EDEADLK (it has it, or its owner waits for the task), ESRCH (nobody is the owner),
        EINVAL (the word does not say who the owner is), EFAULT.
        Source: futex_lock_pi_atomic() of Linux 6.18.
        """
        word = word_at(task, addr)
        owner = word & TID_MASK
        if owner == task.number:
            raise SyscallError(errno.EDEADLK)
        known = self._locks.get(key)
        if known is not None:
            if task.pid_of(owner) != known.owner.pid:
                raise SyscallError(errno.EINVAL)
            return known
        if not owner:
            set_word(task, addr, task.number | word & OWNER_DIED)
            return None
        set_word(task, addr, word | WAITERS)
        found = task.find(owner)
        if found is None or not found.alive:
            raise SyscallError(errno.ESRCH)
        return Lock(key, found)

    def wait(self, waiter: Waiter, lock: Lock) -> None:
        """Let a call wait for a lock. Errors: EDEADLK: it would wait for itself."""
        owner: Task | None = lock.owner
        while owner is not None:
            if owner is waiter.task:
                raise SyscallError(errno.EDEADLK)
            progress = owner.thread.progress
            next_lock = progress.lock if isinstance(progress, Waiter) else None
            owner = next_lock.owner if next_lock is not None else None
        scheduler = waiter.task.kernel.scheduler
        if lock.key not in self._locks and scheduler is not None:
            scheduler.sleepers.hold(lock.key)
        self._locks[lock.key] = waiter.lock = lock
        place = sum(other.rank <= waiter.rank for other in lock.waiters)
        lock.waiters.insert(place, waiter)

    def leave(self, waiter: Waiter) -> None:
        """Let a call wait no more, which does not get its lock."""
        lock, waiter.lock = waiter.lock, None
        if lock is not None:
            lock.waiters.remove(waiter)
            if not lock.waiters:
                del self._locks[lock.key]
                scheduler = waiter.task.kernel.scheduler
                if scheduler is not None:
                    scheduler.sleepers.release(lock.key)

    def release(self, task: Task, addr: int, key: Hashable) -> None:
        """Hand a lock over to the next who waits. Errors: EINVAL (another has it), EFAULT."""
        lock = self._locks.get(key)
        if lock is None:
            set_word(task, addr, 0)
            return
        if lock.owner is not task:
            raise SyscallError(errno.EINVAL)
        set_word(task, addr, lock.waiters[0].task.number | WAITERS)
        self._hand_over(task.kernel, lock)

    def _hand_over(self, kernel: Machine, lock: Lock) -> Waiter:
        waiter = lock.waiters[0]
        self.leave(waiter)
        lock.owner, waiter.owns = waiter.task, True
        kernel.wake(waiter)
        return waiter

    def exit(self, task: Task) -> None:
        """Let a task that ends wait no more, and hand on what it owned, marked as a dead one's."""
        if not self._locks:
            return
        progress = task.thread.progress
        if isinstance(progress, Waiter):
            self.leave(progress)
        for lock in [lock for lock in self if lock.owner is task]:
            waiter = self._hand_over(task.kernel, lock)
            self._mark(waiter.task, waiter.addr, waiter.task.number | WAITERS)

    def _mark(self, task: Task, addr: int, word: int) -> None:
        """Say in a lock's word that an owner has died, where that can be."""
        with suppress(SyscallError, MemoryFault, TaskKilled):
            set_word(task, addr, word | OWNER_DIED)
