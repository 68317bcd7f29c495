"""The language of the oracle: calls, outcomes and areas of an address space.

Owns the values that both sides (host.py, model.py) speak, their compact binary
form (runner.c's struct call) and their text.  Called by everything in here.
"""

from __future__ import annotations

import enum
import errno
import signal
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

PAGE = 4096
_MASK = (1 << 64) - 1


class Slot(enum.IntEnum):
    """What a call names by a number that only the running kernel knows: files, processes.

    f1 is empty, f2 sparse, f0_readonly is f0 opened again; the rest is filled by calls. NONE is
    never filled: it stands for -1.
    """

    F0 = 0
    F1 = 1
    F2 = 2
    F0_READONLY = 3
    SEALED = 4  # a memfd that may be sealed
    SHM = 5  # a file below /dev/shm
    SEGMENT0 = 6
    SEGMENT1 = 7
    USERFAULT = 8
    CHILD = 9
    NONE = 15


class Kind(enum.Enum):
    """What a call does."""

    MMAP = "mmap"
    MUNMAP = "munmap"
    MPROTECT = "mprotect"
    MREMAP = "mremap"
    MADVISE = "madvise"
    FTRUNCATE = "ftruncate"
    MSYNC = "msync"
    MINCORE = "mincore"
    MLOCK = "mlock"
    MUNLOCK = "munlock"
    MLOCK2 = "mlock2"
    LOAD = "load"
    STORE = "store"
    PREAD = "pread64"
    PWRITE = "pwrite64"
    FORK = "fork"
    MEMFD = "memfd_create"
    FCNTL = "fcntl"
    SHMGET = "shmget"
    SHMAT = "shmat"
    SHMDT = "shmdt"
    SHMCTL = "shmctl"
    SHM_OPEN = "shm_open"
    SHM_UNLINK = "shm_unlink"
    PRLIMIT = "prlimit64"
    MSEAL = "mseal"
    REMAP = "remap_file_pages"
    USERFAULTFD = "userfaultfd"
    UFFD_API = "UFFDIO_API"
    UFFD_REGISTER = "UFFDIO_REGISTER"
    UFFD_UNREGISTER = "UFFDIO_UNREGISTER"
    UFFD_COPY = "UFFDIO_COPY"
    UFFD_ZEROPAGE = "UFFDIO_ZEROPAGE"
    UFFD_PROTECT = "UFFDIO_WRITEPROTECT"
    UFFD_CONTINUE = "UFFDIO_CONTINUE"
    UFFD_POISON = "UFFDIO_POISON"
    UFFD_MOVE = "UFFDIO_MOVE"
    VM_READ = "process_vm_readv"
    VM_WRITE = "process_vm_writev"
    MEM_READ = "read /proc/PID/mem"
    MEM_WRITE = "write /proc/PID/mem"
    PEEK = "PTRACE_PEEKDATA"
    POKE = "PTRACE_POKEDATA"
    MBIND = "mbind"
    SET_POLICY = "set_mempolicy"
    GET_POLICY = "get_mempolicy"

    __hash__ = object.__hash__  # members are one of a kind: as fast as can be


class Sort(enum.IntEnum):
    """What a register holds; runner.c's enum sort."""

    PLAIN = 0
    SLOT = 1
    SCRATCH = 2


class Register(NamedTuple):
    """Where a register's value comes from: an argument of the call, or a constant (place < 0)."""

    sort: Sort
    place: int
    constant: int


@dataclass(frozen=True, slots=True)
class Shape:
    """How the arguments of a kind go into registers and into the scratch page.

    number: the system call's, or runner.c's enum op. registers: in order. words: the places of
    those arguments that are laid into scratch. nr_out: how many bytes of scratch the call fills,
    from out_at on. keep: the slot that the result goes to, if it is a kernel's own number; an
    argument's place where the sequence chooses it.
    """

    number: int
    registers: tuple[Register, ...]
    words: tuple[int, ...]
    nr_out: Callable[[Sequence[int]], int]
    out_at: int
    keep: Slot | int | None


def _register(text: str) -> Register:
    match text[0]:
        case "s":
            return Register(Sort.SLOT, int(text[1:]), 0)
        case "@":
            return Register(Sort.SCRATCH, -1, int(text[1:]))
        case "#":
            return Register(Sort.PLAIN, -1, int(text[1:], 0) & _MASK)
        case _:
            return Register(Sort.PLAIN, int(text), 0)


