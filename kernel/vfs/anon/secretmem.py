"""memfd_secret: memory that only those who map it see, and only at their own instructions.

The core refuses everyone else (MAPPING_SECRET): other processes, debuggers, pages that a pipe would
hold. Its pages stay in memory, and count as locked. Source: memfd_secret(2), mm/secretmem.c.
"""

from __future__ import annotations

import errno
from stat import S_IFREG
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.inode import NEITHER, Inode, MappedInode

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine


class SecretInode(MappedInode):
    """A file that can only be mapped, once it has a size, which is set once."""

    lacks = NEITHER
    kind = "secret"
    type_bits = S_IFREG
    can_sync = False
    can_direct = can_seal = has_file_flags = False
    mapping_flags = lib.MAPPING_MEMORY | lib.MAPPING_LOCKED | lib.MAPPING_SECRET
    fallocate_modes = frozenset()

    def __init__(self, kernel: Machine, uid: int, gid: int) -> None:
        super().__init__(kernel, 0o600, uid, gid)

    def file_handle(self, mode: int, cookie: int) -> Any:
        return super().file_handle(mode | int(lib.FILE_PAGEWISE), cookie)

    def read(self, pos: int, nbytes: int) -> bytes:
        raise SyscallError(errno.EINVAL)

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        raise SyscallError(errno.EINVAL)

    def opened(self, task: Caller) -> Inode:
        raise SyscallError(errno.ENXIO)  # through /proc: there is one open file

    def released(self) -> None:
        """Go with the open file, though a name is counted, as on Linux."""
        if not self.open_count:
            self.nlink = 0
            super().released()

    def truncate(self, size: int) -> None:
        if self.size:
            raise SyscallError(errno.EINVAL)
        super().truncate(size)
