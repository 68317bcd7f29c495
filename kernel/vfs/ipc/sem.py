"""System V semaphores: sets, the operations that wait for them, and what an exit undoes.

A set owns its values and its queues. An operation that cannot be done now waits in one of them; who
changes the set does what has become possible in its stead, in Linux's order, so that a waiter wakes
with its operation done, or refused. Order, errors and counts follow ipc/sem.c of Linux 6.18: a
queue for each semaphore while only single operations wait, one for the set as soon as another does;
those that change nothing (they wait for zero) apart from those that do.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.ipc.ipc import IPC_NOWAIT, IpcObject, IpcTable
from pkern.kernel.vfs.undo import Undo

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

SEM_UNDO = 0o10000
SEMVMX = SEMAEM = 32767
SEMMNI, SEMMSL, SEMMNS, SEMOPM = 32000, 32000, 1024000000, 500


class Operation(NamedTuple):
    """struct sembuf: add change to a semaphore; 0: wait until it is zero."""

    number: int
    change: int
    flags: int


class Undoer(Protocol):
    """A task: its process's number, its own, and what its end undoes."""

    undo: Undo | None

    @property
    def pid(self) -> int: ...
    @property
    def tgid(self) -> int: ...


class Sleeper:
    """A call on a set: its operations and, once it need not wait any more, how it ended."""

    def __init__(self, task: Undoer, operations: list[Operation], deadline: int | None) -> None:
        self.task = task
        self.operations = operations
        self.deadline = deadline
        self.alters = any(one.change for one in operations)
        self.blocking: Operation | None = None  # what could not be done
        self.queue: list[Sleeper] = []  # where it waits
        self.errno: int | None = None  # None: it waits; 0: it is done

    @property
    def is_single(self) -> bool:
        """Tell whether it is one operation only."""
        return len(self.operations) == 1


class Semaphore:
    """One semaphore: value, who changed it last, and the single operations that wait for it."""

    def __init__(self) -> None:
        self.value = self.pid = 0
        self.altering: list[Sleeper] = []
        self.constant: list[Sleeper] = []


