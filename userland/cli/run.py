"""The command `pkern run`: its grammar, and which kind of program is run how."""

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from pkern.kernel.tasks.credentials import ALL_CAPS
from pkern.userland.cli.options import (
    UsageError,
    add_machine_options,
    user_id,
)
from pkern.userland.complaints import did_you_mean

HELP = """\
The machine is a fresh one. FILE.py holds `def main(sys)`, or `def main(sys, argv)`; its
result is the exit status. `sys` has every system call and constant, and sys.load, sys.store and
sys.fork. Any other file is a program in machine code, static x86-64 ELF: it runs unmodified on the
kernel's page tables. It finds /dev, /proc, /tmp and itself, or --root DIR's files.

examples:
  pkern run prog.py one two
  pkern run --ram 16M --sysctl vm.nonlinear=1 --dmesg prog.py
  pkern run --strace prog.py                 print each system call, as strace does
  pkern run --host ~/data prog.py            the directory is /host, read only
  pkern run --twice prog.py                  check that two runs print the same
  pkern run /bin/busybox ps                  a program in machine code
  pkern run --root DIR -- /bin/sh -c 'ls /'  the same, in a root of its own
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern run`."""
    add_machine_options(parser)
    parser.add_argument("file", metavar="PROGRAM", help="FILE.py, or an x86-64 ELF program")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="for the program"
    ).required = False
    parser.add_argument("--root", metavar="DIR", help="a host directory as /, read only")
    parser.add_argument(
        "--uid", type=user_id, default=1000, help="the task's user; 0 is root (1000)"
    )
    parser.add_argument(
        "--cap", action="append", default=[], metavar="CAP_NAME", help="grant a capability"
    )
    parser.add_argument(
        "--twice", action="store_true", help="run it on two machines and compare all they print"
    )
    parser.add_argument(
        "--fail-nth",
        type=natural,
        default=0,
        metavar="N",
        help="let the program's Nth allocation of memory in the kernel fail",
    )
    parser.add_argument("--strace", action="store_true", help="print each system call to stderr")
    parser.add_argument("--dmesg", action="store_true", help="print the kernel's log at the end")


def load(options: argparse.Namespace) -> Any:
    """Import and return what runs this kind of program."""
    python = options.file.endswith(".py") and not options.root
    return import_module("pkern.userland.cli." + ("python_command" if python else "elf_command"))


def run(options: argparse.Namespace) -> int:
    """Run a program and return its exit status."""
    caps = _capabilities(options.cap)
    status: int = load(options).run(options, caps)
    return status


def natural(text: str) -> int:
    """Return a number from 0. Errors: ValueError, which the parser tells."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _capabilities(names: Sequence[str]) -> frozenset[str] | None:
    """Return the capabilities asked for, None where nothing was asked. Errors: UsageError."""
    for name in names:
        if name not in ALL_CAPS:
            hint = did_you_mean(name, ALL_CAPS)
            raise UsageError(f"there is no capability '{name}'{hint}")
    return frozenset(names) or None
