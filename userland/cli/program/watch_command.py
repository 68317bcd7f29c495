"""How `pkern watch` runs a program and draws its machine meanwhile."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any

from pkern.kernel.vfs.console import Stream
from pkern.userland.cli.boot import boot
from pkern.userland.cli.options import UsageError
from pkern.userland.cli.program.looked_at import run_looked_at
from pkern.userland.cli.program.run import check_files, command_line
from pkern.userland.inspect.stops import ENDS, Place, Stop
from pkern.userland.machine_code import Stdio
from pkern.userland.program import call_main
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
        live = watching(kernel, watcher, options.every) if sys.stdout.isatty() else nullcontext()
        with live:
            status = run_looked_at(
                kernel, options, stop, lambda: _captured(kernel, data), partial(_call_main, data)
            )
    if watcher.end is not None and not sys.stdout.isatty():
        Console().print(drawn(watcher.end))
    return status


def _captured(kernel: Kernel, data: bytearray) -> Stdio:
    out = Stream(kernel, b"", data.extend)
    return Stdio(Stream(kernel, b""), out, out)


def _call_main(data: bytearray, main: Callable[..., Any], sys: Sys, argv: list[str]) -> Any:
    # The picture goes on being drawn on the terminal.
    with redirect_stdout(Output(data)):
        return call_main(main, sys, argv)