def _nothing(_: Sequence[int]) -> int:
    return 0


def _eight(_: Sequence[int]) -> int:
    return 8


def _byte_a_page(args: Sequence[int]) -> int:
    pages = ((args[1] & _MASK) + PAGE - 1) // PAGE
    return pages if pages <= MAX_OUT else 0


def _shape(
    number: int,
    registers: str,
    words: tuple[int, ...] = (),
    nr_out: Callable[[Sequence[int]], int] = _nothing,
    out_at: int = 0,
    keep: Slot | int | None = None,
) -> Shape:
    """Read a row: 0 is the first argument, s0 the slot it names, @8 scratch + 8, #8 the number."""
    where = tuple(map(_register, registers.split()))
    return Shape(number, where, words, nr_out, out_at, keep)


def _ioctl(number: int, nr_words: int, out_at: int = 0) -> Shape:
    """Return an ioctl on a userfaultfd whose structure the words are; the answer is its tail."""
    size, places = 8 * nr_words, tuple(range(nr_words))
    request = 3 << 30 | size << 16 | 0xAA << 8 | number
    return _shape(16, f"s{nr_words} #{request} @0", places, lambda _: size - out_at, out_at)


MAX_OUT = 512
(
    OP_LOAD,
    OP_STORE,
    OP_FORK,
    OP_SHM_OPEN,
    OP_SHM_UNLINK,
    OP_VM_READ,
    OP_VM_WRITE,
    OP_MEM_READ,
    OP_MEM_WRITE,
    OP_PEEK,
    OP_POKE,
) = range(1000, 1011)  # enum op of runner.c
SHAPES: dict[Kind, Shape] = {
    Kind.MMAP: _shape(9, "0 1 2 3 s4 5"),
    Kind.MUNMAP: _shape(11, "0 1"),
    Kind.MPROTECT: _shape(10, "0 1 2"),
    Kind.MREMAP: _shape(25, "0 1 2 3 4"),
    Kind.MADVISE: _shape(28, "0 1 2"),
    Kind.FTRUNCATE: _shape(77, "s0 1"),
    Kind.MSYNC: _shape(26, "0 1 2"),
    Kind.MINCORE: _shape(27, "0 1 @0", nr_out=_byte_a_page),
    Kind.MLOCK: _shape(149, "0 1"),
    Kind.MUNLOCK: _shape(150, "0 1"),
    Kind.MLOCK2: _shape(325, "0 1 2"),
    Kind.LOAD: _shape(OP_LOAD, "0"),
    Kind.STORE: _shape(OP_STORE, "0 1"),
    Kind.PREAD: _shape(17, "s0 @0 #8 1", nr_out=_eight),
    Kind.PWRITE: _shape(18, "s0 @0 #8 1", words=(2,)),
    Kind.FORK: _shape(OP_FORK, "", keep=Slot.CHILD),
    Kind.MEMFD: _shape(319, "@0 0", words=(1,), keep=Slot.SEALED),
    Kind.FCNTL: _shape(72, "s0 1 2"),
    Kind.SHMGET: _shape(29, "#0 1 2", keep=0),
    Kind.SHMAT: _shape(30, "s0 1 2"),
    Kind.SHMDT: _shape(67, "0"),
    Kind.SHMCTL: _shape(31, "s0 1 @0"),
    Kind.SHM_OPEN: _shape(OP_SHM_OPEN, "0 1", keep=Slot.SHM),
    Kind.SHM_UNLINK: _shape(OP_SHM_UNLINK, "0"),
    Kind.PRLIMIT: _shape(302, "#0 0 @0 #0", words=(1, 2)),
    Kind.MSEAL: _shape(462, "0 1 2"),
    Kind.REMAP: _shape(216, "0 1 2 3 4"),
    Kind.USERFAULTFD: _shape(323, "0", keep=Slot.USERFAULT),
    Kind.UFFD_API: _ioctl(0x3F, 3, out_at=8),
    Kind.UFFD_REGISTER: _ioctl(0x00, 4, out_at=24),
    Kind.UFFD_UNREGISTER: _shape(16, "s2 #0x8010aa01 @0", words=(0, 1)),
    Kind.UFFD_COPY: _ioctl(0x03, 5, out_at=32),
    Kind.UFFD_ZEROPAGE: _ioctl(0x04, 4, out_at=24),
    Kind.UFFD_PROTECT: _ioctl(0x06, 3),
    Kind.UFFD_CONTINUE: _ioctl(0x07, 4, out_at=24),
    Kind.UFFD_POISON: _ioctl(0x08, 4, out_at=24),
    Kind.UFFD_MOVE: _ioctl(0x05, 5, out_at=32),
    Kind.VM_READ: _shape(OP_VM_READ, "0", nr_out=_eight),
    Kind.VM_WRITE: _shape(OP_VM_WRITE, "0", words=(1,)),
    Kind.MEM_READ: _shape(OP_MEM_READ, "0", nr_out=_eight),
    Kind.MEM_WRITE: _shape(OP_MEM_WRITE, "0", words=(1,)),
    Kind.PEEK: _shape(OP_PEEK, "0", nr_out=_eight),
    Kind.POKE: _shape(OP_POKE, "0 1"),
    Kind.MBIND: _shape(237, "0 1 2 @0 #64 3", words=(4,)),
    Kind.SET_POLICY: _shape(238, "0 @0 #64", words=(1,)),
    Kind.GET_POLICY: _shape(239, "@0 @8 #64 0 1", nr_out=lambda _: 16),
}
# After which calls the areas are looked at: what others do to them is seen the next time.
_NEVER, _WHEN_DONE, _ALWAYS = range(3)  # enum look of runner.c
_KEEPS_AREAS = {
    Kind.FTRUNCATE, Kind.MSYNC, Kind.MINCORE, Kind.LOAD, Kind.STORE, Kind.PREAD, Kind.PWRITE,
    Kind.MEMFD, Kind.FCNTL, Kind.SHMGET, Kind.SHM_OPEN, Kind.PRLIMIT, Kind.USERFAULTFD,
    Kind.UFFD_API, Kind.VM_READ, Kind.VM_WRITE, Kind.MEM_READ, Kind.MEM_WRITE, Kind.PEEK, Kind.POKE,
    Kind.SET_POLICY, Kind.GET_POLICY,
}  # fmt: skip
_LOOKS = {kind: _NEVER if kind in _KEEPS_AREAS else _WHEN_DONE for kind in Kind}
_LOOKS[Kind.MREMAP] = _ALWAYS


