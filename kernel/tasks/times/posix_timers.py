"""POSIX timers: when one expires, which signal it sends, how often it did meanwhile.

A timer's signal waits once at most. While it does the timer rests; when it is taken the timer goes
on, and what it has missed is the signal's overrun. The signal of a timer that is set anew or
deleted stays where it is, seen as pending, and is passed over when it is taken.
Source: timer_create(2), timer_getoverrun(2), Linux 6.18 kernel/time/posix-timers.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signal.sending import queue_for_process, queue_for_thread
from pkern.kernel.tasks.signal.signals import SigInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.times.cpu_clocks import CpuClock

SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID = 0, 1, 2, 4
SI_TIMER = -2
INT_MAX = (1 << 31) - 1
REALTIME_CLOCKS = frozenset({0, 11})


class PosixTimer:
    """One timer of a process.

    due: when it expires next, in nanoseconds of its clock; 0: it is off. thread: whom its signal is
    for; None: any of the process. timed: the clock, if it counts processor time. shot tells an
    older setting's wake-up from this one's. pending: its signal waits; stale: an older setting's.
    payer: the user to whom it is charged until it is deleted and its signal waits no more.
    """

    def __init__(
        self, group: Group, number: int, clock: int, notify: int, signo: int, value: int
    ) -> None:
        self.group = group
        self.payer: int | None = None
        self.deleted = 0
        self.number, self.clock = number, clock
        self.notify, self.signo, self.value = notify, signo, value
        self.thread: Task | None = None
        self.timed: CpuClock | None = None
        self.due = self.interval = 0
        self.overrun = 0
        self.pending = self.stale = 0
        self.shot = 0

    def now(self) -> int:
        """Return the time of its clock, nanoseconds."""
        clock = self.group.kernel.clock
        if self.timed is not None:
            return self.timed.now()
        return clock.realtime_ns if self.clock in REALTIME_CLOCKS else clock.now_ns

    # ---- setting ----

    def set(self, due: int, interval: int) -> None:
        """Let it expire at due, and each interval from then on; 0: never."""
        self.stop()
        self.due, self.interval, self.overrun = due, interval, 0
        self._arm()

    def stop(self) -> None:
        """Let it rest; its signal is void."""
        self.shot += 1
        self.due = 0
        if self.timed is not None:
            self.timed.leave(self)
        if self.pending:
            self.pending, self.stale = 0, 1

    def delete(self) -> None:
        """Let it rest for ever. Its signal stays where it is."""
        self.stop()
        self.deleted = 1
        self._let_go()

    def _let_go(self) -> None:
        """Cost its user nothing any more, once nothing is left of it."""
        if self.deleted and not self.stale and self.payer is not None:
            self.group.kernel.tasks.queued.release(self.payer)
            self.payer = None

    def _arm(self) -> None:
        scheduler, shot = self.group.kernel.scheduler, self.shot
        if not self.due or self.notify == SIGEV_NONE:
            return
        if self.timed is not None:
            self.timed.watch(self)
        elif scheduler is not None:
            when = self.group.kernel.clock.now_ns + max(0, self.due - self.now())
            scheduler.at(when, lambda: self._wake(shot))

    def _wake(self, shot: int) -> None:
        if shot == self.shot and self.group.alive:
            self.look()

    def left(self) -> tuple[int, int]:
        """Return the interval, and the nanoseconds to the next time; of one that is late, 1."""
        if self.timed is not None and not self.timed.known:
            return 0, 0
        if not self.due:
            return self.interval, 0
        now = self.now()
        if self.due <= now and self.interval and (self.pending or self.notify == SIGEV_NONE):
            missed = (now - self.due) // self.interval + 1
            return self.interval, self.due + missed * self.interval - now
        if self.due > now:
            return self.interval, self.due - now
        return self.interval, 0 if self.notify == SIGEV_NONE else 1

    # ---- expiring ----

    def look(self) -> None:
        """Expire, if it is time."""
        if not self.due or self.pending or self.notify == SIGEV_NONE or self.now() < self.due:
            return
        if self.timed is not None:
            self.timed.leave(self)
        info = SigInfo(self.signo, SI_TIMER, si_pid=self.number, si_value=self.value, timer=self)
        self.pending = 1
        if not self.interval:
            self.due = 0
        if self.stale:  # what waits is its signal again
            self.stale = 0
            return
        if self.thread is None:
            kept = queue_for_process(self.group.face(), info)
        else:
            kept = queue_for_thread(self.thread, info)
        if not kept:
            self.pending = 0
            self._go_on()

    def taken(self, info: SigInfo) -> SigInfo | None:
        """Go on, now that the signal is delivered; return it with how often it was late.

        None: it is void.
        """
        if self.passed_over():
            return None
        return info._replace(si_uid=self.overrun, timer=None)

    def passed_over(self) -> int:
        """Go on, now that its signal does not wait any more; return 1 if that was void."""
        if self.stale:
            self.stale = 0
            self._let_go()
            return 1
        self.pending = 0
        self.overrun = self._go_on()
        return 0

    def _go_on(self) -> int:
        """Be due in the future; return how often it expired unseen."""
        if not self.interval or not self.due:
            return 0
        missed = max(0, self.now() - self.due) // self.interval
        self.due += (missed + 1) * self.interval
        self.shot += 1
        self._arm()
        return min(missed, INT_MAX)


class PosixTimers(dict[int, PosixTimer]):
    """The timers of one process, by number. Numbers are not given twice."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0

    def take_number(self) -> int:
        """Return the next timer's number."""
        number, self._next = self._next, (self._next + 1) & INT_MAX
        return number

    def take_wanted(self, number: int) -> int:
        """Return the number that a timer is to have. Errors: EINVAL, EBUSY (another one has it)."""
        if number > INT_MAX:
            raise SyscallError(errno.EINVAL)
        if number in self:
            raise SyscallError(errno.EBUSY)
        self._next = number + 1 & INT_MAX
        return number

    def enter(self, timer: PosixTimer, user: int) -> None:
        """Let a timer be found by its number, and charge it to a user."""
        self[timer.number] = timer
        timer.payer = user
        timer.group.kernel.tasks.queued.charge(user)

    def delete_all(self) -> None:
        """Forget them: the process has ended, or runs another program."""
        for timer in self.values():
            timer.delete()
        self.clear()

    def text(self, pid_ns: PidNamespace) -> str:
        """Return what /proc/PID/timers of a namespace shows. Source: proc_pid_timers(5)."""
        return "".join(_row(timer, pid_ns.number_of) for timer in self.values())


NOTIFIES = {SIGEV_SIGNAL: "signal", SIGEV_NONE: "none", SIGEV_THREAD: "thread"}


def _row(timer: PosixTimer, number_of: Callable[[int], int]) -> str:
    how = NOTIFIES[timer.notify & ~SIGEV_THREAD_ID]
    kind, who = ("pid", timer.group) if timer.thread is None else ("tid", timer.thread)
    return (
        f"ID: {timer.number}\nsignal: {timer.signo}/{timer.value:016x}\n"
        f"notify: {how}/{kind}.{number_of(who.pid)}\nClockID: {timer.clock}\n"
    )
