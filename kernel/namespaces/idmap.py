"""Maps of ids: which users, groups or projects of a user namespace are which of the machine.

Rules of the text that sets one: map_write() of Linux 6.18's kernel/user_namespace.c.
"""

from __future__ import annotations

import errno
import re

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple

MOST_EXTENTS = 340
NO_ID = 0xFFFF_FFFF  # (uid_t) -1
LINE = re.compile(rb"[ \t\v\f\r]*(\d*)[ \t\v\f\r]+(\d*)[ \t\v\f\r]+(\d*)[ \t\v\f\r]*")


class Extent(NamedTuple):
    """Ids first .. first + length - 1 here are lower .. lower + length - 1 there."""

    first: int
    lower: int
    length: int


class IdMap(tuple[Extent, ...]):
    """A map from the ids of a namespace down to those of another one, and back up."""

    __slots__ = ()

    def down(self, number: int) -> int | None:
        """Return what an id here is there; None: it has no place there."""
        for first, lower, count in self:
            if first <= number < first + count:
                return lower + number - first
        return None

    def up(self, number: int) -> int | None:
        """Return what an id there is here; None: it has no place here."""
        for first, lower, count in self:
            if lower <= number < lower + count:
                return first + number - lower
        return None

    def through(self, below: IdMap) -> IdMap:
        """Return the map to where below leads. Errors: EPERM: an extent has no whole place there.

        Source: map_id_range_down() of Linux 6.18.
        """
        return IdMap(Extent(one.first, _range_down(below, one), one.length) for one in self)


def _range_down(below: IdMap, wanted: Extent) -> int:
    for first, lower, count in below:
        if first <= wanted.lower and wanted.lower + wanted.length <= first + count:
            return lower + wanted.lower - first
    raise SyscallError(errno.EPERM)


IDENTITY = IdMap([Extent(0, 0, NO_ID)])
EMPTY = IdMap()


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
