"""Stops of the processor for a debugger: exact, unseen, and free of cost in virtual time."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkern.kernel.cpu.scheduler import Scheduler
from pkern.kernel.cpu.stops import DEBUG, Kind, Moment, Notes, Spot, Stops, Why, peek
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.task import Task
from pkern.userland.debugger.packets import Connection
from pkern.userland.debugger.stub import Resume, Stop, Stub
from pkern.userland.debugger.target import Target
from tests.system.conftest import Compile, Machine

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
volatile long counter, other;
char bytes[64];
__attribute__((noinline)) void twice(long n) { counter += n; other = counter; }
int main(void)
{
	struct timespec t;
	for (long i = 0; i < 50; i++)
		twice(i & 1);
	char *far = malloc(1 << 20);
	memset(far, 1, 1 << 20);
	memcpy(bytes, far, sizeof(bytes));
	clock_gettime(CLOCK_MONOTONIC, &t);
	printf("%ld %ld %d at %ld\n", counter, other, bytes[9], t.tv_nsec);
	return 0;
}
"""
TWICE_CHANGES = 25  # counter: every other call adds 0


class Seen(Scheduler):
    """A scheduler that hands each stop to a function."""

    stop: Callable[[Task, Why, int], None]

    def _serve_stop(self, task: Task, reason: int) -> None:
        if reason == DEBUG:
            self.stop(task, Why(int(self._exit.status)), int(self._exit.addr))
        else:
            Scheduler._serve_stop(self, task, reason)


class Debugging:
    """A program that is about to run, with stops."""

    def __init__(self, machine: Machine, program: Path) -> None:
        self.machine = machine
        self.task = machine.spawn(program)
        scheduler = machine.kernel.scheduler
        assert scheduler is not None
        self.stops = Stops(scheduler.processor)
        self.seen: list[tuple[Why, int, Moment]] = []
        scheduler.__class__ = Seen
        self.scheduler: Any = scheduler
        scheduler.stop = self.note  # type: ignore[attr-defined]
        lines = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
        rows = (line.split() for line in lines.splitlines())
        self.at = {row[2]: int(row[0], 16) for row in rows if len(row) == 3}

    def note(self, task: Task, why: Why, which: int) -> None:
        self.seen.append((why, which, self.stops.moment()))

    def spot(self, name: str, nbytes: int, kind: Kind, offset: int = 0) -> Spot:
        return Spot(self.task.mm.handle, self.at[name] + offset, nbytes, kind)

    def end(self) -> tuple[bytes, int]:
        """Run to the end; return what it wrote, and when it ended."""
        self.scheduler.run(self.task)
        self.stops.close()
        self.scheduler.__class__ = Scheduler
        return b"".join(self.machine.out), self.machine.kernel.clock.now_ns


@pytest.fixture
def program(compile_c: Compile) -> Path:
    return compile_c(PROGRAM, "glibc", "-O1")


@pytest.fixture
def plain(program: Path) -> tuple[bytes, int]:
    """Return how it ends when nobody looks."""
    with Kernel() as kernel:
        machine = Machine(kernel)
        machine.run(program)
        return b"".join(machine.out), kernel.clock.now_ns


def test_breakpoints(machine: Machine, program: Path, plain: tuple[bytes, int]) -> None:
    run = Debugging(machine, program)
    run.stops.set_spots([run.spot("twice", 1, Kind.BREAK), run.spot("main", 1, Kind.BREAK)])
    assert run.end() == plain
    assert [which for _, which, _ in run.seen] == [1] + 50 * [0]
    moments = [moment for _, _, moment in run.seen]
    assert moments == sorted(moments)
    assert {moment.rip for moment in moments[1:]} == {run.at["twice"]}


