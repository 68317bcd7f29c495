"""Random sequences of memory calls, made from a seed and nothing else.

Addresses are drawn from two small windows so that calls meet: one at a fixed place for
MAP_FIXED and hints, and the pages just below the top, where the kernel places what it
chooses itself.  Lengths stay far below 2 MiB, so no huge page's alignment plays a part.
Called by run.py and by the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, TypeVar

from pkern.userland.conform.calls import PAGE, Call, Calls, Kind, Slot, Window

FIXED_BASE = 0x10000000
FIXED_PAGES = 10
TOP_PAGES = 14

PROT = (0, 1, 1, 3, 3, 3, 3, 2, 5, 7)
SHARED, PRIVATE, FIXED, ANONYMOUS = 0x01, 0x02, 0x10, 0x20
SHARING = (SHARED, PRIVATE, PRIVATE)
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
TURN = 0.3  # how often the other process goes on, after a fork
GUARD_INSTALL, GUARD_REMOVE = 102, 103
ADVICE: tuple[int, ...] = (
    *(0, 1, 2, 3, 4, 4, 4, 4, 8, 9, 9, 10, 11, 16, 17, 18, 19, 20, 22, 23, 23, 24, 77),
    *(GUARD_INSTALL, GUARD_INSTALL, GUARD_REMOVE),
)
# A call of Linux 6.18 that does not end is not drawn.
BESIDE_MARKS = tuple(advice for advice in ADVICE if advice != GUARD_INSTALL)
MREMAP_FLAGS = (0, 1, 1, 1, 1, 3, 3, 2, 5, 7, 4, 8)
MSYNC_FLAGS = (4, 4, 4, 1, 2, 5, 6, 0, 8)
ODD_BYTES = (1, 8, 0x800, PAGE - 1)
WORDS = (0, 0, 0, 96, 104, 2048, PAGE - 8)  # in a page: where one lies
LENGTHS = tuple(pages * PAGE for pages in (1, 1, 1, 2, 2, 3, 4, 6, 9))
BAD_LENGTH = (0, (1 << 64) - 1, (1 << 64) - PAGE)
TOO_LONG = 1 << 56  # more than user space, with page tables of four levels or five
HUGE_LENGTH = (1 << 63, TOO_LONG, (1 << 47) - PAGE)

T = TypeVar("T")


class Chance(Random):
    """Random with a choice that costs little: what is chosen from is always short."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.mapped: list[int] = []  # addresses in bytes that calls have asked for
        self.watched: list[int] = []  # pages that a userfaultfd was asked to watch
        self.advice = ADVICE
        self.files: tuple[int, ...] = ()  # slots of files that the sequence makes itself

    def choice(self, values: Sequence[T]) -> T:  # type: ignore[override]
        return values[int(self.random() * len(values))]

    def randrange(self, stop: int) -> int:  # type: ignore[override]
        return int(self.random() * stop)


Maker = Callable[["Chance", Window], Call]
_F0, _F1, _F2, _F0_READONLY, _NONE = Slot.F0, Slot.F1, Slot.F2, Slot.F0_READONLY, Slot.NONE
_MAPPED = (_NONE, _NONE, _NONE, _F0, _F0, _F1, _F2, _F0_READONLY)
_SIZED = (_F0, _F0, _F0, _F1, _F1, _F2, _F2, _F0_READONLY, _NONE)
_READ = (_F0, _F0, _F1, _F2, _F0_READONLY, _NONE)


