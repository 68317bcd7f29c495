"""The links of /proc/PID: cwd, root, exe; and /proc/self.

They lead to an inode whatever their text says: a directory that was removed is still one's own.
"""

from __future__ import annotations

import errno

from pkern.kernel import late
from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.vfs.file import File
from pkern.kernel.vfs.inode import Inode
from pkern.kernel.vfs.mounts import Path
from pkern.kernel.vfs.proc.inode import (
    ProcLink,
    task_of,
)
from pkern.kernel.vfs.walk import text_of

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller


def _own(reader: Caller, kernel: Machine) -> Task:
    """Return whose directory is the reader's own: to a visitor that of the machine's first task.

    Errors: ENOENT: there is none.
    """
    found = task_of(reader, kernel)
    if found.pid:
        return found
    if not kernel.tasks:
        raise SyscallError(errno.ENOENT)
    return kernel.tasks[min(kernel.tasks)]


def _number(pid_ns: PidNamespace, pid: int) -> int:
    """Return the number of a pid in a namespace. Errors: ENOENT: it has none."""
    number = pid_ns.number_of(pid)
    if not number:
        raise SyscallError(errno.ENOENT)
    return number


class SelfLink(ProcLink):
    """/proc/self: the reader's own directory."""

    def __init__(self, kernel: Machine, pid_ns: PidNamespace) -> None:
        super().__init__(kernel, "")
        self._pid_ns = pid_ns

    def readlink(self, task: Caller) -> str:
        return str(_number(self._pid_ns, _own(task, self.kernel).tgid))


class ThreadSelfLink(ProcLink):
    """/proc/thread-self: the reader's own thread."""

    def __init__(self, kernel: Machine, pid_ns: PidNamespace) -> None:
        super().__init__(kernel, "")
        self._pid_ns = pid_ns

    def readlink(self, task: Caller) -> str:
        own = _own(task, self.kernel)
        return f"{_number(self._pid_ns, own.tgid)}/task/{_number(self._pid_ns, own.pid)}"


class TaskLink(ProcLink):
    """A link to a directory that a task has. find: returns it."""

    def __init__(self, kernel: Machine, of_task: Task, find: Callable[[Task], Path]) -> None:
        super().__init__(kernel, "", of_task.uid, of_task.gid)
        self._of_task = of_task
        self._find = find

    def _goal(self, reader: Caller) -> Path:
        if not task_of(reader, self.kernel).may_trace(self._of_task):
            raise SyscallError(errno.EACCES)
        if not self._of_task.alive:
            raise SyscallError(errno.ENOENT)
        return self._find(self._of_task)

    def readlink(self, task: Caller) -> str:
        path = self._goal(task)
        return text_of(task, path) + ("" if path.inode.nlink else " (deleted)")

    def goal_path(self, task: Caller) -> str:
        return text_of(task, self._goal(task))

    def jump(self, task: Caller) -> Path:
        return self._goal(task)


class ExeLink(ProcLink):
    """/proc/PID/exe: leads to the program's file, whatever has become of its name."""

    def __init__(self, kernel: Machine, of_task: Task) -> None:
        super().__init__(kernel, "")
        self._of_task = of_task

    def _exe(self, reader: Caller) -> File:
        if not task_of(reader, self.kernel).may_trace(self._of_task):
            raise SyscallError(errno.EACCES)
        if self._of_task.exe is None:
            raise SyscallError(errno.ENOENT)
        return self._of_task.exe

    def readlink(self, task: Caller) -> str:
        """Return the program's path. Errors: EACCES; ENOENT: a Python program has none."""
        return self._exe(task).shown_path

    def goal_path(self, task: Caller) -> str:
        return self._exe(task).path

    def jump(self, task: Caller) -> Path:
        """Return the program's file. Errors: as readlink."""
        exe = self._exe(task)
        return Path(exe.mount, exe.seen())


DESCRIPTORS = "pkern.kernel.vfs.proc.descriptors"
# What makes the links of /proc/PID and its directories of descriptors.
LINKS: dict[str, Callable[[Machine, Task], Inode]] = {
    "fd": late.function(DESCRIPTORS, "FdDir"),
    "cwd": lambda kernel, of_task: TaskLink(kernel, of_task, lambda task: task.fs.pwd),
    "root": lambda kernel, of_task: TaskLink(kernel, of_task, lambda task: task.fs.root),
    "exe": ExeLink,
}
