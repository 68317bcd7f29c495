"""What is said of a machine on which everybody waits, also in the kernel's log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.log import KERN_INFO

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task


def report(kernel: Machine, waiting_for: Callable[[Task], str]) -> str:
    """Return who waits for what, one line a task. waiting_for: says it of a task that sleeps."""
    lines = ["every task waits and nothing can wake one:"]
    lines += [
        f"  pid {task.pid} ({task.name}): {_stopped(task) or waiting_for(task)}"
        for task in kernel.tasks.values()
        if task.alive and task.context is not None
    ]
    for line in lines:  # whoever catches the Deadlock shows it: not on the console as well
        kernel.log.write(KERN_INFO, line)
    return "\n".join(lines)


def _stopped(task: Task) -> str:
    """Return by which signal a task was stopped; "": it was not."""
    if not task.thread.stopped:
        return ""
    whose = " for its tracer" if task.trace is not None else ""
    return f"stopped by signal {task.thread.stopped}{whose}"
