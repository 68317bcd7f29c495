"""The memory of a machine with several nodes: whose policy decides where files' pages lie.

Keeps nothing: a machine with one node need not tell its core on whose behalf files are worked on.
"""

from __future__ import annotations

from pkern.kernel.core import ffi, lib
from pkern.kernel.mm.memory import Memory
from pkern.kernel.mm.process import Process


class NumaMemory(Memory):
    """As Memory; the core knows whose call it is in."""

    @property
    def current(self) -> Process | None:
        """On whose behalf files are worked on."""
        return self._current

    @current.setter
    def current(self, process: Process | None) -> None:
        self._current = process
        has_memory = process is not None and process.alive
        lib.machine_act_for(self.core, process.mm.handle if process and has_memory else ffi.NULL)

    def fetch_page(self, process: Process | None) -> None:
        """Bring a page as Memory does, from where the policy of who needs it says."""
        before, self.current = self.current, process or self.running()
        try:
            super().fetch_page(process)
        finally:
            self.current = before
