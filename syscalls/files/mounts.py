"""File systems: mount and unmount them, and how full they are."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.base import MNT
from pkern.kernel.namespaces.user import FIRST
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.fs.hostfs import HostFs
from pkern.kernel.vfs.fs.nsfs import NsInode
from pkern.kernel.vfs.fs.tmpfs import Room, TmpFs
from pkern.kernel.vfs.inode import PAGE_SIZE, Inode
from pkern.kernel.vfs.mounts import (
    DIRSYNC,
    LAZYTIME,
    NOSYMFOLLOW,
    OF_FS,
    OF_MOUNT,
    OF_REMOUNT,
    TIMES,
    FsFlags,
    Mount,
    MountNamespace,
    MountTable,
    Path,
    is_below,
    lies_in,
    need_mounted,
    top,
)
from pkern.kernel.vfs.walk import NAME_MAX, Last, Place
from pkern.syscalls.files.at import AT_FDCWD, path_at, place_at, refuse_flags
from pkern.syscalls.files.filesystems import (
    FILE_SYSTEMS,
    LATER,
    OPTIONS,
    apply,
    create,
    need_power_over_type,
    new_file_system,
)
from pkern.syscalls.table import INT, PATH, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs import Vfs

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_MOVE, MS_REC, MS_SILENT = (
    0x400,
    0x800,
    4096,
    8192,
    16384,
    0x8000,
)
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
MS_RELATIME, MS_STRICTATIME = 1 << 21, 1 << 24
MS_NOUSER = (1 << 64) - (1 << 31)  # an int whose sign reaches up
MS_MGC = 0xC0ED0000
PROPAGATION = (MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED)
MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW = 1, 2, 4, 8
ST_VALID, ST_RELATIME, ST_NOSYMFOLLOW = 0x20, 0x1000, 0x2000
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


# ---- rights ----


def need_power(task: Task) -> None:
    """Refuse who has no power over its mount namespace. Errors: EPERM."""
    if not task.capable_in(task.nsproxy.mnt.user, "CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)


def need_own(task: Task, mount: Mount | None) -> Mount:
    """Refuse a mount of another namespace, or one that was taken away. Errors: EINVAL."""
    if mount is None or mount.namespace is not task.nsproxy.mnt:
        raise SyscallError(errno.EINVAL)
    return mount


# ---- mount ----


def _mount_new(
    task: Task, source: str, where: Path, fstype: str | None, flags: int, data: str
) -> None:
    if fstype is None:
        raise SyscallError(errno.EINVAL)
    if fstype not in FILE_SYSTEMS:
        raise SyscallError(errno.ENODEV)
    need_power_over_type(task, fstype)
    fs = new_file_system(task, fstype)
    if where.inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    need_own(task, where.mount)
    said = apply(task, fs, data, FsFlags(flags & OF_FS, OF_FS), OPTIONS)
    create(fs, source)
    mounted = task.kernel.vfs.mount_on(where, fs, flags & OF_MOUNT)
    task.kernel.vfs.set_fs_flags(mounted.root.dev, said)


def _remount(task: Task, path: Path, flags: int, data: str) -> None:
    mounted = need_own(task, need_mounted(path))
    need_unlocked(mounted, flags)
    if not task.capable_in(getattr(mounted.fs, "user", FIRST), "CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)  # the file system is another one's
    if not flags & MS_RDONLY and getattr(mounted.fs, "read_only", False):
        raise SyscallError(errno.EROFS)  # the host gave no more
    said = apply(task, mounted.fs, data, FsFlags(flags & OF_REMOUNT, OF_REMOUNT), LATER)
    task.kernel.vfs.set_fs_flags(path.inode.dev, said)
    mounted.flags = _again(mounted, flags)


def need_unlocked(mount: Mount, flags: int) -> None:
    """Refuse to clear what a more powerful namespace has set. Errors: EPERM.

    Source: can_change_locked_flags() of Linux 6.18.
    """
    kept = mount.frozen & ~TIMES
    changed = (mount.flags ^ flags) & TIMES if mount.frozen & TIMES else 0
    if kept & ~flags or changed:
        raise SyscallError(errno.EPERM)


def _remount_alone(task: Task, path: Path, flags: int) -> None:
    """Change the flags of one mount, not of its file system: MS_REMOUNT with MS_BIND."""
    mounted = need_mounted(path)
    need_own(task, mounted)
    need_unlocked(mounted, flags)
    if flags & MS_RDONLY and not mounted.flags & MS_RDONLY:
        task.kernel.vfs.need_no_writers(mounted)
    mounted.flags = _again(mounted, flags)


def _again(mount: Mount, flags: int) -> int:
    """Return the flags that a mount gets anew: those about times stay if none is named."""
    times = MS_NOATIME | MS_NODIRATIME | MS_STRICTATIME
    kept = 0 if flags & (times | MS_RELATIME) else mount.flags & times
    return flags & OF_MOUNT | kept


def _bind(task: Task, source: str, there: Place, flags: int) -> None:
    """Show a place at another one, too. Errors: EINVAL, ENOTDIR, ENOENT."""
    if not source:
        raise SyscallError(errno.EINVAL)
    table, place = task.kernel.vfs.table, named(task, source)
    found = place.path()
    made = copied(task, found, int(bool(flags & MS_REC)))
    is_part = found.mount is not None and found.inode is not found.mount.root
    if is_part and found.inode.kind != "dir":
        made.origin = place.directory, place.name
    where = there.path()
    need_same_kind(made.root, where.inode)
    need_own(task, where.mount)
    if where.inode.kind != "dir":
        made.entry = there.directory, there.name
    table.attach(made, top(where))


def copied(task: Task, found: Path, deep: int) -> Mount:
    """Return a copy, mounted nowhere, of what a place shows, a namespace's inode too.

    deep: 1: with what is mounted below. Errors: EINVAL. Source: __do_loopback() of Linux 6.18.
    """
    table, mount = task.kernel.vfs.table, found.mount
    if mount is None:
        if not isinstance(found.inode, NsInode) or _holds(found.inode, task):
            raise SyscallError(errno.EINVAL)
        return table.of_inode(found.inode)
    if mount.top_of_tree() not in table.detached:
        need_own(task, mount)
    if mount.unbindable or (not deep and has_locked(found)):
        raise SyscallError(errno.EINVAL)
    return table.tree(found, deep)


def named(task: Task, path: str) -> Place:
    """Return the place of a path, by its name also behind a link like /proc/self/fd/3."""
    place = place_at(task, AT_FDCWD, path, Last.FOLLOW)
    if not place.jumped.startswith("/"):
        return place
    with suppress(SyscallError):
        named = place_at(task, AT_FDCWD, place.jumped, Last.KEEP)
        return named if named.inode is place.inode else place
    return place


def _holds(inode: NsInode, task: Task) -> bool:
    """Tell whether a mount of a namespace would hold itself: one of mounts, not a younger one."""
    one = inode.namespace
    return one.kind == MNT and one.number <= task.nsproxy.mnt.number


def has_locked(path: Path) -> bool:
    """Tell whether something is mounted below that may not be uncovered."""
    mount = path.mount
    assert mount is not None
    return any(one.locked and is_below(covers, path.inode) for covers, one in mount.on.items())


def need_same_kind(inode: Inode, where: Inode) -> None:
    if (inode.kind == "dir") != (where.kind == "dir"):
        raise SyscallError(errno.ENOTDIR)


def _change_type(task: Task, path: Path, flags: int) -> None:
    """Choose which mounts tell each other of theirs. Errors: EINVAL. Source: do_change_type()."""
    mounted = need_mounted(path)
    kind = flags & ~(MS_REC | MS_SILENT)
    if kind not in PROPAGATION:
        raise SyscallError(errno.EINVAL)
    need_own(task, mounted)
    for one in mounted.below() if flags & MS_REC else [mounted]:
        propagate(task, one, kind)


def propagate(task: Task, mount: Mount, kind: int) -> None:
    if kind == MS_SHARED:
        mount.peers = mount.peers or task.kernel.vfs.table.new_group()
        mount.unbindable = 0
        return
    others = [one for one in task.kernel.vfs.everywhere() if one.peers == mount.peers != 0]
    if kind == MS_SLAVE and len(others) > 1:
        mount.master, mount.peers = mount.peers, 0
    elif kind == MS_SLAVE:
        mount.peers = 0
    else:
        task.kernel.vfs.table.leave_group(mount)
    mount.unbindable = int(kind == MS_UNBINDABLE)


def _move(task: Task, source: str, there: Place) -> None:
    """Let a tree stand at another place. Errors: as move_tree."""
    if not source:
        raise SyscallError(errno.EINVAL)
    found = path_at(task, AT_FDCWD, source)
    move_tree(task, found, there.path(), (there.directory, there.name))


def move_tree(task: Task, found: Path, where: Path, entry: tuple[Inode, str] | None = None) -> None:
    """Let a tree stand at another place. entry: directory and name of that, if it is known.

    Errors: EINVAL, ELOOP (inside itself). Source: do_move_mount() of Linux 6.18.
    """
    table, mounted = task.kernel.vfs.table, need_mounted(found)
    held = mounted in table.detached
    if not held:
        need_own(task, mounted)
    need_own(task, where.mount)
    if not held and (mounted.over is None or mounted.locked or mounted.over.peers):
        raise SyscallError(errno.EINVAL)
    if (mounted.root.kind == "dir") != (where.inode.kind == "dir"):
        raise SyscallError(errno.EINVAL)
    if lies_in(where, found):
        raise SyscallError(errno.ELOOP)
    mounted.entry = entry if where.inode.kind != "dir" else None
    if held:
        table.attach(mounted, where)
    else:
        _carry(task, mounted, where)


def _carry(task: Task, mounted: Mount, where: Path) -> None:
    """Mount a tree elsewhere in the same namespace."""
    table, space = task.kernel.vfs.table, task.nsproxy.mnt
    table.lift(mounted)
    for one in mounted.below():
        space.mounts.remove(one)
        one.namespace = None
    table.attach(mounted, where)


def mount(
    task: Task, source: str, target: str, fstype: str | None, flags: int = 0, data: str = ""
) -> int:
    """Mount a new file system over a place, or (MS_BIND) another place, or change or move a mount.

    fstype: tmpfs, ramfs, hugetlbfs, proc, devpts. flags: MS_REMOUNT with or without MS_BIND;
    MS_BIND with or without MS_REC; MS_SHARED, PRIVATE, SLAVE, UNBINDABLE; MS_MOVE; else a new one.
    Errors: EPERM (CAP_SYS_ADMIN), ENODEV (unknown type), ENOTDIR, EINVAL, ENOENT, EBUSY (to
    read-only: files are open for writing), ELOOP, EROFS. Source: mount(2), path_mount() of Linux.
    """
    where = path_at(task, AT_FDCWD, target)
    if flags & 0xFFFF0000 == MS_MGC:
        flags &= 0xFFFF
    if flags & MS_NOUSER:
        raise SyscallError(errno.EINVAL)
    need_power(task)
    if flags & (MS_REMOUNT | MS_BIND) == MS_REMOUNT | MS_BIND:
        _remount_alone(task, where, flags)
    elif flags & MS_REMOUNT:
        _remount(task, where, flags, data)
    elif flags & MS_BIND:
        _bind(task, source, named(task, target), flags)
    elif flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE):
        _change_type(task, where, flags)
    elif flags & MS_MOVE:
        _move(task, source, named(task, target))
    else:
        _mount_new(task, source, where, fstype, flags, data)
    return 0


def _word_in(task: Task, addr: int) -> str:
    """Return a type's or a device's name. Errors: EFAULT, EINVAL (no end in a page)."""
    try:
        return task.mm.string_in(addr)
    except SyscallError as error:
        raise SyscallError(
            errno.EINVAL if error.errno == errno.ENAMETOOLONG else errno.EFAULT
        ) from None


@syscall(165, "mount", INT, PATH, INT, INT, INT, partly="no other types than these")
def mount_raw(task: Task, source: int, target: str, fstype: int, flags: int, data: int) -> int:
    """Mount, bind, move or change. Errors: as mount, EFAULT. Source: mount(2)."""
    kind = _word_in(task, fstype) if fstype else None
    device = _word_in(task, source) if source else ""
    options = task.mm.string_in(data) if data else ""
    return mount(task, device, target, kind, flags, options)


# ---- away, and another root ----


@syscall(166, "umount2", PATH, INT)
def umount2(task: Task, target: str, flags: int = 0) -> int:
    """Take away what is mounted on a path. flags: MNT_FORCE, DETACH, EXPIRE, UMOUNT_NOFOLLOW.

    Errors: EBUSY, EINVAL, EPERM, ENOENT, EAGAIN (MNT_EXPIRE: not used since now). Source:
    umount(2).
    """
    refuse_flags(flags, MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)
    last = Last.KEEP if flags & UMOUNT_NOFOLLOW else Last.FOLLOW
    path = top(place_at(task, AT_FDCWD, target, last).path())
    need_power(task)
    mounted = need_own(task, need_mounted(path))
    if mounted.locked:
        raise SyscallError(errno.EINVAL)
    if flags & MNT_EXPIRE:
        _expire(task, mounted, flags)
    elif not flags & MNT_DETACH:
        _need_idle(task, mounted)
    if mounted.over is None:
        raise SyscallError(errno.EINVAL)
    task.kernel.vfs.table.remove(mounted)
    return 0


def _need_idle(task: Task, mount: Mount) -> None:
    """Refuse a mount that is in use, or has others over it. Errors: EBUSY."""
    if mount.over is None or mount.on or task.kernel.vfs.is_in_use(mount):
        raise SyscallError(errno.EBUSY)


def _expire(task: Task, mount: Mount, flags: int) -> None:
    """Take away what was asked to go before and was not used. Errors: EINVAL, EBUSY, EAGAIN."""
    if flags & (MNT_FORCE | MNT_DETACH) or task.fs.root.mount is mount:
        raise SyscallError(errno.EINVAL)
    _need_idle(task, mount)
    if not mount.expiring:
        mount.expiring = 1
        raise SyscallError(errno.EAGAIN)


def _directory(task: Task, path: str) -> Path:
    found = path_at(task, AT_FDCWD, path)
    if found.inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    return found


@syscall(155, "pivot_root", PATH, PATH)
def pivot_root(task: Task, new_root: str, put_old: str) -> int:
    """Let a mount be the root of the namespace, and the old root be mounted in it.

    Tasks that were at the old root are at the new one. Errors: EPERM, ENOTDIR, EINVAL, EBUSY.
    Source: pivot_root(2).
    """
    need_power(task)
    new, old = _directory(task, new_root), _directory(task, put_old)
    root, space, table = task.fs.root, task.nsproxy.mnt, task.kernel.vfs.table
    mounts = [one for one in (new.mount, old.mount, root.mount) if one is not None]
    if any(one.namespace is not space for one in mounts) or len(mounts) < 3:
        raise SyscallError(errno.EINVAL)
    mounted, below, top_mount = mounts
    shared = [one.over.peers for one in (mounted, top_mount) if one.over is not None]
    if below.peers or any(shared) or mounted.locked:
        raise SyscallError(errno.EINVAL)
    if mounted is top_mount or below is top_mount:
        raise SyscallError(errno.EBUSY)
    if root.inode is not top_mount.root or new.inode is not mounted.root:
        raise SyscallError(errno.EINVAL)
    if mounted.over is None or not lies_in(old, new) or not lies_in(new, root):
        raise SyscallError(errno.EINVAL)
    _turn(table, space, mounted, top_mount, old)
    for other in task.kernel.tasks.values():
        if other.nsproxy.mnt is space:
            other.fs.leave(root, new)
    return 0


def _turn(table: MountTable, space: MountNamespace, mounted: Mount, root: Mount, old: Path) -> None:
    """Put a mount where the root is, and the root over a place in it."""
    over, covers = root.over, root.covers
    table.lift(mounted)
    if over is not None and covers is not None:  # the root of a task that has left another one
        table.lift(root)
        mounted.over, mounted.covers = over, covers
        over.on[covers] = mounted
        covers.mounted += 1
    else:
        space.mounts.remove(mounted)
        space.mounts.insert(0, mounted)
    root.over, root.covers = old.mount, old.inode
    assert old.mount is not None
    old.mount.on[old.inode] = root
    old.inode.mounted += 1


# ---- how full ----


class Fullness(NamedTuple):
    """How full which file system is. size: of a block, in bytes."""

    magic: int
    size: int = PAGE_SIZE
    room: Room = Room()


def room_of(vfs: Vfs, inode: Inode) -> Fullness:
    """Return how full the file system of an inode is."""
    fs = vfs.file_system(inode)
    if fs is None:
        return Fullness(MAGIC.get(inode.kind, TMPFS_MAGIC))
    magic = getattr(fs, "magic", PROC_MAGIC)
    if isinstance(fs, HostFs):
        host = os.fstatvfs(fs.root.fd)
        room = Room(host.f_blocks, host.f_bfree, host.f_files, host.f_ffree)
        return Fullness(magic, host.f_frsize, room)
    return Fullness(magic, fs.block_size, fs.room) if isinstance(fs, TmpFs) else Fullness(magic)


def _shown_flags(vfs: Vfs, path: Path) -> int:
    """Return the ST_* of a mount and its file system: MS_*, but for times and links."""
    flags = path.mount.flags if path.mount is not None else 0
    times = 0 if flags & (MS_NOATIME | MS_STRICTATIME) else ST_RELATIME
    links = ST_NOSYMFOLLOW if flags & NOSYMFOLLOW else 0
    own = vfs.table.flags_of(path.inode.dev) & ~(DIRSYNC | LAZYTIME)
    return flags & ~(MS_STRICTATIME | NOSYMFOLLOW) | times | links | own


def _statfs(task: Task, path: Path) -> bytes:
    vfs, inode = task.kernel.vfs, path.inode
    magic, size, (blocks, free, files, free_files) = room_of(vfs, inode)
    flags = ST_VALID | _shown_flags(vfs, path)
    more = (inode.dev, 0, NAME_MAX, size, flags, 0, 0, 0, 0)
    sizes = (magic, size, blocks, free, free, files, free_files)
    return struct.pack("<2q5Q2i3q4q", *sizes, *more)


@syscall(137, "statfs", PATH, STRUCT)
def statfs(task: Task, path: str) -> bytes:
    """Store struct statfs of the file system that holds a path. Errors: as stat.

    Source: statfs(2).
    """
    return _statfs(task, path_at(task, AT_FDCWD, path))


@syscall(138, "fstatfs", SINT, STRUCT)
def fstatfs(task: Task, fd: int) -> bytes:
    """As statfs, of an open file. Errors: EBADF, EFAULT. Source: statfs(2)."""
    file = task.fds.get_raw(fd)
    return _statfs(task, Path(file.mount, file.inode))


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"mount": mount}
