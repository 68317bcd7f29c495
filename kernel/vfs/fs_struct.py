"""What a task's paths start from; tasks made with CLONE_FS share one."""

from __future__ import annotations

from pkern.kernel.typed import TYPE_CHECKING, Any
from pkern.kernel.vfs.mounts import Mount, Path

if TYPE_CHECKING:
    from collections.abc import Mapping


class FsStruct:
    """Root and working directory, and the bits that creation leaves out. Linux's fs_struct."""

    __slots__ = ("pwd", "root", "umask")

    def __init__(self, root: Path, pwd: Path, umask: int = 0o022) -> None:
        self.root = root
        self.pwd = pwd
        self.umask = umask

    def leave(self, old: Path, new: Path) -> None:
        """Begin at a new root where paths began at the old one, as pivot_root(2) has it."""
        self.root = new if self.root == old else self.root
        self.pwd = new if self.pwd == old else self.pwd

    def give_up(self, old: Mount, new: Path) -> None:
        """Begin at a new root where paths began anywhere in a mount."""
        self.root = new if self.root.mount is old else self.root
        self.pwd = new if self.pwd.mount is old else self.pwd

    def move(self, copied: Mapping[Mount, Mount]) -> None:
        """Be in the copies of mounts."""
        self.root, self.pwd = (_in_copy(path, copied) for path in (self.root, self.pwd))

    def copy(self) -> FsStruct:
        """Return a forked child's own."""
        return FsStruct(self.root, self.pwd, self.umask)


_NO_INODE: Any = None
NOWHERE = FsStruct(Path(None, _NO_INODE), Path(None, _NO_INODE))  # of tasks that have ended


def _in_copy(path: Path, copied: Mapping[Mount, Mount]) -> Path:
    mount = copied.get(path.mount) if path.mount is not None else None
    return Path(mount, path.inode) if mount is not None else path
