"""Signals of a task: what is handled, blocked and pending.

Handlers of Python programs are Python callables; delivery happens when the task next enters the
kernel, as on Linux.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum


class Signal(IntEnum):
    """Linux's signal numbers on x86-64."""

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


SIG_DFL, SIG_IGN = 0, 1
NSIG = 64
IGNORED_BY_DEFAULT = frozenset({17, 18, 23, 28})
UNCATCHABLE = frozenset({9, 19})


@dataclass(frozen=True, slots=True)
class SigInfo:
    """siginfo_t: si_signo, si_code, si_addr (bytes; 0 where it has no meaning), si_pid."""

    si_signo: int
    si_code: int
    si_addr: int = 0
    si_pid: int = 0


Handler = Callable[[int, SigInfo], object]
Action = int | Handler


@dataclass(slots=True)
class Signals:
    """Actions by number (SIG_DFL where absent), the blocked mask, and what waits."""

    actions: dict[int, Action] = field(default_factory=dict)
    blocked: int = 0
    pending: list[SigInfo] = field(default_factory=list)

    def action(self, signo: int) -> Action:
        """Return the action for signo."""
        return self.actions.get(signo, SIG_DFL)

    def is_blocked(self, signo: int) -> bool:
        """Tell whether signo is held back; SIGKILL and SIGSTOP never are."""
        return signo not in UNCATCHABLE and bool(self.blocked >> (signo - 1) & 1)

    def copy(self) -> Signals:
        """Return what a forked child inherits: actions and mask, nothing pending."""
        return Signals(dict(self.actions), self.blocked)
