"""A core file's layout: ELF header, program headers, notes, then pages.

    0      [ ELF header, 64 ][ PT_NOTE ][ PT_LOAD a VMA ][ notes ]
    page   [ the pages of each segment, those that nobody touched as holes ]
           [ a section header with the number of segments, if that has over 16 bits ]

Memory is read through the machine: what was swapped comes back, and a page that cannot is a hole.
Source: elf_core_dump() of Linux 6.18.
"""

from __future__ import annotations

import struct
from itertools import groupby

from pkern.kernel.core import ffi, lib
from pkern.kernel.dump.notes import Note, notes
from pkern.kernel.dump.segments import Segment, segments
from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Iterator

if TYPE_CHECKING:
    from pkern.kernel.dump.writer import Writer
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task

PAGE_SIZE = 4096
BATCH = 64  # pages
IDENT = b"\x7fELF\2\1\1".ljust(16, b"\0")  # 64 bits, little endian, version 1
ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
ET_CORE, EM_X86_64, PT_LOAD, PT_NOTE, PN_XNUM = 4, 62, 1, 4, 0xFFFF


def _up(nbytes: int) -> int:
    return -(-nbytes // PAGE_SIZE) * PAGE_SIZE


def _elf_header(nr_headers: int, end: int) -> bytes:
    """Return the ELF header. end: where the section header is, if there is one."""
    many = nr_headers >= PN_XNUM
    sections = (SECTION_HEADER.size, 1, 0) if many else (0, 0, 0)
    return ELF_HEADER.pack(
        IDENT, ET_CORE, EM_X86_64, 1, 0, ELF_HEADER.size, end if many else 0, 0,
        ELF_HEADER.size, PROGRAM_HEADER.size, min(nr_headers, PN_XNUM), *sections,
    )  # fmt: skip


def _program_headers(loads: list[Segment], notes_at: int, notes_end: int) -> Iterator[bytes]:
    yield PROGRAM_HEADER.pack(PT_NOTE, 0, notes_at, 0, 0, notes_end - notes_at, 0, 4)
    at = _up(notes_end)
    for load in loads:
        start, end = load.vma.start, load.vma.end
        yield PROGRAM_HEADER.pack(
            PT_LOAD, load.flags, at, start, 0, load.nbytes, end - start, PAGE_SIZE
        )
        at += load.nbytes


def _write_note(out: Writer, note: Note) -> None:
    for part in note.parts():
        out.emit(part)
        out.align(4)


def _write_pages(task: Task, out: Writer, addr: int, end: int) -> None:
    """Write the pages of a range; those that are not there, or cannot be had, are left out."""
    buffer, there = bytearray(BATCH * PAGE_SIZE), bytearray(BATCH)
    where, flags = ffi.from_buffer(buffer), ffi.from_buffer("uint8_t[]", there)
    while addr < end:
        nr = min(BATCH, (end - addr) // PAGE_SIZE)
        try:
            nr = task.mm.call(lib.mm_dump, addr, where, nr, flags)
        except SyscallError:
            nr, there[0] = 1, 0
        first = 0
        for has, run in groupby(there[:nr]):
            length = len(list(run)) * PAGE_SIZE
            if has:
                out.emit_pages(bytes(buffer[first : first + length]))
            else:
                out.skip(length)
            first += length
        addr += nr * PAGE_SIZE


def _stand_alone(task: Task, info: SigInfo) -> None:
    """End the other threads, whose registers are noted: nobody changes the memory any more."""
    for other in task.group.living():
        if other is not task:
            other.end_thread(info.si_signo)


def write(task: Task, info: SigInfo, out: Writer) -> None:
    """Write the core file of a task that a signal ends. Errors: DumpEnds, TaskKilled."""
    loads = segments(task)
    told = notes(task, info, [load.vma for load in loads])
    _stand_alone(task, info)
    nr_headers = len(loads) + 1
    notes_at = ELF_HEADER.size + nr_headers * PROGRAM_HEADER.size
    notes_end = notes_at + sum(note.nbytes for note in told)
    end = _up(notes_end) + sum(load.nbytes for load in loads)
    out.emit(_elf_header(nr_headers, end))
    for header in _program_headers(loads, notes_at, notes_end):
        out.emit(header)
    for note in told:
        _write_note(out, note)
    out.align(PAGE_SIZE)
    for load in loads:
        _write_pages(task, out, load.vma.start, load.vma.start + load.nbytes)
    if nr_headers >= PN_XNUM:
        out.emit(SECTION_HEADER.pack(0, 0, 0, 0, 0, 1, 0, nr_headers, 0, 0))