@pytest.mark.parametrize(
    ("kind", "nbytes", "hits"),
    [
        (Kind.WRITE, 8, TWICE_CHANGES),
        (Kind.ACCESS, 8, 4 * 50 // 2 + 1),
        (Kind.READ, 8, 50 + 1),
        (Kind.WRITE, 1, TWICE_CHANGES),
    ],
)
def test_watched_places(
    machine: Machine, program: Path, plain: tuple[bytes, int], kind: Kind, nbytes: int, hits: int
) -> None:
    run = Debugging(machine, program)
    run.stops.set_spots([run.spot("counter", nbytes, kind)])
    assert run.end() == plain
    assert {why for why, _, _ in run.seen} == {Why.SPOT}
    assert len(run.seen) >= TWICE_CHANGES if kind is not Kind.WRITE else len(run.seen) == hits


def test_a_watched_byte_of_a_wide_store(machine: Machine, program: Path) -> None:
    run = Debugging(machine, program)
    run.stops.set_spots([run.spot("bytes", 1, Kind.WRITE, 9)])
    run.end()
    assert len(run.seen) == 1


def test_steps(machine: Machine, program: Path, plain: tuple[bytes, int]) -> None:
    run = Debugging(machine, program)
    run.stops.step(run.task.cpu)
    left = [3000]

    def note(task: Task, why: Why, which: int) -> None:
        Debugging.note(run, task, why, which)
        left[0] -= 1
        run.stops.step(task.cpu if left[0] else None)

    run.scheduler.stop = note
    assert run.end() == plain
    assert len(run.seen) == 3000
    moments = [moment for _, _, moment in run.seen]
    assert moments == sorted(set(moments))


def test_a_moment_is_found_again(compile_c: Compile, program: Path) -> None:
    def moments(look: Callable[[Debugging], None]) -> Debugging:
        with Kernel() as kernel:
            run = Debugging(Machine(kernel), program)
            look(run)
            run.end()
        return run

    def all_of(run: Debugging) -> None:
        run.stops.set_spots([run.spot("twice", 1, Kind.BREAK)])

    wanted = moments(all_of).seen[29][2]

    def land(run: Debugging) -> None:
        run.stops.until(wanted.blocks - 1)

        def note(task: Task, why: Why, which: int) -> None:
            Debugging.note(run, task, why, which)
            if len(run.seen) == 1:
                run.stops.until(wanted.blocks, wanted.rip)
            else:
                run.stops.until()

        run.scheduler.stop = note

    seen = moments(land).seen
    assert [why for why, _, _ in seen] == [Why.PLACE, Why.PLACE]
    assert seen[0][2].blocks == wanted.blocks
    assert seen[1][2] == wanted


def test_what_is_noted_stops_nothing(machine: Machine, program: Path) -> None:
    run = Debugging(machine, program)
    run.stops.set_spots([run.spot("twice", 1, Kind.BREAK), run.spot("other", 8, Kind.WRITE)])
    run.stops.note(Notes.SPOTS)
    noted = []
    run.scheduler.observer = None
    run.stops.until(1 << 40)
    run.scheduler.run(run.task)
    noted.append(run.stops.noted())
    assert run.seen == []
    assert noted[0] is not None
    (moment, spot), twice = noted[0], run.at["twice"]
    assert spot == 1
    assert twice < moment.rip < twice + 64


def test_looking_touches_nothing(machine: Machine, program: Path, plain: tuple[bytes, int]) -> None:
    run = Debugging(machine, program)
    target = Target(machine.kernel, run.stops)
    target.attach(run.task.group)
    before = _counts(run.task)
    assert peek(run.task.mm.handle, run.at["main"], 16) == b""  # not brought in yet
    code = target.read(run.task, run.at["main"] - 8, 4096 * 2)
    assert len(code) == 4096 * 2
    assert target.read(run.task, 0, 8) == b""
    assert target.file("/proc/version").startswith(b"Linux")
    assert _counts(run.task) == before
    assert run.end() == plain


def _counts(task: Task) -> tuple[Any, ...]:
    counters = task.kernel.counters
    names = [name for name in dir(counters) if isinstance(getattr(counters, name), int)]
    return (*(getattr(counters, name) for name in names), task.faults, task.mm.counters.rss_file)


# ---- a stub that is asked for anything ----

WORDS = st.sampled_from(
    ["g", "G", "p", "P", "m", "M", "X", "Z0", "Z2", "z4", "H", "Hg", "T", "?", "qXfer:", "qRcmd,",
     "vFile:open:", "vFile:pread:", "qSupported", "qC", "vKill;", "QPassSignals:", "qfThreadInfo",
     "vCont;", "bs", "bc", "D;", "vCont?"]
)  # fmt: skip
TAILS = st.text("0123456789abcdefp.-,;:=cCsSr$ xyz\x00\xff", max_size=30)


@pytest.fixture
def stub(machine: Machine, program: Path) -> Any:
    run = Debugging(machine, program)
    target = Target(machine.kernel, run.stops)
    target.attach(run.task.group)
    made = Stub(target, Connection(-1, -1))
    made.show(Stop(run.task))
    yield made
    run.end()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(WORDS, TAILS)
def test_nothing_that_is_asked_raises(stub: Stub, word: str, tail: str) -> None:
    if word in ("D;", "vKill;"):
        return  # they answer by themselves: tests/system/debuggers/test_gdb.py
    answer = stub.answer((word + tail).encode("latin-1"))
    assert isinstance(answer, bytes | Resume)
