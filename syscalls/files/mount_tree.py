"""open_tree, move_mount and mount_setattr: trees of mounts that descriptors hold, and their flags.

The order of the checks: fs/namespace.c of Linux 6.18.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.user import UserNamespace
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.anon.fscontext import TreeFile
from pkern.kernel.vfs.file import O_PATH
from pkern.kernel.vfs.fs.nsfs import NsInode
from pkern.kernel.vfs.mounts import (
    NOATIME,
    NODEV,
    NODIRATIME,
    NOEXEC,
    NOSUID,
    NOSYMFOLLOW,
    RDONLY,
    STRICTATIME,
    Mount,
    Path,
    need_mounted,
)
from pkern.kernel.vfs.walk import Last, text_of
from pkern.syscalls.extensible import extensible
from pkern.syscalls.files.at import (
    AT_EMPTY_PATH,
    AT_NO_AUTOMOUNT,
    AT_SYMLINK_NOFOLLOW,
    O_CLOEXEC,
    install,
    path_at,
    place_at,
    refuse_flags,
)
from pkern.syscalls.files.mounts import (
    PROPAGATION,
    copied,
    move_tree,
    need_own,
    need_power,
    need_unlocked,
    propagate,
)
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

OPEN_TREE_CLONE, AT_RECURSIVE = 1, 0x8000
AT = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW
FROM_SYMLINKS, FROM_EMPTY, TO_SYMLINKS, TO_EMPTY = 1, 4, 0x10, 0x40
MOVE_FLAGS = 0x77  # and automounts, of which there are none
ATTR_NOATIME, ATTR_STRICTATIME, ATTR_TIMES, ATTR_IDMAP = 0x10, 0x20, 0x70, 0x100000
INT_MAX = (1 << 31) - 1
# MOUNT_ATTR_* -> MS_*, but for the times'.
ATTRIBUTES = {
    1: RDONLY, 2: NOSUID, 4: NODEV, 8: NOEXEC, 0x80: NODIRATIME, 0x200000: NOSYMFOLLOW,
}  # fmt: skip
TIME_FLAGS = {0: 0, ATTR_NOATIME: NOATIME, ATTR_STRICTATIME: STRICTATIME}
KNOWN = sum(ATTRIBUTES) | ATTR_TIMES
MOUNT_ATTR = extensible("<4Q")  # set, clear, propagation, user namespace


def _plain(attributes: int) -> int:
    return sum(flag for bit, flag in ATTRIBUTES.items() if attributes & bit)


def flags_of_attributes(attributes: int) -> int:
    """Return the MS_* of MOUNT_ATTR_*. Errors: EINVAL."""
    times = attributes & ATTR_TIMES
    if attributes & ~KNOWN or times not in TIME_FLAGS:
        raise SyscallError(errno.EINVAL)
    return _plain(attributes) | TIME_FLAGS[times]


def hold(task: Task, path: Path, flags: int) -> int:
    """Return a descriptor that holds a tree which is mounted nowhere. Errors: EMFILE, ENFILE."""
    vfs, mount = task.kernel.vfs, path.mount
    assert mount is not None
    try:
        file = TreeFile(task.kernel, path.inode, "/", O_PATH, task, mount)
    except SyscallError:
        vfs.table.drop(mount)
        raise
    return install(task, vfs.register(file), flags)


def attributes_of(flags: int) -> int:
    """Return the MOUNT_ATTR_* of a mount's MS_*."""
    times = ATTR_NOATIME if flags & NOATIME else ATTR_STRICTATIME if flags & STRICTATIME else 0
    return sum(bit for bit, flag in ATTRIBUTES.items() if flags & flag) | times


# ---- open_tree ----


