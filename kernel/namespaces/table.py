"""The namespaces of one machine: numbers, limits, and when one has gone.

Nothing counts who uses one: whoever may have been the last asks for a sweep, which looks at tasks,
open files and mounts, and at what those that are in use lie in. A machine with one namespace of
each kind never sweeps.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.base import FIRST_NUMBER, KINDS, Kind, Namespace
from pkern.kernel.namespaces.user import FIRST, UserNamespace
from pkern.kernel.typed import Any, Callable, Iterable, TypeVar

INT_MAX = (1 << 31) - 1
N = TypeVar("N", bound=Namespace)


class Limits:
    """How many namespaces of each kind a user may have: user.max_*_namespaces."""

    def __init__(self, most: int) -> None:
        for kind in KINDS:
            setattr(self, f"max_{kind.name}_namespaces", most)

    def most(self, kind: Kind) -> int:
        """Return the limit of a kind."""
        return int(getattr(self, f"max_{kind.name}_namespaces"))


class Namespaces:
    """Which namespaces there are. initial: those that a machine begins with, but of users.

    used: returns those that tasks, open files and mounts use. most: of each kind, that a user may
    have: user.max_*_namespaces at boot.
    """

    def __init__(
        self, initial: Iterable[Namespace], used: Callable[[], Iterable[Namespace]], most: int
    ) -> None:
        self._initial = tuple(initial)
        self._used = used
        self._next = FIRST_NUMBER
        self._limits: dict[UserNamespace, Limits] = {FIRST: Limits(most)}
        self.made: dict[int, Namespace] = {}  # by number: all but the initial ones

    def limits(self, user_ns: UserNamespace) -> Limits:
        """Return how many of each kind a user of a user namespace may have there."""
        return self._limits.setdefault(user_ns, Limits(INT_MAX))

    def enter(self, made: N) -> N:
        """Give a new namespace its number. Errors: ENOSPC: its maker, or one above, has too many.

        Source: inc_ucount() of Linux 6.18.
        """
        counted = [_charges(one) for one in self.made.values() if one.kind == made.kind]
        for who in _charges(made):
            most = self.limits(who[0]).most(made.kind)
            if sum(who in charges for charges in counted) >= most:
                raise SyscallError(errno.ENOSPC)
        made.number, self._next = self._next, self._next + 1
        self.made[made.number] = made
        return made

    def of_kind(self, kind: Kind) -> list[Any]:
        """Return all of a kind that Nsproxies name, the initial one first."""
        return [one for one in (*self._initial, *self.made.values()) if one.kind == kind]

    def sweep(self) -> None:
        """Let namespaces go that nobody uses any more."""
        if not self.made:
            return
        used: set[Namespace] = set()
        for one in self._used():
            _note(one, used)
        gone = [one for one in self.made.values() if one not in used]
        for one in gone:
            del self.made[one.number]
            one.close()
            if isinstance(one, UserNamespace):
                self._limits.pop(one, None)

    def close(self) -> None:
        """Let all go but the initial ones: the machine ends."""
        for one in self.made.values():
            one.close()


def _charges(one: Namespace) -> list[tuple[UserNamespace, int]]:
    """Return for whose limits a namespace counts: its maker, and the owners of those above."""
    found = []
    here, uid = one.owner, one.charged
    while here is not None:
        found.append((here, uid))
        uid, here = here.uid, here.owner
    return found


def _note(one: Namespace | None, used: set[Namespace]) -> None:
    """Note that a namespace is in use, and so what it lies in and what owns it."""
    while one is not None and one not in used:
        used.add(one)
        _note(one.owner, used)
        one = one.above
