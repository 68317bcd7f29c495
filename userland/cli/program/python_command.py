"""`pkern run FILE.py`: programs in Python from the command line."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkern.kernel.clock import TimeIsUp
from pkern.kernel.errors import KernelBug, KernelPanic, SyscallError
from pkern.kernel.late import load
from pkern.kernel.vfs.console import Stream
from pkern.userland.cli import ends
from pkern.userland.cli.boot import boot
from pkern.userland.cli.ends import FAILED, TIME_IS_UP, Ending, show_failure
from pkern.userland.cli.options import UsageError, contents, existing
from pkern.userland.cli.program.run import given, wall_ns
from pkern.userland.cli.program.shared import (
    injecting,
    layer_of,
    mounting,
    recording,
    show_binds,
    show_host_root,
    tracing,
    viewing_run,
    walled,
)
from pkern.userland.given import Given, NotGiven, seconds_in
from pkern.userland.program import NoMain, load_program, new_task, run_main

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task
    from pkern.syscalls.strace.tracer import Tracer
    from pkern.userland.injection import Injector

Main = Callable[..., Any]


def run(options: argparse.Namespace) -> int:
    """Run a program in Python and return its exit status."""
    if not options.twice:
        with tracing(options) as tracer:
            return _run_once(options, tracer)
    return _run_twice(options)


def _run_once(options: argparse.Namespace, tracer: Tracer | None) -> int:
    try:
        program = load_program(Path(existing(options.file)))
    except NoMain as error:
        raise UsageError(str(error)) from error
    except Exception as error:
        return show_failure(error)
    if options.pdb:
        program = load("pkern.userland.debugger.python").stopping(program)
    stdin = None if options.stdin is None else contents(options.stdin)
    asked = given(options)
    with boot(options) as kernel:
        show_host_root(kernel, options.root, layer_of(options))
        show_binds(kernel, options.bind)
        try:
            with (
                mounting(kernel, options),
                viewing_run(kernel, options),
                walled(kernel, wall_ns(options)),
                recording(kernel, options),
            ):
                task, ending = _ending(
                    kernel, program, asked, stdin, tracer, injecting(tracer, options)
                )
        finally:
            if options.dmesg:
                print("\n".join(kernel.log.lines()))
        return ends.tell(kernel, task, asked, ending, tracer, options.json)


def _ending(
    kernel: Kernel,
    program: Main,
    asked: Given,
    stdin: bytes | None,
    tracer: Tracer | None,
    injector: Injector | None,
) -> tuple[Task, Ending]:
    """Run main to its end and return the task, and how it ended."""
    try:
        task = new_task(kernel, asked, Stream(kernel, stdin) if stdin is not None else None)
    except NotGiven as error:
        raise UsageError(str(error)) from error
    try:
        status = run_main(
            task, program, asked, tracer=tracer, injector=injector, on_fault=show_failure
        )
    except (KernelBug, KernelPanic):
        raise
    except NoMain as error:
        return task, Ending(FAILED, str(error))
    except TimeIsUp as error:
        limit = seconds_in(asked.timeout_ns or 0)
        virtual = f"time is up: {limit} s of virtual time (--timeout)"
        return task, Ending(TIME_IS_UP, str(error) or virtual)
    except Exception as error:
        if task.context is not None and _is_of_scheduler(error):
            return task, Ending(FAILED, str(error))
        if isinstance(error, BrokenPipeError) and not isinstance(error, SyscallError):
            raise  # the host's: who reads our output has gone
        return task, Ending(show_failure(error))
    return task, Ending(status)


def _is_of_scheduler(error: Exception) -> bool:
    """Tell whether what the program has become cannot go on."""
    from pkern.kernel.cpu.scheduler import EngineError
    from pkern.kernel.errors import Deadlock

    return isinstance(error, Deadlock | EngineError)


def _run_twice(options: argparse.Namespace) -> int:
    """Run on two machines and compare what they print, the log included; 1 if they differ."""
    options.dmesg = True
    outputs = []
    for _ in range(2):
        with contextlib.redirect_stdout(io.StringIO()) as output, tracing(options) as tracer:
            status = _run_once(options, tracer)
        outputs.append(output.getvalue())
    print(outputs[0], end="")
    if outputs[0] == outputs[1]:
        print("both runs printed the same", file=sys.stderr)
        return status
    first, second = (text.splitlines() for text in outputs)
    print("\n".join(difflib.unified_diff(first, second, "first", "second")), file=sys.stderr)
    return 1
