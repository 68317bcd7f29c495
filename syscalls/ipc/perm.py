"""struct ipc64_perm, which all structures of System V IPC begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.vfs.ipc.ipc import IpcObject
from pkern.syscalls.layouts import layout

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO = 0, 1, 2, 3
PERM = layout("<i5IHxxxxxx2Q", "<i5IHxx2I")


def pack_perm(task: Task, one: IpcObject) -> bytes:
    """Return the 48 bytes (i386: 36) of key, owner, maker, mode and sequence, for a task."""
    own = task.cred.user_ns
    who = (own.uid_of(one.uid), own.gid_of(one.gid), own.uid_of(one.cuid), own.gid_of(one.cgid))
    return PERM.of(task).pack(one.key, *who, one.mode, one.sequence, 0, 0)


def perm_in(task: Task, addr: int) -> tuple[int, int, int]:
    """Return the owner, group and mode that IPC_SET asks for; NO_ID: there is none such.

    Errors: EFAULT.
    """
    _, uid, gid, _, _, mode, *_ = PERM.of(task).unpack(task.mm.copy_in(addr, PERM.of(task).size))
    return *task.cred.user_ns.kids(uid, gid), mode
