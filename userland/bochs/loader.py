"""The boot loader of the emulated machine: what lies where in guest RAM.

Owns the guest's linear layout, its page tables and the boot page that guest.S reads. Pure: it
computes pages and where they belong; the emulator stores them by system calls.

    linear   CODE  STACK  BOOT  TABLE  SLIDE_PTE  SLIDE        DATA ...
    first    the file's first part is shown at DATA           (CR3 A)
    second   the file's second part is shown at the same DATA (CR3 B)
    third    the last pages, one after the other, at SLIDE    (invlpg)

Every page of the guest lies in a frame drawn from one seeded shuffle.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pkern.userland.bochs.image import image_entry
from pkern.userland.cpu import CpuStart

PAGE = 4096
ENTRIES = 512
WINDOW_BYTES = 1 << 30
CODE, STACK, BOOT, TABLE = 0x100000, 0x200000, 0x300000, 0x400000
SLIDE_PTE, SLIDE, DATA = 0x500000, 0x600000, 0x10000000
SLIDE_PAGES = 4
MAX_FILE_BYTES = WINDOW_BYTES - DATA
MIN_RAM_BYTES = 16 << 20
OTHER_PAGES = 64  # code, stack, boot page, upper tables: more than are used

PRESENT, WRITE, USER, LARGE, NX = 1, 2, 4, 0x80, 1 << 63
READ_ONLY, READ_WRITE, READ_EXEC = PRESENT | NX, PRESENT | WRITE | NX, PRESENT
BOOT_PAGE = struct.Struct("<10Q")
BOOT_MAGIC = 0x74736575676B70


class LoadError(ValueError):
    """The file or the guest does not fit into the emulated machine."""


@dataclass(frozen=True, slots=True)
class Parts:
    """How many bytes of the file each of the guest's three ways reads."""

    first: int
    second: int
    slide: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A guest ready to be stored: its start, its own pages, and the frame of each file page."""

    start: CpuStart
    pages: dict[int, bytes]
    file_frames: list[int]


def pages_of(nbytes: int) -> int:
    """Return how many pages hold nbytes."""
    return -(-nbytes // PAGE)


def slot_of(linear: int, level: int) -> int:
    """Return which entry of a table of that level translates linear."""
    return linear >> 12 + 9 * level & ENTRIES - 1


def ram_bytes_for(file_bytes: int) -> int:
    """Return the size of guest RAM (bytes) for a file, with room to scatter it.

    Errors: LoadError when the window cannot show the file.
    """
    if file_bytes > MAX_FILE_BYTES:
        raise LoadError(f"the file has {file_bytes} bytes; the guest can read {MAX_FILE_BYTES}")
    nr_pages = pages_of(file_bytes)
    wanted = (nr_pages + nr_pages // 128 + OTHER_PAGES) * 5 // 4 * PAGE
    return max(MIN_RAM_BYTES, -(-wanted // (1 << 20)) << 20)


def split_file(file_bytes: int) -> Parts:
    """Divide a file into the guest's three parts; the last takes the incomplete page."""
    slide = min(pages_of(file_bytes), SLIDE_PAGES)
    rest = pages_of(file_bytes) - slide
    first = rest // 2 * PAGE
    second = rest * PAGE - first
    return Parts(first, second, file_bytes - first - second)


