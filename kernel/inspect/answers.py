"""What the questions give: frozen values, each of which can say itself in lines and as JSON.

Addresses are bytes, pfn, index and pgoff pages; `flags` are Linux's names. Nothing here knows a
machine: a value is what was true when it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pkern.kernel.numbers import counted

PAGE_SIZE = 4096
SHOWN = 16  # items of a long list that are shown as text; JSON has all


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What a question gives: repr() is its text."""

    def lines(self) -> Iterator[str]:
        """Yield the lines of its text."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def as_json(self) -> dict[str, Any]:
        """Return its fields as what JSON knows; numbers stay numbers."""
        return asdict(self)


def joined(flags: tuple[str, ...]) -> str:
    """Return flags as Linux prints them."""
    return "|".join(flags) or "0"


def some(items: tuple[Any, ...]) -> str:
    """Return the first items, and how many there are besides."""
    text = " ".join(map(str, items[:SHOWN]))
    more = len(items) - SHOWN
    return f"{text} ... and {more} more" if more > 0 else text


# ---- page tables ----


@dataclass(frozen=True, slots=True, repr=False)
class Entry(Answer):
    """An entry of a page table. level: pgd, pud, pmd or pte; table: the frame it stands in.

    kind: nothing, table, page, large page, zero page, swap, file, marker or promise; number: of
    the page frame, the page of the file, the swap entry or the marker.
    """

    level: str
    table: int
    index: int
    value: int
    kind: str
    number: int
    flags: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        flags = f"  {joined(self.flags)}" if self.flags else ""
        place = f"{self.level}[{self.index}]"
        yield f"{place:9} of frame {self.table:<6} {self.value:#018x} {self.told()}{flags}"

    def told(self) -> str:
        """Return in words what it leads to."""
        from pkern.kernel.inspect.names import MARKERS

        return {
            "table": f"-> table in frame {self.number}",
            "page": f"-> page {self.number}",
            "large page": f"-> large page from {self.number} on",
            "zero page": f"-> the zero page, {self.number}",
            "swap": f"swap: {slot_text(self.number)}",
            "file": f"file pte: page {self.number} of the file",
            "marker": f"marker: {MARKERS.get(self.number, self.number)}",
            "promise": "a large page is kept for it",
        }.get(self.kind, "nothing")


def slot_text(entry: int) -> str:
    """Return a swap entry as area and slot: Linux's type and offset."""
    return f"area {entry & 31}, slot {entry >> 5}"


@dataclass(frozen=True, slots=True, repr=False)
class Walk(Answer):
    """How an address is translated: the entry of each level, as far as there are tables."""

    pid: int
    addr: int
    entries: tuple[Entry, ...]
    vma: Area | None

    def lines(self) -> Iterator[str]:
        yield f"walk {self.addr:#x} in process {self.pid}"
        for entry in self.entries:
            yield from (f"  {line}" for line in entry.lines())
        yield f"  {self.vma.line()}" if self.vma else "  no VMA is there"

    @property
    def pfn(self) -> int | None:
        """The page frame that holds the address's page, or None."""
        last = self.entries[-1]
        if last.kind == "large page":
            return last.number + (self.addr >> 12 & 511)
        return last.number if last.kind in ("page", "zero page") else None


# ---- areas ----


