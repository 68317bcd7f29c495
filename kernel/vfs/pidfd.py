"""pidfd: a process as an open file. It can be polled for its end, and names it for other calls.

One inode a process, kept by its task while any descriptor is open; a later process with the same
pid has another one.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from pkern.kernel.vfs.file import File
from pkern.kernel.vfs.inode import POLLIN, POLLRDNORM, Inode
from pkern.kernel.vfs.machine import Machine
from pkern.kernel.vfs.pipe import POLLHUP


class Subject(Protocol):
    """The process: its number, whether it runs, and whether its end has been waited for."""

    pid: int

    @property
    def alive(self) -> bool: ...
    @property
    def is_reaped(self) -> bool: ...


class PidInode(Inode):
    """A process. readable once it has ended, and hung up once it has been waited for."""

    kind = "pidfd"
    can_epoll = True
    type_bits = 0
    also_ready: ClassVar[dict[int, int]] = {POLLIN: POLLRDNORM}

    def __init__(self, kernel: Machine, subject: Subject) -> None:
        super().__init__(kernel, 0o700)
        self.subject = subject

    def fdinfo(self) -> str:
        """What /proc/PID/fdinfo adds: -1 once the process is gone."""
        pid = -1 if self.subject.is_reaped else self.subject.pid
        return f"Pid:\t{pid}\nNSpid:\t{pid}\n"

    def poll(self, file: File) -> int:
        if self.subject.alive:
            return 0
        return POLLIN | (POLLHUP if self.subject.is_reaped else 0)
