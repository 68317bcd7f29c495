"""C8: a file remapped in reverse, page by page: VMAs against nonlinear ptes, here and on the
host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time_ns

from pkern.userland.bench.programs import no_collection
from pkern.userland.lab import host
from pkern.userland.lab.bench import (
    MIB,
    PAGE,
    Spread,
    booted,
    file_of_pages,
    page_text,
    ratios,
    rounds,
    spread,
    time_text,
)
from pkern.userland.lab.claims import KIRILL
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
from pkern.userland.lab.schemes import EMULATED, MIXED, SCHEMES, SPECIAL, sysctls

# scale -> (pages, passes over all pages)
SIZES = {Scale.TINY: (64, 2), Scale.DEFAULT: (16384, 3), Scale.FULL: (1048576, 10)}
HOST_PAGES = 60000  # below its vm.max_map_count, with room for this process's own VMAs
HOST = "the host's emulation"
PAIRED_ROUNDS = {Scale.TINY: 3, Scale.DEFAULT: 5, Scale.FULL: 5}
SAMPLES = 257
PUBLISHED_RATIO = 1.88
LIGHTER = 1.0


def rule(*, over_b: Spread, over_a: Spread, wrong: float) -> Judgement:
    """over_a, over_b: time of a remap by VMAs (C) over that of the special VMA (A) and of 2.6's
    nonlinear pte (B), in paired rounds; wrong: sampled pages that showed something else.

    Does not hold if a page is wrong or over_a is not above 1 in any round. Holds if both are above
    1 in every round; holds only when the pte is outside the VM if over_a alone is and over_b in
    none. Else it is not decided.
    """
    figures = f"a VMA a page costs x{over_a} of A and x{over_b} of B"
    if wrong or over_a.at_most(LIGHTER):
        return fails(f"{figures}, {wrong:g} sampled pages wrong")
    if over_a.above(LIGHTER) and over_b.above(LIGHTER):
        return holds(figures)
    if over_a.above(LIGHTER) and over_b.at_most(LIGHTER):
        return only_when(f"the pte carries no reverse map ({figures})")
    return undecided(figures)


@dataclass(slots=True)
class Side:
    """Measured once a round: ns a remap. vmas, wrong: of the last round."""

    name: str
    pages: int
    passes: int
    vmas: int = 0
    wrong: int = 0

    def __call__(self) -> float:
        """Remap all pages in reverse, passes times, and return ns for one call."""
        return _on_host(self) if self.name == HOST else _on_ours(self)


def _time_remaps(remap: Callable[[int, int], object], at: int, pages: int, passes: int) -> float:
    places = [(at + i * PAGE, pages - 1 - i) for i in range(pages)]
    with no_collection():
        start = process_time_ns()
        for _ in range(passes):
            for addr, index in places:
                remap(addr, index)
        return (process_time_ns() - start) / (passes * pages)


def _samples(pages: int) -> range:
    return range(0, pages, max(pages // SAMPLES, 1))


def _on_ours(side: Side) -> float:
    scheme = SCHEMES[side.name]
    ram = side.pages * PAGE * 5 // 4 + 16 * MIB
    with booted(ram, sysctls(side.pages) | scheme.sysctl) as sys:
        fd = file_of_pages(sys, "/dev/shm/reverse", side.pages)
        at = scheme.open_window(sys, fd, side.pages * PAGE)
        ns = _time_remaps(scheme.remap(sys, fd), at, side.pages, side.passes)
        side.vmas = sum(at <= vma.start < at + side.pages * PAGE for vma in sys.task.mm.vmas())
        side.wrong = sum(
            sys.load(at + i * PAGE, 8) != page_text("", side.pages - 1 - i)
            for i in _samples(side.pages)
        )
    return ns


def _on_host(side: Side) -> float:
    length = side.pages * PAGE
    prot = host.PROT_READ | host.PROT_WRITE
    with (
        host.memory_file(side.pages) as fd,
        host.region(length, prot, host.MAP_SHARED, fd) as at,
    ):
        remap = lambda addr, index: host.remap_file_pages(addr, PAGE, index)  # noqa: E731
        ns = _time_remaps(remap, at, side.pages, side.passes)
        side.vmas = side.pages
        side.wrong = sum(
            host.page_bytes(at + i * PAGE, 8) != page_text("", side.pages - 1 - i)
            for i in _samples(side.pages)
        )
    return ns


@experiment(
    "reverse-remap",
    title="A file remapped in reverse",
    claims=("C8",),
    rule=rule,
    published=(
        Published(
            "4 GB of shmem, each page remapped in reverse, ten passes: nonlinear, with VMAs",
            "23.3 s, 43.9 s: x1.88",
            KIRILL,
        ),
    ),
)
def reverse_remap(scale: Scale) -> Outcome:
    """Map a shared-memory file of N pages and remap it in reverse, one page a call, several
    passes: page i of the window shows page N-1-i of the file. Every scheme does it in every
    round, each on a fresh machine; afterwards sampled pages are compared with what they should
    show. The host does the same by its own call 216, which splits VMAs since Linux 4.0, with as
    many pages as it allows.
    """
    pages, passes = SIZES[scale]
    sides = [Side(name, pages, passes) for name in SCHEMES]
    if host.can_remap():
        sides.append(Side(HOST, min(pages, HOST_PAGES), min(passes, 3)))
    seen = rounds(PAIRED_ROUNDS[scale], {side.name: side for side in sides})
    over_a, over_b = ratios(seen[EMULATED], seen[SPECIAL]), ratios(seen[EMULATED], seen[MIXED])
    return Outcome(
        parameters={"pages": f"{pages:,}", "passes": str(passes), "rounds": _rounds(scale)},
        measures={
            "over_b": over_b,
            "over_a": over_a,
            "wrong": sum(side.wrong for side in sides),
        },
        figure=f"C over B: x{over_b}; C over A: x{over_a}",
        tables=(_table(sides, seen),),
        pictures=(_picture(sides, seen),),
        explanation=_explain(over_b),
    )


def _rounds(scale: Scale) -> str:
    return f"{PAIRED_ROUNDS[scale]}, every scheme in each"


def _table(sides: list[Side], seen: dict[str, list[float]]) -> Table:
    rows = [
        (
            side.name,
            f"{side.pages:,}",
            f"{side.vmas:,}",
            time_text(spread(seen[side.name]).median),
            str(ratios(seen[side.name], seen[SPECIAL])),
            str(ratios(seen[side.name], seen[MIXED])),
        )
        for side in sides
    ]
    headers = ("scheme", "pages", "VMAs", "one call", "over A", "over B")
    return Table("One remap_file_pages of one page, called from Python", headers, rows)


def _picture(sides: list[Side], seen: dict[str, list[float]]) -> Bars:
    spreads = [ratios(seen[side.name], seen[MIXED]) for side in sides]
    return Bars(
        "reverse-remap",
        "One page remapped: time relative to 2.6's nonlinear pte (B)",
        "time, B = 1",
        ["this run", "published"],
        [_series(side, value) for side, value in zip(sides, spreads, strict=True)],
    )


def _series(side: Side, value: Spread) -> Series:
    there = {MIXED: 1.0, EMULATED: PUBLISHED_RATIO}.get(side.name, MISSING)
    return Series(side.name, (value.median, there), (value.low, there), (value.high, there))


def _explain(over_b: Spread) -> tuple[str, ...]:
    return (
        f"The published x{PUBLISHED_RATIO} stands beside x{over_b}. Both include what is the same "
        "in either scheme: there the entry into the kernel and the touch of each page, here "
        "Python's call. The counts on the page of remap-cost are free of that.",
    )
