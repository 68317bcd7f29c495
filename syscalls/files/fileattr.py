"""What chattr and lsattr ask for: flags of files and directories, in the three forms they have.

A tmpfs knows four: immutable, append only, no dump, no atime (Inode.file_flags owns them, and what
they forbid is looked at where it is done). The others, and sizes and projects, it refuses to set.
The order of the checks: fs/file_attr.c and shmem_fileattr_set() of Linux 6.18.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import APPEND, IMMUTABLE, NO_ATIME, NO_DUMP, Inode
from pkern.kernel.vfs.mounts import Path
from pkern.kernel.vfs.names import prepare_change
from pkern.syscalls.abi import path_in
from pkern.syscalls.extensible import extensible
from pkern.syscalls.files import fcntl
from pkern.syscalls.files.at import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    need_writable,
    path_at,
    refuse_flags,
)
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

AT = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH
FSXATTR = struct.Struct("<5I8x")  # struct fsxattr, as file_attr but for the width of its flags
FILE_ATTR = extensible("<Q4I")
WORD = struct.Struct("<I")
SETTABLE = IMMUTABLE | APPEND | NO_DUMP | NO_ATIME
SYNC, DAX, PROJECT = 0x8, 0x0200_0000, 0x2000_0000  # FS_*_FL
# FS_XFLAG_* -> FS_*_FL, of what both can say.
COMMON = {
    0x8: IMMUTABLE, 0x10: APPEND, 0x20: SYNC, 0x40: NO_ATIME, 0x80: NO_DUMP, 0x200: PROJECT,
    0x8000: DAX,
}  # fmt: skip
SIZED, SIZED_BELOW, SIZED_COPIES = 0x800, 0x1000, 0x10000
TOLD_ONLY = 0x8000_0002  # of what a file has, nothing to be set
KNOWN = 0x8001_FFFB
NO_PROJECT = (1 << 32) - 1


class Wish(NamedTuple):
    """What a file's attributes are to be: FS_XFLAG_*, sizes in bytes; nextents is not looked at."""

    xflags: int
    extsize: int = 0
    nextents: int = 0
    project: int = 0
    cowextsize: int = 0


NO_WISH = Wish(0)


def _told(inode: Inode) -> int:
    """Return the FS_XFLAG_* of a file."""
    return sum(xflag for xflag, flag in COMMON.items() if inode.file_flags & flag)


def _set(task: Task, inode: Inode, flags: int, wish: Wish = NO_WISH) -> None:
    """Set FS_*_FL flags, which a wish may have asked for. Errors: EPERM, EINVAL, EOPNOTSUPP."""
    inode.need_owner(task)
    if (flags ^ inode.file_flags) & (IMMUTABLE | APPEND) and not task.capable(
        "CAP_LINUX_IMMUTABLE"
    ):
        raise SyscallError(errno.EPERM)
    if task.cred.user_ns.level and (wish.project or flags & PROJECT):
        raise SyscallError(errno.EINVAL)
    _need_plain(inode, wish)
    prepare_change(task, inode)
    if flags & ~SETTABLE:
        raise SyscallError(errno.EOPNOTSUPP)
    inode.file_flags = flags
    inode.changed()


def _need_plain(inode: Inode, wish: Wish) -> None:
    """Refuse what no file here has. Errors: EINVAL (nor could have), EOPNOTSUPP."""
    xflags, extsize, _, project, cowextsize = wish
    if project == NO_PROJECT:
        raise SyscallError(errno.EINVAL)
    if xflags & (SIZED if inode.kind == "dir" else SIZED_BELOW):
        raise SyscallError(errno.EINVAL)
    xflags &= ~(0 if extsize else SIZED | SIZED_BELOW) & ~(0 if cowextsize else SIZED_COPIES)
    if extsize or project or cowextsize or xflags & ~(sum(COMMON) | TOLD_ONLY):
        raise SyscallError(errno.EOPNOTSUPP)


def _set_wish(task: Task, inode: Inode, wish: Wish) -> None:
    flags = sum(flag for xflag, flag in COMMON.items() if wish.xflags & xflag)
    _set(task, inode, flags, wish)


# ---- ioctl ----


def get_flags(task: Task, file: File, fd: int, arg: int) -> int:
    """Store FS_*_FL flags (an int). Errors: ENOTTY (its file system has none), EFAULT."""
    if not file.inode.has_file_flags:
        return file.inode.ioctl(task, file, fcntl.FS_IOC_GETFLAGS, arg)
    task.mm.copy_out(arg, WORD.pack(file.inode.file_flags))
    return 0


