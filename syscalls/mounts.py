"""File systems: mount and unmount them, and how full they are."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kernel.errors import SyscallError
from kernel.vfs.inode import PAGE_SIZE, Inode
from kernel.vfs.procfs import ProcFs
from kernel.vfs.tmpfs import TmpFs
from kernel.vfs.walk import NAME_MAX, Last, path_of
from syscalls.at import AT_FDCWD, inode_at, place_at, refuse_flags
from syscalls.table import INT, PATH, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from kernel.task import Task

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_SILENT = 2, 4, 8, 0x400, 0x8000
MS_RELATIME, MS_STRICTATIME, MS_MGC = 1 << 21, 1 << 24, 0xC0ED0000
MS_KNOWN = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_SILENT | MS_RELATIME | MS_STRICTATIME
MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW = 1, 2, 4, 8
ST_VALID, ST_RELATIME = 0x20, 0x1000
PROC_MAGIC, TMPFS_MAGIC = 0x9FA0, 0x01021994
# By Inode.kind, of what is on no mount.
MAGIC = {"fifo": 0x50495045, "sock": 0x534F434B, "anon": 0x09041934}
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


# ---- mount ----


def _size(text: str, ram: int) -> int:
    """Return bytes for "64m", "50%" or a number. Errors: EINVAL."""
    number, unit = (text[:-1], text[-1].lower()) if not text[-1:].isdigit() else (text, "")
    if not number.isdigit() or unit not in ("", "%", *UNITS):
        raise SyscallError(errno.EINVAL)
    return int(number) * ram // 100 if unit == "%" else int(number) * UNITS.get(unit, 1)


def _octal(text: str) -> int:
    try:
        return int(text, 8) & 0o7777
    except ValueError:
        raise SyscallError(errno.EINVAL) from None


def _number(text: str) -> int:
    if not text.isdigit():
        raise SyscallError(errno.EINVAL)
    return int(text)


def _tmpfs(task: Task, options: str) -> TmpFs:
    """Return a tmpfs with size=, mode=, uid= and gid=. Errors: EINVAL for another option."""
    fs = TmpFs(task.kernel)
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name == "size":
            fs.quota.max = -(-_size(value, task.kernel.ram) // PAGE_SIZE) or fs.quota.max
        elif name == "mode":
            fs.root.mode = _octal(value)
        elif name in ("uid", "gid"):
            setattr(fs.root, name, _number(value))
        else:
            raise SyscallError(errno.EINVAL)
    return fs


def _proc(task: Task, options: str) -> ProcFs:
    return ProcFs(task.kernel)


FILE_SYSTEMS: dict[str, Any] = {"tmpfs": _tmpfs, "ramfs": _tmpfs, "proc": _proc}


def mount(
    task: Task, source: str, target: str, fstype: str | None, flags: int = 0, data: str = ""
) -> int:
    """Mount a new tmpfs or proc on a directory.

    Errors: EPERM (CAP_SYS_ADMIN), ENODEV (unknown type), ENOTDIR, EINVAL, ENOENT. Source: mount(2).
    """
    directory = inode_at(task, AT_FDCWD, target)
    if not task.capable("CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)
    if flags & 0xFFFF0000 == MS_MGC:
        flags &= 0xFFFF
    if not fstype or flags & ~MS_KNOWN:
        raise SyscallError(errno.EINVAL)
    if fstype not in FILE_SYSTEMS:
        raise SyscallError(errno.ENODEV)
    if directory.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    path = path_of(task, directory)
    if path in task.kernel.vfs.mounts:
        raise SyscallError(errno.EBUSY)  # one file system a place
    task.kernel.vfs.mount_on(directory, path, FILE_SYSTEMS[fstype](task, data))
    return 0


@syscall(165, "mount", INT, PATH, INT, INT, INT, partly="tmpfs and proc; no bind, no remount")
def mount_raw(task: Task, source: int, target: str, fstype: int, flags: int, data: int) -> int:
    """Mount a new file system. Errors: as mount, EFAULT. Source: mount(2)."""
    kind = task.mm.string_in(fstype) if fstype else None
    device = task.mm.string_in(source) if source else ""
    options = task.mm.string_in(data) if data else ""
    return mount(task, device, target, kind, flags, options)


@syscall(166, "umount2", PATH, INT, partly="MNT_DETACH is refused while files are in use")
def umount2(task: Task, target: str, flags: int = 0) -> int:
    """Take away the file system mounted on a path. Errors: EBUSY, EINVAL, EPERM, ENOENT.

    Source: umount(2).
    """
    refuse_flags(flags, MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)
    last = Last.KEEP if flags & UMOUNT_NOFOLLOW else Last.FOLLOW
    inode = place_at(task, AT_FDCWD, target, last).existing()
    if not task.capable("CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)
    fs = task.kernel.vfs.file_system(inode)
    if fs is None or fs.root is not inode or flags & MNT_EXPIRE:
        raise SyscallError(errno.EINVAL)
    places = task.kernel.vfs.mounts.items()
    task.kernel.vfs.unmount(next(path for path, other in places if other is fs))
    return 0


# ---- how full ----


def _statfs(task: Task, inode: Inode) -> bytes:
    fs = task.kernel.vfs.file_system(inode)
    blocks = free = files = free_files = 0
    magic = getattr(fs, "magic", PROC_MAGIC)
    if fs is None:
        magic = MAGIC.get(inode.kind, TMPFS_MAGIC)
    elif isinstance(fs, TmpFs):
        blocks, free = int(fs.quota.max), int(fs.quota.max - fs.quota.used)
        files = task.kernel.ram // PAGE_SIZE // 2
        free_files = files - fs.root.count()
    sizes = (magic, PAGE_SIZE, blocks, free, free, files, free_files)
    return struct.pack(
        "<7q2i3q4q", *sizes, inode.dev, 0, NAME_MAX, PAGE_SIZE, ST_VALID | ST_RELATIME, 0, 0, 0, 0
    )


@syscall(137, "statfs", PATH, STRUCT)
def statfs(task: Task, path: str) -> bytes:
    """Store struct statfs of the file system that holds a path. Errors: as stat.

    Source: statfs(2).
    """
    return _statfs(task, inode_at(task, AT_FDCWD, path))


@syscall(138, "fstatfs", SINT, STRUCT)
def fstatfs(task: Task, fd: int) -> bytes:
    """As statfs, of an open file. Errors: EBADF, EFAULT. Source: statfs(2)."""
    return _statfs(task, task.fds.get_raw(fd).inode)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"mount": mount}
