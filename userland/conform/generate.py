"""Random sequences of memory calls, made from a seed and nothing else.

Addresses are drawn from two small windows so that calls meet: one at a fixed place for
MAP_FIXED and hints, and the pages just below the top, where the kernel places what it
chooses itself.  Lengths stay far below 2 MiB, so no huge page's alignment plays a part.
Called by run.py and by the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from pkern.userland.conform.calls import PAGE, Call, Calls, Kind, Slot, Window

FIXED_BASE = 0x10000000
FIXED_PAGES = 10
TOP_PAGES = 14

PROT = (0, 1, 1, 3, 3, 3, 3, 2, 5, 7)
SHARED, PRIVATE, FIXED, ANONYMOUS = 0x01, 0x02, 0x10, 0x20
EXTRA_FLAGS = (
    *(0,) * 12,
    0x2000,  # MAP_LOCKED
    0x4000,  # MAP_NORESERVE
    0x8000,  # MAP_POPULATE
    0x8000,
    0x18000,  # MAP_POPULATE | MAP_NONBLOCK
    0x40,  # MAP_32BIT
    0x20000,  # MAP_STACK
    0x0800,  # MAP_DENYWRITE
    0x100,  # MAP_GROWSDOWN
)
GUARD_INSTALL, GUARD_REMOVE = 102, 103
ADVICE = (
    *(0, 1, 2, 3, 4, 4, 4, 4, 8, 9, 9, 10, 11, 16, 17, 18, 19, 20, 22, 23, 23, 24, 77),
    *(GUARD_INSTALL, GUARD_INSTALL, GUARD_REMOVE),
)
MREMAP_FLAGS = (0, 1, 1, 1, 1, 3, 3, 2, 5, 7, 4, 8)
MSYNC_FLAGS = (4, 4, 4, 1, 2, 5, 6, 0, 8)
BAD_LENGTH = (0, (1 << 64) - 1, (1 << 64) - PAGE)
TOO_LONG = 1 << 56  # more than user space, with page tables of four levels or five
HUGE_LENGTH = (1 << 63, TOO_LONG, (1 << 47) - PAGE)

T = TypeVar("T")


class Chance(Random):
    """Random with a choice that costs little: what is chosen from is always short."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.mapped: list[int] = []  # addresses in bytes that calls have asked for

    def choice(self, values: Sequence[T]) -> T:  # type: ignore[override]
        return values[int(self.random() * len(values))]

    def randrange(self, stop: int) -> int:  # type: ignore[override]
        return int(self.random() * stop)


_F0, _F1, _F2, _F0_READONLY, _NONE = Slot.F0, Slot.F1, Slot.F2, Slot.F0_READONLY, Slot.NONE
_MAPPED = (_NONE, _NONE, _NONE, _F0, _F0, _F1, _F2, _F0_READONLY)
_SIZED = (_F0, _F0, _F0, _F1, _F1, _F2, _F2, _F0_READONLY, _NONE)
_READ = (_F0, _F0, _F1, _F2, _F0_READONLY, _NONE)


def sequence(seed: int, index: int, calls: int, window: Window) -> Calls:
    """Make the index-th sequence of a seed, of so many calls."""
    random = Chance(f"{seed}/{index}")
    first = [_mmap(random, window) for _ in range(min(4, calls))]
    rest = [_any(random, window) for _ in range(calls - len(first))]
    return tuple(first + rest)


def _any(random: Chance, window: Window) -> Call:
    return random.choice(_MAKERS)(random, window)


def _page_address(random: Chance, window: Window) -> int:
    if random.random() < 0.5:
        return FIXED_BASE + random.randrange(FIXED_PAGES) * PAGE
    depth = min(random.randrange(TOP_PAGES), random.randrange(TOP_PAGES))
    return window.top - (depth + 1) * PAGE


def _address(random: Chance, window: Window) -> int:
    address = _page_address(random, window)
    if random.random() < 0.03:
        return address + random.choice((1, 8, 0x800, PAGE - 1))
    return address


