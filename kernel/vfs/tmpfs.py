"""A file system in memory: directories in Python, contents in the page cache."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.core import ffi, lib
from kernel.errors import SyscallError
from kernel.vfs.inode import PAGE_SIZE, DirInode, Inode, MappedInode

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task


class TmpfsDir(DirInode):
    """A directory whose entries can be made and removed."""

    def __init__(self, fs: TmpFs, mode: int, uid: int = 0, gid: int = 0) -> None:
        super().__init__(fs.kernel, mode, uid, gid)
        self.fs = fs

    def create(self, name: str, mode: int, task: Task) -> Inode:
        """Make a regular file. Errors: ENOSPC."""
        inode = MappedInode(self.kernel, mode, task.uid, task.gid)
        lib.mapping_set_quota(inode.mapping, self.fs.quota)
        self.entries[name] = inode
        return inode

    def mkdir(self, name: str, mode: int, task: Task) -> Inode:
        """Make a directory."""
        inode = TmpfsDir(self.fs, mode, task.uid, task.gid)
        self.entries[name] = inode
        self.nlink += 1
        return inode

    def unlink(self, name: str) -> None:
        """Remove the name of a file; the file goes with its last user."""
        inode = self.entries.pop(name)
        inode.nlink -= 1
        inode.released()

    def rmdir(self, name: str) -> None:
        """Remove an empty directory. Errors: ENOTEMPTY."""
        inode = self.entries[name]
        if isinstance(inode, DirInode) and inode.entries:
            raise SyscallError(errno.ENOTEMPTY)
        del self.entries[name]
        inode.nlink = 0
        self.nlink -= 1

    def move(self, name: str, target: TmpfsDir, new_name: str) -> None:
        """Give an entry another name, in this or another directory of the file system."""
        target.entries[new_name] = self.entries.pop(name)

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

    Its files hold at most half of RAM together, in memory and swap, as Linux's: then ENOSPC.
    """

    name = "tmpfs"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.quota = ffi.new("struct quota *", {"max": kernel.ram // PAGE_SIZE // 2})
        self.root = TmpfsDir(self, 0o1777)

    def close(self) -> None:
        """Drop all files."""
        self.root.drop_all()
