"""C6, C18: truncate meets nonlinear pages: three rules over the same ptes, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkern.kernel.errors import BusError
from pkern.userland.lab.bench import MIB, PAGE, booted, counts, file_of_pages, page_text
from pkern.userland.lab.claims import LETTER_ID
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
)
from pkern.userland.lab.pictures import Bars, Series, Strips
from pkern.userland.lab.ptes import Pte, window_ptes
from pkern.userland.program import Sys

PAGES = {Scale.TINY: 16, Scale.DEFAULT: 64, Scale.FULL: 64}
POSITION, INDEX, OURS, SEPARATE = (
    "by linear position (2.5.66)",
    "by page index (2.6.6)",
    "this kernel, mixed VMA",
    "separate special VMA",
)

# ---- C6: which ptes truncate takes ----


def zapped_by_position(ptes: Sequence[Pte], first_index: int, pgoff: int) -> set[int]:
    """Return the places that 2.5.66 zaps: those that would show the truncated pages if linear."""
    return {pte.place for pte in ptes if pte.present and pgoff + pte.place >= first_index}


def zapped_by_index(ptes: Sequence[Pte], first_index: int) -> set[int]:
    """Return the places that 2.6.6 zaps in a nonlinear VMA: those that show a truncated page."""
    return {pte.place for pte in ptes if pte.present and pte.index >= first_index}


@dataclass(frozen=True, slots=True)
class Judged:
    """A rule's work on one window: places zapped, and where it was wrong.

    looked_at: ptes that the rule must look at; 0: observed from outside, not counted.
    """

    zapped: set[int]
    wrongly_zapped: list[int]
    wrongly_kept: list[int]
    kept_by_rule: list[int]
    looked_at: int

    @property
    def wrong(self) -> int:
        """Ptes that were zapped or kept wrongly."""
        return len(self.wrongly_zapped) + len(self.wrongly_kept)


def judged(ptes: Sequence[Pte], first_index: int, zapped: set[int], looked_at: int) -> Judged:
    """Compare what a rule zapped with what shows truncated pages."""
    gone = {pte.place for pte in ptes if pte.present and pte.index >= first_index}
    return Judged(zapped, sorted(zapped - gone), sorted(gone - zapped), [], looked_at)


def rule(*, position: float, index: float, ours: float, separate: float) -> Judgement:
    """Each measure: ptes wrongly zapped or wrongly kept, by 2.5.66's rule (position), by 2.6.6's
    (index), by this kernel in a mixed VMA (ours), and with the remapped pages in a special VMA of
    their own (separate; pages it keeps by its own rule are not wrong).

    Does not hold if position is 0 or if separate VMAs are wrong anywhere. Holds if no rule gets a
    mixed VMA right; holds only when truncate goes by linear position if index and ours are 0.
    """
    figures = f"wrong ptes: {position:g} by position, {index:g} by index, {separate:g} if separate"
    if position == 0 or separate > 0:
        return fails(figures)
    if index == 0 and ours == 0:
        return only_when(f"truncate goes by linear position, as in 2.5.66 ({figures})")
    return holds(figures)


def _half_remapped(sys: Sys, pages: int) -> tuple[int, int]:
    """Return fd and window: every odd place shows the file's page counted from the other end."""
    fd = file_of_pages(sys, "/dev/shm/half", pages)
    window = sys.mmap(0, pages * PAGE, sys.PROT_READ | sys.PROT_WRITE, sys.MAP_SHARED, fd, 0)
    for place in range(1, pages, 2):
        sys.remap_file_pages(window + place * PAGE, PAGE, 0, pages - 1 - place, 0)
    sys.touch(window, pages * PAGE)
    return fd, window


