"""One program on a machine, from its start to its end, with its output kept.

Owns the harness of whoever runs a program many times and compares the ends: sweeps, explorations.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pkern.kernel.clock import TimeIsUp
from pkern.kernel.errors import KernelPanic
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.signames import Signal
from pkern.userland.failures import own_traceback, status_of
from pkern.userland.given import Given
from pkern.userland.machine_code import captured, run_in_time, start_program
from pkern.userland.sweep.ends import End, left_behind

if TYPE_CHECKING:
    from pkern.kernel.cpu.scheduler import Scheduler

SIGNALLED, FAILED = 128, 1


class EndlessRun(RuntimeError):
    """A changer has had enough of a program: it does not end."""


class NoEnd(RuntimeError):
    """A program does not come to an end of its own where nothing is changed; the text says why."""


class Changer(Protocol):
    """Who changes what a program's calls do, or in which order its tasks run."""

    def attach(self, scheduler: Scheduler) -> None: ...
    def python_call(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]: ...


class Program:
    """A program that is about to run on a machine, with its output kept."""

    def __init__(self, kernel: Kernel, path: str, given: Given) -> None:
        self._kernel = kernel
        self._path = path
        self._given = given
        self._out, self._err = bytearray(), bytearray()

    def run(self, changer: Changer) -> End:
        """Run it to its end; what becomes of its calls is the changer's."""
        if self._path.endswith(".py"):
            return self._run_python(changer)
        return self._run_machine_code(changer)

    def _run_machine_code(self, changer: Changer) -> End:
        from pkern.kernel.cpu.scheduler import Deadlock, EngineError

        reason = None
        stdio = captured(self._kernel, b"", self._out.extend, self._err.extend)
        task = start_program(self._kernel, self._path, self._given, stdio)
        assert self._kernel.scheduler is not None
        changer.attach(self._kernel.scheduler)
        try:
            if not run_in_time(self._kernel.scheduler, task, self._given.timeout_ns):
                reason = "its virtual time is up"
        except (Deadlock, EndlessRun, EngineError, KernelPanic) as error:
            reason = str(error)
        status = task.exit_status or 0
        return self._ended(SIGNALLED + (status & 0x7F) if status & 0x7F else status >> 8, reason)

    def _run_python(self, changer: Changer) -> End:
        from pkern.userland.program import NoMain, load_program, new_task, run_main

        out, err = io.StringIO(), io.StringIO()
        status, reason = FAILED, None
        with redirect_stdout(out), redirect_stderr(err):
            task = new_task(self._kernel, self._given)
            try:
                main = load_program(Path(self._path))
                status = run_main(task, main, self._given, injector=changer, on_fault=_show)
            except TimeIsUp:
                reason = "its virtual time is up"
            except KernelPanic as error:
                reason = str(error)
            except SystemExit as leaving:
                status, text = status_of(leaving)
                sys.stderr.write(text)
            except NoMain:
                raise
            except Exception as error:
                sys.stderr.write(own_traceback(error))
        self._out += out.getvalue().encode(errors="surrogateescape")
        self._err += err.getvalue().encode(errors="surrogateescape")
        return self._ended(status, reason)

    def _ended(self, status: int, reason: str | None) -> End:
        if reason is not None:
            status, reason = FAILED, " ".join(reason.split())
        signal = Signal(status - SIGNALLED).name if status > SIGNALLED else None
        left = left_behind(self._kernel)
        return End(status, signal, reason, bytes(self._out), bytes(self._err), left)


def _show(error: BaseException) -> None:
    sys.stderr.write(own_traceback(error))
