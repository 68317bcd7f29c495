"""`pkern run PROGRAM`: programs in machine code from the command line; shell.py runs one too.

Owns how the machine's root is filled and what is printed when the program has ended.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pkern.kernel.cpu.processor import ProcessorUnavailable
from pkern.kernel.cpu.scheduler import Deadlock, EngineError
from pkern.kernel.errors import KernelPanic, SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.signals import Signal
from pkern.kernel.tasks.task import Task
from pkern.kernel.tasks.tty import Terminal
from pkern.kernel.vfs.console import HostInput, Stream, host_sink
from pkern.kernel.vfs.hostfs import HostFs
from pkern.userland.cli.boot import boot
from pkern.userland.cli.ends import say_ended
from pkern.userland.cli.options import UsageError, existing
from pkern.userland.engine import CpuUnavailable
from pkern.userland.machine_code import (
    STDERR,
    STDIN,
    STDOUT,
    Stdio,
    boot_scheduler,
    bring_program,
    spawn_program,
)

if TYPE_CHECKING:
    from pkern.syscalls.strace.tracer import Tracer

FAILED, SIGNALLED = 1, 128
QUIET = {Signal.SIGINT, Signal.SIGPIPE}  # ends that a shell does not speak of
Emit = Callable[[str], object]


# ---- the machine's root ----


def _bring(kernel: Kernel, program: Path) -> None:
    """Copy a program of the host, and a script's interpreter, to the same paths of the machine."""
    try:
        bring_program(kernel, program)
    except SyscallError as error:
        why = f"{error.filename} does not fit into the machine's RAM: {error.strerror}"
        raise UsageError(why) from error


def fill_root(kernel: Kernel, name: str, root: str | None) -> str:
    """Make the machine's root and return the program's path in it.

    root: a host directory, or None for a root in memory that holds the host's program.
    """
    if root is not None:
        if not Path(root).is_dir():
            raise UsageError(f"'{root}' is not a directory of the host")
        kernel.vfs.set_root(HostFs(root))
        return name
    program = existing(name).absolute()
    _bring(kernel, program)
    return str(program)


# ---- descriptors ----


def _input(kernel: Kernel, data: bytes | None) -> Stream:
    return HostInput(kernel, STDIN) if data is None else Stream(kernel, data)


def host_descriptors(kernel: Kernel, data: bytes | None) -> Stdio:
    """Return the host's descriptors; its terminal stays one. data: what stdin holds instead."""
    if data is None and os.isatty(STDIN):
        terminal = Terminal(kernel, STDIN, host_sink(STDOUT))
        kernel.vfs.add_device("tty", terminal)
        out = terminal if os.isatty(STDOUT) else Stream(kernel, b"", host_sink(STDOUT))
        err = terminal if os.isatty(STDERR) else Stream(kernel, b"", host_sink(STDERR))
        return Stdio(terminal, out, err)
    return Stdio(
        _input(kernel, data),
        Stream(kernel, b"", host_sink(STDOUT)),
        Stream(kernel, b"", host_sink(STDERR)),
    )


# ---- running ----


class Job(NamedTuple):
    """What is to be run: the program's path in the machine, its arguments, user and rights."""

    path: str
    argv: list[str]
    uid: int
    caps: frozenset[str] | None = None
    cwd: str | None = None
    fail_nth: int = 0  # allocation of memory that fails, from the program's start


def _is_there(kernel: Kernel, path: str) -> bool:
    """Tell whether the machine has a file at a path."""
    assert kernel.tasks.init is not None
    try:
        kernel.vfs.resolve(kernel.tasks.init, path)
    except SyscallError:
        return False
    return True


def _tracer(emit: Emit) -> Tracer:
    """Return strace, whose tables are large and seldom wanted."""
    from pkern.syscalls.strace.tracer import Tracer

    return Tracer(emit)


def _start(kernel: Kernel, job: Job, stdio: Stdio, trace: Emit | None) -> Task | None:
    """Return the task that is about to run; None, with the reason said, if it cannot."""
    try:
        scheduler = boot_scheduler(kernel)
        tracer = _tracer(trace) if trace is not None else None
        if tracer is not None:
            tracer.attach(scheduler)
        task = spawn_program(
            kernel, job.path, job.argv, stdio=stdio, uid=job.uid, caps=job.caps, cwd=job.cwd
        )
    except (CpuUnavailable, ProcessorUnavailable) as error:
        raise UsageError(str(error)) from error
    except SyscallError as error:
        why = error.strerror
        if error.errno == errno.ENOENT and _is_there(kernel, job.path):
            why = "its loader is not on the machine (--root / shows the host's; static needs none)"
        print(f"pkern: cannot execute '{job.path}': {why}", file=sys.stderr)
        return None
    if tracer is not None:
        tracer.started(task, job.path)
    return task


