"""Who is told of what is no system call: strace, and whoever else shows a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.wait import WouldBlock


class Observer(Protocol):
    """Is told before it happens; changes nothing."""

    def signal(self, task: Task, info: SigInfo) -> None: ...

    def interrupted(self, task: Task, wait: WouldBlock) -> None: ...

    def ended(self, task: Task) -> None: ...


class Observed(Protocol):
    """Who knows the observer of a machine, if it has one: its scheduler."""

    observer: Observer | None
