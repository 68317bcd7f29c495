"""What the last runs of each program gave, in build/realprograms.json, until the page is written.

A host that is too busy for one run of all can so have several, of some programs each.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from tests.real.run import ROOT, Result, Run
from tests.real.table import PROGRAMS

FILE = ROOT / "build" / "realprograms.json"
FACTS = ("reason", "machine", "log")


class Kept(NamedTuple):
    """How a program went. seconds: of the host's time. run: which one, of all or of some."""

    result: Result
    seconds: float
    run: str


def _without(run: Run | None) -> list[object] | None:
    """Return a run without the facts that no page shows."""
    if run is None:
        return None
    return [*run[:4], {name: run.facts[name] for name in FACTS if name in run.facts}]


def keep(kept: list[Kept]) -> None:
    """Write them, and leave those of other programs as they were."""
    rows = {
        one.result.program.name: [
            one.result.version,
            one.result.missing,
            _without(one.result.native),
            _without(one.result.machine),
            one.seconds,
            one.run,
        ]
        for one in {one.result.program.name: one for one in (*all_kept(), *kept)}.values()
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(rows, indent=1))


def all_kept() -> list[Kept]:
    """Return those of the programs that have been run, in the order of the table."""
    rows = json.loads(FILE.read_text()) if FILE.exists() else {}
    found = []
    for program in PROGRAMS:
        if program.name in rows:
            version, missing, *runs, seconds, run = rows[program.name]
            native, machine = (Run(*run) if run else None for run in runs)
            found.append(Kept(Result(program, version, missing, native, machine), seconds, run))
    return found


def forget() -> None:
    """Forget all: a run of every program begins."""
    FILE.unlink(missing_ok=True)
