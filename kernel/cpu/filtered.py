"""What is done about a system call that a task's filters do not simply allow."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.tasks.seccomp import (
    ACTION_BITS,
    ALLOW,
    DATA_BITS,
    ERRNO,
    KILL_PROCESS,
    LOG,
    STRICT,
    TRACE,
    TRAP,
    USER_NOTIF,
)
from pkern.kernel.tasks.signals import SigInfo, force

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SIGKILL, SIGSYS, SYS_SECCOMP, MAX_ERRNO = 9, 31, 1, 4095


def obey(task: Task, answer: int, nr: int, rip: int) -> bool:
    """Do what an answer says; tell whether the call is made.

    rip: behind the instruction. Source: seccomp(2), Linux 6.18 kernel/seccomp.c.
    """
    action, data = answer & ACTION_BITS, answer & DATA_BITS
    if action in (ALLOW, LOG):
        return True
    if action == ERRNO:
        task.cpu.set_result(-min(data, MAX_ERRNO))
    elif action == TRAP:
        number = nr & 0xFFFF_FFFF
        task.cpu.set_registers({"rax": nr})
        info = SigInfo(SIGSYS, SYS_SECCOMP, si_addr=rip, si_errno=data, si_syscall=number)
        force(task, info)
    elif action in (TRACE, USER_NOTIF):
        task.cpu.set_result(-errno.ENOSYS)  # nobody is there to ask
    else:
        _kill(task, action)
    return False


def _kill(task: Task, action: int) -> None:
    """End the thread, or the process: as by SIGKILL in strict mode, else by SIGSYS."""
    assert task.seccomp is not None
    signo = SIGKILL if task.seccomp.mode == STRICT else SIGSYS
    if action == KILL_PROCESS or len(task.group.living()) == 1:
        task.die_of(signo)
    else:
        task.end_thread(signo)
