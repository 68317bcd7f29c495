"""Signals of a task: what is handled, blocked and pending, and who may be told.

A Python program's handlers are Python callables, called when the signal is sent. A task in machine
code has `Sigaction`s; its signals wait here until the scheduler lets it enter user mode again.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


class Signal(IntEnum):
    """Linux's signal numbers on x86-64; those of real time are SIGRTMIN, SIGRT_1 to SIGRT_32."""

    SIGHUP = 1
    SIGINT = 2
    SIGQUIT = 3
    SIGILL = 4
    SIGTRAP = 5
    SIGABRT = 6
    SIGBUS = 7
    SIGFPE = 8
    SIGKILL = 9
    SIGUSR1 = 10
    SIGSEGV = 11
    SIGUSR2 = 12
    SIGPIPE = 13
    SIGALRM = 14
    SIGTERM = 15
    SIGSTKFLT = 16
    SIGCHLD = 17
    SIGCONT = 18
    SIGSTOP = 19
    SIGTSTP = 20
    SIGTTIN = 21
    SIGTTOU = 22
    SIGURG = 23
    SIGXCPU = 24
    SIGXFSZ = 25
    SIGVTALRM = 26
    SIGPROF = 27
    SIGWINCH = 28
    SIGIO = 29
    SIGPWR = 30
    SIGSYS = 31

    @classmethod
    def _missing_(cls, value: object) -> Signal | None:
        """Return a signal of real time, by strace's name."""
        if not isinstance(value, int) or not RTMIN <= value <= NSIG:
            return None
        signal = int.__new__(cls, value)
        signal._name_ = f"SIGRT_{value - RTMIN}" if value > RTMIN else "SIGRTMIN"
        signal._value_ = value
        return signal


SIG_DFL, SIG_IGN = 0, 1
RTMIN = 32  # the kernel's; the C library keeps the first two
NSIG = 64
FIRST_QUEUED = 32  # from here on each sending counts
SIGKILL, SIGCONT, SIGCHLD = 9, 18, 17
IGNORED_BY_DEFAULT = frozenset({17, 18, 23, 28})
STOPPING = frozenset({19, 20, 21, 22})
UNCATCHABLE = frozenset({9, 19})
SYNCHRONOUS = frozenset({4, 5, 7, 8, 11, 31})
UNBLOCKABLE_MASK = 1 << 8 | 1 << 18

SA_NOCLDSTOP, SA_NOCLDWAIT, SA_SIGINFO = 1, 2, 4
SA_RESTORER, SA_ONSTACK, SA_RESTART = 0x0400_0000, 0x0800_0000, 0x1000_0000
SA_NODEFER, SA_RESETHAND, SA_EXPOSE_TAGBITS = 0x4000_0000, 0x8000_0000, 0x800
SA_KNOWN = (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESTART) | (
    SA_NODEFER | SA_RESETHAND | SA_EXPOSE_TAGBITS
)  # the others read back as 0

SI_USER, SI_KERNEL, SI_QUEUE, SI_TKILL = 0, 0x80, -1, -6


class SigInfo(NamedTuple):
    """siginfo_t: si_signo, si_code, si_addr (bytes; 0 where it has no meaning), si_pid.

    si_status: of a child. si_value: what sigqueue sent along. si_pkey: of SEGV_PKUERR.
    """

    si_signo: int
    si_code: int
    si_addr: int = 0
    si_pid: int = 0
    si_uid: int = 0
    si_status: int = 0
    si_value: int = 0
    si_pkey: int = 0


class Sigaction(NamedTuple):
    """struct sigaction of a program in machine code: addresses, SA_* flags, a mask."""

    handler: int
    flags: int = 0
    restorer: int = 0
    mask: int = 0


DEFAULT, IGNORE = Sigaction(SIG_DFL), Sigaction(SIG_IGN)
Handler = Callable[[int, SigInfo], object]
Action = int | Handler | Sigaction


class Fate(Enum):
    """What a signal does to the task that it is delivered to."""

    IGNORE = "nothing"
    HANDLE = "its handler runs"
    STOP = "the task stops"
    DIE = "the task dies"


