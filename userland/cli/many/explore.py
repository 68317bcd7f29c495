"""The command `pkern explore`: its grammar. explore_command.py runs it."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from pkern.userland.cli.many.elsewhere import add_dask
from pkern.userland.cli.options import natural
from pkern.userland.cli.program.prepared import add_program, split_command

HELP = """\
What does PROGRAM do when its threads and processes run in another order? Each schedule runs in a
copy of one machine; ends that are the same are one line. A schedule in which it crashes, hangs or
ends with another status than usual is a finding: it is made as short as can be, and written to a
file that `pkern replay` runs again. Exit status 1 if there is a finding.

Strategies: bounded gives every schedule of at most --bound preemptions; exhaustive gives every one;
states goes on once from each state that these come to; dpor gives every one whose order matters,
which is far fewer; random gives each task its turn at random; pct finds a bug of depth d with a
known probability. Tasks give way where they sleep and end; with --preempt calls also behind each
system call; with memory besides behind each access to a page that two of them share and one writes;
with blocks or instructions anywhere.

examples:
  pkern explore ./threads                               every schedule of up to two preemptions
  pkern explore --preempt memory --bound 1 ./threads
  pkern explore --strategy dpor --preempt memory ./threads     as good as every schedule
  pkern explore --strategy random --budget 500 --seed 7 ./threads
  pkern explore --strategy pct --depth 3 --preempt memory --save bug.json ./threads
  pkern explore --races --preempt memory --bound 1 ./threads   unordered accesses, and their stacks
  pkern replay bug.json
"""
STRATEGIES = ("bounded", "exhaustive", "states", "dpor", "random", "pct")
PREEMPTS = ("never", "calls", "blocks", "memory", "instructions")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern explore`."""
    group = parser.add_argument_group("which schedules")
    group.add_argument(
        "--strategy", default="bounded", choices=STRATEGIES, help="which schedules (bounded)"
    )
    group.add_argument(
        "--preempt", default="calls", choices=PREEMPTS, help="where tasks give way (calls)"
    )
    _add_where(group)
    _add_bounds(group)
    group.add_argument(
        "--races",
        action="store_true",
        help="tell data races, with both stacks (needs --preempt memory)",
    )
    group.add_argument(
        "--shrink",
        type=natural,
        default=1000,
        metavar="N",
        help="schedules that are tried to make a finding shorter, at most (1000)",
    )
    group.add_argument("--first", action="store_true", help="stop at the first finding")
    group = parser.add_argument_group("what is told")
    group.add_argument("--save", metavar="FILE", help="write the first finding there, for replay")
    group.add_argument("--json", metavar="FILE", help="every schedule and its end")
    add_program(parser, wall="60")
    add_dask(parser.add_argument_group("where they run"))


def _add_where(group: argparse._ArgumentGroup) -> None:
    """Add what else may differ between two schedules."""
    group.add_argument(
        "--sleeps",
        action="store_true",
        help="and where the kernel sleeps for memory: pages read, written, reclaimed",
    )
    group.add_argument(
        "--waiters", action="store_true", help="and who is woken where a futex wakes one of several"
    )
    group.add_argument(
        "--timers",
        action="store_true",
        help="and when time passes up to the next timer: signals, sleeps and time limits",
    )


def _add_bounds(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--bound", type=natural, default=2, metavar="N", help="bounded: preemptions in one (2)"
    )
    group.add_argument(
        "--depth", type=natural, default=3, metavar="D", help="pct: orderings that a bug needs (3)"
    )
    group.add_argument(
        "--budget", type=natural, default=1000, metavar="N", help="schedules at most (1000)"
    )


def load(options: argparse.Namespace) -> Any:
    """Import and return what explores; the program's name and arguments are told apart."""
    split_command(options)
    return import_module("pkern.userland.cli.many.explore_command")


def run(options: argparse.Namespace) -> int:
    """Explore; 1 if there is a finding."""
    status: int = load(options).run(options)
    return status
