"""The guest kernel's loop: resume the traced task, take its stop, answer, choose who is next.

Owns the guest's processes and their queue, its clock, and the one host task that they all run in:
to switch is to give that task another address space and other registers. A process keeps the
processor until it blocks, yields, or has had its share of stops or of time.
"""

from __future__ import annotations

import errno
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from pkern.kernel.clock import NEVER_NS
from pkern.kernel.tasks.signal.altstack import NO_ALT_STACK
from pkern.kernel.tasks.signal.signals import (
    SA_NOCLDSTOP,
    SA_NOCLDWAIT,
    SI_USER,
    SIG_IGN,
    SIGCHLD,
    SigInfo,
)
from pkern.kernel.tasks.signal.signames import Signal
from pkern.userland.program import Sys
from pkern.userland.uml import (
    file_calls,
    memory_calls,
    misc_calls,
    process_calls,
    signal_calls,
    signals,
    time_calls,
    timers,
)
from pkern.userland.uml import host as abi
from pkern.userland.uml.files import Block, Descriptors, Emit, Files, OpenFile, Source
from pkern.userland.uml.futexes import Futexes
from pkern.userland.uml.host import FAULT_INFO, PLACE, USER_REGS, Host
from pkern.userland.uml.memory import PAGE, FrameOrder, GuestError, Physical
from pkern.userland.uml.process import (
    CLD_CONTINUED,
    CLD_STOPPED,
    CONTINUED,
    ITIMER_VIRTUAL,
    NEW_FPU,
    Process,
    State,
    end_of,
    load,
)
from pkern.userland.uml.shadow import open_shadow
from pkern.userland.uml.space import EXEC, READ, WRITE, Space, Verdict
from pkern.userland.uml.table import TABLE

# These fill TABLE.
CALLS = (file_calls, memory_calls, misc_calls, process_calls, signal_calls, time_calls)
QUANTUM = 200  # stops
TICK_US = 2000  # of the host's virtual time
ITIMERVAL = struct.Struct("<qqqq")
SYS_SETITIMER, SIGVTALRM = 38, 26
ARGUMENTS = tuple(PLACE[name] for name in ("rdi", "rsi", "rdx", "r10", "r8", "r9"))
ORIG_RAX = PLACE["orig_rax"]
# Calls after which a blocked one may go on: read, write, close, exit, kill, dup2, exit_group.
WAKING = frozenset({0, 1, 3, 20, 33, 60, 62, 231, 234})


