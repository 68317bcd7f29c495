"""Who runs: one processor, tasks in machine code taking turns, and a reason for every change.

Deterministic round robin: a task runs until its slice of blocks is used up, it sleeps or it ends.
When all sleep, virtual time jumps to the next timer; when nothing can ever wake anyone, that is a
Deadlock, with a report of who waits for what. Invariant: a task is in the queue once, or it sleeps,
or is stopped, or has ended.

Owns the loop; what happens in a turn its parts own, each of which knows those below it only:

    entry         a system call begins, and returns if it need not sleep
    unfinished    calls that sleep, are tried again, or are interrupted
    held          calls that a tracer or a filter sees first (filtered.py: what a filter says)
    delivery      signals: handlers, stops, ends
    restart       calls that are made again when a signal has been handled
    watchpoints   places that a tracer watches, and the single step
    traps         faults and exceptions: what is brought, or which signal
    idle          nobody can run: the host's input, the next timer
    deadlock      nobody ever will: what is said of it
    turns         who runs, since when, how much of the processor it has used
    sleepers      who waits for which key
    calls         which call has which number

Threads of one process that do no more than sleep on words of their memory and wake each other may
have turns that the core begins (turns.c). kin_of() says which; Group.part() ends that for a
process, and whoever changes what it follows from calls it (T10).
"""

from __future__ import annotations

from itertools import count

from pkern.kernel.core import ffi, lib
from pkern.kernel.cpu.calls import Call, CallTable
from pkern.kernel.cpu.delivery import Delivery, interrupt_sequence
from pkern.kernel.cpu.entry import Entry
from pkern.kernel.cpu.idle import Idle
from pkern.kernel.cpu.processor import Processor, RunQueue
from pkern.kernel.cpu.turns import Turns
from pkern.kernel.errors import Deadlock, TaskKilled
from pkern.kernel.late import load
from pkern.kernel.lean import cached_property, partial
from pkern.kernel.tasks.signal.signals import SIGKILL
from pkern.kernel.tasks.thread import NO_CALL
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.cpu.observer import Observer
    from pkern.kernel.cpu.sleepers import Sleepers
    from pkern.kernel.cpu.unfinished import Unfinished
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task

CALL, BUDGET, NEED, FAULT, EXCEPTION, ENGINE, STALE, EVENT, IA32_CALL, SLEEP, TURNED = (
    lib.RUN_CALL,
    lib.RUN_BUDGET,
    lib.RUN_NEED,
    lib.RUN_FAULT,
    lib.RUN_EXCEPTION,
    lib.RUN_ENGINE,
    lib.RUN_STALE,
    lib.RUN_EVENT,
    lib.RUN_IA32_CALL,
    lib.RUN_SLEEP,
    lib.RUN_TURNED,
)
# What who watches turns, or chooses them, puts before the scheduler's own.
WATCHED = frozenset({"_turn", "next_task"})
DEBUG = 1  # the vector


class EngineError(RuntimeError):
    """The processor's engine failed, or a translation was used that the tables do not give."""


def _nothing() -> bool:
    return True


