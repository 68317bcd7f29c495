"""The links of /proc/PID: fd, cwd, root; and /proc/self.

They lead to an inode whatever their text says: a file without a name can be opened again through
its descriptor, and a directory that was removed is still one's own.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from kernel.vfs.file import File
from kernel.vfs.inode import MAY_READ, MAY_WRITE, DirInode, Inode, LinkInode
from kernel.vfs.walk import text_of

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task


def may_look(reader: Task, task: Task) -> bool:
    """Tell whether reader may see what another task has open. Source: ptrace(2)."""
    same = reader.uid == task.uid and reader.gid == task.gid
    return same or reader.capable("CAP_SYS_PTRACE")


class SelfLink(LinkInode):
    """/proc/self: the reader's own directory."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, "")

    def readlink(self, task: Task) -> str:
        return str(task.pid)


class TaskLink(LinkInode):
    """A link to something a task holds. find: returns it, None where there is none."""

    def __init__(self, kernel: Kernel, of_task: Task, find: Callable[[Task], Inode | None]) -> None:
        super().__init__(kernel, "", of_task.uid, of_task.gid)
        self._of_task = of_task
        self._find = find

    @property
    def size(self) -> int:
        return 64  # as Linux says of every such link

    def _goal(self, reader: Task) -> Inode:
        if not may_look(reader, self._of_task):
            raise SyscallError(errno.EACCES)
        inode = self._find(self._of_task) if self._of_task.alive else None
        if inode is None:
            raise SyscallError(errno.ENOENT)
        return inode

    def readlink(self, task: Task) -> str:
        inode = self._goal(task)
        return text_of(task, inode) + ("" if inode.nlink else " (deleted)")

    def jump(self, task: Task) -> Inode:
        return self._goal(task)


class FdLink(LinkInode):
    """One open file of a task. Its mode says what it was opened for."""

    def __init__(self, kernel: Kernel, of_task: Task, file: File) -> None:
        super().__init__(kernel, "", of_task.uid, of_task.gid)
        self._file = file
        access = file.access
        self.mode = (0o500 if access & MAY_READ else 0) | (0o300 if access & MAY_WRITE else 0)

    @property
    def size(self) -> int:
        return 64

    def readlink(self, task: Task) -> str:
        gone = self._file.inode.nlink == 0 and self._file.path.startswith("/")
        return self._file.path + (" (deleted)" if gone else "")

    def jump(self, task: Task) -> Inode:
        return self._file.inode


class FdDir(DirInode):
    """/proc/PID/fd: a link for each descriptor."""

    def __init__(self, kernel: Kernel, of_task: Task) -> None:
        super().__init__(kernel, 0o500, of_task.uid, of_task.gid)
        self._of_task = of_task

    def lookup(self, name: str, task: Task) -> Inode:
        file = self._of_task.fds.files.get(int(name)) if name.isdecimal() else None
        if file is None:
            raise SyscallError(errno.ENOENT)
        if not may_look(task, self._of_task):
            raise SyscallError(errno.EACCES)
        return FdLink(self.kernel, self._of_task, file)

    def names(self, task: Task) -> list[str]:
        return [str(fd) for fd in sorted(self._of_task.fds.files)]

    def permits(self, task: Task, wanted: int) -> bool:
        return task is self._of_task or super().permits(task, wanted)


def task_links(kernel: Kernel, of_task: Task) -> dict[str, Inode]:
    """Return the links of /proc/PID and its directory fd."""
    return {
        "fd": FdDir(kernel, of_task),
        "cwd": TaskLink(kernel, of_task, lambda task: task.fs.pwd),
        "root": TaskLink(kernel, of_task, lambda task: task.fs.root),
    }
