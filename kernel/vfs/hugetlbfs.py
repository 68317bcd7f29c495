"""Files of large pages, as hugetlbfs has them."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.core import lib
from kernel.errors import SyscallError
from kernel.hugetlb import HUGE_SIZE
from kernel.vfs.inode import MappedInode

if TYPE_CHECKING:
    from kernel.task import Task


class HugeInode(MappedInode):
    """A file that can be mapped, read and truncated to large pages, not written."""

    mapping_flags = lib.MAPPING_HUGE
    block_size = HUGE_SIZE
    can_zero_range = False

    def write(self, pos: int, data: bytes, task: Task | None = None) -> int:
        raise SyscallError(errno.EINVAL)

    def next_data(self, pos: int) -> int | None:
        return pos if pos < self.size else None  # hugetlbfs does not look for holes

    def next_hole(self, pos: int) -> int:
        return self.size

    def promise(self) -> None:
        """Keep pages of the pool for all of the file. Errors: ENOMEM (there are not that many)."""
        self.kernel.core_call(None, lib.mapping_promise, self.mapping, self.size)

    def truncate(self, size: int) -> None:
        if size % HUGE_SIZE:
            raise SyscallError(errno.EINVAL)
        super().truncate(size)
