"""Structures that lie in memory in two ways: a call's own table says which.

A call of the i386 table (int 0x80) has pointers and longs of 32 bits. Where the fields are the same
the handler is too: it asks for the layout of the call that it serves.
"""

from __future__ import annotations

import struct

from pkern.kernel.tasks.thread import INT80, entry_of
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


def is_i386(task: Task) -> bool:
    """Tell whether a task's call is one of the i386 table."""
    return entry_of(task) is INT80


class Layout(NamedTuple):
    """A structure's layout in each of the two tables."""

    native: struct.Struct
    i386: struct.Struct

    def of(self, task: Task) -> struct.Struct:
        """Return the layout that a task's call has."""
        return self.i386 if is_i386(task) else self.native


def layout(native: str, i386: str) -> Layout:
    """Return a layout of two formats."""
    return Layout(struct.Struct(native), struct.Struct(i386))
