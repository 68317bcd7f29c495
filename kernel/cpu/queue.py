"""The queue of the tasks that can run, as Python sees it: the core owns it (turns.c).

Invariant: who is in it is alive, runs machine code, and is marked as queued; a debugger marks those
that it holds back as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pkern.kernel.core import ffi, lib

if TYPE_CHECKING:
    from pkern.kernel.cpu.processor import Processor
    from pkern.kernel.tasks.task import Task


class RunQueue:
    """Tasks, the next one first. Scheduler.add() and next_task() put them in and take them out."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def __iter__(self) -> Iterator[Task]:
        handle = self._processor.handle
        owners = ffi.new("void *[]", len(self))
        lib.queue_owners(handle, owners, len(owners))
        return iter([ffi.from_handle(owner) for owner in owners])

    def __len__(self) -> int:
        return int(lib.queue_owners(self._processor.handle, ffi.NULL, 0))

    def add_first(self, task: Task) -> None:
        """Put a task, which is not in it, before all others."""
        lib.queue_add_first(task.cpu.handle)

    def remove(self, task: Task) -> None:
        """Take a task out, if it is in it."""
        lib.queue_take(task.cpu.handle)
