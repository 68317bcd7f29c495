"""C1: what one remapped page costs in bytes and in operations, scheme by scheme, design by
design.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from pkern.userland.lab.bench import (
    MIB,
    PAGE,
    Spread,
    booted,
    counts,
    file_of_pages,
    ratios,
    rounds,
    stretch,
)
from pkern.userland.lab.designs import DESIGNS, TREE
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
from pkern.userland.lab.pictures import Bars, Series
from pkern.userland.lab.schemes import EMULATED, MIXED, SCHEMES, SPECIAL, Scheme, sysctls

PAGES = {Scale.TINY: 2048, Scale.DEFAULT: 16384, Scale.FULL: 131072}
FORKS = {Scale.TINY: 6, Scale.DEFAULT: 6, Scale.FULL: 13}
NRPTE = 7
POINTER_GROWTH = 2  # a 64-bit machine's chain block is twice as large as the one published
IBM = 4.8
SAME = 0.05
CORE_CALLS = {Scale.TINY: 4, Scale.DEFAULT: 40, Scale.FULL: 40}
CORE_PAGES = 2048
ROUNDS = 5


def rule(*, special: float, others: float, special_ops: float, speed: Spread) -> Judgement:
    """special, others: bytes beyond the pte that a remapped page costs in the special VMA, and
    the least that any other scheme costs once several tasks share the window. special_ops:
    allocations a remapped page. speed: the core's time for a page in the fastest other nonlinear
    scheme, over the special VMA's.

    Does not hold if the special VMA costs a byte or an allocation, or if another scheme is faster
    in every round (speed at most 0.95). If none is in any round: holds if every other scheme costs
    bytes or is slower in every round (speed above 1.05), and holds only when compared with chains
    and VMAs, if some other costs as little and is as fast in every round. Else it is not decided.
    """
    figures = (
        f"{special:.3g} B a page in the special VMA, {others:.3g} B in the best other scheme; the "
        f"fastest other takes x{speed} of its time"
    )
    if special > 0 or special_ops > 0 or speed.at_most(1 - SAME):
        return fails(figures)
    if speed.above(1 + SAME) or (others > 0 and speed.above(1 - SAME)):
        return holds(figures)
    if speed.above(1 - SAME) and speed.at_most(1 + SAME):
        return only_when(
            f"compared with chains and VMAs: an object-based search is as free ({figures})"
        )
    return undecided(figures)


@dataclass(frozen=True, slots=True)
class Case:
    """A scheme under a reverse map."""

    scheme: Scheme
    rmap: str

    @property
    def name(self) -> str:
        """The name on the page."""
        return self.scheme.name if self.scheme.name != MIXED else f"{MIXED}, {self.rmap}"


def cases(designs: Sequence[str]) -> list[Case]:
    """Return every scheme; 2.6's under each design, the others where the design plays no part."""
    return [
        Case(SCHEMES[SPECIAL], TREE),
        *(Case(SCHEMES[MIXED], design) for design in designs),
        Case(SCHEMES[EMULATED], TREE),
    ]


@dataclass(frozen=True, slots=True)
class Cost:
    """For one remapped page, or for one of the ptes that show it in several tasks."""

    case: Case
    bytes_alone: float
    bytes_shared: float
    vmas: float
    chain_blocks: float
    allocations: float
    tasks: int


def core_time(case: Case, calls: int) -> float:
    """Return the core's ns for one page: one call remaps CORE_PAGES, each to another page than
    before.

    So the price of a call from Python is spread over them. Not for emulation: one call, one VMA.
    """
    limits = sysctls(4 * CORE_PAGES) | case.scheme.sysctl
    with booted(64 * MIB, limits, rmap=case.rmap, nrpte=NRPTE) as sys:
        fd = file_of_pages(sys, "/dev/shm/core", CORE_PAGES + 8)
        at = case.scheme.open_window(sys, fd, CORE_PAGES * PAGE)
        handle = fd if case.scheme.name == SPECIAL else -1
        with stretch(sys.kernel) as work:
            for call in range(calls):
                sys.remap_file_pages(at, CORE_PAGES * PAGE, 0, 1 + call % 7, 0, handle)
    return work.ns / (calls * CORE_PAGES)


Moved = dict[str, int]


