"""The end of a thread and of a process, which every program calls. waiting.py tells the parent."""

from __future__ import annotations

import errno

from pkern.kernel.tasks.dying import end_process, end_thread, is_awaited
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.wait import RegistersSet
from pkern.syscalls.table import SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


@syscall(60, "exit", SINT)
def exit_task(task: Task, status: int = 0) -> int:
    """End the thread, and the process with its last; status: 8 bits. Source: _exit(2)."""
    end(task, end_thread, (status & 0xFF) << 8)
    return 0


@syscall(231, "exit_group", SINT)
def exit_group(task: Task, status: int = 0) -> int:
    """End the process: each of its threads. Source: exit_group(2)."""
    end(task, end_process, (status & 0xFF) << 8)
    return 0


def end(task: Task, ending: Callable[[Task, int], None], status: int) -> None:
    """End, once a tracer that wants to look has looked."""
    waits = task.trace is not None and is_awaited(task)
    if waits and task.context is not None:
        task.context.set_result(-errno.ENOSYS)
    ending(task, status)
    if waits:
        raise RegistersSet
