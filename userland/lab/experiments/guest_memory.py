"""A UML-like kernel's memory: one special VMA for each guest process, or one VMA a page."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import process_time_ns

from pkern.userland.bench.programs import no_collection
from pkern.userland.cprograms import program
from pkern.userland.lab.bench import MIB, PAGE_BY_PAGE, Spread, ratios, time_text
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
from pkern.userland.uml.run import UmlResult, run_uml

# forks CHILDREN PAGES: each child touches its copy of so many pages.
ARGUMENTS = {
    Scale.TINY: ("2", "64"),
    Scale.DEFAULT: ("20", "2048"),
    Scale.FULL: ("20", "6144"),
}
INGO = "Ingo Molnar, 2 May 2006, 20060502112409.GA28159@elte.hu"
ROUNDS = {Scale.TINY: 1, Scale.DEFAULT: 5, Scale.FULL: 5}
MODES = {"nonlinear": 1, "mmap": 0}


@dataclass(slots=True)
class Guest:
    """One guest's run: what it printed, what it took, and the processor time."""

    shown: bytes
    result: UmlResult
    ns: int


def run_forks(mode: str, arguments: tuple[str, ...]) -> Guest:
    """Run the fork-heavy program in a guest, with the gate as the mode wants it."""
    shown: list[bytes] = []
    built = program("forks")
    sysctl = PAGE_BY_PAGE | {"vm.nonlinear": MODES[mode]}
    with machine(256 * MIB, sysctl=sysctl) as kernel, no_collection():
        start = process_time_ns()
        result = run_uml(kernel, built, arguments, None, shown.append)
        ns = process_time_ns() - start
        kernel.check()
    return Guest(b"".join(shown), result, ns)


def rule(*, same: float, vmas_nonlinear: float, vmas_mmap: float, slowdown: Spread) -> Judgement:
    """same: 1 if the guest printed the same in both modes. vmas_nonlinear, vmas_mmap: the most VMAs
    that showed one guest process's memory. slowdown: time with one VMA a page over nonlinear.

    Holds if the output is the same, one VMA does the work of at least a hundred, and it is faster
    in every round; holds only in VMAs if it is faster in none; else it is not decided.
    """
    if not same or vmas_nonlinear != 1 or vmas_mmap < 100:
        return fails(f"same {same:g}; VMAs {vmas_nonlinear:g} and {vmas_mmap:g}")
    if slowdown.above(1):
        return holds(f"{vmas_mmap:,.0f} VMAs -> 1, and x{slowdown} of the time without it")
    if slowdown.at_most(1):
        return only_when(f"VMAs are counted ({vmas_mmap:,.0f} -> 1); in time x{slowdown}")
    return undecided(f"{vmas_mmap:,.0f} VMAs -> 1; in time x{slowdown}")


@experiment(
    "guest-memory",
    title="A guest kernel's processes in one VMA each",
    claims=("C8",),
    rule=rule,
    published=(
        Published("VMAs of a UML guest with 128 MB", "32,000 -> 1", INGO),
        Published("process creation", "x10", INGO),
        Published("context switch", "at least x2", INGO),
    ),
)
def guest_memory(scale: Scale) -> Outcome:
    """Run a fork-heavy static program in a UML-like guest kernel, which is itself a program of this
    kernel: guest RAM is a file, and each guest process's pages are shown in an address space of its
    own, by remap_file_pages into one special VMA where the gate is open, by one mmap a page where
    it is closed. Frames are handed out scattered, as a kernel that has run for a while has them.
    """
    arguments = ARGUMENTS[scale]
    runs: dict[str, list[Guest]] = {mode: [] for mode in MODES}
    for _ in steps(ROUNDS[scale]):
        for mode, seen in runs.items():
            seen.append(run_forks(mode, arguments))
    one = {mode: seen[-1] for mode, seen in runs.items()}
    slower = ratios([g.ns for g in runs["mmap"]], [g.ns for g in runs["nonlinear"]])
    vmas = {mode: guest.result.stats.vmas for mode, guest in one.items()}
    return Outcome(
        parameters={
            "guest program": f"forks {' '.join(arguments)} (children, pages)",
            "rounds": f"{ROUNDS[scale]}, both modes in each",
        },
        measures={
            "same": one["mmap"].shown == one["nonlinear"].shown,
            "vmas_nonlinear": vmas["nonlinear"],
            "vmas_mmap": vmas["mmap"],
            "slowdown": slower,
        },
        figure=f"{vmas['mmap']:,} -> {vmas['nonlinear']} VMAs; time x{slower}",
        tables=(_table(runs),),
        pictures=(_picture(vmas, slower),),
        explanation=(
            f"Time is that of the whole run, most of it the guest kernel's own work in both modes, "
            f"so x{slower} is less than the published ratios of single operations. What the VMAs "
            "add is in the host's mmap calls, and in tearing each down when a process ends.",
        ),
    )


def _table(runs: dict[str, list[Guest]]) -> Table:
    def row(name: str, value: str, other: str) -> tuple[str, str, str]:
        return name, value, other

    near, far = (runs[mode][-1].result for mode in MODES)
    times = [time_text(median([g.ns for g in runs[mode]])) for mode in MODES]
    names = ("vmas", "forks", "faults", "calls", "switches")
    labels = ("VMAs of a process, at most", "guest forks", "faults", "system calls", "switches")
    rows = [
        row(label, f"{getattr(near.stats, name):,}", f"{getattr(far.stats, name):,}")
        for label, name in zip(labels, names, strict=True)
    ]
    calls = [f"{sum(result.host_calls.values()):,}" for result in (near, far)]
    rows += [row("host calls", *calls), row("processor time", *times)]
    return Table("The same guest in both modes", ("", "nonlinear", "one mmap a page"), rows)


def _picture(vmas: dict[str, int], slowdown: Spread) -> Panels:
    one, many = "special VMA (A)", "one VMA a page (C)"
    time = Series(many, [slowdown.median], [slowdown.low], [slowdown.high])
    return Panels(
        "guest-memory",
        "A guest process's memory: one special VMA, or one VMA a page",
        [
            Bars(
                "guest-memory",
                "VMAs of a guest process",
                "VMAs",
                [""],
                [Series(one, [vmas["nonlinear"]]), Series(many, [vmas["mmap"]])],
                scale="log",
            ),
            Bars(
                "guest-memory",
                "processor time of the run",
                "time, nonlinear = 1",
                [""],
                [Series(one, [1], [1], [1]), time],
            ),
        ],
    )
