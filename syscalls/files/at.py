"""What the file calls share: signed registers, and paths relative to a descriptor."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.file import CLOEXEC, NO_CLOEXEC, File
from pkern.kernel.vfs.inode import Inode
from pkern.kernel.vfs.mounts import RDONLY, Path
from pkern.kernel.vfs.walk import Last, Place, need_read, walk

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_EACCESS, AT_SYMLINK_FOLLOW = 0x100, 0x200, 0x200, 0x400
AT_NO_AUTOMOUNT, AT_EMPTY_PATH = 0x800, 0x1000
O_CLOEXEC = 0o2000000


def signed64(value: int) -> int:
    """Return a register as a signed 64-bit number."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def refuse_flags(flags: int, known: int) -> None:
    """Refuse flags that a call does not have. Errors: EINVAL."""
    if flags & ~known & 0xFFFF_FFFF:
        raise SyscallError(errno.EINVAL)


def start_of(task: Task, dirfd: int, path: str) -> Path | None:
    """Return the directory that path starts from, None for the cwd.

    Errors: EBADF, ENOTDIR; EFAULT, ENAMETOOLONG: the path could not be read.
    """
    if dirfd == AT_FDCWD:
        return None  # whoever walks the path sees whether it could be read
    need_read(path)
    if path.startswith("/") or not path:
        return None
    file = task.fds.get_raw(dirfd)
    if file.inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    return Path(file.mount, file.seen())


def place_at(task: Task, dirfd: int, path: str, last: Last) -> Place:
    """Return the place of a path seen from dirfd. Errors: as walk, EBADF, ENOTDIR."""
    return walk(task, path, last, start_of(task, dirfd, path))


def path_at(task: Task, dirfd: int, path: str, flags: int = 0) -> Path:
    """Return what a path seen from dirfd leads to, with its mount.

    flags: AT_SYMLINK_NOFOLLOW; AT_EMPTY_PATH lets an empty path name dirfd itself.
    """
    if not path and flags & AT_EMPTY_PATH:
        if dirfd == AT_FDCWD:
            return task.fs.pwd
        file = task.fds.get_raw(dirfd)
        return Path(file.mount, file.seen())
    last = Last.KEEP if flags & AT_SYMLINK_NOFOLLOW else Last.FOLLOW
    return place_at(task, dirfd, path, last).path()


def inode_at(task: Task, dirfd: int, path: str, flags: int = 0) -> Inode:
    """Return the inode of a path seen from dirfd. flags: as path_at."""
    return path_at(task, dirfd, path, flags).inode


def changeable_at(task: Task, dirfd: int, path: str, flags: int = 0) -> Inode:
    """Return the inode of a path that is to be changed. Errors: EROFS: its mount is read-only."""
    return need_writable(path_at(task, dirfd, path, flags))


def changeable_file(task: Task, fd: int) -> Inode:
    """Return the inode of an open file that is to be changed. Errors: EBADF, EROFS."""
    file = task.fds.get(fd)
    return need_writable(Path(file.mount, file.seen()))


def need_writable(path: Path) -> Inode:
    """Return the inode of what is to be changed. Errors: EROFS: its mount is read-only."""
    if path.mount is not None and path.mount.flags & RDONLY:
        raise SyscallError(errno.EROFS)
    return path.inode


def install_pair(task: Task, one: File, other: File, flags: int) -> tuple[int, int]:
    """Give two open files descriptors; both are closed if there is only one. Errors: EMFILE."""
    try:
        first = install(task, one, flags)
    except SyscallError:
        drop(other)
        raise
    try:
        return first, install(task, other, flags)
    except SyscallError:
        task.fds.close(first)
        raise


def store_pair(task: Task, addr: int, pair: tuple[int, int]) -> int:
    """Store two new descriptors, which are closed if they cannot be. Errors: EFAULT."""
    try:
        task.mm.copy_out(addr, struct.pack("<ii", *pair))
    except SyscallError:
        for fd in pair:
            task.fds.close(fd)
        raise
    return 0


def cloexec_of(flags: int) -> int:
    """Return what the table of descriptors is told of O_CLOEXEC."""
    return CLOEXEC if flags & O_CLOEXEC else NO_CLOEXEC


def install(task: Task, file: File, flags: int) -> int:
    """Give an open file a descriptor; it is closed if there is none. Errors: EMFILE."""
    try:
        return task.fds.install(file, 0, cloexec_of(flags))
    except SyscallError:
        drop(file)
        raise


def drop(file: File) -> None:
    """Close an open file that got no descriptor."""
    file.descriptors = 1
    file.put()
