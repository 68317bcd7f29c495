"""A file system in memory: directories in Python, contents in the page cache."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.policy import DEFAULT, to_core
from pkern.kernel.vfs.fs.devfs import special_inode
from pkern.kernel.vfs.inode import (
    FROM_START,
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


class TmpfsDir(DirInode):
    """A directory whose entries can be made and removed."""

    whences = FROM_START
    can_whiteout = True

    @property
    def size(self) -> int:
        return self.fs.entry_bytes * (len(self.entries) + 2)

    def __init__(self, fs: TmpFs, mode: int, uid: int = 0, gid: int = 0) -> None:
        super().__init__(fs.kernel, mode, uid, gid)
        self.fs = fs

    def holds(self, name: str, inode: Inode) -> bool:
        return self.entries.get(name) is inode

    def _group(self, task: Caller) -> int:
        return self.gid if self.mode & S_ISGID else task.gid

    def _enter(self, name: str, inode: Inode) -> Inode:
        self.entries[name] = inode
        return inode

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
        return inode

    def mkdir(self, name: str, mode: int, task: Caller) -> Inode:
        """Make a directory; the set-group-id bit is inherited. Errors: ENOSPC."""
        self.fs.need_inode()
        inode = type(self)(self.fs, mode | self.mode & S_ISGID, task.uid, self._group(task))
        self.nlink += 1
        return self._enter(name, inode)

    def symlink(self, name: str, target: str, task: Caller) -> Inode:
        """Make a symbolic link. Errors: ENOSPC."""
        self.fs.need_inode()
        return self._enter(name, LinkInode(self.kernel, target, task.uid, self._group(task)))

    def mknod(self, name: str, kind: str, mode: int, rdev: int, task: Caller) -> Inode:
        """Make a fifo, a socket's name or a device. Errors: ENOSPC."""
        self.fs.need_inode()
        inode = special_inode(self.kernel, kind, mode, rdev)
        inode.uid, inode.gid = task.uid, self._group(task)
        return self._enter(name, inode)

    def link(self, name: str, inode: Inode) -> None:
        """Give a file one more name, which counts as an inode. Errors: ENOSPC."""
        self.fs.need_inode()
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
    may be max_inodes of them; None: as many as memory has room for.
    """

    name = "tmpfs"
    magic = 0x01021994
    block_size = PAGE_SIZE  # bytes
    usual_mode = 0o1777  # of the root
    entry_bytes = 20  # what Linux's tmpfs counts for an entry
    file_kind: type[MappedInode] = MappedInode

    def __init__(self, kernel: Machine) -> None:
        self.kernel = kernel
        self.quota = ffi.new("struct quota *", {"max": self.usual_pages})
        self.max_inodes: int | None = None
        self.root = TmpfsDir(self, self.usual_mode)
        self.given: dict[str, str] = {}  # the owner, and the mode that the mount asked for
        self.policy = DEFAULT  # which nodes new files' pages come from

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
        places = [f"mpol={self.policy}"] if self.policy != DEFAULT else []
        usual = {"mode": f"{self.usual_mode:03o}", "uid": "0", "gid": "0"}
        given = usual | self.given
        owner = [f"{name}={given[name]}" for name in usual if given[name] != usual[name]]
        return sizes + owner + places

    def place(self, inode: MappedInode) -> None:
        """Let the pages of a new file come from the nodes that the mount asked for."""
        if self.policy != DEFAULT:
            value = to_core(self.policy)
            self.kernel.memory.call(None, lib.mapping_follow, inode.mapping, value)

    def need_inode(self) -> None:
        """Refuse one more inode than there may be. Errors: ENOSPC."""
        if self.max_inodes and self.root.count() >= self.max_inodes:
            raise SyscallError(errno.ENOSPC)

    @staticmethod
    def directory_of(parent: TmpfsDir, mode: int) -> Inode:
        """Return a new directory of root's in parent's file system, to be attached there."""
        fs = getattr(parent, "fs", None)
        parent.nlink += 1
        return TmpfsDir(fs, mode) if isinstance(fs, TmpFs) else DirInode(parent.kernel, mode)

    def close(self) -> None:
        """Drop all files."""
        self.root.drop_all()
