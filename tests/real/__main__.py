"""`python -m tests.real [NAME ...]`: run the programs of the table whose names hold one of these.

Without a name all are run, what is missing is installed first, and docs/realprograms.md is written.
"""

from __future__ import annotations

import sys
import time

from tests.real.page import obstacle, page
from tests.real.run import ROOT, Result, build_folder, installed, tried
from tests.real.table import PROGRAMS


def told(result: Result) -> Result:
    """Print how a program went."""
    outcome = "works" if result.works else obstacle(result)
    print(f"{result.program.name}: {outcome}", flush=True)
    return result


def in_full(result: Result) -> None:
    """Print what a program printed here and there."""
    for title, run in (("natively", result.native), ("in a machine", result.machine)):
        if run is not None:
            print(f"-- {title}: status {run.status}, {run.seconds:.2f} s\n{run.out}{run.err}")
            print("\n".join(run.facts.get("log", [])))


def main(names: list[str]) -> int:
    """Run what is meant; return 0, whether it works or not: the page tells."""
    built = build_folder()
    if names:
        for program in PROGRAMS:
            if any(name in program.name for name in names):
                in_full(told(tried(program, built)))
        return 0
    began = time.monotonic()
    for package in installed(PROGRAMS):
        print(f"cannot be installed: {package}", file=sys.stderr)
    results = [told(tried(program, built)) for program in PROGRAMS]
    (ROOT / "docs/realprograms.md").write_text(page(results, time.monotonic() - began))
    return 0


sys.exit(main(sys.argv[1:]))
