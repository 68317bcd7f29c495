"""Running again from a snapshot, as nobody had looked: to search, or to land at a moment.

A copy runs in legs: so many blocks, or an instruction in the last of them, and then something is
done. While it does, its scheduler is Replaying: no debugger is asked for anything, and what is
written has been shown already.

    Search    notes where it would have stopped, and tells of the last such moment before a limit
    Land      runs up to a moment, and is the machine from there on
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from pkern.kernel.cpu.entry import Entry
from pkern.kernel.cpu.restart import SYSCALL_BYTES
from pkern.kernel.cpu.scheduler import Scheduler
from pkern.kernel.cpu.stops import DEBUG, NEVER, Kind, Moment, Notes, Why
from pkern.kernel.tasks.thread import SYSCALL
from pkern.userland.debugger.history import Order, Snapshot, wait_for
from pkern.userland.debugger.packets import Closed
from pkern.userland.debugger.stub import ENTERS, SIGINT, Go, Stop, place_news

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.userland.debugger.control import Debugger
    from pkern.userland.debugger.stub import Session
    from pkern.userland.debugger.target import Catches, Place

NEAR = 2000  # blocks before a moment where one lands: there is a snapshot, for the next way back
WINDOWS = (64, 1 << 12, 1 << 18, NEVER)  # blocks in which the last instruction is looked for
AT_BEGINNING = "replaylog:begin:;"


class Replaying(Scheduler):
    """A scheduler of a copy that runs again."""

    replay: Replay

    def _serve_stop(self, task: Task, reason: int) -> None:
        if reason != DEBUG:
            Scheduler._serve_stop(self, task, reason)
        elif Why(int(self._exit.status)) is Why.PLACE:
            self.replay.arrive(task)

    def _idle(self) -> bool:
        return Scheduler._idle(self) or self.replay.is_lost()


class NotedEntry(Entry):
    """Where the tasks of a copy that runs again make their calls."""

    def __init__(self, scheduler: Scheduler, replay: Replay) -> None:
        super().__init__(scheduler)
        self._replay = replay

    def serve(self, task: Task) -> int | None:
        if self._replay.notes_call(task, self.calls.current()[0]):
            return self.serve_watched(task, SYSCALL.mark)
        return Entry.serve(self, task)

    def serve_ia32(self, task: Task) -> int | None:
        self._replay.notes_call(task, self.calls.current()[0])
        return Entry.serve_ia32(self, task)


class Leg(NamedTuple):
    """Run until so many blocks have begun, or to land (0: nowhere); then do something."""

    blocks: int
    land: int
    then: Callable[[Task | None], None]


class Replay:
    """The legs of a copy. at_end: what is done where the machine ends before."""

    def __init__(
        self,
        debugger: Debugger,
        legs: Iterator[Leg],
        at_end: Callable[[], NoReturn],
        calls: CallNotes | None = None,
    ) -> None:
        """Begin the first one. calls: where they are noted."""
        self._debugger = debugger
        self._calls = calls
        self._legs = legs
        self.at_end = at_end
        self._leg = next(legs)
        debugger.scheduler.__class__ = Replaying
        debugger.scheduler.replay = self  # type: ignore[attr-defined]
        debugger.scheduler.entry = NotedEntry(debugger.scheduler, self)
        sys.stderr = debugger.nowhere  # the kernel's log: it has been shown
        self._set_out()

    def _set_out(self) -> None:
        self._debugger.stops.until(self._leg.blocks, self._leg.land)

    def arrive(self, task: Task | None) -> None:
        """End a leg, and begin the next."""
        self._leg.then(task)
        scheduler: Any = self._debugger.scheduler
        if scheduler.replay is not self:
            return  # that was a snapshot, and this is a copy of it
        leg = next(self._legs, None)
        if leg is not None:
            self._leg = leg
            self._set_out()

    def notes_call(self, task: Task, nr: int) -> bool:
        """Note the call that a task makes, if it is to be; tell whether any of the task's are."""
        return self._calls is not None and self._calls.note(task, nr)

    def is_lost(self) -> bool:
        """End: there is nothing more to run."""
        self.at_end()


def legs_to(begun: int, moment: Moment, then: Callable[[Task | None], None]) -> Iterator[Leg]:
    """Give the legs to a moment. begun: the blocks that have, now."""
    if begun < moment.blocks:
        yield Leg(moment.blocks - 1, 0, _nothing if moment.rip else then)
    if moment.rip:
        yield Leg(moment.blocks, moment.rip, then)


