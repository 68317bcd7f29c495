"""C19: what one more mmap costs among many VMAs: at a fixed address, and where a gap is
searched.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import process_time_ns

from pkern.kernel.mm.mm import Vma
from pkern.userland.bench.programs import no_collection
from pkern.userland.lab import host
from pkern.userland.lab.bench import MIB, PAGE, Spread, booted, spread
from pkern.userland.lab.experiment import (
    Judgement,
    Outcome,
    Published,
    Scale,
    Table,
    experiment,
    fails,
    holds,
    only_when,
    undecided,
)
from pkern.userland.lab.pictures import Lines, Panels, Series
from pkern.userland.program import Sys

COUNTS = {
    Scale.TINY: (16, 64, 256),
    Scale.DEFAULT: (1000, 4000, 16000, 60000),
    Scale.FULL: (1000, 2000, 4000, 8000, 16000, 32000, 65000),
}
CALLS = {Scale.TINY: 20, Scale.DEFAULT: 2000, Scale.FULL: 5000}
ROUNDS = 5
HOST_SPARE = 2000  # VMAs that this process may have of its own
FLAT = 3.0  # a cost that grows less than this, over all counts, does not grow with N
MAX_MAP_COUNT = 65530
GROWS = 0.5  # a cost that grows at least this share of what N grows is linear in N


def rule(
    *, growth: float, fixed: Spread, search: Spread, first_fit: float, reached: float, asked: float
) -> Judgement:
    """growth: largest count of VMAs over the smallest. fixed, search: our cost at the largest
    count over that at the smallest. first_fit: the same of the VMAs that 2003's search visits.

    MAP_FIXED is O(log N) if fixed is at most 3. The search is linear if its factor is above half
    of growth. Holds if the search of this kernel is linear too; holds only when the search is
    2003's if this kernel's is flat (at most 3) but first_fit is linear; does not hold if neither,
    or if the VMAs reached before ENOMEM are not the number asked for, vm.max_map_count + 1 as on
    Linux. Where a range of times lies on both sides of a bound it is not decided.
    """
    figures = f"x{growth:.3g} VMAs: fixed x{fixed}, search x{search}"
    linear = GROWS * growth
    if reached != asked or fixed.above(FLAT):
        return fails(figures)
    if fixed.at_most(FLAT) and search.above(linear):
        return holds(figures)
    if fixed.at_most(FLAT) and search.at_most(FLAT) and first_fit >= linear:
        return only_when(f"the search walks the VMAs one by one, as in 2003 ({figures})")
    if search.at_most(linear) and (search.above(FLAT) or first_fit < linear):
        return fails(figures)
    return undecided(figures)


@dataclass(frozen=True, slots=True)
class Cost:
    """At one count of VMAs: ns for an mmap+munmap, ours and the host's, and 2003's visits."""

    vmas: int
    fixed: Spread
    search: Spread
    visits: int
    host_fixed: Spread | None
    host_search: Spread | None


def first_fit_visits(vmas: Sequence[Vma], base: int, length: int) -> int:
    """Count the VMAs that 2003's search looks at for a gap of length bytes from base upwards.

    It began at TASK_UNMAPPED_BASE and went from VMA to VMA until a gap fitted.
    """
    visits, at = 0, base
    for vma in vmas:
        if vma.end <= base:
            continue
        visits += 1
        if at + length <= vma.start:
            break
        at = max(at, vma.end)
    return visits


MapPage = Callable[[int, int], int]  # address (0: search), flags beyond private anonymous
Unmap = Callable[[int, int], object]


def timed(map_page: MapPage, unmap: Unmap, addr: int, calls: int) -> Spread:
    """Return ns for one mmap and its munmap: the spread of several rounds of calls."""
    fixed = host.MAP_FIXED if addr else 0
    seen = []
    with no_collection():
        for _ in range(ROUNDS):
            start = process_time_ns()
            for _ in range(calls):
                unmap(map_page(addr, fixed), PAGE)
            seen.append((process_time_ns() - start) / calls)
    return spread(seen)


class OurSide:
    """The region on this kernel."""

    def __init__(self, sys: Sys, most: int) -> None:
        self.sys, self.done = sys, 0
        self.flags = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
        self.base = 1 << 32
        self.beyond = self.base + (2 * most + 16) * PAGE

    def map_page(self, addr: int, flags: int = host.MAP_FIXED) -> int:
        """Map one page at addr, or anywhere."""
        prot = self.sys.PROT_READ
        at: int = self.sys.mmap(addr, PAGE, prot, self.flags | flags, -1, 0)
        return at

    def grow(self, count: int) -> int:
        """Bring the task to count VMAs, and say how many it has. Errors: ENOMEM."""
        more = count - self.count
        for number in range(self.done, self.done + more):
            self.map_page(self.base + 2 * number * PAGE)
            self.done = number + 1
        return self.count

    @property
    def count(self) -> int:
        """VMAs of the task."""
        return int(self.sys.task.mm.counters.map_count)


def _host_costs(counts: Sequence[int], calls: int) -> dict[int, tuple[Spread, Spread]]:
    """Measure the host in a reserved region; counts beyond its limit are left out."""
    limit = _host_limit()
    private = host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_NORESERVE

    def map_page(addr: int, flags: int = host.MAP_FIXED) -> int:
        return host.mmap(addr, PAGE, host.PROT_READ, private | flags, -1, 0)

    costs, done = {}, 0
    with host.region((2 * max(counts) + 16) * PAGE, 0, private) as base:
        for count in (c for c in counts if c <= limit):
            for number in range(done, count // 2):  # a page and the rest between: two VMAs
                map_page(base + 2 * number * PAGE)
            done = count // 2
            beyond = base + (2 * max(counts) + 8) * PAGE
            costs[count] = (
                timed(map_page, lambda at, n: map_hole(at), beyond, calls),
                timed(map_page, host.munmap, 0, calls),
            )
    return costs


def map_hole(at: int) -> None:
    """Put the host's reservation back over one page."""
    private = host.MAP_PRIVATE | host.MAP_ANONYMOUS | host.MAP_NORESERVE
    host.mmap(at, PAGE, 0, private | host.MAP_FIXED, -1, 0)


