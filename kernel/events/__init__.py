"""What the machine tells of itself while somebody looks: events, their names, who gets them.

Here stands what every start needs: what the floors above add to the table of events, points that
are made when they are asked for. It is entered as those floors are imported; points.py looks when
somebody first does.
"""

from __future__ import annotations

from pkern.kernel.typed import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from typing import Protocol

    class Source(Protocol):
        """What has more points."""

        def names(self) -> list[str]: ...
        def make(self, full_name: str) -> Any: ...  # a Point of points.py
        def calls(self) -> dict[int, str]: ...  # names of system calls, by number


sources: list[Callable[[], Source]] = []
