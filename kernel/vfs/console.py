"""Standard input and output of programs in machine code: the host's, or bytes in memory.

Input that is not ready lets the task sleep; when no other task can run, the scheduler waits for
the host here. A terminal's settings are the host terminal's own: TCGETS and TCSETS go through.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from kernel.vfs.inode import POLLIN, POLLOUT, Inode
from kernel.wait import WouldBlock

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task
    from kernel.vfs.file import File

Sink = Callable[[bytes], object]
READ_MAX = 65536


def host_sink(fd: int) -> Sink:
    """Return a sink that writes everything to a descriptor of the host."""

    def write(data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]

    return write


class Stream(Inode):
    """A pipe-like end of the machine: reads take from `source`, writes go to a sink."""

    kind = "fifo"
    type_bits = stat.S_IFIFO

    def __init__(self, kernel: Kernel, source: bytes = b"", sink: Sink | None = None) -> None:
        super().__init__(kernel, 0o600)
        self.source = source
        self.sink = sink
        self._taken = 0

    def read(self, pos: int, nbytes: int) -> bytes:
        data = self.source[self._taken : self._taken + nbytes]
        self._taken += len(data)
        return data

    def write(self, pos: int, data: bytes, task: Task | None = None) -> int:
        if self.sink is None:
            raise SyscallError(errno.EBADF)
        self.sink(data)
        return len(data)

    def truncate(self, size: int) -> None:
        """Nothing to cut."""


class HostInput(Stream):
    """The host's standard input, which is no terminal: read when a program asks, in its turn."""

    def __init__(self, kernel: Kernel, fd: int) -> None:
        super().__init__(kernel)
        self.fd = fd

    def read(self, pos: int, nbytes: int) -> bytes:
        return os.read(self.fd, min(nbytes, READ_MAX))


class Terminal(Stream):
    """The host's terminal: a character device that tasks wait for."""

    kind = "chr"
    type_bits = stat.S_IFCHR

    def __init__(self, kernel: Kernel, fd: int, sink: Sink) -> None:
        super().__init__(kernel, sink=sink)
        self.fd = fd
        self.foreground = 0  # the process group that the terminal's signals go to
        self.session = 0
        self._settings = termios.tcgetattr(fd)

    def ready(self, seconds: float | None) -> bool:
        """Tell whether input waits, after seconds at most; None waits as long as it takes."""
        return bool(select.select([self.fd], [], [], seconds)[0])

    def read(self, pos: int, nbytes: int) -> bytes:
        if not self.ready(0):
            self.watch()
            raise WouldBlock(self)
        return os.read(self.fd, min(nbytes, READ_MAX))

    def poll(self, file: File) -> int:
        return POLLOUT | (POLLIN if self.ready(0) else 0)

    def watch(self) -> None:
        """Let the scheduler look at the host's terminal when no task can run."""
        if self.kernel.scheduler is not None:
            self.kernel.scheduler.wait_for_input(self, self._wait)

    def _wait(self, nanoseconds: int | None) -> None:
        if self.ready(None if nanoseconds is None else nanoseconds / 1e9):
            self.kernel.wake(self)

    def restore(self) -> None:
        """Give the host's terminal the settings back that it had at first."""
        termios.tcsetattr(self.fd, termios.TCSADRAIN, self._settings)
