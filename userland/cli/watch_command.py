"""How `pkern watch` runs a program and draws its machine meanwhile."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

from pkern.kernel.vfs.console import Stream
from pkern.userland.cli import elf_command
from pkern.userland.cli.boot import boot
from pkern.userland.cli.ends import show_failure
from pkern.userland.cli.options import UsageError, current_directory, existing
from pkern.userland.cli.run import check_files, command_line, given_to
from pkern.userland.cli.shared import layer_of, show_binds, show_host_root
from pkern.userland.given import NotGiven
from pkern.userland.harness import is_python
from pkern.userland.inspect.stops import ENDS, Place, Stop
from pkern.userland.machine_code import Stdio
from pkern.userland.program import NoMain, call_main, load_program, new_task, run_main
from pkern.userland.view.live import Watcher, drawn, watching

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.userland.program import Sys


class Output(io.StringIO):
    """What a program in Python prints, as bytes that the picture shows."""

    def __init__(self, data: bytearray) -> None:
        super().__init__()
        self._data = data

    def write(self, text: str) -> int:
        """Keep a text."""
        self._data += text.encode(errors="replace")
        return len(text)


def run(options: argparse.Namespace) -> int:
    """Run, draw, and return the exit status. Errors: UsageError."""
    check_files(options)
    try:
        from rich.console import Console
    except ImportError as error:
        raise UsageError("pkern watch needs rich: pip install '.[pretty]'") from error
    data = bytearray()
    with boot(options) as kernel:
        watcher = Watcher(kernel, command_line(options), data)
        stop = Stop(Place(ENDS), lambda task: watcher.look_last())
        run_it = _run_python if is_python(options.file) else _run_elf
        terminal = sys.stdout.isatty()
        status = run_it(
            kernel,
            options,
            stop,
            data,
            lambda: watching(kernel, watcher, options.every) if terminal else nullcontext(),
        )
    if watcher.end is not None and not terminal:
        Console().print(drawn(watcher.end))
    return status


Watching = Callable[[], AbstractContextManager[None]]


def _run_elf(
    kernel: Kernel, options: argparse.Namespace, stop: Stop, data: bytearray, watched: Watching
) -> int:
    path = elf_command.fill_root(kernel, options.file, options.root, layer_of(options))
    show_binds(kernel, options.bind)
    here = None if options.root is not None else current_directory()
    asked = given_to((options.file, *options.arguments), options, options.cwd or here)
    out = Stream(kernel, b"", data.extend)
    stdio = Stdio(Stream(kernel, b""), out, out)
    with watched():
        return elf_command.run_job(kernel, path, asked, stdio, injector=stop)


def _run_python(
    kernel: Kernel, options: argparse.Namespace, stop: Stop, data: bytearray, watched: Watching
) -> int:
    try:
        program = load_program(existing(options.file))
        show_host_root(kernel, options.root, layer_of(options))
        show_binds(kernel, options.bind)
        asked = given_to((options.file, *options.arguments), options, None)
        task = new_task(kernel, asked)
    except (NoMain, NotGiven) as error:
        raise UsageError(str(error)) from error

    def main(sys: Sys, argv: list[str]) -> Any:
        try:
            with redirect_stdout(Output(data)):
                return call_main(program, sys, argv)
        finally:
            if task.alive:
                stop.end(task)

    try:
        with watched():
            return run_main(task, main, asked, injector=stop, on_fault=show_failure)
    except NoMain as error:
        raise UsageError(str(error)) from error
