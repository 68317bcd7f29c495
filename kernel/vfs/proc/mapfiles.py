"""/proc/PID/map_files: links to what a task has mapped."""

from __future__ import annotations

import errno

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.inode import Inode
from pkern.kernel.vfs.mounts import Path
from pkern.kernel.vfs.proc.inode import ProcDir, ProcLink, task_of
from pkern.kernel.vfs.proc.maps import columns

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller

LINK_SIZE = 64  # as Linux says of every such link


def need_tracer(of: Task, reader: Task) -> None:
    """Refuse who may not trace a task. Errors: EACCES."""
    if not reader.may_trace(of):
        raise SyscallError(errno.EACCES)


class MapFileLink(ProcLink):
    """A mapped file, under its addresses. It can be opened only with CAP_SYS_ADMIN's kin."""

    def __init__(self, kernel: Machine, of_task: Task, vma: Vma) -> None:
        super().__init__(kernel, "", of_task.uid, of_task.gid)
        self._of_task = of_task
        self._vma = vma
        self.mode = 0o600 if vma.flags & lib.VM_SHARED else 0o400

    @property
    def size(self) -> int:
        return LINK_SIZE

    def readlink(self, task: Caller) -> str:
        return columns(self._of_task, self._vma).name

    def jump(self, task: Caller) -> Path:
        """Return the file's inode. Errors: EPERM; ENOENT: shared memory that no one named."""
        if not (task.capable("CAP_SYS_ADMIN") or task.capable("CAP_CHECKPOINT_RESTORE")):
            raise SyscallError(errno.EPERM)
        file = self.kernel.vfs.file_of(self._vma.file_cookie)
        if file is None:
            raise SyscallError(errno.ENOENT)
        return Path(file.mount, file.seen())


class MapFilesDir(ProcDir):
    """/proc/PID/map_files: a link for each VMA of a file, named by its addresses."""

    def __init__(self, kernel: Machine, of_task: Task) -> None:
        super().__init__(kernel, 0o500, of_task.uid, of_task.gid)
        self._of_task = of_task

    def _of_files(self) -> dict[str, Vma]:
        vmas = self._of_task.mm.vmas() if self._of_task.alive else []
        return {
            f"{vma.start:x}-{vma.end:x}": vma
            for vma in vmas
            if vma.file_cookie or vma.mapping_cookie
        }

    def lookup(self, name: str, task: Caller) -> Inode:
        need_tracer(self._of_task, task_of(task, self.kernel))
        vma = self._of_files().get(name)
        if vma is None:
            raise SyscallError(errno.ENOENT)
        return MapFileLink(self.kernel, self._of_task, vma)

    def names(self, task: Caller) -> list[str]:
        need_tracer(self._of_task, task_of(task, self.kernel))
        return list(self._of_files())
