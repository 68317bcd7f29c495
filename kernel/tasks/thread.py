"""What the kernel keeps of a task's run through machine code, beside its registers.

Owns nothing that a Python program needs: a task without a context leaves all of this alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pkern.kernel.tasks.altstack import NO_ALT_STACK, AltStack
from pkern.kernel.tasks.rseq import Area
from pkern.kernel.wait import WouldBlock


@dataclass(slots=True)
class Interval:
    """One interval timer: nanoseconds of its clock; expires 0 is off. shot tells old from new."""

    expires: int = 0
    interval: int = 0
    shot: int = 0


@dataclass(slots=True)
class Thread:
    """One task's side of the scheduler.

    call: the system call that is not finished yet: number and registers. progress: what such a
    call remembers between its tries; None before the first and after the last. waiting: what it
    waits for; None while the task can run. stopped: the signal that stopped the task, 0 while it
    may run. cpu_ns: virtual time it has run.
    """

    call: tuple[int, tuple[int, ...]] | None = None
    progress: Any = None
    waiting: WouldBlock | None = None
    interrupted: bool = False
    stopped: int = 0
    queued: bool = False
    saved_mask: int | None = None  # restored after the handlers that a sigsuspend let in
    alt_stack: AltStack = NO_ALT_STACK
    clear_child_tid: int = 0
    robust_list: int = 0  # address of its head
    rseq: Area | None = None
    vfork_parent: Any = None
    fault: tuple[int, int, int] = (0, 0, 0)  # the last one: cr2, error code, vector
    cpu_ns: int = 0
    child_cpu_ns: int = 0
    timers: dict[int, Interval] = field(default_factory=dict)  # by ITIMER_*, once one was asked for
