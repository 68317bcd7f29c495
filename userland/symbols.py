"""Names of a program's addresses, and its stack: from the ELF files that its memory shows.

Owns what was read of each file. Looking leaves no trace: files are read without bringing in a page
(Inode.sight_at), memory only where it is present. Without pyelftools (extra `emulators`), or of a
file that is no ELF or has no symbols, nothing has a name, and a stack goes by frame pointers.

A stack is walked by the files' call frame information (.eh_frame, as strace -k does), else by rbp;
it ends where neither leads on. Source: System V ABI AMD64, 3.4 and 3.7.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pkern.kernel.core import ffi, lib
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.inode import Inode

PAGE_SIZE = 4096
WORD = struct.Struct("<Q")
KINDS = ("STT_FUNC", "STT_GNU_IFUNC", "STT_NOTYPE", "STT_OBJECT")
MOST_FRAMES = 256
MASK = (1 << 64) - 1
MOST_AT_ONCE = 1 << 20  # bytes that are read in one piece
# DWARF's numbers of registers on x86-64; 16 is the return address.
RBX, RBP, RSP, RIP = 3, 6, 7, 16
NAMES = {
    0: "rax", 1: "rdx", 2: "rcx", RBX: "rbx", 4: "rsi", 5: "rdi", RBP: "rbp", RSP: "rsp",
    8: "r8", 9: "r9", 10: "r10", 11: "r11", 12: "r12", 13: "r13", 14: "r14", 15: "r15", RIP: "rip",
}  # fmt: skip


class Place(NamedTuple):
    """What an address of a program belongs to.

    path: of the file, "" for none. name: the symbol before it, "" for none; offset: bytes behind
    the symbol. vaddr: the address in the file's own numbers.
    """

    path: str
    name: str
    offset: int
    vaddr: int

    def __str__(self) -> str:
        return f"{self.name}+{self.offset:#x}" if self.name else f"{self.vaddr:#x}"


class Spot(NamedTuple):
    """Where in a file an address of a program lies: its path then, and the byte."""

    path: str
    inode: Inode
    offset: int


class Frame(NamedTuple):
    """One function that has not returned yet. addr: the next instruction of it."""

    addr: int
    place: Place


class Program:
    """What is known of one ELF file."""

    def __init__(self, data: bytes) -> None:
        """Read it. Errors: ValueError (it is none), ImportError."""
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        try:
            self._file: Any = ELFFile(io.BytesIO(data))
            self._segments = [
                (int(s["p_offset"]), int(s["p_filesz"]), int(s["p_vaddr"]))
                for s in self._file.iter_segments("PT_LOAD")
            ]
        except (ELFError, struct.error) as error:
            raise ValueError(str(error)) from error

    def vaddr(self, offset: int) -> int | None:
        """Return the address in the file's numbers of an offset in the file."""
        for start, size, vaddr in self._segments:
            if start & -PAGE_SIZE <= offset < start + size:
                return offset - start + vaddr
        return None

    def load_offset(self, vaddr: int) -> int | None:
        """Return where in the file the byte of an address is."""
        for start, size, first in self._segments:
            if first <= vaddr < first + size:
                return vaddr - first + start
        return None

    @cached_property
    def _symbols(self) -> list[tuple[int, int, str]]:
        """Address, size and name of every symbol that has one, by address."""
        found = {}
        for section in self._file.iter_sections():
            if section["sh_type"] not in ("SHT_SYMTAB", "SHT_DYNSYM"):
                continue
            for symbol in section.iter_symbols():
                kind, value = symbol["st_info"]["type"], int(symbol["st_value"])
                if symbol.name and value and kind in KINDS and symbol["st_shndx"] != "SHN_UNDEF":
                    found[value, symbol.name] = int(symbol["st_size"])
        return sorted((value, size, name) for (value, name), size in found.items())

    @cached_property
    def _addresses(self) -> list[int]:
        return [value for value, _, _ in self._symbols]

    def name(self, vaddr: int) -> tuple[str, int]:
        """Return the symbol that an address lies in, or behind, and how far; "": none."""
        at = bisect_right(self._addresses, vaddr)
        for value, size, name in reversed(self._symbols[max(at - 8, 0) : at]):
            if not size or vaddr < value + size:
                return name, vaddr - value
        return "", 0

    def address(self, name: str) -> int | None:
        """Return a symbol's address in the file's numbers."""
        return next((value for value, _, found in self._symbols if found == name), None)

    @cached_property
    def _frames(self) -> list[Any]:
        """The call frame information, by the first address of each part."""
        from elftools.dwarf.callframe import FDE

        try:
            if not self._file.has_dwarf_info(strict=False):
                return []
            info = self._file.get_dwarf_info(relocate_dwarf_sections=False)
            entries = info.EH_CFI_entries() if info.has_EH_CFI() else []
            found = [entry for entry in entries if isinstance(entry, FDE)]
        except Exception:  # whatever a damaged section makes of the library
            return []
        return sorted(found, key=lambda entry: entry["initial_location"])

    @cached_property
    def _frame_starts(self) -> list[int]:
        return [int(entry["initial_location"]) for entry in self._frames]

    def rules(self, vaddr: int) -> tuple[dict[Any, Any], int] | None:
        """Return where the caller's registers are at an address, and in which the return is."""
        at = bisect_right(self._frame_starts, vaddr) - 1
        if at < 0:
            return None
        entry = self._frames[at]
        if vaddr >= entry["initial_location"] + entry["address_range"]:
            return None
        rows = [row for row in entry.get_decoded().table if row["pc"] <= vaddr]
        return (rows[-1], int(entry.cie["return_address_register"])) if rows else None


