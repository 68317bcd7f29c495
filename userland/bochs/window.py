"""The window: how the emulator shows guest pages at linear addresses, in its two modes.

Owns the mapping of the window and counts its system calls. NonlinearWindow is one special VMA
filled by remap_file_pages; MmapWindow is one VMA a page, by mmap(MAP_FIXED).
"""

from __future__ import annotations

import errno
from typing import Protocol

from pkern.userland.bochs.loader import PAGE, WINDOW_BYTES
from pkern.userland.program import Sys


class Window(Protocol):
    """What the emulator needs of either mode."""

    mode: str
    addr: int
    remap_calls: int
    mmap_calls: int

    def show(self, linear: int, physical: int, prot: int) -> None:
        """Show the page of guest RAM at physical (bytes) for linear (bytes)."""

    def drop_all(self) -> None:
        """Show nothing any more."""


class NonlinearWindow:
    """One special VMA for the whole window: a remapped page costs a pte and nothing else."""

    mode = "nonlinear"

    def __init__(self, sys: Sys, ram_fd: int) -> None:
        """Reserve the window. Errors: EPERM while vm.nonlinear is 0."""
        self._sys = sys
        self._ram_fd = ram_fd
        self.remap_calls = self.mmap_calls = 0
        prot = sys.PROT_READ | sys.PROT_WRITE
        flags = sys.MAP_SHARED | sys.MAP_NONLINEAR
        self.mmap_calls += 1
        self.addr = sys.mmap(0, WINDOW_BYTES, prot, flags, -1, 0)

    def show(self, linear: int, physical: int, prot: int) -> None:
        """Fill one page of the VMA. Errors: ENOMEM at vm.nonlinear_max_pages."""
        self.remap_calls += 1
        self._sys.remap_file_pages(
            self.addr + linear, PAGE, prot, physical // PAGE, 0, self._ram_fd
        )

    def drop_all(self) -> None:
        """Empty the VMA's ptes; the VMA stays."""
        self._sys.madvise(self.addr, WINDOW_BYTES, self._sys.MADV_DONTNEED)


class MmapWindow:
    """A reservation that nobody may touch, and over it one VMA for each page shown."""

    mode = "mmap"

    def __init__(self, sys: Sys, ram_fd: int) -> None:
        """Reserve the window."""
        self._sys = sys
        self._ram_fd = ram_fd
        self._fixed = sys.MAP_SHARED | sys.MAP_FIXED
        self.remap_calls = self.mmap_calls = 0
        self.addr = self._reserve(0, 0)

    def show(self, linear: int, physical: int, prot: int) -> None:
        """Map one page. Errors: ENOMEM at vm.max_map_count."""
        self.mmap_calls += 1
        self._sys.mmap(self.addr + linear, PAGE, prot, self._fixed, self._ram_fd, physical)

    def drop_all(self) -> None:
        """Unmap all that was shown and reserve the window again.

        Not one mmap over it: at vm.max_map_count any mmap is refused, even one that would free
        VMAs.
        """
        self._sys.munmap(self.addr, WINDOW_BYTES)
        self._reserve(self.addr, self._sys.MAP_FIXED)

    def _reserve(self, addr: int, fixed: int) -> int:
        sys = self._sys
        flags = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_NORESERVE | fixed
        self.mmap_calls += 1
        start: int = sys.mmap(addr, WINDOW_BYTES, sys.PROT_NONE, flags, -1, 0)
        return start


def open_window(sys: Sys, ram_fd: int) -> tuple[Window, str]:
    """Return the window and a note: nonlinear if the gate is open, else mmap mode."""
    try:
        return NonlinearWindow(sys, ram_fd), "mmap(MAP_NONLINEAR) was allowed: nonlinear mode"
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
    note = "mmap(MAP_NONLINEAR) failed with EPERM (vm.nonlinear is 0): falling back to mmap mode"
    return MmapWindow(sys, ram_fd), note
