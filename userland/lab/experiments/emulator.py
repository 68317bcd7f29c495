"""C3: the Bochs-like emulator in both modes: one guest, two ways to show its memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time_ns

from pkern.userland.bochs.emulator import Machine, Report, load
from pkern.userland.bochs.image import guest_image
from pkern.userland.bochs.loader import plan_guest, ram_bytes_for
from pkern.userland.bochs.run import machine_ram
from pkern.userland.lab.bench import MIB, PAGE, Spread, booted, file_of_pages, ratios, time_text
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
)
from pkern.userland.lab.pictures import Bars, Panels, Series
from pkern.userland.lab.progress import steps
from pkern.userland.program import Sys

PAGES = {Scale.TINY: 96, Scale.DEFAULT: 8192, Scale.FULL: 65536}
ROUNDS = {Scale.TINY: 3, Scale.DEFAULT: 5, Scale.FULL: 5}
OPEN, CLOSED = "gate open", "gate closed"
RAM_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """One run: the emulator's report, a digest of guest RAM, and processor time (ns)."""

    report: Report
    ram: str
    ns: float


def rule(*, refused: float, fell_back: float, same_sum: float, same_memory: float) -> Judgement:
    """refused, fell_back: 1 if the closed gate gave EPERM and the emulator went on with mmap.
    same_sum, same_memory: 1 if the guest's output and all of guest RAM are the same in both modes.

    Holds if all four are 1.
    """
    if refused and fell_back and same_sum and same_memory:
        return holds("EPERM, fallback to mmap, and byte for byte the same guest memory")
    return fails(
        f"EPERM {refused:g}, fallback {fell_back:g}, same output {same_sum:g}, same memory "
        f"{same_memory:g}"
    )


def _run(pages: int, gate: int) -> Seen:
    file_bytes = pages * PAGE
    limits = {"vm.nonlinear": gate, "vm.nonlinear_max_pages": 4 * pages + 4096}
    ram_bytes = ram_bytes_for(file_bytes)
    with booted(machine_ram(file_bytes) + pages * 512 + 16 * MIB, limits) as sys:
        fd = file_of_pages(sys, "/tmp/guest.input", pages)
        sys.lseek(fd, 0, sys.SEEK_SET)
        machine = Machine(sys, ram_bytes)
        plan = plan_guest(guest_image(), file_bytes, ram_bytes, 0)
        load(machine, plan, fd)
        start = process_time_ns()
        report = machine.run(plan, 0)
        ns = process_time_ns() - start
        return Seen(report, _digest(sys, machine.ram, ram_bytes), ns)


def _digest(sys: Sys, ram: int, nbytes: int) -> str:
    digest = hashlib.sha256()
    for offset in range(0, nbytes, RAM_CHUNK):
        digest.update(sys.load(ram + offset, min(RAM_CHUNK, nbytes - offset)))
    return digest.hexdigest()


@experiment(
    "emulator",
    title="An emulator on both sides of the gate",
    claims=("C3",),
    rule=rule,
    published=(
        Published("emulation with VMAs over nonlinear", "x1.88", KIRILL),
        Published(
            "VMAs of a UML guest's window", "32,000 -> 1", "Ingo Molnar, linux-kernel, 2 May 2006"
        ),
    ),
)
def emulator(scale: Scale) -> Outcome:
    """A guest in machine code computes the CRC-32 of a file in its memory, through guest page
    tables that scatter the file's pages over guest RAM. The emulator, a program of this kernel,
    asks for a special VMA; where the gate is closed it gets EPERM and shows each page by an
    mmap of its own. Both modes run the same guest from the same start; afterwards the guest's
    output and a digest of all of guest RAM are compared. Time is that of the guest's run, not
    of loading.
    """
    pages = PAGES[scale]
    opened, closed = zip(
        *((_run(pages, 1), _run(pages, 0)) for _ in steps(ROUNDS[scale])), strict=True
    )
    time = ratios([seen.ns for seen in closed], [seen.ns for seen in opened])
    one, other = opened[0], closed[0]
    return Outcome(
        parameters={"file": f"{pages:,} pages", "rounds": f"{ROUNDS[scale]}, both modes in each"},
        measures={
            "refused": int("EPERM" in other.report.note),
            "fell_back": int((one.report.mode, other.report.mode) == ("nonlinear", "mmap")),
            "same_sum": int(one.report.output == other.report.output != b""),
            "same_memory": int(one.ram == other.ram),
        },
        figure=f"x{time}; {other.report.vmas:,} -> {one.report.vmas} VMAs",
        tables=(_table(opened, closed),),
        pictures=(_picture(one, other, time),),
        explanation=_explain(one, other, time),
    )


def _table(opened: Sequence[Seen], closed: Sequence[Seen]) -> Table:
    one, other = opened[0], closed[0]
    rows = [
        ("mode", one.report.mode, other.report.mode),
        ("CRC-32 by the guest", *(s.report.output.decode().strip() for s in (one, other))),
        ("SHA-256 of guest RAM, first digits", one.ram[:16], other.ram[:16]),
        ("remap_file_pages calls", *(f"{s.report.remap_calls:,}" for s in (one, other))),
        ("mmap calls", *(f"{s.report.mmap_calls:,}" for s in (one, other))),
        ("VMAs, most at one time", *(f"{s.report.vmas:,}" for s in (one, other))),
        ("page faults of the emulator", *(f"{s.report.faults:,}" for s in (one, other))),
        ("processor time", *(time_text(min(s.ns for s in side)) for side in (opened, closed))),
    ]
    return Table("The same guest", ("", OPEN, CLOSED), rows)


def _picture(one: Seen, other: Seen, time: Spread) -> Panels:
    def counted(title: str, unit: str, opened: int, closed: int) -> Bars:
        series = [Series(OPEN, [opened]), Series(CLOSED, [closed])]
        return Bars("emulator", title, unit, [""], series, "log")

    slower = Series(CLOSED, [time.median], [time.low], [time.high])
    timed = [Series(OPEN, [1], [1], [1]), slower]
    return Panels(
        "emulator",
        "The same guest with the gate open and closed",
        [
            counted("VMAs, most at one time", "VMAs", one.report.vmas, other.report.vmas),
            counted("the emulator's faults", "faults", one.report.faults, other.report.faults),
            Bars("emulator", "processor time", "time, gate open = 1", [""], timed),
        ],
    )


def _explain(one: Seen, other: Seen, time: Spread) -> tuple[str, ...]:
    return (
        f"mmap mode takes x{time} of the time, less than the x1.88 published, as the guest's own "
        f"work is in both: each mode makes one call a page ({one.report.remap_calls:,} and "
        f"{other.report.mmap_calls:,}); mmap mode also takes a page fault for each "
        f"({other.report.faults:,} against {one.report.faults:,}). The calls alone are compared "
        "on the page of reverse-remap.",
    )
