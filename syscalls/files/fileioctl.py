"""ioctl about files and their file systems: blocks, extents, room, freezing, sharing of content.

No file system here has blocks of a disk that it could tell of or share, and none can be frozen: who
asks is refused in Linux's order of checks. Source: fs/ioctl.c and fs/remap_range.c of Linux 6.18.
"""

from __future__ import annotations

import errno
import stat
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.user import FIRST
from pkern.kernel.random import random_uuid
from pkern.kernel.vfs.file import O_APPEND, File
from pkern.kernel.vfs.inode import (
    DEV_SHMEM,
    KEEP_SIZE,
    MAY_READ,
    MAY_WRITE,
    PAGE_SIZE,
    PUNCH_HOLE,
    ZERO_RANGE,
)
from pkern.syscalls.abi import signed32
from pkern.syscalls.files import fcntl, fileattr, sizes

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

INT, LONG = struct.Struct("<i"), struct.Struct("<q")
CLONE_RANGE = struct.Struct("<q3Q")  # struct file_clone_range
SPACE = struct.Struct("<2xh4xqq24x")  # struct space_resv: whence, start, length
DEDUPE_RANGE, TARGET_BYTES = struct.Struct("<QQHHI"), 32  # struct file_dedupe_range
WITH_UUID = frozenset({"tmpfs", "devtmpfs", "sysfs"})  # as Linux's, which make one at mount
SIZED = frozenset({stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK})


def _is_regular(file: File) -> bool:
    return stat.S_ISREG(file.inode.st_mode)


# ---- what there is ----


def fibmap(task: Task, file: File, fd: int, arg: int) -> int:
    """Refuse: no file has blocks of a disk. Errors: EPERM, EFAULT, EINVAL; ENOTTY: not regular."""
    if not _is_regular(file):
        return file.inode.ioctl(task, file, fcntl.FIBMAP, arg)
    if not task.capable("CAP_SYS_RAWIO"):
        raise SyscallError(errno.EPERM)
    task.mm.copy_in(arg, INT.size)
    raise SyscallError(errno.EINVAL)


def figetbsz(task: Task, file: File, fd: int, arg: int) -> int:
    """Store the size of a block (bytes, an int). Errors: EFAULT."""
    task.mm.copy_out(arg, INT.pack(file.inode.block_size))
    return 0


def fiemap(task: Task, file: File, fd: int, arg: int) -> int:
    """Refuse: no file has extents on a disk. Errors: EOPNOTSUPP."""
    raise SyscallError(errno.EOPNOTSUPP)


def fioqsize(task: Task, file: File, fd: int, arg: int) -> int:
    """Store how many bytes the content takes (64 bits). Errors: EFAULT, ENOTTY: it has none."""
    if stat.S_IFMT(file.inode.st_mode) not in SIZED:
        raise SyscallError(errno.ENOTTY)
    task.mm.copy_out(arg, LONG.pack(file.inode.blocks * 512))
    return 0


def getfsuuid(task: Task, file: File, fd: int, arg: int) -> int:
    """Store the UUID of a file system (struct fsuuid2). Errors: EFAULT, ENOTTY: it has none."""
    inode, vfs = file.inode, task.kernel.vfs
    unnamed = inode.dev == DEV_SHMEM and inode.kind == "file"  # a memfd
    if not unnamed and getattr(vfs.file_system(inode), "name", "") not in WITH_UUID:
        return inode.ioctl(task, file, fcntl.FS_IOC_GETFSUUID, arg)
    uuid = random_uuid(task.kernel.random.lasting(inode.dev))
    task.mm.copy_out(arg, bytes((len(uuid),)) + uuid)
    return 0


