"""File systems in memory: directories in Python, contents in the page cache.

A ramfs is one that nothing limits and nothing is known of but the root's mode.
"""

from __future__ import annotations

import errno

from pkern.kernel import late
from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.policy import DEFAULT, to_core
from pkern.kernel.typed import TYPE_CHECKING, Any
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import (
    FROM_START,
    NO_ATIME,
    NO_DUMP,
    PAGE_SIZE,
    S_ISGID,
    DirInode,
    Inode,
    LinkInode,
    MappedInode,
)

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine
NO_LIMIT = (1 << 64) - 1  # of a tmpfs's pages

special_inode = late.function("pkern.kernel.vfs.fs.devices", "special_inode")


class Room(NamedTuple):
    """How full a file system is: blocks, of its own size, and inodes; 0 where it does not say."""

    blocks: int = 0
    free: int = 0
    files: int = 0
    free_files: int = 0


class TmpfsDir(DirInode):
    """A directory whose entries can be made and removed."""

    whences = FROM_START

    @property
    def size(self) -> int:
        return self.fs.entry_bytes * (len(self.entries) + 2)

    def __init__(self, fs: TmpFs, mode: int, uid: int = 0, gid: int = 0) -> None:
        super().__init__(fs.kernel, mode, uid, gid)
        self.fs = fs
        self.block_size = fs.block_size
        self.can_whiteout = fs.can_whiteout
        self.has_file_flags = fs.file_kind.has_file_flags

    def holds(self, name: str, inode: Inode) -> bool:
        return self.entries.get(name) is inode

    def _group(self, task: Caller) -> int:
        return self.gid if self.mode & S_ISGID else task.gid

    def _enter(self, name: str, inode: Inode) -> Inode:
        self.entries[name] = inode
        return inode

    def _inherit(self, inode: Inode) -> None:
        """Let what is made here have those of the directory's flags that go on."""
        if self.file_flags:
            inode.file_flags = self.file_flags & (NO_DUMP | NO_ATIME)

    def _remove(self, name: str) -> Inode:
        return self.entries.pop(name)

    def create(self, name: str, mode: int, task: Caller) -> Inode:
        """Make a regular file. Errors: ENOSPC."""
        inode = self.unnamed(mode, task)
        inode.nlink = 1
        return self._enter(name, inode)

    def unnamed(self, mode: int, task: Caller) -> Inode:
        """Make a regular file that has no name yet. Errors: ENOSPC."""
        self.fs.need_inode()
        inode = self.fs.file_kind(self.kernel, mode, task.uid, self._group(task))
        lib.mapping_set_quota(inode.mapping, self.fs.quota)
        self.fs.place(inode)
        inode.nlink, inode.dev = 0, self.dev
        self._inherit(inode)
        return inode

    def mkdir(self, name: str, mode: int, task: Caller) -> Inode:
        """Make a directory; the set-group-id bit is inherited. Errors: ENOSPC."""
        self.fs.need_inode()
        inode = type(self)(self.fs, mode | self.mode & S_ISGID, task.uid, self._group(task))
        self.nlink += 1
        self._inherit(inode)
        return self._enter(name, inode)

    def symlink(self, name: str, target: str, task: Caller) -> Inode:
        """Make a symbolic link. Errors: ENOSPC."""
        self.fs.need_inode()
        return self._enter(name, LinkInode(self.kernel, target, task.uid, self._group(task)))

    def mknod(self, name: str, kind: str, mode: int, rdev: int, task: Caller) -> Inode:
        """Make a fifo, a socket's name or a device. Errors: ENOSPC."""
        self.fs.need_inode()
        inode: Inode = special_inode(self.kernel, kind, mode, rdev)
        inode.uid, inode.gid = task.uid, self._group(task)
        return self._enter(name, inode)

    def link(self, name: str, inode: Inode) -> None:
        """Give a file one more name. Errors: ENOSPC."""
        self.fs.need_name()
        self._enter(name, inode)
        inode.nlink += 1

    def unlink(self, name: str) -> None:
        """Remove the name of a file; the file goes with its last user."""
        inode = self._remove(name)
        inode.nlink -= 1
        inode.released()

    def rmdir(self, name: str) -> None:
        """Remove an empty directory. Errors: ENOTEMPTY."""
        inode = self.entries[name]
        if isinstance(inode, DirInode) and not inode.is_empty:
            raise SyscallError(errno.ENOTEMPTY)
        self._remove(name)
        inode.nlink = 0
        self.nlink -= 1

    def move(self, name: str, target: TmpfsDir, new_name: str) -> None:
        """Give an entry another name, in this or another directory of the file system."""
        inode = target._enter(new_name, self._remove(name))
        if inode.kind == "dir":
            self.nlink -= 1
            target.nlink += 1

    def exchange(self, name: str, target: TmpfsDir, other_name: str) -> None:
        """Let two entries change places."""
        one, other = self.entries[name], target.entries[other_name]
        self._enter(name, other)
        target._enter(other_name, one)
        change = (other.kind == "dir") - (one.kind == "dir")
        self.nlink += change
        target.nlink -= change

    def count(self) -> int:
        """Return how many inodes there are from here down; one with two names counts twice."""
        below = [entry for entry in self.entries.values() if isinstance(entry, TmpfsDir)]
        return len(self.entries) + 1 + sum(directory.count() - 1 for directory in below)

    def drop_all(self) -> None:
        """Release every file below, at shutdown."""
        for name, inode in list(self.entries.items()):
            if isinstance(inode, TmpfsDir):
                inode.drop_all()
            else:
                self.unlink(name)
        self.entries.clear()


