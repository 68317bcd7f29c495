"""A core file in the machine's file system: made afresh, its owner's alone, and never a trap.

It is the task that makes it, with its rights, at its current directory. Source: coredump_file() of
Linux 6.18; core(5).
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import suppress
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs import O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, moves
from pkern.kernel.vfs.walk import Last

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

MODE, PERMISSIONS = 0o600, 0o677


class FileSink:
    """An open file that gets the core, within RLIMIT_FSIZE."""

    seeks = True

    def __init__(self, task: Task, file: File) -> None:
        self._task = task
        self._file = file

    def write(self, pos: int, data: bytes) -> int:
        """Write at pos; return how many bytes could be. Errors: those of the inode, EFBIG."""
        room = self._task.rlimits["fsize"][0] - pos
        if room <= 0:
            raise SyscallError(errno.EFBIG)
        with self._task.kernel.memory.on_behalf_of(self._task):
            done = self._file.inode.file_write(self._file, pos, data[:room], self._task)
        self._file.inode.modified()
        return done


def unlink(task: Task, name: str) -> None:
    """Remove what has the name; what cannot be removed is met when the file is opened."""
    with suppress(SyscallError):
        moves.unlink(task, task.kernel.vfs.walk(task, name, Last.ENTRY))


def open_core(task: Task, name: str) -> File:
    """Return a new file, with one descriptor. Errors: those of open for writing."""
    flags = O_CREAT | O_WRONLY | O_NOFOLLOW | O_EXCL
    file = task.kernel.vfs.open(task, name, flags, MODE)
    file.descriptors = 1
    return file


def complaint(task: Task, file: File) -> str:
    """Say why a new file cannot hold a core; "": it can."""
    if file.inode.uid != task.uid:
        return "cannot preserve file owner"
    return "" if file.inode.mode & PERMISSIONS == MODE else "cannot preserve file permissions"
