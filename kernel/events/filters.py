"""The filters of events, as tracefs takes them: `pfn > 100 && (comm == "sh" || comm ~ "*top")`.

    filter := every {"||" every}    every := one {"&&" one}
    one    := "!" one | "(" filter ")" | test
    test   := FIELD (== | != | < | <= | > | >= | & | ~) VALUE

A number is C's; a text stands in quotes or not; ~ takes * and ?. Besides an event's own fields
there are common_pid and COMM. Source: Documentation/trace/events.rst of Linux 6.18.
"""

from __future__ import annotations

import errno
import operator
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError

if TYPE_CHECKING:
    from pkern.kernel.events.points import Point
    from pkern.kernel.events.stream import Event

Test = Callable[["Event"], bool]
TOKEN = re.compile(r'\s*(?:("[^"]*")|(\|\||&&|==|!=|<=|>=|[<>&~!()])|([^\s"|&=!<>~()]+))')
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&": operator.and_,
    "~": fnmatchcase,
}
OF_TEXT = {"==", "!=", "~"}
COMMON: dict[str, Callable[[Event], Any]] = {
    "common_pid": lambda event: event.pid,
    "COMM": lambda event: event.comm,
    "comm": lambda event: event.comm,
}
TEXTS = ("char", "__data_loc")
MOST_NESTED = 32


def bad() -> SyscallError:
    """Return what a filter that means nothing gets."""
    return SyscallError(errno.EINVAL)


def tokens(text: str) -> list[str]:
    """Return the words of a filter. Errors: EINVAL."""
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise bad()
        found.append(match[0].strip())
        at = match.end()
    return found


class Parser:
    """Reads one filter, for one point. Errors: EINVAL."""

    def __init__(self, text: str, point: Point) -> None:
        self._words = tokens(text)
        self._fields = {field.name: field for field in point.fields}
        self._depth = 0

    def whole(self) -> Test:
        """Return what the filter says."""
        test = self._any()
        if self._words:
            raise bad()
        return test

    def _next(self) -> str:
        if not self._words:
            raise bad()
        return self._words.pop(0)

    def _meets(self, word: str) -> bool:
        if self._words[:1] != [word]:
            return False
        self._words.pop(0)
        return True

    def _any(self) -> Test:
        tests = [self._every()]
        while self._meets("||"):
            tests.append(self._every())
        return lambda event: any(test(event) for test in tests)

    def _every(self) -> Test:
        tests = [self._one()]
        while self._meets("&&"):
            tests.append(self._one())
        return lambda event: all(test(event) for test in tests)

    def _one(self) -> Test:
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise bad()
        try:
            if self._meets("!"):
                inner = self._one()
                return lambda event: not inner(event)
            if not self._meets("("):
                return self._test(self._next(), self._next(), self._next())
            whole = self._any()
            if not self._meets(")"):
                raise bad()
            return whole
        finally:
            self._depth -= 1

    def _test(self, name: str, sign: str, value: str) -> Test:
        if sign not in COMPARE or (name not in self._fields and name not in COMMON):
            raise bad()
        compare = COMPARE[sign]
        read = COMMON[name] if name not in self._fields else lambda event: event[name]
        if not self._is_text(name):
            number = _number(value)
            return lambda event: bool(sign != "~" and compare(read(event), number))
        if sign not in OF_TEXT:
            raise bad()
        wanted = value.strip('"')
        return lambda event: bool(compare(str(read(event)), wanted))

    def _is_text(self, name: str) -> bool:
        if name in self._fields:
            return self._fields[name].ctype.startswith(TEXTS)
        return name != "common_pid"


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise bad() from None


def parse(text: str, point: Point) -> Test:
    """Return what tells whether an event of a point passes a filter. Errors: EINVAL."""
    return Parser(text, point).whole()
