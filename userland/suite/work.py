"""One program on a booted machine, and all that came of it.

Owns what a case is given and what is kept of it. Runs in a branch's process or a worker; what it
returns is pickled.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signal.signames import Signal
from pkern.userland.given import Given, Layer
from pkern.userland.harness import (
    FAILED,
    SIGNALLED,
    Ending,
    run_to_end,
)
from pkern.userland.machine_code import boot_scheduler, bring_program, start_init
from pkern.userland.program import NoMain
from pkern.userland.shown import Bind, bind, show_root
from pkern.userland.suite.cases import Case, Kind

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel

NOT_EXECUTABLE = 126
KEPT_BYTES = 1 << 20  # of each output: the last


class Files(NamedTuple):
    """What of the host the machines show.

    here: the host's directory in which machine code begins that is given no other; None: at /.
    """

    root: str | None = None
    layer: Layer = Layer.READ_ONLY
    binds: tuple[Bind, ...] = ()
    here: str | None = None


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
    ending = _run(kernel, case, given, files, out, err)
    return Outcome(
        ending.status,
        ending.signal,
        ending.reason,
        out.kept(),
        err.kept(),
        tuple(record.line() for record in kernel.log.records(first)),
        kernel.clock.now_ns - began_ns,
        perf_counter() - started,
    )


def _run(kernel: Kernel, case: Case, given: Given, files: Files, out: _Tail, err: _Tail) -> Ending:
    try:
        path = _placed(kernel, case, files)
        usual = None if case.kind is Kind.PYTHON else files.here
        given = given._replace(argv=(path, *given.argv[1:]), cwd=given.cwd or usual)
        return run_to_end(kernel, path, given, out, err)
    except SyscallError as error:
        return Ending(NOT_EXECUTABLE, f"it cannot be executed: {error.strerror}")
    except NoMain as error:
        return Ending(FAILED, str(error))
    except KeyboardInterrupt:  # the program's own: the host's goes to the suite, which kills this
        return Ending(SIGNALLED + Signal.SIGINT)


def _placed(kernel: Kernel, case: Case, files: Files) -> str:
    """Return the path of a case's program where it is run. Errors: SyscallError."""
    if case.kind is Kind.PYTHON:
        return str(case.path)
    path = case.path.absolute()
    if files.root is None:
        bring_program(kernel, path)
        return str(path)
    return "/" + str(path.resolve().relative_to(Path(files.root).resolve()))
