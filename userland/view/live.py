"""A running machine at a terminal: what `pkern watch` draws, and who draws it.

A thread of the host comes in by the machine's door (kernel/visits.py) some times a second, reads,
and draws outside with rich (extra `pretty`). Reading changes nothing, so the run is as one that
nobody watches; the host's clock decides only how often it is looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import ffi, lib
from pkern.kernel.vfs.proc.maps import columns
from pkern.kernel.visits import Visits

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task

# What a page frame is, by the first of these that it has: flags of the core, name, colour.
FRAMES = tuple(
    (int(bits), name, colour)
    for bits, name, colour in (
        (lib.PG_FREE, "free", "grey30"),
        (lib.PG_TABLE, "table", "magenta"),
        (lib.PG_SLAB, "slab", "bright_magenta"),
        (lib.PG_HUGE | lib.PG_TAIL, "large", "red"),
        (lib.PG_SWAPCACHE, "swapcache", "bright_red"),
        (lib.PG_ANON, "anon", "dark_orange"),
        (lib.PG_SHMEM, "shmem", "yellow"),
        (lib.PG_CACHE, "file", "blue"),
    )
)
RESERVED = ("reserved", "white")
STYLES = {name: colour for _, name, colour in FRAMES} | dict((RESERVED,))
CELLS, MAP_COLUMNS = 768, 64  # of the map of memory
MOST_AREAS, MOST_LINES, BAR = 14, 6, 24
LISTS = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")
COUNTERS = (
    "nr_free", "nr_anon", "nr_file", "nr_shmem", "nr_pagetable", "nr_slab", "nr_special",
    "nr_swap_used", "nr_dirty", "nr_vmas", "pgfault", "pgmajfault", "cow", "pswpin", "pswpout",
    "pgsteal_direct", "pgsteal_kswapd", "tlb_flush",
)  # fmt: skip
FRAME_WORDS = ffi.sizeof("struct frame_info") // 4
FLAGS_AT = ffi.offsetof("struct frame_info", "flags") // 4


@dataclass(frozen=True)
class Area:
    """A VMA in the picture; pages."""

    process: str
    name: str
    pages: int
    resident: int
    swapped: int


@dataclass(frozen=True)
class Picture:
    """A machine at a moment, as much as a terminal shows. cells: names of FRAMES."""

    title: str
    cells: tuple[str, ...]
    frames_a_cell: int
    areas: tuple[Area, ...]
    more_areas: int
    lists: dict[str, int]
    counters: dict[str, int]
    changed: dict[str, int]
    output: tuple[str, ...]


class Watcher:
    """Makes pictures of one machine. output: what its program writes, so far; end: of its end."""

    def __init__(self, kernel: Kernel, title: str, output: bytearray) -> None:
        self._kernel = kernel
        self._title = title
        self._output = output
        self._counters = dict.fromkeys(COUNTERS, 0)
        self.end: Picture | None = None

    def look_last(self) -> None:
        """Keep what there is to see when the program ends."""
        self.end = self.look()

    def look(self) -> Picture:
        """Return what there is to see now."""
        kernel = self._kernel
        cells, each = _cells(kernel)
        areas = [area for task in kernel.inspect.spaces().values() for area in _areas(task)]
        counters = {name: int(getattr(kernel.counters, name)) for name in COUNTERS}
        before, self._counters = self._counters, counters
        seconds = kernel.clock.now_ns / 1e9
        lines = bytes(self._output).decode(errors="replace").splitlines()
        return Picture(
            f"{self._title}: {seconds:.6f} s, tasks: {len(kernel.tasks)}, {kernel.memory.rmap}",
            cells,
            each,
            tuple(areas[:MOST_AREAS]),
            max(0, len(areas) - MOST_AREAS),
            {name: int(getattr(kernel.counters, f"nr_{name}")) for name in LISTS},
            counters,
            {name: counters[name] - before[name] for name in COUNTERS},
            tuple(lines[-MOST_LINES:]),
        )


def _cells(kernel: Kernel) -> tuple[tuple[str, ...], int]:
    """Return what cells of the map of memory are mostly, and how many frames each stands for."""
    nr = max(1, int(lib.machine_frames_end(kernel.core)))
    frames = ffi.new("struct frame_info[]", nr)
    lib.machine_frames(kernel.core, 0, nr, frames)
    flags = memoryview(ffi.buffer(frames)).cast("I")[FLAGS_AT::FRAME_WORDS].tolist()
    each = -(-nr // CELLS)
    kinds = [_kind(bits) for bits in flags]
    groups = (kinds[at : at + each] for at in range(0, nr, each))
    return tuple(max(group, key=group.count) for group in groups), each


def _kind(flags: int) -> str:
    return next((name for bits, name, _ in FRAMES if flags & bits), RESERVED[0])


def _areas(task: Task) -> Iterator[Area]:
    info = ffi.new("struct smaps_info *")
    for vma in task.mm.vmas():
        lib.mm_smaps(task.mm.handle, vma.start, info)
        name = f"{vma.start:x} {vma.perms} {columns(task, vma).name}".rstrip()
        pages = (vma.end - vma.start) >> 12
        yield Area(f"{task.name} ({task.tgid})", name, pages, int(info.rss), int(info.swap))


# ---- drawing ----


def drawn(picture: Picture) -> Any:
    """Return a picture as rich draws it."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.panel import Panel

    parts: list[Any] = [
        Panel(_map(picture), title="physical memory"),
        Panel(_areas_table(picture), title="address spaces"),
        Columns(
            [
                Panel(_bars(picture.lists), title="lists by age (pages)"),
                Panel(_counters_table(picture), title="counters"),
            ]
        ),
    ]
    if picture.output:
        parts.append(Panel(_plain("\n".join(picture.output)), title="output"))
    return Group(_plain(picture.title, "bold"), *parts)


