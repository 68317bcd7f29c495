"""What a tracer knows and wants of a task: ptrace's state, without its calling convention.

A traced task stops where it would enter the kernel: at a system call if the tracer asked for that,
and at every signal, before anything is done about it. The tracer's wait sees the stop; the task
goes on when the tracer resumes it. Invariant: a stopped task runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from kernel.signals import SigInfo, Signal

if TYPE_CHECKING:
    from kernel.task import Task

STOPPED = 0x7F  # the low byte of wait4's status
SYSGOOD = 0x80  # in the signal of a stop at a system call
NO_CALL = (1 << 64) - 1
VECTOR_PAGE_FAULT = 14


class Calls(Enum):
    """What happens at the task's next system call."""

    RUN = "it is made"
    STOP = "the task stops before and after it"
    EMULATE = "the task stops before it, and the tracer answers instead of the kernel"


@dataclass(frozen=True, slots=True)
class FaultInfo:
    """The last page fault: address in bytes, the processor's error code and vector."""

    addr: int = 0
    code: int = 0
    vector: int = 0


@dataclass(slots=True)
class Trace:
    """A traced task's side of ptrace.

    stop: the signal number that its stop shows, 0 while it runs. call: the system call it is in,
    NO_CALL if none. leaving: it stands behind that call, not before it.
    """

    tracer: Task
    calls: Calls = Calls.RUN
    sysgood: int = 0
    stop: int = 0
    reported: bool = False
    call: int = NO_CALL
    leaving: bool = False
    fault: FaultInfo = FaultInfo()
    siginfo: SigInfo | None = None

    def enter_stop(self, signo: int) -> None:
        """Stop; the tracer's wait may now report it."""
        self.stop = signo
        self.reported = False

    def wait_status(self) -> int:
        """Return what wait4 reports of the stop, once."""
        self.reported = True
        return self.stop << 8 | STOPPED

    @property
    def waits_to_be_seen(self) -> bool:
        """Stopped, and not reported yet."""
        return bool(self.stop) and not self.reported

    # ---- what the task meets ----

    def at_call(self, nr: int) -> bool:
        """Stop before a system call if the tracer wants to; tell whether the task stopped."""
        if self.calls is Calls.RUN:
            return False
        self.call = nr
        self.leaving = False
        self.enter_stop(Signal.SIGTRAP | self.sysgood)
        return True

    def after_call(self) -> bool:
        """Stop behind a system call if the tracer wants to; tell whether the task stopped."""
        if self.calls is not Calls.STOP or self.call == NO_CALL:
            return False
        self.leaving = True
        self.enter_stop(Signal.SIGTRAP | self.sysgood)
        return True

    def at_signal(self, info: SigInfo) -> None:
        """Stop before a signal is acted on."""
        self.siginfo = info
        self.call = NO_CALL
        self.enter_stop(info.si_signo)

    def resume(self, calls: Calls) -> None:
        """Let the task run on."""
        self.calls = calls
        self.stop = 0
        self.siginfo = None
