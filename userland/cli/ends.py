"""How the end of a program is told: in a sentence, as an exit status, as --json's page.

Owns the exit statuses that a shell has for what is not a program's own, and which lines of a
traceback are a program's.
"""

from __future__ import annotations

import sys

from pkern.kernel.tasks.signal.signals import (
    SIGFPE,
    SIGILL,
    SIGINT,
    SIGPIPE,
    SIGSEGV,
    SIGTRAP,
    Fate,
)
from pkern.kernel.typed import TYPE_CHECKING, Any
from pkern.kernel.values import NamedTuple
from pkern.userland.cli.options import write_result

if TYPE_CHECKING:
    from pkern.kernel.cpu.observer import Observer
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.wait import WouldBlock
    from pkern.syscalls.strace.tracer import Tracer
    from pkern.userland.given import Given
    from pkern.userland.symbols import Spot

FAILED, TIME_IS_UP, NOT_EXECUTABLE, NOT_FOUND, SIGNALLED = 1, 124, 126, 127, 128
QUIET = {SIGINT, SIGPIPE}  # ends that a shell does not speak of
KIB_PER_PAGE = 4
# Of all programs of the machine.
MACHINE_COUNTERS = ("pgfault", "pgmajfault", "most_vmas", "pswpin", "pswpout")
SIGNAL_MASK, CORE_DUMPED = 0x7F, 0x80  # of the status that wait4 gives
LOGGED = {SIGILL, SIGTRAP, SIGFPE, SIGSEGV}


class Ending(NamedTuple):
    """How a program ended. status: as a shell has it. reason: in words, where it is not its own."""

    status: int
    reason: str | None = None

    @property
    def signo(self) -> int:
        """The signal that ended the program, or 0."""
        return self.status - SIGNALLED if self.status > SIGNALLED else 0


def of_task(task: Task) -> Ending:
    """Return how a task has ended by itself."""
    status = task.group.exit_status or 0
    signo = status & SIGNAL_MASK
    return Ending(SIGNALLED + signo if signo else status >> 8 & 0xFF)


def page(kernel: Kernel, task: Task | None, given: Given, ending: Ending, signo: int) -> str:
    """Return --json's text. Times are virtual nanoseconds, memory is KiB."""
    import json

    facts: dict[str, Any] = {
        "argv": list(given.argv),
        "status": ending.status,
        "signal": _signal_name(signo),
        "reason": ending.reason,
        "program": None,
        "pid": None,
        "times": {"virtual_ns": kernel.clock.now_ns, "cpu_ns": 0, "children_cpu_ns": 0},
        "faults": {"minor": 0, "major": 0},
        "peak_memory_kib": 0,
        "machine": {name: int(getattr(kernel.counters, name)) for name in MACHINE_COUNTERS},
        "log": kernel.log.lines(),
    }
    if task is not None:
        usage = task.usage
        facts["program"], facts["pid"] = task.program or given.argv[0], task.pid
        facts["times"]["cpu_ns"] = task.group.time_ns
        facts["times"]["children_cpu_ns"] = task.group.waited_for.cpu_ns
        facts["faults"] = {"minor": usage.minor_faults, "major": usage.major_faults}
        facts["peak_memory_kib"] = usage.peak_pages * KIB_PER_PAGE
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def _signal_name(signo: int) -> str | None:
    from pkern.kernel.tasks.signal.signames import Signal

    return Signal(signo).name if signo else None


def tell(
    kernel: Kernel,
    task: Task | None,
    given: Given,
    ending: Ending,
    tracer: Tracer | None,
    json_file: str | None,
    whereabouts: Whereabouts | None = None,
) -> int:
    """Say what a shell would say of an end, write --json's page; return the exit status.

    tracer: who has said by which signal, if there was one. whereabouts: who knows where that was.
    """
    signo = 0 if task is None else (task.group.exit_status or 0) & SIGNAL_MASK
    if ending.reason is not None:
        print(f"pkern: {ending.reason}", file=sys.stderr)
    elif signo and signo not in QUIET and task is not None and tracer is None:
        where = whereabouts.of(task) if whereabouts is not None else ""
        say_ended(task.program or given.argv[0], task.group.exit_status or 0, where)
    if json_file:
        text = page(kernel, task, given, ending, signo)
        write_result(json_file, text)
    return ending.status


def say_ended(program: str, status: int, where: str = "") -> None:
    """Say that a signal ended a program (its status is wait4's), and where the log says why.

    where: the instruction, by a symbol.
    """
    signo, core = status & SIGNAL_MASK, " (core dumped)" if status & CORE_DUMPED else ""
    hint = "; --dmesg shows where" if signo in LOGGED else ""
    at = f" at {where}" if where else ""
    print(f"{program}: ended by {_signal_name(signo)}{at}{core}{hint}", file=sys.stderr)


class Whereabouts:
    """Notes at which symbol a process was when its own instruction ended it; passes all else on."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._before: Observer | None = None
        self._spots: dict[Group, Spot] = {}

    def attach(self, scheduler: Scheduler) -> None:
        """Watch the scheduler's tasks."""
        self._before, scheduler.observer = scheduler.observer, self

    def of(self, task: Task) -> str:
        """Return where a task's process was; "": it is not known."""
        spot = self._spots.get(task.group)
        if spot is None:
            return ""
        from pkern.userland.symbols import Symbols

        place = Symbols(self._kernel).named(spot)
        return str(place) if place is not None and place.name else ""

    def signal(self, task: Task, info: SigInfo) -> None:
        """Look where the task is, if this is its end."""
        own = info.si_signo in LOGGED and info.si_code > 0
        if own and task.signals.fate(info.si_signo) is Fate.DIE:
            from pkern.userland.symbols import Symbols  # for those who fall

            # Read only if it is told: others than the program may fall, and be caught.
            spot = Symbols(self._kernel).spot(task, task.cpu.registers()["rip"])
            if spot is not None:
                self._spots[task.group] = spot
        if self._before is not None:
            self._before.signal(task, info)

    def interrupted(self, task: Task, wait: WouldBlock) -> None:
        """Pass it on."""
        if self._before is not None:
            self._before.interrupted(task, wait)

    def ended(self, task: Task) -> None:
        """Pass it on."""
        if self._before is not None:
            self._before.ended(task)


def show_failure(error: Exception) -> int:
    """Print the traceback of a program's exception, its own frames only; return 1."""
    from pkern.userland.failures import own_traceback

    print(own_traceback(error), end="", file=sys.stderr)
    return 1
