"""The core's needs: pages from backing stores, and memory when it runs short.

The one place where NEED_PAGE and NEED_MEMORY are answered: background and direct reclaim by
watermarks, writeback of the dirty pages that a scan finds, and, when nothing can be freed any
more, kernel.oom. The core scans; how much, how often and what then is decided here.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import (
    BUS_ADRERR,
    SEGV_ACCERR,
    SEGV_MAPERR,
    BusError,
    KernelBug,
    MemoryFault,
    SegmentationFault,
    SyscallError,
    TaskKilled,
)
from pkern.kernel.mm import oom

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task

PAGE_BYTES = 4096
CLUSTER = 32  # pages; what direct reclaim wants at least
DEF_PRIORITY = 12  # the first pass scans 1/4096 of each list
MOST_DOUBLINGS = 12
MIN_FREE_LOW, MIN_FREE_HIGH = 128, 262144  # KiB, as Linux bounds its default

_FAULTS: dict[int, tuple[type[MemoryFault], int]] = {
    lib.SEGV_MAPERR: (SegmentationFault, SEGV_MAPERR),
    lib.SEGV_ACCERR: (SegmentationFault, SEGV_ACCERR),
    lib.BUS_ADRERR: (BusError, BUS_ADRERR),
}


# ---- answering ----


def serve(kernel: Kernel, task: Task | None, status: int, attempt: int = 0) -> None:
    """Answer a need so that the call can be tried again, or raise what ends it.

    status: NEED_PAGE, NEED_MEMORY, a verdict or -errno. attempt: how often this call has asked.
    Errors: SyscallError; MemoryFault for a verdict; TaskKilled if memory is out; KernelBug.
    """
    if status == lib.NEED_PAGE:
        fetch_page(kernel, task)
    elif status == lib.NEED_MEMORY:
        if not make_room(kernel, attempt):
            oom.in_call(kernel, task)
    elif status in _FAULTS:
        kind, code = _FAULTS[status]
        raise kind(int(kernel.need.addr), code, int(kernel.need.access))
    else:
        raise SyscallError(-status)
    if task is not None and not task.alive:  # someone's need for memory ended it meanwhile
        raise TaskKilled(task.pid, task.exit_status or 0)


def serve_fault(kernel: Kernel, task: Task, status: int, attempt: int = 0) -> None:
    """Answer the need of a load or store; without memory a task is killed, as on Linux."""
    if status == -errno.ENOMEM:
        return  # one allocation was refused: Linux lets the access fault again
    if status == lib.NEED_MEMORY and not make_room(kernel, attempt):
        oom.in_fault(kernel, task)
    elif status != lib.NEED_MEMORY:
        _serve_access(kernel, task, status)
    if not task.alive:
        raise TaskKilled(task.pid, task.exit_status or 0)


def _serve_access(kernel: Kernel, task: Task, status: int) -> None:
    fault = (int(kernel.need.addr), BUS_ADRERR, int(kernel.need.access))
    if status == lib.NEED_PAGE:
        lib.mm_count_major(task.mm.handle)
    try:
        serve(kernel, task, status)
    except SyscallError as error:
        if error.errno == errno.ENOMEM:
            oom.in_fault(kernel, task)
        raise BusError(*fault) from None


def fetch_page(kernel: Kernel, task: Task | None) -> None:
    """Bring the page of NEED_PAGE into the cache; others may run meanwhile."""
    cookie, index = int(kernel.need.cookie), int(kernel.need.index)
    truncate_count = int(kernel.need.truncate_count)
    if kernel.sleep_hook is not None and task is not None:
        kernel.sleep_hook(task, index)
    kernel.vfs.inode_of(cookie).fetch(index, truncate_count)
    reader = task or (kernel.scheduler.running if kernel.scheduler is not None else None)
    if reader is not None:
        reader.io.read_bytes += PAGE_BYTES


# ---- reclaim ----


def make_room(kernel: Kernel, attempt: int) -> bool:
    """Free memory for a call that asked for the attempt-th time; tell whether to try again.

    Above the lowest watermark this is background reclaim: up to the high one, and it may fail.
    """
    tunables, counters = kernel.tunables, kernel.counters
    if attempt == 0 and counters.nr_free > tunables.watermark_min:
        reclaim(kernel, max(CLUSTER, int(tunables.watermark_high) - int(counters.nr_free)))
        lib.machine_balanced(kernel.core)
        return True
    kernel.allocstall += 1
    return reclaim(kernel, CLUSTER << min(attempt, MOST_DOUBLINGS)) > 0


def reclaim(kernel: Kernel, nr_pages: int) -> int:
    """Free up to nr_pages in vm.vm_passes passes of growing depth; return how many were.

    A pass in which a virtual scan only unmapped is not counted: a page with many ptes takes many.
    Errors: KernelBug if reverse maps that are compared disagree.
    """
    order = ffi.new("struct reclaim *")
    freed = passes = 0
    first = min(DEF_PRIORITY, kernel.vm_passes - 1)  # the last pass looks at everything
    while freed < nr_pages and passes < kernel.vm_passes:
        order.nr_to_free = nr_pages - freed
        order.priority = max(first - passes, 0)
        result = lib.machine_reclaim(kernel.core, order)
        if result < 0:
            raise KernelBug(ffi.string(lib.machine_disagreement(kernel.core)).decode())
        freed += result
        _write_back(kernel, order)
        passes += not order.nr_unmapped
    return freed


def _write_back(kernel: Kernel, order: object) -> None:
    """Write the dirty pages that a scan came upon; an error is the file's (wb_errors)."""
    writes = [(int(w.cookie), int(w.index)) for w in order.writes[0 : order.nr_writes]]  # type: ignore[attr-defined]
    for cookie, index in writes:
        kernel.vfs.inode_of(cookie).write_page(index)


