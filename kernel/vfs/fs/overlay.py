"""A directory of the host that may be changed: what changes is kept in memory.

As Linux's overlayfs: the upper layer is a tmpfs, the lower one a host directory that is only read.
A regular file is copied up whole before its first change; a name that is removed leaves a whiteout,
so that the lower one stays hidden; a directory made over a whiteout is opaque: it has no lower one.
A file keeps its inode and its device when it is copied up, whichever of its names was used
(index=on, xino=on), and a lower directory cannot be renamed (redirect_dir=off: EXDEV).

A file that was mapped before it was copied up shows the lower one for as long as the mapping lives,
while read() shows the upper one: Documentation/filesystems/overlayfs.rst, "Non-standard behavior".
Invariant: nothing here writes to the lower layer.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.fs.hostfs import HostDir, HostFile, HostFs, flags_of
from pkern.kernel.vfs.fs.tmpfs import TmpFs, TmpfsDir
from pkern.kernel.vfs.inode import Inode, LinkInode, MappedInode

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

COPY_BYTES = 1 << 20


class Overlaid(Inode):
    """An inode that shows one of the lower layer until something changes it."""

    copied = False
    home: OverlayDir | None = None  # a directory that has it

    def take(self, lower: Inode) -> None:
        """Show the lower inode's times and attributes."""
        self.nlink = lower.nlink
        self.atime, self.mtime, self.ctime = lower.atime, lower.mtime, lower.ctime
        self.btime = lower.btime
        self.xattrs = dict(lower.xattrs)

    def place(self, parent: Inode, name: str) -> None:
        super().place(parent, name)
        if isinstance(parent, OverlayDir):
            self.home = parent

    def accessed(self) -> None:
        if self.copied:
            super().accessed()

    def prepare_change(self) -> None:
        if self.copied:
            return
        self.copy_up()
        self.copied = True
        if self.home is not None:
            self.home.prepare_change()
        self.changed()

    def copy_up(self) -> None:
        """Let the upper layer have it. Errors: ENOSPC."""


class OverlayLink(Overlaid, LinkInode):
    """A symbolic link of the lower layer."""


class OverlayFile(Overlaid, MappedInode):
    """A regular file: the lower one's content, or its own copy in the upper layer."""

    can_seal = False

    def __init__(self, fs: OverlayFs, lower: HostFile) -> None:
        Inode.__init__(self, fs.kernel, lower.mode, lower.uid, lower.gid)
        self.fs = fs
        self.seals = 0
        self.upper: MappedInode | None = None
        self.lower = lower
        self.mapping = lower.mapping
        self.take(lower)
        self.file_flags = flags_of(lower.fd)

    @property
    def layer(self) -> MappedInode:
        """What holds the content now."""
        return self.upper or self.lower

    @property
    def st_nlink(self) -> int:
        return self.nlink if self.nlink or self.copied else self.lower.nlink

    @property
    def blocks(self) -> int:
        return self.layer.blocks

    def copy_up(self) -> None:
        self._copy(self.size)

    def _copy(self, nbytes: int) -> None:
        """Copy the first nbytes to the upper layer.

        Errors: ENOSPC, EIO; EEXIST, as Linux: its last name is a whiteout by now.
        """
        if not self.nlink:
            raise SyscallError(errno.EEXIST)
        upper = self.fs.new_file(self.mode, self.uid, self.gid)
        try:
            for start in range(0, nbytes, COPY_BYTES):
                data = self.lower.read(start, min(COPY_BYTES, nbytes - start))
                if upper.write(start, data) < len(data):
                    raise SyscallError(errno.ENOSPC)
        except BaseException:
            upper.nlink = 0
            upper.released()
            raise
        self.upper, self.mapping = upper, upper.mapping

    def truncate(self, size: int) -> None:
        if not self.copied:
            self._copy(min(size, self.size))
            self.copied = True
            if self.home is not None:
                self.home.prepare_change()
        super().truncate(size)

    def file_handle(self, mode: int, cookie: int) -> Any:
        return self.layer.file_handle(mode, cookie)

    def sight_at(self, pos: int, nbytes: int) -> bytes:
        return self.layer.sight_at(pos, nbytes)

    def next_data(self, pos: int) -> int | None:
        return self.layer.next_data(pos)

    def next_hole(self, pos: int) -> int:
        return self.layer.next_hole(pos)

    def drop_clean(self, first: int, last: int) -> None:
        self.layer.drop_clean(first, last)

    def released(self) -> None:
        if self.nlink > 0 or self.open_count > 0:
            return
        upper, self.upper = self.upper, None
        if upper is not None:
            self.mapping = self.lower.mapping
            upper.nlink = 0
            upper.released()