def _plain(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(text, style=style)


def _map(picture: Picture) -> Any:
    from rich.text import Text

    text = Text()
    for at, kind in enumerate(picture.cells):
        text.append("■", STYLES[kind])
        if at % MAP_COLUMNS == MAP_COLUMNS - 1:
            text.append("\n")
    text.append("\n" if len(picture.cells) % MAP_COLUMNS else "")
    for name, colour in STYLES.items():
        text.append("■ ", colour)
        text.append(f"{name}  ")
    text.append(f"({picture.frames_a_cell} frames each)")
    return text


def _areas_table(picture: Picture) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    last = ""
    for area in picture.areas:
        bar, pages = Text(), max(area.pages, 1)
        resident, swapped = (-(-BAR * part // pages) for part in (area.resident, area.swapped))
        bar.append("█" * resident, "blue").append("█" * swapped, "red")
        bar.append("░" * max(0, BAR - resident - swapped), "grey30")
        numbers = f"{area.resident}+{area.swapped} of {area.pages}"
        table.add_row(area.process if area.process != last else "", _plain(area.name), bar, numbers)
        last = area.process
    if picture.more_areas:
        table.add_row("", f"... and {picture.more_areas} more", "", "")
    return table


def _bars(lists: dict[str, int]) -> Any:
    from rich.table import Table

    table, most = Table(box=None, pad_edge=False, show_header=False), max(1, *lists.values())
    for name, nr in lists.items():
        table.add_row(name, _plain("█" * (-(-BAR * nr // most)), "cyan"), str(nr))
    return table


def _counters_table(picture: Picture) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    names, rows = list(picture.counters), -(-len(picture.counters) // 3)
    for row in range(rows):
        cells: list[str] = []
        for name in names[row::rows]:
            change = picture.changed[name]
            cells += [name, f"{picture.counters[name]}", f"{change:+}" if change else ""]
        table.add_row(*cells)
    return table


# ---- who looks ----


@contextmanager
def watching(kernel: Kernel, watcher: Watcher, seconds: float) -> Iterator[None]:
    """Draw a machine on the terminal every so many seconds of the host's, while it runs."""
    from rich.live import Live

    visits = kernel.visits = Visits()
    over = threading.Event()
    with Live(auto_refresh=False, screen=False, transient=False) as live:

        def draw() -> None:
            while not over.is_set():
                try:
                    with visits.visit():
                        picture = watcher.look()
                except OSError:  # the machine is no more
                    return
                live.update(drawn(picture), refresh=True)
                over.wait(seconds)

        thread = threading.Thread(target=draw, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            visits.end()
            kernel.visits = None
            with suppress(RuntimeError):
                thread.join()
            visits.close()
        if watcher.end is not None:
            live.update(drawn(watcher.end), refresh=True)
