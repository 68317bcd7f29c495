"""Schedules of a program: one, many, all within a bound.

Owns the machine that they are branches of, and what is known of each: its choices and its end.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from pkern.kernel import branch
from pkern.kernel.branch import Reply
from pkern.kernel.machine import Kernel
from pkern.kernel.state import NotHashable
from pkern.userland.cluster.share import Share
from pkern.userland.explore import dpor
from pkern.userland.explore.dpor import Guided, Order, Ordered
from pkern.userland.explore.points import DEFAULT, Also, Choices, Points, Preempt, Strategy
from pkern.userland.explore.races import Race
from pkern.userland.explore.races import races as find_races
from pkern.userland.explore.stacks import Captured
from pkern.userland.explore.states import States
from pkern.userland.explore.strategies import Block, Priorities, Replay, Tree, Uniform
from pkern.userland.explore.trace import Trace
from pkern.userland.given import Given
from pkern.userland.harness import EndlessRun, NoEnd
from pkern.userland.suite.pool import Pool, WallTimeIsUp, processors, run_all
from pkern.userland.sweep.ends import End, end_of, end_of_branch, import_for_ends

if TYPE_CHECKING:
    from pkern.kernel.cpu.scheduler import Scheduler

NUMBER = struct.Struct("=Q")
MOST_SCHEDULES = 1 << 63  # more than can be run: what NUMBER holds, and what is given back
ALL = Share()
BUDGET = "budget"
Progress = Callable[[int], None]


def never(end: End) -> bool:
    """Tell of an end that others are wanted."""
    return False


class Plan(NamedTuple):
    """What is explored. machine: boots one with the program in it. path: of the program there.

    seconds: that a schedule, or a subtree of them, may take by the host's clock. at_once: how many
    run, None: one for each processor. budget: schedules that are run at most. shared: pages that
    tasks share, of a run before. traced: whether steps are. races: whether
    they are looked through for data races. merges: whether a schedule
    that comes to a state where another was is given up. also: what else has points. enough: tells
    of an end whether it is the last that is wanted.
    """

    machine: Callable[[], Kernel]
    path: str
    given: Given
    preempt: Preempt = Preempt.CALLS
    budget: int = 1000
    seconds: float | None = 60.0
    at_once: int | None = None
    shared: tuple[int, ...] = ()
    traced: bool = False
    races: bool = False
    merges: bool = False
    also: tuple[Also, ...] = ()
    enough: Callable[[End], bool] = never


class Ran(NamedTuple):
    """One schedule: its choices, how many points it had, at how many a task had to give way.

    shared: the pages that tasks shared, where that was looked at. blocks: who ran, and at how many
    points in a row.
    """

    choices: Choices
    points: int
    switches: int
    end: End
    shared: tuple[int, ...] = ()
    blocks: tuple[Block, ...] = ()
    races: tuple[Race, ...] = ()


class _Explorer:
    """What a program's harness attaches: the points, with who answers."""

    def __init__(self, plan: Plan, strategy: Strategy, capture: Collection[int] = ()) -> None:
        self._plan = plan
        self._strategy = strategy
        self._capture = capture
        self.points: Points | None = None
        self.trace: Trace | None = None

    def attach(self, scheduler: Scheduler) -> None:
        plan, strategy = self._plan, self._strategy
        if plan.traced:
            self.trace = Trace(scheduler, plan.shared, self._capture)
        if isinstance(strategy, Guided):
            strategy.trace = self.trace
        self.points = Points(scheduler, plan.preempt, strategy, plan.shared, self.trace)
        for what in plan.also:
            self.points.ask_also(what)

    def python_call(self, _: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        return handler


def run_once(kernel: Kernel, plan: Plan, strategy: Strategy) -> Ran:
    """Run the program to its end on a machine that is no one else's."""
    return _run(kernel, plan, _Explorer(plan, strategy))


def run_ordered(kernel: Kernel, plan: Plan, order: Order) -> Ordered:
    """Run the program in an order, and tell its steps. Errors: as run_once."""
    strategy = Guided(order)
    explorer = _Explorer(plan, strategy)
    ran = _run(kernel, plan, explorer)
    assert explorer.trace is not None
    return Ordered(ran, explorer.trace.steps, strategy.asleep, strategy.redundant)


def _run(kernel: Kernel, plan: Plan, explorer: _Explorer) -> Ran:
    end = end_of(kernel, plan.path, plan.given, explorer)
    points, trace = explorer.points, explorer.trace
    assert points is not None
    assert kernel.processor is not None
    if trace is not None:
        trace.end()
    watched = plan.traced or plan.preempt is Preempt.MEMORY
    shared = tuple(kernel.processor.shared_pages()) if watched else ()
    blocks = tuple((pid, times) for pid, times in points.blocks)
    races = tuple(find_races(trace.steps, trace.code)) if trace is not None and plan.races else ()
    return Ran(tuple(points.choices), points.count, points.switches, end, shared, blocks, races)


def run_captured(
    kernel: Kernel, plan: Plan, choices: Choices, steps: Collection[int]
) -> dict[int, Captured]:
    """Run a schedule, and return where tasks were at the end of some of its steps."""
    explorer = _Explorer(plan, Replay(choices), steps)
    _run(kernel, plan, explorer)
    assert explorer.trace is not None
    return explorer.trace.captured


def _ran(what: object) -> Ran:
    """Return what a branch has sent, or an end that says why it sent nothing."""
    return what if isinstance(what, Ran) else Ran((), 0, 0, end_of_branch(what))


class Session:
    """A booted machine, of which each schedule gets a branch. Close it in the end."""

    def __init__(self, plan: Plan) -> None:
        """Boot it. Errors: as plan.machine; NotBranchable."""
        self.plan = plan
        self.cut = ""  # by what an exploration of every schedule was: the plan's budget
        self.given_up = 0  # schedules that went on as another had
        import_for_ends()
        self._kernel = plan.machine()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: Any) -> None:
        self._kernel.__exit__(*error)

    def usual(self) -> Ran:
        """Run the usual schedule, and learn from it which pages tasks share. Errors: NoEnd."""
        self.plan = self.plan._replace(shared=self._run_usual().shared)
        return self._run_usual()

    def _run_usual(self) -> Ran:
        ((_, what),) = self._ended([Replay(DEFAULT)])
        if isinstance(what, WallTimeIsUp):
            raise NoEnd(f"its usual schedule does not end within {self.plan.seconds:g} s (--wall)")
        return _ran(what)

    def _ended(self, strategies: Iterable[Strategy]) -> Iterator[tuple[int, object]]:
        return run_all(
            strategies,
            lambda strategy: self._kernel.branch(run_once, self.plan, strategy),
            at_once=self.plan.at_once or processors(),
            seconds=self.plan.seconds,
        )

    def run_each(self, strategies: Iterable[Strategy]) -> Iterator[tuple[int, Ran]]:
        """Run a schedule for each strategy; give (its number, what came of it) as they end."""
        for number, what in self._ended(strategies):
            ran = _ran(what)
            yield number, ran
            if self.plan.enough(ran.end):
                break

    def explored(self, schedules: Callable[[], Iterable[Ran]]) -> list[Ran]:
        """Return what schedules gives, asked again until no schedule shows another shared page.

        Pages that only some schedule shares have points, too, once they are known.
        """
        while True:
            found: list[Ran] = []
            self.cut, self.given_up = "", 0
            for ran in schedules():
                found.append(ran)
                if self.plan.enough(ran.end):
                    return found
            if not self._learn(found):
                return found

    def _learn(self, found: Iterable[Ran]) -> bool:
        """Take note of the pages that were shared; tell whether one is new."""
        known = {*self.plan.shared}.union(*(ran.shared for ran in found))
        new = len(known) > len(self.plan.shared)
        self.plan = self.plan._replace(shared=tuple(sorted(known)))
        return new

    def run_orders(self) -> Iterator[Ran]:
        """Run every order that matters, or as many as the plan allows. Errors: NoEnd."""
        left = self.plan.budget
        for came in dpor.explore(self._run_order):
            if came.redundant:
                self.given_up += 1
                continue
            if not left:
                self.cut = BUDGET
                return
            left -= 1
            yield came.ran
            if not set(came.ran.shared) <= set(self.plan.shared):
                return  # it has more points than were known

    def captured(self, ran: Ran, steps: Collection[int]) -> dict[int, Captured]:
        """Return where the tasks of some steps of a schedule were. Errors: NoEnd."""
        start = partial(self._kernel.branch, run_captured, self.plan, ran.choices)
        ((_, what),) = run_all([steps], start, at_once=1, seconds=self.plan.seconds)
        if isinstance(what, dict):
            return what
        raise NoEnd(f"a schedule of it does not end: {_ran(what).end.told()}")

    def _run_order(self, order: Order) -> Ordered:
        start = partial(self._kernel.branch, run_ordered, self.plan)
        ((_, what),) = run_all([order], start, at_once=1, seconds=self.plan.seconds)
        if isinstance(what, Ordered):
            return what
        raise NoEnd(f"an order of it does not end: {_ran(what).end.told()}")

    def run_tree(self, bound: int | None, share: Share = ALL) -> list[Ran]:
        """Run every schedule of at most so many preemptions, or as many as the plan allows.

        bound: None for any number. share: at which points the usual schedule is left.
        """
        budget = _Budget(self.plan.budget)
        states = States() if self.plan.merges else None
        try:
            with self._kernel.branch(_subtree, self.plan, bound, budget, states, share) as whole:
                try:
                    found = sorted(whole.result(), key=_order)
                except BaseException:
                    budget.stop()  # Ctrl-C: copies of copies begin nothing more; kill() awaits them
                    raise
            if budget.was_too_small():
                self.cut = BUDGET
            self.given_up = budget.given_up()
            return found
        finally:
            budget.close()


