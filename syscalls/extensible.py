"""Structures that grow from one kernel to the next: a caller says how many bytes of one it knows.

What a caller does not know of is 0; what it knows more than this kernel must be 0. So a program
made for another version is understood, or refused, but never misread. The order of the checks:
copy_struct_from_user() of Linux 6.18 and its callers.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Any
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import PAGE_SIZE

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


class Extensible(NamedTuple):
    """A structure as this kernel knows it. least: bytes of its first version."""

    layout: struct.Struct
    least: int

    def need_size(self, nbytes: int) -> None:
        """Errors: EINVAL (less than the first version had), E2BIG (more than a page)."""
        if nbytes < self.least:
            raise SyscallError(errno.EINVAL)
        if nbytes > PAGE_SIZE:
            raise SyscallError(errno.E2BIG)

    def fields_at(self, task: Task, addr: int, nbytes: int) -> tuple[Any, ...]:
        """Return the fields of nbytes at addr.

        Errors: as need_size, E2BIG (fields that are not known are set), EFAULT.
        """
        self.need_size(nbytes)
        known = min(nbytes, self.layout.size)
        _need_zeros(task, addr + known, nbytes - known)
        return self.layout.unpack(task.mm.copy_in(addr, known).ljust(self.layout.size, b"\0"))


def _need_zeros(task: Task, addr: int, nbytes: int) -> None:
    """Errors: E2BIG (another byte before any that cannot be read), EFAULT."""
    found = task.mm.copy_in_part(addr, nbytes) if nbytes else b""
    if any(found):
        raise SyscallError(errno.E2BIG)
    if len(found) < nbytes:
        raise SyscallError(errno.EFAULT)


def extensible(layout: str, least: int | None = None) -> Extensible:
    """Return a structure of one version, or (least) of several. layout: as of struct.Struct."""
    made = struct.Struct(layout)
    return Extensible(made, made.size if least is None else least)
