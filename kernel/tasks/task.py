"""A task: who it is, what it may do, and what it holds.

Owns credentials, limits, signals and the family tree. The limits that the core obeys (address
space, data, stack, locked memory) live in the struct limits that the task's mm points to.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError, TaskKilled
from pkern.kernel.mm.mm import Mm
from pkern.kernel.tasks import robust
from pkern.kernel.tasks.attributes import Attributes, IoCounters, Usage
from pkern.kernel.tasks.children import Children
from pkern.kernel.tasks.credentials import Credentials, Ids
from pkern.kernel.tasks.signals import SI_USER, SIGCHLD, SIGKILL, SigInfo, Signals, send
from pkern.kernel.tasks.thread import Thread
from pkern.kernel.tasks.trace import Trace
from pkern.kernel.vfs.file import FdTable, File
from pkern.kernel.vfs.fs_struct import FsStruct
from pkern.kernel.vfs.pidfd import PidInode
from pkern.kernel.vfs.pipe import wake

if TYPE_CHECKING:
    from pkern.kernel.cpu.processor import Context
    from pkern.kernel.tasks.exec import Program
    from pkern.kernel.tasks.machine import Machine

RLIM_INFINITY = (1 << 64) - 1
READ_IMPLIES_EXEC = 0x400000  # of personality(2)
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
# The letters of /proc/PID/stat in the words of /proc/PID/status.
STATES = {"R": "running", "S": "sleeping", "T": "stopped", "Z": "zombie"}
LIMITS, MM_HANDLE = ffi.typeof("struct limits *"), ffi.typeof("mm **")
CORE_LIMITS = frozenset({"as", "data", "stack", "memlock"})


class Rlimits:
    """Resource limits by name; the soft values that the core obeys live in its struct.

    The others are values that parent and child share until one of them sets its own.
    """

    def __init__(self, limits: Any, soft: dict[str, int], hard: dict[str, int]) -> None:
        self.limits = limits
        self._soft = soft
        self._hard = hard

    @classmethod
    def at_boot(cls, limits: Any) -> Rlimits:
        """Return the limits of the first task."""
        made = cls(limits, {}, {})
        for name, pair in DEFAULT_RLIMITS.items():
            made[name] = pair
        return made

    def __getitem__(self, name: str) -> tuple[int, int]:
        soft = int(getattr(self.limits, name)) if name in CORE_LIMITS else self._soft[name]
        return soft, self._hard[name]

    def __setitem__(self, name: str, pair: tuple[int, int]) -> None:
        soft, hard = pair
        self._hard = self._hard | {name: hard}
        if name in CORE_LIMITS:
            setattr(self.limits, name, soft)
        else:
            self._soft = self._soft | {name: soft}

    def copy(self, limits: Any) -> Rlimits:
        """Return a forked child's own, in its struct."""
        limits[0] = self.limits[0]
        return Rlimits(limits, self._soft, self._hard)

    def items(self) -> list[tuple[str, tuple[int, int]]]:
        """Return (name, (soft, hard)) in Linux's order."""
        return [(name, self[name]) for name in DEFAULT_RLIMITS]


