"""unshare and setns: to share no longer, to be in other namespaces.

kernel/tasks/namespaces.py makes and enters them. Rules between flags: ksys_unshare() and setns() of
Linux 6.18.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.base import (
    ALL_FLAGS,
    CLONE_NEWIPC,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MNT,
    Namespace,
)
from pkern.kernel.tasks.clone import (
    CLONE_FILES,
    CLONE_FS,
    CLONE_SIGHAND,
    CLONE_SYSVSEM,
    CLONE_THREAD,
    CLONE_VM,
)
from pkern.kernel.tasks.credentials import Ids
from pkern.kernel.tasks.namespaces import Places, entered, made_new, move
from pkern.kernel.vfs.anon.pidfd import PidInode
from pkern.kernel.vfs.fs.nsfs import NsInode
from pkern.syscalls.files.pidfd import process_of
from pkern.syscalls.table import INT, SINT, syscall
from pkern.syscalls.tasks.clone import LEGACY_FLAGS
from pkern.syscalls.tasks.ids import commit

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

UNSHARABLE = (
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | ALL_FLAGS
)  # fmt: skip


@syscall(272, "unshare", INT)
def unshare(task: Task, flags: int) -> int:
    """Stop sharing directories, descriptors, undone semaphore operations, namespaces with others.

    flags: CLONE_FS, FILES, SYSVSEM, NEW*; THREAD, SIGHAND and VM for a task that shares them with
    nobody. Errors: EINVAL, EPERM, ENOSPC (namespaces). Source: unshare(2).
    """
    flags &= LEGACY_FLAGS
    if flags & CLONE_NEWUSER:
        flags |= CLONE_THREAD | CLONE_FS
    if flags & CLONE_NEWNS:
        flags |= CLONE_FS
    if flags & ~UNSHARABLE:
        raise SyscallError(errno.EINVAL)
    if flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) and len(task.group.threads) > 1:
        raise SyscallError(errno.EINVAL)
    if flags & (CLONE_SIGHAND | CLONE_VM) and task.signals.handlers.users > 1:
        raise SyscallError(errno.EINVAL)
    if flags & CLONE_VM and task.mm.users > 1:
        raise SyscallError(errno.EINVAL)
    places = made_new(task, flags)
    if flags & CLONE_FS:
        task.fs = task.fs.copy()
    if flags & CLONE_FILES:
        task.fds = task.fds.alone(task)
    if flags & (CLONE_SYSVSEM | CLONE_NEWIPC):
        task.leave_undo()
    go_to(task, places)
    return 0


def go_to(task: Task, places: Places) -> None:
    """Be in other namespaces from now on."""
    move(task, places)
    if places.cred is not task.cred:
        commit(task, places.cred)
    task.kernel.namespaces.sweep()


@syscall(308, "setns", SINT, SINT)
def setns(task: Task, fd: int, kinds: int) -> int:
    """Enter the namespace of a descriptor (kinds: 0, or its CLONE_NEW*), or a process's.

    The latter with a descriptor of the process, and kinds: one or more of them. Errors: EBADF,
    EINVAL, EPERM, ESRCH. Source: setns(2).
    """
    inode, kinds = task.fds.get(fd).inode, kinds & LEGACY_FLAGS
    if isinstance(inode, NsInode):
        if kinds and kinds != inode.namespace.kind.flag:
            raise SyscallError(errno.EINVAL)
        wanted = [inode.namespace]
    elif isinstance(inode, PidInode) and kinds and not kinds & ~ALL_FLAGS:
        wanted = _namespaces_of(task, fd, kinds)
    else:
        raise SyscallError(errno.EINVAL)
    places = Places(task.cred, task.nsproxy)
    for namespace in wanted:
        places = entered(task, places, namespace)
    go_to(task, places)
    if any(namespace.kind == MNT for namespace in wanted):
        task.fs.root = task.fs.pwd = task.nsproxy.mnt.root
    return 0


def _namespaces_of(task: Task, fd: int, kinds: int) -> list[Namespace]:
    """Return namespaces of a process, in the order of their entering. Errors: ESRCH, EPERM."""
    other = process_of(task, fd).group.face()
    if not other.alive:
        raise SyscallError(errno.ESRCH)
    if not task.may_trace(other, Ids.REAL):
        raise SyscallError(errno.EPERM)
    theirs = (other.cred.user_ns, *other.nsproxy)
    return [one for one in dict.fromkeys(theirs) if kinds & one.kind.flag]
