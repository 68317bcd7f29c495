"""The bench: the host's kernel and ours in interleaved rounds, as ratios with a spread.

Owns the list of rows and their targets.  Called by userland/cli/main.py (`pkern bench`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from math import inf
from statistics import median

from pkern.userland.bench import start, suites
from pkern.userland.bench.growth import FACTOR, FEW, MOST_RATIO, TABLES, cost
from pkern.userland.bench.machine_code import (
    COUNTS,
    engine_note,
    host_program,
    our_program,
    qemu_note,
    qemu_program,
)
from pkern.userland.bench.programs import (
    core_c,
    host_c,
    host_mmap_python,
    mmap_python,
    remap_python,
)


class Unit(Enum):
    """What a row is measured in."""

    NS = ((1e3, "ns", 1), (1e6, "us", 1e3), (1e9, "ms", 1e6), (inf, "s", 1e9))
    BYTES = ((1 << 20, "KiB", 1 << 10), (inf, "MiB", 1 << 20))

    def text(self, value: float) -> str:
        """Return the value in the unit that reads best."""
        limits: tuple[tuple[float, str, float], ...] = self.value
        name, size = next((name, size) for limit, name, size in limits if value < limit)
        return f"{value / size:.2f} {name}"


Measure = Callable[[], float]
Progress = Callable[[int, int, str], None]
_MIN_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """What one row measures. host None: measured alone; target: a ratio, or else the most of ours.

    beside: what host measures: the host's kernel, or another design of ours. unit: what both
    return, nanoseconds or bytes. rounds: the fewest, for what one start in three would distort.
    """

    name: str
    host: Measure | None
    ours: Measure
    target: float | None
    beside: str = "host"
    unit: Unit = Unit.NS
    rounds: int = _MIN_ROUNDS


CASES = (
    Case("remap_file_pages, one page a call: Python, host C", partial(host_c, "remap"),
         remap_python, 7.0),
    Case("remap_file_pages, one page a call: C, host C", partial(host_c, "remap"),
         partial(core_c, "remap"), 50.0),
    Case("mmap+munmap of one page: Python, host Python", host_mmap_python, mmap_python, 2.0),
    Case("mmap+munmap of one page: C, host C", partial(host_c, "mmap"),
         partial(core_c, "mmap"), 8.0),
    Case("minor fault on a shared file page: C, host C", partial(host_c, "fault"),
         partial(core_c, "fault"), 8.0),
    Case("first touch of anonymous memory, pages used once: C, host C", partial(host_c, "touch"),
         partial(core_c, "touch"), 1.5),
    Case("first touch of anonymous memory, pages not yet backed: C, host C",
         partial(host_c, "touch"), partial(core_c, "touch_unbacked"), None),
    Case("fork+exit, 16,384 one-page VMAs: C, host C", partial(host_c, "fork"),
         partial(core_c, "fork"), 4.0),
    Case("truncate of a file mapped by 16,384 ptes: C, host C", partial(host_c, "truncate"),
         partial(core_c, "truncate"), 5.0),
    Case("translate, warm TLB: C", None, partial(core_c, "translate"), 5.0),
    Case("full walk of the page tables: C", None, partial(core_c, "walk"), 15.0),
)  # fmt: skip

BASE_DESIGN = "pte_chain"
DESIGN_OPERATIONS = {
    "reclaim of a page with 101 mappers among 10,100 VMAs": "unmap",
    "reclaim of 100,000 pages with one mapper, a page": "reclaim",
    "fork+exit with 60,000 file ptes": "fork_ptes",
}
DESIGN_CASES = tuple(
    Case(
        f"{name}: {design}",
        partial(core_c, operation, BASE_DESIGN),
        partial(core_c, operation, design),
        None,
        BASE_DESIGN,
    )
    for name, operation in DESIGN_OPERATIONS.items()
    for design in ("objrmap_tree", "objrmap", "virtual_scan")
)

GROWTH_CASES = tuple(
    Case(
        f"growth: {name}, {FEW:,} and {FEW * FACTOR:,}",
        partial(cost, name, FEW),
        partial(cost, name, FEW * FACTOR),
        round(1 / MOST_RATIO, 2),
        "few",
    )
    for name in TABLES
)

START_UP = "nothing"
# A loop of userland/programs/bench.c: its name, the target beside the host, and beside qemu-user.
LOOPS: dict[str, tuple[str, float | None, float | None]] = {
    START_UP: ("start-up of a static program", None, 1.5),
    "getppid": ("system-call loop", None, 0.9),
    "read": ("read of one byte, a call that Python serves", None, None),
    "mmap": ("mmap, touch, munmap of 16 pages", 3.0, 3.0),
    "fork": ("fork, exit, wait", None, 8.0),
    "exec": ("fork, execve, exit, wait", None, 3.0),
    "pipe": ("a call that blocks and is woken, two processes", None, None),
    "futex": ("switch between two threads by futex", None, 1.0),
    "threads": ("threads made and joined", None, None),
    "compute": ("compute loop", None, 0.6),
    "random-1m": ("random memory over 1 MB", None, None),
    "random-64m": ("random memory over 64 MB", None, 0.25),
}


def _program_cases(beside: str, other: Callable[[str, int], float]) -> tuple[Case, ...]:
    return tuple(
        Case(
            f"machine code: {name}, {COUNTS[loop]:,}",
            partial(other, loop, COUNTS[loop]),
            partial(our_program, loop, COUNTS[loop]),
            target_host if beside == "host" else target_qemu,
            beside,
        )
        for loop, (name, target_host, target_qemu) in LOOPS.items()
    )


PROGRAM_CASES = (
    Case("machine code: start-up alone", None, partial(our_program, START_UP, 1), 10e6),
    *_program_cases("host", host_program),
)
QEMU_CASES = _program_cases("qemu-user", qemu_program)

PYTHON = "python3 -c pass"
START_ROUNDS = 10
_start = partial(Case, rounds=START_ROUNDS)
START_CASES = (
    _start("start: processor time of pkern --help", start.python_time,
           partial(start.command_time, "--help"), 1 / 2.5, PYTHON),
    _start("start: processor time of pkern --version", start.python_time,
           partial(start.command_time, "--version"), 1 / 2.5, PYTHON),
)  # fmt: skip
START_RUN_CASES = (
    _start("start: processor time of pkern run ./true", start.python_time, start.run_time,
           1 / 4, PYTHON),
    _start("start: peak memory of pkern run ./true", None, start.run_memory, 32 << 20,
           unit=Unit.BYTES),
)  # fmt: skip
NR_SUITE, FEW_SUITE = 500, 100
SUITE_CASES = (
    Case(f"suite: one more program, {FEW_SUITE} and {4 * FEW_SUITE}",
         partial(suites.one_more, FEW_SUITE), partial(suites.one_more, 4 * FEW_SUITE),
         round(1 / MOST_RATIO, 2), "few"),
    Case("suite: one branch of a machine of 64 MB, 16 in use", None, suites.branch_time, 5e6),
    Case("suite: a sweep of 1,000 positions of a program of 10 ms", None, suites.sweep_time, 10e9),
)  # fmt: skip
SUITE_QEMU_CASES = (
    Case(f"suite: {NR_SUITE} runs of a static program, each on a fresh machine",
         partial(suites.qemu_time, NR_SUITE), partial(suites.suite_time, NR_SUITE), 1.0,
         "qemu-user"),
)  # fmt: skip
START_QEMU_CASES = (
    _start("start: processor time of pkern run ./true", start.qemu_time, start.run_time, None,
           "qemu-user"),
)  # fmt: skip


def cases_here(only: str = "") -> tuple[list[Case], list[str]]:
    """Return the rows that this host can measure and whose name contains only.

    The second list says which rows are left out, and why: sentences, empty if none is.
    """
    cases = [*CASES, *DESIGN_CASES, *GROWTH_CASES, *START_CASES]
    notes = []
    if note := engine_note():
        return _named(cases, only), [note]
    cases += [*PROGRAM_CASES, *START_RUN_CASES, *SUITE_CASES]
    if note := qemu_note():
        notes.append(note)
    else:
        cases += [*QEMU_CASES, *START_QEMU_CASES, *SUITE_QEMU_CASES]
    return _named(cases, only), notes


def _named(cases: Sequence[Case], only: str) -> list[Case]:
    return [case for case in cases if only in case.name]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result.

    host, ours: median for one operation, in machine code for the whole run (host None: measured
    alone), in the case's unit.
    ratio: median over the rounds of host / ours; low, high: its extremes (alone: of ours).
    target: the least ratio wanted; alone, the most of ours; None: only reported.
    beside: what the column host is.
    """

    name: str
    host: float | None
    ours: float
    ratio: float | None
    low: float
    high: float
    target: float | None
    beside: str = "host"
    unit: Unit = Unit.NS

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.target is None:
            return None
        return self.ours <= self.target if self.ratio is None else self.ratio >= self.target


