"""The tasks of one machine: who there is, by pid, and which pid comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


class TaskTable(dict[int, "Task"]):
    """Every task by its pid, until it is reaped.

    init: who gets the orphans. forks: tasks ever made. dead_cpu_ns: what the reaped ones had run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.init: Task | None = None
        self.pid_max = 32768
        self.last_pid = 0
        self.forks = 0
        self.dead_cpu_ns = 0

    def next_pid(self) -> int:
        """Return a pid that no task has. Errors: none (pid_max is far above what fits)."""
        while True:
            self.last_pid = self.last_pid % (self.pid_max - 1) + 1
            if self.last_pid not in self:
                self.forks += 1
                return self.last_pid

    def reap(self, task: Task) -> None:
        """Forget a dead task."""
        if self.pop(task.pid, None) is not None:
            self.dead_cpu_ns += task.thread.cpu_ns
