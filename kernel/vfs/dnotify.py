"""dnotify: signals about what happens in a directory, F_NOTIFY of fcntl.

A watch is of one open file, for one table of descriptors, and ends when the table closes any
descriptor of that file. It stands among the marks of the directory's inode as an inotify mark does.
Source: fcntl(2), fs/notify/dnotify of Linux 6.18.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.file import F_OWNER_PID, Owner
from pkern.kernel.vfs.inode import POLLIN, POLLRDNORM
from pkern.kernel.vfs.inotify import (
    IN_ACCESS,
    IN_ATTRIB,
    IN_CREATE,
    IN_DELETE,
    IN_MODIFY,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_RENAMED,
    Event,
    Mark,
)

if TYPE_CHECKING:
    from pkern.kernel.vfs.file import FdTable, File
    from pkern.kernel.vfs.machine import Caller

DN_MULTISHOT = 0x8000_0000
EVENTS = {
    1: IN_ACCESS,
    2: IN_MODIFY,
    4: IN_CREATE | IN_MOVED_TO,
    8: IN_DELETE | IN_MOVED_FROM,
    16: IN_RENAMED,
    32: IN_ATTRIB,
}
POLL_MSG, POLLMSG = 3, 0x400  # of si_code, and among the bits of si_band


class DirWatch:
    """One watch: signals for a file's owner, by the descriptor fd. stays: DN_MULTISHOT."""

    def __init__(self, file: File, table: FdTable) -> None:
        self.file, self.table = file, table
        self.fd, self.stays = -1, 0
        self.mark = Mark(self, file.inode, 0, 0)
        self.mark.enlist()

    def add(self, event: Event) -> None:
        """Tell the file's owner that something has happened."""
        if not self.stays:
            self.mark.unlist()
        band = POLLIN | POLLRDNORM | POLLMSG
        self.file.kernel.tell_owner(self.file, self.fd, POLL_MSG, band)

    def forget(self, wd: int) -> None:
        """End, with the directory."""
        self.mark.unlist()


def _watch_of(file: File, table: FdTable) -> DirWatch | None:
    for mark in file.inode.marks:
        watch = mark.owner
        if isinstance(watch, DirWatch) and watch.file is file and watch.table is table:
            return watch
    return None


def flush(file: File, table: FdTable) -> None:
    """End what a table's users watch by an open file, if anything."""
    watch = _watch_of(file, table)
    if watch is not None:
        watch.mark.unlist()


def watch(task: Caller, file: File, fd: int, wanted: int) -> None:
    """Send signals for DN_* events in a directory, beside those that are asked for; 0: none more.

    Errors: EINVAL (fs.dir-notify-enable is 0), ENOTDIR.
    """
    table: FdTable = task.fds  # type: ignore[attr-defined]  # a task that has called has some
    if not task.kernel.vfs.inotify.dir_notify_enable:  # type: ignore[attr-defined]
        raise SyscallError(errno.EINVAL)
    if not wanted & ~DN_MULTISHOT:
        flush(file, table)
        return
    if file.inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    if not file.owner.pid:
        file.owner = Owner(F_OWNER_PID, task.tgid, task.cred.uid, task.cred.euid)
    found = _watch_of(file, table) or DirWatch(file, table)
    found.fd = fd
    found.stays |= wanted & DN_MULTISHOT
    found.mark.mask |= sum(mask for bit, mask in EVENTS.items() if wanted & bit)
