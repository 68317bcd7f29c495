"""What signals do to tasks in machine code: handlers, stops, ends, and processes that go on.

Owns when a task looks at its signals: in its own turn, before it goes back to its program
(Task.attention says that it has to). sigframe.py lays out what a handler finds. Invariant: a task
that is stopped, or held by its tracer, is in no queue.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import MemoryFault, SyscallError
from pkern.kernel.late import load
from pkern.kernel.tasks import news
from pkern.kernel.tasks.dying import MAKES_WAY, end_process, end_thread
from pkern.kernel.tasks.groups import is_orphaned
from pkern.kernel.tasks.news import CLD_CONTINUED, CLD_STOPPED
from pkern.kernel.tasks.registers import rseq
from pkern.kernel.tasks.signal import signals
from pkern.kernel.tasks.signal.signals import (
    SI_KERNEL,
    SIGCONT,
    SIGKILL,
    SIGSEGV,
    SIGSTOP,
    SIGTRAP,
    Fate,
    SigInfo,
)
from pkern.kernel.tasks.thread import NO_CALL, WORD
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.wait import Restart

if TYPE_CHECKING:
    from pkern.kernel.cpu.sleepers import HasSleepers
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.trace import Trace
    from pkern.kernel.wait import WouldBlock

FUTEX = 202
LEFT = (
    Restart.ANEW,
    Restart.REST,
    Restart.CONTINUE,
)  # calls that any signal interrupts, and that are tried again


class Delivery:
    """The signals of one machine's tasks in machine code, on their way."""

    def __init__(self, scheduler: HasSleepers) -> None:
        self._scheduler = scheduler

    # ---- who is told ----

    def signalled(self, task: Task) -> None:
        """Note that a signal waits for the task, and wake it if it must look at once."""
        task.attention = True
        task.group.part()
        if task.signals.awaited:
            self._scheduler.sleepers.wake(("awaited", task))
        if task.signals.is_killed():
            self._run_again(task.group, task.group.living())
        if task.waiting is not None and task.signals.deliverable():
            self._scheduler.sleepers.wake_task(task)

    def resume(self, group: Group) -> None:
        """Let the threads of a stopped process run again, but those that a tracer holds."""
        for task in group.living():
            if task.trace is not None:
                task.trace.process_goes_on()
        self._run_again(group, [task for task in group.living() if not task.is_held])

    def _run_again(self, group: Group, threads: list[Task]) -> None:
        stopped = [task for task in threads if task.thread.stopped]
        for task in stopped:
            task.thread.stopped = 0
            if task.trace is not None and task.trace.held:  # killed
                task.trace.held, task.thread.then = False, None
                task.attention = True
            self._scheduler.sleepers.go_on(task)
        if stopped:
            news.tell_parent(group, CLD_CONTINUED, SIGCONT)
            group.continued = True

    # ---- in a task's turn ----

    def attend(self, task: Task) -> None:
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
            self.act(task, taken)
        if task.alive and thread.saved_mask is not None and not task.is_held:
            signals.set_blocked(task, thread.saved_mask)
            thread.saved_mask = None
        task.attention = task.signals.deliverable() or task.is_held
        if task.alive and not thread.stopped:
            self._ready(task)

    def _trap(self, task: Task, trace: Trace) -> None:
        """Stop as the tracer wants it, or because the process goes on; who is killed just ends."""
        trace.trap = trace.notify = 0
        if not (task.thread.stopped or task.signals.is_killed()):
            trace.hold_with_group(SIGTRAP)

    def _ready(self, task: Task) -> None:
        """Make a task's registers what they are to be when it runs."""
        if task.thread.may_restart:
            load("pkern.kernel.cpu.restart").restart(task)
        if task.trace is not None:
            debug = task.thread.debug
            watched = debug is not None and load("pkern.kernel.cpu.watchpoints").note(task, debug)
            task.cpu.set_step(int(watched or task.trace.is_stepping))

    def act(self, task: Task, info: SigInfo) -> None:
        """Let the tracer see a signal, if there is one, or deliver it."""
        if task.trace is not None and info.si_signo != SIGKILL:
            task.trace.hold_at_signal(info, self._after_signal)
        else:
            self.deliver(task, info)

    def _after_signal(self, task: Task, info: SigInfo | None) -> None:
        """Act on the signal that the tracer has let through, if it is not held back by now."""
        if info is not None and task.signals.is_blocked(info.si_signo):
            task.signals.own.add(info, task.cred.uid)
        elif info is not None:
            self.deliver(task, info)

    def _stop(self, group: Group, signo: int) -> None:
        """Stop every thread of a process, and tell its parent, and the tracers."""
        group.part()
        for task in group.living():
            if task.trace is None:
                task.thread.stopped = signo
            elif not task.trace.held:
                task.trace.hold_with_group(signo)
            wait = self._scheduler.sleepers.interrupt(task)
            if wait is not None:
                self.leave_call(task, wait)
        group.stop_seen = False
        news.tell_parent(group, CLD_STOPPED, signo)

    def leave_call(self, task: Task, wait: WouldBlock) -> bool:
        """Let a call end, or begin anew, that a signal without a handler has interrupted.

        Tell whether it did. It ends with what it has done, or with EINTR; most calls do neither and
        are tried again. A tracer looks at its task's call first. A sleep that goes on says what is
        left of it, and ends if that cannot be written.
        """
        if task.thread.kept is not None:
            load("pkern.kernel.tasks.kept_files").let_go(task)  # it looks them up again
        result = wait.partial or (-errno.EINTR if wait.restart is Restart.ENDS else 0)
        ends = bool(result) and task.trace is None
        if not ends and wait.restart not in LEFT:
            return False
        if wait.restart is not Restart.CONTINUE:
            task.thread.progress = task.thread.undo = None
        try:
            if wait.interrupted is not None:
                wait.interrupted()
        except SyscallError as error:
            ends, result = True, -(error.errno or errno.EFAULT)
        if ends:
            self._end_call(task, wait, result)
        elif wait.restart is Restart.CONTINUE:
            load("pkern.kernel.cpu.restart").keep(task)
        return True

    def _end_call(self, task: Task, wait: WouldBlock, result: int) -> None:
        """Have a call that its task sleeps in return, when that goes on."""
        thread = task.thread
        assert thread.call is not None
        if self._scheduler.observer is not None:
            self._scheduler.observer.interrupted(task, wait)
        thread.orig_rax, thread.call = thread.call[0] & WORD, None
        task.attention |= thread.saved_mask is not None
        task.cpu.set_result(result)

    def deliver(self, task: Task, info: SigInfo) -> None:
        """Do what the task wants done about a signal."""
        if self._scheduler.observer is not None:
            self._scheduler.observer.signal(task, info)
        fate = task.signals.fate(info.si_signo)
        if fate in (Fate.DIE, Fate.STOP) and signals.is_spared(task, info):
            return
        if fate is Fate.DIE:
            _die(task, info)
        elif fate is Fate.STOP:
            if info.si_signo == SIGSTOP or not is_orphaned(task.kernel, task.pgid):
                self._stop(task.group, info.si_signo)
        elif fate is Fate.HANDLE:
            _handle(task, info)


