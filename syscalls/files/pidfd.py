"""Descriptors of processes: open them, find their process, take what it has open.

process_of() is the one place that says which process a descriptor stands for. Signals through them
are in syscalls/tasks/pidfd.py, advice in syscalls/memory.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.credentials import Ids
from pkern.kernel.vfs.anon.pidfd import PIDFD_THREAD, PidInode
from pkern.kernel.vfs.file import O_NONBLOCK, O_RDWR, File
from pkern.syscalls.files.at import O_CLOEXEC, install, refuse_flags
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

PIDFD_NONBLOCK = O_NONBLOCK
PIDFD_SELF_THREAD, PIDFD_SELF_PROCESS = -10000, -10001
PIDFD_SELF = (PIDFD_SELF_THREAD, PIDFD_SELF_PROCESS)


def process_of(task: Task, fd: int) -> Task:
    """Return the leader, or thread, of a descriptor. Errors: EBADF (none), ESRCH (it is gone)."""
    if fd in PIDFD_SELF:
        return task if fd == PIDFD_SELF_THREAD else task.group.leader
    found = subject_of(task, fd)
    if found.is_reaped:
        raise SyscallError(errno.ESRCH)
    return found


def subject_of(task: Task, fd: int) -> Task:
    """Return the leader or thread of a descriptor, gone or not. Errors: EBADF."""
    inode = task.fds.get(fd).inode
    if not isinstance(inode, PidInode):
        raise SyscallError(errno.EBADF)
    subject: Task = inode.subject  # type: ignore[assignment]  # made by open_process() only
    return subject


def open_process(task: Task, subject: Task, flags: int) -> int:
    """Return a descriptor of a process, or (PIDFD_THREAD) of a thread, closed at execve.

    flags: PIDFD_*. Errors: EMFILE.
    """
    if subject.pid_inode is None or not subject.pid_inode.open_count:
        subject.pid_inode = PidInode(task.kernel, subject)
    status = O_RDWR | flags & (PIDFD_NONBLOCK | PIDFD_THREAD)
    file = File(task.kernel, subject.pid_inode, "anon_inode:[pidfd]", status, task)
    return install(task, task.kernel.vfs.register(file), O_CLOEXEC)


@syscall(434, "pidfd_open", SINT, INT)
def pidfd_open(task: Task, pid: int, flags: int = 0) -> int:
    """Return a descriptor of a process. flags: PIDFD_NONBLOCK (waitid), PIDFD_THREAD (a thread).

    Errors: EINVAL, ESRCH, ENOENT (a thread that leads no process), EMFILE. Source: pidfd_open(2).
    """
    refuse_flags(flags, PIDFD_NONBLOCK | PIDFD_THREAD)
    if pid <= 0:
        raise SyscallError(errno.EINVAL)
    subject = task.find(pid)
    if subject is None:
        raise SyscallError(errno.ESRCH)
    if subject is not subject.group.leader and not flags & PIDFD_THREAD:
        raise SyscallError(errno.ENOENT)
    return open_process(task, subject, flags)


@syscall(438, "pidfd_getfd", SINT, SINT, SINT)
def pidfd_getfd(task: Task, pidfd: int, fd: int, flags: int = 0) -> int:
    """Return a descriptor of an open file that another process has as fd, closed at execve.

    Errors: EINVAL, EBADF, ESRCH, EPERM (it may not be traced), EMFILE. Source: pidfd_getfd(2).
    """
    if flags:
        raise SyscallError(errno.EINVAL)
    other = process_of(task, pidfd).group.face()
    if not other.alive:
        raise SyscallError(errno.ESRCH)
    if not task.may_trace(other, Ids.REAL):
        raise SyscallError(errno.EPERM)
    return install(task, other.fds.get(fd), O_CLOEXEC)
