"""A program in namespaces of every kind, each allocation of which fails once: nothing is left."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pkern.kernel.machine import Kernel
from tests.rounds import ROUNDS
from tests.system.conftest import Compile, Machine

MOST_ALLOCATIONS = 1 << 20
RMAPS = ("objrmap_tree", "pte_chain")
NOT_LOADED = 127 << 8  # as the C library says where it cannot set itself up
ENDS = (0, NOT_LOADED, signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL)


def _run(program: Path, rmap: str, nth: int) -> int:
    """Run it with the nth allocation refused; return how many came after that one."""
    with Kernel(ram="64M", rmap=rmap) as kernel:
        machine = Machine(kernel, uid=0)
        task = machine.spawn(program)
        kernel.fail_nth(nth)
        assert kernel.scheduler is not None
        kernel.scheduler.run(task)
        left = kernel.fail_pending
        kernel.fail_nth(0)
        assert task.group.exit_status in ENDS
        for other in list(kernel.tasks.values()):
            if other.name == task.name and other.alive:
                other.die_of(signal.SIGKILL)
        kernel.check()
        _need_nothing_left(kernel)
        return left


def _need_nothing_left(kernel: Kernel) -> None:
    kernel.namespaces.sweep()
    assert not kernel.namespaces.made
    net = kernel.nsproxy.net
    assert net.common.nets in ([], [net.stack])
    assert not net.common.in_flight and not net.stack.sockets
    table = kernel.vfs.table
    table.sweep()
    assert not table.detached
    assert len(table.file_systems) == len({mount.root.dev for mount in kernel.vfs.mounts})


@pytest.mark.parametrize("rmap", RMAPS)
def test_every_allocation_may_fail(compile_c: Compile, rmap: str) -> None:
    program = compile_c("everyspace", "glibc")
    total = MOST_ALLOCATIONS - _run(program, rmap, MOST_ALLOCATIONS)
    assert 20 < total < MOST_ALLOCATIONS
    every = 1 if rmap == RMAPS[0] else max(1, 4 - ROUNDS)  # a reverse map's own are few
    for nth in range(1, total + 1, every):
        _run(program, rmap, nth)
