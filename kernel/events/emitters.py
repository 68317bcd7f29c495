"""What tells of Python's doings: bound to the parts of a machine while somebody wants to know.

Owns the binding. Where a part of the machine does the thing, its method is replaced on that one
object; signals, new programs and Python programs' calls say so themselves, to Machine.watch, whom
nobody is behind otherwise. A wrapper looks, and calls what it stands for: it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.events import sources
from pkern.kernel.events.points import GFP_USER
from pkern.kernel.tasks.locks.line import Bystander
from pkern.kernel.tasks.signal.signals import SIG_DFL, SIG_IGN
from pkern.kernel.tasks.table import Watch
from pkern.kernel.wait import RegistersSet, WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Tracing
    from pkern.kernel.mm.process import Process
    from pkern.kernel.sysctl import User
    from pkern.kernel.tasks.locks.line import InLine
    from pkern.kernel.tasks.machine import Face, Machine, Scheduler
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task

CALLS = frozenset({"raw_syscalls:sys_enter", "raw_syscalls:sys_exit"})
CALL_SYSTEMS = ("raw_syscalls:", "syscalls:")
PRIO = 120  # nice 0, as Linux counts
IDLE = ("swapper/0", 0, PRIO)
SLEEPS, STOPPED, DEAD = 1, 4, 16  # TASK_INTERRUPTIBLE, __TASK_STOPPED, EXIT_DEAD
KB_PER_PAGE = 4
NODE, ZONE, ORDER = 0, 2, 0  # the first node's, ZONE_NORMAL, single pages
HANDLERS = {SIG_DFL: 0, SIG_IGN: 1}

Call = Callable[..., int]


class Emitters(Watch):
    """Of one machine. It is its Machine.watch while somebody looks."""

    def __init__(self, kernel: Machine, tracing: Tracing) -> None:
        self._kernel = kernel
        self._tracing = tracing
        self._tell = tracing.emit
        self._bound: list[tuple[Any, str, Any]] = []
        self._calls: dict[int, Call] = {}  # ours: what each stands for
        self._inside: dict[Task, int] = {}  # in which call a task is
        self._last: Task | None = None  # who ran
        self._names: frozenset[str] = frozenset()
        self._call_points: dict[int, tuple[tuple[str, int], str]] = {}  # enter, arguments; exit

    # ---- binding ----

    def bind(self, names: frozenset[str]) -> None:
        """Tell of these points from now on, and of no others."""
        self._unbind()
        self._names = names
        self._kernel.watch = self if names else Watch()
        if not names:
            self._inside.clear()
            self._last = None
            return
        self._note_points()
        self._bind_parts()
        if self._kernel.scheduler is not None:
            self._bind_scheduler(self._kernel.scheduler)
        for face in self._faces():
            face.watch(self)

    def _wants(self, *prefixes: str) -> bool:
        return any(name.startswith(prefixes) for name in self._names)

    def _replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Let a method of one object be what `make` makes of it."""
        self._bound.append((owner, name, vars(owner).get(name)))
        vars(owner)[name] = make(getattr(owner, name))

    def _unbind(self) -> None:
        while self._bound:
            owner, name, before = self._bound.pop()
            del vars(owner)[name]
            if before is not None:  # the object had it, not its class
                vars(owner)[name] = before
        self._unwrap_calls()
        for face in self._faces():
            face.watch(None)

    def _faces(self) -> Iterable[Face]:
        return [face for task in self._kernel.tasks.values() for face in task.faces]

    def _bind_parts(self) -> None:
        kernel = self._kernel
        if self._wants("sched:sched_process_exit"):
            self._replace(kernel, "leave", self._leaving)
        if self._wants("oom:mark_victim"):
            self._replace(kernel.memory.oom, "kill", self._killing)
        if self._wants("vmscan:mm_vmscan_kswapd", "vmscan:mm_vmscan_wakeup"):
            self._replace(kernel.memory, "reclaim_in_background", self._in_background)
        if self._wants("vmscan:mm_vmscan_direct"):
            self._replace(kernel.memory, "reclaim_directly", self._directly)
        if self._wants("pkern:sysctl_write"):
            self._replace(kernel.sysctl, "write", self._writing)

    def _bind_scheduler(self, scheduler: Any) -> None:
        self._replace(scheduler.turns, "put_on", self._putting_on)
        self._replace(scheduler.idle, "wait", self._idling)
        if self._wants("sched:sched_wak"):
            self._replace(scheduler.sleepers, "wake_task", self._waking)
        if self._wants("signal:signal_deliver"):
            self._replace(scheduler.delivery, "deliver", self._delivering)
        if self._wants(*CALL_SYSTEMS):
            self._replace(scheduler.unfinished, "finish", self._finishing)
            self._wrap_calls(scheduler)
        running = scheduler.running
        if running is not None:
            running.attention = True  # or it would go on with the calls as they were
            self._last = running
            self._tracing.runs(running)

    # ---- as Machine.watch ----

    def booted(self, scheduler: Scheduler) -> None:
        """Look at a scheduler that has just come."""
        self._bind_scheduler(scheduler)

    def joined(self, face: Face) -> None:
        """Look at a Python program that has just come."""
        face.watch(self)

    def generated(self, task: Task, info: SigInfo, group: int, result: int) -> None:
        """Tell of a signal that is sent."""
        about = (info.si_signo, info.si_errno, info.si_code, task.name, task.pid, group, result)
        self._tell("signal:signal_generate", *about)

    def cloned(self, origin: Task, task: Task, flags: int) -> None:
        """Tell of a new task."""
        self._tell("task:task_newtask", task.pid, task.name, flags, task.oom_score_adj)
        self._tell("sched:sched_process_fork", origin.name, origin.pid, task.name, task.pid)
        self._tell("sched:sched_wakeup_new", task.name, task.pid, PRIO, 0)

    def renamed(self, task: Task, old: str) -> None:
        """Tell of a new name; what came before keeps the old one."""
        self._tracing.pump_as(task.pid, old)
        self._tell("task:task_rename", task.pid, old, task.name, task.oom_score_adj)
        self._tracing.runs(task)

    def executed(self, task: Task, old_pid: int, old_name: str) -> None:
        """Tell of a new program."""
        self.renamed(task, old_name)
        self._tell("sched:sched_process_exec", task.program or task.name, task.pid, old_pid)

    # ---- memory ----

    def _in_background(self, reclaim: Callable[[int], None]) -> Callable[[int], None]:
        def in_background(nodes: int) -> None:
            self._tell("vmscan:mm_vmscan_wakeup_kswapd", NODE, ZONE, ORDER, GFP_USER)
            self._tell("vmscan:mm_vmscan_kswapd_wake", NODE, ZONE, ORDER)
            reclaim(nodes)
            self._tell("vmscan:mm_vmscan_kswapd_sleep", NODE)

        return in_background

    def _directly(self, reclaim: Callable[[int, int], int]) -> Callable[[int, int], int]:
        def directly(attempt: int, nodes: int) -> int:
            self._tell("vmscan:mm_vmscan_direct_reclaim_begin", ORDER, GFP_USER)
            freed = reclaim(attempt, nodes)
            self._tell("vmscan:mm_vmscan_direct_reclaim_end", freed)
            return freed

        return directly

    # ---- tasks ----

    def _leaving(self, leave: Callable[[Task], None]) -> Callable[[Task], None]:
        def leaving(task: Task) -> None:
            leave(task)
            self._inside.pop(task, None)
            last = task.group.live == 1
            self._tell("sched:sched_process_exit", task.name, task.pid, PRIO, int(last))

        return leaving

    def _killing(
        self, kill: Callable[[Process | None, Process, str], None]
    ) -> Callable[[Process | None, Process, str], None]:
        def killing(asker: Process | None, victim: Process, why: str) -> None:
            mm = victim.mm.counters
            sizes = (mm.total_vm, mm.rss_anon, mm.rss_file, mm.rss_shmem)
            kilobytes = (int(size) * KB_PER_PAGE for size in sizes)
            tables = int(mm.nr_pagetable) * KB_PER_PAGE
            rest = (victim.cred.uid, tables, victim.oom_score_adj)
            self._tell("oom:mark_victim", victim.pid, victim.name, *kilobytes, *rest)
            kill(asker, victim, why)

        return killing

    def _writing(
        self, write: Callable[[str, str, User | None], None]
    ) -> Callable[[str, str, User | None], None]:
        def writing(name: str, text: str, task: User | None) -> None:
            write(name, text, task)
            self._tell("pkern:sysctl_write", name.replace("/", "."), text.strip())

        return writing

    def faulted(self) -> None:
        """Hand on what the fault has told of."""
        self._tracing.pump()

    # ---- the scheduler ----

    def _putting_on(self, put_on: Callable[[Task], None]) -> Callable[[Task], None]:
        def putting_on(task: Task) -> None:
            before, self._last = self._last, task
            if before is not task:
                self._tell_switch(before, task)
            self._tracing.pump()
            self._tracing.runs(task)
            put_on(task)

        return putting_on

    def _idling(self, idle: Callable[[], bool]) -> Callable[[], bool]:
        def idling() -> bool:
            before, self._last = self._last, None
            if before is not None:
                self._tell_switch(before, None)
                self._tracing.runs_nobody()
            return idle()

        return idling

    def _tell_switch(self, before: Task | None, task: Task | None) -> None:
        was = (*IDLE, 0)
        if before is not None:
            was = (before.name, before.pid, PRIO, _state(before))
        self._tell("sched:sched_switch", *was, *(IDLE if task is None else _who(task)))

    def _waking(self, wake_task: Callable[[InLine], None]) -> Callable[[InLine], None]:
        def waking(task: InLine) -> None:
            if task.waiting is not None and not isinstance(task, Bystander):
                self._tell("sched:sched_waking", task.name, task.pid, PRIO, 0)
                self._tell("sched:sched_wakeup", task.name, task.pid, PRIO, 0)
            wake_task(task)

        return waking

    def _delivering(
        self, deliver: Callable[[Task, SigInfo], None]
    ) -> Callable[[Task, SigInfo], None]:
        def delivering(task: Task, info: SigInfo) -> None:
            action = task.signals.sigaction(info.si_signo)
            handler = HANDLERS.get(action.handler, action.handler)
            about = (info.si_signo, info.si_errno, info.si_code, handler, action.flags)
            self._tell("signal:signal_deliver", *about)
            deliver(task, info)

        return delivering

    # ---- system calls ----

    def runs(self, task: Task) -> None:
        """A Python program does something."""
        self._tracing.runs(task)
        self._tracing.pump_soon()

    def enters(self, task: Task, nr: int, registers: tuple[int, ...]) -> None:
        """A call begins."""
        self._inside[task] = nr
        self._tell("raw_syscalls:sys_enter", nr, registers)
        if nr in self._call_points:
            name, count = self._call_points[nr][0]
            self._tell(name, nr, *registers[:count])

    def leaves(self, task: Task, nr: int, result: int) -> None:
        """A call has returned."""
        if self._inside.pop(task, None) is not None:
            self._tell("raw_syscalls:sys_exit", nr, result)
            if nr in self._call_points:
                self._tell(self._call_points[nr][1], nr, result)

    def _note_points(self) -> None:
        """Look up the points of those calls of which one is wanted."""
        table, wanted = self._tracing.table, self._names
        self._call_points = {}
        calls = [call for source in sources for call in source().calls().items()]
        for nr, name in calls:
            enter, leave = f"syscalls:sys_enter_{name}", f"syscalls:sys_exit_{name}"
            if enter in wanted or leave in wanted:
                self._call_points[nr] = (enter, len(table[enter].fields) - 1), leave

    def _wrap_calls(self, scheduler: Any) -> None:
        plain = scheduler.calls.table
        scheduler.calls.use({nr: self._told(nr, call) for nr, call in plain.items()})
        self._replace(scheduler.calls, "missing", self._missing)
        self._calls_before = plain, scheduler.calls.table

    def _unwrap_calls(self) -> None:
        """Put back what we stand for, unless somebody stands before us: then we fall silent."""
        scheduler = self._kernel.scheduler
        plain, ours = self._calls_before
        if scheduler is not None and scheduler.calls.table is ours:
            scheduler.calls.use(plain)
        self._calls_before = None, None

    _calls_before: tuple[Any, Any] = None, None

    def _told(self, nr: int, call: Call) -> Call:
        def told(task: Task, *registers: int) -> int:
            if task not in self._inside:
                self.enters(task, nr, registers)
            try:
                result = call(task, *registers)
            except WouldBlock:
                raise
            except SyscallError as error:
                self.leaves(task, nr, -error.number)
                raise
            except RegistersSet:
                self.leaves(task, nr, _signed(task.cpu.registers()["rax"]))
                raise
            if task.alive:
                self.leaves(task, nr, result)
            return result

        return told

    def _missing(self, missing: Call) -> Call:
        def told(task: Task, *registers: int) -> int:
            assert task.kernel.scheduler is not None
            nr = task.kernel.scheduler.calls.number(task)
            return self._told(nr, missing)(task, *registers)

        return told

    def _finishing(self, finish: Callable[[Task, int], None]) -> Callable[[Task, int], None]:
        """A call that slept, and that a signal has ended, comes here without its wrapper."""

        def finishing(task: Task, result: int) -> None:
            finish(task, result)
            if task in self._inside:
                self.leaves(task, self._inside[task], result)

        return finishing


def _who(task: Task) -> tuple[str, int, int]:
    return task.name, task.pid, PRIO


def _state(task: Task) -> int:
    if not task.alive:
        return DEAD
    if task.thread.stopped:
        return STOPPED
    return SLEEPS if task.waiting is not None else 0


def _signed(register: int) -> int:
    return register - (register >> 63 << 64)
