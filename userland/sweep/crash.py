"""Crashes: the machine stops dead before each of its writes to a directory of the host.

Each run has a copy of the directory, and a machine that shows it. When it has stopped, a command
looks at what the copy holds: its exit status says whether that is sound.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from pkern.kernel.branch import Branch
from pkern.kernel.errors import KernelPanic
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import Access
from pkern.userland.failing import DISK_WRITE, Failing, left
from pkern.userland.harness import NoEnd
from pkern.userland.shown import Bind, bind
from pkern.userland.suite.pool import processors, run_all
from pkern.userland.sweep.ends import End, end_of, end_of_branch
from pkern.userland.sweep.positions import NEVER, Hook
from pkern.userland.sweep.run import Plan

Progress = Callable[[int, int, str], None]


class Disk(NamedTuple):
    """A directory of the host, where the machine shows it, and the command that looks at a copy."""

    host: Path
    inside: str
    check: str


class Found(NamedTuple):
    """What a copy held after a crash. at: before which write; 0: there was none. told: output."""

    at: int
    end: End
    status: int
    told: str


def run_crashes(plan: Plan, disk: Disk, progress: Progress | None = None) -> list[Found]:
    """Run the program to its end, and to each of its writes; return what was found, in order.

    Errors: NoEnd, SyscallError where it cannot be executed, CpuUnavailable.
    """
    with plan.machine() as kernel, TemporaryDirectory(prefix="pkern-crash-") as folder:
        run = partial(_some, kernel, plan, disk, Path(folder))
        ((writes, whole),) = run([0])
        if whole.end.reason is not None:
            raise NoEnd(f"without a crash: {whole.end.told()}")
        found = [whole]
        for _, one in run(range(1, writes + 1)):
            found.append(one)
            if progress is not None:
                progress(len(found) - 1, writes, f"before write {one.at}")
        return sorted(found, key=lambda one: one.at)


def _some(
    kernel: Kernel, plan: Plan, disk: Disk, folder: Path, positions: Sequence[int]
) -> Iterator[tuple[int, Found]]:
    """Give (how many writes there were, what was found) for each position."""

    def start(at: int) -> Branch:
        copy = folder / str(at)
        shutil.copytree(disk.host, copy, symlinks=True)
        return kernel.branch(_crashed, plan, Bind(copy, disk.inside, Access.READ_WRITE), at)

    at_once = plan.at_once or processors()
    for number, what in run_all(positions, start, at_once=at_once, seconds=plan.seconds):
        at = positions[number]
        writes, end = what if isinstance(what, tuple) else (0, end_of_branch(what))
        status, told = _look(disk.check, folder / str(at), plan.seconds)
        shutil.rmtree(folder / str(at))
        yield writes, Found(at, end, status, told)


def _crashed(kernel: Kernel, plan: Plan, shown: Bind, at: int) -> tuple[int, End]:
    """Run the program on a copy of the directory; return how many writes there were, its end."""
    bind(kernel, shown)
    Failing(DISK_WRITE, at or NEVER).arm(kernel)
    end = end_of(kernel, plan.path, plan.given, Hook(lambda: None))
    with suppress(KernelPanic):
        kernel.vfs.sync()  # what the machine would write before it is switched off
    return (at or NEVER) - left(kernel, DISK_WRITE), end


def _look(command: str, copy: Path, seconds: float | None) -> tuple[int, str]:
    limit = ["timeout", f"{seconds:g}"] if seconds else []
    argv = [*limit, "/bin/sh", "-c", command]
    done = subprocess.run(argv, cwd=copy, capture_output=True, text=True, errors="replace")
    return done.returncode, (done.stdout + done.stderr).strip()
