"""How tasks end that a tracer may want to look at first: PTRACE_EVENT_EXIT.

A process that is to end has its exit code from then on, and gets no more signals; each thread ends
in its own turn, once its tracer has let it go. Source: do_group_exit() and do_exit() of Linux 6.18.
"""

from __future__ import annotations

from pkern.kernel.tasks.signal.signals import SI_KERNEL, SIGKILL, SigInfo
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

# To a thread that ends because another one executes a program: its process does not. The code is
# none that a sender can give.
MAKES_WAY = SigInfo(SIGKILL, 1 << 32)


def is_awaited(task: Task) -> bool:
    """Tell whether a tracer wants to look at a task before it ends, and has not done so yet."""
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
        group.exit_code, group.executes = status, None
        for other in group.living():
            if other is not task:
                _end_other(other, status)
    end_thread(task, group.exit_code)


def end_others(task: Task) -> bool:
    """End the other threads for one that executes a program; tell whether nothing is left of them.

    Of the leader only that it has ended; others that are traced have to be waited for, too.
    Source: de_thread() of Linux 6.18.
    """
    group = task.group
    if group.executes is None:
        group.executes = task
        for other in group.living():
            if other is not task:
                _end_for(other)
    leader = group.leader
    return all(one in (task, leader) for one in group.threads.values()) and (
        leader is task or not leader.alive
    )


def _end_for(task: Task) -> None:
    """End a thread for another one that executes a program, as if it had called exit(0)."""
    if task.thread.sleeps_in_call or not is_awaited(task):
        task.end_thread(0)
        return
    _end_soon(task, MAKES_WAY)


def _end_other(task: Task, status: int) -> None:
    """End a thread that has not the turn, or let it do so when it has."""
    if not is_awaited(task):
        task.end_thread(status)
        return
    _end_soon(task, SigInfo(SIGKILL, SI_KERNEL))


def _end_soon(task: Task, info: SigInfo) -> None:
    """Let a thread end when it has the turn."""
    assert task.kernel.scheduler is not None
    task.signals.own.queue(info, task.cred.uid)
    task.kernel.scheduler.delivery.signalled(task)
