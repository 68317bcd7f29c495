"""What the runs of both kinds of program share: --bind and strace's output."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pkern.userland.cli.options import UsageError
from pkern.userland.cli.run import style, traced
from pkern.userland.given import NotGiven, bind, read_bind

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.syscalls.strace.tracer import Tracer


def show_binds(kernel: Kernel, texts: list[str]) -> None:
    """Show the host directories that --bind names. Errors: UsageError."""
    try:
        for text in texts:
            bind(kernel, read_bind(text))
    except NotGiven as error:
        raise UsageError(f"--bind: {error}") from error


@contextlib.contextmanager
def tracing(options: argparse.Namespace) -> Iterator[Tracer | None]:
    """Give the tracer that the options ask for; its summary comes when it is no longer used."""
    if not traced(options):
        yield None
        return
    from pkern.syscalls.strace.tracer import Output, Tracer

    with contextlib.ExitStack() as stack:
        file = sys.stderr
        if options.output:
            file = stack.enter_context(open(options.output, "w", encoding="utf-8"))
        tracer = Tracer(lambda line: file.write(line + "\n"), style(options))
        try:
            yield tracer
        finally:
            if tracer.style.output is Output.SUMMARY:
                print("\n".join(tracer.summary()), file=file)
