"""A task: one thread, who it is, what it may do, and what it holds.

Owns what Linux's task_struct owns: the thread's number and name, credentials, settings, registers,
and its part in what it may share with others: address space, descriptors, directories, handlers.
What belongs to all threads of a process is its Group's; clone.py says what a new task shares.
"""

from __future__ import annotations

import errno
from itertools import chain

from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.lean import contextmanager
from pkern.kernel.mm.mm import Mm
from pkern.kernel.tasks.attributes import DUMP_USER, Attributes, IoContext, IoCounters, Usage
from pkern.kernel.tasks.children import Children
from pkern.kernel.tasks.credentials import Credentials, Ids
from pkern.kernel.tasks.dying import end_others
from pkern.kernel.tasks.group import Group, Times
from pkern.kernel.tasks.locks import robust
from pkern.kernel.tasks.rlimits import Rlimits
from pkern.kernel.tasks.signal.altstack import NO_ALT_STACK
from pkern.kernel.tasks.signal.signals import SIGCHLD, Handlers, Signals
from pkern.kernel.tasks.thread import Thread
from pkern.kernel.typed import TYPE_CHECKING, Any, Iterator
from pkern.kernel.vfs.file import FdTable, File
from pkern.kernel.vfs.fs_struct import NOWHERE, FsStruct
from pkern.kernel.vfs.inode import MAY_READ, Inode
from pkern.kernel.wait import Restart

if TYPE_CHECKING:
    from pkern.kernel.cpu.processor import Context
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.tasks.filter.dispatch import Dispatch
    from pkern.kernel.tasks.filter.seccomp import Seccomp
    from pkern.kernel.tasks.machine import Face, Machine
    from pkern.kernel.tasks.nsproxy import Nsproxy
    from pkern.kernel.tasks.program.exec import Program
    from pkern.kernel.tasks.thread import Made
    from pkern.kernel.tasks.trace import Trace
    from pkern.kernel.vfs.anon.pidfd import PidInode
    from pkern.kernel.vfs.undo import Undo
    from pkern.kernel.wait import WouldBlock

READ_IMPLIES_EXEC = 0x400000  # of personality(2)
# The letters of /proc/PID/stat in the words of /proc/PID/status.
STATES = {"R": "running", "S": "sleeping", "D": "disk sleep", "T": "stopped", "Z": "zombie"}


def short_name(name: str) -> str:
    """Return as much of a name as a task keeps: 15 bytes. Source: TASK_COMM_LEN of Linux."""
    return name.encode("utf-8", "surrogateescape")[:15].decode("utf-8", "surrogateescape")


