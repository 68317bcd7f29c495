"""The command `pkern watch`: its grammar. watch_command.py runs it."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from pkern.userland.cli.options import add_command, add_machine_options
from pkern.userland.cli.program.prepared import split_command
from pkern.userland.cli.program.run import add_files, add_who

HELP = """\
Run PROGRAM and show the machine's memory meanwhile: a map of its page frames, the address spaces,
the lists of pages by age, counters and how they change, what the program has written. It needs rich
(pip install '.[pretty]'). The program's input is empty. Where standard output is no terminal,
one picture is printed: that of the program's end. Watching changes nothing.

examples:
  pkern watch prog.py
  pkern watch --ram 4M --swap 8M ./program
  pkern watch --every 0.5 --root / /bin/sh -c 'ls -lR /usr'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern watch`."""
    add_command(parser)
    group = parser.add_argument_group("what is shown")
    group.add_argument(
        "--every", type=_seconds, default=0.2, metavar="SECONDS", help="look so often (0.2)"
    )
    add_who(parser, uid=1000)
    add_files(parser)
    add_machine_options(parser)
    parser.set_defaults(refuse=parser.error)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.01 <= found <= 3600:
        raise argparse.ArgumentTypeError(f"seconds from 0.01 to 3600, not '{text}'")
    return found


def load(options: argparse.Namespace) -> Any:
    """Import and return what watches; the program's name and arguments are told apart."""
    split_command(options)
    return import_module("pkern.userland.cli.program.watch_command")


def run(options: argparse.Namespace) -> int:
    """Run the program, watched; return its exit status."""
    status: int = load(options).run(options)
    return status
