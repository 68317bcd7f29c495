"""The command `pkern conform`."""

import argparse

from pkern.userland.cli.options import RMAPS, UsageError
from pkern.userland.tables import show_progress

HELP = """\
Random sequences of 30 memory calls, loads and stores are made by one program, on this kernel and on
the real Linux below: results, errno, signals, contents and maps are compared call by call, smaps,
pagemap and status at the end. Exit status 1 on a divergence; then the shortest failing sequence is
printed, also as a C program. Needs a C compiler and the extra `emulators`.

example: pkern conform --sequences 2000 --seed 7
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern conform`."""
    parser.add_argument("--sequences", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the sequences (0)")
    parser.add_argument("--rmap", default=RMAPS[0], choices=RMAPS, help="the reverse map")


def run(options: argparse.Namespace) -> int:
    """Run random sequences here and on the host; 1 if one diverges."""
    from pkern.userland.conform import run_conform
    from pkern.userland.conform.hostcc import NoCompiler
    from pkern.userland.engine import CpuUnavailable

    if options.sequences < 1:
        raise UsageError("--sequences takes a number of 1 or more")
    try:
        report = run_conform(
            options.sequences, options.seed, progress=show_progress, rmap=options.rmap
        )
    except (NoCompiler, CpuUnavailable) as error:
        raise UsageError(str(error)) from error
    print(report)
    return 0 if report.ok else 1
