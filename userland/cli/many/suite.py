"""The command `pkern suite`: its grammar. suite_command.py runs it."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from pkern.userland.cli.many.elsewhere import add_dask
from pkern.userland.cli.options import add_machine_options, natural, set_usage
from pkern.userland.cli.program.run import add_files, add_who

HELP = """\
Each PROGRAM (x86-64 ELF, a script, or FILE.py with `def main(sys)`) runs to its end on a machine of
its own, whatever ran before; a directory stands for the programs in it.
Failures are shown with the end of what they wrote. Exit status 1 if something failed that was not
expected to.

examples:
  pkern suite tests/                             every program below a directory
  pkern suite tests/ --matrix rmap=all --matrix vm.nonlinear=0,1 --matrix ram=8M,64M
                                                 each of them on twenty machines
  pkern suite tests/ --junit results.xml --json results.json
  pkern suite tests/ --rerun-failed results.json only what failed then
  pkern suite tests/ --expect known.txt          names, or patterns, of what is to fail
  pkern suite tests/ --exit-status automake      77 is a skip, 99 an error
  pkern suite unit_tests --cases gtest           a program that holds many cases
  pkern suite --dask tcp://10.0.0.1:8786 tests/  on the computers of a Dask cluster
  pkern suite --root / tests/                    dynamic programs: the host's files, read only
"""
STATUSES = ("plain", "automake", "kselftest", "ltp")
READERS = ("tap", "gtest")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern suite`."""
    parser.add_argument("programs", nargs="+", metavar="PROGRAM|DIR", help="what is run")
    _add_given(parser)
    _add_meaning(parser)
    _add_reports(parser)
    set_usage(parser, "PROGRAM|DIR ...")
    add_machine_options(parser)


def _add_given(parser: argparse.ArgumentParser) -> None:
    group = add_who(parser, uid=1000)
    group.add_argument("--timeout", metavar="SECONDS", help="virtual time for each")
    group.add_argument(
        "--wall", default="60", metavar="SECONDS", help="the host's time for each (60); 0: no end"
    )
    group.add_argument(
        "--jobs",
        type=natural,
        default=0,
        metavar="N",
        help="how many at once (one more than processors)",
    )
    add_dask(group)
    group.add_argument(
        "--matrix",
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="run each on machines with these values of a sysctl or of ram, rmap, swap, seed ...",
    )
    add_files(parser)


def _add_meaning(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what an end means")
    group.add_argument(
        "--exit-status", default="plain", choices=STATUSES, help="whose exit statuses (plain)"
    )
    group.add_argument("--cases", choices=READERS, help="count the cases that the output tells of")
    group.add_argument("--expect", metavar="FILE", help="names of those that are to fail")
    group.add_argument(
        "--rerun-failed", metavar="FILE", help="only what failed, by an earlier --json"
    )


def _add_reports(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is told")
    group.add_argument("-v", "--verbose", action="store_true", help="a line for what passed, too")
    group.add_argument("--junit", metavar="FILE", help="JUnit's XML")
    group.add_argument("--tap", metavar="FILE", help="TAP, version 14")
    group.add_argument("--json", metavar="FILE", help="all of it")


def load(_: argparse.Namespace) -> Any:
    """Import and return what runs a suite."""
    return import_module("pkern.userland.cli.many.suite_command")


def run(options: argparse.Namespace) -> int:
    """Run the suite; 1 if something failed."""
    status: int = load(options).run(options)
    return status
