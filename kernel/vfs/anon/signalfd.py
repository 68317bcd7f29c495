"""signalfd: signals that wait are read as structures.

Whose signals: those of the task that reads or polls, not of the one that made the file. A Python
program reads those of the task that opened it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.inode import MAY_READ, POLLIN, UNWRITTEN, AnonInode
from pkern.kernel.vfs.readiness import Wait, waits, wake
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Machine

RECORD_BYTES = 128


class Waiting(Protocol):
    """Signals that wait for a task."""

    def pending_mask(self) -> int: ...
    def take(self, among: int | None = None) -> Any: ...


class Reader(Protocol):
    """A task whose signals are read."""

    @property
    def group(self) -> Hashable: ...
    @property
    def signals(self) -> Waiting: ...


class SignalInode(AnonInode):
    """A set of signals. pack: makes struct signalfd_siginfo of what signals.take() gives."""

    lacks = UNWRITTEN
    also_ready: ClassVar[dict[int, int]] = {}
    can_nowait = MAY_READ

    def __init__(self, kernel: Machine, maker: Reader, mask: int, pack: Callable[[Any], bytes]):
        super().__init__(kernel, 0o600)
        self._maker = maker
        self.mask = mask
        self._pack = pack

    def set(self, mask: int) -> None:
        """Read other signals from now on."""
        self.mask = mask
        wake(self)
        self.kernel.wake(self.wait_key)

    def _reader(self) -> Reader:
        running: Any = self.kernel.memory.running()
        return self._maker if running is None else running

    def fdinfo(self, pid_ns: PidNamespace) -> str:
        return f"sigmask:\t{self.mask:016x}\n"

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        """Take as many signals as there is room for. Errors: EINVAL (for none), EAGAIN."""
        room = nbytes // RECORD_BYTES
        if not room:
            raise SyscallError(errno.EINVAL)
        signals, data = self._reader().signals, b""
        while room and (taken := signals.take(self.mask)) is not None:
            data += self._pack(taken)
            room -= 1
        if not data:
            if waits(file) is Wait.NEVER:
                raise SyscallError(errno.EAGAIN)
            raise WouldBlock(self.wait_key)
        return data

    def unread(self, data: bytes, done: int) -> int:
        return done - done % RECORD_BYTES

    def poll(self, file: File) -> int:
        return POLLIN if self._reader().signals.pending_mask() & self.mask else 0

    def is_silent(self) -> bool:
        return True  # the scheduler wakes by signal, not by file

    @property
    def wait_key(self) -> Hashable:
        return "signal", self._reader().group
