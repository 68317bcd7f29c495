"""Standard input and output of programs in machine code: the host's, or bytes in memory.

A terminal is kernel/tty/host.py's.
"""

from __future__ import annotations

import errno
import os
import stat

from pkern.kernel.errors import SyscallError, host_errors
from pkern.kernel.late import load
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.vfs.inode import Inode
from pkern.kernel.wait import outside

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine
    from pkern.kernel.visits import Visits

Sink = Callable[[bytes], object]
READ_MAX = 65536


def write_all(fd: int, data: bytes) -> None:
    """Write everything to a descriptor of the host. Errors: OSError of the host."""
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def host_sink(fd: int, visits: Visits | None = None) -> Sink:
    """Return a sink that writes everything to a descriptor of the host.

    What the host says against it is the program's error: EPIPE, and so SIGPIPE, where nobody reads.
    visits: who may come in while the host takes its time.
    """

    def write(data: bytes) -> None:
        with host_errors():
            write_all(fd, data)

    def write_outside(data: bytes) -> None:
        with outside(visits):
            write(data)

    return write if visits is None else write_outside


class Stream(Inode):
    """A pipe-like end of the machine: reads take from `source`, writes go to a sink."""

    kind = "fifo"
    can_epoll = True
    type_bits = stat.S_IFIFO

    def __init__(self, kernel: Machine, source: bytes = b"", sink: Sink | None = None) -> None:
        super().__init__(kernel, 0o600)
        self.source = source
        self.sink = sink
        self._taken = 0

    def read(self, pos: int, nbytes: int) -> bytes:
        data = self.source[self._taken : self._taken + nbytes]
        self._taken += len(data)
        return data

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        if self.sink is None:
            raise SyscallError(errno.EBADF)
        self.sink(data)
        return len(data)

    def truncate(self, size: int) -> None:
        """Nothing to cut."""

    def control(self, task: Any) -> None:
        """Be the terminal of a task's session, if it is one."""

    def restore(self) -> None:
        """Give the host back what it had before."""


class FileInput(Stream):
    """What a plain file or a null device of the host held, which epoll refuses to wait for."""

    can_epoll = False


def host_can_epoll(fd: int) -> bool:
    """Tell whether the host's epoll takes a descriptor: not of a plain file or /dev/null, say."""
    with load("select").epoll() as epoll:
        try:
            epoll.register(fd)
        except OSError:
            return False
    return True


class HostInput(Stream):
    """The host's standard input, which is no terminal: read when a program asks, in its turn."""

    def __init__(self, kernel: Machine, fd: int) -> None:
        super().__init__(kernel)
        self.fd = fd

    @property
    def can_epoll(self) -> bool:  # type: ignore[override]
        """As what the host has there."""
        return host_can_epoll(self.fd)

    def read(self, pos: int, nbytes: int) -> bytes:
        scheduler = self.kernel.scheduler
        if scheduler is None:
            return self._read(nbytes)
        scheduler.idle.waits_for_host = True
        try:
            return self._read(nbytes)
        finally:
            scheduler.idle.waits_for_host = False

    def _read(self, nbytes: int) -> bytes:
        with host_errors(), outside(self.kernel.visits):
            return os.read(self.fd, min(nbytes, READ_MAX))
