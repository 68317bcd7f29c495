"""A program that is run for who looks at its machine: pkern inspect, pkern watch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkern.kernel.clock import TimeIsUp
from pkern.kernel.errors import KernelBug, KernelPanic, SyscallError
from pkern.userland.cli.ends import Ending, show_failure
from pkern.userland.cli.options import UsageError
from pkern.userland.cli.program import elf_command
from pkern.userland.cli.program.run import given_to, program_file
from pkern.userland.cli.program.shared import layer_of, show_binds, show_host_root
from pkern.userland.given import NotGiven
from pkern.userland.harness import is_python
from pkern.userland.inspect.words import BadQuestion
from pkern.userland.program import NoMain, call_main, load_program, new_task, run_main

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.userland.inspect.stops import Stop
    from pkern.userland.machine_code import Stdio
    from pkern.userland.program import Sys

Call = Callable[..., Any]  # as call_main


def run_looked_at(
    kernel: Kernel,
    options: argparse.Namespace,
    stop: Stop,
    descriptors: Callable[[], Stdio],
    call: Call = call_main,
) -> int:
    """Run the program that the options name, and stop where that is asked; return its status.

    descriptors: makes those of one in machine code. call: calls the main of one in Python.
    Errors: UsageError.
    """
    if is_python(options.file):
        return _run_python(kernel, options, stop, call)
    path = elf_command.fill_root(kernel, options.file, options.root, layer_of(options))
    show_binds(kernel, options.bind)
    here = elf_command.here(options.root)
    asked = given_to((options.file, *options.arguments), options, here)
    stdio = descriptors()
    started = elf_command.start(kernel, path, asked, stdio, injector=stop)
    if isinstance(started, Ending):
        raise UsageError(str(started.reason), started.status)
    return elf_command.run_started(kernel, started, asked, stdio)


def _run_python(kernel: Kernel, options: argparse.Namespace, stop: Stop, call: Call) -> int:
    try:
        program = load_program(Path(program_file(options.file)))
    except NoMain as error:
        raise UsageError(str(error)) from error
    except Exception as error:
        return show_failure(error)
    try:
        show_host_root(kernel, options.root, layer_of(options))
        show_binds(kernel, options.bind)
        asked = given_to((options.file, *options.arguments), options, None)
        task = new_task(kernel, asked)
    except NotGiven as error:
        raise UsageError(str(error)) from error

    def main(sys: Sys, argv: list[str]) -> Any:
        try:
            return call(program, sys, argv)
        finally:
            if task.alive:
                stop.end(task)

    try:
        return run_main(task, main, asked, injector=stop, on_fault=show_failure)
    except NoMain as error:
        raise UsageError(str(error)) from error
    except (KernelBug, KernelPanic, TimeIsUp, UsageError, BadQuestion):
        raise
    except Exception as error:
        if isinstance(error, BrokenPipeError) and not isinstance(error, SyscallError):
            raise  # the host's: who reads our output has gone
        return show_failure(error)
