"""A machine: boot parameters, the core, tasks, files, sysctls, the clock, and check().

One process may hold many. Everything a Kernel holds is given back by close(), which audits.
"""

from __future__ import annotations

import errno

from pkern.kernel import BLOCK_NS, CALL_NS, DEFAULT_RAM, SIZE_UNITS, arguments, late
from pkern.kernel.arguments import did_you_mean, named, of_type
from pkern.kernel.clock import Clock
from pkern.kernel.core import ffi, lib
from pkern.kernel.cpu.features import feature_bits, parse_features
from pkern.kernel.cpu.processor import Processor
from pkern.kernel.cpu.vsyscall import VsyscallPage
from pkern.kernel.errors import SIGKILL, KernelBug, MachineClosed, NoRoom, SyscallError
from pkern.kernel.lean import attrgetter, cached_property, partial
from pkern.kernel.log import KERN_INFO, Log
from pkern.kernel.mm.memory import Memory
from pkern.kernel.mm.mm import Mm
from pkern.kernel.namespaces.base import IPC, Namespace
from pkern.kernel.namespaces.user import FIRST
from pkern.kernel.numbers import counted, is_decimal
from pkern.kernel.random import Random
from pkern.kernel.tasks.attributes import Dumps
from pkern.kernel.tasks.credentials import ALL_CAPS, NO_CAPS, named_caps
from pkern.kernel.tasks.nsproxy import first_namespaces
from pkern.kernel.tasks.table import THREADS_MAX, TaskTable, Watch
from pkern.kernel.tasks.task import Task, short_name
from pkern.kernel.tty.devpts import DRIVERS, DevPts
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Hashable, Iterator, Mapping
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs import Vfs
from pkern.kernel.vfs.mounts import Path
from pkern.kernel.vfs.proc.procfs import ProcFs
from pkern.kernel.vfs.sysfs import TRACING_FLAGS, SysFs, TraceFs

if TYPE_CHECKING:
    from types import TracebackType

    from pkern.kernel.branch import Branch, Snapshot
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.events.stream import Stream, Tracing
    from pkern.kernel.inspect.inspector import Inspector
    from pkern.kernel.mm.ksm import Ksm
    from pkern.kernel.mm.swap import SwapAreas
    from pkern.kernel.namespaces.table import Namespaces
    from pkern.kernel.sysctl import SysctlTable
    from pkern.kernel.tasks.locks.futex_pi import Locks
    from pkern.kernel.vfs.anon.userfaultfd import Userfaults
    from pkern.kernel.vfs.file import File
    from pkern.kernel.visits import Visits

PAGE_SIZE = 4096
REPORT_BYTES = 64 << 10
PARAMETERS: dict[str, type] = {
    "seed": int,
    "nrpte": int,
    "poison": int,
    "nodes": int,
    "call_ns": int,
    "block_ns": int,
    "rmap": str,
    "cpu": str,
    "hostname": str,
    "sysctl": Mapping,
}
NOTHING = type(None)
TTY_GROUP = 5
MOST_ID = (1 << 32) - 2  # (uid_t)-1 is nobody
STACK_BYTES = 33 * PAGE_SIZE  # what Linux gives a new program

# Where in a Kernel the owner of a sysctl's value is, if its own name does not say so.
OWNERS = {
    "oom": "memory.oom",
    "inotify": "vfs.inotify",
    "leases": "vfs.leases",
    "pipes": "vfs.pipes",
    "networks": "nsproxy.net.common",
}
# The same in the namespaces of who asks.
NAMESPACED = {
    "uts": "uts",
    "segments": "ipc.segments",
    "segment_ids": "ipc.segments.ids",
    "semaphores": "ipc.semaphores",
    "semaphore_ids": "ipc.semaphores.table.ids",
    "messages": "ipc.messages",
    "message_ids": "ipc.messages.table.ids",
    "queues": "ipc.queues",
    "net": "net.stack",
}


