"""Every bit of every register of every call, by a task in machine code: a result or an errno.

Flags that a header defines and hardly anyone sets, numbers at the edge of a type, the top bit of a
count: whatever a call makes of them, it neither ends the machine nor spoils its books.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from pkern.kernel.cpu.processor import Context
from pkern.kernel.errors import MemoryFault, SyscallError, TaskKilled
from pkern.kernel.wait import RegistersSet
from pkern.syscalls.strace.tracer import Tracer
from pkern.syscalls.table import TABLE, Syscall
from pkern.userland.machine_code import boot_scheduler
from tests.property.test_failure_sweep import (
    BASE,
    BY_HAND,
    FRESH,
    PAGE,
    Prepared,
    _prepare_raw,
    _registers,
)
from tests.rounds import ROUNDS

NR_BITS = 64
ENDS = {"exit", "exit_group"}  # no pointer is theirs, and each call takes another machine
CALLS = [call for _, call in sorted(TABLE.items())]


def _machine() -> Prepared:
    """A task in machine code, standing at its stack, with something of everything mapped."""
    prepared = _prepare_raw("objrmap_tree")
    kernel, task = prepared.kernel, prepared.sys.task
    scheduler = boot_scheduler(kernel)
    task.context = Context.new(scheduler.processor, task)
    task.context.enter(task.mm.handle)
    task.cpu.start(BASE, FRESH + 15 * PAGE)
    Tracer(lambda line: None).attach(scheduler)  # strace too has to show it
    return prepared


def _make(prepared: Prepared, nr: int, registers: list[int]) -> None:
    """Make one call as the scheduler does; it may sleep, return elsewhere, or end the task."""
    task = prepared.sys.task
    scheduler = prepared.kernel.scheduler
    assert scheduler is not None
    task.thread.progress = None
    with suppress(SyscallError, RegistersSet, MemoryFault, TaskKilled):
        scheduler.calls.table[nr](task, *registers)
    for other in list(prepared.kernel.tasks.values()):
        if other is not task:
            other.exit(0)
    scheduler.sleepers.unpark(task)


def _afresh(prepared: Prepared) -> Prepared:
    """Return the machine, or another one if its task cannot go on."""
    task = prepared.sys.task
    if task.alive and not task.thread.stopped:
        return prepared
    _end(prepared)
    return _machine()


def _end(prepared: Prepared) -> None:
    prepared.kernel.check()
    prepared.kernel.close()


@pytest.mark.parametrize("call", CALLS, ids=[call.name for call in CALLS])
def test_no_bit_ends_the_machine(call: Syscall) -> None:
    usual = [*(BY_HAND.get(call.name) or _registers(call)), *[0] * 6][:6]
    structures = () if call.name in ENDS else _structures_with_a_bit(usual)
    prepared = _machine()
    for data, registers in (*_registers_with_a_bit(usual, len(call.kinds)), *structures):
        with suppress(SyscallError, MemoryFault):
            prepared.sys.task.mm.copy_out(FRESH, data)
        _make(prepared, call.nr, registers)
        prepared = _afresh(prepared)
    _end(prepared)


def _registers_with_a_bit(usual: list[int], nr: int) -> Iterator[tuple[bytes, list[int]]]:
    """Yield what lies in memory and the registers: each bit of each of them is another once."""
    for place in range(min(6, nr)):
        for bit in range(NR_BITS):
            registers = list(usual)
            registers[place] ^= 1 << bit
            yield b"", registers


def _structures_with_a_bit(usual: list[int]) -> Iterator[tuple[bytes, list[int]]]:
    """Yield the same: every word that a pointer leads to, of 8 or of 4 bytes, has one bit set.

    Which registers are pointers goes round, bit by bit; three ROUNDS are all of them with each.
    """
    pointers = (usual, [FRESH] * 6, [FRESH, 64, *[FRESH] * 4])
    for unit in (4, 8):
        for bit in range(8 * unit):
            for turn in range(bit, bit + min(ROUNDS, len(pointers))):
                registers = pointers[turn % len(pointers)]
                yield (1 << bit).to_bytes(unit, "little") * 32, registers
