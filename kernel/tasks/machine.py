"""The machine as its tasks and their calls know it, and the scheduler as they know that.

A Kernel is such a Machine. Nothing here or above but kernel/machine.py needs to know more of it, so
that tasks, processor and /proc do not know who puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Protocol

from pkern.kernel.vfs.machine import Timers

if TYPE_CHECKING:
    from pkern.kernel.clock import Clock
    from pkern.kernel.cpu.processor import Processor
    from pkern.kernel.log import Log
    from pkern.kernel.mm.memory import Memory
    from pkern.kernel.mm.swap import SwapAreas
    from pkern.kernel.net.net import Net
    from pkern.kernel.random import Random
    from pkern.kernel.sysctl import SysctlTable
    from pkern.kernel.tasks.attributes import Dumps
    from pkern.kernel.tasks.futex_pi import Locks
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.signals import SigInfo
    from pkern.kernel.tasks.table import TaskTable
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.trace import Trace
    from pkern.kernel.uts import Uts
    from pkern.kernel.vfs import Vfs
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.mqueue import Queues
    from pkern.kernel.vfs.msg import Messages
    from pkern.kernel.vfs.sem import Semaphores
    from pkern.kernel.vfs.shm import Segments
    from pkern.kernel.vfs.userfaultfd import Userfaults
    from pkern.kernel.visits import Visits
    from pkern.kernel.wait import WouldBlock


class Scheduler(Timers, Protocol):
    """Who hands out the processor. kernel/cpu/scheduler.py says what each does."""

    running: Task | None
    sleepers: dict[Hashable, dict[Task, None]]
    host_signals: list[tuple[int, int]]
    turns: int
    calls: dict[int, Callable[..., int]]

    def add(self, task: Task) -> None: ...
    def sleep(self, task: Task, wait: WouldBlock) -> None: ...
    def unpark(self, task: Task) -> None: ...
    def wake_task(self, task: Task) -> None: ...
    def end_slice(self) -> None: ...
    def count_allocations(self) -> None: ...
    def forget(self, task: Task) -> None: ...
    def show_end(self, task: Task) -> None: ...
    def wait_for_input(self, key: Hashable, poll: Callable[[int | None], None]) -> None: ...
    def run_until(self, done: Callable[[], bool]) -> None: ...
    def run_others(self, task: Task, done: Callable[[], bool]) -> None: ...
    def go_on(self, task: Task) -> None: ...
    def make_again(self, task: Task) -> int: ...
    def tell_tracer(self, trace: Trace, code: int) -> None: ...
    def tell_tracer_of_end(self, trace: Trace, status: int) -> None: ...
    def signalled(self, task: Task) -> None: ...
    def resume(self, group: Group) -> None: ...
    def deliver(self, task: Task, info: SigInfo) -> None: ...
    def tell_parent(self, child: Group, code: int, status: int) -> None: ...
    def tell_end(self, child: Group) -> None: ...
    def time_in_turn(self, task: Task) -> int: ...
    def call_number(self, task: Task) -> int: ...


class Face(Protocol):
    """What a Python program makes its calls through."""

    def count_allocations(self) -> None: ...
    def replaced(self) -> None: ...
    def watch(self, watcher: Watcher | None) -> None: ...


class Watcher(Protocol):
    """Who sees the calls of a Python program: kernel/events/emitters.py."""

    def runs(self, task: Task) -> None: ...
    def enters(self, task: Task, nr: int, registers: tuple[int, ...]) -> None: ...
    def leaves(self, task: Task, nr: int, result: int) -> None: ...


class Watch:
    """Who is told of what has no part of the machine to itself. While nobody looks, nobody is."""

    def booted(self, scheduler: Scheduler) -> None:
        """There is a scheduler from now on."""

    def joined(self, face: Face) -> None:
        """A Python program makes its calls through this from now on."""

    def generated(self, task: Task, info: SigInfo, group: int, result: int) -> None:
        """A signal was sent, to the process (group: 1) or the thread. result: GENERATED.*."""

    def executed(self, task: Task, old_pid: int) -> None:
        """A task runs another program."""


class Vsyscalls(Protocol):
    """Who shows a task the page of vsyscalls that it wants."""

    def enter(self, task: Task) -> None: ...


class Machine(Protocol):
    """What tasks, their calls and what shows them may ask for."""

    seed: int
    clock: Clock
    log: Log
    random: Random
    uts: Uts
    memory: Memory
    vfs: Vfs
    terminals: Any  # whose driver is /dev/ptmx: kernel/tty/devpts.py
    tasks: TaskTable
    dumps: Dumps
    watch: Watch
    pi_locks: Locks
    processor: Processor | None
    missing_calls: set[int]
    visits: Visits | None

    @property
    def net(self) -> Net: ...
    @property
    def sysctl(self) -> SysctlTable: ...
    @property
    def segments(self) -> Segments: ...
    @property
    def semaphores(self) -> Semaphores: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def queues(self) -> Queues: ...
    @property
    def swap(self) -> SwapAreas: ...
    @property
    def userfaults(self) -> Userfaults: ...
    @property
    def ram(self) -> int: ...
    @property
    def scheduler(self) -> Scheduler | None: ...
    @property
    def vsyscalls(self) -> Vsyscalls: ...
    def has_cpu(self, feature: str) -> bool: ...
    def need_scheduler(self) -> Scheduler: ...
    def wake(self, key: Hashable) -> None: ...
    def leave(self, task: Task) -> None: ...
    def tell_owner(self, file: File, fd: int, code: int, band: int) -> None: ...
    def tell_urgent(self, file: File) -> None: ...
