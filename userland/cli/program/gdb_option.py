"""`pkern run --gdb PORT|-`: where the debugger comes in, and what the program's descriptors are.

Owns where the debugger is listened for: a port of 127.0.0.1, or standard input and output, which
are the protocol's then; the program's output goes to standard error and its input is empty.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pkern.kernel.branch import NotBranchable
from pkern.kernel.numbers import is_decimal
from pkern.kernel.vfs.console import FileInput, Stream, host_sink
from pkern.userland.cli.options import UsageError
from pkern.userland.debugger.control import Debugger
from pkern.userland.debugger.history import History, Shown
from pkern.userland.debugger.input import DebuggedInput
from pkern.userland.debugger.packets import Connection, accept, listen
from pkern.userland.machine_code import STDERR, STDIN, STDOUT, Stdio

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task

PIPE = "-"
MOST_PORT = 65535


class Door:
    """Where a debugger comes in. text: PORT or -; one_way: why there is no way back, if not."""

    def __init__(self, text: str, one_way: str = "") -> None:
        """Read the option. Errors: UsageError."""
        if text != PIPE and not (is_decimal(text) and int(text) <= MOST_PORT):
            raise UsageError(f"--gdb takes a port, 0 to {MOST_PORT}, or - for a pipe, not '{text}'")
        self._text = text
        self._one_way = one_way
        self._shown = Shown()
        self.debugger: Debugger | None = None

    def descriptors(self, kernel: Kernel, data: bytes | None) -> Stdio:
        """Return what the program has for descriptors 0, 1 and 2. data: stdin's, if given."""
        out = STDERR if self._text == PIPE else STDOUT
        sinks = [Stream(kernel, b"", self._shown.once(host_sink(fd))) for fd in (out, STDERR)]
        if data is not None or self._text == PIPE:
            return Stdio(FileInput(kernel, data or b""), sinks[0], sinks[1])
        return Stdio(DebuggedInput(kernel, STDIN), sinks[0], sinks[1])

    def begin(self, kernel: Kernel, task: Task, stdio: Stdio) -> None:
        """Wait for the debugger, and let it look at the program. Errors: UsageError."""
        self.debugger = Debugger(kernel, self._connection(), self._history(kernel), self._shown)
        if isinstance(stdio.stdin, DebuggedInput):
            stdio.stdin.debugger = self.debugger
        self.debugger.begin(task)

    def _connection(self) -> Connection:
        if self._text == PIPE:
            return Connection(os.dup(STDIN), os.dup(STDOUT))
        try:
            listener = listen(int(self._text))
        except OSError as error:
            raise UsageError(f"--gdb {self._text}: {error.strerror}") from error
        port = listener.getsockname()[1]
        print(f"pkern: gdb is waited for: target remote :{port}", file=sys.stderr, flush=True)
        return accept(listener)

    def finish(self) -> None:
        """Let the debugger go when the program has ended."""
        if self.debugger is not None:
            self.debugger.finish()

    def tell_end(self, status: int) -> None:
        """Let the process that the shell waits for end so, if it is another one."""
        if self.debugger is not None and self.debugger.history is not None:
            self.debugger.history.tell_end(status)

    def _history(self, kernel: Kernel) -> History | None:
        """Return a history, if there can be one."""
        try:
            if self._one_way:
                raise NotBranchable(self._one_way)
            return History(kernel)
        except NotBranchable as error:
            print(f"pkern: there is no way back: {error}", file=sys.stderr)
            return None
