"""Flags by Linux's names: of pages, of VMAs, of entries of page tables.

Owns nothing but the names; the bits are the core's, and for entries the processor's.
"""

from __future__ import annotations

from collections.abc import Iterable

from pkern.kernel.core import lib
from pkern.kernel.mm.mm import vm_flags

# As Linux's trace events print them (include/trace/events/mmflags.h), ours behind them.
PAGE_FLAGS = tuple(
    (int(getattr(lib, "PG_" + name.upper())), name)
    for name in (
        "referenced", "uptodate", "dirty", "lru", "active", "unevictable", "swapcache", "slab",
        "reserved", "anon", "shmem", "cache", "table", "huge", "tail", "ksm", "lazyfree",
        "droppable", "free", "direct", "executed", "forked",
    )
)  # fmt: skip

# The processor's bits of a present entry, by the names of Linux's _PAGE_*.
PRESENT, ACCESSED, DIRTY, PSE, NX = 1, 0x20, 0x40, 0x80, 1 << 63
ENTRY_BITS = (
    (PRESENT, "PRESENT"),
    (2, "RW"),
    (4, "USER"),
    (ACCESSED, "ACCESSED"),
    (DIRTY, "DIRTY"),
    (PSE, "PSE"),
    (NX, "NX"),
)
PKEY_SHIFT, PKEY_MASK = 59, 15
NOTES = (
    (int(lib.ENTRY_READONLY), "READONLY"),
    (int(lib.ENTRY_UFFD_WP), "UFFD_WP"),
    (int(lib.ENTRY_PROMISED), "PROMISED"),
)
KINDS = {
    int(getattr(lib, "ENTRY_" + name.upper().replace(" ", "_"))): name
    for name in (
        "nothing", "table", "page", "large page", "zero page", "swap", "file", "marker", "promise",
    )
}  # fmt: skip
MARKERS = {1: "uffd-wp", 2: "poison", 4: "guard"}
RIGHTS = ((int(lib.PROT_READ), "r"), (int(lib.PROT_WRITE), "w"), (int(lib.PROT_EXEC), "x"))
VMA_FLAGS = tuple(sorted((bit, name) for name, bit in vm_flags().items() if not bit & (bit - 1)))


def named(bits: int, names: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """Return the names of those bits that are set."""
    return tuple(name for bit, name in names if bits & bit)


def entry_flags(value: int, notes: int) -> tuple[str, ...]:
    """Return the flags of an entry of a page table; of an absent one only the kernel's own."""
    own = named(notes, NOTES)
    if not value & PRESENT:
        return own
    key = value >> PKEY_SHIFT & PKEY_MASK
    return named(value, ENTRY_BITS) + own + ((f"PKEY{key}",) if key else ())