@syscall(428, "open_tree", SINT, PATH, INT)
def open_tree(task: Task, dirfd: int, path: str, flags: int = 0) -> int:
    """Return a descriptor of a place, or of a copy of the mounts there, mounted nowhere.

    flags: OPEN_TREE_CLONE 1 (the copy), OPEN_TREE_CLOEXEC, AT_EMPTY_PATH, AT_RECURSIVE,
    AT_SYMLINK_NOFOLLOW. Errors: EPERM (the copy wants CAP_SYS_ADMIN), EINVAL, EMFILE, as open.
    Source: open_tree(2).
    """
    refuse_flags(flags, OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE | AT)
    if flags & (AT_RECURSIVE | OPEN_TREE_CLONE) == AT_RECURSIVE:
        raise SyscallError(errno.EINVAL)
    if flags & OPEN_TREE_CLONE:
        need_power(task)
    found = path_at(task, dirfd, path, flags & AT)
    if not flags & OPEN_TREE_CLONE:
        vfs = task.kernel.vfs
        file = vfs.open_inode(task, found.inode, text_of(task, found), O_PATH, found.mount)
        return install(task, file, flags & O_CLOEXEC)
    made = copied(task, found, int(bool(flags & AT_RECURSIVE)))
    task.kernel.vfs.table.detach(made)
    return hold(task, Path(made, made.root), flags & O_CLOEXEC)


# ---- move_mount ----


@syscall(429, "move_mount", SINT, PATH, SINT, PATH, INT, partly="no MOVE_MOUNT_SET_GROUP, BENEATH")
def move_mount(
    task: Task, from_fd: int, from_path: str, to_fd: int, to_path: str, flags: int = 0
) -> int:
    """Let a tree of mounts, that of a descriptor or one that is mounted, stand at a path.

    flags: MOVE_MOUNT_F_SYMLINKS 1, F_EMPTY_PATH 4, T_SYMLINKS 0x10, T_EMPTY_PATH 0x40. Errors:
    EPERM, EINVAL, ELOOP, as open. Source: move_mount(2).
    """
    need_power(task)
    refuse_flags(flags, MOVE_FLAGS)
    source = 0 if flags & FROM_SYMLINKS else AT_SYMLINK_NOFOLLOW
    target = Last.FOLLOW if flags & TO_SYMLINKS else Last.KEEP
    source |= AT_EMPTY_PATH if flags & FROM_EMPTY else 0
    if not to_path and flags & TO_EMPTY:
        there = path_at(task, to_fd, "", AT_EMPTY_PATH)
        move_tree(task, path_at(task, from_fd, from_path, source), there)
        return 0
    place = place_at(task, to_fd, to_path, target)
    there = place.path()
    found = path_at(task, from_fd, from_path, source)
    move_tree(task, found, there, (place.directory, place.name))
    return 0


# ---- mount_setattr ----


class Changes(NamedTuple):
    """What a struct mount_attr asks for: MOUNT_ATTR_* to set and to clear, a propagation.

    userns: the descriptor of a user namespace, which MOUNT_ATTR_IDMAP wants.
    """

    wanted: int
    cleared: int = 0
    kind: int = 0
    userns: int = 0


def _changes_at(task: Task, addr: int, nbytes: int) -> Changes:
    """Return a struct mount_attr. Errors: EINVAL, E2BIG, EPERM, EFAULT."""
    MOUNT_ATTR.need_size(nbytes)
    need_power(task)
    return Changes(*MOUNT_ATTR.fields_at(task, addr, nbytes))


@syscall(442, "mount_setattr", SINT, PATH, INT, INT, INT, partly="no mapped ids (MOUNT_ATTR_IDMAP)")
def mount_setattr_raw(task: Task, dirfd: int, path: str, flags: int, addr: int, nbytes: int) -> int:
    """Change flags and propagation of mounts by a struct mount_attr at addr.

    Errors: as mount_setattr, E2BIG, EFAULT. Source: mount_setattr(2).
    """
    refuse_flags(flags, AT | AT_RECURSIVE)
    return _set_at(task, dirfd, path, flags, _changes_at(task, addr, nbytes))


def mount_setattr(
    task: Task, dirfd: int, path: str, flags: int, wanted: int, cleared: int = 0, kind: int = 0
) -> int:
    """Set and clear flags (MOUNT_ATTR_*) of a mount, or of all in a tree, and their propagation.

    flags: AT_EMPTY_PATH, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW. kind: MS_SHARED, PRIVATE, SLAVE,
    UNBINDABLE, 0: as it is. Errors: EINVAL (also: ids are to be mapped, which no file system here
    allows), EPERM (also: a flag is locked), EBUSY (files are open for writing). What fails changes
    nothing. Source: mount_setattr(2).
    """
    refuse_flags(flags, AT | AT_RECURSIVE)
    need_power(task)
    return _set_at(task, dirfd, path, flags, Changes(wanted, cleared, kind))


