"""What a task's paths start from; tasks made with CLONE_FS share one."""

from __future__ import annotations

from dataclasses import dataclass

from pkern.kernel.vfs.inode import Inode


@dataclass(slots=True)
class FsStruct:
    """Root and working directory, and the bits that creation leaves out. Linux's fs_struct."""

    root: Inode
    pwd: Inode
    umask: int = 0o022

    def copy(self) -> FsStruct:
        """Return a forked child's own."""
        return FsStruct(self.root, self.pwd, self.umask)
