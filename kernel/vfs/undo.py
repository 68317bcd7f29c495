"""What the end of a task undoes of its operations on semaphores.

Owns in which sets there is something; how much stands in the set. Tasks made with CLONE_SYSVSEM
share one, and the last of them undoes it.
"""

from __future__ import annotations

from pkern.kernel.typed import Protocol


class Undoable(Protocol):
    """A set of semaphores."""

    def undo_all(self, undo: Undo, pid: int) -> None: ...


class Undo:
    """sets: where there is something to undo, the latest first. users: tasks."""

    def __init__(self) -> None:
        self.sets: list[Undoable] = []
        self.users = 1

    def get(self) -> Undo:
        """Add a user."""
        self.users += 1
        return self

    def leave(self, pid: int) -> None:
        """Take a user of a process away; the last one undoes everything."""
        self.users -= 1
        for of in list(self.sets) if not self.users else ():
            self.sets.remove(of)
            of.undo_all(self, pid)