def run_bench(
    rounds: int = 3,
    progress: Progress | None = None,
    cases: Sequence[Case] = (*CASES, *DESIGN_CASES),
) -> list[Row]:
    """Measure the cases in turn, each once in a round, and return a row for each.

    rounds: at least 3; a case that wants more takes part in more. progress: called with (step, all
    steps, name) before each measurement.
    Errors: ValueError, NoCompiler, WrongAnswer.
    """
    if rounds < _MIN_ROUNDS:
        raise ValueError(f"a spread needs at least {_MIN_ROUNDS} rounds")
    times: list[list[tuple[float | None, float]]] = [[] for _ in cases]
    most = max((case.rounds for case in cases), default=0)
    turns = [
        (number, case)
        for turn in range(max(rounds, most))
        for number, case in enumerate(cases)
        if turn < max(rounds, case.rounds)
    ]
    for step, (number, case) in enumerate(turns):
        if progress is not None:
            progress(step, len(turns), case.name)
        times[number].append((case.host() if case.host else None, case.ours()))
    return [_row(case, measured) for case, measured in zip(cases, times, strict=True)]


def _row(case: Case, measured: Sequence[tuple[float | None, float]]) -> Row:
    ours = [our for _, our in measured]
    hosts = [host for host, _ in measured if host is not None]
    if not hosts:
        low, high = min(ours), max(ours)
        return Row(case.name, None, median(ours), None, low, high, case.target, unit=case.unit)
    ratios = [host / our for host, our in zip(hosts, ours, strict=True)]
    return Row(
        case.name,
        median(hosts),
        median(ours),
        median(ratios),
        min(ratios),
        max(ratios),
        case.target,
        case.beside,
        case.unit,
    )


