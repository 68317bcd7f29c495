"""The shortest schedule that ends as one did, by leaving parts of it out.

First choices are left out, as long as any can; then blocks, in which one task runs, are left out or
joined with the next one of the same task. What is tried does not depend on who runs it, or how
fast: at most so many schedules, and of each round the first that ends the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from pkern.userland.explore.points import Strategy
from pkern.userland.explore.run import Ran, Session
from pkern.userland.explore.strategies import Block, Blocks, Replay

MOST_VARIANTS = 100  # of one schedule
WHOLE = 1 << 40  # points: until it cannot go on
Progress = Callable[[int, Ran], None]


class Shrunk(NamedTuple):
    """What is left. is_least: whether nothing more can be left out of it, as far as is tried."""

    ran: Ran
    is_least: bool


def shrunk(session: Session, ran: Ran, most: int, progress: Progress | None = None) -> Shrunk:
    """Return a schedule that ends the same with as few switches as can be found.

    most: schedules that are run for that. progress: is told how many have been, and the best.
    """
    shrinking = _Shrinking(session, ran, most, progress)
    shrinking.fewer_choices()
    while shrinking.fewer_blocks():
        shrinking.fewer_choices()
    return Shrunk(shrinking.best, not shrinking.cut)


def _cost(ran: Ran) -> tuple[int, int]:
    return ran.switches, len(ran.choices)


class _Shrinking:
    """The best schedule so far, and what is still allowed."""

    def __init__(self, session: Session, ran: Ran, most: int, progress: Progress | None) -> None:
        self.best = ran
        self.cut = False
        self._session = session
        self._most = most
        self._tried = 0
        self._progress = progress

    def _same_end(self, strategies: Sequence[Strategy]) -> Iterator[Ran]:
        """Give, in their order, what came of those that end as the best does."""
        allowed = strategies[: self._most - self._tried]
        self.cut |= len(allowed) < len(strategies)
        ended: dict[int, Ran] = {}
        for number, ran in self._session.run_each(allowed):
            ended[number] = ran
            self._tried += 1
            if self._progress is not None:
                self._progress(self._tried, self.best)
        return (ended[n] for n in sorted(ended) if ended[n].end == self.best.end)

    # ---- choices ----

    def fewer_choices(self) -> None:
        """Leave out all choices that can be: half of them at once, down to each alone."""
        size = max(1, len(self.best.choices) // 2)
        while size and self.best.choices:
            if self._without(size):
                size = min(size, max(1, len(self.best.choices) // 2))
            else:
                size //= 2

    def _without(self, size: int) -> bool:
        choices = self.best.choices
        parts = range(0, len(choices), size)
        variants = [Replay(choices[:start] + choices[start + size :]) for start in parts]
        shorter = (ran for ran in self._same_end(variants) if len(ran.choices) < len(choices))
        return self._take(next(shorter, None))

    # ---- blocks ----

    def fewer_blocks(self) -> bool:
        """Take the cheapest schedule with other blocks, if it costs less; tell whether it does."""
        variants = [Blocks(blocks) for blocks in islice(_variants(self.best.blocks), MOST_VARIANTS)]
        cheaper = [ran for ran in self._same_end(variants) if _cost(ran) < _cost(self.best)]
        return self._take(min(cheaper, key=_cost, default=None))

    def _take(self, ran: Ran | None) -> bool:
        if ran is None:
            return False
        self.best = ran
        return True


def _variants(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Give blocks without one; with one as long as it can be, or joined with an earlier one."""
    for place, (pid, times) in reversed(list(enumerate(blocks))):
        without = [*blocks[:place], *blocks[place + 1 :]]
        yield without
        yield [*blocks[:place], (pid, WHOLE), *blocks[place + 1 :]]
        for earlier in range(place):
            if blocks[earlier][0] == pid:
                joined = list(without)
                joined[earlier] = pid, blocks[earlier][1] + times
                yield joined
