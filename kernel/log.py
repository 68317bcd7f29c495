"""The kernel log: what dmesg shows, on virtual time.

Owns the lines. Each is also a structlog event, so that a host program can subscribe; by default
only warnings and worse leave the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from kernel.clock import Clock

KERN_ERR, KERN_WARNING, KERN_INFO, KERN_DEBUG = 3, 4, 6, 7
MAX_LINES = 10_000

_events = structlog.wrap_logger(
    structlog.PrintLogger(),
    wrapper_class=structlog.make_filtering_bound_logger(40),
    processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
)


@dataclass(frozen=True, slots=True)
class Record:
    """One line: its number from 0, virtual nanoseconds since boot, level, text."""

    number: int
    time_ns: int
    level: int
    text: str

    def line(self) -> str:
        """Return it in dmesg's format: `[    0.000001] text`."""
        return f"[{self.time_ns / 1e9:12.6f}] {self.text}"

    def raw(self) -> bytes:
        """Return it as syslog(2) hands it out: `<6>[    0.000001] text` and a newline."""
        return f"<{self.level}>{self.line()}\n".encode("utf-8", "surrogateescape")


class Log:
    """A ring of lines, oldest dropped first; what syslog(2) has taken or cleared is noted here."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.listener: Callable[[], object] = lambda: None  # called at each new line
        self._records: list[Record] = []
        self._written = 0
        self._taken = 0  # records that take() has handed out whole
        self._part = 0  # bytes of the next one that it has handed out
        self._cleared = 0

    def write(self, level: int, text: str) -> None:
        """Append text at a kernel log level (0 emergency .. 7 debug)."""
        self._records.append(Record(self._written, self._clock.now_ns, level, text))
        self._written += 1
        del self._records[:-MAX_LINES]
        self.listener()
        if level <= KERN_ERR:
            _events.error(text, time_ns=self._clock.now_ns)

    def lines(self) -> list[str]:
        """Return the lines in dmesg's format: `[    0.000001] text`."""
        return [record.line() for record in self._records]

    def records(self, first: int = 0) -> list[Record]:
        """Return the records from number first on."""
        return [record for record in self._records if record.number >= first]

    def clear(self) -> None:
        """Hide what there is from uncleared()."""
        self._cleared = self._written

    def uncleared(self) -> list[Record]:
        """Return the records since the last clear()."""
        return self.records(self._cleared)

    def unread(self) -> bytes:
        """Return what take() has still to hand out."""
        text = b"".join(record.raw() for record in self.records(self._taken))
        return text[self._part :]

    def take(self, nbytes: int) -> bytes:
        """Return up to nbytes that no take() has returned yet."""
        data = self.unread()[:nbytes]
        self._part += len(data)
        for record in self.records(self._taken):
            size = len(record.raw())
            if self._part < size:
                break
            self._part -= size
            self._taken = record.number + 1
        return data
