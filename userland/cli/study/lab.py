"""The command `pkern lab`: list, run, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pkern.kernel.arguments import did_you_mean
from pkern.userland.bochs import ImageError
from pkern.userland.cli.options import UsageError, naming, writable
from pkern.userland.engine import CpuUnavailable
from pkern.userland.lab import REGISTRY, Experiment, LabError, Scale, by_claim
from pkern.userland.lab import run as run_experiment
from pkern.userland.lab.pictures import NoPictures, need_pictures
from pkern.userland.lab.progress import Watcher, watching
from pkern.userland.lab.report import (
    Progress,
    print_result,
    see_nothing,
    write_page,
    write_report,
)
from pkern.userland.lab.views import write_view
from pkern.userland.tables import print_table
from pkern.userland.view.page import NoPictures as NoView

if TYPE_CHECKING:
    from rich.progress import TaskID

HELP = """\
Each claim of the letter is an experiment: a program on this kernel, and a rule that gives the
verdict from what was measured.

examples:
  pkern lab list
  pkern lab run gate
  pkern lab run reverse-remap --full          with the published parameters
  pkern lab run gate --folder build/lab --view   its page, and a machine of it to look at
  pkern lab report build/lab                  all of them: pages, pictures, an index
"""


RUN_EXAMPLES = """\
examples:
  pkern lab run gate                          at the size that takes some seconds
  pkern lab run reverse-remap --full          with the published parameters
  pkern lab run gate --folder build/lab --view   its page, and a machine of it to look at
"""
REPORT_EXAMPLES = """\
examples:
  pkern lab report build/lab                  all of them: pages, pictures, an index
  pkern lab report --tiny build/lab           the same, as small as the tests run it
"""
LIST_EXAMPLES = """\
examples:
  pkern lab list
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern lab`."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list", help="the experiments and their claims", epilog=LIST_EXAMPLES
    )
    listing.set_defaults(action=list_all)
    one = actions.add_parser(
        "run", help="run one and print its tables and verdict", epilog=RUN_EXAMPLES
    )
    one.add_argument("name", metavar="NAME", help="as `pkern lab list` shows it, say gate")
    one.add_argument("--folder", metavar="DIR", help="write its page and pictures there too")
    one.set_defaults(action=run_one)
    report = actions.add_parser(
        "report", help="run all and write pages, pictures and an index", epilog=REPORT_EXAMPLES
    )
    report.add_argument("folder", metavar="DIR", help="made if need be, say build/lab")
    report.set_defaults(action=report_all)
    for action in (one, report):
        action.add_argument(
            "--view",
            dest="seen",
            action="store_const",
            const=write_view,
            default=see_nothing,
            help="beside each page, one that shows a machine of it at each event",
        )
        scales = action.add_mutually_exclusive_group()
        scales.add_argument("--full", dest="scale", action="store_const", const=Scale.FULL,
                            help="the published parameters")  # fmt: skip
        scales.add_argument("--tiny", dest="scale", action="store_const", const=Scale.TINY,
                            help="as small as the tests run it")  # fmt: skip
        action.set_defaults(scale=Scale.DEFAULT)


def run(options: argparse.Namespace) -> int:
    """Do what was asked. Errors: UsageError."""
    try:
        status: int = options.action(options)
    except (NoPictures, NoView, CpuUnavailable, ImageError) as error:
        raise UsageError(str(error)) from error
    except LabError as error:
        print(f"pkern lab: {error}", file=sys.stderr)
        return 1
    return status


def list_all(options: argparse.Namespace) -> int:
    """Print every experiment with its claims."""
    rows = [
        (chosen.name, ", ".join(claim.number for claim in chosen.claims), chosen.title)
        for chosen in by_claim()
    ]
    print_table("", ("name", "claim", "experiment"), rows)
    return 0


def find(name: str) -> Experiment:
    """Return an experiment by name. Errors: UsageError that names the nearest."""
    if name not in REGISTRY:
        hint = did_you_mean(name, REGISTRY, "; 'pkern lab list' shows them")
        raise UsageError(f"there is no experiment '{name}'{hint}")
    return REGISTRY[name]


def run_one(options: argparse.Namespace) -> int:
    """Run one experiment."""
    chosen = find(options.name)
    if options.folder:
        _for_pages(options.folder, f"{chosen.name}.md")
    elif options.seen is write_view:
        raise UsageError("--view writes beside the page: name a folder, --folder DIR")
    with _progress() as (_, watcher), watching(watcher):
        result = run_experiment(chosen, options.scale)
    print_result(result)
    if options.folder:
        write_page(result, Path(options.folder), options.seen)
    return 0


def report_all(options: argparse.Namespace) -> int:
    """Run every experiment and write the report."""
    with _progress() as (progress, watcher):
        folder = _for_pages(options.folder, "index.md")
        results = write_report(by_claim(), options.scale, folder, progress, watcher, options.seen)
    rows = [(result.experiment.name, str(result.judgement)) for result in results]
    print_table("", ("experiment", "verdict"), rows)
    return 0


def _for_pages(name: str, page: str) -> Path:
    """Return a folder for pages, made if need be: before long work, if there can be pages at all.

    page: one that will be written there.

    Errors: UsageError, NoPictures.
    """
    need_pictures()
    with naming(name):
        Path(name).mkdir(parents=True, exist_ok=True)
    writable(f"{name}/{page}")
    return Path(name)


@contextmanager
def _progress() -> Iterator[tuple[Progress, Watcher]]:
    """Show experiments and their rounds: bars on a terminal that has rich, else plain lines."""
    if not sys.stderr.isatty():
        yield _print_step, _silent
        return
    try:
        from rich.console import Console
        from rich.progress import Progress as Bars
    except ImportError:
        yield _print_step, _print_round
        print(file=sys.stderr)
        return
    with Bars(console=Console(stderr=True), transient=True) as bars:
        rounds = bars.add_task("rounds", total=None)
        steps: list[TaskID] = []

        def progress(done: int, total: int, name: str) -> None:
            if not steps:
                steps.append(bars.add_task("experiments"))
            bars.update(steps[0], completed=done, total=total, description=f"{name:18}")

        yield progress, lambda done, total: bars.update(rounds, completed=done, total=total)


def _print_step(done: int, total: int, name: str) -> None:
    print(f"{done} of {total}: {name}", file=sys.stderr, flush=True)


def _print_round(done: int, total: int) -> None:
    print(f"\rround {min(done + 1, total)} of {total}   ", end="", file=sys.stderr, flush=True)


def _silent(done: int, total: int) -> None:
    """Say nothing of rounds: nobody sits there."""
