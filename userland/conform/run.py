"""The oracle's loop: the same sequences on both kernels, compared call by call.

Owns run_conform() and its report.  Called by userland/cli/main.py and by
tests/property/test_oracle.py.
"""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pkern.userland.conform import answers
from pkern.userland.conform.calls import Calls, Kind, pack_calls
from pkern.userland.conform.cprogram import c_program
from pkern.userland.conform.differences import Difference, Divergence, Then, allowed, compare
from pkern.userland.conform.generate import sequence
from pkern.userland.conform.host import Host
from pkern.userland.conform.model import Model
from pkern.userland.conform.shrink import shrink

Progress = Callable[[int, int], None]
Tally = Counter[tuple[Kind, int]]  # a kind and how it ended: runner.c's enum end
_CHECK_EVERY = 50
_ENDS = {0: "done", 1: "error"}
_END_SIGNAL = 2


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

    def __str__(self) -> str:
        lines = [f"sequence {self.index} of seed {self.seed}, made short:"]
        for at, call in enumerate(self.divergence.calls):
            lines.append(f"  {at}: {call}")
        return "\n".join([*lines, str(self.divergence)])


@dataclass(frozen=True, slots=True)
class Report:
    """What a run compared and found.

    sequences, calls: how many ran. tally: outcomes of the host by kind. allowed: how often each
    row of the table of differences applied, by its reason.
    """

    seed: int
    sequences: int
    calls: int
    tally: dict[str, int]
    allowed: dict[str, int]
    failures: tuple[Failure, ...]

    @property
    def ok(self) -> bool:
        """Whether no sequence diverged."""
        return not self.failures

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.sequences} sequences, {self.calls} calls compared, "
            f"{len(self.failures)} diverge"
        ]
        lines += [f"  {count:>8}  {name}" for name, count in sorted(self.tally.items())]
        lines += [f"  allowed {count} times: {reason}" for reason, count in self.allowed.items()]
        for failure in self.failures:
            lines += ["", str(failure), "", failure.program]
        return "\n".join(lines)


class Oracle:
    """Both kernels side by side, for as many sequences as one likes."""

    def __init__(self, rmap: str = "objrmap_tree") -> None:
        self._host = Host()
        self._rmap = rmap
        self.model = Model(self._host.base, self._host.window, rmap)
        self.window = self._host.window
        self.tally: Tally = Counter()
        self.allowed: Counter[str] = Counter()
        self._sent: deque[bytes] = deque()
        self.calls = 0

    def send(self, calls: Calls) -> None:
        """Start a sequence on the host, ahead of compare_next()."""
        packed = pack_calls(calls)
        self._sent.append(packed)
        self._host.send(packed)

    def compare_next(self, calls: Calls) -> Divergence | None:
        """Run the sequence sent longest ago on the model and compare; None if they agree."""
        model = self.model.answer(self._sent.popleft())
        host = self._host.receive()
        self.calls += len(calls)
        self.tally.update(zip([c.kind for c in calls], answers.ends(host, calls), strict=True))
        if host == model:
            return None
        return self._look_closer(calls, host, model)

    def _look_closer(self, calls: Calls, host: bytes, model: bytes) -> Divergence | None:
        """Find the first difference that no row of the table allows."""
        pairs = zip(answers.decode(host, calls), answers.decode(model, calls), strict=True)
        for at, (theirs, ours) in enumerate(pairs):
            divergence = compare(calls, at, theirs, ours)
            if divergence is None:
                continue
            row = allowed(divergence)
            if row is None:
                return divergence
            self._count(row)
            if row.then is Then.STOP:
                return None
        return None

    def _count(self, row: Difference) -> None:
        self.allowed[row.reason] += 1

    def compare_one(self, calls: Calls) -> Divergence | None:
        """Run one sequence on both kernels; None if they agree."""
        self.send(calls)
        return self.compare_next(calls)

    def shorten(self, divergence: Divergence) -> Divergence:
        """Find a shortest sequence that diverges in the same way."""
        wanted = divergence.signature
        calls = divergence.calls[: divergence.at + 1]

        def fails(candidate: Calls) -> bool:
            found = self.compare_one(candidate)
            return found is not None and found.signature == wanted

        if not fails(calls):
            return divergence
        return self.compare_one(shrink(calls, fails)) or divergence

    def close(self) -> None:
        """End both sides; a leak in the model is an error.

        Errors: KernelBug.
        """
        self._host.close()
        self.model.close()


def _tally_text(kind: Kind, end: int) -> str:
    """Name a kind of call and how it ended."""
    return f"{kind.value}: {_ENDS.get(end, f'signal {end - _END_SIGNAL}')}"


@contextmanager
def _collecting_by_hand() -> Iterator[None]:
    """Keep Python's cycle collector from looking at a whole machine every few sequences."""
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


def run_conform(
    sequences: int,
    seed: int,
    calls: int = 30,
    progress: Progress | None = None,
    stop_after: int = 1,
    rmap: str = "objrmap_tree",
) -> Report:
    """Compare so many random sequences with the host's kernel and report.

    calls: in each sequence. progress: called with (done, all) now and then. stop_after: failures
    that end the run. Errors: NoCompiler, HostDied, KernelBug.
    """
    oracle = Oracle(rmap)
    failures: list[Failure] = []
    done = 0
    with _collecting_by_hand():
        for index, steps in _sent_ahead(oracle, seed, sequences, calls):
            divergence = oracle.compare_next(steps)
            done = index + 1
            if divergence is not None:
                failures.append(Failure(seed, index, divergence))
                if len(failures) >= stop_after:
                    break
            if done % _CHECK_EVERY == 0:
                oracle.model.check()
                gc.collect()
                if progress is not None:
                    progress(done, sequences)
    oracle.model.check()
    tally = {_tally_text(kind, end): count for (kind, end), count in oracle.tally.items()}
    permitted, compared = dict(oracle.allowed), oracle.calls
    oracle.close()
    short = tuple(_shorten(failure, rmap) for failure in failures)
    return Report(seed, done, compared, tally, permitted, short)


def _sent_ahead(
    oracle: Oracle, seed: int, sequences: int, calls: int
) -> Iterator[tuple[int, Calls]]:
    """Give each sequence when the next one already runs on the host, on another processor."""
    ahead: Calls | None = None
    for index in range(sequences + 1):
        previous = ahead
        if index < sequences:
            ahead = sequence(seed, index, calls, oracle.window)
            oracle.send(ahead)
        if previous is not None:
            yield index - 1, previous


def _shorten(failure: Failure, rmap: str) -> Failure:
    oracle = Oracle(rmap)
    short = oracle.shorten(failure.divergence)
    oracle.close()
    return Failure(failure.seed, failure.index, short)