def _host_limit() -> int:
    try:
        with open("/proc/sys/vm/max_map_count") as limit:
            return int(limit.read()) - HOST_SPARE
    except OSError:
        return 0


def _grow_until_refused(side: OurSide) -> int:
    """Map pages until ENOMEM and return how many VMAs there are then."""
    try:
        while True:
            side.grow(side.count + 500)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
    return side.count


def _measure(scale: Scale) -> tuple[list[Cost], int]:
    counts, calls = COUNTS[scale], CALLS[scale]
    hosts = _host_costs(counts, calls)
    costs = []
    settings = {"vm.legacy_va_layout": 1}  # search upwards from a base, as in 2003
    with booted(96 * MIB, settings) as sys:
        side = OurSide(sys, MAX_MAP_COUNT)
        low = sys.mmap(0, PAGE, sys.PROT_READ, side.flags, -1, 0)
        sys.munmap(low, PAGE)
        side.base = low
        side.beyond = low + (2 * MAX_MAP_COUNT + 16) * PAGE
        for count in counts:
            reached = side.grow(count)
            visits = first_fit_visits(sys.task.mm.vmas(), low, 2 * PAGE)
            costs.append(
                Cost(
                    reached,
                    timed(side.map_page, sys.munmap, side.beyond, calls),
                    timed(lambda addr, flags: _two_pages(side, flags), _unmap_two(sys), 0, calls),
                    visits,
                    *hosts.get(count, (None, None)),
                )
            )
        return costs, _grow_until_refused(side)


def _two_pages(side: OurSide, flags: int) -> int:
    """Map two pages: no gap between the single pages fits, all of them are in the way."""
    at: int = side.sys.mmap(0, 2 * PAGE, side.sys.PROT_READ, side.flags | flags, -1, 0)
    return at


def _unmap_two(sys: Sys) -> Unmap:
    return lambda at, nbytes: sys.munmap(at, 2 * PAGE)


