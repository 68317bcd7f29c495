"""A sweep from the command line: what the options ask for, what is printed and written."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pkern.kernel.branch import NotBranchable
from pkern.kernel.cpu.processor import ProcessorUnavailable
from pkern.kernel.errors import SyscallError
from pkern.userland.cli.options import UsageError, writable
from pkern.userland.cli.prepared import command_of, given_of, is_python, machine, path_of
from pkern.userland.engine import CpuUnavailable
from pkern.userland.given import NotGiven, nanoseconds_of
from pkern.userland.injection import BadInjection, Rule, for_python, read_rule
from pkern.userland.program import NoMain
from pkern.userland.sweep.ends import FINDINGS, Group, grouped
from pkern.userland.sweep.program import NoEnd
from pkern.userland.sweep.run import Plan, Sweep, run_sweep
from pkern.userland.tables import tell

REFUSALS = (CpuUnavailable, NoEnd, NotBranchable, NotGiven, ProcessorUnavailable)


def run(options: argparse.Namespace) -> int:
    """Run the sweep; 1 if there is a finding."""
    if options.json:
        writable(options.json)
    try:
        sweep = run_sweep(_plan(options), _progress)
    except SyscallError as error:
        raise UsageError(f"cannot execute '{options.file}': {error.strerror}", 126) from error
    except (*REFUSALS, BadInjection, NoMain) as error:
        raise UsageError(str(error)) from error
    finally:
        _clear_progress()
    groups = grouped(sweep.ends, sweep.good)
    tell(_told(sweep, groups, options))
    if options.json:
        Path(options.json).write_text(_as_json(sweep, groups))
    return 1 if any(group.meaning in FINDINGS for group in groups) else 0


def _progress(done: int, replay: str) -> None:
    # How many there will be is known only when the program has ended.
    if sys.stderr.isatty():
        print(f"\r{done} ends {replay:60}", end="\r", file=sys.stderr, flush=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r" + " " * 79, end="\r", file=sys.stderr, flush=True)


# ---- what is asked ----


def _plan(options: argparse.Namespace) -> Plan:
    rules = _rules(options.inject)
    if is_python(options):
        rules = for_python(rules)
    return Plan(
        partial(machine, options),
        path_of(options),
        given_of(options),
        tuple(options.inject),
        rules,
        None if options.wall == "0" else nanoseconds_of("--wall", options.wall) / 1e9,
        options.jobs or None,
    )


def _rules(texts: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules of --inject, which do not say which call. Errors: BadInjection."""
    for text in texts:
        if ":when=" in text or ":nth=" in text:
            raise BadInjection(
                f"'{text}': a sweep goes through all of them, without when= and nth="
            )
    return tuple(read_rule(text) for text in texts)


# ---- what is told ----


def _told(sweep: Sweep, groups: Sequence[Group], options: argparse.Namespace) -> list[str]:
    lines = [f"without a failure: {sweep.good.told()}", f"positions: {len(sweep.ends)}", ""]
    for group in groups:
        lines.append(f"{len(group.replays):6}  {group.meaning.value}: {group.end.told()}")
        new = [what for what in group.end.left if what not in sweep.good.left]
        if new:
            lines.append(f"        left behind: {', '.join(new)}")
        lines.append(f"        pkern run {group.replays[0]} {command_of(options)}")
    return lines


def _as_json(sweep: Sweep, groups: Sequence[Group]) -> str:
    """Return {"good": end, "groups": [...]}: every position by its replay."""
    page = {
        "good": _end_page(sweep.good),
        "groups": [
            {"meaning": group.meaning.value, **_end_page(group.end), "replays": group.replays}
            for group in groups
        ],
    }
    return json.dumps(page, indent=1) + "\n"


def _end_page(end: object) -> dict[str, object]:
    fields: dict[str, object] = end._asdict()  # type: ignore[attr-defined]
    texts = {name: fields[name].decode(errors="replace") for name in ("out", "err")}  # type: ignore[attr-defined]
    return {**fields, **texts}
