"""Every order that matters, once: dynamic partial-order reduction with sleep sets.

Two schedules that differ only in the order of independent steps end alike, so one is enough. A run
shows which steps were dependent and could have come the other way round; only there is
another answer tried (Flanagan and Godefroid: Dynamic partial-order reduction for model checking
software, POPL 2005). A sleep set says which answers need not be tried, because nothing dependent
has happened since they were (Godefroid: Partial-order methods, 1996).

The steps that lead to a point are run again for each schedule. What is dependent: objects.py.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pkern.userland.explore.objects import Footprint
from pkern.userland.explore.strategies import Redundant

if TYPE_CHECKING:
    from pkern.userland.explore.points import Candidate
    from pkern.userland.explore.run import Ran
    from pkern.userland.explore.trace import Step, Trace

Sleeping = dict[int, Footprint]  # pids, with what each would do next


class Order(NamedTuple):
    """Whom to let run at the first points; asleep: at the last of them."""

    pids: tuple[int, ...]
    asleep: Sleeping


class Ordered(NamedTuple):
    """What came of an order. asleep: at each point from the order's last on."""

    ran: Ran
    steps: list[Step]
    asleep: list[Sleeping]
    redundant: bool


class Guided:
    """Answers as an order says, then with the first that does not sleep."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._asleep = dict(order.asleep)
        self._seen = 0  # steps whose effect on the sleeping is known
        self.asleep: list[Sleeping] = []
        self.trace: Trace | None = None
        self.redundant = False

    def choose(self, point: int, tasks: Sequence[Candidate], cost: int) -> int:
        """Return the answer. Errors: Redundant."""
        assert self.trace is not None
        pids = [task.pid for task in tasks]
        if point < len(self._order.pids):
            return pids.index(self._order.pids[point - 1])
        if point == len(self._order.pids):
            self._seen = len(self.trace.steps)
            self.asleep.append(dict(self._asleep))
            return pids.index(self._order.pids[point - 1])
        self._wake_up()
        self.asleep.append(dict(self._asleep))
        for answer, pid in enumerate(pids):
            if pid not in self._asleep:
                return answer
        self.redundant = True
        raise Redundant("like another schedule")

    def _wake_up(self) -> None:
        """Let those go on whose next step depends on what has been done since."""
        assert self.trace is not None
        for step in self.trace.steps[self._seen :]:
            self._asleep = {
                pid: next_
                for pid, next_ in self._asleep.items()
                if pid != step.pid and not next_.depends_on(step.footprint)
            }
        self._seen = len(self.trace.steps)


@dataclass
class _Node:
    """A point of the schedule that was run last."""

    ready: frozenset[int]
    chosen: int
    asleep: Sleeping
    wanted: set[int] = field(default_factory=set)
    done: Sleeping = field(default_factory=dict)

    def next(self) -> int | None:
        left = self.wanted - set(self.done) - set(self.asleep)
        return min(left) if left else None


class Explorer:
    """Which order is next: ask order(), run it, give what came of it to take()."""

    def __init__(self) -> None:
        self._nodes: list[_Node] = []

    def orders(self) -> Iterator[Order]:
        """Give one order after the other; each must have been taken before the next."""
        yield Order((), {})
        while self._nodes:
            node = self._nodes[-1]
            pid = node.next()
            if pid is None:
                self._nodes.pop()
                continue
            node.chosen = pid
            pids = tuple(node.chosen for node in self._nodes)
            yield Order(pids, {**node.asleep, **node.done})

    def take(self, came: Ordered) -> None:
        """Learn from a run where another order would matter."""
        asked = [step for step in came.steps if step.point]
        old = len(self._nodes)
        if old:
            self._nodes[-1].done[asked[old - 1].pid] = asked[old - 1].footprint
        asleep = came.asleep[1:] if old else came.asleep
        for step, sleeping in zip(asked[old:], asleep, strict=False):
            node = _Node(frozenset(step.ready), step.pid, sleeping)
            node.wanted.add(step.pid)
            node.done[step.pid] = step.footprint
            self._nodes.append(node)
        for step, wanted in races(came.steps):
            if step.point and step.point <= len(self._nodes):
                self._nodes[step.point - 1].wanted |= wanted


# ---- which steps could have come the other way round ----

Clock = dict[int, int]  # pid: the last step of it that came before


class _Touched:
    """Who has touched an object last."""

    __slots__ = ("read", "written")

    def __init__(self) -> None:
        self.written: int | None = None
        self.read: list[int] = []


def races(steps: Sequence[Step]) -> Iterator[tuple[Step, set[int]]]:
    """Give (a step, pids of which one should have run in its place)."""
    clocks: dict[int, Clock] = {}
    after: list[Clock] = []
    objects: dict[Hashable, _Touched] = {}
    for number, step in enumerate(steps):
        clock = clocks.setdefault(step.pid, {})
        before = _dependent(objects, step)
        unordered = [i for i in before if clock.get(steps[i].pid, -1) < i]
        if unordered:
            last = max(unordered)
            yield steps[last], _instead(steps, last, step.pid, clock)
        for i in before:
            _join(clock, after[i])
        clock[step.pid] = number
        after.append(dict(clock))
        for pid in step.made:
            clocks[pid] = dict(clock)
        _touch(objects, step, number)


def _instead(steps: Sequence[Step], place: int, pid: int, clock: Clock) -> set[int]:
    """Return whom to let run in place of a step so that pid's next comes before it."""
    ready = set(steps[place].ready)
    if pid in ready:
        return {pid}
    leading = sorted(other for other in ready if clock.get(other, -1) > place)
    return set(leading[:1]) or ready


def _join(clock: Clock, other: Clock) -> None:
    for pid, number in other.items():
        clock[pid] = max(number, clock.get(pid, -1))


_ALL = ("everything",)  # an object that each step reads, and one that may touch anything writes


def _parts(footprint: Footprint) -> tuple[set[Hashable], set[Hashable]]:
    """Return what is read and what is written."""
    if footprint.everything:
        return set(), {_ALL}
    writes = set(footprint.writes)
    reads = set(footprint.reads) - writes
    return (reads | {_ALL} if reads or writes else reads), writes


def _dependent(objects: dict[Hashable, _Touched], step: Step) -> set[int]:
    reads, writes = _parts(step.footprint)
    found: set[int] = set()
    for what in (*reads, *writes):
        touched = objects.get(what)
        if touched is None:
            continue
        if touched.written is not None:
            found.add(touched.written)
        if what in writes:
            found.update(touched.read)
    return found


def _touch(objects: dict[Hashable, _Touched], step: Step, number: int) -> None:
    reads, writes = _parts(step.footprint)
    for what in reads:
        objects.setdefault(what, _Touched()).read.append(number)
    for what in writes:
        touched = objects.setdefault(what, _Touched())
        touched.written, touched.read = number, []


def explore(run: Callable[[Order], Ordered]) -> Iterator[Ordered]:
    """Run every order that matters; give what came of each, and of those that were given up."""
    explorer = Explorer()
    for order in explorer.orders():
        came = run(order)
        explorer.take(came)
        yield came
