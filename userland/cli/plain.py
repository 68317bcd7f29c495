"""Command lines that need no parser: flags in full, each with its value, then the operands.

Owns which those are. What argparse would make of one is made here at a tenth of the cost: argparse,
and the modules of regular expressions that it imports, take as long as Python itself. Whatever else
stands in a line (a request for help, an abbreviation, a mistake, a --) makes it not plain, and the
parser reads it from its beginning. A test compares the two.
"""

from __future__ import annotations

from pkern.kernel.lean import SimpleNamespace
from pkern.kernel.typed import Any, Callable, NoReturn, Sequence
from pkern.kernel.values import NamedTuple
from pkern.userland.cli.options import REMAINDER, UsageError

VALUED = {"store", "append"}  # actions of flags that a value follows


class Flag(NamedTuple):
    """One flag: what it does with which attribute, and what its value must be."""

    action: str
    dest: str
    type: Callable[[str], object]
    choices: Sequence[object] | None


class NotPlain(Exception):
    """The parser must read this line."""


class Declared:
    """Takes what a command declares, as a parser and each of its groups do."""

    def __init__(self, prog: str) -> None:
        self.prog = prog
        self.usage: str | None = None
        self._known: dict[str, Flag] = {}
        self._values: dict[str, object] = {}
        self._operands = ""

    def add_argument_group(self, title: str) -> Declared:
        """Return what takes the declarations of a group."""
        return self

    def set_defaults(self, **values: object) -> None:
        """Set attributes that no argument sets."""
        self._values.update(values)

    def error(self, message: str) -> NoReturn:
        """Refuse what a plain line says."""
        raise UsageError(message)

    def flags(self) -> list[str]:
        """Return every flag."""
        return list(self._known)

    def add_argument(self, *names: str, **how: Any) -> None:
        """Declare a flag, or the operands: all that is left."""
        if names[0][0] != "-":
            assert how["nargs"] == REMAINDER
            self._operands = names[0]
            return
        action = how.get("action", "store")
        dest = how.get("dest") or names[0].lstrip("-").replace("-", "_")
        flag = Flag(action, dest, how.get("type", str), how.get("choices"))
        self._known.update(dict.fromkeys(names, flag))
        self._values.setdefault(dest, how.get("default", False if action == "store_true" else None))

    def read(self, words: Sequence[str]) -> SimpleNamespace:
        """Return the attributes that a line sets. Errors: NotPlain."""
        values, left = dict(self._values), list(words)
        while left and left[0].startswith("-"):
            self._take(left, values)
        if not left:
            raise NotPlain
        return SimpleNamespace(**values, **{self._operands: left})

    def _take(self, left: list[str], values: dict[str, Any]) -> None:
        """Take a flag, and its value, from the words that are left."""
        name, equals, text = left.pop(0).partition("=")
        flag = self._known.get(name)
        if flag is None or (equals and not (name.startswith("--") and flag.action in VALUED)):
            raise NotPlain
        before = values[flag.dest]
        if flag.action == "store":
            values[flag.dest] = _value(flag, text if equals else _next(left))
        elif flag.action == "append":
            values[flag.dest] = [*before, _value(flag, text if equals else _next(left))]
        elif flag.action == "count":
            values[flag.dest] = before + 1
        else:
            values[flag.dest] = True


def _next(left: list[str]) -> str:
    if not left or left[0].startswith("-"):
        raise NotPlain
    return left.pop(0)


def _value(flag: Flag, text: str) -> object:
    try:
        value = flag.type(text)
    except Exception as error:  # the parser knows how to say so
        raise NotPlain from error
    if flag.choices is not None and value not in flag.choices:
        raise NotPlain
    return value
