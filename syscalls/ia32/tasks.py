"""Calls of the i386 table about tasks: clone, niceness, numbers of users and groups of 16 bits."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.syscalls.ia32.forms import MOST_ID, form, id16
from pkern.syscalls.net import options
from pkern.syscalls.table import INT, SINT
from pkern.syscalls.tasks import clone, ids, sched

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

CLONE_SETTLS = 0x80000
MOST_NICE, LEAST_NICE = -20, 19
SOL_SOCKET, TIMEOUTS = 1, (20, 21)  # SO_RCVTIMEO, SO_SNDTIMEO: pairs of 32 bits
NO_ID = (1 << 32) - 1


@form("clone", INT, INT, INT, INT, INT)
def _clone(task: Task, flags: int, stack: int, parent_tid: int, tls: int, child_tid: int) -> int:
    """Make a task. Errors: as clone; ENOSYS: its thread area would be a segment."""
    if flags & CLONE_SETTLS:
        raise SyscallError(errno.ENOSYS)
    return clone.clone(task, flags, stack, parent_tid, child_tid)


@form("nice", SINT)
def _nice(task: Task, change: int) -> int:
    """Change the caller's niceness. Errors: EPERM."""
    change = max(-40, min(change, 40))
    wanted = max(MOST_NICE, min(sched.getpriority(task) + change, LEAST_NICE))
    try:
        return sched.setpriority(task, 0, 0, wanted)
    except PermissionError:
        raise SyscallError(errno.EPERM) from None  # setpriority's is EACCES


# ---- numbers of 16 bits ----


def _store_ids(find: Callable[[Task], ids.Ids]) -> Callable[..., int]:
    def call(task: Task, *addresses: int) -> int:
        for number, addr in zip(find(task), addresses, strict=True):
            task.mm.copy_out(addr, struct.pack("<H", id16(number)))
        return 0

    return call


form("getresuid", INT, INT, INT)(_store_ids(ids.getresuid))
form("getresgid", INT, INT, INT)(_store_ids(ids.getresgid))


@form("getgroups", SINT, INT)
def _getgroups(task: Task, size: int, addr: int) -> int:
    groups = ids.getgroups(task)
    if size < 0 or 0 < size < len(groups):
        raise SyscallError(errno.EINVAL)
    if size:
        task.mm.copy_out(addr, struct.pack(f"<{len(groups)}H", *map(id16, groups)))
    return len(groups)


@form("setgroups", SINT, INT)
def _setgroups(task: Task, size: int, addr: int) -> int:
    ids.need_setgroups(task)
    if not 0 <= size <= ids.NGROUPS_MAX:
        raise SyscallError(errno.EINVAL)
    groups = struct.unpack(f"<{size}H", task.mm.copy_in(addr, 2 * size))
    return ids.setgroups(task, [NO_ID if group == MOST_ID else group for group in groups])


# ---- options of sockets ----


def _but_timeouts(call: Callable[..., int]) -> Callable[..., int]:
    """Return an option's call, without those that point to times. Errors: ENOSYS."""

    def checked(task: Task, fd: int, level: int, name: int, addr: int, size: int) -> int:
        if level == SOL_SOCKET and name in TIMEOUTS:
            raise SyscallError(errno.ENOSYS)
        return call(task, fd, level, name, addr, size)

    return checked


form("setsockopt", SINT, SINT, SINT, INT, SINT)(_but_timeouts(options.setsockopt))
form("getsockopt", SINT, SINT, SINT, INT, INT)(_but_timeouts(options.getsockopt))
