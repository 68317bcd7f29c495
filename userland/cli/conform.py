"""The command `pkern conform`."""

import argparse

from pkern.userland.cli.options import RMAPS, UsageError
from pkern.userland.tables import show_progress

HELP = """\
Random sequences of 30 memory calls, loads and stores are made by one program, on this kernel and on
the real Linux below: results, errno, signals, contents and maps are compared call by call, smaps,
pagemap and status at the end. Exit status 1 on a divergence; then the shortest failing sequence is
printed, also as a C program. Needs a C compiler and the extra `emulators`.

examples:
  pkern conform --sequences 2000 --seed 7 -j 2
  pkern conform --random-calls 60      any calls and sysctls on machines of ours, recounted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern conform`."""
    parser.add_argument("--sequences", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the sequences (0)")
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="processes (1)")
    parser.add_argument(
        "--random-calls",
        type=float,
        metavar="SECONDS",
        help="no host: any calls on machines of ours, from --seed on, for so long",
    )
    parser.add_argument("--rmap", default=RMAPS[0], choices=RMAPS, help="the reverse map")


def run(options: argparse.Namespace) -> int:
    """Run random sequences here and on the host; 1 if one diverges."""
    if options.random_calls is not None:
        return _random_calls(options)
    from pkern.userland.conform import run_conform
    from pkern.userland.conform.hostcc import NoCompiler
    from pkern.userland.engine import CpuUnavailable

    if options.sequences < 1:
        raise UsageError("--sequences takes a number of 1 or more")
    if options.jobs < 1:
        raise UsageError("--jobs takes a number of 1 or more")
    try:
        report = run_conform(
            options.sequences,
            options.seed,
            progress=show_progress,
            rmap=options.rmap,
            jobs=options.jobs,
        )
    except (NoCompiler, CpuUnavailable) as error:
        raise UsageError(str(error)) from error
    print(report)
    return 0 if report.ok else 1


def _random_calls(options: argparse.Namespace) -> int:
    """Throw any calls at machines; what breaks is raised, with the seed."""
    from time import monotonic

    from pkern.userland.anycalls import run_for

    if options.random_calls <= 0:
        raise UsageError("--random-calls takes a number of seconds above 0")
    stopped = run_for(options.random_calls, options.seed, monotonic)
    steps, last = sum(one.steps for one in stopped), options.seed + len(stopped) - 1
    print(f"{len(stopped)} machines, seeds {options.seed} to {last}: {steps} steps, none broke")
    ends = sum(one.ended for one in stopped), sum(bool(one.panic) for one in stopped)
    print(f"  {ends[0]} were left without a task, {ends[1]} panicked as vm.panic_on_oom asks")
    return 0
