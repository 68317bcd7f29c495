"""C12: a database's shared memory in large pages: who gets it, and what it saves."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from pkern.userland.lab.bench import MIB, PAGE, booted, ratios, rounds, stretch, time_text
from pkern.userland.lab.experiment import (
    Judgement,
    Outcome,
    Published,
    Scale,
    Table,
    experiment,
    fails,
    holds,
)
from pkern.userland.lab.machines import machine
from pkern.userland.lab.pictures import Bars, Panels, Series
from pkern.userland.program import Sys

HUGE = 2 * MIB
DBA_GROUP = 77
IPC_PRIVATE, IPC_CREAT, SHM_HUGETLB = 0, 0o1000, 0o4000
WINDOW = {Scale.TINY: 32 * MIB, Scale.DEFAULT: 128 * MIB, Scale.FULL: 512 * MIB}
ROUNDS = {Scale.TINY: 1, Scale.DEFAULT: 5, Scale.FULL: 5}


@dataclass(frozen=True, slots=True)
class Who:
    """One kind of caller: its group and whether it holds CAP_IPC_LOCK."""

    name: str
    gid: int
    caps: frozenset[str] = frozenset()


CALLERS = (
    Who("another group", 1000),
    Who("vm.hugetlb_shm_group", DBA_GROUP),
    Who("CAP_IPC_LOCK", 1000, frozenset({"CAP_IPC_LOCK"})),
)
POOLS = (0, 4)


def answer(pool: int, who: Who) -> str:
    """Return "ok" or the name of the errno that shmget(SHM_HUGETLB), shmat and a store give."""
    sysctl = {"vm.nr_hugepages": pool, "vm.hugetlb_shm_group": DBA_GROUP}
    with machine("32M", sysctl=sysctl) as kernel:
        sys = Sys(kernel.spawn(gid=who.gid, caps=who.caps))
        try:
            segment = sys.shmget(IPC_PRIVATE, HUGE, IPC_CREAT | SHM_HUGETLB | 0o600)
            sys.store(sys.shmat(segment, 0, 0) + HUGE - 1, b"x")
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        finally:
            kernel.check()
    return "ok"


@dataclass(slots=True)
class Window:
    """What touching every small page of the window took with pages of one size."""

    ns: int
    faults: int
    table_bytes: int


def touch_window(nbytes: int, flags: int) -> Window:
    """Make the segment, attach it and touch each 4 KiB of it, on a machine of its own."""
    sysctl = {"vm.nr_hugepages": nbytes // HUGE, "vm.hugetlb_shm_group": 1000}
    with booted(2 * nbytes + 64 * MIB, sysctl) as sys:
        segment = sys.shmget(IPC_PRIVATE, nbytes, IPC_CREAT | flags | 0o600)
        with stretch(sys.kernel) as seen:
            sys.touch(sys.shmat(segment, 0, 0), nbytes)
        tables = int(sys.task.mm.counters.nr_pagetable) * PAGE
        return Window(seen.ns, seen.moved["pgfault"], tables)


def rule(
    *, outsiders_refused: float, allowed: float, empty_refused: float, table_ratio: float
) -> Judgement:
    """outsiders_refused: of the two pools, in how many a caller of another group got EPERM.
    allowed: of the two kinds of callers that may, how many got their memory from a full pool.
    empty_refused: how many of those two got ENOMEM from an empty one. table_ratio: bytes of page
    tables with small pages over those with large ones.

    Holds if each of the three counts is 2 and large pages need at most a tenth of the page tables.
    """
    if outsiders_refused == allowed == empty_refused == 2 and table_ratio >= 10:
        return holds(f"one group has them, and their page tables are {table_ratio:.0f} times less")
    return fails(
        f"refused {outsiders_refused:g}, allowed {allowed:g}, empty {empty_refused:g} of 2; "
        f"page tables x{table_ratio:.3g}"
    )


@experiment(
    "large-pages",
    title="A database under the large-page sysctl",
    claims=("C12",),
    rule=rule,
    published=(
        Published("a database's window in /dev/shm", "512 MB", "the letter's time, 2003"),
        Published("small pages that one large entry replaces", "512", "x86-64's page tables"),
    ),
)
def large_pages(scale: Scale) -> Outcome:
    """Ask for shared memory of large pages (shmget, SHM_HUGETLB) as three kinds of callers, from
    an empty pool and from a full one: vm.nr_hugepages says how many there are, and
    vm.hugetlb_shm_group who may have them without CAP_IPC_LOCK. Then a database's window is touched
    once, every 4 KiB, in small pages and in large ones: faults, bytes of page tables, time.
    """
    cells = {(pool, who.name): answer(pool, who) for pool in POOLS for who in CALLERS}
    nbytes = WINDOW[scale]
    small, large = touch_window(nbytes, 0), touch_window(nbytes, SHM_HUGETLB)
    sides = {
        "4 KiB": lambda: float(touch_window(nbytes, 0).ns),
        "2 MiB": lambda: float(touch_window(nbytes, SHM_HUGETLB).ns),
    }
    times = rounds(ROUNDS[scale], sides)
    faster = ratios(times["4 KiB"], times["2 MiB"])
    outsider, *insiders = (who.name for who in CALLERS)
    return Outcome(
        parameters={
            "machines": str(len(cells)),
            "the window": f"{nbytes // MIB} MiB of shared memory",
            "rounds": str(ROUNDS[scale]),
        },
        measures={
            "outsiders_refused": sum(cells[pool, outsider] == "EPERM" for pool in POOLS),
            "allowed": sum(cells[POOLS[1], name] == "ok" for name in insiders),
            "empty_refused": sum(cells[0, name] == "ENOMEM" for name in insiders),
            "table_ratio": small.table_bytes / large.table_bytes,
        },
        figure=f"{small.faults:,} -> {large.faults:,} faults; time with small pages x{faster}",
        tables=(_gate_table(cells), _window_table(small, large)),
        pictures=(_picture(small, large),),
        explanation=(
            "The pool's pages are promised when the segment is attached and taken at the first "
            f"touch of each: {large.faults:,} faults against {small.faults:,}. "
            f"Page tables: {large.table_bytes >> 10:,} KiB "
            f"against {small.table_bytes >> 10:,} KiB.",
        ),
    )


def _gate_table(cells: dict[tuple[int, str], str]) -> Table:
    headers = ("vm.nr_hugepages", *(who.name for who in CALLERS))
    rows = [(str(pool), *(cells[pool, who.name] for who in CALLERS)) for pool in POOLS]
    return Table("What shmget(SHM_HUGETLB), shmat and a store answer", headers, rows)


def _window_table(small: Window, large: Window) -> Table:
    rows = [
        ("page faults", f"{small.faults:,}", f"{large.faults:,}"),
        ("page tables", f"{small.table_bytes >> 10:,} KiB", f"{large.table_bytes >> 10:,} KiB"),
        ("time to attach and touch", time_text(small.ns), time_text(large.ns)),
    ]
    return Table("The window, touched once", ("", "4 KiB pages", "2 MiB pages"), rows)


def _picture(small: Window, large: Window) -> Panels:
    def panel(title: str, unit: str, values: tuple[int, int]) -> Bars:
        series = [
            Series(name, [value])
            for name, value in zip(("4 KiB pages", "2 MiB pages"), values, strict=True)
        ]
        return Bars("large-pages", title, unit, [""], series, scale="log")

    return Panels(
        "large-pages",
        "A database's window in small and in large pages",
        [
            panel("page faults", "faults", (small.faults, large.faults)),
            panel("page tables", "KiB", (small.table_bytes >> 10, large.table_bytes >> 10)),
        ],
    )
