"""File systems: mount and unmount them, and how full they are."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.mm import hugetlb
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.hostfs import HostFs
from pkern.kernel.vfs.hugetlbfs import HugetlbFs
from pkern.kernel.vfs.inode import PAGE_SIZE, Inode
from pkern.kernel.vfs.proc.procfs import ProcFs
from pkern.kernel.vfs.tmpfs import TmpFs
from pkern.kernel.vfs.walk import NAME_MAX, Last, path_of
from pkern.syscalls.files.at import AT_FDCWD, inode_at, place_at, refuse_flags
from pkern.syscalls.table import INT, PATH, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs import Vfs

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOATIME, MS_SILENT, MS_RELATIME, MS_STRICTATIME = 0x400, 0x8000, 1 << 21, 1 << 24
MS_MGC = 0xC0ED0000
SHOWN = ((MS_NOSUID, "nosuid"), (MS_NODEV, "nodev"), (MS_NOEXEC, "noexec"), (MS_NOATIME, "noatime"))
MS_KNOWN = (
    MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_REMOUNT | MS_NOATIME | MS_SILENT
    | MS_RELATIME | MS_STRICTATIME
)  # fmt: skip
MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW = 1, 2, 4, 8
ST_RDONLY, ST_VALID, ST_RELATIME = 1, 0x20, 0x1000
PROC_MAGIC, TMPFS_MAGIC = 0x9FA0, 0x01021994
# By Inode.kind, of what is on no mount.
MAGIC = {
    "fifo": 0x50495045,
    "sock": 0x534F434B,
    "anon": 0x09041934,
    "pidfd": 0x50494446,
    "secret": 0x5345434D,
    "ns": 0x6E736673,
}
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


def _set_size(fs: TmpFs, text: str) -> None:
    pages = -(-_size(text, fs.kernel.memory.ram) // PAGE_SIZE) or fs.usual_pages
    if pages < fs.quota.used:
        raise SyscallError(errno.EINVAL)
    fs.quota.max = pages


def _set_inodes(fs: TmpFs, text: str) -> None:
    nr = _size(text, 0)
    if nr and nr < fs.root.count():
        raise SyscallError(errno.EINVAL)
    fs.max_inodes = nr or None


def _set_mode(fs: TmpFs, text: str) -> None:
    fs.root.mode = _octal(text)
    fs.given["mode"] = f"{fs.root.mode:03o}"


def _set_uid(fs: TmpFs, text: str) -> None:
    fs.root.uid = _number(text)
    fs.given["uid"] = text


def _set_gid(fs: TmpFs, text: str) -> None:
    fs.root.gid = _number(text)
    fs.given["gid"] = text


def _set_page_size(fs: TmpFs, text: str) -> None:
    if _size(text, 0) != hugetlb.HUGE_SIZE:
        raise SyscallError(errno.EINVAL)


Setter = Callable[[TmpFs, str], None]
OWNER: dict[str, Setter] = {"mode": _set_mode, "uid": _set_uid, "gid": _set_gid}
LIMITS: dict[str, Setter] = {"size": _set_size, "nr_inodes": _set_inodes}
# What a mount may ask of each type; a second one (MS_REMOUNT) may change the limits.
OPTIONS: dict[type[TmpFs], dict[str, Setter]] = {
    TmpFs: OWNER | LIMITS,
    HugetlbFs: OWNER | {"pagesize": _set_page_size},
}
FILE_SYSTEMS: dict[str, type[Any]] = {
    "tmpfs": TmpFs, "ramfs": TmpFs, "hugetlbfs": HugetlbFs, "proc": ProcFs,
}  # fmt: skip


def _apply(fs: Any, text: str, changing: dict[str, Setter]) -> None:
    """Set options "name=value,..."; those of its type that may not change now are passed over.

    Errors: EINVAL for one that its type does not have.
    """
    known = OPTIONS.get(type(fs))
    if known is None:
        return  # proc takes what comes
    for option in filter(None, text.split(",")):
        name, _, value = option.partition("=")
        if name not in known:
            raise SyscallError(errno.EINVAL)
        if name in changing:
            changing[name](fs, value)


def _shown(flags: int) -> tuple[str, ...]:
    names = tuple(name for bit, name in SHOWN if flags & bit)
    return names if flags & (MS_NOATIME | MS_STRICTATIME) else (*names, "relatime")


def _remount(task: Task, root: Inode, flags: int, data: str) -> None:
    vfs = task.kernel.vfs
    mounted = vfs.mount_of(root)
    if not flags & MS_RDONLY and getattr(mounted.fs, "read_only", False):
        raise SyscallError(errno.EROFS)  # the host gave no more
    _apply(mounted.fs, data, LIMITS)
    if flags & MS_RDONLY:
        vfs.set_read_only(root.dev)
    else:
        vfs.read_only.discard(root.dev)
    mounted.options = _shown(flags)


def _new_file_system(task: Task, fstype: str) -> Any:
    """Return a file system of a type; /proc is of the caller's pid namespace."""
    more = (task.pid_ns,) if fstype == "proc" else ()
    return FILE_SYSTEMS[fstype](task.kernel, *more)


