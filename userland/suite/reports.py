"""What a suite tells: lines on the terminal, JUnit's XML, TAP, JSON.

Owns the result of one program on one machine, and the file of expected failures.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from pkern.kernel.numbers import counted
from pkern.userland.suite.verdicts import BAD, EXPECTED, SubCase, Verdict
from pkern.userland.suite.work import Outcome

TAIL_LINES = 20
NS = 1_000_000_000
# What XML 1.0 cannot hold, whatever the encoding.
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Result(NamedTuple):
    """One program on one machine. outcome None: it had none. sub: the cases that it told of."""

    name: str
    row: str
    verdict: Verdict
    reason: str | None
    outcome: Outcome | None
    sub: tuple[SubCase, ...] = ()

    @property
    def key(self) -> str:
        """Its name, with its machine where there are several: what files of names hold."""
        return f"{self.name} [{self.row}]" if self.row else self.name

    @property
    def seconds(self) -> float:
        """What it took by the host's clock."""
        return self.outcome.seconds if self.outcome else 0.0


# ---- expected failures ----


def read_expected(path: Path) -> tuple[str, ...]:
    """Return the patterns of a file: one a line, as reports name a case; # begins a comment."""
    text = path.read_text(encoding="utf-8", errors="surrogateescape")  # names are any bytes
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def judged(result: Result, expected: Sequence[str]) -> Result:
    """Return a result as it counts where some are expected to fail."""
    if not any(_is_named(result, pattern) for pattern in expected):
        return result
    return result._replace(verdict=EXPECTED.get(result.verdict, result.verdict))


def _is_named(result: Result, pattern: str) -> bool:
    # The brackets of a machine's label are no set of characters.
    pattern = pattern.replace("[", "[[]")
    return fnmatchcase(result.name, pattern) or fnmatchcase(result.key, pattern)


def failed_before(path: Path) -> frozenset[str]:
    """Return the keys of what failed in an earlier run, from its JSON. Errors: ValueError."""
    try:
        page = json.loads(path.read_text())
        results = page["results"]
        bad = {verdict.value for verdict in BAD}
        return frozenset(entry["key"] for entry in results if entry["verdict"] in bad)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"'{path}' is no page that --json has written") from error


# ---- the terminal ----


def told(result: Result) -> list[str]:
    """Return the lines that say how one ended: of a failure, with the end of what it wrote."""
    reason = f": {result.reason}" if result.reason else ""
    lines = [f"{result.verdict.value.upper():8} {result.key}{reason}"]
    if result.verdict not in BAD:
        return lines
    lines += [f"    {sub.verdict.value}: {sub.name}" for sub in result.sub if sub.verdict in BAD]
    if result.outcome is not None:
        for name, data in (("out", result.outcome.out), ("err", result.outcome.err)):
            text = data.decode(errors="replace").splitlines()[-TAIL_LINES:]
            lines += [f"    {name}| {line}" for line in text]
        lines += [f"    log| {line}" for line in result.outcome.log[-TAIL_LINES:]]
    return lines


def summary(results: Sequence[Result], seconds: float) -> str:
    """Return the last line: how many there were of each verdict."""
    counts = Counter(result.verdict for result in results)
    words = ", ".join(
        f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]
    )
    return f"{counted(len(results), 'run')} in {seconds:.1f} s: {words or 'nothing'}"


# ---- files ----


def as_json(results: Iterable[Result]) -> str:
    """Return {"results": [...]}: times in virtual nanoseconds and in seconds of the host."""
    return json.dumps({"results": [_entry(result) for result in results]}, indent=1) + "\n"


def _entry(result: Result) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "key": result.key,
        "name": result.name,
        "machine": result.row,
        "verdict": result.verdict.value,
        "reason": result.reason,
        "cases": [
            {"name": sub.name, "verdict": sub.verdict.value, "text": sub.text} for sub in result.sub
        ],
    }
    if result.outcome is not None:
        entry |= {
            "status": result.outcome.status,
            "signal": result.outcome.signal,
            "virtual_ns": result.outcome.virtual_ns,
            "seconds": round(result.outcome.seconds, 6),
            "out": result.outcome.out.decode(errors="replace"),
            "err": result.outcome.err.decode(errors="replace"),
            "log": list(result.outcome.log),
        }
    return entry


