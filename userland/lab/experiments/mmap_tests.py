"""C16: test-mmap2 and test-mmap3: many one-page VMAs of one file in 32 processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from pkern.userland.lab.bench import MIB, PAGE, Spread, booted, stretch
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
from pkern.userland.lab.pictures import MISSING, Bars, Series
from pkern.userland.lab.pressure import free_file_pages
from pkern.userland.program import Sys

GENERATIONS = 5  # each process forks in each: 32 in the end
SAMPLE = 64
AT_COST = 1.25
CLEARLY = 10
MAPPING, FORKING = "mapping", "forking and exiting"  # ns for a VMA
VMAS_2004 = {"test-mmap2": 1800 << GENERATIONS, "test-mmap3": 18000 << GENERATIONS}
SOURCE = "20040309193338.GA15865@elte.hu; Pine.GSO.4.58.0403211634350.10248@azure.engin.umich.edu"
PUBLISHED = {"test-mmap2": (0.34, 0.35), "test-mmap3": (3.38, 3.65)}


@dataclass(frozen=True, slots=True)
class Size:
    """Pages of the file and of the window, and rounds."""

    file_pages: int
    window_pages: int
    rounds: int


MMAP2 = {
    Scale.TINY: Size(64, 48, 3),
    Scale.DEFAULT: Size(2048, 1800, 5),
    Scale.FULL: Size(2048, 1800, 5),
}
MMAP3 = {
    Scale.TINY: Size(80, 72, 3),
    Scale.DEFAULT: Size(5000, 4500, 5),
    Scale.FULL: Size(20000, 18000, 5),
}


def map_in_reverse(sys: Sys, fd: int, size: Size) -> int:
    """Map the window page by page with MAP_FIXED, its first page to the file's last; return it."""
    prot, fixed = sys.PROT_READ | sys.PROT_WRITE, sys.MAP_SHARED | sys.MAP_FIXED
    window: int = sys.mmap(0, size.window_pages * PAGE, prot, sys.MAP_SHARED, fd, 0)
    for place in range(size.window_pages):
        page = size.file_pages - 1 - place
        sys.mmap(window + place * PAGE, PAGE, prot, fixed, fd, page * PAGE)
    return window


def fork_all(sys: Sys) -> list[Sys]:
    """Fork five times over and return all processes, the parent first."""
    family = [sys]
    for _ in range(GENERATIONS):
        family += [one.fork() for one in family]
    return family


def work(size: Size) -> Callable[[str], Run]:
    """Return the test as work for one design; what a walk costs is counted at its end."""

    def run(design: str) -> Run:
        vmas = size.window_pages << GENERATIONS
        ram = size.file_pages * PAGE * 2 + vmas * 320 + 64 * MIB
        limits = {"vm.max_map_count": 65530}
        with booted(ram, limits, swap="1M", rmap=design, nrpte=31) as sys:
            fd = sys.open("/dev/shm/window", sys.O_RDWR | sys.O_CREAT, 0o600)
            sys.ftruncate(fd, size.file_pages * PAGE)
            with stretch(sys.kernel) as mapping:
                window = map_in_reverse(sys, fd, size)
            with stretch(sys.kernel) as forking:
                family = fork_all(sys)
            made = int(sys.kernel.counters.nr_vmas)
            with stretch(sys.kernel) as touching:
                _touch_sample(family, window, size)
            a_walk = _visits_a_walk(sys)
            with stretch(sys.kernel) as exiting:
                for one in reversed(family[1:]):
                    one.exit(0)
            counts = {
                "vmas": made,
                "faults": touching.moved["pgfault"],
                "a_walk": a_walk,
                MAPPING: mapping.ns / size.window_pages,
                FORKING: (forking.ns + exiting.ns) / (made - size.window_pages),
            }
            phases = (mapping, forking, touching, exiting)
            return Run(sum(phase.ns for phase in phases), counts)

    return run


