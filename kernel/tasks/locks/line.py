"""Who stands in line for a word of memory, and what stands for a private one.

That is what a scheduler has to know of futexes before there is one; futex.py has the rest.
"""

from __future__ import annotations

from pkern.kernel.typed import TYPE_CHECKING, Callable, TypeAlias
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Mm
    from pkern.kernel.tasks.locks.futex import Sleeper
    from pkern.kernel.tasks.task import Task as Task
    from pkern.kernel.wait import WouldBlock


class PrivateWord(NamedTuple):
    """What stands for a word that one address space uses; the core may have its sleepers."""

    mm: Mm
    addr: int


InLine: TypeAlias = "Task | Bystander"


class Bystander:
    """Who stands in line for words and is no task: a ring's request. told: called when it is woken.

    To who walks along a line it is a task, and that task's thread.
    """

    alive = True

    def __init__(self, progress: Sleeper, told: Callable[[], None]) -> None:
        self.progress, self.told = progress, told
        self.parked: WouldBlock | None = None

    @property
    def thread(self) -> Bystander:
        """Where its wait is noted: here."""
        return self

    @property
    def waiting(self) -> WouldBlock | None:
        """What it waits for; None: it was woken."""
        return self.parked
