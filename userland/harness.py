"""One program on a machine, from its start to its end, with what it wrote and how it ended.

Owns the harness of whoever runs many: suites, sweeps, explorations. It runs in a branch, where
nobody else writes to the process's own output.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pkern.kernel.clock import TimeIsUp
from pkern.kernel.cpu.scheduler import EngineError, Scheduler
from pkern.kernel.errors import Deadlock, KernelPanic
from pkern.kernel.tasks.signal.signames import Signal
from pkern.syscalls import TABLE
from pkern.userland.failures import own_traceback, status_of
from pkern.userland.given import Given
from pkern.userland.machine_code import captured, run_in_time, start_program

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.vfs.console import Sink

SIGNALLED, TIME_IS_UP, FAILED = 128, 124, 1
LATE = "its virtual time is up"


class EndlessRun(RuntimeError):
    """A changer has had enough of a program: it does not end."""


class NoEnd(RuntimeError):
    """A program does not come to an end of its own where nothing is changed; the text says why."""


class Ending(NamedTuple):
    """How a program ended. status: as a shell has it; reason: in words, where it is not its own."""

    status: int
    reason: str | None = None

    @property
    def signal(self) -> str | None:
        """The name of the signal that ended it."""
        return Signal(self.status - SIGNALLED).name if self.status > SIGNALLED else None


class Changer(Protocol):
    """Who changes what a program's calls do, or in which order its tasks run."""

    def attach(self, scheduler: Scheduler) -> None: ...
    def python_call(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]: ...


def import_all_calls() -> None:
    """Import every system call's handler, so that no branch has to."""
    for call in TABLE.values():
        assert call


def is_python(path: str) -> bool:
    """Tell whether a program's path is that of one in Python, a file of the host."""
    return path.endswith(".py")


def run_to_end(
    kernel: Kernel, path: str, given: Given, out: Sink, err: Sink, changer: Changer | None = None
) -> Ending:
    """Run a program to its end; its output goes to out and err, its input is empty.

    path: of the machine, or of the host for a program in Python. Errors: SyscallError where it
    cannot be executed; NoMain for a file that is no program.
    """
    run = _run_python if is_python(path) else _run_machine_code
    return run(kernel, path, given, out, err, changer)


def _run_machine_code(
    kernel: Kernel, path: str, given: Given, out: Sink, err: Sink, changer: Changer | None
) -> Ending:
    task = start_program(kernel, path, given, captured(kernel, b"", out, err))
    assert kernel.scheduler is not None
    if changer is not None:
        changer.attach(kernel.scheduler)
    try:
        if not run_in_time(kernel.scheduler, task, given.timeout_ns):
            return Ending(TIME_IS_UP, LATE)
    except (Deadlock, EndlessRun, EngineError, KernelPanic) as error:
        return Ending(FAILED, " ".join(str(error).split()))
    status = task.exit_status or 0
    return Ending(SIGNALLED + (status & 0x7F) if status & 0x7F else status >> 8)


def _run_python(
    kernel: Kernel, path: str, given: Given, out: Sink, err: Sink, changer: Changer | None
) -> Ending:
    told, complaints = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(told), redirect_stderr(complaints):
            return _run_main(kernel, path, given, changer)
    finally:
        out(told.getvalue().encode(errors="surrogateescape"))
        err(complaints.getvalue().encode(errors="surrogateescape"))


def _run_main(kernel: Kernel, path: str, given: Given, changer: Changer | None) -> Ending:
    from pkern.userland.program import NoMain, load_program, new_task, run_main

    try:
        task, main = new_task(kernel, given), load_program(Path(path))
        return Ending(run_main(task, main, given, injector=changer, on_fault=_show))
    except TimeIsUp:
        return Ending(TIME_IS_UP, LATE)
    except (EndlessRun, KernelPanic) as error:
        return Ending(FAILED, str(error))
    except SystemExit as leaving:
        status, text = status_of(leaving)
        sys.stderr.write(text)
        return Ending(status)
    except NoMain:
        raise
    except Exception as error:
        _show(error)
        return Ending(FAILED)


def _show(error: BaseException) -> None:
    sys.stderr.write(own_traceback(error))
