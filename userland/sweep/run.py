"""A whole sweep: the program runs once without a failure, and a copy of it fails at every position.

Owns the line and the copies that run at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

from pkern.kernel.branch import Branch, BranchEnded
from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.userland.cluster.share import Elsewhere, Part, Share, digests
from pkern.userland.failing import ALLOCATION, Origin
from pkern.userland.given import Given
from pkern.userland.harness import Changer, NoEnd
from pkern.userland.injection import Rule
from pkern.userland.suite.pool import Pool, WallTimeIsUp, processors, run_all
from pkern.userland.sweep.ends import End, end_of, end_of_branch, import_for_ends, left_behind
from pkern.userland.sweep.positions import Calls, Counter, Hook, Line, Work

Progress = Callable[[int, str], None]
NOT_EXECUTABLE = 126
PATIENCE = 10  # how often, and how many seconds more, a copy may take the usual time


class Plan(NamedTuple):
    """What is swept. machine: boots one with the program in it. path: of the program there.

    given: to the program. texts, rules: of calls that fail; without one, work of a kind. seconds:
    that a copy may take by the host's clock. at_once: copies, None: one for each processor. share:
    the positions that are swept.
    """

    machine: Callable[[], Kernel]
    path: str
    given: Given
    texts: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    kind: str = ALLOCATION
    origin: Origin = Origin.MAIN
    seconds: float | None = 10.0
    at_once: int | None = None
    share: Share = Share()


class Sweep(NamedTuple):
    """What came of it. good: the end without a failure. ends: (replay, end) by position."""

    good: End
    ends: tuple[tuple[str, End], ...]


def run_sweep(plan: Plan, progress: Progress | None = None) -> Sweep:
    """Let the program meet each failure, one by one. progress: is told of each end.

    Errors: NoEnd, SyscallError where it cannot be executed, NotBranchable, CpuUnavailable.
    """
    import_for_ends()
    usual = _usual(plan)
    copies = _Copies(plan, progress)
    with plan.machine() as kernel:
        line = Line(kernel, copies.add, plan.share, PATIENCE * usual.end_ns + PATIENCE * SECOND)
        try:
            good = _end(kernel, plan, line, usual.counts)
            if line.reply is not None:
                line.reply.run(lambda: good)
            return Sweep(good, copies.ends())
        finally:
            copies.kill()


def run_sweep_on(
    elsewhere: Elsewhere, plan: Plan, files: Sequence[str], progress: Progress | None = None
) -> Sweep:
    """As run_sweep, elsewhere: each part runs the line and its own share of the copies.

    files: of the host, which must be the same there. Errors: as run_sweep and Elsewhere.run.
    """
    nr, sweeps = elsewhere.parts, {}
    plan = plan._replace(at_once=1)
    same = digests(files)
    parts = [Part(run_sweep, (plan._replace(share=Share(n, nr)),), same) for n in range(nr)]
    for number, sweep in elsewhere.run(parts):
        sweeps[number] = sweep
        if progress is not None:
            progress(sum(len(one.ends) for one in sweeps.values()), f"{len(sweeps)} of {nr} parts")
    rounds = zip_longest(*(sweeps[number].ends for number in range(nr)))
    return Sweep(sweeps[0].good, tuple(end for ends in rounds for end in ends if end is not None))


class _Usual(NamedTuple):
    """A run without a failure. counts: pieces of work from each call to the next."""

    counts: list[int]
    end_ns: int


def _usual(plan: Plan) -> _Usual:
    """Run without a failure. Errors: NoEnd."""
    with plan.machine() as kernel:
        ended = run_all([plan], partial(kernel.branch, _counted), at_once=1, seconds=plan.seconds)
        ((_, what),) = ended
    if isinstance(what, WallTimeIsUp):
        raise NoEnd(f"without a failure it does not end within {plan.seconds:g} s (--wall)")
    if isinstance(what, BranchEnded):
        raise NoEnd(f"without a failure: {what}")
    if isinstance(what, BaseException):
        raise what
    usual: _Usual = what  # type: ignore[assignment]  # a branch's result is of any type
    return usual


def _counted(kernel: Kernel, plan: Plan) -> _Usual:
    counter = Counter(kernel, plan.kind)
    if plan.origin is Origin.EXEC:
        counter.before()
    end_of(kernel, plan.path, plan.given, Hook(counter.before))
    counter.end()
    return _Usual(counter.counts, kernel.clock.now_ns)


def _end(kernel: Kernel, plan: Plan, line: Line, counts: Sequence[int]) -> End:
    """Run the line, or what has become a copy of it, to its end."""
    kernel.log.register_console(_nowhere)  # a line from each copy would tell nothing
    work = Work(line, plan.kind, counts, plan.origin)
    changer: Changer = Hook(work.before)
    if plan.rules:
        changer = Calls(line, plan.texts, plan.rules)
    elif plan.origin is Origin.EXEC:
        work.before()
    try:
        return end_of(kernel, plan.path, plan.given, changer)
    except SyscallError as error:
        if line.reply is None:
            raise
        text = f"cannot be executed: {error.strerror}"
        return End(NOT_EXECUTABLE, None, None, b"", text.encode(), left_behind(kernel))


def _nowhere(_: object) -> None:
    """Show nothing."""


class _Copies:
    """The copies that are running, and how those ended that are not."""

    def __init__(self, plan: Plan, progress: Progress | None) -> None:
        self._pool = Pool(plan.seconds)
        self._at_once = plan.at_once or processors()
        self._replays: list[str] = []
        self._ends: dict[int, End] = {}
        self._progress = progress

    def add(self, replay: str, branch: Branch) -> None:
        """Take a new one; wait while there are as many as may be at once."""
        self._pool.add(len(self._replays), branch)
        self._replays.append(replay)
        while len(self._pool.running) >= self._at_once:
            self._collect()

    def _collect(self) -> None:
        for number, what in self._pool.wait():
            self._ends[number] = _end_of(what)
            if self._progress is not None:
                self._progress(len(self._ends), self._replays[number])

    def ends(self) -> tuple[tuple[str, End], ...]:
        """Wait for all and return (replay, end) in the order of positions."""
        while self._pool.running:
            self._collect()
        return tuple((replay, self._ends[n]) for n, replay in enumerate(self._replays))

    def kill(self) -> None:
        """Let none go on."""
        self._pool.kill()


def _end_of(what: object) -> End:
    """Return the end that a copy has sent, or one that says why it sent none."""
    if isinstance(what, End):
        return what
    return end_of_branch(what)
