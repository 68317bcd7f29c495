"""What was compared, in a file that survives whoever wrote it.

Owns the form of `pkern conform --record FILE`: a line of JSON for each part of a run, appended when
the part has ended.  A run that is started again with the same file leaves out what stands there.
Called by the command line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pkern import __version__
from pkern.userland.conform.report import Report
from pkern.userland.conform.run import Part


class NoRecord(ValueError):
    """A file that is no record."""


class Recorded(NamedTuple):
    """A line: a part, by which pkern and beside which Linux, and what of it diverged."""

    part: Part
    pkern: str
    linux: str
    diverged: tuple[int, ...]
    unrepeated: tuple[int, ...]

    @property
    def ok(self) -> bool:
        """Whether no sequence diverged."""
        return not self.diverged


def line_of(report: Report, part: Part) -> str:
    """Return what is recorded of a part."""
    values = {
        **part._asdict(),
        "diverged": [failure.index for failure in report.failures],
        "unrepeated": list(report.unrepeated),
        "allowed": sum(report.allowed.values()),
        "pkern": __version__,
        "linux": os.uname().release,
    }
    return json.dumps(values) + "\n"


class Record:
    """A file of lines; those of another pkern or another Linux are kept, and count for nothing.

    Errors: NoRecord, OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_text() if path.exists() else ""
        lines = text.splitlines()
        found = [self._read(number, line) for number, line in enumerate(lines, 1)]
        here = __version__, os.uname().release
        self.known = [one for one in found if (one.pkern, one.linux) == here]

    def _read(self, number: int, line: str) -> Recorded:
        try:
            values: dict[str, Any] = json.loads(line)
            part = Part(*(values[name] for name in Part._fields))
            numbers = (tuple(values[name]) for name in ("diverged", "unrepeated"))
            return Recorded(part, values["pkern"], values["linux"], *numbers)
        except (ValueError, KeyError, TypeError) as error:
            raise NoRecord(f"{self._path}, line {number}: no line of a record") from error

    def known_of(self, parts: Sequence[Part]) -> list[Recorded]:
        """Return what stood there of these parts when the file was read."""
        wanted = set(parts)
        return [one for one in self.known if one.part in wanted]

    def missing(self, parts: Sequence[Part]) -> list[Part]:
        """Return the parts that did not stand there."""
        known = {one.part for one in self.known}
        return [part for part in parts if part not in known]

    def add(self, report: Report, part: Part) -> None:
        """Append a part that has been run to its end. One write: several may share a file."""
        with self._path.open("a") as file:
            file.write(line_of(report, part))
