"""What a ring keeps in numbered slots: open files (direct descriptors) and buffers, with tags.

Invariant: what is in a slot is held by the slot and by each request that uses it; its tag is told
in a completion when nobody holds it any more. Source: io_uring_register(2), Linux 6.18
io_uring/rsrc.c, filetable.c.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Generic, TypeVar

from pkern.kernel.errors import SyscallError

T = TypeVar("T")
ANY_SLOT = (1 << 32) - 1  # IORING_FILE_INDEX_ALLOC: the first free one


class Resource(Generic[T]):
    """An open file or a buffer. tag: told of when it has gone; 0: nothing is told."""

    def __init__(self, value: T, tag: int, gone: Callable[[Resource[T]], None]) -> None:
        self.value, self.tag, self._gone = value, tag, gone
        self.holders = 1

    def put(self) -> None:
        """Hold it no longer."""
        self.holders -= 1
        if not self.holders:
            self._gone(self)


class Slots(Generic[T]):
    """A table of them. missing: the errno of an empty slot. gone: called with what nobody holds.

    start, end: the slots that free() chooses from; hint: where it begins to look, as on Linux.
    """

    def __init__(self, missing: int, gone: Callable[[Resource[T]], None]) -> None:
        self.missing, self._gone = missing, gone
        self._slots: list[Resource[T] | None] = []
        self.start = self.end = self.hint = 0

    def __len__(self) -> int:
        return len(self._slots)

    def limit(self, start: int, count: int) -> None:
        """Say which slots free() chooses from."""
        self.start, self.end, self.hint = start, start + count, start

    def make(self, count: int) -> None:
        """Have so many slots, all empty."""
        self._slots = [None] * count
        self.limit(0, count)

    def get(self, place: int) -> Resource[T]:
        """Return what is in a slot, and hold it. Errors: missing."""
        found = self._slots[place] if 0 <= place < len(self._slots) else None
        if found is None:
            raise SyscallError(self.missing)
        found.holders += 1
        return found

    def put_in(self, place: int, value: T, tag: int = 0) -> None:
        """Put something into a slot, in place of what was there."""
        self.empty(place)
        self._slots[place] = Resource(value, tag, self._gone)
        self.hint = place + 1

    def empty(self, place: int) -> None:
        """Let nothing be in a slot."""
        old, self._slots[place] = self._slots[place], None
        if old is not None:
            self.hint = place
            old.put()

    def remove(self, place: int) -> None:
        """Empty a slot in which something must be. Errors: ENXIO, EINVAL, missing."""
        self.need(place)
        self.get(place).put()
        self.empty(place)

    def need(self, place: int) -> None:
        """Errors: ENXIO (there are none), EINVAL (no such slot)."""
        if not self._slots:
            raise SyscallError(errno.ENXIO)
        if place >= len(self._slots):
            raise SyscallError(errno.EINVAL)

    def free(self) -> int:
        """Return an empty slot. Errors: ENFILE."""
        hint = self.hint if self.start <= self.hint < self.end else self.start
        places: list[int] = [*range(hint, self.end), *range(self.start, hint)]
        for place in places:
            if self._slots[place] is None:
                return place
        raise SyscallError(errno.ENFILE)

    def forget_tags(self) -> None:
        """Let nothing be told of when they go."""
        for found in self._slots:
            if found is not None:
                found.tag = 0

    def look(self, place: int) -> Resource[T] | None:
        """Return what is in a slot."""
        return self._slots[place]

    def grow(self, count: int) -> None:
        """Have so many slots at least."""
        self._slots += [None] * (count - len(self._slots))

    def drop(self) -> None:
        """Have no slots any more."""
        slots, self._slots = self._slots, []
        self.limit(0, 0)
        for found in reversed(slots):
            if found is not None:
                found.put()
