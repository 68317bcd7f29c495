"""The command `pkern conform`."""

from __future__ import annotations

import argparse
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from pkern.kernel.numbers import counted
from pkern.userland.cli.options import RMAPS, UsageError, writable
from pkern.userland.tables import show_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pkern.userland.conform.record import Recorded

HELP = """\
Random sequences of 30 memory calls, loads and stores are made by one program, on this kernel and on
the real Linux below: results, errno, signals and contents are compared call by call, maps, smaps,
pagemap and status at the end, and maps after each call in every fourth sequence. Exit status 1 on a
divergence; then the shortest failing sequence is printed, also as a C program. Needs a C compiler
and the extra `emulators`.

examples:
  pkern conform --sequences 2000 --seed 7 -j 2
  pkern conform --sequences 1000000 -j 2 --keep-going --record FILE   started again, it goes on
  pkern conform --seed 7 --first 1264 --sequences 1      one sequence again
  pkern conform --random-calls 60      any calls and sysctls on machines of ours, recounted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern conform`."""
    parser.add_argument("--sequences", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the sequences (0)")
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="number of the first sequence (0)"
    )
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="processes (1)")
    parser.add_argument(
        "--random-calls",
        type=float,
        metavar="SECONDS",
        help="no host: any calls on machines of ours, from --seed on, for so long",
    )
    parser.add_argument("--keep-going", action="store_true", help="past divergences, and count")
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="append each part of 5,000 sequences that has been compared; leave out what is there",
    )
    parser.add_argument("--rmap", default=RMAPS[0], choices=RMAPS, help="the reverse map")


def run(options: argparse.Namespace) -> int:
    """Run random sequences here and on the host; 1 if one diverges."""
    if options.random_calls is not None:
        return _random_calls(options)
    from pkern.userland.conform.hostcc import NoCompiler
    from pkern.userland.conform.record import NoRecord
    from pkern.userland.engine import CpuUnavailable

    if options.sequences < 1:
        raise UsageError("--sequences takes a number of 1 or more")
    if options.jobs < 1:
        raise UsageError("--jobs takes a number of 1 or more")
    if options.first < 0:
        raise UsageError("--first takes a number of 0 or more")
    try:
        return _compare(options)
    except (NoCompiler, CpuUnavailable, NoRecord) as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        if error.filename != str(options.record):
            raise
        raise UsageError(f"{options.record}: {error.strerror}") from error


def _compare(options: argparse.Namespace) -> int:
    """Run what is not recorded yet, part by part."""
    from pkern.userland.conform.record import Record
    from pkern.userland.conform.report import together
    from pkern.userland.conform.run import parts_of, run_parts

    if options.record:
        writable(str(options.record))
    record = Record(options.record) if options.record else None
    parts = parts_of(
        options.sequences, options.seed, options.first, rmap=options.rmap, jobs=options.jobs
    )
    missing = record.missing(parts) if record else parts
    stop_after = inf if options.keep_going else 1
    reports = []
    for part, report in run_parts(missing, show_progress, stop_after, options.jobs):
        reports.append(report)
        for failure in report.failures:
            print(failure.text, flush=True)
        if record and report.sequences == part.sequences:
            record.add(report, part)
    if reports:
        print(together(reports).summary)
    before = record.known_of(parts) if record else []
    if before:
        print(_recorded(before))
    agree = all(report.ok for report in reports) and all(one.ok for one in before)
    return 0 if agree else 1


def _recorded(before: Sequence[Recorded]) -> str:
    """Say what was not run again."""
    sequences = sum(one.part.sequences for one in before)
    diverged = [index for one in before for index in one.diverged]
    numbers = f": {', '.join(map(str, diverged))}" if diverged else ""
    return f"recorded before: {sequences} sequences, {len(diverged)} diverge{numbers}"


def _random_calls(options: argparse.Namespace) -> int:
    """Throw any calls at machines; what breaks is raised, with the seed."""
    from time import monotonic

    from pkern.userland.anycalls import run_for

    if options.random_calls <= 0:
        raise UsageError("--random-calls takes a number of seconds above 0")
    stopped = run_for(options.random_calls, options.seed, monotonic)
    steps, last = sum(one.steps for one in stopped), options.seed + len(stopped) - 1
    print(
        f"{counted(len(stopped), 'machine')}, seeds {options.seed} to {last}: "
        f"{counted(steps, 'step')}, none broke"
    )
    ends = sum(one.ended for one in stopped), sum(bool(one.panic) for one in stopped)
    print(f"  {ends[0]} were left without a task, {ends[1]} panicked, out of memory")
    return 0
