"""Who is at the machine's controls while it is debugged: when it stops, and who goes on.

    a stop of the processor, a signal, fork, exec, an end, ^C   ->  the debugger is asked
    what it answers (a Resume)                                  ->  who steps, who is held, signals

A stop is a conversation in the middle of whatever runs: the turn of the task goes on behind it with
the blocks that it had left, so the order of tasks and virtual time are those of a run that nobody
looks at. Debugged is the scheduler while there is a debugger; without one it is a plain Scheduler.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.branch import NotBranchable
from pkern.kernel.cpu import held
from pkern.kernel.cpu.deadlock import report
from pkern.kernel.cpu.entry import Entry
from pkern.kernel.cpu.scheduler import Scheduler
from pkern.kernel.cpu.stops import DEBUG, Stops, Why
from pkern.kernel.tasks.signal.sending import send_to_thread
from pkern.kernel.tasks.signal.signals import SI_USER, SIGKILL, SigInfo
from pkern.kernel.tasks.thread import HALF, IA32, SYSCALL, WORD
from pkern.kernel.tasks.trace import Calls
from pkern.kernel.wait import WouldBlock
from pkern.userland.debugger.history import History, Shown
from pkern.userland.debugger.packets import Closed, Connection
from pkern.userland.debugger.replay import Replaying, WayBack
from pkern.userland.debugger.signals import TO_GDB
from pkern.userland.debugger.stub import (
    BACKWARDS,
    ENTERS,
    LEAVES,
    NOTHING_TO_SAY,
    OF_CALLS,
    SIGINT,
    Action,
    Go,
    Resume,
    Session,
    Stop,
    Stub,
    name_of,
    place_news,
)
from pkern.userland.debugger.target import Target

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.task import Task

CLONES = frozenset((56, 57, 58, 435))  # clone, fork, vfork, clone3
EXECS = frozenset((59, 322))
WALL = 2.0  # seconds that a debugger has to read the last answer


class Debugged(Scheduler):
    """A scheduler with a debugger."""

    debugger: Debugger

    def _turn(self, task: Task) -> None:
        debugger = self.debugger
        debugger.keep_history()
        debugger.look(task)
        if debugger.holds(task):
            debugger.hold(task)
        elif task.alive:
            Scheduler._turn(self, task)
        debugger.look_for_ends()

    def _resume(self, task: Task) -> int | None:
        debugger, thread = self.debugger, task.thread
        debugger.tell_events(task)
        while task.alive and not thread.stopped and task.waiting is None:
            if debugger.holds(task):
                debugger.hold(task)
                return None
            debugger.deliver_kept(task)
            if thread.call is None and not task.attention:
                return Scheduler._resume(self, task)
            call = thread.call
            if call is None:
                self.delivery.attend(task)
            else:
                self.unfinished.try_again(task)
                debugger.note_return(task, call)
            debugger.tell_events(task)
        return None

    def _serve_stop(self, task: Task, reason: int) -> None:
        if reason == DEBUG:
            self.debugger.stopped(task, Why(int(self._exit.status)), int(self._exit.addr))
        else:
            Scheduler._serve_stop(self, task, reason)

    def _idle(self) -> bool:
        return Scheduler._idle(self) or self.debugger.nothing_runs()


class ToldEntry(Entry):
    """Where tasks make their calls of which a debugger is told."""

    def __init__(self, scheduler: Scheduler, debugger: Debugger) -> None:
        super().__init__(scheduler)
        self._debugger = debugger

    def serve(self, task: Task) -> int | None:
        if task.tgid not in self._debugger.target.catches:
            return Entry.serve(self, task)
        return self._serve_told(task, SYSCALL.mark)

    def serve_ia32(self, task: Task) -> int | None:
        return self._serve_told(task, IA32)

    def _serve_told(self, task: Task, mark: int) -> int | None:
        """Let the debugger see a call as a tracer does; then it is made as registers say."""
        nr, _ = self.calls.current()
        if not self._debugger.tells_call(task, nr):
            return self.serve_watched(task, mark)
        task.thread.orig_rax = nr & WORD
        task.cpu.set_result(-errno.ENOSYS)
        task.thread.then = _make_told
        self._debugger.note_event(task, f"{ENTERS}:{nr & HALF:x};")
        return None


def _make_told(task: Task, info: SigInfo | None) -> None:
    """Make a call that the debugger was told of; a tracer comes first."""
    trace = task.trace
    if trace is not None and trace.calls is not Calls.RUN:
        held.hold_before(task, trace, task.thread.orig_rax)
    else:
        held.make(task, info)


class Debugger:
    """One debugger's hold on a machine. Invariant: a held task is in no queue, but held_back."""

    def __init__(
        self,
        kernel: Kernel,
        connection: Connection,
        history: History | None = None,
        shown: Shown | None = None,
    ) -> None:
        """Take the controls. The machine has a scheduler. history: None: there is no way back.

        shown: what the machine has written. Errors: ENOMEM.
        """
        assert kernel.scheduler is not None
        assert kernel.processor is not None
        self.kernel = kernel
        self.scheduler = kernel.scheduler
        self.connection = connection
        self.stops = Stops(kernel.processor)
        self.target = Target(kernel, self.stops)
        self.history = history
        self.shown = shown
        self.stub = Stub(self.target, connection, BACKWARDS if history is not None else ())
        self._is_over = False
        self.nowhere = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
        self.resume = Resume()
        self._held_back: list[Task] = []
        self._events: dict[Task, list[str]] = {}  # that nobody was told of yet
        self._left: Any = None  # the call that has returned last
        self._kept: dict[Task, list[SigInfo]] = {}  # signals of held tasks, not acted on yet
        self._sent: set[tuple[Task, int]] = set()  # signals of the debugger's own
        self._known: frozenset[int] = frozenset()  # processes debugged where the history begins
        self._blocks = kernel.processor.counters
        self._plain_calls = self.scheduler.calls.table
        self._calls = self._watched_calls()
        self.scheduler.calls.use(self._calls)
        self.scheduler.debugger = self  # type: ignore[attr-defined]
        self._plain_entry = self.scheduler.entry
        self._act = self.scheduler.delivery.act
        self.scheduler.delivery.act = self.act  # type: ignore[method-assign]
        self._end_for_handler = self.scheduler.unfinished.end_for_handler
        self.scheduler.unfinished.end_for_handler = (  # type: ignore[method-assign]
            self.end_for_handler
        )
        self._be_asked()

    def _be_asked(self) -> None:
        """Let the scheduler ask about turns, calls and stops from now on."""
        self.scheduler.__class__ = Debugged
        self.scheduler.entry = ToldEntry(self.scheduler, self)

    @property
    def is_on(self) -> bool:
        """Tell whether there is still a debugger, and this is the machine and no copy of it."""
        return isinstance(self.scheduler, Debugged)

    def begin(self, task: Task) -> None:
        """Let the debugger look at a program before its first instruction."""
        self.target.attach(task.group)
        self.stub.show(Stop(task))
        self.target.has_changed = True  # its history begins here
        self._go_on(self._serve())

    def finish(self) -> None:
        """Tell of the ends that nobody was told of, and let the debugger go."""
        if isinstance(self.scheduler, Replaying):
            self.scheduler.replay.at_end()
        self.look_for_ends()
        if self.is_on:
            for group in list(self.target.groups.values()):
                self._say(b"X%02x;process:%x" % (TO_GDB[SIGKILL], group.pid))
            self.let_go()
        self.connection.drain(WALL)
        self.connection.close()

    # ---- conversations ----

    def converse(self, stop: Stop) -> None:
        """Tell of a stop, answer what is asked, and prepare what goes on."""
        self._say(self.stub.show(stop))
        self._go_on(self._serve())

    def _say(self, packet: bytes) -> None:
        try:
            self.connection.send(packet)
        except Closed:
            self.let_go()

    def _serve(self) -> Resume:
        """Answer packets until one lets the machine go on."""
        try:
            while self.is_on:
                packet = self.connection.receive()
                answer = NOTHING_TO_SAY if packet is None else self.stub.answer(packet)
                if isinstance(answer, Resume):
                    return answer
                if answer is not NOTHING_TO_SAY:
                    self.connection.send(answer)
        except Closed:
            self.let_go()
        return Resume()

    def print(self, text: str) -> None:
        """Let the debugger show a text, while the machine runs."""
        self._say(b"O" + text.encode().hex().encode())

    # ---- going on ----

    def _go_on(self, resume: Resume) -> None:
        while resume.goes_back and self.is_on:
            stop = self.stub.stop
            assert stop is not None
            if self._begins_here:
                self.need_history().begin_anew()
            try:
                stop = WayBack(self).go(stop.task, resume.actions[0].go)
            except Closed:
                self.let_go()
                return
            self._say(self.stub.show(stop))
            resume = self._serve()
        self.resume = resume
        self.target.forget_copied()
        for pid in resume.kills:
            self._kill(pid)
        if not self.target.groups:
            self.let_go()
        if not self.is_on:
            return
        self._send_signals()
        self._arm()
        self._let_held_go()
        if self._begins_here:
            self._begin_history()

    # ---- the way back ----

    @property
    def _begins_here(self) -> bool:
        """Tell whether there is nothing behind this moment that one could go back to.

        What the debugger has changed is not there, nor is a child that it has begun to debug.
        """
        return self.target.has_changed or not self._known >= self.target.groups.keys()

    def need_history(self) -> History:
        """Return the history that there is, as the debugger was told."""
        assert self.history is not None
        return self.history

    def _begin_history(self) -> None:
        """Begin a new one: what was changed is not changed once more when it runs again."""
        self.target.has_changed = False
        self._known = frozenset(self.target.groups)
        if self.history is not None:
            self.history.begin_anew()
            if self.shown is not None:
                self.shown.begin_anew()
            self.take_snapshot()

    def keep_history(self) -> None:
        """Take a snapshot if it is time."""
        if self.history is not None and self.is_on and self.history.is_due(self._blocks.blocks):
            self.take_snapshot()

    def take_snapshot(self) -> None:
        """Let this moment be one that there is a way back to. A copy runs again from here."""
        try:
            order = self.need_history().take(self.stops.moment())
        except (NotBranchable, OSError):
            return  # the machine has come to hold what cannot be copied, or the host has no room
        if order is not None:
            order.function(self, *order.args)

    def session(self) -> Session:
        """Return what the next machine's debugger need not be asked for."""
        return self.stub.session

    def land(self, task: Task | None, about: str, session: Session) -> None:
        """Be the machine, at the moment that a copy has come to."""
        sys.stderr = sys.__stderr__
        self._be_asked()
        self._events.clear()
        self.stops.until()
        self.stub.take_over(session)
        if about == ENTERS:
            self.resume = Resume()
            return  # the next instruction is the call, and stops it
        if task is None or not self.target.has(task):
            task = next(self.target.threads())  # a child, where its parent has made it
        self.converse(Stop(task, about=about))

    # ---- who goes on, and how ----

    def _kill(self, pid: int) -> None:
        group = self.target.groups[pid]
        self.target.drop(pid)
        self.target.has_changed = True
        group.leader.die_of(SIGKILL)

    def _arm(self) -> None:
        """Let the processor know who steps, and where to stop."""
        steps = ((task, self.resume.of(task)) for task in self.target.threads())
        found = ((t, a) for t, a in steps if a is not None and a.go is Go.STEP)
        task, action = next(found, (None, Action(Go.RUN)))
        self.target.arm()
        self.stops.step(None if task is None else task.cpu, action.first, action.end)

    def _send_signals(self) -> None:
        """Send what the debugger wants delivered to threads that have not stopped for a signal."""
        stop = self.stub.stop
        for task in self.target.threads():
            action = self.resume.of(task)
            about = stop is not None and stop.info is not None and stop.task is task
            if action is not None and action.signo and not about:
                self._sent.add((task, action.signo))
                self.target.has_changed = True
                send_to_thread(task, SigInfo(action.signo, SI_USER))

    # ---- who is held ----

    def holds(self, task: Task) -> bool:
        """Tell whether a task stands still while others run."""
        return self.is_on and self.target.has(task) and self.resume.of(task) is None

    def hold(self, task: Task) -> None:
        """Keep a task out of the queue; it counts as queued."""
        task.runner.queued = 1
        self._held_back.append(task)
        self.target.has_changed = True

    def _let_held_go(self) -> None:
        """Give those who are no longer held their turns: the next ones."""
        free = [task for task in self._held_back if not self.holds(task)]
        self._held_back = [task for task in self._held_back if self.holds(task)]
        ready = [task for task in free if task.runner.queued and task.alive]
        for task in reversed(ready):
            self.scheduler.queue.add_first(task)

    def let_go(self) -> None:
        """Let the machine run as if there had never been a debugger; a second call does nothing."""
        if not self.is_on:
            return
        self._is_over = True
        self.scheduler.__class__ = Scheduler
        self.scheduler.entry = self._plain_entry
        del vars(self.scheduler.delivery)["act"], vars(self.scheduler.unfinished)["end_for_handler"]
        if self.history is not None:
            self.history.begin_anew()
        if self.scheduler.calls.table is self._calls:  # or others watch them, too
            self.scheduler.calls.use(self._plain_calls)
        self.stops.close()
        self.target.groups.clear()
        self._let_held_go()
        for task in self._kept:
            self._requeue_kept(task)

    def _requeue_kept(self, task: Task) -> None:
        for info in self._kept[task]:
            send_to_thread(task, info)

    # ---- stops ----

    def stopped(self, task: Task, why: Why, which: int) -> None:
        """Talk about a stop of the processor."""
        if why is Why.SPOT:
            self.converse(Stop(task, about=place_news(self.target.place_of(which))))
        else:
            self.converse(Stop(task))

    def look(self, task: Task | None) -> None:
        """Stop before a task's turn if the debugger wants that, or go on without it."""
        if not self.is_on:
            return
        try:
            asked = self.connection.interrupted()
        except Closed:
            self.let_go()
            return
        if asked:
            self._interrupt(task)

    def _interrupt(self, task: Task | None) -> None:
        if task is None or not self.target.has(task) or not task.alive:
            task = next(self.target.threads(), None)
        if task is not None:
            self.converse(Stop(task, SIGINT))

    def nothing_runs(self) -> bool:
        """Let the debugger look at tasks of which none can go on; tell whether it did."""
        if not self.is_on:
            return False
        if self._held_back:
            self._wait_for_interrupt()
            return True
        task = next(self.target.threads(), None)
        if task is not None:
            self.print(f"{report(self.kernel, self.scheduler.waiting_for)}\n")
            self.converse(Stop(task, SIGINT))
        return task is not None

    def _wait_for_interrupt(self) -> None:
        try:
            self.connection.wait()
        except Closed:
            self.let_go()
        self.look(None)

    # ---- signals ----

    def act(self, task: Task, info: SigInfo) -> None:
        """Act on a signal as the debugger wants it."""
        passed = self.at_signal(task, info)
        if passed is not None and task.alive:
            self._act(task, passed)

    def end_for_handler(self, task: Task, wait: WouldBlock, info: SigInfo) -> None:
        """Leave a call for a handler, and tell the debugger if it wants to know of it."""
        call = task.thread.call
        self._end_for_handler(task, wait, info)
        if call is not None and self.is_on:
            self.note_return(task, call)
            self.tell_events(task)

    def at_signal(self, task: Task, info: SigInfo) -> SigInfo | None:
        """Return the signal that is acted on instead of one, None for none or not yet."""
        signo = info.si_signo
        if (task, signo) in self._sent:
            self._sent.discard((task, signo))
            return info
        is_told = self.is_on and self.target.has(task) and signo != SIGKILL
        if not is_told or signo in self.stub.passed:
            return info
        self.converse(Stop(task, signo, info=info))
        stop = self.stub.stop
        if self._is_over or not task.alive or stop is None or stop.info is not info:
            return info  # or it was told of another stop since: it is to find no way back
        action = self.resume.of(task)
        if action is None:
            self._kept.setdefault(task, []).append(info)
            return None
        self.target.has_changed |= action.signo != signo
        return chosen(info, action.signo)

    def deliver_kept(self, task: Task) -> None:
        """Act on the signals of a task that was held at them."""
        action = self.resume.of(task)
        for info in self._kept.pop(task, ()):
            passed = chosen(info, info.si_signo if action is None else action.signo)
            if passed is not None and task.alive:
                self.scheduler.delivery.deliver(task, passed)

    # ---- events ----

    def tell_events(self, task: Task) -> None:
        """Stop for what a task's call has done, if the debugger wants to know of it."""
        while self._events.get(task) and self.is_on and task.alive and not self.holds(task):
            self._tell_event(task, self._events[task].pop(0))
        if not self._events.get(task):
            self._events.pop(task, None)

    def _tell_event(self, task: Task, about: str) -> None:
        self.converse(Stop(task, about=about))
        if about.startswith(OF_CALLS) or self._events.get(task):
            return
        action = self.resume.of(task)
        if task.alive and task.waiting is None and ends_step(task, action) and self.is_on:
            self.converse(Stop(task))  # the call is made: that was the step

    def note_event(self, task: Task, about: str) -> None:
        """Tell of an event as soon as its task would go on."""
        self._events.setdefault(task, []).append(about)
        task.attention = True  # its call does not simply return

    def tells_call(self, task: Task, nr: int) -> bool:
        """Tell whether the debugger is to know of a call: not of who steps, as with ptrace."""
        action = self.resume.of(task)
        steps = action is not None and action.go is Go.STEP
        return not steps and self.target.catches_call(task, nr)

    def note_return(self, task: Task, call: tuple[int, tuple[int, ...]]) -> None:
        """Note that a task's call has been made, if the debugger wants to know of it."""
        if task.thread.call is not None or call is self._left:
            return  # it sleeps on, or was interrupted and told already
        self._left = call
        if task.alive and self.tells_call(task, call[0]):
            self.note_event(task, f"{LEAVES}:{call[0] & HALF:x};")

    def _watched_calls(self) -> dict[int, Any]:
        calls = dict(self._plain_calls)
        for numbers, watched in ((CLONES, self._watched_clone), (EXECS, self._watched_exec)):
            calls |= {nr: watched(call) for nr, call in calls.items() if nr in numbers}
        return calls

    def _watched_clone(self, call: Callable[..., int]) -> Callable[..., int]:
        def clone(task: Task, *registers: int) -> int:
            known, waited = set(self.kernel.tasks), task.thread.progress is not None
            try:
                result = call(task, *registers)
            except WouldBlock:
                self._born(task, known)
                raise
            self._born(task, known)
            if waited and self.target.has(task) and self.stub.follows("vfork"):
                self.note_event(task, "vforkdone:;")
            return result

        return clone

    def _born(self, task: Task, known: set[int]) -> None:
        """Debug the child process that a call has made, if the debugger can have two."""
        if self._is_over:
            return
        born = [child for pid, child in self.kernel.tasks.items() if pid not in known]
        for child in born if self.target.has(task) else ():
            event = "fork" if child.thread.vfork_parent is None else "vfork"
            if child.group is not task.group and self.stub.follows(event):
                self.target.attach(child.group)
                self.target.arm_again()
                self.note_event(task, f"{event}:{name_of(child)};")

    def _watched_exec(self, call: Callable[..., int]) -> Callable[..., int]:
        def execute(task: Task, *registers: int) -> int:
            before = task.mm
            try:
                return call(task, *registers)
            finally:
                if task.alive and task.mm is not before and self.target.has(task):
                    self._has_execed(task)

        return execute

    def _has_execed(self, task: Task) -> None:
        if self.is_on:
            self.target.drop_places(task.tgid)
        self.target.arm_again()
        if self.stub.follows("exec"):
            self.note_event(task, f"exec:{os.fsencode(task.program).hex()};")

    def look_for_ends(self) -> None:
        """Tell of debugged processes that have ended."""
        for group in list(self.target.groups.values()):
            if not group.alive and self.is_on:
                self.target.drop(group.pid)
                self._tell_end(group)

    def _tell_end(self, group: Group) -> None:
        status = group.exit_code or 0
        signo = status & 0x7F
        word = b"X%02x" % TO_GDB[signo] if signo else b"W%02x" % (status >> 8 & 0xFF)
        self._say(word + b";process:%x" % group.pid)
        task = next(self.target.threads(), None)
        if task is None:
            self.let_go()
            return
        self.stub.show(Stop(task))
        self._go_on(self._serve())


def ends_step(task: Task, action: Action | None) -> bool:
    """Tell whether a thread that steps is where its step ends."""
    if action is None or action.go is not Go.STEP:
        return False
    return not action.first <= task.cpu.registers()["rip"] < action.end


def chosen(info: SigInfo, signo: int) -> SigInfo | None:
    """Return a signal as the debugger wants it delivered; 0: not at all."""
    if not signo:
        return None
    return info if info.si_signo == signo else SigInfo(signo, SI_USER)
