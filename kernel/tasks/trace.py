"""What a tracer knows and wants of a task: ptrace's state, without its calling convention.

A traced task stops where it would enter or leave the kernel, at events that the tracer asked for,
and at every signal before it is acted on. It holds still by itself, in its own turn; what is left
to do when it is let go is Thread.then, done in its own turn too, also if it is no more traced by
then. Invariants: a held task runs nothing until its tracer lets it go; group.tracees of the
tracer's process has each task that it traces.

    hold()       held, a code for wait, thread.then      tracer: wait4, looks, changes
    let_go()     thread.let_through: a signal            scheduler: then(task, signal), and on
"""

from __future__ import annotations

from pkern.kernel.tasks import news
from pkern.kernel.tasks.news import CLD_STOPPED, CLD_TRAPPED
from pkern.kernel.tasks.signal.signals import SI_KERNEL, SI_USER, SIGTRAP, SigInfo
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.values import Enum

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SYSGOOD = 0x80  # in the signal of a stop at a system call
EVENT_SHIFT = 8
ENTERED, LEFT = 1, 2  # what PTRACE_GETEVENTMSG says at a stop for a system call


class Event:
    """Why a task stopped that is neither at a call nor at a signal: PTRACE_EVENT_*."""

    NONE = 0
    FORK = 1
    VFORK = 2
    CLONE = 3
    EXEC = 4
    VFORK_DONE = 5
    EXIT = 6
    SECCOMP = 7
    STOP = 128


class Option:
    """PTRACE_O_*: what the tracer wants to be told of, by 1 << Event; and more."""

    SYSGOOD = 1
    FORK = 1 << Event.FORK
    VFORK = 1 << Event.VFORK
    CLONE = 1 << Event.CLONE
    EXEC = 1 << Event.EXEC
    VFORK_DONE = 1 << Event.VFORK_DONE
    EXIT = 1 << Event.EXIT
    SECCOMP = 1 << Event.SECCOMP
    EXITKILL = 1 << 20
    SUSPEND_SECCOMP = 1 << 21


ALL_OPTIONS = 0xFF | Option.EXITKILL | Option.SUSPEND_SECCOMP


class Calls(Enum):
    """What happens at the task's next system call."""

    RUN = "it is made"
    STOP = "the task stops before and after it"
    EMULATE = "the task stops before it, and the tracer answers instead of the kernel"


class Steps(Enum):
    """How far the task runs."""

    FREELY = "to its next stop"
    ONE = "one instruction"


class At(Enum):
    """Where a held task stands."""

    SIGNAL = "before a signal is acted on"
    ENTRY = "before a system call"
    EXIT = "behind a system call"
    EVENT = "at an event"
    GROUP = "where its process stopped"


Then = Callable[["Task", SigInfo | None], None]  # what is left to do, with the tracer's signal


