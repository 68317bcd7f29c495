"""Files of /proc/PID about what there is one of here: a user name space, a control group."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

IDS = (1 << 32) - 1
ID_MAP = f"{0:10d} {0:10d} {IDS:10d}\n"


def write_id_map(of: Task, data: bytes, writer: Task) -> int:
    """Refuse: the first name space's map is set for good. Errors: EPERM.

    Source: user_namespaces(7).
    """
    raise SyscallError(errno.EPERM)


def write_setgroups(of: Task, data: bytes, writer: Task) -> int:
    """Take "allow", which it says already. Errors: EPERM ("deny"), EINVAL.

    Source: proc_pid_setgroups(5).
    """
    word = data.strip()
    if word not in (b"allow", b"deny"):
        raise SyscallError(errno.EINVAL)
    if word == b"deny":
        raise SyscallError(errno.EPERM)
    return len(data)
