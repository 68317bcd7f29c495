"""A machine's memory: the core, and what it needs: backing stores' pages, and memory run short.

Owns the core's handle, its live structs (needs, tunables, counters) and the policy of reclaim. It
is the one place where NEED_PAGE and NEED_MEMORY are answered: background and direct reclaim by
watermarks, writeback of the dirty pages that a scan finds, and, when nothing can be freed any
more, the Oom. The core scans; how much, how often and what then is decided here.
"""

from __future__ import annotations

import errno

from pkern.kernel.arguments import did_you_mean
from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import (
    BUS_ADRERR,
    SEGV_ACCERR,
    SEGV_MAPERR,
    SEGV_PKUERR,
    BusError,
    KernelBug,
    MachineClosed,
    MemoryFault,
    SegmentationFault,
    SyscallError,
    TaskKilled,
)
from pkern.kernel.late import load
from pkern.kernel.lean import cached_property
from pkern.kernel.log import Log
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Sized
from pkern.kernel.values import Enum

if TYPE_CHECKING:
    from typing import Protocol

    from pkern.kernel.mm.failures import Failures
    from pkern.kernel.mm.names import Names
    from pkern.kernel.mm.oom import Oom
    from pkern.kernel.mm.process import Process, Processes

    class Store(Protocol):
        """What holds a file's pages when the page cache does not."""

        def fetch(self, index: int, truncate_count: int) -> None: ...
        def write_page(self, index: int) -> None: ...

    class Monitors(Protocol):
        """Who serves the faults that a userfaultfd watches for: kernel/vfs/anon/userfaultfd.py."""

        @property
        def contexts(self) -> Sized: ...
        def program_fault(self, process: Process) -> None: ...
        def kernel_fault(self, process: Process) -> None: ...

    class Stores(Protocol):
        """Whoever knows the store behind a mapping's cookie: the file systems."""

        def inode_of(self, cookie: int) -> Store: ...
        def sync(self) -> None: ...


PAGE_BYTES = 4096
CLUSTER = 32  # pages; what direct reclaim wants at least
DEF_PRIORITY = 12  # the first pass scans 1/4096 of each list
MOST_DOUBLINGS = 12
# So often a call may ask in vain: then it is out of memory, though reclaim takes back, each time,
# the page or two that the call has got before it asked for one more (Linux: MAX_RECLAIM_RETRIES).
PATIENCE = 16
MIN_FREE_LOW, MIN_FREE_HIGH = 128, 262144  # KiB, as Linux bounds its default
LEAST_PAGES = 64  # of a machine
MOST_PAGES = (1 << 32) - 2  # a page frame number has 32 bits
RMAP_DESIGNS = {
    "virtual_scan": lib.RMAP_VIRTUAL_SCAN,
    "pte_chain": lib.RMAP_PTE_CHAIN,
    "objrmap": lib.RMAP_OBJRMAP,
    "objrmap_tree": lib.RMAP_OBJRMAP_TREE,
    "compare": lib.RMAP_COMPARE,
}

_FAULTS: dict[int, tuple[type[MemoryFault], int]] = {
    lib.SEGV_MAPERR: (SegmentationFault, SEGV_MAPERR),
    lib.SEGV_ACCERR: (SegmentationFault, SEGV_ACCERR),
    lib.SEGV_PKUERR: (SegmentationFault, SEGV_PKUERR),
    lib.BUS_ADRERR: (BusError, BUS_ADRERR),
}


class Sleep(Enum):
    """Where the kernel sleeps for memory, and any other task may act; the value says what for."""

    PAGE_IN = "a page is asked of its store"
    ARRIVED = "a page has been read, and the cache has it not yet"
    RECLAIM = "memory is short"
    WRITEBACK = "dirty pages are about to be written"


