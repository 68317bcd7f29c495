"""Entries of directories: make, remove, move.

Every function checks in Linux's order - the place, the rights on the directory, the sticky bit -
and then asks the directory's file system to do it. Directories that cannot change have no create().
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import contextmanager, nullcontext
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Iterator
from pkern.kernel.vfs.inode import (
    FILE_CAPS,
    MAY_EXEC,
    MAY_WRITE,
    S_ISGID,
    S_ISUID,
    S_ISVTX,
    Inode,
    in_group,
)
from pkern.kernel.vfs.walk import DOTS, Place, length, place_text

if TYPE_CHECKING:
    from pkern.kernel.vfs.inotify import Notify
    from pkern.kernel.vfs.machine import Caller
    from pkern.kernel.vfs.mounts import Path

IN_ACCESS, IN_MODIFY, IN_ATTRIB = 1, 2, 4  # of inotify(7)
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
WHITEOUT = "chr", 0  # a device whose number is 0:0: kind and number, mknod(2)
MAX_LINK_TEXT = 4095
NO_ENTRY_ERROR = {".": errno.EINVAL, "..": errno.ENOTEMPTY, "/": errno.EBUSY}  # of rmdir


# ---- checks ----


def need_changeable(task: Caller, directory: Inode) -> None:
    """Refuse a directory that the task may not change. Errors: ENOENT, EROFS, EACCES, EPERM."""
    directory.check_writable()
    directory.open_check(task, MAY_WRITE | MAY_EXEC)
    if not hasattr(directory, "create"):
        raise SyscallError(errno.EPERM)


def need_creatable(task: Caller, place: Place) -> None:
    """Refuse to make an entry that cannot be.

    Errors: EEXIST, EOVERFLOW (no such user in the file system's namespace), as need_changeable.
    """
    if place.entry() is not None:
        raise SyscallError(errno.EEXIST)
    place.need_writable()
    if place.directory.no_new_names:
        raise SyscallError(place.directory.no_new_names)
    owner = getattr(place.mount.fs, "user", None) if place.mount is not None else None
    if owner is not None and not owner.has(task.uid, task.gid):
        raise SyscallError(errno.EOVERFLOW)  # its maker would have no id there
    need_changeable(task, place.directory)


def need_file_creatable(task: Caller, place: Place) -> None:
    """Refuse to let open make a file. Errors: EACCES: files are not made there; as need_creatable.

    Where nobody makes files, open says it by another errno than mkdir and mknod.
    """
    if place.entry() is None and not place.directory.no_new_names:
        place.need_writable()
        place.directory.check_writable()
        if not hasattr(place.directory, "create"):
            raise SyscallError(errno.EACCES)
    need_creatable(task, place)


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


# ---- what every change leaves behind ----


def attach(directory: Any, name: str, inode: Inode) -> None:
    """Enter an inode under a name."""
    directory.entries[name] = inode
    inode.place(directory, name)


def made(place: Place, inode: Inode) -> Inode:
    """Note a new entry: its place, the directory's times. Returns the inode."""
    inode.place(place.directory, place.name)
    place.directory.modified()
    if inode.kernel.vfs.notify is not None:
        inode.kernel.vfs.notify.made(place.directory, place.name, inode)
    return inode


def new_mode(directory: Inode, mode: int) -> int:
    """Return the mode of a new directory: the set-group-id bit is inherited."""
    return mode | directory.mode & S_ISGID


def drop_privileges(task: Caller, inode: Inode) -> None:
    """Clear set-user-id and set-group-id, and capabilities, when the content changes."""
    drop_caps(inode)
    bits = inode.mode & S_ISUID
    if inode.mode & S_ISGID and inode.mode & 0o010:
        bits |= S_ISGID
    if bits and inode.kind == "file" and not task.capable("CAP_FSETID"):
        inode.set_mode(inode.mode & ~bits)


def drop_caps(inode: Inode) -> None:
    """Take a file's capabilities away: it is another one's, or another program."""
    if inode.xattrs.get(FILE_CAPS):
        inode.remove_xattr(FILE_CAPS)


def prepare_change(task: Caller, inode: Inode) -> None:
    """Make an inode ready for a change that the task may make. Errors: ENOSPC, EIO."""
    with inode.kernel.memory.on_behalf_of(task):
        inode.prepare_change()


def truncate(task: Caller, inode: Inode, size: int) -> None:
    """Set a file's size in bytes. Errors: ETXTBSY (it runs), those of the inode."""
    cut(task, inode, size)
    told_of(inode, IN_MODIFY)


def cut(task: Caller, inode: Inode, size: int) -> None:
    """Truncate a file and tell nobody yet. Errors: as truncate."""
    inode.need_not_running()
    with inode.kernel.memory.on_behalf_of(task):
        inode.truncate(size)
    drop_privileges(task, inode)
    inode.modified()


# ---- make ----


def mkdir(task: Caller, place: Place, mode: int) -> None:
    """Make a directory. Errors: EEXIST, ENOENT, EACCES, EROFS. Source: mkdir(2)."""
    need_creatable(task, place)
    directory: Any = place.directory
    made(place, directory.mkdir(place.name, mode & 0o1777 & ~task.umask, task))


def symlink(task: Caller, target: str, place: Place) -> None:
    """Make a symbolic link. Errors: EEXIST, ENOENT, EACCES, EPERM. Source: symlink(2)."""
    _need_no_slash(place)
    need_creatable(task, place)
    if length(target) > MAX_LINK_TEXT:
        raise SyscallError(errno.ENAMETOOLONG)
    directory: Any = place.directory
    made(place, directory.symlink(place.name, target, task))


def mknod(task: Caller, place: Place, kind: str, mode: int, rdev: int) -> Inode:
    """Make a fifo, a regular file, a socket's name or a device, and return it.

    Errors: EEXIST, EPERM. Source: mknod(2).
    """
    _need_no_slash(place)
    need_creatable(task, place)
    is_whiteout = (kind, rdev) == WHITEOUT
    if kind in ("chr", "blk") and not is_whiteout and not task.capable("CAP_MKNOD"):
        raise SyscallError(errno.EPERM)
    directory: Any = place.directory
    mode &= 0o7777 & ~task.umask
    if kind == "file":
        return made(place, directory.create(place.name, mode, task))
    return made(place, directory.mknod(place.name, kind, mode, rdev, task))


def link(task: Caller, path: Path, place: Place) -> None:
    """Give an inode one more name. Errors: EEXIST, EXDEV, EPERM, EMLINK. Source: link(2)."""
    _need_no_slash(place)
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


def _need_no_slash(place: Place) -> None:
    if place.slash and place.entry() is None:
        raise SyscallError(errno.ENOENT)


# ---- remove ----


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
    waits = notify is not None and inode.kind != "dir"  # a directory's own end comes first
    with held(inode) if waits else nullcontext():
        remove(place.name)
        inode.changed()
        place.directory.modified()
        if notify is not None:
            if not waits:
                inode.released()
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


def told_of(inode: Inode, mask: int) -> None:
    """Tell who watches that an inode changed: IN_ATTRIB, IN_MODIFY."""
    notify = inode.kernel.vfs.notify
    if notify is not None:
        notify.changed(inode, mask)


def _entry(place: Place) -> Inode:
    inode = place.entry()
    if inode is None:
        raise SyscallError(errno.ENOENT)
    return inode


# ---- move ----


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


# ---- owner and mode ----


def chmod(task: Caller, inode: Inode, mode: int) -> None:
    """Set the permission bits. Errors: EPERM, EROFS. Source: chmod(2)."""
    inode.check_writable()
    inode.need_settable()
    inode.need_mutable()
    inode.need_owner(task)
    mode &= 0o7777
    if not in_group(task, inode.gid) and not task.capable_over(inode, "CAP_FSETID"):
        mode &= ~S_ISGID
    prepare_change(task, inode)
    inode.set_mode(mode)
    told_of(inode, IN_ATTRIB)


def chown(task: Caller, inode: Inode, uid: int, gid: int) -> None:
    """Set owner and group; -1 leaves one as it is. Errors: EPERM, EROFS. Source: chown(2)."""
    inode.check_writable()
    inode.need_settable()
    if (uid, gid) != (-1, -1):
        inode.need_mutable()
    owner = task.uid == inode.uid
    if not task.capable_over(inode, "CAP_CHOWN"):
        if uid != -1 and not (owner and uid == inode.uid):
            raise SyscallError(errno.EPERM)
        if gid != -1 and not (owner and (gid == inode.gid or in_group(task, gid))):
            raise SyscallError(errno.EPERM)
    prepare_change(task, inode)
    mode = inode.mode
    inode.set_owner(inode.uid if uid == -1 else uid, inode.gid if gid == -1 else gid)
    if inode.kind != "dir":
        drop_caps(inode)
        drop = S_ISUID | (S_ISGID if inode.mode & 0o010 else 0)
        inode.mode &= ~drop
    if (uid, gid) != (-1, -1) or inode.mode != mode:
        told_of(inode, IN_ATTRIB)
