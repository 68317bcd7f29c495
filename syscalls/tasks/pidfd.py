"""Signals through descriptors of processes."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.groups import members
from pkern.kernel.tasks.signal.sending import send, send_to_thread, within_limit
from pkern.kernel.tasks.signal.signals import NSIG, SI_TKILL, SI_USER, SigInfo
from pkern.kernel.vfs.anon.pidfd import PIDFD_THREAD
from pkern.kernel.vfs.proc.procfs import TaskDir
from pkern.syscalls.abi import INT_BITS
from pkern.syscalls.files.pidfd import (
    PIDFD_SELF,
    PIDFD_SELF_PROCESS,
    PIDFD_SELF_THREAD,
    process_of,
    subject_of,
)
from pkern.syscalls.table import INT, SINT, syscall
from pkern.syscalls.tasks.signals import is_as_from_kernel, may_signal, queued_info

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SIGNAL_THREAD, SIGNAL_PROCESS, SIGNAL_GROUP = 1, 2, 4


@syscall(424, "pidfd_send_signal", SINT, SINT, INT, INT)
def pidfd_send_signal(task: Task, pidfd: int, signo: int, info: int = 0, flags: int = 0) -> int:
    """Send a signal, or struct siginfo at info, to a process or (PROCESS_GROUP) its group.

    pidfd: of pidfd_open, or /proc/PID opened as a directory. flags: PIDFD_SIGNAL_*, one of them.
    Errors: EINVAL, EBADF, ESRCH, EPERM, EFAULT. Source: pidfd_send_signal(2).
    """
    flags &= INT_BITS
    if flags not in (0, SIGNAL_THREAD, SIGNAL_PROCESS, SIGNAL_GROUP):
        raise SyscallError(errno.EINVAL)
    subject = _to_signal(task, pidfd)
    scope = flags or _scope_of(task, pidfd)
    code = SI_TKILL if scope == SIGNAL_THREAD else SI_USER
    told = SigInfo(signo, code, si_pid=task.tgid, si_uid=task.cred.uid)
    if info:
        told = queued_info(task, info)
        if told.si_signo != signo:
            raise SyscallError(errno.EINVAL)
    if subject.is_reaped:
        raise SyscallError(errno.ESRCH)
    if info and (subject is not task or scope == SIGNAL_GROUP) and is_as_from_kernel(told):
        raise SyscallError(errno.EPERM)
    if not 0 <= signo <= NSIG:
        raise SyscallError(errno.EINVAL)
    targets = members(task.kernel, subject.pid) if scope == SIGNAL_GROUP else [subject]
    if not targets:
        raise SyscallError(errno.ESRCH)
    allowed = [one for one in targets if may_signal(task, one, signo)]
    if not allowed:
        raise SyscallError(errno.EPERM)
    sending = send_to_thread if scope == SIGNAL_THREAD else send
    for one in allowed if signo else ():
        sending(one, within_limit(one, told))
    return 0


def _scope_of(task: Task, fd: int) -> int:
    """Return whom a signal is for where no flag says it: the thread or process of a descriptor."""
    is_thread = fd == PIDFD_SELF_THREAD or (
        fd != PIDFD_SELF_PROCESS and task.fds.get(fd).flags & PIDFD_THREAD
    )
    return SIGNAL_THREAD if is_thread else SIGNAL_PROCESS


def _to_signal(task: Task, fd: int) -> Task:
    if fd in PIDFD_SELF:
        return process_of(task, fd)
    inode = task.fds.get(fd).inode
    return inode.of_task if isinstance(inode, TaskDir) else subject_of(task, fd)


@syscall(448, "process_mrelease", SINT, SINT)
def process_mrelease(task: Task, pidfd: int, flags: int = 0) -> int:
    """Free the memory of a process that is dying: here it has gone before anyone can ask.

    Errors: EINVAL (flags; it is not dying), EBADF, ESRCH. Source: process_mrelease(2).
    """
    if flags:
        raise SyscallError(errno.EINVAL)
    if not process_of(task, pidfd).group.alive:
        raise SyscallError(errno.ESRCH)
    raise SyscallError(errno.EINVAL)
