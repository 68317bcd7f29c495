"""A whole sweep: the program runs once without a failure, and a copy of it fails at every position.

Owns the harness of one program, in machine code or in Python, and the copies that run at once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from pkern.kernel.branch import Branch, BranchEnded
from pkern.kernel.clock import TimeIsUp
from pkern.kernel.errors import KernelPanic
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.signames import Signal
from pkern.userland.failures import own_traceback
from pkern.userland.given import Given
from pkern.userland.injection import Injector, Rule
from pkern.userland.machine_code import captured, run_in_time, start_program
from pkern.userland.suite.pool import Pool, WallTimeIsUp, processors
from pkern.userland.sweep.ends import End, left_behind
from pkern.userland.sweep.positions import Allocations, Calls, Counter, Hook, Line

SIGNALLED, TIME_IS_UP, FAILED = 128, 124, 1
Progress = Callable[[int, str], None]


class Plan(NamedTuple):
    """What is swept. machine: boots one with the program in it. path: of the program there.

    given: to the program. texts, rules: of calls that fail; without one, allocations do. seconds:
    that a copy may take by the host's clock. at_once: copies, None: one for each processor.
    """

    machine: Callable[[], Kernel]
    path: str
    given: Given
    texts: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    seconds: float | None = 10.0
    at_once: int | None = None


class Sweep(NamedTuple):
    """What came of it. good: the end without a failure. ends: (replay, end) by position."""

    good: End
    ends: tuple[tuple[str, End], ...]


def run_sweep(plan: Plan, progress: Progress | None = None) -> Sweep:
    """Let the program meet each failure, one by one. progress: is told of each end.

    Errors: SyscallError where it cannot be executed, NotBranchable, CpuUnavailable.
    """
    counts = [] if plan.rules else _counts(plan)
    copies = _Copies(plan, progress)
    with plan.machine() as kernel:
        line = Line(kernel, copies.add)
        try:
            good = _end(kernel, plan, line, counts)
            if line.reply is not None:
                line.reply.run(lambda: good)
            return Sweep(good, copies.ends())
        finally:
            copies.kill()


def _counts(plan: Plan) -> list[int]:
    """Return how many allocations there are from each call to the next."""
    with plan.machine() as kernel:
        counter = Counter(kernel)
        Program(kernel, plan).run(Hook(counter.before))
        counter.end()
    return counter.counts


def _end(kernel: Kernel, plan: Plan, line: Line, counts: Sequence[int]) -> End:
    """Run the line, or what has become a copy of it, to its end."""
    program = Program(kernel, plan)
    if plan.rules:
        return program.run(Calls(line, plan.texts, plan.rules))
    return program.run(Hook(Allocations(line, counts).before))


class _Copies:
    """The copies that are running, and how those ended that are not."""

    def __init__(self, plan: Plan, progress: Progress | None) -> None:
        self._pool = Pool(plan.seconds)
        self._at_once = plan.at_once or processors()
        self._replays: list[str] = []
        self._ends: dict[int, End] = {}
        self._progress = progress

    def add(self, replay: str, branch: Branch) -> None:
        """Take a new one; wait while there are as many as may be at once."""
        self._pool.add(len(self._replays), branch)
        self._replays.append(replay)
        while len(self._pool.running) >= self._at_once:
            self._collect()

    def _collect(self) -> None:
        for number, what in self._pool.wait():
            self._ends[number] = _end_of(what)
            if self._progress is not None:
                self._progress(len(self._ends), self._replays[number])

    def ends(self) -> tuple[tuple[str, End], ...]:
        """Wait for all and return (replay, end) in the order of positions."""
        while self._pool.running:
            self._collect()
        return tuple((replay, self._ends[n]) for n, replay in enumerate(self._replays))

    def kill(self) -> None:
        """Let none go on."""
        self._pool.kill()


def _end_of(what: object) -> End:
    if isinstance(what, End):
        return what
    if isinstance(what, WallTimeIsUp):
        return End(TIME_IS_UP, None, "does not end", b"", b"")
    if isinstance(what, BranchEnded):
        return End(FAILED, None, f"pkern itself failed: {what}", b"", b"")
    assert isinstance(what, BaseException)
    raise what


# ---- one program ----


class Program:
    """A program that is about to run on a machine, with its output kept."""

    def __init__(self, kernel: Kernel, plan: Plan) -> None:
        self._kernel = kernel
        self._plan = plan
        self._out, self._err = bytearray(), bytearray()

    def run(self, changer: Injector | Hook) -> End:
        """Run it to its end; what becomes of its calls is the changer's."""
        if self._plan.path.endswith(".py"):
            return self._run_python(changer)
        return self._run_machine_code(changer)

    def _run_machine_code(self, changer: Injector | Hook) -> End:
        from pkern.kernel.cpu.scheduler import Deadlock, EngineError

        plan, reason = self._plan, None
        stdio = captured(self._kernel, b"", self._out.extend, self._err.extend)
        task = start_program(self._kernel, plan.path, plan.given, stdio)
        assert self._kernel.scheduler is not None
        changer.attach(self._kernel.scheduler)
        try:
            if not run_in_time(self._kernel.scheduler, task, plan.given.timeout_ns):
                reason = "its virtual time is up"
        except (Deadlock, EngineError, KernelPanic) as error:
            reason = str(error)
        status = task.exit_status or 0
        return self._ended(SIGNALLED + (status & 0x7F) if status & 0x7F else status >> 8, reason)

    def _run_python(self, changer: Injector | Hook) -> End:
        from pkern.userland.program import load_program, new_task, run_main

        out, err = io.StringIO(), io.StringIO()
        status, reason = FAILED, None
        with redirect_stdout(out), redirect_stderr(err):
            main = load_program(Path(self._plan.path))
            task = new_task(self._kernel, self._plan.given)
            try:
                status = run_main(task, main, self._plan.given, injector=changer, on_fault=_show)
            except TimeIsUp:
                reason = "its virtual time is up"
            except KernelPanic as error:
                reason = str(error)
            except Exception as error:
                sys.stderr.write(own_traceback(error))
        self._out += out.getvalue().encode(errors="surrogateescape")
        self._err += err.getvalue().encode(errors="surrogateescape")
        return self._ended(status, reason)

    def _ended(self, status: int, reason: str | None) -> End:
        if reason is not None:
            status, reason = FAILED, " ".join(reason.split())
        signal = Signal(status - SIGNALLED).name if status > SIGNALLED else None
        left = left_behind(self._kernel)
        return End(status, signal, reason, bytes(self._out), bytes(self._err), left)


def _show(error: BaseException) -> None:
    sys.stderr.write(own_traceback(error))