def set_flags(task: Task, file: File, fd: int, arg: int) -> int:
    """Set FS_*_FL flags. Errors: ENOTTY, EFAULT, EROFS, EPERM, EOPNOTSUPP."""
    (flags,) = WORD.unpack(task.mm.copy_in(arg, WORD.size))
    inode = _changeable(Path(file.mount, file.inode))
    if not inode.has_file_flags:
        return inode.ioctl(task, file, fcntl.FS_IOC_SETFLAGS, arg)
    _set(task, inode, flags)
    return 0


def get_xflags(task: Task, file: File, fd: int, arg: int) -> int:
    """Store a struct fsxattr. Errors: ENOTTY, EFAULT."""
    if not file.inode.has_file_flags:
        return file.inode.ioctl(task, file, fcntl.FS_IOC_FSGETXATTR, arg)
    task.mm.copy_out(arg, FSXATTR.pack(_told(file.inode), 0, 0, 0, 0))
    return 0


def set_xflags(task: Task, file: File, fd: int, arg: int) -> int:
    """Set what a struct fsxattr says. Errors: ENOTTY, EFAULT, EROFS, EPERM, EINVAL, EOPNOTSUPP."""
    wish = Wish(*FSXATTR.unpack(task.mm.copy_in(arg, FSXATTR.size)))
    if wish.xflags & ~KNOWN:
        raise SyscallError(errno.EOPNOTSUPP)
    inode = _changeable(Path(file.mount, file.inode))
    if not inode.has_file_flags:
        return inode.ioctl(task, file, fcntl.FS_IOC_FSSETXATTR, arg)
    _set_wish(task, inode, wish)
    return 0


def _changeable(path: Path) -> Inode:
    """Return the inode of a path that may be changed. Errors: EROFS."""
    inode = need_writable(path)
    inode.check_writable()
    return inode


# ---- calls ----


def path_or_file(task: Task, dirfd: int, path: int, at: int) -> Path:
    """Return what a path (an address, may be 0 with AT_EMPTY_PATH) or dirfd itself leads to.

    Errors: EBADF: also of dirfd itself, if it is open with O_PATH.
    """
    text = path_in(task, path) if path or not at & AT_EMPTY_PATH else ""
    if text or not at & AT_EMPTY_PATH or dirfd == AT_FDCWD:
        return path_at(task, dirfd, text, at)
    file = task.fds.get(dirfd)
    return Path(file.mount, file.inode)


@syscall(468, "file_getattr", SINT, INT, INT, INT, INT)
def file_getattr(task: Task, dirfd: int, path: int, addr: int, nbytes: int, at: int = 0) -> int:
    """Store struct file_attr (FS_XFLAG_* flags) of a path; path, addr: addresses.

    at: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. Errors: EINVAL, E2BIG, EOPNOTSUPP (its file system has
    none), EBADF, EFAULT, as stat. Source: file_getattr of Linux 6.18, fs/file_attr.c.
    """
    refuse_flags(at, AT)
    FILE_ATTR.need_size(nbytes)
    inode = path_or_file(task, dirfd, path, at).inode
    if not inode.has_file_flags:
        raise SyscallError(errno.EOPNOTSUPP)
    raw = FILE_ATTR.layout.pack(_told(inode), 0, 0, 0, 0)
    task.mm.copy_out(addr, raw.ljust(nbytes, b"\0"))
    return 0


@syscall(469, "file_setattr", SINT, INT, INT, INT, INT)
def file_setattr(task: Task, dirfd: int, path: int, addr: int, nbytes: int, at: int = 0) -> int:
    """Set the flags that a struct file_attr says (FS_XFLAG_IMMUTABLE, APPEND, NODUMP, NOATIME).

    at: as of file_getattr. Errors: as file_getattr, EPERM, EROFS, EOPNOTSUPP (other flags, sizes,
    projects). Source: file_setattr of Linux 6.18, fs/file_attr.c.
    """
    refuse_flags(at, AT)
    wish = Wish(*FILE_ATTR.fields_at(task, addr, nbytes))
    if wish.xflags & ~KNOWN:
        raise SyscallError(errno.EINVAL)
    inode = _changeable(path_or_file(task, dirfd, path, at))
    if not inode.has_file_flags:
        raise SyscallError(errno.EOPNOTSUPP)
    _set_wish(task, inode, wish)
    return 0
