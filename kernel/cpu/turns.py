"""Whose turn it is, and how much of the processor each task has used.

Owns who runs, what the processor does for whoever comes on, and the account of a turn. The core may
give the turn to another thread of the same process in the middle of it (turns.c); who_runs() tells.
Invariant: what a task has run of a turn is counted once, at its end or when somebody asks.
"""

from __future__ import annotations

from pkern.kernel.clock import SECOND
from pkern.kernel.core import ffi, lib
from pkern.kernel.late import load
from pkern.kernel.tasks.thread import NO_CALL
from pkern.kernel.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pkern.kernel.cpu.processor import Processor
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task

SLICES = 16_000, 24_000  # blocks; as long as each other they could keep step with a loop


class Turns:
    """running: who has the turn; None between two. slices: the least and the most blocks of one."""

    def __init__(self, kernel: Machine, processor: Processor) -> None:
        self._kernel = kernel
        self._processor = processor
        self._counters = processor.counters
        # When it began; what others ran in its middle counts as before.
        self._its: Any = lib.run_turn(processor.handle)
        self.running: Task | None = None
        self.slices = SLICES

    @property
    def switches(self) -> int:
        """How often a task was switched to."""
        return int(self._counters.turns)

    @property
    def began_ns(self) -> int:
        """When the turn began, in virtual nanoseconds without what others ran in its middle."""
        return int(self._its.began_ns)

    def put_on(self, task: Task) -> None:
        """Let the processor, and the core, work for a task."""
        self.running = task
        if task.mm.process is not task:  # another of those who share the memory ran there last
            task.mm.serve(task)
        self._kernel.vsyscalls.enter(task)
        lib.run_slice(self._processor.handle, *self.slices)

    def who_runs(self, task: Task) -> Task:
        """Return who has the turn by now: task, or who the core has given one, which is counted."""
        turn, before = self._its, self.running
        if not turn.passed or before is None:
            return task if before is None else before
        before.group.cpu_ns += turn.ran_ns
        turn.passed = turn.ran_ns = 0
        now: Task = ffi.from_handle(lib.run_owner(self._processor.handle))
        self.running = now
        now.mm.process = now  # the core has told the address space
        now.thread.orig_rax = NO_CALL
        return now

    def come_back(self, task: Task, began_ns: int) -> None:
        """Let a task have its turn again in whose middle others ran."""
        self.running = task
        self._its.began_ns = began_ns

    def end(self, task: Task) -> None:
        """End a turn: count it, and act on what bounds processor time."""
        self.count(task)
        group = task.group
        if group.timers or group.clocked or group.cpu_ns >= group.rlimits.soft["cpu"] * SECOND:
            load("pkern.kernel.tasks.times.cputime").look(group)
        self.running = None

    def count(self, task: Task) -> None:
        """Count what a task has run of its turn so far."""
        if task is not self.running:
            return
        ran = lib.turn_charge(self._processor.handle, task.thread.runner)
        task.group.cpu_ns += ran
        if task.attributes.nice > 0:
            self._kernel.tasks.nice_ns += ran

    def time_of(self, task: Task) -> int:
        """Return the nanoseconds that a task has run in its turn that is not over."""
        if task is not self.running:
            return 0
        return self._kernel.clock.realtime_ns - self.began_ns

    def end_slice(self) -> None:
        """Let the task that runs give way at the next block of its code."""
        lib.run_slice_end(self._processor.handle)

    def part(self) -> None:
        """Begin the next turn of each thread of the process that runs here."""
        if self.running is not None:
            self.running.group.part()
