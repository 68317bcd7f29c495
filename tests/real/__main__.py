"""`python -m tests.real [NAME ...]`: run the programs of the table whose names hold one of these.

Without a name all are run, and what is missing is installed first. How each went is kept
(kept.py); once there is something of every program, docs/realprograms.md is written.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from pkern.kernel.arguments import did_you_mean
from tests.real.kept import Kept, all_kept, forget, keep
from tests.real.page import obstacle, page
from tests.real.run import ROOT, Result, build_folder, installed, tried
from tests.real.table import PROGRAMS, Program


def told(result: Result) -> None:
    """Print how a program went."""
    outcome = "works" if result.works else obstacle(result)
    print(f"{result.program.name}: {outcome}", flush=True)


def in_full(result: Result) -> None:
    """Print what a program printed here and there."""
    for title, run in (("natively", result.native), ("in a machine", result.machine)):
        if run is not None:
            print(f"-- {title}: status {run.status}, {run.seconds:.2f} s\n{run.out}{run.err}")
            print("\n".join(run.facts.get("log", [])))


def show_stage(words: str) -> None:
    """Say what begins now: some of it takes minutes."""
    print(words, file=sys.stderr, flush=True)


def run_and_keep(program: Program, place: str, built: Path, run: str) -> Result:
    """Run a program here and there; run says when all of these began. place: as "3 of 46"."""
    began = time.monotonic()
    result = tried(program, built, lambda stage: show_stage(f"{place}, {program.name}: {stage}"))
    told(result)
    keep([Kept(result, time.monotonic() - began, run)])
    return result


def write_page() -> None:
    """Write it, if there is something of every program."""
    kept = all_kept()
    if len(kept) < len(PROGRAMS):
        print(f"{len(PROGRAMS) - len(kept)} programs have not been run: no page is written")
        return
    seconds, runs = sum(one.seconds for one in kept), len({one.run for one in kept})
    text = page([one.result for one in kept], seconds, runs)
    (ROOT / "docs/realprograms.md").write_text(text)


def main(names: list[str]) -> int:
    """Run what is meant; return 0, whether it works or not: the page tells."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what runs is killed on the way
    meant = [p for p in PROGRAMS if not names or any(name in p.name for name in names)]
    if not meant:
        hint = did_you_mean(names[0], [program.name for program in PROGRAMS])
        sys.exit(f"no program's name holds '{names[0]}'{hint}")
    built, run = build_folder(), time.strftime("%Y-%m-%d %H:%M:%S")
    if not names:
        forget()
        for package in installed(PROGRAMS, show_stage):
            print(f"cannot be installed: {package}", file=sys.stderr)
    for number, program in enumerate(meant, start=1):
        result = run_and_keep(program, f"{number} of {len(meant)}", built, run)
        if names:
            in_full(result)
    write_page()
    return 0


sys.exit(main(sys.argv[1:]))
