"""The calls of inotify: what is watched. Events are read as from any file."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.file import O_NONBLOCK, O_RDONLY, File
from pkern.kernel.vfs.inode import MAY_READ
from pkern.kernel.vfs.inotify import (
    IN_ALL_EVENTS,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_ISDIR,
    IN_MASK_ADD,
    IN_MASK_CREATE,
    IN_ONESHOT,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
    InotifyInode,
)
from pkern.kernel.vfs.walk import Last
from pkern.syscalls.files.at import O_CLOEXEC, install, refuse_flags
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

IN_ONLYDIR, IN_DONT_FOLLOW = 0x01000000, 0x02000000
KNOWN = (
    IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW
    | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT
)  # fmt: skip
BOTH = IN_MASK_ADD | IN_MASK_CREATE


@syscall(294, "inotify_init1", SINT)
def inotify_init1(task: Task, flags: int = 0) -> int:
    """Return a descriptor to read events from. flags: IN_NONBLOCK, IN_CLOEXEC.

    Errors: EINVAL, EMFILE (descriptors, fs.inotify.max_user_instances). Source: inotify_init(2).
    """
    refuse_flags(flags, O_NONBLOCK | O_CLOEXEC)
    task.kernel.vfs.need_room(task)
    inode = InotifyInode(task.kernel, task.uid)
    way = O_RDONLY | flags & O_NONBLOCK
    file = task.kernel.vfs.register(File(task.kernel, inode, "anon_inode:inotify", way))
    return install(task, file, flags)


@syscall(253, "inotify_init")
def inotify_init(task: Task) -> int:
    """As inotify_init1 without flags. Errors: as inotify_init1. Source: inotify_init(2)."""
    return inotify_init1(task)


def _instance(task: Task, fd: int) -> InotifyInode:
    inode = task.fds.get(fd).inode
    if not isinstance(inode, InotifyInode):
        raise SyscallError(errno.EINVAL)
    return inode


@syscall(254, "inotify_add_watch", SINT, PATH, INT)
def inotify_add_watch(task: Task, fd: int, path: str, mask: int) -> int:
    """Watch a file or a directory for the events in mask (IN_*); return the watch's number.

    Errors: EINVAL, EBADF, EACCES, EEXIST (IN_MASK_CREATE), ENOSPC (fs.inotify.max_user_watches),
    ENOTDIR (IN_ONLYDIR) and those of a path. Source: inotify_add_watch(2).
    """
    mask &= 0xFFFF_FFFF
    if mask & ~KNOWN or not mask & KNOWN or mask & BOTH == BOTH:
        raise SyscallError(errno.EINVAL)
    instance = _instance(task, fd)
    follow = Last.KEEP if mask & IN_DONT_FOLLOW else Last.FOLLOW
    inode = task.kernel.vfs.walk(task, path, follow).existing()
    if mask & IN_ONLYDIR and inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    inode.open_check(task, MAY_READ)
    return instance.add_watch(inode, mask)


@syscall(255, "inotify_rm_watch", SINT, SINT)
def inotify_rm_watch(task: Task, fd: int, wd: int) -> int:
    """End a watch. Errors: EBADF, EINVAL (no such watch). Source: inotify_rm_watch(2)."""
    _instance(task, fd).forget(wd)
    return 0
