"""The command `pkern shell`: a shell in machine code at the terminal."""

import argparse
from pathlib import Path

from pkern.userland.cli.options import add_machine_options, add_mount, set_usage
from pkern.userland.cli.program.run import add_files, add_who, check_files, given_to

HELP = """\
busybox's shell, or another static program, runs on the terminal; leave it with exit or control-D.

examples:
  pkern shell
  pkern shell --sysctl vm.nonlinear=1 --uid 1000
  pkern shell --root / --overlay --program /bin/bash   the host's files, changes kept in memory
  pkern shell --bind src --bind out:/out:rw --cwd /out
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern shell`."""
    parser.add_argument(
        "--program", default="/bin/busybox", metavar="FILE", help="the shell (/bin/busybox sh)"
    )
    add_who(parser, uid=0)
    add_files(parser)
    add_mount(parser)
    set_usage(parser)
    add_machine_options(parser)


def run(options: argparse.Namespace) -> int:
    """Run a shell on the terminal and return its exit status."""
    from pkern.userland.cli.boot import boot
    from pkern.userland.cli.program.elf_command import fill_root, host_descriptors, run_job
    from pkern.userland.cli.program.shared import layer_of, mounting, show_binds
    from pkern.userland.cli.typeahead import TypeAhead

    check_files(options)
    with TypeAhead() as terminal, boot(options) as kernel:
        path = fill_root(kernel, options.program, options.root, layer_of(options))
        show_binds(kernel, options.bind)
        argv = (options.program, "sh") if Path(path).name == "busybox" else (options.program,)
        asked = given_to(argv, options, None)
        with mounting(kernel, options), terminal.for_a_program() as owed:
            return run_job(kernel, path, asked, host_descriptors(kernel, None, owed))
