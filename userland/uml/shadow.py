"""How a host address space shows guest frames, in two modes with the same result.

NonlinearShadow is one special VMA over all of the guest's addresses, filled by remap_file_pages
with a protection for each page. MmapShadow is one mmap(MAP_FIXED) a page (or run of pages that are
neighbours in both), so a VMA each. Both act on a descriptor of /proc/mm.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from typing import Protocol

from userland.uml.host import MM_MADVISE, MM_MMAP, MM_MUNMAP, MM_REMAP, Host
from userland.uml.memory import PAGE

LOWEST, HIGHEST = 0x10000, 0x7FFF_FFFF_F000  # what a guest process may use
NO_FD = (1 << 64) - 1

Shown = tuple[int, int, int]  # address, frame, protection


class Shadow(Protocol):
    """What an address space needs of either mode."""

    mode: str
    fd: int

    def show(self, pages: Iterable[Shown]) -> None:
        """Show pages, in place of what was there."""

    def hide(self, addr: int, nbytes: int) -> None:
        """Show nothing in a range any more."""

    def close(self) -> None:
        """Give the host address space up."""


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


class NonlinearShadow:
    """One special VMA: a shown page costs a pte and nothing else."""

    mode = "nonlinear"

    def __init__(self, host: Host, ram_fd: int) -> None:
        """Reserve all addresses. Errors: EPERM while vm.nonlinear is 0."""
        self._host, self._ram_fd = host, ram_fd
        self.fd = host.new_mm()
        prot = host.PROT_READ | host.PROT_WRITE | host.PROT_EXEC
        flags = host.MAP_SHARED | host.MAP_NONLINEAR | host.MAP_FIXED
        try:
            host.command(self.fd, [(MM_MMAP, LOWEST, HIGHEST - LOWEST, prot, flags, NO_FD, 0)])
        except OSError:
            host.close(self.fd)
            raise

    def show(self, pages: Iterable[Shown]) -> None:
        """Fill ptes. Errors: ENOMEM at vm.nonlinear_max_pages."""
        fd = self._ram_fd
        self._host.command(
            self.fd,
            [(MM_REMAP, addr, size, prot, 0, fd, frame) for addr, size, frame, prot in runs(pages)],
        )

    def hide(self, addr: int, nbytes: int) -> None:
        """Empty ptes; the VMA stays."""
        dontneed = self._host.MADV_DONTNEED
        self._host.command(self.fd, [(MM_MADVISE, addr, nbytes, 0, dontneed, 0, 0)])

    def close(self) -> None:
        self._host.close(self.fd)


class MmapShadow:
    """One VMA a page, or a run of pages."""

    mode = "mmap"

    def __init__(self, host: Host, ram_fd: int) -> None:
        self._host, self._ram_fd = host, ram_fd
        self._flags = host.MAP_SHARED | host.MAP_FIXED
        self.fd = host.new_mm()
        self.evictions = 0

    def show(self, pages: Iterable[Shown]) -> None:
        """Map pages; at vm.max_map_count drop all others first, since faults bring them back."""
        fd, flags = self._ram_fd, self._flags
        commands = [
            (MM_MMAP, addr, size, prot, flags, fd, frame * PAGE)
            for addr, size, frame, prot in runs(pages)
        ]
        try:
            self._host.command(self.fd, commands)
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
            self.evictions += 1
            self.hide(LOWEST, HIGHEST - LOWEST)
            self._host.command(self.fd, commands[-1:])

    def hide(self, addr: int, nbytes: int) -> None:
        self._host.command(self.fd, [(MM_MUNMAP, addr, nbytes, 0, 0, 0, 0)])

    def close(self) -> None:
        self._host.close(self.fd)


def open_shadow(host: Host, ram_fd: int) -> Shadow:
    """Return a new host address space: nonlinear if the gate is open, else in mmap mode."""
    try:
        return NonlinearShadow(host, ram_fd)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
    return MmapShadow(host, ram_fd)