def _order(ran: Ran) -> tuple[int, Choices]:
    return ran.switches, ran.choices


def uniform(seed: int, schedules: int) -> Iterator[Strategy]:
    """Give random walks."""
    return (Uniform(f"{seed} {number}") for number in range(schedules))


def priorities(seed: int, schedules: int, depth: int, points: int) -> Iterator[Strategy]:
    """Give PCT's schedules. points: of a run before."""
    return (Priorities(f"{seed} {number}", depth, points) for number in range(schedules))


# ---- every schedule ----


class _Budget:
    """How many schedules may still be begun, and what came of it: numbers all processes share."""

    LEFT, REFUSED, GIVEN_UP, STOPPED = range(4)

    def __init__(self, schedules: int) -> None:
        self._fd = os.memfd_create("budget")
        os.ftruncate(self._fd, 4 * NUMBER.size)
        self._put(self.LEFT, min(schedules, MOST_SCHEDULES))

    def close(self) -> None:
        """Let go of it here; processes that have it keep it."""
        os.close(self._fd)

    def _put(self, which: int, value: int) -> None:
        os.pwrite(self._fd, NUMBER.pack(value), which * NUMBER.size)

    def _get(self, which: int) -> int:
        value: int = NUMBER.unpack(os.pread(self._fd, NUMBER.size, which * NUMBER.size))[0]
        return value

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._fd, fcntl.LOCK_EX)  # it is a process's: each copy takes its own
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def stop(self) -> None:
        """Let none be begun any more."""
        self._put(self.STOPPED, 1)

    def was_too_small(self) -> bool:
        """Tell whether one more was wanted than there were."""
        return bool(self._get(self.REFUSED))

    def given_up(self) -> int:
        """Return how many were given back."""
        return self._get(self.GIVEN_UP)

    def take(self) -> bool:
        """Take one; tell whether there was one."""
        with self._locked():
            left = 0 if self._get(self.STOPPED) else self._get(self.LEFT)
            if left:
                self._put(self.LEFT, left - 1)
            else:
                self._put(self.REFUSED, 1)
        return bool(left)

    def give_back(self) -> None:
        """Let another be run for one that was given up."""
        with self._locked():
            self._put(self.GIVEN_UP, self._get(self.GIVEN_UP) + 1)
            self._put(self.LEFT, self._get(self.LEFT) + 1)


