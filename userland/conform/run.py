"""The oracle's loop: the same sequences on both kernels, compared.

Owns run_conform() and its parts.  Called by userland/cli/study/conform.py and by
tests/property/test_oracle.py.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import NamedTuple

from pkern.userland.conform.calls import Calls, Kind, Looks
from pkern.userland.conform.generate import sequence
from pkern.userland.conform.oracle import Oracle
from pkern.userland.conform.report import Failure, Report, together

Progress = Callable[[int, int], None]
PART = 5000  # sequences: what is lost of a run that is killed
_CHECK_EVERY = 500
_LOOKED_AT_CLOSELY = 4  # one in so many: at the areas after each call, not at the end alone
_ENDS = {0: "done", 1: "error"}
_END_SIGNAL = 2


def _tally_text(kind: Kind, end: int) -> str:
    """Name a kind of call and how it ended."""
    return f"{kind.value}: {_ENDS.get(end, f'signal {end - _END_SIGNAL}')}"


class Part(NamedTuple):
    """What one process runs: so many sequences of a seed, from the first on, of so many calls."""

    seed: int
    first: int
    sequences: int
    calls: int
    rmap: str


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


def parts_of(
    sequences: int,
    seed: int,
    first: int = 0,
    calls: int = 30,
    rmap: str = "objrmap_tree",
    jobs: int = 1,
) -> list[Part]:
    """Cut the sequences of a seed, from the first on, into parts that can be run by themselves."""
    size = min(PART, -(-sequences // jobs))
    starts = range(first, first + sequences, size)
    return [Part(seed, at, min(size, first + sequences - at), calls, rmap) for at in starts]


def run_conform(
    sequences: int,
    seed: int,
    calls: int = 30,
    progress: Progress | None = None,
    stop_after: float = 1,
    rmap: str = "objrmap_tree",
    jobs: int = 1,
) -> Report:
    """Compare so many random sequences with the host's kernel and report.

    calls: in each sequence. progress: called with (done, all) now and then. stop_after: failures
    that end the run, math.inf: none does. jobs: processes.
    Errors: NoCompiler, CpuUnavailable, HostDied, ModelDied, KernelBug, with the sequence's number.
    """
    parts = parts_of(sequences, seed, calls=calls, rmap=rmap, jobs=jobs)
    return together([report for _, report in run_parts(parts, progress, stop_after, jobs)])


def run_parts(
    parts: Sequence[Part],
    progress: Progress | None = None,
    stop_after: float = 1,
    jobs: int = 1,
) -> Iterator[tuple[Part, Report]]:
    """Run parts, jobs at a time, and yield the report of each as it ends. Else as run_conform."""
    done, found, total = 0, 0, sum(part.sequences for part in parts)

    def tell(more: int) -> None:
        if progress is not None:
            progress(done + more, total)

    run = _by_turns(parts, tell, stop_after) if jobs == 1 else _pooled(parts, stop_after, jobs)
    for part, report in run:
        done += report.sequences
        found += len(report.failures)
        tell(0)
        yield part, report
        if found >= stop_after:
            break


def _by_turns(
    parts: Sequence[Part], tell: Callable[[int], None], stop_after: float
) -> Iterator[tuple[Part, Report]]:
    for part in parts:
        yield part, run_part(part, stop_after, tell)


def _pooled(parts: Sequence[Part], stop_after: float, jobs: int) -> Iterator[tuple[Part, Report]]:
    pool = ProcessPoolExecutor(jobs, get_context("spawn"))
    try:
        futures = {pool.submit(run_part, part, stop_after): part for part in parts}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def run_part(
    part: Part, stop_after: float = 1, tell: Callable[[int], None] = lambda done: None
) -> Report:
    """Run one part in this process. tell: how many are done. Errors: as run_conform."""
    oracle, again = Oracle(part.rmap), Again(part.rmap)
    failures: list[Failure] = []
    unrepeated: list[int] = []
    permitted: Counter[str] = Counter()
    done = 0
    with _collecting_by_hand():
        for index, steps in _sent_ahead(oracle, part):
            done += 1
            if done % _CHECK_EVERY == 0:
                oracle.model.check()
                gc.collect()
                tell(done)
            with _in_sequence(part, index):
                if oracle.agree_on_next(steps):
                    continue
                verdict = again.pair.compare(steps)
                permitted.update(row.reason for row in verdict.allowed)
                if verdict.divergence is not None:
                    short = again.pair.shorten(verdict.divergence)
                    failures.append(Failure(part.seed, index, short))
                elif not verdict.allowed:
                    unrepeated.append(index)
            if len(failures) >= stop_after:
                break
    oracle.model.check()
    again.close()
    oracle.close()
    tally = {_tally_text(kind, end): count for (kind, end), count in oracle.tally.items()}
    found = tuple(failures), tuple(unrepeated)
    return Report(part.seed, done, oracle.calls, tally, dict(permitted), *found)


@contextmanager
def _in_sequence(part: Part, index: int) -> Iterator[None]:
    """Let an error say which sequence it came in."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in sequence {index} of seed {part.seed}")
        raise


class Again:
    """A second pair of kernels, for those sequences that differed on the first: asked once more."""

    def __init__(self, rmap: str) -> None:
        self._rmap = rmap
        self._oracle: Oracle | None = None

    @property
    def pair(self) -> Oracle:
        """Both kernels, started when they are first needed."""
        if self._oracle is None:
            self._oracle = Oracle(self._rmap)
        return self._oracle

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
            oracle.send(ahead, _looks(index))
        if previous is not None:
            yield index - 1, previous


def _looks(index: int) -> Looks:
    return Looks.AT_END if index % _LOOKED_AT_CLOSELY else Looks.AFTER_CALLS
