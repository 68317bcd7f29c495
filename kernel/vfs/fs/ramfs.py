"""ramfs: a tmpfs without limits, whose files have no holes to be found."""

from __future__ import annotations

from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.fs.tmpfs import NO_LIMIT, Room, TmpFs
from pkern.kernel.vfs.inode import (
    MappedInode,
)

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Machine


class HolelessInode(MappedInode):
    """A file of a file system that does not look for holes: all of it is data."""

    has_file_flags = False

    def next_data(self, pos: int) -> int | None:
        return pos if pos < self.size else None

    def next_hole(self, pos: int) -> int:
        return self.size


class RamInode(HolelessInode):
    """A file of a ramfs: it can be read, written, mapped and truncated, no more."""

    fallocate_modes = frozenset()
    can_direct = can_seal = False


class RamFs(TmpFs):
    """One ramfs: its pages stay in memory, as many as there are."""

    name = "ramfs"
    magic = 0x858458F6
    usual_mode = 0o755
    mode_digits = 1
    entry_bytes = 0
    can_whiteout = False
    file_kind = RamInode

    def __init__(self, kernel: Machine) -> None:
        super().__init__(kernel)
        self.quota.max = NO_LIMIT
        self.noswap = 1

    @property
    def options(self) -> list[str]:
        return self.shown("mode")

    @property
    def room(self) -> Room:
        return Room()
