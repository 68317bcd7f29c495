"""The command `pkern replay`: a schedule that was recorded, once more."""

from __future__ import annotations

import argparse
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pkern.userland.cli.many import explore
from pkern.userland.cli.options import UsageError, existing
from pkern.userland.cli.parser import HelpfulParser

if TYPE_CHECKING:
    from pkern.userland.sweep.ends import End

HELP = """\
Runs a schedule that `pkern explore --save` has written: the same program on the same machine, its
tasks in the same order. What it writes is shown; the exit status is the program's. It is said on
standard error if it ended otherwise than it did then.

examples:
  pkern replay bug.json
  pkern replay --strace bug.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern replay`."""
    parser.add_argument("recording", metavar="FILE", help="what explore --save has written")
    parser.add_argument(
        "--wall", default="60", metavar="SECONDS", help="the processor's time for it; 0: any (60)"
    )
    parser.add_argument("--strace", action="store_true", help="print each system call to stderr")


def run(options: argparse.Namespace) -> int:
    """Run the schedule and return the program's exit status."""
    from pkern.userland.cli.many.explore_command import refusing
    from pkern.userland.cli.program.prepared import (
        given_of,
        machine,
        path_of,
        split_command,
        wall_seconds,
    )
    from pkern.userland.explore.recording import BadRecording, Recording
    from pkern.userland.explore.run import Plan, limited, run_once
    from pkern.userland.explore.strategies import Replay

    try:
        recording = Recording.read(Path(existing(options.recording)))
    except BadRecording as error:
        raise UsageError(str(error)) from error
    parser = HelpfulParser(prog="pkern replay")
    explore.add_arguments(parser)
    asked = parser.parse_args(shlex.split(recording.command))
    split_command(asked)
    with refusing(asked):
        plan = Plan(
            partial(machine, asked),
            path_of(asked),
            given_of(asked),
            recording.preempt,
            shared=recording.shared,
            also=recording.also,
        )
        with plan.machine() as kernel:
            if options.strace:
                _trace(kernel)
            with limited(wall_seconds(options)):
                ran = run_once(kernel, plan, Replay(recording.choices))
    _tell(ran.end, recording.end)
    return ran.end.status


def _tell(end: End, then: End) -> None:
    """Show what a run has written and why it ended; then: how it had ended."""
    sys.stdout.buffer.write(end.out)
    sys.stdout.buffer.flush()
    sys.stderr.buffer.write(end.err)
    if end.reason is not None:
        print(f"pkern: {end.reason}", file=sys.stderr)
    if end != then:
        print(f"pkern: then it ended otherwise: {then.told()}", file=sys.stderr)


def _trace(kernel: object) -> None:
    from pkern.kernel.machine import Kernel
    from pkern.syscalls.strace.tracer import Tracer

    assert isinstance(kernel, Kernel)
    assert kernel.scheduler is not None
    Tracer(lambda line: print(line, file=sys.stderr)).attach(kernel.scheduler)
