"""Segments of the processor: programs here have the flat ones, and no table of their own."""

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
NR_DESCRIPTORS, DEFAULT_BYTES = 8192, 128
SEG_32BIT, CONTENTS, NOT_PRESENT = 1, 6, 32
INT_BITS = 1 << 32


def _refuse(task: Task, addr: int, nbytes: int, func: int) -> int:
    """Return the errno of who would write a descriptor: none can be installed."""
    if nbytes != DESCRIPTOR.size:
        return errno.EINVAL
    number, _, _, flags = DESCRIPTOR.unpack(task.mm.copy_in(addr, nbytes))
    conforming = flags & CONTENTS == CONTENTS and (func == WRITE_OLD or not flags & NOT_PRESENT)
    if number >= NR_DESCRIPTORS or conforming:
        return errno.EINVAL
    return errno.ENOMEM


@syscall(154, "modify_ldt", INT, INT, INT, partly="the table is empty, and stays so (ENOMEM)")
def modify_ldt(task: Task, func: int, addr: int, nbytes: int) -> int:
    """Read the task's table of segments (0), the default one (2), or refuse to write (1, 0x11).

    As in Linux the result is an int: an error is its 32 bits and no negative number of 64.
    Errors: EINVAL, EFAULT, ENOMEM, ENOSYS. Source: modify_ldt(2).
    """
    try:
        return _answer(task, func & (INT_BITS - 1), addr, nbytes)
    except SyscallError as error:
        return INT_BITS - (error.errno or 0)


def _answer(task: Task, func: int, addr: int, nbytes: int) -> int:
    if func == READ:
        return 0
    if func == READ_DEFAULT:
        nbytes = min(nbytes, DEFAULT_BYTES)
        task.mm.copy_out(addr, bytes(nbytes))
        return nbytes
    if func in (WRITE_OLD, WRITE):
        raise SyscallError(_refuse(task, addr, nbytes, func))
    raise SyscallError(errno.ENOSYS)
