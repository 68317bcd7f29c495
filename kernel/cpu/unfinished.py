"""System calls that are not made at the first try: they sleep, are tried again, or interrupted.

Owns what Thread.call, .progress, .undo and .restart_block say between the tries; .kept is
kept_files'. A call that has raised WouldBlock is made again from its beginning (wait.py).
Invariant: a task that sleeps here has its call in Thread.call, and what the call remembers in
Thread.progress.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.lean import partial
from pkern.kernel.tasks import kept_files
from pkern.kernel.tasks.signal.signals import SA_RESTART, SIGKILL, Fate, is_disturbed
from pkern.kernel.tasks.thread import NO_CALL, WORD, entry_of
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.wait import RESTARTS, RegistersSet, Restart, WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.cpu.calls import CallTable
    from pkern.kernel.cpu.delivery import Delivery
    from pkern.kernel.cpu.observer import Observed
    from pkern.kernel.cpu.sleepers import Sleepers
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.thread import Made

SIGRETURN = 15
IF_ASKED = frozenset({Restart.IF_ASKED, Restart.ANEW})


class Unfinished:
    """The calls of one machine's tasks that have begun, and have not returned."""

    def __init__(
        self, calls: CallTable, sleepers: Sleepers, delivery: Delivery, observed: Observed
    ) -> None:
        self._calls = calls
        self._sleepers = sleepers
        self._delivery = delivery
        self._observed = observed

    def park(self, task: Task, wait: WouldBlock) -> None:
        """Note the call for its next try; a signal that waits already interrupts it at once."""
        thread = task.thread
        thread.progress, thread.undo = wait.progress, wait.interrupted
        if task.fds.users > 1 and not thread.kept:
            self.keep_files(task)
        if wait.made_at is not None:
            kept_files.reserve(task, *wait.made_at)
        if thread.works:
            return  # which may end the wait
        if (task.signals.waiting or task.trace) and _is_interrupted(task, wait):
            self._interrupt(task, wait)
            return
        if task.attention:  # to a signal that another thread has taken, or that is held back
            task.attention = task.signals.deliverable()
        self._sleepers.sleep(task, wait)

    def keep_files(self, task: Task) -> None:
        """Let the call stay with its open files, which others may close the descriptors of."""
        assert task.thread.call is not None
        kept_files.keep(task, self._calls.descriptors(task, task.thread.call))

    def try_again(self, task: Task) -> None:
        """Make an unfinished system call again."""
        thread = task.thread
        assert thread.call is not None
        if thread.restart_block is not None and thread.restart_block[0] is thread.call:
            _restart(task, thread.call)
        nr, arguments = thread.call
        try:
            call = self._calls.table.get(nr, self._calls.make_by_eax)
            if thread.kept:
                result = kept_files.make_again(task, partial(call, task, *arguments))
            else:
                result = call(task, *arguments)
        except WouldBlock as wait:
            self.park(task, wait)
        except SyscallError as error:
            self.finish(task, -error.number)
        except RegistersSet:
            thread.orig_rax = nr & WORD if nr != SIGRETURN else NO_CALL
            self._forget(task)
            _tell_tracer(task)
        else:
            if task.trace is not None or thread.saved_mask is not None or not task.alive:
                self.finish(task, result)
                return
            thread.orig_rax, thread.call = nr & WORD, None  # as _forget: most calls end here
            thread.progress = thread.undo = None
            if thread.kept is not None:
                kept_files.let_go(task)
            task.cpu.set_result(result)

    def _forget(self, task: Task) -> None:
        """Remember nothing of a call that is over."""
        thread = task.thread
        thread.call = thread.progress = thread.undo = None
        if thread.kept is not None:
            kept_files.let_go(task)

    def finish(self, task: Task, result: int) -> None:
        """Let a call return."""
        thread = task.thread
        if thread.call is not None:
            thread.orig_rax = thread.call[0] & WORD
        self._forget(task)
        task.attention |= thread.saved_mask is not None
        if task.alive and task.is_held:  # at an event of the call, which has not returned yet
            task.cpu.set_result(-errno.ENOSYS)
            thread.then = partial(_return, result=result)
        elif task.alive:
            _return(task, None, result)

    # ---- signals that come between ----

    def _interrupt(self, task: Task, wait: WouldBlock) -> None:
        """Decide about a call that a signal interrupts, then act on the signal."""
        thread = task.thread
        if task.trace is not None:
            self._leave(task, wait)
            return
        among = _ending(task) if wait.restart is Restart.NEVER else None
        taken = 0
        while (info := task.signals.take(among)) is not None:
            fate = task.signals.fate(info.si_signo)
            if fate is Fate.HANDLE:
                self.end_for_handler(task, wait, info)
                self._delivery.act(task, info)
                return
            thread.restart, taken = RESTARTS[wait.restart], 1
            self._delivery.act(task, info)
            if not task.alive or thread.stopped:
                break
        task.attention = task.signals.deliverable()
        if taken and task.alive and self._delivery.leave_call(task, wait):
            self._sleepers.go_on(task)
        elif task.alive and not thread.stopped:
            self._sleepers.sleep(task, wait)

    def end_for_handler(self, task: Task, wait: WouldBlock, info: SigInfo) -> None:
        """Leave a call for a handler: EINTR, or let it be made again when the handler returns."""
        assert task.thread.call is not None
        if self._observed.observer is not None:
            self._observed.observer.interrupted(task, wait)
        nr, _ = task.thread.call
        if wait.partial:
            self.finish(task, wait.partial)
            return
        asked = task.signals.sigaction(info.si_signo).flags & SA_RESTART
        result = _interrupted_result(wait)
        if wait.restart is Restart.ALWAYS or (wait.restart in IF_ASKED and asked):
            self.finish(task, nr & WORD)
            load("pkern.kernel.cpu.restart").go_back(task, nr & WORD)
        else:
            self.finish(task, result)

    def _leave(self, task: Task, wait: WouldBlock) -> None:
        """Leave a traced task's call as Linux does: rax says whether it is to be made again."""
        thread = task.thread
        if self._observed.observer is not None:
            self._observed.observer.interrupted(task, wait)
        result = wait.partial or _interrupted_result(wait)
        if result == -errno.EINTR and wait.restart is not Restart.ENDS:
            result, thread.may_restart = -RESTARTS[wait.restart], 1
            load("pkern.kernel.cpu.restart").keep(task)
        task.attention = True
        self.finish(task, result)


def _restart(task: Task, call: Made) -> None:
    """Let a sleep that was interrupted go on as restart_syscall, with the registers as they are."""
    entry = entry_of(task)
    task.thread.call, task.thread.progress = (entry.restart | entry.mark, call[1]), None


def _is_interrupted(task: Task, wait: WouldBlock) -> bool:
    return bool(_ending(task)) if wait.restart is Restart.NEVER else is_disturbed(task)


def _ending(task: Task) -> int:
    """Return the set of pending signals that end the process whatever it waits for."""
    fatal = task.signals.fatal()
    return fatal & 1 << SIGKILL - 1 if task.trace is not None else fatal


def _return(task: Task, info: SigInfo | None, result: int) -> None:
    task.cpu.set_result(result)
    _tell_tracer(task)


def _tell_tracer(task: Task) -> None:
    """Let a tracer see that a call has returned, if there is one who wants to."""
    if task.trace is not None:
        load("pkern.kernel.cpu.held").leave(task)


def _interrupted_result(wait: WouldBlock) -> int:
    """Let the call store what it has to, and return its error."""
    try:
        if wait.interrupted is not None:
            wait.interrupted()
    except SyscallError as error:
        return -error.number
    return -errno.EINTR
