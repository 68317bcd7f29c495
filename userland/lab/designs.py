"""The reverse maps side by side: the same work on a fresh machine for each, in paired rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from pkern.kernel.mm.memory import RMAP_DESIGNS
from pkern.userland.lab.bench import Spread, ratios, spread
from pkern.userland.lab.experiment import Table
from pkern.userland.lab.progress import steps

CHAIN, LIST, TREE, SCAN = "pte_chain", "objrmap", "objrmap_tree", "virtual_scan"
ORDER = (SCAN, CHAIN, LIST, TREE)
DESIGNS = tuple(name for name in ORDER if name in RMAP_DESIGNS)


@dataclass(frozen=True, slots=True)
class Run:
    """One design's work once: processor time (ns) and what was counted, by name."""

    ns: float
    counts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Compared:
    """All rounds of all designs."""

    runs: Mapping[str, Sequence[Run]]

    def count(self, design: str, name: str) -> float:
        """Return a count, which is the same in every round."""
        return self.runs[design][0].counts[name]

    def times(self, design: str) -> list[float]:
        """Return a design's times, in ns, round by round."""
        return [run.ns for run in self.runs[design]]

    def over(self, design: str, other: str) -> Spread:
        """Return the time of design over that of other."""
        return ratios(self.times(design), self.times(other))

    def time(self, design: str) -> float:
        """Return the median time in ns."""
        return median(self.times(design))

    def spread(self, design: str) -> Spread:
        """Return the spread of the times in ns."""
        return spread(self.times(design))

    def table(self, title: str, columns: Mapping[str, str]) -> Table:
        """Return a table: a design a row, its time over pte_chain's, then the named counts."""
        rows = [
            (
                design,
                str(self.over(design, CHAIN)),
                *(number(self.count(design, name)) for name in columns),
            )
            for design in self.runs
        ]
        return Table(title, ("reverse map", "time, pte_chain = 1", *columns.values()), rows)


def compare(work: Callable[[str], Run], nr_rounds: int) -> Compared:
    """Run the work on every design once a round."""
    runs: dict[str, list[Run]] = {design: [] for design in DESIGNS}
    for _ in steps(nr_rounds):
        for design in DESIGNS:
            runs[design].append(work(design))
    return Compared(runs)


def number(value: float) -> str:
    """Write a count: whole numbers whole, others with three digits."""
    return f"{value:,.0f}" if value == int(value) or value >= 1000 else f"{value:.3g}"