class GuestPanic(RuntimeError):
    """The guest kernel cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Config:
    """How a guest is booted: RAM in bytes; the clock's lead over the host's in nanoseconds."""

    ram: int = 32 << 20
    order: FrameOrder = FrameOrder.SCATTERED
    clock_lead_ns: int = 0
    task_vsyscalls: int = 1  # PR_SET_VSYSCALL for the traced task; 0: revirtualised


@dataclass
class Stats:
    """What happened: stops of the traced task by cause, switches, processes, VMAs at most."""

    calls: int = 0
    faults: int = 0
    ticks: int = 0
    switches: int = 0
    forks: int = 0
    execs: int = 0
    vmas: int = 0
    evictions: int = 0
    peak_pages: int = field(default=0, repr=False)

    @property
    def traps(self) -> int:
        """All stops for something that a guest process did."""
        return self.calls + self.faults


class GuestKernel:
    """One guest; run() takes it to the end of its first process."""

    def __init__(self, host: Host, config: Config, out: Emit, err: Emit, source: Source) -> None:
        """Boot: memory, files, the traced task. Errors: OSError of the host's calls.

        out, err: what gets the bytes that the guest writes to its standard descriptors. source:
        what gives those that it reads.
        """
        self.host = host
        self.config = config
        self.physical = Physical(host, config.ram, config.order)
        self.files = Files(self.physical, out, err, source)
        self.processes: dict[int, Process] = {}
        self.stats = Stats()
        self.log: list[str] = []
        self.mode = ""
        self._last_pid = 0
        self._ready: deque[Process] = deque()
        self._blocked: list[Process] = []
        self._loaded: Process | None = None
        self._switched_to = -1  # the descriptor of the task's address space
        self._stops_left = QUANTUM
        self.futexes = Futexes()
        self._boot_ns: int = host.clock_gettime(host.CLOCK_REALTIME)
        self._task = self._start_task()

    def _start_task(self) -> int:
        """Return the pid of a child that asked to be traced and has stopped."""
        child: Sys = self.host.fork()
        if not self.config.task_vsyscalls:
            child.prctl(child.PR_SET_VSYSCALL, 0)
        child.ptrace(abi.PTRACE_TRACEME, 0, 0, 0)
        _start_ticking(child)
        child.kill(child.pid, abi.SIGSTOP)
        self._wait_for_stop(child.pid)
        options = abi.O_TRACESYSGOOD | abi.O_EXITKILL
        self.host.ptrace(abi.PTRACE_SETOPTIONS, child.pid, 0, options)
        return child.pid

    def _wait_for_stop(self, pid: int) -> int:
        _, status = self.host.wait4(pid, 0)
        if status & 0xFF != 0x7F:
            raise GuestPanic(f"the traced task ended with status {status:#x}")
        return int(status) >> 8

    # ---- time ----

    def now_ns(self) -> int:
        """Return the guest's time in nanoseconds since 1970."""
        now: int = self.host.clock_gettime(self.host.CLOCK_REALTIME)
        return now + self.config.clock_lead_ns

    def uptime_ns(self) -> int:
        """Return nanoseconds since the guest was booted."""
        return self.now_ns() - self.config.clock_lead_ns - self._boot_ns

    # ---- processes ----

    def _new_space(self) -> Space:
        shadow = open_shadow(self.host, self.physical.fd)
        self.mode = shadow.mode
        return Space(self.physical, shadow)

    def _enter(self, process: Process) -> Process:
        self.processes[process.pid] = process
        self._ready.append(process)
        return process

    def _next_pid(self) -> int:
        self._last_pid += 1
        return self._last_pid

    def start(self, path: str, argv: list[bytes], envp: list[bytes]) -> Process:
        """Make the first process. Errors: GuestError (no such program, or no program)."""
        process = Process(self._next_pid(), None, self._new_space(), Descriptors(), [])
        process.group = process.session = process.pid
        console = OpenFile(self.files.console, 2, "/dev/console")
        errors = OpenFile(self.files.errors, 2, "/dev/console")
        for fd, file in enumerate((console, console, errors)):
            process.fds.put_at(fd, file)
        self.execute(process, path, argv, envp)
        return self._enter(process)

    def execute(self, process: Process, path: str, argv: list[bytes], envp: list[bytes]) -> None:
        """Replace a process's program; it is unchanged if that fails. Errors: GuestError."""
        inode, space = self.files.lookup_program(path), self._new_space()
        try:
            regs = load(space, inode, argv, envp)
        except GuestError:
            space.put()
            raise
        old, process.space, process.regs = process.space, space, regs
        self._leave(process, old)
        process.fds.close_for_exec()
        ignored = (n for n in process.actions if signals.action_of(process, n).handler == SIG_IGN)
        process.actions = {signo: process.actions[signo] for signo in ignored}
        self.set_fpu(process, NEW_FPU)
        process.alt_stack, process.has_execed, process.program = NO_ALT_STACK, True, path
        process.name = argv[0].decode("utf-8", "replace").rpartition("/")[2] if argv else ""
        self.stats.execs += 1

    def fork(self, parent: Process) -> Process:
        """Return a copy of a process, ready to run. Errors: GuestError(ENOMEM)."""
        return self._born(parent, parent.space.fork(open_shadow(self.host, self.physical.fd)))

    def fork_sharing(self, parent: Process) -> Process:
        """Return a copy that runs in the same address space."""
        parent.space.users += 1
        return self._born(parent, parent.space)

    def _born(self, parent: Process, space: Space) -> Process:
        child = Process(self._next_pid(), parent, space, parent.fds.copy(), list(parent.regs))
        child.fpu = abi_fpu(self.host, self._task)
        child.name, child.cwd, child.program = parent.name, parent.cwd, parent.program
        child.group, child.session = parent.group, parent.session
        child.alt_stack = parent.alt_stack
        child.actions, child.blocked_signals = dict(parent.actions), parent.blocked_signals
        child.result(0)
        parent.children.append(child)
        self.stats.forks += 1
        return self._enter(child)

    def end(self, process: Process, status: int) -> None:
        """End a process; status as wait4 reports it."""
        process.state, process.status = State.ZOMBIE, status
        process.fds.close_all()
        self._clear_tid(process)
        self.futexes.leave(process)
        self._leave(process, process.space)
        for child in process.children:
            child.parent = None
            if child.state is State.ZOMBIE:
                del self.processes[child.pid]
        process.children = []
        for queue in (self._ready, self._blocked):
            if process in queue:
                queue.remove(process)
        self._tell_parent(process, *end_of(process))
        if process.pid != 1 and (process.parent is None or _nobody_waits_for(process)):
            self.forget(process)

    def stop(self, process: Process, signo: int) -> None:
        """Stop a process until SIGCONT comes."""
        process.state, process.news = State.STOPPED, signo << 8 | 0x7F
        self._ready.remove(process)
        self._tell_parent(process, CLD_STOPPED, signo)
        self._wake_blocked()

    def resume(self, process: Process) -> None:
        """Let a stopped process go on."""
        if process.state is not State.STOPPED:
            return
        process.state, process.news = State.READY, CONTINUED
        self._ready.append(process)
        self._tell_parent(process, CLD_CONTINUED, Signal.SIGCONT)
        self._wake_blocked()

    def _tell_parent(self, child: Process, code: int, status: int) -> None:
        parent = child.parent
        if parent is None or not child.exit_signal:
            return
        quiet = signals.action_of(parent, SIGCHLD).flags & SA_NOCLDSTOP
        if code < CLD_STOPPED or not quiet:
            info = SigInfo(child.exit_signal, code, si_pid=child.pid, si_status=status)
            signals.send(self, parent, info)

    def forget(self, process: Process) -> None:
        """Drop a process that has ended."""
        if process.parent is not None:
            process.parent.children.remove(process)
        del self.processes[process.pid]

    def _clear_tid(self, process: Process) -> None:
        """Tell who joins a process that shares memory (CLONE_CHILD_CLEARTID)."""
        if not process.clear_tid or process.space.users == 1:
            return
        with suppress(GuestError):
            process.space.write(process.clear_tid, bytes(4))
            self.wake_futex(process, process.clear_tid, 1)

    def _leave(self, process: Process, space: Space) -> None:
        """Take a process out of an address space; a parent that waits for that goes on."""
        if process.borrows:
            process.borrows = False
            self._wake_blocked()
        self._note_peak(space)
        if space.users == 1:
            self.stats.evictions += space.shadow.evictions
            if space.shadow.fd == self._switched_to:
                self._switched_to = -1  # its number may be given to the next one
        space.put()

    def _note_peak(self, space: Space) -> None:
        """Count the VMAs of the task's address space when it shows more pages than any before."""
        if space.shadow.fd != self._switched_to or len(space.table) <= self.stats.peak_pages:
            return
        self.stats.peak_pages = len(space.table)
        maps = read_text(self.host, f"/proc/{self._task}/maps")
        self.stats.vmas = max(self.stats.vmas, maps.count("\n") - maps.count("[vsyscall]"))

    # ---- sleeping ----

    def yield_turn(self) -> None:
        """Let the next process run before the one that runs now."""
        self._stops_left = 0

    def wake(self, process: Process) -> None:
        """Let a process that waits make its call again."""
        self._blocked.remove(process)
        process.state = State.READY
        self._ready.append(process)

    def _wake_blocked(self) -> None:
        for process in self._blocked:
            process.state = State.READY
            self._ready.append(process)
        self._blocked.clear()

    def _idle(self) -> None:
        """Nobody can run: sleep until somebody is due, or the host has what a process waits for.

        Errors: GuestPanic if nobody ever is.
        """
        due = timers.next_due(self)
        left = None if due is None or due >= NEVER_NS else max(0, due - self.uptime_ns())
        if self._has_input(left):
            self._wake_blocked()
        elif left is not None:
            self.host.nanosleep(left)
            timers.wake_due(self)
        else:
            alive = [p for p in self.processes.values() if p.state is not State.ZOMBIE]
            names = ", ".join(f"{p.pid} ({p.name})" for p in alive)
            raise GuestPanic(f"every process waits for another one: {names}")

    def _has_input(self, nanoseconds: int | None) -> bool:
        """Wait so long at most (None: for ever) for what processes read; tell whether it came."""
        source = next((process.source for process in self._blocked if process.source), None)
        return source is not None and source.wait(nanoseconds)

    def wake_futex(self, process: Process, addr: int, most: int) -> int:
        """Wake at most so many that wait for a word; return how many. Errors: GuestError."""
        reached = self.futexes.wake(process, addr, most)
        if reached:
            self._wake_blocked()
        return reached

    # ---- the loop ----

    def shut_down(self) -> None:
        """End the host task that the guest ran in."""
        self.host.kill(self._task, Signal.SIGKILL)  # it may be running: Ctrl-C came
        self.host.wait4(self._task, 0)

    def run(self) -> int:
        """Run until the first process has ended; return its status as wait4 reports it.

        Errors: GuestPanic when every process waits, or the host's task is lost.
        """
        first = self.processes[1]
        while first.state is not State.ZOMBIE:
            process = self._choose()
            if process is None:
                continue
            if process.pending or process.saved_mask is not None:
                signals.act(self, process)
                if process.state is not State.READY:
                    continue
            self._load(process)
            self.host.ptrace(abi.PTRACE_SYSEMU, self._task, 0, 0)
            self._answer(process, self._wait_for_stop(self._task))
        return first.status

    def _choose(self) -> Process | None:
        """Return who runs next; None: look again, a blocked call was made anew."""
        if not self._ready:
            self._idle()
            return None
        if self._stops_left <= 0:
            self._ready.rotate(-1)
            self._stops_left = QUANTUM
            timers.wake_due(self)
            if self._has_input(0):
                self._wake_blocked()
        process = self._ready[0]
        if not process.must_retry:
            return process
        self._call(process)
        return None

    def _load(self, process: Process) -> None:
        """Give the traced task the process's address space and registers."""
        host, task = self.host, self._task
        if process is not self._loaded:
            if self._loaded is not None and self._loaded.state is not State.ZOMBIE:
                self._save(self._loaded)
            host.ptrace(abi.PTRACE_SETFPREGS, task, 0, process.fpu)
            process.regs_changed = True
            self._loaded = process
            self.stats.switches += 1
        if process.space.shadow.fd != self._switched_to:
            host.ptrace(abi.PTRACE_SWITCH_MM, task, 0, process.space.shadow.fd)
            self._switched_to = process.space.shadow.fd
        if process.regs_changed:
            host.ptrace(abi.PTRACE_SETREGS, task, 0, USER_REGS.pack(*process.regs))
            process.regs_changed = False

    def _save(self, process: Process) -> None:
        """Take the registers of the process that ran last out of the traced task."""
        process.fpu = abi_fpu(self.host, self._task)
        if process.regs_stale:
            self._read_registers(process)

    def registers_of(self, process: Process) -> list[int]:
        """Return a process's registers as they are now."""
        if process.regs_stale:
            self._read_registers(process)
        return process.regs

    def fpu_of(self, process: Process) -> bytes:
        """Return a process's x87 and SSE registers as they are now."""
        return abi_fpu(self.host, self._task) if process is self._loaded else process.fpu

    def set_fpu(self, process: Process, state: bytes) -> None:
        """Give a process other x87 and SSE registers."""
        process.fpu = state
        if process is self._loaded:
            self.host.ptrace(abi.PTRACE_SETFPREGS, self._task, 0, state)

    def _read_registers(self, process: Process) -> None:
        regs = USER_REGS.unpack(self.host.ptrace(abi.PTRACE_GETREGS, self._task, 0, 0))
        process.regs = list(regs)
        process.regs_stale = False

    def _answer(self, process: Process, signo: int) -> None:
        self._stops_left -= 1
        process.regs_stale = True
        if signo == abi.CALL_STOP:
            self.stats.calls += 1
            self._read_registers(process)
            self._call(process)
        elif signo == SIGVTALRM:
            self.stats.ticks += 1
            self._stops_left = 0
            timers.tick(self, process, TICK_US * 1000)
        else:
            self.stats.faults += 1
            self._fault(process, signo)

    def _call(self, process: Process) -> None:
        """Make the system call that a process's registers ask for."""
        regs, nr = process.regs, process.regs[ORIG_RAX]
        try:
            result = self._dispatch(process, nr)
        except Block as block:
            self._block(process, block)
            return
        process.call_is_over()
        if process.state is not State.ZOMBIE:
            process.regs_changed = True
            if process.regs is regs:
                process.result(result)
        if nr in WAKING and self._blocked:
            self._wake_blocked()

    def _block(self, process: Process, block: Block) -> None:
        """Put a process aside until its call may go on, unless a signal ends its wait."""
        process.must_retry, process.deadline = True, block.deadline
        process.source = block.source
        signals.interrupt(self, process, block)
        process.regs_changed |= not process.must_retry
        if process.must_retry and process.state is State.READY:
            process.state = State.BLOCKED
            self._ready.remove(process)
            self._blocked.append(process)

    def _dispatch(self, process: Process, nr: int) -> int:
        entry = TABLE.get(nr)
        if entry is None:
            self.log.append(f"{process.name}[{process.pid}]: system call {nr} is missing")
            return -errno.ENOSYS
        _, count, handler = entry
        arguments = [process.regs[place] for place in ARGUMENTS[:count]]
        try:
            return handler(self, process, *arguments)
        except GuestError as error:
            if error.errno == errno.EPIPE:
                signals.send(self, process, SigInfo(Signal.SIGPIPE, SI_USER, si_pid=process.pid))
            return -error.errno

    def _fault(self, process: Process, signo: int) -> None:
        info = self.host.ptrace(abi.PTRACE_FAULTINFO, self._task, 0, 0)
        code, vector, addr = FAULT_INFO.unpack(info)
        if vector == abi.PAGE_FAULT:
            self._page_fault(process, code, addr)
        else:
            told = self.host.ptrace(abi.PTRACE_GETSIGINFO, self._task, 0, 0)
            _, _, si_code, si_addr = abi.SIGINFO.unpack_from(told)
            process.fault = addr, code, vector
            signals.fault(self, process, SigInfo(signo, si_code, si_addr), "an exception")

    def _page_fault(self, process: Process, code: int, addr: int) -> None:
        access = WRITE if code & abi.WRITE_FAULT else EXEC if code & abi.FETCH_FAULT else READ
        verdict = process.space.fault(addr, access)
        if verdict is Verdict.NO_MEMORY:
            self.kill(process, 9, "out of memory")
        elif verdict is not None:
            present = process.space.is_present(addr, access)
            process.fault = addr, code & ~abi.PRESENT_FAULT | present, abi.PAGE_FAULT
            info = SigInfo(verdict.value[0], verdict.value[1], si_addr=addr)
            signals.fault(self, process, info, f"{verdict.name.lower()} at {addr:#x}")

    def kill(self, process: Process, signo: int, why: str) -> None:
        """End a process by a signal."""
        self.log.append(f"{process.name}[{process.pid}]: killed by signal {signo}: {why}")
        self.end(process, signo)
        self._wake_blocked()


