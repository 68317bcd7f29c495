"""Standard input of a debugged program: the host's, while the debugger may interrupt.

What was read is kept, for a machine that runs again.
"""

from __future__ import annotations

import errno
import os
import select
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError, host_errors
from pkern.kernel.vfs.console import READ_MAX, Stream
from pkern.userland.debugger.history import Tape

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.userland.debugger.control import Debugger


class DebuggedInput(Stream):
    """The host's standard input, read when a program asks, in its turn."""

    def __init__(self, kernel: Kernel, fd: int) -> None:
        super().__init__(kernel)
        self._fd = fd
        self._tape = Tape()
        self.debugger: Debugger | None = None

    def read(self, pos: int, nbytes: int) -> bytes:
        data = self._tape.read(nbytes)
        if data is None:
            data = self._read_host(nbytes)
            self._tape.write(data)
        return data

    def _read_host(self, nbytes: int) -> bytes:
        with host_errors():
            while self.debugger is not None and self.debugger.is_on:
                if self._fd in _ready(self._fd, self.debugger.connection.fileno()):
                    break
                self._look(self.debugger)
            return os.read(self._fd, min(nbytes, READ_MAX))

    def _look(self, debugger: Debugger) -> None:
        """Let the debugger interrupt. Errors: EINTR: it has killed who reads."""
        task = debugger.scheduler.running
        debugger.look(task)
        if task is not None and not task.alive:
            raise SyscallError(errno.EINTR)


def _ready(*fds: int) -> list[Any]:
    return select.select(fds, [], [])[0]