def never_here() -> bool:
    """Tell that no schedule has been in this state, as far as is known."""
    return False


class _Branching:
    """The schedule that this process runs, and those that its forks have run."""

    def __init__(self, kernel: Kernel, plan: Plan, budget: _Budget, share: Share) -> None:
        self._kernel = kernel
        self._plan = plan
        self._budget = budget
        self._share = share
        self._points = count()
        self._pool = Pool(None)
        self._at_once = plan.at_once or processors()
        self.reply: Reply | None = None
        self.ran: list[Ran] = []

    def fork(self) -> bool:
        """Go on twice, if there is a schedule left; tell whether this is the copy."""
        if not self._share.has(next(self._points)) or not self._budget.take():
            return False
        made = branch.split(self._kernel)
        if isinstance(made, Reply):
            # A copy runs its own forks one by one: only the first process has several.
            self.reply, self.ran, self._share = made, [], ALL
            self._pool, self._at_once = Pool(None), 1
            _limit(self._plan.seconds)
            return True
        self._pool.add(len(self.ran) + len(self._pool.running), made)
        while len(self._pool.running) >= self._at_once:
            self._collect()
        return False

    def _collect(self) -> None:
        for _, what in self._pool.wait():
            self.ran += what if isinstance(what, list) else [_ran(what)]

    def finish(self) -> None:
        """Wait for all forks."""
        while self._pool.running:
            self._collect()


def _limit(seconds: float | None) -> None:
    """Let this process's schedule end after so many seconds of the host's processor, None: never.

    A fork inherits no timer. That it waits for its forks does not count, unlike Pool's seconds.
    """
    signal.signal(signal.SIGPROF, _time_is_up)
    signal.setitimer(signal.ITIMER_PROF, seconds or 0)


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """A context whose schedule ends after so many seconds of the host's processor, None: never."""
    _limit(seconds)
    try:
        yield
    finally:
        _limit(None)


def _time_is_up(*_: object) -> None:
    raise EndlessRun("does not end")


def _subtree(
    kernel: Kernel,
    plan: Plan,
    bound: int | None,
    budget: _Budget,
    states: States | None,
    share: Share,
) -> list[Ran]:
    """Run the first schedule, and in copies whatever differs from it; return all."""
    budget.take()
    branching = _Branching(kernel, plan, budget, share)
    _limit(plan.seconds)
    strategy = Tree(branching.fork, bound, partial(states.add, kernel) if states else never_here)
    try:
        mine = run_once(kernel, plan, strategy)
    except NotHashable:
        budget.stop()  # the exploration is refused, so nothing more is begun
        raise
    _limit(None)
    if strategy.redundant:
        budget.give_back()
    elif plan.enough(mine.end):
        budget.stop()
    branching.finish()
    is_told = branching.reply is not None or share.has(0)  # the usual one: by the first share
    ran = [*([mine] if is_told and not strategy.redundant else []), *branching.ran]
    if branching.reply is not None:
        branching.reply.run(lambda: ran)
    return ran
