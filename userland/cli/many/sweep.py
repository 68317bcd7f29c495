"""The command `pkern sweep`: its grammar. sweep_command.py runs it."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from pkern.userland.cli.many.elsewhere import add_dask
from pkern.userland.cli.program.prepared import add_program, split_command
from pkern.userland.failing import ALLOCATION, SWEPT

HELP = """\
What does PROGRAM do when memory runs out, or a call fails? It runs once, and wherever a failure may
come the machine is forked: the copy meets the failure and goes on to its end. Usually each
allocation of memory in the kernel fails once; with --inject each call that it names, with --fail
what KIND says. Ends that are the same are one line, with how often and the options of `pkern run`
that show it again.

A program that crashes, hangs, goes on with other output or leaves files or processes behind is a
finding; one that says so and ends with another status, or does what it always does, is not. Exit
status 1 if there is a finding.

examples:
  pkern sweep ./tool                                    each allocation
  pkern sweep --inject mmap,brk:error=ENOMEM ./tool     each mmap and each brk
  pkern sweep --inject read:short=1 --inject write:error=ENOSPC ./tool
  pkern sweep --inject %file:error=EACCES --root / /bin/cat /etc/hostname
  pkern sweep --fail oom ./tool                         killed where memory runs out
  pkern sweep --fail swap_read --ram 4M --swap 64M ./tool
  pkern sweep --crash data --check './fsck' ./tool      what a crash leaves on the disk
  pkern sweep --json ends.json prog.py                  a program in Python
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern sweep`."""
    group = parser.add_argument_group("what fails")
    group.add_argument(
        "--inject",
        action="append",
        default=[],
        metavar="CALLS:...",
        help="calls, and what becomes of each of them: as of pkern run, without when=",
    )
    group.add_argument(
        "--fail",
        choices=SWEPT,
        default=ALLOCATION,
        metavar="KIND",
        help="allocation (refused), oom (memory runs out there), or pages that are read or written:"
        " file_read, writeback, swap_read, swap_write",
    )
    group.add_argument(
        "--fail-exec",
        action="store_true",
        help="count from the execve that starts the program on, not from its first instruction",
    )
    group.add_argument(
        "--crash",
        metavar="DIR[:INSIDE]",
        help="stop the machine dead before each write to a copy of this directory of the host,"
        " which it shows (needs --check)",
    )
    group.add_argument(
        "--check",
        metavar="COMMAND",
        help="what looks at each copy, in it, by the host's shell: 0 says that it is sound",
    )
    group = parser.add_argument_group("what is told")
    group.add_argument("--json", metavar="FILE", help="every position and its end")
    add_program(parser, wall="10")
    add_dask(parser.add_argument_group("where the copies run"))


def load(options: argparse.Namespace) -> Any:
    """Import and return what runs a sweep; the program's name and arguments are told apart."""
    split_command(options)
    return import_module("pkern.userland.cli.many.sweep_command")


def run(options: argparse.Namespace) -> int:
    """Run the sweep; 1 if there is a finding."""
    command = load(options)
    status: int = command.crashes(options) if options.crash else command.run(options)
    return status
