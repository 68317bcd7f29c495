"""Entries of directories: how they are made, and what every change of one leaves behind.

Every function checks in Linux's order - the place, the rights on the directory, the sticky bit -
and then asks the directory's file system to do it. Directories that cannot change have no create().
moves.py has how entries are removed and moved.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Any
from pkern.kernel.vfs.inode import (
    FILE_CAPS,
    MAY_EXEC,
    MAY_WRITE,
    S_ISGID,
    S_ISUID,
    Inode,
    in_group,
)
from pkern.kernel.vfs.walk import Place, length

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller

IN_ACCESS, IN_MODIFY, IN_ATTRIB = 1, 2, 4  # of inotify(7)
MAX_LINK_TEXT = 4095
WHITEOUT = "chr", 0  # a device whose number is 0:0: kind and number, mknod(2)


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
    need_no_slash(place)
    need_creatable(task, place)
    if length(target) > MAX_LINK_TEXT:
        raise SyscallError(errno.ENAMETOOLONG)
    directory: Any = place.directory
    made(place, directory.symlink(place.name, target, task))


def mknod(task: Caller, place: Place, kind: str, mode: int, rdev: int) -> Inode:
    """Make a fifo, a regular file, a socket's name or a device, and return it.

    Errors: EEXIST, EPERM. Source: mknod(2).
    """
    need_no_slash(place)
    need_creatable(task, place)
    is_whiteout = (kind, rdev) == WHITEOUT
    if kind in ("chr", "blk") and not is_whiteout and not task.capable("CAP_MKNOD"):
        raise SyscallError(errno.EPERM)
    directory: Any = place.directory
    mode &= 0o7777 & ~task.umask
    if kind == "file":
        return made(place, directory.create(place.name, mode, task))
    return made(place, directory.mknod(place.name, kind, mode, rdev, task))


def need_no_slash(place: Place) -> None:
    """Refuse a name that only a directory may have. Errors: ENOENT."""
    if place.slash and place.entry() is None:
        raise SyscallError(errno.ENOENT)


def told_of(inode: Inode, mask: int) -> None:
    """Tell who watches that an inode changed: IN_ATTRIB, IN_MODIFY."""
    notify = inode.kernel.vfs.notify
    if notify is not None:
        notify.changed(inode, mask)


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
