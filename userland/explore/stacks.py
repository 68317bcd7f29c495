"""Where in a program a task was: its stack, from the registers up, by the program's own tables.

Owns the reading of the ELF file: symbols for names, .eh_frame for callers. Without symbols there
are addresses, without the other one frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pkern.kernel.cpu.stops import peek
from pkern.kernel.vfs.proc.maps import columns

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

STACK_BYTES = 8192
MOST_FRAMES = 32
WORD = struct.Struct("<Q")
# DWARF's numbers of x86-64's registers.
NAMES = (
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
)  # fmt: skip
RETURN = NAMES.index("rip")


class Area(NamedTuple):
    """What is mapped where: /proc/PID/maps."""

    start: int
    end: int
    offset: int
    name: str


class Captured(NamedTuple):
    """A task as it was: registers, the top of its stack, what was mapped."""

    registers: Mapping[str, int]
    stack: bytes
    areas: tuple[Area, ...]

    @classmethod
    def of(cls, task: Task) -> Captured:
        """Return what a task's stack is to be read from later."""
        registers = task.cpu.registers()
        stack = peek(task.mm.handle, registers["rsp"], STACK_BYTES)
        areas = tuple(
            Area(vma.start, vma.end, vma.pgoff << 12, columns(task, vma).name)
            for vma in task.mm.vmas()
        )
        return cls(registers, stack, areas)


class Program:
    """An ELF file of the host, as the names and callers of a program. path: as maps has it."""

    def __init__(self, file: Path, path: str) -> None:
        """Read it. Errors: OSError; elftools' own for what is no ELF file."""
        from elftools.elf.elffile import ELFFile

        with file.open("rb") as stream:
            elf = ELFFile(stream)
            self._path = path
            self._moves = elf["e_type"] == "ET_DYN"
            self._functions = sorted(_symbols(elf, "STT_FUNC"))
            self._objects = sorted(_symbols(elf, "STT_OBJECT"))
            self._frames = _frames(elf)

    def frames(self, at: Captured, rip: int) -> list[str]:
        """Return the names of the functions that a task was in, the innermost first."""
        found = [self.name(rip, at)]
        found += [self.name(pc - 1, at) for pc in self._callers(at)]
        return found

    def name(self, addr: int, at: Captured) -> str:
        """Return function+offset, or what can be said of an address."""
        return _named(self._functions, addr - self._bias(at)) or _placed(addr, at)

    def datum(self, addr: int, at: Captured) -> str:
        """Return the name of what lies at an address."""
        return _named(self._objects, addr - self._bias(at)) or _placed(addr, at)

    def _bias(self, at: Captured) -> int:
        mine = (area.start - area.offset for area in at.areas if area.name == self._path)
        return min(mine, default=0) if self._moves else 0

    def _callers(self, at: Captured) -> Iterator[int]:
        registers = dict(at.registers)
        bias, base = self._bias(at), registers["rsp"]
        for _ in range(MOST_FRAMES):
            row = self._row(registers["rip"] - bias)
            if row is None or getattr(row["cfa"], "reg", None) is None:
                return
            frame = registers[NAMES[row["cfa"].reg]] + row["cfa"].offset
            for number, name in enumerate(NAMES):
                rule = row.get(number)
                if getattr(rule, "type", "") == "OFFSET":
                    place = frame + rule.arg - base
                    if not 0 <= place <= len(at.stack) - WORD.size:
                        return
                    (registers[name],) = WORD.unpack_from(at.stack, place)
            registers["rsp"] = frame
            if getattr(row.get(RETURN), "type", "") != "OFFSET" or not registers["rip"]:
                return  # where a thread begins
            yield registers["rip"]
            registers["rip"] -= 1  # the call may be its function's last instruction

    def _row(self, pc: int) -> Any:
        """Return the row of the table for an address: the rules by which its caller is found."""
        for start, end, entry in self._frames:
            if start <= pc < end:
                rows = [row for row in entry.get_decoded().table if row["pc"] <= pc]
                return rows[-1] if rows else None
        return None


def _symbols(elf: Any, kind: str) -> Iterator[tuple[int, int, str]]:
    """Give (address, bytes, name)."""
    for section in elf.iter_sections():
        if section["sh_type"] in ("SHT_SYMTAB", "SHT_DYNSYM"):
            for symbol in section.iter_symbols():
                if symbol["st_info"]["type"] == kind and symbol["st_value"]:
                    yield symbol["st_value"], symbol["st_size"], symbol.name


def _frames(elf: Any) -> list[tuple[int, int, Any]]:
    if elf.get_section_by_name(".eh_frame") is None:
        return []
    entries = elf.get_dwarf_info().EH_CFI_entries()
    return [
        (entry["initial_location"], entry["initial_location"] + entry["address_range"], entry)
        for entry in entries
        if type(entry).__name__ == "FDE"
    ]


def _named(symbols: list[tuple[int, int, str]], addr: int) -> str:
    for start, size, name in symbols:
        if start <= addr < start + max(size, 1):
            return f"{name}+{addr - start:#x}" if addr > start else name
    return ""


def _placed(addr: int, at: Captured) -> str:
    for area in at.areas:
        if area.start <= addr < area.end:
            return f"{addr:#x} {area.name}".strip()
    return f"{addr:#x}"
