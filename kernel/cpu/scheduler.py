"""Who runs: one processor, tasks in machine code taking turns, and a reason for every change.

Deterministic round robin: a task runs until its slice of blocks is used up, it sleeps or it ends.
When all sleep, virtual time jumps to the next timer; when nothing can ever wake anyone, that is a
Deadlock, with a report of who waits for what. Invariant: a task is in the queue once, or it sleeps,
or is stopped, or has ended.

Threads of one process that do no more than sleep on words of their memory and wake each other may
have turns that the core begins (turns.c). kin_of() says which; Group.part() ends that for a
process, and whoever changes what it follows from calls it (T10).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from pkern.kernel.clock import SECOND
from pkern.kernel.core import ffi, lib
from pkern.kernel.cpu import traps
from pkern.kernel.cpu.processor import Processor, RunQueue
from pkern.kernel.errors import PUBLIC, MemoryFault, SyscallError, TaskKilled
from pkern.kernel.late import load
from pkern.kernel.log import KERN_INFO
from pkern.kernel.tasks import cpu_clocks, rseq, signals
from pkern.kernel.tasks.futex import PrivateWord, Sleeper
from pkern.kernel.tasks.groups import is_orphaned
from pkern.kernel.tasks.rlimits import RLIM_INFINITY
from pkern.kernel.tasks.signals import (
    SA_NOCLDSTOP,
    SA_RESTART,
    SI_KERNEL,
    SIGCHLD,
    SIGKILL,
    SIGSEGV,
    SIGSTOP,
    SIGTRAP,
    SIGXCPU,
    Fate,
    SigInfo,
)
from pkern.kernel.tasks.thread import GIVEN_AWAY, IA32, NO_CALL, SYSCALL, WORD, entry_of
from pkern.kernel.tasks.trace import CLD_TRAPPED, At, Calls, Event, Steps, Trace, is_held, trap
from pkern.kernel.wait import RESTARTS, RegistersSet, Restart, WouldBlock, outside

if TYPE_CHECKING:
    from pkern.kernel.tasks.debugregs import DebugRegisters
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.trace import Trace

SLICES = 16_000, 24_000  # blocks; as long as each other they could keep step with a loop
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
EINTR, ENOSYS = 4, 38
FUTEX = 202
DISPATCH = "pkern.kernel.tasks.dispatch"
# What who watches turns, or chooses them, puts before the scheduler's own.
WATCHED = frozenset({"_put_on", "_turn", "next_task"})
REGISTERS = 1 << 64
TRAP_BRKPT, TRAP_HWBKPT = 1, 4
SIGRETURN = 15
DEBUG, STEPPED = 1, 1 << 14  # the vector, and DR6's bit for a step
EXECUTE = 0  # a watched place: debugregs.py
CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_STOPPED, CLD_CONTINUED = 1, 2, 3, 5, 6
CPU_TIMERS = {1: 26, 2: 27}  # ITIMER_VIRTUAL: SIGVTALRM, ITIMER_PROF: SIGPROF
SYSCALL_BYTES = 2
# Answers of seccomp's filters by which a call is made: SECCOMP_RET_ALLOW, _LOG; once the tracer has
# been asked, _TRACE too.
ACTION_BITS, UNASKED = 0xFFFF_0000, frozenset({0x7FFF_0000, 0x7FFC_0000})
ASKED = UNASKED | {0x7FF0_0000}
NR_ARGS = 6
EAX = (1 << 32) - 1
# A system call by number: gets the task and six registers, returns rax.
Call = Callable[..., int]


class Observer(Protocol):
    """Who is told of what is no system call: strace."""

    def signal(self, task: Task, info: SigInfo) -> None: ...

    def interrupted(self, task: Task, wait: WouldBlock) -> None: ...

    def ended(self, task: Task) -> None: ...


class Deadlock(RuntimeError):
    """Every task sleeps and nothing can wake one; the text says who waits for what."""

    __module__ = PUBLIC


class EngineError(RuntimeError):
    """The processor's engine failed, or a translation was used that the tables do not give."""


