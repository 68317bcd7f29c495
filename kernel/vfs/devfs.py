"""/dev: zero, null and full."""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING, Any

from kernel.core import lib
from kernel.errors import SyscallError
from kernel.vfs.inode import DirInode, Inode

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task


class NullDevice(Inode):
    """/dev/null: reads end at once, writes vanish."""

    kind = "chr"
    type_bits = stat.S_IFCHR

    def read(self, pos: int, nbytes: int) -> bytes:
        return b""

    def write(self, pos: int, data: bytes, task: Task | None = None) -> int:
        return len(data)

    def truncate(self, size: int) -> None:
        """Nothing to cut."""


class ZeroDevice(NullDevice):
    """/dev/zero: reads are zeroes; a mapping of it is anonymous memory."""

    def read(self, pos: int, nbytes: int) -> bytes:
        return bytes(nbytes)

    def file_handle(self, mode: int, cookie: int) -> Any:
        create, core = self.kernel.core_create, self.kernel.core
        mapping = create(lib.mapping_create, core, lib.MAPPING_MEMORY, 0)
        try:
            return create(lib.file_create, mapping, mode | lib.FILE_ZERO, cookie)
        finally:
            lib.mapping_put(mapping)


class FullDevice(ZeroDevice):
    """/dev/full: there is never room."""

    def write(self, pos: int, data: bytes, task: Task | None = None) -> int:
        raise SyscallError(errno.ENOSPC)


class DevFs:
    """The devices, at /dev."""

    name = "devtmpfs"

    def __init__(self, kernel: Kernel) -> None:
        self.root = DirInode(kernel, 0o755)
        devices: dict[str, type[Inode]] = {
            "null": NullDevice,
            "zero": ZeroDevice,
            "full": FullDevice,
        }
        for name, kind in devices.items():
            self.root.entries[name] = kind(kernel, 0o666)

    def close(self) -> None:
        """Nothing to give back."""
