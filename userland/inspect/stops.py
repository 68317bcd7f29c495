"""Where a program is looked at: at a call, or at its end.

Owns how such a place is written and how it is met: handlers of calls are wrapped, as strace and
fault injection do it, so a run that nobody looks at pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pkern.kernel.arguments import did_you_mean
from pkern.kernel.inspect.breaks import always
from pkern.kernel.numbers import is_decimal
from pkern.kernel.tasks.signal.signals import Fate, SigInfo
from pkern.kernel.values import NamedTuple
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.numbers import NAMES
from pkern.userland.inspect.words import BadQuestion, Condition

if TYPE_CHECKING:
    from pkern.kernel.cpu.observer import Observer
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.events.points import Point
    from pkern.kernel.events.stream import Event
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task
    from pkern.syscalls.abi import Raw

ENDS = frozenset({"exit", "exit_group"})
EXIT = "exit"
Visit = Callable[["Task"], object]


class Place(NamedTuple):
    """Before the nth of a program's calls of a name, or at the nth event of a glob.

    calls: ENDS is where the program ends; nothing: an event is meant.
    """

    calls: frozenset[str]
    nth: int = 1
    event: str = ""


def read_place(text: str) -> Place:
    """Return what a place means. Errors: BadQuestion.

    text: exit, call:NAME, call:NAME:N, event:GLOB or event:GLOB:N.
    """
    if text == EXIT:
        return Place(ENDS)
    kind, _, rest = text.partition(":")
    name, _, nth = rest.partition(":")
    if kind == "event" and name:
        return _event_place(rest)
    if kind != "call" or not name:
        forms = "exit, call:NAME, call:NAME:N, event:GLOB or event:GLOB:N"
        raise BadQuestion(f"a place is {forms}, not '{text}'")
    if name not in NAMES.values():
        raise BadQuestion(f"Linux has no call '{name}'{did_you_mean(name, NAMES.values())}")
    if nth and not (is_decimal(nth) and int(nth)):
        raise BadQuestion(f"'{text}': which one is a number from 1")
    return Place(frozenset({name}), int(nth or 1))


def _event_place(text: str) -> Place:
    glob, _, nth = text.rpartition(":")
    if not is_decimal(nth):
        return Place(frozenset(), 1, text)
    if not int(nth):
        raise BadQuestion(f"'{text}': which one is a number from 1")
    return Place(frozenset(), int(nth), glob)


def points_called(kernel: Kernel, glob: str) -> list[Point]:
    """Return the points of the events that a glob means. Errors: BadQuestion: there is none."""
    table = kernel.tracing.table
    try:
        return [table[name] for name in table.matching(glob)]
    except LookupError as error:
        raise BadQuestion(str(error)) from None


class Stop:
    """Calls visit(task) once, at a place."""

    def __init__(self, place: Place, visit: Visit) -> None:
        self._place = place
        self._visit = visit
        self._asleep: set[Task] = set()  # whose call is made again when it goes on
        self._left = place.nth
        self._first: Task | None = None  # the program's own end is meant, not a child's
        self._before: Observer | None = None

    @contextmanager
    def looking(self, kernel: Kernel, condition: Condition | None = None) -> Iterator[None]:
        """Look for an event, if the place is one. Errors: BadQuestion: there is none such."""
        glob = self._place.event
        if not glob:
            yield
            return
        points = points_called(kernel, glob)
        if condition is not None:
            condition.check(points)
        found = kernel.inspect.at(
            glob,
            visit=lambda event: self._met_event(kernel, event),
            when=condition or always,
        )
        with found:
            yield

    def _met_event(self, kernel: Kernel, event: Event) -> None:
        if not self.met:  # before the first program runs nobody is on the processor
            self.meet(kernel.tasks.get(event.pid) or kernel.inspect.task())

    @property
    def met(self) -> bool:
        """Whether the program has been there."""
        return self._left <= 0

    def meet(self, task: Task) -> None:
        """Count a task that is there."""
        self._left -= 1
        if self._left == 0:
            self._visit(task)

    def end(self, task: Task) -> None:
        """Meet a program's end, unless another place is meant."""
        if self._place.calls is ENDS and not self.met:
            self.meet(task)

    # ---- calls ----

    def attach(self, scheduler: Scheduler) -> None:
        """Look from now on at what the scheduler's tasks do."""
        table = {
            nr: self._watched(call) if NAMES[nr] in self._place.calls else call
            for nr, call in scheduler.calls.table.items()
        }
        scheduler.calls.use(table)
        self._before, scheduler.observer = scheduler.observer, self

    def python_call(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Return a Python program's handler that looks first."""
        if name not in self._place.calls or self._place.calls is ENDS:
            return handler

        def wrapper(task: Task, *args: Any, **named: Any) -> Any:
            self.meet(task)
            return handler(task, *args, **named)

        return wrapper

    def _watched(self, made: Raw) -> Raw:
        def call(task: Task, *registers: int) -> int:
            if task not in self._asleep and self._is_meant(task):
                self.meet(task)
            self._asleep.discard(task)
            try:
                return made(task, *registers)
            except WouldBlock:
                self._asleep.add(task)
                raise

        return call

    def _is_meant(self, task: Task) -> bool:
        """Tell whether a call counts: of those that end a process, the first program's last."""
        if self._place.calls is not ENDS:
            return True
        return task.group is self._group(task) and (task.group.live == 1 or self._is_for_all(task))

    @staticmethod
    def _is_for_all(task: Task) -> bool:
        call = task.thread.call
        return call is not None and NAMES.get(call[0]) == "exit_group"

    def _group(self, task: Task) -> Any:
        """Return the first program's threads: those of the first task that has a program."""
        if self._first is None:
            tasks = task.kernel.tasks.values()
            self._first = next(one for one in tasks if one.context is not None)
        return self._first.group

    # ---- as the scheduler's observer ----

    def signal(self, task: Task, info: SigInfo) -> None:
        """Meet the end that a signal is about to make."""
        if task.signals.fate(info.si_signo) is Fate.DIE and task.group is self._group(task):
            self.end(task)
        if self._before is not None:
            self._before.signal(task, info)

    def interrupted(self, task: Task, wait: WouldBlock) -> None:
        """Forget a call that a signal has ended."""
        self._asleep.discard(task)
        if self._before is not None:
            self._before.interrupted(task, wait)

    def ended(self, task: Task) -> None:
        """Forget a task."""
        self._asleep.discard(task)
        if self._before is not None:
            self._before.ended(task)
