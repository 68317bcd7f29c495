"""Who hears of an open file: SIGIO, or the signal of F_SETSIG, and SIGURG.

Whoever chose the owner may tell it only what kill(2) would let it. Source: fcntl(2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.groups import members
from pkern.kernel.tasks.signal.sending import send, send_to_thread, within_limit
from pkern.kernel.tasks.signal.signals import SI_KERNEL, SigInfo
from pkern.kernel.vfs.file import F_OWNER_PGRP, F_OWNER_TID, Owner

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

SIGURG, SIGIO = 23, 29


def _targets(kernel: Machine, owner: Owner) -> list[Task]:
    if owner.kind == F_OWNER_PGRP:
        found = members(kernel, owner.pid)
    else:
        found = [kernel.tasks[owner.pid]] if owner.pid in kernel.tasks else []
    return [task for task in found if task.group.alive and _permits(owner, task)]


def _permits(owner: Owner, task: Task) -> bool:
    cred = task.cred
    return not owner.euid or bool({owner.uid, owner.euid} & {cred.uid, cred.suid})


def _send(kernel: Machine, owner: Owner, info: SigInfo) -> None:
    for task in _targets(kernel, owner):
        told = _within_limit(task, info)
        if owner.kind == F_OWNER_TID:
            send_to_thread(task, told)
        else:
            send(task, told)


def _within_limit(task: Task, info: SigInfo) -> SigInfo:
    """Return a signal that a task may get: SIGIO instead of one that is queued too often."""
    try:
        return within_limit(task, info)
    except SyscallError:
        return SigInfo(SIGIO, SI_KERNEL)


def tell_ready(kernel: Machine, file: File, fd: int, code: int, band: int) -> None:
    """Tell a file's owner what it has become ready for: POLL_* and the bits of poll."""
    if not file.owner.pid:
        return
    if file.signal:
        info = SigInfo(file.signal, code, si_band=band, si_fd=fd)
    else:
        info = SigInfo(SIGIO, SI_KERNEL)
    _send(kernel, file.owner, info)


def tell_urgent(kernel: Machine, file: File) -> None:
    """Tell a socket's owner that urgent data has come."""
    if file.owner.pid:
        _send(kernel, file.owner, SigInfo(SIGURG, SI_KERNEL))