class Ended:
    """Has a process ended? Nothing that the core does in turns of its own changes the answer."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def __call__(self) -> bool:
        return not self._group.live


class Scheduler:
    """The tasks in machine code of one machine.

    calls: every system call, by number. missing: what is called for a number that is not there.
    ia32: makes a call of the i386 table, which int 0x80 asks for.
    """

    def __init__(
        self,
        kernel: Machine,
        library: bytes,
        calls: dict[int, Call],
        missing: Call,
        ia32: Call,
    ) -> None:
        """Open the processor. Errors: ProcessorUnavailable."""
        self.kernel = kernel
        if kernel.processor is None:
            kernel.processor = Processor(kernel.memory.core, library)
        self.processor = kernel.processor
        clock = kernel.clock
        self._handle = handle = self.processor.handle
        costs = clock.call_ns, clock.block_ns
        lib.run_set_clock(handle, clock.place(), clock.place_of_due(), *costs)
        self._calls = self._own_calls = calls
        self.missing = missing
        self.ia32 = ia32
        self._answers = lib.RUN_ANSWERING  # does the core answer calls that it can?
        self.waiting_for: Callable[[Task], str] = lambda task: "waits"  # in words, for a report
        self.queue: RunQueue[Task] = RunQueue(self.processor)
        self.sleepers: dict[Hashable, dict[Task, None]] = {}  # in the order in which they came
        self.listeners: dict[Hashable, list[Callable[[], None]]] = {}
        self.running: Task | None = None
        self.slices = SLICES  # the least and the most blocks
        self.observer: Observer | None = None
        self.host_signals: list[tuple[int, int]] = []  # number, process group
        self._halted: BaseException | None = None
        self.waits_for_host = False
        # When it began; what others ran in its middle counts as before.
        self._its_turn: Any = lib.run_turn(handle)
        self._done: Callable[[], bool] = lambda: True  # what run_until() waits for
        self._kins = count(1)
        self._inputs: dict[Hashable, Callable[[int | None], None]] = {}
        self._exit = self.processor.exit
        words = ffi.buffer(ffi.addressof(self._exit, "nr"), 8 * (1 + NR_ARGS))
        self._call_words = memoryview(words).cast("Q")  # number and six arguments
        kernel.watch.booted(self)

    @property
    def calls(self) -> dict[int, Call]:
        """Every system call, by number; while another table is set the core answers none itself."""
        return self._calls

    @calls.setter
    def calls(self, calls: dict[int, Call]) -> None:
        self.part()
        self._calls = calls
        self._answers = lib.RUN_ANSWERING if calls is self._own_calls else lib.RUN_ASKING

    @property
    def turns(self) -> int:
        """How often a task was switched to."""
        return int(self.processor.counters.turns)

    # ---- the queue ----

    def add(self, task: Task) -> None:
        """Let a task run in its turn, which the core does not begin by itself."""
        if task.exit_status is None and not task.thread.sleeps_in_call:
            assert task.context is not None
            lib.queue_add(task.context.handle)

    def next_task(self) -> Task | None:
        """Take the task out of the queue that runs next; None: nobody can."""
        owner = lib.queue_next(self._handle)
        return ffi.from_handle(owner) if owner else None

    def sleep(self, task: Task, wait: WouldBlock) -> None:
        """Park a task until a key of its wait is woken, the deadline or a signal comes."""
        task.thread.parked = wait
        for key in wait.keys:
            others = self.sleepers.get(key)
            if others is None:
                others = self._first_at(key)
            others[task] = None
        if wait.deadline is not None:
            self.at(wait.deadline, lambda: self._time_is_up(task, wait))

    def _time_is_up(self, task: Task, wait: WouldBlock) -> None:
        if task.alive and task.thread.parked is wait:
            self.wake_task(task)

    def wake(self, key: Hashable) -> None:
        """Wake every task that waits for key, in the order in which they came, then who listens."""
        others = self.sleepers.pop(key, None)
        if others is not None:
            if type(key) is PrivateWord:
                self.release(key)
            for task in others:
                self.wake_task(task)
        if self.listeners:
            for told in self.listeners.pop(key, ()):
                told()

    def listen(self, key: Hashable, told: Callable[[], None]) -> None:
        """Have told called when key is woken next: a wait that no task sleeps in."""
        self.listeners.setdefault(key, []).append(told)

    def work(self, task: Task, action: Callable[[], None]) -> None:
        """Have a task do something in the kernel, before it goes on or is tried again."""
        task.thread.works.append(action)
        task.attention = True
        task.group.part()
        self.wake_task(task)

    def unpark(self, task: Task) -> None:
        """Take a task off everything it waits for here."""
        wait, task.thread.parked = task.thread.parked, None
        for key in wait.keys if wait is not None else ():
            others = self.sleepers.get(key)
            if others and task in others:
                del others[task]
                if not others:
                    del self.sleepers[key]
                    self.release(key)

    # ---- who sleeps on a word of memory: here or in the core, never both ----

    def sleepers_of(self, key: Hashable) -> Iterable[Task]:
        """Return who waits for key, in the order in which they came."""
        if type(key) is PrivateWord:
            self.take_over(key)
        return self.sleepers.get(key, ())

    def take_over(self, word: PrivateWord) -> None:
        """Let those who sleep on a word in the core sleep here."""
        if lib.word_has_sleepers(word.mm.handle, self._handle, word.addr):
            self._first_at(word)

    def hold(self, key: Hashable) -> None:
        """Let every call about a key's word come here, until release()."""
        if type(key) is PrivateWord:
            lib.word_hold(self._handle, key.addr)

    def release(self, key: Hashable) -> None:
        """Let the core have sleepers on a key's word again."""
        if type(key) is PrivateWord:
            lib.word_release(self._handle, key.addr)

    def _first_at(self, key: Hashable) -> dict[Task, None]:
        """Return who sleeps for a key that is not known here: nobody, but for the core's."""
        others: dict[Task, None] = {}
        self.sleepers[key] = others
        if type(key) is PrivateWord:
            self.hold(key)
            self._bring_sleepers(key, others)
        return others

    def _bring_sleepers(self, word: PrivateWord, others: dict[Task, None]) -> None:
        """Let those who sleep on a word in the core wait as if their calls had come here."""
        while owner := lib.word_take(word.mm.handle, self._handle, word.addr):
            task: Task = ffi.from_handle(owner)
            thread, (nr, *arguments) = task.thread, task.runner.call
            sleeper = Sleeper((word,), int(task.runner.bits), None)
            thread.call, thread.progress = (nr, tuple(arguments)), sleeper
            thread.parked = WouldBlock(word, progress=sleeper)
            others[task] = None

    def wake_task(self, task: Task) -> None:
        """End a task's sleep; its system call will be tried again."""
        if task.waiting is None:
            return
        self.unpark(task)
        if not task.thread.stopped:
            self.add(task)

    def end_slice(self) -> None:
        """Let the task that runs give way at the next block of its code."""
        lib.run_slice_end(self._handle)

    def forget(self, task: Task) -> None:
        """Drop a task that has ended."""
        self.show_end(task)
        self.part()  # run() may be at its end
        self._count_turn(task)
        if task.waiting is not None:
            self.unpark(task)
        self.queue.remove(task)

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

    # ---- time ----

    def at(self, when: int, action: Callable[[], None]) -> None:
        """Call action once virtual time (nanoseconds since boot) has reached when."""
        self.kernel.clock.at(when, action)

    def wait_for_input(self, key: Hashable, poll: Callable[[int | None], None]) -> None:
        """Ask poll when nothing else can run: it waits for the host and wakes key.

        poll gets the nanoseconds until the next timer, None if there is none.
        """
        self._inputs[key] = poll

    def _idle(self) -> bool:
        """Nobody can run: wait for the host, or jump in time; tell whether anything happened."""
        clock = self.kernel.clock
        when = clock.next_due()
        due = None if when is None else max(0, when - clock.now_ns)
        for key in list(self._inputs):
            if key in self.sleepers or key in self.listeners:
                self._wait_for_host(self._inputs[key], due)
            else:
                del self._inputs[key]
        if self.queue or self.host_signals:
            return True
        if due is None:
            return False
        self.pass_time()
        return True

    def pass_time(self) -> None:
        """Let time pass up to the next timer, of which there must be one, and let it fire."""
        clock = self.kernel.clock
        when = clock.next_due()
        assert when is not None
        clock.advance(max(0, when - clock.now_ns))
        clock.fire()

    def _wait_for_host(self, poll: Callable[[int | None], None], due: int | None) -> None:
        self.waits_for_host = True
        try:
            with outside(self.kernel.visits, lambda: bool(self.queue)):
                poll(due)
        finally:
            self.waits_for_host = False

    def halt(self, error: BaseException) -> bool:
        """Let run() raise an error after this turn; False: it waits for the host, raise it now."""
        if self.waits_for_host:
            return False
        self._halted = error
        self.part()
        return True

    def forget_halt(self) -> None:
        """Take back a halt that run() has not raised: what it was for has ended."""
        self._halted = None

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
                raise Deadlock(self.report())
            clock.fire()
            if clock.listener is not None:
                clock.listener()
            if self.host_signals:
                self._take_host_signals()
            if visits is not None and visits.waiting:
                visits.let_in()

    def run_others(self, task: Task, done: Callable[[], bool]) -> None:
        """Let others run in the middle of a task's call until done says so; SIGKILL ends it first.

        Who sleeps so goes on once those who came to sleep so after it have gone on. Errors: as run.
        """
        thread, clock, words = task.thread, self.kernel.clock, self._call_words.tolist()
        before, began = thread.call, clock.now_ns
        turn_began = self._its_turn.began_ns
        thread.call = before or (words[0], tuple(words[1:]))
        thread.sleeps_in_call += 1
        try:
            self.run_until(lambda: done() or not task.alive or task.signals.is_killed())
        finally:
            thread.sleeps_in_call -= 1
            thread.call, self.running = before, task
            for place, word in enumerate(words):
                self._call_words[place] = word
            self._its_turn.began_ns = turn_began + clock.now_ns - began
        if task.alive and task.signals.is_killed():
            task.die_of(SIGKILL)
        if task.alive:
            self._put_on(task)

    def _put_on(self, task: Task) -> None:
        """Let the processor, and the core, work for a task."""
        self.running = task
        if task.mm.process is not task:  # another of those who share the memory ran there last
            task.mm.serve(task)
        self.kernel.vsyscalls.enter(task)
        lib.run_slice(self._handle, *self.slices)

    def _take_host_signals(self) -> None:
        """Hand on the signals that the host's terminal has raised."""
        taken, self.host_signals = self.host_signals, []
        for signo, group in taken:
            for task in self.kernel.tasks.processes():
                if task.pgid == group and task.context is not None:
                    signals.send(task, SigInfo(signo, SI_KERNEL))

    def _turn(self, task: Task) -> None:
        """Let one task run for a slice at most."""
        assert task.context is not None
        lib.turn_begin(task.context.handle, self.kin_of(task) if task.group.live > 1 else 0)
        self._put_on(task)
        try:
            task, goes_on = self._enter(task)
            if goes_on:
                self.add(task)
        except TaskKilled as killed:
            task = self._who_runs(task)
            if killed.pid != task.pid and task.alive:
                raise
        except BaseException:  # the host's Ctrl-C: who kills the task next lets it run once more
            self._give_back(self._who_runs(task))
            raise
        self._charge(task)
        self.running = None

    # ---- turns that the core begins ----

    def kin_of(self, task: Task) -> int:
        """Return what says that a task's turns may be begun, and followed, by the core; 0: not so.

        The same for all threads of a process whose turns differ in nothing but their registers:
        nobody watches turns or calls, nothing is to be looked at when one ends.
        """
        group = task.group
        if type(self._done) is not Ended or not self.is_plain(task):
            return 0
        if self.kernel.clock.listener is not None or self._answers != lib.RUN_ANSWERING:
            return 0
        if type(self) is not Scheduler or not WATCHED.isdisjoint(self.__dict__):
            return 0
        if not group.limits.kin:
            group.limits.kin = next(self._kins)
        return int(group.limits.kin)

    def is_plain(self, task: Task) -> bool:
        """Tell whether nothing that concerns a task is looked at between its turns."""
        group, thread = task.group, task.thread
        looks = task.seccomp is not None or task.dispatch is not None
        watched = task.trace is not None or looks or thread.stopped
        asks = task.attention or task.revirt_vsyscalls or task.attributes.nice > 0
        timed = bool(group.posix_timers or group.clocked)
        timed |= not CPU_TIMERS.keys().isdisjoint(group.timers)
        bounded = group.rlimits.soft["cpu"] != RLIM_INFINITY
        return not (watched or asks or timed or bounded) and task.has_rights_of(group.leader)

    def part(self) -> None:
        """Begin the next turn of each thread of the process that runs here."""
        if self.running is not None:
            self.running.group.part()

    def _who_runs(self, task: Task) -> Task:
        """Return who has the turn by now: task, or who the core has given one, which is counted."""
        turn, before = self._its_turn, self.running
        if not turn.passed or before is None:
            return task if before is None else before
        before.group.cpu_ns += turn.ran_ns
        turn.passed = turn.ran_ns = 0
        now: Task = ffi.from_handle(lib.run_owner(self._handle))
        self.running = now
        now.mm.process = now  # the core has told the address space
        now.thread.orig_rax = NO_CALL
        return now

    def _charge(self, task: Task) -> None:
        """Count the turn that is over, and act on what bounds processor time."""
        self._count_turn(task)
        group = task.group
        if group.timers:
            self._check_cpu_timers(group)
        if group.clocked:
            cpu_clocks.look(group)
        if group.cpu_ns >= group.rlimits.soft["cpu"] * SECOND:
            self._over_cpu_limit(group)

    def _count_turn(self, task: Task) -> None:
        """Count what a task has run of its turn so far."""
        if task is not self.running:
            return
        ran = lib.turn_charge(self._handle, task.thread.runner)
        task.group.cpu_ns += ran
        if task.attributes.nice > 0:
            self.kernel.tasks.nice_ns += ran

    def time_in_turn(self, task: Task) -> int:
        """Return the nanoseconds that a task has run in its turn that is not over."""
        if task is not self.running:
            return 0
        return self.kernel.clock.realtime_ns - int(self._its_turn.began_ns)

    def count_allocations(self) -> None:
        """Let each turn's allocations count for whoever has it, while a task's are counted.

        The turn that it is ends with its next block of code.
        """
        self._turn = self._counted_turn  # type: ignore[method-assign]
        self.end_slice()

    def _counted_turn(self, task: Task) -> None:
        failures = self.kernel.memory.failures
        before = failures.count_for(task)
        try:
            Scheduler._turn(self, task)
        finally:
            failures.count_for(before)
            if not failures:
                vars(self).pop("_turn", None)

    def _give_back(self, task: Task) -> None:
        """Queue a task whose turn something of the host's has ended."""
        self.running = None
        if task.alive and not task.thread.stopped and task.waiting is None:
            self.add(task)

    def _enter(self, task: Task) -> tuple[Task, bool]:
        """Run until a slice is over (True), or a task cannot go on (False): who that is, first."""
        reason = self._resume(task)
        while reason is not None:
            if reason == TURNED:
                task, reason = self._who_runs(task), int(self._exit.reason)
            if reason == CALL:
                reason = self._serve_calls(task)
            elif reason == IA32_CALL:
                reason = self._serve_ia32_call(task)
            elif reason == BUDGET:
                self._interrupt_sequence(task)
                return task, True
            elif reason == SLEEP:
                return task, False
            else:
                self._serve_stop(task, reason)
                reason = self._resume(task)
        return task, False

    def _resume(self, task: Task) -> int | None:
        """Finish what keeps a task from user mode, then run it; None: it cannot run now."""
        thread = task.thread
        while task.exit_status is None and not thread.stopped and thread.parked is None:
            if thread.works:
                thread.works.pop(0)()
            elif thread.call is not None:
                self._try_call(task)
            elif task.attention:
                self._attend(task)
            else:
                thread.orig_rax = NO_CALL
                assert task.context is not None
                watched = task.trace is not None or task.seccomp is not None
                watched = watched or task.dispatch is not None
                how = lib.RUN_ASKING if watched else self._answers
                return int(lib.run(task.context.handle, how))
        return None

    def _serve_calls(self, task: Task) -> int | None:
        """Serve one system call after the other while nothing else happens."""
        if task.trace is not None or task.seccomp is not None or task.dispatch is not None:
            return self._serve_watched_call(task)
        calls, missing = self._calls, self._call_by_eax
        context, words, resume = task.cpu.handle, self._call_words.tolist, lib.run_result
        while True:
            nr, a, b, c, d, e, f = words()
            try:
                result = calls.get(nr, missing)(task, a, b, c, d, e, f)
            except SyscallError as error:
                if isinstance(error, WouldBlock):
                    task.thread.call = nr, (a, b, c, d, e, f)
                    self._park(task, error)
                    return self._resume(task)
                result = -error.number
            except RegistersSet:
                return self._resume(task)
            if task.attention:
                if not task.alive:
                    return None
                task.thread.orig_rax = nr
                task.cpu.set_result(result)
                return self._resume(task)
            reason = resume(context, result)
            if reason != CALL:
                return int(reason)

    def _serve_ia32_call(self, task: Task) -> int | None:
        """Serve a call by int 0x80: few, and never the next one at once."""
        if task.trace is not None or task.seccomp is not None or task.dispatch is not None:
            return self._serve_watched_call(task, IA32)
        nr, arguments = self._current_call()
        task.thread.call = nr | IA32, arguments
        return self._resume(task)

    def _serve_watched_call(self, task: Task, mark: int = SYSCALL.mark) -> int | None:
        """Hold the task before a call if its tracer asked for that, or make it if it may be."""
        (nr, arguments), trace = self._current_call(), task.trace
        call = nr | mark, arguments
        if task.dispatch is not None and load(DISPATCH).catch(task, task.dispatch, call[0]):
            return self._resume(task)
        if trace is not None and trace.calls is not Calls.RUN:
            self._hold_at_entry(task, trace, call[0])
        elif self._may_call(task, call, UNASKED):
            task.thread.call = call
        return self._resume(task)

    def _may_call(
        self, task: Task, call: tuple[int, tuple[int, ...]], passing: frozenset[int]
    ) -> bool:
        """Tell whether a task's filters let it make a call; if not, do what they say instead.

        passing: their answers that do.
        """
        if task.seccomp is None:
            return True
        rip = task.cpu.registers()["rip"]
        answer = task.seccomp.answer(call[0], rip, call[1])
        if answer & ACTION_BITS in passing:
            return True
        ask = partial(self._make_held_call, passing=ASKED)
        load("pkern.kernel.cpu.filtered").obey(task, answer, call[0], rip, ask)
        if task.thread.call is None:  # else a listener answers it
            self._left_call(task)
        return False

    def _hold_at_entry(self, task: Task, trace: Trace, nr: int) -> None:
        task.thread.orig_rax = nr & WORD
        task.cpu.set_result(-ENOSYS)
        if trace.calls is Calls.EMULATE:
            trace.hold_at_call(At.ENTRY, self._skip_call)
        else:
            trace.hold_at_call(At.ENTRY, self._make_held_call)

    def _skip_call(self, task: Task, info: SigInfo | None) -> None:
        """Go on behind a call that the tracer has made."""
        self._send_held(task, info)
        self._left_call(task)

    def _make_held_call(
        self, task: Task, info: SigInfo | None, passing: frozenset[int] = UNASKED
    ) -> None:
        """Make the call that a task was held before, as its registers say by now."""
        self._send_held(task, info)
        thread, regs = task.thread, task.cpu.registers()
        if thread.orig_rax & EAX == EAX:  # -1, as Linux reads it: no call
            self._left_call(task)
            return
        entry = entry_of(task)
        arguments = tuple(regs[name] for name in entry.arguments)
        call = thread.orig_rax & entry.mask | entry.mark, arguments
        if self._may_call(task, call, passing):
            thread.call = call

    def _send_held(self, task: Task, info: SigInfo | None) -> None:
        """Send what the tracer wants sent at a stop for a call."""
        if info is not None:
            signals.send_to_thread(task, info)

    def go_on(self, task: Task) -> None:
        """Let a task run that its tracer has let go."""
        if task.waiting is None and not task.thread.stopped:
            self.add(task)

    # ---- calls that sleep ----

    def _current_call(self) -> tuple[int, tuple[int, ...]]:
        nr, *arguments = self._call_words.tolist()
        return nr, tuple(arguments)

    def _park(self, task: Task, wait: WouldBlock) -> None:
        """Note the call for its next try; a signal that waits already interrupts it at once."""
        thread = task.thread
        thread.progress = wait.progress
        if thread.works:
            return  # which may end the wait
        if (task.signals.waiting or task.trace) and self._is_interrupted(task, wait):
            self._interrupt(task, wait)
            return
        if task.attention:  # to a signal that another thread has taken, or that is held back
            task.attention = task.signals.deliverable()
        self.sleep(task, wait)

    def _is_interrupted(self, task: Task, wait: WouldBlock) -> bool:
        if wait.restart is Restart.NEVER:
            return bool(self._ending(task))
        trapped = task.trace is not None and bool(task.trace.trap or task.trace.notify)
        return trapped or task.signals.is_killed() or task.signals.deliverable()

    def _ending(self, task: Task) -> int:
        """Return the set of pending signals that end the process whatever it waits for."""
        fatal = task.signals.fatal()
        return fatal & 1 << SIGKILL - 1 if task.trace is not None else fatal

    def _try_call(self, task: Task) -> None:
        """Make an unfinished system call again."""
        thread = task.thread
        assert thread.call is not None
        nr, arguments = thread.call
        try:
            result = self._calls.get(nr, self._call_by_eax)(task, *arguments)
        except WouldBlock as wait:
            self._park(task, wait)
        except SyscallError as error:
            self._finish_call(task, -error.number)
        except RegistersSet:
            thread.orig_rax = nr & WORD if nr != SIGRETURN else NO_CALL
            thread.call, thread.progress = None, None
            self._left_call(task)
        else:
            if task.trace is not None or thread.saved_mask is not None or not task.alive:
                self._finish_call(task, result)
                return
            thread.orig_rax, thread.call, thread.progress = nr & WORD, None, None
            task.cpu.set_result(result)

    def _finish_call(self, task: Task, result: int) -> None:
        if task.thread.call is not None:
            task.thread.orig_rax = task.thread.call[0] & WORD
        task.thread.call, task.thread.progress = None, None
        task.attention |= task.thread.saved_mask is not None
        if task.alive and is_held(task):  # at an event of the call, which has not returned yet
            task.cpu.set_result(-ENOSYS)
            task.thread.then = partial(self._finish_held, result=result)
        elif task.alive:
            task.cpu.set_result(result)
            self._left_call(task)

    def _finish_held(self, task: Task, info: SigInfo | None, result: int) -> None:
        task.cpu.set_result(result)
        self._left_call(task)

    def _left_call(self, task: Task, info: SigInfo | None = None) -> None:
        """Stop behind a call if the tracer wants that, also behind an event of the call."""
        trace, thread = task.trace, task.thread
        if trace is None:
            return
        if trace.held:
            thread.then = thread.then or self._left_call
        elif trace.calls is Calls.STOP:
            trace.hold_at_call(At.EXIT, self._send_held)
        elif trace.steps is Steps.ONE:
            signals.force(task, trap(TRAP_BRKPT, task.cpu.registers()["rip"]))

    def _interrupt(self, task: Task, wait: WouldBlock) -> None:
        """Decide about a call that a signal interrupts, then act on the signal."""
        thread = task.thread
        if task.trace is not None:
            self._leave_call(task, wait)
            return
        among = self._ending(task) if wait.restart is Restart.NEVER else None
        while (info := task.signals.take(among)) is not None:
            fate = task.signals.fate(info.si_signo)
            if fate is Fate.HANDLE:
                self._end_interrupted(task, wait, info)
                self._act(task, info)
                return
            thread.restart = RESTARTS[wait.restart]
            self._act(task, info)
            if not task.alive or thread.stopped:
                break
        task.attention = task.signals.deliverable()
        if task.alive and not thread.stopped:
            self.sleep(task, wait)

    def _leave_call(self, task: Task, wait: WouldBlock) -> None:
        """Leave a traced task's call as Linux does: rax says whether it is to be made again."""
        thread = task.thread
        if self.observer is not None:
            self.observer.interrupted(task, wait)
        result = wait.partial or self._interrupted_result(wait)
        if result == -EINTR:
            result, thread.may_restart = -RESTARTS[wait.restart], 1
            call = thread.call
            if call is not None and call[0] & WORD == entry_of(task).restart:
                call = thread.restart_block[0]
            thread.restart_block = call, thread.progress
        task.attention = True
        self._finish_call(task, result)

    def _restart_call(self, task: Task) -> None:
        """Make a call again that no handler has interrupted, as rax says."""
        thread, regs = task.thread, task.cpu.registers()
        thread.may_restart = 0
        nr, code = thread.orig_rax, REGISTERS - regs["rax"]
        if nr == NO_CALL or code not in RESTARTS.values():
            return
        nr = entry_of(task).restart if code == RESTARTS[Restart.CONTINUE] else nr
        task.cpu.set_registers({"rax": nr, "rip": regs["rip"] - SYSCALL_BYTES})

    def make_again(self, task: Task) -> int:
        """Go on with a call that a stop has interrupted. Errors: EINTR: none was; the call's."""
        thread = task.thread
        if thread.restart_block is None:
            raise SyscallError(EINTR)
        (nr, arguments), progress = thread.restart_block
        thread.progress = progress if thread.progress is None else thread.progress
        try:
            return self.make(task, nr, arguments)
        finally:
            thread.progress = None  # who sleeps once more notes it anew

    def _end_call_for_handler(self, task: Task, flags: int) -> None:
        """Let a call that a handler interrupts return EINTR, or be made again behind it."""
        thread, regs = task.thread, task.cpu.registers()
        thread.may_restart = 0
        nr, code = thread.orig_rax, REGISTERS - regs["rax"]
        if nr == NO_CALL or code not in RESTARTS.values():
            return
        if code == RESTARTS[Restart.IF_ASKED] and flags & SA_RESTART:
            task.cpu.set_registers({"rax": nr, "rip": regs["rip"] - SYSCALL_BYTES})
        else:
            task.cpu.set_result(-EINTR)

    def _end_interrupted(self, task: Task, wait: WouldBlock, info: SigInfo) -> None:
        """Leave a call for a handler: EINTR, or let it be made again when the handler returns."""
        assert task.thread.call is not None
        if self.observer is not None:
            self.observer.interrupted(task, wait)
        nr, _ = task.thread.call
        if wait.partial:
            self._finish_call(task, wait.partial)
            return
        asked = task.signals.sigaction(info.si_signo).flags & SA_RESTART
        if wait.restart is Restart.ALWAYS or (wait.restart is Restart.IF_ASKED and asked):
            self._interrupted_result(wait)
            self._finish_call(task, nr & WORD)
            rip = task.cpu.registers()["rip"]
            task.cpu.set_registers({"rip": rip - SYSCALL_BYTES})
            return
        self._finish_call(task, self._interrupted_result(wait))

    def _interrupted_result(self, wait: WouldBlock) -> int:
        """Let the call store what it has to, and return its error."""
        try:
            if wait.interrupted is not None:
                wait.interrupted()
        except SyscallError as error:
            return -error.number
        return -EINTR

    # ---- signals ----

    def signalled(self, task: Task) -> None:
        """Note that a signal waits for the task, and wake it if it must look at once."""
        task.attention = True
        task.group.part()
        if task.signals.awaited:
            self.wake(("awaited", task))
        if task.signals.is_killed():
            self._run_again(task.group, task.group.living())
            if task.waiting is None and task is not self.running:
                self.add(task)  # it may be in no queue: the host's Ctrl-C came in its turn
        if task.waiting is not None and task.signals.deliverable():
            self.wake_task(task)

    def resume(self, group: Group) -> None:
        """Let the threads of a stopped process run again, but those that a tracer holds."""
        for task in group.living():
            if task.trace is not None:
                task.trace.process_goes_on()
        self._run_again(group, [task for task in group.living() if not is_held(task)])

    def _run_again(self, group: Group, threads: list[Task]) -> None:
        stopped = [task for task in threads if task.thread.stopped]
        for task in stopped:
            task.thread.stopped = 0
            if task.trace is not None and task.trace.held:  # killed
                task.trace.held, task.thread.then = False, None
                task.attention = True
            if task.waiting is None:
                self.add(task)
        if stopped:
            self.tell_parent(group, CLD_CONTINUED, signals.SIGCONT)
            group.continued = True

    def _stop(self, group: Group, signo: int) -> None:
        """Stop every thread of a process, and tell its parent, and the tracers."""
        group.part()
        for task in group.living():
            if task.trace is None:
                task.thread.stopped = signo
            elif not task.trace.held:
                task.trace.hold_with_group(signo)
        group.stop_seen = False
        self.tell_parent(group, CLD_STOPPED, signo)

    def _attend(self, task: Task) -> None:
        """Do what is left behind a stop, then act on the signals that can be delivered."""
        thread = task.thread
        if thread.runner.woken:
            thread.orig_rax = FUTEX
        if thread.then is not None:
            then, info = thread.then, thread.let_through
            thread.then = thread.let_through = None
            then(task, info)
            if thread.then is not None or thread.call is not None:
                return
        if task.trace is not None and (task.trace.trap or task.trace.notify):
            self._trap(task, task.trace)
        while task.alive and not thread.stopped:
            taken = task.signals.take()
            if taken is None:
                break
            self._act(task, taken)
        if task.alive and thread.saved_mask is not None and not is_held(task):
            signals.set_blocked(task, thread.saved_mask)
            thread.saved_mask = None
        task.attention = task.signals.deliverable() or is_held(task)
        if task.alive and not thread.stopped:
            self._ready(task)

    def _ready(self, task: Task) -> None:
        """Make a task's registers what they are to be when it runs."""
        if task.thread.may_restart:
            self._restart_call(task)
        if task.trace is not None:
            watched = task.thread.debug is not None and self._watch(task, task.thread.debug)
            task.cpu.set_step(int(watched or task.trace.steps is Steps.ONE))

    def _watch(self, task: Task, debug: DebugRegisters) -> bool:
        """Note what stands at the places that a task is watched at; tell whether there are any."""
        places = [watch for watch in debug.watches() if watch.kind != EXECUTE]
        task.thread.watched = {w: task.mm.read_forced(w.addr, w.nbytes) for w in places}
        return bool(debug.watches())

    def _stepped(self, task: Task, debug: DebugRegisters) -> bool:
        """Look behind one instruction of a watched task; False: the tracer is to see the step."""
        rip, hits = task.cpu.registers()["rip"], 0
        for watch in debug.watches():
            if watch.kind == EXECUTE:
                hit = watch.addr == rip
            else:
                hit = task.mm.read_forced(watch.addr, watch.nbytes) != task.thread.watched.get(
                    watch
                )
            hits |= int(hit) << watch.number
        self._watch(task, debug)
        steps = task.trace is not None and task.trace.steps is Steps.ONE
        if not hits:
            return not steps
        status = debug.status & ~0xF | hits | (STEPPED if steps else 0)
        task.thread.debug = debug._replace(status=status)
        if not steps:
            signals.force(task, trap(TRAP_HWBKPT, rip))
        return not steps

    def _trap(self, task: Task, trace: Trace) -> None:
        """Stop because the tracer wants that, or because the process goes on."""
        trace.trap = trace.notify = 0
        if not task.thread.stopped:
            trace.hold_with_group(SIGTRAP)

    def _act(self, task: Task, info: SigInfo) -> None:
        if task.trace is not None and info.si_signo != SIGKILL:
            task.trace.hold_at_signal(info, self._after_signal)
        else:
            self.deliver(task, info)

    def _after_signal(self, task: Task, info: SigInfo | None) -> None:
        """Act on the signal that the tracer has let through, if it is not held back by now."""
        if info is not None and task.signals.is_blocked(info.si_signo):
            task.signals.own.add(info)
        elif info is not None:
            self.deliver(task, info)

    def deliver(self, task: Task, info: SigInfo) -> None:
        """Do what the task wants done about a signal."""
        if self.observer is not None:
            self.observer.signal(task, info)
        fate = task.signals.fate(info.si_signo)
        if fate in (Fate.DIE, Fate.STOP) and signals.is_spared(task, info):
            return
        if fate is Fate.DIE:
            self._die(task, info)
        elif fate is Fate.STOP:
            if info.si_signo == SIGSTOP or not is_orphaned(task.kernel, task.pgid):
                self._stop(task.group, info.si_signo)
        elif fate is Fate.HANDLE:
            self._interrupt_sequence(task)
            action = task.signals.sigaction(info.si_signo)
            if task.thread.may_restart:
                self._end_call_for_handler(task, action.flags)
            try:
                load("pkern.kernel.tasks.sigframe").setup(task, info, action)
            except (SyscallError, MemoryFault):
                self._die_on_stack(task, info)
            else:
                task.thread.orig_rax = NO_CALL
                if task.trace is not None and task.trace.steps is Steps.ONE:
                    task.trace.hold_in_handler()

    def _die(self, task: Task, info: SigInfo) -> None:
        """End a task by a signal, once a tracer that wants to look has looked."""
        status, trace = info.si_signo | self._dump_core(task, info), task.trace
        if trace is None or not trace.wants(Event.EXIT) or info.si_signo == SIGKILL:
            task.die_of(status)
        else:
            trace.hold_at_event(Event.EXIT, status, lambda task, info: task.die_of(status))

    def _dump_core(self, task: Task, info: SigInfo) -> int:
        """Leave a core file if there is to be one; return what the status says of it."""
        from pkern.kernel.dump.coredump import dump  # most runs need none of it

        return dump(task, info)

    def _interrupt_sequence(self, task: Task) -> None:
        """Let a restartable sequence begin again; SIGSEGV where that cannot be."""
        if task.thread.rseq is not None and not rseq.interrupt(task):
            signals.force(task, SigInfo(SIGSEGV, SI_KERNEL))

    def _die_on_stack(self, task: Task, info: SigInfo) -> None:
        """The frame cannot be written: SIGSEGV, which cannot be handled if it is the one."""
        if info.si_signo == SIGSEGV:
            task.signals.set_action(SIGSEGV, signals.SIG_DFL)
        signals.force(task, SigInfo(SIGSEGV, SI_KERNEL))

    def tell_parent(self, child: Group, code: int, status: int) -> None:
        """Send SIGCHLD for a child that stopped, went on or ended, and wake who waits for it."""
        parent = child.parent
        if parent is None:
            return
        parent.group.children.tell(child)
        self._tell_news(parent, child, code, status)

    def _tell_news(self, parent: Task, child: Group, code: int, status: int) -> None:
        group = parent.group
        if parent.context is None or not group.live:
            return
        self.wake(("child", group))
        quiet = code > CLD_DUMPED and parent.signals.sigaction(SIGCHLD).flags & SA_NOCLDSTOP
        if not quiet and 0 < child.exit_signal <= signals.NSIG:
            about = SigInfo(child.exit_signal, code, 0, child.pid, child.leader.cred.uid, status)
            signals.send(parent, about)

    def tell_tracer(self, trace: Trace, code: int) -> None:
        """Send SIGCHLD for a stop of a traced task, and wake who waits for it."""
        task, status = trace.task, trace.code & 0x7F
        self._tell(trace.tracer, SigInfo(SIGCHLD, code, 0, task.pid, task.cred.uid, status))

    def tell_tracer_of_end(self, trace: Trace, status: int) -> None:
        """Send SIGCHLD for the end of a traced task; status: as wait4 gives it."""
        code, value = end_code(status)
        task = trace.task
        self._tell(trace.tracer, SigInfo(SIGCHLD, code, 0, task.pid, task.cred.uid, value))

    def _tell(self, task: Task, about: SigInfo) -> None:
        if task.context is None or not task.group.alive:
            return
        self.wake(("child", task.group))
        flags = task.signals.sigaction(SIGCHLD).flags
        if about.si_code < CLD_TRAPPED or not flags & SA_NOCLDSTOP:
            signals.send(task, about)

    def tell_end(self, child: Group) -> None:
        """Send a dead child's signal to its parent."""
        if child.parent is not None:  # who has been told that there is news
            self._tell_news(child.parent, child, *end_code(child.exit_code or 0))

    # ---- stops that are no system call ----

    def _serve_stop(self, task: Task, reason: int) -> None:
        exit_ = self._exit
        if reason == NEED:
            self._serve_need(task, int(exit_.status))
        elif reason == FAULT:
            signo, code = traps.FAULTS[exit_.status]
            traps.page_fault(task, signo, code, int(exit_.addr), int(exit_.access))
        elif reason == EXCEPTION:
            debug = task.thread.debug
            if debug is None or exit_.vector != DEBUG or not self._stepped(task, debug):
                traps.exception(task, exit_)
        elif reason == EVENT:
            self.kernel.watch.faulted()
        else:
            raise EngineError(self._engine_report(task, reason))

    def _serve_need(self, task: Task, status: int) -> None:
        if status == lib.NEED_USER:  # its monitor may want the very byte
            self.kernel.memory.need.addr = self._exit.addr
        access, asked = int(self._exit.access), int(self._exit.asked)
        try:
            self.kernel.memory.serve_fault(task, status, asked)
        except MemoryFault as fault:
            traps.page_fault(task, fault.signo, fault.code, fault.addr, access)
        except WouldBlock as wait:
            if not task.attention:  # a signal first
                self.sleep(task, wait)

    def _engine_report(self, task: Task, reason: int) -> str:
        where = f"pid {task.pid} ({task.name}) at {int(self._exit.rip):#x}"
        if reason == STALE:
            return f"{where}: stale translation of {int(self._exit.addr):#x}"
        return f"{where}: {self.processor.engine_text(int(self._exit.status))}"

    def _check_cpu_timers(self, group: Group) -> None:
        for which, timer in group.timers.items():
            signo = CPU_TIMERS.get(which)
            if signo and timer.expires and group.cpu_ns >= timer.expires:
                timer.expires = group.cpu_ns + timer.interval if timer.interval else 0
                signals.send(group.leader, SigInfo(signo, SI_KERNEL))

    def _over_cpu_limit(self, group: Group) -> None:
        """Tell a process each second that it has had its time, and end it at the hard limit."""
        soft, hard = group.rlimits["cpu"]
        if not group.alive:
            return
        if group.cpu_ns >= hard * SECOND:
            signals.send(group.leader, SigInfo(SIGKILL, SI_KERNEL))
            return
        signals.send(group.leader, SigInfo(SIGXCPU, SI_KERNEL))
        group.rlimits["cpu"] = (soft + 1, hard)

    # ---- what the log gets ----

    def report(self) -> str:
        """Return who waits for what, one line a task."""
        lines = ["every task waits and nothing can wake one:"]
        lines += [
            f"  pid {task.pid} ({task.name}): {self._standing(task)}"
            for task in self.kernel.tasks.values()
            if task.alive and task.context is not None
        ]
        for line in lines:  # whoever catches the Deadlock shows it: not on the console as well
            self.kernel.log.write(KERN_INFO, line)
        return "\n".join(lines)

    def _standing(self, task: Task) -> str:
        thread = task.thread
        if thread.stopped:
            whose = " for its tracer" if task.trace is not None else ""
            return f"stopped by signal {thread.stopped}{whose}"
        return self.waiting_for(task)

    def _call_by_eax(self, task: Task, *registers: int) -> int:
        """Make a call that is no number's of the table.

        One of the i386 table; one whose bits above eax count for nothing; or it is missing.
        """
        return self.make(task, self.call_number(task), registers)

    def make(self, task: Task, nr: int, registers: tuple[int, ...]) -> int:
        """Make a call by its number, with its marks."""
        if nr & GIVEN_AWAY:
            filtered = load("pkern.kernel.cpu.filtered")
            return int(filtered.ask(task, nr & ~GIVEN_AWAY, registers))
        if nr & IA32:
            return self.ia32(task, nr & WORD, *registers)
        return self.calls.get(nr & EAX, self.missing)(task, *registers)

    def call_number(self, task: Task) -> int:
        """Return the number of the system call that a task is in, with its mark."""
        return task.thread.call[0] if task.thread.call else int(self._exit.nr)


def end_code(status: int) -> tuple[int, int]:
    """Return si_code and si_status of a SIGCHLD for an end; status: as wait4 gives it."""
    if status & 0x7F:
        return (CLD_DUMPED if status & 0x80 else CLD_KILLED), status & 0x7F
    return CLD_EXITED, status >> 8
