"""gdb's `monitor`: questions about the machine that no packet has.

Those of userland/inspect, about the task that the debugger looks at where none is named, sysctls
and events. Each answers in text; what is asked wrongly is answered with how to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.inspect.inspector import NotThere
from pkern.userland.inspect import words

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.userland.debugger.target import Target

OURS = """\
sysctl [PREFIX ..] sysctls whose names begin so
events GLOB ..     note the events that the globs mean, from now on
events             those that have been noted since they were last shown; events off: no more
help               this"""


def monitor(target: Target, task: Task, text: str) -> str:
    """Return what `monitor TEXT` prints. task: the one that the debugger looks at."""
    name, *arguments = text.split() or ["help"]
    if name == "help":
        return f"{words.help_text()}\n{OURS}\n"
    if name in QUESTIONS:
        return QUESTIONS[name](target, tuple(arguments))
    try:
        question = words.read(text)
        return f"{words.as_text(target.asker(task).ask(question), 'text')}\n"
    except (words.BadQuestion, NotThere) as error:
        return f"{error}\n"


def _sysctls(target: Target, prefixes: tuple[str, ...]) -> str:
    table = target.kernel.sysctl
    names = (entry.name for entry in table.entries())
    chosen = [name for name in names if not prefixes or name.startswith(prefixes)]
    shown = "".join(f"{name} = {table[name]}\n" for name in chosen)
    return shown or f"there is no sysctl {' '.join(prefixes)}\n"


def _events(target: Target, globs: tuple[str, ...]) -> str:
    if globs:
        try:
            target.watch(() if globs == ("off",) else globs)
        except ValueError as error:
            return f"{error}\n"
        return ""
    if target.events is None:
        return "no events are noted: monitor events GLOB ...\n"
    return "".join(f"{event}\n" for event in target.events) or "no event\n"


QUESTIONS: dict[str, Callable[[Target, tuple[str, ...]], str]] = {
    "sysctl": _sysctls,
    "events": _events,
}
