"""What a task's paths start from; tasks made with CLONE_FS share one."""

from __future__ import annotations

from pkern.kernel.vfs.inode import Inode


class FsStruct:
    """Root and working directory, and the bits that creation leaves out. Linux's fs_struct."""

    def __init__(self, root: Inode, pwd: Inode, umask: int = 0o022) -> None:
        self.root = root
        self.pwd = pwd
        self.umask = umask

    def leave(self, old: Inode, new: Inode) -> None:
        """Begin at a new root where paths began in the file system of the old one."""
        if self.root.dev == old.dev:
            self.root = new
        if self.pwd.dev == old.dev:
            self.pwd = new

    def copy(self) -> FsStruct:
        """Return a forked child's own."""
        return FsStruct(self.root, self.pwd, self.umask)
