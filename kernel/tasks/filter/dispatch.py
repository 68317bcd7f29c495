"""System calls that a thread wants to be told of instead of making them: syscall user dispatch.

Calls are made from one range of its code only; from elsewhere where a byte of its memory allows
them. The others raise SIGSYS. Neither a child nor a program that is executed inherits that.
Source: Linux 6.18, admin-guide/syscall-user-dispatch and kernel/entry/syscall_user_dispatch.c.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SIGSEGV, SyscallError
from pkern.kernel.tasks.signal.sending import force
from pkern.kernel.tasks.signal.signals import SigInfo
from pkern.kernel.tasks.thread import WORD, entry_by_number
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

OFF, EXCLUSIVE, INCLUSIVE = 0, 1, 2  # PR_SYS_DISPATCH_*
ALLOW, BLOCK = 0, 1  # what the byte says
SIGSYS, SYS_USER_DISPATCH = 31, 2
EAX = 0xFFFF_FFFF


class Dispatch(NamedTuple):
    """Whose calls are made: those from nbytes at first, which may wrap. selector: 0: no byte."""

    first: int
    nbytes: int
    selector: int


def asked_for(mode: int, first: int, nbytes: int, selector: int, top: int) -> Dispatch | None:
    """Return what PR_SET_SYSCALL_USER_DISPATCH asks for; None: it is turned off.

    top: where user space ends. Errors: EINVAL, EFAULT (the byte lies beyond).
    """
    wraps = first + nbytes & WORD <= first
    bad = {
        OFF: bool(first or nbytes or selector),
        EXCLUSIVE: bool(first) and wraps,
        INCLUSIVE: not nbytes or wraps,
    }
    if bad.get(mode, True):
        raise SyscallError(errno.EINVAL)
    if mode == OFF:
        return None
    if selector > top:
        raise SyscallError(errno.EFAULT)
    if mode == INCLUSIVE:  # all that is not in the range
        first, nbytes = first + nbytes, -nbytes & WORD
    return Dispatch(first, nbytes, selector)


def catch(task: Task, dispatch: Dispatch, nr: int) -> bool:
    """Tell a thread of a call instead of making it; False: it is to be made.

    nr: with the mark of its entry. A byte that cannot be read, or says neither, ends the process.
    """
    rip = task.cpu.registers()["rip"]
    if rip - dispatch.first & WORD < dispatch.nbytes:
        return False
    said = _said(task, dispatch.selector) if dispatch.selector else BLOCK
    if said == ALLOW:
        return False
    if said != BLOCK:
        task.die_of(SIGSEGV if said is None else SIGSYS)
        return True
    task.thread.orig_rax = nr & WORD
    task.cpu.set_registers({"rax": nr & WORD})
    arch = entry_by_number(nr).audit_arch
    about = SigInfo(SIGSYS, SYS_USER_DISPATCH, si_addr=rip, si_syscall=nr & EAX, si_arch=arch)
    force(task, about)
    return True


def _said(task: Task, selector: int) -> int | None:
    """Return the byte; None: it cannot be read."""
    try:
        return task.mm.copy_in(selector, 1)[0]
    except SyscallError:
        return None
