"""What bounds a process's processor time: two interval timers, those of POSIX, and RLIMIT_CPU.

Owns when they are looked at: behind each turn of a thread of the process. What has been used is
the group's. Source: setitimer(2), getrlimit(2); kernel/time/posix-cpu-timers.c of Linux 6.18.
"""

from __future__ import annotations

from pkern.kernel.clock import SECOND
from pkern.kernel.late import load
from pkern.kernel.tasks.rlimits import RLIM_INFINITY
from pkern.kernel.tasks.signal import sending
from pkern.kernel.tasks.signal.signals import SI_KERNEL, SIGKILL, SIGXCPU, SigInfo
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.group import Group

TIMERS = {1: 26, 2: 27}  # ITIMER_VIRTUAL: SIGVTALRM, ITIMER_PROF: SIGPROF


def is_bounded(group: Group) -> bool:
    """Tell whether there is anything to look at behind a turn."""
    if group.posix_timers or group.clocked or not TIMERS.keys().isdisjoint(group.timers):
        return True
    return group.rlimits.soft["cpu"] != RLIM_INFINITY


def look(group: Group) -> None:
    """Act on what a process's time has come to."""
    if group.timers and group.live:
        _check_timers(group)
    if group.clocked:
        load("pkern.kernel.tasks.times.cpu_clocks").look(group)
    if group.cpu_ns >= group.rlimits.soft["cpu"] * SECOND:
        _over_limit(group)


def _check_timers(group: Group) -> None:
    for which, timer in group.timers.items():
        signo = TIMERS.get(which)
        if signo and timer.expires and group.cpu_ns >= timer.expires:
            timer.expires = group.cpu_ns + timer.interval if timer.interval else 0
            sending.send(group.leader, SigInfo(signo, SI_KERNEL))


def _over_limit(group: Group) -> None:
    """Tell a process each second that it has had its time, and end it at the hard limit."""
    soft, hard = group.rlimits["cpu"]
    if not group.alive:
        return
    if group.cpu_ns >= hard * SECOND:
        sending.send(group.leader, SigInfo(SIGKILL, SI_KERNEL))
        return
    sending.send(group.leader, SigInfo(SIGXCPU, SI_KERNEL))
    group.rlimits["cpu"] = (soft + 1, hard)
