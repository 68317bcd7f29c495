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
    from pkern.kernel.wait import WouldBlock


class Scheduler(Timers, Protocol):
    """Who hands out the processor. kernel/cpu/scheduler.py says what each does."""

    running: Task | None
    sleepers: dict[Hashable, dict[Task, None]]
    host_signals: list[tuple[int, int]]
    turns: int

    def add(self, task: Task) -> None: ...
    def sleep(self, task: Task, wait: WouldBlock) -> None: ...
    def unpark(self, task: Task) -> None: ...
    def wake_task(self, task: Task) -> None: ...
    def end_slice(self) -> None: ...
    def forget(self, task: Task) -> None: ...
    def wait_for_input(self, key: Hashable, poll: Callable[[int | None], None]) -> None: ...
    def run_until(self, done: Callable[[], bool]) -> None: ...
    def run_others(self, task: Task, done: Callable[[], bool]) -> None: ...
    def go_on(self, task: Task, trace: Trace) -> None: ...
    def signalled(self, task: Task) -> None: ...
    def resume(self, group: Group) -> None: ...
    def deliver(self, task: Task, info: SigInfo) -> None: ...
    def tell_parent(self, child: Group, code: int, status: int) -> None: ...
    def tell_end(self, child: Group) -> None: ...
    def time_in_turn(self, task: Task) -> int: ...
    def call_number(self, task: Task) -> int: ...


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
    pi_locks: Locks
    processor: Processor | None
    missing_calls: set[int]

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
    @property
    def fail_pending(self) -> int: ...
    def fail_nth(self, nth: int) -> None: ...
    def wake(self, key: Hashable) -> None: ...
    def leave(self, task: Task) -> None: ...
    def tell_owner(self, file: File, fd: int, code: int, band: int) -> None: ...
    def tell_urgent(self, file: File) -> None: ...
