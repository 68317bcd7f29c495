"""The children of one process, in the order in which they came, and which of them have news.

A wait looks only at children that may have something to tell: they are noted when they end, stop
or go on, and looked at in their order. A note whose news has been told already is dropped.
"""

from __future__ import annotations

from pkern.kernel.lean import OrderedDict, heappop, heappush
from pkern.kernel.typed import TYPE_CHECKING, Callable, Iterator, TypeVar

if TYPE_CHECKING:
    from pkern.kernel.tasks.group import Group

Found = TypeVar("Found")
Known = OrderedDict[int, tuple[int, "Group"]]
NOBODY: tuple[int, Group | None] = (0, None)
NONE_YET: Known = OrderedDict()  # of whoever has had no child


class Children:
    """An ordered set of processes: changes and finding by pid take no longer when it grows."""

    __slots__ = ("_arrivals", "_by_pid", "_news")

    def __init__(self) -> None:
        self._by_pid = NONE_YET
        self._arrivals = 0
        self._news: list[tuple[int, int]] = []  # a heap of (arrival, pid)

    def __len__(self) -> int:
        return len(self._by_pid)

    def __iter__(self) -> Iterator[Group]:
        for _, child in self._by_pid.values():
            yield child

    def append(self, child: Group) -> None:
        """Add a child behind all others."""
        if self._by_pid is NONE_YET:
            self._by_pid = OrderedDict()
        self._arrivals += 1
        self._by_pid[child.pid] = self._arrivals, child

    def remove(self, child: Group) -> None:
        """Take a child away, with its note where that is the first. Errors: KeyError."""
        arrival, _ = self._by_pid.pop(child.pid)
        if self._news and self._news[0] == (arrival, child.pid):
            heappop(self._news)

    def get(self, pid: int) -> Group | None:
        """Return the child with a pid, or None."""
        found = self._by_pid.get(pid)
        return found[1] if found else None

    def tell(self, child: Group) -> None:
        """Note that a child may have news; a process that is none of these is passed over."""
        pid = child.pid
        arrival, known = self._by_pid.get(pid, NOBODY)
        if known is child:
            heappush(self._news, (arrival, pid))

    def first(self, choose: Callable[[Group], Found | None]) -> Found | None:
        """Return what choose makes of the first child with news that it wants, or None."""
        if not self._news:
            return None
        looked_at: list[tuple[int, int]] = []
        found = None
        while found is None and self._news:
            note = heappop(self._news)
            arrival, child = self._by_pid.get(note[1], NOBODY)
            if child is None or arrival != note[0] or not child.has_news or note in looked_at[-1:]:
                continue
            looked_at.append(note)
            found = choose(child)
        for note in looked_at:
            heappush(self._news, note)
        return found