def _touch_sample(family: list[Sys], window: int, size: Size) -> None:
    """Touch some pages, spread over the window, in every process."""
    for place in range(0, size.window_pages, max(1, size.window_pages // SAMPLE)):
        for one in family:
            one.touch(window + place * PAGE, 1)


def _visits_a_walk(sys: Sys) -> float:
    """Let reclaim ask for ptes until it has freed a few pages; return VMAs looked at in a walk."""
    with stretch(sys.kernel) as asking:
        free_file_pages(sys.kernel, SAMPLE // 2)
    return asking.moved["rmap_vma_visits"] / max(1, asking.moved["rmap_walks"])


# ---- the page ----


def rule(*, tree: Spread, list_walk: float, tree_walk: float) -> Judgement:
    """tree: time of the test with the tree over pte_chain's in paired rounds. list_walk,
    tree_walk: VMAs looked at each time that a page's ptes are searched for.

    Does not hold if the list looks at less than ten times what the tree does. Holds if it does and
    the tree takes at most 1.25 of pte_chain's time in every round, as published; holds only where
    ptes are searched for if it takes more in every round; else it is not decided.
    """
    figures = (
        f"a search looks at {list_walk:,.0f} VMAs in the list, {tree_walk:,.0f} in the tree; "
        f"making and ending them takes x{tree} of pte_chain's time"
    )
    if list_walk < CLEARLY * tree_walk:
        return fails(figures)
    if tree.at_most(AT_COST):
        return holds(figures)
    if tree.above(AT_COST):
        return only_when(f"ptes are searched for, not while VMAs only come and go ({figures})")
    return undecided(figures)


def _outcome(name: str, size: Size) -> Outcome:
    done = compare(work(size), size.rounds)
    tree, far = done.over(TREE, CHAIN), done.over(LIST, CHAIN)
    chain_s, tree_s = PUBLISHED[name]
    return Outcome(
        parameters={
            "file": f"{size.file_pages:,} pages",
            "window": f"{size.window_pages:,} pages, mapped one by one in reverse",
            "processes": str(1 << GENERATIONS),
            "rounds": f"{size.rounds}, every design in each",
        },
        measures={
            "tree": tree,
            "list_walk": done.count(LIST, "a_walk"),
            "tree_walk": done.count(TREE, "a_walk"),
        },
        figure=f"tree x{tree} of pte_chain's time, list x{far}",
        tables=(
            done.table(
                "All of it: mapping, forking, touching, exiting",
                {"vmas": "VMAs", "faults": "page faults", "a_walk": "VMA visits a walk"},
            ),
            _phases(done),
        ),
        pictures=(_picture(name, done, tree_s / chain_s),),
        explanation=_explain(name, done),
    )


def _phase(done: Compared, design: str, phase: str) -> float:
    """Return ns for a VMA in one phase, the median of the rounds."""
    return median(run.counts[phase] for run in done.runs[design])


def _phases(done: Compared) -> Table:
    rows = [
        (design, *(f"{_phase(done, design, phase):,.0f} ns" for phase in (MAPPING, FORKING)))
        for design in DESIGNS
    ]
    return Table("Time for a VMA", ("reverse map", MAPPING, FORKING), rows)


def _explain(name: str, done: Compared) -> tuple[str, ...]:
    chain_s, tree_s = PUBLISHED[name]
    then, more = chain_s / VMAS_2004[name] * 1e9, (tree_s - chain_s) / VMAS_2004[name] * 1e9
    base = _phase(done, CHAIN, FORKING)
    extra = [_phase(done, TREE, phase) - _phase(done, CHAIN, phase) for phase in (MAPPING, FORKING)]
    return (
        f"The tree takes {extra[0]:,.0f} ns more for a VMA that is mapped and {extra[1]:,.0f} ns "
        f"more for one that is forked and torn down again, where chains take {base:,.0f} ns for "
        f"all of it. In 2004, at 200 MHz, the same test took {then:,.0f} ns a VMA and the tree "
        f"{more:,.0f} ns more.",
        f"{(1 << GENERATIONS) - 1} of {1 << GENERATIONS} VMAs here are copies of the same range of "
        "the file. The tree of 2004 kept VMAs of equal range on a list at one node, so that a "
        "forked copy cost two pointers; this kernel's gives each a node of its own, to be put in "
        "and taken out with the summaries above it.",
        "The published plain list locked the machine up. Here inserting into it costs nothing, as "
        "it is kept in order of arrival, and with memory to spare nobody searches it. Asked for "
        f"the ptes of a page, it looks at {done.count(LIST, 'a_walk'):,.0f} VMAs on average and "
        f"the tree at {done.count(TREE, 'a_walk'):,.0f}: under pressure that is the box locked up.",
    )


def _picture(name: str, done: Compared, published: float) -> Bars:
    def series(design: str) -> Series:
        seen = done.over(design, CHAIN)
        told = {CHAIN: 1.0, TREE: published}.get(design, MISSING)
        return Series(design, [seen.median, told], [seen.low, MISSING], [seen.high, MISSING])

    return Bars(
        name,
        f"{name}: many one-page VMAs in 32 processes",
        "time, pte_chain = 1",
        ["here", "published 2004"],
        [series(design) for design in DESIGNS],
    )


def _published(name: str) -> tuple[Published, ...]:
    chain, tree = PUBLISHED[name]
    return (Published("pte_chain : prio tree, seconds", f"{chain} : {tree}", SOURCE),)


@experiment(
    "test-mmap2",
    title="test-mmap2: 1,800 VMAs in 32 processes",
    claims=("C16",),
    rule=rule,
    published=_published("test-mmap2"),
)
def test_mmap2(scale: Scale) -> Outcome:
    """Map a window of a shared file page by page, in reverse order, with MAP_FIXED, so that no
    two VMAs merge; fork five times over; touch a few pages in each of the 32 processes; let all
    exit. Before the exit, outside the measured time, let reclaim free a few of the touched
    pages, to count what a search for ptes costs.
    """
    return _outcome("test-mmap2", MMAP2[scale])


@experiment(
    "test-mmap3",
    title="test-mmap3: a window of a large shared file in reverse, 32 processes",
    claims=("C16",),
    rule=rule,
    published=_published("test-mmap3"),
)
def test_mmap3(scale: Scale) -> Outcome:
    """As test-mmap2 with more VMAs: published with a file of 20,000 pages and a window of 18,000,
    which is what --full runs.
    """
    return _outcome("test-mmap3", MMAP3[scale])


test_mmap2.__test__ = test_mmap3.__test__ = False  # type: ignore[attr-defined]
