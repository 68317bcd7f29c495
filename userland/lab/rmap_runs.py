"""rmap-test 1, 2 and 3: their options at each scale, a machine that fits, and one run of a design.

Owns the pressure. The published machine had 256 MB and 32-bit page tables; this kernel's tables and
VMAs are those of a 64-bit machine. What they take beyond the published ones is added to RAM, so
that the file meets the memory it met; a smaller run gets the same share of what it wants.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pkern.kernel.errors import TaskKilled
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.lab.bench import MIB, PAGE, PAGE_BY_PAGE, stretch
from pkern.userland.lab.designs import CHAIN, LIST, SCAN, TREE, Run
from pkern.userland.lab.experiment import Scale
from pkern.userland.lab.machines import machine
from pkern.userland.lab.rmap_test import Options, RmapTest
from pkern.userland.program import Sys

NRPTE = 31
PTES_A_TABLE = {32: 1024, 64: 512}
VMA_BYTES = {32: 64, 64: 232}
PUBLISHED_RAM = 256 * MIB
LEAST_RAM = 2 * MIB
TINY_SHARE = 40
PASSES_SHARE = {Scale.TINY: 10, Scale.DEFAULT: 2, Scale.FULL: 1}  # times fewer than the full test's
COUNTED = ("rmap_vma_visits", "rmap_pte_visits", "rmap_block_touches", "scan_ptes")
ALSO = ("rmap_walks", "pgmajfault", "pgsteal_kswapd", "pgsteal_direct", "pgfault")
SYSCTLS = PAGE_BY_PAGE | {"vm.overcommit_memory": 1, "vm.fork_file_ptes": 1}


@dataclass(frozen=True, slots=True)
class Setup:
    """One of the three tests.

    options: as published. shrink: the default scale's share of the full one. rounds: at that
    scale. y2003, y2004: published system time in seconds, by design.
    """

    number: int
    options: str
    full: Options
    shrink: int
    rounds: int
    y2003: Mapping[str, float]
    y2004: Mapping[str, float]


def _options(
    pattern: str, iterations: int, vmas: int, pages: int, tasks: int, todo: int
) -> Options:
    return Options("/disk/file", pattern, iterations, vmas, pages, tasks, todo)


TESTS = (
    Setup(1, "-l -i 10 -n 100 -s 600 -t 100", _options("linear", 10, 100, 600, 100, 100), 12, 5,
          {CHAIN: 86.91, LIST: 1143.26, SCAN: 75.30}, {CHAIN: 277.14, TREE: 203.90}),
    Setup(2, "-V 2 -r -i 1 -n 100 -s 600 -t 100", _options("random", 1, 100, 600, 100, 2), 6, 5,
          {CHAIN: 6.05, LIST: 2.10, SCAN: 2.03}, {CHAIN: 212.50, TREE: 101.77, LIST: 605.97}),
    Setup(3, "-l -i 10 -n 10000 -s 7 -t 1", _options("linear", 10, 10000, 7, 1, 10000), 14, 5,
          {CHAIN: 3.75, LIST: 146.45, SCAN: 4.83}, {CHAIN: 31.08, TREE: 31.41}),
)  # fmt: skip


def wanted(run: Options, bits: int = 64) -> int:
    """Return the bytes of the file, of the tables that map it in every task, and of their VMAs."""
    spaces = run.tasks + 1
    tables = spaces * -(-run.file_pages // PTES_A_TABLE[bits])
    return (run.file_pages + tables) * PAGE + spaces * run.vmas * VMA_BYTES[bits]


def scaled(setup: Setup, scale: Scale) -> Options:
    """Return the program's options at a scale: fewer VMAs, or pages a VMA and tasks; passes."""
    full = setup.full
    by = {Scale.TINY: TINY_SHARE, Scale.DEFAULT: setup.shrink, Scale.FULL: 1}[scale]
    vmas, pages, tasks = full.vmas, full.vma_pages, full.tasks
    if tasks == 1:
        vmas //= by
    else:
        pages, tasks = pages // by, max(2, tasks // by)
    passes = max(1, full.iterations // PASSES_SHARE[scale])
    return Options(full.path, full.pattern, passes, vmas, pages, tasks, full.vmas_to_do)


def ram_for(setup: Setup, run: Options) -> int:
    """Return the RAM (bytes) that is to run's file and tables as 256 MB was to the published
    one's.
    """
    surplus = wanted(setup.full, 64) - wanted(setup.full, 32)
    share = wanted(run) / wanted(setup.full)
    return max(LEAST_RAM, int((PUBLISHED_RAM + surplus) * share) // PAGE * PAGE)


def run_design(design: str, chosen: Options, ram: int) -> Run:
    """Run the test on a machine with this reverse map; 2003's fork, a file on disk.

    counts: COUNTED and ALSO; "walking": ns of the children's walks; "freed": pages that reclaim
    freed; "peak": bytes that the reverse map held; "killed": 1 if memory ran out.
    """
    with (
        tempfile.TemporaryDirectory(prefix="pkern-lab-") as folder,
        machine(ram, swap=ram, rmap=design, nrpte=NRPTE, sysctl=SYSCTLS) as kernel,
    ):
        kernel.vfs.mount("/disk", HostFs(Path(folder), Access.READ_WRITE))
        test = RmapTest(Sys(kernel.spawn("rmap-test", uid=0)), chosen)
        killed = 0
        with stretch(kernel) as seen, stretch(kernel) as walked:
            try:
                test.start()
                with stretch(kernel) as walked:
                    test.run()
                test.finish()
            except TaskKilled:
                killed = 1
        counts = {name: float(seen.moved[name]) for name in (*COUNTED, *ALSO)}
        counts |= {
            "walking": walked.ns,
            "freed": counts["pgsteal_kswapd"] + counts["pgsteal_direct"],
            "peak": int(kernel.counters.rmap_bytes_peak),
            "killed": killed,
        }
    return Run(seen.ns, counts)
