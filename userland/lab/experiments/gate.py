"""C2: who may make nonlinear mappings: sysctl against capability, call by call."""

from __future__ import annotations

import errno
from collections.abc import Callable

from pkern.userland.lab.bench import PAGE, file_of_pages
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
from pkern.userland.lab.pictures import Matrix
from pkern.userland.program import Sys

GATES = (0, 1)
CAPABILITIES = (frozenset[str](), frozenset({"CAP_IPC_LOCK"}))
Call = Callable[[Sys], object]


def _special(sys: Sys) -> object:
    prot, flags = sys.PROT_READ | sys.PROT_WRITE, sys.MAP_SHARED | sys.MAP_NONLINEAR
    return sys.mmap(0, 4 * PAGE, prot, flags, -1, 0)


def _mixed(sys: Sys) -> object:
    fd = file_of_pages(sys, f"/tmp/{sys.pid}", 4)
    window = sys.mmap(0, 4 * PAGE, sys.PROT_READ | sys.PROT_WRITE, sys.MAP_SHARED, fd, 0)
    return sys.remap_file_pages(window, PAGE, 0, 3, 0)


def _nonsense(sys: Sys) -> object:
    """Ask for what would be EINVAL: it shows which check comes first."""
    return sys.remap_file_pages(1, 0, 7, -1 & (1 << 64) - 1, 0)


CALLS: dict[str, Call] = {
    "mmap(MAP_NONLINEAR)": _special,
    "remap_file_pages": _mixed,
    "remap_file_pages, bad arguments": _nonsense,
}


def answer(gate: int, caps: frozenset[str], call: Call) -> str:
    """Return "ok" or the name of the errno that the call gives under this gate and rights."""
    with machine(ram="4M", sysctl={"vm.nonlinear": gate}) as kernel:
        sys = Sys(kernel.spawn(caps=caps))
        try:
            call(sys)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        finally:
            kernel.check()
    return "ok"


def rule(*, refused_closed: float, refused_open: float, calls: float) -> Judgement:
    """Holds if every call gives EPERM where the sysctl is 0 and CAP_IPC_LOCK is missing, and no
    call gives EPERM in any of the other three cells.
    """
    if refused_closed == calls and refused_open == 0:
        return holds("EPERM at (0, 0) only")
    return fails(
        f"of {calls:g} calls {refused_closed:g} were refused at (0, 0), and {refused_open:g} "
        "in the other cells"
    )


@experiment(
    "gate",
    title="The gate: sysctl or capability",
    claims=("C2",),
    rule=rule,
    published=(
        Published(
            "the rule that was accepted",
            "sysctl OR CAP_IPC_LOCK",
            "Andrea Arcangeli, 6 April 2003, 20030406145105.GO1326@dualathlon.random",
        ),
    ),
)
def gate(scale: Scale) -> Outcome:
    """Boot a machine for each cell of sysctl {0, 1} x CAP_IPC_LOCK {no, yes} and make three calls
    in it: the special VMA's mmap, 2.6's remap_file_pages, and the same with arguments that are
    wrong in every way, which shows that the gate is looked at before anything else.
    """
    cells = {
        (value, bool(caps)): [answer(value, caps, call) for call in CALLS.values()]
        for value in GATES
        for caps in CAPABILITIES
    }
    rows = [
        (f"{value}", "yes" if may else "no", *answers) for (value, may), answers in cells.items()
    ]
    refused = {cell: answers.count("EPERM") for cell, answers in cells.items()}
    closed = refused.pop((0, False))
    return Outcome(
        parameters={"machines": str(len(cells)), "calls": str(len(CALLS))},
        measures={
            "refused_closed": closed,
            "refused_open": sum(refused.values()),
            "calls": len(CALLS),
        },
        figure=f"EPERM in {sum(a.count('EPERM') > 0 for a in cells.values())} of 4 cells",
        tables=(Table("What each call answers", ("vm.nonlinear", "CAP_IPC_LOCK", *CALLS), rows),),
        pictures=(_picture(cells),),
        explanation=_explain(closed, sum(refused.values())),
    )


def _explain(closed: int, elsewhere: int) -> tuple[str, ...]:
    if closed == len(CALLS) and not elsewhere:
        return ()
    return (
        f"{len(CALLS) - closed} calls passed a closed gate; {elsewhere} failed at an open one.",
    )


def _picture(cells: dict[tuple[int, bool], list[str]]) -> Matrix:
    def cell(value: int, may: bool) -> tuple[str, int]:
        answers = cells[value, may]
        return "\n".join(f"{c}: {a}" for c, a in zip(CALLS, answers, strict=True)), int(
            "EPERM" not in answers
        )

    grid = [[cell(value, may) for value in GATES] for may in (False, True)]
    return Matrix(
        "gate",
        "Who may make nonlinear mappings",
        ["vm.nonlinear = 0", "vm.nonlinear = 1"],
        ["no capability", "CAP_IPC_LOCK"],
        [[text for text, _ in row] for row in grid],
        [[kind for _, kind in row] for row in grid],
    )
