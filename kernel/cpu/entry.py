"""How tasks come into the kernel by a system call, and how a call returns that need not sleep.

Owns the loop in which one call follows the other without anything else being looked at: the path
that every program in machine code takes most. A call that is held, sleeps, or after which signals
are to be looked at leaves it.
"""

from __future__ import annotations

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.tasks.thread import IA32, SYSCALL
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.wait import RegistersSet, WouldBlock

if TYPE_CHECKING:
    from typing import Protocol

    from pkern.kernel.cpu.calls import CallTable
    from pkern.kernel.cpu.unfinished import Unfinished
    from pkern.kernel.tasks.task import Task

    class HasCalls(Protocol):
        """Who knows the calls, and has those that are not finished: a scheduler."""

        calls: CallTable

        @property
        def unfinished(self) -> Unfinished: ...


CALL: int = lib.RUN_CALL
SLEEP: int = lib.RUN_SLEEP


class Entry:
    """Makes the calls that the processor stops at."""

    def __init__(self, scheduler: HasCalls) -> None:
        self.calls = scheduler.calls
        self._scheduler = scheduler

    def serve(self, task: Task) -> int | None:
        """Serve one call after the other while nothing else happens.

        Returns why the processor has stopped then; SLEEP: the task runs no more; None: it is to be
        looked at before it runs on.
        """
        if task.trace is not None or task.seccomp is not None or task.dispatch is not None:
            return self.serve_watched(task, SYSCALL.mark)
        calls, missing = self.calls.table, self.calls.make_by_eax
        context, words, resume = task.cpu.handle, self.calls.words.tolist, lib.run_result
        while True:
            nr, a, b, c, d, e, f = words()
            try:
                result = calls.get(nr, missing)(task, a, b, c, d, e, f)
            except SyscallError as error:
                if isinstance(error, WouldBlock):
                    task.thread.call = nr, (a, b, c, d, e, f)
                    self._scheduler.unfinished.park(task, error)
                    return None
                result = -error.number
            except RegistersSet:
                return None
            if task.attention:
                if not task.alive:
                    return SLEEP
                task.thread.orig_rax = nr
                task.cpu.set_result(result)
                return None
            reason = resume(context, result)
            if reason != CALL:
                return int(reason)

    def serve_ia32(self, task: Task) -> int | None:
        """Begin a call by int 0x80: few, and never the next one at once."""
        if task.trace is not None or task.seccomp is not None or task.dispatch is not None:
            return self.serve_watched(task, IA32)
        nr, arguments = self.calls.current()
        task.thread.call = nr | IA32, arguments
        return None

    def serve_watched(self, task: Task, mark: int) -> int | None:
        """Let who watches a task's calls see one. mark: of the way in by which it has come."""
        nr, arguments = self.calls.current()
        load("pkern.kernel.cpu.held").enter(task, (nr | mark, arguments))
        return None
