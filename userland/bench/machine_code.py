"""What the bench runs in machine code: one static program, on three kernels.

Owns how userland/programs/bench.c is timed, and how often each of its loops turns.  Here the clock
runs after boot, from execve to the exit; on the host and under qemu-user the program is a child
process, whose start is part of the time.  Nothing is subtracted.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from time import perf_counter_ns

from pkern.kernel.machine import Kernel
from pkern.userland.cprograms import program
from pkern.userland.engine import CpuUnavailable, engine_library
from pkern.userland.machine_code import boot_scheduler, captured, put_program, run_machine_code

QEMU = "qemu-x86_64-static"
RAM = "256M"
# Each run takes some 50-500 ms on the slower of the kernels compared.
COUNTS = {
    "nothing": 1,
    "getppid": 200_000,
    "read": 20_000,
    "mmap": 5_000,
    "fork": 500,
    "exec": 60,
    "pipe": 5_000,
    "futex": 5_000,
    "threads": 1_000,
    "compute": 20_000_000,
    "random-1m": 4_000_000,
    "random-64m": 500_000,
}
_PATH = "/bin/bench"


class WrongAnswer(RuntimeError):
    """A run of the program did not end well, so its time means nothing."""


def engine_note() -> str | None:
    """Say why no machine code can run here; None if it can."""
    try:
        engine_library()
    except CpuUnavailable as error:
        return f"rows for machine code are left out: {error}"
    return None


def qemu_note() -> str | None:
    """Say that there is no qemu-user to compare with; None if there is."""
    if shutil.which(QEMU):
        return None
    return f"rows beside qemu-user are left out: {QEMU} is not installed (Debian: qemu-user-static)"


def host_program(loop: str, count: int) -> float:
    """Run a loop as a child process of the host; nanoseconds. Errors: NoCompiler, WrongAnswer."""
    return _child([str(program("bench")), loop, str(count)], loop, count)


def qemu_program(loop: str, count: int) -> float:
    """Run a loop under qemu-user; nanoseconds.

    The loop "exec" starts qemu-user anew, or else each new program would run natively.
    Errors: NoCompiler, WrongAnswer, FileNotFoundError.
    """
    emulator = shutil.which(QEMU) or QEMU
    return _child([emulator, str(program("bench")), loop, str(count), emulator], loop, count)


def our_program(loop: str, count: int) -> float:
    """Run a loop on a machine just booted; nanoseconds from execve to the exit.

    Errors: NoCompiler, WrongAnswer, CpuUnavailable.
    """
    output = bytearray()
    with Kernel(ram=RAM) as kernel:
        put_program(kernel, program("bench"), _PATH)
        boot_scheduler(kernel)
        stdio = captured(kernel, b"", output.extend)
        start = perf_counter_ns()
        status = run_machine_code(kernel, _PATH, [_PATH, loop, str(count)], stdio=stdio)
        time = perf_counter_ns() - start
    _check(loop, count, status, bytes(output))
    return float(time)


def _child(command: Sequence[str], loop: str, count: int) -> float:
    start = perf_counter_ns()
    done = subprocess.run(command, capture_output=True)
    time = perf_counter_ns() - start
    _check(loop, count, done.returncode, done.stdout)
    return float(time)


def _check(loop: str, count: int, status: int, output: bytes) -> None:
    if status or not output.startswith(f"{loop} {count}: ".encode()):
        raise WrongAnswer(f"bench {loop} {count}: status {status}, output {output!r}")
