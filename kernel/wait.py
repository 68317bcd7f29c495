"""Sleeping and waking: what a task waits for.

A system call that must wait raises WouldBlock before it has changed anything, or with what it has
done as the wait's progress. The scheduler parks the task; when a key is woken, or the deadline
comes, the call is made again from its beginning and finds the progress in its thread. A task that
no scheduler runs (a Python program) sees the errno instead.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import PUBLIC, SyscallError, with_pythons_own
from pkern.kernel.lean import nullcontext
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Hashable
from pkern.kernel.values import Enum

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pkern.kernel.visits import Visits

NOBODY: AbstractContextManager[None] = nullcontext()


def outside(
    visits: Visits | None, asks_for: Callable[[], bool] | None = None
) -> AbstractContextManager[None]:
    """Return what keeps the door open to visitors while the machine waits for the host."""
    return NOBODY if visits is None else visits.opened(asks_for)


def alone(visits: Visits | None) -> AbstractContextManager[None]:
    """Return what shuts the door to visitors while its owner is at work, where it is open else."""
    return NOBODY if visits is None else visits.shut()


class Restart(Enum):
    """What a signal does to the call it interrupts."""

    ALWAYS = "again after any handler"
    IF_ASKED = "again after a handler with SA_RESTART, else EINTR"
    ANEW = "as IF_ASKED; what it waits for is another one after any signal"
    UNLESS_HANDLED = "again if no handler ran, else EINTR"
    NEVER = "nothing, unless it ends the process"
    REST = "as UNLESS_HANDLED; begins anew with the rest of its time, which it has stored"
    CONTINUE = "goes on if no handler ran, else EINTR; keeps its progress"
    ENDS = "EINTR, though no handler ran: a stop ends it, too"


# What an interrupted call returns inside Linux: ERESTARTSYS, NOINTR, NOHAND, RESTARTBLOCK, EINTR.
RESTARTS = {
    Restart.IF_ASKED: 512,
    Restart.ANEW: 512,
    Restart.ALWAYS: 513,
    Restart.NEVER: 512,
    Restart.UNLESS_HANDLED: 514,
    Restart.REST: 514,
    Restart.CONTINUE: 516,
    Restart.ENDS: errno.EINTR,
}


class WouldBlock(SyscallError):
    """The call cannot be finished now.

    keys: what it waits for, each woken by Kernel.wake(key). deadline: virtual nanoseconds, or
    None. progress: what the next try finds in task.thread.progress. error: what a task gets that
    cannot sleep. partial: the call's result if a signal ends it now, 0 for EINTR. interrupted:
    called when a signal ends the wait, with EINTR or to begin anew, or when its task ends.
    made_at: the descriptor that the call will return, and whether execve is to close it.
    """

    __module__, __qualname__ = PUBLIC, SyscallError.__qualname__  # what it is to who cannot sleep
    made_at: tuple[int, int] | None = None

    def __init__(
        self,
        *keys: Hashable,
        deadline: int | None = None,
        progress: Any = None,
        restart: Restart = Restart.IF_ASKED,
        error: int = errno.EAGAIN,
        partial: int = 0,
        interrupted: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(error)
        self.keys = keys
        self.deadline = deadline
        self.progress = progress
        self.restart = restart
        self.partial = partial
        self.interrupted = interrupted


with_pythons_own(WouldBlock)


class RegistersSet(Exception):
    """The call has set the caller's registers itself: execve, rt_sigreturn."""


class Replaced(BaseException):
    """The Python program that made the call has ended: its task runs machine code from now on."""
