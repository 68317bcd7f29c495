"""Ctrl-C ends a command with status 130 and says no more: no traceback, no wrong last line."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from pkern.kernel.cpu.entry import Entry
from pkern.kernel.cpu.processor import RunQueue
from pkern.kernel.cpu.scheduler import Scheduler
from pkern.kernel.cpu.turns import Turns
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.trace import Trace
from pkern.userland.uml.run import run_uml

TraceFunction = Callable[[FrameType, str, object], Any]
BUSY = """\
#include <unistd.h>

int main(void)
{
	write(1, "ready\\n", 6);
	for (;;)
		getppid();
}
"""
PYTHON = """\
def main(sys):
    print("ready", flush=True)
    while True:
        sys.getpid()
"""


def interrupted(*arguments: str) -> tuple[int, str, str]:
    """Send SIGINT after the first line of output; return status, output and errors."""
    command = subprocess.Popen(
        [sys.executable, "-u", "-m", "pkern", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    first = command.stdout.readline()
    command.send_signal(signal.SIGINT)
    out, err = command.communicate()
    return command.returncode, first + out, err


@pytest.fixture
def busy(compile_c: Callable[..., Path]) -> str:
    """Return a program that says it is ready and never ends."""
    return str(compile_c(BUSY))


@pytest.fixture
def loop(tmp_path: Path) -> str:
    """Return the same in Python."""
    program = tmp_path / "loop.py"
    program.write_text(PYTHON)
    return str(program)


def test_of_a_program_in_machine_code(busy: str) -> None:
    assert interrupted("run", busy) == (130, "ready\n", "")


def test_of_a_program_in_python(loop: str) -> None:
    assert interrupted("run", loop) == (130, "ready\n", "")


def test_of_a_guest_of_uml(busy: str) -> None:
    assert interrupted("uml", busy) == (130, "ready\n", "")


@contextmanager
def interrupt_at(function: Any, nth: int) -> Iterator[None]:
    """Let Ctrl-C come before the nth line that is run of a function."""
    lines, before = count(1), sys.gettrace()

    def at_line(frame: FrameType, event: str, _: object) -> TraceFunction:
        if event == "line" and next(lines) == nth:
            raise KeyboardInterrupt
        return at_line

    def at_call(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        return at_line if frame.f_code is function.__code__ else None

    sys.settrace(at_call)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(
    "function",
    [Scheduler._turn, Turns.put_on, Entry.serve, RunQueue.add, Trace.hold],
    ids=lambda function: function.__qualname__,
)
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 41])
def test_of_a_guest_wherever_its_task_is(
    busy: str, kernel: Kernel, function: Any, nth: int
) -> None:
    """The guest's task is ended, whether or not it is in a queue of the scheduler just then."""
    with interrupt_at(function, nth), pytest.raises(KeyboardInterrupt):
        run_uml(kernel, Path(busy))
    assert not [task for task in kernel.tasks.values() if task.alive and task.name != "init"]


@pytest.mark.parametrize("program", ["busy", "loop"])
def test_under_strace_the_last_line_says_what_ended_the_program(
    request: pytest.FixtureRequest, program: str
) -> None:
    status, out, err = interrupted("run", "--strace", request.getfixturevalue(program))
    assert (status, out) == (130, "ready\n")
    assert err.splitlines()[-1] == "+++ killed by SIGINT +++"
    assert "Traceback" not in err


def test_of_the_lab(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pkern", "lab", "report", "--tiny", str(tmp_path / "lab")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as lab:
        assert lab.stderr is not None
        before = iter(lab.stderr.readline, "")  # where no one has drawn yet, fonts are looked for
        assert any(line.startswith("0 of ") for line in before)
        lab.send_signal(signal.SIGINT)
        rest = lab.stderr.read().splitlines()
    assert lab.returncode == 130
    assert all(" of " in line for line in rest)