def as_tap(results: Sequence[Result]) -> str:
    """Return the results as TAP, version 14."""
    lines = ["TAP version 14", f"1..{len(results)}"]
    for number, result in enumerate(results, start=1):
        passed = result.verdict not in BAD and result.verdict is not Verdict.XFAIL
        directive = _DIRECTIVES.get(result.verdict, "")
        name = result.key.replace("\\", "\\\\").replace("#", "\\#")
        lines.append(f"{'ok' if passed else 'not ok'} {number} - {name}{directive}")
        if result.reason and not passed:
            lines += [f"  # {line}" for line in result.reason.splitlines()]
    return "\n".join(lines) + "\n"


_DIRECTIVES = {
    Verdict.SKIP: " # SKIP",
    Verdict.XFAIL: " # TODO expected to fail",
}
# Verdict -> the element that JUnit has for it; a pass has none.
_ELEMENTS = {
    Verdict.FAIL: "failure",
    Verdict.XPASS: "failure",
    Verdict.TIMEOUT: "failure",
    Verdict.ERROR: "error",
    Verdict.SKIP: "skipped",
    Verdict.XFAIL: "skipped",
}


def as_junit(results: Sequence[Result]) -> str:
    """Return the results as JUnit's XML: a test suite for each machine."""
    from xml.etree import ElementTree as Xml

    root = Xml.Element("testsuites")
    for row, group in groupby(results, key=lambda result: result.row):
        cases = [case for result in group for case in _junit_cases(result)]
        kinds = Counter(element for case in cases for element in (case["element"],))
        suite = Xml.SubElement(
            root,
            "testsuite",
            name=row or "pkern",
            tests=str(len(cases)),
            failures=str(kinds["failure"]),
            errors=str(kinds["error"]),
            skipped=str(kinds["skipped"]),
            time=f"{sum(case['seconds'] for case in cases):.6f}",
        )
        for case in cases:
            _add_junit_case(suite, case)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _junit_cases(result: Result) -> Iterator[Mapping[str, Any]]:
    """Give a program's cases: those it told of, and itself where they do not say how it ended."""
    outcome = result.outcome
    for number, sub in enumerate(_told_cases(result)):
        told_by = outcome if number == 0 else None  # not by each: the output is that of all
        yield {
            "element": _ELEMENTS.get(sub.verdict, ""),
            "name": sub.name,
            "classname": result.name if result.sub else (result.row or "pkern"),
            "text": sub.text or sub.verdict.value,
            "seconds": 0.0 if result.sub else result.seconds,
            "out": told_by.out.decode(errors="replace") if told_by else "",
            "err": told_by.err.decode(errors="replace") if told_by else "",
        }


def _told_cases(result: Result) -> Sequence[SubCase]:
    own = SubCase(result.name, result.verdict, result.reason or "")
    are_bad = any(sub.verdict in BAD for sub in result.sub)
    if result.verdict is Verdict.XFAIL and are_bad:
        return [
            sub._replace(verdict=Verdict.XFAIL) if sub.verdict in BAD else sub for sub in result.sub
        ]
    if not result.sub or (result.verdict in BAD and not are_bad):
        return [*result.sub, own]
    return result.sub


def _add_junit_case(suite: Any, case: Mapping[str, Any]) -> None:
    from xml.etree import ElementTree as Xml

    element = Xml.SubElement(
        suite,
        "testcase",
        name=_xml(case["name"]),
        classname=_xml(case["classname"]),
        time=f"{case['seconds']:.6f}",
    )
    if case["element"]:
        Xml.SubElement(element, case["element"], message=_xml(case["text"]))
    for name, text in (("system-out", case["out"]), ("system-err", case["err"])):
        if text:
            Xml.SubElement(element, name).text = _xml(text)


def _xml(text: str) -> str:
    return NO_XML.sub("\ufffd", text)