def mount(
    task: Task, source: str, target: str, fstype: str | None, flags: int = 0, data: str = ""
) -> int:
    """Mount a new file system on a directory, over what is mounted there, or change one.

    fstype: tmpfs, ramfs, hugetlbfs or proc. Errors: EPERM (CAP_SYS_ADMIN), ENODEV (unknown type),
    ENOTDIR, EINVAL, ENOENT, EBUSY (MS_REMOUNT to read-only: files are open for writing).
    Source: mount(2).
    """
    directory = inode_at(task, AT_FDCWD, target)
    if not task.capable("CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)
    if flags & 0xFFFF0000 == MS_MGC:
        flags &= 0xFFFF
    if flags & ~MS_KNOWN:
        raise SyscallError(errno.EINVAL)
    if flags & MS_REMOUNT:
        _remount(task, directory, flags, data)
        return 0
    if not fstype:
        raise SyscallError(errno.EINVAL)
    if fstype not in FILE_SYSTEMS:
        raise SyscallError(errno.ENODEV)
    if directory.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    fs = _new_file_system(task, fstype)
    _apply(fs, data, OPTIONS.get(type(fs), {}))
    fs.source = source or "none"
    task.kernel.vfs.mount_on(directory, path_of(task, directory), fs, _shown(flags))
    if flags & MS_RDONLY:
        task.kernel.vfs.set_read_only(fs.root.dev)
    return 0


@syscall(
    165,
    "mount",
    INT,
    PATH,
    INT,
    INT,
    INT,
    partly="no bind; nosuid, nodev, noexec and noatime are only shown",
)
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
    if flags & MNT_EXPIRE:
        raise SyscallError(errno.EINVAL)
    task.kernel.vfs.unmount(task.kernel.vfs.mount_of(inode))
    return 0


# ---- how full ----


class Room(NamedTuple):
    """How full a file system is. size: of a block, in bytes; blocks and files: 0 where unknown."""

    magic: int
    size: int = PAGE_SIZE
    blocks: int = 0
    free: int = 0
    files: int = 0
    free_files: int = 0


def room_of(vfs: Vfs, inode: Inode) -> Room:
    """Return how full the file system of an inode is."""
    fs = vfs.file_system(inode)
    if fs is None:
        return Room(MAGIC.get(inode.kind, TMPFS_MAGIC))
    room = Room(getattr(fs, "magic", PROC_MAGIC))
    if isinstance(fs, HostFs):
        host = os.fstatvfs(fs.root.fd)
        sizes = host.f_frsize, host.f_blocks, host.f_bfree, host.f_files, host.f_ffree
        return Room(room.magic, *sizes)
    if not isinstance(fs, TmpFs):
        return room
    if fs.block_size != PAGE_SIZE:  # hugetlbfs without a limit says nothing
        return room._replace(size=fs.block_size)
    files = fs.usual_pages if fs.max_inodes is None else fs.max_inodes
    return room._replace(
        blocks=int(fs.quota.max),
        free=int(fs.quota.max - fs.quota.used),
        files=files,
        free_files=files - fs.root.count(),
    )


def _statfs(task: Task, inode: Inode) -> bytes:
    vfs = task.kernel.vfs
    room = room_of(vfs, inode)
    sizes = (room.magic, room.size, room.blocks, room.free, room.free, room.files, room.free_files)
    flags = ST_VALID | ST_RELATIME | (ST_RDONLY if inode.dev in vfs.read_only else 0)
    more = (inode.dev, 0, NAME_MAX, room.size, flags, 0, 0, 0, 0)
    return struct.pack("<7q2i3q4q", *sizes, *more)


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
