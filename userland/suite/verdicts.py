"""What the end of a program means to a suite: passed, failed, skipped.

Owns the conventions for exit statuses, and for outputs that tell of several cases in one program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple


class Verdict(Enum):
    """The value is the word in reports."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    XFAIL = "expected failure"
    XPASS = "unexpected pass"
    ERROR = "error"
    TIMEOUT = "timeout"


BAD = frozenset({Verdict.FAIL, Verdict.XPASS, Verdict.ERROR, Verdict.TIMEOUT})
EXPECTED = {Verdict.FAIL: Verdict.XFAIL, Verdict.PASS: Verdict.XPASS}

Convention = Callable[[int], Verdict]


def _table(others: dict[int, Verdict]) -> Convention:
    """Return a convention: 0 passes, some statuses mean something, any other is a failure."""
    known = {0: Verdict.PASS, **others}
    return lambda status: known.get(status, Verdict.FAIL)


# Bits of an exit status that the Linux Test Project's programs set; 4 (warning) spoils nothing.
_LTP = ((2, Verdict.ERROR), (1, Verdict.FAIL), (32, Verdict.SKIP), (64, Verdict.FAIL))


def _ltp(status: int) -> Verdict:
    if status >= 128:
        return Verdict.FAIL  # a signal
    return next((verdict for bit, verdict in _LTP if status & bit), Verdict.PASS)


# By name, as --exit-status takes it.
CONVENTIONS: dict[str, Convention] = {
    "plain": _table({}),
    "automake": _table({77: Verdict.SKIP, 99: Verdict.ERROR}),
    "kselftest": _table({2: Verdict.XFAIL, 3: Verdict.XPASS, 4: Verdict.SKIP}),
    "ltp": _ltp,
}


class SubCase(NamedTuple):
    """One of the cases that a program's output tells of."""

    name: str
    verdict: Verdict
    text: str = ""


# ---- TAP ----

MOST_LACKING = 10_000  # of a plan, each told by itself: a program may write any number
MOST_DIGITS = 18

_TAP = re.compile(
    r"^(?P<not>not )?ok\b[ \t]*(?P<number>\d+)?[ \t]*-?[ \t]*(?P<name>.*?)[ \t]*"
    r"(?:(?<!\\)#[ \t]*(?P<directive>skip|todo)\b[ \t]*(?P<why>.*))?$",
    re.IGNORECASE,
)
_PLAN = re.compile(r"^1\.\.(\d+)")
_BAIL = re.compile(r"^Bail out!\s*(.*)")


def read_tap(output: str) -> list[SubCase]:
    """Return the cases of a TAP stream, versions 12 to 14; what is missing of its plan failed."""
    cases, planned = [], None
    for line in output.splitlines():
        if plan := _PLAN.match(line):
            planned = int(plan[1][:MOST_DIGITS])
        elif bail := _BAIL.match(line):
            cases.append(SubCase("Bail out!", Verdict.ERROR, bail[1]))
            return cases
        elif found := _TAP.match(line):
            cases.append(_tap_case(found, len(cases) + 1))
    return [*cases, *_lacking(len(cases) + 1, planned or 0)]


def _lacking(first: int, last: int) -> list[SubCase]:
    """Return the cases that did not run, or one that stands for all where they are very many."""
    numbers = range(first, last + 1)
    names = map(str, numbers) if last - first < MOST_LACKING else [f"{first} to {last}"]
    return [SubCase(name, Verdict.ERROR, "did not run") for name in names]


def _tap_case(found: re.Match[str], number: int) -> SubCase:
    passed = not found["not"]
    verdict = Verdict.PASS if passed else Verdict.FAIL
    match (found["directive"] or "").lower():
        case "skip":
            verdict = Verdict.SKIP
        case "todo":
            verdict = Verdict.XPASS if passed else Verdict.XFAIL
    name = re.sub(r"\\([\\#])", r"\1", found["name"])
    return SubCase(name or found["number"] or str(number), verdict, found["why"] or "")


# ---- GoogleTest ----

_GTEST = re.compile(r"^\[ *(?P<what>RUN|OK|FAILED|SKIPPED) *\] (?P<name>\S+?\.\S+?)(?:[ ,]|$)")
_GTEST_ENDS = {"OK": Verdict.PASS, "FAILED": Verdict.FAIL, "SKIPPED": Verdict.SKIP}


def read_gtest(output: str) -> list[SubCase]:
    """Return the cases that GoogleTest tells of; one that began and did not end is an error."""
    return list(_gtest_cases(output))


def _gtest_cases(output: str) -> Iterator[SubCase]:
    running: str | None = None
    text: list[str] = []
    for line in output.splitlines():
        found = _GTEST.match(line)
        if found and found["what"] == "RUN":
            running, text = found["name"], []
        elif found and running is not None and found["name"] == running:
            yield SubCase(running, _GTEST_ENDS[found["what"]], "\n".join(text))
            running = None
        elif running is not None:
            text.append(line)
    if running is not None:
        yield SubCase(running, Verdict.ERROR, "\n".join([*text, "it did not end"]))


# By name, as --cases takes it.
READERS: dict[str, Callable[[str], list[SubCase]]] = {"tap": read_tap, "gtest": read_gtest}