class Layout(NamedTuple):
    """Where things lie in a new address space, in bytes: Linux's, without randomisation."""

    task_size: int = 0x7FFF_FFFF_F000
    mmap_base: int = 0x7FFF_F7FF_F000
    start_brk: int = 0x5555_5555_9000
    stack_top: int = 0x7FFF_FFFF_F000
    stack_bytes: int = STACK_BYTES  # 0: no stack


def parse_size(text: str | int) -> int:
    """Return bytes for 67108864, "64M", "1G", "4096K". Errors: ValueError, TypeError."""
    if isinstance(text, int):
        return text
    of_type("a size", text, (str, int))
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].isalpha() else (text, "")
    if not is_decimal(number) or unit not in {"", *SIZE_UNITS}:
        raise ValueError(f"not a size: {text!r} (say 64M, 1G or a number of bytes)")
    return int(number) * SIZE_UNITS.get(unit, 1)


IO_KINDS = {
    "disk_write": lib.IO_DISK_WRITE,
    "file_read": lib.IO_FILE_READ,
    "swap_read": lib.IO_SWAP_READ,
    "swap_write": lib.IO_SWAP_WRITE,
    "writeback": lib.IO_WRITEBACK,
}


def _io_kind(who: str, kind: str) -> int:
    if of_type(f"{who} argument 'kind'", kind, str) not in IO_KINDS:
        hint = did_you_mean(kind, IO_KINDS)
        raise ValueError(f"{who} knows {', '.join(IO_KINDS)}, not {kind!r}{hint}")
    return int(IO_KINDS[kind])


def _of_their_types(**given: object) -> None:
    for name, value in given.items():
        of_type(f"Kernel() argument '{name}'", value, PARAMETERS[name])


def _memory_class(nodes: int) -> type[Memory]:
    """Return the class of the memory of a machine with so many nodes."""
    if nodes == 1:
        return Memory
    numa: type[Memory] = late.load("pkern.kernel.mm.numa").NumaMemory
    return numa


