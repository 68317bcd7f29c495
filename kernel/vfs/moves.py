"""Entries of directories that exist: give an inode one more name, remove a name, move one.

Every function checks in Linux's order - the place, the rights on the directory, the sticky bit -
and then asks the directory's file system to do it. names.py has how entries are made.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import contextmanager, nullcontext
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Iterator
from pkern.kernel.vfs.inode import (
    MAY_WRITE,
    S_ISVTX,
    Inode,
)
from pkern.kernel.vfs.names import (
    WHITEOUT,
    made,
    need_changeable,
    need_creatable,
    need_no_slash,
    prepare_change,
)
from pkern.kernel.vfs.walk import DOTS, Place, place_text

if TYPE_CHECKING:
    from pkern.kernel.vfs.inotify import Notify
    from pkern.kernel.vfs.machine import Caller
    from pkern.kernel.vfs.mounts import Path

RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
NO_ENTRY_ERROR = {".": errno.EINVAL, "..": errno.ENOTEMPTY, "/": errno.EBUSY}  # of rmdir


def need_removable(task: Caller, directory: Inode, inode: Inode) -> None:
    """Refuse to remove or move an entry. Errors: EACCES, EPERM (sticky, immutable), EROFS."""
    need_changeable(task, directory)
    directory.need_shrinkable()
    inode.need_mutable()
    owner = task.uid == directory.uid or inode.owned_by(task)
    if directory.mode & S_ISVTX and not owner:
        raise SyscallError(errno.EPERM)


def need_not_mounted(place: Place) -> None:
    """Refuse a mount point. Errors: EBUSY."""
    if place.on is not place.mount or (place.inode is not None and place.inode.mounted):
        raise SyscallError(errno.EBUSY)


def link(task: Caller, path: Path, place: Place) -> None:
    """Give an inode one more name. Errors: EEXIST, EXDEV, EPERM, EMLINK. Source: link(2)."""
    need_no_slash(place)
    if place.entry() is not None:
        raise SyscallError(errno.EEXIST)
    inode = path.inode
    if path.mount is not place.mount:
        raise SyscallError(errno.EXDEV)
    need_creatable(task, place)
    inode.need_mutable()
    if inode.kind == "dir":
        raise SyscallError(errno.EPERM)
    directory: Any = place.directory
    prepare_change(task, inode)
    directory.link(place.name, inode)
    inode.changed()
    if inode.kernel.vfs.notify is not None:
        inode.kernel.vfs.notify.linked(inode)
    made(place, inode)


def unlink(task: Caller, place: Place) -> None:
    """Remove a name; the file lives on while something uses it.

    Errors: ENOENT, EISDIR, ENOTDIR, EACCES, EPERM, EROFS. Source: unlink(2).
    """
    if place.name in DOTS:
        raise SyscallError(errno.EISDIR)
    inode = _entry(place)
    if place.slash:
        raise SyscallError(errno.EISDIR if inode.kind == "dir" else errno.ENOTDIR)
    place.need_writable()
    need_removable(task, place.directory, inode)
    if inode.kind == "dir":
        raise SyscallError(errno.EISDIR)
    need_not_mounted(place)
    directory: Any = place.directory
    _remove(place, inode, directory.unlink)


def rmdir(task: Caller, place: Place) -> None:
    """Remove an empty directory.

    Errors: ENOENT, ENOTDIR, ENOTEMPTY, EBUSY (a mount), EINVAL ('.'), EACCES. Source: rmdir(2).
    """
    if place.name in DOTS:
        raise SyscallError(NO_ENTRY_ERROR[place.name])
    inode = _entry(place)
    place.need_writable()
    need_removable(task, place.directory, inode)
    if inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    need_not_mounted(place)
    directory: Any = place.directory
    _remove(place, inode, directory.rmdir)


def _remove(place: Place, inode: Inode, remove: Callable[[str], None]) -> None:
    notify = inode.kernel.vfs.notify
    with held(inode) if notify is not None else nullcontext():
        remove(place.name)
        inode.changed()
        place.directory.modified()
        if notify is not None and inode.kind != "dir":
            notify.linked(inode)
    if notify is not None:  # behind its own end
        notify.removed(place.directory, place.name, inode)


@contextmanager
def held(inode: Inode) -> Iterator[None]:
    """Let an inode live until what happened to its names has been told."""
    inode.open_count += 1
    try:
        yield
    finally:
        inode.open_count -= 1
        inode.released()


def _entry(place: Place) -> Inode:
    inode = place.entry()
    if inode is None:
        raise SyscallError(errno.ENOENT)
    return inode


def rename(task: Caller, old: Place, new: Place, flags: int) -> None:
    """Move a name, replacing what stood there, or exchange two; a whiteout may be left behind.

    Errors: ENOENT, EXDEV, EBUSY, EEXIST, EISDIR, ENOTDIR, ENOTEMPTY, EINVAL (into itself, or no
    whiteouts there), ENOSPC (for a whiteout).
    Source: rename(2), Linux 6.18 fs/namei.c for the order.
    """
    if old.mount is not new.mount:
        raise SyscallError(errno.EXDEV)
    if old.name in DOTS or new.name in DOTS:
        taken = old.name not in DOTS and flags & RENAME_NOREPLACE
        raise SyscallError(errno.EEXIST if taken else errno.EBUSY)
    old.need_writable()
    inode = _entry(old)
    _check_targets(old, new, inode, flags)
    if inode is new.inode:
        return
    _check_rights(task, old, new, inode, flags)
    for moved in (inode, new.inode if flags & RENAME_EXCHANGE else None):
        if moved is not None:
            moved.need_movable()
            prepare_change(task, moved)
    if flags & RENAME_WHITEOUT:
        _need_whiteout(old.directory)
    replaced = None if flags & RENAME_EXCHANGE else new.inode
    watched = replaced is not None and inode.kernel.vfs.notify is not None
    with held(replaced) if watched and replaced is not None else nullcontext():
        _move(old, new, inode, flags)
        if flags & RENAME_WHITEOUT:
            _leave_whiteout(task, old)
        _moved(task, old, new, inode, flags)


def _move(old: Place, new: Place, inode: Inode, flags: int) -> None:
    source: Any = old.directory
    if flags & RENAME_EXCHANGE:
        source.exchange(old.name, new.directory, new.name)
    else:
        _make_way(new)
        source.move(old.name, new.directory, new.name)
        if new.inode is not None:
            new.inode.changed()


def _need_whiteout(directory: Any) -> None:
    if not directory.can_whiteout:
        raise SyscallError(errno.EINVAL)
    directory.fs.need_inode()


def _leave_whiteout(task: Caller, old: Place) -> None:
    directory: Any = old.directory
    kind, rdev = WHITEOUT
    directory.mknod(old.name, kind, 0, rdev, task)


def _check_targets(old: Place, new: Place, inode: Inode, flags: int) -> None:
    if new.entry() is not None and flags & RENAME_NOREPLACE:
        raise SyscallError(errno.EEXIST)
    if flags & RENAME_EXCHANGE:
        target = _entry(new)
        if target.kind != "dir" and new.slash:
            raise SyscallError(errno.ENOTDIR)
    if inode.kind != "dir" and (old.slash or (new.slash and not flags & RENAME_EXCHANGE)):
        raise SyscallError(errno.ENOTDIR)
    if _is_above(inode, new.directory):
        raise SyscallError(errno.EINVAL)
    if new.inode is not None and _is_above(new.inode, old.directory):
        raise SyscallError(errno.EINVAL if flags & RENAME_EXCHANGE else errno.ENOTEMPTY)


def _is_above(inode: Inode, directory: Inode) -> bool:
    here: Inode | None = directory
    while here is not None and here is not inode:
        here = here.parent
    return here is inode


def _check_rights(task: Caller, old: Place, new: Place, inode: Inode, flags: int) -> None:
    need_removable(task, old.directory, inode)
    if new.inode is None:
        need_changeable(task, new.directory)
    else:
        need_removable(task, new.directory, new.inode)
        if not flags & RENAME_EXCHANGE:
            _check_kinds(inode, new.inode)
    if inode.kind == "dir" and old.directory is not new.directory:
        inode.open_check(task, MAY_WRITE)  # its '..' changes
    for place in (old, new):
        if place.inode is not None:
            need_not_mounted(place)


def _check_kinds(inode: Inode, replaced: Inode) -> None:
    if inode.kind == "dir" and replaced.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    if inode.kind != "dir" and replaced.kind == "dir":
        raise SyscallError(errno.EISDIR)


def _make_way(new: Place) -> None:
    directory: Any = new.directory
    if new.inode is None or directory.moves_over:
        return
    remove = directory.rmdir if new.inode.kind == "dir" else directory.unlink
    remove(new.name)


def _moved(task: Caller, old: Place, new: Place, inode: Inode, flags: int) -> None:
    was, now = place_text(task, old), place_text(task, new)
    inode.place(new.directory, new.name)
    inode.changed()
    if flags & RENAME_EXCHANGE and new.inode is not None:
        new.inode.place(old.directory, old.name)
        new.inode.changed()
    for directory in (old.directory, new.directory):
        directory.modified()
    inode.kernel.vfs.renamed(inode, old, new, was, now)
    if inode.kernel.vfs.notify is not None:
        _tell_moved(inode.kernel.vfs.notify, old, new, inode, flags)


def _tell_moved(notify: Notify, old: Place, new: Place, inode: Inode, flags: int) -> None:
    here, there = (old.directory, old.name), (new.directory, new.name)
    notify.moved(here, there, inode)
    exchanged = flags & RENAME_EXCHANGE
    if new.inode is not None and not exchanged:
        notify.linked(new.inode)
    notify.moved_itself(inode)
    if new.inode is not None and exchanged:
        notify.moved(there, here, new.inode)
        notify.moved_itself(new.inode)
