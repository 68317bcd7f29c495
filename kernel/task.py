"""A task: who it is, what it may do, and what it holds.

Owns credentials, limits, signals and the family tree. The limits that the core obeys (address
space, data, stack, locked memory) live in the struct limits that the task's mm points to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel.core import ffi, lib
from kernel.errors import SyscallError
from kernel.mm import Mm
from kernel.processor import Context
from kernel.signals import Signals
from kernel.trace import Trace
from kernel.vfs.file import FdTable
from kernel.vfs.fs_struct import FsStruct

if TYPE_CHECKING:
    from kernel.machine import Kernel

RLIM_INFINITY = (1 << 64) - 1
ALL_CAPS = frozenset(
    {
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_DAC_READ_SEARCH",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_IPC_LOCK",
        "CAP_IPC_OWNER",
        "CAP_SYS_RAWIO",
        "CAP_SYS_CHROOT",
        "CAP_SYS_PTRACE",
        "CAP_SYS_ADMIN",
        "CAP_SYS_RESOURCE",
        "CAP_MKNOD",
    }
)
MIB = 1 << 20

# Name -> (soft, hard), in the order of Linux's RLIMIT_* numbers.
DEFAULT_RLIMITS: dict[str, tuple[int, int]] = {
    "cpu": (RLIM_INFINITY, RLIM_INFINITY),
    "fsize": (RLIM_INFINITY, RLIM_INFINITY),
    "data": (RLIM_INFINITY, RLIM_INFINITY),
    "stack": (8 * MIB, RLIM_INFINITY),
    "core": (0, RLIM_INFINITY),
    "rss": (RLIM_INFINITY, RLIM_INFINITY),
    "nproc": (RLIM_INFINITY, RLIM_INFINITY),
    "nofile": (1024, 524288),
    "memlock": (8 * MIB, 8 * MIB),
    "as": (RLIM_INFINITY, RLIM_INFINITY),
    "locks": (RLIM_INFINITY, RLIM_INFINITY),
    "sigpending": (1024, 1024),
    "msgqueue": (819200, 819200),
    "nice": (0, 0),
    "rtprio": (0, 0),
    "rttime": (RLIM_INFINITY, RLIM_INFINITY),
}
CORE_LIMITS = frozenset({"as", "data", "stack", "memlock"})
HARD_ONLY = 1


class Rlimits:
    """Resource limits by name; the soft values that the core obeys live in its struct."""

    def __init__(self, limits: Any, values: dict[str, tuple[int, int]]) -> None:
        self.limits = limits
        self._hard: dict[str, int] = {}
        self._soft: dict[str, int] = {}
        for name, pair in values.items():
            self[name] = pair

    def __getitem__(self, name: str) -> tuple[int, int]:
        soft = int(getattr(self.limits, name)) if name in CORE_LIMITS else self._soft[name]
        return soft, self._hard[name]

    def __setitem__(self, name: str, pair: tuple[int, int]) -> None:
        soft, hard = pair
        self._hard[name] = hard
        if name in CORE_LIMITS:
            setattr(self.limits, name, soft)
        else:
            self._soft[name] = soft

    def items(self) -> list[tuple[str, tuple[int, int]]]:
        """Return (name, (soft, hard)) in Linux's order."""
        return [(name, self[name]) for name in DEFAULT_RLIMITS]


