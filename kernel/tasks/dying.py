"""How tasks end that a tracer may want to look at first: PTRACE_EVENT_EXIT.

A process that is to end has its exit code from then on, and gets no more signals; each thread ends
in its own turn, once its tracer has let it go. Source: do_group_exit() and do_exit() of Linux 6.18.
"""

from __future__ import annotations

from pkern.kernel.tasks.signal.signals import SI_KERNEL, SIGKILL, SigInfo
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


def is_awaited(task: Task) -> bool:
    """Tell whether a tracer wants to look at a task before it ends."""
    return task.trace is not None and task.trace.awaits_end


def end_thread(task: Task, status: int) -> None:
    """End a thread in its own turn. status: as wait4 has it."""
    if task.trace is not None and is_awaited(task):
        task.trace.hold_at_end(status, lambda task, info: task.end_thread(status))
    else:
        task.end_thread(status)


def end_process(task: Task, status: int) -> None:
    """End a task's process in the task's turn, or the task if its process is at that already."""
    group = task.group
    plain = task.trace is None and len(group.threads) == 1  # most processes
    if group.exit_code is None and (plain or not any(map(is_awaited, group.living()))):
        group.exit(status)
        return
    if group.exit_code is None:
        group.exit_code = status
        for other in group.living():
            if other is not task:
                _end_other(other, status)
    end_thread(task, group.exit_code)


def _end_other(task: Task, status: int) -> None:
    """End a thread that has not the turn, or let it do so when it has."""
    if not is_awaited(task):
        task.end_thread(status)
        return
    assert task.kernel.scheduler is not None
    task.signals.own.queue(SigInfo(SIGKILL, SI_KERNEL), task.cred.uid)
    task.kernel.scheduler.delivery.signalled(task)
