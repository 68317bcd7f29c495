"""What tasks of one ipc namespace share: segments, semaphores and queues, System V's and POSIX's.

Each part is made when somebody first asks for it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pkern.kernel import late
from pkern.kernel.namespaces.base import IPC, Namespace

if TYPE_CHECKING:
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.vfs.machine import Caller, Machine
    from pkern.kernel.vfs.mqueue import Queues
    from pkern.kernel.vfs.msg import Messages
    from pkern.kernel.vfs.sem import Semaphores
    from pkern.kernel.vfs.shm import Segments


class IpcNamespace(Namespace):
    """One ipc namespace, with limits of its own: kernel.shm*, msg*, sem, fs.mqueue.*."""

    kind = IPC

    def __init__(self, kernel: Machine, owner: UserNamespace, charged: int = 0) -> None:
        super().__init__(owner, charged)
        self.kernel = kernel

    @cached_property
    def segments(self) -> Segments:
        """Shared memory of System V."""
        made: Segments = late.load("pkern.kernel.vfs.shm").Segments(self.kernel)
        return made

    @cached_property
    def semaphores(self) -> Semaphores:
        """Semaphores of System V."""
        made: Semaphores = late.load("pkern.kernel.vfs.sem").Semaphores(self.kernel)
        return made

    @cached_property
    def messages(self) -> Messages:
        """Message queues of System V."""
        made: Messages = late.load("pkern.kernel.vfs.msg").Messages(self.kernel)
        return made

    @cached_property
    def queues(self) -> Queues:
        """Message queues of POSIX."""
        made: Queues = late.load("pkern.kernel.vfs.mqueue").Queues(self.kernel)
        return made

    def has(self, part: str) -> bool:
        """Tell whether somebody has asked for a part, by its name."""
        return part in vars(self)

    def leave(self, task: Caller) -> None:
        """Let a task that has ended leave what it holds or waits for, of the parts there are."""
        pid = task.pid
        named = {"segments": task, "semaphores": pid, "messages": pid, "queues": pid}
        for name, who in named.items():
            if self.has(name):
                getattr(self, name).leave(who)

    def close(self) -> None:
        if self.has("segments"):
            self.segments.close()
