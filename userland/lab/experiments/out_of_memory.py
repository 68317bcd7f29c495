"""C17: a bounded scan gives up while pages could be had; a loop over pinned pages never ends."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from pkern.kernel.core import lib
from pkern.kernel.errors import KernelPanic, SyscallError, TaskKilled
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.lab.bench import MIB, PAGE, PAGE_BY_PAGE
from pkern.userland.lab.designs import DESIGNS, SCAN
from pkern.userland.lab.experiment import Judgement, Outcome, Scale, Table, experiment, fails, holds
from pkern.userland.lab.machines import machine
from pkern.userland.lab.pictures import Bars, Series
from pkern.userland.program import Sys

RAM = {Scale.TINY: 1 * MIB, Scale.DEFAULT: 8 * MIB, Scale.FULL: 64 * MIB}
MOST_PASSES = 32
POLICIES = ("loop", "kill_allocating")
MARGIN = 64  # pages beyond what is free that are asked for


@dataclass(frozen=True, slots=True)
class End:
    """How a machine ended: what became of the one who asked, and the pages that could be had."""

    what: str
    freeable: int


def _boot(ram: int, design: str, policy: str, passes: int) -> Kernel:
    sysctl = PAGE_BY_PAGE | {
        "vm.overcommit_memory": 1,
        "vm.nonlinear": 1,
        "vm.oom_policy": policy,
        "vm.vm_passes": passes,
    }
    return machine(ram, rmap=design, sysctl=sysctl)


def _ask(sys: Sys, nr_pages: int, meanwhile: Callable[[], object] = lambda: None) -> str:
    """Touch nr_pages new pages one by one, while others do what meanwhile does."""
    addr = sys.mmap(0, nr_pages * PAGE, 3, 0x22, -1, 0)
    try:
        for index in range(nr_pages):
            meanwhile()
            sys.touch(addr + index * PAGE, PAGE)
    except TaskKilled:
        return "killed"
    except KernelPanic:
        return "the machine stops: deadlock reported"
    except SyscallError:
        return "ENOMEM"
    return "got its memory"


def young_ptes(ram: int, design: str, policy: str, passes: int) -> End:
    """Fill RAM with clean pages of a file that a task keeps touching; ask for a little memory."""
    with (
        tempfile.TemporaryDirectory(prefix="pkern-lab-") as folder,
        _boot(ram, design, policy, passes) as kernel,
    ):
        kernel.vfs.mount("/disk", HostFs(folder, Access.READ_WRITE))
        reader, asker = Sys(kernel.spawn("reader", uid=0)), Sys(kernel.spawn("asker"))
        reader.task.oom_score_adj = -1000  # only the asker can die, so that its end is the answer
        nr = ram // PAGE
        fd = reader.open("/disk/file", reader.O_RDWR | reader.O_CREAT, 0o600)
        reader.ftruncate(fd, nr * PAGE)
        addr = reader.mmap(0, nr * PAGE, reader.PROT_READ, reader.MAP_SHARED, fd, 0)
        shown = int(kernel.counters.nr_free) - int(kernel.tunables.watermark_high) - MARGIN

        def read_all() -> None:
            reader.task.mm.touch(addr, shown * PAGE, lib.ACCESS_READ)

        read_all()
        wanted = int(kernel.counters.nr_free) + MARGIN
        what = _ask(asker, wanted, read_all)
        return End(what, int(kernel.counters.nr_file))


def pinned_pages(ram: int, design: str, policy: str, passes: int) -> End:
    """Pin RAM in a special VMA, let nobody but the asker be killable by policy, and ask."""
    with _boot(ram, design, policy, passes) as kernel:
        pinner, asker = Sys(kernel.spawn("pinner")), Sys(kernel.spawn("asker"))
        pinner.task.oom_score_adj = asker.task.oom_score_adj = -1000
        kernel.sysctl["vm.nonlinear_max_pages"] = ram // PAGE
        nr = ram // PAGE // 2
        fd = pinner.memfd_create("pinned", 0)
        pinner.ftruncate(fd, nr * PAGE)
        flags = pinner.MAP_SHARED | pinner.MAP_NONLINEAR
        window = pinner.mmap(0, nr * PAGE, 3, flags, -1, 0)
        pinner.remap_file_pages(window, nr * PAGE, 0, 0, 0, fd)
        return End(_ask(asker, int(kernel.counters.nr_free) + MARGIN), 0)


def passes_needed(ram: int, design: str) -> int:
    """Return the least vm.vm_passes with which the asker gets its memory among young ptes."""
    for passes in range(1, MOST_PASSES):
        if young_ptes(ram, design, "kill_allocating", passes).what == "got its memory":
            return passes
    return MOST_PASSES


def rule(
    *, gave_up: float, freeable: float, needed: float, deadlock_found: float, failed: float
) -> Judgement:
    """gave_up: 1 if with one pass of a virtual scan the asker did not get its memory. freeable:
    clean pages that could have been had then. needed: passes with which it does get it.
    deadlock_found: 1 if looping over pinned pages was found out and reported. failed: 1 if the
    other policy ended the asker there.

    Holds if the bounded scan gave up with pages freeable that more passes get, and the loop among
    pinned pages cannot end but by being found out.
    """
    if gave_up and freeable > 0 and needed < MOST_PASSES and deadlock_found and failed:
        return holds(
            f"one pass gives up with {freeable:,.0f} pages to be had, which {needed:g} passes get; "
            "the loop over pinned pages is found out"
        )
    return fails(
        f"gave up {gave_up:g}, freeable {freeable:g}, passes {needed:g}, deadlock "
        f"{deadlock_found:g}, failed {failed:g}"
    )


@experiment(
    "out-of-memory",
    title="Giving up too early, and looping for ever",
    claims=("C17",),
    rule=rule,
)
def out_of_memory(scale: Scale) -> Outcome:
    """Two machines that are out of memory. In one, RAM is full of clean file pages that were all
    being touched: every accessed bit is set, and the first pass of a scan only clears them. In the
    other, half of RAM is pinned by a special VMA, the rest is anonymous memory without swap, and
    nobody may be killed. A task asks for memory in each, under both policies: loop (2.5's, try
    again after killing by score) and kill_allocating (2.4-aa's, give up after vm.vm_passes).
    """
    ram = RAM[scale]
    needed = {design: passes_needed(ram, design) for design in DESIGNS}
    runs: dict[tuple[str, str], End] = {}
    cases: dict[str, tuple[Callable[[int, str, str, int], End], int]] = {
        "young ptes, 1 pass": (young_ptes, 1),
        f"young ptes, {needed[SCAN]} passes": (young_ptes, needed[SCAN]),
        "pinned pages": (pinned_pages, 16),
    }
    for name, (case, passes) in cases.items():
        for policy in POLICIES:
            runs[name, policy] = case(ram, SCAN, policy, passes)
    first, _, pinned = cases
    young = runs[first, "kill_allocating"]
    return Outcome(
        parameters={"RAM": f"{ram // MIB} MiB", "reverse map": f"{SCAN} (all for the passes)"},
        measures={
            "gave_up": young.what != "got its memory",
            "freeable": young.freeable,
            "needed": needed[SCAN],
            "deadlock_found": "deadlock" in runs[pinned, "loop"].what,
            "failed": runs[pinned, "kill_allocating"].what in ("killed", "ENOMEM"),
        },
        figure=f"given up with {young.freeable:,} clean pages; {needed[SCAN]} passes get them",
        tables=(_ends(cases, runs), _passes(needed)),
        pictures=(_picture(needed),),
        explanation=(
            "A page that was touched costs a virtual scan one pass to clear its accessed bits, "
            f"one to unmap it and one to free it: {needed[SCAN]} passes. A design that goes from "
            "the page to its ptes clears in one and frees in the next. Looping instead of giving "
            "up needs someone to kill: with none it would go round for ever, and the kernel stops "
            "with a report because a whole series of passes has freed nothing.",
        ),
    )


def _ends(cases: object, runs: dict[tuple[str, str], End]) -> Table:
    names = list(dict.fromkeys(name for name, _ in runs))
    rows = [
        (
            name,
            *(runs[name, policy].what for policy in POLICIES),
            f"{runs[name, POLICIES[0]].freeable:,}",
        )
        for name in names
    ]
    headers = ("machine", *(f"vm.oom_policy {p}" for p in POLICIES), "pages to be had")
    return Table("What becomes of the one who asks", headers, rows)


def _passes(needed: dict[str, int]) -> Table:
    rows = [(design, str(passes)) for design, passes in needed.items()]
    return Table(
        "Passes until memory full of young ptes gives any", ("reverse map", "passes"), rows
    )


def _picture(needed: dict[str, int]) -> Bars:
    return Bars(
        "out-of-memory",
        "Passes over memory until pages that were all just touched can be had",
        "passes (vm.vm_passes)",
        ["young ptes"],
        [Series(design, [passes]) for design, passes in needed.items()],
    )
