"""Virtual time: it moves with work done, never with the host's clock.

Owns the count of nanoseconds since boot. Every system call and every access that had to be
served costs a fixed amount, so that the same program reads the same times on every run.
"""

from __future__ import annotations

SYSCALL_NS = 100
FAULT_NS = 1_000
BOOT_EPOCH_S = 1_049_587_200  # 6 April 2003 00:00 UTC, the letter's day


class Clock:
    """Nanoseconds since boot, and the date the machine believes in."""

    def __init__(self) -> None:
        self.now_ns = 0

    def advance(self, nanoseconds: int) -> None:
        """Let nanoseconds (>= 0) pass."""
        self.now_ns += nanoseconds

    @property
    def realtime_ns(self) -> int:
        """Nanoseconds since 1970, as CLOCK_REALTIME."""
        return BOOT_EPOCH_S * 1_000_000_000 + self.now_ns
