"""seccomp: a task gives up system calls, for itself and its children."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.seccomp import (
    ACTIONS,
    FILTER,
    MOST_INSTRUCTIONS,
    STRICT,
    USER_NOTIF,
    Instruction,
    Seccomp,
    check,
)
from pkern.syscalls.table import INT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SET_MODE_STRICT, SET_MODE_FILTER, GET_ACTION_AVAIL, GET_NOTIF_SIZES = range(4)
TSYNC, LOG, SPEC_ALLOW, NEW_LISTENER, TSYNC_ESRCH, WAIT_KILLABLE = 1, 2, 4, 8, 16, 32
TAKEN = TSYNC | LOG | SPEC_ALLOW | TSYNC_ESRCH
SOCK_FILTER, SOCK_FPROG = struct.Struct("<HBBI"), struct.Struct("<H6xQ")
NOTIF_SIZES = struct.pack("<3H", 80, 24, 64)
NO_TASK = -1


def set_strict(task: Task) -> int:
    """Allow read, write, exit and rt_sigreturn only. Errors: EINVAL (there are filters)."""
    if task.seccomp is not None and task.seccomp.mode != STRICT:
        raise SyscallError(errno.EINVAL)
    task.filter_calls(Seccomp(STRICT))
    return 0


def _program_in(task: Task, addr: int) -> tuple[Instruction, ...]:
    """Return the program of a struct sock_fprog. Errors: EFAULT, EINVAL, EACCES.

    Who may not set one learns that before anything is read of it but its length.
    """
    count, at = SOCK_FPROG.unpack(task.mm.copy_in(addr, SOCK_FPROG.size))
    if not 0 < count <= MOST_INSTRUCTIONS:
        raise SyscallError(errno.EINVAL)
    _need_right(task)
    if not at:
        raise SyscallError(errno.EINVAL)
    raw = task.mm.copy_in(at, SOCK_FILTER.size * count)
    program = tuple(Instruction(*step) for step in SOCK_FILTER.iter_unpack(raw))
    check(program)
    return program


def _need_right(task: Task) -> None:
    """Refuse who could fool a program with more rights. Errors: EACCES."""
    if not task.cred.no_new_privs and not task.capable_in(task.cred.user_ns, "CAP_SYS_ADMIN"):
        raise SyscallError(errno.EACCES)


def _stranger(task: Task, new: Seccomp) -> int:
    """Return the thread whose filters are none that the caller's come from; NO_TASK: none."""
    for other in task.group.living():
        if other is not task and not new.descends_from(other.seccomp):
            return task.number_of(other.pid)
    return NO_TASK


def set_filter(task: Task, flags: int, addr: int) -> int:
    """Add a filter. Errors: EINVAL, EFAULT, EACCES, ENOMEM, ESRCH (TSYNC cannot be done).

    With TSYNC for all threads of the process, or return the number of one that has other filters.
    """
    if flags & ~TAKEN:
        raise SyscallError(errno.EINVAL)
    program = _program_in(task, addr)
    new = (task.seccomp or Seccomp(FILTER)).with_program(program)
    stranger = _stranger(task, new) if flags & TSYNC else NO_TASK
    if stranger != NO_TASK:
        if flags & TSYNC_ESRCH:
            raise SyscallError(errno.ESRCH)
        return stranger
    for thread in task.group.living() if flags & TSYNC else [task]:
        thread.filter_calls(new)
    return 0


def _action_available(task: Task, addr: int) -> int:
    action = int.from_bytes(task.mm.copy_in(addr, 4), "little")
    if action not in ACTIONS or action == USER_NOTIF:
        raise SyscallError(errno.EOPNOTSUPP)
    return 0


@syscall(317, "seccomp", INT, INT, INT, partly="no listeners")
def seccomp(task: Task, operation: int, flags: int, addr: int) -> int:
    """Restrict the system calls of a task: SECCOMP_SET_MODE_STRICT 0, _FILTER 1.

    Or tell which actions there are (2). Errors: EINVAL, EFAULT, EACCES, ENOMEM, EOPNOTSUPP; ENOSYS
    in a Python program. Source: seccomp(2).
    """
    if task.context is None:
        raise SyscallError(errno.ENOSYS)
    operation, flags = operation & 0xFFFF_FFFF, flags & 0xFFFF_FFFF
    if operation == SET_MODE_FILTER:
        return set_filter(task, flags, addr)
    if flags or (operation == SET_MODE_STRICT and addr):
        raise SyscallError(errno.EINVAL)
    if operation == SET_MODE_STRICT:
        return set_strict(task)
    if operation == GET_ACTION_AVAIL:
        return _action_available(task, addr)
    if operation == GET_NOTIF_SIZES:
        task.mm.copy_out(addr, NOTIF_SIZES)
        return 0
    raise SyscallError(errno.EINVAL)
