"""Both kernels side by side: a sequence on each, and whether they say the same.

Owns the pair and what it has counted.  Two frames that are equal are not looked at; where they
differ the sequence runs again, with a look at the areas after each call, and the table of
differences decides.  Called by run.py.
"""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from typing import NamedTuple

from pkern.userland.conform import answers
from pkern.userland.conform.calls import Calls, Kind, Looks, Outcome, pack_calls
from pkern.userland.conform.differences import Difference, Divergence, Then, allowed, compare
from pkern.userland.conform.host import Host
from pkern.userland.conform.model import Model, ModelDied
from pkern.userland.conform.shrink import shrink

Tally = Counter[tuple[Kind, int]]  # a kind and how it ended: runner.c's enum end
_DIED = Outcome(0, 0, 0, 0, b"", ())  # what a process tells that died before it was asked


class Verdict(NamedTuple):
    """What is to be said of a sequence: rows of the table that applied, and what none allows.

    Neither: the kernels agree.
    """

    allowed: tuple[Difference, ...]
    divergence: Divergence | None


class Oracle:
    """Both kernels side by side, for as many sequences as one likes."""

    def __init__(self, rmap: str = "objrmap_tree") -> None:
        self._host = Host()
        self.model = Model(self._host.base, self._host.window, rmap)
        self.window = self._host.window
        self.tally: Tally = Counter()
        self.calls = 0

    def send(self, calls: Calls, looks: Looks) -> None:
        """Start a sequence on the host, ahead of agree_on_next(), which runs it here."""
        packed = pack_calls(calls, looks)
        self.model.send(packed)
        self._host.send(packed)

    def agree_on_next(self, calls: Calls) -> bool:
        """Run the sequence sent longest ago here too; whether both kernels wrote the same bytes.

        Errors: ModelDied, HostDied, and our own faults.
        """
        host, model = self._frames_of_next()
        self.calls += len(calls)
        if host:
            self.tally.update(zip([c.kind for c in calls], answers.ends(host, calls), strict=True))
        return host == model

    def _frames_of_next(self) -> tuple[bytes, bytes]:
        model = self.model.receive()
        host = self._host.receive()
        if bool(model) != bool(host):
            where = "on Linux" if model else "here"
            raise ModelDied(f"a process died of its calls {where}")
        return host, model

    def compare(self, calls: Calls) -> Verdict:
        """Run one sequence on both kernels, with all looks."""
        self.send(calls, Looks.AFTER_CALLS)
        host, model = self._frames_of_next()
        return Verdict((), None) if host == model else verdict_of(calls, host, model)

    def shorten(self, divergence: Divergence) -> Divergence:
        """Find a shortest sequence that diverges in the same way."""
        wanted = divergence.signature
        calls = divergence.calls[: divergence.at + 1]

        def fails(candidate: Calls) -> bool:
            found = self.compare(candidate).divergence
            return found is not None and found.signature == wanted

        if not fails(calls):
            return divergence
        return self.compare(shrink(calls, fails)).divergence or divergence

    def close(self) -> None:
        """End both sides; a leak in the model is an error.

        Errors: KernelBug.
        """
        self._host.close()
        self.model.close()


def verdict_of(calls: Calls, host: bytes, model: bytes) -> Verdict:
    """Go through the calls to the first difference that no row of the table allows.

    host, model: both frames.
    """
    rows: list[Difference] = []
    outcomes = answers.decode(host, calls)
    pairs = zip_longest(outcomes, answers.decode(model, calls), fillvalue=_DIED)
    for at, (theirs, ours) in enumerate(pairs):
        divergence = compare(calls, at, theirs, ours, outcomes[:at])
        if divergence is None:
            continue
        found = allowed(divergence)
        if not found:
            return Verdict(tuple(rows), divergence)
        rows += found
        if any(row.then is Then.STOP for row in found):
            break
    return Verdict(tuple(rows), None)
