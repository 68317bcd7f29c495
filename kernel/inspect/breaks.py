"""Breakpoints on events: who wants to see the machine when something happens.

A visit comes at the first point at which the machine can be asked: behind the fault or the access
that told of the event, before a call that is told of, else behind it. What is visited stands still.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.events.stream import Delivery

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Event, Subscription, Tracing

Condition = Callable[["Event"], object]
Visit = Callable[["Event"], object]


def always(event: Event) -> bool:
    """Want every event."""
    return True


class Breakpoint:
    """Calls visit(event) at each event of some points that a condition holds for; close() ends it.

    globs: as of Kernel.events. Errors: ValueError for one that means no event.
    """

    def __init__(
        self, tracing: Tracing, globs: tuple[str, ...], condition: Condition, visit: Visit
    ) -> None:
        try:
            names = tracing.table.matching(*globs)
        except LookupError as error:
            raise ValueError(str(error)) from None
        self._tracing = tracing
        self._condition, self._visit = condition, visit
        self._inside = False  # a visit makes no other
        self.hits = 0
        self._open = True
        self._entry: Subscription | None = tracing.subscribe(names, self._take, Delivery.AT_ONCE)

    def _take(self, event: Event) -> None:
        if self._inside or not self._open or not self._condition(event):
            return
        self.hits += 1
        self._inside = True
        try:
            self._visit(event)
        finally:
            self._inside = False

    def close(self) -> None:
        """Visit no more; from within a visit its subscription stays until it is closed again."""
        self._open = False
        if self._entry is not None and not self._inside:
            self._tracing.unsubscribe(self._entry)
            self._entry = None

    def __enter__(self) -> Breakpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