class Kernel:
    """One machine.

    ram: bytes or "64M"; the host lends what is used of it. rmap: objrmap_tree, objrmap, pte_chain,
    virtual_scan or compare. nrpte: ptes in a chain block, 1..31. swap: bytes of a swap device that
    is on from boot, 0 for none. sysctl: values set at boot. poison: fill freed pages and check that
    no one writes to them. nodes: how many nodes memory has, 1..8; the processor is near the first.
    call_ns, block_ns: the virtual time that a system call and a block of machine code take, 1 ns to
    1 s. cpu: what the processor has beyond the common ones, names between commas: pku.
    Errors: ValueError, TypeError for a bad parameter; MemoryError when the host has none.
    """

    _is_made = False  # no attribute is new from then on

    @named("Kernel()")
    def __init__(
        self,
        ram: str | int = DEFAULT_RAM,
        *,
        seed: int = 0,
        rmap: str = "objrmap_tree",
        nrpte: int = 7,
        swap: str | int = 0,
        sysctl: Mapping[str, int | str] | None = None,
        poison: int = 0,
        nodes: int = 1,
        call_ns: int = CALL_NS,
        block_ns: int = BLOCK_NS,
        hostname: str = "pkern",
        cpu: str = "",
    ) -> None:
        costs = {"call_ns": call_ns, "block_ns": block_ns}
        numbers = {"seed": seed, "nrpte": nrpte, "poison": poison, "nodes": nodes}
        texts = {"rmap": rmap, "cpu": cpu, "hostname": hostname}
        _of_their_types(**numbers, **costs, **texts, sysctl=sysctl or {})
        self.seed = seed
        self.cpu_features = parse_features(cpu)
        self.clock = Clock(**costs)
        self.log = Log(self.clock)
        self.log.listener = partial(self.wake, self.log)
        self.random = Random(seed)
        self.tasks = TaskTable()
        self.dumps = Dumps()
        self.watch = Watch()
        self.scheduler: Scheduler | None = None  # of tasks in machine code
        self._closes = False
        self.scheduler_of: Callable[[Kernel], Scheduler] | None = None  # boots it
        self.visits: Visits | None = None  # the door for other threads of the host, if there is one
        self.processor: Processor | None = None  # for machine code; its owner sets it
        self.memory = _memory_class(nodes)(
            parse_size(ram),
            rmap=rmap,
            nrpte=nrpte,
            poison=poison,
            nodes=nodes,
            features=feature_bits(self.cpu_features),
            log=self.log,
            processes=self.tasks,
        )
        self.memory.running = self.running
        self.vsyscalls = VsyscallPage(self)
        self.missing_calls: set[int] = set()  # whose lack has been logged
        self.nsproxy = first_namespaces(self, hostname)
        self.vfs: Vfs = Vfs(self, DRIVERS)
        self.terminals = DevPts(self)
        self._mount_its_own()
        self.memory.stores = self.vfs
        self.log.write(KERN_INFO, f"pkern: {self.ram >> 10}K of memory, reverse map {rmap}")
        self._is_made = True
        self._configure(parse_size(swap), sysctl or {})

    if not TYPE_CHECKING:  # a checker knows what there is

        def __setattr__(self, name: str, value: Any) -> None:
            """Set what a machine has. Errors: AttributeError, with what was meant.

            Who makes a class of machines of their own gives those what they like.
            """
            mine = type(self) is Kernel and self._is_made
            if mine and name not in vars(self) and not hasattr(type(self), name):
                hint = did_you_mean(name, [one for one in dir(self) if one[0] != "_"])
                raise AttributeError(f"Kernel has no attribute '{name}'{hint}", name=name)
            super().__setattr__(name, value)

    def _mount_its_own(self) -> None:
        """Mount what every machine has, from the root on."""
        self.vfs.boot()
        self.terminals.gid, self.terminals.mode = TTY_GROUP, 0o620
        self.vfs.mount("/dev/pts", self.terminals)
        self.vfs.mount("/proc", ProcFs(self))
        sysfs = SysFs(self, self.memory, lambda: self.ksm)
        self.vfs.mount("/sys", sysfs)
        tracing = Path(self.vfs.mounts[-1], sysfs.tracing)
        self.vfs.mount_on(tracing, TraceFs(self, lambda: self.tracing), TRACING_FLAGS)

    def _configure(self, swap: int, sysctl: Mapping[str, int | str]) -> None:
        """Do what a boot's command line asks, or close the machine: swap that is on, sysctls."""
        try:
            if swap:
                self.add_swap(swap)
            for name, value in sysctl.items():
                self.sysctl[name] = value
        except (SyscallError, ValueError):
            self.close()
            raise

    # ---- parts that are made when somebody first asks for them ----

    @cached_property
    def userfaults(self) -> Userfaults:
        """Who serves faults instead of the kernel."""
        made: Userfaults = late.load("pkern.kernel.vfs.anon.userfaultfd").Userfaults(self)
        self.memory.monitors = made
        return made

    @cached_property
    def swap(self) -> SwapAreas:
        """The areas to swap to."""
        made: SwapAreas = late.load("pkern.kernel.mm.swap").SwapAreas(self.memory, self.log)
        return made

    @cached_property
    def ksm(self) -> Ksm:
        """Who merges pages of equal content, and when."""
        made: Ksm = late.load("pkern.kernel.mm.ksm").Ksm(self.memory, self.clock)
        return made

    @cached_property
    def pi_locks(self) -> Locks:
        """Locks with an owner that tasks wait for."""
        made: Locks = late.load("pkern.kernel.tasks.locks.futex_pi").Locks()
        return made

    @cached_property
    def inspect(self) -> Inspector:
        """Questions about its memory; asking changes nothing."""
        made: Inspector = late.load("pkern.kernel.inspect.inspector").Inspector(self)
        return made

    @cached_property
    def tracing(self) -> Tracing:
        """Events: who wants which."""
        emitters = late.load("pkern.kernel.events.emitters").Emitters
        tracing = late.load("pkern.kernel.events.stream").Tracing
        made: Tracing = tracing(self.core, self.tasks, partial(emitters, self))
        return made

    def events(self, *globs: str) -> Stream:
        """Return a stream of what happens from now on, as a context manager to iterate over.

        globs: "vmscan:*", "kmem:mm_page_alloc", "pkern:*", a system or a name alone; without one,
        everything. Errors: ValueError for one that means no event, ENOMEM of the host.
        """
        for glob in globs:
            arguments.of_type("events(): a glob", glob, str)
        return self.tracing.stream(*globs)

    @cached_property
    def namespaces(self) -> Namespaces:
        """All namespaces but those that a machine begins with."""
        table = late.load("pkern.kernel.namespaces.table").Namespaces
        most = THREADS_MAX // 2
        made: Namespaces = table(self.nsproxy, self._used_namespaces, most)
        return made

    @cached_property
    def sysctl(self) -> SysctlTable:
        """The parameters, by name."""
        _ = self.core  # MachineClosed
        table = late.load("pkern.kernel.sysctl").SysctlTable
        made: SysctlTable = table(self.owner, self.sysctl_root, self.log)
        return made

    def owner(self, name: str, task: Task | None) -> Any:
        """Return who holds the value of a sysctl, by Entry.owner. Errors: MachineClosed.

        task: in whose namespaces; None: in the initial ones.
        """
        if name == "limits":
            return self.namespaces.limits(task.cred.user_ns if task else FIRST)
        if name == "pids":
            return task.pid_ns if task and task.pid_ns.level else self.tasks
        if name == "pid_ns":
            return task.pid_ns if task else self.nsproxy.pid
        if name in NAMESPACED:
            return attrgetter(NAMESPACED[name])(task.nsproxy if task else self.nsproxy)
        found: Any = attrgetter(OWNERS.get(name, name))(self)
        return found

    def sysctl_root(self, name: str, task: Task) -> int | None:
        """Return whose the sysctls of an owner are, of who may be asked for by a task.

        Who has the capability that Linux asks for is as good as the owner. Source:
        set_permissions(), ipc_permissions() and net_ctl_permissions() of Linux 6.18.
        """
        if name == "limits":
            return task.uid if task.capable_in(task.cred.user_ns, "CAP_SYS_RESOURCE") else None
        if name == "pids" and task.pid_ns.level:
            able = task.capable_in(task.pid_ns.user, "CAP_SYS_ADMIN")
            return task.uid if able else task.pid_ns.user.root
        kind = NAMESPACED.get(name, "").split(".")[0]
        if kind == "net" and task.capable_in(task.nsproxy.net.user, "CAP_NET_ADMIN"):
            return task.uid
        return getattr(task.nsproxy, kind).user.root if kind in ("net", "ipc") else 0

    def leave(self, task: Task) -> None:
        """Let a task that has ended leave what it holds or waits for, and its namespaces."""
        if "namespaces" not in vars(self):
            self.nsproxy.ipc.leave(task)
            return
        for space in self.namespaces.of_kind(IPC):
            space.leave(task)
        self.namespaces.sweep()

    def _used_namespaces(self) -> Iterator[Namespace]:
        for task in self.tasks.values():
            yield task.cred.user_ns
            yield task.pid_ns
            if task.alive:
                yield from task.nsproxy
        for file, _ in self.vfs.files.values():
            if file.descriptors > 0:
                yield from file.inode.namespaces
        for mount in self.vfs.everywhere():
            if mount.root.namespace is not None:
                yield mount.root.namespace

    def has_cpu(self, feature: str) -> bool:
        """Tell whether the processor has one of CPU_FEATURES."""
        return feature in self.cpu_features

    # ---- what the parts own, for those who look at a machine from outside ----

    @property
    def ram(self) -> int:
        """Bytes of memory."""
        return self.memory.ram

    @property
    def core(self) -> Any:
        """The core's handle. Errors: MachineClosed."""
        return self.memory.core

    @property
    def tunables(self) -> Any:
        """The core's struct tunables, live."""
        return self.memory.tunables

    @property
    def counters(self) -> Any:
        """The core's struct counters, live."""
        return self.memory.counters

    # ---- tasks ----

    @named("spawn()")
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
        Errors: MachineClosed; NoRoom: there is no memory for it, or not as much as may be promised.
        """
        of_type("spawn() argument 'name'", name, str)
        arguments.number("spawn() argument 'uid'", uid, most=MOST_ID)
        arguments.number("spawn() argument 'gid'", gid, most=MOST_ID)
        of_type("spawn() argument 'argv'", argv, (list, tuple, NOTHING))
        of_type("spawn() argument 'layout'", layout, (Layout, NOTHING))
        for text in argv or ():
            of_type("spawn(): an argument of the program", text, str)
        if self.memory.closed:
            raise MachineClosed
        usual = NO_CAPS if uid else ALL_CAPS
        held = usual if caps is None else named_caps(caps)
        layout = layout or Layout()
        task = Task(self, self.tasks.next_pid(), short_name(name), argv or [name])
        task.start_afresh()
        task.set_credentials(uid, gid, held)
        task.mm = Mm.create(
            self.memory,
            task,
            {
                "task_size": layout.task_size,
                "mmap_base": layout.mmap_base,
                "start_brk": layout.start_brk,
                "stack_top": layout.stack_top,
            },
        )
        task.group.join(task)
        self.tasks.enter(task)
        if layout.stack_bytes:
            self._map_stack(task, layout)
        return task

    def _map_stack(self, task: Task, layout: Layout) -> None:
        flags = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS | lib.MAP_FIXED | lib.MAP_GROWSDOWN
        start = layout.stack_top - layout.stack_bytes
        prot = lib.PROT_READ | lib.PROT_WRITE
        try:
            task.mm.call(lib.mm_mmap, start, layout.stack_bytes, prot, flags, ffi.NULL, 0)
        except SyscallError as error:
            task.die_of(SIGKILL)
            raise NoRoom(f"the stack of '{task.name}'", layout.stack_bytes) from error

    def wake(self, key: Hashable) -> None:
        """Wake the tasks in machine code that wait for key (kernel.wait.WouldBlock)."""
        if self.scheduler is not None and "sleepers" in vars(self.scheduler):  # who has slept
            self.scheduler.sleepers.wake(key)

    def tell_owner(self, file: File, fd: int, code: int, band: int) -> None:
        """Tell a file's owner what it has become ready for (O_ASYNC)."""
        late.load("pkern.kernel.tasks.signal.owners").tell_ready(self, file, fd, code, band)

    def tell_urgent(self, file: File) -> None:
        """Tell a socket's owner that urgent data has come."""
        late.load("pkern.kernel.tasks.signal.owners").tell_urgent(self, file)

    def running(self) -> Task | None:
        """Return the task on the processor, if a program in machine code is."""
        return self.scheduler.turns.running if self.scheduler is not None else None

    # ---- memory ----

    def add_swap(self, nbytes: int, priority: int | None = None) -> str:
        """Make /dev/swapN of nbytes, swap to it and return its path. Errors: EINVAL, ENOMEM."""
        name, fd = self.swap.make_device(nbytes)
        device = late.load("pkern.kernel.vfs.fs.devices").SwapDevice(self, fd)
        self.vfs.add_device(name, device)
        self.swap.on(f"/dev/{name}", device, priority)
        return f"/dev/{name}"

    def fail_io(self, kind: str, nth: int) -> None:
        """Let the nth read or write of a page from now on fail with EIO (1: the next; 0: none).

        kind: "file_read", "writeback" (of a host's file), "swap_read" or "swap_write". Before the
        nth "disk_write", whatever changes a directory of the host, the machine stops: KernelPanic.
        """
        number = _io_kind("fail_io()", kind)
        nth = arguments.number("fail_io() argument 'nth'", nth)
        lib.machine_fail_io(self.core, number, nth)

    def io_pending(self, kind: str) -> int:
        """How many of a kind it is to the one that fails; 0: none is to, or it has failed."""
        return int(lib.machine_io_pending(self.core, _io_kind("io_pending()", kind)))

    def need_scheduler(self) -> Scheduler:
        """Return the scheduler, booted by who knows an engine. Errors: ENOSYS (nobody does)."""
        if self.scheduler is None:
            if self.scheduler_of is None:
                raise SyscallError(errno.ENOSYS)
            self.scheduler = self.scheduler_of(self)
        return self.scheduler

    def fail_nth(self, nth: int) -> None:
        """Let the nth allocation from now fail (1: the next; 0: none)."""
        lib.machine_fail_nth(self.core, arguments.number("fail_nth() argument 'nth'", nth))

    def run_out(self, nth: int) -> None:
        """Let memory run out at the nth allocation from now: the OOM killer comes (0: not)."""
        self.memory.run_out_at(arguments.number("run_out() argument 'nth'", nth))

    @property
    def fail_pending(self) -> int:
        """How many allocations it is to the one that fails; 0: none is to, or it has failed."""
        return int(lib.machine_fail_pending(self.core))

    def check(self) -> None:
        """Recount every invariant from nothing. Errors: KernelBug with the report."""
        report = ffi.new("char[]", REPORT_BYTES)
        if lib.machine_check(self.core, report, REPORT_BYTES) != 0:
            raise KernelBug(ffi.string(report).decode())
        check = late.load("pkern.kernel.tasks.check")
        found = check.faults(self.tasks, self.scheduler, self.pi_locks)
        if found:
            raise KernelBug("\n".join(found))

    # ---- copies ----

    def branch(self, function: Callable[..., Any], *args: Any) -> Branch:
        """Let a copy of the machine as it is now call function(copy, *args), in its own process.

        The copy costs what it writes. Its result, or what it raises, is branch.result(): it is
        pickled. Errors: NotBranchable (files of the host that all copies would write to), OSError
        where the host refuses a process.
        """
        from pkern.kernel import branch  # for those who ask

        return branch.branch(self, function, args)

    def snapshot(self) -> Snapshot:
        """Keep the machine as it is now, in a process that waits: snapshot.branch(function, *args).

        Close it in the end. Errors: as branch.
        """
        from pkern.kernel.branch import Snapshot

        return Snapshot(self)

    def state_hash(self) -> bytes:
        """Return a hash of what tasks, files and the clock can still do or show: 16 bytes.

        Two machines in the same state have the same one, by whatever way they came there. What it
        covers: docs/schedules.md. Errors: NotHashable (a ValueError): pages are in swap.
        """
        from pkern.kernel.state import state_hash

        return state_hash(self)

    def close(self) -> None:
        """End all tasks, write back, give everything back.

        Errors: KernelBug on a leak; RuntimeError: its programs are running, and called this.
        """
        if self.scheduler is not None and self.scheduler.is_busy:
            raise RuntimeError("a machine cannot be closed while its programs run")
        leaked = self._give_back()
        if leaked:
            raise KernelBug(f"{leaked} kernel objects or pages were left at shutdown")

    def _give_back(self) -> int:
        """Close whatever is open and return how many objects and pages nobody knew of."""
        if self.memory.closed or self._closes:  # a task's end is told to who closes, too
            return 0
        self._closes = True
        faces = [face for task in self.tasks.values() for face in task.faces]
        for task in list(self.tasks.values()):
            task.exit(0)
        self.scheduler = None
        if self.processor is not None:
            self.processor.close()
            self.processor = None
        for name in ("namespaces", "nsproxy", "vfs", "swap", "sysctl"):
            if name in vars(self):
                getattr(self, name).close()
        self.clock.keep_in(None)
        if "tracing" in vars(self):
            self.tracing.close()
        for face in faces:
            face.closed()
        return self.memory.close()

    def __repr__(self) -> str:
        """Return its memory, its reverse map and how many tasks it has."""
        if self.memory.closed:
            return "<Kernel, closed>"
        return f"<Kernel {self.ram >> 10}K, {self.memory.rmap}, {counted(len(self.tasks), 'task')}>"

    def __enter__(self) -> Kernel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(value, KeyboardInterrupt):
            self._give_back()  # it may have come between an object and its entry in a table
        else:
            self.close()