def default_min_free(ram: int) -> int:
    """Return vm.min_free_kbytes for ram bytes: 4 * sqrt(KiB), and a twentieth at most.

    Source: init_per_zone_wmark_min() of Linux 6.x, bounded for very small machines.
    """
    kib = ram >> 10
    bounded = min(max(int((kib * 16) ** 0.5), MIN_FREE_LOW), MIN_FREE_HIGH)
    return min(bounded, kib // 20)


def set_min_free(kernel: Kernel, kib: int) -> None:
    """Derive the watermarks, in pages, from vm.min_free_kbytes."""
    pages = kib // 4
    kernel.tunables.watermark_min = pages
    kernel.tunables.watermark_low = pages + pages // 4
    kernel.tunables.watermark_high = pages + pages // 2


def drop_caches(kernel: Kernel, what: int) -> None:
    """Drop clean page cache (what & 1). Source: proc_sys_vm(5)."""
    if what & 1:
        lib.machine_drop_caches(kernel.core)


# ---- dirty pages ----


def dirty_limits(kernel: Kernel) -> tuple[int, int]:
    """Return how many pages may be dirty: before the kernel writes, before a writer must.

    Both are percents of what could be clean file pages: free memory and the file lists.
    Source: global_dirtyable_memory() and domain_dirty_limits() of Linux 6.x.
    """
    counters = kernel.counters
    free = max(int(counters.nr_free) - int(kernel.tunables.watermark_high), 0)
    usable = free + int(counters.nr_inactive_file) + int(counters.nr_active_file)
    limit = usable * kernel.dirty_ratio // 100
    background = usable * kernel.dirty_background_ratio // 100
    return (background if background < limit else limit // 2), limit


def balance_dirty(kernel: Kernel) -> None:
    """Have a writer that is over vm.dirty_ratio write back before it goes on."""
    if kernel.counters.nr_dirty > dirty_limits(kernel)[1]:
        kernel.vfs.sync()


def write_behind(kernel: Kernel) -> None:
    """Do what Linux's flusher does once a call is over: write back beyond the background ratio."""
    if kernel.counters.nr_dirty > dirty_limits(kernel)[0]:
        kernel.vfs.sync()
