"""Who answers at a machine's points.

    Replay       as it was recorded
    Uniform      each answer with the same probability (a random walk)
    Priorities   PCT: the task with the highest priority runs; at d - 1 points, drawn beforehand,
                 it falls behind all others. A bug that needs d orderings is found with a
                 probability of at least 1 / (n * k ** (d - 1)), n tasks and k points
                 (Burckhardt, Kothari, Musuvathi, Nagarakatti: A randomized scheduler with
                 probabilistic guarantees of finding bugs, ASPLOS 2010)
    Blocks       this task so many times, then that one: what is left of a schedule when parts of it
                 are taken away or moved
    Tree         every answer, by forking the machine; at most so many preemptions in one schedule
                 (Musuvathi, Qadeer: Iterative context bounding, PLDI 2007)

    Guided       in dpor.py: every order that matters

None but the last two needs more than what it was made with: the seed, not the host, decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from pkern.userland.harness import EndlessRun

if TYPE_CHECKING:
    from pkern.userland.explore.points import Candidate, Choices

Fork = Callable[[], bool]
Block = tuple[int, int]  # a pid, and at how many points in a row it is chosen


class Redundant(EndlessRun):
    """What can come from here has been tried: the schedule is given up."""


class Replay:
    """Answers as recorded, and with the first answer where nothing is."""

    def __init__(self, choices: Choices) -> None:
        self._answers = dict(choices)

    def choose(self, point: int, tasks: Sequence[Candidate], cost: int) -> int:
        """Return the recorded answer, if there are as many tasks."""
        answer = self._answers.get(point, 0)
        return answer if answer < len(tasks) else 0


class Blocks:
    """Answers with each block's task as often as it says; one that cannot run is passed over."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._left = deque(blocks)

    def choose(self, point: int, tasks: Sequence[Candidate], cost: int) -> int:
        """Return the answer that names the block's task; the first one when none is left."""
        pids = [task.pid for task in tasks]
        while self._left:
            pid, times = self._left.popleft()
            if pid in pids:
                if times > 1:
                    self._left.appendleft((pid, times - 1))
                return pids.index(pid)
        return 0


class Uniform:
    """Answers at random."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)

    def choose(self, point: int, tasks: Sequence[Candidate], cost: int) -> int:
        """Return any answer."""
        return self._random.randrange(len(tasks))


class Priorities:
    """Answers with the task of the highest priority. depth: d; points: k, of a run before."""

    def __init__(self, seed: str, depth: int, points: int) -> None:
        self._random = Random(seed)
        self._falls: set[int] = set()
        for _ in range(depth - 1):
            if len(self._falls) == max(points, 1):
                break  # at all of them, whatever else is drawn
            self._falls.add(1 + self._random.randrange(max(points, 1)))
        self._depth = depth
        self._priorities: dict[int, int] = {}
        self._lowest = depth  # those that have fallen are below it

    def choose(self, point: int, tasks: Sequence[Candidate], cost: int) -> int:
        """Return the answer that names the task with the highest priority."""
        for task in tasks:
            if task.pid not in self._priorities:
                self._priorities[task.pid] = self._depth + self._random.randrange(1 << 32)
        if point in self._falls:
            self._lowest -= 1
            highest = max(tasks, key=self._priority)
            self._priorities[highest.pid] = self._lowest
        return tasks.index(max(tasks, key=self._priority))

    def _priority(self, task: Candidate) -> int:
        return self._priorities[task.pid]


class Tree:
    """Gives every answer: each but the first in a copy of the machine that fork makes.

    fork: goes on twice, and tells whether this is the copy. bound: preemptions in one schedule,
    None: any number. was_here: tells whether some schedule has come to this state before.
    """

    def __init__(
        self, fork: Fork, bound: int | None, was_here: Callable[[], bool] = lambda: False
    ) -> None:
        self._fork = fork
        self._was_here = was_here
        self.redundant = False
        self._left = float("inf") if bound is None else bound

    def choose(self, point: int, tasks: Sequence[Candidate], cost: int) -> int:
        """Return the first answer here, and each other in a copy. Errors: Redundant."""
        if self._was_here():
            self.redundant = True
            raise Redundant("goes on as another schedule did")
        if cost > self._left:
            return 0
        for answer in range(1, len(tasks)):
            if self._fork():
                self._left -= cost
                return answer
        return 0