def _start_ticking(child: Sys) -> None:
    """Let the traced task stop with SIGVTALRM now and then, so that no process keeps it."""
    prot, flags = child.PROT_READ | child.PROT_WRITE, child.MAP_PRIVATE | child.MAP_ANONYMOUS
    at = child.mmap(0, PAGE, prot, flags)
    child.store(at, ITIMERVAL.pack(0, TICK_US, 0, TICK_US))
    child.syscall(SYS_SETITIMER, ITIMER_VIRTUAL, at, 0)


def _nobody_waits_for(child: Process) -> bool:
    """Tell whether a child's end is nothing to its parent: SIGCHLD ignored, or SA_NOCLDWAIT."""
    if child.parent is None or child.exit_signal != SIGCHLD:
        return False
    action = signals.action_of(child.parent, SIGCHLD)
    return action.handler == SIG_IGN or bool(action.flags & SA_NOCLDWAIT)


def abi_fpu(host: Host, task: int) -> bytes:
    """Return the traced task's x87 and SSE registers."""
    state: bytes = host.ptrace(abi.PTRACE_GETFPREGS, task, 0, 0)
    return state


def read_text(host: Host, path: str) -> str:
    """Return a whole text file of the host."""
    fd = host.open(path, host.O_RDONLY, 0)
    parts = []
    while part := host.read(fd, 1 << 20):
        parts.append(part)
    host.close(fd)
    return b"".join(parts).decode()
