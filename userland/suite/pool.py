"""So many branches, or turns of workers, at once, each for so long by the host's clock.

Owns which of them run: none is left behind, however it ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from selectors import EVENT_READ, PollSelector
from time import monotonic
from typing import Any, Protocol, TypeVar

from pkern.kernel.branch import BranchEnded

T = TypeVar("T")
FOR_EVER = float("inf")


class Running(Protocol):
    """What is waited for and can be ended: a Branch, or a worker's turn."""

    def fileno(self) -> int: ...
    def read(self) -> bool: ...
    def result(self) -> Any: ...
    def kill(self) -> None: ...


Start = Callable[[T], Running]


class WallTimeIsUp(Exception):
    """A branch took longer than it may by the host's clock."""


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
    """The branches that run. seconds: of the host's clock that each may take, None: for ever."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = FOR_EVER if seconds is None else seconds
        # Not epoll: branches inherit its entries, and would keep those that are closed here.
        self._selector = PollSelector()
        self.running: dict[int, tuple[Running, float]] = {}  # in the order of their ends of time

    def add(self, number: int, branch: Running) -> None:
        """Take one that has been started."""
        self.running[number] = branch, monotonic() + self._seconds
        self._selector.register(branch, EVENT_READ, number)

    def wait(self) -> Iterator[tuple[int, object]]:
        """Give those that end next, one at least unless a signal or a part of a result came."""
        _, first_end = next(iter(self.running.values()))
        left = None if first_end == FOR_EVER else max(0.0, first_end - monotonic())
        ready = [key.data for key, _ in self._selector.select(left)]
        yield from [self._end(number) for number in ready if self.running[number][0].read()]
        now = monotonic()
        overdue = [number for number, (_, end) in self.running.items() if end <= now]
        for number in overdue:
            self._forget(number)[0].kill()
            yield number, WallTimeIsUp()

    def _end(self, number: int) -> tuple[int, object]:
        try:
            return number, self._forget(number)[0].result()
        except (BranchEnded, Exception) as error:
            return number, error

    def _forget(self, number: int) -> tuple[Running, float]:
        branch, end = self.running.pop(number)
        self._selector.unregister(branch)
        return branch, end

    def kill(self) -> None:
        """Let none go on."""
        for branch, _ in self.running.values():
            branch.kill()
        self._selector.close()
