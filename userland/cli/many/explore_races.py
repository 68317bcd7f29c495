"""Data races that an exploration has met, in words: both accesses, and whence their tasks came."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pkern.userland.cli.options import UsageError
from pkern.userland.cli.program.prepared import path_of
from pkern.userland.engine import INSTALL
from pkern.userland.explore.races import Race, Site
from pkern.userland.explore.run import Ran, Session
from pkern.userland.explore.stacks import Captured, Program

HEAD = "        "


def told_races(session: Session, all_ran: Sequence[Ran], options: argparse.Namespace) -> list[str]:
    """Return the lines that tell each race once, as the first schedule that had it shows it."""
    first: dict[tuple[int, int], tuple[int, Ran, Race]] = {}
    for number, ran in enumerate(all_ran, start=1):
        for race in ran.races:
            first.setdefault(race.where, (number, ran, race))
    lines = ["", f"data races: {len(first)}"]
    program = _program(options) if first else None
    for number, ran, race in first.values():
        assert program is not None
        stacks = session.captured(ran, {race.first.step, race.second.step})
        lines += _told(race, stacks, program)
        lines.append(f"{HEAD}first in schedule {number}")
    return lines


def _program(options: argparse.Namespace) -> Program:
    path = path_of(options)
    file = Path(options.root, path.lstrip("/")) if options.root is not None else Path(path)
    try:
        return Program(file, path)
    except ImportError as error:
        raise UsageError(f"names need pyelftools: {INSTALL}") from error


def _told(race: Race, stacks: dict[int, Captured], program: Program) -> list[str]:
    first = race.first
    what = program.datum(first.linear, stacks[first.step])
    lines = ["", f"    {what}, {first.nbytes} bytes at {first.linear:#x}"]
    for site in race:
        lines += _site(site, stacks[site.step], program)
    return lines


def _site(site: Site, at: Captured, program: Program) -> list[str]:
    verb = "stores" if site.writes else "loads"
    frames = program.frames(at, site.rip)
    return [f"{HEAD}task {site.pid} {verb}:", *(f"{HEAD}    {frame}" for frame in frames)]