class Signals:
    """Actions by number (SIG_DFL where absent), the blocked mask, and what waits."""

    def __init__(self, actions: dict[int, Action] | None = None, blocked: int = 0) -> None:
        self.actions: dict[int, Action] = {} if actions is None else actions
        self.blocked = blocked
        self.pending: list[SigInfo] = []

    def action(self, signo: int) -> Action:
        """Return the action for signo."""
        return self.actions.get(signo, SIG_DFL)

    def sigaction(self, signo: int) -> Sigaction:
        """Return the action for signo as a program in machine code sees it."""
        action = self.action(signo)
        if isinstance(action, Sigaction):
            return action
        return IGNORE if action == SIG_IGN else DEFAULT

    def is_blocked(self, signo: int) -> bool:
        """Tell whether signo is held back; SIGKILL and SIGSTOP never are."""
        return signo not in UNCATCHABLE and bool(self.blocked >> (signo - 1) & 1)

    def fate(self, signo: int) -> Fate:
        """Return what delivering signo does."""
        action = self.action(signo)
        handler = action.handler if isinstance(action, Sigaction) else action
        if signo in UNCATCHABLE or handler == SIG_DFL:
            if signo in STOPPING:
                return Fate.STOP
            return Fate.IGNORE if signo in IGNORED_BY_DEFAULT else Fate.DIE
        return Fate.IGNORE if handler == SIG_IGN else Fate.HANDLE

    def is_ignored(self, signo: int) -> bool:
        """Tell whether the program asked for signo to be ignored."""
        return self.sigaction(signo).handler == SIG_IGN

    def is_handled(self, signo: int) -> bool:
        """Tell whether the program has a handler for signo."""
        action = self.action(signo)
        return callable(action) or self.sigaction(signo).handler > SIG_IGN

    def wants_zombies(self) -> bool:
        """Tell whether dead children stay until they are waited for."""
        action = self.sigaction(SIGCHLD)
        return action.handler != SIG_IGN and not action.flags & SA_NOCLDWAIT

    def pending_mask(self) -> int:
        """Return the set of pending signals: bit n-1 is signal n."""
        mask = 0
        for info in self.pending:
            mask |= 1 << (info.si_signo - 1)
        return mask

    def deliverable(self) -> bool:
        """Tell whether a pending signal is not blocked."""
        return any(not self.is_blocked(info.si_signo) for info in self.pending)

    def is_killed(self) -> bool:
        """Tell whether SIGKILL is pending."""
        return any(info.si_signo == SIGKILL for info in self.pending)

    def take(self, among: int | None = None) -> SigInfo | None:
        """Remove and return the next signal: faults first, then the lowest number.

        among: only these (a set), blocked or not; None: those that are not blocked.
        """
        if among is None:
            ready = [info for info in self.pending if not self.is_blocked(info.si_signo)]
        else:
            ready = [info for info in self.pending if among >> (info.si_signo - 1) & 1]
        if not ready:
            return None
        chosen = min(ready, key=lambda i: (i.si_signo not in SYNCHRONOUS, i.si_signo))
        self.pending.remove(chosen)
        return chosen

    def queue(self, info: SigInfo) -> None:
        """Keep a signal; an ordinary one that waits already is not kept twice."""
        if info.si_signo < FIRST_QUEUED and self.pending_mask() >> (info.si_signo - 1) & 1:
            return
        self.pending.append(info)

    def discard(self, signos: frozenset[int]) -> None:
        """Forget pending signals."""
        self.pending = [info for info in self.pending if info.si_signo not in signos]

    def copy(self) -> Signals:
        """Return what a forked child inherits: actions and mask, nothing pending."""
        return Signals(dict(self.actions), self.blocked)

    def reset_for_exec(self) -> None:
        """Set handled signals back to the default, as execve does; ignored ones stay so."""
        self.actions = {n: SIG_IGN for n in self.actions if self.sigaction(n).handler == SIG_IGN}


def send(task: Task, info: SigInfo) -> None:
    """Send a signal to a task; what cannot be acted on now waits."""
    if not task.alive:
        return
    scheduler, signals, signo = task.kernel.scheduler, task.signals, info.si_signo
    if task.context is None or scheduler is None:
        if task.trace is not None and signo != SIGKILL:
            task.trace.at_signal(info)
        else:
            act(task, info)
        return
    held = task.trace is not None and task.trace.held
    if signo == SIGCONT:
        signals.discard(STOPPING)
        if not held:
            scheduler.resume(task)
    elif signo in STOPPING:
        signals.discard(frozenset({SIGCONT}))
    ignored = not signals.is_blocked(signo) and signals.fate(signo) is Fate.IGNORE
    if ignored and task.trace is None:
        return
    signals.queue(info)
    scheduler.signalled(task)


def force(task: Task, info: SigInfo) -> None:
    """Send a signal that the task's own instruction raised: it cannot be held back or ignored."""
    signals, signo = task.signals, info.si_signo
    if signals.is_blocked(signo) or signals.sigaction(signo).handler == SIG_IGN:
        signals.actions[signo] = SIG_DFL
        signals.blocked &= ~(1 << (signo - 1))
    signals.pending.append(info)
    assert task.kernel.scheduler is not None
    task.kernel.scheduler.signalled(task)


def act(task: Task, info: SigInfo) -> None:
    """Do what a Python program wants done about a signal, or keep it while it is blocked."""
    if task.signals.is_blocked(info.si_signo):
        task.signals.pending.append(info)
        return
    action = task.signals.action(info.si_signo)
    if callable(action):
        action(info.si_signo, info)
    elif action == SIG_DFL and info.si_signo not in IGNORED_BY_DEFAULT:
        task.die_of(info.si_signo)
