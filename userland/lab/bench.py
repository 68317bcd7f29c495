"""What all experiments share: a booted machine, files in it, counts and times of a stretch of work.

Times are the processor time of this process: ratios within one run, with a spread. Counts are the
core's own counters, read before and after.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time_ns
from typing import Any

from pkern.kernel.core import ffi
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.tmpfs import TmpFs
from pkern.userland.bench.programs import no_collection
from pkern.userland.lab.machines import machine
from pkern.userland.lab.progress import steps
from pkern.userland.program import Sys

PAGE = 4096
MIB = 1 << 20
CHUNK_PAGES = 256
PAGE_BY_PAGE: dict[str, int | str] = {
    "vm.fault_around_bytes": PAGE
}  # as until 3.15: a fault, a page


@contextmanager
def booted(
    ram: int | str, sysctl: Mapping[str, int | str] | None = None, **parameters: Any
) -> Iterator[Sys]:
    """Boot a machine, give the calls of an unprivileged task, recount everything at the end.

    A read fault maps one page, so that counts are exact. ram: bytes or "64M". parameters: of
    Kernel (rmap, nrpte, ...).
    """
    with machine(ram=ram, sysctl=PAGE_BY_PAGE | dict(sysctl or {}), **parameters) as kernel:
        let_tmpfs_grow(kernel)
        yield Sys(kernel.spawn(name="lab"))
        kernel.check()


def let_tmpfs_grow(kernel: Kernel) -> None:
    """Let every tmpfs hold all of RAM, as `mount -o remount,size=100%` does."""
    for fs in (mount.fs for mount in kernel.vfs.mounts):
        if isinstance(fs, TmpFs):
            fs.quota.max = kernel.ram // PAGE


def file_of_pages(sys: Sys, path: str, nr_pages: int, *, stamp: str = "") -> int:
    """Make a file of nr_pages pages, each beginning with its stamp and index; return its fd."""
    fd: int = sys.open(path, sys.O_RDWR | sys.O_CREAT, 0o600)
    for first in range(0, nr_pages, CHUNK_PAGES):
        last = min(first + CHUNK_PAGES, nr_pages)
        text = b"".join(page_text(stamp, index).ljust(PAGE, b"\0") for index in range(first, last))
        sys.pwrite64(fd, text, first * PAGE)
    return fd


def page_text(stamp: str, index: int) -> bytes:
    """Return the first bytes of a page of file_of_pages()."""
    return f"{stamp}{index:08d}".encode()


def counts(kernel: Kernel) -> dict[str, int]:
    """Return all machine-wide counters by name."""
    fields = ffi.typeof("struct counters").fields or []
    return {name: int(getattr(kernel.counters, name)) for name, _ in fields}


@dataclass(slots=True)
class Stretch:
    """A stretch of work: its processor time (ns) and how far each counter moved."""

    ns: int
    moved: dict[str, int]


@contextmanager
def stretch(kernel: Kernel) -> Iterator[Stretch]:
    """Measure the work of the `with` block; the value is complete when it ends."""
    before = counts(kernel)
    seen = Stretch(0, {})
    with no_collection():
        start = process_time_ns()
        yield seen
        seen.ns = process_time_ns() - start
    after = counts(kernel)
    seen.moved = {name: after[name] - before[name] for name in after}


LEAST_ROUNDS = 5  # their range holds the median in 15 of 16 cases: 1 - 2 ** (1 - 5)


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the ends of the range it comes from; one value is shown alone.

    rounds: how many values there were. A verdict may be drawn only from the whole range, and not
    from fewer than LEAST_ROUNDS: neither above() nor at_most() is true where it is not decided.
    """

    median: float
    low: float
    high: float
    rounds: int

    def above(self, limit: float) -> bool:
        """Tell whether all of the range lies above limit, and there is enough of it."""
        return self.rounds >= LEAST_ROUNDS and self.low > limit

    def at_most(self, limit: float) -> bool:
        """Tell whether none of the range lies above limit, and there is enough of it."""
        return self.rounds >= LEAST_ROUNDS and self.high <= limit

    def over(self, other: Spread) -> Spread:
        """Return the quotient of two that were not measured in the same rounds."""
        return Spread(
            self.median / other.median,
            self.low / other.high,
            self.high / other.low,
            min(self.rounds, other.rounds),
        )

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.median:.3g}"
        return f"{self.median:.3g} ({self.low:.3g} .. {self.high:.3g})"


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the range of values."""
    return Spread(median(values), min(values), max(values), len(values))


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Return the spread of the ratios of values measured in the same rounds."""
    return spread([a / b for a, b in zip(over, under, strict=True)])


def rounds(nr: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure every side once a round, nr rounds, so that a slow moment hits all of them."""
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for _ in steps(nr):
        for name, side in sides.items():
            seen[name].append(side())
    return seen


def time_text(ns: float) -> str:
    """Write a time in the unit that reads best."""
    for limit, unit in ((1e3, "ns"), (1e6, "us"), (1e9, "ms")):
        if ns < limit:
            return f"{ns / (limit / 1e3):.3g} {unit}"
    return f"{ns / 1e9:.3g} s"


def host_machine() -> str:
    """Describe the host: processor, how many, kernel, Python."""
    model = platform.machine()
    for line in _cpuinfo():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    kernel = platform.release().split("-")[0]
    python = platform.python_version()
    return f"{model}, {os.cpu_count()} processors, Linux {kernel}, Python {python}"


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
