"""The machine as its tasks and their calls know it, and the scheduler as they know that.

A Kernel is such a Machine. Nothing here or above but kernel/machine.py needs to know more of it, so
that tasks, processor and /proc do not know who puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from pkern.kernel.vfs.machine import HostWait, Timers

if TYPE_CHECKING:
    from pkern.kernel.clock import Clock
    from pkern.kernel.cpu.processor import Processor
    from pkern.kernel.log import Log
    from pkern.kernel.mm.memory import Memory
    from pkern.kernel.mm.swap import SwapAreas
    from pkern.kernel.namespaces.table import Namespaces
    from pkern.kernel.random import Random
    from pkern.kernel.sysctl import SysctlTable
    from pkern.kernel.tasks.attributes import Dumps
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.locks.futex import InLine, PrivateWord
    from pkern.kernel.tasks.locks.futex_pi import Locks
    from pkern.kernel.tasks.nsproxy import Nsproxy
    from pkern.kernel.tasks.table import TaskTable, Watch
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs import Vfs
    from pkern.kernel.vfs.anon.userfaultfd import Userfaults
    from pkern.kernel.vfs.file import File
    from pkern.kernel.visits import Visits
    from pkern.kernel.wait import WouldBlock


class Sleepers(Protocol):
    """Who sleeps for what. kernel/cpu/sleepers.py says what each does."""

    by_key: dict[Hashable, dict[InLine, None]]

    def sleep(self, task: InLine, wait: WouldBlock) -> None: ...
    def unpark(self, task: InLine) -> None: ...
    def wake_task(self, task: InLine) -> None: ...
    def go_on(self, task: Task) -> None: ...
    def listen(self, key: Hashable, told: Callable[[], None]) -> None: ...
    def work(self, task: Task, action: Callable[[], None]) -> None: ...
    def of(self, key: Hashable) -> Iterable[InLine]: ...
    def take_over(self, word: PrivateWord) -> None: ...
    def hold(self, key: Hashable) -> None: ...
    def release(self, key: Hashable) -> None: ...


class Turns(Protocol):
    """Who runs, and for how long. kernel/cpu/turns.py says what each does."""

    @property
    def switches(self) -> int: ...
    def time_of(self, task: Task) -> int: ...
    def end_slice(self) -> None: ...


class CallTable(Protocol):
    """The system calls by number. kernel/cpu/calls.py says what each does."""

    table: dict[int, Callable[..., int]]

    def use(self, table: dict[int, Callable[..., int]]) -> None: ...
    def number(self, task: Task) -> int: ...
    def make(self, task: Task, nr: int, registers: tuple[int, ...]) -> int: ...
    def make_again(self, task: Task) -> int: ...


class Delivery(Protocol):
    """Signals on their way. kernel/cpu/delivery.py says what each does."""

    def signalled(self, task: Task) -> None: ...
    def resume(self, group: Group) -> None: ...


class Idle(HostWait, Protocol):
    """What is done while nobody runs. kernel/cpu/idle.py says what each does."""

    host_signals: list[tuple[int, int]]

    def wait_for_input(self, key: Hashable, poll: Callable[[int | None], None]) -> None: ...


class Queue(Protocol):
    """Who can run: kernel/cpu/processor.py."""

    def add(self, task: Task) -> None: ...


class Scheduler(Timers, Protocol):
    """Who hands out the processor, by parts. kernel/cpu/scheduler.py says what each does."""

    @property
    def running(self) -> Task | None: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def sleepers(self) -> Sleepers: ...
    @property
    def turns(self) -> Turns: ...
    @property
    def calls(self) -> CallTable: ...
    @property
    def delivery(self) -> Delivery: ...
    @property
    def idle(self) -> Idle: ...
    def count_allocations(self) -> None: ...
    def forget(self, task: Task) -> None: ...
    def show_end(self, task: Task) -> None: ...
    def run_until(self, done: Callable[[], bool]) -> None: ...
    def run_others(self, task: Task, done: Callable[[], bool]) -> None: ...


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


class Vsyscalls(Protocol):
    """Who shows a task the page of vsyscalls that it wants."""

    def enter(self, task: Task) -> None: ...


class Machine(Protocol):
    """What tasks, their calls and what shows them may ask for."""

    seed: int
    clock: Clock
    log: Log
    random: Random
    memory: Memory
    vfs: Vfs
    terminals: Any  # whose driver is /dev/ptmx: kernel/tty/devpts.py
    tasks: TaskTable
    dumps: Dumps
    watch: Watch
    processor: Processor | None
    missing_calls: set[int]
    nsproxy: Nsproxy  # the initial namespaces
    visits: Visits | None

    @property
    def pi_locks(self) -> Locks: ...

    @property
    def namespaces(self) -> Namespaces: ...
    @property
    def sysctl(self) -> SysctlTable: ...
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
