"""What the page tables of a task really hold: read from the core, for pages that show a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pkern.kernel.core import ffi, lib
from pkern.userland.lab.bench import PAGE
from pkern.userland.program import Sys

LEVELS = 4
PRESENT = 1
FILE_PTE = 0x80
PFN_MASK = 0x000F_FFFF_FFFF_F000


@dataclass(frozen=True, slots=True)
class Pte:
    """One place of a window: what stands there ("page", "file pte", "nothing") and its file index.

    place: page of the window, from 0. index: page of the file, -1 for nothing. in_cache: the frame
    is still a page of the file.
    """

    place: int
    kind: str
    index: int
    in_cache: int

    @property
    def present(self) -> int:
        """1 if a frame stands here."""
        return int(self.kind == "page")


def window_ptes(sys: Sys, at: int, pages: int) -> list[Pte]:
    """Read the ptes of a window of pages pages at address at, without touching them."""
    return [_read(sys, place, at + place * PAGE) for place in range(pages)]


def _read(sys: Sys, place: int, addr: int) -> Pte:
    entries = ffi.new("uint64_t[]", LEVELS)
    depth = int(lib.mm_walk(sys.task.mm.handle, addr, entries))
    entry = int(entries[LEVELS - 1]) if depth == LEVELS else 0
    if entry & PRESENT:
        page = _page(sys, (entry & PFN_MASK) // PAGE)
        return Pte(place, "page", int(page.index), int(bool(page.flags & lib.PG_CACHE)))
    if entry & FILE_PTE:
        return Pte(place, "file pte", entry // PAGE, 0)
    return Pte(place, "nothing", -1, 0)


def _page(sys: Sys, pfn: int) -> Any:
    info = ffi.new("struct page_info *")
    lib.machine_page_info(sys.kernel.core, pfn, info)
    return info
