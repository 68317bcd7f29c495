"""Open files as /proc shows them: the links of /proc/PID/fd, and fdinfo.

A link leads to an inode whatever its text says: a file without a name can be opened again through
its descriptor.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.numbers import name_number
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.file import File
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, Inode
from pkern.kernel.vfs.mounts import Path
from pkern.kernel.vfs.proc.inode import ProcDir, ProcLink, task_of
from pkern.kernel.vfs.proc.text import TextFile, device_text

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller

O_LARGEFILE, O_CLOEXEC = 0o100000, 0o2000000


class FdLink(ProcLink):
    """One open file of a task. Its mode says what it was opened for."""

    def __init__(self, kernel: Machine, of_task: Task, file: File) -> None:
        super().__init__(kernel, "", of_task.uid, of_task.gid)
        self._file = file
        access = file.access
        self.mode = (0o500 if access & MAY_READ else 0) | (0o300 if access & MAY_WRITE else 0)

    @property
    def size(self) -> int:
        return 64

    def readlink(self, task: Caller) -> str:
        return self._file.shown_path

    def goal_path(self, task: Caller) -> str:
        return self._file.path

    def jump(self, task: Caller) -> Path:
        return Path(self._file.mount, self._file.seen())


def files_of(task: Task) -> dict[int, File]:
    """Return the open files of a task by descriptor: none once it has ended."""
    return task.fds.files if task.alive else {}


class FdDir(ProcDir):
    """/proc/PID/fd: a link for each descriptor."""

    def __init__(self, kernel: Machine, of_task: Task) -> None:
        super().__init__(kernel, 0o500, of_task.uid, of_task.gid)
        self._of_task = of_task

    @property
    def st_size(self) -> int:
        return len(files_of(self._of_task))

    def lookup(self, name: str, task: Caller) -> Inode:
        file = files_of(self._of_task).get(name_number(name))
        if file is None:
            raise SyscallError(errno.ENOENT)
        if not task_of(task, self.kernel).may_trace(self._of_task):
            raise SyscallError(errno.EACCES)
        return FdLink(self.kernel, self._of_task, file)

    def names(self, task: Caller) -> list[str]:
        return [str(fd) for fd in sorted(files_of(self._of_task))]

    def permits(self, task: Caller, wanted: int) -> bool:
        return task_of(task, self.kernel).group is self._of_task.group or super().permits(
            task, wanted
        )


class FdInfoDir(ProcDir):
    """/proc/PID/fdinfo: position, flags and locks of each descriptor."""

    def __init__(self, kernel: Machine, of_task: Task, pid_ns: PidNamespace) -> None:
        super().__init__(kernel, 0o555)
        self._of_task = of_task
        self._pid_ns = pid_ns

    def _text(self, fd: int) -> str:
        file = self._of_task.fds.get_raw(fd)
        flags = file.shown_flags
        if file.inode.kind not in ("fifo", "sock", "anon", "pidfd") and not file.is_path:
            flags |= O_LARGEFILE
        flags |= O_CLOEXEC if fd in self._of_task.fds.cloexec else 0
        inode = file.inode
        mount = file.mount.number if file.mount is not None else inode.dev
        head = f"pos:\t{file.pos}\nflags:\t0{flags:o}\nmnt_id:\t{mount}\nino:\t{inode.ino}\n"
        vfs = self.kernel.vfs
        held = vfs.locks.held_by(file, self._of_task.fds) + vfs.leases.held_by(file)
        device = device_text(inode.dev)
        space = self._pid_ns
        lines = (lock.seen_in(space).line(number, device) for number, lock in enumerate(held, 1))
        return head + "".join(f"lock:\t{line}\n" for line in lines) + inode.fdinfo(space)

    def lookup(self, name: str, task: Caller) -> Inode:
        if name_number(name) not in files_of(self._of_task):
            raise SyscallError(errno.ENOENT)
        if not task_of(task, self.kernel).may_trace(self._of_task):
            raise SyscallError(errno.EACCES)
        return TextFile(self.kernel, 0o444, lambda: self._text(int(name)))

    def permits(self, task: Caller, wanted: int) -> bool:
        return task_of(task, self.kernel).may_trace(self._of_task) and super().permits(task, wanted)

    def names(self, task: Caller) -> list[str]:
        return [str(fd) for fd in sorted(files_of(self._of_task))]