class Ended:
    """Has a process ended? Nothing that the core does in turns of its own changes the answer."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def __call__(self) -> bool:
        return not self._group.live


class Scheduler:
    """The tasks in machine code of one machine.

    queue: of those that can run. observer: who is told of what is no call. waiting_for: says what a
    task sleeps for. The other public fields are the parts.
    """

    def __init__(
        self,
        kernel: Machine,
        library: bytes,
        calls: dict[int, Call],
        missing: Call,
        ia32: Call,
    ) -> None:
        """Open the processor; the tables of calls are as CallTable has them.

        Errors: ProcessorUnavailable.
        """
        self.kernel = kernel
        if kernel.processor is None:
            kernel.processor = Processor(kernel.memory.core, library)
        self.processor = processor = kernel.processor
        clock = kernel.clock
        handle = processor.handle
        costs = clock.call_ns, clock.block_ns
        lib.run_set_clock(handle, clock.place(), clock.place_of_due(), *costs)
        self._exit = processor.exit
        self.observer: Observer | None = None
        self.queue: RunQueue[Task] = RunQueue(processor)
        self.turns = Turns(kernel, processor)
        self.calls = CallTable(self._exit, calls, missing, ia32, self.turns.part)
        self.idle = Idle(kernel, self)
        self.delivery = Delivery(self)
        self.entry = Entry(self)
        self.waiting_for: Callable[[Task], str] = lambda task: "waits"  # in words, for a report
        self._halted: BaseException | None = None
        self._done: Callable[[], bool] = _nothing  # what run_until() waits for
        self._kins = count(1)
        kernel.watch.booted(self)

    @cached_property
    def sleepers(self) -> Sleepers:
        """Who sleeps for what: made when somebody first does, or is asked about."""
        made: Sleepers = load("pkern.kernel.cpu.sleepers").Sleepers(
            self.processor, self.kernel.clock, self.queue
        )
        return made

    @cached_property
    def unfinished(self) -> Unfinished:
        """The calls that have begun and not returned: made when the first one sleeps."""
        made: Unfinished = load("pkern.kernel.cpu.unfinished").Unfinished(
            self.calls, self.sleepers, self.delivery, self
        )
        return made

    @property
    def is_busy(self) -> bool:
        """Whether run_until() goes on, and has called whoever asks."""
        return self._done is not _nothing

    @property
    def running(self) -> Task | None:
        """Who has the turn; None between two."""
        return self.turns.running

    def next_task(self) -> Task | None:
        """Take the task out of the queue that runs next; None: nobody can."""
        owner = lib.queue_next(self.processor.handle)
        return ffi.from_handle(owner) if owner else None

    def at(self, when: int, action: Callable[[], None]) -> None:
        """Call action once virtual time (nanoseconds since boot) has reached when."""
        self.kernel.clock.at(when, action)

    # ---- ends ----

    def forget(self, task: Task) -> None:
        """Drop a task that has ended; the queue loses it with its registers."""
        if self.observer is not None:
            self.show_end(task)
        self.turns.part()  # run() may be at its end
        self.turns.count(task)
        if task.waiting is not None:
            self.sleepers.unpark(task)

    def show_end(self, task: Task) -> None:
        """Let an observer see a thread's end; a leader's is seen with that of the last thread."""
        group, observer = task.group, self.observer
        if observer is None:
            return
        if task is group.leader and group.live > 1 and group.executes is None:
            return
        observer.ended(task)
        if group.live == 1 and group.executes is None:
            observer.ended(group.leader)

    # ---- the loop ----

    def run(self, until: Task) -> None:
        """Run until a task's process has ended. Errors: Deadlock, EngineError, KernelPanic."""
        self.run_until(Ended(until.group))

    def run_until(self, done: Callable[[], bool]) -> None:
        """Run until done says so, asked after each turn. Errors: as run."""
        before, self._done = self._done, done
        try:
            self._take_turns(done)
        finally:
            self._done = before

    def _take_turns(self, done: Callable[[], bool]) -> None:
        visits, clock = self.kernel.visits, self.kernel.clock
        while not done():
            if self._halted is not None:
                error, self._halted = self._halted, None
                raise error
            task = self.next_task()
            if task is not None:
                self._turn(task)
            elif not self._idle():
                report = load("pkern.kernel.cpu.deadlock").report
                raise Deadlock(report(self.kernel, self.waiting_for))
            clock.fire()
            if clock.listener is not None:
                clock.listener()
            if self.idle.host_signals:
                self.idle.take_host_signals()
            if visits is not None and visits.waiting:
                visits.let_in()

    def _idle(self) -> bool:
        """Nobody can run: tell whether anything has happened since."""
        return self.idle.wait()

    def run_others(self, task: Task, done: Callable[[], bool]) -> None:
        """Let others run in the middle of a task's call until done says so; SIGKILL ends it first.

        Who sleeps so goes on once those who came to sleep so after it have gone on. Errors: as run.
        """
        thread, clock, stopped_at = task.thread, self.kernel.clock, self.calls.current()
        before, now, began = thread.call, clock.now_ns, self.turns.began_ns
        fds, found = task.fds, task.fds.found
        thread.call = before or stopped_at
        thread.sleeps_in_call += 1
        self._keep_files(task)
        fds.found = fds.files
        try:
            self.run_until(lambda: done() or not task.alive or task.signals.is_killed())
        finally:
            thread.sleeps_in_call -= 1
            thread.call, fds.found = before, found
            self.calls.put_back(stopped_at)
            self.turns.come_back(task, began + clock.now_ns - now)
        if task.alive and task.signals.is_killed():
            task.die_of(SIGKILL)
        if task.alive:
            self.turns.put_on(task)

    def _keep_files(self, task: Task) -> None:
        """Let a call in whose middle others run stay with its open files until it is over."""
        if task.fds.users == 1 or task.thread.kept:
            return
        self.unfinished.keep_files(task)
        self.sleepers.work(task, partial(self._let_files_go, task))

    def _let_files_go(self, task: Task) -> None:
        if task.thread.call is None and task.thread.kept is not None:  # else it sleeps by now
            load("pkern.kernel.tasks.kept_files").let_go(task)

    def halt(self, error: BaseException) -> bool:
        """Let run() raise an error after this turn; False: it waits for the host, raise it now."""
        if self.idle.waits_for_host:
            return False
        self._halted = error
        self.turns.part()
        return True

    def forget_halt(self) -> None:
        """Take back a halt that run() has not raised: what it was for has ended."""
        self._halted = None

    # ---- turns ----

    def _turn(self, task: Task) -> None:
        """Let one task run for a slice at most."""
        assert task.context is not None
        lib.turn_begin(task.context.handle, self.kin_of(task) if task.group.live > 1 else 0)
        self.turns.put_on(task)
        try:
            task, goes_on = self._enter(task)
            if goes_on:
                self.queue.add(task)
        except TaskKilled as killed:
            task = self.turns.who_runs(task)
            if killed.pid != task.pid and task.alive:
                raise
        except BaseException:  # something of the host's, as its Ctrl-C
            self.turns.running = None
            raise
        self.turns.end(task)

    def kin_of(self, task: Task) -> int:
        """Return what says that a task's turns may be begun, and followed, by the core; 0: not so.

        The same for all threads of a process whose turns differ in nothing but their registers:
        nobody watches turns or calls, nothing is to be looked at when one ends.
        """
        if type(self._done) is not Ended or self._is_watched() or not _is_plain(task):
            return 0
        limits = task.group.limits
        if not limits.kin:
            limits.kin = next(self._kins)
        return int(limits.kin)

    def _is_watched(self) -> bool:
        """Tell whether anybody watches turns, calls or time, or chooses who runs."""
        if self.kernel.clock.listener is not None or self.calls.answers != lib.RUN_ANSWERING:
            return True
        bound = "put_on" in vars(self.turns) or not WATCHED.isdisjoint(vars(self))
        return bound or type(self) is not Scheduler

    def count_allocations(self) -> None:
        """Let each turn's allocations count for whoever has it, while a task's are counted.

        The turn that it is ends with its next block of code.
        """
        self._turn = self._counted_turn  # type: ignore[method-assign]
        self.turns.end_slice()

    def _counted_turn(self, task: Task) -> None:
        failures = self.kernel.memory.failures
        before = failures.count_for(task)
        try:
            Scheduler._turn(self, task)
        finally:
            failures.count_for(before)
            if not failures:
                vars(self).pop("_turn", None)

    def _enter(self, task: Task) -> tuple[Task, bool]:
        """Run until a slice is over (True), or a task cannot go on (False): who that is, first."""
        reason = self._resume(task)
        while reason is not None:
            if reason == TURNED:
                task, reason = self.turns.who_runs(task), int(self._exit.reason)
            if reason == CALL:
                reason = self.entry.serve(task)
            elif reason == IA32_CALL:
                reason = self.entry.serve_ia32(task)
            elif reason == BUDGET:
                interrupt_sequence(task)
                return task, True
            elif reason == SLEEP:
                return task, False
            else:
                self._serve_stop(task, reason)
                reason = None
            if reason is None:
                reason = self._resume(task)
        return task, False

    def _resume(self, task: Task) -> int | None:
        """Finish what keeps a task from user mode, then run it; None: it cannot run now."""
        thread = task.thread
        while task.exit_status is None and not thread.stopped and thread.parked is None:
            if thread.works:
                thread.works.pop(0)()
            elif thread.call is not None:
                self.unfinished.try_again(task)
            elif task.attention:
                self.delivery.attend(task)
            else:
                thread.orig_rax = NO_CALL
                watched = task.trace is not None or task.seccomp is not None
                watched = watched or task.dispatch is not None
                assert task.context is not None
                how = lib.RUN_ASKING if watched else self.calls.answers
                return int(lib.run(task.context.handle, how))
        return None

    # ---- stops that are no system call ----

    def _serve_stop(self, task: Task, reason: int) -> None:
        exit_ = self._exit
        if reason == NEED:
            self._serve_need(task)
        elif reason == FAULT:
            _traps().memory_fault(task, exit_)
        elif reason == EXCEPTION:
            if exit_.vector != DEBUG or not _stepped_where_watched(task):
                _traps().exception(task, exit_)
        elif reason == EVENT:
            self.kernel.watch.faulted()
        else:
            raise EngineError(self._engine_report(task, reason))

    def _serve_need(self, task: Task) -> None:
        try:
            _traps().serve_need(task, self._exit)
        except WouldBlock as wait:
            if not task.attention:  # a signal first
                self.sleepers.sleep(task, wait)

    def _engine_report(self, task: Task, reason: int) -> str:
        where = f"pid {task.pid} ({task.name}) at {int(self._exit.rip):#x}"
        if reason == STALE:
            return f"{where}: stale translation of {int(self._exit.addr):#x}"
        return f"{where}: {self.processor.engine_text(int(self._exit.status))}"


def _is_plain(task: Task) -> bool:
    return bool(load("pkern.kernel.tasks.kin").is_plain(task))


def _traps() -> Any:
    return load("pkern.kernel.cpu.traps")


def _stepped_where_watched(task: Task) -> bool:
    """Look behind one instruction of a task; tell whether it stepped only to be looked at."""
    debug = task.thread.debug
    return debug is not None and load("pkern.kernel.cpu.watchpoints").stepped(task, debug)