def _mixed(pages: int, first: int) -> tuple[list[Pte], Judged, dict[str, Judged]]:
    """Truncate a half-remapped window; also say what the two old rules would have done to it."""
    with booted(16 * MIB, {"vm.nonlinear": 1}) as sys:
        fd, window = _half_remapped(sys, pages)
        before = window_ptes(sys, window, pages)
        sys.ftruncate(fd, first * PAGE)
        after = window_ptes(sys, window, pages)
    zapped = {old.place for old, new in zip(before, after, strict=True) if new.kind != "page"}
    models = {
        POSITION: judged(before, first, zapped_by_position(before, first, 0), pages - first),
        INDEX: judged(before, first, zapped_by_index(before, first), pages),
    }
    return before, judged(before, first, zapped, 0), models


def _separate(pages: int, first: int) -> Judged:
    """Do the same with a linear VMA for the even places and a special VMA for the odd ones."""
    with booted(16 * MIB, {"vm.nonlinear": 1}) as sys:
        fd = file_of_pages(sys, "/dev/shm/half", pages)
        prot = sys.PROT_READ | sys.PROT_WRITE
        linear = sys.mmap(0, pages * PAGE, prot, sys.MAP_SHARED, fd, 0)
        special = sys.mmap(0, pages * PAGE, prot, sys.MAP_SHARED | sys.MAP_NONLINEAR, -1, 0)
        for place in range(pages):
            at = linear + place * PAGE
            if place % 2:
                at = special + place * PAGE
                sys.remap_file_pages(at, PAGE, 0, pages - 1 - place, 0, fd)
            sys.touch(at, PAGE)
        before = _woven(sys, linear, special, pages)
        sys.ftruncate(fd, first * PAGE)
        after = _woven(sys, linear, special, pages)
    zapped = {old.place for old, new in zip(before, after, strict=True) if new.kind != "page"}
    seen = judged(before, first, zapped, pages - first)
    kept = [place for place in seen.wrongly_kept if place % 2]
    wrongly_kept = [place for place in seen.wrongly_kept if place % 2 == 0]
    return Judged(zapped, seen.wrongly_zapped, wrongly_kept, kept, pages - first)


def _woven(sys: Sys, linear: int, special: int, pages: int) -> list[Pte]:
    """Return the ptes as one window: even places of the linear VMA, odd ones of the special VMA."""
    sides = (window_ptes(sys, linear, pages), window_ptes(sys, special, pages))
    return [sides[place % 2][place] for place in range(pages)]


@experiment(
    "truncate-mixed",
    title="Truncating a half-remapped window",
    claims=("C6",),
    rule=rule,
    published=(Published("2.5.66's vmtruncate", "zaps by linear position", "its source"),),
)
def truncate_mixed(scale: Scale) -> Outcome:
    """Map a file linearly, remap every odd page of the window to the file's page counted from
    the other end, touch everything, and truncate the file to half. The real ptes are read from
    the page tables before and after. 2.5.66's rule (zap the places that would show the
    truncated pages if the VMA were linear) and 2.6.6's (look at every pte of a nonlinear VMA,
    zap those whose page was truncated) are applied as pure functions to the ptes read before;
    this kernel's own truncate is observed. In the separate design the odd places lie in a
    special VMA, which truncate leaves alone by rule.
    """
    pages = PAGES[scale]
    first = pages // 2
    before, ours, models = _mixed(pages, first)
    seen = models | {OURS: ours, SEPARATE: _separate(pages, first)}
    return Outcome(
        parameters={
            "window": f"{pages} pages, {pages // 2} remapped",
            "truncated to": f"{first} pages",
        },
        measures={
            "position": seen[POSITION].wrong,
            "index": seen[INDEX].wrong,
            "ours": seen[OURS].wrong,
            "separate": seen[SEPARATE].wrong,
        },
        figure=f"{seen[POSITION].wrong} of {pages} ptes wrong by position, {ours.wrong} by index",
        tables=(_counts_table(seen), _places_table(seen)),
        pictures=(_strips(before, first, seen),),
        explanation=(
            f"By index nothing is wrong, here as in 2.6.6, at the price of looking at all "
            f"{seen[INDEX].looked_at} ptes of the VMA for {len(seen[INDEX].zapped)} to zap; by "
            f"position {seen[POSITION].looked_at} are looked at. The special VMA keeps "
            f"{len(seen[SEPARATE].kept_by_rule)} by rule; what becomes of them is on the page of "
            "truncate-special.",
        ),
    )


