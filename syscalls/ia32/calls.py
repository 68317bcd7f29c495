"""Makes a call of the i386 table.

A call is a native one, made as a program's own (who watches calls sees that one), or has a handler
of its own for the structures that it points to (forms.py), or is ENOSYS. Mappings it makes lie
below 4 GiB. Source: Linux 6.18 arch/x86/entry/syscalls/syscall_32.tbl.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.program.elf import TASK_SIZE
from pkern.kernel.tasks.thread import HALF
from pkern.syscalls import abi
from pkern.syscalls.ia32 import bundles, files, signals, tasks, waits
from pkern.syscalls.ia32.forms import FORMS
from pkern.syscalls.ia32.numbers import NAMES
from pkern.syscalls.ia32.shapes import SHAPES
from pkern.syscalls.numbers import NAMES as NATIVE_NAMES
from pkern.syscalls.table import TABLE

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

ROOMS = (
    bundles,
    files,
    signals,
    tasks,
    waits,
)  # whose calls are in FORMS once imported
PLACING = frozenset({"mmap", "mmap2", "mremap", "shmat", "ipc"})
FORM_OF = {"fcntl64": "fcntl", "_newselect": "select"}
LOW_TOP = 0xFFFF_E000  # where i386 programs end
MOST_GAP = LOW_TOP // 6 * 5


def exists(name: str) -> bool:
    """Tell whether a call of the i386 table is done."""
    return name in FORMS or (name in SHAPES and SHAPES[name].nr in TABLE)


def make(task: Task, nr: int, *registers: int) -> int:
    """Make a call by its number, from the low halves of six registers. Errors: its own, ENOSYS."""
    name = NAMES.get(nr, "")
    registers = tuple(register & HALF for register in registers)
    if name in PLACING:
        return _make_below_4g(task, name, registers)
    return _make(task, name, registers)


def _make(task: Task, name: str, registers: tuple[int, ...]) -> int:
    scheduler = task.kernel.scheduler
    assert scheduler is not None
    if name in FORMS:
        return abi.raw_call(FORMS[name])(task, *registers)
    shape = SHAPES.get(name)
    if shape is None or shape.nr not in scheduler.calls.table:
        raise SyscallError(errno.ENOSYS)
    return scheduler.calls.table[shape.nr](task, *shape.registers(registers))


def native(task: Task, nr: int, registers: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Return the native call that one of the i386 table comes to, and its words; "": none."""
    name, registers = NAMES.get(nr, ""), tuple(register & HALF for register in registers)
    if name == "socketcall":
        name, count = bundles.SOCKET_CALLS.get(registers[0], bundles.NO_CALL)
        return name, _words_at(task, registers[1], count)
    if name == "select":
        return name, _words_at(task, registers[0], waits.OLD_SELECT.size // 4)
    if name in FORMS:
        name = name.removesuffix("_time64")
        return FORM_OF.get(name, name), registers
    shape = SHAPES.get(name)
    if shape is None:
        return "", registers
    return NATIVE_NAMES[shape.nr], shape.registers(registers)


def _words_at(task: Task, addr: int, count: int) -> tuple[int, ...]:
    """Return six words, of which so many are at an address: 0 where they cannot be looked at."""
    return struct.unpack("<6I", task.mm.glimpse(addr, 4 * count).ljust(24, b"\0"))


def _make_below_4g(task: Task, name: str, registers: tuple[int, ...]) -> int:
    """Make a call that places mappings; the room for a stack is as in the native layout."""
    mm = task.mm
    gap = min(TASK_SIZE - mm.counters.mmap_base, MOST_GAP)
    lib.mm_place_low(mm.handle, LOW_TOP - gap)
    try:
        return _make(task, name, registers)
    finally:
        lib.mm_place_low(mm.handle, 0)
