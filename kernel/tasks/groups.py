"""Process groups: who is in one, whether anyone could let it go on, signals to all of it."""

from __future__ import annotations

from pkern.kernel.tasks.signal.signals import SI_KERNEL, SigInfo, send
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.children import Children
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task

SIGHUP, SIGCONT = 1, 18


def members(kernel: Machine, pgid: int) -> list[Task]:
    """Return a task of each process of a process group, in the order of their pids."""
    return [task for task in kernel.tasks.processes() if task.pgid == pgid]


def is_orphaned(kernel: Machine, pgid: int, leaving: Group | None = None) -> bool:
    """Tell whether no member has a parent in another group of its session.

    leaving: a process that is as good as gone. Source: setpgid(2), Linux 6.18 kernel/exit.c.
    """
    for task in members(kernel, pgid):
        parent = task.parent
        if task.group is leaving or not task.group.alive or parent is None:
            continue
        if parent is kernel.tasks.init or parent.group is leaving:
            continue
        if parent.pgid != pgid and parent.sid == task.sid:
            return False
    return True


def signal_group(kernel: Machine, pgid: int, signo: int) -> None:
    """Send a signal of the kernel's to each member of a process group."""
    for task in members(kernel, pgid):
        send(task, SigInfo(signo, SI_KERNEL))


def release_orphans(leaving: Group, children: Children) -> None:
    """Let stopped groups go on, hung up, that nobody else could: their last parent ends.

    children: it had them, and whoever has adopted them may let them go on.
    """
    parent, kernel = leaving.parent, leaving.kernel
    pgids: dict[int, None] = {}
    for child in children if children else ():
        if child.pgid != leaving.pgid and child.sid == leaving.sid:
            pgids[child.pgid] = None
    family = parent.group if parent is not None else leaving
    if family.pgid != leaving.pgid and family.sid == leaving.sid:
        pgids[leaving.pgid] = None
    for pgid in pgids:
        stopped = any(task.thread.stopped for task in members(kernel, pgid))
        if stopped and is_orphaned(kernel, pgid, leaving):
            signal_group(kernel, pgid, SIGHUP)
            signal_group(kernel, pgid, SIGCONT)
