"""A sweep from the command line: what the options ask for, what is printed and written."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from functools import partial

from pkern.kernel.branch import NotBranchable
from pkern.kernel.cpu.processor import ProcessorUnavailable
from pkern.kernel.errors import SyscallError
from pkern.userland.cli.many.elsewhere import elsewhere
from pkern.userland.cli.options import UsageError, check_writable, write_result
from pkern.userland.cli.program.prepared import (
    command_of,
    given_of,
    host_path_of,
    machine,
    path_of,
    wall_seconds,
)
from pkern.userland.engine import CpuUnavailable
from pkern.userland.failing import ALLOCATION, DISK_WRITE, Origin
from pkern.userland.given import NotGiven
from pkern.userland.harness import NoEnd, is_python
from pkern.userland.injection import BadInjection, Rule, for_python, read_rule
from pkern.userland.program import NoMain
from pkern.userland.shown import read_bind
from pkern.userland.sweep.crash import Disk, Found, run_crashes
from pkern.userland.sweep.ends import FINDINGS, Group, grouped, meaning
from pkern.userland.sweep.run import Plan, Sweep, run_sweep, run_sweep_on
from pkern.userland.tables import clear_progress, show_progress, tell

REFUSALS = (CpuUnavailable, NoEnd, NotBranchable, NotGiven, ProcessorUnavailable)


def run(options: argparse.Namespace) -> int:
    """Run the sweep; 1 if there is a finding."""
    if options.check is not None:
        raise UsageError("--check is for --crash: it looks at what a crash leaves")
    check_writable(options.json)
    try:
        sweep = _sweep(_plan(options), options)
    except SyscallError as error:
        raise UsageError(f"cannot execute '{options.file}': {error.strerror}", 126) from error
    except (*REFUSALS, BadInjection, NoMain) as error:
        raise UsageError(str(error)) from error
    finally:
        clear_progress()
    groups = grouped(sweep.ends, partial(meaning, good=sweep.good))
    tell(_told(sweep, groups, options))
    if options.json:
        write_result(options.json, _as_json(sweep, groups))
    return 1 if any(group.meaning in FINDINGS for group in groups) else 0


def crashes(options: argparse.Namespace) -> int:
    """Stop the machine at each of its writes; 1 if a copy of the directory was not sound."""
    others = options.inject or options.fail != ALLOCATION or options.fail_exec or options.dask
    if others or options.json:
        raise UsageError("--crash stands alone, with --check")
    if options.check is None:
        raise UsageError("--crash needs --check: the command that looks at what is left")
    try:
        shown = read_bind(options.crash)
        disk = Disk(shown.host, shown.inside, options.check)
        found = run_crashes(_plan(options), disk, show_progress)
    except SyscallError as error:
        raise UsageError(f"cannot execute '{options.file}': {error.strerror}", 126) from error
    except (*REFUSALS, NoMain) as error:
        raise UsageError(str(error)) from error
    finally:
        clear_progress()
    tell(_told_crashes(found, options))
    return 1 if any(one.status for one in found) else 0


def _told_crashes(found: Sequence[Found], options: argparse.Namespace) -> list[str]:
    whole, *crashed = found
    lines = [
        f"without a crash: {whole.end.told()}; {_sound(whole.status, whole.told)}",
        f"writes: {len(crashed)}",
        "",
    ]
    if not crashed:
        lines.append("nothing was written there: nothing was tested")
    ends: dict[tuple[int, str], list[int]] = {}
    for one in crashed:
        ends.setdefault((one.status, one.told), []).append(one.at)
    for (status, told), at in sorted(ends.items(), key=lambda end: (not end[0][0], end[1])):
        bind = shlex.quote(f"{options.crash}:rw")
        lines.append(f"{len(at):6}  {_sound(status, told)}")
        lines.append(
            f"        pkern run --fail {DISK_WRITE}:{at[0]} --bind {bind} {command_of(options)}"
        )
    return lines


def _sound(status: int, told: str) -> str:
    last = f": {told.splitlines()[-1]}" if told else ""
    return f"unsound, status {status}{last}" if status else f"sound{last}"


def _sweep(plan: Plan, options: argparse.Namespace) -> Sweep:
    with elsewhere(options) as cluster:
        if cluster is None:
            return run_sweep(plan, _progress)
        return run_sweep_on(cluster, plan, [host_path_of(options)], _progress)


def _progress(done: int, replay: str) -> None:
    # How many there will be is known only when the program has ended.
    if sys.stderr.isatty():
        print(f"\r{done} ends {replay:60}", end="\r", file=sys.stderr, flush=True)


# ---- what is asked ----


def _plan(options: argparse.Namespace) -> Plan:
    rules = _rules(options.inject)
    if rules and options.fail != ALLOCATION:
        raise UsageError("--inject and --fail: one kind of failure at a time")
    if options.fail_exec and (rules or is_python(options.file)):
        raise UsageError("--fail-exec is for allocations and pages of a program in machine code")
    if is_python(options.file):
        rules = for_python(rules)
    return Plan(
        partial(machine, options),
        path_of(options),
        given_of(options),
        tuple(options.inject),
        rules,
        options.fail,
        Origin.EXEC if options.fail_exec else Origin.MAIN,
        wall_seconds(options),
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


def _told(sweep: Sweep, groups: Sequence[Group[str]], options: argparse.Namespace) -> list[str]:
    lines = [f"without a failure: {sweep.good.told()}", f"positions: {len(sweep.ends)}", ""]
    if not sweep.ends:
        lines.append("nothing that could have failed was asked for: nothing was tested")
    for group in groups:
        lines.append(f"{len(group.led):6}  {group.meaning.value}: {group.end.told()}")
        new = [what for what in group.end.left if what not in sweep.good.left]
        if new:
            lines.append(f"        left behind: {', '.join(new)}")
        lines.append(f"        pkern run {group.led[0]} {command_of(options)}")
    return lines


def _as_json(sweep: Sweep, groups: Sequence[Group[str]]) -> str:
    """Return {"good": end, "groups": [...]}: every position by its replay."""
    page = {
        "good": sweep.good.page(),
        "groups": [
            {"meaning": group.meaning.value, **group.end.page(), "replays": group.led}
            for group in groups
        ],
    }
    return json.dumps(page, indent=1) + "\n"
