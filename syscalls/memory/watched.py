"""The memory calls where a userfaultfd watches: who wants to know is told of what they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import lib
from pkern.kernel.vfs.anon.userfaultfd import EVENT_REMAP, EVENT_UNMAP, REMAP, UNMAP

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

PAGE_SIZE = 4096
PAGE_MASK = PAGE_SIZE - 1
# Advice that drops pages -> the mappings that refuse it.
DROPS = {
    lib.MADV_DONTNEED: lib.VM_LOCKED,
    lib.MADV_DONTNEED_LOCKED: 0,
    lib.MADV_FREE: lib.VM_LOCKED,
    lib.MADV_REMOVE: lib.VM_LOCKED,
}


def _whole(nbytes: int) -> int:
    """Round up to pages."""
    return (nbytes + PAGE_MASK) & ~PAGE_MASK


def unmapping(task: Task, start: int, length: int, function: Callable[..., int], *args: Any) -> int:
    """Make a call that unmaps watched memory, and tell those who watch it."""
    faults, end = task.kernel.userfaults, start + _whole(length)
    told = faults.watchers(task.mm, start, end, EVENT_UNMAP)
    result = task.mm.call(function, *args)
    faults.tell(task, told, UNMAP, start, end, 0)
    return result


def mremap(
    task: Task, addr: int, old_length: int, new_length: int, flags: int, new_addr: int
) -> int:
    """Move a mapping and tell who watches it: of what it replaced, the move, what is gone."""
    faults, mm = task.kernel.userfaults, task.mm
    old, new = _whole(old_length), _whole(new_length)
    kept, end = addr + min(old, new), addr + old
    replaced = new if flags & lib.MREMAP_FIXED else 0
    onto = faults.watchers(mm, new_addr, new_addr + replaced, EVENT_UNMAP)
    cut = faults.watchers(mm, kept, end, EVENT_UNMAP)
    gone = faults.watchers(mm, addr, kept, EVENT_UNMAP)
    moved = faults.watchers(mm, addr, kept, EVENT_REMAP)
    result = mm.call(lib.mm_mremap, addr, old_length, new_length, flags, new_addr)
    faults.tell(task, onto, UNMAP, new_addr, new_addr + replaced, 0)
    faults.tell(task, cut, UNMAP, kept, end, 0)
    if result != addr:
        faults.tell(task, moved, REMAP, addr, result, kept - addr)
        if not flags & lib.MREMAP_DONTUNMAP:
            faults.tell(task, gone, UNMAP, addr, kept, 0)
    return result


def brk(task: Task, addr: int) -> int:
    """Move the end of the heap down."""
    faults, mm = task.kernel.userfaults, task.mm
    new, old = _whole(addr), _whole(mm.counters.brk)
    gone = faults.watchers(mm, new, old, EVENT_UNMAP)
    result = mm.call(lib.mm_brk, addr)
    if result == addr:
        faults.tell(task, gone, UNMAP, new, old, 0)
    return result


def dropping(task: Task, start: int, length: int, advice: int) -> None:
    """Tell who watches memory that is about to be dropped, one mapping after the other."""
    if advice not in DROPS:
        return
    end = start + _whole(length)
    for vma in task.mm.vmas():
        if vma.start < end and vma.end > start and not vma.flags & DROPS[advice]:
            task.kernel.userfaults.removing(task, max(vma.start, start), min(vma.end, end))
