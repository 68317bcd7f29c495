"""Files of large pages, as hugetlbfs has them."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.hugetlb import HUGE_SIZE
from pkern.kernel.vfs.fs.tmpfs import TmpFs
from pkern.kernel.vfs.inode import UNWRITTEN, MappedInode

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine


class HugeInode(MappedInode):
    """A file that can be mapped, read and truncated to large pages, not written."""

    lacks = UNWRITTEN
    mapping_flags = lib.MAPPING_HUGE
    block_size = HUGE_SIZE

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        raise SyscallError(errno.EINVAL)

    def next_data(self, pos: int) -> int | None:
        return pos if pos < self.size else None  # hugetlbfs does not look for holes

    def next_hole(self, pos: int) -> int:
        return self.size

    def promise(self) -> None:
        """Keep pages of the pool for all of the file. Errors: ENOMEM (there are not that many)."""
        self.kernel.memory.call(None, lib.mapping_promise, self.mapping, self.size)

    def truncate(self, size: int) -> None:
        if size % HUGE_SIZE:
            raise SyscallError(errno.EINVAL)
        super().truncate(size)


class HugetlbFs(TmpFs):
    """One hugetlbfs: a tmpfs whose files are of large pages."""

    name = "hugetlbfs"
    magic = 0x958458F6
    block_size = HUGE_SIZE
    usual_mode = 0o755
    file_kind = HugeInode

    def __init__(self, kernel: Machine) -> None:
        super().__init__(kernel)
        self.root.block_size = HUGE_SIZE

    @property
    def options(self) -> list[str]:
        return ["pagesize=2M", *super().options]
