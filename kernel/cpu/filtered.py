"""What is done about a system call that a task's filters do not simply allow."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.dying import end_process, end_thread
from pkern.kernel.tasks.filter.listener import CONTINUE
from pkern.kernel.tasks.filter.seccomp import (
    ACTION_BITS,
    DATA_BITS,
    ERRNO,
    KILL_PROCESS,
    STRICT,
    TRACE,
    TRAP,
    USER_NOTIF,
    data_of,
)
from pkern.kernel.tasks.signal.sending import force
from pkern.kernel.tasks.signal.signals import SigInfo
from pkern.kernel.tasks.thread import GIVEN_AWAY, WORD, entry_by_number
from pkern.kernel.tasks.trace import Event

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.trace import Then

SIGKILL, SIGSYS, SYS_SECCOMP, MAX_ERRNO = 9, 31, 1, 4095


def obey(task: Task, answer: int, nr: int, rip: int, ask: Then) -> None:
    """Do what filters say instead of making a call.

    rip: behind the instruction. ask: goes on when the tracer, whom they want asked, lets the task
    go. Source: seccomp(2), Linux 6.18 kernel/seccomp.c.
    """
    action, data = answer & ACTION_BITS, answer & DATA_BITS
    task.thread.orig_rax = nr & WORD
    if action == ERRNO:
        task.cpu.set_result(-min(data, MAX_ERRNO))
    elif action == TRAP:
        number = nr & 0xFFFF_FFFF
        task.cpu.set_registers({"rax": nr & WORD})
        arch = entry_by_number(nr).audit_arch
        about = SigInfo(
            SIGSYS, SYS_SECCOMP, si_addr=rip, si_errno=data, si_syscall=number, si_arch=arch
        )
        force(task, about)
    elif action == TRACE:
        task.cpu.set_result(-errno.ENOSYS)
        if task.trace is not None and task.trace.wants(Event.SECCOMP):
            task.trace.hold_at_event(Event.SECCOMP, data, ask)
    elif action == USER_NOTIF:
        _give_away(task, nr, rip)
    else:
        _kill(task, action)


def _give_away(task: Task, nr: int, rip: int) -> None:
    """Let a listener answer: the task sleeps as in a call, which ask() makes."""
    assert task.seccomp is not None
    entry = entry_by_number(nr)
    regs = task.cpu.registers()
    arguments = tuple(regs[name] for name in entry.arguments)
    if task.seccomp.listener(data_of(nr, rip, arguments)) is None:
        task.cpu.set_result(-errno.ENOSYS)
    else:
        task.thread.call = nr | GIVEN_AWAY, arguments


def ask(task: Task, nr: int, arguments: tuple[int, ...]) -> int:
    """Return what a listener answers to a call that a filter has given away.

    It may have the call made after all. Errors: those of the answer or of the call; WouldBlock.
    """
    thread, scheduler = task.thread, task.kernel.scheduler
    assert task.seccomp is not None and scheduler is not None
    data = data_of(nr, task.cpu.registers()["rip"], arguments)
    listener = task.seccomp.listener(data)
    if listener is None:
        raise SyscallError(errno.ENOSYS)
    notice = listener.ask(task, data)
    thread.progress = None
    if notice.flags & CONTINUE:
        thread.call = nr, arguments
        return scheduler.calls.make(task, nr, arguments)
    if notice.error:
        return notice.error
    return notice.value


def _kill(task: Task, action: int) -> None:
    """End the thread, or the process: as by SIGKILL in strict mode, else by SIGSYS."""
    assert task.seccomp is not None
    signo = SIGKILL if task.seccomp.mode == STRICT else SIGSYS
    if action == KILL_PROCESS or len(task.group.living()) == 1:
        end_process(task, signo)
    else:
        end_thread(task, signo)
