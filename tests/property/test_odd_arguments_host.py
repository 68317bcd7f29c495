"""Raw calls with wrong and odd arguments, here and on the host: same result, same errno.

Each case makes calls by number with registers, as a program in machine code does; the host runs
them in a child process. Only what both know is asked for: no new flags, no large pages.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys
from tests import host

PAGE = 4096
BASE, SCRATCH = 0x100_0000_0000, 0x200_0000_0000
MINUS_1, USER_END = (1 << 64) - 1, 1 << 47
READ, WRITE, READ_WRITE = 1, 2, 3
SHARED, PRIVATE, FIXED, ANONYMOUS, FIXED_NOREPLACE = 1, 2, 0x10, 0x20, 0x100000
MFD_HUGETLB = 4
F_GETFL, F_ADD_SEALS, F_GET_SEALS = 3, 1033, 1034
NUMBERS = {
    "read": 0,
    "write": 1,
    "open": 2,
    "close": 3,
    "lseek": 8,
    "mmap": 9,
    "mprotect": 10,
    "munmap": 11,
    "pread64": 17,
    "pwrite64": 18,
    "readv": 19,
    "writev": 20,
    "brk": 12,
    "mremap": 25,
    "msync": 26,
    "mincore": 27,
    "madvise": 28,
    "getpid": 39,
    "fcntl": 72,
    "ftruncate": 77,
    "fchmod": 91,
    "remap_file_pages": 216,
    "mlock": 149,
    "munlock": 150,
    "mseal": 462,
    "fallocate": 285,
    "pipe2": 293,
    "preadv": 295,
    "pwritev": 296,
    "pkey_mprotect": 329,
    "pkey_alloc": 330,
    "pkey_free": 331,
    "cachestat": 451,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "getrandom": 318,
    "memfd_create": 319,
}

Step = tuple[Any, ...]


class Host:
    """The host's kernel, in this process: to be used in a child."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.syscall.restype = ctypes.c_long

    def __call__(self, name: str, *registers: int) -> int:
        values = [ctypes.c_ulong(value & MINUS_1) for value in registers]
        result = int(self.libc.syscall(ctypes.c_long(NUMBERS[name]), *values))
        return -ctypes.get_errno() if result == -1 else result

    def load(self, addr: int, nbytes: int) -> bytes:
        return ctypes.string_at(addr, nbytes)

    def store(self, addr: int, data: bytes) -> int:
        ctypes.memmove(addr, data, len(data))
        return addr


