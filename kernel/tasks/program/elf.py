"""Executable files: what an ELF header says, checked before anything is mapped.

Nothing here touches a task. An image that breaks a rule of Linux's loader is ENOEXEC; the caller
may keep parsed images, since equal bytes are equal images.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import lru_cache
from pkern.kernel.values import NamedTuple

PAGE_SIZE = 4096
PAGE_MASK = PAGE_SIZE - 1
HEADER_BYTES = 64
PROGRAM_HEADER_BYTES = 56
MAX_PROGRAM_HEADERS = 65536 // PROGRAM_HEADER_BYTES
IDENT = b"\x7fELF\x02\x01\x01"  # 64 bit, little endian, version 1
MAGIC = IDENT[:4]  # all that Linux looks at, beside type and machine
ET_EXEC, ET_DYN, EM_X86_64 = 2, 3, 62
PT_LOAD, PT_INTERP, PT_PHDR, PT_GNU_STACK = 1, 3, 6, 0x6474E551
PF_X = 1
PATH_MAX = 4096
TASK_SIZE = 0x7FFF_FFFF_F000


class Segment(NamedTuple):
    """One PT_LOAD: addresses and sizes in bytes, flags as PF_R, PF_W, PF_X."""

    offset: int
    vaddr: int
    filesz: int
    memsz: int
    flags: int

    @property
    def start(self) -> int:
        """First byte of its first page."""
        return self.vaddr & ~PAGE_MASK

    @property
    def end(self) -> int:
        """First byte after its last page."""
        return self.vaddr + self.memsz + PAGE_MASK & ~PAGE_MASK


class Image(NamedTuple):
    """What execve needs of a file: entry, segments in their order, where the headers show."""

    kind: int
    entry: int
    phoff: int
    phnum: int
    segments: tuple[Segment, ...]
    interp: tuple[int, int] | None  # offset and length of the interpreter's path
    stack_exec: bool
    phdr_vaddr: int  # 0: no segment shows the headers
    fits: int = 1  # 0: a segment cannot be mapped, which Linux sees too late to refuse the file

    @property
    def start(self) -> int:
        """The lowest page's address, before any bias."""
        return min(segment.start for segment in self.segments)

    @property
    def span(self) -> int:
        """Bytes from the first page to the end of the last."""
        return max(segment.end for segment in self.segments) - self.start

    @property
    def brk(self) -> int:
        """Where the heap of a program at a fixed address begins."""
        return max(segment.vaddr + segment.memsz for segment in self.segments)


def refuse() -> SyscallError:
    """Return the error of a file that is no program."""
    return SyscallError(errno.ENOEXEC)


def table_place(header: bytes) -> tuple[int, int]:
    """Return offset and length of the program headers. Errors: ENOEXEC."""
    if len(header) < HEADER_BYTES or header[:4] != MAGIC:
        raise refuse()
    phoff, phentsize, phnum = (
        int.from_bytes(header[32:40], "little"),
        int.from_bytes(header[54:56], "little"),
        int.from_bytes(header[56:58], "little"),
    )
    if phentsize != PROGRAM_HEADER_BYTES or not 1 <= phnum <= MAX_PROGRAM_HEADERS:
        raise refuse()
    if phoff >> 62:
        raise refuse()
    return phoff, phnum * PROGRAM_HEADER_BYTES


@lru_cache(64)
def parse(header: bytes, table: bytes) -> Image:
    """Return the image of an ELF header and its program headers. Errors: ENOEXEC."""
    phoff, nbytes = table_place(header)
    kind, machine = struct.unpack_from("<HH", header, 16)
    entry = int.from_bytes(header[24:32], "little")
    if kind not in (ET_EXEC, ET_DYN) or machine != EM_X86_64 or len(table) != nbytes:
        raise refuse()
    rows = list(struct.iter_unpack("<IIQQQQQQ", table))
    loads = [row for row in rows if row[0] == PT_LOAD]
    segments = tuple(Segment(row[2], row[3], row[5], row[6], row[1] & 7) for row in loads)
    if not segments:
        raise refuse()
    return Image(
        kind,
        entry,
        phoff,
        len(rows),
        segments,
        next((_interp(row) for row in rows if row[0] == PT_INTERP), None),
        any(row[0] == PT_GNU_STACK and row[1] & PF_X for row in rows),
        _phdr_vaddr(rows, segments, phoff),
        int(all(map(_fits, segments)) and _fit_together(segments)),
    )