def _counts_table(seen: dict[str, Judged]) -> Table:
    rows = [
        (
            name,
            str(one.looked_at or "not counted"),
            str(len(one.zapped)),
            str(len(one.wrongly_zapped)),
            str(len(one.wrongly_kept)),
            str(len(one.kept_by_rule)),
        )
        for name, one in seen.items()
    ]
    headers = ("rule", "ptes looked at", "zapped", "wrongly zapped", "wrongly kept", "kept by rule")
    return Table("What each rule does to the window", headers, rows)


def _places_table(seen: dict[str, Judged]) -> Table:
    def text(places: Sequence[int]) -> str:
        return ", ".join(map(str, places)) or "-"

    rows = [(n, text(one.wrongly_zapped), text(one.wrongly_kept)) for n, one in seen.items()]
    return Table("Places of the window, from 0", ("rule", "wrongly zapped", "wrongly kept"), rows)


def _strips(before: Sequence[Pte], first: int, seen: dict[str, Judged]) -> Strips:
    kinds = ("page stays", "zapped, rightly", "zapped, wrongly", "kept, wrongly", "kept by rule")

    def cell(one: Judged, place: int) -> int:
        if place in one.wrongly_zapped:
            return 2
        if place in one.wrongly_kept:
            return 3
        if place in one.kept_by_rule:
            return 4
        return int(place in one.zapped)

    return Strips(
        "truncate-mixed",
        f"Truncate to {first} pages: what becomes of each place of the window",
        "place in the window (page); odd ones are remapped",
        [name.replace(" (", "\n(").replace(", ", ",\n") for name in seen],
        kinds,
        [[cell(one, pte.place) for pte in before] for one in seen.values()],
    )


# ---- C18: what the special VMA keeps ----

STALE = b"written after the truncate"


@dataclass(frozen=True, slots=True)
class Moment:
    """The state after one step: pages in cache and pinned, free frames, and what two readers
    see.
    """

    step: str
    cached: int
    pinned: int
    free: int
    window: bytes
    file: bytes


def rule_kept(
    *,
    shown: float,
    left_cache: float,
    frames_live: float,
    leaked: float,
    freed: float,
    pages: float,
) -> Judgement:
    """Of the truncated pages: shown, still readable and writable through the window;
    left_cache, no longer in the page cache; frames_live, whose frame is still in use; leaked,
    whose late writes are seen in the file after it has grown again; freed, frames given back by
    munmap.

    Holds if all but leaked equal pages, and leaked is 0.
    """
    figures = (
        f"of {pages:g} truncated pages {left_cache:g} left the cache, {shown:g} stay shown, "
        f"{leaked:g} reach the file again, {freed:g} frames freed by munmap"
    )
    good = {shown, left_cache, frames_live, freed} == {pages} and leaked == 0
    return holds(figures) if good else fails(figures)


def _moment(sys: Sys, step: str, fd: int, window: int, place: int) -> Moment:
    moved = counts(sys.kernel)
    return Moment(
        step,
        moved["nr_file"],
        moved["nr_special"],
        moved["nr_free"],
        sys.load(window + place * PAGE, len(STALE)) if window else b"",
        sys.pread64(fd, len(STALE), place * PAGE),
    )


def _mixed_access(pages: int) -> str:
    """Return what an access of a truncated page gives in a 2.6 mapping."""
    with booted(16 * MIB, {"vm.nonlinear": 1}) as sys:
        fd, window = _half_remapped(sys, pages)
        sys.ftruncate(fd, 0)
        try:
            sys.load(window + PAGE, 1)
        except BusError:
            return "SIGBUS"
    return "no signal"


