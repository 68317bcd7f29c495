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
    """A file that can be mapped and truncated to large pages, not read or written."""

    mapping_flags = lib.MAPPING_HUGE

    def read(self, pos: int, nbytes: int) -> bytes:
        raise SyscallError(errno.EINVAL)

    def write(self, pos: int, data: bytes, task: Task | None = None) -> int:
        raise SyscallError(errno.EINVAL)

    def allocate(self, pos: int, nbytes: int) -> None:
        try:
            super().allocate(pos, nbytes)
        except SyscallError as error:
            empty = error.number == errno.ENOMEM and not self.kernel.counters.nr_huge_free
            raise SyscallError(errno.ENOSPC) if empty else error from None

    def truncate(self, size: int) -> None:
        if size % HUGE_SIZE:
            raise SyscallError(errno.EINVAL)
        super().truncate(size)
