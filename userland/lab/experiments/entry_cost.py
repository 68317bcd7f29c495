"""C15: how far the cost of entering the kernel can move a comparison of two kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkern.userland.lab.bench import MIB, PAGE, booted, counts, file_of_pages
from pkern.userland.lab.claims import KIRILL
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
)
from pkern.userland.lab.pictures import Bars, Series
from pkern.userland.lab.rmap_test import Options, RmapTest
from pkern.userland.lab.schemes import MIXED, SCHEMES, sysctls
from pkern.userland.program import Sys

SYSENTER, INT80 = 641, 1761  # cycles, Pentium 4
HZ = 2.7e9  # of the machine that published rmap-test
SECONDS = {"2.5.66-mm4": 86.91, "2.5.66-mm4 + objrmap": 1143.26, "2.4.21-pre5aa2": 75.30}
EXPLAINS = 0.5  # an entry cost that makes up this share of a difference explains it
LITTLE = 0.01

# scale -> (VMAs, pages of each, tasks) of rmap-test; pages of the remapped window
SIZES = {
    Scale.TINY: (10, 6, 10, 256),
    Scale.DEFAULT: (100, 60, 100, 16384),
    Scale.FULL: (100, 600, 100, 65536),
}


def rule(*, share_2_4: float, share_objrmap: float, share_flood: float) -> Judgement:
    """Each measure: what int 0x80 costs more than sysenter, over all system calls of the
    program, as a share of a difference of system time. share_2_4, share_objrmap: rmap-test 1,
    published difference 2.5 - 2.4 and objrmap - pte_chain. share_flood: one remap call a page,
    of the time that a remap by VMAs takes more than a nonlinear pte (published: 20.6 s for 10 x
    1,048,576 calls).

    Holds if the entry explains at least half of any difference on rmap-test. Holds only when
    the program is a flood of calls, if rmap-test's shares are below 0.01 and share_flood is
    above; does not hold otherwise.
    """
    figures = (
        f"it is {share_2_4:.2g} of rmap-test's difference to 2.4, {share_objrmap:.2g} of that to "
        f"objrmap, {share_flood:.2g} of a remap flood's"
    )
    if max(share_2_4, share_objrmap) >= EXPLAINS:
        return holds(figures)
    if max(share_2_4, share_objrmap) < LITTLE < share_flood:
        return only_when(f"the program is a flood of cheap calls ({figures})")
    return fails(figures)


@dataclass(frozen=True, slots=True)
class Entries:
    """How often a program entered the kernel: by system calls, and by page faults."""

    program: str
    calls: int
    faults: int

    def seconds(self, cycles: int) -> float:
        """Time of the system calls' entries alone, at the published machine's clock."""
        return self.calls * cycles / HZ


class CallCount:
    """Counts system calls through the strace hook."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, line: str) -> None:
        """Count one line of strace."""
        self.calls += 1

    def watch(self, sys: Sys) -> None:
        """Count this task's calls from now on; its making, a fork, counts too."""
        sys.strace(self)
        self.calls += 1


def rmap_test_entries(vmas: int, pages: int, tasks: int) -> Entries:
    """Run rmap-test's linear pattern once over all VMAs and count entries.

    The children's further passes make no calls, and faults only under memory pressure.
    """
    options = Options("/dev/shm/entries", "linear", 1, vmas, pages, tasks, vmas)
    ram = (
        options.file_pages * PAGE + (tasks + 1) * (options.file_pages * 16 + vmas * 512) + 64 * MIB
    )
    with booted(ram) as sys:
        count = CallCount()
        count.watch(sys)
        before = counts(sys.kernel)
        test = RmapTest(sys, options)
        test.start()
        for child in test.children:
            count.watch(child)
        test.run()
        test.finish()
        faults = counts(sys.kernel)["pgfault"] - before["pgfault"]
    calls = count.calls + tasks  # exit leaves no line
    return Entries(f"rmap-test -l -i 1 -n {vmas} -s {pages} -t {tasks}", calls, faults)


