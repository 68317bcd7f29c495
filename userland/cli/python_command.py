"""`pkern run FILE.py`: programs in Python from the command line."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import sys
from typing import TYPE_CHECKING

from pkern.kernel.errors import KernelBug, KernelPanic, SyscallError
from pkern.kernel.tasks.signals import NSIG
from pkern.userland.cli.boot import boot
from pkern.userland.cli.ends import say_ended, show_failure
from pkern.userland.cli.options import UsageError, existing
from pkern.userland.program import NoMain, load_program, run_program

if TYPE_CHECKING:
    from pkern.syscalls.strace.tracer import Tracer

SIGNALLED = 128  # an exit status above it names the signal that ended the program


def run(options: argparse.Namespace, caps: frozenset[str] | None) -> int:
    """Run a program in Python and return its exit status."""
    return _run_twice(options, caps) if options.twice else _run_once(options, caps)


def _run_once(options: argparse.Namespace, caps: frozenset[str] | None) -> int:
    try:
        program = load_program(existing(options.file))
    except NoMain as error:
        raise UsageError(str(error)) from error
    except Exception as error:
        return show_failure(error)
    argv = [options.file, *options.arguments]
    tracer = _tracer() if options.strace else None
    with boot(options) as kernel:
        try:
            status = run_program(
                kernel,
                program,
                argv,
                uid=options.uid,
                caps=caps,
                tracer=tracer,
                on_fault=show_failure,
                fail_nth=options.fail_nth,
            )
        except (KernelBug, KernelPanic):
            raise
        except Exception as error:
            if isinstance(error, BrokenPipeError) and not isinstance(error, SyscallError):
                raise  # the host's: who reads our output has gone
            status = show_failure(error)
        finally:
            if options.dmesg:
                print("\n".join(kernel.log.lines()))
    if SIGNALLED < status <= SIGNALLED + NSIG:
        say_ended(options.file, status - SIGNALLED)
    return status


def _tracer() -> Tracer:
    from pkern.syscalls.strace.tracer import Tracer

    return Tracer(lambda line: sys.stderr.write(line + "\n"))


def _run_twice(options: argparse.Namespace, caps: frozenset[str] | None) -> int:
    """Run on two machines and compare what they print, the log included; 1 if they differ."""
    options.dmesg = True
    outputs = []
    for _ in range(2):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            status = _run_once(options, caps)
        outputs.append(output.getvalue())
    print(outputs[0], end="")
    if outputs[0] == outputs[1]:
        print("both runs printed the same", file=sys.stderr)
        return status
    first, second = (text.splitlines() for text in outputs)
    print("\n".join(difflib.unified_diff(first, second, "first", "second")), file=sys.stderr)
    return 1