class Task:
    """One process of one thread; made by Kernel.spawn or Task.fork."""

    def __init__(self, kernel: Kernel, pid: int, name: str, argv: list[str]) -> None:
        self.kernel = kernel
        self.pid = pid
        self.name = name[:15]
        self.argv = argv
        self.parent: Task | None = None
        self.children: list[Task] = []
        self.uid = self.gid = 0
        self.caps: frozenset[str] = frozenset()
        self.limits: Any = ffi.new("struct limits *")
        self.rlimits = Rlimits(self.limits, DEFAULT_RLIMITS)
        self.fs = FsStruct(kernel.vfs.root, kernel.vfs.root)
        self.signals = Signals()
        self.exit_status: int | None = None  # as wait4 reports it
        self.oom_score_adj = 0
        self.dumpable = 1
        self.trace: Trace | None = None
        self.context: Context | None = None  # registers, once the task runs machine code
        self.revirt_vsyscalls = 0  # PR_SET_VSYSCALL: its vsyscalls make real system calls
        self.fds = FdTable(self)
        self.mm: Mm

    @property
    def ppid(self) -> int:
        """The parent's pid; 0 for a task that the kernel itself spawned."""
        return self.parent.pid if self.parent else 0

    @property
    def umask(self) -> int:
        """The mode bits that creation leaves out."""
        return self.fs.umask

    @property
    def alive(self) -> bool:
        """Tell whether the task still has an address space."""
        return self.exit_status is None

    @property
    def state(self) -> str:
        """The letter of /proc/PID/stat: running or zombie."""
        return "R" if self.alive else "Z"

    # ---- credentials ----

    def capable(self, capability: str) -> bool:
        """Tell whether the task holds the capability, for example "CAP_IPC_LOCK"."""
        return capability in self.caps

    def set_credentials(self, uid: int, gid: int, caps: frozenset[str]) -> None:
        """Become uid and gid with exactly these capabilities."""
        unknown = caps - ALL_CAPS
        if unknown:
            raise ValueError(f"unknown capabilities: {', '.join(sorted(unknown))}")
        self.uid, self.gid, self.caps = uid, gid, caps
        self.limits.may_lock = "CAP_IPC_LOCK" in caps
        self.limits.may_low = "CAP_SYS_RAWIO" in caps

    def use_mm(self, mm: Mm) -> None:
        """Run in another address space, whose user the task becomes, from now on."""
        self.mm.put()
        self.mm = mm
        if self.context is not None:
            self.context.enter(mm.handle)

    # ---- life and death ----

    def fork(self) -> Task:
        """Return a child with a copy-on-write copy of everything. Errors: ENOMEM, EAGAIN."""
        child = Task(self.kernel, self.kernel.next_pid(), self.name, self.argv)
        child.set_credentials(self.uid, self.gid, self.caps)
        for name, pair in self.rlimits.items():
            child.rlimits[name] = pair
        handle = ffi.new("mm **")
        self.mm.call(lib.mm_fork, child.limits, handle)
        child.mm = Mm(self.kernel, child, handle[0])
        child.fds = self.fds.copy(child)
        child.oom_score_adj = self.oom_score_adj
        child.fs, child.signals = self.fs.copy(), self.signals.copy()
        child.revirt_vsyscalls = self.revirt_vsyscalls
        child.parent = self
        self.children.append(child)
        self.kernel.tasks[child.pid] = child
        return child

    def exit(self, status: int) -> None:
        """End with an exit code (0-255); a no-op on a task that has ended."""
        self._end((status & 0xFF) << 8)

    def die_of(self, signo: int) -> None:
        """End as a signal ends a task."""
        self._end(signo)

    def _end(self, wait_status: int) -> None:
        if not self.alive:
            return
        self.exit_status = wait_status
        self.fds.close_all()
        if self.context is not None:
            self.context.close()
        self.mm.put()
        for child in self.children:
            child.parent = None
            if not child.alive:
                self.kernel.reap(child)
        self.children = []
        if self.parent is None:
            self.kernel.reap(self)

    def wait(self, pid: int) -> Task | None:
        """Reap a dead child (pid > 0: that one; -1: any); None if none is dead. Errors: ECHILD."""
        candidates = [c for c in self.children if pid in (-1, c.pid)]
        if not candidates:
            raise SyscallError(10)  # ECHILD
        dead = next((c for c in candidates if not c.alive), None)
        if dead is not None:
            self.children.remove(dead)
            self.kernel.reap(dead)
        return dead
