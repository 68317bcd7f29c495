"""Files of large pages, as hugetlbfs has them."""

from __future__ import annotations

import errno

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.log import KERN_ERR
from pkern.kernel.mm.hugetlb import GIGANTIC_SIZE, HUGE_1GB, HUGE_SIZE, SIZE_MASK
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.fs.ramfs import HolelessInode
from pkern.kernel.vfs.fs.tmpfs import NO_LIMIT, Room, TmpFs, TmpfsDir
from pkern.kernel.vfs.inode import MAX_SIZE, UNWRITTEN, Inode

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
        self.kernel.memory.call(None, lib.mapping_promise, self.mapping)

    def truncate(self, size: int) -> None:
        if size % self.block_size:
            raise SyscallError(errno.EINVAL)
        super().truncate(size)

    def allocate(self, pos: int, nbytes: int) -> None:
        if pos + nbytes > MAX_SIZE + 1 - self.block_size:
            raise SyscallError(errno.ENOSPC)  # Linux looks on for pages behind its last whole one
        super().allocate(pos, nbytes)


class GiganticInode(HugeInode):
    """A file of pages of 1 GiB: it has a size, and never a page."""

    mapping_flags = lib.MAPPING_HUGE | lib.MAPPING_GIGANTIC
    block_size = GIGANTIC_SIZE


def kind_asked(flags: int) -> type[HugeInode]:
    """Return of what kind a file of large pages is, by MFD_* or SHM_* flags, checked."""
    return GiganticInode if flags & SIZE_MASK == HUGE_1GB else HugeInode


FILE_KINDS = {kind.block_size: kind for kind in (HugeInode, GiganticInode)}
SIZES = {HUGE_SIZE: "2M", GIGANTIC_SIZE: "1024M"}  # as mounts show them


class HugetlbFs(TmpFs):
    """One hugetlbfs: a tmpfs whose files are of large pages.

    sizes: what its mount asked for, by option: a number, and "%" if it is of the pool's pages. Its
    quota is in large pages, and of use only where one of these was asked for.
    """

    name = "hugetlbfs"
    magic = 0x958458F6
    usual_mode = 0o755
    mode_digits = 1
    entry_bytes = 0
    can_whiteout = False

    def __init__(self, kernel: Machine) -> None:
        super().__init__(kernel)
        self.use_pages(HUGE_SIZE)
        self.quota.max = NO_LIMIT
        self.sizes: dict[str, tuple[int, str]] = {}

    def use_pages(self, size: int) -> None:
        """Have files of pages of so many bytes. Errors: EINVAL: there are no such pages."""
        if size not in FILE_KINDS:
            raise SyscallError(errno.EINVAL)
        self.file_kind = FILE_KINDS[size]
        self.block_size = self.root.block_size = size

    def create(self) -> None:
        """Have what its mount asked for. Errors: EINVAL (min_size above size), ENOMEM."""
        most, least = self._pages("size"), self._pages("min_size")
        if most is not None and least is not None and least > most:
            text = "hugetlbfs: Minimum size can not be greater than maximum size"
            self.kernel.log.write(KERN_ERR, text)
            raise SyscallError(errno.EINVAL)
        if self.max_inodes == 0 or (least and self.block_size == GIGANTIC_SIZE):
            raise SyscallError(errno.ENOMEM)
        self.quota.max = NO_LIMIT if most is None else most
        memory = self.kernel.memory
        memory.call(None, lib.quota_keep, memory.core, self.quota, least or 0)

    def _pages(self, name: str) -> int | None:
        """Return how many large pages an option asked for."""
        if name not in self.sizes:
            return None
        value, unit = self.sizes[name]
        is_usual = self.block_size == HUGE_SIZE
        pool = int(self.kernel.memory.counters.nr_huge) if is_usual else 0
        return value * pool // 100 if unit else value // self.block_size

    @property
    def options(self) -> list[str]:
        inodes = [] if self.max_inodes is None else [f"nr_inodes={self.max_inodes}"]
        sizes = {"size": self.quota.max, "min_size": self.quota.min}
        unit = self.block_size
        asked = [f"{name}={int(sizes[name]) * unit}" for name in sizes if name in self.sizes]
        return [*self.shown("uid", "gid", "mode"), *inodes, f"pagesize={SIZES[unit]}", *asked]

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
