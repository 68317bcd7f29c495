"""Signals: who may send, what is done, what is held back.

A Python program's handler is a callable; delivery happens on the way out of the sender's call.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from kernel.signals import (
    IGNORED_BY_DEFAULT,
    NSIG,
    SIG_DFL,
    SIG_IGN,
    UNCATCHABLE,
    Action,
    SigInfo,
)
from syscalls.table import SINT, syscall

if TYPE_CHECKING:
    from kernel.task import Task

SI_USER = 0
SIGKILL = 9
SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK = 0, 1, 2


def rt_sigaction(task: Task, signo: int, action: Action | None = None) -> Action:
    """Set what a signal does (SIG_DFL, SIG_IGN or a callable) and return what it did.

    Errors: EINVAL (no such signal; SIGKILL and SIGSTOP cannot be handled). Source: sigaction(2).
    """
    if not 1 <= signo <= NSIG or (action is not None and signo in UNCATCHABLE):
        raise SyscallError(errno.EINVAL)
    old = task.signals.action(signo)
    if action is not None:
        task.signals.actions[signo] = action
    return old


def rt_sigprocmask(task: Task, how: int, mask: int) -> int:
    """Change the blocked set (bit n-1 is signal n) and return the old one.

    Errors: EINVAL. Source: sigprocmask(2).
    """
    signals = task.signals
    old = signals.blocked
    changed = {SIG_BLOCK: old | mask, SIG_UNBLOCK: old & ~mask, SIG_SETMASK: mask}
    if how not in changed:
        raise SyscallError(errno.EINVAL)
    signals.blocked = changed[how]
    deliver_pending(task)
    return old


@syscall(62, "kill", SINT, SINT, partly="one process a call: no process groups")
def kill(task: Task, pid: int, signo: int) -> int:
    """Send a signal; 0 only asks whether it could be sent.

    Errors: EINVAL, ESRCH, EPERM. Source: kill(2).
    """
    if not 0 <= signo <= NSIG:
        raise SyscallError(errno.EINVAL)
    target = task.kernel.tasks.get(pid)
    if target is None:
        raise SyscallError(errno.ESRCH)
    if target.uid != task.uid and not task.capable("CAP_KILL"):
        raise SyscallError(errno.EPERM)
    if signo:
        send(target, SigInfo(signo, SI_USER, si_pid=task.pid))
    return 0


def send(task: Task, info: SigInfo) -> None:
    """Deliver a signal, or keep it while it is blocked."""
    if not task.alive:
        return
    if task.trace is not None and info.si_signo != SIGKILL:
        task.trace.at_signal(info)
        return
    act(task, info)


def act(task: Task, info: SigInfo) -> None:
    """Do what the task wants done about a signal, or keep it while it is blocked."""
    if task.signals.is_blocked(info.si_signo):
        task.signals.pending.append(info)
        return
    action = task.signals.action(info.si_signo)
    if callable(action):
        action(info.si_signo, info)
    elif action == SIG_DFL and info.si_signo not in IGNORED_BY_DEFAULT:
        task.die_of(info.si_signo)


def deliver_pending(task: Task) -> None:
    """Deliver what is pending and not blocked any more, oldest first."""
    waiting, task.signals.pending = task.signals.pending, []
    for info in waiting:
        send(task, info)


__all__ = ["SIG_DFL", "SIG_IGN", "kill", "rt_sigaction", "rt_sigprocmask", "send"]