def create_core(ram: int, rmap: str, nrpte: int, poison: int, features: int, nodes: int = 1) -> Any:
    """Return a core of ram bytes. Errors: ValueError (a bad parameter), MemoryError."""
    if rmap not in RMAP_DESIGNS:
        hint = did_you_mean(rmap, RMAP_DESIGNS)
        raise ValueError(f"unknown reverse map {rmap!r}: choose {', '.join(RMAP_DESIGNS)}{hint}")
    if ram // PAGE_BYTES < LEAST_PAGES:
        raise ValueError(f"a machine has at least 256K of RAM, not {ram} bytes")
    if ram // PAGE_BYTES > MOST_PAGES:
        raise ValueError(f"a machine has less than 16T of RAM, not {ram} bytes")
    if poison not in (0, 1):
        raise ValueError(f"poison is 0 or 1, not {poison}")
    if not 1 <= nrpte <= 31:
        raise ValueError(f"nrpte is a number from 1 to 31, not {nrpte}")
    if not 1 <= nodes <= lib.MAX_NODES:
        raise ValueError(f"a machine has 1 to {lib.MAX_NODES} nodes, not {nodes}")
    params = ffi.new(
        "struct machine_params *",
        {
            "nr_pages": ram // PAGE_BYTES,
            "rmap": RMAP_DESIGNS[rmap],
            "nrpte": nrpte,
            "poison": poison,
            "features": features,
            "nr_nodes": nodes,
        },
    )
    core = lib.machine_create(params)
    if core == ffi.NULL:
        raise MemoryError("the host has no memory for this machine")
    return core


class OnBehalf:
    """A context in which memory is asked for by a process; each read and write has one."""

    def __init__(self, memory: Memory, process: Process) -> None:
        self._memory = memory
        self._process: Process | None = process

    def __enter__(self) -> None:
        memory = self._memory
        self._process, memory.current = memory.current, self._process

    def __exit__(self, kind: object, error: object, where: object) -> None:
        self._memory.current = self._process