@experiment(
    "truncate-special",
    title="What a special VMA keeps of a truncated file",
    claims=("C18",),
    rule=rule_kept,
    published=(
        Published("the price", "writes after the truncate are lost", f"the letter, {LETTER_ID}"),
    ),
)
def truncate_special(scale: Scale) -> Outcome:
    """Show all pages of a file in a special VMA, truncate the file to half, write through the
    window to every page beyond the new end, let the file grow again, and unmap the window.
    After each step count pages and frames, and read one truncated page through the window and
    through the file.
    """
    pages = PAGES[scale]
    first = pages // 2
    with booted(16 * MIB, {"vm.nonlinear": 1}) as sys:
        moments, measures = _kept(sys, pages, first)
    return Outcome(
        parameters={"file": f"{pages} pages", "truncated to": f"{first} pages"},
        measures=measures,
        figure=f"{measures['shown']} of {measures['pages']} truncated pages stay shown, "
        f"{measures['leaked']} reach the file again",
        tables=(_moments_table(moments),),
        pictures=(_moments_picture(moments),),
        explanation=(
            f"In a 2.6 mapping (B) an access of a truncated page is {_mixed_access(pages)}: there "
            "the program learns of the truncate, and no write is lost without a sign.",
        ),
    )


def _kept(sys: Sys, pages: int, first: int) -> tuple[list[Moment], dict[str, float]]:
    """Return what each step has shown, and the measures of rule_kept(). first: page cut off."""
    gone = range(first, pages)
    fd = file_of_pages(sys, "/dev/shm/kept", pages)
    prot, flags = sys.PROT_READ | sys.PROT_WRITE, sys.MAP_SHARED | sys.MAP_NONLINEAR
    window = sys.mmap(0, pages * PAGE, prot, flags, -1, 0)
    sys.remap_file_pages(window, pages * PAGE, 0, 0, 0, fd)
    moments = [_moment(sys, "remapped", fd, window, first)]
    sys.ftruncate(fd, first * PAGE)
    moments.append(_moment(sys, "truncated", fd, window, first))
    shown = sum(sys.load(window + i * PAGE, 8) == page_text("", i) for i in gone)
    still = sum(pte.present and not pte.in_cache for pte in window_ptes(sys, window, pages))
    for index in gone:
        sys.store(window + index * PAGE, STALE)
    moments.append(_moment(sys, "written through the window", fd, window, first))
    sys.ftruncate(fd, pages * PAGE)
    leaked = sum(any(sys.pread64(fd, PAGE, i * PAGE)) for i in gone)
    moments.append(_moment(sys, "grown again, read through the file", fd, window, first))
    before_unmap = counts(sys.kernel)
    sys.munmap(window, pages * PAGE)
    moments.append(_moment(sys, "window unmapped", fd, 0, first))
    after = counts(sys.kernel)
    tables_freed = before_unmap["nr_pagetable"] - after["nr_pagetable"]
    slab_freed = before_unmap["nr_slab"] - after["nr_slab"]
    return moments, {
        "shown": shown,
        "left_cache": moments[0].cached - moments[1].cached,
        "frames_live": still,
        "leaked": leaked,
        "freed": after["nr_free"] - before_unmap["nr_free"] - tables_freed - slab_freed,
        "pages": len(gone),
    }


def _moments_table(moments: Sequence[Moment]) -> Table:
    def text(data: bytes) -> str:
        shown = data.rstrip(b"\0").decode(errors="replace")
        return shown or ("zeroes" if data else "-")

    rows = [
        (m.step, str(m.cached), str(m.pinned), f"{m.free:,}", text(m.window), text(m.file))
        for m in moments
    ]
    headers = ("after", "cache pages", "pinned", "free frames", "window shows", "file shows")
    return Table("One truncated page, step by step", headers, rows)


def _moments_picture(moments: Sequence[Moment]) -> Bars:
    return Bars(
        "truncate-special",
        "Pages of the file and pages of the window, step by step",
        "pages",
        [moment.step.replace(" ", "\n", 1).replace(", ", ",\n") for moment in moments],
        [
            Series("in the page cache", [m.cached for m in moments]),
            Series("pinned by the window", [m.pinned for m in moments]),
        ],
    )
