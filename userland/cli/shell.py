"""The command `pkern shell`: a shell in machine code at the terminal."""

import argparse
from pathlib import Path

from pkern.userland.cli.options import add_machine_options, user_id

HELP = """\
busybox's shell, or another static program, runs on the terminal; leave it with exit or control-D.

examples:
  pkern shell
  pkern shell --sysctl vm.nonlinear=1 --uid 1000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern shell`."""
    add_machine_options(parser)
    parser.add_argument("--uid", type=user_id, default=0, help="the shell's user (0: root)")
    parser.add_argument("--root", metavar="DIR", help="a host directory as /, read only")
    parser.add_argument(
        "--program", default="/bin/busybox", metavar="FILE", help="the shell (/bin/busybox sh)"
    )


def run(options: argparse.Namespace) -> int:
    """Run a shell on the terminal and return its exit status."""
    from pkern.userland.cli.boot import boot
    from pkern.userland.cli.elf_command import fill_root, host_descriptors, run_job
    from pkern.userland.cli.typeahead import TypeAhead
    from pkern.userland.given import Given

    with TypeAhead() as terminal, boot(options) as kernel:
        path = fill_root(kernel, options.program, options.root)
        argv = (options.program, "sh") if Path(path).name == "busybox" else (options.program,)
        with terminal.for_a_program():
            return run_job(kernel, path, Given(argv, options.uid), host_descriptors(kernel, None))
