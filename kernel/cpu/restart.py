"""System calls that are made again: what rax says when a task goes back to its program.

Owns how such a call is found again: two bytes back, as Linux does it. wait.py has the codes.
Source: arch_do_signal_or_restart() of Linux 6.18 arch/x86/kernel/signal.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.tasks.signal.signals import SA_RESTART
from pkern.kernel.tasks.thread import NO_CALL, WORD, entry_of
from pkern.kernel.wait import RESTARTS, Restart

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

REGISTERS = 1 << 64
AGAIN = set(RESTARTS.values()) - {RESTARTS[Restart.ENDS]}  # codes of calls that are made again
SYSCALL_BYTES = 2  # of the instruction, by either way in


def restart(task: Task) -> None:
    """Make a call again that no handler has interrupted, as rax says."""
    code = _take_code(task)
    if code is not None:
        again = code == RESTARTS[Restart.CONTINUE]
        go_back(task, entry_of(task).restart if again else task.thread.orig_rax)


def keep(task: Task) -> None:
    """Note what restart_syscall is to go on with: the call that the task is in, as far as it is."""
    thread = task.thread
    call = thread.call
    if call is not None and call[0] & WORD == entry_of(task).restart:
        call = thread.restart_block[0]  # it is that call already
    thread.restart_block = call, thread.progress


def end_for_handler(task: Task, flags: int) -> None:
    """Let a call that a handler (its SA_ flags) interrupts return EINTR, or be made again then."""
    code = _take_code(task)
    if code is None:
        return
    if code == RESTARTS[Restart.IF_ASKED] and flags & SA_RESTART:
        go_back(task, task.thread.orig_rax)
    else:
        task.cpu.set_result(-errno.EINTR)


def go_back(task: Task, nr: int) -> None:
    """Let the next instruction be the call that the task has come by, with this number."""
    rip = task.cpu.registers()["rip"]
    task.cpu.set_registers({"rax": nr, "rip": rip - SYSCALL_BYTES})


def _take_code(task: Task) -> int | None:
    """Return what rax says of a call that is to be made again; None: it is no such call's."""
    task.thread.may_restart = 0
    code = REGISTERS - task.cpu.registers()["rax"]
    if task.thread.orig_rax == NO_CALL or code not in AGAIN:
        return None
    return code
