"""Data races of a run: two accesses to the same bytes, one a store, that nothing orders.

What orders is what synchronises: futexes, the making and the end of tasks, waiting for them, pipes
and other files, signals and every call that is not known, and instructions that lock the bus. Each
task has a vector clock; an access that the other's clock does not know of is unordered, although
this run happened to make it earlier (Lamport, CACM 1978; Flanagan and Freund: FastTrack, PLDI
2009).

A word that a locked instruction or a futex touches anywhere in the run is itself a means of
synchronisation: loads of it acquire, stores release, and it is in no race. Machine code does not
say which plain loads and stores a language calls atomic: those are told as races.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.cpu.processor import Access
    from pkern.userland.explore.trace import Step

PREFIXES = frozenset({0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF2, 0xF3})
LOCK, EXCHANGES = 0xF0, frozenset({0x86, 0x87})
WORD_SHIFT = 2
ORDERING = frozenset({"futex", "file", "tasks"})  # kinds of objects; not a list of VMAs

Clock = dict[int, int]  # pid: the last step of it that came before


class Site(NamedTuple):
    """One of the two accesses. step: its number in the run, from 0."""

    step: int
    pid: int
    rip: int
    linear: int
    nbytes: int
    writes: bool


class Race(NamedTuple):
    """Two accesses, the one that the run made earlier first."""

    first: Site
    second: Site

    @property
    def where(self) -> tuple[int, int]:
        """The two instructions, whichever came first."""
        low, high = sorted((self.first.rip, self.second.rip))
        return low, high


def is_locked(code: bytes) -> bool:
    """Tell of an instruction's bytes whether it locks the bus."""
    place = 0
    while place < len(code) and code[place] in PREFIXES:
        place += 1
    if place < len(code) and code[place] == LOCK:
        return True
    place += place < len(code) and code[place] & 0xF0 == 0x40  # REX
    return place < len(code) and code[place] in EXCHANGES


def races(steps: Sequence[Step], code: Mapping[int, bytes]) -> list[Race]:
    """Return the races of a run, one for each pair of instructions. code: bytes by rip."""
    locked = {rip for rip, text in code.items() if is_locked(text)}
    found: dict[tuple[int, int], Race] = {}
    for race in _Detector(steps, locked).run():
        found.setdefault(race.where, race)
    return list(found.values())


class _Byte:
    """Who has touched a byte last."""

    __slots__ = ("read", "written")

    def __init__(self) -> None:
        self.written: Site | None = None
        self.read: dict[int, Site] = {}


class _Detector:
    """The clocks of a run's tasks and of what synchronises them."""

    def __init__(self, steps: Sequence[Step], locked: set[int]) -> None:
        self._steps = steps
        self._synchronising = set(_synchronising(steps, locked))
        self._clocks: dict[int, Clock] = {}
        self._objects: dict[Hashable, Clock] = {}
        self._bytes: dict[int, _Byte] = {}

    def run(self) -> Iterator[Race]:
        """Give each race, as often as it comes."""
        for number, step in enumerate(self._steps):
            clock = self._clocks.setdefault(step.pid, {})
            clock[step.pid] = number
            self._synchronise(step, clock)
            for access in step.accesses:
                if access.linear >> WORD_SHIFT in self._synchronising:
                    self._pass(access.linear >> WORD_SHIFT, clock)
                else:
                    site = Site(
                        number, step.pid, access.rip, access.linear, access.nbytes,
                        bool(access.writes),
                    )  # fmt: skip
                    yield from self._touch(access, site, clock)
            for pid in step.made:
                self._clocks[pid] = dict(clock)

    def _synchronise(self, step: Step, clock: Clock) -> None:
        for call in step.calls:
            if call.footprint.everything:
                self._pass("everything", clock)
            for what in call.footprint.reads | call.footprint.writes:
                if isinstance(what, tuple) and what[0] in ORDERING:
                    self._pass(what, clock)

    def _pass(self, what: Hashable, clock: Clock) -> None:
        """Know what others did before they passed an object; let what was done here be known."""
        known = self._objects.setdefault(what, {})
        _join(clock, known)
        _join(known, clock)

    def _touch(self, access: Access, site: Site, clock: Clock) -> Iterator[Race]:
        earlier: set[Site] = set()
        for byte in range(access.physical, access.physical + access.nbytes):
            touched = self._bytes.setdefault(byte, _Byte())
            if touched.written is not None:
                earlier.add(touched.written)
            if site.writes:
                earlier.update(touched.read.values())
                touched.written, touched.read = site, {}
            else:
                touched.read[site.pid] = site
        for other in sorted(earlier):
            if other.pid != site.pid and clock.get(other.pid, -1) < other.step:
                yield Race(other, site)


def _join(clock: Clock, other: Clock) -> None:
    for pid, number in other.items():
        clock[pid] = max(number, clock.get(pid, -1))


def _synchronising(steps: Sequence[Step], locked: set[int]) -> Iterator[int]:
    """Give the words, by address, that locked instructions and futexes touch."""
    for step in steps:
        for access in step.accesses:
            if access.rip in locked:
                yield access.linear >> WORD_SHIFT
        for call in step.calls:
            if any(
                isinstance(what, tuple) and what[0] == "futex" for what in call.footprint.writes
            ):
                words = call.footprint.reads | call.footprint.writes
                yield from (word for word in words if isinstance(word, int))
