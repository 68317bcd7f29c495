"""strace: a line a call, begun when it is made and ended when it returns, or a table of counts.

Owns which lines are open and how the lines of several tasks cut each other. decode.py and calls.py
say what a call looks like, filters.py which are shown, python_calls.py what a call made in Python
would be in machine code: both kinds of program go through the same lines. While nothing is traced
none of this is called: the table of calls is replaced, and only those that are shown are wrapped.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.tasks.signal.signals import SigInfo
from pkern.kernel.wait import RegistersSet, Replaced, Restart, WouldBlock
from pkern.syscalls.abi import Raw
from pkern.syscalls.numbers import NAMES, NUMBERS
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
from pkern.syscalls.strace.filters import EVERYTHING, Filters
from pkern.syscalls.strace.python_calls import Values, shape_of
from pkern.syscalls.strace.structs import siginfo_text
from pkern.syscalls.table import TABLE, Syscall

if TYPE_CHECKING:
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.tasks.task import Task

COLUMN = 39
MAX_ERRNO = 4095
MASK = (1 << 64) - 1
RESTARTS = {
    Restart.IF_ASKED: "? ERESTARTSYS (To be restarted if SA_RESTART is set)",
    Restart.ANEW: "? ERESTARTSYS (To be restarted if SA_RESTART is set)",
    Restart.UNLESS_HANDLED: "? ERESTARTNOHAND (To be restarted if no handler)",
    Restart.REST: "? ERESTARTNOHAND (To be restarted if no handler)",
    Restart.CONTINUE: "? ERESTART_RESTARTBLOCK (Interrupted by signal)",
    Restart.ALWAYS: "? ERESTARTNOINTR (To be restarted)",
    Restart.NEVER: "? ERESTARTNOINTR (To be restarted)",
    Restart.ENDS: "-1 EINTR (Interrupted system call)",
}


class Stamp(Enum):
    """What stands before a line: virtual time, as strace's -t, -tt and -ttt show time."""

    NONE = ""
    SECONDS = "%H:%M:%S "
    MICROSECONDS = "%H:%M:%S.{us:06} "
    EPOCH = "{s}.{us:06} "


class Pids(Enum):
    """Where a line says whose it is."""

    WHERE_MANY = "[pid {pid:5}] "  # while there are several tasks
    ALWAYS = "{pid:<5} "  # as strace -f writes to a file


class Output(Enum):
    """What is printed."""

    LINES = "a line a call"
    SUMMARY = "nothing: counts are kept"


@dataclass(frozen=True, slots=True)
class Style:
    """What is shown, and how."""

    filters: Filters = EVERYTHING
    stamp: Stamp = Stamp.NONE
    pids: Pids = Pids.WHERE_MANY
    output: Output = Output.LINES


PLAIN = Style()


@dataclass(slots=True)
class Line:
    """A call that has begun: its first arguments are shown, the rest when it returns."""

    name: str
    view: View
    first: int  # of the arguments that are not shown yet
    rest: tuple[Decoder, ...]
    begun: str  # the text so far, with the open bracket
    cut: bool = False  # another task's line came in between

    def finish(self) -> str:
        """Return the whole text up to the closing bracket, or what a cut one still lacks."""
        shown = [decode(self.view, self.first + i) for i, decode in enumerate(self.rest)]
        start = f"<... {self.name} resumed>" if self.cut else self.begun
        return f"{start}{', '.join(shown)})"


COUNTS: dict[str, int] = {}


def begin_line(name: str, view: View) -> Line:
    """Return the line of a call that is about to be made."""
    view.noted = noted_length(name, view)
    decoders = decoders_of(name, view, COUNTS[name])
    ready = next((i for i, d in enumerate(decoders) if d in AFTER), len(decoders))
    shown = [decode(view, i) for i, decode in enumerate(decoders[:ready])]
    open_end = ", " if shown and decoders[ready:] else ""
    return Line(name, view, ready, decoders[ready:], f"{name}({', '.join(shown)}{open_end}")


def _plain_line(name: str, view: View) -> Line:
    """Return the line of a call of the i386 table with structures of its own: registers in hex."""
    shown = ", ".join(hex(word) for word in view.args[: len(i386_forms()[name].kinds)])
    return Line(name, view, len(view.args), (), f"{name}({shown}")


