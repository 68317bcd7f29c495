"""The command `pkern sweep`: its grammar. sweep_command.py runs it."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from pkern.userland.cli.options import HelpfulParser, add_machine_options, natural, user_id

HELP = """\
What does PROGRAM do when memory runs out, or a call fails? It runs once, and wherever a failure may
come the machine is forked: the copy meets the failure and goes on to its end. Without --inject each
allocation of memory in the kernel fails once; with it, each call that it names. Ends that are the
same are one line, with how often and the options of `pkern run` that show it again.

A program that crashes, hangs, goes on with other output or leaves files or processes behind is a
finding; one that says so and ends with another status, or does what it always does, is not. Exit
status 1 if there is a finding.

examples:
  pkern sweep ./tool                                    each allocation
  pkern sweep --inject mmap,brk:error=ENOMEM ./tool     each mmap and each brk
  pkern sweep --inject read:short=1 --inject write:error=ENOSPC ./tool
  pkern sweep --inject %file:error=EACCES --root / /bin/cat /etc/hostname
  pkern sweep --json ends.json prog.py                  a program in Python
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern sweep`."""
    # One list: argparse takes a -- away from behind a positional of its own.
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="PROGRAM ...",
        help="FILE.py or an x86-64 ELF program, and its arguments",
    )
    parser.usage = f"{parser.prog} [OPTION ...] PROGRAM [ARGUMENT ...]"
    group = parser.add_argument_group("what fails")
    group.add_argument(
        "--inject",
        action="append",
        default=[],
        metavar="CALLS:...",
        help="calls, and what becomes of each of them: as of pkern run, without when=",
    )
    group = parser.add_argument_group("what the program is given")
    group.add_argument("--uid", type=user_id, default=1000, help="its user; 0 is root (1000)")
    group.add_argument(
        "--env", action="append", default=[], metavar="NAME[=VALUE]", help="as of pkern run"
    )
    group.add_argument("--root", metavar="DIR", help="a host directory as /, read only")
    group.add_argument("--overlay", action="store_true", help="which each copy may change")
    group.add_argument(
        "--wall", default="10", metavar="SECONDS", help="the host's time for each copy (10)"
    )
    group.add_argument(
        "--jobs", type=natural, default=0, metavar="N", help="copies at once (a processor each)"
    )
    group = parser.add_argument_group("what is told")
    group.add_argument("--json", metavar="FILE", help="every position and its end")
    add_machine_options(parser)
    parser.set_defaults(refuse=parser.error if isinstance(parser, HelpfulParser) else None)


def load(options: argparse.Namespace) -> Any:
    """Import and return what runs a sweep; the program's name and arguments are told apart."""
    command = options.command[options.command[:1] == ["--"] :]
    if not command:
        options.refuse("the following arguments are required: PROGRAM")
    options.file, *options.arguments = command
    return import_module("pkern.userland.cli.sweep_command")


def run(options: argparse.Namespace) -> int:
    """Run the sweep; 1 if there is a finding."""
    status: int = load(options).run(options)
    return status