def _set_at(task: Task, dirfd: int, path: str, flags: int, changes: Changes) -> int:
    if not changes.wanted | changes.cleared | changes.kind:
        return 0
    asked = _asked(task, changes)
    _set(task, path_at(task, dirfd, path, flags & AT), flags, changes, asked)
    return 0


def _set(task: Task, where: Path, flags: int, changes: Changes, asked: tuple[int, int]) -> None:
    mounted = need_mounted(where)
    if mounted not in task.kernel.vfs.table.detached:
        need_own(task, mounted)
    if changes.wanted & ATTR_IDMAP:
        raise SyscallError(errno.EINVAL)  # as of a file system that does not allow it
    every = list(mounted.below()) if flags & AT_RECURSIVE else [mounted]
    _apply(task, every, *asked, changes.kind)


def _asked(task: Task, changes: Changes) -> tuple[int, int]:
    """Return the MS_* to set and to clear. Errors: EINVAL, EBADF, EPERM."""
    wanted, cleared, kind, _ = changes
    if kind and kind not in PROPAGATION:
        raise SyscallError(errno.EINVAL)
    times = cleared & ATTR_TIMES
    if (wanted | cleared) & ~(KNOWN | ATTR_IDMAP) or times not in (0, ATTR_TIMES):
        raise SyscallError(errno.EINVAL)
    if not times and wanted & ATTR_TIMES:
        raise SyscallError(errno.EINVAL)
    away = NOATIME | STRICTATIME if times else 0
    found = flags_of_attributes(wanted & ~ATTR_IDMAP), _plain(cleared) | away
    if (wanted | cleared) & ATTR_IDMAP:
        _need_map(task, changes)
    return found


def _need_map(task: Task, changes: Changes) -> None:
    """Refuse ids that cannot be mapped. Errors: EINVAL, EBADF, EPERM."""
    if changes.cleared & ATTR_IDMAP or changes.userns > INT_MAX:
        raise SyscallError(errno.EINVAL)
    inode = task.fds.get(changes.userns).inode
    space = inode.namespace if isinstance(inode, NsInode) else None
    if not isinstance(space, UserNamespace):
        raise SyscallError(errno.EINVAL)
    if space.owner is None or not task.capable_in(space, "CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)


@syscall(467, "open_tree_attr", SINT, PATH, INT, INT, INT, partly="as mount_setattr")
def open_tree_attr(
    task: Task, dirfd: int, path: str, flags: int = 0, addr: int = 0, nbytes: int = 0
) -> int:
    """As open_tree, and change the mounts by a struct mount_attr, where addr is not 0.

    Errors: as open_tree, as mount_setattr. Source: open_tree_attr(2) of Linux 6.18.
    """
    if nbytes and not addr:
        raise SyscallError(errno.EINVAL)
    fd = open_tree(task, dirfd, path, flags)
    if not addr:
        return fd
    try:
        changes, file = _changes_at(task, addr, nbytes), task.fds.get_raw(fd)
        if changes.wanted | changes.cleared | changes.kind:
            kept = changes.cleared & ~(ATTR_IDMAP if flags & OPEN_TREE_CLONE else 0)
            changes = changes._replace(cleared=kept)
            _set(task, Path(file.mount, file.inode), flags, changes, _asked(task, changes))
    except SyscallError:
        task.fds.close(fd)
        raise
    return fd


def _apply(task: Task, every: list[Mount], wanted: int, cleared: int, kind: int) -> None:
    """Change mounts, all or none. Errors: EPERM, EBUSY."""
    flags = [one.flags & ~cleared | wanted for one in every]
    for one, new in zip(every, flags, strict=True):
        need_unlocked(one, new)
        if new & RDONLY and not one.flags & RDONLY:
            task.kernel.vfs.need_no_writers(one)
    for one, new in zip(every, flags, strict=True):
        one.flags = new
        if kind:
            propagate(task, one, kind)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"mount_setattr": mount_setattr}
