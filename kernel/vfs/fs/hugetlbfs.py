"""Files of large pages, as hugetlbfs has them."""

from __future__ import annotations

import errno

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.hugetlb import HUGE_SIZE
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.fs.ramfs import HolelessInode
from pkern.kernel.vfs.fs.tmpfs import NO_LIMIT, Room, TmpFs, TmpfsDir
from pkern.kernel.vfs.inode import UNWRITTEN, Inode

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine


class HugeInode(HolelessInode):
    """A file that can be mapped, read and truncated to large pages, not written."""

    lacks = UNWRITTEN
    mapping_flags = lib.MAPPING_HUGE
    block_size = HUGE_SIZE

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        raise SyscallError(errno.EINVAL)

    def promise(self) -> None:
        """Keep pages of the pool for all of the file. Errors: ENOMEM (there are not that many)."""
        self.kernel.memory.call(None, lib.mapping_promise, self.mapping, self.size)

    def truncate(self, size: int) -> None:
        if size % HUGE_SIZE:
            raise SyscallError(errno.EINVAL)
        super().truncate(size)


class HugetlbFs(TmpFs):
    """One hugetlbfs: a tmpfs whose files are of large pages.

    sizes: what its mount asked for, by option: a number, and "%" if it is of the pool's pages. Its
    quota is in large pages, and of use only where one of these was asked for.
    """

    name = "hugetlbfs"
    magic = 0x958458F6
    block_size = HUGE_SIZE
    usual_mode = 0o755
    mode_digits = 1
    entry_bytes = 0
    can_whiteout = False
    file_kind = HugeInode

    def __init__(self, kernel: Machine) -> None:
        super().__init__(kernel)
        self.root.block_size = HUGE_SIZE
        self.quota.max = NO_LIMIT
        self.sizes: dict[str, tuple[int, str]] = {}

    def create(self) -> None:
        """Have what its mount asked for. Errors: EINVAL (min_size above size), ENOMEM."""
        most, least = self._pages("size"), self._pages("min_size")
        if most is not None and least is not None and least > most:
            raise SyscallError(errno.EINVAL)
        if self.max_inodes == 0:
            raise SyscallError(errno.ENOMEM)
        self.quota.max = NO_LIMIT if most is None else most
        memory = self.kernel.memory
        memory.call(None, lib.quota_keep, memory.core, self.quota, least or 0)

    def _pages(self, name: str) -> int | None:
        """Return how many large pages an option asked for."""
        if name not in self.sizes:
            return None
        value, unit = self.sizes[name]
        pool = int(self.kernel.memory.counters.nr_huge)
        return value * pool // 100 if unit else value // HUGE_SIZE

    @property
    def options(self) -> list[str]:
        inodes = [] if self.max_inodes is None else [f"nr_inodes={self.max_inodes}"]
        sizes = {"size": self.quota.max, "min_size": self.quota.min}
        asked = [f"{name}={int(sizes[name]) * HUGE_SIZE}" for name in sizes if name in self.sizes]
        return [*self.shown("uid", "gid", "mode"), *inodes, "pagesize=2M", *asked]

    @property
    def room(self) -> Room:
        if not self.sizes:
            return Room()
        blocks = int(self.quota.max)
        free = blocks if self.is_unlimited else blocks - int(self.quota.used)
        if self.max_inodes is None:
            return Room(blocks, free, NO_LIMIT, NO_LIMIT)
        return Room(blocks, free, self.max_inodes, self.max_inodes - self.nr_inodes)

    @property
    def nr_inodes(self) -> int:
        """How many inodes it has, each counted once."""
        found: set[Inode] = {self.root}
        directories = [self.root]
        for directory in directories:
            found.update(directory.entries.values())
            directories += [one for one in directory.entries.values() if isinstance(one, TmpfsDir)]
        return len(found)

    def need_name(self) -> None:
        """A second name is no second inode."""

    def close(self) -> None:
        super().close()
        lib.quota_forget(self.kernel.memory.core, self.quota)
