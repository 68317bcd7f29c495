"""Process groups, sessions, and giving up the processor."""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.table import SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


def _task_or_self(task: Task, pid: int) -> Task:
    """Return the task of a pid, the caller for 0. Errors: ESRCH."""
    found = task.find(pid) if pid else task
    if found is None:
        raise SyscallError(errno.ESRCH)
    return found


@syscall(109, "setpgid", SINT, SINT)
def setpgid(task: Task, pid: int, pgid: int) -> int:
    """Put a process (0: the caller, or a child) into a group of its session.

    Errors: EINVAL, ESRCH, EACCES (the child has executed), EPERM. Source: setpgid(2).
    """
    if pgid < 0 or (not pgid and pid < 0):
        raise SyscallError(errno.EINVAL)
    target = _task_or_self(task, pid) if pid else task.group.leader
    if target is not target.group.leader:
        raise SyscallError(errno.EINVAL)
    if target.group is not task.group:
        if target.parent is None or target.parent.group is not task.group:
            raise SyscallError(errno.ESRCH)
        if target.sid != task.sid:
            raise SyscallError(errno.EPERM)
        if target.has_execed:
            raise SyscallError(errno.EACCES)
    if target.sid == target.pid:
        raise SyscallError(errno.EPERM)
    group = task.pid_of(pgid) if pgid else target.pid
    if group != target.pid and not _group_exists(task, group):
        raise SyscallError(errno.EPERM)
    target.group.pgid = group
    return 0


def _group_exists(task: Task, group: int) -> bool:
    members = (t for t in task.kernel.tasks.values() if t.pgid == group)
    return any(member.sid == task.sid for member in members)


@syscall(121, "getpgid", SINT)
def getpgid(task: Task, pid: int) -> int:
    """Return the group of a process. Errors: ESRCH. Source: getpgid(2)."""
    return task.number_of(_task_or_self(task, pid).pgid)


@syscall(111, "getpgrp")
def getpgrp(task: Task) -> int:
    """Return the caller's group. Source: getpgrp(2)."""
    return task.number_of(task.pgid)


@syscall(112, "setsid")
def setsid(task: Task) -> int:
    """Begin a session and a group of one's own, without a terminal.

    Errors: EPERM (the caller leads a group). Source: setsid(2).
    """
    if any(t.pgid == task.tgid for t in task.kernel.tasks.values()):
        raise SyscallError(errno.EPERM)
    group = task.group
    group.sid = group.pgid = group.pid
    group.autogroup_nice = 0
    group.tty = None
    return task.number_of(group.pid)


@syscall(124, "getsid", SINT)
def getsid(task: Task, pid: int) -> int:
    """Return the session of a process. Errors: ESRCH. Source: getsid(2)."""
    return task.number_of(_task_or_self(task, pid).sid)


@syscall(24, "sched_yield")
def sched_yield(task: Task) -> int:
    """Let the others run first; nothing happens in a Python program. Source: sched_yield(2)."""
    if task.context is not None and task.kernel.scheduler is not None:
        task.kernel.scheduler.turns.end_slice()
    return 0


@syscall(34, "pause")
def pause(task: Task) -> int:
    """Sleep until a handler has run; then EINTR. Source: pause(2)."""
    from pkern.syscalls.clocks import pass_time  # for who waits

    pass_time(task, None)
    raise WouldBlock(restart=Restart.UNLESS_HANDLED, error=errno.EINTR)


@syscall(219, "restart_syscall")
def restart_syscall(task: Task) -> int:
    """Go on with the sleep that a stop has interrupted: the kernel lets a task call it.

    Errors: EINTR: there was none; those of the call. Source: restart_syscall(2).
    """
    scheduler = task.kernel.scheduler
    if scheduler is None or task.context is None:
        raise SyscallError(errno.EINTR)
    return scheduler.calls.make_again(task)
