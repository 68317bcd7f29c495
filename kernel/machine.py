"""A machine: boot parameters, the core, tasks, files, sysctls, the clock, and check().

One process may hold many. Everything a Kernel holds is given back by close(), which audits.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pkern.kernel.clock import Clock
from pkern.kernel.core import ffi, lib
from pkern.kernel.cpu.processor import Processor
from pkern.kernel.cpu.vsyscall import VsyscallPage
from pkern.kernel.errors import KernelBug, SyscallError, TaskKilled
from pkern.kernel.log import KERN_INFO, Log
from pkern.kernel.mm import memory
from pkern.kernel.mm.ipc import Segments
from pkern.kernel.mm.mm import Mm
from pkern.kernel.mm.swap import SwapAreas
from pkern.kernel.random import Random
from pkern.kernel.sysctl import SysctlTable
from pkern.kernel.tasks.credentials import ALL_CAPS
from pkern.kernel.tasks.task import Task
from pkern.kernel.vfs import Vfs
from pkern.kernel.vfs.locks import Locks

if TYPE_CHECKING:
    from pkern.kernel.cpu.scheduler import Scheduler

PAGE_SIZE = 4096
RMAP_DESIGNS = {
    "virtual_scan": lib.RMAP_VIRTUAL_SCAN,
    "pte_chain": lib.RMAP_PTE_CHAIN,
    "objrmap": lib.RMAP_OBJRMAP,
    "objrmap_tree": lib.RMAP_OBJRMAP_TREE,
    "compare": lib.RMAP_COMPARE,
}
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
REPORT_BYTES = 64 << 10
STACK_BYTES = 33 * PAGE_SIZE  # what Linux gives a new program


class Counter:
    """Numbers that are never used twice: inode numbers and cookies of open files."""

    def __init__(self) -> None:
        self._last = 0

    def take(self) -> int:
        """Return the next number, from 1."""
        self._last += 1
        return self._last


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie in a new address space, in bytes: Linux's, without randomisation."""

    task_size: int = 0x7FFF_FFFF_F000
    mmap_base: int = 0x7FFF_F7FF_F000
    start_brk: int = 0x5555_5555_9000
    stack_top: int = 0x7FFF_FFFF_F000
    stack_bytes: int = STACK_BYTES  # 0: no stack


def parse_size(text: str | int) -> int:
    """Return bytes for 67108864, "64M", "1G", "4096K". Errors: ValueError."""
    if isinstance(text, int):
        return text
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].isalpha() else (text, "")
    if not number.isdigit() or unit not in {"", *UNITS}:
        raise ValueError(f"not a size: {text!r} (say 64M, 1G or a number of bytes)")
    return int(number) * UNITS.get(unit, 1)


