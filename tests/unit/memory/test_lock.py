"""mlock: what it faults in, and what it leaves to the first touch."""

from pkern.kernel.core import lib
from pkern.kernel.tasks.task import Task
from pkern.syscalls.memory import mman

PAGE = 4096
RW = lib.PROT_READ | lib.PROT_WRITE
ANON = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS


def test_memory_locked_on_fault_is_not_filled_when_it_becomes_writable(task: Task) -> None:
    at = mman.mmap(task, 0, PAGE, lib.PROT_NONE, ANON, -1, 0)
    mman.mlock2(task, at, PAGE, lib.MLOCK_ONFAULT)
    mman.mprotect(task, at, PAGE, RW)
    assert mman.mincore(task, at, PAGE) == b"\0"


def test_locked_memory_is_filled_when_it_becomes_writable(task: Task) -> None:
    at = mman.mmap(task, 0, PAGE, lib.PROT_READ, ANON | lib.MAP_LOCKED, -1, 0)
    mman.mprotect(task, at, PAGE, RW)
    assert task.mm.counters.rss_anon == 1
