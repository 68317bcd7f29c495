"""The guest's futexes: who waits for which word, and whom a wake has reached.

A word is known by the frame that holds it and its place there: all who share it agree.
"""

from __future__ import annotations

from pkern.userland.uml.memory import PAGE_MASK
from pkern.userland.uml.process import Process

Key = tuple[int, int]  # frame, offset


def _key(process: Process, addr: int) -> Key:
    process.space.read(addr, 4)
    return process.space.table[addr & ~PAGE_MASK][0], addr & PAGE_MASK


class Futexes:
    """Those who wait, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: dict[Key, list[Process]] = {}
        self._woken: set[int] = set()

    def wait(self, process: Process, addr: int) -> None:
        """Note that a process waits for a word. Errors: GuestError(EFAULT)."""
        self._waiting.setdefault(_key(process, addr), []).append(process)

    def leave(self, process: Process) -> None:
        """Note that a process waits no more."""
        for waiting in self._waiting.values():
            if process in waiting:
                waiting.remove(process)

    def was_woken(self, process: Process) -> bool:
        """Tell whether a wake has reached the process, once."""
        woken = process.pid in self._woken
        self._woken.discard(process.pid)
        return woken

    def wake(self, process: Process, addr: int, most: int) -> int:
        """Reach at most so many that wait for a word; return how many. Errors: as wait."""
        waiting = self._waiting.get(_key(process, addr), [])
        reached, waiting[:] = waiting[:most], waiting[most:]
        self._woken.update(one.pid for one in reached)
        return len(reached)