def as_json(rows: Sequence[Row]) -> str:
    """Write rows as {"rows": [{"name", "host", "ours", "ratio", "target"}]}, times in ns."""
    values = [
        {
            "name": row.name,
            "host": row.host,
            "ours": row.ours,
            "ratio": row.ratio,
            "target": row.target,
        }
        for row in rows
    ]
    return json.dumps({"rows": values}, indent=2) + "\n"


def as_markdown(rows: Sequence[Row]) -> str:
    """Write rows as a Markdown table with the spread and whether the target is met."""
    tables = []
    for beside in dict.fromkeys(row.beside for row in rows):
        lines = [
            f"| operation | {beside} | ours | {beside} / ours (spread) | target | met |",
            "|---|---:|---:|---:|---:|---|",
        ]
        tables.append([*lines, *(_markdown_row(row) for row in rows if row.beside == beside)])
    return "\n\n".join("\n".join(lines) for lines in tables) + "\n"


def _markdown_row(row: Row) -> str:
    host = "-" if row.host is None else row.unit.text(row.host)
    if row.ratio is None:
        figure = f"({row.unit.text(row.low)} - {row.unit.text(row.high)})"
        target = "-" if row.target is None else f"<= {row.unit.text(row.target)}"
    else:
        figure = f"{row.ratio:.2f} ({row.low:.2f}-{row.high:.2f})"
        target = "-" if row.target is None else f">= {row.target:g}"
    met = {True: "yes", False: "**no**", None: "-"}[row.met]
    return f"| {row.name} | {host} | {row.unit.text(row.ours)} | {figure} | {target} | {met} |"
