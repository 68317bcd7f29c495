"""Out of memory: who dies, by which policy, and the report in the log.

Two policies (vm.oom_policy), the two answers of the letter's days:
  loop             2.5's: an allocation never fails; a victim is chosen by its score, and the
                   allocation is tried again. Nothing left to kill is a deadlock: it is reported.
  kill_allocating  2.4-aa's: after a bounded number of passes the allocation fails; a system call
                   gets ENOMEM, a fault ends its own task.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SIGKILL, KernelPanic, SyscallError, TaskKilled
from pkern.kernel.log import KERN_ERR, KERN_WARNING

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task

PAGE_KB = 4
UNKILLABLE = -1000  # oom_score_adj
GFP = "0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO)"
LISTS = ("active_anon", "inactive_anon", "active_file", "inactive_file", "unevictable", "dirty")
KINDS = ("mapped", "shmem", "pagetable", "slab", "special", "free", "swap_used", "swap_total")


# ---- what to do ----


def in_call(kernel: Kernel, task: Task | None) -> None:
    """A system call finds no memory. Errors: ENOMEM (kill_allocating), TaskKilled, KernelPanic."""
    if kernel.oom_policy == "kill_allocating":
        raise SyscallError(errno.ENOMEM)
    out_of_memory(kernel, task)


def in_fault(kernel: Kernel, task: Task) -> None:
    """An access finds no memory. Errors: TaskKilled, KernelPanic."""
    if kernel.oom_policy == "kill_allocating":
        kernel.log.write(KERN_ERR, f"VM: killing process {task.name}")
        kill(kernel, task, task, "Out of memory (kill_allocating)")
    out_of_memory(kernel, task)


def out_of_memory(kernel: Kernel, asker: Task | None) -> None:
    """Report, choose a victim and kill it.

    Errors: TaskKilled if the victim is the asker; KernelPanic if no one can be killed, or by
    vm.panic_on_oom.
    """
    report(kernel, asker)
    if kernel.panic_on_oom:
        panic(kernel, "Out of memory: system-wide panic_on_oom is enabled")
    victim = choose(kernel, asker)
    if victim is None:
        panic(kernel, "System is deadlocked on memory")
    else:
        kill(kernel, asker, victim, "Out of memory")


def choose(kernel: Kernel, asker: Task | None) -> Task | None:
    """Return the task to kill: the asker (vm.oom_kill_allocating_task), else the highest score."""
    if kernel.oom_kill_allocating_task and asker is not None and killable(asker):
        return asker
    candidates = [t for t in kernel.tasks.values() if t.alive and killable(t)]
    return max(candidates, key=lambda t: (badness(t), -t.pid), default=None)


def kill(kernel: Kernel, asker: Task | None, victim: Task, why: str) -> None:
    """End victim with SIGKILL and say so. Errors: TaskKilled if it is the one who asked."""
    mm = victim.mm.counters
    kernel.log.write(
        KERN_ERR,
        f"{why}: Killed process {victim.pid} ({victim.name}) "
        f"total-vm:{mm.total_vm * PAGE_KB}kB, anon-rss:{mm.rss_anon * PAGE_KB}kB, "
        f"file-rss:{mm.rss_file * PAGE_KB}kB, shmem-rss:{mm.rss_shmem * PAGE_KB}kB, "
        f"UID:{victim.cred.uid} pgtables:{mm.nr_pagetable * PAGE_KB}kB "
        f"oom_score_adj:{victim.oom_score_adj}",
    )
    kernel.oom_kills += 1
    victim.die_of(SIGKILL)
    if victim is asker:
        raise TaskKilled(victim.pid, SIGKILL)


def panic(kernel: Kernel, why: str) -> None:
    """Stop the machine, as Linux would. Errors: KernelPanic."""
    kernel.log.write(KERN_ERR, f"Kernel panic - not syncing: {why}")
    raise KernelPanic(why)


# ---- scores ----


def killable(task: Task) -> bool:
    """Tell whether the OOM killer may choose the task."""
    return bool(task.oom_score_adj != UNKILLABLE)


def total_pages(kernel: Kernel) -> int:
    """Pages of RAM and swap."""
    return int(kernel.counters.nr_total + kernel.counters.nr_swap_total)


def badness(task: Task) -> int:
    """Pages that killing the task would free, moved by oom_score_adj thousandths of all.

    Source: oom_badness() of Linux 6.x.
    """
    mm = task.mm.counters
    pages = int(mm.rss_anon + mm.rss_file + mm.rss_shmem + mm.nr_swap + mm.nr_pagetable)
    return pages + task.oom_score_adj * total_pages(task.kernel) // 1000


def score(task: Task) -> int:
    """Return /proc/PID/oom_score, 0..2000. Source: proc_oom_score() of Linux 6.x."""
    if not task.alive or not killable(task):
        return 0
    return max(0, (1000 + badness(task) * 1000 // total_pages(task.kernel)) * 2 // 3)


# ---- the report ----


def report(kernel: Kernel, asker: Task | None) -> None:
    """Write who asked, what memory is used for, and every task, in Linux's format."""

    def write(text: str) -> None:
        kernel.log.write(KERN_WARNING, text)

    name, adj = (asker.name, asker.oom_score_adj) if asker else ("kernel", 0)
    write(f"{name} invoked oom-killer: gfp_mask={GFP}, order=0, oom_score_adj={adj}")
    write("Mem-Info:")
    for names in (LISTS, KINDS):
        write(" ".join(f"{n}:{int(getattr(kernel.counters, f'nr_{n}'))}" for n in names))
    write("Tasks state (memory values in pages):")
    write(
        "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem "
        "pgtables_bytes swapents oom_score_adj name"
    )
    for task in kernel.tasks.values():
        if task.alive:
            write(_task_line(task))


def _task_line(task: Task) -> str:
    mm = task.mm.counters
    rss = mm.rss_anon + mm.rss_file + mm.rss_shmem
    return (
        f"[{task.pid:7d}] {task.cred.uid:5d} {task.pid:5d} {mm.total_vm:8d} {rss:8d} "
        f"{mm.rss_anon:8d} {mm.rss_file:8d} {mm.rss_shmem:9d} {mm.nr_pagetable * 4096:14d} "
        f"{mm.nr_swap:8d} {task.oom_score_adj:13d} {task.name}"
    )