@dataclass(frozen=True, slots=True, repr=False)
class Area(Answer):
    """A VMA, and how many of its pages are what.

    file: what maps shows. present: entries of pages of its own or a file's; pgoff: pages.
    cursor: of a nonlinear one, the next address that reclaim unmaps; 0: none.
    """

    pid: int
    start: int
    end: int
    perms: str
    flags: tuple[str, ...]
    pgoff: int
    file: str
    inode: int
    present: int
    zero: int
    swapped: int
    file_ptes: int
    markers: int
    cursor: int

    def line(self) -> str:
        """Return it in one line."""
        name = f" {self.file}" if self.file else ""
        return f"vma {self.start:x}-{self.end:x} {self.perms}{name}"

    def lines(self) -> Iterator[str]:
        yield self.line() + f" in process {self.pid}"
        yield f"  {joined(self.flags)}"
        if self.inode:
            yield f"  inode {self.inode}, from page {self.pgoff} on"
        pages = counted((self.end - self.start) // PAGE_SIZE, "page")
        yield (
            f"  of {pages}: {self.present} present, "
            f"{self.zero} the zero page, {self.swapped} in swap, {self.file_ptes} file ptes, "
            f"{counted(self.markers, 'marker')}"
        )
        if self.cursor:
            yield f"  reclaim goes on at {self.cursor:#x}"


# ---- pages ----


@dataclass(frozen=True, slots=True, repr=False)
class Mapper(Answer):
    """An entry that maps a page: whose, where, in which VMA (its start)."""

    pid: int
    addr: int
    pte: int
    vma: int

    def lines(self) -> Iterator[str]:
        yield f"process {self.pid} at {self.addr:#x} (vma {self.vma:x}), pte {self.pte:#x}"


@dataclass(frozen=True, slots=True, repr=False)
class Mappers(Answer):
    """Who maps a page, by one design of the reverse map, and what it looked at to know.

    kept: whether the machine has what the design needs; compare keeps it for all of them.
    """

    design: str
    in_force: bool
    kept: bool
    found: tuple[Mapper, ...]
    vma_visits: int
    pte_visits: int
    block_touches: int

    def lines(self) -> Iterator[str]:
        name = self.design + (" (in force)" if self.in_force else "")
        if not self.kept:
            yield f"{name}: not kept on this machine"
            return
        yield (
            f"{name}: {len(self.found)} found, looking at {self.vma_visits} VMAs, "
            f"{self.pte_visits} ptes, {self.block_touches} blocks"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Page(Answer):
    """A page frame: its struct page, whose it is, and who maps it.

    owner: in words. mapping: the inode number it caches, 0: none. pins: entries of special VMAs,
    which no reverse map knows; pinners: who they are. slot: its swap entry, 0: none. blocks: of its
    pte chain.
    """

    pfn: int
    flags: tuple[str, ...]
    refcount: int
    mapcount: int
    pins: int
    index: int
    mapping: int
    owner: str
    slot: int
    blocks: int
    node: int
    mappers: tuple[Mappers, ...]
    pinners: tuple[Mapper, ...]

    def lines(self) -> Iterator[str]:
        yield f"page {self.pfn}: {joined(self.flags)}"
        yield f"  {self.owner}"
        if "free" in self.flags:
            return
        yield f"  refcount {self.refcount}, mapcount {self.mapcount}, pins {self.pins}"
        if self.slot:
            yield f"  the same is in swap: {slot_text(self.slot)}"
        for asked in self.mappers if self.mapcount else ():
            yield from (f"  {line}" for line in asked.lines())
        for found in next((asked.found for asked in self.mappers if asked.kept), ()):
            yield from (f"    {line}" for line in found.lines())
        for found in self.pinners:
            yield from (f"    special: {line}" for line in found.lines())


# ---- lists, swap, slab, TLB ----


@dataclass(frozen=True, slots=True, repr=False)
class List(Answer):
    """A list of pages by age, the youngest first: reclaim takes from the end."""

    name: str
    pfns: tuple[int, ...]

    def lines(self) -> Iterator[str]:
        yield f"{self.name} ({len(self.pfns)}): {some(self.pfns)}".rstrip(" :")


@dataclass(frozen=True, slots=True, repr=False)
class Cursor(Answer):
    """Where a scan of address spaces goes on; pid 0: with the first one."""

    name: str
    pid: int
    addr: int

    def lines(self) -> Iterator[str]:
        where = f"process {self.pid} at {self.addr:#x}" if self.pid else "the first process"
        yield f"{self.name} goes on with {where}"


@dataclass(frozen=True, slots=True, repr=False)
class Lru(Answer):
    """The lists of pages by age, and the cursors of scans."""

    lists: tuple[List, ...]
    cursors: tuple[Cursor, ...]

    def lines(self) -> Iterator[str]:
        for part in (*self.lists, *self.cursors):
            yield from part.lines()


@dataclass(frozen=True, slots=True, repr=False)
class Slot(Answer):
    """A slot of a swap area that is in use. count: who names it; cached: a frame, 0: none."""

    slot: int
    count: int
    cached: int

    def lines(self) -> Iterator[str]:
        cached = f", also in page {self.cached}" if self.cached else ""
        yield f"slot {self.slot}: named {counted(self.count, 'time')}{cached}"


@dataclass(frozen=True, slots=True, repr=False)
class SwapArea(Answer):
    """A swap area: slots without the header's; next: where a free slot is looked for."""

    path: str
    number: int
    priority: int
    nr_slots: int
    nr_used: int
    next: int
    slots: tuple[Slot, ...]

    def lines(self) -> Iterator[str]:
        yield (
            f"{self.path}: area {self.number}, priority {self.priority}, "
            f"{self.nr_used} of {self.nr_slots} slots in use, next {self.next}"
        )
        for slot in self.slots[:SHOWN]:
            yield from (f"  {line}" for line in slot.lines())
        if len(self.slots) > SHOWN:
            yield f"  ... and {len(self.slots) - SHOWN} more"


@dataclass(frozen=True, slots=True, repr=False)
class Swap(Answer):
    """The swap areas."""

    areas: tuple[SwapArea, ...]

    def lines(self) -> Iterator[str]:
        if not self.areas:
            yield "no swap area is on"
        for area in self.areas:
            yield from area.lines()


@dataclass(frozen=True, slots=True, repr=False)
class Cache(Answer):
    """A slab cache: size in bytes of an object, objects in use and that there is room for."""

    name: str
    size: int
    live: int
    room: int
    pages: int

    def lines(self) -> Iterator[str]:
        yield (
            f"{self.name:22} {self.live:>6} of {self.room:<6} objects of {self.size} bytes "
            f"in {counted(self.pages, 'page')}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class Slab(Answer):
    """The caches of the kernel's own objects."""

    caches: tuple[Cache, ...]

    def lines(self) -> Iterator[str]:
        for cache in self.caches:
            yield from cache.lines()


@dataclass(frozen=True, slots=True, repr=False)
class TlbEntry(Answer):
    """A translation that the kernel remembers. rights: of rwx."""

    addr: int
    pfn: int
    rights: str

    def lines(self) -> Iterator[str]:
        yield f"{self.addr:#x} -> page {self.pfn} {self.rights}"


@dataclass(frozen=True, slots=True, repr=False)
class Tlb(Answer):
    """The translations that the kernel's own accesses have left in an address space's TLB."""

    pid: int
    entries: tuple[TlbEntry, ...]

    def lines(self) -> Iterator[str]:
        yield f"{len(self.entries)} translations of process {self.pid}"
        for entry in self.entries:
            yield from (f"  {line}" for line in entry.lines())


# ---- files ----


@dataclass(frozen=True, slots=True, repr=False)
class Item(Answer):
    """A page of a file that is cached or in swap. pfn, slot: 0 for none."""

    index: int
    pfn: int
    slot: int

    def lines(self) -> Iterator[str]:
        yield f"{self.index}: " + (f"page {self.pfn}" if self.pfn else slot_text(self.slot))


@dataclass(frozen=True, slots=True, repr=False)
class Showing(Answer):
    """A VMA that shows a file. cursor: as of Area."""

    pid: int
    start: int
    end: int
    pgoff: int
    flags: tuple[str, ...]
    cursor: int

    def lines(self) -> Iterator[str]:
        yield f"process {self.pid} {self.start:x}-{self.end:x} from page {self.pgoff} on"


@dataclass(frozen=True, slots=True, repr=False)
class Mapping(Answer):
    """A file's pages, and the VMAs that show it. size: bytes. inode: its number."""

    file: str
    inode: int
    size: int
    nr_pages: int
    nr_swapped: int
    items: tuple[Item, ...]
    showings: tuple[Showing, ...]

    def lines(self) -> Iterator[str]:
        yield f"{self.file}: inode {self.inode}, {self.size} bytes"
        yield f"  {counted(self.nr_pages, 'page')} cached, {self.nr_swapped} in swap"
        for item in self.items[:SHOWN]:
            yield from (f"    {line}" for line in item.lines())
        if len(self.items) > SHOWN:
            yield f"    ... and {len(self.items) - SHOWN} more"
        yield f"  {len(self.showings)} VMAs show it"
        for showing in self.showings:
            yield from (f"    {line}" for line in showing.lines())
