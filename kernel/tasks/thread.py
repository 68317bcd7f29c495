"""What the kernel keeps of a task's run through machine code, beside its registers.

Owns nothing that a Python program needs: a task without a context leaves all of this alone. Owns
how the two ways into the kernel differ: the instruction syscall, and int 0x80 from the same 64-bit
code. A call by int 0x80 has its number in Thread.call marked with IA32, above what a register
holds; who asks for a register's value takes the mark off.
Source: Linux 6.18 arch/x86/entry/syscall_32.c.
"""

from __future__ import annotations

from pkern.kernel.core import ffi
from pkern.kernel.errors import MemoryFault, SyscallError, TaskKilled
from pkern.kernel.lean import suppress
from pkern.kernel.tasks.registers.rseq import Area
from pkern.kernel.tasks.signal.altstack import NO_ALT_STACK, AltStack
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.values import NamedTuple
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.tasks.registers.debugregs import DebugRegisters, Watch
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

Made = tuple[int, tuple[int, ...]]  # a system call: number and registers

RUNNER = ffi.typeof("struct runner *")
NO_CALL = (1 << 64) - 1  # in orig_rax: it has not come by a system call
IA32 = 1 << 64  # in a call's number: it is one of the i386 table
GIVEN_AWAY = 1 << 65  # in a call's number: a listener of a filter answers it
WORD, HALF = (1 << 64) - 1, (1 << 32) - 1


class Entry(NamedTuple):
    """A way in. mask: what counts of a call's number. mark: IA32 or 0.

    audit_arch: AUDIT_ARCH_*, by which filters and tracers know it. restart: restart_syscall's
    number. strict: what seccomp's strict mode allows: read, write, exit, sigreturn.
    """

    arguments: tuple[str, ...]
    mask: int
    mark: int
    audit_arch: int
    restart: int
    strict: frozenset[int]


SYSCALL = Entry(
    ("rdi", "rsi", "rdx", "r10", "r8", "r9"), WORD, 0, 0xC000003E, 219, frozenset({0, 1, 15, 60})
)
INT80 = Entry(
    ("rbx", "rcx", "rdx", "rsi", "rdi", "rbp"), HALF, IA32, 0x40000003, 0, frozenset({3, 4, 119, 1})
)


def entry_of(task: Task) -> Entry:
    """Return how a task came into the kernel the last time."""
    return INT80 if task.context is not None and task.context.in_ia32_call else SYSCALL


def entry_by_number(nr: int) -> Entry:
    """Return by which way a call came that has this number in Thread.call."""
    return INT80 if nr & IA32 else SYSCALL


class Interval:
    """One interval timer: nanoseconds of its clock; expires 0 is off. shot tells old from new.

    expired: when it did so last; a real one that repeats waits then until its signal is taken.
    """

    def __init__(self) -> None:
        self.expires = self.expired = 0
        self.interval = 0
        self.shot = 0


class Thread:
    """One task's side of the scheduler.

    runner: the core's share in it. call: the system call that is not finished yet. progress: what
    such a call remembers between its tries; None before the first and after the last. kept: the
    open files that it stays with; fd: the descriptor that it will return (kept_files.py). parked:
    what it waits for, but for a sleep of the core's; None while the task can run. undo: what an
    unfinished call undoes if its task ends, None: nothing. stopped: the signal that stopped the
    task, 0 while it may run. sleeps_in_call: how often, one within the other, it lets others run in
    the middle of its call.
    """

    __slots__ = (
        "alt_stack", "call", "clear_child_tid", "debug", "fault", "fd", "kept", "let_through",
        "may_restart", "orig_rax", "parked", "progress", "requests", "restart", "restart_block",
        "rings", "robust_list", "rseq", "runner", "saved_mask", "sleeps_in_call", "stopped", "then",
        "undo", "vfork_parent", "watched", "works",
    )  # fmt: skip

    def __init__(self) -> None:
        self.runner: Any = ffi.new(RUNNER)
        self.call: Made | None = None
        self.progress: Any = None
        self.kept: dict[int, File] | None = None
        self.fd: int | None = None
        self.parked: WouldBlock | None = None
        self.undo: Callable[[], None] | None = None
        self.works: list[Callable[[], None]] = []  # to be done in the kernel: Sleepers.work
        self.rings: dict[int, File] = {}  # that it knows by a number: syscalls/io_uring/known.py
        self.requests: dict[Any, Callable[[], None]] = {}  # of rings; how each is called off
        self.stopped = 0
        self.sleeps_in_call = 0
        self.saved_mask: int | None = None  # restored after the handlers a sigsuspend let in
        self.alt_stack: AltStack = NO_ALT_STACK
        self.clear_child_tid = 0
        self.robust_list = 0  # address of its head
        self.rseq: Area | None = None
        self.vfork_parent: Any = None
        self.then: Any = None  # what is left to do before it runs: trace.py
        self.let_through: Any = None  # the signal that goes with it
        self.orig_rax = NO_CALL  # the call that it leaves; NO_CALL: none, or it runs
        self.may_restart = 0  # 1: rax may say that the call is to be made again
        self.restart_block: Any = None  # such a call, with its progress
        self.restart = 0  # the errno, inside the kernel, of a call that a signal interrupts
        self.debug: DebugRegisters | None = None  # once a debugger has set one
        self.watched: dict[Watch, bytes] = {}  # what stands at the places it is watched at
        self.fault = (0, 0, 0)  # the last one: cr2, error code, vector

    def undo_call(self) -> None:
        """Undo what an unfinished call has begun that ends with its task."""
        undo, self.undo = self.undo, None
        if undo is not None:
            with suppress(SyscallError, MemoryFault, TaskKilled):  # of what it stores
                undo()

    def forget_rings(self) -> None:
        """Hold no rings any more, nor wait by one: it ends, or runs another program."""
        for call_off in list(self.requests.values()):
            call_off()
        rings, self.rings = self.rings, {}
        for file in rings.values():
            file.put()

    @property
    def cpu_ns(self) -> int:
        """Virtual time that it has run, but for the turn that it is in."""
        return int(self.runner.cpu_ns)
