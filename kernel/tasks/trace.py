"""What a tracer knows and wants of a task: ptrace's state, without its calling convention.

A traced task stops where it would enter the kernel: at a system call if the tracer asked for that,
and at every signal before it is acted on. The stop itself is the thread's (Thread.stopped); here
stands what makes it the tracer's. Invariant: a held task runs nothing until its tracer lets it go.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from pkern.kernel.tasks.signals import SIGTRAP, SigInfo
from pkern.kernel.tasks.thread import NO_CALL

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SYSGOOD = 0x80  # in the signal of a stop at a system call
CLD_TRAPPED = 4


class Calls(Enum):
    """What happens at the task's next system call."""

    RUN = "it is made"
    STOP = "the task stops before and after it"
    EMULATE = "the task stops before it, and the tracer answers instead of the kernel"


class Trace:
    """A traced task's side of ptrace.

    held: it stands still for its tracer. call: the system call it is in, NO_CALL if none. owed:
    that call is still to be made when the task goes on. siginfo: the signal it was held at.
    """

    def __init__(self, task: Task, tracer: Task) -> None:
        self.task = task
        self.tracer = tracer
        self.calls = Calls.RUN
        self.sysgood = 0
        self.held = False
        self.call = NO_CALL
        self.owed = False
        self.siginfo: SigInfo | None = None

    @property
    def in_call(self) -> bool:
        """Tell whether it is in a system call."""
        return self.call != NO_CALL

    def _hold(self, signo: int) -> None:
        task = self.task
        self.held = True
        task.thread.stopped = signo
        task.group.stop_seen = False
        if task.kernel.scheduler is not None:
            task.kernel.scheduler.tell_parent(task.group, CLD_TRAPPED, signo & ~SYSGOOD)

    def at_call(self, nr: int) -> bool:
        """Hold the task before a system call if the tracer wants to; tell whether it is held."""
        if self.calls is Calls.RUN:
            return False
        self.call = nr
        self.owed = self.calls is Calls.STOP
        self._hold(SIGTRAP | self.sysgood)
        return True

    def after_call(self) -> None:
        """Hold the task behind a system call if the tracer wants to."""
        if self.calls is Calls.STOP:
            self._hold(SIGTRAP | self.sysgood)

    def at_signal(self, info: SigInfo) -> None:
        """Hold the task before a signal is acted on."""
        self.siginfo = info
        self.call = NO_CALL
        self._hold(info.si_signo)

    def let_go(self, calls: Calls) -> None:
        """Let the task stand still for its own reasons only."""
        self.calls = calls
        self.held = False
        self.siginfo = None
        self.task.thread.stopped = 0


def is_held(task: Task) -> bool:
    """Tell whether a task stands still for its tracer."""
    return task.trace is not None and task.trace.held
