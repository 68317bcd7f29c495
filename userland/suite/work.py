"""One program in its branch of a booted machine, and all that came of it.

Owns what a case is given and what is kept of it. Runs in the branch's process; what it returns is
pickled.
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from pkern.kernel.clock import TimeIsUp
from pkern.kernel.errors import KernelPanic, MemoryFault, SyscallError
from pkern.kernel.tasks.signames import Signal
from pkern.syscalls import TABLE
from pkern.userland.failures import own_traceback, status_of
from pkern.userland.given import Given, Layer
from pkern.userland.machine_code import (
    boot_scheduler,
    bring_program,
    captured,
    run_in_time,
    start_init,
    start_program,
)
from pkern.userland.shown import Bind, bind, show_root
from pkern.userland.suite.cases import Case, Kind

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel

SIGNALLED, TIME_IS_UP, NOT_EXECUTABLE, FAILED = 128, 124, 126, 1
KEPT_BYTES = 1 << 20  # of each output: the last


class Files(NamedTuple):
    """What of the host the machines show."""

    root: str | None = None
    layer: Layer = Layer.READ_ONLY
    binds: tuple[Bind, ...] = ()


class Outcome(NamedTuple):
    """How a program ended. status: as a shell has it; reason: in words, where it is not its own.

    out, err: the last MiB of each. virtual_ns: of the machine's time; seconds: of the host's.
    """

    status: int
    signal: str | None
    reason: str | None
    out: bytes
    err: bytes
    log: tuple[str, ...]
    virtual_ns: int
    seconds: float


def prepare(kernel: Kernel, files: Files) -> None:
    """Do to a machine what all its branches would do first. Errors: NotGiven, CpuUnavailable."""
    for call in TABLE.values():
        assert call  # imported now, not by each branch
    boot_scheduler(kernel)
    start_init(kernel)
    if files.root is not None:
        show_root(kernel, files.root, files.layer)
    for asked in files.binds:
        bind(kernel, asked)


class _Tail:
    """A sink that keeps the end of what it gets."""

    def __init__(self) -> None:
        self._data = bytearray()

    def __call__(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > 2 * KEPT_BYTES:
            del self._data[:-KEPT_BYTES]

    def kept(self) -> bytes:
        return bytes(self._data[-KEPT_BYTES:])


def run_case(kernel: Kernel, case: Case, given: Given, files: Files) -> Outcome:
    """Run a program to its end on a machine that is no one else's."""
    started, first = perf_counter(), kernel.log.written
    began_ns = kernel.clock.now_ns
    out, err = _Tail(), _Tail()
    run = _run_machine_code if case.kind is Kind.MACHINE_CODE else _run_python
    status, reason = run(kernel, case, given, files, out, err)
    return Outcome(
        status,
        Signal(status - SIGNALLED).name if status > SIGNALLED else None,
        reason,
        out.kept(),
        err.kept(),
        tuple(record.line() for record in kernel.log.records(first)),
        kernel.clock.now_ns - began_ns,
        perf_counter() - started,
    )


Ending = tuple[int, str | None]


def _run_machine_code(
    kernel: Kernel, case: Case, given: Given, files: Files, out: _Tail, err: _Tail
) -> Ending:
    from pkern.kernel.cpu.scheduler import Deadlock, EngineError

    path = str(case.path.absolute())
    try:
        if files.root is None:
            bring_program(kernel, Path(path))
        else:
            path = _inside(path, files.root)
        stdio = captured(kernel, b"", out, err)
        task = start_program(kernel, path, given._replace(argv=(path, *given.argv[1:])), stdio)
    except SyscallError as error:
        return NOT_EXECUTABLE, f"it cannot be executed: {error.strerror}"
    assert kernel.scheduler is not None
    try:
        if not run_in_time(kernel.scheduler, task, given.timeout_ns):
            return TIME_IS_UP, "its virtual time is up"
    except (Deadlock, EngineError, KernelPanic) as error:
        return FAILED, str(error)
    status = task.exit_status or 0
    return SIGNALLED + (status & 0x7F) if status & 0x7F else status >> 8 & 0xFF, None


def _inside(path: str, root: str) -> str:
    """Return the path that a file of the host has below a root. Errors: as relative_to."""
    return "/" + str(Path(path).resolve().relative_to(Path(root).resolve()))


def _run_python(
    kernel: Kernel, case: Case, given: Given, _: Files, out: _Tail, err: _Tail
) -> Ending:
    from pkern.userland.program import NoMain, load_program, new_task, run_main

    told, complaints = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(told), redirect_stderr(complaints):
            main = load_program(case.path)
            asked = given._replace(argv=(str(case.path), *given.argv[1:]))
            ending: Ending = run_main(new_task(kernel, asked), main, asked, on_fault=_show), None
    except NoMain as error:
        ending = FAILED, str(error)
    except TimeIsUp:
        ending = TIME_IS_UP, "its virtual time is up"
    except KernelPanic as error:
        ending = FAILED, str(error)
    except SystemExit as leaving:
        status, text = status_of(leaving)
        complaints.write(text)
        ending = status, None
    except KeyboardInterrupt:
        ending = SIGNALLED + Signal.SIGINT, None
    except Exception as error:
        complaints.write(own_traceback(error))
        ending = FAILED, None
    out(told.getvalue().encode(errors="surrogateescape"))
    err(complaints.getvalue().encode(errors="surrogateescape"))
    return ending


def _show(fault: MemoryFault) -> None:
    sys.stderr.write(own_traceback(fault))
