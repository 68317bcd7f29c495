"""Which allocation of a process is to fail: /proc/PID/fail-nth.

Owns the counts of the processes that have one. The core counts for one process at a time; whoever
lets a process make a call, or run, tells it for whom, but only while a count is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pkern.kernel.core import lib

if TYPE_CHECKING:
    from pkern.kernel.mm.process import Process


class Failures:
    """How many allocations are left, of each process that has a count, until one fails."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self._left: dict[Process, int] = {}
        self._whose: Process | None = None  # what is allocated now counts for it

    def __contains__(self, process: Process) -> bool:
        return process in self._left

    def __bool__(self) -> bool:
        return bool(self._left)

    def arm(self, process: Process, nth: int) -> None:
        """Let the nth allocation fail that a process asks for from its next call on; 0: none."""
        if process is self._whose:
            self.count_for(None)
        self._keep(process, nth)

    def left_of(self, process: Process) -> int:
        """Return how many allocations it is to the one that fails; 0: none is to, or it has."""
        if process is self._whose:
            return int(lib.machine_fail_task_pending(self._core))
        return self._left.get(process, 0)

    def count_for(self, process: Process | None) -> Process | None:
        """Let what is allocated from now on count for a process; return for whom it did."""
        before = self._whose
        left = lib.machine_fail_task_nth(self._core, self._left.get(process, 0) if process else 0)
        if before is not None:
            self._keep(before, left)
        self._whose = process if process in self._left else None
        return before

    def _keep(self, process: Process, left: int) -> None:
        if left and process.alive:
            self._left[process] = left
        else:
            self._left.pop(process, None)