def flood_entries(pages: int) -> Entries:
    """Remap every page of a window, one call a page."""
    with booted(pages * PAGE * 5 // 4 + 16 * MIB, sysctls(pages)) as sys:
        fd = file_of_pages(sys, "/dev/shm/flood", pages)
        scheme = SCHEMES[MIXED]
        at = scheme.open_window(sys, fd, pages * PAGE)
        count = CallCount()
        count.watch(sys)
        remap = scheme.remap(sys, fd)
        before = counts(sys.kernel)
        for page in range(pages):
            remap(at + page * PAGE, pages - 1 - page)
        faults = counts(sys.kernel)["pgfault"] - before["pgfault"]
    return Entries(f"remap flood, {pages:,} pages", count.calls, faults)


FLOOD_CALLS, FLOOD_SECONDS = 10 * 1048576, 43.9 - 23.3


@experiment(
    "entry-cost",
    title="The cost of entering the kernel",
    claims=("C15",),
    rule=rule,
    published=(
        Published(
            "sysenter, int 0x80 on a Pentium 4", "641, 1761 cycles", "linux-kernel, 2002-2003"
        ),
        Published(
            "rmap-test 1, system seconds: 2.5, 2.5 + objrmap, 2.4",
            "86.91, 1143.26, 75.30",
            "20030405040614.66511e1e.akpm@digeo.com",
        ),
        Published("remap of 4 GB, ten passes: VMAs - nonlinear", "20.6 s", KIRILL),
    ),
)
def entry_cost(scale: Scale) -> Outcome:
    """Count every entry of rmap-test 1 into the kernel on this machine: system calls by
    strace's hook, page faults by the core. The entry's price is a parameter of the model: calls
    x 641 or 1761 cycles at 2.7 GHz, the clock of the machine that published rmap-test. A page
    fault enters by an exception, which costs the same on both kernels. What one entry costs
    more than the other is set beside the published differences; and the same for a flood of
    remap calls, scaled to the published number.
    """
    vmas, pages, tasks, window = SIZES[scale]
    test, flood = rmap_test_entries(vmas, pages, tasks), flood_entries(window)
    extra = test.seconds(INT80) - test.seconds(SYSENTER)
    flood_extra = FLOOD_CALLS * (flood.calls / window) * (INT80 - SYSENTER) / HZ
    chain, objrmap, scan = SECONDS.values()
    shares = {
        "share_2_4": extra / (chain - scan),
        "share_objrmap": extra / (objrmap - chain),
        "share_flood": flood_extra / FLOOD_SECONDS,
    }
    return Outcome(
        parameters={"rmap-test": test.program, "flood": flood.program},
        measures=shares,
        figure=f"{test.calls:,} calls, {test.faults:,} faults: {extra * 1e3:.2g} ms of 11.6 s",
        tables=(_table((test, flood)), _shares_table(extra, flood_extra, shares)),
        pictures=(_picture(shares),),
        explanation=(
            f"rmap-test 1 makes {test.calls:,} system calls and takes at least {test.faults:,} "
            f"page faults: it touches memory, and the kernel works in faults and in reclaim. With "
            f"the dearer entry it would take {extra * 1e3:.2g} ms more. A program that makes one "
            f"cheap call a page is another matter: {flood.calls / window:.3g} calls a page there.",
        ),
    )


def _table(programs: Sequence[Entries]) -> Table:
    rows = [
        (
            one.program,
            f"{one.calls:,}",
            f"{one.faults:,}",
            f"{one.seconds(SYSENTER) * 1e3:.3g} ms",
            f"{one.seconds(INT80) * 1e3:.3g} ms",
        )
        for one in programs
    ]
    headers = ("program", "system calls", "page faults", "calls x 641", "calls x 1761")
    return Table("Entries into the kernel", headers, rows)


def _shares_table(extra: float, flood_extra: float, shares: dict[str, float]) -> Table:
    differences = (
        ("rmap-test 1: 2.5 - 2.4", SECONDS["2.5.66-mm4"] - SECONDS["2.4.21-pre5aa2"], extra),
        ("rmap-test 1: objrmap - pte_chain", 1143.26 - 86.91, extra),
        ("remap of 4 GB, ten passes: VMAs - ptes", FLOOD_SECONDS, flood_extra),
    )
    rows = [
        (name, f"{seconds:,.2f} s", f"{more:.3g} s", f"{share:.2g}")
        for (name, seconds, more), share in zip(differences, shares.values(), strict=True)
    ]
    headers = ("published difference", "seconds", "dearer entry adds", "share")
    return Table("What the entry can explain", headers, rows)


def _picture(shares: dict[str, float]) -> Bars:
    names = (
        "rmap-test 1:\n2.5 - 2.4",
        "rmap-test 1:\nobjrmap - chain",
        "remap flood:\nVMAs - ptes",
    )
    return Bars(
        "entry-cost",
        "Share of a published difference that the entry cost (int 0x80 - sysenter) makes up",
        "percent",
        names,
        [Series("share", [100 * share for share in shares.values()])],
    )
