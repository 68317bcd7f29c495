"""Descriptors of processes: open them, signal through them, take descriptors, advise memory.

process_of() is the one place that says which process a descriptor stands for.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.credentials import Ids
from pkern.kernel.tasks.signals import NSIG, SI_USER, SigInfo, send
from pkern.kernel.vfs.file import O_NONBLOCK, O_RDWR, File
from pkern.kernel.vfs.pidfd import PidInode
from pkern.kernel.vfs.proc.procfs import TaskDir
from pkern.syscalls.abi import signed32
from pkern.syscalls.files.at import O_CLOEXEC, install, refuse_flags
from pkern.syscalls.files.read_write import vectors
from pkern.syscalls.memory.mman import advise
from pkern.syscalls.table import INT, SINT, syscall
from pkern.syscalls.tasks.signals import is_as_from_kernel, may_signal, queued_info

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

PIDFD_NONBLOCK, PIDFD_THREAD = O_NONBLOCK, 0x80
PIDFD_SELF_THREAD, PIDFD_SELF_PROCESS = -10000, -10001
SIGNAL_THREAD, SIGNAL_PROCESS, SIGNAL_GROUP = 1, 2, 4
# What one process may advise for another one's memory.
FOR_OTHERS = frozenset({lib.MADV_COLD, lib.MADV_PAGEOUT, lib.MADV_WILLNEED, 25})  # 25: COLLAPSE


def process_of(task: Task, fd: int) -> Task:
    """Return the process that a descriptor stands for. Errors: EBADF (none), ESRCH (it is gone)."""
    if fd in (PIDFD_SELF_THREAD, PIDFD_SELF_PROCESS):
        return task
    found = _subject(task, fd)
    if found.is_reaped:
        raise SyscallError(errno.ESRCH)
    return found


def _subject(task: Task, fd: int) -> Task:
    inode = task.fds.get(fd).inode
    if not isinstance(inode, PidInode):
        raise SyscallError(errno.EBADF)
    subject: Task = inode.subject  # type: ignore[assignment]  # made by open_process() only
    return subject


def open_process(task: Task, subject: Task, flags: int) -> int:
    """Return a descriptor of a process, closed at execve. flags: PIDFD_*. Errors: EMFILE."""
    if subject.pid_inode is None or not subject.pid_inode.open_count:
        subject.pid_inode = PidInode(task.kernel, subject)
    status = O_RDWR | flags & (PIDFD_NONBLOCK | PIDFD_THREAD)
    file = File(task.kernel, subject.pid_inode, "anon_inode:[pidfd]", status, task)
    return install(task, task.kernel.vfs.register(file), O_CLOEXEC)


@syscall(434, "pidfd_open", SINT, INT)
def pidfd_open(task: Task, pid: int, flags: int = 0) -> int:
    """Return a descriptor of a process. flags: PIDFD_NONBLOCK (waitid), PIDFD_THREAD.

    Errors: EINVAL, ESRCH, EMFILE. Source: pidfd_open(2).
    """
    refuse_flags(flags, PIDFD_NONBLOCK | PIDFD_THREAD)
    if pid <= 0:
        raise SyscallError(errno.EINVAL)
    subject = task.kernel.tasks.get(pid)
    if subject is None:
        raise SyscallError(errno.ESRCH)
    return open_process(task, subject, flags)


@syscall(424, "pidfd_send_signal", SINT, SINT, INT, INT)
def pidfd_send_signal(task: Task, pidfd: int, signo: int, info: int = 0, flags: int = 0) -> int:
    """Send a signal, or struct siginfo at info, to a process or (PROCESS_GROUP) its group.

    pidfd: of pidfd_open, or /proc/PID opened as a directory. flags: PIDFD_SIGNAL_*, one of them.
    Errors: EINVAL, EBADF, ESRCH, EPERM, EFAULT. Source: pidfd_send_signal(2).
    """
    if flags not in (0, SIGNAL_THREAD, SIGNAL_PROCESS, SIGNAL_GROUP):
        raise SyscallError(errno.EINVAL)
    subject = _to_signal(task, pidfd)
    told = SigInfo(signo, SI_USER, si_pid=task.pid, si_uid=task.cred.uid)
    if info:
        told = queued_info(task, info)
        if told.si_signo != signo:
            raise SyscallError(errno.EINVAL)
    if subject.is_reaped:
        raise SyscallError(errno.ESRCH)
    if info and subject is not task and is_as_from_kernel(told):
        raise SyscallError(errno.EPERM)
    if not 0 <= signo <= NSIG:
        raise SyscallError(errno.EINVAL)
    everyone = task.kernel.tasks.values()
    group = [one for one in everyone if one.pgid == subject.pid]
    targets = group if flags == SIGNAL_GROUP else [subject]
    if not targets:
        raise SyscallError(errno.ESRCH)
    allowed = [one for one in targets if may_signal(task, one, signo)]
    if not allowed:
        raise SyscallError(errno.EPERM)
    for one in allowed if signo else ():
        send(one, told)
    return 0


def _to_signal(task: Task, fd: int) -> Task:
    if fd in (PIDFD_SELF_THREAD, PIDFD_SELF_PROCESS):
        return task
    inode = task.fds.get(fd).inode
    return inode.of_task if isinstance(inode, TaskDir) else _subject(task, fd)


@syscall(438, "pidfd_getfd", SINT, SINT, INT)
def pidfd_getfd(task: Task, pidfd: int, fd: int, flags: int = 0) -> int:
    """Return a descriptor of an open file that another process has as fd, closed at execve.

    Errors: EINVAL, EBADF, ESRCH, EPERM (it may not be traced), EMFILE. Source: pidfd_getfd(2).
    """
    if flags:
        raise SyscallError(errno.EINVAL)
    other = process_of(task, pidfd)
    if not other.alive:
        raise SyscallError(errno.ESRCH)
    if not task.may_trace(other, Ids.REAL):
        raise SyscallError(errno.EPERM)
    return install(task, other.fds.get(fd), O_CLOEXEC)


@syscall(440, "process_madvise", SINT, INT, INT, SINT, INT)
def process_madvise(
    task: Task, pidfd: int, vector: int, nr_vector: int, advice: int, flags: int = 0
) -> int:
    """Advise ranges (struct iovec at vector) of a process's memory; return how many bytes.

    What was advised before an error counts; another's memory takes COLD, PAGEOUT, WILLNEED only.
    Errors: madvise's; EINVAL, EBADF, ESRCH, EFAULT, EPERM (CAP_SYS_NICE, or it may not be traced).
    Source: process_madvise(2).
    """
    if flags:
        raise SyscallError(errno.EINVAL)
    ranges = vectors(task, vector, nr_vector)
    other = process_of(task, pidfd)
    if not other.alive:
        raise SyscallError(errno.ESRCH)
    if not task.may_trace(other):
        raise SyscallError(errno.EPERM)
    advice = signed32(advice)
    if other.mm is not task.mm and advice not in FOR_OTHERS:
        raise SyscallError(errno.EINVAL)
    if other.mm is not task.mm and not task.capable("CAP_SYS_NICE"):
        raise SyscallError(errno.EPERM)
    done = 0
    for addr, nbytes in ranges:
        try:
            advise(other, addr, nbytes, advice)
        except SyscallError:
            if not done:
                raise
            return done
        done += nbytes
    return done


@syscall(448, "process_mrelease", SINT, INT)
def process_mrelease(task: Task, pidfd: int, flags: int = 0) -> int:
    """Free the memory of a process that is dying: here it has gone before anyone can ask.

    Errors: EINVAL (flags; it is not dying), EBADF, ESRCH. Source: process_mrelease(2).
    """
    if flags:
        raise SyscallError(errno.EINVAL)
    if not process_of(task, pidfd).alive:
        raise SyscallError(errno.ESRCH)
    raise SyscallError(errno.EINVAL)
