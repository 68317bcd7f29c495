"""C9, C10: a window larger than RAM: pinned, paged by its ptes, or reloaded by a SIGBUS handler."""

from __future__ import annotations

import errno
import tempfile
from collections import deque
from dataclasses import dataclass

from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.lab.bench import MIB, PAGE, PAGE_BY_PAGE, Spread, ratios, stretch, time_text
from pkern.userland.lab.experiment import (
    Judgement,
    Outcome,
    Published,
    Scale,
    Table,
    experiment,
    fails,
    holds,
    only_when,
    undecided,
)
from pkern.userland.lab.machines import machine
from pkern.userland.lab.pictures import Bars, Panels, Series
from pkern.userland.lab.progress import steps
from pkern.userland.program import Sys

RAM = {Scale.TINY: 1 * MIB, Scale.DEFAULT: 8 * MIB, Scale.FULL: 64 * MIB}
ROUNDS = {Scale.TINY: 3, Scale.DEFAULT: 5, Scale.FULL: 5}
TIMES_RAM = 2  # the window
SHOWN = 4  # a quarter of RAM: what the handler keeps in its window
PASSES = 2
SIGBUS = 7


@dataclass(slots=True)
class Paged:
    """One way of paging a window: time (ns), reloads, and entries into the kernel for them."""

    ns: int
    reloads: int
    entries: int


def _machine(ram: int, folder: str) -> Kernel:
    sysctl = PAGE_BY_PAGE | {"vm.nonlinear": 1, "vm.overcommit_memory": 1}
    kernel = machine(ram, sysctl=sysctl)
    kernel.vfs.mount("/disk", HostFs(folder, Access.READ_WRITE))
    return kernel