class Ours:
    """This kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.sys = Sys(kernel.spawn("odd", uid=os.getuid(), gid=os.getgid()))

    def __call__(self, name: str, *registers: int) -> int:
        return self.sys.syscall(NUMBERS[name], *registers)

    def load(self, addr: int, nbytes: int) -> bytes:
        return self.sys.load(addr, nbytes)

    def store(self, addr: int, data: bytes) -> int:
        self.sys.store(addr, data)
        return addr


def new_file(call: Any, nr_pages: int, flags: int = 2) -> int:
    fd = int(call("memfd_create", call.store(SCRATCH, b"f\0"), flags))
    call("ftruncate", fd, nr_pages * PAGE)
    return fd


# ---- the cases ----


def protection_keys(call: Any) -> Iterator[Step]:
    for flags, rights in itertools.product((0, 1), (0, 1, 2, 3, 4)):
        yield flags, rights, call("pkey_alloc", flags, rights)
    for key in (0, 1, 15, 16, -1):
        yield key, call("pkey_free", key)
    starts = (BASE, BASE + 1, BASE + 8 * PAGE, MINUS_1 - 4095)
    lengths = (0, 1, PAGE, 1 << 63, MINUS_1 - PAGE, MINUS_1)
    keys, prots = (-1, 0, 1, 16, -2, (1 << 32) - 1), (READ, READ_WRITE, 1 << 20, 0x3000001)
    for start, length, key, prot in itertools.product(starts, lengths, keys, prots):
        call("mmap", BASE, 3 * PAGE, READ_WRITE, FIXED | PRIVATE | ANONYMOUS, -1, 0)
        yield start, length, key, prot, call("pkey_mprotect", start, length, prot, key)


def mseal_arguments(call: Any) -> Iterator[Step]:
    starts = (0, 1, BASE, BASE + 1, BASE + PAGE, BASE + 3 * PAGE, USER_END, MINUS_1 - 4095)
    lengths = (0, 1, PAGE, 2 * PAGE, 4 * PAGE, 1 << 46, 1 << 63, MINUS_1 - 4095, MINUS_1)
    call("mmap", BASE, 2 * PAGE, READ_WRITE, FIXED | PRIVATE | ANONYMOUS, -1, 0)
    for start, length, flags in itertools.product(starts, lengths, (1, 0)):
        yield start, length, flags, call("mseal", start, length, flags)


def sealed(call: Any, place: int, prot: int, flags: int, fd: int) -> None:
    """Six pages at place, of which the third and fourth are sealed."""
    kind = flags | FIXED | (ANONYMOUS if fd < 0 else 0)
    call("mmap", place, 6 * PAGE, prot, kind, fd, 0)
    call("mseal", place + 2 * PAGE, 2 * PAGE, 0)


def what_a_seal_refuses(call: Any) -> Iterator[Step]:
    """Calls over ranges that are sealed in part, and how far they get."""
    one, part, whole, place = (2, 1), (1, 2), (0, 6), BASE
    for name, registers in (
        ("munmap", ()),
        ("mprotect", (READ,)),
        ("mprotect", (READ_WRITE,)),
        ("mprotect", (READ_WRITE | 1 << 20,)),
        ("mmap", (READ_WRITE, FIXED | PRIVATE | ANONYMOUS, MINUS_1, 0)),
        ("mmap", (READ_WRITE, FIXED_NOREPLACE | PRIVATE | ANONYMOUS, MINUS_1, 0)),
        ("mseal", (0,)),
        ("mlock", ()),
        ("munlock", ()),
        ("msync", (4,)),
    ):
        for first, count in (one, part, whole, (4, 2), (3, 4)):
            place += 16 * PAGE
            sealed(call, place, READ_WRITE, PRIVATE, -1)
            result = call(name, place + first * PAGE, count * PAGE, *registers)
            writable = [call("madvise", place + n * PAGE, PAGE, 23) for n in range(6)]
            yield name, registers, first, count, result - (result > 0) * place, writable
    for old, new, flags, source, target in itertools.product(
        (0, PAGE, 2 * PAGE), (PAGE, 2 * PAGE), (0, 1, 3, 5), (0, 2, 3, 4), (8, 0, 3)
    ):
        place += 16 * PAGE
        sealed(call, place, READ_WRITE, PRIVATE, -1)
        at = call("mremap", place + source * PAGE, old, new, flags, place + target * PAGE)
        yield old, new, flags, source, target, at if at < 0 else at == place + target * PAGE


def advice_on_sealed_memory(call: Any) -> Iterator[Step]:
    place, fd = BASE, new_file(call, 6)
    for prot, sharing, file in itertools.product(
        (0, READ, READ_WRITE), (SHARED, PRIVATE), (-1, fd)
    ):
        for advice in (0, 4, 8, 9, 10, 11, 14, 15, 18, 19, 20, 21, 22, 23, 24):
            place += 16 * PAGE
            sealed(call, place, prot, sharing, file)
            yield prot, sharing, file < 0, advice, call("madvise", place + PAGE, 3 * PAGE, advice)
        yield prot, sharing, file < 0, call("remap_file_pages", place + 2 * PAGE, PAGE, 0, 0, 0)


def a_sealed_heap(call: Any) -> Iterator[Step]:
    """brk answers with where the end is: relative to where it began."""
    begin = -(-call("brk", 0) // PAGE) * PAGE
    call("brk", begin + 8 * PAGE)
    yield "seal", call("mseal", begin + 2 * PAGE, PAGE, 0)
    for pages in (1, 2, 3, 5, 9, 4, 2, 0, 12, 3):
        yield pages, call("brk", begin + pages * PAGE) - begin


def _shown(call: Any, place: int, nr_pages: int) -> tuple[int, ...]:
    """Return for each page whether a load finds it, and its mincore byte."""
    found = []
    for page in range(nr_pages):
        call("mincore", place + page * PAGE, PAGE, SCRATCH)
        found += [call("madvise", place + page * PAGE, PAGE, 22), call.load(SCRATCH, 1)[0] & 1]
    return tuple(found)


def guards(call: Any) -> Iterator[Step]:
    """Guards of every kind of VMA, and what each call over them does to them."""
    install, remove, place, fd = 102, 103, BASE, new_file(call, 6)
    kinds = ((PRIVATE | ANONYMOUS, -1), (SHARED | ANONYMOUS, -1), (PRIVATE, fd), (SHARED, fd))
    after: tuple[tuple[str, tuple[int, ...]], ...] = (
        *(("madvise", (advice,)) for advice in (4, 8, 9, 18, 20, 23, install, remove)),
        *(("mprotect", (READ,)), ("mlock", ()), ("munlock", ()), ("msync", (4,)), ("munmap", ())),
    )
    for (flags, file), prot, (name, registers) in itertools.product(
        kinds, (READ, READ_WRITE), after
    ):
        place += 16 * PAGE
        call("mmap", place, 6 * PAGE, prot, flags | FIXED, file, 0)
        call("madvise", place, 2 * PAGE, 23)
        yield flags, prot, call("madvise", place + PAGE, 3 * PAGE, install)
        yield _shown(call, place, 6)
        yield name, registers, call(name, place, 4 * PAGE, *registers)
        yield _shown(call, place, 6)
        yield call("madvise", place + PAGE, 2 * PAGE, remove), _shown(call, place, 6)
    for length in (0, 1, PAGE, 3 * PAGE, MINUS_1):
        place += 16 * PAGE
        call("mmap", place, PAGE, 0, PRIVATE | ANONYMOUS | FIXED, -1, 0)
        call("mmap", place + 2 * PAGE, PAGE, READ_WRITE, PRIVATE | ANONYMOUS | FIXED, -1, 0)
        yield length, call("madvise", place, length, install), _shown(call, place, 3)
        yield length, call("madvise", place + 1, length, install)
    for source, target in ((0, 8), (1, 8), (2, 10)):
        place += 16 * PAGE
        call("mmap", place, 6 * PAGE, READ_WRITE, PRIVATE | ANONYMOUS | FIXED, -1, 0)
        call("madvise", place + 2 * PAGE, PAGE, install)
        at = place + source * PAGE
        yield call("mremap", at, 3 * PAGE, 4 * PAGE, 3, place + target * PAGE) > 0
        yield _shown(call, place, 16)
    call("mmap", place, 6 * PAGE, READ_WRITE, SHARED | FIXED, fd, 0)
    call("madvise", place + PAGE, 2 * PAGE, install)
    yield call("ftruncate", fd, PAGE), call("ftruncate", fd, 6 * PAGE), _shown(call, place, 6)


def cachestat(call: Any) -> Iterator[Step]:
    """What is cached of a memory file, of which pages 1 and 2 exist, and of other files.

    Of a file of large pages no flag matters, nor where to store.
    """
    fd, here, there = new_file(call, 10), SCRATCH, SCRATCH + 64
    call("pwrite64", fd, call.store(SCRATCH, b"x"), 1, PAGE)
    call("pwrite64", fd, SCRATCH, 1, 2 * PAGE)
    call("pipe2", SCRATCH, 0)
    reader, writer = struct.unpack("<ii", call.load(SCRATCH, 8))
    folder = call("open", call.store(SCRATCH, b"/tmp\0"), 0)
    null = call("open", call.store(SCRATCH, b"/dev/null\0"), 2)
    offsets = (0, 1, PAGE - 1, PAGE, 2 * PAGE, 3 * PAGE, 1 << 62, MINUS_1)
    lengths = (0, 1, 2, PAGE, 2 * PAGE, 1 << 63, MINUS_1)
    for offset, length in itertools.product(offsets, lengths):
        call.store(there, b"\xaa" * 40)
        call.store(here, struct.pack("<QQ", offset, length))
        yield offset, length, call("cachestat", fd, here, there, 0), call.load(there, 40)
    call.store(here, bytes(16))
    for file in (reader, writer, folder, null, -1, 99):
        yield call("cachestat", file, here, there, 0), call.load(there, 40)
    for file, source, target, flags in itertools.product(
        (fd, 99), (here, 0, 1 << 63), (there, 0), (0, 1)
    ):
        yield source, target, flags, call("cachestat", file, source, target, flags)
    large = call("memfd_create", call.store(SCRATCH + 128, b"x\0"), MFD_HUGETLB)
    for source, target, flags in itertools.product((here, 0), (there, 0), (0, 1)):
        yield source, target, flags, call("cachestat", large, source, target, flags)


def mincore(call: Any) -> Iterator[Step]:
    call("mmap", BASE, 3 * PAGE, READ_WRITE, FIXED | PRIVATE | ANONYMOUS, -1, 0)
    starts = (0, 1, BASE, BASE + 1, BASE + PAGE, BASE + 3 * PAGE, USER_END - PAGE, MINUS_1 - 4095)
    lengths = (0, 1, PAGE, 3 * PAGE, 4 * PAGE, 1 << 46, USER_END, 1 << 63, MINUS_1)
    vectors = (SCRATCH, 0, SCRATCH + 16 * PAGE - 1, 1 << 63)
    for start, length, vector in itertools.product(starts, lengths, vectors):
        call.store(SCRATCH, b"\xaa" * 8)
        yield start, length, vector, call("mincore", start, length, vector), call.load(SCRATCH, 8)


def mmap_of_what_cannot_be_mapped(call: Any) -> Iterator[Step]:
    call("pipe2", SCRATCH, 0)
    reader, writer = struct.unpack("<ii", call.load(SCRATCH, 8))
    folder = call("open", call.store(SCRATCH, b"/tmp\0"), 0)
    zero = call("open", call.store(SCRATCH, b"/dev/zero\0"), 2)
    kinds = (0, SHARED, PRIVATE, 3, SHARED | 0x100, 0x8_0003, 0x4000_0003)
    offsets = (0, 1, PAGE, 1 << 62, 1 << 63, MINUS_1 - 4095)
    fds = {"r": reader, "w": writer, "dir": folder, "zero": zero, "none": 99}
    for (name, fd), kind, prot, offset, length in itertools.product(
        fds.items(), kinds, (0, READ, WRITE, READ_WRITE), offsets, (PAGE, 0)
    ):
        at = call("mmap", 0, length, prot, kind, fd, offset)
        yield name, kind, prot, offset, length, at if -PAGE < at < 0 else 0


def memfd_flags(call: Any) -> Iterator[Step]:
    for name, flags in itertools.product(
        (b"f", b"", b"a/b", b"x" * 249, b"x" * 250),
        (0, 1, 2, 3, 8, 16, 24, 32, 1 << 31, 1 << 32, MINUS_1),
    ):
        fd = call("memfd_create", call.store(SCRATCH, name + b"\0"), flags)
        yield name, flags, min(fd, 0)
        if fd >= 0:
            yield call("fcntl", fd, F_GETFL, 0), call("fcntl", fd, F_GET_SEALS, 0)
            yield call("fchmod", fd, 0o700), call("fchmod", fd, 0o600), call("close", fd)


def seals(call: Any) -> Iterator[Step]:
    for seal, mapped in itertools.product(
        (*range(34), 48, 63, 64, 1 << 32), (None, (READ_WRITE, SHARED), (READ, SHARED))
    ):
        fd = new_file(call, 2)
        if mapped:
            call("mmap", BASE, PAGE, mapped[0], FIXED | mapped[1], fd, 0)
        yield seal, mapped, call("fcntl", fd, F_ADD_SEALS, seal), call("fcntl", fd, F_GET_SEALS)
        yield "write", *(call("pwrite64", fd, SCRATCH, n, at) for n, at in SEALED_WRITES)
        yield "size", *(call("ftruncate", fd, nr * PAGE) for nr in (1, 5, 2))
        for mode, at in itertools.product((0, 1, 2, 3, 8), (0, 4 * PAGE)):
            yield "fallocate", mode, at, call("fallocate", fd, mode, at, PAGE)
        for prot, kind in itertools.product((READ, WRITE, READ_WRITE), (SHARED, PRIVATE, 3)):
            at = call("mmap", BASE + 16 * PAGE, PAGE, prot, FIXED | kind, fd, 0)
            yield prot, kind, at, call("mprotect", BASE + 16 * PAGE, PAGE, READ_WRITE)
        yield call("mprotect", BASE, PAGE, READ_WRITE), call("madvise", BASE, PAGE, 9)
        yield "more", *(call("fcntl", fd, F_ADD_SEALS, more) for more in (0, 4, 8, 16, 1, 2))
        call("munmap", BASE, 32 * PAGE)
        call("close", fd)


SEALED_WRITES = ((1, 0), (1, 3 * PAGE), (PAGE, PAGE + 5), (PAGE, 2 * PAGE), (0, 9 * PAGE))


def fallocate(call: Any) -> Iterator[Step]:
    fd = new_file(call, 4)
    modes = (0, 1, 2, 3, 4, 7, 8, 9, 0x10, 0x11, 0x12, 0x20, 0x21, 0x40, MINUS_1)
    offsets = (0, 1, 3 * PAGE + 1, MINUS_1, 1 << 62, (1 << 63) - 1, 1 << 63)
    for mode, offset, length in itertools.product(modes, offsets, (0, 1, 5 * PAGE, 1 << 62)):
        if mode in (0, 1) and 1 << 62 in (offset, length):
            continue  # room, not arguments
        call("ftruncate", fd, 0)
        call("pwrite64", fd, call.store(SCRATCH, b"Q" * 4 * PAGE), 4 * PAGE, 0)
        yield mode, offset, length, call("fallocate", fd, mode, offset, length)
        got = call("pread64", fd, SCRATCH, 9 * PAGE, 0)
        yield call("lseek", fd, 0, 2), call.load(SCRATCH, max(got, 0))
    call("pipe2", SCRATCH, 0)
    reader, writer = struct.unpack("<ii", call.load(SCRATCH, 8))
    for mode in (0, 2, 3, 8):
        yield mode, *(call("fallocate", other, mode, 0, 1) for other in (reader, writer, 99))


BUFFERS: tuple[tuple[tuple[int, int], ...], ...] = (
    (), ((BASE, 8),), ((BASE, 0),), ((BASE + 2 * PAGE - 4, 8),), ((BASE + 2 * PAGE, 4),),
    ((BASE + 2 * PAGE - 4, 4), (BASE + 2 * PAGE, 4)), ((BASE, 4), (BASE + 3 * PAGE, 4)), ((0, 4),),
    ((BASE, 1 << 62),), ((BASE, 1 << 63),), ((BASE + 3 * PAGE, 4),), ((1 << 63, 4),),
    ((BASE, 4), (BASE + 2 * PAGE, 4), (BASE + 8, 4)),
)  # fmt: skip


def process_vm(call: Any) -> Iterator[Step]:
    pid = call("getpid")
    call("mmap", BASE, 2 * PAGE, READ_WRITE, FIXED | PRIVATE | ANONYMOUS, -1, 0)
    call("mmap", BASE + 3 * PAGE, PAGE, 0, FIXED | PRIVATE | ANONYMOUS, -1, 0)
    for name, here, there in itertools.product(
        ("process_vm_readv", "process_vm_writev"), BUFFERS, BUFFERS
    ):
        call.store(BASE, bytes(range(64)))
        call.store(BASE + 2 * PAGE - 16, b"0123456789abcdef")
        sides = []
        for addr, buffers in ((SCRATCH + PAGE, here), (SCRATCH + 2 * PAGE, there)):
            call.store(addr, b"".join(struct.pack("<QQ", *buffer) for buffer in buffers))
            sides += [addr, len(buffers)]
        yield name, here, there, call(name, pid, *sides, 0)
        yield call.load(BASE, 32), call.load(BASE + 2 * PAGE - 16, 16)
        yield "no such process", call(name, 0, *sides, 0), call(name, pid, *sides, 1)


def emulated_remap(call: Any) -> Iterator[Step]:
    fd, out = new_file(call, 8), new_file(call, 0)
    for page in range(8):
        call("pwrite64", fd, call.store(SCRATCH, bytes([65 + page])), 1, page * PAGE)
    ways = ((0, 4, READ_WRITE, 0), (4, 1, READ_WRITE, 0), (5, 1, READ, 0), (7, 2, READ_WRITE, 2))
    starts = (0, BASE, BASE + 1, BASE + PAGE, BASE + 3 * PAGE, BASE + 4 * PAGE, BASE + 7 * PAGE)
    sizes = (0, 1, PAGE, 2 * PAGE, 4 * PAGE, 5 * PAGE, 6 * PAGE, MINUS_1)
    pages = (0, 1, 7, 8, (1 << 51) - 1, 1 << 51, 1 << 52, MINUS_1)
    for start, size, page, prot in itertools.product(starts, sizes, pages, (0, READ)):
        for place, nr_pages, way, index in ways:
            call(
                "mmap", BASE + place * PAGE, nr_pages * PAGE, way, FIXED | SHARED, fd, index * PAGE
            )
        yield start, size, page, prot, call("remap_file_pages", start, size, prot, page, 0)
        for place in range(9):
            call("lseek", out, 0, 0)
            yield place, call("write", out, BASE + place * PAGE, 1)
            yield call("pread64", out, SCRATCH, 1, 0), call.load(SCRATCH, 1)


def _open_files(call: Any) -> dict[str, int]:
    """Return descriptors of many kinds by name; the reading end of the pipe does not wait."""
    call("pipe2", SCRATCH, 0o4000)
    reader, writer = struct.unpack("<ii", call.load(SCRATCH, 8))
    memory = new_file(call, 3)
    path = call.store(SCRATCH, f"/proc/self/fd/{memory}\0".encode())
    ways = {"read": 0, "write": 1, "append": 0o2001, "path": 0o10000000}
    fds = {name: call("open", path, way) for name, way in ways.items()}
    for name in ("/tmp", "/dev/zero", "/dev/null", "/dev/full"):
        fds[name] = call("open", call.store(SCRATCH, name.encode() + b"\0"), 2 * (name != "/tmp"))
    return fds | {"reader": reader, "writer": writer, "memory": memory, "none": 999, "-1": MINUS_1}


def _drain(call: Any, files: dict[str, int]) -> None:
    while call("read", files["reader"], SCRATCH + 8 * PAGE, 7 * PAGE) > 0:
        pass
    call("ftruncate", files["memory"], 3 * PAGE)


ADDRESSES = (SCRATCH + PAGE, 0, SCRATCH + 16 * PAGE - 2, USER_END, 1 << 63, MINUS_1)
COUNTS = (0, 1, 3, PAGE, 0x7FFF_F000, 1 << 63, MINUS_1)
OFFSETS = (0, 1, 3 * PAGE - 1, 3 * PAGE, 1 << 62, (1 << 63) - 1, 1 << 63, MINUS_1)


def transfers(call: Any) -> Iterator[Step]:
    files = _open_files(call)
    for (name, fd), addr, count in itertools.product(files.items(), ADDRESSES, COUNTS):
        huge = count == 0x7FFF_F000 and addr < SCRATCH + 16 * PAGE - 2
        if huge and name in ("/dev/zero", "memory", "write", "append"):
            continue  # room, not arguments
        for number, way in enumerate(("read", "write")):
            call("lseek", fd, 0, 0)
            yield name, addr, count, call(way, fd, addr, count), call("lseek", fd, 0, 1)
            for offset in OFFSETS if count <= PAGE else ():
                yield offset, call(("pread64", "pwrite64")[number], fd, addr, count, offset)
            _drain(call, files)
    for (name, fd), offset, whence in itertools.product(
        files.items(), OFFSETS, (0, 1, 2, 3, 4, 5, 1 << 32, MINUS_1)
    ):
        if name != "/tmp":
            call("lseek", fd, 10, 0)
            yield name, offset, whence, call("lseek", fd, offset, whence)


VECTORS: tuple[tuple[tuple[int, int], ...], ...] = (
    (), ((SCRATCH + PAGE, 4),), ((0, 0),), ((0, 4),), ((SCRATCH + PAGE, 2), (0, 2)),
    ((SCRATCH + PAGE, 2), (1 << 63, 2)), ((SCRATCH + PAGE, 1 << 63),),
    ((SCRATCH + PAGE, 2), (SCRATCH + PAGE, MINUS_1)), ((SCRATCH + 16 * PAGE - 2, 8),),
    ((SCRATCH + PAGE, 3), (SCRATCH + PAGE + 8, 3)),
    ((SCRATCH + 16 * PAGE - 2, 8), (SCRATCH + PAGE, 2)),
)  # fmt: skip


VECTOR_CALLS: tuple[tuple[str, tuple[int, ...]], ...] = (
    *(("readv", ()), ("writev", ())),
    *(("preadv", (PAGE, 0)), ("pwritev", (1, 0))),
)


def vectors(call: Any) -> Iterator[Step]:
    files = _open_files(call)
    for (name, fd), buffers in itertools.product(files.items(), VECTORS):
        call.store(SCRATCH, b"".join(struct.pack("<QQ", *buffer) for buffer in buffers))
        for way, offset in (
            ("readv", ()),
            ("writev", ()),
            ("preadv", (PAGE, 0)),
            ("pwritev", (1, 0)),
        ):
            call("lseek", fd, 0, 0)
            for count in (len(buffers), MINUS_1, 1025, 0):
                yield name, buffers, way, count, call(way, fd, SCRATCH, count, *offset)
            yield call(way, fd, 0, 1, 0, 0)
            call.store(SCRATCH, b"".join(struct.pack("<QQ", *buffer) for buffer in buffers))
        _drain(call, files)


def random_bytes(call: Any) -> Iterator[Step]:
    """As many as there is memory for."""
    end = SCRATCH + 16 * PAGE
    for addr, count in itertools.product((*ADDRESSES, end - 10, end - PAGE - 10), COUNTS):
        yield addr, count, call("getrandom", addr, count, 0)
    for flags in (*range(17), 1 << 32):
        yield flags, call("getrandom", SCRATCH, 5, flags), call("getrandom", 0, 5, flags)
    large = call("mmap", BASE, 40 << 20, READ_WRITE, PRIVATE | ANONYMOUS | FIXED, MINUS_1, 0)
    yield call("getrandom", large, 40 << 20, 0), call("getrandom", large + PAGE + 3, 40 << 20, 0)


CASES = (
    random_bytes,
    mincore,
    protection_keys,
    guards,
    cachestat,
    mseal_arguments,
    what_a_seal_refuses,
    advice_on_sealed_memory,
    a_sealed_heap,
    mmap_of_what_cannot_be_mapped,
    memfd_flags,
    seals,
    fallocate,
    process_vm,
    emulated_remap,
    transfers,
    vectors,
)


# ---- both sides ----


def steps(call: Any, case: Callable[[Any], Iterator[Step]]) -> list[Step]:
    call("mmap", SCRATCH, 16 * PAGE, READ_WRITE, FIXED | PRIVATE | ANONYMOUS, -1, 0)
    return list(case(call))


def on_host(case: Callable[[Any], Iterator[Step]]) -> list[Step]:
    """Run a case in a child process and return its steps."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(steps(Host(), case), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        found = pickle.load(pipe)
    os.waitpid(pid, 0)
    return list(found)


@pytest.mark.sysctl({"vm.nonlinear": 1, "vm.nonlinear_emulated": 1})
@pytest.mark.boot(cpu=host.CPU)
@pytest.mark.parametrize("case", CASES)
def test_same_results_on_the_host(kernel: Kernel, case: Callable[[Any], Iterator[Step]]) -> None:
    ours, theirs = steps(Ours(kernel), case), on_host(case)
    assert len(ours) > 10
    differing = [(our, their) for our, their in zip(ours, theirs, strict=True) if our != their]
    assert differing == []
