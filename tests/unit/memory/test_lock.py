"""mlock: what it faults in, and what it leaves to the first touch."""

from typing import Any

import pytest

from pkern.kernel.core import lib
from pkern.kernel.machine import Kernel
from pkern.kernel.mm.mm import Mm
from pkern.kernel.tasks.task import Task
from pkern.syscalls.memory import mman, protection

PAGE = 4096
RW = lib.PROT_READ | lib.PROT_WRITE
ANON = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS


def test_memory_locked_on_fault_is_not_filled_when_it_becomes_writable(task: Task) -> None:
    at = mman.mmap(task, 0, PAGE, lib.PROT_NONE, ANON, -1, 0)
    mman.mlock2(task, at, PAGE, lib.MLOCK_ONFAULT)
    protection.mprotect(task, at, PAGE, RW)
    assert mman.mincore(task, at, PAGE) == b"\0"


def test_locked_memory_is_filled_when_it_becomes_writable(task: Task) -> None:
    at = mman.mmap(task, 0, PAGE, lib.PROT_READ, ANON | lib.MAP_LOCKED, -1, 0)
    protection.mprotect(task, at, PAGE, RW)
    assert task.mm.counters.rss_anon == 1


def test_no_call_of_the_core_brings_in_more_than_32_mib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's other threads, and its Ctrl-C, wait for the end of each."""
    done: list[int] = []

    def counted(mm: Mm, function: Any, *arguments: Any) -> int:
        result = call(mm, function, *arguments)
        if function == lib.mm_populate:
            done.append(result)
        return result

    call = Mm.call
    monkeypatch.setattr(Mm, "call", counted)
    with Kernel("64M") as kernel:
        task = kernel.spawn(uid=0)
        mman.mmap(task, 0, 40 << 20, lib.PROT_READ, ANON | lib.MAP_POPULATE, -1, 0)
        assert done == [32 << 20, 8 << 20]
        addr = mman.mmap(task, 0, 1 << 45, lib.PROT_READ, ANON | lib.MAP_NORESERVE, -1, 0)
        done.clear()
        mman.mlock2(task, addr, 1 << 45, lib.MLOCK_ONFAULT)
        assert done == [1 << 45]
        kernel.check()
