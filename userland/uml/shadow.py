"""How a host address space shows guest frames, in two modes with the same result.

NonlinearShadow is one special VMA over all of the guest's addresses, filled by remap_file_pages
with a protection for each page. MmapShadow is one mmap(MAP_FIXED) a page (or run of pages that are
neighbours in both), so a VMA each. Both act on a descriptor of /proc/mm.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from pkern.userland.uml.host import MM_MADVISE, MM_MMAP, MM_MUNMAP, MM_REMAP, Host
from pkern.userland.uml.memory import PAGE

LOWEST, HIGHEST = 0x10000, 0x7FFF_FFFF_F000  # what a guest process may use
NO_FD = (1 << 64) - 1

Shown = tuple[int, int, int]  # address, frame, protection
Command = tuple[int, ...]


def runs(pages: Iterable[Shown]) -> Iterator[tuple[int, int, int, int]]:
    """Yield (address, bytes, frame, protection), joining pages that follow in both orders."""
    start = length = first = prot = 0
    for addr, frame, page_prot in pages:
        if (
            length
            and addr == start + length
            and frame * PAGE == first * PAGE + length
            and page_prot == prot
        ):
            length += PAGE
            continue
        if length:
            yield start, length, first, prot
        start, length, first, prot = addr, PAGE, frame, page_prot
    if length:
        yield start, length, first, prot


class Shadow(ABC):
    """A host address space that shows what the guest's page table says; close() gives it back."""

    mode: str

    def __init__(self, host: Host, ram_fd: int) -> None:
        """Make an empty one. Errors: OSError of the host's calls."""
        self._host, self._ram_fd = host, ram_fd
        self.fd = host.new_mm()
        self.evictions = 0

    @abstractmethod
    def _show_run(self, addr: int, nbytes: int, frame: int, prot: int) -> Command:
        """Return the command that shows frames from `frame` on at addr."""

    @abstractmethod
    def _hide_range(self, addr: int, nbytes: int) -> Command:
        """Return the command that shows nothing in a range."""

    def show(self, pages: Iterable[Shown]) -> None:
        """Show pages in place of what was there.

        Where the host's limit is reached (vm.max_map_count, vm.nonlinear_max_pages), all others
        are dropped first: faults bring them back. Errors: OSError.
        """
        commands = [self._show_run(*run) for run in runs(pages)]
        try:
            self._host.command(self.fd, commands)
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
            self.evictions += 1
            self.hide(LOWEST, HIGHEST - LOWEST)
            self._host.command(self.fd, commands[-1:])

    def hide(self, addr: int, nbytes: int) -> None:
        """Show nothing in a range any more, as far as a guest process can use it."""
        start, end = max(addr, LOWEST), min(addr + nbytes, HIGHEST)
        if start < end:
            self._host.command(self.fd, [self._hide_range(start, end - start)])

    def close(self) -> None:
        """Give the host address space up."""
        self._host.close(self.fd)


class NonlinearShadow(Shadow):
    """One special VMA: a shown page costs a pte and nothing else."""

    mode = "nonlinear"

    def __init__(self, host: Host, ram_fd: int) -> None:
        """Reserve all addresses. Errors: EPERM while vm.nonlinear is 0."""
        super().__init__(host, ram_fd)
        prot = host.PROT_READ | host.PROT_WRITE | host.PROT_EXEC
        flags = host.MAP_SHARED | host.MAP_NONLINEAR | host.MAP_FIXED
        try:
            host.command(self.fd, [(MM_MMAP, LOWEST, HIGHEST - LOWEST, prot, flags, NO_FD, 0)])
        except OSError:
            self.close()
            raise

    def _show_run(self, addr: int, nbytes: int, frame: int, prot: int) -> Command:
        return MM_REMAP, addr, nbytes, prot, 0, self._ram_fd, frame

    def _hide_range(self, addr: int, nbytes: int) -> Command:
        return MM_MADVISE, addr, nbytes, 0, self._host.MADV_DONTNEED, 0, 0


class MmapShadow(Shadow):
    """One VMA a page, or a run of pages that are neighbours in both orders."""

    mode = "mmap"

    def _show_run(self, addr: int, nbytes: int, frame: int, prot: int) -> Command:
        flags = self._host.MAP_SHARED | self._host.MAP_FIXED
        return MM_MMAP, addr, nbytes, prot, flags, self._ram_fd, frame * PAGE

    def _hide_range(self, addr: int, nbytes: int) -> Command:
        return MM_MUNMAP, addr, nbytes, 0, 0, 0, 0


def open_shadow(host: Host, ram_fd: int) -> Shadow:
    """Return a new host address space: nonlinear if the gate is open, else in mmap mode."""
    try:
        return NonlinearShadow(host, ram_fd)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
    return MmapShadow(host, ram_fd)
