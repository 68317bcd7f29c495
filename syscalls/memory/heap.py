"""The call that moves the end of the heap."""

from __future__ import annotations

from pkern.kernel import late
from pkern.kernel.core import lib
from pkern.kernel.typed import TYPE_CHECKING
from pkern.syscalls.table import INT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


@syscall(12, "brk", INT)
def brk(task: Task, addr: int = 0) -> int:
    """Move the end of the heap to addr and return where it is now (unchanged on failure).

    Source: brk(2), the kernel's own convention.
    """
    if task.kernel.memory.watched and addr < task.mm.counters.brk:
        return int(late.load("pkern.syscalls.memory.watched").brk(task, addr))
    return task.mm.call(lib.mm_brk, addr)