def _need_power_over(task: Task, file: File) -> None:
    fs = task.kernel.vfs.file_system(file.inode)
    if not task.capable_in(getattr(fs, "user", FIRST), "CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)


def fifreeze(task: Task, file: File, fd: int, arg: int) -> int:
    """Refuse to freeze a file system. Errors: EPERM, EOPNOTSUPP."""
    _need_power_over(task, file)
    raise SyscallError(errno.EOPNOTSUPP)


def fithaw(task: Task, file: File, fd: int, arg: int) -> int:
    """Refuse to thaw what is not frozen. Errors: EPERM, EINVAL."""
    _need_power_over(task, file)
    raise SyscallError(errno.EINVAL)


# ---- fallocate as it was once asked for ----


def _fallocate(task: Task, file: File, fd: int, request: int, arg: int, mode: int) -> int:
    """Errors: as fallocate, EFAULT, EINVAL, ENOTTY: not regular."""
    if not _is_regular(file):
        return file.inode.ioctl(task, file, request, arg)
    whence, start, length = SPACE.unpack(task.mm.copy_in(arg, SPACE.size))
    if not 0 <= whence <= 2:
        raise SyscallError(errno.EINVAL)
    start += (0, file.pos, file.inode.size)[whence]
    return sizes.fallocate(task, fd, mode | KEEP_SIZE, start, length)


def reserve(task: Task, file: File, fd: int, arg: int) -> int:
    """Allocate a range (struct space_resv); the size stays. Errors: as fallocate, ENOTTY."""
    return _fallocate(task, file, fd, fcntl.FS_IOC_RESVSP, arg, 0)


def unreserve(task: Task, file: File, fd: int, arg: int) -> int:
    """Punch a hole (struct space_resv). Errors: as fallocate, ENOTTY."""
    return _fallocate(task, file, fd, fcntl.FS_IOC_UNRESVSP, arg, PUNCH_HOLE)


def zero(task: Task, file: File, fd: int, arg: int) -> int:
    """Zero a range (struct space_resv); the size stays. Errors: as fallocate, ENOTTY."""
    return _fallocate(task, file, fd, fcntl.FS_IOC_ZERO_RANGE, arg, ZERO_RANGE)


# ---- sharing ----


def ficlone(task: Task, file: File, fd: int, arg: int) -> int:
    """Refuse to share what a file holds with another one. Errors: as _clone."""
    return _clone(task, file, arg)


def ficlonerange(task: Task, file: File, fd: int, arg: int) -> int:
    """As ficlone, of a struct file_clone_range. Errors: as _clone, EFAULT."""
    return _clone(task, file, CLONE_RANGE.unpack(task.mm.copy_in(arg, CLONE_RANGE.size))[0])


def _clone(task: Task, file: File, source_fd: int) -> int:
    """Refuse, as no file system can. Errors: EBADF, EXDEV, EISDIR, EINVAL, EOPNOTSUPP."""
    source = task.fds.get(signed32(source_fd))
    if source.inode.dev != file.inode.dev:
        raise SyscallError(errno.EXDEV)
    for one in (source, file):
        _need_regular(one)
    source.need(MAY_READ)
    file.need(MAY_WRITE)
    if file.flags & O_APPEND:
        raise SyscallError(errno.EBADF)
    raise SyscallError(errno.EOPNOTSUPP)


def _need_regular(file: File) -> None:
    """Errors: EISDIR, EINVAL."""
    if stat.S_ISDIR(file.inode.st_mode):
        raise SyscallError(errno.EISDIR)
    if not _is_regular(file):
        raise SyscallError(errno.EINVAL)


def fideduperange(task: Task, file: File, fd: int, arg: int) -> int:
    """Refuse to share what files have in common (struct file_dedupe_range).

    Errors: EFAULT, ENOMEM (more targets than fit a page), EINVAL, EISDIR, EOPNOTSUPP.
    """
    raw = task.mm.copy_in(arg, DEDUPE_RANGE.size)
    _, _, count, reserved, reserved2 = DEDUPE_RANGE.unpack(raw)
    nbytes = DEDUPE_RANGE.size + TARGET_BYTES * count
    if nbytes > PAGE_SIZE:
        raise SyscallError(errno.ENOMEM)
    task.mm.copy_in(arg, nbytes)
    if not file.access & MAY_READ or reserved or reserved2:
        raise SyscallError(errno.EINVAL)
    _need_regular(file)
    raise SyscallError(errno.EOPNOTSUPP)


for _request, _handler in {
    fcntl.FIBMAP: fibmap,
    fcntl.FIGETBSZ: figetbsz,
    fcntl.FS_IOC_FIEMAP: fiemap,
    fcntl.FIOQSIZE: fioqsize,
    fcntl.FS_IOC_GETFSUUID: getfsuuid,
    fcntl.FIFREEZE: fifreeze,
    fcntl.FITHAW: fithaw,
    fcntl.FS_IOC_RESVSP: reserve,
    fcntl.FS_IOC_RESVSP64: reserve,
    fcntl.FS_IOC_UNRESVSP: unreserve,
    fcntl.FS_IOC_UNRESVSP64: unreserve,
    fcntl.FS_IOC_ZERO_RANGE: zero,
    fcntl.FICLONE: ficlone,
    fcntl.FICLONERANGE: ficlonerange,
    fcntl.FIDEDUPERANGE: fideduperange,
    fcntl.FS_IOC_GETFLAGS: fileattr.get_flags,
    fcntl.FS_IOC_SETFLAGS: fileattr.set_flags,
    fcntl.FS_IOC_FSGETXATTR: fileattr.get_xflags,
    fcntl.FS_IOC_FSSETXATTR: fileattr.set_xflags,
}.items():
    fcntl.OF_FILES.enter(_request, _handler, __name__)
