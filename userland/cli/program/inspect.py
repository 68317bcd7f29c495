"""The command `pkern inspect`: its grammar. inspect_command.py runs it."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from pkern.userland.cli.options import add_command, add_machine_options
from pkern.userland.cli.program.prepared import split_command
from pkern.userland.cli.program.run import add_files, add_who

HELP = """\
Run PROGRAM to a place, ask the kernel about its memory there, and let it run on. Asking changes
nothing. Questions, each behind a -q:

  walk ADDR [PID]   vma ADDR [PID]   vmas [PID]   page PFN   mapping FILE
  lru   swap   slab   tlb [PID]   diff: what is different since the last diff

The place is its end (exit), before a call (call:mmap, call:write:3), or at an event
(event:page_fault_user, event:vmscan:*:2), perhaps only where --if holds: an expression in Python
over the event's fields. Exit status 0 where all was answered, 1 where the program never came to the
place or something asked about is not there.

Without a question, lines of standard input are read at the place, and the program has none:
questions, step fault|call|event, break GLOB [if EXPRESSION], breaks, delete N, continue, quit.

examples:
  pkern inspect -q vmas prog.py                            at its end
  pkern inspect -q 'walk 0x400000' -q lru ./program
  pkern inspect --until call:exit_group -q 'mapping /tmp/x' ./program
  pkern inspect --until 'event:copy_on_write' --if 'pid == 2' -q 'diff' prog.py
  pkern inspect --until call:mmap prog.py                  lines from the terminal
  pkern inspect --rmap compare -q 'page 100' prog.py       by all reverse maps, side by side
  pkern inspect --json -q slab -q swap prog.py
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern inspect`."""
    add_command(parser)
    group = parser.add_argument_group("what is asked, and where")
    group.add_argument(
        "-q", "--ask", action="append", default=[], metavar="QUESTION", help="as 'walk 0x400000'"
    )
    group.add_argument(
        "--until",
        default="exit",
        metavar="PLACE",
        help="exit, call:NAME[:N], event:GLOB[:N] (exit)",
    )
    group.add_argument(
        "--if", dest="condition", metavar="EXPR", help="of an event: only where this holds"
    )
    group.add_argument("--json", action="store_true", help="answers as JSON")
    add_who(parser, uid=1000)
    add_files(parser)
    add_machine_options(parser)
    parser.set_defaults(refuse=parser.error)


def load(options: argparse.Namespace) -> Any:
    """Import and return what asks; the program's name and arguments are told apart."""
    split_command(options)
    return import_module("pkern.userland.cli.program.inspect_command")


def run(options: argparse.Namespace) -> int:
    """Run the program and ask; 1 where something is not answered."""
    status: int = load(options).run(options)
    return status
