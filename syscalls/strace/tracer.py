"""strace for machine code: a line a call, begun when it is made and ended when it returns.

Owns which lines are open and how the lines of several tasks cut each other. decode.py and
decode_calls.py say what a call looks like. While nothing is traced none of this is called: the
scheduler's table of calls is replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signals import SigInfo
from pkern.kernel.wait import RegistersSet, Restart, WouldBlock
from pkern.syscalls.abi import Raw
from pkern.syscalls.numbers import NAMES
from pkern.syscalls.strace.calls import decoders_of, noted_length, result_text
from pkern.syscalls.strace.decode import (
    AFTER,
    Decoder,
    View,
    environment,
    escaped,
    signal_name,
    strings,
)
from pkern.syscalls.strace.structs import siginfo_text
from pkern.syscalls.table import TABLE

if TYPE_CHECKING:
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.tasks.task import Task

COLUMN = 39
MAX_ERRNO = 4095
RESTARTS = {
    Restart.IF_ASKED: "ERESTARTSYS (To be restarted if SA_RESTART is set)",
    Restart.UNLESS_HANDLED: "ERESTARTNOHAND (To be restarted if no handler)",
    Restart.CONTINUE: "ERESTART_RESTARTBLOCK (Interrupted by signal)",
    Restart.NEVER: "ERESTARTNOINTR (To be restarted)",
}


@dataclass(slots=True)
class Line:
    """A call that has begun: its first arguments are shown, the rest when it returns."""

    name: str
    view: View
    rest: tuple[Decoder, ...]
    begun: str  # the text so far, with the open bracket
    cut: bool = False  # another task's line came in between

    def finish(self) -> str:
        """Return the whole text up to the closing bracket, or what a cut one still lacks."""
        first = len(decoders_of(self.name, self.view, COUNTS[self.name])) - len(self.rest)
        shown = [decode(self.view, first + i) for i, decode in enumerate(self.rest)]
        start = f"<... {self.name} resumed>" if self.cut else self.begun
        return f"{start}{', '.join(shown)})"


COUNTS: dict[str, int] = {}


def begin_line(name: str, task: Task, registers: tuple[int, ...]) -> Line:
    """Return the line of a call that is about to be made."""
    view = View(task, registers)
    view.noted = noted_length(name, view)
    decoders = decoders_of(name, view, COUNTS[name])
    ready = next((i for i, d in enumerate(decoders) if d in AFTER), len(decoders))
    shown = [decode(view, i) for i, decode in enumerate(decoders[:ready])]
    open_end = ", " if shown and decoders[ready:] else ""
    return Line(name, view, decoders[ready:], f"{name}({', '.join(shown)}{open_end}")


class Tracer:
    """Prints the calls, signals and ends of every task in machine code, as `strace -f` does."""

    def __init__(self, emit: Callable[[str], object]) -> None:
        self._emit = emit
        self._lines: dict[int, Line] = {}
        self._last: int | None = None  # whose line is open

    def attach(self, scheduler: Scheduler) -> None:
        """Print from now on what the scheduler's tasks do."""
        scheduler.calls = self.calls(scheduler.calls)
        scheduler.missing = self.missing(scheduler.missing)
        scheduler.observer = self

    # ---- what the scheduler calls ----

    def calls(self, table: dict[int, Raw]) -> dict[int, Raw]:
        """Return the same calls, each of which prints its line."""
        COUNTS.update((call.name, len(call.kinds)) for call in TABLE.values())
        return {nr: self._traced(TABLE[nr].name, call) for nr, call in table.items()}

    def missing(self, missing: Raw) -> Raw:
        """Return what answers an unknown number, and prints it."""

        def wrapper(task: Task, *registers: int) -> int:
            number = task.kernel.scheduler.call_number(task) if task.kernel.scheduler else 0
            shown = ", ".join(hex(value) for value in registers)
            text = f"{NAMES.get(number, f'syscall_{number:#x}')}({shown})"
            self._write(task, f"{text:{COLUMN}} = -1 ENOSYS (Function not implemented)")
            return missing(task, *registers)

        return wrapper

    def signal(self, task: Task, info: SigInfo) -> None:
        """Print a signal that is acted on."""
        self._write(task, f"--- {signal_name(info.si_signo)} {siginfo_text(info)} ---")

    def interrupted(self, task: Task, wait: WouldBlock) -> None:
        """Print that a signal has ended a call, before it is known what follows."""
        line = self._lines.pop(task.pid, None)
        if line is not None:
            line.view.result = -1
            self._end(task, line, f"? {RESTARTS[wait.restart]}")

    def ended(self, task: Task) -> None:
        """Print how a task ended; the call that it ended in has no result."""
        line = self._lines.pop(task.pid, None)
        if line is not None:
            self._end(task, line, "?")
        status = task.exit_status or 0
        if status & 0x7F:
            core = " (core dumped)" if status & 0x80 else ""
            self._write(task, f"+++ killed by {signal_name(status & 0x7F)}{core} +++")
        else:
            self._write(task, f"+++ exited with {status >> 8} +++")

    # ---- lines ----

    def _traced(self, name: str, call: Raw) -> Raw:
        def wrapper(task: Task, *registers: int) -> int:
            if task.pid not in self._lines:
                self._begin(task, begin_line(name, task, registers))
            try:
                result = call(task, *registers)
            except WouldBlock:
                raise
            except SyscallError as error:
                self._return(task, -error.number)
                raise
            except RegistersSet:
                self._return(task, error_or_value(task.cpu.registers()["rax"]))
                raise
            self._return(task, result)
            return result

        return wrapper

    def _prefix(self, task: Task) -> str:
        alive = [t for t in task.kernel.tasks.values() if t.context is not None and t.alive]
        alone = all(other is task for other in alive)
        return "" if alone else f"[pid {task.pid:5}] "

    def _begin(self, task: Task, line: Line) -> None:
        self._cut_open_line()
        self._lines[task.pid] = line
        self._last = task.pid
        line.begun = self._prefix(task) + line.begun

    def _cut_open_line(self) -> None:
        """Another task's line comes: what is begun is printed as it is."""
        line = self._lines.get(self._last) if self._last is not None else None
        if line is not None and not line.cut:
            self._emit(f"{line.begun} <unfinished ...>")
            line.cut = True
        self._last = None

    def _return(self, task: Task, result: int) -> None:
        line = self._lines.get(task.pid)
        if line is None or not task.alive:
            return  # the end of the task prints the line
        del self._lines[task.pid]
        line.view.result = result
        self._end(task, line, result_text(line.name, line.view))

    def _end(self, task: Task, line: Line, result: str) -> None:
        if self._last == task.pid:
            self._last = None
        self._cut_open_line()
        prefix = self._prefix(task) if line.cut else ""
        self._emit(f"{prefix + line.finish():{COLUMN}} = {result}")

    def _write(self, task: Task, text: str) -> None:
        self._cut_open_line()
        self._emit(self._prefix(task) + text)


def error_or_value(rax: int) -> int:
    """Return rax, below 0 if it is one of the 4,095 error numbers."""
    return rax - (1 << 64) if rax >= (1 << 64) - MAX_ERRNO else rax


def started_line(task: Task, path: str) -> str:
    """Return the line of the execve that a new task has just made."""
    argv_at = task.cpu.registers()["rsp"] + 8
    envp_at = argv_at + 8 * (len(task.argv) + 1)
    view = View(task, (0, argv_at, envp_at, 0, 0, 0))
    text = f"execve({escaped(path.encode())}, {strings(view, 1)}, {environment(view, 2)})"
    return f"{text:{COLUMN}} = 0"
