"""The oracle's loop: the same sequences on both kernels, compared call by call.

Owns run_conform() and its parts.  Called by userland/cli/main.py and by
tests/property/test_oracle.py.
"""

from __future__ import annotations

import gc
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import NamedTuple

from pkern.userland.conform import answers
from pkern.userland.conform.calls import Calls, Kind, pack_calls
from pkern.userland.conform.differences import Difference, Divergence, Then, allowed, compare
from pkern.userland.conform.generate import sequence
from pkern.userland.conform.host import Host
from pkern.userland.conform.model import Model, ModelDied
from pkern.userland.conform.report import Failure, Report, together
from pkern.userland.conform.shrink import shrink

Progress = Callable[[int, int], None]
Tally = Counter[tuple[Kind, int]]  # a kind and how it ended: runner.c's enum end
_CHECK_EVERY = 50
_ENDS = {0: "done", 1: "error"}
_END_SIGNAL = 2


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
        if not model or not host:
            if model or host:
                where = "on Linux" if model else "here"
                raise ModelDied(f"a process died of its calls {where}")
            return None
        self.calls += len(calls)
        self.tally.update(zip([c.kind for c in calls], answers.ends(host, calls), strict=True))
        if host == model:
            return None
        return self._look_closer(calls, host, model)

    def _look_closer(self, calls: Calls, host: bytes, model: bytes) -> Divergence | None:
        """Find the first difference that no row of the table allows."""
        outcomes = answers.decode(host, calls)
        pairs = zip(outcomes, answers.decode(model, calls), strict=True)
        for at, (theirs, ours) in enumerate(pairs):
            divergence = compare(calls, at, theirs, ours, outcomes[:at])
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


class Part(NamedTuple):
    """What one process runs: so many sequences of a seed, from the first on."""

    seed: int
    first: int
    sequences: int
    calls: int
    stop_after: int
    rmap: str


def run_conform(
    sequences: int,
    seed: int,
    calls: int = 30,
    progress: Progress | None = None,
    stop_after: int = 1,
    rmap: str = "objrmap_tree",
    jobs: int = 1,
) -> Report:
    """Compare so many random sequences with the host's kernel and report.

    calls: in each sequence. progress: called with (done, all) now and then, with one job only.
    stop_after: failures that end a part. jobs: processes, each of which runs a part.
    Errors: NoCompiler, CpuUnavailable, HostDied, ModelDied, KernelBug, with the sequence's number.
    """
    ends = [sequences * job // jobs for job in range(jobs + 1)]
    parts = [
        Part(seed, first, end - first, calls, stop_after, rmap)
        for first, end in itertools.pairwise(ends)
        if end > first
    ]
    if len(parts) == 1:
        return run_part(parts[0], progress)
    with ProcessPoolExecutor(len(parts), get_context("spawn")) as pool:
        return together(list(pool.map(run_part, parts)))


def run_part(part: Part, progress: Progress | None = None) -> Report:
    """Run one part in this process. Errors: as run_conform."""
    oracle, again = Oracle(part.rmap), Again(part.rmap)
    failures: list[Failure] = []
    unrepeated: list[int] = []
    done = 0
    with _collecting_by_hand():
        for index, steps in _sent_ahead(oracle, part):
            divergence = _compared(oracle, part, index, steps)
            done += 1
            if divergence is not None and again.compare(steps) is None:
                unrepeated.append(index)
            elif divergence is not None:
                failures.append(Failure(part.seed, index, again.shorten(divergence)))
                if len(failures) >= part.stop_after:
                    break
            if done % _CHECK_EVERY == 0:
                oracle.model.check()
                gc.collect()
                if progress is not None:
                    progress(done, part.sequences)
    oracle.model.check()
    again.close()
    tally = {_tally_text(kind, end): count for (kind, end), count in oracle.tally.items()}
    permitted, compared = dict(oracle.allowed), oracle.calls
    oracle.close()
    found = tuple(failures), tuple(unrepeated)
    return Report(part.seed, done, compared, tally, permitted, *found)


def _compared(oracle: Oracle, part: Part, index: int, steps: Calls) -> Divergence | None:
    try:
        return oracle.compare_next(steps)
    except Exception as error:
        error.add_note(f"in sequence {index} of seed {part.seed}")
        raise


class Again:
    """A second pair of kernels, for those sequences that differed on the first: asked once more."""

    def __init__(self, rmap: str) -> None:
        self._rmap = rmap
        self._oracle: Oracle | None = None

    def _pair(self) -> Oracle:
        if self._oracle is None:
            self._oracle = Oracle(self._rmap)
        return self._oracle

    def compare(self, calls: Calls) -> Divergence | None:
        """Run a sequence; None if the kernels agree this time."""
        return self._pair().compare_one(calls)

    def shorten(self, divergence: Divergence) -> Divergence:
        """Find a shortest sequence that diverges in the same way."""
        return self._pair().shorten(divergence)

    def close(self) -> None:
        """End both sides, if they were ever needed."""
        if self._oracle is not None:
            self._oracle.close()


def _sent_ahead(oracle: Oracle, part: Part) -> Iterator[tuple[int, Calls]]:
    """Give each sequence when the next one already runs on the host, on another processor."""
    ahead: Calls | None = None
    last = part.first + part.sequences
    for index in range(part.first, last + 1):
        previous = ahead
        if index < last:
            ahead = sequence(part.seed, index, part.calls, oracle.window)
            oracle.send(ahead)
        if previous is not None:
            yield index - 1, previous
