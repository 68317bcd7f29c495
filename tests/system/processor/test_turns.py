"""Turns that the core begins are as Python's would be: the same order, times, counts and output.

A machine whose table of calls was replaced, as by strace, gets every call and every turn from
Python: that is what the core is compared with, and the output with the host's.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import pytest

from pkern.kernel.cpu.turns import SLICES
from pkern.kernel.errors import KernelBug
from pkern.kernel.machine import Kernel
from pkern.userland.machine_code import boot_scheduler
from tests.rounds import ROUNDS
from tests.system.conftest import Compile, Machine, on_host

YIELD, BENCH_TURNS = 24, 300


class Did(NamedTuple):
    """What must be the same, and last what must not: how often the engine was entered."""

    status: int
    out: bytes
    now_ns: int
    blocks: int
    calls: int
    turns: int
    entries: int


def _run(program, *arguments, turns_in_core=True, slices=SLICES, at_yield=None):
    with Kernel(ram="64M") as kernel:
        scheduler = boot_scheduler(kernel)
        scheduler.turns.slices = slices
        if at_yield is not None:  # in the same table: the core goes on

            def looking(task, *registers):
                at_yield(kernel)
                return 0

            scheduler.calls.table[YIELD] = looking
        if not turns_in_core:
            scheduler.calls.use(dict(scheduler.calls.table))
        ran = Machine(kernel, uid=0).run(program, *arguments)
        kernel.check()
        did = scheduler.processor.counters
        counts = did.blocks, did.calls, scheduler.turns.switches, did.entries
        return Did(ran.status, ran.out, kernel.clock.now_ns, *counts)


def test_the_hosts_output(compile_c: Compile) -> None:
    program = compile_c("turns", "glibc", "-pthread")
    looked, blind = _run(program, "look"), _run(program, "blind")
    assert looked.out == blind.out == on_host(program, "look").out
    assert looked.status == blind.status == 0


@pytest.mark.parametrize(
    ("way", "slices"),
    [
        *product(["blind", "look"][:ROUNDS], [(1, 1)]),
        *product(["look", "blind"], [(13, 13), (300, 500), SLICES]),
    ],
)
def test_turns_of_the_core_are_python_s_to_the_nanosecond(compile_c, way, slices):
    program = compile_c("turns", "glibc", "-pthread")
    core = _run(program, way, "used", slices=slices)
    python = _run(program, way, "used", slices=slices, turns_in_core=False)
    assert core[:-1] == python[:-1]
    assert b"profiled 0" not in core.out
    assert core.entries < python.entries


def test_no_loop_keeps_step_with_turns(compile_c):
    program = compile_c("instep", "glibc", "-pthread")
    assert b"never" in _run(program, slices=(20_000, 20_000)).out
    assert b"never" not in _run(program).out
    assert b"never" not in _run(program, turns_in_core=False).out


@pytest.mark.parametrize("program", ["threads", "threadlocks", "threadsignals", "threadrules"])
def test_whole_programs_are_the_same_both_ways(compile_c, program):
    binary = compile_c(program, "glibc", "-pthread")
    assert _run(binary)[:-1] == _run(binary, turns_in_core=False)[:-1]


def test_the_recount_holds_while_threads_sleep_in_the_core(compile_c):
    asleep = []

    def look(kernel):
        kernel.check()
        asleep.append(sum(bool(task.runner.asleep) for task in kernel.tasks.values()))

    _run(compile_c("turns", "glibc", "-pthread"), "blind", at_yield=look)
    assert max(asleep) >= 4  # and checking has taken none over


def test_a_switch_does_not_enter_python(programs):
    few, many = (_run(programs / "bench", "futex", str(n * BENCH_TURNS)) for n in (1, 3))
    turns = many.turns - few.turns
    assert turns == 4 * BENCH_TURNS  # two in a round
    assert turns <= many.entries - few.entries < turns + 10


def test_who_changes_what_turns_follow_from_behind_the_kernel_s_back_is_found(compile_c):
    found = []

    def look(kernel):
        kin = [t for t in kernel.tasks.values() if t.runner.kin and t.runner.asleep]
        if not kin or found:
            return
        before, kin[0].attributes = kin[0].attributes, kin[0].attributes._replace(nice=5)
        try:
            kernel.check()
        except KernelBug as bug:
            found.extend(line for line in str(bug).splitlines() if line.startswith("T10"))
        kin[0].attributes = before

    _run(compile_c("turns", "glibc", "-pthread"), "blind", at_yield=look)
    assert len(found) == 1
    assert "may have turns that the core begins" in found[0]
