"""Whose time has come: sleepers, and the interval timers of guest processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.tasks.signal.signals import SI_KERNEL, SigInfo
from pkern.kernel.tasks.signal.signames import Signal
from pkern.userland.uml import signals
from pkern.userland.uml.process import ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, Process, State

if TYPE_CHECKING:
    from pkern.userland.uml.kernel import GuestKernel

SIGNALS = {
    ITIMER_REAL: Signal.SIGALRM,
    ITIMER_VIRTUAL: Signal.SIGVTALRM,
    ITIMER_PROF: Signal.SIGPROF,
}


def next_due(kernel: GuestKernel) -> int | None:
    """Return when the first sleeper or timer of real time is due (uptime in ns)."""
    everyone = kernel.processes.values()
    sleepers = [one.deadline for one in everyone if one.state is State.BLOCKED]
    timers = [one.timers[ITIMER_REAL].due for one in everyone if ITIMER_REAL in one.timers]
    return min([due for due in sleepers if due is not None] + timers, default=None)


def wake_due(kernel: GuestKernel) -> None:
    """Let those go on whose time has come, and send the alarms that are due."""
    now = kernel.uptime_ns()
    for process in list(kernel.processes.values()):
        due = process.deadline
        if process.state is State.BLOCKED and due is not None and due <= now:
            kernel.wake(process)
        _expire(kernel, process, ITIMER_REAL, now)


def tick(kernel: GuestKernel, process: Process, nanoseconds: int) -> None:
    """Count CPU time that a process has used."""
    process.cpu_ns += nanoseconds
    for which in (ITIMER_VIRTUAL, ITIMER_PROF):
        _expire(kernel, process, which, process.cpu_ns)


def _expire(kernel: GuestKernel, process: Process, which: int, now: int) -> None:
    """Send the signal of a timer that is due, and start it anew if it repeats."""
    timer = process.timers.get(which)
    if timer is None or timer.due > now:
        return
    del process.timers[which]
    if again := timer.next():
        process.timers[which] = again
    signals.send(kernel, process, SigInfo(SIGNALS[which], SI_KERNEL))