def measure(case: Case, pages: int, forks: int) -> Cost:
    """Return what a page costs: the slope between windows of pages and of half as many pages."""
    alone_few, shared_few = _work(case, pages // 2, forks)
    alone_many, shared_many = _work(case, pages, forks)
    alone = {name: (alone_many[name] - alone_few[name]) / (pages // 2) for name in alone_few}
    shared = {name: (shared_many[name] - shared_few[name]) / (pages // 2) for name in shared_few}
    return Cost(
        case,
        bytes_alone=alone["nr_slab"] * PAGE,
        bytes_shared=shared["nr_slab"] * PAGE / (forks + 1),
        vmas=alone["nr_vmas"],
        chain_blocks=shared["nr_chain_blocks"],
        allocations=alone["allocations"] - alone["nr_pagetable"],
        tasks=forks + 1,
    )


def _work(case: Case, pages: int, forks: int) -> tuple[Moved, Moved]:
    """Remap all pages in reverse; then fork, so that several tasks use the window; count twice."""
    ram = pages * PAGE * 2 + pages * 512 * (forks + 1) + 16 * MIB
    with booted(ram, sysctls(pages) | case.scheme.sysctl, rmap=case.rmap, nrpte=NRPTE) as sys:
        fd = file_of_pages(sys, "/dev/shm/cost", pages)
        at = case.scheme.open_window(sys, fd, pages * PAGE)
        remap = case.scheme.remap(sys, fd)
        before = counts(sys.kernel)
        for i in range(pages):
            remap(at + i * PAGE, pages - 1 - i)
        alone = counts(sys.kernel)
        for child in [sys.fork() for _ in range(forks)]:
            child.touch(at, pages * PAGE)
        shared = counts(sys.kernel)
    return _moved(before, alone), _moved(before, shared)


def _moved(before: Moved, after: Moved) -> Moved:
    return {name: after[name] - before[name] for name in before}


@experiment(
    "remap-cost",
    title="What a remapped page costs",
    claims=("C1",),
    rule=rule,
    published=(
        Published("bypass, bytes a page", "0", "linux-kernel, 2003"),
        Published("pte_chain, bytes a pte (32-bit)", "4.8", "IBM, DSS, 2002"),
        Published("companion page, bytes a page", "8 (not built here)", "linux-kernel, 2003"),
        Published("one VMA each, bytes a page (32-bit)", "64", "linux-kernel, 2003"),
    ),
)
def remap_cost(scale: Scale) -> Outcome:
    """Remap every page of a window in reverse, one page a call, and count what the kernel's slab
    grew by: the kernel's objects lie in the machine's own pages, so what a scheme costs is there.
    Then fork several tasks that use the same window, and count again: bytes a pte that shows a
    page. Both are done with N pages and with N/2 pages; the figures are the slope, free of what
    does not grow. The pte itself, 8 bytes in every scheme, and the tables that hold it are not
    counted.
    """
    pages, forks = PAGES[scale], FORKS[scale]
    costs = [measure(case, pages, forks) for case in cases(DESIGNS)]
    times = _core_times(cases(DESIGNS), CORE_CALLS[scale])
    special, others = costs[0], costs[1:]
    least = min(others, key=lambda cost: cost.bytes_shared)
    return Outcome(
        parameters={
            "pages": f"{pages:,}",
            "tasks that share the window": str(forks + 1),
            "NRPTE": str(NRPTE),
        },
        measures={
            "special": max(special.bytes_alone, special.bytes_shared),
            "others": least.bytes_shared,
            "special_ops": special.allocations,
            "speed": min(
                (time for name, time in times.items() if name != SPECIAL),
                key=lambda time: time.median,
            ),
        },
        figure=" / ".join(f"{cost.bytes_shared:.3g}" for cost in costs) + " B a pte, shared",
        tables=(_table(costs, times),),
        pictures=(_picture(costs),),
        explanation=_explain(costs),
    )


def _core_times(chosen: Sequence[Case], calls: int) -> dict[str, Spread]:
    """Return each nonlinear case's core time for a page, over the special VMA's."""
    sides = {case.name: partial(core_time, case, calls) for case in chosen if case.name != EMULATED}
    seen = rounds(ROUNDS, sides)
    return {name: ratios(values, seen[SPECIAL]) for name, values in seen.items()}


def _table(costs: Sequence[Cost], times: dict[str, Spread]) -> Table:
    headers = (
        "scheme",
        "B a page, one task",
        f"B a pte, {costs[0].tasks} tasks",
        "VMAs a page",
        "chain blocks a page",
        "allocations a page",
        "core time, A = 1",
    )
    rows = [
        (
            cost.case.name,
            f"{cost.bytes_alone:.3g}",
            f"{cost.bytes_shared:.3g}",
            f"{cost.vmas:.3g}",
            f"{cost.chain_blocks:.3g}",
            f"{cost.allocations:.3g}",
            str(times.get(cost.case.name, "-")),
        )
        for cost in costs
    ]
    return Table("Beyond the pte", headers, rows)


def _picture(costs: Sequence[Cost]) -> Bars:
    return Bars(
        "remap-cost",
        "Metadata of a remapped page, beyond its pte",
        "bytes",
        ["a page, one task", f"a pte, {costs[0].tasks} tasks"],
        [Series(cost.case.name, (cost.bytes_alone, cost.bytes_shared)) for cost in costs],
        "log",
    )


def _explain(costs: Sequence[Cost]) -> tuple[str, ...]:
    chain = next((cost for cost in costs if cost.case.name.endswith("pte_chain")), None)
    free = [cost.case.name for cost in costs[1:] if cost.bytes_shared == 0]
    told = []
    if chain is not None:
        told.append(
            f"pte_chain costs {chain.bytes_alone:.3g} B while one task has the window, as struct "
            f"page keeps one pte itself, and {chain.bytes_shared:.3g} B a pte in {chain.tasks} "
            f"tasks: pointers of 8 bytes make a block {POINTER_GROWTH} times the published one's "
            f"size, {POINTER_GROWTH} x {IBM} = {POINTER_GROWTH * IBM:.3g} B."
        )
    if free:
        told.append(
            f"No bytes for a pte either: {'; '.join(free)}. There the ptes are found by a search. "
            "What the special VMA spares beyond that is the work of the fault and of the counts."
        )
    told.append("A VMA is larger here than in 2003: it has 64-bit fields and stands in two trees.")
    return tuple(told)
