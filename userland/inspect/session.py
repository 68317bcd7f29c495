"""A conversation in the middle of a run: questions, steps and breakpoints, a line at a time.

Owns its grammar and where it stops next. The run stands still while it talks; what it asks changes
nothing, so the run goes on as one that nobody looked at.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TextIO

from pkern.kernel.inspect.inspector import NotThere
from pkern.kernel.numbers import is_decimal
from pkern.kernel.tasks.signal.signals import SIGKILL
from pkern.kernel.values import NamedTuple
from pkern.userland.inspect.stops import points_called
from pkern.userland.inspect.words import Asker, BadQuestion, Condition, help_text

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Event
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task

PROMPT = "(pkern) "
STEPS = {"fault": "exceptions:*", "call": "raw_syscalls:sys_enter", "event": "*"}
HELP = """\
step fault|call|event      go on to the next one
break GLOB [if EXPRESSION] stop at events, as break page_fault_user if address > 0x1000
breaks, delete N           the breakpoints; take one away
continue                   go on to a breakpoint, or the end
quit                       end the program"""


class Break(NamedTuple):
    """A breakpoint. names: of the points; text: as it was written."""

    names: frozenset[str]
    holds: Callable[[Event], object]
    text: str


def _always(event: Event) -> bool:
    return True


class Session:
    """One conversation about one run."""

    def __init__(self, kernel: Kernel, lines: TextIO, out: TextIO) -> None:
        self._kernel = kernel
        self._lines = lines
        self._out = out
        self._prompt = PROMPT if lines.isatty() else ""
        self._asker = Asker(kernel.inspect)
        self._breaks: dict[int, Break] = {}
        self._made = 0
        self._step: Break | None = None
        self._talks = False  # since begin()

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Look for what is stepped to, and for breakpoints, while a program runs."""
        # What is looked for changes in the middle: all is told, and little is listened to.
        with self._kernel.inspect.at("*", visit=self._stopped, when=self._is_meant):
            yield

    def begin(self, task: Task) -> None:
        """Talk for the first time, at the place that was asked for."""
        self._talks = True
        self._tell(f"process {task.tgid}, {task.name}")
        self._talk(task)

    def _is_meant(self, event: Event) -> object:
        if not self._talks:
            return False
        wanted = [*self._breaks.values()] + ([self._step] if self._step else [])
        return any(event.name in one.names and one.holds(event) for one in wanted)

    def _stopped(self, event: Event) -> None:
        self._step = None
        self._tell(repr(event))
        self._talk(self._kernel.tasks.get(event.pid))

    # ---- lines ----

    def _talk(self, task: Task | None) -> None:
        self._asker.about(task)
        while True:
            self._out.write(self._prompt)
            self._out.flush()
            line = self._lines.readline()
            if not line:
                self._breaks.clear()  # nobody is there any more
                return
            try:
                if self._command(_words(line), task):
                    return
            except (BadQuestion, NotThere, ValueError) as error:
                self._tell(str(error))

    def _command(self, words: list[str], task: Task | None) -> bool:
        """Do what a line says; tell whether the run goes on."""
        if not words:
            return False
        name, *args = words
        if name in GOING_ON:
            GOING_ON[name](self, args, task)
            return True
        if name in STAYING:
            STAYING[name](self, args)
            return False
        self._tell(repr(self._asker.ask(words)))
        return False

    def _tell(self, text: str) -> None:
        self._out.write(text + "\n")

    def _wanted(self, glob: str, text: str) -> Break:
        points = points_called(self._kernel, glob)
        names = frozenset(point.full_name for point in points)
        if not text:
            return Break(names, _always, glob)
        holds = Condition(text)
        holds.check(points)
        return Break(names, holds, f"{glob} if {text}")

    # ---- commands ----

    def step(self, args: list[str], task: Task | None) -> None:
        """Go on to the next fault, call or event. Errors: BadQuestion."""
        kind = args[0] if args else "event"
        if kind not in STEPS or len(args) > 1:
            raise BadQuestion(f"it is: step {'|'.join(STEPS)}")
        self._step = self._wanted(STEPS[kind], "")

    def go_on(self, args: list[str], task: Task | None) -> None:
        """Go on to a breakpoint, or the end."""

    def quit(self, args: list[str], task: Task | None) -> None:
        """End the program."""
        self._breaks.clear()
        self._talks = False
        for one in list(self._kernel.tasks.values()):
            if one.alive and (one.context is not None or one is task):
                one.die_of(SIGKILL)

    def set_break(self, args: list[str]) -> None:
        """Stop at events. Errors: BadQuestion."""
        if not args or (len(args) > 1 and (args[1] != "if" or len(args) < 3)):
            raise BadQuestion("it is: break GLOB [if EXPRESSION]")
        self._made += 1
        self._breaks[self._made] = self._wanted(args[0], " ".join(args[2:]))
        self._tell(f"breakpoint {self._made}: {self._breaks[self._made].text}")

    def list_breaks(self, args: list[str]) -> None:
        """Tell the breakpoints."""
        for number, one in self._breaks.items():
            self._tell(f"{number}: {one.text}")

    def delete(self, args: list[str]) -> None:
        """Take a breakpoint away. Errors: BadQuestion."""
        if len(args) != 1 or not is_decimal(args[0]) or int(args[0]) not in self._breaks:
            self._no_such(args)
        del self._breaks[int(args[0])]

    def _no_such(self, args: list[str]) -> NoReturn:
        there = ", ".join(map(str, self._breaks)) or "none"
        raise BadQuestion(f"it is: delete N; there are {there}")

    def help(self, args: list[str]) -> None:
        """Tell what can be said."""
        self._tell(f"{HELP}\n{help_text()}")


def _words(line: str) -> list[str]:
    """Return a line's words; a condition is one, as it stands there. Errors: ValueError."""
    head, _, text = line.partition(" if ")
    if text.strip() and head.split()[:1] == ["break"]:
        return [*shlex.split(head), "if", text.strip()]
    return shlex.split(line)


GOING_ON = {
    "step": Session.step,
    "continue": Session.go_on,
    "c": Session.go_on,
    "quit": Session.quit,
}
STAYING = {
    "break": Session.set_break,
    "breaks": Session.list_breaks,
    "delete": Session.delete,
    "help": Session.help,
}