class SemaphoreSet(IpcObject):
    """A set of semaphores."""

    def __init__(self, kernel: Machine, task: Caller, key: int, number: int, flags: int) -> None:
        super().__init__(kernel, task, key, flags)
        self.semaphores = [Semaphore() for _ in range(number)]
        self.otime = 0  # seconds: the last operation
        self.altering: list[Sleeper] = []
        self.constant: list[Sleeper] = []
        self.complex = 0  # of those that wait, so many are several operations
        self.undo: dict[Undo, list[int]] = {}  # what a task's end adds to each value

    # ---- operations ----

    def attempt(self, sleeper: Sleeper) -> bool:
        """Do all operations or none; tell whether they are done. Errors: EAGAIN, ERANGE.

        Source: perform_atomic_semop() of Linux 6.18.
        """
        values: dict[int, int] = {}
        own = self.undo.get(sleeper.task.undo, []) if sleeper.task.undo is not None else []
        undone: dict[int, int] = {}
        for one in sleeper.operations:
            before = values.get(one.number, self.semaphores[one.number].value)
            after = before + one.change
            if after < 0 or (not one.change and before):
                if one.flags & IPC_NOWAIT:
                    raise SyscallError(errno.EAGAIN)
                sleeper.blocking = one
                return False
            if after > SEMVMX:
                raise SyscallError(errno.ERANGE)
            values[one.number] = after
            if one.flags & SEM_UNDO:
                undone[one.number] = undone.get(one.number, own[one.number]) - one.change
                if not -SEMAEM - 1 <= undone[one.number] <= SEMAEM:
                    raise SyscallError(errno.ERANGE)
        for number, value in values.items():
            self.semaphores[number].value = value
            self.semaphores[number].pid = sleeper.task.tgid
        for number, value in undone.items():
            own[number] = value
        return True

    def wait(self, sleeper: Sleeper) -> None:
        """Put a call that could not be done into its queue."""
        if sleeper.is_single:
            semaphore = self.semaphores[sleeper.operations[0].number]
            where = self.altering if self.complex else semaphore.altering
            sleeper.queue = where if sleeper.alters else semaphore.constant
        else:
            if not self.complex:
                self._merge()
            self.complex += 1
            sleeper.queue = self.altering if sleeper.alters else self.constant
        sleeper.queue.append(sleeper)

    def _merge(self) -> None:
        """Let the changes that wait for one semaphore each wait for the set."""
        for semaphore in self.semaphores:
            for sleeper in semaphore.altering:
                sleeper.queue = self.altering
            self.altering[:0] = semaphore.altering
            semaphore.altering.clear()

    def leave(self, sleeper: Sleeper) -> None:
        """Take a call out of its queue."""
        sleeper.queue.remove(sleeper)
        self.complex -= not sleeper.is_single

    def settle(self) -> None:
        """Let each change wait for its own semaphore again, once single ones are all that waits.

        Not before a walk of the queues has ended.
        """
        if self.complex:
            return
        for sleeper in self.altering:
            sleeper.queue = self.semaphores[sleeper.operations[0].number].altering
            sleeper.queue.append(sleeper)
        self.altering.clear()

    # ---- waking ----

    def changed(self, operations: list[Operation] | None) -> None:
        """Do what waits and has become possible. operations: those made; None: anything was.

        Source: do_smart_update() of Linux 6.18.
        """
        done = self._wake_zero(operations)
        touched = range(len(self.semaphores)) if operations is None else self._raised(operations)
        if self.altering:
            done |= self._wake_altering(self.altering, None)
        else:
            for number in touched:
                done |= self._wake_altering(self.semaphores[number].altering, number)
        if done:
            self.otime = self.now()
        self.settle()

    def _raised(self, operations: list[Operation]) -> Iterable[int]:
        return (one.number for one in operations if one.change > 0)

    def _wake_zero(self, operations: list[Operation] | None) -> bool:
        everything = range(len(self.semaphores))
        looked = everything if operations is None else [one.number for one in operations]
        zeros = [number for number in looked if not self.semaphores[number].value]
        done = False
        for number in zeros:
            done |= self._wake_constant(self.semaphores[number].constant)
        return done | bool(zeros and self._wake_constant(self.constant))

    def _wake_constant(self, queue: list[Sleeper]) -> bool:
        ends = [self._try_waiting(sleeper) for sleeper in list(queue)]
        return 0 in ends

    def _wake_altering(self, queue: list[Sleeper], number: int | None) -> bool:
        """Go through a queue, anew whenever a step may have let an earlier one through."""
        done, again = False, True
        while again:
            again = False
            for sleeper in list(queue):
                if number is not None and not self.semaphores[number].value:
                    return done
                ended = self._try_waiting(sleeper)
                if ended is None or ended:
                    continue
                done = True
                if queue is self.altering or not sleeper.is_single:
                    again = True
                    break
        return done

    def _try_waiting(self, sleeper: Sleeper) -> int | None:
        """Do what waits if it can be done: its errno, 0 for done; None: it still waits.

        Those who wait for a zero that it makes wake first.
        """
        try:
            if not self.attempt(sleeper):
                return None
            ended = 0
        except SyscallError as error:
            ended = error.number
        self.leave(sleeper)
        if not ended and sleeper.alters:
            self._wake_zero(sleeper.operations)
        self._wake(sleeper, ended)
        return ended

    def _wake(self, sleeper: Sleeper, ended: int) -> None:
        sleeper.errno = ended
        self.kernel.wake(sleeper)

    # ---- values ----

    def set(self, values: dict[int, int], pid: int) -> None:
        """Set values by number, which nobody undoes any more."""
        for number, value in values.items():
            self.semaphores[number].value, self.semaphores[number].pid = value, pid
            for undo in self.undo.values():
                undo[number] = 0
        self.ctime = self.now()
        self.changed(None)

    def waiting(self, number: int) -> tuple[int, int]:
        """Return how many calls wait for a semaphore: to be more, and to be zero.

        Source: count_semcnt() of Linux 6.18.
        """
        semaphore = self.semaphores[number]
        both = [*self.altering, *self.constant]
        stuck = [one.blocking for one in both if one.blocking and one.blocking.number == number]
        more = len(semaphore.altering) + sum(one.change < 0 for one in stuck)
        zero = len(semaphore.constant) + sum(one.change == 0 for one in stuck)
        return more, zero

    def undo_all(self, undo: Undo, pid: int) -> None:
        """Undo what a process that ends has done."""
        for semaphore, change in zip(self.semaphores, self.undo.pop(undo), strict=True):
            if change:
                semaphore.value = min(max(semaphore.value + change, 0), SEMVMX)
                semaphore.pid = pid
        self.otime = self.now()
        self.changed(None)

    def end(self) -> None:
        """Wake all who wait: EIDRM."""
        queues = [self.constant, self.altering]
        for semaphore in self.semaphores:
            queues += [semaphore.constant, semaphore.altering]
        for sleeper in [one for queue in queues for one in queue]:
            self._wake(sleeper, errno.EIDRM)
        for queue in queues:
            queue.clear()