class Call(NamedTuple):
    """One step of a sequence: its kind, up to six 64-bit arguments, and the process that makes it.

    Some arguments are slots (class Slot). actor: 0, or 1 for the child of a fork.
    """

    kind: Kind
    args: tuple[int, ...]
    actor: int = 0

    def __str__(self) -> str:
        slots = {r.place for r in SHAPES[self.kind].registers if r.sort is Sort.SLOT}
        values = ", ".join(
            _slot_text(value) if index in slots else f"{value & _MASK:#x}"
            for index, value in enumerate(self.args)
        )
        return f"{self.kind.value}({values})" + (" in the child" if self.actor else "")


def _slot_text(slot: int) -> str:
    return Slot(slot).name.lower() if slot in _SLOTS and slot != Slot.NONE else "-1"


_SLOTS = frozenset(Slot)
Calls = tuple[Call, ...]

# struct call of runner.c: what a kind fixes, six registers, six words.
_HEAD = struct.Struct("<IBBBBHH6B6x")
_VALUES = struct.Struct("<12Q")


_OF_ARGUMENTS = (Kind.SHMGET, Kind.MINCORE)  # whose heads follow from their arguments


class _Packing(NamedTuple):
    """A shape made ready.

    heads: of a call by each process; None: they follow from its arguments. constants: what stands
    before a call's arguments. values: takes the twelve values from both.
    """

    heads: tuple[bytes, bytes] | None
    constants: tuple[int, ...]
    values: Callable[[tuple[int, ...]], tuple[int, ...]]


