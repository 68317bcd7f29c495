"""A block of code is counted once, however often the engine is left and entered again inside it.

How often that happens follows from the host's speed (the engine's TLB grows as time goes by), so
virtual time must not see it. A hook leaves the engine at every so many TLB misses.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from pkern.kernel.core import lib
from pkern.kernel.machine import Kernel
from pkern.userland.machine_code import boot_scheduler
from tests.rounds import ROUNDS
from tests.system.conftest import Compile, Machine

BUSYBOX = Path("/bin/busybox")
SCRIPT = (
    "i=0; while [ $i -lt 40 ]; do echo $((i * 7919 % 101)) $i; i=$((i + 1)); done > /tmp/list;"
    "sort -n /tmp/list | awk '{ s = s $1; t += $2 } END { print s, t }';"
    "sed 's/1/one/g' /tmp/list | md5sum; gzip -c /tmp/list | gunzip -c | wc"
)
EVERY = (2, 61, 3, 5, 7, 16, 256)  # misses: where the engine is left; a long program's first


def _run(program: Path, arguments: tuple[str, ...], every: int) -> tuple[object, ...]:
    """Return all that must be the same in every run of a program."""
    with Kernel(ram="64M") as kernel:
        machine = Machine(kernel)
        scheduler = boot_scheduler(kernel)
        lib.run_leave_every(scheduler.processor.handle, every)
        ran = machine.run(program, *arguments)
        counters = scheduler.processor.counters
        kernel.check()
        return (
            ran.status, ran.out, ran.err, kernel.clock.now_ns,
            counters.blocks, counters.calls, counters.switches,
        )  # fmt: skip


@cache
def _usual(program: Path, arguments: tuple[str, ...] = ()) -> tuple[object, ...]:
    """Return the same of a run that is left alone."""
    return _run(program, arguments, 0)


@contextmanager
def _load() -> Iterator[None]:
    """Share one processor of the host with what never waits."""
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()
        os.sched_setaffinity(0, everywhere)


@pytest.mark.parametrize(
    ("name", "every"),
    [("rewritten", every) for every in EVERY] + [("x87", every) for every in EVERY[: 2 * ROUNDS]],
)
def test_leaving_the_engine_changes_no_count(name: str, every: int, compile_c: Compile) -> None:
    program = compile_c(name, "glibc")
    assert _run(program, (), every) == _usual(program)


@pytest.mark.skipif(not BUSYBOX.exists(), reason="needs busybox")
@pytest.mark.parametrize("every", [2, 3, 7, 64])
def test_leaving_the_engine_changes_no_count_of_many_programs(every: int) -> None:
    script = ("sh", "-c", SCRIPT)
    assert _run(BUSYBOX, script, every) == _usual(BUSYBOX, script)


def test_a_large_program_counts_the_same_under_load(compile_c: Compile) -> None:
    program = compile_c("wide_memory", "glibc")
    alone = _run(program, (), 0)
    with _load():
        assert _run(program, (), 0) == alone