def _length(random: Chance, window: Window, address: int) -> int:
    """Give a length in bytes that never reaches beyond the window's top."""
    if random.random() < 0.03:
        return random.choice(BAD_LENGTH)
    pages = random.choice((1, 1, 1, 2, 2, 3, 4, 6, 9))
    pages = max(1, min(pages, (window.top - address) // PAGE))
    if address + pages * PAGE > window.top:
        return window.top - address
    if random.random() < 0.06:
        return pages * PAGE - random.choice((1, 8, 0x800, PAGE - 1))
    return pages * PAGE


def _range(random: Chance, window: Window) -> tuple[int, int]:
    address = _address(random, window)
    return address, _length(random, window, address)


def _mmap(random: Chance, window: Window) -> Call:
    address, length = _range(random, window)
    flags = random.choice((SHARED, PRIVATE, PRIVATE)) | random.choice(EXTRA_FLAGS)
    if random.random() < 0.02:
        flags = flags & ~3 | random.choice((0, 3))
    slot, offset = _file(random)
    if slot == Slot.NONE:
        flags |= ANONYMOUS
    place = random.random()
    if place < 0.45:
        address = 0
    elif place < 0.75:
        flags |= FIXED
    elif place < 0.80:
        flags |= 0x100000
    elif place < 0.81:
        address, flags = 0x1000, flags | FIXED
    if random.random() < 0.01:
        length = random.choice(HUGE_LENGTH)
    if FIXED_BASE <= address < window.top:
        random.mapped.append(address & -PAGE)
    return Call(Kind.MMAP, (address, length, random.choice(PROT), flags, slot, offset))


def _file(random: Chance) -> tuple[int, int]:
    """Pick a file's slot and an offset in bytes."""
    slot = random.choice(_MAPPED)
    if slot == Slot.NONE:
        return slot, 0
    if random.random() < 0.03:
        return random.choice((slot, Slot.NONE)), random.choice((1, 0x800, (1 << 64) - PAGE))
    return slot, random.choice(_READ) * PAGE


def _munmap(random: Chance, window: Window) -> Call:
    address, length = _range(random, window)
    if random.random() < 0.03:
        length = random.choice((1 << 63, TOO_LONG))
    return Call(Kind.MUNMAP, (address, length))


def _mprotect(random: Chance, window: Window) -> Call:
    return Call(Kind.MPROTECT, (*_range(random, window), random.choice((*PROT, 8))))


def _mremap(random: Chance, window: Window) -> Call:
    address, old = _range(random, window)
    if random.random() < 0.15:
        old = 0 if random.random() < 0.3 else old
    target = _address(random, window)
    new = _length(random, window, max(address, target))
    return Call(Kind.MREMAP, (address, old, new, random.choice(MREMAP_FLAGS), target))


def _madvise(random: Chance, window: Window) -> Call:
    return Call(Kind.MADVISE, (*_range(random, window), random.choice(ADVICE)))


def _ftruncate(random: Chance, window: Window) -> Call:
    size = random.choice((0, 1, 100, 2, 3, 4, 6, 8, 12)) * random.choice(
        (PAGE, PAGE, PAGE, 1, 1234)
    )
    if random.random() < 0.02:
        size = 1 << 63
    return Call(Kind.FTRUNCATE, (random.choice(_SIZED), size))


def _msync(random: Chance, window: Window) -> Call:
    return Call(Kind.MSYNC, (*_range(random, window), random.choice(MSYNC_FLAGS)))


def _mincore(random: Chance, window: Window) -> Call:
    return Call(Kind.MINCORE, _range(random, window))


def _mlock(random: Chance, window: Window) -> Call:
    return Call(Kind.MLOCK, _range(random, window))


def _munlock(random: Chance, window: Window) -> Call:
    return Call(Kind.MUNLOCK, _range(random, window))


def _mlock2(random: Chance, window: Window) -> Call:
    return Call(Kind.MLOCK2, (*_range(random, window), random.choice((0, 1, 1, 2))))


def _word(random: Chance, window: Window) -> int:
    """Give the address of eight bytes within one page, more often than not of one in use."""
    used = random.mapped and random.random() < 0.6
    page = random.choice(random.mapped) if used else _page_address(random, window)
    return page + random.choice((0, 0, 0, 96, 104, 2048, PAGE - 8))


def _load(random: Chance, window: Window) -> Call:
    return Call(Kind.LOAD, (_word(random, window),))


def _store(random: Chance, window: Window) -> Call:
    return Call(Kind.STORE, (_word(random, window), random.getrandbits(62)))


def _position(random: Chance) -> int:
    return random.randrange(8) * PAGE + random.choice((0, 0, 96, 2048, PAGE - 4))


def _pread(random: Chance, window: Window) -> Call:
    return Call(Kind.PREAD, (random.choice(_READ), _position(random)))


def _pwrite(random: Chance, window: Window) -> Call:
    slot = random.choice(_READ)
    return Call(Kind.PWRITE, (slot, _position(random), random.getrandbits(62)))


_TABLE: tuple[tuple[Callable[[Chance, Window], Call], int], ...] = (
    (_mmap, 20),
    (_munmap, 5),
    (_mprotect, 10),
    (_mremap, 12),
    (_madvise, 9),
    (_ftruncate, 5),
    (_msync, 3),
    (_mincore, 6),
    (_mlock, 3),
    (_munlock, 2),
    (_mlock2, 2),
    (_load, 16),
    (_store, 16),
    (_pread, 2),
    (_pwrite, 2),
)
_MAKERS = tuple(make for make, weight in _TABLE for _ in range(weight))
