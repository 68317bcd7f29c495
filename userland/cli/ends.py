"""How the end of a program is told: in a sentence, as an exit status, as --json's page.

Owns the exit statuses that a shell has for what is not a program's own, and which lines of a
traceback are a program's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkern.kernel.tasks.signals import SIGFPE, SIGILL, SIGINT, SIGPIPE, SIGSEGV, SIGTRAP
from pkern.kernel.values import NamedTuple
from pkern.userland.cli.options import naming
from pkern.userland.failures import own_traceback

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task
    from pkern.syscalls.strace.tracer import Tracer
    from pkern.userland.given import Given

FAILED, TIME_IS_UP, NOT_EXECUTABLE, NOT_FOUND, SIGNALLED = 1, 124, 126, 127, 128
QUIET = {SIGINT, SIGPIPE}  # ends that a shell does not speak of
KIB_PER_PAGE = 4
MACHINE_COUNTERS = ("pgfault", "pgmajfault", "most_vmas")  # of all programs of the machine
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
    from pkern.kernel.tasks.signames import Signal

    return Signal(signo).name if signo else None


def tell(
    kernel: Kernel,
    task: Task | None,
    given: Given,
    ending: Ending,
    tracer: Tracer | None,
    json_file: str | None,
) -> int:
    """Say what a shell would say of an end, write --json's page; return the exit status.

    tracer: who has said by which signal, if there was one.
    """
    signo = 0 if task is None else (task.group.exit_status or 0) & SIGNAL_MASK
    if ending.reason is not None:
        print(f"pkern: {ending.reason}", file=sys.stderr)
    elif signo and signo not in QUIET and task is not None and tracer is None:
        say_ended(task.program or given.argv[0], task.group.exit_status or 0)
    if json_file:
        text = page(kernel, task, given, ending, signo)
        with naming(json_file):
            Path(json_file).write_text(text, errors="surrogateescape")
    return ending.status


def say_ended(program: str, status: int) -> None:
    """Say that a signal ended a program (its status is wait4's), and where the log says why."""
    signo, core = status & SIGNAL_MASK, " (core dumped)" if status & CORE_DUMPED else ""
    hint = "; --dmesg shows where" if signo in LOGGED else ""
    print(f"{program}: ended by {_signal_name(signo)}{core}{hint}", file=sys.stderr)


def show_failure(error: Exception) -> int:
    """Print the traceback of a program's exception, its own frames only; return 1."""
    print(own_traceback(error), end="", file=sys.stderr)
    return 1