def _nothing(_: Task | None) -> None:
    """Go on with the next leg."""


def call_before(now: Moment, task: Task) -> Moment:
    """Return the moment of the call that a task has just come into: its last instruction."""
    return Moment(now.blocks - 1, task.cpu.registers()["rip"] - SYSCALL_BYTES)


# ---- in copies ----


class CallNotes:
    """The last call, of those that the debugger wants to know of, before a moment."""

    def __init__(self, debugger: Debugger, end: Moment) -> None:
        self._debugger, self._end = debugger, end
        self._last: Moment | None = None

    def note(self, task: Task, nr: int) -> bool:
        """Note a call if it is one; tell whether any of the task's are wanted."""
        target = self._debugger.target
        moment = call_before(self._debugger.stops.moment(), task)
        if moment < self._end and target.catches_call(task, nr):
            self._last = moment
        return task.tgid in target.catches

    def later(self, found: Found) -> Found:
        """Return what is later: the last call, or what else was found."""
        if self._last is None or (found.moment is not None and found.moment > self._last):
            return found
        return Found(self._last, ENTERS)


class Wanted(NamedTuple):
    """What a search looks for, and how: stops at places, or the last instruction of a thread.

    begins: the block with which it is looked for; 0: with the snapshot. catches: calls, as Target
    has them, up to the moment calls_end.
    """

    notes: Notes
    places: tuple[Place, ...] = ()
    steps: tuple[int, ...] = ()
    begins: int = 0
    catches: Catches | None = None
    calls_end: Moment | None = None


class Found(NamedTuple):
    """The last moment of what was looked for, None: there was none. about: for the debugger.

    A moment with rip 0 is a block that has changed a watched place.
    """

    moment: Moment | None
    about: str = ""


def search(debugger: Debugger, answers: int, begun: int, limit: Moment, wanted: Wanted) -> None:
    """Run up to a limit, and tell of the last moment before it that is wanted."""
    before: list[bytes] = []
    calls = CallNotes(debugger, wanted.calls_end or limit)
    debugger.target.catches = wanted.catches or {}
    debugger.target.disarm()
    debugger.stops.step(None)

    def begin(_: Task | None = None) -> None:
        debugger.target.places = dict.fromkeys(wanted.places)
        before.extend(_values(debugger))
        debugger.stops.note(wanted.notes)
        debugger.target.arm()
        task = debugger.target.find(*wanted.steps) if wanted.steps else None
        debugger.stops.step(None if task is None else task.cpu)

    def report(_: Task | None = None) -> NoReturn:
        found = calls.later(_found(debugger, limit, before if wanted.begins else []))
        with suppress(OSError):  # nobody waits any more
            os.write(answers, pickle.dumps(found))
        os._exit(0)

    def legs() -> Iterator[Leg]:
        if begun < wanted.begins - 1:
            yield Leg(wanted.begins - 1, 0, begin)
        yield from legs_to(max(begun, wanted.begins - 1), limit, report)

    if begun >= wanted.begins - 1:
        begin()
    Replay(debugger, legs(), report, calls)


def _found(debugger: Debugger, limit: Moment, before: list[bytes]) -> Found:
    debugger.stops.look()
    noted, places = debugger.stops.noted(), list(debugger.target.places)
    if noted is not None:
        moment, number = noted
        return Found(moment, place_news(debugger.target.place_of(number)) if places else "")
    changed = [
        place
        for place, old, new in zip(places, before, _values(debugger), strict=False)
        if old and old != new
    ]
    if not changed:
        return Found(None)
    # No instruction of its own: the kernel, at the call with which the block ended.
    return Found(Moment(limit.blocks - 1, debugger.stops.last()), place_news(changed[0]))


def _values(debugger: Debugger) -> list[bytes]:
    """Return what stands at each place, b"" where nothing does."""
    return [debugger.target.peek(place) for place in debugger.target.places]


def land(debugger: Debugger, answers: int, begun: int, found: Found, session: Session) -> None:
    """Run to a moment, and be the machine from there on."""
    os.close(answers)
    debugger.target.disarm()
    debugger.stops.step(None)
    debugger.stops.note(Notes.NOTHING)
    moment = found.moment
    assert moment is not None

    def arrive(task: Task | None) -> None:
        debugger.land(task, found.about, session)

    def legs() -> Iterator[Leg]:
        if begun + NEAR < moment.blocks:
            yield Leg(moment.blocks - 1 - NEAR, 0, lambda _: debugger.take_snapshot())
        yield from legs_to(begun, moment, arrive)

    Replay(debugger, legs(), lambda: os._exit(1))


