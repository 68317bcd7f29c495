"""The kernel log: what dmesg shows, on virtual time.

Owns the lines. Those below the console's level (kernel.printk) go to the registered console, and
are structlog events in a process that has configured structlog.
"""

from __future__ import annotations

import sys

from pkern.kernel.clock import Clock
from pkern.kernel.numbers import counted
from pkern.kernel.typed import Callable
from pkern.kernel.values import NamedTuple

KERN_ERR, KERN_WARNING, KERN_INFO = 3, 4, 6
MAX_LINES = 10_000

# structlog's level (as in logging) of each of the kernel's.
EVENT_LEVELS = (50, 50, 50, 40, 30, 20, 20, 10)


class Record(NamedTuple):
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
        self._console: Callable[[Record], object] | None = None
        self._records: list[Record] = []
        self._written = 0
        self._taken = 0  # records that take() has handed out whole
        self._part = 0  # bytes of the next one that it has handed out
        self._cleared = 0
        # The console's level, that of lines without one, the least for the console, at boot.
        self.levels = [4, 4, 1, 7]
        self.dmesg_restrict = 0  # kernel.dmesg_restrict
        self._level_before: int | None = None  # the console's, while it is off

    def __repr__(self) -> str:
        return f"<Log of {counted(len(self._records), 'line')}>"

    def write(self, level: int, text: str) -> None:
        """Append text at a kernel log level (0 emergency .. 7 debug)."""
        self._records.append(Record(self._written, self._clock.now_ns, level, text))
        self._written += 1
        del self._records[:-MAX_LINES]
        self.listener()
        self._show(self._records[-1])

    # ---- the console ----

    @property
    def printk(self) -> str:
        """The levels as kernel.printk shows them."""
        return "\t".join(map(str, self.levels))

    @printk.setter
    def printk(self, row: str) -> None:
        self.levels = [int(level) for level in row.split()]

    def register_console(self, console: Callable[[Record], object]) -> None:
        """Show the lines below the console's level there, first those that there are already."""
        self._console = console
        for record in self._records:
            if record.level < self.levels[0]:
                console(record)

    def _show(self, record: Record) -> None:
        if record.level >= self.levels[0]:
            return
        if self._console is not None:
            self._console(record)
        if "structlog" in sys.modules:  # who never imported it has no subscriber
            _emit_event(record)

    def console_off(self) -> None:
        """Show only what the least level lets through."""
        if self._level_before is None:
            self._level_before = self.levels[0]
        self.levels[0] = self.levels[2]

    def console_on(self) -> None:
        """Show again what was shown before console_off()."""
        if self._level_before is not None:
            self.levels[0], self._level_before = self._level_before, None

    def set_console(self, level: int) -> None:
        """Show what is below a level, the least one if that is higher."""
        self.levels[0], self._level_before = max(level, self.levels[2]), None

    # ---- reading ----

    def lines(self) -> list[str]:
        """Return the lines in dmesg's format: `[    0.000001] text`."""
        return [record.line() for record in self._records]

    @property
    def written(self) -> int:
        """How many lines there have ever been: the number that the next one gets."""
        return self._written

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


def _emit_event(record: Record) -> None:
    """Hand a line to the structlog subscribers of the process, if there are any."""
    import structlog

    if structlog.is_configured():
        events = structlog.get_logger("pkern")
        events.log(EVENT_LEVELS[record.level], record.text, time_ns=record.time_ns)
