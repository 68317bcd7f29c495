"""Calls of the i386 table that stand for many: socketcall and ipc choose one by a number.

Owns which those are, and where their arguments lie.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.syscalls import abi
from pkern.syscalls.abi import signed32
from pkern.syscalls.clocks import OLD_PAIR
from pkern.syscalls.ia32.forms import FORMS, WORD, form
from pkern.syscalls.ipc import sem
from pkern.syscalls.numbers import NUMBERS
from pkern.syscalls.table import INT, SINT

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


class Chosen(NamedTuple):
    """A native call, and how many words of arguments it is given."""

    name: str
    nr_words: int


NO_CALL = Chosen("", 0)
SOCKET_CALLS = {
    1: Chosen("socket", 3),
    2: Chosen("bind", 3),
    3: Chosen("connect", 3),
    4: Chosen("listen", 2),
    5: Chosen("accept", 3),
    6: Chosen("getsockname", 3),
    7: Chosen("getpeername", 3),
    8: Chosen("socketpair", 4),
    9: Chosen("sendto", 4),  # send: to nobody in particular
    10: Chosen("recvfrom", 4),  # recv: from whom is not told
    11: Chosen("sendto", 6),
    12: Chosen("recvfrom", 6),
    13: Chosen("shutdown", 2),
    14: Chosen("setsockopt", 5),
    15: Chosen("getsockopt", 5),
    16: Chosen("sendmsg", 3),
    17: Chosen("recvmsg", 3),
    18: Chosen("accept4", 4),
    19: Chosen("recvmmsg", 5),
    20: Chosen("sendmmsg", 4),
}
SEMOP, SEMGET, SEMCTL, SEMTIMEDOP = 1, 2, 3, 4
MSGSND, MSGRCV, MSGGET, MSGCTL = 11, 12, 13, 14
SHMAT, SHMDT, SHMGET, SHMCTL = 21, 22, 23, 24
VERSION_SHIFT = 16
IPC_64 = 0x100  # in a command: the newer structures, the only ones here
# Commands with structures that have an older layout: IPC_SET, STAT, INFO, MSG_, SHM_ and SEM_STAT.
WITH_STRUCTURES = {
    SEMCTL: frozenset({1, 2, 18, 20}),
    MSGCTL: frozenset({1, 2, 11, 13}),
    SHMCTL: frozenset({1, 2, 3, 13, 15}),
}


def _make(task: Task, name: str, *arguments: int) -> int:
    """Make a call of this table, or a native one, seen by who watches calls."""
    scheduler = task.kernel.scheduler
    assert scheduler is not None
    registers = arguments + (0,) * (6 - len(arguments))
    if name in FORMS:
        return abi.raw_call(FORMS[name])(task, *registers)
    return scheduler.calls.table[NUMBERS[name]](task, *registers)


@form("socketcall", SINT, INT)
def _socketcall(task: Task, which: int, addr: int) -> int:
    """Make a call of sockets. Errors: EINVAL (no such one), EFAULT, ENOSYS and its own."""
    if which not in SOCKET_CALLS:
        raise SyscallError(errno.EINVAL)
    name, count = SOCKET_CALLS[which]
    return _make(task, name, *struct.unpack(f"<{count}I", task.mm.copy_in(addr, 4 * count)))


class Words(NamedTuple):
    """What ipc() is given: its version, numbers, an address, and one more number."""

    version: int
    first: int
    second: int
    third: int
    addr: int
    fifth: int


def _command(call: int, given: int) -> int:
    """Return a call's command without IPC_64. Errors: ENOSYS: it means the older structures."""
    command = given & ~IPC_64
    if command in WITH_STRUCTURES[call] and not given & IPC_64:
        raise SyscallError(errno.ENOSYS)
    return command


def _semctl(task: Task, w: Words) -> int:
    if not w.addr:
        raise SyscallError(errno.EINVAL)
    (value,) = struct.unpack("<I", task.mm.copy_in(w.addr, 4))
    return _make(task, "semctl", w.first, w.second, _command(SEMCTL, w.third), value)


def _msgrcv(task: Task, w: Words) -> int:
    addr, kind = w.addr, w.fifth
    if not w.version:  # both stand in memory
        addr, kind = struct.unpack("<II", task.mm.copy_in(w.addr, 8))
    signed = kind - (kind >> 31 << 32) & WORD
    return _make(task, "msgrcv", w.first, addr, signed32(w.second) & WORD, signed, w.third)


def _shmat(task: Task, w: Words) -> int:
    if w.version == 1:
        raise SyscallError(errno.EINVAL)
    at = _make(task, "shmat", w.first, w.addr, w.second)
    task.mm.copy_out(w.third, struct.pack("<I", at))
    return 0


IPC_CALLS: dict[int, Callable[[Task, Words], int]] = {
    SEMOP: lambda task, w: _make(task, "semop", w.first, w.addr, w.second),
    SEMGET: lambda task, w: _make(task, "semget", w.first, w.second, w.third),
    SEMCTL: _semctl,
    SEMTIMEDOP: lambda task, w: sem.operate(task, w.first, w.addr, w.second, w.fifth, OLD_PAIR),
    MSGSND: lambda task, w: _make(
        task, "msgsnd", w.first, w.addr, signed32(w.second) & WORD, w.third
    ),
    MSGRCV: _msgrcv,
    MSGGET: lambda task, w: _make(task, "msgget", w.first, w.second),
    MSGCTL: lambda task, w: _make(task, "msgctl", w.first, _command(MSGCTL, w.second), w.addr),
    SHMAT: _shmat,
    SHMDT: lambda task, w: _make(task, "shmdt", w.addr),
    SHMGET: lambda task, w: _make(task, "shmget", w.first, w.second, w.third),
    SHMCTL: lambda task, w: _make(task, "shmctl", w.first, _command(SHMCTL, w.second), w.addr),
}


@form("ipc", INT, SINT, INT, INT, INT, INT)
def _ipc(task: Task, which: int, *words: int) -> int:
    """Make a call of System V's objects. Errors: ENOSYS (no such one, or not done), its own."""
    if which & 0xFFFF not in IPC_CALLS:
        raise SyscallError(errno.ENOSYS)
    return IPC_CALLS[which & 0xFFFF](task, Words(which >> VERSION_SHIFT, *words))
