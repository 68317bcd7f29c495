"""The same run twice: two machines, and all that they show compared (--twice)."""

from __future__ import annotations

import os
import sys

from pkern.kernel.numbers import counted
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.console import FileInput, Stream, host_can_epoll, write_all
from pkern.userland.cli.boot import boot
from pkern.userland.cli.ends import FAILED
from pkern.userland.cli.options import UsageError, contents, write_result
from pkern.userland.cli.program.elf_command import fill, run_job
from pkern.userland.cli.program.run import style, traced
from pkern.userland.cli.program.shared import (
    injecting,
    show_stacks,
    to_stderr,
)
from pkern.userland.machine_code import (
    STDERR,
    STDIN,
    STDOUT,
    Stdio,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from pkern.kernel.machine import Kernel


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


def _recorded(options: argparse.Namespace, stdin: Callable[[Kernel], Stream]) -> Record:
    from pkern.syscalls.strace.tracer import Tracer

    record = Record()
    with boot(options) as kernel:
        stdio = Stdio(
            stdin(kernel),
            Stream(kernel, b"", lambda data: record.output.append((STDOUT, data))),
            Stream(kernel, b"", lambda data: record.output.append((STDERR, data))),
        )
        path, asked = fill(kernel, options)
        tracer = Tracer(record.trace.append, style(options))
        show_stacks(kernel, tracer, options)
        injector = injecting(tracer, options)
        record.status = run_job(kernel, path, asked, stdio, tracer, options.json, injector=injector)
        record.log = kernel.log.lines()
    return record


def read_before(options: argparse.Namespace) -> Callable[[Kernel], Stream]:
    """Read standard input to its end; return what makes an input of it, which polls like it."""
    kind: type[Stream] = FileInput
    if options.stdin is not None:
        data = contents(options.stdin)
    elif os.isatty(STDIN):
        data, kind = b"", Stream
    else:
        kind = Stream if host_can_epoll(STDIN) else FileInput
        data = sys.stdin.buffer.read()
    return lambda kernel: kind(kernel, data)


def run_twice(options: argparse.Namespace) -> int:
    """Run on two machines and compare all that they show; 1 if they differ."""
    options_of_one = (
        ("--wall", options.wall),
        ("-c", options.summary),
        ("--mount", options.mount),
        ("--events", options.events),
        ("-E", options.globs),
    )
    for option, asked in options_of_one:
        if asked:
            raise UsageError(f"{option} and --twice: two runs are compared call by call")
    stdin = read_before(options)
    first, second = (_recorded(options, stdin) for _ in range(2))
    for fd, data in first.output:
        write_all(fd, data)
    if options.output:
        write_result(options.output, "\n".join([*first.trace, ""]))
    elif traced(options):
        to_stderr("\n".join(first.trace))
    for line in first.log if options.dmesg else ():
        to_stderr(line)
    if first.lines() == second.lines():
        to_stderr(f"both runs made the same {counted(len(first.trace), 'line')} of trace")
        return first.status
    import difflib

    texts = first.lines(), second.lines()
    to_stderr("\n".join(difflib.unified_diff(*texts, "first", "second", lineterm="")))
    return FAILED