def i386_forms() -> Mapping[str, Syscall]:
    """Return the handlers of those calls; most runs need none of them."""
    forms: Mapping[str, Syscall] = load("pkern.syscalls.ia32.forms").FORMS
    return forms


def _no_mark(_: Task) -> str:
    return ""


class Tracer:
    """Prints the calls, signals and ends of tasks, as `strace -f` does, or counts the calls."""

    def __init__(self, emit: Callable[[str], object], style: Style = PLAIN) -> None:
        self._emit = emit
        self.style = style
        self._lines: dict[Task, Line] = {}
        self._last: Task | None = None  # whose line is open
        self._gone: WeakSet[Task] = WeakSet()  # whose end is told
        self._counts: dict[str, list[int]] = {}  # calls and errors by name
        self._call_ns = 0  # what each took
        self.mark: Callable[[Task], str] = _no_mark  # what stands behind a result
        self.stack: Callable[[Task], list[str]] | None = None  # -k: what stands below a line
        COUNTS.update((call.name, len(call.kinds)) for call in TABLE.values())

    def attach(self, scheduler: Scheduler) -> None:
        """Print from now on what the scheduler's tasks do."""
        calls = scheduler.calls
        calls.use(self.calls(calls.table))
        calls.missing = self.missing(calls.missing)
        calls.ia32 = self.ia32(calls.ia32)
        scheduler.observer = self

    def started(self, task: Task, path: str) -> None:
        """Print the execve that a new task in machine code has just made."""
        argv_at = task.cpu.registers()["rsp"] + 8
        envp_at = argv_at + 8 * (len(task.argv) + 1)
        view = View(task, (0, argv_at, envp_at, 0, 0, 0), result=0)
        if "execve" not in self.style.filters.calls:
            return
        if self.style.output is Output.SUMMARY:
            self._count(task, "execve", 0)
            return
        name = escaped(path.encode("utf-8", "surrogateescape"))
        text = f"execve({name}, {strings(view, 1)}, {environment(view, 2)})"
        if self.style.filters.shows_result(0):
            self._emit(f"{self._prefix(task) + text:{COLUMN}} = 0")

    # ---- what the scheduler calls ----

    def calls(self, table: dict[int, Raw]) -> dict[int, Raw]:
        """Return the same calls, each of which prints its line."""
        shown = self.style.filters.calls
        return {
            nr: self._traced(NAMES[nr], call) if NAMES[nr] in shown else call
            for nr, call in table.items()
        }

    def ia32(self, make: Raw) -> Raw:
        """Return what makes calls by int 0x80; most are shown as the native calls they are."""
        names = load("pkern.syscalls.ia32.numbers").NAMES

        def wrapper(task: Task, nr: int, *registers: int) -> int:
            name = names.get(nr, "")
            call = partial(make, task, nr)
            if name not in i386_forms() or not self._shows(name):
                return call(*registers)
            return self._traced(name, lambda _, *words: call(*words), _plain_line)(task, *registers)

        return wrapper

    def missing(self, missing: Raw) -> Raw:
        """Return what answers an unknown number, and prints it."""

        def wrapper(task: Task, *registers: int) -> int:
            number = task.kernel.scheduler.calls.number(task) if task.kernel.scheduler else 0
            name = NAMES.get(number, f"syscall_{number:#x}")
            if self._shows(name):
                self._missing(task, name, registers)
            return missing(task, *registers)

        return wrapper

    def signal(self, task: Task, info: SigInfo) -> None:
        """Print a signal that is acted on."""
        if info.si_signo not in self.style.filters.signals:
            return
        self._write(task, f"--- {signal_name(info.si_signo)} {siginfo_text(info)} ---")
        if self.style.output is not Output.SUMMARY:
            self._show_stack(task)

    def interrupted(self, task: Task, wait: WouldBlock) -> None:
        """Print that a signal has ended a call, before it is known what follows."""
        line = self._lines.pop(task, None)
        if line is not None:
            line.view.result = -1
            self._end(task, line, RESTARTS[wait.restart])

    def ended(self, task: Task) -> None:
        """Print how a task ended, once; the call that it ended in has no result."""
        if task in self._gone:
            return
        self._gone.add(task)
        line = self._lines.pop(task, None)
        if line is not None:
            self._end(task, line, "?")
        heir = task.group.executes
        if heir is not None and task is task.group.leader:
            self._write(task, f"+++ superseded by execve in pid {heir.pid} +++")
            return
        own = task is not task.group.leader or task.group.exit_code is None
        status = (task.exit_status if own else task.group.exit_code) or 0
        if status & 0x7F:
            core = " (core dumped)" if status & 0x80 else ""
            self._write(task, f"+++ killed by {signal_name(status & 0x7F)}{core} +++")
        else:
            self._write(task, f"+++ exited with {status >> 8} +++")

    # ---- calls made in Python ----

    def python_call(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Return a handler of a Python program's that prints its line, whatever it is given."""
        if name not in self.style.filters.calls and name in COUNTS:
            return handler
        signature = inspect.signature(handler)

        def wrapper(task: Task, *args: Any, **named: Any) -> Any:
            if not self._lives(task):
                return handler(task, *args, **named)
            bound = signature.bind(task, *args, **named)  # TypeError, as without strace
            bound.apply_defaults()
            values = Values(task.mm)
            shape = shape_of(name, values, bound.args[1:])
            if shape is None or task in self._lines:
                return handler(task, *args, **named)
            self._begin(task, begin_line(shape.name, View(task, shape.registers, values=values)))
            try:
                result = handler(task, *args, **named)
            except SyscallError as error:
                self._return(task, -error.number)
                raise
            except Replaced:
                self._return(task, 0)
                raise
            except BaseException:
                self._end_with(task)
                raise
            if task.alive:
                self._return(task, shape.store(result))
            else:
                self._end_with(task)
            return result

        return wrapper

    def _lives(self, task: Task) -> bool:
        """Tell whether a task still makes calls; the end of one that others have ended is told."""
        if not task.alive:
            self.ended(task)
        return task.alive

    def _end_with(self, task: Task) -> None:
        """Print the end of a Python program, which a call of its own brought about."""
        if task in self._lines and not task.alive:
            self.ended(task)
        self._lines.pop(task, None)

    def raw_call(self, dispatch: Callable[..., int]) -> Callable[..., int]:
        """Return a maker of raw calls (task, number, registers) that prints their lines."""

        def wrapper(task: Task, nr: int, registers: tuple[int, ...]) -> int:
            name = NAMES.get(nr, f"syscall_{nr:#x}")
            if not self._shows(name) or not self._lives(task):
                return dispatch(task, nr, registers)
            padded = tuple(value & MASK for value in (*registers, 0, 0, 0, 0, 0, 0)[:6])
            if nr not in TABLE:
                self._missing(task, name, padded)
                return dispatch(task, nr, registers)
            self._begin(task, begin_line(name, View(task, padded)))
            try:
                result = dispatch(task, nr, registers)
            except Replaced:
                self._return(task, 0)
                raise
            if task.alive:
                self._return(task, result)
            else:
                self._end_with(task)
            return result

        return wrapper

    def leaves(self, task: Task, status: int) -> None:
        """Print that a Python program returns from its main: its end, by exit_group."""
        if "exit_group" in self.style.filters.calls:
            self._begin(task, begin_line("exit_group", View(task, (status, 0, 0, 0, 0, 0))))

    # ---- counts ----

    def summary(self) -> list[str]:
        """Return the table of strace -c, whose times have a digit more than strace's own.

        They are virtual: a call costs the clock's call_ns, sleep is not counted.
        """
        rows = sorted(self._counts.items(), key=lambda row: (-row[1][0], NUMBERS.get(row[0], 0)))
        total = sum(calls for calls, _ in self._counts.values())
        errors = sum(failed for _, failed in self._counts.values())
        width = max([16, *(len(name) for name in self._counts)])
        rule = f"------ ----------- ----------- --------- --------- {'-' * width}"
        head = "% time     seconds  usecs/call     calls    errors syscall"
        shown = [self._row(calls, failed, total, name) for name, (calls, failed) in rows]
        return [head, rule, *shown, rule, self._row(total, errors, total, "total")]

    def _row(self, calls: int, failed: int, total: int, name: str) -> str:
        share = 100 * calls / total if total else 0
        nanoseconds = calls * self._call_ns
        each = nanoseconds / calls / 1000 if calls else 0
        errors = str(failed) if failed else ""
        start = f"{share:6.2f} {nanoseconds / SECOND:11.7f} {each:11.1f}"
        return f"{start} {calls:9} {errors:>9} {name}"

    def _count(self, task: Task, name: str, result: int | None) -> None:
        if result is None:
            return  # it never returned
        self._call_ns = task.kernel.clock.call_ns
        counts = self._counts.setdefault(name, [0, 0])
        counts[0] += 1
        counts[1] += result < 0

    # ---- lines ----

    def _shows(self, name: str) -> bool:
        """Tell whether calls of a name are shown; a number without one is, where all are."""
        shown = self.style.filters.calls
        return name in shown or (name not in NUMBERS and shown == EVERYTHING.calls)

    def _missing(self, task: Task, name: str, registers: tuple[int, ...]) -> None:
        if self.style.output is Output.SUMMARY:
            self._count(task, name, -1)
            return
        shown = ", ".join(hex(value) if value else "0" for value in registers)
        text = f"{self._prefix(task)}{name}({shown})"
        self._cut_open_line()
        self._emit(f"{text:{COLUMN}} = -1 ENOSYS (Function not implemented)")

    def _traced(self, name: str, call: Raw, begin: Callable[[str, View], Line] = begin_line) -> Raw:
        def wrapper(task: Task, *registers: int) -> int:
            if task not in self._lines:
                self._begin(task, begin(name, View(task, registers)))
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
        return self._whose(task) + self._when(task)

    def _whose(self, task: Task) -> str:
        pids = self.style.pids
        if pids is Pids.WHERE_MANY:
            init = task.kernel.tasks.init
            alive = [t for t in task.kernel.tasks.values() if t is not init and t.alive]
            if all(other is task for other in alive):
                return ""
        return pids.value.format(pid=task.pid)

    def _when(self, task: Task) -> str:
        if self.style.stamp is Stamp.NONE:
            return ""
        seconds, rest = divmod(task.kernel.clock.realtime_ns, SECOND)
        form = self.style.stamp.value.format(s=seconds, us=rest // 1000)
        return strftime(form, gmtime(seconds))

    def _begin(self, task: Task, line: Line) -> None:
        if self.style.output is Output.SUMMARY or not self._shows_unfinished():
            self._lines[task] = line
            return
        self._cut_open_line()
        self._lines[task] = line
        self._last = task
        line.begun = self._prefix(task) + line.begun

    def _cut_open_line(self) -> None:
        """Another task's line comes: what is begun is printed as it is."""
        line = self._lines.get(self._last) if self._last is not None else None
        if line is not None and not line.cut:
            self._emit(f"{line.begun} <unfinished ...>")
            line.cut = True
        self._last = None

    def _return(self, task: Task, result: int) -> None:
        line = self._lines.get(task)
        if line is None or not task.alive:
            return  # the end of the task prints the line
        del self._lines[task]
        line.view.result = result
        self._end(task, line, result_text(line.name, line.view) + self.mark(task))

    def _end(self, task: Task, line: Line, result: str) -> None:
        if self.style.output is Output.SUMMARY:
            self._count(task, line.name, line.view.result)
            return
        if not self.style.filters.shows_result(line.view.result):
            return
        if not self._shows_unfinished():
            line.begun = self._prefix(task) + line.begun
        if self._last is task:
            self._last = None
        self._cut_open_line()
        prefix = self._prefix(task) if line.cut else ""
        self._emit(f"{prefix + line.finish():{COLUMN}} = {result}")
        self._show_stack(task)

    def _show_stack(self, task: Task) -> None:
        if self.stack is not None and task.alive and task.context is not None:
            for frame in self.stack(task):
                self._emit(f" > {frame}")

    def _shows_unfinished(self) -> bool:
        """Tell whether a line may be begun before its result is known."""
        return self.style.filters.statuses == EVERYTHING.statuses

    def _write(self, task: Task, text: str) -> None:
        if self.style.output is Output.SUMMARY:
            return
        self._cut_open_line()
        self._emit(self._prefix(task) + text)


def error_or_value(rax: int) -> int:
    """Return rax, below 0 if it is one of the 4,095 error numbers."""
    return rax - (1 << 64) if rax >= (1 << 64) - MAX_ERRNO else rax
