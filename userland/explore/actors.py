"""Tasks that are Python functions, in every order: each gives way where the kernel sleeps.

An actor is a function of its own task. It is a generator that yields between its steps, or a plain
function, which is one step. A step is a call, or a few that belong together; it is interrupted
where the kernel sleeps for memory (Memory.sleep_hook: a page is read, memory is reclaimed, dirty
pages are written), and there any other actor may go on, to its own next sleep or beyond. So these
are the points: the beginning, the end of each step, each sleep in a step.

Each actor has a thread of the host, of which one runs at a time: whose turn it is decides the
strategy, and nobody else. Two runs with the same answers are the same.

    Stage      one run: actors on a machine
    orders     every run, one answer changed at a time, the last first; each begins anew
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.mm.memory import Sleep
    from pkern.kernel.mm.process import Process
    from pkern.kernel.tasks.task import Task

Steps = Generator[None, None, None]
T = TypeVar("T")


class Actor(NamedTuple):
    """A task, and what it does. Several actors may be one task's, or share its memory."""

    task: Task
    act: Callable[[], object]  # what a plain function returns is of no interest


class Answered(NamedTuple):
    """What a strategy said at a point. of: how many answers there were."""

    answer: int
    of: int


class Chooser(Protocol):
    """Who says at a point which of so many goes on; 0 is who ran until now, if he can."""

    def __call__(self, of: int) -> int: ...


class _Place:
    """An actor on the stage: its thread, and what it waits with while others run."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.turn = threading.Semaphore(0)
        self.ended = False
        self.current: Process | None = None  # on whose behalf files are worked on
        self.error: BaseException | None = None


class Stage:
    """One run of actors on a machine. errors: what actors have raised, by their numbers.

    at_point: called at each point, in the thread of whoever came to it.
    """

    def __init__(
        self,
        kernel: Kernel,
        actors: Sequence[Actor],
        choose: Chooser,
        at_point: Callable[[], None] = lambda: None,
    ) -> None:
        self._memory = kernel.memory
        self._choose = choose
        self._at_point = at_point
        self._places = [_Place(actor) for actor in actors]
        self._now: _Place | None = None
        self._over = threading.Semaphore(0)

    def run(self) -> None:
        """Run all actors to their ends. Errors: the first that an actor has raised."""
        threads = [
            threading.Thread(target=self._live, args=[place], daemon=True) for place in self._places
        ]
        for thread in threads:
            thread.start()
        self._memory.sleep_hook = self._sleep
        try:
            self._hand_over(self._places)
            self._over.acquire()
        finally:
            self._memory.sleep_hook = None
        for thread in threads:
            thread.join()
        for place in self._places:
            if place.error is not None:
                raise place.error

    def _live(self, place: _Place) -> None:
        place.turn.acquire()
        try:
            steps = place.actor.act()
            for _ in steps if isinstance(steps, Generator) else ():
                self._point(place)
        except BaseException as error:
            place.error = error
        place.ended = True
        left = [other for other in self._places if not other.ended]
        if left:
            self._hand_over(left)
        else:
            self._over.release()

    def _sleep(self, why: Sleep, index: int) -> None:
        if self._now is not None:
            self._point(self._now)

    def _point(self, place: _Place) -> None:
        """Come to a point: whoever is chosen goes on from here."""
        others = [other for other in self._places if other is not place and not other.ended]
        self._at_point()
        if others and self._ask([place, *others]) is not place:
            place.turn.acquire()

    def _ask(self, ready: list[_Place]) -> _Place:
        chosen = ready[self._choose(len(ready)) if len(ready) > 1 else 0]
        if chosen is not self._now:
            self._switch(chosen)
        return chosen

    def _hand_over(self, ready: list[_Place]) -> None:
        """Let one go on in place of who has ended, or before anyone has begun."""
        self._now = None
        self._ask(ready)

    def _switch(self, to: _Place) -> None:
        if self._now is not None:
            self._now.current = self._memory.current
        self._now, self._memory.current = to, to.current
        task = to.actor.task
        if task.alive and task.mm.process is not task:  # another of those who share the memory
            task.mm.serve(task)
        to.turn.release()


# ---- every order ----


class _Walk:
    """Answers with those given, then with the first; notes what it said."""

    def __init__(self, given: Sequence[int]) -> None:
        self._given = given
        self.said: list[Answered] = []

    def __call__(self, of: int) -> int:
        place = len(self.said)
        answer = self._given[place] if place < len(self._given) else 0
        self.said.append(Answered(answer, of))
        return answer


def orders(run: Callable[[Chooser], T]) -> Iterator[tuple[tuple[int, ...], T]]:
    """Run once for each order; give (its answers, what run returned)."""
    given: list[int] = []
    while True:
        walk = _Walk(given)
        result = run(walk)
        said = walk.said
        yield tuple(answered.answer for answered in said), result
        while said and said[-1].answer + 1 == said[-1].of:
            said.pop()
        if not said:
            return
        given = [answered.answer for answered in said]
        given[-1] += 1
