"""C4 and C5: whose clock a guest's vsyscall shows, and what a prctl costs beside a sysctl."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pkern.userland.cprograms import program
from pkern.userland.lab.bench import MIB
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
from pkern.userland.uml.kernel import Config
from pkern.userland.uml.run import UmlResult, run_uml

LEAD_S = 86_400  # the guest lives a day ahead of the host
ROUNDS = {Scale.TINY: 2, Scale.DEFAULT: 200, Scale.FULL: 2000}
CALLS_A_ROUND = 3  # gettimeofday, time and getcpu at their fixed addresses
CLOCK = re.compile(r"^(syscall|vsyscall): gettimeofday (\d+)\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Form:
    """One way of serving a guest's vsyscalls."""

    name: str
    vsyscall64: int
    task_vsyscalls: int


FORMS = (
    Form("fast", 1, 1),
    Form("revirtualised by sysctl", 0, 1),
    Form("revirtualised by prctl", 1, 0),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One guest's run: the lead (s) that its vsyscall showed over the host, and the counts."""

    lead: int
    traps: int
    selects: int
    switches: int
    calls: int


def run_clock(form: Form, rounds: int) -> Seen:
    """Run the clock program in a guest a day ahead; compare what its two clocks say."""
    shown: list[bytes] = []
    config = Config(clock_lead_ns=LEAD_S * 10**9, task_vsyscalls=form.task_vsyscalls)
    with machine(128 * MIB, sysctl={"kernel.vsyscall64": form.vsyscall64}) as kernel:
        result = run_uml(kernel, program("clock"), [str(rounds)], config, shown.append)
        host = kernel.clock.realtime_ns // 10**9
        kernel.check()
    return _seen(b"".join(shown).decode(), result, host)


def _seen(text: str, result: UmlResult, host: int) -> Seen:
    last = {who: int(seconds) for who, seconds in CLOCK.findall(text)}
    return Seen(
        last["vsyscall"] - host,
        result.vsyscall_traps,
        result.vsyscall_selects,
        result.stats.switches,
        result.stats.calls,
    )


def rule(
    *, fast_lead: float, sysctl_lead: float, prctl_lead: float, fast_traps: float,
    traps_a_call: float, sysctl_selects: float, prctl_selects: float,
) -> Judgement:  # fmt: skip
    """fast_lead, sysctl_lead, prctl_lead: seconds by which the guest's vsyscall was ahead of the
    host, of the day it should be. fast_traps: traps of the fast form. traps_a_call: traps of a call
    in the sysctl's form. sysctl_selects, prctl_selects: how often the page had to be changed at
    context switches.

    Holds if the fast form shows the host's time without a trap (the bug), both others the guest's
    with one trap a call, and only the prctl makes context switches change the page.
    """
    bug = fast_lead < 60 and fast_traps == 0
    mended = min(sysctl_lead, prctl_lead) > LEAD_S - 60 and traps_a_call == 1
    if bug and mended and prctl_selects > sysctl_selects:
        return holds(
            "the fast vsyscall shows the host's time, the revirtualised one the guest's; "
            f"the prctl changed the page {prctl_selects:g} times, the sysctl {sysctl_selects:g}"
        )
    return fails(
        f"leads {fast_lead:g}, {sysctl_lead:g}, {prctl_lead:g} s; traps {fast_traps:g}, "
        f"{traps_a_call:g} a call; changes {sysctl_selects:g}, {prctl_selects:g}"
    )


@experiment(
    "guest-clock",
    title="Whose clock a guest's vsyscall shows",
    claims=("C4", "C5"),
    rule=rule,
    published=(
        Published(
            "a UML guest's system call",
            "30 us, with sysemu 4 us",
            "Ingo Molnar, 7 March 2007, 20070307085323.GB27337@elte.hu",
        ),
        Published(
            "the same natively", "2 us", "Ingo Molnar, 7 March 2007, 20070307085323.GB27337@elte.hu"
        ),
    ),
)
def guest_clock(scale: Scale) -> Outcome:
    """Run a static program in a UML-like guest whose clock is a day ahead of the host's. It asks
    for the time by the system call, which the guest kernel answers, and through the page of
    vsyscalls. Three times: with the fast page, with the page revirtualised for all by a sysctl
    (kernel.vsyscall64 = 0), and for the traced task alone by a prctl.
    """
    rounds = ROUNDS[scale]
    seen = {form.name: run_clock(form, rounds) for form in FORMS}
    fast, by_sysctl, by_prctl = seen.values()
    return Outcome(
        parameters={
            "the guest's clock": f"{LEAD_S:,} s ahead",
            "vsyscalls": f"{rounds * CALLS_A_ROUND:,} in each run",
        },
        measures={
            "fast_lead": fast.lead,
            "sysctl_lead": by_sysctl.lead,
            "prctl_lead": by_prctl.lead,
            "fast_traps": fast.traps,
            "traps_a_call": by_sysctl.traps / (rounds * CALLS_A_ROUND),
            "sysctl_selects": by_sysctl.selects,
            "prctl_selects": by_prctl.selects,
        },
        figure=f"ahead of the host: {fast.lead:,} / {by_sysctl.lead:,} / {by_prctl.lead:,} s",
        tables=(_table(seen),),
        pictures=(_picture(seen),),
        explanation=(
            "A trap is what a vsyscall exists to avoid: the fast form takes none and cannot be "
            f"asked by a tracer. The sysctl costs one trap a call ({by_sysctl.traps:,}) "
            "and nothing else; the prctl has the machine look at every context switch which form "
            f"the next task wants, and change the page if need be ({by_prctl.selects:,} changes).",
        ),
    )


def _table(seen: dict[str, Seen]) -> Table:
    rows = [
        (name, f"{s.lead:,} s", f"{s.traps:,}", f"{s.calls:,}", f"{s.switches:,}", f"{s.selects:,}")
        for name, s in seen.items()
    ]
    headers = (
        "vsyscalls",
        "the guest sees, ahead of the host",
        "traps from the page",
        "traps of system calls in all",
        "guest's context switches",
        "changes of the page",
    )
    return Table("The same guest program in three forms", headers, rows)


def _picture(seen: dict[str, Seen]) -> Panels:
    leads = [Series(name, [s.lead / 3600]) for name, s in seen.items()]
    traps = [Series(name, [s.traps / max(1, _rounds(seen))]) for name, s in seen.items()]
    return Panels(
        "guest-clock",
        "A guest a day ahead: what its vsyscall shows, and what it costs",
        [
            Bars("guest-clock", "ahead of the host", "hours", [""], leads),
            Bars("guest-clock", "traps from the page", "traps a round", [""], traps),
        ],
    )


def _rounds(seen: dict[str, Seen]) -> float:
    return max(s.traps for s in seen.values()) / CALLS_A_ROUND