def _file(sys: Sys, nr_pages: int) -> int:
    fd: int = sys.open("/disk/file", sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.ftruncate(fd, nr_pages * PAGE)
    return fd


def pinned(ram: int) -> int:
    """Return how many pages a special VMA of twice RAM can be filled with before ENOMEM."""
    nr = TIMES_RAM * ram // PAGE
    with tempfile.TemporaryDirectory(prefix="pkern-lab-") as folder, _machine(ram, folder) as k:
        sys = Sys(k.spawn(uid=0))
        fd = _file(sys, nr)
        window = sys.mmap(0, nr * PAGE, 3, sys.MAP_SHARED | sys.MAP_NONLINEAR, -1, 0)
        for index in range(nr):
            try:
                sys.remap_file_pages(window + index * PAGE, PAGE, 0, index, 0, fd)
            except OSError as error:
                assert error.errno == errno.ENOMEM
                return index
    return nr


def _touch(sys: Sys, window: int, nr: int) -> None:
    """Load a byte of each of nr pages, PASSES times."""
    for _ in range(PASSES):
        for index in range(nr):
            sys.load(window + index * PAGE, 1)


def by_ptes(ram: int) -> Paged:
    """Touch a window of 2.6's nonlinear kind: the kernel pages it, a file pte finds the page."""
    nr = TIMES_RAM * ram // PAGE
    with tempfile.TemporaryDirectory(prefix="pkern-lab-") as folder, _machine(ram, folder) as k:
        sys = Sys(k.spawn(uid=0))
        fd = _file(sys, nr)
        window = sys.mmap(0, nr * PAGE, 3, sys.MAP_SHARED, fd, 0)
        for index in range(nr):
            sys.remap_file_pages(window + index * PAGE, PAGE, 0, nr - 1 - index, 0x10000)
        with stretch(k) as seen:
            _touch(sys, window, nr)
        faults = seen.moved["pgfault"]
        return Paged(seen.ns, seen.moved["pgmajfault"], faults)


def by_handler(ram: int) -> Paged:
    """Touch a special VMA whose holes a SIGBUS handler fills, emptying the oldest page."""
    nr, room = TIMES_RAM * ram // PAGE, ram // PAGE // SHOWN
    with tempfile.TemporaryDirectory(prefix="pkern-lab-") as folder, _machine(ram, folder) as k:
        sys = Sys(k.spawn(uid=0))
        fd = _file(sys, nr)
        window = sys.mmap(0, nr * PAGE, 3, sys.MAP_SHARED | sys.MAP_NONLINEAR, -1, 0)
        shown: deque[int] = deque()
        calls = 0

        def reload(signo: int, info: object) -> None:
            nonlocal calls
            page = int(getattr(info, "si_addr", 0)) & -PAGE
            if len(shown) == room:
                sys.madvise(shown.popleft(), PAGE, sys.MADV_DONTNEED)
                calls += 1
            sys.remap_file_pages(page, PAGE, 0, nr - 1 - (page - window) // PAGE, 0, fd)
            calls += 1
            shown.append(page)
            reloads.append(page)

        reloads: list[int] = []
        sys.rt_sigaction(SIGBUS, reload)
        with stretch(k) as seen:
            _touch(sys, window, nr)
        # each reload: the fault that ends in the signal, the calls, and sigreturn
        return Paged(seen.ns, len(reloads), 2 * len(reloads) + calls)


def rule(
    *, fits: float, wanted: float, entries_ptes: float, entries_handler: float, slower: Spread
) -> Judgement:
    """fits: pages that may be pinned. wanted: pages of the window. entries_ptes, entries_handler:
    entries into the kernel for each page that is reloaded. slower: time of the handler's window
    over that of the paged one, a reload, in paired rounds.

    C10 does not hold if the handler needs no more entries, or is slower in no round; it is not
    decided if the handler is slower in some rounds only. If it is in all, C9 holds only when the
    window is smaller than what may be pinned; where all of it may be, both hold.
    """
    entries = f"entries a reload: {entries_handler:.3g} against {entries_ptes:.3g}; x{slower}"
    if entries_handler <= entries_ptes or slower.at_most(1):
        return fails(entries)
    if not slower.above(1):
        return undecided(entries)
    figures = f"a handler takes {entries_handler:.3g} entries a reload where paging takes "
    figures += f"{entries_ptes:.3g}, x{slower} of the time"
    if fits >= wanted:
        return holds(figures)
    return only_when(f"the window is at most {fits:,.0f} pages, of {wanted:,.0f} wanted; {figures}")


@experiment(
    "windows",
    title="A window larger than memory",
    claims=("C9", "C10"),
    rule=rule,
    published=(
        Published("a database's window", "512 MB over a larger file", "the letter's time, 2003"),
        Published("entering the kernel, P4", "641 cycles, int 0x80 1,761", "2003"),
    ),
)
def windows(scale: Scale) -> Outcome:
    """Show a file through a window twice as large as RAM, and touch all of it twice. Pinned: fill a
    special VMA until ENOMEM. Paged by ptes: 2.6's remap_file_pages, the kernel reclaims pages and
    a fault brings them back by the offset in the pte. By a handler: a special VMA of which a
    quarter of RAM is filled; a hole is SIGBUS, and the program's handler empties the oldest page
    and fills the new one.
    """
    ram = RAM[scale]
    ptes, handler = [], []
    for _ in steps(ROUNDS[scale]):
        ptes.append(by_ptes(ram))
        handler.append(by_handler(ram))
    slower = ratios([p.ns / p.reloads for p in handler], [p.ns / p.reloads for p in ptes])
    fits, wanted = pinned(ram), TIMES_RAM * ram // PAGE
    entries = [one[-1].entries / one[-1].reloads for one in (ptes, handler)]
    return Outcome(
        parameters={
            "RAM": f"{ram // MIB} MiB",
            "window": f"{wanted:,} pages, touched {PASSES} times",
            "rounds": str(ROUNDS[scale]),
        },
        measures={
            "fits": fits,
            "wanted": wanted,
            "entries_ptes": entries[0],
            "entries_handler": entries[1],
            "slower": slower,
        },
        figure=f"{fits:,} of {wanted:,} pages can be pinned; entries a reload {entries[0]:.3g} "
        f"paged, {entries[1]:.3g} by a handler (time x{slower})",
        tables=(_table(fits, wanted, ptes[-1], handler[-1]),),
        pictures=(_picture(entries, slower),),
        explanation=(
            "Pinned pages are memory that nobody else can have: vm.nonlinear_max_pages bounds them "
            f"({fits:,} pages here), so a pinned window is right for a program that knows how much "
            "memory it has, and wrong beyond. A reload by a handler enters the kernel for the "
            "fault, for sigreturn, for the page that goes and for the page that comes. The "
            "handler is a Python function here, so its time is more than a C program's; the "
            "entries are the same.",
        ),
    )


def _table(fits: int, wanted: int, ptes: Paged, handler: Paged) -> Table:
    def row(name: str, one: Paged) -> tuple[str, ...]:
        return (
            name,
            f"{wanted:,}",
            f"{one.reloads:,}",
            f"{one.entries / one.reloads:.3g}",
            time_text(one.ns / one.reloads),
        )

    rows = [
        ("pinned (special VMA)", f"{fits:,}, then ENOMEM", "0", "0", "-"),
        row("paged by ptes (2.6's call)", ptes),
        row("SIGBUS handler (special VMA)", handler),
    ]
    headers = ("window", "pages shown", "reloads", "kernel entries a reload", "time a reload")
    return Table("Three ways to have a window larger than RAM", headers, rows)


def _picture(entries: list[float], slower: Spread) -> Panels:
    def panel(title: str, unit: str, paged: float, handler: Spread) -> Bars:
        series = [
            Series("paged by ptes", [paged], [paged], [paged]),
            Series("SIGBUS handler", [handler.median], [handler.low], [handler.high]),
        ]
        return Bars("windows", title, unit, [""], series)

    exact = Spread(entries[1], entries[1], entries[1], 1)
    return Panels(
        "windows",
        "Reloading a page of a window larger than RAM",
        [
            panel("entries into the kernel, a reload", "entries", entries[0], exact),
            panel("time of a reload", "time, paged = 1", 1, slower),
        ],
    )
