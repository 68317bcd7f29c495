"""The command `pkern syscalls`."""

import argparse

from pkern.kernel.arguments import did_you_mean
from pkern.syscalls.numbers import NUMBERS
from pkern.userland.cli.options import UsageError
from pkern.userland.cli.pages import reference
from pkern.userland.tables import print_table

HELP = """\
Each call is done, partly done (and what is missing), or not there: it fails with ENOSYS.

examples:
  pkern syscalls              all of them
  pkern syscalls remap        those whose name holds 'remap'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern syscalls`."""
    parser.add_argument("pattern", nargs="?", default="", help="only names that hold this")


def run(options: argparse.Namespace) -> int:
    """Print the support table."""
    rows = reference.syscall_rows(options.pattern)
    if not rows:
        hint = did_you_mean(options.pattern, NUMBERS, "; 'pkern syscalls' lists all")
        raise UsageError(f"no system call's name holds '{options.pattern}'{hint}")
    print_table("", reference.SYSCALL_HEADERS, rows)
    return 0