class Semaphores:
    """The sets of one machine, who sleeps for them, and what bounds them (kernel.sem)."""

    def __init__(self, kernel: Machine) -> None:
        self._kernel = kernel
        self.table: IpcTable[SemaphoreSet] = IpcTable(SEMMNI)
        self.per_set, self.in_all, self.per_call = SEMMSL, SEMMNS, SEMOPM
        self.used = 0  # semaphores of all sets
        self._sleeping: dict[int, tuple[SemaphoreSet, Sleeper]] = {}  # by pid

    @property
    def limits(self) -> str:
        """kernel.sem: SEMMSL, SEMMNS, SEMOPM, SEMMNI."""
        return f"{self.per_set}\t{self.in_all}\t{self.per_call}\t{self.table.ids.most}"

    @limits.setter
    def limits(self, row: str) -> None:
        self.per_set, self.in_all, self.per_call, most = map(int, row.split())
        self.table.ids.most = most

    def get(self, task: Caller, key: int, number: int, flags: int) -> int:
        """Return the id for a key, made if asked.

        Errors: EINVAL (too many, or none), ENOENT, EEXIST, EACCES, ENOSPC.
        """
        if not 0 <= number <= self.per_set:
            raise SyscallError(errno.EINVAL)
        return self.table.find(
            task,
            key,
            flags,
            lambda found: number <= len(found.semaphores),
            lambda: self._make(task, key, number, flags),
        )

    def _make(self, task: Caller, key: int, number: int, flags: int) -> SemaphoreSet:
        if not number:
            raise SyscallError(errno.EINVAL)
        if self.used + number > self.in_all or len(self.table) >= self.table.ids.most:
            raise SyscallError(errno.ENOSPC)
        self.used += number
        return SemaphoreSet(self._kernel, task, key, number, flags)

    def remove(self, gone: SemaphoreSet) -> None:
        """Remove a set; who waits for it gets EIDRM."""
        self.used -= len(gone.semaphores)
        self.table.remove(gone)
        gone.end()
        for undo in gone.undo:
            undo.sets.remove(gone)

    def operate(self, task: Caller, of: SemaphoreSet, call: Sleeper) -> bool:
        """Make a call's operations; False: they have to wait. Errors: EFBIG, EACCES, as attempt."""
        if max(one.number for one in call.operations) >= len(of.semaphores):
            raise SyscallError(errno.EFBIG)
        of.need(task, 0o222 if call.alters else 0o444)
        if any(one.flags & SEM_UNDO for one in call.operations):
            self._prepare_undo(of, call.task)
        if not of.attempt(call):
            return False
        of.otime = of.now()
        if call.alters:
            of.changed(call.operations)
        return True

    def _prepare_undo(self, of: SemaphoreSet, task: Undoer) -> None:
        undo = task.undo = task.undo or Undo()
        if undo not in of.undo:
            of.undo[undo] = [0] * len(of.semaphores)
            undo.sets.insert(0, of)

    def sleep(self, of: SemaphoreSet, call: Sleeper) -> None:
        """Let a call wait."""
        self._sleeping[call.task.pid] = of, call
        of.wait(call)

    def wake_up(self, pid: int) -> None:
        """Note that a process does not wait any more, whatever the reason."""
        found = self._sleeping.pop(pid, None)
        if found is not None and found[1].errno is None:
            found[0].leave(found[1])
            found[0].settle()

    def leave(self, pid: int) -> None:
        """Forget a task that ends."""
        self.wake_up(pid)
