"""The command `pkern bench`."""

import argparse

from pkern.kernel.arguments import did_you_mean
from pkern.userland.cli.options import UsageError, check_writable, write_result
from pkern.userland.tables import show_progress

HELP = """\
Each row is measured here and on the host's kernel in interleaved rounds; the ratio is host / ours,
with its median and spread. All of it takes some minutes.

examples:
  pkern bench --only remap            the rows about remap_file_pages
  pkern bench --only start:           what a start costs
  pkern bench --json bench.json       also as {"rows": [{"name", "host", "ours", ...}]}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern bench`."""
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="interleaved (3)")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains it")


def run(options: argparse.Namespace) -> int:
    """Measure this kernel beside the host's and print the table."""
    from pkern.userland.bench import as_json, as_markdown, cases_here, run_bench
    from pkern.userland.conform.hostcc import NoCompiler

    if options.rounds < 3:
        raise UsageError("--rounds takes a number of 3 or more: a median needs them")
    cases, notes = cases_here(options.only)
    if not cases:
        names = [case.name for case in cases_here()[0]]
        hint = did_you_mean(options.only, names, "\n  ".join(["; choose of", *names]))
        raise UsageError(f"--only {options.only}: no row has this in its name{hint}")
    check_writable(options.json)
    try:
        rows = run_bench(options.rounds, show_progress, cases)
    except NoCompiler as error:
        raise UsageError(str(error)) from error
    print(as_markdown(rows), end="")
    for note in notes:
        print(f"\n{note}")
    if options.json is not None:
        write_result(options.json, as_json(rows))
    return 0