def _packing(kind: Kind, shape: Shape) -> _Packing:
    constants = (0, *(r.constant for r in shape.registers))
    first = len(constants)
    registers = [first + r.place if r.place >= 0 else 1 + n for n, r in enumerate(shape.registers)]
    words = [first + place for place in shape.words]
    places = (*registers, *[0] * (6 - len(registers)), *words, *[0] * (6 - len(words)))
    heads = None if kind in _OF_ARGUMENTS else (_head(kind, (), 0), _head(kind, (), 1))
    return _Packing(heads, constants, itemgetter(*places))


def _head(kind: Kind, args: Sequence[int], actor: int) -> bytes:
    """Encode what comes before the values."""
    shape = SHAPES[kind]
    sorts = bytes(register.sort for register in shape.registers).ljust(6, b"\0")
    return _HEAD.pack(
        shape.number, actor, _kept(shape.keep, args), shape.keep is not None, _LOOKS[kind],
        shape.out_at, shape.nr_out(args), *sorts,
    )  # fmt: skip


def _kept(keep: Slot | int | None, args: Sequence[int]) -> int:
    """Return 1 + the slot that a result goes to, 0 for none."""
    if keep is None:
        return 0
    return 1 + (keep if isinstance(keep, Slot) else args[keep])


_PACKINGS = {kind: _packing(kind, shape) for kind, shape in SHAPES.items()}


def _pack(call: Call) -> bytes:
    """Encode as runner.c's struct call."""
    kind, args, actor = call
    heads, constants, values = _PACKINGS[kind]
    head = heads[actor] if heads is not None else _head(kind, args, actor)
    return head + _VALUES.pack(*values(constants + args))


class Looks(enum.IntEnum):
    """When the areas are looked at; runner.c's enum looks."""

    AT_END = 0
    AFTER_CALLS = 1  # after each that may change them, and at the end


_REQUEST = struct.Struct("<II")


def pack_calls(calls: Sequence[Call], looks: Looks = Looks.AFTER_CALLS) -> bytes:
    """Encode a sequence as runner.c reads it: struct request, then the calls."""
    return _REQUEST.pack(len(calls), looks) + b"".join(map(_pack, calls))


@dataclass(frozen=True, slots=True)
class Area:
    """One line of /proc/self/maps: addresses in bytes, file "" if anonymous."""

    start: int
    end: int
    perms: str
    offset: int
    file: str

    def __str__(self) -> str:
        return f"{self.start:x}-{self.end:x} {self.perms} {self.offset:08x} {self.file}".rstrip()


Layout = tuple[Area, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call gave: a result, or a signal, and the layout after it.

    value: the result, -errno, or what a load read. data: mincore's vector or pread's bytes.
    state: what /proc tells of a process once its calls are done, line by line; it stands behind
    the calls, in an outcome of its own.
    """

    value: int
    signo: int
    code: int
    addr: int
    data: bytes
    layout: Layout
    state: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.signo:
            name = signal.Signals(self.signo).name
            return f"{name} si_code={self.code} si_addr={self.addr:#x}"
        text = result_text(self.value)
        return f"{text} [{self.data.hex()}]" if self.data else text


def result_text(value: int) -> str:
    """Write a result as strace does: a number, or -1 and the name of the error."""
    if -4096 < value < 0:
        return f"-1 {errno.errorcode.get(-value, str(-value))}"
    return f"{value & _MASK:#x}"


@dataclass(frozen=True, slots=True)
class Window:
    """Where sequences play: the bytes [low, top) are free at the start of each.

    top: where the kernel's own placement begins, downwards. size, data: what RLIMIT_AS and
    RLIMIT_DATA have to allow at the start, in bytes.
    """

    low: int
    top: int
    size: int = 0
    data: int = 0


def parse_maps(text: str) -> Layout:
    """Read the text of a maps file."""
    areas = []
    for line in text.splitlines():
        span, perms, offset, _, _, *name = line.split(None, 5)
        areas.append(_area(span, perms, offset, "".join(name)))
    return tuple(areas)


def parse_short_maps(text: str) -> Layout:
    """Read what runner.c makes of a maps file: without devices and inode numbers."""
    areas = []
    for line in text.splitlines():
        span, perms, offset, *name = line.split(None, 3)
        areas.append(_area(span, perms, offset, "".join(name)))
    return tuple(areas)


def _area(span: str, perms: str, offset: str, name: str) -> Area:
    low, _, high = span.partition("-")
    return Area(int(low, 16), int(high, 16), perms, int(offset, 16), name)
