"""Deadlines: which times SCHED_DEADLINE takes, and whether the processor has so much left.

Nothing runs by them: they are admitted, kept and shown. Source: sched_setattr(2), sched(7),
kernel/sched/deadline.c of Linux 6.18.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.attributes import SCHED_DEADLINE, Attributes
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

LEAST_RUNTIME_NS = 1024
SIGN = 1 << 63
USEC_NS = 1000
SHARE_BITS = 20  # of the whole processor, in the kernel's arithmetic
FAIR_SHARE = (1 << SHARE_BITS) * 50 // 1000  # kept for tasks without deadlines: 50 ms a second


class Times(NamedTuple):
    """What a task asks for, nanoseconds: so much of each period, before its deadline."""

    runtime: int = 0
    deadline: int = 0
    period: int = 0  # 0: the deadline

    @property
    def share(self) -> int:
        """How much of the processor that is."""
        period = self.period or self.deadline
        return (self.runtime << SHARE_BITS) // period if period else 0


def need_sense(task: Task, times: Times) -> None:
    """Refuse times that make no sense, or periods outside of the sysctls' range. Errors: EINVAL."""
    sysctl = task.kernel.sysctl
    least = int(sysctl["kernel.sched_deadline_period_min_us"]) * USEC_NS
    most = int(sysctl["kernel.sched_deadline_period_max_us"]) * USEC_NS
    period = times.period or times.deadline
    fits = LEAST_RUNTIME_NS <= times.runtime <= times.deadline <= period and least <= period <= most
    if not fits or (times.deadline | times.period) & SIGN:
        raise SyscallError(errno.EINVAL)


def admit(task: Task, target: Task, times: Times) -> None:
    """Refuse what the other tasks' deadlines leave no time for. Errors: EBUSY."""
    sysctl = task.kernel.sysctl
    runtime = int(sysctl["kernel.sched_rt_runtime_us"])
    if runtime < 0 or times.share == times_of(target.attributes).share:
        return
    all_of_it = Times(runtime, int(sysctl["kernel.sched_rt_period_us"])).share
    others = (one for one in task.kernel.tasks.values() if one.alive and one is not target)
    used = FAIR_SHARE + sum(times_of(one.attributes).share for one in others)
    if used + times.share > all_of_it:
        raise SyscallError(errno.EBUSY)


def times_of(attributes: Attributes) -> Times:
    """Return the times of a task's settings; of one without a deadline, none."""
    if attributes.policy != SCHED_DEADLINE:
        return Times()
    return Times(attributes.dl_runtime_ns, attributes.dl_deadline_ns, attributes.dl_period_ns)
