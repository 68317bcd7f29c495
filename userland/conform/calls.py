"""The language of the oracle: calls, outcomes and areas of an address space.

Owns the values that both sides (host.py, model.py) speak, their compact binary
form (runner.c's struct call) and their text.  Called by everything in here.
"""

from __future__ import annotations

import enum
import errno
import signal
import struct
from collections.abc import Sequence
from dataclasses import dataclass

PAGE = 4096
NR_FILES = 4
_CALL = struct.Struct("<7Q")
_MASK = (1 << 64) - 1


class Kind(enum.IntEnum):
    """What a call does; the order is runner.c's enum kind."""

    MMAP = 0
    MUNMAP = 1
    MPROTECT = 2
    MREMAP = 3
    MADVISE = 4
    FTRUNCATE = 5
    MSYNC = 6
    MINCORE = 7
    MLOCK = 8
    MUNLOCK = 9
    MLOCK2 = 10
    LOAD = 11
    STORE = 12
    PREAD = 13
    PWRITE = 14


@dataclass(frozen=True, slots=True)
class Call:
    """One step of a sequence: its kind and up to six 64-bit arguments.

    A file is a slot: 0 f0, 1 f1 (empty), 2 f2 (sparse), 3 f0 opened again read-only,
    anything else a closed descriptor.
    """

    kind: Kind
    args: tuple[int, ...]

    def pack(self) -> bytes:
        """Encode as runner.c's struct call."""
        padded = self.args + (0,) * (6 - len(self.args))
        return _CALL.pack(int(self.kind), *(value & _MASK for value in padded))

    def __str__(self) -> str:
        values = ", ".join(
            _slot_text(value) if index == _FILE_ARG.get(self.kind) else f"{value & _MASK:#x}"
            for index, value in enumerate(self.args)
        )
        return f"{self.kind.name.lower()}({values})"


_FILE_ARG = {Kind.MMAP: 4, Kind.FTRUNCATE: 0, Kind.PREAD: 0, Kind.PWRITE: 0}


def _slot_text(slot: int) -> str:
    return ("f0", "f1", "f2", "f0_readonly")[slot] if slot < NR_FILES else "-1"


Calls = tuple[Call, ...]


def pack_calls(calls: Sequence[Call]) -> bytes:
    """Encode a sequence as runner.c reads it: a count, then the calls."""
    return struct.pack("<I", len(calls)) + b"".join(call.pack() for call in calls)


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
    """

    value: int
    signo: int
    code: int
    addr: int
    data: bytes
    layout: Layout

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

    top: the lowest address that the kernel's own placement has used (below it new areas go).
    scratch: one writable page outside, for vectors and buffers.
    """

    low: int
    top: int
    scratch: int
    memlock: int


def parse_maps(text: str, window: Window) -> Layout:
    """Read the text of a maps file; keep what lies within the window."""
    areas = []
    for line in text.splitlines():
        fields = line.split(None, 5)
        low, _, high = fields[0].partition("-")
        start, end = int(low, 16), int(high, 16)
        if start >= window.low and end <= window.top:
            name = fields[5] if len(fields) > 5 else ""
            areas.append(Area(start, end, fields[1], int(fields[2], 16), _file_name(name)))
    return tuple(areas)


def _file_name(path: str) -> str:
    """Reduce a name in maps to the file it names: /memfd:f0 (deleted) and /tmp/f0 are f0."""
    if path.startswith("/memfd:"):
        return path.removeprefix("/memfd:").removesuffix(" (deleted)")
    if path.startswith("/tmp/"):
        return path.removeprefix("/tmp/").removesuffix(" (deleted)")
    if path.startswith("/dev/zero"):
        return "/dev/zero"
    return path