class Symbols:
    """The names in one machine's programs."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._programs: WeakKeyDictionary[Inode, Program | None] = WeakKeyDictionary()

    def read(self, task: Task, addr: int, nbytes: int) -> bytes:
        """Return what a task would read at addr, as far as that is known without bringing it in.

        It ends at what is not mapped, and at what is in swap.
        """
        data = bytearray()
        while len(data) < nbytes and 0 <= addr + len(data) <= MASK:
            at, left = addr + len(data), min(nbytes - len(data), MOST_AT_ONCE)
            found = peek(task, at, left) or self._absent(task, at, left)
            if not found:
                break
            data += found
        return bytes(data)

    def _absent(self, task: Task, addr: int, nbytes: int) -> bytes:
        """Return what would come to a page that is not there: the file's bytes, or zeroes."""
        nbytes = min(nbytes, PAGE_SIZE - addr % PAGE_SIZE)
        vma, word = task.mm.vma_at(addr), ffi.new("uint64_t *")
        if vma is None:
            return b""
        lib.mm_pagemap(task.mm.handle, addr // PAGE_SIZE, 1, word)
        if word[0]:  # it is in swap, or a marker
            return b""
        if not vma.file_cookie:
            return b"" if vma.mapping_cookie else bytes(nbytes)
        file = self._kernel.vfs.file_of(vma.file_cookie)
        offset = addr - vma.start + vma.pgoff * PAGE_SIZE
        return file.inode.sight_at(offset, nbytes) if file is not None else b""

    def _program(self, inode: Inode) -> Program | None:
        if inode not in self._programs:
            try:
                made: Program | None = Program(inode.sight_at(0, inode.size))
            except (ValueError, ImportError):
                made = None
            self._programs[inode] = made
        return self._programs[inode]

    def spot(self, task: Task, addr: int) -> Spot | None:
        """Return where in a file an address of a task lies, without reading it; None: in none."""
        vma = task.mm.vma_at(addr)
        file = self._kernel.vfs.file_of(vma.file_cookie) if vma and vma.file_cookie else None
        if vma is None or file is None:
            return None
        return Spot(file.path, file.inode, addr - vma.start + vma.pgoff * PAGE_SIZE)

    def named(self, spot: Spot) -> Place | None:
        """Return what a byte of a file belongs to; None: it is no ELF file's."""
        program = self._program(spot.inode)
        vaddr = program.vaddr(spot.offset) if program is not None else None
        if program is None or vaddr is None:
            return None
        return Place(spot.path, *program.name(vaddr), vaddr)

    def _shown(self, vma: Vma | None) -> tuple[str, Program] | None:
        """Return the file that an area shows, if it is an ELF file."""
        file = self._kernel.vfs.file_of(vma.file_cookie) if vma and vma.file_cookie else None
        program = self._program(file.inode) if file is not None else None
        return (file.path, program) if file is not None and program is not None else None

    def place(self, task: Task, addr: int) -> Place | None:
        """Return what an address of a task belongs to; None: to no ELF file."""
        spot = self.spot(task, addr) if 0 <= addr <= MASK else None
        return None if spot is None else self.named(spot)

    def address(self, task: Task, name: str) -> int | None:
        """Return where a symbol lies in a task's memory; None: in no file that it maps."""
        for vma in task.mm.vmas():
            shown = self._shown(vma) if vma.flags & lib.VM_EXEC else None
            vaddr = shown[1].address(name) if shown is not None else None
            offset = shown[1].load_offset(vaddr) if shown and vaddr is not None else None
            if offset is None:
                continue
            inside = offset - vma.pgoff * PAGE_SIZE
            if 0 <= inside < vma.end - vma.start:
                return vma.start + inside
        return None

    # ---- stacks ----

    def stack(self, task: Task) -> list[Frame]:
        """Return a task's functions, the innermost first, as far as they are to be found."""
        registers: dict[int, int] = {}
        values = task.cpu.registers()
        for number, name in NAMES.items():
            registers[number] = values[name]
        frames: list[Frame] = []
        before = 1  # a return address stands behind its call, which may be its function's last
        while len(frames) < MOST_FRAMES:
            rip = registers[RIP]
            place = self.place(task, rip if not frames else rip - before)
            if place is None:
                break
            moved = place._replace(offset=place.offset + before, vaddr=place.vaddr + before)
            frames.append(Frame(rip, moved if len(frames) else place))
            above = self._caller(task, registers, place.vaddr)
            if above is None or above[RSP] <= registers[RSP]:
                break
            registers = above
        return frames

    def lines(self, task: Task) -> list[str]:
        """Return a task's stack as strace -k shows it, a function a line."""
        places = (frame.place for frame in self.stack(task))
        return [f"{p.path}({p.name and p}) [{p.vaddr:#x}]" for p in places]

    def _caller(self, task: Task, registers: dict[int, int], vaddr: int) -> dict[int, int] | None:
        """Return the caller's registers; None: they cannot be found."""
        shown = self._shown(task.mm.vma_at(registers[RIP] - 1))
        rules = shown[1].rules(vaddr) if shown is not None else None
        if rules is None:
            return _by_frame_pointer(task, registers)
        try:
            return _by_rules(task, registers, *rules)
        except (KeyError, LookupError):
            return None


def _word(task: Task, addr: int) -> int:
    """Return a word of a task's memory that is present. Errors: LookupError."""
    found = peek(task, addr, WORD.size)
    if len(found) < WORD.size:
        raise LookupError(addr)
    return int(WORD.unpack(found)[0])


def peek(task: Task, addr: int, nbytes: int) -> bytes:
    """Return what of a task's memory is present at addr, without bringing any in."""
    buffer = bytearray(nbytes)
    where = ffi.from_buffer(buffer)
    return bytes(buffer[: lib.debug_peek(task.mm.handle, addr & MASK, where, nbytes)])


def _by_frame_pointer(task: Task, registers: dict[int, int]) -> dict[int, int] | None:
    rbp = registers[RBP]
    if rbp < registers[RSP]:
        return None
    try:
        before, rip = _word(task, rbp), _word(task, rbp + WORD.size)
    except LookupError:
        return None
    return {**registers, RBP: before, RSP: rbp + 2 * WORD.size, RIP: rip}


def _by_rules(
    task: Task, registers: dict[int, int], row: dict[Any, Any], return_register: int
) -> dict[int, int]:
    """Follow one row of call frame information. Errors: LookupError: it says too much."""
    cfa = row["cfa"]
    if cfa.expr is not None:
        raise LookupError("an expression")
    frame = registers[cfa.reg] + cfa.offset
    above = {**registers, RSP: frame & MASK}
    for number, rule in row.items():
        if isinstance(number, int) and rule.type == "OFFSET":
            above[number] = _word(task, frame + rule.arg)
        elif isinstance(number, int) and rule.type not in ("SAME_VALUE",):
            raise LookupError(rule.type)
    if return_register not in row:
        raise LookupError("no return address")
    above[RIP] = above[return_register]
    return above