class Frames:
    """The free frames of guest RAM in an order that only the seed decides; frame 0 stays free."""

    def __init__(self, ram_bytes: int, seed: int) -> None:
        """Shuffle the frames of ram_bytes."""
        self._free = list(range(1, ram_bytes // PAGE))
        random.Random(seed).shuffle(self._free)

    def take(self) -> int:
        """Return a free frame's number. Errors: LoadError when there is none."""
        if not self._free:
            raise LoadError("the guest does not fit into its RAM")
        return self._free.pop()


class Tables:
    """x86-64 page tables under construction: a dict of frames, 512 entries each."""

    def __init__(self, frames: Frames) -> None:
        """Take the frames of tables from `frames`."""
        self._frames = frames
        self._tables: dict[int, list[int]] = {}

    def new(self) -> int:
        """Return the frame of a new, empty table."""
        frame = self._frames.take()
        self._tables[frame] = [0] * ENTRIES
        return frame

    def entry(self, table: int, slot: int) -> int:
        """Return one entry of a table."""
        return self._tables[table][slot]

    def set_entry(self, table: int, slot: int, entry: int) -> None:
        """Write one entry of a table."""
        self._tables[table][slot] = entry

    def table_at(self, root: int, linear: int, level: int) -> int:
        """Return the frame of the table of a level (3: root .. 0: last), making those above."""
        table = root
        for above in range(3, level, -1):
            slot = slot_of(linear, above)
            entries = self._tables[table]
            if not entries[slot]:
                entries[slot] = self.new() * PAGE | PRESENT | WRITE | USER
            table = entries[slot] // PAGE
        return table

    def map(self, root: int, linear: int, frame: int, bits: int) -> None:
        """Let linear show frame with the given entry bits."""
        table = self.table_at(root, linear, 0)
        self.set_entry(table, slot_of(linear, 0), frame * PAGE | bits)

    def map_large(self, root: int, linear: int, physical: int, bits: int) -> None:
        """Let linear show the 2 MiB at physical (bytes, so aligned)."""
        table = self.table_at(root, linear, 1)
        self.set_entry(table, slot_of(linear, 1), physical | bits | LARGE)

    def pages(self) -> Iterator[tuple[int, bytes]]:
        """Yield (frame, contents) of every table."""
        for frame, entries in self._tables.items():
            yield frame, struct.pack(f"<{ENTRIES}Q", *entries)


def plan_guest(image: bytes, file_bytes: int, ram_bytes: int, seed: int) -> Plan:
    """Lay the guest and a file of file_bytes out in ram_bytes of guest RAM.

    Errors: LoadError, ImageError.
    """
    entry = image_entry(image)
    frames = Frames(ram_bytes, seed)
    file_frames = [frames.take() for _ in range(pages_of(file_bytes))]
    parts = split_file(file_bytes)
    tables = Tables(frames)
    roots = (tables.new(), tables.new())
    pages = _common_pages(tables, roots, frames, image)
    _map_data(tables, roots, file_frames, parts)
    boot = frames.take()
    for root in roots:
        tables.map(root, BOOT, boot, READ_WRITE)
    tables.map(roots[1], SLIDE, boot, READ_ONLY)  # an old page for the first invlpg to drop
    pages[boot] = _boot_page(roots[1], parts, file_frames)
    pages.update(tables.pages())
    start = CpuStart(rip=CODE + entry, rsp=STACK + PAGE, rdi=BOOT, cr3=roots[0] * PAGE)
    return Plan(start, pages, file_frames)


def _common_pages(
    tables: Tables, roots: tuple[int, int], frames: Frames, image: bytes
) -> dict[int, bytes]:
    """Map what both address spaces share and return the pages that have contents."""
    pages = {}
    shared = [(STACK, frames.take(), READ_WRITE), (TABLE, frames.take(), READ_WRITE)]
    for offset in range(0, len(image), PAGE):
        frame = frames.take()
        pages[frame] = image[offset : offset + PAGE]
        shared.append((CODE + offset, frame, READ_EXEC))
    for linear, frame, bits in shared:
        for root in roots:
            tables.map(root, linear, frame, bits)
    slide_table = tables.table_at(roots[1], SLIDE, 0)
    tables.map(roots[1], SLIDE_PTE, slide_table, READ_WRITE)
    return pages


def _map_data(tables: Tables, roots: tuple[int, int], file_frames: list[int], parts: Parts) -> None:
    """Show the file's first and second part at the same linear addresses."""
    middle = parts.first // PAGE
    end = middle + parts.second // PAGE
    for root, shown in zip(roots, (file_frames[:middle], file_frames[middle:end]), strict=True):
        for index, frame in enumerate(shown):
            tables.map(root, DATA + index * PAGE, frame, READ_ONLY)


def _boot_page(root_b: int, parts: Parts, file_frames: list[int]) -> bytes:
    """Return what guest.S expects at BOOT: ten words, then the sliding page's entries."""
    slide = file_frames[(parts.first + parts.second) // PAGE :]
    pte_address = SLIDE_PTE + slot_of(SLIDE, 0) * 8
    head = BOOT_PAGE.pack(
        BOOT_MAGIC,
        DATA,
        parts.first,
        parts.second,
        parts.slide,
        root_b * PAGE,
        SLIDE,
        pte_address,
        TABLE,
        len(slide),
    )
    entries = [frame * PAGE | READ_ONLY for frame in slide]
    return head + struct.pack(f"<{len(entries)}Q", *entries)
