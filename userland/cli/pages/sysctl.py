"""The command `pkern sysctl`."""

import argparse

from pkern.userland.cli.boot import boot
from pkern.userland.cli.options import UsageError, add_machine_options, set_usage
from pkern.userland.cli.pages import reference
from pkern.userland.tables import print_table

HELP = "example: pkern sysctl -a overcommit"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern sysctl`."""
    set_usage(parser, "[PATTERN]")
    add_machine_options(parser)
    parser.add_argument("-a", "--all", action="store_true", help="every one (the default)")
    parser.add_argument("pattern", nargs="?", default="", help="only names that hold this")


def run(options: argparse.Namespace) -> int:
    """Print the sysctl table of a machine booted as asked."""
    with boot(options) as kernel:
        rows = reference.sysctl_rows(kernel, options.pattern)
    if not rows:
        raise UsageError(f"no sysctl's name holds '{options.pattern}'; 'pkern sysctl -a' lists all")
    print_table("", reference.SYSCTL_HEADERS, rows)
    return 0
