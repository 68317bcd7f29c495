"""The steps of a run: who ran from one turn to the next, who else could, and what it touched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pkern.kernel.cpu.stops import peek
from pkern.userland.explore.objects import Footprint, of_accesses, of_call
from pkern.userland.explore.stacks import Captured

if TYPE_CHECKING:
    from pkern.kernel.cpu.processor import Access
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.tasks.task import Task
    from pkern.syscalls.abi import Raw


class Call(NamedTuple):
    """A system call as it was made: again and again, where it slept."""

    nr: int
    args: tuple[int, ...]
    footprint: Footprint


class Step(NamedTuple):
    """One turn. ready: pids of all that could run; point: at which it was asked who, 0: none.

    made: pids of tasks that it made. accesses, calls: what it did, in order.
    """

    pid: int
    ready: tuple[int, ...]
    point: int
    footprint: Footprint
    made: tuple[int, ...]
    accesses: tuple[Access, ...]
    calls: tuple[Call, ...]


INSTRUCTION_BYTES = 15


class Trace:
    """Notes each step of a machine from now on; of accesses those to pages that tasks share.

    code: the bytes of instructions that made some, by address. captured: where the tasks of some
    steps, whose numbers capture has, were when these were over.
    """

    def __init__(
        self, scheduler: Scheduler, shared: Sequence[int], capture: Collection[int] = ()
    ) -> None:
        self.steps: list[Step] = []
        self.code: dict[int, bytes] = {}
        self.captured: dict[int, Captured] = {}
        self._capture = capture
        self._processor = scheduler.processor
        self._tasks = scheduler.kernel.tasks
        self._shared = frozenset(shared)
        self._known = set(self._tasks)
        self._calls: list[Call] = []
        self._begun: tuple[int, tuple[int, ...], int] | None = None
        self._processor.note_accesses()
        calls = scheduler.calls
        calls.use({nr: self._noted(nr, call) for nr, call in calls.table.items()})

    def _noted(self, nr: int, call: Raw) -> Raw:
        def noting(task: Task, *args: int) -> int:
            self._calls.append(Call(nr, args, of_call(task, nr, args, self._shared)))
            return call(task, *args)

        return noting

    def begin(self, pid: int, ready: tuple[int, ...], point: int) -> None:
        """A task's turn begins."""
        self._begun = pid, ready, point

    def end(self) -> None:
        """The turn that began is over."""
        if self._begun is None:
            return
        (pid, ready, point), self._begun = self._begun, None
        accesses, calls = self._processor.take_accesses(), self._calls
        footprint = of_accesses(accesses)
        for call in calls:
            footprint |= call.footprint
        made = tuple(other for other in self._tasks if other not in self._known)
        self._known.update(made)
        step = Step(pid, ready, point, footprint, made, tuple(accesses), tuple(calls))
        task = self._tasks.get(pid)
        if accesses and task is not None and task.alive:  # of who has ended there is no memory
            self._look_at(task, accesses)
        self.steps.append(step)
        self._calls = []

    def _look_at(self, task: Task, accesses: Sequence[Access]) -> None:
        """Note what will be asked of a step: its code, and the stack if that is wanted."""
        for access in accesses:
            if access.rip not in self.code:
                self.code[access.rip] = peek(task.mm.handle, access.rip, INSTRUCTION_BYTES)
        if len(self.steps) in self._capture:
            self.captured[len(self.steps)] = Captured.of(task)