# ---- in the machine ----


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class WayBack:
    """How a machine goes back: it asks its snapshots, and is succeeded by a copy of one."""

    def __init__(self, debugger: Debugger) -> None:
        self._debugger = debugger
        self._history = debugger.need_history()

    def go(self, task: Task, go: Go) -> Stop:
        """Be succeeded by the machine as it was; return why not, if that cannot be."""
        now = calls_end = self._debugger.stops.moment()
        stop = self._debugger.stub.stop
        if stop is not None and stop.about.startswith(ENTERS):
            calls_end = call_before(now, task)  # it stands in that call
        found = self._find(now, task, go, calls_end)
        if found is None:
            return Stop(task, SIGINT)
        self._let_land(found)
        return Stop(task, about=AT_BEGINNING)

    def _find(self, now: Moment, task: Task, go: Go, calls_end: Moment) -> Found | None:
        """Return where to go; None: the debugger has lost patience."""
        limit, thread = now, (task.tgid, task.pid)
        for snapshot in self._history.before(now):
            if go is Go.STEP_BACK:
                found = self._last_step(snapshot, limit, thread)
            else:
                found = self._last_stop(snapshot, limit, calls_end)
            if found is None or found.moment is not None:
                return found
            limit = snapshot.moment
        first = self._history.first
        at_beginning = first is None or first.moment >= now
        return Found(None if at_beginning or first is None else first.moment, AT_BEGINNING)

    def _last_step(
        self, snapshot: Snapshot, limit: Moment, thread: tuple[int, int]
    ) -> Found | None:
        """Look in more and more blocks behind a snapshot."""
        for window in WINDOWS:
            begins = max(0, limit.blocks - window)
            found = self._search(snapshot, limit, Wanted(Notes.STEPS, (), thread, begins))
            if found is None or found.moment is not None or begins <= snapshot.moment.blocks:
                break
        return found

    def _last_stop(self, snapshot: Snapshot, limit: Moment, calls_end: Moment) -> Found | None:
        """Look for a call, or the block that has last changed a watched place: then in it alone."""
        target = self._debugger.target
        places = tuple(target.places)
        loads = any(place.kind in (Kind.READ, Kind.ACCESS) for place in places)
        notes = Notes.SPOTS if loads or not places else Notes.BLOCKS
        while (places or target.catches) and snapshot.moment < limit:
            end = min(limit, calls_end)
            wanted = Wanted(notes, places, catches=target.catches, calls_end=end)
            found = self._search(snapshot, limit, wanted)
            if found is None or found.moment is None or found.moment.rip:
                return found
            block = found.moment.blocks
            end = min(limit, Moment(block + 1, 0))
            found = self._search(snapshot, end, Wanted(Notes.SPOTS, places, (), block))
            if found is None or found.moment is not None:
                return found
            limit = Moment(block, 0)  # it was only brought in
        return Found(None)

    def _search(self, snapshot: Snapshot, limit: Moment, wanted: Wanted) -> Found | None:
        ours, its = os.pipe()
        try:
            args = (snapshot.begun, limit, wanted)
            pid = self._history.ask(snapshot, Order(search, args), its)
            os.close(its)
            return self._answer(ours, pid) if pid else Found(None)
        finally:
            os.close(ours)

    def _answer(self, answers: int, pid: int) -> Found | None:
        """Return what a copy tells; None: the debugger has interrupted. Errors: Closed."""
        connection = self._debugger.connection
        while (data := wait_for(answers, connection.fileno())) is None:
            try:
                if not connection.interrupted():
                    continue
            except Closed:
                _kill(pid)
                raise
            _kill(pid)
            return None
        found: Any = pickle.loads(data) if data else Found(None)
        return found if isinstance(found, Found) else Found(None)

    def _let_land(self, found: Found) -> None:
        """Be succeeded, if there is a snapshot to begin from."""
        moment = found.moment
        if moment is None:
            return
        after = Moment(moment.blocks, moment.rip + 1)
        for snapshot in self._history.before(after):
            args = (snapshot.begun, found, self._debugger.session())
            unused, its = os.pipe()
            asked = self._history.ask(snapshot, Order(land, args), its)
            os.close(unused)
            os.close(its)
            if asked:
                self._history.leave()
