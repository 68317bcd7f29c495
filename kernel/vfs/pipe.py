"""Pipes: a bounded queue of bytes between two open files."""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from kernel.vfs.file import O_RDONLY, O_WRONLY, File
from kernel.vfs.inode import Inode

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task

CAPACITY = 65536


class PipeInode(Inode):
    """What both ends share. A call that would sleep gets EAGAIN: no one else could run."""

    kind = "fifo"
    type_bits = stat.S_IFIFO

    def __init__(self, kernel: Kernel, task: Task) -> None:
        super().__init__(kernel, 0o600, task.uid, task.gid)
        self.nlink = 0
        self.queue = bytearray()
        self.ends: list[File] = []

    def _open_end(self, mode: int) -> bool:
        return any(end.descriptors > 0 for end in self.ends if end.flags & 3 == mode)

    def read(self, pos: int, nbytes: int) -> bytes:
        if not self.queue and nbytes and self._open_end(O_WRONLY):
            raise SyscallError(errno.EAGAIN)
        data = bytes(self.queue[:nbytes])
        del self.queue[:nbytes]
        return data

    def write(self, pos: int, data: bytes, task: Task | None = None) -> int:
        if not self._open_end(O_RDONLY):
            raise SyscallError(errno.EPIPE)
        room = CAPACITY - len(self.queue)
        if data and not room:
            raise SyscallError(errno.EAGAIN)
        self.queue += data[:room]
        return min(len(data), room)


def make_pipe(kernel: Kernel, task: Task, flags: int) -> tuple[File, File]:
    """Return the reading and the writing end."""
    inode = PipeInode(kernel, task)
    inode.ends = [
        File(kernel, inode, f"pipe:[{inode.ino}]", O_RDONLY | flags),
        File(kernel, inode, f"pipe:[{inode.ino}]", O_WRONLY | flags),
    ]
    return inode.ends[0], inode.ends[1]
