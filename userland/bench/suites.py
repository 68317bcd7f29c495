"""What the bench runs to see what a suite, a sweep and a branch of a machine cost.

Every function here measures once. Times are of the host's clock, in nanoseconds: a suite uses all
processors, as who waits for it sees.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from time import perf_counter_ns

from pkern.kernel.machine import Kernel
from pkern.userland.bench.machine_code import QEMU, WrongAnswer
from pkern.userland.bench.start import COMMAND, true
from pkern.userland.cprograms import program
from pkern.userland.program import Sys

LOOP = 'for program in "$1"/*; do "$2" "$program" || exit 1; done'
RAM, IN_USE = "64M", 16 << 20
NR_BRANCHES = 50


@cache
def _programs(nr: int) -> str:
    """Return a directory with so many copies of a static program that ends at once."""
    folder = Path(mkdtemp(prefix="pkern-bench-"))
    for number in range(nr):
        shutil.copy(true(), folder / f"true-{number}")
    return str(folder)


def suite_time(nr: int) -> float:
    """Run so many programs with `pkern suite`. Errors: NoCompiler, WrongAnswer."""
    return _time([sys.executable, "-c", COMMAND, "suite", _programs(nr)])


def qemu_time(nr: int) -> float:
    """Run the same under qemu-user, one after the other from a shell. Errors: as suite_time."""
    return _time(["/bin/sh", "-c", LOOP, "sh", _programs(nr), shutil.which(QEMU) or QEMU])


def one_more(nr: int) -> float:
    """Run so many with `pkern suite`; return the time of each, its start left out."""
    return (suite_time(nr) - suite_time(1)) / (nr - 1)


def sweep_time() -> float:
    """Let each of a thousand calls of a program fail in a copy. Errors: as suite_time."""
    inject = ["--inject", "getpgid:error=EPERM", str(program("swept"))]
    return _time([sys.executable, "-c", COMMAND, "sweep", *inject])


def _time(argv: Sequence[str]) -> float:
    started = perf_counter_ns()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrongAnswer(f"{' '.join(argv)}: status {done.returncode}: {done.stdout}{done.stderr}")
    return perf_counter_ns() - started


def branch_time() -> float:
    """Make a branch that does nothing and take its result: the median of fifty."""
    with Kernel(ram=RAM) as kernel:
        task = Sys(kernel.spawn("bench"))
        prot, flags = task.PROT_READ | task.PROT_WRITE, task.MAP_PRIVATE | task.MAP_ANONYMOUS
        task.touch(task.mmap(0, IN_USE, prot, flags, -1, 0), IN_USE)
        times = []
        for _ in range(NR_BRANCHES):
            started = perf_counter_ns()
            kernel.branch(_nothing).result()
            times.append(perf_counter_ns() - started)
        task.exit(0)
    return median(times)


def _nothing(_: Kernel) -> None:
    """Nothing: what is measured is the branch."""