class Task:
    """One thread; made by Kernel.spawn (the first of a process) or clone.clone.

    group: of the process that it is one more thread of; None: it leads a process of its own, which
    origin, the group of the task that it is cloned from, hands down to it.
    """

    __slots__ = (  # __weakref__: strace knows who it has shown
        "__weakref__", "argv", "attention", "attributes", "context", "cred", "dispatch", "dumping",
        "exe", "exit_status", "faces", "fds", "fs", "group", "has_execed", "io", "io_context",
        "kernel", "mm", "name", "nsproxy", "pid", "pid_inode", "pid_ns", "program",
        "revirt_vsyscalls", "runner", "seccomp", "signals", "start_ns", "thread", "too_many",
        "trace", "undo",
    )  # fmt: skip

    def __init__(
        self,
        kernel: Machine,
        pid: int,
        name: str,
        argv: list[str],
        group: Group | None = None,
        origin: Group | None = None,
    ) -> None:
        self.kernel = kernel
        self.pid = pid  # the thread's, which is its process's if it leads
        self.name = name
        self.argv = argv
        self.group = group or Group(kernel, self, origin)
        self.start_ns = kernel.clock.now_ns
        self.io = IoCounters()
        self.exit_status: int | None = None  # of the thread, as wait4 would report it
        self.context: Context | None = None  # registers; None: a Python program
        self.thread = Thread()
        self.runner = self.thread.runner  # which is the same as long as the thread is
        self.attention = False  # look at signals before going back to machine code
        self.has_execed = False
        self.too_many = 0  # 1: of its user's tasks, since it became that user
        self.dumping = False  # a core file of it is being written
        self.program = ""  # the path of what it last became
        self.exe: File | None = None
        self.trace: Trace | None = None
        self.seccomp: Seccomp | None = None  # which calls it may make; None: all
        self.dispatch: Dispatch | None = None  # which it is told of instead of making them
        self.pid_inode: PidInode | None = None  # while descriptors of it may be open
        self.undo: Undo | None = None  # of semaphores, once it has asked for that
        self.io_context: IoContext | None = None
        self.revirt_vsyscalls = 0  # PR_SET_VSYSCALL: its vsyscalls make real system calls
        self.faces: list[Face] = []  # of a Python program
        self.mm: Mm
        self.fs: FsStruct
        self.fds: FdTable
        self.signals: Signals
        self.cred: Credentials
        self.attributes: Attributes
        self.nsproxy: Nsproxy
        self.pid_ns: PidNamespace  # in which, and above which, it has its number

    def start_afresh(self) -> None:
        """Hold what the first task of a machine holds, and nothing of another's."""
        self.cred = Credentials()
        self.nsproxy = self.kernel.nsproxy
        self.pid_ns = self.nsproxy.pid
        self.attributes = Attributes()
        self.fs = FsStruct(self.kernel.vfs.top, self.kernel.vfs.top)
        self.signals = Signals(Handlers(), self.group.pending)
        self.fds = FdTable(self, {}, set())

    def __repr__(self) -> str:
        return f"<Task {self.pid} '{self.name}' uid {self.cred.uid}, {STATES[self.state]}>"

    # ---- numbers ----

    def number_of(self, pid: int) -> int:
        """Return the number of a task, group or session as this task sees it; 0: it does not."""
        return self.pid_ns.number_of(pid)

    def pid_of(self, number: int) -> int:
        """Return the pid that this task calls by a number; 0: there is none."""
        return self.pid_ns.pid_of(number)

    def find(self, number: int) -> Task | None:
        """Return the task that this one calls by a number, or None."""
        return self.kernel.tasks.get(self.pid_ns.pid_of(number))

    @property
    def number(self) -> int:
        """Its own number as it sees that: its tid."""
        return self.pid_ns.number_of(self.pid)

    # ---- what its process owns ----

    @property
    def tgid(self) -> int:
        """The process's number, which getpid() tells."""
        return self.group.pid

    @property
    def parent(self) -> Task | None:
        """The task that made its process, or adopted it; None: the kernel itself spawned it."""
        return self.group.parent

    def fail_nth(self, nth: int) -> None:
        """Let the nth allocation fail that its calls and faults ask for from now on; 0: none."""
        self.kernel.memory.failures.arm(self, nth)
        if self.context is not None and self.kernel.scheduler is not None:
            self.kernel.scheduler.count_allocations()
        for face in self.faces:
            face.count_allocations()

    def take_faces(self) -> list[Face]:
        """Return what its Python program made its calls through, which it does no more."""
        faces, self.faces = self.faces, []
        return faces

    @property
    def ppid(self) -> int:
        """The parent's pid; 0 for a process that the kernel itself spawned."""
        return self.group.parent.tgid if self.group.parent else 0

    @property
    def children(self) -> Children:
        """Its process's children."""
        return self.group.children

    @property
    def rlimits(self) -> Rlimits:
        """Its process's resource limits."""
        return self.group.rlimits

    @property
    def limits(self) -> Any:
        """The core's struct of limits; what the task may exceed stands in it while it runs."""
        return self.group.limits

    @property
    def oom_score_adj(self) -> int:
        """What its process's score is moved by, in thousandths of all memory."""
        return self.group.oom_score_adj

    @oom_score_adj.setter
    def oom_score_adj(self, thousandths: int) -> None:
        self.group.oom_score_adj = thousandths

    @property
    def pgid(self) -> int:
        """Its process group."""
        return self.group.pgid

    @property
    def sid(self) -> int:
        """Its session."""
        return self.group.sid

    @property
    def tty(self) -> Any:
        """Its process's controlling terminal: an inode, or None."""
        return self.group.tty

    @property
    def dumpable(self) -> int:
        """Whether others of its user may look into its memory: PR_SET_DUMPABLE."""
        return self.mm.settings.dumpable

    # ---- state ----

    @property
    def umask(self) -> int:
        """The mode bits that creation leaves out."""
        return self.fs.umask

    @property
    def cpu(self) -> Context:
        """The registers of a task in machine code. Errors: AttributeError: it runs none."""
        if self.context is None:
            raise AttributeError(
                f"task {self.pid} ({self.name}) is a Python program's: it has no registers"
            )
        return self.context

    @property
    def alive(self) -> bool:
        """Tell whether the thread has not ended: it still has an address space."""
        return self.exit_status is None

    @property
    def ends(self) -> bool:
        """Whether its process is at its end, or past it."""
        return self.group.exit_code is not None

    @property
    def usage(self) -> Usage:
        """Faults and resident memory of its process's address spaces, also after its end."""
        times = self.group.times
        return Usage(times.minor, times.major, times.max_rss)

    @property
    def times(self) -> Times:
        """What the thread itself has used."""
        minor, major = self.faults
        return Times(self.time_ns, minor, major, self.max_rss)

    @property
    def time_ns(self) -> int:
        """The processor time of the thread up to now, in nanoseconds."""
        scheduler = self.kernel.scheduler
        return self.thread.cpu_ns + (scheduler.turns.time_of(self) if scheduler else 0)

    @property
    def state(self) -> str:
        """The letter of /proc/PID/stat. D: only what kills it ends its sleep."""
        if not self.alive:
            return "Z"
        if self.thread.stopped:
            return "T"
        scheduler = self.kernel.scheduler
        waits = (
            scheduler is not None and scheduler.idle.waits_for_host and scheduler.running is self
        )
        if waits:
            return "S"
        wait = self.waiting
        if wait is None:
            return "R"
        return "D" if wait.restart is Restart.NEVER else "S"

    @property
    def is_held(self) -> bool:
        """Whether the task stands still for its tracer."""
        return self.trace is not None and self.trace.held

    @property
    def waiting(self) -> WouldBlock | None:
        """What the task waits for, in Python or in the core; None while it can run."""
        if self.runner.asleep:
            self.kernel.need_scheduler().sleepers.bring(self)
        return self.thread.parked

    @property
    def unfinished(self) -> Made | None:
        """The system call that the task waits in, whoever serves it, or is to make again."""
        if self.runner.asleep:
            assert self.waiting is not None  # now the call is known here
        return self.thread.call

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
        """The effective capabilities, in the task's own namespace of users."""
        return self.cred.effective

    def capable(self, capability: str) -> bool:
        """Tell whether the task holds a capability over the machine, for example "CAP_IPC_LOCK"."""
        return capability in self.cred.effective and not self.cred.user_ns.level

    def capable_in(self, user_ns: UserNamespace, capability: str) -> bool:
        """Tell whether the task holds a capability over what a user namespace owns."""
        return self.cred.has(capability, user_ns)

    def capable_over(self, inode: Inode, capability: str) -> bool:
        """Tell whether the task holds a capability over a file: one of its own namespace's ids."""
        own = self.cred.user_ns
        return capability in self.cred.effective and own.has(inode.uid, inode.gid)

    def set_credentials(self, uid: int, gid: int, caps: frozenset[str]) -> None:
        """Become uid and gid with exactly these capabilities, which Linux has.

        The namespace of users is the initial one.
        """
        self.use_credentials(Credentials.of(uid, gid, caps))

    def use_credentials(self, cred: Credentials) -> None:
        """Act with other credentials from now on; the core is told what they allow."""
        if cred.uid != self.cred.uid and self.pid in self.kernel.tasks:
            self.kernel.tasks.count_user(self.cred.uid, -1)
            self.kernel.tasks.count_user(cred.uid, 1)
        self.cred = cred
        self.group.part()
        self.show_rights()
        self.forget_answers()

    def show_rights(self) -> None:
        """Tell the core, which obeys the struct limits, what this thread may exceed."""
        self.limits.may_lock = self.capable("CAP_IPC_LOCK")
        self.limits.may_low = self.capable("CAP_SYS_RAWIO")
        self.limits.read_implies_exec = bool(self.attributes.personality & READ_IMPLIES_EXEC)

    def show_time(self) -> None:
        """Tell the core, which answers what the time is, whether this task has its own."""
        if self.context is not None:
            self.context.set_own_time(int(any(self.nsproxy.time.offsets.values())))

    def has_rights_of(self, other: Task) -> bool:
        """Tell whether what the core was last told of another thread is so of this one too."""
        persona = self.attributes.personality
        return self.cred is other.cred and persona == other.attributes.personality

    def forget_answers(self) -> None:
        """Let the core ask again who the task is: it remembers what it was told."""
        if self.context is not None:
            self.context.forget_answers()

    def set_attributes(self, **changed: int) -> None:
        """Change some of the task's own attributes."""
        self.attributes = self.attributes._replace(**changed)
        self.group.part()

    def filter_calls(self, seccomp: Seccomp) -> None:
        """Make only the system calls that are allowed, from the next one on."""
        self.seccomp = seccomp
        self._look_at_calls()

    def dispatch_calls(self, dispatch: Dispatch | None) -> None:
        """Be told of system calls instead of making them, or (None) make them all."""
        self.dispatch = dispatch
        self._look_at_calls()

    def _look_at_calls(self) -> None:
        self.attention = True
        self.group.part()

    def set_personality(self, persona: int) -> None:
        """Set the execution domain, of which the core obeys one bit."""
        self.set_attributes(personality=persona)
        self.show_rights()

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
        right = "CAP_SYS_PTRACE"
        if self.group is other.group:
            return True
        able = self.capable_in(other.cred.user_ns, right)
        if not able and not self.cred.covers(other.cred, ids):
            return False
        shown = not other.alive or other.dumpable == DUMP_USER
        return shown or self.capable_in(other.mm.settings.user_ns, right)

    def look_into(self, mm: Mm, start: int, nbytes: int) -> bytes:
        """Return memory of a task that this one reads about; it may have gone. b"": it has."""
        try:
            return mm.copy_in(start, nbytes)
        except SyscallError:
            return b""

    def look_past(self, mm: Mm, start: int, nbytes: int) -> bytes:
        """Return memory past its protection, as far as it can be read: /proc/PID/mem."""
        return mm.read_forced(start, nbytes)

    def use_mm(self, mm: Mm) -> None:
        """Run in another address space, whose user the task becomes, from now on."""
        self._leave_mm()
        self.mm = mm
        if self.context is not None:
            self.context.enter(mm.handle)

    @property
    def max_rss(self) -> int:
        """The most pages that were ever resident in its address space; 0 once it has left it."""
        return int(self.mm.counters.hiwater_rss) if self.alive else 0

    @property
    def faults(self) -> tuple[int, int]:
        """Minor and major faults so far."""
        return int(self.runner.min_flt), int(self.runner.maj_flt)

    def _leave_mm(self) -> None:
        """Note what the address space has used, and let it go."""
        mm, group = self.mm, self.group
        group.max_rss = max(group.max_rss, int(mm.counters.hiwater_rss))
        if mm.users > 1 and mm.process is self:
            mm.serve(self._successor() or self)
        mm.put()
        if self.kernel.vfs.mapped_only:
            self.kernel.vfs.end_unmapped()

    def _successor(self) -> Task | None:
        """Return another task that runs in the address space: of the process, or any."""
        everyone = chain(self.group.threads.values(), self.kernel.tasks.values())
        return next((t for t in everyone if t is not self and t.alive and t.mm is self.mm), None)

    # ---- life and death ----

    def tasks_of_user(self, uid: int) -> int:
        """Return how many tasks a user has."""
        return self.kernel.tasks.of_user.get(uid, 0)

    @property
    def most_tasks(self) -> int:
        """How many tasks its user may have: RLIMIT_NPROC."""
        return self.group.rlimits.soft["nproc"]

    def need_room_to_execute(self) -> None:
        """Refuse execve to who became a user with more tasks than allowed. Errors: EAGAIN.

        setuid does not fail for that, so execve does, until there is room once. Source: execve(2).
        """
        if self.too_many and self.tasks_of_user(self.cred.uid) > self.most_tasks:
            raise SyscallError(errno.EAGAIN)
        self.too_many = 0

    def become(self, program: Program) -> None:
        """Run another program from now on: everything of the old one is given up.

        The process's other threads end, and the caller leads it. Source: execve(2).
        """
        pid, name = self.pid, self.name
        self._stand_alone()
        robust.release(self)
        program.mm.settings = self.mm.settings.after_exec(self.cred.user_ns)
        self._leave_mm()
        self.mm = program.mm
        self.cpu.enter(program.mm.handle)
        self.cpu.start(program.rip, program.rsp)
        self._drop_exe()
        self.mm.set(dumpable=self._dumpable_after(program))
        self.use_credentials(program.rights.cred)
        if program.rights.secure:
            self.set_attributes(pdeath_signal=0)
        self.exe, self.name, self.argv = program.exe, short_name(program.name), program.argv
        self.program = program.exe.path
        self.has_execed = True
        if self.nsproxy.time is not self.nsproxy.time_for_children:
            self.nsproxy = self.nsproxy.in_new_time()
            self.show_time()
        self.set_personality(self.attributes.personality & ~READ_IMPLIES_EXEC)
        self.signals.reset()
        self.group.drop_posix_timers()
        self.group.exit_signal = SIGCHLD
        self.thread.alt_stack, self.thread.rseq = NO_ALT_STACK, None
        self.dispatch_calls(None)
        self.fds = self.fds.alone(self)
        self.thread.forget_rings()
        for fd in sorted(self.fds.cloexec):
            self.fds.close(fd)
        self.let_parent_go()
        self.kernel.watch.executed(self, pid, name)

    def _stand_alone(self) -> None:
        """End the process's other threads, and lead it, who may have to be waited for before."""
        group, leader = self.group, self.group.leader
        end_others(self)
        if leader is not self and leader.trace is not None:
            leader.trace.end()  # its tracer is told of the execve instead
        group.take_lead(self)
        group.executes = None

    def _dumpable_after(self, program: Program) -> int:
        """Return what others may see of a new program: nothing of a file that they may not read."""
        cred, readable = program.rights.cred, program.exe.inode.permits(self, MAY_READ)
        gains = not cred.permitted <= self.cred.permitted
        if readable and not gains and (cred.uid, cred.gid) == (cred.euid, cred.egid):
            return DUMP_USER
        return self.kernel.dumps.suid_dumpable

    def let_parent_go(self) -> None:
        """Wake the parent that a vfork keeps waiting."""
        if self.thread.vfork_parent is not None:
            self.thread.vfork_parent = None
            self.kernel.wake(("vfork", self))

    def replace_exe(self, exe: File) -> None:
        """Run, as /proc tells, another file, which gets one descriptor more."""
        exe.descriptors += 1
        self._drop_exe()
        self.exe = exe

    def _drop_exe(self) -> None:
        exe, self.exe = self.exe, None
        if exe is not None:
            exe.put()

    def exit(self, status: int) -> None:
        """End the process with an exit code (0-255); a no-op on one that has ended."""
        self.group.exit((status & 0xFF) << 8)

    def die_of(self, signo: int) -> None:
        """End the process as a signal ends it."""
        self.group.exit(signo)

    def end_thread(self, wait_status: int) -> None:
        """End this thread alone; the process with its last one. wait_status: as wait4 has it."""
        if self.exit_status is None:
            if self.thread.undo is not None:
                self.thread.undo_call()
            if self.thread.kept is not None:
                load("pkern.kernel.tasks.kept_files").let_go(self)
            robust.release(self)
        if self.exit_status is not None:  # or killed for the memory that this took
            return
        self.exit_status = wait_status
        self.group.thread_ends(wait_status)
        self.attention = True
        if self.group.pending.infos:
            load("pkern.kernel.tasks.signal.sending").retarget(self)
        self.signals.handlers.users -= 1
        if self.thread.rings or self.thread.requests:
            self.thread.forget_rings()
        place, self.fs = self.fs.pwd.inode, NOWHERE  # nothing is in use for a zombie's sake
        self.kernel.vfs.left(place)
        self.fds.leave()
        self._drop_exe()
        if self.seccomp is not None:
            self.seccomp.left()
        if self.context is not None:
            self._leave_processor(self.context)
        self._leave_mm()
        if self.undo is not None:
            self.leave_undo()
        self.kernel.leave(self)
        for face in self.faces:
            face.task_ended()
        self.group.thread_ended(self)
        if self.pid_inode is not None:
            self.tell_pidfds()

    def leave_undo(self) -> None:
        """Undo what it asked to have undone, unless it shares that with others."""
        undo, self.undo = self.undo, None
        if undo is not None:
            undo.leave(self.tgid)

    @property
    def delays_end(self) -> bool:
        """Tell whether it leads a process that has other threads, with which its end is told."""
        return self is self.group.leader and self.group.alive

    @property
    def is_reaped(self) -> bool:
        """Tell whether it has ended and been waited for, or forgotten."""
        return self.kernel.tasks.get(self.pid) is not self

    def tell_pidfds(self) -> None:
        """Let those who wait for the thread, or its process, by a descriptor look again."""
        if self.pid_inode is not None:
            load("pkern.kernel.vfs.readiness").wake(self.pid_inode)

    def take_pidfds(self, old: Task) -> None:
        """Be what the descriptors of a thread stand for whose number one has taken over."""
        self.pid_inode, old.pid_inode = old.pid_inode, self.pid_inode
        for task in (self, old):
            if task.pid_inode is not None:
                task.pid_inode.subject = task
        old.tell_pidfds()

    def _leave_processor(self, context: Context) -> None:
        if self.kernel.scheduler is not None:
            self.kernel.scheduler.forget(self)
        context.close()
        if self.thread.vfork_parent is not None:
            self.let_parent_go()
