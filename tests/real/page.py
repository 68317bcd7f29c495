"""docs/realprograms.md: the results of a run, in words."""

from __future__ import annotations

import platform
from itertools import zip_longest

from tests.real.run import KILLED, Result, Run, ended, failed
from tests.real.table import CPYTHON

HEAD = """\
# Real programs

Programs as Debian {debian} has them, unmodified, natively on Linux {linux} and in a machine of
pkern's on the same files (`pkern run --root / --overlay`). *works*: the same output and the same
exit status. {works} of {count} work. `make realprograms` installs what is missing, runs all and
writes this page (root; about {minutes} minutes here{parts}, beside other work of the host).

Times are processor time: the program's natively, all of pkern's here, its start included. Faults
(minor + major) are those of the whole machine, VMAs the most that one process had at once; swapped
are the pages that it wrote to its swap and read from there.

| program | version | | native | here | VMAs | faults | swapped |
|---|---|---|--:|--:|--:|--:|--:|
"""
CPYTHONS = """
## CPython's own tests

From Debian's test suite; what else is left out leaves itself out natively, too.

| module | natively | here | fails here alone | fails natively alone |
|---|---|---|---|---|
"""
WHAT = "\n## What is run\n\n"


def _counted(facts: dict[str, dict[str, int]]) -> tuple[str, str, str]:
    machine = facts.get("machine")
    if not machine:
        return "", "", ""
    minor = machine["pgfault"] - machine["pgmajfault"]
    swapped = f"{machine['pswpout']:,} + {machine['pswpin']:,}" if machine["pswpout"] else ""
    return f"{machine['most_vmas']:,}", f"{minor:,} + {machine['pgmajfault']:,}", swapped


def obstacle(result: Result) -> str:
    """Return in words what a program met that does not work: the first difference it shows."""
    here, there = result.native, result.machine
    if here is None or there is None:
        return f"not run: {result.missing}"
    if here.status or not here.out.strip():
        return f"fails natively, too (status {here.status}): {_last(here)}"
    if there.facts.get("reason"):
        return str(there.facts["reason"]).splitlines()[0]
    if there.status == KILLED:
        return f"did not end in {result.program.wall} s of processor time"
    if not result.differs:
        return f"as natively, but too few: {', '.join(result.too_few)}"
    lines = zip_longest(there.out.splitlines(), here.out.splitlines(), fillvalue="")
    shown = next((f"`{a}` for `{b}`" for a, b in lines if a != b), f"status {there.status}")
    missing = [line.partition("] ")[2] for line in there.facts.get("log", []) if "missing" in line]
    return "; ".join([shown, *missing[:1], *filter(None, [_last(there)])])


def _last(run: Run) -> str:
    lines = run.err.strip().splitlines()
    return lines[-1][:160] if lines else ""


def row(result: Result) -> str:
    """Return a program's line of the table."""
    counted, native, here = ("", "", ""), "", ""
    if result.native and result.machine:
        native, here = f"{result.native.seconds:.2f} s", f"{result.machine.seconds:.2f} s"
        counted = _counted(result.machine.facts)
    outcome = "works" if result.works else obstacle(result).replace("|", "\\|")
    cells = (result.program.name, result.version, outcome, native, here, *counted)
    return "| " + " | ".join(cells) + " |\n"


def own_tests(results: list[Result]) -> str:
    """Return the table of CPython's own tests, or nothing if none were run."""
    rows = ""
    for result in results:
        here, there = result.native, result.machine
        if not result.program.counts_tests or here is None or there is None:
            continue
        module = result.program.name.removeprefix(CPYTHON)
        passed = (ended(run) or "no end" for run in (here, there))
        ours, theirs = failed(there), failed(here)
        alone = (
            [one for one in ours if one not in theirs],
            [one for one in theirs if one not in ours],
        )
        rows += f"| {' | '.join([module, *passed, *(', '.join(names) for names in alone)])} |\n"
    return CPYTHONS + rows if rows else ""


def page(results: list[Result], seconds: float, runs: int) -> str:
    """Return the page. seconds: of the host's time, that all have taken in so many runs."""
    works = sum(result.works for result in results)
    debian = platform.freedesktop_os_release().get("VERSION_ID", "?")
    linux = platform.release().split("-")[0]
    head = HEAD.format(
        debian=debian,
        linux=linux,
        works=works,
        count=len(results),
        minutes=round(seconds / 60) or 1,
        parts=f" in {runs} parts" if runs > 1 else "",
    )
    text = head + "".join(map(row, results)) + own_tests(results) + WHAT
    for result in results:
        program = result.program
        options = f", `{' '.join(program.options)}`" if program.options else ""
        text += f"* **{program.name}** ({program.packages}{options}): {program.what}\n"
    return text
