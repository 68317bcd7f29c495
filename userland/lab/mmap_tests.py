"""C16: test-mmap2 and test-mmap3: many one-page VMAs of one file in 32 processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from userland.lab.bench import MIB, PAGE, booted, stretch
from userland.lab.designs import CHAIN, DESIGNS, LIST, TREE, Compared, Run, compare
from userland.lab.experiment import (
    Judgement,
    Outcome,
    Published,
    Scale,
    experiment,
    fails,
    holds,
)
from userland.lab.pictures import MISSING, Bars, Series
from userland.program import Sys

GENERATIONS = 5  # each process forks in each: 32 in the end
SAMPLE = 64
AT_COST = 1.25
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
    Scale.DEFAULT: Size(5000, 4500, 3),
    Scale.FULL: Size(20000, 18000, 3),
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
        with booted(ram, limits, rmap=design, nrpte=31) as sys:
            fd = sys.open("/dev/shm/window", sys.O_RDWR | sys.O_CREAT, 0o600)
            sys.ftruncate(fd, size.file_pages * PAGE)
            with stretch(sys.kernel) as whole:
                window = map_in_reverse(sys, fd, size)
                family = fork_all(sys)
                made = int(sys.kernel.counters.nr_vmas)
                _touch_sample(family, window, size)
                for one in reversed(family[1:]):
                    one.exit(0)
            return Run(whole.ns, {"vmas": made, "faults": whole.moved["pgfault"]})

    return run


def _touch_sample(family: list[Sys], window: int, size: Size) -> None:
    for one in family:
        one.touch(window, min(SAMPLE, size.window_pages) * PAGE)


# ---- the page ----


def rule(*, tree: float, list_: float) -> Judgement:
    """tree, list_: time with that design over pte_chain's (medians of paired rounds).

    Holds if the tree takes at most 1.25 of pte_chain's time, as published.
    """
    figures = f"tree x{tree:.3g}, list x{list_:.3g} of pte_chain's time"
    return holds(figures) if tree <= AT_COST else fails(figures)


def _outcome(name: str, size: Size) -> Outcome:
    done = compare(work(size), size.rounds)
    tree, far = done.over(TREE, CHAIN), done.over(LIST, CHAIN)
    vmas, base = done.count(CHAIN, "vmas"), done.time(CHAIN)
    chain_s, tree_s = PUBLISHED[name]
    return Outcome(
        parameters={
            "file": f"{size.file_pages:,} pages",
            "window": f"{size.window_pages:,} pages, mapped one by one in reverse",
            "processes": str(1 << GENERATIONS),
            "rounds": f"{size.rounds}, every design in each",
        },
        measures={"tree": tree.median, "list_": far.median},
        figure=f"tree x{tree} of pte_chain's time, list x{far}",
        tables=(
            done.table(
                "All of it: mapping, forking, touching, exiting",
                {"vmas": "VMAs", "faults": "page faults"},
            ),
        ),
        pictures=(_picture(name, done, tree_s / chain_s),),
        explanation=(
            f"The tree's x{tree.median:.3g} is what it costs to put a VMA into it and to take it "
            f"out again, {(done.time(TREE) - base) / vmas:,.0f} ns "
            "for each of them: a balanced tree with a summary for each subtree, where a list has "
            "two pointers. In 2004 the same was lost beside a fault and a system call of about a "
            f"microsecond; here all of the rest takes {base / vmas:,.0f} "
            "ns a VMA.",
            f"The published run took {chain_s} s with chains and {tree_s} s with the tree, and the "
            "plain list locked the machine up: its list of VMAs was sorted, so each new VMA "
            "walked it. Here the list is kept in order of arrival and inserting costs nothing; "
            f"the {vmas:,.0f} VMAs hurt a list only when reclaim or truncate "
            "searches it, which this test does not do.",
        ),
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
    """Map a window of a shared file page by page, in reverse order, with MAP_FIXED, so that no two
    VMAs merge; fork five times over; touch a few pages in each of the 32 processes; let all exit.
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
