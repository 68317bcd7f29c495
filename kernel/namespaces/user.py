"""User namespaces: whose ids are whose, and over what a capability gives power.

Inside the kernel an id is the machine's: that of the initial namespace. What a task says or is told
goes through the maps of its own. Invariants: a map is set once; the initial namespace maps every id
to itself; whoever is the owner of a namespace has all capabilities over it while in the one above.
Source: user_namespaces(7), Linux 6.18's kernel/user_namespace.c.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.base import USER, Namespace
from pkern.kernel.values import NamedTuple

NO_ID = 0xFFFF_FFFF  # (uid_t) -1
OVERFLOW_ID = 65534  # what an id without a place here is shown as


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


class UserNamespace(Namespace):
    """One user namespace. uid, gid: who made it, who owns it; owner: the namespace above.

    setgroups: 1 while setgroups(2) may be used once there is a map. could_setfcap: 1: who made it
    could give files capabilities.
    """

    kind = USER
    lies_in_another = 1

    def __init__(self, above: UserNamespace | None, uid: int = 0, gid: int = 0) -> None:
        super().__init__(above, uid)
        self.uid, self.gid = uid, gid
        self.level: int = above.level + 1 if above is not None else 0
        self.setgroups: int = above.setgroups if above is not None else 1
        self.could_setfcap = 1
        start = EMPTY if above is not None else IDENTITY
        self.maps: dict[str, IdMap] = {"uid": start, "gid": start, "projid": start}

    @property
    def above(self) -> UserNamespace | None:
        return self.owner

    # ---- ids ----

    def kuid(self, uid: int) -> int:
        """Return the machine's id of a user here. Errors: EINVAL: there is no such user."""
        return self._down("uid", uid)

    def kgid(self, gid: int) -> int:
        """Return the machine's id of a group here. Errors: EINVAL: there is no such group."""
        return self._down("gid", gid)

    def kids(self, uid: int, gid: int) -> tuple[int, int]:
        """Return the machine's ids of a user and a group here, NO_ID for one that there is not."""
        found = self.maps["uid"].down(uid), self.maps["gid"].down(gid)
        return NO_ID if found[0] is None else found[0], NO_ID if found[1] is None else found[1]

    def _down(self, which: str, number: int) -> int:
        if not self.level and number != NO_ID:
            return number
        found = self.maps[which].down(number)
        if found is None:
            raise SyscallError(errno.EINVAL)
        return found

    def uid_of(self, kuid: int) -> int:
        """Return what a user of the machine is shown as here."""
        return kuid if not self.level else self._up("uid", kuid)

    def gid_of(self, kgid: int) -> int:
        """Return what a group of the machine is shown as here."""
        return kgid if not self.level else self._up("gid", kgid)

    def _up(self, which: str, number: int) -> int:
        found = self.maps[which].up(number)
        return OVERFLOW_ID if found is None else found

    def has(self, kuid: int, kgid: int) -> bool:
        """Tell whether a user and a group of the machine both have a place here."""
        return not self.level or (
            self.maps["uid"].up(kuid) is not None and self.maps["gid"].up(kgid) is not None
        )

    def has_user(self, kuid: int) -> bool:
        """Tell whether a user of the machine has a place here."""
        return self.maps["uid"].up(kuid) is not None

    @property
    def root(self) -> int | None:
        """The machine's id of user 0 here; None: there is none."""
        return self.maps["uid"].down(0)

    @property
    def may_setgroups(self) -> bool:
        """Tell whether setgroups(2) is of any use here."""
        return bool(self.setgroups and self.maps["gid"])


FIRST = UserNamespace(None)  # of every machine: nothing about it ever changes
