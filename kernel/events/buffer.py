"""The buffer behind tracefs: which events are on, what of them is kept, and who reads it.

One of a machine. It subscribes to what is enabled while tracing_on says so. The oldest event goes
when there is no room; a record counts as many bytes as the core's.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.clock import BOOT_EPOCH_NS
from pkern.kernel.errors import SyscallError
from pkern.kernel.events import text
from pkern.kernel.events.filters import Test, parse
from pkern.kernel.events.points import MARKER

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Event, Subscription, Tracing

RECORD_BYTES = 64
DEFAULT_KB = 1408
MOST_KB = 1 << 20
MOST_MARKED = 1024  # characters of one mark
JIFFY_NS = 4_000_000

CLOCKS: dict[str, text.Stamp] = {
    "local": text.local,
    "global": text.local,
    "counter": lambda event: str(event.seq),
    "uptime": lambda event: str(event.time_ns // JIFFY_NS),
    "perf": text.local,
    "mono": text.local,
    "mono_raw": text.local,
    "boot": text.local,
    "tai": lambda event: str(event.time_ns + BOOT_EPOCH_NS),
}


class TraceBuffer:
    """Events on their way to readers of tracefs. wake: called when there is something to read."""

    def __init__(self, tracing: Tracing, wake: Callable[[], object]) -> None:
        self._tracing = tracing
        self._wake = wake
        self._subscription: Subscription | None = None
        self.enabled: dict[str, None] = {}  # in the order of the table
        self._on = 1
        self._events: deque[Event] = deque()
        self.written = 0
        self.overrun = 0  # events that went for others
        self._kilobytes = DEFAULT_KB
        self.clock = "local"
        self.pids: frozenset[int] = frozenset()  # only of these; empty: of all
        self.comms: dict[int, str] = {}
        self.filters: dict[str, tuple[str, Test]] = {}  # by event: as it was written, as it is
        self.options = {"context-info": 1, "overwrite": 1}

    # ---- what is on ----

    @property
    def on(self) -> int:
        """1 while events are kept."""
        return self._on

    @on.setter
    def on(self, flag: int) -> None:
        self._on = flag
        self._follow()

    def enable(self, names: list[str]) -> None:
        """Keep these events (SYSTEM:NAME), too."""
        wanted = {*self.enabled, *names}
        self.enabled = {name: None for name in self._tracing.table if name in wanted}
        self._follow()

    def disable(self, names: list[str]) -> None:
        """Keep these no more."""
        for name in names:
            self.enabled.pop(name, None)
        self._follow()

    def _follow(self) -> None:
        before, self._subscription = self._subscription, None
        if self._on and self.enabled:
            self._subscription = self._tracing.subscribe(self.enabled, self._keep)
        if before is not None:
            self._tracing.unsubscribe(before)

    def matching(self, glob: str) -> list[str]:
        """Return the events that a word of set_event means. Errors: EINVAL: none."""
        try:
            return self._tracing.table.matching(glob)
        except LookupError:
            raise SyscallError(errno.EINVAL) from None

    def set_event(self, words: str) -> None:
        """Do what a write to set_event does: SYSTEM:NAME, SYSTEM or NAME; a ! turns off."""
        for word in words.split():
            if word.startswith("!"):
                self.disable(self.matching(word[1:]))
            else:
                self.enable(self.matching(word))

    def mark(self, words: str) -> None:
        """Keep what a program has to say: trace_marker."""
        if not self._on:
            return
        one = self._tracing.subscribe((MARKER.full_name,), self._keep)
        self._tracing.emit(MARKER.full_name, 0, words[:MOST_MARKED].rstrip("\n"))
        self._tracing.unsubscribe(one)

    # ---- what is kept ----

    @property
    def kilobytes(self) -> int:
        """How much is kept."""
        return self._kilobytes

    @kilobytes.setter
    def kilobytes(self, kilobytes: int) -> None:
        if not 0 < kilobytes <= MOST_KB:
            raise SyscallError(errno.EINVAL)
        self._kilobytes = kilobytes
        self._trim()

    def set_filter(self, names: list[str], words: str) -> None:
        """Keep only those of some events that pass; "0": all. Errors: EINVAL, with nothing changed.

        Of several events those keep what they had that lack a field of it.
        """
        if words.strip() == "0":
            for name in names:
                self.filters.pop(name, None)
            return
        made: dict[str, tuple[str, Test]] = {}
        for name in names:
            try:
                made[name] = words.strip(), parse(words, self._tracing.table[name])
            except SyscallError:
                continue
        if not made:
            raise SyscallError(errno.EINVAL)
        self.filters |= made

    def _passes(self, event: Event) -> bool:
        if self.pids and event.pid not in self.pids:
            return False
        found = self.filters.get(event.name)
        return found is None or found[1](event)

    def _keep(self, event: Event) -> None:
        full = len(self._events) >= self._kilobytes * 1024 // RECORD_BYTES
        if not self._passes(event):
            return
        if full and not self.options["overwrite"]:
            self.overrun += 1
            return
        self._events.append(event)
        self.written += 1
        self.comms[event.pid] = event.comm
        self._trim()
        if len(self._events) == 1:
            self._wake()

    def _trim(self) -> None:
        room = self._kilobytes * 1024 // RECORD_BYTES
        while len(self._events) > room:
            self._events.popleft()
            self.overrun += 1

    def clear(self) -> None:
        """Forget what is kept."""
        self._tracing.pump()
        self._events.clear()
        self.written = self.overrun = 0

    # ---- reading ----

    def trace(self) -> str:
        """Return what is kept, as `trace` shows it; it stays."""
        self._tracing.pump()
        stamp = CLOCKS[self.clock]
        head = text.HEADER.format(kept=len(self._events), written=self.written)
        return head + "".join(self._line(event, stamp) for event in self._events)

    def _line(self, event: Event, stamp: text.Stamp) -> str:
        if not self.options["context-info"]:
            return f"{text.told(event.point, event.values)}\n"
        return f"{text.line(event, stamp)}\n"

    def ready(self) -> bool:
        """Tell whether there is anything to take."""
        self._tracing.pump()
        return bool(self._events)

    def take(self, nbytes: int) -> bytes:
        """Take the lines that fit into nbytes, at least one."""
        stamp = CLOCKS[self.clock]
        taken = bytearray()
        while self._events:
            line = self._line(self._events[0], stamp).encode("utf-8", "surrogateescape")
            if taken and len(taken) + len(line) > nbytes:
                break
            taken += line
            self._events.popleft()
        return bytes(taken)

    def stats(self) -> str:
        """Return per_cpu/cpu0/stats."""
        self._tracing.pump()
        oldest = self._events[0].time_ns if self._events else 0
        newest = self._events[-1].time_ns if self._events else 0
        rows = {
            "entries": len(self._events),
            "overrun": self.overrun,
            "commit overrun": 0,
            "bytes": len(self._events) * RECORD_BYTES,
            "oldest event ts": _seconds(oldest),
            "now ts": _seconds(newest),
            "dropped events": self._tracing.lost,
            "read events": self.written - self.overrun - len(self._events),
        }
        return "\n".join(f"{name}: {value}" for name, value in rows.items())


def _seconds(ns: int) -> str:
    return f"{ns // 1_000_000_000:5d}.{ns // 1000 % 1_000_000:06d}"
