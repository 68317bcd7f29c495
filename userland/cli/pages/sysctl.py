"""The command `pkern sysctl`."""

import argparse

from pkern.kernel.arguments import did_you_mean
from pkern.userland.cli.boot import boot, sysctl_name
from pkern.userland.cli.options import UsageError, add_machine_options, set_usage
from pkern.userland.cli.pages import reference
from pkern.userland.tables import print_table

HELP = """\
Each is shown with the value that a machine booted so has, its range, who may write it, and what it
means. One is set where a machine is: pkern run --sysctl NAME=VALUE.

examples:
  pkern sysctl                       all of them
  pkern sysctl -a overcommit         those whose name holds 'overcommit'
  pkern sysctl --nodes 2 numa        of a machine that is booted so
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern sysctl`."""
    set_usage(parser, "[PATTERN]")
    add_machine_options(parser)
    parser.add_argument("-a", "--all", action="store_true", help="every one (the default)")
    parser.add_argument("-w", dest="sets", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("pattern", nargs="?", default="", help="only names that hold this")


def run(options: argparse.Namespace) -> int:
    """Print the sysctl table of a machine booted as asked. Errors: UsageError."""
    pattern = sysctl_name(options.pattern)
    if options.sets or "=" in pattern:
        setting = pattern if "=" in pattern else "NAME=VALUE"
        raise UsageError(
            "'pkern sysctl' shows what a machine would have and sets nothing;"
            f" 'pkern run --sysctl {setting} PROGRAM' does"
        )
    with boot(options) as kernel:
        rows = reference.sysctl_rows(kernel, pattern)
        names = [entry.name for entry in kernel.sysctl.entries()]
    if not rows:
        hint = did_you_mean(pattern, names, "; 'pkern sysctl -a' lists all")
        raise UsageError(f"no sysctl's name holds '{options.pattern}'{hint}")
    print_table("", reference.SYSCTL_HEADERS, rows)
    return 0