@experiment(
    "vma-count",
    title="mmap among many VMAs",
    claims=("C19",),
    rule=rule,
    published=(
        Published(
            "single-page remaps before ENOMEM, Linux 6.18", "65,508", "measured on Linux 6.18"
        ),
        Published("vm.max_map_count", "65,530", "Linux"),
    ),
)
def vma_count(scale: Scale) -> Outcome:
    """Fill an address space with single-page VMAs, each with a one-page hole behind it. At each
    count measure mmap+munmap of a page at a fixed address beyond them, and of two pages
    wherever there is room: no hole fits, so a search from the bottom (vm.legacy_va_layout 1, as
    in 2003) has every VMA in its way. Beside it stands the number of VMAs that 2003's first-fit
    search would visit in this very address space, and the host's own times for the same.
    """
    costs, limit = _measure(scale)
    first, last = costs[0], costs[-1]
    growth = last.vmas / first.vmas
    fixed, search = last.fixed.over(first.fixed), last.search.over(first.search)
    first_fit = last.visits / first.visits
    return Outcome(
        parameters={
            "VMAs": ", ".join(f"{cost.vmas:,}" for cost in costs),
            "VMAs at ENOMEM": f"{limit:,}",
            "calls a round": f"{CALLS[scale]:,} in {ROUNDS} rounds",
        },
        measures={
            "growth": growth,
            "fixed": fixed,
            "search": search,
            "first_fit": first_fit,
            "reached": limit,
            "asked": MAX_MAP_COUNT + 1,  # Linux refuses beyond the limit, not at it
        },
        figure=f"{last.vmas:,} VMAs: fixed x{fixed}, search x{search} of {first.vmas:,}'s",
        tables=(_table(costs),),
        pictures=(_picture(costs),),
        explanation=_explain(costs),
    )


def _table(costs: Sequence[Cost]) -> Table:
    base = costs[0].fixed.median
    host_base = costs[0].host_fixed.median if costs[0].host_fixed else 1.0

    def over(value: Spread | None, unit: float) -> str:
        if value is None:
            return "-"
        return f"{value.median / unit:.2f} ({value.low / unit:.2f} .. {value.high / unit:.2f})"

    rows = [
        (
            f"{cost.vmas:,}",
            over(cost.fixed, base),
            over(cost.search, base),
            f"{cost.visits:,}",
            over(cost.host_fixed, host_base),
            over(cost.host_search, host_base),
        )
        for cost in costs
    ]
    headers = (
        "VMAs",
        "ours, MAP_FIXED",
        "ours, search",
        "2003's search visits",
        "host, MAP_FIXED",
        "host, search",
    )
    return Table("Cost of mmap+munmap; 1 is MAP_FIXED at the smallest count", headers, rows)


def _picture(costs: Sequence[Cost]) -> Panels:
    def timed(name: str, spreads: list[Spread]) -> Series:
        return Series(
            name,
            [one.median for one in spreads],
            [one.low for one in spreads],
            [one.high for one in spreads],
        )

    def panel(title: str, unit: str, series: list[Series], scale: str) -> Lines:
        at = [cost.vmas for cost in costs]
        return Lines("vma-count", title, "VMAs of the task", unit, at, series, "log", scale)

    visited = Series("2003's first fit", [cost.visits for cost in costs])
    times = [
        timed("search", [cost.search for cost in costs]),
        timed("MAP_FIXED", [cost.fixed for cost in costs]),
    ]
    return Panels(
        "vma-count",
        "One more mmap among many VMAs",
        [
            panel("VMAs that 2003's first fit visits", "VMAs", [visited], "log"),
            panel("this kernel: mmap and munmap", "ns", times, "linear"),
        ],
    )


def _explain(costs: Sequence[Cost]) -> tuple[str, ...]:
    first, last = costs[0], costs[-1]
    return (
        f"At {last.vmas:,} VMAs the first-fit search of 2003 visits {last.visits:,} of them "
        f"({first.visits:,} at {first.vmas:,}); this kernel keeps the largest gap of each subtree "
        "in its VMA tree and goes straight to one that fits, as Linux does since 3.8 (2013). The "
        "claim was right about its time and is no longer.",
    )