def sequence(seed: int, index: int, calls: int, window: Window) -> Calls:
    """Make the index-th sequence of a seed, of so many calls."""
    random = Chance(f"{seed}/{index}")
    mix = random.choice(_MIXES)
    makers = _MAKERS + tuple(make for flavour in mix for make in flavour.often)
    steps = [make(random, window) for flavour in mix for make in flavour.first]
    steps += [_mmap(random, window) for _ in range(4)]
    if FORK not in mix:
        steps += _drawn(random, window, makers, calls - len(steps))
        return tuple(steps[:calls])
    before = random.randrange(max(calls // 2, 1))
    steps += _drawn(random, window, makers, before - len(steps))
    steps = [*steps[: calls - 1], Call(Kind.FORK, ())]
    actor = 0
    for _ in range(calls - len(steps)):
        if random.random() < TURN:
            actor = 1 - actor
        call = random.choice(makers)(random, window)
        steps.append(Call(call.kind, call.args, actor))
    return tuple(steps)


def _drawn(random: Chance, window: Window, makers: Sequence[Maker], count: int) -> list[Call]:
    """Draw so many calls."""
    draw, kinds = random.random, len(makers)
    return [makers[int(draw() * kinds)](random, window) for _ in range(count)]


# What is drawn most often draws by itself, as Chance's functions do.


def _page_address(random: Chance, window: Window) -> int:
    draw = random.random
    if draw() < 0.5:
        return FIXED_BASE + int(draw() * FIXED_PAGES) * PAGE
    depth, other = int(draw() * TOP_PAGES), int(draw() * TOP_PAGES)
    return window.top - ((depth if depth < other else other) + 1) * PAGE


def _address(random: Chance, window: Window) -> int:
    address = _page_address(random, window)
    return address + random.choice(ODD_BYTES) if random.random() < 0.03 else address


def _length(random: Chance, window: Window, address: int) -> int:
    """Give a length in bytes that never reaches beyond the window's top."""
    draw = random.random
    if draw() < 0.03:
        return random.choice(BAD_LENGTH)
    nbytes, room = LENGTHS[int(draw() * len(LENGTHS))], window.top - address
    if nbytes > room:
        nbytes = max(room & -PAGE, PAGE)
        if nbytes > room:
            return room
    if draw() < 0.06:
        return nbytes - random.choice(ODD_BYTES)
    return nbytes


def _range(random: Chance, window: Window) -> tuple[int, int]:
    address = _address(random, window)
    return address, _length(random, window, address)


def _mmap(random: Chance, window: Window) -> Call:
    address, length = _range(random, window)
    draw = random.random
    flags = SHARING[int(draw() * 3)] | EXTRA_FLAGS[int(draw() * len(EXTRA_FLAGS))]
    if draw() < 0.02:
        flags = flags & ~3 | random.choice((0, 3))
    slot, offset = _file(random)
    if slot == Slot.NONE:
        flags |= ANONYMOUS
    place = draw()
    if place < 0.45:
        address = 0
    elif place < 0.75:
        flags |= FIXED
    elif place < 0.80:
        flags |= 0x100000
    elif place < 0.81:
        address, flags = 0x1000, flags | FIXED
    if draw() < 0.01:
        length = random.choice(HUGE_LENGTH)
    if FIXED_BASE <= address < window.top:
        random.mapped.append(address & -PAGE)
    prot = PROT[int(draw() * len(PROT))]
    return Call(Kind.MMAP, (address, length, prot, flags, slot, offset))


def _file(random: Chance) -> tuple[int, int]:
    """Pick a file's slot and an offset in bytes."""
    slot = random.choice(_MAPPED + random.files)
    if slot == Slot.NONE:
        return slot, 0
    if random.random() < 0.03:
        return random.choice((slot, Slot.NONE)), random.choice((1, 0x800, (1 << 64) - PAGE))
    return slot, random.choice(_READ + random.files) * PAGE


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
    return Call(Kind.MADVISE, (*_range(random, window), random.choice(random.advice)))


def _ftruncate(random: Chance, window: Window) -> Call:
    size = random.choice((0, 1, 100, 2, 3, 4, 6, 8, 12)) * random.choice(
        (PAGE, PAGE, PAGE, 1, 1234)
    )
    if random.random() < 0.02:
        size = 1 << 63
    return Call(Kind.FTRUNCATE, (random.choice(_SIZED + random.files), size))


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
    draw, mapped = random.random, random.mapped
    used = mapped and draw() < 0.6
    page = mapped[int(draw() * len(mapped))] if used else _page_address(random, window)
    return page + WORDS[int(draw() * len(WORDS))]


def _load(random: Chance, window: Window) -> Call:
    return Call(Kind.LOAD, (_word(random, window),))


def _store(random: Chance, window: Window) -> Call:
    return Call(Kind.STORE, (_word(random, window), random.getrandbits(62)))


def _position(random: Chance) -> int:
    return random.randrange(8) * PAGE + random.choice((0, 0, 96, 2048, PAGE - 4))


def _pread(random: Chance, window: Window) -> Call:
    return Call(Kind.PREAD, (random.choice(_READ + random.files), _position(random)))


def _pwrite(random: Chance, window: Window) -> Call:
    slot = random.choice(_READ + random.files)
    return Call(Kind.PWRITE, (slot, _position(random), random.getrandbits(62)))


_TABLE: tuple[tuple[Maker, int], ...] = (
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


# ---- kinds that come in some sequences only ----


def _memfd(random: Chance, window: Window) -> Call:
    random.files += (Slot.SEALED,) * 3
    return Call(Kind.MEMFD, (random.choice((2, 2, 2, 3, 0, 8)), int.from_bytes(b"f3", "little")))


def _seals(random: Chance, window: Window) -> Call:
    slot = random.choice((Slot.SEALED, Slot.SEALED, Slot.SEALED, Slot.F0, Slot.SHM))
    if random.random() < 0.2:
        return Call(Kind.FCNTL, (slot, 1034, 0))
    return Call(Kind.FCNTL, (slot, 1033, random.choice((1, 2, 4, 8, 8, 16, 16, 6, 14, 32, 64))))


def _shm_open(random: Chance, window: Window) -> Call:
    random.files += (Slot.SHM,) * 2
    return Call(Kind.SHM_OPEN, (random.randrange(2), random.choice((0o102, 0o102, 0o1102, 0, 2))))


def _shm_unlink(random: Chance, window: Window) -> Call:
    return Call(Kind.SHM_UNLINK, (random.randrange(2),))


def _segment(random: Chance) -> Slot:
    return random.choice((Slot.SEGMENT0, Slot.SEGMENT0, Slot.SEGMENT1))


def _shmget(random: Chance, window: Window) -> Call:
    size = random.choice((0, 1, 100, PAGE, 2 * PAGE, 3 * PAGE, 5 * PAGE, 5 * PAGE + 1))
    flags = random.choice((0o1600, 0o1600, 0o600, 0o11600, 0o1400))
    return Call(Kind.SHMGET, (_segment(random), size, flags))


def _shmat(random: Chance, window: Window) -> Call:
    address = 0 if random.random() < 0.5 else _address(random, window)
    if address:
        random.mapped.append(address & -PAGE)
    flags = random.choice((0, 0, 0, 0o10000, 0o20000, 0o40000, 0o40000, 0o100000, 0o60000))
    return Call(Kind.SHMAT, (_segment(random), address, flags))


def _shmdt(random: Chance, window: Window) -> Call:
    return Call(Kind.SHMDT, (_address(random, window),))


def _shmctl(random: Chance, window: Window) -> Call:
    return Call(Kind.SHMCTL, (_segment(random), random.choice((0, 0, 11, 12))))


UNLIMITED = (1 << 64) - 1
FSIZE, DATA, STACK, NOFILE, MEMLOCK, AS = 1, 2, 3, 7, 8, 9  # of setrlimit(2)


def _limit(random: Chance, window: Window) -> Call:
    pages = random.randrange(20) * PAGE
    most = {
        FSIZE: UNLIMITED, DATA: UNLIMITED, STACK: UNLIMITED, NOFILE: 64, MEMLOCK: 16 * PAGE,
        AS: UNLIMITED,
    }  # fmt: skip
    soft = {
        FSIZE: pages + random.choice((0, 0, 100)), DATA: window.data + pages, STACK: pages,
        NOFILE: 4 + pages // PAGE, MEMLOCK: pages, AS: window.size + pages,
    }  # fmt: skip
    resource = random.choice((FSIZE, DATA, DATA, STACK, NOFILE, MEMLOCK, AS, AS))
    if random.random() < 0.2:
        return Call(Kind.PRLIMIT, (resource, most[resource], most[resource]))
    return Call(Kind.PRLIMIT, (resource, soft[resource], most[resource]))


def _mseal(random: Chance, window: Window) -> Call:
    flags = 1 if random.random() < 0.05 else 0
    return Call(Kind.MSEAL, (*_range(random, window), flags))


def _remap(random: Chance, window: Window) -> Call:
    flags = random.choice((0, 0, 0, 0x10000))
    prot = 1 if random.random() < 0.05 else 0
    return Call(Kind.REMAP, (*_range(random, window), prot, random.randrange(8), flags))


def _page_in_use(random: Chance, window: Window) -> int:
    """Give the address of a page that a call has asked for, more often than not."""
    used = random.mapped and random.random() < 0.75
    return random.choice(random.mapped) if used else _page_address(random, window)


def _watched(random: Chance, window: Window) -> tuple[int, int]:
    """Give a range that a userfaultfd may know of, small enough to lie in one area."""
    if random.random() < 0.1:
        return _range(random, window)
    known = random.watched and random.random() < 0.7
    address = random.choice(random.watched) if known else _page_in_use(random, window)
    return address, min(random.choice((PAGE, PAGE, PAGE, 2 * PAGE)), window.top - address)


SIGBUS_FEATURE = 1 << 7  # whoever touches what is missing gets a signal: no monitor is needed
UFFD_FEATURES = (0, 0, 1 << 5, 1 << 10, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16, 0x1F5A1)


def _userfaultfd(random: Chance, window: Window) -> Call:
    return Call(Kind.USERFAULTFD, (0o4001 if random.random() < 0.95 else random.choice((0, 2)),))


def _uffd_api(random: Chance, window: Window) -> Call:
    return Call(
        Kind.UFFD_API, (0xAA, SIGBUS_FEATURE | random.choice(UFFD_FEATURES), 0, Slot.USERFAULT)
    )


def _uffd_register(random: Chance, window: Window) -> Call:
    address, length = _watched(random, window)
    random.watched.append(address & -PAGE)
    mode = random.choice((1, 1, 1, 2, 2, 3, 4, 4, 5, 7, 0))
    if mode & 2:
        random.advice = BESIDE_MARKS
    return Call(Kind.UFFD_REGISTER, (address, length, mode, 0, Slot.USERFAULT))


def _uffd_unregister(random: Chance, window: Window) -> Call:
    return Call(Kind.UFFD_UNREGISTER, (*_watched(random, window), Slot.USERFAULT))


def _uffd_copy(random: Chance, window: Window) -> Call:
    target, length = _watched(random, window)
    mode = random.choice((0, 0, 0, 1, 2, 3))
    source = _page_in_use(random, window)
    return Call(Kind.UFFD_COPY, (target, source, length, mode, 0, Slot.USERFAULT))


def _uffd_move(random: Chance, window: Window) -> Call:
    target, length = _watched(random, window)
    mode = random.choice((0, 0, 1, 2, 3))
    source = _page_in_use(random, window)
    return Call(Kind.UFFD_MOVE, (target, source, length, mode, 0, Slot.USERFAULT))


def _uffd_protect(random: Chance, window: Window) -> Call:
    mode = random.choice((0, 1, 1, 1, 2, 3))
    return Call(Kind.UFFD_PROTECT, (*_watched(random, window), mode, Slot.USERFAULT))


def _uffd_fill(random: Chance, window: Window) -> Call:
    kind = random.choice((Kind.UFFD_ZEROPAGE, Kind.UFFD_CONTINUE, Kind.UFFD_POISON))
    mode = random.choice((0, 0, 0, 1, 2))
    return Call(kind, (*_watched(random, window), mode, 0, Slot.USERFAULT))


def _look(random: Chance, window: Window) -> Call:
    kind = random.choice((Kind.VM_READ, Kind.MEM_READ, Kind.PEEK))
    return Call(kind, (_word(random, window),))


def _poke(random: Chance, window: Window) -> Call:
    kind = random.choice((Kind.VM_WRITE, Kind.MEM_WRITE, Kind.POKE))
    return Call(kind, (_word(random, window), random.getrandbits(62)))


POLICIES = (0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 0x8002, 0x4002, 0x2002)
NODES = (0, 0, 1, 1, 1, 1, 2, 3)


def _mbind(random: Chance, window: Window) -> Call:
    flags = random.choice((0, 0, 0, 1, 2, 3, 4, 8))
    policy, nodes = random.choice(POLICIES), random.choice(NODES)
    return Call(Kind.MBIND, (*_range(random, window), policy, flags, nodes))


def _set_policy(random: Chance, window: Window) -> Call:
    return Call(Kind.SET_POLICY, (random.choice(POLICIES), random.choice(NODES)))


def _get_policy(random: Chance, window: Window) -> Call:
    flags = random.choice((0, 0, 1, 2, 2, 2, 3, 4, 6, 8))
    return Call(Kind.GET_POLICY, (_address(random, window) if flags & 2 else 0, flags))


class Flavour(NamedTuple):
    """Kinds of calls that belong together: what comes once at the start, and what comes often."""

    first: tuple[Maker, ...]
    often: tuple[Maker, ...]


FORK = Flavour((), ())
SEGMENTS = Flavour(
    (_shmget, _shmat), (_shmget,) * 3 + (_shmat,) * 15 + (_shmdt,) * 8 + (_shmctl,) * 4
)
FILES = Flavour((_memfd, _shm_open), (_memfd, _shm_open, _shm_open, _shm_unlink) + (_seals,) * 12)
LIMITS = Flavour((_limit,), (_limit,) * 10)
SEALS = Flavour((), (_mseal,) * 10)
REMAPS = Flavour((), (_remap,) * 25)
USERFAULTS = Flavour(
    (_userfaultfd, _uffd_api),
    (_userfaultfd, _uffd_api) + (_uffd_register,) * 14 + (_uffd_unregister,) * 2
    + (_uffd_copy,) * 8 + (_uffd_move,) * 6 + (_uffd_protect,) * 8 + (_uffd_fill,) * 10,
)  # fmt: skip
ACCESSES = Flavour((), (_look,) * 15 + (_poke,) * 15)
NUMA = Flavour((), (_mbind,) * 20 + (_set_policy,) * 4 + (_get_policy,) * 8)
_MIXES: tuple[tuple[Flavour, ...], ...] = (
    *((),) * 4, *((FORK,),) * 3, (SEGMENTS,), (SEGMENTS, FORK), (SEGMENTS, LIMITS), (FILES,),
    (FILES, FORK), (FILES, LIMITS), (LIMITS,), (LIMITS, FORK), (SEALS,), (SEALS, FORK), (REMAPS,),
    (REMAPS, SEALS), (USERFAULTS,), (USERFAULTS, FORK), (USERFAULTS, FILES), (ACCESSES,),
    (ACCESSES, FORK), (ACCESSES, FORK), (ACCESSES, FORK, SEGMENTS), (REMAPS, FORK), (NUMA,),
    (NUMA, FORK),
)  # fmt: skip
