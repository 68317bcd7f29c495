"""So many branches, or turns of workers, at once, each for so long by the host's clock.

Owns which of them run: none is left behind, however it ends. What else runs on the host does not
decide how one ends: who could have run, and has not had the processor for so long, may go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from selectors import EVENT_READ, PollSelector
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar

from pkern.kernel.branch import BranchEnded

T = TypeVar("T")
FOR_EVER = float("inf")
READY = ("R", "D")  # states of proc_pid_stat(5): it has or awaits the processor, or the disk


class Running(Protocol):
    """What is waited for and can be ended: a Branch, or a worker's turn. pid: its process."""

    @property
    def pid(self) -> int: ...
    def fileno(self) -> int: ...
    def read(self) -> bool: ...
    def result(self) -> Any: ...
    def kill(self) -> None: ...


Start = Callable[[T], Running]


class WallTimeIsUp(Exception):
    """A branch took longer than it may by the host's clock."""


class _Run(NamedTuple):
    """A branch, when its time is up, and the processor's seconds that its process had before."""

    branch: Running
    end: float
    had: float


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def run_all(
    jobs: Iterable[T], start: Start[T], *, at_once: int, seconds: float | None
) -> Iterator[tuple[int, object]]:
    """Start a branch for each job and give (its number, its result) as they end.

    jobs: asked for the next one when it can be started; there may be more than fit into memory.
    A result is what the branch returned, or the exception: BranchEnded, WallTimeIsUp, its own.
    seconds: that each may take, None: for ever.
    """
    pool = Pool(seconds)
    waiting = enumerate(jobs)
    try:
        while True:
            while len(pool.running) < at_once and (job := next(waiting, None)):
                pool.add(job[0], start(job[1]))
            if not pool.running:
                return
            yield from pool.wait()
    finally:
        pool.kill()


class Pool:
    """The branches that run. seconds: of the host's clock that each may take, None: for ever.

    On a busy host one may take longer, but no more of the processor.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = FOR_EVER if seconds is None else seconds
        # Not epoll: branches inherit its entries, and would keep those that are closed here.
        self._selector = PollSelector()
        self.running: dict[int, _Run] = {}

    def add(self, number: int, branch: Running) -> None:
        """Take one that has been started."""
        self.running[number] = _Run(branch, monotonic() + self._seconds, _process(branch.pid)[1])
        self._selector.register(branch, EVENT_READ, number)

    def wait(self) -> Iterator[tuple[int, object]]:
        """Give those that end next, one at least unless a signal or a part of a result came."""
        first_end = min(run.end for run in self.running.values())
        left = None if first_end == FOR_EVER else max(0.0, first_end - monotonic())
        yield from [self._end(nr) for nr in self._readable(left) if self.running[nr].branch.read()]
        now = monotonic()
        late = [nr for nr, run in self.running.items() if run.end <= now and not self._goes_on(nr)]
        # This process may be late too: what has sent its result, or is sending it, is in time.
        for number in sorted({*late}.difference(self._readable(0))):
            self._forget(number).kill()
            yield number, WallTimeIsUp()

    def _readable(self, seconds: float | None) -> list[int]:
        """Wait at most so long; return those from which there is something to read, or the end."""
        return [key.data for key, _ in self._selector.select(seconds)]

    def _goes_on(self, number: int) -> bool:
        """Give a late one the time that it waited for the processor; tell if there was some."""
        run = self.running[number]
        if lacks := self._lacks(run):
            self.running[number] = run._replace(end=monotonic() + lacks)
        return lacks > 0

    def _lacks(self, run: _Run) -> float:
        """Return for how many of its seconds it waits for the processor; 0: for something else."""
        is_ready, had = _process(run.branch.pid)
        return max(0.0, self._seconds - (had - run.had)) if is_ready else 0.0

    def _end(self, number: int) -> tuple[int, object]:
        try:
            return number, self._forget(number).result()
        except (BranchEnded, Exception) as error:
            return number, error

    def _forget(self, number: int) -> Running:
        branch = self.running.pop(number).branch
        self._selector.unregister(branch)
        return branch

    def kill(self) -> None:
        """Let none go on."""
        for run in self.running.values():
            run.branch.kill()
        self._selector.close()


def _process(pid: int) -> tuple[bool, float]:
    """Tell whether a process runs or could, and how many seconds of the processor it has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return False, 0.0
    ticks = int(fields[11]) + int(fields[12])
    return fields[0] in READY, ticks / os.sysconf("SC_CLK_TCK")
