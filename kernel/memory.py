"""The core's needs: pages from backing stores, memory, and what happens when there is none.

The one place where NEED_PAGE and NEED_MEMORY are answered. Nothing can be reclaimed yet, so
a system call that needs memory gets ENOMEM and a fault ends its task, with a report in the log.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kernel.core import lib
from kernel.errors import (
    BUS_ADRERR,
    SEGV_ACCERR,
    SEGV_MAPERR,
    SIGKILL,
    BusError,
    MemoryFault,
    SegmentationFault,
    SyscallError,
    TaskKilled,
)
from kernel.log import KERN_ERR

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task

PAGE_KB = 4

_FAULTS: dict[int, tuple[type[MemoryFault], int]] = {
    lib.SEGV_MAPERR: (SegmentationFault, SEGV_MAPERR),
    lib.SEGV_ACCERR: (SegmentationFault, SEGV_ACCERR),
    lib.BUS_ADRERR: (BusError, BUS_ADRERR),
}


def serve(kernel: Kernel, task: Task | None, status: int) -> None:
    """Answer a need so that the call can be tried again, or raise what ends it.

    status: NEED_PAGE, NEED_MEMORY, a verdict or -errno.
    Errors: SyscallError (ENOMEM when memory is out), MemoryFault for a verdict.
    """
    if status == lib.NEED_PAGE:
        fetch_page(kernel, task)
    elif status == lib.NEED_MEMORY:
        raise SyscallError(errno.ENOMEM)
    elif status in _FAULTS:
        kind, code = _FAULTS[status]
        raise kind(int(kernel.need.addr), code, int(kernel.need.access))
    else:
        raise SyscallError(-status)


def fetch_page(kernel: Kernel, task: Task | None) -> None:
    """Bring the page of NEED_PAGE into the cache; others may run meanwhile."""
    cookie, index = int(kernel.need.cookie), int(kernel.need.index)
    truncate_count = int(kernel.need.truncate_count)
    if kernel.sleep_hook is not None and task is not None:
        kernel.sleep_hook(task, index)
    kernel.vfs.inode_of(cookie).fetch(index, truncate_count)


def serve_fault(kernel: Kernel, task: Task, status: int) -> None:
    """Answer the need of a load or store; without memory the task is killed, as on Linux."""
    if status == lib.NEED_MEMORY:
        out_of_memory(kernel, task)
    if status == -errno.ENOMEM:
        return  # one allocation was refused: Linux lets the access fault again
    try:
        serve(kernel, task, status)
    except SyscallError as error:
        if error.errno == errno.ENOMEM:
            out_of_memory(kernel, task)
        raise BusError(int(kernel.need.addr), BUS_ADRERR, int(kernel.need.access)) from None


def out_of_memory(kernel: Kernel, task: Task) -> None:
    """Report who asked and who dies, then kill the task that asked.

    Raises TaskKilled. Source: vm.oom_kill_allocating_task = 1, the only policy so far.
    """
    counters = kernel.counters
    write = kernel.log.write
    write(KERN_ERR, f"{task.name} invoked oom-killer: gfp_mask=0x0, order=0")
    shown = ("free", "anon", "file", "slab", "pagetable", "special")
    sizes = (f"{name}:{getattr(counters, f'nr_{name}') * PAGE_KB}kB" for name in shown)
    write(KERN_ERR, f"Mem-Info: {' '.join(sizes)}")
    mm = task.mm.counters
    write(
        KERN_ERR,
        f"Out of memory: Killed process {task.pid} ({task.name}) "
        f"total-vm:{mm.total_vm * PAGE_KB}kB, anon-rss:{mm.rss_anon * PAGE_KB}kB, "
        f"file-rss:{mm.rss_file * PAGE_KB}kB, shmem-rss:{mm.rss_shmem * PAGE_KB}kB, UID:{task.uid}",
    )
    task.die_of(SIGKILL)
    raise TaskKilled(task.pid, SIGKILL)
