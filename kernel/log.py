"""The kernel log: what dmesg shows, on virtual time.

Owns the lines. Each is also a structlog event, so that a host program can subscribe; by default
only warnings and worse leave the process.
"""

from __future__ import annotations

import structlog

from kernel.clock import Clock

KERN_ERR, KERN_WARNING, KERN_INFO, KERN_DEBUG = 3, 4, 6, 7
MAX_LINES = 10_000

_events = structlog.wrap_logger(
    structlog.PrintLogger(),
    wrapper_class=structlog.make_filtering_bound_logger(40),
    processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
)


class Log:
    """A ring of lines, oldest dropped first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: list[tuple[int, int, str]] = []

    def write(self, level: int, text: str) -> None:
        """Append text at a kernel log level (0 emergency .. 7 debug)."""
        self._lines.append((self._clock.now_ns, level, text))
        del self._lines[:-MAX_LINES]
        if level <= KERN_ERR:
            _events.error(text, time_ns=self._clock.now_ns)

    def lines(self) -> list[str]:
        """Return the lines in dmesg's format: `[    0.000001] text`."""
        return [f"[{ns / 1e9:12.6f}] {text}" for ns, _, text in self._lines]
