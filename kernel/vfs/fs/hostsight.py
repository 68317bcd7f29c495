"""Files of the host that a visitor sees before the machine has met them.

The machine keeps each file of the host that it has met: an inode, and a descriptor. For who only
looks none is made: here is what the host says now, and nobody remembers it. What the machine
refuses, a visitor does not see either. Nothing outside the directory is reached: each name
is opened below its parent's descriptor, and no link is followed.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError, host_errors
from pkern.kernel.vfs.fs.hostfs import leave_spare, take_status
from pkern.kernel.vfs.inode import Inode

if TYPE_CHECKING:
    from pkern.kernel.vfs.fs.hostfs import HostFs
    from pkern.kernel.vfs.machine import Caller

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
NAMED = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class HostSight(Inode):
    """A file, directory or link of the host, for one look. dir_fd: its parent's descriptor."""

    def __init__(self, fs: HostFs, dir_fd: int, name: str) -> None:
        """Find it. Errors: ENOENT and the host's; ENXIO: what the machine does not show."""
        self._fd, self._fs = -1, fs
        if fs.hides(dir_fd, name):
            raise SyscallError(errno.ENOENT)
        with host_errors():
            self._fd = leave_spare(os.open(name, NAMED, dir_fd=dir_fd))
            status = os.fstat(self._fd)
        if stat.S_IFMT(status.st_mode) not in KINDS:
            raise SyscallError(errno.ENXIO)
        super().__init__(fs.kernel, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        self.type_bits = stat.S_IFMT(status.st_mode)
        self.kind = KINDS[self.type_bits]
        self._status = status
        self.ino = status.st_ino
        take_status(self, status)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    @property
    def size(self) -> int:
        return self._status.st_size

    @property
    def blocks(self) -> int:
        return self._status.st_blocks

    def _opened(self, flags: int) -> int:
        return leave_spare(os.open(f"/proc/self/fd/{self._fd}", flags | os.O_CLOEXEC))

    def sight(self, name: str, task: Caller) -> Inode:
        return HostSight(self._fs, self._fd, name)

    def names(self, task: Caller) -> list[str]:
        with host_errors():
            fd = self._opened(os.O_RDONLY | os.O_DIRECTORY)
            try:
                return self._fs.names(fd)
            finally:
                os.close(fd)

    def readlink(self, task: Caller) -> str:
        """Return a link's target."""
        with host_errors():
            return os.readlink("", dir_fd=self._fd)

    def sight_at(self, pos: int, nbytes: int) -> bytes:
        with host_errors():
            fd = self._opened(os.O_RDONLY | os.O_NONBLOCK)
            try:
                return os.pread(fd, nbytes, pos)
            finally:
                os.close(fd)
