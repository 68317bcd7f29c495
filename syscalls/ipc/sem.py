"""System V semaphores."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.ipc.ipc import S_IRUGO, S_IWUGO
from pkern.kernel.vfs.ipc.sem import (
    SEMAEM,
    SEMMNS,
    SEMOPM,
    SEMVMX,
    Operation,
    SemaphoreSet,
    Sleeper,
)
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.abi import signed32
from pkern.syscalls.clocks import TIME_PAIR, duration_in, pass_time
from pkern.syscalls.ipc.perm import (
    IPC_INFO,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    pack_perm,
    perm_in,
)
from pkern.syscalls.layouts import layout
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

GETPID, GETVAL, GETALL, GETNCNT, GETZCNT, SETVAL, SETALL = range(11, 18)
SEM_STAT, SEM_INFO, SEM_STAT_ANY = 18, 19, 20
SEMBUF = struct.Struct("<Hhh")
SEMUSZ = 20
DS_REST = layout("<Q8xQ8x3Q", "<2Q3I")  # struct semid64_ds after its rights


@syscall(64, "semget", SINT, SINT, INT)
def semget(task: Task, key: int, number: int, flags: int = 0) -> int:
    """Return the id of a set of semaphores; key: IPC_PRIVATE, or what others ask for.

    Errors: ENOENT, EEXIST, EINVAL, EACCES, ENOSPC (kernel.sem). Source: semget(2).
    """
    return task.nsproxy.ipc.semaphores.get(task, key, number, flags)


# ---- operations ----


@syscall(65, "semop", SINT, INT, INT)
def semop(task: Task, semid: int, addr: int, count: int) -> int:
    """Make count operations (struct sembuf at addr) on a set: all at once, or wait.

    Errors: EINVAL, E2BIG, EFBIG, EFAULT, EACCES, EAGAIN, EIDRM, EINTR, ERANGE. Source: semop(2).
    """
    return semtimedop(task, semid, addr, count, 0)


@syscall(220, "semtimedop", SINT, INT, INT, INT)
def semtimedop(task: Task, semid: int, addr: int, count: int, timeout: int) -> int:
    """As semop, and wait no longer than struct timespec at timeout says (0: for ever).

    Errors: as semop; EAGAIN (the time is up). Source: semop(2).
    """
    return operate(task, semid, addr, count, timeout, TIME_PAIR)


def operate(
    task: Task, semid: int, addr: int, count: int, timeout: int, pair: struct.Struct
) -> int:
    """Make operations as semtimedop; pair: the layout of the time. Errors: as semtimedop."""
    semaphores, call = task.nsproxy.ipc.semaphores, task.thread.progress
    if call is None:
        if timeout:
            task.mm.copy_in(timeout, pair.size)
        call = _first_try(task, semid, addr, count & 0xFFFF_FFFF, timeout, pair)
        if call is None:
            return 0
    now = task.kernel.clock.now_ns
    late = call.deadline is not None and now >= call.deadline
    if call.errno is None and not late:
        raise WouldBlock(
            call,
            deadline=call.deadline,
            progress=call,
            restart=Restart.ENDS,
            interrupted=lambda: semaphores.wake_up(task.pid),
        )
    semaphores.wake_up(task.pid)
    ended = errno.EAGAIN if call.errno is None else call.errno
    if ended:
        raise SyscallError(ended)
    return 0


def _first_try(
    task: Task, semid: int, addr: int, count: int, timeout: int, pair: struct.Struct
) -> Sleeper | None:
    """Make the operations and return None, or what waits for them."""
    semaphores = task.nsproxy.ipc.semaphores
    if count > semaphores.per_call:
        raise SyscallError(errno.E2BIG)
    if not count:
        raise SyscallError(errno.EINVAL)
    raw = task.mm.copy_in(addr, count * SEMBUF.size)
    deadline = task.kernel.clock.now_ns + duration_in(task, timeout, pair=pair) if timeout else None
    operations = [Operation(*fields) for fields in SEMBUF.iter_unpack(raw)]
    found, call = semaphores.table.get(semid), Sleeper(task, operations, deadline)
    if semaphores.operate(task, found, call):
        return None
    if task.context is None:
        pass_time(task, deadline)
        raise SyscallError(errno.EAGAIN)  # a Python program does not sleep
    semaphores.sleep(found, call)
    return call


# ---- semctl ----


def _info(task: Task, command: int) -> bytes:
    """Return struct seminfo: kernel.sem, and with SEM_INFO what is used."""
    found = task.nsproxy.ipc.semaphores
    size, adjust = (len(found.table), found.used) if command == SEM_INFO else (SEMUSZ, SEMAEM)
    limits = (found.table.ids.most, found.in_all, SEMMNS, found.per_set, found.per_call)
    return struct.pack("<10i", SEMMNS, *limits, SEMOPM, size, SEMVMX, adjust)


def _pack(task: Task, one: SemaphoreSet) -> bytes:
    """Return struct semid64_ds."""
    rest = one.otime, one.ctime, len(one.semaphores), 0, 0
    return pack_perm(task, one) + DS_REST.of(task).pack(*rest)


def _stat(task: Task, semid: int, command: int, addr: int) -> int:
    table = task.nsproxy.ipc.semaphores.table
    found = table.get(semid) if command == IPC_STAT else table.at(semid)
    if command != SEM_STAT_ANY:
        found.need(task, S_IRUGO)
    task.mm.copy_out(addr, _pack(task, found))
    return 0 if command == IPC_STAT else found.id


def _change(task: Task, semid: int, command: int, addr: int) -> int:
    """IPC_SET and IPC_RMID."""
    wish = perm_in(task, addr) if command == IPC_SET else None
    semaphores = task.nsproxy.ipc.semaphores
    found = semaphores.table.get(semid)
    found.need_owner(task)
    if wish is None:
        semaphores.remove(found)
    else:
        found.give(*wish)
    return 0


def _all(task: Task, found: SemaphoreSet, command: int, addr: int) -> int:
    """GETALL and SETALL."""
    layout = f"<{len(found.semaphores)}H"
    if command == GETALL:
        values = [one.value for one in found.semaphores]
        task.mm.copy_out(addr, struct.pack(layout, *values))
        return 0
    given = struct.unpack(layout, task.mm.copy_in(addr, struct.calcsize(layout)))
    if max(given) > SEMVMX:
        raise SyscallError(errno.ERANGE)
    found.set(dict(enumerate(given)), task.tgid)
    return 0


def _one(task: Task, found: SemaphoreSet, number: int, command: int) -> int:
    """Return what GETVAL and its kin ask for. Errors: EINVAL."""
    if not 0 <= number < len(found.semaphores):
        raise SyscallError(errno.EINVAL)
    semaphore, waiting = found.semaphores[number], found.waiting(number)
    told = {GETVAL: semaphore.value, GETPID: task.number_of(semaphore.pid)}
    return (told | {GETNCNT: waiting[0], GETZCNT: waiting[1]})[command]


def _set_value(task: Task, semid: int, number: int, value: int) -> int:
    if not 0 <= value <= SEMVMX:
        raise SyscallError(errno.ERANGE)
    found = task.nsproxy.ipc.semaphores.table.get(semid)
    if not 0 <= number < len(found.semaphores):
        raise SyscallError(errno.EINVAL)
    found.need(task, S_IWUGO)
    found.set({number: value}, task.tgid)
    return 0


@syscall(66, "semctl", SINT, SINT, SINT, INT)
def semctl(task: Task, semid: int, number: int, command: int, value: int = 0) -> int:
    """Look at a set or change it. value: a number (SETVAL) or an address, as the command has it.

    IPC_STAT, IPC_SET (struct semid64_ds), IPC_RMID, GETALL, SETALL (16 bits each), GETVAL, SETVAL,
    GETPID, GETNCNT, GETZCNT; IPC_INFO and SEM_INFO return the highest index, SEM_STAT and
    SEM_STAT_ANY take an index and return an id. Errors: EINVAL, EACCES, EPERM, ERANGE, EFAULT.
    Source: semctl(2).
    """
    table = task.nsproxy.ipc.semaphores.table
    if semid < 0:
        raise SyscallError(errno.EINVAL)
    if command in (IPC_INFO, SEM_INFO):
        task.mm.copy_out(value, _info(task, command))
        return table.last_index()
    if command in (IPC_STAT, SEM_STAT, SEM_STAT_ANY):
        return _stat(task, semid, command, value)
    if command in (IPC_SET, IPC_RMID):
        return _change(task, semid, command, value)
    if command == SETVAL:
        return _set_value(task, semid, number, signed32(value))
    if not GETPID <= command <= SETALL:
        raise SyscallError(errno.EINVAL)
    found = table.get(semid)
    found.need(task, S_IWUGO if command == SETALL else S_IRUGO)
    if command in (GETALL, SETALL):
        return _all(task, found, command, value)
    return _one(task, found, number, command)