class Trace:
    """A traced task's side of ptrace.

    seized: 1 if by PTRACE_SEIZE. held: it stands still for its tracer. at: where. code: what wait
    says of the stop, as the upper bits of a status. told: wait has said so. siginfo: what the stop
    is about; None: nothing. message: PTRACE_GETEVENTMSG's. trap: 1: it is to stop as soon as it
    can, at PTRACE_EVENT_STOP, if not at something else. notify: 1: the same because its process has
    stopped or goes on. listens: 1: it stays stopped, and is told of when that changes. end_shown:
    1: it has stopped before its end.
    """

    def __init__(self, task: Task, tracer: Task, options: int = 0, seized: int = 0) -> None:
        self.task = task
        self.tracer = tracer
        self.cred = tracer.cred  # of who asked for it: what a new program may gain goes by them
        self.options = options
        self.seized = seized
        self.calls, self.steps = Calls.RUN, Steps.FREELY
        self.held = False
        self.at = At.SIGNAL
        self.code = 0
        self.told = True
        self.siginfo: SigInfo | None = None
        self.message = 0
        self.trap = self.notify = 0
        self.listens = 0
        self.end_shown = 0
        tracer.group.tracees[task] = self

    @property
    def has_news(self) -> bool:
        """Tell whether the tracer has still to be told of a stop."""
        return self.held and not self.told and not self.listens

    @property
    def suspends_seccomp(self) -> bool:
        """Whether the task's filters are not asked."""
        return bool(self.options & Option.SUSPEND_SECCOMP)

    @property
    def is_stepping(self) -> bool:
        """Whether the task runs one instruction."""
        return self.steps is Steps.ONE

    @property
    def kills(self) -> bool:
        """Whether the task dies with its tracer."""
        return bool(self.options & Option.EXITKILL)

    @property
    def awaits_end(self) -> bool:
        """Whether the tracer wants to look at the task before it ends, and has not done so yet."""
        return self.wants(Event.EXIT) and not self.end_shown

    def wants(self, event: int) -> bool:
        """Tell whether the task stops at an event."""
        return bool(self.options >> event & 1)

    # ---- stopping ----

    def hold(
        self,
        at: At,
        code: int,
        info: SigInfo | None,
        then: Then | None,
        message: int = 0,
        cld: int = CLD_TRAPPED,
    ) -> None:
        """Stand still from now on, and tell the tracer. code: a signal, and an event above it."""
        task = self.task
        self.held, self.at, self.code, self.told = True, at, code, False
        self.siginfo, self.message, self.listens, self.trap = info, message, 0, 0
        task.thread.then, task.thread.stopped = then, code & 0x7F
        if task.context is not None:
            task.context.set_step(0)
        news.tell_tracer(self, cld)

    def _notify(self, at: At, code: int, then: Then | None, message: int) -> None:
        """Stop with a signal that nobody sent: its si_code is the stop's code."""
        task = self.task
        info = SigInfo(SIGTRAP, code, si_pid=task.pid, si_uid=task.cred.uid)
        self.hold(at, code, info, then, message)

    def hold_at_call(self, at: At, then: Then | None) -> None:
        """Stop before or behind a system call."""
        good = SYSGOOD if self.options & Option.SYSGOOD else 0
        self._notify(at, SIGTRAP | good, then, ENTERED if at is At.ENTRY else LEFT)

    def hold_at_signal(self, info: SigInfo, then: Then) -> None:
        """Stop before a signal is acted on."""
        self.hold(At.SIGNAL, info.si_signo, info, then)

    def hold_at_event(self, event: int, message: int, then: Then | None = None) -> None:
        """Stop for an event."""
        self._notify(At.EVENT, SIGTRAP | event << EVENT_SHIFT, then, message)

    def hold_at_end(self, status: int, then: Then) -> None:
        """Stop before the task ends, once. status: as wait4 has it."""
        self.end_shown = 1
        self.hold_at_event(Event.EXIT, status, then)

    def hold_in_handler(self) -> None:
        """Stop before the first instruction of a handler, into which one step has led."""
        self._notify(At.EVENT, SIGTRAP, None, 0)

    def hold_with_group(self, signo: int) -> None:
        """Stop because the process has, by a signal, or (SIGTRAP) because it goes on."""
        if not self.seized:
            self.hold(At.GROUP, signo, None, None, cld=CLD_STOPPED)
            return
        self.notify = 0
        code = signo | Event.STOP << EVENT_SHIFT
        task = self.task
        info = SigInfo(signo, code, si_pid=task.pid, si_uid=task.cred.uid)
        self.hold(At.GROUP, code, info, None, cld=CLD_STOPPED)

    def process_goes_on(self) -> None:
        """Note that SIGCONT was sent: who was seized stops for that."""
        if self.listens:
            self.hold_with_group(SIGTRAP)
        elif self.seized:
            self.notify, self.task.attention = 1, True

    # ---- going on ----

    def let_go(self, calls: Calls, steps: Steps, signo: int) -> None:
        """Let the task stand still for its own reasons only; signo: let through, 0: none."""
        thread = self.task.thread
        self.calls, self.steps = calls, steps
        self.held, self.told = False, True
        thread.let_through = self._chosen(signo)
        thread.stopped = 0
        self.task.attention = True

    def _chosen(self, signo: int) -> SigInfo | None:
        if not signo:
            return None
        if self.at is not At.SIGNAL:
            return SigInfo(signo, SI_KERNEL)
        if self.siginfo is not None and self.siginfo.si_signo == signo:
            return self.siginfo
        return SigInfo(signo, SI_USER, si_pid=self.tracer.tgid, si_uid=self.tracer.cred.uid)

    def end(self) -> None:
        """Trace the task no more; a held one is let go."""
        self.tracer.group.tracees.pop(self.task, None)
        self.task.trace = None
        if self.held:
            self.let_go(Calls.RUN, Steps.FREELY, 0)


def trap(code: int, addr: int) -> SigInfo:
    """Return the signal of a debugger's stop at an address."""
    return SigInfo(SIGTRAP, code, si_addr=0 if code == SI_KERNEL else addr)
