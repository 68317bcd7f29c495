"""Exploring from the command line: which schedules are asked for, what is told of them."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from pkern.kernel.branch import NotBranchable
from pkern.kernel.cpu.processor import ProcessorUnavailable
from pkern.kernel.errors import SyscallError
from pkern.kernel.numbers import counted
from pkern.kernel.state import NotHashable
from pkern.userland.cli.many.elsewhere import elsewhere
from pkern.userland.cli.many.explore_races import told_races
from pkern.userland.cli.options import UsageError, check_writable, write_result
from pkern.userland.cli.program.prepared import (
    command_of,
    given_of,
    host_path_of,
    machine,
    path_of,
    wall_seconds,
)
from pkern.userland.cluster.share import Elsewhere
from pkern.userland.engine import CpuUnavailable
from pkern.userland.explore.elsewhere import run_each, run_tree
from pkern.userland.explore.points import CAN_BE_TRACED, Also, Preempt, Strategy
from pkern.userland.explore.recording import Recording
from pkern.userland.explore.run import Plan, Ran, Session, never, priorities, uniform
from pkern.userland.explore.shrink import Shrunk, shrunk
from pkern.userland.given import NotGiven
from pkern.userland.harness import NoEnd, is_python
from pkern.userland.sweep.ends import End, Group, Meaning, by_itself, grouped, meaning
from pkern.userland.tables import clear_progress, show_progress, tell

FINDINGS = frozenset({Meaning.CRASHES, Meaning.HANGS, Meaning.REPORTS})
TREES = frozenset({"bounded", "exhaustive", "states"})

Schedule = tuple[int, Ran]  # its number, from 1


def run(options: argparse.Namespace) -> int:
    """Explore; 1 if there is a finding."""
    check_writable(options.save, options.json)
    with refusing(options):
        return _explore(options)


@contextmanager
def refusing(options: argparse.Namespace) -> Iterator[None]:
    """A context in which what cannot be run in another order is a UsageError."""
    if is_python(options.file):
        raise UsageError("a program in Python drives its tasks itself: explore takes machine code")
    try:
        yield
    except SyscallError as error:
        raise UsageError(f"cannot execute '{options.file}': {error.strerror}", 126) from error
    except NotHashable as error:
        raise UsageError(f"--strategy states cannot tell its states apart: {error}") from error
    except (CpuUnavailable, NoEnd, NotBranchable, NotGiven, ProcessorUnavailable) as error:
        raise UsageError(str(error)) from error


def _need_compatible(options: argparse.Namespace) -> None:
    """Refuse options that exclude each other. Errors: UsageError."""
    if options.strategy == "dpor" and Preempt(options.preempt) not in CAN_BE_TRACED:
        raise UsageError("dpor follows accesses to memory: --preempt never, calls or memory")
    in_steps = [f"--{what.value}" for what in _also(options)]
    if in_steps and (options.races or options.strategy in {"dpor", "states"}):
        words = "cuts steps in the middle: bounded, exhaustive, random or pct, without --races"
        raise UsageError(f"{in_steps[0]} {words}")
    if options.races and Preempt(options.preempt) is not Preempt.MEMORY:
        raise UsageError("races are looked for in each access to memory: --preempt memory")
    if options.dask and options.strategy in {"dpor", "states"}:
        words = "goes on from what it has found: bounded, exhaustive, random or pct"
        raise UsageError(f"--dask: {options.strategy} {words}")


def _explore(options: argparse.Namespace) -> int:
    _need_compatible(options)
    with Session(_plan(options)) as session, elsewhere(options) as cluster:
        usual = session.usual()
        if options.first:
            session.plan = session.plan._replace(enough=partial(_is_finding, usual.end))
        all_ran = session.explored(lambda: _schedules(session, usual, options, cluster))
        clear_progress()
        session.plan = session.plan._replace(enough=never)
        groups = _grouped(all_ran, usual)
        findings = [group for group in groups if group.meaning in FINDINGS]
        shortest = [_shrunk(session, group, options) for group in findings]
        clear_progress()
        races = told_races(session, all_ran, options) if options.races else []
    more = _left_out(session, options)
    tell([*_told(usual, all_ran, groups, findings, shortest, more), *races])
    if options.json:
        write_result(options.json, _as_json(usual, groups))
    if options.save and shortest:
        recording = Recording.of(session.plan, command_of(options), shortest[0].ran)
        write_result(options.save, recording.text())
        print(f"pkern replay {shlex.quote(options.save)}")
    return 1 if findings or any(ran.races for ran in all_ran) else 0


def _left_out(session: Session, options: argparse.Namespace) -> list[str]:
    """Say which schedules were not run to their end, and why."""
    told = []
    if session.cut and not options.first:
        told.append(f"there are more: --{session.cut} has ended it")
    if session.given_up:
        told.append(f"given up, as they went on like others: {session.given_up}")
    return told


def _also(options: argparse.Namespace) -> tuple[Also, ...]:
    return tuple(what for what in Also if getattr(options, what.value))


def _plan(options: argparse.Namespace) -> Plan:
    return Plan(
        partial(machine, options),
        path_of(options),
        given_of(options),
        Preempt(options.preempt),
        max(1, options.budget),
        wall_seconds(options),
        options.jobs or None,
        traced=options.races or options.strategy == "dpor",
        races=options.races,
        merges=options.strategy == "states",
        also=_also(options),
    )


def _schedules(
    session: Session, usual: Ran, options: argparse.Namespace, cluster: Elsewhere | None
) -> Iterator[Ran]:
    """Give what came of the schedules that are asked for, in a fixed order."""
    files = [host_path_of(options)]
    if options.strategy in TREES:
        bound = options.bound if options.strategy == "bounded" else None
        if cluster is None:
            yield from session.run_tree(bound)
        else:
            yield from run_tree(cluster, session.plan, bound, files)
        return
    if options.strategy == "dpor":
        yield from session.run_orders()
        return
    strategies: Iterator[Strategy] = uniform(options.seed, options.budget)
    if options.strategy == "pct":
        depth = max(1, options.depth)
        strategies = priorities(options.seed, options.budget, depth, usual.points)
    ended = {}
    running = (
        session.run_each(strategies)
        if cluster is None
        else run_each(cluster, session.plan, strategies, files)
    )
    for done, (number, ran) in enumerate(running, start=1):
        ended[number] = ran
        show_progress(done, options.budget)
    yield from (ended[number] for number in sorted(ended))


def _shrunk(session: Session, group: Group[Schedule], options: argparse.Namespace) -> Shrunk:
    """Return the shortest schedule of a group, made shorter. It is shown how far that is."""

    def progress(tried: int, best: Ran) -> None:
        words = f"shorter schedules tried; now preempted {counted(best.switches, 'time')}"
        show_progress(tried, options.shrink, words)

    shortest = min((ran for _, ran in group.led), key=lambda ran: (ran.switches, len(ran.choices)))
    return shrunk(session, shortest, options.shrink, progress)


def _grouped(all_ran: Sequence[Ran], usual: Ran) -> list[Group[Schedule]]:
    numbered = enumerate(all_ran, start=1)
    ends = (((number, ran), ran.end) for number, ran in numbered)
    return grouped(ends, partial(_meaning, usual=usual.end))


def _meaning(end: End, usual: End) -> Meaning:
    """Return what an end means; a program that always fails is a finding, too."""
    found = meaning(end, usual)
    return by_itself(end) if found is Meaning.SURVIVES else found


def _is_finding(usual: End, end: End) -> bool:
    return _meaning(end, usual) in FINDINGS


def _told(
    usual: Ran,
    all_ran: Sequence[Ran],
    groups: Sequence[Group[Schedule]],
    findings: Sequence[Group[Schedule]],
    shortest: Sequence[Shrunk],
    more: Sequence[str],
) -> list[str]:
    lines = [f"the usual schedule: {usual.end.told()} ({usual.points} points)"]
    lines.append(f"schedules: {len(all_ran)}")
    lines += [*more, ""]
    for group in groups:
        lines.append(f"{len(group.led):6}  {group.meaning.value}: {group.end.told()}")
        if group in findings:
            least = _choices(shortest[findings.index(group)])
            lines.append(f"        first in schedule {group.led[0][0]}; {least}")
    return lines


def _choices(shortest: Shrunk) -> str:
    ran = shortest.ran
    if not ran.choices:
        return "it needs no other order than the usual one"
    shown = ", ".join(f"{point}:{answer}" for point, answer in ran.choices)
    times = "once" if ran.switches == 1 else f"{ran.switches} times"
    least = "the least that it needs" if shortest.is_least else "what --shrink has left of it"
    return f"{least}, point:task: {shown} (preempted {times})"


def _as_json(usual: Ran, groups: Sequence[Group[Schedule]]) -> str:
    """Return {"usual": schedule, "groups": [...]}."""
    page = {
        "usual": _page(usual),
        "groups": [
            {
                "meaning": group.meaning.value,
                "first": group.led[0][0],
                "ran": [_page(ran) for _, ran in group.led],
            }
            for group in groups
        ],
    }
    return json.dumps(page, indent=1) + "\n"


def _page(ran: Ran) -> dict[str, object]:
    told = {**ran._asdict(), "end": ran.end.page()}
    del told["blocks"]  # the choices say the same
    told["races"] = [[site._asdict() for site in race] for race in ran.races]
    return told
