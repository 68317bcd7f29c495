"""What strace's `-e` says is to be shown: which calls, which signals, which results.

Owns the grammar: `trace=`, `signal=` and `status=` with names, numbers, classes (`%memory`, also
without the percent sign where strace has always known it), `/regular expressions`, `all`, `none`,
and `!` in front for all but those. A word without `=` is a set of calls, as `-e mmap,munmap`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pkern.kernel.arguments import did_you_mean
from pkern.kernel.numbers import is_decimal
from pkern.kernel.tasks.signal.signals import NSIG
from pkern.kernel.tasks.signal.signames import Signal
from pkern.syscalls.numbers import NAMES
from pkern.syscalls.strace.classes import CLASSES

OLD_CLASSES = ("file", "desc", "memory", "network", "process", "signal", "ipc")
STATUSES = ("successful", "failed", "unfinished", "unavailable", "detached")
CALLS = frozenset(NAMES.values())
SIGNALS = frozenset(range(1, NSIG + 1))


class BadFilter(ValueError):
    """An expression that strace would refuse; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is shown: names of calls, numbers of signals, kinds of results."""

    calls: frozenset[str] = CALLS
    signals: frozenset[int] = SIGNALS
    statuses: frozenset[str] = frozenset(STATUSES)

    def shows_result(self, result: int | None) -> bool:
        """Tell whether a call with that result is shown. None: it never returned."""
        if result is None:
            return "unfinished" in self.statuses
        return ("failed" if result < 0 else "successful") in self.statuses


EVERYTHING = Filters()


def _call_names(item: str) -> Iterable[str]:
    """Return the calls that one item of a set stands for. Errors: BadFilter."""
    quiet = item.startswith("?")
    item = item.removeprefix("?")
    if item.startswith("/"):
        return _matching(item[1:])
    if item in CLASSES or item in OLD_CLASSES:
        return CLASSES["%" + item.lstrip("%") if item in OLD_CLASSES else item]
    if is_decimal(item) and int(item) in NAMES:
        return (NAMES[int(item)],)
    if item in CALLS:
        return (item,)
    if quiet:
        return ()
    if item.startswith("%"):
        hint = did_you_mean(item, CLASSES, f" (classes: {', '.join(CLASSES)})")
    else:
        hint = did_you_mean(item, CALLS)
    raise BadFilter(f"invalid system call '{item}'{hint}")


def _matching(pattern: str) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise BadFilter(f"'/{pattern}' is no regular expression: {error}") from error
    found = [name for name in NAMES.values() if expression.search(name)]
    if not found:
        raise BadFilter(f"no system call's name matches '/{pattern}'")
    return found


def _signal_number(item: str) -> Iterable[int]:
    name = item.upper() if item.upper().startswith("SIG") else f"SIG{item.upper()}"
    if name in Signal.__members__:
        return (Signal[name],)
    if is_decimal(item) and int(item) in SIGNALS:
        return (int(item),)
    raise BadFilter(f"invalid signal '{item}'{did_you_mean(name, Signal.__members__)}")


def _status(item: str) -> Iterable[str]:
    if item not in STATUSES:
        hint = did_you_mean(item, STATUSES, f": choose of {', '.join(STATUSES)}")
        raise BadFilter(f"invalid status '{item}'{hint}")
    return (item,)


def _members(text: str, every: frozenset, members: Callable[[str], Iterable]) -> frozenset:  # type: ignore[type-arg]
    """Return the set that a text of strace's stands for. Errors: BadFilter."""
    inverted, items = text.startswith("!"), text.removeprefix("!")
    if items in ("all", "none"):
        found = every if items == "all" else frozenset()
    elif not items or "" in items.split(","):
        raise BadFilter(f"'{text}' lacks a name")
    else:
        found = frozenset(member for item in items.split(",") for member in members(item))
    return every - found if inverted else found


def calls_of(text: str) -> frozenset[str]:
    """Return the calls that a set of strace's names. Errors: BadFilter."""
    return _members(text, CALLS, _call_names)


def parse(expressions: Iterable[str]) -> Filters:
    """Return what `-e` expressions ask for; the last of a kind counts. Errors: BadFilter."""
    filters = EVERYTHING
    for expression in expressions:
        kind, equals, text = expression.partition("=")
        if not equals:
            kind, text = "trace", expression
        match kind:
            case "trace" | "t":
                filters = replace(filters, calls=calls_of(text))
            case "signal" | "signals" | "s":
                filters = replace(filters, signals=_members(text, SIGNALS, _signal_number))
            case "status":
                filters = replace(filters, statuses=_members(text, EVERYTHING.statuses, _status))
            case _:
                hint = did_you_mean(kind, ("trace", "signal", "status"))
                raise BadFilter(f"-e knows trace=, signal= and status=, not '{kind}='{hint}")
    return filters