class Task:
    """One process of one thread; made by Kernel.spawn or Task.fork.

    origin: the task it is forked from; None: it starts afresh.
    """

    def __init__(
        self, kernel: Machine, pid: int, name: str, argv: list[str], origin: Task | None = None
    ) -> None:
        self.kernel = kernel
        self.pid = pid
        self.name = name[:15]
        self.argv = argv
        self.parent: Task | None = None
        self.children = Children()
        self.start_ns = kernel.clock.now_ns
        self.io = IoCounters()
        self.limits: Any = ffi.new(LIMITS)
        self.exit_status: int | None = None  # as wait4 reports it
        self.context: Context | None = None  # registers; None: a Python program
        self.thread = Thread()
        self.pid_inode: PidInode | None = None  # while descriptors of it may be open
        self.attention = False  # look at signals before going back to machine code
        self.stop_seen = self.continued = False  # what wait4 has still to report
        self.exit_signal = SIGCHLD
        self.has_execed = False
        self.program = ""  # the path of what it last became
        self.exe: File | None = None
        self.trace: Trace | None = None
        self.mm: Mm
        if origin is None:
            self._start_afresh()
        else:
            self._inherit(origin)

    def _start_afresh(self) -> None:
        self.cred = Credentials()
        self.attributes = Attributes()
        self.rlimits = Rlimits.at_boot(self.limits)
        self.fs = FsStruct(self.kernel.vfs.root, self.kernel.vfs.root)
        self.signals = Signals()
        self.pgid = self.sid = self.pid
        self.tty: Any = None  # the controlling terminal's inode
        self.oom_score_adj, self.dumpable = 0, 1
        self.revirt_vsyscalls = 0  # PR_SET_VSYSCALL: its vsyscalls make real system calls
        self.fds = FdTable(self)

    def _inherit(self, origin: Task) -> None:
        self.cred = origin.cred
        self.attributes = origin.attributes.forked()
        self.rlimits = origin.rlimits.copy(self.limits)  # and what the core knows of cred
        self.fs = origin.fs.copy()
        self.signals = origin.signals.copy()
        self.pgid, self.sid, self.tty = origin.pgid, origin.sid, origin.tty
        self.oom_score_adj, self.dumpable = origin.oom_score_adj, origin.dumpable
        self.revirt_vsyscalls = origin.revirt_vsyscalls
        self.thread.alt_stack, self.thread.rseq = origin.thread.alt_stack, origin.thread.rseq

    def __repr__(self) -> str:
        return f"<Task {self.pid} '{self.name}' uid {self.cred.uid}, {STATES[self.state]}>"

    @property
    def ppid(self) -> int:
        """The parent's pid; 0 for a task that the kernel itself spawned."""
        return self.parent.pid if self.parent else 0

    @property
    def umask(self) -> int:
        """The mode bits that creation leaves out."""
        return self.fs.umask

    @property
    def cpu(self) -> Context:
        """The registers of a task in machine code."""
        assert self.context is not None, "a Python program has no registers"
        return self.context

    @property
    def alive(self) -> bool:
        """Tell whether the task still has an address space."""
        return self.exit_status is None

    @property
    def usage(self) -> Usage:
        """Faults and resident memory of its address spaces, also after its end."""
        return Usage(*self.faults, self.max_rss)

    @property
    def has_news(self) -> bool:
        """Tell whether there may be something that the parent has not been told of yet."""
        return not self.alive or bool(self.thread.stopped and not self.stop_seen) or self.continued

    @property
    def state(self) -> str:
        """The letter of /proc/PID/stat: running, sleeping, stopped or zombie."""
        if not self.alive:
            return "Z"
        if self.thread.stopped:
            return "T"
        return "S" if self.thread.waiting is not None else "R"

    # ---- credentials ----

    @property
    def uid(self) -> int:
        """Who the task acts as towards files and objects: fsuid, which follows the effective id."""
        return self.cred.fsuid

    @property
    def gid(self) -> int:
        """The group it acts as: fsgid."""
        return self.cred.fsgid

    @property
    def groups(self) -> tuple[int, ...]:
        """The supplementary groups, in order."""
        return self.cred.groups

    @property
    def caps(self) -> frozenset[str]:
        """The effective capabilities."""
        return self.cred.effective

    def capable(self, capability: str) -> bool:
        """Tell whether the task holds the capability, for example "CAP_IPC_LOCK"."""
        return capability in self.cred.effective

    def set_credentials(self, uid: int, gid: int, caps: frozenset[str]) -> None:
        """Become uid and gid with exactly these capabilities. Errors: ValueError (unknown ones)."""
        self.use_credentials(Credentials.of(uid, gid, caps))

    def use_credentials(self, cred: Credentials) -> None:
        """Act with other credentials from now on; the core is told what they allow."""
        if cred.uid != self.cred.uid and self.pid in self.kernel.tasks:
            self.kernel.tasks.count_user(self.cred.uid, -1)
            self.kernel.tasks.count_user(cred.uid, 1)
        self.cred = cred
        self.limits.may_lock = "CAP_IPC_LOCK" in cred.effective
        self.limits.may_low = "CAP_SYS_RAWIO" in cred.effective

    def set_attributes(self, **changed: int) -> None:
        """Change some of the task's own attributes."""
        self.attributes = self.attributes._replace(**changed)

    def set_personality(self, persona: int) -> None:
        """Set the execution domain, of which the core obeys one bit."""
        self.set_attributes(personality=persona)
        self.limits.read_implies_exec = bool(persona & READ_IMPLIES_EXEC)

    @contextmanager
    def acting(self, cred: Credentials) -> Iterator[None]:
        """Act with other credentials for a while, as access(2) does."""
        old = self.cred
        self.use_credentials(cred)
        try:
            yield
        finally:
            self.use_credentials(old)

    def may_trace(self, other: Task, ids: Ids = Ids.FILE) -> bool:
        """Tell whether the task may look into another one: ptrace, /proc/PID/mem and the like.

        ids: the caller's that count. Source: ptrace(2), "Ptrace access mode checking".
        """
        if self is other or self.capable("CAP_SYS_PTRACE"):
            return True
        return bool(other.dumpable or not other.alive) and self.cred.covers(other.cred, ids)

    def use_mm(self, mm: Mm) -> None:
        """Run in another address space, whose user the task becomes, from now on."""
        self._leave_mm()
        self.mm = mm
        if self.context is not None:
            self.context.enter(mm.handle)

    @property
    def max_rss(self) -> int:
        """The most pages that were ever resident, of any address space it had."""
        return max(self.thread.max_rss, int(self.mm.counters.hiwater_rss))

    @property
    def faults(self) -> tuple[int, int]:
        """Minor and major faults so far."""
        before, now = self.thread.faults, self.mm.counters
        return before[0] + int(now.min_flt), before[1] + int(now.maj_flt)

    def _leave_mm(self) -> None:
        """Note what the address space has used, and let it go."""
        self._note_usage()
        self.mm.put()

    def _note_usage(self) -> None:
        self.thread.max_rss, self.thread.faults = self.max_rss, self.faults

    def take_usage(self, child: Task) -> None:
        """Add what a child that was waited for has used, with its own children."""
        own, its = self.thread, child.thread
        own.child_cpu_ns += its.cpu_ns + its.child_cpu_ns
        own.child_max_rss = max(own.child_max_rss, child.max_rss, its.child_max_rss)
        minor, major = child.faults
        own.child_faults = (
            own.child_faults[0] + minor + its.child_faults[0],
            own.child_faults[1] + major + its.child_faults[1],
        )

    # ---- life and death ----

    def fork(self) -> Task:
        """Return a child with a copy-on-write copy of everything. Errors: ENOMEM, EAGAIN."""
        self._need_process()
        child = Task(self.kernel, self.kernel.tasks.next_pid(), self.name, self.argv, self)
        handle = ffi.new(MM_HANDLE)
        with self.kernel.userfaults.inherited(self) as heirs:
            self.mm.call(lib.mm_fork, child.limits, handle)
        child.mm = Mm(self.kernel.memory, child, handle[0])
        child.mm.areas = self.mm.areas
        self._born(child)
        try:
            self.kernel.userfaults.tell_fork(self, child.mm, heirs)
        except TaskKilled:  # while a monitor was waited for
            child.die_of(SIGKILL)
            raise
        return child

    def fork_sharing(self) -> Task:
        """Return a child that runs in the same address space, as vfork does. Errors: EAGAIN."""
        self._need_process()
        child = Task(self.kernel, self.kernel.tasks.next_pid(), self.name, self.argv, self)
        child.mm = self.mm.get()
        child.thread.rseq = None  # the area is the parent's
        minor, major = self.faults
        child.thread.faults = (-minor, -major)  # up to now they are, too
        return self._born(child)

    def _need_process(self) -> None:
        """Refuse a user one more task than RLIMIT_NPROC allows. Errors: EAGAIN."""
        has = self.kernel.tasks.of_user.get(self.cred.uid, 0)
        if has < self.rlimits["nproc"][0] or not self.cred.uid:
            return
        if not self.cred.effective & {"CAP_SYS_RESOURCE", "CAP_SYS_ADMIN"}:
            raise SyscallError(errno.EAGAIN)

    def _born(self, child: Task) -> Task:
        """Give a child what must be given back, and enter it."""
        if self.context is not None:
            try:
                child.context = self.context.copy()
            except SyscallError:
                child.mm.put()
                raise
            child.context.enter(child.mm.handle)
        child.fds = self.fds.copy(child)
        if self.exe is not None:
            self.exe.descriptors += 1
            child.exe = self.exe
        child.parent = self
        self.children.append(child)
        self.kernel.tasks.enter(child)
        return child

    def become(self, program: Program) -> None:
        """Run another program from now on: everything of the old one is given up."""
        robust.release(self)
        self._note_usage()
        old, self.mm = self.mm, program.mm
        self.cpu.enter(program.mm.handle)
        self.cpu.start(program.rip, program.rsp)
        old.put()
        self._drop_exe()
        self.use_credentials(self.cred.after_exec())
        self.exe, self.name, self.argv = program.exe, program.name[:15], program.argv
        self.program = program.exe.path
        self.has_execed, self.dumpable = True, 1
        self.set_personality(self.attributes.personality & ~READ_IMPLIES_EXEC)
        self.signals.reset_for_exec()
        self.thread.alt_stack, self.thread.rseq = Thread().alt_stack, None
        for fd in sorted(self.fds.cloexec):
            self.fds.close(fd)
        self.let_parent_go()

    def let_parent_go(self) -> None:
        """Wake the parent that a vfork keeps waiting."""
        parent, self.thread.vfork_parent = self.thread.vfork_parent, None
        if parent is not None:
            self.kernel.wake(("vfork", self.pid))

    def _drop_exe(self) -> None:
        exe, self.exe = self.exe, None
        if exe is not None:
            exe.put()

    def exit(self, status: int) -> None:
        """End with an exit code (0-255); a no-op on a task that has ended."""
        self._end((status & 0xFF) << 8)

    def die_of(self, signo: int) -> None:
        """End as a signal ends a task."""
        self._end(signo)

    def _end(self, wait_status: int) -> None:
        if self.alive:
            robust.release(self)
        if not self.alive:  # or killed for the memory that this took
            return
        self.exit_status = wait_status
        self.attention = True
        self.fds.close_all()
        self._drop_exe()
        if self.context is not None:
            self._leave_processor()
        self._leave_mm()
        self.kernel.segments.sweep()
        self.kernel.semaphores.exit(self.pid)
        self.kernel.messages.leave(self.pid)
        self.kernel.queues.leave(self.pid)
        self._orphan_children()
        self._tell_parent()
        self.tell_pidfds()

    @property
    def is_reaped(self) -> bool:
        """Tell whether it has ended and been waited for."""
        return self.kernel.tasks.get(self.pid) is not self

    def tell_pidfds(self) -> None:
        """Let those who wait for the process by a descriptor look again."""
        if self.pid_inode is not None:
            wake(self.pid_inode)

    def _leave_processor(self) -> None:
        if self.kernel.scheduler is not None:
            self.kernel.scheduler.forget(self)
        self.cpu.close()
        self.let_parent_go()

    def _tell_parent(self) -> None:
        """Become a zombie that a parent in machine code hears of, or nothing at all."""
        parent, scheduler = self.parent, self.kernel.scheduler
        if parent is not None:
            parent.children.tell(self)
        if parent is None:
            self.kernel.tasks.reap(self)
        elif scheduler is not None and parent.alive:
            if parent is self.kernel.tasks.init or not parent.signals.wants_zombies():
                parent.children.remove(self)
                self.kernel.tasks.reap(self)
            scheduler.tell_end(self)

    def _orphan_children(self) -> None:
        """Hand the children over to a subreaper, to init, or to nobody where there is none."""
        if not len(self.children):
            return
        heir = self._heir()
        for child in list(self.children):
            if child.trace is not None:
                child.die_of(SIGKILL)  # nobody could let it go
            child.parent = heir
            if child.alive and child.attributes.pdeath_signal:
                send(child, SigInfo(child.attributes.pdeath_signal, SI_USER, si_pid=self.pid))
            if not child.alive:
                self.kernel.tasks.reap(child)
            elif heir is not None:
                heir.children.append(child)
        self.children = Children()

    def _heir(self) -> Task | None:
        """Return who adopts the orphans: the nearest subreaper above, init, or nobody."""
        above = self.parent
        while above is not None and not (above.alive and above.attributes.subreaper):
            above = above.parent
        init = self.kernel.tasks.init
        return above or (init if init is not self else None)

    def wait(self, pid: int) -> Task | None:
        """Reap a dead child (pid > 0: that one; -1: any); None if none is dead. Errors: ECHILD."""
        one = self.children.get(pid)
        if not len(self.children) or (pid != -1 and one is None):
            raise SyscallError(errno.ECHILD)
        chosen = self.children.first(lambda child: None if child.alive else child)
        dead = chosen if one is None else None if one.alive else one
        if dead is not None:
            self.children.remove(dead)
            self.kernel.tasks.reap(dead)
        return dead