class Memory:
    """The memory of one machine. ram: bytes; rmap, nrpte, poison, nodes: as of Kernel.

    stores: set once there are file systems. running: who is on the processor, if anyone.
    """

    stores: Stores

    def __init__(
        self,
        ram: int,
        *,
        rmap: str,
        nrpte: int,
        poison: int,
        features: int,
        nodes: int,
        log: Log,
        processes: Processes,
    ) -> None:
        self.ram = ram
        self.nrpte = nrpte
        self.nr_nodes = nodes
        self._rmap = rmap
        self.closed = False
        self.core: Any = create_core(ram, rmap, nrpte, poison, features, nodes)
        self.need: Any = lib.machine_need(self.core)
        self.tunables: Any = lib.machine_tunables(self.core)
        self.counters: Any = lib.machine_counters(self.core)
        self._log, self._processes = log, processes
        self.monitors: Monitors | None = None  # since somebody has asked for a userfaultfd
        self.current: Process | None = None  # on whose behalf files are worked on
        self.running: Callable[[], Process | None] = lambda: None
        # Called where a real kernel sleeps, with the page's index or 0: there others may act.
        self.sleep_hook: Callable[[Sleep, int], None] | None = None
        self.vm_passes = 16
        self.dirty_ratio, self.dirty_background_ratio = 20, 10
        self.dirty_bytes, self.dirty_background_bytes = 0, 0  # not 0: instead of the ratio
        self.hugetlb_shm_group = 0
        self.allocstall = 0  # direct reclaims
        self.nonlinear_open = 0  # vm.nonlinear, where the hot path looks
        self._dropped = 0
        self.min_free_kbytes = default_min_free(ram)

    @property
    def watched(self) -> bool:
        """Tell whether there is a userfaultfd that may watch some of it."""
        return self.monitors is not None and bool(self.monitors.contexts)

    def close(self) -> int:
        """Give the core back; return how many objects or pages were left in it."""
        core, self.closed = self.core, True
        del self.core, self.need, self.tunables, self.counters
        self.__class__ = _Closed
        return int(lib.machine_destroy(core))

    @cached_property
    def oom(self) -> Oom:
        """Who dies when there is none left."""
        made: Oom = load("pkern.kernel.mm.oom").Oom(self._log, self.counters, self._processes)
        return made

    @cached_property
    def failures(self) -> Failures:
        """Which allocation of a process is to fail."""
        from pkern.kernel.mm.failures import Failures  # for those who ask

        return Failures(self.core)

    def is_counted(self, process: Process) -> bool:
        """Tell whether an allocation of a process is to fail."""
        return "failures" in vars(self) and process in self.failures

    @cached_property
    def names(self) -> Names:
        """The names of anonymous memory."""
        from pkern.kernel.mm.names import Names  # for those who name some

        return Names(self)

    @property
    def all_nodes(self) -> int:
        """The mask of the nodes that there are."""
        return (1 << self.nr_nodes) - 1

    @property
    def rmap(self) -> str:
        """The reverse map's design. Setting it: EINVAL; EBUSY while any page is mapped."""
        return self._rmap

    @rmap.setter
    def rmap(self, name: str) -> None:
        if name not in RMAP_DESIGNS:
            raise SyscallError(errno.EINVAL)
        result = lib.machine_set_rmap(self.core, RMAP_DESIGNS[name])
        if result < 0:
            raise SyscallError(-result)
        self._rmap = name

    @property
    def min_free_kbytes(self) -> int:
        """The lowest watermark, in KiB; the others, in pages, follow it."""
        return self._min_free_kbytes

    @min_free_kbytes.setter
    def min_free_kbytes(self, kib: int) -> None:
        pages = kib // 4
        self._min_free_kbytes = kib
        self.tunables.watermark_min = pages
        self.tunables.watermark_low = pages + pages // 4
        self.tunables.watermark_high = pages + pages // 2

    @property
    def fault_around_bytes(self) -> int:
        """How much of a file a read fault may map: a power of two, at least a page."""
        return int(self.tunables.fault_around_bytes)

    @fault_around_bytes.setter
    def fault_around_bytes(self, nbytes: int) -> None:
        pages = max(nbytes // PAGE_BYTES, 1)
        self.tunables.fault_around_bytes = PAGE_BYTES << (pages.bit_length() - 1)

    @property
    def nr_hugepages(self) -> int:
        """Large pages in the pool: as many as were asked for, or memory and use allowed."""
        return int(self.counters.nr_huge)

    @nr_hugepages.setter
    def nr_hugepages(self, nr_pages: int) -> None:
        lib.machine_set_hugepages(self.core, nr_pages)

    @property
    def drop_caches(self) -> int:
        """What was written last; bit 0 drops clean page cache. Source: proc_sys_vm(5)."""
        return self._dropped

    @drop_caches.setter
    def drop_caches(self, what: int) -> None:
        self._dropped = what
        if what & 1:
            lib.machine_drop_caches(self.core)

    # ---- calls of the core ----

    def on_behalf_of(self, process: Process) -> OnBehalf:
        """Let what files need be needed by a process: it is who sleeps, or dies for it.

        Errors: TaskKilled: it has ended.
        """
        if not process.alive:
            raise TaskKilled(process.pid, (process.exit_status or 0) & 0x7F)
        return OnBehalf(self, process)

    def stand_for(self, process: Process) -> Process | None:
        """As on_behalf_of, begun only: return what `current` is to be again. Errors: TaskKilled."""
        if process.exit_status is not None:
            raise TaskKilled(process.pid, process.exit_status & 0x7F)
        before, self.current = self.current, process
        return before

    def call(self, process: Process | None, function: Callable[..., int], *args: Any) -> int:
        """Call a core function until it needs nothing more. Errors: SyscallError, MemoryFault."""
        result = function(*args)
        attempt = 0
        while result < 0:
            self.serve(process or self.current, result, attempt)
            result = function(*args)
            attempt += 1
        return result

    def create(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a core function that makes an object; NULL asks for memory. Errors: ENOMEM."""
        made = function(*args)
        attempt = 0
        while made == ffi.NULL:
            self.serve(self.current, lib.machine_refusal(self.core), attempt)
            made = function(*args)
            attempt += 1
        return made

    # ---- answering ----

    def serve(self, process: Process | None, status: int, attempt: int = 0) -> None:
        """Answer a need so that the call can be tried again, or raise what ends it.

        status: NEED_PAGE, NEED_MEMORY, a verdict or -errno. attempt: how often this call has asked.
        Errors: SyscallError; MemoryFault for a verdict; TaskKilled if memory is out; KernelBug.
        """
        if status == lib.NEED_PAGE:
            self.fetch_page(process)
        elif status == lib.NEED_MEMORY:
            if not self.make_room(attempt):
                self.oom.in_call(process)
        elif status == lib.NEED_USER and process is not None and self.monitors is not None:
            self.monitors.kernel_fault(process)
        elif status == lib.NEED_EVENT:
            lib.machine_uffd_noted(self.core)  # who has something to tell has taken note of it
        elif status in _FAULTS:
            kind, code = _FAULTS[status]
            raise kind(int(self.need.addr), code, int(self.need.access))
        else:
            self._refuse(process, status)
        if process is not None and not process.alive:  # someone's need ended it meanwhile
            raise TaskKilled(process.pid, process.exit_status or 0)

    def serve_fault(self, process: Process, status: int, attempt: int = 0) -> None:
        """Answer the need of a load or store; without memory a process is killed, as on Linux."""
        if status == -errno.ENOMEM:
            self._refuse_fault(process)
        elif status == lib.NEED_USER and self.monitors is not None:
            self.monitors.program_fault(process)
        elif status == lib.NEED_MEMORY and not self.make_room(attempt):
            self.oom.in_fault(process)
        elif status != lib.NEED_MEMORY:
            self._serve_access(process, status)
        if not process.alive:
            raise TaskKilled(process.pid, process.exit_status or 0)

    def _serve_access(self, process: Process, status: int) -> None:
        fault = (int(self.need.addr), BUS_ADRERR, int(self.need.access))
        if status == lib.NEED_PAGE:
            lib.mm_count_major(process.mm.handle)
        try:
            self.serve(process, status)
        except SyscallError as error:
            if error.errno == errno.ENOMEM:
                self.oom.in_fault(process)
            raise BusError(*fault) from None

    def _refuse(self, _process: Process | None, status: int) -> None:
        raise SyscallError(-status)

    def _refuse_fault(self, process: Process) -> None:
        """One allocation was refused: Linux lets the access fault again."""

    def run_out_at(self, nth: int) -> None:
        """Let memory run out at the nth allocation from now (1: the next; 0: none): OOM decides."""
        lib.machine_fail_nth(self.core, nth)
        for name in ("_refuse", "_refuse_fault"):
            vars(self).pop(name, None)
        if nth:
            vars(self).update(_refuse=self._run_out_in_call, _refuse_fault=self._run_out_in_fault)

    def _run_out_in_call(self, process: Process | None, status: int) -> None:
        if status != -errno.ENOMEM or lib.machine_fail_pending(self.core):
            raise SyscallError(-status)  # for a reason of its own
        self.run_out_at(0)
        self.oom.in_call(process)

    def _run_out_in_fault(self, process: Process) -> None:
        self.run_out_at(0)
        self.oom.in_fault(process)

    def fetch_page(self, process: Process | None) -> None:
        """Bring the page of NEED_PAGE into the cache; others may run meanwhile."""
        cookie, index = int(self.need.cookie), int(self.need.index)
        truncate_count = int(self.need.truncate_count)
        self.sleep(Sleep.PAGE_IN, index)
        self.stores.inode_of(cookie).fetch(index, truncate_count)
        reader = process or self.running()
        if reader is not None:
            reader.io.read_bytes += PAGE_BYTES

    def sleep(self, why: Sleep, index: int = 0) -> None:
        """Let others run, if there is someone who lets them. index: of the page, if for one."""
        if self.sleep_hook is not None:
            self.sleep_hook(why, index)

    # ---- reclaim ----

    def make_room(self, attempt: int) -> bool:
        """Free memory for a call that asked for the attempt-th time; tell whether to try again.

        Above the lowest watermark this is background reclaim: up to the high one, and it may fail.
        """
        nodes = int(self.need.nodes)
        self.sleep(Sleep.RECLAIM)
        if attempt == 0 and self.counters.nr_free > self.tunables.watermark_min:
            self.reclaim_in_background(nodes)
            return True
        least = 1 if attempt < PATIENCE else CLUSTER
        return self.reclaim_directly(attempt, nodes) >= least

    def reclaim_in_background(self, nodes: int) -> None:
        """Do what Linux's kswapd does: free pages up to the high watermark, if that can be."""
        wanted = max(CLUSTER, int(self.tunables.watermark_high) - int(self.counters.nr_free))
        self.reclaim(wanted, nodes)
        lib.machine_balanced(self.core)

    def reclaim_directly(self, attempt: int, nodes: int) -> int:
        """Free pages for who waits for them, the more the more often; return how many were."""
        self.allocstall += 1
        return self.reclaim(CLUSTER << min(attempt, MOST_DOUBLINGS), nodes)

    def reclaim(self, nr_pages: int, nodes: int = 0) -> int:
        """Free up to nr_pages in vm.vm_passes passes of growing depth; return how many were.

        nodes: mask of where; 0: anywhere.

        A pass in which a virtual scan only unmapped is not counted: many ptes take many passes.
        Errors: KernelBug if reverse maps that are compared disagree.
        """
        order = ffi.new("struct reclaim *", {"nodes": nodes})
        freed = passes = 0
        first = min(DEF_PRIORITY, self.vm_passes - 1)  # the last pass looks at everything
        while freed < nr_pages and passes < self.vm_passes:
            order.nr_to_free = nr_pages - freed
            order.priority = max(first - passes, 0)
            result = lib.machine_reclaim(self.core, order)
            if result < 0:
                raise KernelBug(ffi.string(lib.machine_disagreement(self.core)).decode())
            freed += result
            self._write_back(order)
            passes += not order.nr_unmapped
        return freed

    def _write_back(self, order: object) -> None:
        """Write the dirty pages that a scan came upon; an error is the file's (wb_errors)."""
        writes = [(int(w.cookie), int(w.index)) for w in order.writes[0 : order.nr_writes]]  # type: ignore[attr-defined]
        for cookie, index in writes:
            self.sleep(Sleep.WRITEBACK, index)
            self.stores.inode_of(cookie).write_page(index)

    # ---- dirty pages ----

    def dirty_limits(self) -> tuple[int, int]:
        """Return how many pages may be dirty: before the kernel writes, before a writer must.

        Both are bytes, or percents of what could be clean: free memory and the file lists.
        Source: global_dirtyable_memory() and domain_dirty_limits() of Linux 6.x.
        """
        counters = self.counters
        free = max(int(counters.nr_free) - int(self.tunables.watermark_high), 0)
        usable = free + int(counters.nr_inactive_file) + int(counters.nr_active_file)
        limit = -(-self.dirty_bytes // PAGE_BYTES) or usable * self.dirty_ratio // 100
        background = -(-self.dirty_background_bytes // PAGE_BYTES) or (
            usable * self.dirty_background_ratio // 100
        )
        return (background if background < limit else limit // 2), limit

    def balance_dirty(self) -> None:
        """Have a writer that is over vm.dirty_ratio write back before it goes on."""
        if self.counters.nr_dirty > self.dirty_limits()[1]:
            self.stores.sync()

    def write_behind(self) -> None:
        """Do what Linux's flusher does after a call: write back beyond the background ratio."""
        if self.counters.nr_dirty > self.dirty_limits()[0]:
            self.stores.sync()


class _Closed(Memory):
    """What a memory is behind close(). A class of its own: see Mm."""

    def __getattr__(self, name: str) -> Any:
        """Say of what close() has taken that it is gone: it was the core's memory."""
        raise MachineClosed


def default_min_free(ram: int) -> int:
    """Return vm.min_free_kbytes for ram bytes: 4 * sqrt(KiB), and a twentieth at most.

    Source: init_per_zone_wmark_min() of Linux 6.x, bounded for very small machines.
    """
    kib = ram >> 10
    bounded = min(max(int((kib * 16) ** 0.5), MIN_FREE_LOW), MIN_FREE_HIGH)
    return min(bounded, kib // 20)
