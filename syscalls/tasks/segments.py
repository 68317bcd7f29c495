"""Segments of the processor: programs have the flat ones, and a table whose entries are all empty.

mm.settings.ldt_entries says how long the table is, which clearing an entry may make longer.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.syscalls.table import INT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

READ, WRITE_OLD, READ_DEFAULT, WRITE = 0, 1, 2, 0x11
DESCRIPTOR = struct.Struct("<4I")  # struct user_desc: number, base, limit, flags
NR_DESCRIPTORS, DEFAULT_BYTES, ENTRY_BYTES = 8192, 128, 8
SEG_32BIT, CONTENTS, READ_ONLY, IN_PAGES, NOT_PRESENT, USEABLE, LONG = 1, 6, 8, 16, 32, 64, 128
KIND = SEG_32BIT | CONTENTS | READ_ONLY | IN_PAGES | NOT_PRESENT | USEABLE | LONG
EMPTY_KIND = READ_ONLY | NOT_PRESENT  # of them, in what modify_ldt(0x11) takes for an empty entry
INT_BITS = 1 << 32


def _write(task: Task, addr: int, nbytes: int, func: int) -> int:
    """Clear an entry; ENOMEM for one that were not empty, as none can be used here."""
    if nbytes != DESCRIPTOR.size:
        raise SyscallError(errno.EINVAL)
    number, base, limit, flags = DESCRIPTOR.unpack(task.mm.copy_in(addr, nbytes))
    conforming = flags & CONTENTS == CONTENTS and (func == WRITE_OLD or not flags & NOT_PRESENT)
    if number >= NR_DESCRIPTORS or conforming:
        raise SyscallError(errno.EINVAL)
    if base or limit or not (func == WRITE_OLD or flags & KIND == EMPTY_KIND):
        raise SyscallError(errno.ENOMEM)
    mm = task.mm
    entries = max(mm.settings.ldt_entries, number + 1)
    mm.settings = mm.settings._replace(ldt_entries=entries)
    return 0


def _read(task: Task, addr: int, nbytes: int) -> int:
    """Store the table, and zeroes behind it."""
    if not task.mm.settings.ldt_entries:
        return 0
    nbytes = min(nbytes, NR_DESCRIPTORS * ENTRY_BYTES)
    task.mm.copy_out(addr, bytes(nbytes))
    return nbytes


@syscall(154, "modify_ldt", INT, INT, INT, partly="entries can be cleared, not used (ENOMEM)")
def modify_ldt(task: Task, func: int, addr: int, nbytes: int) -> int:
    """Read the task's table of segments (0), the default one (2), or clear an entry (1, 0x11).

    As in Linux the result is an int: an error is its 32 bits and no negative number of 64.
    Errors: EINVAL, EFAULT, ENOMEM, ENOSYS. Source: modify_ldt(2).
    """
    try:
        return _answer(task, func & (INT_BITS - 1), addr, nbytes)
    except SyscallError as error:
        return INT_BITS - (error.errno or 0)


def _answer(task: Task, func: int, addr: int, nbytes: int) -> int:
    if func == READ:
        return _read(task, addr, nbytes)
    if func == READ_DEFAULT:
        nbytes = min(nbytes, DEFAULT_BYTES)
        task.mm.copy_out(addr, bytes(nbytes))
        return nbytes
    if func in (WRITE_OLD, WRITE):
        return _write(task, addr, nbytes, func)
    raise SyscallError(errno.ENOSYS)