class OverlayDir(Overlaid, TmpfsDir):
    """A directory of both layers. lower: None where none shows through: made here, or opaque.

    entries: what has been looked up or made. whiteouts: lower names that were removed, also those
    that something new has taken since.
    """

    can_whiteout = False  # as Linux's overlayfs, which has its own

    fs: OverlayFs

    def __init__(self, fs: OverlayFs, mode: int, uid: int = 0, gid: int = 0) -> None:
        super().__init__(fs, mode, uid, gid)
        self.lower: HostDir | None = None
        self.whiteouts: set[str] = set()
        self.copied = True

    def show(self, lower: HostDir) -> OverlayDir:
        """Let a lower directory show through."""
        self.lower, self.copied = lower, False
        self.take(lower)
        self.file_flags = flags_of(lower.fd)
        return self

    @property
    def merged(self) -> bool:
        """Whether both layers have it."""
        return self.copied and self.lower is not None

    @property
    def st_nlink(self) -> int:
        return 1 if self.merged and self.nlink else self.nlink

    @property
    def size(self) -> int:
        if self.lower is not None and not self.copied:
            return self.lower.size
        return self.fs.entry_bytes * (len(self._upper_names()) + len(self._hidden()) + 2)

    @property
    def is_empty(self) -> bool:
        return not self._all_names()

    def _upper_names(self) -> list[str]:
        return [name for name, inode in self.entries.items() if in_upper(inode)]

    def _hidden(self) -> set[str]:
        return self.whiteouts - self.entries.keys()

    def lookup(self, name: str, task: Caller) -> Inode:
        if name not in self.entries:
            if self.lower is None or name in self.whiteouts:
                raise SyscallError(errno.ENOENT)
            self.entries[name] = self.fs.over(self.lower.lookup(name, task))
        return self.entries[name]

    def sight(self, name: str, task: Caller) -> Inode:
        if name in self.entries or self.lower is None or name in self.whiteouts:
            return self.lookup(name, task)
        return self.lower.unmet(name)

    def names(self, task: Caller) -> list[str]:
        return self._all_names()

    def _all_names(self) -> list[str]:
        """The lower layer's names first, in their places, then those that only the upper has."""
        below = self.lower.host_names() if self.lower is not None else []
        hidden = self._hidden()
        shown = [name for name in below if name not in hidden]
        return shown + [name for name in self.entries if name not in set(below)]

    def need_movable(self) -> None:
        """Refuse to be moved with what shows through. Errors: EXDEV."""
        if self.lower is not None:
            raise SyscallError(errno.EXDEV)

    def _enter(self, name: str, inode: Inode) -> Inode:
        self.prepare_change()
        return super()._enter(name, inode)

    def _remove(self, name: str) -> Inode:
        self.prepare_change()
        if self.lower is not None and self.lower.has(name):
            self.whiteouts.add(name)
        return super()._remove(name)

    def link(self, name: str, inode: Inode) -> None:
        inode.prepare_change()
        super().link(name, inode)

    def count(self) -> int:
        held = [inode for inode in self.entries.values() if in_upper(inode)]
        below = sum(inode.count() - 1 for inode in held if isinstance(inode, TmpfsDir))
        return len(held) + len(self._hidden()) + 1 + below

    def drop_all(self) -> None:
        for inode in self.entries.values():
            if isinstance(inode, TmpfsDir):
                inode.drop_all()
            else:
                inode.nlink = 0
                inode.released()
        self.entries.clear()


def in_upper(inode: Inode) -> bool:
    """Tell whether the upper layer has an inode."""
    return not isinstance(inode, Overlaid) or inode.copied


class OverlayFs(TmpFs):
    """A host directory below a tmpfs.

    lower: mounted nowhere else. Errors: those of the host when it is mounted.
    """

    name = "overlay"
    magic = 0x794C7630
    root: OverlayDir

    def __init__(self, lower: HostFs) -> None:
        self.lower = lower
        self._shown: dict[Inode, Inode] = {}  # lower inode -> the one that stands for it

    def attach(self, kernel: Machine) -> None:
        """Open the host's directory for this machine."""
        self.lower.attach(kernel)
        super().__init__(kernel)
        below = self.lower.root
        self.root = OverlayDir(self, below.mode, below.uid, below.gid).show(below)

    @property
    def options(self) -> list[str]:
        """What /proc/mounts shows."""
        return [*super().options, "redirect_dir=off", "index=on", "xino=on"]

    def new_file(self, mode: int, uid: int, gid: int) -> MappedInode:
        """Return an empty file of the upper layer. Errors: ENOSPC."""
        self.need_inode()
        inode = self.file_kind(self.kernel, mode, uid, gid)
        lib.mapping_set_quota(inode.mapping, self.quota)
        inode.dev = self.root.dev
        return inode

    def over(self, lower: Inode) -> Inode:
        """Return the inode that stands for a lower one: the same for each of its names."""
        if lower not in self._shown:
            self._shown[lower] = self._over(lower)
        return self._shown[lower]

    def _over(self, lower: Inode) -> Inode:
        if isinstance(lower, HostDir):
            return OverlayDir(self, lower.mode, lower.uid, lower.gid).show(lower)
        if isinstance(lower, HostFile):
            return OverlayFile(self, lower)
        assert isinstance(lower, LinkInode)
        link = OverlayLink(self.kernel, lower.target, lower.uid, lower.gid)
        link.take(lower)
        return link

    def close(self) -> None:
        """Drop all that was changed and close the host's descriptors."""
        super().close()
        self.lower.close()