# ---- why a file is no program ----

MACHINES = {
    2: "SPARC", 3: "i386", 8: "MIPS", 20: "PowerPC", 21: "64-bit PowerPC", 22: "S/390", 40: "ARM",
    43: "64-bit SPARC", 50: "IA-64", EM_X86_64: "x86-64", 183: "AArch64", 243: "RISC-V",
    258: "LoongArch",
}  # fmt: skip
KINDS = {1: "an object file, which is still to be linked", 4: "a core dump"}
BYTE_ORDERS = {1: "little", 2: "big"}


def complaint(head: bytes, size: int) -> str:
    """Return why a file cannot be executed, as a clause; "" for one with nothing wrong in sight.

    head: its first page at least. size: of the whole file, bytes.
    """
    if not size:
        return "it is empty"
    if head[:4] != MAGIC:
        return "it is neither an ELF program nor a script that begins with #!"
    if size < HEADER_BYTES:
        return f"it is truncated: {size} bytes, and an ELF header alone has {HEADER_BYTES}"
    order = BYTE_ORDERS.get(head[5])
    kind, machine = (int.from_bytes(head[at : at + 2], order or "little") for at in (16, 18))  # type: ignore[arg-type]
    name = MACHINES.get(machine, f"machine number {machine}")
    if head[4] != IDENT[4] and machine != EM_X86_64:
        return f"it is a 32-bit program for {name}; this machine is a 64-bit x86-64"
    if machine != EM_X86_64 or order != "little":
        return f"it is a program for {name}; this machine is an x86-64"
    if kind not in (ET_EXEC, ET_DYN):
        return f"it is {KINDS.get(kind, f'an ELF file of type {kind}')}"
    return _table_complaint(head, size)


def _table_complaint(head: bytes, size: int) -> str:
    try:
        offset, nbytes = table_place(head[:HEADER_BYTES])
    except SyscallError:
        return "its program headers make no sense"
    if offset + nbytes > size:
        return f"it is truncated: its program headers end at byte {offset + nbytes} of {size}"
    rows = list(
        struct.iter_unpack("<IIQQQQQQ", head[offset : offset + nbytes][: nbytes // 56 * 56])
    )
    loads = [row for row in rows if row[0] == PT_LOAD]
    if not loads and len(head) >= offset + nbytes:
        return "nothing in it is to be loaded"
    end = max((row[2] + row[5] for row in loads), default=0)
    if end > size:
        return f"it is truncated: it has {size} of {end} bytes"
    return ""


def _fits(segment: Segment) -> bool:
    """Tell whether Linux can map one PT_LOAD: sizes, user space, congruence."""
    offset, vaddr, filesz, memsz, _ = segment
    if filesz > memsz or memsz > TASK_SIZE or vaddr > TASK_SIZE - memsz:
        return False
    return not (filesz and (vaddr ^ offset) & PAGE_MASK) and offset + filesz < 1 << 63


def _fit_together(segments: tuple[Segment, ...]) -> bool:
    low = min(segment.start for segment in segments)
    high = max(segment.end for segment in segments)
    return 0 < high - low <= TASK_SIZE


def _interp(row: tuple[int, ...]) -> tuple[int, int]:
    offset, length = row[2], row[5]
    if not 2 <= length <= PATH_MAX or offset >> 62:
        raise refuse()
    return offset, length


def _phdr_vaddr(rows: list[tuple[int, ...]], segments: tuple[Segment, ...], phoff: int) -> int:
    for row in rows:
        if row[0] == PT_PHDR:
            return row[3]
    for segment in segments:
        if segment.offset <= phoff < segment.offset + segment.filesz:
            return phoff - segment.offset + segment.vaddr
    return 0
