"""struct ipc64_perm, which all structures of System V IPC begin with."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pkern.kernel.vfs.ipc.ipc import IpcObject

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO = 0, 1, 2, 3
PERM = struct.Struct("<i5IHxxxxxx2Q")


def pack_perm(task: Task, one: IpcObject) -> bytes:
    """Return the 48 bytes of key, owner, maker, mode and sequence, for a task."""
    own = task.cred.user_ns
    who = (own.uid_of(one.uid), own.gid_of(one.gid), own.uid_of(one.cuid), own.gid_of(one.cgid))
    return PERM.pack(one.key, *who, one.mode, one.sequence, 0, 0)


def perm_in(task: Task, addr: int) -> tuple[int, int, int]:
    """Return the owner, group and mode that IPC_SET asks for; NO_ID: there is none such.

    Errors: EFAULT.
    """
    _, uid, gid, _, _, mode, *_ = PERM.unpack(task.mm.copy_in(addr, PERM.size))
    return *task.cred.user_ns.kids(uid, gid), mode
