"""C14: what fork and exit pay for the reverse map, and what reclaim gets for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pkern.userland.lab.bench import MIB, PAGE, Spread, stretch, time_text
from pkern.userland.lab.designs import CHAIN, DESIGNS, LIST, TREE, Compared, Run, compare
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
from pkern.userland.lab.pictures import Bars, Lines, Series
from pkern.userland.lab.pressure import disk_machine, free_file_pages, look_at
from pkern.userland.program import Sys


@dataclass(frozen=True, slots=True)
class Size:
    """VMAs of the file, pages of each, tasks that share them, and rounds."""

    vmas: int
    vma_pages: int
    tasks: int
    rounds: int

    @property
    def pages(self) -> int:
        """Pages that are mapped."""
        return self.vmas * self.vma_pages


SIZES = {
    Scale.TINY: Size(4, 32, 8, 3),
    Scale.DEFAULT: Size(16, 256, 16, 5),
    Scale.FULL: Size(100, 600, 16, 5),
}
NRPTE = 7
SAME = 0.05


def rule(*, fork: Spread, reclaim: Spread, crossover: float) -> Judgement:
    """fork, reclaim: time of pte_chain's fork+exit over the tree's, and of the tree's reclaim
    of a page over pte_chain's, in paired rounds. crossover: forks of a page for each time that it
    is reclaimed, at which both designs cost the same.

    Does not hold if fork is not above 1.05 in any round. If it is in every round: holds if reclaim
    is not above 1.05 in any (the fast path is cheaper and nothing is paid for it), and holds only
    when there are more forks than the crossover for each page reclaimed, if reclaim is above 1.05
    in every round. Else it is not decided.
    """
    figures = f"fork+exit costs x{fork} with chains, reclaim x{reclaim} with the tree"
    if fork.at_most(1 + SAME):
        return fails(figures)
    if fork.above(1 + SAME) and reclaim.at_most(1 + SAME):
        return holds(figures)
    if fork.above(1 + SAME) and reclaim.above(1 + SAME):
        return only_when(
            f"a page is forked {crossover:.2g} times or more for each reclaim ({figures})"
        )
    return undecided(figures)


def _map_all(sys: Sys, size: Size) -> list[int]:
    """Map the file as rmap-test does: VMAs that never merge, a page of the file between them."""
    fd = sys.open("/host/mapped", sys.O_RDWR | sys.O_CREAT, 0o600)
    stride = size.vma_pages + 1
    sys.ftruncate(fd, size.vmas * stride * PAGE)
    places = [
        sys.mmap(0, size.vma_pages * PAGE, sys.PROT_READ, sys.MAP_SHARED, fd, i * stride * PAGE)
        for i in range(size.vmas)
    ]
    for place in places:
        look_at(sys, place, size.vma_pages * PAGE)
    return places


def fork_work(size: Size) -> Callable[[str], Run]:
    """Return the fast path as work: fork all tasks, let all exit; ns for a pte."""

    def work(design: str) -> Run:
        with disk_machine(_ram(size), rmap=design, nrpte=NRPTE) as sys:
            _map_all(sys, size)
            with stretch(sys.kernel) as done:
                children = [sys.fork() for _ in range(size.tasks)]
                held = int(sys.kernel.counters.rmap_bytes)
                for child in children:
                    child.exit(0)
        ptes = size.tasks * size.pages
        touches = done.moved["rmap_block_touches"] / ptes
        return Run(done.ns / ptes, {"touches": touches, "bytes": held / ptes})

    return work


def reclaim_work(size: Size) -> Callable[[str], Run]:
    """Return reclaim as work: free every page, each mapped by all tasks; ns for a page."""

    def work(design: str) -> Run:
        with disk_machine(_ram(size), rmap=design, nrpte=NRPTE) as sys:
            _map_all(sys, size)
            children = [sys.fork() for _ in range(size.tasks)]
            with stretch(sys.kernel) as done:
                freed = free_file_pages(sys.kernel, size.pages)
            for child in children:
                child.exit(0)
        counted = ("rmap_vma_visits", "rmap_pte_visits", "rmap_block_touches")
        return Run(done.ns / freed, {name: done.moved[name] / freed for name in counted})

    return work


def _ram(size: Size) -> int:
    ptes = size.pages * (size.tasks + 1)
    return size.pages * PAGE + ptes * 24 + size.vmas * (size.tasks + 1) * 512 + 32 * MIB


def crossover(forks: Compared, reclaims: Compared, design: str) -> float:
    """Return how often a page is forked for each reclaim where design costs what pte_chain costs.

    0: it is never dearer; infinity: it is never cheaper.
    """
    saved = forks.time(CHAIN) - forks.time(design)
    lost = reclaims.time(design) - reclaims.time(CHAIN)
    if lost <= 0:
        return 0.0
    return lost / saved if saved > 0 else float("inf")


@experiment(
    "fork-cost",
    title="The fast path against reclaim",
    claims=("C14",),
    rule=rule,
    published=(
        Published("kernbench, system time, 16-way", "112.76 -> 98.29 s (-13 %)",
                  "7490000.1045715152@[10.10.2.4]"),
        Published("kernbench, pte_chain -> partial objrmap, anon_vma", "121.95 -> 97.16, 96.17 s",
                  "20040324162116.GQ2065@dualathlon.random"),
        Published("page_add_rmap, ticks", "6415 -> 2055", "7490000.1045715152@[10.10.2.4]"),
    ),
)  # fmt: skip
def fork_cost(scale: Scale) -> Outcome:
    """A task maps a file with several VMAs and looks at every page. First the fast path: fork
    as many tasks as given (fork copies the ptes of files, as until 2.6.13), and let all exit.
    Then, on a fresh machine, the same tasks stay while reclaim frees every page of the file.
    Each design does both in every round. The crossover is the number of forks of a page for
    each reclaim of it at which a design costs as much as pte_chain: (reclaim - reclaim of
    chains) / (fork of chains - fork).
    """
    size = SIZES[scale]
    forks = compare(fork_work(size), size.rounds)
    reclaims = compare(reclaim_work(size), size.rounds)
    fork, reclaim = forks.over(CHAIN, TREE), reclaims.over(TREE, CHAIN)
    even = crossover(forks, reclaims, TREE)
    return Outcome(
        parameters={
            "file": f"{size.pages:,} pages in {size.vmas} VMAs",
            "tasks": f"{size.tasks} forked",
            "NRPTE": str(NRPTE),
            "rounds": f"{size.rounds}, every design in each",
        },
        measures={"fork": fork, "reclaim": reclaim, "crossover": even},
        figure=f"fork+exit: chains x{fork} of the tree; reclaim: tree x{reclaim} of chains",
        tables=(
            forks.table(
                "fork+exit, for a pte",
                {"touches": "chain blocks touched", "bytes": "bytes held"},
            ),
            reclaims.table(
                f"reclaim, for a page that {size.tasks + 1} tasks map",
                {
                    "rmap_vma_visits": "VMA visits",
                    "rmap_pte_visits": "pte visits",
                    "rmap_block_touches": "chain blocks touched",
                },
            ),
            _crossovers(forks, reclaims),
        ),
        pictures=(_costs(forks, reclaims), _lines(forks, reclaims)),
        explanation=_explain(forks, reclaims, size),
    )


def _crossovers(forks: Compared, reclaims: Compared) -> Table:
    rows = [
        (
            design,
            time_text(forks.time(design)),
            time_text(reclaims.time(design)),
            "-" if design == CHAIN else f"{crossover(forks, reclaims, design):.3g}",
        )
        for design in DESIGNS
    ]
    headers = (
        "reverse map",
        "fork+exit, a pte",
        "reclaim, a page",
        "forks a reclaim to break even",
    )
    return Table("The crossover with pte_chain", headers, rows)


def _costs(forks: Compared, reclaims: Compared) -> Bars:
    def series(design: str) -> Series:
        pair = (forks.over(design, CHAIN), reclaims.over(design, CHAIN))
        return Series(
            design,
            [one.median for one in pair],
            [one.low for one in pair],
            [one.high for one in pair],
        )

    return Bars(
        "fork-cost",
        "What a pte costs at fork+exit, and a page at reclaim",
        "time, pte_chain = 1",
        ["fork + exit", "reclaim"],
        [series(design) for design in DESIGNS],
        "log",
    )


def _lines(forks: Compared, reclaims: Compared) -> Lines:
    at = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)

    def cost(design: str, times: float) -> float:
        return times * forks.time(design) + reclaims.time(design)

    return Lines(
        "fork-cost-crossover",
        "Total cost by how often a page is forked for each reclaim",
        "forks of a page for each reclaim of it",
        "time, pte_chain = 1",
        at,
        [
            Series(design, [cost(design, times) / cost(CHAIN, times) for times in at])
            for design in DESIGNS
        ],
        "log",
        "log",
    )


def _explain(forks: Compared, reclaims: Compared, size: Size) -> tuple[str, ...]:
    told = [
        f"At fork and exit chains touch {forks.count(CHAIN, 'touches'):.3g} blocks for each pte "
        f"and hold {forks.count(CHAIN, 'bytes'):.3g} bytes for it; the searching designs do "
        f"nothing there. At reclaim chains touch "
        f"{reclaims.count(CHAIN, 'rmap_block_touches'):.3g} blocks a page where the tree visits "
        f"{reclaims.count(TREE, 'rmap_vma_visits'):.3g} VMAs."
    ]
    if LIST in DESIGNS:
        told.append(
            f"The list visits {reclaims.count(LIST, 'rmap_vma_visits'):,.0f} VMAs a page, and so "
            f"breaks even only at {crossover(forks, reclaims, LIST):.3g} forks a reclaim."
        )
    told.append(
        "The published figures are of whole builds, in which fork and exit are a part; the "
        "figures here are of fork and exit alone, so they are larger."
    )
    return tuple(told)