class Kernel:
    """One machine.

    ram: bytes or "64M". rmap: one of RMAP_DESIGNS. nrpte: ptes in a chain block, 1..31.
    swap: bytes of a swap device that is on from boot, 0 for none. sysctl: values set at boot.
    poison: fill freed pages and check that no one writes to them.
    Errors: ValueError for a bad parameter; MemoryError when the host has none.
    """

    def __init__(
        self,
        ram: str | int = "64M",
        *,
        seed: int = 0,
        rmap: str = "objrmap_tree",
        nrpte: int = 7,
        swap: str | int = 0,
        sysctl: Mapping[str, int | str] | None = None,
        poison: int = 0,
        hostname: str = "pkern",
    ) -> None:
        if rmap not in RMAP_DESIGNS:
            raise ValueError(f"unknown reverse map {rmap!r}: choose {', '.join(RMAP_DESIGNS)}")
        self.ram = parse_size(ram)
        self.seed = seed
        self.rmap_name = rmap
        self.nrpte = nrpte
        self.hostname = hostname
        self.pid_max = 32768
        self.domainname = "(none)"
        self.core: Any = self._create_core(rmap, nrpte, poison)
        self.need: Any = lib.machine_need(self.core)
        self.tunables: Any = lib.machine_tunables(self.core)
        self.counters: Any = lib.machine_counters(self.core)
        self.clock = Clock()
        self.vsyscalls = VsyscallPage(self)
        self.random = Random(seed)
        self.log = Log(self.clock)
        self.log.listener = partial(self.wake, self.log)
        self.scheduler: Scheduler | None = None  # of tasks in machine code
        self.init: Task | None = None  # who gets the orphans
        self.tasks: dict[int, Task] = {}
        self.current: Task | None = None  # on whose behalf files are worked on
        self.last_pid = 0
        self.forks = 0  # tasks ever made
        self.dead_cpu_ns = 0  # what reaped tasks had run
        self.nonlinear_open = 0  # vm.nonlinear, where the hot path looks
        self.vm_passes = 16
        self.hugetlb_shm_group = 0
        self.dirty_ratio, self.dirty_background_ratio = 20, 10
        self.oom_policy = "loop"
        self.oom_kill_allocating_task = 0
        self.panic_on_oom = 0
        self.oom_kills = 0
        self.allocstall = 0
        self.processor: Processor | None = None  # for machine code; its owner sets it
        self.missing_calls: set[int] = set()
        self.sleep_hook: Callable[[Task, int], None] | None = None
        self.vfs_counter = Counter()
        self.locks = Locks()
        self.sysctl = SysctlTable(self)
        self.vfs: Vfs = Vfs(self)
        self.segments = Segments(self)
        self.swap = SwapAreas(self)
        if parse_size(swap):
            self.swap.add_device(parse_size(swap))
        self.log.write(KERN_INFO, f"pkern: {self.ram >> 10}K of memory, reverse map {rmap}")
        try:
            for name, value in (sysctl or {}).items():
                self.sysctl[name] = value
        except SyscallError:
            self.close()
            raise

    def _create_core(self, rmap: str, nrpte: int, poison: int) -> Any:
        pages = self.ram // PAGE_SIZE
        if pages < 64:
            raise ValueError(f"a machine has at least 256K of RAM, not {self.ram} bytes")
        if not 1 <= nrpte <= 31:
            raise ValueError(f"nrpte is a number from 1 to 31, not {nrpte}")
        params = ffi.new(
            "struct machine_params *",
            {"nr_pages": pages, "rmap": RMAP_DESIGNS[rmap], "nrpte": nrpte, "poison": poison},
        )
        core = lib.machine_create(params)
        if core == ffi.NULL:
            raise MemoryError("the host has no memory for this machine")
        return core

    # ---- one bit behind two sysctls ----

    @property
    def file_nr(self) -> str:
        """What /proc/sys/fs/file-nr shows."""
        return f"{self.vfs.open_files()}\t0\t{self.sysctl['fs.file-max']}"

    @property
    def printk(self) -> str:
        """The log's levels as kernel.printk shows them."""
        return "\t".join(map(str, self.log.levels))

    @printk.setter
    def printk(self, row: str) -> None:
        self.log.levels = [int(level) for level in row.split()]

    @property
    def revirt_vsyscalls(self) -> int:
        """1 while every task's vsyscalls make real system calls (kernel.revirt_vsyscalls)."""
        return self.vsyscalls.revirtualised

    @revirt_vsyscalls.setter
    def revirt_vsyscalls(self, flag: int) -> None:
        self.vsyscalls.revirtualise(flag)

    @property
    def vsyscall64(self) -> int:
        """The same, the other way round (kernel.vsyscall64)."""
        return 1 - self.revirt_vsyscalls

    @vsyscall64.setter
    def vsyscall64(self, flag: int) -> None:
        self.revirt_vsyscalls = 1 - flag

    # ---- tasks ----

    def next_pid(self) -> int:
        """Return a pid that no task has. Errors: none (pid_max is far above what fits)."""
        while True:
            self.last_pid = self.last_pid % (self.pid_max - 1) + 1
            if self.last_pid not in self.tasks:
                self.forks += 1
                return self.last_pid

    def spawn(
        self,
        name: str = "init",
        *,
        uid: int = 1000,
        gid: int = 1000,
        caps: frozenset[str] | None = None,
        argv: list[str] | None = None,
        layout: Layout | None = None,
    ) -> Task:
        """Return a new task with an empty address space and a stack.

        uid 0 holds every capability unless caps says otherwise; others hold none.
        """
        layout = layout or Layout()
        task = Task(self, self.next_pid(), name, argv or [name])
        if caps is None:
            caps = ALL_CAPS if uid == 0 else frozenset()
        task.set_credentials(uid, gid, caps)
        handle = ffi.new("mm **")
        where = ffi.new(
            "struct layout *",
            {
                "task_size": layout.task_size,
                "mmap_base": layout.mmap_base,
                "start_brk": layout.start_brk,
                "stack_top": layout.stack_top,
            },
        )
        self.core_call(task, lib.mm_create, self.core, where, task.limits, handle)
        task.mm = Mm(self, task, handle[0])
        self.tasks[task.pid] = task
        if layout.stack_bytes:
            self._map_stack(task, layout)
        return task

    def _map_stack(self, task: Task, layout: Layout) -> None:
        flags = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS | lib.MAP_FIXED | lib.MAP_GROWSDOWN
        start = layout.stack_top - layout.stack_bytes
        prot = lib.PROT_READ | lib.PROT_WRITE
        task.mm.call(lib.mm_mmap, start, layout.stack_bytes, prot, flags, ffi.NULL, 0)

    def wake(self, key: Hashable) -> None:
        """Wake the tasks in machine code that wait for key (kernel.wait.WouldBlock)."""
        if self.scheduler is not None:
            self.scheduler.wake(key)

    def reap(self, task: Task) -> None:
        """Forget a dead task."""
        if self.tasks.pop(task.pid, None) is not None:
            self.dead_cpu_ns += task.thread.cpu_ns

    # ---- the core ----

    @contextmanager
    def on_behalf_of(self, task: Task) -> Iterator[None]:
        """Let what files need be needed by a task: it is the one who sleeps, or dies for it.

        Errors: TaskKilled: it has ended.
        """
        if not task.alive:
            raise TaskKilled(task.pid, (task.exit_status or 0) & 0x7F)
        before, self.current = self.current, task
        try:
            yield
        finally:
            self.current = before

    def core_call(self, task: Task | None, function: Callable[..., int], *args: Any) -> int:
        """Call a core function until it needs nothing more. Errors: SyscallError, MemoryFault."""
        result = function(*args)
        attempt = 0
        while result < 0:
            memory.serve(self, task or self.current, result, attempt)
            result = function(*args)
            attempt += 1
        return result

    def core_create(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a core function that makes an object; NULL asks for memory. Errors: ENOMEM."""
        made = function(*args)
        attempt = 0
        while made == ffi.NULL:
            memory.serve(self, self.current, lib.machine_refusal(self.core), attempt)
            made = function(*args)
            attempt += 1
        return made

    def fail_io(self, kind: str, nth: int) -> None:
        """Let the nth read or write from now fail (1: the next; 0: none).

        kind: "swap_read", "swap_write" or "writeback".
        """
        kinds = {
            "swap_read": lib.IO_SWAP_READ,
            "swap_write": lib.IO_SWAP_WRITE,
            "writeback": lib.IO_WRITEBACK,
        }
        lib.machine_fail_io(self.core, kinds[kind], nth)

    def set_rmap(self, name: str) -> None:
        """Change the reverse map. Errors: EINVAL, EBUSY while any page is mapped."""
        if name not in RMAP_DESIGNS:
            raise SyscallError(errno.EINVAL)
        result = lib.machine_set_rmap(self.core, RMAP_DESIGNS[name])
        if result < 0:
            raise SyscallError(-result)
        self.rmap_name = name

    def fail_nth(self, nth: int) -> None:
        """Let the nth allocation from now fail (1: the next; 0: none)."""
        lib.machine_fail_nth(self.core, nth)

    def check(self) -> None:
        """Recount every invariant from nothing. Errors: KernelBug with the report."""
        report = ffi.new("char[]", REPORT_BYTES)
        if lib.machine_check(self.core, report, REPORT_BYTES) != 0:
            raise KernelBug(ffi.string(report).decode())

    def close(self) -> None:
        """End all tasks, write back, give everything back. Errors: KernelBug on a leak."""
        if self.core is None:
            return
        for task in list(self.tasks.values()):
            task.exit(0)
        self.scheduler = None
        if self.processor is not None:
            self.processor.close()
        self.segments.close()
        self.vfs.close()
        self.swap.close()
        self.clock.keep_in(None)
        core, self.core = self.core, None
        leaked = lib.machine_destroy(core)
        if leaked:
            raise KernelBug(f"{leaked} kernel objects or pages were left at shutdown")

    def __enter__(self) -> Kernel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
