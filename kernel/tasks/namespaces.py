"""New namespaces for a task, and the way into others: what unshare, clone and setns share.

Rules and their order: create_user_ns(), create_new_namespaces(), validate_nsset() and what it calls
in Linux 6.18. What is made belongs to the user namespace that the task is in by then.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.base import (
    ALL_FLAGS,
    CGROUP,
    IN_PROXY,
    IPC,
    MNT,
    MOST_LEVELS,
    NET,
    PID,
    TIME,
    USER,
    UTS,
    Kind,
    Namespace,
)
from pkern.kernel.namespaces.pid import PidNamespace
from pkern.kernel.namespaces.user import UserNamespace
from pkern.kernel.tasks.nsproxy import CgroupNamespace, IpcNamespace, NetNamespace, TimeNamespace
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.mounts import MountNamespace

if TYPE_CHECKING:
    from pkern.kernel.tasks.credentials import Credentials
    from pkern.kernel.tasks.nsproxy import Nsproxy
    from pkern.kernel.tasks.task import Task

RIGHT = "CAP_SYS_ADMIN"


class Places(NamedTuple):
    """Where a task is, or is about to be: its credentials and its other namespaces."""

    cred: Credentials
    nsproxy: Nsproxy


def made_new(task: Task, flags: int) -> Places:
    """Return a task's places with new namespaces of some kinds. flags: CLONE_NEW*.

    Errors: EPERM, ENOSPC (there are too many, or too deep). What fails leaves nothing behind.
    """
    places = Places(task.cred, task.nsproxy)
    if not flags & ALL_FLAGS:
        return places
    task.kernel.namespaces.sweep()
    if flags & USER.flag:
        places = places._replace(cred=_with_new_user(task))
    if flags & IN_PROXY:
        if not places.cred.has(RIGHT, places.cred.user_ns):
            raise SyscallError(errno.EPERM)
        places = places._replace(nsproxy=_with_new(task, places, flags))
    return places


def _with_new_user(task: Task) -> Credentials:
    cred, own = task.cred, task.cred.user_ns
    if own.level > MOST_LEVELS:
        raise SyscallError(errno.ENOSPC)
    made = UserNamespace(own, cred.euid, cred.egid)
    made.could_setfcap = int("CAP_SETFCAP" in cred.effective)
    task.kernel.namespaces.enter(made)
    if is_chrooted(task) or not own.has(cred.euid, cred.egid):
        raise SyscallError(errno.EPERM)
    return cred.in_new(made)


def is_chrooted(task: Task) -> bool:
    """Tell whether a task's root is not that of its mounts."""
    return task.fs.root != task.nsproxy.mnt.root


def _with_new(task: Task, places: Places, flags: int) -> Nsproxy:
    kernel, old = task.kernel, places.nsproxy
    owner, charged = places.cred.user_ns, places.cred.euid
    makers: dict[int, Any] = {
        MNT.flag: lambda: old.mnt.copy(owner, charged),
        UTS.flag: lambda: old.uts.copy(owner, charged),
        IPC.flag: lambda: IpcNamespace(kernel, owner, charged),
        PID.flag: lambda: PidNamespace(old.pid, owner, charged),
        CGROUP.flag: lambda: CgroupNamespace(owner, charged),
        NET.flag: lambda: NetNamespace(kernel, owner, charged),
        TIME.flag: lambda: old.time_for_children.copy(owner, charged),
    }
    if flags & PID.flag:
        _need_pid_level(task, owner)
    made = [kernel.namespaces.enter(make()) for flag, make in makers.items() if flags & flag]
    return old._replace(**{_for_children(one.kind): one for one in made})


def _for_children(kind: Kind) -> str:
    """Return which field of an Nsproxy a new namespace of a kind goes to."""
    return "time_for_children" if kind == TIME else kind.name


def _need_pid_level(task: Task, owner: UserNamespace) -> None:
    """Refuse one more pid namespace. Errors: EINVAL (children shall be elsewhere), ENOSPC.

    Source: copy_pid_ns() and create_pid_namespace() of Linux 6.18.
    """
    within = task.nsproxy.pid
    if within is not task.pid_ns or not owner.is_seen_from(within.user):
        raise SyscallError(errno.EINVAL)
    if within.level >= MOST_LEVELS:
        raise SyscallError(errno.ENOSPC)


def move(task: Task, places: Places) -> None:
    """Let a task be in other namespaces, but for those of its credentials, from now on."""
    old, task.nsproxy = task.nsproxy, places.nsproxy
    if old.ipc is not task.nsproxy.ipc:
        task.leave_undo()
        old.ipc.leave(task)
    if old.mnt is not task.nsproxy.mnt:
        see_mounts(task)
    if old.time is not task.nsproxy.time:
        task.show_time()


def see_mounts(task: Task) -> None:
    """Let a task's directories be in its mount namespace: in the copies, or at the top."""
    space = task.nsproxy.mnt
    task.fs.move(space.copied)
    space.copied = {}
    if task.fs.root.mount is None or task.fs.root.mount.namespace is not space:
        task.fs.root = task.fs.pwd = space.root


# ---- setns ----


def entered(task: Task, places: Places, namespace: Namespace) -> Places:
    """Return places with another namespace in one of them. Errors: EPERM, EINVAL."""
    if isinstance(namespace, UserNamespace):
        return places._replace(cred=_entered_user(task, namespace))
    if isinstance(namespace, TimeNamespace) and not is_alone(task):
        raise SyscallError(errno.EUSERS)
    targets = (namespace.user, places.cred.user_ns)
    if not all(task.cred.has(RIGHT, one) for one in targets):
        raise SyscallError(errno.EPERM)
    if isinstance(namespace, MountNamespace):
        _need_mounts(task, places, namespace)
    if isinstance(namespace, PidNamespace) and not namespace.is_seen_from(task.pid_ns):
        raise SyscallError(errno.EINVAL)  # children may only be in its own one, or below
    if isinstance(namespace, TimeNamespace):
        proxy = places.nsproxy._replace(time_for_children=namespace)
        return places._replace(nsproxy=proxy.in_new_time())
    chosen: dict[str, Any] = {namespace.kind.name: namespace}
    return places._replace(nsproxy=places.nsproxy._replace(**chosen))


def _need_mounts(task: Task, places: Places, namespace: MountNamespace) -> None:
    """Refuse another tree. Errors: EPERM, EINVAL (others have the same directories)."""
    if not task.cred.has("CAP_SYS_CHROOT", places.cred.user_ns):
        raise SyscallError(errno.EPERM)
    if shares_fs(task):
        raise SyscallError(errno.EINVAL)


def _entered_user(task: Task, namespace: UserNamespace) -> Credentials:
    if namespace is task.cred.user_ns or len(task.group.threads) > 1 or shares_fs(task):
        raise SyscallError(errno.EINVAL)
    if not task.cred.has(RIGHT, namespace):
        raise SyscallError(errno.EPERM)
    return task.cred.in_new(namespace)


def is_alone(task: Task) -> bool:
    """Tell whether nobody else runs in its memory, or in its process."""
    return len(task.group.threads) == 1 and task.mm.users == 1


def shares_fs(task: Task) -> bool:
    """Tell whether others have its root and working directory, too (CLONE_FS)."""
    everyone = task.kernel.tasks.values()
    return any(other.fs is task.fs and other.alive for other in everyone if other is not task)