def interrupt_sequence(task: Task) -> None:
    """Let a restartable sequence begin again; SIGSEGV where that cannot be."""
    if task.thread.rseq is not None and not rseq.interrupt(task):
        signals.force(task, SigInfo(SIGSEGV, SI_KERNEL))


def _handle(task: Task, info: SigInfo) -> None:
    """Let a task run its handler of a signal next."""
    interrupt_sequence(task)
    action = task.signals.sigaction(info.si_signo)
    if task.thread.may_restart:
        load("pkern.kernel.cpu.restart").end_for_handler(task, action.flags)
    try:
        load("pkern.kernel.tasks.signal.sigframe").setup(task, info, action)
    except (SyscallError, MemoryFault):
        _die_on_stack(task, info)
        return
    task.thread.orig_rax = NO_CALL
    if task.trace is not None and task.trace.is_stepping:
        task.trace.hold_in_handler()


def _die_on_stack(task: Task, info: SigInfo) -> None:
    """The frame cannot be written: SIGSEGV, which cannot be handled if it is the one."""
    if info.si_signo == SIGSEGV:
        task.signals.set_action(SIGSEGV, signals.SIG_DFL)
    signals.force(task, SigInfo(SIGSEGV, SI_KERNEL))


def _die(task: Task, info: SigInfo) -> None:
    """End a task's process by a signal, each thread once a tracer has looked who wants to."""
    if info == MAKES_WAY:
        end_thread(task, task.group.exit_code or 0)
    else:
        end_process(task, info.si_signo | _dump_core(task, info))


def _dump_core(task: Task, info: SigInfo) -> int:
    """Leave a core file if there is to be one; return what the status says of it."""
    from pkern.kernel.dump.coredump import dump  # most runs need none of it

    return dump(task, info)
