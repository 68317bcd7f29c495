"""What a run of the oracle found, and how it is told.

Called by run.py, which fills it, and by the command line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pkern.kernel.numbers import counted
from pkern.userland.conform.cprogram import c_program
from pkern.userland.conform.differences import Divergence


@dataclass(frozen=True, slots=True)
class Failure:
    """A sequence on which the two kernels disagree, made short."""

    seed: int
    index: int
    divergence: Divergence

    @property
    def program(self) -> str:
        """The shortest sequence as a C program that runs on the host."""
        title = f"pkern conform: sequence {self.index} of seed {self.seed}"
        return c_program(self.divergence.calls, title)

    @property
    def text(self) -> str:
        """The sequence, what differs, and the C program."""
        return f"{self}\n\n{self.program}"

    def __str__(self) -> str:
        lines = [f"sequence {self.index} of seed {self.seed}, made short:"]
        for at, call in enumerate(self.divergence.calls):
            lines.append(f"  {at}: {call}")
        return "\n".join([*lines, str(self.divergence)])


@dataclass(frozen=True, slots=True)
class Report:
    """What a run compared and found.

    sequences, calls: how many ran. tally: outcomes of the host by kind. allowed: how often each
    row of the table of differences applied, by its reason. unrepeated: sequences that differed
    once and agreed when both kernels ran them again: what else ran on the host had a hand in it.
    """

    seed: int
    sequences: int
    calls: int
    tally: dict[str, int]
    allowed: dict[str, int]
    failures: tuple[Failure, ...]
    unrepeated: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no sequence diverged."""
        return not self.failures

    @property
    def summary(self) -> str:
        """What was run and how it ended, in lines, without the failures themselves."""
        lines = [
            f"seed {self.seed}: {counted(self.sequences, 'sequence')}, "
            f"{counted(self.calls, 'call')} compared, {len(self.failures)} diverge"
        ]
        lines += [f"  {count:>8}  {name}" for name, count in sorted(self.tally.items())]
        lines += [
            f"  allowed {counted(count, 'time')}: {reason}"
            for reason, count in self.allowed.items()
        ]
        if self.unrepeated:
            lines.append(f"  differed once, not again: sequences {self.unrepeated}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return "\n\n".join([self.summary, *(failure.text for failure in self.failures)])


def together(reports: Sequence[Report]) -> Report:
    """Add up the reports of the parts of a run."""
    tally: Counter[str] = Counter()
    allowed: Counter[str] = Counter()
    for report in reports:
        tally.update(report.tally)
        allowed.update(report.allowed)
    return Report(
        reports[0].seed,
        sum(report.sequences for report in reports),
        sum(report.calls for report in reports),
        dict(tally),
        dict(allowed),
        tuple(failure for report in reports for failure in report.failures),
        tuple(index for report in reports for index in report.unrepeated),
    )
