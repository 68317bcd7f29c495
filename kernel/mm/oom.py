"""Out of memory: who dies, by which policy, and the report in the log.

Two policies (vm.oom_policy), the two answers of the letter's days:
  loop             2.5's: an allocation never fails; a victim is chosen by its score, and the
                   allocation is tried again. Nothing left to kill is a deadlock: it is reported.
  kill_allocating  2.4-aa's: after a bounded number of passes the allocation fails; a system call
                   gets ENOMEM, a fault ends its own task.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Never

from pkern.kernel.errors import SIGKILL, KernelPanic, SyscallError, TaskKilled
from pkern.kernel.log import KERN_ERR, KERN_WARNING, Log

if TYPE_CHECKING:
    from pkern.kernel.mm.process import Process, Processes

PAGE_KB = 4
UNKILLABLE = -1000  # oom_score_adj
GFP = "0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO)"
LISTS = ("active_anon", "inactive_anon", "active_file", "inactive_file", "unevictable", "dirty")
KINDS = ("mapped", "shmem", "pagetable", "slab", "special", "free", "swap_used", "swap_total")


class Oom:
    """The policy of one machine, what it has done, and the victims it chooses from.

    Owns what vm.oom_policy, vm.oom_kill_allocating_task and vm.panic_on_oom set.
    """

    def __init__(self, log: Log, counters: Any, processes: Processes) -> None:
        self._log = log
        self._counters = counters  # the core's, of the whole machine
        self._processes = processes
        self.policy = "loop"
        self.kill_allocating_task = 0
        self.panic_on_oom = 0
        self.kills = 0  # ever

    # ---- what to do ----

    def in_call(self, asker: Process | None) -> None:
        """A system call finds no memory.

        Errors: ENOMEM (kill_allocating), TaskKilled, KernelPanic.
        """
        if self.policy == "kill_allocating":
            raise SyscallError(errno.ENOMEM)
        self.out_of_memory(asker)

    def in_fault(self, asker: Process) -> None:
        """An access finds no memory. Errors: TaskKilled, KernelPanic."""
        _let_end(asker)
        if self.policy == "kill_allocating":
            self._log.write(KERN_ERR, f"VM: killing process {asker.name}")
            self.kill(asker, asker, "Out of memory (kill_allocating)")
        self.out_of_memory(asker)

    def out_of_memory(self, asker: Process | None) -> None:
        """Report, choose a victim and kill it.

        Errors: TaskKilled if the victim is the asker; KernelPanic if no one can be killed, or by
        vm.panic_on_oom.
        """
        _let_end(asker)
        self.report(asker)
        if self.panic_on_oom:
            self.panic("Out of memory: system-wide panic_on_oom is enabled")
        victim = self.choose(asker)
        if victim is None:
            self.panic("System is deadlocked on memory")
        self.kill(asker, victim, "Out of memory")

    def choose(self, asker: Process | None) -> Process | None:
        """Return whom to kill: the asker (vm.oom_kill_allocating_task), else the highest score."""
        if self.kill_allocating_task and asker is not None and killable(asker):
            return asker
        candidates = [p for p in self._processes.processes() if p.alive and killable(p)]
        return max(candidates, key=lambda p: (self.badness(p), -p.tgid), default=None)

    def kill(self, asker: Process | None, victim: Process, why: str) -> None:
        """End victim with SIGKILL and say so. Errors: TaskKilled if it is the one who asked."""
        mm = victim.mm.counters
        self._log.write(
            KERN_ERR,
            f"{why}: Killed process {victim.tgid} ({victim.name}) "
            f"total-vm:{mm.total_vm * PAGE_KB}kB, anon-rss:{mm.rss_anon * PAGE_KB}kB, "
            f"file-rss:{mm.rss_file * PAGE_KB}kB, shmem-rss:{mm.rss_shmem * PAGE_KB}kB, "
            f"UID:{victim.cred.uid} pgtables:{mm.nr_pagetable * PAGE_KB}kB "
            f"oom_score_adj:{victim.oom_score_adj}",
        )
        self.kills += 1
        victim.die_of(SIGKILL)
        for other in self._processes.processes():
            if other.alive and other.mm is victim.mm and killable(other):
                other.die_of(SIGKILL)  # or the memory would not be free
        if asker is not None and not asker.alive:
            raise TaskKilled(asker.pid, SIGKILL)

    def panic(self, why: str) -> Never:
        """Stop the machine, as Linux would. Errors: KernelPanic."""
        self._log.write(KERN_ERR, f"Kernel panic - not syncing: {why}")
        raise KernelPanic(why)

    # ---- scores ----

    def total_pages(self) -> int:
        """Pages of RAM and swap."""
        return int(self._counters.nr_total + self._counters.nr_swap_total)

    def badness(self, process: Process) -> int:
        """Pages that killing the process would free, moved by oom_score_adj thousandths of all.

        Source: oom_badness() of Linux 6.x.
        """
        mm = process.mm.counters
        pages = int(mm.rss_anon + mm.rss_file + mm.rss_shmem + mm.nr_swap + mm.nr_pagetable)
        return pages + process.oom_score_adj * self.total_pages() // 1000

    def score(self, process: Process) -> int:
        """Return /proc/PID/oom_score, 0..2000. Source: proc_oom_score() of Linux 6.x."""
        if not process.alive or not killable(process):
            return 0
        return max(0, (1000 + self.badness(process) * 1000 // self.total_pages()) * 2 // 3)

    # ---- the report ----

    def report(self, asker: Process | None) -> None:
        """Write who asked, what memory is used for, and every process, in Linux's format."""

        def write(text: str) -> None:
            self._log.write(KERN_WARNING, text)

        name, adj = (asker.name, asker.oom_score_adj) if asker else ("kernel", 0)
        write(f"{name} invoked oom-killer: gfp_mask={GFP}, order=0, oom_score_adj={adj}")
        write("Mem-Info:")
        for names in (LISTS, KINDS):
            write(" ".join(f"{n}:{int(getattr(self._counters, f'nr_{n}'))}" for n in names))
        write("Tasks state (memory values in pages):")
        write(
            "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem "
            "pgtables_bytes swapents oom_score_adj name"
        )
        for process in self._processes.processes():
            if process.alive:
                write(_row(process))


def _let_end(asker: Process | None) -> None:
    """Kill nobody for a process that is about to end. Errors: TaskKilled: it gets no memory."""
    if asker is not None and asker.ends:
        raise TaskKilled(asker.pid, SIGKILL)


def killable(process: Process) -> bool:
    """Tell whether the OOM killer may choose the process."""
    return process.oom_score_adj != UNKILLABLE


def _row(process: Process) -> str:
    mm = process.mm.counters
    rss = mm.rss_anon + mm.rss_file + mm.rss_shmem
    return (
        f"[{process.pid:7d}] {process.cred.uid:5d} {process.tgid:5d} {mm.total_vm:8d} {rss:8d} "
        f"{mm.rss_anon:8d} {mm.rss_file:8d} {mm.rss_shmem:9d} {mm.nr_pagetable * 4096:14d} "
        f"{mm.nr_swap:8d} {process.oom_score_adj:13d} {process.name}"
    )
