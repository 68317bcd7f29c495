"""When pages of equal content are looked for, and how many at a time; ksm.c merges them.

The scanner has no thread of its own: while it runs, it is called where virtual time has moved, at
the end of a program's turn on the processor and where a sleep jumps ahead, and does then what
Linux's ksmd would have done in that time, up to a bound. So a run is the same every time.
Source: Documentation/admin-guide/mm/ksm.rst of Linux 6.18.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pkern.kernel.clock import Clock
    from pkern.kernel.mm.memory import Memory
    from pkern.kernel.mm.mm import Mm

STOP, MERGE, UNMERGE = 0, 1, 2
PAGES_TO_SCAN, SLEEP_MILLISECS = 100, 20
MILLISECOND = 1_000_000  # nanoseconds
MOST_WAKEUPS = 256  # that are made up for at once
PAGE_BYTES, ITEM_BYTES = 4096, 64  # what a merged page saves, and what Linux's notes cost


class Ksm:
    """The scanner. core: its counters and switches, live (struct ksm)."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self._run = STOP
        self._due_ns = 0
        self.pages_to_scan = PAGES_TO_SCAN
        self.sleep_millisecs = SLEEP_MILLISECS
        self.core: Any = lib.machine_ksm(memory.core)

    @property
    def run(self) -> int:
        """0: stopped; 1: it scans; 2: stopped, and nothing is merged any more. Errors: ENOMEM."""
        return self._run

    @run.setter
    def run(self, what: int) -> None:
        self._run = what
        self._due_ns = self._clock.now_ns
        self._clock.tell(self.tick if what == MERGE else None)
        if what == UNMERGE:
            self._memory.call(None, lib.machine_ksm_unmerge, self._memory.core)

    def tick(self) -> None:
        """Scan as often as was due until now."""
        now = self._clock.now_ns
        if now < self._due_ns:
            return
        period = max(self.sleep_millisecs, 1) * MILLISECOND
        times = 1 + (now - self._due_ns) // period
        self._due_ns += times * period
        for _ in range(min(times, MOST_WAKEUPS)):
            rounds = int(self.core.full_scans)
            scanned = lib.machine_ksm_scan(self._memory.core, self.pages_to_scan)
            if not scanned and rounds == self.core.full_scans:
                return  # nobody has anything to merge

    def set_idle(self, name: str, value: int) -> None:
        """Set a switch that may only change while nothing is merged. Errors: EBUSY."""
        if value != getattr(self.core, name) and self.core.pages_shared:
            raise SyscallError(errno.EBUSY)
        setattr(self.core, name, value)

    @property
    def pages_volatile(self) -> int:
        """Pages that changed between two looks at them."""
        core = self.core
        known = core.pages_shared + core.pages_sharing + core.pages_unshared
        return max(0, int(core.rmap_items - known))

    @property
    def general_profit(self) -> int:
        """Bytes saved, less those that the notes take."""
        core = self.core
        merged = int(core.pages_sharing + core.zero_pages)
        return merged * PAGE_BYTES - int(core.rmap_items) * ITEM_BYTES


def told_of(mm: Mm) -> Any:
    """Return the core's struct mm_ksm of an address space."""
    found = ffi.new("struct mm_ksm *")
    lib.mm_ksm(mm.handle, found)
    return found


def profit(found: Any) -> int:
    """Return the bytes that an address space saves, less those that the notes of it take."""
    merged = int(found.merging_pages + found.zero_pages)
    return merged * PAGE_BYTES - int(found.rmap_items) * ITEM_BYTES