class TmpFs:
    """One tmpfs; root is a directory that every user may write to (sticky, 1777).

    Its files hold at most half of RAM together, in memory and swap, as Linux's: then ENOSPC. There
    may be max_inodes of them; None: as many as memory has room for. noswap: 1: its pages stay in
    memory. huge, inode64: kept to be shown: no page of a file becomes large by itself here, and no
    inode's number needs more than 32 bits.
    """

    name = "tmpfs"
    magic = 0x01021994
    block_size = PAGE_SIZE  # bytes
    usual_mode = 0o1777  # of the root
    mode_digits = 3  # at least, where it is shown
    entry_bytes = 20  # what Linux's tmpfs counts for an entry
    can_whiteout = True
    file_kind: type[MappedInode] = MappedInode

    def __init__(self, kernel: Machine) -> None:
        self.kernel = kernel
        self.quota = ffi.new("struct quota *", {"max": self.usual_pages})
        self.max_inodes: int | None = None
        self.root = TmpfsDir(self, self.usual_mode)
        self.given: dict[str, str] = {}  # the owner, and the mode that the mount asked for
        self.policy = DEFAULT  # which nodes new files' pages come from
        self.noswap = self.inode64 = 0
        self.huge = "never"

    @property
    def settings(self) -> tuple[Any, ...]:
        """What options may change later, to be put back."""
        return int(self.quota.max), self.max_inodes, self.policy, self.huge, self.inode64

    @settings.setter
    def settings(self, values: tuple[Any, ...]) -> None:
        self.quota.max, self.max_inodes, self.policy, self.huge, self.inode64 = values

    @property
    def usual_pages(self) -> int:
        """What a tmpfs may hold unless it was mounted with another size."""
        return self.kernel.memory.ram // PAGE_SIZE // 2

    @property
    def is_unlimited(self) -> bool:
        """Tell whether it was mounted with a size of 0: memory alone is the limit."""
        return int(self.quota.max) == NO_LIMIT

    @property
    def options(self) -> list[str]:
        """What /proc/mounts shows: all that is not as usual."""
        pages, inodes = int(self.quota.max), self.max_inodes
        pages = 0 if self.is_unlimited else pages
        sizes = [f"size={pages * PAGE_SIZE >> 10}k"] if pages != self.usual_pages else []
        sizes += [] if inodes is None else [f"nr_inodes={inodes}"]
        more = [
            *(["inode64"] if self.inode64 else []),
            *([f"huge={self.huge}"] if self.huge != "never" else []),
            *([f"mpol={self.policy}"] if self.policy != DEFAULT else []),
            *(["noswap"] if self.noswap else []),
        ]
        return [*sizes, *self.shown("mode", "uid", "gid"), *more]

    def shown(self, *names: str) -> list[str]:
        """Return the root's mode and owner as options, where they are not as usual."""
        usual = {"mode": f"{self.usual_mode:03o}", "uid": "0", "gid": "0"}
        given = usual | self.given
        return [f"{name}={given[name]}" for name in names if given[name] != usual[name]]

    @property
    def room(self) -> Room:
        """How full it is."""
        files = self.usual_pages if self.max_inodes is None else self.max_inodes
        blocks = 0 if self.is_unlimited else int(self.quota.max)
        free = blocks and blocks - int(self.quota.used)
        return Room(blocks, free, files, files and files - self.nr_inodes)

    @property
    def nr_inodes(self) -> int:
        """How many inodes it has; a second name counts as one, as Linux's does."""
        return self.root.count()

    def place(self, inode: MappedInode) -> None:
        """Let the pages of a new file come from the nodes that the mount asked for, and stay."""
        if self.noswap:
            lib.mapping_lock(inode.mapping)
        if self.policy != DEFAULT:
            value = to_core(self.policy)
            self.kernel.memory.call(None, lib.mapping_follow, inode.mapping, value)

    def need_inode(self) -> None:
        """Refuse one more inode than there may be. Errors: ENOSPC."""
        if self.max_inodes and self.nr_inodes >= self.max_inodes:
            raise SyscallError(errno.ENOSPC)

    def need_name(self) -> None:
        """Refuse one more name of an inode: it counts as one. Errors: ENOSPC."""
        self.need_inode()

    @staticmethod
    def directory_of(parent: TmpfsDir, mode: int) -> Inode:
        """Return a new directory of root's in parent's file system, to be attached there."""
        fs = getattr(parent, "fs", None)
        parent.nlink += 1
        return TmpfsDir(fs, mode) if isinstance(fs, TmpFs) else DirInode(parent.kernel, mode)

    def close(self) -> None:
        """Drop all files."""
        self.root.drop_all()
