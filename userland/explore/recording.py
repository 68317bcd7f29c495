"""A schedule in a file: all that is needed to have the same run once more, and its end."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import NamedTuple

from pkern.userland.explore.points import Also, Choices, Preempt
from pkern.userland.explore.run import Plan, Ran
from pkern.userland.sweep.ends import End

VERSION = 1


class BadRecording(ValueError):
    """A file that is no recording; the text says so."""


def _number(what: object, least: int) -> int:
    """Return what a file has as a number of 64 bits. Errors: ValueError."""
    if not isinstance(what, int) or not least <= what < 1 << 64:
        raise ValueError(what)
    return what


class Recording(NamedTuple):
    """command: what stands behind `pkern run`; status, reason, out, err: how it ended."""

    preempt: Preempt
    shared: tuple[int, ...]
    command: str
    choices: Choices
    end: End
    also: tuple[Also, ...] = ()

    @classmethod
    def of(cls, plan: Plan, command: str, ran: Ran) -> Recording:
        """Return the recording of a schedule that has been run."""
        return cls(plan.preempt, plan.shared, command, ran.choices, ran.end, plan.also)

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Return what a file holds. Errors: BadRecording, OSError."""
        try:
            page = json.loads(path.read_text())
            if page["version"] != VERSION:
                raise BadRecording(f"'{path}' is a recording of version {page['version']}")
            end = page["end"]
            return cls(
                Preempt(page["preempt"]),
                tuple(_number(page, 0) for page in page["shared"]),
                shlex.join(shlex.split(page["command"])),
                tuple((_number(point, 1), _number(answer, 1)) for point, answer in page["choices"]),
                End(
                    int(end["status"]),
                    end["signal"],
                    end["reason"],
                    bytes.fromhex(end["out"]),
                    bytes.fromhex(end["err"]),
                    tuple(end["left"]),
                ),
                tuple(what for what in Also if page.get(what.value) is True),
            )
        except BadRecording:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadRecording(f"'{path}' is no recording of a schedule") from error

    def text(self) -> str:
        """Return what read() reads."""
        end = self.end._asdict()
        end["out"], end["err"] = self.end.out.hex(), self.end.err.hex()
        page = {
            "version": VERSION,
            "command": self.command,
            "preempt": self.preempt.value,
            "shared": self.shared,
            **{what.value: what in self.also for what in Also},
            "choices": self.choices,
            "end": end,
        }
        return json.dumps(page, indent=1) + "\n"
