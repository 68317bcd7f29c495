"""A limit by the host's clock: the one thing by which two runs of a program may differ."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pkern.kernel.clock import TimeIsUp

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel

SECOND = 1_000_000_000
SOON = 1e-6  # seconds: what was due meanwhile comes at once
AGAIN = 0.1  # seconds: a ring that came just before a call of the host's began does not end it


@contextmanager
def wall_limit(kernel: Kernel, nanoseconds: int | None) -> Iterator[None]:
    """Let TimeIsUp end what runs within after so long on the host. None: never.

    Programs in machine code end between two turns, or while the host is waited for; one in Python
    wherever it is. A timer that ran before (a test's own limit) goes on afterwards. For the host's
    main thread. Errors: ValueError in another.
    """
    if nanoseconds is None:
        yield
        return

    def ring(signo: int, frame: object) -> None:
        error = TimeIsUp(f"time is up: {nanoseconds / SECOND:g} s of the host's time (--wall)")
        if kernel.scheduler is None or not kernel.scheduler.halt(error):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise error

    before, began = signal.signal(signal.SIGALRM, ring), time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, nanoseconds / SECOND, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if kernel.scheduler is not None:
            kernel.scheduler.forget_halt()
        signal.signal(signal.SIGALRM, before)
        if left:
            due = max(left - (time.monotonic() - began), SOON)
            signal.setitimer(signal.ITIMER_REAL, due, interval)
