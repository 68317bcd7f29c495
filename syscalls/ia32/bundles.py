"""Calls of the i386 table that stand for many: socketcall and ipc choose one by a number.

Owns which those are, and where their arguments lie.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.syscalls import abi
from pkern.syscalls.ia32.forms import FORMS, form
from pkern.syscalls.numbers import NUMBERS
from pkern.syscalls.table import INT, SINT

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


class Chosen(NamedTuple):
    """A native call, and how many words of arguments it is given."""

    name: str
    nr_words: int


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
    18: Chosen("accept4", 4),
}
OTHER_LAYOUTS = frozenset({16, 17, 19, 20})  # sendmsg, recvmsg and their kin: not done
SEMOP, SEMGET, MSGGET, SHMAT, SHMDT, SHMGET = 1, 2, 13, 21, 22, 23
VERSION_SHIFT = 16


def _make(task: Task, name: str, *arguments: int) -> int:
    """Make a call of this table, or a native one, seen by who watches calls."""
    scheduler = task.kernel.scheduler
    assert scheduler is not None
    registers = arguments + (0,) * (6 - len(arguments))
    if name in FORMS:
        return abi.raw_call(FORMS[name])(task, *registers)
    return scheduler.calls[NUMBERS[name]](task, *registers)


@form("socketcall", SINT, INT)
def _socketcall(task: Task, which: int, addr: int) -> int:
    """Make a call of sockets. Errors: EINVAL (no such one), EFAULT, ENOSYS and its own."""
    if which in OTHER_LAYOUTS:
        raise SyscallError(errno.ENOSYS)
    if which not in SOCKET_CALLS:
        raise SyscallError(errno.EINVAL)
    name, count = SOCKET_CALLS[which]
    return _make(task, name, *struct.unpack(f"<{count}I", task.mm.copy_in(addr, 4 * count)))


@form("ipc", INT, SINT, INT, INT, INT, INT)
def _ipc(task: Task, which: int, first: int, second: int, third: int, addr: int, _: int) -> int:
    """Make a call of System V's objects. Errors: ENOSYS (no such one, or not done), its own."""
    number, version = which & 0xFFFF, which >> VERSION_SHIFT
    if number == SEMOP:
        return _make(task, "semop", first, addr, second)
    if number == SEMGET:
        return _make(task, "semget", first, second, third)
    if number == MSGGET:
        return _make(task, "msgget", first, second)
    if number == SHMGET:
        return _make(task, "shmget", first, second, third)
    if number == SHMDT:
        return _make(task, "shmdt", addr)
    if number == SHMAT and version == 1:
        raise SyscallError(errno.EINVAL)
    if number == SHMAT:
        at = _make(task, "shmat", first, addr, second)
        task.mm.copy_out(third, struct.pack("<I", at))
        return 0
    raise SyscallError(errno.ENOSYS)