def run_job(kernel: Kernel, job: Job, stdio: Stdio, trace: Emit | None = None) -> int:
    """Run and return the exit status as a shell gives it. trace: gets strace's lines."""
    task = _start(kernel, job, stdio, trace)
    if task is None:
        return FAILED
    assert kernel.scheduler is not None
    try:
        if isinstance(stdio.stdin, Terminal):
            stdio.stdin.control(task)
        kernel.fail_nth(job.fail_nth)
        kernel.scheduler.run(task)
    except KeyboardInterrupt:
        _interrupt(kernel)
        raise
    except (Deadlock, EngineError, KernelPanic) as error:
        print(f"pkern: {error}", file=sys.stderr)
        return FAILED
    finally:
        if isinstance(stdio.stdin, Terminal):
            stdio.stdin.restore()
    status = task.exit_status or 0
    if not status & 0x7F:
        return status >> 8
    if trace is None and status & 0x7F not in QUIET:
        say_ended(job.path, status & 0x7F)
    return SIGNALLED + (status & 0x7F)


def _interrupt(kernel: Kernel) -> None:
    """End the programs as the host's Ctrl-C ends those of the host."""
    for task in list(kernel.tasks.values()):
        if task.context is not None:
            task.die_of(Signal.SIGINT)


def _job(options: argparse.Namespace, kernel: Kernel, caps: frozenset[str] | None) -> Job:
    path = fill_root(kernel, options.file, options.root)
    cwd = None if options.root else os.getcwd()  # so that relative names mean the same
    argv = [options.file, *options.arguments]
    return Job(path, argv, options.uid, caps, cwd, options.fail_nth)


def run(options: argparse.Namespace, caps: frozenset[str] | None) -> int:
    """Run a program in machine code and return its exit status, 128+n for signal n."""
    if options.file == "--" and options.arguments:
        options.file, options.arguments = options.arguments[0], options.arguments[1:]
    if options.twice:
        return _run_twice(options, caps)
    with boot(options) as kernel:
        job, stdio = _job(options, kernel, caps), host_descriptors(kernel, None)
        status = run_job(kernel, job, stdio, _to_stderr if options.strace else None)
        if options.dmesg:
            print("\n".join(kernel.log.lines()))
    return status


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")  # in one piece, whenever Ctrl-C comes


# ---- the same run twice ----


class Record:
    """Everything that a run shows: what it wrote, its system calls, the kernel's log."""

    def __init__(self) -> None:
        self.status = 0
        self.output: list[tuple[int, bytes]] = []
        self.trace: list[str] = []
        self.log: list[str] = []

    def lines(self) -> list[str]:
        """Return all of it as lines of text."""
        written = [f"{fd}: {data!r}" for fd, data in self.output]
        return [f"status {self.status}", *written, *self.trace, *self.log]


def _recorded(options: argparse.Namespace, caps: frozenset[str] | None, stdin: bytes) -> Record:
    record = Record()
    with boot(options) as kernel:
        stdio = Stdio(
            Stream(kernel, stdin),
            Stream(kernel, b"", lambda data: record.output.append((STDOUT, data))),
            Stream(kernel, b"", lambda data: record.output.append((STDERR, data))),
        )
        record.status = run_job(kernel, _job(options, kernel, caps), stdio, record.trace.append)
        record.log = kernel.log.lines()
    return record


def _run_twice(options: argparse.Namespace, caps: frozenset[str] | None) -> int:
    """Run on two machines and compare all that they show; 1 if they differ."""
    stdin = b"" if os.isatty(STDIN) else sys.stdin.buffer.read()
    first, second = (_recorded(options, caps, stdin) for _ in range(2))
    for fd, data in first.output:
        host_sink(fd)(data)
    for shown, lines in ((options.strace, first.trace), (options.dmesg, first.log)):
        for line in lines if shown else ():
            _to_stderr(line)
    if first.lines() == second.lines():
        _to_stderr(f"both runs made the same {len(first.trace)} lines of trace")
        return first.status
    import difflib

    texts = first.lines(), second.lines()
    _to_stderr("\n".join(difflib.unified_diff(*texts, "first", "second", lineterm="")))
    return FAILED
