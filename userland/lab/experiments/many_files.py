"""C7: one window over several files, in each of the three schemes."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass

from pkern.userland.lab.bench import MIB, PAGE, booted, file_of_pages, page_text
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
)
from pkern.userland.lab.pictures import Bars, Series
from pkern.userland.program import Sys

# scale -> (files, pages of the window)
SIZES = {Scale.TINY: (3, 12), Scale.DEFAULT: (8, 4096), Scale.FULL: (8, 32768)}


@dataclass(frozen=True, slots=True)
class Seen:
    """One scheme: VMAs of the window, pages that showed the right page of the right file."""

    vmas: int
    right: int
    answer: str


def rule(*, right: float, pages: float, vmas: float, others_vmas: float) -> Judgement:
    """Holds if the special VMA shows every page of every file correctly in one VMA, while 2.6's
    call cannot leave its own file and plain mmap needs at least a VMA for every two pages.
    """
    if right == pages and vmas == 1 and others_vmas * 2 >= pages:
        return holds(
            f"{right:g} of {pages:g} pages right in {vmas:g} VMA; mmap took {others_vmas:g}"
        )
    return fails(f"{right:g} of {pages:g} pages right in {vmas:g} VMAs; mmap took {others_vmas:g}")


def _place(page: int, nr_files: int) -> tuple[int, int]:
    """Return the file and the index that page of the window shows: never two in a row."""
    return page % nr_files, page // nr_files


def _names(nr_files: int) -> list[str]:
    return [f"file{number:02d}-" for number in range(nr_files)]


def _right(sys: Sys, window: int, pages: int, names: list[str]) -> int:
    right = 0
    for page in range(pages):
        number, index = _place(page, len(names))
        wanted = page_text(names[number], index)
        right += sys.load(window + page * PAGE, len(wanted)) == wanted
    return right


def _vmas_of(sys: Sys, window: int, pages: int) -> int:
    end = window + pages * PAGE
    return sum(window <= vma.start < end for vma in sys.task.mm.vmas())


def _special(sys: Sys, fds: list[int], names: list[str], pages: int) -> Seen:
    window = sys.mmap(0, pages * PAGE, sys.PROT_READ, sys.MAP_SHARED | sys.MAP_NONLINEAR, -1, 0)
    for page in range(pages):
        number, index = _place(page, len(fds))
        sys.remap_file_pages(window + page * PAGE, PAGE, 0, index, 0, fds[number])
    return Seen(_vmas_of(sys, window, pages), _right(sys, window, pages, names), "ok")


def _mixed(sys: Sys, fds: list[int], names: list[str], pages: int) -> Seen:
    """2.6's call has no file to name: the VMA's own is the only one it can show."""
    window = sys.mmap(0, pages * PAGE, sys.PROT_READ, sys.MAP_SHARED, fds[0], 0)
    answer = "ok, but of the VMA's own file"
    for page in range(pages):
        number, index = _place(page, len(fds))
        try:
            sys.remap_file_pages(window + page * PAGE, PAGE, 0, index, 0, fds[number])
        except OSError as error:
            answer = errno.errorcode[error.errno or 0]
    return Seen(_vmas_of(sys, window, pages), _right(sys, window, pages, names), answer)


def _mapped(sys: Sys, fds: list[int], names: list[str], pages: int) -> Seen:
    window = sys.mmap(
        0,
        pages * PAGE,
        sys.PROT_NONE,
        sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_NORESERVE,
        -1,
        0,
    )
    fixed = sys.MAP_SHARED | sys.MAP_FIXED
    for page in range(pages):
        number, index = _place(page, len(fds))
        sys.mmap(window + page * PAGE, PAGE, sys.PROT_READ, fixed, fds[number], index * PAGE)
    return Seen(_vmas_of(sys, window, pages), _right(sys, window, pages, names), "ok")


SCHEMES = {
    "special VMA (A)": _special,
    "2.6's call (B)": _mixed,
    "one VMA a page (C)": _mapped,
}


@experiment(
    "many-files",
    title="One window over several files",
    claims=("C7",),
    rule=rule,
    published=(Published("systems that could", "none", f"the letter, {LETTER_ID}"),),
)
def many_files(scale: Scale) -> Outcome:
    """Fill one window with pages of several files in turn, page by page, so that no two neighbours
    come from the same file; then load every page and compare it with what its file holds there.
    2.6's call takes no file, so what it shows where another file was wanted is counted as wrong.
    """
    nr_files, pages = SIZES[scale]
    names = _names(nr_files)
    with booted(64 * MIB + 3 * pages * PAGE, {"vm.nonlinear": 1}) as sys:
        each = -(-pages // nr_files)
        fds = [file_of_pages(sys, f"/tmp/{name}", each, stamp=name) for name in names]
        seen = {name: scheme(sys, fds, names, pages) for name, scheme in SCHEMES.items()}
    special, mapped = seen["special VMA (A)"], seen["one VMA a page (C)"]
    return Outcome(
        parameters={"files": str(nr_files), "pages of the window": f"{pages:,}"},
        measures={
            "right": special.right,
            "pages": pages,
            "vmas": special.vmas,
            "others_vmas": mapped.vmas,
        },
        figure=f"{nr_files} files in {special.vmas} VMA",
        tables=(_table(seen, pages),),
        pictures=(_picture(seen, pages, nr_files),),
        explanation=()
        if special.right == pages
        else (f"{pages - special.right} pages of the special VMA showed something else.",),
    )


def _table(seen: Mapping[str, Seen], pages: int) -> Table:
    headers = ("scheme", "VMAs", "pages right", "the call's answer")
    rows = [
        (name, f"{s.vmas:,}", f"{s.right:,} of {pages:,}", s.answer) for name, s in seen.items()
    ]
    return Table("The window in each scheme", headers, rows)


def _picture(seen: Mapping[str, Seen], pages: int, nr_files: int) -> Bars:
    return Bars(
        "many-files",
        f"A window of {pages:,} pages over {nr_files} files",
        "number",
        ["VMAs of the window", "pages shown right"],
        [Series(name, (s.vmas, s.right)) for name, s in seen.items()],
        scale="log",
    )
