"""Pipes: a bounded queue of bytes between two open files."""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from kernel.vfs.file import O_RDONLY, O_WRONLY, File
from kernel.vfs.inode import Inode
from kernel.wait import WouldBlock

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task

CAPACITY, PIPE_BUF = 65536, 4096


class PipeInode(Inode):
    """What both ends share. Readers wait for (pipe, "r"), writers for (pipe, "w")."""

    kind = "fifo"
    type_bits = stat.S_IFIFO

    def __init__(self, kernel: Kernel, task: Task) -> None:
        super().__init__(kernel, 0o600, task.uid, task.gid)
        self.nlink = 0
        self.queue = bytearray()
        self.ends: list[File] = []

    def has_end(self, mode: int) -> bool:
        """Tell whether an end of that mode (O_RDONLY, O_WRONLY) is open."""
        return any(end.descriptors > 0 for end in self.ends if end.flags & 3 == mode)

    @property
    def room(self) -> int:
        """Bytes that can be written now."""
        return CAPACITY - len(self.queue)

    def read(self, pos: int, nbytes: int) -> bytes:
        if not self.queue and nbytes and self.has_end(O_WRONLY):
            raise WouldBlock((self, "r"))
        data = bytes(self.queue[:nbytes])
        del self.queue[:nbytes]
        if data:
            self.kernel.wake((self, "w"))
        return data

    def write(self, pos: int, data: bytes, task: Task | None = None) -> int:
        """Append what there is room for; up to PIPE_BUF bytes go in whole or not at all."""
        if not self.has_end(O_RDONLY):
            raise SyscallError(errno.EPIPE)
        room = self.room
        if data and (not room or len(data) <= PIPE_BUF and len(data) > room):
            raise WouldBlock((self, "w"))
        self.queue += data[:room]
        self.kernel.wake((self, "r"))
        return min(len(data), room)

    def released(self) -> None:
        """Let the other end see that this one was closed."""
        self.kernel.wake((self, "r"))
        self.kernel.wake((self, "w"))
        super().released()


def make_pipe(kernel: Kernel, task: Task, flags: int) -> tuple[File, File]:
    """Return the reading and the writing end."""
    inode = PipeInode(kernel, task)
    inode.ends = [
        File(kernel, inode, f"pipe:[{inode.ino}]", O_RDONLY | flags),
        File(kernel, inode, f"pipe:[{inode.ino}]", O_WRONLY | flags),
    ]
    return inode.ends[0], inode.ends[1]
