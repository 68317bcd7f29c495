"""struct ipc64_perm, which all structures of System V IPC begin with."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pkern.kernel.vfs.ipc import IpcObject

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO = 0, 1, 2, 3
PERM = struct.Struct("<i5IHxxxxxx2Q")


def pack_perm(one: IpcObject) -> bytes:
    """Return the 48 bytes of key, owner, maker, mode and sequence."""
    who = (one.uid, one.gid, one.cuid, one.cgid)
    return PERM.pack(one.key, *who, one.mode, one.sequence, 0, 0)


def perm_in(task: Task, addr: int) -> tuple[int, int, int]:
    """Return the owner, group and mode that IPC_SET asks for. Errors: EFAULT."""
    _, uid, gid, _, _, mode, *_ = PERM.unpack(task.mm.copy_in(addr, PERM.size))
    return uid, gid, mode
