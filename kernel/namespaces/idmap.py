"""The text that sets a map of ids. Rules: map_write() of Linux 6.18's kernel/user_namespace.c."""

from __future__ import annotations

import errno
import re

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.user import NO_ID, Extent, IdMap

MOST_EXTENTS = 340
LINE = re.compile(rb"[ \t\v\f\r]*(\d*)[ \t\v\f\r]+(\d*)[ \t\v\f\r]+(\d*)[ \t\v\f\r]*")


def parse(data: bytes) -> IdMap:
    """Return the map that a text gives: lines of first, lower and count. Errors: EINVAL."""
    found: list[Extent] = []
    text = data.split(b"\0")[0]
    for line in text.removesuffix(b"\n").split(b"\n"):
        numbers = LINE.fullmatch(line)
        if numbers is None or len(found) == MOST_EXTENTS:
            raise SyscallError(errno.EINVAL)
        one = Extent(*(int(digits or 0) & NO_ID for digits in numbers.groups()))
        if not _is_valid(one) or any(_overlap(one, other) for other in found):
            raise SyscallError(errno.EINVAL)
        found.append(one)
    return IdMap(found)


def _is_valid(one: Extent) -> bool:
    ends = one.first + one.length, one.lower + one.length
    return NO_ID not in (one.first, one.lower) and one.length > 0 and max(ends) <= NO_ID


def _overlap(one: Extent, other: Extent) -> bool:
    here = one.first < other.first + other.length and other.first < one.first + one.length
    there = one.lower < other.lower + other.length and other.lower < one.lower + one.length
    return here or there
