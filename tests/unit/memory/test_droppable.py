"""MAP_DROPPABLE under pressure: what is dropped reads as zeroes, and no swap is needed or used.

tests/system/elf/memory/droppable.c compares what may be asked for with the host.
"""

from __future__ import annotations

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE = 4096
MAP_DROPPABLE = 8


@pytest.mark.parametrize("rmap", ["objrmap_tree", "pte_chain", "objrmap", "virtual_scan"])
@pytest.mark.parametrize("swap", [0, "1M"])
def test_pages_are_dropped_dirty_as_they_are(rmap: str, swap: str | int) -> None:
    with Kernel(ram="2M", rmap=rmap, swap=swap) as kernel:
        sys = Sys(kernel.spawn(uid=0))
        at = sys.mmap(0, 300 * PAGE, 3, MAP_DROPPABLE | sys.MAP_ANONYMOUS)
        for page in range(100):
            sys.store(at + page * PAGE, b"x")
        kernel.check()
        used = kernel.counters.nr_swap_used
        kernel.memory.reclaim(100)
        kernel.memory.reclaim(100)
        kernel.check()
        left = [page for page in range(100) if sys.load(at + page * PAGE, 1) == b"x"]
        assert len(left) < 50, "most have gone, though they were dirty"
        assert kernel.counters.nr_swap_used == used == 0
        sys.store(at + 7 * PAGE, b"y")
        assert sys.load(at + 7 * PAGE, 1) == b"y"


def test_more_than_memory_can_hold(kernel: Kernel) -> None:
    with Kernel(ram="2M") as machine:
        sys = Sys(machine.spawn(uid=0))
        at = sys.mmap(0, 2000 * PAGE, 3, MAP_DROPPABLE | sys.MAP_ANONYMOUS)
        for page in range(2000):
            sys.store(at + page * PAGE, b"x")
        assert sys.load(at + 1999 * PAGE, 1) == b"x"
        machine.check()
