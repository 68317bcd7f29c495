"""The three ways to show page j of a file at page i of a window, behind one interface.

A: the special VMA; B: 2.6's remap_file_pages; C: one VMA a page, by emulation inside the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pkern.userland.lab.bench import PAGE
from pkern.userland.program import Sys

SPECIAL, MIXED, EMULATED = "special VMA (A)", "2.6's call (B)", "one VMA a page (C)"


@dataclass(frozen=True, slots=True)
class Scheme:
    """sysctls of the machine, flags and fd of the window's mmap, and whether the call takes the
    fd.
    """

    name: str
    sysctl: dict[str, int | str]
    open_window: Callable[[Sys, int, int], int]
    remap: Callable[[Sys, int], Callable[[int, int], object]]


def _special_window(sys: Sys, fd: int, nbytes: int) -> int:
    prot, flags = sys.PROT_READ | sys.PROT_WRITE, sys.MAP_SHARED | sys.MAP_NONLINEAR
    at: int = sys.mmap(0, nbytes, prot, flags, -1, 0)
    return at


def _file_window(sys: Sys, fd: int, nbytes: int) -> int:
    at: int = sys.mmap(0, nbytes, sys.PROT_READ | sys.PROT_WRITE, sys.MAP_SHARED, fd, 0)
    return at


def _with_fd(sys: Sys, fd: int) -> Callable[[int, int], object]:
    call = sys.remap_file_pages
    return lambda addr, index: call(addr, PAGE, 0, index, 0, fd)


def _without_fd(sys: Sys, fd: int) -> Callable[[int, int], object]:
    call = sys.remap_file_pages
    return lambda addr, index: call(addr, PAGE, 0, index, 0)


def sysctls(nr_pages: int) -> dict[str, int | str]:
    """Return what all schemes need: the gate open and room for nr_pages remaps."""
    return {
        "vm.nonlinear": 1,
        "vm.nonlinear_max_pages": nr_pages,
        "vm.max_map_count": nr_pages + 1000,
    }


SCHEMES = {
    SPECIAL: Scheme(SPECIAL, {}, _special_window, _with_fd),
    MIXED: Scheme(MIXED, {}, _file_window, _without_fd),
    EMULATED: Scheme(EMULATED, {"vm.nonlinear_emulated": 1}, _file_window, _without_fd),
}
